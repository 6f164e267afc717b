/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two transports: what came over shared memory is sent on over ZeroMQ by the same call, to a process that could be on
 * another host, or be no program of ours; here it comes back. libzmq is loaded when the first channel wants it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

/* Over ZeroMQ, the close waits until what was sent is out. NULL where there is no libzmq. */
static struct sea_channel *channel_open(struct sea_session *session, enum sea_pattern pattern, enum sea_transport over)
{
	struct sea_channel_options options = { .transport = over, .linger_ns = -1 };
	struct sea_channel *channel = NULL;
	int r = sea_channel_new(&channel, session, pattern, &options);

	check(r == -ENOTSUP ? 0 : r, "channel");
	return channel;
}

static void gateway(struct sea_channel *in, struct sea_channel *out)
{
	struct sea_message *message = NULL;

	check(sea_channel_connect(in, "example-zeromq"), "connect");
	check(sea_channel_receive(in, &message, -1), "receive");
	/* It says itself where it is to go. */
	check(out ? sea_channel_connect(out, sea_message_data(message)) : 0, "connect");
	check(out ? sea_channel_send(out, &message, -1) : 0, "send on");
	sea_message_unref(message);
}

/* Has it come back to a port that is free. */
static void source(struct sea_channel *in, struct sea_channel *out, struct sea_heap *heap)
{
	struct sea_message *message = NULL;
	char address[100] = "";

	check(in ? sea_channel_bind(in, "tcp://127.0.0.1:*") : 0, "bind");
	check(in ? sea_channel_get_address(in, address, sizeof(address)) : 0, "address");
	check(sea_channel_bind(out, "example-zeromq"), "bind");
	check(sea_message_new(&message, heap, sizeof(address), 0, -1), "message");
	memcpy(sea_message_write(message), address, sizeof(address));
	check(sea_channel_send(out, &message, -1), "send");
	check(in ? sea_channel_receive(in, &message, -1) : 0, "receive");
	printf("%s\n", in ? "over shared memory, and back over tcp" : "there is no libzmq here");
	sea_message_unref(message);
	check(sea_channel_flush(out, -1), "flush");
}

int main(void)
{
	pid_t pid = fork();
	int is_source = pid != 0, status = 0;
	struct sea_session *session = NULL;
	struct sea_channel *in, *out;

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	in = channel_open(session, SEA_PULL, is_source ? SEA_TRANSPORT_ZEROMQ : SEA_TRANSPORT_MEMFD);
	out = channel_open(session, SEA_PUSH, is_source ? SEA_TRANSPORT_MEMFD : SEA_TRANSPORT_ZEROMQ);
	is_source ? source(in, out, sea_session_heap(session)) : gateway(in, out);
	sea_channel_close(in), sea_channel_close(out);
	sea_session_close(session);
	return is_source && (waitpid(pid, &status, 0) != pid || status != 0);
}
