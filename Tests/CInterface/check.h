/* What the tests of the C interface share. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "transfer_engine_c.h"

static int check_failures;

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                      \
			check_failures++;                                                                              \
		}                                                                                                      \
	} while (0)

#define EQUAL(expression, expected)                                                                                    \
	do {                                                                                                           \
		long long check_found = (long long)(expression), check_wanted = (long long)(expected);                 \
		if (check_found != check_wanted) {                                                                     \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #expression, check_found,  \
				check_wanted);                                                                         \
			check_failures++;                                                                              \
		}                                                                                                      \
	} while (0)

/* For what the rest of a test cannot do without. */
#define NEED(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: needed: %s\n", __FILE__, __LINE__, #condition);                        \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* Returns main's value. */
static inline int check_end(const char *name)
{
	if (check_failures == 0)
		printf("%s: passed\n", name);
	else
		printf("%s: %d checks FAILED\n", name, check_failures);
	return check_failures != 0;
}

static inline void check_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* Waits until a task is final; the engine ends every one by its own deadline. */
static inline int check_wait(transfer_engine_t engine, batch_id_t batch, size_t task, struct transfer_status *status)
{
	int code;

	do {
		code = getTransferStatus(engine, batch, task, status);
		if (code == 0 && status->status == STATUS_WAITING)
			check_pause();
	} while (code == 0 && status->status == STATUS_WAITING);
	return code;
}

static inline void check_fill(unsigned char *memory, size_t length, unsigned seed)
{
	for (size_t i = 0; i < length; i++)
		memory[i] = (unsigned char)(seed + i * 31 + i / 253);
}

#endif
