#include "CCallgrind.h"

#if !__has_include(<valgrind/callgrind.h>)
#error "valgrind's headers are needed: apt-get install valgrind"
#endif
#include <valgrind/callgrind.h>

void callgrind_begin(void)
{
	CALLGRIND_START_INSTRUMENTATION;
}

void callgrind_end(void)
{
	CALLGRIND_STOP_INSTRUMENTATION;
}
