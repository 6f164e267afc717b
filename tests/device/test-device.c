/* SPDX-License-Identifier: Apache-2.0 */
/* Devices with their channels: several in one process, each with a thread for its states. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/device/device.h>
#include <sealane/sealane.h>

#include "test.h"

#define LONG_NS INT64_C(20000000000)

/* A device, and the thread that runs it. */
struct runner {
	struct sea_options *options;
	struct sea_device *device;
	pthread_t thread;
	int result;
	void *userdata;
};

static void *runner_main(void *argument)
{
	struct runner *runner = argument;

	runner->result = sea_machine_run(sea_device_machine(runner->device));
	return NULL;
}

/* argv ends with NULL. 0, or the error of parsing or making. */
static int runner_new(struct runner *runner, const struct sea_device_options *options, const char *const *argv)
{
	struct sea_error error = { 0 };
	int argc = 0, r;

	while (argv[argc])
		argc++;
	*runner = (struct runner){ .userdata = options->hooks.userdata };
	CHECK_OK(sea_options_new(&runner->options));
	r = sea_options_parse(runner->options, argc, (char *const *)(uintptr_t)argv, &error);
	if (r == 0)
		r = sea_device_new(&runner->device, options, runner->options, &error);
	if (r < 0)
		sea_options_free(runner->options);
	return r;
}

static void runner_start(struct runner *runner, const struct sea_device_options *options, const char *const *argv)
{
	CHECK_OK(runner_new(runner, options, argv));
	CHECK_EQ(pthread_create(&runner->thread, NULL, runner_main, runner), 0);
}

static void go(struct runner *runner, enum sea_transition transition, enum sea_device_state state)
{
	struct sea_machine *machine = sea_device_machine(runner->device);
	uint64_t position = sea_machine_position(machine);
	enum sea_device_state now;

	CHECK_OK(sea_machine_change_state(machine, transition));
	/* It may be left by the time that we look. */
	do
		CHECK_OK(sea_machine_next_state(machine, &position, LONG_NS, &now));
	while (now != state);
}

static void go_to(struct runner *runner, enum sea_device_state state)
{
	static const struct {
		enum sea_transition transition;
		enum sea_device_state state;
	} way[] = {
		{ SEA_TRANSITION_INIT_DEVICE, SEA_STATE_INITIALIZING_DEVICE },
		{ SEA_TRANSITION_COMPLETE_INIT, SEA_STATE_INITIALIZED },
		{ SEA_TRANSITION_BIND, SEA_STATE_BOUND },
		{ SEA_TRANSITION_CONNECT, SEA_STATE_DEVICE_READY },
		{ SEA_TRANSITION_INIT_TASK, SEA_STATE_READY },
		{ SEA_TRANSITION_RUN, SEA_STATE_RUNNING },
	};

	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		go(runner, way[i].transition, way[i].state);
		if (way[i].state == state)
			return;
	}
}

/* From READY, or from RUNNING, to the end. */
static void runner_end(struct runner *runner)
{
	struct sea_machine *machine = sea_device_machine(runner->device);

	if (sea_machine_change_state(machine, SEA_TRANSITION_STOP) == 0)
		CHECK_OK(sea_machine_wait_for_state(machine, SEA_STATE_READY, LONG_NS));
	go(runner, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
	go(runner, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	CHECK_OK(sea_machine_change_state(machine, SEA_TRANSITION_END));
	CHECK_EQ(pthread_join(runner->thread, NULL), 0);
	CHECK_EQ(runner->result, 0);
	sea_device_free(runner->device);
	sea_options_free(runner->options);
}

static bool has_libzmq(void)
{
	struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct sea_session *session;
	struct sea_channel *channel = NULL;
	int r;

	CHECK_OK(sea_session_open(&session, NULL));
	r = sea_channel_new(&channel, session, SEA_PUSH, &options);
	sea_channel_close(channel);
	sea_session_close(session);
	return r == 0;
}

#define N_MESSAGES 500

static int send_numbers(struct sea_device *device, void *userdata)
{
	uint64_t *n = userdata;
	struct sea_message *message;
	int r = sea_device_new_message(device, &message, 5000, 0);

	if (r < 0)
		return r == -ECANCELED ? 0 : r;
	memcpy(sea_message_write(message), n, sizeof(*n));
	r = sea_device_send(device, "data", 0, &message);
	sea_message_unref(message);
	if (r < 0)
		return r == -ECANCELED ? 0 : r;
	return ++*n < N_MESSAGES;
}

struct sums {
	_Atomic uint64_t n, sum;
};

static int sum_up(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct sums *sums = userdata;
	uint64_t n;

	(void)device;
	(void)i;
	memcpy(&n, sea_message_data(*message), sizeof(n));
	sums->sum += n;
	sums->n++;
	return 1;
}

static int handle(struct sea_device *device, void *userdata)
{
	return sea_device_on_data(device, "data", sum_up, userdata);
}

TEST(pipeline, "devices pass on data over each transport, from one channel and from several, and again after a reset")
{
	static const char *const transports[] = { "memfd", "shmem", "zeromq" };
	bool can_zeromq = has_libzmq();

	for (unsigned i = 0; i < 6; i++) {
		char out[300], in[300];
		uint64_t n[2] = { 0, 0 };
		struct sums sums = { 0 };
		struct runner samplers[2], sink;
		bool has_two = i >= 3;

		if (i % 3 == 2 && !can_zeromq)
			continue;
		snprintf(in, sizeof(in), "data:type=pull,method=bind,rateLogging=0,address=ipc://%s/in0%s%s%s",
		         getenv("SEALANE_RUNTIME_DIR"), has_two ? ",address=ipc://" : "",
		         has_two ? getenv("SEALANE_RUNTIME_DIR") : "", has_two ? "/in1" : "");
		runner_start(&sink, &(struct sea_device_options){ .hooks = { .init = handle, .userdata = &sums } },
		             (const char *const[]){ "sink", "--id", "sink", "--transport", transports[i % 3],
		                                    "--channel-config", in, NULL });
		for (unsigned j = 0; j <= has_two; j++) {
			snprintf(out, sizeof(out),
			         "name=data,type=push,method=connect,rateLogging=0,address=ipc://%s/in%u",
			         getenv("SEALANE_RUNTIME_DIR"), j);
			runner_start(&samplers[j],
			             &(struct sea_device_options){
					     .hooks = { .conditional_run = send_numbers, .userdata = &n[j] } },
			             (const char *const[]){ "sampler", "--id", "sampler", "--transport",
			                                    transports[i % 3], "--channel-config", out, NULL });
		}
		for (unsigned round = 1; round <= 2; round++) {
			uint64_t n_all = (uint64_t)N_MESSAGES * (1 + has_two);
			struct sea_device_counts counts;

			go_to(&sink, SEA_STATE_RUNNING);
			for (unsigned j = 0; j <= has_two; j++) {
				n[j] = 0;
				go_to(&samplers[j], SEA_STATE_RUNNING);
				CHECK_OK(sea_machine_wait_for_state(sea_device_machine(samplers[j].device),
				                                    SEA_STATE_READY, LONG_NS));
			}
			CHECK_EVENTUALLY(sums.n == round * n_all);
			CHECK_EQ(sums.sum, round * (1 + has_two) * (uint64_t)N_MESSAGES * (N_MESSAGES - 1) / 2);
			CHECK_OK(sea_device_get_counts(sink.device, "data", 0, &counts));
			CHECK_EQ(counts.n_in, N_MESSAGES);
			CHECK_EQ(counts.n_bytes_in, N_MESSAGES * 5000);
			if (round == 2)
				break;
			for (unsigned j = 0; j <= has_two; j++) {
				go(&samplers[j], SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
				go(&samplers[j], SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
			}
			go(&sink, SEA_TRANSITION_STOP, SEA_STATE_READY);
			go(&sink, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
			go(&sink, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
		}
		for (unsigned j = 0; j <= has_two; j++)
			runner_end(&samplers[j]);
		runner_end(&sink);
	}
}

/* A message of as many parts. */
static struct sea_message *parts(struct sea_device *device, unsigned n_parts)
{
	struct sea_frame_options options = { .n_bytes_max = { 4096 } };
	struct sea_message *message;
	struct sea_frame *frame;
	struct sea_heap *heap;
	void *data;

	CHECK_OK(sea_device_heap(device, &heap));
	CHECK_OK(sea_frame_new(&frame, heap, &options, 0));
	for (unsigned i = 0; i < n_parts; i++)
		CHECK_OK(sea_frame_add(frame, 100, 0, &data));
	CHECK_OK(sea_frame_seal(&frame, &message));
	return message;
}

static int no_peers(struct sea_device *device, void *userdata)
{
	struct sea_message *message, *same;

	for (unsigned n_parts = 1; n_parts <= 2; n_parts++) {
		same = message = parts(device, n_parts);
		CHECK_ERR(sea_device_send(device, "out", 0, &message), -ETIMEDOUT);
		CHECK_ERR(sea_device_send_timed(device, "out", 0, &message, 0), -EAGAIN);
		CHECK(message == same);
		CHECK_EQ(sea_message_n_parts(message), n_parts);
		sea_message_unref(message);
	}
	CHECK_OK(sea_device_new_message(device, &message, 100, 0));
	same = message;
	CHECK_ERR(sea_device_send(device, "out", 0, &message), -ETIMEDOUT);
	CHECK_ERR(sea_device_send_timed(device, "out", 0, &message, 0), -EAGAIN);
	CHECK(message == same);
	CHECK_ERR(sea_device_receive(device, "in", 0, &message), -ETIMEDOUT);
	CHECK_ERR(sea_device_receive_timed(device, "in", 0, &message, 0), -EAGAIN);
	CHECK_ERR(sea_device_send(device, "none", 0, &message), -ENOENT);
	CHECK_ERR(sea_device_receive(device, "in", 1, &message), -ENOENT);
	/* Until it is stopped. */
	*(_Atomic bool *)userdata = true;
	CHECK_ERR(sea_device_receive_timed(device, "in", 0, &message, -1), -ECANCELED);
	CHECK_ERR(sea_device_receive_timed(device, "in", 0, &message, -1), -ECANCELED);
	CHECK_ERR(sea_device_send_timed(device, "out", 0, &message, -1), -ECANCELED);
	CHECK_EQ(sea_device_is_pending(device), 1);
	sea_message_unref(message);
	return 0;
}

TEST(timeouts, "a device without peers gets its timeouts, and a change of state ends what would wait for ever")
{
	static const char *const transports[] = { "memfd", "shmem", "zeromq" };

	for (unsigned i = 0; i < 2U + has_libzmq(); i++) {
		_Atomic bool waits = false;
		struct runner device;

		runner_start(&device,
		             &(struct sea_device_options){ .hooks = { .run = no_peers, .userdata = (void *)&waits } },
		             (const char *const[]){
				     "x", "--id", "x", "--transport", transports[i], "--channel-config",
				     "name=out,type=push,method=bind,sndTimeoutMs=20,address=tcp://127.0.0.1:1",
				     "--channel-config",
				     "name=in,type=pull,method=bind,rcvTimeoutMs=20,address=tcp://127.0.0.1:1", NULL });
		go_to(&device, SEA_STATE_RUNNING);
		CHECK_EVENTUALLY(waits);
		runner_end(&device);
	}
}

TEST(ports, "a bound channel whose port is taken gets another, and who connects learns of it by its property")
{
	struct runner first, second, other;
	char address[200], port[2][200];
	const struct sea_device_options nothing = { 0 };

	runner_start(&first, &nothing,
	             (const char *const[]){ "a", "--id", "a", "--channel-config",
	                                    "name=data,type=push,method=bind,address=tcp://*:5570", NULL });
	go_to(&first, SEA_STATE_READY);
	runner_start(&second, &nothing,
	             (const char *const[]){ "b", "--id", "b", "--channel-config",
	                                    "name=data,type=push,method=bind,address=tcp://*:5570", NULL });
	go_to(&second, SEA_STATE_READY);
	CHECK_OK(sea_properties_get_text(sea_device_properties(first.device), "chans.data.0.address", port[0], 200));
	CHECK_OK(sea_properties_get_text(sea_device_properties(second.device), "chans.data.0.address", port[1], 200));
	CHECK_STR_EQ(port[0], "tcp://*:5570");
	CHECK(strcmp(port[1], "tcp://*:5570") != 0 && strncmp(port[1], "tcp://*:22", 10) == 0);
	/* Not allowed to take another: it fails. */
	runner_start(&other, &nothing,
	             (const char *const[]){ "c", "--id", "c", "--channel-config",
	                                    "name=data,type=push,method=bind,autoBind=false,address=tcp://*:5570",
	                                    NULL });
	go_to(&other, SEA_STATE_INITIALIZED);
	CHECK_OK(sea_machine_change_state(sea_device_machine(other.device), SEA_TRANSITION_BIND));
	CHECK_EQ(pthread_join(other.thread, NULL), 0);
	CHECK_EQ(other.result, -EADDRINUSE);
	sea_device_free(other.device);
	sea_options_free(other.options);
	/* No address at all: this machine's, and a port of the range. */
	runner_start(&other, &nothing,
	             (const char *const[]){ "d", "--id", "d", "--network-interface", "lo", "--channel-config",
	                                    "name=data,type=push,method=bind", NULL });
	go_to(&other, SEA_STATE_READY);
	CHECK_OK(sea_properties_get_text(sea_device_properties(other.device), "chans.data.0.address", address, 200));
	CHECK_EQ(strncmp(address, "tcp://127.0.0.1:22", 18), 0);
	runner_end(&other);
	/* Waits for its address. */
	runner_start(&other, &nothing,
	             (const char *const[]){ "e", "--id", "e", "--channel-config", "name=data,type=pull,method=connect",
	                                    NULL });
	go_to(&other, SEA_STATE_BOUND);
	CHECK_OK(sea_machine_change_state(sea_device_machine(other.device), SEA_TRANSITION_CONNECT));
	CHECK_ERR(sea_machine_wait_for_state(sea_device_machine(other.device), SEA_STATE_DEVICE_READY, 120000000),
	          -ETIMEDOUT);
	CHECK_OK(sea_properties_set_string(sea_device_properties(other.device), "chans.data.0.address", port[1]));
	CHECK_OK(sea_machine_wait_for_state(sea_device_machine(other.device), SEA_STATE_DEVICE_READY, LONG_NS));
	{
		struct sea_device_counts counts;

		CHECK_EVENTUALLY(sea_device_get_counts(second.device, "data", 0, &counts) == 0 && counts.n_peers == 1);
	}
	go(&other, SEA_TRANSITION_INIT_TASK, SEA_STATE_READY);
	runner_end(&other);
	runner_end(&first);
	runner_end(&second);
}

TEST(unfit, "a device says what is wrong with its channels before it begins")
{
	static const struct sea_device_endpoint endpoints[] = { { "data", 1, 2 }, { 0 } };
	const struct sea_device_options options = { .endpoints = endpoints };
	struct runner device;

	CHECK_ERR(runner_new(&device, &options, (const char *const[]){ "x", NULL }), -EINVAL);
	CHECK_ERR(runner_new(&device, &options,
	                     (const char *const[]){
				     "x", "--channel-config",
				     "name=data,type=push,method=bind,address=ipc://a,address=ipc://b,address=ipc://c",
				     NULL }),
	          -EINVAL);
	CHECK_OK(runner_new(&device, &options,
	                    (const char *const[]){ "x", "--channel-config",
	                                           "name=data,type=push,method=bind,address=ipc://a", NULL }));
	sea_device_free(device.device);
	sea_options_free(device.options);
}

/* Sends as long as it is let. */
static int flood(struct sea_device *device, void *userdata)
{
	struct sea_message *message;
	int r = sea_device_new_message(device, &message, 1000, 0);

	if (r == 0)
		r = sea_device_send(device, "data", 0, &message);
	if (r < 0) {
		CHECK_EQ(r, -ECANCELED);
		sea_message_unref(message);
		return 0;
	}
	++*(_Atomic unsigned *)userdata;
	return 1;
}

/* Each message to two channels; what does not go is tried again. */
static int flood_twice(struct sea_device *device, void *userdata)
{
	struct sea_message *message, *copy;
	int r = sea_device_new_message(device, &message, 1000, 0), s = 0;

	if (r < 0)
		return r == -ECANCELED ? 0 : r;
	copy = sea_message_ref(message);
	do
		r = sea_device_send(device, "data", 0, &message);
	while (r == -ETIMEDOUT);
	do
		s = r == 0 ? sea_device_send(device, "copy", 0, &copy) : 0;
	while (s == -ETIMEDOUT);
	sea_message_unref(message);
	sea_message_unref(copy);
	if (r == 0 && s == 0)
		++*(_Atomic unsigned *)userdata;
	return r == 0 && s == 0;
}

TEST(flight_retried, "with --max-in-flight a message that is tried again, or sent on two channels, counts once")
{
	_Atomic unsigned n_sent = 0;
	struct runner device;
	struct sea_session *session;
	struct sea_channel *pulls[2];
	struct sea_message *messages[2][3];

	CHECK_OK(sea_session_open(&session, NULL));
	runner_start(&device,
	             &(struct sea_device_options){
			     .hooks = { .conditional_run = flood_twice, .userdata = (void *)&n_sent } },
	             (const char *const[]){
			     "x", "--id", "x", "--max-in-flight", "2", "--channel-config",
			     "name=data,type=push,method=bind,address=ipc://once,sndTimeoutMs=1,rateLogging=0",
			     "name=copy,type=push,method=bind,address=ipc://twice,sndTimeoutMs=1,rateLogging=0",
			     NULL });
	go_to(&device, SEA_STATE_RUNNING);
	/* Nobody is there: it tries again and again. */
	CHECK_ERR(sea_machine_wait_for_state(sea_device_machine(device.device), SEA_STATE_READY, 50000000), -ETIMEDOUT);
	for (unsigned j = 0; j < 2; j++) {
		CHECK_OK(sea_channel_new(&pulls[j], session, SEA_PULL, NULL));
		CHECK_OK(sea_channel_connect(pulls[j], j ? "twice" : "once"));
	}
	for (unsigned i = 0; i < 50; i++) {
		for (unsigned j = 0; j < 2; j++)
			for (unsigned k = 0; k < 2; k++)
				CHECK_OK(sea_channel_receive(pulls[j], &messages[j][k], LONG_NS));
		CHECK_EVENTUALLY(n_sent == 2 * i + 2);
		CHECK_ERR(sea_channel_receive(pulls[0], &messages[0][2], i ? 0 : 50000000), i ? -EAGAIN : -ETIMEDOUT);
		for (unsigned j = 0; j < 2; j++)
			for (unsigned k = 0; k < 2; k++)
				sea_message_unref(messages[j][k]);
	}
	go(&device, SEA_TRANSITION_STOP, SEA_STATE_READY);
	for (unsigned j = 0; j < 2; j++)
		sea_channel_close(pulls[j]);
	sea_session_close(session);
	runner_end(&device);
}

TEST(flight, "with --max-in-flight no more is sent than that is not yet released, by whomever")
{
	_Atomic unsigned n_sent = 0;
	struct runner device;
	struct sea_session *session;
	struct sea_channel *pull;
	struct sea_message *messages[20];

	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_channel_new(&pull, session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_connect(pull, "flight"));
	runner_start(&device,
	             &(struct sea_device_options){ .hooks = { .conditional_run = flood, .userdata = (void *)&n_sent } },
	             (const char *const[]){ "x", "--id", "x", "--max-in-flight", "10", "--channel-config",
	                                    "name=data,type=push,method=bind,address=ipc://flight", NULL });
	go_to(&device, SEA_STATE_RUNNING);
	for (unsigned i = 0; i < 10; i++)
		CHECK_OK(sea_channel_receive(pull, &messages[i], LONG_NS));
	CHECK_ERR(sea_channel_receive(pull, &messages[10], 100000000), -ETIMEDOUT);
	CHECK_EQ(n_sent, 10);
	for (unsigned i = 0; i < 7; i++)
		sea_message_unref(messages[i]);
	for (unsigned i = 0; i < 7; i++)
		CHECK_OK(sea_channel_receive(pull, &messages[i], LONG_NS));
	CHECK_ERR(sea_channel_receive(pull, &messages[10], 100000000), -ETIMEDOUT);
	CHECK_EQ(n_sent, 17);
	for (unsigned i = 0; i < 10; i++)
		sea_message_unref(messages[i]);
	go(&device, SEA_TRANSITION_STOP, SEA_STATE_READY);
	sea_channel_close(pull);
	sea_session_close(session);
	runner_end(&device);
}
