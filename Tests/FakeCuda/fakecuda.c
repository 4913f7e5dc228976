/*
 * fakecuda: a TEST-ONLY libcuda.so.1 for hosts without a GPU.
 *
 * Its "device memory" is a reservation that the processor may not touch; the content is kept in a second mapping of the
 * same pages, which only the copies below use.  So whoever reads or writes a device pointer directly dies at once.
 * Copies on a stream are carried out when the stream is waited for, and not before.
 *
 *   FAKE_CUDA_DEVICES      number of devices (default 2)
 *   FAKE_CUDA_PCI          PCI address of device 0 (default 0000:17:00.0); the others' buses follow, downwards
 *   FAKE_CUDA_FAIL_FROM    the number of the first copy that fails, counted from 1: it and all after it do
 *   FAKE_CUDA_FAIL_ONCE    the number of a copy that fails
 *
 * fakecuda_nic_begin and fakecuda_nic_end are for the fake EFA provider: between them the memory can be touched, as a
 * NIC can that reaches a real GPU.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
       LAUNCH_FAILED = 719 };

struct block {
	struct block *next;
	uint64_t address;
	size_t length, mapped;
	char *content;
	int device, managed, registered;
};

struct copy {
	struct copy *next;
	uint64_t to, from;
	size_t length;
};

struct context {
	int device, holders;
};

struct stream {
	struct copy *first, **last;
	struct context *context;
};

#define MAX_DEVICES 16
#define MAX_DEPTH 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialized, devices = 2, nic_users;
static long copies, fail_from, fail_once;
static struct context primary[MAX_DEVICES];
static struct block *blocks;
static __thread struct context *stack[MAX_DEPTH];
static __thread int depth;

static struct context *current(void) { return depth ? stack[depth - 1] : NULL; }

static struct block *find(uint64_t address)
{
	struct block *b;

	for (b = blocks; b; b = b->next)
		if (address >= b->address && address - b->address < b->length)
			return b;
	return NULL;
}

EXPORT int cuInit(unsigned flags)
{
	const char *text = getenv("FAKE_CUDA_DEVICES");

	if (flags)
		return INVALID_VALUE;
	pthread_mutex_lock(&lock);
	if (text && atoi(text) > 0 && atoi(text) <= MAX_DEVICES)
		devices = atoi(text);
	if ((text = getenv("FAKE_CUDA_FAIL_FROM")))
		fail_from = atol(text);
	if ((text = getenv("FAKE_CUDA_FAIL_ONCE")))
		fail_once = atol(text);
	initialized = 1;
	pthread_mutex_unlock(&lock);
	return SUCCESS;
}

EXPORT int cuDriverGetVersion(int *version)
{
	*version = 12040;
	return SUCCESS;
}

EXPORT int cuGetErrorString(int result, const char **text)
{
	*text = result == LAUNCH_FAILED ? "unspecified launch failure" : result == INVALID_CONTEXT ?
		"invalid device context" : result == NOT_INITIALIZED ? "initialization error" : "invalid argument";
	return SUCCESS;
}

EXPORT int cuDeviceGetCount(int *count)
{
	if (!initialized)
		return NOT_INITIALIZED;
	*count = devices;
	return SUCCESS;
}

EXPORT int cuDeviceGet(int *device, int ordinal)
{
	if (!initialized)
		return NOT_INITIALIZED;
	if (ordinal < 0 || ordinal >= devices)
		return INVALID_DEVICE;
	*device = ordinal;
	return SUCCESS;
}

EXPORT int cuDeviceGetPCIBusId(char *text, int size, int device)
{
	const char *first = getenv("FAKE_CUDA_PCI");
	unsigned domain = 0, bus = 0x17, slot = 0;

	if (first)
		sscanf(first, "%x:%x:%x", &domain, &bus, &slot);
	snprintf(text, size, "%04X:%02X:%02X.0", domain, (bus - device) & 0xff, slot);
	return SUCCESS;
}

/* ---- contexts ---- */
EXPORT int cuDevicePrimaryCtxRetain(struct context **context, int device)
{
	if (device < 0 || device >= devices)
		return INVALID_DEVICE;
	pthread_mutex_lock(&lock);
	primary[device].device = device;
	primary[device].holders++;
	*context = &primary[device];
	pthread_mutex_unlock(&lock);
	return SUCCESS;
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device)
{
	int ret = SUCCESS;

	pthread_mutex_lock(&lock);
	if (primary[device].holders > 0)
		primary[device].holders--;
	else
		ret = INVALID_CONTEXT;
	pthread_mutex_unlock(&lock);
	return ret;
}

EXPORT int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active)
{
	*flags = 0;
	*active = primary[device].holders > 0;
	return SUCCESS;
}

EXPORT int cuCtxPushCurrent_v2(struct context *context)
{
	if (!context || depth == MAX_DEPTH || context->holders == 0)
		return INVALID_CONTEXT;
	stack[depth++] = context;
	return SUCCESS;
}

EXPORT int cuCtxPopCurrent_v2(struct context **context)
{
	if (!depth)
		return INVALID_CONTEXT;
	*context = stack[--depth];
	return SUCCESS;
}

EXPORT int cuCtxGetCurrent(struct context **context)
{
	if (!initialized)
		return NOT_INITIALIZED;
	*context = current();
	return SUCCESS;
}

/* ---- memory ---- */
EXPORT int cuPointerGetAttribute(void *value, int attribute, uint64_t address)
{
	struct block *b;
	int ret = SUCCESS;

	if (!initialized)
		return NOT_INITIALIZED;
	pthread_mutex_lock(&lock);
	b = find(address);
	if (!b)
		ret = INVALID_VALUE;
	else if (attribute == 2)
		*(unsigned *)value = b->device < 0 ? 1 : 2;
	else if (attribute == 8)
		*(unsigned *)value = b->managed;
	else if (attribute == 9)
		*(int *)value = b->device < 0 ? 0 : b->device;
	else
		ret = INVALID_VALUE;
	pthread_mutex_unlock(&lock);
	return ret;
}

/* device < 0: page-locked host memory. */
static int make_block(size_t length, int device, int managed, struct block **made)
{
	size_t mapped = (length + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
	struct block *b = calloc(1, sizeof *b);
	int fd = memfd_create("fakecuda", MFD_CLOEXEC), hidden = device >= 0 && !managed;
	void *place;

	if (!b || fd < 0 || !length || ftruncate(fd, mapped))
		goto failed;
	b->content = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	place = mmap(NULL, mapped, hidden ? PROT_NONE : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b->content == MAP_FAILED || place == MAP_FAILED)
		goto failed;
	close(fd);
	b->address = (uintptr_t)place;
	b->length = length;
	b->mapped = mapped;
	b->device = device;
	b->managed = managed;
	pthread_mutex_lock(&lock);
	b->next = blocks;
	blocks = b;
	pthread_mutex_unlock(&lock);
	*made = b;
	return SUCCESS;
failed:
	if (fd >= 0)
		close(fd);
	free(b);
	return OUT_OF_MEMORY;
}

static int free_block(uint64_t address)
{
	struct block **at, *b = NULL;

	pthread_mutex_lock(&lock);
	for (at = &blocks; *at; at = &(*at)->next) {
		if ((*at)->address != address)
			continue;
		b = *at;
		*at = b->next;
		break;
	}
	pthread_mutex_unlock(&lock);
	if (!b)
		return INVALID_VALUE;
	munmap(b->content, b->mapped);
	munmap((void *)(uintptr_t)b->address, b->mapped);
	free(b);
	return SUCCESS;
}

EXPORT int cuMemAlloc_v2(uint64_t *address, size_t length)
{
	struct block *b;
	int ret = current() ? make_block(length, current()->device, 0, &b) : INVALID_CONTEXT;

	if (!ret)
		*address = b->address;
	return ret;
}

EXPORT int cuMemAllocManaged(uint64_t *address, size_t length, unsigned flags)
{
	struct block *b;
	int ret = current() ? make_block(length, current()->device, 1, &b) : INVALID_CONTEXT;

	(void)flags;
	if (!ret)
		*address = b->address;
	return ret;
}

EXPORT int cuMemHostAlloc(void **address, size_t length, unsigned flags)
{
	struct block *b;
	int ret = current() ? make_block(length, -1, 0, &b) : INVALID_CONTEXT;

	(void)flags;
	if (!ret)
		*address = (void *)(uintptr_t)b->address;
	return ret;
}

EXPORT int cuMemFree_v2(uint64_t address) { return free_block(address); }
EXPORT int cuMemFreeHost(void *address) { return free_block((uintptr_t)address); }

/* ---- copies ---- */

/* Where the bytes of an address really are; NULL for a range that runs out of its block. */
static char *content(uint64_t address, size_t length)
{
	struct block *b = find(address);

	if (!b)
		return (char *)(uintptr_t)address;
	return length <= b->length - (address - b->address) ? b->content + (address - b->address) : NULL;
}

EXPORT int cuMemcpyAsync(uint64_t to, uint64_t from, size_t length, struct stream *stream)
{
	struct copy *c;
	int ret = SUCCESS;

	if (!current() || !stream || stream->context != current())
		return INVALID_CONTEXT;
	pthread_mutex_lock(&lock);
	copies++;
	if (!content(to, length) || !content(from, length))
		ret = INVALID_VALUE;
	else if (copies == fail_once || (fail_from && copies >= fail_from))
		ret = LAUNCH_FAILED;
	if (!ret) {
		c = calloc(1, sizeof *c);
		*c = (struct copy){ NULL, to, from, length };
		*stream->last = c;
		stream->last = &c->next;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

EXPORT int cuStreamCreate(struct stream **stream, unsigned flags)
{
	(void)flags;
	if (!current())
		return INVALID_CONTEXT;
	*stream = calloc(1, sizeof **stream);
	(*stream)->last = &(*stream)->first;
	(*stream)->context = current();
	return SUCCESS;
}

EXPORT int cuStreamDestroy_v2(struct stream *stream)
{
	free(stream);
	return SUCCESS;
}

EXPORT int cuStreamSynchronize(struct stream *stream)
{
	struct copy *c;

	if (!stream)
		return INVALID_VALUE;
	pthread_mutex_lock(&lock);
	while ((c = stream->first)) {
		char *to = content(c->to, c->length), *from = content(c->from, c->length);

		if (to && from)
			memmove(to, from, c->length);
		stream->first = c->next;
		free(c);
	}
	stream->last = &stream->first;
	pthread_mutex_unlock(&lock);
	return SUCCESS;
}

/* ---- for the fake EFA provider ---- */
static void protect(int protection)
{
	struct block *b;

	for (b = blocks; b; b = b->next)
		if (b->registered)
			mprotect((void *)(uintptr_t)b->address, b->mapped, protection);
}

/* A NIC maps the memory at `address`; 0 if all of it is memory of `device`. */
EXPORT int fakecuda_nic_map(uint64_t address, size_t length, int device)
{
	struct block *b;
	int ret = INVALID_VALUE;

	pthread_mutex_lock(&lock);
	b = find(address);
	if (b && b->device == device && !b->managed && length <= b->length - (address - b->address)) {
		b->registered = 1;
		ret = SUCCESS;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

EXPORT void fakecuda_nic_begin(void)
{
	pthread_mutex_lock(&lock);
	if (nic_users++ == 0)
		protect(PROT_READ | PROT_WRITE);
	pthread_mutex_unlock(&lock);
}

EXPORT void fakecuda_nic_end(void)
{
	pthread_mutex_lock(&lock);
	if (--nic_users == 0)
		protect(PROT_NONE);
	pthread_mutex_unlock(&lock);
}

/* ---- for tests ---- */
EXPORT int fakecuda_holders(int device) { return primary[device].holders; }
EXPORT int fakecuda_depth(void) { return depth; }
EXPORT int fakecuda_is_initialized(void) { return initialized; }
