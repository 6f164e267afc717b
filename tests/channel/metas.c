/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of all kinds of memory, and metas of their parts; see metas.h. */
#include "metas.h"

struct sea_meta metas_of(struct sea_message *message, size_t index)
{
	struct sea_meta meta;

	CHECK_OK(sea_message_meta(message, index, 7, &meta));
	CHECK_EQ(meta.hint, 7);
	return meta;
}

void metas_check_same(const struct sea_meta *meta, struct sea_message *message, size_t index)
{
	struct sea_meta again = metas_of(message, index);

	CHECK_MEM_EQ(&again, meta, sizeof(again));
}

struct sea_message *metas_make(struct sea_session *session, unsigned kind, uint64_t n)
{
	struct sea_frame_options options = { .n_bytes_max = { 1 << 17 }, .flags = SEA_FRAME_IMMUTABLE };
	struct sea_frame *frame;

	if (kind < 2)
		return peers_message(session, kind ? 30 : 5000, n);
	if (kind == 2)
		frame = peers_frame(session, 1 << 17);
	else
		CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	peers_add(frame, 0, 100, n + 1);
	peers_add(frame, 0, kind == 2 ? 70000 : 30000, n);
	return peers_seal(frame);
}

size_t metas_part(unsigned kind)
{
	return kind < 2 ? 0 : 1;
}

size_t metas_size(unsigned kind)
{
	return kind == 0 ? 5000 : kind == 1 ? 30 : kind == 2 ? 70000 : 30000;
}

void metas_check_resolves(struct sea_session *session, const struct sea_meta *meta, unsigned kind, uint64_t n)
{
	struct sea_resolved resolved;

	CHECK_OK(sea_meta_resolve(session, meta, PEERS_LONG_NS, &resolved));
	CHECK_EQ(resolved.n_bytes, metas_size(kind));
	peers_check(resolved.data, resolved.n_bytes, n);
	CHECK_OK(sea_meta_check(session, meta));
	CHECK_OK(sea_meta_resolve(session, meta, 0, &resolved));
}
