/* SPDX-License-Identifier: Apache-2.0 */
/* Writes object tables: one batch, a row per version of the object of a column. */
#include <errno.h>
#include <string.h>

#include <sealane/ccdb/table.h>

#include "ccdb/table-layout.h"
#include "ccdb/table-write.h"

static const char *text_of(const struct sea_table_object *object, enum seai_object_field field)
{
	const char *text = NULL;

	switch (field) {
	case SEAI_OBJECT_COLUMN: text = object->column; break;
	case SEAI_OBJECT_PATH: text = object->path; break;
	case SEAI_OBJECT_UUID: text = object->uuid; break;
	case SEAI_OBJECT_HEADERS: text = object->headers; break;
	case SEAI_OBJECT_REASON: text = object->reason; break;
	default: break;
	}
	return text == NULL ? "" : text;
}

static bool field_is_text(size_t field)
{
	return strcmp(seai_object_fields[field].format, "u") == 0;
}

static void slots_init(const struct sea_table_plan *plan, struct sea_arrow_slot slots[SEAI_OBJECT_N_FIELDS])
{
	for (size_t field = 0; field < SEAI_OBJECT_N_FIELDS; field++) {
		slots[field] = (struct sea_arrow_slot){ .n_rows = (int64_t)plan->n_objects };
		for (size_t i = 0; field_is_text(field) && i < plan->n_objects; i++)
			slots[field].n_data_bytes += strlen(text_of(&plan->objects[i], (enum seai_object_field)field));
	}
}

/* Its schema is the same for every plan. */
static int objects_writer_new(struct sea_table_writer *writer, struct sea_error *error)
{
	static const struct sea_arrow_pair metadata = { .key = SEA_TABLE_KEY, .value = SEA_TABLE_KIND_OBJECTS };
	struct sea_arrow_field fields[SEAI_OBJECT_N_FIELDS];
	const struct sea_arrow_schema schema = {
		.fields = fields, .n_fields = SEAI_OBJECT_N_FIELDS, .metadata = &metadata, .n_metadata = 1
	};

	for (size_t i = 0; i < SEAI_OBJECT_N_FIELDS; i++) {
		const int r = sea_arrow_field_init(&fields[i], seai_object_fields[i].name,
		                                   seai_object_fields[i].format);
		if (r < 0)
			return r;
		fields[i].is_nullable = 0;
	}
	return sea_arrow_writer_new(&writer->objects, &schema, error);
}

int seai_table_write_objects_init(struct sea_table_writer *writer, struct sea_error *error)
{
	uint64_t n_bytes;
	int r = writer->objects != NULL ? 0 : objects_writer_new(writer, error);

	if (r < 0)
		return r;
	slots_init(&writer->plan, writer->object_slots);
	r = sea_arrow_writer_batch_size(writer->objects, writer->object_slots, SEAI_OBJECT_N_FIELDS, &n_bytes, error);
	if (r < 0)
		return r;
	writer->objects_n_bytes = sea_arrow_writer_schema_size(writer->objects) + n_bytes + SEA_ARROW_END_N_BYTES;
	return 0;
}

static int text_write(const struct sea_table_plan *plan, enum seai_object_field field, struct sea_arrow_slot *slot)
{
	int32_t *offsets = slot->offsets;
	char *data = slot->data;
	uint64_t offset = 0;

	offsets[0] = 0;
	for (size_t i = 0; i < plan->n_objects; i++) {
		const char *text = text_of(&plan->objects[i], field);
		const size_t n = strlen(text);

		/* The caller has changed it meanwhile. */
		if (n > slot->n_data_bytes - offset)
			return -EINVAL;
		/* Without the zero at its end: where it ends the next offset says. */
		for (size_t k = 0; k < n; k++)
			data[offset + k] = text[k];
		offset += n;
		offsets[i + 1] = (int32_t)offset;
	}
	slot->n_data_bytes = offset;
	return 0;
}

static void numbers_write(const struct sea_table_plan *plan, struct sea_arrow_slot slots[SEAI_OBJECT_N_FIELDS])
{
	int64_t *from = slots[SEAI_OBJECT_VALID_FROM].data, *until = slots[SEAI_OBJECT_VALID_UNTIL].data;
	int64_t *created = slots[SEAI_OBJECT_CREATED].data;
	uint64_t *size = slots[SEAI_OBJECT_SIZE].data;
	int32_t *status = slots[SEAI_OBJECT_STATUS].data, *part = slots[SEAI_OBJECT_PART].data;
	uint8_t *meta = slots[SEAI_OBJECT_META].data;

	for (size_t i = 0; i < plan->n_objects; i++) {
		const struct sea_table_object *object = &plan->objects[i];
		struct sea_meta name;

		from[i] = object->valid_from_ms;
		until[i] = object->valid_until_ms;
		created[i] = object->created_ms;
		size[i] = object->n_bytes;
		status[i] = object->status;
		part[i] = object->part;
		seai_table_meta_of(object, i, &name);
		memcpy(meta + i * SEA_META_N_BYTES, &name, SEA_META_N_BYTES);
	}
}

int sea_table_writer_write_objects(struct sea_table_writer *writer, void *memory, uint64_t n_bytes,
                                   struct sea_error *error)
{
	const struct sea_table_plan *plan = &writer->plan;
	struct sea_arrow_slot slots[SEAI_OBJECT_N_FIELDS];
	int r;

	memcpy(slots, writer->object_slots, sizeof(slots));
	if (!writer->has_plan)
		return sea_error_set(error, -EPROTO, "objects", "the last plan was refused");
	if (n_bytes < writer->objects_n_bytes)
		return sea_error_set(error, -ENOSPC, "objects", "there is room for %llu of %llu bytes",
		                     (unsigned long long)n_bytes, (unsigned long long)writer->objects_n_bytes);
	r = sea_arrow_writer_set_memory(writer->objects, memory, writer->objects_n_bytes);
	if (r < 0)
		return sea_error_set(error, r, "objects", "the memory is not aligned to 64 bytes");
	r = sea_arrow_writer_begin(writer->objects, error);
	if (r == 0)
		r = sea_arrow_writer_reserve(writer->objects, slots, SEAI_OBJECT_N_FIELDS, error);
	if (r < 0)
		return r;
	for (size_t field = 0; field < SEAI_OBJECT_N_FIELDS; field++) {
		if (field_is_text(field) && text_write(plan, (enum seai_object_field)field, &slots[field]) < 0) {
			sea_arrow_writer_abort(writer->objects);
			return sea_error_set(error, -EINVAL, "objects", "the plan has changed");
		}
	}
	numbers_write(plan, slots);
	r = sea_arrow_writer_commit(writer->objects, error);
	return r < 0 ? r : sea_arrow_writer_end(writer->objects, NULL, error);
}
