/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows, times, runs and versions out of the plan. The odd rule: versions of a column overlap, and the later one counts, so that a
 * cache that goes by validity alone is found out.
 */
#include "demo-timeline.h"

#include <errno.h>

#include "demo.h"

#define DAY_MS INT64_C(86400000)

const struct demo_column demo_columns[DEMO_N_COLUMNS] = {
	{ "geometry", "Demo/Geometry", "check=never", "one version for all time", 4u << 20, 0 },
	{ "field", "Demo/Field", "check=10", "a second version inside the validity of the first", 1u << 20, 0 },
	{ "gain", "Demo/TPC/Gain", "check=10", "a border every half second, overlapping", 512u << 10, 0 },
	{ "vertex", "Demo/Vertex", "check=10", "a border every 300 ms, inside a timeframe", 16u << 10, 0 },
	{ "run", "Demo/RunInfo", "run=1,check=never", "one version for each run", 64u << 10, 1 },
};

/* The row times of a scrambled timeframe go round in steps of this, a prime. */
#define SCRAMBLE 7919u
/* Of a timeframe's files for each row of its table, at least; a row's keys are 12. */
#define ROW_N_BYTES 24u
/* Where in a timeframe a border lies that is none of a timeframe's. */
#define INSIDE_MS 7

static int64_t duration_ms(const struct demo_plan *plan)
{
	return (int64_t)plan->n_timeframes * DEMO_TIMEFRAME_MS;
}

/* A number that looks random, of a timeframe. */
static uint64_t timeframe_random(const struct demo_plan *plan, uint64_t timeframe)
{
	uint64_t z = (plan->seed + timeframe) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t demo_timeline_n_rows(const struct demo_plan *plan, uint64_t timeframe)
{
	uint64_t random = timeframe_random(plan, timeframe), n_bytes = 0;
	uint32_t sizes[DEMO_N_PARTS_MAX], n_rows;
	unsigned n_parts = demo_plan_sizes(plan, timeframe, sizes);
	/* As many decades up as down: from 1000 to 10000, or from 10000 to 100000. */
	uint32_t low = random & 1 ? 10 * DEMO_N_ROWS_MIN : DEMO_N_ROWS_MIN;

	n_rows = low + (uint32_t)((random >> 1) % (9 * (uint64_t)low + 1));
	/*
	 * The key table is the smaller half of its message. Were it the larger, the cache, which leaves it out, would have the rest
	 * copied rather than pin it; and a copy is no longer the reader's to send again when a processor dies.
	 */
	for (unsigned i = 0; i < n_parts; i++)
		n_bytes += sizes[i];
	if (n_rows > n_bytes / ROW_N_BYTES)
		n_rows = n_bytes / ROW_N_BYTES ? (uint32_t)(n_bytes / ROW_N_BYTES) : 1;
	return n_rows;
}

int64_t demo_timeline_begin_ms(uint64_t timeframe)
{
	return DEMO_BEGIN_MS + (int64_t)timeframe * DEMO_TIMEFRAME_MS;
}

void demo_timeline_fill(const struct demo_plan *plan, uint64_t timeframe, size_t n_rows, int64_t *times_ms,
                        int32_t *runs)
{
	int64_t begin_ms = demo_timeline_begin_ms(timeframe);
	int64_t change_ms = demo_timeline_begin_ms(plan->n_timeframes / 2) + INSIDE_MS;
	uint64_t step = timeframe % 4 == 3 ? SCRAMBLE : 1;

	for (size_t i = 0; i < n_rows; i++) {
		times_ms[i] = begin_ms + (int64_t)(i * step % n_rows * DEMO_TIMEFRAME_MS / n_rows);
		runs[i] = DEMO_RUN + (times_ms[i] >= change_ms);
	}
}

/* How far apart the borders of a column are: not so near that there would be too many. Whole timeframes. */
static int64_t period_ms(const struct demo_plan *plan, int64_t wanted_ms)
{
	int64_t least_ms = duration_ms(plan) / DEMO_N_VERSIONS_MAX + 1;
	int64_t period = wanted_ms > least_ms ? wanted_ms : least_ms;

	return (period + DEMO_TIMEFRAME_MS - 1) / DEMO_TIMEFRAME_MS * DEMO_TIMEFRAME_MS;
}

/* Versions of a column: number i of them, if there are so many; else how many are left to go on with. */
static int version_of(const struct demo_plan *plan, unsigned column, size_t i, struct demo_version *version)
{
	int64_t begin = DEMO_BEGIN_MS - DAY_MS, end = DEMO_BEGIN_MS + duration_ms(plan) + DAY_MS, period;

	*version = (struct demo_version){ .column = column, .from_ms = begin, .until_ms = end };
	switch (column) {
	case 0: return i < 1 ? 0 : -ENOENT;
	case 1:
		if (i == 1) {
			version->from_ms = DEMO_BEGIN_MS + duration_ms(plan) / 4;
			version->until_ms = DEMO_BEGIN_MS + duration_ms(plan) / 2 + 3;
		}
		return i < 2 ? 0 : -ENOENT;
	case 4: version->run = DEMO_RUN + (int32_t)i; return i < DEMO_N_RUNS ? 0 : -ENOENT;
	default:
		period = period_ms(plan, column == 2 ? 500 : 300);
		version->from_ms = DEMO_BEGIN_MS + (int64_t)i * period + (column == 3 && i ? INSIDE_MS : 0);
		version->until_ms = version->from_ms + 2 * period;
		return version->from_ms < DEMO_BEGIN_MS + duration_ms(plan) ? 0 : -ENOENT;
	}
}

int demo_timeline_version(const struct demo_plan *plan, size_t number, struct demo_version *ret_version)
{
	struct demo_version version;

	for (unsigned column = 0; column < DEMO_N_COLUMNS; column++)
		for (size_t i = 0; version_of(plan, column, i, &version) == 0; i++)
			if (number-- == 0) {
				*ret_version = version;
				return 0;
			}
	return -ENOENT;
}
