/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which object holds for each row: times against the intervals of one column, block by block, so that the times of a block are
 * still in the cache when the next column asks.
 *
 * The odd rule: times may lie in memory that another process can write. They are read more than once, so a time that changes meanwhile may get a wrong
 * object; but whatever they do, all stays within the block and the intervals.
 */
#ifndef SEALANE_CCDB_INDEX_FILL_H
#define SEALANE_CCDB_INDEX_FILL_H

#include <sealane/ccdb/table-writer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of a block: 16 KiB of times, half of a first-level cache. */
#define SEAI_INDEX_BLOCK 2048

/* Rows of a block, one behind the other, for which the same object holds. */
struct seai_index_span {
	uint32_t n_rows;
	uint32_t object;
};

/* Some rows, and what was found out about their times: kept from one column to the next. */
struct seai_index_block {
	const int64_t *times_ms;
	size_t n_rows; /* 1 to SEAI_INDEX_BLOCK */
	int64_t min_ms;
	int64_t max_ms;
	bool is_sorted;
	bool has_offsets;
	int32_t offsets[SEAI_INDEX_BLOCK]; /* from min_ms */
};

/* What holds for the rows of a block in one column. */
struct seai_index_result {
	size_t n_spans; /* 0: each row has its own object */
	struct seai_index_span spans[SEAI_INDEX_BLOCK];
	uint32_t objects[SEAI_INDEX_BLOCK];
	uint32_t ranks[SEAI_INDEX_BLOCK]; /* for the search */
};

void seai_index_block_init(struct seai_index_block *block, const int64_t *times_ms, size_t n_rows);

/*
 * Finds the objects of a block.
 * @param ret_row where there is none: which row of the block has no object
 * @return 0; -ENOENT
 */
int seai_index_block_resolve(struct seai_index_block *block, const struct sea_table_intervals *intervals,
                             struct seai_index_result *ret_result, size_t *ret_row);

/* Whether a time is one of the interval's. INT64_MAX has no end behind it. */
static inline bool seai_interval_has_end(const struct sea_table_interval *interval, int64_t time_ms)
{
	return time_ms < interval->until_ms || interval->until_ms == INT64_MAX;
}

#endif
