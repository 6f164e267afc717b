/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries of a cache on their way, and what comes of them: facts, and content that was written straight to where tables will name it.
 *
 * The odd rule: the client decides nothing about freshness here, it always asks; the cache does, by its facts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/cache.h"

/* Queries at a time. */
#define FETCH_N_MAX 256
/* Versions of a path that a query says it holds. */
#define FETCH_N_HELD_MAX 64

static const char fetch_trailer_mark[9] = "$HEADER$";

/* O2's trailer: key\0value\0..., the size of all that was appended as int32, "$HEADER$\0". */
static size_t fetch_trailer_size(const struct sea_ccdb_object *object)
{
	size_t n = sizeof(int32_t) + sizeof(fetch_trailer_mark);

	for (size_t i = 0; i < object->n_headers; i++)
		n += strlen(object->headers[i].key) + strlen(object->headers[i].value) + 2;
	return n;
}

static void fetch_write_trailer(char *place, size_t n_trailer, const struct sea_ccdb_object *object)
{
	const int32_t size = (int32_t)n_trailer;

	for (size_t i = 0; i < object->n_headers; i++) {
		place = stpcpy(place, object->headers[i].key) + 1;
		place = stpcpy(place, object->headers[i].value) + 1;
	}
	memcpy(place, &size, sizeof(size));
	memcpy(place + sizeof(size), fetch_trailer_mark, sizeof(fetch_trailer_mark));
}

static void fetch_drop_frame(struct seai_version_fetch *fetch)
{
	fetch->frame = sea_frame_free(fetch->frame);
	fetch->data = NULL;
}

/* A block for n_bytes of content; 0; -ENOMEM there is no room; -E2BIG there never will be. */
static int fetch_make_room(struct seai_version_fetch *fetch, size_t n_bytes)
{
	struct sea_frame_options options = { .n_bytes_max = { n_bytes + 64 },
		                             .n_parts_hint = 1,
		                             .flags = fetch->cache->options.is_immutable ? SEA_FRAME_IMMUTABLE : 0 };
	int r = sea_frame_new(&fetch->frame, fetch->cache->options.heap, &options, 0);

	if (r < 0)
		return r == -EAGAIN || r == -ETIMEDOUT ? -ENOMEM : r;
	r = sea_frame_add(fetch->frame, n_bytes, 64, &fetch->data);
	if (r < 0)
		fetch_drop_frame(fetch);
	return r < 0 ? r : 0;
}

static void *fetch_allocate(size_t n_content, const struct sea_ccdb_object *object, void *userdata)
{
	struct seai_version_fetch *fetch = userdata;
	struct sea_ccdb_cache *cache = fetch->cache;
	int r;

	fetch->n_content = n_content;
	fetch->n_trailer = fetch->cache->options.has_trailer ? fetch_trailer_size(object) : 0;
	fetch->has_no_room = false;
	r = fetch_make_room(fetch, n_content + fetch->n_trailer);
	if (r == -ENOMEM) {
		/* Only for the request whose turn it is the others have to give back what was fetched ahead for them. */
		seai_cache_sweep(cache, cache->first && seai_table_request_asks(cache, cache->first, fetch->facts,
		                                                                fetch->time_ms)
		                                ? SEAI_SWEEP_FIRST
		                                : SEAI_SWEEP_NEEDED);
		r = fetch_make_room(fetch, n_content + fetch->n_trailer);
	}
	if (r < 0) {
		/* Anything else that fails is no matter of room, and waiting for some would not help. */
		fetch->has_no_room = r == -ENOMEM || r == -E2BIG;
		return NULL;
	}
	return fetch->data;
}

static void fetch_release(void *memory, void *userdata)
{
	(void)memory;
	fetch_drop_frame(userdata);
}

void seai_version_fetch_free(struct seai_version_fetch *fetch)
{
	if (fetch->request)
		sea_ccdb_client_cancel(fetch->cache->client, fetch->request);
	fetch_drop_frame(fetch);
	if (fetch->expected)
		fetch->expected->n_expected--;
	*fetch->link = fetch->next;
	if (fetch->next)
		fetch->next->link = fetch->link;
	fetch->cache->n_fetches--;
	free(fetch);
}

/* What came is sealed; from here on it does not change. */
static int fetch_keep_content(struct seai_version_fetch *fetch, struct seai_version *version,
                              const struct sea_ccdb_object *object)
{
	struct sea_ccdb_cache *cache = fetch->cache;
	struct sea_message *message;
	int r = 0;

	/* Another query has brought the same: one is enough. */
	if (version->object) {
		fetch_drop_frame(fetch);
		return 0;
	}
	if (!fetch->frame) {
		fetch->n_content = 0;
		fetch->n_trailer = cache->options.has_trailer ? fetch_trailer_size(object) : 0;
		r = fetch_make_room(fetch, fetch->n_trailer);
	}
	if (r < 0)
		return r;
	if (fetch->n_trailer)
		fetch_write_trailer((char *)fetch->data + fetch->n_content, fetch->n_trailer, object);
	r = sea_frame_seal(&fetch->frame, &message);
	if (r < 0)
		return r;
	fetch->data = NULL;
	version->object = message;
	version->n_bytes = fetch->n_content + fetch->n_trailer;
	r = sea_message_meta(message, 0, 0, &version->meta);
	cache->stats.n_versions++;
	cache->stats.n_versions_bytes += version->n_bytes;
	if (cache->stats.n_versions > cache->stats.n_versions_peak)
		cache->stats.n_versions_peak = cache->stats.n_versions;
	return r;
}

/* From when until when what came of a query counts. */
static void fetch_interval(const struct seai_version_fetch *fetch, const struct sea_ccdb_version *info,
                           struct seai_fact *fact)
{
	fact->from_ms = fetch->time_ms;
	fact->until_ms = fetch->time_ms + 1;
	if (!info)
		return;
	if (info->guaranteed_from_ms <= fetch->time_ms && info->guaranteed_until_ms > fetch->time_ms) {
		/* What the client knows of earlier times may be older than this answer. */
		fact->until_ms = info->guaranteed_until_ms;
	} else if (fetch->cache->options.trusts_validity && info->valid_from_ms >= 0 &&
	           info->valid_from_ms <= fetch->time_ms && info->valid_until_ms > fetch->time_ms) {
		fact->from_ms = info->valid_from_ms;
		fact->until_ms = info->valid_until_ms;
	}
}

static int fetch_learn(struct seai_version_fetch *fetch, struct seai_version *version,
                       const struct sea_ccdb_version *info)
{
	struct seai_fact fact = { .version = version, .asked_table = fetch->asked_table, .asked_ns = fetch->asked_ns };

	fetch_interval(fetch, info, &fact);
	fetch->cache->epoch++;
	return seai_facts_put(fetch->facts, &fact);
}

/* There is none, or it cannot be had: that is a fact too, for this one ms. */
static int fetch_miss(struct seai_version_fetch *fetch, const struct sea_ccdb_result *result,
                      const struct sea_error *error)
{
	char reason[700];
	struct seai_version *version;

	snprintf(reason, sizeof(reason), "%s at %lld: %s%s%s", fetch->facts->path->path, (long long)fetch->time_ms,
	         error ? error->text : sea_ccdb_status_text(result->status), error && error->key[0] ? "; asked: " : "",
	         error ? error->key : "");
	version = seai_version_new(fetch->facts->path, NULL, NULL, result->status == SEA_CCDB_NOT_FOUND ? 1 : 2,
	                           reason);
	if (!version)
		return -ENOMEM;
	version->last_table = fetch->asked_table;
	return fetch_learn(fetch, version, NULL);
}

static int fetch_take(struct seai_version_fetch *fetch, const struct sea_ccdb_result *result,
                      const struct sea_error *error)
{
	struct sea_ccdb_cache *cache = fetch->cache;
	struct seai_version *version;
	int r;

	if (fetch->has_no_room && result->status == SEA_CCDB_FAILED) {
		cache->wants_room_n_bytes = fetch->n_content + fetch->n_trailer;
		snprintf(cache->wants_room_path, sizeof(cache->wants_room_path), "%s", fetch->facts->path->path);
		cache->wants_room_facts = fetch->facts;
		cache->wants_room_ms = fetch->time_ms;
		cache->stats.n_waits_for_room++;
		return 0;
	}
	if (result->status == SEA_CCDB_NOT_FOUND || result->status == SEA_CCDB_FAILED)
		return fetch_miss(fetch, result, error);
	version = seai_version_find(fetch->facts->path, result->version.uuid);
	if (!version && result->status == SEA_CCDB_NOT_MODIFIED)
		return 0; /* forgotten meanwhile: it is asked for again */
	if (!version)
		version = seai_version_new(fetch->facts->path, &result->version, result->object, 0, NULL);
	if (!version)
		return -ENOMEM;
	version->last_table = version->last_table > fetch->asked_table ? version->last_table : fetch->asked_table;
	if (result->version.valid_until_ms >= 0 && result->version.valid_until_ms != version->info.valid_until_ms) {
		version->info.valid_until_ms = result->version.valid_until_ms;
		seai_bundle_forget(cache);
	}
	if (result->status == SEA_CCDB_OK) {
		r = fetch_keep_content(fetch, version, result->object);
		if (r < 0)
			return r;
		cache->stats.n_fetched++;
		cache->stats.n_bytes_fetched += result->n_bytes;
	}
	return fetch_learn(fetch, version, &result->version);
}

static void fetch_done(const struct sea_ccdb_result *result, const struct sea_error *error, void *userdata)
{
	struct seai_version_fetch *fetch = userdata;
	struct sea_ccdb_cache *cache = fetch->cache;

	fetch->request = NULL;
	/* Out of memory: nothing is learned, and it is asked for again. */
	if (fetch_take(fetch, result, error) < 0)
		seai_cache_look_again(cache, INT64_C(10000000));
	seai_version_fetch_free(fetch);
	cache->is_again = true;
}

int seai_cache_fetch(struct sea_ccdb_cache *cache, struct seai_facts *facts, int64_t time_ms, bool is_first,
                     const struct seai_table_request *request, struct seai_version *expected)
{
	const char *held[FETCH_N_HELD_MAX];
	char run[24];
	const struct sea_ccdb_pair constraint = { .key = "runNumber", .value = run };
	struct sea_ccdb_query query = {
		.path = facts->path->path,
		.timestamp_ms = time_ms,
		.flags = SEA_CCDB_ASK_ALWAYS,
		.held = held,
		.allocate = fetch_allocate,
		.release = fetch_release,
		.done = fetch_done,
	};
	struct seai_version_fetch *fetch;
	int r;

	for (fetch = facts->fetches; fetch; fetch = fetch->next)
		if (fetch->time_ms == time_ms &&
		    (fetch->asked_ns >= request->arrived_ns || fetch->asked_table >= request->number))
			return 0;
	/* While one waits for room the others do not take it away. */
	if (cache->n_fetches >= FETCH_N_MAX || (cache->wants_room_n_bytes && !is_first))
		return 0;
	fetch = calloc(1, sizeof(*fetch));
	if (!fetch)
		return -ENOMEM;
	fetch->cache = cache;
	fetch->facts = facts;
	fetch->expected = expected;
	if (expected)
		expected->n_expected++;
	fetch->time_ms = time_ms;
	fetch->asked_table = cache->n_requests;
	fetch->asked_ns = seai_now_ns();
	fetch->link = &facts->fetches;
	fetch->next = facts->fetches;
	if (fetch->next)
		fetch->next->link = &fetch->next;
	facts->fetches = fetch;
	cache->n_fetches++;
	for (const struct seai_version *version = facts->path->versions; version && query.n_held < FETCH_N_HELD_MAX;
	     version = version->next)
		if (version->object)
			held[query.n_held++] = version->info.uuid;
	if (facts->run != SEAI_NO_RUN) {
		snprintf(run, sizeof(run), "%lld", (long long)facts->run);
		query.metadata = &constraint;
		query.n_metadata = 1;
	}
	query.allocate_userdata = query.userdata = fetch;
	r = sea_ccdb_client_request(cache->client, &query, &fetch->request, NULL);
	if (r < 0)
		seai_version_fetch_free(fetch);
	else
		cache->stats.n_queries++;
	return r;
}
