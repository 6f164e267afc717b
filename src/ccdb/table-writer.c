/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer of tables: checks that a plan fits together before anything is written, so that what comes after can take its word: every
 * interval names an object of its own column, every row has a group.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/table.h>
#include <sealane/frame.h>

#include "base/cleanup.h"
#include "ccdb/table-names.h"
#include "ccdb/table-write.h"

void seai_table_meta_of(const struct sea_table_object *object, size_t row, struct sea_meta *ret_meta)
{
	*ret_meta = object->meta;
	/* Nothing has no name; but two of them are two rows, also where rows are told by their metas. */
	if (object->status != SEA_TABLE_OK)
		*ret_meta = (struct sea_meta){ .hint = row };
}

/* The plan. ---------------------------------------------------------------------------------- */

static const char *column_name(const void *columns, size_t column)
{
	return ((const struct sea_table_column *)columns)[column].name;
}

static int columns_check(const struct sea_table_plan *plan, struct seai_table_names *names, struct sea_error *error)
{
	size_t column = 0;
	int r;

	/* A batch of no columns has no rows either. */
	if (plan->n_columns == 0)
		return sea_error_set(error, -EINVAL, "columns", "there are none");
	if (plan->n_columns > SEA_ARROW_FIELDS_MAX / 3)
		return sea_error_set(error, -E2BIG, "columns", "%zu are more than %u", plan->n_columns,
		                     SEA_ARROW_FIELDS_MAX / 3);
	for (size_t i = 0; i < plan->n_columns; i++) {
		if (plan->columns[i].name == NULL)
			return sea_error_set(error, -EINVAL, "columns", "number %zu has no name", i);
	}
	r = seai_table_names_init(names, plan->n_columns, column_name, plan->columns, &column);
	return r == -EEXIST
	               ? sea_error_set(error, -EINVAL, plan->columns[column].name, "there are two columns of this name")
	               : r;
}

/* The column of an object; before is that of the last one. Mostly objects stand column by column. @return -ENOENT */
static int64_t object_column(const struct sea_table_plan *plan, const struct seai_table_names *names, const char *name,
                             uint32_t before)
{
	if (name == NULL)
		return -ENOENT;
	for (size_t column = before; column < plan->n_columns && column <= (size_t)before + 1; column++) {
		if (strcmp(plan->columns[column].name, name) == 0)
			return (int64_t)column;
	}
	return seai_table_names_find(names, name);
}

static int object_check(const struct sea_table_plan *plan, const struct seai_table_names *names, size_t row,
                        uint32_t before, uint32_t *ret_column, struct sea_error *error)
{
	const struct sea_table_object *object = &plan->objects[row];
	const int64_t column = object_column(plan, names, object->column, before);

	if (column < 0)
		return sea_error_set(error, -EINVAL, "objects", "row %zu: there is no column \"%s\"", row,
		                     object->column == NULL ? "" : object->column);
	if (object->status < 0)
		return sea_error_set(error, -EINVAL, object->column, "row %zu: %d is not a status", row,
		                     object->status);
	if (object->part != SEA_TABLE_NO_PART &&
	    (object->part < SEA_TABLE_PART_FIRST_OBJECT || object->status != SEA_TABLE_OK))
		return sea_error_set(error, -EINVAL, object->column, "row %zu: it cannot be part %d", row,
		                     object->part);
	*ret_column = (uint32_t)column;
	return 0;
}

struct named_meta {
	struct sea_meta meta;
	uint32_t column;
	uint32_t row;
};

static int named_meta_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sea_meta) + sizeof(uint32_t));
}

/* Where rows are told by their metas alone, no two versions of one column may have the same. */
static int metas_check(const struct sea_table_plan *plan, const uint32_t *columns, struct sea_error *error)
{
	SEAI_AUTO_FREE struct named_meta *metas = calloc(plan->n_objects + 1, sizeof(*metas));

	if (metas == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_objects; i++) {
		seai_table_meta_of(&plan->objects[i], i, &metas[i].meta);
		metas[i].column = columns[i];
		metas[i].row = (uint32_t)i;
	}
	qsort(metas, plan->n_objects, sizeof(*metas), named_meta_compare);
	for (size_t i = 1; i < plan->n_objects; i++) {
		if (named_meta_compare(&metas[i - 1], &metas[i]) == 0)
			return sea_error_set(error, -EINVAL, plan->columns[metas[i].column].name,
			                     "two versions have one meta: give them different hints");
	}
	return 0;
}

static int intervals_check(const struct sea_table_plan *plan, size_t column, const struct sea_table_intervals *of,
                           const uint32_t *columns, struct sea_error *error)
{
	for (size_t i = 0; i < of->n_intervals; i++) {
		const struct sea_table_interval *interval = &of->intervals[i];
		const char *name = plan->columns[column].name;

		if (interval->from_ms >= interval->until_ms)
			return sea_error_set(error, -EINVAL, name, "interval %zu ends before it begins", i);
		if (i > 0 && of->intervals[i - 1].until_ms > interval->from_ms)
			return sea_error_set(error, -EINVAL, name, "interval %zu begins before the last one ends", i);
		if (interval->object >= plan->n_objects || columns[interval->object] != column)
			return sea_error_set(error, -EINVAL, name, "interval %zu: %u is not an object of this column",
			                     i, interval->object);
	}
	return 0;
}

static int groups_check(const struct sea_table_plan *plan, const uint32_t *columns, struct sea_error *error)
{
	int r = 0;

	for (size_t i = 0; i < plan->n_groups; i++) {
		for (size_t column = 0; r == 0 && column < plan->n_columns; column++)
			r = intervals_check(plan, column, &plan->groups[i].columns[column], columns, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int rows_check(const struct sea_table_plan *plan, size_t batch, struct sea_error *error)
{
	const struct sea_table_rows *rows = &plan->batches[batch];
	int64_t left = rows->n_rows;

	if (rows->n_rows < 0)
		return sea_error_set(error, -EINVAL, "batches", "number %zu has %" PRId64 " rows", batch, rows->n_rows);
	if (plan->encoding == SEA_TABLE_RUN_ENDS && rows->n_rows > INT32_MAX)
		return sea_error_set(error, -E2BIG, "batches",
		                     "number %zu has %" PRId64 " rows, more than run ends can count", batch,
		                     rows->n_rows);
	if (rows->stretches == NULL && rows->n_rows > 0 && plan->n_groups == 0)
		return sea_error_set(error, -EINVAL, "batches", "number %zu: there is no group", batch);
	for (size_t i = 0; rows->stretches != NULL && i < rows->n_stretches; i++) {
		const struct sea_table_stretch *stretch = &rows->stretches[i];

		if (stretch->n_rows < 0 || stretch->n_rows > left || stretch->group >= plan->n_groups)
			return sea_error_set(error, -EINVAL, "batches",
			                     "number %zu: stretch %zu is outside of its rows, or of no group", batch,
			                     i);
		left -= stretch->n_rows;
	}
	if (rows->stretches != NULL && left > 0)
		return sea_error_set(error, -EINVAL, "batches", "number %zu: its last %" PRId64 " rows have no group",
		                     batch, left);
	return 0;
}

static int plan_check(const struct sea_table_plan *plan, const struct seai_table_names *names, struct sea_error *error)
{
	SEAI_AUTO_FREE uint32_t *columns = calloc(plan->n_objects + 1, sizeof(*columns));
	int r = 0;

	if (columns == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < plan->n_objects; i++)
		r = object_check(plan, names, i, i == 0 ? 0 : columns[i - 1], &columns[i], error);
	if (r == 0 && plan->encoding == SEA_TABLE_METAS)
		r = metas_check(plan, columns, error);
	if (r == 0)
		r = groups_check(plan, columns, error);
	for (size_t i = 0; r == 0 && i < plan->n_batches; i++)
		r = rows_check(plan, i, error);
	for (size_t i = 0; r == 0 && i < plan->n_metadata; i++) {
		if (plan->metadata[i].key == NULL)
			r = sea_error_set(error, -EINVAL, "metadata", "number %zu has no key", i);
	}
	return r;
}

/* The writer. -------------------------------------------------------------------------------- */

struct sea_table_writer *sea_table_writer_free(struct sea_table_writer *writer)
{
	if (writer == NULL)
		return NULL;
	sea_arrow_writer_free(writer->index);
	seai_table_names_fini(&writer->names);
	sea_arrow_writer_free(writer->objects);
	free(writer->n_runs);
	free(writer->slots);
	free(writer->sinks);
	free(writer);
	return NULL;
}

static void cleanup_writer(struct sea_table_writer **writer)
{
	sea_table_writer_free(*writer);
}

int sea_table_writer_set_plan(struct sea_table_writer *writer, const struct sea_table_plan *plan,
                              struct sea_error *error)
{
	static const uint64_t zeros[sizeof(plan->reserved) / sizeof(uint64_t)];
	int r;

	writer->has_plan = false;
	writer->index_n_bytes = writer->objects_n_bytes = 0;
	if (plan->encoding < SEA_TABLE_DICTIONARY || plan->encoding > SEA_TABLE_METAS || plan->flags != 0 ||
	    memcmp(plan->reserved, zeros, sizeof(zeros)) != 0)
		return sea_error_set(error, -EINVAL, "plan", "an encoding, flag or member that is not known");
	if (plan->n_objects > INT32_MAX)
		return sea_error_set(error, -E2BIG, "objects", "%zu are more than an index can count", plan->n_objects);
	if (!seai_table_write_index_fits(writer, plan)) {
		writer->index = sea_arrow_writer_free(writer->index);
		seai_table_names_fini(&writer->names);
		r = columns_check(plan, &writer->names, error);
		if (r < 0)
			return r;
	}
	r = plan_check(plan, &writer->names, error);
	if (r < 0)
		return r;
	writer->plan = *plan;
	r = seai_table_write_index_init(writer, error);
	if (r == 0)
		r = seai_table_write_objects_init(writer, error);
	writer->has_plan = r == 0;
	return r;
}

int sea_table_writer_new(struct sea_table_writer **ret_writer, const struct sea_table_plan *plan,
                         struct sea_error *error)
{
	SEAI_CLEANUP(cleanup_writer) struct sea_table_writer *writer = calloc(1, sizeof(*writer));
	const int r = writer == NULL ? -ENOMEM : sea_table_writer_set_plan(writer, plan, error);

	if (r < 0)
		return r;
	*ret_writer = SEAI_TAKE(writer);
	return 0;
}

uint64_t sea_table_writer_index_n_bytes(const struct sea_table_writer *writer)
{
	return writer->index_n_bytes;
}

uint64_t sea_table_writer_objects_n_bytes(const struct sea_table_writer *writer)
{
	return writer->objects_n_bytes;
}

uint64_t sea_table_writer_n_bytes(const struct sea_table_writer *writer)
{
	const uint64_t mask = SEA_ARROW_ALIGNMENT - 1;

	return ((writer->index_n_bytes + mask) & ~mask) + ((writer->objects_n_bytes + mask) & ~mask);
}

int sea_table_writer_add_to(struct sea_table_writer *writer, struct sea_frame *frame, unsigned layout_class,
                            struct sea_error *error)
{
	void *memory;
	int part = sea_frame_add_to(frame, layout_class, writer->index_n_bytes, SEA_ARROW_ALIGNMENT, &memory);
	int r;

	if (part < 0)
		return sea_error_set(error, part, "index", "no room for %llu bytes: %s",
		                     (unsigned long long)writer->index_n_bytes, sea_error_text(part));
	r = sea_table_writer_write_index(writer, memory, writer->index_n_bytes, error);
	if (r < 0)
		return r;
	r = sea_frame_add_to(frame, layout_class, writer->objects_n_bytes, SEA_ARROW_ALIGNMENT, &memory);
	if (r < 0)
		return sea_error_set(error, r, "objects", "no room for %llu bytes: %s",
		                     (unsigned long long)writer->objects_n_bytes, sea_error_text(r));
	r = sea_table_writer_write_objects(writer, memory, writer->objects_n_bytes, error);
	return r < 0 ? r : part;
}
