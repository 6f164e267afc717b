/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of one record batch. First the lengths of all nodes, then the buffers of each: what a node's children have is known when
 * its offsets are looked at.
 *
 * The odd rule: every number of the metadata is loaded once, into a local or a column, and what was checked is what is used.
 */
#include "arrow/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "arrow/fail.h"
#include "arrow/load.h"

/* Where the walk over the buffers of a batch is. */
struct batch_walk {
	const struct seai_message *message;
	const struct seai_tree *tree;
	struct sea_arrow_column *columns;
	struct seai_flat_vector nodes, buffers, counts;
	uint32_t next_buffer;
	uint32_t next_count;
	size_t node; /* SIZE_MAX: none in particular */
	struct sea_arrow_buffer *variadic;
	struct sea_error *error;
};

static int walk_wrong(const struct batch_walk *walk, int code, const char *text)
{
	char path[96] = "", key[128];

	if (!walk->error)
		return code;
	if (walk->node != SIZE_MAX)
		seai_tree_path(walk->tree, walk->node, path, sizeof(path));
	snprintf(key, sizeof(key), "message %" PRIu64 "%s%s", walk->message->number, path[0] ? ", " : "", path);
	return SEAI_FAIL(walk->error, code, key, "%s", text);
}

bool seai_offsets_are_good(const void *offsets, unsigned width, int64_t n_rows, uint64_t end)
{
	bool falls = false;

	/* Without a way out, so that compilers can take several at once. */
	if (width == 4) {
		for (int64_t i = 0; i < n_rows; i++)
			falls |= seai_at_i32(offsets, i + 1) < seai_at_i32(offsets, i);
		return !falls && seai_at_i32(offsets, 0) >= 0 && (uint64_t)seai_at_i32(offsets, n_rows) <= end;
	}
	for (int64_t i = 0; i < n_rows; i++)
		falls |= seai_at_i64(offsets, i + 1) < seai_at_i64(offsets, i);
	return !falls && seai_at_i64(offsets, 0) >= 0 && (uint64_t)seai_at_i64(offsets, n_rows) <= end;
}

/* The next buffer of the body; one of no bytes is NULL, whatever its offset says. */
static int buffer_next(struct batch_walk *walk, struct sea_arrow_buffer *ret_buffer)
{
	const uint8_t *place;
	int64_t offset, n_bytes;

	if (walk->next_buffer >= walk->buffers.n_items)
		return walk_wrong(walk, -EBADMSG, "its buffers are missing");
	place = walk->buffers.bytes + walk->buffers.at + (size_t)walk->next_buffer++ * BUFFER_N_BYTES;
	offset = seai_load_i64(place);
	n_bytes = seai_load_i64(place + 8);
	if (n_bytes == 0) {
		*ret_buffer = (struct sea_arrow_buffer){ NULL, 0 };
		return 0;
	}
	if (offset < 0 || n_bytes < 0 || (uint64_t)offset > walk->message->n_body ||
	    (uint64_t)n_bytes > walk->message->n_body - (uint64_t)offset)
		return walk_wrong(walk, -EBADMSG, "a buffer lies outside of the body");
	if (offset % 8 != 0)
		return walk_wrong(walk, -EBADMSG, "a buffer is not aligned to 8 bytes");
	*ret_buffer = (struct sea_arrow_buffer){ walk->message->body + offset, (uint64_t)n_bytes };
	return 0;
}

/* The lengths of all nodes. */
static int lengths_read(struct batch_walk *walk, int64_t n_rows)
{
	const uint8_t *place = walk->nodes.bytes + walk->nodes.at;

	for (size_t i = 0; i < walk->tree->n_nodes; i++, place += NODE_N_BYTES) {
		const struct seai_node *node = &walk->tree->nodes[i];
		struct sea_arrow_column *column = &walk->columns[node->column];
		int64_t length = seai_load_i64(place), n_nulls = seai_load_i64(place + 8);
		int64_t least = 0;

		walk->node = i;
		if (length < 0 || length > SEAI_ROWS_MAX || n_nulls < 0 || n_nulls > length)
			return walk_wrong(walk, -EBADMSG, "a number of rows or nulls is out of range");
		if (node->parent == SEAI_NO_PARENT) {
			if (length != n_rows)
				return walk_wrong(walk, -EBADMSG, "it has not as many rows as the batch");
		} else if (node->rows != SEAI_ROWS_FREE) {
			const struct seai_node *parent = &walk->tree->nodes[node->parent];

			least = walk->columns[parent->column].n_rows;
			if (node->rows == SEAI_ROWS_TIMES &&
			    __builtin_mul_overflow(least, parent->field->type.size, &least))
				return walk_wrong(walk, -EBADMSG, "a number of rows is out of range");
		}
		if (length < least)
			return walk_wrong(walk, -EBADMSG, "it has fewer rows than what it is part of");
		column->n_rows = length;
		column->n_nulls = n_nulls;
	}
	return 0;
}

static int validity_read(struct batch_walk *walk, struct sea_arrow_column *column)
{
	struct sea_arrow_buffer buffer = { NULL, 0 };
	int r = buffer_next(walk, &buffer);

	column->validity = NULL;
	/* Without nulls there is nothing to look at. */
	if (r < 0 || column->n_nulls == 0)
		return r;
	if (buffer.n_bytes < ((uint64_t)column->n_rows + 7) / 8)
		return walk_wrong(walk, -EBADMSG, "its bitmap of nulls is too short");
	column->validity = buffer.data;
	return 0;
}

/* Offsets, which are as many as rows, or one more. */
static int offsets_read(struct batch_walk *walk, const struct seai_node *node, struct sea_arrow_column *column)
{
	struct sea_arrow_buffer buffer = { NULL, 0 };
	uint64_t n_items = (uint64_t)column->n_rows + node->has_last_offset;
	int r = buffer_next(walk, &buffer);

	column->offsets = NULL;
	if (r < 0 || column->n_rows == 0)
		return r;
	if (buffer.n_bytes < n_items * node->offset_width)
		return walk_wrong(walk, -EBADMSG, "its offsets are too few");
	column->offsets = buffer.data;
	return 0;
}

static int data_read(struct batch_walk *walk, const struct seai_node *node, struct sea_arrow_column *column)
{
	struct sea_arrow_buffer buffer = { NULL, 0 };
	uint64_t n_bytes;
	int r = buffer_next(walk, &buffer);

	if (r < 0)
		return r;
	/* Fixed-size binary may be wide. */
	if (__builtin_mul_overflow((uint64_t)column->n_rows, node->data_bits, &n_bytes) ||
	    buffer.n_bytes < n_bytes / 8 + (n_bytes % 8 != 0))
		return walk_wrong(walk, -EBADMSG, "its values are fewer than its rows");
	column->data = buffer.data;
	column->n_data_bytes = buffer.n_bytes;
	return 0;
}

static int variadic_read(struct batch_walk *walk, struct sea_arrow_column *column)
{
	int64_t n_buffers;

	if (walk->next_count >= walk->counts.n_items)
		return walk_wrong(walk, -EBADMSG, "how many buffers its views have is missing");
	n_buffers = seai_load_i64(walk->counts.bytes + walk->counts.at + (size_t)walk->next_count++ * 8);
	if (n_buffers < 0 || (uint64_t)n_buffers > walk->buffers.n_items - walk->next_buffer)
		return walk_wrong(walk, -EBADMSG, "the buffers of its views are missing");
	column->variadic = walk->variadic;
	column->n_variadic = (size_t)n_buffers;
	for (int64_t i = 0; i < n_buffers; i++) {
		int r = buffer_next(walk, walk->variadic++);

		if (r < 0)
			return r;
	}
	return 0;
}

static int sizes_read(struct batch_walk *walk, const struct seai_node *node, struct sea_arrow_column *column)
{
	struct sea_arrow_buffer buffer = { NULL, 0 };
	int r = buffer_next(walk, &buffer);

	if (r < 0)
		return r;
	if (buffer.n_bytes < (uint64_t)column->n_rows * node->offset_width)
		return walk_wrong(walk, -EBADMSG, "its sizes are too few");
	column->sizes = buffer.data;
	return 0;
}

static int offsets_check(struct batch_walk *walk, const struct seai_node *node, const struct sea_arrow_column *column)
{
	uint64_t end = node->has_bytes ? column->n_data_bytes : (uint64_t)column->children[0].n_rows;

	if (column->n_rows == 0 || seai_offsets_are_good(column->offsets, node->offset_width, column->n_rows, end))
		return 0;
	return walk_wrong(walk, -EBADMSG, "its offsets fall, or lead outside");
}

static int node_read(struct batch_walk *walk, const struct seai_node *node)
{
	struct sea_arrow_column *column = &walk->columns[node->column];
	bool is_old_union = node->data_comes_first && walk->message->version == METADATA_V4;
	int r = 0;

	column->validity = NULL;
	if (node->has_validity || is_old_union)
		r = validity_read(walk, column);
	if (r == 0 && node->has_data && node->data_comes_first)
		r = data_read(walk, node, column);
	if (r == 0 && node->offset_width)
		r = offsets_read(walk, node, column);
	if (r == 0 && node->has_sizes)
		r = sizes_read(walk, node, column);
	if (r == 0 && node->has_data && !node->data_comes_first)
		r = data_read(walk, node, column);
	if (r == 0 && node->has_variadic)
		r = variadic_read(walk, column);
	if (r == 0 && node->has_last_offset)
		r = offsets_check(walk, node, column);
	return r;
}

/* The vectors of a RecordBatch, and that they fit the schema. */
static int vectors_read(struct batch_walk *walk, const struct seai_flat_table *table)
{
	const uint8_t *place;
	int r = seai_flat_field(table, BATCH_COMPRESSION, 4, &place);

	if (r == 1)
		return walk_wrong(walk, -ENOTSUP, "the body is compressed");
	if (r == 0)
		r = seai_flat_vector(table, BATCH_NODES, NODE_N_BYTES, &walk->nodes);
	if (r >= 0)
		r = seai_flat_vector(table, BATCH_BUFFERS, BUFFER_N_BYTES, &walk->buffers);
	if (r >= 0 && walk->tree->has_variadic)
		r = seai_flat_vector(table, BATCH_VARIADIC_COUNTS, 8, &walk->counts);
	if (r < 0)
		return walk_wrong(walk, r, "the metadata leads outside of itself");
	if (walk->nodes.n_items != walk->tree->n_nodes)
		return walk_wrong(walk, -EBADMSG, "it has not as many fields as the schema");
	return 0;
}

static int variadic_grow(struct batch_walk *walk, struct seai_variadic *variadic)
{
	struct sea_arrow_buffer *buffers;

	if (walk->buffers.n_items > variadic->n_max) {
		buffers = realloc(variadic->buffers, walk->buffers.n_items * sizeof(*buffers));
		if (!buffers)
			return walk_wrong(walk, -ENOMEM, "no memory");
		variadic->buffers = buffers;
		variadic->n_max = walk->buffers.n_items;
	}
	walk->variadic = variadic->buffers;
	return 0;
}

int seai_batch_read(const struct seai_message *message, const struct seai_flat_table *record_batch,
                    const struct seai_tree *tree, struct sea_arrow_column *columns, struct seai_variadic *variadic,
                    int64_t *ret_n_rows, struct sea_error *error)
{
	struct batch_walk walk = {
		.message = message, .tree = tree, .columns = columns, .node = SIZE_MAX, .error = error
	};
	int64_t n_rows = 0;
	int r = seai_flat_i64(record_batch, BATCH_LENGTH, 0, &n_rows);

	if (r < 0 || n_rows < 0 || n_rows > SEAI_ROWS_MAX)
		return walk_wrong(&walk, -EBADMSG, "the number of rows is out of range");
	r = vectors_read(&walk, record_batch);
	if (r == 0 && tree->has_variadic)
		r = variadic_grow(&walk, variadic);
	if (r == 0)
		r = lengths_read(&walk, n_rows);
	for (size_t i = 0; i < tree->n_nodes && r == 0; i++) {
		walk.node = i;
		r = node_read(&walk, &tree->nodes[i]);
	}
	if (r < 0)
		return r;
	walk.node = SIZE_MAX;
	if (walk.next_buffer != walk.buffers.n_items)
		return walk_wrong(&walk, -EBADMSG, "it has more buffers than its fields");
	*ret_n_rows = n_rows;
	return 0;
}
