/* Counts the heap allocations of the process that this is linked into. */
#ifndef CALLOCATIONCOUNT_H
#define CALLOCATIONCOUNT_H

#include <stdint.h>

/* Allocations since the process started, by all threads: malloc, calloc, realloc, and the aligned kinds. */
uint64_t allocation_count(void);

#endif
