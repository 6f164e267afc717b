/* SPDX-License-Identifier: Apache-2.0 */
/* Key tables for tests of the cache. */
#include "keys.h"

#include <string.h>

static uint64_t keys_write(struct sea_arrow_writer *writer, const struct keys *keys, void *memory, uint64_t n_bytes)
{
	const size_t n_batches = keys->n_batches ? keys->n_batches : 1, n_slots = keys->runs ? 2 : 1;
	uint64_t n_written;

	CHECK_OK(sea_arrow_writer_set_memory(writer, memory, n_bytes));
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	for (size_t b = 0; b < n_batches; b++) {
		const size_t first = keys->n_rows * b / n_batches, n = keys->n_rows * (b + 1) / n_batches - first;
		struct sea_arrow_slot slots[2] = { { .n_rows = (int64_t)n }, { .n_rows = (int64_t)n } };

		CHECK_OK(sea_arrow_writer_reserve(writer, slots, n_slots, NULL));
		if (n)
			memcpy(slots[0].data, keys->times_ms + first, n * sizeof(int64_t));
		if (n && keys->runs)
			memcpy(slots[1].data, keys->runs + first, n * sizeof(int32_t));
		CHECK_OK(sea_arrow_writer_commit(writer, NULL));
	}
	CHECK_OK(sea_arrow_writer_end(writer, &n_written, NULL));
	return n_written;
}

struct sea_message *keys_message(struct sea_session *session, const struct keys *keys)
{
	const size_t n_bytes = 8192 + 16 * keys->n_rows + 1024 * (keys->n_batches + 1);
	const struct sea_arrow_pair metadata = { .key = "timeframe", .value = keys->timeframe };
	struct sea_frame_options options = { .n_bytes_max = { n_bytes + 64 * keys->n_parts_before + 4096 } };
	struct sea_arrow_field fields[2];
	struct sea_arrow_schema schema = { .fields = fields,
		                           .n_fields = keys->runs ? 2 : 1,
		                           .metadata = &metadata,
		                           .n_metadata = keys->timeframe ? 1 : 0 };
	struct sea_arrow_writer *writer;
	struct sea_message *message;
	struct sea_frame *frame;
	void *data;

	CHECK_OK(sea_arrow_field_init(&fields[0], "timestamp", keys->format ? keys->format : "L"));
	CHECK_OK(sea_arrow_field_init(&fields[1], "run", "i"));
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	for (size_t i = 0; i < keys->n_parts_before; i++) {
		CHECK(sea_frame_add(frame, 5, 0, &data) >= 0);
		memcpy(data, "part ", 5);
	}
	CHECK(sea_frame_add(frame, n_bytes, 64, &data) >= 0);
	CHECK_OK(sea_frame_shrink_last(frame, keys_write(writer, keys, data, n_bytes)));
	CHECK_OK(sea_frame_seal(&frame, &message));
	sea_arrow_writer_free(writer);
	return message;
}
