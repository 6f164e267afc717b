/* SPDX-License-Identifier: Apache-2.0 */
/* Types by their format strings (Arrow C Data Interface), and as a person writes them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/schema.h>

#include "arrow/tree.h"

/* Formats that are one word. */
static const struct {
	const char *format;
	const char *text;
	struct sea_arrow_type type;
} words[] = {
	{ "n", "null", { .id = SEA_ARROW_NULL } },
	{ "b", "bool", { .id = SEA_ARROW_BOOL } },
	{ "c", "int8", { .id = SEA_ARROW_INT, .bits = 8, .is_signed = 1 } },
	{ "C", "uint8", { .id = SEA_ARROW_INT, .bits = 8 } },
	{ "s", "int16", { .id = SEA_ARROW_INT, .bits = 16, .is_signed = 1 } },
	{ "S", "uint16", { .id = SEA_ARROW_INT, .bits = 16 } },
	{ "i", "int32", { .id = SEA_ARROW_INT, .bits = 32, .is_signed = 1 } },
	{ "I", "uint32", { .id = SEA_ARROW_INT, .bits = 32 } },
	{ "l", "int64", { .id = SEA_ARROW_INT, .bits = 64, .is_signed = 1 } },
	{ "L", "uint64", { .id = SEA_ARROW_INT, .bits = 64 } },
	{ "e", "float16", { .id = SEA_ARROW_FLOAT, .bits = 16 } },
	{ "f", "float32", { .id = SEA_ARROW_FLOAT, .bits = 32 } },
	{ "g", "float64", { .id = SEA_ARROW_FLOAT, .bits = 64 } },
	{ "z", "binary", { .id = SEA_ARROW_BINARY } },
	{ "Z", "large_binary", { .id = SEA_ARROW_LARGE_BINARY } },
	{ "vz", "binary_view", { .id = SEA_ARROW_BINARY_VIEW } },
	{ "u", "utf8", { .id = SEA_ARROW_UTF8 } },
	{ "U", "large_utf8", { .id = SEA_ARROW_LARGE_UTF8 } },
	{ "vu", "utf8_view", { .id = SEA_ARROW_UTF8_VIEW } },
	{ "tdD", "date32", { .id = SEA_ARROW_DATE, .bits = 32 } },
	{ "tdm", "date64", { .id = SEA_ARROW_DATE, .bits = 64 } },
	{ "tts", "time32[s]", { .id = SEA_ARROW_TIME, .bits = 32, .unit = SEA_ARROW_SECOND } },
	{ "ttm", "time32[ms]", { .id = SEA_ARROW_TIME, .bits = 32, .unit = SEA_ARROW_MILLISECOND } },
	{ "ttu", "time64[us]", { .id = SEA_ARROW_TIME, .bits = 64, .unit = SEA_ARROW_MICROSECOND } },
	{ "ttn", "time64[ns]", { .id = SEA_ARROW_TIME, .bits = 64, .unit = SEA_ARROW_NANOSECOND } },
	{ "tDs", "duration[s]", { .id = SEA_ARROW_DURATION, .bits = 64, .unit = SEA_ARROW_SECOND } },
	{ "tDm", "duration[ms]", { .id = SEA_ARROW_DURATION, .bits = 64, .unit = SEA_ARROW_MILLISECOND } },
	{ "tDu", "duration[us]", { .id = SEA_ARROW_DURATION, .bits = 64, .unit = SEA_ARROW_MICROSECOND } },
	{ "tDn", "duration[ns]", { .id = SEA_ARROW_DURATION, .bits = 64, .unit = SEA_ARROW_NANOSECOND } },
	{ "tiM", "interval[months]", { .id = SEA_ARROW_INTERVAL, .unit = SEA_ARROW_YEAR_MONTH } },
	{ "tiD", "interval[days, ms]", { .id = SEA_ARROW_INTERVAL, .unit = SEA_ARROW_DAY_TIME } },
	{ "tin", "interval[months, days, ns]", { .id = SEA_ARROW_INTERVAL, .unit = SEA_ARROW_MONTH_DAY_NANO } },
	{ "+s", "struct", { .id = SEA_ARROW_STRUCT } },
	{ "+l", "list", { .id = SEA_ARROW_LIST } },
	{ "+L", "large_list", { .id = SEA_ARROW_LARGE_LIST } },
	{ "+vl", "list_view", { .id = SEA_ARROW_LIST_VIEW } },
	{ "+vL", "large_list_view", { .id = SEA_ARROW_LARGE_LIST_VIEW } },
	{ "+m", "map", { .id = SEA_ARROW_MAP } },
	{ "+r", "run_end_encoded", { .id = SEA_ARROW_RUN_END_ENCODED } },
};

#define N_WORDS (sizeof(words) / sizeof(words[0]))

static const char unit_letters[] = "smun";
static const char *const unit_names[] = { "s", "ms", "us", "ns" };

/* A whole number that ends at one of these characters or at the end. */
static int number_parse(const char **at, long min, long max, const char *ends, long *ret_value)
{
	char *end;
	long value;

	/* strtol() would skip spaces. */
	if (**at != '-' && (**at < '0' || **at > '9'))
		return -EINVAL;
	errno = 0;
	value = strtol(*at, &end, 10);
	if (errno || end == *at || value < min || value > max || !strchr(ends, *end))
		return -EINVAL;
	*at = *end ? end + 1 : end;
	*ret_value = value;
	return 0;
}

static int sized_parse(const char *number, enum sea_arrow_type_id id, struct sea_arrow_type *type)
{
	long size = 0;
	int r = number_parse(&number, 0, INT32_MAX, "", &size);

	type->id = id;
	type->size = (int32_t)size;
	return r;
}

static int decimal_parse(const char *numbers, struct sea_arrow_type *type)
{
	long precision = 0, scale = 0, bits = 128;
	int r = number_parse(&numbers, 1, 76, ",", &precision);

	if (r == 0)
		r = number_parse(&numbers, INT16_MIN, INT16_MAX, ",", &scale);
	if (r == 0 && *numbers)
		r = number_parse(&numbers, 32, 256, "", &bits);
	type->id = SEA_ARROW_DECIMAL;
	type->precision = (int)precision;
	type->scale = (int)scale;
	type->bits = (int)bits;
	return bits == 32 || bits == 64 || bits == 128 || bits == 256 ? r : -EINVAL;
}

static int union_parse(const char *ids, bool is_dense, struct sea_arrow_type *type)
{
	type->id = SEA_ARROW_UNION;
	type->is_dense = is_dense;
	for (long i = 0; *ids; i++) {
		long id = 0;
		int r = number_parse(&ids, 0, 127, ",", &id);

		if (r < 0)
			return r;
		if (id != i)
			return -ENOTSUP;
	}
	return 0;
}

static int timestamp_parse(const char *format, struct sea_arrow_type *type)
{
	const char *letter = format[2] ? strchr(unit_letters, format[2]) : NULL;

	if (!letter || format[3] != ':')
		return -EINVAL;
	type->id = SEA_ARROW_TIMESTAMP;
	type->bits = 64;
	type->unit = (int)(letter - unit_letters);
	type->timezone = format[4] ? format + 4 : NULL;
	return 0;
}

int sea_arrow_type_parse(const char *format, struct sea_arrow_type *ret_type)
{
	struct sea_arrow_type type = { .id = SEA_ARROW_NONE };
	int r = -EINVAL;

	if (!format)
		return -EINVAL;
	for (size_t i = 0; i < N_WORDS; i++)
		if (strcmp(format, words[i].format) == 0) {
			*ret_type = words[i].type;
			return 0;
		}
	if (strncmp(format, "w:", 2) == 0)
		r = sized_parse(format + 2, SEA_ARROW_FIXED_SIZE_BINARY, &type);
	else if (strncmp(format, "+w:", 3) == 0)
		r = sized_parse(format + 3, SEA_ARROW_FIXED_SIZE_LIST, &type);
	else if (strncmp(format, "ts", 2) == 0)
		r = timestamp_parse(format, &type);
	else if (strncmp(format, "d:", 2) == 0)
		r = decimal_parse(format + 2, &type);
	else if (strncmp(format, "+ud:", 4) == 0 || strncmp(format, "+us:", 4) == 0)
		r = union_parse(format + 4, format[2] == 'd', &type);
	if (r == 0)
		*ret_type = type;
	return r;
}

/* The word of a type; NULL: it has none. Sorted maps are maps here. */
static const char *type_word(const struct sea_arrow_type *type, bool is_text)
{
	for (size_t i = 0; i < N_WORDS; i++) {
		const struct sea_arrow_type *other = &words[i].type;

		if (type->id == other->id && (!other->bits || type->bits == other->bits) && type->unit == other->unit &&
		    type->is_signed == other->is_signed)
			return is_text ? words[i].text : words[i].format;
	}
	return NULL;
}

/* Appends to a text that is cut to fit; *n counts on, as snprintf() does. */
static void text_add(char *text, size_t n_bytes, size_t *n, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void text_add(char *text, size_t n_bytes, size_t *n, const char *format, ...)
{
	va_list arguments;
	int n_more;

	va_start(arguments, format);
	n_more = vsnprintf(*n < n_bytes ? text + *n : NULL, *n < n_bytes ? n_bytes - *n : 0, format, arguments);
	va_end(arguments);
	*n += n_more > 0 ? (size_t)n_more : 0;
}

static void union_format(const struct sea_arrow_type *type, char *format, size_t n_bytes, size_t *n)
{
	text_add(format, n_bytes, n, "+u%c:", type->is_dense ? 'd' : 's');
	for (size_t i = 0; i < type->n_type_ids; i++)
		text_add(format, n_bytes, n, "%s%d", i ? "," : "", type->type_ids ? (int)type->type_ids[i] : (int)i);
}

int sea_arrow_type_format(const struct sea_arrow_type *type, char *format, size_t n_bytes)
{
	const char *word = type_word(type, false);
	size_t n = 0;

	if (word) {
		text_add(format, n_bytes, &n, "%s", word);
	} else {
		switch (type->id) {
		case SEA_ARROW_FIXED_SIZE_BINARY: text_add(format, n_bytes, &n, "w:%" PRId32, type->size); break;
		case SEA_ARROW_FIXED_SIZE_LIST: text_add(format, n_bytes, &n, "+w:%" PRId32, type->size); break;
		case SEA_ARROW_TIMESTAMP:
			text_add(format, n_bytes, &n, "ts%c:%s", unit_letters[type->unit & 3],
			         type->timezone ? type->timezone : "");
			break;
		case SEA_ARROW_DECIMAL:
			text_add(format, n_bytes, &n, "d:%d,%d", type->precision, type->scale);
			if (type->bits != 128)
				text_add(format, n_bytes, &n, ",%d", type->bits);
			break;
		case SEA_ARROW_UNION: union_format(type, format, n_bytes, &n); break;
		default: return -EINVAL;
		}
	}
	return n < n_bytes ? (int)n : -E2BIG;
}

int64_t sea_arrow_type_width(const struct sea_arrow_type *type)
{
	switch (type->id) {
	case SEA_ARROW_BOOL: return 1;
	case SEA_ARROW_INT:
	case SEA_ARROW_FLOAT:
	case SEA_ARROW_DECIMAL:
	case SEA_ARROW_DATE:
	case SEA_ARROW_TIME: return type->bits;
	case SEA_ARROW_TIMESTAMP:
	case SEA_ARROW_DURATION: return 64;
	case SEA_ARROW_INTERVAL:
		return type->unit == SEA_ARROW_YEAR_MONTH ? 32 : type->unit == SEA_ARROW_DAY_TIME ? 64 : 128;
	case SEA_ARROW_FIXED_SIZE_BINARY: return (int64_t)type->size * 8;
	default: return 0;
	}
}

void seai_type_text(const struct sea_arrow_type *type, char *text, size_t n_bytes)
{
	const char *word = type_word(type, true);
	const char *unit = unit_names[type->unit & 3];
	size_t n = 0;

	if (word) {
		text_add(text, n_bytes, &n, "%s", word);
		return;
	}
	switch (type->id) {
	case SEA_ARROW_FIXED_SIZE_BINARY:
		text_add(text, n_bytes, &n, "fixed_size_binary[%" PRId32 "]", type->size);
		break;
	case SEA_ARROW_FIXED_SIZE_LIST: text_add(text, n_bytes, &n, "fixed_size_list[%" PRId32 "]", type->size); break;
	case SEA_ARROW_TIMESTAMP:
		text_add(text, n_bytes, &n, type->timezone ? "timestamp[%s, %s]" : "timestamp[%s]", unit,
		         type->timezone);
		break;
	case SEA_ARROW_DECIMAL:
		text_add(text, n_bytes, &n, "decimal%d[%d, %d]", type->bits, type->precision, type->scale);
		break;
	case SEA_ARROW_UNION: text_add(text, n_bytes, &n, "%s_union", type->is_dense ? "dense" : "sparse"); break;
	default: text_add(text, n_bytes, &n, "type %d", (int)type->id); break;
	}
}

static void field_text_add(const struct sea_arrow_field *field, char *text, size_t n_bytes, size_t *n, unsigned depth)
{
	bool has_names = field->type.id == SEA_ARROW_STRUCT || field->type.id == SEA_ARROW_UNION;
	char type[96];

	seai_type_text(&field->type, type, sizeof(type));
	if (field->index_bits)
		text_add(text, n_bytes, n, "dictionary<%sint%d, ", field->index_is_signed ? "" : "u",
		         field->index_bits);
	text_add(text, n_bytes, n, "%s", type);
	if (field->n_children && depth < SEA_ARROW_DEPTH_MAX && *n < n_bytes) {
		text_add(text, n_bytes, n, "<");
		for (size_t i = 0; i < field->n_children && *n < n_bytes; i++) {
			const char *name = field->children[i].name;

			text_add(text, n_bytes, n, "%s", i ? ", " : "");
			if (has_names)
				text_add(text, n_bytes, n, "%s: ", name ? name : "");
			field_text_add(&field->children[i], text, n_bytes, n, depth + 1);
		}
		text_add(text, n_bytes, n, ">");
	}
	if (field->index_bits)
		text_add(text, n_bytes, n, ">");
}

char *sea_arrow_field_text(const struct sea_arrow_field *field, char *text, size_t n_bytes)
{
	size_t n = 0;

	if (n_bytes == 0)
		return text;
	text[0] = '\0';
	field_text_add(field, text, n_bytes, &n, 0);
	return text;
}
