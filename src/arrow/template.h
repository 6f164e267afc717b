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

#include "arrow/build.h"
#include "arrow/tree.h"

/* The mark and the size in front of the metadata. */
#define SEAI_PREFIX_N_BYTES 8

/* Metadata of a batch, with its prefix; and where its numbers stand. */
struct seai_template {
	uint8_t *bytes;
	size_t n_bytes; /* with the prefix: a multiple of 64 */
	size_t body_at, length_at, nodes_at, buffers_at, delta_at;
};

/*
 * The message of a schema. What the schema says of the whole comes last in it, so that this can change from stream to stream while
 * the fields, which take long to write, stay.
 */
struct seai_schema_message {
	struct seai_build build; /* without the prefix */
	size_t n_bytes_fields;   /* before the metadata */
	size_t metadata_at;      /* where its offset stands */
	size_t vtable_at;        /* and that there is one */
	uint16_t vtable_value;
};

/* @return 0; -E2BIG more than readers take; -ENOMEM. To be ended by seai_schema_message_fini() in any case. */
int seai_schema_message_init(struct seai_schema_message *message, const struct sea_arrow_field *fields,
                             size_t n_fields);
void seai_schema_message_fini(struct seai_schema_message *message);
/* @return as seai_schema_message_init(): it is then to be set again. What it was set to once finds its memory again. */
int seai_schema_message_set_metadata(struct seai_schema_message *message, const struct sea_arrow_pair *metadata,
                                     size_t n_metadata);
/* With the prefix: a multiple of 64. */
size_t seai_schema_message_size(const struct seai_schema_message *message);
void seai_schema_message_write(const struct seai_schema_message *message, uint8_t *to);

/* @return 0; -E2BIG more than readers take; -ENOMEM. Its bytes are to be freed. */
int seai_template_batch(struct seai_template *ret_template, const struct seai_tree *tree);
int seai_template_dictionary(struct seai_template *ret_template, const struct seai_tree *tree, int64_t id);

#endif
