/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields as a list of nodes; see tree.h. The odd rule: nodes stand each before its children, columns with all siblings together; a node
 * knows its column.
 */
#include "arrow/tree.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static size_t fields_count(const struct sea_arrow_field *fields, size_t n_fields)
{
	size_t n = n_fields;

	for (size_t i = 0; i < n_fields; i++)
		if (!fields[i].index_bits)
			n += fields_count(fields[i].children, fields[i].n_children);
	return n;
}

/* Which buffers a type has; everything of the node that depends on its type alone. */
static void node_set_type(struct seai_node *node, const struct sea_arrow_type *type)
{
	node->has_validity = true;
	node->data_bits = (uint64_t)sea_arrow_type_width(type);
	switch (type->id) {
	case SEA_ARROW_NULL:
	case SEA_ARROW_RUN_END_ENCODED: node->has_validity = false; break;
	case SEA_ARROW_UNION:
		node->has_validity = false;
		node->data_bits = 8;
		node->data_comes_first = true;
		node->offset_width = type->is_dense ? 4 : 0;
		break;
	case SEA_ARROW_BINARY:
	case SEA_ARROW_UTF8:
	case SEA_ARROW_LARGE_BINARY:
	case SEA_ARROW_LARGE_UTF8:
		node->has_bytes = node->has_last_offset = true;
		node->offset_width = type->id == SEA_ARROW_BINARY || type->id == SEA_ARROW_UTF8 ? 4 : 8;
		break;
	case SEA_ARROW_LIST:
	case SEA_ARROW_MAP:
	case SEA_ARROW_LARGE_LIST:
		node->has_last_offset = true;
		node->offset_width = type->id == SEA_ARROW_LARGE_LIST ? 8 : 4;
		break;
	case SEA_ARROW_LIST_VIEW:
	case SEA_ARROW_LARGE_LIST_VIEW:
		node->has_sizes = true;
		node->offset_width = type->id == SEA_ARROW_LIST_VIEW ? 4 : 8;
		break;
	case SEA_ARROW_BINARY_VIEW:
	case SEA_ARROW_UTF8_VIEW:
		node->has_variadic = true;
		node->data_bits = 128;
		break;
	default: break;
	}
	/* Fixed-size binary of no bytes has a buffer all the same. */
	node->has_data = node->data_bits || node->has_bytes || type->id == SEA_ARROW_FIXED_SIZE_BINARY;
}

static enum seai_rows rows_of_children(const struct sea_arrow_type *type)
{
	switch (type->id) {
	case SEA_ARROW_STRUCT: return SEAI_ROWS_SAME;
	case SEA_ARROW_UNION: return type->is_dense ? SEAI_ROWS_FREE : SEAI_ROWS_SAME;
	case SEA_ARROW_FIXED_SIZE_LIST: return SEAI_ROWS_TIMES;
	default: return SEAI_ROWS_FREE;
	}
}

/* Where the next node and the next group of columns go. */
struct tree_cursor {
	struct seai_tree *tree;
	uint32_t n_nodes;
	uint32_t n_columns;
};

static void nodes_add(struct tree_cursor *cursor, const struct sea_arrow_field *fields, size_t n_fields,
                      uint32_t parent, enum seai_rows rows)
{
	uint32_t column = cursor->n_columns;

	cursor->n_columns += (uint32_t)n_fields;
	for (size_t i = 0; i < n_fields; i++) {
		const struct sea_arrow_field *field = &fields[i];
		uint32_t at = cursor->n_nodes++;
		struct seai_node *node = &cursor->tree->nodes[at];

		*node = (struct seai_node){ .field = field,
			                    .parent = parent,
			                    .column = column + (uint32_t)i,
			                    .rows = rows,
			                    .dictionary = SEAI_NO_DICTIONARY };
		if (field->index_bits) {
			node->has_validity = node->has_data = true;
			node->data_bits = (uint64_t)field->index_bits;
		} else {
			node_set_type(node, &field->type);
			node->n_children = (uint32_t)field->n_children;
		}
		node->n_buffers = (uint8_t)(node->has_validity + (node->offset_width > 0) + node->has_sizes +
		                            node->has_data);
		cursor->tree->n_buffers += node->n_buffers;
		cursor->tree->has_variadic |= node->has_variadic;
		node->first_child = cursor->n_columns;
		if (node->n_children)
			nodes_add(cursor, field->children, field->n_children, at, rows_of_children(&field->type));
	}
}

int seai_tree_init(struct seai_tree *tree, const struct sea_arrow_field *fields, size_t n_fields)
{
	struct tree_cursor cursor = { .tree = tree };

	*tree = (struct seai_tree){ .n_top = n_fields, .n_nodes = fields_count(fields, n_fields) };
	tree->nodes = calloc(tree->n_nodes ? tree->n_nodes : 1, sizeof(*tree->nodes));
	if (!tree->nodes)
		return -ENOMEM;
	nodes_add(&cursor, fields, n_fields, SEAI_NO_PARENT, SEAI_ROWS_FREE);
	return 0;
}

void seai_tree_fini(struct seai_tree *tree)
{
	free(tree->nodes);
	*tree = (struct seai_tree){ 0 };
}

struct sea_arrow_column *seai_tree_columns(const struct seai_tree *tree)
{
	struct sea_arrow_column *columns = calloc(tree->n_nodes ? tree->n_nodes : 1, sizeof(*columns));

	for (size_t i = 0; columns && i < tree->n_nodes; i++) {
		const struct seai_node *node = &tree->nodes[i];
		struct sea_arrow_column *column = &columns[node->column];

		column->field = node->field;
		column->n_children = node->n_children;
		column->children = node->n_children ? &columns[node->first_child] : NULL;
	}
	return columns;
}

char *seai_tree_path(const struct seai_tree *tree, size_t node, char *path, size_t n_bytes)
{
	uint32_t nodes[SEA_ARROW_DEPTH_MAX + 1] = { 0 };
	size_t n_nodes = 0, n = 0;

	for (uint32_t at = (uint32_t)node; at != SEAI_NO_PARENT && n_nodes <= SEA_ARROW_DEPTH_MAX;
	     at = tree->nodes[at].parent)
		nodes[n_nodes++] = at;
	path[0] = '\0';
	while (n_nodes-- > 0 && n < n_bytes) {
		const struct sea_arrow_field *field = tree->nodes[nodes[n_nodes]].field;

		n += (size_t)snprintf(path + n, n_bytes - n, "%s%s", n ? "." : "", field->name ? field->name : "");
	}
	return path;
}

uint64_t seai_dictionary_version(void)
{
	static _Atomic uint64_t last;

	/* relaxed: only that numbers differ matters */
	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}
