/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FairMQ's keys, from a terminal or a pipe.
 *
 * The odd rule: a key that asks for a transition waits until the one before it has come to rest, so that keys may be typed, or
 * written into a pipe, ahead. Others are answered at once. Only a terminal is shown a help text.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <sealane/device/log.h>

#include "device/control.h"

static const char keys_help[] = "\nKeys:\n"
				" [h] help, [c] current state, [p] number of connected peers of all channels\n"
				" [i] init device, [b] bind, [x] connect, [j] init task, [r] run, [s] stop\n"
				" [t] reset task, [d] reset device, [q] end\n"
				" [k] raise the log's severity, [l] lower it, [n] raise its verbosity, [m] lower it\n";

static const char keys_states[] =
	"\n IDLE --[i]--> INITIALIZED --[b]--> BOUND --[x]--> DEVICE READY --[j]--> READY --[r]--> RUNNING\n"
	" RUNNING --[s]--> READY --[t]--> DEVICE READY; INITIALIZED, BOUND, DEVICE READY --[d]--> IDLE\n"
	" [q] goes the way down from any state, and ends\n\n";

static const struct {
	char key;
	enum sea_transition transition;
} keys_transitions[] = {
	{ 'i', SEA_TRANSITION_INIT_DEVICE }, { 'b', SEA_TRANSITION_BIND },         { 'x', SEA_TRANSITION_CONNECT },
	{ 'j', SEA_TRANSITION_INIT_TASK },   { 'r', SEA_TRANSITION_RUN },          { 's', SEA_TRANSITION_STOP },
	{ 't', SEA_TRANSITION_RESET_TASK },  { 'd', SEA_TRANSITION_RESET_DEVICE },
};

static void keys_show(const struct seai_control_keys *keys, const char *text)
{
	if (keys->is_terminal)
		(void)!write(STDOUT_FILENO, text, strlen(text));
}

void seai_device_keys_init(struct sea_control *control, int fd)
{
	struct seai_control_keys *keys = &control->keys;
	struct termios raw;

	keys->fd = fd;
	if (tcgetattr(fd, &keys->before) < 0)
		return;
	/* In the background the terminal is another's. */
	if (tcgetpgrp(fd) != getpgrp()) {
		keys->fd = -1;
		return;
	}
	keys->is_terminal = true;
	raw = keys->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(fd, TCSANOW, &raw);
	seai_device_signals_set_terminal(fd, &keys->before);
}

void seai_device_keys_fini(struct sea_control *control)
{
	struct seai_control_keys *keys = &control->keys;

	if (!keys->is_terminal)
		return;
	seai_device_signals_clear_terminal();
	tcsetattr(keys->fd, TCSANOW, &keys->before);
	keys->is_terminal = false;
}

void seai_device_keys_greet(struct sea_control *control)
{
	keys_show(&control->keys, keys_help);
}

/* Past the log, which may be set to say nothing. */
static void keys_say(const char *what, const char *value)
{
	char text[80];
	const int n = snprintf(text, sizeof(text), " --> log %s: %s\n", what, value);

	if (n > 0)
		(void)!write(STDOUT_FILENO, text, (size_t)n);
}

static void keys_change_severity(int by)
{
	const int n = SEA_SEVERITY_FATAL + 1;
	const enum sea_severity severity = (enum sea_severity)(((int)sea_log_severity() + by + n) % n);

	sea_log_set_severity(severity);
	keys_say("severity", sea_severity_name(severity));
}

static void keys_change_verbosity(int by)
{
	const int n = SEA_VERBOSITY_VERYHIGH + 1;
	const enum sea_verbosity verbosity = (enum sea_verbosity)(((int)sea_log_verbosity() + by + n) % n);

	sea_log_set_verbosity(verbosity);
	keys_say("verbosity", sea_verbosity_name(verbosity));
}

/* @return whether it was one that needs no transition */
static bool keys_answer(struct sea_control *control, char key)
{
	switch (key) {
	case '\n':
	case '\r':
	case ' ': break;
	case 'h':
		keys_show(&control->keys, keys_help);
		keys_show(&control->keys, keys_states);
		break;
	case 'c': sea_log(SEA_SEVERITY_STATE, "%s", sea_device_state_name(sea_machine_state(control->machine))); break;
	case 'p':
		if (control->print_peers)
			control->print_peers(control->userdata);
		break;
	case 'k': keys_change_severity(1); break;
	case 'l': keys_change_severity(-1); break;
	case 'n': keys_change_verbosity(1); break;
	case 'm': keys_change_verbosity(-1); break;
	default: return false;
	}
	return true;
}

static bool keys_is_transition(char key)
{
	for (size_t i = 0; i < sizeof(keys_transitions) / sizeof(keys_transitions[0]); i++)
		if (keys_transitions[i].key == key)
			return true;
	return key == 'q';
}

/* A transition, or the way down. */
static void keys_do(struct sea_control *control, char key)
{
	if (key == 'q') {
		sea_log(SEA_SEVERITY_INFO, "[q] end");
		seai_device_control_go_down(control, NULL);
		return;
	}
	for (size_t i = 0; i < sizeof(keys_transitions) / sizeof(keys_transitions[0]); i++) {
		const enum sea_transition transition = keys_transitions[i].transition;
		int r;

		if (keys_transitions[i].key != key)
			continue;
		sea_log(SEA_SEVERITY_INFO, "[%c] %s", key, sea_transition_name(transition));
		r = sea_machine_change_state(control->machine, transition);
		if (r < 0)
			sea_log(SEA_SEVERITY_WARN, "no transition %s in state %s", sea_transition_name(transition),
			        sea_device_state_name(sea_machine_state(control->machine)));
		else if (key == 'i')
			control->keys.is_completing = true;
		return;
	}
}

/* Nothing is under way: the next state is up to somebody. RUNNING as well: it can be stopped. */
static bool keys_is_at_rest(const struct sea_control *control)
{
	const enum sea_device_state state = sea_machine_state(control->machine);

	return control->plan == SEAI_CONTROL_REST && !sea_machine_is_pending(control->machine) &&
	       state == control->state && (sea_device_state_is_resting(state) || state == SEA_STATE_RUNNING);
}

void seai_device_keys_go_on(struct sea_control *control)
{
	struct seai_control_keys *keys = &control->keys;

	if (keys->is_completing && control->state == SEA_STATE_INITIALIZING_DEVICE) {
		keys->is_completing = false;
		sea_machine_change_state(control->machine, SEA_TRANSITION_COMPLETE_INIT);
	}
	while (keys->n_waiting > 0 && keys_is_at_rest(control)) {
		const char key = keys->waiting[0];

		memmove(keys->waiting, keys->waiting + 1, --keys->n_waiting);
		keys_do(control, key);
	}
}

void seai_device_keys_read(struct sea_control *control)
{
	struct seai_control_keys *keys = &control->keys;
	char typed[64];
	const ssize_t n = read(keys->fd, typed, sizeof(typed));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* The other end of the pipe, or the terminal, is gone: no more keys, but the device goes on. */
		seai_device_keys_fini(control);
		keys->fd = -1;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (keys_answer(control, typed[i]))
			continue;
		if (!keys_is_transition(typed[i]))
			sea_log(SEA_SEVERITY_WARN, "no key [%c]; h is for help", typed[i] >= ' ' ? typed[i] : '?');
		else if (keys->n_waiting < sizeof(keys->waiting))
			keys->waiting[keys->n_waiting++] = typed[i];
	}
	seai_device_keys_go_on(control);
}
