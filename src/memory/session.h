/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session inside: the owner's books. The memory layer keeps what this process owns
 * (heaps, blocks, ledger) and what it has attached of others; the wire layer hangs
 * its own state on it and is reached by hooks alone.
 *
 * Lock order: wire's control lock, then books, then an owner's record lock. Nothing is
 * called out of the library with one of them held but the log.
 */
#ifndef SEALANE_MEMORY_SESSION_H
#define SEALANE_MEMORY_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sealane/session.h>

#include "base/lock.h"

struct seai_arena;
struct seai_ledger;
struct seai_wire;
struct sea_heap;
struct sea_message;
struct sea_region;

/* What the memory layer asks of the wire layer. */
struct seai_session_hooks {
	/* Gives blocks of other owners back, those of n_messages messages. Called without locks. Never waits. */
	void (*release)(struct sea_session *session, struct sea_message *const *messages, size_t n_messages);
	/* Applies whatever records have come from holders. Called with the books lock held. Returns whether any block became free. */
	bool (*drain)(struct sea_session *session);
	/* Asks holders to ring when they release something; called with the books lock held, before waiting. */
	void (*arm)(struct sea_session *session);
	/* Wakes the service thread: there is something on retired, done or dying lists. Any lock may be held. */
	void (*poke)(struct sea_session *session);
	/* Tries to have n_bytes of the session quota reserved for this process; session->n_bytes_reserved tells. Books lock held. */
	void (*reserve)(struct sea_session *session, uint64_t n_bytes);
	/*
	 * Asks the keeper of that name for its memory: a descriptor of it, sealed against any change of size. 0; -ENOENT nobody keeps it; -EBUSY somebody
	 * has it; -ETIMEDOUT, -EINTR, -EDEADLK; -EMFILE. No lock held.
	 */
	int (*adopt)(struct sea_session *session, const char *name, int64_t timeout_ns, int *ret_fd);
	/* Whether this is the service thread, where waiting is -EDEADLK. */
	bool (*is_service_thread)(struct sea_session *session);
};

struct sea_session {
	uint64_t id;           /* this process's identity */
	uint64_t name_hash;    /* of the session's name */
	uint32_t meta_session; /* the same with the host, as in metas */
	const struct seai_session_hooks *hooks;
	struct seai_wire *wire;
	/* CLOCK_MONOTONIC in ms, shifted: the least sequence of what is sent now. As of the last heartbeat, up to a second old. */
	_Atomic uint64_t now_sequence;

	struct seai_lock books;    /* guards all below but the atomics */
	uint64_t quota;            /* of all processes of the session together; 0: none. Does not change */
	uint64_t n_bytes_reserved; /* of it, for this process */
	uint64_t n_bytes_backed;   /* by all its heaps */
	struct sea_heap *heaps;
	struct sea_heap *default_heap;
	struct seai_arena *retired; /* arenas with no used blocks and no future; the service thread takes them */
	struct seai_ledger *ledger;
	uint64_t *done; /* cookies of done messages, a queue: see memory/done.h */
	size_t n_done, n_done_max;
	int done_fd; /* eventfd, -1 until asked for */
	sea_session_done_fn on_done;
	void *on_done_userdata;
	uint64_t n_notify;  /* blocks in use that carry SEAI_BLOCK_NOTIFY */
	uint64_t n_watched; /* blocks of regions whose owner waits to be told of their release */
	struct sea_region *regions;
	struct sea_frame *frames; /* frame objects kept for reuse, with their arrays */
	uint32_t n_frames;
	uint32_t next_arena_id;
	_Atomic bool is_showing;     /* somebody has subscribed to memory that comes and goes */
	_Atomic bool has_new_arenas; /* of which a subscriber was not told yet */
	uint32_t next_heap_id;
	struct seai_arena **
		arenas; /* all own arenas that are not gone, by slot = arena_id % n_arena_slots; chained by linear probing */
	uint32_t n_arena_slots;
	uint32_t n_arenas;
	_Atomic uint32_t memory_epoch; /* bumped when memory became free; futex for those who wait at a quota */
	_Atomic uint32_t n_memory_waiters;

	_Atomic uint32_t n_lent;      /* references that libzmq has to messages of this session */
	unsigned n_zeromq_io_threads; /* as it was opened; 0: the environment says */
	void *zeromq_context;         /* the process's, if a channel of this session uses it */
	void (*end_zeromq)(void);     /* gives that back; waits for what lingers */
	_Atomic uint64_t n_bytes_copied;
	bool trusts_files;   /* maps regions that are files of their owners */
	bool guard;          /* SEA_GUARD=1: the owner's own late write to a message that was sent is a SIGSEGV */
	_Atomic bool forked; /* this is a forked child: every call returns -EPERM */

	sea_log_fn log;
	void *log_userdata;
	char *directory;
	char name[65];
	char process_name[32];
};

/* Finds an own arena by id; NULL. Books lock held. */
struct seai_arena *seai_session_find_arena(struct sea_session *session, uint32_t arena_id);

/* Gives an arena an id and a place in the table. Books lock held. 0 or -ENOMEM. */
int seai_session_add_arena(struct sea_session *session, struct seai_arena *arena);

/* Takes an arena out of the table. Books lock held. */
void seai_session_remove_arena(struct sea_session *session, struct seai_arena *arena);

/* Whether somebody waits to be told of a release without asking: then holders have to ring. Books lock held. */
static inline bool seai_session_is_watching(const struct sea_session *session)
{
	return session->n_notify || session->n_watched ||
	       atomic_load_explicit(&session->n_memory_waiters, memory_order_relaxed);
}

static inline bool seai_session_is_forked(const struct sea_session *session)
{
	return SEAI_UNLIKELY(atomic_load_explicit(&session->forked, memory_order_relaxed));
}

/* One line to the program's log, if it set one. */
void seai_log(const struct sea_session *session, enum sea_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
