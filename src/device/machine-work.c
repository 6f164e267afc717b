/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens in each working state: steps of the device and hooks of the program, in FairMQ's order.
 *
 * The odd rule: a hook that fails ends its state at once, as an exception would; only steps.stop is called all the same.
 */
#include "device/machine.h"

#include <errno.h>

#include <sealane/device/log.h>
#include <sealane/error.h>

#include "base/clock.h"

/* How far the loop of conditional_run may be behind its rate and still make up for it. */
#define WORK_LAG_NS (100 * SEAI_NS_PER_MS)

/* A call that was interrupted is no failure: whoever interrupted it says how it goes on. */
static bool work_is_interrupted(int r)
{
	return r == -EINTR || r == -ECANCELED;
}

/* What a hook or step has returned. @return the same, or 0 where it was interrupted */
static int work_result(struct sea_machine *machine, int r, const char *what)
{
	if (work_is_interrupted(r))
		return 0;
	if (r < 0)
		sea_log(SEA_SEVERITY_ERROR, "%s%s failed: %s, going to ERROR state", machine->name, what,
		        sea_error_text(r));
	return r;
}

static int work_call(struct sea_machine *machine, sea_hook_fn function, void *userdata, const char *what)
{
	return function ? work_result(machine, function(machine->device, userdata), what) : 0;
}

static int work_hook(struct sea_machine *machine, sea_hook_fn hook, const char *what)
{
	return work_call(machine, hook, machine->hooks.userdata, what);
}

static int work_step(struct sea_machine *machine, sea_hook_fn step, const char *what)
{
	return work_call(machine, step, machine->steps.userdata, what);
}

static bool work_is_failing(struct sea_machine *machine)
{
	bool is_failing;

	pthread_mutex_lock(&machine->lock);
	is_failing = seai_machine_is_pending(machine) && machine->next == SEA_STATE_ERROR;
	pthread_mutex_unlock(&machine->lock);
	return is_failing;
}

/* The state goes on by itself, unless something else has been asked for. */
static int work_go_on(struct sea_machine *machine, int r)
{
	if (r >= 0 && !seai_machine_is_pending(machine))
		seai_machine_change(machine, SEA_TRANSITION_AUTO);
	return r < 0 ? r : 0;
}

static int work_initialize(struct sea_machine *machine)
{
	int r;

	/* A controller may change the configuration until it says COMPLETE INIT. */
	pthread_mutex_lock(&machine->lock);
	seai_machine_wait_pending(machine, SEAI_FOR_EVER);
	pthread_mutex_unlock(&machine->lock);
	if (work_is_failing(machine))
		return 0;
	r = work_hook(machine, machine->hooks.init, "init");
	if (r >= 0 && !work_is_failing(machine))
		r = work_step(machine, machine->steps.init, "initializing channels");
	return r < 0 ? r : 0;
}

/* conditional_run at its rate. Absolute moments, so that the time a call takes does not add up. */
static int work_loop(struct sea_machine *machine)
{
	int64_t next_ns = seai_now_ns();
	int r = 1;

	if (!machine->hooks.conditional_run)
		return 0;
	while (r > 0 && !sea_machine_is_pending(machine)) {
		double rate_hz;
		int64_t now_ns;

		r = machine->hooks.conditional_run(machine->device, machine->hooks.userdata);
		/* A signal that is none of ours ends a call, and not the loop. */
		r = r == -EINTR ? 1 : work_result(machine, r, "conditional_run");
		rate_hz = atomic_load_explicit(&machine->rate_hz, memory_order_relaxed);
		/* FairMQ's lower limit; below it a period would be longer than a quarter of an hour. */
		if (r <= 0 || rate_hz <= 0.001)
			continue;
		now_ns = seai_now_ns();
		next_ns += (int64_t)((double)SEAI_NS_PER_S / rate_hz);
		if (next_ns < now_ns - WORK_LAG_NS)
			next_ns = now_ns - WORK_LAG_NS;
		if (next_ns > now_ns)
			sea_machine_wait_for(machine, next_ns - now_ns);
	}
	return r;
}

static int work_run_hooks(struct sea_machine *machine)
{
	int r = work_hook(machine, machine->hooks.pre_run, "pre_run");

	if (r >= 0 && machine->steps.data) {
		r = machine->steps.data(machine->device, machine->steps.userdata);
		r = work_is_interrupted(r) ? 1 : work_result(machine, r, "processing data");
	} else if (r >= 0) {
		r = 0;
	}
	if (r == 0) {
		r = work_loop(machine);
		if (r >= 0)
			r = work_hook(machine, machine->hooks.run, "run");
	}
	if (r < 0)
		return r;
	if (!seai_machine_is_pending(machine))
		seai_machine_change(machine, SEA_TRANSITION_STOP);
	return work_hook(machine, machine->hooks.post_run, "post_run");
}

static int work_run(struct sea_machine *machine)
{
	int r = work_step(machine, machine->steps.start, "starting to run"), stopped;

	if (r < 0)
		return r;
	r = work_run_hooks(machine);
	stopped = work_step(machine, machine->steps.stop, "stopping to run");
	if (r >= 0)
		r = stopped;
	return r < 0 ? r : 0;
}

static int work_reset_device(struct sea_machine *machine)
{
	int r = work_step(machine, machine->steps.reset, "resetting transports");

	if (r >= 0)
		r = work_hook(machine, machine->hooks.reset, "reset");
	if (r >= 0)
		r = work_step(machine, machine->steps.clear, "closing channels");
	return work_go_on(machine, r);
}

int seai_machine_work(struct sea_machine *machine, enum sea_device_state state)
{
	int r;

	switch (state) {
	case SEA_STATE_INITIALIZING_DEVICE: return work_initialize(machine);
	case SEA_STATE_BINDING:
		r = work_step(machine, machine->steps.bind, "binding channels");
		if (r >= 0)
			r = work_hook(machine, machine->hooks.bind, "bind");
		return work_go_on(machine, r);
	case SEA_STATE_CONNECTING:
		r = work_step(machine, machine->steps.connect, "connecting channels");
		if (r >= 0)
			r = work_hook(machine, machine->hooks.connect, "connect");
		return work_go_on(machine, r);
	case SEA_STATE_INITIALIZING_TASK:
		return work_go_on(machine, work_hook(machine, machine->hooks.init_task, "init_task"));
	case SEA_STATE_RUNNING: return work_run(machine);
	case SEA_STATE_RESETTING_TASK:
		return work_go_on(machine, work_hook(machine, machine->hooks.reset_task, "reset_task"));
	case SEA_STATE_RESETTING_DEVICE: return work_reset_device(machine);
	default: return 0;
	}
}
