/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of properties: copies in one piece, from text and as text.
 *
 * The odd rule: text is read and written as in the C locale, whatever the program has set, since files and command lines are.
 */
#include "device/value.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const value_names[] = {
	[SEA_VALUE_NONE] = "none",
	[SEA_VALUE_BOOL] = "bool",
	[SEA_VALUE_INT] = "int64",
	[SEA_VALUE_UINT] = "uint64",
	[SEA_VALUE_DOUBLE] = "double",
	[SEA_VALUE_STRING] = "string",
	[SEA_VALUE_BOOL_ARRAY] = "bool[]",
	[SEA_VALUE_INT_ARRAY] = "int64[]",
	[SEA_VALUE_UINT_ARRAY] = "uint64[]",
	[SEA_VALUE_DOUBLE_ARRAY] = "double[]",
	[SEA_VALUE_STRING_ARRAY] = "string[]",
};

const char *sea_value_type_name(enum sea_value_type type)
{
	return (unsigned)type <= SEA_VALUE_STRING_ARRAY ? value_names[type] : "none";
}

/* Bytes of one item of an array; 0: the type is no array. */
static size_t value_item_n_bytes(enum sea_value_type type)
{
	switch (type) {
	case SEA_VALUE_BOOL_ARRAY: return sizeof(bool);
	case SEA_VALUE_INT_ARRAY: return sizeof(int64_t);
	case SEA_VALUE_UINT_ARRAY: return sizeof(uint64_t);
	case SEA_VALUE_DOUBLE_ARRAY: return sizeof(double);
	case SEA_VALUE_STRING_ARRAY: return sizeof(char *);
	default: return 0;
	}
}

/* All pointers of the union to arrays are at one place; this names it. */
static const void *value_items(const struct sea_value *value)
{
	return (const void *)value->as.integers;
}

static int value_check(const struct sea_value *value)
{
	if (value->type <= SEA_VALUE_NONE || value->type > SEA_VALUE_STRING_ARRAY)
		return -EINVAL;
	if (value->type == SEA_VALUE_STRING)
		return value->as.string ? 0 : -EINVAL;
	if (!value_item_n_bytes(value->type) || !value->n_items)
		return 0;
	if (!value_items(value) || value->n_items > INT32_MAX)
		return -EINVAL;
	if (value->type == SEA_VALUE_STRING_ARRAY)
		for (uint64_t i = 0; i < value->n_items; i++)
			if (!value->as.strings[i])
				return -EINVAL;
	return 0;
}

int seai_value_copy(const struct sea_value *value, struct sea_value **ret_copy)
{
	size_t n_items_bytes, n_text_bytes = 0;
	struct sea_value *copy;
	char *text;
	int r = value_check(value);

	if (r < 0)
		return r;
	n_items_bytes = value_item_n_bytes(value->type) * value->n_items;
	if (value->type == SEA_VALUE_STRING)
		n_text_bytes = strlen(value->as.string) + 1;
	for (uint64_t i = 0; value->type == SEA_VALUE_STRING_ARRAY && i < value->n_items; i++)
		n_text_bytes += strlen(value->as.strings[i]) + 1;
	copy = malloc(sizeof(*copy) + n_items_bytes + n_text_bytes);
	if (!copy)
		return -ENOMEM;
	*copy = *value;
	copy->reserved = 0;
	text = (char *)(copy + 1) + n_items_bytes;
	if (value->type == SEA_VALUE_STRING) {
		copy->n_items = 0;
		copy->as.string = memcpy(text, value->as.string, n_text_bytes);
	} else if (value->type == SEA_VALUE_STRING_ARRAY) {
		char **strings = (char **)(copy + 1);

		for (uint64_t i = 0; i < value->n_items; i++) {
			size_t n = strlen(value->as.strings[i]) + 1;

			strings[i] = memcpy(text, value->as.strings[i], n);
			text += n;
		}
		copy->as.strings = (const char *const *)strings;
	} else if (value_item_n_bytes(value->type)) {
		if (n_items_bytes)
			memcpy(copy + 1, value_items(value), n_items_bytes);
		copy->as.integers = (const int64_t *)(copy + 1);
	} else {
		copy->n_items = 0;
	}
	*ret_copy = copy;
	return 0;
}

/* As text. ------------------------------------------------------------------------------- */

struct text {
	char *bytes;
	size_t n_bytes; /* room */
	size_t n_used;  /* wanted so far, without the end */
};

static void text_add(struct text *text, const char *more)
{
	size_t n = strlen(more);

	if (text->n_used + 1 < text->n_bytes) {
		size_t room = text->n_bytes - 1 - text->n_used;

		memcpy(text->bytes + text->n_used, more, n < room ? n : room);
	}
	text->n_used += n;
}

static void text_add_double(struct text *text, double number)
{
	locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale_t before = c_locale ? uselocale(c_locale) : (locale_t)0;
	char digits[40];

	/* The shortest that is read back as the same number. */
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof(digits), "%.*g", precision, number);
		if (strtod(digits, NULL) == number)
			break;
	}
	if (c_locale) {
		uselocale(before);
		freelocale(c_locale);
	}
	text_add(text, digits);
}

static void text_add_item(struct text *text, enum sea_value_type type, const struct sea_value *value, uint64_t i)
{
	char digits[24];

	switch (type) {
	case SEA_VALUE_BOOL_ARRAY: text_add(text, value->as.booleans[i] ? "true" : "false"); break;
	case SEA_VALUE_INT_ARRAY:
		snprintf(digits, sizeof(digits), "%lld", (long long)value->as.integers[i]);
		text_add(text, digits);
		break;
	case SEA_VALUE_UINT_ARRAY:
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value->as.uintegers[i]);
		text_add(text, digits);
		break;
	case SEA_VALUE_DOUBLE_ARRAY: text_add_double(text, value->as.reals[i]); break;
	default: text_add(text, value->as.strings[i]); break;
	}
}

size_t sea_value_text(const struct sea_value *value, char *text, size_t n_bytes)
{
	struct text all = { text, n_bytes, 0 };
	char digits[24];

	switch (value->type) {
	case SEA_VALUE_BOOL: text_add(&all, value->as.boolean ? "true" : "false"); break;
	case SEA_VALUE_INT:
		snprintf(digits, sizeof(digits), "%lld", (long long)value->as.integer);
		text_add(&all, digits);
		break;
	case SEA_VALUE_UINT:
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value->as.uinteger);
		text_add(&all, digits);
		break;
	case SEA_VALUE_DOUBLE: text_add_double(&all, value->as.real); break;
	case SEA_VALUE_STRING: text_add(&all, value->as.string); break;
	default:
		for (uint64_t i = 0; value_item_n_bytes(value->type) && i < value->n_items; i++) {
			if (i)
				text_add(&all, ", ");
			text_add_item(&all, value->type, value, i);
		}
		break;
	}
	if (n_bytes)
		text[all.n_used < n_bytes ? all.n_used : n_bytes - 1] = 0;
	return all.n_used;
}

/* From text. ----------------------------------------------------------------------------- */

int seai_text_bool(const char *text, bool *ret_value)
{
	static const char *const words[] = { "false", "true", "0", "1", "off", "on", "no", "yes" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0) {
			*ret_value = i & 1;
			return 0;
		}
	return -EINVAL;
}

/* Whether text is a sign where one may be, and then digits; *ret_end is what follows. */
static bool text_is_number(const char *text, const char **ret_end)
{
	const char *digits = text + (*text == '-' || *text == '+');
	size_t n = strspn(digits, "0123456789");

	*ret_end = digits + n;
	return n > 0;
}

int seai_text_int(const char *text, int64_t *ret_value)
{
	const char *end;
	long long number;

	if (!text_is_number(text, &end) || *end)
		return -EINVAL;
	errno = 0;
	number = strtoll(text, NULL, 10);
	if (errno)
		return -ERANGE;
	*ret_value = number;
	return 0;
}

static int text_unsigned(const char *text, uint64_t *ret_value, const char **ret_end)
{
	unsigned long long number;

	if (!text_is_number(text, ret_end))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, NULL, 10);
	if (errno || (*text == '-' && number))
		return -ERANGE;
	*ret_value = number;
	return 0;
}

int seai_text_uint(const char *text, uint64_t *ret_value)
{
	uint64_t number = 0;
	const char *end;
	int r = text_unsigned(text, &number, &end);

	if (r < 0 || *end)
		return *end ? -EINVAL : r;
	*ret_value = number;
	return 0;
}

int seai_text_size(const char *text, uint64_t *ret_value)
{
	static const char letters[] = "KMGT";
	const char *end, *letter;
	uint64_t number = 0;
	unsigned shift = 0;
	int r = text_unsigned(text, &number, &end);

	if (r == -EINVAL)
		return r;
	letter = *end ? strchr(letters, *end) : NULL;
	if (letter) {
		shift = 10 * (unsigned)(letter - letters + 1);
		end += strcmp(end + 1, "iB") == 0 ? 3 : 1;
	}
	if (*end)
		return -EINVAL;
	if (r < 0 || number > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_value = number << shift;
	return 0;
}

static int text_double(const char *text, double *ret_value)
{
	locale_t c_locale;
	double number;
	char *end;

	if (!*text || strchr(" \t\n\v\f\r", *text))
		return -EINVAL;
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c_locale)
		return -ENOMEM;
	errno = 0;
	number = strtod_l(text, &end, c_locale);
	freelocale(c_locale);
	if (*end || end == text)
		return -EINVAL;
	/* A number too small to be told from nothing is nothing. */
	if (errno == ERANGE && (number > 1 || number < -1))
		return -ERANGE;
	*ret_value = number;
	return 0;
}

/* Cuts a list at its commas, in place; blanks before an item are no part of it. @return how many items it has */
static uint64_t text_cut(char *text, char **items)
{
	uint64_t n_items = 0;

	if (!*text)
		return 0;
	for (char *next = text; next;) {
		char *item = next + strspn(next, " \t");

		next = strchr(item, ',');
		if (next)
			*next++ = 0;
		items[n_items++] = item;
	}
	return n_items;
}

static int value_parse_items(enum sea_value_type type, const char *text, struct sea_value **ret_value)
{
	struct sea_value value = { .type = type };
	SEAI_AUTO_FREE char *cut = strdup(text);
	SEAI_AUTO_FREE char **items = NULL;
	SEAI_AUTO_FREE void *array = NULL;
	size_t n_most = 1;
	int r = 0;

	for (const char *comma = strchr(text, ','); comma; comma = strchr(comma + 1, ','))
		n_most++;
	items = calloc(n_most, sizeof(*items));
	array = calloc(n_most, sizeof(int64_t));
	if (!cut || !items || !array)
		return -ENOMEM;
	value.n_items = text_cut(cut, items);
	value.as.integers = array;
	for (uint64_t i = 0; i < value.n_items && r == 0; i++)
		switch (type) {
		case SEA_VALUE_BOOL_ARRAY: r = seai_text_bool(items[i], (bool *)array + i); break;
		case SEA_VALUE_INT_ARRAY: r = seai_text_int(items[i], (int64_t *)array + i); break;
		case SEA_VALUE_UINT_ARRAY: r = seai_text_uint(items[i], (uint64_t *)array + i); break;
		case SEA_VALUE_DOUBLE_ARRAY: r = text_double(items[i], (double *)array + i); break;
		default: ((const char **)array)[i] = items[i]; break;
		}
	return r < 0 ? r : seai_value_copy(&value, ret_value);
}

int seai_value_parse(enum sea_value_type type, const char *text, struct sea_value **ret_value)
{
	struct sea_value value = { .type = type };
	int r = 0;

	switch (type) {
	case SEA_VALUE_BOOL: r = seai_text_bool(text, &value.as.boolean); break;
	case SEA_VALUE_INT: r = seai_text_int(text, &value.as.integer); break;
	case SEA_VALUE_UINT: r = seai_text_uint(text, &value.as.uinteger); break;
	case SEA_VALUE_DOUBLE: r = text_double(text, &value.as.real); break;
	case SEA_VALUE_STRING: value.as.string = text; break;
	default: return value_item_n_bytes(type) ? value_parse_items(type, text, ret_value) : -EINVAL;
	}
	return r < 0 ? r : seai_value_copy(&value, ret_value);
}
