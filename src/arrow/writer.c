/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams written in place: reserve, fill, commit.
 *
 * The odd rule: the metadata of a batch, which stands in front of its body, is written last, at the commit: until then a reader finds
 * nothing there, and what was reserved can be taken back.
 */
#include "arrow/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/batch.h"
#include "arrow/fail.h"
#include "arrow/load.h"
#include "arrow/schema-read.h"
#include "base/cleanup.h"

/* The first field whose type cannot be written. */
static const struct sea_arrow_field *field_unwritable(const struct sea_arrow_field *fields, size_t n_fields)
{
	const struct sea_arrow_field *found = NULL;

	for (size_t i = 0; i < n_fields && !found; i++)
		found = fields[i].type.id >= SEA_ARROW_BINARY_VIEW
		                ? &fields[i]
		                : field_unwritable(fields[i].children, fields[i].n_children);
	return found;
}

struct sea_arrow_writer *sea_arrow_writer_free(struct sea_arrow_writer *writer)
{
	if (!writer)
		return NULL;
	for (size_t i = 0; writer->values && i < writer->dictionaries.n_items; i++)
		free(writer->values[i].template.bytes);
	free(writer->values);
	free(writer->written);
	free(writer->batch.template.bytes);
	seai_schema_message_fini(&writer->schema_message);
	free(writer->spans);
	free(writer->now);
	seai_dictionaries_fini(&writer->dictionaries);
	seai_tree_fini(&writer->tree);
	seai_arrow_arena_fini(&writer->metadata_arena);
	seai_arrow_arena_fini(&writer->arena);
	free(writer);
	return NULL;
}

static void writer_cleanup(struct sea_arrow_writer **writer)
{
	sea_arrow_writer_free(*writer);
}

/* All that follows from the fields. @return 0; -E2BIG; -ENOMEM */
static int writer_prepare(struct sea_arrow_writer *writer)
{
	size_t n_buffers, n_dictionaries;
	int r = seai_tree_init(&writer->tree, writer->schema.fields, writer->schema.n_fields);

	if (r == 0)
		r = seai_dictionaries_init(&writer->dictionaries, &writer->schema, &writer->tree);
	if (r == 0)
		r = seai_schema_message_init(&writer->schema_message, writer->schema.fields, writer->schema.n_fields);
	if (r == 0)
		r = seai_template_batch(&writer->batch.template, &writer->tree);
	if (r < 0)
		return r;
	writer->batch.tree = &writer->tree;
	n_buffers = writer->tree.n_buffers + 1;
	n_dictionaries = writer->dictionaries.n_items;
	writer->values = calloc(n_dictionaries + 1, sizeof(*writer->values));
	writer->written = calloc(n_dictionaries + 1, sizeof(*writer->written));
	if (!writer->values || !writer->written)
		return -ENOMEM;
	for (size_t i = 0; i < n_dictionaries && r == 0; i++) {
		const struct seai_dictionary *dictionary = &writer->dictionaries.items[i];

		writer->values[i].tree = &dictionary->tree;
		r = seai_template_dictionary(&writer->values[i].template, &dictionary->tree, dictionary->id);
		if (dictionary->tree.n_buffers > n_buffers)
			n_buffers = dictionary->tree.n_buffers;
	}
	writer->spans = calloc(n_buffers, sizeof(*writer->spans));
	writer->now = calloc(n_buffers, sizeof(*writer->now));
	return r == 0 && !(writer->spans && writer->now) ? -ENOMEM : r;
}

int sea_arrow_writer_new(struct sea_arrow_writer **ret_writer, const struct sea_arrow_schema *schema,
                         struct sea_error *error)
{
	SEAI_CLEANUP(writer_cleanup) struct sea_arrow_writer *writer = NULL;
	const struct sea_arrow_field *unwritable;
	int r = sea_arrow_schema_check(schema, error);

	if (r < 0)
		return r;
	unwritable = field_unwritable(schema->fields, schema->n_fields);
	if (unwritable)
		return SEAI_FAIL(error, -ENOTSUP, unwritable->name ? unwritable->name : "",
		                 "its type is only read here, not written");
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	seai_arrow_arena_init(&writer->arena, SEAI_SCHEMA_N_BYTES_MAX);
	writer->schema = *schema;
	writer->schema.metadata = NULL;
	writer->schema.n_metadata = 0;
	r = seai_fields_copy(&writer->arena, schema->fields, schema->n_fields, &writer->schema.fields);
	if (r == 0)
		r = writer_prepare(writer);
	if (r < 0)
		return SEAI_FAIL(error, r, "", r == -E2BIG ? "the schema is too large" : "no memory");
	r = sea_arrow_writer_set_metadata(writer, schema->metadata, schema->n_metadata, error);
	if (r < 0)
		return r;
	*ret_writer = SEAI_TAKE(writer);
	return 0;
}

/* Whether a schema says these pairs of the whole already. */
static bool metadata_is(const struct sea_arrow_schema *schema, const struct sea_arrow_pair *metadata, size_t n_metadata)
{
	if (schema->n_metadata != n_metadata)
		return false;
	for (size_t i = 0; i < n_metadata; i++) {
		const struct sea_arrow_pair *said = &schema->metadata[i], *pair = &metadata[i];
		size_t n_value = pair->n_value ? pair->n_value : strlen(pair->value);

		if (strcmp(said->key, pair->key) != 0 || said->n_value != n_value ||
		    memcmp(said->value, pair->value, n_value) != 0)
			return false;
	}
	return true;
}

int sea_arrow_writer_set_metadata(struct sea_arrow_writer *writer, const struct sea_arrow_pair *metadata,
                                  size_t n_metadata, struct sea_error *error)
{
	struct seai_arrow_arena arena;
	const struct sea_arrow_pair *copy = NULL;
	int r;

	for (size_t i = 0; i < n_metadata; i++)
		if (!metadata[i].key || !metadata[i].value)
			return SEAI_FAIL(error, -EINVAL, "", "a key or value of its metadata is missing");
	if (metadata_is(&writer->schema, metadata, n_metadata))
		return 0;
	/* What is given may be what it says now. */
	seai_arrow_arena_init(&arena, SEAI_SCHEMA_N_BYTES_MAX);
	r = seai_pairs_copy(&arena, metadata, n_metadata, &copy);
	if (r == 0)
		r = seai_schema_message_set_metadata(&writer->schema_message, copy, n_metadata);
	if (r < 0) {
		seai_arrow_arena_fini(&arena);
		(void)seai_schema_message_set_metadata(&writer->schema_message, writer->schema.metadata,
		                                       writer->schema.n_metadata);
		return SEAI_FAIL(error, r, "", r == -E2BIG ? "the schema's metadata is too large" : "no memory");
	}
	seai_arrow_arena_fini(&writer->metadata_arena);
	writer->metadata_arena = arena;
	writer->schema.metadata = copy;
	writer->schema.n_metadata = n_metadata;
	return 0;
}

const struct sea_arrow_schema *sea_arrow_writer_schema(const struct sea_arrow_writer *writer)
{
	return &writer->schema;
}

uint64_t sea_arrow_writer_schema_size(const struct sea_arrow_writer *writer)
{
	return seai_schema_message_size(&writer->schema_message);
}

size_t sea_arrow_writer_n_slots(const struct sea_arrow_writer *writer)
{
	return writer->tree.n_nodes;
}

int seai_writer_find(const struct sea_arrow_writer *writer, int64_t dictionary_id, struct sea_error *error)
{
	uint32_t at = seai_dictionaries_find(&writer->dictionaries, dictionary_id);

	if (at == SEAI_NO_DICTIONARY)
		return SEAI_FAIL(error, -ENOENT, "", "no field has the dictionary %" PRId64, dictionary_id);
	return (int)at;
}

static int shape_size(const struct sea_arrow_writer *writer, const struct seai_shape *shape,
                      const struct sea_arrow_slot *slots, size_t n_slots, uint64_t *ret_n_bytes,
                      struct sea_error *error)
{
	uint64_t n_body;
	int r = seai_spans_plan(shape->tree, slots, n_slots, writer->now, &n_body, error);

	if (r == 0)
		*ret_n_bytes = shape->template.n_bytes + n_body;
	return r;
}

int sea_arrow_writer_batch_size(const struct sea_arrow_writer *writer, const struct sea_arrow_slot *slots,
                                size_t n_slots, uint64_t *ret_n_bytes, struct sea_error *error)
{
	return shape_size(writer, &writer->batch, slots, n_slots, ret_n_bytes, error);
}

int sea_arrow_writer_dictionary_size(const struct sea_arrow_writer *writer, int64_t dictionary_id,
                                     const struct sea_arrow_slot *slots, size_t n_slots, uint64_t *ret_n_bytes,
                                     struct sea_error *error)
{
	int at = seai_writer_find(writer, dictionary_id, error);

	return at < 0 ? at : shape_size(writer, &writer->values[at], slots, n_slots, ret_n_bytes, error);
}

/* A new stream: nothing of the old one counts. */
static void writer_reset(struct sea_arrow_writer *writer)
{
	writer->state = SEAI_WRITER_SET;
	writer->memory = NULL;
	writer->n_memory = writer->at = 0;
	writer->sink = (struct sea_arrow_sink){ NULL, NULL, NULL };
	for (size_t i = 0; i < writer->dictionaries.n_items; i++)
		writer->written[i] = (struct seai_written){ 0 };
}

int sea_arrow_writer_set_memory(struct sea_arrow_writer *writer, void *memory, uint64_t n_bytes)
{
	if (!memory || (uintptr_t)memory % SEA_ARROW_ALIGNMENT != 0)
		return -EINVAL;
	writer_reset(writer);
	writer->memory = memory;
	writer->n_memory = n_bytes;
	return 0;
}

void sea_arrow_writer_set_sink(struct sea_arrow_writer *writer, const struct sea_arrow_sink *sink)
{
	writer_reset(writer);
	writer->sink = *sink;
}

/* Room for the next bytes of the stream. */
static int place_claim(struct sea_arrow_writer *writer, uint64_t n_bytes, uint8_t **ret_place, struct sea_error *error)
{
	void *place = NULL;
	int r;

	if (writer->memory) {
		if (n_bytes > writer->n_memory - writer->at)
			return SEAI_FAIL(error, -ENOSPC, "", "%" PRIu64 " bytes are needed, %" PRIu64 " are left",
			                 n_bytes, writer->n_memory - writer->at);
		*ret_place = writer->memory + writer->at;
		return 0;
	}
	r = writer->sink.claim(&place, n_bytes, writer->sink.userdata);
	if (r < 0)
		return SEAI_FAIL(error, r, "", "the sink has no room for %" PRIu64 " bytes", n_bytes);
	if (!place || (uintptr_t)place % SEA_ARROW_ALIGNMENT != 0)
		return SEAI_FAIL(error, -EINVAL, "", "the sink gave room that is not aligned to 64 bytes");
	*ret_place = place;
	return 0;
}

static int place_commit(struct sea_arrow_writer *writer, uint8_t *place, uint64_t n_bytes, struct sea_error *error)
{
	int r = writer->memory || !writer->sink.commit ? 0 : writer->sink.commit(place, n_bytes, writer->sink.userdata);

	if (r < 0)
		return SEAI_FAIL(error, r, "", "the sink failed with %" PRIu64 " bytes", n_bytes);
	writer->at += n_bytes;
	return 0;
}

static int writer_expect(const struct sea_arrow_writer *writer, enum seai_writer_state state, struct sea_error *error)
{
	static const char *const texts[] = {
		[SEAI_WRITER_NEW] = "neither memory nor a sink was set",
		[SEAI_WRITER_SET] = "the schema was not written yet",
		[SEAI_WRITER_OPEN] = "nothing is reserved, or the schema was written before",
		[SEAI_WRITER_RESERVED] = "a batch is reserved",
		[SEAI_WRITER_ENDED] = "the stream has ended",
	};

	return writer->state == state ? 0 : SEAI_FAIL(error, -EPROTO, "", "%s", texts[writer->state]);
}

int sea_arrow_writer_begin(struct sea_arrow_writer *writer, struct sea_error *error)
{
	uint64_t n_bytes = seai_schema_message_size(&writer->schema_message);
	uint8_t *place = NULL;
	int r = writer_expect(writer, SEAI_WRITER_SET, error);

	if (r == 0)
		r = place_claim(writer, n_bytes, &place, error);
	if (r != 0)
		return r;
	seai_schema_message_write(&writer->schema_message, place);
	r = place_commit(writer, place, n_bytes, error);
	if (r == 0)
		writer->state = SEAI_WRITER_OPEN;
	return r;
}

/* Tells a slot where its buffers are, and gives those a start that have one. */
static void slot_place(const struct seai_node *node, struct sea_arrow_slot *slot, uint8_t *body,
                       const struct seai_span **span)
{
	slot->validity = NULL;
	slot->offsets = slot->data = NULL;
	if (node->has_validity) {
		if (slot->has_validity) {
			slot->validity = body + (*span)->offset;
			memset(slot->validity, 0xff, (*span)->n_bytes);
		}
		(*span)++;
	}
	if (node->data_comes_first)
		slot->data = body + (*span)++->offset;
	if (node->offset_width) {
		slot->offsets = body + (*span)++->offset;
		if (node->has_last_offset)
			memset(slot->offsets, 0, node->offset_width);
	}
	if (node->has_data && !node->data_comes_first) {
		slot->data = body + (*span)->offset;
		if (node->data_bits == 1)
			memset(slot->data, 0, (*span)->n_bytes);
		(*span)++;
	}
}

int seai_writer_reserve(struct sea_arrow_writer *writer, const struct seai_shape *shape, bool is_delta,
                        struct sea_arrow_slot *slots, size_t n_slots, struct sea_error *error)
{
	const struct seai_span *span = writer->spans;
	uint8_t *place = NULL;
	uint64_t n_body;
	int r = writer_expect(writer, SEAI_WRITER_OPEN, error);

	if (r == 0)
		r = seai_spans_plan(shape->tree, slots, n_slots, writer->spans, &n_body, error);
	if (r == 0)
		r = place_claim(writer, shape->template.n_bytes + n_body, &place, error);
	if (r != 0)
		return r;
	for (size_t i = 0; i < n_slots; i++)
		slot_place(&shape->tree->nodes[i], &slots[i], place + shape->template.n_bytes, &span);
	writer->state = SEAI_WRITER_RESERVED;
	writer->shape = shape;
	writer->slots = slots;
	writer->place = place;
	writer->n_place = shape->template.n_bytes + n_body;
	writer->is_delta = is_delta;
	return 0;
}

int sea_arrow_writer_reserve(struct sea_arrow_writer *writer, struct sea_arrow_slot *slots, size_t n_slots,
                             struct sea_error *error)
{
	return seai_writer_reserve(writer, &writer->batch, false, slots, n_slots, error);
}

int sea_arrow_writer_reserve_dictionary(struct sea_arrow_writer *writer, int64_t dictionary_id, int is_delta,
                                        struct sea_arrow_slot *slots, size_t n_slots, struct sea_error *error)
{
	int at = seai_writer_find(writer, dictionary_id, error);

	return at < 0 ? at : seai_writer_reserve(writer, &writer->values[at], is_delta != 0, slots, n_slots, error);
}

/* Nulls of a bitmap, whose bits behind the last row become 0. */
static int64_t nulls_count(uint8_t *validity, int64_t n_rows)
{
	int64_t n_bytes = (n_rows + 7) / 8, n_ones = 0, i = 0;

	if (n_rows % 8)
		validity[n_bytes - 1] &= (uint8_t)((1u << (n_rows % 8)) - 1);
	for (; i + 8 <= n_bytes; i += 8)
		n_ones += __builtin_popcountll(seai_load_u64(validity + i));
	for (; i < n_bytes; i++)
		n_ones += __builtin_popcount(validity[i]);
	return n_rows - n_ones;
}

/* NULL: the last offset of a slot, or the last run end, is where it must be. */
static const char *last_wrong(const struct seai_node *node, const struct sea_arrow_slot *slots, size_t at)
{
	const struct sea_arrow_slot *slot = &slots[at];

	if (node->has_last_offset) {
		int64_t last = seai_at_signed(slot->offsets, node->offset_width, slot->n_rows);
		uint64_t end = node->has_bytes ? slot->n_data_bytes : (uint64_t)slots[at + 1].n_rows;

		if (last < 0 || (uint64_t)last > end)
			return "its last offset lies behind its data";
	}
	if (!node->field->index_bits && node->field->type.id == SEA_ARROW_RUN_END_ENCODED && slot->n_rows > 0) {
		unsigned width = (unsigned)node->field->children[0].type.bits / 8;
		const struct sea_arrow_slot *ends = &slots[at + 1];

		if (ends->n_rows == 0 || seai_at_signed(ends->data, width, ends->n_rows - 1) < slot->n_rows)
			return "its last run ends too early";
	}
	return NULL;
}

/* Whether all buffers are as long as they were, or shorter. */
static int commit_check(const struct sea_arrow_writer *writer, struct sea_error *error)
{
	const struct seai_tree *tree = writer->shape->tree;
	char path[128];
	uint64_t n_body;
	int r = seai_spans_plan(tree, writer->slots, tree->n_nodes, writer->now, &n_body, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < tree->n_buffers; i++)
		if (writer->now[i].n_bytes > writer->spans[i].n_bytes)
			return SEAI_FAIL(error, -EINVAL, "", "a slot has grown since it was reserved");
	for (size_t i = 0; i < tree->n_nodes; i++) {
		const char *wrong = last_wrong(&tree->nodes[i], writer->slots, i);

		if (wrong)
			return SEAI_FAIL(error, -EINVAL, seai_tree_path(tree, i, path, sizeof(path)), "%s", wrong);
	}
	return 0;
}

/* What is left of each buffer's room becomes zero. */
static void rest_zero(const struct sea_arrow_writer *writer)
{
	const struct seai_tree *tree = writer->shape->tree;
	uint8_t *body = writer->place + writer->shape->template.n_bytes;
	uint64_t n_body = writer->n_place - writer->shape->template.n_bytes;

	for (size_t i = 0; i < tree->n_buffers; i++) {
		uint64_t from = writer->spans[i].offset + writer->now[i].n_bytes;
		uint64_t to = i + 1 < tree->n_buffers ? writer->spans[i + 1].offset : n_body;

		memset(body + from, 0, to - from);
	}
}

static void numbers_write(const struct sea_arrow_writer *writer)
{
	const struct seai_template *template = &writer->shape->template;
	const struct seai_tree *tree = writer->shape->tree;
	uint8_t *metadata = writer->place;
	uint8_t *place = metadata + template->nodes_at;

	memcpy(metadata, template->bytes, template->n_bytes);
	seai_store_u64(metadata + template->body_at, writer->n_place - template->n_bytes);
	seai_store_i64(metadata + template->length_at, tree->n_nodes ? writer->slots[0].n_rows : 0);
	if (writer->shape != &writer->batch)
		seai_store_u8(metadata + template->delta_at, writer->is_delta);
	for (size_t i = 0; i < tree->n_nodes; i++, place += NODE_N_BYTES) {
		const struct sea_arrow_slot *slot = &writer->slots[i];
		const struct sea_arrow_field *field = tree->nodes[i].field;
		bool is_null = !field->index_bits && field->type.id == SEA_ARROW_NULL;
		bool has_bits = slot->validity && slot->has_validity && slot->n_rows > 0;

		seai_store_i64(place, slot->n_rows);
		seai_store_i64(place + 8, is_null    ? slot->n_rows
		                          : has_bits ? nulls_count(slot->validity, slot->n_rows)
		                                     : 0);
	}
	place = metadata + template->buffers_at;
	for (size_t i = 0; i < tree->n_buffers; i++, place += BUFFER_N_BYTES) {
		seai_store_u64(place, writer->spans[i].offset);
		seai_store_u64(place + 8, writer->now[i].n_bytes);
	}
}

int sea_arrow_writer_commit(struct sea_arrow_writer *writer, struct sea_error *error)
{
	int r = writer_expect(writer, SEAI_WRITER_RESERVED, error);

	if (r == 0)
		r = commit_check(writer, error);
	if (r < 0)
		return r;
	rest_zero(writer);
	numbers_write(writer);
	r = place_commit(writer, writer->place, writer->n_place, error);
	if (r == 0)
		writer->state = SEAI_WRITER_OPEN;
	return r;
}

void sea_arrow_writer_abort(struct sea_arrow_writer *writer)
{
	if (writer->state == SEAI_WRITER_RESERVED)
		writer->state = SEAI_WRITER_OPEN;
}

int sea_arrow_writer_end(struct sea_arrow_writer *writer, uint64_t *ret_n_bytes, struct sea_error *error)
{
	static const uint32_t end[2] = { UINT32_MAX, 0 };
	uint8_t *place = NULL;
	int r = writer_expect(writer, SEAI_WRITER_OPEN, error);

	_Static_assert(sizeof(end) == SEA_ARROW_END_N_BYTES, "as the header says");
	if (r == 0)
		r = place_claim(writer, sizeof(end), &place, error);
	if (r != 0)
		return r;
	memcpy(place, end, sizeof(end));
	r = place_commit(writer, place, sizeof(end), error);
	if (r < 0)
		return r;
	writer->state = SEAI_WRITER_ENDED;
	if (ret_n_bytes)
		*ret_n_bytes = writer->at;
	return 0;
}

uint64_t sea_arrow_writer_position(const struct sea_arrow_writer *writer)
{
	return writer->at;
}
