/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions data (CCDB): everything of libsealane-ccdb. */
#ifndef SEALANE_CCDB_CCDB_H
#define SEALANE_CCDB_CCDB_H

#include <sealane/ccdb/pair.h>
#include <sealane/ccdb/remote.h>
#include <sealane/ccdb/server.h>
#include <sealane/ccdb/store.h>

#endif
