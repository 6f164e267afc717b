/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pubsub: one publisher, and every message to each of 1 to 8 subscribers, as one block with many holds.
 *
 * The odd rule: what is counted is the publisher's processor time, service thread included, while it allocates and sends a burst
 * that fits every queue; then it waits, outside of that, until the subscribers (who share one core) have it. One job
 * more never waits so, but lets the channel do it: there all processor time counts.
 */
#include "bench.h"

#include <errno.h>
#include <time.h>

#define BURST 128u
#define CAPACITY 256
#define TIMEOUT_NS (60 * INT64_C(1000000000))
/* What 8 subscribers must reach, in million messages per core-second. */
#define RATE_AT_LEAST 1.5
#define RATE_N_SUBSCRIBERS 8

enum pubsub_variant {
	PUBSUB_BURSTS, /* the publisher drops what finds no room, and sees to it that there is room */
	PUBSUB_WAITS,  /* it waits for the slowest: SEA_SLOW_WAIT */
};

static int pubsub_open(struct bench_job *job, int side)
{
	const struct sea_channel_options options = {
		.sndbuf = CAPACITY,
		.rcvbuf = -1,
		.slow = job->variant == PUBSUB_WAITS ? SEA_SLOW_WAIT : SEA_SLOW_DROP,
	};
	struct bench_sealane *sealane = bench_sealane_new(job, 0);
	char name[64];
	int r;

	if (sealane == NULL)
		return -ENOTSUP;
	snprintf(name, sizeof name, "bench-%u", job->id);
	r = sea_channel_new(&sealane->channel, sealane->session, side == 0 ? SEA_PUB : SEA_SUB,
	                    side == 0 ? &options : &(struct sea_channel_options){ .sndbuf = -1, .rcvbuf = -1 });
	if (r == 0 && side != 0)
		r = sea_channel_subscribe(sealane->channel, "", 0);
	if (r == 0)
		r = side == 0 ? sea_channel_bind(sealane->channel, name) : sea_channel_connect(sealane->channel, name);
	bench_check(r == 0, "channel %s: %s", name, sea_error_text(r));
	r = sea_channel_wait_peers(sealane->channel, side == 0 ? (unsigned)job->n_sides - 1 : 1, TIMEOUT_NS);
	bench_check(r == 0, "not all subscribers connected: %s", sea_error_text(r));
	return 0;
}

static void pubsub_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static const struct bench_road road_pubsub = { .name = "sealane", .open = pubsub_open, .close = pubsub_close };

static int64_t cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static uint64_t pubsub_n_missed(const struct bench_sealane *sealane)
{
	struct sea_channel_stats stats;
	const int r = sea_channel_get_stats(sealane->channel, &stats);

	bench_check(r == 0, "sea_channel_get_stats: %s", sea_error_text(r));
	return stats.n_missed;
}

static void pubsub_await(struct bench_job *job)
{
	const int64_t start = bench_now();

	for (int s = 1; s < job->n_sides; s++)
		bench_await(&job->shared->done[s].n, job->sequence);
	job->wait_ns += bench_now() - start;
}

static void pubsub_send(struct bench_job *job, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	const uint64_t n_missed = pubsub_n_missed(sealane);
	int64_t cpu_ns = 0;

	for (uint64_t done = 0; done < n;) {
		const uint64_t n_burst = job->variant == PUBSUB_BURSTS && n - done > BURST ? BURST : n - done;
		const int64_t start_ns = cpu_now();

		for (uint64_t i = 0; i < n_burst; i++) {
			struct sea_message *message = NULL;
			int r = sea_message_new(&message, sealane->heap, job->mix->sizes[0], 0, TIMEOUT_NS);

			bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
			sea_message_set_tag(message, job->sequence++);
			r = sea_channel_send(sealane->channel, &message, TIMEOUT_NS);
			bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
		}
		cpu_ns += cpu_now() - start_ns;
		pubsub_await(job);
		done += n_burst;
	}
	turn->end_ns = bench_now();
	turn->extra[0] = (double)cpu_ns;
	turn->extra[1] = (double)(pubsub_n_missed(sealane) - n_missed);
}

static void turn_pubsub(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	if (side == 0)
		pubsub_send(job, n, turn);
	else
		bench_sealane_receive(job, side, n);
}

static double value_per_core(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)sides[0].n * 1e3 / sides[0].extra[0];
}

static double value_cpu_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[0] / (double)sides[0].n;
}

static double value_missed(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[1];
}

static void pubsub_print(struct bench_job **job, size_t n_bytes)
{
	const int n_subscribers = (*job)->n_sides - 1;
	char name[64];
	struct bench_row row;

	snprintf(name, sizeof name, "%d-subscribers-%zu%s", n_subscribers, n_bytes,
	         (*job)->variant == PUBSUB_WAITS ? "-wait" : "");
	bench_row_init(&row, "pubsub", name, "M/core-s", value_per_core, job, 1);
	if (n_subscribers == RATE_N_SUBSCRIBERS && (*job)->variant == PUBSUB_BURSTS)
		row.value_at_least = RATE_AT_LEAST;
	bench_row_extra(&row, "publisher_cpu_ns", bench_median_of(*job, value_cpu_ns));
	bench_row_extra(&row, "n_missed", bench_median_of(*job, value_missed));
	/* What these two cores carried, with all waiting in it. */
	bench_row_extra(&row, "M_msg_per_s", bench_median_of(*job, bench_value_rate));
	bench_row_print(&row);
}

static int pubsub_size(size_t n_bytes)
{
	static const int n_subscribers[] = { 1, 2, 4, 8, 8 };
	struct bench_job *jobs[sizeof n_subscribers / sizeof *n_subscribers];
	const size_t n = sizeof n_subscribers / sizeof *n_subscribers;
	int r;

	for (size_t i = 0; i < n; i++) {
		char name[48];

		snprintf(name, sizeof name, "%d subscribers%s", n_subscribers[i], i + 1 == n ? ", waiting" : "");
		jobs[i] = bench_job_new(name, BENCH_OURS, &road_pubsub, turn_pubsub);
		jobs[i]->n_sides = n_subscribers[i] + 1;
		jobs[i]->variant = i + 1 == n ? PUBSUB_WAITS : PUBSUB_BURSTS;
		jobs[i]->window = CAPACITY;
		jobs[i]->mix = bench_mix_single(n_bytes);
	}
	r = bench_run(jobs, n);
	for (size_t i = 0; i < n && r == 0; i++)
		pubsub_print(&jobs[i], n_bytes);
	for (size_t i = 0; i < n; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_pubsub(void)
{
	bench_print_header("pubsub",
	                   "messages of the source per second of its processor time, each to all subscribers");
	return pubsub_size(64) != 0 || pubsub_size(1 << 20) != 0 ? -1 : 0;
}
