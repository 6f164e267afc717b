/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: nng over ipc://. It has no multi-part messages: a frame is one message
 * with its parts one behind the other, each aligned to 64 bytes.
 */
#include "bench.h"

#ifdef SEALANE_BENCH_NNG
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdlib.h>
#include <string.h>

static uint64_t frame_n_bytes(const struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	uint64_t n_bytes = 0;

	if (job->mix->n_parts == 1)
		return sizes[0];
	for (size_t i = 0; i < job->mix->n_parts; i++)
		n_bytes += (sizes[i] + 63) & ~(size_t)63;
	return n_bytes;
}

static int peer_open(struct bench_job *job, int side)
{
	nng_socket *socket = calloc(1, sizeof *socket);
	char address[200];
	int r;

	if (socket == NULL)
		return bench_skip(job, "no memory");
	job->state = socket;
	r = job->duplex ? nng_pair0_open(socket) : side == 0 ? nng_push0_open(socket) : nng_pull0_open(socket);
	if (r != 0)
		return bench_skip(job, "nng: %s", nng_strerror(r));
	nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, 0);
	nng_socket_set_int(*socket, NNG_OPT_SENDBUF, job->window > 2 ? (int)(job->window / 2) : 1);
	nng_socket_set_int(*socket, NNG_OPT_RECVBUF, job->window > 2 ? (int)(job->window / 2) : 1);
	snprintf(address, sizeof address, "ipc://%s/nng-%u", bench_config.directory, job->id);
	r = side == 0 ? nng_listen(*socket, address, NULL, 0) : nng_dial(*socket, address, NULL, NNG_FLAG_NONBLOCK);
	return r == 0 ? 0 : bench_skip(job, "%s: %s", address, nng_strerror(r));
}

static void peer_close(struct bench_job *job, int side)
{
	(void)side;
	nng_close(*(nng_socket *)job->state);
	free(job->state);
}

static void peer_send(struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const uint64_t n_bytes = frame_n_bytes(job, sequence);
	unsigned char *data;
	nng_msg *message;
	int r = nng_msg_alloc(&message, n_bytes);

	bench_check(r == 0, "nng_msg_alloc: %s", nng_strerror(r));
	data = nng_msg_body(message);
	if (!job->fill && n_bytes >= sizeof sequence)
		memcpy(data, &sequence, sizeof sequence);
	for (size_t i = 0; i < job->mix->n_parts && job->fill; i++) {
		bench_fill(data, sizes[i], sequence);
		data += (sizes[i] + 63) & ~(size_t)63;
	}
	r = nng_sendmsg(*(nng_socket *)job->state, message, 0);
	bench_check(r == 0, "nng_sendmsg: %s", nng_strerror(r));
}

static void peer_receive(struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const unsigned char *data;
	uint64_t number = sequence;
	nng_msg *message;
	const int r = nng_recvmsg(*(nng_socket *)job->state, &message, 0);

	bench_check(r == 0, "nng_recvmsg: %s", nng_strerror(r));
	bench_check(nng_msg_len(message) == frame_n_bytes(job, sequence), "message %llu has the wrong size",
	            (unsigned long long)sequence);
	data = nng_msg_body(message);
	if (nng_msg_len(message) >= sizeof number && sizes[0] >= sizeof number)
		memcpy(&number, data, sizeof number);
	bench_check(number == sequence, "message %llu is out of order", (unsigned long long)sequence);
	for (size_t i = 0; i < job->mix->n_parts && job->read; i++) {
		bench_read(data, sizes[i], sequence);
		data += (sizes[i] + 63) & ~(size_t)63;
	}
	nng_msg_free(message);
}

static const struct bench_road road = {
	.name = "nng ipc",
	.open = peer_open,
	.send = peer_send,
	.receive = peer_receive,
	.close = peer_close,
};
#endif

const struct bench_road *bench_road_nng(void)
{
#ifdef SEALANE_BENCH_NNG
	return &road;
#else
	return NULL;
#endif
}
