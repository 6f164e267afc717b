/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fences as they are used: the one who sleeps stores what it wants, executes the heavy fence, and looks for data; the
 * other stores data, executes the light one, and looks for what is wanted. One of them must see the other, each time.
 */
#include <pthread.h>
#include <sched.h>

#include "base/fence.h"
#include "test.h"

struct dekker {
	_Alignas(64) _Atomic uint64_t data;
	_Alignas(64) _Atomic uint64_t want;
	_Alignas(64) _Atomic uint64_t round[2];
	_Atomic bool saw[2];
	bool asymmetric;
	uint64_t n_rounds, n_missed, n_both_early;
};

/* Both arrive before either goes on. */
static void meet(struct dekker *dekker, int me, uint64_t round)
{
	atomic_store(&dekker->round[me], round);
	for (unsigned i = 0; atomic_load(&dekker->round[!me]) < round; i++)
		if (i > 1000)
			sched_yield();
}

static void *light_side(void *arg)
{
	struct dekker *dekker = arg;

	for (uint64_t i = 1; i <= dekker->n_rounds; i++) {
		meet(dekker, 0, 2 * i - 1);
		atomic_store_explicit(&dekker->data, i, memory_order_release);
		seai_fence_light(dekker->asymmetric);
		dekker->saw[0] = atomic_load_explicit(&dekker->want, memory_order_relaxed) == i;
		meet(dekker, 0, 2 * i);
	}
	return NULL;
}

static void check_fences(bool asymmetric, uint64_t n_rounds)
{
	struct dekker dekker = { .asymmetric = asymmetric, .n_rounds = n_rounds };
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, light_side, &dekker), 0);
	for (uint64_t i = 1; i <= n_rounds; i++) {
		meet(&dekker, 1, 2 * i - 1);
		atomic_store_explicit(&dekker.want, i, memory_order_relaxed);
		seai_fence_heavy(asymmetric);
		dekker.saw[1] = atomic_load_explicit(&dekker.data, memory_order_acquire) == i;
		meet(&dekker, 1, 2 * i);
		dekker.n_missed += !dekker.saw[0] && !dekker.saw[1];
		/* Read before the next round begins: the other waits for it. */
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(dekker.n_missed, 0);
}

TEST(symmetric, "with full fences on both sides nobody misses the other")
{
	check_fences(false, test_is_sanitized() ? 5000 : 200000);
}

TEST(asymmetric, "with membarrier on the sleeper's side alone nobody misses the other")
{
	if (!seai_fence_register())
		SKIP("no membarrier here");
	check_fences(true, test_is_sanitized() ? 2000 : 50000);
}

TEST(again, "registering again is harmless, and the heavy fence works after it")
{
	if (!seai_fence_register())
		SKIP("no membarrier here");
	CHECK(seai_fence_register());
	CHECK(seai_fence_heavy_membarrier());
}
