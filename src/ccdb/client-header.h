/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an HTTP answer: status line and header lines, and their merging over redirects.
 *
 * The odd rule: a malformed line refuses the whole answer. What follows is calibration, not a page.
 */
#ifndef SEALANE_CCDB_CLIENT_HEADER_H
#define SEALANE_CCDB_CLIENT_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/client.h>

/* Of one answer; each is compared with those before it. */
#define SEAI_HEADERS_N_MAX 512

/* Headers in their order. All zero is empty. */
struct seai_headers {
	struct sea_ccdb_pair *list; /* the name and, behind its end, the value of each are one allocation */
	size_t n;
	size_t n_room;
};

void seai_headers_fini(struct seai_headers *headers);

/* Appends, whether one of that name is there or not. 0; -ENOMEM. */
int seai_headers_add(struct seai_headers *headers, const char *name, size_t n_name, const char *value, size_t n_value);

/* The first one of that name in any case; NULL: none. Borrowed. */
const char *seai_headers_find(const struct seai_headers *headers, const char *name);

/*
 * Merges a later answer's headers, as O2 does: within it the first of a name wins, but the largest Content-Length;
 * it overrides what was there, in place. 0; -ENOMEM.
 */
int seai_headers_merge(struct seai_headers *headers, const struct seai_headers *later);

/* One answer while its head arrives. All zero but the limit is a new one. */
struct seai_answer {
	struct seai_headers headers;
	size_t n_bytes;     /* of all lines, interim answers included */
	size_t n_bytes_max; /* 0: no limit */
	int status;         /* 0: no status line yet */
	bool is_complete;   /* the empty line was there; lines after it are trailers, which nobody asked for */
	char fault[128];    /* what is wrong; "": nothing */
};

void seai_answer_fini(struct seai_answer *answer);

/*
 * A line, its end included or not. An interim answer (1xx) is forgotten when the next status line comes.
 * 0; -EBADMSG malformed, -E2BIG too long or too many, both with fault set; -ENOMEM.
 */
int seai_answer_line(struct seai_answer *answer, const char *line, size_t n_bytes);

/* A number of digits alone up to INT64_MAX. 0; -EBADMSG. */
int seai_number_parse(const char *text, int64_t *ret_number);

/* An ETag: a uuid or another word of visible characters, in quotes or not, W/ before it or not. 0; -EBADMSG. */
int seai_etag_parse(const char *text, char uuid[SEA_CCDB_UUID_N_BYTES]);

/* Content-MD5 in hex, or in base64 as its RFC says. 0; -EBADMSG. */
int seai_md5_parse(const char *text, uint8_t digest[16]);

/*
 * What headers say of a version: ETag, Valid-From, Valid-Until, InitialValidityLimit, Created; guaranteed_until_ms is Cache-Valid-Until, 0 where there is
 * none, and guaranteed_from_ms 0. What is not there is -1 or "".
 * 0; -EBADMSG: a value is malformed; *ret_name is then its header.
 */
int seai_version_parse(const struct seai_headers *headers, struct sea_ccdb_version *ret_version, const char **ret_name);

#endif
