/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked of servers, and what is done about what they say.
 *
 * A round asks each host once, in order; the first that has the object ends it. Hosts that failed for a reason that may pass are asked again
 * in the next round, after a wait. At one host the redirect's locations are tried in order; where they turn out to
 * lead to nothing, or to another version, the object was replaced meanwhile, and the host is asked again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/client.h"

/* So often a fetch begins anew at once because its object was replaced meanwhile; after that, it is a failure that may pass. */
#define N_REPLACED_MAX 4

static void fetch_next_host(struct seai_fetch *fetch);

/* Making and freeing. --------------------------------------------------------------------- */

static void fetch_end_try(struct seai_fetch *fetch)
{
	seai_transfer_drop(fetch);
	seai_headers_fini(&fetch->chain);
	for (size_t i = 0; i < fetch->n_locations; i++)
		free(fetch->locations[i]);
	free(fetch->locations);
	fetch->locations = NULL;
	fetch->n_locations = fetch->next_location = 0;
	fetch->n_redirects = 0;
	fetch->expected[0] = '\0';
	fetch->is_replaced = false;
	free(fetch->request_url);
	fetch->request_url = NULL;
}

static void fetch_rest(struct seai_fetch *fetch)
{
	if (fetch->is_active)
		fetch->client->n_active--;
	fetch->is_active = false;
}

void seai_fetch_free(struct seai_fetch *fetch)
{
	fetch_end_try(fetch);
	fetch_rest(fetch);
	seai_link_drop(&fetch->link);
	seai_link_drop(&fetch->in_queue);
	seai_link_drop(&fetch->in_bucket);
	free(fetch->path);
	free(fetch->tail);
	free(fetch->key);
	free(fetch);
}

static struct seai_link *client_bucket(struct sea_ccdb_client *client, const struct sea_ccdb_request *request)
{
	uint32_t hash = 2166136261u;

	for (const char *at = request->tail; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 16777619u;
	return &client->buckets[hash % SEAI_N_BUCKETS];
}

/* A fetch of the same. Who wants to know whether something newer is there joins none that is under way: its answer may be older. */
static struct seai_fetch *client_find_fetch(struct seai_link *bucket, const struct sea_ccdb_request *request)
{
	for (struct seai_link *link = bucket->next; link != bucket; link = link->next) {
		struct seai_fetch *fetch = SEAI_LINKED(link, struct seai_fetch, in_bucket);

		if (strcmp(fetch->tail, request->tail) == 0 && strcmp(fetch->key, request->key) == 0 &&
		    fetch->must_transfer == request->must_transfer && fetch->flags == request->flags &&
		    (!(request->flags & SEA_CCDB_ASK_ALWAYS) || !fetch->is_sent))
			return fetch;
	}
	return NULL;
}

static struct seai_fetch *fetch_new(struct sea_ccdb_client *client, const struct sea_ccdb_request *request)
{
	struct seai_fetch *fetch = calloc(1, sizeof(*fetch));
	const struct seai_hosts *hosts = seai_remap_find(client->remap, request->path);

	if (!fetch)
		return NULL;
	seai_link_init(&fetch->link);
	seai_link_init(&fetch->in_queue);
	seai_link_init(&fetch->in_bucket);
	seai_link_init(&fetch->requests);
	fetch->client = client;
	fetch->path = strdup(request->path);
	fetch->tail = strdup(request->tail);
	fetch->key = strdup(request->key);
	if (!fetch->path || !fetch->tail || !fetch->key) {
		seai_fetch_free(fetch);
		return NULL;
	}
	fetch->timestamp_ms = request->timestamp_ms;
	fetch->not_before_ms = request->not_before_ms;
	fetch->not_after_ms = request->not_after_ms;
	fetch->must_transfer = request->must_transfer;
	fetch->flags = request->flags;
	fetch->hosts = hosts ? hosts : &client->hosts;
	fetch->n_rounds = 1;
	fetch->begun_ns = seai_now_ns();
	return fetch;
}

/* Whether this version's content need not come again, for the one who asks first. */
static bool known_is_at_hand(const struct seai_known *known, void *userdata)
{
	const struct sea_ccdb_request *request = userdata;

	return seai_request_holds(request, known->version.uuid) ||
	       seai_cache_object(request->client->cache, request->path, known->version.uuid);
}

/* What goes into If-None-Match: the version that the server is likely to name, of those whose content is at hand. */
static void fetch_choose_none_match(struct seai_fetch *fetch, struct sea_ccdb_request *request)
{
	struct sea_ccdb_client *client = fetch->client;
	struct seai_question *question = seai_cache_question(client->cache, fetch->key);
	struct seai_known *known = NULL;
	struct sea_ccdb_version version;

	fetch->none_match[0] = '\0';
	if (fetch->must_transfer)
		return;
	if (question)
		known = seai_question_candidate(question, fetch->timestamp_ms, known_is_at_hand, request);
	if (known) {
		memcpy(fetch->none_match, known->version.uuid, sizeof(fetch->none_match));
		return;
	}
	/* One that the caller had before this client knew anything may be it; one that is known to be valid at other times is not. */
	for (size_t i = 0; i < request->n_held; i++) {
		if (question && seai_question_find(question, request->held[i]))
			continue;
		memcpy(fetch->none_match, request->held[i], sizeof(fetch->none_match));
		return;
	}
	if (client->disk && seai_disk_find(client->disk, fetch->path, fetch->timestamp_ms, fetch->not_before_ms,
	                                   fetch->not_after_ms, &version) == 0)
		memcpy(fetch->none_match, version.uuid, sizeof(fetch->none_match));
}

int seai_fetch_begin(struct sea_ccdb_client *client, struct sea_ccdb_request *request)
{
	struct seai_link *bucket = client_bucket(client, request);
	struct seai_fetch *fetch = client_find_fetch(bucket, request);

	if (fetch) {
		client->stats.n_joined++;
	} else {
		fetch = fetch_new(client, request);
		if (!fetch)
			return -ENOMEM;
		seai_link_append(&client->all, &fetch->link);
		seai_link_append(&client->queue, &fetch->in_queue);
		seai_link_append(bucket, &fetch->in_bucket);
	}
	request->fetch = fetch;
	seai_link_append(&fetch->requests, &request->link);
	return 0;
}

struct sea_ccdb_request *seai_fetch_first(const struct seai_fetch *fetch)
{
	return SEAI_LINKED(fetch->requests.next, struct sea_ccdb_request, link);
}

/* Failures. ------------------------------------------------------------------------------- */

void seai_fetch_note(struct seai_fetch *fetch, int code, const char *url, const char *format, ...)
{
	char text[384];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	sea_error_set(&fetch->error, code, url, "%s", text);
}

/* This host did not give it in this try. */
void seai_fetch_host_failed(struct seai_fetch *fetch, bool may_pass)
{
	seai_client_log(fetch->client, SEA_CCDB_WARN, "ccdb try %u of %s for %" PRId64 " fails at %s: %s",
	                fetch->n_rounds, fetch->path, fetch->timestamp_ms, fetch->error.key, fetch->error.text);
	fetch_end_try(fetch);
	fetch->host_states[fetch->host] = may_pass ? SEAI_HOST_OPEN : SEAI_HOST_FAILED;
	fetch->host++;
	fetch_next_host(fetch);
}

void seai_fetch_next_location(struct seai_fetch *fetch)
{
	const char *url = fetch->locations[fetch->next_location++];

	if (seai_transfer_start(fetch, url, true) < 0) {
		seai_fetch_note(fetch, -ENOMEM, url, "no memory for a request");
		seai_fetch_place_failed(fetch, false);
	}
}

void seai_fetch_host_has_none(struct seai_fetch *fetch)
{
	fetch_end_try(fetch);
	fetch->host_states[fetch->host++] = SEAI_HOST_HAS_NONE;
	fetch_next_host(fetch);
}

/* From the start, behind those that wait. */
void seai_fetch_again(struct seai_fetch *fetch)
{
	fetch_end_try(fetch);
	fetch_rest(fetch);
	seai_link_append(&fetch->client->queue, &fetch->in_queue);
}

/* The object was replaced, or removed, between redirect and download: from the start. */
static void fetch_replaced(struct seai_fetch *fetch)
{
	if (++fetch->n_replaced > N_REPLACED_MAX) {
		seai_fetch_host_failed(fetch, true);
		return;
	}
	fetch->client->stats.n_replaced++;
	seai_fetch_again(fetch);
}

/* One location, or the host itself, failed; the error is noted. */
void seai_fetch_place_failed(struct seai_fetch *fetch, bool may_pass)
{
	if (fetch->next_location < fetch->n_locations)
		seai_fetch_next_location(fetch);
	else if (fetch->is_replaced)
		fetch_replaced(fetch);
	else
		seai_fetch_host_failed(fetch, may_pass);
}

/* Hosts. ---------------------------------------------------------------------------------- */

/* All hosts were asked. Some may be asked again; else this is what came of it. */
static void fetch_end_round(struct seai_fetch *fetch)
{
	const struct sea_ccdb_client_options *options = &fetch->client->options;
	bool has_open = false, has_failed = false;
	uint64_t wait_ms = options->backoff_ms;

	for (unsigned i = 0; i < fetch->hosts->n; i++) {
		has_open |= fetch->host_states[i] == SEAI_HOST_OPEN;
		has_failed |= fetch->host_states[i] == SEAI_HOST_FAILED;
	}
	if (!has_open && !has_failed) {
		seai_answer_not_found(fetch);
		return;
	}
	if (!has_open || fetch->n_rounds >= options->n_tries) {
		seai_answer_failed(fetch);
		return;
	}
	for (unsigned i = 1; i < fetch->n_rounds && wait_ms < options->backoff_max_ms; i++)
		wait_ms *= 2;
	if (wait_ms > options->backoff_max_ms)
		wait_ms = options->backoff_max_ms;
	/* A half to the whole of it: those who failed together do not come back together. xorshift64. */
	fetch->client->random ^= fetch->client->random << 13;
	fetch->client->random ^= fetch->client->random >> 7;
	fetch->client->random ^= fetch->client->random << 17;
	wait_ms = wait_ms / 2 + fetch->client->random % (wait_ms / 2 + 1);
	fetch->n_rounds++;
	fetch->host = 0;
	fetch_rest(fetch);
	fetch->retry_ns = seai_now_ns() + (int64_t)wait_ms * SEAI_NS_PER_MS;
	seai_loop_wake_at(fetch->client, fetch->retry_ns);
}

void seai_fetch_wake(struct seai_fetch *fetch, int64_t now_ns)
{
	if (fetch->retry_ns == 0)
		return;
	if (fetch->retry_ns > now_ns) {
		seai_loop_wake_at(fetch->client, fetch->retry_ns);
		return;
	}
	fetch->retry_ns = 0;
	seai_link_append(&fetch->client->queue, &fetch->in_queue);
}

/* A snapshot is a host that answers at once. */
static void fetch_snapshot(struct seai_fetch *fetch, const char *dir)
{
	struct seai_object *object = NULL;
	int result = seai_snapshot_read(&object, dir, fetch->path, fetch->client->options.n_object_bytes_max);

	fetch->http_status = 0;
	if (result == 0) {
		fetch->transfer.object = object;
		fetch->client->stats.n_hits++;
		seai_answer_object(fetch, SEA_CCDB_FROM_SNAPSHOT, INT64_MAX);
	} else if (result == -ENOENT) {
		seai_fetch_host_has_none(fetch);
	} else {
		seai_fetch_note(fetch, result, dir, "%s/snapshot.root cannot be read: %s", fetch->path,
		                strerror(-result));
		seai_fetch_host_failed(fetch, false);
	}
}

static void fetch_next_host(struct seai_fetch *fetch)
{
	const struct seai_hosts *hosts = fetch->hosts;
	const char *url;

	while (fetch->host < hosts->n && fetch->host_states[fetch->host] != SEAI_HOST_OPEN)
		fetch->host++;
	if (fetch->host == hosts->n) {
		fetch_end_round(fetch);
		return;
	}
	url = hosts->list[fetch->host].url;
	if (hosts->list[fetch->host].is_snapshot) {
		fetch_snapshot(fetch, url);
		return;
	}
	if (fetch->n_tries++)
		fetch->client->stats.n_retries++;
	if (asprintf(&fetch->request_url, "%s/%s", url, fetch->tail) < 0)
		fetch->request_url = NULL;
	if (!fetch->request_url || seai_transfer_start(fetch, fetch->request_url, false) < 0) {
		seai_fetch_note(fetch, -ENOMEM, url, "no memory for a request");
		seai_fetch_host_failed(fetch, false);
	}
}

/* Content from the disk. ------------------------------------------------------------------- */

/* Takes a version's content from the disk; the newest headers count. Whether the fetch has ended by that. */
bool seai_fetch_from_disk(struct seai_fetch *fetch, const char *uuid)
{
	SEAI_AUTO_DISK_FILE struct seai_disk_file file = { .fd = -1 };
	struct sea_ccdb_client *client = fetch->client;
	struct seai_transfer *transfer = &fetch->transfer;
	const char *name = "", *promise;
	int64_t until_ms = 0;

	if (!client->disk || seai_disk_file_open(&file, client->disk, fetch->path, uuid) < 0 ||
	    file.n_content > client->options.n_object_bytes_max)
		return false;
	promise = seai_headers_find(&fetch->chain, "Cache-Valid-Until");
	if (promise && seai_number_parse(promise, &until_ms) < 0)
		until_ms = 0;
	if (seai_headers_merge(&file.headers, &fetch->chain) < 0)
		return false;
	seai_transfer_drop(fetch);
	if (seai_object_new(&transfer->object, fetch->path, &file.headers,
	                    fetch->request_url ? fetch->request_url : "disk", "disk", &name) < 0 ||
	    strcmp(transfer->object->shown.version.uuid, uuid) != 0 ||
	    seai_transfer_complaint(fetch, &transfer->object->shown.version) ||
	    seai_transfer_reserve(fetch, transfer->object, file.n_content) < 0 ||
	    seai_disk_file_read(&file, transfer->memory) < 0) {
		seai_transfer_drop(fetch);
		return false;
	}
	client->stats.n_disk_hits++;
	seai_answer_object(fetch, SEA_CCDB_FROM_DISK, until_ms);
	return true;
}

/* Whoever wants no question gets what lies here. Whether the fetch has ended by that. */
static bool fetch_unasked(struct seai_fetch *fetch)
{
	struct sea_ccdb_version version;

	return fetch->client->disk && fetch->flags & SEA_CCDB_ASK_NEVER && !seai_fetch_first(fetch)->has_metadata &&
	       !fetch->must_transfer &&
	       seai_disk_find(fetch->client->disk, fetch->path, fetch->timestamp_ms, fetch->not_before_ms,
	                      fetch->not_after_ms, &version) == 0 &&
	       seai_fetch_from_disk(fetch, version.uuid);
}

void seai_fetch_pump(struct sea_ccdb_client *client)
{
	/* Those that are queued meanwhile have their turn in the next round. */
	struct seai_link turn;

	seai_link_init(&turn);
	seai_link_move_all(&turn, &client->queue);
	while (!seai_link_is_alone(&turn) && client->n_active < client->options.n_connections) {
		struct seai_fetch *fetch = SEAI_LINKED(turn.next, struct seai_fetch, in_queue);

		seai_link_drop(&fetch->in_queue);
		fetch->is_active = true;
		client->n_active++;
		if (fetch_unasked(fetch))
			continue;
		fetch_choose_none_match(fetch, seai_fetch_first(fetch));
		fetch_next_host(fetch);
	}
	/* What came meanwhile stands behind what has waited. */
	seai_link_move_all(&turn, &client->queue);
	seai_link_move_all(&client->queue, &turn);
}

void seai_fetch_leave(struct sea_ccdb_request *request)
{
	struct seai_fetch *fetch = request->fetch;

	seai_link_drop(&request->link);
	request->fetch = NULL;
	if (!fetch)
		return;
	if (seai_link_is_alone(&fetch->requests)) {
		seai_fetch_free(fetch);
		return;
	}
	if (fetch->transfer.owner == request) {
		seai_fetch_again(fetch);
	}
}
