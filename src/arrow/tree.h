/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields as a list of nodes, each before its children: the order in which streams name lengths and buffers, and slots stand. What a type's
 * buffers are stands here and nowhere else. And schemas as a whole: compared, copied.
 */
#ifndef SEALANE_ARROW_TREE_H
#define SEALANE_ARROW_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/column.h>
#include <sealane/arrow/schema.h>

#include "arrow/arena.h"

#define SEAI_NO_PARENT UINT32_MAX
#define SEAI_NO_DICTIONARY UINT32_MAX

/* How many rows a node has, seen from its parent. */
enum seai_rows {
	SEAI_ROWS_FREE,  /* what the parent's offsets or run ends reach */
	SEAI_ROWS_SAME,  /* as many as the parent */
	SEAI_ROWS_TIMES, /* the parent's, times the size of its list */
};

struct seai_node {
	const struct sea_arrow_field *field;
	uint64_t data_bits;    /* of one row; 0: no data of a fixed width */
	uint32_t parent;       /* its index, or SEAI_NO_PARENT */
	uint32_t column;       /* its index among the columns, where siblings stand together */
	uint32_t first_child;  /* index of its first child's column */
	uint32_t n_children;   /* 0 of a dictionary-encoded one */
	uint32_t dictionary;   /* index of its dictionary, see dictionary.h; SEAI_NO_DICTIONARY */
	uint8_t offset_width;  /* 0, 4, 8 bytes */
	uint8_t n_buffers;     /* in a stream of version 5, variadic ones aside */
	bool has_validity;     /* a bitmap as its first buffer */
	bool has_last_offset;  /* offsets are n_rows + 1, and never fall */
	bool has_data;         /* a buffer of values, indices, views, type ids */
	bool has_bytes;        /* offsets into data of any size */
	bool has_sizes;        /* list views */
	bool has_variadic;     /* views */
	bool data_comes_first; /* unions: type ids, then offsets */
	enum seai_rows rows;
};

struct seai_tree {
	struct seai_node *nodes;
	size_t n_nodes;
	size_t n_top;     /* fields that it was made of */
	size_t n_buffers; /* of all nodes, variadic ones aside */
	bool has_variadic;
};

/* Makes the nodes of checked fields, which must outlive it. @return 0; -ENOMEM */
int seai_tree_init(struct seai_tree *tree, const struct sea_arrow_field *fields, size_t n_fields);
void seai_tree_fini(struct seai_tree *tree);

/* The columns of a tree, with their fields and children in place and no rows; the first n_top are the top ones. NULL: no memory. Freed as one. */
struct sea_arrow_column *seai_tree_columns(const struct seai_tree *tree);

/* The path of a node, as errors name it: "a.item". @return path, cut to fit */
char *seai_tree_path(const struct seai_tree *tree, size_t node, char *path, size_t n_bytes);

/* Whether fields are of one type, their children's too; names and metadata do not count. @param as_values takes a for its dictionary's values, b too */
bool seai_field_is_like(const struct sea_arrow_field *a, const struct sea_arrow_field *b, bool as_values);

/* Copies checked fields, or pairs. @return 0; -E2BIG; -ENOMEM */
int seai_fields_copy(struct seai_arrow_arena *arena, const struct sea_arrow_field *fields, size_t n_fields,
                     const struct sea_arrow_field **ret_copy);
int seai_pairs_copy(struct seai_arrow_arena *arena, const struct sea_arrow_pair *pairs, size_t n_pairs,
                    const struct sea_arrow_pair **ret_copy);

/*
 * All dictionary-encoded fields of a schema, by the ids of their dictionaries; several may share one. @param ret_fields to be freed; NULL where there are
 * none. @return 0; -ENOMEM
 */
int seai_schema_encoded(const struct sea_arrow_schema *schema, const struct sea_arrow_field ***ret_fields,
                        size_t *ret_n_fields);

/* A number that no other dictionary of this process has. */
uint64_t seai_dictionary_version(void);

/* "int64[ms, UTC]" and so on, without children; text is cut to fit. */
void seai_type_text(const struct sea_arrow_type *type, char *text, size_t n_bytes);

#endif
