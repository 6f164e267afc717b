/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cache is made of. Paths have versions of objects (cache-object.c); a book of facts says for one path, and one run where that is a constraint, which
 * version counts from when until when, and when that was asked (cache-facts.c); requests are key tables that wait for facts and objects
 * (cache-keys.c, cache-request.c); fetches are queries on their way (cache-fetch.c); answers are made of both (cache-answer.c).
 *
 * The odd rule: facts may be wrong as soon as they are here, for somebody may upload; how long they are believed is each column's policy.
 */
#ifndef SEALANE_CCDB_CACHE_INTERNAL_H
#define SEALANE_CCDB_CACHE_INTERNAL_H

#include <sealane/arrow/arrow.h>
#include <sealane/ccdb/cache.h>
#include <sealane/frame.h>
#include <sealane/heap.h>
#include <sealane/message.h>
#include <sealane/meta.h>

#include "base/clock.h"
#include "ccdb/cache-times.h"

#define SEAI_NO_RUN INT64_C(-1)
#define SEAI_N_BOOK_BUCKETS 4096

/* A version of the object at a path; or, with another status than 0, that there is none. */
struct seai_version {
	struct seai_version *next; /* of its path */
	struct seai_path *path;
	struct sea_ccdb_version info; /* uuid "" where status is not 0 */
	int32_t status;               /* as in the object table */
	char *headers;                /* "Name: value\n"; never NULL */
	char *reason;                 /* why status is not 0; else "" */
	struct sea_message *object;   /* NULL: its content is not here (any more) */
	struct sea_meta meta;         /* of object */
	uint64_t n_bytes;             /* of its content */
	uint64_t last_table;          /* the number of the last table that used it */
	uint64_t n_facts;             /* facts that name it */
	uint64_t n_expected;          /* queries on their way that it is the likely answer of */
	uint64_t mark;                /* the last sweep for which the first request needs it */
	/* While an answer is made: its row of the object table, its part, and for which column of which attempt that is said. */
	uint32_t row, row_column;
	int32_t part;
	uint64_t row_answer, part_answer;
};

struct seai_path {
	struct seai_path *next;
	char *path;
	struct seai_version *versions;
};

/* From when until when a version counts, and what that is worth. */
struct seai_fact {
	int64_t from_ms, until_ms;
	struct seai_version *version;
	uint64_t asked_table; /* the number of the newest request when it was asked */
	int64_t asked_ns;     /* when it was asked */
};

/* All facts of a path, and of a run where that is a constraint. Sorted, disjoint. */
struct seai_facts {
	struct seai_facts *next, *next_in_bucket;
	struct sea_ccdb_cache *cache;
	struct seai_path *path;
	int64_t run; /* SEAI_NO_RUN: no constraint */
	struct seai_fact *facts;
	size_t n_facts, n_max;
	struct seai_version_fetch *fetches; /* on their way */
	uint64_t last_table;
};

struct seai_version_fetch {
	struct seai_version_fetch *next, **link; /* of its facts */
	struct sea_ccdb_cache *cache;
	struct seai_facts *facts;
	struct sea_ccdb_request *request;
	struct seai_version *expected; /* whose content is not here; NULL: it is, or nothing is expected */
	int64_t time_ms;
	uint64_t asked_table;
	int64_t asked_ns;
	struct sea_frame *frame; /* the content goes there */
	void *data;
	size_t n_trailer; /* bytes behind the content that are headers */
	size_t n_content;
	bool has_no_room;
};

/* What a column wants in one run: which facts, at which times. */
struct seai_lookup {
	struct seai_facts *facts;
	bool is_fixed; /* one time for all rows */
	int64_t fixed_ms;
	/* All times before this one were here when the cache had lost so much. */
	int64_t here_until_ms;
	uint64_t n_lost;
};

/* The rows of a request that have one run. */
struct seai_group {
	int64_t run;
	struct seai_times times;
	struct seai_lookup *lookups; /* one per column */
};

struct seai_table_request {
	struct seai_table_request *next;
	uint64_t number; /* 1, 2, ... in the order of their coming */
	int64_t arrived_ns;
	struct sea_message *message;
	size_t key_part;
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch **arrow_batches;
	struct sea_table_rows *batches; /* n_batches of them */
	size_t n_batches;
	int64_t n_rows;
	struct seai_group *groups;
	size_t n_groups, n_groups_max;
	size_t *group_map; /* while it is read: a hash table of 2 n_groups_max places, each 0 or the number of a group and 1 */
	uint64_t complete_epoch; /* when it lacked nothing; 0: never */
	uint64_t n_bytes_named;  /* what its rows would take with the bytes of their objects */
	struct sea_error error;
	int failed; /* negative errno: it is to be answered by an error */
};

/* The tables and objects of the last answer, to be used again where the next one would be the same. */
struct seai_bundle {
	struct sea_message *message;    /* NULL: there is none */
	struct seai_version **versions; /* one per column, for all rows */
	int64_t *n_rows;                /* of each batch */
	size_t n_batches;
	char *metadata; /* of the key table, see bundle_metadata() */
	size_t n_metadata;
};

struct sea_ccdb_cache {
	struct sea_ccdb_cache_options options;
	struct sea_ccdb_column *columns;
	size_t n_columns;
	char *time_column, *run_column;
	bool wants_run;
	struct sea_ccdb_client *client;
	int epoll_fd;
	int timer_fd;
	struct seai_path *paths;
	struct seai_facts *books, *buckets[SEAI_N_BOOK_BUCKETS]; /* the same by path and run */
	struct seai_table_request *first, **last;
	uint64_t n_requests, n_answered;
	size_t n_fetches;                          /* on their way */
	uint64_t wants_room_n_bytes;               /* an object of so many bytes waits for room; 0: none */
	char wants_room_path[1025];                /* its path */
	const struct seai_facts *wants_room_facts; /* for whom: never followed, only compared */
	int64_t wants_room_ms;
	uint64_t n_answers, n_sweeps; /* attempts */
	size_t n_facts, n_facts_kept; /* in all books: now, and after the last that was forgotten */
	bool is_advancing, is_again;  /* a fetch was answered meanwhile */
	uint64_t n_last_versions;     /* with content, that the last answer named */
	uint64_t epoch;               /* another one whenever a fact or an object comes or goes */
	uint64_t n_lost; /* another one whenever a fact or an object that was here goes, or is said anew; from 1 on */
	/* Books of the last group that was looked up, one per column: the next is mostly of the same run. */
	struct seai_facts **memo_facts;
	int64_t memo_run;
	bool has_memo;
	struct seai_bundle bundle;
	struct sea_table_writer *writer; /* of all answers; NULL: there was none yet */
	struct sea_ccdb_cache_stats stats;
};

/* cache-object.c */

/* The path's book of versions; made if it is not there. NULL: no memory. */
struct seai_path *seai_cache_path(struct sea_ccdb_cache *cache, const char *name);
/* The version of a uuid; NULL: not known. */
struct seai_version *seai_version_find(struct seai_path *path, const char *uuid);
/* A version of what an answer says, without content. NULL: no memory. headers may be NULL. */
struct seai_version *seai_version_new(struct seai_path *path, const struct sea_ccdb_version *info,
                                      const struct sea_ccdb_object *object, int32_t status, const char *reason);
/* What a sweep spares, besides what others hold. */
enum seai_sweep {
	SEAI_SWEEP_RECENT, /* what the last tables used, and all requests need */
	SEAI_SWEEP_NEEDED, /* what requests need */
	SEAI_SWEEP_FIRST,  /* what the first request needs: the others fetch theirs again */
};

/* Forgets content, and versions that no fact names. */
void seai_cache_sweep(struct sea_ccdb_cache *cache, enum seai_sweep sweep);
void seai_cache_free_paths(struct sea_ccdb_cache *cache);

/* cache-facts.c */

struct seai_facts *seai_cache_facts(struct sea_ccdb_cache *cache, const char *path, int64_t run);
/* The fact that covers a time; NULL: none. */
struct seai_fact *seai_facts_find(const struct seai_facts *facts, int64_t time_ms);
/* Says that a version counts in an interval; what was said of it before goes. 0; -ENOMEM. */
int seai_facts_put(struct seai_facts *facts, const struct seai_fact *fact);
/* Forgets facts that none of the last tables needed, if there are many. */
void seai_cache_trim_facts(struct sea_ccdb_cache *cache);
void seai_cache_free_facts(struct sea_ccdb_cache *cache);

/* cache-keys.c */

int seai_table_request_new(struct seai_table_request **ret_request, struct sea_ccdb_cache *cache,
                           struct sea_message *message, struct sea_error *error);
struct seai_table_request *seai_table_request_free(struct seai_table_request *request);

/* cache-fetch.c */

/* Asks for the version at a time, unless that is under way. expected: whose content is wanted, if that is known; else NULL. is_first: for the request whose turn it is. 0; negative errno. */
int seai_cache_fetch(struct sea_ccdb_cache *cache, struct seai_facts *facts, int64_t time_ms, bool is_first,
                     const struct seai_table_request *request, struct seai_version *expected);
void seai_version_fetch_free(struct seai_version_fetch *fetch);

/* cache-request.c */

/* Asks for what is missing. 1: all is here; 0: not yet; negative errno: it fails, request->error says why. */
int seai_table_request_advance(struct sea_ccdb_cache *cache, struct seai_table_request *request, bool is_first);
/* Whether some column of a request asks a book at a time. */
bool seai_table_request_asks(const struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                             const struct seai_facts *facts, int64_t time_ms);
/* Which fact counts for a column at a time; NULL: none that is good enough for this request. */
struct seai_fact *seai_table_request_fact(const struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                                          const struct seai_lookup *lookup, const struct sea_ccdb_column *column,
                                          int64_t time_ms);
/* The times that a column is asked for in a group, one after the other. */
bool seai_lookup_next(const struct seai_group *group, const struct seai_lookup *lookup, int64_t from_ms,
                      int64_t *ret_ms);

/* cache-answer.c */

/* 0; -EAGAIN times have changed meanwhile; -ENOSPC the heap has no room for the tables; other negative errno: it fails, and error says why. */
int seai_table_request_answer(struct sea_ccdb_cache *cache, struct seai_table_request *request,
                              struct sea_message **ret_answer, struct sea_error *error);

/* cache-bundle.c */

/* The last answer's tables and objects, if they are this request's as well: a new reference; else NULL. */
struct sea_message *seai_bundle_try(struct sea_ccdb_cache *cache, const struct seai_table_request *request);
/* Keeps an answer's tables and objects for the next request, if that may be the same. */
void seai_bundle_keep(struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                      struct sea_message *message);
void seai_bundle_forget(struct sea_ccdb_cache *cache);

/* cache.c */

/* Has the cache look again in so many ns. */
void seai_cache_look_again(struct sea_ccdb_cache *cache, int64_t in_ns);

#endif
