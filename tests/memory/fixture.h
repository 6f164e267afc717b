/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session without a wire: just enough of one for heaps and arenas to stand in. Nothing runs by
 * itself; fixture_service() does what the service thread would do.
 */
#ifndef SEALANE_TEST_MEMORY_FIXTURE_H
#define SEALANE_TEST_MEMORY_FIXTURE_H

#include "memory/heap-state.h"

struct fixture {
	struct sea_session session;
	unsigned n_pokes;
};

void fixture_init(struct fixture *fixture);
void fixture_fini(struct fixture *fixture);

/* Takes the retired arenas and tries to destroy each; those that are still in use go back. Returns how many are gone. */
unsigned fixture_service(struct fixture *fixture);

/* A heap with that quota and default options. */
struct sea_heap *fixture_heap(struct fixture *fixture, uint64_t quota_n_bytes);

/* With the lock, and the check that it worked. */
struct seai_block *fixture_allocate(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment);
/* The same, with its memory. */
struct seai_block *fixture_allocate_backed(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment);
/* Without the check: the error. */
int fixture_try_allocate(struct sea_heap *heap, uint64_t n_bytes, struct seai_block **ret_block);
void fixture_release(struct seai_block *block);

/* Bytes that the files of a heap's arenas really occupy, as the kernel counts them. */
uint64_t fixture_real_n_bytes(const struct sea_heap *heap);

#endif
