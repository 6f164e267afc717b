/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealed memory: each property that Sealane promises is tried on a real memfd, as
 * an attacker would. That the kernel knows a seal is not believed, only that it refuses.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

/* A multiple of every page size in use (aarch64: up to 64 KiB). */
#define PROBE_N_BYTES ((size_t)64 << 10)

int doctor_memfd(const char *name, size_t n_bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)n_bytes) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int doctor_reopen(int fd, int open_flags)
{
	char path[64];
	int reopened;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reopened = open(path, open_flags | O_CLOEXEC);
	return reopened < 0 ? -errno : reopened;
}

/* Whether a mapping of this descriptor can be had or made writable; what can be is written to. */
static bool map_is_writable(int fd)
{
	char *map = mmap(NULL, PROBE_N_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool writable = map != MAP_FAILED;

	if (!writable) {
		map = mmap(NULL, PROBE_N_BYTES, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			return false;
		writable = mprotect(map, PROBE_N_BYTES, PROT_READ | PROT_WRITE) == 0;
	}
	munmap(map, PROBE_N_BYTES);
	return writable;
}

static void holes_add(char *holes, size_t n_holes, const char *hole)
{
	size_t n = strlen(holes);

	snprintf(holes + n, n_holes - n, "%s%s", n ? ", " : "", hole);
}

/* Tries everything by which a holder of fd could change the file. */
static void holes_find(int fd, char *holes, size_t n_holes)
{
	char byte = 1;
	TOOL_AUTO_FD int writable = doctor_reopen(fd, O_RDWR);

	if (pwrite(fd, &byte, 1, 0) >= 0 || (writable >= 0 && pwrite(writable, &byte, 1, 0) >= 0))
		holes_add(holes, n_holes, "pwrite");
	if (map_is_writable(fd) || (writable >= 0 && map_is_writable(writable)))
		holes_add(holes, n_holes, "a writable mapping");
	if (ftruncate(fd, 0) == 0 || (writable >= 0 && ftruncate(writable, 0) == 0))
		holes_add(holes, n_holes, "truncation");
	if (ftruncate(fd, 2 * PROBE_N_BYTES) == 0)
		holes_add(holes, n_holes, "growing");
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PROBE_N_BYTES) == 0)
		holes_add(holes, n_holes, "punching holes");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
		holes_add(holes, n_holes, "further seals");
}

static void check_memfd(struct doctor *doctor, bool *ret_works)
{
	TOOL_AUTO_FD int fd = memfd_create("sealane-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	bool noexec = fd >= 0;
	char value[64];
	int error;

	if (fd < 0)
		fd = memfd_create("sealane-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	error = errno;
	*ret_works = fd >= 0;
	if (fd < 0) {
		doctor_add(doctor, DOCTOR_BAD, "memfd_create", "refused: %s", strerror(error));
		doctor_cost(doctor, "no session can be opened: all of Sealane's memory is memfds");
		if (error == EMFILE)
			doctor_mend(doctor, "ulimit -n \"$(ulimit -Hn)\"");
		else if (error == EPERM || error == ENOSYS || error == EACCES) {
			doctor_cost(
				doctor,
				"a seccomp or SELinux profile forbids it: allow memfd_create in the container's profile");
			doctor_mend(
				doctor,
				"podman run --security-opt seccomp=unconfined ...   # to see whether it is the profile");
		}
		return;
	}
	doctor_add(doctor, DOCTOR_OK, "memfd_create", "works");
	if (doctor_read_line("/proc/sys/vm/memfd_noexec", value, sizeof(value)) < 0)
		snprintf(value, sizeof(value), "not there");
	if (noexec)
		doctor_add(doctor, DOCTOR_OK, "MFD_NOEXEC_SEAL", "works, vm.memfd_noexec is %s (any value will do)",
		           value);
	else {
		doctor_add(doctor, DOCTOR_INFO, "MFD_NOEXEC_SEAL", "not in this kernel (6.3 has it)");
		doctor_cost(doctor,
		            "nothing: Sealane goes without; the memory could be executed as a program by who holds it");
	}
}

static void check_future_write(struct doctor *doctor)
{
	TOOL_AUTO_FD int fd = doctor_memfd("sealane-doctor", PROBE_N_BYTES);
	char holes[256] = "";
	char *map;

	if (fd < 0) {
		doctor_add(doctor, DOCTOR_BAD, "F_SEAL_FUTURE_WRITE", "not tried, no memory file: %s", strerror(-fd));
		return;
	}
	map = mmap(NULL, PROBE_N_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		doctor_add(doctor, DOCTOR_BAD, "F_SEAL_FUTURE_WRITE", "not tried, mmap: %s", strerror(errno));
		return;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		doctor_add(doctor, DOCTOR_BAD, "F_SEAL_FUTURE_WRITE", "refused: %s", strerror(errno));
		doctor_cost(
			doctor,
			"no session can be opened: there would be no protection from receivers (Linux 5.1 has this seal)");
	} else {
		holes_find(fd, holes, sizeof(holes));
		map[0] = 7;
		if (holes[0]) {
			doctor_add(doctor, DOCTOR_BAD, "F_SEAL_FUTURE_WRITE", "does not hold against: %s", holes);
			doctor_cost(doctor, "a receiver can change data under its producer and under other receivers");
		} else
			doctor_add(doctor, DOCTOR_OK, "F_SEAL_FUTURE_WRITE",
			           "holds against write, map, truncate, punch; the owner still writes");
	}
	munmap(map, PROBE_N_BYTES);
}

static void check_write_seal(struct doctor *doctor)
{
	TOOL_AUTO_FD int fd = doctor_memfd("sealane-doctor", PROBE_N_BYTES);
	TOOL_AUTO_FD int read_only = fd < 0 ? -1 : doctor_reopen(fd, O_RDONLY);
	char holes[256] = "";
	void *map;

	if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		doctor_add(doctor, DOCTOR_BAD, "F_SEAL_WRITE", "refused: %s", strerror(fd < 0 ? -fd : errno));
		doctor_cost(doctor, "no immutable frames");
		return;
	}
	holes_find(fd, holes, sizeof(holes));
	if (holes[0]) {
		doctor_add(doctor, DOCTOR_BAD, "F_SEAL_WRITE", "does not hold against: %s", holes);
		doctor_cost(doctor, "immutable frames can be changed");
		return;
	}
	map = mmap(NULL, PROBE_N_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		munmap(map, PROBE_N_BYTES);
		doctor_add(doctor, DOCTOR_OK, "F_SEAL_WRITE", "holds, and what it sealed can be mapped for reading");
		return;
	}
	map = read_only >= 0 ? mmap(NULL, PROBE_N_BYTES, PROT_READ, MAP_SHARED, read_only, 0) : MAP_FAILED;
	if (map != MAP_FAILED) {
		munmap(map, PROBE_N_BYTES);
		doctor_add(doctor, DOCTOR_OK, "F_SEAL_WRITE",
		           "holds; mapped for reading through a read-only descriptor alone (Linux before 6.7)");
		return;
	}
	doctor_add(doctor, DOCTOR_WARN, "F_SEAL_WRITE", "holds, but what it sealed cannot be mapped for reading: %s",
	           strerror(errno));
	doctor_cost(doctor, "no immutable frames; pooled frames, the default, are not touched by this");
}

static void check_reopen(struct doctor *doctor)
{
	TOOL_AUTO_FD int fd = doctor_memfd("sealane-doctor", PROBE_N_BYTES);
	TOOL_AUTO_FD int read_only = fd < 0 ? fd : doctor_reopen(fd, O_RDONLY);

	if (read_only >= 0) {
		doctor_add(doctor, DOCTOR_OK, "/proc/self/fd", "there; a memory file can be opened again read-only");
		return;
	}
	if (access("/proc/self/fd", F_OK) == 0)
		doctor_add(doctor, DOCTOR_WARN, "/proc/self/fd", "there, but a memory file cannot be opened again: %s",
		           strerror(-read_only));
	else {
		doctor_add(doctor, DOCTOR_WARN, "/proc/self/fd", "not there");
		doctor_mend(doctor, "mount -t proc proc /proc");
	}
	doctor_cost(doctor,
	            "receivers get the owner's descriptor, which the seal protects as well; no recycling of retired "
	            "memory, no runtime directory with a path over 107 bytes, on Linux before 6.7 no immutable frames");
}

/* Descriptors of sealed memory travel over SEQPACKET sockets; profiles of containers may forbid either. */
static void check_passing(struct doctor *doctor)
{
	TOOL_AUTO_FD int fd = doctor_memfd("sealane-doctor", PROBE_N_BYTES);
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte = 'x';
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	struct stat before, after;
	const char *step = "socketpair";
	int ends[2] = { -1, -1 };
	int received = -1;
	int error = 0;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	if (fd < 0) {
		step = "memfd_create";
		error = -fd;
	} else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		error = errno;
	else if (sendmsg(ends[0], &message, MSG_NOSIGNAL) != 1) {
		step = "sendmsg with SCM_RIGHTS";
		error = errno;
	} else if (recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC) != 1 || (message.msg_flags & MSG_CTRUNC)) {
		step = "recvmsg";
		error = message.msg_flags & MSG_CTRUNC ? EMFILE : errno;
	} else {
		header = CMSG_FIRSTHDR(&message);
		if (header && header->cmsg_type == SCM_RIGHTS)
			memcpy(&received, CMSG_DATA(header), sizeof(int));
		step = "the descriptor that arrived";
		if (received < 0 || fstat(fd, &before) < 0 || fstat(received, &after) < 0 ||
		    before.st_ino != after.st_ino)
			error = EBADF;
	}
	if (error) {
		doctor_add(doctor, DOCTOR_BAD, "passing descriptors", "%s: %s", step, strerror(error));
		doctor_cost(doctor, "processes cannot show each other their memory: no peer is ever connected");
		if (error == EMFILE)
			doctor_mend(doctor, "ulimit -n \"$(ulimit -Hn)\"");
	} else
		doctor_add(doctor, DOCTOR_OK, "passing descriptors", "works over a SEQPACKET unix socket");
	for (size_t i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	if (received >= 0)
		close(received);
}

void doctor_check_seals(struct doctor *doctor)
{
	bool works;

	doctor->group = "Sealed memory";
	check_memfd(doctor, &works);
	if (!works)
		return;
	check_future_write(doctor);
	check_write_seal(doctor);
	check_reopen(doctor);
	check_passing(doctor);
}
