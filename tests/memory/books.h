/* SPDX-License-Identifier: Apache-2.0 */
/* An owner's books for tests: a ledger with a heap, three made-up holders, and a channel's account; nothing runs by itself. */
#ifndef SEALANE_TEST_MEMORY_BOOKS_H
#define SEALANE_TEST_MEMORY_BOOKS_H

#include "fixture.h"
#include "memory/ledger-private.h"
#include "memory/message.h"

#define F_ID 0xf0u
#define B_ID 0xb0u
#define C_ID 0xc0u

struct books {
	struct fixture fixture;
	struct sea_session *session;
	struct sea_heap *heap;
	struct seai_ledger *ledger;
	struct seai_account *account;
	uint32_t f, b, c;
};

void books_init(struct books *books, enum sea_orphans policy);
/* Nothing may be left: everything that a test made has come back. */
void books_fini(struct books *books);
/* A message of one block that was sent to `holder`: with its token, and without a hold of our own. */
struct seai_block *books_send(struct books *books, uint32_t holder, uint64_t tag);
struct seai_record record_of(enum seai_record_op op, const struct seai_block *block);
enum seai_applied books_apply(struct books *books, uint32_t holder, const struct seai_record *record);
enum seai_applied books_do(struct books *books, uint32_t holder, enum seai_record_op op,
                           const struct seai_block *block);
enum seai_applied books_grant(struct books *books, uint32_t holder, enum seai_record_op op,
                              const struct seai_block *block, uint64_t target_id, uint64_t link_id, uint64_t position);
enum seai_applied books_publish(struct books *books, uint32_t holder, uint64_t target_id, uint64_t link_id,
                                uint64_t head);
void books_kill(struct books *books, uint32_t holder);
void books_settle(struct books *books, uint64_t final_head);
/* The next orphan, with a hold of its own; NULL. */
struct sea_message *books_orphan(struct books *books);
bool is_used(const struct seai_block *block);
unsigned n_held(struct seai_block *block, uint32_t holder);

#endif
