/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bitmaps of chunks; see chunks.h. The searches look at one chunk after the other:
 * they run when a class is cold, at about a nanosecond a chunk (16 us per GiB).
 */
#include "memory/chunks.h"

/* First chunk from i on whose used bit is `used`, or end. Skips whole words. */
static uint64_t chunks_skip(const struct seai_arena *arena, uint64_t i, uint64_t end, bool used)
{
	while (i < end) {
		uint64_t word = arena->chunk_used[i / 64];

		word = (used ? word : ~word) >> (i % 64);
		if (word) {
			i += (uint64_t)__builtin_ctzll(word);
			break;
		}
		i = (i / 64 + 1) * 64;
	}
	return i < end ? i : end;
}

bool seai_chunks_find(const struct seai_arena *arena, uint64_t n_chunks, uint64_t n_now, uint64_t alignment,
                      uint64_t *ret_first, uint64_t *ret_n_unbacked)
{
	uint64_t end = arena->n_chunks, from, to, best = UINT64_MAX;

	if (arena->n_chunks_free < n_chunks)
		return false;
	for (from = chunks_skip(arena, 0, end, false); from < end; from = chunks_skip(arena, to, end, false)) {
		uint64_t n_unbacked;

		to = chunks_skip(arena, from, end, true);
		if (to - from < n_chunks)
			continue;
		n_unbacked = seai_chunks_count_unbacked(arena, from, n_now);
		for (uint64_t i = from;; i++) {
			if (i % alignment == 0 && n_unbacked < best) {
				best = n_unbacked;
				*ret_first = i;
				*ret_n_unbacked = n_unbacked;
				if (best == 0)
					return true;
			}
			if (i + n_chunks >= to)
				break;
			n_unbacked -= !seai_bit_get(arena->chunk_backed, i);
			n_unbacked += !seai_bit_get(arena->chunk_backed, i + n_now);
		}
	}
	return best != UINT64_MAX;
}

void seai_chunks_take(struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	for (uint64_t i = first; i < first + n_chunks; i++)
		seai_bit_set(arena->chunk_used, i);
	arena->n_chunks_free -= n_chunks;
}

void seai_chunks_give(struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	for (uint64_t i = first; i < first + n_chunks; i++) {
		if (!seai_bit_get(arena->chunk_used, i))
			continue;
		arena->chunk_used[i / 64] &= ~((uint64_t)1 << (i % 64));
		arena->n_chunks_free++;
	}
}

uint64_t seai_chunks_count_unbacked(const struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < first + n_chunks; i++)
		n += !seai_bit_get(arena->chunk_backed, i);
	return n;
}

uint64_t seai_chunks_count_leading_backed(const struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	uint64_t n = 0;

	while (n < n_chunks && seai_bit_get(arena->chunk_backed, first + n))
		n++;
	return n;
}

uint64_t seai_chunks_set_backed(struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	uint64_t n = seai_chunks_count_unbacked(arena, first, n_chunks);

	for (uint64_t i = first; i < first + n_chunks; i++)
		seai_bit_set(arena->chunk_backed, i);
	return n;
}

uint64_t seai_chunks_clear_backed(struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < first + n_chunks; i++) {
		n += seai_bit_get(arena->chunk_backed, i);
		arena->chunk_backed[i / 64] &= ~((uint64_t)1 << (i % 64));
		/* A huge page went with it: what comes next in its place may be collapsed again. */
		arena->unit_collapsed[i / 32 / 64] &= ~((uint64_t)1 << (i / 32 % 64));
	}
	return n;
}

uint64_t seai_chunks_count_punchable(const struct seai_arena *arena, uint64_t first, uint64_t n_chunks)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < first + n_chunks; i++) {
		if (seai_bit_get(arena->chunk_used, i))
			return 0;
		n += seai_bit_get(arena->chunk_backed, i);
	}
	return n;
}

void seai_chunks_widen(const struct seai_arena *arena, uint64_t unit, uint64_t *first, uint64_t *n_chunks)
{
	uint64_t from = *first & ~(unit - 1), to = (*first + *n_chunks + unit - 1) & ~(unit - 1);
	uint64_t data = arena->data_offset / SEAI_CHUNK_N_BYTES;

	from = from < data ? data : from;
	to = to > arena->n_chunks ? arena->n_chunks : to;
	*first = from;
	*n_chunks = to - from;
}
