/*
 * A plain loop over libfabric: what the provider gives a program that does
 * nothing but post and poll.  Nothing is split, retried on another NIC,
 * verified or shared between threads; an error ends the program.
 *
 *   fabric_loop target PROVIDER BYTES
 *       registers BYTES with every NIC, prints where they are, and stays
 *   fabric_loop write|read PROVIDER WHERE BLOCK PLACES WINDOW SECONDS [batches]
 *       keeps WINDOW operations of BLOCK bytes in flight, dealt over the NICs,
 *       to PLACES places one after the other; prints one JSON object.
 *       WHERE is what the target printed.  With "batches" the next WINDOW
 *       operations are posted when the last of these has ended, as a caller
 *       does who waits for batches.  With a WINDOW of 1 the percentiles of an
 *       operation's time are in the result.
 *
 * Like Moonrail it has one domain, endpoint, address vector and completion
 * queue per NIC, and one thread (FI_THREAD_DOMAIN).
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

#define MOST_NICS 64
#define MOST_NAME 256
#define MOST_TIMES (1 << 20)
#define HUGE_PAGE (2u << 20)
#define ENTRIES 64
/* Passes that find nothing before the processor is offered to others: where
 * there are fewer cores than pollers, the peer may be waiting for it. */
#define PATIENCE 256
#define ACCESS (FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE)

struct nic {
	struct fi_info *info;
	struct fid_fabric *fabric;
	struct fid_domain *domain;
	struct fid_av *av;
	struct fid_cq *cq;
	struct fid_ep *ep;
	struct fid_mr *mr;
	fi_addr_t peer;
	uint64_t key;
	size_t credits;
};

static struct nic nics[MOST_NICS];
static int nic_count;
static char *memory;
static size_t memory_size;

static void fail(const char *call, long code)
{
	fprintf(stderr, "fabric_loop: %s: %ld %s\n", call, code,
		code < 0 ? fi_strerror((int)-code) : "");
	exit(1);
}

#define CALL(name, expression) do { \
	long code_ = (expression); \
	if (code_) \
		fail(name, code_); \
} while (0)

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void open_nic(struct nic *nic, struct fi_info *info)
{
	struct fi_av_attr av = { .type = FI_AV_TABLE };
	struct fi_cq_attr cq = { .format = FI_CQ_FORMAT_CONTEXT,
				 .wait_obj = FI_WAIT_NONE, .size = 4096 };

	nic->info = info;
	CALL("fi_fabric", fi_fabric(info->fabric_attr, &nic->fabric, NULL));
	CALL("fi_domain", fi_domain(nic->fabric, info, &nic->domain, NULL));
	CALL("fi_av_open", fi_av_open(nic->domain, &av, &nic->av, NULL));
	CALL("fi_cq_open", fi_cq_open(nic->domain, &cq, &nic->cq, NULL));
	CALL("fi_endpoint", fi_endpoint(nic->domain, info, &nic->ep, NULL));
	CALL("fi_ep_bind", fi_ep_bind(nic->ep, &nic->av->fid, 0));
	CALL("fi_ep_bind", fi_ep_bind(nic->ep, &nic->cq->fid,
				      FI_TRANSMIT | FI_RECV));
	CALL("fi_enable", fi_enable(nic->ep));
	CALL("fi_mr_reg", fi_mr_reg(nic->domain, memory, memory_size, ACCESS, 0,
				    0, 0, &nic->mr, NULL));
	nic->credits = info->tx_attr->size;
}

static void open_all(const char *provider, size_t bytes)
{
	struct fi_info *hints = fi_allocinfo(), *list, *info;

	memory_size = bytes;
	memory = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || !hints)
		fail("memory", 0);
	memory += HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE;
	/* As Moonrail asks for. */
	madvise(memory, bytes, MADV_HUGEPAGE);
	memset(memory, 0xcc, bytes);
	hints->caps = FI_MSG | FI_RMA | ACCESS;
	hints->mode = FI_CONTEXT | FI_CONTEXT2;
	hints->ep_attr->type = FI_EP_RDM;
	hints->fabric_attr->prov_name = strdup(provider);
	hints->domain_attr->threading = FI_THREAD_DOMAIN;
	hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR |
				      FI_MR_ALLOCATED | FI_MR_PROV_KEY;
	CALL("fi_getinfo", fi_getinfo(FI_VERSION(1, 17), NULL, NULL, 0, hints,
				      &list));
	for (info = list; info && nic_count < MOST_NICS; info = info->next)
		open_nic(&nics[nic_count++], info);
	fi_freeinfo(hints);
}

/* How many operations have ended on this NIC since the last time. */
static long poll_nic(struct nic *nic, struct fi_cq_entry *entries)
{
	struct fi_cq_err_entry error = { 0 };
	ssize_t got = fi_cq_read(nic->cq, entries, ENTRIES);

	if (got >= 0)
		return got;
	if (got != -FI_EAGAIN) {
		fi_cq_readerr(nic->cq, &error, 0);
		fail("fi_cq_read", -(long)error.err);
	}
	return 0;
}

static void rest_unless(long got)
{
	static int idle;

	idle = got ? 0 : idle + 1;
	if (idle % PATIENCE == PATIENCE - 1)
		sched_yield();
}

static void serve(void)
{
	struct fi_cq_entry entries[ENTRIES];
	char name[MOST_NAME];
	int i;

	printf("listening on %llx", (unsigned long long)(uintptr_t)memory);
	for (i = 0; i < nic_count; i++) {
		size_t length = sizeof name, k;

		CALL("fi_getname", fi_getname(&nics[i].ep->fid, name, &length));
		printf(",%llx:", (unsigned long long)fi_mr_key(nics[i].mr));
		for (k = 0; k < length; k++)
			printf("%02x", (unsigned char)name[k]);
	}
	printf(" \n");
	fflush(stdout);
	for (;;) {
		long got = 0;

		for (i = 0; i < nic_count; i++)
			got += poll_nic(&nics[i], entries);
		rest_unless(got);
	}
}

/* Reads what a target has printed; returns the address of its memory. */
static uint64_t meet(const char *where)
{
	char *rest, name[MOST_NAME];
	uint64_t address = strtoull(where, &rest, 16);
	int i;

	for (i = 0; i < nic_count && *rest == ','; i++) {
		size_t length = 0;
		unsigned byte;

		nics[i].key = strtoull(rest + 1, &rest, 16);
		for (rest++; length < sizeof name &&
			     sscanf(rest, "%2x", &byte) == 1; rest += 2)
			name[length++] = (char)byte;
		if (fi_av_insert(nics[i].av, name, 1, &nics[i].peer, 0, NULL) != 1)
			fail("fi_av_insert", 0);
	}
	if (i < nic_count)
		fail("the target has fewer NICs", i);
	return address;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct load {
	int reads, in_batches;
	size_t block, places, window;
	uint64_t remote;
};

static ssize_t post(struct nic *nic, const struct load *load, size_t place,
		    struct fi_context2 *context)
{
	size_t offset = place * load->block;
	void *local = memory + offset, *desc = fi_mr_desc(nic->mr);

	if (load->reads)
		return fi_read(nic->ep, local, load->block, desc, nic->peer,
			       load->remote + offset, nic->key, context);
	return fi_write(nic->ep, local, load->block, desc, nic->peer,
			load->remote + offset, nic->key, context);
}

/* Until `end`, or until every NIC was used once where `end` is 0. */
static size_t run(const struct load *load, uint64_t end, uint64_t *times,
		  size_t *time_count)
{
	/* One for each place in the window; libfabric's until it has ended. */
	struct fi_context2 *contexts = calloc(load->window, sizeof *contexts);
	struct fi_context2 **unused = calloc(load->window, sizeof *unused);
	struct fi_cq_entry entries[ENTRIES];
	size_t in_flight = 0, place = 0, turn = 0, done = 0, posted = 0, i;
	uint64_t begin = 0;
	long all;
	int going = 1, filling = 1;

	if (!contexts || !unused)
		fail("memory", 0);
	for (i = 0; i < load->window; i++)
		unused[i] = &contexts[i];
	while (going || in_flight) {
		if (!in_flight || !load->in_batches)
			filling = 1;
		while (going && filling && in_flight < load->window) {
			struct nic *nic = &nics[turn];
			struct fi_context2 *context;
			ssize_t result;

			if (!nic->credits)
				break;
			if (times)
				begin = now();
			context = unused[load->window - in_flight - 1];
			result = post(nic, load, place, context);
			if (result == -FI_EAGAIN)
				break;
			if (result)
				fail("post", result);
			nic->credits--;
			in_flight++;
			turn = (turn + 1) % (size_t)nic_count;
			place = (place + 1) % load->places;
			if (++posted >= (size_t)nic_count && !end)
				going = 0;
		}
		if (in_flight == load->window)
			filling = 0;
		for (i = 0, all = 0; i < (size_t)nic_count; i++) {
			long got = poll_nic(&nics[i], entries), k;

			all += got;
			nics[i].credits += (size_t)got;
			for (k = 0; k < got; k++)
				unused[load->window - in_flight--] =
					entries[k].op_context;
			done += (size_t)got;
			if (got && times && *time_count < MOST_TIMES)
				times[(*time_count)++] = now() - begin;
		}
		rest_unless(all);
		if (end && now() >= end)
			going = 0;
	}
	free(contexts);
	free(unused);
	return done;
}

int main(int argc, char **argv)
{
	static uint64_t times[MOST_TIMES];
	struct load load;
	size_t count = 0, done;
	uint64_t begin, seconds;

	if (argc == 4 && !strcmp(argv[1], "target")) {
		open_all(argv[2], strtoull(argv[3], NULL, 0));
		serve();
	}
	load.in_batches = argc == 9 && !strcmp(argv[8], "batches");
	if (argc != 8 + load.in_batches || (strcmp(argv[1], "write") && strcmp(argv[1], "read"))) {
		fprintf(stderr, "usage: fabric_loop target PROVIDER BYTES\n"
			"       fabric_loop write|read PROVIDER WHERE BLOCK "
			"PLACES WINDOW SECONDS [batches]\n");
		return 2;
	}
	load.reads = !strcmp(argv[1], "read");
	load.block = strtoull(argv[4], NULL, 0);
	load.places = strtoull(argv[5], NULL, 0);
	load.window = strtoull(argv[6], NULL, 0);
	seconds = strtoull(argv[7], NULL, 0);
	if (!load.block || !load.places || !load.window)
		return 2;
	open_all(argv[2], load.block * load.places);
	load.remote = meet(argv[3]);
	/* Connects, which is not what is measured. */
	run(&load, 0, NULL, NULL);
	begin = now();
	done = run(&load, begin + seconds * 1000000000u,
		   load.window == 1 ? times : NULL, &count);
	begin = now() - begin;
	qsort(times, count, sizeof *times, by_size);
	printf("{\"operations\": %zu, \"bytes\": %zu, \"seconds\": %.6f, "
	       "\"nics\": %d", done, done * load.block, (double)begin / 1e9,
	       nic_count);
	if (count)
		printf(", \"p50_us\": %.3f, \"p99_us\": %.3f",
		       (double)times[count / 2] / 1e3,
		       (double)times[count - 1 - count / 100] / 1e3);
	printf("}\n");
	return 0;
}
