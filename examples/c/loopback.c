/* Writes a message into the memory of an engine, reads it back, and compares: with itself as the peer, or with another
 * process.
 *
 *   cc loopback.c -o loopback $(pkg-config --cflags --libs moonrail)
 *   ./loopback                      one engine, which is its own peer
 *   ./loopback serve                prints NAME ADDRESS and serves its memory until its standard input ends
 *   ./loopback NAME ADDRESS         writes to and reads from that */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "transfer_engine_c.h"

#define LENGTH (1u << 20)

static void fail(const char *what)
{
	fprintf(stderr, "loopback: %s failed\n", what);
	exit(1);
}

/* Moves LENGTH bytes between `local` and `remote` and waits until they are there. */
static void move(transfer_engine_t engine, segment_id_t segment, int opcode, void *local, uint64_t remote)
{
	transfer_request_t request = {.opcode = opcode, .source = local, .target_id = segment};
	transfer_status_t status;
	batch_id_t batch = allocateBatchID(engine, 1);

	request.target_offset = remote;
	request.length = LENGTH;
	if (batch == INVALID_BATCH)
		fail("allocateBatchID");
	if (submitTransfer(engine, batch, &request, 1) != 0)
		fail("submitTransfer");
	/* The engine ends every transfer by its own deadline (MC_TRANSFER_TIMEOUT). */
	do {
		if (getTransferStatus(engine, batch, 0, &status) != 0)
			fail("getTransferStatus");
		if (status.status == STATUS_WAITING)
			nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	} while (status.status == STATUS_WAITING);
	if (status.status != STATUS_COMPLETED || status.transferred_bytes != LENGTH)
		fail("the transfer");
	if (freeBatchID(engine, batch) != 0)
		fail("freeBatchID");
}

int main(int argc, char **argv)
{
	char name[128];
	unsigned char *memory, *far;
	segment_id_t segment;
	uint64_t remote;
	transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "", 0, 0);

	if (!engine)
		fail("createTransferEngine");
	if (!installTransport(engine, "tcp", NULL))
		fail("installTransport");
	if (getLocalIpAndPort(engine, name, sizeof(name)) != 0)
		fail("getLocalIpAndPort");
	memory = malloc(3 * LENGTH);
	if (!memory || registerLocalMemory(engine, memory, 3 * LENGTH, "*", 1) != 0)
		fail("registerLocalMemory");
	memset(memory, 0, 3 * LENGTH);

	if (argc == 2 && strcmp(argv[1], "serve") == 0) {
		char byte;

		printf("%s %" PRIu64 "\n", name, (uint64_t)(uintptr_t)memory);
		fflush(stdout);
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	} else {
		if (argc == 3) {
			segment = openSegment(engine, argv[1]);
			remote = strtoull(argv[2], NULL, 10);
		} else {
			segment = openSegment(engine, name);
			remote = (uint64_t)(uintptr_t)(memory + 2 * LENGTH);
		}
		if (segment < 0)
			fail("openSegment");
		far = memory + LENGTH;
		for (size_t i = 0; i < LENGTH; i++)
			memory[i] = (unsigned char)(i * 31 + i / 251 + 7);
		move(engine, segment, OPCODE_WRITE, memory, remote);
		move(engine, segment, OPCODE_READ, far, remote);
		if (memcmp(memory, far, LENGTH) != 0)
			fail("the comparison");
		printf("wrote %u bytes to %s, read them back: they are the same\n", LENGTH, argc == 3 ? argv[1] : name);
	}
	if (unregisterLocalMemory(engine, memory) != 0)
		fail("unregisterLocalMemory");
	destroyTransferEngine(engine);
	free(memory);
	return 0;
}
