/* SPDX-License-Identifier: Apache-2.0 */
/* What reader, import and export know of a reader and of a batch. */
#ifndef SEALANE_ARROW_READER_PRIVATE_H
#define SEALANE_ARROW_READER_PRIVATE_H

#include <stdbool.h>

#include <sealane/arrow/abi.h>
#include <sealane/arrow/reader.h>

#include "arrow/arena.h"
#include "arrow/batch.h"
#include "arrow/dictionary.h"

/* One piece of a dictionary: columns that stay until the reader is freed, since earlier batches may use them. */
struct seai_piece {
	struct seai_piece *next;
	struct sea_arrow_column *columns;
	struct seai_variadic variadic;
};

/* What a dictionary holds now. */
struct seai_dictionary_state {
	const struct sea_arrow_column *latest; /* its last piece; NULL: none has come */
	unsigned n_pieces;
};

struct sea_arrow_reader {
	struct seai_arrow_arena arena; /* of the schema */
	struct sea_arrow_schema schema;
	struct seai_tree tree;
	struct seai_dictionaries dictionaries;
	struct seai_dictionary_state *states; /* as dictionaries.items */
	struct seai_piece *pieces;

	const uint8_t *memory;
	uint64_t n_bytes; /* of the stream at most; without the footer of a file */
	uint64_t at;      /* of the next message */
	uint64_t n_messages;
	uint32_t n_footer; /* of a file: it stands at n_bytes; 0 of a stream */
	bool is_ended;
	int failed; /* what the last call of next has failed with; it fails so for ever */
	struct sea_error failure;

	bool is_foreign;                /* batches come from arrays of other libraries */
	struct ArrowArrayStream stream; /* release is NULL where there is none */
};

struct seai_batch {
	struct sea_arrow_batch batch;          /* first: the public part */
	const struct sea_arrow_reader *reader; /* for comparison only: it may be gone */
	const struct seai_tree *tree;          /* of the reader */
	struct seai_variadic variadic;
	struct ArrowArray array;   /* that a foreign batch is made of; release is NULL where there is none */
	struct seai_piece *pieces; /* its dictionaries, and buffers of views */
};

/* A reader without memory and schema. */
struct sea_arrow_reader *seai_reader_alloc(void);

/* What follows from the schema that the reader has been given. @return 0; -ENOMEM */
int seai_reader_prepare(struct sea_arrow_reader *reader);

void seai_pieces_free(struct seai_piece *pieces);

/* Empties a batch; a foreign one is released. */
void seai_batch_clear(struct seai_batch *batch);

/* The next batch of a foreign stream. @return as sea_arrow_reader_next() */
int seai_import_next(struct sea_arrow_reader *reader, struct seai_batch *batch, struct sea_error *error);

#endif
