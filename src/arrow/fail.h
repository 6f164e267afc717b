/* SPDX-License-Identifier: Apache-2.0 */
/* Sets an error and is its code: as sea_error_set(), so that whoever reads or analyses the code sees that it is negative. */
#ifndef SEALANE_ARROW_FAIL_H
#define SEALANE_ARROW_FAIL_H

#include <sealane/error.h>

#define SEAI_FAIL(error, code, key, ...) (sea_error_set(error, code, key, __VA_ARGS__), (code))

#endif
