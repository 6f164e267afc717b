/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller: 64 channels of which one has something, against one channel, in the same poller.
 *
 * The odd rule: the idle channels are connected, each to one of the producer's, and carry one message before each turn,
 * so that nothing about them is asleep that would be awake in a program.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define N_CHANNELS_MAX 64
#define CAPACITY 256
#define TIMEOUT_NS (60 * INT64_C(1000000000))
#define N_BYTES 64
/* What one active channel among many may cost, compared with one alone. */
#define RATIO_AT_MOST 1.3

/* How the consumer waits. */
enum poller_variant {
	POLLER_RECEIVE, /* in a blocking receive, without a poller */
	POLLER_ONE,     /* in a poller with one channel */
	POLLER_MANY,    /* in a poller with 64, of which one is active */
};

struct poller_state {
	struct bench_sealane *sealane;
	struct sea_poller *poller;
	struct sea_channel *channels[N_CHANNELS_MAX]; /* the first is active; the sealane's own */
	struct sea_channel *back;                     /* answers, of a round trip */
	unsigned n_channels;
};

static unsigned poller_n_channels(const struct bench_job *job)
{
	return job->variant == POLLER_MANY ? N_CHANNELS_MAX : 1;
}

static int poller_open(struct bench_job *job, int side)
{
	struct poller_state *state = calloc(1, sizeof *state);
	int r;

	bench_check(state != NULL, "no memory");
	state->sealane = bench_sealane_new(job, 0);
	if (state->sealane == NULL)
		return -ENOTSUP;
	job->state = state;
	state->n_channels = poller_n_channels(job);
	for (unsigned i = 0; i < state->n_channels; i++)
		state->channels[i] = bench_sealane_channel(job, state->sealane, side == 0 ? SEA_PUSH : SEA_PULL,
		                                           CAPACITY, i, side == 0);
	state->back = bench_sealane_channel(job, state->sealane, side == 0 ? SEA_PULL : SEA_PUSH, CAPACITY,
	                                    N_CHANNELS_MAX, side == 0);
	for (unsigned i = 0; i <= state->n_channels; i++) {
		r = sea_channel_wait_peers(i < state->n_channels ? state->channels[i] : state->back, 1, TIMEOUT_NS);
		bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	}
	if (side == 0 || job->variant == POLLER_RECEIVE)
		return 0;
	r = sea_poller_new(&state->poller);
	bench_check(r == 0, "sea_poller_new: %s", sea_error_text(r));
	for (unsigned i = 0; i < state->n_channels; i++) {
		r = sea_poller_set_channel(state->poller, state->channels[i], SEA_POLL_IN, NULL);
		bench_check(r == 0, "sea_poller_set_channel: %s", sea_error_text(r));
	}
	return 0;
}

static void poller_close(struct bench_job *job, int side)
{
	struct poller_state *state = job->state;

	(void)side;
	sea_poller_free(state->poller);
	for (unsigned i = 0; i < state->n_channels; i++)
		sea_channel_close(state->channels[i]);
	sea_channel_close(state->back);
	bench_sealane_free(state->sealane);
	free(state);
}

static const struct bench_road road_poller = { .name = "sealane", .open = poller_open, .close = poller_close };

static void poller_send(struct bench_job *job, struct sea_channel *channel, uint64_t tag)
{
	struct poller_state *state = job->state;
	struct sea_message *message = NULL;
	int r = sea_message_new(&message, state->sealane->heap, N_BYTES, 0, TIMEOUT_NS);

	bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
	sea_message_set_tag(message, tag);
	r = sea_channel_send(channel, &message, TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
}

static void poller_take(struct sea_channel *channel, uint64_t tag, int64_t timeout_ns)
{
	struct sea_message *message = NULL;
	const int r = sea_channel_receive(channel, &message, timeout_ns);

	bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
	bench_check(sea_message_get_tag(message) == tag, "message %llu is out of order", (unsigned long long)tag);
	sea_message_unref(message);
}

/* One message, from whichever channel has it; of the idle ones all have tag 0. */
static struct sea_channel *poller_receive(struct bench_job *job)
{
	struct poller_state *state = job->state;
	struct sea_poll_event event = { .channel = state->channels[0] };
	int r;

	if (state->poller != NULL) {
		r = sea_poller_wait(state->poller, &event, 1, TIMEOUT_NS);
		bench_check(r == 1 && event.events == SEA_POLL_IN, "sea_poller_wait: %s", sea_error_text(r));
	}
	poller_take(event.channel, event.channel == state->channels[0] ? job->sequence++ : 0,
	            state->poller != NULL ? 0 : TIMEOUT_NS);
	return event.channel;
}

/* Each of the idle channels has one message; then they rest. */
static void poller_touch_idle(struct bench_job *job, int side)
{
	struct poller_state *state = job->state;

	for (unsigned i = 1; i < state->n_channels; i++)
		if (side == 0)
			poller_send(job, state->channels[i], 0);
		else
			bench_check(poller_receive(job) != state->channels[0], "a message on the wrong channel");
	if (side == 0)
		poller_take(state->back, 0, TIMEOUT_NS);
	else
		poller_send(job, state->back, 0);
}

/* The turn's clock began after the idle channels had had their messages. */
static void poller_end_turn(struct bench_turn *turn, int64_t start_ns, struct timespec cpu_before)
{
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	turn->extra[0] = (double)(cpu.tv_sec - cpu_before.tv_sec) * 1e9 + (double)(cpu.tv_nsec - cpu_before.tv_nsec);
	turn->start_ns = start_ns;
	turn->end_ns = bench_now();
}

/* As fast as they go. */
static void turn_stream(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct poller_state *state = job->state;
	struct timespec cpu;
	int64_t start_ns;

	poller_touch_idle(job, side);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	start_ns = bench_now();
	for (uint64_t i = 0; i < n; i++)
		if (side == 0)
			poller_send(job, state->channels[0], job->sequence++);
		else
			poller_receive(job);
	poller_end_turn(turn, start_ns, cpu);
}

/* One there, one back: the consumer sleeps in its poller each time. */
static void turn_ping(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct poller_state *state = job->state;
	double *samples = side == 0 ? bench_samples(job, n) : NULL;
	struct timespec cpu;
	int64_t start_ns;

	poller_touch_idle(job, side);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	start_ns = bench_now();
	for (uint64_t i = 0; i < n; i++) {
		const int64_t sent_ns = samples != NULL ? bench_now() : 0;

		if (side == 0) {
			poller_send(job, state->channels[0], job->sequence++);
			poller_take(state->back, 0, TIMEOUT_NS);
		} else {
			poller_receive(job);
			poller_send(job, state->back, 0);
		}
		if (samples != NULL)
			samples[i] = (double)(bench_now() - sent_ns);
	}
	poller_end_turn(turn, start_ns, cpu);
	job->n_sampled = samples != NULL ? n : 0;
}

static double value_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)(sides[1].end_ns - sides[1].start_ns) / (double)sides[1].n;
}

static double value_cpu_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[1].extra[0] / (double)sides[1].n;
}

static int poller_case(const char *name, bench_turn_fn *turn, bench_value_fn *value)
{
	static const struct {
		const char *name;
		enum bench_role role;
		enum poller_variant variant;
	} kinds[] = {
		{ "poller of 1", BENCH_LIMIT, POLLER_ONE },
		{ "poller of 64", BENCH_OURS, POLLER_MANY },
		{ "blocking receive", BENCH_PEER, POLLER_RECEIVE },
	};
	struct bench_job *jobs[sizeof kinds / sizeof *kinds];
	const size_t n = sizeof kinds / sizeof *kinds;
	struct bench_row row;
	char cpu_name[48];
	int r;

	for (size_t i = 0; i < n; i++) {
		jobs[i] = bench_job_new(kinds[i].name, kinds[i].role, &road_poller, turn);
		jobs[i]->variant = (int)kinds[i].variant;
		jobs[i]->window = CAPACITY;
		/* The poller never looks for itself, so neither does what it is compared with. */
		jobs[i]->spin_ns = turn == turn_ping ? 1 : 0;
	}
	r = bench_run(jobs, n);
	if (r == 0) {
		bench_row_init(&row, "poller", name, "ns", value, jobs, n);
		row.ratio_at_most = RATIO_AT_MOST;
		bench_row_print(&row);
		snprintf(cpu_name, sizeof cpu_name, "%s-cpu", name);
		bench_row_init(&row, "poller", cpu_name, "ns", value_cpu_ns, jobs, n);
		row.ratio_at_most = RATIO_AT_MOST;
		bench_row_print(&row);
	}
	for (size_t i = 0; i < n; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_poller(void)
{
	bench_print_header(
		"poller",
		"64 channels of which one is active against one: per message, and the consumer's processor time");
	return poller_case("stream", turn_stream, value_ns) != 0 || poller_case("ping", turn_ping, bench_value_p50) != 0
	               ? -1
	               : 0;
}
