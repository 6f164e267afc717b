/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of other libraries as columns. Numbers and offsets are checked; sizes of buffers are not told, so each is taken to be as large as
 * its rows need.
 *
 * The odd rule: a struct that begins at row n of its buffers begins at row n of its children, each of which may begin further in: the
 * offsets of all levels add up in the columns.
 */
#include <errno.h>
#include <stdlib.h>

#include <sealane/arrow/exchange.h>

#include "arrow/fail.h"
#include "arrow/import.h"
#include "arrow/load.h"

struct array_import {
	const struct sea_arrow_reader *reader;
	struct seai_batch *batch;
	const struct seai_tree *tree;
	struct sea_arrow_column *columns;
	struct sea_error *error;
};

static int import_wrong(const struct array_import *import, uint32_t at, int code, const char *text)
{
	char path[128];

	return SEAI_FAIL(import->error, code, seai_tree_path(import->tree, at, path, sizeof(path)), "%s", text);
}

static int node_import(struct array_import *import, uint32_t at, const struct ArrowArray *array, int64_t first,
                       int64_t n_rows, uint32_t *ret_next);

/* A piece of the batch: memory that goes with it. NULL: no memory. */
static struct seai_piece *piece_add(struct seai_batch *batch)
{
	struct seai_piece *piece = calloc(1, sizeof(*piece));

	if (piece) {
		piece->next = batch->pieces;
		batch->pieces = piece;
	}
	return piece;
}

static int validity_import(const struct array_import *import, uint32_t at, const struct ArrowArray *array,
                           struct sea_arrow_column *column)
{
	if (array->null_count < -1 || array->null_count > array->length)
		return import_wrong(import, at, -EBADMSG, "its number of nulls is out of range");
	column->validity = NULL;
	column->n_nulls = 0;
	if (!import->tree->nodes[at].has_validity) {
		if (column->field->type.id == SEA_ARROW_NULL)
			column->n_nulls = column->n_rows;
		return 0;
	}
	if (array->null_count == 0 || (array->null_count < 0 && !array->buffers[0]) || column->n_rows == 0)
		return 0;
	if (!array->buffers[0])
		return import_wrong(import, at, -EBADMSG, "its bitmap of nulls is missing");
	column->validity = array->buffers[0];
	/* The count is of all rows of the array. */
	column->n_nulls = column->n_rows == array->length ? array->null_count : -1;
	return 0;
}

static int variadic_import(const struct array_import *import, uint32_t at, const struct ArrowArray *array,
                           size_t n_fixed, struct sea_arrow_column *column)
{
	size_t n = (size_t)array->n_buffers - n_fixed - 1;
	const int64_t *sizes = array->buffers[array->n_buffers - 1];
	struct seai_piece *piece = piece_add(import->batch);

	column->variadic = NULL;
	column->n_variadic = 0;
	if (piece && n)
		piece->variadic.buffers = calloc(n, sizeof(*piece->variadic.buffers));
	if (!piece || (n && !piece->variadic.buffers))
		return import_wrong(import, at, -ENOMEM, "no memory");
	for (size_t i = 0; i < n; i++) {
		int64_t n_bytes = sizes ? seai_at_i64(sizes, (int64_t)i) : -1;

		if (n_bytes < 0 || (n_bytes && !array->buffers[n_fixed + i]))
			return import_wrong(import, at, -EBADMSG, "the buffers of its views are missing");
		piece->variadic.buffers[i] = (struct sea_arrow_buffer){ n_bytes ? array->buffers[n_fixed + i] : NULL,
			                                                (uint64_t)n_bytes };
	}
	column->variadic = piece->variadic.buffers;
	column->n_variadic = n;
	return 0;
}

/* Offsets that never fall, and how many bytes or items they reach. */
static int offsets_import(const struct array_import *import, uint32_t at, const struct ArrowArray *array,
                          const void *offsets, struct sea_arrow_column *column)
{
	const struct seai_node *node = &import->tree->nodes[at];
	uint64_t end = INT64_MAX;

	column->offsets = NULL;
	if (column->n_rows == 0)
		return 0;
	if (!offsets)
		return import_wrong(import, at, -EBADMSG, "its offsets are missing");
	column->offsets = offsets;
	if (!node->has_last_offset)
		return 0;
	if (!node->has_bytes)
		end = array->children && array->n_children == 1 && array->children[0] && array->children[0]->length > 0
		              ? (uint64_t)array->children[0]->length
		              : 0;
	if (!seai_offsets_are_good((const uint8_t *)offsets + (uint64_t)column->offset * node->offset_width,
	                           node->offset_width, column->n_rows, end))
		return import_wrong(import, at, -EBADMSG, "its offsets fall, or lead outside");
	if (node->has_bytes)
		column->n_data_bytes = (uint64_t)seai_at_signed(offsets, node->offset_width,
		                                                column->offset + column->n_rows);
	return 0;
}

static int buffers_import(const struct array_import *import, uint32_t at, const struct ArrowArray *array,
                          struct sea_arrow_column *column)
{
	const struct seai_node *node = &import->tree->nodes[at];
	size_t n = node->has_validity;
	int r;

	if (array->n_buffers < node->n_buffers + node->has_variadic ||
	    (!node->has_variadic && array->n_buffers != node->n_buffers) || (array->n_buffers && !array->buffers))
		return import_wrong(import, at, -EBADMSG, "it has not as many buffers as its type");
	r = validity_import(import, at, array, column);
	column->data = NULL;
	column->n_data_bytes = 0;
	if (r == 0 && node->data_comes_first)
		column->data = array->buffers[n++];
	if (r == 0 && node->offset_width)
		r = offsets_import(import, at, array, array->buffers[n++], column);
	if (r == 0 && node->has_sizes)
		column->sizes = array->buffers[n++];
	if (r == 0 && node->has_data && !node->data_comes_first)
		column->data = array->buffers[n++];
	if (r == 0 && node->has_variadic)
		r = variadic_import(import, at, array, n, column);
	if (r < 0)
		return r;
	if (!node->has_bytes) {
		uint64_t n_bits;

		if (__builtin_mul_overflow((uint64_t)(column->offset + column->n_rows), node->data_bits, &n_bits))
			return import_wrong(import, at, -EBADMSG, "its values are larger than any memory");
		column->n_data_bytes = column->n_rows ? n_bits / 8 + (n_bits % 8 != 0) : 0;
	}
	if ((column->n_data_bytes && !column->data) || (node->has_sizes && column->n_rows && !column->sizes))
		return import_wrong(import, at, -EBADMSG, "a buffer of it is missing");
	return 0;
}

static int dictionary_import(const struct array_import *import, uint32_t at, const struct ArrowArray *array,
                             struct sea_arrow_column *column)
{
	const struct seai_dictionary *dictionary =
		&import->reader->dictionaries.items[import->tree->nodes[at].dictionary];
	struct seai_piece *piece = piece_add(import->batch);
	struct array_import values = { import->reader, import->batch, &dictionary->tree, NULL, import->error };
	uint32_t next;
	int r;

	if (piece)
		values.columns = piece->columns = seai_tree_columns(&dictionary->tree);
	if (!values.columns)
		return import_wrong(import, at, -ENOMEM, "no memory");
	if (!array->dictionary || !array->dictionary->release)
		return import_wrong(import, at, -EBADMSG, "its dictionary is missing");
	r = node_import(&values, 0, array->dictionary, 0, array->dictionary->length, &next);
	piece->columns->version = seai_dictionary_version();
	column->dictionary = piece->columns;
	return r;
}

/* The rows of the children of a column, and where they begin. */
static int children_import(struct array_import *import, uint32_t at, const struct ArrowArray *array,
                           const struct sea_arrow_column *column, uint32_t *next)
{
	const struct seai_node *node = &import->tree->nodes[at];
	int r = 0;

	if (array->n_children != (int64_t)node->n_children || (array->n_children && !array->children))
		return import_wrong(import, at, -EBADMSG, "it has not as many children as its type");
	for (uint32_t i = 0; i < node->n_children && r == 0; i++) {
		const struct ArrowArray *child = array->children[i];
		int64_t first = 0, n_rows;

		if (!child || !child->release)
			return import_wrong(import, *next, -EBADMSG, "it is missing, or released");
		n_rows = child->length;
		if (import->tree->nodes[*next].rows != SEAI_ROWS_FREE) {
			int64_t times = import->tree->nodes[*next].rows == SEAI_ROWS_TIMES ? node->field->type.size : 1;

			if (__builtin_mul_overflow(column->offset, times, &first) ||
			    __builtin_mul_overflow(column->n_rows, times, &n_rows))
				return import_wrong(import, *next, -EBADMSG, "a number of rows is out of range");
		}
		r = node_import(import, *next, child, first, n_rows, next);
	}
	return r;
}

/* Rows first to first + n_rows - 1 of an array. */
static int node_import(struct array_import *import, uint32_t at, const struct ArrowArray *array, int64_t first,
                       int64_t n_rows, uint32_t *ret_next)
{
	struct sea_arrow_column *column = &import->columns[import->tree->nodes[at].column];
	int r;

	*ret_next = at + 1;
	if (array->length < 0 || array->length > SEAI_ROWS_MAX || array->offset < 0 || array->offset > SEAI_ROWS_MAX)
		return import_wrong(import, at, -EBADMSG, "a number of rows is out of range");
	if (first > array->length || n_rows > array->length - first)
		return import_wrong(import, at, -EBADMSG, "it has fewer rows than what it is part of");
	column->offset = array->offset + first;
	column->n_rows = n_rows;
	r = buffers_import(import, at, array, column);
	if (r < 0)
		return r;
	if (import->tree->nodes[at].dictionary != SEAI_NO_DICTIONARY)
		return dictionary_import(import, at, array, column);
	return children_import(import, at, array, column, ret_next);
}

static int batch_import(struct array_import *import, const struct ArrowArray *array)
{
	uint32_t next = 0;
	int r = 0;

	if (array->n_children != (int64_t)import->reader->schema.n_fields || (array->n_children && !array->children))
		return SEAI_FAIL(import->error, -EBADMSG, "", "it has not as many columns as the schema");
	if (array->length < 0 || array->length > SEAI_ROWS_MAX || array->offset < 0 || array->offset > SEAI_ROWS_MAX)
		return SEAI_FAIL(import->error, -EBADMSG, "", "a number of rows is out of range");
	if (array->null_count > 0 ||
	    (array->null_count < 0 && array->n_buffers > 0 && array->buffers && array->buffers[0]))
		return SEAI_FAIL(import->error, -EBADMSG, "", "whole rows are null, which a batch cannot say");
	for (int64_t i = 0; i < array->n_children && r == 0; i++) {
		if (!array->children[i] || !array->children[i]->release)
			return import_wrong(import, next, -EBADMSG, "it is missing, or released");
		r = node_import(import, next, array->children[i], array->offset, array->length, &next);
	}
	import->batch->batch.n_rows = array->length;
	return r;
}

int sea_arrow_import_array(struct sea_arrow_reader *reader, struct sea_arrow_batch *batch, struct ArrowArray *array,
                           struct sea_error *error)
{
	struct seai_batch *whole = (struct seai_batch *)batch;
	struct array_import import = { reader, whole, &reader->tree, batch->columns, error };
	struct ArrowArray moved = *array;
	int r;

	array->release = NULL;
	if (whole->reader != reader || !reader->is_foreign || !moved.release) {
		if (moved.release)
			moved.release(&moved);
		return SEAI_FAIL(error, -EINVAL, "", "the batch is of another reader, or the array is released");
	}
	seai_batch_clear(whole);
	whole->array = moved;
	r = batch_import(&import, &whole->array);
	if (r < 0) {
		seai_batch_clear(whole);
		for (size_t i = 0; i < reader->tree.n_nodes; i++)
			batch->columns[i].n_rows = 0;
	}
	return r;
}
