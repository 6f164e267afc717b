/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas: made, numbered, given up; arena-file.c has what they are to the kernel.
 *
 * The odd rule: nothing in the mapping is touched before it was populated, the head and the
 * generations included, since a touch that finds no memory is a signal. A process killed at any
 * instruction leaves a memfd without a valid head, which nobody was given, or a valid arena.
 */
#include "memory/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"
#include "memory/arena-file.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/region.h"

/* The numbers that follow from the size and kind. */
static int arena_lay_out(struct seai_arena *arena, uint64_t n_data_bytes, enum seai_arena_kind kind)
{
	uint64_t n_ids;

	if (kind == SEAI_ARENA_ONE_FRAME)
		n_ids = 1;
	else if (kind == SEAI_ARENA_REGION)
		n_ids = arena->heap->region->n_blocks_max;
	else if (kind == SEAI_ARENA_DEDICATED)
		n_ids = n_data_bytes / SEAI_CHUNK_N_BYTES;
	else
		n_ids = n_data_bytes / (arena->hugetlb ? 1024 : SEAI_BLOCK_MIN_N_BYTES) -
		        SEAI_ARENA_GENERATIONS_OFFSET /
		                sizeof(uint64_t); /* so that head and generations end at a huge page */
	/* In huge pages the generations must not take a second one. */
	if (arena->hugetlb && n_ids > (SEAI_HUGE_N_BYTES - SEAI_ARENA_GENERATIONS_OFFSET) / sizeof(uint64_t))
		n_ids = (SEAI_HUGE_N_BYTES - SEAI_ARENA_GENERATIONS_OFFSET) / sizeof(uint64_t);
	if (n_ids > UINT32_MAX)
		n_ids = UINT32_MAX;
	arena->n_blocks_max = (uint32_t)n_ids;
	/* Data starts at a huge page, so that alignments and huge pages need no further care; what lies before is mostly a hole. */
	arena->data_offset = seai_arena_round_up(SEAI_ARENA_GENERATIONS_OFFSET + n_ids * sizeof(uint64_t),
	                                         SEAI_HUGE_N_BYTES);
	arena->n_bytes = arena->data_offset + n_data_bytes;
	arena->n_chunks = arena->n_bytes / SEAI_CHUNK_N_BYTES;
	arena->dedicated = kind == SEAI_ARENA_DEDICATED;
	arena->immutable = kind == SEAI_ARENA_ONE_FRAME;
	arena->is_odd = arena->immutable || kind == SEAI_ARENA_REGION;
	arena->shared = arena->heap->protection == SEA_PROTECTION_SHARED && !arena->immutable;
	arena->is_given = arena->heap->given_fd >= 0;
	arena->is_read_only = arena->is_given && arena->heap->is_read_only;
	return arena->n_bytes > (uint64_t)INT64_MAX / 2 ? -ENOMEM : 0;
}

/* Private books of the arena. */
static int arena_make_books(struct seai_arena *arena)
{
	uint64_t n_words = (arena->n_chunks + 63) / 64;
	void *blocks;

	arena->chunk_used = calloc(n_words, sizeof(uint64_t));
	arena->chunk_backed = calloc(n_words, sizeof(uint64_t));
	arena->unit_collapsed = calloc(n_words / 32 + 1, sizeof(uint64_t));
	if (!arena->chunk_used || !arena->chunk_backed || !arena->unit_collapsed)
		return -ENOMEM;
	if (!arena->dedicated && !arena->immutable) {
		arena->slab_n_free = calloc(arena->n_chunks, sizeof(uint16_t));
		if (!arena->slab_n_free)
			return -ENOMEM;
	}
	blocks = mmap(NULL, arena->n_blocks_max * sizeof(struct seai_block), PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (blocks == MAP_FAILED)
		return -ENOMEM;
	arena->blocks = blocks;
	arena->n_chunks_free = arena->n_chunks;
	seai_chunks_take(arena, 0, arena->data_offset / SEAI_CHUNK_N_BYTES);
	return 0;
}

/* Backs the start of the arena up to n_bytes, within the quota. */
static int arena_back_head(struct seai_arena *arena, uint64_t n_bytes)
{
	uint64_t more;
	int r;

	n_bytes = seai_arena_round_up(n_bytes, arena->shared ? seai_page_n_bytes() : seai_arena_page_n_bytes(arena));
	if (n_bytes <= arena->n_bytes_head)
		return 0;
	more = n_bytes - arena->n_bytes_head;
	seai_heap_want(arena->heap, more);
	if (more > seai_heap_room(arena->heap))
		return -EAGAIN;
	r = seai_arena_populate(arena, arena->n_bytes_head, more);
	if (r < 0)
		return r;
	arena->n_bytes_head = n_bytes;
	seai_heap_account(arena->heap, arena, (int64_t)more);
	return 0;
}

static void arena_write_head(struct seai_arena *arena)
{
	struct seai_arena_head *head = arena->head;

	head->version = SEAI_LAYOUT_VERSION;
	head->arena_id = arena->id;
	head->session_id = arena->session->name_hash;
	head->owner_id = arena->session->id;
	head->n_bytes = arena->n_bytes;
	head->generations_offset = SEAI_ARENA_GENERATIONS_OFFSET;
	head->data_offset = arena->data_offset;
	head->n_blocks_max = arena->n_blocks_max;
	head->flags = (arena->immutable ? SEAI_ARENA_IMMUTABLE : 0) | (arena->shared ? SEAI_ARENA_SHARED : 0) |
	              (arena->heap->is_file ? SEAI_ARENA_FILE : 0) | (arena->is_read_only ? SEAI_ARENA_READ_ONLY : 0);
	SEAI_POINT("arena: head without magic");
	/* release: pairs with the acquire of whoever attaches the arena */
	atomic_store_explicit(&head->magic, SEAI_ARENA_MAGIC, memory_order_release);
}

/* Hugetlb pages are taken whole, and so is what the user wants prefaulted, as far as the quota reaches. */
static int arena_prefault(struct seai_arena *arena)
{
	struct sea_heap *heap = arena->heap;
	uint64_t first = arena->data_offset / SEAI_CHUNK_N_BYTES, n_chunks = arena->n_chunks - first, n_done;

	if (!arena->hugetlb && (!(heap->flags & SEA_HEAP_PREFAULT) || arena->immutable))
		return 0;
	if (arena->is_read_only) {
		/* Its pages are the file's, and come when somebody looks at them. */
		seai_chunks_set_backed(arena, first, n_chunks);
		return 0;
	}
	seai_heap_want(heap, n_chunks * SEAI_CHUNK_N_BYTES);
	if (n_chunks > seai_heap_room(heap) / SEAI_CHUNK_N_BYTES) {
		if (arena->hugetlb)
			return -EAGAIN;
		n_chunks = seai_heap_room(heap) / heap->unit_n_bytes * (heap->unit_n_bytes / SEAI_CHUNK_N_BYTES);
	}
	n_done = seai_pages_populate(arena, first, n_chunks);
	seai_heap_account(heap, arena, (int64_t)(n_done * SEAI_CHUNK_N_BYTES));
	seai_chunks_set_backed(arena, first, n_done);
	arena->wants_collapse = heap->pages == SEA_PAGES_COLLAPSE;
	return n_done < n_chunks ? -ENOMEM : 0;
}

static void arena_link(struct seai_arena *arena)
{
	struct sea_heap *heap = arena->heap;

	arena->heap_previous = heap->arenas_last;
	*(heap->arenas_last ? &heap->arenas_last->heap_next : &heap->arenas) = arena;
	heap->arenas_last = arena;
	heap->n_arenas++;
}

/* Undoes a half-made arena. */
static void arena_cleanup(struct seai_arena **arena)
{
	if (!*arena)
		return;
	if ((*arena)->n_backed_bytes)
		seai_heap_account((*arena)->heap, *arena, -(int64_t)(*arena)->n_backed_bytes);
	seai_arena_fini(*arena);
}

int seai_arena_new(struct seai_arena **ret_arena, struct sea_heap *heap, uint64_t n_data_bytes,
                   enum seai_arena_kind kind)
{
	SEAI_CLEANUP(arena_cleanup) struct seai_arena *arena = calloc(1, sizeof(*arena));
	int r;

	if (!arena)
		return -ENOMEM;
	arena->heap = heap;
	arena->session = heap->session;
	arena->ro_fd = arena->rw_fd = arena->payload_fd = -1;
	arena->hugetlb = heap->pages == SEA_PAGES_HUGETLB;
	r = arena_lay_out(arena, n_data_bytes, kind);
	if (r == 0)
		r = arena_make_books(arena);
	if (r == 0)
		r = seai_arena_open(arena);
	if (r == 0)
		r = arena_back_head(arena, SEAI_ARENA_GENERATIONS_OFFSET + sizeof(uint64_t));
	if (r == 0)
		r = arena_prefault(arena);
	if (r == 0)
		r = seai_arena_seal(arena);
	if (r == 0)
		r = seai_session_add_arena(heap->session, arena);
	if (r < 0)
		return r;
	arena->listed = true;
	arena_write_head(arena);
	if (SEAI_UNLIKELY(atomic_load_explicit(&heap->session->is_showing, memory_order_relaxed)) &&
	    !arena->immutable) {
		/* Somebody wants to know of each, and to be told before it goes. */
		arena->announced = true;
		atomic_store_explicit(&heap->session->has_new_arenas, true, memory_order_release);
		heap->session->hooks->poke(heap->session);
	}
	arena_link(arena);
	*ret_arena = SEAI_TAKE(arena);
	return 0;
}

int seai_arena_prepare_ids(struct seai_arena *arena, uint32_t n_ids)
{
	uint64_t n_blocks;

	if (n_ids <= arena->n_free_ids)
		return 0;
	n_blocks = (uint64_t)arena->n_blocks + n_ids - arena->n_free_ids;
	if (n_blocks > arena->n_blocks_max)
		return -ENOSPC;
	return arena_back_head(arena, SEAI_ARENA_GENERATIONS_OFFSET + n_blocks * sizeof(uint64_t));
}

struct seai_block *seai_arena_take_id(struct seai_arena *arena)
{
	struct seai_block *block = arena->free_ids;

	if (block) {
		arena->free_ids = block->next;
		arena->n_free_ids--;
		return block;
	}
	block = &arena->blocks[arena->n_blocks];
	block->arena = arena;
	block->id = arena->n_blocks++;
	return block;
}

void seai_arena_give_id(struct seai_arena *arena, struct seai_block *block)
{
	block->n_backed = 0;
	block->next = arena->free_ids;
	arena->free_ids = block;
	arena->n_free_ids++;
}

struct seai_block *seai_arena_get_block(struct seai_arena *arena, uint32_t block_id)
{
	return block_id < arena->n_blocks ? &arena->blocks[block_id] : NULL;
}

void seai_arena_detach(struct seai_arena *arena)
{
	struct sea_heap *heap = arena->heap;

	if (arena->listed)
		seai_session_remove_arena(arena->session, arena);
	arena->listed = false;
	if (!heap)
		return;
	*(arena->heap_previous ? &arena->heap_previous->heap_next : &heap->arenas) = arena->heap_next;
	*(arena->heap_next ? &arena->heap_next->heap_previous : &heap->arenas_last) = arena->heap_previous;
	if (arena->retired) {
		heap->n_arenas_retired--;
		heap->n_bytes_retired -= arena->n_backed_bytes;
	} else {
		heap->n_arenas--;
	}
	arena->retired = arena->is_odd = true;
	heap->n_bytes_backed -= arena->n_backed_bytes;
	heap->session->n_bytes_backed -= arena->n_backed_bytes;
	arena->heap = NULL;
}

void seai_arena_fini(struct seai_arena *arena)
{
	for (uint32_t i = 0; i < arena->n_blocks; i++)
		free(arena->blocks[i].spill);
	if (arena->blocks)
		munmap(arena->blocks, arena->n_blocks_max * sizeof(struct seai_block));
	if (arena->head)
		munmap(arena->head, arena->n_bytes);
	seai_close(arena->ro_fd);
	seai_close(arena->rw_fd);
	seai_close(arena->payload_fd);
	free(arena->chunk_used);
	free(arena->chunk_backed);
	free(arena->slab_n_free);
	free(arena->unit_collapsed);
	free(arena);
}

void seai_arena_destroy(struct seai_arena *arena)
{
	struct seai_lock *books = &arena->session->books;
	struct sea_heap *heap = arena->heap;

	/* Account for the memory after it is gone, not before: this takes milliseconds per 10 MiB, and no lock. */
	if (arena->head)
		munmap(arena->head, arena->n_bytes);
	arena->head = NULL;
	arena->ro_fd = seai_close(arena->ro_fd);
	arena->rw_fd = seai_close(arena->rw_fd);
	arena->payload_fd = seai_close(arena->payload_fd);
	seai_lock_take(books);
	seai_arena_detach(arena);
	if (heap && heap->is_freed && !heap->arenas && !heap->n_busy)
		seai_heap_destroy(heap);
	seai_lock_release(books);
	seai_arena_fini(arena);
}

bool seai_arena_try_destroy(struct seai_arena *arena)
{
	bool is_busy;

	seai_lock_take(&arena->session->books);
	is_busy = arena->n_busy != 0;
	seai_lock_release(&arena->session->books);
	if (is_busy)
		return false;
	if (arena->announced && arena->leasable) {
		/* Our own readers would be in the way: the descriptor for others, and the mapping of a frozen frame. */
		arena->ro_fd = seai_close(arena->ro_fd);
		arena->payload_fd = seai_close(arena->payload_fd);
		if ((arena->frozen || arena->is_given) && arena->head) {
			munmap(arena->head, arena->n_bytes);
			arena->head = NULL;
		}
		if (fcntl(arena->rw_fd, F_SETLEASE, F_WRLCK) == 0) {
			SEAI_POINT("retire: lease taken");
			(void)fcntl(arena->rw_fd, F_SETLEASE, F_UNLCK);
		} else if (errno == EAGAIN) {
			arena->n_retire_tries++;
			return false;
		} /* else leases are off here: closing is all that can be done */
	}
	seai_arena_destroy(arena);
	return true;
}
