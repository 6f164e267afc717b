/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the writer share. */
#ifndef SEALANE_ARROW_WRITER_PRIVATE_H
#define SEALANE_ARROW_WRITER_PRIVATE_H

#include <stdbool.h>

#include <sealane/arrow/writer.h>

#include "arrow/arena.h"
#include "arrow/dictionary.h"
#include "arrow/template.h"
#include "arrow/tree.h"

/* A buffer of a batch that is reserved: where in the body, and how long at most. */
struct seai_span {
	uint64_t offset;
	uint64_t n_bytes;
};

/* What one message of rows needs: a batch, or the values of a dictionary. */
struct seai_shape {
	const struct seai_tree *tree;
	struct seai_template template;
};

/* Which dictionary was written last for an id. */
struct seai_written {
	uint64_t version; /* of the last piece; 0: none */
	uint64_t batch;   /* the batch of sea_arrow_writer_write() that asked for it last */
};

enum seai_writer_state {
	SEAI_WRITER_NEW,      /* no destination */
	SEAI_WRITER_SET,      /* a destination, no schema yet */
	SEAI_WRITER_OPEN,     /* the schema is written */
	SEAI_WRITER_RESERVED, /* a batch is reserved */
	SEAI_WRITER_ENDED,
};

struct sea_arrow_writer {
	struct seai_arrow_arena arena;          /* of the schema's fields */
	struct seai_arrow_arena metadata_arena; /* of what it says of the whole */
	struct sea_arrow_schema schema;
	struct seai_tree tree;
	struct seai_dictionaries dictionaries;
	struct seai_schema_message schema_message;
	struct seai_shape batch;
	struct seai_shape *values; /* as dictionaries.items */
	struct seai_written *written;
	struct seai_span *spans; /* as many as the largest tree has buffers */
	struct seai_span *now;   /* the same, for a second look */
	uint64_t n_batches;      /* of sea_arrow_writer_write() */

	enum seai_writer_state state;
	uint8_t *memory; /* NULL: a sink */
	uint64_t n_memory;
	struct sea_arrow_sink sink;
	uint64_t at;

	/* What is reserved. */
	const struct seai_shape *shape;
	struct sea_arrow_slot *slots;
	uint8_t *place;
	uint64_t n_place;
	bool is_delta;
};

/* The index of a shape's dictionary; -ENOENT, said. */
int seai_writer_find(const struct sea_arrow_writer *writer, int64_t dictionary_id, struct sea_error *error);

/* As sea_arrow_writer_reserve(), of any shape. */
int seai_writer_reserve(struct sea_arrow_writer *writer, const struct seai_shape *shape, bool is_delta,
                        struct sea_arrow_slot *slots, size_t n_slots, struct sea_error *error);

/*
 * Where the buffers of a shape come to lie. @param spans tree->n_buffers of them. @return 0; -EINVAL; -E2BIG; as of sea_arrow_writer_reserve()
 */
int seai_spans_plan(const struct seai_tree *tree, const struct sea_arrow_slot *slots, size_t n_slots,
                    struct seai_span *spans, uint64_t *ret_n_body, struct sea_error *error);

#endif
