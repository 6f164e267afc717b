/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The times of some rows as a sorted set: which is the first at or after a given one.
 *
 * The odd rule: where rows are sorted they are not copied but searched where they lie.
 */
#ifndef SEALANE_CCDB_CACHE_TIMES_H
#define SEALANE_CCDB_CACHE_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows beside each other. */
struct seai_times_piece {
	const int64_t *times_ms;
	int64_t n_rows;
	bool is_sorted;
};

struct seai_times {
	struct seai_times_piece *pieces; /* as they were added */
	size_t n_pieces, n_max;
	int64_t first_ms;  /* of the first row that was added */
	int64_t *distinct; /* if not NULL: all of them, sorted; pieces are not looked at */
	size_t n_distinct;
};

/* Adds rows. is_sorted: they rise, not strictly. 0; -ENOMEM. */
int seai_times_add(struct seai_times *times, const int64_t *times_ms, int64_t n_rows, bool is_sorted);

/* Once all is added: makes the set searchable. 0; -ENOMEM. */
int seai_times_seal(struct seai_times *times);

/* The first time at or after from_ms. False: there is none. */
bool seai_times_next(const struct seai_times *times, int64_t from_ms, int64_t *ret_ms);

/* How many rows lie in [from_ms, until_ms); of rows in no order their share, if there are n_shares. */
uint64_t seai_times_count(const struct seai_times *times, int64_t from_ms, int64_t until_ms, size_t n_shares);

void seai_times_fini(struct seai_times *times);

/* Whether rows rise, and none is negative or INT64_MAX: 1 sorted; 0 not; -ERANGE one is. */
int seai_times_look(const int64_t *times_ms, int64_t n_rows);

#endif
