/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message inside: a private object that refers to the blocks in which its parts lie. Objects are
 * kept per thread for reuse.
 */
#ifndef SEALANE_MEMORY_MESSAGE_H
#define SEALANE_MEMORY_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sealane/message.h>

#include "memory/attach.h"
#include "memory/block.h"
#include "memory/session.h"

enum seai_message_kind {
	SEAI_MESSAGE_INLINE = 1, /* a part of up to SEAI_INLINE_N_BYTES in the object, or no part at all; no block */
	SEAI_MESSAGE_SINGLE = 2, /* one part, at offset in refs[0] */
	SEAI_MESSAGE_TABLE = 3,  /* a part table, at offset in refs[0] */
	SEAI_MESSAGE_LOCAL = 4,  /* parts in memory of this process alone: see struct seai_local; no block */
};

#define SEAI_INLINE_N_BYTES 40u

#define SEAI_MESSAGE_WRITABLE 1u /* made here by sea_message_new() and not sent yet */
#define SEAI_MESSAGE_GIVEN 2u    /* its holds were passed on: nothing to give back */
#define SEAI_MESSAGE_RECEIVED 4u
#define SEAI_MESSAGE_SOLE 8u /* in shared memory of another process, and its sender said that nobody else holds it */

/* What came over a network lies where that left it, until it goes on over shared memory. */
struct seai_local {
	void (*free)(struct seai_local *local); /* any thread */
	struct sea_part *parts;                 /* as many as the message has; payload is the message's alone */
};

/* One block that a message holds. */
struct seai_ref {
	struct seai_attached *attached; /* of another process; NULL: own */
	struct seai_block *block;       /* own; NULL: of another process */
	const uint8_t *base;            /* the arena */
	uint64_t n_bytes;               /* of the arena: every access stays below */
	uint64_t generation;
	uint32_t block_id;
	uint32_t arena_id;
	uint32_t source_plus_1; /* held by sources[source_plus_1 - 1], not by this message; 0: by this one */
	bool has_token;         /* of another process's block: the hold is the work itself, not a copy of it */
};

struct sea_message {
	struct sea_session *session;
	_Atomic uint32_t n_refs;
	uint16_t kind;
	uint16_t flags;
	uint32_t n_parts;
	uint32_t n_blocks; /* entries of refs */
	uint64_t offset;   /* of the part or the table, in refs[0]'s arena */
	uint64_t n_bytes;  /* of the part or the table */
	uint64_t tag;
	uint64_t sender_id;
	struct seai_ref *refs; /* &ref, or an array of its own */
	struct seai_ref ref;
	struct sea_message *next; /* in a list: of free objects, of orphans */
	union {
		uint8_t inline_data[SEAI_INLINE_N_BYTES] __attribute__((aligned(64)));
		struct sea_part
			first_part; /* of a received table, read once: its address and size are asked for one by one */
	};
	struct sea_message **sources; /* messages whose parts this one refers to; a reference to each */
	uint32_t n_sources;
	uint32_t reserved;
	struct seai_local *local; /* freed with the message, whatever its kind is by then; NULL: none */
};

/* Spare objects of a thread: taking and putting one is a few instructions without a lock. */
struct seai_message_pool {
	struct sea_message *free; /* all with refs == &ref and no sources */
	uint32_t n_free;
	uint32_t n_max; /* 0 until the thread's end is watched for; see message-pool.c */
};
extern _Thread_local struct seai_message_pool seai_message_pool __attribute__((tls_model("initial-exec")));

struct sea_message *seai_message_take_slowly(void);
void seai_message_put_slowly(struct sea_message *message);

/* An object with one reference that refers to nothing; kind, offset and n_bytes are the caller's to set. NULL: no memory. */
static inline struct sea_message *seai_message_take(struct sea_session *session)
{
	struct seai_message_pool *pool = &seai_message_pool;
	struct sea_message *message = pool->free;

	if (SEAI_LIKELY(message != NULL)) {
		pool->free = message->next;
		pool->n_free--;
	} else {
		message = seai_message_take_slowly();
		if (!message)
			return NULL;
	}
	message->session = session;
	atomic_store_explicit(&message->n_refs, 1, memory_order_relaxed);
	message->flags = 0;
	message->n_parts = 0;
	message->n_blocks = 0;
	message->tag = 0;
	message->sender_id = 0;
	return message;
}

/* Puts an object back, whatever it refers to. */
static inline void seai_message_put(struct sea_message *message)
{
	struct seai_message_pool *pool = &seai_message_pool;

	/* Whoever releases it once more is caught, as long as it is not in use again. */
	atomic_store_explicit(&message->n_refs, 0, memory_order_relaxed);
	if (SEAI_UNLIKELY(message->refs != &message->ref || message->sources != NULL || message->local != NULL ||
	                  pool->n_free >= pool->n_max)) {
		seai_message_put_slowly(message);
		return;
	}
	message->next = pool->free;
	pool->free = message;
	pool->n_free++;
}

/* Makes room for n_blocks refs. 0 or -ENOMEM. */
int seai_message_reserve_refs(struct sea_message *message, uint32_t n_blocks);

/* In which of its blocks a part lies, and where in that block's arena (its address alone does not tell: an arena has many). Errors of sea_message_get_part(). */
int seai_message_find_part(const struct sea_message *message, size_t index, uint32_t *ret_block, uint64_t *ret_offset,
                           uint64_t *ret_n_bytes);

/* Drops the object and the holds of own blocks; foreign holds must be gone. Books lock held. */
void seai_message_release_own_locked(struct sea_message *message);

/* Where a ref's block is own: the message of a head block, with a hold of each of its blocks taken. Books lock held. NULL: not whole any more, or no memory. */
struct sea_message *seai_message_of_head(struct sea_session *session, struct seai_block *block);

/* Checks the form of a part table and finds its block names and parts; n_bytes is what the message claims. */
bool seai_table_open(const uint8_t *base, uint64_t arena_n_bytes, uint64_t offset, uint64_t n_bytes, uint32_t n_parts,
                     const struct seai_block_name **ret_names, uint32_t *ret_n_blocks,
                     const struct seai_table_part **ret_parts);

static inline bool seai_message_is_last_reference(const struct sea_message *message)
{
	/* acquire: pairs with the release of other threads' unref */
	return atomic_load_explicit(&message->n_refs, memory_order_acquire) == 1;
}

/*
 * Moves what lies in the message object, or in this process's own memory, to a block of the session's heap, where it can be named. Pointers to
 * what lay in own memory stay valid with the message. 0; -EAGAIN, -ENOMEM, -E2BIG.
 */
int seai_message_to_block(struct sea_message *message);
/* A copy in one block, or in the object if it is small. Errors of sea_message_new(). */
int seai_message_copy(const struct sea_message *message, struct sea_heap *heap, int64_t timeout_ns,
                      struct sea_message **ret_copy);

enum seai_allocation {
	SEAI_ALLOCATE_WHOLE,     /* backed in full */
	SEAI_ALLOCATE_GROWING,   /* address space; backed as it is used */
	SEAI_ALLOCATE_IMMUTABLE, /* an arena of its own, backed as it is used */
};

/*
 * Allocation with waiting: runs until memory, deadline, or error. Takes and drops the books lock. At least 1 block, or an error of sea_message_new().
 */
int seai_allocate_wait(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, enum seai_allocation kind,
                       struct seai_block **blocks, size_t n_blocks, int64_t timeout_ns);

/*
 * Backs the first n_bytes of a block that the caller alone holds, and waits for room under the quota if need be. 0; -ENOMEM (timeout 0, or the kernel
 * has none); -ETIMEDOUT; -EINTR; -EDEADLK. No lock held.
 */
int seai_back_wait(struct seai_block *block, uint64_t n_bytes, int64_t timeout_ns);

/*
 * Between these two the session's releases move memory_epoch on; at other times nobody looks, and they need not. What was released before the
 * first is found by a try after it.
 */
void seai_waiting_begin(struct sea_session *session);
void seai_waiting_end(struct sea_session *session);

/* Waits until memory_epoch is no longer `epoch`: something was released. 0, -ETIMEDOUT, -EINTR, -EDEADLK. No lock held. */
int seai_wait_for_release(struct sea_session *session, uint32_t epoch, int64_t deadline_ns);

/* Tells those who wait that memory became free or an orphan came. Books lock held. */
void seai_note_release(struct sea_session *session);

#endif
