/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which timeframes a demo consists of: numbers and sizes of parts out of a seed, in whole numbers only, so
 * that the same seed gives the same timeframes on every machine.
 */
#include <errno.h>

#include "demo.h"

/* Steele, Lea, Flood: splitmix64. */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* log2 in 1/65536, a straight line between powers of two; and back. value from 1 to 2^32 - 1. */
static uint32_t log2_fixed(uint32_t value)
{
	unsigned k = 31 - (unsigned)__builtin_clz(value);

	return (k << 16) + (uint32_t)((((uint64_t)value << 16) >> k) - 65536);
}

static uint32_t exp2_fixed(uint32_t value)
{
	return (uint32_t)(((uint64_t)(65536 + (value & 65535)) << (value >> 16)) >> 16);
}

/* Few small, few large, most in between on a logarithmic scale: the sum of four dice is bell enough. */
static uint32_t size_draw(const struct demo_plan *plan, uint64_t *state)
{
	uint32_t low = log2_fixed(plan->part_n_bytes_min), high = log2_fixed(plan->part_n_bytes_max);
	uint64_t random = random_next(state);
	uint64_t sum = (random & 65535) + (random >> 16 & 65535) + (random >> 32 & 65535) + (random >> 48);
	uint32_t size = exp2_fixed(low + (uint32_t)((high - low) * sum / (4 * UINT64_C(65535))));

	if (size < plan->part_n_bytes_min)
		return plan->part_n_bytes_min;
	return size > plan->part_n_bytes_max ? plan->part_n_bytes_max : size;
}

unsigned demo_plan_sizes(const struct demo_plan *plan, uint64_t timeframe, uint32_t sizes[static DEMO_N_PARTS_MAX])
{
	uint64_t state = plan->seed ^ timeframe * UINT64_C(0xd1342543de82ef95);
	unsigned n_parts = DEMO_N_PARTS_MIN +
	                   (unsigned)(random_next(&state) % (DEMO_N_PARTS_MAX - DEMO_N_PARTS_MIN + 1));

	for (unsigned i = 0; i < n_parts; i++)
		sizes[i] = size_draw(plan, &state);
	return n_parts;
}

int demo_plan_make(struct demo_plan *plan, uint64_t n_bytes)
{
	plan->n_timeframes = plan->n_parts = plan->n_bytes = plan->n_bytes_largest = 0;
	while (plan->n_bytes < n_bytes || plan->n_timeframes == 0) {
		uint32_t sizes[DEMO_N_PARTS_MAX];
		unsigned n_parts = demo_plan_sizes(plan, plan->n_timeframes, sizes);
		uint64_t sum = 0;

		for (unsigned i = 0; i < n_parts; i++)
			sum += sizes[i];
		if (++plan->n_timeframes > 10000000)
			return -E2BIG;
		plan->n_parts += n_parts;
		plan->n_bytes += sum;
		if (sum > plan->n_bytes_largest)
			plan->n_bytes_largest = sum;
	}
	return 0;
}

unsigned demo_plan_n_in_flight(const struct demo_plan *plan)
{
	return 4 * (plan->n_processors + (plan->calibration ? 1 : 0)) + 4;
}
