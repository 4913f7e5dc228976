/* What becomes of engines when their process forks, gets a signal, or ends. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "check.h"

extern char **environ;

static transfer_engine_t start(void)
{
	transfer_engine_t engine = createTransferEngine("P2PHANDSHAKE", "127.0.0.1", "", 0, 0);

	NEED(engine && installTransport(engine, "tcp", NULL));
	return engine;
}

/* Runs until a signal comes, or if it is told to, to its end. Two engines, of which one is to be stopped. */
static int victim(int ends)
{
	transfer_engine_t engine = start(), other = start();

	enableGracefulShutdown(engine);
	enableGracefulShutdown(engine);
	discoverTopology(other);
	printf("ready\n");
	fflush(stdout);
	while (!ends)
		pause();
	return 3;
}

/* How a victim ends that gets `signal`; 0: none. */
static int end_of(char *program, int signal)
{
	char *arguments[] = {program, "victim", signal ? NULL : "ends", NULL};
	posix_spawn_file_actions_t actions;
	int from[2], state;
	char line[16];
	pid_t pid;
	FILE *out;

	NEED(pipe(from) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	NEED(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environ) == 0);
	close(from[1]);
	out = fdopen(from[0], "r");
	NEED(out && fgets(line, sizeof(line), out));
	if (signal)
		kill(pid, signal);
	NEED(waitpid(pid, &state, 0) == pid);
	fclose(out);
	return WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
}

/* In a child of a fork: the parent's engines are none of its own, and say so; new ones can be made. */
static int in_child(transfer_engine_t engine, unsigned char *memory)
{
	transfer_request_t request = {OPCODE_WRITE, memory, LOCAL_SEGMENT, (uint64_t)(uintptr_t)memory, 1};
	transfer_status_t status;
	transfer_engine_t own;
	char name[64];

	EQUAL(getLocalIpAndPort(engine, name, sizeof(name)), -900);
	CHECK(allocateBatchID(engine, 1) == INVALID_BATCH);
	EQUAL(submitTransfer(engine, 1, &request, 1), 900);
	EQUAL(getTransferStatus(engine, 1, 0, &status), 900);
	EQUAL(openSegment(engine, "127.0.0.1:1"), -1);
	destroyTransferEngine(engine);
	EQUAL(getLocalIpAndPort(engine, name, sizeof(name)), -1);
	own = start();
	EQUAL(getLocalIpAndPort(own, name, sizeof(name)), 0);
	EQUAL(registerLocalMemory(own, memory, 64, "*", 1), 0);
	destroyTransferEngine(own);
	return check_failures != 0;
}

int main(int argc, char **argv)
{
	static unsigned char memory[64];
	transfer_engine_t engine;
	char name[64];
	int state;
	pid_t pid;

	if (argc > 1)
		return victim(argc > 2);
	EQUAL(end_of(argv[0], SIGTERM), 128 + SIGTERM);
	EQUAL(end_of(argv[0], SIGINT), 128 + SIGINT);
	EQUAL(end_of(argv[0], 0), 3);

	engine = start();
	enableGracefulShutdown(engine);
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0)
		_exit(in_child(engine, memory));
	NEED(waitpid(pid, &state, 0) == pid);
	CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
	/* A signal to a child is the child's. */
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		raise(SIGTERM);
		_exit(0);
	}
	NEED(waitpid(pid, &state, 0) == pid);
	CHECK(WIFSIGNALED(state) && WTERMSIG(state) == SIGTERM);
	EQUAL(getLocalIpAndPort(engine, name, sizeof(name)), 0);
	destroyTransferEngine(engine);
	return check_end("processes");
}
