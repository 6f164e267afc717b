/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanout: one message to many receivers, as one block with many holds.
 *
 * The odd rule: the producer sends a burst that fits every queue, and then waits, outside of what
 * is timed, until the receivers (who share one core) have it: what is counted is the producer's own time.
 */
#include "bench.h"

#include <errno.h>

#define BURST 32u
#define CAPACITY 128
#define TIMEOUT_NS (60 * INT64_C(1000000000))

static int n_fds_before;

static int fanout_open(struct bench_job *job, int side)
{
	struct bench_sealane *sealane;
	int r;

	n_fds_before = bench_n_fds();
	sealane = bench_sealane_new(job, 0);
	if (sealane == NULL)
		return -ENOTSUP;
	sealane->channel = bench_sealane_channel(job, sealane, side == 0 ? SEA_PUSH : SEA_PULL, CAPACITY, 0, side == 0);
	r = sea_channel_wait_peers(sealane->channel, side == 0 ? (unsigned)job->n_sides - 1 : 1, TIMEOUT_NS);
	bench_check(r == 0, "not all receivers connected: %s", sea_error_text(r));
	return 0;
}

static void fanout_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static const struct bench_road road_fanout = { .name = "sealane", .open = fanout_open, .close = fanout_close };

static void fanout_send(struct bench_job *job, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	const unsigned n_receivers = (unsigned)job->n_sides - 1;
	const bool stopped = atomic_load(&job->shared->stopped) != 0;
	double n_missed_all = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message = NULL;
		unsigned n_missed = 0;
		int r = sea_message_new(&message, sealane->heap, 64, 0, TIMEOUT_NS);

		bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
		sea_message_set_tag(message, job->sequence++);
		r = sea_channel_send_each(sealane->channel, &message, &n_missed);
		bench_check(r >= 0, "sea_channel_send_each: %s", sea_error_text(r));
		bench_check((unsigned)r + n_missed == n_receivers && n_missed <= (stopped ? 1 : 0),
		            "a message reached %d of %u receivers", r, n_receivers);
		n_missed_all += n_missed;
		if (job->sequence % BURST == 0 || i + 1 == n) {
			const int64_t start = bench_now();

			for (unsigned s = 1; s <= n_receivers; s++)
				if (!stopped || (int)s != job->stopped_side)
					bench_await(&job->shared->done[s].n, job->sequence);
			job->wait_ns += bench_now() - start;
		}
	}
	turn->end_ns = bench_now();
	turn->extra[0] = n_missed_all / (double)n;
	turn->extra[1] = bench_n_fds() - n_fds_before;
}

static void turn_fanout(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	if (side == 0)
		fanout_send(job, n, turn);
	else
		bench_sealane_receive(job, side, n);
}

static double value_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)(sides[0].end_ns - sides[0].start_ns - sides[0].wait_ns) / (double)sides[0].n;
}

/* The job with one receiver, in whose round the others are compared. */
static const struct bench_job *one;

static double value_further(const struct bench_job *job, const struct bench_turn *sides)
{
	const size_t round = (size_t)(sides - job->turns) / (size_t)job->n_sides;

	if (job->n_sides <= 2)
		return value_ns(job, sides);
	return (value_ns(job, sides) - value_ns(one, one->turns + round * (size_t)one->n_sides)) / (job->n_sides - 2);
}

static double value_missed(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[0];
}

static double value_fds(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[1];
}

int bench_fanout(void)
{
	/* The last one has one of its receivers stopped. */
	static const int n_receivers[] = { 1, 2, 4, 8, 16, 16 };
	struct bench_job *jobs[sizeof n_receivers / sizeof *n_receivers];
	const size_t n = sizeof n_receivers / sizeof *n_receivers;
	int r;

	bench_print_header("fanout", "producer's time per message to one receiver, and per further receiver");
	for (size_t i = 0; i < n; i++) {
		char name[48];

		snprintf(name, sizeof name, "%d receivers%s", n_receivers[i], i + 1 == n ? ", 1 stopped" : "");
		jobs[i] = bench_job_new(name, BENCH_OURS, &road_fanout, turn_fanout);
		jobs[i]->n_sides = n_receivers[i] + 1;
		jobs[i]->stopped_side = i + 1 == n ? n_receivers[i] : 0;
		jobs[i]->window = CAPACITY;
	}
	r = bench_run(jobs, n);
	one = jobs[0];
	for (size_t i = 0; i < n && r == 0; i++) {
		struct bench_row row;

		bench_row_init(&row, "fanout", jobs[i]->name, "ns", value_further, &jobs[i], 1);
		if (i > 0)
			row.value_at_most = 80;
		bench_row_extra(&row, "ns_per_message", bench_median_of(jobs[i], value_ns));
		bench_row_extra(&row, "missed_per_message", bench_median_of(jobs[i], value_missed));
		bench_row_extra(&row, "fds", bench_median_of(jobs[i], value_fds));
		bench_row_extra(&row, "fds_at_most", 16 + 4 * n_receivers[i]);
		bench_row_print(&row);
	}
	for (size_t i = 0; i < n; i++)
		bench_job_free(jobs[i]);
	return r;
}
