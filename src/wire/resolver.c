/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving: from metas to addresses; see resolver.h and sealane/meta.h.
 *
 * The odd rule: whatever a meta says is checked against the arena, whose head only its owner can write; a stale or made-up meta yields
 * an error or some bytes of that arena, never anything else.
 */
#include "wire/resolver.h"

#include <errno.h>
#include <string.h>

#include "memory/message.h"
#include "memory/meta.h"
#include "wire/resolver-table.h"

/* How far ahead the words of metas are asked for. */
#define RESOLVER_N_AHEAD 8u

/* What is not in the table: this process's own, and what has to be asked for. */
static int resolve_slowly(struct sea_session *session, const struct seai_meta_words *words, int64_t timeout_ns,
                          struct sea_resolved *ret_resolved)
{
	const struct seai_resolver_entry *entry;
	struct seai_block *block;
	struct seai_conn *conn;
	struct sea_meta meta;
	int r;

	memcpy(&meta, words, sizeof(meta));
	if (meta.owner_id == session->id)
		return seai_resolver_look_own(session, &meta, false, &block, ret_resolved);
	if (meta.owner_id == 0)
		return -EBADMSG;
	r = seai_resolver_ask(session, &meta, false, timeout_ns, &conn);
	if (r < 0)
		return r;
	entry = seai_resolver_find(seai_resolver_table(session), meta.owner_id, meta.arena_id);
	return entry ? seai_resolver_look(entry, &meta, ret_resolved) : -ENOENT;
}

/* One meta; *last is the entry that was found before, for they come in runs. */
static inline int resolve_one(struct sea_session *session, struct seai_resolver_table *table,
                              const struct sea_meta *meta, int64_t timeout_ns, const struct seai_resolver_entry **last,
                              struct sea_resolved *ret_resolved)
{
	const struct seai_resolver_entry *entry = *last;
	struct seai_meta_words words;
	uint64_t offset, n_bytes;
	uint32_t arena_id, block_id;
	int r;

	memcpy(&words, meta, sizeof(words));
	r = seai_meta_words_check(&words, session->meta_session);
	if (SEAI_UNLIKELY(r < 0))
		return r;
	arena_id = (uint32_t)words.word[2];
	block_id = (uint32_t)(words.word[2] >> 32);
	offset = words.word[4];
	n_bytes = words.word[5];
	if (SEAI_UNLIKELY(seai_meta_words_kind(&words) == SEA_META_EMPTY || n_bytes == 0)) {
		*ret_resolved = (struct sea_resolved){ NULL, 0 };
		return 0;
	}
	if (!entry || atomic_load_explicit(&entry->owner_id, memory_order_relaxed) != words.word[1] ||
	    entry->arena_id != arena_id) {
		entry = seai_resolver_find(table, words.word[1], arena_id);
		if (SEAI_UNLIKELY(!entry))
			return resolve_slowly(session, &words, timeout_ns, ret_resolved);
		*last = entry;
	}
	if (SEAI_UNLIKELY(block_id >= entry->n_blocks_max || offset < entry->data_offset || offset > entry->n_bytes ||
	                  n_bytes > entry->n_bytes - offset))
		return -EBADMSG;
	/* acquire: what was written before the block got its generation is what is read */
	if (SEAI_UNLIKELY(atomic_load_explicit(&entry->generations[block_id], memory_order_acquire) != words.word[3] ||
	                  atomic_load_explicit(&entry->is_gone, memory_order_relaxed)))
		return -ESTALE;
	ret_resolved->data = entry->base + offset;
	ret_resolved->n_bytes = n_bytes;
	return 0;
}

int sea_meta_resolve(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                     struct sea_resolved *ret_resolved)
{
	const struct seai_resolver_entry *last = NULL;

	if (seai_session_is_forked(session))
		return -EPERM;
	return resolve_one(session, seai_resolver_table(session), meta, timeout_ns, &last, ret_resolved);
}

int sea_meta_resolve_many(struct sea_session *session, const struct sea_meta *metas, size_t n_metas, int64_t timeout_ns,
                          struct sea_resolved *resolved)
{
	struct seai_resolver_table *table = seai_resolver_table(session);
	const struct seai_resolver_entry *last = NULL, *last_ahead = NULL;
	size_t n_most = n_metas < INT32_MAX ? n_metas : INT32_MAX;

	if (seai_session_is_forked(session))
		return -EPERM;
	for (size_t i = 0; i < n_most; i++) {
		int r;

		if (SEAI_LIKELY(i + RESOLVER_N_AHEAD < n_most)) {
			const struct sea_meta *ahead = &metas[i + RESOLVER_N_AHEAD];
			/* Only an address to look at later: everything is checked then. */
			uint64_t owner_id = ahead->owner_id;
			uint32_t arena_id = ahead->arena_id, block_id = ahead->block_id;

			if (!last_ahead || last_ahead->arena_id != arena_id ||
			    atomic_load_explicit(&last_ahead->owner_id, memory_order_relaxed) != owner_id)
				last_ahead = seai_resolver_find(table, owner_id, arena_id);
			if (SEAI_LIKELY(last_ahead && block_id < last_ahead->n_blocks_max))
				__builtin_prefetch((const void *)&last_ahead->generations[block_id]);
		}
		r = resolve_one(session, table, &metas[i], timeout_ns, &last, &resolved[i]);
		if (SEAI_UNLIKELY(r < 0))
			return i ? (int)i : r;
		if (SEAI_UNLIKELY(!last))
			table = seai_resolver_table(session); /* it may have been the first of its arena */
	}
	return (int)n_most;
}

int sea_meta_check(struct sea_session *session, const struct sea_meta *meta)
{
	const struct seai_resolver_entry *entry;
	struct seai_meta_words words;
	struct sea_resolved resolved;
	struct seai_block *block;
	struct sea_meta own;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	memcpy(&words, meta, sizeof(words));
	r = seai_meta_words_check(&words, session->meta_session);
	memcpy(&own, &words, sizeof(own));
	if (r < 0 || own.kind == SEA_META_EMPTY || own.n_bytes == 0)
		return r;
	/* The second half of a seqlock's read: what was read before this is read before the generation is. */
	atomic_thread_fence(memory_order_acquire);
	entry = seai_resolver_find(seai_resolver_table(session), own.owner_id, own.arena_id);
	if (entry)
		return seai_resolver_look(entry, &own, &resolved);
	return own.owner_id == session->id ? seai_resolver_look_own(session, &own, false, &block, &resolved) : -ENOENT;
}
