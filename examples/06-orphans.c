/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orphans: a worker is killed over a message; it comes back to the sender, which gives it to the next worker.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static struct sea_channel *channel_open(struct sea_session **session, enum sea_pattern pattern)
{
	struct sea_channel_options options = { .orphans = SEA_ORPHANS_KEEP };
	struct sea_channel *channel = NULL;

	check(sea_session_open(session, NULL), "session");
	check(sea_channel_new(&channel, *session, pattern, &options), "channel");
	check((pattern == SEA_PUSH ? sea_channel_bind : sea_channel_connect)(channel, "example-orphans"), "address");
	return channel;
}

/* A worker; it waits for a byte of start_fd first, where there is one. A clumsy one dies over its message. */
static void worker_start(int is_clumsy, int start_fd)
{
	struct sea_session *session = NULL;
	struct sea_message *message = NULL;
	struct sea_channel *channel;
	pid_t pid = fork(); /* while no session is open here: see session.h */
	char byte;

	check(pid < 0 ? -errno : 0, "fork");
	if (pid)
		return;
	if (start_fd >= 0 && read(start_fd, &byte, 1) != 1)
		_exit(1);
	channel = channel_open(&session, SEA_PULL);
	check(sea_channel_receive(channel, &message, -1), "receive");
	if (is_clumsy)
		raise(SIGKILL);
	printf("the second worker finished: %s\n", (const char *)sea_message_data(message));
	sea_message_unref(message);
	sea_channel_close(channel);
	sea_session_close(session);
	exit(0);
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_message *message = NULL;
	struct sea_channel *channel;
	int start[2], status;

	check(pipe(start) < 0 ? -errno : 0, "pipe");
	worker_start(1, -1), worker_start(0, start[0]);
	channel = channel_open(&session, SEA_PUSH);
	check(sea_message_new(&message, sea_session_heap(session), 9, 0, -1), "message");
	memcpy(sea_message_write(message), "the work", 9);
	check(sea_channel_send(channel, &message, -1), "send");
	check(sea_channel_flush(channel, -1) == -EPIPE ? 0 : -EBADMSG, "nobody died over it");
	check(sea_channel_take_orphan(channel, &message), "orphan");
	check(write(start[1], "", 1) == 1 ? 0 : -errno, "start");
	check(sea_channel_send(channel, &message, -1), "send again");
	check(sea_channel_flush(channel, -1), "flush");
	sea_channel_close(channel);
	sea_session_close(session);
	return wait(&status) < 0 || wait(&status) < 0;
}
