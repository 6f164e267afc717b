/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration (struct sea_error, sealane/error.h), and what is only strange in it. */
#ifndef SEALANE_DEVICE_ERROR_H
#define SEALANE_DEVICE_ERROR_H

#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Is told of what is strange but goes on: an unknown key, an option without effect. @param warning borrowed until the return */
typedef void (*sea_warning_fn)(const struct sea_error *warning, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
