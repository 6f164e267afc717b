/* SPDX-License-Identifier: Apache-2.0 */
/* Sides: what a peer passes as one is checked before anything of it is used, and nobody but its maker writes it. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/side.h"

#define ID 0x1234
#define LINK 0x99
#define N_SLOTS 64
#define SLOT sizeof(struct seai_descriptor)

static int attach(const struct seai_side **ret_side, int fd)
{
	return seai_side_attach(ret_side, fd, ID, LINK, N_SLOTS, SLOT);
}

TEST(pair, "what the maker writes is seen by the peer, who cannot write")
{
	struct seai_side *mine;
	const struct seai_side *theirs;
	int fd, other_fd;
	char path[40];

	CHECK_OK(seai_side_new(&mine, &fd, ID, LINK, N_SLOTS, SLOT));
	CHECK_OK(attach(&theirs, fd));
	CHECK_EQ(theirs->maker_id, ID);
	CHECK_EQ(theirs->link_id, LINK);
	CHECK_EQ(theirs->n_slots, N_SLOTS);
	CHECK_EQ(atomic_load(&theirs->want_data), 0);
	CHECK_EQ(atomic_load(&theirs->want_room), UINT64_MAX);
	atomic_store(&mine->tail, 77);
	CHECK_EQ(atomic_load(&theirs->tail), 77);
	((struct seai_descriptor *)(void *)(mine + 1))[N_SLOTS - 1].tag = 5;
	CHECK_EQ(((const struct seai_descriptor *)(const void *)(theirs + 1))[N_SLOTS - 1].tag, 5);
	CHECK_EQ(mprotect((void *)(uintptr_t)theirs, 4096, PROT_READ | PROT_WRITE), -1);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(ftruncate(fd, 0), -1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other_fd = open(path, O_RDWR | O_CLOEXEC);
	if (other_fd >= 0) {
		CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other_fd, 0) == MAP_FAILED);
		CHECK_EQ(write(other_fd, "x", 1), -1);
		CHECK_EQ(ftruncate(other_fd, 0), -1);
		CHECK_EQ(ftruncate(other_fd, 1 << 20), -1);
		CHECK_EQ(fallocate(other_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
		close(other_fd);
	}
	CHECK_EQ(atomic_load(&theirs->tail), 77);
	close(fd);
	CHECK(!seai_side_unmap(mine, N_SLOTS, SLOT));
	CHECK(!seai_side_unmap(theirs, N_SLOTS, SLOT));
	CHECK(!seai_side_unmap(NULL, N_SLOTS, SLOT));
}

TEST(promised, "a side that is not the one that was promised is refused")
{
	struct seai_side *mine;
	const struct seai_side *theirs = NULL;
	int fd;

	CHECK_OK(seai_side_new(&mine, &fd, ID, LINK, N_SLOTS, SLOT));
	CHECK_ERR(seai_side_attach(&theirs, fd, ID + 1, LINK, N_SLOTS, SLOT), -EBADMSG);
	CHECK_ERR(seai_side_attach(&theirs, fd, ID, LINK + 1, N_SLOTS, SLOT), -EBADMSG);
	CHECK_ERR(seai_side_attach(&theirs, fd, ID, LINK, N_SLOTS / 2, SLOT), -EBADMSG);
	CHECK_ERR(seai_side_attach(&theirs, fd, ID, LINK, N_SLOTS * 1024, SLOT), -EBADMSG);
	CHECK_ERR(seai_side_attach(&theirs, fd, ID, LINK, N_SLOTS, 1 << 20), -EBADMSG);
	atomic_store(&mine->magic, 0);
	CHECK_ERR(attach(&theirs, fd), -EBADMSG);
	atomic_store(&mine->magic, SEAI_SIDE_MAGIC);
	mine->version = SEAI_WIRE_VERSION_MAX + 1;
	CHECK_ERR(attach(&theirs, fd), -EBADMSG);
	mine->version = SEAI_WIRE_VERSION_MAX;
	CHECK_OK(attach(&theirs, fd));
	seai_side_unmap(theirs, N_SLOTS, SLOT);
	seai_side_unmap(mine, N_SLOTS, SLOT);
	close(fd);
}

TEST(files, "what is not a memfd, could shrink, or is too short is refused")
{
	static const unsigned seals[] = { 0, F_SEAL_SHRINK, F_SEAL_GROW };
	const struct seai_side *theirs = NULL;
	struct seai_side *mine;
	int fd, ends[2];

	CHECK_ERR(attach(&theirs, -1), -EBADMSG);
	fd = (int)CHECK_SYS(open("/dev/zero", O_RDWR | O_CLOEXEC));
	CHECK_ERR(attach(&theirs, fd), -EBADMSG);
	close(fd);
	CHECK_SYS(pipe2(ends, O_CLOEXEC));
	CHECK_ERR(attach(&theirs, ends[0]), -EBADMSG);
	close(ends[0]);
	close(ends[1]);
	for (size_t i = 0; i < 3; i++) {
		fd = (int)CHECK_SYS(memfd_create("side", MFD_CLOEXEC | MFD_ALLOW_SEALING));
		CHECK_SYS(ftruncate(fd, 1 << 20));
		CHECK_SYS(fcntl(fd, F_ADD_SEALS, seals[i]));
		CHECK_ERR(attach(&theirs, fd), -EBADMSG);
		close(fd);
	}
	for (off_t n_bytes = 0; n_bytes < (off_t)seai_side_n_bytes(N_SLOTS, SLOT); n_bytes += 1024) {
		fd = (int)CHECK_SYS(memfd_create("side", MFD_CLOEXEC | MFD_ALLOW_SEALING));
		CHECK_SYS(ftruncate(fd, n_bytes));
		CHECK_SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
		CHECK_ERR(attach(&theirs, fd), -EBADMSG);
		close(fd);
	}
	/* Long enough and sealed, but empty. */
	fd = (int)CHECK_SYS(memfd_create("side", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	CHECK_SYS(ftruncate(fd, 1 << 20));
	CHECK_SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	CHECK_ERR(attach(&theirs, fd), -EBADMSG);
	close(fd);
	/* A side without slots, as the receiving end has one. */
	CHECK_OK(seai_side_new(&mine, &fd, ID, LINK, 0, SLOT));
	CHECK_OK(seai_side_attach(&theirs, fd, ID, LINK, 0, SLOT));
	seai_side_unmap(theirs, 0, SLOT);
	seai_side_unmap(mine, 0, SLOT);
	close(fd);
	CHECK(!theirs || mine);
}

static void look_for_mapping(void *arg)
{
	unsigned char state;

	/* ENOMEM: there is nothing at that address. */
	CHECK_EQ(mincore(arg, 4096, &state), -1);
	CHECK_EQ(errno, ENOMEM);
}

TEST(fork, "a forked child has no part of a side mapped")
{
	struct seai_side *mine;
	const struct seai_side *theirs;
	int fd;

	CHECK_OK(seai_side_new(&mine, &fd, ID, LINK, N_SLOTS, SLOT));
	CHECK_OK(attach(&theirs, fd));
	CHECK_EQ(test_wait(test_fork(look_for_mapping, mine)), 0);
	CHECK_EQ(test_wait(test_fork(look_for_mapping, (void *)(uintptr_t)theirs)), 0);
	seai_side_unmap(theirs, N_SLOTS, SLOT);
	seai_side_unmap(mine, N_SLOTS, SLOT);
	close(fd);
}
