/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas: made, numbered, sealed against their own producer, given up.
 *
 * The odd rule: nothing in the mapping is touched before it was populated, the head and the
 * generations included, since a touch that finds no memory is a signal. A process killed at any
 * instruction leaves a memfd without a valid head, which nobody was given, or a valid arena.
 */
#include "memory/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/region.h"

#define ARENA_GENERATIONS_OFFSET sizeof(struct seai_arena_head)
#define ARENA_SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)

static uint64_t arena_round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Page size of the file that holds the arena's blocks. */
static uint64_t arena_page_n_bytes(const struct seai_arena *arena)
{
	return arena->hugetlb ? SEAI_HUGE_N_BYTES : seai_page_n_bytes();
}

/* Address space for an arena, aligned to 2 MiB. NULL when there is none. */
static void *arena_reserve(uint64_t n_bytes)
{
	uint64_t total = n_bytes + SEAI_HUGE_N_BYTES;
	uint8_t *start = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t skip;

	if (start == MAP_FAILED)
		return NULL;
	skip = -(uintptr_t)start & (SEAI_HUGE_N_BYTES - 1);
	if (skip)
		munmap(start, skip);
	if (skip != SEAI_HUGE_N_BYTES)
		munmap(start + skip + n_bytes, SEAI_HUGE_N_BYTES - skip);
	return start + skip;
}

/* Maps a file from its start at its place in the arena. 0 or -errno. */
static int arena_map_at(struct seai_arena *arena, uint64_t offset, uint64_t n_bytes, int fd, int protection)
{
	/* Hugetlb pages are reserved here: an empty pool is an error now. */
	void *address = mmap((uint8_t *)arena->head + offset, n_bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0);

	if (address == MAP_FAILED)
		return errno == EAGAIN ? -ENOMEM : -errno;
	(void)madvise(address, n_bytes, MADV_DONTDUMP);
	if (madvise(address, n_bytes, MADV_DONTFORK) < 0)
		return -errno;
	return 0;
}

/* Maps the arena's only file. 0 or -errno. */
static int arena_map(struct seai_arena *arena, int fd, int protection)
{
	return arena_map_at(arena, 0, arena->n_bytes, fd, protection);
}

int seai_arena_populate(struct seai_arena *arena, uint64_t offset, uint64_t n_bytes)
{
	uint8_t *address = (uint8_t *)arena->head + offset;

	if (!arena->shared)
		return seai_populate(address, n_bytes, arena->rw_fd, offset);
	if (offset < arena->data_offset)
		return seai_populate(address, n_bytes, arena->ro_fd, offset);
	return seai_populate(address, n_bytes, arena->rw_fd, offset - arena->data_offset);
}

unsigned seai_arena_get_fds(const struct seai_arena *arena, int fds[2])
{
	fds[0] = arena->ro_fd;
	fds[1] = arena->payload_fd;
	return arena->shared ? 2 : 1;
}

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
		        ARENA_GENERATIONS_OFFSET /
		                sizeof(uint64_t); /* so that head and generations end at a huge page */
	/* In huge pages the generations must not take a second one. */
	if (arena->hugetlb && n_ids > (SEAI_HUGE_N_BYTES - ARENA_GENERATIONS_OFFSET) / sizeof(uint64_t))
		n_ids = (SEAI_HUGE_N_BYTES - ARENA_GENERATIONS_OFFSET) / sizeof(uint64_t);
	if (n_ids > UINT32_MAX)
		n_ids = UINT32_MAX;
	arena->n_blocks_max = (uint32_t)n_ids;
	/* Data starts at a huge page, so that alignments and huge pages need no further care; what lies before is mostly a hole. */
	arena->data_offset = arena_round_up(ARENA_GENERATIONS_OFFSET + n_ids * sizeof(uint64_t), SEAI_HUGE_N_BYTES);
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

	n_bytes = arena_round_up(n_bytes, arena->shared ? seai_page_n_bytes() : arena_page_n_bytes(arena));
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
	head->generations_offset = ARENA_GENERATIONS_OFFSET;
	head->data_offset = arena->data_offset;
	head->n_blocks_max = arena->n_blocks_max;
	head->flags = (arena->immutable ? SEAI_ARENA_IMMUTABLE : 0) | (arena->shared ? SEAI_ARENA_SHARED : 0) |
	              (arena->heap->is_file ? SEAI_ARENA_FILE : 0) | (arena->is_read_only ? SEAI_ARENA_READ_ONLY : 0);
	SEAI_POINT("arena: head without magic");
	/* release: pairs with the acquire of whoever attaches the arena */
	atomic_store_explicit(&head->magic, SEAI_ARENA_MAGIC, memory_order_release);
}

/*
 * Seals the file and trades its first descriptor (in rw_fd) for two re-opens: one that gives no right to write, and one that
 * counts as a writer of its own, which a lease needs.
 */
static int arena_seal_and_reopen(struct seai_arena *arena)
{
	int seals = arena->immutable ? ARENA_SEALS_SIZE : ARENA_SEALS_SIZE | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	int fd;

	if (fcntl(arena->rw_fd, F_ADD_SEALS, seals) < 0)
		return errno == EINVAL ? -ENOTSUP : -errno;
	SEAI_POINT("arena: sealed");
	arena->ro_fd = seai_fd_reopen(arena->rw_fd, O_RDONLY);
	if (arena->ro_fd == -EMFILE || arena->ro_fd == -ENFILE || arena->ro_fd == -ENOMEM)
		return arena->ro_fd;
	if (arena->ro_fd < 0) {
		/* No /proc. A duplicate can be mapped read-only alone: the seal refuses the rest. An immutable frame gets F_SEAL_WRITE. */
		arena->ro_fd = fcntl(arena->rw_fd, F_DUPFD_CLOEXEC, 0);
		return arena->ro_fd < 0 ? -errno : 0;
	}
	fd = seai_fd_reopen(arena->rw_fd, O_RDWR);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd;
	if (fd < 0)
		return 0;
	seai_close(arena->rw_fd);
	arena->rw_fd = fd;
	/* A lease that somebody breaks sends SIGIO, which kills, unless another signal is set. SIGURG is ignored by default. */
	arena->leasable = fcntl(fd, F_SETSIG, SIGURG) == 0;
	return 0;
}

/*
 * The same for the two files of a shared arena. ro_fd stays the head's first descriptor: the seal refuses to others what the descriptor
 * itself would allow. Nobody may add a seal to the payload, which could take their right to map it from others.
 */
static int arena_seal_shared(struct seai_arena *arena)
{
	int fd;

	if (fcntl(arena->ro_fd, F_ADD_SEALS, ARENA_SEALS_SIZE | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0 ||
	    (!arena->is_given && fcntl(arena->rw_fd, F_ADD_SEALS, ARENA_SEALS_SIZE | F_SEAL_SEAL) < 0))
		return errno == EINVAL ? -ENOTSUP : -errno;
	SEAI_POINT("arena: sealed");
	if (arena->is_read_only) {
		/* It is never filled again, so nobody needs to know when its last reader is gone: no lease. */
		arena->payload_fd = fcntl(arena->rw_fd, F_DUPFD_CLOEXEC, 0);
		return arena->payload_fd < 0 ? -errno : 0;
	}
	/* The first descriptor does not count as a writer of the file: with it alone a lease would not see those whom it was passed to. */
	arena->payload_fd = seai_fd_reopen(arena->rw_fd, O_RDWR);
	if (arena->payload_fd == -EMFILE || arena->payload_fd == -ENFILE || arena->payload_fd == -ENOMEM)
		return arena->payload_fd;
	if (arena->payload_fd < 0) {
		/* No /proc: then no lease either. */
		arena->payload_fd = fcntl(arena->rw_fd, F_DUPFD_CLOEXEC, 0);
		return arena->payload_fd < 0 ? -errno : 0;
	}
	fd = seai_fd_reopen(arena->rw_fd, O_RDWR);
	if (fd < 0)
		return fd;
	seai_close(arena->rw_fd);
	arena->rw_fd = fd;
	arena->leasable = fcntl(fd, F_SETSIG, SIGURG) == 0;
	return 0;
}

/* A memfd of a size. A descriptor or -errno. */
static int arena_make_file(const char *name, bool hugetlb, uint64_t n_bytes)
{
	SEAI_AUTO_FD int fd = seai_memfd_create(name, hugetlb);
	struct rlimit limit;

	if (fd < 0)
		return fd == -EINVAL || fd == -ENOSYS || fd == -ENODEV ? -ENOTSUP : fd;
	SEAI_POINT("arena: file made");
	/* Beyond this limit the kernel would send SIGXFSZ. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && n_bytes > limit.rlim_cur)
		return -ENOMEM;
	if (ftruncate(fd, (off_t)n_bytes) < 0)
		return errno == EFBIG ? -ENOMEM : -errno;
	return seai_take_fd(&fd);
}

/* Makes the arena's files and maps them. */
static int arena_map_files(struct seai_arena *arena)
{
	int r;

	if (!arena->shared) {
		arena->rw_fd = arena_make_file(arena->immutable ? "sealane-frame" : "sealane-arena", arena->hugetlb,
		                               arena->n_bytes);
		return arena->rw_fd < 0 ? arena->rw_fd : arena_map(arena, arena->rw_fd, PROT_READ | PROT_WRITE);
	}
	arena->ro_fd = arena_make_file("sealane-head", false, arena->data_offset);
	if (arena->ro_fd < 0)
		return arena->ro_fd;
	if (arena->is_given)
		arena->rw_fd = seai_take_fd(&arena->heap->given_fd);
	else
		arena->rw_fd = arena_make_file("sealane-shared", arena->hugetlb, arena->n_bytes - arena->data_offset);
	if (arena->rw_fd < 0)
		return arena->rw_fd;
	r = arena_map_at(arena, 0, arena->data_offset, arena->ro_fd, PROT_READ | PROT_WRITE);
	if (r < 0)
		return r;
	return arena_map_at(arena, arena->data_offset, arena->n_bytes - arena->data_offset, arena->rw_fd,
	                    arena->is_read_only ? PROT_READ : PROT_READ | PROT_WRITE);
}

static int arena_open(struct seai_arena *arena)
{
	int r;

	arena->head = arena_reserve(arena->n_bytes);
	if (!arena->head)
		return -ENOMEM;
	arena->generations = (_Atomic uint64_t *)((uint8_t *)arena->head + ARENA_GENERATIONS_OFFSET);
	r = arena_map_files(arena);
	if (r < 0)
		return r;
	return seai_pages_apply(arena->heap, (uint8_t *)arena->head + arena->data_offset,
	                        arena->n_bytes - arena->data_offset);
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
		r = arena_open(arena);
	if (r == 0)
		r = arena_back_head(arena, ARENA_GENERATIONS_OFFSET + sizeof(uint64_t));
	if (r == 0)
		r = arena_prefault(arena);
	if (r == 0)
		r = arena->shared ? arena_seal_shared(arena) : arena_seal_and_reopen(arena);
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
	return arena_back_head(arena, ARENA_GENERATIONS_OFFSET + n_blocks * sizeof(uint64_t));
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

int seai_block_freeze(struct seai_block *block)
{
	struct seai_arena *arena = block->arena;
	int r, error = 0;

	/* The address range stays ours: readers of the message keep its pointers. */
	if (mmap(arena->head, arena->n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
	         0) == MAP_FAILED)
		return -ENOMEM;
	SEAI_POINT("freeze: unmapped, not sealed");
	if (fcntl(arena->rw_fd, F_ADD_SEALS, ARENA_SEALS_SIZE | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		error = errno == EBUSY ? -EBUSY : -ENOTSUP;
		r = arena_map(arena, arena->rw_fd, PROT_READ | PROT_WRITE);
		if (r == 0)
			r = seai_pages_apply(arena->heap, (uint8_t *)arena->head + arena->data_offset,
			                     arena->n_bytes - arena->data_offset);
		arena->frozen = r < 0;
		return r < 0 ? r : error;
	}
	SEAI_POINT("freeze: sealed, not mapped");
	arena->frozen = true;
	r = arena_map(arena, arena->ro_fd, PROT_READ);
	if (r < 0)
		return r;
	if (arena->heap->flags & SEA_HEAP_MLOCK)
		return seai_pages_apply(arena->heap, (uint8_t *)arena->head + arena->data_offset,
		                        arena->n_bytes - arena->data_offset);
	return 0;
}

void seai_block_guard(struct seai_block *block, bool on)
{
	struct seai_arena *arena = block->arena;
	uint64_t page_n_bytes = arena_page_n_bytes(arena), from, to;

	/* In a shared heap a message that was sent may come home to be changed. */
	if (!arena->session->guard || arena->frozen || arena->shared || block->size_class == SEAI_CLASS_REGION)
		return;
	from = arena_round_up(block->offset, page_n_bytes);
	to = (block->offset + seai_block_capacity(block)) / page_n_bytes * page_n_bytes;
	if (from < to)
		(void)mprotect((uint8_t *)arena->head + from, to - from, on ? PROT_READ : PROT_READ | PROT_WRITE);
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
