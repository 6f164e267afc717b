/* SPDX-License-Identifier: Apache-2.0 */
/* Done messages: cookies of those whose last hold is gone. Books lock held, unless it says otherwise. */
#ifndef SEALANE_MEMORY_DONE_H
#define SEALANE_MEMORY_DONE_H

#include <stdint.h>

struct sea_session;

/* A block with SEAI_BLOCK_NOTIFY became free. Never fails: room was made when the cookie was set. */
void seai_done_push(struct sea_session *session, uint64_t cookie);

/* Makes room for one more cookie; 0 or -ENOMEM. */
int seai_done_reserve(struct sea_session *session);

/* Calls the program's callback for all that is queued; takes and drops the books lock itself. Service thread only. */
void seai_done_run_callback(struct sea_session *session);

#endif
