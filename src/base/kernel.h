/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Newer system calls, each with what to do where the kernel or a seccomp
 * filter does not have it. The floor is Linux 5.14.
 */
#ifndef SEALANE_BASE_KERNEL_H
#define SEALANE_BASE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

/* A memfd that allows sealing and is not executable where the kernel knows that. hugetlb: with pages of 2 MiB. Returns a descriptor or -errno. */
int seai_memfd_create(const char *name, int hugetlb);

/* Re-opens a descriptor's file with other access flags by /proc; -errno where that is not possible. */
int seai_fd_reopen(int fd, int open_flags);

/*
 * Backs [address, address + n_bytes) of a shared writable mapping of fd (at offset), so that no
 * later touch can fail: MADV_POPULATE_WRITE (5.14), else fallocate() and a touch. 0, -ENOMEM, -EINTR.
 */
int seai_populate(void *address, uint64_t n_bytes, int fd, uint64_t offset);

/* Page size of this machine in bytes. */
uint64_t seai_page_n_bytes(void);

/* A random number that is not 0. */
uint64_t seai_random(void);

struct epoll_event;

/*
 * epoll_wait() until an absolute time of CLOCK_MONOTONIC, to the nanosecond as far as the kernel's timers go; 0: does not wait, SEAI_FOR_EVER.
 * How many, or -errno.
 */
int seai_epoll_wait(int epoll_fd, struct epoll_event *events, int n_max, int64_t deadline_ns);

/* Half of the smaller of available memory and the cgroup's limit, in bytes, at least 16 MiB. */
uint64_t seai_default_quota(void);

#endif
