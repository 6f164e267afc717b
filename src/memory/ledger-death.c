/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows a death: the holds of the dead are dropped, what it had not released comes back to the
 * channel that sent it, and its uncertain grants are settled with their targets.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "memory/arena.h"
#include "memory/ledger-private.h"
#include "memory/ledger.h"
#include "memory/message.h"

void seai_ledger_free_logs(struct seai_holder *holder)
{
	for (uint32_t i = 0; i < holder->n_logs; i++)
		free(holder->logs[i].grants);
	free(holder->logs);
	holder->logs = NULL;
	holder->n_logs = holder->n_logs_max = 0;
}

/* Calls visit for each used block of this process. */
static void ledger_for_each_block(struct sea_session *session, void (*visit)(struct seai_block *block, void *userdata),
                                  void *userdata)
{
	for (uint32_t i = 0; i < session->n_arena_slots; i++) {
		struct seai_arena *arena = session->arenas[i];

		if (!arena || arena->n_blocks_used == 0)
			continue;
		for (uint32_t j = 0; j < arena->n_blocks; j++)
			if (arena->blocks[j].flags & SEAI_BLOCK_USED)
				visit(&arena->blocks[j], userdata);
	}
}

struct death {
	struct sea_session *session;
	uint32_t holder;
	struct seai_block **heads;
	size_t n_heads, n_heads_max;
};

static void death_collect_head(struct seai_block *block, void *userdata)
{
	struct death *death = userdata;
	const struct seai_hold *hold = block->flags & SEAI_BLOCK_HEAD ? seai_block_find_hold(block, death->holder)
	                                                              : NULL;

	if (!hold || !hold->n_tokens)
		return;
	if (death->n_heads == death->n_heads_max) {
		size_t n_max = death->n_heads_max ? 2 * death->n_heads_max : 256;
		struct seai_block **heads = realloc(death->heads, n_max * sizeof(struct seai_block *));

		if (!heads) {
			/* No memory to put them in order: better out of order than lost. */
			seai_ledger_orphan(death->session, block);
			return;
		}
		death->heads = heads;
		death->n_heads_max = n_max;
	}
	death->heads[death->n_heads++] = block;
}

static int death_compare_sequence(const void *a, const void *b)
{
	uint64_t x = (*(struct seai_block *const *)a)->sequence, y = (*(struct seai_block *const *)b)->sequence;

	return (x > y) - (x < y);
}

static void death_drop_holds(struct seai_block *block, void *userdata)
{
	struct death *death = userdata;
	struct seai_hold *hold = seai_block_find_hold(block, death->holder);

	if (!hold)
		return;
	seai_block_remove_hold(block, hold);
	seai_block_free_if_unheld(death->session, block);
}

/* Logs of other forwarders towards the dead: nothing is left to be undone there. */
static void death_forget_logs_to(struct sea_session *session, uint32_t target)
{
	struct seai_ledger *ledger = session->ledger;

	for (uint32_t i = 1; i < ledger->n_holders; i++) {
		struct seai_holder *holder = &ledger->holders[i];

		for (uint32_t j = 0; j < holder->n_logs;) {
			struct seai_grant_log *log = &holder->logs[j];

			if (log->target != target) {
				j++;
				continue;
			}
			while (log->n)
				seai_grant_log_pop(session, log);
			free(log->grants);
			*log = holder->logs[--holder->n_logs];
		}
	}
}

/* The dead's own logs become questions to their targets. */
static void death_move_logs(struct sea_session *session, struct seai_holder *holder)
{
	struct seai_ledger *ledger = session->ledger;

	for (uint32_t i = 0; i < holder->n_logs; i++) {
		struct seai_grant_log *log = &holder->logs[i];
		struct seai_settlement *settlement = log->n ? calloc(1, sizeof(*settlement)) : NULL;

		if (!settlement) {
			/* Without memory for the question everything counts as published: a leak until the target's end, never a use after free. */
			while (log->n)
				seai_grant_log_pop(session, log);
			free(log->grants);
			continue;
		}
		settlement->forwarder_id = holder->id;
		settlement->target_id = log->target == SEAI_HOLDER_SELF ? session->id : ledger->holders[log->target].id;
		settlement->log = *log;
		settlement->next = ledger->settlements;
		ledger->settlements = settlement;
	}
	free(holder->logs);
	holder->logs = NULL;
	holder->n_logs = holder->n_logs_max = 0;
}

static void death_forget_debts(struct seai_ledger *ledger, uint32_t holder)
{
	for (size_t i = 0; i < ledger->n_debts;) {
		if (ledger->debts[i].holder == holder)
			ledger->debts[i] = ledger->debts[--ledger->n_debts];
		else
			i++;
	}
}

static void death_settle_dead_target(struct sea_session *session, uint32_t target)
{
	struct seai_settlement **at = &session->ledger->settlements;

	while (*at) {
		struct seai_settlement *settlement = *at;

		if (settlement->log.target == target)
			seai_ledger_settle(session, settlement, UINT64_MAX); /* unlinks and frees it */
		else
			at = &settlement->next;
	}
}

void seai_ledger_drop_holder(struct sea_session *session, uint32_t holder)
{
	struct seai_ledger *ledger = session->ledger;
	struct death death = { .session = session, .holder = holder };

	/* Heads first, while all blocks of their messages are there. */
	ledger_for_each_block(session, death_collect_head, &death);
	if (death.n_heads)
		qsort(death.heads, death.n_heads, sizeof(struct seai_block *), death_compare_sequence);
	for (size_t i = 0; i < death.n_heads; i++)
		seai_ledger_orphan(session, death.heads[i]);
	free(death.heads);
	ledger->holders[holder].dead = true;
	ledger_for_each_block(session, death_drop_holds, &death);
	death_forget_logs_to(session, holder);
	death_settle_dead_target(session, holder);
	death_forget_debts(ledger, holder);
	death_move_logs(session, &ledger->holders[holder]);
	ledger->holders[holder].in_use = false;
	seai_note_release(session);
}

void seai_ledger_apply_to_dead(struct sea_session *session, uint32_t holder, const struct seai_record *record,
                               bool may_live)
{
	struct seai_block *block = seai_ledger_find_block(session, record->arena_id, record->block_id,
	                                                  record->generation);
	struct seai_hold *hold = block ? seai_block_find_hold(block, holder) : NULL;

	if (!hold)
		return;
	if (record->op == SEAI_RECORD_SHARE) {
		block->n_own += may_live;
		return;
	}
	/*
	 * The work went to a process that is dead: it comes back to who sent it in the first place. Dropped work does not: its
	 * product comes back to the forwarder that made it, as it would if the target had died a moment later.
	 */
	if (may_live && record->op == SEAI_RECORD_TRANSFER)
		block->n_own++; /* never given up: somebody whom we cannot see may read it */
	else if (record->op == SEAI_RECORD_TRANSFER && record->has_token && hold->n_tokens)
		seai_ledger_orphan(session, block);
	seai_block_take_one(block, hold, record->has_token);
	seai_block_free_if_unheld(session, block);
	seai_note_release(session);
}

static struct seai_block *settle_find(struct sea_session *session, const struct seai_grant *grant)
{
	return seai_ledger_find_block(session, grant->arena_id, grant->block_id, grant->generation);
}

/* The target released what it got from somebody else whose grant is not read yet, and the undone grant covered that. */
static void settle_note_debt(struct seai_ledger *ledger, const struct seai_grant *grant, uint32_t holder)
{
	if (ledger->n_debts == ledger->n_debts_max) {
		size_t n_max = ledger->n_debts_max ? 2 * ledger->n_debts_max : 16;
		struct seai_debt *debts = realloc(ledger->debts, n_max * sizeof(*debts));

		if (!debts)
			return; /* the block stays held until that holder ends */
		ledger->debts = debts;
		ledger->n_debts_max = n_max;
	}
	ledger->debts[ledger->n_debts++] = (struct seai_debt){
		.generation = grant->generation,
		.arena_id = grant->arena_id,
		.block_id = grant->block_id,
		.holder = holder,
	};
}

/* Takes the target's hold back; the block stays held by this process until the end of the settlement where work may come back. */
static void settle_undo(struct sea_session *session, const struct seai_grant_log *log, struct seai_grant *grant)
{
	struct seai_block *block = settle_find(session, grant);
	struct seai_hold *hold;

	if (!block) {
		grant->op = 0;
		return;
	}
	if (grant->op == SEAI_RECORD_DROP) /* its hold in limbo is the one */
		return;
	block->n_own++;
	if (log->target == SEAI_HOLDER_SELF) {
		if (block->n_returned) {
			block->n_returned--;
			block->n_own--;
		}
		return;
	}
	hold = seai_block_find_hold(block, log->target);
	if (hold)
		seai_block_take_one(block, hold, grant->has_token && grant->op == SEAI_RECORD_TRANSFER);
	else
		settle_note_debt(session->ledger, grant, log->target);
}

void seai_ledger_settle(struct sea_session *session, struct seai_settlement *settlement, uint64_t final_head)
{
	struct seai_settlement **at = &session->ledger->settlements;
	struct seai_grant_log *log = &settlement->log;
	uint32_t n_undone;

	while (*at && *at != settlement)
		at = &(*at)->next;
	if (*at)
		*at = settlement->next;
	while (log->n && log->grants[log->first].position < final_head)
		seai_grant_log_pop(session, log);
	n_undone = log->n;
	for (uint32_t i = 0; i < n_undone; i++)
		settle_undo(session, log, &log->grants[(log->first + i) & (log->n_max - 1)]);
	for (uint32_t i = 0; i < n_undone; i++) {
		struct seai_grant *grant = &log->grants[(log->first + i) & (log->n_max - 1)];
		struct seai_block *block = grant->op && grant->has_token ? settle_find(session, grant) : NULL;

		if (block)
			seai_ledger_orphan(session, block);
	}
	for (uint32_t i = 0; i < n_undone; i++) {
		struct seai_grant *grant = &log->grants[(log->first + i) & (log->n_max - 1)];
		struct seai_block *block = grant->op ? settle_find(session, grant) : NULL;

		if (block) {
			block->n_own--;
			seai_block_free_if_unheld(session, block);
		}
	}
	free(log->grants);
	free(settlement);
	seai_note_release(session);
}

static void end_settle_account(struct seai_block *block, void *userdata)
{
	struct seai_account *account = SEAI_TAKE(block->account);

	(void)userdata;
	if (account && --account->n_outstanding == 0 && account->closed)
		free(account);
}

void seai_ledger_settle_accounts(struct sea_session *session)
{
	ledger_for_each_block(session, end_settle_account, NULL);
}
