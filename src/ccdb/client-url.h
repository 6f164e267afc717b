/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks and where: paths, metadata, hosts, remaps, and where a redirect leads to. */
#ifndef SEALANE_CCDB_CLIENT_URL_H
#define SEALANE_CCDB_CLIENT_URL_H

#include <stdbool.h>
#include <stddef.h>

#include <sealane/ccdb/client.h>

/* Of one list. */
#define SEAI_HOSTS_N_MAX 16
#define SEAI_PATH_N_MAX 1024
#define SEAI_URL_N_MAX 8192

/* Servers, or folders of snapshots, in the order in which they are asked. */
struct seai_hosts {
	struct {
		char *url; /* without a slash at its end; of a snapshot: the folder */
		bool is_snapshot;
	} list[SEAI_HOSTS_N_MAX];
	unsigned n;
};

void seai_hosts_fini(struct seai_hosts *hosts);

/* Adds those of a list separated by , or ;. 0; -EINVAL with an error for the key; -ENOMEM. */
int seai_hosts_add(struct seai_hosts *hosts, const char *text, const char *key, struct sea_error *error);

/* Paths that have hosts of their own. */
struct seai_remap {
	struct seai_remap *next;
	struct seai_hosts hosts;
	char *paths; /* each with a \0 behind it, an empty one at the end */
};

struct seai_remap *seai_remap_free(struct seai_remap *remap);

/* "URL=path,path;URL2=path". The first that names a path counts. 0; -EINVAL with an error for the key remap; -ENOMEM. */
int seai_remap_parse(struct seai_remap **ret_remap, const char *text, struct sea_error *error);

/* The hosts of a path; NULL: it is not among them. */
const struct seai_hosts *seai_remap_find(const struct seai_remap *remap, const char *path);

/* A path without slashes around and double ones within. 0; -EINVAL with an error; -ENOMEM. */
int seai_path_parse(char **ret_path, const char *path, struct sea_error *error);

/*
 * The end of the URL of a query, and the key of what is known for it: "path/ms/k=v/", percent-encoded, and "path", a newline, bounds, metadata. The key
 * begins with the path. 0; -EINVAL with an error; -ENOMEM.
 */
int seai_query_url(char **ret_tail, char **ret_key, const char *path, const struct sea_ccdb_query *query,
                   int64_t timestamp_ms, int64_t not_before_ms, int64_t not_after_ms, struct sea_error *error);

/* Where a redirect leads to, seen from the URL that answered; NULL: nowhere that can be asked (alien:, root:, file:, garbage), or no memory. */
char *seai_location_resolve(const char *base, const char *location);

/* A string of a buffer that grows; the buffer's is freed, and NULL, once memory was missing. */
struct seai_text {
	char *text;
	size_t n;
	size_t n_room;
	bool is_failed;
};

void seai_text_add(struct seai_text *text, const char *bytes, size_t n_bytes);
void seai_text_format(struct seai_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
