/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes of `sealane demo` share: the plan, made before any of them is started, and a
 * page of figures per process, which that process alone writes and the coordinator reads.
 *
 *	coordinator   starts, kills, restarts, reports; takes no part in the session
 *	reader        files -> timeframes -> push "source"
 *	processor     pull "source" -> reads every byte, adds a part of its own -> push "sink"
 *	sink          pull "sink" -> checks every byte, order and number
 *
 * A process that is started again is a new one here: it has figures of its own.
 */
#ifndef SEALANE_TOOLS_DEMO_H
#define SEALANE_TOOLS_DEMO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/sealane.h>

#include "input.h"

#define DEMO_N_PROCESSORS_MAX 16u
#define DEMO_N_PARTS_MIN 100u
#define DEMO_N_PARTS_MAX 400u
#define DEMO_SOURCE "source"
#define DEMO_SINK "sink"
/* Timeframes between the reader and the sink: enough for each process to have one in its hands and one waiting. */
#define DEMO_N_IN_FLIGHT(n_processors) (4 * (n_processors) + 4)
#define DEMO_MS_NS INT64_C(1000000)
/* How often a waiting call of a process looks whether it is to end. */
#define DEMO_WAIT_NS (50 * DEMO_MS_NS)

struct demo_plan {
	const char *session;
	const struct input_list *input;
	uint64_t seed;
	uint64_t quota_n_bytes; /* of the reader */
	uint32_t part_n_bytes_min, part_n_bytes_max;
	unsigned n_processors;
	struct sea_shm_options shm;
	uint64_t n_timeframes;
	uint64_t n_parts;         /* of files, in all timeframes */
	uint64_t n_bytes;         /* of those parts */
	uint64_t n_bytes_largest; /* of one timeframe */
};

/* The figures of one process. Written by it alone; single words, so a reader sees old or new. */
struct demo_status {
	_Atomic uint64_t n_taken;        /* timeframes received (or begun, by the reader) */
	_Atomic uint64_t n_timeframes;   /* timeframes finished: sent on, or checked */
	_Atomic uint64_t n_bytes;        /* of files in them */
	_Atomic uint64_t n_bytes_copied; /* as the library says */
	_Atomic uint64_t n_resent;       /* orphans that the reader sent again */
	_Atomic uint64_t n_wrong;        /* the sink's: timeframes with a wrong byte */
	_Atomic uint64_t n_repeated;     /* that came more than once */
	_Atomic uint64_t n_disordered;   /* out of their processor's order */
	_Atomic uint64_t n_missing;      /* never came */
	_Atomic int64_t begin_ns;        /* CLOCK_MONOTONIC: the first timeframe begun */
	_Atomic int64_t end_ns;          /* the last one finished */
	_Atomic uint32_t is_busy;        /* holds a timeframe that it has not sent on */
	_Atomic uint32_t is_ready;       /* has its channels */
	char reason[400];                /* why it failed; read after its end */
};

/* Processes over the life of a demo: the reader, the sink, the processors, and one of them again. */
#define DEMO_SLOT_READER 0u
#define DEMO_SLOT_SINK 1u
#define DEMO_SLOT_PROCESSOR 2u
#define DEMO_N_SLOTS (DEMO_SLOT_PROCESSOR + DEMO_N_PROCESSORS_MAX + 1u)

struct demo_shared {
	_Atomic uint64_t limit; /* the coordinator's: the reader begins no timeframe from this number on */
	struct demo_status status[DEMO_N_SLOTS];
	uint32_t *faults[DEMO_N_SLOTS]; /* page faults after n timeframes, n_timeframes + 1 of them */
	int64_t *latency_ns;            /* by timeframe, the sink's */
	size_t n_mapped_bytes;
};

/* demo-plan.c */

/* Fills in the numbers of timeframes, parts and bytes for at least n_bytes. 0; -E2BIG too many timeframes. */
int demo_plan_make(struct demo_plan *plan, uint64_t n_bytes);
/* The sizes of a timeframe's parts, the same at each call. Returns how many. */
unsigned demo_plan_sizes(const struct demo_plan *plan, uint64_t timeframe, uint32_t sizes[static DEMO_N_PARTS_MAX]);

/* demo-child.c: what all processes but the coordinator need */

struct demo_child {
	const struct demo_plan *plan;
	struct demo_shared *shared;
	struct demo_status *status;
	uint32_t *faults;
	struct sea_session *session;
	struct sea_channel *in, *out;
};

/* Opens the session and readies the figures. 0, or 1 after demo_fail(). */
int demo_child_open(struct demo_child *child, const struct demo_plan *plan, struct demo_shared *shared, unsigned slot,
                    const char *name, uint64_t quota_n_bytes);
void demo_child_close(struct demo_child *child);
/* Makes a channel and binds or connects it. 0, or 1 after demo_fail(). */
int demo_child_channel(struct demo_child *child, struct sea_channel **ret_channel, enum sea_pattern pattern,
                       enum sea_orphans orphans, const char *address, bool is_bound);
/* Notes why this process fails. Returns 1, its exit status. */
int demo_fail(struct demo_child *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Counts a timeframe as finished. */
void demo_child_count(struct demo_child *child, uint64_t n_bytes);
/* Told to end by the coordinator. */
bool demo_child_is_stopped(void);
/* A result of a waiting call after which it is made again, unless stopped. */
bool demo_is_again(int r);
int64_t demo_now_ns(void);

/* The processes. Each returns its exit status. */
int demo_reader_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot);
int demo_processor_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot, unsigned processor,
                       unsigned incarnation);
int demo_sink_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot);

#endif
