/* SPDX-License-Identifier: Apache-2.0 */
/* The sleeping half of the lock; see lock.h. */
#include "base/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* So many times in a row the same thread, then the lock is biased to it; twice as many after each time that this was called off. */
#define LOCK_N_FIRST 256u
#define LOCK_N_MOST (UINT32_C(1) << 20)

/* Long enough for a store of a running thread to be seen by all, where the kernel does not let us make sure of it. */
#define LOCK_VISIBLE_NS (10 * SEAI_NS_PER_MS)

_Thread_local char seai_lock_self;

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

static bool lock_try_word(struct seai_lock *lock)
{
	uint32_t free_word = 0;

	/* acquire: pairs with the release in seai_lock_release() */
	return atomic_compare_exchange_strong_explicit(&lock->word, &free_word, 1, memory_order_acquire,
	                                               memory_order_relaxed);
}

static void lock_wait_for_word(struct seai_lock *lock)
{
	for (int i = 0; i < LOCK_N_SPINS; i++) {
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 && lock_try_word(lock))
			return;
		seai_relax();
	}
	atomic_fetch_add_explicit(&lock->n_sleepers, 1, memory_order_seq_cst);
	seai_fence_heavy_private();
	while (!lock_try_word(lock))
		(void)seai_futex_wait(&lock->word, 1, SEAI_FOR_EVER);
	atomic_fetch_sub_explicit(&lock->n_sleepers, 1, memory_order_relaxed);
}

/* Calls off the bias. Afterwards its favourite takes the word as everybody does, once it has left. The word is held. */
static void lock_call_off(struct seai_lock *lock)
{
	atomic_store_explicit(&lock->bias, NULL, memory_order_relaxed);
	lock->n_wanted = lock->n_wanted < LOCK_N_MOST ? 2 * lock->n_wanted : LOCK_N_MOST;
	lock->n_in_a_row = 0;
	if (!seai_fence_heavy_private()) {
		/* A filter of system calls came after the bias. No lock is biased any more. */
		const struct timespec pause = { .tv_nsec = LOCK_VISIBLE_NS };

		nanosleep(&pause, NULL);
	}
}

static bool lock_is_entered(const struct seai_lock *lock)
{
	/* acquire: pairs with the release of the favourite's leaving */
	return atomic_load_explicit(&lock->is_entered, memory_order_acquire) != 0;
}

static void lock_wait_for_favourite(struct seai_lock *lock)
{
	for (int i = 0; i < LOCK_N_SPINS; i++) {
		if (!lock_is_entered(lock))
			return;
		seai_relax();
	}
	while (lock_is_entered(lock))
		(void)seai_futex_wait(&lock->is_entered, 1, SEAI_FOR_EVER);
}

/* Whether this thread, which holds the word, is to be the favourite from now on. */
static bool lock_wants_bias(struct seai_lock *lock)
{
	if (lock->last != &seai_lock_self) {
		lock->last = &seai_lock_self;
		lock->n_in_a_row = 0;
		return false;
	}
	if (lock->n_wanted == 0)
		lock->n_wanted = LOCK_N_FIRST;
	return ++lock->n_in_a_row >= lock->n_wanted &&
	       atomic_load_explicit(&seai_fence_has_private, memory_order_relaxed) &&
	       (!lock->favourite || lock->favourite == &seai_lock_self);
}

/* The word is held, and nobody is inside by a bias. */
static void lock_begin(struct seai_lock *lock)
{
	lock->is_by_bias = false;
	if (lock_wants_bias(lock)) {
		lock->favourite = &seai_lock_self;
		lock->n_in_a_row = 0;
		/* From the next time on. Who has the word meanwhile calls it off first. */
		atomic_store_explicit(&lock->bias, &seai_lock_self, memory_order_relaxed);
	}
}

void seai_lock_take_slowly(struct seai_lock *lock)
{
	if (!lock_try_word(lock))
		lock_wait_for_word(lock);
	if (atomic_load_explicit(&lock->bias, memory_order_relaxed))
		lock_call_off(lock);
	/* Also where another called it off, in a try that failed: the favourite may be inside all the time since. */
	lock_wait_for_favourite(lock);
	lock_begin(lock);
}

bool seai_lock_try(struct seai_lock *lock)
{
	const void *bias = atomic_load_explicit(&lock->bias, memory_order_relaxed);

	/* The word may be this thread's own, from before it got the bias. */
	if (bias == &seai_lock_self)
		return !lock_is_entered(lock) && !atomic_load_explicit(&lock->word, memory_order_relaxed) &&
		       seai_lock_enter(lock);
	if (!lock_try_word(lock))
		return false;
	if (atomic_load_explicit(&lock->bias, memory_order_relaxed))
		lock_call_off(lock);
	if (lock_is_entered(lock)) {
		seai_lock_release_word(lock);
		return false;
	}
	lock_begin(lock);
	return true;
}

void seai_lock_wake(struct seai_lock *lock)
{
	seai_futex_wake(&lock->word, 1);
}

void seai_lock_wake_revoker(struct seai_lock *lock)
{
	seai_futex_wake(&lock->is_entered, 1);
}

void seai_lock_reset(struct seai_lock *lock)
{
	*lock = (struct seai_lock){ 0 };
}
