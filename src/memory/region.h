/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region inside: a heap of one arena, whose blocks the user places, and a queue of those that were released.
 * Books lock held for all of it, unless it says otherwise.
 */
#ifndef SEALANE_MEMORY_REGION_H
#define SEALANE_MEMORY_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include <sealane/region.h>

#include "memory/block.h"

struct sea_heap;
struct sea_session;
struct seai_arena;

struct sea_region {
	struct sea_region *next; /* in the session's list */
	struct sea_session *session;
	struct sea_heap *heap; /* its own, with one arena */
	struct seai_arena *arena;
	uint8_t *data;
	uint64_t n_bytes;
	int64_t linger_ns;
	uint64_t user_flags;
	sea_region_release_fn on_release; /* NULL: not told, or one by one */
	sea_region_release_one_fn on_release_one;
	char *path; /* of its file, to be removed at close; NULL: none */
	void *userdata;
	char name[32];
	uint32_t n_blocks_max;

	uint32_t n_out; /* blocks that somebody holds */
	uint64_t n_bytes_out;
	struct sea_region_block *released; /* a ring of n_blocks_max entries */
	uint32_t first, n_waiting;
	uint64_t n_released;
	int fd;              /* eventfd, -1 until asked for */
	bool is_in_callback; /* the service thread is about to call, or calls, on_release */
};

/* A block of the region is free: called once for each, by seai_heap_release(). */
void seai_region_push(struct sea_region *region, struct seai_block *block);

/* Calls what wants to be called. Service thread, no lock. */
void seai_regions_run_callbacks(struct sea_session *session);

/* At the end of the session. Their heaps go with all others. */
void seai_regions_free(struct sea_session *session);

#endif
