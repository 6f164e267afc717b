/* SPDX-License-Identifier: Apache-2.0 */
/* Where the buffers of a batch come to lie in its body: from how many rows and bytes each slot has. */
#include <errno.h>
#include <inttypes.h>

#include "arrow/batch.h"
#include "arrow/fail.h"
#include "arrow/writer.h"

/* More than any memory has; few enough that sums of all buffers do not overflow. */
#define BUFFER_N_BYTES_MAX ((uint64_t)1 << 48)

static int node_wrong(const struct seai_tree *tree, size_t node, int code, const char *text, struct sea_error *error)
{
	char path[sizeof(error->key)];

	return SEAI_FAIL(error, code, seai_tree_path(tree, node, path, sizeof(path)), "%s", text);
}

/* NULL: as many rows as what it is part of asks for. */
static const char *rows_wrong(const struct seai_tree *tree, const struct sea_arrow_slot *slots, size_t at)
{
	const struct seai_node *node = &tree->nodes[at];
	const struct seai_node *parent = node->parent == SEAI_NO_PARENT ? NULL : &tree->nodes[node->parent];
	int64_t n_rows = slots[at].n_rows, n_parent;

	if (n_rows < 0 || n_rows > SEAI_ROWS_MAX)
		return "a number of rows is out of range";
	if (!parent)
		return n_rows == slots[0].n_rows ? NULL : "it has not as many rows as the first column";
	n_parent = slots[node->parent].n_rows;
	if (node->rows == SEAI_ROWS_SAME && n_rows != n_parent)
		return "it has not as many rows as what it is part of";
	if (node->rows == SEAI_ROWS_TIMES &&
	    (__builtin_mul_overflow(n_parent, parent->field->type.size, &n_parent) || n_rows != n_parent))
		return "it has not as many rows as the lists it is part of have items";
	/* Run ends come right behind their parent, values right behind them. */
	if (parent->field->type.id == SEA_ARROW_RUN_END_ENCODED && at == node->parent + 1u && slots[at].has_validity)
		return "run ends cannot be null";
	if (parent->field->type.id == SEA_ARROW_RUN_END_ENCODED && at != node->parent + 1u &&
	    n_rows != slots[node->parent + 1].n_rows)
		return "it has not as many values as run ends";
	return NULL;
}

/* Whether what offsets or run ends have to reach can be written with their bits. */
static bool reach_is_wrong(const struct seai_tree *tree, const struct sea_arrow_slot *slots, size_t at)
{
	const struct seai_node *node = &tree->nodes[at];
	const struct sea_arrow_field *field = node->field;

	if (field->index_bits)
		return false;
	if (node->has_bytes && (node->offset_width == 4 ? slots[at].n_data_bytes > INT32_MAX
	                                                : slots[at].n_data_bytes > BUFFER_N_BYTES_MAX))
		return true;
	/* The items of a list stand right behind it. */
	if (node->offset_width == 4 && node->n_children == 1 && slots[at + 1].n_rows > INT32_MAX)
		return true;
	if (field->type.id == SEA_ARROW_RUN_END_ENCODED && field->children[0].type.bits < 64)
		return slots[at].n_rows >= (int64_t)1 << (field->children[0].type.bits - 1);
	return false;
}

/* Puts a buffer behind the others. */
static int span_add(struct seai_span **span, uint64_t n_bytes, uint64_t *n_body)
{
	if (n_bytes > BUFFER_N_BYTES_MAX)
		return -E2BIG;
	**span = (struct seai_span){ *n_body, n_bytes };
	(*span)++;
	*n_body += (n_bytes + SEA_ARROW_ALIGNMENT - 1) & ~(uint64_t)(SEA_ARROW_ALIGNMENT - 1);
	return 0;
}

static int node_plan(const struct seai_node *node, const struct sea_arrow_slot *slot, struct seai_span **span,
                     uint64_t *n_body)
{
	uint64_t n_rows = (uint64_t)slot->n_rows, n_data = slot->n_data_bytes;
	int r = 0;

	if (!node->has_bytes) {
		if (__builtin_mul_overflow(n_rows, node->data_bits, &n_data))
			return -E2BIG;
		n_data = n_data / 8 + (n_data % 8 != 0);
	}
	if (node->has_validity)
		r = span_add(span, slot->has_validity ? (n_rows + 7) / 8 : 0, n_body);
	if (r == 0 && node->data_comes_first)
		r = span_add(span, n_data, n_body);
	if (r == 0 && node->offset_width)
		r = span_add(span, (n_rows + node->has_last_offset) * node->offset_width, n_body);
	if (r == 0 && node->has_data && !node->data_comes_first)
		r = span_add(span, n_data, n_body);
	return r;
}

int seai_spans_plan(const struct seai_tree *tree, const struct sea_arrow_slot *slots, size_t n_slots,
                    struct seai_span *spans, uint64_t *ret_n_body, struct sea_error *error)
{
	uint64_t n_body = 0;

	if (n_slots != tree->n_nodes)
		return SEAI_FAIL(error, -EINVAL, "", "%zu slots, where there are %zu", n_slots, tree->n_nodes);
	for (size_t i = 0; i < n_slots; i++) {
		const char *wrong = rows_wrong(tree, slots, i);

		if (wrong)
			return node_wrong(tree, i, -EINVAL, wrong, error);
		if (reach_is_wrong(tree, slots, i))
			return node_wrong(tree, i, -E2BIG, "it is larger than its offsets or run ends can say", error);
		if (node_plan(&tree->nodes[i], &slots[i], &spans, &n_body) < 0)
			return node_wrong(tree, i, -E2BIG, "it is larger than any memory", error);
	}
	*ret_n_body = n_body;
	return 0;
}
