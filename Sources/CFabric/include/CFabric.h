/* libfabric for Swift: the headers, the few entry points that are real symbols, and what Swift cannot import.
 * Everything else in libfabric is a call through the op tables of the headers, which Swift imports as it is. */
#ifndef CFABRIC_H
#define CFABRIC_H

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_ext.h>
#include <rdma/fi_rma.h>

/* The entry points of a libfabric, loaded at run time or supplied by a test. */
struct cfabric_functions {
	int (*getinfo)(uint32_t version, const char *node, const char *service, uint64_t flags,
		       const struct fi_info *hints, struct fi_info **info);
	void (*freeinfo)(struct fi_info *info);
	struct fi_info *(*dupinfo)(const struct fi_info *info);
	int (*fabric)(struct fi_fabric_attr *attr, struct fid_fabric **fabric, void *context);
	uint32_t (*version)(void);
	const char *(*strerror)(int errnum);
};

/* Opens the library at `path` (any form that dlopen takes) and binds its entry points to the ABI of the 1.17 headers,
 * so that the structures declared there keep their layout whatever version is installed.
 * `only_if_mapped`: succeed only if the process has it mapped already.
 * Returns the handle, or NULL with the loader's own text in `error` (of `error_size` bytes). */
void *cfabric_open(const char *path, int only_if_mapped, struct cfabric_functions *functions, char *error,
		   size_t error_size);

/* The file that the handle was loaded from, as the loader knows it; NULL if it does not say. */
const char *cfabric_path(void *handle);

/* Calls `visit` with the path of each shared library that the process has mapped. */
void cfabric_each_mapped(void (*visit)(const char *path, void *context), void *context);

/* FI_VERSION(major, minor), a function macro. */
static inline uint32_t cfabric_version(uint32_t major, uint32_t minor) { return FI_VERSION(major, minor); }
static inline uint32_t cfabric_major(uint32_t version) { return FI_MAJOR(version); }
static inline uint32_t cfabric_minor(uint32_t version) { return FI_MINOR(version); }

/* (uint64_t)-1 macros, which Swift reads as overflowing literals. */
static const uint64_t cfabric_addr_unspec = FI_ADDR_UNSPEC;
static const uint64_t cfabric_key_notavail = FI_KEY_NOTAVAIL;

/* Options younger than the 1.17 headers, as rdma/fi_endpoint.h and rdma/fi_ext.h of libfabric 1.18 and 1.21 number
 * them. A library that does not know one answers -FI_ENOPROTOOPT. */
enum {
	CFABRIC_OPT_CUDA_API_PERMITTED = 10,      /* bool, set; since 1.18 */
	CFABRIC_OPT_SHARED_MEMORY_PERMITTED = 11, /* bool, set; since 1.21 */
	CFABRIC_OPT_EFA_EMULATED_READ = -FI_PROV_SPECIFIC_EFA + 1,  /* bool, get; since 1.18 */
	CFABRIC_OPT_EFA_EMULATED_WRITE = -FI_PROV_SPECIFIC_EFA + 2, /* bool, get; since 1.18 */
};

#endif
