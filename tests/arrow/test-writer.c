/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that are written in place, into memory and into sinks, and what a writer refuses. */
#include <stdlib.h>
#include <string.h>

#include "tables.h"
#include "test.h"

static struct sea_arrow_writer *writer_of(const char *format, struct sea_arrow_field *field)
{
	struct sea_arrow_schema schema = { field, 1, NULL, 0 };
	struct sea_arrow_writer *writer = NULL;

	CHECK_OK(sea_arrow_field_init(field, "a", format));
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	return writer;
}

TEST(all_types, "what is written of every type is what is read, and takes as many bytes as was said")
{
	uint64_t n_bytes;
	void *memory = table_write(&n_bytes);

	table_check_stream(memory, n_bytes, 2);
	free(memory);
}

TEST(schema_kept, "names, types, nullability and metadata of a schema come back as they were")
{
	uint64_t n_bytes;
	void *memory = table_write(&n_bytes);
	struct sea_arrow_reader *reader;
	const struct sea_arrow_schema *schema, *written = table_schema();
	const struct sea_arrow_pair *pair;
	char text[100];

	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	schema = sea_arrow_reader_schema(reader);
	CHECK_EQ(schema->n_fields, TABLE_N_FIELDS);
	for (size_t i = 0; i < schema->n_fields; i++) {
		char a[200], b[200];

		CHECK_STR_EQ(schema->fields[i].name, written->fields[i].name);
		CHECK_EQ(schema->fields[i].is_nullable, 1);
		CHECK_STR_EQ(sea_arrow_field_text(&schema->fields[i], a, sizeof(a)),
		             sea_arrow_field_text(&written->fields[i], b, sizeof(b)));
	}
	pair = sea_arrow_pair_find(schema->metadata, schema->n_metadata, "run");
	CHECK(pair);
	CHECK_STR_EQ(pair->value, "529691");
	pair = sea_arrow_pair_find(schema->fields[0].metadata, schema->fields[0].n_metadata, "unit");
	CHECK(pair);
	CHECK_STR_EQ(pair->value, "counts");
	CHECK_EQ(sea_arrow_schema_find(schema, "dict"), 17);
	CHECK_ERR(sea_arrow_schema_find(schema, "none"), -ENOENT);
	CHECK_STR_EQ(sea_arrow_field_text(&schema->fields[17], text, sizeof(text)), "dictionary<int8, utf8>");
	CHECK_STR_EQ(sea_arrow_field_text(&schema->fields[15], text, sizeof(text)), "timestamp[ms, UTC]");
	CHECK_STR_EQ(sea_arrow_field_text(&schema->fields[19], text, sizeof(text)), "struct<x: float64, name: utf8>");
	sea_arrow_reader_free(reader);
	free(memory);
}

/* A stream of a writer with a batch of one row of int32. @return its memory, to be freed */
static void *one_row(struct sea_arrow_writer *writer, uint64_t *ret_n_bytes)
{
	struct sea_arrow_slot slot = { .n_rows = 1 };
	uint64_t n_batch;
	void *memory;

	CHECK_OK(sea_arrow_writer_batch_size(writer, &slot, 1, &n_batch, NULL));
	*ret_n_bytes = sea_arrow_writer_schema_size(writer) + n_batch + SEA_ARROW_END_N_BYTES;
	memory = table_memory(*ret_n_bytes);
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, *ret_n_bytes));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_OK(sea_arrow_writer_reserve(writer, &slot, 1, NULL));
	*(int32_t *)slot.data = 77;
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	CHECK_OK(sea_arrow_writer_end(writer, NULL, NULL));
	return memory;
}

TEST(metadata_changes, "what a schema says of the whole can change from stream to stream")
{
	char *long_value = calloc(1, 100001);
	const struct sea_arrow_pair pairs[] = { { "timeframe", "4711", 0 },
		                                { "long", long_value, 0 },
		                                { "bytes", "a\0b", 3 } };
	const struct sea_arrow_pair wrong = { "key", NULL, 0 };
	static const size_t counts[] = { 0, 1, 3, 2, 0, 3 };
	struct sea_arrow_field field;
	struct sea_arrow_writer *writer = writer_of("i", &field);

	CHECK(long_value);
	memset(long_value, 'x', 100000);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const struct sea_arrow_schema *schema;
		struct sea_arrow_reader *reader;
		struct sea_arrow_batch *batch;
		uint64_t n_bytes;
		void *memory;

		CHECK_OK(sea_arrow_writer_set_metadata(writer, pairs, counts[i], NULL));
		/* What is refused changes nothing. */
		CHECK_ERR(sea_arrow_writer_set_metadata(writer, &wrong, 1, NULL), -EINVAL);
		CHECK_EQ(sea_arrow_writer_schema(writer)->n_metadata, counts[i]);
		memory = one_row(writer, &n_bytes);
		CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
		schema = sea_arrow_reader_schema(reader);
		CHECK_EQ(schema->n_metadata, counts[i]);
		for (size_t k = 0; k < counts[i]; k++) {
			const size_t n = pairs[k].n_value ? pairs[k].n_value : strlen(pairs[k].value);

			CHECK_STR_EQ(schema->metadata[k].key, pairs[k].key);
			CHECK_EQ(schema->metadata[k].n_value, n);
			CHECK(memcmp(schema->metadata[k].value, pairs[k].value, n) == 0);
		}
		CHECK_OK(sea_arrow_batch_new(&batch, reader));
		CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
		CHECK_EQ(*(const int32_t *)batch->columns[0].data, 77);
		sea_arrow_batch_free(batch);
		sea_arrow_reader_free(reader);
		free(memory);
	}
	/* Its own, of which a part is kept. */
	CHECK_OK(sea_arrow_writer_set_metadata(writer, sea_arrow_writer_schema(writer)->metadata, 1, NULL));
	CHECK_STR_EQ(sea_arrow_writer_schema(writer)->metadata[0].value, "4711");
	sea_arrow_writer_free(writer);
	free(long_value);
}

TEST(metadata_large, "metadata that no reader would take is refused, and the schema says what it said")
{
	const size_t n_large = SEA_ARROW_METADATA_MAX;
	char *large = malloc(n_large + 1);
	const struct sea_arrow_pair small = { "timeframe", "4711", 0 }, pair = { "large", large, n_large };
	struct sea_arrow_field field;
	struct sea_arrow_writer *writer = writer_of("i", &field);
	uint64_t n_schema, n_bytes;
	void *before, *after;

	CHECK(large);
	memset(large, 'x', n_large);
	CHECK_OK(sea_arrow_writer_set_metadata(writer, &small, 1, NULL));
	n_schema = sea_arrow_writer_schema_size(writer);
	before = one_row(writer, &n_bytes);
	CHECK_ERR(sea_arrow_writer_set_metadata(writer, &pair, 1, NULL), -E2BIG);
	CHECK_EQ(sea_arrow_writer_schema_size(writer), n_schema);
	after = one_row(writer, &n_bytes);
	CHECK(memcmp(before, after, n_bytes) == 0);
	sea_arrow_writer_free(writer);
	free(before);
	free(after);
	free(large);
}

TEST(aligned, "every buffer lies at a multiple of 64 bytes, and padding is zero")
{
	struct sea_arrow_field field;
	struct sea_arrow_writer *writer = writer_of("w:64", &field);
	struct sea_arrow_slot slot = { .n_rows = 3, .has_validity = 1 };
	uint64_t n_batch, n_bytes;
	uint8_t *memory;

	CHECK_OK(sea_arrow_writer_batch_size(writer, &slot, 1, &n_batch, NULL));
	n_bytes = sea_arrow_writer_schema_size(writer) + n_batch + 8;
	memory = table_memory(n_bytes);
	CHECK_EQ(sea_arrow_writer_schema_size(writer) % 64, 0);
	CHECK_EQ(n_batch % 64, 0);
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, n_bytes));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_OK(sea_arrow_writer_reserve(writer, &slot, 1, NULL));
	CHECK_EQ((uintptr_t)slot.data % 64, 0);
	CHECK_EQ((uintptr_t)slot.validity % 64, 0);
	CHECK_EQ(slot.validity[0], 0xff);
	memset(slot.data, 1, 3 * 64);
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	/* Three rows: bits behind them are 0, and so are the bytes. */
	CHECK_EQ(slot.validity[0], 0x07);
	for (int i = 1; i < 64; i++)
		CHECK_EQ(slot.validity[i], 0);
	CHECK_OK(sea_arrow_writer_end(writer, NULL, NULL));
	sea_arrow_writer_free(writer);
	free(memory);
}

struct sink {
	uint8_t *memory;
	uint64_t n_bytes, n_max, n_claimed;
	unsigned n_commits;
	int fails_at;
};

static int sink_claim(void **ret_place, uint64_t n_bytes, void *userdata)
{
	struct sink *sink = userdata;

	if (sink->fails_at-- == 0)
		return -ENOMEM;
	CHECK_LE(sink->n_bytes + n_bytes, sink->n_max);
	*ret_place = sink->memory + sink->n_bytes;
	sink->n_claimed = n_bytes;
	return 0;
}

static int sink_commit(void *place, uint64_t n_bytes, void *userdata)
{
	struct sink *sink = userdata;

	CHECK(place == sink->memory + sink->n_bytes);
	CHECK_EQ(n_bytes, sink->n_claimed);
	sink->n_bytes += n_bytes;
	sink->n_commits++;
	return 0;
}

TEST(sink, "a stream into a sink is the same as one into memory")
{
	uint64_t n_bytes, n_written = 0;
	void *memory = table_write(&n_bytes);
	struct sink sink = { .n_max = n_bytes, .fails_at = -1 };
	struct sea_arrow_sink callbacks = { sink_claim, sink_commit, &sink };
	struct sea_arrow_writer *writer;

	sink.memory = table_memory(n_bytes);
	CHECK_OK(sea_arrow_writer_new(&writer, table_schema(), NULL));
	sea_arrow_writer_set_sink(writer, &callbacks);
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	table_write_batch(writer, 1);
	table_write_batch(writer, 0);
	CHECK_OK(sea_arrow_writer_end(writer, &n_written, NULL));
	CHECK_EQ(n_written, n_bytes);
	CHECK_EQ(sink.n_commits, 5);
	table_check_stream(sink.memory, n_bytes, 2);
	/* And again, from the start: the writer is used for one table after the other. */
	sink.n_bytes = 0;
	sink.fails_at = 1;
	sea_arrow_writer_set_sink(writer, &callbacks);
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_ERR(sea_arrow_writer_end(writer, NULL, NULL), -ENOMEM);
	CHECK_OK(sea_arrow_writer_end(writer, NULL, NULL));
	sea_arrow_writer_free(writer);
	free(sink.memory);
	free(memory);
}

TEST(fewer, "a batch that needs fewer rows and bytes than were reserved is as long as was committed")
{
	struct sea_arrow_field field;
	struct sea_arrow_writer *writer = writer_of("u", &field);
	struct sea_arrow_slot slot = { .n_rows = 100, .has_validity = 1, .n_data_bytes = 1000 };
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	uint64_t n_bytes = 8192, n_written;
	uint8_t *memory = table_memory(n_bytes);
	const void *data;
	size_t n;

	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, n_bytes));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_OK(sea_arrow_writer_reserve(writer, &slot, 1, NULL));
	memcpy(slot.data, "abc", 3);
	((int32_t *)slot.offsets)[1] = 1;
	((int32_t *)slot.offsets)[2] = 3;
	slot.n_rows = 2;
	slot.n_data_bytes = 2;
	CHECK_ERR(sea_arrow_writer_commit(writer, NULL), -EINVAL);
	slot.n_data_bytes = 3;
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	CHECK_OK(sea_arrow_writer_end(writer, &n_written, NULL));
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_written, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_EQ(batch->n_rows, 2);
	CHECK_EQ(batch->columns[0].n_nulls, 0);
	CHECK_OK(sea_arrow_column_get_bytes(&batch->columns[0], 1, &data, &n));
	CHECK_EQ(n, 2);
	CHECK_MEM_EQ(data, "bc", 2);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	free(memory);
}

TEST(abort, "what is taken back leaves no trace")
{
	struct sea_arrow_field field;
	struct sea_arrow_writer *writer = writer_of("l", &field);
	struct sea_arrow_slot slot = { .n_rows = 4 };
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	uint64_t n_written;
	uint8_t *memory = table_memory(4096);

	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, 4096));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_OK(sea_arrow_writer_reserve(writer, &slot, 1, NULL));
	CHECK_ERR(sea_arrow_writer_reserve(writer, &slot, 1, NULL), -EPROTO);
	CHECK_ERR(sea_arrow_writer_end(writer, NULL, NULL), -EPROTO);
	sea_arrow_writer_abort(writer);
	CHECK_ERR(sea_arrow_writer_commit(writer, NULL), -EPROTO);
	CHECK_OK(sea_arrow_writer_end(writer, &n_written, NULL));
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_written, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 0);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	free(memory);
}

TEST(order, "a writer used out of turn, or without room, says so and goes on")
{
	struct sea_arrow_field field;
	struct sea_arrow_writer *writer = writer_of("l", &field);
	struct sea_arrow_slot slots[2] = { { .n_rows = 1000 } };
	struct sea_error error = { 0 };
	uint8_t *memory = table_memory(2048);

	CHECK_ERR(sea_arrow_writer_begin(writer, &error), -EPROTO);
	CHECK_STR_EQ(error.text, "neither memory nor a sink was set");
	CHECK_ERR(sea_arrow_writer_set_memory(writer, memory + 8, 64), -EINVAL);
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, 64));
	CHECK_ERR(sea_arrow_writer_begin(writer, &error), -ENOSPC);
	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, 2048));
	CHECK_ERR(sea_arrow_writer_reserve(writer, slots, 1, NULL), -EPROTO);
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	CHECK_ERR(sea_arrow_writer_begin(writer, NULL), -EPROTO);
	CHECK_ERR(sea_arrow_writer_reserve(writer, slots, 2, NULL), -EINVAL);
	CHECK_ERR(sea_arrow_writer_reserve(writer, slots, 1, &error), -ENOSPC);
	slots[0].n_rows = -1;
	CHECK_ERR(sea_arrow_writer_reserve(writer, slots, 1, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "a");
	slots[0].n_rows = 1;
	CHECK_ERR(sea_arrow_writer_reserve_dictionary(writer, 7, 0, slots, 1, NULL), -ENOENT);
	CHECK_OK(sea_arrow_writer_reserve(writer, slots, 1, NULL));
	((int64_t *)slots[0].data)[0] = 5;
	slots[0].n_rows = 100;
	CHECK_ERR(sea_arrow_writer_commit(writer, NULL), -EINVAL);
	slots[0].n_rows = 1;
	CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	CHECK_OK(sea_arrow_writer_end(writer, NULL, NULL));
	CHECK_ERR(sea_arrow_writer_reserve(writer, slots, 1, NULL), -EPROTO);
	sea_arrow_writer_free(writer);
	free(memory);
}

TEST(schemas_refused, "a schema that is none is refused with the path of the field")
{
	struct sea_arrow_field child = { .name = "item", .type = { .id = SEA_ARROW_INT, .bits = 12 } };
	struct sea_arrow_field fields[2] = { { .name = "list", .type = { .id = SEA_ARROW_LIST } } };
	struct sea_arrow_schema schema = { fields, 1, NULL, 0 };
	struct sea_arrow_field deep[70];
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };

	CHECK_ERR(sea_arrow_writer_new(&writer, &schema, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "list");
	fields[0].children = &child;
	fields[0].n_children = 1;
	CHECK_ERR(sea_arrow_writer_new(&writer, &schema, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "list.item");
	child = (struct sea_arrow_field){ .name = "item", .type = { .id = SEA_ARROW_UTF8_VIEW } };
	CHECK_ERR(sea_arrow_writer_new(&writer, &schema, &error), -ENOTSUP);
	for (int i = 0; i < 70; i++) {
		CHECK_OK(sea_arrow_field_init(&deep[i], "d", i < 69 ? "+l" : "l"));
		deep[i].children = i < 69 ? &deep[i + 1] : NULL;
		deep[i].n_children = i < 69;
	}
	schema.fields = deep;
	CHECK_ERR(sea_arrow_writer_new(&writer, &schema, &error), -E2BIG);
	/* One dictionary cannot be of text and of numbers. */
	CHECK_OK(sea_arrow_field_init(&fields[0], "a", "u"));
	CHECK_OK(sea_arrow_field_init(&fields[1], "b", "l"));
	fields[0].index_bits = fields[1].index_bits = 8;
	schema = (struct sea_arrow_schema){ fields, 2, NULL, 0 };
	CHECK_ERR(sea_arrow_writer_new(&writer, &schema, &error), -EINVAL);
	fields[1].dictionary_id = 1;
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, &error));
	sea_arrow_writer_free(writer);
}

TEST(formats, "every format string is read and written again")
{
	static const char *const formats[] = {
		"n",      "b",        "c",   "C",    "s",   "S",    "i",    "I",       "l",
		"L",      "e",        "f",   "g",    "z",   "Z",    "vz",   "u",       "U",
		"vu",     "tdD",      "tdm", "tts",  "ttm", "ttu",  "ttn",  "tDs",     "tDm",
		"tDu",    "tDn",      "tiM", "tiD",  "tin", "+s",   "+l",   "+L",      "+vl",
		"+vL",    "+m",       "+r",  "w:64", "w:0", "+w:3", "tss:", "tsm:UTC", "tsn:Europe/Zurich",
		"d:38,2", "d:9,-2,32"
	};
	static const char *const wrong[] = { "",    "x",     "w:",       "w:-1", "w:64x", "tsx:", "tsm",
		                             "d:1", "d:0,0", "d:5,2,77", "+u",   "+w: 3", "cc",   "+ud:1,0" };
	char text[64];

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct sea_arrow_type type;

		CHECK_OK(sea_arrow_type_parse(formats[i], &type));
		CHECK_EQ(sea_arrow_type_format(&type, text, sizeof(text)), (int)strlen(formats[i]));
		CHECK_STR_EQ(text, formats[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct sea_arrow_type type;

		CHECK_LT(sea_arrow_type_parse(wrong[i], &type), 0);
	}
}
