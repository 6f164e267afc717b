/* SPDX-License-Identifier: Apache-2.0 */
/* Where the indices of one column of a batch go: see index-sink.h. */
#include <errno.h>
#include <string.h>

#include "ccdb/index-sink.h"
#include "ccdb/table-write.h"

static void sink_take_8(struct seai_index_sink *sink, const struct seai_index_result *result, size_t n_rows)
{
	uint8_t *restrict to = sink->data;
	const uint32_t *objects = result->objects;

	sink->data = to + n_rows;
	for (size_t i = 0; i < result->n_spans; i++) {
		memset(to, (int)result->spans[i].object, result->spans[i].n_rows);
		to += result->spans[i].n_rows;
	}
	for (size_t i = 0; result->n_spans == 0 && i < n_rows; i++)
		to[i] = (uint8_t)objects[i];
}

static void sink_take_16(struct seai_index_sink *sink, const struct seai_index_result *result, size_t n_rows)
{
	uint16_t *restrict to = sink->data;
	const uint32_t *objects = result->objects;

	sink->data = to + n_rows;
	for (size_t i = 0; i < result->n_spans; i++) {
		const uint16_t object = (uint16_t)result->spans[i].object;

		for (size_t k = 0; k < result->spans[i].n_rows; k++)
			to[k] = object;
		to += result->spans[i].n_rows;
	}
	for (size_t i = 0; result->n_spans == 0 && i < n_rows; i++)
		to[i] = (uint16_t)objects[i];
}

static void sink_take_32(struct seai_index_sink *sink, const struct seai_index_result *result, size_t n_rows)
{
	uint32_t *restrict to = sink->data;

	sink->data = to + n_rows;
	for (size_t i = 0; i < result->n_spans; i++) {
		const uint32_t object = result->spans[i].object;

		for (size_t k = 0; k < result->spans[i].n_rows; k++)
			to[k] = object;
		to += result->spans[i].n_rows;
	}
	if (result->n_spans == 0)
		memcpy(to, result->objects, n_rows * sizeof(*to));
}

/* Several rows of one object, to where each takes some work. */
static int sink_take_span(struct seai_index_sink *sink, uint32_t object, uint32_t n_rows)
{
	if (sink->kind == SEAI_INDEX_TO_METAS) {
		uint8_t *to = sink->data;
		struct sea_meta meta;

		seai_table_meta_of(&sink->plan->objects[object], object, &meta);
		for (size_t i = 0; i < n_rows; i++)
			memcpy(to + i * SEA_META_N_BYTES, &meta, SEA_META_N_BYTES);
		sink->data = to + (size_t)n_rows * SEA_META_N_BYTES;
		return 0;
	}
	if (sink->n_runs == 0 || sink->object != object) {
		if (sink->kind == SEAI_INDEX_TO_RUNS) {
			const uint32_t run = sink->n_runs;

			if (run == sink->n_runs_max)
				return -EINVAL;
			if (sink->index_bits == 8)
				((uint8_t *)sink->data)[run] = (uint8_t)object;
			else if (sink->index_bits == 16)
				((uint16_t *)sink->data)[run] = (uint16_t)object;
			else
				((uint32_t *)sink->data)[run] = object;
		}
		sink->n_runs++;
		sink->object = object;
	}
	sink->n_rows += n_rows;
	if (sink->kind == SEAI_INDEX_TO_RUNS)
		sink->run_ends[sink->n_runs - 1] = (int32_t)sink->n_rows;
	return 0;
}

static int sink_take_spans(struct seai_index_sink *sink, const struct seai_index_result *result, size_t n_rows)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < result->n_spans; i++)
		r = sink_take_span(sink, result->spans[i].object, result->spans[i].n_rows);
	for (size_t i = 0, next; result->n_spans == 0 && r == 0 && i < n_rows; i = next) {
		for (next = i + 1; next < n_rows && result->objects[next] == result->objects[i];)
			next++;
		r = sink_take_span(sink, result->objects[i], (uint32_t)(next - i));
	}
	return r;
}

int seai_index_sink_take(struct seai_index_sink *sink, const struct seai_index_result *result, size_t n_rows)
{
	switch (sink->kind) {
	case SEAI_INDEX_TO_8: sink_take_8(sink, result, n_rows); return 0;
	case SEAI_INDEX_TO_16: sink_take_16(sink, result, n_rows); return 0;
	case SEAI_INDEX_TO_32: sink_take_32(sink, result, n_rows); return 0;
	default: return sink_take_spans(sink, result, n_rows);
	}
}
