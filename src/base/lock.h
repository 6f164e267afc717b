/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock in private memory: one locked instruction to take it and a plain store to release it while
 * nobody contends, a futex when somebody does. Never placed in shared memory, so that no
 * death of another process can leave it locked.
 *
 * A locked instruction waits until all stores before it are visible, those to cache lines that a peer has
 * among them; so the release does without, and who goes to sleep pays with a membarrier instead (base/fence.h).
 */
#ifndef SEALANE_BASE_LOCK_H
#define SEALANE_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/fence.h"

struct seai_lock {
	_Atomic uint32_t word;       /* 0 free, 1 held */
	_Atomic uint32_t n_sleepers; /* who may sleep on word */
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
	/* release: pairs with the acquire in seai_lock_try() */
	atomic_store_explicit(&lock->word, 0, memory_order_release);
	/* Pairs with the heavy fence of the sleeper: one of the two sees the other's store. */
	seai_fence_light(seai_fence_has_private);
	if (SEAI_UNLIKELY(atomic_load_explicit(&lock->n_sleepers, memory_order_relaxed)))
		seai_lock_wake(lock);
}

static inline void seai_lock_cleanup(struct seai_lock **lock)
{
	if (*lock)
		seai_lock_release(*lock);
}

/* Holds a lock until the end of the scope. */
#define SEAI_LOCKED(lock, name)                                          \
	SEAI_CLEANUP(seai_lock_cleanup) struct seai_lock *name = (lock); \
	seai_lock_take(name)

/*
 * Sleeps until *word is no longer value, or the deadline (CLOCK_MONOTONIC ns) is over.
 * Returns 0 when woken or changed, -ETIMEDOUT, -EINTR.
 */
int seai_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline_ns);
void seai_futex_wake(_Atomic uint32_t *word, int n_threads);

#endif
