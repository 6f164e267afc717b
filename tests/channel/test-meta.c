/* SPDX-License-Identifier: Apache-2.0 */
/* Metas: made, carried by other roads than messages, resolved, checked, held; and everything that can be wrong with them. */
#include "peers.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/meta.h"

#define N_KINDS 4u

static struct sea_meta meta_of(struct sea_message *message, size_t index)
{
	struct sea_meta meta;

	CHECK_OK(sea_message_meta(message, index, 7, &meta));
	CHECK_EQ(meta.hint, 7);
	return meta;
}

/* The name does not depend on who makes it, nor on when. */
static void check_same(const struct sea_meta *meta, struct sea_message *message, size_t index)
{
	struct sea_meta again = meta_of(message, index);

	CHECK_MEM_EQ(&again, meta, sizeof(again));
}

/* A message of one of the kinds of memory: in a block, in the message object, several blocks in one, immutable. */
static struct sea_message *make(struct sea_session *session, unsigned kind, uint64_t n)
{
	struct sea_frame_options options = { .n_bytes_max = { 1 << 17 }, .flags = SEA_FRAME_IMMUTABLE };
	struct sea_frame *frame;

	if (kind < 2)
		return peers_message(session, kind ? 30 : 5000, n);
	if (kind == 2)
		frame = peers_frame(session, 1 << 17);
	else
		CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	peers_add(frame, 0, 100, n + 1);
	peers_add(frame, 0, kind == 2 ? 70000 : 30000, n);
	return peers_seal(frame);
}

static size_t part_of(unsigned kind)
{
	return kind < 2 ? 0 : 1;
}

static size_t size_of(unsigned kind)
{
	return kind == 0 ? 5000 : kind == 1 ? 30 : kind == 2 ? 70000 : 30000;
}

static void check_resolves(struct sea_session *session, const struct sea_meta *meta, unsigned kind, uint64_t n)
{
	struct sea_resolved resolved;

	CHECK_OK(sea_meta_resolve(session, meta, PEERS_LONG_NS, &resolved));
	CHECK_EQ(resolved.n_bytes, size_of(kind));
	peers_check(resolved.data, resolved.n_bytes, n);
	CHECK_OK(sea_meta_check(session, meta));
	CHECK_OK(sea_meta_resolve(session, meta, 0, &resolved));
}

TEST(round_trip, "a part of an unsent message is found by its meta in its owner and in another session of the process")
{
	struct sea_session *owner = peers_open(), *other = peers_open();

	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		struct sea_message *message = make(owner, kind, kind);
		struct sea_meta meta = meta_of(message, part_of(kind));

		CHECK_EQ(meta.owner_id, sea_session_id(owner));
		CHECK_EQ(meta.kind == SEA_META_IMMUTABLE, kind == 3);
		CHECK_EQ(meta.kind == SEA_META_SHARED, kind != 3 && getenv("SEALANE_TEST_TRANSPORT") != NULL);
		check_resolves(owner, &meta, kind, kind);
		check_resolves(other, &meta, kind, kind);
		check_same(&meta, message, part_of(kind));
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
	struct sea_meta meta = meta_of(message, 0);
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
	struct sea_meta metas[N_KINDS];
	_Atomic unsigned n_seen;
};

/* Has never sent or received anything. */
static void stranger(void *arg)
{
	struct table *table = arg;
	struct sea_session *session;

	test_step_wait(&table->ready);
	session = peers_open();

	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		check_resolves(session, &table->metas[kind], kind, 50 + kind);
		table->n_seen++;
	}
	sea_session_close(session);
}

TEST(stranger, "a process that never talked to the owner finds its parts")
{
	struct table *table = test_shared(sizeof(*table));
	struct sea_session *owner;
	struct sea_message *messages[N_KINDS];
	pid_t pid;

	test_step_init(&table->ready);
	pid = test_fork(stranger, table);
	owner = peers_open();
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		messages[kind] = make(owner, kind, 50 + kind);
		table->metas[kind] = meta_of(messages[kind], part_of(kind));
	}
	test_step_signal(&table->ready, 1);
	CHECK_EQ(test_wait(pid), 0);
	test_step_fini(&table->ready);
	CHECK_EQ(table->n_seen, N_KINDS);
	sea_message_unref_many(messages, N_KINDS);
	peers_wait_unused(owner);
	sea_session_close(owner);
}

static void reseal(struct sea_meta *meta)
{
	meta->checksum = seai_meta_checksum(meta);
}

TEST(damaged, "a meta with any bit flipped, cut short or made up is refused")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_resolved resolved;

	for (unsigned i = 0; i < 40; i++) {
		struct sea_message *message = peers_message(owner, 100 + (size_t)test_random() % 9000, i);
		struct sea_meta meta = meta_of(message, 0), bad;

		for (unsigned bit = 0; bit < 8 * sizeof(meta); bit++) {
			bad = meta;
			((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
			CHECK_ERR(sea_meta_resolve(other, &bad, PEERS_LONG_NS, &resolved), -EBADMSG);
			CHECK_ERR(sea_meta_hold(owner, &bad, PEERS_LONG_NS, &message), -EBADMSG);
		}
		for (unsigned n = 0; n < sizeof(meta); n++) {
			memset(&bad, 0, sizeof(bad));
			memcpy(&bad, &meta, n);
			if (memcmp(&bad, &meta, sizeof(bad)) != 0)
				CHECK_ERR(sea_meta_check(other, &bad), -EBADMSG);
		}
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < 1000; i++) {
		struct sea_meta bad;

		for (unsigned j = 0; j < sizeof(bad); j++)
			((uint8_t *)&bad)[j] = (uint8_t)test_random();
		CHECK_ERR(sea_meta_resolve(owner, &bad, 0, &resolved), -EBADMSG);
	}
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(liar, "a meta with a right checksum and wrong words is an error or bytes of the same arena, never a crash")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_message *message = peers_message(owner, 5000, 1);
	const struct sea_meta meta = meta_of(message, 0);
	struct sea_resolved resolved;

	check_resolves(other, &meta, 0, 1);
	for (unsigned i = 0; i < 3000; i++) {
		struct sea_meta bad = meta;
		struct sea_session *session = i % 2 ? owner : other;
		uint64_t word = test_random() >> test_random() % 64;
		int r;

		switch (i % 5) {
		case 0: bad.offset = word; break;
		case 1: bad.n_bytes = word; break;
		case 2: bad.block_id = (uint32_t)word; break;
		case 3: bad.generation = word; break;
		default:
			bad.offset += word;
			bad.n_bytes -= word;
			break;
		}
		reseal(&bad);
		r = sea_meta_resolve(session, &bad, 0, &resolved);
		if (r == 0 && resolved.n_bytes) {
			volatile uint8_t sum = ((const uint8_t *)resolved.data)[0];

			sum = ((const uint8_t *)resolved.data)[resolved.n_bytes - 1];
			(void)sum;
		} else {
			CHECK(r == 0 || r == -EBADMSG || r == -ESTALE);
		}
	}
	sea_message_unref(message);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(elsewhere, "a meta of another session, of another host, or of nobody is told apart")
{
	struct sea_session *owner = peers_open(), *other;
	struct sea_message *message = peers_message(owner, 5000, 1);
	struct sea_meta meta = meta_of(message, 0);
	struct sea_resolved resolved;

	CHECK_OK(sea_session_open(&other, &(struct sea_session_options){ .name = "another" }));
	CHECK_ERR(sea_meta_resolve(other, &meta, PEERS_LONG_NS, &resolved), -EREMOTE);
	CHECK_ERR(sea_meta_check(other, &meta), -EREMOTE);
	CHECK_ERR(sea_meta_hold(other, &meta, PEERS_LONG_NS, &message), -EREMOTE);
	sea_session_close(other);
	other = peers_open();
	meta.session ^= 4;
	reseal(&meta);
	CHECK_ERR(sea_meta_resolve(other, &meta, PEERS_LONG_NS, &resolved), -EREMOTE);
	meta = meta_of(message, 0);
	meta.owner_id ^= 1;
	reseal(&meta);
	CHECK_ERR(sea_meta_resolve(other, &meta, PEERS_LONG_NS, &resolved), -EOWNERDEAD);
	CHECK_ERR(sea_meta_hold(other, &meta, PEERS_LONG_NS, &message), -EOWNERDEAD);
	CHECK_ERR(sea_meta_check(other, &meta), -ENOENT);
	meta.owner_id = 0;
	reseal(&meta);
	CHECK_ERR(sea_meta_resolve(other, &meta, PEERS_LONG_NS, &resolved), -EBADMSG);
	sea_session_close(other);
	sea_message_unref(message);
	sea_session_close(owner);
}

TEST(early, "a look for an arena that is not there yet fails, and succeeds on the same thread once it is")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_message *message = peers_message(owner, 5000, 1), *large;
	struct sea_meta meta = meta_of(message, 0), later = meta;
	struct sea_resolved resolved;

	later.arena_id++;
	later.block_id = 0;
	later.generation = 0;
	later.offset = 4 << 20;
	reseal(&later);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_ERR(sea_meta_resolve(other, &later, PEERS_LONG_NS, &resolved), -ENOENT);
		CHECK_ERR(sea_meta_resolve(owner, &later, PEERS_LONG_NS, &resolved), -ENOENT);
		CHECK_ERR(sea_meta_hold(other, &later, PEERS_LONG_NS, &message), -ENOENT);
	}
	/* Large enough for an arena of its own, which is the next. */
	CHECK_OK(sea_message_new(&large, sea_session_heap(owner), 200 << 20, 0, 0));
	CHECK_EQ(meta_of(large, 0).arena_id, later.arena_id);
	CHECK_OK(sea_meta_resolve(other, &later, PEERS_LONG_NS, &resolved));
	CHECK_OK(sea_meta_resolve(owner, &later, PEERS_LONG_NS, &resolved));
	sea_message_unref(large);
	sea_message_unref(message);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(reuse, "a meta is stale when its block was freed, also when the same address is in use again")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_message *message = peers_message(owner, 5000, 1);
	struct sea_meta first = meta_of(message, 0), second;
	struct sea_resolved resolved, before;

	CHECK_OK(sea_meta_resolve(other, &first, PEERS_LONG_NS, &before));
	sea_message_unref(message);
	message = peers_message(owner, 5000, 2);
	second = meta_of(message, 0);
	CHECK_EQ(second.offset, first.offset);
	CHECK_NE(second.generation, first.generation);
	CHECK_ERR(sea_meta_resolve(other, &first, 0, &resolved), -ESTALE);
	CHECK_ERR(sea_meta_resolve(owner, &first, 0, &resolved), -ESTALE);
	CHECK_ERR(sea_meta_hold(other, &first, PEERS_LONG_NS, &message), -ESTALE);
	CHECK_OK(sea_meta_resolve(other, &second, 0, &resolved));
	CHECK(resolved.data == before.data);
	peers_check(resolved.data, 5000, 2);
	sea_message_unref(message);
	/* Nor does it come back with its arena. */
	CHECK_OK(sea_heap_trim(sea_session_heap(owner), 0));
	CHECK_ERR(sea_meta_resolve(owner, &second, 0, &resolved), -ESTALE);
	CHECK_ERR(sea_meta_resolve(other, &second, 0, &resolved), -ESTALE);
	CHECK_ERR(sea_meta_resolve(other, &first, 0, &resolved), -ESTALE);
	CHECK_OK(sea_meta_forget(other));
	CHECK_EVENTUALLY(peers_stats(owner).n_bytes_backed == 0);
	CHECK_ERR(sea_meta_resolve(other, &second, PEERS_LONG_NS, &resolved), -ESTALE);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(hold, "a part that is held stays after its message is gone, and is free when the hold is given back")
{
	struct sea_session *owner = peers_open(), *other = peers_open();

	for (unsigned kind = 0; kind < N_KINDS; kind++)
		for (unsigned i = 0; i < 2; i++) {
			struct sea_message *message = make(owner, kind, 9), *held;
			struct sea_meta meta = meta_of(message, part_of(kind));

			CHECK_OK(sea_meta_hold(i ? owner : other, &meta, PEERS_LONG_NS, &held));
			sea_message_unref(message);
			CHECK_GT(peers_n_bytes_used(owner), 0);
			CHECK_EQ(sea_message_n_parts(held), 1);
			peers_check_part(held, 0, size_of(kind), 9);
			CHECK(!sea_message_write(held));
			check_resolves(other, &meta, kind, 9);
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
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		struct sea_message *message = make(owner, kind, 3), *held;
		struct sea_meta meta = meta_of(message, part_of(kind));

		CHECK_OK(sea_meta_hold(other, &meta, PEERS_LONG_NS, &held));
		sea_message_unref(message);
		peers_send(push, held);
		message = peers_receive(pull);
		peers_check_part(message, 0, size_of(kind), 3);
		check_same(&meta, message, 0);
		peers_send(back, message);
		message = peers_receive(home);
		peers_check_part(message, 0, size_of(kind), 3);
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

struct exposed {
	struct test_step ready, go;
	struct sea_meta metas[2];
};

/* Owns two parts far from each other, and waits. */
static void exposed_owner(void *arg)
{
	struct exposed *exposed = arg;
	struct sea_session *session = peers_open();
	struct sea_message *messages[2] = { peers_message(session, 5000, 4), NULL };

	CHECK_OK(sea_message_new(&messages[1], sea_session_heap(session), 100 << 20, 0, 0));
	for (unsigned i = 0; i < 2; i++)
		exposed->metas[i] = meta_of(messages[i], 0);
	test_step_signal(&exposed->ready, 1);
	test_step_wait(&exposed->go);
	sea_message_unref_many(messages, 2);
	peers_wait_unused(session);
	sea_session_close(session);
}

static struct exposed *exposed_new(void)
{
	struct exposed *exposed = test_shared(sizeof(*exposed));

	test_step_init(&exposed->ready);
	test_step_init(&exposed->go);
	return exposed;
}

static void exposed_free(struct exposed *exposed)
{
	test_step_fini(&exposed->ready);
	test_step_fini(&exposed->go);
}

TEST(dead, "of a killed owner what is mapped here stays, can be held and sent on; what is not is -EOWNERDEAD")
{
	struct exposed *exposed = exposed_new();
	pid_t pid = test_fork(exposed_owner, exposed);
	struct sea_session *session = peers_open();
	struct sea_message *held;
	struct sea_resolved resolved;

	test_step_wait(&exposed->ready);
	check_resolves(session, &exposed->metas[0], 0, 4);
	test_kill(pid);
	CHECK_EVENTUALLY(sea_meta_hold(session, &exposed->metas[1], PEERS_LONG_NS, &held) == -EOWNERDEAD);
	check_resolves(session, &exposed->metas[0], 0, 4);
	CHECK_ERR(sea_meta_resolve(session, &exposed->metas[1], PEERS_LONG_NS, &resolved), -EOWNERDEAD);
	CHECK_OK(sea_meta_hold(session, &exposed->metas[0], PEERS_LONG_NS, &held));
	CHECK_OK(sea_meta_forget(session));
	peers_check_part(held, 0, 5000, 4);
	sea_message_unref(held);
	CHECK_EVENTUALLY(peers_stats(session).n_arenas_attached == 0);
	CHECK_ERR(sea_meta_resolve(session, &exposed->metas[0], PEERS_LONG_NS, &resolved), -EOWNERDEAD);
	sea_session_close(session);
	exposed_free(exposed);
}

TEST(stopped, "a stopped owner costs its asker no more than the time given, and a hold that comes late is given back")
{
	struct exposed *exposed = exposed_new();
	pid_t pid = test_fork(exposed_owner, exposed);
	struct sea_session *session = peers_open();
	struct sea_message *held;
	struct sea_resolved resolved;
	int status;

	test_step_wait(&exposed->ready);
	CHECK_SYS(kill(pid, SIGSTOP));
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid); /* stopping takes a moment */
	CHECK_ERR(sea_meta_resolve(session, &exposed->metas[0], 0, &resolved), -EAGAIN);
	CHECK_ERR(sea_meta_resolve(session, &exposed->metas[0], PEERS_SHORT_NS, &resolved), -ETIMEDOUT);
	CHECK_ERR(sea_meta_hold(session, &exposed->metas[0], PEERS_SHORT_NS, &held), -ETIMEDOUT);
	CHECK_ERR(sea_meta_hold(session, &exposed->metas[1], 0, &held), -EAGAIN);
	CHECK_SYS(kill(pid, SIGCONT));
	check_resolves(session, &exposed->metas[0], 0, 4);
	/* It waits until nobody holds anything of it. */
	test_step_signal(&exposed->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	sea_session_close(session);
	exposed_free(exposed);
}

/* Holds a part, and is killed with it. */
static void holder(void *arg)
{
	struct exposed *exposed = arg;
	struct sea_session *session;
	struct sea_message *held[10];

	test_step_wait(&exposed->go);
	session = peers_open();
	for (unsigned i = 0; i < 10; i++)
		CHECK_OK(sea_meta_hold(session, &exposed->metas[0], PEERS_LONG_NS, &held[i]));
	test_step_signal(&exposed->ready, 1);
	for (;;)
		pause();
}

TEST(holder_dies, "what a killed process held by metas is free again")
{
	struct exposed *exposed = exposed_new();
	pid_t pid = test_fork(holder, exposed);
	struct sea_session *session = peers_open();
	struct sea_message *message = peers_message(session, 5000, 4);

	exposed->metas[0] = meta_of(message, 0);
	test_step_signal(&exposed->go, 1);
	test_step_wait(&exposed->ready);
	sea_message_unref(message);
	CHECK_GT(peers_n_bytes_used(session), 0);
	test_kill(pid);
	peers_wait_unused(session);
	sea_session_close(session);
	exposed_free(exposed);
}

struct race {
	struct sea_session *session;
	_Atomic bool is_over;
	struct sea_meta metas[8]; /* torn copies are refused by their checksum */
	_Atomic uint64_t n_good, n_stale;
};

static void *race_read(void *arg)
{
	struct race *race = arg;
	uint8_t bytes[2000];

	while (!race->is_over || race->n_good < 100) {
		struct sea_meta meta;
		struct sea_resolved resolved;
		unsigned at = (unsigned)(test_random() % 8);
		bool is_same = true;
		int r;

		for (size_t i = 0; i < sizeof(meta); i++)
			((uint8_t *)&meta)[i] = __atomic_load_n((uint8_t *)&race->metas[at] + i, __ATOMIC_RELAXED);
		r = sea_meta_resolve(race->session, &meta, PEERS_LONG_NS, &resolved);
		if (r < 0) {
			CHECK(r == -ESTALE || r == -EBADMSG);
			race->n_stale++;
			continue;
		}
		CHECK_EQ(resolved.n_bytes, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = __atomic_load_n((const uint8_t *)resolved.data + i, __ATOMIC_RELAXED);
		r = sea_meta_check(race->session, &meta);
		if (r < 0) {
			CHECK_EQ(r, -ESTALE);
			race->n_stale++;
			continue;
		}
		for (size_t i = 0; i < sizeof(bytes); i++)
			is_same &= bytes[i] == (uint8_t)meta.hint;
		CHECK(is_same);
		race->n_good++;
	}
	return NULL;
}

TEST(race, "a reader that races with the reuse of a part never takes torn bytes for good")
{
	struct sea_session *owner = peers_open();
	struct race race = { .session = peers_open() };
	struct sea_message *messages[8] = { NULL };
	pthread_t threads[2];
	unsigned n_rounds = test_is_sanitized() ? 4000 : 60000;

	for (unsigned round = 0; round < n_rounds || race.n_good < 100; round++) {
		unsigned i = round % 8;
		struct sea_meta meta;
		uint8_t *data;

		messages[i] = sea_message_unref(messages[i]);
		CHECK_OK(sea_message_new(&messages[i], sea_session_heap(owner), 2000, 0, 0));
		data = sea_message_write(messages[i]);
		for (unsigned j = 0; j < 2000; j++)
			__atomic_store_n(&data[j], (uint8_t)round, __ATOMIC_RELAXED);
		CHECK_OK(sea_message_meta(messages[i], 0, round & 0xff, &meta));
		for (size_t j = 0; j < sizeof(meta); j++)
			__atomic_store_n((uint8_t *)&race.metas[i] + j, ((uint8_t *)&meta)[j], __ATOMIC_RELAXED);
		for (unsigned j = 0; round == 8 && j < 2; j++)
			CHECK_EQ(pthread_create(&threads[j], NULL, race_read, &race), 0);
	}
	race.is_over = true;
	for (unsigned j = 0; j < 2; j++)
		CHECK_EQ(pthread_join(threads[j], NULL), 0);
	sea_message_unref_many(messages, 8);
	sea_session_close(race.session);
	sea_session_close(owner);
}

struct crowd {
	struct sea_session *session;
	const struct sea_meta *metas;
	unsigned n_metas;
};

static void *crowd_resolve(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned i = 0; i < 4 * crowd->n_metas; i++) {
		const struct sea_meta *meta = &crowd->metas[test_random() % crowd->n_metas];
		struct sea_resolved resolved;

		CHECK_OK(sea_meta_resolve(crowd->session, meta, PEERS_LONG_NS, &resolved));
		CHECK_EQ(*(const uint64_t *)resolved.data, meta->hint);
	}
	return NULL;
}

TEST(crowd, "many threads resolve into many arenas at once, each seen for the first time")
{
	struct sea_session *owner = peers_open();
	struct crowd crowd = { .session = peers_open(), .n_metas = 200 };
	struct sea_message *messages[200];
	struct sea_meta metas[200];
	struct sea_resolved resolved[200];
	struct sea_frame_options options = { .n_bytes_max = { 4096 }, .flags = SEA_FRAME_IMMUTABLE };
	pthread_t threads[4];

	for (uint64_t i = 0; i < 200; i++) {
		struct sea_frame *frame;
		void *data;

		/* One arena each. */
		CHECK_OK(sea_frame_new(&frame, sea_session_heap(owner), &options, 0));
		CHECK_OK(sea_frame_add(frame, 8, 0, &data));
		memcpy(data, &i, 8);
		messages[i] = peers_seal(frame);
		CHECK_OK(sea_message_meta(messages[i], 0, i, &metas[i]));
	}
	crowd.metas = metas;
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, crowd_resolve, &crowd), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(sea_meta_resolve_many(crowd.session, metas, 200, 0, resolved), 200);
	for (uint64_t i = 0; i < 200; i++)
		CHECK_EQ(*(const uint64_t *)resolved[i].data, i);
	metas[100].n_bytes++;
	CHECK_EQ(sea_meta_resolve_many(crowd.session, metas, 200, 0, resolved), 100);
	CHECK_ERR(sea_meta_resolve_many(crowd.session, metas + 100, 1, 0, resolved), -EBADMSG);
	CHECK_EQ(peers_stats(crowd.session).n_arenas_attached, 200);
	CHECK_OK(sea_meta_forget(crowd.session));
	sea_message_unref_many(messages, 200);
	CHECK_EVENTUALLY(peers_stats(crowd.session).n_arenas_attached == 0);
	CHECK_EVENTUALLY(peers_stats(owner).n_bytes_backed == 0);
	sea_session_close(crowd.session);
	sea_session_close(owner);
}

TEST(resolver, "a channel's resolver finds what came by another road, for code that knows neither channel nor session")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_channel *channel = peers_connect(other, SEA_PULL, "nobody");
	struct sea_message *message = peers_message(owner, 5000, 8);
	struct sea_meta meta = meta_of(message, 0);
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
	struct sea_meta meta = meta_of(message, 0);
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
