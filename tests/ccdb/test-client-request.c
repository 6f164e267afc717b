/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in flight: callbacks, equal ones, room that a caller gives, those that are cancelled, freed or too late. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "asking.h"

#define NS_PER_S INT64_C(1000000000)

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
	struct told told = { 0 };
	struct asking asking;

	asking_start(&asking, asking_say_object, NULL);
	query.userdata = &told;
	for (int i = 0; i < 10; i++)
		CHECK_OK(sea_ccdb_client_request(asking.client, &query, NULL, NULL));
	run_until(asking.client, &told.n, 10);
	CHECK_EQ(told.n_ok, 10);
	CHECK_EQ(atomic_load(&asking.script.log->n), 1);
	sea_ccdb_client_get_stats(asking.client, &stats);
	CHECK_EQ(stats.n_joined, 9);
	CHECK_EQ(stats.n_in_flight, 0);
	asking_stop(&asking);
}

TEST(cancel_inside, "a callback may cancel another request, and not dispatch")
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .done = tell };
	struct sea_ccdb_request *second;
	struct told told = { 0 };
	struct asking asking;

	asking_start(&asking, asking_say_object, NULL);
	told.client = asking.client;
	query.userdata = &told;
	CHECK_OK(sea_ccdb_client_request(asking.client, &query, NULL, NULL));
	CHECK_OK(sea_ccdb_client_request(asking.client, &query, &second, NULL));
	told.cancel = second;
	run_until(asking.client, &told.n, 1);
	for (int i = 0; i < 10; i++)
		CHECK_OK(sea_ccdb_client_dispatch(asking.client));
	CHECK_EQ(told.n, 1);
	CHECK_EQ(told.nested, -EDEADLK);
	asking_stop(&asking);
}

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
	struct sea_error error;
	struct asking asking;

	asking_start(&asking, say_cut_first, NULL);
	asking_get(&asking, &query, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	CHECK(asking.result.content == room.bytes);
	CHECK_MEM_EQ(room.bytes, "hello", 5);
	CHECK(asking.result.object->content == NULL);
	CHECK_EQ(asking.result.object->n_bytes, 5);
	CHECK_STR_EQ(room.uuid, script_uuid(7));
	CHECK_EQ(room.n_given, 2);
	CHECK_EQ(room.n_back, 1);
	query.timestamp_ms = 3500;
	asking_get(&asking, &query, NULL);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	CHECK_EQ(asking.result.n_bytes, 7);
	CHECK_MEM_EQ(room.bytes, "abcdefg", 7);
	CHECK_EQ(room.n_given, 3);
	room.is_full = true;
	query.timestamp_ms = 3600;
	query.flags = SEA_CCDB_ASK_ALWAYS;
	asking_get(&asking, &query, &error);
	CHECK_EQ(asking.result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -ENOMEM);
	CHECK_EQ(room.n_back, 1);
	asking_stop(&asking);
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

/* What is at A/B, into room that the caller gives. */
static struct sea_ccdb_query query_into(struct room *room, struct told *told)
{
	return (struct sea_ccdb_query){ .path = "A/B",
		                        .timestamp_ms = 1500,
		                        .done = tell,
		                        .allocate = room_give,
		                        .release = room_back,
		                        .allocate_userdata = room,
		                        .userdata = told };
}

TEST(cancel_owner, "who cancels while its room is being filled gets it back; who waits for the same gets all of it")
{
	struct room room = { 0 };
	struct told told = { 0 }, never = { 0 };
	struct sea_ccdb_query query = query_into(&room, &never);
	_Atomic unsigned *n = test_shared(sizeof(*n));
	struct sea_ccdb_request *first;
	struct asking asking;

	asking_start(&asking, say_half, n);
	CHECK_OK(sea_ccdb_client_request(asking.client, &query, &first, NULL));
	query.allocate = NULL;
	query.userdata = &told;
	CHECK_OK(sea_ccdb_client_request(asking.client, &query, NULL, NULL));
	run_until(asking.client, &room.n_given, 1);
	sea_ccdb_client_cancel(asking.client, first);
	CHECK_EQ(room.n_back, 1);
	run_until(asking.client, &told.n, 1);
	CHECK_EQ(told.n_ok, 1);
	CHECK_MEM_EQ(told.content, "hello", 5);
	CHECK_EQ(never.n, 0);
	asking_stop(&asking);
}

TEST(free_in_flight, "a client that is freed in the middle of a transfer gives all room back")
{
	struct room room = { 0 };
	struct told never = { 0 };
	struct sea_ccdb_query query = query_into(&room, &never);
	_Atomic unsigned *n = test_shared(sizeof(*n));
	struct asking asking;

	asking_start(&asking, say_half, n);
	CHECK_OK(sea_ccdb_client_request(asking.client, &query, NULL, NULL));
	query.timestamp_ms = 1501;
	run_until(asking.client, &room.n_given, 1);
	asking.client = sea_ccdb_client_free(asking.client);
	CHECK_EQ(room.n_back, 1);
	CHECK_EQ(never.n, 0);
	asking_stop(&asking);
}

/* Half of it for the time 1500, all of it for others. */
static bool say_half_at_1500(int fd, const struct script_request *request, void *arg)
{
	return script_time(request->target) == 1500 ? say_half(fd, request, arg) : asking_say_object(fd, request, arg);
}

TEST(deadline, "a request whose time is over fails; the client goes on")
{
	struct sea_ccdb_query query = { .path = "A/B", .timestamp_ms = 1500, .timeout_ns = NS_PER_S / 20 };
	struct sea_ccdb_client_stats stats;
	struct sea_error error;
	struct asking asking;

	asking_start(&asking, say_half_at_1500, NULL);
	asking_get(&asking, &query, &error);
	CHECK_EQ(asking.result.status, SEA_CCDB_FAILED);
	CHECK_EQ(error.code, -ETIMEDOUT);
	CHECK_ERR(sea_ccdb_client_get(asking.client, &(struct sea_ccdb_query){ .path = "A", .timestamp_ms = 1500 },
	                              &asking.result, 0, &error),
	          -ETIMEDOUT);
	sea_ccdb_client_get_stats(asking.client, &stats);
	CHECK_EQ(stats.n_in_flight, 0);
	query.timeout_ns = 0;
	query.timestamp_ms = 1501;
	asking_get(&asking, &query, &error);
	CHECK_EQ(asking.result.status, SEA_CCDB_OK);
	asking_stop(&asking);
}
