/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of a CCDB: fetches objects by path and time, many at once, and remembers which version is valid when, so that it asks
 * only where the answer is not known.
 *
 *	sea_ccdb_client_new(&client, &(struct sea_ccdb_client_options){ .url = "http://localhost:8080" }, &error);
 *	sea_ccdb_client_get(client, &(struct sea_ccdb_query){ .path = "GLO/Config/GRPMagField", .timestamp_ms = t }, &result, -1, &error);
 *	if (result.status == SEA_CCDB_OK)
 *		use(result.content, result.n_bytes);
 *	sea_ccdb_result_fini(&result);
 *
 * In an event loop: sea_ccdb_client_request() says what is wanted and who is told; when sea_ccdb_client_fd() is readable, call
 * sea_ccdb_client_dispatch(). Nothing is called from anywhere else.
 *
 * What is never given as good: a body that is cut, longer than it said or has another checksum, an object whose validity does not contain the time
 * that was asked for or whose creation lies outside the bounds, two versions mixed because an object was replaced on the way.
 *
 * Threads: a client belongs to one thread at a time. Objects may be kept and given back in any.
 */
#ifndef SEALANE_CCDB_CLIENT_H
#define SEALANE_CCDB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/pair.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_ccdb_client;
struct sea_ccdb_request;

/** Room for an identity, its end included; a uuid takes 37. */
#define SEA_CCDB_UUID_N_BYTES 64
/** If-Not-After where nothing else is said, ms: the year 2077, as O2. */
#define SEA_CCDB_NOT_AFTER_MS INT64_C(3385078236000)

/** Which version of the object at a path, and when it holds. Times in ms since 1970. */
struct sea_ccdb_version {
	char uuid[SEA_CCDB_UUID_N_BYTES]; /**< the ETag without its quotes; "": none is known */
	int64_t valid_from_ms; /**< the first ms at which it is valid; -1: not known (a 304 of a version that only the caller had) */
	int64_t valid_until_ms;     /**< the first ms at which it is not any more; -1: not known */
	int64_t initial_until_ms;   /**< InitialValidityLimit, else valid_until_ms; -1: not known */
	int64_t created_ms;         /**< of those that are valid, the one created last counts; -1: not known */
	int64_t guaranteed_from_ms; /**< from here ... */
	int64_t guaranteed_until_ms; /**< ... until before here the server would name this version, uploads still to come apart; both 0: no such promise */
};

/** An object as the server gave it. It does not change. Owned by its references; strings live as long. */
struct sea_ccdb_object {
	const char *path;                /**< as it was asked for */
	struct sea_ccdb_version version; /**< what its headers say */
	const struct sea_ccdb_pair *
		headers; /**< all of the answers that led to it, in their order, the later answer's where two say otherwise */
	size_t n_headers;        /**< how many */
	const void *content;     /**< NULL: its content was put where an allocator said, or is empty */
	size_t n_bytes;          /**< of its content, wherever that is */
	const char *request_url; /**< what was asked */
	const char *content_url; /**< where the content came from: the last redirect, or the same */
};

/** Keeps an object. @return it. Any thread. Since 0.4. */
struct sea_ccdb_object *sea_ccdb_object_ref(struct sea_ccdb_object *object);

/** Gives an object back. @param object NULL is allowed. @return NULL. Any thread. Since 0.4. */
struct sea_ccdb_object *sea_ccdb_object_unref(struct sea_ccdb_object *object);

/** The value of a header, whose name may be in any case; NULL: it has none. Borrowed. Any thread. Since 0.4. */
const char *sea_ccdb_object_header(const struct sea_ccdb_object *object, const char *name);

/** What came of a request. */
enum sea_ccdb_status {
	SEA_CCDB_OK = 0,           /**< here it is */
	SEA_CCDB_NOT_MODIFIED = 1, /**< it is one of those that the caller said it holds: version.uuid says which */
	SEA_CCDB_NOT_FOUND = 2,    /**< every host that could be asked has none for that time */
	SEA_CCDB_FAILED = 3,       /**< the error says why */
};

/** Where an answer came from. */
enum sea_ccdb_source {
	SEA_CCDB_FROM_SERVER = 0,   /**< its content was transferred now; or, without one, the server said it */
	SEA_CCDB_FROM_MEMORY = 1,   /**< it was here */
	SEA_CCDB_FROM_DISK = 2,     /**< it was in the folder that processes share */
	SEA_CCDB_FROM_SNAPSHOT = 3, /**< a file of a snapshot, which knows no time */
};

/** The word of a status or a source: "ok", "not modified"; "server", "memory". "?" for others. Any thread. Since 0.4. */
const char *sea_ccdb_status_text(enum sea_ccdb_status status);
/** As sea_ccdb_status_text(). Since 0.4. */
const char *sea_ccdb_source_text(enum sea_ccdb_source source);

/** An answer. In a callback all of it is borrowed until the callback returns. */
struct sea_ccdb_result {
	enum sea_ccdb_status status;     /**< what came of it */
	enum sea_ccdb_source source;     /**< where from */
	bool was_asked;                  /**< a server was asked for this; false: it was known */
	int http_status;                 /**< the last one seen; 0: none */
	int64_t timestamp_ms;            /**< of the query; now where that said -1 */
	struct sea_ccdb_version version; /**< of OK and NOT_MODIFIED */
	struct sea_ccdb_object *
		object; /**< OK: the object. NOT_MODIFIED: if the client has it, else NULL. Keep it by sea_ccdb_object_ref() */
	const void *
		content; /**< OK: its bytes: the object's, or what the query's allocator gave, which is the caller's from here on */
	size_t n_bytes;   /**< of them */
	int64_t spent_ns; /**< since the request */
};

/** Gives back what sea_ccdb_client_get() and sea_ccdb_client_try_get() left in a result. What an allocator gave is not touched. Since 0.4. */
void sea_ccdb_result_fini(struct sea_ccdb_result *result);

/**
 * A request is done; its handle is void. Called by sea_ccdb_client_dispatch() alone. It may make and cancel requests, but not dispatch, get or free.
 * @param result borrowed
 * @param error with FAILED and NOT_FOUND: code, URL as key, HTTP status and reason as text; else NULL
 */
typedef void (*sea_ccdb_done_fn)(const struct sea_ccdb_result *result, const struct sea_error *error, void *userdata);

/**
 * Room for the content of an object. Called once its size is known: at the end of the headers where they name it, else after the last byte.
 * A transfer that fails later gives it back by sea_ccdb_release_fn, and a further try asks again. It may not call the client.
 * @param n_bytes above 0: content of no bytes needs no room
 * @param object what is known of the object by then: its version and headers; no content
 * @return room; NULL: none, the request fails with -ENOMEM
 */
typedef void *(*sea_ccdb_allocate_fn)(size_t n_bytes, const struct sea_ccdb_object *object, void *userdata);

/** Takes back room that sea_ccdb_allocate_fn gave and that no result has named. */
typedef void (*sea_ccdb_release_fn)(void *memory, void *userdata);

/** The server is asked even where the answer is known: whether something newer was uploaded. */
#define SEA_CCDB_ASK_ALWAYS 1u
/** The server is not asked where a version that is known is valid at that time (the newest created of them), promised or not. */
#define SEA_CCDB_ASK_NEVER 2u

/** What is wanted. All zero but the path is a query for the time 0. Everything it points to is copied, callbacks' userdata apart. */
struct sea_ccdb_query {
	const char *path;                     /**< "GLO/Config/GRPMagField"; slashes around it do not count */
	int64_t timestamp_ms;                 /**< -1: now */
	const struct sea_ccdb_pair *metadata; /**< constraints, all of which the object must meet: runNumber=544116 */
	size_t n_metadata;                    /**< how many */
	int64_t not_after_ms;                 /**< created no later; 0: as the client's */
	int64_t not_before_ms;                /**< created no earlier; 0: as the client's */
	const char *const
		*held;  /**< uuids of versions of this path whose content the caller has: they are not fetched again */
	size_t n_held;  /**< how many */
	uint32_t flags; /**< SEA_CCDB_ASK_... */
	uint32_t reserved;             /**< 0 */
	int64_t timeout_ns;            /**< for the whole request, all tries; 0 or -1: what the tries take */
	sea_ccdb_allocate_fn allocate; /**< NULL: the object owns its content */
	sea_ccdb_release_fn release;   /**< wanted with allocate */
	void *allocate_userdata;       /**< of both */
	sea_ccdb_done_fn done;         /**< wanted by sea_ccdb_client_request(); others do not call it */
	void *userdata;                /**< of done */
};

/** How bad a line of the log is. */
enum sea_ccdb_level {
	SEA_CCDB_DEBUG = 0, /**< answers from memory; only with log_hits */
	SEA_CCDB_INFO = 1,  /**< one line per answer of a server, a disk, a snapshot */
	SEA_CCDB_WARN = 2,  /**< a try failed, another follows; a file of the cache is damaged */
	SEA_CCDB_ERROR = 3, /**< a request failed */
};

/** Receives a line of the log, without its end. It may not call the client. */
typedef void (*sea_ccdb_log_fn)(enum sea_ccdb_level level, const char *line, void *userdata);

/**
 * How a client works. All zero but the url is good; what the environment says stands behind what is said here and before the default. With
 * $IGNORE_VALIDITYCHECK_OF_CCDB_LOCALCACHE the snapshots of $ALICEO2_CCDB_LOCALCACHE come before all hosts.
 */
struct sea_ccdb_client_options {
	const char *
		url; /**< hosts, tried in this order, separated by commas or semicolons: "http://a:8080,http://b"; "file://DIR": a snapshot */
	const char *remap;           /**< "URL=path,path;URL2=path": these paths from there; NULL: none */
	int64_t not_after_ms;        /**< 0: SEA_CCDB_NOT_AFTER_MS */
	int64_t not_before_ms;       /**< created no earlier */
	uint32_t connect_timeout_ms; /**< 0: 5000 */
	uint32_t timeout_ms;      /**< of one transfer; 0: $ALICEO2_CCDB_CURL_TIMEOUT_DOWNLOAD (seconds), else 60000 */
	uint32_t low_speed_bytes; /**< per second; a transfer that is slower for low_speed_ms has failed. 0: 100 */
	uint32_t low_speed_ms;    /**< 0: 10000; to the second */
	uint32_t n_tries;         /**< per host; 0: 3 */
	uint32_t backoff_ms;      /**< before the second try, then twice as long each time, with some chance; 0: 100 */
	uint32_t backoff_max_ms;  /**< 0: 5000 */
	uint32_t n_redirects_max; /**< per try; 0: 8 */
	uint32_t n_header_bytes_max; /**< of one answer; 0: 64 KiB */
	uint32_t n_connections;      /**< at once, of all hosts; more transfers wait their turn. 0: 64 */
	uint64_t n_object_bytes_max; /**< larger objects are refused; 0: 4 GiB */
	uint64_t
		n_memory_bytes_max; /**< content that nobody holds is forgotten beyond that, least recently used first; 0: 256 MiB */
	uint32_t n_versions_max; /**< how many versions are remembered, without their content; 0: 65536 */
	bool forget_contents; /**< no content is kept, only which version holds when: for callers that keep content themselves */
	bool log_hits;       /**< a line for each answer from memory as well */
	bool no_environment; /**< the environment says nothing */
	char reserved;       /**< 0 */
	const char *
		disk_dir; /**< a folder where processes keep objects for each other; NULL: $ALICEO2_CCDB_LOCALCACHE, else none; "": none */
	uint64_t n_disk_bytes_max; /**< what lies there beyond that goes, least recently used first; 0: 10 GiB */
	const char *user_agent;    /**< NULL: host-pid-random, one per client */
	sea_ccdb_log_fn log;       /**< NULL: nothing is said */
	void *log_userdata;        /**< of log */
};

/** What a client has done so far. */
struct sea_ccdb_client_stats {
	uint64_t n_requests;      /**< asked of it */
	uint64_t n_hits;          /**< answered without a server: from memory, a snapshot */
	uint64_t n_joined;        /**< of the requests: answered by another's fetch, which was the same */
	uint64_t n_not_modified;  /**< fetches in which the server named a version that was here already */
	uint64_t n_misses;        /**< fetches in which content was transferred */
	uint64_t n_disk_hits;     /**< fetches whose content came from the disk */
	uint64_t n_not_found;     /**< requests for which there is no object */
	uint64_t n_errors;        /**< requests that failed */
	uint64_t n_retries;       /**< tries after the first, hosts after the first among them */
	uint64_t n_replaced;      /**< of them: because an object changed while it was being fetched */
	uint64_t n_http;          /**< HTTP requests sent, redirects included */
	uint64_t n_bytes_fetched; /**< of content, over HTTP */
	uint64_t n_in_flight;     /**< now: requests that are not done */
	uint64_t n_memory_bytes;  /**< now: content in memory that the client keeps */
	uint64_t n_objects;       /**< now: objects in memory */
	uint64_t n_versions;      /**< now: versions remembered */
};

/**
 * Makes a client. Nothing is connected yet.
 * @param ret_client receives it; the caller frees it
 * @param options copied
 * @param error may be NULL
 * @return 0; -EINVAL no URL, or a malformed one, or a malformed remap or variable of the environment: the error's key names which; -ENOMEM; -EMFILE,
 *         -ENFILE; an error of making the folder disk_dir. Since 0.4.
 */
int sea_ccdb_client_new(struct sea_ccdb_client **ret_client, const struct sea_ccdb_client_options *options,
                        struct sea_error *error);

/** Frees a client. What it has not answered is never answered; room of allocators is released. @param client NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_client *sea_ccdb_client_free(struct sea_ccdb_client *client);

/**
 * Asks for an object; the answer comes by the query's callback, from a later sea_ccdb_client_dispatch(), also where it is known at once.
 * @param query copied
 * @param ret_request may be NULL; receives what sea_ccdb_client_cancel() wants; void when the callback is called
 * @param error may be NULL
 * @return 0; -EINVAL a path that is none (no element, "." or "..", an element of digits alone, a control character, more than 10 elements or 1024 bytes), a metadata
 *         key of other characters than O2 allows, a time below -1, no callback, a held uuid that is none; -ENOMEM. Since 0.4.
 */
int sea_ccdb_client_request(struct sea_ccdb_client *client, const struct sea_ccdb_query *query,
                            struct sea_ccdb_request **ret_request, struct sea_error *error);

/** Withdraws a request: its callback is not called, its allocator's room is released. Others that wait for the same go on. Since 0.4. */
void sea_ccdb_client_cancel(struct sea_ccdb_client *client, struct sea_ccdb_request *request);

/**
 * Answers from memory alone, without a callback.
 * @param ret_result the caller calls sea_ccdb_result_fini(); untouched on failure
 * @return 0: it is OK or NOT_MODIFIED; -EAGAIN a server would have to be asked; -ENOMEM the allocator had no room; -EINVAL as
 *         sea_ccdb_client_request(). Since 0.4.
 */
int sea_ccdb_client_try_get(struct sea_ccdb_client *client, const struct sea_ccdb_query *query,
                            struct sea_ccdb_result *ret_result);

/**
 * Asks for an object and waits. Other requests of the client go on meanwhile, and their callbacks are called.
 * @param ret_result receives the answer, also NOT_FOUND and FAILED; the caller calls sea_ccdb_result_fini(); untouched where the call fails
 * @param timeout_ns -1: as long as the tries take
 * @param error may be NULL; with NOT_FOUND and FAILED set as well
 * @return 0, whatever the status; -ETIMEDOUT, then nothing came of it; -EINTR; -EDEADLK inside a callback; -EINVAL, -ENOMEM as
 *         sea_ccdb_client_request(). Since 0.4.
 */
int sea_ccdb_client_get(struct sea_ccdb_client *client, const struct sea_ccdb_query *query,
                        struct sea_ccdb_result *ret_result, int64_t timeout_ns, struct sea_error *error);

/** One descriptor, an epoll: when it is readable, call sea_ccdb_client_dispatch(). Owned by the client. Since 0.4. */
int sea_ccdb_client_fd(const struct sea_ccdb_client *client);

/**
 * Does what can be done now, without waiting, and calls the callbacks of requests that are done.
 * @return how many were called; -EDEADLK inside a callback. Since 0.4.
 */
int sea_ccdb_client_dispatch(struct sea_ccdb_client *client);

/** What it has done so far. Since 0.4. */
void sea_ccdb_client_get_stats(const struct sea_ccdb_client *client, struct sea_ccdb_client_stats *ret_stats);

/** The name it gives itself in User-Agent. Borrowed. Since 0.4. */
const char *sea_ccdb_client_user_agent(const struct sea_ccdb_client *client);

/** Forgets all versions of a path, or of all paths: the next query asks. Objects that somebody holds stay what they are. @param path NULL: all. Since 0.4. */
void sea_ccdb_client_forget(struct sea_ccdb_client *client, const char *path);

#ifdef __cplusplus
}
#endif
#endif
