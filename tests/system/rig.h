/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a channel with its session, and numbered messages: what most tests of this folder need of both. */
#ifndef SEALANE_TESTS_SYSTEM_RIG_H
#define SEALANE_TESTS_SYSTEM_RIG_H

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <sealane/sealane.h>

#include "test.h"

struct rig {
	struct sea_session *session;
	struct sea_channel *channel;
};

static inline struct rig rig_open(enum sea_pattern pattern, const struct sea_channel_options *options)
{
	struct sea_session_options session_options = { .quota_n_bytes = 256u << 20 };
	struct rig rig;

	CHECK_OK(sea_session_open(&rig.session, &session_options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, pattern, options));
	return rig;
}

static inline struct rig rig_bind(enum sea_pattern pattern, const char *address,
                                  const struct sea_channel_options *options)
{
	struct rig rig = rig_open(pattern, options);

	CHECK_OK(sea_channel_bind(rig.channel, address));
	return rig;
}

static inline struct rig rig_connect(enum sea_pattern pattern, const char *address,
                                     const struct sea_channel_options *options)
{
	struct rig rig = rig_open(pattern, options);

	CHECK_OK(sea_channel_connect(rig.channel, address));
	return rig;
}

static inline void rig_close(struct rig *rig)
{
	rig->channel = sea_channel_close(rig->channel);
	rig->session = sea_session_close(rig->session);
}

/* How long a call waits that must succeed. */
static inline int64_t rig_patience(void)
{
	return test_patience_ns();
}

/* A message of n_bytes (8 at least) with a number at its start and at its end. */
static inline struct sea_message *rig_message_of(struct sea_heap *heap, uint64_t number, size_t n_bytes)
{
	struct sea_message *message;
	uint8_t *data;

	CHECK_OK(sea_message_new(&message, heap, n_bytes, 0, rig_patience()));
	data = sea_message_write(message);
	CHECK(data);
	memcpy(data, &number, sizeof(number));
	memcpy(data + n_bytes - sizeof(number), &number, sizeof(number));
	return message;
}

static inline uint64_t rig_number_of(const struct sea_message *message)
{
	const uint8_t *data = sea_message_data(message);
	size_t n_bytes = sea_message_size(message);
	uint64_t first, last;

	CHECK(data);
	CHECK_GE(n_bytes, sizeof(first));
	memcpy(&first, data, sizeof(first));
	memcpy(&last, data + n_bytes - sizeof(last), sizeof(last));
	CHECK_EQ(first, last);
	return first;
}

static inline int rig_send(const struct rig *rig, uint64_t number, size_t n_bytes, int64_t timeout_ns)
{
	struct sea_message *message = rig_message_of(sea_session_heap(rig->session), number, n_bytes);
	int r = sea_channel_send(rig->channel, &message, timeout_ns);

	CHECK((message == NULL) == (r == 0));
	sea_message_unref(message);
	return r;
}

/* Receives a message, releases it; its number is at *ret_number. */
static inline int rig_receive(const struct rig *rig, uint64_t *ret_number, int64_t timeout_ns)
{
	struct sea_message *message;
	int r;

	/* Also a process that was stopped and goes on finds its sleep interrupted. */
	do
		r = sea_channel_receive(rig->channel, &message, timeout_ns);
	while (r == -EINTR && timeout_ns);
	if (r == 0) {
		*ret_number = rig_number_of(message);
		sea_message_unref(message);
	}
	return r;
}

/* Receives, and the numbers come in this order. */
static inline void rig_expect(const struct rig *rig, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		uint64_t number = 0;

		CHECK_OK(rig_receive(rig, &number, rig_patience()));
		CHECK_EQ(number, i);
	}
}

static inline uint64_t rig_n_bytes_used(const struct rig *rig)
{
	struct sea_session_stats stats;

	CHECK_OK(sea_session_get_stats(rig->session, &stats));
	return stats.n_bytes_used;
}

static inline uint64_t rig_n_deaths(const struct rig *rig)
{
	struct sea_session_stats stats;

	CHECK_OK(sea_session_get_stats(rig->session, &stats));
	return stats.n_deaths;
}

/* SIGSTOP, and it has stopped. */
static inline void rig_stop(pid_t pid)
{
	int status;

	CHECK_SYS(kill(pid, SIGSTOP));
	CHECK_EQ(CHECK_SYS(waitpid(pid, &status, WUNTRACED)), pid);
	CHECK(WIFSTOPPED(status));
}

#endif
