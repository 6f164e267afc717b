/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `sealane cat` share: texts that grow, values as text, and streams printed. */
#ifndef SEALANE_TOOLS_CAT_H
#define SEALANE_TOOLS_CAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/arrow.h>

/* A text that grows. Where memory ends it stays as it is, and says so at last. */
struct cat_text {
	char *bytes; /* ends with a zero; NULL: empty */
	size_t n_bytes;
	size_t n_max;
	bool failed;
};

void cat_text_fini(struct cat_text *text);
void cat_text_add(struct cat_text *text, const char *bytes, size_t n_bytes);
void cat_text_printf(struct cat_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text between quotes, or without: control characters escaped as in JSON, what is no UTF-8 replaced. */
void cat_text_add_escaped(struct cat_text *text, const char *bytes, size_t n_bytes, bool has_quotes);

/*
 * The value of a row. As JSON: times are the integers that are stored, binary is hexadecimal text, decimals are text. Else as a person reads
 * it: what has parts stays JSON. @return false: it is null
 */
bool cat_value_add(struct cat_text *text, const struct sea_arrow_column *column, int64_t row, bool as_json);

/* Times and decimals; see cat-time.c. */
void cat_time_add(struct cat_text *text, const struct sea_arrow_type *type, int64_t value);
void cat_decimal_add(struct cat_text *text, const struct sea_arrow_type *type, const void *bytes, size_t n_bytes);

/* What is to be printed of a stream, and what has been. */
struct cat_print {
	uint64_t head; /* at most so many rows of each stream */
	bool as_json;
	bool only_schema;
	uint64_t n_rows, n_batches, n_streams;
};

/*
 * Prints a stream that lies in memory, of any alignment. @param label what errors call it. @return 0; negative errno, said
 */
int cat_print_stream(struct cat_print *print, const char *label, const void *memory, uint64_t n_bytes);

/* Prints rows of a batch in columns of their widths; see cat-table.c. */
struct cat_table {
	size_t n_columns;
	unsigned *widths;
	bool has_head; /* the lines of names and types stand */
};

/* @return 0; -ENOMEM */
int cat_table_init(struct cat_table *table, const struct sea_arrow_schema *schema);
void cat_table_fini(struct cat_table *table);
int cat_table_print(struct cat_table *table, const struct sea_arrow_schema *schema, const struct sea_arrow_batch *batch,
                    int64_t n_rows);

#endif
