/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kernel.h"
#include "base/peer.h"
#include "test.h"

TEST(memfd, "a memfd can be sealed, is closed on exec, and is not executable where the kernel knows that")
{
	int fd = (int)CHECK_OK(seai_memfd_create("sealane-test", 0));
	struct stat stat;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_SYS(ftruncate(fd, 8192));
	CHECK_SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL));
	CHECK_EQ(ftruncate(fd, 4096), -1);
	CHECK_EQ(ftruncate(fd, 16384), -1);
	CHECK_SYS(fstat(fd, &stat));
	if (fcntl(fd, F_GET_SEALS) & F_SEAL_EXEC)
		CHECK_EQ(stat.st_mode & 0111, 0);
	close(fd);
}

TEST(reopen, "a descriptor opened again read-only cannot be written to; what is not a descriptor is an error")
{
	int fd = (int)CHECK_OK(seai_memfd_create("sealane-test", 0));
	int again = (int)CHECK_OK(seai_fd_reopen(fd, O_RDONLY));

	CHECK_SYS(ftruncate(fd, 4096));
	CHECK_EQ(fcntl(again, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(again, "x", 1), -1);
	CHECK_EQ(write(fd, "x", 1), 1);
	close(again);
	close(fd);
	CHECK_LT(seai_fd_reopen(fd, O_RDONLY), 0);
}

TEST(populate, "memory that was backed is there without a fault, and keeps what it held")
{
	uint64_t page = seai_page_n_bytes(), n_bytes = 64 * page;
	int fd = (int)CHECK_OK(seai_memfd_create("sealane-test", 0));
	struct rusage before, after;
	uint8_t *memory;

	CHECK_SYS(ftruncate(fd, (off_t)n_bytes));
	memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	memory[page] = 42;
	CHECK_OK(seai_populate(memory, n_bytes / 2, fd, 0));
	CHECK_OK(seai_populate(memory + n_bytes / 2, n_bytes / 2, fd, n_bytes / 2));
	CHECK_EQ(memory[page], 42);
	CHECK_SYS(getrusage(RUSAGE_SELF, &before));
	for (uint64_t i = 0; i < n_bytes; i += page)
		memory[i + 1] = 1;
	CHECK_SYS(getrusage(RUSAGE_SELF, &after));
	if (!test_is_sanitized())
		CHECK_LT(after.ru_minflt - before.ru_minflt, 8);
	munmap(memory, n_bytes);
	close(fd);
}

TEST(random, "random numbers are not 0 and not the same")
{
	uint64_t last = 0;

	for (int i = 0; i < 1000; i++) {
		uint64_t number = seai_random();

		CHECK_NE(number, 0);
		CHECK_NE(number, last);
		last = number;
	}
}

TEST(quota, "the default quota is at least 16 MiB and less than the machine's memory")
{
	CHECK_GE(seai_default_quota(), 16u << 20);
	CHECK_LT(seai_default_quota(), (uint64_t)sysconf(_SC_PHYS_PAGES) * seai_page_n_bytes() + (16u << 20));
}

TEST(pidfd,
     "the pidfd of a socket's peer becomes readable when the peer ends, though its end of the socket is held open")
{
	int pair[2], fd;
	struct pollfd pollfd = { .events = POLLIN };
	pid_t pid;
	char byte = 0;
	int listen_fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	/* A pair's credentials are its maker's: this one has to be connected. */
	CHECK_SYS(bind(listen_fd, &(struct sockaddr){ .sa_family = AF_UNIX }, sizeof(sa_family_t)));
	CHECK_SYS(listen(listen_fd, 1));
	pid = (pid_t)CHECK_SYS(fork());
	if (pid == 0) {
		struct sockaddr_storage address;
		socklen_t n_bytes = sizeof(address);

		pair[0] = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET, 0));
		CHECK_SYS(getsockname(listen_fd, (struct sockaddr *)&address, &n_bytes));
		CHECK_SYS(connect(pair[0], (struct sockaddr *)&address, n_bytes));
		if (CHECK_SYS(fork()) == 0) {
			CHECK_EQ(read(pair[0], &byte, 1), 1); /* outlives its parent, with the socket */
			_exit(0);
		}
		CHECK_EQ(recv(pair[0], &byte, 1, 0), 1);
		_exit(0);
	}
	pair[1] = (int)CHECK_SYS(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC));
	fd = seai_peer_pidfd(pair[1]);
	if (fd == -ENOSYS || fd == -EPERM)
		SKIP("no pidfds here");
	CHECK_OK(fd);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	pollfd.fd = fd;
	CHECK_EQ(poll(&pollfd, 1, 0), 0);
	CHECK(!seai_peer_has_ended(pair[1]));
	CHECK_EQ(send(pair[1], &byte, 1, 0), 1);
	CHECK_EQ(send(pair[1], &byte, 1, 0), 1);
	CHECK_EQ(poll(&pollfd, 1, (int)(test_patience_ns() / 1000000)), 1);
	CHECK(seai_peer_has_ended(pair[1]));
	CHECK_EQ(test_wait(pid), 0);
	CHECK(seai_peer_has_ended(pair[1]));
	close(fd);
	close(pair[1]);
	close(listen_fd);
}
