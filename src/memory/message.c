/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public face of messages. What can still change under us (a part table, which a dishonest producer
 * may rewrite) is loaded once, checked, and then used.
 */
#include "memory/message.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "memory/done.h"
#include "memory/heap-state.h"
#include "memory/ledger.h"

/* Empty and very small messages lie in the object and travel in the descriptor. */
static int message_new_inline(struct sea_message **messages, size_t n_messages, struct sea_session *session,
                              size_t n_bytes)
{
	size_t n;

	for (n = 0; n < n_messages && n < INT32_MAX; n++) {
		struct sea_message *message = seai_message_take(session);

		if (!message)
			break;
		message->kind = SEAI_MESSAGE_INLINE;
		message->n_parts = 1;
		message->n_bytes = n_bytes;
		message->flags = SEAI_MESSAGE_WRITABLE;
		messages[n] = message;
	}
	return n ? (int)n : -ENOMEM;
}

#define MESSAGE_BATCH 64

/* A message of one part in a block that was just allocated. NULL: no memory for the object. */
static inline struct sea_message *message_of_block(struct sea_session *session, struct seai_block *block,
                                                   size_t n_bytes)
{
	struct sea_message *message = seai_message_take(session);

	if (SEAI_UNLIKELY(!message))
		return NULL;
	message->kind = SEAI_MESSAGE_SINGLE;
	message->flags = SEAI_MESSAGE_WRITABLE;
	message->n_parts = 1;
	message->n_blocks = 1;
	message->offset = block->offset;
	message->n_bytes = n_bytes;
	message->ref.attached = NULL;
	message->ref.block = block;
	message->ref.base = (const uint8_t *)block->arena->head;
	message->ref.n_bytes = block->arena->n_bytes;
	message->ref.generation = block->generation;
	message->ref.block_id = block->id;
	message->ref.arena_id = block->arena->id;
	message->ref.source_plus_1 = 0;
	return message;
}

int sea_message_new(struct sea_message **ret_message, struct sea_heap *heap, size_t n_bytes, size_t alignment,
                    int64_t timeout_ns)
{
	struct sea_session *session = heap->session;
	struct sea_message *message;
	struct seai_block *block;
	unsigned size_class;
	int r;

	/* The warm road; what is odd, small, cold or too large takes the other. */
	if (SEAI_LIKELY(!seai_session_is_forked(session) && (alignment & (alignment - 1)) == 0 &&
	                alignment <= SEA_ALIGNMENT_DEFAULT && n_bytes > SEAI_INLINE_N_BYTES &&
	                n_bytes <= heap->n_bytes_max)) {
		size_class = seai_class_of(n_bytes, SEA_ALIGNMENT_DEFAULT);
		seai_lock_take(&session->books);
		block = seai_heap_pop_warm(heap, size_class, n_bytes);
		seai_lock_release(&session->books);
		if (SEAI_LIKELY(block != NULL)) {
			message = message_of_block(session, block, n_bytes);
			if (SEAI_LIKELY(message != NULL)) {
				*ret_message = message;
				return 0;
			}
			SEAI_LOCKED(&session->books, books);
			seai_ledger_release_own(session, block);
			return -ENOMEM;
		}
	}
	r = sea_message_new_many(ret_message, 1, heap, n_bytes, alignment, timeout_ns);
	return r < 0 ? r : 0;
}

int sea_message_new_many(struct sea_message **messages, size_t n_messages, struct sea_heap *heap, size_t n_bytes,
                         size_t alignment, int64_t timeout_ns)
{
	struct seai_block *blocks[MESSAGE_BATCH];
	struct sea_session *session = heap->session;
	size_t n_done = 0;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (n_messages == 0 || (alignment & (alignment - 1)) || alignment > SEA_ALIGNMENT_MAX)
		return -EINVAL;
	if (alignment < SEA_ALIGNMENT_DEFAULT)
		alignment = SEA_ALIGNMENT_DEFAULT;
	if (n_bytes == 0 || (n_bytes <= SEAI_INLINE_N_BYTES && alignment <= SEA_ALIGNMENT_DEFAULT))
		return message_new_inline(messages, n_messages, session, n_bytes);
	while (n_done < n_messages && n_done < INT32_MAX - MESSAGE_BATCH) {
		size_t n_wanted = n_messages - n_done < MESSAGE_BATCH ? n_messages - n_done : MESSAGE_BATCH;
		/* Only the first batch waits: what there is is given at once. */
		int n = seai_allocate_wait(heap, n_bytes, alignment, SEAI_ALLOCATE_WHOLE, blocks, n_wanted,
		                           n_done ? 0 : timeout_ns);

		if (n < 0)
			return n_done ? (int)n_done : n;
		for (int i = 0; i < n; i++) {
			struct sea_message *message = message_of_block(session, blocks[i], n_bytes);

			if (!message) {
				SEAI_LOCKED(&session->books, books);
				for (; i < n; i++)
					seai_ledger_release_own(session, blocks[i]);
				return n_done ? (int)n_done : -ENOMEM;
			}
			messages[n_done++] = message;
		}
		if ((size_t)n < n_wanted)
			break;
	}
	return (int)n_done;
}

/* From here on a count stays where it is, and the message for as long as its process: so it can never wrap to 0. */
#define MESSAGE_N_REFS_STUCK (UINT32_C(1) << 31)

struct sea_message *sea_message_ref(struct sea_message *message)
{
	if (SEAI_UNLIKELY(atomic_fetch_add_explicit(&message->n_refs, 1, memory_order_relaxed) >=
	                  MESSAGE_N_REFS_STUCK - 1))
		atomic_store_explicit(&message->n_refs, MESSAGE_N_REFS_STUCK + MESSAGE_N_REFS_STUCK / 2,
		                      memory_order_relaxed);
	return message;
}

/* Neither the first of several, nor the last. */
static bool message_drop_reference_slowly(struct sea_message *message)
{
	uint32_t before = atomic_load_explicit(&message->n_refs, memory_order_relaxed);

	if (before == 0) {
		/* The object lies among the spare ones. */
		seai_log(message->session, SEA_LOG_ERROR, "a message was released twice");
		return false;
	}
	if (before >= MESSAGE_N_REFS_STUCK)
		return false;
	return atomic_fetch_sub_explicit(&message->n_refs, 1, memory_order_acq_rel) == 1;
}

/* Whether this was the last reference. */
static inline bool message_drop_reference(struct sea_message *message)
{
	/* One locked instruction is saved where nobody else has it. acquire/release: what other threads did with it comes before its end. */
	if (SEAI_LIKELY(atomic_load_explicit(&message->n_refs, memory_order_acquire) == 1))
		return true;
	return message_drop_reference_slowly(message);
}

static void message_drop_sources(struct sea_message *message)
{
	for (uint32_t i = 0; i < message->n_sources; i++)
		sea_message_unref(message->sources[i]);
	message->n_sources = 0;
}

void seai_message_release_own_locked(struct sea_message *message)
{
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (message->refs[i].block && !message->refs[i].source_plus_1)
			seai_ledger_release_own(message->session, message->refs[i].block);
}

static bool message_has_foreign(const struct sea_message *message)
{
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (message->refs[i].attached && !message->refs[i].source_plus_1)
			return true;
	return false;
}

void sea_message_unref_many(struct sea_message **messages, size_t n_messages)
{
	struct sea_session *session = NULL;
	struct sea_message *foreign[MESSAGE_BATCH];
	size_t n_foreign = 0;
	bool has_books = false;

	for (size_t i = 0; i < n_messages; i++) {
		struct sea_message *message = SEAI_TAKE(messages[i]);

		if (!message || !message_drop_reference(message))
			continue;
		/* The usual case: one block of the same owner's as the one before. */
		if (SEAI_LIKELY(n_foreign && n_foreign < MESSAGE_BATCH && message->session == session &&
		                message->n_blocks == 1 && message->ref.attached &&
		                !(message->flags & SEAI_MESSAGE_GIVEN) && !message->n_sources &&
		                !message->ref.source_plus_1)) {
			foreign[n_foreign++] = message;
			continue;
		}
		if (session && message->session != session && has_books) {
			seai_lock_release(&session->books);
			has_books = false;
		}
		if (n_foreign && (message->session != session || n_foreign == MESSAGE_BATCH)) {
			/* Records are written without the books lock. */
			if (has_books)
				seai_lock_release(&session->books);
			has_books = false;
			session->hooks->release(session, foreign, n_foreign);
			for (size_t j = 0; j < n_foreign; j++)
				seai_message_put(foreign[j]);
			n_foreign = 0;
		}
		session = message->session;
		if (seai_session_is_forked(session)) {
			seai_message_put(message);
			continue;
		}
		if (SEAI_UNLIKELY(message->n_sources)) {
			if (has_books)
				seai_lock_release(&session->books);
			has_books = false;
			message_drop_sources(message);
		}
		if (message->flags & SEAI_MESSAGE_GIVEN || message->n_blocks == 0) {
			seai_message_put(message);
			continue;
		}
		if (message->n_blocks > 1 || message->ref.block) {
			if (!has_books)
				seai_lock_take(&session->books);
			has_books = true;
			seai_message_release_own_locked(message);
		}
		if (message_has_foreign(message))
			foreign[n_foreign++] = message;
		else
			seai_message_put(message);
	}
	if (has_books)
		seai_lock_release(&session->books);
	if (n_foreign) {
		session->hooks->release(session, foreign, n_foreign);
		for (size_t j = 0; j < n_foreign; j++)
			seai_message_put(foreign[j]);
	}
}

struct sea_message *sea_message_unref(struct sea_message *message)
{
	/* The warm road: the last reference to a message of one own block that nobody else holds. */
	if (message && message->n_blocks == 1 && message->ref.block && message->n_sources == 0 &&
	    !(message->flags & SEAI_MESSAGE_GIVEN) && !message->ref.source_plus_1 &&
	    SEAI_LIKELY(seai_message_is_last_reference(message) && !seai_session_is_forked(message->session))) {
		{
			SEAI_LOCKED(&message->session->books, books);
			seai_ledger_release_own(message->session, message->ref.block);
		}
		seai_message_put(message);
		return NULL;
	}
	sea_message_unref_many(&message, 1);
	return NULL;
}

size_t sea_message_n_parts(const struct sea_message *message)
{
	return message->n_parts;
}

/* The table's parts; the form was checked when the message was made. */
static const struct seai_table_part *message_parts(const struct sea_message *message)
{
	const uint8_t *table = message->refs[0].base + message->offset;

	return (const struct seai_table_part *)(const void *)(table + sizeof(struct seai_table_head) +
	                                                      message->n_blocks * sizeof(struct seai_block_name));
}

int seai_message_find_part(const struct sea_message *message, size_t index, uint32_t *ret_block, uint64_t *ret_offset,
                           uint64_t *ret_n_bytes)
{
	const struct seai_table_part *entry;
	uint64_t where, n_bytes, offset, block;

	if (index >= message->n_parts)
		return -EINVAL;
	*ret_block = 0;
	if (message->kind != SEAI_MESSAGE_TABLE) {
		*ret_offset = message->offset;
		*ret_n_bytes = message->n_bytes;
		return message->kind == SEAI_MESSAGE_LOCAL ? -ENOTSUP : 0;
	}
	entry = &message_parts(message)[index];
	/* Loaded once: the producer of a pooled frame can still write here. */
	where = __atomic_load_n(&entry->where, __ATOMIC_RELAXED);
	n_bytes = __atomic_load_n(&entry->n_bytes, __ATOMIC_RELAXED);
	block = where >> SEAI_TABLE_OFFSET_BITS;
	offset = where & SEAI_TABLE_OFFSET_MASK;
	*ret_n_bytes = n_bytes;
	*ret_offset = 0;
	if (n_bytes == 0)
		return 0;
	if (block >= message->n_blocks || offset > message->refs[block].n_bytes ||
	    n_bytes > message->refs[block].n_bytes - offset)
		return -EBADMSG;
	*ret_block = (uint32_t)block;
	*ret_offset = offset;
	return 0;
}

int sea_message_get_part(const struct sea_message *message, size_t index, struct sea_part *ret_part)
{
	uint64_t offset, n_bytes;
	uint32_t block;
	int r;

	if (message->kind == SEAI_MESSAGE_LOCAL) {
		if (index >= message->n_parts)
			return -EINVAL;
		*ret_part = message->local->parts[index];
		return 0;
	}
	r = seai_message_find_part(message, index, &block, &offset, &n_bytes);
	if (r < 0)
		return r;
	ret_part->n_bytes = n_bytes;
	ret_part->data = n_bytes == 0        ? NULL
	                 : message->n_blocks ? message->refs[block].base + offset
	                                     : message->inline_data;
	return 0;
}

uint64_t sea_message_n_bytes(const struct sea_message *message)
{
	uint64_t sum = 0;
	struct sea_part part;

	for (size_t i = 0; i < message->n_parts; i++)
		if (sea_message_get_part(message, i, &part) == 0)
			sum += part.n_bytes;
	return sum;
}

const void *sea_message_data(const struct sea_message *message)
{
	struct sea_part part;

	if (message->kind == SEAI_MESSAGE_SINGLE)
		return message->n_bytes ? message->refs[0].base + message->offset : NULL;
	if (message->kind == SEAI_MESSAGE_INLINE)
		return message->n_bytes ? message->inline_data : NULL;
	if (message->flags & SEAI_MESSAGE_RECEIVED)
		return message->first_part.data;
	return sea_message_get_part(message, 0, &part) < 0 ? NULL : part.data;
}

size_t sea_message_size(const struct sea_message *message)
{
	struct sea_part part;

	if (message->kind != SEAI_MESSAGE_TABLE)
		return message->n_bytes;
	if (message->flags & SEAI_MESSAGE_RECEIVED)
		return message->first_part.n_bytes;
	return sea_message_get_part(message, 0, &part) < 0 ? 0 : part.n_bytes;
}

void *sea_message_write(struct sea_message *message)
{
	if (!(message->flags & SEAI_MESSAGE_WRITABLE) || !seai_message_is_last_reference(message) ||
	    message->n_bytes == 0)
		return NULL;
	if (message->kind == SEAI_MESSAGE_INLINE)
		return message->inline_data;
	return SEAI_LIKELY(message->kind == SEAI_MESSAGE_SINGLE && message->ref.block)
	               ? (uint8_t *)message->ref.block->arena->head + message->offset
	               : sea_message_write_part(message, 0);
}

int sea_message_shrink(struct sea_message *message, size_t n_bytes)
{
	if (!(message->flags & SEAI_MESSAGE_WRITABLE) || !seai_message_is_last_reference(message) ||
	    n_bytes > message->n_bytes || message->kind == SEAI_MESSAGE_TABLE)
		return -EINVAL;
	if (message->kind == SEAI_MESSAGE_LOCAL) {
		if (message->n_parts != 1)
			return -EINVAL;
		message->local->parts[0].n_bytes = n_bytes;
	}
	message->n_bytes = n_bytes;
	return 0;
}

uint64_t sea_message_get_tag(const struct sea_message *message)
{
	return message->tag;
}

void sea_message_set_tag(struct sea_message *message, uint64_t tag)
{
	message->tag = tag;
}

uint64_t sea_message_sender(const struct sea_message *message)
{
	return message->sender_id;
}

int sea_message_notify(struct sea_message *message, uint64_t cookie)
{
	struct sea_session *session = message->session;
	struct seai_block *block = message->refs[0].block;
	bool is_repeated;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (message->n_blocks == 0 || !block)
		return -EINVAL;
	SEAI_LOCKED(&session->books, books);
	is_repeated = block->flags & SEAI_BLOCK_NOTIFY;
	if (!is_repeated) {
		r = seai_done_reserve(session);
		if (r < 0)
			return r;
		block->flags |= SEAI_BLOCK_NOTIFY;
	}
	block->cookie = cookie;
	if (session->done_fd >= 0 || session->on_done)
		session->hooks->arm(session);
	return is_repeated;
}
