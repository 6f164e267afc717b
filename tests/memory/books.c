/* SPDX-License-Identifier: Apache-2.0 */
/* See books.h. */
#include "books.h"

#include <stdlib.h>

#include "test.h"

static bool books_drain(struct sea_session *session)
{
	(void)session;
	return false;
}

static void books_nothing(struct sea_session *session)
{
	(void)session;
}

static bool books_is_service_thread(struct sea_session *session)
{
	(void)session;
	return false;
}

static const struct seai_session_hooks books_hooks = {
	.drain = books_drain,
	.arm = books_nothing,
	.poke = books_nothing,
	.is_service_thread = books_is_service_thread,
};

void books_init(struct books *books, enum sea_orphans policy)
{
	fixture_init(&books->fixture);
	books->session = &books->fixture.session;
	books->session->hooks = &books_hooks;
	books->session->done_fd = -1;
	CHECK_OK(seai_ledger_new(&books->session->ledger));
	books->ledger = books->session->ledger;
	books->heap = fixture_heap(&books->fixture, 64 << 20);
	CHECK_OK(seai_account_new(&books->account, policy, -1));
	CHECK_OK(seai_ledger_add_holder(books->ledger, F_ID, &books->f));
	CHECK_OK(seai_ledger_add_holder(books->ledger, B_ID, &books->b));
	CHECK_OK(seai_ledger_add_holder(books->ledger, C_ID, &books->c));
}

void books_fini(struct books *books)
{
	struct sea_heap_stats stats;

	CHECK_OK(sea_heap_get_stats(books->heap, &stats));
	CHECK_EQ(stats.n_blocks_used, 0);
	CHECK_EQ(stats.n_bytes_used, 0);
	if (books->account) {
		CHECK_EQ(books->account->n_outstanding, 0);
		seai_account_close(books->session, books->account);
	}
	CHECK(!books->ledger->settlements);
	fixture_fini(&books->fixture);
	seai_ledger_free(books->ledger);
	free(books->session->done);
}

struct seai_block *books_send(struct books *books, uint32_t holder, uint64_t tag)
{
	struct sea_message *message;
	struct seai_block *block;

	CHECK_OK(sea_message_new(&message, books->heap, 100, 0, 0));
	sea_message_set_tag(message, tag);
	block = message->ref.block;
	{
		SEAI_LOCKED(&books->session->books, lock);
		CHECK_OK(seai_ledger_hold(block, holder, true));
		seai_ledger_set_sent(block, message, books->account);
	}
	CHECK_EQ(block->n_own, 1);
	sea_message_unref(message);
	CHECK_EQ(block->n_own, 0);
	return block;
}

struct seai_record record_of(enum seai_record_op op, const struct seai_block *block)
{
	return (struct seai_record){
		.op = op,
		.has_token = op != SEAI_RECORD_SHARE,
		.arena_id = block->arena->id,
		.block_id = block->id,
		.generation = block->generation & SEAI_RECORD_GENERATION_MASK,
	};
}

enum seai_applied books_apply(struct books *books, uint32_t holder, const struct seai_record *record)
{
	SEAI_LOCKED(&books->session->books, lock);
	return seai_ledger_apply(books->session, holder, record);
}

enum seai_applied books_do(struct books *books, uint32_t holder, enum seai_record_op op, const struct seai_block *block)
{
	struct seai_record record = record_of(op, block);

	return books_apply(books, holder, &record);
}

enum seai_applied books_grant(struct books *books, uint32_t holder, enum seai_record_op op,
                              const struct seai_block *block, uint64_t target_id, uint64_t link_id, uint64_t position)
{
	struct seai_record record = record_of(op, block);

	record.target_id = target_id;
	record.link_id = link_id;
	record.position = position;
	record.published = position;
	return books_apply(books, holder, &record);
}

enum seai_applied books_publish(struct books *books, uint32_t holder, uint64_t target_id, uint64_t link_id,
                                uint64_t head)
{
	struct seai_record record = {
		.op = SEAI_RECORD_PUBLISHED, .target_id = target_id, .link_id = link_id, .published = head
	};

	return books_apply(books, holder, &record);
}

void books_kill(struct books *books, uint32_t holder)
{
	SEAI_LOCKED(&books->session->books, lock);
	seai_ledger_drop_holder(books->session, holder);
}

void books_settle(struct books *books, uint64_t final_head)
{
	SEAI_LOCKED(&books->session->books, lock);
	CHECK(books->ledger->settlements);
	seai_ledger_settle(books->session, books->ledger->settlements, final_head);
}

struct sea_message *books_orphan(struct books *books)
{
	SEAI_LOCKED(&books->session->books, lock);
	return seai_account_take_orphan(books->account);
}

bool is_used(const struct seai_block *block)
{
	return block->flags & SEAI_BLOCK_USED;
}

unsigned n_held(struct seai_block *block, uint32_t holder)
{
	const struct seai_hold *hold = seai_block_find_hold(block, holder);

	return hold ? hold->count : 0;
}
