/* SPDX-License-Identifier: Apache-2.0 */
/* A table that was received: found, opened, closed; and what it says about itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ccdb/table-read.h"

#define STREAM_ALIGNMENT 8

/* Its parts. --------------------------------------------------------------------------------- */

int seai_table_parts_get(const struct seai_table_parts *parts, size_t part, struct sea_part *ret_part)
{
	if (part >= parts->n_parts)
		return -EINVAL;
	if (parts->message != NULL)
		return sea_message_get_part(parts->message, parts->first + part, ret_part);
	if (parts->parts == NULL)
		return -EINVAL;
	*ret_part = parts->parts[part];
	return 0;
}

void seai_table_stream_close(struct seai_table_stream *stream)
{
	stream->reader = sea_arrow_reader_free(stream->reader);
	free(SEAI_TAKE(stream->copy));
}

int seai_table_stream_open(struct seai_table_stream *ret_stream, const struct sea_part *part, const char *kind,
                           struct sea_error *error)
{
	SEAI_CLEANUP(seai_table_stream_close) struct seai_table_stream stream = { 0 };
	const struct sea_arrow_pair *pair;
	const struct sea_arrow_schema *schema;
	const void *data = part->data;
	int r;

	if ((uintptr_t)data % STREAM_ALIGNMENT != 0) {
		stream.copy = malloc(part->n_bytes);
		if (stream.copy == NULL)
			return -ENOMEM;
		data = memcpy(stream.copy, data, part->n_bytes);
	}
	r = sea_arrow_reader_new(&stream.reader, data, part->n_bytes, error);
	if (r < 0)
		return r;
	schema = sea_arrow_reader_schema(stream.reader);
	pair = sea_arrow_pair_find(schema->metadata, schema->n_metadata, SEA_TABLE_KEY);
	if (pair == NULL || strcmp(pair->value, kind) != 0)
		return sea_error_set(error, -ENOENT, SEA_TABLE_KEY, "is \"%s\", not \"%s\"",
		                     pair == NULL ? "" : pair->value, kind);
	ret_stream->reader = SEAI_TAKE(stream.reader);
	ret_stream->copy = SEAI_TAKE(stream.copy);
	return 0;
}

int seai_table_error_in(struct sea_error *error, const char *where, int code)
{
	char key[sizeof(((struct sea_error){ 0 }).key)];

	if (error == NULL)
		return code;
	memcpy(key, error->key, sizeof(key));
	(void)snprintf(error->key, sizeof(error->key), "%s%s%.100s", where, *key ? ", " : "", key);
	return code;
}

int sea_table_find(struct sea_message *message, size_t *ret_part)
{
	const size_t n_parts = sea_message_n_parts(message);

	for (size_t i = 0; i + 1 < n_parts; i++) {
		SEAI_CLEANUP(seai_table_stream_close) struct seai_table_stream stream = { 0 };
		static const uint32_t continuation = UINT32_MAX;
		struct sea_part part;

		/* Most parts of a timeframe are not Arrow: they are not even copied to be looked at. */
		if (sea_message_get_part(message, i, &part) < 0 || part.n_bytes < sizeof(continuation) ||
		    memcmp(part.data, &continuation, sizeof(continuation)) != 0)
			continue;
		if (seai_table_stream_open(&stream, &part, SEA_TABLE_KIND_INDEX, NULL) == 0) {
			*ret_part = i;
			return 0;
		}
	}
	return -ENOENT;
}

/* Opening, closing. -------------------------------------------------------------------------- */

struct sea_table *sea_table_close(struct sea_table *table)
{
	if (table == NULL)
		return NULL;
	for (size_t i = 0; i < table->n_objects && table->entries_room != NULL; i++) {
		seai_decoder_unpin(&table->entries_room[i].pins);
		sea_message_unref(table->entries_room[i].held);
	}
	free(table->entries_room);
	free(table->cells_room);
	free(table->first_rows_room);
	free(table->by_meta);
	free(table->texts);
	seai_table_names_fini(&table->names);
	seai_table_stream_close(&table->index);
	sea_message_unref(table->message);
	free(table);
	return NULL;
}

static void cleanup_table(struct sea_table **table)
{
	sea_table_close(*table);
}

/* A part is a table, but of the wrong kind: as bad as any other malformed one. */
static int table_error(struct sea_error *error, const char *where, int code)
{
	if (code == -ENOENT && error != NULL)
		error->code = -EBADMSG;
	return seai_table_error_in(error, where, code == -ENOENT ? -EBADMSG : code);
}

int seai_table_open_parts(struct sea_table **ret_table, const struct seai_table_parts *parts,
                          const struct sea_table_options *options, struct sea_error *error)
{
	SEAI_CLEANUP(cleanup_table) struct sea_table *table = calloc(1, sizeof(*table));
	static const struct sea_table_options none;
	struct sea_part part;
	int r;

	if (table == NULL)
		return -ENOMEM;
	if (error != NULL)
		*error = (struct sea_error){ 0 };
	if (options == NULL)
		options = &none;
	if (memcmp(options->reserved, none.reserved, sizeof(none.reserved)) != 0)
		return sea_error_set(error, -EINVAL, "options", "a member that is not known is not 0");
	r = seai_table_parts_get(parts, 0, &part);
	if (r < 0)
		return sea_error_set(error, r, "index", "there is no such part");
	r = seai_table_stream_open(&table->index, &part, SEA_TABLE_KIND_INDEX, error);
	if (r == 0)
		r = seai_table_index_read_schema(table, error);
	if (r < 0)
		return table_error(error, "index", r);
	r = seai_table_objects_read(table, parts, options, error);
	if (r < 0)
		return seai_table_error_in(error, "objects", r);
	r = seai_table_index_read(table, error);
	if (r < 0)
		return table_error(error, "index", r);
	*ret_table = SEAI_TAKE(table);
	return 0;
}

int sea_table_open(struct sea_table **ret_table, struct sea_message *message, size_t part,
                   const struct sea_table_options *options, struct sea_error *error)
{
	const size_t n_parts = sea_message_n_parts(message);
	const struct seai_table_parts parts = { .message = message,
		                                .first = part,
		                                .n_parts = part < n_parts ? n_parts - part : 0 };
	struct sea_table *table = NULL;
	const int r = seai_table_open_parts(&table, &parts, options, error);

	if (table == NULL)
		return r;
	table->message = sea_message_ref(message);
	*ret_table = table;
	return 0;
}

/* What it says about itself. ----------------------------------------------------------------- */

int64_t sea_table_n_rows(const struct sea_table *table)
{
	return table->n_rows;
}

size_t sea_table_n_columns(const struct sea_table *table)
{
	return table->n_columns;
}

size_t sea_table_n_batches(const struct sea_table *table)
{
	return table->n_batches;
}

size_t sea_table_n_objects(const struct sea_table *table)
{
	return table->n_objects;
}

int64_t sea_table_batch_row(const struct sea_table *table, size_t batch)
{
	return batch <= table->n_batches ? table->first_rows[batch] : -EINVAL;
}

const struct sea_arrow_schema *sea_table_schema(const struct sea_table *table)
{
	return sea_arrow_reader_schema(table->index.reader);
}

int sea_table_find_column(const struct sea_table *table, const char *name)
{
	return (int)seai_table_names_find(&table->names, name);
}

const char *sea_table_column_name(const struct sea_table *table, size_t column)
{
	return column < table->n_columns ? sea_table_schema(table)->fields[column].name : NULL;
}

const char *sea_table_column_paths(const struct sea_table *table, size_t column)
{
	const struct sea_arrow_field *field;
	const struct sea_arrow_pair *pair;

	if (column >= table->n_columns)
		return NULL;
	field = &sea_table_schema(table)->fields[column];
	pair = sea_arrow_pair_find(field->metadata, field->n_metadata, SEA_TABLE_KEY_PATHS);
	return pair == NULL ? NULL : pair->value;
}

const char *sea_table_metadata(const struct sea_table *table, const char *key)
{
	const struct sea_arrow_schema *schema = sea_table_schema(table);
	const struct sea_arrow_pair *pair = sea_arrow_pair_find(schema->metadata, schema->n_metadata, key);

	return pair == NULL ? NULL : pair->value;
}

const struct sea_table_object *sea_table_get_object(const struct sea_table *table, size_t row)
{
	return row < table->n_objects ? &table->entries[row].object : NULL;
}
