/* SPDX-License-Identifier: Apache-2.0 */
/* See tables.h. */
#include "tables.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t tables_random(uint64_t n)
{
	return n ? test_random() % n : 0;
}

static const char *tables_text(struct tables *tables, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *tables_text(struct tables *tables, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	CHECK(vasprintf(&text, format, arguments) >= 0);
	va_end(arguments);
	tables->texts = reallocarray(tables->texts, tables->n_texts + 1, sizeof(*tables->texts));
	CHECK(tables->texts);
	tables->texts[tables->n_texts++] = text;
	return text;
}

static uint32_t tables_add_object(struct tables *tables, size_t column, int64_t from_ms, int64_t until_ms)
{
	struct sea_table_plan *plan = &tables->plan;
	struct sea_table_object *object;
	const uint32_t row = (uint32_t)plan->n_objects;

	tables->objects = reallocarray(tables->objects, row + 1, sizeof(*tables->objects));
	CHECK(tables->objects);
	object = &tables->objects[row];
	*object = (struct sea_table_object){
		.column = tables->columns[column].name,
		.path = tables->columns[column].paths,
		.uuid = tables_text(tables, "%08x-0000-1000-8000-%012x", row, (unsigned)column),
		.headers = tables_text(tables, "Valid-From: %lld\nObjectType: x\n", (long long)from_ms),
		.valid_from_ms = from_ms,
		.valid_until_ms = until_ms,
		.created_ms = (int64_t)row * 1000,
		.part = SEA_TABLE_NO_PART,
		.meta = { .magic = SEA_META_MAGIC, .version = SEA_META_VERSION, .block_id = row, .generation = 77 },
	};
	if (tables->options.has_absent && tables_random(4) == 0) {
		object->status = (int32_t)(1 + tables_random(2));
		object->reason = "there was nothing";
	} else {
		object->n_bytes = tables_random(4) == 0 ? 0 : tables_random(3000);
	}
	plan->n_objects++;
	plan->objects = tables->objects;
	return row;
}

/* Intervals that cover the range, borders wherever they fall; some objects come back (A, B, A). */
static struct sea_table_intervals tables_intervals(struct tables *tables, size_t column)
{
	const size_t n = 1 + tables_random(tables->options.n_versions);
	struct sea_table_interval *intervals = calloc(n, sizeof(*intervals));
	int64_t from_ms = tables_random(2) ? INT64_MIN : 0;

	CHECK(intervals);
	for (size_t i = 0; i < n; i++) {
		int64_t until_ms = from_ms < 0
		                           ? (int64_t)tables_random((uint64_t)tables->options.range_ms) + 1
		                           : from_ms + 1 +
		                                     (int64_t)tables_random(2 * (uint64_t)tables->options.range_ms / n);

		if (i + 1 == n)
			until_ms = tables_random(2) ? INT64_MAX
			                            : (until_ms > tables->options.range_ms ? until_ms
			                                                                   : tables->options.range_ms);
		intervals[i].from_ms = from_ms;
		intervals[i].until_ms = until_ms;
		intervals[i].object = i >= 2 && tables_random(3) == 0
		                              ? intervals[i - 2].object
		                              : tables_add_object(tables, column, from_ms, until_ms);
		from_ms = until_ms;
	}
	return (struct sea_table_intervals){ intervals, n };
}

static int time_compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void tables_rows(struct tables *tables, size_t batch)
{
	const struct tables_options *options = &tables->options;
	struct sea_table_rows *rows = &tables->batches[batch];
	const int64_t n_rows = tables_random(4) == 0 ? 0 : (int64_t)tables_random((uint64_t)options->n_rows) + 1;
	int64_t *times_ms = calloc((size_t)n_rows + 1, sizeof(*times_ms));
	const bool has_stretches = options->n_groups > 1 || tables_random(2);
	struct sea_table_stretch *stretches = calloc(20, sizeof(*stretches));
	int64_t left = n_rows;
	size_t n = 0;

	CHECK(times_ms && stretches);
	for (int64_t i = 0; i < n_rows; i++)
		times_ms[i] = (int64_t)tables_random((uint64_t)options->range_ms);
	if (options->is_sorted)
		qsort(times_ms, (size_t)n_rows, sizeof(*times_ms), time_compare);
	rows->times_ms = times_ms;
	rows->n_rows = n_rows;
	if (!has_stretches) {
		free(stretches);
		return;
	}
	for (; n < 19 && left > 0; n++) {
		stretches[n].n_rows = (int64_t)tables_random((uint64_t)left + 1);
		stretches[n].group = tables_random(options->n_groups);
		left -= stretches[n].n_rows;
	}
	if (left > 0)
		stretches[n++].n_rows = left;
	rows->stretches = stretches;
	rows->n_stretches = n;
}

struct tables *tables_new(const struct tables_options *options)
{
	struct tables *tables = calloc(1, sizeof(*tables));
	static const struct sea_arrow_pair metadata[] = { { .key = "timeframe", .value = "4711" },
		                                          { .key = SEA_TABLE_KEY, .value = "keys/1" },
		                                          { .key = "run", .value = "544121" } };

	CHECK(tables);
	tables->options = *options;
	tables->columns = calloc(options->n_columns + 1, sizeof(*tables->columns));
	tables->groups = calloc(options->n_groups, sizeof(*tables->groups));
	tables->batches = calloc(options->n_batches + 1, sizeof(*tables->batches));
	CHECK(tables->columns && tables->groups && tables->batches);
	for (size_t i = 0; i < options->n_columns; i++) {
		tables->columns[i].name = tables_text(tables, "c%zu", options->n_columns - i);
		tables->columns[i].paths = tables_text(tables, "DET/Calib/Object%zu", i);
	}
	for (size_t i = 0; i < options->n_groups; i++) {
		struct sea_table_intervals *columns = calloc(options->n_columns + 1, sizeof(*columns));

		CHECK(columns);
		for (size_t column = 0; column < options->n_columns; column++)
			columns[column] = tables_intervals(tables, column);
		tables->groups[i].columns = columns;
	}
	for (size_t i = 0; i < options->n_batches; i++)
		tables_rows(tables, i);
	tables->plan.metadata = metadata;
	tables->plan.n_metadata = 3;
	tables->plan.columns = tables->columns;
	tables->plan.n_columns = options->n_columns;
	tables->plan.groups = tables->groups;
	tables->plan.n_groups = options->n_groups;
	tables->plan.batches = tables->batches;
	tables->plan.n_batches = options->n_batches;
	tables->plan.encoding = options->encoding;
	return tables;
}

struct tables *tables_free(struct tables *tables)
{
	if (tables == NULL)
		return NULL;
	for (size_t i = 0; i < tables->options.n_groups; i++) {
		for (size_t column = 0; column < tables->options.n_columns; column++)
			free((void *)(uintptr_t)tables->groups[i].columns[column].intervals);
		free((void *)(uintptr_t)tables->groups[i].columns);
	}
	for (size_t i = 0; i < tables->options.n_batches; i++) {
		free((void *)(uintptr_t)tables->batches[i].times_ms);
		free((void *)(uintptr_t)tables->batches[i].stretches);
	}
	for (size_t i = 0; i < tables->n_texts; i++)
		free(tables->texts[i]);
	for (size_t i = SEA_TABLE_PART_FIRST_OBJECT; tables->parts && i < tables->n_parts; i++)
		free((void *)(uintptr_t)tables->parts[i].data);
	free(tables->texts);
	free(tables->parts);
	free(tables->index);
	free(tables->object_table);
	free(tables->columns);
	free(tables->groups);
	free(tables->batches);
	free(tables->objects);
	free(tables);
	return NULL;
}

int64_t tables_expect(const struct tables *tables, size_t batch, int64_t row, size_t column)
{
	const struct sea_table_rows *rows = &tables->batches[batch];
	const int64_t time_ms = rows->times_ms[row];
	const struct sea_table_intervals *intervals;
	size_t group = 0;

	for (size_t i = 0; i < rows->n_stretches; i++) {
		group = rows->stretches[i].group;
		if (row < rows->stretches[i].n_rows)
			break;
		row -= rows->stretches[i].n_rows;
	}
	intervals = &tables->groups[group].columns[column];
	for (size_t i = 0; i < intervals->n_intervals; i++) {
		if (time_ms >= intervals->intervals[i].from_ms && time_ms < intervals->intervals[i].until_ms)
			return intervals->intervals[i].object;
	}
	return -1;
}

void tables_fill(void *data, size_t n_bytes, int32_t part)
{
	unsigned char *bytes = data;

	for (size_t i = 0; i < n_bytes; i++)
		bytes[i] = (unsigned char)((size_t)part * 37 + i * 11 + (i >> 8));
}

/* Gives parts to the objects that are here: some share one, some of no bytes have none. */
static void tables_number_parts(struct tables *tables)
{
	int32_t part = SEA_TABLE_PART_FIRST_OBJECT;

	for (size_t i = 0; i < tables->plan.n_objects; i++) {
		struct sea_table_object *object = &tables->objects[i];

		object->part = SEA_TABLE_NO_PART;
		if (object->status != SEA_TABLE_OK || (object->n_bytes == 0 && i % 2))
			continue;
		if (i > 0 && i % 5 == 0 && tables->objects[i - 1].part != SEA_TABLE_NO_PART) {
			object->part = tables->objects[i - 1].part;
			object->n_bytes = tables->objects[i - 1].n_bytes;
			continue;
		}
		object->part = part++;
	}
	tables->n_parts = (size_t)part;
}

/* The object whose bytes a part is. */
static const struct sea_table_object *tables_object_of(const struct tables *tables, size_t part)
{
	for (size_t i = 0; i < tables->plan.n_objects; i++) {
		if (tables->objects[i].part == (int32_t)part)
			return &tables->objects[i];
	}
	FAIL("no object is part %zu", part);
}

static void *tables_memory(uint64_t n_bytes)
{
	/* What lies behind it is AddressSanitizer's. */
	void *memory;

	CHECK_EQ(posix_memalign(&memory, 64, n_bytes), 0);
	memset(memory, 0xa5, n_bytes);
	return memory;
}

void tables_write(struct tables *tables)
{
	struct sea_table_writer *writer;
	struct sea_error error = { 0 };
	uint64_t n_index, n_objects;

	tables_number_parts(tables);
	if (sea_table_writer_new(&writer, &tables->plan, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	n_index = sea_table_writer_index_n_bytes(writer);
	n_objects = sea_table_writer_objects_n_bytes(writer);
	tables->index = tables_memory(n_index);
	tables->object_table = tables_memory(n_objects);
	if (sea_table_writer_write_index(writer, tables->index, n_index, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	if (sea_table_writer_write_objects(writer, tables->object_table, n_objects, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	sea_table_writer_free(writer);
	tables->parts = calloc(tables->n_parts, sizeof(*tables->parts));
	CHECK(tables->parts);
	tables->parts[0] = (struct sea_part){ tables->index, n_index };
	tables->parts[1] = (struct sea_part){ tables->object_table, n_objects };
	for (size_t i = SEA_TABLE_PART_FIRST_OBJECT; i < tables->n_parts; i++) {
		const size_t n_bytes = tables_object_of(tables, i)->n_bytes;
		void *data = malloc(n_bytes + 1);

		CHECK(data);
		tables_fill(data, n_bytes, (int32_t)i);
		tables->parts[i] = (struct sea_part){ n_bytes ? data : NULL, n_bytes };
		if (n_bytes == 0)
			free(data);
	}
}

struct sea_table *tables_open(const struct tables *tables)
{
	const struct seai_table_parts parts = { .parts = tables->parts, .n_parts = tables->n_parts };
	struct sea_table *table;
	struct sea_error error;

	if (seai_table_open_parts(&table, &parts, NULL, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	return table;
}

struct sea_message *tables_message(struct tables *tables, struct sea_session *session, size_t n_before)
{
	struct sea_frame_options options = { .n_bytes_max = { 1 << 20 } };
	struct sea_table_writer *writer;
	struct sea_message *message;
	struct sea_frame *frame;
	struct sea_error error;
	void *data;

	tables_number_parts(tables);
	CHECK_OK(sea_table_writer_new(&writer, &tables->plan, &error));
	options.n_bytes_max[0] += sea_table_writer_n_bytes(writer);
	for (size_t i = 0; i < tables->plan.n_objects; i++)
		options.n_bytes_max[0] += (tables->objects[i].n_bytes + 63) & ~UINT64_C(63);
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	for (size_t i = 0; i < n_before; i++) {
		CHECK_OK(sea_frame_add(frame, 1000 * i, 0, &data));
		if (i > 0)
			memset(data, 0xff, 1000 * i);
	}
	CHECK_EQ(sea_table_writer_add_to(writer, frame, 0, &error), (int)n_before);
	sea_table_writer_free(writer);
	for (size_t i = SEA_TABLE_PART_FIRST_OBJECT; i < tables->n_parts; i++) {
		const size_t n_bytes = tables_object_of(tables, i)->n_bytes;

		CHECK_OK(sea_frame_add(frame, n_bytes, 0, &data));
		tables_fill(data, n_bytes, (int32_t)i);
	}
	CHECK_OK(sea_frame_seal(&frame, &message));
	return message;
}

/* Looks. ------------------------------------------------------------------------------------- */

void tables_check_objects(const struct tables *tables, const struct sea_table *table)
{
	char bytes[3000];

	CHECK_EQ(sea_table_n_objects(table), tables->plan.n_objects);
	for (size_t i = 0; i < tables->plan.n_objects; i++) {
		const struct sea_table_object *is = sea_table_get_object(table, i), *must = &tables->objects[i];

		CHECK_STR_EQ(is->column, must->column);
		CHECK_STR_EQ(is->path, must->path);
		CHECK_STR_EQ(is->uuid, must->uuid);
		CHECK_STR_EQ(is->headers, must->headers);
		CHECK_STR_EQ(is->reason, must->reason ? must->reason : "");
		CHECK_EQ(is->valid_from_ms, must->valid_from_ms);
		CHECK_EQ(is->valid_until_ms, must->valid_until_ms);
		CHECK_EQ(is->created_ms, must->created_ms);
		CHECK_EQ(is->status, must->status);
		CHECK_EQ(is->part, must->part);
		CHECK_EQ(is->n_bytes, must->n_bytes);
		CHECK_EQ(is->row, i);
		CHECK_STR_EQ(sea_table_column_name(table, is->index), must->column);
		CHECK_EQ(is->data == NULL, must->n_bytes == 0);
		if (is->data != NULL) {
			tables_fill(bytes, must->n_bytes, must->part);
			CHECK_MEM_EQ(is->data, bytes, must->n_bytes);
		}
		if (must->status == SEA_TABLE_OK)
			CHECK_MEM_EQ(&is->meta, &must->meta, sizeof(is->meta));
		else
			CHECK_EQ(is->meta.hint, i);
	}
	CHECK(sea_table_get_object(table, tables->plan.n_objects) == NULL);
}

void tables_check_rows(const struct tables *tables, const struct sea_table *table)
{
	const struct sea_table_object **many;
	int64_t first = 0;

	for (size_t batch = 0; batch < tables->plan.n_batches; batch++) {
		const int64_t n_rows = tables->batches[batch].n_rows;

		CHECK_EQ(sea_table_batch_row(table, batch), first);
		for (size_t column = 0; column < tables->plan.n_columns; column++) {
			for (int64_t row = 0; row < n_rows; row++) {
				const struct sea_table_object *object = sea_table_get(table, first + row, column);

				CHECK(object);
				CHECK_EQ(object->row, tables_expect(tables, batch, row, column));
			}
		}
		first += n_rows;
	}
	CHECK_EQ(sea_table_batch_row(table, tables->plan.n_batches), first);
	CHECK_EQ(sea_table_n_rows(table), first);
	CHECK(sea_table_get(table, first, 0) == NULL);
	CHECK(sea_table_get(table, -1, 0) == NULL);
	CHECK(sea_table_get(table, 0, tables->plan.n_columns) == NULL);
	many = calloc((size_t)first + 1, sizeof(*many));
	CHECK(many);
	for (size_t column = 0; column < tables->plan.n_columns; column++) {
		const int64_t from = (int64_t)tables_random((uint64_t)first + 1);

		CHECK_OK(sea_table_get_many(table, from, (size_t)(first - from), column, many));
		for (int64_t row = from; row < first; row++)
			CHECK(many[row - from] == sea_table_get(table, row, column));
		CHECK_ERR(sea_table_get_many(table, from, (size_t)(first - from) + 1, column, many), -EINVAL);
	}
	free(many);
}

void tables_check_runs(const struct tables *tables, const struct sea_table *table)
{
	for (size_t column = 0; column < tables->plan.n_columns; column++) {
		struct sea_table_run run = { 0 };
		const struct sea_table_object *last = NULL;
		int64_t row = 0;

		while (CHECK_OK(sea_table_run_next(table, column, &run)) == 1) {
			CHECK_EQ(run.first_row, row);
			CHECK_GT(run.n_rows, 0);
			/* As long as can be. */
			CHECK(run.object != last);
			for (; row < run.first_row + run.n_rows; row++)
				CHECK(sea_table_get(table, row, column) == run.object);
			last = run.object;
		}
		CHECK_EQ(row, sea_table_n_rows(table));
	}
}

void tables_check(const struct tables *tables, const struct sea_table *table)
{
	CHECK_EQ(sea_table_n_columns(table), tables->plan.n_columns);
	CHECK_EQ(sea_table_n_batches(table), tables->plan.n_batches);
	CHECK_STR_EQ(sea_table_metadata(table, "timeframe"), "4711");
	CHECK_STR_EQ(sea_table_metadata(table, "run"), "544121");
	CHECK_STR_EQ(sea_table_metadata(table, SEA_TABLE_KEY), SEA_TABLE_KIND_INDEX);
	for (size_t i = 0; i < tables->plan.n_columns; i++) {
		CHECK_EQ(sea_table_find_column(table, tables->columns[i].name), (int)i);
		CHECK_STR_EQ(sea_table_column_name(table, i), tables->columns[i].name);
		CHECK_STR_EQ(sea_table_column_paths(table, i), tables->columns[i].paths);
	}
	CHECK_EQ(sea_table_find_column(table, "nobody"), -ENOENT);
	tables_check_objects(tables, table);
	tables_check_rows(tables, table);
	tables_check_runs(tables, table);
}
