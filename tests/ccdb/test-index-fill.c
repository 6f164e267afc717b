/* SPDX-License-Identifier: Apache-2.0 */
/* Which object holds for each time: against a look at every interval, at all borders, and in gaps. */
#include "ccdb/index-fill.h"
#include "tables.h"

#include <stdlib.h>
#include <string.h>

static struct seai_index_block block;
static struct seai_index_result result;

/* -1: none */
static int64_t expect(const struct sea_table_intervals *intervals, int64_t time_ms)
{
	for (size_t i = 0; i < intervals->n_intervals; i++) {
		const struct sea_table_interval *interval = &intervals->intervals[i];

		if (time_ms >= interval->from_ms && (time_ms < interval->until_ms || interval->until_ms == INT64_MAX))
			return interval->object;
	}
	return -1;
}

static void check(const int64_t *times_ms, size_t n_rows, const struct sea_table_intervals *intervals)
{
	size_t missing = SIZE_MAX, row = 0, first_missing = SIZE_MAX;
	int r;

	for (size_t i = n_rows; i-- > 0;) {
		if (expect(intervals, times_ms[i]) < 0)
			first_missing = i;
	}
	seai_index_block_init(&block, times_ms, n_rows);
	r = seai_index_block_resolve(&block, intervals, &result, &missing);
	if (first_missing != SIZE_MAX) {
		CHECK_ERR(r, -ENOENT);
		CHECK_LT(missing, n_rows);
		CHECK_EQ(expect(intervals, times_ms[missing]), -1);
		return;
	}
	CHECK_EQ(r, 0);
	for (size_t i = 0; i < result.n_spans; i++) {
		for (uint32_t k = 0; k < result.spans[i].n_rows; k++, row++) {
			CHECK_LT(row, n_rows);
			CHECK_EQ(result.spans[i].object, expect(intervals, times_ms[row]));
		}
	}
	if (result.n_spans > 0)
		CHECK_EQ(row, n_rows);
	for (; row < n_rows; row++)
		CHECK_EQ(result.objects[row], expect(intervals, times_ms[row]));
}

static int time_compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Times about the borders of these intervals, first in disorder, then rising. */
static void check_random(const struct sea_table_intervals *intervals, bool has_gaps)
{
	const size_t n_rows = 1 + tables_random(tables_random(2) ? 20 : SEAI_INDEX_BLOCK);
	int64_t times_ms[SEAI_INDEX_BLOCK];

	for (size_t i = 0; i < n_rows; i++) {
		const struct sea_table_interval *interval =
			&intervals->intervals[tables_random(intervals->n_intervals)];
		const uint64_t width = (uint64_t)interval->until_ms - (uint64_t)interval->from_ms;

		switch (tables_random(has_gaps ? 5 : 3)) {
		case 0: times_ms[i] = interval->from_ms; break;
		case 1: times_ms[i] = interval->until_ms - 1; break;
		case 3: times_ms[i] = interval->until_ms; break;
		default: times_ms[i] = (int64_t)((uint64_t)interval->from_ms + tables_random(width)); break;
		}
	}
	check(times_ms, n_rows, intervals);
	qsort(times_ms, n_rows, sizeof(*times_ms), time_compare);
	check(times_ms, n_rows, intervals);
}

TEST(fill_random, "every time finds its interval, at both ends to the ms, in any order, and gaps are noticed")
{
	for (unsigned i = 0; i < 2000; i++) {
		const size_t n = 1 + tables_random(tables_random(3) ? 5 : 60);
		const uint64_t step_ms = UINT64_C(1) << tables_random(tables_random(2) ? 4 : 40);
		const bool has_gaps = tables_random(3) == 0;
		struct sea_table_interval intervals[60];
		int64_t from_ms = -(int64_t)tables_random(1000);

		for (size_t k = 0; k < n; k++) {
			intervals[k].from_ms = from_ms + (int64_t)(has_gaps ? tables_random(3) : 0);
			intervals[k].until_ms = intervals[k].from_ms + 1 + (int64_t)tables_random(step_ms);
			intervals[k].object = (uint32_t)tables_random(1000);
			from_ms = intervals[k].until_ms;
		}
		if (tables_random(10) == 0)
			intervals[0].from_ms = INT64_MIN;
		if (tables_random(10) == 0)
			intervals[n - 1].until_ms = INT64_MAX;
		check_random(&(struct sea_table_intervals){ intervals, n }, has_gaps);
	}
}

TEST(fill_all_time, "an interval from INT64_MIN until INT64_MAX holds at every time, the last ms included")
{
	const struct sea_table_interval all = { .from_ms = INT64_MIN, .until_ms = INT64_MAX, .object = 7 };
	const struct sea_table_intervals intervals = { &all, 1 };
	const int64_t times_ms[] = { INT64_MAX, 0, INT64_MIN, -1, INT64_MAX - 1 };

	check(times_ms, 5, &intervals);
	CHECK_EQ(result.n_spans, 1);
	CHECK_EQ(result.spans[0].object, 7);
}

TEST(fill_halves, "two intervals that share all time are told apart, however far apart the times are")
{
	const struct sea_table_interval halves[] = { { INT64_MIN, 0, 1, 0 }, { 0, INT64_MAX, 2, 0 } };
	const struct sea_table_intervals intervals = { halves, 2 };
	const int64_t times_ms[] = { INT64_MAX, 0, INT64_MIN, -1, INT64_MAX - 1, 1 };
	const int64_t rising_ms[] = { INT64_MIN, -1, 0, 1, INT64_MAX };

	check(times_ms, 6, &intervals);
	check(rising_ms, 5, &intervals);
}

TEST(fill_none, "a column without an interval has no object for any time")
{
	const struct sea_table_intervals none = { NULL, 0 };
	const int64_t time_ms = 5;
	size_t row = 9;

	seai_index_block_init(&block, &time_ms, 1);
	CHECK_ERR(seai_index_block_resolve(&block, &none, &result, &row), -ENOENT);
	CHECK_EQ(row, 0);
}
