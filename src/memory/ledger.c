/* SPDX-License-Identifier: Apache-2.0 */
/* Counts per block and holder, and the records that change them; see ledger.h. What follows a death is in ledger-death.c. */
#include "memory/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/done.h"
#include "memory/heap.h"
#include "memory/ledger-private.h"
#include "memory/message.h"

/* Uncertain grants kept per link. An honest forwarder's are at most what its ring holds; beyond that the oldest count as published. */
#define LEDGER_LOG_N_MAX (1u << 20)

int seai_ledger_new(struct seai_ledger **ret_ledger)
{
	struct seai_ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger)
		return -ENOMEM;
	ledger->n_holders = 1; /* index 0 stands for this process */
	ledger->holders = calloc(1, sizeof(*ledger->holders));
	if (!ledger->holders) {
		free(ledger);
		return -ENOMEM;
	}
	*ret_ledger = ledger;
	return 0;
}

struct seai_ledger *seai_ledger_free(struct seai_ledger *ledger)
{
	if (!ledger)
		return NULL;
	for (uint32_t i = 0; i < ledger->n_holders; i++)
		seai_ledger_free_logs(&ledger->holders[i]);
	while (ledger->settlements) {
		struct seai_settlement *settlement = ledger->settlements;

		ledger->settlements = settlement->next;
		free(settlement->log.grants);
		free(settlement);
	}
	free(ledger->debts);
	free(ledger->holders);
	free(ledger);
	return NULL;
}

uint32_t seai_ledger_find_holder(struct seai_ledger *ledger, uint64_t id)
{
	uint32_t last = ledger->last_found;

	if (last < ledger->n_holders && ledger->holders[last].id == id && seai_ledger_is_alive(ledger, last))
		return last;
	for (uint32_t i = 1; i < ledger->n_holders; i++)
		if (ledger->holders[i].id == id && seai_ledger_is_alive(ledger, i))
			return ledger->last_found = i;
	return SEAI_HOLDER_NONE;
}

int seai_ledger_add_holder(struct seai_ledger *ledger, uint64_t id, uint32_t *ret_holder)
{
	uint32_t i = seai_ledger_find_holder(ledger, id);

	if (i == SEAI_HOLDER_NONE) {
		for (i = 1; i < ledger->n_holders && ledger->holders[i].in_use; i++)
			;
		if (i == ledger->n_holders) {
			struct seai_holder *holders = realloc(ledger->holders, (i + 1) * sizeof(*holders));

			if (!holders)
				return -ENOMEM;
			ledger->holders = holders;
			ledger->n_holders++;
		}
		ledger->holders[i] = (struct seai_holder){ .id = id, .in_use = true };
	}
	*ret_holder = i;
	return 0;
}

struct seai_hold *seai_block_find_hold(struct seai_block *block, uint32_t holder)
{
	uint32_t n_inline = block->n_holds < SEAI_BLOCK_N_HOLDS ? block->n_holds : SEAI_BLOCK_N_HOLDS;

	for (uint32_t i = 0; i < n_inline; i++)
		if (block->holds[i].holder == holder)
			return &block->holds[i];
	for (uint32_t i = SEAI_BLOCK_N_HOLDS; i < block->n_holds; i++)
		if (block->spill[i - SEAI_BLOCK_N_HOLDS].holder == holder)
			return &block->spill[i - SEAI_BLOCK_N_HOLDS];
	return NULL;
}

int seai_ledger_hold_slowly(struct seai_block *block, uint32_t holder, bool has_token)
{
	struct seai_hold *hold;
	uint32_t i;

	hold = seai_block_find_hold(block, holder);
	if (hold) {
		if (hold->count >= SEAI_HOLD_COUNT_MAX)
			return -E2BIG;
		hold->count++;
		hold->n_tokens = (uint16_t)(hold->n_tokens + has_token);
		return 0;
	}
	if (block->n_holds < SEAI_BLOCK_N_HOLDS) {
		block->holds[block->n_holds++] = (struct seai_hold){ holder, 1, has_token };
		return 0;
	}
	i = block->n_holds - SEAI_BLOCK_N_HOLDS;
	if (i == block->n_spill_max) {
		uint32_t n_max = i ? 2 * i : 14;
		struct seai_hold *spill;

		if (n_max > UINT16_MAX)
			return -E2BIG;
		spill = realloc(block->spill, n_max * sizeof(*spill));
		if (!spill)
			return -ENOMEM;
		block->spill = spill;
		block->n_spill_max = (uint16_t)n_max;
	}
	block->spill[i] = (struct seai_hold){ holder, 1, has_token };
	block->n_holds++;
	return 0;
}

/* Removes an entry by moving the last into its place. */
void seai_block_remove_hold(struct seai_block *block, struct seai_hold *hold)
{
	uint32_t last = --block->n_holds;

	*hold = last < SEAI_BLOCK_N_HOLDS ? block->holds[last] : block->spill[last - SEAI_BLOCK_N_HOLDS];
}

void seai_block_take_one(struct seai_block *block, struct seai_hold *hold, bool has_token)
{
	if (SEAI_UNLIKELY(hold->count == SEAI_HOLD_PINNED))
		return;
	hold->count--;
	if (has_token && hold->n_tokens)
		hold->n_tokens--;
	if (hold->n_tokens > hold->count)
		hold->n_tokens = hold->count;
	if (hold->count == 0)
		seai_block_remove_hold(block, hold);
}

void seai_ledger_unhold(struct seai_block *block, uint32_t holder, bool has_token)
{
	struct seai_hold *hold = seai_block_find_hold(block, holder);

	if (hold)
		seai_block_take_one(block, hold, has_token);
}

/* One block less that the channel has out. */
static inline void account_settle_one(struct seai_account *account)
{
	if (SEAI_UNLIKELY(--account->n_outstanding == 0 && account->closed))
		free(account);
}

/* What is rare at the end of a block's life. */
static void block_finish(struct sea_session *session, struct seai_block *block)
{
	uint32_t flags = block->flags;

	block->flags &= (uint16_t) ~(SEAI_BLOCK_NOTIFY | SEAI_BLOCK_HEAD | SEAI_BLOCK_TABLE);
	if (flags & SEAI_BLOCK_NOTIFY)
		seai_done_push(session, block->cookie);
	if (session->guard)
		seai_block_guard(block, false);
}

static inline void block_free(struct sea_session *session, struct seai_block *block)
{
	if (SEAI_UNLIKELY(block->flags != SEAI_BLOCK_USED || session->guard))
		block_finish(session, block);
	if (block->account)
		account_settle_one(SEAI_TAKE(block->account));
	session->ledger->n_freed++;
	seai_heap_release(block);
}

void seai_block_free_if_unheld(struct sea_session *session, struct seai_block *block)
{
	if (block->n_own == 0 && block->n_holds == 0)
		block_free(session, block);
}

void seai_ledger_release_own(struct sea_session *session, struct seai_block *block)
{
	uint64_t n_freed = session->ledger->n_freed;

	block->n_own--;
	seai_block_free_if_unheld(session, block);
	if (n_freed != session->ledger->n_freed &&
	    SEAI_UNLIKELY(atomic_load_explicit(&session->n_memory_waiters, memory_order_relaxed)))
		seai_note_release(session);
}

void seai_ledger_set_sent(struct seai_block *block, const struct sea_message *message, struct seai_account *account)
{
	uint64_t sequence = atomic_load_explicit(&message->session->now_sequence, memory_order_relaxed);

	if (SEAI_UNLIKELY(message->session->guard))
		seai_block_guard(block, true);
	/* Growing whatever the clock says: the order of orphans is exact. Both lines are written by each send anyway. */
	if (sequence < account->next_sequence)
		sequence = account->next_sequence;
	account->next_sequence = sequence + 1;
	block->sequence = sequence;
	if (SEAI_UNLIKELY(account->policy != SEA_ORPHANS_DROP)) {
		block->message_offset = message->offset;
		block->message_n_bytes = message->n_bytes;
		block->n_parts = message->n_parts;
		block->tag = message->tag;
		block->flags |= SEAI_BLOCK_HEAD;
		if (message->kind == SEAI_MESSAGE_TABLE)
			block->flags |= SEAI_BLOCK_TABLE;
	}
	if (block->account == account)
		return;
	if (SEAI_UNLIKELY(block->account != NULL))
		account_settle_one(block->account);
	block->account = account;
	account->n_outstanding++;
}

struct seai_block *seai_ledger_find_block(struct sea_session *session, uint32_t arena_id, uint32_t block_id,
                                          uint64_t generation)
{
	struct seai_ledger *ledger = session->ledger;
	struct seai_arena *arena = ledger->last_arena;
	struct seai_block *block;

	if (!arena || arena->id != arena_id) {
		arena = seai_session_find_arena(session, arena_id);
		if (!arena)
			return NULL;
		ledger->last_arena = arena;
	}
	block = seai_arena_get_block(arena, block_id);
	if (!block || !(block->flags & SEAI_BLOCK_USED) ||
	    ((block->generation ^ generation) & SEAI_RECORD_GENERATION_MASK))
		return NULL;
	return block;
}

static struct seai_grant_log *ledger_find_log(struct seai_holder *holder, uint64_t link_id)
{
	for (uint32_t i = 0; i < holder->n_logs; i++)
		if (holder->logs[i].link_id == link_id)
			return &holder->logs[i];
	return NULL;
}

static struct seai_grant_log *ledger_get_log(struct seai_holder *holder, uint64_t link_id, uint32_t target)
{
	struct seai_grant_log *log = ledger_find_log(holder, link_id);

	if (log)
		return log->target == target ? log : NULL;
	if (holder->n_logs == holder->n_logs_max) {
		uint32_t n_max = holder->n_logs_max ? 2 * holder->n_logs_max : 4;
		struct seai_grant_log *logs;

		if (n_max > 4096) /* more links than any process has: made up */
			return NULL;
		logs = realloc(holder->logs, n_max * sizeof(*logs));
		if (!logs)
			return NULL;
		holder->logs = logs;
		holder->n_logs_max = n_max;
	}
	log = &holder->logs[holder->n_logs++];
	*log = (struct seai_grant_log){ .link_id = link_id, .target = target };
	return log;
}

void seai_grant_log_pop(struct sea_session *session, struct seai_grant_log *log)
{
	struct seai_grant grant = log->grants[log->first];
	struct seai_block *block;

	log->first = (log->first + 1) & (log->n_max - 1);
	log->n--;
	if (grant.op != SEAI_RECORD_DROP)
		return;
	/* The hold in limbo that kept the block until its descriptor was certain. */
	block = seai_ledger_find_block(session, grant.arena_id, grant.block_id, grant.generation);
	if (block) {
		block->n_own--;
		seai_block_free_if_unheld(session, block);
	}
}

static void grant_log_trim(struct sea_session *session, struct seai_grant_log *log, uint64_t published)
{
	while (log->n) {
		const struct seai_grant *oldest = &log->grants[log->first];

		/*
		 * What came home is not published because the writer says so: it would pin the block for ever. It is certain once it was
		 * taken and released.
		 */
		bool is_certain = log->target == SEAI_HOLDER_SELF && oldest->op != SEAI_RECORD_DROP
		                          ? !seai_ledger_find_block(session, oldest->arena_id, oldest->block_id,
		                                                    oldest->generation)
		                          : oldest->position < published;

		if (!is_certain)
			return;
		seai_grant_log_pop(session, log);
	}
}

static bool grant_log_push(struct sea_session *session, struct seai_grant_log *log, const struct seai_record *record)
{
	if (log->n == log->n_max) {
		uint32_t n_max = log->n_max ? 2 * log->n_max : 64;
		struct seai_grant *grants = n_max > LEDGER_LOG_N_MAX ? NULL : malloc(n_max * sizeof(*grants));

		if (grants) {
			for (uint32_t i = 0; i < log->n; i++)
				grants[i] = log->grants[(log->first + i) & (log->n_max - 1)];
			free(log->grants);
			log->grants = grants;
			log->first = 0;
			log->n_max = n_max;
		} else if (log->n) {
			seai_grant_log_pop(session, log);
		} else {
			return false;
		}
	}
	log->grants[(log->first + log->n++) & (log->n_max - 1)] = (struct seai_grant){
		.generation = record->generation,
		.position = record->position,
		.arena_id = record->arena_id,
		.block_id = record->block_id,
		.op = (uint16_t)record->op,
		.has_token = record->has_token,
	};
	return true;
}

/* A debt of that holder for that block is paid by a grant to it. Returns whether there was one. */
static bool ledger_pay_debt(struct seai_ledger *ledger, const struct seai_block *block, uint32_t holder)
{
	for (size_t i = 0; i < ledger->n_debts; i++) {
		const struct seai_debt *debt = &ledger->debts[i];

		if (debt->holder == holder && debt->block_id == block->id && debt->arena_id == block->arena->id &&
		    debt->generation == block->generation) {
			ledger->debts[i] = ledger->debts[--ledger->n_debts];
			return true;
		}
	}
	return false;
}

/*
 * A hold that is there and cannot be counted: nothing may be freed under its holder. The block stays until that process ends, or
 * for ever where there is no memory to note whose it is. Work that is in it does not come back: better lost than done twice.
 */
static void ledger_pin(struct seai_block *block, uint32_t holder)
{
	struct seai_hold *hold = seai_block_find_hold(block, holder);

	if (hold)
		*hold = (struct seai_hold){ holder, SEAI_HOLD_PINNED, 0 };
	else
		block->n_own++;
}

/* The target gets a hold; the block cannot be free meanwhile, for it is covered by the writer's own count. */
static enum seai_applied ledger_apply_grant(struct sea_session *session, uint32_t writer, struct seai_block *block,
                                            const struct seai_record *record)
{
	struct seai_ledger *ledger = session->ledger;
	uint32_t target = record->target_id == session->id ? SEAI_HOLDER_SELF
	                                                   : seai_ledger_find_holder(ledger, record->target_id);
	struct seai_grant_log *log;
	struct seai_hold *hold = seai_block_find_hold(block, writer);
	bool has_token = record->has_token && hold->n_tokens;

	if (target == SEAI_HOLDER_NONE)
		return SEAI_APPLIED_UNKNOWN;
	log = ledger_get_log(&ledger->holders[writer], record->link_id, target);
	if (!log)
		return SEAI_APPLIED_LIE;
	grant_log_trim(session, log, record->published);
	if (record->op == SEAI_RECORD_DROP) {
		block->n_own++; /* in limbo */
	} else if (target == SEAI_HOLDER_SELF) {
		if (block->n_returned == UINT16_MAX)
			return SEAI_APPLIED_LIE;
		block->n_own++;
		block->n_returned++;
	} else if (SEAI_UNLIKELY(ledger->n_debts) && ledger_pay_debt(ledger, block, target)) {
		/* The target has released it already. */
	} else if (seai_ledger_hold(block, target, has_token && record->op == SEAI_RECORD_TRANSFER) < 0) {
		ledger_pin(block, target);
	}
	if (!grant_log_push(session, log, record) && record->op == SEAI_RECORD_DROP)
		block->n_own--; /* no memory for the log: taken for published */
	if (record->op != SEAI_RECORD_SHARE) {
		/* Entries may have moved to a new array. */
		hold = seai_block_find_hold(block, writer);
		seai_block_take_one(block, hold, has_token);
	}
	seai_block_free_if_unheld(session, block);
	return SEAI_APPLIED;
}

bool seai_ledger_apply_release(struct sea_session *session, uint32_t holder, uint32_t arena_id, uint32_t block_id,
                               uint64_t generation, bool has_token)
{
	struct seai_arena *arena = session->ledger->last_arena;
	struct seai_block *block;

	if (SEAI_UNLIKELY(!arena || arena->id != arena_id || block_id >= arena->n_blocks))
		return false;
	block = &arena->blocks[block_id];
	if (SEAI_UNLIKELY(!(block->flags & SEAI_BLOCK_USED) ||
	                  (block->generation ^ generation) & SEAI_RECORD_GENERATION_MASK || block->n_holds != 1 ||
	                  block->holds[0].holder != holder || block->holds[0].count != 1 ||
	                  block->holds[0].n_tokens != has_token))
		return false;
	block->n_holds = 0;
	if (SEAI_LIKELY(block->n_own == 0))
		block_free(session, block);
	return true;
}

enum seai_applied seai_ledger_apply(struct sea_session *session, uint32_t holder, const struct seai_record *record)
{
	struct seai_ledger *ledger = session->ledger;
	struct seai_block *block;
	struct seai_hold *hold;

	if (SEAI_UNLIKELY(record->op == SEAI_RECORD_PUBLISHED)) {
		struct seai_grant_log *log = ledger_find_log(&ledger->holders[holder], record->link_id);

		if (log)
			grant_log_trim(session, log, record->published);
		return SEAI_APPLIED;
	}
	block = seai_ledger_find_block(session, record->arena_id, record->block_id, record->generation);
	if (SEAI_UNLIKELY(!block))
		return SEAI_APPLIED_LIE;
	hold = seai_block_find_hold(block, holder);
	if (SEAI_UNLIKELY(!hold))
		return SEAI_APPLIED_UNCOVERED;
	if (SEAI_LIKELY(record->op == SEAI_RECORD_RELEASE)) {
		seai_block_take_one(block, hold, record->has_token);
		seai_block_free_if_unheld(session, block);
		return SEAI_APPLIED;
	}
	if (record->op == SEAI_RECORD_RETURN) {
		if (record->has_token && hold->n_tokens)
			seai_ledger_orphan(session, block);
		seai_block_take_one(block, hold, record->has_token);
		seai_block_free_if_unheld(session, block);
		return SEAI_APPLIED;
	}
	return ledger_apply_grant(session, holder, block, record);
}

bool seai_ledger_take_returned(struct sea_session *session, uint32_t arena_id, uint32_t block_id, uint64_t generation,
                               struct seai_block **ret_block)
{
	struct seai_block *block = seai_ledger_find_block(session, arena_id, block_id, generation);

	if (!block || block->generation != generation || block->n_returned == 0)
		return false;
	block->n_returned--;
	*ret_block = block;
	return true;
}

bool seai_ledger_take_given(struct sea_session *session, uint32_t holder, uint32_t arena_id, uint32_t block_id,
                            uint64_t generation, struct seai_block **ret_block)
{
	struct seai_block *block = seai_ledger_find_block(session, arena_id, block_id, generation);
	struct seai_hold *hold = block && block->generation == generation ? seai_block_find_hold(block, holder) : NULL;

	if (!hold)
		return false;
	block->n_own++;
	seai_block_take_one(block, hold, true);
	*ret_block = block;
	return true;
}
