/* SPDX-License-Identifier: Apache-2.0 */
/* The store: who is the match, against a simple oracle; what is refused; what stays. */
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serving.h"

static struct sea_ccdb_store *store_open(void)
{
	const struct sea_ccdb_store_options options = { .no_sync = 1 };
	struct sea_ccdb_store *store;

	CHECK_OK(sea_ccdb_store_open(&store, serving_directory(), &options, NULL));
	return store;
}

/* The oracle. ---------------------------------------------------------------------------------- */

#define N_OBJECTS 300
#define T_MAX 200

struct object {
	int64_t from, until, created;
	char run[8];
	bool removed;
};

static bool fits(const struct object *object, int64_t t, const char *run, int64_t not_before, int64_t not_after)
{
	return !object->removed && object->from <= t && t < object->until && (!run || strcmp(object->run, run) == 0) &&
	       (!not_before || object->created >= not_before) && (!not_after || object->created <= not_after);
}

/* Index of the match, -1: none. */
static int oracle(const struct object *objects, int64_t t, const char *run, int64_t not_before, int64_t not_after)
{
	int best = -1;

	for (int i = 0; i < N_OBJECTS; i++)
		if (fits(&objects[i], t, run, not_before, not_after) &&
		    (best < 0 || objects[i].created > objects[best].created))
			best = i;
	return best;
}

static void oracle_compare(struct sea_ccdb_store *store, const struct object *objects, int64_t t)
{
	const char *run = test_random() % 3 ? NULL : test_random() % 2 ? "1" : "2";
	const int64_t not_after = test_random() % 2 ? 0 : 1000 + (int64_t)(test_random() % (3 * N_OBJECTS));
	const int64_t not_before = test_random() % 4 ? 0 : 1000 + (int64_t)(test_random() % (3 * N_OBJECTS));
	const struct sea_ccdb_pair pair = { "run", run };
	const struct sea_ccdb_store_query query = { .path = "P/Q",
		                                    .has_time = 1,
		                                    .time_ms = t,
		                                    .metadata = run ? &pair : NULL,
		                                    .n_metadata = run != NULL,
		                                    .not_before_ms = not_before,
		                                    .not_after_ms = not_after };
	const int wanted = oracle(objects, t, run, not_before, not_after);
	struct sea_ccdb_entry *entry;
	int64_t until;

	if (wanted < 0) {
		CHECK_ERR(sea_ccdb_store_match(store, &query, &entry), -ENOENT);
		return;
	}
	CHECK_OK(sea_ccdb_store_match(store, &query, &entry));
	CHECK_EQ(entry->created_ms, objects[wanted].created);
	CHECK_EQ(entry->valid_from_ms, objects[wanted].from);
	/* The answer holds just as long as the oracle's. */
	for (until = t + 1; until < objects[wanted].until; until++)
		if (oracle(objects, until, run, not_before, not_after) != wanted)
			break;
	CHECK_EQ(entry->cache_valid_until_ms, until);
	sea_ccdb_entry_free(entry);
}

TEST(oracle,
     "the match, and how long it stays the match, is what a simple search finds, with overlapping and nested intervals")
{
	struct sea_ccdb_store *store = store_open();
	struct object *objects = calloc(N_OBJECTS, sizeof(*objects));
	struct sea_ccdb_put *puts = calloc(N_OBJECTS, sizeof(*puts));
	struct sea_ccdb_pair *pairs = calloc(N_OBJECTS, sizeof(*pairs));

	CHECK(objects && puts && pairs);
	for (int i = 0; i < N_OBJECTS; i++) {
		objects[i].from = (int64_t)(test_random() % T_MAX);
		/* Short, long, and for ever. */
		objects[i].until = objects[i].from + 1 + (int64_t)(test_random() % (test_random() % 3 ? 5 : T_MAX));
		objects[i].created = 1000 + 3 * ((int64_t)i * 7 % N_OBJECTS);
		snprintf(objects[i].run, sizeof(objects[i].run), "%d", (int)(test_random() % 3));
		pairs[i] = (struct sea_ccdb_pair){ "run", objects[i].run };
		puts[i] = (struct sea_ccdb_put){ .path = i % 10 ? "P/Q" : "P/Other",
			                         .valid_from_ms = objects[i].from,
			                         .valid_until_ms = objects[i].until,
			                         .created_ms = objects[i].created,
			                         .metadata = &pairs[i],
			                         .n_metadata = 1,
			                         .data = &objects[i],
			                         .n_bytes = sizeof(objects[i].from) };
		objects[i].removed = i % 10 == 0;
	}
	CHECK_OK(sea_ccdb_store_put_many(store, puts, N_OBJECTS, NULL));
	for (int round = 0; round < 4; round++) {
		for (int64_t t = 0; t <= T_MAX + 5; t++)
			oracle_compare(store, objects, t);
		for (int k = 0; k < 30; k++) {
			const int64_t t = (int64_t)(test_random() % T_MAX);
			const struct sea_ccdb_store_query query = { .path = "P/Q", .has_time = 1, .time_ms = t };
			const int i = oracle(objects, t, NULL, 0, 0);

			CHECK_ERR(sea_ccdb_store_remove(store, &query), i < 0 ? -ENOENT : 0);
			if (i >= 0)
				objects[i].removed = true;
		}
	}
	free(objects);
	free(puts);
	free(pairs);
	sea_ccdb_store_close(store);
}

/* Order. --------------------------------------------------------------------------------------- */

static int created_take(const struct sea_ccdb_entry *entry, void *userdata)
{
	int64_t *last = userdata;

	CHECK(*last == 0 || entry->created_ms < *last);
	*last = entry->created_ms;
	return 0;
}

TEST(created, "within a path no two objects are created in the same millisecond, and the later is the newer")
{
	struct sea_ccdb_store *store = store_open();
	const struct sea_ccdb_store_query query = { .path = "A", .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_entry *entry;
	char uuid[64];
	int64_t last = 0;
	struct sea_ccdb_put put = {
		.path = "A", .valid_until_ms = 10, .created_ms = INT64_C(4000000000000), .data = "", .n_bytes = 0
	};

	for (int i = 0; i < 50; i++)
		snprintf(uuid, sizeof(uuid), "%s", serving_put(store, "A", 0, 10, "x"));
	CHECK_OK(sea_ccdb_store_match(store, &query, &entry));
	CHECK_STR_EQ(entry->uuid, uuid);
	sea_ccdb_entry_free(entry);
	/* The clock jumps ahead, and back. */
	CHECK_OK(sea_ccdb_store_put(store, &put, NULL, NULL));
	CHECK_OK(sea_ccdb_store_put(store, &put, NULL, NULL));
	snprintf(uuid, sizeof(uuid), "%s", serving_put(store, "A", 0, 10, "x"));
	CHECK_OK(sea_ccdb_store_match(store, &query, &entry));
	CHECK_STR_EQ(entry->uuid, uuid);
	CHECK_EQ(entry->created_ms, INT64_C(4000000000002));
	sea_ccdb_entry_free(entry);
	CHECK_EQ(sea_ccdb_store_list(store, &query, 0, 0, created_take, &last), 53);
	sea_ccdb_store_close(store);
}

TEST(many_newer, "how long an answer holds is found also where a thousand objects are newer")
{
	struct sea_ccdb_store *store = store_open();
	struct sea_ccdb_store_query query = { .path = "A", .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_put puts[1000];
	struct sea_ccdb_entry *entry;

	serving_put(store, "A", 0, 1000000, "wide");
	for (int i = 0; i < 1000; i++)
		puts[i] = (struct sea_ccdb_put){ .path = "A",
			                         .valid_from_ms = 1000 + 10 * i,
			                         .valid_until_ms = 1005 + 10 * i,
			                         .data = "n",
			                         .n_bytes = 1 };
	CHECK_OK(sea_ccdb_store_put_many(store, puts, 1000, NULL));
	CHECK_OK(sea_ccdb_store_match(store, &query, &entry));
	CHECK_EQ(entry->cache_valid_until_ms, 1000);
	sea_ccdb_entry_free(entry);
	query.time_ms = 1007;
	CHECK_OK(sea_ccdb_store_match(store, &query, &entry));
	CHECK_EQ(entry->cache_valid_until_ms, 1010);
	sea_ccdb_entry_free(entry);
	sea_ccdb_store_close(store);
}

/* What is refused. ----------------------------------------------------------------------------- */

TEST(refused, "paths, times, metadata and uuids that would confuse somebody are refused, and the error names them")
{
	static const struct sea_ccdb_pair split = { "k", "a\r\nX: y" }, header = { "content-length", "5" },
					  blank = { "a b", "c" }, latin = { "k", "\xe9" },
					  twice[] = { { "k", "1" }, { "k", "2" } };
	const struct sea_ccdb_put cases[] = {
		{ .path = "" },
		{ .path = "/A" },
		{ .path = "A/" },
		{ .path = "A//B" },
		{ .path = "A/123/B" },
		{ .path = "A/k=v" },
		{ .path = "A/../B" },
		{ .path = "A/*" },
		{ .path = "A\nB" },
		{ .path = "A\xff" },
		{ .path = "1a/2/3/4/5/6/7/8/9/10/11" },
		{ .path = "a/b/c/d/e/f/g/h/i/j/k" },
		{ .path = "A", .valid_from_ms = 5, .valid_until_ms = 5 },
		{ .path = "A", .valid_from_ms = -1 },
		{ .path = "A", .valid_until_ms = INT64_MAX },
		{ .path = "A", .metadata = &split, .n_metadata = 1 },
		{ .path = "A", .metadata = &header, .n_metadata = 1 },
		{ .path = "A", .metadata = &blank, .n_metadata = 1 },
		{ .path = "A", .metadata = &latin, .n_metadata = 1 },
		{ .path = "A", .metadata = twice, .n_metadata = 2 },
		{ .path = "A", .uuid = "nonsense" },
		{ .path = "A", .file_name = "a\nb" },
	};
	struct sea_ccdb_store *store = store_open();
	struct sea_ccdb_total total;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sea_ccdb_put put = cases[i];
		struct sea_error error = { 0 };

		put.valid_until_ms = put.valid_until_ms ? put.valid_until_ms : 10;
		put.data = "x";
		put.n_bytes = 1;
		if (sea_ccdb_store_put(store, &put, NULL, &error) != -EINVAL || !error.text[0])
			FAIL("case %zu was not refused", i);
	}
	CHECK_OK(sea_ccdb_store_total(store, &total));
	CHECK_EQ(total.n_objects, 0);
	sea_ccdb_store_close(store);
}

TEST(uuid, "a uuid that is given is kept, is there once, and a failed transaction leaves nothing")
{
	struct sea_ccdb_store *store = store_open();
	struct sea_ccdb_put puts[3] = { { .path = "A", .valid_until_ms = 10, .data = "x", .n_bytes = 1 },
		                        { .path = "B", .valid_until_ms = 10, .data = "y", .n_bytes = 1 },
		                        { .path = "B", .valid_until_ms = 10, .data = "z", .n_bytes = 1 } };
	struct sea_ccdb_entry *entry;
	struct sea_ccdb_total total;
	struct sea_ccdb_gc gc;
	struct sea_error error;

	puts[0].uuid = "01234567-89AB-cdef-0123-456789abcdef";
	CHECK_OK(sea_ccdb_store_put(store, &puts[0], &entry, NULL));
	CHECK_STR_EQ(entry->uuid, "01234567-89ab-cdef-0123-456789abcdef");
	sea_ccdb_entry_free(entry);
	puts[2].uuid = puts[0].uuid;
	CHECK_ERR(sea_ccdb_store_put_many(store, puts + 1, 2, &error), -EEXIST);
	CHECK(strstr(error.key, "object 1"));
	CHECK_OK(sea_ccdb_store_total(store, &total));
	CHECK_EQ(total.n_objects, 1);
	CHECK_EQ(total.n_paths, 1);
	CHECK_OK(sea_ccdb_store_gc(store, &gc));
	CHECK_EQ(gc.n_contents, 1);
	CHECK_EQ(gc.n_removed, 2);
	sea_ccdb_store_close(store);
}

/* Contents. ------------------------------------------------------------------------------------ */

static void content_is(struct sea_ccdb_store *store, const char *path, const char *wanted)
{
	const struct sea_ccdb_store_query query = { .path = path, .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_entry *entry;
	char bytes[64] = "";
	int fd;

	CHECK_OK(sea_ccdb_store_match(store, &query, &entry));
	fd = (int)CHECK_OK(sea_ccdb_store_open_content(store, entry));
	CHECK_EQ(read(fd, bytes, sizeof(bytes) - 1), (ssize_t)strlen(wanted));
	CHECK_STR_EQ(bytes, wanted);
	close(fd);
	sea_ccdb_entry_free(entry);
}

TEST(contents,
     "equal contents are stored once, and go when the last object that names them goes; who has one open keeps it")
{
	struct sea_ccdb_store *store = store_open();
	const struct sea_ccdb_store_query a = { .path = "A", .has_time = 1, .time_ms = 5 };
	const struct sea_ccdb_store_query b = { .path = "B", .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_entry *entry;
	struct sea_ccdb_gc gc;
	char bytes[8] = "";
	int fd;

	serving_put(store, "A", 0, 10, "same");
	serving_put(store, "B", 0, 10, "same");
	CHECK_OK(sea_ccdb_store_gc(store, &gc));
	CHECK_EQ(gc.n_contents, 1);
	CHECK_OK(sea_ccdb_store_match(store, &b, &entry));
	CHECK_OK(sea_ccdb_store_remove(store, &a));
	content_is(store, "B", "same");
	fd = (int)CHECK_OK(sea_ccdb_store_open_content(store, entry));
	CHECK_OK(sea_ccdb_store_remove(store, &b));
	CHECK_OK(sea_ccdb_store_gc(store, &gc));
	CHECK_EQ(gc.n_contents, 0);
	CHECK_EQ(read(fd, bytes, 4), 4);
	CHECK_STR_EQ(bytes, "same");
	close(fd);
	CHECK_ERR(sea_ccdb_store_open_content(store, entry), -ENOENT);
	sea_ccdb_entry_free(entry);
	sea_ccdb_store_close(store);
}

TEST(collision, "a file of the same name and other bytes is not taken for the content")
{
	struct sea_ccdb_store *store = store_open();
	char path[600];
	FILE *file;

	/* The MD5 of "hello". */
	snprintf(path, sizeof(path), "%s/data/5d", serving_directory());
	CHECK_SYS(mkdir(path, 0777));
	snprintf(path, sizeof(path), "%s/data/5d/5d41402abc4b2a76b9719d911017c592-5", serving_directory());
	file = fopen(path, "w");
	CHECK(file && fputs("forge", file) >= 0 && fclose(file) == 0);
	serving_put(store, "A", 0, 10, "hello");
	content_is(store, "A", "hello");
	sea_ccdb_store_close(store);
}

/* The folder. ---------------------------------------------------------------------------------- */

TEST(reopen, "what was put is there in the next life, and for who only reads; he changes nothing")
{
	const struct sea_ccdb_store_options options = { .read_only = 1 };
	const struct sea_ccdb_store_query query = { .path = "A", .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_put put = { .path = "A", .valid_until_ms = 10, .data = "x", .n_bytes = 1 };
	struct sea_ccdb_store *store;

	CHECK_ERR(sea_ccdb_store_open(&store, serving_directory(), &options, NULL), -ENOENT);
	store = store_open();
	serving_put(store, "A", 0, 10, "hello");
	sea_ccdb_store_close(store);
	store = store_open();
	content_is(store, "A", "hello");
	sea_ccdb_store_close(store);
	CHECK_OK(sea_ccdb_store_open(&store, serving_directory(), &options, NULL));
	content_is(store, "A", "hello");
	CHECK_ERR(sea_ccdb_store_put(store, &put, NULL, NULL), -EROFS);
	CHECK_ERR(sea_ccdb_store_remove(store, &query), -EROFS);
	CHECK_ERR(sea_ccdb_store_update(store, &query, 20, NULL, 0, NULL, NULL), -EROFS);
	CHECK_ERR(sea_ccdb_store_gc(store, NULL), -EROFS);
	sea_ccdb_store_close(store);
}

static void index_run(const char *sql)
{
	char path[600];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index.sqlite", serving_directory());
	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_EQ(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

TEST(versions, "an index of a newer version, of another program, or that is none is refused with a clear word")
{
	struct sea_ccdb_store *store = store_open();
	struct sea_error error = { 0 };
	char path[600];
	FILE *file;

	sea_ccdb_store_close(store);
	index_run("PRAGMA user_version = 99");
	CHECK_ERR(sea_ccdb_store_open(&store, serving_directory(), NULL, &error), -EPROTO);
	CHECK(strstr(error.text, "99") && strstr(error.text, "newer"));
	index_run("PRAGMA user_version = 1; PRAGMA application_id = 5");
	CHECK_ERR(sea_ccdb_store_open(&store, serving_directory(), NULL, &error), -EBADMSG);
	snprintf(path, sizeof(path), "%s/index.sqlite", serving_directory());
	file = fopen(path, "w");
	CHECK(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database ", file);
	CHECK_EQ(fclose(file), 0);
	CHECK_ERR(sea_ccdb_store_open(&store, serving_directory(), NULL, &error), -EBADMSG);
}

TEST(update, "an update changes what it says and nothing else, and says whether it did")
{
	static const struct sea_ccdb_pair at_first[] = { { "a", "1" }, { "b", "2" } },
					  set[] = { { "b", "" }, { "c", "3" } };
	struct sea_ccdb_store *store = store_open();
	const struct sea_ccdb_store_query query = { .path = "A", .has_time = 1, .time_ms = 5 };
	struct sea_ccdb_put put = {
		.path = "A", .valid_until_ms = 10, .metadata = at_first, .n_metadata = 2, .data = "x", .n_bytes = 1
	};
	struct sea_ccdb_entry *entry;
	struct sea_error error;

	CHECK_OK(sea_ccdb_store_put(store, &put, NULL, NULL));
	CHECK_EQ(sea_ccdb_store_update(store, &query, -1, set, 2, &entry, NULL), 1);
	CHECK_EQ(entry->n_metadata, 2);
	CHECK_STR_EQ(sea_ccdb_entry_get(entry, "a"), "1");
	CHECK_STR_EQ(sea_ccdb_entry_get(entry, "c"), "3");
	CHECK(!sea_ccdb_entry_get(entry, "b"));
	CHECK_EQ(entry->valid_until_ms, 10);
	sea_ccdb_entry_free(entry);
	CHECK_EQ(sea_ccdb_store_update(store, &query, 10, set, 2, NULL, NULL), 0);
	CHECK_EQ(sea_ccdb_store_update(store, &query, 6, NULL, 0, &entry, NULL), 1);
	CHECK_EQ(entry->valid_until_ms, 6);
	CHECK_EQ(entry->initial_until_ms, 10);
	sea_ccdb_entry_free(entry);
	CHECK_ERR(sea_ccdb_store_update(store, &query, 0, NULL, 0, NULL, &error), -EINVAL);
	sea_ccdb_store_close(store);
}
