/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger alone: holders are made up, records are applied by hand. Long random runs are in test-ledger-random.c. */
#include "test.h"

#include "books.h"

TEST(count, "a block is free when nobody holds it any more, and not before")
{
	struct books books;
	struct seai_block *block;
	uint64_t generation;

	books_init(&books, SEA_ORPHANS_DROP);
	block = books_send(&books, books.f, 0);
	generation = block->generation;
	{
		SEAI_LOCKED(&books.session->books, lock);
		CHECK_OK(seai_ledger_hold(block, books.f, true));
		CHECK_OK(seai_ledger_hold(block, books.b, true));
		block->n_own++;
	}
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK_EQ(books_do(&books, books.b, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK_EQ(books_do(&books, books.b, SEAI_RECORD_RELEASE, block), SEAI_APPLIED_UNCOVERED);
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK(is_used(block));
	{
		SEAI_LOCKED(&books.session->books, lock);
		seai_ledger_release_own(books.session, block);
	}
	CHECK(!is_used(block));
	CHECK_EQ(books.ledger->n_freed, 1);
	CHECK_GT(block->generation, generation);
	books_fini(&books);
}

TEST(lie, "records about what is not there are lies, of what is not held wait, and change nothing")
{
	struct books books;
	struct seai_block *block;
	struct seai_record record;

	books_init(&books, SEA_ORPHANS_DROP);
	block = books_send(&books, books.f, 0);
	record = record_of(SEAI_RECORD_RELEASE, block);
	record.generation++;
	CHECK_EQ(books_apply(&books, books.f, &record), SEAI_APPLIED_LIE);
	record = record_of(SEAI_RECORD_RELEASE, block);
	record.arena_id += 1000;
	CHECK_EQ(books_apply(&books, books.f, &record), SEAI_APPLIED_LIE);
	record = record_of(SEAI_RECORD_RELEASE, block);
	record.block_id = UINT32_MAX;
	CHECK_EQ(books_apply(&books, books.f, &record), SEAI_APPLIED_LIE);
	CHECK_EQ(books_do(&books, books.c, SEAI_RECORD_RETURN, block), SEAI_APPLIED_UNCOVERED);
	CHECK_EQ(books_grant(&books, books.c, SEAI_RECORD_TRANSFER, block, B_ID, 1, 0), SEAI_APPLIED_UNCOVERED);
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_TRANSFER, block, 0xdead, 1, 0), SEAI_APPLIED_UNKNOWN);
	/* One link leads to one process. */
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_SHARE, block, B_ID, 1, 0), SEAI_APPLIED);
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_SHARE, block, C_ID, 1, 1), SEAI_APPLIED_LIE);
	CHECK_EQ(n_held(block, books.f), 1);
	CHECK_EQ(n_held(block, books.b), 1);
	CHECK_EQ(n_held(block, books.c), 0);
	CHECK_EQ(books_do(&books, books.b, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, block), SEAI_APPLIED_LIE);
	books_fini(&books);
}

TEST(spill, "more holders than have room in a block: each has its own count, in any order of release")
{
	enum { N = 40 };
	struct books books;
	struct seai_block *block;
	uint32_t holders[N];
	unsigned counts[N], n_left = 0;

	books_init(&books, SEA_ORPHANS_DROP);
	block = books_send(&books, books.f, 0);
	for (unsigned i = 0; i < N; i++) {
		CHECK_OK(seai_ledger_add_holder(books.ledger, 0x1000 + i, &holders[i]));
		n_left += counts[i] = 1 + (unsigned)(test_random() % 3);
		for (unsigned j = 0; j < counts[i]; j++) {
			SEAI_LOCKED(&books.session->books, lock);
			CHECK_OK(seai_ledger_hold(block, holders[i], true));
		}
	}
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	while (n_left) {
		unsigned i = (unsigned)(test_random() % N);

		CHECK(is_used(block));
		CHECK_EQ(books_do(&books, holders[i], SEAI_RECORD_RELEASE, block),
		         counts[i] ? SEAI_APPLIED : SEAI_APPLIED_UNCOVERED);
		if (counts[i]) {
			counts[i]--;
			n_left--;
		}
		for (unsigned j = 0; j < N && n_left; j++)
			CHECK_EQ(n_held(block, holders[j]), counts[j]);
	}
	CHECK(!is_used(block));
	books_fini(&books);
}

TEST(unhold, "a hold that was not told to anybody is taken back, and a living holder is found again by its identity")
{
	struct books books;
	struct seai_block *block;
	uint32_t again;

	books_init(&books, SEA_ORPHANS_DROP);
	block = books_send(&books, books.f, 0);
	{
		SEAI_LOCKED(&books.session->books, lock);
		CHECK_OK(seai_ledger_hold(block, books.b, true));
		seai_ledger_unhold(block, books.b, true);
		seai_ledger_unhold(block, books.c, true);
	}
	CHECK_EQ(n_held(block, books.b), 0);
	CHECK_EQ(n_held(block, books.f), 1);
	CHECK_OK(seai_ledger_add_holder(books.ledger, F_ID, &again));
	CHECK_EQ(again, books.f);
	CHECK_EQ(seai_ledger_find_holder(books.ledger, 0xdead), SEAI_HOLDER_NONE);
	books_kill(&books, books.f);
	CHECK(!is_used(block));
	CHECK_EQ(seai_ledger_find_holder(books.ledger, F_ID), SEAI_HOLDER_NONE);
	books_fini(&books);
}

TEST(token, "only the hold that is the work itself comes back at a death, never a share of it")
{
	struct books books;
	struct seai_block *block;
	struct sea_message *orphan;

	books_init(&books, SEA_ORPHANS_KEEP);
	block = books_send(&books, books.f, 7);
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_SHARE, block, B_ID, 1, 0), SEAI_APPLIED);
	books_kill(&books, books.b);
	CHECK(!books_orphan(&books));
	CHECK_EQ(n_held(block, books.f), 1);
	/* What went on whole is the work, wherever it is. */
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_TRANSFER, block, C_ID, 2, 0), SEAI_APPLIED);
	CHECK_EQ(n_held(block, books.f), 0);
	books_kill(&books, books.c);
	orphan = books_orphan(&books);
	CHECK(orphan);
	CHECK_EQ(sea_message_get_tag(orphan), 7);
	CHECK_EQ(sea_message_size(orphan), 100);
	CHECK(!books_orphan(&books));
	sea_message_unref(orphan);
	CHECK(!is_used(block));
	books_kill(&books, books.f);
	CHECK(!books.ledger->settlements);
	books_fini(&books);
}

TEST(give_back, "what is released is done with, what is returned unread comes back")
{
	struct books books;
	struct sea_message *orphan;
	struct seai_block *block;

	books_init(&books, SEA_ORPHANS_RESEND);
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, books_send(&books, books.f, 1)), SEAI_APPLIED);
	CHECK(!books_orphan(&books));
	block = books_send(&books, books.f, 2);
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RETURN, block), SEAI_APPLIED);
	CHECK(is_used(block));
	CHECK_EQ(books.account->n_orphans_waiting, 1);
	orphan = books_orphan(&books);
	CHECK_EQ(sea_message_get_tag(orphan), 2);
	sea_message_unref(orphan);
	books_fini(&books);
}

TEST(trim, "grants are remembered until they are known to be published")
{
	struct books books;
	struct seai_block *blocks[4];
	const struct seai_grant_log *log;

	books_init(&books, SEA_ORPHANS_DROP);
	for (unsigned i = 0; i < 4; i++) {
		struct seai_record record;

		blocks[i] = books_send(&books, books.f, i);
		record = record_of(SEAI_RECORD_TRANSFER, blocks[i]);
		record.target_id = B_ID;
		record.link_id = 9;
		record.position = 10 + i;
		record.published = i == 3 ? 12 : 10;
		CHECK_EQ(books_apply(&books, books.f, &record), SEAI_APPLIED);
		log = &books.ledger->holders[books.f].logs[0];
		CHECK_EQ(log->n, i == 3 ? 2 : i + 1);
	}
	CHECK_EQ(books_publish(&books, books.f, B_ID, 77, 100), SEAI_APPLIED); /* another link */
	CHECK_EQ(log->n, 2);
	CHECK_EQ(books_publish(&books, books.f, B_ID, 9, 13), SEAI_APPLIED);
	CHECK_EQ(log->n, 1);
	CHECK_EQ(books_publish(&books, books.f, B_ID, 9, 14), SEAI_APPLIED);
	CHECK_EQ(log->n, 0);
	/* With nothing uncertain there is nothing to ask. */
	books_kill(&books, books.f);
	CHECK(!books.ledger->settlements);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(books_do(&books, books.b, SEAI_RECORD_RELEASE, blocks[i]), SEAI_APPLIED);
	books_fini(&books);
}

TEST(limbo, "what is dropped for a product stays until the product is published, and comes back if it never was")
{
	for (int published = 0; published < 3; published++) {
		struct books books;
		struct seai_block *block;

		books_init(&books, SEA_ORPHANS_KEEP);
		block = books_send(&books, books.f, 5);
		CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_DROP, block, B_ID, 1, 3), SEAI_APPLIED);
		CHECK(is_used(block));
		CHECK_EQ(n_held(block, books.f), 0);
		CHECK_EQ(n_held(block, books.b), 0);
		if (published == 2) {
			CHECK_EQ(books_publish(&books, books.f, B_ID, 1, 3), SEAI_APPLIED);
			CHECK(is_used(block));
			CHECK_EQ(books_publish(&books, books.f, B_ID, 1, 4), SEAI_APPLIED);
			CHECK(!is_used(block));
			books_kill(&books, books.f);
			CHECK(!books.ledger->settlements);
		} else {
			books_kill(&books, books.f);
			CHECK(is_used(block));
			books_settle(&books, published ? 4 : 3);
			CHECK_EQ(is_used(block), !published);
		}
		if (!published) {
			struct sea_message *orphan = books_orphan(&books);

			CHECK(orphan);
			CHECK_EQ(sea_message_get_tag(orphan), 5);
			sea_message_unref(orphan);
		}
		CHECK(!books_orphan(&books));
		books_fini(&books);
	}
}

TEST(settle, "the target's word decides which grants of a dead forwarder hold")
{
	struct books books;
	struct seai_block *blocks[6];
	struct sea_message *orphan;

	books_init(&books, SEA_ORPHANS_KEEP);
	for (unsigned i = 0; i < 6; i++) {
		struct seai_record record;

		blocks[i] = books_send(&books, books.f, i);
		record = record_of(i == 5 ? SEAI_RECORD_SHARE : SEAI_RECORD_TRANSFER, blocks[i]);
		record.target_id = B_ID;
		record.link_id = 1;
		record.position = 100 + i;
		record.published = 100;
		CHECK_EQ(books_apply(&books, books.f, &record), SEAI_APPLIED);
	}
	books_kill(&books, books.f);
	/* F still had its own hold of what it shared: that is the work, and comes back at once. */
	orphan = books_orphan(&books);
	CHECK_EQ(sea_message_get_tag(orphan), 5);
	sea_message_unref(orphan);
	CHECK(!books_orphan(&books));
	CHECK_EQ(books.ledger->settlements->forwarder_id, F_ID);
	CHECK_EQ(books.ledger->settlements->target_id, B_ID);
	books_settle(&books, 103);
	for (unsigned i = 0; i < 6; i++)
		if (i < 5)
			CHECK_EQ(n_held(blocks[i], books.b), i < 3);
	CHECK(!is_used(blocks[5]));
	for (unsigned i = 3; i < 5; i++) {
		orphan = books_orphan(&books);
		CHECK_EQ(sea_message_get_tag(orphan), i);
		sea_message_unref(orphan);
		CHECK(!is_used(blocks[i]));
	}
	CHECK(!books_orphan(&books));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(books_do(&books, books.b, SEAI_RECORD_RELEASE, blocks[i]), SEAI_APPLIED);
	books_fini(&books);
}

TEST(settle_dead, "when the target dies before it answers, everything counts as published, and what it held comes back")
{
	struct books books;
	struct seai_block *block;
	struct sea_message *orphan;

	books_init(&books, SEA_ORPHANS_KEEP);
	block = books_send(&books, books.f, 1);
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_TRANSFER, block, B_ID, 1, 0), SEAI_APPLIED);
	books_kill(&books, books.f);
	CHECK(books.ledger->settlements);
	books_kill(&books, books.b);
	CHECK(!books.ledger->settlements);
	orphan = books_orphan(&books);
	CHECK_EQ(sea_message_get_tag(orphan), 1);
	CHECK(!books_orphan(&books));
	sea_message_unref(orphan);
	books_fini(&books);
}

TEST(debt, "an undone hold that its holder has given back already is owed, and paid by the next grant")
{
	struct books books;
	struct seai_block *block;
	struct sea_message *orphan;

	books_init(&books, SEA_ORPHANS_KEEP);
	block = books_send(&books, books.f, 3);
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_SHARE, block, C_ID, 1, 0), SEAI_APPLIED);
	/* F's descriptor to B never comes; B got the block from C, whose grant is not read yet, and releases that. */
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_TRANSFER, block, B_ID, 2, 0), SEAI_APPLIED);
	{
		struct seai_record record = record_of(SEAI_RECORD_RELEASE, block);

		record.has_token = false;
		CHECK_EQ(books_apply(&books, books.b, &record), SEAI_APPLIED);
	}
	books_kill(&books, books.f);
	while (books.ledger->settlements)
		books_settle(&books, books.ledger->settlements->target_id == B_ID ? 0 : 1);
	orphan = books_orphan(&books);
	CHECK_EQ(sea_message_get_tag(orphan), 3);
	CHECK(!books_orphan(&books));
	CHECK_EQ(books.ledger->n_debts, 1);
	CHECK_EQ(books_grant(&books, books.c, SEAI_RECORD_SHARE, block, B_ID, 3, 0), SEAI_APPLIED);
	CHECK_EQ(books.ledger->n_debts, 0);
	CHECK_EQ(n_held(block, books.b), 0);
	CHECK_EQ(n_held(block, books.c), 1);
	/* The next one is for good. */
	CHECK_EQ(books_grant(&books, books.c, SEAI_RECORD_SHARE, block, B_ID, 3, 1), SEAI_APPLIED);
	CHECK_EQ(n_held(block, books.b), 1);
	CHECK_EQ(books_do(&books, books.b, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK_EQ(books_do(&books, books.c, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	sea_message_unref(orphan);
	books_fini(&books);
}

TEST(dead_target, "work that was granted to somebody who is dead comes back; a share for the dead is nothing")
{
	struct books books;
	struct seai_block *block;
	struct seai_record record;
	struct sea_message *orphan;

	books_init(&books, SEA_ORPHANS_KEEP);
	block = books_send(&books, books.f, 4);
	record = record_of(SEAI_RECORD_SHARE, block);
	record.target_id = 0xdead;
	{
		SEAI_LOCKED(&books.session->books, lock);
		seai_ledger_apply_to_dead(books.session, books.f, &record, false);
		CHECK_EQ(n_held(block, books.f), 1);
		record.op = SEAI_RECORD_TRANSFER;
		record.has_token = true;
		seai_ledger_apply_to_dead(books.session, books.f, &record, false);
		CHECK_EQ(n_held(block, books.f), 0);
	}
	orphan = books_orphan(&books);
	CHECK_EQ(sea_message_get_tag(orphan), 4);
	sea_message_unref(orphan);
	CHECK(!is_used(block));
	books_fini(&books);
}

TEST(home, "a block that comes home is taken by one descriptor for each grant")
{
	struct books books;
	struct seai_block *block, *taken;
	uint64_t generation;

	books_init(&books, SEA_ORPHANS_KEEP);
	block = books_send(&books, books.f, 0);
	generation = block->generation;
	{
		SEAI_LOCKED(&books.session->books, lock);
		CHECK(!seai_ledger_take_returned(books.session, block->arena->id, block->id, generation, &taken));
	}
	CHECK_EQ(books_grant(&books, books.f, SEAI_RECORD_TRANSFER, block, books.session->id, 1, 0), SEAI_APPLIED);
	CHECK_EQ(block->n_own, 1);
	{
		SEAI_LOCKED(&books.session->books, lock);
		CHECK(!seai_ledger_take_returned(books.session, block->arena->id, block->id, generation + 1, &taken));
		CHECK(seai_ledger_take_returned(books.session, block->arena->id, block->id, generation, &taken));
		CHECK(taken == block);
		CHECK(!seai_ledger_take_returned(books.session, block->arena->id, block->id, generation, &taken));
		seai_ledger_release_own(books.session, block);
	}
	CHECK(!is_used(block));
	/* Undone where the descriptor never came: the work is an orphan. */
	block = books_send(&books, books.b, 8);
	CHECK_EQ(books_grant(&books, books.b, SEAI_RECORD_TRANSFER, block, books.session->id, 2, 0), SEAI_APPLIED);
	books_kill(&books, books.b);
	CHECK_EQ(books.ledger->settlements->target_id, books.session->id);
	books_settle(&books, 0);
	CHECK_EQ(block->n_returned, 0);
	CHECK_EQ(block->n_own, 1);
	sea_message_unref(books_orphan(&books));
	CHECK(!is_used(block));
	books_kill(&books, books.f);
	if (books.ledger->settlements)
		books_settle(&books, 1);
	books_fini(&books);
}

TEST(order, "what the dead had not released comes back in the order in which it was sent")
{
	enum { N = 500 };
	struct books books;
	uint64_t expected = 0;

	books_init(&books, SEA_ORPHANS_KEEP);
	{
		/* Blocks that were used before lie in the free list in another order. */
		struct seai_block *blocks[N];

		for (unsigned i = 0; i < N; i++)
			blocks[i] = fixture_allocate(books.heap, 100, 64);
		for (unsigned i = N; i > 1; i--) {
			unsigned j = (unsigned)(test_random() % i);
			struct seai_block *block = blocks[j];

			blocks[j] = blocks[i - 1];
			blocks[i - 1] = block;
		}
		for (unsigned i = 0; i < N; i++)
			fixture_release(blocks[i]);
	}
	for (unsigned i = 0; i < N; i++) {
		struct seai_block *block = books_send(&books, i % 3 ? books.f : books.b, i);

		if (i % 7 == 0)
			CHECK_EQ(books_do(&books, i % 3 ? books.f : books.b, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	}
	books_kill(&books, books.f);
	for (unsigned i = 0; i < N; i++) {
		struct sea_message *orphan;

		if (i % 7 == 0 || i % 3 == 0)
			continue;
		orphan = books_orphan(&books);
		CHECK(orphan);
		CHECK_EQ(sea_message_get_tag(orphan), i);
		sea_message_unref(orphan);
		expected++;
	}
	CHECK(!books_orphan(&books));
	CHECK_EQ(books.account->n_orphans, expected);
	CHECK_EQ(books.ledger->n_orphans, expected);
	books_kill(&books, books.b);
	while (books.account->n_orphans_waiting)
		sea_message_unref(books_orphan(&books));
	books_fini(&books);
}

TEST(account, "an account lives until all that was sent is back; after its end nothing is an orphan")
{
	struct books books;
	struct sea_message *first, *second;

	books_init(&books, SEA_ORPHANS_KEEP);
	books_send(&books, books.f, 1);
	books_send(&books, books.f, 2);
	books_send(&books, books.b, 3);
	CHECK_EQ(books.account->n_outstanding, 3);
	books_kill(&books, books.f);
	first = books_orphan(&books);
	{
		SEAI_LOCKED(&books.session->books, lock);
		seai_account_put_back(books.account, first);
		first = seai_account_take_orphan(books.account);
		CHECK_EQ(sea_message_get_tag(first), 1);
		second = seai_account_take_orphan(books.account);
		CHECK_EQ(sea_message_get_tag(second), 2);
		/* Put back into an empty list, it is the last one as well. */
		seai_account_put_back(books.account, second);
		CHECK_EQ(books.account->n_orphans_waiting, 1);
	}
	sea_message_unref(first);
	CHECK_EQ(books.account->n_outstanding, 2);
	/* Closed with an orphan waiting and another message out: both go. */
	seai_account_close(books.session, books.account);
	books.account = NULL;
	books_kill(&books, books.b);
	CHECK_EQ(books.ledger->n_orphans, 2);
	books_fini(&books);
}

TEST(policy, "without a wish for orphans the memory of the dead is free")
{
	struct books books;
	struct seai_block *block;

	books_init(&books, SEA_ORPHANS_DROP);
	block = books_send(&books, books.f, 1);
	books_kill(&books, books.f);
	CHECK(!is_used(block));
	CHECK(!books_orphan(&books));
	books_fini(&books);
}

TEST(notify, "a cookie comes once, after the last hold of all")
{
	struct books books;
	struct sea_message *message;
	struct seai_block *block;
	uint64_t cookies[4];

	books_init(&books, SEA_ORPHANS_DROP);
	CHECK_OK(sea_message_new(&message, books.heap, 100, 0, 0));
	CHECK_EQ(sea_message_notify(message, 11), 0);
	CHECK_EQ(sea_message_notify(message, 12), 1); /* the later one counts */
	block = message->ref.block;
	{
		SEAI_LOCKED(&books.session->books, lock);
		CHECK_OK(seai_ledger_hold(block, books.f, true));
		CHECK_OK(seai_ledger_hold(block, books.b, true));
	}
	sea_message_unref(message);
	CHECK_EQ(sea_session_take_done(books.session, cookies, 4), 0);
	CHECK_EQ(books_do(&books, books.f, SEAI_RECORD_RELEASE, block), SEAI_APPLIED);
	CHECK_EQ(sea_session_take_done(books.session, cookies, 4), 0);
	books_kill(&books, books.b);
	CHECK_EQ(sea_session_take_done(books.session, cookies, 4), 1);
	CHECK_EQ(cookies[0], 12);
	CHECK_EQ(sea_session_take_done(books.session, cookies, 4), 0);
	CHECK_EQ(books.session->n_notify, 0);
	books_fini(&books);
}
