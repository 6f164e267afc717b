/* SPDX-License-Identifier: Apache-2.0 */
/* Key tables for tests of the cache. */
#ifndef SEALANE_TEST_KEYS_H
#define SEALANE_TEST_KEYS_H

#include <sealane/arrow/arrow.h>
#include <sealane/ccdb/ccdb.h>
#include <sealane/sealane.h>

#include "test.h"

struct keys {
	const int64_t *times_ms; /* n_rows of them */
	const int32_t *runs;     /* NULL: no such column */
	size_t n_rows;
	size_t n_batches;      /* 0: one */
	const char *format;    /* of the times; NULL: "L" */
	const char *timeframe; /* NULL: no such metadata */
	size_t n_parts_before; /* parts of 5 bytes in front of it */
};

/* A message with the table. */
struct sea_message *keys_message(struct sea_session *session, const struct keys *keys);

#endif
