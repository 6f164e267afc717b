/* SPDX-License-Identifier: Apache-2.0 */
/* The header Range, and dates as HTTP writes them. */
#ifndef SEALANE_CCDB_RANGE_H
#define SEALANE_CCDB_RANGE_H

#include <stdint.h>

/*
 * Reads `bytes=A-B`, `bytes=A-` or `bytes=-N` for a content of n_bytes.
 * @return 1 one range; 0 all of it: another unit, or several ranges, which HTTP allows to answer so; -ERANGE malformed, or nothing of it is there
 */
int seai_range_parse(const char *text, uint64_t n_bytes, uint64_t *ret_first, uint64_t *ret_n_bytes);

/* "Sun, 06 Nov 1994 08:49:37 GMT". @return text */
#define SEAI_DATE_N_BYTES 40
char *seai_http_date(int64_t time_ms, char text[static SEAI_DATE_N_BYTES]);

#endif
