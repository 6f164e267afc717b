/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeframe: frames of many parts, in three columns: passed on only; the
 * producer writes every byte; the producer writes and the consumer reads every byte.
 *
 * The odd rule: "pass" is what the slower side works per frame, waiting left out where the job can tell (ours and
 * the fresh memfd); the other columns are bytes over time, where the two sides overlap as at the limit.
 */
#include "bench.h"

#include <string.h>
#include <time.h>

enum column {
	COLUMN_PASS,
	COLUMN_WRITE,
	COLUMN_WRITE_READ,
};

static const char *const column_names[] = { "pass", "write", "write-read" };

static const struct {
	enum sea_pages pages;
	const char *name;
} page_kinds[] = {
	{ SEA_PAGES_DEFAULT, "4k" },
	{ SEA_PAGES_THP, "thp" },
	{ SEA_PAGES_COLLAPSE, "collapse" },
	{ SEA_PAGES_HUGETLB, "hugetlb" },
};

static double side_us(const struct bench_turn *side)
{
	return side->n > 0 ? (double)(side->end_ns - side->start_ns - side->wait_ns) * 1e-3 / (double)side->n : 0;
}

static double value_out(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return side_us(&sides[0]);
}

static double value_in(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return side_us(&sides[1]);
}

static double value_pass(const struct bench_job *job, const struct bench_turn *sides)
{
	const double out = value_out(job, sides);
	const double in = value_in(job, sides);

	return out > in ? out : in;
}

static double value_huge(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[0];
}

/* The share of the heap in huge pages; where they are made behind our back, waits for that, once. */
static double huge_share(struct bench_job *job)
{
	static double share;
	static int n_calls;
	struct bench_sealane *sealane = job->state;
	struct sea_heap_stats stats;

	if (++n_calls > 3)
		return share;
	for (int i = 0; i < 100; i++) {
		bench_check(sea_heap_get_stats(sealane->heap, &stats) == 0, "sea_heap_get_stats failed");
		share = stats.n_bytes_backed > 0 ? (double)stats.n_bytes_huge / (double)stats.n_bytes_backed : 0;
		if (n_calls < 3 || job->pages != SEA_PAGES_COLLAPSE || share > 0.99)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	}
	return share;
}

static void turn_ours(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	bench_turn_stream(job, side, n, turn);
	turn->end_ns = bench_now();
	if (side == 0 && job->pages != SEA_PAGES_DEFAULT)
		turn->extra[0] = huge_share(job);
}

static size_t timeframe_jobs(struct bench_job **jobs, const struct bench_mix *mix, enum sea_pages pages,
                             enum column column)
{
	const size_t n_plain = pages == SEA_PAGES_DEFAULT;
	size_t n = 0;

	/* Passing a plain mapping on costs one counter: nothing that ours could be compared with. */
	if (column != COLUMN_PASS)
		jobs[n++] = bench_job_new("warm mapping", BENCH_LIMIT, &bench_road_warm, bench_turn_stream);
	jobs[n++] = bench_job_new("sealane", BENCH_OURS, &bench_road_sealane, turn_ours);
	if (n_plain) {
		jobs[n] = bench_job_new("sealane immutable", BENCH_PEER, &bench_road_sealane, turn_ours);
		jobs[n++]->immutable = true;
		jobs[n++] = bench_job_new("fresh memfd", BENCH_PEER, &bench_road_fresh, bench_turn_stream);
		jobs[n++] = bench_job_new("unix socket", BENCH_PEER, &bench_road_socket, bench_turn_stream);
	}
	for (size_t i = 0; i < n; i++) {
		jobs[i]->mix = mix;
		jobs[i]->pages = pages;
		jobs[i]->window = mix->n_bytes < 65536 ? 64 : mix->n_parts > 1000 ? 3 : 4;
		jobs[i]->fill = column != COLUMN_PASS;
		jobs[i]->read = column == COLUMN_WRITE_READ;
		/* Both sides look for themselves all the time, as the limit does. */
		jobs[i]->spin_ns = -1;
	}
	return n_plain ? bench_add_peers(jobs, n, jobs[n - 1]) : n;
}

static int timeframe_case(const struct bench_mix *mix, size_t kind, enum column column)
{
	struct bench_job *jobs[BENCH_JOBS_MAX];
	struct bench_row row;
	char name[64];
	size_t n;
	int r;

	snprintf(name, sizeof name, "%s-%s-%s", mix->name, page_kinds[kind].name, column_names[column]);
	if (!bench_wanted(name))
		return 0;
	n = timeframe_jobs(jobs, mix, page_kinds[kind].pages, column);
	r = bench_run(jobs, n);
	bench_row_init(&row, "timeframe", name, column == COLUMN_PASS ? "us" : "GB/s",
	               column == COLUMN_PASS ? value_pass : bench_value_bandwidth, jobs, n);
	if (r == 0 && row.ours != NULL) {
		row.faults_at_most = 0.001;
		if (column == COLUMN_PASS) {
			const double out = bench_median_of(row.ours, value_out);
			const double in = bench_median_of(row.ours, value_in);

			row.value_at_most = 1 + 0.02 * (double)mix->n_parts;
			bench_row_extra(&row, "at_most_us", row.value_at_most);
			bench_row_extra(&row, "us_out", out);
			bench_row_extra(&row, "us_in", in);
			bench_row_extra(&row, "ns_per_part_out", out * 1e3 / (double)mix->n_parts);
			bench_row_extra(&row, "ns_per_part_in", in * 1e3 / (double)mix->n_parts);
		} else {
			const double cpu = bench_cpu_per_message(row.ours, 0) + bench_cpu_per_message(row.ours, 1);

			if (column == COLUMN_WRITE_READ)
				row.ratio_at_least = 0.95;
			bench_row_extra(&row, "cpu_s_per_GB", cpu / (double)mix->n_bytes);
		}
		bench_row_extra(&row, "parts", (double)mix->n_parts);
		bench_row_extra(&row, "MB_per_frame", (double)mix->n_bytes * 1e-6);
		bench_row_extra(&row, "window", row.ours->window);
		if (page_kinds[kind].pages != SEA_PAGES_DEFAULT)
			bench_row_extra(&row, "huge_share", bench_median_of(row.ours, value_huge));
		bench_row_print(&row);
	}
	for (size_t i = 0; i < n; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_timeframe(void)
{
	static const char *const mixes[] = { "ktf-s", "ktf-l", "pbpb32", "tiny" };

	bench_print_header("timeframe", "frames of many parts: passed on, written, written and read");
	for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
		if (bench_config.mix != NULL && strcmp(bench_config.mix, mixes[m]) != 0)
			continue;
		if (bench_config.quick && bench_config.mix == NULL && strcmp(mixes[m], "ktf-s") != 0)
			continue;
		for (size_t k = 0; k < sizeof page_kinds / sizeof *page_kinds; k++) {
			if (bench_config.pages != NULL && strcmp(bench_config.pages, page_kinds[k].name) != 0)
				continue;
			for (int column = COLUMN_PASS; column <= COLUMN_WRITE_READ; column++)
				if (timeframe_case(bench_mix_find(mixes[m]), k, (enum column)column) != 0)
					return -1;
		}
	}
	return 0;
}
