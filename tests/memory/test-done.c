/* SPDX-License-Identifier: Apache-2.0 */
/* Being told when the last hold is gone: by asking, by descriptor, by callback; here within one process. */
#include "test.h"

#include <poll.h>
#include <stdatomic.h>

#include <sealane/sealane.h>

static struct sea_session *session;

static void done_test_init(void)
{
	CHECK_OK(sea_session_open(&session, &(struct sea_session_options){ .quota_n_bytes = 64 << 20 }));
}

static struct sea_message *message_with(uint64_t cookie)
{
	struct sea_message *message;

	CHECK_OK(sea_message_new(&message, sea_session_heap(session), 1000, 0, 0));
	CHECK_OK(sea_message_notify(message, cookie));
	return message;
}

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return CHECK_SYS(poll(&pollfd, 1, 0)) > 0;
}

TEST(take, "cookies are given once each, in the order in which the holds ended")
{
	struct sea_message *messages[300];
	uint64_t cookies[300];

	done_test_init();
	for (unsigned i = 0; i < 300; i++)
		messages[i] = message_with(1000 + i);
	CHECK_EQ(sea_session_take_done(session, cookies, 300), 0);
	for (unsigned i = 0; i < 300; i++)
		sea_message_unref(messages[299 - i]);
	CHECK_EQ(sea_session_take_done(session, cookies, 0), 0);
	CHECK_EQ(sea_session_take_done(session, cookies, 100), 100);
	CHECK_EQ(sea_session_take_done(session, cookies + 100, 1000), 200);
	for (unsigned i = 0; i < 300; i++)
		CHECK_EQ(cookies[i], 1299 - i);
	CHECK_EQ(sea_session_take_done(session, cookies, 300), 0);
	/* The same memory without a wish says nothing. */
	CHECK_OK(sea_message_new(&messages[0], sea_session_heap(session), 1000, 0, 0));
	sea_message_unref(messages[0]);
	CHECK_EQ(sea_session_take_done(session, cookies, 300), 0);
	sea_session_close(session);
}

TEST(descriptor, "the descriptor is readable as long as there is a cookie to take")
{
	struct sea_message *a, *b;
	uint64_t cookies[2];
	int fd;

	done_test_init();
	a = message_with(1);
	fd = (int)CHECK_OK(sea_session_done_fd(session));
	CHECK_EQ(sea_session_done_fd(session), fd);
	CHECK(!is_readable(fd));
	b = message_with(2);
	sea_message_unref(a);
	CHECK(is_readable(fd));
	sea_message_unref(b);
	CHECK_EQ(sea_session_take_done(session, cookies, 1), 1);
	CHECK_EQ(cookies[0], 1);
	CHECK(is_readable(fd));
	CHECK_EQ(sea_session_take_done(session, cookies, 2), 1);
	CHECK_EQ(cookies[0], 2);
	CHECK(!is_readable(fd));
	sea_session_close(session);
	/* Asked for when there is something already. */
	done_test_init();
	sea_message_unref(message_with(3));
	CHECK(is_readable((int)CHECK_OK(sea_session_done_fd(session))));
	sea_session_close(session);
}

static _Atomic unsigned n_calls;
static _Atomic uint64_t sum;
static _Atomic int wait_result;

static void on_done(uint64_t cookie, void *userdata)
{
	CHECK(userdata == &session);
	atomic_fetch_add(&sum, cookie);
	atomic_fetch_add(&n_calls, 1);
}

TEST(callback, "the callback is called once for each, also for those that came before it was set")
{
	uint64_t cookie;
	int fd;

	done_test_init();
	fd = (int)CHECK_OK(sea_session_done_fd(session));
	sea_message_unref(message_with(1));
	CHECK_OK(sea_session_on_done(session, on_done, &session));
	for (uint64_t i = 2; i <= 500; i++)
		sea_message_unref(message_with(i));
	CHECK_EQ(sea_session_take_done(session, &cookie, 1), 0);
	CHECK_EVENTUALLY(atomic_load(&n_calls) == 500);
	CHECK_EQ(atomic_load(&sum), 500 * 501 / 2);
	/* Back to taking. */
	CHECK_OK(sea_session_on_done(session, NULL, NULL));
	CHECK_EQ(sea_session_take_done(session, &cookie, 1), 0);
	CHECK(!is_readable(fd));
	sea_message_unref(message_with(7));
	CHECK(is_readable(fd));
	CHECK_EQ(sea_session_take_done(session, &cookie, 1), 1);
	CHECK_EQ(cookie, 7);
	CHECK_EQ(atomic_load(&n_calls), 500);
	sea_session_close(session);
}

static void wait_in_callback(uint64_t cookie, void *userdata)
{
	struct sea_message *message = NULL;
	int r = sea_message_new(&message, userdata, 2 << 20, 0, 0);

	(void)cookie;
	CHECK_EQ(r, -ENOMEM);
	r = sea_message_new(&message, userdata, 2 << 20, 0, -1);
	sea_message_unref(message);
	atomic_store(&wait_result, r);
}

TEST(no_waiting, "waiting for memory inside of the callback is refused")
{
	struct sea_heap_options options = { .quota_n_bytes = 4 << 20 };
	struct sea_heap *heap;
	struct sea_message *message;

	done_test_init();
	CHECK_OK(sea_heap_new(&heap, session, &options));
	CHECK_OK(sea_message_new(&message, heap, 3 << 20, 0, 0));
	CHECK_OK(sea_session_on_done(session, wait_in_callback, heap));
	sea_message_unref(message_with(1));
	CHECK_EVENTUALLY(atomic_load(&wait_result) != 0);
	CHECK_EQ(atomic_load(&wait_result), -EDEADLK);
	sea_message_unref(message);
	sea_session_close(session);
}
