/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of descriptors between two ends: order, capacity, laps, and that nobody who sleeps is forgotten. */
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fence.h"
#include "channel/channel.h"
#include "memory/message.h"
#include "sides.h"
#include "wire/doorbell.h"

static struct sea_channel counters;

/* Sends a message with that tag and a content that follows from it; there must be room. */
static void ring_put(struct sides_end *a, uint64_t tag)
{
	struct sea_message *message = seai_message_take(&a->session);
	uint64_t old = atomic_load_explicit(&a->link.out.position, memory_order_relaxed);

	CHECK(message);
	message->kind = SEAI_MESSAGE_INLINE;
	message->offset = 0;
	message->n_parts = 1;
	message->tag = tag;
	message->n_bytes = tag % (SEAI_INLINE_N_BYTES + 1);
	memset(message->inline_data, (int)tag, SEAI_INLINE_N_BYTES);
	seai_link_publish(&a->link, message, 0, 0);
	seai_channel_ring(&counters, &a->link, old);
	seai_message_put(message);
}

/* Takes the message with that tag if there is one. */
static bool ring_take(struct sides_end *b, uint64_t tag)
{
	struct seai_lookup lookup = { 0 };
	struct sea_message *message;
	int r = seai_link_take(&b->link, &lookup, &message);

	CHECK_GE(r, 0);
	if (r == 0)
		return false;
	CHECK_EQ(message->tag, tag);
	CHECK_EQ(sea_message_n_parts(message), 1);
	CHECK_EQ(sea_message_size(message), tag % (SEAI_INLINE_N_BYTES + 1));
	for (size_t i = 0; i < sea_message_size(message); i++)
		CHECK_EQ(((const uint8_t *)sea_message_data(message))[i], (uint8_t)tag);
	CHECK_EQ(message->sender_id, SIDES_A_ID);
	seai_message_put(message);
	seai_link_advance(&b->link, 1);
	return true;
}

TEST(capacity,
     "a ring holds as many messages as was agreed, also where that is no power of two, for any number of laps")
{
	static const uint32_t capacities[] = { 1, 2, 3, 7, 8, 100 };
	struct sides_end a, b;

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		uint64_t n_put = 0, n_taken = 0;

		sides_init(&a, &b, capacities[i]);
		CHECK(!seai_link_has_data(&b.link));
		CHECK(!ring_take(&b, 0));
		for (unsigned round = 0; round < 500; round++) {
			while (seai_link_has_room(&a.link))
				ring_put(&a, n_put++);
			CHECK_EQ(n_put - n_taken, capacities[i]);
			CHECK(seai_link_has_data(&b.link));
			for (uint64_t n = test_random() % capacities[i] + 1; n > 0; n--)
				CHECK(ring_take(&b, n_taken++));
		}
		while (n_taken < n_put)
			CHECK(ring_take(&b, n_taken++));
		CHECK(!ring_take(&b, n_taken));
		CHECK_EQ(seai_link_head(&b.link), n_put);
		sides_fini(&a, &b);
	}
}

TEST(head, "how far a dead sender got is seen in its ring, whatever was read of it")
{
	struct sides_end a, b;

	sides_init(&a, &b, 16);
	for (uint64_t n = 0; n < 40; n++) {
		CHECK_EQ(seai_link_head(&b.link), n);
		ring_put(&a, n);
		if (n >= 16 - 1)
			CHECK(ring_take(&b, n - 15));
		CHECK_EQ(seai_link_head(&b.link), n + 1);
	}
	/* A slot that was filled, but not published, is not there. */
	a.link.out.slots[40 & a.link.out.mask].tag = 1;
	CHECK_EQ(seai_link_head(&b.link), 40);
	sides_fini(&a, &b);
}

TEST(liar, "a reader's position that jumps ahead or back gives no room")
{
	struct sides_end a, b;
	static const uint64_t lies[] = { 9, 1000, UINT64_MAX, (uint64_t)1 << 63, 8 + 2 };

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		sides_init(&a, &b, 8);
		for (uint64_t n = 0; n < 8; n++)
			ring_put(&a, n);
		CHECK(!seai_link_has_room(&a.link));
		atomic_store(&b.link.mine->tail, lies[i]);
		CHECK(!seai_link_has_room(&a.link));
		atomic_store(&b.link.mine->tail, 3);
		CHECK(seai_link_has_room(&a.link));
		atomic_store(&b.link.mine->tail, 2);
		for (uint64_t n = 0; n < 3; n++)
			ring_put(&a, n);
		CHECK(!seai_link_has_room(&a.link));
		sides_fini(&a, &b);
	}
}

TEST(malformed, "descriptors that make no sense are refused one by one, and what follows is read")
{
	struct seai_lookup lookup = { 0 };
	struct sides_end a, b;
	struct sea_message *message;
	struct seai_descriptor *slots;

	sides_init(&a, &b, 8);
	for (uint64_t n = 0; n < 5; n++)
		ring_put(&a, n);
	slots = a.link.out.slots;
	slots[0].kind = 0;
	slots[1].kind = 77;
	slots[2].n_inline = SEAI_INLINE_N_BYTES + 1;
	slots[3].n_parts = 2;
	for (unsigned i = 0; i < 4; i++) {
		CHECK_ERR(seai_link_take(&b.link, &lookup, &message), -EBADMSG);
		seai_link_advance(&b.link, 1);
	}
	CHECK(ring_take(&b, 4));
	sides_fini(&a, &b);
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return CHECK_SYS(poll(&pollfd, 1, 0)) > 0;
}

TEST(bell, "the bell is rung for the first message after it was asked for, and for no other")
{
	struct sides_end a, b;

	sides_init(&a, &b, 16);
	/* Asked for from the start. */
	ring_put(&a, 0);
	CHECK(is_readable(b.link.bell_in_fd));
	seai_doorbell_drain(b.link.bell_in_fd);
	ring_put(&a, 1);
	CHECK(!is_readable(b.link.bell_in_fd));
	CHECK(ring_take(&b, 0));
	CHECK(ring_take(&b, 1));
	atomic_store(&b.link.mine->want_data, 2);
	ring_put(&a, 2);
	CHECK(is_readable(b.link.bell_in_fd));
	seai_doorbell_drain(b.link.bell_in_fd);
	CHECK(ring_take(&b, 2));
	/* Room, likewise: when the position that was asked for is passed. */
	for (uint64_t n = 3; n < 19; n++)
		ring_put(&a, n);
	CHECK(!seai_link_has_room(&a.link));
	CHECK(!is_readable(a.link.bell_in_fd));
	atomic_store(&a.link.mine->want_room, 4);
	CHECK(ring_take(&b, 3));
	CHECK(!is_readable(a.link.bell_in_fd));
	CHECK(ring_take(&b, 4));
	CHECK(is_readable(a.link.bell_in_fd));
	seai_doorbell_drain(a.link.bell_in_fd);
	CHECK(ring_take(&b, 5));
	CHECK(!is_readable(a.link.bell_in_fd));
	sides_fini(&a, &b);
}

/* Waits for its bell as a channel does: ask, fence, look again, sleep. A bell that never rings is the failure. */
static void ring_sleep(struct seai_link *link, bool for_data)
{
	struct pollfd pollfd = { .fd = link->bell_in_fd, .events = POLLIN };

	seai_doorbell_drain(link->bell_in_fd);
	if (for_data)
		atomic_store_explicit(&link->mine->want_data,
		                      atomic_load_explicit(&link->in.position, memory_order_relaxed),
		                      memory_order_relaxed);
	else
		atomic_store_explicit(&link->mine->want_room, link->out.tail_cached, memory_order_relaxed);
	seai_fence_heavy(link->asymmetric);
	if (for_data ? seai_link_has_data(link) : seai_link_has_room(link))
		return;
	if (CHECK_SYS(poll(&pollfd, 1, (int)(test_patience_ns() / 1000000))) == 0)
		FAIL("never rung");
}

static uint64_t n_messages;
static bool sleeps;

static void ring_write_all(struct sides_end *a)
{
	for (uint64_t n = 0; n < n_messages; n++) {
		while (!seai_link_has_room(&a->link)) {
			if (sleeps)
				ring_sleep(&a->link, false);
			else
				sched_yield();
		}
		ring_put(a, n);
	}
}

static void ring_read_all(struct sides_end *b)
{
	for (uint64_t n = 0; n < n_messages;) {
		if (ring_take(b, n))
			n++;
		else if (sleeps)
			ring_sleep(&b->link, true);
		else
			sched_yield();
	}
	CHECK(!seai_link_has_data(&b->link));
}

static void *ring_write_thread(void *arg)
{
	ring_write_all(arg);
	return NULL;
}

TEST_TIMEOUT(threads, "two threads on one mapping: every message once, in order, and nobody sleeps for ever", 60)
{
	static const uint32_t capacities[] = { 1, 3, 64 };
	struct sides_end a, b;

	n_messages = test_is_sanitized() ? 3000 : 30000;
	for (unsigned mode = 0; mode < 2; mode++)
		for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
			pthread_t thread;

			sleeps = mode;
			sides_init(&a, &b, capacities[i]);
			CHECK_EQ(pthread_create(&thread, NULL, ring_write_thread, &a), 0);
			ring_read_all(&b);
			CHECK_EQ(pthread_join(thread, NULL), 0);
			sides_fini(&a, &b);
		}
}

struct process {
	int socket_fd;
	uint32_t capacity;
};

static void ring_write_process(void *arg)
{
	struct process *process = arg;
	struct sides_end a;

	sides_meet(&a, true, process->capacity, process->socket_fd);
	ring_write_all(&a);
	sides_part(&a);
}

TEST_TIMEOUT(processes, "two processes, each with a mapping of its own, likewise", 60)
{
	static const uint32_t capacities[] = { 1, 5, 1000 };

	n_messages = test_is_sanitized() ? 3000 : 30000;
	for (unsigned mode = 0; mode < 2; mode++)
		for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
			struct sides_end b;
			struct process process = { .capacity = capacities[i] };
			int ends[2];
			pid_t pid;

			sleeps = mode;
			CHECK_SYS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
			process.socket_fd = ends[0];
			pid = test_fork(ring_write_process, &process);
			close(ends[0]);
			sides_meet(&b, false, capacities[i], ends[1]);
			ring_read_all(&b);
			CHECK_EQ(test_wait(pid), 0);
			close(ends[1]);
			sides_part(&b);
		}
}
