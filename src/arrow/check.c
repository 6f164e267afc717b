/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of a column, once: what its members can be used for afterwards without a look at each. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include <sealane/arrow/column.h>

#include "arrow/batch.h"
#include "arrow/fail.h"
#include "arrow/load.h"

/* Where the check is: paths of errors. */
struct column_check {
	struct sea_error *error;
	const char *path[2 * SEA_ARROW_DEPTH_MAX];
	unsigned depth;
};

static int check_wrong(const struct column_check *check, int64_t row, const char *text)
{
	char path[128] = "";
	size_t n = 0;

	for (unsigned i = 0; i < check->depth && n < sizeof(path); i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s", n ? "." : "",
		                      check->path[i] ? check->path[i] : "");
	return SEAI_FAIL(check->error, -EBADMSG, path, "row %lld: %s", (long long)row, text);
}

static bool row_is_null(const struct sea_arrow_column *column, int64_t row)
{
	return column->validity && !seai_bit(column->validity, column->offset + row);
}

/* Lengths of UTF-8 sequences are right and none is longer than it need be, none is a surrogate or too large. */
static bool text_is_utf8(const uint8_t *text, size_t n_bytes)
{
	size_t i = 0;

	while (i < n_bytes) {
		uint8_t first = text[i];
		unsigned n_more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
		uint32_t code;

		/* Eight at a time while they are ASCII. */
		if (i + 8 <= n_bytes && !(seai_load_u64(text + i) & UINT64_C(0x8080808080808080))) {
			i += 8;
			continue;
		}
		if (first < 0x80) {
			i++;
			continue;
		}
		if (first < 0xc2 || first > 0xf4 || n_more >= n_bytes - i)
			return false;
		code = first & (0x3fu >> n_more);
		for (unsigned j = 1; j <= n_more; j++) {
			if ((text[i + j] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (text[i + j] & 0x3fu);
		}
		if ((n_more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
		    (n_more == 3 && (code < 0x10000 || code > 0x10ffff)))
			return false;
		i += n_more + 1;
	}
	return true;
}

static int text_check(const struct column_check *check, const struct sea_arrow_column *column, bool is_text)
{
	for (int64_t row = 0; row < column->n_rows; row++) {
		const void *data;
		size_t n_bytes;
		int r = sea_arrow_column_get_bytes(column, row, &data, &n_bytes);

		if (r < 0)
			return check_wrong(check, row, "a value lies outside of the buffers");
		if (r == 0 && is_text && !text_is_utf8(data, n_bytes))
			return check_wrong(check, row, "the text is not UTF-8");
	}
	return 0;
}

static int indices_check(const struct column_check *check, const struct sea_arrow_column *column)
{
	const struct sea_arrow_column *dictionary = column->dictionary;
	uint64_t n_values = dictionary ? (uint64_t)(dictionary->first_row + dictionary->n_rows) : 0;
	unsigned n_bytes = (unsigned)column->field->index_bits / 8;

	for (int64_t row = 0; row < column->n_rows; row++) {
		/* Negative ones are above any number of values. */
		uint64_t index = column->field->index_is_signed
		                         ? (uint64_t)seai_at_signed(column->data, n_bytes, column->offset + row)
		                         : seai_at_unsigned(column->data, n_bytes, column->offset + row);

		if (index >= n_values && !row_is_null(column, row))
			return check_wrong(check, row,
			                   dictionary ? "an index outside of the dictionary"
			                              : "its dictionary has not come");
	}
	return 0;
}

static int runs_check(const struct column_check *check, const struct sea_arrow_column *column)
{
	const struct sea_arrow_column *ends = &column->children[0];
	unsigned n_bytes = (unsigned)ends->field->type.bits / 8;
	int64_t last = 0;

	if (ends->validity || ends->n_rows > column->children[1].n_rows)
		return check_wrong(check, 0, "a run end is null, or has no value");
	for (int64_t i = 0; i < ends->n_rows; i++) {
		int64_t end = seai_at_signed(ends->data, n_bytes, ends->offset + i);

		if (end <= last)
			return check_wrong(check, i, "the run ends do not rise");
		last = end;
	}
	return last < column->offset + column->n_rows ? check_wrong(check, last, "the last run ends too early") : 0;
}

static int union_check(const struct column_check *check, const struct sea_arrow_column *column)
{
	for (int64_t row = 0; row < column->n_rows; row++) {
		/* -EBADMSG may come from further down, where it is found again, with its place. */
		if (!row_is_null(column, row) && sea_arrow_column_is_null(column, row) < 0)
			return check_wrong(check, row, "a type id or offset of a union is wrong");
	}
	return 0;
}

static int lists_check(const struct column_check *check, const struct sea_arrow_column *column)
{
	for (int64_t row = 0; row < column->n_rows; row++) {
		const struct sea_arrow_column *items;
		int64_t first, n;

		if (sea_arrow_column_get_items(column, row, &items, &first, &n) < 0)
			return check_wrong(check, row, "a list lies outside of its items");
	}
	return 0;
}

static int column_check(struct column_check *check, const struct sea_arrow_column *column);

/* What a type has to be checked for; its children are checked by the caller. */
static int type_check(struct column_check *check, const struct sea_arrow_column *column)
{
	enum sea_arrow_type_id id = column->field->type.id;
	bool is_large = id == SEA_ARROW_LARGE_BINARY || id == SEA_ARROW_LARGE_UTF8 || id == SEA_ARROW_LARGE_LIST;

	switch (id) {
	case SEA_ARROW_BINARY:
	case SEA_ARROW_LARGE_BINARY:
	case SEA_ARROW_UTF8:
	case SEA_ARROW_LARGE_UTF8:
	case SEA_ARROW_LIST:
	case SEA_ARROW_LARGE_LIST:
	case SEA_ARROW_MAP:
		if (column->n_rows == 0)
			return 0;
		if (!seai_offsets_are_good((const uint8_t *)column->offsets + column->offset * (is_large ? 8 : 4),
		                           is_large ? 8 : 4, column->n_rows,
		                           column->n_children ? (uint64_t)column->children[0].n_rows
		                                              : column->n_data_bytes))
			return check_wrong(check, 0, "its offsets fall, or lead outside");
		return id == SEA_ARROW_UTF8 || id == SEA_ARROW_LARGE_UTF8 ? text_check(check, column, true) : 0;
	case SEA_ARROW_BINARY_VIEW: return text_check(check, column, false);
	case SEA_ARROW_UTF8_VIEW: return text_check(check, column, true);
	case SEA_ARROW_LIST_VIEW:
	case SEA_ARROW_LARGE_LIST_VIEW: return lists_check(check, column);
	case SEA_ARROW_RUN_END_ENCODED: return runs_check(check, column);
	case SEA_ARROW_UNION: return union_check(check, column);
	default: return 0;
	}
}

/* The pieces of a dictionary, the newest first. */
static int dictionary_check(struct column_check *check, const struct sea_arrow_column *dictionary)
{
	int r = 0;

	for (const struct sea_arrow_column *piece = dictionary; piece && r == 0; piece = piece->previous)
		r = column_check(check, piece);
	return r;
}

static int column_check(struct column_check *check, const struct sea_arrow_column *column)
{
	int r;

	if (check->depth == sizeof(check->path) / sizeof(check->path[0]))
		return check_wrong(check, 0, "too deep");
	check->path[check->depth++] = column->field->name;
	if (column->field->index_bits) {
		r = indices_check(check, column);
		if (r == 0)
			r = dictionary_check(check, column->dictionary);
	} else {
		r = type_check(check, column);
		for (size_t i = 0; i < column->n_children && r == 0; i++)
			r = column_check(check, &column->children[i]);
	}
	check->depth--;
	return r;
}

int sea_arrow_column_check(const struct sea_arrow_column *column, struct sea_error *error)
{
	struct column_check check = { .error = error };

	return column_check(&check, column);
}
