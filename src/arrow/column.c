/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of columns, row by row.
 *
 * The odd rule: nothing that stands in a buffer is believed, also when a check has seen it before: an index, an offset, a run end is
 * loaded into a local, compared with the bounds of what it leads to, and used.
 */
#include <errno.h>
#include <stdbool.h>

#include <sealane/arrow/column.h>

#include "arrow/load.h"

/* Dictionaries of dictionaries, unions of unions: as deep as fields may be. */
#define N_STEPS_MAX (2 * SEA_ARROW_DEPTH_MAX)

/* The index of a row, whose buffer was checked when the batch was read. */
static int index_get(const struct sea_arrow_column *column, int64_t row, int64_t *ret_index)
{
	unsigned n_bytes = (unsigned)column->field->index_bits / 8;
	int64_t i = column->offset + row;

	if (column->field->index_is_signed) {
		*ret_index = seai_at_signed(column->data, n_bytes, i);
	} else {
		uint64_t index = seai_at_unsigned(column->data, n_bytes, i);

		*ret_index = index > INT64_MAX ? -1 : (int64_t)index;
	}
	return *ret_index < 0 ? -EBADMSG : 0;
}

/* The piece of a dictionary that has an index, and where in it. */
static int dictionary_find(const struct sea_arrow_column **dictionary, int64_t *index)
{
	const struct sea_arrow_column *piece = *dictionary;

	while (piece && *index < piece->first_row)
		piece = piece->previous;
	if (!piece || *index - piece->first_row >= piece->n_rows)
		return -EBADMSG;
	*index -= piece->first_row;
	*dictionary = piece;
	return 0;
}

int sea_arrow_column_get_run(const struct sea_arrow_column *column, int64_t row, int64_t *ret_value_row,
                             int64_t *ret_end)
{
	const struct sea_arrow_column *ends;
	int64_t low = 0, high, end = -1;
	unsigned n_bytes;

	if (column->field->type.id != SEA_ARROW_RUN_END_ENCODED || column->field->index_bits || row < 0 ||
	    row >= column->n_rows)
		return -EINVAL;
	ends = &column->children[0];
	n_bytes = (unsigned)ends->field->type.bits / 8;
	high = ends->n_rows;
	/* The first run that ends behind the row. */
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		int64_t value = seai_at_signed(ends->data, n_bytes, ends->offset + middle);

		if (value > column->offset + row) {
			high = middle;
			end = value;
		} else {
			low = middle + 1;
		}
	}
	if (low >= ends->n_rows || low >= column->children[1].n_rows || end <= column->offset + row)
		return -EBADMSG;
	*ret_value_row = low;
	*ret_end = end - column->offset < column->n_rows ? end - column->offset : column->n_rows;
	return 0;
}

/* The child of a union that a row is of, and where in it. */
static int union_find(const struct sea_arrow_column **column, int64_t *row)
{
	const struct sea_arrow_column *this = *column;
	const struct sea_arrow_type *type = &this->field->type;
	int64_t id = seai_at_signed(this->data, 1, this->offset + *row);
	size_t child = 0;

	if (type->type_ids)
		while (child < this->n_children && type->type_ids[child] != id)
			child++;
	else
		child = id < 0 ? SIZE_MAX : (size_t)id;
	if (child >= this->n_children)
		return -EBADMSG;
	if (type->is_dense) {
		int64_t offset = seai_at_i32(this->offsets, this->offset + *row);

		if (offset < 0 || offset >= this->children[child].n_rows)
			return -EBADMSG;
		*row = offset;
	}
	*column = &this->children[child];
	return 0;
}

int sea_arrow_column_resolve(const struct sea_arrow_column *column, int64_t row,
                             const struct sea_arrow_column **ret_column, int64_t *ret_row)
{
	int64_t end;
	int r = 0;

	if (row < 0 || row >= column->n_rows)
		return -EINVAL;
	for (unsigned step = 0; step < N_STEPS_MAX; step++) {
		if (column->validity && !seai_bit(column->validity, column->offset + row))
			return SEA_ARROW_IS_NULL;
		if (column->field->index_bits) {
			const struct sea_arrow_column *dictionary = column->dictionary;

			r = index_get(column, row, &row);
			if (r == 0)
				r = dictionary_find(&dictionary, &row);
			column = dictionary;
		} else if (column->field->type.id == SEA_ARROW_RUN_END_ENCODED) {
			r = sea_arrow_column_get_run(column, row, &row, &end);
			column = &column->children[1];
		} else if (column->field->type.id == SEA_ARROW_UNION) {
			r = union_find(&column, &row);
		} else if (column->field->type.id == SEA_ARROW_NULL) {
			return SEA_ARROW_IS_NULL;
		} else {
			*ret_column = column;
			*ret_row = row;
			return 0;
		}
		if (r < 0)
			return -EBADMSG;
		if (row >= column->n_rows)
			return -EBADMSG;
	}
	return -EBADMSG;
}

int sea_arrow_column_is_null(const struct sea_arrow_column *column, int64_t row)
{
	return sea_arrow_column_resolve(column, row, &column, &row);
}

int sea_arrow_column_get_int(const struct sea_arrow_column *column, int64_t row, int64_t *ret_value)
{
	const struct sea_arrow_type *type;
	uint64_t value;
	int r = sea_arrow_column_resolve(column, row, &column, &row);

	if (r != 0)
		return r;
	type = &column->field->type;
	row += column->offset;
	switch (type->id) {
	case SEA_ARROW_BOOL: *ret_value = seai_bit(column->data, row); return 0;
	case SEA_ARROW_INT:
		if (type->is_signed) {
			*ret_value = seai_at_signed(column->data, (unsigned)type->bits / 8, row);
			return 0;
		}
		value = seai_at_unsigned(column->data, (unsigned)type->bits / 8, row);
		if (value > INT64_MAX)
			return -ERANGE;
		*ret_value = (int64_t)value;
		return 0;
	case SEA_ARROW_INTERVAL:
		if (type->unit != SEA_ARROW_YEAR_MONTH)
			return -EINVAL;
		*ret_value = seai_at_i32(column->data, row);
		return 0;
	case SEA_ARROW_DATE:
	case SEA_ARROW_TIME: *ret_value = seai_at_signed(column->data, (unsigned)type->bits / 8, row); return 0;
	case SEA_ARROW_TIMESTAMP:
	case SEA_ARROW_DURATION: *ret_value = seai_at_i64(column->data, row); return 0;
	default: return -EINVAL;
	}
}

int sea_arrow_column_get_uint(const struct sea_arrow_column *column, int64_t row, uint64_t *ret_value)
{
	const struct sea_arrow_type *type;
	int64_t value;
	int r = sea_arrow_column_resolve(column, row, &column, &row);

	if (r != 0)
		return r;
	type = &column->field->type;
	if (type->id == SEA_ARROW_INT && !type->is_signed) {
		*ret_value = seai_at_unsigned(column->data, (unsigned)type->bits / 8, column->offset + row);
		return 0;
	}
	r = sea_arrow_column_get_int(column, row, &value);
	if (r == 0 && value < 0)
		return -ERANGE;
	if (r == 0)
		*ret_value = (uint64_t)value;
	return r;
}

/* A float of 16 bits: 1 of sign, 5 of exponent, 10 of mantissa. */
static double half_to_double(uint16_t half)
{
	int exponent = half >> 10 & 31;
	uint64_t mantissa = half & 1023u;
	uint64_t bits = (uint64_t)(half >> 15) << 63;
	double value;

	if (exponent == 31) {
		bits |= UINT64_C(0x7ff) << 52 | mantissa << 42;
	} else if (exponent != 0) {
		bits |= (uint64_t)(exponent - 15 + 1023) << 52 | mantissa << 42;
	} else {
		/* Too small to be normal: so many times 2 to the -24. */
		value = (double)mantissa / 16777216.0;
		return half >> 15 ? -value : value;
	}
	memcpy(&value, &bits, sizeof(value));
	return value;
}

int sea_arrow_column_get_double(const struct sea_arrow_column *column, int64_t row, double *ret_value)
{
	const uint8_t *place;
	size_t n_bytes;
	int r = sea_arrow_column_resolve(column, row, &column, &row);
	float single;

	if (r != 0)
		return r;
	if (column->field->type.id != SEA_ARROW_FLOAT)
		return -EINVAL;
	n_bytes = (size_t)column->field->type.bits / 8;
	place = (const uint8_t *)column->data + (uint64_t)(column->offset + row) * n_bytes;
	if (n_bytes == 2) {
		*ret_value = half_to_double(seai_load_u16(place));
	} else if (n_bytes == 4) {
		memcpy(&single, place, sizeof(single));
		*ret_value = single;
	} else {
		memcpy(ret_value, place, sizeof(*ret_value));
	}
	return 0;
}

/* A value of a view: in the view itself, or in one of the buffers. */
static int view_get(const struct sea_arrow_column *column, int64_t row, const void **ret_data, size_t *ret_n_bytes)
{
	const uint8_t *view = (const uint8_t *)column->data + (uint64_t)(column->offset + row) * 16;
	int32_t n_bytes = seai_load_i32(view);
	int32_t buffer = seai_load_i32(view + 8);
	int32_t offset = seai_load_i32(view + 12);

	if (n_bytes < 0)
		return -EBADMSG;
	if (n_bytes <= 12) {
		*ret_data = view + 4;
		*ret_n_bytes = (size_t)n_bytes;
		return 0;
	}
	if (buffer < 0 || (size_t)buffer >= column->n_variadic || offset < 0 ||
	    (uint64_t)offset + (uint64_t)n_bytes > column->variadic[buffer].n_bytes)
		return -EBADMSG;
	*ret_data = (const uint8_t *)column->variadic[buffer].data + offset;
	*ret_n_bytes = (size_t)n_bytes;
	return 0;
}

/* Two offsets of a row, checked against the end of what they lead to. */
static int offsets_get(const struct sea_arrow_column *column, int64_t row, bool is_large, uint64_t end,
                       int64_t *ret_first, int64_t *ret_n)
{
	unsigned width = is_large ? 8 : 4;
	int64_t from = seai_at_signed(column->offsets, width, column->offset + row);
	int64_t to = seai_at_signed(column->offsets, width, column->offset + row + 1);

	if (from < 0 || to < from || (uint64_t)to > end)
		return -EBADMSG;
	*ret_first = from;
	*ret_n = to - from;
	return 0;
}

int sea_arrow_column_get_bytes(const struct sea_arrow_column *column, int64_t row, const void **ret_data,
                               size_t *ret_n_bytes)
{
	enum sea_arrow_type_id id;
	int64_t first, n, bits;
	int r = sea_arrow_column_resolve(column, row, &column, &row);

	if (r != 0)
		return r;
	id = column->field->type.id;
	switch (id) {
	case SEA_ARROW_BINARY:
	case SEA_ARROW_UTF8:
	case SEA_ARROW_LARGE_BINARY:
	case SEA_ARROW_LARGE_UTF8:
		r = offsets_get(column, row, id == SEA_ARROW_LARGE_BINARY || id == SEA_ARROW_LARGE_UTF8,
		                column->n_data_bytes, &first, &n);
		if (r < 0)
			return r;
		*ret_data = n ? (const uint8_t *)column->data + first : (const void *)"";
		*ret_n_bytes = (size_t)n;
		return 0;
	case SEA_ARROW_BINARY_VIEW:
	case SEA_ARROW_UTF8_VIEW: return view_get(column, row, ret_data, ret_n_bytes);
	default: break;
	}
	bits = sea_arrow_type_width(&column->field->type);
	if (bits == 1 || (bits == 0 && id != SEA_ARROW_FIXED_SIZE_BINARY))
		return -EINVAL;
	*ret_data = bits ? (const uint8_t *)column->data + (uint64_t)(column->offset + row) * ((uint64_t)bits / 8)
	                 : (const void *)"";
	*ret_n_bytes = (size_t)bits / 8;
	return 0;
}

int sea_arrow_column_get_items(const struct sea_arrow_column *column, int64_t row,
                               const struct sea_arrow_column **ret_items, int64_t *ret_first, int64_t *ret_n_items)
{
	const struct sea_arrow_type *type;
	int64_t first, n;
	uint64_t end;
	int r = sea_arrow_column_resolve(column, row, &column, &row);

	if (r != 0)
		return r;
	type = &column->field->type;
	if (column->n_children != 1)
		return -EINVAL;
	end = (uint64_t)column->children[0].n_rows;
	switch (type->id) {
	case SEA_ARROW_LIST:
	case SEA_ARROW_MAP:
	case SEA_ARROW_LARGE_LIST:
		r = offsets_get(column, row, type->id == SEA_ARROW_LARGE_LIST, end, &first, &n);
		if (r < 0)
			return r;
		break;
	case SEA_ARROW_LIST_VIEW:
	case SEA_ARROW_LARGE_LIST_VIEW:
		first = seai_at_signed(column->offsets, type->id == SEA_ARROW_LIST_VIEW ? 4 : 8, column->offset + row);
		n = seai_at_signed(column->sizes, type->id == SEA_ARROW_LIST_VIEW ? 4 : 8, column->offset + row);
		if (first < 0 || n < 0 || (uint64_t)first > end || (uint64_t)n > end - (uint64_t)first)
			return -EBADMSG;
		break;
	case SEA_ARROW_FIXED_SIZE_LIST:
		n = type->size;
		/* That its items are enough was checked when it was read, or imported. */
		first = row * n;
		break;
	default: return -EINVAL;
	}
	*ret_items = &column->children[0];
	*ret_first = first;
	*ret_n_items = n;
	return 0;
}
