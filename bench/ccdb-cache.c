/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache: what a key table costs the cache of calibration objects when nothing changes: it is read, looked up, answered, and the answer is given back.
 *
 * The odd rule: there is no server while it is measured: the objects come from a snapshot folder once, and the columns' policy asks for nothing more.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sealane/arrow/arrow.h>
#include <sealane/ccdb/ccdb.h>

#define N_COLUMNS 100
#define N_SIZES 4
#define TIME_MS INT64_C(1700000000000)
/* Of one timeframe: 11.4 ms, so 12 values. */
#define SPAN_MS 12

struct cache {
	struct sea_session *session;
	struct sea_ccdb_cache *cache;
	struct sea_message *keys[2]; /* one after the other */
	uint64_t n_queries, n_tables;
};

static size_t n_rows;
static bool is_numbered; /* the timeframe's number stands in the key table's metadata: no two are alike */

/* A snapshot has <path>/snapshot.root. */
static void snapshot_write(char *url, size_t n_bytes)
{
	char path[700];

	snprintf(url, n_bytes, "file://%s/snapshot", bench_config.directory);
	snprintf(path, sizeof path, "%s/snapshot", bench_config.directory);
	mkdir(path, 0700);
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		FILE *file;

		snprintf(path, sizeof path, "%s/snapshot/Object%u", bench_config.directory, i);
		mkdir(path, 0700);
		snprintf(path, sizeof path, "%s/snapshot/Object%u/snapshot.root", bench_config.directory, i);
		file = fopen(path, "w");
		bench_check(file != NULL, "%s: %s", path, strerror(errno));
		fprintf(file, "calibration %u", i);
		fclose(file);
	}
}

static struct sea_message *keys_new(struct sea_session *session, const char *number)
{
	const struct sea_arrow_pair metadata = { "timeframe", number, strlen(number) };
	struct sea_arrow_field field;
	struct sea_arrow_schema schema = { .fields = &field, .n_fields = 1 };
	struct sea_arrow_slot slot = { .n_rows = (int64_t)n_rows };
	struct sea_arrow_writer *writer;
	struct sea_message *message;
	uint64_t n_batch;
	int r;

	if (is_numbered) {
		schema.metadata = &metadata;
		schema.n_metadata = 1;
	}
	sea_arrow_field_init(&field, "timestamp", "L");
	r = sea_arrow_writer_new(&writer, &schema, NULL);
	bench_check(r == 0, "sea_arrow_writer_new: %s", sea_error_text(r));
	sea_arrow_writer_batch_size(writer, &slot, 1, &n_batch, NULL);
	r = sea_message_new(&message, sea_session_heap(session),
	                    sea_arrow_writer_schema_size(writer) + n_batch + SEA_ARROW_END_N_BYTES, 64, 0);
	bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
	sea_arrow_writer_set_memory(writer, sea_message_write(message), sea_message_size(message));
	r = sea_arrow_writer_begin(writer, NULL);
	bench_check(r == 0 && sea_arrow_writer_reserve(writer, &slot, 1, NULL) == 0, "the key table does not fit");
	for (size_t i = 0; i < n_rows; i++)
		((int64_t *)slot.data)[i] = TIME_MS + (int64_t)(i * SPAN_MS / n_rows);
	r = sea_arrow_writer_commit(writer, NULL);
	bench_check(r == 0 && sea_arrow_writer_end(writer, NULL, NULL) == 0, "the key table cannot be written");
	sea_arrow_writer_free(writer);
	return message;
}

static void cache_answer(struct cache *cache)
{
	struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(cache->cache), .events = POLLIN };
	struct sea_message *message = sea_message_ref(cache->keys[cache->n_tables++ % 2]), *answer;
	struct sea_error error = { 0 };
	char line[700];
	int r = sea_ccdb_cache_put(cache->cache, &message, &error);

	while (r == 0 && (r = sea_ccdb_cache_take(cache->cache, &answer, &error)) == 0) {
		bench_check(poll(&pollfd, 1, 60000) == 1, "the cache has nothing to say");
		sea_ccdb_cache_dispatch(cache->cache);
	}
	bench_check(r == 1, "%s", sea_error_line(&error, line, sizeof line));
	sea_message_unref(answer);
}

static int cache_open(struct bench_job *job, int side)
{
	struct sea_ccdb_column *columns = calloc(N_COLUMNS, sizeof *columns);
	struct sea_ccdb_cache_options options = { .columns = columns, .n_columns = N_COLUMNS, .trusts_validity = true };
	struct cache *cache = calloc(1, sizeof *cache);
	struct sea_ccdb_cache_stats stats;
	struct sea_error error = { 0 };
	char url[600], text[100];
	int r;

	(void)side;
	bench_check(columns != NULL && cache != NULL, "no memory");
	snapshot_write(url, sizeof url);
	r = sea_session_open(&cache->session, &(struct sea_session_options){ .name = "bench-cache" });
	bench_check(r == 0, "sea_session_open: %s", sea_error_text(r));
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		snprintf(text, sizeof text, "c%u=Object%u,check=never", i, i);
		sea_ccdb_column_parse(&columns[i], text, NULL);
	}
	options.heap = sea_session_heap(cache->session);
	options.client.url = url;
	r = sea_ccdb_cache_new(&cache->cache, &options, &error);
	bench_check(r == 0, "sea_ccdb_cache_new: %s", error.text);
	free(columns);
	cache->keys[0] = keys_new(cache->session, "4711");
	cache->keys[1] = keys_new(cache->session, "4712");
	for (unsigned i = 0; i < 3; i++)
		cache_answer(cache);
	sea_ccdb_cache_get_stats(cache->cache, &stats);
	cache->n_queries = stats.n_queries;
	job->state = cache;
	return 0;
}

static void cache_close(struct bench_job *job, int side)
{
	struct cache *cache = job->state;
	struct sea_ccdb_cache_stats stats;

	(void)side;
	sea_ccdb_cache_get_stats(cache->cache, &stats);
	bench_check(stats.n_queries == cache->n_queries, "it asked %llu times although nothing changes",
	            (unsigned long long)(stats.n_queries - cache->n_queries));
	sea_message_unref(cache->keys[0]);
	sea_message_unref(cache->keys[1]);
	sea_ccdb_cache_free(cache->cache);
	sea_session_close(cache->session);
	free(cache);
}

static const struct bench_road road_cache = { .name = "sealane", .open = cache_open, .close = cache_close };

static void turn_cache(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	(void)side;
	(void)turn;
	for (uint64_t i = 0; i < n; i++)
		cache_answer(job->state);
}

static double value_us(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)(sides[0].end_ns - sides[0].start_ns) / (double)sides[0].n / 1000;
}

int bench_cache(void)
{
	static const size_t sizes[N_SIZES] = { 100, 1000, 10000, 100000 };

	bench_print_header("cache", "a key table of 100 columns is answered, and nothing has changed");
	for (size_t i = 0; i < 2 * N_SIZES; i++) {
		struct bench_job *job;
		struct bench_row row;
		char name[64];
		int r;

		if (bench_config.quick && sizes[i % N_SIZES] != 1000)
			continue;
		is_numbered = i >= N_SIZES;
		snprintf(name, sizeof name, "%zu rows%s", sizes[i % N_SIZES], is_numbered ? ", numbered" : "");
		if (!bench_wanted(name))
			continue;
		n_rows = sizes[i % N_SIZES];
		job = bench_job_new("sealane", BENCH_OURS, &road_cache, turn_cache);
		job->mix = bench_mix_single(8 * n_rows);
		job->n_sides = 1;
		r = bench_run(&job, 1);
		if (r == 0) {
			bench_row_init(&row, "cache", name, "us", value_us, &job, 1);
			/* 20 us, and 1 ns per row and column. */
			row.value_at_most = 20 + 1e-3 * (double)n_rows * N_COLUMNS;
			if (row.ours != NULL)
				bench_row_print(&row);
		}
		bench_job_free(job);
		if (r != 0)
			return -1;
	}
	return 0;
}
