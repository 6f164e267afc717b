/* SPDX-License-Identifier: Apache-2.0 */
/* What the coordinator of `sealane demo` notes while it watches, and the picture that becomes of it. */
#ifndef SEALANE_TOOLS_DEMO_PLOT_H
#define SEALANE_TOOLS_DEMO_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct demo_shared;

#define DEMO_N_SAMPLES_MAX 2000u
#define DEMO_N_EVENTS_MAX 4u

struct demo_sample {
	int64_t time_ns;
	uint64_t n_sent, n_checked;
	uint64_t n_versions;
	uint64_t n_bytes_timeframes; /* memory of the reader's heap */
	uint64_t n_bytes_objects;    /* memory of the cache's */
};

struct demo_plot {
	struct demo_sample samples[DEMO_N_SAMPLES_MAX];
	size_t n_samples;
	int64_t step_ns, next_ns;
	int64_t begin_ns; /* CLOCK_MONOTONIC: the first timeframe begun */
	struct {
		const char *name;
		int64_t time_ns;
	} events[DEMO_N_EVENTS_MAX];
	unsigned n_events;
	bool has_tables;
};

/* Notes where things stand, if the last time was long enough ago. */
void demo_plot_sample(struct demo_plot *plot, const struct demo_shared *shared, int64_t now_ns);
/* Notes that something happened. name is borrowed. */
void demo_plot_event(struct demo_plot *plot, const char *name, int64_t now_ns);
/*
 * Draws a PNG with gnuplot; where there is none, writes the figures to a file of that name with .tsv in place of .png.
 * Returns 1 drawn; 0 written as figures; negative errno neither. ret_path, n_bytes: which file it became.
 */
int demo_plot_write(const struct demo_plot *plot, const char *path, char *ret_path, size_t n_bytes);

#endif
