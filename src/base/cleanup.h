/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership of locals: every owning local is declared with its cleanup and
 * leaves the function by a take. The only two extensions of C17 that we use live here.
 */
#ifndef SEALANE_BASE_CLEANUP_H
#define SEALANE_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SEAI_CLEANUP(function) __attribute__((cleanup(function)))

/* Moves a pointer out of a variable and leaves NULL behind. */
#define SEAI_TAKE(pointer)                              \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})

static inline void seai_cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

/* Closes a descriptor if it is one; keeps errno. @return -1, to be stored where it was. */
static inline int seai_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return -1;
}

static inline void seai_cleanup_fd(const int *fd)
{
	seai_close(*fd);
}

/* Moves a descriptor out of a variable that would close it. */
static inline int seai_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define SEAI_AUTO_FREE SEAI_CLEANUP(seai_cleanup_free)
#define SEAI_AUTO_FD SEAI_CLEANUP(seai_cleanup_fd)

/* Asks for a cache line to be written soon. */
static inline void seai_prefetch_for_write(const void *line)
{
#if defined(__x86_64__)
	/* Without -mprfchw the builtin would ask for reading only. Processors that do not have it take it for no operation. */
	__asm__ volatile("prefetchw %0" ::"m"(*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

#define SEAI_LIKELY(x) __builtin_expect(!!(x), 1)
#define SEAI_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
