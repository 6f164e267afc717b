/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that changes its purpose: free lists are emptied so that neighbours join, and wholly
 * free arenas go back to the kernel.
 *
 * The odd rule: an arena that another process has seen cannot be freed by us alone. It is retired,
 * and its memory counts until the service thread has proved that the last reader is gone.
 */
#include <errno.h>

#include "memory/chunks.h"
#include "memory/heap-state.h"

void seai_block_drop(struct seai_block *block)
{
	struct seai_arena *arena = block->arena;

	seai_chunks_give(
		arena, block->offset / SEAI_CHUNK_N_BYTES,
		seai_class_is_slab(block->size_class) ? 1 : seai_class_n_bytes(block->size_class) / SEAI_CHUNK_N_BYTES);
	seai_arena_give_id(arena, block);
}

static uint16_t *block_slab_n_free(const struct seai_block *block)
{
	return &block->arena->slab_n_free[block->offset / SEAI_CHUNK_N_BYTES];
}

/* Blocks of wholly free slabs leave the list; the others keep their order. */
static void heap_flush_slabs(struct sea_heap *heap, unsigned size_class)
{
	uint64_t n_per_slab = SEAI_CHUNK_N_BYTES / seai_class_n_bytes(size_class);
	struct seai_block *dropped = NULL, *block, *next, **at = &heap->classes[size_class].free;

	for (block = *at; block; block = block->next)
		++*block_slab_n_free(block);
	while ((block = *at)) {
		if (*block_slab_n_free(block) == n_per_slab) {
			*at = block->next;
			block->next = dropped;
			dropped = block;
		} else {
			at = &block->next;
		}
	}
	for (block = heap->classes[size_class].free; block; block = block->next)
		*block_slab_n_free(block) = 0;
	for (block = dropped; block; block = next) {
		next = block->next;
		*block_slab_n_free(block) = 0;
		seai_block_drop(block);
	}
}

void seai_heap_flush(struct sea_heap *heap)
{
	struct seai_block *block, *next;

	for (unsigned size_class = 0; size_class < SEAI_CLASS_N_SLAB; size_class++)
		if (heap->classes[size_class].free)
			heap_flush_slabs(heap, size_class);
	for (unsigned size_class = SEAI_CLASS_N_SLAB; size_class < SEAI_CLASS_N; size_class++) {
		for (block = heap->classes[size_class].free; block; block = next) {
			next = block->next;
			seai_block_drop(block);
		}
		heap->classes[size_class].free = NULL;
	}
	heap->flushed = true;
}

static bool arena_is_idle(const struct seai_arena *arena)
{
	return arena->n_blocks_used == 0 && !arena->retired && !arena->n_busy && !arena->is_given;
}

int seai_heap_make_room(struct sea_heap *heap, uint64_t n_bytes, const struct seai_arena *keep)
{
	struct seai_arena *arena, *next;
	uint64_t n_bytes_idle = 0;

	if (seai_heap_room(heap) >= n_bytes)
		return 0;
	for (arena = heap->arenas; arena; arena = arena->heap_next)
		if (arena_is_idle(arena) && arena != keep)
			n_bytes_idle += arena->n_backed_bytes;
	if (heap->n_bytes_backed - heap->n_bytes_retired - n_bytes_idle + n_bytes > heap->quota)
		return -EAGAIN;
	for (arena = heap->arenas; arena && seai_heap_room(heap) < n_bytes; arena = next) {
		next = arena->heap_next;
		if (arena_is_idle(arena) && arena != keep && !arena->announced) {
			seai_arena_detach(arena);
			seai_arena_fini(arena);
		}
	}
	for (arena = heap->arenas; arena && seai_heap_room(heap) + heap->n_bytes_retired < n_bytes; arena = next) {
		next = arena->heap_next;
		if (arena_is_idle(arena) && arena != keep)
			seai_arena_retire(arena);
	}
	return seai_heap_room(heap) >= n_bytes ? 0 : -EAGAIN;
}

void seai_arena_retire(struct seai_arena *arena)
{
	struct sea_heap *heap = arena->heap;

	if (arena->retired)
		return;
	for (unsigned size_class = 0; size_class < SEAI_CLASS_N; size_class++) {
		struct seai_block **at = &heap->classes[size_class].free;

		while (*at)
			if ((*at)->arena == arena)
				*at = (*at)->next;
			else
				at = &(*at)->next;
	}
	arena->retired = arena->is_odd = true;
	heap->n_arenas--;
	heap->n_arenas_retired++;
	heap->n_bytes_retired += arena->n_backed_bytes;
	if (arena->n_blocks_used)
		return;
	arena->queued = true;
	arena->next = heap->session->retired;
	heap->session->retired = arena;
	heap->session->hooks->poke(heap->session);
}

int sea_heap_trim(struct sea_heap *heap, uint64_t n_bytes_keep)
{
	struct seai_arena *arena, *next;
	uint64_t n_bytes;

	if (seai_session_is_forked(heap->session))
		return -EPERM;
	seai_lock_take(&heap->session->books);
	/* What holders have released is free, whether anybody looked or not. */
	heap->session->hooks->drain(heap->session);
	if (!heap->flushed)
		seai_heap_flush(heap);
	for (arena = heap->arenas; arena && heap->n_bytes_backed - heap->n_bytes_retired > n_bytes_keep; arena = next) {
		next = arena->heap_next;
		if (arena_is_idle(arena))
			seai_arena_retire(arena);
	}
	n_bytes = heap->n_bytes_backed - heap->n_bytes_retired;
	seai_lock_release(&heap->session->books);
	if (n_bytes > n_bytes_keep)
		seai_heap_punch(heap, n_bytes - n_bytes_keep);
	return 0;
}
