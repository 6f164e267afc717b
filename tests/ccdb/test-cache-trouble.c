/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that lie, break and go away, and uploads while tables are asked: a row names what the server has named at some instant meanwhile, or none. */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "house.h"

#define RANGE_MS 400
#define N_PATHS 3

static const char *const paths[N_PATHS] = { "A/B", "A/C", "D" };
static const char *const columns[] = { "ab=A/B", "ac=A/C", "d=D", NULL };

/* What was the newest of each path when a table was asked for. 0: nothing. */
struct before {
	int64_t created_ms[N_PATHS];
};

static int before_look(const struct sea_ccdb_entry *entry, void *userdata)
{
	int64_t *created_ms = userdata;

	*created_ms = entry->created_ms > *created_ms ? entry->created_ms : *created_ms;
	return 0;
}

static struct before before_now(struct sea_ccdb_store *store)
{
	struct before before = { 0 };

	for (unsigned i = 0; i < N_PATHS; i++) {
		const struct sea_ccdb_store_query query = { .path = paths[i] };

		CHECK_OK(sea_ccdb_store_list(store, &query, 0, 0, before_look, &before.created_ms[i]));
	}
	return before;
}

/*
 * As nothing is removed, the server's answer for a time only ever becomes newer: what a row names must be valid at its time, and no older than what was named
 * when the table was asked for.
 */
static void check_row(struct sea_ccdb_store *store, const struct before *before, unsigned path,
                      const struct sea_table_object *object, int64_t time_ms)
{
	const struct sea_ccdb_store_query query = {
		.path = paths[path], .has_time = 1, .time_ms = time_ms, .not_after_ms = before->created_ms[path]
	};
	struct sea_ccdb_entry *first = NULL, *named = NULL;
	char text[64];
	int r = before->created_ms[path] ? sea_ccdb_store_match(store, &query, &first) : -ENOENT;

	CHECK(object && (r == 0 || r == -ENOENT));
	if (object->status != SEA_TABLE_OK) {
		if (object->status != SEA_TABLE_MISSING || r == 0)
			FAIL("%s at %lld: status %d, %s", paths[path], (long long)time_ms, object->status,
			     object->reason);
		return;
	}
	CHECK_OK(sea_ccdb_store_find(store, object->uuid, &named));
	CHECK_STR_EQ(named->path, paths[path]);
	CHECK(named->valid_from_ms <= time_ms && time_ms < named->valid_until_ms);
	if (first && named->created_ms < first->created_ms)
		FAIL("%s at %lld: one created at %lld, but one of %lld was there before", paths[path],
		     (long long)time_ms, (long long)named->created_ms, (long long)first->created_ms);
	CHECK_EQ(object->n_bytes, named->n_bytes);
	CHECK_EQ(object->created_ms, named->created_ms);
	/* Its content is its own: it begins with its interval. */
	snprintf(text, sizeof(text), "%s %lld-%lld ", paths[path], (long long)named->valid_from_ms,
	         (long long)named->valid_until_ms);
	CHECK(object->n_bytes > strlen(text) && memcmp(object->data, text, strlen(text)) == 0);
	sea_ccdb_entry_free(first);
	sea_ccdb_entry_free(named);
}

static void put_some(struct sea_ccdb_store *store, unsigned path, int64_t from_ms, int64_t until_ms)
{
	char text[2000];
	const int n = snprintf(text, sizeof(text), "%s %lld-%lld ", paths[path], (long long)from_ms,
	                       (long long)until_ms);

	memset(text + n, 'x', sizeof(text) - (size_t)n);
	text[n + 1 + (int)(test_random() % 1900)] = 0;
	serving_put(store, paths[path], from_ms, until_ms, text);
}

static void put_any(struct sea_ccdb_store *store)
{
	const int64_t from = (int64_t)(test_random() % RANGE_MS);

	put_some(store, (unsigned)(test_random() % N_PATHS), from,
	         from + 1 + (int64_t)(test_random() % RANGE_MS) / (1 + (int64_t)(test_random() % 8)));
}

struct asked {
	struct before before;
	int64_t times_ms[150];
	struct keys keys;
};

static void ask(struct house *house, struct asked *asked)
{
	asked->before = before_now(house->serving.store);
	asked->keys = (struct keys){ .times_ms = asked->times_ms, .n_rows = 1 + test_random() % 150 };
	for (size_t i = 0; i < asked->keys.n_rows; i++)
		asked->times_ms[i] = (int64_t)(test_random() % RANGE_MS);
	house_put(house, &asked->keys);
}

static void answered(struct house *house, const struct asked *asked)
{
	struct sea_table *table = house_table(house);

	CHECK_EQ(sea_table_n_rows(table), asked->keys.n_rows);
	for (size_t i = test_random() % 4; i < asked->keys.n_rows; i += 7)
		for (unsigned c = 0; c < N_PATHS; c++)
			check_row(house->serving.store, &asked->before, c, sea_table_get(table, (int64_t)i, c),
			          asked->times_ms[i]);
	sea_table_close(table);
}

/* Tables, four in flight. */
static void ask_many(struct house *house, unsigned n_tables)
{
	struct asked asked[4];

	for (unsigned i = 0; i < n_tables + 4; i++) {
		if (i >= 4)
			answered(house, &asked[i % 4]);
		if (i < n_tables)
			ask(house, &asked[i % 4]);
	}
}

static void fill(struct sea_ccdb_store *store, unsigned n)
{
	/* Without gaps, so that nothing may be missing. */
	for (unsigned i = 0; i < N_PATHS; i++)
		put_some(store, i, 0, RANGE_MS);
	for (unsigned i = 0; i < n; i++)
		put_any(store);
}

static _Atomic bool *must_stop;

static void uploader(void *arg)
{
	const struct sea_ccdb_store_options options = { .no_sync = 1 };
	struct sea_ccdb_store *store;

	(void)arg;
	CHECK_OK(sea_ccdb_store_open(&store, serving_directory(), &options, NULL));
	fill(store, 0);
	for (unsigned i = 0; i < 1000 && !atomic_load(must_stop); i++) {
		put_any(store);
		usleep((useconds_t)(test_random() % 1500));
	}
	sea_ccdb_store_close(store);
}

TEST(uploads,
     "while another process uploads, each row names what the server has named for its time between the question and the answer")
{
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	struct house house;
	pid_t pid;

	must_stop = test_shared(sizeof(*must_stop));
	pid = test_fork(uploader, NULL);
	house_open(&house, &options, columns);
	ask_many(&house, 80);
	atomic_store(must_stop, true);
	CHECK_EQ(test_wait(pid), 0);
	ask_many(&house, 5);
	house_close(&house);
}

TEST(not_after, "with a bound on when objects were created, what is uploaded meanwhile changes nothing at all")
{
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_PASS };
	struct sea_ccdb_store *store;
	struct before before;
	struct house house;
	int64_t bound = 0, times[100];
	pid_t pid;

	must_stop = test_shared(sizeof(*must_stop));
	CHECK_OK(sea_ccdb_store_open(&store, serving_directory(), NULL, NULL));
	fill(store, 20);
	before = before_now(store);
	sea_ccdb_store_close(store);
	for (unsigned i = 0; i < N_PATHS; i++)
		bound = before.created_ms[i] > bound ? before.created_ms[i] : bound;
	/* Later ones have a later ms. */
	test_sleep_ms(20);
	pid = test_fork(uploader, NULL);
	options.client.not_after_ms = bound;
	house_open(&house, &options, columns);
	for (unsigned i = 0; i < 15; i++) {
		struct sea_table *table;

		for (unsigned row = 0; row < 100; row++)
			times[row] = (int64_t)(test_random() % RANGE_MS);
		table = house_ask(&house, &(struct keys){ .times_ms = times, .n_rows = 100 });
		for (unsigned row = 0; row < 100; row += 9)
			for (unsigned c = 0; c < N_PATHS; c++) {
				const struct sea_ccdb_store_query query = {
					.path = paths[c], .has_time = 1, .time_ms = times[row], .not_after_ms = bound
				};
				struct sea_ccdb_entry *entry;

				CHECK_OK(sea_ccdb_store_match(house.serving.store, &query, &entry));
				CHECK_STR_EQ(sea_table_get(table, row, c)->uuid, entry->uuid);
				sea_ccdb_entry_free(entry);
			}
		sea_table_close(table);
	}
	atomic_store(must_stop, true);
	CHECK_EQ(test_wait(pid), 0);
	house_close(&house);
}

TEST(faults, "whatever a server does wrong, no row is wrong")
{
	static const char *const faults[][3] = {
		{ "5xx=30" },
		{ "cut=40" },
		{ "wrong-length=40" },
		{ "dead-replica-first" },
		{ "alien-first" },
		{ "slow=400000" },
		{ "replace-before-download" },
		{ "delay=3", "5xx=20", "cut=20" },
		{ "dead-replica-first", "wrong-length=30", "replace-before-download" },
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_FAIL };
		struct sea_ccdb_server_options server = { 0 };
		struct house house;

		for (unsigned j = 0; j < 3 && faults[i][j]; j++)
			CHECK_OK(sea_ccdb_faults_parse(&server.faults, faults[i][j], NULL));
		options.client.n_tries = 40;
		options.client.backoff_max_ms = 4;
		house_open_with(&house, &server, &options, columns);
		if (i == 0)
			fill(house.serving.store, 12);
		ask_many(&house, 6);
		house_close(&house);
	}
}

TEST(versions_return, "A, B, A: what was replaced and comes back is the same object, and not fetched again")
{
	static const char *const one[] = { "x=D", NULL };
	struct sea_ccdb_cache_options options = { 0 };
	const struct sea_ccdb_store_query newest = { .path = "D", .has_time = 1, .time_ms = 50 };
	struct sea_ccdb_cache_stats stats;
	struct house house;
	char first[64] = "";
	const int64_t time = 50;

	house_open(&house, &options, one);
	put_some(house.serving.store, 2, 0, 100);
	for (unsigned round = 0; round < 12; round++) {
		struct sea_table *table = house_ask(&house, &(struct keys){ .times_ms = &time, .n_rows = 1 });

		check_cell(&house, sea_table_get(table, 0, 0), "D", time);
		if (round == 0)
			snprintf(first, sizeof(first), "%s", sea_table_get(table, 0, 0)->uuid);
		CHECK_EQ(strcmp(sea_table_get(table, 0, 0)->uuid, first) == 0, round % 2 == 0);
		sea_table_close(table);
		if (round % 2 == 0)
			put_some(house.serving.store, 2, 40, 60);
		else
			CHECK_OK(sea_ccdb_store_remove(house.serving.store, &newest));
	}
	sea_ccdb_cache_get_stats(house.cache, &stats);
	CHECK_EQ(stats.n_fetched, 7);
	house_close(&house);
}

TEST(gone, "a server that goes away and comes back at the same port is waited for, and nothing is lost or wrong")
{
	struct sea_ccdb_cache_options options = { .missing = SEA_CCDB_MISSING_WAIT, .wait_ns = 20000000 };
	struct sea_ccdb_server_options server = { 0 };
	struct asked asked[3];
	struct house house;

	options.client.n_tries = 1;
	server.port = (uint16_t)serving_free_port();
	house_open_with(&house, &server, &options, columns);
	fill(house.serving.store, 10);
	ask_many(&house, 3);
	for (unsigned round = 0; round < 4; round++) {
		struct sea_error error = { 0 };
		char line[700];

		ask(&house, &asked[0]);
		house.serving.server = sea_ccdb_server_stop(house.serving.server);
		ask(&house, &asked[1]);
		for (unsigned i = 0; i < 30; i++) {
			struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(house.cache), .events = POLLIN };

			(void)poll(&pollfd, 1, 3);
			CHECK_OK(sea_ccdb_cache_dispatch(house.cache));
		}
		put_any(house.serving.store);
		ask(&house, &asked[2]);
		if (sea_ccdb_server_start(&house.serving.server, house.serving.store, &server, &error) < 0)
			FAIL("%s", sea_error_line(&error, line, sizeof(line)));
		for (unsigned i = 0; i < 3; i++)
			answered(&house, &asked[i]);
	}
	house_close(&house);
}

TEST(storm, "where nothing changes a storm of tables is a storm of 304 and moves no content")
{
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_ccdb_cache_stats before, after;
	struct sea_ccdb_server_stats server;
	struct asked asked;
	struct house house;

	house_open(&house, &options, columns);
	fill(house.serving.store, 6);
	asked.before = before_now(house.serving.store);
	asked.keys = (struct keys){ .times_ms = asked.times_ms, .n_rows = 150 };
	for (unsigned i = 0; i < 150; i++)
		asked.times_ms[i] = (int64_t)i * RANGE_MS / 150;
	house_put(&house, &asked.keys);
	answered(&house, &asked);
	sea_ccdb_cache_get_stats(house.cache, &before);
	for (unsigned i = 0; i < 60; i++)
		house_put(&house, &asked.keys);
	for (unsigned i = 0; i < 60; i++)
		answered(&house, &asked);
	sea_ccdb_cache_get_stats(house.cache, &after);
	sea_ccdb_server_get_stats(house.serving.server, &server);
	CHECK_EQ(after.n_fetched, before.n_fetched);
	CHECK_GE(server.n_not_modified, 1);
	house_close(&house);
}
