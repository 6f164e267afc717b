/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that lie, garble, cut, drag and never stop. None of it may be given as an object, and each is an error that says what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/ccdb/ccdb.h>

#include "script.h"
#include "test.h"

#define NS_PER_S INT64_C(1000000000)
#define PATIENCE (30 * NS_PER_S)

#define UUID "00000007-1111-11ee-8000-000000000000"
#define OTHER "00000008-1111-11ee-8000-000000000000"
#define TAG "ETag: \"" UUID "\"\r\n"
#define VALID "Valid-From: 1000\r\nValid-Until: 2000\r\n"
#define CREATED "Created: 500\r\n"
#define LENGTH "Content-Length: 5\r\n"
#define MD5_OF_HELLO "5d41402abc4b2a76b9719d911017c592"
#define OK_LINE "HTTP/1.1 200 OK\r\n"

struct lie {
	const char *what;
	const char *answer;
	int code;         /* 0: any */
	const char *word; /* in the error's text; NULL: any */
};

static const struct lie lies[] = {
	{ "a body that is cut", OK_LINE TAG VALID CREATED LENGTH "\r\nhel", -ECONNRESET, "broke off" },
	{ "a body of another MD5", OK_LINE TAG VALID CREATED LENGTH "Content-MD5: " MD5_OF_HELLO "\r\n\r\nhalli",
	  -EBADMSG, "MD5" },
	{ "an MD5 that is none", OK_LINE TAG VALID CREATED LENGTH "Content-MD5: 12345\r\n\r\nhello", -EBADMSG, "MD5" },
	{ "two lengths", OK_LINE TAG VALID CREATED "Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello", 0, NULL },
	{ "a length beyond numbers", OK_LINE TAG VALID CREATED "Content-Length: 99999999999999999999999\r\n\r\nhello",
	  0, NULL },
	{ "a length below 0", OK_LINE TAG VALID CREATED "Content-Length: -5\r\n\r\nhello", 0, NULL },
	{ "a length beyond what is allowed", OK_LINE TAG VALID CREATED "Content-Length: 5000000000000\r\n\r\nhello",
	  -E2BIG, "allowed" },
	{ "no length, no checksum", OK_LINE TAG VALID CREATED "\r\nhello", -EBADMSG, "whole" },
	{ "no length, cut against its MD5", OK_LINE TAG VALID CREATED "Content-MD5: " MD5_OF_HELLO "\r\n\r\nhel",
	  -EBADMSG, "MD5" },
	{ "no ETag", OK_LINE VALID CREATED LENGTH "\r\nhello", -EBADMSG, "ETag" },
	{ "an ETag that is none", OK_LINE "ETag: \"a b\"\r\n" VALID CREATED LENGTH "\r\nhello", -EBADMSG, "ETag" },
	{ "no validity", OK_LINE TAG CREATED LENGTH "\r\nhello", -EBADMSG, "valid" },
	{ "no creation", OK_LINE TAG VALID LENGTH "\r\nhello", -EBADMSG, "created" },
	{ "a malformed validity", OK_LINE TAG "Valid-From: 10x\r\nValid-Until: 2000\r\n" CREATED LENGTH "\r\nhello",
	  -EBADMSG, "Valid-From" },
	{ "a validity beyond numbers",
	  OK_LINE TAG "Valid-From: 1000\r\nValid-Until: 9999999999999999999\r\n" CREATED LENGTH "\r\nhello", -EBADMSG,
	  "Valid-Until" },
	{ "a creation below 0", OK_LINE TAG VALID "Created: -1\r\n" LENGTH "\r\nhello", -EBADMSG, "Created" },
	{ "a malformed promise", OK_LINE TAG VALID CREATED LENGTH "Cache-Valid-Until: never\r\n\r\nhello", -EBADMSG,
	  "Cache-Valid-Until" },
	{ "valid later", OK_LINE TAG "Valid-From: 1501\r\nValid-Until: 2000\r\n" CREATED LENGTH "\r\nhello", -EBADMSG,
	  "not valid" },
	{ "valid until just before", OK_LINE TAG "Valid-From: 1000\r\nValid-Until: 1500\r\n" CREATED LENGTH "\r\nhello",
	  -EBADMSG, "not valid" },
	{ "created too late", OK_LINE TAG VALID "Created: 901\r\n" LENGTH "\r\nhello", -EBADMSG, "bounds" },
	{ "encoded", OK_LINE TAG VALID CREATED LENGTH "Content-Encoding: gzip\r\n\r\nhello", -ENOTSUP, "gzip" },
	{ "a part", "HTTP/1.1 206 Partial Content\r\n" TAG VALID CREATED LENGTH "\r\nhello", -EREMOTEIO, "206" },
	{ "nothing", "HTTP/1.1 204 No Content\r\n" TAG VALID CREATED "\r\n", -EREMOTEIO, "204" },
	{ "another protocol", "SSH-2.0-OpenSSH_9.2\r\n", 0, NULL },
	{ "a connection that is closed", "", -ECONNRESET, NULL },
	{ "half a head", OK_LINE TAG "Valid-Fr", 0, NULL },
	{ "a header that is none", OK_LINE TAG VALID CREATED LENGTH "no colon at all\r\n\r\nhello", 0, NULL },
	{ "a control character", OK_LINE TAG VALID CREATED LENGTH "X: a\001b\r\n\r\nhello", 0, "control" },
	{ "a status that is none", "HTTP/1.1 2x0 OK\r\n" TAG VALID CREATED LENGTH "\r\nhello", 0, NULL },
	{ "chunks that end early", OK_LINE TAG VALID CREATED "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", -ECONNRESET,
	  "broke off" },
	{ "chunks that are none", OK_LINE TAG VALID CREATED "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", 0,
	  "broke off" },
	{ "a redirect to itself", "HTTP/1.1 303 See Other\r\nLocation: /A/1500/\r\nContent-Length: 0\r\n\r\n", 0,
	  NULL },
	{ "a redirect nowhere", "HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n\r\n", -ENOTSUP, "none" },
	{ "a redirect to a file", "HTTP/1.1 303 See Other\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
	  -ENOTSUP, "file:///etc/passwd" },
	{ "a redirect to alien", "HTTP/1.1 303 See Other\r\nLocation: alien:///x\r\nContent-Length: 0\r\n\r\n",
	  -ENOTSUP, "alien" },
	{ "a redirect to another scheme",
	  "HTTP/1.1 303 See Other\r\nLocation: gopher://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n", -ENOTSUP, "gopher" },
	{ "a redirect to what is not valid",
	  "HTTP/1.1 303 See Other\r\nLocation: /x\r\n" TAG "Valid-From: 1\r\nValid-Until: 2\r\n" CREATED
	  "Content-Length: 0\r\n\r\n",
	  -EBADMSG, "not valid" },
	{ "a 304 with another ETag", "HTTP/1.1 304 Not Modified\r\nETag: \"" OTHER "\"\r\n\r\n", -EBADMSG, "304" },
	{ "a server's error", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", -EREMOTEIO, "500" },
	{ "a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", -EREMOTEIO, "403" },
};

#define N_LIES (sizeof(lies) / sizeof(lies[0]))

static bool say_lie(int fd, const struct script_request *request, void *arg)
{
	_Atomic unsigned *which = arg;
	unsigned i = atomic_load(which);

	(void)request;
	if (i >= N_LIES)
		return script_object(fd, UUID, 1000, 2000, 500, "hello");
	script_bytes(fd, lies[i].answer, strlen(lies[i].answer));
	return false;
}

static struct sea_ccdb_client *client_new(const char *url)
{
	struct sea_ccdb_client_options options = { .url = url, .n_tries = 1, .no_environment = true };
	struct sea_ccdb_client *client;

	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	return client;
}

TEST(lies, "no lie is taken for an object, each is an error that says what is wrong, and the client goes on")
{
	const char *held[] = { UUID };
	struct sea_ccdb_query query = { .path = "A", .timestamp_ms = 1500, .not_after_ms = 900 };
	_Atomic unsigned *which = test_shared(sizeof(*which));
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct sea_error error;
	struct script script;

	script_start(&script, say_lie, which);
	client = client_new(script.url);
	for (unsigned i = 0; i < N_LIES; i++) {
		atomic_store(which, i);
		query.held = strncmp(lies[i].answer, "HTTP/1.1 304", 12) == 0 ? held : NULL;
		query.n_held = query.held ? 1 : 0;
		CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
		if (result.status != SEA_CCDB_FAILED || (lies[i].code && error.code != lies[i].code) ||
		    (lies[i].word && !strstr(error.text, lies[i].word)))
			FAIL("%s: %s, %d: %s", lies[i].what, sea_ccdb_status_text(result.status), error.code,
			     error.text);
		CHECK(result.object == NULL && result.content == NULL);
		CHECK(strstr(error.key, "127.0.0.1"));
	}
	atomic_store(which, N_LIES);
	CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
	CHECK_EQ(result.status, SEA_CCDB_OK);
	CHECK_MEM_EQ(result.content, "hello", 5);
	sea_ccdb_result_fini(&result);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* Things without end. --------------------------------------------------------------------- */

enum endless { HEADERS, LINE, INTERIM, REDIRECTS, BODY_OF_404, BODY, N_ENDLESS };

static bool say_endless(int fd, const struct script_request *request, void *arg)
{
	_Atomic unsigned *which = arg;
	bool goes_on = true;

	switch (atomic_load(which)) {
	case HEADERS:
		script_say(fd, OK_LINE);
		for (unsigned i = 0; goes_on; i++)
			goes_on = script_say(fd, "X-%u: %u\r\n", i, i);
		return false;
	case LINE:
		script_say(fd, OK_LINE "X: ");
		while (goes_on)
			goes_on = script_say(fd, "%0100d", 0);
		return false;
	case INTERIM:
		while (goes_on)
			goes_on = script_say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
		return false;
	case REDIRECTS:
		return script_say(fd, "HTTP/1.1 302 Found\r\nLocation: /x/%u\r\nContent-Length: 0\r\n\r\n", request->i);
	case BODY_OF_404:
		script_say(fd, "HTTP/1.1 404 Not Found\r\n\r\n");
		while (goes_on)
			goes_on = script_say(fd, "%0100d", 0);
		return false;
	default:
		script_say(fd, OK_LINE TAG VALID CREATED "Transfer-Encoding: chunked\r\n\r\n");
		while (goes_on)
			goes_on = script_say(fd, "64\r\n%0100d\r\n", 0);
		return false;
	}
}

TEST(endless, "headers, lines, interim answers, redirects and bodies without end do end")
{
	static const int codes[N_ENDLESS] = { -E2BIG, 0, -E2BIG, -ELOOP, -ENOENT, -E2BIG };
	struct sea_ccdb_query query = { .path = "A", .timestamp_ms = 1500 };
	_Atomic unsigned *which = test_shared(sizeof(*which));
	struct sea_ccdb_client_options options = { .n_tries = 1, .n_object_bytes_max = 100000, .no_environment = true };
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct sea_error error;
	struct script script;

	script_start(&script, say_endless, which);
	options.url = script.url;
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	for (unsigned i = 0; i < N_ENDLESS; i++) {
		atomic_store(which, i);
		CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, &error));
		CHECK_EQ(result.status, i == BODY_OF_404 ? SEA_CCDB_NOT_FOUND : SEA_CCDB_FAILED);
		if (codes[i] && error.code != codes[i])
			FAIL("%u: %d: %s", i, error.code, error.text);
	}
	sea_ccdb_client_free(client);
	script_stop(&script);
}

static bool say_nothing(int fd, const struct script_request *request, void *arg)
{
	char byte;

	(void)request;
	(void)arg;
	script_say(fd, OK_LINE TAG VALID CREATED LENGTH "\r\nhe");
	return read(fd, &byte, 1) > 0;
}

TEST(slow, "a server that stops in the middle is a timeout, with as many tries as are allowed")
{
	struct sea_ccdb_client_options options = {
		.n_tries = 2, .timeout_ms = 100, .backoff_ms = 1, .no_environment = true
	};
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct sea_error error;
	struct script script;

	script_start(&script, say_nothing, NULL);
	options.url = script.url;
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	CHECK_OK(sea_ccdb_client_get(client, &(struct sea_ccdb_query){ .path = "A", .timestamp_ms = 1500 }, &result,
	                             PATIENCE, &error));
	CHECK_EQ(result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -ETIMEDOUT);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_http, 2);
	sea_ccdb_client_free(client);
	script_stop(&script);
}

/* More bytes than announced, and trailers that would change what was said. */
static bool say_more(int fd, const struct script_request *request, void *arg)
{
	(void)arg;
	if (request->i == 0)
		return script_say(fd, OK_LINE TAG VALID CREATED LENGTH "\r\nhello, and more of it");
	return script_say(fd, OK_LINE "ETag: \"" OTHER "\"\r\n" VALID CREATED "Transfer-Encoding: chunked\r\n\r\n"
	                              "5\r\nhello\r\n0\r\n" TAG "Valid-From: 0\r\nContent-MD5: x\r\n\r\n");
}

TEST(more, "bytes after the announced ones and trailers after the last chunk change nothing")
{
	struct sea_ccdb_query query = { .path = "A", .timestamp_ms = 1500, .flags = SEA_CCDB_ASK_ALWAYS };
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result;
	struct script script;

	script_start(&script, say_more, NULL);
	client = client_new(script.url);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(sea_ccdb_client_get(client, &query, &result, PATIENCE, NULL));
		CHECK_EQ(result.status, SEA_CCDB_OK);
		CHECK_EQ(result.n_bytes, 5);
		CHECK_MEM_EQ(result.content, "hello", 5);
		CHECK_STR_EQ(result.version.uuid, i ? OTHER : UUID);
		CHECK_EQ(result.version.valid_from_ms, 1000);
		sea_ccdb_result_fini(&result);
	}
	sea_ccdb_client_free(client);
	script_stop(&script);
}
