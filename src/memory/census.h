/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A census: who holds which own blocks, and how the heaps are doing, for those who watch.
 *
 * The books are never held for longer than a few hundred blocks take; so a census is a picture of some
 * milliseconds, not of a moment, and blocks that come and go meanwhile may be in it or not.
 */
#ifndef SEALANE_MEMORY_CENSUS_H
#define SEALANE_MEMORY_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sea_session;

#define SEAI_CENSUS_N_HOLDS 64
#define SEAI_CENSUS_N_HEAPS 64

/* One process that holds own blocks. */
struct seai_census_holder {
	uint64_t id; /* 0: an index that is not in use */
	uint64_t n_blocks;
	uint64_t n_bytes;
	int64_t oldest_ms; /* CLOCK_MONOTONIC when the oldest of them was sent; 0: none was */
};

/* One block of one holder. */
struct seai_census_hold {
	uint64_t holder_id;
	uint64_t offset, n_bytes, generation;
	int64_t since_ms; /* 0: it was never sent as the head of a message, nobody knows */
	uint32_t arena_id, block_id;
	uint32_t heap_id;
	int fd;               /* of the file that the block lies in, as numbered in this process */
	uint64_t file_offset; /* of the block in that file */
};

struct seai_census_heap {
	uint32_t id;
	bool is_shared, is_default, is_region;
	char name[32];  /* of a region */
	uint32_t pages; /* enum sea_pages */
	uint64_t n_bytes_quota, n_bytes_backed, n_bytes_used, n_bytes_peak;
	/*
	 * Backed, and out of reach because of little: all of the retired arenas, and of arenas of which less than an eighth is
	 * used, what is not used.
	 */
	uint64_t n_bytes_pinned;
	uint64_t n_bytes_largest; /* what one allocation could get now */
	uint64_t n_blocks, n_arenas, n_retired, n_waits;
};

struct seai_census {
	struct seai_census_holder *holders; /* by index in the ledger; 0 is this process */
	uint32_t n_holders;
	struct seai_census_hold holds[SEAI_CENSUS_N_HOLDS]; /* oldest first, those of unknown age last */
	uint32_t n_holds;
	struct seai_census_heap heaps[SEAI_CENSUS_N_HEAPS];
	uint32_t n_heaps;
	bool is_complete; /* all blocks were looked at */
	uint64_t n_bytes_backed, n_bytes_used;
	uint64_t n_lies, n_orphans;
	uint32_t n_arenas;
	/* In flight: sent, and held by others. */
	uint64_t n_messages_out; /* head blocks */
	uint64_t n_bytes_out;    /* of all blocks */
	int64_t oldest_out_ms;   /* when the oldest of them was sent; 0: there is none */
	uint64_t oldest_out_holder_id;
};

/* Counts, looking at n_blocks_max blocks at most. Takes the books itself, again and again. 0; -ENOMEM. */
int seai_census_take(struct seai_census *census, struct sea_session *session, uint64_t n_blocks_max);
void seai_census_fini(struct seai_census *census);

#endif
