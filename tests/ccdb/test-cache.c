/* SPDX-License-Identifier: Apache-2.0 */
/* The cache against a real server, whose store says what is right. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "house.h"

TEST(oracle,
     "each row names the version that the server names for its time, whatever overlaps and whatever is uploaded in between")
{
	enum { N_TIMES = 2000, RANGE = 300 };
	static const char *const paths[] = { "A/B", "A/C", "D", "E/F/G" };
	static const char *const columns[] = { "ab=A/B", "ac=A/C,check=1", "d=D", "e=E/F/G", NULL };
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	struct house house;
	int64_t *times = malloc(N_TIMES * sizeof(*times));

	house_open(&house, &options, columns);
	/* The last one has gaps. */
	for (unsigned i = 0; i < 3; i++)
		put_text(&house, paths[i], 0, RANGE, paths[i]);
	for (unsigned round = 0; round < 8; round++) {
		struct keys keys = { .times_ms = times,
			             .n_rows = test_random() % N_TIMES,
			             .n_batches = 1 + round % 3,
			             .format = round % 2 ? "tsm:UTC" : "l" };
		struct sea_table *table;

		for (unsigned i = 0; i < 5; i++)
			put_random(&house, paths[test_random() % 4], RANGE);
		for (size_t i = 0; i < keys.n_rows; i++)
			times[i] = round % 3 == 0 ? (int64_t)(i * RANGE / keys.n_rows)
			                          : (int64_t)(test_random() % RANGE);
		table = house_ask(&house, &keys);
		CHECK_EQ(sea_table_n_rows(table), keys.n_rows);
		CHECK_EQ(sea_table_n_batches(table), keys.n_batches);
		for (size_t i = 0; i < keys.n_rows; i++)
			for (size_t c = 0; c < 4; c++) {
				/* The store is asked for some only: it is the slow one. */
				if (i % 16 != round % 16)
					continue;
				check_cell(&house, sea_table_get(table, (int64_t)i, c), paths[c], times[i]);
			}
		sea_table_close(table);
	}
	free(times);
	house_close(&house);
}

TEST(borders,
     "a border is exact to the millisecond, also inside of a table, and a version that comes back is the same one")
{
	static const char *const columns[] = { "x=X", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_ccdb_cache_stats stats;
	struct sea_table *table;
	struct house house;
	int64_t times[40];
	char first[40];

	house_open(&house, &options, columns);
	put_text(&house, "X", 1000, 3000, "A");
	put_text(&house, "X", 1500, 2000, "B");
	for (int i = 0; i < 40; i++)
		times[i] = i % 2 ? 1999 + i / 20 : 1500 - i / 20;
	for (unsigned round = 0; round < 3; round++) {
		table = house_ask(&house, &(struct keys){ .times_ms = times, .n_rows = 40 });
		CHECK_EQ(sea_table_n_objects(table), 2);
		for (int i = 0; i < 40; i++) {
			const struct sea_table_object *object = sea_table_get(table, i, 0);

			CHECK_EQ(object->n_bytes, 1);
			CHECK_EQ(*(const char *)object->data, times[i] >= 1500 && times[i] < 2000 ? 'B' : 'A');
			if (*(const char *)object->data == 'A') {
				if (round == 0)
					snprintf(first, sizeof(first), "%s", object->uuid);
				CHECK_STR_EQ(object->uuid, first);
			}
		}
		sea_table_close(table);
	}
	sea_ccdb_cache_get_stats(house.cache, &stats);
	CHECK_EQ(stats.n_fetched, 2);
	CHECK_EQ(stats.n_versions, 2);
	house_close(&house);
}

TEST(newer,
     "what is uploaded inside a running validity counts from the next table on, or when the column's policy asks for it")
{
	static const char *const columns[] = { "each=X", "third=X,check=3", "never=X,check=never", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_table *table;
	struct house house;
	const int64_t time = 1500;

	house_open(&house, &options, columns);
	put_text(&house, "X", 1000, 3000, "A");
	for (int i = 0; i < 7; i++) {
		if (i == 1)
			put_text(&house, "X", 1400, 1600, "B");
		table = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
		CHECK_EQ(*(const char *)sea_table_get(table, 0, 0)->data, i == 0 ? 'A' : 'B');
		sea_table_close(table);
	}
	house_close(&house);
}

TEST(policy, "no more is asked than a column's policy says, and one query serves all columns of a path")
{
	static const char *const columns[] = { "third=X,check=3", NULL }, *const never[] = { "a=X,check=never",
		                                                                             "b=X,check=never", NULL };
	struct sea_ccdb_cache_options options = { 0 }, options_never = { 0 };
	struct house house;
	const int64_t times[] = { 1500, 1501, 1502, 1503 };

	house_open(&house, &options, columns);
	put_text(&house, "X", 1000, 3000, "A");
	for (unsigned i = 0; i < 9; i++) {
		sea_table_close(house_ask(&house, &(struct keys){ .times_ms = times, .n_rows = 4 }));
		CHECK_EQ(house_queries(&house), 1 + i / 3);
	}
	house_close(&house);
	house_open(&house, &options_never, never);
	put_text(&house, "X", 1000, 3000, "A");
	for (unsigned i = 0; i < 9; i++)
		sea_table_close(house_ask(&house, &(struct keys){ .times_ms = times, .n_rows = 4 }));
	CHECK_EQ(house_queries(&house), 1);
	house_close(&house);
}

TEST(missing,
     "a missing object fails its request, is waited for, or is passed on, as it is wished; and the error names path, time and status")
{
	static const char *const columns[] = { "x=X/Y", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_message *answer = NULL;
	struct sea_error error = { 0 };
	struct sea_table *table;
	struct house house;
	int64_t time = 1500;

	house_open(&house, &options, columns);
	house_put(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	CHECK_ERR(house_take(&house, &answer, &error), -ENOENT);
	CHECK(strstr(error.text, "X/Y") && strstr(error.text, "1500") && strstr(error.text, "404"));
	CHECK_STR_EQ(error.key, "x");
	/* Once it is there, the next request finds it. */
	put_text(&house, "X/Y", 1000, 2000, "A");
	sea_table_close(house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 }));
	house_close(&house);

	options = (struct sea_ccdb_cache_options){ .missing = SEA_CCDB_MISSING_WAIT, .wait_ns = 20000000 };
	house_open(&house, &options, columns);
	time = 5500;
	house_put(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	while (house_queries(&house) < 3) {
		struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(house.cache), .events = POLLIN };

		CHECK_EQ(sea_ccdb_cache_take(house.cache, &answer, &error), 0);
		CHECK_EQ(poll(&pollfd, 1, 60000), 1);
		CHECK_OK(sea_ccdb_cache_dispatch(house.cache));
	}
	put_text(&house, "X/Y", 5000, 6000, "B");
	table = house_table(&house);
	CHECK_EQ(*(const char *)sea_table_get(table, 0, 0)->data, 'B');
	sea_table_close(table);
	house_close(&house);
}

TEST(runs, "a run is a constraint, the time itself, or chooses the path; and a uniform column asks once per run")
{
	static const char *const columns[] = { "constraint=R,run=1", "time=T,run=2",
		                               "path=10-19=P/low;20-=P/high;P/other", "uniform=U,per=run", NULL };
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	const int64_t times[] = { 100, 101, 102, 103, 104, 105 };
	const int32_t runs[] = { 10, 10, 25, 25, 3, 10 };
	struct sea_table *table;
	struct house house;

	house_open(&house, &options, columns);
	for (int run = 3; run <= 25; run++) {
		struct sea_ccdb_pair pair = { .key = "runNumber" };
		char number[16], text[16];
		struct sea_ccdb_put put = { .path = "R",
			                    .valid_from_ms = 0,
			                    .valid_until_ms = 1000,
			                    .metadata = &pair,
			                    .n_metadata = 1,
			                    .data = text };
		struct sea_ccdb_entry *entry;

		snprintf(number, sizeof(number), "%d", run);
		pair.value = number;
		put.n_bytes = (size_t)snprintf(text, sizeof(text), "r%d", run);
		CHECK_OK(sea_ccdb_store_put(house.serving.store, &put, &entry, NULL));
		sea_ccdb_entry_free(entry);
		snprintf(text, sizeof(text), "t%d", run);
		put_text(&house, "T", run, run + 1, text);
	}
	put_text(&house, "P/low", 0, 1000, "low");
	put_text(&house, "P/high", 0, 1000, "high");
	put_text(&house, "P/other", 0, 1000, "other");
	put_text(&house, "U", 0, 103, "early");
	put_text(&house, "U", 103, 1000, "later");
	table = house_ask(&house, &(struct keys){ .times_ms = times, .runs = runs, .n_rows = 6 });
	for (int i = 0; i < 6; i++) {
		const struct sea_table_object *object = sea_table_get(table, i, 0);
		char text[16];
		int n = snprintf(text, sizeof(text), "r%d", runs[i]);

		CHECK_EQ(object->n_bytes, n);
		CHECK(memcmp(object->data, text, (size_t)n) == 0);
		object = sea_table_get(table, i, 1);
		text[0] = 't';
		CHECK(object->n_bytes == (uint64_t)n && memcmp(object->data, text, (size_t)n) == 0);
		object = sea_table_get(table, i, 2);
		CHECK_STR_EQ(object->path, runs[i] == 10 ? "P/low" : runs[i] == 25 ? "P/high" : "P/other");
		object = sea_table_get(table, i, 3);
		/* The first time of runs 10 and 25 is before the border, of run 3 behind it. */
		CHECK(memcmp(object->data, runs[i] == 3 ? "later" : "early", 5) == 0);
	}
	sea_table_close(table);
	house_close(&house);
}

TEST(order, "answers come in the order of requests, with the other parts of the message and its identity")
{
	static const char *const columns[] = { "x=X", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	struct house house;

	house_open(&house, &options, columns);
	for (int i = 0; i < 20; i++)
		put_text(&house, "X", 1000 * i, 1000 * (i + 1), "some text");
	for (int i = 0; i < 20; i++) {
		const int64_t time = 1000 * i + 500;
		char number[16];

		snprintf(number, sizeof(number), "%d", i);
		house_put(&house,
		          &(struct keys){ .times_ms = &time, .n_rows = 1, .timeframe = number, .n_parts_before = 3 });
	}
	for (int i = 0; i < 20; i++) {
		struct sea_message *answer;
		struct sea_table *table;
		struct sea_part part;
		size_t at;

		CHECK_EQ(house_take(&house, &answer, NULL), 1);
		CHECK_OK(sea_table_find(answer, &at));
		CHECK_EQ(at, 3);
		CHECK_OK(sea_message_get_part(answer, 2, &part));
		CHECK(part.n_bytes == 5 && memcmp(part.data, "part ", 5) == 0);
		CHECK_OK(sea_table_open(&table, answer, at, NULL, NULL));
		CHECK_EQ(atoi(sea_table_metadata(table, "timeframe")), i);
		check_cell(&house, sea_table_get(table, 0, 0), "X", 1000 * i + 500);
		sea_table_close(table);
		sea_message_unref(answer);
	}
	house_close(&house);
}

TEST(full,
     "a heap that is full makes requests wait for tables to be given back, and a table that never fits is an error that says so")
{
	static const char *const columns[] = { "x=X", "y=Y,check=never", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_ccdb_cache_stats stats;
	struct sea_error error = { 0 };
	struct sea_message *answer;
	struct sea_table *tables[2];
	struct sea_heap *heap;
	struct house house;
	int64_t time = 500;

	memset(&house, 0, sizeof(house));
	house.serving = serving_start(NULL);
	CHECK_OK(sea_session_open(&house.session, NULL));
	CHECK_OK(sea_heap_new(&heap, house.session,
	                      &(struct sea_heap_options){ .quota_n_bytes = 16 << 20, .arena_n_bytes = 2 << 20 }));
	for (int i = 0; columns[i]; i++)
		CHECK_OK(sea_ccdb_column_parse(&house.columns[i], columns[i], NULL));
	options.columns = house.columns;
	options.n_columns = 2;
	options.heap = heap;
	options.client.url = sea_ccdb_server_url(house.serving.server);
	CHECK_OK(sea_ccdb_cache_new(&house.cache, &options, NULL));
	put_text(&house, "Y", 0, 1000000, "small");
	for (int i = 0; i < 6; i++)
		put_big(&house, "X", 1000 * i, 1000 * (i + 1), 6 << 20);
	put_big(&house, "X", 10000, 11000, 30 << 20);
	for (int i = 0; i < 2; i++, time += 1000)
		tables[i] = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	/* Both are held: for the third there is no room. */
	house_put(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	do {
		struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(house.cache), .events = POLLIN };

		CHECK_EQ(sea_ccdb_cache_take(house.cache, &answer, &error), 0);
		CHECK_EQ(poll(&pollfd, 1, 60000), 1);
		CHECK_OK(sea_ccdb_cache_dispatch(house.cache));
		sea_ccdb_cache_get_stats(house.cache, &stats);
	} while (stats.n_waits_for_room < 1);
	CHECK_EQ(sea_ccdb_cache_take(house.cache, &answer, &error), 0);
	sea_table_close(tables[0]);
	tables[0] = house_table(&house);
	check_cell(&house, sea_table_get(tables[0], 0, 0), "X", time);
	sea_table_close(tables[0]);
	sea_table_close(tables[1]);
	/* Many more than fit at a time. */
	for (int i = 0; i < 12; i++) {
		time = 1000 * (i % 6) + 1;
		tables[0] = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
		check_cell(&house, sea_table_get(tables[0], 0, 0), "X", time);
		sea_table_close(tables[0]);
	}
	time = 10500;
	house_put(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	CHECK_ERR(house_take(&house, &answer, &error), -E2BIG);
	CHECK(strstr(error.text, "X") && strstr(error.text, "31457280"));
	{
		const int64_t all[] = { 500, 1500, 2500, 3500 };

		house_put(&house, &(struct keys){ .times_ms = all, .n_rows = 4 });
		CHECK_ERR(house_take(&house, &answer, &error), -E2BIG);
	}
	/* It goes on. */
	time = 500;
	sea_table_close(house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 }));
	sea_ccdb_cache_free(house.cache);
	serving_stop(&house.serving);
	sea_heap_free(heap);
	sea_session_close(house.session);
}

TEST(dropped,
     "what neither a table nor one of the last ones needs is dropped, and while somebody holds it, it is not fetched again")
{
	static const char *const columns[] = { "x=X", NULL };
	struct sea_ccdb_cache_options options = { .n_tables_kept = 2 };
	struct sea_ccdb_cache_stats stats;
	struct sea_table *held, *again;
	struct house house;
	int64_t time = 500;

	house_open(&house, &options, columns);
	for (int i = 0; i < 10; i++)
		put_text(&house, "X", 1000 * i, 1000 * (i + 1), "text");
	held = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	for (int i = 1; i < 10; i++) {
		time = 1000 * i + 500;
		sea_table_close(house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 }));
	}
	sea_ccdb_cache_get_stats(house.cache, &stats);
	/* The one that is held, and those of the last two tables and of the sweep before. */
	CHECK(stats.n_versions <= 4);
	CHECK(stats.n_dropped >= 6);
	time = 500;
	again = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	CHECK(sea_table_get(again, 0, 0)->data == sea_table_get(held, 0, 0)->data);
	sea_ccdb_cache_get_stats(house.cache, &stats);
	CHECK_EQ(stats.n_fetched, 10);
	sea_table_close(held);
	sea_table_close(again);
	house_close(&house);
}

TEST(trailer, "with the trailer an object ends with its headers as O2 reads them; and objects may be immutable")
{
	static const char *const columns[] = { "x=X", "nothing=N", NULL };
	struct sea_ccdb_cache_options options = { .has_trailer = true, .is_immutable = true };
	const struct sea_table_object *object;
	struct sea_table *table;
	struct house house;
	const int64_t time = 500;
	int32_t n_trailer;

	house_open(&house, &options, columns);
	put_text(&house, "X", 0, 1000, "content");
	put_text(&house, "N", 0, 1000, "");
	table = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });
	for (size_t c = 0; c < 2; c++) {
		const char *end;

		object = sea_table_get(table, 0, c);
		CHECK(object->n_bytes > 20);
		CHECK_EQ(object->meta.kind, SEA_META_IMMUTABLE);
		end = (const char *)object->data + object->n_bytes;
		CHECK(memcmp(end - 9, "$HEADER$", 9) == 0);
		memcpy(&n_trailer, end - 13, 4);
		CHECK_EQ(object->n_bytes - (uint64_t)n_trailer, c == 0 ? 7 : 0);
		CHECK(memcmp(object->data, "content", c == 0 ? 7 : 0) == 0);
	}
	sea_table_close(table);
	house_close(&house);
}

TEST(refused, "what is no key table is refused, and what is wrong is said")
{
	static const char *const columns[] = { "x=X,run=1", NULL };
	const int64_t times[] = { 5, -3 };
	const int32_t runs[] = { 5, -3 };
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_error error = { 0 };
	struct sea_message *message;
	struct house house;

	house_open(&house, &options, columns);
	CHECK_OK(sea_message_new(&message, sea_session_heap(house.session), 100, 0, 0));
	memset(sea_message_write(message), 'x', 100);
	CHECK_ERR(sea_ccdb_cache_put(house.cache, &message, &error), -EBADMSG);
	CHECK(error.text[0] && message);
	sea_message_unref(message);
	message = keys_message(house.session, &(struct keys){ .times_ms = times, .n_rows = 1 });
	CHECK_ERR(sea_ccdb_cache_put(house.cache, &message, &error), -EBADMSG);
	CHECK(strstr(error.text, "run"));
	sea_message_unref(message);
	message = keys_message(house.session,
	                       &(struct keys){ .times_ms = times, .runs = runs, .n_rows = 1, .format = "tsu:" });
	CHECK_ERR(sea_ccdb_cache_put(house.cache, &message, &error), -EINVAL);
	CHECK(strstr(error.text, "timestamp"));
	sea_message_unref(message);
	message = keys_message(house.session, &(struct keys){ .times_ms = times, .runs = runs, .n_rows = 2 });
	CHECK_ERR(sea_ccdb_cache_put(house.cache, &message, &error), -EINVAL);
	sea_message_unref(message);
	house_close(&house);
}

TEST(empty, "a table without rows is answered by one without rows")
{
	static const char *const columns[] = { "x=X", NULL };
	struct sea_ccdb_cache_options options = { .encoding = SEA_TABLE_RUN_ENDS };
	struct sea_table *table;
	struct house house;

	house_open(&house, &options, columns);
	table = house_ask(&house, &(struct keys){ .n_rows = 0 });
	CHECK_EQ(sea_table_n_rows(table), 0);
	CHECK_EQ(sea_table_n_columns(table), 1);
	CHECK_EQ(house_queries(&house), 0);
	sea_table_close(table);
	house_close(&house);
}

TEST(text, "columns are read from text, and an error says what is wrong with it")
{
	static const char *const bad[] = { "x",           "=X",          "x=",          "x=X,",      "x=X,run=3",
		                           "x=X,check=0", "x=X,check=s", "x=X;Y",       "x=5-3=X",   "x=-=X",
		                           "x=a-b=X;Y",   "x=1-2=",      "x=X,per=day", "x=X,what=1" };
	struct sea_ccdb_column column;
	struct sea_error error;
	char path[100];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error.text[0] = 0;
		if (sea_ccdb_column_parse(&column, bad[i], &error) != -EINVAL || !error.text[0])
			FAIL("%s is taken", bad[i]);
	}
	CHECK_OK(sea_ccdb_column_parse(&column, "x=-5=low;6-7=mid/dle;9-=high,check=30s,per=run", NULL));
	CHECK_EQ(column.check_every_ns, INT64_C(30000000000));
	CHECK(column.is_per_run && sea_ccdb_column_wants_run(&column));
	CHECK_OK(sea_ccdb_column_path(&column, 5, path, sizeof(path)));
	CHECK_STR_EQ(path, "low");
	CHECK_OK(sea_ccdb_column_path(&column, 7, path, sizeof(path)));
	CHECK_STR_EQ(path, "mid/dle");
	CHECK_ERR(sea_ccdb_column_path(&column, 8, path, sizeof(path)), -ENOENT);
	CHECK_OK(sea_ccdb_column_path(&column, 9, path, sizeof(path)));
	CHECK_ERR(sea_ccdb_column_path(&column, 9, path, 4), -E2BIG);
}
