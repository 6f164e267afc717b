/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of whatever bytes: an error that says something, or batches of which every value can be looked at, checked or not; and what was
 * checked is copied by the writer, and read again as the same rows.
 *
 * An input that begins with an even byte changes places of a stream of our own (two bytes where, one what); any other is a stream itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/arrow.h>

#include "fuzz.h"

#define N_ROWS_MAX 64
#define N_COLUMNS_MAX 64
#define COPY_N_BYTES ((size_t)1 << 20)

static volatile unsigned char fuzz_sum;

/* Touches what a value is said to be. @return 0, 1: a value or null; else an error */
static int fuzz_value(const struct sea_arrow_column *column, int64_t row, unsigned depth)
{
	const struct sea_arrow_column *items;
	const void *data;
	int64_t first, n, value;
	uint64_t natural;
	double number;
	size_t n_bytes;
	int r = sea_arrow_column_resolve(column, row, &column, &row);

	if (r != 0)
		return r;
	FUZZ_CHECK(row >= 0 && row < column->n_rows);
	(void)sea_arrow_column_get_int(column, row, &value);
	(void)sea_arrow_column_get_uint(column, row, &natural);
	(void)sea_arrow_column_get_double(column, row, &number);
	r = sea_arrow_column_get_bytes(column, row, &data, &n_bytes);
	if (r == 0)
		for (size_t i = 0; i < n_bytes && i < 4096; i++)
			fuzz_sum = (unsigned char)(fuzz_sum + ((const unsigned char *)data)[i]);
	if (r == 0 && n_bytes)
		fuzz_sum = (unsigned char)(fuzz_sum + ((const unsigned char *)data)[n_bytes - 1]);
	if (r == -EBADMSG)
		return r;
	r = sea_arrow_column_get_items(column, row, &items, &first, &n);
	if (r == -EBADMSG)
		return r;
	for (int64_t i = 0; r == 0 && i < n && i < 3 && depth < 8; i++)
		if (fuzz_value(items, first + i, depth + 1) < 0)
			return -EBADMSG;
	for (size_t i = 0; column->field->type.id == SEA_ARROW_STRUCT && i < column->n_children && depth < 8 && i < 8;
	     i++)
		if (fuzz_value(&column->children[i], row, depth + 1) < 0)
			return -EBADMSG;
	return 0;
}

static void fuzz_batch(const struct sea_arrow_batch *batch, int is_good)
{
	for (size_t i = 0; i < batch->n_columns && i < N_COLUMNS_MAX; i++)
		for (int64_t row = 0; row < batch->n_rows && row < N_ROWS_MAX; row++) {
			int r = fuzz_value(&batch->columns[i], row, 0);

			FUZZ_CHECK(!is_good || r >= 0);
		}
}

/* The copy has the same nulls in the same rows. */
static void fuzz_copy(const void *memory, uint64_t n_bytes, const struct sea_arrow_batch *original)
{
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;

	FUZZ_CHECK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL) == 0);
	FUZZ_CHECK(sea_arrow_batch_new(&batch, reader) == 0);
	FUZZ_CHECK(sea_arrow_reader_next(reader, batch, NULL) == 1);
	FUZZ_CHECK(batch->n_rows == original->n_rows || batch->n_columns == 0);
	FUZZ_CHECK(sea_arrow_batch_check(batch, NULL) == 0);
	for (size_t i = 0; i < batch->n_columns && i < N_COLUMNS_MAX; i++)
		for (int64_t row = 0; row < batch->n_rows && row < N_ROWS_MAX; row++)
			FUZZ_CHECK(sea_arrow_column_is_null(&batch->columns[i], row) ==
			           sea_arrow_column_is_null(&original->columns[i], row));
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
}

static void fuzz_write(const struct sea_arrow_reader *reader, const struct sea_arrow_batch *batch)
{
	static _Alignas(64) unsigned char memory[COPY_N_BYTES];
	struct sea_arrow_writer *writer;
	struct ArrowArray array;
	uint64_t n_bytes;

	if (sea_arrow_export_batch(batch, &array, NULL, NULL, NULL) == 0)
		array.release(&array);
	if (sea_arrow_writer_new(&writer, sea_arrow_reader_schema(reader), NULL) < 0)
		return;
	FUZZ_CHECK(sea_arrow_writer_set_memory(writer, memory, sizeof(memory)) == 0);
	if (sea_arrow_writer_begin(writer, NULL) == 0 && sea_arrow_writer_write(writer, batch, NULL) == 0 &&
	    sea_arrow_writer_end(writer, &n_bytes, NULL) == 0)
		fuzz_copy(memory, n_bytes, batch);
	sea_arrow_writer_free(writer);
}

static void fuzz_read(const void *memory, size_t n_bytes)
{
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	struct sea_error error = { 0 };
	int r = sea_arrow_reader_new(&reader, memory, n_bytes, &error);

	if (r < 0) {
		FUZZ_CHECK(error.code == r && error.text[0]);
		return;
	}
	FUZZ_CHECK(sea_arrow_schema_check(sea_arrow_reader_schema(reader), NULL) == 0);
	FUZZ_CHECK(sea_arrow_batch_new(&batch, reader) == 0);
	while ((r = sea_arrow_reader_next(reader, batch, &error)) == 1) {
		int is_good = sea_arrow_batch_check(batch, NULL) == 0;

		fuzz_batch(batch, is_good);
		if (is_good)
			fuzz_write(reader, batch);
	}
	FUZZ_CHECK(r == 0 || (error.code == r && error.text[0]));
	FUZZ_CHECK(sea_arrow_reader_position(reader) <= n_bytes);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
}

#define N_OWN_FIELDS 6

static void own_schema(struct sea_arrow_field fields[N_OWN_FIELDS], struct sea_arrow_field children[6])
{
	static const char *const formats[N_OWN_FIELDS] = { "u", "+r", "+l", "+ud:", "w:3", "b" };
	static const char *const inner[6] = { "s", "c", "+s", "g", "u", "l" };

	for (int i = 0; i < N_OWN_FIELDS; i++)
		FUZZ_CHECK(sea_arrow_field_init(&fields[i], "f", formats[i]) == 0);
	for (int i = 0; i < 6; i++)
		FUZZ_CHECK(sea_arrow_field_init(&children[i], "c", inner[i]) == 0);
	fields[0].index_bits = 8;
	/* Runs of int8; lists of structs of a number and text; a union of numbers. */
	fields[1].children = &children[0];
	fields[1].n_children = 2;
	fields[2].children = &children[2];
	fields[2].n_children = 1;
	children[2].children = &children[4];
	children[2].n_children = 1;
	fields[3].children = &children[5];
	fields[3].n_children = 1;
}

/* Two rows of all that is written in a way of its own. @return its size */
static uint64_t own_stream(void *memory, size_t n_bytes)
{
	struct sea_arrow_field fields[N_OWN_FIELDS], children[6];
	struct sea_arrow_schema schema = { fields, N_OWN_FIELDS, NULL, 0 };
	struct sea_arrow_slot values = { .n_rows = 2, .n_data_bytes = 4 };
	/* The dictionary; runs, their ends, their values; list, struct, text; union, number; binary; bool. */
	struct sea_arrow_slot slots[11] = {
		{ .n_rows = 2, .has_validity = 1 },
		{ .n_rows = 2 },
		{ .n_rows = 2 },
		{ .n_rows = 2 },
		{ .n_rows = 2 },
		{ .n_rows = 3, .has_validity = 1 },
		{ .n_rows = 3, .n_data_bytes = 6 },
		{ .n_rows = 2 },
		{ .n_rows = 2 },
		{ .n_rows = 2 },
		{ .n_rows = 2 },
	};
	struct sea_arrow_writer *writer;
	uint64_t n_written = 0;

	own_schema(fields, children);
	FUZZ_CHECK(sea_arrow_writer_new(&writer, &schema, NULL) == 0);
	FUZZ_CHECK(sea_arrow_writer_n_slots(writer) == 11);
	FUZZ_CHECK(sea_arrow_writer_set_memory(writer, memory, n_bytes) == 0 &&
	           sea_arrow_writer_begin(writer, NULL) == 0);
	FUZZ_CHECK(sea_arrow_writer_reserve_dictionary(writer, 0, 0, &values, 1, NULL) == 0);
	memcpy(values.data, "abcd", 4);
	memcpy(values.offsets, (const int32_t[]){ 0, 1, 4 }, 12);
	FUZZ_CHECK(sea_arrow_writer_commit(writer, NULL) == 0);
	FUZZ_CHECK(sea_arrow_writer_reserve(writer, slots, 11, NULL) == 0);
	memcpy(slots[0].data, "\0\1", 2);
	slots[0].validity[0] = 2;
	memcpy(slots[2].data, (const int16_t[]){ 1, 2 }, 4);
	memcpy(slots[3].data, "\5\6", 2);
	memcpy(slots[4].offsets, (const int32_t[]){ 0, 1, 3 }, 12);
	memcpy(slots[6].data, "sealed", 6);
	memcpy(slots[6].offsets, (const int32_t[]){ 0, 3, 3, 6 }, 16);
	memset(slots[7].data, 0, 2);
	memcpy(slots[7].offsets, (const int32_t[]){ 1, 0 }, 8);
	memset(slots[8].data, 1, 16);
	memset(slots[9].data, 2, 6);
	FUZZ_CHECK(sea_arrow_writer_commit(writer, NULL) == 0);
	FUZZ_CHECK(sea_arrow_writer_end(writer, &n_written, NULL) == 0);
	sea_arrow_writer_free(writer);
	return n_written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	static _Alignas(64) unsigned char own[8192];
	static uint64_t n_own;
	void *memory = NULL;

	if (n_own == 0)
		n_own = own_stream(own, sizeof(own));
	if (n_bytes == 0)
		return 0;
	/* Of its own size, and aligned: what is read behind it is seen. */
	if (data[0] % 2 == 1) {
		if (posix_memalign(&memory, 64, n_bytes) == 0)
			memcpy(memory, data, n_bytes);
	} else if (posix_memalign(&memory, 64, n_own) == 0) {
		memcpy(memory, own, n_own);
		for (size_t i = 1; i + 3 <= n_bytes; i += 3)
			((uint8_t *)memory)[((size_t)data[i] << 8 | data[i + 1]) % n_own] = data[i + 2];
		n_bytes = n_own;
	}
	if (memory)
		fuzz_read(memory, n_bytes);
	free(memory);
	return 0;
}
