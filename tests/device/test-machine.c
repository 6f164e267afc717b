/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine: hooks in order, transitions, waiting, subscribers. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <sealane/device/device.h>

#include "test.h"

#define N_S INT64_C(1000000000)

/* A machine with what its hooks and steps have done, as words. The hook called `fails` returns -EIO, `errs` asks for ERROR FOUND. */
struct sea_device {
	struct sea_machine *machine;
	pthread_t thread;
	int result;
	char said[2048];
	const char *fails;
	int error; /* what it returns; 0: -EIO */
	const char *errs;
	int n_loops; /* conditional_run returns 1 so often */
	bool data;   /* the step has run */
	atomic_int n_interrupts;
	atomic_int is_interrupted;
	int (*run)(struct sea_device *device);
};

static int say(struct sea_device *device, const char *word)
{
	CHECK_LT(strlen(device->said) + strlen(word) + 2, sizeof(device->said));
	strcat(device->said, word);
	strcat(device->said, " ");
	if (device->errs && strcmp(device->errs, word) == 0)
		CHECK_OK(sea_machine_change_state(device->machine, SEA_TRANSITION_ERROR_FOUND));
	return device->fails && strcmp(device->fails, word) == 0 ? device->error ? device->error : -EIO : 0;
}

#define SAYS(name, word)                                                  \
	static int says_##name(struct sea_device *device, void *userdata) \
	{                                                                 \
		CHECK(userdata == device);                                \
		return say(device, word);                                 \
	}
SAYS(init, "init")
SAYS(bind, "bind")
SAYS(connect, "connect")
SAYS(init_task, "init_task")
SAYS(pre_run, "pre_run")
SAYS(post_run, "post_run")
SAYS(reset_task, "reset_task")
SAYS(reset, "reset")
SAYS(step_init, "+init")
SAYS(step_bind, "+bind")
SAYS(step_connect, "+connect")
SAYS(step_start, "+start")
SAYS(step_stop, "+stop")
SAYS(step_reset, "+reset")
SAYS(step_clear, "+clear")

static int says_loop(struct sea_device *device, void *userdata)
{
	const int r = say(userdata, "loop");

	device->n_loops--;
	return r < 0 && device->n_loops >= 0 ? r : device->n_loops > 0;
}

static int says_run(struct sea_device *device, void *userdata)
{
	const int r = say(userdata, "run");

	return r == 0 && device->run ? device->run(device) : r;
}

static int says_data(struct sea_device *device, void *userdata)
{
	const int r = say(userdata, "+data");

	return r < 0 ? r : device->data;
}

static void interrupt(struct sea_device *device, int on, void *userdata)
{
	CHECK(userdata == device);
	/* On and off in turns, and never two at once. */
	CHECK_EQ(atomic_exchange(&device->is_interrupted, on), !on);
	CHECK(!on || sea_machine_is_pending(device->machine));
	atomic_fetch_add(&device->n_interrupts, on);
}

static void *device_thread(void *userdata)
{
	struct sea_device *device = userdata;

	device->result = sea_machine_run(device->machine);
	return NULL;
}

static void device_start(struct sea_device *device)
{
	const struct sea_machine_options options = {
		.device = device,
		.hooks = { .init = says_init,
		           .bind = says_bind,
		           .connect = says_connect,
		           .init_task = says_init_task,
		           .pre_run = says_pre_run,
		           .conditional_run = says_loop,
		           .run = says_run,
		           .post_run = says_post_run,
		           .reset_task = says_reset_task,
		           .reset = says_reset,
		           .userdata = device },
		.steps = { .init = says_step_init,
		           .bind = says_step_bind,
		           .connect = says_step_connect,
		           .start = says_step_start,
		           .data = says_data,
		           .stop = says_step_stop,
		           .reset = says_step_reset,
		           .clear = says_step_clear,
		           .interrupt = interrupt,
		           .userdata = device },
		.name = "test",
	};

	CHECK_OK(sea_log_setup(&(struct sea_log_options){ .severity = "nolog" }, NULL));
	CHECK_OK(sea_machine_new(&device->machine, &options));
	CHECK_EQ(pthread_create(&device->thread, NULL, device_thread, device), 0);
}

static int device_end(struct sea_device *device)
{
	pthread_join(device->thread, NULL);
	sea_machine_free(device->machine);
	return device->result;
}

/* Asks for it, and waits for a state. */
static void go(struct sea_device *device, enum sea_transition transition, enum sea_device_state to)
{
	enum sea_device_state state;
	uint64_t position = sea_machine_position(device->machine);

	CHECK_OK(sea_machine_change_state(device->machine, transition));
	do
		CHECK_OK(sea_machine_next_state(device->machine, &position, test_patience_ns(), &state));
	while (state != to);
}

static void go_up(struct sea_device *device)
{
	go(device, SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE);
	go(device, SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED);
	go(device, SEA_TRANSITION_BIND, SEA_STATE_BOUND);
	go(device, SEA_TRANSITION_CONNECT, SEA_STATE_DEVICE_READY);
	go(device, SEA_TRANSITION_INIT_TASK, SEA_STATE_READY);
}

static void go_down(struct sea_device *device)
{
	go(device, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
	go(device, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	go(device, SEA_TRANSITION_END, SEA_STATE_EXITING);
}

static int waits(struct sea_device *device)
{
	CHECK_ERR(sea_machine_wait_for(device->machine, 600 * N_S), -EINTR);
	return 0;
}

TEST(order, "hooks and steps are called in FairMQ's order, and again in a second life")
{
	struct sea_device device = { .n_loops = 2 };

	device_start(&device);
	go_up(&device);
	CHECK_STR_EQ(device.said, "init +init +bind bind +connect connect init_task ");
	device.said[0] = 0;
	go(&device, SEA_TRANSITION_RUN, SEA_STATE_READY);
	CHECK_STR_EQ(device.said, "+start pre_run +data loop loop run post_run +stop ");
	device.said[0] = 0;
	device.data = true;
	go(&device, SEA_TRANSITION_RUN, SEA_STATE_READY);
	CHECK_STR_EQ(device.said, "+start pre_run +data post_run +stop ");
	device.said[0] = 0;
	go(&device, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
	go(&device, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	CHECK_STR_EQ(device.said, "reset_task +reset reset +clear ");
	go_up(&device);
	go_down(&device);
	CHECK_EQ(device_end(&device), 0);
}

TEST(stop, "STOP interrupts the sleep of a run; what waits is interrupted as long as a state is pending")
{
	struct sea_device device = { .run = waits };

	device_start(&device);
	go_up(&device);
	go(&device, SEA_TRANSITION_RUN, SEA_STATE_RUNNING);
	CHECK_EQ(sea_machine_state(device.machine), SEA_STATE_RUNNING);
	go(&device, SEA_TRANSITION_STOP, SEA_STATE_READY);
	go_down(&device);
	CHECK_EQ(device_end(&device), 0);
	CHECK(strstr(device.said, "run post_run +stop ") != NULL);
	CHECK_EQ(device.is_interrupted, 0);
	/* 6 from IDLE to RUNNING with 3 AUTO, STOP, 2 down with 2 AUTO, END. */
	CHECK_EQ(device.n_interrupts, 6 + 3 + 1 + 2 + 2 + 1);
}

TEST(invalid, "a transition that is not legal changes nothing, and AUTO is nobody's")
{
	struct sea_device device = { 0 };

	device_start(&device);
	CHECK_ERR(sea_machine_change_state(device.machine, SEA_TRANSITION_RUN), -EINVAL);
	CHECK_ERR(sea_machine_change_state(device.machine, SEA_TRANSITION_AUTO), -EINVAL);
	CHECK_ERR(sea_machine_change_state(device.machine, (enum sea_transition)77), -EINVAL);
	CHECK_EQ(sea_machine_state(device.machine), SEA_STATE_IDLE);
	go_up(&device);
	CHECK_ERR(sea_machine_change_state(device.machine, SEA_TRANSITION_END), -EINVAL);
	CHECK_ERR(sea_machine_run(device.machine), -EBUSY);
	go_down(&device);
	CHECK_ERR(sea_machine_change_state(device.machine, SEA_TRANSITION_ERROR_FOUND), -EINVAL);
	CHECK_EQ(device_end(&device), 0);
}

static int is_busy(struct sea_device *device)
{
	CHECK_OK(sea_machine_change_state(device->machine, SEA_TRANSITION_STOP));
	CHECK_ERR(sea_machine_change_state(device->machine, SEA_TRANSITION_STOP), -EBUSY);
	CHECK_EQ(sea_machine_is_pending(device->machine), 1);
	CHECK_ERR(sea_machine_wait_for(device->machine, -1), -EINTR);
	CHECK_ERR(sea_machine_wait_for_state(device->machine, SEA_STATE_READY, -1), -EDEADLK);
	return 0;
}

TEST(busy, "while a state is pending another transition is -EBUSY, and a hook that would wait for it is told")
{
	struct sea_device device = { .run = is_busy };

	device_start(&device);
	go_up(&device);
	go(&device, SEA_TRANSITION_RUN, SEA_STATE_READY);
	go_down(&device);
	CHECK_EQ(device_end(&device), 0);
}

static const char *const hooks[] = { "init",     "bind",       "connect", "init_task", "pre_run", "run",
	                             "post_run", "reset_task", "reset",   "loop",      "+init",   "+bind",
	                             "+connect", "+start",     "+data",   "+stop",     "+reset",  "+clear" };
#define N_HOOKS (sizeof(hooks) / sizeof(hooks[0]))

/* As a controller does that knows nothing: what comes next, until the end. */
static void drive(struct sea_device *device)
{
	static const enum sea_transition up[] = { SEA_TRANSITION_INIT_DEVICE, SEA_TRANSITION_COMPLETE_INIT,
		                                  SEA_TRANSITION_BIND,        SEA_TRANSITION_CONNECT,
		                                  SEA_TRANSITION_INIT_TASK,   SEA_TRANSITION_RUN,
		                                  SEA_TRANSITION_RESET_TASK,  SEA_TRANSITION_RESET_DEVICE,
		                                  SEA_TRANSITION_END };
	size_t n = 0;

	while (sea_machine_state(device->machine) != SEA_STATE_ERROR && n < sizeof(up) / sizeof(up[0]))
		if (sea_machine_change_state(device->machine, up[n]) == 0)
			n++;
		else
			test_sleep_ms(1);
}

TEST(fails, "a hook or step that fails leads to ERROR, and its number comes out of the run")
{
	for (size_t i = 0; i < N_HOOKS; i++) {
		struct sea_device device = { .fails = hooks[i], .n_loops = 2 };

		device_start(&device);
		drive(&device);
		CHECK_ERR(device_end(&device), -EIO);
		CHECK(strstr(device.said, hooks[i]) != NULL);
		/* What was started is stopped. */
		CHECK((strstr(device.said, "pre_run") != NULL) == (strstr(device.said, "+stop") != NULL));
	}
}

TEST(interrupted, "a hook or step that returns what an interrupted call has returned has not failed")
{
	static const int errors[] = { -EINTR, -ECANCELED };

	for (int j = 0; j < 2; j++)
		for (size_t i = 0; i < N_HOOKS; i++) {
			struct sea_device device = { .fails = hooks[i], .error = errors[j], .n_loops = 2 };

			device_start(&device);
			drive(&device);
			CHECK_OK(device_end(&device));
			/* Data that was interrupted is not followed by the hooks that take its place. */
			CHECK_EQ(strstr(device.said, " run ") == NULL, strcmp(hooks[i], "+data") == 0);
			CHECK_EQ(strstr(device.said, "loop loop") == NULL,
			         strcmp(hooks[i], "+data") == 0 ||
			                 (strcmp(hooks[i], "loop") == 0 && errors[j] == -ECANCELED));
		}
}

TEST(errs, "ERROR FOUND from a hook is accepted even where another state is pending, and ends the run")
{
	for (size_t i = 0; i < N_HOOKS; i++) {
		struct sea_device device = { .errs = hooks[i] };

		device_start(&device);
		drive(&device);
		CHECK_ERR(device_end(&device), -ECANCELED);
	}
}

TEST(wait_for_state, "waits end with the state, with the time, and with the end of the machine")
{
	struct sea_device device = { 0 };

	device_start(&device);
	CHECK_OK(sea_machine_wait_for_state(device.machine, SEA_STATE_IDLE, 0));
	CHECK_ERR(sea_machine_wait_for_state(device.machine, SEA_STATE_READY, 0), -ETIMEDOUT);
	CHECK_ERR(sea_machine_wait_for_state(device.machine, SEA_STATE_READY, 1000000), -ETIMEDOUT);
	CHECK_OK(sea_machine_wait_for(device.machine, 1000000));
	CHECK_OK(sea_machine_change_state(device.machine, SEA_TRANSITION_END));
	CHECK_ERR(sea_machine_wait_for_state(device.machine, SEA_STATE_READY, -1), -ECANCELED);
	CHECK_OK(sea_machine_wait_for_state(device.machine, SEA_STATE_EXITING, -1));
	CHECK_ERR(sea_machine_wait_for(device.machine, -1), -EINTR);
	CHECK_EQ(device_end(&device), 0);
}

TEST(next_state, "the states can be read one by one, none missing, from the first on")
{
	static const enum sea_device_state expected[] = { SEA_STATE_IDLE,         SEA_STATE_INITIALIZING_DEVICE,
		                                          SEA_STATE_INITIALIZED,  SEA_STATE_BINDING,
		                                          SEA_STATE_BOUND,        SEA_STATE_CONNECTING,
		                                          SEA_STATE_DEVICE_READY, SEA_STATE_INITIALIZING_TASK,
		                                          SEA_STATE_READY,        SEA_STATE_RESETTING_TASK,
		                                          SEA_STATE_DEVICE_READY, SEA_STATE_RESETTING_DEVICE,
		                                          SEA_STATE_IDLE,         SEA_STATE_EXITING };
	struct sea_device device = { 0 };
	enum sea_device_state state;
	uint64_t position = 0;

	device_start(&device);
	go_up(&device);
	go_down(&device);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		CHECK_OK(sea_machine_next_state(device.machine, &position, 0, &state));
		CHECK_EQ(state, expected[i]);
	}
	CHECK_ERR(sea_machine_next_state(device.machine, &position, -1, &state), -ECANCELED);
	CHECK_EQ(device_end(&device), 0);
}

/* Subscribers. ------------------------------------------------------------------------------- */

static void writes(enum sea_device_state state, void *userdata)
{
	if (state == SEA_STATE_INITIALIZING_DEVICE)
		strcat(userdata, "x");
	else if (state == SEA_STATE_INITIALIZED)
		strcat(userdata, "y");
}

static char order[64];

#define WRITES(name)                                                           \
	static void writes_##name(enum sea_device_state state, void *userdata) \
	{                                                                      \
		(void)userdata;                                                \
		if (state == SEA_STATE_INITIALIZING_DEVICE)                    \
			strcat(order, #name);                                  \
	}
WRITES(a)
WRITES(b)
WRITES(c)
WRITES(d)

TEST(subscribers, "subscribers are called by the number of their key, then in the order in which they came")
{
	struct sea_device device = { 0 };
	char said[8] = "";

	device_start(&device);
	CHECK_OK(sea_machine_subscribe_states(device.machine, "plain", writes_d, NULL));
	CHECK_OK(sea_machine_subscribe_states(device.machine, "10-later", writes_c, NULL));
	CHECK_OK(sea_machine_subscribe_states(device.machine, "9-z", writes_a, NULL));
	CHECK_OK(sea_machine_subscribe_states(device.machine, "9-a", writes_b, NULL));
	CHECK_OK(sea_machine_subscribe_states(device.machine, "said", writes, said));
	CHECK_ERR(sea_machine_subscribe_states(device.machine, "said", writes, said), -EEXIST);
	CHECK_ERR(sea_machine_subscribe_states(device.machine, "", writes, said), -EINVAL);
	CHECK_ERR(sea_machine_unsubscribe_states(device.machine, "nobody"), -ENOENT);
	go(&device, SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE);
	go(&device, SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED);
	go(&device, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	/* All of the former states have been told when the next is there. */
	CHECK_STR_EQ(order, "abcd");
	CHECK_STR_EQ(said, "xy");
	CHECK_OK(sea_machine_unsubscribe_states(device.machine, "said"));
	go(&device, SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE);
	go(&device, SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED);
	go(&device, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	go(&device, SEA_TRANSITION_END, SEA_STATE_EXITING);
	CHECK_EQ(device_end(&device), 0);
	CHECK_STR_EQ(order, "abcdabcd");
	CHECK_STR_EQ(said, "xy");
}

static pthread_t requester;

static void tells(enum sea_transition transition, void *userdata)
{
	struct sea_device *device = userdata;

	/* Those of the machine itself come on its own thread. */
	CHECK(pthread_equal(pthread_self(), requester));
	CHECK_EQ(transition, SEA_TRANSITION_INIT_DEVICE);
	/* The state waits for us. */
	CHECK_EQ(sea_machine_state(device->machine), SEA_STATE_IDLE);
	CHECK_OK(sea_machine_unsubscribe_transitions(device->machine, "self"));
}

TEST(transitions,
     "transitions are told in the thread that asks, before the state is entered, and who is told may unsubscribe")
{
	struct sea_device device = { 0 };

	requester = pthread_self();
	device_start(&device);
	CHECK_OK(sea_machine_subscribe_transitions(device.machine, "self", tells, &device));
	go(&device, SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE);
	go(&device, SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED);
	go(&device, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	go(&device, SEA_TRANSITION_END, SEA_STATE_EXITING);
	CHECK_EQ(device_end(&device), 0);
}

static void counts(enum sea_device_state state, void *userdata)
{
	(void)state;
	CHECK_EQ(*(atomic_int *)userdata, 0);
}

static void *subscribes(void *userdata)
{
	struct sea_device *device = userdata;
	atomic_int is_gone = 0;
	char key[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%d-%lx", i % 3, (unsigned long)pthread_self());
		is_gone = 0;
		CHECK_OK(sea_machine_subscribe_states(device->machine, key, counts, &is_gone));
		CHECK_OK(sea_machine_unsubscribe_states(device->machine, key));
		is_gone = 1; /* whoever is called now fails */
	}
	return NULL;
}

TEST(threads, "five threads subscribe and unsubscribe a thousand times while states change, and nobody is called late")
{
	struct sea_device device = { 0 };
	pthread_t threads[5];

	device_start(&device);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, subscribes, &device), 0);
	for (int i = 0; i < 30; i++) {
		device.said[0] = 0;
		go_up(&device);
		go(&device, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
		go(&device, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	}
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	go(&device, SEA_TRANSITION_END, SEA_STATE_EXITING);
	CHECK_EQ(device_end(&device), 0);
}

TEST(two, "two machines in one process do not know of each other")
{
	struct sea_device one = { 0 }, two = { .fails = "bind" };

	device_start(&one);
	device_start(&two);
	go_up(&one);
	drive(&two);
	CHECK_ERR(device_end(&two), -EIO);
	CHECK_EQ(sea_machine_state(one.machine), SEA_STATE_READY);
	go_down(&one);
	CHECK_EQ(device_end(&one), 0);
}

TEST(rate, "conditional_run keeps to its rate, and a pending state ends its sleep")
{
	struct sea_device device = { .n_loops = 5 };
	int64_t start_ns;

	device_start(&device);
	CHECK_ERR(sea_machine_set_rate(device.machine, -1), -EINVAL);
	CHECK_OK(sea_machine_set_rate(device.machine, 100));
	go_up(&device);
	start_ns = test_now_ns();
	go(&device, SEA_TRANSITION_RUN, SEA_STATE_READY);
	/* Four sleeps of 10 ms. */
	CHECK_GE(test_now_ns() - start_ns, 40 * 1000000);
	CHECK(strstr(device.said, "loop loop loop loop loop run") != NULL);
	/* A quarter of an hour, if nothing happens. */
	CHECK_OK(sea_machine_set_rate(device.machine, 0.0011));
	device.n_loops = 5;
	go(&device, SEA_TRANSITION_RUN, SEA_STATE_RUNNING);
	go(&device, SEA_TRANSITION_STOP, SEA_STATE_READY);
	go_down(&device);
	CHECK_EQ(device_end(&device), 0);
}

TEST(options, "a machine of a negative rate or with reserved members is refused; nothing at all is a machine")
{
	struct sea_machine *machine = NULL;

	CHECK_ERR(sea_machine_new(&machine, &(struct sea_machine_options){ .rate_hz = -1 }), -EINVAL);
	CHECK_ERR(sea_machine_new(&machine, &(struct sea_machine_options){ .reserved = { 1 } }), -EINVAL);
	CHECK(!machine);
	CHECK_OK(sea_machine_new(&machine, NULL));
	CHECK_OK(sea_machine_change_state(machine, SEA_TRANSITION_END));
	CHECK_OK(sea_machine_run(machine));
	CHECK(!sea_machine_free(machine));
	CHECK(!sea_machine_free(NULL));
}
