/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolving; see resolver.h and sealane/meta.h.
 *
 * The odd rule: what was found once stays mapped and in the table until sea_meta_forget(), so a look needs neither lock nor count.
 * A table that has grown is replaced, and the old one kept as long. Whatever a meta says is checked against the arena, whose head
 * only its owner can write; a stale or made-up meta yields an error or some bytes of that arena, never anything else.
 */
#include "wire/resolver.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/point.h"
#include "memory/arena.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "memory/meta.h"
#include "wire/keeper.h"
#include "wire/request.h"
#include "wire/told.h"

#define RESOLVER_N_FIRST 64u
#define RESOLVER_N_MOST (UINT32_C(1) << 24)
/* How far ahead the words of metas are asked for. */
#define RESOLVER_N_AHEAD 8u

struct resolver_entry {
	_Atomic uint64_t owner_id; /* 0: empty; stored last (release), read first (acquire) */
	uint32_t arena_id;
	uint32_t n_blocks_max;
	const uint8_t *base;
	const _Atomic uint64_t *generations;
	uint64_t data_offset;
	uint64_t n_bytes;
	struct seai_attached *attached;
	_Atomic uint32_t is_gone; /* its owner gave it up */
	uint32_t reserved;
};

struct seai_resolver_table {
	struct seai_resolver_table *older;
	uint32_t mask;
	uint32_t n;
	struct resolver_entry entries[] __attribute__((aligned(64)));
};

static inline uint32_t resolver_hash(uint64_t owner_id, uint32_t arena_id)
{
	/* Arenas of one owner are numbered one after the other: they fall side by side. Identities are random. */
	return (uint32_t)(owner_id >> 32) + arena_id;
}

static inline struct resolver_entry *resolver_find(struct seai_resolver_table *table, uint64_t owner_id,
                                                   uint32_t arena_id)
{
	if (SEAI_UNLIKELY(!table))
		return NULL;
	for (uint32_t i = resolver_hash(owner_id, arena_id);; i++) {
		struct resolver_entry *entry = &table->entries[i & table->mask];
		/* acquire: pairs with the release of resolver_insert() */
		uint64_t id = atomic_load_explicit(&entry->owner_id, memory_order_acquire);

		if (SEAI_LIKELY(id == owner_id && entry->arena_id == arena_id))
			return entry;
		if (id == 0)
			return NULL;
	}
}

static inline struct seai_resolver_table *resolver_table(const struct sea_session *session)
{
	/* acquire: pairs with the release of resolver_grow() */
	return atomic_load_explicit(&session->wire->resolved, memory_order_acquire);
}

static void resolver_insert(struct seai_resolver_table *table, const struct resolver_entry *entry, uint64_t owner_id)
{
	uint32_t i = resolver_hash(owner_id, entry->arena_id);
	struct resolver_entry *to;

	while (atomic_load_explicit(&table->entries[i & table->mask].owner_id, memory_order_relaxed))
		i++;
	to = &table->entries[i & table->mask];
	to->arena_id = entry->arena_id;
	to->n_blocks_max = entry->n_blocks_max;
	to->base = entry->base;
	to->generations = entry->generations;
	to->data_offset = entry->data_offset;
	to->n_bytes = entry->n_bytes;
	to->attached = entry->attached;
	atomic_store_explicit(&to->is_gone, atomic_load_explicit(&entry->is_gone, memory_order_relaxed),
	                      memory_order_relaxed);
	/* release: whoever finds the entry sees all of it */
	atomic_store_explicit(&to->owner_id, owner_id, memory_order_release);
	table->n++;
}

/* Makes room for one more: at most half full, so that a search ends soon. */
static int resolver_grow(struct seai_wire *wire)
{
	struct seai_resolver_table *older = atomic_load_explicit(&wire->resolved, memory_order_relaxed), *table;
	uint32_t n_slots = older ? 2 * (older->mask + 1) : RESOLVER_N_FIRST;

	if (older && 2 * (older->n + 1) <= older->mask + 1)
		return 0;
	if (n_slots > RESOLVER_N_MOST)
		return -ENOMEM;
	table = aligned_alloc(64, sizeof(*table) + n_slots * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	memset(table, 0, sizeof(*table) + n_slots * sizeof(table->entries[0]));
	table->older = older;
	table->mask = n_slots - 1;
	for (uint32_t i = 0; older && i <= older->mask; i++) {
		uint64_t owner_id = atomic_load_explicit(&older->entries[i].owner_id, memory_order_relaxed);

		if (owner_id)
			resolver_insert(table, &older->entries[i], owner_id);
	}
	/* release: pairs with the acquire of who looks */
	atomic_store_explicit(&wire->resolved, table, memory_order_release);
	return 0;
}

/* Keeps an attached arena for good. Control lock held. */
static int resolver_add(struct seai_wire *wire, struct seai_attached *attached)
{
	struct resolver_entry entry = {
		.arena_id = attached->arena_id,
		.n_blocks_max = attached->n_blocks_max,
		.base = attached->base,
		.generations = attached->generations,
		.data_offset = attached->data_offset,
		.n_bytes = attached->n_bytes,
		.attached = attached,
	};
	int r;

	if (resolver_find(atomic_load_explicit(&wire->resolved, memory_order_relaxed), attached->owner_id,
	                  attached->arena_id))
		return 0;
	r = resolver_grow(wire);
	if (r < 0)
		return r;
	attached->n_pins++;
	atomic_fetch_add_explicit(&attached->n_taken, 1, memory_order_relaxed);
	resolver_insert(atomic_load_explicit(&wire->resolved, memory_order_relaxed), &entry, attached->owner_id);
	return 0;
}

static bool resolver_fits(const struct sea_meta *meta, uint64_t data_offset, uint64_t n_bytes)
{
	return meta->offset >= data_offset && meta->offset <= n_bytes && meta->n_bytes <= n_bytes - meta->offset;
}

/* In an arena that is known: 0; -EBADMSG; -ESTALE. */
static inline int resolver_look(const struct resolver_entry *entry, const struct sea_meta *meta,
                                struct sea_resolved *ret_resolved)
{
	if (SEAI_UNLIKELY(meta->block_id >= entry->n_blocks_max ||
	                  !resolver_fits(meta, entry->data_offset, entry->n_bytes)))
		return -EBADMSG;
	/* acquire: what was written before the block got its generation is what is read */
	if (SEAI_UNLIKELY(atomic_load_explicit(&entry->generations[meta->block_id], memory_order_acquire) !=
	                          meta->generation ||
	                  atomic_load_explicit(&entry->is_gone, memory_order_relaxed)))
		return -ESTALE;
	ret_resolved->data = entry->base + meta->offset;
	ret_resolved->n_bytes = meta->n_bytes;
	return 0;
}

/* Whether an own arena that is not there was there once. Books lock held. */
static int resolver_missing(const struct sea_session *session, uint32_t arena_id)
{
	return (int32_t)(arena_id - session->next_arena_id) < 0 ? -ESTALE : -ENOENT;
}

/* An own block that a meta names. Books lock held. 0; -ENOENT; -ESTALE; -EBADMSG. */
static int resolver_find_own(struct sea_session *session, uint32_t arena_id, uint32_t block_id, uint64_t generation,
                             struct seai_block **ret_block)
{
	struct seai_arena *arena = seai_session_find_arena(session, arena_id);
	struct seai_block *block = arena ? seai_arena_get_block(arena, block_id) : NULL;

	if (!arena)
		return resolver_missing(session, arena_id);
	if (!block)
		return -EBADMSG;
	if (!(block->flags & SEAI_BLOCK_USED) || block->generation != generation)
		return -ESTALE;
	*ret_block = block;
	return 0;
}

/* This process's own memory goes as it likes: under the lock. If is_hold, the block gets one hold more. */
static int resolver_look_own(struct sea_session *session, const struct sea_meta *meta, bool is_hold,
                             struct seai_block **ret_block, struct sea_resolved *ret_resolved)
{
	struct seai_block *block = NULL;
	int r;
	SEAI_LOCKED(&session->books, books);

	r = resolver_find_own(session, meta->arena_id, meta->block_id, meta->generation, &block);
	if (r < 0 || !block)
		return r;
	if (!resolver_fits(meta, block->arena->data_offset, block->arena->n_bytes))
		return -EBADMSG;
	if (is_hold)
		block->n_own++;
	*ret_block = block;
	ret_resolved->data = (const uint8_t *)block->arena->head + meta->offset;
	ret_resolved->n_bytes = meta->n_bytes;
	return 0;
}

/* --- asking --- */

void seai_resolver_on_ask(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	struct sea_session *session = wire->session;
	struct seai_control answer = *control;
	struct seai_arena *arena;
	struct seai_block *block;
	unsigned n_fds = 0;
	int fds[2], r = 0;

	SEAI_POINT("resolve: question received");
	if (control->ask.flags & SEAI_ASK_KEPT) {
		seai_keeper_on_ask(conn, control);
		return;
	}
	{
		SEAI_LOCKED(&session->books, books);
		arena = seai_session_find_arena(session, control->ask.arena_id);
		if (!arena)
			r = resolver_missing(session, control->ask.arena_id);
		else if (arena->queued || arena->ro_fd < 0)
			r = -ESTALE; /* it is being given up */
		else if (arena->immutable && !arena->frozen)
			r = -ENOENT; /* not before it is sealed */
		if (r == 0 && control->ask.flags & SEAI_ASK_HOLD) {
			/* What was released and not read yet is no reason to refuse; a block that is free is. */
			r = resolver_find_own(session, control->ask.arena_id, control->ask.block_id,
			                      control->ask.generation, &block);
			if (r == 0)
				r = seai_ledger_hold(block, conn->holder, false);
		}
		if (r == 0) {
			arena->announced = true;
			n_fds = seai_arena_get_fds(arena, fds);
		}
	}
	/* The descriptors stay open: it is this thread that closes those of announced arenas. */
	if (r == 0 && !seai_told_find(conn->arenas_sent, conn->n_arenas_sent, session->id, control->ask.arena_id)) {
		struct seai_control show = { .type = SEAI_CONTROL_ARENA };

		show.arena.owner_id = session->id;
		show.arena.arena_id = control->ask.arena_id;
		if (seai_told_add(&conn->arenas_sent, &conn->n_arenas_sent, &conn->n_arenas_sent_max, session->id,
		                  control->ask.arena_id))
			seai_control_send(conn, &show, fds, n_fds);
		else
			r = -ENOMEM; /* with the hold, which the peer's end drops at the latest */
	}
	SEAI_POINT("resolve: arena shown, not answered");
	answer.type = SEAI_CONTROL_ANSWER;
	answer.ask.error = r;
	seai_control_send(conn, &answer, NULL, 0);
}

/* What can be found without asking: what came with messages, or was left by a dead owner. Control lock held. 0; -EAGAIN ask; an error. */
static int ask_nobody(struct seai_wire *wire, const struct sea_meta *meta, struct seai_conn **ret_conn)
{
	struct seai_attached *attached;
	int r = seai_conn_get(wire, meta->owner_id, ret_conn);

	if (r == -ENOENT || r == -ECONNREFUSED) {
		/* Whoever gave it to us. */
		attached = seai_attachment_find(wire, NULL, meta->owner_id, meta->arena_id);
		return attached ? resolver_add(wire, attached) : -EOWNERDEAD;
	}
	if (r < 0)
		return r;
	seai_attachment_owner_found(wire, *ret_conn);
	attached = seai_attachment_find(wire, *ret_conn, meta->owner_id, meta->arena_id);
	return attached ? resolver_add(wire, attached) : -EAGAIN;
}

static int ask_send(struct seai_conn *conn, const struct sea_meta *meta, bool is_hold,
                    struct seai_request **ret_request)
{
	struct seai_control control = { .type = SEAI_CONTROL_ASK };

	control.ask.generation = meta->generation;
	control.ask.arena_id = meta->arena_id;
	control.ask.block_id = meta->block_id;
	control.ask.flags = is_hold ? SEAI_ASK_HOLD : 0;
	conn->wire->attach_error = 0;
	/* Right behind our hello, if the connection is new: it need not be answered first. */
	SEAI_POINT("resolve: before the question");
	return seai_request_send(conn, &control, meta, ret_request);
}

/*
 * Has an arena of an owner shown to this process, and a block of it held. 0; the owner's answer; -EOWNERDEAD, unless it is not asked for a hold and
 * what it left is mapped. ret_conn: its connection; NULL when it is dead.
 */
static int resolver_ask(struct sea_session *session, const struct sea_meta *meta, bool is_hold, int64_t timeout_ns,
                        struct seai_conn **ret_conn)
{
	struct seai_wire *wire = session->wire;
	int64_t deadline_ns = seai_deadline(timeout_ns);

	if (session->hooks->is_service_thread(session))
		return -EDEADLK;
	for (;;) {
		struct seai_request *request = NULL;
		int r;

		*ret_conn = NULL;
		seai_lock_take(&wire->control);
		r = ask_nobody(wire, meta, ret_conn);
		if ((r == 0 && (!is_hold || !*ret_conn)) || (r < 0 && r != -EAGAIN) || timeout_ns == 0) {
			seai_lock_release(&wire->control);
			return r == 0 && is_hold && *ret_conn ? -EAGAIN : r;
		}
		r = *ret_conn ? ask_send(*ret_conn, meta, is_hold, &request) : -EAGAIN;
		seai_lock_release(&wire->control);
		if (request)
			r = seai_request_wait(wire, request, deadline_ns, NULL);
		if (r == 0 && !is_hold) {
			/* What was shown is there; what could not be mapped is not. */
			seai_lock_take(&wire->control);
			r = ask_nobody(wire, meta, ret_conn);
			if (r == -EAGAIN && *ret_conn && wire->attach_error)
				r = wire->attach_error;
			seai_lock_release(&wire->control);
		}
		if (r != -EAGAIN)
			return r;
		/* It is ending, or its backlog is full. */
		r = seai_request_pause(deadline_ns);
		if (r < 0)
			return r;
	}
}

/* --- the public calls --- */

/* What is not in the table: this process's own, and what has to be asked for. */
static int resolve_slowly(struct sea_session *session, const struct seai_meta_words *words, int64_t timeout_ns,
                          struct sea_resolved *ret_resolved)
{
	const struct resolver_entry *entry;
	struct seai_block *block;
	struct seai_conn *conn;
	struct sea_meta meta;
	int r;

	memcpy(&meta, words, sizeof(meta));
	if (meta.owner_id == session->id)
		return resolver_look_own(session, &meta, false, &block, ret_resolved);
	if (meta.owner_id == 0)
		return -EBADMSG;
	r = resolver_ask(session, &meta, false, timeout_ns, &conn);
	if (r < 0)
		return r;
	entry = resolver_find(resolver_table(session), meta.owner_id, meta.arena_id);
	return entry ? resolver_look(entry, &meta, ret_resolved) : -ENOENT;
}

/* One meta; *last is the entry that was found before, for they come in runs. */
static inline int resolve_one(struct sea_session *session, struct seai_resolver_table *table,
                              const struct sea_meta *meta, int64_t timeout_ns, const struct resolver_entry **last,
                              struct sea_resolved *ret_resolved)
{
	const struct resolver_entry *entry = *last;
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
		entry = resolver_find(table, words.word[1], arena_id);
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
	const struct resolver_entry *last = NULL;

	if (seai_session_is_forked(session))
		return -EPERM;
	return resolve_one(session, resolver_table(session), meta, timeout_ns, &last, ret_resolved);
}

int sea_meta_resolve_many(struct sea_session *session, const struct sea_meta *metas, size_t n_metas, int64_t timeout_ns,
                          struct sea_resolved *resolved)
{
	struct seai_resolver_table *table = resolver_table(session);
	const struct resolver_entry *last = NULL, *last_ahead = NULL;
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
				last_ahead = resolver_find(table, owner_id, arena_id);
			if (SEAI_LIKELY(last_ahead && block_id < last_ahead->n_blocks_max))
				__builtin_prefetch((const void *)&last_ahead->generations[block_id]);
		}
		r = resolve_one(session, table, &metas[i], timeout_ns, &last, &resolved[i]);
		if (SEAI_UNLIKELY(r < 0))
			return i ? (int)i : r;
		if (SEAI_UNLIKELY(!last))
			table = resolver_table(session); /* it may have been the first of its arena */
	}
	return (int)n_most;
}

int sea_meta_check(struct sea_session *session, const struct sea_meta *meta)
{
	const struct resolver_entry *entry;
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
	entry = resolver_find(resolver_table(session), own.owner_id, own.arena_id);
	if (entry)
		return resolver_look(entry, &own, &resolved);
	return own.owner_id == session->id ? resolver_look_own(session, &own, false, &block, &resolved) : -ENOENT;
}

/* A message of one part, of a hold that is this process's already. NULL: no memory. */
static struct sea_message *hold_message(struct sea_session *session, const struct sea_meta *meta)
{
	struct sea_message *message = seai_message_take(session);

	if (!message)
		return NULL;
	message->kind = SEAI_MESSAGE_SINGLE;
	message->n_parts = 1;
	message->n_blocks = 1;
	message->offset = meta->offset;
	message->n_bytes = meta->n_bytes;
	message->tag = 0;
	message->ref = (struct seai_ref){ .generation = meta->generation,
		                          .block_id = meta->block_id,
		                          .arena_id = meta->arena_id };
	return message;
}

static int hold_own(struct sea_session *session, const struct sea_meta *meta, struct sea_message **ret_message)
{
	struct sea_resolved resolved;
	struct sea_message *message;
	struct seai_block *block;
	int r = resolver_look_own(session, meta, true, &block, &resolved);

	if (r < 0)
		return r;
	message = hold_message(session, meta);
	if (!message) {
		SEAI_LOCKED(&session->books, books);
		seai_ledger_release_own(session, block);
		return -ENOMEM;
	}
	message->ref.block = block;
	message->ref.base = (const uint8_t *)block->arena->head;
	message->ref.n_bytes = block->arena->n_bytes;
	*ret_message = message;
	return 0;
}

static int hold_foreign(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                        struct sea_message **ret_message)
{
	struct seai_wire *wire = session->wire;
	struct sea_message *message;
	struct seai_attached *attached;
	struct sea_resolved resolved;
	struct seai_conn *conn;
	int r = resolver_ask(session, meta, true, timeout_ns, &conn);

	if (r < 0)
		return r;
	message = hold_message(session, meta);
	SEAI_LOCKED(&wire->control, control);
	attached = seai_attachment_find(wire, conn, meta->owner_id, meta->arena_id);
	r = !message    ? -ENOMEM
	    : !attached ? (wire->attach_error ? wire->attach_error : -EOWNERDEAD)
	    : meta->block_id >= attached->n_blocks_max || !resolver_fits(meta, attached->data_offset, attached->n_bytes)
	            ? -EBADMSG
	            : resolver_add(wire, attached);
	/* Of a dead owner nobody holds anything, and nothing is used again: what is not stale now never will be. */
	if (r == 0 && !conn)
		r = resolver_look(resolver_find(resolver_table(session), meta->owner_id, meta->arena_id), meta,
		                  &resolved);
	if (r < 0 || !attached || !message) {
		if (conn && conn->state == SEAI_CONN_OPEN)
			seai_request_give_back(conn, meta);
		if (message) {
			message->n_blocks = 0;
			seai_message_put_slowly(message);
		}
		return r;
	}
	atomic_fetch_add_explicit(&attached->n_taken, 1, memory_order_relaxed);
	message->flags = SEAI_MESSAGE_RECEIVED;
	message->sender_id = meta->owner_id;
	message->ref.attached = attached;
	message->ref.base = attached->base;
	message->ref.n_bytes = attached->n_bytes;
	*ret_message = message;
	return 0;
}

int sea_meta_hold(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                  struct sea_message **ret_message)
{
	struct seai_meta_words words;
	struct sea_meta own;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	memcpy(&words, meta, sizeof(words));
	r = seai_meta_words_check(&words, session->meta_session);
	if (r < 0)
		return r;
	memcpy(&own, &words, sizeof(own));
	if (own.kind == SEA_META_EMPTY || own.n_bytes == 0) {
		struct sea_message *message = hold_message(session, &own);

		if (!message)
			return -ENOMEM;
		message->kind = SEAI_MESSAGE_INLINE;
		message->n_blocks = 0;
		message->n_bytes = 0;
		*ret_message = message;
		return 0;
	}
	if (own.owner_id == 0)
		return -EBADMSG;
	return own.owner_id == session->id ? hold_own(session, &own, ret_message)
	                                   : hold_foreign(session, &own, timeout_ns, ret_message);
}

void seai_resolver_on_retire(struct seai_wire *wire, uint64_t owner_id, uint32_t arena_id)
{
	struct resolver_entry *entry = resolver_find(atomic_load_explicit(&wire->resolved, memory_order_relaxed),
	                                             owner_id, arena_id);

	if (entry)
		atomic_store_explicit(&entry->is_gone, 1, memory_order_relaxed);
}

static void resolver_free_tables(struct seai_resolver_table *table)
{
	while (table) {
		struct seai_resolver_table *older = table->older;

		free(table);
		table = older;
	}
}

int sea_meta_forget(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;
	struct seai_resolver_table *table;

	if (seai_session_is_forked(session))
		return -EPERM;
	{
		SEAI_LOCKED(&wire->control, control);
		table = atomic_exchange_explicit(&wire->resolved, NULL, memory_order_acq_rel);
		for (uint32_t i = 0; table && i <= table->mask; i++)
			if (atomic_load_explicit(&table->entries[i].owner_id, memory_order_relaxed))
				seai_attachment_unpin(wire, table->entries[i].attached);
	}
	resolver_free_tables(table);
	seai_wire_poke(wire);
	return 0;
}

void seai_resolver_free(struct seai_wire *wire)
{
	resolver_free_tables(atomic_exchange_explicit(&wire->resolved, NULL, memory_order_acq_rel));
}
