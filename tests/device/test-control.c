/* SPDX-License-Identifier: Apache-2.0 */
/* The control of devices: sequences, keys, signals; FairMQ's Device suite. */
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utmp.h>

#include "machines.h"

static const char *const hooks[] = { "init", "bind",     "connect",    "init_task", "pre_run",
	                             "run",  "post_run", "reset_task", "reset" };
#define N_HOOKS (sizeof(hooks) / sizeof(hooks[0]))

/* Both kinds of control. The one by keys is told to end when it has run. */
static const struct machine_spec kinds[] = {
	{ .control = { .mode = SEA_CONTROL_STATIC } },
	{ .control = { .mode = SEA_CONTROL_INTERACTIVE }, .keys = "q" },
};

/* Starts one device per hook and kind, all together, and compares their exit codes. */
static void each(size_t member, int code)
{
	struct machine_spec specs[2][N_HOOKS];
	pid_t pids[2][N_HOOKS];

	for (size_t kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < N_HOOKS; i++) {
			specs[kind][i] = kinds[kind];
			memcpy((char *)&specs[kind][i] + member, &hooks[i], sizeof(hooks[i]));
			pids[kind][i] = machine_start(&specs[kind][i]);
		}
	for (size_t kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < N_HOOKS; i++) {
			const int r = test_wait(pids[kind][i]);

			if (r != code)
				FAIL("%s of kind %zu: %d", hooks[i], kind, r);
		}
}

TEST(errs, "ERROR FOUND from any hook, static or interactive, ends the process with 1")
{
	each(offsetof(struct machine_spec, errs), 1);
}

TEST(fails, "an error of any hook, static or interactive, ends the process with 1")
{
	each(offsetof(struct machine_spec, fails), 1);
}

TEST(raises, "SIGINT raised in any hook, static or interactive, ends the process in order and with 0")
{
	each(offsetof(struct machine_spec, raises), 0);
}

TEST(undisturbed, "a device that nothing disturbs goes up, runs, comes down and ends with 0")
{
	for (size_t kind = 0; kind < 2; kind++)
		CHECK_EQ(test_wait(machine_start(&kinds[kind])), 0);
}

TEST(sleeps, "a sleep of ten minutes in any hook on the way up or in RUNNING is interrupted by SIGINT and by SIGTERM")
{
	for (size_t kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < N_HOOKS - 2; i++) {
			struct test_step reached;
			struct machine_spec spec = kinds[kind];
			pid_t pid;
			int r;

			test_step_init(&reached);
			spec.sleeps = hooks[i];
			spec.reached = &reached;
			spec.keys = NULL;
			/* COMPLETE INIT ends the one, and a static device ends by itself after both: perhaps before the signal. */
			if (kind == 0 && (strcmp(hooks[i], "init") == 0 || strcmp(hooks[i], "post_run") == 0)) {
				test_step_fini(&reached);
				continue;
			}
			pid = machine_start(&spec);
			test_step_wait(&reached);
			CHECK_SYS(kill(pid, i % 2 ? SIGINT : SIGTERM));
			r = test_wait(pid);
			if (r != 0)
				FAIL("%s of kind %zu: %d", hooks[i], kind, r);
			test_step_fini(&reached);
		}
}

TEST(sleeps_on_the_way,
     "in a static device a sleep of ten minutes in init and post_run is ended by the state that follows, without a signal")
{
	static const char *const names[] = { "init", "post_run" };

	for (size_t i = 0; i < 2; i++) {
		struct machine_spec spec = kinds[0];
		struct test_step reached;

		test_step_init(&reached);
		spec.sleeps = names[i];
		spec.reached = &reached;
		CHECK_EQ(test_wait(machine_start(&spec)), 0);
		test_step_wait(&reached);
		test_step_fini(&reached);
	}
}

TEST(second, "a second signal aborts a device that does not come to an end")
{
	static const int signals[][2] = { { SIGINT, SIGINT }, { SIGTERM, SIGTERM }, { SIGTERM, SIGINT } };

	for (size_t i = 0; i < 3; i++) {
		struct test_step reached;
		struct machine_spec spec = kinds[0];
		pid_t pid;

		test_step_init(&reached);
		spec.ignores = "run";
		spec.reached = &reached;
		pid = machine_start(&spec);
		test_step_wait(&reached);
		CHECK_SYS(kill(pid, signals[i][0]));
		test_step_wait(&reached);
		CHECK_SYS(kill(pid, signals[i][1]));
		CHECK_EQ(test_wait(pid), -SIGABRT);
		test_step_fini(&reached);
	}
}

TEST(uncaught, "where signals are not caught they do what they do by default")
{
	struct test_step reached;
	struct machine_spec spec = kinds[0];
	pid_t pid;

	test_step_init(&reached);
	spec.control.no_signals = 1;
	spec.sleeps = "run";
	spec.reached = &reached;
	pid = machine_start(&spec);
	test_step_wait(&reached);
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), -SIGINT);
	test_step_fini(&reached);
}

TEST(states, "SIGINT ends a device in order from each state in which it rests")
{
	static const char *const ups[] = { "INIT DEVICE", "COMPLETE INIT", "BIND", "CONNECT", "INIT TASK" };
	static const char *const states[] = { "INITIALIZING DEVICE", "INITIALIZED", "BOUND", "DEVICE READY", "READY" };
	struct machine_spec spec = { .control = { .mode = SEA_CONTROL_EXTERNAL, .id = "dev" }, .session = "s" };

	for (size_t n = 0; n <= 5; n++) {
		const pid_t pid = machine_start(&spec);
		const int fd = machine_connect("s", "dev");
		char request[64];

		for (size_t i = 0; i < n; i++) {
			snprintf(request, sizeof(request), "transition %s", ups[i]);
			CHECK_STR_EQ(machine_ask(fd, request), "ok");
			snprintf(request, sizeof(request), "wait %s 60000", states[i]);
			CHECK_EQ(strncmp(machine_ask(fd, request), "ok ", 3), 0);
		}
		CHECK_SYS(kill(pid, SIGINT));
		CHECK_EQ(test_wait(pid), 0);
		close(fd);
	}
}

/* Keys. ---------------------------------------------------------------------------------------- */

/* Counts the lines of a file in which a text stands. */
static int count(const char *path, const char *text)
{
	char line[1024];
	FILE *file = fopen(path, "r");
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, text) != NULL;
	if (file)
		fclose(file);
	return n;
}

TEST(keys, "keys typed ahead into a pipe are done one after the other, each when the one before has come to rest")
{
	char path[256];
	struct machine_spec spec = { .control = { .mode = SEA_CONTROL_INTERACTIVE }, .output = path };
	struct test_step reached;

	snprintf(path, sizeof(path), "%s/output", test_runtime_dir());
	test_step_init(&reached);
	spec.keys = "stdibxjrhcp?knlm\nsrq";
	spec.sleeps = "run";
	spec.reached = &reached;
	CHECK_EQ(test_wait(machine_start(&spec)), 0);
	test_step_fini(&reached);
	/* Up, up by keys, and once more r. */
	CHECK_EQ(count(path, "---> RUNNING"), 3);
	CHECK_EQ(count(path, "[STATE] IDLE ---> INITIALIZING DEVICE"), 2);
	CHECK_EQ(count(path, "IDLE ---> EXITING"), 1);
	CHECK_EQ(count(path, "no key [?]"), 1);
	CHECK_EQ(count(path, "--> log severity: DETAIL") + count(path, "--> log severity: DEBUG"), 2);
	CHECK_EQ(count(path, "--> log verbosity: high") + count(path, "--> log verbosity: medium"), 2);
	/* The help is for terminals only. */
	CHECK_EQ(count(path, "Keys:"), 0);
	unlink(path);
}

TEST(illegal_key,
     "a key whose transition is not legal is told so, and the end of the keys is not the end of the device")
{
	char path[256];
	struct machine_spec spec = { .control = { .mode = SEA_CONTROL_INTERACTIVE, .id = "dev" }, .output = path };
	int fd;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/output", test_runtime_dir());
	spec.keys = "bx";
	spec.session = "s";
	pid = machine_start(&spec);
	fd = machine_connect("s", "dev");
	CHECK_EVENTUALLY(count(path, "no transition CONNECT in state R") == 1);
	CHECK_STR_EQ(machine_ask(fd, "wait READY 60000"), "ok READY");
	CHECK_SYS(kill(pid, SIGTERM));
	CHECK_EQ(test_wait(pid), 0);
	close(fd);
	unlink(path);
}

/* A terminal: the child's keys come from its other end. */
struct terminal_scene {
	int terminal_fd;
	struct test_step *reached;
};

static int reaches(struct sea_device *device, void *userdata)
{
	const struct terminal_scene *scene = userdata;

	(void)device;
	test_step_signal(scene->reached, 1);
	return 0;
}

static void terminal_main(void *userdata)
{
	const struct terminal_scene *scene = userdata;
	const struct sea_machine_options options = { .hooks = { .run = reaches, .userdata = userdata } };
	struct sea_machine *machine;
	struct sea_control *control;

	/* The terminal becomes this session's own, so that it is in its foreground. */
	CHECK_SYS(setsid());
	CHECK_SYS(login_tty(scene->terminal_fd));
	CHECK_OK(sea_log_setup(NULL, NULL));
	CHECK_OK(sea_machine_new(&machine, &options));
	CHECK_OK(sea_control_start(&control, machine, NULL));
	CHECK_OK(sea_machine_run(machine));
	sea_control_stop(control);
	sea_machine_free(machine);
}

TEST(terminal, "on a terminal the dynamic control takes keys, shows them, colours, and leaves the terminal as it was")
{
	struct test_step reached;
	struct terminal_scene scene = { .reached = &reached };
	struct termios before, after;
	char text[16384];
	size_t n = 0;
	ssize_t r;
	int master_fd;
	pid_t pid;

	if (openpty(&master_fd, &scene.terminal_fd, NULL, NULL, NULL) < 0)
		SKIP("no pseudo terminal: %s", strerror(errno));
	test_step_init(&reached);
	CHECK_SYS(tcgetattr(scene.terminal_fd, &before));
	CHECK_SYS(setenv("TERM", "xterm", 1));
	CHECK_SYS(unsetenv("NO_COLOR"));
	pid = test_fork(terminal_main, &scene);
	test_step_wait(&reached);
	CHECK_EQ(write(master_fd, "h", 1), 1);
	while (n + 1 < sizeof(text) && (r = read(master_fd, text + n, sizeof(text) - 1 - n)) > 0) {
		n += (size_t)r;
		text[n] = 0;
		if (strstr(text, "[q] goes the way down"))
			break;
	}
	CHECK(strstr(text, "Keys:") != NULL);
	CHECK(strstr(text, "[\033[01;35mSTATE\033[0m] READY ---> RUNNING") != NULL);
	/* No echo while it has the terminal. */
	CHECK_SYS(tcgetattr(scene.terminal_fd, &after));
	CHECK_EQ(after.c_lflag & (ICANON | ECHO), 0);
	CHECK_EQ(write(master_fd, "q", 1), 1);
	/* What it says has to be read, or it waits. */
	while (!strstr(text, "EXITING") && n + 1 < sizeof(text) &&
	       (r = read(master_fd, text + n, sizeof(text) - 1 - n)) > 0) {
		n += (size_t)r;
		text[n] = 0;
	}
	CHECK_EQ(test_wait(pid), 0);
	CHECK_SYS(tcgetattr(scene.terminal_fd, &after));
	CHECK_EQ(after.c_lflag, before.c_lflag);
	close(scene.terminal_fd);
	close(master_fd);
	test_step_fini(&reached);
}

/* The rest. ------------------------------------------------------------------------------------ */

TEST(dynamic, "without a terminal the dynamic control is static")
{
	const struct machine_spec spec = { .keys = "h" };

	CHECK_EQ(test_wait(machine_start(&spec)), 0);
}

TEST(gui, "gui goes up, and stays when the run has ended, until a signal")
{
	const struct machine_spec spec = { .control = { .mode = SEA_CONTROL_GUI, .id = "dev" }, .session = "s" };
	const pid_t pid = machine_start(&spec);
	const int fd = machine_connect("s", "dev");

	/* Once up by itself, and once more. */
	do
		CHECK_STR_EQ(machine_ask(fd, "wait READY 60000"), "ok READY");
	while (strcmp(machine_ask(fd, "transition RUN"), "ok") != 0);
	CHECK_STR_EQ(machine_ask(fd, "wait READY 60000"), "ok READY");
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	close(fd);
}

static void *runs(void *userdata)
{
	return (void *)(intptr_t)sea_machine_run(userdata);
}

static int runs_until_told(struct sea_device *device, void *userdata)
{
	(void)device;
	CHECK_ERR(sea_machine_wait_for(*(struct sea_machine **)userdata, -1), -EINTR);
	return 0;
}

TEST(two, "two devices in one process: one signal ends both, and an error of one leaves the other alone")
{
	struct sea_machine *machines[2];
	struct sea_control *controls[2];
	pthread_t threads[2];
	void *result;

	CHECK_OK(sea_log_setup(&(struct sea_log_options){ .severity = "nolog" }, NULL));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++) {
			const struct sea_machine_options options = {
				.hooks = { .run = runs_until_told, .userdata = &machines[i] },
			};

			CHECK_OK(sea_machine_new(&machines[i], &options));
			CHECK_OK(sea_control_start(&controls[i], machines[i],
			                           &(struct sea_control_options){ .mode = SEA_CONTROL_GUI }));
			CHECK_EQ(pthread_create(&threads[i], NULL, runs, machines[i]), 0);
			CHECK_OK(sea_machine_wait_for_state(machines[i], SEA_STATE_RUNNING, test_patience_ns()));
		}
		if (round == 0) {
			CHECK_SYS(raise(SIGTERM));
		} else {
			CHECK_OK(sea_machine_change_state(machines[0], SEA_TRANSITION_ERROR_FOUND));
			pthread_join(threads[0], &result);
			CHECK_EQ((intptr_t)result, -ECANCELED);
			CHECK_EQ(sea_machine_state(machines[1]), SEA_STATE_RUNNING);
			sea_control_shut_down(controls[1]);
		}
		for (int i = round; i < 2; i++) {
			pthread_join(threads[i], &result);
			CHECK_EQ((intptr_t)result, 0);
		}
		for (int i = 0; i < 2; i++) {
			sea_control_stop(controls[i]);
			sea_machine_free(machines[i]);
		}
	}
}

TEST(none, "without a controller the program drives, and a signal still ends it")
{
	struct sea_machine *machine;
	struct sea_control *control;
	pthread_t thread;
	void *result;

	CHECK_OK(sea_log_setup(&(struct sea_log_options){ .severity = "nolog" }, NULL));
	CHECK_OK(sea_machine_new(&machine, NULL));
	CHECK_OK(sea_control_start(&control, machine, &(struct sea_control_options){ .mode = SEA_CONTROL_NONE }));
	CHECK_EQ(pthread_create(&thread, NULL, runs, machine), 0);
	CHECK_OK(sea_machine_change_state(machine, SEA_TRANSITION_INIT_DEVICE));
	CHECK_OK(sea_machine_wait_for_state(machine, SEA_STATE_INITIALIZING_DEVICE, -1));
	CHECK_SYS(raise(SIGINT));
	pthread_join(thread, &result);
	CHECK_EQ((intptr_t)result, 0);
	sea_control_stop(control);
	sea_machine_free(machine);
}

TEST(stop, "a control that is stopped leaves its machine as it is")
{
	struct sea_machine *machine;
	struct sea_control *control;
	pthread_t thread;
	void *result;

	CHECK_OK(sea_log_setup(&(struct sea_log_options){ .severity = "nolog" }, NULL));
	CHECK_OK(sea_machine_new(&machine, NULL));
	CHECK_EQ(pthread_create(&thread, NULL, runs, machine), 0);
	CHECK_OK(sea_control_start(&control, machine, &(struct sea_control_options){ .mode = SEA_CONTROL_NONE }));
	sea_control_stop(control);
	CHECK_EQ(sea_machine_state(machine), SEA_STATE_IDLE);
	/* And another one takes over. */
	CHECK_OK(sea_control_start(&control, machine, &(struct sea_control_options){ .mode = SEA_CONTROL_STATIC }));
	pthread_join(thread, &result);
	CHECK_EQ((intptr_t)result, 0);
	sea_control_stop(control);
	sea_machine_free(machine);
	CHECK(!sea_control_stop(NULL));
}

TEST(modes, "modes have FairMQ's names; what cannot be is refused")
{
	static const char *const names[] = { "dynamic", "static", "interactive", "external", "gui", "none" };
	struct sea_control *control = NULL;
	enum sea_control_mode mode;

	for (int i = 0; i < 6; i++) {
		CHECK_OK(sea_control_mode_parse(names[i], &mode));
		CHECK_EQ(mode, i);
		CHECK_STR_EQ(sea_control_mode_name(mode), names[i]);
	}
	CHECK_ERR(sea_control_mode_parse("automatic", &mode), -EINVAL);
	CHECK_ERR(sea_control_start(&control, NULL, &(struct sea_control_options){ .mode = SEA_CONTROL_EXTERNAL }),
	          -EINVAL);
	CHECK_ERR(sea_control_start(&control, NULL, &(struct sea_control_options){ .mode = (enum sea_control_mode)9 }),
	          -EINVAL);
	CHECK_ERR(sea_control_start(&control, NULL, &(struct sea_control_options){ .reserved = { 1 } }), -EINVAL);
	CHECK(!control);
}
