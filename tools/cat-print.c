/* SPDX-License-Identifier: Apache-2.0 */
/* One Arrow stream, printed: as a table, as one JSON object per row, or its schema. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cat.h"
#include "cleanup.h"
#include "terminal.h"

static int print_wrong(const char *label, const struct sea_error *error)
{
	terminal_error("cat", "%s: %s%s%s", label, error->key, error->key[0] ? ": " : "", error->text);
	return error->code;
}

static void pairs_add(struct cat_text *text, const struct sea_arrow_pair *pairs, size_t n_pairs)
{
	cat_text_add(text, "{", 1);
	for (size_t i = 0; i < n_pairs; i++) {
		if (i)
			cat_text_add(text, ",", 1);
		cat_text_add_escaped(text, pairs[i].key, strlen(pairs[i].key), true);
		cat_text_add(text, ":", 1);
		cat_text_add_escaped(text, pairs[i].value, pairs[i].n_value, true);
	}
	cat_text_add(text, "}", 1);
}

static void schema_json_add(struct cat_text *text, const struct sea_arrow_schema *schema)
{
	char type[1024];

	cat_text_printf(text, "{\"fields\":[");
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct sea_arrow_field *field = &schema->fields[i];

		cat_text_printf(text, "%s{\"name\":", i ? "," : "");
		cat_text_add_escaped(text, field->name, strlen(field->name), true);
		cat_text_printf(text, ",\"type\":");
		sea_arrow_field_text(field, type, sizeof(type));
		cat_text_add_escaped(text, type, strlen(type), true);
		cat_text_printf(text, ",\"nullable\":%s,\"metadata\":", field->is_nullable ? "true" : "false");
		pairs_add(text, field->metadata, field->n_metadata);
		cat_text_add(text, "}", 1);
	}
	cat_text_printf(text, "],\"metadata\":");
	pairs_add(text, schema->metadata, schema->n_metadata);
	cat_text_add(text, "}", 1);
}

/* Keys and values, one line each. */
static void pairs_print(const char *indent, const struct sea_arrow_pair *pairs, size_t n_pairs)
{
	for (size_t i = 0; i < n_pairs; i++) {
		struct cat_text text = { 0 };

		cat_text_add_escaped(&text, pairs[i].key, strlen(pairs[i].key), false);
		cat_text_add(&text, "=", 1);
		cat_text_add_escaped(&text, pairs[i].value, pairs[i].n_value, false);
		printf("%s%s%s%s\n", indent, terminal_colour(stdout, TERMINAL_DIM), text.bytes ? text.bytes : "",
		       terminal_colour(stdout, TERMINAL_PLAIN));
		cat_text_fini(&text);
	}
}

static void schema_print(const struct sea_arrow_schema *schema)
{
	size_t width = 0;
	char type[1024];

	for (size_t i = 0; i < schema->n_fields; i++)
		if (strlen(schema->fields[i].name) > width && strlen(schema->fields[i].name) <= 40)
			width = strlen(schema->fields[i].name);
	pairs_print("", schema->metadata, schema->n_metadata);
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct sea_arrow_field *field = &schema->fields[i];
		struct cat_text name = { 0 };

		cat_text_add_escaped(&name, field->name, strlen(field->name), false);
		printf("%s%-*s%s  %s%s\n", terminal_colour(stdout, TERMINAL_BOLD), (int)width,
		       name.bytes ? name.bytes : "", terminal_colour(stdout, TERMINAL_PLAIN),
		       sea_arrow_field_text(field, type, sizeof(type)), field->is_nullable ? "" : ", not null");
		pairs_print("    ", field->metadata, field->n_metadata);
		cat_text_fini(&name);
	}
}

static int rows_json_print(const struct sea_arrow_schema *schema, const struct sea_arrow_batch *batch, int64_t n_rows)
{
	struct cat_text text = { 0 };
	bool failed;

	for (int64_t row = 0; row < n_rows && !text.failed && !ferror(stdout); row++) {
		text.n_bytes = 0;
		cat_text_add(&text, "{", 1);
		for (size_t i = 0; i < schema->n_fields; i++) {
			const char *name = schema->fields[i].name;

			if (i)
				cat_text_add(&text, ",", 1);
			cat_text_add_escaped(&text, name, strlen(name), true);
			cat_text_add(&text, ":", 1);
			if (!cat_value_add(&text, &batch->columns[i], row, true))
				cat_text_add(&text, "null", 4);
		}
		cat_text_add(&text, "}\n", 2);
		if (!text.failed)
			fwrite(text.bytes, 1, text.n_bytes, stdout);
	}
	failed = text.failed;
	cat_text_fini(&text);
	return failed ? -ENOMEM : 0;
}

/* The batches of a stream, until enough rows are printed. */
static int batches_print(struct cat_print *print, const char *label, struct sea_arrow_reader *reader,
                         struct sea_arrow_batch *batch, struct cat_table *table)
{
	const struct sea_arrow_schema *schema = sea_arrow_reader_schema(reader);
	struct sea_error error = { 0 };
	uint64_t n_rows = 0;
	int r = 0;

	while (n_rows < print->head && (r = sea_arrow_reader_next(reader, batch, &error)) == 1) {
		uint64_t n = print->head - n_rows;

		if (n > (uint64_t)batch->n_rows)
			n = (uint64_t)batch->n_rows;
		r = sea_arrow_batch_check(batch, &error);
		if (r < 0)
			break;
		r = print->as_json ? rows_json_print(schema, batch, (int64_t)n)
		                   : cat_table_print(table, schema, batch, (int64_t)n);
		/* Nobody reads on, or memory has ended: the rest would be for nothing. */
		if (r == 0 && ferror(stdout))
			r = -EPIPE;
		if (r < 0)
			return r;
		n_rows += n;
		print->n_batches++;
	}
	print->n_rows += n_rows;
	if (r < 0) {
		fflush(stdout);
		return print_wrong(label, &error);
	}
	if (!print->as_json && !table->has_head) {
		batch->n_rows = 0;
		r = cat_table_print(table, schema, batch, 0);
	}
	return r < 0 ? r : 0;
}

static int stream_print(struct cat_print *print, const char *label, struct sea_arrow_reader *reader)
{
	const struct sea_arrow_schema *schema = sea_arrow_reader_schema(reader);
	struct sea_arrow_batch *batch = NULL;
	struct cat_text text = { 0 };
	struct cat_table table;
	int r;

	print->n_streams++;
	if (print->only_schema && print->as_json) {
		schema_json_add(&text, schema);
		if (!text.failed)
			puts(text.bytes);
		r = text.failed ? -ENOMEM : 0;
		cat_text_fini(&text);
		return r;
	}
	if (print->only_schema) {
		schema_print(schema);
		return 0;
	}
	r = cat_table_init(&table, schema);
	if (r == 0)
		r = sea_arrow_batch_new(&batch, reader);
	if (r == 0)
		r = batches_print(print, label, reader, batch, &table);
	sea_arrow_batch_free(batch);
	cat_table_fini(&table);
	return r;
}

int cat_print_stream(struct cat_print *print, const char *label, const void *memory, uint64_t n_bytes)
{
	struct sea_arrow_reader *reader = NULL;
	struct sea_error error = { 0 };
	TOOL_AUTO_FREE void *copy = NULL;
	int r;

	if ((uintptr_t)memory % 8 != 0) {
		copy = malloc(n_bytes);
		if (!copy) {
			terminal_error("cat", "%s: no memory for %" PRIu64 " bytes", label, n_bytes);
			return -ENOMEM;
		}
		memcpy(copy, memory, n_bytes);
		memory = copy;
	}
	r = sea_arrow_reader_new(&reader, memory, n_bytes, &error);
	if (r < 0)
		return print_wrong(label, &error);
	r = stream_print(print, label, reader);
	if (r == -ENOMEM)
		terminal_error("cat", "%s: no memory", label);
	sea_arrow_reader_free(reader);
	return r;
}
