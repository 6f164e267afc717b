/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices that `sealane run` starts in these tests. $ROLE says what one does; all write what they see into one file,
 * $NOTES. They run in a constructor, before the harness, and end in it.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "launch.h"

static const char *role_id = "";

/* Adds a line to a file that all devices of a test share; whole, and in order. */
static void role_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void role_note(const char *format, ...)
{
	char line[512];
	int fd = open(getenv("NOTES"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	strcat(line, "\n");
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		_exit(90);
	close(fd);
}

/* So many lives it has had, this one included. */
static int role_count_lives(void)
{
	char path[512];
	struct stat stat_buffer;
	int fd;

	snprintf(path, sizeof(path), "%s-%s", getenv("NOTES"), role_id);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &stat_buffer) < 0)
		_exit(91);
	close(fd);
	return (int)stat_buffer.st_size;
}

/* Until it is told to end. SIGINT is blocked before anybody can know that we are here. */
static void role_wait(void)
{
	sigset_t signals;
	int number;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	role_note("up %s %d", role_id, (int)getpid());
	sigwait(&signals, &number);
	role_note("down %s", role_id);
}

/* One that monitors can see. */
static void role_join(void)
{
	struct sea_session *session;
	sigset_t signals;

	/* Before there is another thread. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (sea_session_open(&session, NULL) < 0 || sea_session_set_state(session, "RUNNING") < 0)
		_exit(89);
	role_wait();
	sea_session_close(session);
}

static void role_hang(void)
{
	signal(SIGINT, SIG_IGN);
	role_note("up %s %d", role_id, (int)getpid());
	for (;;)
		pause();
}

/* Numbered lines, each in two writes, so that those of others could come between. */
static void role_talk(int n_lines)
{
	for (int i = 0; i < n_lines; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "%s says %d of many\n", role_id, i);

		if (write(1 + i % 2, line, 7) != 7 || write(1 + i % 2, line + 7, (size_t)n - 7) != n - 7)
			_exit(92);
	}
}

/* A line that is too long, one that is as long as may be but one, and one that does not end. */
static void role_long(void)
{
	char *line = malloc(200001);

	memset(line, 'l', 200000);
	line[200000] = '\n';
	for (size_t at = 0; at < 200001;) {
		ssize_t n = write(1, line + at, 200001 - at);

		if (n <= 0)
			_exit(93);
		at += (size_t)n;
	}
	line[65535] = '\n';
	if (write(1, line, 65536) != 65536 || write(1, "next\r\nrest", 10) != 10)
		_exit(94);
	free(line);
}

/* A process of its own that stays, in its group or out of it. */
static void role_fork(bool leaves_group)
{
	int fds[2];
	char byte;

	if (pipe(fds) < 0)
		_exit(95);
	/* Who is told of the child may interrupt us at once. */
	if (leaves_group)
		signal(SIGINT, SIG_IGN);
	if (fork() == 0) {
		if (leaves_group)
			setsid();
		role_note("child %s %d", role_id, (int)getpid());
		close(fds[0]);
		close(fds[1]);
		signal(SIGINT, SIG_IGN);
		for (;;)
			pause();
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 0)
		_exit(96);
	close(fds[0]);
}

static void role_print_cpus(void)
{
	cpu_set_t cpus;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	printf("cpus");
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &cpus))
			printf(" %d", i);
	printf("\n");
}

static void role_print_all(int argc, char **argv)
{
	sigset_t blocked;
	char target[256] = "";

	printf("args");
	for (int i = 1; i < argc; i++)
		printf(" <%s>", argv[i]);
	printf("\nSEALANE_SESSION=%s OWN=%s PATH %s\n", getenv("SEALANE_SESSION"), getenv("OWN"),
	       getenv("PATH") ? "is set" : "is not set");
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	if (readlink("/proc/self/fd/0", target, sizeof(target) - 1) < 0)
		_exit(97);
	printf("signals %s, SIGPIPE %s, standard input %s\n", sigisemptyset(&blocked) ? "free" : "blocked",
	       signal(SIGPIPE, SIG_DFL) == SIG_DFL ? "deadly" : "ignored", target);
	for (int fd = 3; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("descriptor %d is left\n", fd);
	role_print_cpus();
}

void launch_play_device(int argc, char **argv)
{
	const char *role = getenv("ROLE");
	int exit_code = 0;

	if (!role)
		return;
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--id") == 0)
			role_id = argv[i + 1];
	if (strcmp(role, "wait") == 0) {
		role_wait();
	} else if (strcmp(role, "session") == 0) {
		role_join();
	} else if (strcmp(role, "hang") == 0) {
		role_hang();
	} else if (strcmp(role, "talk") == 0) {
		role_talk(500);
	} else if (strcmp(role, "flood") == 0) {
		role_note("up %s %d", role_id, (int)getpid());
		role_talk(1 << 30);
	} else if (strcmp(role, "long") == 0) {
		role_long();
	} else if (strcmp(role, "print") == 0) {
		role_print_all(argc, argv);
	} else if (strcmp(role, "fail") == 0) {
		role_note("life %s", role_id);
		exit_code = 7;
	} else if (strcmp(role, "fail-twice") == 0) {
		exit_code = role_count_lives() <= 2 ? 5 : 0;
	} else if (strcmp(role, "end-twice") == 0) {
		exit_code = role_count_lives() <= 2 ? 0 : 6;
	} else if (strcmp(role, "fork") == 0) {
		role_fork(false);
		role_wait();
	} else if (strcmp(role, "fork-away") == 0) {
		/* Its child has the pipe as well: there is no end to be read. */
		role_fork(true);
		printf("unfinished");
	} else if (strcmp(role, "fork-end") == 0) {
		role_fork(false);
	}
	fflush(NULL);
	_exit(exit_code);
}
