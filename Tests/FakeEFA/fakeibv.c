/*
 * LD_PRELOAD: fake ibverbs device list + fake /sys/class/infiniband, so that
 * software which discovers EFA NICs through libibverbs or sysfs sees
 * FAKE_EFA_NICS active devices rdmap<i>s0.  Test-only.  FAKE_EFA_SYSFS names
 * the fake tree (see mk_sysfs.sh); default <dir of this .so>/sysfs-<N>.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#undef _FORTIFY_SOURCE
#include <infiniband/verbs.h>
#undef ibv_query_port
#undef ibv_get_device_list

static int nics(void)
{
	const char *s = getenv("FAKE_EFA_NICS");
	return s && atoi(s) > 0 ? atoi(s) : 2;
}

static const char *root(void)
{
	static char buf[PATH_MAX];
	const char *e = getenv("FAKE_EFA_SYSFS");
	Dl_info di;

	if (e && *e)
		return e;
	if (!buf[0]) {
		char *sl;
		dladdr((void *)root, &di);
		snprintf(buf, sizeof buf - 64, "%s", di.dli_fname);
		sl = strrchr(buf, '/');
		if (!sl)
			sl = buf;
		snprintf(sl, 64, "/sysfs-%d", nics());
	}
	return buf;
}

static const char *redir(const char *p, char *b)
{
	if (p && !strncmp(p, "/sys/class/infiniband", 21))
		snprintf(b, PATH_MAX, "%s/class/infiniband%s", root(), p + 21);
	else if (p && !strncmp(p, "/dev/infiniband", 15))
		snprintf(b, PATH_MAX, "%s/dev/infiniband%s", root(), p + 15);
	else
		return p;
	return b;
}

#define NEXT(f) ((__typeof__(&f))dlsym(RTLD_NEXT, #f))
/* In a function that takes a path `p`: look into the fake tree instead. */
#define REDIRECT() char redirected_[PATH_MAX]; p = redir(p, redirected_)

int stat(const char *p, struct stat *s)
{
	REDIRECT();
	return NEXT(stat)(p, s);
}

int lstat(const char *p, struct stat *s)
{
	REDIRECT();
	return NEXT(lstat)(p, s);
}

int access(const char *p, int m)
{
	REDIRECT();
	return NEXT(access)(p, m);
}

char *realpath(const char *p, char *o)
{
	REDIRECT();
	return NEXT(realpath)(p, o);
}

char *__realpath_chk(const char *p, char *o, size_t n)
{
	(void)n;
	return realpath(p, o);
}

FILE *fopen(const char *p, const char *m)
{
	REDIRECT();
	return NEXT(fopen)(p, m);
}

FILE *fopen64(const char *p, const char *m)
{
	REDIRECT();
	return NEXT(fopen64)(p, m);
}

DIR *opendir(const char *p)
{
	REDIRECT();
	return NEXT(opendir)(p);
}

ssize_t readlink(const char *p, char *o, size_t n)
{
	REDIRECT();
	return NEXT(readlink)(p, o, n);
}

#define MODE_OF(f, m) do { \
	va_list a_; \
	va_start(a_, f); \
	if (f & (O_CREAT | O_TMPFILE)) \
		m = va_arg(a_, mode_t); \
	va_end(a_); \
} while (0)

int open(const char *p, int f, ...)
{
	mode_t m = 0;
	REDIRECT();

	MODE_OF(f, m);
	return NEXT(open)(p, f, m);
}

int open64(const char *p, int f, ...)
{
	mode_t m = 0;
	REDIRECT();

	MODE_OF(f, m);
	return NEXT(open64)(p, f, m);
}

/* ---- ibverbs ---- */
/* libfabric's own efa and verbs providers must not see devices that no driver stands behind */
static int called_by_libfabric(const void *caller)
{
	Dl_info di;

	return dladdr(caller, &di) && di.dli_fname && strstr(di.dli_fname, "libfabric");
}

struct ibv_device **ibv_get_device_list(int *num)
{
	int n = called_by_libfabric(__builtin_return_address(0)) ? 0 : nics(), i;
	struct ibv_device **l = calloc(n + 1, sizeof *l);

	for (i = 0; i < n; i++) {
		struct ibv_device *d = calloc(1, sizeof *d);
		d->node_type = IBV_NODE_UNSPECIFIED;
		d->transport_type = IBV_TRANSPORT_UNSPECIFIED;
		snprintf(d->name, sizeof d->name, "rdmap%ds0", i);
		snprintf(d->dev_name, sizeof d->dev_name, "uverbs%d", i);
		snprintf(d->dev_path, sizeof d->dev_path, "/sys/class/infiniband_verbs/uverbs%d", i);
		snprintf(d->ibdev_path, sizeof d->ibdev_path, "/sys/class/infiniband/rdmap%ds0", i);
		l[i] = d;
	}
	if (num)
		*num = n;
	return l;
}

void ibv_free_device_list(struct ibv_device **l)
{
	for (int i = 0; l && l[i]; i++)
		free(l[i]);
	free(l);
}

const char *ibv_get_device_name(struct ibv_device *d)
{
	return d->name;
}

struct ibv_context *ibv_open_device(struct ibv_device *d)
{
	struct ibv_context *c = calloc(1, sizeof *c);
	struct ibv_device *copy = malloc(sizeof *copy);

	*copy = *d;
	c->device = copy;
	c->cmd_fd = c->async_fd = -1;
	c->abi_compat = NULL;		/* not extended: no inline fast paths */
	return c;
}

int ibv_close_device(struct ibv_context *c)
{
	free(c->device);
	free(c);
	return 0;
}

int ibv_query_device(struct ibv_context *c, struct ibv_device_attr *a)
{
	(void)c;
	memset(a, 0, sizeof *a);
	a->max_mr_size = 0xffffffffffffULL;
	a->page_size_cap = 0xfffff000;
	a->vendor_id = 0x1d0f;
	a->vendor_part_id = 0xefa2;
	a->max_qp = 768;
	a->max_qp_wr = 4096;
	a->max_cqe = 32768;
	a->phys_port_cnt = 1;
	return 0;
}

int ibv_query_port(struct ibv_context *c, uint8_t port, struct _compat_ibv_port_attr *pa)
{
	struct ibv_port_attr *a = (struct ibv_port_attr *)pa;	/* same prefix */

	(void)c;
	if (port != 1) {
		errno = EINVAL;
		return EINVAL;
	}
	a->state = IBV_PORT_ACTIVE;
	a->max_mtu = a->active_mtu = IBV_MTU_4096;
	a->gid_tbl_len = 1;
	a->max_msg_sz = 8928;
	return 0;
}

/* ---- libfabric ----
 * Software that asks for a newer API than the distribution's libfabric offers gets what is there.
 */
struct fi_info;
int fi_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags,
	       const struct fi_info *hints, struct fi_info **info)
{
	int (*real)(uint32_t, const char *, const char *, uint64_t, const struct fi_info *, struct fi_info **);
	uint32_t (*have)(void) = (uint32_t (*)(void))dlsym(RTLD_NEXT, "fi_version");

	*(void **)&real = dlsym(RTLD_NEXT, "fi_getinfo");
	if (have && version > have())
		version = have();
	return real(version, node, service, flags, hints, info);
}
