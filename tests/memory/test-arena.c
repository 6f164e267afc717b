/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: seals, leases, freezing, kinds of pages. What the kernel must refuse is tried. */
#include "memory/arena.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/kernel.h"
#include "fixture.h"
#include "test.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

/* The seal refuses with EPERM, an O_RDONLY descriptor with EACCES or EBADF. */
#define CHECK_REFUSED(call) \
	CHECK((call) == -1 && (errno == EPERM || errno == EACCES || errno == EBADF || errno == EINVAL))

static void check_write_is_refused(struct seai_arena *arena, int fd)
{
	void *map;

	CHECK(mmap(NULL, arena->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_REFUSED(pwrite(fd, "x", 1, (off_t)arena->data_offset));
	CHECK_REFUSED(ftruncate(fd, 0));
	CHECK_REFUSED(ftruncate(fd, (off_t)(2 * arena->n_bytes)));
	CHECK_REFUSED(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)arena->data_offset, 65536));
	CHECK_REFUSED(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	map = mmap(NULL, arena->n_bytes, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK_REFUSED(mprotect(map, arena->n_bytes, PROT_READ | PROT_WRITE));
	CHECK_REFUSED(madvise(map, arena->n_bytes, MADV_REMOVE));
	CHECK_SYS(munmap(map, arena->n_bytes));
}

TEST(seals, "nobody but the owner's own mapping can write an arena, whatever descriptor he has")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	int fd;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	block = fixture_allocate_backed(heap, 100, 64);
	memcpy(seai_block_data(block), "payload", 8);
	CHECK_EQ(fcntl(block->arena->ro_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	check_write_is_refused(block->arena, block->arena->ro_fd);
	check_write_is_refused(block->arena, block->arena->rw_fd);
	fd = CHECK_OK(seai_fd_reopen(block->arena->ro_fd, O_RDWR));
	check_write_is_refused(block->arena, fd);
	close(fd);
	CHECK_STR_EQ((char *)seai_block_data(block), "payload");
	fixture_release(block);
	fixture_fini(&fixture);
}

TEST(head, "an arena says what it is, is aligned to 2 MiB, and is not executable")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_arena *arena;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	arena = fixture_allocate(heap, 100, 64)->arena;
	CHECK_EQ((uintptr_t)arena->head % SEAI_HUGE_N_BYTES, 0);
	CHECK_EQ(atomic_load(&arena->head->magic), SEAI_ARENA_MAGIC);
	CHECK_EQ(arena->head->version, SEAI_LAYOUT_VERSION);
	CHECK_EQ(arena->head->arena_id, arena->id);
	CHECK_EQ(arena->head->owner_id, fixture.session.id);
	CHECK_EQ(arena->head->session_id, fixture.session.name_hash);
	CHECK_EQ(arena->head->n_bytes, arena->n_bytes);
	CHECK_EQ(arena->head->data_offset, arena->data_offset);
	CHECK_EQ(arena->head->n_blocks_max, arena->n_blocks_max);
	CHECK_LE(arena->head->generations_offset + 8 * (uint64_t)arena->n_blocks_max, arena->data_offset);
	CHECK_EQ(arena->head->flags, 0);
	CHECK_NE(fcntl(arena->rw_fd, F_GETFD) & FD_CLOEXEC, 0);
	CHECK_NE(fcntl(arena->ro_fd, F_GETFD) & FD_CLOEXEC, 0);
	fixture_fini(&fixture);
}

static void child_touches(void *address)
{
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGSEGV, SIG_DFL);
	*(volatile char *)address = 1;
}

TEST(fork, "a forked child has nothing of an arena mapped")
{
	struct fixture fixture;
	struct seai_block *block;

	if (test_is_sanitized())
		SKIP("a sanitizer takes the signal");
	fixture_init(&fixture);
	block = fixture_allocate_backed(fixture_heap(&fixture, 64 * MIB), 100, 64);
	CHECK_EQ(test_wait(test_fork(child_touches, seai_block_data(block))), -SIGSEGV);
	fixture_fini(&fixture);
}

/* Whether a write of one byte is a SIGSEGV; not in a child, which would not have the mapping. */
static sigjmp_buf *segv_jump;

static void segv_handler(int number)
{
	(void)number;
	siglongjmp(*segv_jump, 1);
}

static bool write_is_segv(uint8_t *address)
{
	struct sigaction action = { .sa_handler = segv_handler }, before;
	sigjmp_buf jump;
	volatile bool caught = true; /* changed between sigsetjmp() and siglongjmp() */

	segv_jump = &jump;
	CHECK_SYS(sigaction(SIGSEGV, &action, &before));
	if (sigsetjmp(jump, 1) == 0) {
		*(volatile uint8_t *)address = 1;
		caught = false;
	}
	CHECK_SYS(sigaction(SIGSEGV, &before, NULL));
	return caught;
}

TEST(freeze, "a frozen frame cannot be written by anybody, its producer included, and goes with its release")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	uint8_t *data;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	seai_lock_take(&fixture.session.books);
	CHECK_OK(seai_heap_allocate_immutable(heap, 300000, &block));
	CHECK_ERR(seai_heap_allocate_immutable(heap, 65 * MIB, &block), -E2BIG);
	seai_lock_release(&fixture.session.books);
	CHECK_GE(seai_block_capacity(block), 300000);
	CHECK_OK(seai_block_back(block, 300000));
	data = seai_block_data(block);
	CHECK_EQ((uintptr_t)data % SEAI_HUGE_N_BYTES, 0);
	memset(data, 7, 300000);
	CHECK_OK(seai_block_freeze(block));
	CHECK_EQ(seai_block_data(block), data);
	for (size_t i = 0; i < 300000; i++)
		CHECK_EQ(data[i], 7);
	if (!test_is_sanitized()) {
		CHECK(write_is_segv(data));
		CHECK(write_is_segv((uint8_t *)block->arena->head));
	}
	check_write_is_refused(block->arena, block->arena->ro_fd);
	check_write_is_refused(block->arena, block->arena->rw_fd);
	CHECK_EQ(fcntl(block->arena->ro_fd, F_GET_SEALS) & (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
	         F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	CHECK_EQ(block->arena->head->flags, SEAI_ARENA_IMMUTABLE);
	block->arena->announced = true;
	fixture_release(block);
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_EQ(heap->n_bytes_backed, 0);
	CHECK_EQ(heap->n_bytes_used, 0);
	fixture_fini(&fixture);
}

TEST(freeze_busy, "a frame that is mapped writable elsewhere cannot be frozen, and stays as it was")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	void *map;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	seai_lock_take(&fixture.session.books);
	CHECK_OK(seai_heap_allocate_immutable(heap, 1000, &block));
	seai_lock_release(&fixture.session.books);
	CHECK_OK(seai_block_back(block, 1000));
	map = mmap(NULL, block->arena->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, block->arena->rw_fd, 0);
	CHECK(map != MAP_FAILED);
	memset(seai_block_data(block), 9, 1000);
	CHECK_ERR(seai_block_freeze(block), -EBUSY);
	CHECK_EQ(seai_block_data(block)[999], 9);
	seai_block_data(block)[0] = 1;
	CHECK_SYS(munmap(map, block->arena->n_bytes));
	CHECK_OK(seai_block_freeze(block));
	CHECK_EQ(seai_block_data(block)[0], 1);
	fixture_release(block);
	fixture_fini(&fixture);
}

TEST(lease, "a retired arena goes when the last mapping and the last descriptor elsewhere are gone, not before")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	struct seai_arena *arena;
	uint64_t n_bytes;
	void *map;
	int fd;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 64 * MIB);
	block = fixture_allocate_backed(heap, 10 * MIB, 64);
	arena = block->arena;
	memset(seai_block_data(block), 3, 10 * MIB);
	n_bytes = arena->n_bytes;
	if (!arena->leasable)
		SKIP("no /proc: leases cannot be used");
	/* A holder: a descriptor of the same open file, as one that was passed is, and a mapping. */
	fd = dup(arena->ro_fd);
	map = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	arena->announced = true;
	fixture_release(block);
	CHECK_OK(sea_heap_trim(heap, 0));
	CHECK_EQ(heap->n_arenas_retired, 1);
	CHECK_EQ(fixture_service(&fixture), 0);
	close(fd);
	CHECK_EQ(fixture_service(&fixture), 0);
	CHECK_EQ(((uint8_t *)map)[arena->data_offset], 3);
	CHECK_GE(heap->n_bytes_backed, 10 * MIB);
	CHECK_SYS(munmap(map, n_bytes));
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_EQ(heap->n_bytes_backed, 0);
	fixture_fini(&fixture);
}

TEST(pressure, "at the quota, memory in arenas that others have seen comes back through retirement")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;

	fixture_init(&fixture);
	heap = fixture_heap(&fixture, 32 * MIB);
	block = fixture_allocate_backed(heap, 20 * MIB, 64);
	block->arena->announced = true;
	fixture_release(block);
	/* Too large for what is left, and for the arena there is: it must go, which only the service thread can prove. */
	CHECK_ERR(fixture_try_allocate(heap, 25 * MIB, &block), -EAGAIN);
	CHECK_EQ(heap->n_arenas_retired, 1);
	CHECK_ERR(fixture_try_allocate(heap, 25 * MIB, &block), -EAGAIN);
	CHECK_EQ(fixture_service(&fixture), 1);
	CHECK_OK(fixture_try_allocate(heap, 25 * MIB, &block));
	fixture_release(block);
	fixture_fini(&fixture);
}

TEST(guard, "with the guard, the owner's write to a message that was sent is a SIGSEGV until it comes back")
{
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block, *small;
	uint64_t page_n_bytes = seai_page_n_bytes();

	if (test_is_sanitized())
		SKIP("a sanitizer takes the signal");
	fixture_init(&fixture);
	fixture.session.guard = true;
	heap = fixture_heap(&fixture, 64 * MIB);
	block = fixture_allocate_backed(heap, 200 * KIB, 64);
	small = fixture_allocate_backed(heap, 100, 64);
	memset(seai_block_data(block), 1, 200 * KIB);
	seai_block_guard(block, true);
	seai_block_guard(small, true);
	CHECK(write_is_segv(seai_block_data(block) + page_n_bytes));
	CHECK(write_is_segv(seai_block_data(block) + 200 * KIB - 1));
	CHECK(!write_is_segv(seai_block_data(small)));
	CHECK_EQ(seai_block_data(block)[page_n_bytes], 1);
	seai_block_guard(block, false);
	CHECK(!write_is_segv(seai_block_data(block) + page_n_bytes));
	fixture.session.guard = false;
	seai_block_guard(block, true);
	CHECK(!write_is_segv(seai_block_data(block) + page_n_bytes));
	fixture_fini(&fixture);
}

TEST(prefault, "a prefaulted heap has its first arena backed at once, and later ones as far as the quota goes")
{
	struct sea_heap_options options = { .quota_n_bytes = 10 * MIB,
		                            .arena_n_bytes = 4 * MIB,
		                            .flags = SEA_HEAP_PREFAULT };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *blocks[3];

	fixture_init(&fixture);
	CHECK_OK(sea_heap_new(&heap, &fixture.session, &options));
	CHECK_EQ(heap->n_arenas, 1);
	CHECK_GE(heap->n_bytes_backed, 4 * MIB);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	for (unsigned i = 0; i < 3; i++)
		CHECK(seai_block_is_backed(blocks[i] = fixture_allocate(heap, 2 * MIB, 64), 2 * MIB) || i == 2);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	CHECK_LE(heap->n_bytes_backed, 10 * MIB);
	fixture_fini(&fixture);
}

static uint64_t status_kib(const char *key)
{
	char line[256];
	unsigned long long kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoull(line + strlen(key), NULL, 10);
	fclose(file);
	return kib;
}

TEST(mlock, "locked memory is locked, and a limit on it is an error")
{
	struct sea_heap_options options = { .quota_n_bytes = 32 * MIB,
		                            .arena_n_bytes = 2 * MIB,
		                            .flags = SEA_HEAP_MLOCK };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	int r;

	fixture_init(&fixture);
	CHECK_OK(sea_heap_new(&heap, &fixture.session, &options));
	r = fixture_try_allocate(heap, 100 * KIB, &block);
	if (r == -ENOMEM || r == -EPERM) {
		CHECK_EQ(heap->n_bytes_backed, 0);
		fixture_fini(&fixture);
		SKIP("RLIMIT_MEMLOCK is too low here: %d", r);
	}
	CHECK_OK(r);
	CHECK_GE(status_kib("VmLck:"), 2048);
	fixture_release(block);
	fixture_fini(&fixture);
}

TEST(numa, "memory is placed on the node that was asked for")
{
	struct sea_heap_options options = { .quota_n_bytes = 32 * MIB, .flags = SEA_HEAP_NUMA, .numa_node = 0 };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	int r, node = -1;

	fixture_init(&fixture);
	r = sea_heap_new(&heap, &fixture.session, &options);
	if (r == -ENOTSUP)
		SKIP("no mbind() here");
	CHECK_OK(r);
	block = fixture_allocate_backed(heap, 1 * MIB, 64);
	CHECK_SYS(syscall(SYS_get_mempolicy, &node, NULL, 0ul, seai_block_data(block),
	                  3ul /* MPOL_F_NODE | MPOL_F_ADDR */));
	CHECK_EQ(node, 0);
	fixture_fini(&fixture);
}

TEST(collapse, "the service thread collapses backed memory to huge pages, and the content stays")
{
	struct sea_heap_options options = { .quota_n_bytes = 64 * MIB,
		                            .arena_n_bytes = 16 * MIB,
		                            .pages = SEA_PAGES_COLLAPSE };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	struct sea_heap_stats stats;
	int r;

	fixture_init(&fixture);
	r = sea_heap_new(&heap, &fixture.session, &options);
	if (r == -ENOTSUP)
		SKIP("no MADV_COLLAPSE here (Linux 6.1)");
	CHECK_OK(r);
	CHECK(!seai_session_collapse_next(&fixture.session));
	block = fixture_allocate_backed(heap, 8 * MIB, 2 * MIB);
	CHECK_GT(fixture.n_pokes, 0);
	for (uint64_t i = 0; i < 8 * MIB; i++)
		seai_block_data(block)[i] = (uint8_t)(i * 31 >> 7);
	CHECK(seai_session_collapse_next(&fixture.session));
	CHECK(!seai_session_collapse_next(&fixture.session));
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	if (stats.n_bytes_huge == 0)
		SKIP("the kernel collapsed nothing here");
	CHECK_GE(stats.n_bytes_huge, 2 * MIB);
	CHECK_LE(stats.n_bytes_huge, stats.n_bytes_backed);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	for (uint64_t i = 0; i < 8 * MIB; i++)
		if (seai_block_data(block)[i] != (uint8_t)(i * 31 >> 7))
			FAIL("byte %llu has changed", (unsigned long long)i);
	fixture_release(block);
	fixture_fini(&fixture);
}

TEST(thp, "asking for transparent huge pages works, whatever the machine gives")
{
	struct sea_heap_options options = { .quota_n_bytes = 64 * MIB,
		                            .arena_n_bytes = 16 * MIB,
		                            .pages = SEA_PAGES_THP };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block;
	struct sea_heap_stats stats;

	fixture_init(&fixture);
	CHECK_OK(sea_heap_new(&heap, &fixture.session, &options));
	block = fixture_allocate_backed(heap, 5 * MIB, 64);
	memset(seai_block_data(block), 1, 5 * MIB);
	CHECK_EQ(heap->n_bytes_backed, fixture_real_n_bytes(heap));
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_LE(stats.n_bytes_huge, stats.n_bytes_backed);
	printf("  %llu of %llu bytes in huge pages\n", (unsigned long long)stats.n_bytes_huge,
	       (unsigned long long)stats.n_bytes_backed);
	fixture_release(block);
	fixture_fini(&fixture);
}

static uint64_t hugetlb_n_free(void)
{
	unsigned long long n = 0;
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");

	if (file) {
		if (fscanf(file, "%llu", &n) != 1)
			n = 0;
		fclose(file);
	}
	return n;
}

TEST(hugetlb, "hugetlb pages are taken whole; an empty pool is an error and no signal")
{
	struct sea_heap_options options = { .quota_n_bytes = 64 * MIB,
		                            .arena_n_bytes = 4 * MIB,
		                            .pages = SEA_PAGES_HUGETLB };
	struct fixture fixture;
	struct sea_heap *heap;
	struct seai_block *block = NULL, *blocks[64];
	struct sea_heap_stats stats;
	int r, n = 0;

	fixture_init(&fixture);
	r = sea_heap_new(&heap, &fixture.session, &options);
	if (r == -ENOTSUP)
		SKIP("no hugetlb pages in this kernel");
	CHECK_OK(r);
	if (hugetlb_n_free() == 0) {
		CHECK_ERR(fixture_try_allocate(heap, 100, &block), -ENOMEM);
		CHECK_EQ(heap->n_bytes_backed, 0);
		fixture_fini(&fixture);
		SKIP("the pool is empty: only the error was checked (sysctl vm.nr_hugepages=64 for the rest)");
	}
	CHECK_OK(fixture_try_allocate(heap, 100, &block));
	memset(seai_block_data(block), 1, 100);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_huge, stats.n_bytes_backed);
	CHECK_EQ(stats.n_bytes_backed, 6 * MIB);
	fixture_release(block);
	CHECK_ERR(fixture_try_allocate(heap, 63 * MIB, &block), -E2BIG);
	while (n < 64 && (r = fixture_try_allocate(heap, 1 * MIB, &blocks[n])) == 0)
		memset(seai_block_data(blocks[n++]), 1, 1 * MIB);
	CHECK(r == -EAGAIN || r == -ENOMEM);
	while (n)
		fixture_release(blocks[--n]);
	seai_lock_take(&fixture.session.books);
	r = seai_heap_allocate_immutable(heap, 1000, &block);
	seai_lock_release(&fixture.session.books);
	if (r == 0) {
		CHECK(seai_block_is_backed(block, 1000));
		memset(seai_block_data(block), 5, 1000);
		CHECK_OK(seai_block_freeze(block));
		CHECK_EQ(seai_block_data(block)[999], 5);
		fixture_release(block);
	}
	fixture_fini(&fixture);
}
