/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas for other libraries: everything is copied, each field with what it needs, so that a consumer may move fields out. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/exchange.h>

#include "arrow/fail.h"
#include "arrow/load.h"
#include "base/cleanup.h"

/* Longer than any format: a union of 128 ids, or a timezone. */
#define FORMAT_N_BYTES 1024

/* What belongs to one exported field. */
struct export_field {
	struct ArrowSchema *children;  /* n_children of them */
	struct ArrowSchema **pointers; /* to them */
	struct ArrowSchema dictionary; /* release is NULL where there is none */
	char *format, *name, *metadata;
};

static void field_release(struct ArrowSchema *schema)
{
	struct export_field *own = schema->private_data;

	/* What a consumer has moved out has no release any more. */
	for (int64_t i = 0; own->children && i < schema->n_children; i++)
		if (own->children[i].release)
			own->children[i].release(&own->children[i]);
	if (own->dictionary.release)
		own->dictionary.release(&own->dictionary);
	free(own->children);
	free((void *)own->pointers);
	free(own->format);
	free(own->name);
	free(own->metadata);
	free(own);
	schema->release = NULL;
}

/* Keys and values, as the interface encodes them. NULL: no memory. */
static char *metadata_encode(const struct sea_arrow_pair *pairs, size_t n_pairs)
{
	size_t n_bytes = 4;
	char *metadata, *at;

	for (size_t i = 0; i < n_pairs; i++)
		n_bytes += 8 + strlen(pairs[i].key) + (pairs[i].n_value ? pairs[i].n_value : strlen(pairs[i].value));
	metadata = at = malloc(n_bytes);
	if (!metadata)
		return NULL;
	seai_store_i32(at, (int32_t)n_pairs);
	at += 4;
	for (size_t i = 0; i < n_pairs; i++) {
		const void *parts[] = { pairs[i].key, pairs[i].value };
		size_t sizes[] = { strlen(pairs[i].key), pairs[i].n_value ? pairs[i].n_value : strlen(pairs[i].value) };

		for (int j = 0; j < 2; j++) {
			seai_store_i32(at, (int32_t)sizes[j]);
			memcpy(at + 4, parts[j], sizes[j]);
			at += 4 + sizes[j];
		}
	}
	return metadata;
}

static int field_export(const struct sea_arrow_field *field, bool as_values, struct ArrowSchema *out);

/* The parts of an exported field: on failure its release() frees those that are there. */
static int parts_export(const struct sea_arrow_field *field, bool is_encoded, struct export_field *own,
                        struct ArrowSchema *out)
{
	struct sea_arrow_type index = {
		SEA_ARROW_INT, field->index_bits, field->index_is_signed, 0, 0, 0, 0, 0, 0, NULL, NULL, 0
	};
	char format[FORMAT_N_BYTES];
	size_t n = is_encoded ? 0 : field->n_children;
	int r = sea_arrow_type_format(is_encoded ? &index : &field->type, format, sizeof(format));

	if (r < 0)
		return r;
	own->format = strdup(format);
	own->name = strdup(field->name ? field->name : "");
	own->metadata = field->n_metadata ? metadata_encode(field->metadata, field->n_metadata) : NULL;
	out->format = own->format;
	out->name = own->name;
	out->metadata = own->metadata;
	if (!own->format || !own->name || (field->n_metadata && !own->metadata))
		return -ENOMEM;
	if (is_encoded) {
		out->dictionary = &own->dictionary;
		return field_export(field, true, &own->dictionary);
	}
	if (n == 0)
		return 0;
	own->children = calloc(n, sizeof(*own->children));
	own->pointers = (struct ArrowSchema **)calloc(n, sizeof(struct ArrowSchema *));
	if (!own->children || !own->pointers)
		return -ENOMEM;
	out->n_children = (int64_t)n;
	out->children = own->pointers;
	for (size_t i = 0; i < n; i++)
		own->pointers[i] = &own->children[i];
	for (size_t i = 0; i < n && r >= 0; i++)
		r = field_export(&field->children[i], false, &own->children[i]);
	return r < 0 ? r : 0;
}

/* @param as_values the field as if it were not dictionary-encoded */
static int field_export(const struct sea_arrow_field *field, bool as_values, struct ArrowSchema *out)
{
	bool is_encoded = field->index_bits && !as_values;
	struct export_field *own = calloc(1, sizeof(*own));
	int r;

	if (!own)
		return -ENOMEM;
	*out = (struct ArrowSchema){ .private_data = own, .release = field_release };
	if (field->is_nullable)
		out->flags |= ARROW_FLAG_NULLABLE;
	if (is_encoded && field->is_ordered)
		out->flags |= ARROW_FLAG_DICTIONARY_ORDERED;
	if (!is_encoded && field->type.is_sorted)
		out->flags |= ARROW_FLAG_MAP_KEYS_SORTED;
	r = parts_export(field, is_encoded, own, out);
	if (r < 0)
		field_release(out);
	return r;
}

int sea_arrow_export_schema(const struct sea_arrow_schema *schema, struct ArrowSchema *ret_schema,
                            struct sea_error *error)
{
	struct sea_arrow_field whole = { .name = "", .type = { .id = SEA_ARROW_STRUCT } };
	struct ArrowSchema out = { .release = NULL };
	int r = sea_arrow_schema_check(schema, error);

	if (r < 0)
		return r;
	whole.children = schema->fields;
	whole.n_children = schema->n_fields;
	whole.metadata = schema->metadata;
	whole.n_metadata = schema->n_metadata;
	r = field_export(&whole, false, &out);
	if (r < 0)
		return SEAI_FAIL(error, r, "", r == -ENOMEM ? "no memory" : "a type that has no format string");
	*ret_schema = out;
	return 0;
}
