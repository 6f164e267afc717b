/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and replies. */
#include "peers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const size_t sizes[] = { 0, 9, 2000 };

TEST(two, "two requesters each get the answer to their own request, of any size")
{
	struct sea_session *server = peers_open(), *clients[2] = { peers_open(), peers_open() };
	struct sea_channel *rep = peers_bind(server, SEA_REP, "svc"), *req[2];

	for (unsigned i = 0; i < 2; i++) {
		req[i] = peers_connect(clients[i], SEA_REQ, "svc");
		peers_wait(req[i], 1);
	}
	peers_wait(rep, 2);
	for (unsigned n = 0; n < 300; n++) {
		size_t n_bytes = sizes[n % 3];

		for (unsigned i = 0; i < 2; i++)
			peers_send(req[i], peers_message(clients[i], n_bytes, 2 * n + i));
		for (unsigned i = 0; i < 2; i++) {
			struct sea_message *request = peers_receive(rep);

			/* The same bytes go back: what others own is forwarded. */
			CHECK_EQ(sea_message_size(request), n_bytes);
			peers_send(rep, request);
		}
		for (unsigned i = 0; i < 2; i++) {
			struct sea_message *reply = peers_receive(req[i]);

			if (n_bytes)
				peers_check_part(reply, 0, n_bytes, 2 * n + i);
			sea_message_unref(reply);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		sea_channel_close(req[i]);
		peers_wait_unused(clients[i]);
		sea_session_close(clients[i]);
	}
	sea_channel_close(rep);
	sea_session_close(server);
}

TEST(turns, "who speaks out of turn is told so")
{
	struct sea_session *server = peers_open(), *client = peers_open();
	struct sea_channel *rep = peers_bind(server, SEA_REP, "turn"), *req = peers_connect(client, SEA_REQ, "turn");
	struct sea_message *message = peers_message(server, 100, 0), *other;

	peers_wait(req, 1);
	CHECK_ERR(sea_channel_send(rep, &message, 0), -EPROTO);
	CHECK(message);
	sea_message_unref(message);
	CHECK_ERR(sea_channel_receive(req, &message, 0), -EPROTO);
	peers_send(req, peers_message(client, 100, 1));
	CHECK_ERR(sea_channel_receive(req, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	message = peers_receive(rep);
	CHECK_ERR(sea_channel_receive(rep, &other, 0), -EPROTO);
	peers_send(rep, message);
	sea_message_unref(peers_receive(req));
	CHECK_ERR(sea_channel_receive(req, &message, PEERS_SHORT_NS), -EPROTO);
	sea_channel_close(req);
	sea_channel_close(rep);
	sea_session_close(client);
	sea_session_close(server);
}

TEST(given_up, "the answer to a request that was given up is passed over")
{
	struct sea_session *server = peers_open(), *client = peers_open();
	struct sea_channel *rep = peers_bind(server, SEA_REP, "late"), *req = peers_connect(client, SEA_REQ, "late");
	struct sea_message *message;

	peers_wait(req, 1);
	peers_send(req, peers_message(client, 100, 1));
	peers_send(req, peers_message(client, 100, 2));
	peers_send(req, peers_message(client, 100, 3));
	for (unsigned i = 0; i < 3; i++)
		peers_send(rep, peers_receive(rep));
	message = peers_receive(req);
	peers_check_part(message, 0, 100, 3);
	sea_message_unref(message);
	CHECK_ERR(sea_channel_receive(req, &message, 0), -EPROTO);
	sea_channel_close(req);
	sea_channel_close(rep);
	peers_wait_unused(client);
	sea_session_close(client);
	sea_session_close(server);
}

struct mortal {
	const char *address;
	bool must_release;
};

/* Takes a request and is killed before it answers. */
static void take_and_die(void *argument)
{
	const struct mortal *mortal = argument;
	struct sea_session *server = peers_open();
	struct sea_channel *rep = peers_connect(server, SEA_REP, mortal->address);
	struct sea_message *request = peers_receive(rep);

	if (mortal->must_release)
		sea_message_unref(request);
	kill(getpid(), SIGKILL);
}

TEST(dead, "a replier that dies with a request is no hang: the requester is told, and may ask another")
{
	struct mortal mortal = { "mortal", true };
	pid_t child = test_fork(take_and_die, &mortal);
	struct sea_session *client = peers_open(), *server;
	struct sea_channel *req = peers_bind(client, SEA_REQ, "mortal"), *rep;
	struct sea_message *message;

	peers_wait(req, 1);
	peers_send(req, peers_message(client, 500, 1));
	CHECK_ERR(sea_channel_receive(req, &message, PEERS_LONG_NS), -EPIPE);
	CHECK_EQ(test_wait(child), -SIGKILL);
	CHECK_ERR(sea_channel_receive(req, &message, 0), -EPROTO);
	server = peers_open();
	rep = peers_connect(server, SEA_REP, "mortal");
	peers_send(req, peers_message(client, 500, 2));
	peers_send(rep, peers_receive(rep));
	message = peers_receive(req);
	peers_check_part(message, 0, 500, 2);
	sea_message_unref(message);
	sea_channel_close(rep);
	sea_session_close(server);
	sea_channel_close(req);
	peers_wait_unused(client);
	sea_session_close(client);
}

TEST(resent, "where orphans are sent again, the request of a dead replier goes to another by itself")
{
	for (unsigned i = 0; i < 4; i++) {
		struct mortal mortal = { "again", i % 2 };
		pid_t child = test_fork(take_and_die, &mortal);
		struct sea_session *client = peers_open(), *server;
		struct sea_channel *req = peers_channel(client, SEA_REQ, SEA_ORPHANS_RESEND, 0), *rep;
		struct sea_message *message;

		CHECK_OK(sea_channel_bind(req, "again"));
		peers_wait(req, 1);
		peers_send(req, peers_message(client, sizes[i / 2 + 1], 7));
		CHECK_EQ(test_wait(child), -SIGKILL);
		CHECK_ERR(sea_channel_receive(req, &message, PEERS_SHORT_NS), -ETIMEDOUT);
		server = peers_open();
		rep = peers_connect(server, SEA_REP, "again");
		CHECK_ERR(sea_channel_receive(rep, &message, PEERS_SHORT_NS), -ETIMEDOUT);
		/* The requester's own thread sends it, while it waits. */
		do
			CHECK_ERR(sea_channel_receive(req, &message, PEERS_SHORT_NS), -ETIMEDOUT);
		while (sea_channel_receive(rep, &message, 0) < 0);
		peers_check_part(message, 0, sizes[i / 2 + 1], 7);
		peers_send(rep, message);
		message = peers_receive(req);
		peers_check_part(message, 0, sizes[i / 2 + 1], 7);
		sea_message_unref(message);
		sea_channel_close(rep);
		sea_session_close(server);
		sea_channel_close(req);
		peers_wait_unused(client);
		sea_session_close(client);
	}
}

TEST(gone, "a replier whose requester is gone is told, and goes on with the next")
{
	struct sea_session *server = peers_open(), *clients[2] = { peers_open(), peers_open() };
	struct sea_channel *rep = peers_bind(server, SEA_REP, "gone"), *req[2];
	struct sea_message *message;

	for (unsigned i = 0; i < 2; i++)
		req[i] = peers_connect(clients[i], SEA_REQ, "gone");
	peers_wait(rep, 2);
	peers_send(req[0], peers_message(clients[0], 100, 0));
	message = peers_receive(rep);
	sea_channel_close(req[0]);
	CHECK_EVENTUALLY(peers_channel_stats(rep).n_links == 1);
	CHECK_ERR(sea_channel_send(rep, &message, PEERS_LONG_NS), -EPIPE);
	sea_message_unref(message);
	peers_send(req[1], peers_message(clients[1], 100, 1));
	peers_send(rep, peers_receive(rep));
	sea_message_unref(peers_receive(req[1]));
	sea_channel_close(req[1]);
	for (unsigned i = 0; i < 2; i++)
		sea_session_close(clients[i]);
	sea_channel_close(rep);
	sea_session_close(server);
}
