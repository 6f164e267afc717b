/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a scripted server: what it sends, what it takes, and what it refuses to ask; its snapshots and its log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "asking.h"

TEST(get, "an object comes with its content, validity, headers and URLs")
{
	struct asking asking;
	struct sea_error error;
	char url[128];

	asking_start(&asking, asking_say_object, NULL);
	asking_get(&asking, &(struct sea_ccdb_query){ .path = "/A/B//C/", .timestamp_ms = 1500 }, &error);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	CHECK_EQ(asking.result.source, SEA_CCDB_FROM_SERVER);
	CHECK_EQ(asking.result.n_bytes, 5);
	CHECK_MEM_EQ(asking.result.content, "hello", 5);
	CHECK_STR_EQ(asking.result.version.uuid, script_uuid(7));
	CHECK_EQ(asking.result.version.valid_from_ms, 1000);
	CHECK_EQ(asking.result.version.valid_until_ms, 2000);
	CHECK_EQ(asking.result.version.created_ms, 500);
	CHECK_EQ(asking.result.version.guaranteed_from_ms, 1500);
	CHECK_EQ(asking.result.version.guaranteed_until_ms, 2000);
	CHECK_STR_EQ(asking.result.object->path, "A/B/C");
	CHECK_STR_EQ(sea_ccdb_object_header(asking.result.object, "content-length"), "5");
	snprintf(url, sizeof(url), "%s/A/B/C/1500/", asking.script.url);
	CHECK_STR_EQ(asking.result.object->request_url, url);
	asking_stop(&asking);
}

TEST(request_lines, "a request has O2's headers: two If-None-Match, bounds of creation, an agent of its own")
{
	const char *held[] = { script_uuid(9) };
	struct sea_ccdb_pair metadata[] = { { "runNumber", "5 4/4" } };
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .metadata = metadata, .n_metadata = 1 };
	struct asking asking;
	const char *text;

	asking_start(&asking, asking_say_object, NULL);
	asking_get(&asking, &query, NULL);
	text = asking.script.log->texts[0];
	CHECK(strstr(text, "GET /A/B/1500/runNumber=5%204%2F4/ HTTP/1.1\r\n") == text);
	CHECK_STR_EQ(script_header(text, "If-None-Match", 0), "1500");
	CHECK_STR_EQ(script_header(text, "If-None-Match", 1), "");
	CHECK_STR_EQ(script_header(text, "If-Not-After", 0), "3385078236000");
	CHECK_STR_EQ(script_header(text, "If-Not-Before", 0), "0");
	CHECK_STR_EQ(script_header(text, "User-Agent", 0), sea_ccdb_client_user_agent(asking.client));
	query = (struct sea_ccdb_query){ .path = "A/B",
		                         .timestamp_ms = 1500,
		                         .held = held,
		                         .n_held = 1,
		                         .not_after_ms = 600,
		                         .not_before_ms = 400 };
	asking_get(&asking, &query, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	text = asking.script.log->texts[1];
	CHECK_STR_EQ(script_header(text, "If-None-Match", 0), "\"00000009-1111-11ee-8000-000000000000\"");
	CHECK_STR_EQ(script_header(text, "If-None-Match", 1), "1500");
	CHECK_STR_EQ(script_header(text, "If-Not-After", 0), "600");
	CHECK_STR_EQ(script_header(text, "If-Not-Before", 0), "400");
	asking_stop(&asking);
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
	struct asking asking;

	asking_start(&asking, say_not_modified, NULL);
	asking_get(&asking, &query, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_NOT_MODIFIED);
	CHECK_EQ(asking.result.http_status, 304);
	CHECK_STR_EQ(asking.result.version.uuid, held[0]);
	CHECK_EQ(asking.result.version.valid_from_ms, -1);
	CHECK(asking.result.object == NULL);
	asking_stop(&asking);
}

TEST(not_modified_unasked, "a 304 to one who named nothing is an error, not an empty object")
{
	struct sea_error error;
	struct asking asking;

	asking_start(&asking, say_not_modified, NULL);
	asking_get(&asking, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &error);
	CHECK_EQ(asking.result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -EBADMSG);
	CHECK(strstr(error.text, "304"));
	CHECK(strstr(error.key, asking.script.url));
	asking_stop(&asking);
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
	client = asking_client(url);
	for (int i = 0; i < 2; i++) {
		asking_wait(client, &(struct sea_ccdb_query){ .path = "A", .timestamp_ms = 10 + i }, &result, NULL);
		CHECK_EQ(result.status, SEA_CCDB_OK);
		CHECK_EQ(result.source, i ? SEA_CCDB_FROM_MEMORY : SEA_CCDB_FROM_SNAPSHOT);
		CHECK(!result.was_asked);
		CHECK_MEM_EQ(result.content, "shot", 4);
		sea_ccdb_result_fini(&result);
	}
	asking_wait(client, &(struct sea_ccdb_query){ .path = "B", .timestamp_ms = 10 }, &result, NULL);
	CHECK_EQ(result.status, SEA_CCDB_NOT_FOUND);
	sea_ccdb_client_free(client);
}

TEST(bad_queries, "paths, metadata, times and options that mean nothing are refused with what is wrong")
{
	static const char *const paths[] = {
		"", "/", "A/../B", ".", "A/123/B", "A/x=y", "A\nB", "a/b/c/d/e/f/g/h/i/j/k"
	};
	struct sea_ccdb_client *client = asking_client("localhost:1");
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

	script_start(&script, asking_say_object, NULL);
	options.url = script.url;
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	asking_wait(client, &(struct sea_ccdb_query){ .path = "A/B", .timestamp_ms = 1500 }, &result, NULL);
	sea_ccdb_result_fini(&result);
	snprintf(
		expected, sizeof(expected),
		"ccdb reads %s/A/B/1000/%s for 1500 (load to memory, agent_id: %s): miss, valid 1000 to 2000, 5 bytes, ",
		script.url, script_uuid(7), sea_ccdb_client_user_agent(client));
	CHECK_EQ(strncmp(line, expected, strlen(expected)), 0);
	sea_ccdb_client_free(client);
	script_stop(&script);
}
