/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane control` as a user runs it. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machines.h"

static const struct machine_spec spec = { .control = { .mode = SEA_CONTROL_EXTERNAL, .id = "dev" },
	                                  .session = "s",
	                                  .has_properties = true };

static char output[1 << 18];

struct run {
	pid_t pid;
	int fd;
};

static struct run run_start(const char *const *arguments)
{
	struct run run;
	int fds[2];

	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	run.pid = (pid_t)CHECK_SYS(fork());
	if (run.pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execv(test_command(), (char *const *)(uintptr_t)arguments);
		_exit(99);
	}
	close(fds[1]);
	run.fd = fds[0];
	return run;
}

/* What it has said, both streams, up to what is looked for, or to its end. */
static void run_read(const struct run *run, const char *what)
{
	size_t n = 0;
	ssize_t r;

	output[0] = 0;
	while (!(what && strstr(output, what)) && n + 1 < sizeof(output) &&
	       (r = read(run->fd, output + n, sizeof(output) - 1 - n)) > 0)
		output[n += (size_t)r] = 0;
}

static int run_end(const struct run *run)
{
	run_read(run, NULL);
	close(run->fd);
	return test_wait(run->pid);
}

static int run_all(const char *const *arguments)
{
	const struct run run = run_start(arguments);

	return run_end(&run);
}

#define CONTROL(...) run_all((const char *const[]){ "sealane", "control", "-s", "s", __VA_ARGS__, NULL })

static json_t *output_json(void)
{
	json_error_t error;
	json_t *object = json_loads(output, 0, &error);

	if (!object)
		FAIL("%s: %s", error.text, output);
	return object;
}

static pid_t start(void)
{
	const pid_t pid = machine_start(&spec);

	close(machine_connect("s", "dev"));
	return pid;
}

TEST(drive, "a device is taken through its states by the command, and its properties are read and changed")
{
	pid_t pid = start();

	CHECK_EQ(CONTROL("dev"), 0);
	CHECK_STR_EQ(output, "IDLE\n");
	CHECK_EQ(CONTROL("dev", "transition", "init-device"), 0);
	CHECK_STR_EQ(output, "");
	CHECK_EQ(CONTROL("dev", "wait", "initializing", "device", "60000"), 0);
	CHECK_STR_EQ(output, "INITIALIZING DEVICE\n");
	CHECK_EQ(CONTROL("dev", "transition", "COMPLETE", "INIT"), 0);
	CHECK_EQ(CONTROL("dev", "wait", "INITIALIZED"), 0);
	CHECK_EQ(CONTROL("dev", "get", "number"), 0);
	CHECK_STR_EQ(output, "7\n");
	CHECK_EQ(CONTROL("dev", "set", "text", "a b", "\\ c\nd"), 0);
	CHECK_EQ(CONTROL("dev", "get", "text"), 0);
	CHECK_STR_EQ(output, "a b \\ c\nd\n");
	CHECK_EQ(CONTROL("dev", "list", "chans."), 0);
	CHECK_STR_EQ(output, "chans.data.0.address=ipc://data\n");
	CHECK_EQ(CONTROL("dev", "transition", "reset-device"), 0);
	CHECK_EQ(CONTROL("dev", "wait", "IDLE"), 0);
	CHECK_EQ(CONTROL("dev", "transition", "END"), 0);
	CHECK_EQ(test_wait(pid), 0);
}

TEST(refused,
     "what a device refuses, what is not there, and what is no request end with 1 or 2 and a line that says why")
{
	pid_t pid = start();

	CHECK_EQ(CONTROL("dev", "transition", "RUN"), 1);
	CHECK_STR_EQ(output, "sealane control: dev: no transition RUN in state IDLE\n");
	CHECK_EQ(CONTROL("dev", "wait", "READY", "1"), 1);
	CHECK_STR_EQ(output, "sealane control: dev: the state is IDLE\n");
	CHECK_EQ(CONTROL("dev", "get", "nothing"), 1);
	CHECK_STR_EQ(output, "sealane control: dev: no such property: nothing\n");
	CHECK_EQ(CONTROL("dev", "set", "number", "x"), 1);
	CHECK_EQ(CONTROL("other"), 1);
	CHECK(strstr(output, "no such device") != NULL);
	CHECK_EQ(CONTROL("dev", "stat"), 2);
	CHECK(strstr(output, "did you mean 'state'?") != NULL);
	CHECK_EQ(CONTROL("dev", "get"), 2);
	CHECK_EQ(CONTROL("dev", "state", "now"), 2);
	CHECK_EQ(run_all((const char *const[]){ "sealane", "control", "-s", "a/b", NULL }), 2);
	test_kill(pid);
	CHECK_EQ(CONTROL("dev"), 1);
	CHECK_STR_EQ(output, "sealane control: dev: the device has ended\n");
}

TEST(lists, "the devices of a session are listed with process and state, also dead and stopped ones")
{
	struct machine_spec two = spec;
	json_t *object, *device;
	pid_t pids[2];

	CHECK_EQ(run_all((const char *const[]){ "sealane", "control", "-s", "s", NULL }), 0);
	CHECK_STR_EQ(output, "no devices in this session\n");
	pids[0] = start();
	CHECK_EQ(CONTROL("--json"), 0);
	object = output_json();
	CHECK_EQ(json_array_size(json_object_get(object, "devices")), 1);
	device = json_array_get(json_object_get(object, "devices"), 0);
	CHECK_STR_EQ(json_string_value(json_object_get(device, "device")), "dev");
	CHECK_EQ(json_integer_value(json_object_get(device, "pid")), pids[0]);
	CHECK_STR_EQ(json_string_value(json_object_get(device, "state")), "IDLE");
	json_decref(object);
	two.control.id = "two";
	pids[1] = machine_start(&two);
	close(machine_connect("s", "two"));
	CHECK_SYS(kill(pids[1], SIGSTOP));
	test_kill(pids[0]);
	CHECK_EQ(run_all((const char *const[]){ "sealane", "control", "-s", "s", NULL }), 0);
	CHECK(strstr(output, "dev                             0  ended\n") != NULL);
	CHECK(strstr(output, "does not answer\n") != NULL);
	CHECK_SYS(kill(pids[1], SIGCONT));
	CHECK_EQ(CONTROL("two", "transition", "END"), 0);
	CHECK_EQ(test_wait(pids[1]), 0);
}

TEST(doctor, "the doctor knows the sockets of devices, and removes that of a dead one")
{
	pid_t pid = start();

	CHECK_EQ(run_all((const char *const[]){ "sealane", "doctor", "-s", "s", NULL }) == 2, 0);
	CHECK(strstr(output, "controls a device, process ") != NULL);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_EQ(CONTROL("dev"), 1);
	run_all((const char *const[]){ "sealane", "doctor", "-s", "s", "--clean", NULL });
	CHECK_EQ(run_all((const char *const[]){ "sealane", "control", "-s", "s", NULL }), 0);
	CHECK_STR_EQ(output, "no devices in this session\n");
}

TEST(json, "each request has its answer as JSON")
{
	pid_t pid = start();
	json_t *object;

	CHECK_EQ(CONTROL("--json", "dev"), 0);
	object = output_json();
	CHECK_STR_EQ(json_string_value(json_object_get(object, "state")), "IDLE");
	json_decref(object);
	CHECK_EQ(CONTROL("--json", "dev", "get", "text"), 0);
	object = output_json();
	CHECK_STR_EQ(json_string_value(json_object_get(object, "value")), "two\nlines");
	json_decref(object);
	CHECK_EQ(CONTROL("--json", "dev", "list"), 0);
	CHECK_LT(strlen(output), sizeof(output) - 1);
	CHECK(strstr(output, "\"text\":\"two\\nlines\"") != NULL);
	CHECK_EQ(CONTROL("--json", "dev", "transition", "END"), 0);
	object = output_json();
	CHECK_STR_EQ(json_string_value(json_object_get(object, "accepted")), "END");
	json_decref(object);
	CHECK_EQ(test_wait(pid), 0);
}

TEST(watch, "watch shows the states one per line, and ends with the device")
{
	pid_t pid = start();
	struct run run = run_start((const char *const[]){ "sealane", "control", "-s", "s", "dev", "watch", NULL });

	run_read(&run, "IDLE\n");
	CHECK_EQ(CONTROL("dev", "transition", "init-device"), 0);
	CHECK_EQ(CONTROL("dev", "wait", "initializing-device"), 0);
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EQ(run_end(&run), 0);
	CHECK_STR_EQ(output, "INITIALIZING DEVICE\nINITIALIZED\nRESETTING DEVICE\nIDLE\nEXITING\n");
}
