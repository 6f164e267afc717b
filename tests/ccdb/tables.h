/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for tests: plans made at random, with a slow oracle that says which object holds for each row; the parts they become; and
 * a look at every row of what was opened.
 */
#ifndef SEALANE_TEST_CCDB_TABLES_H
#define SEALANE_TEST_CCDB_TABLES_H

#include <sealane/ccdb/table-writer.h>
#include <sealane/ccdb/table.h>
#include <sealane/sealane.h>

#include "ccdb/table-read.h"
#include "test.h"

/* What a plan is to look like. */
struct tables_options {
	size_t n_columns;
	size_t n_versions; /* most per column and group */
	size_t n_groups;
	size_t n_batches;
	int64_t n_rows;   /* most per batch */
	int64_t range_ms; /* times are within it */
	bool is_sorted;
	bool has_absent; /* some objects have a status */
	enum sea_table_encoding encoding;
};

struct tables {
	struct tables_options options;
	struct sea_table_plan plan;
	struct sea_table_column *columns;
	struct sea_table_group *groups;
	struct sea_table_rows *batches;
	struct sea_table_object *objects;
	char **texts; /* all of the plan's */
	size_t n_texts;
	/* What it became. */
	void *index, *object_table;
	struct sea_part *parts;
	size_t n_parts;
};

/* 0 to n - 1. */
uint64_t tables_random(uint64_t n);

struct tables *tables_new(const struct tables_options *options);
struct tables *tables_free(struct tables *tables);

/* The object of a row of a batch, found by looking at every interval; -1: none. */
int64_t tables_expect(const struct tables *tables, size_t batch, int64_t row, size_t column);

/* The bytes of the object whose part this is. */
void tables_fill(void *data, size_t n_bytes, int32_t part);

/* Writes both parts and the objects to plain memory. */
void tables_write(struct tables *tables);
/* Opens what was written. */
struct sea_table *tables_open(const struct tables *tables);

/* A message: n_before parts of something else, then the table. The objects are parts, or, if apart, in further messages that have to be held. */
struct sea_message *tables_message(struct tables *tables, struct sea_session *session, size_t n_before);

/* Looks at all of an opened table. */
void tables_check(const struct tables *tables, const struct sea_table *table);
void tables_check_rows(const struct tables *tables, const struct sea_table *table);
void tables_check_runs(const struct tables *tables, const struct sea_table *table);
void tables_check_objects(const struct tables *tables, const struct sea_table *table);

#endif
