/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hello: one message from one process to another. A large one would be read where the sender wrote it; these few bytes
 * travel in the message's descriptor. Either process may start first.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

static int sender(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	struct sea_message *message = NULL;
	int r = sea_session_open(&session, NULL);

	if (r == 0)
		r = sea_channel_new(&channel, session, SEA_PUSH, NULL);
	if (r == 0)
		r = sea_channel_bind(channel, "example-hello");
	if (r == 0)
		r = sea_message_new(&message, sea_session_heap(session), 6, 0, 0);
	if (r == 0) {
		memcpy(sea_message_write(message), "hello", 6);
		r = sea_channel_send(channel, &message, -1);
	}
	if (r == 0)
		r = sea_channel_flush(channel, -1); /* until the receiver has released it */
	sea_message_unref(message);
	sea_channel_close(channel);
	sea_session_close(session);
	return r;
}

static int receiver(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	struct sea_message *message = NULL;
	int r = sea_session_open(&session, NULL);

	if (r == 0)
		r = sea_channel_new(&channel, session, SEA_PULL, NULL);
	if (r == 0)
		r = sea_channel_connect(channel, "example-hello");
	if (r == 0)
		r = sea_channel_receive(channel, &message, -1);
	if (r == 0)
		printf("process %d says: %s\n", (int)getppid(), (const char *)sea_message_data(message));
	sea_message_unref(message);
	sea_channel_close(channel);
	sea_session_close(session);
	return r;
}

int main(void)
{
	int status = 0, r;
	pid_t pid = fork(); /* before any session is open */

	if (pid == 0)
		return receiver() < 0;
	r = pid < 0 ? -1 : sender();
	if (r < 0)
		fprintf(stderr, "sender: %s\n", sea_error_text(r));
	return waitpid(pid, &status, 0) != pid || status != 0 || r < 0;
}
