/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame: one message of many parts, written in place, of a size not known in
 * advance. Reserve the most it may become; what is not used costs nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

/* Ends this process where a call failed; a program of yours would rather go on. */
static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void send_frame(struct sea_channel *channel, struct sea_heap *heap)
{
	struct sea_frame_options options = { .n_bytes_max[0] = 1 << 20 };
	struct sea_message *message = NULL;
	struct sea_frame *frame = NULL;

	check(sea_frame_new(&frame, heap, &options, -1), "frame");
	for (int detector = 0; detector < 5; detector++) {
		void *data = NULL;

		check(sea_frame_add(frame, 4096, 0, &data), "part"); /* room for the most */
		memset(data, 'a' + detector, 4096);
		check(sea_frame_shrink_last(frame, 100u << detector), "shrink"); /* it was less */
	}
	check(sea_frame_seal(&frame, &message), "seal");
	sea_message_set_tag(message, 42);
	check(sea_channel_send(channel, &message, -1), "send");
	check(sea_channel_flush(channel, -1), "flush");
}

static void receive_frame(struct sea_channel *channel)
{
	struct sea_message *message = NULL;
	struct sea_part part;

	check(sea_channel_receive(channel, &message, -1), "receive");
	printf("timeframe %d has %zu parts:", (int)sea_message_get_tag(message), sea_message_n_parts(message));
	for (size_t i = 0; i < sea_message_n_parts(message); i++) {
		check(sea_message_get_part(message, i, &part), "part");
		printf(" %zu bytes of '%c'%s", part.n_bytes, *(const char *)part.data, i < 4 ? "," : "\n");
	}
	sea_message_unref(message);
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	int status = 0;
	pid_t pid = fork();

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, pid ? SEA_PUSH : SEA_PULL, NULL), "channel");
	if (pid) {
		check(sea_channel_bind(channel, "example-frames"), "bind");
		send_frame(channel, sea_session_heap(session));
	} else {
		check(sea_channel_connect(channel, "example-frames"), "connect");
		receive_frame(channel);
	}
	sea_channel_close(channel);
	sea_session_close(session);
	return pid && (waitpid(pid, &status, 0) != pid || status != 0);
}
