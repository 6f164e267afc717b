/* SPDX-License-Identifier: Apache-2.0 */
/* Devices as processes: a machine and its control, whose hooks do what a test says. */
#ifndef SEALANE_TESTS_DEVICE_MACHINES_H
#define SEALANE_TESTS_DEVICE_MACHINES_H

#include <sys/types.h>

#include <sealane/device/device.h>

#include "test.h"

/* What the process does. Hooks are named as in struct sea_device_hooks; NULL: none of them. */
struct machine_spec {
	struct sea_control_options control;
	const char *fails;  /* this hook returns -EIO */
	const char *errs;   /* this asks for ERROR FOUND */
	const char *raises; /* this raises SIGINT */
	const char *sleeps; /* this signals `reached`, and sleeps until a state is pending */
	const char *
		ignores; /* this signals `reached`, waits until a state is pending, signals once more, and never returns */
	const char *forks; /* this forks a child that signals `reached` and lives on; its process id is in *child */
	pid_t *child;
	const char *keys; /* to be typed, before it starts */
	struct test_step *reached;
	const char *output;  /* a file that standard output goes to; NULL: the log says nothing */
	const char *session; /* in which it has its socket; NULL: none */
	bool has_properties; /* number=7 (int), text=plain, chans.data.0.address, and a thousand more below many. */
};

/* Returns when it has been started; it ends with 0, or 1 after ERROR. */
pid_t machine_start(const struct machine_spec *spec);

/* Connects as soon as it can be. */
int machine_connect(const char *session, const char *id);

/* Asks, and returns the answer, which is valid until the next. */
const char *machine_ask(int fd, const char *request);

#endif
