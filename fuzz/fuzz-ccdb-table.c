/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table: an index table and an object table of whoever sends them, opened, and every row looked at. From an empty input it makes tables of its own
 * in each encoding, so that there is something to start from; the input then says which bytes of one are others.
 */
#include <sealane/ccdb/table-writer.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/table-read.h"
#include "fuzz.h"

#define N_ROWS 12
#define N_PARTS 4
#define OBJECT_N_BYTES 5

struct made {
	uint8_t *index;
	uint8_t *objects;
	uint64_t n_index;
	uint64_t n_objects;
};

static void make(struct made *made, enum sea_table_encoding encoding)
{
	static const struct sea_table_column columns[] = { { "a", "P/A" }, { "b", "P/B" } };
	static const struct sea_table_interval intervals[] = { { 0, 4, 0, 0 }, { 4, 9, 1, 0 }, { 0, 9, 2, 0 } };
	static const struct sea_table_intervals of[] = { { intervals, 2 }, { intervals + 2, 1 } };
	static const struct sea_table_group group = { of };
	static const int64_t times_ms[N_ROWS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 8, 2 };
	static const struct sea_table_rows rows[] = { { times_ms, 7, NULL, 0 }, { times_ms + 7, N_ROWS - 7, NULL, 0 } };
	static const struct sea_table_object objects[] = {
		{ .column = "a", .path = "P/A", .uuid = "1", .n_bytes = OBJECT_N_BYTES, .part = 2 },
		{ .column = "a", .path = "P/A", .uuid = "2", .n_bytes = OBJECT_N_BYTES, .part = 3 },
		{ .column = "b", .path = "P/B", .reason = "none", .status = 1, .part = SEA_TABLE_NO_PART },
	};
	struct sea_table_object named[3];
	const struct sea_table_plan plan = { .columns = columns,
		                             .n_columns = 2,
		                             .groups = &group,
		                             .n_groups = 1,
		                             .batches = rows,
		                             .n_batches = 2,
		                             .objects = named,
		                             .n_objects = 3,
		                             .encoding = encoding };
	struct sea_table_writer *writer;

	memcpy(named, objects, sizeof(named));
	for (uint32_t i = 0; i < 3; i++)
		named[i].meta.block_id = i;
	FUZZ_CHECK(sea_table_writer_new(&writer, &plan, NULL) == 0);
	made->n_index = sea_table_writer_index_n_bytes(writer);
	made->n_objects = sea_table_writer_objects_n_bytes(writer);
	FUZZ_CHECK(posix_memalign((void **)&made->index, 64, made->n_index) == 0);
	FUZZ_CHECK(posix_memalign((void **)&made->objects, 64, made->n_objects) == 0);
	FUZZ_CHECK(sea_table_writer_write_index(writer, made->index, made->n_index, NULL) == 0);
	FUZZ_CHECK(sea_table_writer_write_objects(writer, made->objects, made->n_objects, NULL) == 0);
	sea_table_writer_free(writer);
}

static void look(const struct sea_table *table)
{
	static volatile uint64_t shown; /* read, so that the bytes are */
	uint64_t sum = shown;
	const int64_t n_rows = sea_table_n_rows(table);

	for (size_t i = 0; i < sea_table_n_objects(table); i++) {
		const struct sea_table_object *object = sea_table_get_object(table, i);

		sum += strlen(object->path) + strlen(object->uuid) + strlen(object->headers) + strlen(object->reason);
		if (object->data != NULL)
			sum += ((const uint8_t *)object->data)[object->n_bytes - 1];
	}
	for (size_t column = 0; column < sea_table_n_columns(table); column++) {
		struct sea_table_run run = { 0 };

		for (int64_t row = 0; row < n_rows && row < 100; row++) {
			const struct sea_table_object *object = sea_table_get(table, row, column);

			FUZZ_CHECK(object == NULL || object->index == column);
		}
		for (unsigned i = 0; i < 100 && sea_table_run_next(table, column, &run) == 1; i++)
			FUZZ_CHECK(run.n_rows > 0 && run.first_row + run.n_rows <= n_rows);
	}
	shown = sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	static struct made makes[3];
	const struct made *made;
	const uint8_t what = fuzz_take_u8(&input);
	uint8_t *index, *objects;
	const uint8_t bytes[OBJECT_N_BYTES] = { 1, 2, 3, 4, 5 };
	struct sea_table *table;

	for (unsigned i = 0; makes[i % 3].index == NULL && i < 3; i++)
		make(&makes[i], (enum sea_table_encoding)i);
	made = &makes[what % 3];
	index = malloc(made->n_index);
	objects = malloc(made->n_objects);
	FUZZ_CHECK(index && objects);
	memcpy(index, made->index, made->n_index);
	memcpy(objects, made->objects, made->n_objects);
	/* Mostly some bytes are others; at times all. */
	if (what >= 240) {
		fuzz_take(&input, what % 2 ? index : objects, what % 2 ? made->n_index : made->n_objects);
	} else {
		while (input.n_bytes >= 4) {
			const uint8_t where = fuzz_take_u8(&input);
			const size_t at = (size_t)fuzz_take_u8(&input) << 8 | fuzz_take_u8(&input);

			if (where % 2)
				index[at % made->n_index] = fuzz_take_u8(&input);
			else
				objects[at % made->n_objects] = fuzz_take_u8(&input);
		}
	}
	{
		const struct sea_part parts[N_PARTS] = { { index, made->n_index },
			                                 { objects, made->n_objects },
			                                 { bytes, sizeof(bytes) },
			                                 { bytes, sizeof(bytes) } };
		const struct seai_table_parts from = { .parts = parts, .n_parts = N_PARTS };

		if (seai_table_open_parts(&table, &from, NULL, NULL) == 0) {
			look(table);
			sea_table_close(table);
		} else {
			/* What was made here is good. */
			FUZZ_CHECK(n_bytes > 1 || what >= 240);
		}
	}
	free(index);
	free(objects);
	return 0;
}
