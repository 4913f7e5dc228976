// Tells ThreadSanitizer of the locks that Swift's standard library takes where it cannot see it.
//
// A `Mutex` that nobody else wants is taken and given back by code that is compiled into ours, and so instrumented. Where
// two threads meet, it is the kernel that hands it over, asked by libswiftSynchronization, which is not. To be loaded
// before that library (LD_PRELOAD).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
// Synchronization._MutexHandle._unlockSlow() -> ()
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Of the program, if it was built with the sanitizer.
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

SWIFT void lock(uint32_t thread, SELF void *mutex) __asm__(LOCK);
SWIFT void unlock(SELF void *mutex) __asm__(UNLOCK);

static void *next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);
	if (function == NULL)
		abort();
	return function;
}

SWIFT void lock(uint32_t thread, SELF void *mutex)
{
	((SWIFT void (*)(uint32_t, SELF void *))next(LOCK))(thread, mutex);
	if (__tsan_acquire != NULL)
		__tsan_acquire(mutex);
}

SWIFT void unlock(SELF void *mutex)
{
	if (__tsan_release != NULL)
		__tsan_release(mutex);
	((SWIFT void (*)(SELF void *))next(UNLOCK))(mutex);
}
