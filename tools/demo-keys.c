/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key tables: time and run of each row of a timeframe as an Arrow table, written straight into the timeframe's frame.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sealane/arrow/arrow.h>

#include "demo-calibration.h"

/* Of the schema and the head of a batch, generously. */
#define OVERHEAD_N_BYTES 4096u

struct demo_keys {
	const struct demo_plan *plan;
	struct sea_arrow_field fields[2];
};

int demo_keys_new(struct demo_keys **ret_keys, const struct demo_plan *plan)
{
	struct demo_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	keys->plan = plan;
	if (sea_arrow_field_init(&keys->fields[0], "timestamp", "tsm:UTC") < 0 ||
	    sea_arrow_field_init(&keys->fields[1], "run", "i") < 0) {
		free(keys);
		return -EINVAL;
	}
	*ret_keys = keys;
	return 0;
}

struct demo_keys *demo_keys_free(struct demo_keys *keys)
{
	free(keys);
	return NULL;
}

uint64_t demo_keys_n_bytes(const struct demo_keys *keys, uint64_t timeframe)
{
	return OVERHEAD_N_BYTES +
	       (sizeof(int64_t) + sizeof(int32_t)) * (uint64_t)demo_timeline_n_rows(keys->plan, timeframe);
}

static int keys_write(const struct demo_keys *keys, struct sea_arrow_writer *writer, uint64_t timeframe,
                      uint64_t *ret_n_bytes)
{
	const size_t n_rows = demo_timeline_n_rows(keys->plan, timeframe);
	struct sea_arrow_slot slots[2] = { { .n_rows = (int64_t)n_rows }, { .n_rows = (int64_t)n_rows } };
	int r = sea_arrow_writer_begin(writer, NULL);

	if (r == 0)
		r = sea_arrow_writer_reserve(writer, slots, 2, NULL);
	if (r < 0)
		return r;
	demo_timeline_fill(keys->plan, timeframe, n_rows, slots[0].data, slots[1].data);
	r = sea_arrow_writer_commit(writer, NULL);
	return r == 0 ? sea_arrow_writer_end(writer, ret_n_bytes, NULL) : r;
}

int demo_keys_add(struct demo_keys *keys, struct sea_frame *frame, uint64_t timeframe)
{
	char number[24];
	const struct sea_arrow_pair metadata = { .key = "timeframe", .value = number };
	const struct sea_arrow_schema schema = {
		.fields = keys->fields, .n_fields = 2, .metadata = &metadata, .n_metadata = 1
	};
	const uint64_t n_bytes_max = demo_keys_n_bytes(keys, timeframe);
	struct sea_arrow_writer *writer = NULL;
	uint64_t n_bytes = 0;
	void *to = NULL;
	int r = sea_frame_add(frame, n_bytes_max, SEA_ARROW_ALIGNMENT, &to);

	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%" PRIu64, timeframe);
	r = sea_arrow_writer_new(&writer, &schema, NULL);
	if (r == 0)
		r = sea_arrow_writer_set_memory(writer, to, n_bytes_max);
	if (r == 0)
		r = keys_write(keys, writer, timeframe, &n_bytes);
	sea_arrow_writer_free(writer);
	/* Lack of memory is dealt with like the frame's; anything else would be an error of ours. */
	if (r < 0)
		return r == -ENOMEM ? r : -EIO;
	return sea_frame_shrink_last(frame, n_bytes);
}
