/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that tests write and look for again: one with every type that is written, and its values row by row. */
#ifndef SEALANE_TESTS_ARROW_TABLES_H
#define SEALANE_TESTS_ARROW_TABLES_H

#include <sealane/arrow/arrow.h>

#define TABLE_N_ROWS 5
#define TABLE_N_FIELDS 23

/* The fields of the table of all types, in the order in which it is checked. */
const struct sea_arrow_schema *table_schema(void);

/* Memory for a stream, aligned to 64 bytes and zeroed; it is freed with free(). */
void *table_memory(uint64_t n_bytes);

/* Writes the table of all types, in two batches of the same rows. @return its memory, to be freed */
void *table_write(uint64_t *ret_n_bytes);

/* Writes a batch of it, dictionary included, where is_first. */
void table_write_batch(struct sea_arrow_writer *writer, int is_first);

/* The same stream without a column, by name: what some programs do not know. @return its memory, to be freed */
void *table_write_without(const char *name, uint64_t *ret_n_bytes);

/* Whether a batch is the table of all types, value by value. */
void table_check(const struct sea_arrow_batch *batch);

/* Reads a stream and checks that it is n_batches times the table of all types. */
void table_check_stream(const void *memory, uint64_t n_bytes, unsigned n_batches);

#endif
