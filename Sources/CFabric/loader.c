#define _GNU_SOURCE
#include "CFabric.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>

static void *bind_symbol(void *handle, const char *name, const char *abi, char *error, size_t error_size)
{
	void *symbol = dlvsym(handle, name, abi);

	if (!symbol)
		snprintf(error, error_size, "symbol %s@%s is missing", name, abi);
	return symbol;
}

void *cfabric_open(const char *path, int only_if_mapped, struct cfabric_functions *functions, char *error,
		   size_t error_size)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | (only_if_mapped ? RTLD_NOLOAD : 0));
	const char *reason;

	error[0] = '\0';
	if (!handle) {
		reason = dlerror();
		snprintf(error, error_size, "%s", reason ? reason : "not mapped");
		return NULL;
	}
	if ((*(void **)&functions->getinfo = bind_symbol(handle, "fi_getinfo", "FABRIC_1.3", error, error_size)) &&
	    (*(void **)&functions->freeinfo = bind_symbol(handle, "fi_freeinfo", "FABRIC_1.3", error, error_size)) &&
	    (*(void **)&functions->dupinfo = bind_symbol(handle, "fi_dupinfo", "FABRIC_1.3", error, error_size)) &&
	    (*(void **)&functions->fabric = bind_symbol(handle, "fi_fabric", "FABRIC_1.1", error, error_size)) &&
	    (*(void **)&functions->version = bind_symbol(handle, "fi_version", "FABRIC_1.0", error, error_size)) &&
	    (*(void **)&functions->strerror = bind_symbol(handle, "fi_strerror", "FABRIC_1.0", error, error_size)))
		return handle;
	dlclose(handle);
	return NULL;
}

const char *cfabric_path(void *handle)
{
	struct link_map *map = NULL;

	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) || !map || !map->l_name || !map->l_name[0])
		return NULL;
	return map->l_name;
}

struct visitor {
	void (*visit)(const char *path, void *context);
	void *context;
};

static int visit_one(struct dl_phdr_info *info, size_t size, void *data)
{
	struct visitor *visitor = data;

	(void)size;
	visitor->visit(info->dlpi_name ? info->dlpi_name : "", visitor->context);
	return 0;
}

void cfabric_each_mapped(void (*visit)(const char *path, void *context), void *context)
{
	struct visitor visitor = { visit, context };

	dl_iterate_phdr(visit_one, &visitor);
}
