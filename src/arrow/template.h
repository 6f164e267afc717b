/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata of the messages of a writer. How long it is depends on the schema alone: it is written once, and a batch fills in its
 * numbers.
 */
#ifndef SEALANE_ARROW_TEMPLATE_H
#define SEALANE_ARROW_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/schema.h>

#include "arrow/tree.h"

/* The mark and the size in front of the metadata. */
#define SEAI_PREFIX_N_BYTES 8

/* Metadata of a batch, with its prefix; and where its numbers stand. */
struct seai_template {
	uint8_t *bytes;
	size_t n_bytes; /* with the prefix: a multiple of 64 */
	size_t body_at, length_at, nodes_at, buffers_at, delta_at;
};

/* @return 0; -E2BIG more than readers take; -ENOMEM. Its bytes are to be freed. */
int seai_template_schema(struct seai_template *ret_template, const struct sea_arrow_schema *schema);
int seai_template_batch(struct seai_template *ret_template, const struct seai_tree *tree);
int seai_template_dictionary(struct seai_template *ret_template, const struct seai_tree *tree, int64_t id);

#endif
