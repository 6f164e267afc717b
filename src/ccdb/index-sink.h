/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the indices of one column of a batch go: to an array of 8, 16 or 32 bits, to an array of metas, to runs, or, before it is known how
 * many runs there are, nowhere but into their number.
 */
#ifndef SEALANE_CCDB_INDEX_SINK_H
#define SEALANE_CCDB_INDEX_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "ccdb/index-fill.h"

enum seai_index_sink_kind {
	SEAI_INDEX_TO_8 = 1, /* bytes of an index */
	SEAI_INDEX_TO_16 = 2,
	SEAI_INDEX_TO_32 = 4,
	SEAI_INDEX_TO_METAS = 64,
	SEAI_INDEX_TO_RUNS,
	SEAI_INDEX_TO_COUNT,
};

struct seai_index_sink {
	enum seai_index_sink_kind kind;
	unsigned index_bits; /* of the values of runs */
	void *data;          /* the next index or meta; the first value of the runs */
	int32_t *run_ends;
	const struct sea_table_plan *plan; /* of metas */
	uint32_t n_runs;
	uint32_t n_runs_max; /* for which there is room */
	uint32_t n_rows;     /* behind the last run */
	uint32_t object;     /* of the last run */
};

/* Takes what holds for the next rows. @return 0; -EINVAL more runs than there is room for */
int seai_index_sink_take(struct seai_index_sink *sink, const struct seai_index_result *result, size_t n_rows);

#endif
