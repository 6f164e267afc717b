/* SPDX-License-Identifier: Apache-2.0 */
/* Caches whose heap is small: who waits, who fails, and that nobody else does. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"

/* A heap of 16 MiB for objects and answers; what is asked lies elsewhere. */
static struct sea_heap *small_heap(struct sea_session *session)
{
	struct sea_heap *heap;

	CHECK_OK(sea_heap_new(&heap, session,
	                      &(struct sea_heap_options){ .quota_n_bytes = 16 << 20, .arena_n_bytes = 2 << 20 }));
	return heap;
}

static void small_open(struct house *house, struct sea_session **ret_session, struct sea_ccdb_cache_options *options,
                       const char *const *columns)
{
	CHECK_OK(sea_session_open(ret_session, NULL));
	options->heap = small_heap(*ret_session);
	house_open(house, options, columns);
}

static void small_close(struct house *house, struct sea_session *session, struct sea_ccdb_cache_options *options)
{
	house_close(house);
	sea_heap_free(options->heap);
	sea_session_close(session);
}

static bool pump(struct house *house, struct sea_message **ret_answer, int64_t until_ns)
{
	struct sea_error error = { 0 };
	char line[700];

	for (;;) {
		struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(house->cache), .events = POLLIN };
		int r = sea_ccdb_cache_take(house->cache, ret_answer, &error);

		if (r < 0)
			FAIL("%s", sea_error_line(&error, line, sizeof(line)));
		if (r == 1)
			return true;
		if (test_now_ns() > until_ns)
			return false;
		(void)poll(&pollfd, 1, 20);
		CHECK_OK(sea_ccdb_cache_dispatch(house->cache));
	}
}

enum { N_ROWS = 90000 };

static int64_t *rows_at(int64_t time_ms)
{
	int64_t *times = malloc(N_ROWS * sizeof(*times));

	CHECK(times);
	for (size_t i = 0; i < N_ROWS; i++)
		times[i] = time_ms;
	return times;
}

TEST(answer_waits,
     "a table that has no room itself waits until another one is given back, and names the right objects then")
{
	static const char *const columns[] = { "small=S", "x=X", NULL };
	struct sea_ccdb_cache_options options = { .encoding = SEA_TABLE_METAS };
	struct sea_table *held[2], *table;
	struct sea_session *session;
	struct sea_message *answer;
	struct house house;
	int64_t *times = rows_at(1700), time = 500;
	size_t part;

	small_open(&house, &session, &options, columns);
	put_text(&house, "S", 0, 100000, "small");
	for (int i = 0; i < 2; i++)
		put_big(&house, "X", 1000 * i, 1000 * (i + 1), (3 << 20) + (size_t)i);
	for (int i = 0; i < 2; i++, time += 1000)
		held[i] = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	house_put(&house, &(struct keys){ .times_ms = times, .n_rows = N_ROWS });
	/* 11 MB of metas beside 6 MiB of objects: tried again and again. */
	CHECK(!pump(&house, &answer, test_now_ns() + 300000000));
	sea_table_close(held[0]);
	CHECK(pump(&house, &answer, test_now_ns() + test_patience_ns()));
	CHECK_OK(sea_table_find(answer, &part));
	CHECK_OK(sea_table_open(&table, answer, part, NULL, NULL));
	CHECK_EQ(sea_table_n_objects(table), 2);
	for (int64_t row = 0; row < N_ROWS; row += N_ROWS / 50) {
		check_cell(&house, sea_table_get(table, row, 0), "S", 1700);
		check_cell(&house, sea_table_get(table, row, 1), "X", 1700);
	}
	sea_table_close(table);
	sea_message_unref(answer);
	sea_table_close(held[1]);
	free(times);
	small_close(&house, session, &options);
}

TEST(answer_sweeps, "what is only kept for later makes room for a table, and a table that never fits is an error")
{
	static const char *const columns[] = { "x=X", "y=X", NULL };
	struct sea_ccdb_cache_options options = { .encoding = SEA_TABLE_METAS };
	struct sea_error error = { 0 };
	struct sea_session *session;
	struct sea_message *answer;
	struct sea_table *table;
	struct house house;
	int64_t *times = rows_at(1700), time = 500;

	small_open(&house, &session, &options, columns);
	for (int i = 0; i < 2; i++)
		put_big(&house, "X", 1000 * i, 1000 * (i + 1), (size_t)(3 + 7 * !i) << 20);
	sea_table_close(house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 }));
	time = 1500;
	sea_table_close(house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 }));
	table = house_ask(&house, &(struct keys){ .times_ms = times, .n_rows = N_ROWS });
	check_cell(&house, sea_table_get(table, N_ROWS - 1, 1), "X", 1700);
	sea_table_close(table);
	for (size_t i = 0; i < N_ROWS; i++)
		times[i] = 700;
	house_put(&house, &(struct keys){ .times_ms = times, .n_rows = N_ROWS });
	CHECK_ERR(house_take(&house, &answer, &error), -E2BIG);
	CHECK(strstr(error.text, "90000 rows"));
	free(times);
	small_close(&house, session, &options);
}

TEST(innocent,
     "an object that has no room for a later table takes nothing from one before it, and one that never fits fails its own table alone")
{
	static const char *const columns[] = { "x=X", NULL };
	static const size_t sizes[] = { 12 << 20, 11 << 20, 30 << 20, 10 << 20 };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_error error = { 0 };
	struct sea_session *session;
	struct sea_message *answer;
	struct sea_table *table;
	struct house house;

	small_open(&house, &session, &options, columns);
	for (int i = 0; i < 4; i++)
		put_big(&house, "X", 1000 * i, 1000 * (i + 1), sizes[i]);
	for (unsigned round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++) {
			const int64_t time = 1000 * i + 1;

			house_put(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
		}
		/* All that can be done before the first is taken is done before. */
		for (unsigned i = 0; i < 40 * round; i++) {
			struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(house.cache), .events = POLLIN };

			(void)poll(&pollfd, 1, 2);
			CHECK_OK(sea_ccdb_cache_dispatch(house.cache));
		}
		for (int i = 0; i < 4; i++) {
			if (i == 2) {
				CHECK_ERR(house_take(&house, &answer, &error), -E2BIG);
				CHECK(strstr(error.text, "X") && strstr(error.text, "31457280"));
				continue;
			}
			table = house_table(&house);
			check_cell(&house, sea_table_get(table, 0, 0), "X", 1000 * i + 1);
			sea_table_close(table);
		}
	}
	small_close(&house, session, &options);
}

TEST(many, "many tables in flight whose objects fit a few at a time are all answered, in order, each with its own")
{
	enum { N_TABLES = 16, N_KINDS = 12 };
	static const char *const columns[] = { "x=X", "y=Y", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_table *held[3] = { NULL };
	struct sea_session *session;
	struct house house;
	int64_t times[N_TABLES][2];

	small_open(&house, &session, &options, columns);
	for (int i = 0; i < N_KINDS; i++) {
		put_big(&house, "X", 1000 * i, 1000 * (i + 1), 700000 + (size_t)i);
		put_big(&house, "Y", 1000 * i, 1000 * (i + 1), 500000 + (size_t)i);
	}
	for (unsigned i = 0; i < N_TABLES; i++) {
		for (unsigned t = 0; t < 2; t++)
			times[i][t] = (int64_t)(test_random() % (1000 * N_KINDS));
		house_put(&house, &(struct keys){ .times_ms = times[i], .n_rows = 2 });
	}
	for (unsigned i = 0; i < N_TABLES; i++) {
		struct sea_table **table = &held[i % 3];

		sea_table_close(*table);
		*table = house_table(&house);
		for (unsigned t = 0; t < 2; t++) {
			check_cell(&house, sea_table_get(*table, t, 0), "X", times[i][t]);
			check_cell(&house, sea_table_get(*table, t, 1), "Y", times[i][t]);
			CHECK_EQ(((const char *)sea_table_get(*table, t, 0)->data)[700000 - 1], 'b');
		}
	}
	for (unsigned i = 0; i < 3; i++)
		sea_table_close(held[i]);
	small_close(&house, session, &options);
}

TEST(forgotten, "of misses and runs that nobody asks about any more no memory is kept")
{
	static const char *const columns[] = { "here=H", "none=N", "run=R,run=1", NULL };
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	enum { N_ROWS_EACH = 400, N_TABLES = 6 };
	struct sea_ccdb_cache_stats stats;
	struct house house;
	int64_t times[N_ROWS_EACH];
	int32_t runs[N_ROWS_EACH];

	house_open(&house, &options, columns);
	put_text(&house, "H", 0, 1000000, "here");
	for (int i = 0; i < N_TABLES; i++) {
		struct sea_table *table;

		for (int row = 0; row < N_ROWS_EACH; row++) {
			times[row] = N_ROWS_EACH * i + row;
			runs[row] = i * 100 + row % 20;
		}
		table = house_ask(&house, &(struct keys){ .times_ms = times, .runs = runs, .n_rows = N_ROWS_EACH });
		check_cell(&house, sea_table_get(table, 7, 0), "H", times[7]);
		CHECK_EQ(sea_table_get(table, 7, 1)->status, SEA_TABLE_MISSING);
		CHECK_EQ(sea_table_get(table, 8, 2)->status, SEA_TABLE_MISSING);
		sea_table_close(table);
	}
	sea_ccdb_cache_get_stats(house.cache, &stats);
	CHECK_EQ(stats.n_versions, 1);
	house_close(&house);
}

TEST(runs_many,
     "a table of very many runs in no order is looked up in no more time than it takes to read it a few times")
{
	enum { N = 300000 };
	static const char *const columns[] = { "t=T", "path=0-9=P/low;P/high", NULL };
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	int64_t *times = malloc(N * sizeof(*times));
	int32_t *runs = malloc(N * sizeof(*runs));
	struct sea_table *table;
	struct house house;

	house_open(&house, &options, columns);
	put_text(&house, "T", 0, 1000000, "t");
	put_text(&house, "P/low", 0, 1000000, "low");
	put_text(&house, "P/high", 0, 1000000, "high");
	for (int i = 0; i < N; i++) {
		times[i] = i;
		runs[i] = (int)((unsigned)i * 7919u % 30000u);
	}
	table = house_ask(&house, &(struct keys){ .times_ms = times, .runs = runs, .n_rows = N });
	for (int i = 0; i < N; i += N / 100) {
		check_cell(&house, sea_table_get(table, i, 0), "T", times[i]);
		check_cell(&house, sea_table_get(table, i, 1), runs[i] < 10 ? "P/low" : "P/high", times[i]);
	}
	sea_table_close(table);
	free(times);
	free(runs);
	house_close(&house);
}

TEST(limits, "times and runs at the end of their range are refused, the ones before it are answered")
{
	static const char *const columns[] = { "x=X,run=2", "y=Y", NULL };
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	int64_t times[] = { INT64_MAX - 1, INT64_MAX };
	const int32_t runs[] = { 1, 1 };
	struct sea_message *message;
	struct sea_error error = { 0 };
	struct sea_table *table;
	struct house house;

	house_open(&house, &options, columns);
	table = house_ask(&house, &(struct keys){ .times_ms = times, .runs = runs, .n_rows = 1 });
	CHECK_NE(sea_table_get(table, 0, 1)->status, SEA_TABLE_OK);
	sea_table_close(table);
	message = keys_message(house.session, &(struct keys){ .times_ms = times, .runs = runs, .n_rows = 2 });
	CHECK_ERR(sea_ccdb_cache_put(house.cache, &message, &error), -EINVAL);
	CHECK(strstr(error.text, "time"));
	sea_message_unref(message);
	house_close(&house);
}
