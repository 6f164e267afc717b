/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of pages: huge ones in three ways, locking, and placement on a node.
 *
 * The odd rule: asking is not getting. Only the size of a hugetlb page is certain;
 * for the rest seai_pages_count_huge() looks at what there is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "memory/arena.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

#define PAGES_MPOL_BIND 2 /* linux/mempolicy.h */
#define PAGES_N_NODES_MAX 1024u
#define PAGES_N_CHUNKS_STEP (((uint64_t)16 << 20) / SEAI_CHUNK_N_BYTES) /* of one call into the kernel */

static int pages_bind(void *address, uint64_t n_bytes, uint32_t node)
{
	unsigned long mask[PAGES_N_NODES_MAX / (8 * sizeof(unsigned long))] = { 0 };

	if (node >= PAGES_N_NODES_MAX)
		return -ENOTSUP;
	mask[node / (8 * sizeof(unsigned long))] |= 1ul << (node % (8 * sizeof(unsigned long)));
	/* The kernel reads one bit less than it is told. */
	if (syscall(SYS_mbind, address, n_bytes, PAGES_MPOL_BIND, mask, (unsigned long)PAGES_N_NODES_MAX + 1, 0u) < 0)
		return errno == ENOMEM ? -ENOMEM : -ENOTSUP;
	return 0;
}

int seai_pages_apply(const struct sea_heap *heap, void *address, uint64_t n_bytes)
{
	int r;

	/* An error here means a kernel without THP: base pages it is. */
	if (heap->pages == SEA_PAGES_THP)
		(void)madvise(address, n_bytes, MADV_HUGEPAGE);
	if (heap->flags & SEA_HEAP_NUMA) {
		r = pages_bind(address, n_bytes, heap->numa_node);
		if (r < 0)
			return r;
	}
	/* Locked as they come, so that the holes of an arena cost no memory; RLIMIT_MEMLOCK counts it whole all the same. */
	if (heap->flags & SEA_HEAP_MLOCK && mlock2(address, n_bytes, MLOCK_ONFAULT) < 0)
		return errno == EPERM ? -EPERM : errno == ENOSYS ? -ENOTSUP : -ENOMEM;
	return 0;
}

int seai_pages_check(enum sea_pages pages, uint32_t flags, uint32_t numa_node)
{
	if (pages == SEA_PAGES_HUGETLB) {
		SEAI_AUTO_FD int fd = seai_memfd_create("sealane-check", 1);

		if (fd < 0)
			return fd == -EMFILE || fd == -ENFILE ? fd : -ENOTSUP;
	}
	/* Of zero bytes: the kernel says only whether it knows the advice. */
	if (pages == SEA_PAGES_COLLAPSE && madvise(NULL, 0, MADV_COLLAPSE) < 0)
		return -ENOTSUP;
	if (flags & SEA_HEAP_NUMA) {
		uint64_t n_bytes = seai_page_n_bytes();
		void *page = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		int r;

		if (page == MAP_FAILED)
			return -ENOMEM;
		r = pages_bind(page, n_bytes, numa_node);
		munmap(page, n_bytes);
		return r;
	}
	return 0;
}

uint64_t seai_pages_populate(struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	uint64_t n_done = 0, step = PAGES_N_CHUNKS_STEP;
	/* After a failure go on chunk by chunk, to know exactly what is there; a huge page comes whole or not at all. */
	uint64_t small = arena->hugetlb ? SEAI_HUGE_N_BYTES / SEAI_CHUNK_N_BYTES : 1;

	while (n_done < n_chunks) {
		uint64_t n = n_chunks - n_done < step ? n_chunks - n_done : step;
		uint64_t offset = (first + n_done) * SEAI_CHUNK_N_BYTES;

		if (seai_arena_populate(arena, offset, n * SEAI_CHUNK_N_BYTES) == 0) {
			n_done += n;
			continue;
		}
		if (step == small)
			break;
		step = small;
	}
	return n_done;
}

/* Collapses one unit if it is wholly backed and was not tried before. Returns false when the kernel refuses all of it. */
static bool arena_collapse_unit(struct seai_arena *arena, uint64_t unit)
{
	uint64_t n_chunks = SEAI_HUGE_N_BYTES / SEAI_CHUNK_N_BYTES;
	bool backed;

	if ((unit + 1) * n_chunks > arena->n_chunks)
		return true;
	seai_lock_take(&arena->session->books);
	backed = !seai_bit_get(arena->unit_collapsed, unit) &&
	         seai_chunks_count_unbacked(arena, unit * n_chunks, n_chunks) == 0;
	/* One try each: 4 ms, and a unit that fails for want of a free huge page has cost enough. */
	if (backed)
		seai_bit_set(arena->unit_collapsed, unit);
	seai_lock_release(&arena->session->books);
	if (!backed)
		return true;
	return madvise((uint8_t *)arena->head + unit * SEAI_HUGE_N_BYTES, SEAI_HUGE_N_BYTES, MADV_COLLAPSE) == 0 ||
	       errno != EINVAL;
}

/* Finds an arena that wants it and marks it as busy. */
static struct seai_arena *session_take_collapse(struct sea_session *session)
{
	SEAI_LOCKED(&session->books, lock);

	(void)lock;
	for (struct sea_heap *heap = session->heaps; heap; heap = heap->next) {
		if (heap->pages != SEA_PAGES_COLLAPSE || heap->no_collapse)
			continue;
		for (struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next)
			if (arena->wants_collapse && !arena->retired && !arena->frozen) {
				arena->wants_collapse = false;
				arena->n_busy++;
				return arena;
			}
	}
	return NULL;
}

bool seai_session_collapse_next(struct sea_session *session)
{
	struct seai_arena *arena = session_take_collapse(session);
	bool possible = true, orphaned;

	if (!arena)
		return false;
	for (uint64_t unit = arena->data_offset / SEAI_HUGE_N_BYTES;
	     possible && unit < arena->n_bytes / SEAI_HUGE_N_BYTES; unit++)
		possible = arena_collapse_unit(arena, unit);
	seai_lock_take(&session->books);
	arena->n_busy--;
	orphaned = !arena->heap && !arena->n_busy;
	if (!possible && arena->heap)
		arena->heap->no_collapse = true;
	seai_lock_release(&session->books);
	/* Its heap was freed meanwhile and left it to us. */
	if (orphaned)
		seai_arena_fini(arena);
	return true;
}

uint64_t seai_pages_count_huge(const struct seai_range *ranges, size_t n_ranges)
{
	SEAI_AUTO_FREE char *line = NULL;
	size_t line_n_bytes = 0;
	uint64_t n_bytes = 0;
	bool inside = false;
	FILE *file = fopen("/proc/self/smaps", "re");

	if (!file)
		return 0;
	while (getline(&line, &line_n_bytes, file) >= 0) {
		unsigned long long from, to, n_kib;

		if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
			inside = false;
			for (size_t i = 0; i < n_ranges && !inside; i++)
				inside = from >= ranges[i].from && to <= ranges[i].to;
		} else if (inside && (sscanf(line, "ShmemPmdMapped: %llu kB", &n_kib) == 1 ||
		                      sscanf(line, "FilePmdMapped: %llu kB", &n_kib) == 1)) {
			n_bytes += (uint64_t)n_kib << 10;
		}
	}
	fclose(file);
	return n_bytes;
}
