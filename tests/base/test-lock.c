/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "base/clock.h"
#include "base/lock.h"
#include "test.h"

struct contended {
	struct seai_lock lock;
	uint64_t counter, mirror;
	unsigned n_rounds;
};

static void *contend(void *arg)
{
	struct contended *contended = arg;

	for (unsigned i = 0; i < contended->n_rounds; i++) {
		SEAI_LOCKED(&contended->lock, lock);
		CHECK_EQ(contended->counter, contended->mirror);
		contended->counter++;
		if (i % 1000 == 0)
			test_sleep_ms(1); /* the others sleep as well */
		contended->mirror++;
	}
	return NULL;
}

TEST(exclusion, "what threads do under a lock does not interleave, also where they have to sleep")
{
	struct contended contended = { .n_rounds = test_is_sanitized() ? 5000 : 50000 };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, contend, &contended), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(contended.counter, 4 * (uint64_t)contended.n_rounds);
	CHECK_EQ(contended.lock.word, 0);
}

TEST(try, "a lock that is held cannot be had, one that was let go can")
{
	struct seai_lock lock = { 0 };

	CHECK(seai_lock_try(&lock));
	CHECK(!seai_lock_try(&lock));
	seai_lock_release(&lock);
	CHECK(seai_lock_try(&lock));
	seai_lock_release(&lock);
}

/* Takes a lock so often that it is biased to this thread, where this kernel can do that. */
static void favour(struct seai_lock *lock)
{
	for (unsigned i = 0; i < 10000; i++) {
		seai_lock_take(lock);
		seai_lock_release(lock);
	}
	CHECK(!seai_fence_has_private || lock->bias == &seai_lock_self);
}

struct favoured {
	struct seai_lock lock;
	uint64_t counter, mirror;
	_Atomic bool is_over;
	_Atomic uint64_t n_by_others;
};

static void favoured_visit(struct favoured *favoured)
{
	SEAI_LOCKED(&favoured->lock, lock);
	CHECK_EQ(favoured->counter, favoured->mirror);
	favoured->counter++;
	favoured->mirror++;
}

static void *favoured_other(void *arg)
{
	struct favoured *favoured = arg;

	while (!favoured->is_over) {
		favoured_visit(favoured);
		favoured->n_by_others++;
		for (volatile unsigned i = 0; i < test_random() % 3000; i++)
			;
	}
	return NULL;
}

TEST(bias, "a lock's usual thread and others that come at any moment exclude each other")
{
	struct favoured favoured = { 0 };
	uint64_t n = 0, n_wanted = test_is_sanitized() ? 200000 : 2000000;
	pthread_t threads[2];

	favour(&favoured.lock);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, favoured_other, &favoured), 0);
	/* The bias is called off and given again all the time: so few in a row are wanted. */
	for (; n < n_wanted || favoured.n_by_others < 1000; n++) {
		SEAI_LOCKED(&favoured.lock, lock);
		if (!favoured.lock.is_by_bias && favoured.lock.n_wanted > 4)
			favoured.lock.n_wanted = 4;
		CHECK_EQ(favoured.counter, favoured.mirror);
		favoured.counter++;
		favoured.mirror++;
	}
	favoured.is_over = true;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(favoured.counter, n + favoured.n_by_others);
	CHECK_EQ(favoured.lock.word, 0);
}

static void *bias_try(void *arg)
{
	struct seai_lock *lock = arg;

	return seai_lock_try(lock) ? lock : NULL;
}

static void *bias_take(void *arg)
{
	seai_lock_take(arg);
	seai_lock_release(arg);
	return arg;
}

TEST(bias_held,
     "a lock that its usual thread holds cannot be had by another, nor twice by itself, and then goes to who waits")
{
	struct seai_lock lock = { 0 };
	pthread_t thread;
	void *result;

	favour(&lock);
	seai_lock_take(&lock);
	CHECK(!seai_lock_try(&lock));
	CHECK_EQ(pthread_create(&thread, NULL, bias_try, &lock), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(!result);
	CHECK_EQ(pthread_create(&thread, NULL, bias_take, &lock), 0);
	test_sleep_ms(5); /* it sleeps on our leaving */
	seai_lock_release(&lock);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == &lock);
	CHECK(seai_lock_try(&lock));
	CHECK(!seai_lock_try(&lock));
	seai_lock_release(&lock);
	favour(&lock); /* it gets its bias again */
	CHECK_EQ(pthread_create(&thread, NULL, bias_try, &lock), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result == &lock);
}

TEST(bias_once, "a lock is biased to one thread in its life, and works for others all the same")
{
	struct seai_lock lock = { 0 };
	pthread_t thread;

	favour(&lock);
	if (!lock.favourite)
		test_skip("no membarrier here");
	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(i % 500 ? 0 : pthread_create(&thread, NULL, bias_take, &lock), 0);
		if (i % 500 == 0)
			CHECK_EQ(pthread_join(thread, NULL), 0);
	}
	CHECK(lock.favourite == &seai_lock_self);
}

TEST(scope, "a lock of a scope is let go at its end")
{
	struct seai_lock lock = { 0 };

	for (int i = 0; i < 3; i++) {
		SEAI_LOCKED(&lock, held);
		CHECK(!seai_lock_try(&lock));
		if (i == 1)
			continue;
	}
	CHECK(seai_lock_try(&lock));
	seai_lock_release(&lock);
}

TEST(futex_wait, "a wait ends at once if the word has changed, at its deadline, and by being woken")
{
	_Atomic uint32_t word = 5;
	int64_t deadline_ns = seai_deadline(2 * SEAI_NS_PER_MS);

	CHECK_OK(seai_futex_wait(&word, 4, SEAI_FOR_EVER));
	CHECK_ERR(seai_futex_wait(&word, 5, deadline_ns), -ETIMEDOUT);
	CHECK_GE(seai_now_ns(), deadline_ns);
	CHECK_ERR(seai_futex_wait(&word, 5, 0), -ETIMEDOUT);
}

struct sleeper {
	_Atomic uint32_t word;
	_Atomic int result;
	_Atomic bool is_over;
	int64_t deadline_ns;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->result = seai_futex_wait(&sleeper->word, 0, sleeper->deadline_ns);
	sleeper->is_over = true;
	return NULL;
}

TEST(futex_wake, "waking wakes")
{
	struct sleeper sleeper = { .deadline_ns = SEAI_FOR_EVER };
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, sleeper_main, &sleeper), 0);
	test_sleep_ms(5);
	CHECK(!sleeper.is_over);
	sleeper.word = 1;
	seai_futex_wake(&sleeper.word, INT_MAX);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(sleeper.result, 0);
}

static void on_signal(int number)
{
	(void)number;
}

TEST(futex_signal, "a signal handler ends a wait with -EINTR, with and without SA_RESTART, with and without a deadline")
{
	for (int i = 0; i < 4; i++) {
		struct sigaction action = { .sa_handler = on_signal, .sa_flags = i & 1 ? SA_RESTART : 0 };
		struct sleeper sleeper = { .deadline_ns = i & 2 ? seai_deadline(test_patience_ns()) : SEAI_FOR_EVER };
		pthread_t thread;

		CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
		CHECK_EQ(pthread_create(&thread, NULL, sleeper_main, &sleeper), 0);
		while (!sleeper.is_over) {
			test_sleep_ms(2);
			if (!sleeper.is_over)
				pthread_kill(thread, SIGUSR1);
		}
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(sleeper.result, -EINTR);
	}
}
