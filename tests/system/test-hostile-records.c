/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile peer in its rings: read positions, records of what it never held, settlements. The attacked process refuses,
 * counts, and goes on serving the honest; see hostile-scene.h.
 */
#include <pthread.h>
#include <string.h>

#include "hostile-peer.h"
#include "hostile-scene.h"
#include "test.h"

TEST_TIMEOUT(rings, "read positions that jump, wishes at random and rings written over keep the owner's ring in order",
             30)
{
	struct hostile hostile;
	struct hostile_link in, bait;
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &in, "in", SEA_PUSH, 8);
	hostile_link_open(&hostile, &bait, "bait", SEA_PULL, 8);
	for (int i = 0; i < 3000; i++) {
		struct seai_descriptor *slots = (struct seai_descriptor *)(void *)(in.side + 1);
		uint64_t position = atomic_load(&in.theirs->tail) + test_random() % 128;
		const uint64_t values[] = { 0, 1, test_random(), UINT64_MAX, position, position + 1, UINT64_MAX / 2 };

		atomic_store(&bait.side->tail, values[test_random() % 7]);
		atomic_store(&bait.side->want_data, values[test_random() % 7]);
		atomic_store(&in.side->want_room, values[test_random() % 7]);
		atomic_store(&in.side->tail, values[test_random() % 7]);
		atomic_store(&hostile.side->tail, values[test_random() % 7]);
		atomic_store(&hostile.side->want_room, values[test_random() % 7]);
		atomic_store(&hostile.side->want_data, values[test_random() % 7]);
		/* Anywhere in the ring, behind and before where the victim reads. */
		for (int j = 0; j < 8; j++) {
			uint64_t *words = (uint64_t *)(void *)&slots[position % in.n_slots];

			words[1 + test_random() % 7] = values[test_random() % 7];
			if (test_random() % 2)
				slots[position % in.n_slots].kind = (uint16_t)(test_random() % 5);
			atomic_store(&slots[position % in.n_slots].sequence, position + 1);
			position++;
		}
		hostile_link_ring(&in);
		if (i % 100 == 0)
			scene_wait_round(&scene);
	}
	scene_check_serves(&scene);
	CHECK_EQ(scene.shared->n_errors, 0);
	hostile_link_close(&in);
	hostile_link_close(&bait);
	hostile_close(&hostile);
	scene_end(&scene);
}

/* Takes one message of the bait: a block of the victim's that this peer holds now. */
static struct seai_descriptor take_bait(struct scene *scene, struct hostile_link *bait)
{
	const struct seai_descriptor *slots = (const struct seai_descriptor *)(const void *)(bait->theirs + 1);
	const struct seai_descriptor *slot = &slots[bait->position % bait->n_slots_theirs];
	struct seai_descriptor descriptor;

	(void)scene;
	CHECK_EVENTUALLY(atomic_load(&slot->sequence) == bait->position + 1);
	memcpy(&descriptor, slot, sizeof(descriptor));
	atomic_store(&bait->side->tail, ++bait->position);
	return descriptor;
}

static struct seai_record record_of(const struct seai_descriptor *descriptor, enum seai_record_op op)
{
	return (struct seai_record){
		.op = op,
		.has_token = true,
		.arena_id = descriptor->arena_id,
		.block_id = descriptor->block_id,
		.generation = descriptor->generation,
		.target_id = 0xdead,
		.link_id = 1,
	};
}

/* Waits until the victim has read all records that were written. */
static void expect_read(struct hostile *hostile)
{
	CHECK_EVENTUALLY((hostile_wake(hostile), hostile_n_units_read(hostile) == hostile->n_units));
}

TEST_TIMEOUT(records, "records of what was never held are counted as lies and change nothing", 30)
{
	struct hostile hostile;
	struct hostile_link bait;
	struct seai_descriptor held;
	struct seai_record record;
	struct scene scene;
	uint64_t n_lies;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &bait, "bait", SEA_PULL, 8);
	held = take_bait(&scene, &bait);
#define LIES(n, ...)                                                    \
	do {                                                            \
		n_lies = scene.shared->n_lies;                          \
		__VA_ARGS__;                                            \
		expect_read(&hostile);                                  \
		CHECK_EVENTUALLY(scene.shared->n_lies == n_lies + (n)); \
	} while (0)
	record = record_of(&held, SEAI_RECORD_RELEASE);
	LIES(1, record.generation++; hostile_record(&hostile, &record));
	LIES(1, record.generation -= 2; hostile_record(&hostile, &record));
	record = record_of(&held, SEAI_RECORD_RELEASE);
	LIES(1, record.block_id = UINT32_MAX; hostile_record(&hostile, &record));
	LIES(1, record.arena_id = UINT32_MAX; hostile_record(&hostile, &record));
	LIES(1, record.arena_id = 0; hostile_record(&hostile, &record));
	record = record_of(&held, SEAI_RECORD_RETURN);
	LIES(1, record.block_id ^= 1000; hostile_record(&hostile, &record));
	/* What is held can be released, once. */
	record = record_of(&held, SEAI_RECORD_RELEASE);
	LIES(0, hostile_record(&hostile, &record));
	LIES(1, hostile_record(&hostile, &record));
	held = take_bait(&scene, &bait);
	record = record_of(&held, SEAI_RECORD_RETURN);
	LIES(0, hostile_record(&hostile, &record));
	LIES(1, hostile_record(&hostile, &record));
	/* Published nonsense of links that do not exist is nothing. */
	record.op = SEAI_RECORD_PUBLISHED;
	record.published = UINT64_MAX;
	LIES(
		0, for (int i = 0; i < 2000; i++) {
			record.link_id = test_random();
			hostile_record(&hostile, &record);
		});
	/* A grant to nobody: it went to a process that is dead, and comes back. */
	held = take_bait(&scene, &bait);
	record = record_of(&held, SEAI_RECORD_TRANSFER);
	LIES(0, hostile_record(&hostile, &record));
	LIES(1, hostile_record(&hostile, &record));
	/* A grant to itself for made-up links without end. */
	held = take_bait(&scene, &bait);
	record = record_of(&held, SEAI_RECORD_TRANSFER);
	record.target_id = hostile.id;
	n_lies = scene.shared->n_lies;
	for (int i = 0; i < 20000; i++) {
		record.link_id = test_random();
		record.position = test_random();
		record.published = test_random();
		hostile_record(&hostile, &record);
	}
	expect_read(&hostile);
	CHECK_EVENTUALLY(scene.shared->n_lies > n_lies + 10000);
	/* More work than there is, shared with everybody. */
	for (int i = 0; i < 20000; i++) {
		record.op = i % 2 ? SEAI_RECORD_SHARE : SEAI_RECORD_DROP;
		record.target_id = i % 4 < 2 ? scene.shared->sender_id : scene.shared->receiver_id;
		record.link_id = test_random() % 4;
		hostile_record(&hostile, &record);
	}
	expect_read(&hostile);
#undef LIES
	scene_check_serves(&scene);
	hostile_link_close(&bait);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(returned, "a peer that grants the victim its own memory without sending it takes it from nobody for good",
             30)
{
	struct hostile hostile;
	struct hostile_link bait;
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &bait, "bait", SEA_PULL, 8);
	for (int i = 0; i < 20; i++) {
		struct seai_descriptor held = take_bait(&scene, &bait);
		struct seai_record record = record_of(&held, i % 2 ? SEAI_RECORD_SHARE : SEAI_RECORD_TRANSFER);

		record.target_id = scene.shared->victim_id;
		record.link_id = i % 3 ? bait.id : test_random();
		record.position = (uint64_t)i;
		hostile_record(&hostile, &record);
	}
	expect_read(&hostile);
	hostile_link_close(&bait);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(malformed_records, "malformed records end their writer's connection, and nothing else", 30)
{
	static const unsigned ops[] = { 0, 7, 15, SEAI_RECORD_TRANSFER };
	struct scene scene;

	scene_start(&scene, true);
	for (unsigned i = 0; i < 4; i++) {
		struct hostile hostile;
		struct hostile_link bait;
		uint64_t n_refused = scene.shared->n_refused;

		hostile_open(&hostile, "in", test_random());
		hostile_link_open(&hostile, &bait, "bait", SEA_PULL, 8);
		take_bait(&scene, &bait);
		hostile_unit(&hostile, 1, 1, ops[i]);
		/* The grant's other units are not there. */
		hostile_wake(&hostile);
		CHECK(hostile_is_ended(hostile.fd));
		CHECK_EVENTUALLY(scene.shared->n_refused == n_refused + 1);
		hostile_link_close(&bait);
		hostile_close(&hostile);
	}
	scene_end(&scene);
}

struct flood {
	struct hostile *hostile;
	bool is_stuck; /* by blocks that it does not hold; else by arenas that do not exist */
	uint32_t arena_id, block_id;
	uint64_t generation;
	_Atomic bool stop;
};

/* As fast as it can, over what is not read yet as well. */
static void *flood_main(void *argument)
{
	struct flood *flood = argument;

	while (!flood->stop) {
		if (flood->hostile->n_units - hostile_n_units_read(flood->hostile) >= SEAI_RECORD_RING_N_UNITS)
			continue;
		if (flood->is_stuck)
			hostile_unit(flood->hostile, (uint64_t)flood->arena_id << 32 | flood->block_id,
			             flood->generation, SEAI_RECORD_RELEASE);
		else
			hostile_unit(flood->hostile, UINT64_MAX, 1, SEAI_RECORD_RELEASE);
	}
	return NULL;
}

TEST_TIMEOUT(record_flood, "peers that write records faster than they can be judged hold nobody up", 30)
{
	struct hostile hostiles[2];
	struct hostile_link bait;
	struct seai_descriptor held;
	struct flood floods[2] = { { .hostile = &hostiles[0], .is_stuck = true }, { .hostile = &hostiles[1] } };
	pthread_t threads[2];
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostiles[0], "in", test_random());
	hostile_open(&hostiles[1], "in", test_random());
	/* One holds a block and gives its name to the other, who releases it again and again. */
	hostile_link_open(&hostiles[1], &bait, "bait", SEA_PULL, 8);
	held = take_bait(&scene, &bait);
	floods[0].arena_id = held.arena_id;
	floods[0].block_id = held.block_id;
	floods[0].generation = held.generation;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, flood_main, &floods[i]), 0);
	for (int i = 0; i < 20; i++) {
		hostile_wake(&hostiles[0]);
		hostile_wake(&hostiles[1]);
		scene_check_serves(&scene);
	}
	for (int i = 0; i < 2; i++) {
		floods[i].stop = true;
		pthread_join(threads[i], NULL);
	}
	CHECK_GT(scene.shared->n_lies, 1000);
	hostile_link_close(&bait);
	hostile_close(&hostiles[0]);
	hostile_close(&hostiles[1]);
	scene_end(&scene);
}

TEST_TIMEOUT(settlement, "nonsense about settlements and dead owners is answered or ignored", 30)
{
	struct hostile hostile;
	struct hostile_link bait;
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &bait, "bait", SEA_PULL, 8);
	for (int i = 0; i < 3000; i++) {
		const uint64_t ids[] = { scene.shared->victim_id,
			                 scene.shared->sender_id,
			                 scene.shared->receiver_id,
			                 hostile.id,
			                 0,
			                 test_random() };
		struct seai_control control = { .type = (uint16_t)(i % 2 ? SEAI_CONTROL_SETTLE
			                                                 : SEAI_CONTROL_SETTLED) },
				    answer;
		int fds[2];

		control.settle.forwarder_id = ids[test_random() % 6];
		control.settle.link_id = i % 3 ? bait.id : test_random();
		control.settle.head = i % 5 ? UINT64_MAX : test_random() % 10;
		CHECK(hostile_say(hostile.fd, &control, NULL, 0));
		if (i % 2)
			CHECK(hostile_hear(hostile.fd, SEAI_CONTROL_SETTLED, &answer, fds));
		hostile_say_arena(&hostile, SEAI_CONTROL_FORGET, ids[test_random() % 6], (uint32_t)(test_random() % 4));
		hostile_say_arena(&hostile, SEAI_CONTROL_READY, ids[test_random() % 6], 0);
	}
	scene_check_serves(&scene);
	hostile_link_close(&bait);
	hostile_close(&hostile);
	scene_end(&scene);
}
