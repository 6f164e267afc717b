/* SPDX-License-Identifier: Apache-2.0 */
/* The C Data and C Stream Interface: who releases what and when, counted by a consumer and a producer of our own. */
#include <stdlib.h>
#include <string.h>

#include "tables.h"
#include "test.h"

/* The memory of a stream, and how often it was said that nobody uses it any more. */
struct held {
	void *memory;
	uint64_t n_bytes;
	int n_released;
};

static void held_release(void *userdata)
{
	struct held *held = userdata;

	held->n_released++;
	/* A use after that is one of freed memory. */
	free(held->memory);
	held->memory = NULL;
}

static struct sea_arrow_reader *table_reader(struct held *held)
{
	struct sea_arrow_reader *reader = NULL;

	held->memory = table_write(&held->n_bytes);
	CHECK_OK(sea_arrow_reader_new(&reader, held->memory, held->n_bytes, NULL));
	return reader;
}

TEST(schema, "a schema that goes out and comes back is the same, whatever a consumer moved out of it")
{
	const struct sea_arrow_schema *written = table_schema(), *schema;
	struct ArrowSchema out, moved;
	struct sea_arrow_reader *reader;
	char a[200], b[200];

	CHECK_OK(sea_arrow_export_schema(written, &out, NULL));
	CHECK_STR_EQ(out.format, "+s");
	CHECK_EQ(out.n_children, TABLE_N_FIELDS);
	CHECK_STR_EQ(out.children[17]->format, "c");
	CHECK_STR_EQ(out.children[17]->dictionary->format, "u");
	CHECK_STR_EQ(out.children[15]->format, "tsm:UTC");
	moved = *out.children[19];
	out.children[19]->release = NULL;
	out.release(&out);
	CHECK(!out.release);
	CHECK_STR_EQ(moved.name, "struct");
	CHECK_STR_EQ(moved.children[1]->name, "name");
	moved.release(&moved);

	CHECK_OK(sea_arrow_export_schema(written, &out, NULL));
	CHECK_OK(sea_arrow_import_schema(&reader, &out, NULL));
	CHECK(!out.release);
	schema = sea_arrow_reader_schema(reader);
	CHECK_EQ(schema->n_fields, TABLE_N_FIELDS);
	for (size_t i = 0; i < TABLE_N_FIELDS; i++) {
		CHECK_STR_EQ(schema->fields[i].name, written->fields[i].name);
		CHECK_STR_EQ(sea_arrow_field_text(&schema->fields[i], a, sizeof(a)),
		             sea_arrow_field_text(&written->fields[i], b, sizeof(b)));
	}
	CHECK_EQ(schema->n_metadata, 2);
	CHECK_STR_EQ(schema->metadata[1].value, "529691");
	CHECK_STR_EQ(schema->fields[0].metadata[0].key, "unit");
	sea_arrow_reader_free(reader);
}

TEST(stream,
     "the memory of an exported stream is released once, after the stream, its arrays, and what was moved out of them")
{
	struct held held = { 0 };
	struct sea_arrow_reader *reader = table_reader(&held);
	struct ArrowArrayStream stream;
	struct ArrowArray arrays[3], moved;
	struct ArrowSchema schema;

	CHECK_OK(sea_arrow_export_stream(&reader, &stream, held_release, &held, NULL));
	CHECK(!reader);
	CHECK_EQ(stream.get_schema(&stream, &schema), 0);
	schema.release(&schema);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(stream.get_next(&stream, &arrays[i]), 0);
	CHECK(!arrays[2].release);
	CHECK_EQ(arrays[0].length, TABLE_N_ROWS);
	CHECK_EQ(arrays[0].n_children, TABLE_N_FIELDS);
	CHECK(!stream.get_last_error(&stream));
	stream.release(&stream);
	CHECK(!stream.release);
	arrays[1].release(&arrays[1]);
	moved = *arrays[0].children[17];
	arrays[0].children[17]->release = NULL;
	CHECK_EQ(held.n_released, 0);
	arrays[0].release(&arrays[0]);
	CHECK_EQ(held.n_released, 0);
	/* The dictionary is still there: blue, which is the third. */
	CHECK_EQ(((const int8_t *)moved.buffers[1])[0], 2);
	CHECK_MEM_EQ((const char *)moved.dictionary->buffers[2] + 8, "blue", 4);
	moved.release(&moved);
	CHECK_EQ(held.n_released, 1);
}

TEST(stream_error, "an error in an exported stream is one of its errors, with a text")
{
	struct held held = { 0 };
	struct sea_arrow_reader *reader;
	struct ArrowArrayStream stream;
	struct ArrowArray array = { .release = NULL };

	held.memory = table_write(&held.n_bytes);
	CHECK_OK(sea_arrow_reader_new(&reader, held.memory, held.n_bytes - 1000, NULL));
	CHECK_OK(sea_arrow_export_stream(&reader, &stream, held_release, &held, NULL));
	CHECK_EQ(stream.get_next(&stream, &array), 0);
	array.release(&array);
	CHECK_EQ(stream.get_next(&stream, &array), EBADMSG);
	CHECK(strstr(stream.get_last_error(&stream), "cut off"));
	stream.release(&stream);
	CHECK_EQ(held.n_released, 1);
}

/* Writes all of a reader, and gives the stream. */
static void *reader_copy(struct sea_arrow_reader *reader, uint64_t *ret_n_bytes)
{
	void *memory = table_memory(1 << 16);
	struct sea_arrow_writer *writer;
	struct sea_arrow_batch *batch;
	struct sea_error error = { 0 };
	int r;

	CHECK_OK(sea_arrow_writer_new(&writer, sea_arrow_reader_schema(reader), NULL));
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, 1 << 16));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	while ((r = sea_arrow_reader_next(reader, batch, &error)) == 1)
		if (sea_arrow_writer_write(writer, batch, &error) < 0)
			FAIL("%s: %s", error.key, error.text);
	if (r < 0)
		FAIL("%s: %s", error.key, error.text);
	CHECK_OK(sea_arrow_writer_end(writer, ret_n_bytes, NULL));
	sea_arrow_batch_free(batch);
	sea_arrow_writer_free(writer);
	return memory;
}

TEST(there_and_back, "a stream that goes out, comes in and is written is the table that it was")
{
	struct held held = { 0 };
	struct sea_arrow_reader *reader = table_reader(&held), *foreign;
	struct ArrowArrayStream stream;
	uint64_t n_bytes;
	void *memory;

	CHECK_OK(sea_arrow_export_stream(&reader, &stream, held_release, &held, NULL));
	CHECK_OK(sea_arrow_import_stream(&foreign, &stream, NULL));
	CHECK(!stream.release);
	memory = reader_copy(foreign, &n_bytes);
	CHECK_EQ(held.n_released, 0);
	sea_arrow_reader_free(foreign);
	CHECK_EQ(held.n_released, 1);
	table_check_stream(memory, n_bytes, 2);
	free(memory);
}

/* Whether two rows are the same, whatever their columns' encoding. */
static void rows_compare(const struct sea_arrow_column *a, int64_t row_a, const struct sea_arrow_column *b,
                         int64_t row_b)
{
	int r = sea_arrow_column_resolve(a, row_a, &a, &row_a);
	const struct sea_arrow_column *items_a, *items_b;
	int64_t first_a, first_b, n_a, n_b;
	const void *data_a, *data_b;
	size_t size_a, size_b;

	CHECK_EQ(sea_arrow_column_resolve(b, row_b, &b, &row_b), r);
	if (r)
		return;
	if (sea_arrow_column_get_bytes(a, row_a, &data_a, &size_a) == 0) {
		CHECK_OK(sea_arrow_column_get_bytes(b, row_b, &data_b, &size_b));
		CHECK_EQ(size_a, size_b);
		CHECK_MEM_EQ(data_a, data_b, size_a);
	} else if (sea_arrow_column_get_int(a, row_a, &n_a) == 0) {
		CHECK_OK(sea_arrow_column_get_int(b, row_b, &n_b));
		CHECK_EQ(n_a, n_b);
	} else if (sea_arrow_column_get_items(a, row_a, &items_a, &first_a, &n_a) == 0) {
		CHECK_OK(sea_arrow_column_get_items(b, row_b, &items_b, &first_b, &n_b));
		CHECK_EQ(n_a, n_b);
		for (int64_t i = 0; i < n_a; i++)
			rows_compare(items_a, first_a + i, items_b, first_b + i);
	} else {
		CHECK_EQ(a->field->type.id, SEA_ARROW_STRUCT);
		for (size_t i = 0; i < a->n_children; i++)
			rows_compare(&a->children[i], row_a, &b->children[i], row_b);
	}
}

/* Puts rows first to first + n - 1 of the table in, as one array, by what a producer may do: move its beginning. */
static void slice_check(const struct sea_arrow_batch *whole, int64_t first, int64_t n)
{
	struct sea_arrow_reader *foreign, *written;
	struct sea_arrow_batch *batch, *copy;
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };
	struct ArrowSchema schema;
	struct ArrowArray array;
	uint64_t n_bytes;
	void *memory = table_memory(1 << 16);

	CHECK_OK(sea_arrow_export_schema(table_schema(), &schema, NULL));
	CHECK_OK(sea_arrow_import_schema(&foreign, &schema, NULL));
	CHECK_OK(sea_arrow_export_batch(whole, &array, NULL, NULL, NULL));
	array.offset = first;
	array.length = n;
	CHECK_OK(sea_arrow_batch_new(&batch, foreign));
	if (sea_arrow_import_array(foreign, batch, &array, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	CHECK_EQ(batch->n_rows, n);
	CHECK_ERR(sea_arrow_export_batch(batch, &array, NULL, NULL, NULL), -ENOTSUP);
	CHECK_OK(sea_arrow_writer_new(&writer, sea_arrow_reader_schema(foreign), NULL));
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, 1 << 16));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	if (sea_arrow_writer_write(writer, batch, &error) < 0)
		FAIL("rows %d to %d: %s: %s", (int)first, (int)(first + n), error.key, error.text);
	CHECK_OK(sea_arrow_writer_end(writer, &n_bytes, NULL));
	CHECK_OK(sea_arrow_reader_new(&written, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&copy, written));
	CHECK_EQ(sea_arrow_reader_next(written, copy, NULL), 1);
	CHECK_OK(sea_arrow_batch_check(copy, NULL));
	for (size_t i = 0; i < whole->n_columns; i++)
		for (int64_t row = 0; row < n; row++) {
			rows_compare(&whole->columns[i], first + row, &batch->columns[i], row);
			rows_compare(&whole->columns[i], first + row, &copy->columns[i], row);
		}
	sea_arrow_batch_free(copy);
	sea_arrow_reader_free(written);
	sea_arrow_writer_free(writer);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(foreign);
	free(memory);
}

TEST(slices, "arrays that begin anywhere in their buffers are read and written as the rows they are")
{
	struct held held = { 0 };
	struct sea_arrow_reader *reader = table_reader(&held);
	struct sea_arrow_batch *batch;

	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	for (int64_t first = 0; first <= TABLE_N_ROWS; first++)
		for (int64_t n = 0; first + n <= TABLE_N_ROWS; n++)
			slice_check(batch, first, n);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	free(held.memory);
}

TEST(malformed, "a foreign array that is malformed is refused, and released once")
{
	struct held held = { 0 };
	struct sea_arrow_reader *reader = table_reader(&held), *foreign;
	struct sea_arrow_batch *batch, *put;
	struct ArrowSchema schema;
	struct ArrowArray array;

	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_OK(sea_arrow_export_schema(table_schema(), &schema, NULL));
	CHECK_OK(sea_arrow_import_schema(&foreign, &schema, NULL));
	CHECK_OK(sea_arrow_batch_new(&put, foreign));
	for (int what = 0; what < 10; what++) {
		struct held counted = { 0 };
		const void *none = NULL;
		struct ArrowArray *column;
		struct sea_error error = { 0 };

		CHECK_OK(sea_arrow_export_batch(batch, &array, held_release, &counted, NULL));
		column = array.children[12];
		switch (what) {
		case 0: array.length = TABLE_N_ROWS + 1; break;
		case 1: array.null_count = 1; break;
		case 2: column->length = -1; break;
		case 3: column->offset = 1 - INT64_MAX; break;
		case 4: column->n_buffers = 2; break;
		case 5: column->buffers[1] = none; break;
		case 6: column->buffers[2] = none; break;
		case 7: column->null_count = TABLE_N_ROWS + 1; break;
		case 8: array.children[17]->dictionary = NULL; break;
		default: array.children[20]->children[0]->length = 1; break;
		}
		CHECK_ERR(sea_arrow_import_array(foreign, put, &array, &error), -EBADMSG);
		CHECK(error.text[0]);
		CHECK(!array.release);
		CHECK_EQ(counted.n_released, 1);
	}
	sea_arrow_batch_free(put);
	sea_arrow_reader_free(foreign);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	free(held.memory);
}

static int failing_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
	(void)stream;
	(void)out;
	return EIO;
}

static const char *failing_text(struct ArrowArrayStream *stream)
{
	(void)stream;
	return "the disk is gone";
}

static void failing_release(struct ArrowArrayStream *stream)
{
	++*(int *)stream->private_data;
	stream->release = NULL;
}

TEST(foreign_error, "what a foreign stream says is what we say, and it is released")
{
	int n_released = 0;
	struct ArrowArrayStream stream = { .get_schema = failing_schema,
		                           .get_last_error = failing_text,
		                           .release = failing_release,
		                           .private_data = &n_released };
	struct sea_arrow_reader *reader;
	struct sea_error error = { 0 };

	CHECK_ERR(sea_arrow_import_stream(&reader, &stream, &error), -EIO);
	CHECK_STR_EQ(error.text, "the disk is gone");
	CHECK_EQ(n_released, 1);
	CHECK(!stream.release);
}
