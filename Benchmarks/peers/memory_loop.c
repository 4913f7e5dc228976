/*
 * What the kernel and the processor give two processes of one host.
 *
 *   memory_loop writev|readv|memcpy BLOCK PLACES SECONDS
 *
 * goes through PLACES blocks on both sides, again and again.
 * writev, readv: process_vm_writev and process_vm_readv between this process
 * and a child whose memory was touched.  memcpy: from private memory into a
 * mapping that a child shares.  Prints one JSON object.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HUGE_PAGE (2u << 20)

static void fail(const char *call)
{
	fprintf(stderr, "memory_loop: %s: %s\n", call, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* New pages at `memory`; huge ones where the kernel has them, as Moonrail
 * asks for. */
static void fill(char *memory, size_t bytes, int kind, int byte)
{
	if (mmap(memory, bytes, PROT_READ | PROT_WRITE,
		 kind | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		fail("mmap");
	madvise(memory, bytes, MADV_HUGEPAGE);
	memset(memory, byte, bytes);
}

static char *map(size_t bytes, int kind, int byte)
{
	char *memory = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	memory += HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE;
	fill(memory, bytes, kind, byte);
	return memory;
}

/* A child; says so when it has touched `memory`.  Unless that is to be shared
 * it gets pages of its own: huge ones that it had to copy would become small. */
static pid_t start_child(char *memory, size_t bytes, int shares)
{
	int ends[2];
	char byte = 0;
	pid_t child;

	if (pipe(ends))
		fail("pipe");
	child = fork();
	if (child < 0)
		fail("fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (shares)
			memset(memory, 0x5a, bytes);
		else
			fill(memory, bytes, MAP_PRIVATE, 0x5a);
		if (write(ends[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(ends[0], &byte, 1) != 1)
		fail("the child");
	return child;
}

/* The whole range, however little a call moves. */
static void move(int writes, pid_t child, char *local, char *remote,
		 size_t length)
{
	while (length) {
		struct iovec here = { local, length }, there = { remote, length };
		ssize_t moved = writes ?
			process_vm_writev(child, &here, 1, &there, 1, 0) :
			process_vm_readv(child, &here, 1, &there, 1, 0);

		if (moved <= 0)
			fail(writes ? "process_vm_writev" : "process_vm_readv");
		local += moved;
		remote += moved;
		length -= (size_t)moved;
	}
}

int main(int argc, char **argv)
{
	size_t block, places, span, offset = 0, bytes = 0;
	char *local, *remote;
	double begin, seconds, end;
	int copies, writes;
	pid_t child;

	if (argc != 5)
		return 2;
	copies = !strcmp(argv[1], "memcpy");
	writes = !strcmp(argv[1], "writev");
	if (!copies && !writes && strcmp(argv[1], "readv"))
		return 2;
	block = strtoull(argv[2], NULL, 0);
	places = strtoull(argv[3], NULL, 0);
	seconds = strtod(argv[4], NULL);
	if (!block || !places)
		return 2;
	span = block * places;
	local = map(span, MAP_PRIVATE, 0xcc);
	remote = map(span, copies ? MAP_SHARED : MAP_PRIVATE, 0x11);
	/* Shared with the child, its pages would be copied when they are written. */
	if (madvise(local, span, MADV_DONTFORK))
		fail("madvise");
	child = start_child(remote, span, copies);
	begin = now();
	do {
		if (copies)
			memcpy(remote + offset, local + offset, block);
		else
			move(writes, child, local + offset, remote + offset, block);
		bytes += block;
		offset = offset + 2 * block <= span ? offset + block : 0;
	} while ((end = now()) < begin + seconds);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("{\"bytes\": %zu, \"seconds\": %.6f}\n", bytes, end - begin);
	return 0;
}
