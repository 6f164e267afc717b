/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may stand in a path, in metadata, in a uuid. All of it ends in headers, in JSON and in URLs, so what could be taken for
 * something else there is refused where it comes in, once.
 */
#ifndef SEALANE_CCDB_CHECK_H
#define SEALANE_CCDB_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/store.h>

/* UTF-8 without control characters. */
bool seai_check_text(const char *text);
/* How many of the first n_max bytes are whole characters, for messages that show a part. */
int seai_check_cut(const char *text, size_t n_max);

/* A path that an object may have. @return 0; -EINVAL, with the error set */
int seai_check_path(const char *path, struct sea_error *error);

/* A path to look for: as above, or where is_pattern is set with wildcards and up to nothing. */
int seai_check_pattern(const char *path, struct sea_error *error);

/* Metadata that an object may have. */
int seai_check_metadata(const struct sea_ccdb_pair *metadata, size_t n_metadata, struct sea_error *error);

/* Whether text, whose first n bytes count, is a uuid: 8-4-4-4-12 hexadecimal digits. */
bool seai_check_uuid(const char *text, size_t n);

/* A uuid to and from its 16 bytes. */
int seai_uuid_parse(const char *text, uint8_t ret_uuid[static 16]);
void seai_uuid_format(const uint8_t uuid[static 16], char ret_text[static SEA_CCDB_STORE_UUID_N_BYTES]);

/* A new one by the time of its object: version 1, the rest of it random. */
void seai_uuid_new(int64_t time_ms, uint8_t ret_uuid[static 16]);

/* Bytes as lower-case hexadecimal text, terminated. */
void seai_hex(const uint8_t *bytes, size_t n_bytes, char *ret_text);

/* Whether the path fits a pattern, in which *, % and .* stand for any characters. */
bool seai_pattern_match(const char *pattern, const char *path);

/* How many bytes a pattern has before its first wildcard; all of them where there is none. */
size_t seai_pattern_prefix(const char *pattern);
bool seai_pattern_is_exact(const char *pattern);

#endif
