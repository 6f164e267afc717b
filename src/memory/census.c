/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the own blocks in slices, each with the books held; between two of them arenas may come and go. See census.h. */
#include "memory/census.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "memory/arena.h"
#include "memory/chunks.h"
#include "memory/heap-state.h"
#include "memory/ledger.h"
#include "memory/region.h"
#include "memory/session.h"

/* Blocks looked at with the books held in one go: some microseconds. */
#define CENSUS_SLICE 512u

/* Where a walk is. */
struct census_walk {
	struct seai_census *census;
	struct sea_session *session;
	uint32_t *arena_ids;
	size_t n_arenas;
	uint64_t n_left;        /* blocks that may still be looked at */
	uint64_t n_bytes_arena; /* used, in the present arena, so far */
};

/* The longest run of free chunks of an arena. */
static uint64_t census_longest_run(const struct seai_arena *arena)
{
	uint64_t longest = 0, run = 0;

	if (!arena->chunk_used || arena->n_chunks_free == 0)
		return 0;
	for (uint64_t i = 0; i < arena->n_chunks;) {
		/* Word by word where nothing is free. */
		if (i % 64 == 0 && arena->chunk_used[i / 64] == UINT64_MAX) {
			run = 0;
			i += 64;
			continue;
		}
		run = seai_bit_get(arena->chunk_used, i) ? 0 : run + 1;
		longest = run > longest ? run : longest;
		i++;
	}
	return longest * SEAI_CHUNK_N_BYTES;
}

/* A free block that is kept, a hole of an arena, or an arena of its own within the quota: whichever is largest. */
static uint64_t census_largest(const struct sea_heap *heap)
{
	uint64_t largest = seai_heap_room(heap);

	if (heap->region)
		return 0; /* its user places the blocks */
	largest = largest > heap->head_n_bytes ? largest - heap->head_n_bytes : 0;
	for (const struct seai_arena *arena = heap->arenas; arena; arena = arena->heap_next) {
		uint64_t run = arena->retired || arena->immutable ? 0 : census_longest_run(arena);

		largest = run > largest ? run : largest;
	}
	for (unsigned i = 0; i < SEAI_CLASS_N; i++)
		if (heap->classes[i].free && heap->classes[i].n_bytes > largest)
			largest = heap->classes[i].n_bytes;
	return largest < heap->n_bytes_max ? largest : heap->n_bytes_max;
}

static void census_heaps(struct seai_census *census, const struct sea_session *session)
{
	for (const struct sea_heap *heap = session->heaps; heap && census->n_heaps < SEAI_CENSUS_N_HEAPS;
	     heap = heap->next) {
		struct seai_census_heap *entry = &census->heaps[census->n_heaps++];

		*entry = (struct seai_census_heap){
			.id = heap->id,
			.is_shared = heap->protection == SEA_PROTECTION_SHARED,
			.is_default = heap->id == 0,
			.pages = (uint32_t)heap->pages,
			.n_bytes_quota = heap->quota,
			.n_bytes_backed = heap->n_bytes_backed,
			.n_bytes_used = heap->n_bytes_used,
			.n_bytes_peak = heap->n_bytes_peak,
			.n_bytes_pinned = heap->n_bytes_retired,
			.n_bytes_largest = census_largest(heap),
			.n_blocks = heap->n_blocks_used,
			.n_arenas = heap->n_arenas,
			.n_retired = heap->n_arenas_retired,
			.n_waits = heap->n_waits,
			.is_region = heap->region != NULL,
		};
		if (heap->region)
			memcpy(entry->name, heap->region->name, sizeof(entry->name));
	}
}

/* What is counted at once: the heaps, the holders that there are, and the arenas to be walked. */
static int census_begin(struct census_walk *walk)
{
	struct sea_session *session = walk->session;
	struct seai_census *census = walk->census;
	const struct seai_ledger *ledger = session->ledger;
	SEAI_LOCKED(&session->books, books);

	/* What holders have released counts as free as soon as they wrote it, not when somebody allocates. */
	session->hooks->drain(session);
	census_heaps(census, session);
	census->n_arenas = session->n_arenas;
	census->n_lies = ledger->n_lies;
	census->n_orphans = ledger->n_orphans;
	for (const struct sea_heap *heap = session->heaps; heap; heap = heap->next) {
		census->n_bytes_backed += heap->n_bytes_backed;
		census->n_bytes_used += heap->n_bytes_used;
	}
	census->holders = calloc(ledger->n_holders, sizeof(*census->holders));
	walk->arena_ids = calloc(session->n_arenas + 1, sizeof(*walk->arena_ids));
	if (!census->holders || !walk->arena_ids)
		return -ENOMEM;
	census->n_holders = ledger->n_holders;
	for (uint32_t i = 0; i < ledger->n_holders; i++)
		census->holders[i].id = i == SEAI_HOLDER_SELF             ? session->id
		                        : seai_ledger_is_alive(ledger, i) ? ledger->holders[i].id
		                                                          : 0;
	for (uint32_t i = 0; i < session->n_arena_slots; i++)
		if (session->arenas[i] && session->arenas[i]->n_blocks_used && walk->n_arenas < session->n_arenas)
			walk->arena_ids[walk->n_arenas++] = session->arenas[i]->id;
	return 0;
}

/* Whether a is to stand before b: the older one, and what has no age last. */
static bool census_is_before(const struct seai_census_hold *a, const struct seai_census_hold *b)
{
	if (!a->since_ms || !b->since_ms)
		return a->since_ms && !b->since_ms;
	return a->since_ms < b->since_ms;
}

static void census_note_hold(struct seai_census *census, const struct seai_census_hold *hold)
{
	uint32_t at;

	if (census->n_holds == SEAI_CENSUS_N_HOLDS) {
		if (!census_is_before(hold, &census->holds[SEAI_CENSUS_N_HOLDS - 1]))
			return;
		census->n_holds--;
	}
	for (at = census->n_holds++; at > 0 && census_is_before(hold, &census->holds[at - 1]); at--)
		census->holds[at] = census->holds[at - 1];
	census->holds[at] = *hold;
}

static void census_count(struct seai_census *census, uint32_t holder, struct seai_census_hold *hold)
{
	struct seai_census_holder *entry;

	if (holder >= census->n_holders || !census->holders[holder].id)
		return; /* it came after the beginning */
	entry = &census->holders[holder];
	entry->n_blocks++;
	entry->n_bytes += hold->n_bytes;
	if (hold->since_ms && (!entry->oldest_ms || hold->since_ms < entry->oldest_ms))
		entry->oldest_ms = hold->since_ms;
	hold->holder_id = entry->id;
	census_note_hold(census, hold);
}

/* A block that others hold. */
static void census_out(struct seai_census *census, const struct seai_block *block, const struct seai_census_hold *hold)
{
	uint32_t holder = block->holds[0].holder;

	census->n_bytes_out += hold->n_bytes;
	if (!block->account)
		return; /* not the head of a message */
	census->n_messages_out++;
	if (!hold->since_ms || (census->oldest_out_ms && census->oldest_out_ms <= hold->since_ms))
		return;
	census->oldest_out_ms = hold->since_ms;
	/* Of several any will do; 0 is one that came after the beginning. */
	census->oldest_out_holder_id = holder < census->n_holders ? census->holders[holder].id : 0;
}

static void census_block(struct census_walk *walk, const struct seai_block *block)
{
	const struct seai_arena *arena = block->arena;
	struct seai_census_hold hold = {
		.offset = block->offset,
		.n_bytes = seai_block_capacity(block),
		.generation = block->generation,
		/* Without an account it was never sent, and what stands there is left from a free list. */
		.since_ms = block->account ? (int64_t)(block->sequence >> SEAI_SEQUENCE_MS_SHIFT) : 0,
		.arena_id = arena->id,
		.block_id = block->id,
		.heap_id = arena->heap ? arena->heap->id : UINT32_MAX,
		.fd = arena->shared ? arena->payload_fd : arena->ro_fd,
		.file_offset = arena->shared ? block->offset - arena->data_offset : block->offset,
	};

	walk->n_bytes_arena += hold.n_bytes;
	if (block->n_holds)
		census_out(walk->census, block, &hold);
	if (block->n_own)
		census_count(walk->census, SEAI_HOLDER_SELF, &hold);
	for (uint32_t i = 0; i < block->n_holds; i++) {
		const struct seai_hold *held = i < SEAI_BLOCK_N_HOLDS ? &block->holds[i]
		                                                      : &block->spill[i - SEAI_BLOCK_N_HOLDS];

		census_count(walk->census, held->holder, &hold);
	}
}

/* An arena was walked to its end. */
static void census_finish_arena(const struct census_walk *walk, const struct seai_arena *arena)
{
	struct seai_census *census = walk->census;

	if (arena->retired || !arena->heap || arena->heap->region || walk->n_bytes_arena >= arena->n_backed_bytes / 8)
		return;
	for (uint32_t i = 0; i < census->n_heaps; i++)
		if (census->heaps[i].id == arena->heap->id)
			census->heaps[i].n_bytes_pinned += arena->n_backed_bytes - walk->n_bytes_arena;
}

/* Some blocks of an arena from *at on. Returns false when there are no more, or the arena is gone. */
static bool census_slice(struct census_walk *walk, uint32_t arena_id, uint32_t *at)
{
	SEAI_LOCKED(&walk->session->books, books);
	struct seai_arena *arena = seai_session_find_arena(walk->session, arena_id);
	uint32_t end;

	if (!arena || arena->n_blocks_used == 0)
		return false;
	end = arena->n_blocks - *at > CENSUS_SLICE ? *at + CENSUS_SLICE : arena->n_blocks;
	if (end - *at > walk->n_left)
		end = *at + (uint32_t)walk->n_left;
	walk->n_left -= end - *at;
	for (; *at < end; (*at)++)
		if (arena->blocks[*at].flags & SEAI_BLOCK_USED)
			census_block(walk, &arena->blocks[*at]);
	if (*at < arena->n_blocks)
		return true;
	census_finish_arena(walk, arena);
	return false;
}

int seai_census_take(struct seai_census *census, struct sea_session *session, uint64_t n_blocks_max)
{
	struct census_walk walk = { .census = census, .session = session, .n_left = n_blocks_max };
	int r;

	*census = (struct seai_census){ .is_complete = true };
	r = census_begin(&walk);
	for (size_t i = 0; r == 0 && i < walk.n_arenas; i++) {
		uint32_t at = 0;

		walk.n_bytes_arena = 0;
		while (walk.n_left && census_slice(&walk, walk.arena_ids[i], &at))
			;
		if (!walk.n_left && (at || i + 1 < walk.n_arenas)) {
			census->is_complete = false;
			break;
		}
	}
	free(walk.arena_ids);
	if (r < 0)
		seai_census_fini(census);
	return r;
}

void seai_census_fini(struct seai_census *census)
{
	free(census->holders);
	census->holders = NULL;
	census->n_holders = 0;
}
