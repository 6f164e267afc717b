/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that are changed: in place by their only holder, or as a copy.
 *
 * The odd rule: that nobody else holds a message of another process is its sender's word. So a pointer for writing is given out
 * only where a write can hurt nothing but payload, whatever a descriptor or a part table says.
 */
#include <errno.h>
#include <string.h>

#include "memory/arena.h"
#include "memory/heap.h"
#include "memory/ledger.h"
#include "memory/message.h"

/* Whether a part lies where this process may write: its own memory, or payload of a shared arena. */
static bool edit_is_writable(const struct seai_ref *ref, uint64_t offset)
{
	if (ref->block)
		return !ref->block->arena->frozen && !ref->block->arena->is_read_only &&
		       offset >= ref->block->arena->data_offset;
	return (ref->attached->flags & (SEAI_ARENA_SHARED | SEAI_ARENA_READ_ONLY)) == SEAI_ARENA_SHARED &&
	       offset >= ref->attached->data_offset;
}

void *sea_message_write_part(struct sea_message *message, size_t index)
{
	uint64_t offset, n_bytes;
	uint32_t block;

	if (!(message->flags & SEAI_MESSAGE_WRITABLE) || !seai_message_is_last_reference(message) ||
	    index >= message->n_parts)
		return NULL;
	if (message->kind == SEAI_MESSAGE_LOCAL)
		return (void *)(uintptr_t)message->local->parts[index].data;
	if (seai_message_find_part(message, index, &block, &offset, &n_bytes) < 0 || n_bytes == 0)
		return NULL;
	if (message->kind == SEAI_MESSAGE_INLINE)
		return message->inline_data;
	return edit_is_writable(&message->refs[block], offset)
	               ? (uint8_t *)(uintptr_t)message->refs[block].base + offset
	               : NULL;
}

/* Whether nobody but this message holds any of its blocks. */
static bool edit_is_sole(struct sea_message *message)
{
	struct sea_session *session = message->session;

	if (!seai_message_is_last_reference(message) || message->n_sources)
		return false;
	if (message->kind == SEAI_MESSAGE_INLINE || message->kind == SEAI_MESSAGE_LOCAL ||
	    message->flags & (SEAI_MESSAGE_WRITABLE | SEAI_MESSAGE_SOLE))
		return true;
	SEAI_LOCKED(&session->books, books);
	/* What others have given back, and not told yet, would be copied for nothing. */
	session->hooks->drain(session);
	for (uint32_t i = 0; i < message->n_blocks; i++) {
		const struct seai_block *block = message->refs[i].block;

		if (!block || message->refs[i].source_plus_1 || block->n_own != 1 || block->n_holds ||
		    block->arena->immutable || block->arena->is_read_only)
			return false;
	}
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (session->guard)
			seai_block_guard(message->refs[i].block, false);
	return true;
}

int sea_message_make_mutable(struct sea_message **message, struct sea_heap *heap, int64_t timeout_ns)
{
	struct sea_message *copy = NULL;
	int r;

	if (seai_session_is_forked((*message)->session))
		return -EPERM;
	if (edit_is_sole(*message)) {
		(*message)->flags |= SEAI_MESSAGE_WRITABLE;
		return 0;
	}
	r = seai_message_copy(*message, heap, timeout_ns, &copy);
	if (r < 0 || !copy)
		return r;
	copy->tag = (*message)->tag;
	copy->flags |= SEAI_MESSAGE_WRITABLE;
	atomic_fetch_add_explicit(&copy->session->n_bytes_copied, sea_message_n_bytes(copy), memory_order_relaxed);
	sea_message_unref(*message);
	*message = copy;
	return 1;
}

int sea_message_new_from(struct sea_message **ret_message, struct sea_heap *heap, void *data, size_t n_bytes,
                         size_t alignment, sea_message_free_fn free_data, void *userdata, int64_t timeout_ns)
{
	int r = sea_message_new(ret_message, heap, n_bytes, alignment, timeout_ns);

	if (r < 0)
		return r;
	if (n_bytes)
		memcpy(sea_message_write(*ret_message), data, n_bytes);
	if (free_data)
		free_data(data, userdata);
	return 0;
}

uint64_t sea_message_n_references(const struct sea_message *message)
{
	uint64_t n = atomic_load_explicit(&message->n_refs, memory_order_relaxed);
	const struct seai_block *block = message->n_blocks ? message->refs[0].block : NULL;

	if (!block || seai_session_is_forked(message->session))
		return n;
	SEAI_LOCKED(&message->session->books, books);
	message->session->hooks->drain(message->session);
	/* Other messages of this process over the same block, and the holds of others. */
	n += block->n_own - 1;
	for (uint32_t i = 0; i < block->n_holds; i++)
		n += i < SEAI_BLOCK_N_HOLDS ? block->holds[i].count : block->spill[i - SEAI_BLOCK_N_HOLDS].count;
	return n;
}
