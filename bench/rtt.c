/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtt: one message there and back.
 *
 * The odd rule: spinning round trips take little longer than reading the clock, so
 * a sample is the mean of 16 of them, at the limit and at ours alike; a blocking one is a sample of its own.
 */
#include "bench.h"

#include <string.h>

/* Copying peers are asked for their round trip up to here: 256 MiB would take them a third of a second each. */
#define PEER_N_BYTES_MAX (64u << 20)

static double value_p99(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].p99_ns;
}

static int rtt_case(size_t n_bytes, bool blocking, bool hand_back)
{
	static double at_64[2][2];
	struct bench_job *jobs[BENCH_JOBS_MAX];
	struct bench_row row;
	char name[64];
	size_t n = 0;
	int r;

	snprintf(name, sizeof name, "%s-%s-%zu", blocking ? "block" : "spin", hand_back ? "hand-back" : "alloc",
	         n_bytes);
	if (!bench_wanted(name))
		return 0;
	jobs[n++] = bench_job_new(blocking ? "eventfd" : "cache line", BENCH_LIMIT, &bench_road_raw,
	                          blocking ? bench_turn_eventfd : bench_turn_line);
	jobs[n++] = bench_job_new("sealane", BENCH_OURS, &bench_road_sealane, bench_sealane_turn_ping);
	if (blocking && !hand_back)
		jobs[n++] = bench_job_new("unix socket", BENCH_PEER, &bench_road_socket, bench_turn_ping);
	for (size_t i = 0; i < n; i++) {
		jobs[i]->mix = bench_mix_single(n_bytes);
		jobs[i]->duplex = true;
		jobs[i]->hand_back = hand_back;
		/* 1 ns: it never looks for itself; -1: it never sleeps. */
		jobs[i]->spin_ns = blocking ? 1 : -1;
		jobs[i]->window = 3;
	}
	if (n == 3 && n_bytes <= PEER_N_BYTES_MAX)
		n = bench_add_peers(jobs, n, jobs[2]);
	r = bench_run(jobs, n);
	if (r == 0) {
		bench_row_init(&row, "rtt", name, "ns", bench_value_p50, jobs, n);
		if (hand_back || blocking)
			row.ratio_at_most = blocking ? 1.15 : 3;
		bench_row_extra(&row, "p99", bench_median_of(row.ours, value_p99));
		bench_row_extra(&row, "limit_p99", bench_median_of(row.limit, value_p99));
		if (n_bytes == 64)
			at_64[blocking][hand_back] = bench_median_of(row.ours, bench_value_p50);
		else if (at_64[blocking][hand_back] > 0)
			bench_row_extra(&row, "of_64B",
			                bench_median_of(row.ours, bench_value_p50) / at_64[blocking][hand_back]);
		bench_row_print(&row);
		bench_row_distribution(&row);
	}
	for (size_t i = 0; i < n; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_rtt(void)
{
	static const size_t sizes[] = { 64, 65536, 1 << 20, 64 << 20, 256 << 20 };

	bench_print_header("rtt", "one message there and back: p50");
	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			if ((!bench_config.quick || sizes[i] == 64 || sizes[i] == 1 << 20) &&
			    rtt_case(sizes[i], kind >= 2, kind % 2 == 0) != 0)
				return -1;
	return 0;
}
