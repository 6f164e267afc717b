/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of a device: requests, malformed ones, clients that hang or die, devices that are killed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machines.h"

static const struct machine_spec external = { .control = { .mode = SEA_CONTROL_EXTERNAL, .id = "dev 1/%" },
	                                      .session = "s",
	                                      .has_properties = true };

static pid_t start(int *ret_fd)
{
	const pid_t pid = machine_start(&external);

	*ret_fd = machine_connect("s", external.control.id);
	return pid;
}

static void end(pid_t pid, int fd)
{
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	close(fd);
}

/* Every transition in turn, from IDLE to IDLE. */
static void cycle(int fd)
{
	static const char *const steps[][2] = {
		{ "INIT DEVICE", "INITIALIZING DEVICE" },
		{ "COMPLETE INIT", "INITIALIZED" },
		{ "BIND", "BOUND" },
		{ "CONNECT", "DEVICE READY" },
		{ "INIT TASK", "READY" },
		{ "RESET TASK", "DEVICE READY" },
		{ "RESET DEVICE", "IDLE" },
	};
	char request[64], answer[64];

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		snprintf(request, sizeof(request), "transition %s", steps[i][0]);
		CHECK_STR_EQ(machine_ask(fd, request), "ok");
		snprintf(request, sizeof(request), "wait %s 60000", steps[i][1]);
		snprintf(answer, sizeof(answer), "ok %s", steps[i][1]);
		CHECK_STR_EQ(machine_ask(fd, request), answer);
	}
}

static int count_files(void)
{
	char directory[PATH_MAX], command[PATH_MAX + 32];
	FILE *file;
	int n = -1;

	CHECK_OK(sea_control_directory("s", NULL, directory, sizeof(directory)));
	snprintf(command, sizeof(command), "ls -A '%s' | grep -vc '^.lock$'", directory);
	file = popen(command, "r");
	CHECK(file != NULL && fscanf(file, "%d", &n) == 1);
	pclose(file);
	return n;
}

TEST(transitions, "a client takes a device through all its states, and ends it")
{
	pid_t pid;
	int fd;

	pid = start(&fd);
	CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	cycle(fd);
	cycle(fd);
	CHECK_STR_EQ(machine_ask(fd, "subscribe"), "ok IDLE");
	CHECK_STR_EQ(machine_ask(fd, "transition end"), "ok");
	CHECK_STR_EQ(machine_ask(fd, NULL), "state EXITING");
	CHECK_EQ(test_wait(pid), 0);
	CHECK_ERR(sea_control_request(fd, "state", (char[8]){ 0 }, 8, -1), -EPIPE);
	close(fd);
	/* It has taken its files with it. */
	CHECK_EQ(count_files(), 0);
}

TEST(malformed, "what is no request is answered by an error, and the next one as if nothing had been")
{
	static const char *const wrong[] = {
		"hello",
		" ",
		"state ",
		"state now",
		"transition",
		"transition ",
		"transition JUMP",
		"transition  RUN",
		"wait",
		"wait READY",
		"wait READY x",
		"wait READY -2",
		"wait READY 99999999999999999999",
		"wait NOWHERE 5",
		"get",
		"set",
		"set number",
		"set number x",
		"set number 7.5",
		"\n",
		"state\nstate",
		"\x01\x02\xff",
		"subscribe me",
	};
	char large[SEA_CONTROL_REQUEST_N_MAX + 100];
	pid_t pid;
	int fd;

	pid = start(&fd);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *answer = machine_ask(fd, wrong[i]);

		/* A blank behind a word is forgiven. */
		if (strncmp(answer, "error EINVAL ", 13) != 0 && strcmp(wrong[i], "state ") != 0)
			FAIL("%s: %s", wrong[i], answer);
	}
	CHECK_STR_EQ(machine_ask(fd, "transition RUN"), "error EINVAL no transition RUN in state IDLE");
	CHECK_STR_EQ(machine_ask(fd, "transition AUTO"), "error EINVAL no transition AUTO in state IDLE");
	memset(large, 'x', sizeof(large));
	CHECK_SYS(send(fd, large, sizeof(large), 0));
	CHECK_EQ(strncmp(machine_ask(fd, NULL), "error EMSGSIZE", 14), 0);
	CHECK_SYS(send(fd, large, SEA_CONTROL_REQUEST_N_MAX, 0));
	CHECK_EQ(strncmp(machine_ask(fd, NULL), "error EINVAL", 12), 0);
	CHECK_SYS(send(fd, "state\0state", 11, 0));
	CHECK_EQ(strncmp(machine_ask(fd, NULL), "error EINVAL", 12), 0);
	CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	/* An empty packet is taken for the end. */
	CHECK_SYS(send(fd, "", 0, 0));
	CHECK_ERR(sea_control_request(fd, NULL, large, sizeof(large), -1), -EPIPE);
	close(fd);
	fd = machine_connect("s", external.control.id);
	CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	end(pid, fd);
}

TEST(random, "ten thousand random packets neither end the device nor keep it from answering")
{
	static const char *const words[] = { "state", "transition ", "wait ", "get ", "set ", "list ", "number ", "RUN",
		                             "READY", " ",           "-1",    "\\",   "%s%n", "many.", "\xff",    "=" };
	uint64_t x = test_random() | 1;
	char request[256], answer[SEA_CONTROL_ANSWER_N_MAX + 1];
	pid_t pid;
	int fd;

	pid = start(&fd);
	for (int i = 0; i < 10000; i++) {
		size_t n = 0;

		do {
			const char *word = words[(x >> 33) % 16];

			memcpy(request + n, word, strlen(word));
			n += strlen(word);
			x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		} while ((x >> 60) > 3 && n < 200);
		request[n] = 0;
		/* A wait is over with the connection; who is slow to read is dropped. */
		if (send(fd, request, n, MSG_NOSIGNAL) < 0 || i % 16 == 0) {
			close(fd);
			fd = machine_connect("s", external.control.id);
		} else {
			while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
				;
		}
	}
	close(fd);
	fd = machine_connect("s", external.control.id);
	CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	end(pid, fd);
}

TEST(properties, "properties are read, written and listed; a value of another type or an unknown key is refused")
{
	char line[64];
	pid_t pid;
	int fd, n = 0;
	const char *answer;

	pid = start(&fd);
	CHECK_STR_EQ(machine_ask(fd, "get number"), "ok 7");
	CHECK_STR_EQ(machine_ask(fd, "set number 8"), "ok");
	CHECK_STR_EQ(machine_ask(fd, "get number"), "ok 8");
	CHECK_EQ(strncmp(machine_ask(fd, "set number eight"), "error EINVAL", 12), 0);
	CHECK_STR_EQ(machine_ask(fd, "get text"), "ok two\\nlines");
	CHECK_STR_EQ(machine_ask(fd, "set text a\\\\b\\nc d"), "ok");
	CHECK_STR_EQ(machine_ask(fd, "get text"), "ok a\\\\b\\nc d");
	CHECK_STR_EQ(machine_ask(fd, "get nothing"), "error ENOENT no such property: nothing");
	CHECK_STR_EQ(machine_ask(fd, "set nothing 1"), "error ENOENT no such property: nothing");
	CHECK_STR_EQ(machine_ask(fd, "list chans."), "items\nchans.data.0.address=ipc://data");
	CHECK_STR_EQ(machine_ask(fd, NULL), "ok 1");
	CHECK_STR_EQ(machine_ask(fd, "list nowhere."), "ok 0");
	/* More than fits into a packet. */
	for (answer = machine_ask(fd, "list"); strncmp(answer, "items\n", 6) == 0; answer = machine_ask(fd, NULL))
		for (const char *at = answer; (at = strchr(at, '\n')); at++)
			n++;
	snprintf(line, sizeof(line), "ok %d", n);
	CHECK_STR_EQ(answer, line);
	CHECK_EQ(n, 1003);
	end(pid, fd);
}

TEST(wait,
     "a wait ends with its time, with the state, or with the device; meanwhile its client gets EBUSY, others do not")
{
	pid_t pid;
	int fd, other;

	pid = start(&fd);
	other = machine_connect("s", external.control.id);
	CHECK_STR_EQ(machine_ask(fd, "wait READY 0"), "error ETIMEDOUT the state is IDLE");
	CHECK_STR_EQ(machine_ask(fd, "wait READY 2"), "error ETIMEDOUT the state is IDLE");
	CHECK_STR_EQ(machine_ask(fd, "wait IDLE 0"), "ok IDLE");
	CHECK_SYS(send(fd, "wait READY -1", 13, 0));
	CHECK_EQ(strncmp(machine_ask(fd, "state"), "error EBUSY", 11), 0);
	/* The other takes it there, and on. */
	cycle(other);
	CHECK_STR_EQ(machine_ask(fd, NULL), "ok READY");
	CHECK_SYS(send(fd, "wait RUNNING -1", 15, 0));
	CHECK_STR_EQ(machine_ask(other, "transition END"), "ok");
	CHECK_STR_EQ(machine_ask(fd, NULL), "error ECANCELED the device has come to EXITING");
	CHECK_EQ(test_wait(pid), 0);
	close(fd);
	close(other);
}

TEST(subscribe, "two subscribers are told of every state, in order, up to the last")
{
	static const char *const states[] = { "INITIALIZING DEVICE",
		                              "INITIALIZED",
		                              "BINDING",
		                              "BOUND",
		                              "CONNECTING",
		                              "DEVICE READY",
		                              "INITIALIZING TASK",
		                              "READY",
		                              "RESETTING TASK",
		                              "DEVICE READY",
		                              "RESETTING DEVICE",
		                              "IDLE",
		                              "EXITING" };
	char expected[64], answer[64];
	int fd, others[2];
	pid_t pid;

	pid = start(&fd);
	for (int i = 0; i < 2; i++) {
		others[i] = machine_connect("s", external.control.id);
		CHECK_STR_EQ(machine_ask(others[i], "subscribe"), "ok IDLE");
	}
	cycle(fd);
	end(pid, fd);
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof(states) / sizeof(states[0]); j++) {
			snprintf(expected, sizeof(expected), "state %s", states[j]);
			CHECK_STR_EQ(machine_ask(others[i], NULL), expected);
		}
		CHECK_ERR(sea_control_request(others[i], NULL, answer, sizeof(answer), -1), -EPIPE);
		close(others[i]);
	}
}

TEST(hangs, "a client that does not read what it asked for is dropped, and nobody else waits for it")
{
	char answer[SEA_CONTROL_ANSWER_N_MAX + 1];
	pid_t pid;
	int fd, hanging, r;

	pid = start(&fd);
	hanging = machine_connect("s", external.control.id);
	/* Until it is dropped, a hundred times more than it may have queued at the most. */
	for (int i = 0; i < 1000; i++) {
		r = (int)send(hanging, "list", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && errno == EPIPE)
			break;
		CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	}
	CHECK_EQ(r, -1);
	/* What had gone out can be read, then comes the end. */
	do
		r = sea_control_request(hanging, NULL, answer, sizeof(answer), test_patience_ns());
	while (r > 0);
	CHECK_EQ(r, -EPIPE);
	close(hanging);
	cycle(fd);
	end(pid, fd);
}

TEST(crowd, "more clients than there are places: those that do nothing make room, and who waits keeps his")
{
	int fds[100], waiting, fd;
	pid_t pid;

	pid = start(&fd);
	waiting = machine_connect("s", external.control.id);
	CHECK_SYS(send(waiting, "wait READY -1", 13, 0));
	CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	for (int i = 0; i < 100; i++) {
		fds[i] = machine_connect("s", external.control.id);
		CHECK_STR_EQ(machine_ask(fds[i], "state"), "ok IDLE");
	}
	cycle(fds[99]);
	CHECK_STR_EQ(machine_ask(waiting, NULL), "ok READY");
	for (int i = 0; i < 100; i++)
		close(fds[i]);
	close(waiting);
	end(pid, fd);
}

static void dying_client(void *userdata)
{
	const int kind = *(const int *)userdata;
	const int fd = machine_connect("s", external.control.id);

	if (kind == 0)
		machine_ask(fd, "subscribe");
	else if (kind == 1)
		CHECK_SYS(send(fd, "wait RUNNING -1", 15, 0));
	else
		for (int i = 0; i < 20; i++)
			send(fd, "list", 4, MSG_NOSIGNAL); /* or it is dropped before it is killed */
	for (;;)
		pause();
}

TEST(killed_clients, "clients that are killed, whatever they were doing, leave the device as it was")
{
	pid_t pid, clients[3];
	int fd, kinds[3] = { 0, 1, 2 };

	pid = machine_start(&external);
	for (int i = 0; i < 3; i++)
		clients[i] = test_fork(dying_client, &kinds[i]);
	fd = machine_connect("s", external.control.id);
	cycle(fd);
	for (int i = 0; i < 3; i++)
		test_kill(clients[i]);
	cycle(fd);
	end(pid, fd);
}

TEST(killed_device, "a device that is killed leaves nothing that keeps it from starting again, many times over")
{
	char directory[PATH_MAX];
	pid_t pid;
	int fd;

	for (int i = 0; i < 20; i++) {
		pid = start(&fd);
		/* At a moment that differs. */
		if (i % 2)
			machine_ask(fd, "transition INIT DEVICE");
		CHECK_EQ(test_kill(pid), -SIGKILL);
		CHECK_ERR(sea_control_request(fd, NULL, (char[8]){ 0 }, 8, -1), -EPIPE);
		close(fd);
	}
	CHECK_OK(sea_control_directory("s", NULL, directory, sizeof(directory)));
	CHECK_ERR(sea_control_connect(directory, external.control.id), -ECONNREFUSED);
	CHECK_ERR(sea_control_connect(directory, "nobody"), -ENOENT);
	pid = start(&fd);
	end(pid, fd);
	CHECK_EQ(count_files(), 0);
}

TEST(leftovers,
     "what a killed device leaves goes with the next start of any process of the session, and what lives stays")
{
	struct machine_spec other = external;
	struct sea_session *session;
	pid_t pids[2];
	int fd;

	other.control.id = "other";
	pids[0] = start(&fd);
	close(fd);
	pids[1] = machine_start(&other);
	fd = machine_connect("s", "other");
	test_kill(pids[0]);
	CHECK_EQ(count_files(), 2);
	CHECK_OK(sea_session_open(&session, &(struct sea_session_options){ .name = "s" }));
	sea_session_close(session);
	CHECK_EQ(count_files(), 1);
	cycle(fd);
	end(pids[1], fd);
	CHECK_EQ(count_files(), 0);
}

TEST(forked, "a child that a device has forked keeps neither its signals nor its socket")
{
	struct machine_spec spec = external;
	struct test_step reached;
	pid_t pid, other;
	int fd;

	test_step_init(&reached);
	spec.control.mode = SEA_CONTROL_STATIC;
	spec.forks = "pre_run";
	spec.child = test_shared(sizeof(*spec.child));
	spec.sleeps = "run";
	spec.reached = &reached;
	for (int i = 0; i < 2; i++) {
		pid = machine_start(&spec);
		/* The child, and its parent that goes on. Only then has the child let go of what is not its own. */
		test_step_wait(&reached);
		test_step_wait(&reached);
		CHECK_GT(*spec.child, 0);
		fd = machine_connect("s", spec.control.id);
		CHECK_STR_EQ(machine_ask(fd, "state"), "ok RUNNING");
		if (i == 0) {
			/* The signal ends the child alone. */
			CHECK_SYS(kill(*spec.child, SIGTERM));
			CHECK_STR_EQ(machine_ask(fd, "wait READY 20"), "error ETIMEDOUT the state is RUNNING");
			end(pid, fd);
			continue;
		}
		test_kill(pid);
		CHECK_ERR(sea_control_request(fd, NULL, (char[8]){ 0 }, 8, test_patience_ns()), -EPIPE);
		close(fd);
		other = start(&fd);
		CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
		CHECK_SYS(kill(*spec.child, SIGKILL));
		end(other, fd);
	}
	test_step_fini(&reached);
}

struct between {
	char directory[PATH_MAX];
	struct test_step reached;
	_Atomic pid_t child;
};

/* A device whose child has not run since it was forked, or is about to become another program: no handler has closed anything. */
static void between_main(void *userdata)
{
	struct between *between = userdata;
	struct sea_control_options options = external.control;
	struct sea_control *control = NULL;
	struct sea_machine *machine;

	options.directory = between->directory;
	CHECK_OK(sea_machine_new(&machine, NULL));
	CHECK_OK(sea_control_start(&control, machine, &options));
	if (CHECK_SYS(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)) == 0) {
		between->child = (pid_t)syscall(SYS_getpid);
		for (;;)
			syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	}
	CHECK_EVENTUALLY(between->child);
	test_step_signal(&between->reached, 1);
	for (;;)
		pause();
}

TEST(in_between, "a child that has the socket of a killed device does not keep the device from starting again")
{
	struct between *between = test_shared(sizeof(*between));
	pid_t pid, other;
	int fd;

	test_step_init(&between->reached);
	CHECK_OK(sea_control_directory("s", NULL, between->directory, sizeof(between->directory)));
	pid = test_fork(between_main, between);
	test_step_wait(&between->reached);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_SYS(kill(between->child, 0));
	CHECK_ERR(sea_control_connect(between->directory, external.control.id), -ECONNREFUSED);
	other = start(&fd);
	CHECK_STR_EQ(machine_ask(fd, "state"), "ok IDLE");
	CHECK_SYS(kill(between->child, SIGKILL));
	end(other, fd);
	test_step_fini(&between->reached);
}

static void second_main(void *userdata)
{
	struct sea_control_options options = external.control;
	struct sea_control *control = NULL;
	struct sea_machine *machine;

	options.directory = userdata;
	CHECK_OK(sea_machine_new(&machine, NULL));
	CHECK_ERR(sea_control_start(&control, machine, &options), -EADDRINUSE);
	sea_machine_free(machine);
}

TEST(twice, "a second device of the same id is refused while the first lives, and does it no harm")
{
	char directory[PATH_MAX];
	pid_t pid;
	int fd;

	CHECK_OK(sea_control_directory("s", NULL, directory, sizeof(directory)));
	pid = start(&fd);
	CHECK_EQ(test_wait(test_fork(second_main, directory)), 0);
	cycle(fd);
	end(pid, fd);
}

static void list_one(const char *device, int64_t pid, void *userdata)
{
	CHECK_STR_EQ(device, external.control.id);
	*(int64_t *)userdata = pid;
}

TEST(list, "the devices of a session are found by their sockets, also those that are dead")
{
	char directory[PATH_MAX];
	int64_t found = -1;
	struct stat stat_buffer;
	char path[PATH_MAX + 64];
	pid_t pid;
	int fd;

	CHECK_OK(sea_control_directory("s", NULL, directory, sizeof(directory)));
	CHECK_ERR(sea_control_list(directory, list_one, &found), -ENOENT);
	pid = start(&fd);
	CHECK_EQ(sea_control_list(directory, list_one, &found), 1);
	CHECK_EQ(found, pid);
	snprintf(path, sizeof(path), "%s/d-dev%%201%%2F%%25.sock", directory);
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK_EQ(stat_buffer.st_mode & 0777, 0600);
	CHECK_SYS(stat(directory, &stat_buffer));
	CHECK_EQ(stat_buffer.st_mode & 0777, 0700);
	test_kill(pid);
	CHECK_EQ(sea_control_list(directory, list_one, &found), 1);
	CHECK_EQ(found, 0);
	close(fd);
}

TEST(directory, "names of sessions are checked, and a directory that others may write is refused")
{
	char directory[PATH_MAX], small[8];
	struct sea_control *control = NULL;
	struct sea_machine *machine;

	CHECK_ERR(sea_control_directory("a/b", NULL, directory, sizeof(directory)), -EINVAL);
	CHECK_ERR(sea_control_directory(".a", NULL, directory, sizeof(directory)), -EINVAL);
	CHECK_ERR(sea_control_directory("a", NULL, small, sizeof(small)), -ENAMETOOLONG);
	CHECK_OK(sea_control_directory("a", "/somewhere", directory, sizeof(directory)));
	CHECK_STR_EQ(directory, "/somewhere/a");
	CHECK_OK(sea_control_directory("open", NULL, directory, sizeof(directory)));
	CHECK_SYS(mkdir(directory, 0777));
	CHECK_SYS(chmod(directory, 0777));
	CHECK_OK(sea_machine_new(&machine, NULL));
	CHECK_ERR(sea_control_start(&control, machine, &(struct sea_control_options){ .directory = directory }),
	          -EACCES);
	CHECK(!control);
	CHECK_SYS(rmdir(directory));
	sea_machine_free(machine);
}
