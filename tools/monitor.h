/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane monitor` and `sealane top`: what their parts share. */
#ifndef SEALANE_TOOLS_MONITOR_H
#define SEALANE_TOOLS_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <sealane/monitor.h>

#define MONITOR_NAME_N_BYTES 64

/* What the command line asks for. */
struct monitor_plan {
	const char *command; /* "monitor" or "top" */
	struct sea_monitor_options options;
	bool self_destruct;
};

/* When to end by itself: the session had a process and has none, or none came within the timeout. */
struct monitor_end {
	int64_t start_ns;
	bool had_some;
};

int64_t monitor_now_ns(void);

/* A look at the session; one that does not exist is empty. 0 or -errno. */
int monitor_look(const struct monitor_plan *plan, struct sea_monitor_snapshot **ret_snapshot);

size_t monitor_n_alive(const struct sea_monitor_snapshot *snapshot);
bool monitor_is_over(struct monitor_end *end, const struct monitor_plan *plan,
                     const struct sea_monitor_snapshot *snapshot);

const char *monitor_condition(const struct sea_monitor_process *process);

/* "sealed", "shared", "region" */
const char *monitor_kind(const struct sea_monitor_heap *heap);

/* "name(pid)" of a process of the snapshot, else its identity in hex. @return text */
char *monitor_name(char text[static MONITOR_NAME_N_BYTES], const struct sea_monitor_snapshot *snapshot, uint64_t id);

const struct sea_monitor_process *monitor_find(const struct sea_monitor_snapshot *snapshot, uint64_t id);

/* The forms of a snapshot. */
void monitor_print_text(FILE *stream, const struct sea_monitor_snapshot *snapshot);
int monitor_print_json(FILE *stream, const struct sea_monitor_snapshot *snapshot);
void monitor_print_prometheus(FILE *stream, const struct sea_monitor_snapshot *snapshot);
void monitor_print_influx(FILE *stream, const struct sea_monitor_snapshot *snapshot);

/* The full-screen view. @return exit code */
int top_run(const struct monitor_plan *plan);

#endif
