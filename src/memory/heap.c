/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation. A warm block is popped from and pushed to its class's list, the most
 * recently freed first, since it is in the cache; all else in this file happens when a list is empty.
 *
 * The odd rule: address space is free, memory is not. An arena is a sparse file, a block may
 * be larger than what is backed of it, and the quota counts what is backed.
 */
#include "memory/heap.h"

#include <errno.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/region.h"

static uint64_t heap_n_chunks(uint64_t n_bytes)
{
	return (n_bytes + SEAI_CHUNK_N_BYTES - 1) / SEAI_CHUNK_N_BYTES;
}

void seai_heap_account(struct sea_heap *heap, struct seai_arena *arena, int64_t n_bytes)
{
	heap->n_bytes_backed += (uint64_t)n_bytes;
	heap->session->n_bytes_backed += (uint64_t)n_bytes;
	arena->n_backed_bytes += (uint64_t)n_bytes;
	if (arena->retired)
		heap->n_bytes_retired += (uint64_t)n_bytes;
}

uint64_t seai_block_capacity(const struct seai_block *block)
{
	if (SEAI_UNLIKELY(block->size_class == SEAI_CLASS_ONE_FRAME))
		return block->arena->n_bytes - block->arena->data_offset;
	if (SEAI_UNLIKELY(block->size_class == SEAI_CLASS_REGION))
		return block->n_backed;
	return seai_class_n_bytes(block->size_class);
}

/* Backs the only chunk of a slab at once: its blocks are handed out as backed. The lock stays held, for some 15 us. */
static int heap_back_slab(struct sea_heap *heap, struct seai_arena *arena, uint64_t chunk)
{
	uint64_t first = chunk, n_chunks = 1, n_missing, n_done;

	if (seai_bit_get(arena->chunk_backed, chunk))
		return 0;
	seai_chunks_widen(arena, heap->unit_n_bytes / SEAI_CHUNK_N_BYTES, &first, &n_chunks);
	n_missing = seai_chunks_count_unbacked(arena, first, n_chunks);
	seai_heap_want(heap, n_missing * SEAI_CHUNK_N_BYTES);
	if (n_missing * SEAI_CHUNK_N_BYTES > seai_heap_room(heap))
		return -EAGAIN;
	n_done = seai_pages_populate(arena, first, n_chunks);
	n_missing = seai_chunks_set_backed(arena, first, n_done);
	seai_heap_account(heap, arena, (int64_t)(n_missing * SEAI_CHUNK_N_BYTES));
	seai_heap_look_at_idle(heap);
	if (heap->pages == SEA_PAGES_COLLAPSE) {
		arena->wants_collapse = true;
		heap->session->hooks->poke(heap->session);
	}
	return n_done < n_chunks ? -ENOMEM : 0;
}

/* Finds a place and prepares it: what follows cannot fail. *ret_place is set when there was one, whatever happens to it. */
static int heap_prepare(struct sea_heap *heap, const struct seai_wish *wish, uint32_t n_blocks,
                        struct seai_place *ret_place)
{
	int r = seai_heap_place(heap, wish, ret_place);

	if (r == 0)
		r = seai_arena_prepare_ids(ret_place->arena, n_blocks);
	if (r == 0 && wish->slab)
		r = heap_back_slab(heap, ret_place->arena, ret_place->first);
	return r == -ENOSPC ? -EAGAIN : r;
}

/* Makes a run or a slab of a class and puts its blocks on the class's list. */
static int heap_carve(struct sea_heap *heap, unsigned size_class, uint64_t n_bytes_now)
{
	uint64_t n_bytes = seai_class_n_bytes(size_class), n_backed;
	bool slab = seai_class_is_slab(size_class);
	uint32_t n_blocks = slab ? (uint32_t)(SEAI_CHUNK_N_BYTES / n_bytes) : 1;
	struct seai_wish wish = { .n_blocks = n_blocks,
		                  .n_chunks = slab ? 1 : n_bytes / SEAI_CHUNK_N_BYTES,
		                  .n_now = slab ? 1 : heap_n_chunks(n_bytes_now),
		                  .alignment = seai_class_alignment_chunks(size_class),
		                  .slab = slab,
		                  .large = !slab && n_bytes > heap->arena_n_bytes / 2,
		                  .apart = seai_heap_is_apart(heap, n_bytes) };
	struct seai_place place = { 0 };
	int r = heap_prepare(heap, &wish, n_blocks, &place);

	if (r == -EAGAIN && place.arena) {
		/* There was room for the run, but not for the pages of its generations besides. */
		seai_heap_flush(heap);
		r = seai_heap_make_room(heap, heap->unit_n_bytes + SEAI_CHUNK_N_BYTES, NULL);
		if (r == 0)
			r = heap_prepare(heap, &wish, n_blocks, &place);
	}
	if (r < 0)
		return r;
	seai_chunks_take(place.arena, place.first, wish.n_chunks);
	n_backed = slab ? n_bytes
	                : SEAI_CHUNK_N_BYTES *
	                           seai_chunks_count_leading_backed(place.arena, place.first, wish.n_chunks);
	for (uint32_t i = n_blocks; i-- > 0;) {
		struct seai_block *block = seai_arena_take_id(place.arena);

		block->offset = place.first * SEAI_CHUNK_N_BYTES + i * n_bytes;
		block->size_class = (uint16_t)size_class;
		block->flags = 0;
		block->n_backed = n_backed;
		block->next = heap->classes[size_class].free;
		heap->classes[size_class].free = block;
	}
	heap->flushed = false;
	return 0;
}

/*
 * The block on top is not backed for what is asked, and the quota does not allow to back it: finds one further down
 * that is, or else gives up the list for whatever memory can be found. Leaves a fit one on top.
 */
static int heap_prefer_backed(struct sea_heap *heap, unsigned size_class, uint64_t n_bytes_now)
{
	for (struct seai_block **at = &heap->classes[size_class].free; *at; at = &(*at)->next)
		if ((*at)->n_backed >= n_bytes_now) {
			struct seai_block *block = *at;

			*at = block->next;
			block->next = heap->classes[size_class].free;
			heap->classes[size_class].free = block;
			return 0;
		}
	seai_heap_flush(heap);
	return heap_carve(heap, size_class, n_bytes_now);
}

static inline int heap_pop(struct sea_heap *heap, unsigned size_class, uint64_t n_bytes_now,
                           struct seai_block **ret_block)
{
	struct seai_heap_class *class = &heap->classes[size_class];
	struct seai_block *block = class->free;
	int r = 0;

	/* What others have released meanwhile comes first: it is warm, and in the caches. */
	if (SEAI_UNLIKELY(!block) && heap->session->hooks->drain(heap->session))
		block = class->free;
	if (SEAI_UNLIKELY(!block))
		r = heap_carve(heap, size_class, n_bytes_now);
	else if (SEAI_UNLIKELY(block->n_backed < n_bytes_now && n_bytes_now - block->n_backed > seai_heap_room(heap)))
		r = heap_prefer_backed(heap, size_class, n_bytes_now);
	if (SEAI_UNLIKELY(r < 0))
		return r;
	block = class->free;
	class->free = block->next;
	seai_block_begin(heap, block, class->n_bytes);
	*ret_block = block;
	return 0;
}

struct seai_block *seai_heap_pop_warm(struct sea_heap *heap, unsigned size_class, uint64_t n_bytes)
{
	struct seai_heap_class *class = &heap->classes[size_class];
	struct seai_block *block = class->free;

	if (SEAI_UNLIKELY(!block || (!seai_class_is_slab(size_class) && block->n_backed < n_bytes)))
		return NULL;
	class->free = block->next;
	seai_block_begin(heap, block, class->n_bytes);
	return block;
}

/* Whether the quota could ever give that: -E2BIG. */
static int heap_check(const struct sea_heap *heap, uint64_t n_bytes, uint64_t n_bytes_now)
{
	if (n_bytes > SEAI_CLASS_RUN_MAX_N_BYTES || n_bytes > heap->quota || n_bytes_now > heap->n_bytes_max)
		return -E2BIG;
	return 0;
}

int seai_heap_reserve(struct sea_heap *heap, uint64_t n_bytes, uint64_t n_bytes_now, uint64_t alignment,
                      struct seai_block **ret_block)
{
	int r = heap_check(heap, n_bytes, n_bytes_now);

	return r < 0 ? r : heap_pop(heap, seai_class_of(n_bytes, alignment), n_bytes_now, ret_block);
}

int seai_heap_allocate(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, struct seai_block **ret_block)
{
	return seai_heap_reserve(heap, n_bytes, n_bytes, alignment, ret_block);
}

int seai_heap_allocate_many(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, struct seai_block **blocks,
                            size_t n_blocks)
{
	unsigned size_class;
	int r = heap_check(heap, n_bytes, n_bytes);

	if (r < 0)
		return r;
	size_class = seai_class_of(n_bytes, alignment);
	for (size_t i = 0; i < n_blocks; i++) {
		r = heap_pop(heap, size_class, n_bytes, &blocks[i]);
		if (r < 0)
			return i ? (int)i : r;
	}
	return (int)n_blocks;
}

int seai_heap_allocate_immutable(struct sea_heap *heap, uint64_t n_bytes, struct seai_block **ret_block)
{
	uint64_t n_data = heap_n_chunks(n_bytes) * SEAI_CHUNK_N_BYTES;
	struct seai_arena *arena;
	struct seai_block *block;
	int r = heap_check(heap, n_bytes, n_bytes);

	if (r < 0)
		return r;
	n_data = seai_heap_round_up(heap, n_data);
	seai_heap_want(heap, heap->head_n_bytes + n_data);
	if (heap->head_n_bytes + n_data > seai_heap_room(heap)) {
		if (!heap->flushed)
			seai_heap_flush(heap);
		r = seai_heap_make_room(heap, heap->head_n_bytes + n_data, NULL);
		if (r < 0)
			return r;
	}
	r = seai_arena_new(&arena, heap, n_data, SEAI_ARENA_ONE_FRAME);
	if (r < 0)
		return r;
	block = seai_arena_take_id(arena);
	seai_chunks_take(arena, arena->data_offset / SEAI_CHUNK_N_BYTES, arena->n_chunks_free);
	block->offset = arena->data_offset;
	block->size_class = SEAI_CLASS_ONE_FRAME;
	block->n_backed = arena->hugetlb ? n_data : 0;
	seai_block_begin(heap, block, n_data);
	*ret_block = block;
	return 0;
}

int seai_block_back(struct seai_block *block, uint64_t n_bytes)
{
	struct seai_arena *arena = block->arena;
	struct sea_heap *heap = arena->heap;
	struct seai_lock *books = &arena->session->books;
	uint64_t first, n_chunks, n_asked, n_missing, n_done, n_new;
	int r = 0;

	if (n_bytes <= block->n_backed)
		return 0;
	if (n_bytes > seai_block_capacity(block))
		return -EINVAL;
	/* Memory that is beyond n_backed and backed all the same is populated again: that costs a walk over its page table. */
	first = (block->offset + block->n_backed) / SEAI_CHUNK_N_BYTES;
	n_chunks = heap_n_chunks(block->offset + n_bytes) - first;
	seai_chunks_widen(arena, heap->unit_n_bytes / SEAI_CHUNK_N_BYTES, &first, &n_chunks);

	seai_lock_take(books);
	n_asked = n_missing = seai_chunks_count_unbacked(arena, first, n_chunks);
	seai_heap_want(heap, n_missing * SEAI_CHUNK_N_BYTES);
	if (n_missing * SEAI_CHUNK_N_BYTES > seai_heap_room(heap)) {
		if (!heap->flushed)
			seai_heap_flush(heap);
		r = seai_heap_make_room(heap, n_missing * SEAI_CHUNK_N_BYTES, NULL);
	}
	if (r == 0)
		seai_heap_account(heap, arena, (int64_t)(n_asked * SEAI_CHUNK_N_BYTES));
	seai_lock_release(books);
	if (r < 0)
		return r;

	n_done = n_asked ? seai_pages_populate(arena, first, n_chunks) : n_chunks;

	/* What was not obtained, or was backed by a neighbour in the same huge page meanwhile, goes back to the quota. */
	seai_lock_take(books);
	n_new = seai_chunks_set_backed(arena, first, n_done);
	if (n_new != n_asked)
		seai_heap_account(heap, arena, -(int64_t)((n_asked - n_new) * SEAI_CHUNK_N_BYTES));
	if (n_new)
		seai_heap_look_at_idle(heap);
	if (heap->pages == SEA_PAGES_COLLAPSE && n_new && !arena->immutable) {
		arena->wants_collapse = true;
		arena->session->hooks->poke(arena->session);
	}
	seai_lock_release(books);
	if ((first + n_done) * SEAI_CHUNK_N_BYTES > block->offset + block->n_backed)
		block->n_backed = (first + n_done) * SEAI_CHUNK_N_BYTES - block->offset;
	if (block->n_backed > seai_block_capacity(block))
		block->n_backed = seai_block_capacity(block);
	return n_done < n_chunks && block->n_backed < n_bytes ? -ENOMEM : 0;
}

static void heap_release_last(struct seai_arena *arena)
{
	if (arena->immutable && !arena->retired)
		seai_arena_retire(arena);
	else if (arena->retired && !arena->queued) {
		arena->queued = true;
		arena->next = arena->session->retired;
		arena->session->retired = arena;
		arena->session->hooks->poke(arena->session);
	}
}

void seai_heap_release(struct seai_block *block)
{
	struct seai_arena *arena = block->arena;
	struct sea_heap *heap = arena->heap;
	struct seai_heap_class *class;

	block->flags = 0;
	block->generation++;
	if (SEAI_LIKELY(!arena->frozen)) {
		atomic_store_explicit(&arena->generations[block->id], block->generation, memory_order_relaxed);
		/* release: whoever reads what the next user writes reads the new generation too, and knows that its name is stale */
		atomic_thread_fence(memory_order_release);
	}
	arena->n_blocks_used--;
	heap->n_blocks_used--;
	if (SEAI_UNLIKELY(arena->is_odd)) {
		heap->n_bytes_used -= seai_block_capacity(block);
		if (heap->region) {
			seai_region_push(heap->region, block);
			seai_arena_give_id(arena, block);
		} else if (arena->n_blocks_used == 0) {
			heap_release_last(arena);
		}
		return;
	}
	class = &heap->classes[block->size_class];
	heap->n_bytes_used -= class->n_bytes;
	if (SEAI_UNLIKELY(heap->n_direct) && !seai_class_is_slab(block->size_class)) {
		heap->n_direct--;
		seai_block_drop(block);
		return;
	}
	heap->flushed = false;
	block->next = class->free;
	class->free = block;
}
