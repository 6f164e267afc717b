/* SPDX-License-Identifier: Apache-2.0 */
/* The client: requests made, cancelled, waited for, delivered; see client.h. */
#include "ccdb/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of libcurl's events in one dispatch, so that a fast server does not keep the caller for ever. */
#define N_TURNS_MAX 256

const char *sea_ccdb_status_text(enum sea_ccdb_status status)
{
	static const char *const texts[] = { "ok", "not modified", "not found", "failed" };

	return (unsigned)status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "?";
}

const char *sea_ccdb_source_text(enum sea_ccdb_source source)
{
	static const char *const texts[] = { "server", "memory", "disk", "snapshot" };

	return (unsigned)source < sizeof(texts) / sizeof(texts[0]) ? texts[source] : "?";
}

void sea_ccdb_result_fini(struct sea_ccdb_result *result)
{
	sea_ccdb_object_unref(result->object);
	*result = (struct sea_ccdb_result){ 0 };
}

/* Making and freeing. --------------------------------------------------------------------- */

static void cleanup_client(struct sea_ccdb_client **client)
{
	sea_ccdb_client_free(*client);
}

int sea_ccdb_client_new(struct sea_ccdb_client **ret_client, const struct sea_ccdb_client_options *options,
                        struct sea_error *error)
{
	SEAI_CLEANUP(cleanup_client) struct sea_ccdb_client *client = calloc(1, sizeof(*client));
	int result;

	if (!client)
		return sea_error_set(error, -ENOMEM, "url", "no memory");
	client->epoll_fd = client->timer_fd = -1;
	seai_link_init(&client->fresh);
	seai_link_init(&client->ready);
	seai_link_init(&client->all);
	seai_link_init(&client->queue);
	for (int i = 0; i < SEAI_N_BUCKETS; i++)
		seai_link_init(&client->buckets[i]);
	result = seai_options_take(client, options, error);
	if (result < 0)
		return result;
	result = seai_cache_new(&client->cache, client->options.n_memory_bytes_max, client->options.n_versions_max);
	if (result == 0)
		result = seai_loop_init(client);
	if (result < 0)
		return sea_error_set(error, result, "url", "no client: %s", strerror(-result));
	*ret_client = SEAI_TAKE(client);
	return 0;
}

void seai_request_free(struct sea_ccdb_request *request)
{
	/* What was made for a result that nobody will see. */
	if (request->allocate && request->result.content && request->result.status == SEA_CCDB_OK)
		request->release((void *)request->result.content, request->allocate_userdata);
	sea_ccdb_object_unref(request->result.object);
	seai_link_drop(&request->link);
	free(request->path);
	free(request->tail);
	free(request->key);
	free(request->held);
	free(request);
}

static void cleanup_request(struct sea_ccdb_request **request)
{
	if (*request)
		seai_request_free(*request);
}

static void free_requests(struct seai_link *ring)
{
	while (!seai_link_is_alone(ring))
		seai_request_free(SEAI_LINKED(ring->next, struct sea_ccdb_request, link));
}

struct sea_ccdb_client *sea_ccdb_client_free(struct sea_ccdb_client *client)
{
	if (!client)
		return NULL;
	client->is_dispatching = true;
	while (!seai_link_is_alone(&client->all)) {
		struct seai_fetch *fetch = SEAI_LINKED(client->all.next, struct seai_fetch, link);

		/* The transfer before the request whose memory it writes. */
		seai_transfer_drop(fetch);
		free_requests(&fetch->requests);
		seai_fetch_free(fetch);
	}
	free_requests(&client->fresh);
	free_requests(&client->ready);
	seai_loop_fini(client);
	seai_cache_free(client->cache);
	seai_disk_close(client->disk);
	seai_remap_free(client->remap);
	seai_hosts_fini(&client->hosts);
	free(client->user_agent);
	free(client);
	return NULL;
}

/* Requests. ------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int request_take_held(struct sea_ccdb_request *request, const struct sea_ccdb_query *query,
                             struct sea_error *error)
{
	if (query->n_held == 0)
		return 0;
	request->held = calloc(query->n_held, sizeof(*request->held));
	if (!request->held)
		return sea_error_set(error, -ENOMEM, "held", "no memory");
	for (size_t i = 0; i < query->n_held; i++)
		if (!query->held[i] || seai_etag_parse(query->held[i], request->held[i]) < 0)
			return sea_error_set(error, -EINVAL, "held", "\"%.80s\" is no uuid",
			                     query->held[i] ? query->held[i] : "");
	request->n_held = query->n_held;
	return 0;
}

static int request_new(struct sea_ccdb_request **ret_request, struct sea_ccdb_client *client,
                       const struct sea_ccdb_query *query, struct sea_error *error)
{
	SEAI_CLEANUP(cleanup_request) struct sea_ccdb_request *request = calloc(1, sizeof(*request));
	int result;

	if (!request)
		return sea_error_set(error, -ENOMEM, "path", "no memory");
	seai_link_init(&request->link);
	if (query->timestamp_ms < -1)
		return sea_error_set(error, -EINVAL, "timestamp_ms", "is %lld, below -1",
		                     (long long)query->timestamp_ms);
	if (query->not_after_ms < 0 || query->not_before_ms < 0)
		return sea_error_set(error, -EINVAL, "not_after_ms", "bounds of creation are below 0");
	if (query->allocate && !query->release)
		return sea_error_set(error, -EINVAL, "release", "is missing, and allocate is there");
	request->client = client;
	request->timestamp_ms = query->timestamp_ms == -1 ? now_ms() : query->timestamp_ms;
	request->not_after_ms = query->not_after_ms ? query->not_after_ms : client->options.not_after_ms;
	request->not_before_ms = query->not_before_ms ? query->not_before_ms : client->options.not_before_ms;
	request->has_metadata = query->n_metadata > 0;
	request->flags = query->flags & (SEA_CCDB_ASK_ALWAYS | SEA_CCDB_ASK_NEVER);
	request->begun_ns = seai_now_ns();
	request->deadline_ns = query->timeout_ns > 0 ? seai_deadline(query->timeout_ns) : SEAI_FOR_EVER;
	request->allocate = query->allocate;
	request->release = query->release;
	request->allocate_userdata = query->allocate_userdata;
	request->done = query->done;
	request->userdata = query->userdata;
	result = seai_path_parse(&request->path, query->path, error);
	if (result == 0)
		result = seai_query_url(&request->tail, &request->key, request->path, query, request->timestamp_ms,
		                        request->not_before_ms, request->not_after_ms, error);
	if (result == 0)
		result = request_take_held(request, query, error);
	if (result == 0)
		*ret_request = SEAI_TAKE(request);
	return result;
}

int sea_ccdb_client_request(struct sea_ccdb_client *client, const struct sea_ccdb_query *query,
                            struct sea_ccdb_request **ret_request, struct sea_error *error)
{
	struct sea_ccdb_request *request = NULL;
	int result;

	if (!query->done)
		return sea_error_set(error, -EINVAL, "done", "is missing: nobody would be told");
	result = request_new(&request, client, query, error);
	if (!request)
		return result;
	client->stats.n_requests++;
	client->stats.n_in_flight++;
	seai_link_append(&client->fresh, &request->link);
	seai_loop_wake_at(client, request->deadline_ns);
	if (!client->is_dispatching)
		seai_loop_arm(client);
	if (ret_request)
		*ret_request = request;
	return 0;
}

void sea_ccdb_client_cancel(struct sea_ccdb_client *client, struct sea_ccdb_request *request)
{
	seai_fetch_leave(request);
	seai_request_free(request);
	client->stats.n_in_flight--;
	if (!client->is_dispatching)
		seai_loop_arm(client);
}

int sea_ccdb_client_try_get(struct sea_ccdb_client *client, const struct sea_ccdb_query *query,
                            struct sea_ccdb_result *ret_result)
{
	SEAI_CLEANUP(cleanup_request) struct sea_ccdb_request *request = NULL;
	struct sea_ccdb_result taken = { 0 };
	int result = request_new(&request, client, query, NULL);

	if (result == 0)
		result = seai_answer_from_memory(client, request, &taken);
	if (result == 0) {
		client->stats.n_requests++;
		*ret_result = taken;
	}
	return result;
}

/* Dispatch. ------------------------------------------------------------------------------- */

static void client_begin(struct sea_ccdb_client *client)
{
	struct seai_link turn;

	seai_link_init(&turn);
	seai_link_move_all(&turn, &client->fresh);
	while (!seai_link_is_alone(&turn)) {
		struct sea_ccdb_request *request = SEAI_LINKED(turn.next, struct sea_ccdb_request, link);
		struct sea_ccdb_result result;
		int code = seai_answer_from_memory(client, request, &result);

		if (code == 0) {
			result.spent_ns = seai_now_ns() - request->begun_ns;
			request->result = result;
			seai_link_append(&client->ready, &request->link);
		} else if (code != -EAGAIN || seai_fetch_begin(client, request) < 0) {
			seai_answer_fail_one(request, -ENOMEM, request->tail, "no room for the content");
		}
	}
}

/* Requests of a ring whose time is over fail. */
static void expire(struct sea_ccdb_client *client, struct seai_link *ring, int64_t now_ns)
{
	for (struct seai_link *link = ring->next, *next; link != ring; link = next) {
		struct sea_ccdb_request *request = SEAI_LINKED(link, struct sea_ccdb_request, link);
		bool is_last = link->next == ring;

		next = link->next;
		if (request->deadline_ns > now_ns) {
			seai_loop_wake_at(client, request->deadline_ns);
			continue;
		}
		/* With its last request a fetch goes, and the ring with it. */
		seai_fetch_leave(request);
		seai_answer_fail_one(request, -ETIMEDOUT, request->tail, "the time for this request is over");
		if (is_last)
			return;
	}
}

/* Requests whose time is over fail; fetches whose time has come try again. */
static void client_look_at_clock(struct sea_ccdb_client *client)
{
	int64_t now_ns = seai_now_ns();

	if (now_ns < client->wake_ns)
		return;
	client->wake_ns = SEAI_FOR_EVER;
	expire(client, &client->fresh, now_ns);
	for (struct seai_link *link = client->all.next, *next; link != &client->all; link = next) {
		struct seai_fetch *fetch = SEAI_LINKED(link, struct seai_fetch, link);

		next = link->next;
		seai_fetch_wake(fetch, now_ns);
		expire(client, &fetch->requests, now_ns);
	}
}

/* Calls back those that are ready now. What the callbacks ask for comes later. */
static int client_deliver(struct sea_ccdb_client *client)
{
	struct seai_link turn;
	int n = 0;

	seai_link_init(&turn);
	seai_link_move_all(&turn, &client->ready);
	while (!seai_link_is_alone(&turn)) {
		struct sea_ccdb_request *request = SEAI_LINKED(turn.next, struct sea_ccdb_request, link);
		struct sea_ccdb_result result = request->result;

		seai_link_drop(&request->link);
		/* What it holds is the callback's now, or dropped here. */
		request->result = (struct sea_ccdb_result){ 0 };
		client->stats.n_in_flight--;
		request->done(&result, result.status >= SEA_CCDB_NOT_FOUND ? &request->error : NULL, request->userdata);
		sea_ccdb_object_unref(result.object);
		seai_request_free(request);
		n++;
	}
	return n;
}

int sea_ccdb_client_dispatch(struct sea_ccdb_client *client)
{
	int n = 0;

	if (client->is_dispatching)
		return -EDEADLK;
	client->is_dispatching = true;
	for (int i = 0; i < N_TURNS_MAX; i++) {
		bool did;

		client_look_at_clock(client);
		client_begin(client);
		seai_fetch_pump(client);
		did = seai_loop_run(client);
		if (!seai_link_is_alone(&client->ready)) {
			n += client_deliver(client);
			did = true;
		}
		if (!did)
			break;
	}
	client->is_dispatching = false;
	seai_loop_arm(client);
	return n;
}

/* Waiting. -------------------------------------------------------------------------------- */

struct wait {
	struct sea_ccdb_result *result;
	struct sea_error *error;
	bool is_done;
};

static void wait_done(const struct sea_ccdb_result *result, const struct sea_error *error, void *userdata)
{
	struct wait *wait = userdata;

	*wait->result = *result;
	if (result->object)
		sea_ccdb_object_ref(result->object);
	if (error && wait->error)
		*wait->error = *error;
	wait->is_done = true;
}

int sea_ccdb_client_get(struct sea_ccdb_client *client, const struct sea_ccdb_query *query,
                        struct sea_ccdb_result *ret_result, int64_t timeout_ns, struct sea_error *error)
{
	int64_t deadline_ns = seai_deadline(timeout_ns);
	struct wait wait = { ret_result, error, false };
	struct sea_ccdb_query waited = *query;
	struct sea_ccdb_request *request = NULL;
	int result;

	if (client->is_dispatching)
		return sea_error_set(error, -EDEADLK, "path", "a waiting call inside a callback");
	waited.done = wait_done;
	waited.userdata = &wait;
	result = sea_ccdb_client_request(client, &waited, &request, error);
	if (!request)
		return result;
	for (;;) {
		struct pollfd poll_fd = { .fd = client->epoll_fd, .events = POLLIN };
		struct timespec left;
		int64_t now_ns;

		(void)sea_ccdb_client_dispatch(client);
		if (wait.is_done)
			return 0;
		now_ns = seai_now_ns();
		result = now_ns >= deadline_ns ? -ETIMEDOUT : 0;
		left = seai_timespec(deadline_ns - now_ns);
		if (result == 0 && ppoll(&poll_fd, 1, deadline_ns == SEAI_FOR_EVER ? NULL : &left, NULL) < 0)
			result = -errno;
		if (result < 0) {
			sea_ccdb_client_cancel(client, request);
			return sea_error_set(error, result, query->path, "%s", sea_error_text(result));
		}
	}
}

/* The rest. ------------------------------------------------------------------------------- */

int sea_ccdb_client_fd(const struct sea_ccdb_client *client)
{
	return client->epoll_fd;
}

void sea_ccdb_client_get_stats(const struct sea_ccdb_client *client, struct sea_ccdb_client_stats *ret_stats)
{
	*ret_stats = client->stats;
	seai_cache_stats(client->cache, ret_stats);
}

const char *sea_ccdb_client_user_agent(const struct sea_ccdb_client *client)
{
	return client->user_agent;
}

void sea_ccdb_client_forget(struct sea_ccdb_client *client, const char *path)
{
	SEAI_AUTO_FREE char *plain = NULL;

	if (!path)
		seai_cache_forget(client->cache, NULL);
	else if (seai_path_parse(&plain, path, NULL) == 0)
		seai_cache_forget(client->cache, plain);
}
