/* SPDX-License-Identifier: Apache-2.0 */
/* What the runner (test.c) and the checks and helpers that run inside a test (support.c) share. */
#ifndef SEALANE_TEST_PRIVATE_H
#define SEALANE_TEST_PRIVATE_H

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Lies in memory shared by the runner and all processes of a test. */
struct test_verdict {
	_Atomic int n_failures;
	_Atomic bool skipped;
	_Atomic bool leaves_nothing;
};

struct test_state {
	struct test_verdict *verdict;
	char runtime_dir[PATH_MAX];
	double patience; /* $SEALANE_TEST_TIMEOUT */
	uint64_t random_seed;
	_Atomic uint64_t random_state;
};

extern struct test_state test_state;

/* One line in one write, so that lines of several processes do not mix; with the place where file is not NULL. */
void test_say(const char *file, int line, const char *prefix, const char *format, va_list arguments);

#endif
