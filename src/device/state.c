/* SPDX-License-Identifier: Apache-2.0 */
/* The table of states and transitions; see sealane/device/state.h. The odd rule: ERROR FOUND is not in the table, it leads from everywhere to ERROR. */
#include <sealane/device/state.h>

#include <ctype.h>
#include <errno.h>
#include <stddef.h>

static const char *const state_names[SEA_STATE_N] = {
	[SEA_STATE_UNDEFINED] = "UNDEFINED",
	[SEA_STATE_OK] = "OK",
	[SEA_STATE_ERROR] = "ERROR",
	[SEA_STATE_IDLE] = "IDLE",
	[SEA_STATE_INITIALIZING_DEVICE] = "INITIALIZING DEVICE",
	[SEA_STATE_INITIALIZED] = "INITIALIZED",
	[SEA_STATE_BINDING] = "BINDING",
	[SEA_STATE_BOUND] = "BOUND",
	[SEA_STATE_CONNECTING] = "CONNECTING",
	[SEA_STATE_DEVICE_READY] = "DEVICE READY",
	[SEA_STATE_INITIALIZING_TASK] = "INITIALIZING TASK",
	[SEA_STATE_READY] = "READY",
	[SEA_STATE_RUNNING] = "RUNNING",
	[SEA_STATE_RESETTING_TASK] = "RESETTING TASK",
	[SEA_STATE_RESETTING_DEVICE] = "RESETTING DEVICE",
	[SEA_STATE_EXITING] = "EXITING",
};

static const char *const transition_names[SEA_TRANSITION_N] = {
	[SEA_TRANSITION_AUTO] = "AUTO",
	[SEA_TRANSITION_INIT_DEVICE] = "INIT DEVICE",
	[SEA_TRANSITION_COMPLETE_INIT] = "COMPLETE INIT",
	[SEA_TRANSITION_BIND] = "BIND",
	[SEA_TRANSITION_CONNECT] = "CONNECT",
	[SEA_TRANSITION_INIT_TASK] = "INIT TASK",
	[SEA_TRANSITION_RUN] = "RUN",
	[SEA_TRANSITION_STOP] = "STOP",
	[SEA_TRANSITION_RESET_TASK] = "RESET TASK",
	[SEA_TRANSITION_RESET_DEVICE] = "RESET DEVICE",
	[SEA_TRANSITION_END] = "END",
	[SEA_TRANSITION_ERROR_FOUND] = "ERROR FOUND",
};

static const struct {
	enum sea_device_state from;
	enum sea_transition transition;
	enum sea_device_state to;
} table[] = {
	{ SEA_STATE_IDLE, SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE },
	{ SEA_STATE_IDLE, SEA_TRANSITION_END, SEA_STATE_EXITING },
	{ SEA_STATE_INITIALIZING_DEVICE, SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED },
	{ SEA_STATE_INITIALIZED, SEA_TRANSITION_BIND, SEA_STATE_BINDING },
	{ SEA_STATE_INITIALIZED, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_RESETTING_DEVICE },
	{ SEA_STATE_BINDING, SEA_TRANSITION_AUTO, SEA_STATE_BOUND },
	{ SEA_STATE_BOUND, SEA_TRANSITION_CONNECT, SEA_STATE_CONNECTING },
	{ SEA_STATE_BOUND, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_RESETTING_DEVICE },
	{ SEA_STATE_CONNECTING, SEA_TRANSITION_AUTO, SEA_STATE_DEVICE_READY },
	{ SEA_STATE_DEVICE_READY, SEA_TRANSITION_INIT_TASK, SEA_STATE_INITIALIZING_TASK },
	{ SEA_STATE_DEVICE_READY, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_RESETTING_DEVICE },
	{ SEA_STATE_INITIALIZING_TASK, SEA_TRANSITION_AUTO, SEA_STATE_READY },
	{ SEA_STATE_READY, SEA_TRANSITION_RUN, SEA_STATE_RUNNING },
	{ SEA_STATE_READY, SEA_TRANSITION_RESET_TASK, SEA_STATE_RESETTING_TASK },
	{ SEA_STATE_RUNNING, SEA_TRANSITION_STOP, SEA_STATE_READY },
	{ SEA_STATE_RESETTING_TASK, SEA_TRANSITION_AUTO, SEA_STATE_DEVICE_READY },
	{ SEA_STATE_RESETTING_DEVICE, SEA_TRANSITION_AUTO, SEA_STATE_IDLE },
};

const char *sea_device_state_name(enum sea_device_state state)
{
	return (unsigned)state < SEA_STATE_N ? state_names[state] : state_names[SEA_STATE_UNDEFINED];
}

const char *sea_transition_name(enum sea_transition transition)
{
	return (unsigned)transition < SEA_TRANSITION_N ? transition_names[transition] : "";
}

/* Upper case of what a person typed, with a space for what stands in for one. */
static int name_fold(char character)
{
	return character == '-' || character == '_' ? ' ' : toupper((unsigned char)character);
}

static int name_find(const char *const *names, int n_names, const char *name)
{
	for (int i = 0; i < n_names; i++) {
		size_t n = 0;

		while (name[n] && names[i][n] == name_fold(name[n]))
			n++;
		if (!name[n] && !names[i][n])
			return i;
	}
	return -EINVAL;
}

int sea_device_state_parse(const char *name, enum sea_device_state *ret_state)
{
	const int i = name_find(state_names, SEA_STATE_N, name);

	if (i < 0)
		return i;
	*ret_state = (enum sea_device_state)i;
	return 0;
}

int sea_transition_parse(const char *name, enum sea_transition *ret_transition)
{
	const int i = name_find(transition_names, SEA_TRANSITION_N, name);

	if (i < 0)
		return i;
	*ret_transition = (enum sea_transition)i;
	return 0;
}

int sea_device_state_is_resting(enum sea_device_state state)
{
	switch (state) {
	case SEA_STATE_ERROR:
	case SEA_STATE_IDLE:
	case SEA_STATE_INITIALIZED:
	case SEA_STATE_BOUND:
	case SEA_STATE_DEVICE_READY:
	case SEA_STATE_READY:
	case SEA_STATE_EXITING: return 1;
	default: return 0;
	}
}

int sea_transition_apply(enum sea_transition transition, enum sea_device_state from, enum sea_device_state *ret_to)
{
	if (transition == SEA_TRANSITION_ERROR_FOUND) {
		if (from == SEA_STATE_EXITING)
			return -EINVAL;
		*ret_to = SEA_STATE_ERROR;
		return 0;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].from == from && table[i].transition == transition) {
			*ret_to = table[i].to;
			return 0;
		}
	return -EINVAL;
}
