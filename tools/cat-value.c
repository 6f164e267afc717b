/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a table as text, or as JSON. The batch was checked: what cannot be read is printed as null, and does not happen. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cat.h"

static void json_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row)
{
	if (!cat_value_add(text, column, row, true))
		cat_text_add(text, "null", 4);
}

/* The fewest digits that are read as the same number. */
static void double_add(struct cat_text *text, double value, int bits, bool as_json)
{
	int least = bits < 64 ? 6 : 15, most = bits < 64 ? 9 : 17;
	char number[40] = "";

	if (!isfinite(value)) {
		const char *name = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";

		cat_text_add_escaped(text, name, strlen(name), as_json);
		return;
	}
	for (int n = least; n <= most; n++) {
		snprintf(number, sizeof(number), "%.*g", n, value);
		if (bits < 64 ? strtof(number, NULL) == (float)value : strtod(number, NULL) == value)
			break;
	}
	cat_text_add(text, number, strlen(number));
}

static void hex_add(struct cat_text *text, const unsigned char *bytes, size_t n_bytes, bool has_quotes)
{
	static const char digits[] = "0123456789abcdef";

	if (has_quotes)
		cat_text_add(text, "\"", 1);
	for (size_t i = 0; i < n_bytes; i++) {
		char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };

		cat_text_add(text, pair, 2);
	}
	if (has_quotes)
		cat_text_add(text, "\"", 1);
}

static void interval_add(struct cat_text *text, int unit, const unsigned char *bytes, bool has_quotes)
{
	int32_t first, second;
	int64_t third;

	memcpy(&first, bytes, sizeof(first));
	if (has_quotes)
		cat_text_add(text, "\"", 1);
	if (unit == SEA_ARROW_YEAR_MONTH) {
		cat_text_printf(text, "%" PRId32 " months", first);
	} else if (unit == SEA_ARROW_DAY_TIME) {
		memcpy(&second, bytes + 4, sizeof(second));
		cat_text_printf(text, "%" PRId32 " days %" PRId32 " ms", first, second);
	} else {
		memcpy(&second, bytes + 4, sizeof(second));
		memcpy(&third, bytes + 8, sizeof(third));
		cat_text_printf(text, "%" PRId32 " months %" PRId32 " days %" PRId64 " ns", first, second, third);
	}
	if (has_quotes)
		cat_text_add(text, "\"", 1);
}

static void items_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row)
{
	const struct sea_arrow_column *items;
	int64_t first, n;

	if (sea_arrow_column_get_items(column, row, &items, &first, &n) != 0)
		n = 0;
	cat_text_add(text, "[", 1);
	for (int64_t i = 0; i < n; i++) {
		if (i)
			cat_text_add(text, ",", 1);
		json_add(text, items, first + i);
	}
	cat_text_add(text, "]", 1);
}

static void struct_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row)
{
	cat_text_add(text, "{", 1);
	for (size_t i = 0; i < column->n_children; i++) {
		const char *name = column->children[i].field->name;

		if (i)
			cat_text_add(text, ",", 1);
		cat_text_add_escaped(text, name, strlen(name), true);
		cat_text_add(text, ":", 1);
		json_add(text, &column->children[i], row);
	}
	cat_text_add(text, "}", 1);
}

static void integer_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row, bool as_json)
{
	const struct sea_arrow_type *type = &column->field->type;
	uint64_t natural = 0;
	int64_t value = 0;

	if (type->id == SEA_ARROW_INT && !type->is_signed) {
		(void)sea_arrow_column_get_uint(column, row, &natural);
		cat_text_printf(text, "%" PRIu64, natural);
		return;
	}
	(void)sea_arrow_column_get_int(column, row, &value);
	if (type->id == SEA_ARROW_BOOL)
		cat_text_printf(text, "%s", value ? "true" : "false");
	else if (type->id == SEA_ARROW_INT || as_json)
		cat_text_printf(text, "%" PRId64, value);
	else
		cat_time_add(text, type, value);
}

static void bytes_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row, bool as_json)
{
	const struct sea_arrow_type *type = &column->field->type;
	const void *bytes = "";
	size_t n_bytes = 0;

	(void)sea_arrow_column_get_bytes(column, row, &bytes, &n_bytes);
	switch (type->id) {
	case SEA_ARROW_UTF8:
	case SEA_ARROW_LARGE_UTF8:
	case SEA_ARROW_UTF8_VIEW: cat_text_add_escaped(text, bytes, n_bytes, as_json); return;
	case SEA_ARROW_INTERVAL: interval_add(text, type->unit, bytes, as_json); return;
	case SEA_ARROW_DECIMAL:
		if (as_json)
			cat_text_add(text, "\"", 1);
		cat_decimal_add(text, type, bytes, n_bytes);
		if (as_json)
			cat_text_add(text, "\"", 1);
		return;
	default: hex_add(text, bytes, n_bytes, as_json); return;
	}
}

bool cat_value_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row, bool as_json)
{
	double value = 0;

	if (sea_arrow_column_resolve(column, row, &column, &row) != 0)
		return false;
	switch (column->field->type.id) {
	case SEA_ARROW_INT:
	case SEA_ARROW_BOOL:
	case SEA_ARROW_DATE:
	case SEA_ARROW_TIME:
	case SEA_ARROW_TIMESTAMP:
	case SEA_ARROW_DURATION: integer_add(text, column, row, as_json); break;
	case SEA_ARROW_FLOAT:
		(void)sea_arrow_column_get_double(column, row, &value);
		double_add(text, value, column->field->type.bits, as_json);
		break;
	case SEA_ARROW_STRUCT: struct_add(text, column, row); break;
	case SEA_ARROW_LIST:
	case SEA_ARROW_LARGE_LIST:
	case SEA_ARROW_LIST_VIEW:
	case SEA_ARROW_LARGE_LIST_VIEW:
	case SEA_ARROW_FIXED_SIZE_LIST:
	case SEA_ARROW_MAP: items_add(text, column, row); break;
	default: bytes_add(text, column, row, as_json); break;
	}
	return true;
}
