/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of all ages, and streams that are none: what a reader takes, and what it says of the rest. */
#include <stdlib.h>
#include <string.h>

#include "arrow/batch.h"
#include "arrow/build.h"
#include "tables.h"
#include "test.h"

/* Where the messages of a stream are. */
struct piece {
	uint64_t at;
	uint32_t n_metadata;
	uint64_t n_body;
};

static size_t pieces_find(const uint8_t *stream, uint64_t n_bytes, struct piece *pieces, size_t n_max)
{
	uint64_t at = 0;
	size_t n = 0;

	while (at + 8 < n_bytes && n < n_max) {
		struct seai_flat_table message;
		int64_t n_body = 0;
		uint32_t n_metadata = seai_load_u32(stream + at + 4);

		CHECK_EQ(seai_load_u32(stream + at), UINT32_MAX);
		CHECK_EQ(seai_flat_root(stream + at + 8, n_metadata, &message), 1);
		CHECK_OK(seai_flat_i64(&message, MESSAGE_BODY_LENGTH, 0, &n_body));
		pieces[n++] = (struct piece){ at, n_metadata, (uint64_t)n_body };
		at += 8 + n_metadata + (uint64_t)n_body;
	}
	return n;
}

/* Reads all of a stream, and looks at every value; nothing but its end is asked for. @return what ended it */
static int stream_use(const void *memory, uint64_t n_bytes, struct sea_error *error)
{
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	int r = sea_arrow_reader_new(&reader, memory, n_bytes, error);

	if (r < 0)
		return r;
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	while ((r = sea_arrow_reader_next(reader, batch, error)) == 1) {
		int is_good = sea_arrow_batch_check(batch, NULL);

		for (size_t i = 0; i < batch->n_columns; i++)
			for (int64_t row = 0; row < batch->n_rows && row < 100; row++) {
				const struct sea_arrow_column *items = NULL;
				const void *data = NULL;
				int64_t value = 0, first = 0, n = 0;
				volatile unsigned char sum = 0;
				size_t n_data = 0;

				(void)sea_arrow_column_get_int(&batch->columns[i], row, &value);
				if (sea_arrow_column_get_bytes(&batch->columns[i], row, &data, &n_data) == 0)
					for (size_t j = 0; j < n_data; j++)
						sum = (unsigned char)(sum + ((const unsigned char *)data)[j]);
				if (sea_arrow_column_get_items(&batch->columns[i], row, &items, &first, &n) == 0)
					CHECK_LE(first + n, items->n_rows);
				/* What was checked has no wrong step in it. */
				if (is_good == 0)
					CHECK_GE(sea_arrow_column_is_null(&batch->columns[i], row), 0);
			}
	}
	if (r < 0) {
		struct sea_error again = { 0 };

		CHECK_EQ(sea_arrow_reader_next(reader, batch, &again), r);
		CHECK_EQ(batch->n_rows, 0);
		CHECK_STR_EQ(again.text, error->text);
	}
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	return r;
}

TEST(cut_off, "a stream that is cut off anywhere is an error that says where, or ends at a message")
{
	struct piece pieces[8];
	uint64_t n_bytes;
	uint8_t *memory = table_write(&n_bytes);
	size_t n_pieces = pieces_find(memory, n_bytes, pieces, 8), n_ends = 0;

	CHECK_EQ(n_pieces, 4);
	for (uint64_t n = 0; n < n_bytes; n++) {
		/* Of its own size, so that a step behind it is seen. */
		uint8_t *copy = aligned_alloc(64, (n + 64) & ~UINT64_C(63));
		struct sea_error error = { 0 };
		int is_border = n == n_bytes - 8;
		int r;

		CHECK(copy);
		memcpy(copy, memory, n);
		for (size_t i = 1; i < n_pieces; i++)
			is_border |= n == pieces[i].at;
		r = stream_use(copy, n, &error);
		if (is_border) {
			CHECK_EQ(r, 0);
			n_ends++;
		} else {
			CHECK_EQ(r, -EBADMSG);
			CHECK(strncmp(error.key, "message ", 8) == 0);
			CHECK(error.text[0]);
		}
		free(copy);
	}
	CHECK_EQ(n_ends, 4);
	free(memory);
}

TEST(flipped, "a stream with any byte changed is read or refused, and nothing outside of it is touched")
{
	static const uint8_t values[] = { 0, 0x81, 0xff };
	uint64_t n_bytes;
	uint8_t *memory = table_write(&n_bytes);
	unsigned n_refused = 0;

	for (uint64_t i = 0; i < n_bytes; i++)
		for (size_t j = 0; j < sizeof(values); j++) {
			struct sea_error error = { 0 };
			uint8_t saved = memory[i];

			memory[i] = values[j];
			if (stream_use(memory, n_bytes, &error) < 0) {
				CHECK(error.code && error.text[0]);
				n_refused++;
			}
			memory[i] = saved;
		}
	CHECK_GT(n_refused, 100);
	table_check_stream(memory, n_bytes, 2);
	free(memory);
}

TEST(old_streams, "streams without the continuation marker, of metadata V4, and without an end are read")
{
	struct piece pieces[8];
	uint64_t n_bytes, n = 0;
	uint8_t *memory = table_write(&n_bytes), *old = table_memory(2 * n_bytes);
	size_t n_pieces = pieces_find(memory, n_bytes, pieces, 8);

	for (size_t i = 0; i < n_pieces; i++) {
		const uint8_t *from = memory + pieces[i].at;
		struct seai_flat_table message;
		const uint8_t *version = NULL;

		/* Four bytes of size only, and metadata four bytes longer: the body is where it was. */
		seai_store_u32(old + n, pieces[i].n_metadata + 4);
		memcpy(old + n + 4, from + 8, pieces[i].n_metadata);
		memset(old + n + 4 + pieces[i].n_metadata, 0, 4);
		CHECK_EQ(seai_flat_root(old + n + 4, pieces[i].n_metadata, &message), 1);
		CHECK_EQ(seai_flat_field(&message, MESSAGE_VERSION, 2, &version), 1);
		seai_store_u16(old + (version - old), METADATA_V4);
		memcpy(old + n + 8 + pieces[i].n_metadata, from + 8 + pieces[i].n_metadata, pieces[i].n_body);
		n += 8 + pieces[i].n_metadata + pieces[i].n_body;
	}
	table_check_stream(old, n, 2);
	/* With the old end, which is four zeros. */
	memset(old + n, 0, 4);
	table_check_stream(old, n + 4, 2);
	table_check_stream(memory, n_bytes - 8, 2);
	free(old);
	free(memory);
}

TEST(file_format, "a file of Arrow's own format is read front to back, up to its footer")
{
	uint64_t n_bytes, n_file;
	uint8_t *memory = table_write(&n_bytes), *file = table_memory(n_bytes + 64);
	struct sea_error error = { 0 };
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;

	/* A footer of 16 bytes, directly behind the last batch: its end is not marked. */
	n_file = 8 + n_bytes - 8;
	memcpy(file, "ARROW1\0\0", 8);
	memcpy(file + 8, memory, n_bytes - 8);
	memset(file + n_file, 0x11, 16);
	seai_store_u32(file + n_file + 16, 16);
	memcpy(file + n_file + 20, "ARROW1", 6);
	n_file += 26;
	CHECK_OK(sea_arrow_reader_new(&reader, file, n_file, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	table_check(batch);
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 0);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	CHECK_EQ(stream_use(file, n_file - 1, &error), -EBADMSG);
	CHECK_STR_EQ(error.text, "the file is cut off: its end is missing");
	seai_store_u32(file + n_file - 10, UINT32_MAX);
	CHECK_EQ(stream_use(file, n_file, &error), -EBADMSG);
	free(file);
	free(memory);
}

/* Overwrites a number of a message of the table of all types, and gives what a reader says. */
static void schema_refused(unsigned field, uint16_t value, int expected, const char *text)
{
	struct seai_flat_table message, schema;
	struct sea_error error = { 0 };
	const uint8_t *place = NULL;
	uint64_t n_bytes;
	uint8_t *memory = table_write(&n_bytes);

	CHECK_EQ(seai_flat_root(memory + 8, seai_load_u32(memory + 4), &message), 1);
	CHECK_EQ(seai_flat_sub(&message, MESSAGE_HEADER, &schema), 1);
	if (field == MESSAGE_VERSION)
		CHECK_EQ(seai_flat_field(&message, field, 2, &place), 1);
	else
		CHECK_EQ(seai_flat_field(&schema, 0, 2, &place), 1);
	seai_store_u16(memory + (place - memory), value);
	CHECK_EQ(stream_use(memory, n_bytes, &error), expected);
	CHECK_STR_EQ(error.text, text);
	free(memory);
}

/* A message whose record batch says that it is compressed. */
static uint64_t compressed_write(uint8_t *memory)
{
	struct seai_build build = { 0 };
	struct seai_build_field message[] = {
		{ .id = MESSAGE_VERSION, .n_bytes = 2, .value = METADATA_V5 },
		{ .id = MESSAGE_HEADER_TYPE, .n_bytes = 1, .value = HEADER_RECORD_BATCH },
		{ .id = MESSAGE_HEADER },
	};
	struct seai_build_field batch[] = { { .id = BATCH_LENGTH, .n_bytes = 8 }, { .id = BATCH_COMPRESSION } };
	struct seai_build_field codec[] = { { .id = 0, .n_bytes = 1, .value = 1 } };
	uint64_t n_bytes;

	seai_build_table(&build, seai_build_root(&build), message, 3);
	seai_build_table(&build, message[2].at, batch, 2);
	seai_build_table(&build, batch[1].at, codec, 1);
	CHECK_OK(seai_build_end(&build, 8, 8));
	seai_store_u32(memory, UINT32_MAX);
	seai_store_u32(memory + 4, (uint32_t)build.n_bytes);
	memcpy(memory + 8, build.bytes, build.n_bytes);
	n_bytes = 8 + build.n_bytes;
	seai_build_fini(&build);
	return n_bytes;
}

TEST(refusals, "what is not read is refused with what and where: compression, byte order, versions, a second schema")
{
	struct piece pieces[8];
	struct sea_error error = { 0 };
	uint64_t n_bytes, n;
	uint8_t *memory = table_write(&n_bytes), *stream = table_memory(2 * n_bytes);

	schema_refused(SEA_ARROW_NONE + 100, 1, -ENOTSUP, "the data is big-endian");
	schema_refused(MESSAGE_VERSION, 2, -ENOTSUP, "metadata of a version other than 4 and 5");
	pieces_find(memory, n_bytes, pieces, 8);
	n = pieces[1].at;
	memcpy(stream, memory, n);
	CHECK_EQ(stream_use(stream, n + compressed_write(stream + n), &error), -ENOTSUP);
	CHECK_STR_EQ(error.text, "the body is compressed");
	CHECK_STR_EQ(error.key, "message 1");
	memcpy(stream + n, memory, n);
	CHECK_EQ(stream_use(stream, 2 * n, &error), -EBADMSG);
	CHECK_STR_EQ(error.text, "a second schema");
	CHECK_EQ(stream_use(stream, 0, &error), -EBADMSG);
	CHECK_STR_EQ(error.text, "the stream is empty");
	CHECK_EQ(stream_use(memory + n, n_bytes - n, &error), -EBADMSG);
	CHECK_STR_EQ(error.text, "the stream does not begin with a schema");
	memcpy(stream, "{\"this\": \"is no table\"}          ", 32);
	CHECK_EQ(stream_use(stream, 32, &error), -EBADMSG);
	CHECK_EQ(stream_use(memory + 4, n_bytes - 4, &error), -EINVAL);
	free(stream);
	free(memory);
}

TEST(numbers, "lengths and places of a batch that do not fit are refused with the column they are of")
{
	/* Which vector of the batch, which item and half of it, what is written there, and what is said of it. */
	static const struct {
		unsigned vector, item, half;
		int64_t value;
		const char *key, *text;
	} cases[] = {
		{ BATCH_NODES, 0, 0, 6, "message 2, i8", "it has not as many rows as the batch" },
		{ BATCH_NODES, 0, 0, -1, "message 2, i8", "a number of rows or nulls is out of range" },
		{ BATCH_NODES, 0, 1, 6, "message 2, i8", "a number of rows or nulls is out of range" },
		{ BATCH_NODES, 22, 0, 4, "message 2, struct.x", "it has fewer rows than what it is part of" },
		{ BATCH_NODES, 25, 0, 3, "message 2, list", "its offsets fall, or lead outside" },
		{ BATCH_NODES, 27, 0, 9, "message 2, fsl.item", "it has fewer rows than what it is part of" },
		{ BATCH_BUFFERS, 1, 0, INT64_C(1) << 40, "message 2, i8", "a buffer lies outside of the body" },
		{ BATCH_BUFFERS, 1, 0, -64, "message 2, i8", "a buffer lies outside of the body" },
		{ BATCH_BUFFERS, 1, 0, INT64_MAX, "message 2, i8", "a buffer lies outside of the body" },
		{ BATCH_BUFFERS, 1, 1, -1, "message 2, i8", "a buffer lies outside of the body" },
		{ BATCH_BUFFERS, 1, 1, 1 << 20, "message 2, i8", "a buffer lies outside of the body" },
		{ BATCH_BUFFERS, 1, 0, 4, "message 2, i8", "a buffer is not aligned to 8 bytes" },
		{ BATCH_BUFFERS, 1, 1, 4, "message 2, i8", "its values are fewer than its rows" },
		{ BATCH_BUFFERS, 0, 1, 0, "message 2, i8", "its bitmap of nulls is too short" },
		{ BATCH_BUFFERS, 25, 1, 20, "message 2, utf8", "its offsets are too few" },
		{ BATCH_BUFFERS, 26, 1, 5, "message 2, utf8", "its offsets fall, or lead outside" },
	};
	uint64_t n_bytes;
	uint8_t *memory = table_write(&n_bytes);
	struct seai_flat_table message, batch;
	struct piece pieces[8];

	pieces_find(memory, n_bytes, pieces, 8);
	CHECK_EQ(seai_flat_root(memory + pieces[2].at + 8, pieces[2].n_metadata, &message), 1);
	CHECK_EQ(seai_flat_sub(&message, MESSAGE_HEADER, &batch), 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seai_flat_vector vector;
		struct sea_error error = { 0 };
		uint8_t *place;
		int64_t saved;

		CHECK_EQ(seai_flat_vector(&batch, cases[i].vector, 16, &vector), 1);
		place = memory + (vector.bytes - memory) + vector.at + (size_t)cases[i].item * 16 +
		        (size_t)cases[i].half * 8;
		saved = seai_load_i64(place);
		seai_store_i64(place, cases[i].value);
		CHECK_EQ(stream_use(memory, n_bytes, &error), -EBADMSG);
		CHECK_STR_EQ(error.key, cases[i].key);
		CHECK_STR_EQ(error.text, cases[i].text);
		seai_store_i64(place, saved);
	}
	table_check_stream(memory, n_bytes, 2);
	free(memory);
}

static struct sea_arrow_writer *words_writer(uint8_t *memory, uint64_t n_bytes)
{
	struct sea_arrow_field field;
	struct sea_arrow_schema schema = { &field, 1, NULL, 0 };
	struct sea_arrow_writer *writer = NULL;

	CHECK_OK(sea_arrow_field_init(&field, "word", "u"));
	field.index_bits = 8;
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, n_bytes));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	return writer;
}

/* One letter per value. */
static void letters_write(struct sea_arrow_writer *writer, const char *letters, int is_delta)
{
	struct sea_arrow_slot slot = { .n_rows = (int64_t)strlen(letters), .n_data_bytes = strlen(letters) };

	CHECK_OK(sea_arrow_writer_reserve_dictionary(writer, 0, is_delta, &slot, 1, NULL));
	memcpy(slot.data, letters, strlen(letters));
	for (int i = 0; i <= (int)strlen(letters); i++)
		((int32_t *)slot.offsets)[i] = i;
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
}

static void indices_write(struct sea_arrow_writer *writer, const uint8_t *indices, int64_t n_rows)
{
	struct sea_arrow_slot slot = { .n_rows = n_rows };

	CHECK_OK(sea_arrow_writer_reserve(writer, &slot, 1, NULL));
	memcpy(slot.data, indices, (size_t)n_rows);
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
}

static char letter(const struct sea_arrow_batch *batch, int64_t row)
{
	const void *data;
	size_t n;
	int r = sea_arrow_column_get_bytes(&batch->columns[0], row, &data, &n);

	CHECK(r == 0 || r == -EBADMSG);
	return r == 0 ? *(const char *)data : '?';
}

TEST(dictionaries, "a dictionary that grows or is replaced leaves earlier batches as they were")
{
	uint8_t *memory = table_memory(16384);
	struct sea_arrow_writer *writer = words_writer(memory, 16384);
	struct sea_arrow_batch *batches[4];
	struct sea_arrow_reader *reader;
	struct sea_error error = { 0 };
	uint64_t n_bytes;

	letters_write(writer, "ab", 0);
	indices_write(writer, (const uint8_t[]){ 0, 1, 2 }, 3);
	letters_write(writer, "cd", 1);
	letters_write(writer, "e", 1);
	indices_write(writer, (const uint8_t[]){ 0, 3, 4, 5 }, 4);
	letters_write(writer, "xyz", 0);
	indices_write(writer, (const uint8_t[]){ 0, 1, 2, 3 }, 4);
	CHECK_OK(sea_arrow_writer_end(writer, &n_bytes, NULL));
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	for (int i = 0; i < 4; i++) {
		CHECK_OK(sea_arrow_batch_new(&batches[i], reader));
		CHECK_EQ(sea_arrow_reader_next(reader, batches[i], NULL), i < 3);
	}
	CHECK_EQ(letter(batches[0], 1), 'b');
	/* What came later is not of the earlier one. */
	CHECK_EQ(letter(batches[0], 2), '?');
	CHECK_ERR(sea_arrow_batch_check(batches[0], &error), -EBADMSG);
	CHECK_STR_EQ(error.key, "word");
	CHECK_STR_EQ(error.text, "row 2: an index outside of the dictionary");
	CHECK_EQ(letter(batches[1], 0), 'a');
	CHECK_EQ(letter(batches[1], 1), 'd');
	CHECK_EQ(letter(batches[1], 2), 'e');
	CHECK_EQ(letter(batches[1], 3), '?');
	CHECK_EQ(letter(batches[2], 0), 'x');
	CHECK_EQ(letter(batches[2], 2), 'z');
	CHECK_EQ(letter(batches[2], 3), '?');
	CHECK_NE(batches[0]->columns[0].dictionary->version, batches[2]->columns[0].dictionary->version);
	for (int i = 0; i < 4; i++)
		sea_arrow_batch_free(batches[i]);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	free(memory);
}

TEST(dictionaries_copied, "a copied stream has the deltas and replacements of the original")
{
	uint8_t *memory = table_memory(16384), *copy = table_memory(16384);
	struct sea_arrow_writer *writer = words_writer(memory, 16384), *other = words_writer(copy, 16384);
	struct sea_arrow_batch *batch;
	struct sea_arrow_reader *reader;
	uint64_t n_bytes, n_copied;

	letters_write(writer, "ab", 0);
	indices_write(writer, (const uint8_t[]){ 0, 1 }, 2);
	indices_write(writer, (const uint8_t[]){ 1, 1 }, 2);
	letters_write(writer, "cd", 1);
	letters_write(writer, "e", 1);
	indices_write(writer, (const uint8_t[]){ 0, 3, 4 }, 3);
	letters_write(writer, "xyz", 0);
	indices_write(writer, (const uint8_t[]){ 0, 1, 2 }, 3);
	CHECK_OK(sea_arrow_writer_end(writer, &n_bytes, NULL));
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	while (CHECK_OK(sea_arrow_reader_next(reader, batch, NULL)) == 1)
		CHECK_OK(sea_arrow_writer_write(other, batch, NULL));
	CHECK_OK(sea_arrow_writer_end(other, &n_copied, NULL));
	/* The same messages, byte by byte. */
	CHECK_EQ(n_copied, n_bytes);
	CHECK_MEM_EQ(copy, memory, n_bytes);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	sea_arrow_writer_free(other);
	free(memory);
	free(copy);
}

TEST(run_ends, "run ends that do not rise are found by the check, and never lead outside")
{
	struct sea_arrow_field field, children[2];
	struct sea_arrow_schema schema = { &field, 1, NULL, 0 };
	struct sea_arrow_slot slots[3] = { { .n_rows = 10 }, { .n_rows = 3 }, { .n_rows = 3 } };
	struct sea_arrow_writer *writer;
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	struct sea_error error = { 0 };
	int32_t *ends;
	int64_t value_row, end, value;
	uint64_t n_bytes;
	uint8_t *memory = table_memory(4096);

	CHECK_OK(sea_arrow_field_init(&field, "r", "+r"));
	CHECK_OK(sea_arrow_field_init(&children[0], "run_ends", "i"));
	CHECK_OK(sea_arrow_field_init(&children[1], "values", "c"));
	field.children = children;
	field.n_children = 2;
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, 4096));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_OK(sea_arrow_writer_reserve(writer, slots, 3, NULL));
	ends = slots[1].data;
	memcpy(slots[2].data, "\1\2\3", 3);
	memcpy(ends, (const int32_t[]){ 4, 5, 9 }, 12);
	CHECK_ERR(sea_arrow_writer_commit(writer, &error), -EINVAL);
	CHECK_STR_EQ(error.text, "its last run ends too early");
	ends[2] = 10;
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	CHECK_OK(sea_arrow_writer_end(writer, &n_bytes, NULL));
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_OK(sea_arrow_batch_check(batch, NULL));
	CHECK_OK(sea_arrow_column_get_run(&batch->columns[0], 4, &value_row, &end));
	CHECK_EQ(value_row, 1);
	CHECK_EQ(end, 5);
	CHECK_OK(sea_arrow_column_get_int(&batch->columns[0], 9, &value));
	CHECK_EQ(value, 3);
	CHECK_ERR(sea_arrow_column_get_run(&batch->columns[0], 10, &value_row, &end), -EINVAL);
	memcpy(ends, (const int32_t[]){ 4, 4, -1 }, 12);
	CHECK_ERR(sea_arrow_batch_check(batch, &error), -EBADMSG);
	CHECK_STR_EQ(error.text, "row 1: the run ends do not rise");
	CHECK_ERR(sea_arrow_column_get_int(&batch->columns[0], 9, &value), -EBADMSG);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	free(memory);
}

TEST(strangers, "a batch of another reader, and rows that are not there, are refused")
{
	uint64_t n_bytes;
	uint8_t *memory = table_write(&n_bytes);
	struct sea_arrow_reader *a, *b;
	struct sea_arrow_batch *batch;
	int64_t value;
	double number;

	CHECK_OK(sea_arrow_reader_new(&a, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_reader_new(&b, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, a));
	CHECK_ERR(sea_arrow_reader_next(b, batch, NULL), -EINVAL);
	CHECK_EQ(sea_arrow_reader_next(a, batch, NULL), 1);
	CHECK_ERR(sea_arrow_column_get_int(&batch->columns[0], TABLE_N_ROWS, &value), -EINVAL);
	CHECK_ERR(sea_arrow_column_get_int(&batch->columns[0], -1, &value), -EINVAL);
	CHECK_ERR(sea_arrow_column_get_int(&batch->columns[8], 0, &value), -EINVAL);
	CHECK_ERR(sea_arrow_column_get_double(&batch->columns[0], 0, &number), -EINVAL);
	/* -128 as a u64. */
	CHECK_ERR(sea_arrow_column_get_int(&batch->columns[7], 0, &value), -ERANGE);
	sea_arrow_reader_free(a);
	sea_arrow_reader_free(b);
	/* After its reader. */
	sea_arrow_batch_free(batch);
	free(memory);
}
