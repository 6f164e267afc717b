/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server would say: the sink asks the store itself, past server, client and cache, about each ms of each path, and compares every row
 * of a table with it. The rows' times it takes from the plan, not from what came.
 *
 * The odd rule: nothing is remembered from one timeframe to the next but what each version's bytes are.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <sealane/ccdb/ccdb.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cleanup.h"
#include "demo-calibration.h"
#include "demo-seen.h"

#define N_BATCH_ROWS 1024u
/* No version: neither asked for nor there. */
#define NONE UINT32_MAX
#define NOT_LOOKED_UP (UINT32_MAX - 1)

struct known_version {
	char uuid[SEA_CCDB_STORE_UUID_N_BYTES];
	unsigned column;
	uint64_t content_hash;
	bool is_seen;
};

struct demo_oracle {
	const struct demo_plan *plan;
	struct sea_ccdb_store *store;
	struct sea_decoder *decoder;
	struct known_version *versions;
	size_t n_versions, n_versions_max;
	/* Of the timeframe in hand: which version holds at each ms of each run. */
	uint32_t expected[DEMO_N_COLUMNS][DEMO_N_RUNS][DEMO_TIMEFRAME_MS];
	int64_t times_ms[DEMO_N_ROWS_MAX];
	int32_t runs[DEMO_N_ROWS_MAX];
	uint32_t found[DEMO_N_SEEN_MAX]; /* version of each row of the object table */
	struct demo_seen seen;           /* by this process, row by row */
};

struct demo_oracle *demo_oracle_free(struct demo_oracle *oracle)
{
	if (!oracle)
		return NULL;
	sea_decoder_free(oracle->decoder);
	sea_ccdb_store_close(oracle->store);
	free(oracle->versions);
	free(oracle);
	return NULL;
}

int demo_oracle_new(struct demo_oracle **ret_oracle, const struct demo_plan *plan, struct sea_error *error)
{
	struct demo_oracle *oracle = calloc(1, sizeof(*oracle));
	int r;

	if (!oracle)
		return sea_error_set(error, -ENOMEM, "oracle", "out of memory");
	oracle->plan = plan;
	r = sea_ccdb_store_open(&oracle->store, plan->calibration->store,
	                        &(struct sea_ccdb_store_options){ .read_only = 1 }, error);
	if (r == 0)
		r = demo_seen_decoder(&oracle->decoder);
	if (r < 0) {
		demo_oracle_free(oracle);
		return r;
	}
	*ret_oracle = oracle;
	return 0;
}

/* The hash of what the store has of an object, read from its file. */
static int content_hash(struct sea_ccdb_store *store, const struct sea_ccdb_entry *entry, uint64_t *ret_hash)
{
	TOOL_AUTO_FD int fd = sea_ccdb_store_open_content(store, entry);
	void *data;

	if (fd < 0)
		return fd;
	data = mmap(NULL, entry->n_bytes ? entry->n_bytes : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*ret_hash = XXH3_64bits(data, entry->n_bytes);
	munmap(data, entry->n_bytes ? entry->n_bytes : 1);
	return 0;
}

static uint32_t version_find(const struct demo_oracle *oracle, unsigned column, const char *uuid)
{
	for (size_t i = oracle->n_versions; i-- > 0;)
		if (oracle->versions[i].column == column && strcmp(oracle->versions[i].uuid, uuid) == 0)
			return (uint32_t)i;
	return NONE;
}

/* The version of an entry of the store: known, or from now on. */
static int version_know(struct demo_oracle *oracle, unsigned column, const struct sea_ccdb_entry *entry, uint32_t *ret)
{
	struct known_version *version;
	int r;

	*ret = version_find(oracle, column, entry->uuid);
	if (*ret != NONE)
		return 0;
	if (oracle->n_versions == oracle->n_versions_max) {
		size_t n_max = oracle->n_versions_max ? 2 * oracle->n_versions_max : 64;
		struct known_version *versions = reallocarray(oracle->versions, n_max, sizeof(*versions));

		if (!versions)
			return -ENOMEM;
		oracle->versions = versions;
		oracle->n_versions_max = n_max;
	}
	version = &oracle->versions[oracle->n_versions];
	*version = (struct known_version){ .column = column };
	snprintf(version->uuid, sizeof(version->uuid), "%s", entry->uuid);
	r = content_hash(oracle->store, entry, &version->content_hash);
	if (r < 0)
		return r;
	*ret = (uint32_t)oracle->n_versions++;
	return 0;
}

static int oracle_ask(struct demo_oracle *oracle, unsigned column, int32_t run, int64_t time_ms, uint32_t *ret_version,
                      struct sea_error *error)
{
	char text[16];
	const struct sea_ccdb_pair pair = { "runNumber", text };
	const struct sea_ccdb_store_query query = {
		.path = demo_columns[column].path,
		.has_time = 1,
		.time_ms = time_ms,
		.metadata = &pair,
		.n_metadata = demo_columns[column].has_run ? 1 : 0,
	};
	struct sea_ccdb_entry *entry = NULL;
	int r;

	snprintf(text, sizeof(text), "%d", run);
	r = sea_ccdb_store_match(oracle->store, &query, &entry);
	if (r == 0)
		r = version_know(oracle, column, entry, ret_version);
	sea_ccdb_entry_free(entry);
	return r < 0 ? sea_error_set(error, r, query.path, "the store has no answer for %" PRId64 " ms: %s", time_ms,
	                             sea_error_text(r))
	             : 0;
}

/* Asks about each ms that a row of the timeframe has, in the run that it has. */
static int oracle_ask_all(struct demo_oracle *oracle, uint64_t timeframe, size_t n_rows, struct demo_tables *tables,
                          struct sea_error *error)
{
	const int64_t begin_ms = demo_timeline_begin_ms(timeframe);

	memset(oracle->expected, 0xff, sizeof(oracle->expected));
	for (unsigned column = 0; column < DEMO_N_COLUMNS; column++)
		for (size_t i = 0; i < n_rows; i++) {
			uint32_t *version =
				&oracle->expected[column][oracle->runs[i] - DEMO_RUN][oracle->times_ms[i] - begin_ms];
			int r;

			if (*version != NONE)
				continue;
			r = oracle_ask(oracle, column, oracle->runs[i], oracle->times_ms[i], version, error);
			if (r < 0)
				return r;
			tables->n_asked++;
		}
	return 0;
}

static uint32_t object_look_up(struct demo_oracle *oracle, const struct sea_table_object *object, unsigned column,
                               struct demo_tables *tables)
{
	uint32_t version;
	uint64_t hash = 0;

	if (object->status != SEA_TABLE_OK || strcmp(object->path, demo_columns[column].path) != 0)
		return NONE;
	version = version_find(oracle, column, object->uuid);
	if (version == NONE || demo_seen_content(oracle->decoder, object, &hash, NULL) < 0 ||
	    hash != oracle->versions[version].content_hash)
		return NONE;
	if (!oracle->versions[version].is_seen)
		tables->n_seen++;
	oracle->versions[version].is_seen = true;
	return version;
}

/* Which known version an object of the table is, its bytes included; NONE: none. */
static uint32_t object_version(struct demo_oracle *oracle, const struct sea_table_object *object, unsigned column,
                               struct demo_tables *tables)
{
	uint32_t *found;

	if (!object || object->row >= DEMO_N_SEEN_MAX)
		return NONE;
	found = &oracle->found[object->row];
	if (*found == NOT_LOOKED_UP)
		*found = object_look_up(oracle, object, column, tables);
	return *found;
}

static void wrong_row(struct demo_oracle *oracle, struct demo_tables *tables, unsigned column, size_t row,
                      const struct sea_table_object *object, uint32_t expected, uint64_t timeframe,
                      struct sea_error *error)
{
	if (tables->n_wrong++ > 0 || !error || error->code)
		return;
	sea_error_set(error, -EBADMSG, demo_columns[column].path,
	              "timeframe %" PRIu64 ", row %zu, time %" PRId64 ": the table has %s, the server's is %s%s",
	              timeframe, row, oracle->times_ms[row], object && object->uuid[0] ? object->uuid : "nothing",
	              oracle->versions[expected].uuid,
	              object && strcmp(object->uuid, oracle->versions[expected].uuid) == 0 ? " with other bytes" : "");
}

/* A run of equal versions ends: to what this process has seen. */
static int run_end(struct demo_oracle *oracle, struct sea_table_run *run, int64_t next_row, struct sea_error *error)
{
	int r = 0;

	run->n_rows = next_row - run->first_row;
	if (run->n_rows > 0)
		r = demo_seen_add(&oracle->seen, oracle->decoder, run, error);
	run->first_row = next_row;
	return r;
}

/* Every row of a column, looked up one by one. */
static int column_check(struct demo_oracle *oracle, const struct sea_table *table, unsigned column, uint64_t timeframe,
                        struct demo_tables *tables, struct sea_error *error)
{
	const size_t n_rows = (size_t)sea_table_n_rows(table);
	const int64_t begin_ms = demo_timeline_begin_ms(timeframe);
	const struct sea_table_object *objects[N_BATCH_ROWS];
	struct sea_table_run run = { 0 };
	uint32_t version = NONE;
	int r;

	for (size_t first = 0; first < n_rows; first += N_BATCH_ROWS) {
		const size_t n = n_rows - first < N_BATCH_ROWS ? n_rows - first : N_BATCH_ROWS;

		r = sea_table_get_many(table, (int64_t)first, n, column, objects);
		if (r < 0)
			return sea_error_set(error, r, demo_columns[column].name, "a row names no object");
		for (size_t i = 0; i < n; i++) {
			const size_t row = first + i;
			const uint32_t expected = oracle->expected[column][oracle->runs[row] - DEMO_RUN]
			                                          [oracle->times_ms[row] - begin_ms];

			if (objects[i] != run.object) {
				r = run_end(oracle, &run, (int64_t)row, error);
				if (r < 0)
					return r;
				run.object = objects[i];
				version = object_version(oracle, objects[i], column, tables);
			}
			if (version != expected)
				wrong_row(oracle, tables, column, row, objects[i], expected, timeframe, error);
		}
		tables->n_cells += n;
	}
	return run_end(oracle, &run, (int64_t)n_rows, error);
}

static int table_check(struct demo_oracle *oracle, const struct sea_table *table, uint64_t timeframe,
                       struct demo_tables *tables, struct sea_error *error)
{
	const size_t n_rows = demo_timeline_n_rows(oracle->plan, timeframe);
	const char *number = sea_table_metadata(table, "timeframe");
	int r;

	if ((size_t)sea_table_n_rows(table) != n_rows || sea_table_n_columns(table) != DEMO_N_COLUMNS)
		return sea_error_set(error, -EBADMSG, "table",
		                     "timeframe %" PRIu64 " has %" PRId64 " rows of %zu columns, not %zu of %u",
		                     timeframe, sea_table_n_rows(table), sea_table_n_columns(table), n_rows,
		                     DEMO_N_COLUMNS);
	if (!number || strtoull(number, NULL, 10) != timeframe)
		return sea_error_set(error, -EBADMSG, "table", "timeframe %" PRIu64 " came with the table of %s",
		                     timeframe, number ? number : "none");
	demo_timeline_fill(oracle->plan, timeframe, n_rows, oracle->times_ms, oracle->runs);
	r = oracle_ask_all(oracle, timeframe, n_rows, tables, error);
	demo_seen_begin(&oracle->seen, timeframe, table);
	for (size_t i = 0; i < DEMO_N_SEEN_MAX; i++)
		oracle->found[i] = NOT_LOOKED_UP;
	for (unsigned column = 0; column < DEMO_N_COLUMNS && r == 0; column++) {
		if (sea_table_find_column(table, demo_columns[column].name) != (int)column)
			return sea_error_set(error, -EBADMSG, demo_columns[column].name, "is not column %u", column);
		r = column_check(oracle, table, column, timeframe, tables, error);
	}
	if (r == 0) {
		tables->n_rows += n_rows;
		tables->n_tables++;
	}
	return r;
}

/* Parts of the two tables and their objects. */
static size_t table_n_parts(const struct sea_table *table)
{
	int32_t last = 1;

	for (size_t i = 0; i < sea_table_n_objects(table); i++)
		if (sea_table_get_object(table, i)->part > last)
			last = sea_table_get_object(table, i)->part;
	return (size_t)last + 1;
}

int demo_oracle_check(struct demo_oracle *oracle, struct sea_message *message, const struct sea_part *parts,
                      size_t n_parts, size_t first, uint64_t timeframe, struct demo_tables *tables,
                      struct sea_error *error)
{
	const struct sea_part *seen = n_parts > first + 2 ? &parts[n_parts - 2] : NULL;
	struct sea_table *table = NULL;
	struct sea_error first_error = { 0 };
	uint64_t n_wrong = tables->n_wrong;
	int r = seen ? sea_table_open(&table, message, first, NULL, &first_error) : -EBADMSG;

	if (r == 0 && first + table_n_parts(table) + 2 != n_parts)
		r = sea_error_set(&first_error, -EBADMSG, "message",
		                  "timeframe %" PRIu64 " has %zu parts too many or too few", timeframe,
		                  n_parts - first - table_n_parts(table));
	if (r == 0)
		r = table_check(oracle, table, timeframe, tables, &first_error);
	if (r == 0 && (seen->n_bytes != demo_seen_n_bytes(&oracle->seen) ||
	               memcmp(seen->data, &oracle->seen, seen->n_bytes) != 0))
		r = sea_error_set(&first_error, -EBADMSG, "seen",
		                  "timeframe %" PRIu64 ": its processor saw other objects than the sink", timeframe);
	sea_table_close(table);
	/* A table that is wrong as a whole is one wrong cell at least. */
	if (r < 0 && tables->n_wrong == n_wrong)
		tables->n_wrong++;
	if (tables->n_wrong == n_wrong)
		return 0;
	if (error && !error->code)
		*error = first_error;
	return -EBADMSG;
}
