/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock in private memory, biased to the thread that uses it most. Never placed in shared memory, so that no
 * death of another process can leave it locked.
 *
 * A locked instruction waits until all stores before it are visible, those to cache lines that a peer has
 * among them; so the usual thread takes and releases its lock by plain stores, and all others pay: they take the word by a
 * locked instruction, call the bias off, and execute a membarrier, after which either the usual thread has seen that or they see
 * that it is inside (base/fence.h). A lock is biased to one thread at most in its life: what another one stored late in vain
 * could not be told from a new favourite's.
 */
#ifndef SEALANE_BASE_LOCK_H
#define SEALANE_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/fence.h"

struct seai_lock {
	_Atomic uint32_t word;       /* 0 free, 1 held; the favourite does without while it has its bias */
	_Atomic(const void *) bias;  /* the favourite, by its seai_lock_self; NULL: none, or called off */
	_Atomic uint32_t is_entered; /* stored by the favourite alone: it is inside by its bias, or was about to be */
	_Atomic uint32_t n_sleepers; /* who may sleep on word */
	bool is_by_bias;             /* how the holder came in; the holder's */
	/* Guarded by the word: */
	const void *favourite; /* to whom the lock was biased ever; NULL: nobody yet */
	const void *last;      /* who held it last by the word */
	uint32_t n_in_a_row;   /* so often the same */
	uint32_t n_wanted;     /* in a row, for a bias; more after each that had to be called off. 0: the first */
};

/* Its address is the thread. */
extern _Thread_local char seai_lock_self __attribute__((tls_model("initial-exec")));

void seai_lock_take_slowly(struct seai_lock *lock);
void seai_lock_wake(struct seai_lock *lock);
/* The favourite has left, or could not come in: whoever calls the bias off may sleep until then. */
void seai_lock_wake_revoker(struct seai_lock *lock);
bool seai_lock_try(struct seai_lock *lock);

/* Free, whatever it was. For a forked child, where no other thread is left. */
void seai_lock_reset(struct seai_lock *lock);

static inline void seai_lock_leave(struct seai_lock *lock)
{
	/* release: pairs with the acquire of who calls the bias off */
	atomic_store_explicit(&lock->is_entered, 0, memory_order_release);
	/* Pairs with the heavy fence there: it sees the 0, or the next load sees that there is no bias any more. */
	atomic_signal_fence(memory_order_seq_cst);
	if (SEAI_UNLIKELY(atomic_load_explicit(&lock->bias, memory_order_relaxed) != &seai_lock_self))
		seai_lock_wake_revoker(lock);
}

/* The favourite's way in. */
static inline bool seai_lock_enter(struct seai_lock *lock)
{
	if (SEAI_UNLIKELY(atomic_load_explicit(&lock->bias, memory_order_relaxed) != &seai_lock_self))
		return false;
	atomic_store_explicit(&lock->is_entered, 1, memory_order_relaxed);
	/* Pairs with the heavy fence of who calls the bias off: one of the two sees the other's store. */
	atomic_signal_fence(memory_order_seq_cst);
	if (SEAI_UNLIKELY(atomic_load_explicit(&lock->bias, memory_order_relaxed) != &seai_lock_self)) {
		seai_lock_leave(lock);
		return false;
	}
	lock->is_by_bias = true;
	return true;
}

static inline void seai_lock_release_word(struct seai_lock *lock)
{
	/* release: pairs with the acquire of who takes the word */
	atomic_store_explicit(&lock->word, 0, memory_order_release);
	/* Pairs with the heavy fence of the sleeper: one of the two sees the other's store. */
	seai_fence_light(atomic_load_explicit(&seai_fence_has_private, memory_order_relaxed));
	if (SEAI_UNLIKELY(atomic_load_explicit(&lock->n_sleepers, memory_order_relaxed)))
		seai_lock_wake(lock);
}

static inline void seai_lock_take(struct seai_lock *lock)
{
	if (SEAI_UNLIKELY(!seai_lock_enter(lock)))
		seai_lock_take_slowly(lock);
}

static inline void seai_lock_release(struct seai_lock *lock)
{
	if (SEAI_LIKELY(lock->is_by_bias)) {
		seai_lock_leave(lock);
		return;
	}
	seai_lock_release_word(lock);
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
