/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache does inside one question; see client-cache.h. */
#ifndef SEALANE_CCDB_CLIENT_QUESTION_H
#define SEALANE_CCDB_CLIENT_QUESTION_H

#include "ccdb/client-cache.h"

/* As seai_cache_confirm(). answer is the count of answers. 0; -ENOMEM. */
int seai_question_confirm(struct seai_question *question, const struct sea_ccdb_version *version, int64_t t_ms,
                          uint64_t answer);

/* Forgets what was thought to be valid at t. */
void seai_question_absent(struct seai_question *question, int64_t t_ms);

#endif
