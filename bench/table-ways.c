/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to say which object a cell is of: ours in two encodings, and the two of today: 24 bytes of metadata in each, and the object's bytes in
 * each.
 *
 * The odd rule: today's ways are built as fast as can be, the object of a cell being remembered as long as its interval lasts;
 * what they cost is memory.
 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

static void table_check(int r, const char *what, const struct sea_error *error)
{
	bench_check(r >= 0, "%s: %s (%s)", what, error != NULL ? error->text : "", sea_error_text(r));
}

/* Rows and objects. -------------------------------------------------------------------------- */

static uint64_t table_random(uint64_t *state)
{
	/* xorshift64 */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static const struct sea_table_interval *interval_of(const struct sea_table_intervals *column, int64_t time_ms)
{
	for (size_t i = 0; i < column->n_intervals; i++) {
		if (time_ms < column->intervals[i].until_ms)
			return &column->intervals[i];
	}
	return NULL;
}

void table_keys_init(struct table_keys *keys, int64_t n_rows, bool is_sorted)
{
	uint64_t state = 88172645463325252u;

	memset(keys, 0, sizeof *keys);
	keys->n_rows = n_rows;
	keys->times_ms = calloc((size_t)n_rows, sizeof *keys->times_ms);
	bench_check(keys->times_ms != NULL, "no memory");
	for (size_t i = 0; i < TABLE_N_OBJECTS; i++) {
		const size_t column = i / TABLE_N_VERSIONS, version = i % TABLE_N_VERSIONS;
		/* No two columns change at the same time. */
		const int64_t step_ms = TABLE_RANGE_MS / TABLE_N_VERSIONS, shift_ms = (int64_t)column * 7;

		keys->intervals[i].from_ms = version == 0 ? INT64_MIN
		                                          : TABLE_FIRST_MS + (int64_t)version * step_ms + shift_ms;
		keys->intervals[i].until_ms = version + 1 == TABLE_N_VERSIONS
		                                      ? INT64_MAX
		                                      : TABLE_FIRST_MS + (int64_t)(version + 1) * step_ms + shift_ms;
		keys->intervals[i].object = (uint32_t)i;
		snprintf(keys->names[i], sizeof keys->names[i], "%zu", column);
		keys->objects[i] = (struct sea_table_object){
			.column = keys->names[column * TABLE_N_VERSIONS],
			.path = "Detector/Calib/Object",
			.uuid = "7b2f4a3e-0000-11ee-8000-0aa141ba2a47",
			.headers = "ObjectType: vector\nrunNumber: 544121\n",
			.n_bytes = TABLE_OBJECT_N_BYTES,
			.valid_from_ms = keys->intervals[i].from_ms,
			.valid_until_ms = keys->intervals[i].until_ms,
			.part = (int32_t)(SEA_TABLE_PART_FIRST_OBJECT + i),
		};
		keys->columns[column] = (struct sea_table_intervals){ &keys->intervals[column * TABLE_N_VERSIONS],
			                                              TABLE_N_VERSIONS };
	}
	for (int64_t i = 0; i < n_rows; i++) {
		keys->times_ms[i] = TABLE_FIRST_MS + (is_sorted ? i * TABLE_RANGE_MS / n_rows
		                                                : (int64_t)(table_random(&state) % TABLE_RANGE_MS));
		for (size_t column = 0; column < TABLE_N_COLUMNS; column++)
			keys->sum += interval_of(&keys->columns[column], keys->times_ms[i])->object;
	}
}

void table_keys_fini(struct table_keys *keys)
{
	sea_table_writer_free(keys->writer);
	sea_message_unref(keys->contents);
	free(keys->times_ms);
}

static struct sea_frame *frame_new(struct sea_heap *heap, uint64_t n_bytes)
{
	const struct sea_frame_options options = { .n_bytes_max = { n_bytes + (uint64_t)TABLE_N_OBJECTS *
		                                                                      TABLE_OBJECT_N_BYTES } };
	struct sea_frame *frame;

	table_check(sea_frame_new(&frame, heap, &options, -1), "sea_frame_new", NULL);
	return frame;
}

/* They are in memory already, as with a cache device. */
static void frame_add_objects(struct sea_frame *frame, const struct table_keys *keys)
{
	table_check(sea_frame_add_message(frame, keys->contents), "sea_frame_add_message", NULL);
}

void table_keys_fill(struct table_keys *keys, struct sea_heap *heap)
{
	struct sea_frame *frame = frame_new(heap, 0);

	for (size_t i = 0; i < TABLE_N_OBJECTS; i++) {
		void *data;

		table_check(sea_frame_add(frame, TABLE_OBJECT_N_BYTES, 0, &data), "sea_frame_add", NULL);
		memset(data, (int)i, TABLE_OBJECT_N_BYTES);
	}
	table_check(sea_frame_seal(&frame, &keys->contents), "sea_frame_seal", NULL);
}

static struct sea_message *frame_end(struct sea_frame *frame)
{
	struct sea_message *message;

	table_check(sea_frame_seal(&frame, &message), "sea_frame_seal", NULL);
	return message;
}

/* Ours. -------------------------------------------------------------------------------------- */

static struct sea_message *ours_build(struct table_keys *keys, struct sea_heap *heap, enum sea_table_encoding encoding,
                                      uint64_t *ret_n_bytes)
{
	const struct sea_table_group group = { keys->columns };
	const struct sea_table_rows rows = { .times_ms = keys->times_ms, .n_rows = keys->n_rows };
	const struct sea_table_plan plan = {
		.columns = keys->named,
		.n_columns = TABLE_N_COLUMNS,
		.groups = &group,
		.n_groups = 1,
		.batches = &rows,
		.n_batches = 1,
		.objects = keys->objects,
		.n_objects = TABLE_N_OBJECTS,
		.encoding = encoding,
	};
	struct sea_table_writer *writer = keys->writer;
	struct sea_error error = { 0 };
	struct sea_frame *frame;

	for (size_t i = 0; i < TABLE_N_COLUMNS; i++)
		keys->named[i] = (struct sea_table_column){ keys->names[i * TABLE_N_VERSIONS],
			                                    "Detector/Calib/Object" };
	if (writer == NULL) {
		table_check(sea_table_writer_new(&writer, &plan, &error), "sea_table_writer_new", &error);
		keys->writer = writer;
	} else {
		table_check(sea_table_writer_set_plan(writer, &plan, &error), "sea_table_writer_set_plan", &error);
	}
	*ret_n_bytes = sea_table_writer_index_n_bytes(writer);
	frame = frame_new(heap, sea_table_writer_n_bytes(writer));
	table_check(sea_table_writer_add_to(writer, frame, 0, &error), "sea_table_writer_add_to", &error);
	frame_add_objects(frame, keys);
	return frame_end(frame);
}

static struct sea_message *dictionary_build(struct table_keys *keys, struct sea_heap *heap, uint64_t *ret_n_bytes)
{
	return ours_build(keys, heap, SEA_TABLE_DICTIONARY, ret_n_bytes);
}

static struct sea_message *ends_build(struct table_keys *keys, struct sea_heap *heap, uint64_t *ret_n_bytes)
{
	return ours_build(keys, heap, SEA_TABLE_RUN_ENDS, ret_n_bytes);
}

static void *ours_open(const struct table_keys *keys, struct sea_message *message)
{
	struct sea_error error = { 0 };
	struct sea_table *table;
	size_t part;

	table_check(sea_table_find(message, &part), "sea_table_find", NULL);
	table_check(sea_table_open(&table, message, part, NULL, &error), "sea_table_open", &error);
	bench_check(sea_table_n_rows(table) == keys->n_rows, "a table of other rows");
	for (size_t column = 0; column < TABLE_N_COLUMNS; column++) {
		const struct sea_table_object *object = sea_table_get(table, 0, column);

		bench_check(object != NULL && *(const uint8_t *)object->data == (uint8_t)object->row, "a wrong object");
	}
	return table;
}

static uint64_t ours_look_by_rows(const struct table_keys *keys, void *userdata)
{
	const struct sea_table *table = userdata;
	uint64_t sum = 0;

	for (int64_t row = 0; row < keys->n_rows; row++) {
		for (size_t column = 0; column < TABLE_N_COLUMNS; column++) {
			const struct sea_table_object *object = sea_table_get(table, row, column);

			bench_check(object != NULL, "a row without an object");
			sum += object->row;
		}
	}
	return sum;
}

static uint64_t ours_look_by_runs(const struct table_keys *keys, void *userdata)
{
	const struct sea_table *table = userdata;
	uint64_t sum = 0;

	(void)keys;
	for (size_t column = 0; column < TABLE_N_COLUMNS; column++) {
		struct sea_table_run run = { 0 };

		while (sea_table_run_next(table, column, &run) == 1)
			sum += run.object->row * (uint64_t)run.n_rows;
	}
	return sum;
}

static void ours_close(void *table)
{
	sea_table_close(table);
}

const struct table_way table_way_rows = { dictionary_build, ours_open, ours_look_by_rows, ours_close };
const struct table_way table_way_runs = { dictionary_build, ours_open, ours_look_by_runs, ours_close };
const struct table_way table_way_ends = { ends_build, ours_open, ours_look_by_runs, ours_close };

/* Today's. ----------------------------------------------------------------------------------- */

/* What a cell of today's table is made of. */
struct today_cell {
	int64_t handle;
	int64_t segment;
	int64_t n_bytes;
};

static struct sea_arrow_writer *today_writer(const char *format)
{
	struct sea_arrow_field fields[TABLE_N_COLUMNS];
	const struct sea_arrow_schema schema = { .fields = fields, .n_fields = TABLE_N_COLUMNS };
	static const char *const names[TABLE_N_COLUMNS] = { "0", "1", "2", "3", "4" };
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };

	for (size_t i = 0; i < TABLE_N_COLUMNS; i++) {
		table_check(sea_arrow_field_init(&fields[i], names[i], format), "sea_arrow_field_init", NULL);
		fields[i].is_nullable = 0;
	}
	table_check(sea_arrow_writer_new(&writer, &schema, &error), "sea_arrow_writer_new", &error);
	return writer;
}

static void column_write_metas(const struct table_keys *keys, size_t column, struct sea_arrow_slot *slot)
{
	const struct sea_table_interval *interval = &keys->columns[column].intervals[0];
	struct today_cell *to = slot->data;

	for (int64_t row = 0; row < keys->n_rows; row++) {
		const int64_t time_ms = keys->times_ms[row];

		if (time_ms < interval->from_ms || time_ms >= interval->until_ms)
			interval = interval_of(&keys->columns[column], time_ms);
		to[row] = (struct today_cell){ interval->object, 1, TABLE_OBJECT_N_BYTES };
	}
}

static void column_write_bytes(const struct table_keys *keys, size_t column, struct sea_arrow_slot *slot)
{
	const struct sea_table_interval *interval = &keys->columns[column].intervals[0];
	int32_t *offsets = slot->offsets;
	uint8_t *to = slot->data;
	uint8_t bytes[TABLE_OBJECT_N_BYTES];

	offsets[0] = 0;
	memset(bytes, (int)interval->object, sizeof bytes);
	for (int64_t row = 0; row < keys->n_rows; row++) {
		const int64_t time_ms = keys->times_ms[row];

		if (time_ms < interval->from_ms || time_ms >= interval->until_ms) {
			interval = interval_of(&keys->columns[column], time_ms);
			memset(bytes, (int)interval->object, sizeof bytes);
		}
		memcpy(to + row * (int64_t)TABLE_OBJECT_N_BYTES, bytes, TABLE_OBJECT_N_BYTES);
		offsets[row + 1] = (int32_t)((row + 1) * (int64_t)TABLE_OBJECT_N_BYTES);
	}
}

static struct sea_message *today_build(struct table_keys *keys, struct sea_heap *heap, bool has_bytes,
                                       uint64_t *ret_n_bytes)
{
	struct sea_arrow_writer *writer = today_writer(has_bytes ? "z" : "w:24");
	struct sea_arrow_slot slots[TABLE_N_COLUMNS] = { 0 };
	struct sea_error error = { 0 };
	struct sea_frame *frame;
	uint64_t n_bytes;
	void *memory;

	for (size_t i = 0; i < TABLE_N_COLUMNS; i++) {
		slots[i].n_rows = keys->n_rows;
		slots[i].n_data_bytes = has_bytes ? (uint64_t)keys->n_rows * TABLE_OBJECT_N_BYTES : 0;
	}
	table_check(sea_arrow_writer_batch_size(writer, slots, TABLE_N_COLUMNS, &n_bytes, &error), "batch_size",
	            &error);
	n_bytes += sea_arrow_writer_schema_size(writer) + SEA_ARROW_END_N_BYTES;
	frame = frame_new(heap, n_bytes + 64);
	table_check(sea_frame_add(frame, n_bytes, 64, &memory), "sea_frame_add", NULL);
	table_check(sea_arrow_writer_set_memory(writer, memory, n_bytes), "set_memory", NULL);
	table_check(sea_arrow_writer_begin(writer, &error), "begin", &error);
	table_check(sea_arrow_writer_reserve(writer, slots, TABLE_N_COLUMNS, &error), "reserve", &error);
	for (size_t i = 0; i < TABLE_N_COLUMNS; i++) {
		if (has_bytes)
			column_write_bytes(keys, i, &slots[i]);
		else
			column_write_metas(keys, i, &slots[i]);
	}
	table_check(sea_arrow_writer_commit(writer, &error), "commit", &error);
	table_check(sea_arrow_writer_end(writer, NULL, &error), "end", &error);
	sea_arrow_writer_free(writer);
	*ret_n_bytes = n_bytes;
	if (!has_bytes)
		frame_add_objects(frame, keys);
	return frame_end(frame);
}

static struct sea_message *metas_build(struct table_keys *keys, struct sea_heap *heap, uint64_t *ret_n_bytes)
{
	return today_build(keys, heap, false, ret_n_bytes);
}

static struct sea_message *bytes_build(struct table_keys *keys, struct sea_heap *heap, uint64_t *ret_n_bytes)
{
	return today_build(keys, heap, true, ret_n_bytes);
}

struct today {
	struct sea_message *message;
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
};

static void *today_open(const struct table_keys *keys, struct sea_message *message)
{
	struct today *today = calloc(1, sizeof *today);
	struct sea_error error = { 0 };
	struct sea_part part;

	bench_check(today != NULL, "no memory");
	table_check(sea_message_get_part(message, 0, &part), "sea_message_get_part", NULL);
	table_check(sea_arrow_reader_new(&today->reader, part.data, part.n_bytes, &error), "reader_new", &error);
	table_check(sea_arrow_batch_new(&today->batch, today->reader), "batch_new", NULL);
	table_check(sea_arrow_reader_next(today->reader, today->batch, &error), "reader_next", &error);
	bench_check(today->batch->n_rows == keys->n_rows, "a table of other rows");
	today->message = sea_message_ref(message);
	return today;
}

static void today_close(void *userdata)
{
	struct today *today = userdata;

	sea_arrow_batch_free(today->batch);
	sea_arrow_reader_free(today->reader);
	sea_message_unref(today->message);
	free(today);
}

/* From the handle to the bytes, as long as it is the same as in the row before: nothing. */
static uint64_t metas_look(const struct table_keys *keys, void *userdata)
{
	const struct today *today = userdata;
	const struct today_cell *columns[TABLE_N_COLUMNS];
	int64_t last[TABLE_N_COLUMNS];
	uint64_t sum = 0, objects[TABLE_N_COLUMNS] = { 0 };

	for (size_t column = 0; column < TABLE_N_COLUMNS; column++) {
		columns[column] = today->batch->columns[column].data;
		last[column] = -1;
	}
	for (int64_t row = 0; row < keys->n_rows; row++) {
		for (size_t column = 0; column < TABLE_N_COLUMNS; column++) {
			const struct today_cell *cell = &columns[column][row];

			if (cell->handle != last[column]) {
				struct sea_part part;

				table_check(sea_message_get_part(today->message, 1 + (size_t)cell->handle, &part),
				            "sea_message_get_part", NULL);
				bench_check(part.n_bytes == (uint64_t)cell->n_bytes, "a wrong size");
				objects[column] = *(const uint8_t *)part.data;
				last[column] = cell->handle;
			}
			sum += objects[column];
		}
	}
	return sum;
}

static uint64_t bytes_look(const struct table_keys *keys, void *userdata)
{
	const struct today *today = userdata;
	uint64_t sum = 0;

	for (int64_t row = 0; row < keys->n_rows; row++) {
		for (size_t column = 0; column < TABLE_N_COLUMNS; column++) {
			const struct sea_arrow_column *of = &today->batch->columns[column];
			const int32_t *offsets = of->offsets;

			sum += ((const uint8_t *)of->data)[offsets[row]];
		}
	}
	return sum;
}

const struct table_way table_way_metas = { metas_build, today_open, metas_look, today_close };
const struct table_way table_way_bytes = { bytes_build, today_open, bytes_look, today_close };
