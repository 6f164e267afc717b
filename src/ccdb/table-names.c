/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the columns of a table: see table-names.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/table-names.h"

static int name_compare(const void *a, const void *b)
{
	return strcmp(((const struct seai_table_name *)a)->name, ((const struct seai_table_name *)b)->name);
}

int seai_table_names_init(struct seai_table_names *names, size_t n_columns,
                          const char *(*get)(const void *columns, size_t column), const void *columns,
                          size_t *ret_column)
{
	*names = (struct seai_table_names){ 0 };
	names->names = calloc(n_columns ? n_columns : 1, sizeof(*names->names));
	if (names->names == NULL)
		return -ENOMEM;
	names->n_names = n_columns;
	for (size_t i = 0; i < n_columns; i++)
		names->names[i] = (struct seai_table_name){ get(columns, i), (uint32_t)i };
	qsort(names->names, n_columns, sizeof(*names->names), name_compare);
	for (size_t i = 1; i < n_columns; i++) {
		if (strcmp(names->names[i - 1].name, names->names[i].name) == 0) {
			*ret_column = names->names[i].column;
			return -EEXIST;
		}
	}
	return 0;
}

void seai_table_names_fini(struct seai_table_names *names)
{
	free(names->names);
	*names = (struct seai_table_names){ 0 };
}

int64_t seai_table_names_find(const struct seai_table_names *names, const char *name)
{
	const struct seai_table_name key = { name, 0 };
	const struct seai_table_name *found;

	if (names->n_names == 0)
		return -ENOENT;
	found = bsearch(&key, names->names, names->n_names, sizeof(key), name_compare);
	return found == NULL ? -ENOENT : (int64_t)found->column;
}
