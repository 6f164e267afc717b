/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region: memory whose layout is the user's own. A readout card fills a ring buffer, say; messages are made over
 * any part of it, travel like all others, and when nobody in any process holds such a message any more, its owner is told, and
 * may use that part again.
 *
 * The memory is backed, and locked if asked for, when the region is made. It is one arena; its blocks are the messages.
 * Two messages may overlap; each is told of by itself.
 */
#ifndef SEALANE_REGION_H
#define SEALANE_REGION_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_message;
struct sea_region;
struct sea_session;

/** Most messages over a region that may be out at a time, unless asked for otherwise. */
#define SEA_REGION_N_BLOCKS_DEFAULT (1u << 20)
/** How long sea_region_close() waits for what is out, unless asked for otherwise. */
#define SEA_REGION_LINGER_DEFAULT_NS INT64_C(100000000)

/** A part of a region that nobody holds any more, as it was given to sea_message_new_in_region(). */
struct sea_region_block {
	void *data;     /**< its first byte */
	size_t n_bytes; /**< its size */
	uint64_t hint;  /**< the word that came with it */
};

/**
 * Told of parts that nobody holds any more, in the order in which their last holds ended, each exactly once. Called on the service thread, one
 * call at a time. It may make, send and release messages, never wait (-EDEADLK), and not close the region.
 */
typedef void (*sea_region_release_fn)(const struct sea_region_block *blocks, size_t n_blocks, void *userdata);

/** As sea_region_release_fn, one part per call. */
typedef void (*sea_region_release_one_fn)(void *data, size_t n_bytes, uint64_t hint, void *userdata);

/** Leave the file of a region where it is at close. */
#define SEA_REGION_KEEP_FILE (1u << 8)
/** Fill the region with zeros, whatever its file or keeper has; new memory is zero anyway. */
#define SEA_REGION_ZERO (1u << 9)
/** With path: the file is there, is only read, and is left as it is. Nobody can write such a region, its owner included. Since 0.3. */
#define SEA_REGION_READ_ONLY (1u << 10)

/** How to make a region. Unset members must be zero. */
struct sea_region_options {
	/** Size in bytes; rounded up to whole pages of 64 KiB (2 MiB with SEA_PAGES_HUGETLB). Above 0. */
	uint64_t n_bytes;
	/** Name for people and tools, up to 31 bytes. NULL: none. */
	const char *name;
	/** Who may write it besides this process. */
	enum sea_protection protection;
	/** Pages to ask for. */
	enum sea_pages pages;
	/** SEA_HEAP_MLOCK, SEA_HEAP_NUMA, SEA_REGION_ bits; SEA_HEAP_PREFAULT goes without saying. */
	uint32_t flags;
	/** Node for SEA_HEAP_NUMA. */
	uint32_t numa_node;
	/** Most messages that may be out, or released and not told of, at a time. 0: the default. At most 2^28. */
	uint32_t n_blocks_max;
	/** Must be 0. */
	uint32_t reserved_0;
	/** Wait at close for what is out, in ns. 0: the default; -1: not at all. */
	int64_t linger_ns;
	/** The user's own word: other processes that look at the region see it. */
	uint64_t user_flags;
	/**
	 * A file whose pages are the region's: on hugetlbfs, or of any file system that can map for writing; made if it is not there, of the region's size
	 * if it is, and removed at close unless SEA_REGION_KEEP_FILE. A folder (with a slash at its end): a file of the region's name in it. Such a
	 * region is shared. Who cuts the file kills those who read it, so messages of it are sent only to receivers whose session trusts files
	 * (SEA_SESSION_TRUST_FILES; else -EACCES). NULL: none.
	 * With SEA_REGION_READ_ONLY its pages come when somebody looks at them, not when the region is made, and are no memory of this process.
	 */
	const char *path;
	/** The name of memory that a keeper has (sea_session_keep()), which becomes the region, warm and with what is in it. n_bytes must be its size, or 0. Such a region is shared. NULL: none. */
	const char *kept_name;
	/** How long to wait for the keeper, and for the readers of kept memory's last life to be done; 0 not at all, -1 for ever. */
	int64_t kept_timeout_ns;
	/** Told of releases one by one; on_release has precedence. */
	sea_region_release_one_fn on_release_one;
	/** Told of releases. NULL: sea_region_take_released() is asked. */
	sea_region_release_fn on_release;
	/** Passed to on_release. */
	void *userdata;
	/** Must be 0. */
	uint64_t reserved[4];
};

/** State of a region. */
struct sea_region_stats {
	uint64_t n_bytes;     /**< its size */
	uint64_t n_out;       /**< messages over it that somebody holds */
	uint64_t n_bytes_out; /**< the sum of their sizes */
	uint64_t n_waiting;   /**< released, and not told of yet */
	uint64_t n_released;  /**< told of so far */
	uint64_t reserved[3]; /**< 0 */
};

/**
 * Makes a region.
 *
 * @param ret_region receives the region; the caller closes it, or the session does at its close, without waiting
 * @return 0; -EINVAL an option out of its range, or no size; -ENOMEM; -EPERM it may not be locked, or a forked child; -ENOTSUP
 *         these pages or this node do not exist here, or a sealed region of a file or of kept memory was asked for; -EMFILE, -ENFILE; of a file
 *         what opening and sizing it gives, -EBADMSG it is not a plain file of that size (with SEA_REGION_READ_ONLY: of that size exactly); of kept memory -ENOENT nobody keeps
 *         that name, -EBUSY another process has it, -EINVAL another size, -ETIMEDOUT, -EINTR. Any thread. Since 0.2.
 */
int sea_region_new(struct sea_region **ret_region, struct sea_session *session,
                   const struct sea_region_options *options);

/**
 * Closes a region: waits up to its linger time for what is out, and lets on_release be told of it. What is out even then stays
 * readable to those who hold it, and is not told of any more.
 *
 * @param region NULL is allowed. No messages of it may be made meanwhile, and not from its own callback
 * @param ret_stats receives what was still out; NULL is allowed
 * @return NULL. Any thread. Since 0.2.
 */
struct sea_region *sea_region_close(struct sea_region *region, struct sea_region_stats *ret_stats);

/** First byte; a multiple of 2 MiB. Since 0.2. */
void *sea_region_data(const struct sea_region *region);

/** Size in bytes. Since 0.2. */
uint64_t sea_region_size(const struct sea_region *region);

/**
 * Makes a message of one part over a part of a region. Nothing is copied; whoever writes the part afterwards changes the message.
 *
 * @param data within the region, with n_bytes bytes before its end; of any alignment
 * @param n_bytes 0 is allowed: it is told of like the others
 * @param hint given back with the release
 * @return 0; -EINVAL it does not lie in the region, at either end; -ENOMEM n_blocks_max are out or not told of; -EPERM
 *         in a forked child. Any thread. Since 0.2.
 */
int sea_message_new_in_region(struct sea_message **ret_message, struct sea_region *region, void *data, size_t n_bytes,
                              uint64_t hint);

/**
 * As sea_message_new_in_region(), of many parts at the price of little more than one.
 * @return how many were made, at least 1; else an error. Any thread. Since 0.2.
 */
int sea_message_new_in_region_many(struct sea_message **messages, size_t n_messages, struct sea_region *region,
                                   const struct sea_region_block *blocks);

/**
 * Takes parts that nobody holds any more, oldest release first (regions without on_release).
 * @return how many; 0: none; -EPERM in a forked child; -EINVAL the region has a callback. Any thread. Since 0.2.
 */
int sea_region_take_released(struct sea_region *region, struct sea_region_block *blocks, size_t n_max);

/**
 * A descriptor that is readable while sea_region_take_released() has something to give. Level-triggered; owned by the region.
 * @return a descriptor; -EINVAL the region has a callback; -EMFILE, -ENFILE; -EPERM. Any thread. Since 0.2.
 */
int sea_region_fd(struct sea_region *region);

/** Fills in the state. @return 0; -EPERM in a forked child. Any thread. Since 0.2. */
int sea_region_get_stats(struct sea_region *region, struct sea_region_stats *ret_stats);

/** How to keep memory. Unset members must be zero. */
struct sea_keep_options {
	/** Its name in the session, 1 to 31 bytes of [A-Za-z0-9._-]. */
	const char *name;
	/** Its size in bytes; rounded up as a region's. Above 0. */
	uint64_t n_bytes;
	/** Pages to ask for: SEA_PAGES_DEFAULT, SEA_PAGES_THP, SEA_PAGES_HUGETLB. */
	enum sea_pages pages;
	/** SEA_HEAP_MLOCK. */
	uint32_t flags;
	/** Must be 0. */
	uint64_t reserved[4];
};

/**
 * Keeps memory for others, across their restarts: backed, and locked if asked for, once. A process makes it its region or its shared heap by the
 * name (kept_name in their options); after its end the next one gets the same pages, as soon as no reader of the former life has them
 * mapped. Sealed memory cannot be kept: its first owner's mapping would be the only one that could ever write it. It goes with the session's close, or this process's end; who has it then goes on with it.
 *
 * @return 0; -EINVAL an option out of its range; -EADDRINUSE a living process keeps that name; -ENOMEM; -EPERM it may not be
 *         locked, or a forked child; -ENOTSUP no such pages; -EMFILE, -ENFILE. Any thread. Since 0.2.
 */
int sea_session_keep(struct sea_session *session, const struct sea_keep_options *options);

/** What happened to a piece of memory. */
enum sea_region_event_type {
	SEA_REGION_CREATED = 1,   /**< it is there: locked, zeroed and mapped, as asked for */
	SEA_REGION_DESTROYED = 2, /**< it is about to be unmapped here */
};

/** An arena of a heap, or a region, of this process or another one of the session. Immutable frames are left out. */
struct sea_region_event {
	enum sea_region_event_type type; /**< what happened */
	enum sea_protection protection;  /**< who may write it besides its owner */
	uint64_t owner_id;               /**< the process that owns it; see sea_session_id() */
	uint32_t arena_id;               /**< tells it from others of that process */
	uint32_t is_region;              /**< 1: a region; 0: an arena of a heap */
	const void *data;                /**< where it is mapped here: what messages can lie in */
	uint64_t n_bytes;                /**< its size */
	uint64_t user_flags;             /**< of a region: its owner's word */
	char name[32];        /**< of a region: its name. Another process's text: printable, and ends with 0 */
	uint64_t reserved[4]; /**< 0 */
};

/** Told of one event. Called on the service thread, one at a time; it must not wait, nor close the session. */
typedef void (*sea_region_event_fn)(const struct sea_region_event *event, void *userdata);

/**
 * Subscribes to the memory of all processes of the session, to register it with a device, say: each arena and region that
 * exists, and then each that comes and goes. All of it is mapped here. Of memory that comes from now on, no message is delivered before the callback has
 * returned; what goes is unmapped after it has.
 *
 * @param on_event replaces the one before, and is told of everything that exists. NULL ends the subscription, without further events
 * @return 0; -ENOMEM; -EPERM in a forked child. Any thread. Since 0.2.
 */
int sea_session_on_region_event(struct sea_session *session, sea_region_event_fn on_event, void *userdata);

/**
 * The same without a callback: a descriptor that is readable while sea_session_take_region_event() has something to give.
 * Level-triggered; owned by the session.
 * @return a descriptor; -EMFILE, -ENFILE, -ENOMEM; -EPERM in a forked child. Any thread. Since 0.2.
 */
int sea_session_region_event_fd(struct sea_session *session);

/**
 * Takes the oldest event. Taking the next one, or finding that there is none, says that this one is done with: only then are messages
 * delivered out of memory that was created, and is memory unmapped that was destroyed.
 * @return 1; 0 there is none; -EINVAL no such subscription; -EPERM in a forked child. Any thread. Since 0.2.
 */
int sea_session_take_region_event(struct sea_session *session, struct sea_region_event *ret_event);

#ifdef __cplusplus
}
#endif
#endif
