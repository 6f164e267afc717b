/* SPDX-License-Identifier: Apache-2.0 */
/* Contents by path and uuid, and questions by key, each in a hash table and in a list from newest to oldest; see client-cache.h. */
#include "ccdb/client-cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/client-question.h"

/* A kept object. */
struct entry {
	struct entry *next_in_bucket;
	struct entry *newer, *older;
	struct seai_object *object;
	uint32_t hash;
};

struct seai_cache {
	struct entry **entries;
	struct seai_question **questions;
	size_t n_buckets; /* of both; a power of two */
	struct entry *newest, *oldest;
	struct seai_question *newest_question, *oldest_question;
	uint64_t n_bytes;
	uint64_t n_bytes_max;
	size_t n_objects;
	size_t n_questions;
	size_t n_versions;
	size_t n_versions_max;
	uint64_t n_answers;
};

/* FNV-1a. Both tables are private, their keys come from the program and from servers it trusts to that extent. */
static uint32_t hash_add(uint32_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

static uint32_t hash_of(const char *a, const char *b)
{
	return hash_add(hash_add(2166136261u, a) * 16777619u, b);
}

int seai_cache_new(struct seai_cache **ret_cache, uint64_t n_bytes_max, size_t n_versions_max)
{
	struct seai_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->n_buckets = 4096;
	cache->entries = calloc(cache->n_buckets, sizeof(struct entry *));
	cache->questions = calloc(cache->n_buckets, sizeof(struct seai_question *));
	cache->n_bytes_max = n_bytes_max;
	cache->n_versions_max = n_versions_max;
	if (!cache->entries || !cache->questions) {
		seai_cache_free(cache);
		return -ENOMEM;
	}
	*ret_cache = cache;
	return 0;
}

struct seai_cache *seai_cache_free(struct seai_cache *cache)
{
	if (!cache)
		return NULL;
	if (cache->entries && cache->questions)
		seai_cache_forget(cache, NULL);
	free(cache->entries);
	free(cache->questions);
	free(cache);
	return NULL;
}

/* Lists, newest first. ------------------------------------------------------------------- */

static void entry_unlink(struct seai_cache *cache, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void entry_link(struct seai_cache *cache, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void question_unlink(struct seai_cache *cache, struct seai_question *question)
{
	*(question->newer ? &question->newer->older : &cache->newest_question) = question->older;
	*(question->older ? &question->older->newer : &cache->oldest_question) = question->newer;
}

static void question_link(struct seai_cache *cache, struct seai_question *question)
{
	question->newer = NULL;
	question->older = cache->newest_question;
	*(cache->newest_question ? &cache->newest_question->newer : &cache->oldest_question) = question;
	cache->newest_question = question;
}

/* Contents. ------------------------------------------------------------------------------- */

static void entry_drop(struct seai_cache *cache, struct entry *entry)
{
	struct entry **at = &cache->entries[entry->hash & (cache->n_buckets - 1)];

	while (*at != entry)
		at = &(*at)->next_in_bucket;
	*at = entry->next_in_bucket;
	entry_unlink(cache, entry);
	cache->n_bytes -= entry->object->shown.n_bytes;
	cache->n_objects--;
	sea_ccdb_object_unref(&entry->object->shown);
	free(entry);
}

static struct entry *cache_entry(const struct seai_cache *cache, const char *path, const char *uuid)
{
	uint32_t hash = hash_of(path, uuid);
	struct entry *entry = cache->entries[hash & (cache->n_buckets - 1)];

	while (entry && (entry->hash != hash || strcmp(entry->object->shown.path, path) != 0 ||
	                 strcmp(entry->object->shown.version.uuid, uuid) != 0))
		entry = entry->next_in_bucket;
	return entry;
}

struct seai_object *seai_cache_object(struct seai_cache *cache, const char *path, const char *uuid)
{
	struct entry *entry = cache_entry(cache, path, uuid);

	if (!entry)
		return NULL;
	if (cache->newest != entry) {
		entry_unlink(cache, entry);
		entry_link(cache, entry);
	}
	return entry->object;
}

/* Drops the oldest that nobody but the cache holds until the rest fits. */
static void cache_shrink(struct seai_cache *cache)
{
	struct entry *entry = cache->oldest, *newer;

	for (; entry && cache->n_bytes > cache->n_bytes_max; entry = newer) {
		newer = entry->newer;
		/* acquire: pairs with the release of the last user, whose reading is over then. Only this thread gives new references. */
		if (atomic_load_explicit(&entry->object->n_refs, memory_order_acquire) == 1)
			entry_drop(cache, entry);
	}
}

int seai_cache_keep(struct seai_cache *cache, struct seai_object *object)
{
	struct entry *entry = cache_entry(cache, object->shown.path, object->shown.version.uuid);

	if (entry)
		entry_drop(cache, entry);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->object = object;
	entry->hash = hash_of(object->shown.path, object->shown.version.uuid);
	sea_ccdb_object_ref(&object->shown);
	entry->next_in_bucket = cache->entries[entry->hash & (cache->n_buckets - 1)];
	cache->entries[entry->hash & (cache->n_buckets - 1)] = entry;
	entry_link(cache, entry);
	cache->n_bytes += object->shown.n_bytes;
	cache->n_objects++;
	cache_shrink(cache);
	return 0;
}

/* Questions. ------------------------------------------------------------------------------ */

static struct seai_question *cache_question(const struct seai_cache *cache, const char *key, uint32_t hash)
{
	struct seai_question *question = cache->questions[hash & (cache->n_buckets - 1)];

	while (question && (question->hash != hash || strcmp(question->key, key) != 0))
		question = question->next_in_bucket;
	return question;
}

struct seai_question *seai_cache_question(struct seai_cache *cache, const char *key)
{
	struct seai_question *question = cache_question(cache, key, hash_of(key, ""));

	if (question && cache->newest_question != question) {
		question_unlink(cache, question);
		question_link(cache, question);
	}
	return question;
}

static void question_drop(struct seai_cache *cache, struct seai_question *question)
{
	struct seai_question **at = &cache->questions[question->hash & (cache->n_buckets - 1)];

	while (*at != question)
		at = &(*at)->next_in_bucket;
	*at = question->next_in_bucket;
	question_unlink(cache, question);
	cache->n_versions -= question->n_known;
	cache->n_questions--;
	free(question->known);
	free(question);
}

static struct seai_question *question_new(struct seai_cache *cache, const char *key, size_t n_path)
{
	size_t n_bytes = strlen(key) + 1;
	struct seai_question *question = calloc(1, sizeof(*question) + n_bytes);

	if (!question)
		return NULL;
	memcpy(question->key, key, n_bytes);
	question->n_path = n_path;
	question->hash = hash_of(key, "");
	question->next_in_bucket = cache->questions[question->hash & (cache->n_buckets - 1)];
	cache->questions[question->hash & (cache->n_buckets - 1)] = question;
	question_link(cache, question);
	cache->n_questions++;
	return question;
}

int seai_cache_confirm(struct seai_cache *cache, const char *key, size_t n_path, const struct sea_ccdb_version *version,
                       int64_t t_ms)
{
	struct seai_question *question = seai_cache_question(cache, key);
	size_t n_before;
	int result;

	if (!question)
		question = question_new(cache, key, n_path);
	if (!question)
		return -ENOMEM;
	n_before = question->n_known;
	result = seai_question_confirm(question, version, t_ms, ++cache->n_answers);
	cache->n_versions += question->n_known - n_before;
	if (result < 0) {
		question_drop(cache, question);
		return result;
	}
	/* An empty question counts as well: it takes memory. */
	while (cache->n_versions + cache->n_questions > 2 * cache->n_versions_max && cache->oldest_question != question)
		question_drop(cache, cache->oldest_question);
	while (cache->n_versions > cache->n_versions_max && cache->oldest_question != question)
		question_drop(cache, cache->oldest_question);
	return 0;
}

void seai_cache_absent(struct seai_cache *cache, const char *key, int64_t t_ms)
{
	struct seai_question *question = seai_cache_question(cache, key);
	size_t n_before;

	if (!question)
		return;
	n_before = question->n_known;
	seai_question_absent(question, t_ms);
	cache->n_versions -= n_before - question->n_known;
	if (question->n_known == 0)
		question_drop(cache, question);
}

void seai_cache_forget(struct seai_cache *cache, const char *path)
{
	struct seai_question *question = cache->oldest_question, *newer_question;
	struct entry *entry = cache->oldest, *newer;
	size_t n_path = path ? strlen(path) : 0;

	for (; entry; entry = newer) {
		newer = entry->newer;
		if (!path || strcmp(entry->object->shown.path, path) == 0)
			entry_drop(cache, entry);
	}
	for (; question; question = newer_question) {
		newer_question = question->newer;
		if (!path || (question->n_path == n_path && memcmp(question->key, path, n_path) == 0))
			question_drop(cache, question);
	}
}

void seai_cache_stats(const struct seai_cache *cache, struct sea_ccdb_client_stats *stats)
{
	stats->n_memory_bytes = cache->n_bytes;
	stats->n_objects = cache->n_objects;
	stats->n_versions = cache->n_versions;
}
