/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame: a message under construction, growing part by part.
 *
 * A frame reserves address space for the most it may hold and pays for what was
 * used. Parts may be laid out in up to 16 blocks by class, so that what travels
 * and lives together lies together. A frame is used by one thread at a time.
 */
#ifndef SEALANE_FRAME_H
#define SEALANE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_frame;
struct sea_heap;
struct sea_message;

/** Number of classes by which a frame can be laid out. */
#define SEA_FRAME_N_CLASSES 16

/** The frame gets memory of its own, which at the seal the kernel makes read-only for everyone, this process included. */
#define SEA_FRAME_IMMUTABLE (1u << 0)

/** How to make a frame. All zero but n_bytes_max is a good start; unset members must be zero. */
struct sea_frame_options {
	/** Most payload bytes per class, alignment included. A class of 0 has no block of its own and shares class 0's. */
	uint64_t n_bytes_max[SEA_FRAME_N_CLASSES];
	/** SEA_FRAME_ bits. */
	uint32_t flags;
	/** A hint: how many parts to expect. 0: no idea. */
	uint32_t n_parts_hint;
	/** Parts of other messages below this size are copied where they would pin a much larger block. 0: 64 KiB; UINT64_MAX: copy all such. */
	uint64_t copy_below_n_bytes;
	/** Must be 0. */
	uint64_t reserved[6];
};

/**
 * Starts a frame.
 *
 * @param ret_frame receives the frame; the caller seals or frees it
 * @param heap where its memory comes from
 * @param options sizes by class and flags; NULL for a frame that only refers to parts of other messages
 * @param timeout_ns how long to wait for memory while the heap is at its quota, here, as it grows, and at the seal; 0 not at all, -1 for ever
 * @return 0; -EINVAL; -E2BIG more than the quota could ever give; -ENOMEM; -ETIMEDOUT; -EINTR;
 *         -EMFILE (immutable frames); -EDEADLK; -EPERM in a forked child. Any thread. Since 0.1.
 */
int sea_frame_new(struct sea_frame **ret_frame, struct sea_heap *heap, const struct sea_frame_options *options,
                  int64_t timeout_ns);

/** Drops a frame that was not sealed, and all in it. @param frame NULL is allowed. @return NULL. Since 0.1. */
struct sea_frame *sea_frame_free(struct sea_frame *frame);

/**
 * Adds a part to class 0.
 *
 * @param n_bytes size of the part; 0 is allowed
 * @param alignment a power of two from 1 to 2 MiB; 0 means 64
 * @param ret_data receives where to write it; NULL for an empty part. Valid until the seal
 * @return the part's index; -EINVAL; -E2BIG beyond what was reserved (the frame stays as it was);
 *         -ENOMEM no memory to back it, or the heap is at its quota; -ETIMEDOUT, -EINTR waiting for it as long as
 *         sea_frame_new() was told. Since 0.1.
 */
int sea_frame_add(struct sea_frame *frame, size_t n_bytes, size_t alignment, void **ret_data);

/** As sea_frame_add(), into the block of a class. @param layout_class 0 to 15. Since 0.1. */
int sea_frame_add_to(struct sea_frame *frame, unsigned layout_class, size_t n_bytes, size_t alignment, void **ret_data);

/**
 * Cuts the part that was added last to a smaller size; what it does not need is used for the next.
 * @return 0; -EINVAL no part yet, the last one is not of this frame's own memory, or it is smaller than that. Since 0.1.
 */
int sea_frame_shrink_last(struct sea_frame *frame, size_t n_bytes);

/**
 * Adds a part of another message, received or own, without copying it (but see copy_below_n_bytes). The
 * frame keeps a reference to that message.
 * @return the part's index; -EINVAL no such part; -E2BIG too many different messages; -ENOMEM;
 *         -EBADMSG as of sea_message_get_part(). Since 0.1.
 */
int sea_frame_add_part_of(struct sea_frame *frame, struct sea_message *message, size_t index);

/**
 * As sea_frame_add_part_of(), of some bytes of a part only: what lies in one block that way, however many pieces it is cut into, is
 * passed on as one block.
 * @param offset of the first byte within the part
 * @param n_bytes offset and n_bytes together at most the part's size
 * @return as sea_frame_add_part_of(); -EINVAL also for bytes outside the part. Since 0.3.
 */
int sea_frame_add_piece_of(struct sea_frame *frame, struct sea_message *message, size_t index, size_t offset,
                           size_t n_bytes);

/** Adds all parts of another message, in order. @return index of the first; errors as of sea_frame_add_part_of(). Since 0.1. */
int sea_frame_add_message(struct sea_frame *frame, struct sea_message *message);

/**
 * Says that the frame stands for a message that was received: that message is
 * released when the frame's message was sent, and not before. If this process dies in between, either
 * the message has arrived at its receiver or the one it was made from goes back to its sender: exactly once.
 * Call it after the parts of it were added, if any are.
 * @param message taken on success
 * @return 0; -EINVAL; -E2BIG too many different messages. Since 0.1.
 */
int sea_frame_absorb(struct sea_frame *frame, struct sea_message **message);

/** Number of parts so far. Since 0.1. */
size_t sea_frame_n_parts(const struct sea_frame *frame);

/**
 * Ends the frame: its part table is written behind its parts, and it becomes a message.
 *
 * @param frame taken on success
 * @param ret_message receives the message
 * @return 0; -ENOMEM no memory for the part table, or the heap is at its quota; -ETIMEDOUT, -EINTR waiting for it
 *         as long as sea_frame_new() was told; -EMFILE, -EBUSY (immutable; the pages are pinned by a device). On
 *         failure the frame stays as it was. Since 0.1.
 */
int sea_frame_seal(struct sea_frame **frame, struct sea_message **ret_message);

#ifdef __cplusplus
}
#endif
#endif
