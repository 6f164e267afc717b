/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of messages, and the move of a message to memory that has a name.
 *
 * The odd rule: a message that is moved stays the same object, and what it lay in before lives on as long as it does, for those who
 * have pointers to it.
 */
#include <errno.h>
#include <string.h>

#include <sealane/frame.h>

#include "memory/heap.h"
#include "memory/message.h"

/* Parts keep the alignment that they have, within reason. */
static size_t copy_alignment(const void *data)
{
	size_t alignment = (uintptr_t)data & -(uintptr_t)data;

	return alignment > 4096 ? 4096 : alignment < SEA_ALIGNMENT_DEFAULT ? SEA_ALIGNMENT_DEFAULT : alignment;
}

static int copy_parts(const struct sea_message *message, struct sea_heap *heap, int64_t timeout_ns,
                      struct sea_message **ret_copy)
{
	struct sea_frame_options options = { .n_parts_hint = message->n_parts };
	struct sea_frame *frame = NULL;
	struct sea_part part = { NULL, 0 };
	void *data = NULL;
	int r = 0;

	for (size_t i = 0; i < message->n_parts && r == 0; i++) {
		r = sea_message_get_part(message, i, &part);
		if (r == 0)
			options.n_bytes_max[0] += part.n_bytes + copy_alignment(part.data);
	}
	if (r == 0)
		r = sea_frame_new(&frame, heap, &options, timeout_ns);
	if (r < 0 || !frame)
		return r;
	for (size_t i = 0; i < message->n_parts && r >= 0; i++) {
		/* Looked at again: in shared memory a table can change. */
		r = sea_message_get_part(message, i, &part);
		if (r == 0)
			r = sea_frame_add(frame, part.n_bytes, copy_alignment(part.data), &data);
		if (r >= 0 && data && part.n_bytes)
			memcpy(data, part.data, part.n_bytes);
	}
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_copy);
	if (r < 0)
		sea_frame_free(frame);
	return r < 0 ? r : 0;
}

int seai_message_copy(const struct sea_message *message, struct sea_heap *heap, int64_t timeout_ns,
                      struct sea_message **ret_copy)
{
	struct sea_part part = { NULL, 0 };
	int r;

	if (message->n_parts != 1)
		return copy_parts(message, heap, timeout_ns, ret_copy);
	r = sea_message_get_part(message, 0, &part);
	if (r == 0)
		r = sea_message_new(ret_copy, heap, part.n_bytes, copy_alignment(part.data), timeout_ns);
	if (r == 0 && part.n_bytes)
		memcpy(sea_message_write(*ret_copy), part.data, part.n_bytes);
	return r;
}

/* What lies in the object itself. */
static int message_move_inline(struct sea_message *message)
{
	struct sea_session *session = message->session;
	struct seai_block *block;
	uint64_t n_bytes = message->n_bytes < SEAI_BLOCK_MIN_N_BYTES ? SEAI_BLOCK_MIN_N_BYTES : message->n_bytes;
	int r = seai_allocate_wait(session->default_heap, n_bytes, SEA_ALIGNMENT_DEFAULT, SEAI_ALLOCATE_WHOLE, &block,
	                           1, 0);

	if (r < 0)
		return r;
	memcpy(seai_block_data(block), message->inline_data, message->n_bytes);
	message->kind = SEAI_MESSAGE_SINGLE;
	message->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	message->n_blocks = 1;
	message->offset = block->offset;
	message->ref = (struct seai_ref){
		.block = block,
		.base = (const uint8_t *)block->arena->head,
		.n_bytes = block->arena->n_bytes,
		.generation = block->generation,
		.block_id = block->id,
		.arena_id = block->arena->id,
	};
	return 0;
}

int seai_message_to_block(struct sea_message *message)
{
	struct sea_message *copy = NULL;
	int r;

	if (message->kind == SEAI_MESSAGE_INLINE && message->n_parts)
		return message_move_inline(message);
	if (message->kind != SEAI_MESSAGE_LOCAL)
		return 0;
	r = seai_message_copy(message, message->session->default_heap, 0, &copy);
	if (r < 0 || !copy)
		return r < 0 ? r : -ENOMEM;
	atomic_fetch_add_explicit(&message->session->n_bytes_copied, sea_message_n_bytes(message),
	                          memory_order_relaxed);
	message->kind = copy->kind;
	message->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	message->offset = copy->offset;
	message->n_bytes = copy->n_bytes;
	message->n_blocks = copy->n_blocks;
	message->ref = copy->ref;
	if (copy->refs != &copy->ref) {
		message->refs = copy->refs;
		copy->refs = &copy->ref;
	}
	memcpy(message->inline_data, copy->inline_data, sizeof(message->inline_data));
	copy->n_blocks = 0;
	seai_message_put(copy);
	/* A small one lies in the object now. */
	return message->kind == SEAI_MESSAGE_INLINE ? message_move_inline(message) : 0;
}
