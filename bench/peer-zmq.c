/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: libzmq over ipc:// or TCP, one zmq frame per part, written in place in the
 * message that libzmq allocates (so the producer copies nothing of its own).
 */
#include "bench.h"

#ifdef SEALANE_BENCH_ZMQ
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

struct zmq_state {
	void *context;
	void *socket;
};

static int peer_open(struct bench_job *job, int side)
{
	struct zmq_state *state = calloc(1, sizeof *state);
	const int water_mark = job->window > 2 ? (int)(job->window / 2) : 1;
	const int linger = 0;
	char address[200];
	size_t n_bytes = sizeof address;
	int r;

	if (state == NULL)
		return bench_skip(job, "no memory");
	job->state = state;
	state->context = zmq_ctx_new();
	if (state->context == NULL)
		return bench_skip(job, "zmq_ctx_new: %s", strerror(errno));
	state->socket = zmq_socket(state->context, job->duplex ? ZMQ_PAIR : side == 0 ? ZMQ_PUSH : ZMQ_PULL);
	if (state->socket == NULL)
		return bench_skip(job, "zmq_socket: %s", zmq_strerror(errno));
	zmq_setsockopt(state->socket, ZMQ_SNDHWM, &water_mark, sizeof water_mark);
	zmq_setsockopt(state->socket, ZMQ_RCVHWM, &water_mark, sizeof water_mark);
	zmq_setsockopt(state->socket, ZMQ_LINGER, &linger, sizeof linger);
	bench_zeromq_address(job, side, address, sizeof address);
	r = side == 0 ? zmq_bind(state->socket, address) : zmq_connect(state->socket, address);
	if (r != 0)
		return bench_skip(job, "%s: %s", address, zmq_strerror(errno));
	if (side == 0 && zmq_getsockopt(state->socket, ZMQ_LAST_ENDPOINT, address, &n_bytes) == 0)
		bench_zeromq_bound(job, address);
	return 0;
}

static void peer_close(struct bench_job *job, int side)
{
	struct zmq_state *state = job->state;

	(void)side;
	zmq_close(state->socket);
	zmq_ctx_term(state->context);
	free(state);
}

static void peer_send(struct bench_job *job, uint64_t sequence)
{
	struct zmq_state *state = job->state;
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	zmq_msg_t message;

	for (size_t i = 0; i < job->mix->n_parts; i++) {
		bench_check(zmq_msg_init_size(&message, sizes[i]) == 0, "zmq_msg_init_size: %s", zmq_strerror(errno));
		if (job->fill)
			bench_fill(zmq_msg_data(&message), sizes[i], sequence);
		else if (i == 0 && sizes[i] >= sizeof sequence)
			memcpy(zmq_msg_data(&message), &sequence, sizeof sequence);
		bench_check(zmq_msg_send(&message, state->socket, i + 1 < job->mix->n_parts ? ZMQ_SNDMORE : 0) >= 0,
		            "zmq_msg_send: %s", zmq_strerror(errno));
	}
}

static void peer_receive(struct bench_job *job, uint64_t sequence)
{
	struct zmq_state *state = job->state;
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	zmq_msg_t message;

	for (size_t i = 0; i < job->mix->n_parts; i++) {
		uint64_t number = sequence;

		zmq_msg_init(&message);
		bench_check(zmq_msg_recv(&message, state->socket, 0) >= 0, "zmq_msg_recv: %s", zmq_strerror(errno));
		bench_check(zmq_msg_size(&message) == sizes[i], "message %llu: part %zu has the wrong size",
		            (unsigned long long)sequence, i);
		if (i == 0 && sizes[i] >= sizeof number)
			memcpy(&number, zmq_msg_data(&message), sizeof number);
		bench_check(number == sequence, "message %llu is out of order", (unsigned long long)sequence);
		if (job->read)
			bench_read(zmq_msg_data(&message), sizes[i], sequence);
		zmq_msg_close(&message);
	}
}

static const struct bench_road road = {
	.name = "libzmq ipc",
	.open = peer_open,
	.send = peer_send,
	.receive = peer_receive,
	.close = peer_close,
};
#endif

const struct bench_road *bench_road_zmq(void)
{
#ifdef SEALANE_BENCH_ZMQ
	return &road;
#else
	return NULL;
#endif
}
