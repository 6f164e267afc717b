/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The coordinator of `sealane demo`: starts the processes, kills one and starts it again, ends all.
 * Whatever happens, no process that it started outlives demo_run().
 */
#ifndef SEALANE_TOOLS_DEMO_RUN_H
#define SEALANE_TOOLS_DEMO_RUN_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "demo-calibration.h"
#include "demo-plot.h"
#include "demo.h"

/* With fewer there is no middle to kill somebody in. */
#define DEMO_N_TIMEFRAMES_TO_KILL 12u

struct demo_process {
	char name[40];
	pid_t pid;
	unsigned slot, processor, incarnation;
	bool is_running;
	bool is_killed; /* by us, on purpose */
	struct rusage usage;
};

struct demo_run {
	const struct demo_plan *plan;
	struct demo_shared *shared;
	struct demo_calibration *calibration; /* NULL: timeframes alone */
	struct demo_plot plot;
	const char *plot_wanted; /* file name; NULL: none */
	char plot_path[600];     /* the file that was written; empty: none */
	bool with_kill, quiet;
	struct demo_process processes[DEMO_N_SLOTS];
	unsigned n_processes;
	struct demo_process *victim, *successor; /* the one that is killed, and the one started in its place */
	int signal;                              /* that ended the demo early; 0: none */
	char reason[600];                        /* why it failed; empty: it did not */
};

/* Maps the page of figures, for all processes. 0 or a negative errno. */
int demo_shared_map(struct demo_shared **ret_shared, const struct demo_plan *plan);
void demo_shared_unmap(struct demo_shared *shared);

/* Runs it from start to end. 0; -ECANCELED a signal; -EIO a process failed or nothing moved, see reason. */
int demo_run(struct demo_run *run);

/* Waits until a child has ended, a signal came, which is noted in the run, or some time is over. */
void demo_tick(struct demo_run *run, int64_t duration_ns);
/* Notes why the demo fails; the first reason stays. Returns -EIO. */
int demo_run_failed(struct demo_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* demo-report.c: prints the results. Returns whether everything was as it must be; reason is then empty. */
bool demo_report(struct demo_run *run, bool json);

#endif
