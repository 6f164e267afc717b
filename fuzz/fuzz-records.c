/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two holders of this process's blocks and their record rings, which the fuzzer writes: no count of anybody else's goes
 * down, and when both are dead and settled every block is back with its owner.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "fuzz.h"
#include "memory/heap.h"
#include "memory/ledger.h"
#include "memory/message.h"
#include "wire/records.h"

#define N_BLOCKS 4
#define N_PEERS 2

static const uint64_t ids[N_PEERS] = { UINT64_C(0x2222222222222222), UINT64_C(0x3333333333333333) };

struct peer {
	uint32_t holder;
	struct seai_record_reader *reader;
	struct seai_side *side;
};

static struct peer peers[N_PEERS];

const char *__asan_default_options(void);

/* Holds beyond the first are kept with the block, in pages that LeakSanitizer does not search. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void setup(void)
{
	for (int i = 0; i < N_PEERS; i++) {
		struct seai_conn *conn;

		(void)fuzz_peer(ids[i], &conn, &peers[i].side);
		peers[i].holder = conn->holder;
		peers[i].reader = &conn->reader;
	}
}

static void put_unit(struct peer *peer, uint64_t *position, uint64_t value, uint64_t control)
{
	struct seai_unit *units = (struct seai_unit *)(void *)(peer->side + 1);
	struct seai_unit *unit = &units[*position % SEAI_RECORD_RING_N_UNITS];
	uint64_t lap = 1 + (*position / SEAI_RECORD_RING_N_UNITS) % 15;

	atomic_store(&unit->value, value);
	atomic_store(&unit->control, (control & ~(UINT64_C(15) << SEAI_UNIT_LAP_SHIFT)) | lap << SEAI_UNIT_LAP_SHIFT);
	++*position;
}

static void put_record(struct fuzz_input *input, struct peer *peer, uint64_t *position, struct seai_block **blocks)
{
	uint8_t how = fuzz_take_u8(input), which = fuzz_take_u8(input), op = how & 7;
	const struct seai_block *block = blocks[which % N_BLOCKS];
	uint64_t value = (uint64_t)block->arena->id << 32 | block->id, generation = block->generation;
	uint64_t targets[] = { ids[0], ids[1], fuzz_session()->id, 1 };

	if (how & 0x40)
		value = fuzz_take_u64(input);
	if (how & 0x80)
		generation = fuzz_take_u64(input);
	put_unit(peer, position, value,
	         (generation & SEAI_RECORD_GENERATION_MASK) | (uint64_t)(op | (how & 8)) << SEAI_UNIT_OP_SHIFT);
	if (op < SEAI_RECORD_TRANSFER || op > SEAI_RECORD_PUBLISHED)
		return;
	put_unit(peer, position, targets[which >> 2 & 3], (uint64_t)SEAI_UNIT_DATA << SEAI_UNIT_OP_SHIFT);
	put_unit(peer, position, which >> 4 & 3, (uint64_t)SEAI_UNIT_DATA << SEAI_UNIT_OP_SHIFT);
	put_unit(peer, position, which >> 6, (uint64_t)SEAI_UNIT_DATA << SEAI_UNIT_OP_SHIFT);
	/* A lie about what is published keeps blocks for good where the target is this process: see the tests. */
	put_unit(peer, position, 0, (uint64_t)(how & 0x20 ? 0 : SEAI_UNIT_DATA) << SEAI_UNIT_OP_SHIFT);
}

/* All that a holder has is dropped; its identity lives on for the next input. */
static void drop_holder(struct sea_session *session, struct peer *peer, uint64_t id, uint64_t end)
{
	struct seai_unit *units = (struct seai_unit *)(void *)(peer->side + 1);
	uint32_t holder;

	seai_ledger_drop_holder(session, peer->holder);
	FUZZ_CHECK(seai_ledger_add_holder(session->ledger, id, &holder) == 0);
	peer->holder = holder;
	peer->reader->holder = holder;
	peer->reader->is_broken = peer->reader->is_stuck = false;
	/* What is left unread is void: the next record is put where the reader stands, over zeros. */
	for (uint64_t i = peer->reader->position; i < end; i++)
		atomic_store(&units[i % SEAI_RECORD_RING_N_UNITS].control, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	struct sea_session *session = fuzz_session();
	struct seai_block *blocks[N_BLOCKS];
	uint64_t positions[N_PEERS], n_freed;

	if (!peers[0].side)
		setup();
	SEAI_LOCKED(&session->books, books);
	n_freed = session->ledger->n_freed;
	for (int i = 0; i < N_BLOCKS; i++) {
		FUZZ_CHECK(seai_heap_allocate(session->default_heap, 64, 64, &blocks[i]) == 0);
		/* Held by this process once, by the one peer, by the other, by both. */
		for (int j = 0; j < N_PEERS; j++)
			if (i & 1 << j)
				FUZZ_CHECK(seai_ledger_hold(blocks[i], peers[j].holder, true) == 0);
	}
	for (int i = 0; i < N_PEERS; i++)
		positions[i] = peers[i].reader->position;
	for (int i = 0; i < 64 && input.n_bytes; i++) {
		uint8_t who = fuzz_take_u8(&input);

		if (who & 2) {
			seai_records_drain(session);
			if (who & 4) {
				seai_records_doubt_stuck(session);
				seai_records_drain(session);
				seai_records_discard_stuck(session);
			}
		}
		put_record(&input, &peers[who & 1], &positions[who & 1], blocks);
	}
	seai_records_drain(session);
	/* This process's own hold is nobody else's to end. */
	for (int i = 0; i < N_BLOCKS; i++)
		FUZZ_CHECK(blocks[i]->flags & SEAI_BLOCK_USED && blocks[i]->n_own >= 1);
	for (int i = 0; i < N_PEERS; i++)
		drop_holder(session, &peers[i], ids[i], positions[i]);
	while (session->ledger->settlements)
		seai_ledger_settle(session, session->ledger->settlements, 0);
	for (int i = 0; i < N_BLOCKS; i++) {
		FUZZ_CHECK(blocks[i]->n_own == 1 && blocks[i]->n_holds == 0);
		seai_ledger_release_own(session, blocks[i]);
	}
	FUZZ_CHECK(session->ledger->n_freed == n_freed + N_BLOCKS);
	return 0;
}
