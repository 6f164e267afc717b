/* SPDX-License-Identifier: Apache-2.0 */
/* The client against the real server, also one that does everything wrong that it can: each answer is what the store names for that time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serving.h"

#define PATIENCE INT64_C(60000000000)
#define T_MAX 2000

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static void put(struct sea_ccdb_store *store, int64_t from_ms, int64_t until_ms, unsigned number)
{
	char content[4000];
	int n = snprintf(content, sizeof(content), "object %u valid %" PRId64 ";", number, from_ms);

	memset(content + n, 'x', sizeof(content) - (size_t)n);
	content[sizeof(content) - 1] = '\0';
	serving_put(store, "A/B", from_ms, until_ms, content);
}

static struct sea_ccdb_client *client_new(const struct serving *serving)
{
	struct sea_ccdb_client_options options = { .url = sea_ccdb_server_url(serving->server),
		                                   .n_tries = 30,
		                                   .backoff_ms = 1,
		                                   .backoff_max_ms = 20,
		                                   .no_environment = true };
	struct sea_ccdb_client *client;

	setenv("no_proxy", "*", 1);
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	return client;
}

/* Asks the client, and the store itself. */
static void check_time(const struct serving *serving, struct sea_ccdb_client *client, int64_t t, uint32_t flags)
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = t, .flags = flags };
	struct sea_ccdb_store_query wanted = { .path = "A/B", .has_time = 1, .time_ms = t };
	struct sea_ccdb_entry *entry;
	struct sea_ccdb_result result;
	struct sea_error error;
	int found = sea_ccdb_store_match(serving->store, &wanted, &entry);

	CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
	if (result.status == SEA_CCDB_FAILED)
		FAIL("%" PRId64 ": %s: %s", t, error.key, error.text);
	CHECK_EQ(result.status, found == 0 ? SEA_CCDB_OK : SEA_CCDB_NOT_FOUND);
	if (found == 0) {
		char expected[40];
		const char *content = result.content;

		CHECK_STR_EQ(result.version.uuid, entry->uuid);
		CHECK_EQ(result.version.valid_from_ms, entry->valid_from_ms);
		CHECK_EQ(result.version.valid_until_ms, entry->valid_until_ms);
		CHECK_EQ(result.version.created_ms, entry->created_ms);
		CHECK_EQ(result.n_bytes, entry->n_bytes);
		snprintf(expected, sizeof(expected), "valid %" PRId64 ";", entry->valid_from_ms);
		CHECK(memmem(content, result.n_bytes, expected, strlen(expected)));
		CHECK_EQ(content[result.n_bytes - 1], 'x');
		sea_ccdb_entry_free(entry);
	}
	sea_ccdb_result_fini(&result);
}

static void check_server(const struct sea_ccdb_server_options *options, int n_queries, bool has_uploads)
{
	struct serving serving = serving_start(options);
	struct sea_ccdb_client *client = client_new(&serving);
	struct sea_ccdb_client_stats stats;
	uint64_t seed = test_random();

	for (unsigned i = 0; i < 30; i++) {
		int64_t from = (int64_t)(next_random(&seed) % T_MAX);

		put(serving.store, from, from + 1 + (int64_t)(next_random(&seed) % (i % 4 ? 100 : T_MAX)), i);
	}
	for (int i = 0; i < n_queries; i++) {
		int64_t t = (int64_t)(next_random(&seed) % (T_MAX + 200));

		if (has_uploads && i % 20 == 0)
			put(serving.store, t, t + 1 + (int64_t)(next_random(&seed) % 50), 100 + (unsigned)i);
		check_time(&serving, client, t, has_uploads ? SEA_CCDB_ASK_ALWAYS : 0);
	}
	sea_ccdb_client_get_stats(client, &stats);
	if (!has_uploads)
		CHECK_GT(stats.n_hits, 0);
	sea_ccdb_client_free(client);
	serving_stop(&serving);
}

TEST(redirecting, "a server that redirects: every answer is the store's, most of them without a question")
{
	check_server(NULL, 1000, false);
}

TEST(direct, "a server that answers directly, with uploads in between: every answer is the store's at that moment")
{
	check_server(&(struct sea_ccdb_server_options){ .direct = 1 }, 500, true);
}

TEST(faulty, "a server that fails, cuts bodies and lies about lengths: every answer is the store's all the same")
{
	struct sea_ccdb_server_options options = {
		.faults = { .error_percent = 20, .cut_percent = 20, .wrong_length_percent = 20, .alien_first = 1 },
	};

	check_server(&options, 200, true);
	options.direct = 1;
	options.faults.alien_first = 0;
	check_server(&options, 200, false);
}

TEST(dead_replica, "a server whose first replica is dead, and whose objects are replaced before they are downloaded")
{
	struct sea_ccdb_server_options options = {
		.faults = { .dead_replica_first = 1, .replace_before_download = 1 },
	};
	struct sea_ccdb_client_stats stats;
	struct serving serving = serving_start(&options);
	struct sea_ccdb_client *client = client_new(&serving);

	for (unsigned i = 0; i < 10; i++)
		put(serving.store, i * 10, i * 10 + 10, i);
	for (unsigned i = 0; i < 10; i++) {
		struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = i * 10 };
		struct sea_ccdb_result result;
		struct sea_error error;

		/* The store changes under the question: what it is now is what was given. */
		CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
		if (result.status != SEA_CCDB_OK)
			FAIL("%s: %s", error.key, error.text);
		sea_ccdb_result_fini(&result);
		check_time(&serving, client, i * 10, 0);
	}
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_GT(stats.n_replaced, 0);
	sea_ccdb_client_free(client);
	serving_stop(&serving);
}
