/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a scripted server: what it sends, what it takes, redirects, hosts, callbacks. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/ccdb/ccdb.h>

#include "script.h"
#include "test.h"

#define NS_PER_S INT64_C(1000000000)
/* A hang fails; nothing else depends on it. */
#define PATIENCE (30 * NS_PER_S)

static struct sea_ccdb_client *client_new(const char *url)
{
	struct sea_ccdb_client_options options = { .url = url, .backoff_ms = 1, .no_environment = true };
	struct sea_ccdb_client *client;
	struct sea_error error;

	if (sea_ccdb_client_new(&client, &options, &error) < 0)
		FAIL("%s: %s", error.key, error.text);
	return client;
}

static void get(struct sea_ccdb_client *client, const struct sea_ccdb_query *query, struct sea_ccdb_result *result,
                struct sea_error *error)
{
	CHECK_OK(sea_ccdb_client_get(client, query, result, PATIENCE, error));
}

static bool say_object(int fd, const struct script_request *request, void *arg)
{
	(void)request;
	(void)arg;
	return script_object(fd, script_uuid(7), 1000, 2000, 500, "hello");
}

TEST(get, "an object comes with its content, validity, headers and URLs")
{
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;
	struct sea_error error;
	char url[128];

	script_start(&script, say_object, NULL);
	client = client_new(script.url);
	get(client, &(struct sea_ccdb_query){ .path = "/A/B//C/", .timestamp_ms = 1500 }, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK_EQ(result.source, SEA_CCDB_FROM_SERVER);
	CHECK_EQ(result.n_bytes, 5);
	CHECK_MEM_EQ(result.content, "hello", 5);
	CHECK_STR_EQ(result.version.uuid, script_uuid(7));
	CHECK_EQ(result.version.valid_from_ms, 1000);
	CHECK_EQ(result.version.valid_until_ms, 2000);
	CHECK_EQ(result.version.created_ms, 500);
	CHECK_EQ(result.version.guaranteed_from_ms, 1500);
	CHECK_EQ(result.version.guaranteed_until_ms, 2000);
	CHECK_STR_EQ(result.object->path, "A/B/C");
	CHECK_STR_EQ(sea_ccdb_object_header(result.object, "content-length"), "5");
	snprintf(url, sizeof(url), "%s/A/B/C/1500/", script.url);
	CHECK_STR_EQ(result.object->request_url, url);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(request_lines, "a request has O2's headers: two If-None-Match, bounds of creation, an agent of its own")
{
	const char *held[] = { script_uuid(9) };
	struct sea_ccdb_pair metadata[] = { { "runNumber", "5 4/4" } };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .metadata = metadata, .n_metadata = 1 };
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;
	const char *text;

	script_start(&script, say_object, NULL);
	client = client_new(script.url);
	get(client, &query, &result, NULL);
	sea_ccdb_result_fini(&result);
	text = script.log->texts[0];
	CHECK(strstr(text, "GET /A/B/1500/runNumber=5%204%2F4/ HTTP/1.1\r\n") == text);
	CHECK_STR_EQ(script_header(text, "If-None-Match", 0), "1500");
	CHECK_STR_EQ(script_header(text, "If-None-Match", 1), "");
	CHECK_STR_EQ(script_header(text, "If-Not-After", 0), "3385078236000");
	CHECK_STR_EQ(script_header(text, "If-Not-Before", 0), "0");
	CHECK_STR_EQ(script_header(text, "User-Agent", 0), sea_ccdb_client_user_agent(client));
	query = (struct sea_ccdb_query){ .path = "A/B",
		                         .timestamp_ms = 1500,
		                         .held = held,
		                         .n_held = 1,
		                         .not_after_ms = 600,
		                         .not_before_ms = 400 };
	get(client, &query, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	sea_ccdb_result_fini(&result);
	text = script.log->texts[1];
	CHECK_STR_EQ(script_header(text, "If-None-Match", 0), "\"00000009-1111-11ee-8000-000000000000\"");
	CHECK_STR_EQ(script_header(text, "If-None-Match", 1), "1500");
	CHECK_STR_EQ(script_header(text, "If-Not-After", 0), "600");
	CHECK_STR_EQ(script_header(text, "If-Not-Before", 0), "400");
	sea_ccdb_client_free(client);
	script_stop(&script);
}

static bool say_not_modified(int fd, const struct script_request *request, void *arg)
{
	(void)request;
	(void)arg;
	return script_say(fd, "HTTP/1.1 304 Not Modified\r\nCache-Valid-Until: 1800\r\n\r\n");
}

TEST(not_modified, "a version that the caller holds is named, not fetched; a 304 without an ETag is enough")
{
	const char *held[] = { script_uuid(9) };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .held = held, .n_held = 1 };
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_not_modified, NULL);
	client = client_new(script.url);
	get(client, &query, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_MODIFIED);
	CHECK_EQ(result.http_status, 304);
	CHECK_STR_EQ(result.version.uuid, held[0]);
	CHECK_EQ(result.version.valid_from_ms, -1);
	CHECK(result.object == NULL);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(not_modified_unasked, "a 304 to one who named nothing is an error, not an empty object")
{
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct sea_error error;
	struct script script;

	script_start(&script, say_not_modified, NULL);
	client = client_new(script.url);
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -EBADMSG);
	CHECK(strstr(error.text, "304"));
	CHECK(strstr(error.key, script.url));
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* As the reference server: 303 with all headers, replicas among which only the last is any good. */
struct replicas {
	int port;
	int dead_port;
	_Atomic unsigned n_downloads;
};

static bool say_replicas(int fd, const struct script_request *request, void *arg)
{
	struct replicas *replicas = arg;
	const char *uuid = script_uuid(7);

	if (strncmp(request->target, "/download/", 10) == 0) {
		atomic_fetch_add(&replicas->n_downloads, 1);
		return script_say(
			fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nPart: later\r\nETag: \"%s\"\r\n\r\nhello", uuid);
	}
	return script_say(fd,
	                  "HTTP/1.1 303 See Other\r\nLocation: alien:///alice/data/%s\r\n"
	                  "Content-Location: alien:///alice/data/%s\r\nContent-Location: root://h/x?authz=y\r\n"
	                  "Content-Location: file:/tmp/x\r\nContent-Location: http://127.0.0.1:%d/download/%s\r\n"
	                  "Content-Location: /download/%s\r\nContent-Location: /download/%s\r\n"
	                  "ETag: \"%s\"\r\nValid-From: 1000\r\nValid-Until: 2000\r\nCreated: 500\r\nContent-MD5: %s\r\n"
	                  "Part: first\r\nPart: second\r\nContent-Length: 0\r\n\r\n",
	                  uuid, uuid, replicas->dead_port, uuid, uuid, uuid, uuid, script_md5("hello", 5));
}

TEST(replicas, "locations in order: alien:, root: and file: are passed over, a dead replica is followed by the next")
{
	struct replicas *replicas = test_shared(sizeof(*replicas));
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;
	char url[128];
	int dead;

	replicas->dead_port = script_dead_port(&dead);
	script_start(&script, say_replicas, replicas);
	client = client_new(script.url);
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK_MEM_EQ(result.content, "hello", 5);
	CHECK_EQ(atomic_load(&replicas->n_downloads), 1);
	CHECK_EQ(result.version.valid_until_ms, 2000);
	CHECK_STR_EQ(sea_ccdb_object_header(result.object, "Part"), "later");
	CHECK_STR_EQ(sea_ccdb_object_header(result.object, "Content-Length"), "5");
	snprintf(url, sizeof(url), "%s/download/%s", script.url, script_uuid(7));
	CHECK_STR_EQ(result.object->content_url, url);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	close(dead);
	script_stop(&script);
}

TEST(redirect_held, "where the redirect names a version that is held, it is not followed")
{
	const char *held[] = { script_uuid(3), script_uuid(7) };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .held = held, .n_held = 2 };
	struct replicas *replicas = test_shared(sizeof(*replicas));
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_replicas, replicas);
	client = client_new(script.url);
	get(client, &query, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_MODIFIED);
	CHECK_STR_EQ(result.version.uuid, held[1]);
	CHECK_EQ(result.version.valid_from_ms, 1000);
	CHECK_EQ(atomic_load(&script.log->n), 1);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* The first download finds that its object was replaced by another: at /download/7 lies version 8, or nothing. */
static bool say_replaced(int fd, const struct script_request *request, void *arg)
{
	_Atomic unsigned *n = arg;
	unsigned now = atomic_load(n);

	if (strncmp(request->target, "/download/", 10) == 0) {
		atomic_fetch_add(n, 1);
		if (now == 0)
			return script_say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return script_object(fd, script_uuid(now == 1 ? 9 : 8), 1000, 2000, 600, now == 1 ? "wrong" : "right");
	}
	return script_say(fd,
	                  "HTTP/1.1 303 See Other\r\nLocation: /download/x\r\nETag: \"%s\"\r\nValid-From: 1000\r\n"
	                  "Valid-Until: 2000\r\nCreated: %u\r\nContent-Length: 0\r\n\r\n",
	                  script_uuid(now < 2 ? 7 : 8), now < 2 ? 500 : 600);
}

TEST(replaced, "an object that is replaced between redirect and download is fetched again from the start")
{
	_Atomic unsigned *n = test_shared(sizeof(*n));
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_replaced, n);
	client = client_new(script.url);
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK_STR_EQ(result.version.uuid, script_uuid(8));
	CHECK_MEM_EQ(result.content, "right", 5);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_replaced, 2);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

static bool say_bad_then_good(int fd, const struct script_request *request, void *arg)
{
	const unsigned *n_bad = arg;

	if (request->i < *n_bad)
		return script_say(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
	return script_object(fd, script_uuid(7), 1000, 2000, 500, "hello");
}

TEST(retry, "a server that is busy twice is asked a third time")
{
	unsigned n_bad = 2;
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_bad_then_good, &n_bad);
	client = client_new(script.url);
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_retries, 2);
	CHECK_EQ(stats.n_http, 3);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(give_up, "a server that stays busy is an error after three tries, which names URL and status")
{
	unsigned n_bad = 1000;
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct sea_error error;
	struct script script;

	script_start(&script, say_bad_then_good, &n_bad);
	client = client_new(script.url);
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_FAILED);
	CHECK_EQ(result.http_status, 503);
	CHECK_EQ(error.code, -EREMOTEIO);
	CHECK(strstr(error.text, "503"));
	CHECK(strstr(error.key, "/A/B/1500/"));
	CHECK_EQ(atomic_load(&script.log->n), 3);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

static bool say_none(int fd, const struct script_request *request, void *arg)
{
	(void)request;
	(void)arg;
	return script_say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
}

TEST(hosts, "hosts are asked in order: a dead one and one that has none are followed by the one that has it")
{
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script none, good;
	char urls[200];
	int dead;

	script_start(&none, say_none, NULL);
	script_start(&good, say_object, NULL);
	snprintf(urls, sizeof(urls), "127.0.0.1:%d, %s;%s/", script_dead_port(&dead), none.url, good.url);
	client = client_new(urls);
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK_EQ(atomic_load(&none.log->n), 1);
	CHECK_EQ(atomic_load(&good.log->n), 1);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	close(dead);
	script_stop(&none);
	script_stop(&good);
}

TEST(not_found, "no host has it: not found; a host that could not be asked: failed, for it might")
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500 };
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct sea_error error;
	struct script script;
	char urls[200];
	int dead;

	script_start(&script, say_none, NULL);
	client = client_new(script.url);
	get(client, &query, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	CHECK_EQ(error.code, -ENOENT);
	CHECK(strstr(error.key, "/A/B/1500/"));
	sea_ccdb_client_free(client);
	snprintf(urls, sizeof(urls), "%s,http://127.0.0.1:%d", script.url, script_dead_port(&dead));
	client = client_new(urls);
	get(client, &query, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -ECONNREFUSED);
	sea_ccdb_client_free(client);
	close(dead);
	script_stop(&script);
}

TEST(remap, "a path that is remapped comes from there, others from the host")
{
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script none, good;
	char remap[200];

	script_start(&none, say_none, NULL);
	script_start(&good, say_object, NULL);
	snprintf(remap, sizeof(remap), "%s=X/Y,/A/B/;file:///nowhere=Z", good.url);
	CHECK_OK(sea_ccdb_client_new(
		&client, &(struct sea_ccdb_client_options){ .url = none.url, .remap = remap, .no_environment = true },
		NULL));
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	sea_ccdb_result_fini(&result);
	get(client, &(struct sea_ccdb_query){ .path = "A/B/C", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	get(client, &(struct sea_ccdb_query){ .path = "Z", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	CHECK_EQ(atomic_load(&none.log->n), 1);
	sea_ccdb_client_free(client);
	script_stop(&none);
	script_stop(&good);
}

TEST(snapshot, "a snapshot answers for all times, without a server")
{
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	char dir[300], name[400], url[320];
	FILE *file;

	snprintf(dir, sizeof(dir), "%s/snapshot", test_runtime_dir());
	CHECK_SYS(mkdir(dir, 0700));
	snprintf(name, sizeof(name), "%s/A", dir);
	CHECK_SYS(mkdir(name, 0700));
	snprintf(name, sizeof(name), "%s/A/snapshot.root", dir);
	file = fopen(name, "w");
	CHECK(file && fputs("shot", file) >= 0 && fclose(file) == 0);
	snprintf(url, sizeof(url), "file://%s", dir);
	client = client_new(url);
	for (int i = 0; i < 2; i++) {
		get(client, &(struct sea_ccdb_query){ .path = "A", .timestamp_ms = 10 + i }, &result, NULL);
		CHECK_EQ(result.status, SEA_CCDB_OK);
		CHECK_EQ(result.source, i ? SEA_CCDB_FROM_MEMORY : SEA_CCDB_FROM_SNAPSHOT);
		CHECK(!result.was_asked);
		CHECK_MEM_EQ(result.content, "shot", 4);
		sea_ccdb_result_fini(&result);
	}
	get(client, &(struct sea_ccdb_query){ .path = "B", .timestamp_ms = 10 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	sea_ccdb_client_free(client);
}

TEST(bad_queries, "paths, metadata, times and options that mean nothing are refused with what is wrong")
{
	static const char *const paths[] = {
		"", "/", "A/../B", ".", "A/123/B", "A/x=y", "A\nB", "a/b/c/d/e/f/g/h/i/j/k"
	};
	struct sea_ccdb_client *client = client_new("localhost:1");
	struct sea_ccdb_pair pair = { "a b", "c" };
	struct sea_ccdb_result result;
	struct sea_error error;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		CHECK_ERR(sea_ccdb_client_get(client, &(struct sea_ccdb_query){ .path = paths[i] }, &result, 0, &error),
		          -EINVAL);
		CHECK_STR_EQ(error.key, "path");
	}
	CHECK_ERR(sea_ccdb_client_get(client, &(struct sea_ccdb_query){ .path = "A", .timestamp_ms = -2 }, &result, 0,
	                              &error),
	          -EINVAL);
	CHECK_ERR(sea_ccdb_client_get(client,
	                              &(struct sea_ccdb_query){ .path = "A", .metadata = &pair, .n_metadata = 1 },
	                              &result, 0, &error),
	          -EINVAL);
	CHECK_ERR(sea_ccdb_client_request(client, &(struct sea_ccdb_query){ .path = "A" }, NULL, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "done");
	sea_ccdb_client_free(client);
	CHECK_ERR(sea_ccdb_client_new(&client, &(struct sea_ccdb_client_options){ .no_environment = true }, &error),
	          -EINVAL);
	CHECK_ERR(sea_ccdb_client_new(&client,
	                              &(struct sea_ccdb_client_options){ .url = "ftp://x", .no_environment = true },
	                              &error),
	          -EINVAL);
	CHECK_STR_EQ(error.key, "url");
	CHECK_ERR(sea_ccdb_client_new(
			  &client,
			  &(struct sea_ccdb_client_options){ .url = "x", .remap = "http://y", .no_environment = true },
			  &error),
	          -EINVAL);
	CHECK_STR_EQ(error.key, "remap");
	setenv("ALICEO2_CCDB_CURL_TIMEOUT_DOWNLOAD", "soon", 1);
	CHECK_ERR(sea_ccdb_client_new(&client, &(struct sea_ccdb_client_options){ .url = "x" }, &error), -EINVAL);
	CHECK_STR_EQ(error.key, "ALICEO2_CCDB_CURL_TIMEOUT_DOWNLOAD");
}

/* Callbacks. ------------------------------------------------------------------------------ */

struct told {
	unsigned n;
	unsigned n_ok;
	char content[16];
	struct sea_ccdb_client *client;
	struct sea_ccdb_request *cancel;
	int nested;
};

static void tell(const struct sea_ccdb_result *result, const struct sea_error *error, void *userdata)
{
	struct told *told = userdata;

	CHECK_EQ(error != NULL, result->status >= SEA_CCDB_NOT_FOUND);
	told->n++;
	told->n_ok += result->status == SEA_CCDB_OK;
	if (result->status == SEA_CCDB_OK && result->n_bytes < sizeof(told->content))
		memcpy(told->content, result->content, result->n_bytes);
	if (told->cancel)
		sea_ccdb_client_cancel(told->client, told->cancel);
	told->cancel = NULL;
	if (told->client)
		told->nested = sea_ccdb_client_dispatch(told->client);
}

static void run_until(struct sea_ccdb_client *client, const unsigned *n, unsigned n_wanted)
{
	struct pollfd poll_fd = { .fd = sea_ccdb_client_fd(client), .events = POLLIN };

	while (*n < n_wanted) {
		if (poll(&poll_fd, 1, 30000) <= 0)
			FAIL("nothing happens: %u of %u", *n, n_wanted);
		CHECK_OK(sea_ccdb_client_dispatch(client));
	}
}

TEST(equal_requests, "equal requests in flight become one fetch")
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .done = tell };
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_client *client;
	struct told told = { 0 };
	struct script script;

	script_start(&script, say_object, NULL);
	client = client_new(script.url);
	query.userdata = &told;
	for (int i = 0; i < 10; i++)
		CHECK_OK(sea_ccdb_client_request(client, &query, NULL, NULL));
	run_until(client, &told.n, 10);
	CHECK_EQ(told.n_ok, 10);
	CHECK_EQ(atomic_load(&script.log->n), 1);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_joined, 9);
	CHECK_EQ(stats.n_in_flight, 0);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(cancel_inside, "a callback may cancel another request, and not dispatch")
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .done = tell };
	struct sea_ccdb_request *second;
	struct sea_ccdb_client *client;
	struct told told = { 0 };
	struct script script;

	script_start(&script, say_object, NULL);
	client = client_new(script.url);
	told.client = client;
	query.userdata = &told;
	CHECK_OK(sea_ccdb_client_request(client, &query, NULL, NULL));
	CHECK_OK(sea_ccdb_client_request(client, &query, &second, NULL));
	told.cancel = second;
	run_until(client, &told.n, 1);
	for (int i = 0; i < 10; i++)
		CHECK_OK(sea_ccdb_client_dispatch(client));
	CHECK_EQ(told.n, 1);
	CHECK_EQ(told.nested, -EDEADLK);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* Allocators. ----------------------------------------------------------------------------- */

struct room {
	char bytes[64];
	unsigned n_given, n_back;
	bool is_full;
	char uuid[SEA_CCDB_UUID_N_BYTES];
};

static void *room_give(size_t n_bytes, const struct sea_ccdb_object *object, void *userdata)
{
	struct room *room = userdata;

	if (room->is_full || n_bytes > sizeof(room->bytes))
		return NULL;
	snprintf(room->uuid, sizeof(room->uuid), "%s", object->version.uuid);
	room->n_given++;
	return room->bytes;
}

static void room_back(void *memory, void *userdata)
{
	struct room *room = userdata;

	CHECK(memory == room->bytes);
	room->n_back++;
}

/* First cut, then whole; then of unknown length. */
static bool say_cut_first(int fd, const struct script_request *request, void *arg)
{
	(void)arg;
	if (request->i == 0) {
		script_say(fd,
		           "HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nValid-From: 1000\r\nValid-Until: 2000\r\n"
		           "Created: 500\r\nContent-Length: 5\r\n\r\nhe",
		           script_uuid(7));
		return false;
	}
	if (request->i == 1)
		return script_object(fd, script_uuid(7), 1000, 2000, 500, "hello");
	return script_say(fd,
	                  "HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nValid-From: 3000\r\nValid-Until: 4000\r\nCreated: 500\r\n"
	                  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
	                  script_uuid(8));
}

TEST(allocator,
     "content goes where the allocator says; a cut transfer gives the room back, and the next try asks again")
{
	struct room room = { 0 };
	struct sea_ccdb_query query = { .path = "A/B",
		                        .timestamp_ms = 1500,
		                        .allocate = room_give,
		                        .release = room_back,
		                        .allocate_userdata = &room };
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct sea_error error;
	struct script script;

	script_start(&script, say_cut_first, NULL);
	client = client_new(script.url);
	get(client, &query, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK(result.content == room.bytes);
	CHECK_MEM_EQ(room.bytes, "hello", 5);
	CHECK(result.object->content == NULL);
	CHECK_EQ(result.object->n_bytes, 5);
	CHECK_STR_EQ(room.uuid, script_uuid(7));
	CHECK_EQ(room.n_given, 2);
	CHECK_EQ(room.n_back, 1);
	sea_ccdb_result_fini(&result);
	query.timestamp_ms = 3500;
	get(client, &query, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK_EQ(result.n_bytes, 7);
	CHECK_MEM_EQ(room.bytes, "abcdefg", 7);
	CHECK_EQ(room.n_given, 3);
	sea_ccdb_result_fini(&result);
	room.is_full = true;
	query.timestamp_ms = 3600;
	query.flags = SEA_CCDB_ASK_ALWAYS;
	get(client, &query, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -ENOMEM);
	CHECK_EQ(room.n_back, 1);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* Says the head and half of the body, and no more. */
static bool say_half(int fd, const struct script_request *request, void *arg)
{
	_Atomic unsigned *n = arg;
	char byte;

	if (n && atomic_fetch_add(n, 1) > 0)
		return script_object(fd, script_uuid(7), 1000, 2000, 500, "hello");
	(void)request;
	script_say(fd,
	           "HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nValid-From: 1000\r\nValid-Until: 2000\r\nCreated: 500\r\n"
	           "Content-Length: 5\r\n\r\nhe",
	           script_uuid(7));
	return read(fd, &byte, 1) > 0;
}

TEST(cancel_owner, "who cancels while its room is being filled gets it back; who waits for the same gets all of it")
{
	struct room room = { 0 };
	struct told told = { 0 }, never = { 0 };
	struct sea_ccdb_query query = { .path = "A/B",
		                        .timestamp_ms = 1500,
		                        .done = tell,
		                        .allocate = room_give,
		                        .release = room_back,
		                        .allocate_userdata = &room,
		                        .userdata = &never };
	_Atomic unsigned *n = test_shared(sizeof(*n));
	struct sea_ccdb_request *first;
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_half, n);
	client = client_new(script.url);
	CHECK_OK(sea_ccdb_client_request(client, &query, &first, NULL));
	query.allocate = NULL;
	query.userdata = &told;
	CHECK_OK(sea_ccdb_client_request(client, &query, NULL, NULL));
	run_until(client, &room.n_given, 1);
	sea_ccdb_client_cancel(client, first);
	CHECK_EQ(room.n_back, 1);
	run_until(client, &told.n, 1);
	CHECK_EQ(told.n_ok, 1);
	CHECK_MEM_EQ(told.content, "hello", 5);
	CHECK_EQ(never.n, 0);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

TEST(free_in_flight, "a client that is freed in the middle of a transfer gives all room back")
{
	struct room room = { 0 };
	struct told never = { 0 };
	struct sea_ccdb_query query = { .path = "A/B",
		                        .timestamp_ms = 1500,
		                        .done = tell,
		                        .allocate = room_give,
		                        .release = room_back,
		                        .allocate_userdata = &room,
		                        .userdata = &never };
	_Atomic unsigned *n = test_shared(sizeof(*n));
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_half, n);
	client = client_new(script.url);
	CHECK_OK(sea_ccdb_client_request(client, &query, NULL, NULL));
	query.timestamp_ms = 1501;
	run_until(client, &room.n_given, 1);
	sea_ccdb_client_free(client);
	CHECK_EQ(room.n_back, 1);
	CHECK_EQ(never.n, 0);
	script_stop(&script);
}

/* Half of it for the time 1500, all of it for others. */
static bool say_half_at_1500(int fd, const struct script_request *request, void *arg)
{
	return script_time(request->target) == 1500 ? say_half(fd, request, arg) : say_object(fd, request, arg);
}

TEST(deadline, "a request whose time is over fails; the client goes on")
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .timeout_ns = NS_PER_S / 20 };
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct sea_error error;
	struct script script;

	script_start(&script, say_half_at_1500, NULL);
	client = client_new(script.url);
	get(client, &query, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -ETIMEDOUT);
	CHECK_ERR(sea_ccdb_client_get(client, &(struct sea_ccdb_query){ .path = "A", .timestamp_ms = 1500 }, &result, 0,
	                              &error),
	          -ETIMEDOUT);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_in_flight, 0);
	query.timeout_ns = 0;
	query.timestamp_ms = 1501;
	get(client, &query, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* The log. -------------------------------------------------------------------------------- */

static void keep_line(enum sea_ccdb_level level, const char *line, void *userdata)
{
	char *kept = userdata;

	if (level == SEA_CCDB_INFO)
		snprintf(kept, 1024, "%s", line);
}

TEST(log, "one line per answer, as people grep for it")
{
	char line[1024] = "", expected[512];
	struct sea_ccdb_client_options options = { .no_environment = true, .log = keep_line, .log_userdata = line };
	struct sea_ccdb_result result;
	struct sea_ccdb_client *client;
	struct script script;

	script_start(&script, say_object, NULL);
	options.url = script.url;
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	get(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	sea_ccdb_result_fini(&result);
	snprintf(
		expected, sizeof(expected),
		"ccdb reads %s/A/B/1000/%s for 1500 (load to memory, agent_id: %s): miss, valid 1000 to 2000, 5 bytes, ",
		script.url, script_uuid(7), sea_ccdb_client_user_agent(client));
	CHECK_EQ(strncmp(line, expected, strlen(expected)), 0);
	sea_ccdb_client_free(client);
	script_stop(&script);
}
