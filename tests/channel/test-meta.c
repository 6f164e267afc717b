/* SPDX-License-Identifier: Apache-2.0 */
/* Metas: made, carried by other roads than messages, resolved, checked, held. What can be wrong with them: test-meta-wrong.c. */
#include "metas.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(round_trip, "a part of an unsent message is found by its meta in its owner and in another session of the process")
{
	struct sea_session *owner = peers_open(), *other = peers_open();

	for (unsigned kind = 0; kind < METAS_N_KINDS; kind++) {
		struct sea_message *message = metas_make(owner, kind, kind);
		struct sea_meta meta = metas_of(message, metas_part(kind));

		CHECK_EQ(meta.owner_id, sea_session_id(owner));
		CHECK_EQ(meta.kind == SEA_META_IMMUTABLE, kind == 3);
		CHECK_EQ(meta.kind == SEA_META_SHARED, kind != 3 && getenv("SEALANE_TEST_TRANSPORT") != NULL);
		metas_check_resolves(owner, &meta, kind, kind);
		metas_check_resolves(other, &meta, kind, kind);
		metas_check_same(&meta, message, metas_part(kind));
		sea_message_unref(message);
		CHECK_ERR(sea_meta_resolve(owner, &meta, 0, &(struct sea_resolved){ 0 }), -ESTALE);
		CHECK_ERR(sea_meta_check(owner, &meta), -ESTALE);
		if (kind != 3) {
			CHECK_ERR(sea_meta_resolve(other, &meta, 0, &(struct sea_resolved){ 0 }), -ESTALE);
			CHECK_ERR(sea_meta_check(other, &meta), -ESTALE);
		}
	}
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(zero, "a part of zero bytes resolves to NULL and 0 everywhere, and can be held")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_message *message = peers_message(owner, 0, 0), *held;
	struct sea_meta meta = metas_of(message, 0);
	struct sea_resolved resolved = { &resolved, 1 };

	CHECK_EQ(meta.kind, SEA_META_EMPTY);
	sea_message_unref(message);
	CHECK_OK(sea_meta_resolve(other, &meta, 0, &resolved));
	CHECK(!resolved.data);
	CHECK_EQ(resolved.n_bytes, 0);
	CHECK_OK(sea_meta_check(other, &meta));
	CHECK_OK(sea_meta_hold(other, &meta, 0, &held));
	CHECK_EQ(sea_message_size(held), 0);
	CHECK_EQ(sea_message_n_parts(held), 1);
	sea_message_unref(held);
	sea_session_close(other);
	sea_session_close(owner);
}

struct table {
	struct test_step ready;
	struct sea_meta metas[METAS_N_KINDS];
	_Atomic unsigned n_seen;
};

/* Has never sent or received anything. */
static void stranger(void *arg)
{
	struct table *table = arg;
	struct sea_session *session;

	test_step_wait(&table->ready);
	session = peers_open();

	for (unsigned kind = 0; kind < METAS_N_KINDS; kind++) {
		metas_check_resolves(session, &table->metas[kind], kind, 50 + kind);
		table->n_seen++;
	}
	sea_session_close(session);
}

TEST(stranger, "a process that never talked to the owner finds its parts")
{
	struct table *table = test_shared(sizeof(*table));
	struct sea_session *owner;
	struct sea_message *messages[METAS_N_KINDS];
	pid_t pid;

	test_step_init(&table->ready);
	pid = test_fork(stranger, table);
	owner = peers_open();
	for (unsigned kind = 0; kind < METAS_N_KINDS; kind++) {
		messages[kind] = metas_make(owner, kind, 50 + kind);
		table->metas[kind] = metas_of(messages[kind], metas_part(kind));
	}
	test_step_signal(&table->ready, 1);
	CHECK_EQ(test_wait(pid), 0);
	test_step_fini(&table->ready);
	CHECK_EQ(table->n_seen, METAS_N_KINDS);
	sea_message_unref_many(messages, METAS_N_KINDS);
	peers_wait_unused(owner);
	sea_session_close(owner);
}

TEST(hold, "a part that is held stays after its message is gone, and is free when the hold is given back")
{
	struct sea_session *owner = peers_open(), *other = peers_open();

	for (unsigned kind = 0; kind < METAS_N_KINDS; kind++)
		for (unsigned i = 0; i < 2; i++) {
			struct sea_message *message = metas_make(owner, kind, 9), *held;
			struct sea_meta meta = metas_of(message, metas_part(kind));

			CHECK_OK(sea_meta_hold(i ? owner : other, &meta, PEERS_LONG_NS, &held));
			sea_message_unref(message);
			CHECK_GT(peers_n_bytes_used(owner), 0);
			CHECK_EQ(sea_message_n_parts(held), 1);
			peers_check_part(held, 0, metas_size(kind), 9);
			CHECK(!sea_message_write(held));
			metas_check_resolves(other, &meta, kind, 9);
			sea_message_unref(held);
			peers_wait_unused(owner);
		}
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(hold_on, "a held part can be sent on like a message, and be forwarded to its owner")
{
	struct sea_session *owner = peers_open(), *other = peers_open(), *third = peers_open();
	struct sea_channel *push = peers_bind(other, SEA_PUSH, "m"), *pull = peers_connect(third, SEA_PULL, "m");
	struct sea_channel *back = peers_bind(third, SEA_PUSH, "n"), *home = peers_connect(owner, SEA_PULL, "n");

	peers_wait(push, 1);
	peers_wait(back, 1);
	for (unsigned kind = 0; kind < METAS_N_KINDS; kind++) {
		struct sea_message *message = metas_make(owner, kind, 3), *held;
		struct sea_meta meta = metas_of(message, metas_part(kind));

		CHECK_OK(sea_meta_hold(other, &meta, PEERS_LONG_NS, &held));
		sea_message_unref(message);
		peers_send(push, held);
		message = peers_receive(pull);
		peers_check_part(message, 0, metas_size(kind), 3);
		metas_check_same(&meta, message, 0);
		peers_send(back, message);
		message = peers_receive(home);
		peers_check_part(message, 0, metas_size(kind), 3);
		sea_message_unref(message);
		peers_wait_unused(owner);
	}
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_channel_close(back);
	sea_channel_close(home);
	sea_session_close(third);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(resolver, "a channel's resolver finds what came by another road, for code that knows neither channel nor session")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_channel *channel = peers_connect(other, SEA_PULL, "nobody");
	struct sea_message *message = peers_message(owner, 5000, 8);
	struct sea_meta meta = metas_of(message, 0);
	struct sea_resolver resolver;
	struct sea_resolved resolved;

	CHECK_OK(sea_channel_resolver(channel, &resolver));
	CHECK_OK(resolver.resolve(&meta, PEERS_LONG_NS, &resolved, resolver.userdata));
	peers_check(resolved.data, 5000, 8);
	CHECK(sea_features() & SEA_FEATURE_META);
	sea_channel_close(channel);
	sea_message_unref(message);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(layout, "a meta is 64 bytes with each word at its place")
{
	struct sea_session *session = peers_open();
	struct sea_message *message = peers_message(session, 5000, 8);
	struct sea_meta meta;
	uint8_t bytes[64];
	uint64_t word;

	CHECK_OK(sea_message_meta(message, 0, UINT64_C(0x1122334455667788), &meta));
	memcpy(bytes, &meta, sizeof(bytes));
	CHECK_MEM_EQ(bytes, "SEAM\1", 5);
	CHECK_EQ(bytes[6] | bytes[7], 0);
	memcpy(&word, bytes + 8, 8);
	CHECK_EQ(word, sea_session_id(session));
	memcpy(&word, bytes + 40, 8);
	CHECK_EQ(word, 5000);
	memcpy(&word, bytes + 48, 8);
	CHECK_EQ(word, UINT64_C(0x1122334455667788));
	sea_message_unref(message);
	sea_session_close(session);
}

TEST(fork, "in a forked child every call on metas says so")
{
	struct sea_session *session = peers_open();
	struct sea_message *message = peers_message(session, 5000, 8);
	struct sea_meta meta = metas_of(message, 0);
	pid_t pid = fork();

	if (pid == 0) {
		struct sea_resolved resolved;

		CHECK_ERR(sea_message_meta(message, 0, 0, &meta), -EPERM);
		CHECK_ERR(sea_meta_resolve(session, &meta, 0, &resolved), -EPERM);
		CHECK_ERR(sea_meta_resolve_many(session, &meta, 1, 0, &resolved), -EPERM);
		CHECK_ERR(sea_meta_check(session, &meta), -EPERM);
		CHECK_ERR(sea_meta_hold(session, &meta, 0, &message), -EPERM);
		CHECK_ERR(sea_meta_forget(session), -EPERM);
		_exit(0);
	}
	CHECK_EQ(test_wait(pid), 0);
	sea_message_unref(message);
	sea_session_close(session);
}
