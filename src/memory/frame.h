/* SPDX-License-Identifier: Apache-2.0 */
/* A frame inside. Used by one thread at a time; only its memory comes from under the books lock. */
#ifndef SEALANE_MEMORY_FRAME_H
#define SEALANE_MEMORY_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include <sealane/frame.h>

struct seai_block;
struct sea_session;

struct seai_frame_class {
	struct seai_block *block; /* NULL: this class lies in class 0's */
	uint8_t *data;            /* the block's first byte */
	uint64_t n_used;
	uint64_t n_max;
};

/* A part as it is added: own, or of a source. */
struct seai_frame_part {
	uint64_t offset; /* in the arena */
	uint64_t n_bytes;
	uint32_t source_plus_1; /* 0: own */
	uint32_t block;         /* own: the class; else: the index in the source's refs */
};

struct seai_frame_source {
	struct sea_message *message; /* one reference */
	uint32_t n_added;            /* parts of it in this frame */
	bool is_absorbed;
	bool has_pieces; /* n_added does not tell how much of it is used */
};

struct sea_frame {
	struct sea_heap *heap;
	int64_t timeout_ns;
	uint64_t copy_below_n_bytes;
	uint32_t flags;
	int error; /* a part of it is frozen, and the rest could not be: it can only be freed */
	uint32_t n_parts, n_parts_max;
	uint32_t n_sources, n_sources_max;
	struct seai_frame_class classes[SEA_FRAME_N_CLASSES];
	struct seai_frame_part *parts;
	struct seai_frame_source *sources;
	struct sea_frame *next; /* among the session's spare ones */
};

/* Puts a frame object aside for reuse; it owns nothing any more but its arrays. */
void seai_frame_put(struct sea_frame *frame);

/* Frees the spare frame objects of a session. */
void seai_frames_free(struct sea_session *session);

#endif
