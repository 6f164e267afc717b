/* SPDX-License-Identifier: Apache-2.0 */
/* Newer system calls with their fall-backs; see kernel.h. */
#include "base/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int seai_memfd_create(const char *name, int hugetlb)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (hugetlb ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	/* MFD_NOEXEC_SEAL (6.3) is an unknown flag to older kernels: EINVAL. */
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

int seai_fd_reopen(int fd, int open_flags)
{
	char path[40];
	int reopened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reopened = open(path, open_flags | O_CLOEXEC | O_NONBLOCK);
	return reopened < 0 ? -errno : reopened;
}

int seai_populate(void *address, uint64_t n_bytes, int fd, uint64_t offset)
{
	uint64_t page_n_bytes = seai_page_n_bytes();
	int r;

	do
		r = madvise(address, n_bytes, MADV_POPULATE_WRITE);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r == 0)
		return 0;
	if (errno == EFAULT || errno == EHWPOISON || errno == ENOMEM)
		return -ENOMEM;
	/* Before 5.14, or refused: let the file system allocate, which fails instead of signalling, then map the pages. */
	do
		r = fallocate(fd, 0, (off_t)offset, (off_t)n_bytes);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -ENOMEM;
	for (uint64_t i = 0; i < n_bytes; i += page_n_bytes) {
		_Atomic uint8_t *byte = (_Atomic uint8_t *)address + i;

		/* An atomic or with nothing: a write fault that changes no byte. */
		atomic_fetch_or_explicit(byte, 0, memory_order_relaxed);
	}
	return 0;
}

uint64_t seai_page_n_bytes(void)
{
	static _Atomic uint64_t cached;
	uint64_t n_bytes = atomic_load_explicit(&cached, memory_order_relaxed);

	if (n_bytes == 0) {
		n_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&cached, n_bytes, memory_order_relaxed);
	}
	return n_bytes;
}

uint64_t seai_random(void)
{
	uint64_t number = 0;

	while (getrandom(&number, sizeof(number), 0) != sizeof(number) || number == 0)
		if (errno != EINTR && number == 0) {
			/* No getrandom(): addresses, time and pid must do. */
			number = (uint64_t)seai_now_ns() * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)getpid() << 32 ^
			         (uint64_t)(uintptr_t)&number;
			break;
		}
	return number;
}

/* A number of bytes from a file that holds a decimal number, or UINT64_MAX ("max", missing, malformed). */
static uint64_t kernel_read_limit(const char *path)
{
	SEAI_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[64];
	char *end;
	ssize_t n;
	unsigned long long number;

	if (fd < 0)
		return UINT64_MAX;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return UINT64_MAX;
	text[n] = 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	return end == text || errno ? UINT64_MAX : (uint64_t)number;
}

/* The tightest limit of a cgroup and those above it. group is cut on the way. */
static uint64_t kernel_walk_limit(const char *root, char *group, const char *file)
{
	uint64_t limit = UINT64_MAX;
	char path[4400];

	for (;;) {
		char *slash = strrchr(group, '/');
		uint64_t here;

		snprintf(path, sizeof(path), "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, file);
		here = kernel_read_limit(path);
		if (here < limit)
			limit = here;
		if (!slash || group[0] == 0)
			return limit;
		*slash = 0;
	}
}

/* The tightest memory limit of this process's cgroups; on a hybrid machine memory may be in the old hierarchy or in the new. */
static uint64_t kernel_cgroup_limit(void)
{
	char line[4096];
	uint64_t limit = UINT64_MAX;
	FILE *file = fopen("/proc/self/cgroup", "re");

	if (!file)
		return limit;
	while (fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		uint64_t here = UINT64_MAX;

		if (!group)
			continue;
		*group++ = 0;
		group[strcspn(group, "\n")] = 0;
		if (controllers[1] == 0)
			here = kernel_walk_limit("/sys/fs/cgroup", group, "memory.max");
		else if (strcmp(controllers + 1, "memory") == 0)
			here = kernel_walk_limit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
		if (here < limit)
			limit = here;
	}
	fclose(file);
	return limit;
}

uint64_t seai_default_quota(void)
{
	uint64_t available = UINT64_MAX, limit = kernel_cgroup_limit(), smaller;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (file) {
		while (fgets(line, sizeof(line), file))
			if (strncmp(line, "MemAvailable:", 13) == 0)
				available = (uint64_t)strtoull(line + 13, NULL, 10) << 10;
		fclose(file);
	}
	if (available == UINT64_MAX)
		available = (uint64_t)sysconf(_SC_PHYS_PAGES) * seai_page_n_bytes();
	smaller = available < limit ? available : limit;
	return smaller / 2 > (16u << 20) ? smaller / 2 : 16u << 20;
}

int seai_epoll_wait(int epoll_fd, struct epoll_event *events, int n_max, int64_t deadline_ns)
{
	static _Atomic bool has_no_pwait2;
	struct timespec timeout = { 0 };
	int n;

	if (deadline_ns != SEAI_FOR_EVER) {
		int64_t left_ns = deadline_ns ? deadline_ns - seai_now_ns() : 0;

		timeout = seai_timespec(left_ns > 0 ? left_ns : 0);
	}
#ifdef SYS_epoll_pwait2
	if (!atomic_load_explicit(&has_no_pwait2, memory_order_relaxed)) {
		n = (int)syscall(SYS_epoll_pwait2, epoll_fd, events, n_max,
		                 deadline_ns == SEAI_FOR_EVER ? NULL : &timeout, NULL, (size_t)_NSIG / 8);
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n < 0 ? -errno : n;
		atomic_store_explicit(&has_no_pwait2, true, memory_order_relaxed);
	}
#endif
	/* Before 5.11, or refused: ppoll is as exact, and an epoll descriptor can be polled. */
	struct pollfd pollfd = { .fd = epoll_fd, .events = POLLIN };

	n = ppoll(&pollfd, 1, deadline_ns == SEAI_FOR_EVER ? NULL : &timeout, NULL);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	n = epoll_wait(epoll_fd, events, n_max, 0);
	return n < 0 ? -errno : n;
}
