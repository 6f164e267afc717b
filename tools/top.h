/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane top`: what its screens share. Only where there is ncurses. */
#ifndef SEALANE_TOOLS_TOP_H
#define SEALANE_TOOLS_TOP_H

#include "monitor.h"

#define TOP_N_DUMP 4096

enum top_screen { TOP_LIST, TOP_CHANNELS, TOP_DETAILS, TOP_DUMP, TOP_HELP };

enum top_sort {
	SORT_AGE,
	SORT_NAME,
	SORT_PID,
	SORT_RATE,
	SORT_FLIGHT,
	SORT_OLDEST,
	SORT_BACKED,
	SORT_USED,
	SORT_HEARTBEAT,
	SORT_N
};

struct top {
	const struct monitor_plan *plan;
	struct sea_monitor_snapshot *snapshot;
	enum top_screen screen, before_help;
	enum top_sort sort;
	uint64_t selected_id; /* process */
	size_t selected_hold; /* among those of the process */
	int first;            /* line of the channels, or of the dump, at the top */
	int row;              /* next to be drawn */
	int skip;             /* lines still above the top */
	unsigned char dump[TOP_N_DUMP];
	int64_t n_dump; /* or -errno */
	struct sea_monitor_hold dumped;
};

/* A line of the scrolled part of a screen; what lies above or below it is not drawn. */
__attribute__((format(printf, 3, 4))) void top_line(struct top *top, int attributes, const char *format, ...);

void top_sort_processes(struct top *top);
/* Where the selected process stands; the first one if it has gone. */
size_t top_selected_index(const struct top *top);

/* The processes, with as many columns as fit. */
void top_draw_list(struct top *top);
/* The table of the channels of a process, or of all (0). */
void top_draw_channels(struct top *top, uint64_t process_id);

#endif
