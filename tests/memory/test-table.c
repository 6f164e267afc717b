/* SPDX-License-Identifier: Apache-2.0 */
/* Part tables: what is accepted as one, and that nothing outside of the arena is ever reached through one. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "memory/message.h"

#define ARENA_N_BYTES 4096u

static uint8_t *arena;

static struct seai_table_head *table_at(uint64_t offset, uint32_t n_blocks, uint32_t n_parts)
{
	struct seai_table_head *head;

	if (!arena)
		arena = aligned_alloc(64, ARENA_N_BYTES);
	CHECK(arena);
	memset(arena, 0, ARENA_N_BYTES);
	head = (struct seai_table_head *)(void *)(arena + offset);
	*head = (struct seai_table_head){ SEAI_TABLE_MAGIC, n_blocks, n_parts, 0 };
	return head;
}

static uint64_t table_n_bytes(uint64_t n_blocks, uint64_t n_parts)
{
	return sizeof(struct seai_table_head) + n_blocks * sizeof(struct seai_block_name) +
	       n_parts * sizeof(struct seai_table_part);
}

static bool opens(uint64_t offset, uint64_t n_bytes, uint32_t n_parts)
{
	const struct seai_block_name *names = NULL;
	const struct seai_table_part *parts = NULL;
	uint32_t n_blocks = 0;

	if (!seai_table_open(arena, ARENA_N_BYTES, offset, n_bytes, n_parts, &names, &n_blocks, &parts))
		return false;
	CHECK_GE((const uint8_t *)names, arena + offset);
	CHECK_LE((const uint8_t *)(parts + n_parts), arena + ARENA_N_BYTES);
	CHECK((const uint8_t *)(names + n_blocks) == (const uint8_t *)parts);
	return true;
}

TEST(form, "a table is accepted where it lies in its arena, whole and aligned")
{
	struct seai_table_head *head = table_at(128, 3, 5);
	const uint64_t n_bytes = table_n_bytes(3, 5);

	CHECK(opens(128, n_bytes, 5));
	CHECK(opens(128, n_bytes + 1, 5));
	CHECK(opens(128, n_bytes, 4));
	CHECK(!opens(128, n_bytes - 1, 5));
	CHECK(!opens(128, n_bytes, 6));
	CHECK(!opens(128, 0, 0));
	CHECK(!opens(128, sizeof(*head) - 1, 0));
	CHECK(!opens(136, n_bytes, 5));
	CHECK(!opens(129, n_bytes, 5));
	CHECK(!opens(0, n_bytes, 5));
	head->magic++;
	CHECK(!opens(128, n_bytes, 5));
	head->magic--;
	head->n_blocks = 0;
	CHECK(!opens(128, n_bytes, 5));
	head->n_blocks = SEAI_TABLE_N_BLOCKS_MAX + 1;
	CHECK(!opens(128, ARENA_N_BYTES - 128, 0));
	head->n_blocks = UINT32_MAX;
	CHECK(!opens(128, ARENA_N_BYTES - 128, 0));
	head->n_blocks = 1;
	CHECK(!opens(128, ARENA_N_BYTES - 128, UINT32_MAX));
	free(arena);
}

TEST(borders, "a table at or beyond the end of its arena is refused, also with sizes that overflow")
{
	uint64_t n_bytes = table_n_bytes(1, 1);
	uint64_t last = (ARENA_N_BYTES - n_bytes) & ~UINT64_C(63);

	table_at(last, 1, 1);
	CHECK(opens(last, n_bytes, 1));
	CHECK(!opens(last, ARENA_N_BYTES - last + 1, 1));
	CHECK(!opens(last, UINT64_MAX, 1));
	CHECK(!opens(last, UINT64_MAX - last + 1, 1));
	CHECK(!opens(ARENA_N_BYTES, n_bytes, 1));
	CHECK(!opens(ARENA_N_BYTES + 64, n_bytes, 1));
	CHECK(!opens(UINT64_MAX - 63, n_bytes, 1));
	CHECK(!opens(UINT64_MAX - 63, 64 + n_bytes, 1));
	free(arena);
}

TEST(parts, "a part that lies outside of its arena is an error, whatever its numbers")
{
	enum { N = 8 };
	struct seai_table_head *head = table_at(64, 1, N);
	struct seai_table_part *parts =
		(struct seai_table_part *)(void *)((struct seai_block_name *)(void *)(head + 1) + 1);
	struct sea_message message = { .kind = SEAI_MESSAGE_TABLE, .n_parts = N, .n_blocks = 1, .offset = 64 };
	struct sea_part part = { NULL, 77 };
	const uint64_t block_1 = UINT64_C(1) << SEAI_TABLE_OFFSET_BITS;

	message.refs = &message.ref;
	message.ref.base = arena;
	message.ref.n_bytes = ARENA_N_BYTES;
	parts[0] = (struct seai_table_part){ 0, ARENA_N_BYTES };
	parts[1] = (struct seai_table_part){ 1, ARENA_N_BYTES };
	parts[2] = (struct seai_table_part){ ARENA_N_BYTES, 1 };
	parts[3] = (struct seai_table_part){ ARENA_N_BYTES - 1, 1 };
	parts[4] = (struct seai_table_part){ block_1 | 64, 1 };
	parts[5] = (struct seai_table_part){ UINT64_MAX, 0 };
	parts[6] = (struct seai_table_part){ 64, UINT64_MAX };
	parts[7] = (struct seai_table_part){ SEAI_TABLE_OFFSET_MASK, UINT64_MAX - SEAI_TABLE_OFFSET_MASK + 100 };
	CHECK_OK(sea_message_get_part(&message, 0, &part));
	CHECK(part.data == arena);
	CHECK_EQ(part.n_bytes, ARENA_N_BYTES);
	CHECK_OK(sea_message_get_part(&message, 3, &part));
	CHECK(part.data == arena + ARENA_N_BYTES - 1);
	CHECK_OK(sea_message_get_part(&message, 5, &part));
	CHECK(!part.data);
	part.n_bytes = 77;
	for (unsigned i = 1; i < N; i++)
		if (i != 3 && i != 5)
			CHECK_ERR(sea_message_get_part(&message, i, &part), -EBADMSG);
	CHECK_EQ(part.n_bytes, 77);
	CHECK_ERR(sea_message_get_part(&message, N, &part), -EINVAL);
	/* What cannot be looked at is not counted. */
	CHECK_EQ(sea_message_n_bytes(&message), ARENA_N_BYTES + 1);
	free(arena);
}

TEST(random, "whatever a table's bytes are, no part reaches out of the arena")
{
	for (unsigned round = 0; round < 20000; round++) {
		struct seai_table_head *head = table_at(0, 1 + (uint32_t)(test_random() % 4), 0);
		struct seai_ref refs[4];
		struct sea_message message = { .kind = SEAI_MESSAGE_TABLE, .refs = refs };
		const struct seai_block_name *names;
		const struct seai_table_part *parts;
		uint32_t n_parts = (uint32_t)(test_random() % 8);

		for (size_t i = sizeof(*head); i < 512; i += 8) {
			uint64_t word = test_random() >> test_random() % 64;

			memcpy(arena + i, &word, 8);
		}
		if (!seai_table_open(arena, ARENA_N_BYTES, 0, 512, n_parts, &names, &message.n_blocks, &parts))
			continue;
		message.n_parts = n_parts;
		for (unsigned i = 0; i < 4; i++) {
			refs[i].base = arena;
			refs[i].n_bytes = ARENA_N_BYTES;
		}
		for (unsigned i = 0; i < n_parts; i++) {
			struct sea_part part;

			if (sea_message_get_part(&message, i, &part) < 0 || part.n_bytes == 0)
				continue;
			CHECK_GE((const uint8_t *)part.data, arena);
			CHECK_LE(part.n_bytes, ARENA_N_BYTES);
			CHECK_LE((const uint8_t *)part.data + part.n_bytes, arena + ARENA_N_BYTES);
		}
	}
	free(arena);
}
