/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine, as machine.c and machine-work.c see it. */
#ifndef SEALANE_DEVICE_MACHINE_PRIVATE_H
#define SEALANE_DEVICE_MACHINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <sealane/device/machine.h>

#include "device/subscribers.h"

#define SEAI_MACHINE_N_HISTORY 64u

struct sea_machine {
	struct sea_device *device;
	struct sea_device_hooks hooks;
	struct sea_machine_steps steps;
	char name[64];

	pthread_mutex_t lock;   /* guards everything below; never held during a callback */
	pthread_cond_t changed; /* of CLOCK_MONOTONIC: a state, a pending state, a callback that has returned */

	/* Written under the lock; relaxed, for whoever reads them without it learns no more than their value. */
	atomic_int state;
	atomic_bool is_pending;
	atomic_bool is_cancelled;   /* until the next state: whoever works is to come to an end */
	_Atomic double rate_hz;     /* looked at once per call of conditional_run */
	enum sea_device_state next; /* while is_pending */

	unsigned n_notifying; /* threads that tell of their transition; the state is entered after them */
	bool is_interrupted;  /* what was last told to steps.interrupt, or is being told */
	bool is_telling;      /* a thread calls steps.interrupt */

	pthread_t state_thread; /* since has_run */
	bool has_run;
	int error; /* what the hook that failed has returned */

	uint64_t n_entered;
	enum sea_device_state history[SEAI_MACHINE_N_HISTORY]; /* state number i, from 0, stands at i modulo its size */

	struct seai_subscribers on_state;
	struct seai_subscribers on_transition;
};

/*
 * Calls steps and hooks of a state, on the state thread, without the lock. @return 0, or the negative errno of the one that failed.
 * Waits for COMPLETE INIT in INITIALIZING DEVICE.
 */
int seai_machine_work(struct sea_machine *machine, enum sea_device_state state);

/* change_state() by the machine itself: AUTO is legal. */
int seai_machine_change(struct sea_machine *machine, enum sea_transition transition);

/* Waits until a new state is pending. @return 0; -ETIMEDOUT. Lock held. */
int seai_machine_wait_pending(struct sea_machine *machine, int64_t deadline_ns);

/* A new state is pending; sea_machine_is_pending() says so also where the present one has been interrupted. */
static inline bool seai_machine_is_pending(const struct sea_machine *machine)
{
	return atomic_load_explicit(&machine->is_pending, memory_order_relaxed);
}

#endif
