/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of somebody who means harm: refused, or harmless to look at. */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

static struct tables *small_tables(enum sea_table_encoding encoding)
{
	const struct tables_options options = { .n_columns = 2,
		                                .n_versions = 3,
		                                .n_groups = 1,
		                                .n_batches = 2,
		                                .n_rows = 30,
		                                .range_ms = 20,
		                                .has_absent = true,
		                                .encoding = encoding };
	struct tables *tables;

	/* One with rows. */
	for (;;) {
		tables = tables_new(&options);
		if (tables->batches[0].n_rows > 1)
			break;
		tables_free(tables);
	}
	tables_write(tables);
	return tables;
}

/* Looks at all there is; AddressSanitizer says what must not be. */
static uint64_t look(const struct sea_table *table)
{
	const int64_t n_rows = sea_table_n_rows(table);
	uint64_t sum = 0;

	for (size_t i = 0; i < sea_table_n_objects(table); i++) {
		const struct sea_table_object *object = sea_table_get_object(table, i);

		sum += strlen(object->path) + strlen(object->uuid) + strlen(object->headers) + strlen(object->reason);
		for (uint64_t k = 0; k < object->n_bytes && object->data; k++)
			sum += ((const uint8_t *)object->data)[k];
	}
	for (size_t column = 0; column < sea_table_n_columns(table); column++) {
		struct sea_table_run run = { 0 };

		/* A table may say that it has more rows than anybody could look at: not where there are bytes for each. */
		for (int64_t row = 0; row < n_rows && row < 1000; row++) {
			const struct sea_table_object *object = sea_table_get(table, row, column);

			if (object != NULL) {
				CHECK_LT(object->row, sea_table_n_objects(table));
				CHECK_EQ(object->index, column);
			}
		}
		for (unsigned i = 0; i < 1000 && sea_table_run_next(table, column, &run) == 1; i++)
			CHECK_LE(run.first_row + run.n_rows, n_rows);
	}
	return sum;
}

static bool try_open(const struct sea_part *parts, size_t n_parts)
{
	const struct seai_table_parts from = { .parts = parts, .n_parts = n_parts };
	struct sea_table *table;
	struct sea_error error = { 0 };
	const int r = seai_table_open_parts(&table, &from, NULL, &error);

	if (r < 0) {
		CHECK(r == -EBADMSG || r == -ENOTSUP || r == -E2BIG || r == -ENOENT || r == -EINVAL);
		CHECK(error.key[0] != 0 && error.text[0] != 0);
		return false;
	}
	(void)look(table);
	sea_table_close(table);
	return true;
}

static void flip(enum sea_table_encoding encoding)
{
	struct tables *tables = small_tables(encoding);
	size_t n_opened = 0, n_refused = 0;

	for (size_t part = 0; part < 2; part++) {
		uint8_t *bytes = (uint8_t *)(uintptr_t)tables->parts[part].data;

		for (size_t i = 0; i < tables->parts[part].n_bytes; i++) {
			static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x40 };

			for (size_t k = 0; k < sizeof(flips); k++) {
				bytes[i] ^= flips[k];
				if (try_open(tables->parts, tables->n_parts))
					n_opened++;
				else
					n_refused++;
				bytes[i] ^= flips[k];
			}
		}
	}
	/* Padding, times and headers may be anything; the rest may not. */
	CHECK_GT(n_opened, 0);
	CHECK_GT(n_refused, 0);
	CHECK(try_open(tables->parts, tables->n_parts));
	tables_free(tables);
}

TEST_TIMEOUT(hostile_flip, "a table in which any byte is another is refused or harmless", 60)
{
	flip(SEA_TABLE_DICTIONARY);
	flip(SEA_TABLE_RUN_ENDS);
	flip(SEA_TABLE_METAS);
}

TEST(hostile_cut, "a table that is cut anywhere is refused, but where only its end mark is missing")
{
	struct tables *tables = small_tables(SEA_TABLE_DICTIONARY);

	for (size_t part = 0; part < 2; part++) {
		struct sea_part parts[2] = { tables->parts[0], tables->parts[1] };
		const size_t n_bytes = tables->parts[part].n_bytes;
		const void *whole = parts[part].data;

		for (size_t i = 0; i < n_bytes; i++) {
			struct sea_part all[64];
			/* What lies behind it is not there for AddressSanitizer either. */
			void *cut = malloc(i ? i : 1);

			CHECK(cut);
			memcpy(cut, whole, i);
			CHECK_LT(tables->n_parts, 64);
			memcpy(all, tables->parts, tables->n_parts * sizeof(*all));
			all[part] = (struct sea_part){ cut, i };
			/* Without the end mark, and at the border between two batches, it is a stream. */
			(void)try_open(all, tables->n_parts);
			free(cut);
		}
	}
	tables_free(tables);
}

TEST(hostile_parts, "a table whose parts are missing or of another size is refused")
{
	struct tables *tables = small_tables(SEA_TABLE_DICTIONARY);

	for (size_t i = 0; i < tables->n_parts; i++)
		CHECK(!try_open(tables->parts, i));
	for (size_t i = SEA_TABLE_PART_FIRST_OBJECT; i < tables->n_parts; i++) {
		tables->parts[i].n_bytes++;
		CHECK(!try_open(tables->parts, tables->n_parts));
		tables->parts[i].n_bytes--;
	}
	CHECK(try_open(tables->parts, tables->n_parts));
	tables_free(tables);
}

/* The byte that says which object the first row of column 0 is of. */
static uint8_t *first_index(const struct sea_table *table)
{
	CHECK_EQ(table->cells[0].kind, SEAI_CELLS_8);
	return (uint8_t *)(uintptr_t)table->cells[0].data;
}

TEST(hostile_index,
     "an index out of range, or of an object of another column, is noticed when that row is looked at, and there alone")
{
	struct tables *tables = small_tables(SEA_TABLE_DICTIONARY);
	struct sea_table *table = tables_open(tables);
	const uint8_t bad[] = { (uint8_t)tables->plan.n_objects, 0x7f, 0x80, 0xff, 0 };
	const struct sea_table_object *objects[2];
	uint8_t *index = first_index(table), good = *index;

	for (size_t i = 0; i < sizeof(bad); i++) {
		struct sea_table_run run = { 0 };

		*index = bad[i];
		/* The last one: an object, but of column 1. */
		if (bad[i] == 0) {
			while (*index < tables->plan.n_objects && sea_table_get_object(table, *index)->index == 0)
				++*index;
			CHECK_LT(*index, tables->plan.n_objects);
		}
		CHECK(sea_table_get(table, 0, 0) == NULL);
		CHECK(sea_table_get(table, 1, 0) != NULL);
		CHECK(sea_table_get(table, 0, 1) != NULL);
		CHECK_ERR(sea_table_get_many(table, 0, 2, 0, objects), -EBADMSG);
		CHECK_ERR(sea_table_run_next(table, 0, &run), -EBADMSG);
		CHECK_EQ(run.n_rows, 0);
		run = (struct sea_table_run){ .first_row = 0, .n_rows = 1 };
		CHECK_EQ(sea_table_run_next(table, 0, &run), 1);
	}
	*index = good;
	tables_check(tables, table);
	sea_table_close(table);
	tables_free(tables);
}

TEST(hostile_runs, "run ends that fall, or end too early, name no object, and nobody loops over them for ever")
{
	struct tables *tables = small_tables(SEA_TABLE_RUN_ENDS);
	struct sea_table *table = tables_open(tables);
	const struct seai_cells *cells = &table->cells[0];
	int32_t *ends = (int32_t *)(uintptr_t)cells->run_ends;
	const int32_t bad[] = { INT32_MIN, -1, 0, 1, INT32_MAX };

	CHECK_EQ(cells->kind, SEAI_CELLS_RUNS);
	for (size_t run = 0; run < cells->n_runs; run++) {
		const int32_t good = ends[run];

		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			ends[run] = bad[i];
			(void)look(table);
		}
		ends[run] = good;
	}
	tables_check(tables, table);
	ends[cells->n_runs - 1] = 0;
	CHECK(sea_table_get(table, tables->batches[0].n_rows - 1, 0) == NULL);
	sea_table_close(table);
	tables_free(tables);
}
