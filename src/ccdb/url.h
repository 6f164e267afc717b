/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a URL of a CCDB means: /<p1>/.../<pn>/<start>[/<end>][/<uuid>][/<key>=<value>]*
 *
 * The odd rule: the first element of digits only is the time, and nothing before it can be anything but path or metadata.
 */
#ifndef SEALANE_CCDB_URL_H
#define SEALANE_CCDB_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/store.h>

/* Most bytes of a URL, its question mark and what follows included. */
#define SEAI_URL_N_MAX 8192

enum seai_url_kind {
	SEAI_URL_OBJECT,
	SEAI_URL_ROOT,
	SEAI_URL_BROWSE,
	SEAI_URL_LATEST,
	SEAI_URL_TRUNCATE,
	SEAI_URL_DOWNLOAD,
	SEAI_URL_MONITOR,
};

struct seai_url {
	enum seai_url_kind kind;
	char path[SEA_CCDB_PATH_N_MAX + 1]; /* may be empty for browse; for monitor what follows */
	bool has_start;
	bool has_end;
	int64_t start_ms;
	int64_t end_ms;   /* start + 1 where it is not given */
	const char *uuid; /* NULL: none */
	struct sea_ccdb_pair metadata[SEA_CCDB_METADATA_N_MAX];
	size_t n_metadata;
	struct sea_ccdb_pair arguments[SEA_CCDB_METADATA_N_MAX]; /* what follows the question mark */
	size_t n_arguments;
	char text[SEAI_URL_N_MAX + 1]; /* the strings above are in here */
};

/*
 * Reads a URL as it came, still escaped. It is not looked at whether the kind needs a time.
 * @return 0; -EINVAL with the error set; -ENAMETOOLONG
 */
int seai_url_parse(const char *text, struct seai_url *ret_url, struct sea_error *error);

/* Whether an argument is there and says "true". */
bool seai_url_flag(const struct seai_url *url, const char *name);

/* Unescapes n bytes to out, which may be the same. @return bytes written, a zero follows; -EINVAL a bad escape, or a zero */
int seai_url_unescape(const char *text, size_t n, bool plus_is_blank, char *out);

/* Digits only, as a time. @return 0; -EINVAL; -ERANGE */
int seai_url_time(const char *text, int64_t *ret_ms);

#endif
