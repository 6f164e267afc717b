/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does wrong when it is told to; and several clients at once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serving.h"

static struct serving start(const char *const *faults, size_t n_faults)
{
	struct sea_ccdb_server_options options = { 0 };

	for (size_t i = 0; i < n_faults; i++)
		CHECK_OK(sea_ccdb_faults_parse(&options.faults, faults[i], NULL));
	return serving_start(&options);
}

static struct serving start_with(const char *fault)
{
	return start(&fault, 1);
}

TEST(parse, "faults are read as the command line has them, and what is none is refused")
{
	static const char *const wrong[] = { "",        "=",      "delay",    "delay=",   "delay=x",
		                             "5xx=101", "5xx=0",  "cut",      "nonsense", "alien-first=1",
		                             "slow=-1", "dela=5", "delayed=5" };
	struct sea_ccdb_faults faults = { 0 };
	struct sea_error error;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (sea_ccdb_faults_parse(&faults, wrong[i], &error) != -EINVAL)
			FAIL("'%s' was taken", wrong[i]);
	CHECK_OK(sea_ccdb_faults_parse(&faults, "wrong-length=7", NULL));
	CHECK_EQ(faults.wrong_length_percent, 7);
}

TEST(errors, "5xx=25 makes every fourth answer a 503, but no listing")
{
	struct serving serving = start_with("5xx=25");
	int n_failed = 0;

	serving_put(serving.store, "A", 0, 10, "x");
	for (int i = 0; i < 40; i++) {
		AUTO_REPLY reply = serving_ask(&serving, "GET", "/A/5", NULL);
		AUTO_REPLY browse = serving_ask(&serving, "GET", "/browse/A", NULL);

		CHECK(reply.status == 303 || reply.status == 503);
		CHECK_EQ(browse.status, 200);
		n_failed += reply.status == 503;
	}
	CHECK_EQ(n_failed, 10);
	serving_stop(&serving);
}

TEST(cut, "cut ends a body in the middle; wrong-length makes it consistent and too short")
{
	static const char *const both[] = { "cut=50", "wrong-length=50" };
	struct serving serving = start(both, 2);
	char url[128], data[1001];
	int n_cut = 0, n_short = 0, n_good = 0;

	memset(data, 'x', 1000);
	data[1000] = 0;
	snprintf(url, sizeof(url), "/download/%s", serving_put(serving.store, "A", 0, 10, data));
	for (int i = 0; i < 8; i++) {
		AUTO_REPLY reply = serving_ask(&serving, "GET", url, NULL);

		CHECK_EQ(reply.status, 200);
		n_cut += !reply.is_whole;
		n_short += reply.is_whole && reply.n_body == 500;
		n_good += reply.is_whole && reply.n_body == 1000;
	}
	CHECK_EQ(n_cut, 4);
	CHECK_EQ(n_cut + n_short + n_good, 8);
	serving_stop(&serving);
	serving = start_with("wrong-length=100");
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", url, NULL);

		CHECK(reply.is_whole);
		CHECK_EQ(reply.n_body, 500);
	}
	serving_stop(&serving);
}

TEST(places,
     "alien-first and dead-replica-first name a place first that is no use; HTTPOnly leaves the first of them out")
{
	static const char *const both[] = { "alien-first", "dead-replica-first" };
	struct serving serving = start(both, 2);

	serving_put(serving.store, "A/B", 0, 10, "x");
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", "/A/B/5", NULL);
		AUTO_REPLY only = serving_ask(&serving, "GET", "/A/B/5?HTTPOnly=true", NULL);

		CHECK(strncmp(reply_must(&reply, "Location"), "alien:///alice/data/CCDB/A/B/", 29) == 0);
		CHECK(strncmp(reply_header(&reply, "Content-Location", 1), "http://127.0.0.1:1/", 19) == 0);
		CHECK(strncmp(reply_header(&reply, "Content-Location", 2), "http://here:1234/download/", 26) == 0);
		CHECK(strncmp(reply_must(&only, "Location"), "http://127.0.0.1:1/", 19) == 0);
	}
	serving_stop(&serving);
}

TEST(replace, "an object that is replaced before its download is 404, and who asks again gets the replacement")
{
	struct serving serving = start_with("replace-before-download");
	char url[128];

	snprintf(url, sizeof(url), "/download/%s", serving_put(serving.store, "A", 0, 10, "hello"));
	for (int i = 0; i < 2; i++) {
		AUTO_REPLY reply = serving_ask(&serving, "GET", url, NULL);

		CHECK_EQ(reply.status, 404);
	}
	{
		AUTO_REPLY again = serving_ask(&serving, "GET", "/A/5", NULL);

		CHECK_EQ(again.status, 303);
		CHECK(strncmp(reply_must(&again, "replaces"), url + 10, 36) == 0);
		snprintf(url, sizeof(url), "/download/%.36s", reply_must(&again, "ETag") + 1);
	}
	{
		AUTO_REPLY content = serving_ask(&serving, "GET", url, NULL);

		CHECK_EQ(content.status, 200);
		CHECK_MEM_EQ(content.body, "hello", 5);
	}
	serving_stop(&serving);
}

TEST(slow, "slow and delay take their time, and do not hold up the end of the server")
{
	static const char request[] = "GET /A/5 HTTP/1.1\r\nHost: h\r\n\r\n";
	struct serving serving = start_with("slow=10000");
	char url[128], data[5001];
	int64_t start_ns;
	int fd;

	memset(data, 'x', 5000);
	data[5000] = 0;
	snprintf(url, sizeof(url), "/download/%s", serving_put(serving.store, "A", 0, 10, data));
	start_ns = test_now_ns();
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", url, NULL);

		CHECK(reply.is_whole);
		CHECK_EQ(reply.n_body, 5000);
	}
	/* Half a second at that rate; never much less. */
	CHECK_GT(test_now_ns() - start_ns, INT64_C(300000000));
	serving_stop(&serving);
	serving = start_with("delay=3600000");
	fd = serving_connect(sea_ccdb_server_port(serving.server));
	CHECK(serving_send(fd, request, sizeof(request) - 1));
	test_sleep_ms(20);
	serving_stop(&serving);
	close(fd);
}

TEST(aborted, "clients that go away in the middle of a download do no harm, whatever is done about SIGPIPE")
{
	struct serving serving = serving_start(NULL);
	const size_t n_bytes = 8 << 20;
	char *data = malloc(n_bytes + 1), url[256], byte;

	CHECK(data);
	memset(data, 'x', n_bytes);
	data[n_bytes] = 0;
	snprintf(url, sizeof(url), "GET /download/%s HTTP/1.1\r\nHost: h\r\n\r\n",
	         serving_put(serving.store, "A", 0, 10, data));
	for (int i = 0; i < 20; i++) {
		const int fd = serving_connect(sea_ccdb_server_port(serving.server));

		CHECK(serving_send(fd, url, strlen(url)));
		CHECK_EQ(read(fd, &byte, 1), 1);
		close(fd);
	}
	{
		AUTO_REPLY reply = serving_ask(&serving, "GET", "/A/5?direct=true", NULL);

		CHECK_EQ(reply.n_body, n_bytes);
	}
	free(data);
	serving_stop(&serving);
}

#define N_THREADS 6
#define N_EACH 20

static void *client(void *arg)
{
	struct serving *serving = arg;
	char url[64], data[32];

	for (int i = 0; i < N_EACH; i++) {
		const int number = (int)(test_random() % 1000000);

		snprintf(url, sizeof(url), "/T/x%d/0/10", number);
		snprintf(data, sizeof(data), "%d", number);
		{
			AUTO_REPLY up = serving_upload(serving, url, data, strlen(data));
			AUTO_REPLY down;

			CHECK_EQ(up.status, 201);
			snprintf(url, sizeof(url), "/T/x%d/5?direct=true", number);
			down = serving_ask(serving, "GET", url, NULL);
			CHECK_EQ(down.status, 200);
			CHECK_STR_EQ(down.body, data);
		}
	}
	return NULL;
}

TEST(many, "clients that upload and read at once each get what they sent")
{
	struct serving serving = serving_start(NULL);
	pthread_t threads[N_THREADS];
	struct sea_ccdb_total total;

	for (int i = 0; i < N_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, client, &serving), 0);
	for (int i = 0; i < N_THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_OK(sea_ccdb_store_total(serving.store, &total));
	CHECK_EQ(total.n_objects, N_THREADS * N_EACH);
	serving_stop(&serving);
}

TEST(keep_alive, "many requests over one connection are answered in turn, also when they come all at once")
{
	static const char request[] = "GET /A/5 HTTP/1.1\r\nHost: h\r\n\r\n";
	struct serving serving = serving_start(NULL);
	int fd, n = 0;
	char text[65536];
	size_t n_text = 0;

	serving_put(serving.store, "A", 0, 10, "x");
	fd = serving_connect(sea_ccdb_server_port(serving.server));
	for (int i = 0; i < 20; i++)
		CHECK(serving_send(fd, request, sizeof(request) - 1));
	while (n < 20) {
		const ssize_t n_read = CHECK_SYS(read(fd, text + n_text, sizeof(text) - 1 - n_text));

		CHECK(n_read > 0);
		n_text += (size_t)n_read;
		text[n_text] = 0;
		n = 0;
		for (const char *at = text; (at = strstr(at, "HTTP/1.1 303 ")); at++)
			n++;
	}
	close(fd);
	serving_stop(&serving);
}
