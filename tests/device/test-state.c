/* SPDX-License-Identifier: Apache-2.0 */
/* Names and table of states and transitions. */
#include <sealane/device/device.h>

#include "test.h"

TEST(names, "states and transitions have FairMQ's names, and are found by them")
{
	static const char *const states[] = { "UNDEFINED",
		                              "OK",
		                              "ERROR",
		                              "IDLE",
		                              "INITIALIZING DEVICE",
		                              "INITIALIZED",
		                              "BINDING",
		                              "BOUND",
		                              "CONNECTING",
		                              "DEVICE READY",
		                              "INITIALIZING TASK",
		                              "READY",
		                              "RUNNING",
		                              "RESETTING TASK",
		                              "RESETTING DEVICE",
		                              "EXITING" };
	static const char *const transitions[] = { "AUTO",       "INIT DEVICE",  "COMPLETE INIT", "BIND",
		                                   "CONNECT",    "INIT TASK",    "RUN",           "STOP",
		                                   "RESET TASK", "RESET DEVICE", "END",           "ERROR FOUND" };
	enum sea_transition transition;
	enum sea_device_state state;

	for (int i = 0; i < SEA_STATE_N; i++) {
		CHECK_STR_EQ(sea_device_state_name((enum sea_device_state)i), states[i]);
		CHECK_OK(sea_device_state_parse(states[i], &state));
		CHECK_EQ(state, i);
	}
	for (int i = 0; i < SEA_TRANSITION_N; i++) {
		CHECK_STR_EQ(sea_transition_name((enum sea_transition)i), transitions[i]);
		CHECK_OK(sea_transition_parse(transitions[i], &transition));
		CHECK_EQ(transition, i);
	}
	CHECK_OK(sea_device_state_parse("device-ready", &state));
	CHECK_EQ(state, SEA_STATE_DEVICE_READY);
	CHECK_OK(sea_transition_parse("Init_Task", &transition));
	CHECK_EQ(transition, SEA_TRANSITION_INIT_TASK);
	CHECK_ERR(sea_device_state_parse("", &state), -EINVAL);
	CHECK_ERR(sea_device_state_parse("READ", &state), -EINVAL);
	CHECK_ERR(sea_transition_parse("RUNX", &transition), -EINVAL);
	CHECK_STR_EQ(sea_device_state_name((enum sea_device_state)99), "UNDEFINED");
	CHECK_STR_EQ(sea_transition_name((enum sea_transition) - 1), "");
}

TEST(table, "seventeen transitions are legal, and ERROR FOUND from everywhere but EXITING")
{
	enum sea_device_state to;
	int n = 0;

	for (int state = 0; state < SEA_STATE_N; state++)
		for (int transition = 0; transition < SEA_TRANSITION_ERROR_FOUND; transition++)
			n += sea_transition_apply((enum sea_transition)transition, (enum sea_device_state)state, &to) ==
			     0;
	CHECK_EQ(n, 17);
	CHECK_OK(sea_transition_apply(SEA_TRANSITION_RUN, SEA_STATE_READY, &to));
	CHECK_EQ(to, SEA_STATE_RUNNING);
	CHECK_ERR(sea_transition_apply(SEA_TRANSITION_RUN, SEA_STATE_IDLE, &to), -EINVAL);
	CHECK_EQ(to, SEA_STATE_RUNNING);
	for (int state = 0; state < SEA_STATE_EXITING; state++) {
		CHECK_OK(sea_transition_apply(SEA_TRANSITION_ERROR_FOUND, (enum sea_device_state)state, &to));
		CHECK_EQ(to, SEA_STATE_ERROR);
	}
	CHECK_ERR(sea_transition_apply(SEA_TRANSITION_ERROR_FOUND, SEA_STATE_EXITING, &to), -EINVAL);
}
