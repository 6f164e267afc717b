/* SPDX-License-Identifier: Apache-2.0 */
/* Publishers and subscribers. */
#include "peers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct sea_channel *publisher(struct sea_session *session, const char *address,
                                     const struct sea_channel_options *options)
{
	struct sea_channel *channel;

	CHECK_OK(sea_channel_new(&channel, session, SEA_PUB, options));
	CHECK_OK(sea_channel_bind(channel, address));
	return channel;
}

static struct sea_channel *subscriber(struct sea_session *session, const char *address, const char *prefix, int32_t buf)
{
	struct sea_channel_options options = { .rcvbuf = buf };
	struct sea_channel *channel;

	CHECK_OK(sea_channel_new(&channel, session, SEA_SUB, &options));
	if (prefix)
		CHECK_OK(sea_channel_subscribe(channel, prefix, strlen(prefix)));
	CHECK_OK(sea_channel_connect(channel, address));
	return channel;
}

static struct sea_message *text(struct sea_session *session, const char *words, size_t n_bytes)
{
	struct sea_message *message;

	if (n_bytes < strlen(words))
		n_bytes = strlen(words);
	CHECK_OK(sea_message_new(&message, sea_session_heap(session), n_bytes, 0, 0));
	if (n_bytes) {
		memset(sea_message_write(message), '.', n_bytes);
		memcpy(sea_message_write(message), words, strlen(words));
	}
	return message;
}

static void expect(struct sea_channel *channel, const char *words)
{
	struct sea_message *message = peers_receive(channel);

	CHECK_GE(sea_message_size(message), strlen(words));
	CHECK(strlen(words) == 0 || memcmp(sea_message_data(message), words, strlen(words)) == 0);
	sea_message_unref(message);
}

/* Publishes until the subscriber has got one (or none any more), and takes all that came. */
static void publish_until(struct sea_channel *pub, struct sea_session *source, const char *words,
                          struct sea_channel *sub, bool is_wanted)
{
	int r;

	do {
		struct sea_message *message;

		peers_send(pub, text(source, words, 100));
		r = sea_channel_receive(sub, &message, PEERS_SHORT_NS);
		if (r == 0)
			sea_message_unref(message);
	} while ((r == 0) != is_wanted);
}

static void take_all(struct sea_channel *channel)
{
	struct sea_message *message;

	while (sea_channel_receive(channel, &message, PEERS_SHORT_NS) == 0)
		sea_message_unref(message);
}

static void expect_nothing(struct sea_channel *channel)
{
	struct sea_message *message;

	CHECK_ERR(sea_channel_receive(channel, &message, 0), -EAGAIN);
}

TEST(prefixes, "each subscriber gets what begins with one of its prefixes, as one block, and nothing else")
{
	struct sea_session *source = peers_open(), *others[3] = { peers_open(), peers_open(), peers_open() };
	struct sea_channel *pub = publisher(source, "news", NULL), *subs[3];
	static const size_t sizes[] = { 0, 1000 };

	subs[0] = subscriber(others[0], "news", "", 0);
	subs[1] = subscriber(others[1], "news", "a", 0);
	subs[2] = subscriber(others[2], "news", "ab", 0);
	peers_wait(pub, 3);
	/* What is subscribed to later comes after a moment. */
	CHECK_OK(sea_channel_subscribe(subs[2], "c", 1));
	publish_until(pub, source, "c", subs[2], true);
	take_all(subs[2]);
	take_all(subs[0]);
	for (unsigned i = 0; i < 2; i++) {
		peers_send(pub, text(source, "abc", sizes[i]));
		peers_send(pub, text(source, "ax", sizes[i]));
		peers_send(pub, text(source, "x", sizes[i]));
		peers_send(pub, text(source, "", sizes[i]));
		expect(subs[0], "abc");
		expect(subs[0], "ax");
		expect(subs[0], "x");
		expect(subs[0], "");
		expect(subs[1], "abc");
		expect(subs[1], "ax");
		expect(subs[2], "abc");
		for (unsigned j = 0; j < 3; j++)
			expect_nothing(subs[j]);
	}
	CHECK_EQ(peers_channel_stats(pub).n_missed, 0);
	CHECK_OK(sea_channel_unsubscribe(subs[1], "a", 1));
	CHECK_ERR(sea_channel_unsubscribe(subs[1], "a", 1), -ENOENT);
	publish_until(pub, source, "abc", subs[1], false);
	for (unsigned i = 0; i < 3; i++) {
		sea_channel_close(subs[i]);
		sea_session_close(others[i]);
	}
	peers_wait_unused(source);
	sea_channel_close(pub);
	sea_session_close(source);
}

TEST(nobody, "what nobody wants is sent at once and is free again")
{
	struct sea_session *source = peers_open();
	struct sea_channel *pub = publisher(source, "nobody", NULL);

	for (unsigned i = 0; i < 100; i++)
		peers_send(pub, text(source, "x", 100000));
	peers_wait_unused(source);
	sea_channel_close(pub);
	sea_session_close(source);
}

TEST(twice, "a prefix subscribed to twice has to be given up twice")
{
	struct sea_session *source = peers_open(), *other = peers_open();
	struct sea_channel *pub = publisher(source, "twice", NULL), *sub = subscriber(other, "twice", "a", 0);
	char word[SEA_TOPIC_N_BYTES_MAX + 1] = { 0 };

	CHECK_OK(sea_channel_subscribe(sub, "a", 1));
	CHECK_OK(sea_channel_unsubscribe(sub, "a", 1));
	peers_wait(pub, 1);
	peers_send(pub, text(source, "a", 50));
	expect(sub, "a");
	CHECK_OK(sea_channel_unsubscribe(sub, "a", 1));
	CHECK_ERR(sea_channel_subscribe(sub, word, sizeof(word)), -E2BIG);
	CHECK_OK(sea_channel_subscribe(sub, word, sizeof(word) - 1));
	CHECK_ERR(sea_channel_subscribe(pub, "a", 1), -EINVAL);
	for (unsigned i = 0; i < 1023; i++) {
		snprintf(word, sizeof(word), "topic %u", i);
		CHECK_OK(sea_channel_subscribe(sub, word, strlen(word)));
	}
	CHECK_ERR(sea_channel_subscribe(sub, "one more", 8), -ENOSPC);
	publish_until(pub, source, "topic 1022", sub, true);
	sea_channel_close(sub);
	sea_channel_close(pub);
	sea_session_close(other);
	sea_session_close(source);
}

TEST(slow, "a subscriber without room misses messages, which are counted; the others miss none")
{
	struct sea_session *source = peers_open(), *others[2] = { peers_open(), peers_open() };
	struct sea_channel_options options = { .sndbuf = -1 };
	struct sea_channel *pub = publisher(source, "slow", &options), *subs[2];

	subs[0] = subscriber(others[0], "slow", "", 5);
	subs[1] = subscriber(others[1], "slow", "", 100);
	peers_wait(pub, 2);
	for (unsigned i = 0; i < 20; i++)
		peers_send(pub, peers_message(source, 500, i));
	CHECK_EQ(peers_channel_stats(pub).n_missed, 15);
	for (unsigned i = 0; i < 20; i++) {
		struct sea_message *message = peers_receive(subs[1]);

		peers_check_part(message, 0, 500, i);
		sea_message_unref(message);
		if (i < 5) {
			message = peers_receive(subs[0]);
			peers_check_part(message, 0, 500, i);
			sea_message_unref(message);
		}
	}
	expect_nothing(subs[0]);
	for (unsigned i = 0; i < 2; i++) {
		sea_channel_close(subs[i]);
		sea_session_close(others[i]);
	}
	sea_channel_close(pub);
	sea_session_close(source);
}

static void take_a_thousand(void *unused)
{
	struct sea_session *other = peers_open();
	struct sea_channel *sub = subscriber(other, "wait", "", 4);

	(void)unused;
	for (unsigned i = 0; i < 1000; i++) {
		struct sea_message *message = peers_receive(sub);

		peers_check_part(message, 0, 300, i);
		sea_message_unref(message);
	}
	sea_channel_close(sub);
	sea_session_close(other);
}

TEST(wait, "a publisher that waits for slow subscribers waits until there is room, or its time is over")
{
	pid_t child = test_fork(take_a_thousand, NULL);
	struct sea_session *source, *other;
	struct sea_channel_options options = { .sndbuf = -1, .slow = SEA_SLOW_WAIT };
	struct sea_channel *pub, *sub;

	source = peers_open();
	pub = publisher(source, "wait", &options);
	peers_wait(pub, 1);
	for (unsigned i = 0; i < 1000; i++)
		peers_send(pub, peers_message(source, 300, i));
	CHECK_EQ(peers_channel_stats(pub).n_missed, 0);
	CHECK_EQ(test_wait(child), 0);
	/* Else it would be taken for the next one, which is not there yet. */
	CHECK_EVENTUALLY(peers_channel_stats(pub).n_links == 0);
	/* One that does not take anything. */
	other = peers_open();
	sub = subscriber(other, "wait", "", 4);
	peers_wait(pub, 1);
	for (unsigned i = 0; i < 5; i++) {
		struct sea_message *message = peers_message(source, 300, i);

		CHECK_OK(sea_channel_send(pub, &message, PEERS_SHORT_NS));
	}
	CHECK_EQ(peers_channel_stats(pub).n_missed, 1);
	sea_channel_close(sub);
	sea_channel_close(pub);
	sea_session_close(other);
	sea_session_close(source);
}

TEST(latest, "who subscribes late gets the latest message, also while the publisher's program is elsewhere")
{
	struct sea_session *source = peers_open(), *other = peers_open();
	struct sea_channel_options options = { .flags = SEA_CHANNEL_LATEST };
	struct sea_channel *pub = publisher(source, "late", &options), *subs[20];

	peers_send(pub, text(source, "old", 100));
	peers_send(pub, text(source, "new", 100));
	for (unsigned i = 0; i < 20; i++) {
		subs[i] = subscriber(other, "late", i % 2 ? "n" : "", 0);
		expect(subs[i], "new");
		expect_nothing(subs[i]);
	}
	/* Wanted later on a link that is there. */
	peers_send(pub, text(source, "x", 0));
	expect(subs[0], "x");
	expect_nothing(subs[1]);
	CHECK_OK(sea_channel_subscribe(subs[1], "x", 1));
	expect(subs[1], "x");
	for (unsigned i = 0; i < 20; i++)
		sea_channel_close(subs[i]);
	sea_session_close(other);
	sea_channel_close(pub);
	peers_wait_unused(source);
	sea_session_close(source);
}

static void keep_all(void *unused)
{
	struct sea_session *other = peers_open();
	struct sea_channel *sub = subscriber(other, "killed", "", 0);
	struct sea_message *message;

	(void)unused;
	while (sea_channel_receive(sub, &message, -1) == 0)
		; /* never released */
}

TEST(killed, "subscribers that are killed disturb nobody, and what they held is free")
{
	struct sea_session *source, *other;
	struct sea_channel *pub, *sub;
	pid_t children[3];

	for (unsigned i = 0; i < 3; i++)
		children[i] = test_fork(keep_all, NULL);
	source = peers_open();
	other = peers_open();
	pub = publisher(source, "killed", NULL);
	sub = subscriber(other, "killed", "", 0);
	peers_wait(pub, 4);
	for (unsigned i = 0; i < 600; i++) {
		struct sea_message *message;

		peers_send(pub, peers_message(source, 2000, i));
		message = peers_receive(sub);
		peers_check_part(message, 0, 2000, i);
		sea_message_unref(message);
		if (i % 200 == 100)
			test_kill(children[i / 200]);
	}
	peers_wait_unused(source);
	CHECK_EVENTUALLY(peers_channel_stats(pub).n_links == 1);
	sea_channel_close(sub);
	sea_channel_close(pub);
	sea_session_close(other);
	sea_session_close(source);
}

TEST(unfit, "a peer of another pattern is refused with an error at once")
{
	struct sea_session *source = peers_open(), *other = peers_open();
	struct sea_channel *pub = publisher(source, "unfit", NULL), *pull = peers_connect(other, SEA_PULL, "unfit");

	CHECK_ERR(sea_channel_wait_peers(pull, 1, PEERS_LONG_NS), -EPROTOTYPE);
	sea_channel_close(pull);
	sea_channel_close(pub);
	sea_session_close(other);
	sea_session_close(source);
}
