/* SPDX-License-Identifier: Apache-2.0 */
/* Many requests in flight at once, over few connections, among servers that fail now and then. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/ccdb/ccdb.h>

#include "script.h"
#include "test.h"

#define N_REQUESTS 500

struct many {
	unsigned n_done, n_ok, n_failed;
};

struct one {
	struct many *many;
	unsigned i;
};

/* Version i is valid in ms i alone; each seventh request fails in one of several ways. */
static bool say_version(int fd, const struct script_request *request, void *arg)
{
	unsigned t = (unsigned)script_time(request->target);
	bool is_flaky = arg != NULL;
	char content[32];

	if (is_flaky && request->i % 7 == 3)
		return false;
	if (is_flaky && request->i % 7 == 5)
		return script_say(fd, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
	snprintf(content, sizeof(content), "version %u", t);
	return script_object(fd, script_uuid(t), t, t + 1, 500, content);
}

static void tell(const struct sea_ccdb_result *result, const struct sea_error *error, void *userdata)
{
	struct one *one = userdata;
	char content[32];
	int n;

	(void)error;
	one->many->n_done++;
	if (result->status != SEA_CCDB_OK) {
		one->many->n_failed++;
		return;
	}
	one->many->n_ok++;
	n = snprintf(content, sizeof(content), "version %u", one->i);
	CHECK_EQ(result->n_bytes, n);
	CHECK_MEM_EQ(result->content, content, (size_t)n);
	CHECK_STR_EQ(result->version.uuid, script_uuid(one->i));
	CHECK_EQ(result->timestamp_ms, one->i);
}

static void run_many(struct sea_ccdb_client *client, struct one *ones, struct many *many)
{
	struct pollfd poll_fd = { .fd = sea_ccdb_client_fd(client), .events = POLLIN };

	for (unsigned i = 0; i < N_REQUESTS; i++) {
		struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = i, .done = tell, .userdata = &ones[i] };

		ones[i] = (struct one){ many, i };
		CHECK_OK(sea_ccdb_client_request(client, &query, NULL, NULL));
	}
	while (many->n_done < N_REQUESTS) {
		if (poll(&poll_fd, 1, 30000) <= 0)
			FAIL("nothing happens after %u", many->n_done);
		CHECK_OK(sea_ccdb_client_dispatch(client));
	}
}

static void check_many(unsigned n_connections, bool is_flaky)
{
	struct sea_ccdb_client_options options = {
		.n_connections = n_connections, .n_tries = 20, .backoff_ms = 1, .no_environment = true
	};
	struct one *ones = calloc(N_REQUESTS, sizeof(*ones));
	struct sea_ccdb_client_stats stats;
	struct sea_ccdb_client *client;
	struct many many = { 0 };
	struct script script;

	script_start(&script, say_version, is_flaky ? ones : NULL);
	options.url = script.url;
	CHECK_OK(sea_ccdb_client_new(&client, &options, NULL));
	run_many(client, ones, &many);
	CHECK_EQ(many.n_ok, N_REQUESTS);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_requests, N_REQUESTS);
	CHECK_EQ(stats.n_misses, N_REQUESTS);
	CHECK_EQ(stats.n_in_flight, 0);
	/* And all of them once more: nobody is asked. */
	many = (struct many){ 0 };
	run_many(client, ones, &many);
	CHECK_EQ(many.n_ok, N_REQUESTS);
	sea_ccdb_client_get_stats(client, &stats);
	CHECK_EQ(stats.n_hits, N_REQUESTS);
	sea_ccdb_client_free(client);
	script_stop(&script);
	free(ones);
}

TEST(many, "500 requests in flight, each gets its own answer; asked again, none goes out")
{
	check_many(0, false);
}

TEST(many_flaky, "the same over four connections to a server that fails two of seven")
{
	check_many(4, true);
}

TEST(many_freed, "a client is freed with 500 requests in all stages: nobody is called, nothing leaks")
{
	struct one *ones = calloc(N_REQUESTS, sizeof(*ones));
	struct sea_ccdb_client *client;
	struct many many = { 0 };
	struct script script;

	script_start(&script, say_version, ones);
	CHECK_OK(sea_ccdb_client_new(
		&client, &(struct sea_ccdb_client_options){ .url = script.url, .no_environment = true }, NULL));
	for (unsigned i = 0; i < N_REQUESTS; i++) {
		struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = i, .done = tell, .userdata = &ones[i] };

		ones[i] = (struct one){ &many, i };
		CHECK_OK(sea_ccdb_client_request(client, &query, NULL, NULL));
		if (i % 100 == 50)
			CHECK_OK(sea_ccdb_client_dispatch(client));
	}
	sea_ccdb_client_free(client);
	CHECK_LT(many.n_done, N_REQUESTS);
	script_stop(&script);
	free(ones);
}
