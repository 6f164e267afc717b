/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ways that need no library: a unix stream socket that copies, and a
 * fresh memfd per frame, sealed and passed over a socket.
 *
 * The odd rule: the socket packs a whole batch into one write, since that is what its users do for speed.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct socket_state {
	int fd;
	unsigned char *buffer;
	uint64_t n_bytes;
};

static uint64_t frame_n_bytes(const struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	uint64_t n_bytes = 0;

	for (size_t i = 0; i < job->mix->n_parts; i++)
		n_bytes += (sizes[i] + 63) & ~(size_t)63;
	return n_bytes < 8 ? 8 : n_bytes;
}

static int socket_prepare(struct bench_job *job)
{
	const int size = 4 << 20;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return bench_skip(job, "socketpair: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		job->fds[i] = pair[i];
		/* As far as net.core.wmem_max allows; what it grants is what its users would have. */
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	}
	return 0;
}

static int socket_open(struct bench_job *job, int side)
{
	struct socket_state *state = calloc(1, sizeof *state);

	if (state == NULL)
		return bench_skip(job, "no memory");
	job->state = state;
	state->n_bytes = (job->mix->n_bytes_max + 64) * job->batch;
	state->buffer = malloc(state->n_bytes);
	if (state->buffer == NULL)
		return bench_skip(job, "no memory for a buffer of %llu bytes", (unsigned long long)state->n_bytes);
	memset(state->buffer, 0, state->n_bytes);
	state->fd = job->fds[side];
	close(job->fds[!side]);
	return 0;
}

static void socket_close(struct bench_job *job, int side)
{
	struct socket_state *state = job->state;

	(void)side;
	free(state->buffer);
	free(state);
}

static void socket_send(struct bench_job *job, uint64_t sequence)
{
	struct socket_state *state = job->state;
	uint64_t n_bytes = 0;

	for (size_t k = 0; k < job->batch; k++) {
		const size_t *sizes = bench_mix_sizes(job->mix, sequence + k);
		unsigned char *data = state->buffer + n_bytes;

		n_bytes += frame_n_bytes(job, sequence + k);
		for (size_t i = 0; i < job->mix->n_parts && job->fill; i++) {
			bench_fill(data, sizes[i], sequence + k);
			data += (sizes[i] + 63) & ~(size_t)63;
		}
		if (!job->fill)
			memcpy(data, &(uint64_t){ sequence + k }, sizeof sequence);
	}
	for (uint64_t done = 0; done < n_bytes;) {
		const ssize_t n = write(state->fd, state->buffer + done, n_bytes - done);

		bench_check(n > 0, "write: %s", strerror(errno));
		done += (uint64_t)n;
	}
}

static void socket_receive(struct bench_job *job, uint64_t sequence)
{
	struct socket_state *state = job->state;
	uint64_t n_bytes = 0, offset = 0;

	for (size_t k = 0; k < job->batch; k++)
		n_bytes += frame_n_bytes(job, sequence + k);
	for (uint64_t done = 0; done < n_bytes;) {
		const ssize_t n = read(state->fd, state->buffer + done, n_bytes - done);

		bench_check(n > 0, "read: %s", n == 0 ? "the other side has gone" : strerror(errno));
		done += (uint64_t)n;
	}
	for (size_t k = 0; k < job->batch; k++) {
		const size_t *sizes = bench_mix_sizes(job->mix, sequence + k);
		const unsigned char *data = state->buffer + offset;
		uint64_t number;

		offset += frame_n_bytes(job, sequence + k);
		memcpy(&number, data, sizeof number);
		bench_check(job->fill || number == sequence + k, "message %llu is out of order",
		            (unsigned long long)sequence + k);
		for (size_t i = 0; i < job->mix->n_parts && job->read; i++) {
			bench_read(data, sizes[i], sequence + k);
			data += (sizes[i] + 63) & ~(size_t)63;
		}
	}
}

const struct bench_road bench_road_socket = {
	.name = "unix socket",
	.prepare = socket_prepare,
	.open = socket_open,
	.send = socket_send,
	.receive = socket_receive,
	.close = socket_close,
};

static int fresh_prepare(struct bench_job *job)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return bench_skip(job, "socketpair: %s", strerror(errno));
	job->fds[0] = pair[0];
	job->fds[1] = pair[1];
	return 0;
}

static int fresh_open(struct bench_job *job, int side)
{
	close(job->fds[!side]);
	return 0;
}

static void fresh_send(struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const uint64_t n_bytes = frame_n_bytes(job, sequence);
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec vector = { .iov_base = &sequence, .iov_len = sizeof sequence };
	struct msghdr header = { .msg_iov = &vector,
		                 .msg_iovlen = 1,
		                 .msg_control = control.bytes,
		                 .msg_controllen = sizeof control.bytes };
	const int64_t start = bench_now();
	int fd;

	/* As many in flight as the others have. */
	if (sequence >= job->window)
		bench_await(&job->shared->done[1].n, sequence + 1 - job->window);
	job->wait_ns += bench_now() - start;
	fd = memfd_create("bench-fresh", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bench_check(fd >= 0 && ftruncate(fd, (off_t)n_bytes) == 0, "memfd: %s", strerror(errno));
	if (job->fill) {
		unsigned char *data = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		unsigned char *part = data;

		bench_check(data != MAP_FAILED, "mmap: %s", strerror(errno));
		for (size_t i = 0; i < job->mix->n_parts; i++) {
			bench_fill(part, sizes[i], sequence);
			part += (sizes[i] + 63) & ~(size_t)63;
		}
		munmap(data, n_bytes);
	}
	bench_check(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0, "seal: %s",
	            strerror(errno));
	CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof fd);
	bench_check(sendmsg(job->fds[0], &header, 0) == (ssize_t)sizeof sequence, "sendmsg: %s", strerror(errno));
	close(fd);
}

static void fresh_receive(struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const uint64_t n_bytes = frame_n_bytes(job, sequence);
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	uint64_t number = 0;
	struct iovec vector = { .iov_base = &number, .iov_len = sizeof number };
	struct msghdr header = { .msg_iov = &vector,
		                 .msg_iovlen = 1,
		                 .msg_control = control.bytes,
		                 .msg_controllen = sizeof control.bytes };
	const unsigned char *data, *part;
	int fd;

	bench_check(recvmsg(job->fds[1], &header, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof number &&
	                    CMSG_FIRSTHDR(&header) != NULL,
	            "recvmsg: %s", strerror(errno));
	bench_check(number == sequence, "message %llu is out of order", (unsigned long long)sequence);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fd);
	data = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);
	bench_check(data != MAP_FAILED, "mmap: %s", strerror(errno));
	part = data;
	for (size_t i = 0; i < job->mix->n_parts && job->read; i++) {
		bench_read(part, sizes[i], sequence);
		part += (sizes[i] + 63) & ~(size_t)63;
	}
	munmap((void *)(uintptr_t)data, n_bytes);
	close(fd);
	atomic_store_explicit(&job->shared->done[1].n, sequence + 1, memory_order_release);
}

const struct bench_road bench_road_fresh = {
	.name = "fresh memfd",
	.prepare = fresh_prepare,
	.open = fresh_open,
	.send = fresh_send,
	.receive = fresh_receive,
};
