/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of a device. It is FairMQ's: one thread, which calls sea_machine_run(), goes through the states and calls the
 * hooks; any thread may ask for a transition; hooks are cooperative: they look at sea_machine_is_pending() or are interrupted.
 *
 * The machine knows nothing of channels and configuration: what a device does with them in each state is passed in as its steps.
 * Several machines in one process do not know of each other.
 */
#ifndef SEALANE_DEVICE_MACHINE_H
#define SEALANE_DEVICE_MACHINE_H

#include <stdint.h>

#include <sealane/device/state.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_device;
struct sea_machine;

/**
 * A hook: what a user's program does in a state. Called on the state thread.
 * @param device as in struct sea_machine_options
 * @return 0 or more is good, and so are -EINTR and -ECANCELED, by which interrupted calls end; another negative errno: the device goes to
 *         ERROR, and sea_machine_run() returns that number
 */
typedef int (*sea_hook_fn)(struct sea_device *device, void *userdata);

/** The hooks of a user's program, in the order in which they are called. Each may be NULL. */
struct sea_device_hooks {
	sea_hook_fn init;    /**< INITIALIZING DEVICE, when COMPLETE INIT has been asked for; then channels are made */
	sea_hook_fn bind;    /**< BINDING, after the channels have been bound */
	sea_hook_fn connect; /**< CONNECTING, after the channels have been connected */
	sea_hook_fn init_task; /**< INITIALIZING TASK */
	sea_hook_fn pre_run;   /**< RUNNING, first */
	/**
	 * RUNNING: called again and again, at most rate_hz times a second, while it returns 1 (or -EINTR) and no new state is pending.
	 * NULL: not at all. Not called, nor is run, where the device's own step has processed data.
	 */
	sea_hook_fn conditional_run;
	/** RUNNING, once, then; also when a new state is pending already. When it returns the device stops by itself. */
	sea_hook_fn run;
	sea_hook_fn post_run;   /**< RUNNING, last; not after a hook that failed */
	sea_hook_fn reset_task; /**< RESETTING TASK */
	sea_hook_fn reset;      /**< RESETTING DEVICE, before the channels are closed */
	void *userdata;         /**< passed to all of them */
};

/** Interrupts calls that wait, of any thread of the device (on = 1), or lets them wait again (on = 0). */
typedef void (*sea_machine_interrupt_fn)(struct sea_device *device, int on, void *userdata);

/**
 * What the device itself does around the hooks: its channels, its data loop. Each may be NULL. Results are as for hooks. Programs
 * that use a struct sea_device need not know of these.
 */
struct sea_machine_steps {
	sea_hook_fn init; /**< INITIALIZING DEVICE, after the hook */
	sea_hook_fn bind; /**< BINDING, before the hook */
	sea_hook_fn
		connect; /**< CONNECTING, before the hook; it may take long, and is to return when a state is pending */
	sea_hook_fn start; /**< RUNNING, before pre_run */
	sea_hook_fn
		data; /**< RUNNING, after pre_run: 0 there is nothing for it to do, the hooks are to run; 1 it has run */
	sea_hook_fn stop;  /**< RUNNING, after all; called also after a hook that failed, if start has been called */
	sea_hook_fn reset; /**< RESETTING DEVICE, before the hook */
	sea_hook_fn clear; /**< RESETTING DEVICE, after the hook */
	/**
	 * Called with 1 in the thread that asks for a transition, when the new state is pending, and with 0 on the state thread when that
	 * state is entered: what waits is interrupted exactly as long as sea_machine_is_pending() says so. Never called by two threads at once.
	 */
	sea_machine_interrupt_fn interrupt;
	void *userdata; /**< passed to all of them */
};

/** How to make a machine. All zero is a machine that does nothing in its states; unset members must be zero. */
struct sea_machine_options {
	struct sea_device *device;      /**< passed to hooks and steps; may be NULL */
	struct sea_device_hooks hooks;  /**< of the user's program */
	struct sea_machine_steps steps; /**< of the device */
	const char *name;               /**< put in front of the machine's lines in the log; NULL: nothing */
	double rate_hz;                 /**< most calls of conditional_run per second; 0: no limit. FairMQ's --rate */
	uint64_t reserved[6];           /**< must be 0 */
};

/**
 * Makes a machine in the state IDLE.
 * @param options is copied; NULL for none
 * @return 0; -EINVAL a negative rate, or a reserved member is not 0; -ENOMEM. Any thread. Since 0.3.
 */
int sea_machine_new(struct sea_machine **ret_machine, const struct sea_machine_options *options);

/**
 * Frees a machine that does not run, and that no other thread uses any more.
 * @param machine NULL is allowed
 * @return NULL. Since 0.3.
 */
struct sea_machine *sea_machine_free(struct sea_machine *machine);

/**
 * Goes through the states until the end, on the calling thread. May be called once.
 * @return 0 in EXITING; in ERROR: what the hook that failed has returned, or -ECANCELED after ERROR FOUND; -EBUSY it runs, or has run,
 *         already. One thread. Since 0.3.
 */
int sea_machine_run(struct sea_machine *machine);

/**
 * Sets the limit of conditional_run, from its next call on.
 * @return 0; -EINVAL it is negative or not a number. Any thread. Since 0.3.
 */
int sea_machine_set_rate(struct sea_machine *machine, double rate_hz);

/**
 * Asks for a transition. Returns at once; the state is entered when the state thread has come back from its hook.
 * ERROR FOUND is always accepted, and takes the place of what is pending.
 * @return 0; -EINVAL not legal in this state (AUTO never is: the machine gives it to itself); -EBUSY another new state is pending.
 *         Any thread, hooks and subscribers included. Since 0.3.
 */
int sea_machine_change_state(struct sea_machine *machine, enum sea_transition transition);

/** The state now. Any thread. Since 0.3. */
enum sea_device_state sea_machine_state(const struct sea_machine *machine);

/**
 * Asks whoever works in the present state to come to an end, as if a new state was pending, until the next is entered. Nothing where the
 * device rests. This is how a device that waits for its peers in CONNECTING is ended. Any thread, not from an interrupt. Since 0.3.
 */
void sea_machine_interrupt(struct sea_machine *machine);

/** 1 while a new state is pending or the present one is interrupted: who works is to come to an end. Any thread. Since 0.3. */
int sea_machine_is_pending(const struct sea_machine *machine);

/**
 * Sleeps, until a new state is pending. FairMQ's WaitFor().
 * @param duration_ns -1 for ever
 * @return 0 the time is over; -EINTR a new state is pending, the present one interrupted, or the machine at its end. Any thread. Since 0.3.
 */
int sea_machine_wait_for(struct sea_machine *machine, int64_t duration_ns);

/**
 * Waits until a state is there, or has been entered (and perhaps left) since the call.
 * @param timeout_ns -1 for ever
 * @return 0; -ETIMEDOUT; -ECANCELED the machine has come to EXITING or ERROR, and the state was another; -EDEADLK on the state thread.
 *         Any other thread. Since 0.3.
 */
int sea_machine_wait_for_state(struct sea_machine *machine, enum sea_device_state state, int64_t timeout_ns);

/** How many states have been entered so far: where sea_machine_next_state() is to begin so that it tells what comes. Any thread. Since 0.3. */
uint64_t sea_machine_position(const struct sea_machine *machine);

/**
 * Tells the states one after the other, as a queue does, without missing those that were short.
 * @param position in: as from sea_machine_position(), or 0 for all; out: for the next call. Who is 64 states late misses the oldest.
 * @param timeout_ns 0 looks only; -1 for ever
 * @return 0; -ETIMEDOUT; -ECANCELED there will be no other; -EDEADLK it would have to wait, on the state thread. Any thread. Since 0.3.
 */
int sea_machine_next_state(struct sea_machine *machine, uint64_t *position, int64_t timeout_ns,
                           enum sea_device_state *ret_state);

/** Called on the state thread when a state has been entered, before its hooks. */
typedef void (*sea_machine_state_fn)(enum sea_device_state state, void *userdata);

/** Called in the thread that asks for a transition, when it has been accepted, before its state is entered. It must not wait for states. */
typedef void (*sea_machine_transition_fn)(enum sea_transition transition, void *userdata);

/**
 * Subscribes to states. Subscribers are called in the order of the number that their key begins with ("1-log" before "10-x"), those
 * without a number last, equal ones in the order in which they came.
 * @param key 1 to 63 bytes
 * @return 0; -EEXIST the key is taken; -EINVAL; -ENOMEM. Any thread, subscribers included. Since 0.3.
 */
int sea_machine_subscribe_states(struct sea_machine *machine, const char *key, sea_machine_state_fn call,
                                 void *userdata);

/**
 * Ends a subscription. When it returns the subscriber is not being called any more, save by the calling thread itself.
 * @return 0; -ENOENT. Any thread, subscribers included. Since 0.3.
 */
int sea_machine_unsubscribe_states(struct sea_machine *machine, const char *key);

/** Subscribes to transitions, as sea_machine_subscribe_states(). Since 0.3. */
int sea_machine_subscribe_transitions(struct sea_machine *machine, const char *key, sea_machine_transition_fn call,
                                      void *userdata);

/** As sea_machine_unsubscribe_states(). Since 0.3. */
int sea_machine_unsubscribe_transitions(struct sea_machine *machine, const char *key);

#ifdef __cplusplus
}
#endif
#endif
