/* SPDX-License-Identifier: Apache-2.0 */
/* Channels over libzmq: among themselves, with a ZeroMQ program of other make, and beside shared memory. */
#include "peers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An address of its own for each test: the kernel chooses a port, or a name in the test's folder. */
static const char *ipc_address(const char *name)
{
	static char address[200];

	snprintf(address, sizeof(address), "ipc://%s/%s.zmq", getenv("SEALANE_RUNTIME_DIR"), name);
	return address;
}

/* As the peer of other make does: a word, nothing, and bytes. */
static struct sea_message *three(struct sea_session *session, unsigned number)
{
	struct sea_frame_options options = { .n_bytes_max = { number * 1000 + 1000 } };
	struct sea_frame *frame;
	struct sea_message *message;
	char word[16];
	void *data;
	int n = snprintf(word, sizeof(word), "a%u", number);

	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	CHECK_OK(sea_frame_add(frame, (size_t)n, 0, &data));
	memcpy(data, word, (size_t)n);
	CHECK_OK(sea_frame_add(frame, 0, 0, &data));
	CHECK_OK(sea_frame_add(frame, number * 1000, 0, &data));
	if (number)
		memset(data, (int)(number % 251), number * 1000);
	CHECK_OK(sea_frame_seal(&frame, &message));
	return message;
}

static void check_three(struct sea_message *message, unsigned number)
{
	struct sea_part part;
	char word[16];
	int n = snprintf(word, sizeof(word), "a%u", number);

	CHECK_EQ(sea_message_n_parts(message), 3);
	CHECK_OK(sea_message_get_part(message, 0, &part));
	CHECK_EQ(part.n_bytes, (size_t)n);
	CHECK_MEM_EQ(part.data, word, (size_t)n);
	CHECK_MEM_EQ(sea_message_data(message), word, (size_t)n);
	CHECK_OK(sea_message_get_part(message, 1, &part));
	CHECK_EQ(part.n_bytes, 0);
	CHECK_OK(sea_message_get_part(message, 2, &part));
	CHECK_EQ(part.n_bytes, number * 1000);
	for (size_t i = 0; i < part.n_bytes; i++)
		CHECK_EQ(((const uint8_t *)part.data)[i], number % 251);
	CHECK_ERR(sea_message_get_part(message, 3, &part), -EINVAL);
}

TEST(roads, "messages of any size and number of parts arrive whole over tcp, ipc and inproc, and nothing stays held")
{
	static const size_t sizes[] = { 0, 1, 40, 41, 4095, 4096, 100000, 5000000 };
	const char *addresses[] = { "tcp://127.0.0.1:*", ipc_address("roads"), "inproc://roads" };

	for (unsigned i = 0; i < 3; i++) {
		struct sea_session *a = peers_open(), *b = peers_open();
		struct sea_channel *push = peers_zeromq(a, SEA_PUSH, addresses[i], true), *pull;
		char address[256];

		CHECK_OK(sea_channel_get_address(push, address, sizeof(address)));
		pull = peers_zeromq(b, SEA_PULL, address, false);
		if (i < 2) {
			peers_wait(push, 1);
			peers_wait(pull, 1);
			CHECK_EQ(peers_channel_stats(push).n_links, 1);
		}
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			struct sea_message *message;

			peers_send(push, peers_message(a, sizes[j], j));
			message = peers_receive(pull);
			peers_check_part(message, 0, sizes[j], j);
			CHECK_EQ(sea_message_n_parts(message), 1);
			sea_message_unref(message);
		}
		for (unsigned n = 0; n < 20; n++) {
			struct sea_message *message;

			peers_send(push, three(a, n));
			message = peers_receive(pull);
			check_three(message, n);
			sea_message_unref(message);
		}
		peers_wait_unused(a);
		sea_channel_close(pull);
		if (i < 2)
			CHECK_EVENTUALLY(peers_channel_stats(push).n_links == 0);
		sea_channel_close(push);
		sea_session_close(b);
		sea_session_close(a);
	}
}

/* Debian's own comes first: another may not have the package. */
static const char *python(void)
{
	return system("/usr/bin/python3 -c 'import zmq' 2>/dev/null") == 0 ? "/usr/bin/python3" : "python3";
}

static void run_peer(const char *interpreter, const char *pattern, const char *method, const char *address, unsigned n,
                     pid_t *ret_pid)
{
	const char *root = getenv("SEALANE_SOURCE_DIR");
	char script[500], count[16];

	snprintf(script, sizeof(script), "%s/tests/channel/zmq-peer.py", root ? root : ".");
	snprintf(count, sizeof(count), "%u", n);
	*ret_pid = vfork();
	CHECK_GE(*ret_pid, 0);
	if (*ret_pid == 0) {
		execlp(interpreter, interpreter, script, pattern, method, address, count, NULL);
		_exit(127);
	}
}

TEST_TIMEOUT(others, "a ZeroMQ program of other make and a channel understand each other, by every pattern", 60)
{
	static const struct {
		const char *theirs;
		enum sea_pattern ours;
		bool sends, receives;
	} cases[] = {
		{ "pull", SEA_PUSH, true, false }, { "push", SEA_PULL, false, true }, { "pair", SEA_PAIR, true, true },
		{ "rep", SEA_REQ, true, true },    { "req", SEA_REP, true, true },    { "sub", SEA_PUB, true, false },
		{ "pub", SEA_SUB, false, true },   { "dealer", SEA_REP, true, true },
	};
	struct sea_session *session = peers_open();
	const char *interpreter = python();
	unsigned n = 20;

	if (interpreter[0] != '/' && system("python3 -c 'import zmq' 2>/dev/null") != 0)
		SKIP("there is no python3-zmq here");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sea_channel *channel = peers_zeromq(session, cases[i].ours, "tcp://127.0.0.1:*", true);
		bool answers = cases[i].ours == SEA_REP, sees_topics = cases[i].ours == SEA_PUB;
		char address[256];
		pid_t pid;

		if (cases[i].ours == SEA_SUB)
			CHECK_OK(sea_channel_subscribe(channel, "a", 1));
		CHECK_OK(sea_channel_get_address(channel, address, sizeof(address)));
		run_peer(interpreter, cases[i].theirs, "connect", address, n, &pid);
		/* One that only sends may have gone again by now, and what it sent is here. */
		if (cases[i].sends)
			peers_wait(channel, 1);
		if (sees_topics) /* over a network a publisher is not told when a subscription has come */
			test_sleep_ms(300);
		for (unsigned number = 0; number < n; number++) {
			struct sea_message *message;

			if (cases[i].sends && !answers) {
				if (sees_topics) {
					struct sea_message *other = peers_message(session, 100, 5);

					((uint8_t *)sea_message_write(other))[0] = 'b';
					peers_send(channel, other);
				}
				peers_send(channel, three(session, number));
			}
			if (cases[i].receives) {
				message = peers_receive(channel);
				check_three(message, number);
				if (answers)
					peers_send(channel, message);
				else
					sea_message_unref(message);
			}
		}
		CHECK_EQ(test_wait(pid), 0);
		sea_channel_close(channel);
	}
	peers_wait_unused(session);
	sea_session_close(session);
}

TEST(across, "what came over one transport goes on over another by the same call")
{
	struct sea_session *a = peers_open(), *b = peers_open(), *c = peers_open();
	struct sea_channel *push_a = peers_bind(a, SEA_PUSH, "one"), *pull_b = peers_connect(b, SEA_PULL, "one");
	struct sea_channel *push_b = peers_zeromq(b, SEA_PUSH, ipc_address("two"), true),
			   *pull_c = peers_zeromq(c, SEA_PULL, ipc_address("two"), false);
	struct sea_channel *push_c = peers_bind(c, SEA_PUSH, "three"), *pull_a = peers_connect(a, SEA_PULL, "three");
	static const size_t sizes[] = { 0, 30, 7000, 200000 };
	struct sea_message *message;

	peers_wait(push_a, 1);
	peers_wait(push_b, 1);
	peers_wait(push_c, 1);
	for (unsigned n = 0; n < 60; n++) {
		bool is_three = n % 5 == 0;

		peers_send(push_a, is_three ? three(a, n) : peers_message(a, sizes[n % 4], n));
		peers_send(push_b, peers_receive(pull_b));
		message = peers_receive(pull_c);
		/* Named, and used as a part of another: it moves to memory that others can see. */
		if (n % 3 == 1) {
			const void *before = sea_message_data(message);
			struct sea_meta meta;

			CHECK_OK(sea_message_meta(message, 0, 0, &meta));
			if (!is_three && sizes[n % 4] > 100)
				peers_check(before, sizes[n % 4], n);
		}
		peers_send(push_c, message);
		message = peers_receive(pull_a);
		if (is_three)
			check_three(message, n);
		else
			peers_check_part(message, 0, sizes[n % 4], n);
		sea_message_unref(message);
	}
	peers_wait_unused(a);
	sea_channel_close(push_a);
	sea_channel_close(pull_b);
	sea_channel_close(push_b);
	sea_channel_close(pull_c);
	sea_channel_close(push_c);
	sea_channel_close(pull_a);
	peers_wait_unused(c);
	sea_session_close(a);
	sea_session_close(b);
	sea_session_close(c);
}

TEST(edit, "what came over the network may be changed, and be a part of another message")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_zeromq(a, SEA_PUSH, ipc_address("edit"), true),
			   *pull = peers_zeromq(b, SEA_PULL, ipc_address("edit"), false);
	struct sea_frame_options options = { .n_bytes_max = { 100000 } };
	struct sea_frame *frame;
	struct sea_message *message, *whole, *other;
	struct sea_part part;

	peers_send(push, peers_message(a, 3000, 1));
	message = peers_receive(pull);
	CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(b), 0), 0);
	((uint8_t *)sea_message_write(message))[0] = 77;
	CHECK_OK(sea_message_shrink(message, 2000));
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(b), &options, 0));
	CHECK_OK(sea_frame_add_part_of(frame, message, 0));
	CHECK_OK(sea_frame_seal(&frame, &whole));
	sea_message_unref(message);
	CHECK_OK(sea_message_get_part(whole, 0, &part));
	CHECK_EQ(part.n_bytes, 2000);
	CHECK_EQ(((const uint8_t *)part.data)[0], 77);
	peers_send(push, three(a, 3));
	message = peers_receive(pull);
	other = sea_message_ref(message);
	CHECK(other == message);
	/* Not the only reference: a copy. */
	CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(b), 0), 1);
	check_three(message, 3);
	sea_message_unref(message);
	sea_message_unref(other);
	sea_message_unref(whole);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(timeouts, "timeouts, interruption and a full queue are as over shared memory")
{
	struct sea_session *session = peers_open();
	struct sea_channel *push = peers_zeromq(session, SEA_PUSH, "inproc://nobody", true), *rep, *req;
	struct sea_message *message = peers_message(session, 1000, 1), *same = message;

	CHECK_ERR(sea_channel_send(push, &message, 0), -EAGAIN);
	CHECK_ERR(sea_channel_send(push, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	CHECK(message == same);
	sea_channel_interrupt(push);
	CHECK_ERR(sea_channel_send(push, &message, -1), -ECANCELED);
	CHECK_ERR(sea_channel_wait_peers(push, 1, 0), -EAGAIN);
	CHECK_ERR(sea_channel_receive(push, &message, 0), -EINVAL);
	CHECK_ERR(sea_channel_bind(push, "nonsense"), -EINVAL);
	CHECK_ERR(sea_channel_bind(push, "memfd://x"), -EINVAL);
	rep = peers_zeromq(session, SEA_REP, "inproc://rep", true);
	req = peers_zeromq(session, SEA_REQ, "inproc://rep", false);
	CHECK_ERR(sea_channel_send(rep, &message, 0), -EPROTO);
	CHECK_ERR(sea_channel_receive(req, &same, 0), -EPROTO);
	sea_message_unref(message);
	sea_channel_close(req);
	sea_channel_close(rep);
	sea_channel_close(push);
	sea_session_close(session);
}

static bool is_readable(struct sea_channel *channel)
{
	struct pollfd pollfd = { .fd = sea_channel_fd(channel), .events = POLLIN };

	return CHECK_SYS(poll(&pollfd, 1, 0)) > 0;
}

TEST(fd, "a channel's descriptor stays readable for as long as there is something to receive")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *x = peers_zeromq(a, SEA_PAIR, ipc_address("fd"), true),
			   *y = peers_zeromq(b, SEA_PAIR, ipc_address("fd"), false);
	struct sea_message *message;

	peers_wait(x, 1);
	CHECK_ERR(sea_channel_receive(y, &message, 0), -EAGAIN);
	(void)sea_channel_fd(y);
	CHECK_ERR(sea_channel_receive(y, &message, 0), -EAGAIN);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 3; i++)
			peers_send(x, peers_message(a, 10, i));
		for (unsigned i = 0; i < 3; i++) {
			CHECK_EVENTUALLY(is_readable(y));
			/* Sending on the same socket reads libzmq's own signal away. */
			peers_send(y, peers_message(b, 10, i));
			CHECK_EVENTUALLY(is_readable(y) && sea_channel_receive(y, &message, 0) == 0);
			peers_check_part(message, 0, 10, i);
			sea_message_unref(message);
			sea_message_unref(peers_receive(x));
		}
		CHECK_ERR(sea_channel_receive(y, &message, 0), -EAGAIN);
	}
	sea_channel_close(x);
	sea_channel_close(y);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(unfit, "a peer of another pattern is reported at once")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *x = peers_zeromq(a, SEA_PUSH, ipc_address("unfit"), true),
			   *y = peers_zeromq(b, SEA_REP, ipc_address("unfit"), false);

	CHECK_ERR(sea_channel_wait_peers(x, 1, PEERS_LONG_NS), -EPROTOTYPE);
	CHECK_ERR(sea_channel_wait_peers(y, 1, PEERS_LONG_NS), -EPROTOTYPE);
	sea_channel_close(x);
	sea_channel_close(y);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(transports,
     "a peer over shared memory at an address over libzmq, and the other way round, is reported to both at once")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *x = peers_zeromq(a, SEA_PUSH, "tcp://127.0.0.1:*", true), *y;
	char address[256];

	CHECK_OK(sea_channel_get_address(x, address, sizeof(address)));
	y = peers_connect(b, SEA_PULL, address);
	CHECK_ERR(sea_channel_wait_peers(y, 1, PEERS_LONG_NS), -EPROTOTYPE);
	sea_channel_close(y);
	y = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, 0);
	CHECK_ERR(sea_channel_bind(y, address), -EADDRINUSE);
	sea_channel_close(y);
	sea_channel_close(x);
	y = peers_bind(b, SEA_PULL, address);
	x = peers_zeromq(a, SEA_PUSH, address, false);
	CHECK_ERR(sea_channel_wait_peers(x, 1, PEERS_LONG_NS), -EPROTOTYPE);
	sea_channel_close(x);
	sea_channel_close(y);
	x = peers_bind(a, SEA_PUSH, "tcp://*:5555");
	y = peers_connect(b, SEA_PULL, "tcp://localhost:5555");
	peers_wait(x, 1);
	sea_channel_close(x);
	sea_channel_close(y);
	sea_session_close(b);
	sea_session_close(a);
}
