/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer's ring of descriptors and the arena behind it, both the fuzzer's: what is taken lies in the arena, and what is
 * taken is given back. The link is made once; its ring is read round after round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sealane/sealane.h>

#include "fuzz.h"
#include "memory/message.h"
#include "wire/link.h"
#include "wire/records.h"
#include "wire/side.h"
#include "wire/take.h"

#define PEER_ID UINT64_C(0x1111111111111111)
#define ARENA_ID 1u
#define N_SLOTS 8u
#define ARENA_N_BYTES (SEAI_CHUNK_N_BYTES + 8192)

static struct seai_link the_link;
static struct seai_side *ring;
static uint8_t *arena;

static void setup(void)
{
	struct sea_session *session = fuzz_session();
	struct seai_control control = { .type = SEAI_CONTROL_ARENA };
	struct seai_arena_head *head;
	struct seai_conn *conn;
	struct seai_side *side;
	int fd;

	(void)fuzz_peer(PEER_ID, &conn, &side);
	ring = fuzz_memory((seai_side_n_bytes(N_SLOTS, 64) + 4095) & ~UINT64_C(4095), &fd);
	atomic_store(&ring->want_room, UINT64_MAX);
	arena = fuzz_memory(ARENA_N_BYTES, &fd);
	head = (struct seai_arena_head *)(void *)arena;
	*head = (struct seai_arena_head){
		.magic = SEAI_ARENA_MAGIC,
		.version = SEAI_LAYOUT_VERSION,
		.arena_id = ARENA_ID,
		.session_id = session->name_hash,
		.owner_id = PEER_ID,
		.n_bytes = ARENA_N_BYTES,
		.generations_offset = 4096,
		.data_offset = SEAI_CHUNK_N_BYTES,
		.n_blocks_max = 64,
	};
	control.arena.owner_id = PEER_ID;
	control.arena.arena_id = ARENA_ID;
	seai_attachment_on_arena(conn, &control, (int[2]){ fd, -1 }, false);
	FUZZ_CHECK(session->wire->n_attached == 1);
	the_link.conn = conn;
	the_link.id = 1;
	the_link.peer_id = PEER_ID;
	the_link.holder = conn->holder;
	the_link.n_slots_theirs = N_SLOTS;
	the_link.in.mask = N_SLOTS - 1;
	the_link.in.capacity = N_SLOTS;
	the_link.in.slots = (const struct seai_descriptor *)(const void *)(ring + 1);
	the_link.theirs = ring;
	the_link.mine = calloc(1, 4096);
	the_link.bell_in_fd = the_link.bell_out_fd = -1;
}

static void look_at(struct sea_message *message)
{
	static volatile uint8_t sink;
	struct sea_part part;
	const uint8_t *data = sea_message_data(message);
	size_t n = sea_message_size(message);

	if (data && n)
		sink = (uint8_t)(data[0] + data[n - 1]);
	for (size_t i = 0; i < sea_message_n_parts(message); i++)
		if (sea_message_get_part(message, i, &part) == 0 && part.n_bytes) {
			data = part.data;
			sink = (uint8_t)(data[0] + data[part.n_bytes - 1]);
		}
	(void)sink;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	struct seai_lookup lookup = { 0 };
	struct seai_descriptor *slots;
	unsigned n_messages;

	if (!ring)
		setup();
	slots = (struct seai_descriptor *)(void *)(ring + 1);
	n_messages = 1 + fuzz_take_u8(&input) % N_SLOTS;
	for (unsigned i = 0; i < n_messages; i++) {
		uint64_t position = atomic_load(&the_link.in.position) + i;
		struct seai_descriptor *slot = &slots[position % N_SLOTS];
		uint8_t how = fuzz_take_u8(&input);

		fuzz_take(&input, (uint8_t *)slot + 8, sizeof(*slot) - 8);
		/* Mostly something that exists. */
		if (how & 1)
			slot->owner_id = how & 2 ? PEER_ID : fuzz_session()->id;
		if (how & 4)
			slot->arena_id = ARENA_ID;
		if (how & 8)
			slot->kind = (uint16_t)(1 + slot->kind % 3);
		if (how & 16)
			slot->offset &= ARENA_N_BYTES - 1;
		if (how & 32)
			slot->n_bytes &= 0x1fff;
		if (how & 64)
			slot->n_parts &= 0xff;
		if (how & 128)
			slot->block_id &= 63;
		atomic_store(&slot->sequence, position + 1);
	}
	/* What is left of the input is the arena's data; its tables have the magic that is wanted. */
	fuzz_take(&input, arena + SEAI_CHUNK_N_BYTES, input.n_bytes < 8192 ? input.n_bytes : 8192);
	for (unsigned i = 0; i < n_messages; i++) {
		struct sea_message *message;
		int r = seai_link_take(&the_link, &lookup, &message);

		FUZZ_CHECK(r == 1 || r == -EBADMSG || r == -EAGAIN);
		if (r > 0)
			look_at(message);
		seai_lookup_flush(&lookup);
		if (r > 0)
			sea_message_unref(message);
		seai_link_advance(&the_link, 1);
	}
	/* Nobody reads what was released: the ring is emptied as its owner would. */
	{
		SEAI_LOCKED(&the_link.conn->writer.lock, lock);
		the_link.conn->writer.tail_cached = the_link.conn->writer.position;
		the_link.conn->writer.n_waiting = 0;
	}
	return 0;
}
