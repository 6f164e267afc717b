/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request still lacks. It is looked at again whenever a query was answered: it is complete once each time of each column lies in a fact that is good
 * enough for it, and the content of each version is here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ccdb/cache.h"

/* How often is asked whether there is room by now. */
#define REQUEST_ROOM_NS INT64_C(2000000)

bool seai_lookup_next(const struct seai_group *group, const struct seai_lookup *lookup, int64_t from_ms,
                      int64_t *ret_ms)
{
	if (!lookup->is_fixed)
		/* Memory that a peer can write may say by now what was refused when it came. */
		return seai_times_next(&group->times, from_ms, ret_ms) && *ret_ms != INT64_MAX;
	if (from_ms > lookup->fixed_ms)
		return false;
	*ret_ms = lookup->fixed_ms;
	return true;
}

/* Whether what is known is as new as a column wants it for a request. */
static bool fact_is_fresh(const struct seai_fact *fact, const struct seai_table_request *request,
                          const struct sea_ccdb_column *column)
{
	if (fact->asked_ns >= request->arrived_ns || fact->asked_table >= request->number)
		return true;
	/* What was missing may be there by now. */
	if (fact->version->status != 0)
		return false;
	if (column->is_checked_never)
		return true;
	if (column->check_every_ns && request->arrived_ns - fact->asked_ns < column->check_every_ns)
		return true;
	if (column->check_every_n_tables)
		return fact->asked_table + column->check_every_n_tables > request->number;
	return false;
}

struct seai_fact *seai_table_request_fact(const struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                                          const struct seai_lookup *lookup, const struct sea_ccdb_column *column,
                                          int64_t time_ms)
{
	struct seai_fact *fact = seai_facts_find(lookup->facts, time_ms);

	if (!fact || !fact_is_fresh(fact, request, column))
		return NULL;
	if (fact->version->status != 0)
		return cache->options.missing == SEA_CCDB_MISSING_PASS ? fact : NULL;
	return fact->version->object ? fact : NULL;
}

static int request_fail(struct seai_table_request *request, int code, const char *column, const char *text)
{
	request->failed = sea_error_set(&request->error, code, column, "%s", text);
	return request->failed;
}

/* A fact that says that there is nothing. 0: to be waited for, or asked for again; negative errno: the request fails. */
static int request_miss(struct sea_ccdb_cache *cache, struct seai_table_request *request, const struct seai_fact *fact,
                        const struct sea_ccdb_column *column, int64_t *ret_wait_ns)
{
	if (cache->options.missing == SEA_CCDB_MISSING_FAIL)
		return request_fail(request, fact->version->status == 1 ? -ENOENT : -EHOSTUNREACH, column->name,
		                    fact->version->reason);
	*ret_wait_ns = fact->asked_ns + cache->options.wait_ns - seai_now_ns();
	if (*ret_wait_ns > 0)
		seai_cache_look_again(cache, *ret_wait_ns);
	return 0;
}

/* All times of one column and run. 1: here; 0: not yet; negative errno. */
static int request_look(struct sea_ccdb_cache *cache, struct seai_table_request *request,
                        const struct seai_group *group, size_t c, bool is_first)
{
	const struct sea_ccdb_column *column = &cache->columns[c];
	struct seai_lookup *lookup = &group->lookups[c];
	int64_t t, wait_ns = 0;
	bool is_here = true, is_miss;
	struct seai_version *expected;

	/* Not all over again after each answer, as long as nothing is gone. */
	if (lookup->n_lost != cache->n_lost)
		lookup->here_until_ms = INT64_MIN;
	lookup->n_lost = cache->n_lost;
	for (int64_t from = lookup->here_until_ms; seai_lookup_next(group, lookup, from, &t);) {
		const struct seai_fact *fact = seai_table_request_fact(cache, request, lookup, column, t);
		int r = 0;

		if (fact) {
			fact->version->last_table = fact->version->last_table > request->number
			                                    ? fact->version->last_table
			                                    : request->number;
			from = fact->until_ms;
			if (is_here)
				lookup->here_until_ms = from;
			continue;
		}
		is_here = false;
		fact = seai_facts_find(lookup->facts, t);
		is_miss = fact && fact->version->status != 0 && fact_is_fresh(fact, request, column);
		if (is_miss) {
			r = request_miss(cache, request, fact, column, &wait_ns);
			if (r < 0)
				return r;
		}
		/* Content that is on its way already is not fetched for each interval of its version. */
		expected = fact && fact->version->status == 0 && !fact->version->object ? fact->version : NULL;
		if (wait_ns <= 0 && !(expected && expected->n_expected))
			r = seai_cache_fetch(cache, lookup->facts, t, is_first, request, expected);
		if (r < 0)
			return request_fail(request, r, column->name, sea_error_text(r));
		/*
		 * What was known goes on being a guess of where the next interval begins; where nothing is known, the answer tells. While one time is
		 * waited for the others are left alone: a server that is gone would be asked for each of them again and again.
		 */
		if (!fact || is_miss)
			break;
		from = fact->until_ms;
	}
	return is_here;
}

/* Whether an object of the first request can never have room: what else there is in the heap is its own. */
static int request_check_room(struct sea_ccdb_cache *cache, struct seai_table_request *request)
{
	struct sea_heap_stats heap;
	char text[1400];

	sea_heap_get_stats(cache->options.heap, &heap);
	if (heap.n_bytes_largest_free >= cache->wants_room_n_bytes && cache->n_fetches == 0) {
		cache->wants_room_n_bytes = 0;
		return 0;
	}
	seai_cache_sweep(cache, SEAI_SWEEP_NEEDED);
	sea_heap_get_stats(cache->options.heap, &heap);
	if (heap.n_bytes_largest_free < cache->wants_room_n_bytes) {
		seai_cache_sweep(cache, SEAI_SWEEP_FIRST);
		sea_heap_get_stats(cache->options.heap, &heap);
	}
	if (cache->n_fetches == 0 &&
	    (heap.n_blocks_used <= cache->stats.n_versions || cache->wants_room_n_bytes > heap.quota_n_bytes)) {
		if (heap.n_bytes_largest_free >= cache->wants_room_n_bytes) {
			cache->wants_room_n_bytes = 0;
			return 0;
		}
		snprintf(
			text, sizeof(text),
			"%s: %llu bytes do not fit into the quota of %llu beside the %llu of the table's other objects",
			cache->wants_room_path, (unsigned long long)cache->wants_room_n_bytes,
			(unsigned long long)heap.quota_n_bytes, (unsigned long long)cache->stats.n_versions_bytes);
		cache->wants_room_n_bytes = 0;
		return request_fail(request, -E2BIG, "table", text);
	}
	seai_cache_look_again(cache, REQUEST_ROOM_NS);
	return 0;
}

bool seai_table_request_asks(const struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                             const struct seai_facts *facts, int64_t time_ms)
{
	for (size_t g = 0; g < request->n_groups; g++)
		for (size_t c = 0; c < cache->n_columns; c++) {
			const struct seai_lookup *lookup = &request->groups[g].lookups[c];
			int64_t t;

			if (lookup->facts == facts && seai_lookup_next(&request->groups[g], lookup, time_ms, &t) &&
			    t == time_ms)
				return true;
		}
	return false;
}

/* 1: the first request goes on; 0: it waits for room; negative errno: it will never have it. */
static int request_look_for_room(struct sea_ccdb_cache *cache, struct seai_table_request *request)
{
	const struct seai_table_request *owner = request;
	struct sea_heap_stats heap;
	int r;

	while (owner && !seai_table_request_asks(cache, owner, cache->wants_room_facts, cache->wants_room_ms))
		owner = owner->next;
	if (owner == request) {
		r = request_check_room(cache, request);
		return r < 0 ? r : !cache->wants_room_n_bytes;
	}
	/* One that has its turn later waits until then; this one has nothing to do with that. */
	sea_heap_get_stats(cache->options.heap, &heap);
	if (!owner || (heap.n_bytes_largest_free >= cache->wants_room_n_bytes && cache->n_fetches == 0))
		cache->wants_room_n_bytes = 0;
	return 1;
}

int seai_table_request_advance(struct sea_ccdb_cache *cache, struct seai_table_request *request, bool is_first)
{
	bool is_here = true;

	if (request->failed)
		return request->failed;
	if (is_first && cache->wants_room_n_bytes) {
		const int r = request_look_for_room(cache, request);

		if (r <= 0)
			return r;
	}
	if (request->complete_epoch == cache->epoch)
		return 1;
	for (size_t g = 0; g < request->n_groups; g++)
		for (size_t c = 0; c < cache->n_columns; c++) {
			const int r = request_look(cache, request, &request->groups[g], c, is_first);

			if (r < 0)
				return r;
			is_here = is_here && r == 1;
		}
	if (is_here)
		request->complete_epoch = cache->epoch;
	return is_here;
}
