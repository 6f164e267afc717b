/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarding: a process in the middle adds a part to what came; the sink reads the source's bytes in the source's
 * memory. sea_frame_absorb(): were the middle killed, the sink had the one or the source got back the other.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

static struct sea_session *session;

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static struct sea_channel *channel_open(enum sea_pattern pattern, const char *address)
{
	struct sea_channel *channel = NULL;

	check(sea_channel_new(&channel, session, pattern, NULL), "channel");
	check((pattern == SEA_PUSH ? sea_channel_bind : sea_channel_connect)(channel, address), address);
	return channel;
}

static void middle(struct sea_channel *in, struct sea_channel *out)
{
	struct sea_frame_options options = { .n_bytes_max[0] = 100 };
	struct sea_message *message = NULL;
	struct sea_frame *frame = NULL;
	void *data = NULL;

	check(sea_channel_receive(in, &message, -1), "receive");
	check(sea_frame_new(&frame, sea_session_heap(session), &options, -1), "frame");
	check(sea_frame_add_message(frame, message), "the parts that came");
	check(sea_frame_add(frame, 15, 0, &data), "a part of its own");
	memcpy(data, "from the middle", 15);
	check(sea_frame_absorb(frame, &message), "absorb");
	check(sea_frame_seal(&frame, &message), "seal");
	check(sea_channel_send(out, &message, -1), "send");
}

int main(void)
{
	int is_sink = fork() == 0, is_middle = !is_sink && fork() == 0, status, failed = 0;
	struct sea_channel *in = NULL, *out = NULL;
	struct sea_message *message = NULL;
	struct sea_part a, b;

	check(sea_session_open(&session, NULL), "session");
	if (is_sink) {
		in = channel_open(SEA_PULL, "example-out");
		check(sea_channel_receive(in, &message, -1), "receive");
		check(sea_message_get_part(message, 0, &a), "first part");
		check(sea_message_get_part(message, 1, &b), "second part");
		printf("%.15s, %.15s\n", (const char *)a.data, (const char *)b.data);
	} else if (is_middle) {
		middle(in = channel_open(SEA_PULL, "example-in"), out = channel_open(SEA_PUSH, "example-out"));
	} else {
		out = channel_open(SEA_PUSH, "example-in");
		check(sea_message_new(&message, sea_session_heap(session), 15, 0, -1), "message");
		memcpy(sea_message_write(message), "from the source", 15);
		check(sea_channel_send(out, &message, -1), "send");
	}
	sea_message_unref(message);
	if (out)
		check(sea_channel_flush(out, -1), "flush");
	sea_channel_close(in);
	sea_channel_close(out);
	sea_session_close(session);
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
