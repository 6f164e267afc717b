/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that outlives those who use it: kept by a keeper, or in a file of the user's. */
#include "peers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_BYTES ((size_t)8 << 20)

struct kept {
	struct test_step kept, adopted, go;
	_Atomic uint64_t n_lives;
};

static struct kept *kept_new(void)
{
	struct kept *kept = test_shared(sizeof(*kept));

	test_step_init(&kept->kept);
	test_step_init(&kept->adopted);
	test_step_init(&kept->go);
	return kept;
}

static void kept_end(struct kept *kept)
{
	test_step_fini(&kept->kept);
	test_step_fini(&kept->adopted);
	test_step_fini(&kept->go);
}

static void keeper(void *arg)
{
	struct kept *kept = arg;
	struct sea_session *session = peers_open();
	struct sea_keep_options options = { .name = "ring", .n_bytes = N_BYTES };

	CHECK_OK(sea_session_keep(session, &options));
	CHECK_ERR(sea_session_keep(session, &options), -EADDRINUSE);
	options.name = "pool";
	CHECK_OK(sea_session_keep(session, &options));
	test_step_signal(&kept->kept, 1);
	for (;;)
		pause();
}

static int adopt(struct sea_region **region, struct sea_session *session, int64_t timeout_ns)
{
	struct sea_region_options options = { .kept_name = "ring",
		                              .protection = SEA_PROTECTION_SHARED,
		                              .kept_timeout_ns = timeout_ns };

	return sea_region_new(region, session, &options);
}

/* One life of a device: it finds what the one before wrote, and sends some of it. */
static void device(void *arg)
{
	struct kept *kept = arg;
	struct sea_session *session = peers_open();
	struct sea_channel *push = peers_bind(session, SEA_PUSH, "kept");
	struct sea_region *region;
	struct sea_message *message;
	uint64_t *words;

	CHECK_OK(adopt(&region, session, PEERS_LONG_NS));
	CHECK_EQ(sea_region_size(region), N_BYTES);
	words = sea_region_data(region);
	CHECK_EQ(words[0], kept->n_lives);
	CHECK_EQ(words[N_BYTES / 8 - 1], kept->n_lives);
	words[0] = words[N_BYTES / 8 - 1] = ++kept->n_lives;
	CHECK_OK(sea_message_new_in_region(&message, region, words, N_BYTES, 0));
	peers_wait(push, 1);
	peers_send(push, message);
	test_step_signal(&kept->adopted, 1);
	for (;;)
		pause();
}

TEST(lives,
     "a device that is killed and started again finds its memory as it was, ten times, once nobody reads it any more")
{
	struct kept *kept = kept_new();
	pid_t keeper_pid = test_fork(keeper, kept), pid;
	struct sea_session *session;
	struct sea_channel *pull;
	struct sea_region *region;
	int r;

	test_step_wait(&kept->kept);
	for (unsigned i = 0; i < 10; i++) {
		struct sea_message *message;

		pid = test_fork(device, kept);
		session = peers_open();
		pull = peers_connect(session, SEA_PULL, "kept");
		message = peers_receive(pull);
		CHECK_EQ(*(const uint64_t *)sea_message_data(message), i + 1);
		test_step_wait(&kept->adopted);
		/* In use by a living process. */
		CHECK_ERR(adopt(&region, session, 0), -EBUSY);
		test_kill(pid);
		/* And by one who reads what the dead one sent: it stays what it is. */
		r = adopt(&region, session, PEERS_SHORT_NS);
		CHECK(r == -EBUSY || r == -ETIMEDOUT);
		CHECK_EQ(*(const uint64_t *)sea_message_data(message), i + 1);
		sea_message_unref(message);
		sea_channel_close(pull);
		sea_session_close(session);
	}
	CHECK_EQ(kept->n_lives, 10);
	test_kill(keeper_pid);
	kept_end(kept);
}

TEST(close, "a region of kept memory that is closed can be adopted again, by the same process too")
{
	struct kept *kept = kept_new();
	pid_t pid = test_fork(keeper, kept);
	struct sea_session *session;
	struct sea_region *region;

	test_step_wait(&kept->kept);
	session = peers_open();
	for (unsigned i = 0; i < 5; i++) {
		CHECK_OK(adopt(&region, session, PEERS_LONG_NS));
		CHECK_EQ(*(uint8_t *)sea_region_data(region), i);
		*(uint8_t *)sea_region_data(region) = (uint8_t)(i + 1);
		CHECK(!sea_region_close(region, NULL));
	}
	/* The keeper's end takes nothing from who has it. */
	CHECK_OK(adopt(&region, session, PEERS_LONG_NS));
	test_kill(pid);
	memset(sea_region_data(region), 1, N_BYTES);
	CHECK(!sea_region_close(region, NULL));
	/* Once its death has come to be known here. */
	CHECK_EVENTUALLY(adopt(&region, session, 0) == -ENOENT);
	sea_session_close(session);
	kept_end(kept);
}

TEST(heap, "a shared heap can live in kept memory, grows no further, and can do so again")
{
	struct kept *kept = kept_new();
	pid_t pid = test_fork(keeper, kept);
	struct sea_heap_options options = { .kept_name = "pool",
		                            .protection = SEA_PROTECTION_SHARED,
		                            .kept_timeout_ns = PEERS_LONG_NS };
	struct sea_session *session, *other;
	struct sea_channel *push, *pull;
	struct sea_message *messages[200];
	struct sea_heap *heap;

	test_step_wait(&kept->kept);
	session = peers_open();
	other = peers_open();
	push = peers_bind(session, SEA_PUSH, "h");
	pull = peers_connect(other, SEA_PULL, "h");
	peers_wait(push, 1);
	for (unsigned i = 0; i < 3; i++) {
		struct sea_heap_stats stats;
		unsigned n = 0;

		CHECK_OK(sea_heap_new(&heap, session, &options));
		while (n < 200 && sea_message_new(&messages[n], heap, 60000, 0, 0) == 0) {
			peers_fill(sea_message_write(messages[n]), 60000, n);
			n++;
		}
		CHECK_GT(n, N_BYTES / 65536 * 3 / 4);
		CHECK_LE(n, N_BYTES / 60000);
		for (unsigned j = 0; j < n; j++) {
			peers_send(push, messages[j]);
			messages[j] = peers_receive(pull);
			peers_check_part(messages[j], 0, 60000, j);
		}
		sea_message_unref_many(messages, n);
		CHECK_EVENTUALLY(sea_heap_get_stats(heap, &stats) == 0 && stats.n_bytes_used == 0);
		CHECK_OK(sea_heap_trim(heap, 0)); /* there is nothing to give back */
		CHECK_OK(sea_heap_get_stats(heap, &stats));
		CHECK_GE(stats.n_bytes_backed, N_BYTES);
		CHECK(!sea_heap_free(heap));
	}
	options.protection = SEA_PROTECTION_SEALED;
	CHECK_ERR(sea_heap_new(&heap, session, &options), -ENOTSUP);
	options = (struct sea_heap_options){ .kept_name = "nobody's", .protection = SEA_PROTECTION_SHARED };
	CHECK_ERR(sea_heap_new(&heap, session, &options), -EINVAL);
	options.kept_name = "nobodys";
	CHECK_ERR(sea_heap_new(&heap, session, &options), -ENOENT);
	sea_channel_close(pull);
	sea_channel_close(push);
	sea_session_close(other);
	sea_session_close(session);
	test_kill(pid);
	kept_end(kept);
}

TEST(several,
     "heaps and regions can be made ahead, outside of any device: locked, of their sizes, and zeroed where asked for")
{
	static const char *const names[] = { "heap0", "heap1", "region0", "region1" };
	struct sea_session *keeper = peers_open(), *session = peers_open();

	for (unsigned i = 0; i < 4; i++) {
		struct sea_keep_options options = { .name = names[i],
			                            .n_bytes = (i + 1) * N_BYTES,
			                            .flags = SEA_HEAP_MLOCK };
		int r = sea_session_keep(keeper, &options);

		if (r == -ENOMEM || r == -EPERM)
			SKIP("RLIMIT_MEMLOCK does not allow it");
		CHECK_OK(r);
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 2; i++) {
			struct sea_heap_options options = { .kept_name = names[i],
				                            .protection = SEA_PROTECTION_SHARED,
				                            .segment_id = i,
				                            .kept_timeout_ns = PEERS_LONG_NS };
			struct sea_heap_stats stats;
			struct sea_message *message;
			struct sea_heap *heap;

			CHECK_OK(sea_heap_new(&heap, session, &options));
			CHECK_EQ(sea_heap_segment_id(heap), i);
			CHECK_OK(sea_heap_get_stats(heap, &stats));
			CHECK_GE(stats.quota_n_bytes, (i + 1) * N_BYTES); /* and a page for its head */
			CHECK_LT(stats.quota_n_bytes, (i + 1) * N_BYTES + (1 << 20));
			CHECK_OK(sea_message_new(&message, heap, 100000, 0, 0));
			sea_message_unref(message);
			CHECK(!sea_heap_free(heap));
		}
		for (unsigned i = 2; i < 4; i++) {
			struct sea_region_options options = { .kept_name = names[i],
				                              .protection = SEA_PROTECTION_SHARED,
				                              .flags = i == 2 ? SEA_REGION_ZERO : 0,
				                              .kept_timeout_ns = PEERS_LONG_NS };
			struct sea_region *region;
			uint8_t *data;

			CHECK_OK(sea_region_new(&region, session, &options));
			CHECK_EQ(sea_region_size(region), (i + 1) * N_BYTES);
			data = sea_region_data(region);
			for (size_t at = 0; at < (i + 1) * N_BYTES; at++)
				CHECK_EQ(data[at], i == 2 || round == 0 ? 0 : 7);
			memset(data, 7, (i + 1) * N_BYTES);
			CHECK(!sea_region_close(region, NULL));
			/* Another size is another thing: it is refused, and what is kept stays. */
			options.n_bytes = N_BYTES;
			CHECK_ERR(sea_region_new(&region, session, &options), -EINVAL);
		}
	}
	sea_session_close(session);
	sea_session_close(keeper);
}

TEST(keep_options, "what cannot be kept is refused")
{
	struct sea_session *session = peers_open();
	static const struct sea_keep_options bad[] = {
		{ .name = NULL, .n_bytes = 1 },
		{ .name = "", .n_bytes = 1 },
		{ .name = "a/b", .n_bytes = 1 },
		{ .name = "a name of more than thirty-one bytes", .n_bytes = 1 },
		{ .name = "a", .n_bytes = 0 },
		{ .name = "a", .n_bytes = 1, .flags = SEA_HEAP_NUMA },
		{ .name = "a", .n_bytes = 1, .pages = SEA_PAGES_COLLAPSE },
		{ .name = "a", .n_bytes = 1, .reserved = { 1 } },
	};
	struct sea_region_options options = { .kept_name = "a", .n_bytes = 1 };
	struct sea_region *region;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(sea_session_keep(session, &bad[i]), -EINVAL);
	CHECK_ERR(sea_session_keep(session, &(struct sea_keep_options){ .name = "a", .n_bytes = UINT64_C(1) << 45 }),
	          -ENOMEM);
	CHECK_ERR(sea_region_new(&region, session, &options), -ENOTSUP);
	options.protection = SEA_PROTECTION_SHARED;
	CHECK_ERR(sea_region_new(&region, session, &options), -ENOENT);
	sea_session_close(session);
}

TEST(file,
     "a region can be a file: it is refused by default, read where files are trusted, and kept or removed as asked for")
{
	struct sea_session *owner = peers_open(), *other = peers_open(), *trusting;
	struct sea_session_options trust = { .flags = SEA_SESSION_TRUST_FILES };
	struct sea_channel *push = peers_bind(owner, SEA_PUSH, "f"), *pull = peers_connect(other, SEA_PULL, "f");
	struct sea_channel *again;
	struct sea_region_options options = { .n_bytes = 1 << 20, .name = "disk", .protection = SEA_PROTECTION_SHARED };
	struct sea_region *region;
	struct sea_message *message;
	struct sea_resolved resolved;
	struct sea_meta meta;
	char path[512];
	struct stat stat_buffer;

	snprintf(path, sizeof(path), "%s/file", test_runtime_dir());
	options.path = path;
	options.protection = SEA_PROTECTION_SEALED;
	CHECK_ERR(sea_region_new(&region, owner, &options), -ENOTSUP);
	options.protection = SEA_PROTECTION_SHARED;
	CHECK_OK(sea_region_new(&region, owner, &options));
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK_EQ(stat_buffer.st_size, 1 << 20);
	peers_fill(sea_region_data(region), 5000, 3);
	CHECK_OK(sea_message_new_in_region(&message, region, sea_region_data(region), 5000, 0));
	peers_wait(push, 1);
	CHECK_ERR(sea_channel_send(push, &message, PEERS_LONG_NS), -EACCES);
	CHECK(message);
	/* And who gets it by another road refuses it. */
	CHECK_OK(sea_message_meta(message, 0, 0, &meta));
	CHECK_LT(sea_meta_resolve(other, &meta, PEERS_SHORT_NS, &resolved), 0);
	CHECK_GT(peers_stats(other).n_refused, 0);
	CHECK(!sea_message_unref(message));
	CHECK_ERR(sea_channel_receive(pull, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	sea_channel_close(pull);
	CHECK_EVENTUALLY(peers_channel_stats(push).n_links == 0);
	CHECK_OK(sea_session_open(&trusting, &trust));
	again = peers_connect(trusting, SEA_PULL, "f");
	CHECK_OK(sea_message_new_in_region(&message, region, sea_region_data(region), 5000, 0));
	peers_wait(push, 1);
	peers_send(push, message);
	message = peers_receive(again);
	peers_check_part(message, 0, 5000, 3);
	sea_message_unref(message);
	sea_channel_close(again);
	sea_session_close(trusting);
	CHECK(!sea_region_close(region, NULL));
	CHECK_ERR(stat(path, &stat_buffer) < 0 ? -errno : 0, -ENOENT);
	/* What is to stay does, with what is in it. */
	options.flags = SEA_REGION_KEEP_FILE;
	for (unsigned i = 0; i < 3; i++) {
		CHECK_OK(sea_region_new(&region, owner, &options));
		CHECK_EQ(*(uint8_t *)sea_region_data(region), i);
		*(uint8_t *)sea_region_data(region) = (uint8_t)(i + 1);
		CHECK(!sea_region_close(region, NULL));
		CHECK_SYS(stat(path, &stat_buffer));
	}
	options.flags |= SEA_REGION_ZERO;
	CHECK_OK(sea_region_new(&region, owner, &options));
	CHECK_EQ(*(uint8_t *)sea_region_data(region), 0);
	CHECK(!sea_region_close(region, NULL));
	options.n_bytes = 2 << 20;
	CHECK_ERR(sea_region_new(&region, owner, &options), -EBADMSG);
	options.path = "/nowhere/at/all";
	CHECK_ERR(sea_region_new(&region, owner, &options), -ENOENT);
	unlink(path);
	/* A folder: its name in it. */
	snprintf(path, sizeof(path), "%s/", test_runtime_dir());
	options = (struct sea_region_options){
		.n_bytes = 1 << 20, .name = "disk", .protection = SEA_PROTECTION_SHARED, .path = path
	};
	CHECK_OK(sea_region_new(&region, owner, &options));
	strcat(path, "disk");
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK(!sea_region_close(region, NULL));
	sea_channel_close(push);
	sea_session_close(other);
	sea_session_close(owner);
}

static void file_write(const char *path, size_t n_bytes)
{
	uint8_t *bytes = malloc(n_bytes);
	int fd = (int)CHECK_SYS(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));

	CHECK(bytes);
	peers_fill(bytes, n_bytes, 5);
	CHECK_EQ(CHECK_SYS(write(fd, bytes, n_bytes)), n_bytes);
	close(fd);
	free(bytes);
}

TEST(read_only, "a region over a file that is only read leaves it as it is, and nobody in any process can write it")
{
	struct sea_session_options trust = { .flags = SEA_SESSION_TRUST_FILES };
	struct sea_session *owner = peers_open(), *other;
	struct sea_channel *push = peers_bind(owner, SEA_PUSH, "f"), *pull;
	struct sea_region_options options = {
		.name = "disk", .n_bytes = 1 << 20, .protection = SEA_PROTECTION_SHARED, .flags = SEA_REGION_READ_ONLY
	};
	struct sea_message *message, *pieces[2];
	struct sea_region *region;
	struct sea_frame *frame;
	struct sea_part part;
	struct stat before, after;
	char path[512];

	snprintf(path, sizeof(path), "%s/file", test_runtime_dir());
	CHECK_ERR(sea_region_new(&region, owner, &options), -EINVAL);
	options.path = path;
	CHECK_ERR(sea_region_new(&region, owner, &options), -ENOENT);
	file_write(path, 1 << 20);
	CHECK_SYS(stat(path, &before));
	options.n_bytes = 2 << 20;
	CHECK_ERR(sea_region_new(&region, owner, &options), -EBADMSG);
	options.n_bytes = 1 << 20;
	options.flags |= SEA_REGION_ZERO;
	CHECK_ERR(sea_region_new(&region, owner, &options), -EINVAL);
	options.flags = SEA_REGION_READ_ONLY;
	CHECK_OK(sea_region_new(&region, owner, &options));
	CHECK_LT(peers_stats(owner).n_bytes_backed, 1 << 20);
	CHECK_EQ(mprotect(sea_region_data(region), 4096, PROT_READ | PROT_WRITE), -1);
	CHECK_OK(sea_session_open(&other, &trust));
	pull = peers_connect(other, SEA_PULL, "f");
	peers_wait(push, 1);
	/* One part of all of it, and a message of pieces. */
	CHECK_OK(sea_message_new_in_region(&message, region, sea_region_data(region), 1 << 20, 0));
	CHECK(!sea_message_write(message));
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(owner), NULL, 0));
	CHECK_EQ(sea_frame_add_piece_of(frame, message, 0, 0, 1 << 19), 0);
	CHECK_EQ(sea_frame_add_piece_of(frame, message, 0, 1 << 19, 1 << 19), 1);
	pieces[0] = peers_seal(frame);
	peers_send(push, message);
	peers_send(push, pieces[0]);
	message = peers_receive(pull);
	peers_check_part(message, 0, 1 << 20, 5);
	CHECK_EQ(mprotect((void *)(uintptr_t)sea_message_data(message), 4096, PROT_READ | PROT_WRITE), -1);
	pieces[1] = peers_receive(pull);
	CHECK_OK(sea_message_get_part(pieces[1], 1, &part));
	CHECK_EQ(part.n_bytes, 1 << 19);
	CHECK_MEM_EQ(part.data, (const uint8_t *)sea_message_data(message) + (1 << 19), 1 << 19);
	/* Who wants to change it gets a copy, alone as it may be. */
	sea_message_unref(pieces[1]);
	CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(other), 0), 1);
	memset(sea_message_write(message), 0, 1 << 20);
	sea_message_unref(message);
	CHECK_EQ(peers_stats(owner).n_bytes_copied, 0);
	CHECK_OK(sea_message_new_in_region(&message, region, sea_region_data(region), 10, 0));
	CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(owner), 0), 1);
	sea_message_unref(message);
	CHECK(!sea_region_close(region, NULL));
	CHECK_SYS(stat(path, &after));
	CHECK_EQ(after.st_size, before.st_size);
	CHECK_EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	CHECK_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	sea_channel_close(pull);
	sea_channel_close(push);
	sea_session_close(other);
	sea_session_close(owner);
}
