/* SPDX-License-Identifier: Apache-2.0 */
/* What runs out in tests: descriptors and address space of this process; and a sender that costs its receiver much of both. */
#ifndef SEALANE_TESTS_SYSTEM_SCARCE_H
#define SEALANE_TESTS_SYSTEM_SCARCE_H

#include <stdint.h>
#include <sys/resource.h>

#include "rig.h"

#define SCARCE_N_FDS_MAX 512

struct scarce_hoard {
	int fds[SCARCE_N_FDS_MAX];
	unsigned n;
};

/* Takes all descriptors that this process may have but a few. */
void scarce_hoard(struct scarce_hoard *hoard, unsigned n_left);
void scarce_hoard_end(struct scarce_hoard *hoard);

/* Leaves as much address space as there is in use now, and some more. @return the limit before, for the end */
struct rlimit scarce_space(uint64_t n_bytes_left);
void scarce_space_end(const struct rlimit *before);

/* Steps between a test and the process that it has started. */
struct scarce {
	struct test_step ready, go, finish;
	unsigned n_left;
};

struct scarce *scarce_new(void);
void scarce_free(struct scarce *scarce);

#define SCARCE_N_ARENAS 12

/*
 * For test_fork(): waits for go, sends two messages from each of many heaps to "arenas", each of which brings its receiver
 * a descriptor and a map; signals ready, and waits for finish.
 */
void scarce_arenas_sender(void *scarce);
/* Receives as far as it goes, up to an error that the caller can act on. @return the number of the next message */
uint64_t scarce_receive_until(struct rig *rig, uint64_t first, int error);
/* The same call goes on: now, or as soon as what did not find room has come again. */
void scarce_receive_rest(struct rig *rig, uint64_t first, uint64_t end, int error);

#endif
