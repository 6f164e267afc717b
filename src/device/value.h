/* SPDX-License-Identifier: Apache-2.0 */
/* Values of properties: copies in one piece, from text and as text. */
#ifndef SEALANE_DEVICE_VALUE_H
#define SEALANE_DEVICE_VALUE_H

#include <sealane/device/properties.h>

/* A copy in one piece of memory, for free(). @return 0; -EINVAL it is of no type, or points nowhere; -ENOMEM. */
int seai_value_copy(const struct sea_value *value, struct sea_value **ret_copy);

/* A value of a type from text. @return 0; -EINVAL; -ERANGE; -ENOMEM. */
int seai_value_parse(enum sea_value_type type, const char *text, struct sea_value **ret_value);

/* Single values. @return 0; -EINVAL; -ERANGE. */
int seai_text_bool(const char *text, bool *ret_value);
int seai_text_int(const char *text, int64_t *ret_value);
int seai_text_uint(const char *text, uint64_t *ret_value);

/* As seai_text_uint(), with K, M, G, T, or KiB to TiB, behind it. */
int seai_text_size(const char *text, uint64_t *ret_value);

#endif
