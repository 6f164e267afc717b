/* SPDX-License-Identifier: Apache-2.0 */
/* See fixture.h. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "test.h"

/* The table of arenas, where the library's own is not linked. */
__attribute__((weak)) int seai_session_add_arena(struct sea_session *session, struct seai_arena *arena)
{
	struct seai_arena **arenas = realloc(session->arenas, (session->n_arenas + 1) * sizeof(*arenas));

	if (!arenas)
		return -ENOMEM;
	session->arenas = arenas;
	arenas[session->n_arenas++] = arena;
	arena->id = ++session->next_arena_id;
	return 0;
}

__attribute__((weak)) void seai_session_remove_arena(struct sea_session *session, struct seai_arena *arena)
{
	for (uint32_t i = 0; i < session->n_arenas; i++)
		if (session->arenas[i] == arena) {
			session->arenas[i] = session->arenas[--session->n_arenas];
			return;
		}
	FAIL("an arena that is not in the table is removed");
}

static void fixture_poke(struct sea_session *session)
{
	((struct fixture *)session)->n_pokes++;
}

/* Heaps need no other. */
/* No other process: nothing has been released behind our back. */
static bool fixture_drain(struct sea_session *session)
{
	(void)session;
	return false;
}

static const struct seai_session_hooks fixture_hooks = { .poke = fixture_poke, .drain = fixture_drain };

void fixture_init(struct fixture *fixture)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture->session.id = 0x1234;
	fixture->session.name_hash = 0x5678;
	fixture->session.hooks = &fixture_hooks;
}

unsigned fixture_service(struct fixture *fixture)
{
	struct seai_arena *arena, *next;
	unsigned n = 0;

	seai_lock_take(&fixture->session.books);
	arena = fixture->session.retired;
	fixture->session.retired = NULL;
	seai_lock_release(&fixture->session.books);
	for (; arena; arena = next) {
		next = arena->next;
		if (seai_arena_try_destroy(arena)) {
			n++;
			continue;
		}
		seai_lock_take(&fixture->session.books);
		arena->next = fixture->session.retired;
		fixture->session.retired = arena;
		seai_lock_release(&fixture->session.books);
	}
	return n;
}

void fixture_fini(struct fixture *fixture)
{
	struct seai_arena *arena, *next;

	seai_lock_take(&fixture->session.books);
	while (fixture->session.heaps)
		seai_heap_destroy(fixture->session.heaps);
	arena = fixture->session.retired;
	fixture->session.retired = NULL;
	seai_lock_release(&fixture->session.books);
	for (; arena; arena = next) {
		next = arena->next;
		seai_arena_destroy(arena);
	}
	CHECK_EQ(fixture->session.n_arenas, 0);
	free(fixture->session.arenas);
}

struct sea_heap *fixture_heap(struct fixture *fixture, uint64_t quota_n_bytes)
{
	struct sea_heap_options options = { .quota_n_bytes = quota_n_bytes };
	struct sea_heap *heap;

	CHECK_OK(sea_heap_new(&heap, &fixture->session, &options));
	return heap;
}

struct seai_block *fixture_allocate(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment)
{
	struct seai_block *block;

	SEAI_LOCKED(&heap->session->books, books);
	CHECK_OK(seai_heap_allocate(heap, n_bytes, alignment, &block));
	(void)books;
	return block;
}

struct seai_block *fixture_allocate_backed(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment)
{
	struct seai_block *block = fixture_allocate(heap, n_bytes, alignment);

	if (!seai_block_is_backed(block, n_bytes))
		CHECK_OK(seai_block_back(block, n_bytes));
	return block;
}

int fixture_try_allocate(struct sea_heap *heap, uint64_t n_bytes, struct seai_block **ret_block)
{
	int r;

	seai_lock_take(&heap->session->books);
	r = seai_heap_allocate(heap, n_bytes, 64, ret_block);
	seai_lock_release(&heap->session->books);
	if (r < 0)
		return r;
	r = seai_block_back(*ret_block, n_bytes);
	if (r < 0)
		fixture_release(*ret_block);
	return r;
}

void fixture_release(struct seai_block *block)
{
	SEAI_LOCKED(&block->arena->session->books, books);
	(void)books;
	block->n_own = 0;
	seai_heap_release(block);
}

uint64_t fixture_real_n_bytes(const struct sea_heap *heap)
{
	uint64_t n_bytes = 0;

	for (const struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next) {
		struct stat stat;

		CHECK_SYS(fstat(arena->rw_fd, &stat));
		n_bytes += (uint64_t)stat.st_blocks * 512;
	}
	return n_bytes;
}
