/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control of a device: the thread, and what it does by itself in which state; see sealane/device/control.h.
 *
 * The odd rule: it acts only on the newest state, and once for each; what it asks for may be refused, for somebody else was
 * quicker, and then a next state comes anyhow.
 */
#include "device/control.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sealane/device/log.h>
#include <sealane/device/notify.h>

#include "base/cleanup.h"
#include "base/clock.h"

static const char *const mode_names[] = { "dynamic", "static", "interactive", "external", "gui", "none" };
#define N_MODES (sizeof(mode_names) / sizeof(mode_names[0]))

int sea_control_mode_parse(const char *name, enum sea_control_mode *ret_mode)
{
	for (size_t i = 0; i < N_MODES; i++)
		if (strcmp(mode_names[i], name) == 0) {
			*ret_mode = (enum sea_control_mode)i;
			return 0;
		}
	return -EINVAL;
}

const char *sea_control_mode_name(enum sea_control_mode mode)
{
	return (unsigned)mode < N_MODES ? mode_names[mode] : "";
}

static void control_wake(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static bool control_drain(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n);
}

/* On the state thread. */
static void control_on_state(enum sea_device_state state, void *userdata)
{
	(void)state;
	control_wake(((struct sea_control *)userdata)->wake_fd);
}

/* The service manager. ------------------------------------------------------------------------ */

static void control_notify(struct sea_control *control, const char *assignments)
{
	if (!control->no_notify)
		sea_notify(assignments);
}

static void control_notify_stopping(struct sea_control *control)
{
	if (!control->is_stopping_told)
		control_notify(control, "STOPPING=1");
	control->is_stopping_told = true;
}

static void control_notify_state(struct sea_control *control, enum sea_device_state state)
{
	char text[96];
	const bool is_ready = state == SEA_STATE_RUNNING && !control->is_ready_told;

	snprintf(text, sizeof(text), "%sSTATUS=%s", is_ready ? "READY=1\n" : "", sea_device_state_name(state));
	control_notify(control, text);
	control->is_ready_told |= is_ready;
	if (state == SEA_STATE_EXITING || state == SEA_STATE_ERROR)
		control_notify_stopping(control);
}

/* States. -------------------------------------------------------------------------------------- */

void seai_device_control_go_down(struct sea_control *control, const char *why)
{
	if (why)
		sea_log(SEA_SEVERITY_INFO, "%s", why);
	if (control->plan == SEAI_CONTROL_DOWN)
		return;
	control->plan = SEAI_CONTROL_DOWN;
	control->is_acting_due = true;
	control_notify_stopping(control);
	/* What goes on by itself may be waiting for a peer that never comes. RUNNING ends by STOP. */
	if (sea_machine_state(control->machine) != SEA_STATE_RUNNING)
		sea_machine_interrupt(control->machine);
}

static bool control_is_driving(const struct sea_control *control)
{
	return control->mode != SEA_CONTROL_EXTERNAL && control->mode != SEA_CONTROL_NONE;
}

static void control_take_state(struct sea_control *control, enum sea_device_state state)
{
	control->state = state;
	control->is_acting_due = true;
	control_notify_state(control, state);
	seai_device_socket_tell(control, state);
	if (control->plan == SEAI_CONTROL_UP && state == SEA_STATE_RUNNING) {
		control->plan = SEAI_CONTROL_REST;
		control->has_run = true;
		seai_device_keys_greet(control);
	} else if (control->has_run && control->mode == SEA_CONTROL_STATIC) {
		/* It has left RUNNING. */
		seai_device_control_go_down(control, NULL);
	}
}

/* What leads up, or down, from a state. @return false: it goes on by itself, or has arrived */
static bool control_find_step(enum seai_control_plan plan, enum sea_device_state state,
                              enum sea_transition *ret_transition)
{
	static const struct {
		enum sea_device_state state;
		enum sea_transition up, down;
	} steps[] = {
		{ SEA_STATE_IDLE, SEA_TRANSITION_INIT_DEVICE, SEA_TRANSITION_END },
		{ SEA_STATE_INITIALIZING_DEVICE, SEA_TRANSITION_COMPLETE_INIT, SEA_TRANSITION_COMPLETE_INIT },
		{ SEA_STATE_INITIALIZED, SEA_TRANSITION_BIND, SEA_TRANSITION_RESET_DEVICE },
		{ SEA_STATE_BOUND, SEA_TRANSITION_CONNECT, SEA_TRANSITION_RESET_DEVICE },
		{ SEA_STATE_DEVICE_READY, SEA_TRANSITION_INIT_TASK, SEA_TRANSITION_RESET_DEVICE },
		{ SEA_STATE_READY, SEA_TRANSITION_RUN, SEA_TRANSITION_RESET_TASK },
		{ SEA_STATE_RUNNING, SEA_TRANSITION_AUTO, SEA_TRANSITION_STOP },
	};

	if (plan == SEAI_CONTROL_REST)
		return false;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].state == state) {
			*ret_transition = plan == SEAI_CONTROL_UP ? steps[i].up : steps[i].down;
			return *ret_transition != SEA_TRANSITION_AUTO;
		}
	return false;
}

int seai_device_control_catch_up(struct sea_control *control)
{
	enum sea_device_state state;
	int r;

	while ((r = sea_machine_next_state(control->machine, &control->position, 0, &state)) == 0)
		control_take_state(control, state);
	return r;
}

/* @return false at the end of the machine */
static bool control_take_states(struct sea_control *control)
{
	enum sea_transition transition;
	const int r = seai_device_control_catch_up(control);

	/* A key that was waiting may change the plan. */
	while (control->is_acting_due) {
		control->is_acting_due = false;
		if (control_find_step(control->plan, control->state, &transition))
			sea_machine_change_state(control->machine, transition);
		seai_device_keys_go_on(control);
	}
	return r != -ECANCELED;
}

/* The thread. ---------------------------------------------------------------------------------- */

static void control_on_signal(struct sea_control *control)
{
	char text[80];

	if (!control_drain(control->signal_fd))
		return;
	snprintf(text, sizeof(text), "Received device shutdown request (signal %d).", seai_device_signals_last());
	seai_device_control_go_down(control, text);
	sea_log(SEA_SEVERITY_INFO, "Waiting for graceful device shutdown. Hit Ctrl-C again to abort immediately.");
}

/* @return until something has to be done by the clock */
static int64_t control_watch(struct sea_control *control)
{
	const int64_t now_ns = seai_now_ns();

	if (!control->watchdog_ns)
		return SEAI_FOR_EVER;
	if (now_ns >= control->next_watchdog_ns) {
		control_notify(control, "WATCHDOG=1");
		control->next_watchdog_ns = now_ns + control->watchdog_ns / 2;
	}
	return control->next_watchdog_ns;
}

/* Sleeps until something happens, and handles it. */
static void control_sleep(struct sea_control *control)
{
	enum { WAKE, SIGNAL, KEYS, N_OWN };
	struct pollfd fds[N_OWN + 1 + SEAI_CONTROL_N_CLIENTS] = {
		[WAKE] = { .fd = control->wake_fd, .events = POLLIN },
		[SIGNAL] = { .fd = control->signal_fd, .events = POLLIN },
		/* Keys are read when the device runs, as in FairMQ; before, they wait in the pipe. */
		[KEYS] = { .fd = control->has_run ? control->keys.fd : -1, .events = POLLIN },
	};
	int64_t deadline_ns = control_watch(control), now_ns;
	const size_t n = seai_device_socket_poll(control, fds + N_OWN, &deadline_ns);
	struct timespec timeout;

	now_ns = seai_now_ns();
	timeout = seai_timespec(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
	if (ppoll(fds, N_OWN + n, deadline_ns == SEAI_FOR_EVER ? NULL : &timeout, NULL) < 0)
		return; /* EINTR: the signal's descriptor tells */
	if (fds[WAKE].revents)
		control_drain(control->wake_fd);
	if (atomic_load(&control->must_shut_down))
		seai_device_control_go_down(control, NULL);
	if (fds[SIGNAL].revents)
		control_on_signal(control);
	if (fds[KEYS].revents)
		seai_device_keys_read(control);
	seai_device_socket_handle(control, fds + N_OWN, n);
}

static void *control_run(void *userdata)
{
	struct sea_control *control = userdata;

	while (control_take_states(control) && !atomic_load(&control->must_stop))
		control_sleep(control);
	/* Who stops it has seen the last state; so does everybody who is connected. */
	control_take_states(control);
	seai_device_socket_finish(control);
	/* From now on nobody can ask; who has asked gets the end of the connection. */
	seai_device_socket_close(&control->socket);
	seai_device_keys_fini(control);
	return NULL;
}

/* Forks. ---------------------------------------------------------------------------------------- */

static pthread_mutex_t controls_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sea_control *controls;
static pthread_once_t controls_once = PTHREAD_ONCE_INIT;

static void controls_before_fork(void)
{
	pthread_mutex_lock(&controls_lock);
}

static void controls_after_fork(void)
{
	pthread_mutex_unlock(&controls_lock);
}

/* A child of a device is no device: else its signals would end the parent, and the parent's socket would outlive it. */
static void controls_in_child(void)
{
	for (struct sea_control *control = controls; control; control = control->next) {
		control->is_forked = true;
		seai_device_socket_forget(&control->socket);
		control->wake_fd = seai_close(control->wake_fd);
		control->signal_fd = seai_close(control->signal_fd);
	}
	if (controls)
		seai_device_signals_forget();
	pthread_mutex_unlock(&controls_lock);
}

static void controls_watch_forks(void)
{
	pthread_atfork(controls_before_fork, controls_after_fork, controls_in_child);
}

static void controls_add(struct sea_control *control)
{
	pthread_once(&controls_once, controls_watch_forks);
	pthread_mutex_lock(&controls_lock);
	control->next = controls;
	controls = control;
	pthread_mutex_unlock(&controls_lock);
}

static void controls_remove(const struct sea_control *control)
{
	struct sea_control **at = &controls;

	pthread_mutex_lock(&controls_lock);
	while (*at && *at != control)
		at = &(*at)->next;
	if (*at)
		*at = control->next;
	pthread_mutex_unlock(&controls_lock);
}

/* Everything but SIGINT and SIGTERM is for the threads of the program. */
static int control_start_thread(struct sea_control *control)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&control->thread, NULL, control_run, control);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void control_free(struct sea_control *control)
{
	controls_remove(control);
	if (control->signal_fd >= 0)
		seai_device_signals_remove(control->signal_fd);
	seai_device_socket_close(&control->socket);
	if (!control->is_forked)
		seai_device_keys_fini(control);
	seai_close(control->signal_fd);
	seai_close(control->wake_fd);
	free(control);
}

static int control_open(struct sea_control *control, const struct sea_control_options *options)
{
	char id[128];
	int r;

	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control->wake_fd < 0)
		return -errno;
	if (!options->no_signals) {
		SEAI_AUTO_FD int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		r = seai_device_signals_add(fd);
		if (r < 0)
			return r;
		control->signal_fd = seai_take_fd(&fd);
	}
	/* Last: who finds the socket can rely on the rest. */
	snprintf(id, sizeof(id), "%.60s-%d", program_invocation_short_name, (int)getpid());
	return seai_device_socket_open(&control->socket, options->directory,
	                               options->id && options->id[0] ? options->id : id);
}

int sea_control_start(struct sea_control **ret_control, struct sea_machine *machine,
                      const struct sea_control_options *options)
{
	static const struct sea_control_options defaults;
	struct sea_control *control;
	int r;

	if (!options)
		options = &defaults;
	if ((unsigned)options->mode >= N_MODES || (options->mode == SEA_CONTROL_EXTERNAL && !options->directory) ||
	    memcmp(options->reserved, defaults.reserved, sizeof(defaults.reserved)) != 0)
		return -EINVAL;
	control = calloc(1, sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->machine = machine;
	control->properties = options->properties;
	control->print_peers = options->print_peers;
	control->userdata = options->userdata;
	control->no_notify = options->no_notify;
	control->watchdog_ns = options->no_notify ? 0 : sea_notify_watchdog_ns();
	control->wake_fd = control->signal_fd = control->keys.fd = -1;
	control->mode = options->mode;
	if (control->mode == SEA_CONTROL_DYNAMIC)
		control->mode = isatty(options->in_fd) && tcgetpgrp(options->in_fd) == getpgrp()
		                        ? SEA_CONTROL_INTERACTIVE
		                        : SEA_CONTROL_STATIC;
	control->plan = control_is_driving(control) ? SEAI_CONTROL_UP : SEAI_CONTROL_REST;
	/* Also in a child that is forked in the middle of this. */
	seai_device_socket_open(&control->socket, NULL, NULL);
	controls_add(control);
	r = control_open(control, options);
	if (r == 0) {
		/* First of all, so that it knows a state before those who are told of it ask. */
		snprintf(control->key, sizeof(control->key), "0-control-%p", (void *)control);
		r = sea_machine_subscribe_states(machine, control->key, control_on_state, control);
	}
	if (r < 0) {
		control_free(control);
		return r;
	}
	/* The state that it is in already is taken note of as if it came now. */
	control->position = sea_machine_position(machine) - 1;
	if (control->mode == SEA_CONTROL_INTERACTIVE)
		seai_device_keys_init(control, options->in_fd);
	r = control_start_thread(control);
	if (r < 0) {
		sea_machine_unsubscribe_states(machine, control->key);
		control_free(control);
		return r;
	}
	sea_log(SEA_SEVERITY_DEBUG, "control: %s", sea_control_mode_name(control->mode));
	*ret_control = control;
	return 0;
}

struct sea_control *sea_control_stop(struct sea_control *control)
{
	if (!control)
		return NULL;
	if (control->is_forked) {
		control_free(control);
		return NULL;
	}
	atomic_store(&control->must_stop, true);
	control_wake(control->wake_fd);
	pthread_join(control->thread, NULL);
	sea_machine_unsubscribe_states(control->machine, control->key);
	control_free(control);
	return NULL;
}

void sea_control_shut_down(struct sea_control *control)
{
	if (control->is_forked)
		return;
	atomic_store(&control->must_shut_down, true);
	control_wake(control->wake_fd);
}
