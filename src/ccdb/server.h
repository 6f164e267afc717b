/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the server: one request after the other, each in the thread that MHD runs it in.
 *
 * The odd rule: an error that is known before the body has come is kept until the body has been read, since a client that still sends
 * does not read; only bodies that are too long are not waited for.
 */
#ifndef SEALANE_CCDB_SERVER_PRIVATE_H
#define SEALANE_CCDB_SERVER_PRIVATE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <sealane/ccdb/server.h>

#include "base/cleanup.h"
#include "ccdb/multipart.h"
#include "ccdb/url.h"

#define SEAI_REPLICAS_N_MAX 8

enum seai_fault {
	SEAI_FAULT_ERROR,
	SEAI_FAULT_CUT,
	SEAI_FAULT_LENGTH,
	SEAI_N_FAULTS,
};

struct seai_counters {
	_Atomic uint64_t n_requests;
	_Atomic uint64_t n_status[6];
	_Atomic uint64_t n_not_modified;
	_Atomic uint64_t n_redirects;
	_Atomic uint64_t n_downloads;
	_Atomic uint64_t n_bytes_down;
	_Atomic uint64_t n_uploads;
	_Atomic uint64_t n_bytes_up;
	_Atomic uint64_t n_faults;
	_Atomic uint64_t n_connections;
};

struct sea_ccdb_server {
	struct sea_ccdb_store *store;
	struct MHD_Daemon *daemon;
	int stop_fd; /* readable when it is to end: what sleeps for a fault waits here */
	uint16_t port;
	char url[96];
	char *public_url; /* NULL: as the Host header says */
	char *replicas[SEAI_REPLICAS_N_MAX];
	size_t n_replicas;
	bool direct;
	bool read_only;
	uint64_t n_bytes_upload_max;
	void (*log)(const char *line, void *userdata);
	void *userdata;
	struct sea_ccdb_faults faults;
	_Atomic uint64_t n_of_fault[SEAI_N_FAULTS]; /* requests that each could have hit */
	int64_t start_ms;
	struct seai_counters counters;
};

struct seai_request {
	struct sea_ccdb_server *server;
	struct MHD_Connection *connection;
	const char *method;
	char *raw_url;
	int64_t start_ns;
	bool has_begun; /* the headers have been looked at */
	bool is_answered;
	unsigned status;
	uint64_t n_bytes; /* promised in the answer */
	struct seai_url url;
	/* What is to be answered when the body has been read; 0: nothing yet. */
	unsigned error_status;
	struct sea_error error;
	/* An upload. */
	struct sea_ccdb_upload *upload;
	struct seai_multipart multipart;
	uint64_t n_body;
};

/* Whether the fault hits this time: percent of a hundred times, evenly spread. */
bool seai_fault_hits(struct sea_ccdb_server *server, enum seai_fault fault, unsigned percent);
/* Waits, but not longer than the server lives. */
void seai_fault_sleep(struct sea_ccdb_server *server, int64_t ms);

/* A header of the request; the first, where there are several. NULL: none. */
const char *seai_request_header(const struct seai_request *request, const char *name);
/* A header that is a time or a number. @return it; 0 where it is not there, or is none */
int64_t seai_request_number(const struct seai_request *request, const char *name);
/* A numeric address; "" where there is none. */
void seai_peer_text(const struct sockaddr *address, char *text, size_t n_bytes);
/* What the URL and the headers look for. */
struct sea_ccdb_store_query seai_request_query(const struct seai_request *request);

/* Sends a response and drops it. */
enum MHD_Result seai_request_answer(struct seai_request *request, unsigned status, struct MHD_Response *response);
/* Sends a line of text, with a newline. printf-like. */
enum MHD_Result seai_request_text(struct seai_request *request, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Sends what a failed call of the store means. */
enum MHD_Result seai_request_failed(struct seai_request *request, int error, const struct sea_error *text);
/* Sends an answer without a body. */
enum MHD_Result seai_request_empty(struct seai_request *request, unsigned status, struct MHD_Response *response);
struct MHD_Response *seai_response_empty(void);
void seai_response_header(struct MHD_Response *response, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What the kinds of URLs answer. */
enum MHD_Result seai_object_get(struct seai_request *request);
enum MHD_Result seai_object_post_end(struct seai_request *request);
enum MHD_Result seai_object_put(struct seai_request *request);
enum MHD_Result seai_object_delete(struct seai_request *request);
enum MHD_Result seai_download(struct seai_request *request);
enum MHD_Result seai_browse(struct seai_request *request);
enum MHD_Result seai_truncate(struct seai_request *request);
enum MHD_Result seai_monitor(struct seai_request *request);

/* The headers of an object. */
void seai_object_headers(struct MHD_Response *response, const struct sea_ccdb_entry *entry);
/* An answer that carries the content of an object, or the range of it that is asked for. */
enum MHD_Result seai_content_answer(struct seai_request *request, const struct sea_ccdb_entry *entry, bool is_direct);
/* Where an object is, the first of its addresses first. @return how many; each is malloc'd */
#define SEAI_ADDRESSES_N_MAX (SEAI_REPLICAS_N_MAX + 3)
size_t seai_object_addresses(const struct seai_request *request, const struct sea_ccdb_entry *entry,
                             char *ret_addresses[static SEAI_ADDRESSES_N_MAX]);

static inline void seai_cleanup_entry(struct sea_ccdb_entry **entry)
{
	sea_ccdb_entry_free(*entry);
}
#define SEAI_AUTO_ENTRY SEAI_CLEANUP(seai_cleanup_entry)

#endif
