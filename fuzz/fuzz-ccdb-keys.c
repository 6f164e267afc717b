/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reader sends to the cache: key tables, as they are or a good one with some bytes changed, whose answer is made without a server, from a snapshot that
 * is not there. And columns as text.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/arrow.h>
#include <sealane/ccdb/ccdb.h>
#include <sealane/sealane.h>

#include "fuzz.h"

enum { N_ROWS = 6, N_STREAM_MAX = 8192, N_QUERIES_MAX = 3000 };

/* Two batches of times and runs, with room for nulls. */
static size_t own_stream(uint8_t *memory, size_t n_bytes)
{
	static const struct sea_arrow_pair metadata = { .key = "timeframe", .value = "17", .n_value = 2 };
	struct sea_arrow_field fields[2];
	struct sea_arrow_schema schema = { .fields = fields, .n_fields = 2, .metadata = &metadata, .n_metadata = 1 };
	struct sea_arrow_writer *writer;
	uint64_t n_written;

	FUZZ_CHECK(sea_arrow_field_init(&fields[0], "timestamp", "l") == 0);
	FUZZ_CHECK(sea_arrow_field_init(&fields[1], "run", "i") == 0);
	fields[0].is_nullable = fields[1].is_nullable = true;
	FUZZ_CHECK(sea_arrow_writer_new(&writer, &schema, NULL) == 0);
	FUZZ_CHECK(sea_arrow_writer_set_memory(writer, memory, n_bytes) == 0);
	FUZZ_CHECK(sea_arrow_writer_begin(writer, NULL) == 0);
	for (int b = 0; b < 2; b++) {
		struct sea_arrow_slot slots[2] = { { .n_rows = N_ROWS }, { .n_rows = N_ROWS } };

		FUZZ_CHECK(sea_arrow_writer_reserve(writer, slots, 2, NULL) == 0);
		for (int i = 0; i < N_ROWS; i++) {
			((int64_t *)slots[0].data)[i] = 1000 + 10 * i - 25 * b;
			((int32_t *)slots[1].data)[i] = 7 + i / 3;
		}
		FUZZ_CHECK(sea_arrow_writer_commit(writer, NULL) == 0);
	}
	FUZZ_CHECK(sea_arrow_writer_end(writer, &n_written, NULL) == 0);
	sea_arrow_writer_free(writer);
	return n_written;
}

static struct sea_ccdb_cache *cache_new(uint8_t choice)
{
	static const char *const texts[] = { "plain=A/B", "run=C,run=1", "time=D,run=2",
		                             "range=-7=E/low;8-=E/high,per=run" };
	struct sea_ccdb_column columns[4];
	struct sea_ccdb_cache_options options = {
		.client = { .url = "file:///nonexistent/sealane", .no_environment = true },
		.heap = sea_session_heap(fuzz_session()),
		.columns = columns,
		.n_columns = choice % 2 ? 1 : 4,
		.encoding = (enum sea_table_encoding)(choice / 2 % 3),
		.missing = SEA_CCDB_MISSING_PASS,
	};
	struct sea_ccdb_cache *cache;

	for (int i = 0; i < 4; i++)
		FUZZ_CHECK(sea_ccdb_column_parse(&columns[i], texts[i], NULL) == 0);
	FUZZ_CHECK(sea_ccdb_cache_new(&cache, &options, NULL) == 0);
	return cache;
}

/* An answer has all rows of its request, each with an object or a reason. */
static void answer_check(struct sea_message *answer)
{
	struct sea_table *table;
	size_t part;

	FUZZ_CHECK(sea_table_find(answer, &part) == 0);
	FUZZ_CHECK(sea_table_open(&table, answer, part, NULL, NULL) == 0);
	for (size_t c = 0; c < sea_table_n_columns(table); c++) {
		struct sea_table_run run = { 0 };
		int64_t n_rows = 0;

		while (sea_table_run_next(table, c, &run) == 1) {
			FUZZ_CHECK(run.object && run.object->status != SEA_TABLE_OK);
			n_rows += run.n_rows;
		}
		FUZZ_CHECK(n_rows == sea_table_n_rows(table));
	}
	sea_table_close(table);
}

/* Two tables at once, until both are answered or it is many times. */
static void keys_ask(const uint8_t *data, size_t n_bytes, uint8_t choice)
{
	struct sea_ccdb_cache *cache = cache_new(choice);
	struct pollfd pollfd = { .fd = sea_ccdb_cache_fd(cache), .events = POLLIN };
	struct sea_ccdb_cache_stats stats;
	struct sea_error error = { 0 };

	for (int i = 0; i < 2; i++) {
		struct sea_message *message;

		FUZZ_CHECK(sea_message_new(&message, sea_session_heap(fuzz_session()), n_bytes, 64, 0) == 0);
		if (n_bytes)
			memcpy(sea_message_write(message), data, n_bytes);
		if (sea_ccdb_cache_put(cache, &message, &error) < 0) {
			FUZZ_CHECK(error.code < 0 && error.text[0]);
			sea_message_unref(message);
		}
	}
	for (;;) {
		struct sea_message *answer = NULL;
		int r = sea_ccdb_cache_take(cache, &answer, &error);

		if (r == 1)
			answer_check(answer);
		sea_message_unref(answer);
		sea_ccdb_cache_get_stats(cache, &stats);
		if (stats.n_waiting == 0 || stats.n_queries > N_QUERIES_MAX)
			break;
		if (r == 0) {
			FUZZ_CHECK(poll(&pollfd, 1, 5000) == 1);
			FUZZ_CHECK(sea_ccdb_cache_dispatch(cache) == 0);
		}
	}
	sea_ccdb_cache_free(cache);
}

static void column_ask(const uint8_t *data, size_t n_bytes)
{
	struct sea_ccdb_column column;
	struct sea_error error = { 0 };
	char *text = strndup((const char *)data, n_bytes), path[sizeof(column.paths)];

	FUZZ_CHECK(text);
	if (sea_ccdb_column_parse(&column, text, &error) < 0) {
		FUZZ_CHECK(error.code == -EINVAL && error.text[0]);
	} else {
		FUZZ_CHECK(memchr(column.name, 0, sizeof(column.name)) &&
		           memchr(column.paths, 0, sizeof(column.paths)));
		(void)sea_ccdb_column_wants_run(&column);
		for (int64_t run = -1; run < 20; run++) {
			/* No room for more than it says. */
			(void)sea_ccdb_column_path(&column, run, path, 2);
			if (sea_ccdb_column_path(&column, run, path, sizeof(path)) == 0)
				FUZZ_CHECK(path[0] && strstr(column.paths, path));
		}
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	static _Alignas(64) uint8_t own[N_STREAM_MAX];
	static size_t n_own;
	uint8_t stream[N_STREAM_MAX];

	if (n_own == 0)
		n_own = own_stream(own, sizeof(own));
	if (n_bytes < 2)
		return 0;
	switch (data[0] % 4) {
	case 0: column_ask(data + 1, n_bytes - 1); break;
	case 1: keys_ask(data + 2, n_bytes - 2 < N_STREAM_MAX ? n_bytes - 2 : N_STREAM_MAX, data[1]); break;
	default:
		memcpy(stream, own, n_own);
		for (size_t i = 2; i + 3 <= n_bytes; i += 3)
			stream[((size_t)data[i] << 8 | data[i + 1]) % n_own] = data[i + 2];
		keys_ask(stream, n_own, data[1]);
	}
	return 0;
}
