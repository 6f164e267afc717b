/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane ccdb cache`: a device that receives key tables and answers each with a table that names the calibration objects of its rows, and
 * holds them. Options that O2 has too have its names.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/ccdb.h>

#include "ccdb.h"
#include "devices.h"

#define CACHE_N_COLUMNS_MAX 1000
#define CACHE_POLL_MS 100

struct cache {
	char keys[DEVICE_NAME_N_BYTES], tables[DEVICE_NAME_N_BYTES];
	struct sea_ccdb_column columns[CACHE_N_COLUMNS_MAX];
	size_t n_columns;
	struct sea_ccdb_cache *cache;
	uint64_t n_waiting_max;
	bool is_failing; /* the first request that fails ends it */
};

static void cache_log(enum sea_ccdb_level level, const char *line, void *userdata)
{
	static const enum sea_severity severities[] = {
		[SEA_CCDB_DEBUG] = SEA_SEVERITY_DEBUG,
		[SEA_CCDB_INFO] = SEA_SEVERITY_INFO,
		[SEA_CCDB_WARN] = SEA_SEVERITY_WARN,
		[SEA_CCDB_ERROR] = SEA_SEVERITY_ERROR,
	};

	(void)userdata;
	sea_log(severities[level], "%s", line);
}

/* Sends what is ready. As of sea_on_data_fn. */
static int cache_drain(struct sea_device *device, struct cache *cache)
{
	for (;;) {
		struct sea_message *answer = NULL;
		struct sea_error error = { 0 };
		char line[700];
		int r = sea_ccdb_cache_take(cache->cache, &answer, &error);

		if (r == 0)
			return 1;
		if (r < 0) {
			sea_log(SEA_SEVERITY_ERROR, "no table: %s", sea_error_line(&error, line, sizeof(line)));
			if (cache->is_failing)
				return r;
			continue;
		}
		do
			r = sea_device_send(device, cache->tables, 0, &answer);
		while ((r == -ETIMEDOUT || r == -EINTR) && !sea_device_is_pending(device));
		sea_message_unref(answer);
		r = device_sent(cache->tables, r);
		if (r != 1)
			return r;
	}
}

static int cache_on_keys(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct cache *cache = userdata;
	struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(cache->cache), .events = POLLIN };
	struct sea_ccdb_cache_stats stats;
	struct sea_error error = { 0 };
	char line[700];
	int r = sea_ccdb_cache_put(cache->cache, message, &error);

	(void)i;
	if (r < 0) {
		sea_log(SEA_SEVERITY_ERROR, "a message of %s is refused: %s", cache->keys,
		        sea_error_line(&error, line, sizeof(line)));
		return cache->is_failing ? r : 1;
	}
	/* Whoever asks for more than can be answered waits: its messages stay in the queue. */
	for (;;) {
		r = cache_drain(device, cache);
		sea_ccdb_cache_get_stats(cache->cache, &stats);
		if (r != 1 || stats.n_waiting < cache->n_waiting_max || sea_device_is_pending(device))
			return r;
		(void)poll(&pollfd, 1, CACHE_POLL_MS);
		sea_ccdb_cache_dispatch(cache->cache);
	}
}

static int cache_on_fd(struct sea_device *device, int fd, void *userdata)
{
	struct cache *cache = userdata;

	(void)fd;
	sea_ccdb_cache_dispatch(cache->cache);
	return cache_drain(device, cache);
}

static int cache_read_columns(struct sea_device *device, struct cache *cache)
{
	struct sea_properties *properties = sea_device_properties(device);
	const uint64_t check = sea_properties_uint_or(properties, "condition-tf-per-query", 1);
	struct sea_value *value = NULL;
	struct sea_error error = { 0 };
	char line[700];
	int r = sea_properties_get(properties, "column", &value);

	if (r < 0 || value->n_items == 0) {
		sea_log(SEA_SEVERITY_ERROR, "no column is given: --column NAME=PATH");
		r = -EINVAL;
	}
	for (uint64_t i = 0; r >= 0 && i < value->n_items; i++) {
		struct sea_ccdb_column *column = &cache->columns[cache->n_columns];

		if (cache->n_columns == CACHE_N_COLUMNS_MAX) {
			sea_log(SEA_SEVERITY_ERROR, "more than %d columns (--column)", CACHE_N_COLUMNS_MAX);
			r = -E2BIG;
			break;
		}
		r = sea_ccdb_column_parse(column, value->as.strings[i], &error);
		if (r < 0)
			sea_log(SEA_SEVERITY_ERROR, "--column %s: %s", value->as.strings[i],
			        sea_error_line(&error, line, sizeof(line)));
		else
			cache->n_columns++;
		if (!column->is_checked_never && !column->check_every_ns && !column->check_every_n_tables) {
			/* As O2: 0 asks once. */
			column->is_checked_never = check == 0;
			column->check_every_n_tables = (uint32_t)check;
		}
	}
	free(value);
	return r < 0 ? r : 0;
}

static int cache_index(struct sea_properties *properties, const char *name, const char *const *words)
{
	char text[32] = "";

	sea_properties_get_text(properties, name, text, sizeof(text));
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return 0;
}

static const char *cache_text(struct sea_properties *properties, const char *name, char *text, size_t n_bytes)
{
	text[0] = 0;
	sea_properties_get_text(properties, name, text, n_bytes);
	return text[0] ? text : NULL;
}

static int cache_init(struct sea_device *device, void *userdata)
{
	static const char *const encodings[] = { "dictionary", "run-ends", "metas", NULL };
	static const char *const missings[] = { "fail", "wait", "pass", NULL };
	struct sea_properties *properties = sea_device_properties(device);
	struct cache *cache = userdata;
	char url[2048], remap[4096], disk[1024], time_column[128], run_column[128], line[700];
	struct sea_ccdb_cache_options options = { 0 };
	struct sea_error error = { 0 };
	int r = cache_read_columns(device, cache);

	if (r < 0 || (r = sea_device_heap(device, &options.heap)) < 0)
		return r;
	device_name(device, "keys", cache->keys);
	device_name(device, "tables", cache->tables);
	options.columns = cache->columns;
	options.n_columns = cache->n_columns;
	options.client.url = cache_text(properties, "condition-backend", url, sizeof(url));
	options.client.remap = cache_text(properties, "condition-remap", remap, sizeof(remap));
	options.client.disk_dir = cache_text(properties, "disk-cache", disk, sizeof(disk));
	options.client.not_after_ms = (int64_t)sea_properties_uint_or(properties, "condition-not-after", 0);
	options.client.not_before_ms = (int64_t)sea_properties_uint_or(properties, "condition-not-before", 0);
	options.client.log = cache_log;
	options.client.n_tries = (uint32_t)sea_properties_uint_or(properties, "tries", 3);
	options.time_column = cache_text(properties, "time-column", time_column, sizeof(time_column));
	options.run_column = cache_text(properties, "run-column", run_column, sizeof(run_column));
	options.encoding = (enum sea_table_encoding)cache_index(properties, "encoding", encodings);
	options.missing = (enum sea_ccdb_missing)cache_index(properties, "missing", missings);
	options.n_tables_kept = (uint32_t)sea_properties_uint_or(properties, "tables-kept", 16);
	options.is_immutable = sea_properties_bool_or(properties, "immutable", false);
	options.has_trailer = sea_properties_bool_or(properties, "trailer", false);
	options.is_apart = sea_properties_bool_or(properties, "apart", false);
	options.trusts_validity = sea_properties_bool_or(properties, "trust-validity", false);
	cache->is_failing = options.missing == SEA_CCDB_MISSING_FAIL;
	cache->n_waiting_max = sea_properties_uint_or(properties, "waiting-max", 16);
	r = sea_ccdb_cache_new(&cache->cache, &options, &error);
	if (r < 0) {
		sea_log(SEA_SEVERITY_ERROR, "%s", sea_error_line(&error, line, sizeof(line)));
		return r;
	}
	r = sea_device_on_data(device, cache->keys, cache_on_keys, cache);
	if (r == 0)
		r = sea_device_on_fd(device, sea_ccdb_cache_fd(cache->cache), cache_on_fd, cache);
	return r;
}

static int cache_init_task(struct sea_device *device, void *userdata)
{
	struct cache *cache = userdata;

	return device_channel_name(device, "tables", cache->tables);
}

static int cache_post_run(struct sea_device *device, void *userdata)
{
	struct cache *cache = userdata;
	struct sea_ccdb_client_stats client;
	struct sea_ccdb_cache_stats stats;

	(void)device;
	sea_ccdb_cache_get_stats(cache->cache, &stats);
	sea_ccdb_cache_client_stats(cache->cache, &client);
	sea_log(SEA_SEVERITY_INFO,
	        "answered %llu tables, %llu rows, %llu cells; %llu failed; %llu queries, %llu HTTP requests, %llu objects of %llu bytes fetched",
	        (unsigned long long)stats.n_tables, (unsigned long long)stats.n_rows, (unsigned long long)stats.n_cells,
	        (unsigned long long)stats.n_failed, (unsigned long long)stats.n_queries,
	        (unsigned long long)client.n_http, (unsigned long long)stats.n_fetched,
	        (unsigned long long)stats.n_bytes_fetched);
	sea_log(SEA_SEVERITY_INFO,
	        "versions in memory: %llu of %llu bytes, at most %llu; %llu dropped; row by row they would be %llu bytes",
	        (unsigned long long)stats.n_versions, (unsigned long long)stats.n_versions_bytes,
	        (unsigned long long)stats.n_versions_peak, (unsigned long long)stats.n_dropped,
	        (unsigned long long)stats.n_bytes_named);
	return 0;
}

static int cache_reset(struct sea_device *device, void *userdata)
{
	struct cache *cache = userdata;

	(void)device;
	cache->cache = sea_ccdb_cache_free(cache->cache);
	cache->n_columns = 0;
	return 0;
}

int ccdb_cache_main(int argc, char **argv)
{
	static const struct sea_option options[] = {
		{ .name = "column",
		  .type = SEA_VALUE_STRING_ARRAY,
		  .help = "NAME=PATH[,run=0|1|2][,per=row|run][,check=N|Ns|never]; PATH may be LOW-HIGH=PATH;...;PATH by run; many times" },
		{ .name = "keys", .default_text = "keys", .help = "channel that key tables come from" },
		{ .name = "tables", .default_text = "tables", .help = "channel that answers go to" },
		{ .name = "condition-backend",
		  .default_text = "http://localhost:8080",
		  .help = "the CCDB: URLs, tried in this order, separated by commas; file://DIR: a snapshot" },
		{ .name = "condition-remap",
		  .default_text = "",
		  .help = "URL=PATH,PATH;URL=PATH: these paths from there" },
		{ .name = "condition-not-before",
		  .type = SEA_VALUE_UINT,
		  .default_text = "0",
		  .help = "objects created no earlier, ms since 1970" },
		{ .name = "condition-not-after",
		  .type = SEA_VALUE_UINT,
		  .default_text = "3385078236000",
		  .help = "objects created no later, ms since 1970" },
		{ .name = "condition-tf-per-query",
		  .type = SEA_VALUE_UINT,
		  .default_text = "1",
		  .max = UINT32_MAX,
		  .help = "whether something newer is there is asked once in so many tables, where a column does not say check=; 0: never" },
		{ .name = "time-column",
		  .default_text = "",
		  .help = "of key tables; else timestamp, fTimestamp or time" },
		{ .name = "run-column",
		  .default_text = "",
		  .help = "of key tables; else run, runNumber or fRunNumber" },
		{ .name = "missing",
		  .default_text = "fail",
		  .choices = "fail|wait|pass",
		  .help = "where there is no object: end in ERROR, ask again, or say so in the table" },
		{ .name = "encoding",
		  .default_text = "dictionary",
		  .choices = "dictionary|run-ends|metas",
		  .help = "of index tables" },
		{ .name = "apart",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "false",
		  .help = "answers are tables alone, without the other parts of the request's message" },
		{ .name = "immutable",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "false",
		  .help = "objects in memory that the kernel seals against the cache as well" },
		{ .name = "trailer",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "false",
		  .help = "O2's $HEADER$ trailer behind each object" },
		{ .name = "trust-validity",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "false",
		  .help = "where the server sends no Cache-Valid-Until, believe Valid-From and Valid-Until" },
		{ .name = "disk-cache",
		  .default_text = "",
		  .help = "folder in which objects are kept between runs and processes" },
		{ .name = "tables-kept",
		  .type = SEA_VALUE_UINT,
		  .default_text = "16",
		  .max = 1000000,
		  .help = "keep what one of the last so many tables used" },
		{ .name = "waiting-max",
		  .type = SEA_VALUE_UINT,
		  .default_text = "16",
		  .min = 1,
		  .max = 100000,
		  .help = "key tables that may wait for objects at a time" },
		{ .name = "tries",
		  .type = SEA_VALUE_UINT,
		  .default_text = "3",
		  .min = 1,
		  .max = 1000,
		  .help = "per host of a fetch" },
		{ 0 },
	};
	static const struct sea_device_endpoint endpoints[] = { { "keys", 1, 0 }, { "tables", 1, 1 }, { 0 } };
	static struct cache cache;

	return sea_device_main(
		argc, argv,
		&(struct sea_device_options){
			.hooks = { .init = cache_init,
	                           .init_task = cache_init_task,
	                           .post_run = cache_post_run,
	                           .reset = cache_reset,
	                           .userdata = &cache },
			.options = options,
			.endpoints = endpoints,
			.about = "Answers key tables with tables that name calibration objects in shared memory.",
		});
}
