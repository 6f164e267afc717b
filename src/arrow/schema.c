/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas: found in, compared, checked, copied. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/schema.h>

#include "arrow/fail.h"
#include "arrow/tree.h"
#include "base/cleanup.h"

int sea_arrow_field_init(struct sea_arrow_field *field, const char *name, const char *format)
{
	struct sea_arrow_type type;
	int r = sea_arrow_type_parse(format, &type);

	if (r < 0)
		return r;
	*field = (struct sea_arrow_field){ .name = name, .type = type, .is_nullable = 1 };
	return 0;
}

int sea_arrow_schema_find(const struct sea_arrow_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (strcmp(schema->fields[i].name ? schema->fields[i].name : "", name) == 0)
			return (int)i;
	return -ENOENT;
}

const struct sea_arrow_pair *sea_arrow_pair_find(const struct sea_arrow_pair *metadata, size_t n_metadata,
                                                 const char *key)
{
	for (size_t i = 0; i < n_metadata; i++)
		if (strcmp(metadata[i].key, key) == 0)
			return &metadata[i];
	return NULL;
}

/* Type ids that are not written are 0, 1, 2, ... */
static int type_id_at(const struct sea_arrow_type *type, size_t i)
{
	return type->type_ids ? type->type_ids[i] : (int)i;
}

static bool type_is_like(const struct sea_arrow_type *a, const struct sea_arrow_type *b, size_t n_children)
{
	if (a->id != b->id || sea_arrow_type_width(a) != sea_arrow_type_width(b) || a->is_signed != b->is_signed ||
	    a->unit != b->unit || a->size != b->size || a->is_dense != b->is_dense)
		return false;
	if (a->id == SEA_ARROW_DECIMAL && (a->precision != b->precision || a->scale != b->scale))
		return false;
	for (size_t i = 0; a->id == SEA_ARROW_UNION && i < n_children; i++)
		if (type_id_at(a, i) != type_id_at(b, i))
			return false;
	return strcmp(a->timezone ? a->timezone : "", b->timezone ? b->timezone : "") == 0;
}

bool seai_field_is_like(const struct sea_arrow_field *a, const struct sea_arrow_field *b, bool as_values)
{
	if (a->n_children != b->n_children || !type_is_like(&a->type, &b->type, a->n_children))
		return false;
	if (!as_values &&
	    (a->index_bits != b->index_bits || (a->index_bits && a->index_is_signed != b->index_is_signed)))
		return false;
	for (size_t i = 0; i < a->n_children; i++)
		if (!seai_field_is_like(&a->children[i], &b->children[i], false))
			return false;
	return true;
}

/* What the check of a schema has come to. */
struct schema_check {
	struct sea_error *error;
	const struct sea_arrow_field *path[SEA_ARROW_DEPTH_MAX + 1];
	size_t depth;
	size_t n_fields;
};

static int check_wrong(const struct schema_check *check, int code, const char *text)
{
	char path[128] = "";
	size_t n = 0;

	for (size_t i = 0; i < check->depth && n < sizeof(path); i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s", n ? "." : "",
		                      check->path[i]->name ? check->path[i]->name : "");
	return SEAI_FAIL(check->error, code, path, "%s", text);
}

static bool bits_are(int bits, int least, int most)
{
	return bits >= least && bits <= most && (bits & (bits - 1)) == 0;
}

/* NULL: the numbers of a type are within their ranges. */
static const char *type_wrong(const struct sea_arrow_type *type)
{
	switch (type->id) {
	case SEA_ARROW_INT: return bits_are(type->bits, 8, 64) ? NULL : "an int has 8, 16, 32 or 64 bits";
	case SEA_ARROW_FLOAT: return bits_are(type->bits, 16, 64) ? NULL : "a float has 16, 32 or 64 bits";
	case SEA_ARROW_DECIMAL:
		if (!bits_are(type->bits, 32, 256))
			return "a decimal has 32, 64, 128 or 256 bits";
		return type->precision >= 1 && type->precision <= 76 ? NULL : "a decimal has 1 to 76 digits";
	case SEA_ARROW_DATE: return bits_are(type->bits, 32, 64) ? NULL : "a date has 32 or 64 bits";
	case SEA_ARROW_TIME:
		if (type->unit < SEA_ARROW_SECOND || type->unit > SEA_ARROW_NANOSECOND)
			return "a time is in s, ms, us or ns";
		return type->bits == (type->unit <= SEA_ARROW_MILLISECOND ? 32 : 64)
		               ? NULL
		               : "a time has 32 bits in s and ms, 64 in us and ns";
	case SEA_ARROW_TIMESTAMP:
	case SEA_ARROW_DURATION:
		return type->unit >= SEA_ARROW_SECOND && type->unit <= SEA_ARROW_NANOSECOND
		               ? NULL
		               : "a timestamp or duration is in s, ms, us or ns";
	case SEA_ARROW_INTERVAL:
		return type->unit >= SEA_ARROW_YEAR_MONTH && type->unit <= SEA_ARROW_MONTH_DAY_NANO
		               ? NULL
		               : "no such unit of an interval";
	case SEA_ARROW_FIXED_SIZE_BINARY:
	case SEA_ARROW_FIXED_SIZE_LIST: return type->size >= 0 ? NULL : "the size is negative";
	default: return type->id >= SEA_ARROW_NULL && type->id <= SEA_ARROW_LARGE_LIST_VIEW ? NULL : "no such type";
	}
}

static const char *union_wrong(const struct sea_arrow_field *field)
{
	const struct sea_arrow_type *type = &field->type;
	bool seen[128] = { false };

	if (field->n_children > 128 || (type->type_ids && type->n_type_ids != field->n_children))
		return "a union has as many type ids as fields, at most 128";
	for (size_t i = 0; i < field->n_children; i++) {
		int id = type_id_at(type, i);

		if (id < 0 || id > 127 || seen[id])
			return "the type ids of a union are 0 to 127, each once";
		seen[id] = true;
	}
	return NULL;
}

/* NULL: a field has the children that its type needs. */
static const char *children_wrong(const struct sea_arrow_field *field)
{
	const struct sea_arrow_field *children = field->children;
	size_t n = field->n_children;

	if (n && !children)
		return "its fields are missing";
	switch (field->type.id) {
	case SEA_ARROW_LIST:
	case SEA_ARROW_LARGE_LIST:
	case SEA_ARROW_LIST_VIEW:
	case SEA_ARROW_LARGE_LIST_VIEW:
	case SEA_ARROW_FIXED_SIZE_LIST: return n == 1 ? NULL : "a list has one field, its items";
	case SEA_ARROW_MAP:
		return n == 1 && !children->index_bits && children->type.id == SEA_ARROW_STRUCT &&
		                       children->n_children == 2
		               ? NULL
		               : "a map has one field, a struct of key and value";
	case SEA_ARROW_RUN_END_ENCODED:
		return n == 2 && !children->index_bits && children->type.id == SEA_ARROW_INT &&
		                       children->type.is_signed && children->type.bits >= 16
		               ? NULL
		               : "run-end encoding has two fields: run ends of int16, int32 or int64, and values";
	case SEA_ARROW_UNION: return union_wrong(field);
	case SEA_ARROW_STRUCT: return NULL;
	default: return n == 0 ? NULL : "its type has no fields";
	}
}

static int fields_check(struct schema_check *check, const struct sea_arrow_field *fields, size_t n_fields)
{
	int r = 0;

	if (n_fields > SEA_ARROW_FIELDS_MAX - check->n_fields)
		return check_wrong(check, -E2BIG, "more than 100000 fields");
	check->n_fields += n_fields;
	if (n_fields && check->depth == SEA_ARROW_DEPTH_MAX)
		return check_wrong(check, -E2BIG, "fields in fields, more than 64 deep");
	for (size_t i = 0; i < n_fields && r == 0; i++) {
		const struct sea_arrow_field *field = &fields[i];
		const char *wrong = type_wrong(&field->type);

		check->path[check->depth++] = field;
		if (!wrong)
			wrong = children_wrong(field);
		if (!wrong && field->index_bits && !bits_are(field->index_bits, 8, 64))
			wrong = "an index has 8, 16, 32 or 64 bits";
		if (!wrong && field->n_metadata && !field->metadata)
			wrong = "its metadata is missing";
		for (size_t j = 0; !wrong && j < field->n_metadata; j++)
			if (!field->metadata[j].key || !field->metadata[j].value)
				wrong = "a key or value of its metadata is missing";
		r = wrong ? check_wrong(check, -EINVAL, wrong)
		          : fields_check(check, field->children, field->n_children);
		check->depth--;
	}
	return r;
}

/* Orders dictionary-encoded fields by their dictionaries. */
static int dictionary_compare(const void *a, const void *b)
{
	int64_t left = (*(const struct sea_arrow_field *const *)a)->dictionary_id;
	int64_t right = (*(const struct sea_arrow_field *const *)b)->dictionary_id;

	return left < right ? -1 : left > right;
}

static size_t encoded_collect(const struct sea_arrow_field *fields, size_t n_fields, const struct sea_arrow_field **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < n_fields; i++) {
		n += encoded_collect(fields[i].children, fields[i].n_children, ret ? ret + n : NULL);
		if (fields[i].index_bits) {
			if (ret)
				ret[n] = &fields[i];
			n++;
		}
	}
	return n;
}

int seai_schema_encoded(const struct sea_arrow_schema *schema, const struct sea_arrow_field ***ret_fields,
                        size_t *ret_n_fields)
{
	size_t n = encoded_collect(schema->fields, schema->n_fields, NULL);
	const struct sea_arrow_field **fields = NULL;

	if (n) {
		fields = malloc(n * sizeof(const struct sea_arrow_field *));
		if (!fields)
			return -ENOMEM;
		encoded_collect(schema->fields, schema->n_fields, fields);
		qsort((void *)fields, n, sizeof(const struct sea_arrow_field *), dictionary_compare);
	}
	*ret_fields = fields;
	*ret_n_fields = n;
	return 0;
}

/* Fields that share a dictionary share the type of its values. */
static int dictionaries_check(struct schema_check *check, const struct sea_arrow_schema *schema)
{
	SEAI_AUTO_FREE const struct sea_arrow_field **fields = NULL;
	size_t n;

	if (seai_schema_encoded(schema, &fields, &n) < 0)
		return SEAI_FAIL(check->error, -ENOMEM, "", "no memory");
	for (size_t i = 1; i < n; i++)
		if (fields[i]->dictionary_id == fields[i - 1]->dictionary_id &&
		    !seai_field_is_like(fields[i], fields[i - 1], true)) {
			check->path[0] = fields[i];
			check->depth = 1;
			return check_wrong(check, -EINVAL, "shares its dictionary with a field of another type");
		}
	return 0;
}

int sea_arrow_schema_check(const struct sea_arrow_schema *schema, struct sea_error *error)
{
	struct schema_check check = { .error = error };
	int r;

	if ((schema->n_fields && !schema->fields) || (schema->n_metadata && !schema->metadata))
		return SEAI_FAIL(error, -EINVAL, "", "its fields or its metadata are missing");
	for (size_t i = 0; i < schema->n_metadata; i++)
		if (!schema->metadata[i].key || !schema->metadata[i].value)
			return SEAI_FAIL(error, -EINVAL, "", "a key or value of its metadata is missing");
	r = fields_check(&check, schema->fields, schema->n_fields);
	return r < 0 ? r : dictionaries_check(&check, schema);
}

static int text_copy(struct seai_arrow_arena *arena, const char *text, const char **ret_copy)
{
	return seai_arrow_arena_copy(arena, text ? text : "", text ? strlen(text) : 0, ret_copy);
}

int seai_pairs_copy(struct seai_arrow_arena *arena, const struct sea_arrow_pair *pairs, size_t n_pairs,
                    const struct sea_arrow_pair **ret_copy)
{
	struct sea_arrow_pair *copy;
	void *memory = NULL;
	int r = n_pairs ? seai_arrow_arena_take(arena, n_pairs, sizeof(*copy), &memory) : 0;

	copy = memory;
	for (size_t i = 0; i < n_pairs && r == 0; i++) {
		copy[i].n_value = pairs[i].n_value ? pairs[i].n_value : strlen(pairs[i].value);
		r = text_copy(arena, pairs[i].key, &copy[i].key);
		if (r == 0)
			r = seai_arrow_arena_copy(arena, pairs[i].value, copy[i].n_value, &copy[i].value);
	}
	*ret_copy = copy;
	return r;
}

int seai_fields_copy(struct seai_arrow_arena *arena, const struct sea_arrow_field *fields, size_t n_fields,
                     const struct sea_arrow_field **ret_copy)
{
	struct sea_arrow_field *copy;
	void *memory = NULL, *type_ids;
	int r = n_fields ? seai_arrow_arena_take(arena, n_fields, sizeof(*copy), &memory) : 0;

	copy = memory;
	for (size_t i = 0; i < n_fields && r == 0; i++) {
		copy[i] = fields[i];
		r = text_copy(arena, fields[i].name, &copy[i].name);
		if (r == 0 && fields[i].type.timezone)
			r = text_copy(arena, fields[i].type.timezone, &copy[i].type.timezone);
		if (r == 0 && fields[i].type.id == SEA_ARROW_UNION) {
			size_t n = fields[i].n_children;

			r = seai_arrow_arena_take(arena, n, sizeof(int32_t), &type_ids);
			for (size_t j = 0; j < n && r == 0; j++)
				((int32_t *)type_ids)[j] = type_id_at(&fields[i].type, j);
			copy[i].type.type_ids = r == 0 ? type_ids : NULL;
			copy[i].type.n_type_ids = n;
		}
		if (r == 0)
			r = seai_pairs_copy(arena, fields[i].metadata, fields[i].n_metadata, &copy[i].metadata);
		if (r == 0)
			r = seai_fields_copy(arena, fields[i].children, fields[i].n_children, &copy[i].children);
	}
	*ret_copy = copy;
	return r;
}
