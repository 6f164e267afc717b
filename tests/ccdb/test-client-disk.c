/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of objects: another process's content, damage, room, and processes that are killed in the middle. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/ccdb/ccdb.h>

#include "script.h"
#include "test.h"

#define NS_PER_S INT64_C(1000000000)
#define PATIENCE (30 * NS_PER_S)
#define N_CONTENT 3000

/* Path P/<n> has one version per ten ms; content is made of both numbers. */
struct server {
	_Atomic unsigned n_downloads;
	bool is_redirecting;
};

static void content_of(char content[N_CONTENT + 1], unsigned path, unsigned version)
{
	for (int i = 0; i < N_CONTENT; i += 10)
		snprintf(content + i, 11, "%4u,%4u;", path % 10000, version % 10000);
}

static bool say_server(int fd, const struct script_request *request, void *arg)
{
	struct server *server = arg;
	char content[N_CONTENT + 1], headers[512];
	unsigned path = 0, version = 0, id;
	bool is_download = sscanf(request->target, "/download/%x", &id) == 1;

	if (is_download) {
		path = id >> 16;
		version = id & 0xffff;
	} else if (sscanf(request->target, "/P/x%u/", &path) == 1) {
		version = (unsigned)script_time(request->target) / 10;
	}
	id = path << 16 | version;
	snprintf(headers, sizeof(headers),
	         "ETag: \"%s\"\r\nValid-From: %u\r\nValid-Until: %u\r\nCreated: 500\r\nCache-Valid-Until: %u\r\n",
	         script_uuid(id), version * 10, version * 10 + 10, version * 10 + 10);
	if (!is_download && strstr(script_header(request->text, "If-None-Match", 0), script_uuid(id)))
		return script_say(fd, "HTTP/1.1 304 Not Modified\r\nCache-Valid-Until: %u\r\n\r\n", version * 10 + 10);
	if (!is_download && server->is_redirecting)
		return script_say(fd, "HTTP/1.1 303 See Other\r\nLocation: /download/%x\r\nContent-Length: 0\r\n%s\r\n",
		                  id, headers);
	content_of(content, path, version);
	atomic_fetch_add(&server->n_downloads, 1);
	return script_say(fd, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", headers, N_CONTENT, content);
}

static const char *disk_dir(void)
{
	static char dir[300];

	snprintf(dir, sizeof(dir), "%s/new/disk", test_runtime_dir());
	return dir;
}

static void count_damage(enum sea_ccdb_level level, const char *line, void *userdata)
{
	(void)line;
	if (level >= SEA_CCDB_WARN)
		++*(unsigned *)userdata;
}

static struct sea_ccdb_client *client_new(const char *url, uint64_t n_bytes_max, unsigned *n_warnings)
{
	struct sea_ccdb_client_options options = { .url = url,
		                                   .disk_dir = disk_dir(),
		                                   .n_disk_bytes_max = n_bytes_max,
		                                   .no_environment = true,
		                                   .backoff_ms = 1,
		                                   .log = n_warnings ? count_damage : NULL,
		                                   .log_userdata = n_warnings };
	struct sea_ccdb_client *client;
	struct sea_error error;

	if (sea_ccdb_client_new(&client, &options, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	return client;
}

/* Asks, checks every byte. */
static enum sea_ccdb_source ask(struct sea_ccdb_client *client, unsigned path, unsigned version, uint32_t flags)
{
	struct sea_ccdb_query query = { .timestamp_ms = version * 10 + 5, .flags = flags };
	char name[40], content[N_CONTENT + 1];
	enum sea_ccdb_source source;
	struct sea_ccdb_result result;
	struct sea_error error;

	snprintf(name, sizeof(name), "P/x%u", path);
	query.path = name;
	CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
	if (result.status != SEA_CCDB_OK)
		FAIL("%s at %u: %s: %s", name, version, error.key, error.text);
	content_of(content, path, version);
	CHECK_EQ(result.n_bytes, N_CONTENT);
	CHECK_MEM_EQ(result.content, content, N_CONTENT);
	CHECK_STR_EQ(result.version.uuid, script_uuid(path << 16 | version));
	CHECK_EQ(result.version.valid_from_ms, version * 10);
	source = result.source;
	sea_ccdb_result_fini(&result);
	return source;
}

/* Calls for every file of an object; returns how many bytes they have. */
static uint64_t each_file(void (*function)(const char *name, void *arg), void *arg)
{
	char folder[400], name[800];
	struct dirent *entry, *file;
	uint64_t n_bytes = 0;
	struct stat status;
	DIR *dir, *sub;

	snprintf(folder, sizeof(folder), "%s/sealane-ccdb-1", disk_dir());
	dir = opendir(folder);
	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (strlen(entry->d_name) != 32)
			continue;
		snprintf(name, sizeof(name), "%s/%.32s", folder, entry->d_name);
		sub = opendir(name);
		CHECK(sub);
		while ((file = readdir(sub))) {
			if (file->d_name[0] == '.')
				continue;
			snprintf(name, sizeof(name), "%s/%.32s/%.64s", folder, entry->d_name, file->d_name);
			/* It may go while somebody looks. */
			if (stat(name, &status) < 0)
				continue;
			n_bytes += (uint64_t)status.st_size;
			if (function)
				function(name, arg);
		}
		closedir(sub);
	}
	closedir(dir);
	return n_bytes;
}

static void use_disk(bool is_redirecting)
{
	struct server *server = test_shared(sizeof(*server));
	struct sea_ccdb_client *client;
	struct script script;

	server->is_redirecting = is_redirecting;
	script_start(&script, say_server, server);
	client = client_new(script.url, 0, NULL);
	CHECK_EQ(ask(client, 1, 1, 0), SEA_CCDB_FROM_SERVER);
	CHECK_EQ(ask(client, 1, 2, 0), SEA_CCDB_FROM_SERVER);
	CHECK_EQ(ask(client, 1, 1, 0), SEA_CCDB_FROM_MEMORY);
	sea_ccdb_client_free(client);
	client = client_new(script.url, 0, NULL);
	CHECK_EQ(ask(client, 1, 1, 0), SEA_CCDB_FROM_DISK);
	CHECK_EQ(ask(client, 1, 2, 0), SEA_CCDB_FROM_DISK);
	CHECK_EQ(ask(client, 1, 2, 0), SEA_CCDB_FROM_MEMORY);
	CHECK_EQ(ask(client, 1, 3, 0), SEA_CCDB_FROM_SERVER);
	CHECK_EQ(atomic_load(&server->n_downloads), 3);
	sea_ccdb_client_free(client);
	script_stop(&script);
	/* No server any more: who wants no question gets what is there. */
	client = client_new(script.url, 0, NULL);
	CHECK_EQ(ask(client, 1, 3, SEA_CCDB_ASK_NEVER), SEA_CCDB_FROM_DISK);
	sea_ccdb_client_free(client);
}

TEST(disk, "what one client fetched, the next takes from the disk after the server has named it")
{
	use_disk(false);
}

TEST(disk_redirect, "the same of a server that redirects: the redirect is not followed")
{
	use_disk(true);
}

static void damage(const char *name, void *arg)
{
	unsigned *how = arg;
	int fd = (int)CHECK_SYS(open(name, O_RDWR));
	struct stat status;

	CHECK_SYS(fstat(fd, &status));
	switch ((*how)++ % 5) {
	case 0: CHECK_SYS(ftruncate(fd, status.st_size - 1)); break;
	case 1: CHECK_SYS(pwrite(fd, "X", 1, status.st_size - 100)); break;
	case 2: CHECK_SYS(pwrite(fd, "X", 1, 40)); break;
	case 3: CHECK_SYS(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8, 16)); break;
	default: CHECK_SYS(ftruncate(fd, 0)); break;
	}
	close(fd);
}

TEST(damaged, "files that are cut, garbled or empty are found out, removed, and fetched again")
{
	struct server *server = test_shared(sizeof(*server));
	struct sea_ccdb_client *client;
	struct script script;
	unsigned how = 0;

	script_start(&script, say_server, server);
	for (int round = 0; round < 2; round++) {
		server->is_redirecting = round == 1;
		client = client_new(script.url, 0, NULL);
		for (unsigned i = 0; i < 10; i++)
			ask(client, i, 1, 0);
		sea_ccdb_client_free(client);
		each_file(damage, &how);
		CHECK_EQ(how, 10 * (round + 1));
		client = client_new(script.url, 0, NULL);
		for (unsigned i = 0; i < 10; i++)
			CHECK_EQ(ask(client, i, 1, 0), SEA_CCDB_FROM_SERVER);
		sea_ccdb_client_free(client);
		client = client_new(script.url, 0, NULL);
		for (unsigned i = 0; i < 10; i++)
			CHECK_EQ(ask(client, i, 1, 0), SEA_CCDB_FROM_DISK);
		sea_ccdb_client_free(client);
	}
	script_stop(&script);
}

TEST(room, "the folder stays within its bytes")
{
	struct server *server = test_shared(sizeof(*server));
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_server, server);
	client = client_new(script.url, 20000, NULL);
	for (unsigned i = 0; i < 60; i++) {
		ask(client, i, 1, 0);
		/* It may be beyond by what was written since it was looked. */
		CHECK_LE(each_file(NULL, NULL), 20000 + 20000 / 16 + 2 * N_CONTENT);
	}
	CHECK_GT(each_file(NULL, NULL), 10000);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* Two processes and one folder. ----------------------------------------------------------- */

struct user {
	const char *url;
	unsigned seed;
	_Atomic unsigned *n_done;
};

static void use(void *arg)
{
	struct user *user = arg;
	struct sea_ccdb_client *client = client_new(user->url, 60000, NULL);
	unsigned seed = user->seed;

	for (;;) {
		seed = seed * 1103515245u + 12345u;
		/* From the disk, not from memory. */
		sea_ccdb_client_forget(client, NULL);
		ask(client, (seed >> 16) % 8, (seed >> 20) % 5, 0);
		atomic_fetch_add(user->n_done, 1);
	}
}

TEST_TIMEOUT(killed,
             "processes that share a folder and are killed at any moment see whole objects, and leave nothing behind",
             60)
{
	struct server *server = test_shared(sizeof(*server));
	_Atomic unsigned *n_done = test_shared(sizeof(*n_done));
	uint64_t seed = test_random();
	struct sea_ccdb_client *client;
	struct script script;
	struct user user;
	pid_t pids[2];

	script_start(&script, say_server, server);
	user = (struct user){ .url = script.url, .n_done = n_done };
	for (unsigned i = 0; i < 2; i++) {
		user.seed = (unsigned)seed + i;
		pids[i] = test_fork(use, &user);
	}
	for (unsigned i = 0; i < 40; i++) {
		unsigned before = atomic_load(n_done);

		CHECK_EVENTUALLY(atomic_load(n_done) > before + (seed >> (i % 32)) % 16);
		CHECK_EQ(test_kill(pids[i % 2]), -SIGKILL);
		user.seed = (unsigned)seed + 2 + i;
		pids[i % 2] = test_fork(use, &user);
	}
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(test_kill(pids[i]), -SIGKILL);
	client = client_new(script.url, 60000, NULL);
	for (unsigned i = 0; i < 40; i++)
		ask(client, i % 8, i / 8, 0);
	CHECK_LE(each_file(NULL, NULL), 60000 + 60000 / 16 * 3 + 2 * N_CONTENT);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(no_folder, "a folder that cannot be made is an error that names it")
{
	struct sea_ccdb_client_options options = { .url = "x",
		                                   .disk_dir = "/proc/nothing/here",
		                                   .no_environment = true };
	struct sea_ccdb_client *client;
	struct sea_error error;

	CHECK_LT(sea_ccdb_client_new(&client, &options, &error), 0);
	CHECK_STR_EQ(error.key, "disk_dir");
	CHECK(strstr(error.text, "/proc/nothing/here"));
}

TEST(environment, "O2's variables name the folder, and with IGNORE_VALIDITYCHECK its snapshots come first")
{
	struct sea_ccdb_client_options options = { 0 };
	struct server *server = test_shared(sizeof(*server));
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct script script;
	char name[500];
	FILE *file;

	script_start(&script, say_server, server);
	options.url = script.url;
	setenv("ALICEO2_CCDB_LOCALCACHE", disk_dir(), 1);
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	ask(client, 1, 1, 0);
	CHECK_GT(each_file(NULL, NULL), N_CONTENT);
	sea_ccdb_client_free(client);
	setenv("IGNORE_VALIDITYCHECK_OF_CCDB_LOCALCACHE", "1", 1);
	snprintf(name, sizeof(name), "%s/S", disk_dir());
	CHECK_SYS(mkdir(name, 0700));
	snprintf(name, sizeof(name), "%s/S/snapshot.root", disk_dir());
	file = fopen(name, "w");
	CHECK(file && fputs("shot", file) >= 0 && fclose(file) == 0);
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	CHECK_OK(sea_ccdb_client_get(client, &(struct sea_ccdb_query){ .path = "S" }, &result, PATIENCE, NULL));
	CHECK_EQ(result.source, SEA_CCDB_FROM_SNAPSHOT);
	sea_ccdb_result_fini(&result);
	ask(client, 1, 2, 0);
	sea_ccdb_client_free(client);
	script_stop(&script);
}
