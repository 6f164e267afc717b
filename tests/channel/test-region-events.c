/* SPDX-License-Identifier: Apache-2.0 */
/* Who subscribes to memory is told of all of it, before messages come out of it and before it goes. */
#include "peers.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_EVENTS 256u

struct told {
	struct sea_region_event events[N_EVENTS];
	_Atomic unsigned n;
	_Atomic int is_inside;
	_Atomic int64_t pause_ms;
	uint64_t own_id; /* whose memory is being written just now */
};

static void tell(const struct sea_region_event *event, void *userdata)
{
	struct told *told = userdata;

	/* One at a time. */
	CHECK_EQ(atomic_fetch_add(&told->is_inside, 1), 0);
	CHECK_LT(told->n, N_EVENTS);
	if (told->pause_ms)
		test_sleep_ms(told->pause_ms);
	/* It can be read, also when it is about to go. */
	CHECK_GT(event->n_bytes, 0);
	if (event->owner_id != told->own_id)
		(void)*(const volatile uint8_t *)event->data;
	told->events[told->n] = *event;
	atomic_fetch_sub(&told->is_inside, 1);
	told->n++;
}

/* How many events of that type there were of an owner; *ret_last is the newest of them. */
static unsigned count(struct told *told, enum sea_region_event_type type, uint64_t owner_id,
                      struct sea_region_event *ret_last)
{
	unsigned n = 0, n_events = told->n;

	for (unsigned i = 0; i < n_events; i++)
		if (told->events[i].type == type && told->events[i].owner_id == owner_id) {
			*ret_last = told->events[i];
			n++;
		}
	return n;
}

TEST(all, "a late subscriber is told of everything that exists, then of what comes and goes, in all processes")
{
	struct told *told = calloc(1, sizeof(*told));
	struct sea_session *owner = peers_open(), *reader = peers_open(), *third;
	struct sea_message *message = peers_message(owner, 5000, 1), *other;
	struct sea_region_options options = { .n_bytes = 1 << 20, .name = "ring", .user_flags = 77 };
	struct sea_region_event event = { 0 };
	struct sea_region *region;

	told->own_id = sea_session_id(reader);
	CHECK_OK(sea_region_new(&region, owner, &options));
	CHECK_OK(sea_session_on_region_event(reader, tell, told));
	CHECK_EVENTUALLY(count(told, SEA_REGION_CREATED, sea_session_id(owner), &event) == 2);
	for (unsigned i = 0; i < told->n; i++) {
		const struct sea_region_event *each = &told->events[i];

		CHECK_EQ(each->owner_id, sea_session_id(owner));
		CHECK_EQ(each->type, SEA_REGION_CREATED);
		CHECK_STR_EQ(each->name, each->is_region ? "ring" : "");
		CHECK_EQ(each->user_flags, each->is_region ? 77 : 0);
		CHECK_EQ(each->protection == SEA_PROTECTION_SHARED,
		         !each->is_region && getenv("SEALANE_TEST_TRANSPORT") != NULL);
		if (each->is_region)
			CHECK_EQ(each->n_bytes, 1 << 20);
	}
	/* Own memory too. */
	other = peers_message(reader, 5000, 1);
	CHECK_EVENTUALLY(count(told, SEA_REGION_CREATED, sea_session_id(reader), &event) == 1);
	CHECK((const uint8_t *)sea_message_data(other) >= (const uint8_t *)event.data &&
	      (const uint8_t *)sea_message_data(other) < (const uint8_t *)event.data + event.n_bytes);
	/* A process that comes later. */
	third = peers_open();
	sea_message_unref(peers_message(third, 5000, 1));
	CHECK_EVENTUALLY(count(told, SEA_REGION_CREATED, sea_session_id(third), &event) == 1);
	CHECK_OK(sea_heap_trim(sea_session_heap(third), 0));
	CHECK_EVENTUALLY(count(told, SEA_REGION_DESTROYED, sea_session_id(third), &event) == 1);
	CHECK_EVENTUALLY(peers_stats(third).n_bytes_backed == 0);
	CHECK(!sea_region_close(region, NULL));
	CHECK_EVENTUALLY(count(told, SEA_REGION_DESTROYED, sea_session_id(owner), &event) == 1);
	CHECK_EQ(event.is_region, 1);
	CHECK_STR_EQ(event.name, "ring");
	sea_message_unref(other);
	CHECK_OK(sea_heap_trim(sea_session_heap(reader), 0));
	CHECK_EVENTUALLY(count(told, SEA_REGION_DESTROYED, sea_session_id(reader), &event) == 1);
	CHECK_EVENTUALLY(peers_stats(reader).n_bytes_backed == 0);
	/* Nothing more after the end of the subscription. */
	CHECK_OK(sea_session_on_region_event(reader, NULL, NULL));
	sea_message_unref(message);
	CHECK_OK(sea_heap_trim(sea_session_heap(owner), 0));
	CHECK_EVENTUALLY(peers_stats(owner).n_bytes_backed == 0);
	CHECK_EQ(count(told, SEA_REGION_DESTROYED, sea_session_id(owner), &event), 1);
	sea_session_close(third);
	sea_session_close(reader);
	sea_session_close(owner);
	free(told);
}

/* The only event of that type of the region of that name. */
static const struct sea_region_event *event_of(const struct told *told, enum sea_region_event_type type,
                                               const char *name)
{
	const struct sea_region_event *found = NULL;

	for (unsigned i = 0; i < told->n; i++)
		if (told->events[i].type == type && strcmp(told->events[i].name, name) == 0) {
			CHECK(!found);
			found = &told->events[i];
		}
	CHECK(found);
	return found;
}

TEST(two_regions,
     "each of two regions comes with its place, size and word, also for its own process, and goes with them")
{
	static const uint64_t sizes[2] = { 1 << 20, 5 << 20 };
	static const char *const names[2] = { "small", "large" };
	struct told *told[2] = { calloc(1, sizeof(*told[0])), calloc(1, sizeof(*told[0])) };
	struct sea_session *sessions[2] = { peers_open(), peers_open() };
	struct sea_region *regions[2];

	for (unsigned i = 0; i < 2; i++) {
		struct sea_region_options options = { .n_bytes = sizes[i], .name = names[i], .user_flags = 12345 + i };

		/* One is there before anybody has subscribed. */
		CHECK_OK(sea_region_new(&regions[i], sessions[0], &options));
		for (unsigned j = 0; i == 0 && j < 2; j++) {
			told[j]->own_id = sea_session_id(sessions[0]);
			CHECK_OK(sea_session_on_region_event(sessions[j], tell, told[j]));
		}
	}
	for (unsigned j = 0; j < 2; j++) {
		CHECK_EVENTUALLY(told[j]->n == 2);
		for (unsigned i = 0; i < 2; i++) {
			const struct sea_region_event *event = event_of(told[j], SEA_REGION_CREATED, names[i]);

			CHECK_EQ(event->is_region, 1);
			CHECK_EQ(event->n_bytes, sizes[i]);
			CHECK_EQ(event->user_flags, 12345 + i);
			CHECK_EQ(event->owner_id, sea_session_id(sessions[0]));
			CHECK_EQ(event->data == sea_region_data(regions[i]), j == 0);
		}
	}
	for (unsigned i = 0; i < 2; i++)
		CHECK(!sea_region_close(regions[i], NULL));
	for (unsigned j = 0; j < 2; j++) {
		CHECK_EVENTUALLY(told[j]->n == 4);
		for (unsigned i = 0; i < 2; i++) {
			const struct sea_region_event *event = event_of(told[j], SEA_REGION_DESTROYED, names[i]);

			CHECK_EQ(event->n_bytes, sizes[i]);
			CHECK_EQ(event->user_flags, 12345 + i);
			CHECK(event->data == event_of(told[j], SEA_REGION_CREATED, names[i])->data);
		}
	}
	for (unsigned j = 2; j-- > 0;) {
		CHECK_OK(sea_session_on_region_event(sessions[j], NULL, NULL));
		sea_session_close(sessions[j]);
		free(told[j]);
	}
}

TEST(before, "a message out of new memory is not delivered before the subscriber was told of that memory")
{
	struct told *told = calloc(1, sizeof(*told));
	struct sea_session *owner = peers_open(), *reader = peers_open();
	struct sea_channel *push = peers_bind(owner, SEA_PUSH, "e"), *pull = peers_connect(reader, SEA_PULL, "e");
	struct sea_region_event event = { 0 };

	peers_wait(push, 1);
	CHECK_OK(sea_session_on_region_event(reader, tell, told));
	told->pause_ms = 30;
	for (unsigned i = 0; i < 5; i++) {
		struct sea_message *message;

		/* An arena of its own each. */
		CHECK_OK(sea_message_new(&message, sea_session_heap(owner), (size_t)100 << 20, 0, 0));
		peers_fill(sea_message_write(message), 1000, i);
		peers_send(push, message);
		message = peers_receive(pull);
		CHECK_EQ(count(told, SEA_REGION_CREATED, sea_session_id(owner), &event), i + 1);
		CHECK((const uint8_t *)sea_message_data(message) >= (const uint8_t *)event.data &&
		      (const uint8_t *)sea_message_data(message) < (const uint8_t *)event.data + event.n_bytes);
		peers_check(sea_message_data(message), 1000, i);
		sea_message_unref(message);
		CHECK_OK(sea_heap_trim(sea_session_heap(owner), 0));
		CHECK_EVENTUALLY(count(told, SEA_REGION_DESTROYED, sea_session_id(owner), &event) == i + 1);
	}
	sea_channel_close(pull);
	sea_channel_close(push);
	sea_session_close(reader);
	sea_session_close(owner);
	free(told);
}

TEST(taken, "events can be taken by a descriptor, and what depends on one waits until the next is asked for")
{
	struct sea_session *owner = peers_open(), *reader = peers_open();
	struct sea_channel *push = peers_bind(owner, SEA_PUSH, "t"), *pull = peers_connect(reader, SEA_PULL, "t");
	struct sea_region_event event = { 0 };
	struct sea_message *message;
	struct pollfd pollfd = { .events = POLLIN };

	CHECK_ERR(sea_session_take_region_event(reader, &event), -EINVAL);
	peers_wait(push, 1);
	pollfd.fd = CHECK_OK(sea_session_region_event_fd(reader));
	CHECK_EQ(sea_session_region_event_fd(reader), pollfd.fd);
	CHECK_EQ(poll(&pollfd, 1, 0), 0);
	peers_send(push, peers_message(owner, 5000, 1));
	CHECK_EQ(poll(&pollfd, 1, 20000), 1);
	CHECK_ERR(sea_channel_receive(pull, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	CHECK_EQ(sea_session_take_region_event(reader, &event), 1);
	CHECK_EQ(event.type, SEA_REGION_CREATED);
	CHECK_EQ(event.owner_id, sea_session_id(owner));
	CHECK_EQ(poll(&pollfd, 1, 0), 0);
	CHECK_ERR(sea_channel_receive(pull, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	CHECK_EQ(sea_session_take_region_event(reader, &event), 0);
	message = peers_receive(pull);
	peers_check_part(message, 0, 5000, 1);
	sea_message_unref(message);
	/* It stays mapped here, and so with its owner, until the event was seen to. */
	CHECK_OK(sea_heap_trim(sea_session_heap(owner), 0));
	CHECK_EQ(poll(&pollfd, 1, 20000), 1);
	CHECK_EQ(sea_session_take_region_event(reader, &event), 1);
	CHECK_EQ(event.type, SEA_REGION_DESTROYED);
	test_sleep_ms(20);
	(void)*(const volatile uint8_t *)event.data;
	CHECK_GT(peers_stats(owner).n_bytes_backed, 0);
	CHECK_EQ(sea_session_take_region_event(reader, &event), 0);
	CHECK_EVENTUALLY(peers_stats(owner).n_bytes_backed == 0);
	sea_channel_close(pull);
	sea_channel_close(push);
	sea_session_close(reader);
	sea_session_close(owner);
}

static struct test_step ready, go[5];

static void owner_to_be_killed(void *arg)
{
	struct sea_session *session;

	test_step_wait(arg);
	session = peers_open();
	(void)peers_message(session, 5000, 1);
	test_step_signal(&ready, 1);
	for (;;)
		pause();
}

TEST(killed, "memory of a killed process goes with an event, and its successor's comes with one")
{
	struct told *told = calloc(1, sizeof(*told));
	struct sea_session *reader;
	pid_t pids[5];

	test_step_init(&ready);
	for (unsigned i = 0; i < 5; i++) {
		test_step_init(&go[i]);
		pids[i] = test_fork(owner_to_be_killed, &go[i]);
	}
	reader = peers_open();
	CHECK_OK(sea_session_on_region_event(reader, tell, told));
	for (unsigned i = 0; i < 5; i++) {
		test_step_signal(&go[i], 1);
		test_step_wait(&ready);
		CHECK_EVENTUALLY(told->n == 2 * i + 1);
		CHECK_EQ(told->events[2 * i].type, SEA_REGION_CREATED);
		test_kill(pids[i]);
		CHECK_EVENTUALLY(told->n == 2 * i + 2);
		CHECK_EQ(told->events[2 * i + 1].type, SEA_REGION_DESTROYED);
		CHECK_EQ(told->events[2 * i + 1].owner_id, told->events[2 * i].owner_id);
		CHECK(told->events[2 * i + 1].data == told->events[2 * i].data);
	}
	CHECK_EVENTUALLY(peers_stats(reader).n_arenas_attached == 0);
	sea_session_close(reader);
	for (unsigned i = 0; i < 5; i++)
		test_step_fini(&go[i]);
	test_step_fini(&ready);
	free(told);
}
