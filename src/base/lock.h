/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock in private memory: one word, one locked instruction each way while
 * nobody contends, a futex when somebody does. Never placed in shared memory, so that no
 * death of another process can leave it locked.
 */
#ifndef SEALANE_BASE_LOCK_H
#define SEALANE_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct seai_lock {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody sleeps */
};

void seai_lock_wait(struct seai_lock *lock);
void seai_lock_wake(struct seai_lock *lock);

static inline bool seai_lock_try(struct seai_lock *lock)
{
	uint32_t free_word = 0;

	/* acquire: pairs with the release in seai_lock_release() */
	return atomic_compare_exchange_strong_explicit(&lock->word, &free_word, 1, memory_order_acquire,
	                                               memory_order_relaxed);
}

static inline void seai_lock_take(struct seai_lock *lock)
{
	if (SEAI_UNLIKELY(!seai_lock_try(lock)))
		seai_lock_wait(lock);
}

static inline void seai_lock_release(struct seai_lock *lock)
{
	if (SEAI_UNLIKELY(atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2))
		seai_lock_wake(lock);
}

static inline void seai_lock_cleanup(struct seai_lock **lock)
{
	if (*lock)
		seai_lock_release(*lock);
}

/* Holds a lock until the end of the scope. */
#define SEAI_LOCKED(lock, name)                                         \
	SEAI_CLEANUP(seai_lock_cleanup) struct seai_lock *name = (lock); \
	seai_lock_take(name)

/*
 * Sleeps until *word is no longer value, or the deadline (CLOCK_MONOTONIC ns) is over.
 * Returns 0 when woken or changed, -ETIMEDOUT, -EINTR.
 */
int seai_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns);
void seai_futex_wake(_Atomic uint32_t *word, int n_threads);

#endif
