/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads, good and hostile ones; and what else hostile clients send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serving.h"

/* A POST whose body is given as it is. */
static struct reply post(const struct serving *serving, const char *url, const char *type, const char *body)
{
	struct reply reply;
	char *text;
	const int n = asprintf(
		&text, "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", url,
		type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body), body);

	CHECK(n > 0);
	reply = serving_raw(serving, text, (size_t)n);
	free(text);
	return reply;
}

#define FORM "multipart/form-data; boundary=b"
#define PART "Content-Disposition: form-data; name=\"send\"; filename=\"f\"\r\n\r\n"

TEST(parts, "an upload has exactly one part, or is 400 with the reason")
{
	static const struct {
		const char *type, *body;
		int status;
	} cases[] = {
		{ FORM, "--b\r\n" PART "x\r\n--b--\r\n", 201 },
		{ FORM, "--b\r\n" PART "\r\n--b--", 201 },
		{ FORM, "preamble\r\n--b\r\n" PART "x\r\n-\r\n--\r\n--a\r\n--b--\r\nepilogue", 201 },
		{ "Multipart/Form-Data; charset=x; boundary=\"b\"", "--b  \r\n" PART "x\r\n--b--\r\n", 201 },
		{ FORM, "", 400 },
		{ FORM, "--b--\r\n", 400 },
		{ FORM, "--b\r\n" PART "x\r\n--b\r\n" PART "y\r\n--b--\r\n", 400 },
		{ FORM, "--b\r\n" PART "x\r\n--b", 400 },
		{ FORM, "--b\r\n" PART "x", 400 },
		{ FORM, "--b\r\nContent-Dis", 400 },
		{ FORM, "--bx" PART "x\r\n--b--\r\n", 400 },
		{ "multipart/form-data", "--b\r\n" PART "x\r\n--b--\r\n", 400 },
		{ "multipart/form-data; boundary=", "--b\r\n" PART "x\r\n--b--\r\n", 400 },
		{ "application/x-www-form-urlencoded", "a=b", 400 },
		{ NULL, "--b\r\n" PART "x\r\n--b--\r\n", 400 },
	};
	struct serving serving = serving_start(NULL);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_REPLY reply = post(&serving, "/A/1/2", cases[i].type, cases[i].body);

		if (reply.status != cases[i].status ||
		    (reply.status == 400 && strchr(reply.body, '\n') != reply.body + reply.n_body - 1))
			FAIL("case %zu: %d %s", i, reply.status, reply.body);
	}
	serving_stop(&serving);
}

TEST(content, "the content arrives byte for byte, whatever is in it")
{
	struct serving serving = serving_start(NULL);
	const size_t n_bytes = 700001;
	char *data = malloc(n_bytes);

	CHECK(data);
	for (size_t i = 0; i < n_bytes; i++)
		data[i] = "\r\n--xy\0z\r"[test_random() % 9];
	/* The delimiter itself cannot be in it. */
	for (char *at = data; (at = memmem(at, n_bytes - (size_t)(at - data), "--xyz", 5)); at++)
		at[4] = 'y';
	{
		AUTO_REPLY up = serving_upload(&serving, "/A/1/2", data, n_bytes);
		AUTO_REPLY down = serving_ask(&serving, "GET", "/A/1?direct=true", NULL);

		CHECK_EQ(up.status, 201);
		CHECK_EQ(down.n_body, n_bytes);
		CHECK_MEM_EQ(down.body, data, n_bytes);
	}
	free(data);
	serving_stop(&serving);
}

TEST(url, "an upload's uuid, its end, its metadata come from the URL; a conflict is 409")
{
	struct serving serving = serving_start(NULL);
	AUTO_REPLY first = serving_upload(&serving, "/A/1/2/01234567-89ab-cdef-0123-456789abcdef/k=v", "x", 1);
	AUTO_REPLY second = serving_upload(&serving, "/A/1/2/01234567-89ab-cdef-0123-456789abcdef", "y", 1);
	AUTO_REPLY instant = serving_upload(&serving, "/B/7", "x", 1);
	AUTO_REPLY backwards = serving_upload(&serving, "/B/7/6", "x", 1);
	AUTO_REPLY forged = serving_upload(&serving, "/B/7/8/Location=http%3A%2F%2Fevil", "x", 1);
	AUTO_REPLY split = serving_upload(&serving, "/B/7/8/k=a%0d%0aX%3A%20y", "x", 1);
	AUTO_REPLY no_time = serving_upload(&serving, "/B", "x", 1);

	CHECK_EQ(first.status, 201);
	CHECK_STR_EQ(reply_must(&first, "ETag"), "\"01234567-89ab-cdef-0123-456789abcdef\"");
	CHECK_EQ(second.status, 409);
	CHECK_EQ(instant.status, 201);
	CHECK_STR_EQ(reply_must(&instant, "Valid-Until"), "8");
	CHECK_EQ(backwards.status, 400);
	CHECK_EQ(forged.status, 400);
	CHECK_EQ(split.status, 400);
	CHECK_EQ(no_time.status, 400);
	serving_stop(&serving);
}

TEST(too_large, "more than the largest upload is 413, and leaves nothing")
{
	const struct sea_ccdb_server_options options = { .n_bytes_upload_max = 1000 };
	struct serving serving = serving_start(&options);
	static char data[200000];
	struct sea_ccdb_total total;
	AUTO_REPLY most = serving_upload(&serving, "/A/1/2", data, 1000);
	AUTO_REPLY more = serving_upload(&serving, "/A/1/2", data, 1001);
	AUTO_REPLY much = serving_upload(&serving, "/A/1/2", data, sizeof(data));

	CHECK_EQ(most.status, 201);
	CHECK_EQ(more.status, 413);
	CHECK_EQ(much.status, 413);
	CHECK_OK(sea_ccdb_store_total(serving.store, &total));
	CHECK_EQ(total.n_objects, 1);
	serving_stop(&serving);
}

TEST(hostile,
     "URLs and requests that are malformed are refused with a line that says what is wrong, and the server lives on")
{
	static const char *const urls[] = {
		"/A/%zz/5",
		"/A/%0/5",
		"/A/%00/5",
		"/A/%ff/5",
		"/A/../5",
		"/A/.%2e/5",
		"/A/B%2fC/5",
		"/A/5/6/7",
		"/A/5/x",
		"/A/5/=v",
		"/=v/5",
		"/5",
		"/A/99999999999999999999",
		"/A/%0a/5",
		"/A/5/nope-",
		"/download/xy",
		"/download/",
		"/a/b/c/d/e/f/g/h/i/j/k/5",
		"/A/5?%zz=1",
		"/A/5?=1",
		"/browse/%01",
		"/A/9223372036854775807",
	};
	static const char *const raw[] = {
		"",
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"\xff\xfe\x00\x01",
		"GET /A/5 HTTP/1.1\r\n",
		"POST /A/1/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /A/1/2 HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"
	};
	struct serving serving = serving_start(NULL);
	char *large = malloc(200000);

	CHECK(large);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		AUTO_REPLY reply = serving_ask(&serving, "GET", urls[i], NULL);

		if (reply.status != 400 || strchr(reply.body, '\n') != reply.body + reply.n_body - 1)
			FAIL("%s: %d %s", urls[i], reply.status, reply.body);
	}
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
		const int fd = serving_connect(sea_ccdb_server_port(serving.server));

		serving_send(fd, raw[i], strlen(raw[i]));
		close(fd);
	}
	/* A URL of 9000 bytes, and one that is longer than what a connection may use. */
	for (size_t n = 9000; n <= 190000; n += 181000) {
		const int n_head = sprintf(large, "GET /A/");

		memset(large + n_head, 'x', n);
		strcpy(large + n_head + n, "/5 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
		{
			AUTO_REPLY reply = serving_raw(&serving, large, strlen(large));

			CHECK(reply.status == 414 || (n > 60000 && (reply.status == 0 || reply.status == 431)));
		}
	}
	{
		size_t n = (size_t)sprintf(large, "GET /A/5 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
		AUTO_REPLY reply;

		for (int i = 0; i < 100; i++)
			n += (size_t)sprintf(large + n, "X-%d: y\r\n", i);
		strcpy(large + n, "\r\n");
		reply = serving_raw(&serving, large, n + 2);
		CHECK_EQ(reply.status, 431);
	}
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", "/", NULL);

		CHECK_EQ(reply.status, 200);
	}
	free(large);
	serving_stop(&serving);
}

TEST(interrupted, "an upload whose client goes away in the middle leaves nothing")
{
	struct serving serving = serving_start(NULL);
	static const char begin[] = "POST /A/1/2 HTTP/1.1\r\nHost: h\r\nContent-Type: " FORM
				    "\r\nContent-Length: 100000\r\n\r\n--b\r\n" PART;
	struct sea_ccdb_total total;
	struct sea_ccdb_server_stats stats;
	char command[700];

	for (int i = 0; i < 10; i++) {
		const int fd = serving_connect(sea_ccdb_server_port(serving.server));

		serving_send(fd, begin, sizeof(begin) - 1);
		serving_send(fd, command, (size_t)i * 50);
		close(fd);
	}
	CHECK_EVENTUALLY((sea_ccdb_server_get_stats(serving.server, &stats), stats.n_status[0] == 10));
	CHECK_OK(sea_ccdb_store_total(serving.store, &total));
	CHECK_EQ(total.n_objects, 0);
	snprintf(command, sizeof(command), "test -z \"$(ls '%s/tmp')\"", serving_directory());
	CHECK_EQ(system(command), 0);
	serving_stop(&serving);
}
