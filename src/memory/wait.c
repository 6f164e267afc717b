/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for memory: until a release, a deadline, or a signal; never by sleeping and looking again. */
#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "memory/heap-state.h"
#include "memory/message.h"

/* How often who waits at a session quota looks whether other processes gave something back. */
#define WAIT_LOOK_AGAIN_NS (4 * SEAI_NS_PER_MS)

void seai_note_release(struct sea_session *session)
{
	/* release: pairs with the acquire of those who wait; what was freed is seen under the books lock anyway */
	atomic_fetch_add_explicit(&session->memory_epoch, 1, memory_order_release);
	if (atomic_load_explicit(&session->n_memory_waiters, memory_order_relaxed))
		seai_futex_wake(&session->memory_epoch, INT_MAX);
}

void seai_waiting_begin(struct sea_session *session)
{
	SEAI_LOCKED(&session->books, books);
	atomic_fetch_add_explicit(&session->n_memory_waiters, 1, memory_order_relaxed);
}

void seai_waiting_end(struct sea_session *session)
{
	atomic_fetch_sub_explicit(&session->n_memory_waiters, 1, memory_order_relaxed);
}

int seai_wait_for_release(struct sea_session *session, uint32_t epoch, int64_t deadline_ns)
{
	if (session->hooks->is_service_thread(session))
		return -EDEADLK;
	return seai_futex_wait(&session->memory_epoch, epoch, deadline_ns);
}

/* One try, with what others have released meanwhile. Books lock held. */
static int allocate_try(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, enum seai_allocation kind,
                        struct seai_block **blocks, size_t n_blocks)
{
	if (kind == SEAI_ALLOCATE_IMMUTABLE) {
		int r = seai_heap_allocate_immutable(heap, n_bytes, blocks);

		return r < 0 ? r : 1;
	}
	if (kind == SEAI_ALLOCATE_GROWING) {
		int r = seai_heap_reserve(heap, n_bytes, n_bytes < SEAI_CHUNK_N_BYTES ? n_bytes : SEAI_CHUNK_N_BYTES,
		                          alignment, blocks);

		return r < 0 ? r : 1;
	}
	if (n_blocks == 1) {
		int r = seai_heap_allocate(heap, n_bytes, alignment, blocks);

		return r < 0 ? r : 1;
	}
	return seai_heap_allocate_many(heap, n_bytes, alignment, blocks, n_blocks);
}

/* Backs fresh blocks up to n_bytes; those that cannot be are given back. Returns how many there are, or an error. */
static int allocate_back(struct sea_session *session, struct seai_block **blocks, int n, uint64_t n_bytes)
{
	int n_backed = 0, error = 0;

	/* Small ones lie in slabs, which are backed as a whole. */
	if (n_bytes <= SEAI_CHUNK_N_BYTES / 2)
		return n;
	for (int i = 0; i < n; i++) {
		int r = error;

		if (!r && SEAI_UNLIKELY(!seai_block_is_backed(blocks[i], n_bytes)))
			r = seai_block_back(blocks[i], n_bytes);
		if (SEAI_LIKELY(r == 0)) {
			blocks[n_backed++] = blocks[i];
			continue;
		}
		error = r;
		SEAI_LOCKED(&session->books, books);
		blocks[i]->n_own = 0;
		seai_heap_release(blocks[i]);
	}
	return n_backed ? n_backed : error;
}

/*
 * At the quota of a shared heap: free memory that lies in the wrong place goes back to the kernel, so that it can be had in the
 * right one. Returns whether to try again. Books lock not held.
 */
static bool allocate_make_holes(struct sea_heap *heap, uint64_t n_bytes)
{
	/* For the head of a new arena, and the ends of the units, besides. */
	return seai_heap_punch(heap, n_bytes + 2 * heap->unit_n_bytes + heap->head_n_bytes) > 0;
}

/* What one waiting call keeps between its tries. */
struct waiting {
	struct sea_heap *heap;
	int64_t timeout_ns;
	int64_t deadline_ns; /* 0 before the first wait */
	uint32_t epoch;      /* from before the try that failed */
	bool is_begun;
};

static uint32_t waiting_epoch(const struct waiting *waiting)
{
	return atomic_load_explicit(&waiting->heap->session->memory_epoch, memory_order_acquire);
}

static void waiting_end(struct waiting *waiting)
{
	if (waiting->is_begun)
		seai_waiting_end(waiting->heap->session);
}

/* Sleeps until a release here. At a session quota it may be another process that gives back, and that does not ring: looks again. */
static int waiting_look_again(const struct waiting *waiting)
{
	struct sea_session *session = waiting->heap->session;
	int64_t until_ns = session->quota ? seai_deadline(WAIT_LOOK_AGAIN_NS) : waiting->deadline_ns;
	int r;

	if (!session->quota || (waiting->deadline_ns >= 0 && waiting->deadline_ns <= until_ns))
		return seai_wait_for_release(session, waiting->epoch, waiting->deadline_ns);
	r = seai_wait_for_release(session, waiting->epoch, until_ns);
	return r == -ETIMEDOUT ? 0 : r;
}

/*
 * After a try that failed: the first time, makes itself known as one who waits, so that from the next try on every release
 * counts; then asks holders to ring and sleeps. 0: try again; else an error.
 */
static int waiting_sleep(struct waiting *waiting)
{
	struct sea_session *session = waiting->heap->session;

	if (waiting->timeout_ns == 0)
		return -ENOMEM;
	if (!waiting->is_begun) {
		waiting->deadline_ns = seai_deadline(waiting->timeout_ns);
		waiting->is_begun = true;
		seai_waiting_begin(session);
		return 0;
	}
	{
		SEAI_LOCKED(&session->books, books);
		waiting->heap->n_waits++;
		session->hooks->arm(session);
	}
	return waiting_look_again(waiting);
}

int seai_back_wait(struct seai_block *block, uint64_t n_bytes, int64_t timeout_ns)
{
	SEAI_CLEANUP(waiting_end) struct waiting waiting = { .heap = block->arena->heap, .timeout_ns = timeout_ns };
	int r;

	do {
		waiting.epoch = waiting_epoch(&waiting);
		r = seai_block_back(block, n_bytes);
		if (r == -EAGAIN) {
			{
				SEAI_LOCKED(&waiting.heap->session->books, books);
				waiting.heap->session->hooks->drain(waiting.heap->session);
			}
			r = seai_block_back(block, n_bytes);
		}
		if (r == -EAGAIN && allocate_make_holes(waiting.heap, n_bytes - block->n_backed))
			r = seai_block_back(block, n_bytes);
		if (r != -EAGAIN)
			return r;
		r = waiting_sleep(&waiting);
	} while (r == 0);
	return r;
}

int seai_allocate_wait(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, enum seai_allocation kind,
                       struct seai_block **blocks, size_t n_blocks, int64_t timeout_ns)
{
	struct sea_session *session = heap->session;
	SEAI_CLEANUP(waiting_end) struct waiting waiting = { .heap = heap, .timeout_ns = timeout_ns };
	int r;

	do {
		{
			SEAI_LOCKED(&session->books, books);
			waiting.epoch = waiting_epoch(&waiting);
			r = allocate_try(heap, n_bytes, alignment, kind, blocks, n_blocks);
			if (SEAI_UNLIKELY(r == -EAGAIN) && session->hooks->drain(session))
				r = allocate_try(heap, n_bytes, alignment, kind, blocks, n_blocks);
		}
		/* A growing or an immutable block is backed by its frame as it grows. */
		if (r > 0 && kind == SEAI_ALLOCATE_WHOLE)
			r = allocate_back(session, blocks, r, n_bytes);
		if (r != -EAGAIN)
			return r;
		if (allocate_make_holes(heap, kind == SEAI_ALLOCATE_GROWING && n_bytes > SEAI_CHUNK_N_BYTES
		                                      ? SEAI_CHUNK_N_BYTES
		                                      : n_bytes)) {
			r = 0;
			continue;
		}
		r = waiting_sleep(&waiting);
	} while (r == 0);
	return r;
}
