/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included by the compiler ahead of every source of the library, which is compiled with
 * -fvisibility=hidden: what the public headers declare is visible, all else is not. This
 * keeps the public headers free of macros that only the library's own build needs.
 */
#ifndef SEALANE_EXPORT_H
#define SEALANE_EXPORT_H

#pragma GCC visibility push(default)
#include <sealane/sealane.h>
#pragma GCC visibility pop

#endif
