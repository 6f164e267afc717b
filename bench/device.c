/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device: a sampler and a sink as two devices, one sending from its loop, the other a handler of data, against the bare channel.
 *
 * The odd rule: a turn is one stay in RUNNING. Its clock starts when the sampler's pre_run hook is called and stops with the last
 * message: what the change of state takes is no part of a rate.
 */
#include "bench.h"

#ifdef SEALANE_COMMAND_DEVICES
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/device.h>

#define WAIT_NS (60 * INT64_C(1000000000))
#define IN_FLIGHT_N_BYTES (UINT64_C(1) << 30)
#define WINDOW_MAX 512u
#define RATIO_AT_LEAST 0.7
/* Of this size the ratio is a target. */
#define RATIO_N_BYTES ((size_t)1 << 20)

struct device_state {
	struct sea_options *options;
	struct sea_device *device;
	pthread_t thread;
	struct bench_job *job;
	/* Of the turn; the state thread's while the device is in RUNNING. */
	uint64_t n_left;
	int64_t start_ns, end_ns;
};

static int on_start(struct sea_device *device, void *userdata)
{
	struct device_state *state = userdata;

	(void)device;
	state->start_ns = bench_now();
	return 0;
}

static int on_send(struct sea_device *device, void *userdata)
{
	struct device_state *state = userdata;
	struct sea_message *message = NULL;
	int r = sea_device_new_message(device, &message, state->job->mix->sizes[0], 0);

	bench_check(r == 0, "sea_device_new_message: %s", sea_error_text(r));
	sea_message_set_tag(message, state->job->sequence++);
	r = sea_device_send(device, "data", 0, &message);
	bench_check(r == 0, "sea_device_send: %s", sea_error_text(r));
	if (--state->n_left > 0)
		return 1;
	state->end_ns = bench_now();
	return 0;
}

static int on_data(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct device_state *state = userdata;

	(void)device;
	(void)i;
	bench_check(sea_message_get_tag(*message) == state->job->sequence, "message %llu is out of order",
	            (unsigned long long)state->job->sequence);
	state->job->sequence++;
	if (--state->n_left > 0)
		return 1;
	state->end_ns = bench_now();
	return 0;
}

static int on_init(struct sea_device *device, void *userdata)
{
	return sea_device_on_data(device, "data", on_data, userdata);
}

static void *device_main(void *argument)
{
	struct device_state *state = argument;
	const int r = sea_machine_run(sea_device_machine(state->device));

	bench_check(r == 0, "sea_machine_run: %s", sea_error_text(r));
	return NULL;
}

/* Asks for a transition and waits until a state has been entered since. */
static void device_go(struct device_state *state, enum sea_transition transition, enum sea_device_state wanted)
{
	struct sea_machine *machine = sea_device_machine(state->device);
	uint64_t position = sea_machine_position(machine);
	enum sea_device_state now;
	int r = sea_machine_change_state(machine, transition);

	bench_check(r == 0, "sea_machine_change_state: %s", sea_error_text(r));
	do {
		r = sea_machine_next_state(machine, &position, WAIT_NS, &now);
		bench_check(r == 0, "sea_machine_next_state: %s", sea_error_text(r));
	} while (now != wanted);
}

static void device_make(struct device_state *state, int side)
{
	const struct sea_device_options device_options = {
		.hooks = { .init = side != 0 ? on_init : NULL,
		           .pre_run = on_start,
		           .conditional_run = side == 0 ? on_send : NULL,
		           .userdata = state },
	};
	struct sea_error error = { 0 };
	char config[256], id[32], line[700];
	/* The sending end brings the queue, as with the bare channel; no end may bring nothing. */
	char *argv[] = { id, "--id", id, "--transport", "memfd", "--channel-config", config, NULL };
	int r;

	snprintf(id, sizeof id, side == 0 ? "sampler" : "sink");
	snprintf(config, sizeof config,
	         "name=data,type=%s,method=%s,address=ipc://bench-%u,sndBufSize=%u,rcvBufSize=1,rateLogging=0",
	         side == 0 ? "push" : "pull", side == 0 ? "bind" : "connect", state->job->id, state->job->window - 3);
	sea_log_set_severity(SEA_SEVERITY_WARN);
	r = sea_options_new(&state->options);
	bench_check(r == 0, "sea_options_new: %s", sea_error_text(r));
	r = sea_options_parse(state->options, (int)(sizeof argv / sizeof *argv) - 1, argv, &error);
	if (r == 0)
		r = sea_device_new(&state->device, &device_options, state->options, &error);
	bench_check(r == 0, "%s", sea_error_line(&error, line, sizeof line));
}

static int device_open(struct bench_job *job, int side)
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
	};
	struct device_state *state = calloc(1, sizeof *state);

	bench_check(state != NULL, "no memory");
	job->state = state;
	state->job = job;
	device_make(state, side);
	bench_check(pthread_create(&state->thread, NULL, device_main, state) == 0, "pthread_create failed");
	for (size_t i = 0; i < sizeof way / sizeof *way; i++)
		device_go(state, way[i].transition, way[i].state);
	return 0;
}

static void device_close(struct bench_job *job, int side)
{
	struct device_state *state = job->state;

	(void)side;
	device_go(state, SEA_TRANSITION_RESET_TASK, SEA_STATE_DEVICE_READY);
	device_go(state, SEA_TRANSITION_RESET_DEVICE, SEA_STATE_IDLE);
	sea_machine_change_state(sea_device_machine(state->device), SEA_TRANSITION_END);
	pthread_join(state->thread, NULL);
	sea_device_free(state->device);
	sea_options_free(state->options);
	free(state);
}

static const struct bench_road road_device = { .name = "devices", .open = device_open, .close = device_close };

static void turn_device(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct device_state *state = job->state;

	(void)side;
	state->n_left = n;
	device_go(state, SEA_TRANSITION_RUN, SEA_STATE_READY);
	turn->start_ns = state->start_ns;
	turn->end_ns = state->end_ns;
}

static int device_case(size_t n_bytes)
{
	const uint64_t n_window = IN_FLIGHT_N_BYTES / n_bytes;
	struct bench_job *jobs[2];
	struct bench_row row;
	char name[64];
	int r;

	snprintf(name, sizeof name, "sampler-sink-%zu", n_bytes);
	jobs[0] = bench_job_new("bare channel", BENCH_LIMIT, &bench_road_sealane, bench_sealane_turn_rate);
	jobs[1] = bench_job_new("sampler and sink", BENCH_OURS, &road_device, turn_device);
	for (size_t i = 0; i < 2; i++) {
		jobs[i]->mix = bench_mix_single(n_bytes);
		jobs[i]->window = n_window > WINDOW_MAX ? WINDOW_MAX : (unsigned)n_window;
	}
	r = bench_run(jobs, 2);
	if (r == 0) {
		bench_row_init(&row, "device", name, "M msg/s", bench_value_rate, jobs, 2);
		if (n_bytes == RATIO_N_BYTES)
			row.ratio_at_least = RATIO_AT_LEAST;
		bench_row_extra(&row, "window", jobs[1]->window);
		bench_row_extra(&row, "channel_cpu_ns_producer", bench_cpu_per_message(jobs[0], 0));
		bench_row_extra(&row, "channel_cpu_ns_consumer", bench_cpu_per_message(jobs[0], 1));
		bench_row_print(&row);
	}
	for (size_t i = 0; i < 2; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_device(void)
{
	bench_print_header(
		"device",
		"a sampler and a sink that handles data, against the bare channel; nothing is written or read");
	return device_case(64) != 0 || device_case(RATIO_N_BYTES) != 0 ? -1 : 0;
}
#else
int bench_device(void)
{
	bench_print_skip("device", "all", "this build has no devices");
	return 0;
}
#endif
