/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message: an immutable list of parts. What was sent does not change.
 *
 * A message that this process made may be written until it is sent or shared.
 * A message that was received is read in place, in memory that the kernel lets
 * nobody but its producer write. sea_message_unref() gives it back.
 *
 * References count within this process and may be taken and dropped from any
 * thread; one reference is used by one thread at a time.
 */
#ifndef SEALANE_MESSAGE_H
#define SEALANE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_heap;
struct sea_message;

/** One part of a message: a borrowed view, valid as long as the message is held. */
struct sea_part {
	const void *data; /**< first byte; NULL when n_bytes is 0 */
	size_t n_bytes;   /**< size in bytes */
};

/** Smallest and default alignment of a part in bytes where none is asked for. */
#define SEA_ALIGNMENT_DEFAULT 64
/** Largest alignment in bytes. */
#define SEA_ALIGNMENT_MAX (2u << 20)

/**
 * Allocates a message of one part.
 *
 * @param ret_message receives the message; the caller sends or unrefs it
 * @param heap where its memory comes from
 * @param n_bytes size; 0 is allowed and takes no memory
 * @param alignment of its first byte: a power of two from 1 to 2 MiB; 0 means 64
 * @param timeout_ns how long to wait for memory while the heap is at its quota; 0 not at all, -1 for ever
 * @return 0; -EINVAL; -E2BIG more than the quota could ever give; -ENOMEM no memory
 *         (timeout 0); -ETIMEDOUT; -EINTR; -EDEADLK waiting in a callback; -EPERM in a forked child
 *
 * Any thread. Since 0.1.
 */
int sea_message_new(struct sea_message **ret_message, struct sea_heap *heap, size_t n_bytes, size_t alignment,
                    int64_t timeout_ns);

/**
 * Allocates many messages of one part each, at the price of little more than one.
 *
 * @param messages receives n_messages pointers
 * @return how many were allocated, at least 1; else an error as of sea_message_new(). Any thread. Since 0.1.
 */
int sea_message_new_many(struct sea_message **messages, size_t n_messages, struct sea_heap *heap, size_t n_bytes,
                         size_t alignment, int64_t timeout_ns);

/** Takes one more reference. @return message. Any thread. Since 0.1. */
struct sea_message *sea_message_ref(struct sea_message *message);

/**
 * Drops a reference; the last one gives the memory back to its owner at once,
 * and never waits, even for an owner that is stopped.
 * @param message NULL is allowed
 * @return NULL. Any thread. Since 0.1.
 */
struct sea_message *sea_message_unref(struct sea_message *message);

/** Drops one reference of each, and sets the pointers to NULL; NULL entries are allowed. Any thread. Since 0.1. */
void sea_message_unref_many(struct sea_message **messages, size_t n_messages);

/** Number of parts. Since 0.1. */
size_t sea_message_n_parts(const struct sea_message *message);

/** Sum of the sizes of all parts in bytes; walks over them. Since 0.1. */
uint64_t sea_message_n_bytes(const struct sea_message *message);

/**
 * Looks at one part.
 * @param index 0 to n_parts - 1
 * @param ret_part receives the view
 * @return 0; -EINVAL no such part; -EBADMSG the producer wrote a part that lies outside its memory. Since 0.1.
 */
int sea_message_get_part(const struct sea_message *message, size_t index, struct sea_part *ret_part);

/** The first part's first byte; NULL where there is none or it is empty. Since 0.1. */
const void *sea_message_data(const struct sea_message *message);

/** The first part's size in bytes; 0 where there is none. Since 0.1. */
size_t sea_message_size(const struct sea_message *message);

/**
 * The first part's first byte for writing.
 * @return NULL for a message that was received, sent, or sealed from a frame, unless sea_message_make_mutable() was called since; and for
 *         one that has further references, or is empty. Since 0.1.
 */
void *sea_message_write(struct sea_message *message);

/** As sea_message_write(), of any part. Since 0.2. */
void *sea_message_write_part(struct sea_message *message, size_t index);

/**
 * Makes sure that a message can be written: in place where nobody else holds it and its memory allows that, else as a copy.
 * In place: a message that this process made, of which no other process holds anything (any more), in a heap of whatever kind, immutable
 * frames excepted; and one that was received from a shared heap (SEA_PROTECTION_SHARED), if its sender kept nothing of it. That
 * is the sender's word: in shared memory a process that lies, or holds the part by a meta, sees the changes. In
 * sealed memory of another process, and wherever somebody else holds it, a copy. Tag, parts and their order are kept.
 *
 * @param message replaced by the copy where one is made; the old one is released then
 * @param heap where a copy is made
 * @param timeout_ns how long to wait for its memory; 0 not at all, -1 for ever
 * @return 0 in place; 1 a copy; errors as of sea_message_new() and sea_message_get_part(): the message is as before. Any thread. Since 0.2.
 */
int sea_message_make_mutable(struct sea_message **message, struct sea_heap *heap, int64_t timeout_ns);

/** Frees data that sea_message_new_from() has copied. */
typedef void (*sea_message_free_fn)(void *data, void *userdata);

/**
 * A message of bytes that the caller has: they are copied, and then freed.
 *
 * @param free_data called exactly once, with data and userdata, before the call returns 0, also for 0 bytes; never if it fails. NULL: not called
 * @return as sea_message_new(). Since 0.2.
 */
int sea_message_new_from(struct sea_message **ret_message, struct sea_heap *heap, void *data, size_t n_bytes,
                         size_t alignment, sea_message_free_fn free_data, void *userdata, int64_t timeout_ns);

/**
 * How many references there are to a message's memory: those of this process, and if the memory is its own, those of all others, as far as
 * they have told. A snapshot. Any thread. Since 0.2.
 */
uint64_t sea_message_n_references(const struct sea_message *message);

/**
 * Cuts a message of one part that may be written to a smaller size, in place: nobody else sees it, and nothing is freed before its end.
 * @return 0; -EINVAL n_bytes is larger than now, or the message may not be written or has several parts. Since 0.1.
 */
int sea_message_shrink(struct sea_message *message, size_t n_bytes);

/** A word of the user's that travels with the message, 0 unless set. Since 0.1. */
uint64_t sea_message_get_tag(const struct sea_message *message);

/** Sets the word that travels with the message; before it is sent. Since 0.1. */
void sea_message_set_tag(struct sea_message *message, uint64_t tag);

/** Identity of the process that sent this message here; 0 for one that this process made. Since 0.1. */
uint64_t sea_message_sender(const struct sea_message *message);

/**
 * Asks to be told when the last hold of a message's memory is gone, here and
 * in every other process: sea_session_take_done() will give the cookie once.
 * For limits of what is in flight, without a channel back.
 *
 * @return 0; 1 it was asked already, and this cookie comes in place of that one (since 0.3);
 *         -EINVAL not a message of this process's own memory (or one without memory). Any thread. Since 0.1.
 */
int sea_message_notify(struct sea_message *message, uint64_t cookie);

#ifdef __cplusplus
}
#endif
#endif
