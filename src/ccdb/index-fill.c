/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which object holds for each row: see index-fill.h.
 *
 * Three ways, from what is known of a block. All of its times in one interval: nothing is looked at any more. Times that rise: the borders are
 * looked for by galloping. Any order: each row counts the borders at or before it, which compilers turn into compares of four rows at
 * once; where there are too many borders for that, a search without branches.
 */
#include <errno.h>

#include "ccdb/index-fill.h"

/* More borders than this are searched, not counted: that is 4 to 5 steps of a search. */
#define INDEX_N_COUNTED_MAX 16

/* Rows that are compared before anybody looks whether they rise. */
#define INDEX_STRIDE 64

static bool block_is_sorted(const int64_t *times_ms, size_t n_rows)
{
	size_t i = 1;

	while (i < n_rows) {
		const size_t end = n_rows - i > INDEX_STRIDE ? i + INDEX_STRIDE : n_rows;
		unsigned falls = 0;

		for (; i < end; i++)
			falls |= times_ms[i] < times_ms[i - 1];
		if (falls)
			return false;
	}
	return true;
}

void seai_index_block_init(struct seai_index_block *block, const int64_t *times_ms, size_t n_rows)
{
	int64_t min_ms = times_ms[0], max_ms = times_ms[0];

	block->times_ms = times_ms;
	block->n_rows = n_rows;
	block->has_offsets = false;
	block->is_sorted = block_is_sorted(times_ms, n_rows);
	if (block->is_sorted) {
		max_ms = times_ms[n_rows - 1];
	} else {
		for (size_t i = 1; i < n_rows; i++) {
			const int64_t time_ms = times_ms[i];

			min_ms = time_ms < min_ms ? time_ms : min_ms;
			max_ms = time_ms > max_ms ? time_ms : max_ms;
		}
	}
	block->min_ms = min_ms;
	block->max_ms = max_ms < min_ms ? min_ms : max_ms;
}

/* How many intervals begin at or before a time. */
static size_t intervals_rank(const struct sea_table_interval *intervals, size_t n_intervals, int64_t time_ms)
{
	size_t base = 0;

	while (n_intervals > 1) {
		const size_t half = n_intervals / 2;

		base += intervals[base + half - 1].from_ms <= time_ms ? half : 0;
		n_intervals -= half;
	}
	return base + (n_intervals == 1 && intervals[base].from_ms <= time_ms);
}

/* The first row from `row` on whose time is not before a border; the times rise. */
static size_t block_gallop(const int64_t *times_ms, size_t row, size_t n_rows, int64_t border_ms)
{
	size_t step = 1, low = row, high;

	/* times_ms[low - 1] is before the border, wherever low is beyond row. */
	while (low + step <= n_rows && times_ms[low + step - 1] < border_ms) {
		low += step;
		step *= 2;
	}
	high = low + step <= n_rows ? low + step - 1 : n_rows;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (times_ms[middle] < border_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Times that rise: from the interval that holds the first of them. */
static int block_resolve_sorted(const struct seai_index_block *block, const struct sea_table_interval *interval,
                                const struct sea_table_interval *end, struct seai_index_result *result, size_t *ret_row)
{
	size_t row = 0, n_spans = 0;

	for (; row < block->n_rows; interval++) {
		size_t next = block->n_rows;

		if (interval == end || interval->from_ms > block->times_ms[row]) {
			*ret_row = row;
			return -ENOENT;
		}
		if (interval->until_ms != INT64_MAX)
			next = block_gallop(block->times_ms, row, block->n_rows, interval->until_ms);
		if (next == row)
			continue;
		result->spans[n_spans++] = (struct seai_index_span){ (uint32_t)(next - row), interval->object };
		row = next;
	}
	result->n_spans = n_spans;
	return 0;
}

/* Offsets of 32 bits from the earliest time: twice as many fit into a register. */
static void block_make_offsets(struct seai_index_block *block)
{
	if (block->has_offsets)
		return;
	for (size_t i = 0; i < block->n_rows; i++)
		block->offsets[i] = (int32_t)(uint32_t)((uint64_t)block->times_ms[i] - (uint64_t)block->min_ms);
	block->has_offsets = true;
}

/* Counts for each row how many of the intervals after the first begin at or before it. */
static void block_rank_by_counting(struct seai_index_block *block, const struct sea_table_interval *intervals,
                                   size_t n_intervals, uint32_t *ranks)
{
	const size_t n_rows = block->n_rows;

	block_make_offsets(block);
	for (size_t i = 0; i < n_rows; i++)
		ranks[i] = 0;
	for (size_t k = 1; k < n_intervals; k++) {
		const int32_t border = (int32_t)(intervals[k].from_ms - block->min_ms);

		for (size_t i = 0; i < n_rows; i++)
			ranks[i] += block->offsets[i] >= border;
	}
}

/* The same by halving: all rows take the same steps, so that the processor can work on many at once. */
static void block_rank_by_halving(const struct seai_index_block *block, const struct sea_table_interval *intervals,
                                  size_t n_intervals, uint32_t *ranks)
{
	for (size_t i = 0; i < block->n_rows; i++) {
		const size_t rank = intervals_rank(intervals + 1, n_intervals - 1, block->times_ms[i]);

		ranks[i] = (uint32_t)rank;
	}
}

static bool intervals_have_gap(const struct sea_table_interval *intervals, size_t n_intervals, int64_t max_ms)
{
	for (size_t k = 1; k < n_intervals; k++) {
		if (intervals[k - 1].until_ms != intervals[k].from_ms)
			return true;
	}
	return !seai_interval_has_end(&intervals[n_intervals - 1], max_ms);
}

/* Times in any order, within these intervals or gaps between them. */
static int block_resolve_scattered(struct seai_index_block *block, const struct sea_table_interval *intervals,
                                   size_t n_intervals, struct seai_index_result *result, size_t *ret_row)
{
	uint32_t *ranks = result->ranks;

	if (n_intervals <= INDEX_N_COUNTED_MAX && (uint64_t)block->max_ms - (uint64_t)block->min_ms <= INT32_MAX)
		block_rank_by_counting(block, intervals, n_intervals, ranks);
	else
		block_rank_by_halving(block, intervals, n_intervals, ranks);
	if (intervals_have_gap(intervals, n_intervals, block->max_ms)) {
		for (size_t i = 0; i < block->n_rows; i++) {
			if (!seai_interval_has_end(&intervals[ranks[i]], block->times_ms[i])) {
				*ret_row = i;
				return -ENOENT;
			}
		}
	}
	for (size_t i = 0; i < block->n_rows; i++)
		result->objects[i] = intervals[ranks[i]].object;
	result->n_spans = 0;
	return 0;
}

int seai_index_block_resolve(struct seai_index_block *block, const struct sea_table_intervals *intervals,
                             struct seai_index_result *ret_result, size_t *ret_row)
{
	const struct sea_table_interval *first = intervals->intervals;
	const size_t n_intervals = intervals->n_intervals;
	size_t rank = intervals_rank(first, n_intervals, block->min_ms), last;

	if (rank == 0) {
		*ret_row = 0;
		for (size_t i = 0; i < block->n_rows; i++) {
			if (block->times_ms[i] == block->min_ms)
				*ret_row = i;
		}
		return -ENOENT;
	}
	rank--;
	if (seai_interval_has_end(&first[rank], block->max_ms)) {
		ret_result->n_spans = 1;
		ret_result->spans[0] = (struct seai_index_span){ (uint32_t)block->n_rows, first[rank].object };
		return 0;
	}
	if (block->is_sorted)
		return block_resolve_sorted(block, first + rank, first + n_intervals, ret_result, ret_row);
	last = rank + intervals_rank(first + rank, n_intervals - rank, block->max_ms);
	return block_resolve_scattered(block, first + rank, last - rank, ret_result, ret_row);
}
