/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate: allocate, send, receive, release, without touching the payload.
 *
 * The odd rule: "within 20 % of the rate at 64 B" is asked of the size of 1 MiB, so the figure
 * of one row is the target of another.
 */
#include "bench.h"

#include <stdlib.h>

#define WINDOW_MAX 512u
/* What one job may have in flight: ours costs address space and first-touched memory, a copying peer both and time. */
#define IN_FLIGHT_N_BYTES (UINT64_C(1) << 30)
#define IN_FLIGHT_COPIED_N_BYTES (UINT64_C(256) << 20)

static unsigned rate_window(uint64_t n_bytes, uint64_t in_flight)
{
	const uint64_t n = n_bytes > 0 ? in_flight / n_bytes : WINDOW_MAX;

	return n > WINDOW_MAX ? WINDOW_MAX : n < 4 ? 4 : (unsigned)n;
}

static void rate_targets(struct bench_row *row, size_t n_bytes, bool bulk)
{
	static double at_64[2];

	if (row->ours == NULL)
		return;
	if (n_bytes == 64) {
		row->value_at_least = bulk ? 50 : 14;
		at_64[bulk] = bench_median_of(row->ours, bench_value_rate);
	}
	if (n_bytes == 1 << 20 && at_64[bulk] > 0) {
		row->value_at_least = 0.8 * at_64[bulk];
		bench_row_extra(row, "at_least_0.8_of_64B", row->value_at_least);
	}
}

static int rate_case(size_t n_bytes, size_t batch)
{
	struct bench_job *jobs[BENCH_JOBS_MAX];
	const unsigned window = rate_window(n_bytes, IN_FLIGHT_N_BYTES);
	struct bench_row row;
	char name[64];
	size_t n = 0;
	int r;

	snprintf(name, sizeof name, "%s-%zu", batch == 1 ? "single" : "bulk", n_bytes);
	if (!bench_wanted(name))
		return 0;
	/* No more in one call than half of what may be in flight. */
	if (batch > window / 2)
		batch = window / 2;
	jobs[n] = bench_job_new("ring", BENCH_LIMIT, &bench_road_raw, bench_turn_ring);
	jobs[n++]->variant = 1;
	jobs[n++] = bench_job_new("sealane", BENCH_OURS, &bench_road_sealane, bench_sealane_turn_rate);
	jobs[n++] = bench_job_new("unix socket", BENCH_PEER, &bench_road_socket, bench_turn_stream);
	for (size_t i = 0; i < n; i++) {
		jobs[i]->mix = bench_mix_single(n_bytes);
		jobs[i]->batch = batch;
		jobs[i]->window = window;
	}
	jobs[2]->window = rate_window(n_bytes, IN_FLIGHT_COPIED_N_BYTES);
	/* One write of a megabyte is as good as a larger one. */
	while (jobs[2]->batch > 1 && jobs[2]->batch * n_bytes > 1 << 20)
		jobs[2]->batch /= 2;
	n = bench_add_peers(jobs, n, jobs[2]);
	r = bench_run(jobs, n);
	if (r == 0) {
		bench_row_init(&row, "rate", name, "M msg/s", bench_value_rate, jobs, n);
		rate_targets(&row, n_bytes, batch > 1);
		bench_row_extra(&row, "batch", (double)batch);
		bench_row_extra(&row, "window", window);
		bench_row_print(&row);
	}
	for (size_t i = 0; i < n; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_rate(void)
{
	static const size_t sizes[] = { 0, 64, 4096, 65536, 1 << 20, 64 << 20 };

	bench_print_header("rate", "allocate, send, receive, release; nothing is written or read");
	for (size_t bulk = 0; bulk < 2; bulk++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			if ((!bench_config.quick || sizes[i] == 64 || sizes[i] == 1 << 20) &&
			    rate_case(sizes[i], bulk ? 64 : 1) != 0)
				return -1;
	return 0;
}
