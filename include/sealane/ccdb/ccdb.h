/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions data (CCDB): objects under a path, each valid for an interval of time. All of libsealane-ccdb. */
#ifndef SEALANE_CCDB_CCDB_H
#define SEALANE_CCDB_CCDB_H

#include <sealane/ccdb/cache.h>
#include <sealane/ccdb/client.h>
#include <sealane/ccdb/decoder.h>
#include <sealane/ccdb/pair.h>
#include <sealane/ccdb/remote.h>
#include <sealane/ccdb/server.h>
#include <sealane/ccdb/store.h>
#include <sealane/ccdb/table-object.h>
#include <sealane/ccdb/table-writer.h>
#include <sealane/ccdb/table.h>

#endif
