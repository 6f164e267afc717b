/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing a frame: what of other messages is copied and what is referred to is decided, the part table
 * is written, and the frame becomes a message.
 *
 * A part of a message is copied when it would pin a much larger block: when the block holds more than twice what
 * this frame needs of it and all of that is in small parts, or when it holds more than 16 times as much.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/point.h"
#include "memory/frame.h"
#include "memory/heap-state.h"
#include "memory/ledger.h"
#include "memory/message.h"

#define SEAL_PIN_RATIO 2u
#define SEAL_PIN_RATIO_ANY_SIZE 16u

/* What of one block of one source this frame uses. */
struct seal_use {
	uint64_t n_used;      /* bytes that the frame refers to */
	uint64_t n_there;     /* bytes of the source's parts in that block */
	uint64_t n_part_max;  /* the largest part referred to */
	uint32_t table_index; /* in the new table */
	bool is_copied;
};

struct seal {
	struct sea_frame *frame;
	struct seal_use *uses; /* for all sources, one after the other */
	uint32_t *first_use;   /* per source: index of its first use */
	uint32_t n_uses;
	uint32_t n_blocks;       /* entries of the new table */
	uint64_t n_copied;       /* bytes to copy, alignment included */
	struct seai_block *tail; /* for copies and table, where the head block has no room */
	struct seai_block *head; /* the block with the table */
	unsigned head_class;
	uint64_t table_offset; /* in the arena */
	uint64_t n_table_bytes;
	uint32_t class_index[SEA_FRAME_N_CLASSES]; /* per class: its place in the table */
};

static void seal_cleanup(struct seal *seal)
{
	free(seal->uses);
	free(seal->first_use);
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

static int seal_count_uses(struct seal *seal)
{
	struct sea_frame *frame = seal->frame;

	if (frame->n_sources == 0)
		return 0;
	seal->first_use = calloc(frame->n_sources, sizeof(*seal->first_use));
	if (!seal->first_use)
		return -ENOMEM;
	for (uint32_t i = 0; i < frame->n_sources; i++) {
		seal->first_use[i] = seal->n_uses;
		/* An inline source has no block; it gets an entry that is copied. */
		seal->n_uses += frame->sources[i].message->n_blocks ? frame->sources[i].message->n_blocks : 1;
	}
	seal->uses = calloc(seal->n_uses, sizeof(*seal->uses));
	if (!seal->uses)
		return -ENOMEM;
	for (uint32_t i = 0; i < frame->n_parts; i++) {
		const struct seai_frame_part *part = &frame->parts[i];
		struct seal_use *use;

		if (!part->source_plus_1)
			continue;
		use = &seal->uses[seal->first_use[part->source_plus_1 - 1] + part->block];
		use->n_used += part->n_bytes;
		if (part->n_bytes > use->n_part_max)
			use->n_part_max = part->n_bytes;
	}
	return 0;
}

/* How much of a source lies in each of its blocks; only looked at where not all of it goes on. */
static void seal_measure_source(struct seal *seal, uint32_t source)
{
	const struct sea_message *message = seal->frame->sources[source].message;
	struct seal_use *uses = &seal->uses[seal->first_use[source]];

	for (size_t i = 0; i < message->n_parts; i++) {
		uint64_t offset, n_bytes;
		uint32_t block;

		if (seai_message_find_part(message, i, &block, &offset, &n_bytes) == 0)
			uses[block].n_there += n_bytes;
	}
}

static void seal_decide_copies(struct seal *seal)
{
	struct sea_frame *frame = seal->frame;

	for (uint32_t i = 0; i < frame->n_sources; i++) {
		const struct seai_frame_source *source = &frame->sources[i];
		struct seal_use *uses = &seal->uses[seal->first_use[i]];

		if (source->message->n_blocks == 0) {
			uses[0].is_copied = true;
			continue;
		}
		if (!source->has_pieces && source->n_added >= source->message->n_parts)
			continue;
		seal_measure_source(seal, i);
		for (uint32_t j = 0; j < source->message->n_blocks; j++)
			uses[j].is_copied = uses[j].n_there / SEAL_PIN_RATIO > uses[j].n_used &&
			                    (uses[j].n_part_max < frame->copy_below_n_bytes ||
			                     uses[j].n_there / SEAL_PIN_RATIO_ANY_SIZE > uses[j].n_used);
	}
	for (uint32_t i = 0; i < frame->n_parts; i++) {
		const struct seai_frame_part *part = &frame->parts[i];

		if (part->source_plus_1 && part->n_bytes &&
		    seal->uses[seal->first_use[part->source_plus_1 - 1] + part->block].is_copied)
			seal->n_copied += align_up(part->n_bytes, SEA_ALIGNMENT_DEFAULT);
	}
}

/* Numbers the blocks of the new table: the head first, then classes, then blocks of sources. */
static int seal_number_blocks(struct seal *seal)
{
	struct sea_frame *frame = seal->frame;

	seal->n_blocks = 1;
	for (unsigned i = 0; i < SEA_FRAME_N_CLASSES; i++)
		if (frame->classes[i].block && frame->classes[i].block != seal->head)
			seal->class_index[i] = seal->n_blocks++;
	for (uint32_t i = 0; i < seal->n_uses; i++)
		if (seal->uses[i].n_used && !seal->uses[i].is_copied)
			seal->uses[i].table_index = seal->n_blocks++;
	return seal->n_blocks > SEAI_TABLE_N_BLOCKS_MAX ? -E2BIG : 0;
}

static uint64_t seal_table_n_bytes(const struct sea_frame *frame, uint32_t n_blocks)
{
	return sizeof(struct seai_table_head) + n_blocks * sizeof(struct seai_block_name) +
	       (uint64_t)frame->n_parts * sizeof(struct seai_table_part);
}

/* Finds a place for copies and table: behind class 0's parts, else in a block of their own. */
static int seal_place_table(struct seal *seal)
{
	struct sea_frame *frame = seal->frame;
	struct seai_frame_class *class = &frame->classes[0];
	uint64_t n_wanted;
	int r;

	seal->head = class->block;
	r = seal_number_blocks(seal);
	if (r < 0)
		return r;
	if (class->block) {
		uint64_t start = align_up(class->n_used, SEAI_BLOCK_MIN_N_BYTES) + seal->n_copied;

		n_wanted = start + seal_table_n_bytes(frame, seal->n_blocks);
		if (n_wanted <= seai_block_capacity(class->block)) {
			if (!seai_block_is_backed(class->block, n_wanted)) {
				r = seai_back_wait(class->block, n_wanted, frame->timeout_ns);
				if (r < 0)
					return r;
			}
			seal->table_offset = class->block->offset + start;
			seal->n_table_bytes = n_wanted - start;
			return 0;
		}
	}
	n_wanted = seal->n_copied + seal_table_n_bytes(frame, seal->n_blocks + 1);
	r = seai_allocate_wait(frame->heap, n_wanted, SEA_ALIGNMENT_DEFAULT,
	                       frame->flags & SEA_FRAME_IMMUTABLE ? SEAI_ALLOCATE_IMMUTABLE : SEAI_ALLOCATE_GROWING,
	                       &seal->tail, 1, frame->timeout_ns);
	if (r < 0)
		return r;
	if (!seai_block_is_backed(seal->tail, n_wanted)) {
		r = seai_back_wait(seal->tail, n_wanted, frame->timeout_ns);
		if (r < 0)
			return r;
	}
	seal->head = seal->tail;
	r = seal_number_blocks(seal);
	if (r < 0)
		return r;
	seal->table_offset = seal->tail->offset + seal->n_copied;
	seal->n_table_bytes = n_wanted - seal->n_copied;
	return 0;
}

static struct seai_ref ref_of_block(struct seai_block *block)
{
	return (struct seai_ref){
		.block = block,
		.base = (const uint8_t *)block->arena->head,
		.n_bytes = block->arena->n_bytes,
		.generation = block->generation,
		.block_id = block->id,
		.arena_id = block->arena->id,
	};
}

/* The message's refs, in the order of the table. */
static void seal_fill_refs(struct seal *seal, struct sea_message *message)
{
	struct sea_frame *frame = seal->frame;

	message->refs[0] = ref_of_block(seal->head);
	for (unsigned i = 0; i < SEA_FRAME_N_CLASSES; i++)
		if (frame->classes[i].block && frame->classes[i].block != seal->head)
			message->refs[seal->class_index[i]] = ref_of_block(frame->classes[i].block);
	for (uint32_t i = 0; i < frame->n_sources; i++) {
		const struct sea_message *source = frame->sources[i].message;

		for (uint32_t j = 0; j < source->n_blocks; j++) {
			const struct seal_use *use = &seal->uses[seal->first_use[i] + j];

			if (!use->n_used || use->is_copied)
				continue;
			message->refs[use->table_index] = source->refs[j];
			message->refs[use->table_index].source_plus_1 = i + 1;
		}
	}
	message->n_blocks = seal->n_blocks;
}

static void seal_write_table(struct seal *seal, struct sea_message *message)
{
	struct sea_frame *frame = seal->frame;
	struct sea_session *session = frame->heap->session;
	uint8_t *base = (uint8_t *)seal->head->arena->head;
	struct seai_table_head *head = (struct seai_table_head *)(void *)(base + seal->table_offset);
	struct seai_block_name *names = (struct seai_block_name *)(void *)(head + 1);
	struct seai_table_part *parts = (struct seai_table_part *)(void *)(names + seal->n_blocks);
	uint64_t copy_offset = seal->table_offset - seal->n_copied, n_bytes_copied = 0;

	*head = (struct seai_table_head){ SEAI_TABLE_MAGIC, seal->n_blocks, frame->n_parts, 0 };
	for (uint32_t i = 0; i < seal->n_blocks; i++)
		names[i] = (struct seai_block_name){
			.owner_id = message->refs[i].attached ? message->refs[i].attached->owner_id : session->id,
			.arena_id = message->refs[i].arena_id,
			.block_id = message->refs[i].block_id,
			.generation = message->refs[i].generation,
		};
	for (uint32_t i = 0; i < frame->n_parts; i++) {
		const struct seai_frame_part *part = &frame->parts[i];
		uint64_t index, offset = part->offset;

		if (SEAI_LIKELY(!part->source_plus_1)) {
			index = seal->class_index[part->block];
		} else {
			const struct seal_use *use =
				&seal->uses[seal->first_use[part->source_plus_1 - 1] + part->block];
			const struct sea_message *source = frame->sources[part->source_plus_1 - 1].message;

			index = use->table_index;
			if (use->is_copied && part->n_bytes) {
				const uint8_t *data = source->n_blocks ? source->refs[part->block].base + offset
				                                       : source->inline_data + offset;

				memcpy(base + copy_offset, data, part->n_bytes);
				offset = copy_offset;
				index = 0;
				copy_offset += align_up(part->n_bytes, SEA_ALIGNMENT_DEFAULT);
				n_bytes_copied += part->n_bytes;
			}
		}
		if (part->n_bytes == 0)
			index = offset = 0;
		parts[i] = (struct seai_table_part){ index << SEAI_TABLE_OFFSET_BITS | offset, part->n_bytes };
	}
	if (n_bytes_copied)
		atomic_fetch_add_explicit(&session->n_bytes_copied, n_bytes_copied, memory_order_relaxed);
}

/* Immutable frames: from here on not even this process can write. */
static int seal_freeze(struct seal *seal)
{
	struct sea_frame *frame = seal->frame;
	int r;

	if (!(frame->flags & SEA_FRAME_IMMUTABLE))
		return 0;
	for (unsigned i = 0; i < SEA_FRAME_N_CLASSES; i++)
		if (frame->classes[i].block) {
			r = seai_block_freeze(frame->classes[i].block);
			if (r < 0)
				return frame->error = r;
		}
	return frame->error = seal->tail ? seai_block_freeze(seal->tail) : 0;
}

/* Whether the frame is one part of its own block and nothing else, which needs no table. */
static bool seal_is_single(const struct sea_frame *frame)
{
	if (frame->n_parts != 1 || frame->n_sources || frame->parts[0].n_bytes == 0)
		return false;
	for (unsigned i = 0; i < SEA_FRAME_N_CLASSES; i++)
		if (frame->classes[i].block && i != frame->parts[0].block)
			return false;
	return true;
}

/* The frame's references to sources go to the message; those of which nothing is needed any more are dropped. */
static int seal_move_sources(struct seal *seal, struct sea_message *message)
{
	struct sea_frame *frame = seal->frame;

	if (frame->n_sources == 0)
		return 0;
	message->sources = malloc(frame->n_sources * sizeof(struct sea_message *));
	if (!message->sources)
		return -ENOMEM;
	for (uint32_t i = 0; i < frame->n_sources; i++)
		message->sources[i] = frame->sources[i].message;
	message->n_sources = frame->n_sources;
	return 0;
}

static int seal_make(struct seal *seal, struct sea_message *message)
{
	struct sea_frame *frame = seal->frame;
	int r;

	message->n_parts = frame->n_parts;
	if (seal_is_single(frame)) {
		seal->head = frame->classes[frame->parts[0].block].block;
		r = seal_freeze(seal);
		if (r < 0)
			return r;
		message->kind = SEAI_MESSAGE_SINGLE;
		message->n_blocks = 1;
		message->ref = ref_of_block(seal->head);
		message->offset = frame->parts[0].offset;
		message->n_bytes = frame->parts[0].n_bytes;
		return 0;
	}
	r = seal_count_uses(seal);
	if (r < 0)
		return r;
	if (frame->n_sources)
		seal_decide_copies(seal);
	r = seal_place_table(seal);
	if (r < 0)
		return r;
	r = seai_message_reserve_refs(message, seal->n_blocks);
	if (r < 0)
		return r;
	seal_fill_refs(seal, message);
	seal_write_table(seal, message);
	SEAI_POINT("seal: table written");
	r = seal_move_sources(seal, message);
	if (r < 0)
		return r;
	message->kind = SEAI_MESSAGE_TABLE;
	message->offset = seal->table_offset;
	message->n_bytes = seal->n_table_bytes;
	return seal_freeze(seal);
}

int sea_frame_seal(struct sea_frame **frame_to_take, struct sea_message **ret_message)
{
	struct sea_frame *frame = *frame_to_take;
	struct sea_session *session = frame->heap->session;
	SEAI_CLEANUP(seal_cleanup) struct seal seal = { .frame = frame };
	struct sea_message *message;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (frame->error)
		return frame->error;
	message = seai_message_take(session);
	if (!message)
		return -ENOMEM;
	r = seal_make(&seal, message);
	if (r < 0) {
		message->n_sources = 0;
		seai_message_put(message);
		if (seal.tail) {
			SEAI_LOCKED(&session->books, books);
			seai_ledger_release_own(session, seal.tail);
		}
		return r;
	}
	seai_frame_put(frame);
	*frame_to_take = NULL;
	*ret_message = message;
	return 0;
}
