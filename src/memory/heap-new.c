/* SPDX-License-Identifier: Apache-2.0 */
/* Heaps as the user sees them: options checked, made, looked at, freed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "memory/heap-state.h"

#define HEAP_ARENA_MIN_N_BYTES ((uint64_t)2 << 20)
#define HEAP_ARENA_MAX_N_BYTES ((uint64_t)256 << 20)
#define HEAP_FLAGS (SEA_HEAP_PREFAULT | SEA_HEAP_MLOCK | SEA_HEAP_NUMA)

/* The largest power of two that is not above a sixty-fourth of the quota, within the limits: what is given up in one piece should be small. */
static uint64_t heap_arena_n_bytes(uint64_t quota)
{
	uint64_t n_bytes = HEAP_ARENA_MIN_N_BYTES;

	while (n_bytes < HEAP_ARENA_MAX_N_BYTES && n_bytes * 2 <= quota / 64)
		n_bytes *= 2;
	return n_bytes;
}

static int heap_check_options(const struct sea_heap_options *options)
{
	uint64_t arena = options->arena_n_bytes;

	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return -EINVAL;
	if ((unsigned)options->protection > SEA_PROTECTION_SHARED || options->flags & ~HEAP_FLAGS ||
	    (unsigned)options->pages > SEA_PAGES_HUGETLB)
		return -EINVAL;
	if (arena && (arena & (arena - 1) || arena < HEAP_ARENA_MIN_N_BYTES || arena > HEAP_ARENA_MAX_N_BYTES))
		return -EINVAL;
	if (options->numa_node && !(options->flags & SEA_HEAP_NUMA))
		return -EINVAL;
	if (options->reserved_32 ||
	    (options->name && (!options->name[0] || strlen(options->name) >= SEAI_HEAP_NAME_N_BYTES)))
		return -EINVAL;
	if (options->quota_n_bytes > SEAI_CLASS_RUN_MAX_N_BYTES)
		return -EINVAL;
	return seai_pages_check(options->pages, options->flags, options->numa_node);
}

static int heap_set_options(struct sea_heap *heap, const struct sea_heap_options *options)
{
	heap->quota = options->quota_n_bytes ? options->quota_n_bytes : seai_default_quota();
	/* What can never be had is said so. */
	if (heap->session->quota && heap->quota > heap->session->quota)
		heap->quota = heap->session->quota;
	heap->arena_n_bytes = options->arena_n_bytes ? options->arena_n_bytes : heap_arena_n_bytes(heap->quota);
	heap->pages = options->pages;
	heap->flags = options->flags;
	heap->protection = options->protection;
	heap->numa_node = options->numa_node;
	heap->segment_id = options->segment_id;
	if (options->name)
		strcpy(heap->name, options->name);
	heap->unit_n_bytes = SEAI_CHUNK_N_BYTES;
	heap->head_n_bytes = seai_page_n_bytes();
	if (heap->pages == SEA_PAGES_HUGETLB)
		heap->head_n_bytes = SEAI_HUGE_N_BYTES;
	/* With the guard, neighbours in the same 2 MiB may be read-only and could not be populated. */
	if (heap->pages == SEA_PAGES_HUGETLB || (heap->pages != SEA_PAGES_DEFAULT && !heap->session->guard))
		heap->unit_n_bytes = SEAI_HUGE_N_BYTES;
	if (heap->quota < heap->head_n_bytes + heap->unit_n_bytes)
		return -EINVAL;
	if (heap->pages == SEA_PAGES_HUGETLB && heap->quota < heap->head_n_bytes + heap->arena_n_bytes)
		return -EINVAL; /* not one arena: they come whole */
	heap->n_bytes_max = (heap->quota - heap->head_n_bytes) / heap->unit_n_bytes * heap->unit_n_bytes;
	return 0;
}

/* With SEA_HEAP_PREFAULT: one arena at once. */
static int heap_prefault(struct sea_heap *heap)
{
	struct seai_arena *arena;

	if (!(heap->flags & SEA_HEAP_PREFAULT))
		return 0;
	return seai_arena_new(&arena, heap, heap->arena_n_bytes, SEAI_ARENA_ORDINARY);
}

int seai_heap_new(struct sea_heap **ret_heap, struct sea_session *session, const struct sea_heap_options *options)
{
	static const struct sea_heap_options defaults;
	SEAI_AUTO_FREE struct sea_heap *heap = NULL;
	int r;

	options = options ? options : &defaults;
	r = heap_check_options(options);
	if (r < 0)
		return r;
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	heap->session = session;
	heap->given_fd = -1;
	for (unsigned i = 0; i < SEAI_CLASS_N; i++)
		heap->classes[i].n_bytes = seai_class_n_bytes(i);
	r = heap_set_options(heap, options);
	if (r < 0)
		return r;
	seai_lock_take(&session->books);
	r = heap_prefault(heap);
	if (r == 0) {
		heap->id = session->next_heap_id++;
		heap->next = session->heaps;
		session->heaps = heap;
	}
	seai_lock_release(&session->books);
	if (r < 0)
		return r;
	*ret_heap = SEAI_TAKE(heap);
	return 0;
}

int seai_heap_adopt(struct sea_heap *heap, int *fd, uint64_t n_bytes, enum seai_arena_kind kind,
                    struct seai_arena **ret_arena)
{
	int r;

	heap->given_fd = seai_take_fd(fd);
	heap->flags |= SEA_HEAP_PREFAULT;
	r = seai_arena_new(ret_arena, heap, n_bytes, kind);
	heap->given_fd = seai_close(heap->given_fd);
	return r == -EAGAIN ? -ENOMEM : r;
}

/* A shared heap of one arena, which is what a keeper has. */
static int heap_new_kept(struct sea_heap **ret_heap, struct sea_session *session,
                         const struct sea_heap_options *options)
{
	struct sea_heap_options of_one = *options;
	struct seai_arena *arena;
	SEAI_AUTO_FD int fd = -1;
	struct sea_heap *heap;
	struct stat stat;
	int r;

	if (options->protection != SEA_PROTECTION_SHARED) {
		seai_log(session, SEA_LOG_ERROR, "a sealed heap cannot be kept: %s can become a shared one",
		         options->kept_name);
		return -ENOTSUP;
	}
	r = session->hooks->adopt(session, options->kept_name, options->kept_timeout_ns, &fd);
	if (r < 0)
		return r;
	if (fstat(fd, &stat) < 0)
		return -errno;
	if (stat.st_size <= 0 || stat.st_size % (off_t)SEAI_CHUNK_N_BYTES)
		return -EINVAL;
	of_one.flags &= ~SEA_HEAP_PREFAULT;
	of_one.arena_n_bytes = 0;
	/* And what its head and generations can take. */
	of_one.quota_n_bytes = (uint64_t)stat.st_size +
	                       (uint64_t)stat.st_size / SEAI_BLOCK_MIN_N_BYTES * sizeof(uint64_t) +
	                       4 * SEAI_HUGE_N_BYTES;
	of_one.kept_name = NULL;
	r = seai_heap_new(&heap, session, &of_one);
	if (r < 0)
		return r;
	SEAI_LOCKED(&session->books, books);
	r = seai_heap_adopt(heap, &fd, (uint64_t)stat.st_size, SEAI_ARENA_ORDINARY, &arena);
	if (r < 0) {
		seai_heap_destroy(heap);
		return r;
	}
	/* There is this arena and no other. */
	heap->quota = heap->n_bytes_backed;
	*ret_heap = heap;
	return 0;
}

int sea_heap_new(struct sea_heap **ret_heap, struct sea_session *session, const struct sea_heap_options *options)
{
	if (seai_session_is_forked(session))
		return -EPERM;
	return options && options->kept_name ? heap_new_kept(ret_heap, session, options)
	                                     : seai_heap_new(ret_heap, session, options);
}

/* Arenas that the service thread has or will get stay with it; all others are freed here. */
void seai_heap_destroy(struct sea_heap *heap)
{
	struct sea_heap **at = &heap->session->heaps;

	while (heap->arenas) {
		struct seai_arena *arena = heap->arenas;
		bool others = arena->queued || arena->n_busy;

		if (arena->queued) {
			/* It stays in the session's table until it is gone. */
			bool listed = arena->listed;

			arena->listed = false;
			seai_arena_detach(arena);
			arena->listed = listed;
		} else {
			seai_arena_detach(arena);
		}
		if (!others)
			seai_arena_fini(arena);
	}
	while (*at && *at != heap)
		at = &(*at)->next;
	if (*at)
		*at = heap->next;
	free(heap);
}

struct sea_heap *sea_heap_free(struct sea_heap *heap)
{
	struct sea_session *session;

	if (!heap || seai_session_is_forked(heap->session))
		return NULL;
	session = heap->session;
	SEAI_LOCKED(&session->books, books);
	/* Its arenas go one by one, when nobody holds anything in them and their readers have been told; the heap goes with the last. */
	heap->is_freed = true;
	for (struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next)
		seai_arena_retire(arena);
	if (!heap->arenas && !heap->n_busy)
		seai_heap_destroy(heap);
	return NULL;
}

const char *sea_heap_name(const struct sea_heap *heap)
{
	return heap->name;
}

uint32_t sea_heap_segment_id(const struct sea_heap *heap)
{
	return heap->segment_id;
}

/* The address ranges of a heap's arenas; NULL when there are none or no memory. */
static struct seai_range *heap_ranges(const struct sea_heap *heap, size_t *ret_n_ranges)
{
	struct seai_range *ranges = calloc(heap->n_arenas + heap->n_arenas_retired + 1, sizeof(*ranges));
	size_t n = 0;

	for (const struct seai_arena *arena = heap->arenas; ranges && arena; arena = arena->heap_next)
		if (arena->head) {
			ranges[n].from = (uintptr_t)arena->head;
			ranges[n++].to = (uintptr_t)arena->head + arena->n_bytes;
		}
	*ret_n_ranges = n;
	return ranges;
}

int sea_heap_get_stats(struct sea_heap *heap, struct sea_heap_stats *ret_stats)
{
	SEAI_AUTO_FREE struct seai_range *ranges = NULL;
	struct sea_heap_stats stats = { 0 };
	size_t n_ranges = 0;
	bool look;

	if (seai_session_is_forked(heap->session))
		return -EPERM;
	seai_lock_take(&heap->session->books);
	/* What holders have released counts as free as soon as they wrote it, not when somebody allocates. */
	heap->session->hooks->drain(heap->session);
	stats.quota_n_bytes = heap->quota;
	stats.n_bytes_backed = heap->n_bytes_backed;
	stats.n_bytes_used = heap->n_bytes_used;
	stats.n_bytes_peak = heap->n_bytes_peak;
	stats.n_blocks_used = heap->n_blocks_used;
	stats.n_arenas = heap->n_arenas;
	stats.n_arenas_retired = heap->n_arenas_retired;
	stats.n_waits = heap->n_waits;
	stats.n_bytes_free = heap->quota > heap->n_bytes_used ? heap->quota - heap->n_bytes_used : 0;
	stats.n_bytes_largest_free = seai_heap_largest_free(heap);
	if (heap->pages == SEA_PAGES_HUGETLB)
		stats.n_bytes_huge = heap->n_bytes_backed;
	look = heap->pages == SEA_PAGES_THP || heap->pages == SEA_PAGES_COLLAPSE;
	if (look)
		ranges = heap_ranges(heap, &n_ranges);
	seai_lock_release(&heap->session->books);
	if (ranges)
		stats.n_bytes_huge = seai_pages_count_huge(ranges, n_ranges);
	*ret_stats = stats;
	return 0;
}
