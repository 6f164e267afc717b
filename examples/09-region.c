/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region: a readout card's ring buffer, whose layout is the program's own. Each event becomes a message where it lies; when nobody
 * holds it any more the callback gives its part of the ring back.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define RING_N_BYTES (1u << 20)
#define EVENT_N_BYTES 4096u
#define N_EVENTS 1000u

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void given_back(const struct sea_region_block *blocks, size_t n_blocks, void *userdata)
{
	(void)blocks;
	atomic_fetch_add((_Atomic unsigned *)userdata, (unsigned)n_blocks);
}

static void consumer(struct sea_channel *channel)
{
	unsigned long sum = 0;

	for (unsigned i = 0; i < N_EVENTS; i++) {
		struct sea_message *message = NULL;

		check(sea_channel_receive(channel, &message, -1), "receive");
		sum += *(const unsigned *)sea_message_data(message);
		sea_message_unref(message);
	}
	printf("%u events, sum %lu\n", N_EVENTS, sum);
}

int main(void)
{
	static _Atomic unsigned n_back;
	int is_readout = fork() > 0, status = 1;
	struct sea_region_options options = { .n_bytes = RING_N_BYTES, .on_release = given_back, .userdata = &n_back };
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	struct sea_region *ring = NULL;

	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, is_readout ? SEA_PUSH : SEA_PULL, NULL), "channel");
	check((is_readout ? sea_channel_bind : sea_channel_connect)(channel, "events"), "events");
	if (is_readout)
		check(sea_region_new(&ring, session, &options), "region");
	else
		consumer(channel);
	for (unsigned i = 0; is_readout && i < N_EVENTS; i++) {
		unsigned *event = (unsigned *)((char *)sea_region_data(ring) + i * EVENT_N_BYTES % RING_N_BYTES);
		struct sea_message *message = NULL;

		while (i - atomic_load(&n_back) >= RING_N_BYTES / EVENT_N_BYTES)
			usleep(100); /* the ring is full */
		*event = i;
		check(sea_message_new_in_region(&message, ring, event, EVENT_N_BYTES, i), "message");
		check(sea_channel_send(channel, &message, -1), "send");
	}
	if (is_readout)
		check(sea_channel_flush(channel, -1), "flush");
	sea_channel_close(channel);
	sea_region_close(ring, NULL);
	sea_session_close(session);
	if (is_readout && wait(&status) > 0)
		printf("given back: %u\n", atomic_load(&n_back));
	return is_readout ? status : 0;
}
