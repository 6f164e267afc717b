/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Editing in place: over a shared heap whoever holds a message alone may change it and pass it on. The calibration below never copies a
 * sample: source, calibrator and sink work on the same bytes, one after the other.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_SAMPLES 1000

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

static void calibrate(struct sea_channel *in, struct sea_channel *out)
{
	struct sea_message *message = NULL;
	int r;

	check(sea_channel_receive(in, &message, -1), "receive");
	/* In place, or as a copy where somebody else holds it or its memory is sealed: the code is the same. */
	r = sea_message_make_mutable(&message, sea_session_heap(session), -1);
	check(r, "make mutable");
	for (int i = 0; i < N_SAMPLES; i++)
		((float *)sea_message_write(message))[i] *= 2.0f;
	printf("calibrated %s\n", r == 0 ? "in place" : "in a copy");
	fflush(stdout);
	check(sea_channel_send(out, &message, -1), "send");
	check(sea_channel_flush(out, -1), "flush");
}

int main(void)
{
	int is_sink = fork() == 0, is_middle = !is_sink && fork() == 0, status, failed = 0;
	struct sea_session_options options = { .transport = SEA_TRANSPORT_SHMEM };
	struct sea_message *message = NULL;
	struct sea_channel *raw;

	check(sea_session_open(&session, &options), "session");
	if (is_middle) {
		calibrate(channel_open(SEA_PULL, "raw"), channel_open(SEA_PUSH, "calibrated"));
		_exit(0);
	}
	if (is_sink) {
		check(sea_channel_receive(channel_open(SEA_PULL, "calibrated"), &message, -1), "receive");
		printf("sample 7 is %g\n", (double)((const float *)sea_message_data(message))[7]);
		fflush(stdout);
		sea_message_unref(message);
		_exit(0);
	}
	check(sea_message_new(&message, sea_session_heap(session), N_SAMPLES * sizeof(float), 0, 0), "message");
	for (int i = 0; i < N_SAMPLES; i++)
		((float *)sea_message_write(message))[i] = (float)i;
	raw = channel_open(SEA_PUSH, "raw");
	check(sea_channel_send(raw, &message, -1), "send");
	while (wait(&status) > 0)
		failed |= status;
	sea_channel_close(raw);
	sea_session_close(session);
	return failed ? 1 : 0;
}
