/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of a stream, out of its FlatBuffer, into memory of its own. */
#ifndef SEALANE_ARROW_SCHEMA_READ_H
#define SEALANE_ARROW_SCHEMA_READ_H

#include <sealane/arrow/schema.h>
#include <sealane/error.h>

#include "arrow/arena.h"
#include "arrow/flat.h"

/* What a schema may take, however often its parts name the same bytes. */
#define SEAI_SCHEMA_N_BYTES_MAX ((size_t)64 << 20)

/* @return 0, and then it is a checked schema; -EBADMSG; -ENOTSUP; -E2BIG; -ENOMEM */
int seai_schema_read(struct seai_arrow_arena *arena, const struct seai_flat_table *table,
                     struct sea_arrow_schema *ret_schema, struct sea_error *error);

#endif
