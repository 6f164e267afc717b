/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping of other processes' arenas; see attach.h. The peer is not trusted. */
#include "memory/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "memory/session.h"

#define ATTACH_ALIGNMENT ((uint64_t)2 << 20)

/* A read-only mapping at a multiple of 2 MiB, so that what is aligned in the arena is aligned in every process. */
static void *attach_map(int fd, uint64_t n_bytes)
{
	uint8_t *reserved, *aligned;
	uint64_t n_reserved = n_bytes + ATTACH_ALIGNMENT, before;
	void *mapped;

	reserved = mmap(NULL, n_reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)reserved & (ATTACH_ALIGNMENT - 1);
	aligned = reserved + before;
	mapped = mmap(aligned, n_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	if (mapped == MAP_FAILED) {
		munmap(reserved, n_reserved);
		return NULL;
	}
	if (before)
		munmap(reserved, before);
	munmap(aligned + n_bytes, ATTACH_ALIGNMENT - before);
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

int seai_attached_new(struct seai_attached **ret_attached, const struct sea_session *session, int *fd,
                      uint64_t owner_id, uint32_t arena_id)
{
	SEAI_AUTO_FREE struct seai_attached *attached = NULL;
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	const struct seai_arena_head *head;
	uint64_t generations_offset, data_offset;
	struct stat stat;
	int seals = fcntl(*fd, F_GET_SEALS);
	uint32_t n_blocks_max;

	/* F_GET_SEALS fails for anything that is not a memfd; without a write seal the sender, or anybody who has the file, could change it. */
	if (seals < 0 || (seals & wanted) != wanted || !(seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return -EBADMSG;
	if (fstat(*fd, &stat) < 0 || stat.st_size < (off_t)SEAI_CHUNK_N_BYTES ||
	    (uint64_t)stat.st_size % seai_page_n_bytes())
		return -EBADMSG;
	attached = calloc(1, sizeof(*attached));
	if (!attached)
		return -ENOMEM;
	attached->n_bytes = (uint64_t)stat.st_size;
	if (attached->n_bytes > SEAI_TABLE_OFFSET_MASK)
		return -EBADMSG;
	attached->base = attach_map(*fd, attached->n_bytes);
	if (!attached->base)
		return errno == EACCES || errno == EPERM ? -EBADMSG : -ENOMEM;
	/* From here on the size cannot change any more: the file is sealed against that. */
	madvise((void *)(uintptr_t)attached->base, attached->n_bytes, MADV_DONTFORK);
	madvise((void *)(uintptr_t)attached->base, attached->n_bytes, MADV_DONTDUMP);
	head = (const struct seai_arena_head *)(const void *)attached->base;
	generations_offset = head->generations_offset;
	data_offset = head->data_offset;
	n_blocks_max = head->n_blocks_max;
	if (attach_check_head(head, session, attached->n_bytes, owner_id, arena_id) < 0 ||
	    generations_offset < sizeof(*head) || generations_offset % sizeof(uint64_t) ||
	    data_offset < generations_offset || data_offset > attached->n_bytes ||
	    n_blocks_max > (data_offset - generations_offset) / sizeof(uint64_t)) {
		munmap((void *)(uintptr_t)attached->base, attached->n_bytes);
		return -EBADMSG;
	}
	attached->owner_id = owner_id;
	attached->arena_id = arena_id;
	attached->flags = head->flags;
	attached->data_offset = data_offset;
	attached->n_blocks_max = n_blocks_max;
	attached->fd = seai_take_fd(fd);
	*ret_attached = SEAI_TAKE(attached);
	return 0;
}

void seai_attached_unmap(struct seai_attached *attached)
{
	if (attached->base)
		munmap((void *)(uintptr_t)attached->base, attached->n_bytes);
	attached->base = NULL;
	attached->fd = seai_close(attached->fd);
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
