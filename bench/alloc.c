/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc: a warm block is taken and given back, in one process.
 *
 * The odd rule: malloc stands beside it although it promises less (its large blocks are
 * given to the kernel and come back cold).
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>

static int alloc_open(struct bench_job *job, int side)
{
	(void)side;
	return bench_sealane_new(job, job->mix->n_bytes) != NULL ? 0 : -ENOTSUP;
}

static void alloc_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static const struct bench_road road_alloc = { .name = "sealane", .open = alloc_open, .close = alloc_close };
static const struct bench_road road_malloc = { .name = "malloc" };

static void turn_alloc(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	const size_t n_bytes = job->mix->sizes[0];

	(void)side;
	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message = NULL;
		const int r = sea_message_new(&message, sealane->heap, n_bytes, 0, 0);

		bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
		sea_message_unref(message);
	}
}

static void turn_malloc(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	/* Seen from outside, so that the pair is not optimised away. */
	static void *_Atomic shown;

	(void)side;
	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		void *data = malloc(job->mix->sizes[0]);

		atomic_store_explicit(&shown, data, memory_order_relaxed);
		free(data);
	}
}

static double value_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)(sides[0].end_ns - sides[0].start_ns) / (double)sides[0].n;
}

int bench_alloc(void)
{
	static const size_t sizes[] = { 16, 64, 1024, 4096, 65536, 1 << 20, 16 << 20, 256 << 20, 1 << 30 };

	bench_print_header("alloc", "allocate and free a warm block");
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct bench_job *jobs[2];
		struct bench_row row;
		char name[64];
		int r;

		if (bench_config.quick && sizes[i] != 64 && sizes[i] != 1 << 20)
			continue;
		snprintf(name, sizeof name, "%zu", sizes[i]);
		if (!bench_wanted(name))
			continue;
		jobs[0] = bench_job_new("sealane", BENCH_OURS, &road_alloc, turn_alloc);
		jobs[1] = bench_job_new("malloc", BENCH_PEER, &road_malloc, turn_malloc);
		for (size_t k = 0; k < 2; k++) {
			jobs[k]->mix = bench_mix_single(sizes[i]);
			jobs[k]->n_sides = 1;
		}
		r = bench_run(jobs, 2);
		if (r == 0) {
			bench_row_init(&row, "alloc", name, "ns", value_ns, jobs, 2);
			row.value_at_most = 25;
			if (row.ours != NULL)
				bench_row_print(&row);
		}
		bench_job_free(jobs[0]);
		bench_job_free(jobs[1]);
		if (r != 0)
			return -1;
	}
	return 0;
}
