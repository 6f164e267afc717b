/* SPDX-License-Identifier: Apache-2.0 */
/* Where the client goes for an object: redirects and their replicas, hosts in order, remapped paths; and how often it asks again. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "asking.h"

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
	struct asking asking;
	char url[128];
	int dead;

	replicas->dead_port = script_dead_port(&dead);
	asking_start(&asking, say_replicas, replicas);
	asking_get(&asking, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	CHECK_MEM_EQ(asking.result.content, "hello", 5);
	CHECK_EQ(atomic_load(&replicas->n_downloads), 1);
	CHECK_EQ(asking.result.version.valid_until_ms, 2000);
	CHECK_STR_EQ(sea_ccdb_object_header(asking.result.object, "Part"), "later");
	CHECK_STR_EQ(sea_ccdb_object_header(asking.result.object, "Content-Length"), "5");
	snprintf(url, sizeof(url), "%s/download/%s", asking.script.url, script_uuid(7));
	CHECK_STR_EQ(asking.result.object->content_url, url);
	asking_stop(&asking);
	close(dead);
}

TEST(redirect_held, "where the redirect names a version that is held, it is not followed")
{
	const char *held[] = { script_uuid(3), script_uuid(7) };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .held = held, .n_held = 2 };
	struct replicas *replicas = test_shared(sizeof(*replicas));
	struct asking asking;

	asking_start(&asking, say_replicas, replicas);
	asking_get(&asking, &query, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_NOT_MODIFIED);
	CHECK_STR_EQ(asking.result.version.uuid, held[1]);
	CHECK_EQ(asking.result.version.valid_from_ms, 1000);
	CHECK_EQ(atomic_load(&asking.script.log->n), 1);
	asking_stop(&asking);
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
	struct asking asking;

	asking_start(&asking, say_replaced, n);
	asking_get(&asking, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	CHECK_STR_EQ(asking.result.version.uuid, script_uuid(8));
	CHECK_MEM_EQ(asking.result.content, "right", 5);
	sea_ccdb_client_get_stats(asking.client, &stats);
	CHECK_EQ(stats.n_replaced, 2);
	asking_stop(&asking);
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
	struct asking asking;

	asking_start(&asking, say_bad_then_good, &n_bad);
	asking_get(&asking, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	sea_ccdb_client_get_stats(asking.client, &stats);
	CHECK_EQ(stats.n_retries, 2);
	CHECK_EQ(stats.n_http, 3);
	asking_stop(&asking);
}

TEST(give_up, "a server that stays busy is an error after three tries, which names URL and status")
{
	unsigned n_bad = 1000;
	struct sea_error error;
	struct asking asking;

	asking_start(&asking, say_bad_then_good, &n_bad);
	asking_get(&asking, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &error);
	CHECK_EQ(asking.result.status, SEA_CCDB_FAILED);
	CHECK_EQ(asking.result.http_status, 503);
	CHECK_EQ(error.code, -EREMOTEIO);
	CHECK(strstr(error.text, "503"));
	CHECK(strstr(error.key, "/A/B/1500/"));
	CHECK_EQ(atomic_load(&asking.script.log->n), 3);
	asking_stop(&asking);
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
	script_start(&good, asking_say_object, NULL);
	snprintf(urls, sizeof(urls), "127.0.0.1:%d, %s;%s/", script_dead_port(&dead), none.url, good.url);
	client = asking_client(urls);
	asking_wait(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
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
	client = asking_client(script.url);
	asking_wait(client, &query, &result, &error);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	CHECK_EQ(error.code, -ENOENT);
	CHECK(strstr(error.key, "/A/B/1500/"));
	sea_ccdb_client_free(client);
	snprintf(urls, sizeof(urls), "%s,http://127.0.0.1:%d", script.url, script_dead_port(&dead));
	client = asking_client(urls);
	asking_wait(client, &query, &result, &error);
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
	script_start(&good, asking_say_object, NULL);
	snprintf(remap, sizeof(remap), "%s=X/Y,/A/B/;file:///nowhere=Z", good.url);
	CHECK_OK(sea_ccdb_client_new(
		&client, &(struct sea_ccdb_client_options){ .url = none.url, .remap = remap, .no_environment = true },
		NULL));
	asking_wait(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_OK);
	sea_ccdb_result_fini(&result);
	asking_wait(client, &(struct sea_ccdb_query){ .path = "A/B/C", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	asking_wait(client, &(struct sea_ccdb_query){ .path = "Z", .timestamp_ms = 1500 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	CHECK_EQ(atomic_load(&none.log->n), 1);
	sea_ccdb_client_free(client);
	script_stop(&none);
	script_stop(&good);
}
