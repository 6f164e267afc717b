/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbered points in the code at which a death test lets the process be killed: wherever another process can see a
 * half-done thing.
 *
 * The odd rule: in a library that is not built for these tests (SEALANE_POINTS) a point is nothing at all. A new protocol
 * step gets its point with it.
 */
#ifndef SEALANE_BASE_POINT_H
#define SEALANE_BASE_POINT_H

#ifdef SEALANE_POINTS
#include <stdint.h>

/* All of them lie one after the other in a section of their own, so that a test can number and list them. */
struct seai_point {
	const char *name;
	uint64_t reserved;
};

/* The test's: counts, and kills this process when it was told to. Any thread, with locks held. */
void seai_point_pass(const struct seai_point *point);

#define SEAI_POINT(name_)                                                                          \
	do {                                                                                       \
		static const struct seai_point point_                                              \
			__attribute__((section("seai_points"), used, aligned(16))) = { name_, 0 }; \
		seai_point_pass(&point_);                                                          \
	} while (0)
#else
#define SEAI_POINT(name_) ((void)0)
#endif

#endif
