/* The parts of Linux that Swift's Glibc module does not reach: system calls without a wrapper in glibc, names that need
 * _GNU_SOURCE, variadic calls, and two instructions. Declarations and calls only. */
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* NUMA: move_pages(2) in its query form. Writes the node of each of `count` pages of this process to `status`, or a
 * negated errno for a page (-ENOENT: never touched). Returns 0 or an errno. */
int clinux_page_nodes(size_t count, const void *const *pages, int *status);

/* NUMA: mbind(2) with MPOL_PREFERRED: pages of the range not yet touched will come from `node` while it has memory.
 * Returns 0 or an errno. */
int clinux_prefer_node(void *address, size_t length, unsigned node);

/* The kernel's number of the calling thread. */
int clinux_gettid(void);

/* Names the calling thread; the kernel keeps the first 15 bytes. Returns 0 or an errno. */
int clinux_set_thread_name(const char *name);

/* Restricts the calling thread to the CPUs whose bits are set in `words` words of 64 bits, CPU 0 in bit 0 of word 0.
 * Returns 0 or an errno. */
int clinux_set_affinity(const uint64_t *mask, size_t words);

/* The CPUs that the calling thread may run on, in the same form. Returns 0 or an errno (EINVAL: too few words). */
int clinux_get_affinity(uint64_t *mask, size_t words);

/* The CPU and the NUMA node that the calling thread runs on now. Returns 0 or an errno. */
int clinux_getcpu(unsigned *cpu, unsigned *node);

/* Sleeps while `*word` equals `expected`, for at most `timeout_ns` (negative: without limit), on a futex private to the
 * process. Returns 0 when woken, else an errno: EAGAIN (the word differs), ETIMEDOUT, EINTR. */
int clinux_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ns);

/* Wakes up to `count` threads that sleep on `word`. Returns how many. */
int clinux_futex_wake(uint32_t *word, int count);

/* eventfd(2), non-blocking and closed on exec: the descriptor, or -1 with errno. */
int clinux_event_file(void);

/* ppoll(2): `sources` is an array of `count` struct pollfd, untyped because Swift has that type from another module.
 * Waits for at most `timeout_ns`. Returns how many are ready, 0 when the time is over, or -1 with errno. */
int clinux_poll(void *sources, size_t count, int64_t timeout_ns);

/* accept4(2) with SOCK_CLOEXEC: the next connection of a listening socket, or -1 with errno. */
int clinux_accept(int listener);

/* struct iovec under a name of ours: to Swift, the original belongs to whichever module includes it first. */
struct clinux_part {
	void *base;
	size_t length;
};

/* sendmsg(2) and recvmsg(2) of `count` parts; sending to a closed connection raises no signal. -1 with errno. */
long clinux_send(int socket, const struct clinux_part *parts, size_t count, int flags);
long clinux_receive(int socket, const struct clinux_part *parts, size_t count, int flags);

/* ppoll(2) of one socket: waits until it is ready for `events`, or has an error, for at most `timeout_ns`. */
int clinux_await(int socket, int events, int64_t timeout_ns);

/* process_vm_writev(2) and process_vm_readv(2): copies between this process's memory and another's, in the order of the
 * parts, up to the first that cannot be reached. Returns the bytes that were copied, or -1 with errno where none were. */
long clinux_process_write(int process, const struct clinux_part *from, size_t from_count, const struct clinux_part *to,
			  size_t to_count);
long clinux_process_read(int process, const struct clinux_part *to, size_t to_count, const struct clinux_part *from,
			 size_t from_count);

/* pidfd_open(2): a file that can be read from when the process has ended, or -1 with errno. */
int clinux_open_process(int process);

/* memfd_create(2): an empty file without a path, to be closed on exec, or -1 with errno. */
int clinux_memory_file(const char *name);

/* From now on the file keeps its length, whoever has it. Returns 0 or an errno. */
int clinux_seal_size(int file);

/* Whether the file cannot become shorter. */
int clinux_has_sealed_size(int file);

/* A second descriptor of the file, to be closed on exec, or -1 with errno. */
int clinux_duplicate(int file);

/* SO_PEERCRED: the process at the other end of a local socket, 0 where it is in a namespace that this one does not see,
 * and its effective user. Returns 0 or an errno. */
int clinux_peer(int socket, int *process, unsigned *user);

/* Files that one message carries at most. */
#define CLINUX_FILES 4

/* sendmsg(2) of one message with `count` files (SCM_RIGHTS). -1 with errno. */
long clinux_send_files(int socket, const void *bytes, size_t length, const int *files, size_t count, int flags);

/* recvmsg(2) of one message with its files, to be closed on exec: `files` has room for CLINUX_FILES, and -1 where there
 * is none. -1 with errno. */
long clinux_receive_files(int socket, void *bytes, size_t length, int *files, int flags);

/* Writes the byte at `address` back to itself atomically: a write to the page that loses nobody's change. */
static inline void clinux_touch(void *address)
{
	uint8_t value = __atomic_load_n((uint8_t *)address, __ATOMIC_RELAXED);

	__atomic_compare_exchange_n((uint8_t *)address, &value, value, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Tells the core that this is a spin loop. */
static inline void clinux_cpu_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t clinux_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
