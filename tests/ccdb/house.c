/* SPDX-License-Identifier: Apache-2.0 */
/* See house.h. */
#include "house.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void house_open_with(struct house *house, const struct sea_ccdb_server_options *server,
                     struct sea_ccdb_cache_options *options, const char *const *columns)
{
	struct sea_error error = { 0 };
	char line[700];

	memset(house, 0, sizeof(*house));
	house->serving = serving_start(server);
	CHECK_OK(sea_session_open(&house->session, &(struct sea_session_options){ .quota_n_bytes = 64 << 20 }));
	for (; columns[house->n_columns]; house->n_columns++)
		CHECK_OK(sea_ccdb_column_parse(&house->columns[house->n_columns], columns[house->n_columns], NULL));
	options->columns = house->columns;
	options->n_columns = house->n_columns;
	if (!options->heap)
		options->heap = sea_session_heap(house->session);
	options->client.url = sea_ccdb_server_url(house->serving.server);
	options->client.no_environment = true;
	options->client.backoff_ms = 1;
	if (sea_ccdb_cache_new(&house->cache, options, &error) < 0)
		FAIL("%s", sea_error_line(&error, line, sizeof(line)));
}

void house_open(struct house *house, struct sea_ccdb_cache_options *options, const char *const *columns)
{
	house_open_with(house, NULL, options, columns);
}

void house_close(struct house *house)
{
	sea_ccdb_cache_free(house->cache);
	serving_stop(&house->serving);
	sea_session_close(house->session);
}

int house_take(struct house *house, struct sea_message **ret_answer, struct sea_error *error)
{
	struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(house->cache), .events = POLLIN };
	int r;

	while ((r = sea_ccdb_cache_take(house->cache, ret_answer, error)) == 0) {
		if (poll(&pollfd, 1, 60000) <= 0)
			FAIL("nothing comes");
		CHECK_OK(sea_ccdb_cache_dispatch(house->cache));
	}
	return r;
}

struct sea_table *house_table(struct house *house)
{
	struct sea_error error = { 0 };
	struct sea_message *answer;
	struct sea_table *table;
	char line[700];
	size_t part;

	if (house_take(house, &answer, &error) < 0)
		FAIL("%s", sea_error_line(&error, line, sizeof(line)));
	CHECK_OK(sea_table_find(answer, &part));
	if (sea_table_open(&table, answer, part, NULL, &error) < 0)
		FAIL("%s", sea_error_line(&error, line, sizeof(line)));
	sea_message_unref(answer);
	return table;
}

void house_put(struct house *house, const struct keys *keys)
{
	struct sea_message *message = keys_message(house->session, keys);
	struct sea_error error = { 0 };
	char line[700];

	if (sea_ccdb_cache_put(house->cache, &message, &error) < 0)
		FAIL("%s", sea_error_line(&error, line, sizeof(line)));
	CHECK(!message);
}

struct sea_table *house_ask(struct house *house, const struct keys *keys)
{
	house_put(house, keys);
	return house_table(house);
}

uint64_t house_queries(struct house *house)
{
	struct sea_ccdb_cache_stats stats;

	sea_ccdb_cache_get_stats(house->cache, &stats);
	return stats.n_queries;
}

void check_cell(struct house *house, const struct sea_table_object *object, const char *path, int64_t time_ms)
{
	const struct sea_ccdb_store_query query = { .path = path, .has_time = 1, .time_ms = time_ms };
	struct sea_ccdb_entry *entry = NULL;
	int r = sea_ccdb_store_match(house->serving.store, &query, &entry);

	CHECK(object);
	if (r == -ENOENT) {
		CHECK_EQ(object->status, SEA_TABLE_MISSING);
		CHECK(strstr(object->reason, path));
		CHECK(!object->data);
		return;
	}
	CHECK_OK(r);
	CHECK_EQ(object->status, SEA_TABLE_OK);
	if (strcmp(object->uuid, entry->uuid) != 0)
		FAIL("%s at %lld: %s and not %s", path, (long long)time_ms, object->uuid, entry->uuid);
	CHECK_STR_EQ(object->path, path);
	CHECK_EQ(object->n_bytes, entry->n_bytes);
	CHECK_EQ(object->valid_from_ms, entry->valid_from_ms);
	CHECK_EQ(object->valid_until_ms, entry->valid_until_ms);
	CHECK_EQ(object->created_ms, entry->created_ms);
	sea_ccdb_entry_free(entry);
}

void put_text(struct house *house, const char *path, int64_t from_ms, int64_t until_ms, const char *text)
{
	serving_put(house->serving.store, path, from_ms, until_ms, text);
}

void put_random(struct house *house, const char *path, int64_t range_ms)
{
	static unsigned number;
	const int64_t from = (int64_t)(test_random() % (uint64_t)range_ms);
	char text[400];

	memset(text, 'x', sizeof(text));
	snprintf(text, sizeof(text), "%u:%s", ++number, path);
	put_text(house, path, from,
	         from + 1 + (int64_t)(test_random() % (uint64_t)range_ms) / (1 + (int64_t)(test_random() % 8)), text);
}

void put_big(struct house *house, const char *path, int64_t from_ms, int64_t until_ms, size_t n_bytes)
{
	char *text = malloc(n_bytes + 1);

	memset(text, 'b', n_bytes);
	text[n_bytes] = 0;
	put_text(house, path, from_ms, until_ms, text);
	free(text);
}
