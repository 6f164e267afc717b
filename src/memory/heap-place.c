/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a run or a slab goes: into backed memory if there is some, else into new, else
 * into what can be given up for it.
 *
 * The odd rule: first fit, oldest arena first. It keeps the younger arenas empty, so that they can
 * be given up whole; fullest arena first was measured and is far worse at that.
 */
#include <errno.h>

#include "memory/chunks.h"
#include "memory/heap-state.h"

/* For how many releases a heap that was found fragmented prefers order to speed. */
#define HEAP_N_DIRECT 1000
/* Part of the quota that a crowded heap tries to keep free for the next large block. */
#define HEAP_AHEAD_SHARE 16u

/* The best place in one kind of arena, if it is better than *place: as little to be backed as possible, then the oldest arena. */
static void heap_find(struct sea_heap *heap, const struct seai_wish *wish, bool dedicated, struct seai_place *place)
{
	for (struct seai_arena *arena = heap->arenas; arena && place->n_unbacked; arena = arena->heap_next) {
		uint64_t first, n_unbacked;

		if (arena->retired || arena->immutable || arena->dedicated != dedicated)
			continue;
		if (wish->busy_only && arena->n_blocks_used == 0)
			continue;
		if (arena->n_blocks_max - arena->n_blocks + arena->n_free_ids < wish->n_blocks)
			continue;
		if (seai_chunks_find(arena, wish->n_chunks, wish->n_now, wish->alignment, &first, &n_unbacked) &&
		    n_unbacked < place->n_unbacked)
			*place = (struct seai_place){ arena, first, n_unbacked };
	}
}

/* What it takes from the quota to use a place: whole units. */
static uint64_t heap_cost(const struct sea_heap *heap, const struct seai_wish *wish, const struct seai_place *place)
{
	uint64_t first = place->first, n_chunks = wish->n_now;

	if (place->n_unbacked == 0 || n_chunks == 0)
		return 0;
	seai_chunks_widen(place->arena, heap->unit_n_bytes / SEAI_CHUNK_N_BYTES, &first, &n_chunks);
	return seai_chunks_count_unbacked(place->arena, first, n_chunks) * SEAI_CHUNK_N_BYTES;
}

/* What it takes from the quota to put it into a new arena. */
static uint64_t heap_cost_of_new(const struct sea_heap *heap, const struct seai_wish *wish)
{
	uint64_t n_bytes = wish->n_now * SEAI_CHUNK_N_BYTES;

	if (heap->pages == SEA_PAGES_HUGETLB)
		n_bytes = wish->large || wish->apart ? wish->n_chunks * SEAI_CHUNK_N_BYTES : heap->arena_n_bytes;
	return heap->head_n_bytes + seai_heap_round_up(heap, n_bytes);
}

/*
 * The last part of the quota is left for the holes of arenas that are nearly backed, as long as there are other ways: what is
 * backed in a new arena's pieces could not be moved to where a large block lacks a chunk or two.
 */
static bool heap_may_grow(const struct sea_heap *heap, uint64_t cost)
{
	return cost + heap->quota / 32 <= seai_heap_room(heap);
}

/* A new arena; there is room in the quota. */
static int heap_grow(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *ret_place)
{
	bool dedicated = wish->large || wish->apart;
	uint64_t n_bytes = dedicated ? seai_heap_round_up(heap, wish->n_chunks * SEAI_CHUNK_N_BYTES)
	                             : heap->arena_n_bytes;
	struct seai_arena *arena;
	int r = seai_arena_new(&arena, heap, n_bytes, dedicated ? SEAI_ARENA_DEDICATED : SEAI_ARENA_ORDINARY);

	if (r < 0)
		return r;
	*ret_place = (struct seai_place){ arena, arena->data_offset / SEAI_CHUNK_N_BYTES, 0 };
	return 0;
}

/* At the quota: a place in any arena, and wholly free arenas are given up for what it lacks. */
static int heap_place_by_giving_up(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *ret_place)
{
	struct seai_place place = { .n_unbacked = UINT64_MAX };

	heap_find(heap, wish, false, &place);
	/* Arenas of large blocks serve others only here: a small block in one would keep it from its purpose. */
	if (!wish->slab)
		heap_find(heap, wish, true, &place);
	if (!place.arena || seai_heap_make_room(heap, heap_cost(heap, wish, &place), place.arena) < 0)
		return -EAGAIN;
	*ret_place = place;
	return 0;
}

/* After a flush, and with everything that may be given up for it. */
static int heap_place_hard(struct sea_heap *heap, struct seai_wish wish, struct seai_place *ret_place)
{
	struct seai_place place = { .n_unbacked = UINT64_MAX };
	uint64_t grow = heap_cost_of_new(heap, &wish);

	/* There is enough idle memory, but in pieces: for a while runs join their neighbours at once, and the first that fits is taken. */
	if (heap->n_bytes_backed >= heap->n_bytes_used + wish.n_now * SEAI_CHUNK_N_BYTES && grow > seai_heap_room(heap))
		heap->n_direct = HEAP_N_DIRECT;
	heap_find(heap, &wish, false, &place);
	if (place.arena && heap_cost(heap, &wish, &place) <= seai_heap_room(heap)) {
		*ret_place = place;
		return 0;
	}
	if (heap_may_grow(heap, grow))
		return heap_grow(heap, &wish, ret_place);
	if (heap_place_by_giving_up(heap, &wish, ret_place) == 0)
		return 0;
	wish.busy_only = true;
	if (heap_place_by_giving_up(heap, &wish, ret_place) == 0)
		return 0;
	if (grow > heap->quota)
		return -E2BIG;
	return seai_heap_make_room(heap, grow, NULL) < 0 ? -EAGAIN : heap_grow(heap, &wish, ret_place);
}

/* An idle arena of its own for a block that is set apart: backed, and not much larger, or its rest would lie idle with it. */
static bool heap_find_apart(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *place)
{
	uint64_t best = wish->n_chunks + wish->n_chunks / 4;

	for (struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next) {
		uint64_t first, n_unbacked;

		if (arena->retired || arena->immutable || !arena->dedicated || arena->n_blocks_used ||
		    arena->n_chunks_free > best || arena->n_blocks_max - arena->n_blocks + arena->n_free_ids < 1)
			continue;
		if (!seai_chunks_find(arena, wish->n_chunks, wish->n_now, wish->alignment, &first, &n_unbacked) ||
		    n_unbacked * SEAI_CHUNK_N_BYTES > seai_heap_room(heap))
			continue;
		best = arena->n_chunks_free - 1;
		*place = (struct seai_place){ arena, first, n_unbacked };
	}
	return place->arena != NULL;
}

/*
 * Among the others after all: in the fullest arena that has a backed place for it, so that the emptier ones become free, and can be
 * given up.
 */
static bool heap_find_fullest(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *place)
{
	uint64_t least_free = UINT64_MAX;

	for (struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next) {
		uint64_t first, n_unbacked;

		if (arena->retired || arena->immutable || arena->n_blocks_used == 0 ||
		    arena->n_chunks_free >= least_free ||
		    arena->n_blocks_max - arena->n_blocks + arena->n_free_ids < wish->n_blocks)
			continue;
		if (!seai_chunks_find(arena, wish->n_chunks, wish->n_now, wish->alignment, &first, &n_unbacked) ||
		    n_unbacked * SEAI_CHUNK_N_BYTES > seai_heap_room(heap))
			continue;
		least_free = arena->n_chunks_free;
		*place = (struct seai_place){ arena, first, n_unbacked };
	}
	return place->arena != NULL;
}

/*
 * A block that is set apart in a crowded heap: its own arena, used again or new. What readers still have mapped comes back
 * only after milliseconds, so idle arenas are given up ahead of need. 0; -EAGAIN: it has to go among the others.
 */
static int heap_place_apart(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *ret_place)
{
	struct seai_place place = { .n_unbacked = UINT64_MAX };
	uint64_t grow = heap_cost_of_new(heap, wish);
	int r;

	if (!heap->flushed)
		seai_heap_flush(heap);
	if (heap_find_apart(heap, wish, &place)) {
		*ret_place = place;
		return 0;
	}
	seai_heap_want(heap, grow);
	r = seai_heap_make_room(heap, grow, NULL);
	if (r == 0)
		r = heap_grow(heap, wish, ret_place);
	if (r == 0)
		(void)seai_heap_make_room(heap, grow + heap->quota / HEAP_AHEAD_SHARE, ret_place->arena);
	/* Also when this process has no descriptor for one more. */
	if ((r == -EAGAIN || r == -EMFILE || r == -ENFILE) && heap_find_fullest(heap, wish, &place)) {
		*ret_place = place;
		r = 0;
	}
	return r;
}

int seai_heap_place(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *ret_place)
{
	struct seai_place place = { .n_unbacked = UINT64_MAX };

	if (wish->apart) {
		int r = heap_place_apart(heap, wish, ret_place);

		if (r != -EAGAIN)
			return r;
	}

	if (wish->large)
		heap_find(heap, wish, true, &place);
	heap_find(heap, wish, false, &place);
	if (place.arena && place.n_unbacked == 0) {
		*ret_place = place;
		return 0;
	}
	seai_heap_want(heap, heap_cost_of_new(heap, wish) + heap->unit_n_bytes);
	/* Take no new memory while more lies idle, in the lists of other classes, than is in use. */
	if (heap->flushed || heap->n_bytes_backed <= 2 * heap->n_bytes_used + heap->arena_n_bytes) {
		if (place.arena && !(wish->large && !place.arena->dedicated) &&
		    heap_cost(heap, wish, &place) <= seai_heap_room(heap)) {
			*ret_place = place;
			return 0;
		}
		if ((!place.arena || wish->large) && heap_may_grow(heap, heap_cost_of_new(heap, wish)))
			return heap_grow(heap, wish, ret_place);
	}
	if (!heap->flushed)
		seai_heap_flush(heap);
	return heap_place_hard(heap, *wish, ret_place);
}
