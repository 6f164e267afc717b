/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that go back to the kernel one by one: a shared arena's payload has no seal against writing, so that its owner
 * may make holes in it where nothing is allocated.
 *
 * The odd rule: the kernel takes milliseconds for it, so it works without the lock. What is being punched is
 * marked as used meanwhile: nobody can allocate it, and nobody can look for neighbours in it. A holder that touches what it
 * gave back makes a hole real again, outside of every account; it hurts its own memory limit as much as ours.
 */
#include <fcntl.h>

#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/message.h"

/* Ranges of one pass: each costs a system call, all of them one turn of the lock. */
#define PUNCH_N_RANGES 64u
/* Steady churn keeps a tenth of what is used besides for reuse, and may grow to a sixth before it is cut back. */
#define PUNCH_KEEP_SHARE 10u
#define PUNCH_START_SHARE 6u
/* Below this it is not worth a system call. */
#define PUNCH_LEAST_N_BYTES ((uint64_t)4 << 20)

struct punch_range {
	struct seai_arena *arena;
	uint64_t first, n_chunks;
	bool done;
};

/* Free and backed ranges of an arena, in whole units of backing, the highest first: the lowest are used again first. Lock held. */
static uint32_t punch_collect(struct seai_arena *arena, uint64_t unit, uint64_t *n_chunks_wanted,
                              struct punch_range *ranges, uint32_t n_ranges)
{
	uint64_t data = arena->data_offset / SEAI_CHUNK_N_BYTES, to = arena->n_chunks / unit * unit;
	uint32_t n = 0;

	while (to > data && n < n_ranges && *n_chunks_wanted) {
		uint64_t from = to, n_backed = 0;

		while (from > data && n_backed < *n_chunks_wanted) {
			uint64_t n_unit = seai_chunks_count_punchable(arena, from - unit, unit);

			if (n_unit == 0)
				break;
			n_backed += n_unit;
			from -= unit;
		}
		if (from == to) {
			to -= unit;
			continue;
		}
		ranges[n++] = (struct punch_range){ .arena = arena, .first = from, .n_chunks = to - from };
		seai_chunks_take(arena, from, to - from);
		arena->n_busy++;
		*n_chunks_wanted -= n_backed < *n_chunks_wanted ? n_backed : *n_chunks_wanted;
		to = from;
	}
	return n;
}

/* Gives the ranges back to their arenas, as holes where that worked. Returns how much less is backed. */
static uint64_t punch_finish(struct sea_heap *heap, struct punch_range *ranges, uint32_t n_ranges)
{
	uint64_t n_bytes = 0;
	SEAI_LOCKED(&heap->session->books, books);

	(void)books;
	for (uint32_t i = 0; i < n_ranges; i++) {
		struct seai_arena *arena = ranges[i].arena;
		uint64_t n_chunks = 0;

		if (ranges[i].done) {
			n_chunks = seai_chunks_clear_backed(arena, ranges[i].first, ranges[i].n_chunks);
			seai_heap_account(heap, arena, -(int64_t)(n_chunks * SEAI_CHUNK_N_BYTES));
			n_bytes += n_chunks * SEAI_CHUNK_N_BYTES;
		}
		seai_chunks_give(arena, ranges[i].first, ranges[i].n_chunks);
		arena->n_busy--;
	}
	return n_bytes;
}

uint64_t seai_heap_punch(struct sea_heap *heap, uint64_t n_bytes)
{
	uint64_t n_chunks = (n_bytes + SEAI_CHUNK_N_BYTES - 1) / SEAI_CHUNK_N_BYTES, n_done = 0;

	if (heap->protection != SEA_PROTECTION_SHARED)
		return 0;
	while (n_chunks) {
		struct punch_range ranges[PUNCH_N_RANGES];
		uint64_t n_pass;
		uint32_t n = 0;

		{
			SEAI_LOCKED(&heap->session->books, books);
			(void)books;
			if (!heap->flushed)
				seai_heap_flush(heap);
			for (struct seai_arena *arena = heap->arenas_last; arena && n < PUNCH_N_RANGES && n_chunks;
			     arena = arena->heap_previous)
				if (arena->shared && !arena->retired && !arena->is_given)
					n += punch_collect(arena, heap->unit_n_bytes / SEAI_CHUNK_N_BYTES, &n_chunks,
					                   ranges + n, PUNCH_N_RANGES - n);
		}
		for (uint32_t i = 0; i < n; i++)
			ranges[i].done = fallocate(ranges[i].arena->rw_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			                           (off_t)(ranges[i].first * SEAI_CHUNK_N_BYTES -
			                                   ranges[i].arena->data_offset),
			                           (off_t)(ranges[i].n_chunks * SEAI_CHUNK_N_BYTES)) == 0;
		n_pass = punch_finish(heap, ranges, n);
		n_done += n_pass;
		if (n < PUNCH_N_RANGES || n_pass == 0)
			break;
	}
	if (n_done)
		seai_note_release(heap->session);
	return n_done;
}

void seai_heap_look_at_idle(struct sea_heap *heap)
{
	uint64_t used = heap->n_bytes_used;

	/* Memory that was prefaulted or locked was asked for: only a trim gives it back, or the want of it. */
	if (heap->protection != SEA_PROTECTION_SHARED || heap->flags & (SEA_HEAP_PREFAULT | SEA_HEAP_MLOCK) ||
	    heap->wants_punch ||
	    heap->n_bytes_backed - heap->n_bytes_retired <= used + used / PUNCH_START_SHARE + PUNCH_LEAST_N_BYTES)
		return;
	heap->wants_punch = true;
	heap->session->hooks->poke(heap->session);
}

bool seai_session_punch_next(struct sea_session *session)
{
	struct sea_heap *heap;
	uint64_t n_bytes = 0;

	{
		SEAI_LOCKED(&session->books, books);
		(void)books;
		for (heap = session->heaps; heap && !heap->wants_punch; heap = heap->next)
			;
		if (!heap)
			return false;
		heap->wants_punch = false;
		if (heap->n_bytes_backed - heap->n_bytes_retired >
		    heap->n_bytes_used + heap->n_bytes_used / PUNCH_KEEP_SHARE)
			n_bytes = heap->n_bytes_backed - heap->n_bytes_retired - heap->n_bytes_used -
			          heap->n_bytes_used / PUNCH_KEEP_SHARE;
		/* Whoever frees the heap meanwhile finds it busy, and leaves it to us. */
		heap->n_busy++;
	}
	if (n_bytes)
		seai_heap_punch(heap, n_bytes);
	{
		SEAI_LOCKED(&session->books, books);
		(void)books;
		heap->n_busy--;
		if (heap->is_freed && !heap->n_busy && !heap->arenas)
			seai_heap_destroy(heap);
	}
	return true;
}
