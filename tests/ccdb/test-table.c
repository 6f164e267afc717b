/* SPDX-License-Identifier: Apache-2.0 */
/* Tables: what was planned is what every row says, in every encoding. */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

static void random_table(enum sea_table_encoding encoding)
{
	const struct tables_options options = {
		.n_columns = 1 + tables_random(5),
		.n_versions = tables_random(10) == 0 ? 40 : 4,
		.n_groups = 1 + tables_random(3),
		.n_batches = tables_random(4),
		.n_rows = tables_random(3) == 0 ? 6000 : 50,
		.range_ms = tables_random(2) ? 100 : INT64_C(1) << (10 + tables_random(30)),
		.is_sorted = tables_random(2),
		.has_absent = tables_random(2),
		.encoding = encoding,
	};
	struct tables *tables = tables_new(&options);
	struct sea_table *table;

	tables_write(tables);
	table = tables_open(tables);
	tables_check(tables, table);
	sea_table_close(table);
	tables_free(tables);
}

TEST(table_dictionary, "every row of a table of indices names the object that was planned")
{
	for (unsigned i = 0; i < 60; i++)
		random_table(SEA_TABLE_DICTIONARY);
}

TEST(table_run_ends, "every row of a run-end encoded table names the object that was planned")
{
	for (unsigned i = 0; i < 60; i++)
		random_table(SEA_TABLE_RUN_ENDS);
}

TEST(table_metas, "every row of a table of metas names the object that was planned")
{
	for (unsigned i = 0; i < 60; i++)
		random_table(SEA_TABLE_METAS);
}

/* So many versions that an index takes the bits; the types are in the schema. */
static void wide_table(size_t n_versions, int bits)
{
	const struct tables_options options = {
		.n_columns = 1,
		.n_versions = 1,
		.n_groups = 1,
		.n_batches = 1,
		.n_rows = 3000,
		.range_ms = 100000,
	};
	struct tables *tables = tables_new(&options);
	struct sea_table_interval *intervals = calloc(n_versions, sizeof(*intervals));
	struct sea_table_intervals *column = (struct sea_table_intervals *)(uintptr_t)tables->groups[0].columns;
	struct sea_table *table;

	CHECK(intervals);
	tables->plan.n_objects = n_versions;
	tables->objects = reallocarray(tables->objects, n_versions, sizeof(*tables->objects));
	CHECK(tables->objects);
	tables->plan.objects = tables->objects;
	for (size_t i = 0; i < n_versions; i++) {
		const int64_t width_ms = options.range_ms / (int64_t)n_versions;

		intervals[i] = (struct sea_table_interval){ .from_ms = (int64_t)i * width_ms,
			                                    .until_ms = (int64_t)(i + 1) * width_ms,
			                                    .object = (uint32_t)i };
		tables->objects[i] =
			(struct sea_table_object){ .column = "c1", .path = "p", .uuid = "u", .headers = "" };
		tables->objects[i].meta.block_id = (uint32_t)i;
	}
	intervals[n_versions - 1].until_ms = options.range_ms;
	free((void *)(uintptr_t)column->intervals);
	*column = (struct sea_table_intervals){ intervals, n_versions };
	tables_write(tables);
	table = tables_open(tables);
	CHECK_EQ(sea_table_schema(table)->fields[0].index_bits, bits);
	tables_check_rows(tables, table);
	tables_check_runs(tables, table);
	sea_table_close(table);
	tables_free(tables);
}

TEST(table_widths, "an index takes 8, 16 or 32 bits: the smallest that can count the objects")
{
	wide_table(128, 8);
	wide_table(129, 16);
	wide_table(32768, 16);
	wide_table(32769, 32);
}

TEST(table_find, "a table is found behind the timeframe's own parts, and opened there")
{
	const struct tables_options options = {
		.n_columns = 3, .n_versions = 4, .n_groups = 1, .n_batches = 1, .n_rows = 100, .range_ms = 100
	};
	struct tables *tables = tables_new(&options);
	struct sea_session *session;
	struct sea_message *message;
	struct sea_table *table;
	struct sea_error error;
	size_t part = 99;

	CHECK_OK(sea_session_open(&session, NULL));
	message = tables_message(tables, session, 3);
	CHECK_OK(sea_table_find(message, &part));
	CHECK_EQ(part, 3);
	CHECK_OK(sea_table_open(&table, message, part, NULL, &error));
	tables_check(tables, table);
	/* The table holds what it reads. */
	CHECK_ERR(sea_table_open(&table, message, 2, NULL, &error), -EBADMSG);
	CHECK_ERR(sea_table_open(&table, message, 99, NULL, &error), -EINVAL);
	sea_message_unref(message);
	tables_check_objects(tables, table);
	sea_table_close(table);
	CHECK_OK(sea_message_new(&message, sea_session_heap(session), 100000, 0, 0));
	CHECK_ERR(sea_table_find(message, &part), -ENOENT);
	sea_message_unref(message);
	sea_session_close(session);
	tables_free(tables);
}

TEST(table_apart, "objects that do not travel with the table are held by their metas, and refused without a session")
{
	const struct tables_options options = {
		.n_columns = 2, .n_versions = 4, .n_groups = 1, .n_batches = 1, .n_rows = 100, .range_ms = 100
	};
	struct tables *tables = tables_new(&options);
	struct sea_session *session, *other;
	struct sea_message **objects = calloc(tables->plan.n_objects, sizeof(struct sea_message *));
	struct sea_table *table;
	struct sea_error error;

	CHECK(objects);
	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_session_open(&other, NULL));
	for (size_t i = 0; i < tables->plan.n_objects; i++) {
		struct sea_table_object *object = &tables->objects[i];

		object->n_bytes = 1000 + i;
		CHECK_OK(sea_message_new(&objects[i], sea_session_heap(session), object->n_bytes, 0, 0));
		tables_fill(sea_message_write(objects[i]), object->n_bytes, SEA_TABLE_NO_PART);
		CHECK_OK(sea_message_meta(objects[i], 0, i, &object->meta));
	}
	tables_write(tables);
	/* The two parts of the table alone. */
	for (size_t i = 0; i < tables->plan.n_objects; i++) {
		tables->objects[i].part = SEA_TABLE_NO_PART;
		tables->objects[i].n_bytes = 1000 + i;
	}
	{
		const struct sea_table_options resolving = { .session = other, .timeout_ns = test_patience_ns() };
		struct seai_table_parts parts = { .parts = tables->parts, .n_parts = 2 };
		struct sea_table_writer *writer;

		CHECK_OK(sea_table_writer_new(&writer, &tables->plan, &error));
		CHECK_OK(
			sea_table_writer_write_objects(writer, tables->object_table, tables->parts[1].n_bytes, &error));
		sea_table_writer_free(writer);
		CHECK_ERR(seai_table_open_parts(&table, &parts, NULL, &error), -ENOENT);
		CHECK(strstr(error.text, "session"));
		CHECK_OK(seai_table_open_parts(&table, &parts, &resolving, &error));
	}
	for (size_t i = 0; i < tables->plan.n_objects; i++)
		sea_message_unref(objects[i]);
	tables_check_objects(tables, table);
	tables_check_rows(tables, table);
	sea_table_close(table);
	free(objects);
	sea_session_close(other);
	sea_session_close(session);
	tables_free(tables);
}
