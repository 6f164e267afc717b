/* SPDX-License-Identifier: Apache-2.0 */
/* Shared heaps give pages back; crowded sealed heaps set large blocks apart; what a heap says about itself. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"
#include "memory/chunks.h"
#include "memory/ledger.h"
#include "test.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

static struct sea_heap *shared_heap(struct fixture *fixture, uint64_t quota, uint32_t flags)
{
	struct sea_heap_options options = {
		.quota_n_bytes = quota, .arena_n_bytes = 8 * MIB, .protection = SEA_PROTECTION_SHARED, .flags = flags
	};
	struct sea_heap *heap;

	CHECK_OK(sea_heap_new(&heap, &fixture->session, &options));
	return heap;
}

/* The payload's pages as the kernel counts them, and the account. */
static void check_account(const struct sea_heap *heap)
{
	uint64_t n_heads = 0;

	for (const struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next)
		n_heads += arena->n_bytes_head;
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap) + n_heads);
}

TEST(holes, "what is free in a shared arena goes back to the kernel while the rest is in use, which keeps its bytes")
{
	struct seai_block *blocks[8], *again;
	struct fixture fixture;
	struct sea_heap *heap;
	uint64_t before;

	fixture_init(&fixture);
	heap = shared_heap(&fixture, 64 * MIB, 0);
	for (unsigned i = 0; i < 8; i++) {
		blocks[i] = fixture_allocate_backed(heap, MIB, 64);
		memset(seai_block_data(blocks[i]), (int)i + 1, MIB);
	}
	check_account(heap);
	before = heap->n_bytes_backed;
	for (unsigned i = 1; i < 8; i += 2)
		fixture_release(blocks[i]);
	CHECK_EQ(seai_heap_punch(heap, 2 * MIB), 2 * MIB);
	CHECK_EQ(heap->n_bytes_backed, before - 2 * MIB);
	CHECK_EQ(seai_heap_punch(heap, UINT64_MAX / 2), 2 * MIB);
	CHECK_EQ(seai_heap_punch(heap, UINT64_MAX / 2), 0);
	check_account(heap);
	for (unsigned i = 0; i < 8; i += 2)
		for (uint64_t k = 0; k < MIB; k += 4096)
			CHECK_EQ(seai_block_data(blocks[i])[k], i + 1);
	/* Its place is backed again when it is handed out again, and zero. */
	again = fixture_allocate_backed(heap, MIB, 64);
	for (uint64_t k = 0; k < MIB; k++)
		CHECK_EQ(seai_block_data(again)[k], 0);
	check_account(heap);
	fixture_release(again);
	for (unsigned i = 0; i < 8; i += 2)
		fixture_release(blocks[i]);
	fixture_fini(&fixture);
}

TEST(sealed, "in a sealed heap nothing is punched: the kernel would refuse, and nobody asks it")
{
	struct fixture fixture;
	struct sea_heap *heap;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	fixture_release(fixture_allocate_backed(heap, MIB, 64));
	CHECK_EQ(seai_heap_punch(heap, MIB), 0);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	fixture_fini(&fixture);
}

TEST(trim, "trimming a shared heap leaves just what is in use")
{
	struct seai_block *held, *large;
	struct fixture fixture;
	struct sea_heap *heap;

	fixture_init(&fixture);
	heap = shared_heap(&fixture, 64 * MIB, 0);
	held = fixture_allocate_backed(heap, 64 * KIB, 64);
	large = fixture_allocate_backed(heap, 3 * MIB, 64);
	CHECK_EQ((uintptr_t)large->arena, (uintptr_t)held->arena);
	fixture_release(large);
	CHECK_OK(sea_heap_trim(heap, 2 * MIB));
	CHECK_LE(heap->n_bytes_backed, 2 * MIB);
	CHECK_OK(sea_heap_trim(heap, 0));
	CHECK_LE(heap->n_bytes_backed, 64 * KIB + 16 * KIB + 64 * KIB);
	check_account(heap);
	fixture_release(held);
	fixture_fini(&fixture);
}

TEST(steady,
     "a warm shared heap is not asked to give back what it uses again, one that keeps too much is, and then stays below 1.25")
{
	struct seai_block *live[64];
	struct fixture fixture;
	struct sea_heap *heap;
	unsigned n_pokes;

	fixture_init(&fixture);
	heap = shared_heap(&fixture, 256 * MIB, 0);
	for (unsigned i = 0; i < 64; i++)
		live[i] = fixture_allocate_backed(heap, MIB, 64);
	n_pokes = fixture.n_pokes;
	for (unsigned i = 0; i < 1000; i++) {
		fixture_release(live[i % 64]);
		live[i % 64] = fixture_allocate_backed(heap, MIB, 64);
	}
	CHECK_EQ(fixture.n_pokes, n_pokes);
	CHECK(!heap->wants_punch);
	for (unsigned i = 0; i < 32; i++)
		fixture_release(live[i]);
	/* Only who takes new memory looks: a class that the holes do not serve. */
	live[0] = fixture_allocate_backed(heap, 40 * MIB, 64);
	CHECK(heap->wants_punch);
	CHECK_GT(fixture.n_pokes, n_pokes);
	CHECK(seai_session_punch_next(&fixture.session));
	CHECK(!seai_session_punch_next(&fixture.session));
	CHECK_LE(heap->n_bytes_backed, heap->n_bytes_used / 4 * 5);
	check_account(heap);
	fixture_release(live[0]);
	for (unsigned i = 32; i < 64; i++)
		fixture_release(live[i]);
	fixture_fini(&fixture);
}

TEST(prefault, "memory that was asked for ahead is not given back by itself, only by a trim")
{
	struct fixture fixture;
	struct sea_heap *heap;

	fixture_init(&fixture);
	heap = shared_heap(&fixture, 64 * MIB, SEA_HEAP_PREFAULT);
	CHECK_GE(heap->n_bytes_backed, 8 * MIB);
	fixture_release(fixture_allocate_backed(heap, 100, 64));
	fixture_release(fixture_allocate_backed(heap, 10 * MIB, 64));
	CHECK(!heap->wants_punch);
	CHECK(!seai_session_punch_next(&fixture.session));
	CHECK_OK(sea_heap_trim(heap, 0));
	fixture_service(&fixture);
	CHECK_EQ(heap->n_bytes_backed, 0);
	fixture_fini(&fixture);
}

static _Atomic bool stop;

static void *punch_run(void *argument)
{
	while (!atomic_load(&stop))
		seai_heap_punch(argument, MIB);
	return NULL;
}

TEST(race, "what is punched while others allocate and release was nobody's: every block keeps its bytes")
{
	struct seai_block *live[32] = { 0 };
	unsigned n_rounds = test_is_sanitized() ? 1000 : 5000;
	struct fixture fixture;
	struct sea_heap *heap;
	pthread_t thread;
	uint64_t random = test_random() | 1;

	fixture_init(&fixture);
	heap = shared_heap(&fixture, 64 * MIB, 0);
	CHECK_EQ(pthread_create(&thread, NULL, punch_run, heap), 0);
	for (unsigned i = 0; i < n_rounds; i++) {
		unsigned k = i % 32;
		uint64_t n_bytes = 1 + (random = random * UINT64_C(6364136223846793005) + 1) % (512 * KIB);

		if (live[k]) {
			for (uint64_t at = 0; at < live[k]->cookie; at += 4096)
				CHECK_EQ(seai_block_data(live[k])[at], (uint8_t)(k + 1));
			fixture_release(live[k]);
			live[k] = NULL;
		}
		if (fixture_try_allocate(heap, n_bytes, &live[k]) < 0)
			continue;
		live[k]->cookie = n_bytes;
		for (uint64_t at = 0; at < n_bytes; at += 4096)
			seai_block_data(live[k])[at] = (uint8_t)(k + 1);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	check_account(heap);
	for (unsigned k = 0; k < 32; k++)
		if (live[k])
			fixture_release(live[k]);
	fixture_fini(&fixture);
}

/* Largest block that is really to be had, by trying. */
static uint64_t largest_by_trying(struct sea_heap *heap)
{
	uint64_t low = 0, high = heap->quota / SEAI_CHUNK_N_BYTES;
	struct seai_block *block;

	while (low < high) {
		uint64_t middle = (low + high + 1) / 2;

		if (fixture_try_allocate(heap, middle * SEAI_CHUNK_N_BYTES, &block) == 0) {
			fixture_release(block);
			low = middle;
		} else {
			high = middle - 1;
		}
	}
	return low * SEAI_CHUNK_N_BYTES;
}

TEST(largest, "the largest free block that is told can be had, and looking does not disturb what is warm")
{
	struct seai_block *live[40], *warm, *block;
	struct sea_heap_stats stats;
	struct fixture fixture;
	struct sea_heap *heap;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_free, 64 * MIB);
	CHECK_GE(stats.n_bytes_largest_free, 63 * MIB);
	CHECK_LE(stats.n_bytes_largest_free, 64 * MIB);
	for (unsigned i = 0; i < 40; i++)
		live[i] = fixture_allocate_backed(heap, MIB, 64);
	warm = live[7];
	fixture_release(live[7]);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_free, 25 * MIB);
	block = fixture_allocate(heap, MIB, 64);
	CHECK_EQ((uintptr_t)block, (uintptr_t)warm);
	CHECK(seai_block_is_backed(block, MIB));
	CHECK_OK(fixture_try_allocate(heap, stats.n_bytes_largest_free, &block));
	fixture_release(block);
	CHECK_GE(largest_by_trying(heap), stats.n_bytes_largest_free);
	for (unsigned i = 0; i < 40; i++)
		fixture_release(live[i]);
	fixture_fini(&fixture);
}

TEST(holders, "a heap tells who holds how much of it, the largest first")
{
	struct sea_heap_holder holders[3];
	struct seai_block *a, *b, *c;
	struct fixture fixture;
	struct sea_heap *heap;
	uint32_t one, other;

	fixture_init(&fixture);
	CHECK_OK(seai_ledger_new(&fixture.session.ledger));
	heap = fixture_heap(&fixture, 64 * MIB);
	CHECK_EQ(sea_heap_get_holders(heap, holders, 3), 0);
	a = fixture_allocate(heap, MIB, 64);
	b = fixture_allocate(heap, 2 * MIB, 64);
	c = fixture_allocate(heap, 64, 64);
	CHECK_OK(seai_ledger_add_holder(fixture.session.ledger, 77, &one));
	CHECK_OK(seai_ledger_add_holder(fixture.session.ledger, 88, &other));
	CHECK_OK(seai_ledger_hold(a, one, true));
	CHECK_OK(seai_ledger_hold(b, one, true));
	CHECK_OK(seai_ledger_hold(b, other, true));
	a->n_own = b->n_own = 0;
	CHECK_EQ(sea_heap_get_holders(heap, holders, 3), 3);
	CHECK_EQ(holders[0].id, 77);
	CHECK_EQ(holders[0].n_blocks, 2);
	CHECK_EQ(holders[0].n_bytes, 3 * MIB);
	CHECK_EQ(holders[1].id, 88);
	CHECK_EQ(holders[1].n_bytes, 2 * MIB);
	CHECK_EQ(holders[2].id, fixture.session.id);
	CHECK_EQ(holders[2].n_bytes, 64);
	CHECK_EQ(sea_heap_get_holders(heap, holders, 1), 1);
	atomic_store(&fixture.session.forked, true);
	CHECK_ERR(sea_heap_get_holders(heap, holders, 3), -EPERM);
	atomic_store(&fixture.session.forked, false);
	fixture_release(a);
	fixture_release(b);
	fixture_release(c);
	seai_ledger_free(fixture.session.ledger);
	fixture.session.ledger = NULL;
	fixture_fini(&fixture);
}

TEST(apart, "in a crowded sealed heap a large block leaves a whole arena behind, which makes room for any other")
{
	struct seai_block *live[256], *probe;
	struct fixture fixture;
	struct sea_heap *heap;
	unsigned n = 0;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 256 * MIB);
	for (; heap->n_bytes_used <= 256 * MIB / 16 * 9; n++)
		live[n] = fixture_allocate_backed(heap, MIB, 64);
	for (; heap->n_bytes_used < 240 * MIB; n++) {
		live[n] = fixture_allocate_backed(heap, MIB, 64);
		CHECK(live[n]->arena->dedicated);
	}
	/* Every other of those that were set apart: 15 MiB in as many pieces, and then 14 MiB in one. */
	for (unsigned i = n; i > n - 30; i -= 2) {
		fixture_release(live[i - 1]);
		live[i - 1] = NULL;
	}
	CHECK_OK(fixture_try_allocate(heap, 14 * MIB, &probe));
	fixture_release(probe);
	for (unsigned i = 0; i < n; i++)
		if (live[i])
			fixture_release(live[i]);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	fixture_fini(&fixture);
}
