/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all types that are written; see tables.h. Rows 1 and 3 of nullable columns are null. */
#include "tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

enum {
	F_I8,
	F_I16,
	F_I32,
	F_I64,
	F_U8,
	F_U16,
	F_U32,
	F_U64,
	F_HALF,
	F_FLOAT,
	F_DOUBLE,
	F_BOOL,
	F_UTF8,
	F_BINARY,
	F_FSB,
	F_TIME,
	F_NULL,
	F_DICT,
	F_REE,
	F_STRUCT,
	F_LIST,
	F_FSL,
	F_LARGE
};

_Static_assert(F_LARGE + 1 == TABLE_N_FIELDS, "one number per field");

static const int64_t numbers[TABLE_N_ROWS] = { -128, 1, 0, 77, 127 };
static const char *const words[TABLE_N_ROWS] = { "sealed", NULL, "", NULL,
	                                         "gr\xc3\xb6\xc3\x9f"
	                                         "er" };
static const char *const items[3] = { "red", "green", "blue" };
static const int8_t indices[TABLE_N_ROWS] = { 2, 0, 0, 0, 1 };
static const int32_t run_ends[3] = { 2, 3, 5 };
static const int16_t run_values[3] = { 100, -5, 7 };
static const int32_t list_offsets[TABLE_N_ROWS + 1] = { 0, 2, 2, 2, 2, 5 };
static const int64_t list_items[5] = { 10, 20, 30, 40, 50 };

static const char *const formats[TABLE_N_FIELDS] = {
	"c", "s", "i",    "l",       "C", "S", "I",  "L",  "e",  "f",    "g", "b",
	"u", "z", "w:64", "tsm:UTC", "n", "u", "+r", "+s", "+l", "+w:2", "U",
};
static const char *const names[TABLE_N_FIELDS] = {
	"i8",   "i16",    "i32", "i64",  "u8",   "u16",  "u32", "u64",    "half", "float", "double", "bool",
	"utf8", "binary", "fsb", "time", "null", "dict", "ree", "struct", "list", "fsl",   "large",
};

static const struct sea_arrow_pair schema_pairs[] = { { "sealane.table", "test", 0 }, { "run", "529691", 0 } };
static const struct sea_arrow_pair field_pairs[] = { { "unit", "counts", 0 } };

const struct sea_arrow_schema *table_schema(void)
{
	static struct sea_arrow_field fields[TABLE_N_FIELDS], ree[2], structure[2], item, pair;
	static struct sea_arrow_schema schema = { fields, TABLE_N_FIELDS, schema_pairs, 2 };

	for (int i = 0; i < TABLE_N_FIELDS; i++)
		CHECK_OK(sea_arrow_field_init(&fields[i], names[i], formats[i]));
	fields[F_I8].metadata = field_pairs;
	fields[F_I8].n_metadata = 1;
	fields[F_DICT].index_bits = 8;
	fields[F_DICT].index_is_signed = 1;
	fields[F_DICT].dictionary_id = 42;
	CHECK_OK(sea_arrow_field_init(&ree[0], "run_ends", "i"));
	ree[0].is_nullable = 0;
	CHECK_OK(sea_arrow_field_init(&ree[1], "values", "s"));
	fields[F_REE].children = ree;
	fields[F_REE].n_children = 2;
	CHECK_OK(sea_arrow_field_init(&structure[0], "x", "g"));
	CHECK_OK(sea_arrow_field_init(&structure[1], "name", "u"));
	fields[F_STRUCT].children = structure;
	fields[F_STRUCT].n_children = 2;
	CHECK_OK(sea_arrow_field_init(&item, "item", "l"));
	fields[F_LIST].children = &item;
	fields[F_LIST].n_children = 1;
	CHECK_OK(sea_arrow_field_init(&pair, "item", "s"));
	fields[F_FSL].children = &pair;
	fields[F_FSL].n_children = 1;
	return &schema;
}

void *table_memory(uint64_t n_bytes)
{
	void *memory = aligned_alloc(64, (n_bytes + 63) & ~UINT64_C(63));

	CHECK(memory);
	/* Not zero: what a writer leaves as it was is to be seen. */
	memset(memory, 0xa5, n_bytes);
	return memory;
}

static void rows_hide(struct sea_arrow_slot *slot)
{
	slot->validity[0] &= (uint8_t) ~(1u << 1 | 1u << 3);
}

static void words_fill(struct sea_arrow_slot *slot, int is_large)
{
	int64_t at = 0;

	for (int i = 0; i < TABLE_N_ROWS; i++) {
		size_t n = words[i] ? strlen(words[i]) : 0;

		if (n)
			memcpy((char *)slot->data + at, words[i], n);
		at += (int64_t)n;
		if (is_large)
			((int64_t *)slot->offsets)[i + 1] = at;
		else
			((int32_t *)slot->offsets)[i + 1] = (int32_t)at;
	}
	rows_hide(slot);
}

static uint64_t words_n_bytes(void)
{
	uint64_t n = 0;

	for (int i = 0; i < TABLE_N_ROWS; i++)
		n += words[i] ? strlen(words[i]) : 0;
	return n;
}

static void dictionary_write(struct sea_arrow_writer *writer)
{
	struct sea_arrow_slot slot = { .n_rows = 3, .n_data_bytes = 12 };
	int32_t at = 0;

	CHECK_OK(sea_arrow_writer_reserve_dictionary(writer, 42, 0, &slot, 1, NULL));
	for (int i = 0; i < 3; i++) {
		memcpy((char *)slot.data + at, items[i], strlen(items[i]));
		at += (int32_t)strlen(items[i]);
		((int32_t *)slot.offsets)[i + 1] = at;
	}
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
}

/* Slots in the order of fields, each before its children. */
enum {
	S_REE_ENDS = F_REE + 1,
	S_REE_VALUES,
	S_STRUCT,
	S_STRUCT_X,
	S_STRUCT_NAME,
	S_LIST,
	S_LIST_ITEM,
	S_FSL,
	S_FSL_ITEM,
	S_LARGE,
	N_SLOTS
};

static void slots_size(struct sea_arrow_slot *slots)
{
	for (int i = 0; i < N_SLOTS; i++)
		slots[i] = (struct sea_arrow_slot){ .n_rows = TABLE_N_ROWS, .has_validity = 1 };
	slots[F_UTF8].n_data_bytes = slots[F_BINARY].n_data_bytes = words_n_bytes();
	slots[S_STRUCT_NAME].n_data_bytes = slots[S_LARGE].n_data_bytes = words_n_bytes();
	slots[F_NULL].has_validity = slots[F_REE].has_validity = slots[S_REE_ENDS].has_validity = 0;
	slots[S_REE_ENDS].n_rows = slots[S_REE_VALUES].n_rows = 3;
	slots[S_LIST_ITEM].n_rows = 5;
	slots[S_FSL_ITEM].n_rows = 2 * TABLE_N_ROWS;
	slots[S_FSL_ITEM].has_validity = 0;
}

static void numbers_fill(struct sea_arrow_slot *slots)
{
	for (int i = 0; i < TABLE_N_ROWS; i++) {
		static const uint16_t halves[TABLE_N_ROWS] = { 0x3c00, 0, 0x0001, 0, 0xfbff };

		((int8_t *)slots[F_I8].data)[i] = (int8_t)numbers[i];
		((int16_t *)slots[F_I16].data)[i] = (int16_t)(numbers[i] * 256);
		((int32_t *)slots[F_I32].data)[i] = (int32_t)(numbers[i] * 16777216);
		((int64_t *)slots[F_I64].data)[i] = numbers[i] * INT64_C(72057594037927936);
		((uint8_t *)slots[F_U8].data)[i] = (uint8_t)numbers[i];
		((uint16_t *)slots[F_U16].data)[i] = (uint16_t)numbers[i];
		((uint32_t *)slots[F_U32].data)[i] = (uint32_t)numbers[i];
		((uint64_t *)slots[F_U64].data)[i] = (uint64_t)numbers[i];
		((uint16_t *)slots[F_HALF].data)[i] = halves[i];
		((float *)slots[F_FLOAT].data)[i] = (float)numbers[i] / 4;
		((double *)slots[F_DOUBLE].data)[i] = (double)numbers[i] / 3;
		((int64_t *)slots[F_TIME].data)[i] = INT64_C(1700000000123) + i;
		((int8_t *)slots[F_DICT].data)[i] = indices[i];
		((double *)slots[S_STRUCT_X].data)[i] = i + 0.5;
		memset((char *)slots[F_FSB].data + (size_t)i * 64, 'a' + i, 64);
	}
	((uint8_t *)slots[F_BOOL].data)[0] |= 1 << 0 | 1 << 4;
	for (int i = 0; i < 2 * TABLE_N_ROWS; i++)
		((int16_t *)slots[S_FSL_ITEM].data)[i] = (int16_t)(i * 100);
	memcpy(slots[S_REE_ENDS].data, run_ends, sizeof(run_ends));
	memcpy(slots[S_REE_VALUES].data, run_values, sizeof(run_values));
	slots[S_REE_VALUES].validity[0] &= (uint8_t) ~(1u << 1);
	memcpy(slots[S_LIST].offsets, list_offsets, sizeof(list_offsets));
	memcpy(slots[S_LIST_ITEM].data, list_items, sizeof(list_items));
}

void table_write_batch(struct sea_arrow_writer *writer, int is_first)
{
	struct sea_arrow_slot slots[N_SLOTS];

	if (is_first)
		dictionary_write(writer);
	slots_size(slots);
	CHECK_EQ(sea_arrow_writer_n_slots(writer), N_SLOTS);
	CHECK_OK(sea_arrow_writer_reserve(writer, slots, N_SLOTS, NULL));
	numbers_fill(slots);
	words_fill(&slots[F_UTF8], 0);
	words_fill(&slots[F_BINARY], 0);
	words_fill(&slots[S_STRUCT_NAME], 0);
	words_fill(&slots[S_LARGE], 1);
	for (int i = 0; i < F_UTF8; i++)
		rows_hide(&slots[i]);
	rows_hide(&slots[F_FSB]);
	rows_hide(&slots[F_TIME]);
	rows_hide(&slots[F_DICT]);
	rows_hide(&slots[S_STRUCT]);
	rows_hide(&slots[S_LIST]);
	rows_hide(&slots[S_FSL]);
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
}

void *table_write(uint64_t *ret_n_bytes)
{
	struct sea_arrow_slot slots[N_SLOTS], slot = { .n_rows = 3, .n_data_bytes = 12 };
	uint64_t n_batch = 0, n_dictionary = 0, n_bytes, n_written = 0;
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };
	void *memory;

	if (sea_arrow_writer_new(&writer, table_schema(), &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	slots_size(slots);
	CHECK_OK(sea_arrow_writer_batch_size(writer, slots, N_SLOTS, &n_batch, NULL));
	CHECK_OK(sea_arrow_writer_dictionary_size(writer, 42, &slot, 1, &n_dictionary, NULL));
	n_bytes = sea_arrow_writer_schema_size(writer) + n_dictionary + 2 * n_batch + SEA_ARROW_END_N_BYTES;
	memory = table_memory(n_bytes);
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, n_bytes));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	table_write_batch(writer, 1);
	table_write_batch(writer, 0);
	CHECK_OK(sea_arrow_writer_end(writer, &n_written, NULL));
	/* The sizes that were told are those that were needed. */
	CHECK_EQ(n_written, n_bytes);
	sea_arrow_writer_free(writer);
	*ret_n_bytes = n_bytes;
	return memory;
}

/* A sink that grows: what was claimed is appended when it is committed. */
struct growing {
	uint8_t *place, *stream;
	uint64_t n_bytes;
};

static int growing_claim(void **ret_place, uint64_t n_bytes, void *userdata)
{
	struct growing *growing = userdata;

	growing->place = *ret_place = table_memory(n_bytes);
	return 0;
}

static int growing_commit(void *place, uint64_t n_bytes, void *userdata)
{
	struct growing *growing = userdata;
	uint8_t *stream = table_memory(growing->n_bytes + n_bytes);

	CHECK(place == growing->place);
	if (growing->n_bytes)
		memcpy(stream, growing->stream, growing->n_bytes);
	memcpy(stream + growing->n_bytes, place, n_bytes);
	free(growing->stream);
	free(place);
	growing->stream = stream;
	growing->n_bytes += n_bytes;
	return 0;
}

void *table_write_without(const char *name, uint64_t *ret_n_bytes)
{
	struct growing growing = { NULL, NULL, 0 };
	const struct sea_arrow_sink sink = { growing_claim, growing_commit, &growing };
	struct sea_arrow_field fields[TABLE_N_FIELDS];
	struct sea_arrow_column columns[TABLE_N_FIELDS];
	struct sea_arrow_schema schema = { fields, 0, NULL, 0 };
	struct sea_arrow_batch *batch, chosen = { .columns = columns };
	struct sea_arrow_reader *reader;
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };
	uint64_t n_bytes;
	void *memory = table_write(&n_bytes);

	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	for (size_t i = 0; i < TABLE_N_FIELDS; i++)
		if (strcmp(names[i], name) != 0)
			fields[schema.n_fields++] = sea_arrow_reader_schema(reader)->fields[i];
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	sea_arrow_writer_set_sink(writer, &sink);
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	while (CHECK_OK(sea_arrow_reader_next(reader, batch, NULL)) == 1) {
		chosen.n_rows = batch->n_rows;
		chosen.n_columns = 0;
		for (size_t i = 0; i < TABLE_N_FIELDS; i++)
			if (strcmp(names[i], name) != 0)
				columns[chosen.n_columns++] = batch->columns[i];
		if (sea_arrow_writer_write(writer, &chosen, &error) < 0)
			FAIL("%s: %s", error.key, error.text);
	}
	CHECK_OK(sea_arrow_writer_end(writer, ret_n_bytes, NULL));
	CHECK_EQ(*ret_n_bytes, growing.n_bytes);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	free(memory);
	return growing.stream;
}

static void int_check(const struct sea_arrow_column *column, int64_t row, int64_t expected)
{
	int64_t value = ~expected;

	CHECK_OK(sea_arrow_column_get_int(column, row, &value));
	CHECK_EQ(value, expected);
}

static void bytes_check(const struct sea_arrow_column *column, int64_t row, const char *expected, size_t n_expected)
{
	const void *data = NULL;
	size_t n_bytes = 0;

	CHECK_OK(sea_arrow_column_get_bytes(column, row, &data, &n_bytes));
	CHECK_EQ(n_bytes, n_expected);
	CHECK(data);
	CHECK_MEM_EQ(data, expected, n_expected);
}

static void double_check(const struct sea_arrow_column *column, int64_t row, double expected)
{
	double value = -1e300;

	CHECK_OK(sea_arrow_column_get_double(column, row, &value));
	/* Exactly: what is written is what is read. */
	CHECK_MEM_EQ(&value, &expected, sizeof(value));
}

static void numbers_check(const struct sea_arrow_column *columns, int64_t row)
{
	static const double halves[TABLE_N_ROWS] = { 1.0, 0, 1.0 / 16777216.0, 0, -65504.0 };
	int64_t number = numbers[row];
	uint64_t value = 0;

	int_check(&columns[F_I8], row, number);
	int_check(&columns[F_I16], row, number * 256);
	int_check(&columns[F_I32], row, number * 16777216);
	int_check(&columns[F_I64], row, number * INT64_C(72057594037927936));
	int_check(&columns[F_U8], row, (uint8_t)number);
	int_check(&columns[F_U16], row, (uint16_t)number);
	int_check(&columns[F_U32], row, (uint32_t)number);
	CHECK_OK(sea_arrow_column_get_uint(&columns[F_U64], row, &value));
	CHECK_EQ(value, (uint64_t)number);
	double_check(&columns[F_HALF], row, halves[row]);
	double_check(&columns[F_FLOAT], row, (double)((float)number / 4));
	double_check(&columns[F_DOUBLE], row, (double)number / 3);
	int_check(&columns[F_BOOL], row, row == 0 || row == 4);
	int_check(&columns[F_TIME], row, INT64_C(1700000000123) + row);
}

static void nested_check(const struct sea_arrow_column *columns, int64_t row)
{
	const struct sea_arrow_column *list_column = NULL;
	int64_t first = -1, n = -1;
	char block[64];

	memset(block, 'a' + (int)row, sizeof(block));
	bytes_check(&columns[F_FSB], row, block, sizeof(block));
	bytes_check(&columns[F_UTF8], row, words[row], strlen(words[row]));
	bytes_check(&columns[F_BINARY], row, words[row], strlen(words[row]));
	bytes_check(&columns[F_LARGE], row, words[row], strlen(words[row]));
	bytes_check(&columns[F_DICT], row, items[indices[row]], strlen(items[indices[row]]));
	double_check(&columns[F_STRUCT].children[0], row, (double)row + 0.5);
	bytes_check(&columns[F_STRUCT].children[1], row, words[row], strlen(words[row]));
	CHECK_OK(sea_arrow_column_get_items(&columns[F_LIST], row, &list_column, &first, &n));
	CHECK_EQ(n, list_offsets[row + 1] - list_offsets[row]);
	for (int64_t i = 0; i < n; i++)
		int_check(list_column, first + i, list_items[list_offsets[row] + i]);
	CHECK_OK(sea_arrow_column_get_items(&columns[F_FSL], row, &list_column, &first, &n));
	CHECK_EQ(n, 2);
	int_check(list_column, first + 1, (2 * row + 1) * 100);
}

void table_check(const struct sea_arrow_batch *batch)
{
	struct sea_error error = { 0 };

	CHECK_EQ(batch->n_rows, TABLE_N_ROWS);
	CHECK_EQ(batch->n_columns, TABLE_N_FIELDS);
	if (sea_arrow_batch_check(batch, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	for (int64_t row = 0; row < TABLE_N_ROWS; row++) {
		for (int i = 0; i < TABLE_N_FIELDS; i++) {
			int is_hidden = i == F_REE ? row == 2 : row == 1 || row == 3 || i == F_NULL;

			CHECK_EQ(sea_arrow_column_is_null(&batch->columns[i], row), is_hidden);
		}
		if (row != 1 && row != 3) {
			numbers_check(batch->columns, row);
			nested_check(batch->columns, row);
		}
		if (row != 2)
			int_check(&batch->columns[F_REE], row, row < 2 ? 100 : 7);
	}
}

void table_check_stream(const void *memory, uint64_t n_bytes, unsigned n_batches)
{
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	struct sea_error error = { 0 };
	unsigned n = 0;
	int r;

	if (sea_arrow_reader_new(&reader, memory, n_bytes, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	while ((r = sea_arrow_reader_next(reader, batch, &error)) == 1) {
		table_check(batch);
		n++;
	}
	if (r < 0)
		FAIL("%s: %s", error.key, error.text);
	CHECK_EQ(n, n_batches);
	CHECK_EQ(sea_arrow_reader_position(reader), n_bytes);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
}
