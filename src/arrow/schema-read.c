/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema of a stream. The numbers of fields and types are those of the Arrow format's Schema.fbs.
 *
 * The odd rule: tables of a hostile buffer may name each other over and over; what ends that is the limits on depth, on the number of
 * fields, and on the bytes of the arena.
 */
#include "arrow/schema-read.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "arrow/fail.h"

enum { SCHEMA_ENDIANNESS, SCHEMA_FIELDS, SCHEMA_METADATA };
enum { FIELD_NAME, FIELD_NULLABLE, FIELD_TYPE_TYPE, FIELD_TYPE, FIELD_DICTIONARY, FIELD_CHILDREN, FIELD_METADATA };
enum { DICTIONARY_ID, DICTIONARY_INDEX_TYPE, DICTIONARY_IS_ORDERED };
enum { KEY_VALUE_KEY, KEY_VALUE_VALUE };

struct schema_read {
	struct seai_arrow_arena *arena;
	struct sea_error *error;
	size_t n_fields;
	unsigned depth;
	const char *path[SEA_ARROW_DEPTH_MAX + 1]; /* names of the fields on the way, as far as known */
};

static int read_wrong(const struct schema_read *read, int code, const char *text)
{
	char path[128] = "";
	size_t n = 0;

	for (unsigned i = 0; i < read->depth && n < sizeof(path); i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s", n ? "." : "",
		                      read->path[i] ? read->path[i] : "?");
	return SEAI_FAIL(read->error, code, path, "%s", text);
}

static int read_failed(const struct schema_read *read, int code)
{
	if (code == -EBADMSG)
		return read_wrong(read, code, "the metadata leads outside of itself");
	return read_wrong(read, code, code == -E2BIG ? "the schema is too large" : "no memory");
}

/* A string, "" where there is none. */
static int string_read(const struct schema_read *read, const struct seai_flat_table *table, unsigned id,
                       const char **ret_string, size_t *ret_n_bytes)
{
	struct seai_flat_vector bytes = { NULL, 0, 0, 0 };
	int r = seai_flat_vector(table, id, 1, &bytes);

	if (r < 0)
		return r;
	if (ret_n_bytes)
		*ret_n_bytes = bytes.n_items;
	return seai_arrow_arena_copy(read->arena, bytes.bytes + bytes.at, bytes.n_items, ret_string);
}

static int pairs_read(const struct schema_read *read, const struct seai_flat_table *table, unsigned id,
                      const struct sea_arrow_pair **ret_pairs, size_t *ret_n_pairs)
{
	struct seai_flat_vector vector = { NULL, 0, 0, 0 };
	struct sea_arrow_pair *pairs;
	void *memory = NULL;
	int r = seai_flat_vector(table, id, 4, &vector);

	if (r <= 0 || vector.n_items == 0)
		return r < 0 ? r : 0;
	r = seai_arrow_arena_take(read->arena, vector.n_items, sizeof(*pairs), &memory);
	if (r < 0)
		return r;
	pairs = memory;
	for (uint32_t i = 0; i < vector.n_items; i++) {
		struct seai_flat_table pair = { NULL, 0, 0, 0, 0 };

		r = seai_flat_vector_table(&vector, i, &pair);
		if (r == 1)
			r = string_read(read, &pair, KEY_VALUE_KEY, &pairs[i].key, NULL);
		if (r == 0)
			r = string_read(read, &pair, KEY_VALUE_VALUE, &pairs[i].value, &pairs[i].n_value);
		if (r < 0)
			return r;
	}
	*ret_pairs = pairs;
	*ret_n_pairs = vector.n_items;
	return 0;
}

/* Int { bitWidth, is_signed } */
static int int_read(const struct seai_flat_table *table, int *ret_bits, int *ret_is_signed)
{
	int32_t bits = 0;
	uint8_t is_signed = 0;
	int r = seai_flat_i32(table, 0, 0, &bits);

	if (r >= 0)
		r = seai_flat_u8(table, 1, 0, &is_signed);
	*ret_bits = bits;
	*ret_is_signed = is_signed != 0;
	return r < 0 ? r : 0;
}

/* A unit, whose default differs from type to type; a width in bits, where there is one. */
static int time_read(const struct seai_flat_table *table, int16_t unit_default, int32_t bits_default,
                     struct sea_arrow_type *type)
{
	int16_t unit = 0;
	int32_t bits = bits_default;
	int r = seai_flat_i16(table, 0, unit_default, &unit);

	if (r >= 0 && type->id == SEA_ARROW_TIME)
		r = seai_flat_i32(table, 1, bits_default, &bits);
	type->unit = unit;
	type->bits = bits;
	return r < 0 ? r : 0;
}

static int decimal_read(const struct seai_flat_table *table, struct sea_arrow_type *type)
{
	int32_t precision = 0, scale = 0, bits = 128;
	int r = seai_flat_i32(table, 0, 0, &precision);

	if (r >= 0)
		r = seai_flat_i32(table, 1, 0, &scale);
	if (r >= 0)
		r = seai_flat_i32(table, 2, 128, &bits);
	type->precision = precision;
	type->scale = scale;
	type->bits = bits;
	return r < 0 ? r : 0;
}

static int union_read(const struct schema_read *read, const struct seai_flat_table *table, struct sea_arrow_type *type)
{
	struct seai_flat_vector vector = { NULL, 0, 0, 0 };
	int16_t mode = 0;
	void *memory;
	int r = seai_flat_i16(table, 0, 0, &mode);

	if (r >= 0)
		r = seai_flat_vector(table, 1, 4, &vector);
	if (r < 0)
		return r;
	type->is_dense = mode == 1;
	if (r == 0)
		return 0;
	if (vector.n_items > 128)
		return read_wrong(read, -EBADMSG, "a union of more than 128 fields");
	r = seai_arrow_arena_take(read->arena, vector.n_items, sizeof(int32_t), &memory);
	if (r < 0)
		return r;
	memcpy(memory, vector.bytes + vector.at, vector.n_items * sizeof(int32_t));
	type->type_ids = memory;
	type->n_type_ids = vector.n_items;
	return 0;
}

static int timestamp_read(const struct schema_read *read, const struct seai_flat_table *table,
                          struct sea_arrow_type *type)
{
	const char *timezone = "";
	int r = time_read(table, SEA_ARROW_SECOND, 64, type);

	if (r == 0)
		r = string_read(read, table, 1, &timezone, NULL);
	if (r == 0 && timezone[0])
		type->timezone = timezone;
	return r;
}

static int type_read(const struct schema_read *read, const struct seai_flat_table *table, struct sea_arrow_type *type)
{
	int16_t number = 0;
	uint8_t flag = 0;
	int r = 0;

	switch (type->id) {
	case SEA_ARROW_INT: return int_read(table, &type->bits, &type->is_signed);
	case SEA_ARROW_FLOAT:
		r = seai_flat_i16(table, 0, 0, &number);
		if (r >= 0 && (number < 0 || number > 2))
			return read_wrong(read, -ENOTSUP, "no such width of a float");
		type->bits = 16 << (number & 3);
		break;
	case SEA_ARROW_DECIMAL: return decimal_read(table, type);
	case SEA_ARROW_DATE:
		r = seai_flat_i16(table, 0, 1, &number);
		type->bits = number == 0 ? 32 : 64;
		break;
	case SEA_ARROW_TIME: return time_read(table, SEA_ARROW_MILLISECOND, 32, type);
	case SEA_ARROW_TIMESTAMP: return timestamp_read(read, table, type);
	case SEA_ARROW_DURATION: return time_read(table, SEA_ARROW_MILLISECOND, 64, type);
	case SEA_ARROW_INTERVAL: return time_read(table, SEA_ARROW_YEAR_MONTH, 0, type);
	case SEA_ARROW_UNION: return union_read(read, table, type);
	case SEA_ARROW_FIXED_SIZE_BINARY:
	case SEA_ARROW_FIXED_SIZE_LIST: r = seai_flat_i32(table, 0, 0, &type->size); break;
	case SEA_ARROW_MAP:
		r = seai_flat_u8(table, 0, 0, &flag);
		type->is_sorted = flag != 0;
		break;
	default: break;
	}
	return r < 0 ? r : 0;
}

static int dictionary_read(const struct seai_flat_table *table, struct sea_arrow_field *field)
{
	struct seai_flat_table encoding = { NULL, 0, 0, 0, 0 }, index = { NULL, 0, 0, 0, 0 };
	uint8_t flag = 0;
	int r = seai_flat_sub(table, FIELD_DICTIONARY, &encoding);

	if (r <= 0)
		return r;
	/* The default of the format. */
	field->index_bits = 32;
	field->index_is_signed = 1;
	r = seai_flat_i64(&encoding, DICTIONARY_ID, 0, &field->dictionary_id);
	if (r >= 0)
		r = seai_flat_sub(&encoding, DICTIONARY_INDEX_TYPE, &index);
	if (r == 1)
		r = int_read(&index, &field->index_bits, &field->index_is_signed);
	/* No width at all would mean: not encoded. */
	if (r >= 0 && field->index_bits == 0)
		return -EBADMSG;
	if (r >= 0)
		r = seai_flat_u8(&encoding, DICTIONARY_IS_ORDERED, 0, &flag);
	field->is_ordered = flag != 0;
	return r < 0 ? r : 0;
}

static int fields_read(struct schema_read *read, const struct seai_flat_table *table, unsigned id,
                       const struct sea_arrow_field **ret_fields, size_t *ret_n_fields);

static int field_read(struct schema_read *read, const struct seai_flat_table *table, struct sea_arrow_field *field)
{
	struct seai_flat_table type = { NULL, 0, 0, 0, 0 };
	uint8_t flag = 0, type_id = 0;
	int r = string_read(read, table, FIELD_NAME, &field->name, NULL);

	if (r < 0)
		return read_failed(read, r);
	read->path[read->depth - 1] = field->name;
	r = seai_flat_u8(table, FIELD_NULLABLE, 0, &flag);
	if (r >= 0)
		r = seai_flat_u8(table, FIELD_TYPE_TYPE, 0, &type_id);
	if (r < 0)
		return read_failed(read, r);
	field->is_nullable = flag != 0;
	if (type_id < SEA_ARROW_NULL || type_id > SEA_ARROW_LARGE_LIST_VIEW)
		return read_wrong(read, -ENOTSUP, "a type that is not known here");
	field->type.id = (enum sea_arrow_type_id)type_id;
	r = seai_flat_sub(table, FIELD_TYPE, &type);
	if (r == 0)
		return read_wrong(read, -EBADMSG, "its type is missing");
	if (r == 1)
		r = type_read(read, &type, &field->type);
	if (r == 0)
		r = dictionary_read(table, field);
	if (r == 0)
		r = pairs_read(read, table, FIELD_METADATA, &field->metadata, &field->n_metadata);
	if (r < 0)
		return read->error && read->error->code ? r : read_failed(read, r);
	return fields_read(read, table, FIELD_CHILDREN, &field->children, &field->n_children);
}

static int fields_read(struct schema_read *read, const struct seai_flat_table *table, unsigned id,
                       const struct sea_arrow_field **ret_fields, size_t *ret_n_fields)
{
	struct seai_flat_vector vector = { NULL, 0, 0, 0 };
	struct sea_arrow_field *fields;
	void *memory = NULL;
	int r = seai_flat_vector(table, id, 4, &vector);

	if (r < 0)
		return read_failed(read, r);
	if (r == 0 || vector.n_items == 0)
		return 0;
	if (vector.n_items > SEA_ARROW_FIELDS_MAX - read->n_fields)
		return read_wrong(read, -E2BIG, "more than 100000 fields");
	if (read->depth == SEA_ARROW_DEPTH_MAX)
		return read_wrong(read, -E2BIG, "fields in fields, more than 64 deep");
	read->n_fields += vector.n_items;
	r = seai_arrow_arena_take(read->arena, vector.n_items, sizeof(*fields), &memory);
	if (r < 0)
		return read_failed(read, r);
	fields = memory;
	read->depth++;
	for (uint32_t i = 0; i < vector.n_items; i++) {
		struct seai_flat_table field = { NULL, 0, 0, 0, 0 };

		read->path[read->depth - 1] = NULL;
		r = seai_flat_vector_table(&vector, i, &field);
		r = r < 0 ? read_failed(read, r) : field_read(read, &field, &fields[i]);
		if (r < 0)
			return r;
	}
	read->depth--;
	*ret_fields = fields;
	*ret_n_fields = vector.n_items;
	return 0;
}

int seai_schema_read(struct seai_arrow_arena *arena, const struct seai_flat_table *table,
                     struct sea_arrow_schema *ret_schema, struct sea_error *error)
{
	struct sea_error own = { 0 };
	struct schema_read read = { .arena = arena, .error = &own };
	struct sea_arrow_schema schema = { NULL, 0, NULL, 0 };
	int16_t endianness = 0;
	int r = seai_flat_i16(table, SCHEMA_ENDIANNESS, 0, &endianness);

	if (r >= 0 && endianness != 0)
		return SEAI_FAIL(error, -ENOTSUP, "", "the data is big-endian");
	if (r >= 0)
		r = pairs_read(&read, table, SCHEMA_METADATA, &schema.metadata, &schema.n_metadata);
	r = r < 0 ? read_failed(&read, r) : fields_read(&read, table, SCHEMA_FIELDS, &schema.fields, &schema.n_fields);
	if (r == 0)
		r = sea_arrow_schema_check(&schema, &own);
	if (r < 0) {
		/* What a stream says is no argument of the caller's. */
		return SEAI_FAIL(error, r == -EINVAL ? -EBADMSG : r, own.key, "%s", own.text);
	}
	*ret_schema = schema;
	return 0;
}
