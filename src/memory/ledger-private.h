/* SPDX-License-Identifier: Apache-2.0 */
/* What ledger.c, ledger-death.c and account.c share. Books lock held throughout. */
#ifndef SEALANE_MEMORY_LEDGER_PRIVATE_H
#define SEALANE_MEMORY_LEDGER_PRIVATE_H

#include "memory/ledger.h"

struct seai_hold *seai_block_find_hold(struct seai_block *block, uint32_t holder);
void seai_block_remove_hold(struct seai_block *block, struct seai_hold *hold);
void seai_block_free_if_unheld(struct sea_session *session, struct seai_block *block);

/* The used block of that name, or NULL. */
struct seai_block *seai_ledger_find_block(struct sea_session *session, uint32_t arena_id, uint32_t block_id,
                                          uint64_t generation);

/* Ends one hold. */
void seai_block_take_one(struct seai_block *block, struct seai_hold *hold, bool has_token);

/* Forgets the oldest grant of a log as published. */
void seai_grant_log_pop(struct sea_session *session, struct seai_grant_log *log);
void seai_ledger_free_logs(struct seai_holder *holder);

#endif
