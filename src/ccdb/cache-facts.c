/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts: which version counts from when until when. One that is put in takes the place of what was said of its interval before, so that facts
 * of one book never overlap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/cache.h"

/* Beyond that the oldest that nothing needs are forgotten. */
#define FACTS_N_MAX 2048
/* With so many in all books, each keeps a few only. */
#define FACTS_N_ALL_MAX 65536
#define FACTS_N_FEW 16
#define FACTS_N_BOOKS_MAX 8192

static struct seai_facts **facts_bucket(struct sea_ccdb_cache *cache, const char *path, int64_t run)
{
	uint64_t hash = (uint64_t)run * UINT64_C(0x9e3779b97f4a7c15);

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
	return &cache->buckets[(hash ^ hash >> 32) % SEAI_N_BOOK_BUCKETS];
}

struct seai_facts *seai_cache_facts(struct sea_ccdb_cache *cache, const char *path, int64_t run)
{
	struct seai_facts **bucket = facts_bucket(cache, path, run), *facts;

	for (facts = *bucket; facts; facts = facts->next_in_bucket)
		if (facts->run == run && strcmp(facts->path->path, path) == 0)
			return facts;
	facts = calloc(1, sizeof(*facts));
	if (!facts)
		return NULL;
	facts->cache = cache;
	facts->run = run;
	facts->path = seai_cache_path(cache, path);
	if (!facts->path) {
		free(facts);
		return NULL;
	}
	facts->next = cache->books;
	cache->books = facts;
	facts->next_in_bucket = *bucket;
	*bucket = facts;
	return facts;
}

/* It is out of the list of books already. */
static void facts_free(struct seai_facts *facts)
{
	struct seai_facts **link = facts_bucket(facts->cache, facts->path->path, facts->run);

	while (*link != facts)
		link = &(*link)->next_in_bucket;
	*link = facts->next_in_bucket;
	facts->cache->n_facts -= facts->n_facts;
	for (size_t i = 0; i < facts->n_facts; i++)
		facts->facts[i].version->n_facts--;
	free(facts->facts);
	free(facts);
}

/* The first fact that ends after a time: its index. */
static size_t facts_search(const struct seai_facts *facts, int64_t time_ms)
{
	size_t low = 0, n = facts->n_facts;

	while (n > 0) {
		const size_t half = n / 2;

		if (facts->facts[low + half].until_ms <= time_ms) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

struct seai_fact *seai_facts_find(const struct seai_facts *facts, int64_t time_ms)
{
	const size_t i = facts_search(facts, time_ms);

	return i < facts->n_facts && facts->facts[i].from_ms <= time_ms ? &facts->facts[i] : NULL;
}

static void facts_remove(struct seai_facts *facts, size_t i)
{
	facts->facts[i].version->n_facts--;
	facts->cache->n_facts--;
	memmove(&facts->facts[i], &facts->facts[i + 1], (--facts->n_facts - i) * sizeof(*facts->facts));
}

static void facts_insert(struct seai_facts *facts, size_t i, const struct seai_fact *fact)
{
	memmove(&facts->facts[i + 1], &facts->facts[i], (facts->n_facts++ - i) * sizeof(*facts->facts));
	facts->facts[i] = *fact;
	fact->version->n_facts++;
	facts->cache->n_facts++;
}

int seai_facts_put(struct seai_facts *facts, const struct seai_fact *fact)
{
	size_t i = facts_search(facts, fact->from_ms);

	/* Room for it, and for the rest of one that it cuts in two. */
	if (facts->n_facts + 2 > facts->n_max) {
		const size_t n_max = facts->n_max ? 2 * facts->n_max : 8;
		struct seai_fact *array = realloc(facts->facts, n_max * sizeof(*array));

		if (!array)
			return -ENOMEM;
		facts->facts = array;
		facts->n_max = n_max;
	}
	/* What was known of it may have been newer than this. */
	if (i < facts->n_facts && facts->facts[i].from_ms < fact->until_ms)
		facts->cache->n_lost++;
	if (i < facts->n_facts && facts->facts[i].from_ms < fact->from_ms) {
		struct seai_fact rest = facts->facts[i];

		facts->facts[i++].until_ms = fact->from_ms;
		if (rest.until_ms > fact->until_ms) {
			rest.from_ms = fact->until_ms;
			facts_insert(facts, i, &rest);
		}
	}
	while (i < facts->n_facts && facts->facts[i].until_ms <= fact->until_ms)
		facts_remove(facts, i);
	if (i < facts->n_facts && facts->facts[i].from_ms < fact->until_ms)
		facts->facts[i].from_ms = fact->until_ms;
	facts_insert(facts, i, fact);
	return 0;
}

/* Forgets what none of the last tables needed. */
static void facts_trim(struct seai_facts *facts)
{
	const struct sea_ccdb_cache *cache = facts->cache;
	size_t n = 0;

	for (size_t i = 0; i < facts->n_facts; i++) {
		struct seai_fact *fact = &facts->facts[i];

		if (fact->version->last_table + cache->options.n_tables_kept < cache->n_answered)
			fact->version->n_facts--;
		else
			facts->facts[n++] = *fact;
	}
	facts->cache->epoch += n < facts->n_facts;
	facts->cache->n_lost += n < facts->n_facts;
	facts->cache->n_facts -= facts->n_facts - n;
	facts->n_facts = n;
}

void seai_cache_trim_facts(struct sea_ccdb_cache *cache)
{
	const size_t n_max = cache->n_facts > FACTS_N_ALL_MAX ? FACTS_N_FEW : FACTS_N_MAX;
	struct seai_facts **link = &cache->books;
	size_t n_books = 0;

	while (*link) {
		struct seai_facts *facts = *link;
		const bool is_used = facts->fetches ||
		                     facts->last_table + cache->options.n_tables_kept >= cache->n_answered;

		if (facts->n_facts > n_max && !facts->fetches)
			facts_trim(facts);
		if (++n_books > FACTS_N_BOOKS_MAX && !is_used) {
			*link = facts->next;
			cache->has_memo = false;
			facts_free(facts);
			continue;
		}
		link = &facts->next;
	}
	cache->n_facts_kept = cache->n_facts;
}

void seai_cache_free_facts(struct sea_ccdb_cache *cache)
{
	while (cache->books) {
		struct seai_facts *facts = cache->books;

		cache->books = facts->next;
		while (facts->fetches)
			seai_version_fetch_free(facts->fetches);
		facts_free(facts);
	}
}
