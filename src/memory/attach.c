/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping of other processes' arenas; see attach.h. The peer is not trusted. */
#include "memory/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "memory/session.h"

#define ATTACH_ALIGNMENT ((uint64_t)2 << 20)
#define ATTACH_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/*
 * Maps one file or two, back to back, at a multiple of 2 MiB, so that what is aligned in the arena is aligned in every process. NULL: errno
 * says why.
 */
static void *attach_map(const int fds[2], const uint64_t n_bytes[2], bool is_read_only)
{
	uint64_t total = n_bytes[0] + n_bytes[1], n_reserved = total + ATTACH_ALIGNMENT, before;
	uint8_t *reserved = mmap(NULL, n_reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *aligned;

	if (reserved == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)reserved & (ATTACH_ALIGNMENT - 1);
	aligned = reserved + before;
	if (mmap(aligned, n_bytes[0], PROT_READ, MAP_SHARED | MAP_FIXED, fds[0], 0) == MAP_FAILED ||
	    (n_bytes[1] && mmap(aligned + n_bytes[0], n_bytes[1], is_read_only ? PROT_READ : PROT_READ | PROT_WRITE,
	                        MAP_SHARED | MAP_FIXED, fds[1], 0) == MAP_FAILED)) {
		int saved = errno;

		munmap(reserved, n_reserved);
		errno = saved;
		return NULL;
	}
	if (before)
		munmap(reserved, before);
	munmap(aligned + total, ATTACH_ALIGNMENT - before);
	return aligned;
}

static int attach_check_head(const struct seai_arena_head *head, const struct sea_session *session, uint64_t n_bytes,
                             uint64_t owner_id, uint32_t arena_id)
{
	/* acquire: pairs with the release store that ends the making of an arena */
	if (atomic_load_explicit(&head->magic, memory_order_acquire) != SEAI_ARENA_MAGIC ||
	    head->version != SEAI_LAYOUT_VERSION || head->session_id != session->name_hash ||
	    head->owner_id != owner_id || head->arena_id != arena_id || head->n_bytes != n_bytes)
		return -EBADMSG;
	return 0;
}

/*
 * Whether a descriptor is a memfd of a size that nobody can change, and how large it is. F_GET_SEALS fails for anything else; of these seals
 * one at least must be there, or 0 for none.
 */
static int attach_check_file(int fd, int all, int any, uint64_t *ret_n_bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat stat;

	if (seals < 0 || (seals & all) != all || (any && !(seals & any)))
		return -EBADMSG;
	if (fstat(fd, &stat) < 0 || stat.st_size < (off_t)SEAI_CHUNK_N_BYTES ||
	    (uint64_t)stat.st_size % seai_page_n_bytes() || (uint64_t)stat.st_size > SEAI_TABLE_OFFSET_MASK)
		return -EBADMSG;
	*ret_n_bytes = (uint64_t)stat.st_size;
	return 0;
}

/*
 * A user's file as payload: whoever may write it can cut it, which is a signal to those who read it then. So only where the session's user
 * asked for it, and only a plain file that no other user can write.
 */
static int attach_check_plain(const struct sea_session *session, int fd, uint64_t *ret_n_bytes, bool *ret_is_file)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode) || stat.st_size < (off_t)SEAI_CHUNK_N_BYTES ||
	    (uint64_t)stat.st_size % SEAI_CHUNK_N_BYTES || (uint64_t)stat.st_size > SEAI_TABLE_OFFSET_MASK)
		return -EBADMSG;
	if ((stat.st_uid != geteuid() && stat.st_uid != 0) || stat.st_mode & 0022)
		return -EBADMSG;
	if (!session->trusts_files)
		return -ENOTSUP;
	*ret_n_bytes = (uint64_t)stat.st_size;
	*ret_is_file = true;
	return 0;
}

static int attach_check_files(const struct sea_session *session, const int fds[2], uint64_t n_bytes[2],
                              bool *ret_is_file)
{
	/* Without a write seal the sender, or anybody who has the file, could change the books in it. */
	int seals;
	int r = attach_check_file(fds[0], ATTACH_SEALS, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE, &n_bytes[0]);

	n_bytes[1] = 0;
	*ret_is_file = false;
	if (r == 0 && fds[1] >= 0) {
		r = attach_check_file(fds[1], ATTACH_SEALS | F_SEAL_SEAL, 0, &n_bytes[1]);
		/* Files of tmpfs and hugetlbfs can have seals as well, and have none. */
		seals = fcntl(fds[1], F_GET_SEALS);
		if (r < 0 && (seals < 0 || !(seals & ATTACH_SEALS)))
			r = attach_check_plain(session, fds[1], &n_bytes[1], ret_is_file);
	}
	if (r == 0 && n_bytes[0] + n_bytes[1] > SEAI_TABLE_OFFSET_MASK)
		r = -EBADMSG;
	return r;
}

int seai_attached_new(struct seai_attached **ret_attached, const struct sea_session *session, int fds[2],
                      uint64_t owner_id, uint32_t arena_id)
{
	SEAI_AUTO_FREE struct seai_attached *attached = NULL;
	const struct seai_arena_head *head;
	uint64_t generations_offset, data_offset, n_bytes[2];
	uint32_t n_blocks_max, flags;
	bool is_shared = fds[1] >= 0;
	bool is_file, is_read_only;
	int r = attach_check_files(session, fds, n_bytes, &is_file);

	if (r < 0)
		return r;
	attached = calloc(1, sizeof(*attached));
	if (!attached)
		return -ENOMEM;
	attached->n_bytes = n_bytes[0] + n_bytes[1];
	is_read_only = is_file && (fcntl(fds[1], F_GETFL) & O_ACCMODE) == O_RDONLY;
	attached->base = attach_map(fds, n_bytes, is_read_only);
	if (!attached->base)
		return errno == EACCES || errno == EPERM ? -EBADMSG : -ENOMEM;
	/* From here on the size cannot change any more: the files are sealed against that. */
	madvise((void *)(uintptr_t)attached->base, attached->n_bytes, MADV_DONTFORK);
	madvise((void *)(uintptr_t)attached->base, attached->n_bytes, MADV_DONTDUMP);
	head = (const struct seai_arena_head *)(const void *)attached->base;
	generations_offset = head->generations_offset;
	data_offset = head->data_offset;
	n_blocks_max = head->n_blocks_max;
	flags = head->flags;
	if (attach_check_head(head, session, attached->n_bytes, owner_id, arena_id) < 0 ||
	    generations_offset < sizeof(*head) || generations_offset % sizeof(uint64_t) ||
	    data_offset < generations_offset || data_offset > attached->n_bytes ||
	    n_blocks_max > (data_offset - generations_offset) / sizeof(uint64_t) ||
	    is_shared != !!(flags & SEAI_ARENA_SHARED) || is_file != !!(flags & SEAI_ARENA_FILE) ||
	    is_read_only != !!(flags & SEAI_ARENA_READ_ONLY) || (is_shared && data_offset != n_bytes[0])) {
		munmap((void *)(uintptr_t)attached->base, attached->n_bytes);
		return -EBADMSG;
	}
	attached->owner_id = owner_id;
	attached->arena_id = arena_id;
	attached->flags = flags;
	attached->data_offset = data_offset;
	attached->generations = (const _Atomic uint64_t *)(const void *)(attached->base + generations_offset);
	attached->n_blocks_max = n_blocks_max;
	attached->fd = seai_take_fd(&fds[0]);
	attached->payload_fd = is_shared ? seai_take_fd(&fds[1]) : -1;
	*ret_attached = SEAI_TAKE(attached);
	return 0;
}

unsigned seai_attached_get_fds(const struct seai_attached *attached, int fds[2])
{
	fds[0] = attached->fd;
	fds[1] = attached->payload_fd;
	return attached->payload_fd >= 0 ? 2 : 1;
}

void seai_attached_unmap(struct seai_attached *attached)
{
	if (attached->base)
		munmap((void *)(uintptr_t)attached->base, attached->n_bytes);
	attached->base = NULL;
	attached->fd = seai_close(attached->fd);
	attached->payload_fd = seai_close(attached->payload_fd);
}

struct seai_attached *seai_attached_free(struct seai_attached *attached)
{
	if (!attached)
		return NULL;
	seai_attached_unmap(attached);
	free(attached->providers);
	free(attached);
	return NULL;
}
