/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schemas of other libraries, copied. The interface has no ids of dictionaries: each encoded field gets one of its own.
 *
 * The odd rule: what is in the process is believed to be memory that is there, and nothing else of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/exchange.h>

#include "arrow/fail.h"
#include "arrow/import.h"
#include "arrow/load.h"
#include "arrow/reader.h"
#include "base/cleanup.h"

/* More children than any schema has. */
#define N_CHILDREN_MAX SEA_ARROW_FIELDS_MAX

struct schema_import {
	struct seai_arrow_arena *arena;
	struct sea_error *error;
	size_t n_fields;
	unsigned depth;
	int64_t n_dictionaries;
};

static int import_wrong(const struct schema_import *import, const char *name, int code, const char *text)
{
	if (code == -ENOMEM)
		text = "no memory";
	return SEAI_FAIL(import->error, code, name ? name : "", "%s", text);
}

/* Four bytes of size, which is not negative, and so many bytes. */
static int blob_take(struct seai_arrow_arena *arena, const char **at, const char **ret_copy, size_t *ret_n_bytes)
{
	int32_t n_bytes = seai_load_i32(*at);
	const char *bytes = *at + 4;

	if (n_bytes < 0)
		return -EBADMSG;
	*at = bytes + n_bytes;
	*ret_n_bytes = (size_t)n_bytes;
	return seai_arrow_arena_copy(arena, bytes, (size_t)n_bytes, ret_copy);
}

static int metadata_import(struct seai_arrow_arena *arena, const char *metadata,
                           const struct sea_arrow_pair **ret_pairs, size_t *ret_n_pairs)
{
	struct sea_arrow_pair *pairs;
	int32_t n_pairs = metadata ? seai_load_i32(metadata) : 0;
	void *memory = NULL;
	size_t n_key;
	int r;

	if (n_pairs <= 0)
		return n_pairs < 0 ? -EBADMSG : 0;
	r = seai_arrow_arena_take(arena, (size_t)n_pairs, sizeof(*pairs), &memory);
	pairs = memory;
	metadata += 4;
	for (int32_t i = 0; i < n_pairs && r == 0; i++) {
		r = blob_take(arena, &metadata, &pairs[i].key, &n_key);
		if (r == 0)
			r = blob_take(arena, &metadata, &pairs[i].value, &pairs[i].n_value);
	}
	*ret_pairs = pairs;
	*ret_n_pairs = (size_t)n_pairs;
	return r;
}

/* "+ud:4,7": sea_arrow_type_parse() knows those of 0, 1, 2, ... only. */
static int union_import(struct seai_arrow_arena *arena, const char *format, struct sea_arrow_type *type)
{
	int32_t ids[128];
	size_t n = 0;
	void *memory;
	char *end;
	int r;

	*type = (struct sea_arrow_type){ .id = SEA_ARROW_UNION, .is_dense = format[2] == 'd' };
	for (const char *at = format + 4; *at; at = *end ? end + 1 : end) {
		long id = strtol(at, &end, 10);

		if (end == at || (*end && *end != ',') || id < 0 || id > 127 || n == 128)
			return -EBADMSG;
		ids[n++] = (int32_t)id;
	}
	if (n == 0)
		return 0;
	r = seai_arrow_arena_take(arena, n, sizeof(ids[0]), &memory);
	if (r < 0)
		return r;
	memcpy(memory, ids, n * sizeof(ids[0]));
	type->type_ids = memory;
	type->n_type_ids = n;
	return 0;
}

static int type_import(const struct schema_import *import, const char *format, struct sea_arrow_type *type)
{
	const char *copy;
	int r;

	if (!format)
		return -EBADMSG;
	if (strncmp(format, "+ud:", 4) == 0 || strncmp(format, "+us:", 4) == 0)
		return union_import(import->arena, format, type);
	/* A timezone stays where the format is. */
	r = seai_arrow_arena_copy(import->arena, format, strlen(format), &copy);
	if (r == 0)
		r = sea_arrow_type_parse(copy, type);
	return r == -EINVAL ? -ENOTSUP : r;
}

static int field_import(struct schema_import *import, const struct ArrowSchema *schema, struct sea_arrow_field *field);

static int children_import(struct schema_import *import, const struct ArrowSchema *schema,
                           struct sea_arrow_field *field)
{
	struct sea_arrow_field *children;
	void *memory = NULL;
	int r;

	if (schema->n_children < 0 || (schema->n_children && !schema->children))
		return import_wrong(import, schema->name, -EBADMSG, "its children are missing");
	if ((uint64_t)schema->n_children > N_CHILDREN_MAX - import->n_fields)
		return import_wrong(import, schema->name, -E2BIG, "more than 100000 fields");
	/* The struct that is the schema itself does not count. */
	if (schema->n_children && import->depth > SEA_ARROW_DEPTH_MAX)
		return import_wrong(import, schema->name, -E2BIG, "fields in fields, more than 64 deep");
	import->n_fields += (size_t)schema->n_children;
	r = schema->n_children
	            ? seai_arrow_arena_take(import->arena, (size_t)schema->n_children, sizeof(*children), &memory)
	            : 0;
	if (r < 0)
		return import_wrong(import, schema->name, r, "the schema is too large");
	children = memory;
	field->children = children;
	field->n_children = (size_t)schema->n_children;
	import->depth++;
	for (int64_t i = 0; i < schema->n_children && r == 0; i++)
		r = schema->children[i] ? field_import(import, schema->children[i], &children[i]) : -EBADMSG;
	import->depth--;
	return r;
}

static int field_import(struct schema_import *import, const struct ArrowSchema *schema, struct sea_arrow_field *field)
{
	const struct ArrowSchema *values = schema->dictionary ? schema->dictionary : schema;
	const char *name = schema->name ? schema->name : "";
	struct sea_arrow_type index = { .id = SEA_ARROW_NONE };
	int r;

	if (!schema->release || (values != schema && values->dictionary))
		return import_wrong(import, name, -EBADMSG, "it is released, or a dictionary of a dictionary");
	r = seai_arrow_arena_copy(import->arena, name, strlen(name), &field->name);
	if (r == 0)
		r = type_import(import, values->format, &field->type);
	if (r == 0 && values != schema) {
		r = type_import(import, schema->format, &index);
		if (r == 0 && index.id != SEA_ARROW_INT)
			r = -EBADMSG;
		field->index_bits = index.bits;
		field->index_is_signed = index.is_signed;
		field->is_ordered = (schema->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0;
		field->dictionary_id = import->n_dictionaries++;
	}
	if (r < 0)
		return import_wrong(import, name, r, "its format is unknown, or wrong");
	field->is_nullable = (schema->flags & ARROW_FLAG_NULLABLE) != 0;
	if (field->type.id == SEA_ARROW_MAP)
		field->type.is_sorted = (values->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0;
	r = metadata_import(import->arena, schema->metadata, &field->metadata, &field->n_metadata);
	if (r < 0)
		return import_wrong(import, name, r, "its metadata is malformed or too large");
	return children_import(import, values, field);
}

int seai_import_schema(struct sea_arrow_reader *reader, const struct ArrowSchema *schema, struct sea_error *error)
{
	struct schema_import import = { .arena = &reader->arena, .error = error };
	struct sea_arrow_field whole = { .name = NULL };
	struct sea_error own = { 0 };
	int r = field_import(&import, schema, &whole);

	if (r < 0)
		return r;
	if (whole.type.id != SEA_ARROW_STRUCT || whole.index_bits)
		return SEAI_FAIL(error, -EBADMSG, "", "a schema is a struct of its columns");
	reader->schema = (struct sea_arrow_schema){ whole.children, whole.n_children, whole.metadata,
		                                    whole.n_metadata };
	r = sea_arrow_schema_check(&reader->schema, &own);
	if (r < 0)
		return SEAI_FAIL(error, r == -EINVAL ? -EBADMSG : r, own.key, "%s", own.text);
	reader->is_foreign = true;
	r = seai_reader_prepare(reader);
	return r < 0 ? SEAI_FAIL(error, r, "", "no memory") : 0;
}

static void schema_cleanup(struct ArrowSchema *schema)
{
	if (schema->release)
		schema->release(schema);
}

static void reader_cleanup(struct sea_arrow_reader **reader)
{
	sea_arrow_reader_free(*reader);
}

int sea_arrow_import_schema(struct sea_arrow_reader **ret_reader, struct ArrowSchema *schema, struct sea_error *error)
{
	SEAI_CLEANUP(schema_cleanup) struct ArrowSchema moved = *schema;
	SEAI_CLEANUP(reader_cleanup) struct sea_arrow_reader *reader = seai_reader_alloc();
	int r;

	schema->release = NULL;
	if (!reader)
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	r = seai_import_schema(reader, &moved, error);
	if (r < 0)
		return r;
	*ret_reader = SEAI_TAKE(reader);
	return 0;
}

/* What a foreign stream says, as we say it. */
static int stream_wrong(struct ArrowArrayStream *stream, int r, struct sea_error *error)
{
	const char *text = stream->get_last_error ? stream->get_last_error(stream) : NULL;

	return SEAI_FAIL(error, r > 0 ? -r : -EIO, "", "%s", text ? text : "the foreign stream gives no reason");
}

int sea_arrow_import_stream(struct sea_arrow_reader **ret_reader, struct ArrowArrayStream *stream,
                            struct sea_error *error)
{
	SEAI_CLEANUP(schema_cleanup) struct ArrowSchema schema = { .release = NULL };
	SEAI_CLEANUP(reader_cleanup) struct sea_arrow_reader *reader = seai_reader_alloc();
	int r;

	if (!reader) {
		if (stream->release)
			stream->release(stream);
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	}
	/* The reader releases it from here on. */
	reader->stream = *stream;
	stream->release = NULL;
	if (!reader->stream.release)
		return SEAI_FAIL(error, -EBADMSG, "", "the stream is released");
	r = reader->stream.get_schema(&reader->stream, &schema);
	if (r != 0)
		return stream_wrong(&reader->stream, r, error);
	r = seai_import_schema(reader, &schema, error);
	if (r < 0)
		return r;
	*ret_reader = SEAI_TAKE(reader);
	return 0;
}

int seai_import_next(struct sea_arrow_reader *reader, struct seai_batch *batch, struct sea_error *error)
{
	struct ArrowArray array = { .release = NULL };
	int r;

	if (!reader->stream.release)
		return SEAI_FAIL(error, -EINVAL, "", "this reader has no stream: its arrays are put in");
	r = reader->stream.get_next(&reader->stream, &array);
	if (r != 0)
		return stream_wrong(&reader->stream, r, error);
	if (!array.release) {
		reader->is_ended = true;
		return 0;
	}
	r = sea_arrow_import_array(reader, &batch->batch, &array, error);
	return r < 0 ? r : 1;
}
