/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CCDB over HTTP for those who administer it: upload, look, change, remove, list. One blocking request at a time, nothing is
 * cached; who reads many objects uses a client.
 *
 * Every failure is told as a person needs it: the URL, the status, what the server said. Threads: one at a time per remote.
 */
#ifndef SEALANE_CCDB_REMOTE_H
#define SEALANE_CCDB_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/pair.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_ccdb_remote;

/** How to talk. All zero is a good start; unset members must be zero. */
struct sea_ccdb_remote_options {
	int64_t timeout_ms;         /**< of a whole request; 0: 60 s, longer for uploads: plus a second per MiB */
	int64_t connect_timeout_ms; /**< 0: 5 s */
	uint64_t n_bytes_max;       /**< of a body that is kept in memory; 0: 1 GiB */
	uint64_t reserved[6];       /**< must be 0 */
};

/** The object meant: everything that stands in its URL and the headers that bound its creation. */
struct sea_ccdb_address {
	const char *path;                     /**< "TPC/Calib/Gain"; in listings a pattern. Escaped by these calls */
	int has_time;                         /**< 1: time_ms counts; needed by all calls but browse and truncate */
	int64_t time_ms;                      /**< milliseconds since 1970 */
	int64_t until_ms;                     /**< 0: not given. Upload: end of validity; change: its new end */
	const char *uuid;                     /**< NULL: not given */
	const struct sea_ccdb_pair *metadata; /**< constraints, or what an upload is given */
	size_t n_metadata;                    /**< pairs of it */
	int64_t not_before_ms;                /**< 0: not given */
	int64_t not_after_ms;                 /**< 0: not given */
	uint64_t reserved[4];                 /**< must be 0 */
};

/** An answer. */
struct sea_ccdb_answer {
	int status;                          /**< of HTTP */
	const char *url;                     /**< that was asked last */
	const struct sea_ccdb_pair *headers; /**< of all hops, the later ones override; in order */
	size_t n_headers;                    /**< of them */
	const char *body;                    /**< a zero follows, which does not count; NULL where a file took it */
	uint64_t n_bytes;                    /**< of the body */
};

/** Called with what comes of a body. @return 0 goes on, a negative errno ends the request and is returned */
typedef int sea_ccdb_sink_fn(const void *data, size_t n_bytes, void *userdata);

/**
 * Prepares to talk to a server; nothing is sent yet.
 * @param url "http://localhost:8080", with or without a slash at its end; without a scheme http is meant
 * @param options NULL for the defaults
 * @param error may be NULL
 * @return 0; -EINVAL no URL of http or https, a reserved member that is not 0; -ENOMEM. Since 0.4.
 */
int sea_ccdb_remote_new(struct sea_ccdb_remote **ret_remote, const char *url,
                        const struct sea_ccdb_remote_options *options, struct sea_error *error);

/** NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_remote *sea_ccdb_remote_free(struct sea_ccdb_remote *remote);

/**
 * Fetches an object: asks, follows the redirection to each replica in turn until one gives it, checks length and Content-MD5.
 *
 * Each hop begins the sink's content anew only if nothing of a body came before: a body that is cut after it began is an error.
 *
 * @param head 1: only the headers, no redirection is followed
 * @param sink NULL: the body stays in the answer
 * @param ret_answer receives it; the caller frees it
 * @param error may be NULL
 * @return 0; -ENOENT 404; -EACCES 401, 403; -EINVAL 400 or an address that is none; -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT nobody answers; -EBADMSG the
 *         content is not what was promised, or the answer is none; -EPROTO another status; -E2BIG; what the sink returned; -ENOMEM. Since 0.4.
 */
int sea_ccdb_remote_get(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int head,
                        sea_ccdb_sink_fn *sink, void *userdata, struct sea_ccdb_answer **ret_answer,
                        struct sea_error *error);

/**
 * Uploads a file.
 * @param address time_ms and until_ms are its validity, metadata is what it gets
 * @param fd is read from its beginning to its end
 * @param file_name as the server is to know it
 * @param ret_answer receives it, may be NULL; its headers have the uuid as ETag and the Location
 * @return as sea_ccdb_remote_get(); -EEXIST 409; -EFBIG 413. Since 0.4.
 */
int sea_ccdb_remote_put(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int fd,
                        const char *file_name, struct sea_ccdb_answer **ret_answer, struct sea_error *error);

/** Changes an object: until_ms is its new end, set what is changed of its metadata. @return 1; 0 nothing to change; errors as sea_ccdb_remote_get(). Since 0.4. */
int sea_ccdb_remote_update(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                           const struct sea_ccdb_pair *set, size_t n_set, struct sea_error *error);

/** Removes the object that matches. @return as sea_ccdb_remote_get(). Since 0.4. */
int sea_ccdb_remote_remove(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                           struct sea_error *error);

/** Removes all objects of a pattern. @return how many; errors as sea_ccdb_remote_get(). Since 0.4. */
int64_t sea_ccdb_remote_truncate(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                                 struct sea_error *error);

/**
 * Lists objects, as JSON.
 * @param address path is a pattern; the rest is optional
 * @param latest 1: of each path only the newest
 * @param n_max 0: all
 * @return as sea_ccdb_remote_get(). Since 0.4.
 */
int sea_ccdb_remote_browse(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int latest,
                           uint64_t n_max, struct sea_ccdb_answer **ret_answer, struct sea_error *error);

/** Frees an answer. NULL is allowed. @return NULL. Since 0.4. */
struct sea_ccdb_answer *sea_ccdb_answer_free(struct sea_ccdb_answer *answer);

/** The value of a header, its name without regard to case. @return NULL where there is none; borrowed. Since 0.4. */
const char *sea_ccdb_answer_header(const struct sea_ccdb_answer *answer, const char *name);

#ifdef __cplusplus
}
#endif
#endif
