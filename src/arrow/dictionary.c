/* SPDX-License-Identifier: Apache-2.0 */
/* The dictionaries of a schema; see dictionary.h. The odd rule: the list never moves, since trees point into it. */
#include "arrow/dictionary.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

uint32_t seai_dictionaries_find(const struct seai_dictionaries *dictionaries, int64_t id)
{
	size_t low = 0, high = dictionaries->n_items;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (dictionaries->items[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < dictionaries->n_items && dictionaries->items[low].id == id ? (uint32_t)low : SEAI_NO_DICTIONARY;
}

static void tree_bind(struct seai_tree *tree, const struct seai_dictionaries *dictionaries)
{
	for (size_t i = 0; i < tree->n_nodes; i++) {
		const struct sea_arrow_field *field = tree->nodes[i].field;

		if (field->index_bits)
			tree->nodes[i].dictionary = seai_dictionaries_find(dictionaries, field->dictionary_id);
	}
}

int seai_dictionaries_init(struct seai_dictionaries *dictionaries, const struct sea_arrow_schema *schema,
                           struct seai_tree *tree)
{
	SEAI_AUTO_FREE const struct sea_arrow_field **fields = NULL;
	size_t n_fields;
	int r;

	*dictionaries = (struct seai_dictionaries){ 0 };
	r = seai_schema_encoded(schema, &fields, &n_fields);
	if (r < 0 || n_fields == 0)
		return r;
	dictionaries->items = calloc(n_fields, sizeof(*dictionaries->items));
	if (!dictionaries->items)
		return -ENOMEM;
	for (size_t i = 0; i < n_fields; i++) {
		struct seai_dictionary *item = &dictionaries->items[dictionaries->n_items];

		if (i && fields[i]->dictionary_id == fields[i - 1]->dictionary_id)
			continue;
		item->id = fields[i]->dictionary_id;
		item->value = *fields[i];
		item->value.index_bits = 0;
		r = seai_tree_init(&item->tree, &item->value, 1);
		if (r < 0) {
			seai_dictionaries_fini(dictionaries);
			return r;
		}
		dictionaries->n_items++;
	}
	tree_bind(tree, dictionaries);
	for (size_t i = 0; i < dictionaries->n_items; i++)
		tree_bind(&dictionaries->items[i].tree, dictionaries);
	return 0;
}

void seai_dictionaries_fini(struct seai_dictionaries *dictionaries)
{
	for (size_t i = 0; i < dictionaries->n_items; i++)
		seai_tree_fini(&dictionaries->items[i].tree);
	free(dictionaries->items);
	*dictionaries = (struct seai_dictionaries){ 0 };
}
