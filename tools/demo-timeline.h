/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The times of `sealane demo`: which rows a timeframe has, at which ms and in which run each lies, and which versions of calibration
 * objects there are. All of it follows from the plan, so that whoever checks computes it anew and need not believe what came.
 *
 * Nothing here knows a server, a cache or a table.
 */
#ifndef SEALANE_TOOLS_DEMO_TIMELINE_H
#define SEALANE_TOOLS_DEMO_TIMELINE_H

#include <stddef.h>
#include <stdint.h>

struct demo_plan;

#define DEMO_N_COLUMNS 5u
/* The time that the data of one timeframe took, and when the first began. */
#define DEMO_TIMEFRAME_MS 20
#define DEMO_BEGIN_MS INT64_C(1700000000000)
/* Rows of a timeframe, fewer only where it is small. */
#define DEMO_N_ROWS_MIN 1000u
#define DEMO_N_ROWS_MAX 100000u
/* The run changes once, in the middle of a timeframe in the middle. */
#define DEMO_RUN 544123
#define DEMO_N_RUNS 2u
/* However long a demo is, a column has no more versions than this. */
#define DEMO_N_VERSIONS_MAX 200u

struct demo_column {
	const char *name, *path;
	const char *rules;    /* how the cache treats it, as of --column of `sealane ccdb cache` */
	const char *about;    /* for a person */
	uint32_t n_bytes_max; /* of an object */
	int has_run;          /* objects have a run number, which has to fit */
};

extern const struct demo_column demo_columns[DEMO_N_COLUMNS];

/* One version of a column's object: valid in [from, until). Of those that are valid, the one with the highest number counts. */
struct demo_version {
	unsigned column;
	int64_t from_ms, until_ms;
	int32_t run; /* 0: of any */
};

/* With parts smaller than this, a timeframe can be smaller than the schema of its table. */
#define DEMO_PART_N_BYTES_MIN 64u

uint32_t demo_timeline_n_rows(const struct demo_plan *plan, uint64_t timeframe);
/* The first ms of a timeframe. */
int64_t demo_timeline_begin_ms(uint64_t timeframe);
/* Times and runs of a timeframe's rows. In every fourth timeframe they do not rise. */
void demo_timeline_fill(const struct demo_plan *plan, uint64_t timeframe, size_t n_rows, int64_t *times_ms,
                        int32_t *runs);
/* The version of that number, in the order of creation. 0; -ENOENT there are no more. */
int demo_timeline_version(const struct demo_plan *plan, size_t number, struct demo_version *ret_version);

#endif
