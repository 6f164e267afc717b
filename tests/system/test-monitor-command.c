/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane monitor` and `sealane top` as a user runs them: one test per row of the table in docs/monitor.md, and the full screen through a pty. */
#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define N_OUTPUT 65536

/* A running command, its standard output and what came of it so far. */
struct command {
	pid_t pid;
	int fd;
	char text[N_OUTPUT];
	size_t n;
};

/* @param n_columns of its terminal; 0: it has none */
static struct command *command_start(const char *const *arguments, unsigned short n_columns)
{
	struct command *command = calloc(1, sizeof(*command));
	char *line[16] = { (char *)test_command() };
	struct winsize size = { .ws_row = 24, .ws_col = n_columns };
	int fds[2] = { -1, -1 };

	CHECK(command);
	for (size_t i = 0; arguments[i]; i++)
		line[i + 1] = (char *)arguments[i];
	if (n_columns) {
		command->pid = forkpty(&command->fd, NULL, NULL, &size);
		/* A bare container has none. */
		if (command->pid < 0)
			SKIP("no pseudo terminal here: /dev/pts is not mounted");
	} else {
		CHECK_SYS(pipe2(fds, O_CLOEXEC));
		command->pid = CHECK_SYS(fork());
		command->fd = fds[0];
	}
	if (command->pid == 0) {
		setenv("TERM", "xterm", 1);
		if (!n_columns && (dup2(fds[1], STDOUT_FILENO) < 0 || dup2(fds[1], STDERR_FILENO) < 0))
			_exit(99);
		execv(line[0], line);
		_exit(98);
	}
	if (fds[1] >= 0)
		close(fds[1]);
	return command;
}

#define START(...) command_start((const char *const[]){ __VA_ARGS__, NULL }, 0)
#define START_ON_TERMINAL(n_columns, ...) command_start((const char *const[]){ __VA_ARGS__, NULL }, n_columns)

/* Reads what there is, for so long at most. @return false at the end */
static bool command_read(struct command *command, int timeout_ms)
{
	struct pollfd pollfd = { .fd = command->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&pollfd, 1, timeout_ms) <= 0)
		return true;
	CHECK_LT(command->n, N_OUTPUT - 1);
	n = read(command->fd, command->text + command->n, N_OUTPUT - 1 - command->n);
	if (n > 0)
		command->n += (size_t)n;
	command->text[command->n] = 0;
	return n > 0;
}

/* Reads until a text has come. */
static void command_expect(struct command *command, const char *text)
{
	int64_t until_ns = test_now_ns() + test_patience_ns();

	while (!strstr(command->text, text))
		if (!command_read(command, 50) || test_now_ns() > until_ns)
			FAIL("no '%s' in: %s", text, command->text);
}

/* Forgets what came so far. */
static void command_forget(struct command *command)
{
	command->n = 0;
	command->text[0] = 0;
}

/* Whether its terminal takes lines and echoes them, as it did before. */
static bool command_is_cooked(const struct command *command)
{
	struct termios termios;

	CHECK_SYS(tcgetattr(command->fd, &termios));
	return termios.c_lflag & ICANON && termios.c_lflag & ECHO;
}

/* Reads to the end. @return exit code */
static int command_end(struct command *command)
{
	while (command_read(command, 1000))
		;
	close(command->fd);
	return test_wait(command->pid);
}

static int run(char text[static N_OUTPUT], const char *const *arguments)
{
	struct command *command = command_start(arguments, 0);
	int exit_code = command_end(command);

	memcpy(text, command->text, N_OUTPUT);
	free(command);
	return exit_code;
}

static char output[N_OUTPUT];

#define RUN(...) run(output, (const char *const[]){ "monitor", __VA_ARGS__, NULL })
#define CHECK_HAS(text) (strstr(output, text) ? (void)0 : FAIL("no '%s' in: %s", text, output))
#define CHECK_LACKS(text) (!strstr(output, text) ? (void)0 : FAIL("'%s' in: %s", text, output))

struct scene {
	struct test_step ready, go;
};

static void scene_process(void *arg)
{
	struct scene *scene = arg;
	struct sea_session_options options = { .process_name = "watched" };
	struct sea_session *session;
	struct sea_channel *channel;

	CHECK_OK(sea_session_open(&session, &options));
	CHECK_OK(sea_channel_new(&channel, session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_bind(channel, "here"));
	CHECK_OK(sea_session_set_state(session, "READY"));
	test_step_signal(&scene->ready, 1);
	test_step_wait(&scene->go);
	sea_channel_close(channel);
	sea_session_close(session);
}

static struct scene *scene_start(pid_t *ret_pid)
{
	struct scene *scene = test_shared(sizeof(*scene));

	test_step_init(&scene->ready);
	test_step_init(&scene->go);
	*ret_pid = test_fork(scene_process, scene);
	test_step_wait(&scene->ready);
	return scene;
}

static void scene_end(struct scene *scene, pid_t pid)
{
	test_step_signal(&scene->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	test_step_fini(&scene->ready);
	test_step_fini(&scene->go);
}

/* Kills the process; its files stay. */
static void scene_kill(struct scene *scene, pid_t pid)
{
	test_kill(pid);
	test_step_fini(&scene->ready);
	test_step_fini(&scene->go);
}

TEST(default_runs,
     "without options it runs until ended, says who comes, stops and dies, and removes the dead one's files")
{
	struct command *command = START("monitor");
	pid_t pid;
	struct scene *scene = scene_start(&pid);

	command_expect(command, "watched, pid");
	command_expect(command, "joined");
	rig_stop(pid);
	command_expect(command, "stopped");
	scene_kill(scene, pid);
	command_expect(command, "dead");
	command_expect(command, "removed p-");
	command_expect(command, "removed c-here");
	CHECK_SYS(kill(command->pid, SIGTERM));
	CHECK_EQ(command_end(command), 0);
	free(command);
}

TEST(timeout_row, "with --timeout a living process whose heartbeat is older is shown as hanging")
{
	struct command *command = START("monitor", "--timeout", "1");
	pid_t pid;
	struct scene *scene = scene_start(&pid);

	command_expect(command, "hanging");
	CHECK_SYS(kill(command->pid, SIGINT));
	CHECK_EQ(command_end(command), 0);
	free(command);
	scene_end(scene, pid);
}

TEST(self_destruct, "--self-destruct ends with the session's last process")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);
	struct command *command = START("monitor", "--self-destruct");

	command_expect(command, "joined");
	scene_end(scene, pid);
	CHECK_EQ(command_end(command), 0);
	free(command);
}

TEST(self_destruct_dead, "--self-destruct removes what the last one left when it was killed, and ends")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);
	struct command *command = START("monitor", "-x");

	command_expect(command, "joined");
	scene_kill(scene, pid);
	CHECK_EQ(command_end(command), 0);
	CHECK(strstr(command->text, "removed p-"));
	free(command);
}

TEST(self_destruct_nobody, "--self-destruct ends after the timeout when nobody comes")
{
	CHECK_EQ(RUN("--self-destruct", "--timeout", "300"), 0);
	CHECK_STR_EQ(output, "");
}

TEST(view, "--view shows the session once and removes nothing")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);

	CHECK_EQ(RUN("--view"), 0);
	CHECK_HAS("1 living, 0 leftovers");
	CHECK_HAS("watched");
	scene_kill(scene, pid);
	CHECK_EQ(RUN("--view"), 0);
	CHECK_HAS("0 living, 3 leftovers");
	CHECK_EQ(RUN("--view"), 0);
	CHECK_HAS("c-here");
}

TEST(cleanup,
     "--cleanup removes what is dead, lists the living, and fails if there are any, whatever else is asked for")
{
	pid_t pid, dead;
	struct scene *doomed = scene_start(&dead), *scene;
	struct sea_session_options options = { .process_name = "second" };
	struct sea_session *session;

	scene_kill(doomed, dead);
	CHECK_EQ(RUN("--cleanup", "--self-destruct", "--interactive", "--view"), 0);
	CHECK_HAS("removed c-here");
	CHECK_EQ(RUN("-c"), 0);
	CHECK_STR_EQ(output, "");
	scene = scene_start(&pid);
	CHECK_OK(sea_session_open(&session, &options));
	CHECK_EQ(RUN("--cleanup"), 1);
	CHECK_HAS("living  watched");
	CHECK_HAS("living  second");
	CHECK_LACKS("removed");
	CHECK_EQ(RUN("--cleanup", "--json"), 1);
	CHECK_HAS("\"removed\":[]");
	sea_session_close(session);
	scene_end(scene, pid);
}

TEST(list_all, "--list-all has a line for each session, --session and --segment-name choose one")
{
	struct sea_session_options options[2] = { { .name = "one", .process_name = "first" },
		                                  { .name = "two", .process_name = "second" } };
	struct sea_session *sessions[2];

	for (int i = 0; i < 2; i++)
		CHECK_OK(sea_session_open(&sessions[i], &options[i]));
	CHECK_EQ(RUN("--list-all"), 0);
	CHECK_HAS("one ");
	CHECK_HAS("two ");
	CHECK_EQ(RUN("--list-all", "--json"), 0);
	CHECK_HAS("{\"session\":\"one\",\"living\":1,\"leftovers\":0}");
	CHECK_EQ(RUN("--view", "--session", "one"), 0);
	CHECK_HAS("first");
	CHECK_LACKS("second");
	CHECK_EQ(RUN("--view", "--segment-name", "two"), 0);
	CHECK_HAS("second");
	CHECK_LACKS("first");
	for (int i = 0; i < 2; i++)
		sea_session_close(sessions[i]);
}

TEST(json, "--json is one object with everything in it")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);

	CHECK_EVENTUALLY(RUN("--json") == 0 && strstr(output, "\"name\":\"here\",\"bound\":true"));
	CHECK_HAS("\"state\":\"READY\"");
	CHECK_HAS("\"condition\":\"running\"");
	CHECK_HAS("\"in_flight\":0,");
	CHECK_HAS("\"in_flight_holder\":null");
	CHECK_HAS("\"transport\":\"memory\"");
	CHECK_HAS("\"received_per_s\":0");
	CHECK_HAS("\"latency_ns\":-1");
	CHECK_EQ(strchr(output, '\n') - output, (ptrdiff_t)strlen(output) - 1);
	scene_end(scene, pid);
}

TEST(prometheus, "--prometheus is what promtool accepts")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);
	bool has_promtool = system("command -v promtool >/dev/null 2>&1") == 0;
	char line[1024];

	CHECK_EVENTUALLY(RUN("--prometheus") == 0 && strstr(output, "pattern=\"pull\""));
	CHECK_HAS("sealane_processes{session=\"default\"} 1\n");
	CHECK_HAS("# TYPE sealane_heap_quota_bytes gauge\n");
	CHECK_HAS("# TYPE sealane_channel_missed_total counter\n");
	CHECK_HAS("\nsealane_process_in_flight{");
	/* What is not known has no value. */
	CHECK_LACKS("\nsealane_process_in_flight_age_seconds{");
	snprintf(line, sizeof(line), "'%s' monitor --prometheus | promtool check metrics", test_command());
	if (has_promtool)
		CHECK_EQ(system(line), 0);
	scene_end(scene, pid);
	if (!has_promtool)
		SKIP("promtool is not installed (Debian: prometheus); the rest holds");
}

TEST(influx, "--influx is a line per thing: measurement and tags, a space, fields")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);

	CHECK_EQ(RUN("--influx"), 0);
	CHECK_HAS("sealane_session,session=default processes=1i,leftovers=0i\n");
	for (char *line = strtok(output, "\n"); line; line = strtok(NULL, "\n")) {
		char *space = strchr(line, ' ');

		CHECK(strncmp(line, "sealane_", 8) == 0);
		CHECK(space && strchr(space, '=') && !strchr(space + 1, ' '));
	}
	scene_end(scene, pid);
}

TEST(usage, "combinations that mean nothing are refused, and nothing is done")
{
	CHECK_EQ(RUN("--json", "--influx"), 2);
	CHECK_EQ(RUN("--cleanup", "--prometheus"), 2);
	CHECK_EQ(RUN("--list-all", "--influx"), 2);
	CHECK_EQ(RUN("--view", "--list-all"), 2);
	CHECK_EQ(RUN("--interactive", "--json"), 2);
	CHECK_EQ(RUN("--self-destruct", "--view"), 2);
	CHECK_EQ(RUN("--session", "../up"), 2);
	CHECK_EQ(RUN("--timeout", "0"), 2);
	CHECK_EQ(RUN("word"), 2);
}

TEST(interactive, "the full screen shows processes, details, bytes and help, and ends by q with the terminal as it was")
{
	struct rig rig = rig_bind(SEA_PULL, "screen", NULL);
	struct sea_channel *push;
	struct sea_message *message, *held;
	struct command *command;

	CHECK_OK(sea_channel_new(&push, rig.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(push, "screen"));
	CHECK_OK(sea_channel_wait_peers(push, 1, rig_patience()));
	CHECK_OK(sea_message_new(&message, sea_session_heap(rig.session), 64, 0, rig_patience()));
	memcpy(sea_message_write(message), "the bytes of a message", 22);
	CHECK_OK(sea_channel_send(push, &message, rig_patience()));
	CHECK_OK(sea_channel_receive(rig.channel, &held, rig_patience()));
	command = START_ON_TERMINAL(80, "top");
	command_expect(command, "session default");
	command_expect(command, "1 living");
	CHECK_SYS(write(command->fd, "h", 1));
	command_expect(command, "Keys");
	command_forget(command);
	CHECK_SYS(write(command->fd, "q", 1));
	command_expect(command, "living");
	CHECK_SYS(write(command->fd, "s", 1));
	command_expect(command, "name");
	command_forget(command);
	CHECK_SYS(write(command->fd, "\r", 1));
	command_expect(command, "HELD SINCE");
	/* Once the heartbeat has told of the hold. */
	command_expect(command, "64 B");
	CHECK_SYS(write(command->fd, "d", 1));
	command_expect(command, "the bytes of a m");
	command_forget(command);
	CHECK_SYS(write(command->fd, "qqq", 3));
	/* xterm's way back from the alternate screen. */
	command_expect(command, "\x1b[?1049l");
	CHECK_EVENTUALLY(command_is_cooked(command));
	CHECK_EQ(command_end(command), 0);
	free(command);
	sea_message_unref(held);
	sea_channel_close(push);
	rig_close(&rig);
}

/* Holds what it received until told to go. */
static void in_flight_process(void *arg)
{
	struct scene *scene = arg;
	struct sea_session_options options = { .process_name = "keeper" };
	struct rig rig;
	struct sea_message *message;

	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_bind(rig.channel, "kept"));
	CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
	test_step_signal(&scene->ready, 1);
	test_step_wait(&scene->go);
	sea_message_unref(message);
	rig_close(&rig);
}

TEST(in_flight, "who holds the oldest of what is in flight stands in the sender's line, of a wide screen as well")
{
	struct scene *scene = test_shared(sizeof(*scene));
	struct sea_session_options options = { .process_name = "giver" };
	struct command *narrow, *wide;
	struct rig rig;
	char line[64];
	pid_t pid;

	test_step_init(&scene->ready);
	test_step_init(&scene->go);
	pid = test_fork(in_flight_process, scene);
	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(rig.channel, "kept"));
	CHECK_OK(rig_send(&rig, 0, 4096, rig_patience()));
	test_step_wait(&scene->ready);
	CHECK_OK(sea_session_set_state(rig.session, "SENT"));
	snprintf(line, sizeof(line), "keeper(%d)", (int)pid);
	CHECK_EVENTUALLY(RUN("--view") == 0 && strstr(output, line) && strstr(output, "1    4.0 KiB"));
	CHECK_HAS("TRAFFIC OF");
	CHECK_HAS("memory");
	narrow = START_ON_TERMINAL(80, "top");
	command_expect(narrow, "FLIGHT");
	command_expect(narrow, "giver");
	CHECK(!strstr(narrow->text, "HELD BY"));
	command_forget(narrow);
	CHECK_SYS(write(narrow->fd, "c", 1));
	command_expect(narrow, "QUEUE OUT");
	command_expect(narrow, "push");
	CHECK_SYS(write(narrow->fd, "qq", 2));
	CHECK_EQ(command_end(narrow), 0);
	wide = START_ON_TERMINAL(160, "top");
	command_expect(wide, "HELD BY");
	command_expect(wide, line);
	command_forget(wide);
	CHECK_SYS(write(wide->fd, "c", 1));
	command_expect(wide, ">kept");
	CHECK_SYS(write(wide->fd, "qq", 2));
	CHECK_EQ(command_end(wide), 0);
	free(narrow);
	free(wide);
	scene_end(scene, pid);
	rig_close(&rig);
}

TEST(interactive_signal, "resized and then ended by a signal the full screen gives the terminal back")
{
	struct winsize size = { .ws_row = 10, .ws_col = 40 };
	struct command *command = START_ON_TERMINAL(80, "monitor", "--interactive");

	command_expect(command, "nobody is here");
	command_forget(command);
	CHECK_SYS(ioctl(command->fd, TIOCSWINSZ, &size));
	command_expect(command, "nobody is here");
	CHECK_SYS(kill(command->pid, SIGTERM));
	command_expect(command, "\x1b[?1049l");
	CHECK_EVENTUALLY(command_is_cooked(command));
	CHECK_EQ(command_end(command), 0);
	free(command);
}

TEST(interactive_self_destruct, "the full screen with --self-destruct ends with the session's last process")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid);
	struct command *command = START_ON_TERMINAL(80, "monitor", "--interactive", "--self-destruct");

	command_expect(command, "watched");
	scene_end(scene, pid);
	command_expect(command, "\x1b[?1049l");
	CHECK_EQ(command_end(command), 0);
	free(command);
}

TEST(interactive_no_terminal, "without a terminal the full screen is refused in a line")
{
	CHECK_EQ(RUN("--interactive"), 1);
	CHECK_HAS("wants a terminal");
}

TEST(killed, "a monitor that is killed at any moment, also while it cleans, holds nobody up and leaves nothing wrong")
{
	static const char *const rows[][3] = {
		{ "--cleanup" }, { "--view" }, { "--list-all", "--json" }, { "--self-destruct" }, { "--prometheus" }
	};
	struct scene *scene;
	pid_t pid;

	scene = scene_start(&pid);
	for (unsigned i = 0; i < 60; i++) {
		pid_t dead, watcher = (pid_t)CHECK_SYS(fork());
		struct sea_session *session;

		if (watcher == 0) {
			int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

			dup2(null_fd, STDOUT_FILENO);
			dup2(null_fd, STDERR_FILENO);
			execl(test_command(), "sealane", "monitor", rows[i % 5][0], rows[i % 5][1], rows[i % 5][2],
			      (char *)NULL);
			_exit(98);
		}
		/* Something to be cleaned, now and then. */
		if (i % 4 == 0) {
			dead = (pid_t)CHECK_SYS(fork());
			if (dead == 0) {
				CHECK_OK(sea_session_open(&session, NULL));
				kill(getpid(), SIGKILL);
			}
			CHECK_EQ(test_wait(dead), -SIGKILL);
		}
		usleep((unsigned)(test_random() % 6000));
		kill(watcher, SIGKILL);
		(void)test_wait(watcher);
		/* Whoever comes next finds the directory's lock free. */
		CHECK_OK(sea_session_open(&session, NULL));
		sea_session_close(session);
	}
	CHECK_EQ(RUN("--cleanup"), 1); /* one lives */
	CHECK_HAS("watched");
	scene_end(scene, pid);
	CHECK_EQ(RUN("--cleanup"), 0);
}
