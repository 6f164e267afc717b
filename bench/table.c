/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table: tables of calibration objects, 10^3 to 10^7 rows of 5 columns of 4 versions: built in a frame, sent, received, every cell
 * resolved, and its object's number added to a sum that must come out right.
 *
 * The odd rule: one table is under way at a time, so that building and looking are timed alone, in CPU time; and the time to the first row
 * is from the start of the build in one process to the look in the other.
 */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TABLE_TIMEOUT_NS (60 * INT64_C(1000000000))
#define TABLE_N_TABLES_MAX 200u
/* Cells of a turn. */
#define TABLE_N_CELLS 20000000u
/* Rows whose objects' bytes still fit. */
#define TABLE_N_ROWS_BYTES_MAX 100000

enum table_extra { TABLE_BUILD_NS, TABLE_LOOK_NS, TABLE_FIRST_NS, TABLE_N_BYTES };

static const struct table_case {
	const char *name;
	int64_t n_rows;
	bool is_sorted;
} cases[] = {
	{ "1e3-sorted", 1000, true },      { "1e3-unsorted", 1000, false },     { "1e5-sorted", 100000, true },
	{ "1e5-unsorted", 100000, false }, { "1e6-sorted", 1000000, true },     { "1e6-unsorted", 1000000, false },
	{ "1e7-sorted", 10000000, true },  { "1e7-unsorted", 10000000, false },
};

enum table_job { TABLE_ROWS, TABLE_RUNS, TABLE_ENDS, TABLE_METAS, TABLE_BYTES, TABLE_N_JOBS };

static const struct {
	const char *name;
	enum bench_role role;
	const struct table_way *way;
} ways[TABLE_N_JOBS] = {
	[TABLE_ROWS] = { "sealane", BENCH_OURS, &table_way_rows },
	[TABLE_RUNS] = { "runs", BENCH_OURS, &table_way_runs },
	[TABLE_ENDS] = { "run ends", BENCH_OURS, &table_way_ends },
	[TABLE_METAS] = { "24 bytes a cell", BENCH_PEER, &table_way_metas },
	[TABLE_BYTES] = { "1 KiB a cell", BENCH_PEER, &table_way_bytes },
};

struct table_state {
	struct bench_sealane *sealane; /* first: what bench_sealane_new() leaves in the job */
	struct table_keys keys;
};

/* Of this thread: page faults count, but not the turns of others on the same core. */
static int64_t table_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static const struct table_case *case_of(const struct bench_job *job)
{
	return &cases[job->variant / TABLE_N_JOBS];
}

static const struct table_way *way_of(const struct bench_job *job)
{
	return ways[job->variant % TABLE_N_JOBS].way;
}

static int table_open(struct bench_job *job, int side)
{
	const struct table_case *of = case_of(job);
	const uint64_t n_cell = way_of(job) == &table_way_bytes ? TABLE_OBJECT_N_BYTES + 4 : TABLE_BASELINE_N_BYTES;
	const uint64_t n_bytes = (uint64_t)of->n_rows * TABLE_N_COLUMNS * n_cell + (1u << 20);
	struct bench_sealane *sealane = bench_sealane_new(job, side == 0 ? n_bytes : 0);
	struct table_state *state;
	int r;

	if (sealane == NULL)
		return -ENOTSUP;
	state = calloc(1, sizeof *state);
	bench_check(state != NULL, "no memory");
	state->sealane = sealane;
	job->state = state;
	table_keys_init(&state->keys, of->n_rows, of->is_sorted);
	if (side == 0)
		table_keys_fill(&state->keys, sealane->heap);
	sealane->channel = bench_sealane_channel(job, sealane, SEA_PAIR, 2, 0, side == 0);
	r = sea_channel_wait_peers(sealane->channel, 1, TABLE_TIMEOUT_NS);
	bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	return 0;
}

static void table_close(struct bench_job *job, int side)
{
	struct table_state *state = job->state;

	(void)side;
	if (state == NULL)
		return;
	table_keys_fini(&state->keys);
	bench_sealane_free(state->sealane);
	free(state);
}

/* Neither looks for long before it sleeps: both have work to do when it is their turn, and the core may be the other's. */
static void table_send(struct table_state *state, struct sea_message **message)
{
	const int r = sea_channel_send(state->sealane->channel, message, TABLE_TIMEOUT_NS);

	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
}

static void table_receive(struct table_state *state, struct sea_message **message)
{
	const int r = sea_channel_receive(state->sealane->channel, message, TABLE_TIMEOUT_NS);

	bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
}

static void turn_build(struct bench_job *job, uint64_t n, struct bench_turn *turn)
{
	struct table_state *state = job->state;

	for (uint64_t i = 0; i < n; i++) {
		const int64_t start_ns = bench_now(), start_cpu_ns = table_cpu_ns();
		uint64_t n_bytes;
		struct sea_message *message = way_of(job)->build(&state->keys, state->sealane->heap, &n_bytes);

		turn->extra[TABLE_BUILD_NS] += (double)(table_cpu_ns() - start_cpu_ns);
		turn->extra[TABLE_N_BYTES] = (double)n_bytes;
		sea_message_set_tag(message, (uint64_t)start_ns);
		table_send(state, &message);
		table_receive(state, &message);
		sea_message_unref(message);
	}
}

static void turn_look(struct bench_job *job, uint64_t n, struct bench_turn *turn)
{
	struct table_state *state = job->state;
	const struct table_way *way = way_of(job);

	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message;
		int64_t first_ns, start_ns;
		uint64_t sum;
		void *table;
		int r;

		table_receive(state, &message);
		table = way->open(&state->keys, message);
		first_ns = bench_now();
		start_ns = table_cpu_ns();
		sum = way->look(&state->keys, table);
		turn->extra[TABLE_LOOK_NS] += (double)(table_cpu_ns() - start_ns);
		bench_check(sum == state->keys.sum, "a row names another object");
		turn->extra[TABLE_FIRST_NS] += (double)(first_ns - (int64_t)sea_message_get_tag(message));
		way->close(table);
		sea_message_unref(message);
		/* Nothing more than a word: the next, please. */
		r = sea_message_new(&message, state->sealane->heap, 0, 0, 0);
		bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
		table_send(state, &message);
	}
}

static void table_turn(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	if (side == 0)
		turn_build(job, n, turn);
	else
		turn_look(job, n, turn);
}

static const struct bench_road road_table = { .name = "sealane", .open = table_open, .close = table_close };

/* Values. ------------------------------------------------------------------------------------ */

static double n_cells(const struct bench_job *job, const struct bench_turn *side)
{
	return (double)side->n * (double)case_of(job)->n_rows * TABLE_N_COLUMNS;
}

/* G cells/s, as cells per ns. */
static double value_build(const struct bench_job *job, const struct bench_turn *sides)
{
	return n_cells(job, &sides[0]) / sides[0].extra[TABLE_BUILD_NS];
}

/* M cells/s */
static double value_look(const struct bench_job *job, const struct bench_turn *sides)
{
	return n_cells(job, &sides[1]) / sides[1].extra[TABLE_LOOK_NS] * 1000;
}

/* ms */
static double value_first(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[1].extra[TABLE_FIRST_NS] / (double)sides[1].n * 1e-6;
}

/* kB */
static double value_size(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[TABLE_N_BYTES] * 1e-3;
}

/* Rows. -------------------------------------------------------------------------------------- */

/* One of ours, and today's ways beside it. */
static void table_row(struct bench_job **jobs, enum table_job ours, const char *what, const char *unit,
                      bench_value_fn *value, double at_least, double at_most)
{
	struct bench_job *beside[3] = { jobs[ours], jobs[TABLE_METAS], jobs[TABLE_BYTES] };
	struct bench_row row;
	char name[64];

	snprintf(name, sizeof name, "%s-%s", what, case_of(jobs[ours])->name);
	bench_row_init(&row, "table", name, unit, value, beside, jobs[TABLE_BYTES] != NULL ? 3 : 2);
	row.value_at_least = at_least;
	row.value_at_most = at_most;
	if (row.ours != NULL)
		bench_row_print(&row);
}

static void table_rows_print(struct bench_job **jobs, const struct table_case *of)
{
	const bool is_million = of->n_rows == 1000000;

	table_row(jobs, TABLE_ROWS, "build", "Gcell/s", value_build, of->is_sorted ? 1 : 0.2, 0);
	table_row(jobs, TABLE_ENDS, "build-run-ends", "Gcell/s", value_build, 0, 0);
	table_row(jobs, TABLE_RUNS, "resolve-runs", "Mcell/s", value_look, of->is_sorted ? 300 : 0, 0);
	table_row(jobs, TABLE_ENDS, "resolve-run-ends", "Mcell/s", value_look, of->is_sorted ? 300 : 0, 0);
	table_row(jobs, TABLE_ROWS, "resolve-rows", "Mcell/s", value_look, 100, 0);
	table_row(jobs, TABLE_ROWS, "first-row", "ms", value_first, 0, is_million && of->is_sorted ? 8 : 0);
	table_row(jobs, TABLE_ROWS, "size", "kB", value_size, 0, is_million ? 5100 : 0);
	table_row(jobs, TABLE_ENDS, "size-run-ends", "kB", value_size, 0, is_million && of->is_sorted ? 10 : 0);
}

static int table_case_run(size_t number)
{
	const struct table_case *of = &cases[number];
	struct bench_job *jobs[TABLE_N_JOBS] = { NULL };
	size_t n_jobs = of->n_rows > TABLE_N_ROWS_BYTES_MAX ? TABLE_BYTES : TABLE_N_JOBS;
	uint64_t n = TABLE_N_CELLS / ((uint64_t)of->n_rows * TABLE_N_COLUMNS);
	int r;

	if (!bench_wanted(of->name))
		return 0;
	n = n < 1 ? 1 : n > TABLE_N_TABLES_MAX ? TABLE_N_TABLES_MAX : n;
	for (size_t i = 0; i < n_jobs; i++) {
		jobs[i] = bench_job_new(ways[i].name, ways[i].role, &road_table, table_turn);
		jobs[i]->variant = (int)(number * TABLE_N_JOBS + i);
		jobs[i]->n_sides = 2;
		/* What goes through half a gigabyte per table has its figure after one. */
		jobs[i]->n_fixed = i == TABLE_BYTES && n > 1 ? (n + 9) / 10 : n;
	}
	r = bench_run(jobs, n_jobs);
	if (r == 0)
		table_rows_print(jobs, of);
	for (size_t i = 0; i < n_jobs; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_table(void)
{
	int r = 0;

	bench_print_header("table", "calibration objects for every row: built, sent, every cell resolved");
	for (size_t i = 0; r == 0 && i < sizeof cases / sizeof *cases; i++)
		r = table_case_run(i);
	return r;
}
