/*
 * LD_PRELOAD: touches every page that numa_alloc and numa_alloc_onnode hand
 * out, so that a benchmark's source buffer is real memory and not the shared
 * zero page.  Test-only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define TOUCH_LIMIT (8ul << 30)

static void *touch(void *p, size_t n)
{
	if (p && n <= TOUCH_LIMIT)
		memset(p, 0x5a, n);
	return p;
}

void *numa_alloc_onnode(size_t n, int node)
{
	static void *(*next)(size_t, int);

	if (!next)
		next = (void *(*)(size_t, int))dlsym(RTLD_NEXT, "numa_alloc_onnode");
	return next ? touch(next(n, node), n) : NULL;
}

void *numa_alloc(size_t n)
{
	static void *(*next)(size_t);

	if (!next)
		next = (void *(*)(size_t))dlsym(RTLD_NEXT, "numa_alloc");
	return next ? touch(next(n), n) : NULL;
}
