/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the columns of a table, sorted: a table may have many columns, and whoever wrote it chose their names. */
#ifndef SEALANE_CCDB_TABLE_NAMES_H
#define SEALANE_CCDB_TABLE_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct seai_table_name {
	const char *name; /* borrowed */
	uint32_t column;
};

struct seai_table_names {
	struct seai_table_name *names; /* sorted */
	size_t n_names;
};

/*
 * Sorts names.
 * @param get gives the name of a column, never NULL
 * @param ret_column -EEXIST: a column whose name another one has as well
 * @return 0; -EEXIST; -ENOMEM
 */
int seai_table_names_init(struct seai_table_names *names, size_t n_columns,
                          const char *(*get)(const void *columns, size_t column), const void *columns,
                          size_t *ret_column);
void seai_table_names_fini(struct seai_table_names *names);

/* @return the column; -ENOENT */
int64_t seai_table_names_find(const struct seai_table_names *names, const char *name);

#endif
