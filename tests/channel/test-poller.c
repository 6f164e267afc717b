/* SPDX-License-Identifier: Apache-2.0 */
/* Pollers over channels of all transports, and over descriptors. */
#include "peers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_CHANNELS 20

/* The only event there is. */
static struct sea_poll_event wait_one(struct sea_poller *poller)
{
	struct sea_poll_event events[N_CHANNELS];

	CHECK_EQ(CHECK_OK(sea_poller_wait(poller, events, N_CHANNELS, PEERS_LONG_NS)), 1);
	return events[0];
}

static void take(struct sea_channel *channel, uint64_t n)
{
	struct sea_message *message;

	CHECK_OK(sea_channel_receive(channel, &message, 0));
	peers_check_part(message, 0, 200, n);
	sea_message_unref(message);
}

TEST(mixed, "channels of all transports and a descriptor are polled together, and each that has something is found")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *out[N_CHANNELS], *in[N_CHANNELS];
	struct sea_poller *poller;
	struct sea_poll_event events[2 * N_CHANNELS], event;
	int sockets[2];
	char byte = 1;

	CHECK_OK(sea_poller_new(&poller));
	CHECK_ERR(sea_poller_wait(poller, events, 1, 0), -EAGAIN);
	CHECK_ERR(sea_poller_wait(poller, events, 1, PEERS_SHORT_NS), -ETIMEDOUT);
	CHECK_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	CHECK_OK(sea_poller_set_fd(poller, sockets[0], SEA_POLL_IN, sockets));
	for (unsigned i = 0; i < N_CHANNELS; i++) {
		char address[300];

		if (i % 4 == 3) {
			snprintf(address, sizeof(address), "ipc://%s/%u", getenv("SEALANE_RUNTIME_DIR"), i);
			out[i] = peers_zeromq(a, SEA_PUSH, address, true);
			in[i] = peers_zeromq(b, SEA_PULL, address, false);
		} else {
			snprintf(address, sizeof(address), "x%u", i);
			out[i] = peers_bind(a, i % 2 ? SEA_PUSH : SEA_PAIR, address);
			in[i] = peers_connect(b, i % 2 ? SEA_PULL : SEA_PAIR, address);
		}
		peers_wait(out[i], 1);
		peers_wait(in[i], 1);
		CHECK_OK(sea_poller_set_channel(poller, in[i], SEA_POLL_IN, &in[i]));
	}
	CHECK_ERR(sea_poller_set_channel(poller, in[1], SEA_POLL_OUT, NULL), -EINVAL);
	CHECK_ERR(sea_poller_set_channel(poller, out[1], SEA_POLL_IN, NULL), -EINVAL);
	CHECK_EVENTUALLY(sea_poller_wait(poller, events, 1, 0) == -EAGAIN);
	for (unsigned i = 0; i < N_CHANNELS; i++) {
		struct sea_message *message;
		unsigned n = 0;

		peers_send(out[i], peers_message(a, 200, i));
		peers_send(out[i], peers_message(a, 200, i));
		/* Level-triggered: the same again for as long as it is there. */
		for (unsigned j = 0; j < 40; j++) {
			event = wait_one(poller);
			CHECK(event.channel == in[i] && event.userdata == &in[i]);
			CHECK_EQ(event.fd, -1);
			CHECK_EQ(event.events, SEA_POLL_IN);
		}
		while (n < 2) {
			CHECK(wait_one(poller).channel == in[i]);
			if (sea_channel_receive(in[i], &message, 0) == 0) {
				peers_check_part(message, 0, 200, i);
				sea_message_unref(message);
				n++;
			}
		}
		CHECK_EVENTUALLY(sea_poller_wait(poller, events, 1, 0) == -EAGAIN);
	}
	for (unsigned i = 0; i < N_CHANNELS; i++)
		peers_send(out[i], peers_message(a, 200, i));
	CHECK_EQ(write(sockets[1], &byte, 1), 1);
	for (unsigned n_found = 0; n_found < N_CHANNELS + 1;) {
		int n = CHECK_OK(sea_poller_wait(poller, events, 2 * N_CHANNELS, PEERS_LONG_NS));

		for (int i = 0; i < n; i++)
			if (events[i].channel) {
				unsigned index = (unsigned)((struct sea_channel **)events[i].userdata - in);
				struct sea_message *message;

				while (sea_channel_receive(in[index], &message, 0) == 0) {
					peers_check_part(message, 0, 200, index);
					sea_message_unref(message);
					n_found++;
				}
			} else {
				CHECK(events[i].fd == sockets[0] && events[i].userdata == sockets);
				CHECK_EQ(events[i].events, SEA_POLL_IN);
				CHECK_EQ(read(sockets[0], &byte, 1), 1);
				n_found++;
			}
	}
	CHECK_EVENTUALLY(sea_poller_wait(poller, events, 1, 0) == -EAGAIN);
	CHECK_SYS(close(sockets[1]));
	CHECK_EQ(wait_one(poller).events, SEA_POLL_IN | SEA_POLL_ERROR);
	CHECK_OK(sea_poller_remove_fd(poller, sockets[0]));
	CHECK_ERR(sea_poller_remove_fd(poller, sockets[0]), -ENOENT);
	CHECK_SYS(close(sockets[0]));
	CHECK_OK(sea_poller_remove_channel(poller, in[0]));
	CHECK_ERR(sea_poller_remove_channel(poller, in[0]), -ENOENT);
	peers_send(out[0], peers_message(a, 200, 0));
	CHECK_EVENTUALLY(sea_poller_wait(poller, events, 1, 0) == -EAGAIN);
	take(in[0], 0);
	sea_poller_free(poller);
	for (unsigned i = 0; i < N_CHANNELS; i++) {
		sea_channel_close(out[i]);
		sea_channel_close(in[i]);
	}
	sea_session_close(b);
	sea_session_close(a);
}

TEST(room, "a sender that is polled is found when there is room, not before")
{
	for (unsigned i = 0; i < 2; i++) {
		struct sea_session *a = peers_open(), *b = peers_open();
		struct sea_channel_options options = { .sndbuf = 1, .rcvbuf = 1 };
		struct sea_channel *push, *pull;
		struct sea_poller *poller;
		struct sea_poll_event events[4];
		struct sea_message *message;
		char address[300] = "room";
		unsigned n = 0;

		options.transport = i ? SEA_TRANSPORT_ZEROMQ : SEA_TRANSPORT_MEMFD;
		if (i)
			snprintf(address, sizeof(address), "ipc://%s/room", getenv("SEALANE_RUNTIME_DIR"));
		CHECK_OK(sea_poller_new(&poller));
		CHECK_OK(sea_channel_new(&push, a, SEA_PUSH, &options));
		CHECK_OK(sea_channel_bind(push, address));
		CHECK_OK(sea_poller_set_channel(poller, push, SEA_POLL_OUT, NULL));
		CHECK_ERR(sea_poller_wait(poller, events, 4, PEERS_SHORT_NS), -ETIMEDOUT);
		CHECK_OK(sea_channel_new(&pull, b, SEA_PULL, &options));
		CHECK_OK(sea_channel_connect(pull, address));
		/* As many as go in, until nothing does for a while; libzmq's own buffers take some. */
		while (sea_poller_wait(poller, events, 4, n < 2 ? PEERS_LONG_NS : PEERS_SHORT_NS) == 1) {
			CHECK(events[0].channel == push);
			CHECK_EQ(events[0].events, SEA_POLL_OUT);
			message = peers_message(a, 100000, n);
			if (sea_channel_send(push, &message, 0) == 0)
				n++;
			else
				sea_message_unref(message);
		}
		CHECK_GE(n, 2);
		for (unsigned j = 0; j < n; j++) {
			message = peers_receive(pull);
			peers_check_part(message, 0, 100000, j);
			sea_message_unref(message);
		}
		CHECK_EQ(CHECK_OK(sea_poller_wait(poller, events, 4, PEERS_LONG_NS)), 1);
		CHECK_OK(sea_poller_set_channel(poller, push, 0, NULL));
		CHECK_ERR(sea_poller_wait(poller, events, 4, PEERS_SHORT_NS), -ETIMEDOUT);
		sea_poller_free(poller);
		sea_channel_close(push);
		sea_channel_close(pull);
		sea_session_close(b);
		sea_session_close(a);
	}
}

static void *interrupt(void *poller)
{
	test_sleep_ms(20);
	sea_poller_interrupt(poller);
	return NULL;
}

TEST(interrupted, "a wait is interrupted from another thread, and a poller's descriptor tells another loop")
{
	struct sea_session *a = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "loop"), *pull = peers_connect(a, SEA_PULL, "loop");
	struct sea_poller *poller;
	struct sea_poll_event event;
	struct pollfd pollfd = { .events = POLLIN };
	pthread_t thread;

	CHECK_OK(sea_poller_new(&poller));
	CHECK_EQ(pthread_create(&thread, NULL, interrupt, poller), 0);
	CHECK_ERR(sea_poller_wait(poller, &event, 1, -1), -ECANCELED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	peers_wait(push, 1);
	peers_wait(pull, 1);
	CHECK_OK(sea_poller_set_channel(poller, pull, SEA_POLL_IN, NULL));
	CHECK_EVENTUALLY(sea_poller_wait(poller, &event, 1, 0) == -EAGAIN);
	pollfd.fd = sea_poller_fd(poller);
	CHECK_EQ(poll(&pollfd, 1, 20), 0);
	peers_send(push, peers_message(a, 200, 3));
	CHECK_EQ(poll(&pollfd, 1, 10000), 1);
	CHECK_EQ(sea_poller_wait(poller, &event, 1, 0), 1);
	take(pull, 3);
	CHECK_EVENTUALLY(sea_poller_wait(poller, &event, 1, 0) == -EAGAIN);
	CHECK_EQ(poll(&pollfd, 1, 0), 0);
	sea_poller_free(poller);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
}
