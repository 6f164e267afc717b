/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the columns of an index table: where the indices of each batch lie, and that there are as many as the batch has rows. What
 * they say is looked at by those who look a row up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ccdb/table-read.h"

static void cleanup_batch(struct sea_arrow_batch **batch)
{
	sea_arrow_batch_free(*batch);
}

/* Its schema. -------------------------------------------------------------------------------- */

static bool type_is_int(const struct sea_arrow_field *field)
{
	return field->type.id == SEA_ARROW_INT && field->type.is_signed && field->type.bits <= 32 &&
	       field->index_bits == 0;
}

/* What a field is; 0: nothing that stands in an index table. */
static enum seai_cells_kind field_kind(const struct sea_arrow_field *field)
{
	const struct sea_arrow_field *children = field->children;

	if (field->type.id == SEA_ARROW_FIXED_SIZE_BINARY && field->type.size == SEA_META_N_BYTES) {
		if (field->index_bits == 0)
			return SEAI_CELLS_METAS;
		return field->index_is_signed && field->index_bits <= 32 ? (enum seai_cells_kind)(field->index_bits / 8)
		                                                         : (enum seai_cells_kind)0;
	}
	if (field->type.id == SEA_ARROW_RUN_END_ENCODED && field->n_children == 2 && type_is_int(&children[0]) &&
	    children[0].type.bits == 32 && type_is_int(&children[1]))
		return SEAI_CELLS_RUNS;
	return (enum seai_cells_kind)0;
}

static const char *field_name(const void *fields, size_t column)
{
	return ((const struct sea_arrow_field *)fields)[column].name;
}

int seai_table_index_read_schema(struct sea_table *table, struct sea_error *error)
{
	const struct sea_arrow_schema *schema = sea_table_schema(table);
	size_t column = 0;
	int64_t dictionary_id = 0;
	bool has_dictionary = false;
	int r;

	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct sea_arrow_field *field = &schema->fields[i];

		if (field_kind(field) == 0)
			return sea_error_set(error, -EBADMSG, field->name, "is of a type that names no objects");
		if (field->index_bits != 0 && has_dictionary && field->dictionary_id != dictionary_id)
			return sea_error_set(error, -EBADMSG, field->name, "has a dictionary of its own");
		if (field->index_bits != 0) {
			has_dictionary = true;
			dictionary_id = field->dictionary_id;
		}
	}
	table->n_columns = schema->n_fields;
	r = seai_table_names_init(&table->names, schema->n_fields, field_name, schema->fields, &column);
	return r == -EEXIST ? sea_error_set(error, -EBADMSG, schema->fields[column].name,
	                                    "there are two columns of this name")
	                    : r;
}

/* Its batches. ------------------------------------------------------------------------------- */

/* The dictionary is the object table's metas: other readers of Arrow and this one see the same. */
static int dictionary_check(const struct sea_table *table, const struct sea_arrow_column *column,
                            uint64_t *checked_version, struct sea_error *error)
{
	const struct sea_arrow_column *dictionary = column->dictionary;

	if (dictionary == NULL || dictionary->previous != NULL || (uint64_t)dictionary->n_rows != table->n_objects)
		return sea_error_set(error, -EBADMSG, column->field->name,
		                     "its dictionary does not have as many rows as the object table");
	if (dictionary->version == *checked_version)
		return 0;
	for (size_t i = 0; i < table->n_objects; i++) {
		const void *meta;
		size_t n_bytes;

		if (sea_arrow_column_get_bytes(dictionary, (int64_t)i, &meta, &n_bytes) != 0 ||
		    n_bytes != SEA_META_N_BYTES || memcmp(meta, &table->entries[i].object.meta, SEA_META_N_BYTES) != 0)
			return sea_error_set(error, -EBADMSG, column->field->name,
			                     "row %zu of its dictionary is not the meta of that object", i);
	}
	*checked_version = dictionary->version;
	return 0;
}

static int cells_init(struct seai_cells *cells, const struct sea_table *table, const struct sea_arrow_column *column,
                      uint64_t *checked_version, struct sea_error *error)
{
	*cells = (struct seai_cells){ .kind = field_kind(column->field), .data = column->data };
	if (column->offset != 0 || (column->validity != NULL && column->n_nulls != 0))
		return sea_error_set(error, -EBADMSG, column->field->name, "has nulls");
	if (column->field->index_bits != 0)
		return dictionary_check(table, column, checked_version, error);
	if (cells->kind == SEAI_CELLS_RUNS) {
		const struct sea_arrow_column *ends = &column->children[0], *values = &column->children[1];

		if (column->n_children != 2 || ends->n_rows != values->n_rows || ends->offset != 0 ||
		    values->offset != 0 || ends->n_rows > INT32_MAX)
			return sea_error_set(error, -EBADMSG, column->field->name,
			                     "has not as many values as run ends");
		cells->value_kind = (enum seai_cells_kind)(values->field->type.bits / 8);
		cells->data = values->data;
		cells->run_ends = ends->data;
		cells->n_runs = (size_t)ends->n_rows;
	}
	return 0;
}

static int batch_add(struct sea_table *table, const struct sea_arrow_batch *batch, size_t *n_room,
                     uint64_t *checked_version, struct sea_error *error)
{
	struct seai_cells *cells;

	if (batch->n_rows > INT64_MAX - table->n_rows)
		return sea_error_set(error, -E2BIG, "", "more rows than can be counted");
	if (table->n_batches == *n_room) {
		const size_t n = *n_room ? 2 * *n_room : 1;
		void *room = reallocarray(table->first_rows_room, n + 1, sizeof(*table->first_rows_room));

		if (room == NULL)
			return -ENOMEM;
		table->first_rows_room = room;
		room = reallocarray(table->cells_room, n * (table->n_columns ? table->n_columns : 1), sizeof(*cells));
		if (room == NULL)
			return -ENOMEM;
		table->cells_room = room;
		*n_room = n;
	}
	cells = &table->cells_room[table->n_batches * table->n_columns];
	for (size_t i = 0; i < table->n_columns; i++) {
		if (batch->columns[i].n_rows != batch->n_rows)
			return sea_error_set(error, -EBADMSG, batch->columns[i].field->name, "has other rows");
	}
	for (size_t i = 0; i < table->n_columns; i++) {
		const int r = cells_init(&cells[i], table, &batch->columns[i], checked_version, error);

		if (r < 0)
			return r;
	}
	table->first_rows_room[table->n_batches++] = table->n_rows;
	table->n_rows += batch->n_rows;
	return 0;
}

/* Columns of metas. -------------------------------------------------------------------------- */

static int by_meta_compare(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct seai_table_by_meta, row));
}

static int by_meta_init(struct sea_table *table, struct sea_error *error)
{
	struct seai_table_by_meta *by_meta = calloc(table->n_objects + 1, sizeof(*by_meta));

	if (by_meta == NULL)
		return -ENOMEM;
	table->by_meta = by_meta;
	for (size_t i = 0; i < table->n_objects; i++) {
		const struct sea_table_object *object = &table->entries[i].object;

		by_meta[i] = (struct seai_table_by_meta){ object->meta, object->index, object->row };
	}
	qsort(by_meta, table->n_objects, sizeof(*by_meta), by_meta_compare);
	for (size_t i = 1; i < table->n_objects; i++) {
		if (by_meta_compare(&by_meta[i - 1], &by_meta[i]) == 0)
			return sea_error_set(error, -EBADMSG, sea_table_column_name(table, by_meta[i].column),
			                     "two of its objects have one meta");
	}
	return 0;
}

int seai_table_index_read(struct sea_table *table, struct sea_error *error)
{
	SEAI_CLEANUP(cleanup_batch) struct sea_arrow_batch *batch = NULL;
	const struct sea_arrow_schema *schema = sea_table_schema(table);
	uint64_t checked_version = UINT64_MAX;
	size_t n_room = 0;
	int r = sea_arrow_batch_new(&batch, table->index.reader);

	while (r == 0 && (r = sea_arrow_reader_next(table->index.reader, batch, error)) == 1)
		r = batch_add(table, batch, &n_room, &checked_version, error);
	if (r < 0)
		return r;
	if (table->first_rows_room == NULL)
		table->first_rows_room = calloc(1, sizeof(*table->first_rows_room));
	if (table->first_rows_room == NULL)
		return -ENOMEM;
	table->first_rows_room[table->n_batches] = table->n_rows;
	table->first_rows = table->first_rows_room;
	table->cells = table->cells_room;
	for (size_t i = 0; i < schema->n_fields; i++) {
		if (field_kind(&schema->fields[i]) == SEAI_CELLS_METAS)
			return by_meta_init(table, error);
	}
	return 0;
}
