/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A receiver that tries to write into what it was given: by every road that a process has to memory it can read. The
 * kernel must refuse each; afterwards the bytes are what they were. As root, for whom permissions are no hindrance, only seals are.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "test.h"

#define N_BYTES 100000u

static sigjmp_buf escape;
static volatile sig_atomic_t fault_code;

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	fault_code = info->si_code;
	siglongjmp(escape, 1);
}

static void try_store(void *address)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, before;

	fault_code = 0;
	CHECK_SYS(sigaction(SIGSEGV, &action, &before));
	if (sigsetjmp(escape, 1) == 0) {
		*(volatile char *)address = 1;
		FAIL("a store went through");
	}
	CHECK_SYS(sigaction(SIGSEGV, &before, NULL));
	/* The memory is there, and may not be written. */
	CHECK_EQ(fault_code, SEGV_ACCERR);
}

/* The kernel refuses the call; which error depends on the road. */
#define REFUSED(call)                                                                                           \
	do {                                                                                                    \
		errno = 0;                                                                                      \
		if ((long)(call) != -1)                                                                         \
			FAIL("%s went through", #call);                                                         \
		CHECK(errno == EPERM || errno == EACCES || errno == EBADF || errno == EINVAL || errno == EIO || \
		      errno == EFAULT || errno == EOPNOTSUPP);                                                  \
	} while (0)

/* Through a mapping that exists. */
static void try_mapping(void *address)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *start = (void *)((uintptr_t)address & ~(page - 1));
	int fd = (int)CHECK_SYS(open("/proc/self/mem", O_RDWR | O_CLOEXEC));

	try_store(address);
	REFUSED(mprotect(start, page, PROT_READ | PROT_WRITE));
	REFUSED(madvise(start, page, MADV_REMOVE));
	REFUSED(pwrite(fd, "x", 1, (off_t)(uintptr_t)address));
	close(fd);
	try_store(address);
}

/* Through a descriptor, opened as it may be. is_writable: it was opened for writing. */
static void try_descriptor(int fd, bool is_writable)
{
	struct stat before, after;
	size_t n_bytes;
	char *map;

	CHECK_SYS(fstat(fd, &before));
	n_bytes = (size_t)before.st_size;
	REFUSED(pwrite(fd, "x", 1, 0));
	REFUSED(pwrite(fd, "x", 1, (off_t)n_bytes - 1));
	REFUSED(pwrite(fd, "x", 1, (off_t)n_bytes));
	REFUSED(mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	REFUSED(mmap(NULL, n_bytes, PROT_WRITE, MAP_SHARED, fd, 0));
	REFUSED(ftruncate(fd, 0));
	REFUSED(ftruncate(fd, (off_t)n_bytes + 4096));
	REFUSED(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)n_bytes));
	REFUSED(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096));
	REFUSED(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	REFUSED(fallocate(fd, 0, (off_t)n_bytes, 4096));
	map = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		try_mapping(map);
		munmap(map, n_bytes);
	} else {
		CHECK(is_writable);
	}
	CHECK_SYS(fstat(fd, &after));
	CHECK_EQ(before.st_size, after.st_size);
	CHECK_EQ(before.st_blocks, after.st_blocks);
}

/* Every descriptor of memory of that name in this process, and as it can be opened again. Returns how many. */
static int try_descriptors(const char *name)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	CHECK(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
		char path[64], target[128] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
		if (readlink(path, target, sizeof(target) - 1) < 0 || !strstr(target, name))
			continue;
		n++;
		try_descriptor(atoi(entry->d_name), false);
		for (int i = 0; i < 3; i++) {
			int fd = open(path, modes[i] | O_CLOEXEC);

			if (fd < 0)
				continue;
			try_descriptor(fd, modes[i] != O_RDONLY);
			close(fd);
		}
	}
	closedir(dir);
	return n;
}

/* Every mapping of memory of that name that is not this process's to write. Returns how many. */
static int try_mappings(const char *name)
{
	char line[512], path[128], permissions[8];
	unsigned long starts[256], ends[256], start, end;
	int n = 0;
	FILE *file = fopen("/proc/self/maps", "re");

	CHECK(file);
	while (n < 256 && fgets(line, sizeof(line), file))
		if (strstr(line, name) && sscanf(line, "%lx-%lx %7s", &start, &end, permissions) == 3 &&
		    permissions[1] == '-') {
			starts[n] = start;
			ends[n++] = end;
		}
	fclose(file);
	for (int i = 0; i < n; i++) {
		int fd;

		try_mapping((void *)starts[i]);
		try_mapping((void *)(ends[i] - 1));
		/* Where the privilege for it is there. */
		snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", starts[i], ends[i]);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0) {
			try_descriptor(fd, true);
			close(fd);
		}
	}
	return n;
}

static void fill(uint8_t *data, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		data[i] = (uint8_t)(i * 7 + 1);
}

static void check(const uint8_t *data, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		CHECK_EQ(data[i], (uint8_t)(i * 7 + 1));
}

/* Receives one message of two parts and does its worst. */
static void receiver_main(void *arg)
{
	const char *name = arg;
	struct sea_session *session;
	struct sea_channel *channel;
	struct sea_message *message;
	struct sea_part part;

	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_channel_new(&channel, session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_connect(channel, "sealed"));
	CHECK_OK(sea_channel_receive(channel, &message, test_patience_ns()));
	CHECK_EQ(sea_message_n_parts(message), 2);
	CHECK(sea_message_write(message) == NULL);
	CHECK_ERR(sea_message_shrink(message, 1), -EINVAL);
	for (size_t i = 0; i < 2; i++) {
		CHECK_OK(sea_message_get_part(message, i, &part));
		try_mapping((void *)(uintptr_t)part.data);
		try_mapping((void *)((uintptr_t)part.data + part.n_bytes - 1));
	}
	/* This process has no memory of its own: all that it can find is the producer's. */
	CHECK_GE(try_descriptors(name), 1);
	CHECK_GE(try_mappings(name), 1);
	/* The producer's side of the link, and its record ring. */
	try_descriptors("/memfd:sealane-side");
	CHECK_GE(try_mappings("/memfd:sealane-side"), 2);
	for (size_t i = 0; i < 2; i++) {
		CHECK_OK(sea_message_get_part(message, i, &part));
		check(part.data, part.n_bytes);
	}
	sea_message_unref(message);
	sea_channel_close(channel);
	sea_session_close(session);
}

static void run(uint32_t flags)
{
	struct sea_frame_options options = { .n_bytes_max = { 4 * N_BYTES }, .flags = flags };
	pid_t pid = test_fork(receiver_main, flags ? "/memfd:sealane-frame" : "/memfd:sealane-arena");
	struct sea_session *session;
	struct sea_channel *channel;
	struct sea_message *message, *kept;
	struct sea_frame *frame;
	struct sea_part part;
	void *data;

	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_channel_new(&channel, session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_bind(channel, "sealed"));
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	for (size_t i = 0; i < 2; i++) {
		CHECK_OK(sea_frame_add(frame, N_BYTES >> i, 0, &data));
		fill(data, N_BYTES >> i);
	}
	CHECK_OK(sea_frame_seal(&frame, &message));
	kept = sea_message_ref(message);
	if (flags & SEA_FRAME_IMMUTABLE) {
		/* Not even its producer, by whatever it has of it. */
		CHECK_OK(sea_message_get_part(message, 0, &part));
		try_mapping((void *)(uintptr_t)part.data);
		try_mapping((void *)((uintptr_t)part.data + part.n_bytes - 1));
		CHECK_GE(try_descriptors("/memfd:sealane-frame"), 1);
	}
	CHECK_OK(sea_channel_send(channel, &message, test_patience_ns()));
	CHECK_EQ(test_wait(pid), 0);
	for (size_t i = 0; i < 2; i++) {
		CHECK_OK(sea_message_get_part(kept, i, &part));
		check(part.data, part.n_bytes);
	}
	sea_message_unref(kept);
	sea_channel_close(channel);
	sea_session_close(session);
}

TEST(pooled, "a receiver cannot write into pooled memory, nor into the rings of others, by any road")
{
	run(0);
}

TEST(immutable, "nobody can write into an immutable frame, its producer included")
{
	run(SEA_FRAME_IMMUTABLE);
}
