/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of messages whose receiver dies or leaves; and being told when the last hold anywhere is gone. */
#include "peers.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static struct test_step taken, go;

/* Takes `arg` messages, keeps them, and waits to be killed. */
static void take_and_die(void *arg)
{
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_connect(session, SEA_PULL, "work");

	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		(void)peers_receive(pull);
	test_step_signal(&taken, 1);
	for (;;)
		pause();
}

/* Takes messages, releases all but the last two, and leaves in order. */
static void take_and_leave(void *arg)
{
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_connect(session, SEA_PULL, "work");

	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		sea_message_unref(peers_receive(pull));
	test_step_signal(&taken, 1);
	test_step_wait(&go);
	sea_channel_close(pull);
	sea_session_close(session);
}

static void orphan_init(void)
{
	test_step_init(&taken);
	test_step_init(&go);
}

static void orphan_fini(void)
{
	test_step_fini(&taken);
	test_step_fini(&go);
}

static struct sea_channel *work(struct sea_session *session, enum sea_orphans orphans)
{
	struct sea_channel *push = peers_channel(session, SEA_PUSH, orphans, 0);

	CHECK_OK(sea_channel_bind(push, "work"));
	return push;
}

/* A frame of two parts for odd numbers, a small message for every fourth. */
static struct sea_message *job(struct sea_session *session, uint64_t n)
{
	struct sea_message *message;
	struct sea_frame *frame;

	if (n % 4 == 0)
		return peers_message(session, 25, n);
	if (n % 2 == 0)
		return peers_message(session, 9000, n);
	frame = peers_frame(session, 30000);
	peers_add(frame, 0, 10000, n);
	peers_add(frame, 0, 100, n + 1);
	message = peers_seal(frame);
	sea_message_set_tag(message, n);
	return message;
}

static void check_job(const struct sea_message *message, uint64_t n)
{
	CHECK_EQ(sea_message_get_tag(message), n);
	peers_check_part(message, 0, n % 4 == 0 ? 25 : n % 2 == 0 ? 9000 : 10000, n);
	if (n % 2)
		peers_check_part(message, 1, 100, n + 1);
}

TEST(drop, "by default the memory of what a dead receiver had is free again, read or unread")
{
	struct sea_session *session;
	struct sea_channel *push;
	pid_t pid;

	orphan_init();
	pid = test_fork(take_and_die, (void *)5);
	session = peers_open();
	push = work(session, SEA_ORPHANS_DROP);
	for (unsigned i = 0; i < 12; i++)
		peers_send(push, job(session, i));
	test_step_wait(&taken);
	CHECK_GT(peers_n_bytes_used(session), 0);
	test_kill(pid);
	peers_wait_unused(session);
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	CHECK_EQ(peers_channel_stats(push).n_orphans, 0);
	CHECK_ERR(sea_channel_take_orphan(push, &(struct sea_message *){ NULL }), -EAGAIN);
	sea_channel_close(push);
	sea_session_close(session);
	orphan_fini();
}

TEST(keep, "what a dead receiver had not released comes back in order, whole, and can be sent to another")
{
	struct sea_session *session, *other;
	struct sea_channel *push, *pull;
	struct sea_message *orphan;
	struct pollfd pollfd = { .events = POLLIN };
	pid_t pid;

	orphan_init();
	pid = test_fork(take_and_die, (void *)5);
	session = peers_open();
	push = work(session, SEA_ORPHANS_KEEP);
	pollfd.fd = (int)CHECK_OK(sea_channel_fd(push));
	for (unsigned i = 0; i < 12; i++)
		peers_send(push, job(session, i));
	test_step_wait(&taken);
	CHECK_ERR(sea_channel_take_orphan(push, &orphan), -EAGAIN);
	CHECK_ERR(sea_channel_flush(push, 0), -EAGAIN);
	test_kill(pid);
	CHECK_EVENTUALLY(peers_channel_stats(push).n_orphans_waiting == 12);
	CHECK_SYS(poll(&pollfd, 1, 10000));
	CHECK_EQ(pollfd.revents, POLLIN);
	CHECK_ERR(sea_channel_flush(push, PEERS_LONG_NS), -EPIPE);
	CHECK_EQ(peers_stats(session).n_orphans, 12);
	other = peers_open();
	pull = peers_connect(other, SEA_PULL, "work");
	for (unsigned i = 0; i < 12; i++) {
		CHECK_OK(sea_channel_take_orphan(push, &orphan));
		check_job(orphan, i);
		CHECK(!sea_message_write(orphan));
		if (i % 3 == 0) {
			sea_message_unref(orphan);
			continue;
		}
		peers_send(push, orphan);
		orphan = peers_receive(pull);
		check_job(orphan, i);
		sea_message_unref(orphan);
	}
	CHECK_ERR(sea_channel_take_orphan(push, &orphan), -EAGAIN);
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	CHECK_EQ(peers_channel_stats(push).n_orphans, 12);
	CHECK_EQ(peers_channel_stats(push).n_orphans_waiting, 0);
	peers_wait_unused(session);
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(push);
	sea_session_close(session);
	orphan_fini();
}

TEST(resend, "what a dead receiver had not released goes to another by itself, before what is sent next")
{
	struct sea_session *session, *other;
	struct sea_channel *push, *pull;
	pid_t pid;

	orphan_init();
	pid = test_fork(take_and_die, (void *)5);
	session = peers_open();
	push = work(session, SEA_ORPHANS_RESEND);
	for (unsigned i = 0; i < 12; i++)
		peers_send(push, job(session, i));
	test_step_wait(&taken);
	test_kill(pid);
	CHECK_EVENTUALLY(peers_channel_stats(push).n_orphans_waiting == 12);
	other = peers_open();
	pull = peers_connect(other, SEA_PULL, "work");
	peers_send(push, job(session, 12));
	for (unsigned i = 0; i < 13; i++) {
		struct sea_message *message = peers_receive(pull);

		check_job(message, i);
		sea_message_unref(message);
	}
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	peers_wait_unused(session);
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(push);
	sea_session_close(session);
	orphan_fini();
}

static void *receive_eight(void *arg)
{
	for (unsigned i = 0; i < 8; i++) {
		struct sea_message *message = peers_receive(arg);

		check_job(message, i);
		sea_message_unref(message);
	}
	return NULL;
}

TEST(flush_resends, "waiting for the end of all that was sent sends orphans again meanwhile")
{
	struct sea_session *session, *other;
	struct sea_channel *push, *pull;
	pthread_t thread;
	pid_t pid;

	orphan_init();
	pid = test_fork(take_and_die, (void *)3);
	session = peers_open();
	push = work(session, SEA_ORPHANS_RESEND);
	for (unsigned i = 0; i < 8; i++)
		peers_send(push, job(session, i));
	test_step_wait(&taken);
	other = peers_open();
	pull = peers_connect(other, SEA_PULL, "work");
	peers_wait(push, 2);
	CHECK_EQ(pthread_create(&thread, NULL, receive_eight, pull), 0);
	kill(pid, SIGKILL);
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	test_wait(pid);
	CHECK_EQ(peers_channel_stats(push).n_orphans, 8);
	peers_wait_unused(session);
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(push);
	sea_session_close(session);
	orphan_fini();
}

TEST(leave, "who closes its channel gives back what it has not taken, and nothing that it has")
{
	for (int policy = SEA_ORPHANS_DROP; policy <= SEA_ORPHANS_RESEND; policy++) {
		struct sea_session *session;
		struct sea_channel *push;
		pid_t pid;

		orphan_init();
		pid = test_fork(take_and_leave, (void *)4);
		session = peers_open();
		push = work(session, (enum sea_orphans)policy);
		for (unsigned i = 0; i < 10; i++)
			peers_send(push, job(session, i));
		test_step_wait(&taken);
		test_step_signal(&go, 1);
		CHECK_EQ(test_wait(pid), 0);
		if (policy == SEA_ORPHANS_DROP) {
			peers_wait_unused(session);
			CHECK_EQ(peers_channel_stats(push).n_orphans, 0);
		} else {
			CHECK_EVENTUALLY(peers_channel_stats(push).n_orphans == 6);
		}
		if (policy == SEA_ORPHANS_KEEP)
			for (unsigned i = 4; i < 10; i++) {
				struct sea_message *orphan;

				CHECK_OK(sea_channel_take_orphan(push, &orphan));
				check_job(orphan, i);
				sea_message_unref(orphan);
			}
		/* What waits to be sent again goes with the channel. */
		sea_channel_close(push);
		peers_wait_unused(session);
		sea_session_close(session);
		orphan_fini();
	}
}

TEST(close_in_process,
     "a channel that is closed while its process goes on gives back the unread, and what it read stays held")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = work(a, SEA_ORPHANS_KEEP), *pull = peers_connect(b, SEA_PULL, "work");
	struct sea_message *held[3], *orphan;

	for (unsigned i = 0; i < 9; i++)
		peers_send(push, job(a, i + 1));
	for (unsigned i = 0; i < 3; i++)
		held[i] = peers_receive(pull);
	sea_channel_close(pull);
	CHECK_EVENTUALLY(peers_channel_stats(push).n_orphans == 6);
	for (unsigned i = 3; i < 9; i++) {
		CHECK_OK(sea_channel_take_orphan(push, &orphan));
		check_job(orphan, i + 1);
		sea_message_unref(orphan);
	}
	for (unsigned i = 0; i < 3; i++) {
		check_job(held[i], i + 1);
		sea_message_unref(held[i]);
	}
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	peers_wait_unused(a);
	/* That it has closed is known a little later than what it gave back: until then it could be sent to, and would give back that too. */
	CHECK_EVENTUALLY(peers_channel_stats(push).n_links == 0);
	/* With nobody there, the next one waits for somebody. */
	pull = peers_connect(b, SEA_PULL, "work");
	peers_send(push, job(a, 2));
	sea_message_unref(peers_receive(pull));
	sea_channel_close(pull);
	sea_channel_close(push);
	sea_session_close(b);
	sea_session_close(a);
}

TEST(fanout, "when one of several holders of a message dies, only its part of the work comes back")
{
	struct sea_session *session, *other;
	struct sea_channel *push, *pull;
	struct sea_message *message, *held, *orphan;
	pid_t pid;

	orphan_init();
	pid = test_fork(take_and_die, (void *)1);
	session = peers_open();
	other = peers_open();
	push = work(session, SEA_ORPHANS_KEEP);
	pull = peers_connect(other, SEA_PULL, "work");
	peers_wait(push, 2);
	message = peers_message(session, 9000, 2);
	CHECK_EQ(sea_channel_send_each(push, &message, NULL), 2);
	held = peers_receive(pull);
	test_step_wait(&taken);
	test_kill(pid);
	CHECK_EVENTUALLY(sea_channel_take_orphan(push, &orphan) == 0);
	check_job(orphan, 2);
	sea_message_unref(orphan);
	check_job(held, 2);
	CHECK_GT(peers_n_bytes_used(session), 0);
	sea_message_unref(held);
	peers_wait_unused(session);
	CHECK_EQ(peers_channel_stats(push).n_orphans, 1);
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(push);
	sea_session_close(session);
	orphan_fini();
}

TEST(done, "a cookie comes once, after the last hold everywhere, by asking and by descriptor, also after a death")
{
	struct sea_session *session, *other;
	struct sea_channel *push, *pull;
	struct sea_message *message;
	struct pollfd pollfd = { .events = POLLIN };
	uint64_t cookies[32], seen = 0;
	pid_t pid;

	orphan_init();
	pid = test_fork(take_and_die, (void *)2);
	session = peers_open();
	other = peers_open();
	push = work(session, SEA_ORPHANS_DROP);
	pull = peers_connect(other, SEA_PULL, "work");
	peers_wait(push, 2);
	pollfd.fd = (int)CHECK_OK(sea_session_done_fd(session));
	for (unsigned i = 0; i < 20; i++) {
		message = peers_message(session, 9000, i);
		CHECK_OK(sea_message_notify(message, i));
		if (i < 2)
			CHECK_EQ(sea_channel_send_each(push, &message, NULL), 2);
		else
			peers_send(push, message);
	}
	test_step_wait(&taken);
	CHECK_EQ(sea_session_take_done(session, cookies, 32), 0);
	CHECK_EQ(CHECK_SYS(poll(&pollfd, 1, 0)), 0);
	/* The living one releases 2 that both had and 9 of its own; the descriptor says so without a call. */
	for (unsigned i = 0; i < 11; i++)
		sea_message_unref(peers_receive(pull));
	CHECK_EQ(CHECK_SYS(poll(&pollfd, 1, 10000)), 1);
	{
		unsigned n = 0;

		CHECK_EVENTUALLY((n += (unsigned)sea_session_take_done(session, cookies + n, 32 - n)) == 9);
		for (unsigned i = 0; i < n; i++) {
			CHECK_GE(cookies[i], 2);
			CHECK(!(seen & UINT64_C(1) << cookies[i]));
			seen |= UINT64_C(1) << cookies[i];
		}
	}
	CHECK_EQ(CHECK_SYS(poll(&pollfd, 1, 0)), 0);
	test_kill(pid);
	CHECK_EQ(CHECK_SYS(poll(&pollfd, 1, 10000)), 1);
	{
		unsigned n = 0;

		CHECK_EVENTUALLY((n += (unsigned)sea_session_take_done(session, cookies + n, 32 - n)) == 11);
		for (unsigned i = 0; i < n; i++) {
			CHECK(!(seen & UINT64_C(1) << cookies[i]));
			seen |= UINT64_C(1) << cookies[i];
		}
	}
	CHECK_EQ(seen, (1u << 20) - 1);
	CHECK_EQ(sea_session_take_done(session, cookies, 32), 0);
	peers_wait_unused(session);
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(push);
	sea_session_close(session);
	orphan_fini();
}

struct window {
	struct sea_session *session;
	struct sea_channel *push;
	_Atomic unsigned n_done;
	_Atomic uint64_t sum;
};

/* Keeps a fixed number in flight, all of it inside of the callback. */
static void send_next(uint64_t cookie, void *userdata)
{
	struct window *window = userdata;
	unsigned n = atomic_fetch_add(&window->n_done, 1);
	struct sea_message *message;

	atomic_fetch_add(&window->sum, cookie);
	if (n >= 992)
		return;
	message = peers_message(window->session, 5000, n + 8);
	CHECK_OK(sea_message_notify(message, n + 8));
	CHECK_OK(sea_channel_send(window->push, &message, 0));
}

TEST(callback, "the callback is called once for each, and may send the next message")
{
	struct window window = { 0 };
	struct sea_session *other;
	struct sea_channel *pull;

	window.session = peers_open();
	window.push = work(window.session, SEA_ORPHANS_DROP);
	other = peers_open();
	pull = peers_connect(other, SEA_PULL, "work");
	peers_wait(window.push, 1);
	CHECK_OK(sea_session_on_done(window.session, send_next, &window));
	for (unsigned i = 0; i < 8; i++) {
		struct sea_message *message = peers_message(window.session, 5000, i);

		CHECK_OK(sea_message_notify(message, i));
		CHECK_OK(sea_channel_send(window.push, &message, PEERS_LONG_NS));
	}
	for (unsigned i = 0; i < 1000; i++) {
		struct sea_message *message = peers_receive(pull);

		CHECK_EQ(sea_message_get_tag(message), i);
		sea_message_unref(message);
	}
	CHECK_EVENTUALLY(atomic_load(&window.n_done) == 1000);
	CHECK_EQ(atomic_load(&window.sum), 999 * 1000 / 2);
	peers_wait_unused(window.session);
	CHECK_OK(sea_session_on_done(window.session, NULL, NULL));
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(window.push);
	sea_session_close(window.session);
}
