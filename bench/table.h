/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of calibration objects for the bench `table`: their rows, and the ways to say which object each is of. */
#ifndef SEALANE_BENCH_TABLE_H
#define SEALANE_BENCH_TABLE_H

#include "bench.h"

#include <sealane/arrow/arrow.h>
#include <sealane/ccdb/table-writer.h>
#include <sealane/ccdb/table.h>

#define TABLE_N_COLUMNS 5u
#define TABLE_N_VERSIONS 4u
#define TABLE_N_OBJECTS (TABLE_N_COLUMNS * TABLE_N_VERSIONS)
#define TABLE_OBJECT_N_BYTES 1024u
#define TABLE_RANGE_MS INT64_C(10000)
#define TABLE_FIRST_MS INT64_C(1700000000000)
#define TABLE_BASELINE_N_BYTES 24u

/* The rows of a key table, and what holds when: the same in both processes. */
struct table_keys {
	int64_t *times_ms;
	int64_t n_rows;
	struct sea_table_interval intervals[TABLE_N_OBJECTS];
	struct sea_table_intervals columns[TABLE_N_COLUMNS];
	struct sea_table_object objects[TABLE_N_OBJECTS];
	char names[TABLE_N_OBJECTS][48];
	struct sea_message *contents; /* the objects, of the process that builds */
	/* Of that process too: one table after the other. */
	struct sea_table_writer *writer;
	struct sea_table_column named[TABLE_N_COLUMNS];
	uint64_t sum; /* of the objects' numbers over all cells */
};

void table_keys_init(struct table_keys *keys, int64_t n_rows, bool is_sorted);
/* Makes the objects. */
void table_keys_fill(struct table_keys *keys, struct sea_heap *heap);
void table_keys_fini(struct table_keys *keys);

/* A way: builds a message, looks at each cell of it and gives the sum of the objects' numbers. */
struct table_way {
	struct sea_message *(*build)(struct table_keys *keys, struct sea_heap *heap, uint64_t *ret_n_bytes);
	/* Opens the message and looks at the first row. */
	void *(*open)(const struct table_keys *keys, struct sea_message *message);
	uint64_t (*look)(const struct table_keys *keys, void *table);
	void (*close)(void *table);
};

extern const struct table_way table_way_rows;  /* ours, row by row */
extern const struct table_way table_way_runs;  /* ours, by runs */
extern const struct table_way table_way_ends;  /* ours, run-end encoded, by runs */
extern const struct table_way table_way_metas; /* 24 bytes in every row and column */
extern const struct table_way table_way_bytes; /* the object's bytes in every row and column */

#endif
