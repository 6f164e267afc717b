/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel offers besides seals. Every newer call has a fall-back in the
 * library, so that a lack costs time or comfort and is seldom bad; what counts is whether the call
 * works here and now, under this process's seccomp filter, and not which version says what.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "terminal.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef F_SETSIG
#define F_SETSIG 10
#endif

/* The oldest kernel that Sealane is made for: that of Enterprise Linux 9. */
#define FLOOR_MAJOR 5
#define FLOOR_MINOR 14

/* Larger huge pages (512 MiB on aarch64 with pages of 64 KiB) are not worth the memory of a try. */
#define COLLAPSE_N_BYTES_MAX ((size_t)32 << 20)

static void check_version(struct doctor *doctor)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2) {
		doctor_add(doctor, DOCTOR_WARN, "kernel", "of unknown version");
		return;
	}
	if (major < FLOOR_MAJOR || (major == FLOOR_MAJOR && minor < FLOOR_MINOR)) {
		doctor_add(doctor, DOCTOR_BAD, "kernel", "%s, %s: older than %d.%d", name.release, name.machine,
		           FLOOR_MAJOR, FLOOR_MINOR);
		doctor_cost(doctor, "Sealane is not made for it and not tested on it, even where all else is ok");
	} else
		doctor_add(doctor, DOCTOR_OK, "kernel", "%s, %s (at least %d.%d)", name.release, name.machine,
		           FLOOR_MAJOR, FLOOR_MINOR);
	doctor_data(doctor, "release", json_string(name.release));
	doctor_data(doctor, "machine", json_string(name.machine));
}

static void check_populate(struct doctor *doctor)
{
	size_t n_bytes = (size_t)64 << 10;
	TOOL_AUTO_FD int fd = doctor_memfd("sealane-doctor", n_bytes);
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED) {
		doctor_add(doctor, DOCTOR_BAD, "MADV_POPULATE_WRITE", "not tried, no mapping of a memory file: %s",
		           strerror(fd < 0 ? -fd : errno));
		return;
	}
	if (madvise(map, n_bytes, MADV_POPULATE_WRITE) == 0)
		doctor_add(doctor, DOCTOR_OK, "MADV_POPULATE_WRITE", "works");
	else {
		doctor_add(doctor, DOCTOR_WARN, "MADV_POPULATE_WRITE", "refused: %s", strerror(errno));
		doctor_cost(
			doctor,
			"new memory is backed by fallocate() and a touch of every page, which takes longer at the start; "
			"a lack of memory is still an error and no signal");
	}
	munmap(map, n_bytes);
}

/* Base pages of a sealed memory file that become a huge one: the way to huge pages that needs no setting. */
static void check_collapse(struct doctor *doctor)
{
	uint64_t huge = 0;
	TOOL_AUTO_FD int fd = -1;
	char *room, *map;
	size_t n_room;
	int r;

	if (doctor_read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", &huge) < 0 || huge == 0) {
		doctor_add(doctor, DOCTOR_INFO, "MADV_COLLAPSE", "no transparent huge pages in this kernel");
		doctor_cost(doctor,
		            "first touch, unmapping and the exit of a process with gigabytes mapped take longer");
		return;
	}
	if (huge > COLLAPSE_N_BYTES_MAX) {
		doctor_add(doctor, DOCTOR_INFO, "MADV_COLLAPSE", "not tried: a huge page is %llu MiB here",
		           (unsigned long long)(huge >> 20));
		return;
	}
	n_room = 2 * (size_t)huge;
	fd = doctor_memfd("sealane-doctor", (size_t)huge);
	room = mmap(NULL, n_room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fd < 0 || room == MAP_FAILED) {
		doctor_add(doctor, DOCTOR_WARN, "MADV_COLLAPSE", "not tried: %s", strerror(fd < 0 ? -fd : errno));
		return;
	}
	map = room + (huge - (uintptr_t)room % huge) % huge;
	if (mmap(map, (size_t)huge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		r = -errno;
	else {
		/* EINVAL on a range that was never touched. */
		map[0] = 1;
		r = madvise(map, (size_t)huge, MADV_COLLAPSE) < 0 ? -errno : 0;
	}
	munmap(room, n_room);
	if (r == 0)
		doctor_add(doctor, DOCTOR_OK, "MADV_COLLAPSE", "works: pages of %llu KiB for heaps that ask for them",
		           (unsigned long long)(huge >> 10));
	else if (r == -EINVAL || r == -ENOSYS || r == -EPERM) {
		doctor_add(doctor, DOCTOR_INFO, "MADV_COLLAPSE", "refused: %s (Linux 6.1 has it)", strerror(-r));
		doctor_cost(doctor, "huge pages only by shmem_enabled or the hugetlb pool, below");
	} else {
		doctor_add(doctor, DOCTOR_WARN, "MADV_COLLAPSE", "there, but found no huge page now: %s", strerror(-r));
		doctor_cost(doctor, "memory is short or fragmented: heaps that ask for huge pages get fewer");
		doctor_mend(doctor, "sysctl -w vm.compact_memory=1");
	}
}

static void check_membarrier(struct doctor *doctor)
{
	int needed = MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands >= 0 && (commands & needed) == needed &&
	    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0 &&
	    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0) {
		doctor_add(doctor, DOCTOR_OK, "membarrier", "GLOBAL_EXPEDITED works");
		return;
	}
	if (commands >= 0 && (commands & needed) != needed)
		errno = ENOTSUP;
	doctor_add(doctor, DOCTOR_WARN, "membarrier", "GLOBAL_EXPEDITED refused: %s", strerror(errno));
	doctor_cost(doctor, "about 20 ns a message: fences instead of one barrier per sleep");
	if (errno == EPERM || errno == ENOSYS)
		doctor_cost(doctor, "often a container's seccomp profile: allow membarrier in it");
}

static void check_pidfd(struct doctor *doctor)
{
	TOOL_AUTO_FD int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int own_error = errno;
	int ends[2] = { -1, -1 };
	int peer = -1;
	int peer_error = 0;
	socklen_t n_peer = sizeof(peer);

	if (own >= 0)
		doctor_add(doctor, DOCTOR_OK, "pidfd_open", "works");
	else {
		doctor_add(doctor, DOCTOR_WARN, "pidfd_open", "refused: %s", strerror(own_error));
		doctor_cost(doctor, "the death of a process that had forked is noticed only when its child ends too");
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ||
	    getsockopt(ends[0], SOL_SOCKET, SO_PEERPIDFD, &peer, &n_peer) < 0)
		peer_error = errno;
	for (size_t i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	if (!peer_error) {
		close(peer);
		doctor_add(doctor, DOCTOR_OK, "SO_PEERPIDFD", "works");
		return;
	}
	doctor_add(doctor, DOCTOR_INFO, "SO_PEERPIDFD", "refused: %s (Linux 6.5 has it)", strerror(peer_error));
	doctor_cost(doctor, own >= 0 ? "one round trip more at each connection: pidfd_open is used and confirmed"
	                             : "see pidfd_open");
}

static void check_waiting(struct doctor *doctor)
{
	TOOL_AUTO_FD int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	TOOL_AUTO_FD int poll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct timespec at_once = { 0 };
	struct epoll_event event;

	if (bell < 0 || poll_fd < 0) {
		doctor_add(doctor, DOCTOR_BAD, "eventfd, epoll", "refused: %s", strerror(errno));
		doctor_cost(doctor, "no session can be opened: nothing can sleep and be woken");
		if (errno == EMFILE)
			doctor_mend(doctor, "ulimit -n \"$(ulimit -Hn)\"");
		return;
	}
	doctor_add(doctor, DOCTOR_OK, "eventfd, epoll", "work");
	if (syscall(SYS_epoll_pwait2, poll_fd, &event, 1, &at_once, NULL, 0) == 0)
		doctor_add(doctor, DOCTOR_OK, "epoll_pwait2", "works");
	else {
		doctor_add(doctor, DOCTOR_INFO, "epoll_pwait2", "refused: %s (Linux 5.11 has it)", strerror(errno));
		doctor_cost(
			doctor,
			"nothing in Sealane, which waits with ppoll() then; an own event loop rounds timeouts up to 1 ms");
	}
}

/* A write lease is granted only where nobody else has the file open or mapped: the proof that retired memory is free. */
static void check_leases(struct doctor *doctor)
{
	TOOL_AUTO_FD int fd = doctor_memfd("sealane-doctor", (size_t)64 << 10);
	TOOL_AUTO_FD int writable = fd < 0 ? fd : doctor_reopen(fd, O_RDWR);
	uint64_t enabled = 0;
	int r = writable < 0 ? writable : 0;
	bool known = doctor_read_number("/proc/sys/fs/leases-enable", &enabled) == 0;

	/* Without F_SETSIG a lease that is broken kills by SIGIO. */
	if (r == 0 && (fcntl(writable, F_SETSIG, SIGURG) < 0 || fcntl(writable, F_SETLEASE, F_WRLCK) < 0))
		r = -errno;
	if (r == 0) {
		fcntl(writable, F_SETLEASE, F_UNLCK);
		doctor_add(doctor, DOCTOR_OK, "leases", "work on memory files");
		return;
	}
	if (fd >= 0 && writable < 0)
		doctor_add(doctor, DOCTOR_WARN, "leases", "not tried, the file cannot be opened again: %s",
		           strerror(-r));
	else
		doctor_add(doctor, DOCTOR_WARN, "leases", "%s%s",
		           known && !enabled ? "off (fs.leases-enable is 0): " : "refused: ", strerror(-r));
	doctor_cost(doctor,
	            "memory that was retired is given back instead of filled again warm: page faults after each trim");
	if (known && !enabled)
		doctor_mend(doctor, "sysctl -w fs.leases-enable=1");
}

static void check_inotify(struct doctor *doctor)
{
	TOOL_AUTO_FD int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int watch = fd < 0 ? -1 : inotify_add_watch(fd, "/", IN_CREATE);
	int error = errno;
	uint64_t n_instances = 0, n_watches = 0;

	if (doctor_read_number("/proc/sys/fs/inotify/max_user_instances", &n_instances) < 0 && watch >= 0) {
		doctor_add(doctor, DOCTOR_OK, "inotify", "works");
		return;
	}
	doctor_read_number("/proc/sys/fs/inotify/max_user_watches", &n_watches);
	if (watch >= 0 && n_instances >= 64)
		doctor_add(doctor, DOCTOR_OK, "inotify", "works; %llu instances per user",
		           (unsigned long long)n_instances);
	else if (watch >= 0) {
		doctor_add(doctor, DOCTOR_WARN, "inotify", "works; %llu instances per user are few",
		           (unsigned long long)n_instances);
		doctor_cost(
			doctor,
			"each process that waits for an address takes one; without one it looks again from time to time");
		doctor_mend(doctor, "sysctl -w fs.inotify.max_user_instances=1024");
	} else {
		doctor_add(doctor, DOCTOR_WARN, "inotify", "refused: %s (%llu instances, %llu watches per user)",
		           strerror(error), (unsigned long long)n_instances, (unsigned long long)n_watches);
		doctor_cost(doctor, "a process that waits for an address nobody is bound to yet finds it later");
		if (error == EMFILE)
			doctor_mend(doctor, "sysctl -w fs.inotify.max_user_instances=1024");
		else if (error == ENOSPC)
			doctor_mend(doctor, "sysctl -w fs.inotify.max_user_watches=65536");
	}
	doctor_data(doctor, "max_user_instances", json_integer((json_int_t)n_instances));
	doctor_data(doctor, "max_user_watches", json_integer((json_int_t)n_watches));
}

void doctor_check_kernel(struct doctor *doctor)
{
	doctor->group = "Kernel";
	check_version(doctor);
	check_populate(doctor);
	check_collapse(doctor);
	check_membarrier(doctor);
	check_pidfd(doctor);
	check_waiting(doctor);
	check_leases(doctor);
	check_inotify(doctor);
}
