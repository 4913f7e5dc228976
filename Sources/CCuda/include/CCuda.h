/* The part of NVIDIA's driver API (libcuda.so.1) that the engine calls, without NVIDIA's headers: its functions, types
 * and constants under names of ours. Everything here is in drivers from CUDA 11.0 (450) on. Declarations only. */
#ifndef CCUDA_H
#define CCUDA_H

#include <stddef.h>
#include <stdint.h>

typedef int ccuda_result;
typedef int ccuda_device;
typedef struct ccuda_context_object *ccuda_context;
typedef struct ccuda_stream_object *ccuda_stream;
/* An address that the GPU understands; the same number as the pointer where addressing is unified, as on all 64-bit
 * Linux hosts. */
typedef unsigned long long ccuda_address;

/* Results that mean something to us. */
enum {
	CCUDA_SUCCESS = 0,
	CCUDA_INVALID_VALUE = 1,
	CCUDA_NOT_INITIALIZED = 3,
	CCUDA_DEINITIALIZED = 4,
	CCUDA_NO_DEVICE = 100,
	CCUDA_INVALID_CONTEXT = 201,
};

/* What can be asked about a pointer, and the kinds of memory that are answered. */
enum {
	CCUDA_POINTER_MEMORY_TYPE = 2,    /* unsigned */
	CCUDA_POINTER_IS_MANAGED = 8,     /* unsigned */
	CCUDA_POINTER_DEVICE_ORDINAL = 9, /* int */
	CCUDA_MEMORY_HOST = 1,
	CCUDA_MEMORY_DEVICE = 2,
};

/* Flags: a stream that does not wait for the default one, host memory that is pinned for every context. */
enum {
	CCUDA_STREAM_NON_BLOCKING = 1,
	CCUDA_HOST_PORTABLE = 1,
};

/* FUNCTION(symbol, member, parameters) */
#define CCUDA_FUNCTIONS(FUNCTION)                                                                                    \
	FUNCTION(cuInit, init, (unsigned flags))                                                                     \
	FUNCTION(cuGetErrorString, error_string, (ccuda_result result, const char **text))                           \
	FUNCTION(cuDeviceGetCount, device_count, (int *count))                                                       \
	FUNCTION(cuDeviceGet, device, (ccuda_device *device, int ordinal))                                           \
	FUNCTION(cuDeviceGetPCIBusId, pci_bus_id, (char *text, int size, ccuda_device device))                       \
	FUNCTION(cuDevicePrimaryCtxRetain, retain_primary_context, (ccuda_context *context, ccuda_device device))    \
	FUNCTION(cuDevicePrimaryCtxRelease_v2, release_primary_context, (ccuda_device device))                       \
	FUNCTION(cuCtxPushCurrent_v2, push_context, (ccuda_context context))                                         \
	FUNCTION(cuCtxPopCurrent_v2, pop_context, (ccuda_context *context))                                          \
	FUNCTION(cuPointerGetAttribute, pointer_attribute, (void *value, int attribute, ccuda_address address))      \
	FUNCTION(cuMemAlloc_v2, allocate, (ccuda_address *address, size_t length))                                   \
	FUNCTION(cuMemFree_v2, free, (ccuda_address address))                                                        \
	FUNCTION(cuMemHostAlloc, allocate_host, (void **address, size_t length, unsigned flags))                     \
	FUNCTION(cuMemFreeHost, free_host, (void *address))                                                          \
	FUNCTION(cuMemcpyAsync, copy, (ccuda_address to, ccuda_address from, size_t length, ccuda_stream stream))    \
	FUNCTION(cuStreamCreate, create_stream, (ccuda_stream *stream, unsigned flags))                              \
	FUNCTION(cuStreamDestroy_v2, destroy_stream, (ccuda_stream stream))                                          \
	FUNCTION(cuStreamSynchronize, synchronize, (ccuda_stream stream))

struct ccuda_functions {
#define CCUDA_MEMBER(symbol, member, parameters) ccuda_result(*member) parameters;
	CCUDA_FUNCTIONS(CCUDA_MEMBER)
#undef CCUDA_MEMBER
};

/* Opens the driver library at `path` (any form that dlopen takes) and binds its functions.
 * `only_if_mapped`: succeed only if the process has it mapped already.
 * Returns the handle, or NULL with the loader's own text in `error` (of `error_size` bytes). */
void *ccuda_open(const char *path, int only_if_mapped, struct ccuda_functions *functions, char *error,
		 size_t error_size);

/* How many libraries the process has loaded so far, those that it has unloaded again among them. */
unsigned long long ccuda_libraries_loaded(void);

#endif
