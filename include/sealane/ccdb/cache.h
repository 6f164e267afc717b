/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of calibration objects: takes key tables (any Arrow table with a column of times, and one of runs where a column asks for it), finds for
 * each row and column which version of an object counts at that time, fetches what is not here, keeps each version once in shared memory, and
 * answers with tables that name the objects (table.h). An answer is made only when all its objects are here, and holds them.
 *
 *	sea_ccdb_column_parse(&columns[0], "mag=GLO/Config/GRPMagField", &error);
 *	sea_ccdb_cache_new(&cache, &(struct sea_ccdb_cache_options){ .heap = heap, .columns = columns, .n_columns = 1,
 *		.client = { .url = "http://localhost:8080" } }, &error);
 *	sea_ccdb_cache_put(cache, &message, &error);
 *	... when sea_ccdb_cache_fd() is readable: sea_ccdb_cache_dispatch(cache), then
 *	while (sea_ccdb_cache_take(cache, &answer, &error) == 1)
 *		sea_channel_send(channel, &answer, -1);
 *
 * Answers come in the order of their requests, while objects of later ones are fetched already. What no request, no table that somebody still holds, and none of
 * the last tables needs is dropped. A heap that is full makes requests wait until others let go of tables.
 *
 * Whether something newer was uploaded is asked as often as a column's policy says, for each interval that a table touches; in between what the server
 * promised (Cache-Valid-Until) is believed, and nothing else: where it promised nothing, each distinct time is asked for.
 *
 * Threads: a cache belongs to one thread at a time.
 */
#ifndef SEALANE_CCDB_CACHE_H
#define SEALANE_CCDB_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/client.h>
#include <sealane/ccdb/table-writer.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_ccdb_cache;
struct sea_heap;
struct sea_message;

/** What a run is to a column's queries: run modes 0, 1, 2 of O2. */
enum sea_ccdb_run_mode {
	SEA_CCDB_RUN_NONE = 0,       /**< nothing */
	SEA_CCDB_RUN_CONSTRAINT = 1, /**< the object must have runNumber=RUN in its metadata */
	SEA_CCDB_RUN_IS_TIME = 2,    /**< the run number is what is asked for instead of a time */
};

/** A column of the answers. */
struct sea_ccdb_column {
	char name[64];                   /**< its name */
	char paths[1024];                /**< a path; or by run "lo-hi=path;lo-=path;-hi=path;path of all others" */
	enum sea_ccdb_run_mode run_mode; /**< what the run is to a query */
	bool is_per_run; /**< one query per run, at the first of its times in the table; else each row's own time counts */
	bool is_checked_never; /**< once it is known, it is not asked for again */
	uint32_t
		check_every_n_tables; /**< whether something newer is there is asked for every so many tables; 0: as 1, unless check_every_ns is set */
	int64_t check_every_ns; /**< the same by time; 0: not by time */
};

/**
 * Reads a column from text: NAME=PATHS[,run=0|1|2][,per=row|run][,check=N|Ts|never], for instance "grp=GLO/GRP,run=1", "mean=GLO/Vertex,check=100",
 * "mat=GLO/MatLUT,check=never", "hv=MCH/HV,check=30s", "geo=100-200=A/B;300-=C/D;E/F".
 * @param error may be NULL
 * @return 0; -EINVAL malformed, or too long: the error says what. Any thread. Since 0.4.
 */
int sea_ccdb_column_parse(struct sea_ccdb_column *ret_column, const char *text, struct sea_error *error);

/**
 * The path that counts in a run.
 * @param path receives it
 * @return 0; -ENOENT no range has this run, and there is no path for all others; -E2BIG. Any thread. Since 0.4.
 */
int sea_ccdb_column_path(const struct sea_ccdb_column *column, int64_t run, char *path, size_t n_bytes);

/** Whether a column wants to know the run of a row. Any thread. Since 0.4. */
bool sea_ccdb_column_wants_run(const struct sea_ccdb_column *column);

/** What happens when there is no object for a time, or it cannot be had. */
enum sea_ccdb_missing {
	SEA_CCDB_MISSING_FAIL = 0, /**< the request fails, and says path, time and status */
	SEA_CCDB_MISSING_WAIT = 1, /**< it is asked for again, each wait_ns, until it is there */
	SEA_CCDB_MISSING_PASS = 2, /**< the table names a row without an object, whose status says why */
};

/** How a cache works. All zero but heap, columns and client.url is good. */
struct sea_ccdb_cache_options {
	struct sea_ccdb_client_options client; /**< who is asked; forget_contents is set by the cache */
	struct sea_heap
		*heap; /**< where objects and tables lie; its quota bounds them. Borrowed as long as the cache lives */
	const struct sea_ccdb_column *columns; /**< copied */
	size_t n_columns;                      /**< 1 to 1000 */
	const char *
		time_column; /**< its name in key tables; NULL: the first of timestamp, fTimestamp, time that is there */
	const char *run_column;           /**< its name; NULL: the first of run, runNumber, fRunNumber */
	enum sea_table_encoding encoding; /**< of index tables */
	enum sea_ccdb_missing missing;    /**< when there is no object */
	int64_t wait_ns;                  /**< with SEA_CCDB_MISSING_WAIT; 0: 1 s */
	uint32_t n_tables_kept; /**< what one of the last so many tables used is kept, even if nobody holds it; 0: 16 */
	bool is_immutable;      /**< each object in memory that the kernel seals against this process as well */
	bool has_trailer;       /**< O2's $HEADER$ trailer with the response headers behind each object's content */
	bool is_apart; /**< answers are tables alone; else the other parts of a request's message come before them */
	bool trusts_validity; /**< where the server promises nothing, a version counts from Valid-From until Valid-Until */
};

/** What a cache has done so far. */
struct sea_ccdb_cache_stats {
	uint64_t n_tables;         /**< answers made */
	uint64_t n_failed;         /**< requests that failed */
	uint64_t n_rows;           /**< rows of the answers */
	uint64_t n_cells;          /**< rows times columns */
	uint64_t n_queries;        /**< asked of the client: one per distinct path, run and interval */
	uint64_t n_fetched;        /**< objects whose content came */
	uint64_t n_bytes_fetched;  /**< of them */
	uint64_t n_bytes_named;    /**< what the rows would take if each had the bytes of its objects */
	uint64_t n_waiting;        /**< now: requests that are not answered */
	uint64_t n_versions;       /**< now: object versions in memory */
	uint64_t n_versions_peak;  /**< most of them at a time */
	uint64_t n_versions_bytes; /**< now: their bytes */
	uint64_t n_dropped;        /**< versions that were dropped, for nobody needed them */
	uint64_t n_reused;         /**< answers whose tables were those of the one before */
	uint64_t n_waits_for_room; /**< times that an object had to wait for room in the heap */
};

/**
 * Makes a cache.
 * @param ret_cache receives it; the caller frees it, before the heap
 * @param error may be NULL
 * @return 0; -EINVAL no columns, two of one name, no heap; errors of sea_ccdb_client_new(). Since 0.4.
 */
int sea_ccdb_cache_new(struct sea_ccdb_cache **ret_cache, const struct sea_ccdb_cache_options *options,
                       struct sea_error *error);

/** Frees a cache; requests that are not answered are forgotten. Answers that were taken stay. @param cache NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_cache *sea_ccdb_cache_free(struct sea_ccdb_cache *cache);

/**
 * Asks for a table. The key table is the first part that is an Arrow stream with a column of times.
 * @param message taken on success
 * @param error may be NULL: what is wrong with the table
 * @return 0; -EBADMSG no part is a key table, or a malformed one; -EINVAL a column has the wrong type, or nulls; -ENOMEM. Since 0.4.
 */
int sea_ccdb_cache_put(struct sea_ccdb_cache *cache, struct sea_message **message, struct sea_error *error);

/**
 * The next answer, in the order of requests.
 * @param ret_answer receives it: parts as sea_table_find() finds them
 * @param error may be NULL: with an error, what request failed and why
 * @return 1 an answer; 0 none is ready; -ENOENT an object is missing; -E2BIG one does not fit into the heap with the others of its table, or
 *         the table names more than 4000 versions; -EHOSTUNREACH it cannot be had; -EINVAL no path for a run; -ENOMEM; -ETIMEDOUT. An error ends this request alone. Since 0.4.
 */
int sea_ccdb_cache_take(struct sea_ccdb_cache *cache, struct sea_message **ret_answer, struct sea_error *error);

/** One descriptor, an epoll: when it is readable, call sea_ccdb_cache_dispatch(). Owned by the cache. Since 0.4. */
int sea_ccdb_cache_fd(const struct sea_ccdb_cache *cache);

/** Does what can be done now, without waiting. @return 0; -EDEADLK in a callback of the client. Since 0.4. */
int sea_ccdb_cache_dispatch(struct sea_ccdb_cache *cache);

/** What it has done so far. Since 0.4. */
void sea_ccdb_cache_get_stats(struct sea_ccdb_cache *cache, struct sea_ccdb_cache_stats *ret_stats);

/** What its client has done so far. Since 0.4. */
void sea_ccdb_cache_client_stats(const struct sea_ccdb_cache *cache, struct sea_ccdb_client_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
