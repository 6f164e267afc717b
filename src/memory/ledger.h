/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: this process's private account of who holds which of its blocks.
 *
 * Per block and holder one unsigned count, and one for this process itself. A block is free when all are
 * zero. Holders tell what they did by records; a record that would take its writer below zero is
 * not applied, the caller comes back to it after reading other holders' records. Nothing that another process
 * writes can take a count of anybody else's down.
 *
 * Every function wants the session's books lock.
 */
#ifndef SEALANE_MEMORY_LEDGER_H
#define SEALANE_MEMORY_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/channel.h>

#include "memory/block.h"

struct sea_message;
struct sea_session;
struct seai_arena;

/* What a sending channel has out, and what came back. Lives until its channel is closed and all it sent is released. */
struct seai_account {
	uint64_t n_outstanding;                     /* head blocks sent and not free yet */
	uint64_t next_sequence;                     /* least that the next block to be sent gets */
	struct sea_message *orphans, *orphans_last; /* through next; each with its own holds */
	_Atomic uint64_t n_orphans_waiting;         /* written with the books lock held; a sender looks without it */
	uint64_t n_orphans;
	enum sea_orphans policy;
	int kick_fd; /* eventfd written when an orphan comes in; -1 */
	bool closed;
};

enum seai_record_op {
	SEAI_RECORD_RELEASE = 1,   /* the writer holds it once less */
	SEAI_RECORD_RETURN = 2,    /* the same, and never looked at it: goes back to who sent it */
	SEAI_RECORD_TRANSFER = 3,  /* the writer's hold becomes the target's, if the descriptor is published */
	SEAI_RECORD_SHARE = 4,     /* the target holds it as well, if the descriptor is published */
	SEAI_RECORD_DROP = 5,      /* the writer holds it once less, if the descriptor is published */
	SEAI_RECORD_PUBLISHED = 6, /* no block: how far the writer's ring to the target is published */
};

/* A record as read: checked for form, not for truth. */
struct seai_record {
	enum seai_record_op op;
	bool has_token; /* of the hold that it ends or hands on: see struct seai_hold */
	uint32_t arena_id;
	uint32_t block_id;
	uint64_t generation; /* lower 56 bits */
	uint64_t target_id;  /* grants only, as the next three */
	uint64_t link_id;
	uint64_t position;
	uint64_t published;
};

#define SEAI_RECORD_GENERATION_MASK (((uint64_t)1 << 56) - 1)

enum seai_applied {
	SEAI_APPLIED = 0,
	SEAI_APPLIED_UNCOVERED = 1, /* the writer does not hold it yet: read others, come back */
	SEAI_APPLIED_UNKNOWN = 2,   /* the target is unknown: accept the backlog, come back */
	SEAI_APPLIED_LIE = 3,       /* no such block; discarded and counted */
};

/* A grant whose descriptor may not have been published; kept until that is certain. */
struct seai_grant {
	uint64_t generation;
	uint64_t position;
	uint32_t arena_id;
	uint32_t block_id;
	uint16_t op; /* 0: void */
	bool has_token;
};

/* Holder index of this process in grants. Never in a block's holds. */
#define SEAI_HOLDER_SELF 0u
#define SEAI_HOLDER_NONE UINT32_MAX

/* Uncertain grants of one forwarder over one of its links, oldest first, in a ring. */
struct seai_grant_log {
	uint64_t link_id;
	uint32_t target; /* holder index, or SEAI_HOLDER_SELF */
	struct seai_grant *grants;
	uint32_t first, n, n_max; /* n_max is a power of two */
};

struct seai_holder {
	uint64_t id;
	bool in_use;
	bool dead; /* its holds are dropped; nothing may be held for it any more */
	struct seai_grant_log *logs;
	uint32_t n_logs, n_logs_max;
};

/* The log of a dead forwarder, waiting for the target's word on how far the link got. */
struct seai_settlement {
	struct seai_settlement *next;
	uint64_t forwarder_id;
	uint64_t target_id;
	struct seai_grant_log log;
	bool asked; /* the wire layer's */
};

/* A hold that was undone before it came: the holder's release ran ahead of the grant that covers it. Paid by that grant. */
struct seai_debt {
	uint64_t generation;
	uint32_t arena_id;
	uint32_t block_id;
	uint32_t holder;
};

struct seai_ledger {
	struct seai_holder *holders; /* index 0 is not used */
	uint32_t n_holders;
	uint32_t last_found;
	struct seai_settlement *settlements;
	struct seai_debt *debts;
	size_t n_debts, n_debts_max;
	uint64_t n_lies;
	uint64_t n_freed; /* blocks that became free: to see whether a drain helped */
	uint64_t n_orphans;
	struct seai_arena *last_arena; /* of the last record: records come in runs */
};

int seai_ledger_new(struct seai_ledger **ret_ledger);
struct seai_ledger *seai_ledger_free(struct seai_ledger *ledger);

/* The holder with that identity, made if need be. 0 or -ENOMEM. */
int seai_ledger_add_holder(struct seai_ledger *ledger, uint64_t id, uint32_t *ret_holder);

/* The living holder with that identity, or SEAI_HOLDER_NONE. */
uint32_t seai_ledger_find_holder(struct seai_ledger *ledger, uint64_t id);

static inline bool seai_ledger_is_alive(const struct seai_ledger *ledger, uint32_t holder)
{
	return holder < ledger->n_holders && ledger->holders[holder].in_use && !ledger->holders[holder].dead;
}

/* The same, and still that process: an index is used again after a death. */
static inline bool seai_ledger_is_alive_as(const struct seai_ledger *ledger, uint32_t holder, uint64_t id)
{
	return seai_ledger_is_alive(ledger, holder) && ledger->holders[holder].id == id;
}

/* seai_ledger_hold() of a block that others hold already. */
int seai_ledger_hold_slowly(struct seai_block *block, uint32_t holder, bool has_token);

/* One more hold of a block for a holder that is alive, with or without a token. 0; -ENOMEM; -E2BIG. */
static inline int seai_ledger_hold(struct seai_block *block, uint32_t holder, bool has_token)
{
	if (block->n_holds)
		return seai_ledger_hold_slowly(block, holder, has_token);
	block->holds[0] = (struct seai_hold){ holder, 1, has_token };
	block->n_holds = 1;
	return 0;
}

/* Takes back a hold that was added just now and not told to anybody. */
void seai_ledger_unhold(struct seai_block *block, uint32_t holder, bool has_token);

/* This process holds the block once less; frees it when that was the last hold of all. */
void seai_ledger_release_own(struct sea_session *session, struct seai_block *block);

/* Remembers what message a head block was sent as, so that it can come back. */
void seai_ledger_set_sent(struct seai_block *block, const struct sea_message *message, struct seai_account *account);

/* Applies one record of a holder. */
enum seai_applied seai_ledger_apply(struct sea_session *session, uint32_t holder, const struct seai_record *record);

/*
 * The usual record by the short road: a release by the only holder of a block in the arena of the record before. False: apply it the
 * long way.
 */
bool seai_ledger_apply_release(struct sea_session *session, uint32_t holder, uint32_t arena_id, uint32_t block_id,
                               uint64_t generation, bool has_token);

/*
 * Applies a record whose target stayed unknown after the backlog was accepted: the target is dead. Or may_live, because a hello was lost for
 * lack of memory: then the block stays for as long as this process lives.
 */
void seai_ledger_apply_to_dead(struct sea_session *session, uint32_t holder, const struct seai_record *record,
                               bool may_live);

/*
 * A holder is dead and all its records are read: drops its holds, turns what was sent to it into orphans,
 * and moves its uncertain grants to ledger->settlements, from which the caller asks the targets.
 */
void seai_ledger_drop_holder(struct sea_session *session, uint32_t holder);

/* The target's word (or its death: then everything counts as published): undoes the grants at or beyond final_head. Frees the settlement. */
void seai_ledger_settle(struct sea_session *session, struct seai_settlement *settlement, uint64_t final_head);

/* A block of this process came back by a descriptor of a peer: is there a grant for it? Takes it if so. */
bool seai_ledger_take_returned(struct sea_session *session, uint32_t arena_id, uint32_t block_id, uint64_t generation,
                               struct seai_block **ret_block);

/*
 * A block came back to its owner by a descriptor that is a grant, or over a link of this process to itself: the hold of the sender becomes this
 * process's own. False: the sender has none, or not yet.
 */
bool seai_ledger_take_given(struct sea_session *session, uint32_t holder, uint32_t arena_id, uint32_t block_id,
                            uint64_t generation, struct seai_block **ret_block);

/* If the block is the head of a message that was sent: the message comes back to its channel, with holds of its own. */
void seai_ledger_orphan(struct sea_session *session, struct seai_block *block);

/* At the end of a session: what others still hold does not keep the accounts of closed channels. */
void seai_ledger_settle_accounts(struct sea_session *session);

/* The account of a channel. */
int seai_account_new(struct seai_account **ret_account, enum sea_orphans policy, int kick_fd);
/* The channel is closed: waiting orphans are released; the account goes when nothing is outstanding. */
void seai_account_close(struct sea_session *session, struct seai_account *account);
struct sea_message *seai_account_take_orphan(struct seai_account *account);
/* An orphan that found no receiver: first in line again. */
void seai_account_put_back(struct seai_account *account, struct sea_message *message);

#endif
