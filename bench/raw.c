/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits: what two cores and this kernel do without any library.
 *
 * The odd rule: nothing here checks, protects or survives anything; a limit is what remains when all that is left out,
 * so it is never slower than it could be.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif

#define RING_N_SLOTS 1024u
#define RING_N_BLOCKS 4096u
#define HUGE_N_BYTES (UINT64_C(2) << 20)
/* Round trips per sample where one takes little longer than reading the clock. */
#define LINE_PER_SAMPLE 16

struct ring_slot {
	uint64_t block, sequence, fill[6];
};

struct ring_return {
	uint64_t block, sequence;
};

struct raw {
	_Alignas(64) _Atomic uint64_t ping;
	_Alignas(64) _Atomic uint64_t pong;
	_Alignas(64) _Atomic uint64_t head;
	_Alignas(64) _Atomic uint64_t tail;
	_Alignas(64) _Atomic uint64_t return_head;
	_Alignas(64) struct ring_slot slots[RING_N_SLOTS];
	_Alignas(64) struct ring_return returns[RING_N_BLOCKS];
	/* The producer's own. */
	_Alignas(64) uint64_t sent, seen_tail, seen_returns, n_free;
	uint32_t free[RING_N_BLOCKS];
	/* The consumer's own. */
	_Alignas(64) uint64_t received, seen_head, returned;
};

static int raw_prepare(struct bench_job *job)
{
	struct raw *raw = mmap(NULL, sizeof *raw, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1,
	                       0);

	if (raw == MAP_FAILED)
		return bench_skip(job, "mmap: %s", strerror(errno));
	for (uint32_t i = 0; i < RING_N_BLOCKS; i++)
		raw->free[raw->n_free++] = i;
	job->state = raw;
	job->fds[0] = eventfd(0, EFD_CLOEXEC);
	job->fds[1] = eventfd(0, EFD_CLOEXEC);
	return job->fds[0] < 0 || job->fds[1] < 0 ? bench_skip(job, "eventfd: %s", strerror(errno)) : 0;
}

static void raw_finish(struct bench_job *job)
{
	if (job->state != NULL)
		munmap(job->state, sizeof(struct raw));
	job->state = NULL;
}

const struct bench_road bench_road_raw = { .name = "raw", .prepare = raw_prepare, .finish = raw_finish };

static void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void wait_word(_Atomic uint64_t *word, uint64_t value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		cpu_relax();
}

/* One cache line goes back and forth: one word, written by both in turn. */
void bench_turn_line(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct raw *raw = job->state;
	const uint64_t n_samples = n / LINE_PER_SAMPLE + 1;
	double *samples = side == 0 ? bench_samples(job, n_samples) : NULL;

	(void)turn;
	for (uint64_t i = 0; i < n_samples; i++) {
		const int64_t start = samples != NULL ? bench_now() : 0;

		for (int k = 0; k < LINE_PER_SAMPLE; k++, job->sequence += 2) {
			if (side == 0) {
				atomic_store_explicit(&raw->ping, job->sequence + 1, memory_order_release);
				wait_word(&raw->ping, job->sequence + 2);
			} else {
				wait_word(&raw->ping, job->sequence + 1);
				atomic_store_explicit(&raw->ping, job->sequence + 2, memory_order_release);
			}
		}
		if (samples != NULL)
			samples[i] = (double)(bench_now() - start) / LINE_PER_SAMPLE;
	}
	job->n_sampled = samples != NULL ? n_samples : 0;
}

void bench_turn_eventfd(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	double *samples = side == 0 ? bench_samples(job, n) : NULL;
	uint64_t value = 1;

	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		const int64_t start = samples != NULL ? bench_now() : 0;

		if (side == 0)
			bench_check(write(job->fds[1], &value, 8) == 8, "eventfd: %s", strerror(errno));
		bench_check(read(job->fds[side], &value, 8) == 8, "eventfd: %s", strerror(errno));
		if (side == 1)
			bench_check(write(job->fds[0], &value, 8) == 8, "eventfd: %s", strerror(errno));
		if (samples != NULL)
			samples[i] = (double)(bench_now() - start);
	}
	job->n_sampled = samples != NULL ? n : 0;
}

/*
 * Longer than one look: whoever looks at a line all the time takes it away from its writer, and both fall into
 * step, one message at a time. A limit should be the best there is.
 */
static void ring_relax(uint64_t n)
{
	for (uint64_t i = 0; i < (n == 1 ? 64 : 8); i++)
		cpu_relax();
}

static void ring_take_returns(struct raw *raw)
{
	const uint64_t head = atomic_load_explicit(&raw->return_head, memory_order_acquire);

	while (raw->seen_returns != head)
		raw->free[raw->n_free++] = (uint32_t)raw->returns[raw->seen_returns++ % RING_N_BLOCKS].block;
}

static void ring_send(struct raw *raw, uint64_t sequence, uint64_t n, bool returns)
{
	while (raw->sent + n - raw->seen_tail > RING_N_SLOTS) {
		raw->seen_tail = atomic_load_explicit(&raw->tail, memory_order_acquire);
		if (raw->sent + n - raw->seen_tail > RING_N_SLOTS)
			ring_relax(n);
	}
	while (returns && raw->n_free < n)
		ring_take_returns(raw);
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t block = returns ? raw->free[--raw->n_free] : 0;

		raw->slots[(raw->sent + i) % RING_N_SLOTS] =
			(struct ring_slot){ block, sequence + i, { 64, block * 64, 1, 0, 0, 0 } };
	}
	raw->sent += n;
	atomic_store_explicit(&raw->head, raw->sent, memory_order_release);
}

static void ring_receive(struct raw *raw, uint64_t sequence, uint64_t n, bool returns)
{
	while (raw->seen_head - raw->received < n) {
		raw->seen_head = atomic_load_explicit(&raw->head, memory_order_acquire);
		if (raw->seen_head - raw->received < n)
			ring_relax(n);
	}
	for (uint64_t i = 0; i < n; i++) {
		const struct ring_slot slot = raw->slots[(raw->received + i) % RING_N_SLOTS];

		bench_check(slot.sequence == sequence + i, "slot %llu is out of order",
		            (unsigned long long)sequence + i);
		if (returns)
			raw->returns[(raw->returned + i) % RING_N_BLOCKS] = (struct ring_return){ slot.block,
				                                                                  slot.sequence };
	}
	raw->received += n;
	atomic_store_explicit(&raw->tail, raw->received, memory_order_release);
	if (returns) {
		raw->returned += n;
		atomic_store_explicit(&raw->return_head, raw->returned, memory_order_release);
	}
}

/* 64-byte slots one way; with variant 1 also the blocks back. */
void bench_turn_ring(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	(void)turn;
	for (uint64_t i = 0; i < n; i += job->batch, job->sequence += job->batch) {
		if (side == 0)
			ring_send(job->state, job->sequence, job->batch, job->variant != 0);
		else
			ring_receive(job->state, job->sequence, job->batch, job->variant != 0);
	}
}

/* A plain warm shared mapping: `window` frames at fixed places, one counter each way. */
static int warm_prepare(struct bench_job *job)
{
	const uint64_t n_bytes = job->window * ((job->mix->n_bytes_max + HUGE_N_BYTES - 1) & ~(HUGE_N_BYTES - 1));
	const unsigned flags = MFD_CLOEXEC | (job->pages == SEA_PAGES_HUGETLB ? MFD_HUGETLB | MFD_HUGE_2MB : 0);

	job->fds[0] = memfd_create("bench-warm", flags);
	if (job->fds[0] < 0 || ftruncate(job->fds[0], (off_t)n_bytes) != 0)
		return bench_skip(job, "no plain mapping with these pages: %s", strerror(errno));
	return 0;
}

/* At a multiple of 2 MiB, as huge pages need it. */
static void *warm_map(const struct bench_job *job, int side, uint64_t n_bytes)
{
	const int protection = side == 0 ? PROT_READ | PROT_WRITE : PROT_READ;
	const uint64_t n_reserved = n_bytes + HUGE_N_BYTES;
	unsigned char *reserved = mmap(NULL, n_reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned char *data;

	if (reserved == MAP_FAILED)
		return MAP_FAILED;
	data = reserved + (HUGE_N_BYTES - (uintptr_t)reserved % HUGE_N_BYTES) % HUGE_N_BYTES;
	return mmap(data, n_bytes, protection, MAP_SHARED | MAP_FIXED, job->fds[0], 0);
}

static int warm_open(struct bench_job *job, int side)
{
	const uint64_t n_bytes = job->window * ((job->mix->n_bytes_max + HUGE_N_BYTES - 1) & ~(HUGE_N_BYTES - 1));
	unsigned char *data = warm_map(job, side, n_bytes);
	uint64_t sum = 0;

	if (data == MAP_FAILED)
		return bench_skip(job, "no plain mapping with these pages: %s", strerror(errno));
	job->state = data;
	if (job->pages == SEA_PAGES_THP)
		madvise(data, n_bytes, MADV_HUGEPAGE);
	if (side == 0) {
		memset(data, 1, n_bytes);
		if (job->pages == SEA_PAGES_COLLAPSE && madvise(data, n_bytes, MADV_COLLAPSE) != 0)
			return bench_skip(job, "MADV_COLLAPSE: %s", strerror(errno));
		atomic_store(&job->shared->flag, 1);
		return 0;
	}
	bench_await(&job->shared->flag, 1);
	if (job->pages == SEA_PAGES_COLLAPSE)
		madvise(data, n_bytes, MADV_COLLAPSE);
	for (uint64_t i = 0; i < n_bytes; i += 4096)
		sum += data[i];
	return sum > 0 ? 0 : bench_skip(job, "the mapping is empty");
}

static unsigned char *warm_frame(const struct bench_job *job, uint64_t sequence)
{
	const uint64_t stride = (job->mix->n_bytes_max + HUGE_N_BYTES - 1) & ~(HUGE_N_BYTES - 1);

	return (unsigned char *)job->state + sequence % job->window * stride;
}

static void warm_send(struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	unsigned char *data = warm_frame(job, sequence);

	if (sequence >= job->window)
		while (atomic_load_explicit(&job->shared->done[1].n, memory_order_acquire) + job->window <= sequence)
			cpu_relax();
	for (size_t i = 0; i < job->mix->n_parts && job->fill; i++) {
		bench_fill(data, sizes[i], sequence);
		data += (sizes[i] + 63) & ~(size_t)63;
	}
	atomic_store_explicit(&job->shared->sent, sequence + 1, memory_order_release);
}

static void warm_receive(struct bench_job *job, uint64_t sequence)
{
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const unsigned char *data = warm_frame(job, sequence);

	while (atomic_load_explicit(&job->shared->sent, memory_order_acquire) <= sequence)
		cpu_relax();
	for (size_t i = 0; i < job->mix->n_parts && job->read; i++) {
		bench_read(data, sizes[i], sequence);
		data += (sizes[i] + 63) & ~(size_t)63;
	}
	atomic_store_explicit(&job->shared->done[1].n, sequence + 1, memory_order_release);
}

const struct bench_road bench_road_warm = {
	.name = "warm mapping",
	.prepare = warm_prepare,
	.open = warm_open,
	.send = warm_send,
	.receive = warm_receive,
};
