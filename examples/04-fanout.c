/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fan-out: one message to every receiver. It is one block of memory that all of
 * them read, not a copy each; it is free again when the last has released it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_RECEIVERS 3
#define N_BYTES ((size_t)16 << 20)

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void send_each(struct sea_channel *channel, struct sea_session *session)
{
	struct sea_session_stats stats;
	struct sea_message *message = NULL;
	int n;

	check(sea_channel_bind(channel, "example-fanout"), "bind");
	check(sea_channel_wait_peers(channel, N_RECEIVERS, -1), "wait");
	check(sea_message_new(&message, sea_session_heap(session), N_BYTES, 0, -1), "message");
	memset(sea_message_write(message), 7, N_BYTES);
	n = sea_channel_send_each(channel, &message, NULL);
	check(n, "send");
	check(sea_session_get_stats(session, &stats), "stats");
	printf("%zu MiB went to %d receivers; copied: %d bytes\n", N_BYTES >> 20, n, (int)stats.n_bytes_copied);
	check(sea_channel_flush(channel, -1), "flush");
}

static void receive(struct sea_channel *channel)
{
	struct sea_message *message = NULL;
	const unsigned char *data;
	unsigned long sum = 0;

	check(sea_channel_connect(channel, "example-fanout"), "connect");
	check(sea_channel_receive(channel, &message, -1), "receive");
	data = sea_message_data(message);
	for (size_t i = 0; i < sea_message_size(message); i++)
		sum += data[i];
	sea_message_unref(message);
	check(sum == 7 * N_BYTES ? 0 : -EBADMSG, "a wrong byte");
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	pid_t pid = 1;
	int status, failed = 0;

	for (int i = 0; i < N_RECEIVERS && pid > 0; i++)
		pid = fork();
	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, pid ? SEA_PUSH : SEA_PULL, NULL), "channel");
	if (pid)
		send_each(channel, session);
	else
		receive(channel);
	sea_channel_close(channel);
	sea_session_close(session);
	while (pid && wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
