/* SPDX-License-Identifier: Apache-2.0 */
/* Metas that many threads resolve at once, while what they name is used again, or is seen for the first time. */
#include "metas.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct race {
	struct sea_session *session;
	_Atomic bool is_over;
	struct sea_meta metas[8]; /* torn copies are refused by their checksum */
	_Atomic uint64_t n_good, n_stale;
};

static void *race_read(void *arg)
{
	struct race *race = arg;
	uint8_t bytes[2000];

	while (!race->is_over || race->n_good < 100) {
		struct sea_meta meta;
		struct sea_resolved resolved;
		unsigned at = (unsigned)(test_random() % 8);
		bool is_same = true;
		int r;

		for (size_t i = 0; i < sizeof(meta); i++)
			((uint8_t *)&meta)[i] = __atomic_load_n((uint8_t *)&race->metas[at] + i, __ATOMIC_RELAXED);
		r = sea_meta_resolve(race->session, &meta, PEERS_LONG_NS, &resolved);
		if (r < 0) {
			CHECK(r == -ESTALE || r == -EBADMSG);
			race->n_stale++;
			continue;
		}
		CHECK_EQ(resolved.n_bytes, sizeof(bytes));
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = __atomic_load_n((const uint8_t *)resolved.data + i, __ATOMIC_RELAXED);
		r = sea_meta_check(race->session, &meta);
		if (r < 0) {
			CHECK_EQ(r, -ESTALE);
			race->n_stale++;
			continue;
		}
		for (size_t i = 0; i < sizeof(bytes); i++)
			is_same &= bytes[i] == (uint8_t)meta.hint;
		CHECK(is_same);
		race->n_good++;
	}
	return NULL;
}

TEST(race, "a reader that races with the reuse of a part never takes torn bytes for good")
{
	struct sea_session *owner = peers_open();
	struct race race = { .session = peers_open() };
	struct sea_message *messages[8] = { NULL };
	pthread_t threads[2];
	unsigned n_rounds = test_is_sanitized() ? 4000 : 60000;

	for (unsigned round = 0; round < n_rounds || race.n_good < 100; round++) {
		unsigned i = round % 8;
		struct sea_meta meta;
		uint8_t *data;

		messages[i] = sea_message_unref(messages[i]);
		CHECK_OK(sea_message_new(&messages[i], sea_session_heap(owner), 2000, 0, 0));
		data = sea_message_write(messages[i]);
		for (unsigned j = 0; j < 2000; j++)
			__atomic_store_n(&data[j], (uint8_t)round, __ATOMIC_RELAXED);
		CHECK_OK(sea_message_meta(messages[i], 0, round & 0xff, &meta));
		for (size_t j = 0; j < sizeof(meta); j++)
			__atomic_store_n((uint8_t *)&race.metas[i] + j, ((uint8_t *)&meta)[j], __ATOMIC_RELAXED);
		for (unsigned j = 0; round == 8 && j < 2; j++)
			CHECK_EQ(pthread_create(&threads[j], NULL, race_read, &race), 0);
	}
	race.is_over = true;
	for (unsigned j = 0; j < 2; j++)
		CHECK_EQ(pthread_join(threads[j], NULL), 0);
	sea_message_unref_many(messages, 8);
	sea_session_close(race.session);
	sea_session_close(owner);
}

struct crowd {
	struct sea_session *session;
	const struct sea_meta *metas;
	unsigned n_metas;
};

static void *crowd_resolve(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned i = 0; i < 4 * crowd->n_metas; i++) {
		const struct sea_meta *meta = &crowd->metas[test_random() % crowd->n_metas];
		struct sea_resolved resolved;

		CHECK_OK(sea_meta_resolve(crowd->session, meta, PEERS_LONG_NS, &resolved));
		CHECK_EQ(*(const uint64_t *)resolved.data, meta->hint);
	}
	return NULL;
}

TEST(crowd, "many threads resolve into many arenas at once, each seen for the first time")
{
	struct sea_session *owner = peers_open();
	struct crowd crowd = { .session = peers_open(), .n_metas = 200 };
	struct sea_message *messages[200];
	struct sea_meta metas[200];
	struct sea_resolved resolved[200];
	struct sea_frame_options options = { .n_bytes_max = { 4096 }, .flags = SEA_FRAME_IMMUTABLE };
	pthread_t threads[4];

	for (uint64_t i = 0; i < 200; i++) {
		struct sea_frame *frame;
		void *data;

		/* One arena each. */
		CHECK_OK(sea_frame_new(&frame, sea_session_heap(owner), &options, 0));
		CHECK_OK(sea_frame_add(frame, 8, 0, &data));
		memcpy(data, &i, 8);
		messages[i] = peers_seal(frame);
		CHECK_OK(sea_message_meta(messages[i], 0, i, &metas[i]));
	}
	crowd.metas = metas;
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, crowd_resolve, &crowd), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(sea_meta_resolve_many(crowd.session, metas, 200, 0, resolved), 200);
	for (uint64_t i = 0; i < 200; i++)
		CHECK_EQ(*(const uint64_t *)resolved[i].data, i);
	metas[100].n_bytes++;
	CHECK_EQ(sea_meta_resolve_many(crowd.session, metas, 200, 0, resolved), 100);
	CHECK_ERR(sea_meta_resolve_many(crowd.session, metas + 100, 1, 0, resolved), -EBADMSG);
	CHECK_EQ(peers_stats(crowd.session).n_arenas_attached, 200);
	CHECK_OK(sea_meta_forget(crowd.session));
	sea_message_unref_many(messages, 200);
	CHECK_EVENTUALLY(peers_stats(crowd.session).n_arenas_attached == 0);
	CHECK_EVENTUALLY(peers_stats(owner).n_bytes_backed == 0);
	sea_session_close(crowd.session);
	sea_session_close(owner);
}
