/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region: messages over a region: made, sent, received, released, and told of to their owner; and how long after the last release
 * that is.
 *
 * The odd rule: the receiver writes down the time right before it releases, in memory that both sides of the bench share, and the
 * owner compares when it is told: one clock for both.
 */
#include "bench.h"

#include <errno.h>

#include <stdlib.h>
#include <time.h>

#define REGION_TIMEOUT_NS (60 * INT64_C(1000000000))
#define REGION_N_BYTES ((size_t)64 << 20)
#define REGION_PIECE_N_BYTES ((size_t)4096)
#define REGION_N_BLOCKS (1u << 16)
#define REGION_N_LATENCIES 500u

enum region_variant { REGION_CALLBACK, REGION_TAKE, REGION_WAKE, REGION_SLOW, REGION_SPIN };

struct region_side {
	struct bench_sealane *sealane;
	struct sea_region *region;
	struct bench_job *job;
	_Atomic uint64_t n_told;
	_Atomic int64_t told_ns;
	uint64_t n_made;
};

static struct region_side region_side; /* each side is a process of its own */

static void region_told(const struct sea_region_block *blocks, size_t n_blocks, void *userdata)
{
	struct region_side *side = userdata;

	(void)blocks;
	atomic_store_explicit(&side->told_ns, bench_now(), memory_order_relaxed);
	atomic_fetch_add_explicit(&side->n_told, n_blocks, memory_order_release);
}

static int region_open(struct bench_job *job, int side)
{
	struct bench_sealane *sealane = bench_sealane_new(job, 0);
	const bool is_told = job->variant != REGION_TAKE && job->variant != REGION_SPIN;
	const struct sea_region_options options = { .n_bytes = REGION_N_BYTES,
		                                    .n_blocks_max = REGION_N_BLOCKS,
		                                    .on_release = is_told ? region_told : NULL,
		                                    .userdata = &region_side };
	int r;

	if (sealane == NULL)
		return -ENOTSUP;
	region_side.sealane = sealane;
	region_side.job = job;
	if (side == 0) {
		r = sea_region_new(&region_side.region, sealane->session, &options);
		bench_check(r == 0, "sea_region_new: %s", sea_error_text(r));
	}
	sealane->channel = bench_sealane_channel(job, sealane, side == 0 ? SEA_PUSH : SEA_PULL, 1000, 0, side == 0);
	r = sea_channel_wait_peers(sealane->channel, 1, REGION_TIMEOUT_NS);
	bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	return 0;
}

static void region_close(struct bench_job *job, int side)
{
	struct bench_sealane *sealane = job->state;

	(void)side;
	if (sealane == NULL)
		return;
	sealane->channel = sea_channel_close(sealane->channel);
	region_side.region = sea_region_close(region_side.region, NULL);
	bench_sealane_free(sealane);
}

/* Waits until no more than n_most are out or untold. */
static void region_await(uint64_t n_most, bool is_taken)
{
	struct sea_region_block blocks[256];

	while (region_side.n_made - atomic_load_explicit(&region_side.n_told, memory_order_acquire) > n_most) {
		if (is_taken) {
			const int r = sea_region_take_released(region_side.region, blocks, 256);

			bench_check(r >= 0, "sea_region_take_released: %s", sea_error_text(r));
			if (r > 0)
				region_told(blocks, (size_t)r, &region_side);
		} else {
			const struct timespec pause = { .tv_nsec = 20000 };

			nanosleep(&pause, NULL);
		}
	}
}

static void region_send(uint64_t n, bool is_taken)
{
	struct bench_sealane *sealane = region_side.sealane;
	struct sea_region_block blocks[64];
	uint8_t *data = sea_region_data(region_side.region);

	while (n > 0) {
		const size_t n_wanted = n < 64 ? (size_t)n : 64;
		int n_new;

		region_await(REGION_N_BLOCKS / 2, is_taken);
		for (size_t i = 0; i < n_wanted; i++)
			blocks[i] = (struct sea_region_block){ data + (region_side.n_made + i) * REGION_PIECE_N_BYTES %
				                                               REGION_N_BYTES,
				                               REGION_PIECE_N_BYTES, region_side.n_made + i };
		n_new = sea_message_new_in_region_many(sealane->messages, n_wanted, region_side.region, blocks);
		bench_check(n_new > 0, "sea_message_new_in_region_many: %s", sea_error_text(n_new));
		for (int i = 0; i < n_new;) {
			const int r = sea_channel_send_many(sealane->channel, sealane->messages + i,
			                                    (size_t)(n_new - i), REGION_TIMEOUT_NS);

			bench_check(r > 0, "sea_channel_send_many: %s", sea_error_text(r));
			i += r;
		}
		region_side.n_made += (uint64_t)n_new;
		n -= (uint64_t)n_new;
	}
	region_await(0, is_taken);
}

static void region_receive(uint64_t n)
{
	struct bench_sealane *sealane = region_side.sealane;

	while (n > 0) {
		const int r = sea_channel_receive_many(sealane->channel, sealane->messages, n < 64 ? (size_t)n : 64,
		                                       REGION_TIMEOUT_NS);

		bench_check(r > 0, "sea_channel_receive_many: %s", sea_error_text(r));
		sea_message_unref_many(sealane->messages, (size_t)r);
		n -= (uint64_t)r;
	}
}

static void turn_rate(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	(void)turn;
	if (side == 0)
		region_send(n, job->variant == REGION_TAKE);
	else
		region_receive(n);
}

static void turn_latency(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = region_side.sealane;
	double *samples = side == 0 ? bench_samples(job, n) : NULL;
	const bool is_taken = job->variant == REGION_SPIN;

	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message;
		int r;

		if (side == 0) {
			r = sea_message_new_in_region(&message, region_side.region, sea_region_data(region_side.region),
			                              4096, i);
			bench_check(r == 0, "sea_message_new_in_region: %s", sea_error_text(r));
			region_side.n_made++;
			r = sea_channel_send(sealane->channel, &message, REGION_TIMEOUT_NS);
			bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
			region_await(0, is_taken);
			samples[job->n_sampled++] =
				(double)(atomic_load_explicit(&region_side.told_ns, memory_order_relaxed) -
			                 (int64_t)atomic_load_explicit(&job->shared->flag, memory_order_relaxed));
			continue;
		}
		r = sea_channel_receive(sealane->channel, &message, REGION_TIMEOUT_NS);
		bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
		if (job->variant == REGION_SLOW) {
			const struct timespec pause = { .tv_nsec = 2000000 };

			nanosleep(&pause, NULL);
		}
		atomic_store_explicit(&job->shared->flag, (uint64_t)bench_now(), memory_order_relaxed);
		sea_message_unref(message);
	}
}

static const struct bench_road road_region = { .name = "sealane", .open = region_open, .close = region_close };

static double value_p99_us(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].p99_ns / 1000;
}

static int region_case(const char *name, enum region_variant variant)
{
	const bool is_rate = variant == REGION_CALLBACK || variant == REGION_TAKE;
	struct bench_job *job;
	struct bench_row row;
	int r;

	if (!bench_wanted(name))
		return 0;
	job = bench_job_new("sealane", BENCH_OURS, &road_region, is_rate ? turn_rate : turn_latency);
	job->variant = variant;
	job->mix = bench_mix_single(REGION_PIECE_N_BYTES);
	job->batch = 64;
	job->window = 512;
	if (!is_rate)
		job->n_fixed = variant == REGION_SLOW ? REGION_N_LATENCIES / 10 : REGION_N_LATENCIES;
	r = bench_run(&job, 1);
	if (r == 0) {
		bench_row_init(&row, "region", name, is_rate ? "M msg/s" : "us p99",
		               is_rate ? bench_value_rate : value_p99_us, &job, 1);
		if (is_rate)
			row.value_at_least = 15;
		else
			row.value_at_most = variant == REGION_SPIN ? 50 : 1000;
		if (row.ours != NULL) {
			if (!is_rate)
				bench_row_extra(&row, "p50_us", bench_median_of(row.ours, bench_value_p50) / 1000);
			bench_row_print(&row);
		}
	}
	bench_job_free(job);
	return r;
}

int bench_region(void)
{
	bench_print_header("region", "messages over a region, and how soon their owner is told of the last release");
	if (region_case("bulk-callback", REGION_CALLBACK) != 0 || region_case("bulk-taken", REGION_TAKE) != 0 ||
	    region_case("told-at-once", REGION_WAKE) != 0 || region_case("told-at-low-rates", REGION_SLOW) != 0)
		return -1;
	return region_case("told-spinning", REGION_SPIN);
}
