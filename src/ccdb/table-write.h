/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of tables, inside: what its files share. table-writer.c checks the plan and knows the sizes, table-write-index.c and
 * table-write-objects.c write one part each.
 */
#ifndef SEALANE_CCDB_TABLE_WRITE_H
#define SEALANE_CCDB_TABLE_WRITE_H

#include <sealane/arrow/writer.h>
#include <sealane/ccdb/table-writer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccdb/index-fill.h"
#include "ccdb/table-layout.h"
#include "ccdb/table-names.h"

/* All columns of an index table that have one share it. */
#define SEAI_TABLE_DICTIONARY_ID 0

struct seai_index_sink;

struct sea_table_writer {
	struct sea_table_plan plan;
	bool has_plan;                  /* and it was found to be right */
	struct seai_table_names names;  /* of the columns, those of index once that is made */
	struct sea_arrow_writer *index; /* NULL: none of these columns was made yet */
	struct sea_arrow_writer *objects;
	struct sea_arrow_slot object_slots[SEAI_OBJECT_N_FIELDS]; /* their sizes */
	uint64_t index_n_bytes;
	uint64_t objects_n_bytes;
	unsigned index_bits;                    /* of an index: 8, 16 or 32; as index was made */
	enum sea_table_encoding index_encoding; /* the same */
	uint32_t *n_runs;                       /* of SEA_TABLE_RUN_ENDS, by batch and column */
	struct sea_arrow_slot *slots;           /* of a batch of the index table */
	size_t n_slots;                         /* how many */
	struct seai_index_sink *sinks;          /* one per column */
	struct seai_index_block block;          /* scratch */
	struct seai_index_result result;
};

/* The meta that a table names an object by. */
void seai_table_meta_of(const struct sea_table_object *object, size_t row, struct sea_meta *ret_meta);

/* Whether what is there for the last plan's index table does for this one's: the columns are the same. */
bool seai_table_write_index_fits(const struct sea_table_writer *writer, const struct sea_table_plan *plan);

/* Make the arrow writer, if there is none that fits, and know the size of the part. */
int seai_table_write_index_init(struct sea_table_writer *writer, struct sea_error *error);
int seai_table_write_objects_init(struct sea_table_writer *writer, struct sea_error *error);

#endif
