/* SPDX-License-Identifier: Apache-2.0 */
/* Growing frames; the seal is in seal.c. Adding a part costs some additions while its memory is warm. */
#include "memory/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/heap-state.h"
#include "memory/ledger.h"
#include "memory/message.h"

/* Spare frame objects per session: as many as threads are likely to build frames at once. */
#define FRAME_N_SPARE 16u
/* A frame backs its memory ahead by an eighth of what it has, and at least by this, so that growing is not a system call per part. */
#define FRAME_BACK_AHEAD_N_BYTES ((uint64_t)256 << 10)
#define FRAME_COPY_BELOW_DEFAULT ((uint64_t)64 << 10)
#define FRAME_N_PARTS_HINT_DEFAULT 64u

static struct sea_frame *frame_take(struct sea_session *session)
{
	struct sea_frame *frame;

	{
		SEAI_LOCKED(&session->books, books);
		frame = session->frames;
		if (frame) {
			session->frames = frame->next;
			session->n_frames--;
		}
	}
	return frame ? frame : calloc(1, sizeof(*frame));
}

static void frame_destroy(struct sea_frame *frame)
{
	free(frame->parts);
	free(frame->sources);
	free(frame);
}

void seai_frame_put(struct sea_frame *frame)
{
	struct sea_session *session = frame->heap->session;

	memset(frame->classes, 0, sizeof(frame->classes));
	frame->n_parts = frame->n_sources = 0;
	frame->error = 0;
	{
		SEAI_LOCKED(&session->books, books);
		if (session->n_frames < FRAME_N_SPARE) {
			frame->next = session->frames;
			session->frames = frame;
			session->n_frames++;
			return;
		}
	}
	frame_destroy(frame);
}

void seai_frames_free(struct sea_session *session)
{
	while (session->frames) {
		struct sea_frame *frame = session->frames;

		session->frames = frame->next;
		frame_destroy(frame);
	}
	session->n_frames = 0;
}

static int frame_check_options(const struct sea_frame_options *options)
{
	if (options->flags & ~SEA_FRAME_IMMUTABLE)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return -EINVAL;
	for (size_t i = 0; i < SEA_FRAME_N_CLASSES; i++)
		if (options->n_bytes_max[i] > SEAI_TABLE_OFFSET_MASK / 2)
			return -E2BIG;
	return 0;
}

static int frame_add_class(struct sea_frame *frame, unsigned index, uint64_t n_bytes, uint64_t n_table_bytes)
{
	struct seai_frame_class *class = &frame->classes[index];
	enum seai_allocation kind = frame->flags & SEA_FRAME_IMMUTABLE ? SEAI_ALLOCATE_IMMUTABLE
	                                                               : SEAI_ALLOCATE_GROWING;
	struct seai_block *block;
	int r;

	r = seai_allocate_wait(frame->heap, n_bytes + n_table_bytes, SEA_ALIGNMENT_DEFAULT, kind, &block, 1,
	                       frame->timeout_ns);
	if (r < 0)
		return r;
	class->block = block;
	class->data = seai_block_data(block);
	class->n_max = n_bytes;
	class->n_used = 0;
	return 0;
}

int sea_frame_new(struct sea_frame **ret_frame, struct sea_heap *heap, const struct sea_frame_options *options,
                  int64_t timeout_ns)
{
	static const struct sea_frame_options no_options;
	uint32_t n_parts_hint;
	struct sea_frame *frame;
	int r;

	if (seai_session_is_forked(heap->session))
		return -EPERM;
	if (!options)
		options = &no_options;
	r = frame_check_options(options);
	if (r < 0)
		return r;
	frame = frame_take(heap->session);
	if (!frame)
		return -ENOMEM;
	frame->heap = heap;
	frame->timeout_ns = timeout_ns;
	frame->flags = options->flags;
	frame->copy_below_n_bytes = options->copy_below_n_bytes ? options->copy_below_n_bytes
	                                                        : FRAME_COPY_BELOW_DEFAULT;
	n_parts_hint = options->n_parts_hint ? options->n_parts_hint : FRAME_N_PARTS_HINT_DEFAULT;
	for (unsigned i = 0; i < SEA_FRAME_N_CLASSES; i++) {
		if (options->n_bytes_max[i] == 0)
			continue;
		r = frame_add_class(frame, i, options->n_bytes_max[i],
		                    i ? 0
		                      : sizeof(struct seai_table_head) + SEAI_BLOCK_MIN_N_BYTES +
		                                    SEA_FRAME_N_CLASSES * sizeof(struct seai_block_name) +
		                                    (uint64_t)n_parts_hint * sizeof(struct seai_table_part));
		if (r < 0) {
			sea_frame_free(frame);
			return r;
		}
	}
	*ret_frame = frame;
	return 0;
}

struct sea_frame *sea_frame_free(struct sea_frame *frame)
{
	struct sea_session *session;

	if (!frame)
		return NULL;
	session = frame->heap->session;
	for (uint32_t i = 0; i < frame->n_sources; i++)
		sea_message_unref(frame->sources[i].message);
	if (!seai_session_is_forked(session)) {
		SEAI_LOCKED(&session->books, books);
		for (unsigned i = 0; i < SEA_FRAME_N_CLASSES; i++)
			if (frame->classes[i].block)
				seai_ledger_release_own(session, frame->classes[i].block);
	}
	seai_frame_put(frame);
	return NULL;
}

/* Room for one more part in the list. */
static inline int frame_reserve_part(struct sea_frame *frame)
{
	struct seai_frame_part *parts;
	uint32_t n_max;

	if (SEAI_LIKELY(frame->n_parts < frame->n_parts_max))
		return 0;
	n_max = frame->n_parts_max ? 2 * frame->n_parts_max : 128;
	if (n_max > INT32_MAX / 2)
		return -E2BIG;
	parts = realloc(frame->parts, n_max * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	frame->parts = parts;
	frame->n_parts_max = n_max;
	return 0;
}

/* Backs a class's block up to n_bytes and some more, so that few parts pay for it. */
static int frame_back(const struct sea_frame *frame, struct seai_frame_class *class, uint64_t n_bytes)
{
	uint64_t ahead = n_bytes / 8 > FRAME_BACK_AHEAD_N_BYTES ? n_bytes / 8 : FRAME_BACK_AHEAD_N_BYTES;
	uint64_t capacity = seai_block_capacity(class->block);
	uint64_t wanted = n_bytes + ahead < class->n_max ? n_bytes + ahead : class->n_max;
	int r;

	if (wanted > capacity)
		wanted = capacity;
	r = seai_block_back(class->block, wanted);
	if (r == -EAGAIN || r == -ENOMEM)
		r = seai_back_wait(class->block, n_bytes, frame->timeout_ns);
	return r;
}

int sea_frame_add_to(struct sea_frame *frame, unsigned layout_class, size_t n_bytes, size_t alignment, void **ret_data)
{
	struct seai_frame_class *class;
	uint64_t start, misalignment;
	int r;

	if (layout_class >= SEA_FRAME_N_CLASSES || alignment & (alignment - 1) || alignment > SEA_ALIGNMENT_MAX)
		return -EINVAL;
	class = &frame->classes[layout_class];
	if (!class->block) {
		layout_class = 0;
		class = &frame->classes[0];
	}
	r = frame->error ? frame->error : frame_reserve_part(frame);
	if (r < 0)
		return r;
	if (n_bytes == 0) {
		frame->parts[frame->n_parts] = (struct seai_frame_part){ .block = layout_class };
		*ret_data = NULL;
		return (int)frame->n_parts++;
	}
	if (!class->block)
		return -E2BIG;
	if (alignment == 0)
		alignment = SEA_ALIGNMENT_DEFAULT;
	/* Arenas are mapped at multiples of 2 MiB everywhere, so what is aligned as an offset is aligned as an address. */
	start = class->n_used;
	misalignment = (class->block->offset + start) & (alignment - 1);
	if (misalignment)
		start += alignment - misalignment;
	if (n_bytes > class->n_max || start > class->n_max - n_bytes)
		return -E2BIG;
	if (SEAI_UNLIKELY(start + n_bytes > class->block->n_backed)) {
		r = frame_back(frame, class, start + n_bytes);
		if (r < 0)
			return r;
	}
	class->n_used = start + n_bytes;
	frame->parts[frame->n_parts] = (struct seai_frame_part){
		.offset = class->block->offset + start,
		.n_bytes = n_bytes,
		.block = layout_class,
	};
	*ret_data = class->data + start;
	return (int)frame->n_parts++;
}

int sea_frame_add(struct sea_frame *frame, size_t n_bytes, size_t alignment, void **ret_data)
{
	return sea_frame_add_to(frame, 0, n_bytes, alignment, ret_data);
}

int sea_frame_shrink_last(struct sea_frame *frame, size_t n_bytes)
{
	struct seai_frame_part *part = frame->n_parts ? &frame->parts[frame->n_parts - 1] : NULL;
	struct seai_frame_class *class;

	if (!part || part->source_plus_1 || n_bytes > part->n_bytes)
		return -EINVAL;
	if (part->n_bytes) {
		class = &frame->classes[part->block];
		class->n_used = part->offset - class->block->offset + n_bytes;
	}
	part->n_bytes = n_bytes;
	return 0;
}

/* The place of a message among the frame's sources, made if need be. Index or error. */
static int frame_find_source(struct sea_frame *frame, struct sea_message *message)
{
	/* Parts of one message are usually added in a row. */
	for (uint32_t i = frame->n_sources; i > 0; i--)
		if (frame->sources[i - 1].message == message)
			return (int)i - 1;
	if (message->session != frame->heap->session)
		return -EINVAL;
	if (frame->n_sources == 4096) /* a table names at most 65536 blocks */
		return -E2BIG;
	if (frame->n_sources == frame->n_sources_max) {
		uint32_t n_max = frame->n_sources_max ? 2 * frame->n_sources_max : 8;
		struct seai_frame_source *sources = realloc(frame->sources, n_max * sizeof(*sources));

		if (!sources)
			return -ENOMEM;
		frame->sources = sources;
		frame->n_sources_max = n_max;
	}
	frame->sources[frame->n_sources] = (struct seai_frame_source){ .message = sea_message_ref(message) };
	return (int)frame->n_sources++;
}

/* Bytes first to first + n_max of a part, or to its end; is_piece: they are not all of it. */
static int frame_add_of(struct sea_frame *frame, struct sea_message *message, size_t index, size_t first, size_t n_max,
                        bool is_piece)
{
	struct seai_frame_part *added;
	uint64_t offset = 0, n_bytes = 0;
	uint32_t block = 0;
	int source, r;

	r = message->kind == SEAI_MESSAGE_LOCAL ? seai_message_to_block(message) : 0;
	if (r == 0)
		r = seai_message_find_part(message, index, &block, &offset, &n_bytes);
	if (r < 0)
		return r;
	if (is_piece) {
		if (first > n_bytes || n_max > n_bytes - first)
			return -EINVAL;
		offset += first;
		n_bytes = n_max;
	}
	r = frame_reserve_part(frame);
	if (r < 0)
		return r;
	if (n_bytes && message->n_blocks == 0) {
		/* It lies in the message object, which does not travel. */
		void *data;

		r = frame->classes[0].block ? sea_frame_add(frame, n_bytes, 0, &data) : -E2BIG;
		if (r >= 0) {
			memcpy(data, message->inline_data + first, n_bytes);
			atomic_fetch_add_explicit(&frame->heap->session->n_bytes_copied, n_bytes, memory_order_relaxed);
			return r;
		}
		if (r != -E2BIG)
			return r;
	}
	source = frame_find_source(frame, message);
	if (source < 0)
		return source;
	added = &frame->parts[frame->n_parts];
	*added = (struct seai_frame_part){ .n_bytes = n_bytes, .source_plus_1 = (uint32_t)source + 1 };
	if (n_bytes && message->n_blocks) {
		added->block = block;
		added->offset = offset;
	} else if (n_bytes) {
		added->offset = first;
	}
	frame->sources[source].n_added++;
	frame->sources[source].has_pieces |= is_piece;
	return (int)frame->n_parts++;
}

int sea_frame_add_part_of(struct sea_frame *frame, struct sea_message *message, size_t index)
{
	return frame_add_of(frame, message, index, 0, 0, false);
}

int sea_frame_add_piece_of(struct sea_frame *frame, struct sea_message *message, size_t index, size_t offset,
                           size_t n_bytes)
{
	return frame_add_of(frame, message, index, offset, n_bytes, true);
}

int sea_frame_add_message(struct sea_frame *frame, struct sea_message *message)
{
	uint32_t n_before = frame->n_parts;

	for (size_t i = 0; i < message->n_parts; i++) {
		int r = sea_frame_add_part_of(frame, message, i);

		if (r < 0) {
			/* A source without parts does no harm: it is released with the frame. */
			while (frame->n_parts > n_before) {
				const struct seai_frame_part *part = &frame->parts[--frame->n_parts];

				if (part->source_plus_1)
					frame->sources[part->source_plus_1 - 1].n_added--;
			}
			return r;
		}
	}
	return (int)n_before;
}

int sea_frame_absorb(struct sea_frame *frame, struct sea_message **message)
{
	int source = frame_find_source(frame, *message);

	if (source < 0)
		return source;
	/* The frame has a reference of its own now. */
	frame->sources[source].is_absorbed = true;
	*message = sea_message_unref(*message);
	return 0;
}

size_t sea_frame_n_parts(const struct sea_frame *frame)
{
	return frame->n_parts;
}
