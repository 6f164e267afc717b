/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: messages one after the other, the schema first, dictionaries before what uses them.
 *
 * The odd rule: a dictionary that is replaced or gets longer stays as it was, as another piece, until the reader is freed: batches that
 * were read before go on with it.
 */
#include "arrow/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/fail.h"
#include "arrow/schema-read.h"
#include "base/cleanup.h"

#define CONTINUATION UINT32_C(0xffffffff)
#define FILE_MAGIC "ARROW1"
#define FILE_MAGIC_N_BYTES 6
#define FILE_HEAD_N_BYTES 8
/* At the end of a file: the size of the footer, and the magic. */
#define FILE_TAIL_N_BYTES 10
#define FOOTER_SCHEMA 1

static int reader_wrong(const struct sea_arrow_reader *reader, int code, const char *text, struct sea_error *error)
{
	char key[64];

	snprintf(key, sizeof(key), "message %" PRIu64, reader->n_messages);
	return SEAI_FAIL(error, code, key, "%s", text);
}

struct sea_arrow_reader *seai_reader_alloc(void)
{
	struct sea_arrow_reader *reader = calloc(1, sizeof(*reader));

	if (reader)
		seai_arrow_arena_init(&reader->arena, SEAI_SCHEMA_N_BYTES_MAX);
	return reader;
}

int seai_reader_prepare(struct sea_arrow_reader *reader)
{
	int r = seai_tree_init(&reader->tree, reader->schema.fields, reader->schema.n_fields);

	if (r == 0)
		r = seai_dictionaries_init(&reader->dictionaries, &reader->schema, &reader->tree);
	if (r == 0 && reader->dictionaries.n_items) {
		reader->states = calloc(reader->dictionaries.n_items, sizeof(*reader->states));
		r = reader->states ? 0 : -ENOMEM;
	}
	return r;
}

void seai_pieces_free(struct seai_piece *pieces)
{
	while (pieces) {
		struct seai_piece *piece = pieces;

		pieces = piece->next;
		free(piece->columns);
		free(piece->variadic.buffers);
		free(piece);
	}
}

struct sea_arrow_reader *sea_arrow_reader_free(struct sea_arrow_reader *reader)
{
	if (!reader)
		return NULL;
	if (reader->stream.release)
		reader->stream.release(&reader->stream);
	seai_pieces_free(reader->pieces);
	free(reader->states);
	seai_dictionaries_fini(&reader->dictionaries);
	seai_tree_fini(&reader->tree);
	seai_arrow_arena_fini(&reader->arena);
	free(reader);
	return NULL;
}

static void reader_cleanup(struct sea_arrow_reader **reader)
{
	sea_arrow_reader_free(*reader);
}

/* Where the metadata of the next message lies. @return 1; 0 the end; -EBADMSG */
static int envelope_read(struct sea_arrow_reader *reader, uint32_t *ret_n_metadata, struct sea_error *error)
{
	uint64_t n_left = reader->n_bytes - reader->at;
	const uint8_t *place = reader->memory + reader->at;
	uint32_t n_prefix = 4, n_metadata;

	/* A stream may just end. */
	if (n_left == 0)
		return 0;
	if (n_left < 4)
		return reader_wrong(reader, -EBADMSG, "the stream is cut off in front of a message", error);
	n_metadata = seai_load_u32(place);
	if (n_metadata == CONTINUATION) {
		if (n_left < 8)
			return reader_wrong(reader, -EBADMSG, "the stream is cut off in front of a message", error);
		n_metadata = seai_load_u32(place + 4);
		n_prefix = 8;
	}
	reader->at += n_prefix;
	if (n_metadata == 0)
		return 0;
	if (n_metadata > SEA_ARROW_METADATA_MAX)
		return reader_wrong(reader, -EBADMSG, "this is no Arrow stream, or metadata of more than 16 MiB",
		                    error);
	if (n_metadata > n_left - n_prefix)
		return reader_wrong(reader, -EBADMSG, "the stream is cut off in the metadata of a message", error);
	*ret_n_metadata = n_metadata;
	return 1;
}

/* The next message, and moves behind it. @return 1; 0 the end; an error */
static int message_read(struct sea_arrow_reader *reader, struct seai_message *message, uint8_t *ret_type,
                        struct seai_flat_table *ret_header, struct sea_error *error)
{
	uint32_t n_metadata = 0;
	int64_t n_body = 0;
	int16_t version = 0;
	int r = envelope_read(reader, &n_metadata, error);

	if (r <= 0) {
		reader->is_ended = r == 0;
		return r;
	}
	r = seai_flat_root(reader->memory + reader->at, n_metadata, &message->table);
	if (r >= 0)
		r = seai_flat_i16(&message->table, MESSAGE_VERSION, 0, &version);
	if (r >= 0 && (version < METADATA_V4 || version > METADATA_V5))
		return reader_wrong(reader, -ENOTSUP, "metadata of a version other than 4 and 5", error);
	if (r >= 0)
		r = seai_flat_i64(&message->table, MESSAGE_BODY_LENGTH, 0, &n_body);
	if (r >= 0)
		r = seai_flat_u8(&message->table, MESSAGE_HEADER_TYPE, 0, ret_type);
	if (r >= 0)
		r = seai_flat_sub(&message->table, MESSAGE_HEADER, ret_header);
	if (r < 0)
		return reader_wrong(reader, -EBADMSG, "the metadata leads outside of itself", error);
	if (r == 0)
		return reader_wrong(reader, -EBADMSG, "the message has no header", error);
	reader->at += n_metadata;
	if (n_body < 0 || (uint64_t)n_body > reader->n_bytes - reader->at)
		return reader_wrong(reader, -EBADMSG, "the stream is cut off in the body of a message", error);
	if (reader->at % 8 != 0 && n_body)
		return reader_wrong(reader, -EBADMSG, "the body of a message is not aligned to 8 bytes", error);
	message->body = reader->memory + reader->at;
	message->n_body = (uint64_t)n_body;
	message->number = reader->n_messages;
	message->version = version;
	reader->at += (uint64_t)n_body;
	return 1;
}

/* Tells encoded columns which dictionaries they are of now. */
static void columns_bind(const struct sea_arrow_reader *reader, const struct seai_tree *tree,
                         struct sea_arrow_column *columns)
{
	if (reader->dictionaries.n_items == 0)
		return;
	for (size_t i = 0; i < tree->n_nodes; i++)
		if (tree->nodes[i].dictionary != SEAI_NO_DICTIONARY)
			columns[tree->nodes[i].column].dictionary = reader->states[tree->nodes[i].dictionary].latest;
}

static int piece_add(struct sea_arrow_reader *reader, const struct seai_message *message, uint32_t at, bool is_delta,
                     const struct seai_flat_table *data, struct sea_error *error)
{
	const struct seai_dictionary *dictionary = &reader->dictionaries.items[at];
	struct seai_dictionary_state *state = &reader->states[at];
	struct seai_piece *piece = calloc(1, sizeof(*piece));
	const struct sea_arrow_column *previous = is_delta ? state->latest : NULL;
	int64_t n_rows;
	int r;

	if (!piece)
		return reader_wrong(reader, -ENOMEM, "no memory", error);
	/* In the list it is freed with the reader, also when it turns out malformed. */
	piece->next = reader->pieces;
	reader->pieces = piece;
	piece->columns = seai_tree_columns(&dictionary->tree);
	if (!piece->columns)
		return reader_wrong(reader, -ENOMEM, "no memory", error);
	r = seai_batch_read(message, data, &dictionary->tree, piece->columns, &piece->variadic, &n_rows, error);
	if (r < 0)
		return r;
	columns_bind(reader, &dictionary->tree, piece->columns);
	piece->columns->version = seai_dictionary_version();
	if (previous) {
		piece->columns->previous = previous;
		piece->columns->first_row = previous->first_row + previous->n_rows;
	}
	state->latest = piece->columns;
	state->n_pieces = previous ? state->n_pieces + 1 : 1;
	return 0;
}

static int dictionary_read(struct sea_arrow_reader *reader, const struct seai_message *message,
                           const struct seai_flat_table *table, struct sea_error *error)
{
	struct seai_flat_table data;
	uint8_t is_delta = 0;
	int64_t id = 0;
	uint32_t at;
	int r = seai_flat_i64(table, DICTIONARY_BATCH_ID, 0, &id);

	if (r >= 0)
		r = seai_flat_u8(table, DICTIONARY_BATCH_IS_DELTA, 0, &is_delta);
	if (r >= 0)
		r = seai_flat_sub(table, DICTIONARY_BATCH_DATA, &data);
	if (r <= 0)
		return reader_wrong(reader, -EBADMSG, "the metadata leads outside of itself", error);
	at = seai_dictionaries_find(&reader->dictionaries, id);
	if (at == SEAI_NO_DICTIONARY)
		return reader_wrong(reader, -EBADMSG, "a dictionary that no field has", error);
	if (is_delta && reader->states[at].n_pieces >= SEA_ARROW_DELTAS_MAX)
		return reader_wrong(reader, -E2BIG, "a dictionary in more than 1024 pieces", error);
	return piece_add(reader, message, at, is_delta != 0, &data, error);
}

/* Finds where the messages of a file end: in front of its footer. */
static int file_bound(struct sea_arrow_reader *reader, struct sea_error *error)
{
	const uint8_t *end = reader->memory + reader->n_bytes;
	uint32_t n_footer;

	if (reader->n_bytes < FILE_HEAD_N_BYTES || memcmp(reader->memory, FILE_MAGIC, FILE_MAGIC_N_BYTES) != 0)
		return 0;
	if (reader->n_bytes < FILE_HEAD_N_BYTES + FILE_TAIL_N_BYTES ||
	    memcmp(end - FILE_MAGIC_N_BYTES, FILE_MAGIC, FILE_MAGIC_N_BYTES) != 0)
		return reader_wrong(reader, -EBADMSG, "the file is cut off: its end is missing", error);
	n_footer = seai_load_u32(end - FILE_TAIL_N_BYTES);
	if (n_footer > reader->n_bytes - FILE_HEAD_N_BYTES - FILE_TAIL_N_BYTES)
		return reader_wrong(reader, -EBADMSG, "the footer of the file is larger than the file", error);
	reader->n_bytes -= FILE_TAIL_N_BYTES + n_footer;
	reader->n_footer = n_footer;
	reader->at = FILE_HEAD_N_BYTES;
	return 0;
}

/* Some writers of files leave the schema to the footer. Its first message is then the first to read again. */
static int footer_read(struct sea_arrow_reader *reader, struct seai_flat_table *ret_schema, struct sea_error *error)
{
	struct seai_flat_table footer;
	int r = seai_flat_root(reader->memory + reader->n_bytes, reader->n_footer, &footer);

	if (r == 1)
		r = seai_flat_sub(&footer, FOOTER_SCHEMA, ret_schema);
	if (r != 1)
		return reader_wrong(reader, -EBADMSG, "neither the beginning nor the footer of the file has a schema",
		                    error);
	reader->at = FILE_HEAD_N_BYTES;
	return 0;
}

static int schema_read(struct sea_arrow_reader *reader, struct sea_error *error)
{
	struct seai_flat_table header;
	struct seai_message message;
	struct sea_error own = { 0 };
	uint8_t type = 0;
	char key[sizeof(own.key) + 16];
	int r = message_read(reader, &message, &type, &header, error);

	if (reader->n_footer && (r == 0 || (r == 1 && type != HEADER_SCHEMA))) {
		reader->is_ended = r == 0;
		r = footer_read(reader, &header, error);
		if (r < 0)
			return r;
	} else if (r == 0) {
		return reader_wrong(reader, -EBADMSG, "the stream is empty", error);
	} else if (r < 0) {
		return r;
	} else if (type != HEADER_SCHEMA) {
		return reader_wrong(reader, -EBADMSG, "the stream does not begin with a schema", error);
	} else {
		reader->n_messages++;
	}
	r = seai_schema_read(&reader->arena, &header, &reader->schema, &own);
	if (r < 0) {
		snprintf(key, sizeof(key), "message 0%s%s", own.key[0] ? ", " : "", own.key);
		return SEAI_FAIL(error, r, key, "%s", own.text);
	}
	r = seai_reader_prepare(reader);
	return r < 0 ? reader_wrong(reader, r, "no memory", error) : 0;
}

int sea_arrow_reader_new(struct sea_arrow_reader **ret_reader, const void *memory, uint64_t n_bytes,
                         struct sea_error *error)
{
	SEAI_CLEANUP(reader_cleanup) struct sea_arrow_reader *reader = NULL;
	static const uint8_t nothing[8];
	int r;

	if ((uintptr_t)memory % 8 != 0)
		return SEAI_FAIL(error, -EINVAL, "", "the memory is not aligned to 8 bytes");
	reader = seai_reader_alloc();
	if (!reader)
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	/* Nothing is a stream of no bytes, which lies somewhere. */
	reader->memory = memory ? memory : nothing;
	reader->n_bytes = memory ? n_bytes : 0;
	r = file_bound(reader, error);
	if (r == 0)
		r = schema_read(reader, error);
	if (r < 0)
		return r;
	*ret_reader = SEAI_TAKE(reader);
	return 0;
}

const struct sea_arrow_schema *sea_arrow_reader_schema(const struct sea_arrow_reader *reader)
{
	return &reader->schema;
}

uint64_t sea_arrow_reader_position(const struct sea_arrow_reader *reader)
{
	return reader->at;
}

int sea_arrow_batch_new(struct sea_arrow_batch **ret_batch, const struct sea_arrow_reader *reader)
{
	struct seai_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	batch->batch.columns = seai_tree_columns(&reader->tree);
	if (!batch->batch.columns) {
		free(batch);
		return -ENOMEM;
	}
	batch->batch.n_columns = reader->schema.n_fields;
	batch->batch.is_foreign = reader->is_foreign;
	batch->reader = reader;
	batch->tree = &reader->tree;
	*ret_batch = &batch->batch;
	return 0;
}

void seai_batch_clear(struct seai_batch *batch)
{
	batch->batch.n_rows = 0;
	if (batch->array.release)
		batch->array.release(&batch->array);
	batch->array.release = NULL;
	seai_pieces_free(batch->pieces);
	batch->pieces = NULL;
}

struct sea_arrow_batch *sea_arrow_batch_free(struct sea_arrow_batch *batch)
{
	struct seai_batch *whole = (struct seai_batch *)batch;

	if (!batch)
		return NULL;
	seai_batch_clear(whole);
	free(batch->columns);
	free(whole->variadic.buffers);
	free(whole);
	return NULL;
}

/* The next batch of a stream in memory, dictionaries on the way. @return 1; 0; an error */
static int stream_next(struct sea_arrow_reader *reader, struct seai_batch *batch, struct sea_error *error)
{
	for (;;) {
		struct seai_flat_table header;
		struct seai_message message;
		uint8_t type = 0;
		int r = message_read(reader, &message, &type, &header, error);

		if (r <= 0)
			return r;
		if (type == HEADER_RECORD_BATCH) {
			r = seai_batch_read(&message, &header, &reader->tree, batch->batch.columns, &batch->variadic,
			                    &batch->batch.n_rows, error);
			if (r < 0)
				return r;
			columns_bind(reader, &reader->tree, batch->batch.columns);
			reader->n_messages++;
			return 1;
		}
		if (type == HEADER_SCHEMA)
			return reader_wrong(reader, -EBADMSG, "a second schema", error);
		if (type != HEADER_DICTIONARY_BATCH)
			return reader_wrong(reader, -ENOTSUP, "a message that is no batch: tensors are not read",
			                    error);
		r = dictionary_read(reader, &message, &header, error);
		if (r < 0)
			return r;
		reader->n_messages++;
	}
}

int sea_arrow_reader_next(struct sea_arrow_reader *reader, struct sea_arrow_batch *batch, struct sea_error *error)
{
	struct seai_batch *whole = (struct seai_batch *)batch;
	int r;

	if (whole->reader != reader)
		return SEAI_FAIL(error, -EINVAL, "", "the batch was made for another reader");
	seai_batch_clear(whole);
	if (reader->failed) {
		if (error)
			*error = reader->failure;
		return reader->failed;
	}
	if (reader->is_ended)
		return 0;
	r = reader->is_foreign ? seai_import_next(reader, whole, &reader->failure)
	                       : stream_next(reader, whole, &reader->failure);
	if (r <= 0) {
		/* What was filled in before the error was found is not left in sight. */
		for (size_t i = 0; i < reader->tree.n_nodes; i++)
			batch->columns[i].n_rows = 0;
		batch->n_rows = 0;
	}
	if (r < 0) {
		reader->failed = r;
		if (error)
			*error = reader->failure;
	}
	return r;
}

int sea_arrow_batch_check(const struct sea_arrow_batch *batch, struct sea_error *error)
{
	int r = 0;

	for (size_t i = 0; i < batch->n_columns && r == 0; i++)
		r = sea_arrow_column_check(&batch->columns[i], error);
	return r;
}
