/* SPDX-License-Identifier: Apache-2.0 */
/* Plans that contradict themselves, rows without an object, sizes. */
#include "tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A plan that is right: two columns, two versions each, three rows. */
struct small {
	struct sea_table_column columns[2];
	struct sea_table_interval intervals[4];
	struct sea_table_intervals of[2];
	struct sea_table_group group;
	int64_t times_ms[3];
	struct sea_table_stretch stretches[2];
	struct sea_table_rows rows;
	struct sea_table_object objects[4];
	struct sea_table_plan plan;
	struct sea_error error;
};

static struct small small_plan(void)
{
	return (struct small){
		.columns = { { "a", "P/A" }, { "b", NULL } },
		.intervals = { { 0, 10, 0, 0 }, { 10, 20, 1, 0 }, { 0, 5, 2, 0 }, { 5, 20, 3, 0 } },
		.times_ms = { 1, 9, 10 },
		.stretches = { { 1, 0 }, { 2, 0 } },
		.objects = { { .column = "a", .part = 2 },
		             { .column = "a", .part = 3 },
		             { .column = "b", .part = 2 },
		             { .column = "b", .part = SEA_TABLE_NO_PART, .status = SEA_TABLE_MISSING } },
	};
}

static struct sea_table_writer *writer;

static int small_new(struct small *small)
{
	small->of[0] = (struct sea_table_intervals){ small->intervals, 2 };
	small->of[1] = (struct sea_table_intervals){ small->intervals + 2, 2 };
	small->group.columns = small->of;
	if (small->rows.n_rows == 0)
		small->rows = (struct sea_table_rows){ small->times_ms, 3, small->stretches, 2 };
	small->plan.columns = small->columns;
	small->plan.n_columns = 2;
	small->plan.groups = &small->group;
	small->plan.n_groups = 1;
	small->plan.batches = &small->rows;
	small->plan.n_batches = 1;
	small->plan.objects = small->objects;
	small->plan.n_objects = 4;
	return sea_table_writer_new(&writer, &small->plan, &small->error);
}

#define REFUSED(expected, part, ...)                           \
	do {                                                   \
		struct small small = small_plan();             \
		__VA_ARGS__;                                   \
		CHECK_ERR(small_new(&small), expected);        \
		if (strstr(small.error.text, part) == NULL)    \
			FAIL("it says: %s", small.error.text); \
	} while (0)

TEST(writer_plan, "a plan that contradicts itself is refused, and the error says where")
{
	struct small good = small_plan();

	CHECK_OK(small_new(&good));
	sea_table_writer_free(writer);
	REFUSED(-EINVAL, "two columns", small.columns[1].name = "a");
	REFUSED(-EINVAL, "no name", small.columns[1].name = NULL);
	REFUSED(-EINVAL, "no column \"c\"", small.objects[1].column = "c");
	REFUSED(-EINVAL, "ends before", small.intervals[1].until_ms = 10);
	REFUSED(-EINVAL, "begins before", small.intervals[1].from_ms = 9);
	REFUSED(-EINVAL, "not an object of this column", small.intervals[1].object = 2);
	REFUSED(-EINVAL, "not an object of this column", small.intervals[1].object = 4);
	REFUSED(-EINVAL, "cannot be part 1", small.objects[0].part = 1);
	REFUSED(-EINVAL, "cannot be part 5", small.objects[3].part = 5);
	REFUSED(-EINVAL, "not a status", small.objects[3].status = -1);
	REFUSED(-EINVAL, "outside of its rows", small.stretches[1].n_rows = 3);
	REFUSED(-EINVAL, "outside of its rows", small.stretches[1].group = 1);
	REFUSED(-EINVAL, "have no group", small.stretches[1].n_rows = 1);
	REFUSED(-EINVAL, "not known", small.plan.flags = 1);
	REFUSED(-EINVAL, "not known", small.plan.encoding = (enum sea_table_encoding)3);
	REFUSED(-E2BIG, "run ends", small.plan.encoding = SEA_TABLE_RUN_ENDS;
	        small.rows = (struct sea_table_rows){ .times_ms = small.times_ms, .n_rows = (int64_t)INT32_MAX + 1 });
	/* By metas alone the two versions of column a could not be told apart. */
	REFUSED(-EINVAL, "one meta", small.plan.encoding = SEA_TABLE_METAS);
}

TEST(writer_gap,
     "a row of whose time no interval speaks is an error that names column, time and row, and never an index")
{
	const enum sea_table_encoding encodings[] = { SEA_TABLE_DICTIONARY, SEA_TABLE_RUN_ENDS, SEA_TABLE_METAS };

	for (size_t i = 0; i < 3; i++) {
		struct small small = small_plan();
		void *memory = aligned_alloc(64, 8192);
		int r;

		CHECK(memory);
		small.times_ms[2] = 20;
		small.plan.encoding = encodings[i];
		for (uint32_t k = 0; k < 4; k++)
			small.objects[k].meta.block_id = k;
		r = small_new(&small);
		if (encodings[i] != SEA_TABLE_RUN_ENDS) {
			CHECK_OK(r);
			r = sea_table_writer_write_index(writer, memory, 8192, &small.error);
			sea_table_writer_free(writer);
		}
		CHECK_ERR(r, -ENOENT);
		CHECK_STR_EQ(small.error.key, "a");
		CHECK(strstr(small.error.text, "time 20 ms (row 2 of batch 0)"));
		free(memory);
	}
}

TEST(writer_memory,
     "memory that is too small or not aligned is refused, and nothing behind what was announced is written")
{
	struct small small = small_plan();
	uint64_t n_index, n_objects;
	uint8_t *memory = aligned_alloc(64, 8192);

	CHECK(memory);
	CHECK_OK(small_new(&small));
	n_index = sea_table_writer_index_n_bytes(writer);
	n_objects = sea_table_writer_objects_n_bytes(writer);
	CHECK_ERR(sea_table_writer_write_index(writer, memory, n_index - 1, &small.error), -ENOSPC);
	CHECK_ERR(sea_table_writer_write_objects(writer, memory, n_objects - 1, &small.error), -ENOSPC);
	CHECK_ERR(sea_table_writer_write_index(writer, memory + 8, 8000, &small.error), -EINVAL);
	memset(memory, 0xa5, 8192);
	CHECK_OK(sea_table_writer_write_index(writer, memory, 8192, &small.error));
	CHECK_EQ(memory[n_index], 0xa5);
	memset(memory, 0xa5, 8192);
	CHECK_OK(sea_table_writer_write_objects(writer, memory, 8192, &small.error));
	CHECK_EQ(memory[n_objects], 0xa5);
	sea_table_writer_free(writer);
	free(memory);
}

TEST(writer_size, "a million rows of five columns take 5.1 MB as indices, and 10 kB run-end encoded")
{
	const struct tables_options options = { .n_columns = 5, .n_versions = 4, .n_groups = 1, .range_ms = 100 };
	struct tables *tables = tables_new(&options);
	int64_t *times_ms = calloc(1000000, sizeof(*times_ms));
	const struct sea_table_rows rows = { .times_ms = times_ms, .n_rows = 1000000 };

	CHECK(times_ms);
	for (int64_t i = 0; i < 1000000; i++)
		times_ms[i] = i / 10000;
	tables->plan.batches = &rows;
	tables->plan.n_batches = 1;
	CHECK_OK(sea_table_writer_new(&writer, &tables->plan, NULL));
	CHECK_LE(sea_table_writer_index_n_bytes(writer), 5100000);
	sea_table_writer_free(writer);
	tables->plan.encoding = SEA_TABLE_RUN_ENDS;
	CHECK_OK(sea_table_writer_new(&writer, &tables->plan, NULL));
	CHECK_LE(sea_table_writer_index_n_bytes(writer), 10000);
	sea_table_writer_free(writer);
	free(times_ms);
	tables_free(tables);
}

/* Both parts of a plan, written by a writer to the same memory. @return how many bytes there are */
static uint64_t both_write(struct sea_table_writer *one, uint8_t *memory, uint64_t n_bytes)
{
	const uint64_t n_index = sea_table_writer_index_n_bytes(one), n_objects = sea_table_writer_objects_n_bytes(one);

	CHECK_LE(sea_table_writer_n_bytes(one), n_bytes);
	memset(memory, 0xa5, n_bytes);
	CHECK_OK(sea_table_writer_write_index(one, memory, n_index, NULL));
	memory += (n_index + 63) / 64 * 64;
	CHECK_OK(sea_table_writer_write_objects(one, memory, n_objects, NULL));
	return sea_table_writer_n_bytes(one);
}

TEST(writer_again, "a writer that is given one plan after the other writes each as a new one would")
{
	enum { ROUNDS = 60, ROOM = 1 << 20 };
	struct sea_table_writer *again = NULL, *once;
	uint8_t *expected = aligned_alloc(64, ROOM), *written = aligned_alloc(64, ROOM);

	CHECK(expected && written);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct tables_options options = {
			.n_columns = 1 + (size_t)test_random() % 5,
			.n_versions = round % 7 == 0 ? 100 : 3,
			.n_groups = 1 + (size_t)test_random() % 2,
			.n_batches = 1 + (size_t)test_random() % 3,
			.n_rows = 100,
			.range_ms = 1000,
			.has_absent = test_random() % 2,
			.encoding = (enum sea_table_encoding)(test_random() % 3),
		};
		struct tables *tables = tables_new(&options);
		struct sea_arrow_pair metadata[2] = { { "timeframe", NULL, 0 }, { SEA_TABLE_KEY, "anything", 0 } };
		char number[100] = "";

		/* Four tables of the same columns: without metadata, with some, with more, with less again. */
		for (unsigned i = 0; i < 4; i++) {
			static const int widths[] = { 0, 1, 90, 7 };
			uint64_t n_bytes;

			snprintf(number, sizeof(number), "%0*u", widths[i], round);
			metadata[0].value = number;
			tables->plan.metadata = metadata;
			tables->plan.n_metadata = i == 0 ? 0 : 1 + i % 2;
			CHECK_OK(sea_table_writer_new(&once, &tables->plan, NULL));
			CHECK_OK(again ? sea_table_writer_set_plan(again, &tables->plan, NULL)
			               : sea_table_writer_new(&again, &tables->plan, NULL));
			n_bytes = both_write(once, expected, ROOM);
			CHECK_EQ(both_write(again, written, ROOM), n_bytes);
			CHECK(memcmp(written, expected, n_bytes) == 0);
			sea_table_writer_free(once);
		}
		tables_free(tables);
	}
	sea_table_writer_free(again);
	free(expected);
	free(written);
}

TEST(writer_refused, "a plan that is refused leaves a writer without one, and the next plan is written")
{
	struct small small = small_plan(), wrong;
	uint8_t *memory = aligned_alloc(64, 8192);
	uint64_t n_index;

	CHECK(memory);
	CHECK_OK(small_new(&small));
	n_index = sea_table_writer_index_n_bytes(writer);
	wrong = small;
	wrong.plan.flags = 1;
	CHECK_ERR(sea_table_writer_set_plan(writer, &wrong.plan, NULL), -EINVAL);
	CHECK_EQ(sea_table_writer_n_bytes(writer), 0);
	CHECK_ERR(sea_table_writer_write_index(writer, memory, 8192, &small.error), -EPROTO);
	CHECK_ERR(sea_table_writer_write_objects(writer, memory, 8192, &small.error), -EPROTO);
	CHECK_OK(sea_table_writer_set_plan(writer, &small.plan, NULL));
	CHECK_EQ(sea_table_writer_index_n_bytes(writer), n_index);
	/* Of other columns, and without a name: nothing of that stays either. */
	wrong = small;
	wrong.columns[1].name = "c";
	wrong.plan.columns = wrong.columns;
	CHECK_ERR(sea_table_writer_set_plan(writer, &wrong.plan, &wrong.error), -EINVAL);
	CHECK(strstr(wrong.error.text, "no column \"b\""));
	wrong.columns[1].name = NULL;
	CHECK_ERR(sea_table_writer_set_plan(writer, &wrong.plan, NULL), -EINVAL);
	CHECK_OK(sea_table_writer_set_plan(writer, &small.plan, NULL));
	CHECK_EQ(sea_table_writer_index_n_bytes(writer), n_index);
	CHECK_OK(sea_table_writer_write_index(writer, memory, 8192, &small.error));
	sea_table_writer_free(writer);
	free(memory);
}
