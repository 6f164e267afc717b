/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a demo: its table and verdict, for people or as one JSON object.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "demo-run.h"
#include "terminal.h"

struct result {
	uint64_t n_timeframes, n_bytes, n_parts, n_bytes_copied, n_resent;
	int64_t duration_ns, p50_ns, p99_ns, max_ns;
	bool exactly_once, none_lost, bytes_right, in_order, took_part;
};

static int compare_ns(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts the sink's figures in place, which is gone by now; those that never came are 0 and stand first. */
static void latency_take(struct demo_run *run, struct result *result)
{
	int64_t *all = run->shared->latency_ns;
	uint64_t n = run->plan->n_timeframes, n_zero = 0;

	qsort(all, n, sizeof(*all), compare_ns);
	while (n_zero < n && all[n_zero] <= 0)
		n_zero++;
	if (n_zero == n)
		return;
	result->p50_ns = all[n_zero + (n - n_zero - 1) / 2];
	result->p99_ns = all[n_zero + (n - n_zero - 1) * 99 / 100];
	result->max_ns = all[n - 1];
}

static struct result result_make(struct demo_run *run)
{
	const struct demo_status *status = run->shared->status;
	const struct demo_status *sink = &status[DEMO_SLOT_SINK];
	struct result result = {
		.n_timeframes = sink->n_timeframes,
		.n_bytes = sink->n_bytes,
		.n_parts = run->plan->n_parts,
		.n_resent = status[DEMO_SLOT_READER].n_resent,
		.duration_ns = sink->end_ns - status[DEMO_SLOT_READER].begin_ns,
		.exactly_once = sink->n_repeated == 0 && sink->n_timeframes == run->plan->n_timeframes,
		.none_lost = sink->n_missing == 0,
		.bytes_right = sink->n_wrong == 0,
		.in_order = sink->n_disordered == 0,
		.took_part = run->successor && status[run->successor->slot].n_timeframes > 0,
	};

	for (unsigned i = 0; i < run->n_processes; i++)
		result.n_bytes_copied += status[run->processes[i].slot].n_bytes_copied;
	latency_take(run, &result);
	return result;
}

/* Faults per timeframe in the second half of a process's timeframes; -1 where there are too few to tell. */
static double faults_per_timeframe(const struct demo_run *run, const struct demo_process *process)
{
	uint64_t n = run->shared->status[process->slot].n_timeframes;
	const uint32_t *faults = run->shared->faults[process->slot];

	if (n < 4 || n > run->plan->n_timeframes)
		return -1;
	return (double)(faults[n] - faults[n / 2]) / (double)(n - n / 2);
}

static double cpu_seconds(const struct demo_process *process)
{
	const struct rusage *usage = &process->usage;

	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static double cpu_per_gb(const struct demo_run *run, const struct demo_process *process)
{
	uint64_t n_bytes = run->shared->status[process->slot].n_bytes;

	return n_bytes ? cpu_seconds(process) / ((double)n_bytes / 1e9) : 0;
}

/* Whether every cell of every row was compared and found right. */
static bool rows_are_right(const struct demo_run *run)
{
	const struct demo_tables *tables = &run->shared->tables;

	return tables->n_wrong == 0 && tables->n_tables == run->plan->n_timeframes && tables->n_rows > 0;
}

static json_t *calibration_json(const struct demo_run *run)
{
	const struct demo_tables *tables = &run->shared->tables;
	const struct demo_calibration *calibration = run->calibration;

	if (!calibration)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "rows",
	                 (json_int_t)tables->n_rows, "cells", (json_int_t)tables->n_cells, "wrong",
	                 (json_int_t)tables->n_wrong, "versions_imported", (json_int_t)calibration->n_versions,
	                 "versions_seen", (json_int_t)tables->n_seen, "versions_in_memory_at_most",
	                 (json_int_t)tables->n_versions_peak, "objects_fetched", (json_int_t)tables->n_fetched,
	                 "bytes_fetched", (json_int_t)tables->n_bytes_fetched, "bytes_row_by_row",
	                 (json_int_t)tables->n_bytes_named, "http_requests", (json_int_t)tables->n_http, "queries",
	                 (json_int_t)tables->n_queries, "asked_by_sink", (json_int_t)tables->n_asked, "rows_right",
	                 rows_are_right(run));
}

static json_t *process_json(const struct demo_run *run, const struct demo_process *process)
{
	const struct demo_status *status = &run->shared->status[process->slot];
	double faults = faults_per_timeframe(run, process);

	return json_pack("{s:s, s:I, s:I, s:o, s:f, s:f, s:b}", "name", process->name, "timeframes",
	                 (json_int_t)status->n_timeframes, "bytes", (json_int_t)status->n_bytes,
	                 "page_faults_per_timeframe", faults < 0 ? json_null() : json_real(faults), "cpu_seconds",
	                 cpu_seconds(process), "cpu_seconds_per_gb", cpu_per_gb(run, process), "killed",
	                 process->is_killed);
}

static void report_json(const struct demo_run *run, const struct result *result)
{
	TOOL_AUTO_JSON json_t *processes = json_array();
	TOOL_AUTO_JSON json_t *object = NULL;
	double seconds = (double)result->duration_ns / 1e9;

	for (unsigned i = 0; i < run->n_processes; i++)
		json_array_append_new(processes, process_json(run, &run->processes[i]));
	object = json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I,"
	                   " s:{s:I, s:I, s:I}, s:{s:b, s:b, s:b, s:b, s:o}, s:o, s:o, s:I, s:O}",
	                   "command", "demo", "ok", run->reason[0] == '\0', "reason", run->reason, "seed",
	                   (json_int_t)run->plan->seed, "timeframes", (json_int_t)result->n_timeframes, "parts",
	                   (json_int_t)result->n_parts, "bytes", (json_int_t)result->n_bytes, "seconds", seconds,
	                   "gb_per_s", seconds > 0 ? (double)result->n_bytes / 1e9 / seconds : 0.0, "bytes_copied",
	                   (json_int_t)result->n_bytes_copied, "orphans_resent", (json_int_t)result->n_resent,
	                   "latency_ns", "p50", (json_int_t)result->p50_ns, "p99", (json_int_t)result->p99_ns, "max",
	                   (json_int_t)result->max_ns, "verdict", "exactly_once", result->exactly_once, "none_lost",
	                   result->none_lost, "bytes_right", result->bytes_right, "in_order", result->in_order,
	                   "restarted_took_part", run->with_kill ? json_boolean(result->took_part) : json_null(),
	                   "calibration", calibration_json(run), "plot",
	                   run->plot_path[0] ? json_string(run->plot_path) : json_null(), "input_files",
	                   (json_int_t)run->plan->input->n_files, "processes", processes);
	if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
		putchar('\n');
	else
		terminal_error("demo", "cannot write the results");
}

static void verdict_print(const char *what, bool is_good, const char *detail)
{
	printf("  %s%-3s%s  %s%s%s\n", terminal_colour(stdout, is_good ? TERMINAL_GREEN : TERMINAL_RED),
	       is_good ? "yes" : "NO", terminal_colour(stdout, TERMINAL_PLAIN), what, detail[0] ? ": " : "", detail);
}

static void report_tables(const struct demo_run *run)
{
	const char *bold = terminal_colour(stdout, TERMINAL_BOLD), *plain = terminal_colour(stdout, TERMINAL_PLAIN);
	const struct demo_tables *tables = &run->shared->tables;
	char a[TERMINAL_TEXT_N_BYTES];

	printf("%srows resolved%s    %llu, each with %u objects: %llu look-ups\n", bold, plain,
	       (unsigned long long)tables->n_rows, DEMO_N_COLUMNS, (unsigned long long)tables->n_cells);
	printf("%sversions%s         %llu in the server, %llu seen by rows, at most %llu in memory at a time\n", bold,
	       plain, (unsigned long long)run->calibration->n_versions, (unsigned long long)tables->n_seen,
	       (unsigned long long)tables->n_versions_peak);
	printf("%sbytes fetched%s    %s in %llu objects; %llu HTTP requests in all\n", bold, plain,
	       terminal_size(a, tables->n_bytes_fetched), (unsigned long long)tables->n_fetched,
	       (unsigned long long)tables->n_http);
	printf("%srow by row%s        %s, had each row a copy of its objects\n", bold, plain,
	       terminal_size(a, tables->n_bytes_named));
}

static void report_table(const struct demo_run *run, const struct result *result)
{
	const char *bold = terminal_colour(stdout, TERMINAL_BOLD), *plain = terminal_colour(stdout, TERMINAL_PLAIN);
	char a[TERMINAL_TEXT_N_BYTES], b[TERMINAL_TEXT_N_BYTES], c[TERMINAL_TEXT_N_BYTES];

	printf("%stimeframes%s       %llu, of %llu parts and %s in all, from %zu files\n", bold, plain,
	       (unsigned long long)result->n_timeframes, (unsigned long long)result->n_parts,
	       terminal_size(a, result->n_bytes), run->plan->input->n_files);
	printf("%sthroughput%s       %s, %s from the first to the last\n", bold, plain,
	       terminal_rate(a, result->n_bytes, result->duration_ns), terminal_duration(b, result->duration_ns));
	printf("%slatency%s          p50 %s, p99 %s, max %s, from filled at the reader to received at the sink\n", bold,
	       plain, terminal_duration(a, result->p50_ns), terminal_duration(b, result->p99_ns),
	       terminal_duration(c, result->max_ns));
	printf("%sbytes copied%s     %llu\n", bold, plain, (unsigned long long)result->n_bytes_copied);
	printf("%sorphans resent%s   %llu\n", bold, plain, (unsigned long long)result->n_resent);
	if (run->calibration)
		report_tables(run);
	putchar('\n');

	printf("%s%-18s %10s %11s  %17s  %12s%s\n", bold, "process", "timeframes", "bytes", "faults/timeframe*",
	       "CPU s per GB", plain);
	for (unsigned i = 0; i < run->n_processes; i++) {
		const struct demo_process *process = &run->processes[i];
		const struct demo_status *status = &run->shared->status[process->slot];
		double faults = faults_per_timeframe(run, process);

		snprintf(b, sizeof(b), faults < 0 ? "-" : "%.2f", faults);
		printf("%-18s %10llu %11s  %17s  %12.3f%s\n", process->name, (unsigned long long)status->n_timeframes,
		       terminal_size(a, status->n_bytes), b, cpu_per_gb(run, process),
		       process->is_killed ? "  killed" : "");
	}
	printf("* page faults in the second half of a process's timeframes\n\n");
}

static void report_verdict(const struct demo_run *run, const struct result *result)
{
	const struct demo_status *sink = &run->shared->status[DEMO_SLOT_SINK];
	char detail[160];

	snprintf(detail, sizeof(detail), "%llu of %llu, %llu came again", (unsigned long long)result->n_timeframes,
	         (unsigned long long)run->plan->n_timeframes, (unsigned long long)sink->n_repeated);
	verdict_print("each exactly once", result->exactly_once, detail);
	snprintf(detail, sizeof(detail), "%llu missing", (unsigned long long)sink->n_missing);
	verdict_print("none lost", result->none_lost, detail);
	snprintf(detail, sizeof(detail), "%llu timeframes differ from their source", (unsigned long long)sink->n_wrong);
	verdict_print("every byte right", result->bytes_right, detail);
	snprintf(detail, sizeof(detail), "%llu out of order", (unsigned long long)sink->n_disordered);
	verdict_print("in order per processor", result->in_order, detail);
	if (run->calibration) {
		const struct demo_tables *tables = &run->shared->tables;

		snprintf(detail, sizeof(detail),
		         "%llu stale or wrong of %llu look-ups; the server's store was asked %llu times",
		         (unsigned long long)tables->n_wrong, (unsigned long long)tables->n_cells,
		         (unsigned long long)tables->n_asked);
		verdict_print("every row its object", rows_are_right(run), detail);
	}
	if (!run->with_kill)
		return;
	snprintf(detail, sizeof(detail), "%llu timeframes after its restart",
	         run->successor ? (unsigned long long)run->shared->status[run->successor->slot].n_timeframes : 0ull);
	verdict_print("the killed processor takes part again", result->took_part, detail);
}

/* Draws, or says why not: that fails nothing. Before the table, so that its last line is the verdict's. */
static void report_plot(struct demo_run *run, bool json)
{
	char path[sizeof(run->plot_path)];
	int r;

	if (!run->plot_wanted || run->plot.n_samples == 0)
		return;
	r = demo_plot_write(&run->plot, run->plot_wanted, path, sizeof(path));
	if (r < 0) {
		terminal_error("demo", "no plot: cannot write %s: %s", path, strerror(-r));
		return;
	}
	snprintf(run->plot_path, sizeof(run->plot_path), "%s", path);
	if (r == 0 && !json)
		terminal_error("demo", "no plot, since gnuplot is not there or failed: the figures are in %s", path);
}

bool demo_report(struct demo_run *run, bool json)
{
	struct result result = result_make(run);
	const char *first = run->shared->status[DEMO_SLOT_SINK].reason;
	bool is_finished = run->reason[0] == '\0';
	bool is_good = result.exactly_once && result.none_lost && result.bytes_right && result.in_order &&
	               (result.took_part || !run->with_kill) && (!run->calibration || rows_are_right(run));

	if (is_finished && !is_good)
		snprintf(run->reason, sizeof(run->reason), "%s",
		         first[0] ? first : "the restarted processor got no timeframe");
	report_plot(run, json);
	if (json)
		report_json(run, &result);
	else if (is_finished)
		report_table(run, &result);
	if (!json && is_finished)
		report_verdict(run, &result);
	if (!json && run->plot_path[0])
		printf("\nOver time: %s\n", run->plot_path);
	return run->reason[0] == '\0';
}
