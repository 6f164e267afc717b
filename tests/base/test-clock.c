/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "test.h"

TEST(now, "the clock goes forward, and is CLOCK_MONOTONIC")
{
	int64_t before = test_now_ns(), now = seai_now_ns(), after = test_now_ns();

	CHECK_LE(before, now);
	CHECK_LE(now, after);
}

TEST(deadline, "a deadline lies a timeout ahead; -1 and what the clock cannot tell are for ever")
{
	int64_t before = seai_now_ns(), deadline = seai_deadline(5 * SEAI_NS_PER_S);

	CHECK_GE(deadline, before + 5 * SEAI_NS_PER_S);
	CHECK_LE(deadline, seai_now_ns() + 5 * SEAI_NS_PER_S);
	CHECK_EQ(seai_deadline(-1), SEAI_FOR_EVER);
	CHECK_EQ(seai_deadline(INT64_MIN), SEAI_FOR_EVER);
	CHECK_EQ(seai_deadline(INT64_MAX), SEAI_FOR_EVER);
	CHECK_EQ(seai_deadline(INT64_MAX - 1), SEAI_FOR_EVER);
	CHECK_LT(seai_deadline(INT64_MAX / 2), SEAI_FOR_EVER);
}

TEST(timespec, "a timespec has its nanoseconds below a second, also for ever")
{
	struct timespec time = seai_timespec(3 * SEAI_NS_PER_S + 7);

	CHECK_EQ(time.tv_sec, 3);
	CHECK_EQ(time.tv_nsec, 7);
	time = seai_timespec(SEAI_FOR_EVER);
	CHECK_GE(time.tv_nsec, 0);
	CHECK_LT(time.tv_nsec, SEAI_NS_PER_S);
	CHECK_GT(time.tv_sec, INT32_MAX);
}
