/* One process over TCP: what every function returns, for what is right and for what is not. */
#include <pthread.h>

#include "check.h"

#define SIZE (1u << 16)

static const notify_msg_t message = {.name = "me", .msg = "h\xc3\xa4llo"};

/* Every function with a handle that is none. */
static void refuses(transfer_engine_t bad)
{
	char text[64] = "";
	int size = 7;
	size_t count = 1;
	nic_load_stat_t stat;
	transfer_status_t status = {.status = 77};
	transfer_request_t request = {0};
	buffer_entry_t entry = {text, sizeof(text)};
	void *address = text;

	EQUAL(discoverTopology(bad), -1);
	EQUAL(getLocalIpAndPort(bad, text, sizeof(text)), -1);
	CHECK(installTransport(bad, "tcp", NULL) == NULL);
	EQUAL(uninstallTransport(bad, "tcp"), -1);
	EQUAL(openSegment(bad, "127.0.0.1:1"), -1);
	EQUAL(openSegmentNoCache(bad, "127.0.0.1:1"), -1);
	EQUAL(closeSegment(bad, 0), -1);
	EQUAL(removeLocalSegment(bad, "x"), -1);
	EQUAL(warmupEfaSegment(bad, "x"), -1);
	EQUAL(syncSegmentCache(bad), -1);
	EQUAL(registerLocalMemory(bad, text, sizeof(text), "*", 1), -1);
	EQUAL(unregisterLocalMemory(bad, text), -1);
	EQUAL(registerLocalMemoryBatch(bad, &entry, 1, "*"), -1);
	EQUAL(unregisterLocalMemoryBatch(bad, &address, 1), -1);
	CHECK(allocateBatchID(bad, 1) == INVALID_BATCH);
	EQUAL(submitTransfer(bad, 1, &request, 1), 1);
	EQUAL(submitTransferWithNotify(bad, 1, &request, 1, message), 1);
	EQUAL(getTransferStatus(bad, 1, 0, &status), 1);
	EQUAL(status.status, 77);
	EQUAL(freeBatchID(bad, 1), 1);
	CHECK(getNotifsFromEngine(bad, &size) == NULL);
	EQUAL(size, 0);
	EQUAL(genNotifyInEngine(bad, 0, message), -1);
	EQUAL(getNicLoadStats(bad, &stat, &count), -1);
	EQUAL(showLinks(bad, text, sizeof(text), 1), -1);
	enableGracefulShutdown(bad);
	destroyTransferEngine(bad);
}

static void no_handles(void)
{
	int on_stack;
	void *on_heap = malloc(64);

	refuses(NULL);
	refuses(&on_stack);
	refuses(on_heap);
	refuses((void *)1);
	refuses((void *)UINTPTR_MAX);
	refuses((void *)(uintptr_t)0x6D72000000010001);
	free(on_heap);
	CHECK(createTransferEngine(NULL, "127.0.0.1", "", 0, 0) == NULL);
	CHECK(createTransferEngine("P2PHANDSHAKE", NULL, "", 0, 0) == NULL);
	CHECK(createTransferEngine("P2PHANDSHAKE", "", "", 0, 0) == NULL);
	CHECK(createTransferEngine("nonsense://x", "127.0.0.1", "", 0, 0) == NULL);
	CHECK(createTransferEngine("P2PHANDSHAKE", "\xff\xfe", "", 0, 0) == NULL);
}

/* An engine without a transport, and how it gets one. */
static void installing(unsigned char *memory)
{
	char before[64], after[64], tiny[5];
	transport_t tcp;
	void *no_arguments[1] = {NULL};
	void *topology[1] = {"{]"};
	transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1:77", NULL, UINT64_MAX, 0);

	NEED(engine);
	EQUAL(discoverTopology(engine), 0);
	EQUAL(getLocalIpAndPort(engine, before, sizeof(before)), 0);
	CHECK(strncmp(before, "127.0.0.1:", 10) == 0 && strlen(before) == 15);
	EQUAL(getLocalIpAndPort(engine, tiny, sizeof(tiny)), -1);
	CHECK(strcmp(tiny, "127.") == 0);
	EQUAL(getLocalIpAndPort(engine, NULL, 10), -1);
	EQUAL(getLocalIpAndPort(engine, tiny, 0), -1);

	EQUAL(openSegment(engine, before), -1);
	CHECK(allocateBatchID(engine, 1) == INVALID_BATCH);
	EQUAL(uninstallTransport(engine, "tcp"), -8);
	EQUAL(warmupEfaSegment(engine, before), 0);

	/* Registered before there is a transport: the same codes, and not forgotten. */
	EQUAL(registerLocalMemory(engine, memory, SIZE, "*", 1), 0);
	EQUAL(registerLocalMemory(engine, memory + SIZE - 1, SIZE, "*", 1), -7);
	EQUAL(registerLocalMemory(engine, memory + SIZE, SIZE, "*", 1), 0);
	EQUAL(registerLocalMemory(engine, memory + 2 * SIZE, 0, "*", 1), -1);
	EQUAL(unregisterLocalMemory(engine, memory + 1), -3);
	EQUAL(unregisterLocalMemory(engine, memory + SIZE), 0);

	CHECK(installTransport(engine, NULL, NULL) == NULL);
	CHECK(installTransport(engine, "bogus", NULL) == NULL);
	CHECK(installTransport(engine, "efa", topology) == NULL);
	tcp = installTransport(engine, "tcp", no_arguments);
	NEED(tcp);
	CHECK(installTransport(engine, "tcp", NULL) == tcp);
	CHECK(installTransport(engine, "efa", NULL) == NULL);
	EQUAL(uninstallTransport(engine, "tcp"), 0);
	EQUAL(uninstallTransport(engine, "efa"), -8);
	EQUAL(getLocalIpAndPort(engine, after, sizeof(after)), 0);
	CHECK(strcmp(before, after) == 0);
	EQUAL(registerLocalMemory(engine, memory, SIZE, "*", 1), -7);
	EQUAL(unregisterLocalMemory(engine, memory), 0);
	EQUAL(unregisterLocalMemory(engine, memory), -3);
	destroyTransferEngine(engine);
	refuses(engine);
}

static void memory_codes(transfer_engine_t engine, unsigned char *memory)
{
	buffer_entry_t two[2] = {{memory, SIZE}, {memory + SIZE, SIZE}};
	void *addresses[3] = {memory, memory + 1, memory + SIZE};

	EQUAL(registerLocalMemory(engine, memory, 0, "*", 1), -1);
	EQUAL(registerLocalMemory(engine, memory, SIZE_MAX, "*", 1), -1);
	EQUAL(registerLocalMemory(engine, NULL, SIZE, "*", 1), -1);
	EQUAL(registerLocalMemory(engine, memory, SIZE, NULL, 1), -1);
	EQUAL(registerLocalMemory(engine, memory, SIZE, "\xff", 1), -1);
	EQUAL(registerLocalMemory(engine, memory, SIZE, "*", 1), 0);
	EQUAL(registerLocalMemory(engine, memory, SIZE, "*", 1), -7);
	EQUAL(registerLocalMemory(engine, memory + SIZE / 2, SIZE, "*", 1), -7);
	EQUAL(unregisterLocalMemory(engine, memory + 1), -3);
	EQUAL(unregisterLocalMemory(engine, NULL), -3);
	EQUAL(unregisterLocalMemory(engine, memory), 0);

	EQUAL(registerLocalMemoryBatch(engine, two, 2, "*"), 0);
	EQUAL(registerLocalMemoryBatch(engine, two, 2, "*"), -7);
	EQUAL(registerLocalMemoryBatch(engine, NULL, 2, "*"), -1);
	EQUAL(registerLocalMemoryBatch(engine, NULL, 0, "*"), 0);
	EQUAL(registerLocalMemoryBatch(engine, two, SIZE_MAX, "*"), -2);
	EQUAL(registerLocalMemoryBatch(engine, two, 2, NULL), -1);
	EQUAL(unregisterLocalMemoryBatch(engine, addresses, 3), -3);
	EQUAL(unregisterLocalMemoryBatch(engine, addresses, 1), -3);
	EQUAL(unregisterLocalMemoryBatch(engine, NULL, 1), -1);
	EQUAL(unregisterLocalMemoryBatch(engine, NULL, 0), 0);
	EQUAL(unregisterLocalMemoryBatch(engine, addresses, SIZE_MAX), -2);
}

static void batch_codes(transfer_engine_t engine, unsigned char *memory)
{
	transfer_status_t status = {.status = 77, .transferred_bytes = 78};
	transfer_request_t requests[3];
	batch_id_t batch;
	notify_msg_t bad = {.name = NULL, .msg = "x"};

	CHECK(allocateBatchID(engine, 0) == INVALID_BATCH);
	CHECK(allocateBatchID(engine, SIZE_MAX) == INVALID_BATCH);
	CHECK(allocateBatchID(engine, SIZE_MAX / 2) == INVALID_BATCH);
	batch = allocateBatchID(engine, 2);
	NEED(batch != INVALID_BATCH);
	for (int i = 0; i < 3; i++) {
		requests[i].opcode = OPCODE_WRITE;
		requests[i].source = memory;
		requests[i].target_id = LOCAL_SEGMENT;
		requests[i].target_offset = (uint64_t)(uintptr_t)(memory + SIZE);
		requests[i].length = SIZE;
	}
	EQUAL(submitTransfer(engine, batch, NULL, 1), 1);
	EQUAL(submitTransfer(engine, batch, requests, SIZE_MAX), 2);
	EQUAL(submitTransfer(engine, batch, requests, 3), 2);
	EQUAL(submitTransfer(engine, batch, requests, 0), 0);
	EQUAL(submitTransfer(engine, batch, NULL, 0), 0);
	EQUAL(submitTransferWithNotify(engine, batch, requests, 1, bad), 1);
	EQUAL(submitTransferWithNotify(engine, batch, requests, 0, message), 1);
	requests[0].opcode = 2;
	EQUAL(submitTransfer(engine, batch, requests, 1), 1);
	requests[0].opcode = OPCODE_WRITE;
	requests[0].target_id = -1;
	EQUAL(submitTransfer(engine, batch, requests, 1), 1);
	requests[0].target_id = 4711;
	EQUAL(submitTransfer(engine, batch, requests, 1), 1);
	requests[0].target_id = LOCAL_SEGMENT;
	requests[0].length = UINT64_MAX;
	EQUAL(submitTransfer(engine, batch, requests, 1), 1);
	requests[0].length = INT64_MAX;
	EQUAL(submitTransfer(engine, batch, requests, 1), 3);
	requests[0].length = 0;
	requests[0].source = NULL;
	EQUAL(submitTransfer(engine, batch, requests, 1), 0);
	requests[0].length = 1;
	EQUAL(submitTransfer(engine, batch, requests, 1), 1);
	requests[0].source = memory + 5 * SIZE;
	EQUAL(submitTransfer(engine, batch, requests, 1), 3);

	EQUAL(getTransferStatus(engine, batch, 1, &status), 1);
	EQUAL(getTransferStatus(engine, batch, SIZE_MAX, &status), 1);
	EQUAL(getTransferStatus(engine, batch, 0, NULL), 1);
	EQUAL(getTransferStatus(engine, batch + 1, 0, &status), 1);
	EQUAL(getTransferStatus(engine, INVALID_BATCH, 0, &status), 1);
	EQUAL(getTransferStatus(engine, 0, 0, &status), 1);
	EQUAL(status.status, 77);
	EQUAL(status.transferred_bytes, 78);
	EQUAL(check_wait(engine, batch, 0, &status), 0);
	EQUAL(status.status, STATUS_COMPLETED);
	EQUAL(status.transferred_bytes, 0);

	/* To itself. */
	check_fill(memory, SIZE, 3);
	memset(memory + SIZE, 0, SIZE);
	EQUAL(submitTransferWithNotify(engine, batch, requests + 1, 1, message), 0);
	EQUAL(check_wait(engine, batch, 1, &status), 0);
	EQUAL(status.status, STATUS_COMPLETED);
	EQUAL(status.transferred_bytes, SIZE);
	CHECK(memcmp(memory, memory + SIZE, SIZE) == 0);
	EQUAL(freeBatchID(engine, batch), 0);
	EQUAL(freeBatchID(engine, batch), 1);
	EQUAL(getTransferStatus(engine, batch, 0, &status), 1);
	EQUAL(submitTransfer(engine, batch, requests + 1, 1), 1);
	EQUAL(freeBatchID(engine, INVALID_BATCH), 1);
	EQUAL(freeBatchID(engine, 0), 1);
}

static int take(transfer_engine_t engine, int wanted, notify_msg_t **messages)
{
	int size = 0;

	*messages = NULL;
	for (int i = 0; i < 100000 && size == 0; i++) {
		*messages = getNotifsFromEngine(engine, &size);
		if (size < wanted)
			check_pause();
	}
	return size;
}

static void notification_codes(transfer_engine_t engine)
{
	notify_msg_t bad = {.name = "x", .msg = "\xff"}, *arrived;
	int size;

	/* That of batch_codes. */
	EQUAL(take(engine, 1, &arrived), 1);
	NEED(arrived);
	CHECK(strcmp(arrived[0].name, message.name) == 0 && strcmp(arrived[0].msg, message.msg) == 0);
	EQUAL(freeNotifsMsgBuf(arrived, 1), 0);
	EQUAL(genNotifyInEngine(engine, LOCAL_SEGMENT, message), 0);
	EQUAL(genNotifyInEngine(engine, LOCAL_SEGMENT, bad), -1);
	EQUAL(genNotifyInEngine(engine, 4711, message), -1);
	EQUAL(genNotifyInEngine(engine, UINT64_MAX, message), -1);
	EQUAL(genNotifyInEngine(engine, LOCAL_SEGMENT, message), 0);
	arrived = getNotifsFromEngine(engine, &size);
	EQUAL(size, 2);
	NEED(arrived);
	CHECK(strcmp(arrived[1].msg, message.msg) == 0);
	EQUAL(freeNotifsMsgBuf(arrived, size), 0);
	CHECK(getNotifsFromEngine(engine, &size) == NULL);
	EQUAL(size, 0);
	CHECK(getNotifsFromEngine(engine, NULL) == NULL);
	EQUAL(freeNotifsMsgBuf(NULL, 0), 0);
	EQUAL(freeNotifsMsgBuf(NULL, -1), 0);
}

static void segment_codes(transfer_engine_t engine)
{
	char name[64];

	EQUAL(getLocalIpAndPort(engine, name, sizeof(name)), 0);
	EQUAL(openSegment(engine, name), LOCAL_SEGMENT);
	EQUAL(openSegmentNoCache(engine, name), LOCAL_SEGMENT);
	EQUAL(openSegment(engine, ""), -1);
	EQUAL(openSegment(engine, NULL), -1);
	EQUAL(openSegment(engine, "\xc0"), -1);
	EQUAL(openSegment(engine, "127.0.0.1:1"), -1);
	EQUAL(openSegmentNoCache(engine, "127.0.0.1:1"), -1);
	EQUAL(closeSegment(engine, LOCAL_SEGMENT), 0);
	EQUAL(closeSegment(engine, 4711), -1);
	EQUAL(closeSegment(engine, -1), -1);
	EQUAL(removeLocalSegment(engine, "127.0.0.1:1"), 0);
	EQUAL(removeLocalSegment(engine, NULL), -1);
	EQUAL(warmupEfaSegment(engine, "127.0.0.1:1"), 0);
	EQUAL(warmupEfaSegment(engine, NULL), -1);
	EQUAL(syncSegmentCache(engine), 0);
}

static void reports(transfer_engine_t engine)
{
	char text[4096], tiny[4];
	nic_load_stat_t stat;
	size_t count = 1;

	EQUAL(showLinks(engine, text, sizeof(text), 0), 0);
	CHECK(strstr(text, "=== Local NICs ===") && strstr(text, "=== Topology (NIC Selection) ==="));
	EQUAL(showLinks(engine, text, sizeof(text), 1), 0);
	CHECK(strstr(text, "\"local_nics\"") && strstr(text, "\"topology\""));
	EQUAL(showLinks(engine, tiny, sizeof(tiny), 1), -1);
	EQUAL(strlen(tiny), 3);
	EQUAL(showLinks(engine, NULL, 10, 1), -1);
	EQUAL(showLinks(engine, text, 0, 1), -1);
	EQUAL(getNicLoadStats(engine, &stat, &count), 0);
	EQUAL(count, 0);
	EQUAL(getNicLoadStats(engine, NULL, &count), -1);
	EQUAL(getNicLoadStats(engine, &stat, NULL), -1);
}

static void *destroy(void *engine)
{
	destroyTransferEngine(engine);
	return NULL;
}

static void *use(void *engine)
{
	char name[64];

	while (getLocalIpAndPort(engine, name, sizeof(name)) == 0)
		;
	return NULL;
}

/* Two threads destroy what two others are using; a new engine's handle is another one. */
static void destroying(void)
{
	pthread_t threads[4];
	transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "", 0, 0), next;

	NEED(engine);
	NEED(installTransport(engine, "tcp", NULL));
	for (int i = 0; i < 4; i++)
		NEED(pthread_create(threads + i, NULL, i < 2 ? use : destroy, engine) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	next = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "", 0, 0);
	NEED(next);
	CHECK(next != engine);
	EQUAL(discoverTopology(engine), -1);
	destroyTransferEngine(engine);
	EQUAL(discoverTopology(next), 0);
	destroyTransferEngine(next);
}

int main(void)
{
	unsigned char *memory = calloc(6, SIZE);
	transfer_engine_t engine;

	NEED(memory);
	no_handles();
	installing(memory);
	/* No device: the loopback engine of a host without EFA. */
	engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "127.0.0.1", 0, 1);
	NEED(engine);
	EQUAL(uninstallTransport(engine, "tcp"), 0);
	memory_codes(engine, memory);
	EQUAL(registerLocalMemory(engine, memory, 4 * SIZE, "*", 1), 0);
	batch_codes(engine, memory);
	notification_codes(engine);
	segment_codes(engine);
	reports(engine);
	destroyTransferEngine(engine);
	destroyTransferEngine(engine);
	destroying();
	free(memory);
	return check_end("codes");
}
