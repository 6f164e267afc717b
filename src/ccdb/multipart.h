/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body of multipart/form-data, read as it comes, in constant memory: the bytes of its first part go to a sink.
 *
 * The odd rule: what is wrong with it is said at the end and not at once, so that the client has sent all it wants to send and
 * reads the answer.
 */
#ifndef SEALANE_CCDB_MULTIPART_H
#define SEALANE_CCDB_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include <sealane/error.h>

/* RFC 2046 allows 70. */
#define SEAI_BOUNDARY_N_MAX 70
#define SEAI_PART_HEADER_N_MAX 4096

/* Takes bytes of the part. @return 0; a negative errno, after which it is not called again */
typedef int seai_part_fn(const void *data, size_t n_bytes, void *userdata);

enum seai_multipart_state {
	SEAI_MULTIPART_PREAMBLE,
	SEAI_MULTIPART_AFTER, /* behind a delimiter: CRLF, or -- */
	SEAI_MULTIPART_HEADER,
	SEAI_MULTIPART_BODY,
	SEAI_MULTIPART_END,
};

struct seai_multipart {
	enum seai_multipart_state state;
	char delimiter[SEAI_BOUNDARY_N_MAX + 5]; /* CR LF -- boundary */
	size_t n_delimiter;
	size_t n_matched; /* bytes of the delimiter seen last */
	char header[SEAI_PART_HEADER_N_MAX + 1];
	size_t n_header;
	size_t n_parts;
	char file_name[256];
	char content_type[256];
	seai_part_fn *sink;
	void *userdata;
	int sink_result;
	const char *wrong; /* what is wrong with it, NULL: nothing yet */
};

/* Begins; content_type is the header of the request, may be NULL. @return 0; -EINVAL it is not multipart/form-data with a boundary */
int seai_multipart_init(struct seai_multipart *multipart, const char *content_type, seai_part_fn *sink, void *userdata,
                        struct sea_error *error);
void seai_multipart_feed(struct seai_multipart *multipart, const char *data, size_t n_bytes);
/* @return 0 there was exactly one part, and it is whole; -EINVAL; what the sink returned */
int seai_multipart_end(struct seai_multipart *multipart, struct sea_error *error);

#endif
