/* SPDX-License-Identifier: Apache-2.0 */
/* Metas that are damaged, made up, of elsewhere, too early or stale, and those of owners and holders that are stopped or dead. */
#include "metas.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/meta.h"

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
		struct sea_meta meta = metas_of(message, 0), bad;

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
	const struct sea_meta meta = metas_of(message, 0);
	struct sea_resolved resolved;

	metas_check_resolves(other, &meta, 0, 1);
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
	struct sea_meta meta = metas_of(message, 0);
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
	meta = metas_of(message, 0);
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
	struct sea_meta meta = metas_of(message, 0), later = meta;
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
	CHECK_EQ(metas_of(large, 0).arena_id, later.arena_id);
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
	struct sea_meta first = metas_of(message, 0), second;
	struct sea_resolved resolved, before;

	CHECK_OK(sea_meta_resolve(other, &first, PEERS_LONG_NS, &before));
	sea_message_unref(message);
	message = peers_message(owner, 5000, 2);
	second = metas_of(message, 0);
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
		exposed->metas[i] = metas_of(messages[i], 0);
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
	metas_check_resolves(session, &exposed->metas[0], 0, 4);
	test_kill(pid);
	CHECK_EVENTUALLY(sea_meta_hold(session, &exposed->metas[1], PEERS_LONG_NS, &held) == -EOWNERDEAD);
	metas_check_resolves(session, &exposed->metas[0], 0, 4);
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
	metas_check_resolves(session, &exposed->metas[0], 0, 4);
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

	exposed->metas[0] = metas_of(message, 0);
	test_step_signal(&exposed->go, 1);
	test_step_wait(&exposed->ready);
	sea_message_unref(message);
	CHECK_GT(peers_n_bytes_used(session), 0);
	test_kill(pid);
	peers_wait_unused(session);
	sea_session_close(session);
	exposed_free(exposed);
}
