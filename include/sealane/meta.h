/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meta: a name of one part, 64 bytes, which may travel by any road: a table, a file, another socket.
 * Whoever has it and a session of the same name on the same host finds the bytes in shared memory, without having
 * talked to their producer before, and without a message.
 *
 * A meta holds nothing. What keeps the part alive is whoever holds its message. A meta of a part that was freed is
 * an error (-ESTALE), never old or other data: its block's generation is in it. Three ways to read:
 *
 *   resolve, read                    somebody else is known to hold the message meanwhile
 *   resolve, read (a copy), check    nobody is: what was read counts only if the check says 0
 *   hold, read, unref                this process holds it from then on
 *
 * Never compare parts by their addresses: owner, arena, block and generation are a part's identity.
 *
 * This header includes no other of the library. All calls may be made from any thread.
 */
#ifndef SEALANE_META_H
#define SEALANE_META_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_message;
struct sea_session;

/** Size of a meta in bytes. */
#define SEA_META_N_BYTES 64
/** First word of a meta: "SEAM" in memory. */
#define SEA_META_MAGIC 0x4d414553u
/** Version of the layout below. */
#define SEA_META_VERSION 1

/** What kind of memory a part lies in. */
enum sea_meta_kind {
	SEA_META_EMPTY = 0,     /**< a part of zero bytes; resolves to NULL */
	SEA_META_SEALED = 1,    /**< a sealed heap or region */
	SEA_META_SHARED = 2,    /**< a shared heap or region: its bytes may change while they are read */
	SEA_META_IMMUTABLE = 3, /**< an immutable frame: its bytes never change, not even once it is freed */
};

/** The name of a part. Words are of the machine's byte order (little-endian on all that are supported). Copy it as bytes. */
struct sea_meta {
	uint32_t magic;      /**< SEA_META_MAGIC */
	uint8_t version;     /**< SEA_META_VERSION */
	uint8_t kind;        /**< enum sea_meta_kind */
	uint16_t reserved;   /**< 0 */
	uint64_t owner_id;   /**< the process whose memory it is: see sea_session_id() */
	uint32_t arena_id;   /**< arena of that process */
	uint32_t block_id;   /**< block of that arena */
	uint64_t generation; /**< of the block: changes when it is freed */
	uint64_t offset;     /**< of the part's first byte in the arena */
	uint64_t n_bytes;    /**< size of the part */
	uint64_t hint;       /**< the user's own word */
	uint32_t session;    /**< hash of the session's name and the host */
	uint32_t checksum;   /**< over all that comes before */
};

/** What a resolver found: a borrowed view. */
struct sea_resolved {
	const void *data; /**< first byte; NULL when n_bytes is 0 */
	size_t n_bytes;   /**< size in bytes */
};

/** Finds the bytes of a meta: what sea_meta_resolve() does, without saying where. @return as sea_meta_resolve() */
typedef int (*sea_resolver_fn)(const struct sea_meta *meta, int64_t timeout_ns, struct sea_resolved *ret_resolved,
                               void *userdata);

/** A resolver for code that knows metas, but neither sessions nor channels: see sea_channel_resolver(). */
struct sea_resolver {
	sea_resolver_fn resolve; /**< the function */
	void *userdata;          /**< its last argument */
};

/**
 * The name of one part of a message, which need not have been sent. A message made here of up to 40 bytes lies outside of shared
 * memory until then: it is moved to the session's own heap, and cannot be written any more (a pointer to its bytes stays readable as long as the message).
 * Such a one must not be in use on another thread meanwhile.
 *
 * @param hint travels in the meta
 * @param ret_meta receives the name
 * @return 0; -EINVAL no such part; -EBADMSG its producer wrote a part that lies outside its memory; -ENOMEM the session's heap is at its
 *         quota (only for up to 40 bytes); -EPERM in a forked child. Since 0.2.
 */
int sea_message_meta(struct sea_message *message, size_t index, uint64_t hint, struct sea_meta *ret_meta);

/**
 * Finds a part. The pointer is borrowed: the bytes stay what they are as long as somebody holds the part's message; the
 * address stays readable until sea_meta_forget() or the session's close. No system call where this process has seen the arena before;
 * else its owner is asked for it.
 *
 * @param meta read as bytes that anybody may have written
 * @param timeout_ns how long to wait for the owner; 0 only looks at what is here, -1 waits for ever
 * @param ret_resolved receives where it is
 * @return 0; -EBADMSG not a meta, damaged, or outside of its arena; -EREMOTE of another session or host; -ESTALE the part was freed;
 *         -ENOENT its owner has no such arena (yet: the next call asks again); -EOWNERDEAD its owner has ended, and the memory is not mapped here;
 *         -EACCES the owner belongs to another user; -ETIMEDOUT, -EAGAIN (timeout 0) its owner has to be asked; -EINTR;
 *         -EDEADLK waiting in a callback; -EMFILE, -ENOMEM it cannot be mapped; -EPERM in a forked child. Since 0.2.
 */
int sea_meta_resolve(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                     struct sea_resolved *ret_resolved);

/**
 * Finds many parts, faster than one by one.
 * @param resolved receives n_metas views, in order
 * @return how many were found: fewer than n_metas where the one behind them was not; if that is the first, its error as of sea_meta_resolve(). Since 0.2.
 */
int sea_meta_resolve_many(struct sea_session *session, const struct sea_meta *metas, size_t n_metas, int64_t timeout_ns,
                          struct sea_resolved *resolved);

/**
 * Whether what was read since sea_meta_resolve() was the part all the time: to be called after the bytes were copied or used.
 * @return 0; -ESTALE it was freed meanwhile: what was read may be anything; -ENOENT never resolved here; -EBADMSG, -EREMOTE, -EPERM. Since 0.2.
 */
int sea_meta_check(struct sea_session *session, const struct sea_meta *meta);

/**
 * Asks the owner to hold a part for this process.
 *
 * @param timeout_ns how long to wait for the owner; -1 for ever
 * @param ret_message receives a message of that one part; the caller unrefs it, or sends it on
 * @return 0; errors as of sea_meta_resolve(). Of an owner that has ended, what is mapped here is never used again, and is held without asking. Since 0.2.
 */
int sea_meta_hold(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                  struct sea_message **ret_message);

/**
 * Unmaps what was mapped for resolving alone. All pointers that sea_meta_resolve() gave in this session are void from here on, on all
 * threads. Until then an owner cannot get back the memory of an arena that it gave up.
 * @return 0; -EPERM in a forked child. Since 0.2.
 */
int sea_meta_forget(struct sea_session *session);

#ifdef __cplusplus
}
#endif
#endif
