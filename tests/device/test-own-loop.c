/* SPDX-License-Identifier: Apache-2.0 */
/* A device with a loop of its own in its run hook, as docs/devices.md has it. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <sealane/device/device.h>
#include <sealane/sealane.h>

#include "test.h"

#define LONG_NS INT64_C(20000000000)
#define N_MESSAGES 100

struct own {
	struct sea_device *device;
	struct sea_poller *poller;
	_Atomic unsigned n_received, n_runs;
};

static void wake(enum sea_transition transition, void *userdata)
{
	(void)transition;
	sea_poller_interrupt(userdata);
}

static int run(struct sea_device *device, void *userdata)
{
	struct sea_channel *channel = sea_device_channel(device, "in", 0);
	struct own *own = userdata;
	struct sea_poller *poller;

	CHECK_OK(sea_poller_new(&poller));
	CHECK_OK(sea_poller_set_channel(poller, channel, SEA_POLL_IN, NULL));
	CHECK_OK(sea_machine_subscribe_transitions(sea_device_machine(device), "own-loop", wake, poller));
	atomic_fetch_add(&own->n_runs, 1);
	while (!sea_device_is_pending(device)) {
		struct sea_message *message = NULL;
		struct sea_poll_event event;
		int n = sea_poller_wait(poller, &event, 1, -1);

		CHECK(n == 1 || n == -ECANCELED || n == -EINTR);
		if (n == 1 && sea_channel_receive(channel, &message, 0) == 0)
			atomic_fetch_add(&own->n_received, 1);
		sea_message_unref(message);
	}
	CHECK_OK(sea_machine_unsubscribe_transitions(sea_device_machine(device), "own-loop"));
	sea_poller_free(poller);
	return 0;
}

static void *states(void *userdata)
{
	struct own *own = userdata;

	CHECK_OK(sea_machine_run(sea_device_machine(own->device)));
	return NULL;
}

static void go(struct own *own, enum sea_transition transition, enum sea_device_state state)
{
	CHECK_OK(sea_machine_change_state(sea_device_machine(own->device), transition));
	CHECK_OK(sea_machine_wait_for_state(sea_device_machine(own->device), state, LONG_NS));
}

TEST(own_loop, "a loop of a program's own in the run hook gets its data, and ends whenever a new state is pending")
{
	const char *const argv[] = { "own",
		                     "--id",
		                     "own",
		                     "--severity",
		                     "fatal",
		                     "--channel-config",
		                     "name=in,type=pull,method=bind,address=ipc://own-loop,rateLogging=0",
		                     NULL };
	struct own own = { 0 };
	struct sea_device_options device_options = { .hooks = { .run = run, .userdata = &own } };
	struct sea_options *options;
	struct sea_session *session;
	struct sea_channel *channel;
	pthread_t thread;

	CHECK_OK(sea_options_new(&options));
	CHECK_OK(sea_options_parse(options, 7, (char *const *)(uintptr_t)argv, NULL));
	CHECK_OK(sea_device_new(&own.device, &device_options, options, NULL));
	CHECK_EQ(pthread_create(&thread, NULL, states, &own), 0);
	go(&own, SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE);
	go(&own, SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED);
	go(&own, SEA_TRANSITION_BIND, SEA_STATE_BOUND);
	go(&own, SEA_TRANSITION_CONNECT, SEA_STATE_DEVICE_READY);
	go(&own, SEA_TRANSITION_INIT_TASK, SEA_STATE_READY);
	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_channel_new(&channel, session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(channel, "own-loop"));
	for (unsigned i = 1; i <= 3; i++) {
		go(&own, SEA_TRANSITION_RUN, SEA_STATE_RUNNING);
		for (unsigned j = 0; j < N_MESSAGES; j++) {
			struct sea_message *message;

			CHECK_OK(sea_message_new(&message, sea_session_heap(session), 1000, 0, LONG_NS));
			CHECK_OK(sea_channel_send(channel, &message, LONG_NS));
		}
		CHECK_EVENTUALLY(atomic_load(&own.n_received) == i * N_MESSAGES);
		/* Now it sleeps, or is about to. */
		go(&own, SEA_TRANSITION_STOP, SEA_STATE_READY);
		CHECK_EQ(atomic_load(&own.n_runs), i);
	}
	/* At once: before the loop has begun, perhaps. */
	for (unsigned i = 0; i < 20; i++) {
		go(&own, SEA_TRANSITION_RUN, SEA_STATE_RUNNING);
		go(&own, SEA_TRANSITION_STOP, SEA_STATE_READY);
	}
	sea_channel_close(channel);
	sea_session_close(session);
	go(&own, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
	go(&own, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	CHECK_OK(sea_machine_change_state(sea_device_machine(own.device), SEA_TRANSITION_END));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	sea_device_free(own.device);
	sea_options_free(options);
}
