/* SPDX-License-Identifier: Apache-2.0 */
/* Messages whose bytes, parts and tags follow from a number: of all shapes that a recording has to keep. */
#ifndef SEALANE_TESTS_SYSTEM_TRAFFIC_H
#define SEALANE_TESTS_SYSTEM_TRAFFIC_H

#include <string.h>

#include <sealane/sealane.h>

#include "test.h"

/* So many shapes; after them they come again with other bytes. */
#define TRAFFIC_N_SHAPES 24

/* Sizes around each border: none, the object, a line, a page, and more. */
static inline size_t traffic_size(uint64_t number, size_t part)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 20000, 65536, 100001 };

	return sizes[(number * 5 + part * 3) % (sizeof(sizes) / sizeof(sizes[0]))];
}

static inline size_t traffic_n_parts(uint64_t number)
{
	static const size_t n_parts[] = { 1, 1, 1, 1, 2, 3, 0, 7, 30 };

	return n_parts[number % (sizeof(n_parts) / sizeof(n_parts[0]))];
}

static inline uint64_t traffic_tag(uint64_t number)
{
	return number * UINT64_C(0x9e3779b97f4a7c15);
}

static inline void traffic_fill(uint8_t *bytes, size_t n_bytes, uint64_t number, size_t part)
{
	uint32_t state = (uint32_t)(number * 1000 + part) | 1;

	for (size_t i = 0; i < n_bytes; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(state >> 24);
	}
}

static inline struct sea_message *traffic_message(struct sea_session *session, uint64_t number)
{
	struct sea_frame_options options = { 0 };
	struct sea_message *message;
	struct sea_frame *frame;
	size_t n_parts = traffic_n_parts(number);

	for (size_t i = 0; i < n_parts; i++)
		options.n_bytes_max[0] += traffic_size(number, i) + 64;
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, test_patience_ns()));
	for (size_t i = 0; i < n_parts; i++) {
		size_t n_bytes = traffic_size(number, i);
		void *data;

		CHECK_OK(sea_frame_add(frame, n_bytes, 0, &data));
		if (n_bytes)
			traffic_fill(data, n_bytes, number, i);
	}
	CHECK_OK(sea_frame_seal(&frame, &message));
	sea_message_set_tag(message, traffic_tag(number));
	return message;
}

static inline void traffic_check(const struct sea_message *message, uint64_t number)
{
	static uint8_t bytes[100001];
	struct sea_part part;

	CHECK_EQ(sea_message_get_tag(message), traffic_tag(number));
	CHECK_EQ(sea_message_n_parts(message), traffic_n_parts(number));
	for (size_t i = 0; i < traffic_n_parts(number); i++) {
		CHECK_OK(sea_message_get_part(message, i, &part));
		CHECK_EQ(part.n_bytes, traffic_size(number, i));
		traffic_fill(bytes, part.n_bytes, number, i);
		if (part.n_bytes)
			CHECK_MEM_EQ(part.data, bytes, part.n_bytes);
	}
}

#endif
