/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types that tables of ours seldom have: unions, maps, dates, times, durations, intervals, decimals, large lists. The stream is more.arrow in
 * $SEALANE_ARROW_OUT where that is set, for run-interop-readers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tables.h"
#include "test.h"

enum { F_DENSE, F_SPARSE, F_MAP, F_DATE, F_DATE64, F_TIME, F_DURATION, F_MONTHS, F_DECIMAL, F_LARGE_LIST, N_FIELDS };

/* Slots, each before its children. */
enum {
	S_DENSE,
	S_DENSE_I,
	S_DENSE_F,
	S_SPARSE,
	S_SPARSE_I,
	S_SPARSE_F,
	S_MAP,
	S_PAIR,
	S_KEY,
	S_VALUE,
	S_DATE,
	S_DATE64,
	S_TIME,
	S_DURATION,
	S_MONTHS,
	S_DECIMAL,
	S_LARGE_LIST,
	S_ITEM,
	N_SLOTS
};

#define N_ROWS 2

static void schema_make(struct sea_arrow_field fields[N_FIELDS], struct sea_arrow_field children[6])
{
	static const char *const formats[N_FIELDS] = { "+ud:", "+us:", "+m",  "tdD",    "tdm",
		                                       "ttu",  "tDn",  "tiM", "d:20,3", "+L" };
	static const char *const names[N_FIELDS] = { "dense", "sparse",   "map",    "date",    "date64",
		                                     "time",  "duration", "months", "decimal", "large_list" };
	static const int32_t type_ids[2] = { 5, 7 };

	for (int i = 0; i < N_FIELDS; i++)
		CHECK_OK(sea_arrow_field_init(&fields[i], names[i], formats[i]));
	CHECK_OK(sea_arrow_field_init(&children[0], "i", "i"));
	CHECK_OK(sea_arrow_field_init(&children[1], "f", "g"));
	CHECK_OK(sea_arrow_field_init(&children[2], "entries", "+s"));
	CHECK_OK(sea_arrow_field_init(&children[3], "key", "u"));
	CHECK_OK(sea_arrow_field_init(&children[4], "value", "s"));
	CHECK_OK(sea_arrow_field_init(&children[5], "item", "c"));
	children[2].is_nullable = children[3].is_nullable = 0;
	children[2].children = &children[3];
	children[2].n_children = 2;
	fields[F_DENSE].children = fields[F_SPARSE].children = &children[0];
	fields[F_DENSE].n_children = fields[F_SPARSE].n_children = 2;
	fields[F_DENSE].type.type_ids = type_ids;
	fields[F_DENSE].type.n_type_ids = 2;
	fields[F_MAP].children = &children[2];
	fields[F_MAP].n_children = 1;
	fields[F_LARGE_LIST].children = &children[5];
	fields[F_LARGE_LIST].n_children = 1;
}

static void values_fill(struct sea_arrow_slot *slots)
{
	memcpy(slots[S_DENSE].data, "\7\5", 2);
	memcpy(slots[S_DENSE].offsets, (const int32_t[]){ 0, 0 }, 8);
	memcpy(slots[S_DENSE_I].data, (const int32_t[]){ -3 }, 4);
	memcpy(slots[S_DENSE_F].data, (const double[]){ 2.5 }, 8);
	memcpy(slots[S_SPARSE].data, "\0\1", 2);
	memcpy(slots[S_SPARSE_I].data, (const int32_t[]){ 11, 0 }, 8);
	memcpy(slots[S_SPARSE_F].data, (const double[]){ 0, 0.125 }, 16);
	memcpy(slots[S_MAP].offsets, (const int32_t[]){ 0, 1, 3 }, 12);
	memcpy(slots[S_KEY].offsets, (const int32_t[]){ 0, 1, 3, 6 }, 16);
	memcpy(slots[S_KEY].data, "abbccc", 6);
	memcpy(slots[S_VALUE].data, (const int16_t[]){ 1, 2, 3 }, 6);
	memcpy(slots[S_DATE].data, (const int32_t[]){ 19675, -1 }, 8);
	memcpy(slots[S_DATE64].data, (const int64_t[]){ INT64_C(1699920000000), INT64_C(-86400000) }, 16);
	memcpy(slots[S_TIME].data, (const int64_t[]){ INT64_C(3723000004), 0 }, 16);
	memcpy(slots[S_DURATION].data, (const int64_t[]){ 15, -7 }, 16);
	memcpy(slots[S_MONTHS].data, (const int32_t[]){ 14, -1 }, 8);
	memcpy(slots[S_DECIMAL].data, (const int64_t[]){ INT64_C(1234567), 0, -5, -1 }, 32);
	memcpy(slots[S_LARGE_LIST].offsets, (const int64_t[]){ 0, 0, 3 }, 24);
	memcpy(slots[S_ITEM].data, "\1\2\3", 3);
}

static void stream_write(uint8_t *memory, uint64_t n_max, uint64_t *ret_n_bytes)
{
	struct sea_arrow_field fields[N_FIELDS], children[6];
	struct sea_arrow_schema schema = { fields, N_FIELDS, NULL, 0 };
	struct sea_arrow_slot slots[N_SLOTS];
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };

	schema_make(fields, children);
	for (int i = 0; i < N_SLOTS; i++)
		slots[i] = (struct sea_arrow_slot){ .n_rows = N_ROWS };
	slots[S_DENSE_I].n_rows = slots[S_DENSE_F].n_rows = 1;
	slots[S_PAIR].n_rows = slots[S_KEY].n_rows = slots[S_VALUE].n_rows = slots[S_ITEM].n_rows = 3;
	slots[S_KEY].n_data_bytes = 6;
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, n_max));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	if (sea_arrow_writer_reserve(writer, slots, N_SLOTS, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	values_fill(slots);
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	CHECK_OK(sea_arrow_writer_end(writer, ret_n_bytes, NULL));
	sea_arrow_writer_free(writer);
}

static void values_check(const struct sea_arrow_batch *batch)
{
	static const int64_t expected[][N_ROWS] = { { 19675, -1 },
		                                    { INT64_C(1699920000000), INT64_C(-86400000) },
		                                    { INT64_C(3723000004), 0 },
		                                    { 15, -7 },
		                                    { 14, -1 } };
	const struct sea_arrow_column *columns = batch->columns, *items;
	int64_t value = 0, first, n;
	double number = 0;
	const void *data;
	size_t n_bytes;

	CHECK_OK(sea_arrow_batch_check(batch, NULL));
	for (int i = F_DATE; i <= F_MONTHS; i++)
		for (int row = 0; row < N_ROWS; row++) {
			CHECK_OK(sea_arrow_column_get_int(&columns[i], row, &value));
			CHECK_EQ(value, expected[i - F_DATE][row]);
		}
	CHECK_OK(sea_arrow_column_get_double(&columns[F_DENSE], 0, &number));
	CHECK(number == 2.5);
	CHECK_OK(sea_arrow_column_get_int(&columns[F_DENSE], 1, &value));
	CHECK_EQ(value, -3);
	CHECK_OK(sea_arrow_column_get_int(&columns[F_SPARSE], 0, &value));
	CHECK_EQ(value, 11);
	CHECK_OK(sea_arrow_column_get_double(&columns[F_SPARSE], 1, &number));
	CHECK(number == 0.125);
	CHECK_OK(sea_arrow_column_get_items(&columns[F_MAP], 1, &items, &first, &n));
	CHECK_EQ(n, 2);
	CHECK_OK(sea_arrow_column_get_bytes(&items->children[0], first + 1, &data, &n_bytes));
	CHECK_EQ(n_bytes, 3);
	CHECK_MEM_EQ(data, "ccc", 3);
	CHECK_OK(sea_arrow_column_get_items(&columns[F_LARGE_LIST], 1, &items, &first, &n));
	CHECK_EQ(n, 3);
	CHECK_OK(sea_arrow_column_get_int(items, first + 2, &value));
	CHECK_EQ(value, 3);
	CHECK_OK(sea_arrow_column_get_bytes(&columns[F_DECIMAL], 0, &data, &n_bytes));
	CHECK_EQ(n_bytes, 16);
}

TEST(more_types, "unions, maps, times of all kinds, decimals and large lists are written, and read")
{
	const char *folder = getenv("SEALANE_ARROW_OUT");
	struct sea_arrow_reader *reader, *foreign;
	struct ArrowArrayStream stream;
	struct sea_arrow_batch *batch;
	uint8_t *memory = table_memory(16384);
	uint64_t n_bytes;
	char path[300];
	int fd;

	stream_write(memory, 16384, &n_bytes);
	snprintf(path, sizeof(path), "%s/more.arrow", folder ? folder : test_runtime_dir());
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	CHECK_EQ(CHECK_SYS(write(fd, memory, n_bytes)), (ssize_t)n_bytes);
	close(fd);
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	values_check(batch);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);

	/* The same by way of the C Stream Interface. */
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_export_stream(&reader, &stream, NULL, NULL, NULL));
	CHECK_OK(sea_arrow_import_stream(&foreign, &stream, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, foreign));
	CHECK_EQ(sea_arrow_reader_next(foreign, batch, NULL), 1);
	values_check(batch);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(foreign);
	free(memory);
}
