/* SPDX-License-Identifier: Apache-2.0 */
/* Where values stand in JSON text: jansson keeps that of syntax errors only. */
#ifndef SEALANE_DEVICE_JSON_POSITION_H
#define SEALANE_DEVICE_JSON_POSITION_H

#include <sealane/device/mq-config.h>

struct seai_json {
	const char *text;
	size_t n_bytes;
};

/* The place of a character: lines and columns from 1, columns in characters of UTF-8. */
struct seai_json_place {
	size_t at;
	unsigned line;
	unsigned column;
};

/* The value that the text is. @return 0; -EINVAL there is nothing. */
int seai_json_root(const struct seai_json *json, struct seai_json_place *ret_place);

/* A value of an object, by its key. @return 0; -ENOENT; -EINVAL that is no object. Either place may be NULL. */
int seai_json_member(const struct seai_json *json, const struct seai_json_place *object, const char *key, size_t n_key,
                     struct seai_json_place *ret_key, struct seai_json_place *ret_value);

/* The first item of an array. @return 0; -ENOENT it is empty; -EINVAL that is no array. */
int seai_json_first(const struct seai_json *json, const struct seai_json_place *array,
                    struct seai_json_place *ret_place);

/* From one item of an array to the next. @return 0; -ENOENT it was the last; -EINVAL. */
int seai_json_next(const struct seai_json *json, struct seai_json_place *place);

#endif
