/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CCDB server: a store over HTTP, as O2's clients know it. docs/ccdb-server.md has the interface.
 *
 * Everything happens in threads of its own; the program that started it only waits. The odd rule: with faults that take time each
 * connection has a thread of its own, since such a fault sleeps.
 */
#ifndef SEALANE_CCDB_SERVER_H
#define SEALANE_CCDB_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/store.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_ccdb_server;

/** What it does wrong on purpose, so that clients can be tested. It is done to objects and downloads, never to listings. */
struct sea_ccdb_faults {
	unsigned delay_ms;      /**< wait before each answer */
	unsigned error_percent; /**< so many of a hundred answers are 503, evenly spread */
	unsigned cut_percent;   /**< so many bodies end in the middle, and the connection with them */
	unsigned
		wrong_length_percent; /**< so many bodies are half as long as they should be, and so is their Content-Length */
	int dead_replica_first;    /**< the first Location names a port where nobody listens */
	int alien_first;           /**< the first Location is an alien:// address */
	uint64_t slow_bytes_per_s; /**< bodies come that fast; 0: as fast as they can */
	int replace_before_download; /**< the first download of an object finds that it has just been replaced by another version: 404 */
	uint64_t reserved[4]; /**< must be 0 */
};

/** How to serve. All zero is a good start; unset members must be zero. */
struct sea_ccdb_server_options {
	const char *address; /**< numeric, IPv4 or IPv6; NULL: 127.0.0.1 */
	uint16_t port;       /**< 0: any that is free */
	int direct;    /**< 1: objects are answered by 200 and their content, else by 303. O2's local.copy.first */
	int read_only; /**< 1: what changes the store is refused by 403 */
	const char *
		url; /**< how clients reach it, for Location: "http://ccdb.example:8080"; NULL: as their Host header says */
	const char *const *replicas; /**< further addresses for Content-Location, copied */
	size_t n_replicas;           /**< at most 8 */
	unsigned n_threads;          /**< 0: 2 */
	unsigned n_connections_max;  /**< 0: 1024 */
	uint64_t n_bytes_upload_max; /**< 0: 4 GiB */
	void (*log)(const char *line,
	            void *userdata);   /**< called with a line per request, from any thread; NULL: none */
	void *userdata;                /**< passed to log */
	struct sea_ccdb_faults faults; /**< none, if all zero */
	uint64_t reserved[8];          /**< must be 0 */
};

/** What it has done so far. */
struct sea_ccdb_server_stats {
	uint64_t n_requests;  /**< all */
	uint64_t n_status[6]; /**< of them, answered with 1xx .. 5xx; [0]: connections that ended before the answer */
	uint64_t n_not_modified; /**< 304 */
	uint64_t n_redirects;    /**< 303 */
	uint64_t n_downloads;    /**< bodies of objects begun, parts of them included */
	uint64_t n_bytes_down;   /**< of those, as promised in Content-Length */
	uint64_t n_uploads;      /**< 201 */
	uint64_t n_bytes_up;     /**< of those */
	uint64_t n_faults;       /**< done wrong on purpose */
	uint64_t n_connections;  /**< open now */
};

/**
 * Begins to serve.
 *
 * @param ret_server receives it; the caller stops it
 * @param store is borrowed until sea_ccdb_server_stop()
 * @param options NULL for the defaults
 * @param error may be NULL
 * @return 0; -EINVAL an address that is none, a percentage above 100, a replica or url that is none, a reserved member that is not 0; -EADDRINUSE the port is taken; -EADDRNOTAVAIL no
 *         such address here; -EACCES a port that is not allowed; -EMFILE, -ENOMEM, -EAGAIN. Since 0.4.
 */
int sea_ccdb_server_start(struct sea_ccdb_server **ret_server, struct sea_ccdb_store *store,
                          const struct sea_ccdb_server_options *options, struct sea_error *error);

/** Ends it: no request is taken any more, those under way are cut off, all its threads have ended. NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_server *sea_ccdb_server_stop(struct sea_ccdb_server *server);

/** The port it listens at. Any thread. Since 0.4. */
uint16_t sea_ccdb_server_port(const struct sea_ccdb_server *server);

/** "http://127.0.0.1:8080", borrowed. Any thread. Since 0.4. */
const char *sea_ccdb_server_url(const struct sea_ccdb_server *server);

/** What it has done so far. Any thread. Since 0.4. */
void sea_ccdb_server_get_stats(const struct sea_ccdb_server *server, struct sea_ccdb_server_stats *ret_stats);

/**
 * Reads one fault as the command line has it and adds it: delay=MS, 5xx=PERCENT, cut=PERCENT, wrong-length=PERCENT, dead-replica-first, alien-first,
 * slow=BYTES_PER_S, replace-before-download.
 * @param error may be NULL
 * @return 0; -EINVAL it is none of these. Any thread. Since 0.4.
 */
int sea_ccdb_faults_parse(struct sea_ccdb_faults *faults, const char *text, struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
