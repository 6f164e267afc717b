/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of `sealane demo`: between reader and processors, as `sealane ccdb cache` would stand there. The answer is the
 * timeframe's message with tables and objects in the key table's place; nobody else holds the timeframe here, so that what a dead
 * processor had not finished goes back to the reader, past this process, and comes again.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include <sealane/ccdb/ccdb.h>

#include "cleanup.h"
#include "demo-calibration.h"
#include "demo-check.h"

#define QUOTA_N_BYTES ((uint64_t)256 << 20)

struct cache {
	struct demo_child child;
	struct sea_ccdb_cache *cache;
	struct sea_ccdb_column columns[DEMO_N_COLUMNS];
};

static void cache_fini(struct cache *cache)
{
	sea_ccdb_cache_free(cache->cache);
	demo_child_close(&cache->child);
}

static int failed(struct cache *cache, const char *what, int r, struct sea_error *error)
{
	char line[300];

	return demo_fail(&cache->child, "%s: %s", what,
	                 error->code ? sea_error_line(error, line, sizeof(line)) : sea_error_text(r));
}

static int cache_make(struct cache *cache)
{
	const struct demo_calibration *calibration = cache->child.plan->calibration;
	struct sea_ccdb_cache_options options = {
		.client = { .url = calibration->url, .not_after_ms = calibration->not_after_ms },
		.heap = sea_session_heap(cache->child.session),
		.columns = cache->columns,
		.n_columns = DEMO_N_COLUMNS,
	};
	struct sea_error error = { 0 };
	int r = 0;

	for (unsigned i = 0; i < DEMO_N_COLUMNS && r == 0; i++) {
		char text[200];

		snprintf(text, sizeof(text), "%s=%s,%s", demo_columns[i].name, demo_columns[i].path,
		         demo_columns[i].rules);
		r = sea_ccdb_column_parse(&cache->columns[i], text, &error);
	}
	if (r == 0)
		r = sea_ccdb_cache_new(&cache->cache, &options, &error);
	return r < 0 ? failed(cache, "cannot begin", r, &error) : 0;
}

static void cache_publish(struct cache *cache)
{
	struct demo_tables *tables = &cache->child.shared->tables;
	struct sea_ccdb_client_stats client;
	struct sea_ccdb_cache_stats stats;

	sea_ccdb_cache_get_stats(cache->cache, &stats);
	sea_ccdb_cache_client_stats(cache->cache, &client);
	tables->n_versions = stats.n_versions;
	tables->n_versions_peak = stats.n_versions_peak;
	tables->n_versions_bytes = stats.n_versions_bytes;
	tables->n_fetched = stats.n_fetched;
	tables->n_bytes_fetched = stats.n_bytes_fetched;
	tables->n_bytes_named = stats.n_bytes_named;
	tables->n_queries = stats.n_queries;
	tables->n_http = client.n_http;
	demo_child_measure(&cache->child, sea_session_heap(cache->child.session));
}

/* Sends what is ready. Returns how many, at most one; or -1 after demo_fail(). */
static int answer_send(struct cache *cache)
{
	struct sea_message *answer = NULL;
	struct sea_error error = { 0 };
	struct demo_head head = { 0 };
	struct sea_part part;
	int r = sea_ccdb_cache_take(cache->cache, &answer, &error);

	if (r == 0)
		return 0;
	if (r < 0)
		return -failed(cache, "cannot answer", r, &error);
	if (sea_message_get_part(answer, 0, &part) == 0 && part.n_bytes == sizeof(head))
		memcpy(&head, part.data, sizeof(head));
	sea_message_set_tag(answer, head.timeframe);
	do {
		r = sea_channel_send(cache->child.out, &answer, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	sea_message_unref(answer);
	if (r < 0)
		return -demo_fail(&cache->child, "cannot send to the processors: %s", sea_error_text(r));
	demo_child_count(&cache->child, head.n_bytes);
	cache_publish(cache);
	return 1;
}

/* Takes a timeframe if there is one. Returns how many, at most one; or -1 after demo_fail(). */
static int keys_take(struct cache *cache)
{
	struct sea_message *message = NULL;
	struct sea_ccdb_cache_stats stats;
	struct sea_error error = { 0 };
	int r;

	sea_ccdb_cache_get_stats(cache->cache, &stats);
	if (stats.n_waiting >= DEMO_N_WAITING_MAX)
		return 0;
	r = sea_channel_receive(cache->child.in, &message, 0);
	if (r < 0 && demo_is_again(r))
		return 0;
	if (r < 0)
		return -demo_fail(&cache->child, "cannot receive: %s", sea_error_text(r));
	cache->child.status->n_taken++;
	r = sea_ccdb_cache_put(cache->cache, &message, &error);
	sea_message_unref(message);
	return r < 0 ? -failed(cache, "a key table is refused", r, &error) : 1;
}

static int cache_loop(struct cache *cache)
{
	struct pollfd fds[] = {
		{ .fd = sea_ccdb_cache_fd(cache->cache), .events = POLLIN },
		{ .fd = sea_channel_fd(cache->child.in), .events = POLLIN },
	};

	while (!demo_child_is_stopped()) {
		struct sea_ccdb_cache_stats stats;
		int n_taken = keys_take(cache), n_sent = n_taken < 0 ? -1 : answer_send(cache);

		if (n_taken < 0 || n_sent < 0)
			return 1;
		if (n_taken == 0 && n_sent == 0) {
			sea_ccdb_cache_get_stats(cache->cache, &stats);
			/* What may not be taken yet must not keep this awake. */
			demo_child_measure(&cache->child, sea_session_heap(cache->child.session));
			(void)poll(fds, stats.n_waiting < DEMO_N_WAITING_MAX ? 2 : 1, (int)(DEMO_WAIT_NS / DEMO_MS_NS));
		}
		(void)sea_ccdb_cache_dispatch(cache->cache);
	}
	cache_publish(cache);
	return 0;
}

int demo_cache_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot)
{
	TOOL_CLEANUP(cache_fini) struct cache self = { 0 };
	int r = demo_child_open(&self.child, plan, shared, slot, "demo cache", QUOTA_N_BYTES);

	if (r == 0)
		r = cache_make(&self);
	if (r == 0)
		r = demo_child_channel(&self.child, &self.child.out, SEA_PUSH, SEA_ORPHANS_DROP, DEMO_TABLES, true);
	if (r == 0)
		r = demo_child_channel(&self.child, &self.child.in, SEA_PULL, SEA_ORPHANS_DROP, DEMO_SOURCE, false);
	if (r != 0)
		return r;
	do {
		r = sea_channel_wait_peers(self.child.out, plan->n_processors, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	if (r < 0 && !demo_child_is_stopped())
		return demo_fail(&self.child, "no processor came: %s", sea_error_text(r));
	self.child.status->is_ready = 1;
	self.child.status->begin_ns = demo_now_ns();
	return cache_loop(&self);
}
