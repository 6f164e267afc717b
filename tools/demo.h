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
 * With calibration a server and a cache are there as well: see demo-calibration.h.
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
/* Parts of a message that are none of the core job: tables, objects, and what a processor saw. */
#define DEMO_N_PARTS_MORE 80u
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
	/* NULL: timeframes alone. */
	const struct demo_calibration *calibration;
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
	_Atomic uint64_t n_bytes_memory; /* taken from the kernel for what it sends, now */
	_Atomic int64_t begin_ns;        /* CLOCK_MONOTONIC: the first timeframe begun */
	_Atomic int64_t end_ns;          /* the last one finished */
	_Atomic uint32_t is_busy;        /* holds a timeframe that it has not sent on */
	_Atomic uint32_t is_ready;       /* has its channels */
	_Atomic uint32_t n_receivers;    /* that it can send to, now */
	char reason[400];                /* why it failed; read after its end */
};

/* The figures of calibration: the cache's first, then the sink's. */
struct demo_tables {
	_Atomic uint64_t n_versions;       /* in memory, now */
	_Atomic uint64_t n_versions_peak;  /* at most */
	_Atomic uint64_t n_versions_bytes; /* of them, now */
	_Atomic uint64_t n_fetched;        /* objects that were fetched */
	_Atomic uint64_t n_bytes_fetched;  /* of them */
	_Atomic uint64_t n_bytes_named;    /* what the rows would take if each had its objects' bytes */
	_Atomic uint64_t n_queries;        /* questions, most of them answered by what was known */
	_Atomic uint64_t n_http;           /* requests to the server */
	_Atomic uint64_t n_tables;         /* that the sink has checked */
	_Atomic uint64_t n_rows;           /* of them */
	_Atomic uint64_t n_cells;          /* rows times columns: each compared with what the store says */
	_Atomic uint64_t n_wrong;          /* of them: another version, or other bytes */
	_Atomic uint64_t n_asked;          /* times and paths that the sink asked the store about */
	_Atomic uint64_t n_seen;           /* different versions that it saw */
};

/* Processes over the life of a demo: the reader, the sink, the cache, the processors, and one of them again. */
#define DEMO_SLOT_READER 0u
#define DEMO_SLOT_SINK 1u
#define DEMO_SLOT_CACHE 2u
#define DEMO_SLOT_PROCESSOR 3u
#define DEMO_N_SLOTS (DEMO_SLOT_PROCESSOR + DEMO_N_PROCESSORS_MAX + 1u)

struct demo_shared {
	_Atomic uint64_t limit; /* the coordinator's: the reader begins no timeframe from this number on */
	struct demo_status status[DEMO_N_SLOTS];
	struct demo_tables tables;
	uint32_t *faults[DEMO_N_SLOTS]; /* page faults after n timeframes, n_timeframes + 1 of them */
	int64_t *latency_ns;            /* by timeframe, the sink's */
	size_t n_mapped_bytes;
};

/* demo-plan.c */

/* Fills in the numbers of timeframes, parts and bytes for at least n_bytes. 0; -E2BIG too many timeframes. */
int demo_plan_make(struct demo_plan *plan, uint64_t n_bytes);
/* Timeframes between the reader and the sink: enough for each process to have one in its hands and one waiting. */
unsigned demo_plan_n_in_flight(const struct demo_plan *plan);
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

/* The signals of a process that the coordinator has just started. */
void demo_child_signals(void);
/* Opens the session and readies the figures. 0, or 1 after demo_fail(). */
int demo_child_open(struct demo_child *child, const struct demo_plan *plan, struct demo_shared *shared, unsigned slot,
                    const char *name, uint64_t quota_n_bytes);
void demo_child_close(struct demo_child *child);
/* Makes a channel and binds or connects it. 0, or 1 after demo_fail(). */
int demo_child_channel(struct demo_child *child, struct sea_channel **ret_channel, enum sea_pattern pattern,
                       enum sea_orphans orphans, const char *address, bool is_bound);
/* Notes why this process fails. Returns 1, its exit status. */
int demo_fail(struct demo_child *child, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Publishes how much memory a heap has, and how many there are to send to. */
void demo_child_measure(struct demo_child *child, struct sea_heap *heap);
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
