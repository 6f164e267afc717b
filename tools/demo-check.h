/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sink of `sealane demo` checks: every byte of a timeframe against the hash taken at the source, that
 * each comes exactly once, and that each run of a processor sends in its order.
 *
 * A timeframe at the sink has the reader's parts, a head and then parts of files, and last the
 * processor's mark. Works on plain views of parts, so that it can be tested without a session.
 */
#ifndef SEALANE_TOOLS_DEMO_CHECK_H
#define SEALANE_TOOLS_DEMO_CHECK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <sealane/message.h>

#define DEMO_HEAD_MAGIC UINT64_C(0x444145484d454453) /* "SDEMHEAD", little-endian */
#define DEMO_MARK_MAGIC UINT64_C(0x4b52414d4d454453) /* "SDEMMARK" */

/* The first part, the reader's. */
struct demo_head {
	uint64_t magic;
	uint64_t timeframe; /* from 0 */
	uint64_t n_parts;   /* parts of files after this one */
	uint64_t n_bytes;   /* of those parts */
	int64_t sent_ns;    /* CLOCK_MONOTONIC */
	uint64_t hash;      /* demo_hash() at the source */
};
static_assert(sizeof(struct demo_head) == 48, "format");

/* The last part, the processor's. */
struct demo_mark {
	uint64_t magic;
	uint32_t processor;
	uint32_t incarnation; /* 0, and one more at each restart */
	uint64_t sequence;    /* from 0 in each incarnation */
	uint64_t timeframe;
	uint64_t n_bytes; /* that it read */
	uint64_t hash;    /* of what it read */
};
static_assert(sizeof(struct demo_mark) == 48, "format");

/* XXH3 of the head (its hash taken as 0), and of the size and every byte of each part of a file. */
uint64_t demo_hash(XXH3_state_t *state, const struct demo_head *head, const struct sea_part *parts, size_t n_parts);

/*
 * Reads the head of a timeframe as it left the reader: head and parts, no mark.
 * Returns 0; -EBADMSG it does not fit the parts.
 */
int demo_head_read(const struct sea_part *parts, size_t n_parts, struct demo_head *ret_head);

/*
 * How many parts of a message are the reader's: head and files. What comes behind is others'.
 * Returns 0 where the first part is no head, or there are not so many parts.
 */
size_t demo_head_n_parts(const struct sea_part *parts, size_t n_parts);

#define DEMO_N_PROCESSOR_RUNS_MAX 64u

struct demo_check {
	XXH3_state_t *state;
	uint64_t n_timeframes;
	uint8_t *seen; /* how often each timeframe came, at most 255 */
	struct {
		uint32_t processor, incarnation;
		uint64_t next;
	} runs[DEMO_N_PROCESSOR_RUNS_MAX];
	unsigned n_runs;
	uint64_t n_wrong, n_repeated, n_disordered, n_missing;
	char reason[200]; /* of the first failure */
};

/* Returns 0 or -ENOMEM. */
int demo_check_init(struct demo_check *check, uint64_t n_timeframes);
void demo_check_fini(struct demo_check *check);

/*
 * Checks one timeframe.
 * Returns 0, and fills in head and mark; -EBADMSG something is wrong with it: counted, and the first
 * of its kind told in reason.
 */
int demo_check_timeframe(struct demo_check *check, const struct sea_part *parts, size_t n_parts,
                         struct demo_head *ret_head, struct demo_mark *ret_mark);

/* After the last one: counts what never came. Returns 0; -EBADMSG something failed, now or before. */
int demo_check_end(struct demo_check *check);

#endif
