/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a heap could give now, and who holds what of it: questions for people and monitors.
 *
 * The odd rule: nothing changes by being looked at. Free lists stay warm, so runs on them are joined in a copy of each
 * arena's map, with the lock held: about a nanosecond per chunk that is free.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/ledger.h"

static bool look_is_usable(const struct seai_arena *arena)
{
	return !arena->retired && !arena->immutable;
}

/* Takes the runs on the free lists out of a copy of the arena's map. */
static void look_add_free_runs(const struct sea_heap *heap, const struct seai_arena *arena, uint64_t *used)
{
	for (unsigned size_class = SEAI_CLASS_N_SLAB; size_class < SEAI_CLASS_N; size_class++)
		for (const struct seai_block *block = heap->classes[size_class].free; block; block = block->next) {
			uint64_t first = block->offset / SEAI_CHUNK_N_BYTES;

			for (uint64_t i = 0;
			     block->arena == arena && i < heap->classes[size_class].n_bytes / SEAI_CHUNK_N_BYTES; i++)
				used[(first + i) / 64] &= ~((uint64_t)1 << ((first + i) % 64));
		}
}

/* Longest free run of which no more than n_room chunks are not backed. */
static uint64_t look_longest(const struct seai_arena *arena, const uint64_t *used, uint64_t n_room)
{
	uint64_t longest = 0, from = 0, n_unbacked = 0;

	for (uint64_t to = 0; to < arena->n_chunks; to++) {
		if (used[to / 64] == UINT64_MAX && to % 64 == 0) {
			to += 63;
			from = to + 1;
			n_unbacked = 0;
			continue;
		}
		if (seai_bit_get(used, to)) {
			from = to + 1;
			n_unbacked = 0;
			continue;
		}
		n_unbacked += !seai_bit_get(arena->chunk_backed, to);
		while (n_unbacked > n_room) {
			n_unbacked -= !seai_bit_get(arena->chunk_backed, from);
			from++;
		}
		if (to + 1 - from > longest)
			longest = to + 1 - from;
	}
	return longest;
}

/* Bytes that a new arena could have for one block, when so much of the quota is free. */
static uint64_t look_new_arena(const struct sea_heap *heap, uint64_t room)
{
	return room > heap->head_n_bytes ? (room - heap->head_n_bytes) / heap->unit_n_bytes * heap->unit_n_bytes : 0;
}

/* What comes back to the quota at once when it is needed: holes in shared arenas, idle arenas that no other process has seen. */
static uint64_t look_reclaimable(const struct seai_arena *arena, const uint64_t *used)
{
	uint64_t n = 0;

	if (arena->n_blocks_used == 0 && !arena->announced && !arena->n_busy)
		return arena->n_backed_bytes;
	for (uint64_t i = 0; arena->shared && i < arena->n_chunks; i++)
		n += !seai_bit_get(used, i) && seai_bit_get(arena->chunk_backed, i);
	return n * SEAI_CHUNK_N_BYTES;
}

uint64_t seai_heap_largest_free(const struct sea_heap *heap)
{
	uint64_t room = seai_heap_room(heap), reclaimable = 0, largest = 0, n_bytes;

	for (const struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next) {
		SEAI_AUTO_FREE uint64_t *used = NULL;

		if (!look_is_usable(arena))
			continue;
		used = malloc((arena->n_chunks + 63) / 64 * sizeof(*used));
		if (!used)
			continue;
		memcpy(used, arena->chunk_used, (arena->n_chunks + 63) / 64 * sizeof(*used));
		look_add_free_runs(heap, arena, used);
		reclaimable += look_reclaimable(arena, used);
		n_bytes = look_longest(arena, used, room / SEAI_CHUNK_N_BYTES) * SEAI_CHUNK_N_BYTES;
		largest = n_bytes > largest ? n_bytes : largest;
	}
	n_bytes = look_new_arena(heap, room + reclaimable);
	largest = n_bytes > largest ? n_bytes : largest;
	return largest < heap->n_bytes_max ? largest : heap->n_bytes_max;
}

/* Adds a block to its holder's line, made where there is none yet. */
static size_t holders_add(struct sea_heap_holder *holders, size_t n, size_t n_max, uint64_t id, uint64_t n_bytes)
{
	size_t i = 0;

	while (i < n && i < n_max && holders[i].id != id)
		i++;
	if (i == n_max)
		return n;
	if (i == n)
		holders[n++] = (struct sea_heap_holder){ .id = id };
	holders[i].n_blocks++;
	holders[i].n_bytes += n_bytes;
	return n;
}

static size_t holders_add_block(const struct sea_heap *heap, const struct seai_block *block,
                                struct sea_heap_holder *holders, size_t n, size_t n_max)
{
	const struct seai_ledger *ledger = heap->session->ledger;
	uint64_t n_bytes = seai_block_capacity(block);

	if (!(block->flags & SEAI_BLOCK_USED))
		return n;
	if (block->n_own)
		n = holders_add(holders, n, n_max, heap->session->id, n_bytes);
	for (uint32_t i = 0; ledger && i < block->n_holds; i++) {
		const struct seai_hold *hold = i < SEAI_BLOCK_N_HOLDS ? &block->holds[i]
		                                                      : &block->spill[i - SEAI_BLOCK_N_HOLDS];

		n = holders_add(holders, n, n_max, ledger->holders[hold->holder].id, n_bytes);
	}
	return n;
}

static int holders_compare(const void *a, const void *b)
{
	const struct sea_heap_holder *one = a, *other = b;

	return one->n_bytes < other->n_bytes ? 1 : one->n_bytes > other->n_bytes ? -1 : 0;
}

int sea_heap_get_holders(struct sea_heap *heap, struct sea_heap_holder *ret_holders, size_t n_max)
{
	size_t n = 0;

	if (seai_session_is_forked(heap->session))
		return -EPERM;
	if (n_max > INT32_MAX)
		return -EINVAL;
	{
		SEAI_LOCKED(&heap->session->books, books);
		(void)books;
		heap->session->hooks->drain(heap->session);
		for (const struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next)
			for (uint32_t id = 0; id < arena->n_blocks; id++)
				n = holders_add_block(heap, &arena->blocks[id], ret_holders, n, n_max);
	}
	if (n)
		qsort(ret_holders, n, sizeof(*ret_holders), holders_compare);
	return (int)n;
}
