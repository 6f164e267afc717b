/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes index tables. The rows of a batch are gone through once, block by block, and for each block column by column: times are
 * read from memory once, and indices are written once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/table.h>

#include "base/cleanup.h"
#include "ccdb/index-sink.h"
#include "ccdb/table-write.h"

/* Its schema. -------------------------------------------------------------------------------- */

/* What the fields of a schema are made of, until the arrow writer has copied it. */
struct index_schema {
	struct sea_arrow_field *fields;
	struct sea_arrow_field *children; /* two per column that has run ends */
	struct sea_arrow_pair *paths;     /* one per column */
};

static void index_schema_fini(struct index_schema *schema)
{
	free(schema->fields);
	free(schema->children);
	free(schema->paths);
}

static const char *index_format(unsigned bits)
{
	return bits == 8 ? "c" : bits == 16 ? "s" : "i";
}

static int index_field_init(const struct sea_table_writer *writer, size_t column, struct index_schema *schema)
{
	struct sea_arrow_field *field = &schema->fields[column], *children = &schema->children[2 * column];
	const struct sea_table_column *of = &writer->plan.columns[column];
	const bool has_runs = writer->plan.encoding == SEA_TABLE_RUN_ENDS;
	int r = sea_arrow_field_init(field, of->name, has_runs ? "+r" : "w:64");

	field->is_nullable = 0;
	if (has_runs && r == 0) {
		r = sea_arrow_field_init(&children[0], "run_ends", "i");
		if (r == 0)
			r = sea_arrow_field_init(&children[1], "values", index_format(writer->index_bits));
		children[0].is_nullable = children[1].is_nullable = 0;
		field->children = children;
		field->n_children = 2;
	}
	if (writer->plan.encoding == SEA_TABLE_DICTIONARY) {
		field->index_bits = (int)writer->index_bits;
		field->index_is_signed = 1;
		field->dictionary_id = SEAI_TABLE_DICTIONARY_ID;
	}
	if (of->paths != NULL) {
		schema->paths[column] = (struct sea_arrow_pair){ .key = SEA_TABLE_KEY_PATHS, .value = of->paths };
		field->metadata = &schema->paths[column];
		field->n_metadata = 1;
	}
	return r;
}

static int index_writer_new(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	SEAI_CLEANUP(index_schema_fini)
	struct index_schema room = {
		.fields = calloc(plan->n_columns + 1, sizeof(struct sea_arrow_field)),
		.children = calloc(2 * plan->n_columns + 1, sizeof(struct sea_arrow_field)),
		.paths = calloc(plan->n_columns + 1, sizeof(struct sea_arrow_pair)),
	};
	const struct sea_arrow_schema schema = { .fields = room.fields, .n_fields = plan->n_columns };
	int r = 0;

	if (room.fields == NULL || room.children == NULL || room.paths == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < plan->n_columns; i++)
		r = index_field_init(writer, i, &room);
	return r < 0 ? r : sea_arrow_writer_new(&writer->index, &schema, error);
}

/* Ours, and the key table's. */
static int index_set_metadata(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	SEAI_AUTO_FREE struct sea_arrow_pair *metadata = calloc(plan->n_metadata + 1, sizeof(*metadata));
	size_t n = 0;

	if (metadata == NULL)
		return -ENOMEM;
	metadata[n++] = (struct sea_arrow_pair){ .key = SEA_TABLE_KEY, .value = SEA_TABLE_KIND_INDEX };
	for (size_t i = 0; i < plan->n_metadata; i++) {
		if (strcmp(plan->metadata[i].key, SEA_TABLE_KEY) != 0)
			metadata[n++] = plan->metadata[i];
	}
	return sea_arrow_writer_set_metadata(writer->index, metadata, n, error);
}

static unsigned index_bits_of(const struct sea_table_plan *plan)
{
	return plan->n_objects <= INT8_MAX + 1 ? 8 : plan->n_objects <= INT16_MAX + 1 ? 16 : 32;
}

bool seai_table_write_index_fits(const struct sea_table_writer *writer, const struct sea_table_plan *plan)
{
	const struct sea_arrow_schema *schema;

	if (writer->index == NULL || writer->index_bits != index_bits_of(plan) ||
	    writer->index_encoding != plan->encoding)
		return false;
	schema = sea_arrow_writer_schema(writer->index);
	if (schema->n_fields != plan->n_columns)
		return false;
	for (size_t i = 0; i < plan->n_columns; i++) {
		const struct sea_arrow_field *field = &schema->fields[i];
		const struct sea_table_column *column = &plan->columns[i];

		if (column->name == NULL || strcmp(field->name, column->name) != 0 ||
		    (field->n_metadata > 0) != (column->paths != NULL) ||
		    (column->paths != NULL && strcmp(field->metadata[0].value, column->paths) != 0))
			return false;
	}
	return true;
}

/* What depends on the columns alone. */
static int index_prepare(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	int r;

	free(writer->slots);
	free(writer->sinks);
	writer->index_bits = index_bits_of(plan);
	writer->index_encoding = plan->encoding;
	writer->n_slots = plan->n_columns * (plan->encoding == SEA_TABLE_RUN_ENDS ? 3 : 1);
	writer->slots = calloc(writer->n_slots + 1, sizeof(*writer->slots));
	writer->sinks = calloc(plan->n_columns + 1, sizeof(*writer->sinks));
	r = writer->slots == NULL || writer->sinks == NULL ? -ENOMEM : index_writer_new(writer, error);
	if (r < 0)
		return r;
	/* They are kept longer than the plan. */
	for (size_t i = 0; i < plan->n_columns; i++) {
		struct seai_table_name *name = &writer->names.names[i];

		name->name = sea_arrow_writer_schema(writer->index)->fields[name->column].name;
	}
	return 0;
}

/* Its rows. ---------------------------------------------------------------------------------- */

static int row_error(const struct sea_table_writer *writer, size_t column, size_t batch, int64_t row, int64_t time_ms,
                     struct sea_error *error)
{
	return sea_error_set(error, -ENOENT, writer->plan.columns[column].name,
	                     "there is no object for time %" PRId64 " ms (row %" PRId64 " of batch %zu)", time_ms, row,
	                     batch);
}

/* Rows of one group, from a first one on. */
static int group_write(struct sea_table_writer *writer, size_t batch, int64_t row, int64_t n_rows,
                       const struct sea_table_group *group, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;

	while (n_rows > 0) {
		const size_t n = n_rows < SEAI_INDEX_BLOCK ? (size_t)n_rows : SEAI_INDEX_BLOCK;
		const int64_t *times_ms = plan->batches[batch].times_ms + row;
		size_t missing = 0;

		seai_index_block_init(&writer->block, times_ms, n);
		for (size_t column = 0; column < plan->n_columns; column++) {
			int r = seai_index_block_resolve(&writer->block, &group->columns[column], &writer->result,
			                                 &missing);

			if (r < 0)
				return row_error(writer, column, batch, row + (int64_t)missing, times_ms[missing],
				                 error);
			r = seai_index_sink_take(&writer->sinks[column], &writer->result, n);
			if (r < 0)
				return sea_error_set(error, r, plan->columns[column].name,
				                     "the times have changed since they were counted");
		}
		row += (int64_t)n;
		n_rows -= (int64_t)n;
	}
	return 0;
}

/* All rows of a batch, to where the sinks say. */
static int batch_write(struct sea_table_writer *writer, size_t batch, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	const struct sea_table_rows *rows = &plan->batches[batch];
	int64_t row = 0;
	int r = 0;

	if (rows->stretches == NULL)
		return rows->n_rows == 0 ? 0 : group_write(writer, batch, 0, rows->n_rows, &plan->groups[0], error);
	for (size_t i = 0; r == 0 && i < rows->n_stretches; i++) {
		const struct sea_table_stretch *stretch = &rows->stretches[i];

		r = group_write(writer, batch, row, stretch->n_rows, &plan->groups[stretch->group], error);
		row += stretch->n_rows;
	}
	return r;
}

/* Its size. ---------------------------------------------------------------------------------- */

static int runs_count(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	int r;

	free(writer->n_runs);
	writer->n_runs = calloc(plan->n_batches * plan->n_columns + 1, sizeof(*writer->n_runs));
	if (writer->n_runs == NULL)
		return -ENOMEM;
	for (size_t batch = 0; batch < plan->n_batches; batch++) {
		for (size_t i = 0; i < plan->n_columns; i++)
			writer->sinks[i] = (struct seai_index_sink){ .kind = SEAI_INDEX_TO_COUNT };
		r = batch_write(writer, batch, error);
		if (r < 0)
			return r;
		for (size_t i = 0; i < plan->n_columns; i++)
			writer->n_runs[batch * plan->n_columns + i] = writer->sinks[i].n_runs;
	}
	return 0;
}

static void slots_init(struct sea_table_writer *writer, size_t batch)
{
	const struct sea_table_plan *plan = &writer->plan;
	const int64_t n_rows = plan->batches[batch].n_rows;

	for (size_t i = 0; i < plan->n_columns; i++) {
		if (plan->encoding == SEA_TABLE_RUN_ENDS) {
			const int64_t n_runs = writer->n_runs[batch * plan->n_columns + i];

			writer->slots[3 * i] = (struct sea_arrow_slot){ .n_rows = n_rows };
			writer->slots[3 * i + 1] = (struct sea_arrow_slot){ .n_rows = n_runs };
			writer->slots[3 * i + 2] = (struct sea_arrow_slot){ .n_rows = n_runs };
		} else {
			writer->slots[i] = (struct sea_arrow_slot){ .n_rows = n_rows };
		}
	}
}

static int index_count(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	const struct sea_arrow_slot values = { .n_rows = (int64_t)plan->n_objects };
	uint64_t n_bytes = 0;
	int r = 0;

	writer->index_n_bytes = sea_arrow_writer_schema_size(writer->index) + SEA_ARROW_END_N_BYTES;
	if (plan->encoding == SEA_TABLE_DICTIONARY) {
		r = sea_arrow_writer_dictionary_size(writer->index, SEAI_TABLE_DICTIONARY_ID, &values, 1, &n_bytes,
		                                     error);
		writer->index_n_bytes += n_bytes;
	}
	for (size_t batch = 0; r == 0 && batch < plan->n_batches; batch++) {
		slots_init(writer, batch);
		r = sea_arrow_writer_batch_size(writer->index, writer->slots, writer->n_slots, &n_bytes, error);
		writer->index_n_bytes += n_bytes;
	}
	return r;
}

int seai_table_write_index_init(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	int r = writer->index != NULL ? 0 : index_prepare(writer, error);

	if (r == 0)
		r = index_set_metadata(writer, error);
	if (r == 0 && plan->encoding == SEA_TABLE_RUN_ENDS)
		r = runs_count(writer, error);
	return r < 0 ? r : index_count(writer, error);
}

/* Writing it. -------------------------------------------------------------------------------- */

static int dictionary_write(struct sea_table_writer *writer, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	struct sea_arrow_slot values = { .n_rows = (int64_t)plan->n_objects };
	uint8_t *to;
	int r = sea_arrow_writer_reserve_dictionary(writer->index, SEAI_TABLE_DICTIONARY_ID, 0, &values, 1, error);

	if (r < 0)
		return r;
	to = values.data;
	for (size_t i = 0; i < plan->n_objects; i++) {
		struct sea_meta meta;

		seai_table_meta_of(&plan->objects[i], i, &meta);
		memcpy(to + i * SEA_META_N_BYTES, &meta, SEA_META_N_BYTES);
	}
	return sea_arrow_writer_commit(writer->index, error);
}

static void sinks_init(struct sea_table_writer *writer)
{
	const struct sea_table_plan *plan = &writer->plan;

	for (size_t i = 0; i < plan->n_columns; i++) {
		struct seai_index_sink *sink = &writer->sinks[i];

		*sink = (struct seai_index_sink){ .plan = plan, .index_bits = writer->index_bits };
		if (plan->encoding == SEA_TABLE_RUN_ENDS) {
			sink->kind = SEAI_INDEX_TO_RUNS;
			sink->run_ends = writer->slots[3 * i + 1].data;
			sink->data = writer->slots[3 * i + 2].data;
			sink->n_runs_max = (uint32_t)writer->slots[3 * i + 1].n_rows;
			continue;
		}
		sink->kind = plan->encoding == SEA_TABLE_METAS ? SEAI_INDEX_TO_METAS
		                                               : (enum seai_index_sink_kind)(writer->index_bits / 8);
		sink->data = writer->slots[i].data;
	}
}

static int rows_write(struct sea_table_writer *writer, size_t batch, struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	int r;

	slots_init(writer, batch);
	r = sea_arrow_writer_reserve(writer->index, writer->slots, writer->n_slots, error);
	if (r < 0)
		return r;
	sinks_init(writer);
	r = batch_write(writer, batch, error);
	if (r < 0)
		return r;
	for (size_t i = 0; plan->encoding == SEA_TABLE_RUN_ENDS && i < plan->n_columns; i++)
		writer->slots[3 * i + 1].n_rows = writer->slots[3 * i + 2].n_rows = writer->sinks[i].n_runs;
	return sea_arrow_writer_commit(writer->index, error);
}

int sea_table_writer_write_index(struct sea_table_writer *writer, void *memory, uint64_t n_bytes,
                                 struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	int r;

	if (!writer->has_plan)
		return sea_error_set(error, -EPROTO, "index", "the last plan was refused");
	if (n_bytes < writer->index_n_bytes)
		return sea_error_set(error, -ENOSPC, "index", "there is room for %llu of %llu bytes",
		                     (unsigned long long)n_bytes, (unsigned long long)writer->index_n_bytes);
	r = sea_arrow_writer_set_memory(writer->index, memory, writer->index_n_bytes);
	if (r < 0)
		return sea_error_set(error, r, "index", "the memory is not aligned to 64 bytes");
	r = sea_arrow_writer_begin(writer->index, error);
	if (r == 0 && plan->encoding == SEA_TABLE_DICTIONARY)
		r = dictionary_write(writer, error);
	for (size_t batch = 0; r == 0 && batch < plan->n_batches; batch++)
		r = rows_write(writer, batch, error);
	if (r == 0)
		r = sea_arrow_writer_end(writer->index, NULL, error);
	else
		sea_arrow_writer_abort(writer->index);
	return r;
}
