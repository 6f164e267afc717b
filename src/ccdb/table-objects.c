/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an object table: copies what is small, and looks for each object's bytes. Its fields are found by their names; more fields
 * than those known are allowed, so that a later version can add some.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/table-writer.h>

#include "base/cleanup.h"
#include "ccdb/table-layout.h"
#include "ccdb/table-read.h"

static void cleanup_batch(struct sea_arrow_batch **batch)
{
	sea_arrow_batch_free(*batch);
}

/* The columns of a batch, in our order. */
struct objects {
	const struct sea_arrow_column *columns[SEAI_OBJECT_N_FIELDS];
};

static int field_find(const struct sea_arrow_schema *schema, size_t field, struct sea_error *error)
{
	const struct seai_object_field_layout *layout = &seai_object_fields[field];
	const int found = sea_arrow_schema_find(schema, layout->name);
	struct sea_arrow_type type;
	const struct sea_arrow_field *is;

	if (found < 0)
		return sea_error_set(error, -EBADMSG, layout->name, "there is no such column");
	is = &schema->fields[found];
	/* Text in a dictionary could be much more than the part that it came in. */
	if (sea_arrow_type_parse(layout->format, &type) < 0 || is->index_bits != 0 || is->type.id != type.id ||
	    is->type.bits != type.bits || is->type.size != type.size || is->type.unit != type.unit ||
	    is->type.is_signed != type.is_signed)
		return sea_error_set(error, -EBADMSG, layout->name, "is of the wrong type");
	return found;
}

static int objects_find(struct objects *objects, const struct sea_arrow_batch *batch,
                        const struct sea_arrow_schema *schema, struct sea_error *error)
{
	for (size_t field = 0; field < SEAI_OBJECT_N_FIELDS; field++) {
		const int found = field_find(schema, field, error);
		int r;

		if (found < 0)
			return found;
		objects->columns[field] = &batch->columns[found];
		r = sea_arrow_column_check(objects->columns[field], error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int64_t number_get(const struct objects *objects, enum seai_object_field field, size_t row, int *r)
{
	int64_t value = 0;

	if (*r == 0)
		*r = sea_arrow_column_get_int(objects->columns[field], (int64_t)row, &value);
	return value;
}

/* Copies a text behind those before it; there is room for all. */
static const char *text_get(const struct objects *objects, enum seai_object_field field, size_t row, char **texts,
                            const char *end, int *r)
{
	const void *data;
	size_t n_bytes;
	char *text = *texts;

	if (*r == 0)
		*r = sea_arrow_column_get_bytes(objects->columns[field], (int64_t)row, &data, &n_bytes);
	if (*r != 0)
		return "";
	if (n_bytes >= (size_t)(end - text) || memchr(data, 0, n_bytes) != NULL) {
		*r = -EBADMSG;
		return "";
	}
	memcpy(text, data, n_bytes);
	text[n_bytes] = 0;
	*texts += n_bytes + 1;
	return text;
}

static int object_get(struct sea_table_object *object, const struct objects *objects, size_t row, char **texts,
                      const char *end)
{
	const void *meta;
	size_t n_bytes;
	int r = 0;

	object->row = (uint32_t)row;
	object->column = text_get(objects, SEAI_OBJECT_COLUMN, row, texts, end, &r);
	object->path = text_get(objects, SEAI_OBJECT_PATH, row, texts, end, &r);
	object->uuid = text_get(objects, SEAI_OBJECT_UUID, row, texts, end, &r);
	object->headers = text_get(objects, SEAI_OBJECT_HEADERS, row, texts, end, &r);
	object->reason = text_get(objects, SEAI_OBJECT_REASON, row, texts, end, &r);
	object->valid_from_ms = number_get(objects, SEAI_OBJECT_VALID_FROM, row, &r);
	object->valid_until_ms = number_get(objects, SEAI_OBJECT_VALID_UNTIL, row, &r);
	object->created_ms = number_get(objects, SEAI_OBJECT_CREATED, row, &r);
	object->status = (int32_t)number_get(objects, SEAI_OBJECT_STATUS, row, &r);
	object->part = (int32_t)number_get(objects, SEAI_OBJECT_PART, row, &r);
	if (r == 0)
		r = sea_arrow_column_get_uint(objects->columns[SEAI_OBJECT_SIZE], (int64_t)row, &object->n_bytes);
	if (r == 0)
		r = sea_arrow_column_get_bytes(objects->columns[SEAI_OBJECT_META], (int64_t)row, &meta, &n_bytes);
	if (r == 0 && n_bytes == sizeof(object->meta))
		memcpy(&object->meta, meta, sizeof(object->meta));
	/* A null is as bad as anything else that is not a value. */
	return r == -ENOMEM ? r : r == 0 ? 0 : -EBADMSG;
}

/* Where its bytes are. */
static int object_locate(struct seai_table_entry *entry, const struct seai_table_parts *parts,
                         const struct sea_table_options *options, struct sea_error *error)
{
	struct sea_table_object *object = &entry->object;
	struct sea_part part = { 0 };
	int r;

	if (object->status < 0 || (object->part != SEA_TABLE_NO_PART &&
	                           (object->part < SEA_TABLE_PART_FIRST_OBJECT || object->status != SEA_TABLE_OK)))
		return sea_error_set(error, -EBADMSG, object->column, "row %u: status %d and part %d cannot be",
		                     object->row, object->status, object->part);
	if (object->status != SEA_TABLE_OK)
		return 0;
	if (object->part != SEA_TABLE_NO_PART) {
		r = seai_table_parts_get(parts, (size_t)object->part, &part);
		if (r < 0)
			return sea_error_set(error, -EBADMSG, object->column, "row %u: there is no part %d",
			                     object->row, object->part);
	} else if (object->n_bytes > 0) {
		if (options->session == NULL)
			return sea_error_set(
				error, -ENOENT, object->column,
				"row %u: its object is not in this message, and there is no session to look in",
				object->row);
		r = sea_meta_hold(options->session, &object->meta, options->timeout_ns, &entry->held);
		if (r == 0)
			r = sea_message_get_part(entry->held, 0, &part);
		if (r < 0)
			return sea_error_set(error, r, object->column, "row %u: its object cannot be had: %s",
			                     object->row, sea_error_text(r));
	}
	if (part.n_bytes != object->n_bytes)
		return sea_error_set(error, -EBADMSG, object->column, "row %u: it has %zu bytes, not %llu", object->row,
		                     part.n_bytes, (unsigned long long)object->n_bytes);
	object->data = part.n_bytes > 0 ? part.data : NULL;
	return 0;
}

static int entries_read(struct sea_table *table, const struct objects *objects, size_t n_texts,
                        const struct seai_table_parts *parts, const struct sea_table_options *options,
                        struct sea_error *error)
{
	char *texts = table->texts;

	for (size_t row = 0; row < table->n_objects; row++) {
		struct seai_table_entry *entry = &table->entries_room[row];
		int64_t column;
		int r = object_get(&entry->object, objects, row, &texts, table->texts + n_texts);

		if (r < 0)
			return sea_error_set(error, r, "", "row %zu is malformed", row);
		column = seai_table_names_find(&table->names, entry->object.column);
		if (column < 0)
			return sea_error_set(error, -EBADMSG, "column", "row %zu: there is no column \"%s\"", row,
			                     entry->object.column);
		entry->object.index = (uint32_t)column;
		entry->object.slot = &entry->pins;
		r = object_locate(entry, parts, options, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int batch_read(struct sea_table *table, const struct sea_arrow_batch *batch,
                      const struct sea_arrow_schema *schema, const struct seai_table_parts *parts,
                      const struct sea_table_options *options, struct sea_error *error)
{
	const enum seai_object_field texts[] = { SEAI_OBJECT_COLUMN, SEAI_OBJECT_PATH, SEAI_OBJECT_UUID,
		                                 SEAI_OBJECT_HEADERS, SEAI_OBJECT_REASON };
	struct objects objects;
	size_t n_texts = 0;
	int r;

	if (batch->n_rows > INT32_MAX)
		return sea_error_set(error, -E2BIG, "", "%lld rows are more than an index can count",
		                     (long long)batch->n_rows);
	r = objects_find(&objects, batch, schema, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		n_texts += objects.columns[texts[i]]->n_data_bytes + (size_t)batch->n_rows;
	table->entries_room = calloc((size_t)batch->n_rows + 1, sizeof(*table->entries_room));
	table->texts = malloc(n_texts + 1);
	if (table->entries_room == NULL || table->texts == NULL)
		return -ENOMEM;
	table->entries = table->entries_room;
	table->n_objects = (size_t)batch->n_rows;
	return entries_read(table, &objects, n_texts, parts, options, error);
}

int seai_table_objects_read(struct sea_table *table, const struct seai_table_parts *parts,
                            const struct sea_table_options *options, struct sea_error *error)
{
	SEAI_CLEANUP(seai_table_stream_close) struct seai_table_stream stream = { 0 };
	SEAI_CLEANUP(cleanup_batch) struct sea_arrow_batch *batch = NULL;
	struct sea_part part;
	int r = seai_table_parts_get(parts, SEA_TABLE_PART_OBJECTS, &part);

	if (r < 0)
		return sea_error_set(error, -EBADMSG, "", "there is no such part");
	r = seai_table_stream_open(&stream, &part, SEA_TABLE_KIND_OBJECTS, error);
	if (r == -ENOENT)
		return error == NULL ? -EBADMSG : (error->code = -EBADMSG);
	if (r == 0)
		r = sea_arrow_batch_new(&batch, stream.reader);
	if (r < 0 || batch == NULL)
		return r;
	r = sea_arrow_reader_next(stream.reader, batch, error);
	if (r == 0)
		return sea_error_set(error, -EBADMSG, "", "there is no batch");
	if (r == 1)
		r = batch_read(table, batch, sea_arrow_reader_schema(stream.reader), parts, options, error);
	if (r == 0)
		r = sea_arrow_reader_next(stream.reader, batch, error);
	return r == 1 ? sea_error_set(error, -EBADMSG, "", "there is more than one batch") : r;
}
