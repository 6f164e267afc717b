/* SPDX-License-Identifier: Apache-2.0 */
/* What the devices of `sealane run` say, and what it says itself: to a file, to who reads late or no more, as JSON, on a terminal. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "launch.h"

LAUNCH_PLAYS_DEVICES

TEST(lines, "lines of different devices are never mixed, and those of one come in order, whichever output they take")
{
	int next[4] = { 0 };
	char *line, *rest;
	char *text;

	TOPOLOGY({ "talker", "talk", "\"count\": 4" });
	CHECK_EQ(RUN("--quiet"), 0);
	CHECK_STR_EQ(ERR, "");
	text = strdup(OUT);
	CHECK(text);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		int before, id, number, n = 0;

		CHECK_EQ(sscanf(line, "talker%d | talker%d says %d of many%n", &before, &id, &number, &n), 3);
		CHECK_EQ(n, (int)strlen(line));
		CHECK(id >= 0 && id < 4 && before == id);
		CHECK_EQ(number, next[id]++);
	}
	free(text);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(next[i], 500);
}

TEST(long_lines, "a line of more than 64 KiB is cut, a shorter one is not, and one without an end gets it")
{
	const char *out, *end;

	TOPOLOGY({ "x", "long", NULL });
	CHECK_EQ(RUN(), 0);
	out = OUT;
	end = strchr(out, '\n');
	CHECK(end && strncmp(out, "x | lll", 7) == 0);
	CHECK_EQ(end - out, 4 + 65536 + 6);
	CHECK(strncmp(end - 6, " (cut)", 6) == 0);
	CHECK_EQ(strchr(end + 1, '\n') - end, 1 + 4 + 65535);
	CHECK_STR_EQ(strchr(end + 1, '\n') + 1, "x | next\nx | rest\n");
}

TEST(slow_reader, "who does not read our output slows the devices and does not keep us from stopping them")
{
	int fds[2];
	pid_t pid;
	char *path;

	TOPOLOGY({ "one", "flood", NULL }, { "two", "wait", NULL });
	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	path = launch_path("t.json");
	pid = launch_to(fds[1], (const char *const[]){ path, NULL });
	close(fds[1]);
	launch_noted_pid("up", "one");
	launch_noted_pid("up", "two");
	CHECK_SYS(kill(pid, SIGINT));
	/* A flood is ended by SIGINT, the other one says so. */
	CHECK_EVENTUALLY(strstr(NOTES, "down two"));
	CHECK_SYS(kill(pid, SIGINT));
	/* Which was ours. */
	CHECK_EQ(test_wait(pid), 0);
	close(fds[0]);
}

TEST(late_reader, "who reads late gets every line, also when all devices have ended long ago")
{
	static char text[1 << 16];
	size_t n_lines = 0;
	int fds[2];
	ssize_t n;
	pid_t pid;
	char *path;

	/* More than fits into a pipe and into what waits for it: the devices have to wait as well. */
	TOPOLOGY({ "talker", "talk", "\"count\": 32" }, { "last", "wait", NULL });
	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	path = launch_path("t.json");
	pid = launch_to(fds[1], (const char *const[]){ path, NULL });
	close(fds[1]);
	CHECK_SYS(kill(launch_noted_pid("up", "last"), SIGINT));
	CHECK_EVENTUALLY(strstr(ERR, "last: ended"));
	while ((n = read(fds[0], text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			n_lines += text[i] == '\n';
	CHECK_EQ(n_lines, 32 * 500);
	CHECK_EQ(test_wait(pid), 0);
	close(fds[0]);
}

TEST(reader_gone, "when nobody reads our output any more the devices are stopped")
{
	int fds[2];
	pid_t pid;
	char *path;

	TOPOLOGY({ "one", "wait", NULL });
	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	path = launch_path("t.json");
	pid = launch_to(fds[1], (const char *const[]){ path, NULL });
	close(fds[1]);
	launch_noted_pid("up", "one");
	close(fds[0]);
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "nobody reads standard output: stopping");
	CHECK_HAS(NOTES, "down one");
}

TEST(json, "with --json standard output is one object per event, and what devices say is on standard error")
{
	char *text, *line, *rest;

	TOPOLOGY({ "one", "talk", NULL }, { "two", "fail", NULL });
	CHECK_EQ(RUN("--json", "--keep-going"), 1);
	CHECK_HAS(ERR, "one | one says 499 of many\n");
	text = strdup(OUT);
	CHECK(text);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		CHECK(strncmp(line, "{\"event\":\"", 10) == 0);
		CHECK_EQ(line[strlen(line) - 1], '}');
	}
	free(text);
	CHECK_EQ(launch_count(OUT, "\"device\":\"one\",\"pid\":"), 1);
	CHECK_EQ(launch_count(OUT, "\"device\":\"one\",\"code\":0}"), 1);
	CHECK_EQ(launch_count(OUT, "\"device\":\"two\",\"code\":7}"), 1);
	CHECK_HAS(OUT, "\"exit_code\":1,\"failed\":[{\"code\":7,\"device\":\"two\"}]}");
}

/* What came on a terminal, until it has a text in it. */
static void expect_on_terminal(int fd, char *text, size_t n_text, const char *what)
{
	int64_t until_ns = test_now_ns() + test_patience_ns();
	size_t n = strlen(text);

	while (!strstr(text, what)) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };
		ssize_t r = 0;

		if (test_now_ns() > until_ns)
			FAIL("no '%s' in: %s", what, text);
		if (poll(&pollfd, 1, 50) > 0 && (r = read(fd, text + n, n_text - 1 - n)) <= 0)
			FAIL("no '%s' at the end of: %s", what, text);
		n += (size_t)r;
		text[n] = 0;
	}
}

TEST(terminal, "on a terminal there is a line with states and rates at the bottom, names in colour, and Ctrl-C is ours")
{
	struct winsize size = { .ws_row = 24, .ws_col = 120 };
	static char text[65536];
	int fd;
	pid_t pid;

	TOPOLOGY({ "one", "session", NULL }, { "two", "print", NULL });
	pid = forkpty(&fd, NULL, NULL, &size);
	/* A bare container has none. */
	if (pid < 0)
		SKIP("no pseudo terminal here: /dev/pts is not mounted");
	if (pid == 0) {
		setenv("TERM", "xterm", 1);
		unsetenv("NO_COLOR");
		execl(test_command(), "sealane", "run", launch_path("t.json"), (char *)NULL);
		_exit(98);
	}
	expect_on_terminal(fd, text, sizeof(text), "two |\033[0m args");
	expect_on_terminal(fd, text, sizeof(text), "1 of 2 run");
	expect_on_terminal(fd, text, sizeof(text), "1 RUNNING");
	expect_on_terminal(fd, text, sizeof(text), "messages/s");
	CHECK_SYS(write(fd, "\003", 1));
	expect_on_terminal(fd, text, sizeof(text), "interrupted: stopping");
	expect_on_terminal(fd, text, sizeof(text), "one: ended");
	CHECK_EQ(test_wait(pid), 0);
	close(fd);
	CHECK_HAS(NOTES, "down one");
}
