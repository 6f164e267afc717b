/* SPDX-License-Identifier: Apache-2.0 */
/* The dictionaries that the fields of a schema name: each once, whoever shares it. What they hold is the reader's and writer's own business. */
#ifndef SEALANE_ARROW_DICTIONARY_H
#define SEALANE_ARROW_DICTIONARY_H

#include <stddef.h>
#include <stdint.h>

#include "arrow/tree.h"

struct seai_dictionary {
	int64_t id;
	struct sea_arrow_field value; /* a field that has it, as if it were not encoded: the type of its values */
	struct seai_tree tree;        /* of value */
};

struct seai_dictionaries {
	struct seai_dictionary *items; /* by id */
	size_t n_items;
};

/*
 * Makes them of a checked schema, which must outlive them, and tells the nodes of its tree, and of their own trees, which is theirs.
 * @return 0; -ENOMEM
 */
int seai_dictionaries_init(struct seai_dictionaries *dictionaries, const struct sea_arrow_schema *schema,
                           struct seai_tree *tree);
void seai_dictionaries_fini(struct seai_dictionaries *dictionaries);

/* The index of a dictionary, or SEAI_NO_DICTIONARY. */
uint32_t seai_dictionaries_find(const struct seai_dictionaries *dictionaries, int64_t id);

#endif
