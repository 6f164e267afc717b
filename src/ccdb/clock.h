/* SPDX-License-Identifier: Apache-2.0 */
/* Time: CLOCK_MONOTONIC in nanoseconds, and deadlines made from timeouts; as base/clock.h, which this library does not include. */
#ifndef SEALANE_CCDB_CLOCK_H
#define SEALANE_CCDB_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SEAI_NS_PER_S INT64_C(1000000000)
#define SEAI_NS_PER_MS INT64_C(1000000)
#define SEAI_FOR_EVER INT64_MAX

static inline int64_t seai_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SEAI_NS_PER_S + now.tv_nsec;
}

/* The moment at which a timeout that starts now is over; SEAI_FOR_EVER for -1 or beyond the clock. */
static inline int64_t seai_deadline(int64_t timeout_ns)
{
	int64_t now;

	if (timeout_ns < 0)
		return SEAI_FOR_EVER;
	now = seai_now_ns();
	return timeout_ns > SEAI_FOR_EVER - 1 - now ? SEAI_FOR_EVER : now + timeout_ns;
}

static inline struct timespec seai_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / SEAI_NS_PER_S, .tv_nsec = ns % SEAI_NS_PER_S };
}

#endif
