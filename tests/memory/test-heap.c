/* SPDX-License-Identifier: Apache-2.0 */
/* Heaps: classes, quota, reuse, fragmentation, threads. */
#include "memory/heap.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/kernel.h"
#include "fixture.h"
#include "memory/chunks.h"
#include "test.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t random_log_uniform(uint64_t *state, uint64_t from, uint64_t to)
{
	double unit = (double)(random_next(state) >> 11) / (double)((uint64_t)1 << 53);

	return (uint64_t)exp2(log2((double)from) + unit * (log2((double)to) - log2((double)from)));
}

TEST(class_sizes, "every size has a class that is large enough, not much larger, and its own class")
{
	for (uint64_t n = 1; n <= 300000; n++) {
		unsigned size_class = seai_class_of(n, 64);
		uint64_t n_bytes = seai_class_n_bytes(size_class);

		CHECK_GE(n_bytes, n);
		CHECK_EQ(n_bytes % 64, 0);
		CHECK_EQ(seai_class_of(n_bytes, 64), size_class);
		if (n > 1)
			CHECK_GE(size_class, seai_class_of(n - 1, 64));
		if (n > 256 && n <= 4096)
			CHECK_LE(n_bytes, n + n / 4 + 64);
	}
	for (unsigned i = 1; i < SEAI_CLASS_N; i++)
		if (i != SEAI_CLASS_N_SLAB + SEAI_CLASS_N_RUN)
			CHECK_GT(seai_class_n_bytes(i), seai_class_n_bytes(i - 1));
	CHECK_LT(seai_class_of(SEAI_CLASS_RUN_MAX_N_BYTES, 64), SEAI_CLASS_N_SLAB + SEAI_CLASS_N_RUN);
	CHECK_LT(seai_class_of(SEAI_CLASS_RUN_MAX_N_BYTES, 2 * MIB), SEAI_CLASS_N);
	CHECK_EQ(seai_class_n_bytes(seai_class_of(SEAI_CLASS_RUN_MAX_N_BYTES, 64)), SEAI_CLASS_RUN_MAX_N_BYTES);
	for (uint64_t n = 512 * KIB; n < 64 * MIB; n += 12345)
		CHECK_LE(seai_class_n_bytes(seai_class_of(n, 64)), n + n / 8 + 64 * KIB);
}

TEST(alignment, "a block starts at a multiple of its alignment, up to 2 MiB, for any size")
{
	static const uint64_t sizes[] = { 1,     63,    64,    65,    200,    1000,    4096,    5000,   20000,
		                          32768, 32769, 65536, 65537, 300000, 1 << 20, 3 << 20, 5 << 20 };
	struct fixture fixture;
	struct seai_block *blocks[400];
	struct sea_heap *heap;
	size_t n = 0;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 1024 * MIB);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t alignment = 1; alignment <= 2 * MIB; alignment *= 2)
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
				struct seai_block *block = fixture_allocate(heap, sizes[i], alignment);

				CHECK_EQ(block->offset % alignment, 0);
				CHECK_EQ((uintptr_t)seai_block_data(block) % alignment, 0);
				CHECK_GE(seai_block_capacity(block), sizes[i]);
				CHECK_EQ(block->n_own, 1);
				CHECK_EQ(block->n_holds, 0);
				CHECK_EQ(block->flags, SEAI_BLOCK_USED);
				CHECK_LE(block->offset + seai_block_capacity(block), block->arena->n_bytes);
				CHECK_GE(block->offset, block->arena->data_offset);
				for (size_t j = 0; j < n; j++)
					if (blocks[j]->arena == block->arena)
						CHECK(blocks[j]->offset + seai_block_capacity(blocks[j]) <=
						              block->offset ||
						      block->offset + seai_block_capacity(block) <= blocks[j]->offset);
				blocks[n++] = block;
			}
		while (n)
			fixture_release(blocks[--n]);
	}
	CHECK_EQ(heap->n_blocks_used, 0);
	CHECK_EQ(heap->n_bytes_used, 0);
	fixture_fini(&fixture);
}

TEST(warm, "the block that was freed last is handed out next, and nothing is taken from the kernel")
{
	struct fixture fixture;
	struct sea_heap *heap;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 512 * MIB);
	for (uint64_t n = 16; n <= 128 * MIB; n *= 8) {
		struct seai_block *a = fixture_allocate_backed(heap, n, 64), *b = fixture_allocate_backed(heap, n, 64);
		uint64_t backed = heap->n_bytes_backed, generation = a->generation;

		CHECK_NE(a, b);
		fixture_release(b);
		fixture_release(a);
		CHECK_EQ(a->generation, generation + 1);
		CHECK_EQ(atomic_load(&a->arena->generations[a->id]), generation + 1);
		CHECK_EQ(fixture_allocate(heap, n, 64), a);
		CHECK_EQ(fixture_allocate(heap, n, 64), b);
		CHECK(seai_block_is_backed(a, n));
		CHECK(seai_block_is_backed(b, n));
		CHECK_EQ(heap->n_bytes_backed, backed);
		fixture_release(a);
		fixture_release(b);
	}
	fixture_fini(&fixture);
}

TEST(account, "the quota counts just the pages that the kernel counts")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *blocks[200];
	uint64_t state = test_random() | 1;
	struct sea_heap_stats stats;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 512 * MIB);
	CHECK_EQ(heap->n_bytes_backed, 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t n = random_log_uniform(&state, 16, 16 * MIB), part = n / (1 + i % 3) + 1;

		blocks[i] = fixture_allocate(heap, n, 64);
		CHECK_OK(seai_block_back(blocks[i], part < n ? part : n));
		CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	}
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_backed, heap->n_bytes_backed);
	CHECK_EQ(stats.n_blocks_used, 200);
	CHECK_GT(stats.n_bytes_used, 0);
	CHECK_LE(stats.n_bytes_backed, stats.quota_n_bytes);
	for (unsigned i = 0; i < 200; i++)
		fixture_release(blocks[i]);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_used, 0);
	CHECK_GT(stats.n_bytes_peak, 0);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	fixture_fini(&fixture);
}

TEST(quota, "a heap at its quota refuses, and a release is enough to go on; what can never fit is said so")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *blocks[1024], *block;
	int n = 0, r;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 16 * MIB);
	while ((r = fixture_try_allocate(heap, 64 * KIB, &blocks[n])) == 0)
		memset(seai_block_data(blocks[n++]), 1, 64 * KIB);
	CHECK_EQ(r, -EAGAIN);
	/* All but what the heads take, at most a chunk per arena. */
	CHECK_GE(n, 16 * 16 - 16);
	CHECK_LE(heap->n_bytes_backed, 16 * MIB);
	CHECK_ERR(fixture_try_allocate(heap, 16, &block), -EAGAIN);
	CHECK_ERR(fixture_try_allocate(heap, 1 * MIB, &block), -EAGAIN);
	CHECK_ERR(fixture_try_allocate(heap, 16 * MIB, &block), -E2BIG);
	CHECK_ERR(fixture_try_allocate(heap, UINT64_MAX, &block), -E2BIG);
	fixture_release(blocks[n / 2]);
	CHECK_OK(fixture_try_allocate(heap, 16, &block));
	fixture_release(block);
	CHECK_OK(fixture_try_allocate(heap, 64 * KIB, &blocks[n / 2]));
	CHECK_LE(fixture_real_n_bytes(heap), 16 * MIB);
	for (int i = 0; i < n; i++)
		fixture_release(blocks[i]);
	fixture_fini(&fixture);
}

TEST(coalesce,
     "after a heap full of small blocks was freed, one block of nearly the quota fits, and the other way round")
{
	struct fixture fixture;
	struct sea_heap *heap;
	static struct seai_block *blocks[20000];
	static const uint64_t sizes[] = { 64 * KIB, 100, 20000, 3 * MIB, 700 * KIB };

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct seai_block *large;
		int n = 0;

		while (n < 20000 && fixture_try_allocate(heap, sizes[i], &blocks[n]) == 0)
			n++;
		CHECK_GE((uint64_t)n * sizes[i], n == 20000 ? 0 : 58 * MIB);
		for (int j = 0; j < n; j += 2)
			fixture_release(blocks[j]);
		for (int j = 1; j < n; j += 2)
			fixture_release(blocks[j]);
		CHECK_OK(fixture_try_allocate(heap, 63 * MIB, &large));
		memset(seai_block_data(large), 1, 63 * MIB);
		CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
		fixture_release(large);
	}
	fixture_fini(&fixture);
}

TEST_TIMEOUT(fragmentation,
             "at a live set of half of the heap, the largest of its sizes, a thirty-second of it, can always be had",
             60)
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *live[8192], *probe;
	/* A fixed course of events unless in the long form: what is checked is not certain, only very likely. */
	uint64_t state = test_is_soak() ? test_random() | 1 : 20261120, n_live_bytes = 0, n_bytes;
	size_t n_live = 0, n_failed = 0, n_probes_failed = 0, n_probes = test_is_soak() ? 20000 : 2000;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 256 * MIB);
	for (size_t i = 0; i < n_probes + 2000; i++) {
		size_t victim;

		n_bytes = random_log_uniform(&state, 1 * KIB, 8 * MIB);
		while (n_live && (n_live_bytes + n_bytes > 128 * MIB || n_live == 8192)) {
			victim = random_next(&state) % n_live;
			n_live_bytes -= live[victim]->cookie;
			fixture_release(live[victim]);
			live[victim] = live[--n_live];
		}
		if (fixture_try_allocate(heap, n_bytes, &live[n_live]) < 0) {
			n_failed++;
		} else {
			live[n_live]->cookie = n_bytes;
			n_live_bytes += n_bytes;
			n_live++;
		}
		if (i < 2000)
			continue;
		if (fixture_try_allocate(heap, 8 * MIB, &probe) < 0)
			n_probes_failed++;
		else
			fixture_release(probe);
	}
	printf("  %zu arenas, backed %llu MiB, live %llu MiB, %zu of %zu allocations and %zu probes failed\n",
	       (size_t)heap->n_arenas, (unsigned long long)(heap->n_bytes_backed / MIB),
	       (unsigned long long)(n_live_bytes / MIB), n_failed, n_probes + 2000, n_probes_failed);
	CHECK_EQ(n_probes_failed, 0);
	CHECK_EQ(n_failed, 0);
	while (n_live)
		fixture_release(live[--n_live]);
	fixture_fini(&fixture);
}

TEST(partial, "a reserved block costs what is backed of it, and keeps that for its next user")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *a, *b;
	uint64_t before;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	for (unsigned i = 0; i < 2; i++) {
		seai_lock_take(&fixture.session.books);
		CHECK_OK(seai_heap_reserve(heap, 60 * MIB, 1 * MIB, 64, i ? &b : &a));
		seai_lock_release(&fixture.session.books);
	}
	CHECK_LE(heap->n_bytes_backed, 1 * MIB);
	CHECK_OK(seai_block_back(a, 10 * MIB + 1));
	CHECK(seai_block_is_backed(a, 10 * MIB + 1));
	memset(seai_block_data(a), 1, 10 * MIB + 1);
	CHECK_LE(heap->n_bytes_backed, 11 * MIB);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	CHECK_OK(seai_block_back(b, 50 * MIB));
	before = heap->n_bytes_backed;
	CHECK_ERR(seai_block_back(a, 20 * MIB), -EAGAIN);
	CHECK_EQ(heap->n_bytes_backed, before);
	CHECK_ERR(seai_block_back(a, seai_block_capacity(a) + 1), -EINVAL);
	fixture_release(b);
	/* What is idle in b's arena makes room for a. */
	CHECK_OK(seai_block_back(a, 60 * MIB));
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	fixture_release(a);
	CHECK_EQ(fixture_allocate(heap, 60 * MIB, 64), a);
	CHECK(seai_block_is_backed(a, 60 * MIB));
	fixture_release(a);
	fixture_fini(&fixture);
}

TEST(many, "many blocks at once: as many as there are")
{
	struct fixture fixture;
	struct sea_heap *heap;
	static struct seai_block *blocks[2000];
	int n;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 4 * MIB);
	seai_lock_take(&fixture.session.books);
	n = CHECK_OK(seai_heap_allocate_many(heap, 4096, 64, blocks, 2000));
	CHECK_LT(n, 4 * 256);
	CHECK_GE(n, 4 * 256 - 32);
	CHECK_ERR(seai_heap_allocate_many(heap, 4096, 64, blocks + n, 1), -EAGAIN);
	CHECK_ERR(seai_heap_allocate_many(heap, 5 * MIB, 64, blocks + n, 1), -E2BIG);
	for (int i = 0; i < n; i++) {
		CHECK(seai_block_is_backed(blocks[i], 4096));
		for (int j = 0; j < i; j++)
			CHECK_NE(blocks[i], blocks[j]);
	}
	for (int i = 0; i < n; i++)
		seai_heap_release(blocks[i]);
	seai_lock_release(&fixture.session.books);
	fixture_fini(&fixture);
}

struct worker {
	struct sea_heap *heap;
	uint64_t seed;
	pthread_t thread;
};

static void *worker_run(void *argument)
{
	struct worker *worker = argument;
	struct seai_block *live[64] = { 0 };
	uint64_t n_bytes[64], state = worker->seed | 1;
	int n_rounds = test_is_sanitized() ? 3000 : 20000;

	for (int i = 0; i < n_rounds; i++) {
		size_t slot = random_next(&state) % 64;
		struct seai_block *block = live[slot];

		if (block) {
			uint8_t *data = seai_block_data(block);

			/* First, last and middle byte carry the block's own number. */
			CHECK_EQ(data[0], (uint8_t)(slot + worker->seed));
			CHECK_EQ(data[n_bytes[slot] / 2], (uint8_t)(slot + worker->seed));
			CHECK_EQ(data[n_bytes[slot] - 1], (uint8_t)(slot + worker->seed));
			fixture_release(block);
			live[slot] = NULL;
			continue;
		}
		n_bytes[slot] = random_log_uniform(&state, 1, random_next(&state) % 16 ? 64 * KIB : 4 * MIB);
		if (fixture_try_allocate(worker->heap, n_bytes[slot], &live[slot]) < 0) {
			live[slot] = NULL;
			continue;
		}
		memset(seai_block_data(live[slot]), (uint8_t)(slot + worker->seed),
		       n_bytes[slot] < 8 * KIB ? n_bytes[slot] : 1);
		seai_block_data(live[slot])[n_bytes[slot] / 2] = (uint8_t)(slot + worker->seed);
		seai_block_data(live[slot])[n_bytes[slot] - 1] = (uint8_t)(slot + worker->seed);
	}
	for (size_t slot = 0; slot < 64; slot++)
		if (live[slot])
			fixture_release(live[slot]);
	return NULL;
}

TEST_TIMEOUT(threads, "blocks of several threads never overlap, also at the quota", 60)
{
	struct worker workers[4];
	struct fixture fixture;
	struct sea_heap *heap;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 32 * MIB);
	for (size_t i = 0; i < 4; i++) {
		workers[i] = (struct worker){ .heap = heap, .seed = test_random() | 1 };
		CHECK_EQ(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		pthread_join(workers[i].thread, NULL);
	CHECK_EQ(heap->n_blocks_used, 0);
	CHECK_EQ(heap->n_bytes_used, 0);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	CHECK_LE(heap->n_bytes_backed, 32 * MIB);
	fixture_fini(&fixture);
}

TEST(generations, "a block's generation only grows, also when its id is used for other memory")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *small[200], *large;
	static uint64_t last[1 << 16];

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 4 * MIB);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 200; i++) {
			small[i] = fixture_allocate_backed(heap, round % 2 ? 1000 : 3000, 64);
			CHECK_EQ(small[i]->arena, heap->arenas);
			CHECK_LT(small[i]->id, 1 << 16);
			CHECK_EQ(atomic_load(&small[i]->arena->generations[small[i]->id]), small[i]->generation);
			CHECK_GE(small[i]->generation, last[small[i]->id]);
		}
		for (unsigned i = 0; i < 200; i++) {
			last[small[i]->id] = small[i]->generation + 1;
			fixture_release(small[i]);
		}
		seai_lock_take(&fixture.session.books);
		seai_heap_flush(heap);
		seai_lock_release(&fixture.session.books);
		CHECK_EQ(heap->arenas->n_free_ids, heap->arenas->n_blocks);
		large = fixture_allocate_backed(heap, 1 * MIB, 64);
		fixture_release(large);
	}
	CHECK(seai_arena_get_block(heap->arenas, 0));
	CHECK(!seai_arena_get_block(heap->arenas, heap->arenas->n_blocks));
	fixture_fini(&fixture);
}

TEST(trim, "trimming gives wholly free arenas back and leaves the others")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *a, *b, *c;
	struct sea_heap_stats stats;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 128 * MIB);
	a = fixture_allocate_backed(heap, 100, 64);
	b = fixture_allocate_backed(heap, 20 * MIB, 64);
	c = fixture_allocate_backed(heap, 30 * MIB, 64);
	fixture_release(b);
	fixture_release(c);
	CHECK_OK(sea_heap_trim(heap, 40 * MIB));
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_LE(heap->n_bytes_backed, 40 * MIB);
	CHECK_OK(sea_heap_trim(heap, 0));
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_arenas_retired, 1);
	CHECK_GT(stats.n_bytes_backed, 20 * MIB);
	CHECK_GT(fixture.n_pokes, 0);
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_arenas_retired, 0);
	CHECK_EQ(stats.n_arenas, 1);
	CHECK_LE(stats.n_bytes_backed, 1 * MIB);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	memset(seai_block_data(a), 1, 100);
	fixture_release(a);
	CHECK_OK(sea_heap_trim(heap, 0));
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_EQ(heap->n_bytes_backed, 0);
	a = fixture_allocate_backed(heap, 100, 64);
	fixture_release(a);
	fixture_fini(&fixture);
}

TEST(retire, "an arena that is retired while in use goes when its last block does")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *a, *b;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	a = fixture_allocate_backed(heap, 100, 64);
	b = fixture_allocate_backed(heap, 100, 64);
	fixture_release(b);
	seai_lock_take(&fixture.session.books);
	seai_arena_retire(a->arena);
	seai_lock_release(&fixture.session.books);
	CHECK_EQ(fixture_service(&fixture), 0);
	CHECK_NE(fixture_allocate(heap, 100, 64)->arena, a->arena);
	fixture_release(a);
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	/* A heap that is freed with an arena on the way out leaves it to the service thread. */
	a = fixture_allocate_backed(heap, 30 * MIB, 64);
	fixture_release(a);
	CHECK_OK(sea_heap_trim(heap, 0));
	CHECK(!sea_heap_free(heap));
	CHECK_EQ(fixture_service(&fixture), 1);
	fixture_fini(&fixture);
}

TEST(options, "options out of their range are refused")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct sea_heap_options options = { .arena_n_bytes = 3 * MIB };

	fixture_init(&fixture);
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .arena_n_bytes = 512 * MIB };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .flags = 8 };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .pages = (enum sea_pages)4 };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .reserved = { [3] = 1 } };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .protection = (enum sea_protection)2 };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .quota_n_bytes = 1000 };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -EINVAL);
	options = (struct sea_heap_options){ .flags = SEA_HEAP_NUMA, .numa_node = 1000 };
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, &options), -ENOTSUP);
	CHECK_OK(sea_heap_new(&heap, &fixture.session, NULL));
	CHECK(!sea_heap_free(heap));
	CHECK(!sea_heap_free(NULL));
	atomic_store(&fixture.session.forked, true);
	CHECK_ERR(sea_heap_new(&heap, &fixture.session, NULL), -EPERM);
	atomic_store(&fixture.session.forked, false);
	fixture_fini(&fixture);
}

TEST(exhaustion, "no descriptors, no address space, a limit on file sizes: errors, and the account is as before")
{
	static const int resources[] = { RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_FSIZE };
	static const int errors[] = { -EMFILE, -ENOMEM, -ENOMEM };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;

	if (test_is_sanitized())
		SKIP("sanitizers need address space");
	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	for (size_t i = 0; i < 3; i++) {
		struct rlimit limit, low;
		int r;

		CHECK_SYS(getrlimit(resources[i], &limit));
		low = limit;
		low.rlim_cur = i == 0 ? 4 : MIB;
		CHECK_SYS(setrlimit(resources[i], &low));
		r = fixture_try_allocate(heap, 1000, &block);
		CHECK_SYS(setrlimit(resources[i], &limit));
		CHECK_EQ(r, errors[i]);
		CHECK_EQ(heap->n_bytes_backed, 0);
		CHECK_EQ(heap->n_arenas, 0);
	}
	CHECK_OK(fixture_try_allocate(heap, 1000, &block));
	fixture_release(block);
	fixture_fini(&fixture);
}
