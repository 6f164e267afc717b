/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane run` as a user runs it. Its devices are this very program: with $ROLE set it plays a device instead of running
 * tests, so that a device does exactly what a test needs, at the moment that it needs it.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "test.h"

#define N_OUTPUT (4u << 20)

/* Devices. ------------------------------------------------------------------------------------------------------- */

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

__attribute__((constructor)) static void role_play(int argc, char **argv, char **envp)
{
	const char *role = getenv("ROLE");
	int exit_code = 0;

	(void)envp;
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

/* Files. --------------------------------------------------------------------------------------------------------- */

static char *path_of(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/files/%s", test_runtime_dir(), name);
	return path;
}

static void write_file(const char *name, mode_t mode, const char *text)
{
	char *path = path_of(name);
	int fd;

	mkdir(path_of(""), 0700);
	fd = (int)CHECK_SYS(open(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* What stands in a file so far, in one of a few buffers. */
static const char *read_file(const char *name)
{
	static char *texts[4];
	static unsigned next;
	unsigned i = next++ % 4;
	int fd = open(path_of(name), O_RDONLY);
	size_t n = 0;
	ssize_t r;

	if (!texts[i])
		texts[i] = malloc(N_OUTPUT);
	CHECK(texts[i]);
	while (fd >= 0 && n < N_OUTPUT - 1 && (r = read(fd, texts[i] + n, N_OUTPUT - 1 - n)) > 0)
		n += (size_t)r;
	texts[i][n] = 0;
	if (fd >= 0)
		close(fd);
	return texts[i];
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

#define OUT read_file("out")
#define ERR read_file("err")
#define NOTES read_file("notes")
#define CHECK_HAS(text, what)                                       \
	do {                                                        \
		const char *text_ = (text);                         \
		if (!strstr(text_, what))                           \
			FAIL("no '%s' in: %.4000s", (what), text_); \
	} while (0)
#define CHECK_LACKS(text, what)                                           \
	do {                                                              \
		const char *text_ = (text);                               \
		if (strstr(text_, what))                                  \
			FAIL("there is '%s' in: %.4000s", (what), text_); \
	} while (0)

/* The number behind a word and an id in the notes of the devices. */
static pid_t noted_pid(const char *word, const char *id)
{
	char what[128];
	const char *at;
	int pid = 0;

	snprintf(what, sizeof(what), "%s %s ", word, id);
	CHECK_EVENTUALLY((at = strstr(NOTES, what)) && sscanf(at + strlen(what), "%d\n", &pid) == 1);
	return pid;
}

/* A dead one that nobody has asked about does not run: who asks may be the test runner, later. */
static bool is_running(pid_t pid)
{
	char path[64], stat[512] = "", *end;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	end = n > 0 ? strrchr(stat, ')') : NULL;
	return end && end[1] == ' ' && end[2] != 'Z' && end[2] != 'X';
}

/* Topologies and runs. ------------------------------------------------------------------------------------------- */

/* One device: a role, and more members of the JSON object, or "". */
struct member {
	const char *id, *role, *more;
};

/* All of them are this program. */
static void write_topology(const struct member *members)
{
	char program[512] = "", text[8192];
	size_t n;

	CHECK_SYS(readlink("/proc/self/exe", program, sizeof(program) - 1));
	n = (size_t)snprintf(text, sizeof(text), "{\"fairMQOptions\": {\"devices\": [");
	for (; members->id; members++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"\n{\"id\": \"%s\", \"exec\": \"'%s'\", \"env\": {\"ROLE\": \"%s\", \"OWN\": \"a b\"}%s%s}%s",
			members->id, program, members->role, members->more ? ", " : "",
			members->more ? members->more : "", members[1].id ? "," : "");
	CHECK_LT(n, sizeof(text) - 16);
	strcpy(text + n, "\n]}}\n");
	write_file("t.json", 0600, text);
	setenv("NOTES", path_of("notes"), 1);
}

#define TOPOLOGY(...) write_topology((const struct member[]){ __VA_ARGS__, { 0 } })

#define PUSH_BIND(name, address)                                                                                    \
	"{\"name\": \"" name "\", \"sockets\": [{\"type\": \"push\", \"method\": \"bind\", \"address\": \"" address \
	"\"}]}"
#define PULL_CONNECT(name, address)                                                                                    \
	"{\"name\": \"" name "\", \"sockets\": [{\"type\": \"pull\", \"method\": \"connect\", \"address\": \"" address \
	"\"}]}"

/* `sealane run` with its outputs in files. @param out_fd its standard output instead; -1: the file */
static pid_t start_to(int out_fd, const char *const *arguments)
{
	char *line[32] = { (char *)test_command(), (char *)"run" };
	size_t n = 2;
	pid_t pid;

	while (arguments[n - 2]) {
		line[n] = (char *)arguments[n - 2];
		n++;
	}
	unlink(path_of("out"));
	unlink(path_of("err"));
	pid = (pid_t)CHECK_SYS(fork());
	if (pid == 0) {
		int out = open(path_of("out"), O_WRONLY | O_CREAT | O_APPEND, 0600);
		int err = open(path_of("err"), O_WRONLY | O_CREAT | O_APPEND, 0600);

		if (dup2(out_fd >= 0 ? out_fd : out, 1) < 0 || dup2(err, 2) < 0)
			_exit(99);
		/* As some who start programs do. */
		signal(SIGCHLD, SIG_IGN);
		/* What whoever runs the tests has left open is no business of a device's. */
		close_range(3, ~0u, 0);
		execv(line[0], line);
		_exit(98);
	}
	return pid;
}

static pid_t start(const char *const *arguments)
{
	return start_to(-1, arguments);
}

#define START(...) start((const char *const[]){ path_of("t.json"), __VA_ARGS__ __VA_OPT__(, ) NULL })
#define RUN(...) test_wait(START(__VA_ARGS__))

/* Tests. --------------------------------------------------------------------------------------------------------- */

TEST(command_line, "a device gets its own arguments, its id, the file, the session, static control, and what all get")
{
	char line[2048];

	TOPOLOGY({ "sampler1", "print", "\"args\": [\"--rate\", \"1 000\", \"\"]" });
	CHECK_EQ(RUN("--session", "here", "--", "--severity", "warn"), 0);
	snprintf(
		line, sizeof(line),
		"sampler1 | args <--rate> <1 000> <> <--id> <sampler1> <--mq-config> <%s> <--session> <here> <--control> "
		"<static> <--severity> <warn>\n",
		path_of("t.json"));
	CHECK_HAS(OUT, line);
	CHECK_LACKS(OUT, "--config-key");
}

TEST(environment,
     "a device has its variables, ours, the session, no input, no blocked signals and no descriptors of ours")
{
	signal(SIGPIPE, SIG_IGN);
	TOPOLOGY({ "one", "print", NULL });
	CHECK_EQ(RUN("--session", "here"), 0);
	signal(SIGPIPE, SIG_DFL);
	CHECK_HAS(OUT, "SEALANE_SESSION=here OWN=a b PATH is set\n");
	CHECK_HAS(OUT, "signals free, SIGPIPE deadly, standard input /dev/null\n");
	CHECK_LACKS(OUT, "is left");
}

TEST(count, "copies have numbers, and find their configuration by the id or key of the device")
{
	TOPOLOGY({ "processor", "print", "\"count\": 3" }, { "sink", "print", "\"key\": \"group\"" });
	CHECK_EQ(RUN(), 0);
	for (int i = 0; i < 3; i++) {
		char line[128];

		snprintf(line, sizeof(line), "processor%d | args <--id> <processor%d> <--config-key> <processor> ", i,
		         i);
		CHECK_HAS(OUT, line);
	}
	CHECK_HAS(OUT, "sink       | args <--id> <sink> <--config-key> <group> ");
	CHECK_EQ(count(OUT, "args"), 4);
	CHECK_EQ(RUN("--count", "processor=5"), 0);
	CHECK_EQ(count(OUT, "args"), 6);
}

TEST(cpus, "a device runs on its processors only, each copy on its own if it has a list")
{
	cpu_set_t cpus;
	int first = 0, last = CPU_SETSIZE - 1;
	char more[128], line[128];

	CHECK_SYS(sched_getaffinity(0, sizeof(cpus), &cpus));
	while (!CPU_ISSET(first, &cpus))
		first++;
	while (!CPU_ISSET(last, &cpus))
		last--;
	snprintf(more, sizeof(more), "\"count\": 2, \"cpus\": [\"%d\", \"%d\"]", first, last);
	TOPOLOGY({ "copy", "print", more }, { "free", "print", NULL });
	snprintf(line, sizeof(line), "free=%d-%d", first, first);
	CHECK_EQ(RUN("--cpus", line), 0);
	snprintf(line, sizeof(line), "copy0 | cpus %d\n", first);
	CHECK_HAS(OUT, line);
	snprintf(line, sizeof(line), "copy1 | cpus %d\n", last);
	CHECK_HAS(OUT, line);
	snprintf(line, sizeof(line), "free  | cpus %d\n", first);
	CHECK_HAS(OUT, line);
	TOPOLOGY({ "copy", "print", "\"cpus\": \"1023\"" });
	CHECK_EQ(RUN(), 2);
	CHECK_HAS(ERR, "devices[0].cpus: not all of the processors 1023 are here");
}

TEST(words, "a command is split as a shell does it, and no shell runs it")
{
	char program[512] = "", command[1024];

	CHECK_SYS(readlink("/proc/self/exe", program, sizeof(program) - 1));
	TOPOLOGY({ "one", "print", NULL });
	snprintf(command, sizeof(command), "one='%s' a\\ b \"c 'd\" 'e\\' \"\" $HOME;x \"\\\"\\x\"", program);
	CHECK_EQ(RUN("--exec", command), 0);
	CHECK_HAS(OUT, "args <a b> <c 'd> <e\\> <> <$HOME;x> <\"\\x> <--id>");
	CHECK_EQ(RUN("--exec", "one=a 'b"), 2);
	CHECK_HAS(ERR, "--exec one: a quote or a backslash has no end");
	CHECK_EQ(RUN("--exec", "two=a"), 2);
	CHECK_HAS(ERR, "has no device of that id or key");
}

TEST(found, "a program is found beside the file, in $PATH, or as a command of ours")
{
	write_file("beside.sh", 0700, "#!/bin/sh\necho beside\n");
	write_file(
		"t.json", 0600,
		"{\"fairMQOptions\": {\"devices\": [ {\"id\": \"a\", \"exec\": \"./beside.sh\"},\n"
		"{\"id\": \"b\", \"exec\": \"beside.sh\"}, {\"id\": \"c\", \"exec\": \"sh\", \"args\": [\"-c\", \"echo shell\"]},\n"
		"{\"id\": \"d\", \"exec\": \"sealane help run\"} ]}}");
	CHECK_EQ(RUN(), 0);
	CHECK_HAS(OUT, "a | beside\n");
	CHECK_HAS(OUT, "b | beside\n");
	CHECK_HAS(OUT, "c | shell\n");
	CHECK_HAS(OUT, "d | Usage: sealane run TOPOLOGY.json");
	/* doctor refuses the options of a device, by which it is known that it was called. */
	CHECK_EQ(RUN("-k", "-e", "a=sealane:doctor", "-e", "b=doctor"), 1);
	CHECK_HAS(OUT, "a | sealane doctor: unknown option --id");
	CHECK_HAS(OUT, "b | sealane doctor: unknown option --id");
	CHECK_EQ(RUN("-e", "a=sealane:nothing", "-e", "b=./beside.sh", "-e", "c=no-such-program"), 2);
	CHECK_HAS(ERR, "a: sealane has no command 'nothing'");
	CHECK_HAS(ERR, "b: there is no program './beside.sh'");
	CHECK_HAS(ERR, "c: there is no program 'no-such-program', neither beside the file nor in $PATH");
	CHECK_STR_EQ(OUT, "");
}

TEST(restart_on_failure, "a device that fails is started again until it ends well, and then the run was good")
{
	TOPOLOGY({ "one", "fail-twice", "\"restart\": \"on-failure\"" });
	CHECK_EQ(RUN("--json"), 0);
	CHECK_EQ(count(OUT, "\"event\":\"start\""), 3);
	CHECK_EQ(count(OUT, "\"event\":\"exit\""), 3);
	CHECK_EQ(count(OUT, "\"code\":5"), 2);
	CHECK_EQ(count(OUT, "\"event\":\"restart\""), 2);
	CHECK_HAS(OUT, "\"event\":\"end\"");
	CHECK_HAS(OUT, "\"exit_code\":0,\"failed\":[]}");
}

TEST(restart_always, "a device that ends well is started again as well if it always is, and on failure it is not")
{
	TOPOLOGY({ "one", "end-twice", "\"restart\": \"always\", \"restartMax\": 2" });
	CHECK_EQ(RUN(), 1);
	CHECK_HAS(ERR, "one: exit code 0, starting it again in 0.1 s (restart 1)");
	CHECK_HAS(ERR, "one: exit code 0, starting it again in 0.2 s (restart 2)");
	CHECK_HAS(ERR, "1 of 1 devices failed: one (exit code 6)");
	unlink(path_of("notes-one"));
	CHECK_EQ(RUN("--restart", "one=on-failure"), 0);
	CHECK_LACKS(ERR, "again");
}

TEST(restart_max, "a device that fails too often stops the run, and the exit code and a line tell of it")
{
	TOPOLOGY({ "bad", "fail", "\"restart\": \"on-failure\", \"restartMax\": 1" }, { "good", "wait", NULL });
	CHECK_EQ(RUN(), 1);
	CHECK_EQ(count(NOTES, "life bad"), 2);
	CHECK_HAS(NOTES, "down good");
	CHECK_HAS(ERR, "bad failed: stopping");
	CHECK_HAS(ERR, "1 of 2 devices failed: bad (exit code 7)");
}

TEST(cause, "among those that ended badly the one for whom the others were stopped is named first, and few are")
{
	TOPOLOGY({ "deaf", "hang", "\"count\": 12" }, { "bad", "fail", "\"restart\": \"always\", \"restartMax\": 2" });
	CHECK_EQ(RUN("--stop-timeout", "0"), 1);
	CHECK_HAS(ERR, "13 of 13 devices failed: bad (exit code 7), deaf0 (SIG");
	CHECK_HAS(ERR, " and 5 more\n");
}

TEST(keep_going, "with --keep-going a device that fails stops nobody, and the exit code still tells")
{
	pid_t pid;

	TOPOLOGY({ "bad", "fail", NULL }, { "good", "wait", NULL });
	pid = START("--keep-going");
	CHECK_EVENTUALLY(strstr(ERR, "bad: exit code 7"));
	CHECK_SYS(kill(noted_pid("up", "good"), SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "good: ended");
	CHECK_LACKS(ERR, "stopping");
}

TEST(killed_device, "a device that is killed is started again, and the others do not notice")
{
	pid_t pid, first, other;

	TOPOLOGY({ "one", "wait", "\"restart\": \"on-failure\"" }, { "other", "wait", NULL });
	pid = START();
	first = noted_pid("up", "one");
	other = noted_pid("up", "other");
	CHECK_SYS(kill(first, SIGKILL));
	CHECK_EVENTUALLY(count(NOTES, "up one") == 2);
	CHECK_EQ(count(NOTES, "up other"), 1);
	CHECK_SYS(kill(other, 0));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_HAS(ERR, "one: SIGKILL, starting it again in 0.1 s (restart 1)");
	CHECK_HAS(NOTES, "down other");
}

TEST(order, "one Ctrl-C stops sources first, then along the graph, wherever they stand in the file")
{
	const char *notes, *sink, *processor0, *processor1, *sampler;
	pid_t pid;

	TOPOLOGY({ "sink", "wait", "\"channels\": [" PULL_CONNECT("in", "ipc://out") "]" },
	         { "processor", "wait",
	           "\"count\": 2, \"channels\": [" PULL_CONNECT("data", "tcp://localhost:5555") ", " PUSH_BIND(
			   "out", "ipc://out") "]" },
	         { "sampler", "wait", "\"channels\": [" PUSH_BIND("data", "tcp://*:5555") "]" });
	pid = START();
	CHECK_EVENTUALLY(count(NOTES, "up ") == 4);
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	notes = NOTES;
	sampler = strstr(notes, "down sampler\n");
	processor0 = strstr(notes, "down processor0\n");
	processor1 = strstr(notes, "down processor1\n");
	sink = strstr(notes, "down sink\n");
	CHECK(sampler && processor0 && processor1 && sink);
	CHECK(sampler < processor0 && sampler < processor1);
	CHECK(processor0 < sink && processor1 < sink);
	CHECK_HAS(ERR, "interrupted: stopping");
}

TEST(circle, "devices that send to each other are stopped as well, and so is one that nobody knows")
{
	pid_t pid;

	TOPOLOGY({ "a", "wait", "\"channels\": [" PULL_CONNECT("in", "ipc://b") ", " PUSH_BIND("out", "ipc://a") "]" },
	         { "b", "wait", "\"channels\": [" PULL_CONNECT("in", "ipc://a") ", " PUSH_BIND("out", "ipc://b") "]" },
	         { "c", "wait", NULL });
	pid = START();
	CHECK_EVENTUALLY(count(NOTES, "up ") == 3);
	CHECK_SYS(kill(pid, SIGTERM));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EQ(count(NOTES, "down "), 3);
	CHECK_HAS(ERR, "told to end: stopping");
}

TEST(stop_timeout, "who does not end in time is killed, and the exit code tells")
{
	pid_t pid;

	TOPOLOGY({ "deaf", "hang", NULL });
	pid = START("--stop-timeout", "0.1");
	noted_pid("up", "deaf");
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "deaf: does not end, killing it");
	CHECK_HAS(ERR, "1 of 1 devices failed: deaf (SIGKILL)");
}

TEST(second_signal, "a second Ctrl-C kills at once")
{
	pid_t pid;

	TOPOLOGY({ "deaf", "hang", NULL }, { "deafer", "hang", "\"count\": 3" });
	pid = START("--stop-timeout", "1000");
	CHECK_EVENTUALLY(count(NOTES, "up ") == 4);
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EVENTUALLY(strstr(ERR, "interrupted: stopping"));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "4 of 4 devices failed: deaf (SIGKILL)");
}

TEST(stopped_device, "a device that a debugger or SIGSTOP has stopped is ended as well")
{
	pid_t pid, device;

	TOPOLOGY({ "one", "wait", NULL });
	pid = START("--stop-timeout", "1000");
	device = noted_pid("up", "one");
	CHECK_SYS(kill(device, SIGSTOP));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_HAS(NOTES, "down one");
}

TEST(no_restart_while_stopping, "what waits for its restart when all is stopped is not started any more")
{
	pid_t pid;

	TOPOLOGY({ "bad", "fail", "\"restart\": \"always\"" }, { "good", "wait", NULL });
	pid = START("--json");
	/* Then it waits for 0.8 s. */
	CHECK_EVENTUALLY(strstr(ERR, "(restart 4)"));
	CHECK_EVENTUALLY(strstr(NOTES, "up good"));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(OUT, "\"event\":\"stop\"");
	CHECK_LACKS(strstr(OUT, "\"event\":\"stop\""), "\"event\":\"start\"");
}

TEST(timeout, "--timeout ends the run as Ctrl-C does, and that is no failure")
{
	int exit_code;

	TOPOLOGY({ "one", "wait", NULL });
	exit_code = RUN("--timeout", "0.5");
	CHECK_HAS(ERR, "time is up: stopping");
	/* On a machine with much else to do it may not have come so far as to wait for SIGINT. */
	if (strstr(NOTES, "up one"))
		CHECK_EQ(exit_code, 0);
}

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
	path = path_of("t.json");
	pid = start_to(fds[1], (const char *const[]){ path, NULL });
	close(fds[1]);
	noted_pid("up", "one");
	noted_pid("up", "two");
	CHECK_SYS(kill(pid, SIGINT));
	/* A flood is ended by SIGINT, the other one says so. */
	CHECK_EVENTUALLY(strstr(NOTES, "down two"));
	CHECK_SYS(kill(pid, SIGINT));
	/* Which was ours. */
	CHECK_EQ(test_wait(pid), 0);
	close(fds[0]);
}

TEST(until, "a run is over when the device that was named has ended, and has failed if it does not end in time")
{
	const char *path;

	TOPOLOGY({ "one", "wait", NULL }, { "two", "good", NULL });
	path = path_of("t.json");
	CHECK_EQ(test_wait(start((const char *const[]){ path, "--until", "two", NULL })), 0);
	CHECK_HAS(ERR, "two has ended: stopping");
	CHECK_EQ(test_wait(start((const char *const[]){ path, "--until", "one", "--timeout", "0.2", NULL })), 1);
	CHECK_HAS(ERR, "one had not ended when the time was up");
	CHECK_EQ(test_wait(start((const char *const[]){ path, "--until", "three", NULL })), 2);
	CHECK_HAS(ERR, "there is no device three");
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
	path = path_of("t.json");
	pid = start_to(fds[1], (const char *const[]){ path, NULL });
	close(fds[1]);
	CHECK_SYS(kill(noted_pid("up", "last"), SIGINT));
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
	path = path_of("t.json");
	pid = start_to(fds[1], (const char *const[]){ path, NULL });
	close(fds[1]);
	noted_pid("up", "one");
	close(fds[0]);
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "nobody reads standard output: stopping");
	CHECK_HAS(NOTES, "down one");
}

TEST(forked, "what a device has started ends with it, in its process group or out of it")
{
	pid_t pid, child, away;

	TOPOLOGY({ "one", "fork", NULL }, { "two", "fork-away", NULL });
	pid = START();
	noted_pid("up", "one");
	child = noted_pid("child", "one");
	away = noted_pid("child", "two");
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK(!is_running(child));
	CHECK(!is_running(away));
	CHECK_HAS(OUT, "two | unfinished\n");
}

TEST(forked_and_ended, "what a device leaves in its process group is gone before another life of it begins")
{
	pid_t pid;

	TOPOLOGY({ "one", "fork-end", NULL }, { "two", "wait", NULL });
	pid = START();
	CHECK_EVENTUALLY(strstr(ERR, "one: ended"));
	CHECK_EVENTUALLY(!is_running(noted_pid("child", "one")));
	CHECK_SYS(kill(noted_pid("up", "two"), SIGINT));
	CHECK_EQ(test_wait(pid), 0);
}

TEST(killed_run, "when sealane run is killed, no device and nothing in its group stays")
{
	pid_t pid, device, child;

	TOPOLOGY({ "one", "fork", NULL }, { "two", "hang", "\"count\": 3" });
	pid = START();
	device = noted_pid("up", "one");
	child = noted_pid("child", "one");
	CHECK_EVENTUALLY(count(NOTES, "up two") == 3);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_EVENTUALLY(!is_running(device) && !is_running(child));
	/* And the harness sees that nothing else stays either. */
}

/* A child of a process by its name. */
static pid_t child_of(pid_t parent, const char *name)
{
	char path[64], line[64];
	int pid = 0, found = 0;
	FILE *children;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	children = fopen(path, "r");
	while (children && !found && fscanf(children, "%d", &pid) == 1) {
		FILE *comm;

		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		comm = fopen(path, "r");
		if (comm && fgets(line, sizeof(line), comm) && strncmp(line, name, strlen(name)) == 0)
			found = pid;
		if (comm)
			fclose(comm);
	}
	if (children)
		fclose(children);
	return found;
}

TEST(killed_guard, "when the guard is killed and then sealane run, no device stays either")
{
	pid_t pid, guard;

	TOPOLOGY({ "two", "hang", "\"count\": 3" });
	pid = START();
	CHECK_EVENTUALLY(count(NOTES, "up two") == 3);
	guard = child_of(pid, "sealane-guard");
	if (!guard) {
		test_kill(pid);
		SKIP("this kernel does not list children in /proc");
	}
	CHECK_SYS(kill(guard, SIGKILL));
	CHECK_EVENTUALLY(!is_running(guard));
	CHECK_EQ(test_kill(pid), -SIGKILL);
	for (int i = 0; i < 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "two%d", i);
		CHECK_EVENTUALLY(!is_running(noted_pid("up", id)));
	}
}

TEST(killed_run_at_any_moment, "nor does it when that happens while devices are started, restarted and stopped")
{
	TOPOLOGY({ "one", "fork", NULL }, { "bad", "fail", "\"count\": 3, \"restart\": \"always\"" },
	         { "two", "wait", "\"count\": 3" });
	for (int i = 0; i < 20; i++) {
		pid_t pid = START();

		test_sleep_ms((int64_t)(test_random() % 30));
		if (i % 2)
			kill(pid, SIGINT);
		test_kill(pid);
	}
}

TEST(malformed, "what is wrong in a file is said with its place, all of it, and nothing is started")
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "{\"fairMQOptions\": {\n\"devices\": [", "t.json:2:" },
		{ "", "t.json:1:" },
		{ "[]", "t.json:1:1: fairMQOptions.devices: is no list of devices" },
		{ "{\"fairMQOptions\":\n  {\"devices\": {}}}",
		  "t.json:2:15: fairMQOptions.devices: is no list of devices" },
		{ "{\"fairMQOptions\": {\"devices\": []}}", "is no list of devices" },
	};
	static const char wrong[] =
		"{ \"fairMQOptions\": { \"devices\": [\n"
		"  { \"exec\": \"true\" },\n"
		"  { \"id\": \"b\", \"count\": 0, \"exec\": \"true\" },\n"
		"  { \"id\": \"c\", \"restart\": \"often\", \"exec\": \"true 'x\" },\n"
		"  { \"id\": \"d\", \"args\": \"x\",\n"
		"    \"env\": { \"A\": 1 }, \"exec\": \"no-such-program\", \"cpus\": \"zero\" },\n"
		"  { \"id\": \"e\" }, 5,\n"
		"  { \"id\": \"f\", \"exec\": \"true\", \"args\": [ \"\\\"[{,\", 3 ], \"restartMax\": -1,\n"
		"    \"channels\": [ { \"name\": \"n\", \"type\": \"pus\" }, { \"sockets\": 1 },\n"
		"      { \"name\": \"m\", \"sockets\": [ { }, { \"method\": \"bin\" }, { \"address\": 7 } ] } ] },\n"
		"  { \"id\": \"g\", \"exec\": \"true\" }, { \"id\": \"g\", \"exec\": \"true\" }\n"
		"] } }\n";
	static const char *const said[] = {
		":2:3: devices[0]: has neither id nor key\n",
		":3:25: devices[1].count: is no number from 1 to 4096\n",
		":4:27: devices[2].restart: 'often' is none of never, on-failure, always\n",
		":4:44: devices[2].exec: a quote or a backslash has no end\n",
		":5:24: devices[3].args: is no list of texts",
		":6:19: devices[3].env.A: is no text; numbers want quotes\n",
		":6:59: devices[3].cpus: is no list of processors such as 0-3,6\n",
		":6:32: devices[3].exec: there is no program 'no-such-program', neither beside the file nor in $PATH\n",
		":7:3: devices[4]: e does not say what to start: exec, or --exec e=COMMAND\n",
		":7:18: devices[5]: is no object\n",
		":8:51: devices[6].args[1]: is no text; numbers want quotes\n",
		":8:70: devices[6].restartMax: is no number from 0\n",
		":9:42: devices[6].channels[0].type: 'pus' is no type of a channel",
		":9:51: devices[6].channels[1]: has no name\n",
		":10:52: devices[6].channels[2].sockets[1].method: 'bin' is neither bind nor connect\n",
		":10:74: devices[6].channels[2].sockets[2].address: is no text\n",
		":11:34: devices[8]: there are two devices 'g'\n",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file("t.json", 0600, cases[i].text);
		CHECK_EQ(RUN(), 2);
		CHECK_HAS(ERR, cases[i].said);
		CHECK_HAS(ERR, "nothing was started");
	}
	write_file("t.json", 0600, wrong);
	CHECK_EQ(RUN(), 2);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		CHECK_HAS(ERR, said[i]);
	CHECK_STR_EQ(OUT, "");
	unlink(path_of("t.json"));
	CHECK_EQ(RUN(), 2);
	CHECK_HAS(ERR, "No such file or directory");
}

TEST(channels, "channels that no device could open are found before anything is started, those of all devices")
{
	TOPOLOGY(
		{ "a", "print",
	          "\"channels\": [{\"name\": \"n\", \"type\": \"push\", \"sndBufSize\": -1, \"address\": \"@ipc://a\"}]" },
		{ "b", "print", "\"channels\": [{\"name\": \"n\", \"type\": \"push\", \"address\": \"ipc://b\"}]" },
		{ "c", "print", "\"channels\": [{\"name\": \"n\", \"type\": \"push\", \"method\": \"bind\"}]" });
	CHECK_EQ(RUN(), 2);
	CHECK_HAS(ERR, "devices[0].channels[0].sndBufSize: ");
	CHECK_HAS(ERR, "devices[1].channels: n[0]: method: ");
	CHECK_HAS(ERR, "2 errors, nothing was started");
	CHECK_STR_EQ(OUT, "");
}

TEST(unknown_key, "a key that is not known is a warning, and an error with --strict")
{
	TOPOLOGY({ "one", "print", "\"restrat\": \"always\", \"_comment\": \"x\"" });
	CHECK_EQ(RUN(), 0);
	CHECK_HAS(ERR, "devices[0].restrat: is no key that is known here");
	CHECK_HAS(ERR, "devices[0]._comment: is no key that is known here");
	CHECK_HAS(OUT, "args");
	CHECK_EQ(RUN("--strict"), 2);
	CHECK_HAS(ERR, "devices[0].restrat: is no key that is known here");
	CHECK_STR_EQ(OUT, "");
}

TEST(usage, "a command line that means nothing is refused")
{
	TOPOLOGY({ "one", "print", NULL });
	CHECK_EQ(RUN("--timeout", "soon"), 2);
	CHECK_EQ(RUN("--session", "../up"), 2);
	CHECK_EQ(RUN("--exec", "one"), 2);
	CHECK_EQ(RUN("--count", "one=many"), 2);
	CHECK_EQ(RUN("--restart", "one=often"), 2);
	CHECK_EQ(RUN("another.json"), 2);
	CHECK_EQ(test_wait(start((const char *const[]){ "--quiet", NULL })), 2);
	CHECK_STR_EQ(OUT, "");
}

TEST(unstartable, "a program that the kernel refuses is a failure that says why")
{
	write_file("bad.sh", 0700, "#!/no/such/interpreter\n");
	write_file(
		"t.json", 0600,
		"{\"fairMQOptions\": {\"devices\": [ {\"id\": \"a\", \"exec\": \"./bad.sh\", \"restart\": \"always\", "
		"\"restartMax\": 1} ]}}");
	CHECK_EQ(RUN(), 1);
	CHECK_EQ(count(ERR, "starting it again"), 1);
	CHECK_HAS(ERR, "1 of 1 devices failed: a (cannot be started: No such file or directory)");
	CHECK_EQ(RUN("--json"), 1);
	CHECK_HAS(OUT, "\"event\":\"exit\"");
	CHECK_HAS(OUT, "\"error\":\"No such file or directory\"");
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
	CHECK_EQ(count(OUT, "\"device\":\"one\",\"pid\":"), 1);
	CHECK_EQ(count(OUT, "\"device\":\"one\",\"code\":0}"), 1);
	CHECK_EQ(count(OUT, "\"device\":\"two\",\"code\":7}"), 1);
	CHECK_HAS(OUT, "\"exit_code\":1,\"failed\":[{\"code\":7,\"device\":\"two\"}]}");
}

TEST(dry_run, "--dry-run prints lines that a shell takes, and starts nothing")
{
	char line[1024];

	TOPOLOGY({ "one", "fail", "\"args\": [\"it's\"]" });
	CHECK_EQ(RUN("--dry-run", "--session", "here"), 0);
	CHECK_HAS(OUT, "SEALANE_SESSION=here ROLE=fail OWN='a b' ");
	CHECK_HAS(OUT, " 'it'\\''s' --id one --mq-config ");
	CHECK_STR_EQ(NOTES, "");
	snprintf(line, sizeof(line), "sh '%s'", path_of("out"));
	CHECK_EQ(system(line), 7 << 8);
	CHECK_STR_EQ(NOTES, "life one\n");
}

TEST(dot, "--dot prints who sends to whom, which end is bound, and copies once, also of a file for another machine")
{
	write_file(
		"t.json", 0600,
		"{\"fairMQOptions\": {\"devices\": [\n"
		"{\"id\": \"sampler1\", \"channels\": [" PUSH_BIND(
			"data1",
			"tcp://*:5555") "]},\n"
					"{\"key\": \"processor\", \"count\": 3, \"channels\": [" PULL_CONNECT(
						"data1",
						"tcp://localhost:5555") ",\n"
									" {\"name\": \"data2\", \"type\": \"push\", \"method\": \"connect\", \"address\": \"ipc://x\"}]},\n"
									"{\"id\": \"sink\", \"channels\": [ {\"name\": \"in\", \"type\": \"pull\", \"address\": \"@ipc://x,>ipc://y\"},\n"
									" {\"name\": \"ctl\", \"type\": \"pair\", \"method\": \"bind\", \"address\": \"ipc://c\"} ]},\n"
									"{\"id\": \"boss\", \"cpus\": \"1023\", \"channels\": [ {\"name\": \"ctl\", \"type\": \"pair\", \"method\": \"connect\", "
									"\"address\": \"ipc://c\"} ]} ]}}");
	CHECK_EQ(RUN("--dot"), 0);
	CHECK_HAS(OUT, "\"processor\" [label=\"processor x3\"];");
	CHECK_HAS(
		OUT,
		"\"sampler1\" -> \"processor\" [dir=both, label=\"data1\\ntcp://*:5555\", arrowtail=dot, arrowhead=normal];");
	CHECK_HAS(
		OUT,
		"\"processor\" -> \"sink\" [dir=both, label=\"data2 - in\\nipc://x\", arrowtail=none, arrowhead=dotnormal];");
	CHECK_HAS(OUT,
	          "\"sink\" -> \"boss\" [dir=both, label=\"ctl\\nipc://c\", arrowtail=dotnormal, arrowhead=normal];");
	CHECK_HAS(OUT, "label=\"ipc://y\"];");
	CHECK_EQ(count(OUT, "->"), 4);
	if (system("command -v dot >/dev/null 2>&1") == 0) {
		char line[1024];

		snprintf(line, sizeof(line), "dot -Tsvg '%s' >/dev/null", path_of("out"));
		CHECK_EQ(system(line), 0);
	}
}

TEST(real, "real data goes from one device to another, in a fresh session of which nothing is left")
{
	char text[2048];

	write_file("data", 0600, "what is sent");
	snprintf(
		text, sizeof(text),
		"{\"fairMQOptions\": {\"devices\": [\n"
		"{\"id\": \"send\", \"exec\": \"sh\", \"args\": [\"-c\", \"exec '%s' send '%s' --to here --quiet\"]},\n"
		"{\"id\": \"recv\", \"exec\": \"sh\", \"args\": [\"-c\", \"exec '%s' recv --from here --out '%s' --quiet\"]} ]}}",
		test_command(), path_of("data"), test_command(), path_of("copy"));
	write_file("t.json", 0600, text);
	CHECK_EQ(RUN(), 0);
	CHECK_STR_EQ(read_file("copy/data"), "what is sent");
	/* No folder of a session: only files/, which is ours. */
	snprintf(text, sizeof(text), "[ \"$(ls -A '%s')\" = files ]", test_runtime_dir());
	CHECK_EQ(system(text), 0);
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
		execl(test_command(), "sealane", "run", path_of("t.json"), (char *)NULL);
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
