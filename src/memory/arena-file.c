/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an arena: made, mapped, sealed against others, and, of an immutable frame, against their own producer.
 *
 * The odd rule: the address range stays reserved as long as the arena, whatever is mapped there: readers keep pointers into it.
 */
#include "memory/arena-file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"

#define ARENA_SEALS_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)

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

int seai_arena_open(struct seai_arena *arena)
{
	int r;

	arena->head = arena_reserve(arena->n_bytes);
	if (!arena->head)
		return -ENOMEM;
	arena->generations = (_Atomic uint64_t *)((uint8_t *)arena->head + SEAI_ARENA_GENERATIONS_OFFSET);
	r = arena_map_files(arena);
	if (r < 0)
		return r;
	return seai_pages_apply(arena->heap, (uint8_t *)arena->head + arena->data_offset,
	                        arena->n_bytes - arena->data_offset);
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

int seai_arena_seal(struct seai_arena *arena)
{
	return arena->shared ? arena_seal_shared(arena) : arena_seal_and_reopen(arena);
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
	uint64_t page_n_bytes = seai_arena_page_n_bytes(arena), from, to;

	/* In a shared heap a message that was sent may come home to be changed. */
	if (!arena->session->guard || arena->frozen || arena->shared || block->size_class == SEAI_CLASS_REGION)
		return;
	from = seai_arena_round_up(block->offset, page_n_bytes);
	to = (block->offset + seai_block_capacity(block)) / page_n_bytes * page_n_bytes;
	if (from < to)
		(void)mprotect((uint8_t *)arena->head + from, to - from, on ? PROT_READ : PROT_READ | PROT_WRITE);
}
