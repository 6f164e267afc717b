/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heap: memory that this process alone allocates in, and that others can map:
 * read-only (sealed, the default) or read-write (shared). It grows by arenas (memfds) up to its quota and
 * keeps them, so that a warm heap allocates without a system call or a page fault.
 *
 * All calls may be made from any thread.
 */
#ifndef SEALANE_HEAP_H
#define SEALANE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_session;
struct sea_heap;

/** Which pages a heap asks for. What it obtained is in sea_heap_stats, never assumed. */
enum sea_pages {
	SEA_PAGES_DEFAULT = 0,  /**< the machine's base pages */
	SEA_PAGES_THP = 1,      /**< transparent huge pages by MADV_HUGEPAGE, where shmem_enabled allows them */
	SEA_PAGES_COLLAPSE = 2, /**< collapsed to huge ones by MADV_COLLAPSE, off the data path; needs no setting */
	SEA_PAGES_HUGETLB = 3,  /**< of the hugetlb pool; -ENOMEM where that is empty */
};

/** Who may write the payload of a heap once its messages are sent. */
enum sea_protection {
	SEA_PROTECTION_SEALED = 0, /**< this process alone; the kernel refuses everybody else */
	SEA_PROTECTION_SHARED =
		1, /**< every process that was given a message of it; the books stay this process's own */
};

/** Back all memory of an arena when it is made, not when it is first handed out. */
#define SEA_HEAP_PREFAULT (1u << 0)
/** Lock the memory against swapping; -ENOMEM or -EPERM where RLIMIT_MEMLOCK forbids it. */
#define SEA_HEAP_MLOCK (1u << 1)
/** Place the memory on numa_node. */
#define SEA_HEAP_NUMA (1u << 2)

/** How to make a heap. All zero is a good start; unset members must be zero. */
struct sea_heap_options {
	/** Most bytes to take from the kernel. 0: half of the smaller of available memory and cgroup limit. */
	uint64_t quota_n_bytes;
	/** Size of an arena in bytes, a power of two from 2 MiB to 256 MiB. 0: quota/64 within those. */
	uint64_t arena_n_bytes;
	/** Pages to ask for. */
	enum sea_pages pages;
	/** SEA_HEAP_ bits. */
	uint32_t flags;
	/** Node for SEA_HEAP_NUMA. */
	uint32_t numa_node;
	/** Who may write. */
	enum sea_protection protection;
	/** For people and monitors: 1 to 63 bytes, copied. NULL: none. Since 0.2. */
	const char *name;
	/** A number that tells the heaps of a process apart, as FairMQ's segments. Since 0.2. */
	uint32_t segment_id;
	/** Must be 0. */
	uint32_t reserved_32;
	/**
	 * The name of memory that a keeper has (sea_session_keep() in region.h): the heap is that, warm, and grows no further; protection must be
	 * SEA_PROTECTION_SHARED, quota and arena size are not looked at. NULL: none. Since 0.2.
	 */
	const char *kept_name;
	/** How long to wait for the keeper, and for the readers of the memory's last life to be done; 0 not at all, -1 for ever. */
	int64_t kept_timeout_ns;
	/** Must be 0. */
	uint64_t reserved[4];
};

/** State of a heap. */
struct sea_heap_stats {
	uint64_t quota_n_bytes;    /**< the limit in force */
	uint64_t n_bytes_backed;   /**< taken from the kernel, retired arenas included until they are gone */
	uint64_t n_bytes_used;     /**< in blocks that somebody holds, rounded up to their size class */
	uint64_t n_bytes_peak;     /**< highest n_bytes_used */
	uint64_t n_blocks_used;    /**< blocks that somebody holds */
	uint64_t n_arenas;         /**< arenas in use */
	uint64_t n_arenas_retired; /**< arenas waiting for their last reader */
	uint64_t n_bytes_huge;     /**< of n_bytes_backed, in huge pages (as last looked at by this call) */
	uint64_t n_waits;          /**< allocations that had to wait for a release */
	uint64_t n_bytes_free;     /**< of the quota, not in blocks that somebody holds. Since 0.2 */
	/** The largest block that could be had now, without waiting: out of free memory, or new from the kernel within the quota. Since 0.2. */
	uint64_t n_bytes_largest_free;
	uint64_t reserved[5]; /**< 0 */
};

/** What one process holds of a heap. A block that several hold counts for each. */
struct sea_heap_holder {
	uint64_t id;       /**< its identity in the session: sea_session_id() */
	uint64_t n_blocks; /**< blocks that it holds, messages on their way to it included */
	uint64_t n_bytes;  /**< their size, rounded up to their size class */
};

/**
 * Makes a heap in a session. No memory is taken before the first allocation
 * (with SEA_HEAP_PREFAULT: one arena at once).
 *
 * @param ret_heap receives the heap; the caller frees it, or the session does at its close
 * @param options NULL for the defaults
 * @return 0; -EINVAL an option out of its range; -ENOMEM; -ENOTSUP these pages or
 *         this node do not exist here, or a sealed heap of kept memory; -EPERM in a forked child; with kept_name also -ENOENT nobody keeps that
 *         name, -EBUSY another process has it, -ETIMEDOUT, -EINTR, -EMFILE, -EDEADLK in a callback. Since 0.1.
 */
int sea_heap_new(struct sea_heap **ret_heap, struct sea_session *session, const struct sea_heap_options *options);

/**
 * Frees a heap. Messages of it that others hold stay readable to them; the
 * memory goes back to the kernel when the last of them is done.
 * @param heap NULL is allowed; never the session's own heap
 * @return NULL. No message or frame of this heap may be held by this process. Since 0.1.
 */
struct sea_heap *sea_heap_free(struct sea_heap *heap);

/** The name that the heap was given, or an empty one. Borrowed, valid until the heap is freed. Any thread. Since 0.2. */
const char *sea_heap_name(const struct sea_heap *heap);

/** The segment id that the heap was given; 0 for the session's own. Any thread. Since 0.2. */
uint32_t sea_heap_segment_id(const struct sea_heap *heap);

/** Fills in the state. @return 0; -EPERM in a forked child. Since 0.1. */
int sea_heap_get_stats(struct sea_heap *heap, struct sea_heap_stats *ret_stats);

/**
 * Tells which processes hold how much of a heap, this one included; the largest first. Looks at every block.
 *
 * @param ret_holders receives up to n_max lines; owned by the caller
 * @param n_max lines that there is room for; holders beyond are left out
 * @return how many lines were filled in; -EPERM in a forked child; -EINVAL n_max is above 2^31-1. Any thread. Since 0.2.
 */
int sea_heap_get_holders(struct sea_heap *heap, struct sea_heap_holder *ret_holders, size_t n_max);

/**
 * Gives memory back to the kernel. Arenas in which nobody holds anything are
 * retired; they are gone when their last reader has unmapped them, within milliseconds. In a shared heap
 * whatever is free goes at once, in arenas that are in use as well.
 *
 * @param n_bytes_keep stop when no more than this would stay backed
 * @return 0; -EPERM in a forked child. Since 0.1.
 */
int sea_heap_trim(struct sea_heap *heap, uint64_t n_bytes_keep);

#ifdef __cplusplus
}
#endif
#endif
