/* SPDX-License-Identifier: Apache-2.0 */
/* Several writers on one folder, and writers that are killed in the middle: what is there is whole, what is said to be there is. */
#include <dirent.h>
#include <fcntl.h>
#include <md5.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serving.h"

#define N_WRITERS 3
#define N_EACH 25
#define N_KILLS 30
#define N_BYTES_MAX 300000

static struct sea_ccdb_store *store_open(bool no_sync)
{
	const struct sea_ccdb_store_options options = { .no_sync = no_sync };
	struct sea_ccdb_store *store;

	CHECK_OK(sea_ccdb_store_open(&store, serving_directory(), &options, NULL));
	return store;
}

static size_t count_files(const char *folder)
{
	char path[600];
	DIR *directory;
	size_t n = 0;
	const struct dirent *item;

	snprintf(path, sizeof(path), "%s/%s", serving_directory(), folder);
	directory = opendir(path);
	CHECK(directory);
	while ((item = readdir(directory)))
		n += item->d_name[0] != '.';
	closedir(directory);
	return n;
}

/* Checks one object: its content is there and has the MD5 that the index says. */
static int entry_check(const struct sea_ccdb_entry *entry, void *userdata)
{
	/* Not the store of the listing, which must not be called from here. */
	struct sea_ccdb_store *store = userdata;
	const int fd = (int)CHECK_OK(sea_ccdb_store_open_content(store, entry));
	char digest[33], *bytes = malloc(entry->n_bytes + 1);

	CHECK(bytes);
	CHECK_EQ(read(fd, bytes, entry->n_bytes), (ssize_t)entry->n_bytes);
	MD5Data((const uint8_t *)bytes, entry->n_bytes, digest);
	CHECK_STR_EQ(digest, entry->md5);
	free(bytes);
	close(fd);
	return 0;
}

static int64_t check_all(void)
{
	struct sea_ccdb_store *store = store_open(true), *other = store_open(true);
	const struct sea_ccdb_store_query all = { .path = "*" };
	const int64_t n = CHECK_OK(sea_ccdb_store_list(store, &all, 0, 0, entry_check, other));

	sea_ccdb_store_close(store);
	sea_ccdb_store_close(other);
	return n;
}

static void writer(void *arg)
{
	const int number = *(const int *)arg;
	struct sea_ccdb_store *store = store_open(true);
	char path[32], data[64];

	for (int i = 0; i < N_EACH; i++) {
		snprintf(path, sizeof(path), "shared/p%d", i % 3);
		/* Every other content is one that the others write too. */
		snprintf(data, sizeof(data), i % 2 ? "%d" : "%d of %d", i, number);
		serving_put(store, path, 0, 1000, data);
		if (i % 7 == 6) {
			const struct sea_ccdb_store_query query = { .path = path, .has_time = 1, .time_ms = 5 };

			CHECK_OK(sea_ccdb_store_remove(store, &query));
		}
		if (i % 10 == 9)
			CHECK_OK(sea_ccdb_store_gc(store, NULL));
	}
	sea_ccdb_store_close(store);
}

TEST_TIMEOUT(writers,
             "several processes put, remove and clean on one new folder at once, and all that remains is whole", 60)
{
	static const int numbers[N_WRITERS] = { 0, 1, 2 };
	pid_t pids[N_WRITERS];
	struct sea_ccdb_store *store;
	struct sea_ccdb_gc gc;

	for (int i = 0; i < N_WRITERS; i++)
		pids[i] = test_fork(writer, (void *)&numbers[i]);
	for (int i = 0; i < N_WRITERS; i++)
		CHECK_EQ(test_wait(pids[i]), 0);
	CHECK_EQ(check_all(), N_WRITERS * (N_EACH - N_EACH / 7));
	CHECK_EQ(count_files("tmp"), 0);
	store = store_open(true);
	CHECK_OK(sea_ccdb_store_gc(store, NULL));
	CHECK_OK(sea_ccdb_store_gc(store, &gc));
	CHECK_EQ(gc.n_removed, 0);
	sea_ccdb_store_close(store);
	check_all();
}

/* Puts objects until it is killed, and counts those that are said to be there. */
struct victim {
	_Atomic int n_done;
	_Atomic int n_begun;
};

static void victim_run(void *arg)
{
	struct victim *victim = arg;
	struct sea_ccdb_store *store = store_open(false);
	char *data = malloc(N_BYTES_MAX);

	CHECK(data);
	for (int i = 0;; i++) {
		const size_t n_bytes = 1 + test_random() % N_BYTES_MAX;
		struct sea_ccdb_upload *upload;
		const struct sea_ccdb_put put = { .path = "killed/object", .valid_until_ms = 1000 };

		memset(data, i, n_bytes);
		memcpy(data, &i, n_bytes < sizeof(i) ? n_bytes : sizeof(i));
		atomic_fetch_add(&victim->n_begun, 1);
		CHECK_OK(sea_ccdb_upload_new(&upload, store, 0));
		for (size_t at = 0; at < n_bytes; at += 40000)
			CHECK_OK(sea_ccdb_upload_write(upload, data + at, n_bytes - at < 40000 ? n_bytes - at : 40000));
		CHECK_OK(sea_ccdb_upload_commit(upload, &put, NULL, NULL));
		atomic_fetch_add(&victim->n_done, 1);
		sea_ccdb_upload_free(upload);
	}
}

TEST_TIMEOUT(
	kill,
	"writers are killed at random moments: no object is half there, none that was confirmed is missing, leftovers go",
	60)
{
	struct victim *victim = test_shared(sizeof(*victim));
	struct sea_ccdb_store *store;
	struct sea_ccdb_gc gc;
	int64_t n;

	for (int i = 0; i < N_KILLS; i++) {
		const int n_before = atomic_load(&victim->n_begun);
		const pid_t pid = test_fork(victim_run, victim);

		/* Once it works, at some moment of the next uploads. */
		CHECK_EVENTUALLY(atomic_load(&victim->n_begun) > n_before);
		usleep((useconds_t)(test_random() % 20000));
		CHECK_EQ(test_kill(pid), -SIGKILL);
	}
	n = check_all();
	CHECK_GE(n, atomic_load(&victim->n_done));
	/* An object may be there whose writer was killed before it could say so: at most one each. */
	CHECK_LE(n, atomic_load(&victim->n_done) + N_KILLS);
	CHECK_EQ(count_files("tmp"), 0);
	store = store_open(true);
	CHECK_OK(sea_ccdb_store_gc(store, &gc));
	CHECK_EQ((int64_t)gc.n_contents <= n, 1);
	CHECK_OK(sea_ccdb_store_gc(store, &gc));
	CHECK_EQ(gc.n_removed, 0);
	sea_ccdb_store_close(store);
	CHECK_EQ(check_all(), n);
}

static void uploader(void *arg)
{
	struct test_step *steps = arg;
	struct sea_ccdb_store *store = store_open(true);
	struct sea_ccdb_upload *upload;
	const struct sea_ccdb_put put = { .path = "A", .valid_until_ms = 1000 };

	CHECK_OK(sea_ccdb_upload_new(&upload, store, 0));
	CHECK_OK(sea_ccdb_upload_write(upload, "hello", 5));
	test_step_signal(&steps[0], 1);
	test_step_wait(&steps[1]);
	CHECK_OK(sea_ccdb_upload_commit(upload, &put, NULL, NULL));
	sea_ccdb_upload_free(upload);
	sea_ccdb_store_close(store);
}

TEST(live_upload, "who opens or cleans the store does not disturb an upload that is under way")
{
	struct test_step steps[2];
	struct sea_ccdb_store *store;
	pid_t pid;

	test_step_init(&steps[0]);
	test_step_init(&steps[1]);
	pid = test_fork(uploader, steps);
	test_step_wait(&steps[0]);
	CHECK_EQ(count_files("tmp"), 1);
	store = store_open(true);
	CHECK_EQ(count_files("tmp"), 1);
	CHECK_OK(sea_ccdb_store_gc(store, NULL));
	test_step_signal(&steps[1], 1);
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EQ(count_files("tmp"), 0);
	sea_ccdb_store_close(store);
	CHECK_EQ(check_all(), 1);
	test_step_fini(&steps[0]);
	test_step_fini(&steps[1]);
}
