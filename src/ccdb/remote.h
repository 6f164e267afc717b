/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CCDB over HTTP inside: remote.c has the object and one request, remote-answer.c what comes, remote-url.c what is asked for,
 * remote-read.c and remote-write.c the calls.
 */
#ifndef SEALANE_CCDB_REMOTE_PRIVATE_H
#define SEALANE_CCDB_REMOTE_PRIVATE_H

#include <curl/curl.h>
#include <md5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/remote.h>

#include "base/cleanup.h"

/* Of all hops together, metadata included. */
#define SEAI_REMOTE_HEADERS_N_MAX 1024

struct sea_ccdb_remote {
	char *url;
	struct sea_ccdb_remote_options options;
	CURL *curl;
};

/* An answer that grows. */
struct seai_remote_answer {
	struct sea_ccdb_answer public;
	struct sea_ccdb_pair headers[SEAI_REMOTE_HEADERS_N_MAX];
	size_t n_header_bytes;
	size_t n_first; /* headers of the hop under way begin here */
	uint64_t n_bytes_max;
	uint64_t n_body_room;
	char *body;
	sea_ccdb_sink_fn *sink; /* of bodies that are good; else the body is kept */
	void *userdata;
	MD5_CTX md5; /* of the body */
	int error;
	CURL *curl;
	char curl_error[CURL_ERROR_SIZE];
};

/* remote-answer.c */

/* An empty one. NULL: no memory. */
struct seai_remote_answer *seai_remote_answer_new(struct sea_ccdb_remote *remote);
void seai_remote_answer_cleanup(struct seai_remote_answer **answer);
/* As curl calls for headers and for content. */
size_t seai_remote_take_header(char *line, size_t size, size_t n, void *userdata);
size_t seai_remote_take_body(char *data, size_t size, size_t n, void *userdata);
/* What a refusal is here, and what is told of it. */
int seai_remote_answer_error(const struct seai_remote_answer *answer, struct sea_error *error);
/* Whether the content is what its Content-MD5 promises. 0; -EBADMSG. */
int seai_remote_answer_check(const struct seai_remote_answer *answer, struct sea_error *error);

/* remote-url.c */

/* What an address may be, or where is_pattern is set a listing's. 0; -EINVAL. */
int seai_remote_check(const struct sea_ccdb_address *address, bool is_pattern, struct sea_error *error);
/* The URL to ask; NULL: no memory. */
char *seai_remote_url(const struct sea_ccdb_remote *remote, const char *servlet, const struct sea_ccdb_address *address,
                      const struct sea_ccdb_pair *set, size_t n_set);
/* A place that a header names, as a URL; NULL where it is no HTTP. */
char *seai_remote_place(const struct sea_ccdb_remote *remote, const char *place);

/* remote.c */

/* Sets the handle up for one request. */
void seai_remote_prepare(struct sea_ccdb_remote *remote, struct seai_remote_answer *answer, uint64_t n_bytes_up);
/* One hop. Takes the url. 0: there is an answer; negative errno: there is none, and that was said. */
int seai_remote_perform(struct sea_ccdb_remote *remote, struct seai_remote_answer *answer, char *url,
                        struct curl_slist *headers, struct sea_error *error);
/* A request without a body of its own. more: further header lines, NULL behind them; or NULL. Returns as seai_remote_perform(). */
int seai_remote_ask(struct sea_ccdb_remote *remote, const char *method, const char *servlet,
                    const struct sea_ccdb_address *address, const struct sea_ccdb_pair *set, size_t n_set,
                    const char *const *more, struct seai_remote_answer *answer, struct sea_error *error);

#endif
