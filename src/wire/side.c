/* SPDX-License-Identifier: Apache-2.0 */
/* Sides of links and connections; see side.h. A peer's side is never written by us, and never trusted. */
#include "wire/side.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"

static uint64_t side_n_mapped(uint32_t n_slots, uint32_t n_slot_bytes)
{
	uint64_t page = seai_page_n_bytes();

	return (seai_side_n_bytes(n_slots, n_slot_bytes) + page - 1) & ~(page - 1);
}

int seai_side_new(struct seai_side **ret_side, int *ret_peer_fd, uint64_t maker_id, uint64_t link_id, uint32_t n_slots,
                  uint32_t n_slot_bytes)
{
	uint64_t n_bytes = side_n_mapped(n_slots, n_slot_bytes);
	SEAI_AUTO_FD int fd = seai_memfd_create("sealane-side", 0);
	struct seai_side *side;
	int r, peer_fd;

	if (fd < 0)
		return fd;
	if (ftruncate(fd, (off_t)n_bytes) < 0)
		return -errno;
	side = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (side == MAP_FAILED)
		return -errno;
	/* All of it is backed now: a lack of memory is an error here and not a SIGBUS later. */
	r = seai_populate(side, n_bytes, fd, 0);
	if (r < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		r = r < 0 ? r : -errno;
		munmap(side, n_bytes);
		return r;
	}
	madvise(side, n_bytes, MADV_DONTFORK);
	madvise(side, n_bytes, MADV_DONTDUMP);
	side->version = SEAI_WIRE_VERSION_MAX;
	side->n_slots = n_slots;
	side->maker_id = maker_id;
	side->link_id = link_id;
	/* Armed from the start: the first entry rings, so that a descriptor polled before any call is readable. */
	atomic_store_explicit(&side->want_data, 0, memory_order_relaxed);
	atomic_store_explicit(&side->want_room, UINT64_MAX, memory_order_relaxed);
	/* release: pairs with the acquire in seai_side_attach() */
	atomic_store_explicit(&side->magic, SEAI_SIDE_MAGIC, memory_order_release);
	peer_fd = seai_fd_reopen(fd, O_RDONLY);
	*ret_peer_fd = peer_fd >= 0 ? peer_fd
	                            : seai_take_fd(&fd); /* the seal holds against a writable descriptor as well */
	*ret_side = side;
	return 0;
}

int seai_side_attach(const struct seai_side **ret_side, int fd, uint64_t maker_id, uint64_t link_id, uint32_t n_slots,
                     uint32_t n_slot_bytes)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	uint64_t n_bytes = side_n_mapped(n_slots, n_slot_bytes);
	const struct seai_side *side;
	struct statfs statfs;
	struct stat stat;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &stat) < 0 || stat.st_size < (off_t)n_bytes)
		return -EBADMSG;
	/* Huge pages do not unmap in the size of small ones, and a hole in them can be a SIGBUS. */
	if (fstatfs(fd, &statfs) < 0 || statfs.f_type == HUGETLBFS_MAGIC)
		return -EBADMSG;
	side = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (side == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EBADMSG;
	/* acquire: pairs with the release at the end of seai_side_new() */
	if (atomic_load_explicit(&side->magic, memory_order_acquire) != SEAI_SIDE_MAGIC ||
	    side->version > SEAI_WIRE_VERSION_MAX || side->n_slots != n_slots || side->maker_id != maker_id ||
	    side->link_id != link_id) {
		munmap((void *)(uintptr_t)side, n_bytes);
		return -EBADMSG;
	}
	madvise((void *)(uintptr_t)side, n_bytes, MADV_DONTFORK);
	madvise((void *)(uintptr_t)side, n_bytes, MADV_DONTDUMP);
	*ret_side = side;
	return 0;
}

void *seai_side_unmap(const struct seai_side *side, uint32_t n_slots, uint32_t n_slot_bytes)
{
	if (side)
		munmap((void *)(uintptr_t)side, side_n_mapped(n_slots, n_slot_bytes));
	return NULL;
}
