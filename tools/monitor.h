/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane monitor` and `sealane top`: what their parts share. */
#ifndef SEALANE_TOOLS_MONITOR_H
#define SEALANE_TOOLS_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <sealane/monitor.h>

#include "terminal.h"

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

/* The queues of a channel: the fullest of each direction, and the longest latency or wait. */
struct monitor_queues {
	uint64_t n_out, n_out_max; /* n_out_max 0: it has none */
	uint64_t n_in, n_in_max;
	int64_t latency_ns; /* 0: empty; -1: not known */
};

/* All channels of a process, and what it holds of others' memory. */
struct monitor_traffic {
	uint64_t n_sent_per_s, n_received_per_s, n_missed;
	int64_t latency_ns; /* the longest */
	uint64_t n_held, n_bytes_held;
	int64_t held_age_ns; /* -1: not known */
};

struct monitor_queues monitor_queues(const struct sea_monitor_snapshot *snapshot,
                                     const struct sea_monitor_channel *channel);
struct monitor_traffic monitor_traffic(const struct sea_monitor_snapshot *snapshot,
                                       const struct sea_monitor_process *process);

/* Short ones, for columns: "999", "1.23k", "12.3M"; "5/2.00k"; "12.3us", "3m20s"; the same, and "empty" for 0. @return text */
char *monitor_count(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n);
char *monitor_fill(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n, uint64_t n_max);
char *monitor_duration(char text[static TERMINAL_TEXT_N_BYTES], int64_t ns);
char *monitor_latency(char text[static TERMINAL_TEXT_N_BYTES], int64_t ns);

/* "memory", "zeromq" */
const char *monitor_transport(const struct sea_monitor_channel *channel);

/* The forms of a snapshot. */
void monitor_print_text(FILE *stream, const struct sea_monitor_snapshot *snapshot);
int monitor_print_json(FILE *stream, const struct sea_monitor_snapshot *snapshot);
void monitor_print_prometheus(FILE *stream, const struct sea_monitor_snapshot *snapshot);
void monitor_print_influx(FILE *stream, const struct sea_monitor_snapshot *snapshot);

/* The full-screen view. @return exit code */
int top_run(const struct monitor_plan *plan);

#endif
