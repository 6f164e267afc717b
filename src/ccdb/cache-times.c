/* SPDX-License-Identifier: Apache-2.0 */
/* See cache-times.h. */
#include "ccdb/cache-times.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More pieces than that are not searched one by one. */
#define TIMES_N_PIECES_MAX 32
/* A range of times up to that, in ms, is sorted by a bitmap: 8 MiB, 18 hours. */
#define TIMES_BITMAP_N_MAX (INT64_C(1) << 26)

int seai_times_look(const int64_t *times_ms, int64_t n_rows)
{
	int64_t before = 0, falls = 0, signs = 0;

	/* Without a branch, so that the compiler takes several at a time. */
	for (int64_t i = 0; i < n_rows; i++) {
		/* Not the last one that there is either: nothing could end behind it. */
		signs |= times_ms[i] | (int64_t)((uint64_t)times_ms[i] + 1);
		falls |= (int64_t)((uint64_t)times_ms[i] - (uint64_t)before);
		before = times_ms[i];
	}
	return signs < 0 ? -ERANGE : falls >= 0;
}

int seai_times_add(struct seai_times *times, const int64_t *times_ms, int64_t n_rows, bool is_sorted)
{
	struct seai_times_piece *last = times->n_pieces ? &times->pieces[times->n_pieces - 1] : NULL;

	if (n_rows == 0)
		return 0;
	if (!last)
		times->first_ms = times_ms[0];
	/* Rows that go on where the last piece ends are one piece with it. */
	if (last && last->times_ms + last->n_rows == times_ms) {
		last->is_sorted = last->is_sorted && is_sorted && times_ms[0] >= times_ms[-1];
		last->n_rows += n_rows;
		return 0;
	}
	if (!times->pieces || times->n_pieces == times->n_max) {
		const size_t n_max = times->n_max ? 2 * times->n_max : 4;
		struct seai_times_piece *pieces = realloc(times->pieces, n_max * sizeof(*pieces));

		if (!pieces)
			return -ENOMEM;
		times->pieces = pieces;
		times->n_max = n_max;
	}
	times->pieces[times->n_pieces++] = (struct seai_times_piece){ times_ms, n_rows, is_sorted };
	return 0;
}

static int times_compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Each time sets a bit; the bits are read in their order. */
static int times_by_bitmap(struct seai_times *times, int64_t low, int64_t high)
{
	const size_t n_words = (size_t)((high - low) / 64 + 1);
	uint64_t *bits = calloc(n_words, sizeof(*bits));
	size_t n = 0;

	if (!bits)
		return -ENOMEM;
	for (size_t p = 0; p < times->n_pieces; p++)
		for (int64_t i = 0; i < times->pieces[p].n_rows; i++) {
			const uint64_t at = (uint64_t)(times->pieces[p].times_ms[i] - low);

			/* Memory that a peer can write may have changed since it was looked at. */
			if (at <= (uint64_t)(high - low))
				bits[at / 64] |= UINT64_C(1) << (at % 64);
		}
	for (size_t w = 0; w < n_words; w++)
		n += (size_t)__builtin_popcountll(bits[w]);
	times->distinct = malloc((n ? n : 1) * sizeof(*times->distinct));
	if (!times->distinct) {
		free(bits);
		return -ENOMEM;
	}
	for (size_t w = 0; w < n_words; w++)
		for (uint64_t left = bits[w]; left; left &= left - 1)
			times->distinct[times->n_distinct++] = low + (int64_t)(64 * w) + __builtin_ctzll(left);
	free(bits);
	return 0;
}

static int times_by_sorting(struct seai_times *times, size_t n_rows)
{
	size_t n = 0;

	times->distinct = malloc(n_rows * sizeof(*times->distinct));
	if (!times->distinct)
		return -ENOMEM;
	for (size_t p = 0; p < times->n_pieces; p++) {
		memcpy(times->distinct + n, times->pieces[p].times_ms,
		       (size_t)times->pieces[p].n_rows * sizeof(int64_t));
		n += (size_t)times->pieces[p].n_rows;
	}
	qsort(times->distinct, n, sizeof(*times->distinct), times_compare);
	for (size_t i = 0; i < n; i++)
		if (times->n_distinct == 0 || times->distinct[i] != times->distinct[times->n_distinct - 1])
			times->distinct[times->n_distinct++] = times->distinct[i];
	return 0;
}

int seai_times_seal(struct seai_times *times)
{
	int64_t low = INT64_MAX, high = 0;
	bool is_sorted = times->n_pieces <= TIMES_N_PIECES_MAX;
	size_t n_rows = 0;

	for (size_t p = 0; p < times->n_pieces; p++)
		is_sorted = is_sorted && times->pieces[p].is_sorted;
	if (is_sorted)
		return 0;
	for (size_t p = 0; p < times->n_pieces; p++) {
		n_rows += (size_t)times->pieces[p].n_rows;
		for (int64_t i = 0; i < times->pieces[p].n_rows; i++) {
			const int64_t t = times->pieces[p].times_ms[i];

			low = t < low ? t : low;
			high = t > high ? t : high;
		}
	}
	if ((uint64_t)high - (uint64_t)low < TIMES_BITMAP_N_MAX)
		return times_by_bitmap(times, low, high);
	return times_by_sorting(times, n_rows);
}

/* The first of n sorted times at or after from_ms: its index, n if there is none. */
static size_t times_search(const int64_t *sorted, size_t n, int64_t from_ms)
{
	size_t low = 0;

	while (n > 0) {
		const size_t half = n / 2;

		if (sorted[low + half] < from_ms) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

bool seai_times_next(const struct seai_times *times, int64_t from_ms, int64_t *ret_ms)
{
	bool found = false;

	if (times->distinct) {
		const size_t i = times_search(times->distinct, times->n_distinct, from_ms);

		if (i < times->n_distinct)
			*ret_ms = times->distinct[i];
		return i < times->n_distinct;
	}
	for (size_t p = 0; p < times->n_pieces; p++) {
		const struct seai_times_piece *piece = &times->pieces[p];
		const size_t i = times_search(piece->times_ms, (size_t)piece->n_rows, from_ms);

		int64_t t;

		if (i == (size_t)piece->n_rows)
			continue;
		t = piece->times_ms[i];
		/* Memory that a peer can write may have changed since it was looked at: never go back. */
		if (t >= from_ms && (!found || t < *ret_ms)) {
			*ret_ms = t;
			found = true;
		}
	}
	return found;
}

uint64_t seai_times_count(const struct seai_times *times, int64_t from_ms, int64_t until_ms, size_t n_shares)
{
	uint64_t n = 0;

	for (size_t p = 0; p < times->n_pieces; p++) {
		const struct seai_times_piece *piece = &times->pieces[p];

		if (times->distinct)
			n += (uint64_t)piece->n_rows / n_shares;
		else
			n += times_search(piece->times_ms, (size_t)piece->n_rows, until_ms) -
			     times_search(piece->times_ms, (size_t)piece->n_rows, from_ms);
	}
	return n;
}

void seai_times_fini(struct seai_times *times)
{
	free(times->pieces);
	free(times->distinct);
	*times = (struct seai_times){ 0 };
}
