/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata of the messages of a writer; the numbers of fields are those of Arrow's Message.fbs and Schema.fbs. */
#include "arrow/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/reader.h>
#include <sealane/arrow/writer.h>

#include "arrow/batch.h"

/* No type has more fields. */
#define N_TYPE_FIELDS_MAX 3

static void type_fields(const struct sea_arrow_type *type, struct seai_build_field fields[N_TYPE_FIELDS_MAX],
                        size_t *ret_n)
{
	size_t n = 0;

	switch (type->id) {
	case SEA_ARROW_INT:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 4, .value = (uint64_t)type->bits };
		fields[n++] = (struct seai_build_field){ .id = 1, .n_bytes = 1, .value = type->is_signed != 0 };
		break;
	case SEA_ARROW_FLOAT:
		fields[n++] = (struct seai_build_field){ .id = 0,
			                                 .n_bytes = 2,
			                                 .value = type->bits == 16   ? 0
			                                          : type->bits == 32 ? 1
			                                                             : 2 };
		break;
	case SEA_ARROW_DECIMAL:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 4, .value = (uint64_t)type->precision };
		fields[n++] = (struct seai_build_field){ .id = 1, .n_bytes = 4, .value = (uint64_t)type->scale };
		fields[n++] = (struct seai_build_field){ .id = 2, .n_bytes = 4, .value = (uint64_t)type->bits };
		break;
	case SEA_ARROW_DATE:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 2, .value = type->bits == 64 };
		break;
	case SEA_ARROW_TIME:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 2, .value = (uint64_t)type->unit };
		fields[n++] = (struct seai_build_field){ .id = 1, .n_bytes = 4, .value = (uint64_t)type->bits };
		break;
	case SEA_ARROW_TIMESTAMP:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 2, .value = (uint64_t)type->unit };
		if (type->timezone)
			fields[n++] = (struct seai_build_field){ .id = 1 };
		break;
	case SEA_ARROW_DURATION:
	case SEA_ARROW_INTERVAL:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 2, .value = (uint64_t)type->unit };
		break;
	case SEA_ARROW_UNION:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 2, .value = type->is_dense != 0 };
		fields[n++] = (struct seai_build_field){ .id = 1 };
		break;
	case SEA_ARROW_FIXED_SIZE_BINARY:
	case SEA_ARROW_FIXED_SIZE_LIST:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 4, .value = (uint64_t)type->size };
		break;
	case SEA_ARROW_MAP:
		fields[n++] = (struct seai_build_field){ .id = 0, .n_bytes = 1, .value = type->is_sorted != 0 };
		break;
	default: break;
	}
	*ret_n = n;
}

static void type_build(struct seai_build *build, size_t link, const struct sea_arrow_field *field)
{
	const struct sea_arrow_type *type = &field->type;
	struct seai_build_field fields[N_TYPE_FIELDS_MAX];
	size_t n_fields, at;

	type_fields(type, fields, &n_fields);
	seai_build_table(build, link, fields, n_fields);
	if (type->id == SEA_ARROW_TIMESTAMP && type->timezone)
		seai_build_string(build, fields[1].at, type->timezone, strlen(type->timezone));
	if (type->id == SEA_ARROW_UNION) {
		at = seai_build_vector(build, fields[1].at, field->n_children, 4);
		for (size_t i = 0; i < field->n_children; i++)
			seai_build_set(build, at + 4 * i, type->type_ids ? (uint64_t)type->type_ids[i] : i, 4);
	}
}

static void pairs_build(struct seai_build *build, size_t link, const struct sea_arrow_pair *pairs, size_t n_pairs)
{
	size_t at = seai_build_vector(build, link, n_pairs, 4);

	for (size_t i = 0; i < n_pairs; i++) {
		struct seai_build_field fields[] = { { .id = 0 }, { .id = 1 } };

		seai_build_table(build, at + 4 * i, fields, 2);
		seai_build_string(build, fields[0].at, pairs[i].key, strlen(pairs[i].key));
		seai_build_string(build, fields[1].at, pairs[i].value,
		                  pairs[i].n_value ? pairs[i].n_value : strlen(pairs[i].value));
	}
}

static void dictionary_build(struct seai_build *build, size_t link, const struct sea_arrow_field *field)
{
	struct seai_build_field fields[] = {
		{ .id = 0, .n_bytes = 8, .value = (uint64_t)field->dictionary_id },
		{ .id = 1 },
		{ .id = 2, .n_bytes = 1, .value = field->is_ordered != 0 },
	};
	struct seai_build_field index[] = {
		{ .id = 0, .n_bytes = 4, .value = (uint64_t)field->index_bits },
		{ .id = 1, .n_bytes = 1, .value = field->index_is_signed != 0 },
	};

	seai_build_table(build, link, fields, 3);
	seai_build_table(build, fields[1].at, index, 2);
}

static void fields_build(struct seai_build *build, size_t link, const struct sea_arrow_field *fields, size_t n_fields)
{
	size_t at = seai_build_vector(build, link, n_fields, 4);

	for (size_t i = 0; i < n_fields; i++) {
		const struct sea_arrow_field *field = &fields[i];
		struct seai_build_field table[7] = {
			{ .id = 0 },
			{ .id = 1, .n_bytes = 1, .value = field->is_nullable != 0 },
			{ .id = 2, .n_bytes = 1, .value = (uint64_t)field->type.id },
			{ .id = 3 },
			/* There must be children, none are an empty vector: some readers look for it. */
			{ .id = 5 },
		};
		size_t n = 5, metadata = 0, dictionary = 0;

		if (field->n_metadata)
			table[metadata = n++] = (struct seai_build_field){ .id = 6 };
		if (field->index_bits)
			table[dictionary = n++] = (struct seai_build_field){ .id = 4 };
		seai_build_table(build, at + 4 * i, table, n);
		seai_build_string(build, table[0].at, field->name, strlen(field->name));
		type_build(build, table[3].at, field);
		if (dictionary)
			dictionary_build(build, table[dictionary].at, field);
		if (metadata)
			pairs_build(build, table[metadata].at, field->metadata, field->n_metadata);
		fields_build(build, table[4].at, field->children, field->n_children);
	}
}

/* The table of a message. @return where the offset of its header stands */
static size_t message_build(struct seai_build *build, unsigned header_type, size_t *ret_body_at)
{
	struct seai_build_field fields[] = {
		{ .id = MESSAGE_VERSION, .n_bytes = 2, .value = METADATA_V5 },
		{ .id = MESSAGE_HEADER_TYPE, .n_bytes = 1, .value = header_type },
		{ .id = MESSAGE_HEADER },
		{ .id = MESSAGE_BODY_LENGTH, .n_bytes = 8 },
	};

	seai_build_table(build, seai_build_root(build), fields, 4);
	*ret_body_at = fields[3].at;
	return fields[2].at;
}

static int message_end(struct seai_build *build)
{
	int r = seai_build_end(build, SEAI_PREFIX_N_BYTES, SEA_ARROW_ALIGNMENT);

	return r == 0 && build->n_bytes > SEA_ARROW_METADATA_MAX ? -E2BIG : r;
}

/* The prefix, and what was built. */
static void message_write(const struct seai_build *build, uint8_t *to)
{
	const uint32_t prefix[2] = { UINT32_MAX, (uint32_t)build->n_bytes };

	memcpy(to, prefix, sizeof(prefix));
	memcpy(to + SEAI_PREFIX_N_BYTES, build->bytes, build->n_bytes);
}

/* The whole as a template. */
static int template_end(struct seai_template *template, struct seai_build *build)
{
	int r = message_end(build);

	template->n_bytes = build->n_bytes + SEAI_PREFIX_N_BYTES;
	template->bytes = r == 0 ? malloc(template->n_bytes) : NULL;
	if (template->bytes)
		message_write(build, template->bytes);
	else if (r == 0)
		r = -ENOMEM;
	seai_build_fini(build);
	template->body_at += SEAI_PREFIX_N_BYTES;
	template->length_at += SEAI_PREFIX_N_BYTES;
	template->nodes_at += SEAI_PREFIX_N_BYTES;
	template->buffers_at += SEAI_PREFIX_N_BYTES;
	template->delta_at += SEAI_PREFIX_N_BYTES;
	return r;
}

int seai_schema_message_init(struct seai_schema_message *message, const struct sea_arrow_field *fields, size_t n_fields)
{
	struct seai_build_field table[3] = { { .id = 0, .n_bytes = 2 }, { .id = 1 }, { .id = 2 } };
	size_t header, vtable, body_at;

	*message = (struct seai_schema_message){ 0 };
	header = message_build(&message->build, HEADER_SCHEMA, &body_at);
	vtable = seai_build_table(&message->build, header, table, 3);
	fields_build(&message->build, table[1].at, fields, n_fields);
	if (message->build.failed)
		return -ENOMEM;
	message->n_bytes_fields = message->build.n_bytes;
	message->metadata_at = table[2].at;
	message->vtable_at = vtable + 2 * sizeof(uint16_t);
	memcpy(&message->vtable_value, message->build.bytes + message->vtable_at, sizeof(uint16_t));
	return seai_schema_message_set_metadata(message, NULL, 0);
}

void seai_schema_message_fini(struct seai_schema_message *message)
{
	seai_build_fini(&message->build);
}

int seai_schema_message_set_metadata(struct seai_schema_message *message, const struct sea_arrow_pair *metadata,
                                     size_t n_metadata)
{
	struct seai_build *build = &message->build;

	seai_build_cut(build, message->n_bytes_fields);
	/* Where the vtable has no place for a field, there is none; its offset stays behind unused. */
	seai_build_set(build, message->vtable_at, n_metadata ? message->vtable_value : 0, sizeof(uint16_t));
	seai_build_set(build, message->metadata_at, 0, 4);
	if (n_metadata)
		pairs_build(build, message->metadata_at, metadata, n_metadata);
	return message_end(build);
}

size_t seai_schema_message_size(const struct seai_schema_message *message)
{
	return message->build.n_bytes + SEAI_PREFIX_N_BYTES;
}

void seai_schema_message_write(const struct seai_schema_message *message, uint8_t *to)
{
	message_write(&message->build, to);
}

static void record_batch_build(struct seai_build *build, size_t link, const struct seai_tree *tree,
                               struct seai_template *template)
{
	struct seai_build_field fields[] = {
		{ .id = BATCH_LENGTH, .n_bytes = 8 },
		{ .id = BATCH_NODES },
		{ .id = BATCH_BUFFERS },
	};

	seai_build_table(build, link, fields, 3);
	template->length_at = fields[0].at;
	template->nodes_at = seai_build_vector(build, fields[1].at, tree->n_nodes, NODE_N_BYTES);
	template->buffers_at = seai_build_vector(build, fields[2].at, tree->n_buffers, BUFFER_N_BYTES);
}

int seai_template_batch(struct seai_template *ret_template, const struct seai_tree *tree)
{
	struct seai_template template = { 0 };
	struct seai_build build = { 0 };
	size_t header = message_build(&build, HEADER_RECORD_BATCH, &template.body_at);
	int r;

	record_batch_build(&build, header, tree, &template);
	r = template_end(&template, &build);
	if (r == 0)
		*ret_template = template;
	return r;
}

int seai_template_dictionary(struct seai_template *ret_template, const struct seai_tree *tree, int64_t id)
{
	struct seai_template template = { 0 };
	struct seai_build build = { 0 };
	struct seai_build_field fields[] = {
		{ .id = DICTIONARY_BATCH_ID, .n_bytes = 8, .value = (uint64_t)id },
		{ .id = DICTIONARY_BATCH_DATA },
		{ .id = DICTIONARY_BATCH_IS_DELTA, .n_bytes = 1 },
	};
	size_t header = message_build(&build, HEADER_DICTIONARY_BATCH, &template.body_at);
	int r;

	seai_build_table(&build, header, fields, 3);
	template.delta_at = fields[2].at;
	record_batch_build(&build, fields[1].at, tree, &template);
	r = template_end(&template, &build);
	if (r == 0)
		*ret_template = template;
	return r;
}
