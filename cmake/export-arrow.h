/* SPDX-License-Identifier: Apache-2.0 */
/* As export.h, for libsealane-arrow. */
#ifndef SEALANE_EXPORT_ARROW_H
#define SEALANE_EXPORT_ARROW_H

#pragma GCC visibility push(default)
#include <sealane/arrow/arrow.h>
#pragma GCC visibility pop

#endif
