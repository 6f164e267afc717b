/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks rows of a table up. Nothing here trusts what it reads: an index is loaded once, and then either it names an object of this
 * column or there is none. Look-ups remember where they ended, as a guess for the next, which any thread may overwrite.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/table-read.h"

/* Words that are compared before anybody looks whether they differ. */
#define RUN_STRIDE 8

#define RELAXED memory_order_relaxed

/* The cast away of const: a guess is not part of what a table is. */
static void guess_set(const _Atomic size_t *guess, size_t value)
{
	atomic_store_explicit((_Atomic size_t *)(uintptr_t)guess, value, RELAXED);
}

static size_t guess_get(const _Atomic size_t *guess)
{
	return atomic_load_explicit(guess, RELAXED);
}

/* One row. ----------------------------------------------------------------------------------- */

static inline uint32_t index_load(const void *data, enum seai_cells_kind kind, size_t at)
{
	/* Negative ones become larger than any number of objects. */
	switch (kind) {
	case SEAI_CELLS_8: return (uint32_t)((const int8_t *)data)[at];
	case SEAI_CELLS_16: return (uint32_t)((const int16_t *)data)[at];
	case SEAI_CELLS_32: return (uint32_t)((const int32_t *)data)[at];
	default: return UINT32_MAX;
	}
}

static inline const struct sea_table_object *object_of(const struct sea_table *table, uint32_t index, size_t column)
{
	const struct sea_table_object *object;

	if (index >= table->n_objects)
		return NULL;
	object = &table->entries[index].object;
	return object->index == column ? object : NULL;
}

/* Where a run lies: rows from first to before end of its batch. */
struct cells_run {
	size_t run;
	int64_t first;
	int64_t end;
};

static bool run_look(const struct seai_cells *cells, size_t run, int64_t row, struct cells_run *ret_run)
{
	const struct cells_run found = { run, run > 0 ? cells->run_ends[run - 1] : 0, cells->run_ends[run] };

	if (row < found.first || row >= found.end)
		return false;
	*ret_run = found;
	return true;
}

static bool run_find(const struct seai_cells *cells, int64_t row, struct cells_run *ret_run)
{
	const size_t guess = guess_get(&cells->hint);
	size_t low = 0, n = cells->n_runs;

	if (guess < n && run_look(cells, guess, row, ret_run))
		return true;
	if (guess + 1 < n && run_look(cells, guess + 1, row, ret_run)) {
		guess_set(&cells->hint, guess + 1);
		return true;
	}
	/* The first run that ends behind the row. */
	while (n > 0) {
		const size_t half = n / 2;

		if (cells->run_ends[low + half] <= row) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	if (low >= cells->n_runs || !run_look(cells, low, row, ret_run))
		return false;
	guess_set(&cells->hint, low);
	return true;
}

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct seai_table_by_meta, row));
}

static uint32_t meta_find(const struct sea_table *table, const struct seai_cells *cells, size_t row, size_t column)
{
	const size_t guess = guess_get(&cells->hint);
	const struct seai_table_by_meta *found;
	struct seai_table_by_meta key = { .column = (uint32_t)column };

	memcpy(&key.meta, (const uint8_t *)cells->data + row * SEA_META_N_BYTES, SEA_META_N_BYTES);
	if (guess < table->n_objects && key_compare(&key, &table->by_meta[guess]) == 0)
		return table->by_meta[guess].row;
	found = bsearch(&key, table->by_meta, table->n_objects, sizeof(key), key_compare);
	if (found == NULL)
		return UINT32_MAX;
	guess_set(&cells->hint, (size_t)(found - table->by_meta));
	return found->row;
}

/* Of a row of a batch that has it. */
static inline const struct sea_table_object *cells_get(const struct sea_table *table, const struct seai_cells *cells,
                                                       size_t row, size_t column)
{
	struct cells_run run;

	if (SEAI_CELLS_8 == cells->kind)
		return object_of(table, index_load(cells->data, SEAI_CELLS_8, row), column);
	switch (cells->kind) {
	case SEAI_CELLS_METAS: return object_of(table, meta_find(table, cells, row, column), column);
	case SEAI_CELLS_RUNS:
		if (!run_find(cells, (int64_t)row, &run))
			return NULL;
		return object_of(table, index_load(cells->data, cells->value_kind, run.run), column);
	default: return object_of(table, index_load(cells->data, cells->kind, row), column);
	}
}

/* The batch of a row that there is. */
static inline size_t batch_of(const struct sea_table *table, int64_t row)
{
	const size_t guess = guess_get(&table->hint);
	size_t low = 0, n = table->n_batches;

	if (row >= table->first_rows[guess] && row < table->first_rows[guess + 1])
		return guess;
	/* The last batch that begins at or before the row: those that are empty come before it. */
	while (n > 1) {
		const size_t half = n / 2;

		if (table->first_rows[low + half] <= row)
			low += half;
		n -= half;
	}
	guess_set(&table->hint, low);
	return low;
}

const struct sea_table_object *sea_table_get(const struct sea_table *table, int64_t row, size_t column)
{
	size_t batch;

	if ((uint64_t)row >= (uint64_t)table->n_rows || column >= table->n_columns)
		return NULL;
	batch = batch_of(table, row);
	return cells_get(table, &table->cells[batch * table->n_columns + column],
	                 (size_t)(row - table->first_rows[batch]), column);
}

/* Many rows. --------------------------------------------------------------------------------- */

static int cells_get_many(const struct sea_table *table, const struct seai_cells *cells, size_t row, size_t n_rows,
                          size_t column, const struct sea_table_object **objects)
{
	if (cells->kind == SEAI_CELLS_8) {
		const int8_t *indices = (const int8_t *)cells->data + row;

		for (size_t i = 0; i < n_rows; i++) {
			objects[i] = object_of(table, (uint32_t)indices[i], column);
			if (objects[i] == NULL)
				return -EBADMSG;
		}
		return 0;
	}
	for (size_t i = 0; i < n_rows; i++) {
		objects[i] = cells_get(table, cells, row + i, column);
		if (objects[i] == NULL)
			return -EBADMSG;
	}
	return 0;
}

int sea_table_get_many(const struct sea_table *table, int64_t first_row, size_t n_rows, size_t column,
                       const struct sea_table_object **objects)
{
	if (first_row < 0 || first_row > table->n_rows || n_rows > (uint64_t)(table->n_rows - first_row) ||
	    column >= table->n_columns)
		return -EINVAL;
	while (n_rows > 0) {
		const size_t batch = batch_of(table, first_row);
		const uint64_t n_left = (uint64_t)(table->first_rows[batch + 1] - first_row);
		const size_t n = n_left < n_rows ? (size_t)n_left : n_rows;
		const int r = cells_get_many(table, &table->cells[batch * table->n_columns + column],
		                             (size_t)(first_row - table->first_rows[batch]), n, column, objects);

		if (r < 0)
			return r;
		first_row += (int64_t)n;
		objects += n;
		n_rows -= n;
	}
	return 0;
}

/* Runs. -------------------------------------------------------------------------------------- */

/* How many bytes are as the pattern says, which is one index again and again. Little-endian, as Arrow is here. */
static inline size_t bytes_equal(const uint8_t *data, size_t n_bytes, uint64_t pattern)
{
	size_t i = 0;

	while (n_bytes - i >= sizeof(pattern)) {
		uint64_t word;

		memcpy(&word, data + i, sizeof(word));
		word ^= pattern;
		if (word != 0)
			return i + (size_t)__builtin_ctzll(word) / 8;
		i += sizeof(word);
		/* Long runs: many words at once. */
		while (n_bytes - i >= RUN_STRIDE * sizeof(word)) {
			uint64_t words[RUN_STRIDE], differ = 0;

			memcpy(words, data + i, sizeof(words));
			for (size_t k = 0; k < RUN_STRIDE; k++)
				differ |= words[k] ^ pattern;
			if (differ != 0)
				break;
			i += sizeof(words);
		}
	}
	for (; i < n_bytes; i++, pattern = pattern >> 8 | pattern << 56) {
		if (data[i] != (uint8_t)pattern)
			break;
	}
	return i;
}

static uint64_t pattern_of(uint32_t index, enum seai_cells_kind kind)
{
	if (kind == SEAI_CELLS_8)
		return (index & 0xff) * UINT64_C(0x0101010101010101);
	if (kind == SEAI_CELLS_16)
		return (index & 0xffff) * UINT64_C(0x0001000100010001);
	return index * UINT64_C(0x0000000100000001);
}

/* Of runs: those that follow may be of the same object. */
static size_t runs_run_end(const struct seai_cells *cells, size_t row, size_t n_rows,
                           const struct sea_table_object *object)
{
	struct cells_run run;

	if (!run_find(cells, (int64_t)row, &run))
		return row + 1;
	while (run.end < (int64_t)n_rows && run.run + 1 < cells->n_runs &&
	       index_load(cells->data, cells->value_kind, run.run + 1) == object->row) {
		const int64_t end = cells->run_ends[++run.run];

		/* Malformed: the next look-up says so. */
		if (end <= run.end)
			break;
		run.end = end;
	}
	return run.end < (int64_t)n_rows ? (size_t)run.end : n_rows;
}

/* The first row behind `row` that is not of this object, at most n_rows. */
static inline size_t cells_run_end(const struct sea_table *table, const struct seai_cells *cells, size_t row,
                                   size_t n_rows, const struct sea_table_object *object)
{
	const uint8_t *next = (const uint8_t *)cells->data;
	const size_t n_left = n_rows - ++row;
	const uint64_t pattern = pattern_of(object->row, cells->kind);

	/* What is less than a whole index at the end of the bytes that are equal differs as a whole. */
	switch (cells->kind) {
	case SEAI_CELLS_8: return row + bytes_equal(next + row, n_left, pattern);
	case SEAI_CELLS_16: return row + bytes_equal(next + 2 * row, 2 * n_left, pattern) / 2;
	case SEAI_CELLS_32: return row + bytes_equal(next + 4 * row, 4 * n_left, pattern) / 4;
	case SEAI_CELLS_RUNS: return runs_run_end(cells, row - 1, n_rows, object);
	default:
		while (row < n_rows && meta_find(table, cells, row, object->index) == object->row)
			row++;
		return row;
	}
}

/* A run that reaches the end of a batch goes on in the next, if that begins with the same object. @return its end */
static int64_t run_extend(const struct sea_table *table, size_t batch, size_t column, int64_t end,
                          const struct sea_table_object *object)
{
	while (end == table->first_rows[batch + 1] && ++batch < table->n_batches) {
		const struct seai_cells *cells = &table->cells[batch * table->n_columns + column];
		const int64_t n_rows = table->first_rows[batch + 1] - end;

		if (n_rows == 0)
			continue;
		if (cells_get(table, cells, 0, column) != object)
			break;
		end += (int64_t)cells_run_end(table, cells, 0, (size_t)n_rows, object);
	}
	return end;
}

int sea_table_run_next(const struct sea_table *table, size_t column, struct sea_table_run *run)
{
	const struct sea_table_object *object;
	const struct seai_cells *cells;
	int64_t row, first, last, end;
	size_t batch;

	if (column >= table->n_columns || run->first_row < 0 || run->n_rows < 0 || run->first_row > table->n_rows ||
	    run->n_rows > table->n_rows - run->first_row)
		return -EINVAL;
	row = run->first_row + run->n_rows;
	if (row == table->n_rows)
		return 0;
	batch = batch_of(table, row);
	cells = &table->cells[batch * table->n_columns + column];
	first = table->first_rows[batch];
	last = table->first_rows[batch + 1];
	object = cells_get(table, cells, (size_t)(row - first), column);
	if (object == NULL)
		return -EBADMSG;
	end = first + (int64_t)cells_run_end(table, cells, (size_t)(row - first), (size_t)(last - first), object);
	if (end == last)
		end = run_extend(table, batch, column, end, object);
	*run = (struct sea_table_run){ .first_row = row, .n_rows = end - row, .object = object };
	return 1;
}
