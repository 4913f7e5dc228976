#define _GNU_SOURCE

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int clinux_page_nodes(size_t count, const void *const *pages, int *status)
{
	return syscall(SYS_move_pages, 0, count, pages, NULL, status, 0) == 0 ? 0 : errno;
}

int clinux_prefer_node(void *address, size_t length, unsigned node)
{
	/* The kernel's largest CONFIG_NODES_SHIFT is 10. It takes the mask's length in bits plus one. */
	unsigned long mask[1024 / (8 * sizeof(unsigned long))] = { 0 };
	const unsigned bits = 8 * sizeof(mask[0]);

	if (node >= sizeof(mask) * 8)
		return EINVAL;
	mask[node / bits] = 1ul << node % bits;
	return syscall(SYS_mbind, address, length, MPOL_PREFERRED, mask, sizeof(mask) * 8 + 1, 0) == 0 ? 0 : errno;
}

int clinux_event_file(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int clinux_poll(void *sources, size_t count, int64_t timeout_ns)
{
	const struct timespec limit = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };

	return ppoll(sources, count, &limit, NULL);
}

int clinux_accept(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

_Static_assert(sizeof(struct clinux_part) == sizeof(struct iovec) &&
		       offsetof(struct clinux_part, length) == offsetof(struct iovec, iov_len),
	       "clinux_part is iovec");

long clinux_send(int socket, const struct clinux_part *parts, size_t count, int flags)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };

	return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

long clinux_receive(int socket, const struct clinux_part *parts, size_t count, int flags)
{
	struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };

	return recvmsg(socket, &message, flags);
}

int clinux_await(int socket, int events, int64_t timeout_ns)
{
	const struct timespec limit = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };
	struct pollfd poller = { .fd = socket, .events = (short)events };

	return ppoll(&poller, 1, &limit, NULL);
}

long clinux_process_write(int process, const struct clinux_part *from, size_t from_count, const struct clinux_part *to,
			  size_t to_count)
{
	return process_vm_writev(process, (const struct iovec *)from, from_count, (const struct iovec *)to, to_count, 0);
}

long clinux_process_read(int process, const struct clinux_part *to, size_t to_count, const struct clinux_part *from,
			 size_t from_count)
{
	return process_vm_readv(process, (const struct iovec *)to, to_count, (const struct iovec *)from, from_count, 0);
}

int clinux_open_process(int process)
{
	return (int)syscall(SYS_pidfd_open, process, 0);
}

int clinux_memory_file(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int clinux_seal_size(int file)
{
	return fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 ? 0 : errno;
}

int clinux_has_sealed_size(int file)
{
	const int seals = fcntl(file, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

int clinux_duplicate(int file)
{
	return fcntl(file, F_DUPFD_CLOEXEC, 0);
}

int clinux_peer(int socket, int *process, unsigned *user)
{
	struct ucred credentials = { 0 };
	socklen_t length = sizeof(credentials);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
		return errno;
	*process = credentials.pid;
	*user = credentials.uid;
	return 0;
}

long clinux_send_files(int socket, const void *bytes, size_t length, const int *files, size_t count, int flags)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = length };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(CLINUX_FILES * sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (count > CLINUX_FILES)
		return errno = EINVAL, -1;
	if (count > 0) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), files, count * sizeof(int));
	}
	return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

long clinux_receive_files(int socket, void *bytes, size_t length, int *files, int flags)
{
	struct iovec part = { .iov_base = bytes, .iov_len = length };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(CLINUX_FILES * sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space,
				  .msg_controllen = sizeof(control.space) };
	const long result = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = result < 0 ? NULL : CMSG_FIRSTHDR(&message);

	for (size_t index = 0; index < CLINUX_FILES; index++)
		files[index] = -1;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(files, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return result;
}

int clinux_gettid(void)
{
	return (int)syscall(SYS_gettid);
}

int clinux_set_thread_name(const char *name)
{
	return prctl(PR_SET_NAME, name) == 0 ? 0 : errno;
}

int clinux_set_affinity(const uint64_t *mask, size_t words)
{
	return pthread_setaffinity_np(pthread_self(), words * sizeof(*mask), (const cpu_set_t *)mask);
}

int clinux_get_affinity(uint64_t *mask, size_t words)
{
	return pthread_getaffinity_np(pthread_self(), words * sizeof(*mask), (cpu_set_t *)mask);
}

int clinux_getcpu(unsigned *cpu, unsigned *node)
{
	return syscall(SYS_getcpu, cpu, node, NULL) == 0 ? 0 : errno;
}

int clinux_futex_wait(uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
	const struct timespec limit = { .tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000 };

	return syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? NULL : &limit, NULL, 0) == 0
		       ? 0
		       : errno;
}

int clinux_futex_wake(uint32_t *word, int count)
{
	return (int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
