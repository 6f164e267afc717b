/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request and reply: two clients ask one server for the sum of a megabyte of numbers. The server reads them where the
 * client wrote them; each answer goes to who asked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_CLIENTS 2
#define N_REQUESTS 3
#define N_NUMBERS (1u << 17)

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void ask(struct sea_channel *channel, struct sea_heap *heap, uint64_t number)
{
	struct sea_message *message = NULL;
	uint64_t *numbers, sum;

	check(sea_message_new(&message, heap, N_NUMBERS * sizeof(*numbers), 0, -1), "message");
	numbers = sea_message_write(message);
	for (unsigned i = 0; i < N_NUMBERS; i++)
		numbers[i] = number;
	check(sea_channel_send(channel, &message, -1), "ask");
	/* -EPIPE would be: the server is gone, ask again. With SEA_ORPHANS_RESEND the next server gets the question by itself. */
	check(sea_channel_receive(channel, &message, -1), "answer");
	memcpy(&sum, sea_message_data(message), sizeof(sum));
	sea_message_unref(message);
	check(sum == number * N_NUMBERS ? 0 : -EBADMSG, "a wrong sum");
}

static void answer(struct sea_channel *channel, struct sea_heap *heap)
{
	struct sea_message *message = NULL;
	uint64_t sum = 0;

	check(sea_channel_receive(channel, &message, -1), "request");
	for (size_t i = 0; i < sea_message_size(message) / sizeof(sum); i++)
		sum += ((const uint64_t *)sea_message_data(message))[i];
	sea_message_unref(message);
	check(sea_message_new(&message, heap, sizeof(sum), 0, -1), "message");
	memcpy(sea_message_write(message), &sum, sizeof(sum));
	check(sea_channel_send(channel, &message, -1), "answer");
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	int status, failed = 0;
	pid_t pid = 1;

	for (int i = 0; i < N_CLIENTS && pid > 0; i++)
		pid = fork();
	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, pid ? SEA_REP : SEA_REQ, NULL), "channel");
	check((pid ? sea_channel_bind : sea_channel_connect)(channel, "example-request"), "address");
	for (uint64_t i = 0; i < (pid ? N_CLIENTS * N_REQUESTS : N_REQUESTS); i++)
		pid ? answer(channel, sea_session_heap(session)) : ask(channel, sea_session_heap(session), i + 1);
	if (pid)
		printf("%d requests of %zu KiB answered\n", N_CLIENTS * N_REQUESTS, N_NUMBERS * sizeof(uint64_t) >> 10);
	while (pid && wait(&status) > 0)
		failed |= status;
	sea_channel_close(channel);
	sea_session_close(session);
	return failed != 0;
}
