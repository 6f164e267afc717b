/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies batches that were read elsewhere: of a stream, or of another library, where a column may begin anywhere in its buffers. What is
 * written begins at 0.
 *
 * The odd rule: a dictionary is known by its version, never by its address, which may be used again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/fail.h"
#include "arrow/load.h"
#include "arrow/writer.h"
#include "base/cleanup.h"

/* Which rows of which column a slot takes. */
struct copy_range {
	const struct sea_arrow_column *column;
	int64_t first;
	int64_t n_rows;
	bool is_run_ends;   /* of a run-end encoded column */
	int64_t run_first;  /* what is taken off of each run end */
	int64_t run_n_rows; /* and where the last ends */
};

struct copy {
	struct sea_arrow_writer *writer;
	const struct seai_shape *shape;
	struct sea_arrow_slot *slots;
	struct copy_range *ranges;
	struct sea_error *error;
};

static int64_t offset_at(const struct sea_arrow_column *column, unsigned width, int64_t row)
{
	/* Without rows there may be no offsets. */
	return column->offsets ? seai_at_signed(column->offsets, width, column->offset + row) : 0;
}

static int range_set(struct copy *copy, uint32_t at, const struct sea_arrow_column *column, int64_t first,
                     int64_t n_rows, uint32_t *ret_next);

/* The children of a node whose own range is set. @param *next the node of the first, and then the one behind the last */
static int children_set(struct copy *copy, const struct seai_node *node, const struct copy_range *range, uint32_t *next)
{
	const struct sea_arrow_column *column = range->column;
	int64_t first = range->first, n_rows = range->n_rows, end, last;
	enum sea_arrow_type_id id = node->field->type.id;
	int r = 0;

	if (id == SEA_ARROW_RUN_END_ENCODED) {
		int64_t run_first = column->offset + first;
		uint32_t ends = *next;

		first = last = 0;
		if (n_rows > 0)
			r = sea_arrow_column_get_run(column, range->first, &first, &end);
		if (n_rows > 0 && r == 0)
			r = sea_arrow_column_get_run(column, range->first + n_rows - 1, &last, &end);
		if (r < 0)
			return SEAI_FAIL(copy->error, -EBADMSG, column->field->name, "its run ends are malformed");
		n_rows = n_rows ? last - first + 1 : 0;
		copy->ranges[ends].is_run_ends = true;
		copy->ranges[ends].run_first = run_first;
		copy->ranges[ends].run_n_rows = range->n_rows;
	} else if (id == SEA_ARROW_FIXED_SIZE_LIST) {
		first *= node->field->type.size;
		n_rows *= node->field->type.size;
	} else if (node->has_last_offset) {
		int64_t from = offset_at(column, node->offset_width, first);

		n_rows = offset_at(column, node->offset_width, first + n_rows) - from;
		first = from;
	}
	for (uint32_t i = 0; i < node->n_children && r == 0; i++) {
		bool is_dense = id == SEA_ARROW_UNION && node->field->type.is_dense;
		const struct sea_arrow_column *child = &column->children[i];

		r = range_set(copy, *next, child, is_dense ? 0 : first, is_dense ? child->n_rows : n_rows, next);
	}
	return r;
}

static int range_set(struct copy *copy, uint32_t at, const struct sea_arrow_column *column, int64_t first,
                     int64_t n_rows, uint32_t *ret_next)
{
	const struct seai_node *node = &copy->shape->tree->nodes[at];
	struct copy_range *range = &copy->ranges[at];
	struct sea_arrow_slot *slot = &copy->slots[at];

	range->column = column;
	range->first = first;
	range->n_rows = n_rows;
	*slot = (struct sea_arrow_slot){ .n_rows = n_rows };
	slot->has_validity = column->validity && column->n_nulls != 0;
	if (slot->has_validity && !node->has_validity)
		return SEAI_FAIL(copy->error, -ENOTSUP, column->field->name, "a union of version 4 that has nulls");
	if (node->has_bytes)
		slot->n_data_bytes = (uint64_t)(offset_at(column, node->offset_width, first + n_rows) -
		                                offset_at(column, node->offset_width, first));
	*ret_next = at + 1;
	return node->n_children ? children_set(copy, node, range, ret_next) : 0;
}

/* Bits from anywhere to the beginning of bytes. */
static void bits_copy(uint8_t *to, const uint8_t *from, int64_t first, int64_t n_bits)
{
	unsigned shift = (unsigned)(first & 7);

	from += first >> 3;
	if (shift == 0) {
		memcpy(to, from, (size_t)((n_bits + 7) / 8));
		return;
	}
	for (int64_t i = 0; i * 8 < n_bits; i++) {
		unsigned low = (unsigned)from[i] >> shift;

		/* The next byte only where it has bits of ours. */
		to[i] = (uint8_t)(i * 8 + 8 - (int64_t)shift < n_bits ? low | (unsigned)from[i + 1] << (8 - shift)
		                                                      : low);
	}
}

static void offsets_copy(void *to, const struct seai_node *node, const struct copy_range *range)
{
	int64_t base = offset_at(range->column, node->offset_width, range->first);

	for (int64_t i = 0; i <= range->n_rows; i++) {
		int64_t offset = offset_at(range->column, node->offset_width, range->first + i) - base;

		if (node->offset_width == 4)
			seai_store_i32((uint8_t *)to + 4 * i, (int32_t)offset);
		else
			seai_store_i64((uint8_t *)to + 8 * i, offset);
	}
}

static void run_ends_copy(void *to, unsigned width, const struct copy_range *range)
{
	const struct sea_arrow_column *column = range->column;

	for (int64_t i = 0; i < range->n_rows; i++) {
		int64_t end = seai_at_signed(column->data, width, column->offset + range->first + i) - range->run_first;

		if (end > range->run_n_rows)
			end = range->run_n_rows;
		memcpy((uint8_t *)to + (size_t)i * width, &end, width);
	}
}

/* Values of a fixed width, or the bytes that offsets lead to. */
static void data_copy(const struct seai_node *node, const struct copy_range *range, const struct sea_arrow_slot *slot)
{
	const struct sea_arrow_column *column = range->column;
	const uint8_t *data = column->data;
	int64_t from = column->offset + range->first;
	size_t n_row_bytes = (size_t)node->data_bits / 8;

	if (!data)
		return;
	if (node->has_bytes)
		memcpy(slot->data, data + offset_at(column, node->offset_width, range->first), slot->n_data_bytes);
	else if (range->is_run_ends)
		run_ends_copy(slot->data, (unsigned)n_row_bytes, range);
	else if (node->data_bits == 1)
		bits_copy(slot->data, data, from, range->n_rows);
	else
		memcpy(slot->data, data + (size_t)from * n_row_bytes, (size_t)range->n_rows * n_row_bytes);
}

static void slot_fill(const struct seai_node *node, const struct copy_range *range, const struct sea_arrow_slot *slot)
{
	const struct sea_arrow_column *column = range->column;

	/* Without rows there is at most one offset, which is 0 already. */
	if (!column || range->n_rows == 0)
		return;
	if (slot->has_validity && column->validity)
		bits_copy(slot->validity, column->validity, column->offset + range->first, range->n_rows);
	if (node->has_last_offset)
		offsets_copy(slot->offsets, node, range);
	else if (node->offset_width)
		memcpy(slot->offsets,
		       (const uint8_t *)column->offsets + (size_t)(column->offset + range->first) * node->offset_width,
		       (size_t)range->n_rows * node->offset_width);
	if (node->has_data)
		data_copy(node, range, slot);
}

/* Writes columns as one message of a shape; the dictionaries they need are written. */
static int rows_write(struct sea_arrow_writer *writer, const struct seai_shape *shape, bool is_delta,
                      const struct sea_arrow_column *columns, struct sea_error *error)
{
	size_t n_nodes = shape->tree->n_nodes;
	SEAI_AUTO_FREE struct sea_arrow_slot *slots = calloc(n_nodes + 1, sizeof(*slots));
	SEAI_AUTO_FREE struct copy_range *ranges = calloc(n_nodes + 1, sizeof(*ranges));
	struct copy copy = { writer, shape, slots, ranges, error };
	uint32_t at = 0;
	int r = 0;

	if (!slots || !ranges)
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	for (size_t i = 0; i < shape->tree->n_top && r == 0; i++)
		r = range_set(&copy, at, &columns[i], 0, columns[i].n_rows, &at);
	if (r == 0)
		r = seai_writer_reserve(writer, shape, is_delta, slots, n_nodes, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_nodes; i++)
		slot_fill(&shape->tree->nodes[i], &ranges[i], &slots[i]);
	r = sea_arrow_writer_commit(writer, error);
	sea_arrow_writer_abort(writer);
	return r;
}

static int dictionaries_write(struct sea_arrow_writer *writer, const struct seai_tree *tree, uint32_t *at,
                              const struct sea_arrow_column *column, struct sea_error *error);

/* A piece of a dictionary, after those before it that were not written yet. */
static int piece_write(struct sea_arrow_writer *writer, uint32_t dictionary, const struct sea_arrow_column *piece,
                       struct sea_error *error)
{
	const struct seai_shape *shape = &writer->values[dictionary];
	uint32_t at = 0;
	int r = 0;

	if (piece->version == writer->written[dictionary].version)
		return 0;
	if (piece->previous)
		r = piece_write(writer, dictionary, piece->previous, error);
	if (r == 0)
		r = dictionaries_write(writer, shape->tree, &at, piece, error);
	if (r == 0)
		r = rows_write(writer, shape, piece->previous != NULL, piece, error);
	if (r == 0)
		writer->written[dictionary].version = piece->version;
	return r;
}

static int dictionary_write(struct sea_arrow_writer *writer, uint32_t dictionary, const struct sea_arrow_column *column,
                            struct sea_error *error)
{
	/* A column without one is all null; readers want one all the same. */
	struct seai_written *written = &writer->written[dictionary];
	const struct sea_arrow_column *values = column->dictionary;
	int r;

	if (!values && written->version)
		return 0;
	if (!values) {
		SEAI_AUTO_FREE struct sea_arrow_column *empty = seai_tree_columns(writer->values[dictionary].tree);
		uint32_t at = 0;

		if (!empty)
			return SEAI_FAIL(error, -ENOMEM, "", "no memory");
		empty->version = seai_dictionary_version();
		r = dictionaries_write(writer, writer->values[dictionary].tree, &at, empty, error);
		return r < 0 ? r : piece_write(writer, dictionary, empty, error);
	}
	if (values->version != written->version && written->batch == writer->n_batches)
		return SEAI_FAIL(error, -EINVAL, column->field->name,
		                 "its dictionary is another one than that of a column with the same id");
	written->batch = writer->n_batches;
	return piece_write(writer, dictionary, values, error);
}

/* The dictionaries of a column and of what is in it. @param *at its node, and then the one behind it */
static int dictionaries_write(struct sea_arrow_writer *writer, const struct seai_tree *tree, uint32_t *at,
                              const struct sea_arrow_column *column, struct sea_error *error)
{
	const struct seai_node *node = &tree->nodes[(*at)++];
	int r = 0;

	if (node->dictionary != SEAI_NO_DICTIONARY)
		return dictionary_write(writer, node->dictionary, column, error);
	for (uint32_t i = 0; i < node->n_children && r == 0; i++)
		r = dictionaries_write(writer, tree, at, &column->children[i], error);
	return r;
}

int sea_arrow_writer_write(struct sea_arrow_writer *writer, const struct sea_arrow_batch *batch,
                           struct sea_error *error)
{
	uint32_t at = 0;
	int r;

	if (batch->n_columns != writer->schema.n_fields)
		return SEAI_FAIL(error, -EINVAL, "", "%zu columns, where the schema has %zu", batch->n_columns,
		                 writer->schema.n_fields);
	for (size_t i = 0; i < batch->n_columns; i++)
		if (!seai_field_is_like(batch->columns[i].field, &writer->schema.fields[i], false))
			return SEAI_FAIL(error, -EINVAL, writer->schema.fields[i].name,
			                 "the column is of another type than the field");
	r = sea_arrow_batch_check(batch, error);
	writer->n_batches++;
	for (size_t i = 0; i < batch->n_columns && r == 0; i++)
		r = dictionaries_write(writer, &writer->tree, &at, &batch->columns[i], error);
	return r < 0 ? r : rows_write(writer, &writer->batch, false, batch->columns, error);
}
