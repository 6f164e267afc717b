/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server, cache, reader and consumers as processes that are killed at random moments and started again: every row of every table that a consumer sees
 * names the right object, everything goes on, and nothing is left behind. $SEALANE_SOAK: two hundred kills instead of a few.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keys.h"
#include "serving.h"

#define N_CONSUMERS 2
#define N_ROWS 64
#define N_INTERVALS 24
#define INTERVAL_MS 100
#define N_BYTES 150000

enum { SERVER, CACHE, READER, CONSUMER, N_ROLES = CONSUMER + N_CONSUMERS };

struct seen {
	_Atomic uint64_t n_tables[N_CONSUMERS], n_rows;
	_Atomic uint64_t n_sent;
};

struct scene {
	const char *transport;
	struct seen *seen;
	pid_t pids[N_ROLES];
	unsigned port;
	unsigned n_kills;
};

static void address_of(char *address, size_t n_bytes, const char *name)
{
	snprintf(address, n_bytes, "ipc://%s/%s", test_runtime_dir(), name);
}

/* What holds when: intervals that change at each border, and in the middle of every third something newer. */
static size_t expected(int64_t time_ms, char text[64])
{
	const int number = (int)(time_ms / INTERVAL_MS), inside = (int)(time_ms % INTERVAL_MS);
	const bool is_newer = number % 3 == 0 && inside >= 30 && inside < 51;

	snprintf(text, 64, "%s %d", is_newer ? "newer" : "base", number);
	return (size_t)N_BYTES + (size_t)number + (is_newer ? 1000 : 0);
}

static void put_object(struct sea_ccdb_store *store, int64_t from_ms, int64_t until_ms, int64_t at_ms)
{
	char text[64], *data;
	struct sea_ccdb_put put = { .path = "X/Y", .valid_from_ms = from_ms, .valid_until_ms = until_ms };

	put.n_bytes = expected(at_ms, text);
	data = calloc(1, put.n_bytes);
	CHECK(data);
	memcpy(data, text, strlen(text));
	data[put.n_bytes - 1] = text[0];
	put.data = data;
	CHECK_OK(sea_ccdb_store_put(store, &put, NULL, NULL));
	free(data);
}

static void store_fill(void)
{
	const struct sea_ccdb_store_options options = { .no_sync = 1 };
	struct sea_ccdb_store *store;

	CHECK_OK(sea_ccdb_store_open(&store, serving_directory(), &options, NULL));
	for (int64_t i = 0; i < N_INTERVALS; i++)
		put_object(store, INTERVAL_MS * i, INTERVAL_MS * (i + 1), INTERVAL_MS * i);
	for (int64_t i = 0; i < N_INTERVALS; i += 3)
		put_object(store, INTERVAL_MS * i + 30, INTERVAL_MS * i + 51, INTERVAL_MS * i + 30);
	sea_ccdb_store_close(store);
}

static bool port_read(struct scene *scene)
{
	FILE *file = fopen(serving_path("port"), "r");
	const bool is_there = file && fscanf(file, "%u", &scene->port) == 1;

	if (file)
		fclose(file);
	return is_there;
}

static pid_t start(struct scene *scene, int role, const char *const *arguments)
{
	const pid_t pid = (pid_t)CHECK_SYS(fork());

	(void)scene;
	if (pid == 0) {
		char name[32];
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(name, sizeof(name), "log-%d", role);
		fd = open(serving_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
			_exit(99);
		execv(test_command(), (char *const *)(uintptr_t)arguments);
		_exit(98);
	}
	return pid;
}

#define START(scene, role, ...) start(scene, role, (const char *const[]){ "sealane", "ccdb", __VA_ARGS__, NULL })

/* Always at the same port. */
static void server_start(struct scene *scene)
{
	char port[16];

	snprintf(port, sizeof(port), "%u", scene->port);
	unlink(serving_path("port"));
	scene->pids[SERVER] = START(scene, SERVER, "serve", "--dir", serving_directory(), "--port", port, "--port-file",
	                            serving_path("port"), "--no-sync");
	CHECK_EVENTUALLY(port_read(scene));
}

static void cache_start(struct scene *scene)
{
	char url[64], keys[700], tables[700];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", scene->port);
	snprintf(keys, sizeof(keys), "name=keys,type=pull,method=bind,rateLogging=0,rcvBufSize=8,address=ipc://%s/keys",
	         test_runtime_dir());
	snprintf(tables, sizeof(tables),
	         "name=tables,type=push,method=bind,rateLogging=0,sndBufSize=4,address=ipc://%s/tables",
	         test_runtime_dir());
	scene->pids[CACHE] = START(scene, CACHE, "cache", "--id", "cache", "--control", "static", "--transport",
	                           scene->transport, "--severity", "warn", "--shm-segment-size", "12M", "--column",
	                           "x=X/Y", "--column", "again=X/Y,check=100", "--missing", "wait",
	                           "--condition-backend", url, "--channel-config", keys, "--channel-config", tables);
}

static struct sea_channel *channel_open(const struct scene *scene, struct sea_session *session,
                                        enum sea_pattern pattern, const char *name)
{
	const struct sea_channel_options options = {
		.sndbuf = 8,
		.rcvbuf = 4,
		.transport = strcmp(scene->transport, "zeromq") == 0 ? SEA_TRANSPORT_ZEROMQ : SEA_TRANSPORT_MEMFD,
	};
	struct sea_channel *channel;
	char address[700];

	address_of(address, sizeof(address), name);
	CHECK_OK(sea_channel_new(&channel, session, pattern, &options));
	CHECK_OK(sea_channel_connect(channel, address));
	return channel;
}

static void reader_run(void *arg)
{
	const struct scene *scene = arg;
	struct sea_session *session;
	struct sea_channel *channel;
	int64_t times[N_ROWS];

	CHECK_OK(sea_session_open(&session, NULL));
	channel = channel_open(scene, session, SEA_PUSH, "keys");
	for (;;) {
		const uint64_t number = atomic_fetch_add(&scene->seen->n_sent, 1);
		char text[32];
		struct keys keys = {
			.times_ms = times, .n_rows = N_ROWS, .timeframe = text, .n_parts_before = number % 3
		};
		struct sea_message *message;
		int r;

		snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
		/* A stretch that goes on from table to table, now and then one from anywhere. */
		for (unsigned i = 0; i < N_ROWS; i++)
			times[i] = (int64_t)(number % 16 == 15 ? test_random() : number * 17 + i) %
			           (N_INTERVALS * INTERVAL_MS);
		for (unsigned i = 0; i < N_ROWS; i++)
			times[i] = times[i] < 0 ? -times[i] : times[i];
		message = keys_message(session, &keys);
		do
			r = sea_channel_send(channel, &message, INT64_C(100000000));
		while (r == -ETIMEDOUT || r == -EINTR || r == -EAGAIN);
		CHECK_OK(r);
	}
}

static void table_check(const struct scene *scene, struct sea_message *message)
{
	struct sea_error error = { 0 };
	struct sea_table *table;
	char line[700];
	size_t part;
	uint64_t number;

	CHECK_OK(sea_table_find(message, &part));
	if (sea_table_open(&table, message, part, NULL, &error) < 0)
		FAIL("%s", sea_error_line(&error, line, sizeof(line)));
	CHECK_EQ(sea_table_n_rows(table), N_ROWS);
	CHECK_EQ(sea_table_n_columns(table), 2);
	CHECK(sea_table_metadata(table, "timeframe"));
	number = strtoull(sea_table_metadata(table, "timeframe"), NULL, 10);
	CHECK_EQ(part, number % 3);
	for (int64_t row = 0; row < N_ROWS; row++)
		for (size_t c = 0; c < 2; c++) {
			const struct sea_table_object *object = sea_table_get(table, row, c);
			const char *data;
			char text[64];
			size_t n_bytes;

			/* Of random times the object itself says what it is. */
			CHECK(object && object->status == SEA_TABLE_OK && object->data);
			data = object->data;
			if (number % 16 == 15)
				n_bytes = expected(object->valid_from_ms, text);
			else
				n_bytes = expected((int64_t)(number * 17 + (uint64_t)row) % (N_INTERVALS * INTERVAL_MS),
				                   text);
			if (object->n_bytes != n_bytes || memcmp(data, text, strlen(text) + 1) != 0 ||
			    data[n_bytes - 1] != text[0])
				FAIL("table %llu, row %lld: %.20s and not %s", (unsigned long long)number,
				     (long long)row, data, text);
		}
	atomic_fetch_add(&scene->seen->n_rows, N_ROWS);
	sea_table_close(table);
}

static void consumer_run(const struct scene *scene, unsigned which)
{
	struct sea_message *held[3] = { NULL }, *message;
	struct sea_session *session;
	struct sea_channel *channel;

	CHECK_OK(sea_session_open(&session, NULL));
	channel = channel_open(scene, session, SEA_PULL, "tables");
	for (unsigned i = 0;; i++) {
		int r = sea_channel_receive(channel, &message, INT64_C(100000000));

		if (r == -ETIMEDOUT || r == -EINTR || r == -EAGAIN)
			continue;
		CHECK_OK(r);
		table_check(scene, message);
		atomic_fetch_add(&scene->seen->n_tables[which], 1);
		/* Dies with some in its hands. */
		sea_message_unref(held[i % 3]);
		held[i % 3] = message;
	}
}

static void consumer_0(void *arg)
{
	consumer_run(arg, 0);
}

static void consumer_1(void *arg)
{
	consumer_run(arg, 1);
}

static void role_start(struct scene *scene, int role)
{
	if (role == SERVER)
		server_start(scene);
	else if (role == CACHE)
		cache_start(scene);
	else
		scene->pids[role] = test_fork(role == READER     ? reader_run
		                              : role == CONSUMER ? consumer_0
		                                                 : consumer_1,
		                              scene);
}

static void log_show(int role)
{
	char name[32], line[400];
	FILE *file;

	snprintf(name, sizeof(name), "log-%d", role);
	file = fopen(serving_path(name), "r");
	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "%d: %s", role, line);
	if (file)
		fclose(file);
}

/* Each is as it was started: nobody has died of another's death. */
static void check_alive(struct scene *scene)
{
	for (int role = 0; role < N_ROLES; role++) {
		int status;

		if (waitpid(scene->pids[role], &status, WNOHANG) == 0)
			continue;
		log_show(role);
		FAIL("process %d of the scene has ended by itself with status 0x%x", role, (unsigned)status);
	}
}

static uint64_t n_tables(const struct scene *scene, unsigned which)
{
	return atomic_load(&scene->seen->n_tables[which]);
}

/* Until each consumer has got that many more tables. */
static void progress(struct scene *scene, uint64_t n)
{
	uint64_t before[N_CONSUMERS];

	for (unsigned i = 0; i < N_CONSUMERS; i++)
		before[i] = n_tables(scene, i);
	for (unsigned i = 0; i < N_CONSUMERS; i++) {
		const int64_t until = test_now_ns() + 2 * test_patience_ns();

		while (n_tables(scene, i) < before[i] + n) {
			check_alive(scene);
			if (test_now_ns() > until) {
				log_show(CACHE);
				log_show(SERVER);
				FAIL("consumer %u gets no more tables after %u kills", i, scene->n_kills);
			}
			test_sleep_ms(1);
		}
	}
}

static void check_empty(const char *folder)
{
	DIR *directory = opendir(folder);
	const struct dirent *item;

	while (directory && (item = readdir(directory)))
		if (item->d_name[0] != '.')
			FAIL("%s is left in %s", item->d_name, folder);
	if (directory)
		closedir(directory);
}

/* What the killed have left in the runtime directory is proven dead and can be removed; the store is whole. */
static void check_leftovers(void)
{
	char line[2000];
	FILE *stream;
	int status;

	snprintf(line, sizeof(line), "'%s' doctor --clean --quiet >'%s' 2>&1", test_command(), serving_path("doctor"));
	status = system(line);
	CHECK(WIFEXITED(status));
	check_empty(serving_path("default"));
	snprintf(line, sizeof(line), "'%s' ccdb gc --json '%s'", test_command(), serving_directory());
	stream = popen(line, "r");
	CHECK(stream && fgets(line, sizeof(line), stream));
	CHECK_EQ(pclose(stream), 0);
	CHECK(strstr(line, "\"removed\":0"));
}

static void scene_run(const char *transport, unsigned n_kills)
{
	struct scene scene = { .transport = transport, .seen = test_shared(sizeof(struct seen)) };
	static const int victims[] = { SERVER, CACHE, CACHE, READER, CONSUMER, CONSUMER + 1 };

	scene.port = serving_free_port();
	store_fill();
	for (int role = 0; role < N_ROLES; role++)
		role_start(&scene, role);
	progress(&scene, 3);
	for (scene.n_kills = 1; scene.n_kills <= n_kills; scene.n_kills++) {
		const int role = victims[test_random() % (sizeof(victims) / sizeof(victims[0]))];

		usleep((useconds_t)(test_random() % 20000));
		check_alive(&scene);
		CHECK_EQ(test_kill(scene.pids[role]), -SIGKILL);
		role_start(&scene, role);
		/* More than queues on the way can hold. */
		progress(&scene, role <= CACHE ? 20 : 3);
	}
	for (int role = N_ROLES - 1; role >= 0; role--) {
		int status;

		CHECK_SYS(kill(scene.pids[role], role <= CACHE ? SIGTERM : SIGKILL));
		status = test_wait(scene.pids[role]);
		if (role <= CACHE && status != 0)
			log_show(role);
		CHECK_EQ(status, role <= CACHE ? 0 : -SIGKILL);
	}
	check_leftovers();
}

/* In a process of its own, for none may be forked once a session is open. */
static void zeromq_try(void *arg)
{
	const struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct sea_session *session;
	struct sea_channel *channel = NULL;
	int r;

	(void)arg;
	CHECK_OK(sea_session_open(&session, NULL));
	r = sea_channel_new(&channel, session, SEA_PULL, &options);
	if (r < 0)
		_exit(77);
	sea_channel_close(channel);
	sea_session_close(session);
}

static unsigned kills(unsigned n)
{
	return test_is_soak() ? 70 : n;
}

TEST_TIMEOUT(memfd, "server, cache, reader and consumers are killed: every row is right, and all goes on", 60)
{
	scene_run("memfd", kills(12));
}

TEST_TIMEOUT(shmem, "the same over shared heaps", 60)
{
	scene_run("shmem", kills(5));
}

TEST_TIMEOUT(zeromq, "the same over libzmq, where objects travel along", 60)
{
	const pid_t pid = test_fork(zeromq_try, NULL);

	if (test_wait(pid) == 77)
		SKIP("there is no libzmq here");
	/* Where the linker has relaxed the address of a thread's variable, gcc 12's null check of it looks at flags that nobody has set. */
	if (test_is_sanitized())
		SKIP("UndefinedBehaviorSanitizer takes the address of seai_message_pool for NULL");
	scene_run("zeromq", kills(5));
}
