/* SPDX-License-Identifier: Apache-2.0 */
/* What requests get: from what is known, or from a fetch that has come to its end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/client.h"

bool seai_request_holds(const struct sea_ccdb_request *request, const char *uuid)
{
	for (size_t i = 0; i < request->n_held; i++)
		if (strcmp(request->held[i], uuid) == 0)
			return true;
	return false;
}

bool seai_answer_is_enough(const struct seai_fetch *fetch, const char *uuid)
{
	if (fetch->must_transfer)
		return false;
	if (seai_cache_object(fetch->client->cache, fetch->path, uuid))
		return true;
	for (struct seai_link *link = fetch->requests.next; link != &fetch->requests; link = link->next)
		if (!seai_request_holds(SEAI_LINKED(link, struct sea_ccdb_request, link), uuid))
			return false;
	return true;
}

/* The version as it is known for the question, with the promise that covers the time. */
static void result_version(struct sea_ccdb_client *client, const struct sea_ccdb_request *request, const char *uuid,
                           struct sea_ccdb_version *ret_version)
{
	struct seai_question *question = seai_cache_question(client->cache, request->key);
	struct seai_known *known = question ? seai_question_find(question, uuid) : NULL;

	if (!known)
		return;
	*ret_version = known->version;
	ret_version->guaranteed_from_ms = ret_version->guaranteed_until_ms = 0;
	(void)seai_known_promise(known, request->timestamp_ms, &ret_version->guaranteed_from_ms,
	                         &ret_version->guaranteed_until_ms);
}

/* Content for one request: where its allocator says, else the object's own. 0; -ENOMEM. */
static int result_content(const struct sea_ccdb_request *request, struct seai_object *object, const void *content,
                          struct sea_ccdb_result *result)
{
	size_t n_bytes = object->shown.n_bytes;

	if (request->allocate && n_bytes) {
		void *room = request->allocate(n_bytes, &object->shown, request->allocate_userdata);

		if (!room)
			return -ENOMEM;
		memcpy(room, content, n_bytes);
		content = room;
	}
	result->content = n_bytes ? content : NULL;
	result->n_bytes = n_bytes;
	return 0;
}

/* A version that is held, or in memory. 0; -EAGAIN neither; -ENOMEM. */
static int result_named(struct sea_ccdb_client *client, struct sea_ccdb_request *request,
                        const struct sea_ccdb_version *version, struct sea_ccdb_result *result)
{
	struct seai_object *object = seai_cache_object(client->cache, request->path, version->uuid);
	bool is_held = seai_request_holds(request, version->uuid);

	if (!is_held && !object)
		return -EAGAIN;
	result->version = *version;
	result_version(client, request, version->uuid, &result->version);
	result->timestamp_ms = request->timestamp_ms;
	result->status = is_held ? SEA_CCDB_NOT_MODIFIED : SEA_CCDB_OK;
	if (!is_held && result_content(request, object, object->shown.content, result) < 0)
		return -ENOMEM;
	if (object)
		result->object = sea_ccdb_object_ref(&object->shown);
	return 0;
}

int seai_answer_from_memory(struct sea_ccdb_client *client, struct sea_ccdb_request *request,
                            struct sea_ccdb_result *ret_result)
{
	struct sea_ccdb_result result = { .source = SEA_CCDB_FROM_MEMORY };
	struct seai_question *question;
	struct seai_known *known;
	int64_t from_ms, until_ms;
	int code;

	if (request->must_transfer || request->flags & SEA_CCDB_ASK_ALWAYS)
		return -EAGAIN;
	question = seai_cache_question(client->cache, request->key);
	known = question ? seai_question_candidate(question, request->timestamp_ms, NULL, NULL) : NULL;
	if (!known || (!(request->flags & SEA_CCDB_ASK_NEVER) &&
	               !seai_known_promise(known, request->timestamp_ms, &from_ms, &until_ms)))
		return -EAGAIN;
	code = result_named(client, request, &known->version, &result);
	if (code < 0)
		return code;
	client->stats.n_hits++;
	if (client->options.log_hits)
		seai_client_log_answer(client, SEA_CCDB_DEBUG, "memory:", request->path, &result.version,
		                       request->timestamp_ms, "hit", result.object ? result.object->n_bytes : 0, 0);
	*ret_result = result;
	return 0;
}

/* The ends of a fetch. -------------------------------------------------------------------- */

static void request_ready(struct sea_ccdb_request *request, struct sea_ccdb_result *result)
{
	struct sea_ccdb_client *client = request->client;

	result->timestamp_ms = request->timestamp_ms;
	result->spent_ns = seai_now_ns() - request->begun_ns;
	request->result = *result;
	request->fetch = NULL;
	seai_link_append(&client->ready, &request->link);
}

void seai_answer_fail_one(struct sea_ccdb_request *request, int code, const char *url, const char *text)
{
	struct sea_ccdb_result result = { .status = SEA_CCDB_FAILED };

	request->client->stats.n_errors++;
	sea_error_set(&request->error, code, url, "%s", text);
	seai_client_log(request->client, SEA_CCDB_ERROR, "ccdb fails at %s: %s", url, text);
	request_ready(request, &result);
}

static const char *fetch_url(const struct seai_fetch *fetch)
{
	return fetch->request_url ? fetch->request_url : fetch->tail;
}

/* Where the object was asked for, without the path: what stands before it in the line of the log. */
static const char *fetch_host(const struct seai_fetch *fetch)
{
	return fetch->host < fetch->hosts->n ? fetch->hosts->list[fetch->host].url : "";
}

/* Tells the cache what the server said. Without memory it knows nothing, which costs a question later. */
static void fetch_confirm(struct seai_fetch *fetch, const struct sea_ccdb_version *version)
{
	(void)seai_cache_confirm(fetch->client->cache, fetch->key, strlen(fetch->path), version, fetch->timestamp_ms);
}

static void answer_named_one(struct seai_fetch *fetch, struct sea_ccdb_request *request,
                             const struct sea_ccdb_version *version)
{
	struct sea_ccdb_client *client = fetch->client;
	struct sea_ccdb_result result = { .was_asked = true, .http_status = fetch->http_status };
	int code = result_named(client, request, version, &result);

	result.source = result.status == SEA_CCDB_OK ? SEA_CCDB_FROM_MEMORY : SEA_CCDB_FROM_SERVER;
	if (code == 0) {
		request_ready(request, &result);
	} else if (code == -ENOMEM) {
		seai_answer_fail_one(request, -ENOMEM, fetch_url(fetch), "no room for the content");
	} else {
		/* It had joined somebody who holds that version. */
		request->must_transfer = true;
		seai_link_append(&client->fresh, &request->link);
		request->fetch = NULL;
	}
}

void seai_answer_named(struct seai_fetch *fetch, const struct sea_ccdb_version *version)
{
	struct sea_ccdb_client *client = fetch->client;

	client->stats.n_not_modified++;
	if (!seai_transfer_complaint(fetch, version))
		fetch_confirm(fetch, version);
	seai_client_log_answer(client, SEA_CCDB_INFO, fetch_host(fetch), fetch->path, version, fetch->timestamp_ms,
	                       "not modified", 0, seai_now_ns() - fetch->begun_ns);
	while (!seai_link_is_alone(&fetch->requests))
		answer_named_one(fetch, SEAI_LINKED(fetch->requests.next, struct sea_ccdb_request, link), version);
	seai_fetch_free(fetch);
}

/* A request that did not bring the room: it holds that version, or gets a copy, or shares the object. */
static void answer_object_one(struct seai_fetch *fetch, struct sea_ccdb_request *request, struct seai_object *object,
                              const void *content, struct sea_ccdb_result result)
{
	SEAI_AUTO_OBJECT struct seai_object *copy = NULL;
	const char *uuid = object->shown.version.uuid;

	result_version(fetch->client, request, uuid, &result.version);
	if (seai_request_holds(request, uuid)) {
		result.status = SEA_CCDB_NOT_MODIFIED;
	} else if (request->allocate || object->has_content) {
		if (result_content(request, object, content, &result) < 0) {
			seai_answer_fail_one(request, -ENOMEM, fetch_url(fetch), "no room for the content");
			return;
		}
	} else if (seai_object_copy(&copy, object, content) < 0) {
		seai_answer_fail_one(request, -ENOMEM, fetch_url(fetch), "no memory");
		return;
	} else {
		object = copy;
		result.content = copy->shown.content;
		result.n_bytes = copy->shown.n_bytes;
	}
	result.object = sea_ccdb_object_ref(&object->shown);
	request_ready(request, &result);
}

void seai_answer_object(struct seai_fetch *fetch, enum sea_ccdb_source source, int64_t promised_until_ms)
{
	static const char *const hows[] = { "miss", "", "from disk", "snapshot" };
	struct sea_ccdb_client *client = fetch->client;
	struct seai_transfer *transfer = &fetch->transfer;
	struct seai_object *object = SEAI_TAKE(transfer->object);
	struct sea_ccdb_request *owner = transfer->owner;
	struct sea_ccdb_result result = { .status = SEA_CCDB_OK,
		                          .source = source,
		                          .was_asked = fetch->is_sent,
		                          .http_status = fetch->http_status,
		                          .version = object->shown.version };
	const void *content = object->has_content ? object->shown.content : transfer->memory;

	if (!owner && !object->has_content)
		seai_object_own(object, SEAI_TAKE(transfer->memory), object->shown.n_bytes);
	result.version.guaranteed_until_ms = promised_until_ms;
	fetch_confirm(fetch, &result.version);
	result.version.guaranteed_until_ms = 0;
	if (object->has_content && !client->options.forget_contents)
		(void)seai_cache_keep(client->cache, object);
	seai_client_log_answer(client, SEA_CCDB_INFO, fetch_host(fetch), fetch->path, &object->shown.version,
	                       fetch->timestamp_ms, hows[source], object->shown.n_bytes,
	                       seai_now_ns() - fetch->begun_ns);
	/* The others first: they copy what the owner's callback may put to use. */
	for (struct seai_link *link = fetch->requests.next, *next; link != &fetch->requests; link = next) {
		next = link->next;
		if (SEAI_LINKED(link, struct sea_ccdb_request, link) != owner)
			answer_object_one(fetch, SEAI_LINKED(link, struct sea_ccdb_request, link), object, content,
			                  result);
	}
	if (owner) {
		result_version(client, owner, object->shown.version.uuid, &result.version);
		result.content = SEAI_TAKE(transfer->memory);
		result.n_bytes = object->shown.n_bytes;
		result.object = sea_ccdb_object_ref(&object->shown);
		transfer->owner = NULL;
		request_ready(owner, &result);
	}
	sea_ccdb_object_unref(&object->shown);
	seai_fetch_free(fetch);
}

void seai_answer_not_found(struct seai_fetch *fetch)
{
	struct sea_ccdb_client *client = fetch->client;
	char url[128];

	snprintf(url, sizeof(url), "%s/%s", fetch->hosts->list[0].url, fetch->tail);
	seai_cache_absent(client->cache, fetch->key, fetch->timestamp_ms);
	seai_client_log(client, SEA_CCDB_WARN, "ccdb has no %s for %" PRId64 " at %s", fetch->path, fetch->timestamp_ms,
	                url);
	while (!seai_link_is_alone(&fetch->requests)) {
		struct sea_ccdb_request *request = SEAI_LINKED(fetch->requests.next, struct sea_ccdb_request, link);
		struct sea_ccdb_result result = { .status = SEA_CCDB_NOT_FOUND,
			                          .was_asked = fetch->is_sent,
			                          .http_status = fetch->http_status };

		client->stats.n_not_found++;
		sea_error_set(&request->error, -ENOENT, url, "no host has an object for that time%s",
		              fetch->http_status == 404 ? " (HTTP 404)" : "");
		request_ready(request, &result);
	}
	seai_fetch_free(fetch);
}

void seai_answer_failed(struct seai_fetch *fetch)
{
	struct sea_ccdb_client *client = fetch->client;

	seai_client_log(client, SEA_CCDB_ERROR, "ccdb fails for %" PRId64 " at %s: %s", fetch->timestamp_ms,
	                fetch->error.key, fetch->error.text);
	while (!seai_link_is_alone(&fetch->requests)) {
		struct sea_ccdb_request *request = SEAI_LINKED(fetch->requests.next, struct sea_ccdb_request, link);
		struct sea_ccdb_result result = { .status = SEA_CCDB_FAILED,
			                          .was_asked = fetch->is_sent,
			                          .http_status = fetch->http_status };

		client->stats.n_errors++;
		request->error = fetch->error;
		request_ready(request, &result);
	}
	seai_fetch_free(fetch);
}
