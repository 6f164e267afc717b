/* SPDX-License-Identifier: Apache-2.0 */
/* The part table: checking its form, and finding the message of an own head block again. */
#include <errno.h>
#include <string.h>

#include "memory/heap.h"
#include "memory/message.h"

bool seai_table_open(const uint8_t *base, uint64_t arena_n_bytes, uint64_t offset, uint64_t n_bytes, uint32_t n_parts,
                     const struct seai_block_name **ret_names, uint32_t *ret_n_blocks,
                     const struct seai_table_part **ret_parts)
{
	const struct seai_table_head *head;
	uint32_t n_blocks;
	uint64_t n_needed;

	if (offset % SEAI_BLOCK_MIN_N_BYTES || offset > arena_n_bytes || n_bytes > arena_n_bytes - offset ||
	    n_bytes < sizeof(*head))
		return false;
	head = (const struct seai_table_head *)(const void *)(base + offset);
	/* Loaded once: whoever owns it could change it. */
	n_blocks = __atomic_load_n(&head->n_blocks, __ATOMIC_RELAXED);
	if (__atomic_load_n(&head->magic, __ATOMIC_RELAXED) != SEAI_TABLE_MAGIC || n_blocks == 0 ||
	    n_blocks > SEAI_TABLE_N_BLOCKS_MAX)
		return false;
	n_needed = sizeof(*head) + n_blocks * sizeof(struct seai_block_name) +
	           (uint64_t)n_parts * sizeof(struct seai_table_part);
	if (n_needed > n_bytes)
		return false;
	*ret_names = (const struct seai_block_name *)(const void *)(head + 1);
	*ret_n_blocks = n_blocks;
	*ret_parts = (const struct seai_table_part *)(const void *)(*ret_names + n_blocks);
	return true;
}

static void table_set_ref(struct seai_ref *ref, struct seai_block *block)
{
	*ref = (struct seai_ref){
		.block = block,
		.base = (const uint8_t *)block->arena->head,
		.n_bytes = block->arena->n_bytes,
		.generation = block->generation,
		.block_id = block->id,
		.arena_id = block->arena->id,
	};
}

struct sea_message *seai_message_of_head(struct sea_session *session, struct seai_block *block)
{
	struct sea_message *message = seai_message_take(session);
	const struct seai_block_name *names;
	const struct seai_table_part *parts;
	uint32_t n_blocks = 1;

	if (!message)
		return NULL;
	message->n_parts = block->n_parts;
	message->offset = block->message_offset;
	message->n_bytes = block->message_n_bytes;
	message->tag = block->tag;
	if (!(block->flags & SEAI_BLOCK_TABLE)) {
		message->kind = SEAI_MESSAGE_SINGLE;
		message->n_blocks = 1;
		table_set_ref(&message->ref, block);
		block->n_own++;
		return message;
	}
	message->kind = SEAI_MESSAGE_TABLE;
	if (!seai_table_open((const uint8_t *)block->arena->head, block->arena->n_bytes, message->offset,
	                     message->n_bytes, message->n_parts, &names, &n_blocks, &parts) ||
	    seai_message_reserve_refs(message, n_blocks) < 0) {
		seai_message_put(message);
		return NULL;
	}
	for (uint32_t i = 0; i < n_blocks; i++) {
		struct seai_block_name name;
		struct seai_arena *arena;
		struct seai_block *part_block;

		memcpy(&name, &names[i],
		       sizeof(name)); /* loaded once: in a shared heap any holder may have changed it */
		arena = name.owner_id == session->id ? seai_session_find_arena(session, name.arena_id) : NULL;
		part_block = arena ? seai_arena_get_block(arena, name.block_id) : NULL;
		if (i == 0 && part_block != block)
			part_block = NULL;
		/* A block of another owner, or one that is free again: the message cannot be put together any more. */
		if (!part_block || !(part_block->flags & SEAI_BLOCK_USED) ||
		    part_block->generation != name.generation) {
			seai_message_put(message);
			return NULL;
		}
		table_set_ref(&message->refs[i], part_block);
	}
	message->n_blocks = n_blocks;
	for (uint32_t i = 0; i < n_blocks; i++)
		message->refs[i].block->n_own++;
	return message;
}
