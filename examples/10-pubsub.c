/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publish and subscribe: each subscriber gets what begins with its prefix, all of them the same memory. Who comes late
 * gets the latest message at once, because the publisher asked for that.
 */
#include <errno.h>
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

static void publish(struct sea_channel *channel, const char *text)
{
	struct sea_message *message = NULL;

	check(sea_message_new(&message, sea_session_heap(session), strlen(text) + 1, 0, -1), "message");
	memcpy(sea_message_write(message), text, strlen(text) + 1);
	check(sea_channel_send(channel, &message, -1), "publish");
}

/* A late one waits for a byte of start_fd. */
static void subscriber(const char *prefix, int n_messages, int start_fd)
{
	struct sea_channel *channel = NULL;
	pid_t pid = fork(); /* while no session is open here */
	char byte;

	check(pid < 0 ? -errno : 0, "fork");
	if (pid)
		return;
	check(start_fd >= 0 && read(start_fd, &byte, 1) != 1 ? -EPIPE : 0, "start");
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, SEA_SUB, NULL), "channel");
	check(sea_channel_subscribe(channel, prefix, strlen(prefix)), "subscribe");
	check(sea_channel_connect(channel, "example-pubsub"), "connect");
	for (int i = 0; i < n_messages; i++) {
		struct sea_message *message = NULL;

		check(sea_channel_receive(channel, &message, -1), "receive");
		printf("%s%s: %s\n", start_fd < 0 ? "" : "late, ", prefix, (const char *)sea_message_data(message));
		sea_message_unref(message);
	}
	sea_channel_close(channel);
	sea_session_close(session);
	_exit(fflush(stdout) == 0 ? 0 : 1);
}

int main(void)
{
	struct sea_channel_options options = { .flags = SEA_CHANNEL_LATEST };
	struct sea_channel *channel = NULL;
	int start[2], status, failed = 0;

	check(pipe(start) < 0 ? -errno : 0, "pipe");
	subscriber("temp", 2, -1), subscriber("press", 1, -1), subscriber("temp", 1, start[0]);
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, SEA_PUB, &options), "channel");
	check(sea_channel_bind(channel, "example-pubsub"), "bind");
	check(sea_channel_wait_peers(channel, 2, -1), "subscribers");
	publish(channel, "temp 20"), publish(channel, "press 1013"), publish(channel, "temp 21");
	check(write(start[1], "x", 1) == 1 ? 0 : -errno, "start");
	while (wait(&status) > 0)
		failed |= status;
	sea_channel_close(channel);
	sea_session_close(session);
	return failed != 0;
}
