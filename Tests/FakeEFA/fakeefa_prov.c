/*
 * fakeefa: a TEST-ONLY external libfabric provider that calls itself "efa".
 *
 * It is loaded through FI_PROVIDER_PATH=<dir with libfakeefa-fi.so> by a
 * stock libfabric (1.17 and later) and layers on a real RDM+RMA provider of the same
 * library (tcp;ofi_rxm by default).  fi_getinfo results are cloned to N
 * "devices" (rdmap<i>s0-rdm); fi_fabric/fi_domain/fi_endpoint get the real
 * names back; the data path (fi_read/fi_write/fi_cq_read) is the real
 * provider's own vtable, so there is no per-operation overhead.
 *
 *   FAKE_EFA_NICS     number of simulated devices      (default 2)
 *   FAKE_EFA_BACKEND  tcp;ofi_rxm | tcp | net | shm | sockets (default tcp;ofi_rxm)
 *   FAKE_EFA_ADDR32   1: endpoint names are 32 byte efa_ep_addr-like blobs
 *                     (default 1 for socket backends, 0 for shm)
 *   FAKE_EFA_DELIVERY 1 (default): endpoints get FI_DELIVERY_COMPLETE as
 *                     default op flag, as an EFA RDMA write completion means
 *                     'acknowledged by the far NIC'; 0: backend default
 *                     (tcp then completes when the bytes are in the kernel)
 *   FAKE_EFA_GBPS     link speed reported in nic->link_attr (default 100)
 *   FAKE_EFA_TXSIZE   override tx_attr->size (0 = what the backend says)
 *   FAKE_EFA_HMEM     0: no NIC reaches memory of GPUs; else they do if the
 *                     process has the fake libcuda (Tests/FakeCuda) loaded
 *   FAKE_EFA_DEBUG    1: trace on stderr
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_ext.h>
#include <rdma/fi_rma.h>
#include <rdma/providers/fi_prov.h>

#define container(p, T, m) ((T *)((char *)(p) - offsetof(T, m)))
#define EFA_MR_REQUIRED \
	(FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY)
#define EFA_MR_OPTIONAL (FI_MR_HMEM)
#define LIES_CAPS (FI_HMEM)	/* asked from efa, unknown to the backends */

static int debug;
#define DBG(...) do { if (debug) { fprintf(stderr, "[fakeefa] " __VA_ARGS__); \
	fputc('\n', stderr); } } while (0)

static struct {
	int inited, nics, addr32;
	char backend[64];
	int delivery;
	size_t txsize, gbps;
	char *prov_name, *fabric_name, *domain_name;	/* the real names */
	uint32_t addr_format, prov_version;
} cfg;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside;

static int is_shm(void) { return !strncmp(cfg.backend, "shm", 3); }
static int is_rxm(void) { return strstr(cfg.backend, "rxm") != NULL; }

static void load_cfg(void)
{
	const char *s;

	if (cfg.inited)
		return;
	s = getenv("FAKE_EFA_DEBUG");
	debug = s && atoi(s);
	s = getenv("FAKE_EFA_NICS");
	cfg.nics = s && atoi(s) > 0 ? atoi(s) : 2;
	s = getenv("FAKE_EFA_BACKEND");
	snprintf(cfg.backend, sizeof cfg.backend, "%s",
		 s && *s ? s : "tcp;ofi_rxm");
	s = getenv("FAKE_EFA_ADDR32");
	cfg.addr32 = s && *s ? atoi(s) : !is_shm();
	s = getenv("FAKE_EFA_TXSIZE");
	cfg.txsize = s && *s ? strtoul(s, NULL, 0) : 0;
	s = getenv("FAKE_EFA_DELIVERY");
	cfg.delivery = s && *s ? atoi(s) : 1;
	s = getenv("FAKE_EFA_GBPS");
	cfg.gbps = s && *s ? strtoul(s, NULL, 0) : 100;
	cfg.inited = 1;
}

static int nic_index(const char *domain)
{
	int i;
	char tail[16];

	if (!domain || sscanf(domain, "rdmap%ds0-%15s", &i, tail) != 2 ||
	    strcmp(tail, "rdm") || i < 0 || i >= cfg.nics)
		return -1;
	return i;
}

static void setstr(char **p, const char *s)
{
	free(*p);
	*p = s ? strdup(s) : NULL;
}

static void set_src(struct fi_info *info, int nic)
{
	struct sockaddr_in *sin;

	if (is_shm())
		return;		/* keeps its own fi_shm://pid name */
	free(info->src_addr);
	info->src_addr = NULL;
	info->src_addrlen = 0;
	sin = calloc(1, sizeof *sin);
	if (!sin)
		return;
	sin->sin_family = AF_INET;
	/* one loopback address per simulated NIC: 127.0.0.1, 127.0.0.2, ... */
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK + nic);
	info->src_addr = sin;
	info->src_addrlen = sizeof *sin;
	info->addr_format = FI_SOCKADDR_IN;
}

/* ---- 32 byte efa_ep_addr look-alike <-> sockaddr_in ---- */
struct fake_addr {
	uint8_t gid[16];	/* fe80::fa6e:efa0:<ipv4> */
	uint16_t qpn;		/* tcp port */
	uint16_t pad;
	uint32_t qkey;
	uint64_t next;
};

static void pack(const struct sockaddr_in *sin, struct fake_addr *a)
{
	memset(a, 0, sizeof *a);
	a->gid[0] = 0xfe; a->gid[1] = 0x80;
	a->gid[8] = 0xfa; a->gid[9] = 0x6e; a->gid[10] = 0xef; a->gid[11] = 0xa0;
	memcpy(&a->gid[12], &sin->sin_addr, 4);
	a->qpn = ntohs(sin->sin_port);
	a->qkey = 0x5a000000u | a->qpn;
}

static int unpack(const struct fake_addr *a, struct sockaddr_in *sin)
{
	if (a->gid[0] != 0xfe || a->gid[8] != 0xfa || a->gid[9] != 0x6e ||
	    a->gid[10] != 0xef || a->gid[11] != 0xa0)
		return -FI_EINVAL;
	memset(sin, 0, sizeof *sin);
	sin->sin_family = AF_INET;
	memcpy(&sin->sin_addr, &a->gid[12], 4);
	sin->sin_port = htons(a->qpn);
	return 0;
}

/*
 * ---- table copies ----
 * An object's op table is shared and constant: what is replaced is replaced in
 * a copy, which remembers the original in front of it.  The copies live as
 * long as the process; an object has a few hundred bytes of them.
 */
#define DUP_OPS(T, src) ({ \
	size_t n_ = (src)->size > sizeof(T) ? (src)->size : sizeof(T); \
	char *p_ = calloc(1, sizeof(void *) * 2 + n_ + 16); \
	*(const void **)p_ = (src); \
	T *t_ = (T *)(p_ + 16); \
	memcpy(t_, (src), (src)->size < n_ ? (src)->size : n_); t_; })
#define ORIG(T, ops) (*(T **)((char *)(ops) - 16))

/* ---- un-rename ---- */
static struct fi_info *to_real(const struct fi_info *fake)
{
	int nic = nic_index(fake->domain_attr ? fake->domain_attr->name : NULL);
	struct fi_info *r;

	if (nic < 0)
		return NULL;		/* not one of ours */
	r = fi_dupinfo(fake);
	if (!r)
		return NULL;
	setstr(&r->fabric_attr->prov_name, cfg.prov_name);
	setstr(&r->fabric_attr->name, cfg.fabric_name);
	r->fabric_attr->prov_version = cfg.prov_version;
	setstr(&r->domain_attr->name, cfg.domain_name);
	r->ep_attr->protocol = FI_PROTO_UNSPEC;
	r->addr_format = cfg.addr_format;
	set_src(r, nic);
	free(r->dest_addr);
	r->dest_addr = NULL;
	r->dest_addrlen = 0;
	r->caps &= ~LIES_CAPS;
	r->tx_attr->caps &= ~LIES_CAPS;
	r->rx_attr->caps &= ~LIES_CAPS;
	r->domain_attr->caps &= ~LIES_CAPS;
	/* xnet with FI_THREAD_COMPLETION faults in fi_enable (uninitialised
	 * progress of the multiplexed sub-domain); SAFE is a superset */
	if (r->domain_attr->threading == FI_THREAD_COMPLETION)
		r->domain_attr->threading = FI_THREAD_SAFE;
	if (cfg.delivery)
		r->tx_attr->op_flags |= FI_DELIVERY_COMPLETE;
	/*
	 * What makes remote addresses virtual and keys provider-chosen:
	 * rxm hands its mr_mode to the MSG provider as hints, and xnet only
	 * switches its MR map away from offset addressing for OFI_MR_BASIC;
	 * the others take the bits literally.
	 */
	r->domain_attr->mr_mode = is_rxm() ? 1 /* OFI_MR_BASIC */ :
		(FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY);
	return r;
}

/*
 * ---- memory of GPUs ----
 * The backend reaches memory by the processor, which may not touch the fake
 * libcuda's device memory: it is opened while the backend is at work, and
 * closed again when it returns to its caller.
 */
static struct {
	int (*pointer_attribute)(void *value, int attribute, uint64_t address);
	int (*current_context)(void **context);
	int (*map)(uint64_t address, size_t length, int device);
	void (*begin)(void);
	void (*end)(void);
} cuda;

static int has_cuda(void)
{
	const char *s = getenv("FAKE_EFA_HMEM");
	void *h;

	if (cuda.end)
		return 1;
	if (s && !atoi(s))
		return 0;
	h = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	if (!h)
		return 0;
	*(void **)&cuda.pointer_attribute = dlsym(h, "cuPointerGetAttribute");
	*(void **)&cuda.current_context = dlsym(h, "cuCtxGetCurrent");
	*(void **)&cuda.map = dlsym(h, "fakecuda_nic_map");
	*(void **)&cuda.begin = dlsym(h, "fakecuda_nic_begin");
	*(void **)&cuda.end = dlsym(h, "fakecuda_nic_end");
	return cuda.end != NULL;
}

static int mr_reg(struct fid *fid, const void *buf, size_t len, uint64_t access,
		  uint64_t offset, uint64_t key, uint64_t flags,
		  struct fid_mr **mr, void *context)
{
	struct fid_domain *dom = container(fid, struct fid_domain, fid);
	unsigned type = 0;

	if (!cuda.pointer_attribute(&type, 2, (uintptr_t)buf) && type == 2)
		return -FI_EFAULT;	/* what pinning it as host memory comes to */
	return ORIG(struct fi_ops_mr, dom->mr)->reg(fid, buf, len, access, offset,
						    key, flags, mr, context);
}

static int mr_regattr(struct fid *fid, const struct fi_mr_attr *attr,
		      uint64_t flags, struct fid_mr **mr)
{
	struct fid_domain *dom = container(fid, struct fid_domain, fid);
	const struct iovec *iov = attr->mr_iov;
	void *context = NULL;

	if (attr->iov_count != 1)
		return -FI_EINVAL;
	DBG("regattr iface %d device %d", attr->iface, attr->device.cuda);
	if (attr->iface != FI_HMEM_CUDA)
		return mr_reg(fid, iov->iov_base, iov->iov_len, attr->access, 0,
			      attr->requested_key, flags, mr, attr->context);
	if (cuda.current_context(&context) || !context)
		return -FI_EINVAL;	/* as the real one fails without */
	if (cuda.map((uintptr_t)iov->iov_base, iov->iov_len, attr->device.cuda))
		return -FI_EFAULT;
	return ORIG(struct fi_ops_mr, dom->mr)->reg(
		fid, iov->iov_base, iov->iov_len, attr->access, 0,
		attr->requested_key, flags, mr, attr->context);
}

static ssize_t hmem_cq_read(struct fid_cq *cq, void *buf, size_t count)
{
	ssize_t ret;

	cuda.begin();
	ret = ORIG(struct fi_ops_cq, cq->ops)->read(cq, buf, count);
	cuda.end();
	return ret;
}

static ssize_t hmem_read(struct fid_ep *ep, void *buf, size_t len, void *desc,
			 fi_addr_t src, uint64_t addr, uint64_t key, void *context)
{
	ssize_t ret;

	cuda.begin();
	ret = ORIG(struct fi_ops_rma, ep->rma)->read(ep, buf, len, desc, src, addr,
						     key, context);
	cuda.end();
	return ret;
}

static ssize_t hmem_write(struct fid_ep *ep, const void *buf, size_t len,
			  void *desc, fi_addr_t dst, uint64_t addr, uint64_t key,
			  void *context)
{
	ssize_t ret;

	cuda.begin();
	ret = ORIG(struct fi_ops_rma, ep->rma)->write(ep, buf, len, desc, dst, addr,
						      key, context);
	cuda.end();
	return ret;
}

static int hmem_cq_open(struct fid_domain *dom, struct fi_cq_attr *attr,
			struct fid_cq **cq, void *context)
{
	int ret = ORIG(struct fi_ops_domain, dom->ops)->cq_open(dom, attr, cq,
								context);

	if (!ret) {
		struct fi_ops_cq *o = DUP_OPS(struct fi_ops_cq, (*cq)->ops);
		o->read = hmem_cq_read;
		(*cq)->ops = o;
	}
	return ret;
}

/* ---- endpoint ---- */
static int ep_getname(fid_t fid, void *addr, size_t *addrlen)
{
	struct fid_ep *ep = container(fid, struct fid_ep, fid);
	struct sockaddr_in sin;
	struct fake_addr fa;
	size_t len = sizeof sin, have = *addrlen;
	int ret = ORIG(struct fi_ops_cm, ep->cm)->getname(fid, &sin, &len);

	if (ret)
		return ret;
	pack(&sin, &fa);
	*addrlen = sizeof fa;
	memcpy(addr, &fa, have < sizeof fa ? have : sizeof fa);
	return have < sizeof fa ? -FI_ETOOSMALL : 0;
}

static int ep_setopt(fid_t fid, int level, int optname, const void *v, size_t n)
{
	struct fid_ep *ep = container(fid, struct fid_ep, fid);

	if (level == FI_OPT_ENDPOINT && optname < 0 &&
	    optname >= -FI_PROV_SPECIFIC_EFA &&
	    optname < -FI_PROV_SPECIFIC_EFA + 64)
		return 0;	/* FI_OPT_EFA_*: accepted, no effect */
	return ORIG(struct fi_ops_ep, ep->ops)->setopt(fid, level, optname, v, n);
}

static void wrap_ep(struct fid_ep *ep)
{
	struct fi_ops_ep *o = DUP_OPS(struct fi_ops_ep, ep->ops);

	o->setopt = ep_setopt;
	ep->ops = o;
	if (cfg.addr32 && ep->cm) {
		struct fi_ops_cm *c = DUP_OPS(struct fi_ops_cm, ep->cm);
		c->getname = ep_getname;
		ep->cm = c;
	}
}

/* ---- address vector ---- */
static int av_insert(struct fid_av *av, const void *addr, size_t count,
		     fi_addr_t *fi_addr, uint64_t flags, void *context)
{
	const struct fake_addr *fa = addr;
	struct sockaddr_in one, *sin = &one;
	size_t i;
	int ret;

	if (count > 1) {
		sin = calloc(count, sizeof *sin);
		if (!sin)
			return -FI_ENOMEM;
	}
	for (i = 0; i < count; i++) {
		if (unpack(&fa[i], &sin[i])) {
			ret = -FI_EINVAL;
			goto out;
		}
	}
	ret = ORIG(struct fi_ops_av, av->ops)->insert(av, sin, count, fi_addr,
						      flags, context);
out:
	if (sin != &one)
		free(sin);
	return ret;
}

static int av_lookup(struct fid_av *av, fi_addr_t fi_addr, void *addr,
		     size_t *addrlen)
{
	struct sockaddr_in sin;
	struct fake_addr fa;
	size_t len = sizeof sin, have = *addrlen;
	int ret = ORIG(struct fi_ops_av, av->ops)->lookup(av, fi_addr, &sin, &len);

	if (ret)
		return ret;
	pack(&sin, &fa);
	memcpy(addr, &fa, have < sizeof fa ? have : sizeof fa);
	*addrlen = sizeof fa;
	return 0;
}

static const char *av_straddr(struct fid_av *av, const void *addr, char *buf,
			      size_t *len)
{
	const struct fake_addr *fa = addr;
	char g[INET6_ADDRSTRLEN];
	int n;

	(void)av;
	inet_ntop(AF_INET6, fa->gid, g, sizeof g);
	n = snprintf(buf, *len, "fi_addr_efa://[%s]:%u:%u", g, fa->qpn, fa->qkey);
	*len = n + 1;
	return buf;
}

/* ---- domain ---- */
static int dom_endpoint(struct fid_domain *dom, struct fi_info *info,
			struct fid_ep **ep, void *context)
{
	struct fi_info *r = to_real(info);
	int ret = ORIG(struct fi_ops_domain, dom->ops)->endpoint(
		dom, r ? r : info, ep, context);

	DBG("endpoint %s -> %d", info->domain_attr->name, ret);
	if (!ret && r)
		wrap_ep(*ep);
	if (!ret && r && info->caps & FI_HMEM) {
		struct fi_ops_rma *o = DUP_OPS(struct fi_ops_rma, (*ep)->rma);
		o->read = hmem_read;
		o->write = hmem_write;
		(*ep)->rma = o;
	}
	fi_freeinfo(r);
	return ret;
}

static int dom_endpoint2(struct fid_domain *dom, struct fi_info *info,
			 struct fid_ep **ep, uint64_t flags, void *context)
{
	if (flags)
		return -FI_ENOSYS;
	return dom_endpoint(dom, info, ep, context);
}

static int dom_av_open(struct fid_domain *dom, struct fi_av_attr *attr,
		       struct fid_av **av, void *context)
{
	struct fi_av_attr a = *attr;
	int ret;

	if (is_shm() && a.count > 256)
		a.count = 256;	/* SMR_MAX_PEERS */
	ret = ORIG(struct fi_ops_domain, dom->ops)->av_open(dom, &a, av, context);
	attr->type = a.type;
	if (!ret && cfg.addr32) {
		struct fi_ops_av *o = DUP_OPS(struct fi_ops_av, (*av)->ops);
		o->insert = av_insert;
		o->lookup = av_lookup;
		o->straddr = av_straddr;
		(*av)->ops = o;
	}
	return ret;
}

/* ---- fabric ---- */
static int fab_domain(struct fid_fabric *fab, struct fi_info *info,
		      struct fid_domain **dom, void *context)
{
	struct fi_info *r = to_real(info);
	int ret = ORIG(struct fi_ops_fabric, fab->ops)->domain(
		fab, r ? r : info, dom, context);

	DBG("domain %s -> %d", info->domain_attr->name, ret);
	if (!ret && r) {
		struct fi_ops_domain *o = DUP_OPS(struct fi_ops_domain, (*dom)->ops);
		o->endpoint = dom_endpoint;
		o->endpoint2 = dom_endpoint2;
		o->size = sizeof *o > o->size ? sizeof *o : o->size;
		o->av_open = dom_av_open;
		if (info->caps & FI_HMEM) {
			struct fi_ops_mr *m = DUP_OPS(struct fi_ops_mr, (*dom)->mr);
			m->reg = mr_reg;
			m->regattr = mr_regattr;
			(*dom)->mr = m;
			o->cq_open = hmem_cq_open;
		}
		(*dom)->ops = o;
	}
	fi_freeinfo(r);
	return ret;
}

static int fab_domain2(struct fid_fabric *fab, struct fi_info *info,
		       struct fid_domain **dom, uint64_t flags, void *context)
{
	if (flags)
		return -FI_ENOSYS;
	return fab_domain(fab, info, dom, context);
}

/* Whoever asks whether it may wait lets the provider work as well. */
static int fab_trywait(struct fid_fabric *fab, struct fid **fids, int count)
{
	int ret;

	if (cuda.begin)
		cuda.begin();
	ret = ORIG(struct fi_ops_fabric, fab->ops)->trywait(fab, fids, count);
	if (cuda.end)
		cuda.end();
	return ret;
}

static int fake_fabric(struct fi_fabric_attr *attr, struct fid_fabric **fab,
		       void *context)
{
	struct fi_fabric_attr real = *attr;
	int ret;

	if (!cfg.prov_name || !attr->name || strcmp(attr->name, "efa"))
		return -FI_ENODATA;
	real.prov_name = cfg.prov_name;
	real.name = cfg.fabric_name;
	real.prov_version = cfg.prov_version;
	ret = fi_fabric(&real, fab, context);
	DBG("fabric %s/%s -> %d", real.prov_name, real.name, ret);
	if (!ret) {
		struct fi_ops_fabric *o = DUP_OPS(struct fi_ops_fabric, (*fab)->ops);
		o->domain = fab_domain;
		o->domain2 = fab_domain2;
		o->trywait = fab_trywait;
		o->size = sizeof *o > o->size ? sizeof *o : o->size;
		(*fab)->ops = o;
	}
	return ret;
}

/* ---- getinfo ---- */
static int nic_close(struct fid *fid)
{
	struct fid_nic *nic = container(fid, struct fid_nic, fid);

	if (nic->device_attr) {
		free(nic->device_attr->name);
		free(nic->device_attr->device_id);
		free(nic->device_attr->vendor_id);
		free(nic->device_attr->driver);
		free(nic->device_attr);
	}
	free(nic->bus_attr);
	if (nic->link_attr) {
		free(nic->link_attr->address);
		free(nic->link_attr->network_type);
		free(nic->link_attr);
	}
	free(nic);
	return 0;
}

static struct fid_nic *make_nic(int i);
static int nic_control(struct fid *fid, int command, void *arg)
{
	struct fid_nic *nic = container(fid, struct fid_nic, fid), **dup = arg;
	int i = 0;

	if (command != FI_DUP)
		return -FI_ENOSYS;
	sscanf(nic->device_attr->name, "rdmap%ds0", &i);
	*dup = make_nic(i);
	return *dup ? 0 : -FI_ENOMEM;
}

static struct fi_ops nic_ops = {
	.size = sizeof(struct fi_ops),
	.close = nic_close,
	.control = nic_control,
};

static struct fid_nic *make_nic(int i)
{
	struct fid_nic *nic = calloc(1, sizeof *nic);
	char s[64];

	nic->fid.fclass = FI_CLASS_NIC;
	nic->fid.ops = &nic_ops;
	nic->device_attr = calloc(1, sizeof *nic->device_attr);
	snprintf(s, sizeof s, "rdmap%ds0", i);
	nic->device_attr->name = strdup(s);
	nic->device_attr->device_id = strdup("0xefa2");
	nic->device_attr->vendor_id = strdup("0x1d0f");
	nic->device_attr->driver = strdup("efa");
	nic->bus_attr = calloc(1, sizeof *nic->bus_attr);
	nic->bus_attr->bus_type = FI_BUS_PCI;
	nic->bus_attr->attr.pci.domain_id = 0;
	nic->bus_attr->attr.pci.bus_id = 0x10 + i;
	nic->bus_attr->attr.pci.device_id = 0;
	nic->link_attr = calloc(1, sizeof *nic->link_attr);
	nic->link_attr->mtu = 8928;
	nic->link_attr->speed = cfg.gbps * 1000000000ULL;
	nic->link_attr->state = FI_LINK_UP;
	nic->link_attr->network_type = strdup("Ethernet");
	return nic;
}

static int real_getinfo(uint32_t version, const struct fi_info *hints,
			struct fi_info **out)
{
	struct fi_info *h = hints ? fi_dupinfo(hints) : fi_allocinfo();
	int ret;

	setstr(&h->fabric_attr->prov_name, cfg.backend);
	setstr(&h->fabric_attr->name, NULL);
	setstr(&h->domain_attr->name, NULL);
	h->caps &= ~LIES_CAPS;
	if (h->tx_attr)
		h->tx_attr->caps &= ~LIES_CAPS;
	if (h->rx_attr)
		h->rx_attr->caps &= ~LIES_CAPS;
	h->domain_attr->caps &= ~LIES_CAPS;
	h->ep_attr->type = FI_EP_RDM;
	h->ep_attr->protocol = FI_PROTO_UNSPEC;
	h->addr_format = FI_FORMAT_UNSPEC;
	free(h->dest_addr);
	h->dest_addr = NULL;
	h->dest_addrlen = 0;
	h->domain_attr->mr_mode = EFA_MR_REQUIRED | FI_MR_ENDPOINT | FI_MR_RAW;
	h->domain_attr->mr_key_size = 0;
	/* not ~0: that would also switch on rxm's FI_BUFFERED_RECV */
	h->mode |= FI_CONTEXT | FI_CONTEXT2;
	if (h->nic) {
		fi_close(&h->nic->fid);
		h->nic = NULL;
	}
	set_src(h, 0);
	ret = fi_getinfo(version, NULL, NULL, 0, h, out);
	fi_freeinfo(h);
	return ret;
}

static int fake_getinfo(uint32_t version, const char *node, const char *service,
			uint64_t flags, const struct fi_info *hints,
			struct fi_info **info)
{
	struct fi_info *real = NULL, *tail = NULL, *c;
	const char *want = NULL;
	uint64_t mm = 0;
	int i, ret;
	char name[64];

	(void)node; (void)service; (void)flags;
	if (inside)
		return -FI_ENODATA;
	pthread_mutex_lock(&lock);
	load_cfg();
	if (hints) {
		if (hints->ep_attr && hints->ep_attr->type != FI_EP_UNSPEC &&
		    hints->ep_attr->type != FI_EP_RDM)
			goto nodata;
		if (hints->fabric_attr && hints->fabric_attr->name &&
		    strcasecmp(hints->fabric_attr->name, "efa"))
			goto nodata;
		if (hints->domain_attr && hints->domain_attr->name) {
			want = hints->domain_attr->name;
			if (nic_index(want) < 0)
				goto nodata;
		}
		if (hints->caps & FI_HMEM && !has_cuda())
			goto nodata;
		if (hints->domain_attr)
			mm = hints->domain_attr->mr_mode;
		/* the real provider insists on these */
		if (mm && !(mm & 3) && (mm & EFA_MR_REQUIRED) != EFA_MR_REQUIRED) {
			DBG("mr_mode 0x%lx lacks bits efa requires", (long)mm);
			goto nodata;
		}
		if (hints->addr_format != FI_FORMAT_UNSPEC &&
		    hints->addr_format != FI_ADDR_EFA)
			goto nodata;
	}
	inside = 1;
	ret = real_getinfo(version, hints, &real);
	inside = 0;
	if (ret || !real) {
		DBG("backend %s: fi_getinfo %d (%s)", cfg.backend, ret,
		    fi_strerror(-ret));
		pthread_mutex_unlock(&lock);
		return ret ? ret : -FI_ENODATA;
	}
	setstr(&cfg.prov_name, real->fabric_attr->prov_name);
	setstr(&cfg.fabric_name, real->fabric_attr->name);
	setstr(&cfg.domain_name, real->domain_attr->name);
	cfg.addr_format = real->addr_format;
	cfg.prov_version = real->fabric_attr->prov_version;

	*info = NULL;
	for (i = 0; i < cfg.nics; i++) {
		snprintf(name, sizeof name, "rdmap%ds0-rdm", i);
		if (want && strcasecmp(want, name))
			continue;
		c = fi_dupinfo(real);
		c->next = NULL;
		setstr(&c->fabric_attr->prov_name, NULL); /* core fills "efa" */
		setstr(&c->fabric_attr->name, "efa");
		setstr(&c->domain_attr->name, name);
		c->domain_attr->mr_mode = EFA_MR_REQUIRED |
			(mm & EFA_MR_OPTIONAL);
		c->domain_attr->mr_key_size = 4;
		c->ep_attr->protocol = FI_PROTO_EFA;
		if (hints && hints->domain_attr &&
		    hints->domain_attr->threading != FI_THREAD_UNSPEC)
			c->domain_attr->threading = hints->domain_attr->threading;
		if (hints) {
			c->caps |= hints->caps & LIES_CAPS;
			c->tx_attr->caps |= hints->caps & LIES_CAPS;
			c->rx_attr->caps |= hints->caps & LIES_CAPS;
		} else {
			c->caps |= LIES_CAPS;
		}
		if (cfg.txsize)
			c->tx_attr->size = cfg.txsize;
		set_src(c, i);
		if (cfg.addr32 && c->src_addr) {
			struct fake_addr *fa = calloc(1, sizeof *fa);
			pack(c->src_addr, fa);
			free(c->src_addr);
			c->src_addr = fa;
			c->src_addrlen = sizeof *fa;
			c->addr_format = FI_ADDR_EFA;
		}
		if (c->nic)
			fi_close(&c->nic->fid);
		c->nic = make_nic(i);
		if (tail)
			tail->next = c;
		else
			*info = c;
		tail = c;
	}
	fi_freeinfo(real);
	pthread_mutex_unlock(&lock);
	return *info ? 0 : -FI_ENODATA;
nodata:
	pthread_mutex_unlock(&lock);
	return -FI_ENODATA;
}

static void fake_cleanup(void) { }

static struct fi_provider fake_prov = {
	.version = FI_VERSION(9999, 0),	/* beat a built-in efa provider */
	.fi_version = FI_VERSION(FI_MAJOR_VERSION, FI_MINOR_VERSION),
	.name = "efa",
	.getinfo = fake_getinfo,
	.fabric = fake_fabric,
	.cleanup = fake_cleanup,
};

__attribute__((visibility("default"))) struct fi_provider *fi_prov_ini(void)
{
	load_cfg();
	/* A real NIC has no connections: the backend's 10 ms between two looks at its own, and the 8 ms in which it clears
	 * buffers for messages at each one, would be seen as the NIC's. */
	setenv("FI_OFI_RXM_CM_PROGRESS_INTERVAL", "200", 0);
	if (!getenv("FI_OFI_RXM_BUFFER_SIZE") && !getenv("FI_OFI_RXM_EAGER_LIMIT")) {
		setenv("FI_OFI_RXM_BUFFER_SIZE", "256", 0);
		setenv("FI_OFI_RXM_EAGER_LIMIT", "16384", 0);
	}
	DBG("loaded: %d nics over %s, addr32=%d", cfg.nics, cfg.backend, cfg.addr32);
	return &fake_prov;
}
