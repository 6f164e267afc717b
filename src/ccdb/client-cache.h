/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client knows: which versions of a path there are, when each is valid, for which times the server promised it, and
 * the content of some.
 *
 * A question is a path with its metadata constraints and bounds of creation, as one key; what is known is known per question, and content per
 * path and uuid. The rule for a time t: of the versions known to be valid at t the one created last is the
 * candidate; it is the answer if a promise covers t, that is [the time asked for, Cache-Valid-Until) of some answer that named it, less what
 * versions learned of later have taken out of it. It is never the one fetched last.
 */
#ifndef SEALANE_CCDB_CLIENT_CACHE_H
#define SEALANE_CCDB_CLIENT_CACHE_H

#include "ccdb/client-object.h"

/* More than that of one version are forgotten, the oldest first: it is asked again. */
#define SEAI_PROMISES_N_MAX 8
/* More than that of one question are forgotten, those confirmed longest ago first. */
#define SEAI_KNOWN_N_MAX 1024

struct seai_promise {
	int64_t from_ms;
	int64_t until_ms;
};

/* A version that the server has named. */
struct seai_known {
	struct sea_ccdb_version version;
	struct seai_promise promises[SEAI_PROMISES_N_MAX]; /* oldest first; they may touch and overlap */
	unsigned n_promises;
	uint64_t confirmed; /* the count of answers when it was named last */
};

/* The versions known for one question. */
struct seai_question {
	struct seai_question *next_in_bucket;
	struct seai_question *newer, *older;
	struct seai_known *known;
	size_t n_known;
	size_t n_room;
	size_t n_path; /* the key begins with the path */
	uint32_t hash;
	char key[];
};

struct seai_cache;

int seai_cache_new(struct seai_cache **ret_cache, uint64_t n_bytes_max, size_t n_versions_max);
struct seai_cache *seai_cache_free(struct seai_cache *cache);

/* What is known for a question; NULL: nothing. Makes it the newest. Good until the next change of the cache. */
struct seai_question *seai_cache_question(struct seai_cache *cache, const char *key);

/* The version that the rule names, of those the filter lets pass (NULL: all); NULL: none is known to be valid then. */
typedef bool (*seai_known_fn)(const struct seai_known *known, void *userdata);
struct seai_known *seai_question_candidate(struct seai_question *question, int64_t t_ms, seai_known_fn filter,
                                           void *userdata);

struct seai_known *seai_question_find(struct seai_question *question, const char *uuid);

/* Whether a promise covers t; then its borders. */
bool seai_known_promise(const struct seai_known *known, int64_t t_ms, int64_t *ret_from_ms, int64_t *ret_until_ms);

/*
 * The server named this version for t, and promised it until version->guaranteed_until_ms. Versions created later that were thought
 * to be valid at t are not, and are forgotten. 0; -ENOMEM: then nothing is known for the question.
 */
int seai_cache_confirm(struct seai_cache *cache, const char *key, size_t n_path, const struct sea_ccdb_version *version,
                       int64_t t_ms);

/* The server has no object for t. */
void seai_cache_absent(struct seai_cache *cache, const char *key, int64_t t_ms);

/* Keeps an object that has its content; takes a reference of its own. What nobody else holds may go for it. 0; -ENOMEM. */
int seai_cache_keep(struct seai_cache *cache, struct seai_object *object);

/* An object that is kept; NULL: none. Borrowed until the next change. Makes it the newest. */
struct seai_object *seai_cache_object(struct seai_cache *cache, const char *path, const char *uuid);

/* Forgets questions and content of a path; NULL: of all. */
void seai_cache_forget(struct seai_cache *cache, const char *path);

void seai_cache_stats(const struct seai_cache *cache, struct sea_ccdb_client_stats *stats);

#endif
