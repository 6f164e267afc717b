/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile peer in memory: descriptors, part tables, arenas. The attacked process refuses, counts, and goes on serving the
 * honest; see hostile-scene.h. Sockets and doorbells: test-hostile.c; records and rings: test-hostile-records.c.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile-peer.h"
#include "hostile-scene.h"
#include "test.h"

#define ARENA_N_BYTES ((uint64_t)1 << 20)
#define TABLE_OFFSET ((uint64_t)512 << 10)

/* A good message goes through: the link still works. */
static void expect_good(struct scene *scene, struct hostile_link *link, const struct seai_descriptor *descriptor)
{
	uint64_t n = scene->shared->n_hostile;

	hostile_publish(link, descriptor);
	CHECK_EVENTUALLY(scene->shared->n_hostile == n + 1);
}

static void expect_bad(struct scene *scene, struct hostile_link *link, const struct seai_descriptor *descriptor,
                       const char *what)
{
	uint64_t n_refused = scene->shared->n_refused_in, n_hostile = scene->shared->n_hostile;
	int64_t until_ns = test_now_ns() + test_patience_ns();

	hostile_publish(link, descriptor);
	while (scene->shared->n_refused_in == n_refused) {
		if (test_now_ns() > until_ns)
			FAIL("%s was not refused", what);
		test_sleep_ms(1);
	}
	CHECK_EQ(scene->shared->n_refused_in, n_refused + 1);
	CHECK_EQ(scene->shared->n_hostile, n_hostile);
}

TEST_TIMEOUT(descriptors, "descriptors and part tables that lead outside of their arena are refused one by one", 30)
{
	struct hostile hostile;
	struct hostile_link link;
	struct hostile_arena arena;
	struct seai_descriptor single, table, bad;
	struct seai_table_head *head;
	struct seai_block_name *name;
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	hostile_arena_new(&arena, hostile.id, 1, ARENA_N_BYTES);
	hostile_arena_tell(&hostile, &arena);
	single = hostile_single(&arena, 0, SEAI_CHUNK_N_BYTES, 4096);
	table = hostile_table(&arena, TABLE_OFFSET, 16, 64);
	head = (struct seai_table_head *)(void *)(arena.base + TABLE_OFFSET);
	name = (struct seai_block_name *)(void *)(head + 1);
	expect_good(&scene, &link, &single);
	expect_good(&scene, &link, &table);

#define SPOIL(good, what, ...)                         \
	do {                                           \
		bad = good;                            \
		__VA_ARGS__;                           \
		expect_bad(&scene, &link, &bad, what); \
	} while (0)
	SPOIL(single, "no kind", bad.kind = 0);
	SPOIL(single, "an unknown kind", bad.kind = 65535);
	SPOIL(single, "a block beyond the arena's", bad.block_id = UINT32_MAX);
	SPOIL(single, "an offset beyond the arena", bad.offset = ARENA_N_BYTES + 1);
	SPOIL(single, "an offset that wraps", bad.offset = UINT64_MAX - 2048);
	SPOIL(single, "a size beyond the arena", bad.n_bytes = ARENA_N_BYTES);
	SPOIL(single, "a size that wraps", bad.n_bytes = UINT64_MAX);
	SPOIL(single, "no part", bad.n_parts = 0);
	SPOIL(single, "2^32-1 parts", bad.n_parts = UINT32_MAX);
	SPOIL(single, "an arena that does not exist", bad.arena_id = 99);
	SPOIL(single, "an owner that does not exist", bad.owner_id = 99);
	SPOIL(single, "the victim's own memory", bad.owner_id = scene.shared->victim_id);
	SPOIL(single, "memory of the victim that does not exist", bad.owner_id = scene.shared->victim_id;
	      bad.arena_id = 1234);
	SPOIL(table, "a table of the victim's", bad.owner_id = scene.shared->victim_id);
	SPOIL(single, "no table there", bad.kind = SEAI_MESSAGE_TABLE);
	SPOIL(table, "a table at an odd place", bad.offset += 1);
	SPOIL(table, "a table beyond the arena", bad.offset = ARENA_N_BYTES);
	SPOIL(table, "a table beyond the arena", bad.offset = UINT64_MAX & ~UINT64_C(63));
	SPOIL(table, "a table larger than the arena", bad.n_bytes = ARENA_N_BYTES);
	SPOIL(table, "a table of no bytes", bad.n_bytes = 0);
	SPOIL(table, "a table that is cut", bad.n_bytes -= 1);
	SPOIL(table, "2^32-1 parts", bad.n_parts = UINT32_MAX);
	SPOIL(table, "one part too many", bad.n_parts++);
	SPOIL(table, "a wrong magic", head->magic++);
	head->magic = SEAI_TABLE_MAGIC;
	SPOIL(table, "a table of no blocks", head->n_blocks = 0);
	SPOIL(table, "a table of 2^32-1 blocks", head->n_blocks = UINT32_MAX);
	SPOIL(table, "more blocks than fit", head->n_blocks = 60000);
	/* The parts begin where the names end, so that these are names of nothing. */
	SPOIL(table, "one block too many", head->n_blocks = 2; bad.n_parts = 14);
	head->n_blocks = 1;
#undef SPOIL
	/* The head block is the descriptor's; the name of it in the table is not believed. */
	name->owner_id = 77;
	name->arena_id = 88;
	expect_good(&scene, &link, &table);
	/* Parts outside are the reader's to refuse, each by itself. */
	for (int i = 0; i < 16; i++) {
		struct seai_table_part *part = (struct seai_table_part *)(void *)(name + 1) + i;

		part->where = i < 8 ? test_random() : (uint64_t)i << SEAI_TABLE_OFFSET_BITS;
		part->n_bytes = i % 2 ? test_random() : ARENA_N_BYTES;
	}
	expect_good(&scene, &link, &table);
	bad = (struct seai_descriptor){ .kind = SEAI_MESSAGE_INLINE, .n_parts = 1, .n_inline = 41 };
	expect_bad(&scene, &link, &bad, "more in the descriptor than fits");
	bad.n_inline = 40;
	bad.n_parts = 2;
	expect_bad(&scene, &link, &bad, "two parts in a descriptor");
	expect_good(&scene, &link, &single);
	CHECK_EQ(scene.shared->n_errors, 0);
	hostile_link_close(&link);
	hostile_arena_free(&arena);
	hostile_close(&hostile);
	scene_end(&scene);
}

struct flip {
	struct hostile_arena *arena;
	_Atomic bool stop;
};

/* Writes now one, now the other, each of them good by itself. */
static void *flip_main(void *argument)
{
	struct flip *flip = argument;
	struct seai_table_head *head = (struct seai_table_head *)(void *)(flip->arena->base + TABLE_OFFSET);
	struct seai_block_name *name = (struct seai_block_name *)(void *)(head + 1);
	struct seai_table_part *parts = (struct seai_table_part *)(void *)(name + 1);

	for (uint64_t i = 0; !flip->stop; i++) {
		for (int j = 0; j < 16; j++) {
			bool first = (i + (uint64_t)j) % 2;

			__atomic_store_n(&parts[j].where, first ? 0 : ARENA_N_BYTES - 64, __ATOMIC_RELAXED);
			__atomic_store_n(&parts[j].n_bytes, first ? ARENA_N_BYTES : 64, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&head->n_blocks, i % 3 == 0 ? 1000 : 1, __ATOMIC_RELAXED);
		__atomic_store_n(&name->arena_id, (uint32_t)(i % 5), __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_TIMEOUT(flipping, "a part table that changes while it is read leads nobody outside of its arena", 30)
{
	struct hostile hostile;
	struct hostile_link link;
	struct hostile_arena arena;
	struct seai_descriptor table;
	struct flip flip = { .arena = &arena };
	struct scene scene;
	pthread_t thread;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	hostile_arena_new(&arena, hostile.id, 1, ARENA_N_BYTES);
	hostile_arena_tell(&hostile, &arena);
	table = hostile_table(&arena, TABLE_OFFSET, 16, 64);
	CHECK_EQ(pthread_create(&thread, NULL, flip_main, &flip), 0);
	for (int i = 0; i < 1500; i++)
		hostile_publish(&link, &table);
	CHECK_EVENTUALLY(scene.shared->n_hostile + scene.shared->n_refused_in >= 1500);
	flip.stop = true;
	pthread_join(thread, NULL);
	hostile_link_close(&link);
	hostile_arena_free(&arena);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(many_blocks, "a message of as many blocks as a table may name does not hold its reader up", 30)
{
	enum { N_BLOCKS = SEAI_TABLE_N_BLOCKS_MAX, N_MESSAGES = 8 };
	const uint64_t n_bytes = sizeof(struct seai_table_head) + N_BLOCKS * sizeof(struct seai_block_name);
	struct hostile hostile;
	struct hostile_link link;
	struct hostile_arena arena;
	struct seai_descriptor table;
	struct seai_table_head *head;
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	hostile_arena_new(&arena, hostile.id, 1, 4 * ARENA_N_BYTES);
	hostile_arena_tell(&hostile, &arena);
	table = hostile_single(&arena, 0, TABLE_OFFSET, n_bytes);
	table.kind = SEAI_MESSAGE_TABLE;
	table.n_parts = 0;
	head = (struct seai_table_head *)(void *)(arena.base + TABLE_OFFSET);
	*head = (struct seai_table_head){ SEAI_TABLE_MAGIC, N_BLOCKS, 0, 0 };
	for (uint32_t i = 0; i < N_BLOCKS; i++)
		((struct seai_block_name *)(void *)(head + 1))[i] = (struct seai_block_name){ hostile.id, 1, 0, 1 };
	for (int i = 0; i < N_MESSAGES; i++)
		hostile_publish(&link, &table);
	CHECK_EVENTUALLY(scene.shared->n_hostile == N_MESSAGES);
	hostile_link_close(&link);
	hostile_arena_free(&arena);
	hostile_close(&hostile);
	scene_end(&scene);
}

static void send_arena(struct hostile *hostile, uint64_t owner_id, uint32_t arena_id, int fd, bool must_be_refused,
                       struct scene *scene, const char *what)
{
	uint64_t n_refused = scene->shared->n_refused, n_attached = scene->shared->n_arenas_attached;
	struct seai_control control = { .type = SEAI_CONTROL_ARENA };
	int64_t until_ns = test_now_ns() + test_patience_ns();

	control.arena.owner_id = owner_id;
	control.arena.arena_id = arena_id;
	CHECK(hostile_say(hostile->fd, &control, &fd, fd >= 0 ? 1 : 0));
	while (must_be_refused && scene->shared->n_refused == n_refused) {
		if (test_now_ns() > until_ns)
			FAIL("%s was not refused", what);
		test_sleep_ms(1);
	}
	CHECK_EQ(scene->shared->n_arenas_attached, n_attached);
}

/* An arena as it should be, up to what the caller changes before the seals. */
static int spoilt_arena(const struct hostile *hostile, struct seai_arena_head *ret_head, uint64_t n_bytes)
{
	int fd = (int)CHECK_SYS(memfd_create("spoilt", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	CHECK_SYS(ftruncate(fd, (off_t)n_bytes));
	*ret_head = (struct seai_arena_head){
		.magic = SEAI_ARENA_MAGIC,
		.version = SEAI_LAYOUT_VERSION,
		.arena_id = 5,
		.session_id = hostile_session_id(),
		.owner_id = hostile->id,
		.n_bytes = n_bytes,
		.generations_offset = 4096,
		.data_offset = SEAI_CHUNK_N_BYTES,
		.n_blocks_max = 100,
	};
	return fd;
}

TEST_TIMEOUT(arenas, "what is no sealed arena of the named owner is refused as memory", 30)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	struct seai_arena_head head;
	struct hostile hostile;
	struct scene scene;
	int fd;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	fd = (int)CHECK_SYS(open("/dev/zero", O_RDWR | O_CLOEXEC));
	send_arena(&hostile, hostile.id, 5, fd, true, &scene, "/dev/zero");
	close(fd);
	fd = (int)CHECK_SYS(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	send_arena(&hostile, hostile.id, 5, fd, true, &scene, "a directory");
	close(fd);
	send_arena(&hostile, hostile.id, 5, -1, true, &scene, "no descriptor");

#define SPOIL(what, n_bytes, with_seals, ...)                                        \
	do {                                                                         \
		fd = spoilt_arena(&hostile, &head, n_bytes);                         \
		__VA_ARGS__;                                                         \
		CHECK_EQ(pwrite(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head)); \
		if (with_seals)                                                      \
			CHECK_SYS(fcntl(fd, F_ADD_SEALS, with_seals));               \
		send_arena(&hostile, hostile.id, 5, fd, true, &scene, what);         \
		close(fd);                                                           \
	} while (0)
	SPOIL("memory without seals", ARENA_N_BYTES, 0, );
	SPOIL("memory that can be written", ARENA_N_BYTES, F_SEAL_SHRINK | F_SEAL_GROW, );
	SPOIL("memory that can shrink", ARENA_N_BYTES, F_SEAL_WRITE | F_SEAL_GROW, );
	SPOIL("memory that can grow", ARENA_N_BYTES, F_SEAL_WRITE | F_SEAL_SHRINK, );
	SPOIL("memory that is too short", 4096, seals, );
	SPOIL("a size that is no number of pages", ARENA_N_BYTES + 1, seals, );
	SPOIL("a wrong magic", ARENA_N_BYTES, seals, head.magic++);
	SPOIL("a version from the future", ARENA_N_BYTES, seals, head.version = 99);
	SPOIL("another id", ARENA_N_BYTES, seals, head.arena_id++);
	SPOIL("another session", ARENA_N_BYTES, seals, head.session_id++);
	SPOIL("another owner", ARENA_N_BYTES, seals, head.owner_id++);
	SPOIL("a wrong size", ARENA_N_BYTES, seals, head.n_bytes *= 2);
	SPOIL("generations in the head", ARENA_N_BYTES, seals, head.generations_offset = 8);
	SPOIL("generations at an odd place", ARENA_N_BYTES, seals, head.generations_offset = 4097);
	SPOIL("generations beyond the data", ARENA_N_BYTES, seals, head.generations_offset = 1 << 19);
	SPOIL("data beyond the arena", ARENA_N_BYTES, seals, head.data_offset = ARENA_N_BYTES + 8);
	SPOIL("more blocks than generations", ARENA_N_BYTES, seals, head.n_blocks_max = UINT32_MAX);
#undef SPOIL
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(spoofed, "memory that a peer passes off as another's is never read as that other's", 30)
{
	struct hostile hostile;
	struct hostile_link link;
	struct hostile_arena arenas[4];
	struct seai_descriptor descriptor;
	struct scene scene;

	/* Before the honest sender has sent anything: the ids of its arenas can be guessed. */
	scene_start(&scene, false);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	for (unsigned i = 0; i < 4; i++) {
		hostile_arena_new(&arenas[i], scene.shared->sender_id, i, (uint64_t)2 << 20);
		hostile_arena_tell(&hostile, &arenas[i]);
	}
	scene_wait_round(&scene);
	scene.shared->may_send = true;
	CHECK_EVENTUALLY(scene.shared->n_received > 100);
	/* Passed on by this peer it is what this peer gave; that harms nobody but who believes it. */
	descriptor = hostile_single(&arenas[1], 0, SEAI_CHUNK_N_BYTES, 64);
	hostile_publish(&link, &descriptor);
	CHECK_EVENTUALLY(scene.shared->n_hostile + scene.shared->n_refused_in == 1);
	/* Nor does it help to say that the other's memory is over. */
	for (unsigned i = 0; i < 4; i++) {
		hostile_say_arena(&hostile, SEAI_CONTROL_RETIRE, scene.shared->sender_id, i);
		hostile_say_arena(&hostile, SEAI_CONTROL_FORGET, scene.shared->sender_id, i);
	}
	scene_check_serves(&scene);
	for (unsigned i = 0; i < 4; i++)
		hostile_arena_free(&arenas[i]);
	hostile_link_close(&link);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(retiring, "an owner that retires what is still held or on its way loses its own messages and nothing else",
             30)
{
	struct hostile hostile;
	struct hostile_link link;
	struct hostile_arena arena;
	struct seai_descriptor descriptor;
	struct scene scene;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	hostile_arena_new(&arena, hostile.id, 1, ARENA_N_BYTES);
	descriptor = hostile_table(&arena, TABLE_OFFSET, 1000, 64);
	hostile_arena_tell(&hostile, &arena);
	expect_good(&scene, &link, &descriptor);
	for (int i = 0; i < 200; i++) {
		uint64_t n = scene.shared->n_hostile + scene.shared->n_refused_in;

		hostile_arena_tell(&hostile, &arena);
		for (int j = 0; j < 5; j++)
			hostile_publish(&link, &descriptor);
		hostile_say_arena(&hostile, SEAI_CONTROL_RETIRE, hostile.id, 1);
		hostile_say_arena(&hostile, SEAI_CONTROL_RETIRE, hostile.id, 1);
		hostile_say_arena(&hostile, SEAI_CONTROL_FORGET, hostile.id, 1);
		hostile_say_arena(&hostile, SEAI_CONTROL_RESEND, hostile.id, 1);
		CHECK_EVENTUALLY(scene.shared->n_hostile + scene.shared->n_refused_in == n + 5);
	}
	CHECK_EQ(scene.shared->n_errors, 0);
	hostile_link_close(&link);
	hostile_arena_free(&arena);
	hostile_close(&hostile);
	scene_end(&scene);
}
