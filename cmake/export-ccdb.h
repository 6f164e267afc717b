/* SPDX-License-Identifier: Apache-2.0 */
/* As export.h, for libsealane-ccdb. */
#ifndef SEALANE_EXPORT_CCDB_H
#define SEALANE_EXPORT_CCDB_H

#pragma GCC visibility push(default)
#include <sealane/ccdb/ccdb.h>
#pragma GCC visibility pop

#endif
