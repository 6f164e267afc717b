/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables in aligned columns: names, types, rows. Widths are those of the widest cell so far, looked at some rows ahead; numbers stand right.
 *
 * The odd rule: a column never gets narrower, so that what follows stays in line, and no cell is wider than CELL_WIDTH_MAX.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cat.h"
#include "cleanup.h"
#include "terminal.h"

#define CELL_WIDTH_MAX 64u
#define ROWS_AHEAD 256

struct cell {
	struct cat_text text;
	unsigned width;
	bool is_null;
};

/* Code points: what they take on a terminal, wide ones aside. */
static unsigned text_width(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Cuts a text to a width, and says so with three points. */
static void text_cut(char *text, unsigned width)
{
	unsigned n = 0;

	if (text_width(text) <= width)
		return;
	for (char *at = text; *at; at++) {
		if (((unsigned char)*at & 0xc0) == 0x80)
			continue;
		/* What is cut off has more bytes than the points. */
		if (n++ == width - 3) {
			memcpy(at, "...", 4);
			return;
		}
	}
}

static bool stands_right(const struct sea_arrow_field *field)
{
	enum sea_arrow_type_id id = field->type.id;

	if (id == SEA_ARROW_RUN_END_ENCODED)
		return stands_right(&field->children[1]);
	return id == SEA_ARROW_INT || id == SEA_ARROW_FLOAT || id == SEA_ARROW_DECIMAL || id == SEA_ARROW_DURATION;
}

static void cell_print(const char *text, unsigned text_w, unsigned width, bool is_right, bool is_last,
                       const char *before, const char *after)
{
	unsigned n = text_w < width ? width - text_w : 0;

	/* No spaces at the end of a line. */
	printf("%*s%s%s%s%*s%s", is_right ? (int)n : 0, "", before, text, after, is_right || is_last ? 0 : (int)n, "",
	       is_last ? "\n" : "  ");
}

int cat_table_init(struct cat_table *table, const struct sea_arrow_schema *schema)
{
	*table = (struct cat_table){ .n_columns = schema->n_fields };
	table->widths = calloc(schema->n_fields + 1, sizeof(*table->widths));
	return table->widths ? 0 : -ENOMEM;
}

void cat_table_fini(struct cat_table *table)
{
	free(table->widths);
}

/* Name or type of a field, as a cell. */
static void head_text(const struct sea_arrow_field *field, bool is_type, char *text, size_t n_bytes)
{
	if (is_type) {
		sea_arrow_field_text(field, text, n_bytes);
	} else {
		struct cat_text name = { 0 };

		cat_text_add_escaped(&name, field->name, strlen(field->name), false);
		snprintf(text, n_bytes, "%s", name.bytes ? name.bytes : "");
		cat_text_fini(&name);
	}
	text_cut(text, CELL_WIDTH_MAX);
}

static void head_print(struct cat_table *table, const struct sea_arrow_schema *schema)
{
	char text[512];

	for (int is_type = 0; is_type < 2; is_type++)
		for (size_t i = 0; i < table->n_columns; i++) {
			head_text(&schema->fields[i], is_type, text, sizeof(text));
			cell_print(text, text_width(text), table->widths[i], stands_right(&schema->fields[i]),
			           i + 1 == table->n_columns,
			           terminal_colour(stdout, is_type ? TERMINAL_DIM : TERMINAL_BOLD),
			           terminal_colour(stdout, TERMINAL_PLAIN));
		}
	table->has_head = true;
}

static void head_measure(struct cat_table *table, const struct sea_arrow_schema *schema)
{
	char text[512];

	for (int is_type = 0; is_type < 2; is_type++)
		for (size_t i = 0; i < table->n_columns; i++) {
			head_text(&schema->fields[i], is_type, text, sizeof(text));
			if (text_width(text) > table->widths[i])
				table->widths[i] = text_width(text);
		}
}

static int cell_make(struct cell *cell, const struct sea_arrow_column *column, int64_t row)
{
	cell->text.n_bytes = 0;
	cell->is_null = !cat_value_add(&cell->text, column, row, false);
	/* An empty text still ends with a zero. */
	cat_text_add(&cell->text, cell->is_null ? "null" : "", cell->is_null ? 4 : 0);
	if (cell->text.failed)
		return -ENOMEM;
	text_cut(cell->text.bytes, CELL_WIDTH_MAX);
	cell->width = text_width(cell->text.bytes);
	return 0;
}

/* Rows first to first + n_rows - 1, n_rows at most ROWS_AHEAD. */
static int rows_print(struct cat_table *table, const struct sea_arrow_schema *schema,
                      const struct sea_arrow_batch *batch, struct cell *cells, int64_t first, int64_t n_rows)
{
	for (int64_t row = 0; row < n_rows; row++)
		for (size_t i = 0; i < table->n_columns; i++) {
			struct cell *cell = &cells[(size_t)row * table->n_columns + i];

			if (cell_make(cell, &batch->columns[i], first + row) < 0)
				return -ENOMEM;
			if (cell->width > table->widths[i])
				table->widths[i] = cell->width;
		}
	if (!table->has_head)
		head_print(table, schema);
	for (int64_t row = 0; row < n_rows; row++)
		for (size_t i = 0; i < table->n_columns; i++) {
			const struct cell *cell = &cells[(size_t)row * table->n_columns + i];

			cell_print(cell->text.bytes, cell->width, table->widths[i], stands_right(&schema->fields[i]),
			           i + 1 == table->n_columns,
			           cell->is_null ? terminal_colour(stdout, TERMINAL_DIM) : "",
			           cell->is_null ? terminal_colour(stdout, TERMINAL_PLAIN) : "");
		}
	return 0;
}

int cat_table_print(struct cat_table *table, const struct sea_arrow_schema *schema, const struct sea_arrow_batch *batch,
                    int64_t n_rows)
{
	size_t n_cells = table->n_columns * ROWS_AHEAD;
	TOOL_AUTO_FREE struct cell *cells = calloc(n_cells + 1, sizeof(*cells));
	int r = cells ? 0 : -ENOMEM;

	if (r == 0 && !table->has_head) {
		head_measure(table, schema);
		if (n_rows == 0)
			head_print(table, schema);
	}
	for (int64_t row = 0; row < n_rows && r == 0 && table->n_columns && !ferror(stdout); row += ROWS_AHEAD)
		r = rows_print(table, schema, batch, cells, row, n_rows - row < ROWS_AHEAD ? n_rows - row : ROWS_AHEAD);
	for (size_t i = 0; cells && i < n_cells; i++)
		cat_text_fini(&cells[i].text);
	return r;
}
