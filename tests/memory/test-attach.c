/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping an arena that somebody else passed: what is not a sealed arena of his is refused before anything of it is used. */
#include "test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"
#include "memory/attach.h"
#include "memory/session.h"

#define N_BYTES (UINT64_C(2) << 20)
#define OWNER 0x1234
#define ARENA 7
#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct sea_session reader = { .id = 99, .name_hash = 0x5678 };

/* What an honest owner would write. */
static const struct seai_arena_head honest = {
	.magic = SEAI_ARENA_MAGIC,
	.version = SEAI_LAYOUT_VERSION,
	.arena_id = ARENA,
	.session_id = 0x5678,
	.owner_id = OWNER,
	.n_bytes = N_BYTES,
	.generations_offset = 4096,
	.data_offset = 65536,
	.n_blocks_max = 100,
};

/* A file with that head; the mapping through which a dishonest owner may still write. */
static int arena_file(const struct seai_arena_head *head, uint64_t n_bytes, unsigned seals,
                      struct seai_arena_head **ret_mapped)
{
	int fd = (int)CHECK_SYS(memfd_create("arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	struct seai_arena_head *mapped;

	CHECK_SYS(ftruncate(fd, (off_t)n_bytes));
	mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED);
	if (n_bytes)
		memcpy(mapped, head, sizeof(*head));
	CHECK_SYS(fcntl(fd, F_ADD_SEALS, seals));
	if (ret_mapped)
		*ret_mapped = mapped;
	else
		munmap(mapped, 4096);
	return fd;
}

static void check_refused(int fd)
{
	struct seai_attached *attached = NULL;
	int fds[2] = { fd, -1 };

	CHECK_ERR(seai_attached_new(&attached, &reader, fds, OWNER, ARENA), -EBADMSG);
	CHECK(!attached);
	CHECK_EQ(fds[0], fd);
	close(fd);
}

TEST(honest, "an honest arena is mapped at a multiple of 2 MiB and cannot be written")
{
	int fds[2] = { arena_file(&honest, N_BYTES, SEALS, NULL), -1 };
	struct seai_attached *attached;

	CHECK_OK(seai_attached_new(&attached, &reader, fds, OWNER, ARENA));
	CHECK_EQ(fds[0], -1);
	CHECK_EQ((uintptr_t)attached->base % (2 << 20), 0);
	CHECK_EQ(attached->n_bytes, N_BYTES);
	CHECK_EQ(attached->data_offset, 65536);
	CHECK_EQ(attached->n_blocks_max, 100);
	CHECK_EQ(attached->owner_id, OWNER);
	CHECK_EQ(attached->arena_id, ARENA);
	CHECK_EQ(mprotect((void *)(uintptr_t)attached->base, 4096, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
	CHECK(!seai_attached_free(attached));
	CHECK(!seai_attached_free(NULL));
}

TEST(files, "what is not a memfd, is not sealed, or is too short is refused, and stays the caller's to close")
{
	static const unsigned seals[] = { 0, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK,
		                          F_SEAL_FUTURE_WRITE | F_SEAL_GROW };
	int ends[2];

	for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++)
		check_refused(arena_file(&honest, N_BYTES, seals[i], NULL));
	check_refused(arena_file(&honest, 0, SEALS, NULL));
	check_refused(arena_file(&honest, 4096, SEALS, NULL));
	check_refused((int)CHECK_SYS(open("/dev/zero", O_RDWR | O_CLOEXEC)));
	check_refused((int)CHECK_SYS(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)));
	check_refused((int)CHECK_SYS(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	CHECK_SYS(pipe2(ends, O_CLOEXEC));
	check_refused(ends[0]);
	check_refused(ends[1]);
	check_refused(dup(-1));
}

TEST(heads, "a head that does not fit its file, its owner or this session is refused")
{
	struct seai_arena_head head;

#define WITH(member, value)                                             \
	do {                                                            \
		memcpy(&head, &honest, sizeof(head));                   \
		head.member = (value);                                  \
		check_refused(arena_file(&head, N_BYTES, SEALS, NULL)); \
	} while (0)
	WITH(magic, 0);
	WITH(version, SEAI_LAYOUT_VERSION + 1);
	WITH(arena_id, ARENA + 1);
	WITH(session_id, 1);
	WITH(owner_id, 0);
	WITH(n_bytes, N_BYTES + 4096);
	WITH(n_bytes, UINT64_MAX);
	WITH(generations_offset, 0);
	WITH(generations_offset, 4097);
	WITH(generations_offset, UINT64_MAX - 7);
	WITH(data_offset, 0);
	WITH(data_offset, N_BYTES + 8);
	WITH(data_offset, UINT64_MAX);
	WITH(n_blocks_max, UINT32_MAX);
	WITH(n_blocks_max, (65536 - 4096) / 8 + 1);
#undef WITH
}

TEST(random, "whatever the words of a head are, it is refused or lies within its file")
{
	struct seai_arena_head head;

	for (unsigned i = 0; i < 500; i++) {
		struct seai_attached *attached = NULL;
		uint64_t word = test_random() >> test_random() % 64;
		size_t at = test_random() % (sizeof(head) / 8);
		int fds[2] = { -1, -1 }, r;

		memcpy(&head, &honest, sizeof(head));
		memcpy((uint8_t *)&head + 8 * at, &word, 8);
		fds[0] = arena_file(&head, N_BYTES, SEALS, NULL);
		r = seai_attached_new(&attached, &reader, fds, OWNER, ARENA);
		if (r < 0) {
			CHECK_EQ(r, -EBADMSG);
			close(fds[0]);
			continue;
		}
		CHECK_LE(attached->data_offset, attached->n_bytes);
		CHECK_LE(head.generations_offset + 8 * (uint64_t)attached->n_blocks_max, attached->data_offset);
		seai_attached_free(attached);
	}
}

TEST(real, "an arena of a heap is what the reader expects, by the descriptor that is passed")
{
	struct fixture fixture;
	struct seai_attached *attached;
	struct seai_block *block;
	int fds[2] = { -1, -1 };

	fixture_init(&fixture);
	block = fixture_allocate_backed(fixture_heap(&fixture, 16 << 20), 1000, 64);
	memset(seai_block_data(block), 3, 1000);
	fds[0] = (int)CHECK_SYS(dup(block->arena->ro_fd));
	CHECK_OK(seai_attached_new(&attached, &reader, fds, fixture.session.id, block->arena->id));
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(attached->base[block->offset + i], 3);
	CHECK_LT(block->id, attached->n_blocks_max);
	seai_attached_free(attached);
	fixture_release(block);
	fixture_fini(&fixture);
}

/* The descriptors of a block of a new shared heap. */
static struct seai_block *shared_block(struct fixture *fixture, int fds[2])
{
	struct sea_heap_options options = { .quota_n_bytes = 16 << 20, .protection = SEA_PROTECTION_SHARED };
	struct sea_heap *heap;
	struct seai_block *block;
	int borrowed[2];

	fixture_init(fixture);
	CHECK_OK(sea_heap_new(&heap, &fixture->session, &options));
	block = fixture_allocate_backed(heap, 1000, 64);
	CHECK_EQ(seai_arena_get_fds(block->arena, borrowed), 2);
	fds[0] = (int)CHECK_SYS(dup(borrowed[0]));
	fds[1] = (int)CHECK_SYS(dup(borrowed[1]));
	return block;
}

TEST(shared, "a shared arena's blocks can be written by its reader, and its head and generations cannot")
{
	struct fixture fixture;
	struct seai_attached *attached;
	struct seai_block *block;
	int fds[2], passed[2];

	block = shared_block(&fixture, fds);
	CHECK_OK(seai_attached_new(&attached, &reader, fds, fixture.session.id, block->arena->id));
	CHECK_EQ(seai_attached_get_fds(attached, passed), 2);
	memset((void *)(uintptr_t)(attached->base + block->offset), 5, 1000);
	CHECK_EQ(seai_block_data(block)[999], 5);
	memset(seai_block_data(block), 6, 1000);
	CHECK_EQ(attached->base[block->offset], 6);
	CHECK_EQ(mprotect((void *)(uintptr_t)attached->base, 4096, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, passed[0], 0) == MAP_FAILED);
	CHECK_EQ(pwrite(passed[0], "x", 1, 0), -1);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(ftruncate(passed[i], 4096), -1);
		CHECK_EQ(fcntl(passed[i], F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	}
	seai_attached_free(attached);
	fixture_release(block);
	fixture_fini(&fixture);
}

TEST(shared_halves, "half of a shared arena, its files swapped, or a file besides a sealed arena are refused")
{
	struct fixture fixture;
	struct seai_attached *attached = NULL;
	struct seai_block *block;
	int fds[2], bad[2];

	block = shared_block(&fixture, fds);
	bad[0] = fds[0];
	bad[1] = -1;
	CHECK_ERR(seai_attached_new(&attached, &reader, bad, fixture.session.id, block->arena->id), -EBADMSG);
	bad[0] = fds[1];
	bad[1] = fds[0];
	CHECK_ERR(seai_attached_new(&attached, &reader, bad, fixture.session.id, block->arena->id), -EBADMSG);
	bad[0] = arena_file(&honest, N_BYTES, SEALS, NULL);
	bad[1] = fds[1];
	CHECK_ERR(seai_attached_new(&attached, &reader, bad, OWNER, ARENA), -EBADMSG);
	close(bad[0]);
	CHECK(!attached);
	close(fds[0]);
	close(fds[1]);
	fixture_release(block);
	fixture_fini(&fixture);
}
