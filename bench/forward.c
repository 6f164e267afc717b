/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: what a process in the middle costs, and what memory stays held when
 * only a part of each frame goes on.
 *
 * The odd rule: a chain of eight processes on two cores cannot be timed by the clock, so a hop costs
 * what the kernel counts as CPU time of the process in the middle.
 */
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define IN_FLIGHT 16u
#define TIMEOUT_NS (60 * INT64_C(1000000000))
#define N_PARTS 1000u
#define N_FRAMES 32u

static int chain_open(struct bench_job *job, int side)
{
	const int last = job->n_sides - 1;
	struct bench_sealane *sealane = bench_sealane_new(
		job, side == 0 && job->mix != NULL ? IN_FLIGHT * job->mix->n_bytes_max : 0);
	int r = 0;

	if (sealane == NULL)
		return -ENOTSUP;
	if (side > 0)
		sealane->channel = bench_sealane_channel(job, sealane, SEA_PULL, 0, (unsigned)side - 1, false);
	if (side < last)
		sealane->second = bench_sealane_channel(job, sealane, SEA_PUSH, 2 * (int32_t)IN_FLIGHT, (unsigned)side,
		                                        true);
	if (sealane->channel != NULL)
		r = sea_channel_wait_peers(sealane->channel, 1, TIMEOUT_NS);
	if (r == 0 && sealane->second != NULL)
		r = sea_channel_wait_peers(sealane->second, 1, TIMEOUT_NS);
	bench_check(r == 0, "the chain did not connect: %s", sea_error_text(r));
	return 0;
}

static void chain_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static const struct bench_road road_chain = { .name = "sealane", .open = chain_open, .close = chain_close };

static void snooze_until(_Atomic uint64_t *word, uint64_t n)
{
	while (atomic_load_explicit(word, memory_order_acquire) < n)
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

static void turn_chain(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	const int last = job->n_sides - 1;

	(void)turn;
	for (uint64_t i = 0; i < n; i++, job->sequence++) {
		struct sea_message *message = NULL;
		int r;

		if (side == 0) {
			if (job->sequence >= IN_FLIGHT)
				snooze_until(&job->shared->done[last].n, job->sequence + 1 - IN_FLIGHT);
			r = sea_message_new(&message, sealane->heap, job->mix->sizes[0], 0, TIMEOUT_NS);
			bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
			sea_message_set_tag(message, job->sequence);
		} else {
			r = sea_channel_receive(sealane->channel, &message, TIMEOUT_NS);
			bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
			bench_check(sea_message_get_tag(message) == job->sequence &&
			                    sea_message_size(message) == job->mix->sizes[0],
			            "message %llu is out of order", (unsigned long long)job->sequence);
		}
		if (side == last) {
			sea_message_unref(message);
			atomic_store_explicit(&job->shared->done[last].n, job->sequence + 1, memory_order_release);
			continue;
		}
		r = sea_channel_send(sealane->second, &message, TIMEOUT_NS);
		bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
	}
}

/* CPU time per message of the processes in the middle. */
static double value_hop(const struct bench_job *job, const struct bench_turn *sides)
{
	double sum = 0;

	for (int s = 1; s < job->n_sides - 1; s++)
		sum += (double)sides[s].cpu_ns / (double)sides[s].n;
	return sum / (job->n_sides - 2);
}

static int forward_chain(int n_forwarders)
{
	static const size_t sizes[] = { 64, 1 << 20, 64 << 20 };
	struct bench_job *jobs[3];
	int r;

	for (size_t i = 0; i < 3; i++) {
		char name[48];

		snprintf(name, sizeof name, "chain-%d-%zu", n_forwarders, sizes[i]);
		jobs[i] = bench_job_new(name, i == 0 ? BENCH_LIMIT : BENCH_OURS, &road_chain, turn_chain);
		jobs[i]->n_sides = n_forwarders + 2;
		jobs[i]->alternate = true;
		jobs[i]->window = IN_FLIGHT;
		jobs[i]->mix = bench_mix_single(sizes[i]);
	}
	r = bench_run(jobs, 3);
	for (size_t i = 0; i < 3 && r == 0; i++) {
		struct bench_row row;
		struct bench_job *pair[2] = { jobs[0], jobs[i] };
		const enum bench_role role = jobs[0]->role;

		/* The first is ours, too; for the larger ones it is what they are compared with. */
		if (i == 0)
			jobs[0]->role = BENCH_OURS;
		bench_row_init(&row, "forward", jobs[i]->name, "ns", value_hop, pair, i == 0 ? 1 : 2);
		if (i > 0)
			row.ratio_at_most = 1.25;
		if (row.ours != NULL) {
			bench_row_extra(&row, "rate_M_per_s", bench_median_of(row.ours, bench_value_rate));
			bench_row_print(&row);
		}
		jobs[0]->role = role;
	}
	for (size_t i = 0; i < 3; i++)
		bench_job_free(jobs[i]);
	return r;
}

/* How many parts of a frame go on. */
static unsigned subset_n(void)
{
	const double n = bench_config.subset * N_PARTS;

	return n < 1 ? 1 : n > N_PARTS ? N_PARTS : (unsigned)n;
}

static bool subset_has(unsigned part)
{
	const unsigned every = N_PARTS / subset_n();

	return part % every == 0 && part / every < subset_n();
}

/* A frame of 1000 parts; with variant 1 what is to go on has a class, and so a block, of its own. */
static void subset_source(struct bench_job *job, struct bench_sealane *sealane)
{
	const size_t part_n_bytes = job->mix->sizes[0];
	const uint64_t n_chosen = job->variant != 0 ? subset_n() : 0;
	const struct sea_frame_options options = {
		.n_bytes_max = { (N_PARTS - n_chosen) * part_n_bytes, n_chosen * part_n_bytes },
		.n_parts_hint = N_PARTS,
	};
	struct sea_message *message = NULL;
	struct sea_frame *frame = NULL;
	int r = sea_frame_new(&frame, sealane->heap, &options, TIMEOUT_NS);

	bench_check(r == 0, "sea_frame_new: %s", sea_error_text(r));
	for (unsigned i = 0; i < N_PARTS; i++) {
		void *data;

		r = sea_frame_add_to(frame, job->variant != 0 && subset_has(i), part_n_bytes, 64, &data);
		bench_check(r >= 0, "sea_frame_add_to: %s", sea_error_text(r));
		if (subset_has(i))
			bench_fill(data, part_n_bytes, job->sequence);
	}
	r = sea_frame_seal(&frame, &message);
	bench_check(r == 0, "sea_frame_seal: %s", sea_error_text(r));
	sea_message_set_tag(message, job->sequence);
	r = sea_channel_send(sealane->second, &message, TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
}

static void subset_forward(struct bench_job *job, struct bench_sealane *sealane)
{
	const struct sea_frame_options options = { .n_bytes_max = { subset_n() * job->mix->sizes[0] } };
	struct sea_message *message = NULL, *smaller = NULL;
	struct sea_frame *frame = NULL;
	int r = sea_channel_receive(sealane->channel, &message, TIMEOUT_NS);

	bench_check(r == 0 && sea_message_get_tag(message) == job->sequence, "sea_channel_receive: %s",
	            sea_error_text(r));
	r = sea_frame_new(&frame, sealane->heap, &options, TIMEOUT_NS);
	bench_check(r == 0, "sea_frame_new: %s", sea_error_text(r));
	for (unsigned i = 0; i < N_PARTS; i++) {
		if (!subset_has(i))
			continue;
		r = sea_frame_add_part_of(frame, message, i);
		bench_check(r >= 0, "sea_frame_add_part_of: %s", sea_error_text(r));
	}
	r = sea_frame_seal(&frame, &smaller);
	bench_check(r == 0, "sea_frame_seal: %s", sea_error_text(r));
	sea_message_set_tag(smaller, job->sequence);
	r = sea_channel_send(sealane->second, &smaller, TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
	sea_message_unref(message);
}

static void subset_keep(struct bench_job *job, struct bench_sealane *sealane, uint64_t i)
{
	struct sea_part part;
	const int r = sea_channel_receive(sealane->channel, &sealane->messages[i], TIMEOUT_NS);

	bench_check(r == 0 && sea_message_get_tag(sealane->messages[i]) == job->sequence &&
	                    sea_message_n_parts(sealane->messages[i]) == subset_n(),
	            "sea_channel_receive: %s", sea_error_text(r));
	for (unsigned k = 0; k < subset_n(); k++) {
		bench_check(sea_message_get_part(sealane->messages[i], k, &part) == 0, "part %u is wrong", k);
		bench_read(part.data, part.n_bytes, job->sequence);
	}
}

/* What a heap holds once all releases have arrived: the least seen within a second. */
static double heap_used(struct bench_sealane *sealane)
{
	struct sea_heap_stats stats;
	double least = 1e300;

	for (int i = 0; i < 100; i++) {
		/* Reads what the others wrote about our blocks; that some are still held is the point. */
		sea_channel_flush(sealane->second, 0);
		bench_check(sea_heap_get_stats(sealane->heap, &stats) == 0, "sea_heap_get_stats failed");
		least = (double)stats.n_bytes_used < least ? (double)stats.n_bytes_used : least;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return least;
}

static void turn_subset(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	struct bench_shared *shared = job->shared;

	for (uint64_t i = 0; i < n; i++, job->sequence++) {
		if (side == 0)
			subset_source(job, sealane);
		else if (side == 1)
			subset_forward(job, sealane);
		else
			subset_keep(job, sealane, i);
		atomic_store(&shared->done[side].n, job->sequence + 1);
	}
	/* The sink keeps what it got until both others have counted. */
	snooze_until(&shared->done[2].n, job->sequence);
	if (side < 2) {
		turn->extra[0] = heap_used(sealane);
		atomic_store(&shared->done[3 + side].n, job->sequence);
	} else {
		snooze_until(&shared->done[3].n, job->sequence);
		snooze_until(&shared->done[4].n, job->sequence);
		sea_message_unref_many(sealane->messages, (size_t)n);
	}
}

static double value_held(const struct bench_job *job, const struct bench_turn *sides)
{
	return (sides[0].extra[0] + sides[1].extra[0]) / ((double)sides[0].n * subset_n() * (double)job->mix->sizes[0]);
}

/* Small parts, which the library may copy, in one block; large ones in a block by class; both by class. */
static int forward_subset(size_t part_n_bytes, bool by_class)
{
	struct bench_job *job = bench_job_new("subset", BENCH_OURS, &road_chain, turn_subset);
	const unsigned n_rounds = bench_config.n_rounds;
	struct bench_row row;
	char name[64];
	int r;

	job->n_sides = 3;
	job->alternate = true;
	job->n_fixed = part_n_bytes > 65536 ? N_FRAMES / 4 : N_FRAMES;
	job->mix = bench_mix_single(part_n_bytes);
	job->variant = by_class;
	bench_config.n_rounds = 3;
	r = bench_run(&job, 1);
	bench_config.n_rounds = n_rounds;
	if (r == 0) {
		snprintf(name, sizeof name, "subset-%g%%-%zu-%s", bench_config.subset * 100, part_n_bytes,
		         by_class ? "by-class" : "one-block");
		bench_row_init(&row, "forward", name, "held/on", value_held, &job, 1);
		row.value_at_most = 2;
		bench_row_extra(&row, "MB_passed_on", (double)job->n_fixed * subset_n() * (double)part_n_bytes * 1e-6);
		if (row.ours != NULL)
			bench_row_print(&row);
	}
	bench_job_free(job);
	return r;
}

int bench_forward(void)
{
	const double subset = bench_config.subset;
	int r = 0;

	bench_print_header("forward", "CPU time of a process in the middle; ratio: to the same chain at 64 B");
	for (int i = 1; i <= 6 && r == 0 && subset == 0; i++)
		if (!bench_config.quick || i == 1 || i == 6)
			r = forward_chain(i);
	if (subset == 0)
		bench_config.subset = 0.01;
	if (r == 0)
		r = forward_subset(16384, false);
	if (r == 0)
		r = forward_subset(16384, true);
	if (r == 0)
		r = forward_subset(131072, true);
	bench_config.subset = subset;
	return r;
}
