#define _GNU_SOURCE
#include "CCuda.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>

void *ccuda_open(const char *path, int only_if_mapped, struct ccuda_functions *functions, char *error,
		 size_t error_size)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | (only_if_mapped ? RTLD_NOLOAD : 0));
	const char *missing = NULL, *reason;

	error[0] = '\0';
	if (!handle) {
		reason = dlerror();
		snprintf(error, error_size, "%s", reason ? reason : "not mapped");
		return NULL;
	}
#define CCUDA_BIND(symbol, member, parameters)                                                                       \
	if (!(*(void **)&functions->member = dlsym(handle, #symbol)))                                                \
		missing = #symbol;
	CCUDA_FUNCTIONS(CCUDA_BIND)
#undef CCUDA_BIND
	if (!missing)
		return handle;
	snprintf(error, error_size, "symbol %s is missing", missing);
	dlclose(handle);
	return NULL;
}

static int first_library(struct dl_phdr_info *info, size_t size, void *count)
{
	(void)size;
	*(unsigned long long *)count = info->dlpi_adds;
	return 1;
}

unsigned long long ccuda_libraries_loaded(void)
{
	unsigned long long count = 0;

	dl_iterate_phdr(first_library, &count);
	return count;
}
