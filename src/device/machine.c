/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a device; see sealane/device/machine.h.
 *
 * The odd rule: the state thread enters a pending state only when whoever asked for it has told everybody of the transition. So an
 * interrupt never comes late, into a state that it was not meant for.
 */
#include "device/machine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/log.h>
#include <sealane/error.h>

#include "base/clock.h"

static void machine_lock(const struct sea_machine *machine)
{
	pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&machine->lock);
}

static void machine_unlock(const struct sea_machine *machine)
{
	pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&machine->lock);
}

/* Until anything changes. @return 0; -ETIMEDOUT. Lock held. */
static int machine_wait(struct sea_machine *machine, int64_t deadline_ns)
{
	const struct timespec deadline = seai_timespec(deadline_ns);

	if (deadline_ns == SEAI_FOR_EVER)
		return -pthread_cond_wait(&machine->changed, &machine->lock);
	return -pthread_cond_timedwait(&machine->changed, &machine->lock, &deadline);
}

static bool machine_is_ended(const struct sea_machine *machine)
{
	return sea_machine_state(machine) == SEA_STATE_EXITING || sea_machine_state(machine) == SEA_STATE_ERROR;
}

static bool machine_is_state_thread(const struct sea_machine *machine)
{
	return machine->has_run && pthread_equal(machine->state_thread, pthread_self());
}

/* Lock held. */
static void machine_enter(struct sea_machine *machine, enum sea_device_state state)
{
	atomic_store_explicit(&machine->state, state, memory_order_relaxed);
	machine->history[machine->n_entered++ % SEAI_MACHINE_N_HISTORY] = state;
	pthread_cond_broadcast(&machine->changed);
}

int sea_machine_new(struct sea_machine **ret_machine, const struct sea_machine_options *options)
{
	static const struct sea_machine_options defaults;
	struct sea_machine *machine;
	pthread_condattr_t attributes;

	if (!options)
		options = &defaults;
	if (!(options->rate_hz >= 0) || memcmp(options->reserved, defaults.reserved, sizeof(defaults.reserved)) != 0)
		return -EINVAL;
	machine = calloc(1, sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine->device = options->device;
	machine->hooks = options->hooks;
	machine->steps = options->steps;
	atomic_store_explicit(&machine->rate_hz, options->rate_hz, memory_order_relaxed);
	if (options->name && options->name[0])
		snprintf(machine->name, sizeof(machine->name), "%.60s: ", options->name);
	pthread_mutex_init(&machine->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&machine->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	machine_enter(machine, SEA_STATE_IDLE);
	*ret_machine = machine;
	return 0;
}

struct sea_machine *sea_machine_free(struct sea_machine *machine)
{
	if (!machine)
		return NULL;
	seai_subscribers_fini(&machine->on_state);
	seai_subscribers_fini(&machine->on_transition);
	pthread_cond_destroy(&machine->changed);
	pthread_mutex_destroy(&machine->lock);
	free(machine);
	return NULL;
}

int sea_machine_set_rate(struct sea_machine *machine, double rate_hz)
{
	if (!(rate_hz >= 0))
		return -EINVAL;
	machine_lock(machine);
	atomic_store_explicit(&machine->rate_hz, rate_hz, memory_order_relaxed);
	machine_unlock(machine);
	return 0;
}

enum sea_device_state sea_machine_state(const struct sea_machine *machine)
{
	return (enum sea_device_state)atomic_load_explicit(&machine->state, memory_order_relaxed);
}

int sea_machine_is_pending(const struct sea_machine *machine)
{
	return seai_machine_is_pending(machine) || atomic_load_explicit(&machine->is_cancelled, memory_order_relaxed);
}

/* Transitions. ---------------------------------------------------------------------------- */

static void call_transition(seai_subscriber_fn function, void *userdata, int what)
{
	((sea_machine_transition_fn)function)((enum sea_transition)what, userdata);
}

static void call_state(seai_subscriber_fn function, void *userdata, int what)
{
	((sea_machine_state_fn)function)((enum sea_device_state)what, userdata);
}

/* Makes the interrupt what it has to be. One thread does, for all who come meanwhile. Lock held; dropped for the call. */
static void machine_tell_interrupt(struct sea_machine *machine)
{
	if (!machine->steps.interrupt || machine->is_telling)
		return;
	machine->is_telling = true;
	while (machine->is_interrupted != (bool)sea_machine_is_pending(machine)) {
		const bool on = !machine->is_interrupted;

		machine->is_interrupted = on;
		machine_unlock(machine);
		machine->steps.interrupt(machine->device, on, machine->steps.userdata);
		machine_lock(machine);
	}
	machine->is_telling = false;
}

int seai_machine_change(struct sea_machine *machine, enum sea_transition transition)
{
	const bool is_error = transition == SEA_TRANSITION_ERROR_FOUND;
	enum sea_device_state next;
	int r = 0;

	machine_lock(machine);
	if (seai_machine_is_pending(machine) && (!is_error || machine->next == SEA_STATE_ERROR)) {
		r = is_error ? 0 : -EBUSY;
		machine_unlock(machine);
		return r;
	}
	if (sea_machine_state(machine) == SEA_STATE_ERROR)
		r = is_error ? 1 : -EINVAL;
	else
		r = sea_transition_apply(transition, sea_machine_state(machine), &next);
	if (r != 0) {
		machine_unlock(machine);
		return r < 0 ? r : 0;
	}
	machine->next = next;
	atomic_store_explicit(&machine->is_pending, true, memory_order_relaxed);
	machine->n_notifying++;
	pthread_cond_broadcast(&machine->changed);
	machine_tell_interrupt(machine);
	seai_subscribers_call(&machine->on_transition, call_transition, transition, &machine->lock, &machine->changed);
	if (--machine->n_notifying == 0)
		pthread_cond_broadcast(&machine->changed);
	machine_unlock(machine);
	return 0;
}

int sea_machine_change_state(struct sea_machine *machine, enum sea_transition transition)
{
	if (transition == SEA_TRANSITION_AUTO || (unsigned)transition >= SEA_TRANSITION_N)
		return -EINVAL;
	return seai_machine_change(machine, transition);
}

void sea_machine_interrupt(struct sea_machine *machine)
{
	machine_lock(machine);
	if (!sea_device_state_is_resting(sea_machine_state(machine))) {
		machine->n_notifying++;
		atomic_store_explicit(&machine->is_cancelled, true, memory_order_relaxed);
		pthread_cond_broadcast(&machine->changed);
		machine_tell_interrupt(machine);
		if (--machine->n_notifying == 0)
			pthread_cond_broadcast(&machine->changed);
	}
	machine_unlock(machine);
}

/* Waiting. -------------------------------------------------------------------------------- */

int seai_machine_wait_pending(struct sea_machine *machine, int64_t deadline_ns)
{
	int r = 0;

	while (!seai_machine_is_pending(machine) && r != -ETIMEDOUT)
		r = machine_wait(machine, deadline_ns);
	return seai_machine_is_pending(machine) ? 0 : -ETIMEDOUT;
}

int sea_machine_wait_for(struct sea_machine *machine, int64_t duration_ns)
{
	const int64_t deadline_ns = seai_deadline(duration_ns);
	int r = 0;

	machine_lock(machine);
	while (!sea_machine_is_pending(machine) && !machine_is_ended(machine) && r != -ETIMEDOUT)
		r = machine_wait(machine, deadline_ns);
	r = sea_machine_is_pending(machine) || machine_is_ended(machine) ? -EINTR : 0;
	machine_unlock(machine);
	return r;
}

uint64_t sea_machine_position(const struct sea_machine *machine)
{
	uint64_t position;

	machine_lock(machine);
	position = machine->n_entered;
	machine_unlock(machine);
	return position;
}

int sea_machine_next_state(struct sea_machine *machine, uint64_t *position, int64_t timeout_ns,
                           enum sea_device_state *ret_state)
{
	const int64_t deadline_ns = seai_deadline(timeout_ns);
	int r = 0;

	machine_lock(machine);
	while (*position >= machine->n_entered && r == 0) {
		if (machine_is_ended(machine))
			r = -ECANCELED;
		else if (timeout_ns == 0)
			r = -ETIMEDOUT;
		else if (machine_is_state_thread(machine))
			r = -EDEADLK;
		else
			r = machine_wait(machine, deadline_ns);
	}
	/* At the very end of the time it may have come all the same. */
	if (*position < machine->n_entered) {
		if (machine->n_entered - *position > SEAI_MACHINE_N_HISTORY)
			*position = machine->n_entered - SEAI_MACHINE_N_HISTORY;
		*ret_state = machine->history[(*position)++ % SEAI_MACHINE_N_HISTORY];
		r = 0;
	}
	machine_unlock(machine);
	return r;
}

int sea_machine_wait_for_state(struct sea_machine *machine, enum sea_device_state state, int64_t timeout_ns)
{
	const int64_t deadline_ns = seai_deadline(timeout_ns);
	enum sea_device_state entered;
	uint64_t position;
	int r;

	machine_lock(machine);
	/* From the present state on. */
	position = machine->n_entered - 1;
	machine_unlock(machine);
	do {
		int64_t left_ns = -1;

		if (deadline_ns != SEAI_FOR_EVER) {
			left_ns = deadline_ns - seai_now_ns();
			if (left_ns < 0)
				left_ns = 0;
		}
		r = sea_machine_next_state(machine, &position, left_ns, &entered);
	} while (r == 0 && entered != state);
	return r;
}

/* Subscribers. ----------------------------------------------------------------------------- */

static int machine_subscribe(struct sea_machine *machine, struct seai_subscribers *list, const char *key,
                             seai_subscriber_fn call, void *userdata)
{
	int r;

	machine_lock(machine);
	r = seai_subscribers_add(list, key, call, userdata);
	machine_unlock(machine);
	return r;
}

static int machine_unsubscribe(struct sea_machine *machine, struct seai_subscribers *list, const char *key)
{
	int r;

	machine_lock(machine);
	r = seai_subscribers_remove(list, key, &machine->lock, &machine->changed);
	machine_unlock(machine);
	return r;
}

int sea_machine_subscribe_states(struct sea_machine *machine, const char *key, sea_machine_state_fn call,
                                 void *userdata)
{
	return machine_subscribe(machine, &machine->on_state, key, (seai_subscriber_fn)call, userdata);
}

int sea_machine_unsubscribe_states(struct sea_machine *machine, const char *key)
{
	return machine_unsubscribe(machine, &machine->on_state, key);
}

int sea_machine_subscribe_transitions(struct sea_machine *machine, const char *key, sea_machine_transition_fn call,
                                      void *userdata)
{
	return machine_subscribe(machine, &machine->on_transition, key, (seai_subscriber_fn)call, userdata);
}

int sea_machine_unsubscribe_transitions(struct sea_machine *machine, const char *key)
{
	return machine_unsubscribe(machine, &machine->on_transition, key);
}

/* The state thread. ------------------------------------------------------------------------- */

/* Waits for the next state, enters it, and tells. */
static enum sea_device_state machine_next(struct sea_machine *machine)
{
	enum sea_device_state from, to;

	machine_lock(machine);
	while (!seai_machine_is_pending(machine) || machine->n_notifying > 0)
		machine_wait(machine, SEAI_FOR_EVER);
	from = sea_machine_state(machine);
	to = machine->next;
	atomic_store_explicit(&machine->is_pending, false, memory_order_relaxed);
	atomic_store_explicit(&machine->is_cancelled, false, memory_order_relaxed);
	machine_enter(machine, to);
	machine_tell_interrupt(machine);
	machine_unlock(machine);
	sea_log(SEA_SEVERITY_STATE, "%s%s ---> %s", machine->name, sea_device_state_name(from),
	        sea_device_state_name(to));
	machine_lock(machine);
	seai_subscribers_call(&machine->on_state, call_state, to, &machine->lock, &machine->changed);
	machine_unlock(machine);
	return to;
}

int sea_machine_run(struct sea_machine *machine)
{
	machine_lock(machine);
	if (machine->has_run) {
		machine_unlock(machine);
		return -EBUSY;
	}
	machine->has_run = true;
	machine->state_thread = pthread_self();
	machine_unlock(machine);
	for (;;) {
		const enum sea_device_state state = machine_next(machine);
		int r;

		if (state == SEA_STATE_EXITING)
			return 0;
		if (state == SEA_STATE_ERROR)
			return machine->error ? machine->error : -ECANCELED;
		r = seai_machine_work(machine, state);
		if (r < 0) {
			machine->error = r;
			seai_machine_change(machine, SEA_TRANSITION_ERROR_FOUND);
		}
	}
}
