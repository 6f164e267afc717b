/* SPDX-License-Identifier: Apache-2.0 */
/* The sleeping half of the lock; see lock.h. */
#include "base/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

/* How often a contended lock is looked at before sleeping: about a microsecond, the length of what is done under it. */
#define LOCK_N_SPINS 40

int seai_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns)
{
	/* For ever is 292 years here: a sleep without a time would be started again after a handler with SA_RESTART. */
	struct timespec until = seai_timespec(deadline_ns);

	/* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC. */
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, &until, NULL, FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EAGAIN ? 0 : -errno;
}

void seai_futex_wake(_Atomic uint32_t *word, int n_threads)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
}

void seai_lock_wait(struct seai_lock *lock)
{
	for (int i = 0; i < LOCK_N_SPINS; i++) {
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 && seai_lock_try(lock))
			return;
		seai_relax();
	}
	atomic_fetch_add_explicit(&lock->n_sleepers, 1, memory_order_seq_cst);
	seai_fence_heavy_private();
	while (!seai_lock_try(lock))
		(void)seai_futex_wait(&lock->word, 1, SEAI_FOR_EVER);
	atomic_fetch_sub_explicit(&lock->n_sleepers, 1, memory_order_relaxed);
}

void seai_lock_wake(struct seai_lock *lock)
{
	seai_futex_wake(&lock->word, 1);
}
