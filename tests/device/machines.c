/* SPDX-License-Identifier: Apache-2.0 */
/* Devices as processes; see machines.h. */
#include "machines.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct sea_device {
	const struct machine_spec *spec;
	struct sea_machine *machine;
};

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

static int hook(struct sea_device *device, const char *name)
{
	const struct machine_spec *spec = device->spec;

	if (is(spec->errs, name))
		CHECK_OK(sea_machine_change_state(device->machine, SEA_TRANSITION_ERROR_FOUND));
	if (is(spec->raises, name))
		CHECK_EQ(raise(SIGINT), 0);
	if (is(spec->forks, name)) {
		const pid_t pid = (pid_t)CHECK_SYS(fork());

		if (pid == 0) {
			test_step_signal(spec->reached, 1);
			for (;;)
				pause();
		}
		*spec->child = pid;
	}
	if (is(spec->sleeps, name)) {
		test_step_signal(spec->reached, 1);
		CHECK_ERR(sea_machine_wait_for(device->machine, INT64_C(600) * 1000000000), -EINTR);
	}
	if (is(spec->ignores, name)) {
		test_step_signal(spec->reached, 1);
		CHECK_ERR(sea_machine_wait_for(device->machine, -1), -EINTR);
		test_step_signal(spec->reached, 1);
		for (;;)
			pause();
	}
	return is(spec->fails, name) ? -EIO : 0;
}

#define HOOK(name)                                                        \
	static int hook_##name(struct sea_device *device, void *userdata) \
	{                                                                 \
		(void)userdata;                                           \
		return hook(device, #name);                               \
	}
HOOK(init)
HOOK(bind)
HOOK(connect)
HOOK(init_task)
HOOK(pre_run)
HOOK(run)
HOOK(post_run)
HOOK(reset_task)
HOOK(reset)

static void limits(void)
{
	const struct rlimit none = { 0, 0 };

	/* An abort is expected in some tests, its core is not. */
	setrlimit(RLIMIT_CORE, &none);
}

static struct sea_properties *properties_make(void)
{
	struct sea_properties *properties;
	char key[32];

	CHECK_OK(sea_properties_new(&properties));
	CHECK_OK(sea_properties_set_int(properties, "number", 7));
	CHECK_OK(sea_properties_set_string(properties, "text", "two\nlines"));
	CHECK_OK(sea_properties_set_string(properties, "chans.data.0.address", "ipc://data"));
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "many.%03d", i);
		CHECK_OK(sea_properties_set_string(properties, key,
		                                   "a value that is long enough for a thousand of them not to fit"));
	}
	return properties;
}

static void machine_main(void *userdata)
{
	const struct machine_spec *spec = userdata;
	struct sea_device device = { .spec = spec };
	const struct sea_machine_options options = {
		.device = &device,
		.hooks = { .init = hook_init,
		           .bind = hook_bind,
		           .connect = hook_connect,
		           .init_task = hook_init_task,
		           .pre_run = hook_pre_run,
		           .run = hook_run,
		           .post_run = hook_post_run,
		           .reset_task = hook_reset_task,
		           .reset = hook_reset },
	};
	struct sea_control_options control_options = spec->control;
	struct sea_control *control;
	char directory[PATH_MAX];
	int fds[2], r;

	limits();
	CHECK_OK(sea_log_setup(&(struct sea_log_options){ .severity = spec->output ? "debug" : "fatal" }, NULL));
	if (spec->output) {
		const int fd = (int)CHECK_SYS(open(spec->output, O_WRONLY | O_CREAT | O_APPEND, 0600));

		CHECK_SYS(dup2(fd, STDOUT_FILENO));
		close(fd);
	}
	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	if (spec->keys)
		CHECK_EQ(write(fds[1], spec->keys, strlen(spec->keys)), (ssize_t)strlen(spec->keys));
	control_options.in_fd = fds[0];
	if (spec->session) {
		CHECK_OK(sea_control_directory(spec->session, NULL, directory, sizeof(directory)));
		control_options.directory = directory;
	}
	if (spec->has_properties)
		control_options.properties = properties_make();
	CHECK_OK(sea_machine_new(&device.machine, &options));
	CHECK_OK(sea_control_start(&control, device.machine, &control_options));
	r = sea_machine_run(device.machine);
	CHECK(!sea_control_stop(control));
	sea_machine_free(device.machine);
	sea_properties_free(control_options.properties);
	fflush(NULL);
	_exit(r < 0);
}

pid_t machine_start(const struct machine_spec *spec)
{
	return test_fork(machine_main, (void *)(uintptr_t)spec);
}

int machine_connect(const char *session, const char *id)
{
	char directory[PATH_MAX];
	int fd = -1;

	CHECK_OK(sea_control_directory(session, NULL, directory, sizeof(directory)));
	CHECK_EVENTUALLY((fd = sea_control_connect(directory, id)) >= 0);
	return fd;
}

const char *machine_ask(int fd, const char *request)
{
	static char answer[SEA_CONTROL_ANSWER_N_MAX + 1];

	CHECK_OK(sea_control_request(fd, request, answer, sizeof(answer), test_patience_ns()));
	return answer;
}
