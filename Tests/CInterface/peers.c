/* Two processes, over the transport that is named: `peers tcp`, `peers efa`. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "check.h"

#define SIZE (64u << 20)
#define SMALL 1000

extern char **environ;

static int is_efa;

/* The other process: an engine that discovers its transport. Tells its name and the addresses of what peers may use and
 * of what they may not, then answers lines on its standard input. */
static int serve(void)
{
	unsigned char *memory = calloc(1, SIZE), *private = calloc(1, SMALL), *expected = malloc(SIZE);
	transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "", 0, 1);
	char line[64], name[64];
	notify_msg_t *arrived;
	int size;

	NEED(memory && private && expected && engine);
	NEED(uninstallTransport(engine, is_efa ? "efa" : "tcp") == 0);
	NEED(registerLocalMemory(engine, memory, SIZE, "*", 1) == 0);
	NEED(registerLocalMemory(engine, private, SMALL, "*", 0) == 0);
	NEED(getLocalIpAndPort(engine, name, sizeof(name)) == 0);
	printf("%s %" PRIu64 " %" PRIu64 "\n", name, (uint64_t)(uintptr_t)memory, (uint64_t)(uintptr_t)private);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		unsigned seed = (unsigned)atoi(line + 2);

		if (line[0] == 'f') {
			check_fill(memory, SIZE, seed);
			printf("ok\n");
		} else if (line[0] == 'c') {
			check_fill(expected, SIZE, seed);
			printf(memcmp(memory, expected, SIZE) == 0 ? "ok\n" : "differs\n");
		} else {
			arrived = getNotifsFromEngine(engine, &size);
			printf("%d %s\n", size, size ? arrived[0].msg : "");
			freeNotifsMsgBuf(arrived, size);
		}
		fflush(stdout);
	}
	destroyTransferEngine(engine);
	return 0;
}

struct peer {
	pid_t pid;
	FILE *in, *out;
};

static const char *ask(struct peer *peer, const char *format, unsigned number)
{
	static char line[256];

	fprintf(peer->in, format, number);
	fflush(peer->in);
	NEED(fgets(line, sizeof(line), peer->out));
	return line;
}

static struct peer start(char *program, char *transport)
{
	int to[2], from[2];
	posix_spawn_file_actions_t actions;
	char *arguments[] = {program, transport, "serve", NULL};
	struct peer peer;

	NEED(pipe(to) == 0 && pipe(from) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], 0);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	posix_spawn_file_actions_addclose(&actions, to[1]);
	posix_spawn_file_actions_addclose(&actions, from[0]);
	NEED(posix_spawn(&peer.pid, "/proc/self/exe", &actions, NULL, arguments, environ) == 0);
	close(to[0]);
	close(from[1]);
	peer.in = fdopen(to[1], "w");
	peer.out = fdopen(from[0], "r");
	NEED(peer.in && peer.out);
	return peer;
}

/* One batch of pieces of different sizes, to all of the memory. */
static void move(transfer_engine_t engine, segment_id_t segment, int opcode, unsigned char *local, uint64_t remote,
		 const char *notification)
{
	enum { PIECES = 5 };
	static const uint64_t ends[PIECES + 1] = {0, 1, 4097, 1u << 20, (32u << 20) + 5, SIZE};
	notify_msg_t message = {.name = "parent", .msg = (char *)notification};
	transfer_request_t requests[PIECES];
	transfer_status_t status;
	batch_id_t batch = allocateBatchID(engine, PIECES);

	NEED(batch != INVALID_BATCH);
	for (int i = 0; i < PIECES; i++) {
		requests[i].opcode = opcode;
		requests[i].source = local + ends[i];
		requests[i].target_id = segment;
		requests[i].target_offset = remote + ends[i];
		requests[i].length = ends[i + 1] - ends[i];
	}
	if (notification)
		EQUAL(submitTransferWithNotify(engine, batch, requests, PIECES, message), 0);
	else
		EQUAL(submitTransfer(engine, batch, requests, PIECES), 0);
	for (int i = 0; i < PIECES; i++) {
		EQUAL(check_wait(engine, batch, (size_t)i, &status), 0);
		EQUAL(status.status, STATUS_COMPLETED);
		EQUAL(status.transferred_bytes, requests[i].length);
	}
	EQUAL(freeBatchID(engine, batch), 0);
}

static transfer_engine_t start_engine(unsigned char *memory, char *transport)
{
	/* Two of the fake EFA's NICs. */
	void *topology[1] = {"{\"cpu:0\":[[\"rdmap0s0\",\"rdmap1s0\"],[]]}"};
	void *wrong[1] = {"{\"cpu:0\":[[\"nosuch\"],[]]}"};
	char before[64], after[64];
	nic_load_stat_t stats[8];
	char links[8192];
	size_t count = 1;
	transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "", 0, 0);

	NEED(engine);
	EQUAL(registerLocalMemory(engine, memory, SIZE, "cpu:0", 1), 0);
	EQUAL(getLocalIpAndPort(engine, before, sizeof(before)), 0);
	/* An attempt that fails leaves an engine that can still be installed to. */
	if (is_efa)
		CHECK(installTransport(engine, transport, wrong) == NULL);
	NEED(installTransport(engine, transport, topology));
	EQUAL(getLocalIpAndPort(engine, after, sizeof(after)), 0);
	CHECK(strcmp(before, after) == 0);
	EQUAL(uninstallTransport(engine, transport), 0);
	EQUAL(getNicLoadStats(engine, stats, &count), 0);
	EQUAL(count, is_efa ? 2 : 0);
	EQUAL(showLinks(engine, links, sizeof(links), 1), 0);
	EQUAL(strstr(links, "rdmap1s0") != NULL, is_efa);
	EQUAL(strstr(links, "rdmap2s0") != NULL, 0);
	return engine;
}

static void stopped_peer(transfer_engine_t engine, segment_id_t segment, unsigned char *memory, uint64_t remote,
			 struct peer *peer)
{
	transfer_request_t request = {OPCODE_WRITE, memory, segment, remote, SIZE};
	transfer_status_t status = {0};
	batch_id_t batch = allocateBatchID(engine, 1);
	int state;

	kill(peer->pid, SIGSTOP);
	NEED(waitpid(peer->pid, &state, WUNTRACED) == peer->pid && WIFSTOPPED(state));
	EQUAL(submitTransfer(engine, batch, &request, 1), 0);
	EQUAL(getTransferStatus(engine, batch, 0, &status), 0);
	EQUAL(status.status, STATUS_WAITING);
	EQUAL(freeBatchID(engine, batch), 4);
	kill(peer->pid, SIGCONT);
	EQUAL(check_wait(engine, batch, 0, &status), 0);
	EQUAL(status.status, STATUS_COMPLETED);
	EQUAL(freeBatchID(engine, batch), 0);
}

int main(int argc, char **argv)
{
	unsigned char *memory = malloc(SIZE), *expected = malloc(SIZE);
	notify_msg_t message = {.name = "parent", .msg = "by itself"};
	unsigned long long remote, private;
	transfer_request_t request;
	transfer_engine_t engine;
	segment_id_t segment;
	nic_load_stat_t stats[8];
	size_t count = 8;
	struct peer peer;
	char line[256], name[64];
	int tries, state;

	NEED(argc >= 2 && memory && expected);
	is_efa = strcmp(argv[1], "efa") == 0;
	if (argc == 3)
		return serve();
	/* A peer that died must be an error of ours, not our death. */
	signal(SIGPIPE, SIG_IGN);
	peer = start(argv[0], argv[1]);
	NEED(fgets(line, sizeof(line), peer.out));
	NEED(sscanf(line, "%63s %llu %llu", name, &remote, &private) == 3);
	engine = start_engine(memory, argv[1]);

	EQUAL(warmupEfaSegment(engine, name), 0);
	EQUAL(warmupEfaSegment(engine, "127.0.0.1:1") != 0, is_efa);
	segment = openSegment(engine, name);
	CHECK(segment > 0);
	EQUAL(openSegment(engine, name), segment);
	EQUAL(openSegmentNoCache(engine, name), segment);
	EQUAL(syncSegmentCache(engine), 0);

	check_fill(memory, SIZE, 11);
	move(engine, segment, OPCODE_WRITE, memory, remote, "written");
	CHECK(strcmp(ask(&peer, "c %u\n", 11), "ok\n") == 0);
	/* Sent when the batch was seen complete, and on its way since. */
	for (tries = 0; tries < 20000 && strcmp(ask(&peer, "n\n", 0), "1 written\n") != 0; tries++)
		check_pause();
	CHECK(tries < 20000);
	EQUAL(genNotifyInEngine(engine, (uint64_t)segment, message), 0);
	CHECK(strcmp(ask(&peer, "n\n", 0), "1 by itself\n") == 0);

	CHECK(strcmp(ask(&peer, "f %u\n", 12), "ok\n") == 0);
	move(engine, segment, OPCODE_READ, memory, remote, NULL);
	check_fill(expected, SIZE, 12);
	CHECK(memcmp(memory, expected, SIZE) == 0);
	EQUAL(getNicLoadStats(engine, stats, &count), 0);
	EQUAL(count, is_efa ? 2 : 0);
	if (is_efa)
		CHECK(strcmp(stats[0].device_name, "rdmap0s0") == 0 && stats[0].ewma_bandwidth_bps > 0);

	/* What the peer has not, or does not let others use. */
	request = (transfer_request_t){OPCODE_READ, memory, segment, private, SMALL};
	state = 0;
	{
		batch_id_t batch = allocateBatchID(engine, 1);

		EQUAL(submitTransfer(engine, batch, &request, 1), 200);
		request.target_offset = remote + SIZE - 1;
		EQUAL(submitTransfer(engine, batch, &request, 1), 200);
		EQUAL(freeBatchID(engine, batch), 0);
	}

	check_fill(memory, SIZE, 13);
	stopped_peer(engine, segment, memory, remote, &peer);
	CHECK(strcmp(ask(&peer, "c %u\n", 13), "ok\n") == 0);

	/* Three openings. */
	for (int i = 0; i < 3; i++)
		EQUAL(closeSegment(engine, segment), 0);
	EQUAL(closeSegment(engine, segment), -1);
	segment = openSegment(engine, name);
	CHECK(segment > 0);
	EQUAL(removeLocalSegment(engine, name), 0);
	EQUAL(closeSegment(engine, segment), -1);
	EQUAL(genNotifyInEngine(engine, (uint64_t)segment, message), -1);

	fclose(peer.in);
	NEED(waitpid(peer.pid, &state, 0) == peer.pid);
	CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
	EQUAL(openSegment(engine, name), -1);
	EQUAL(unregisterLocalMemory(engine, memory), 0);
	destroyTransferEngine(engine);
	free(memory);
	free(expected);
	return check_end(is_efa ? "peers efa" : "peers tcp");
}
