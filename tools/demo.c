/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane demo`: the whole thing on real files. This file reads the command line and makes the plan;
 * demo-run.c runs it.
 */
#include "demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "demo-run.h"
#include "options.h"
#include "terminal.h"

#define MIB ((uint64_t)1 << 20)
#define N_INPUTS_MAX 64u
/* With less real input in the default folder the demo would show the same few pages over and over. */
#define N_INPUT_BYTES_ENOUGH (64 * MIB)

enum {
	OPT_INPUT = 1,
	OPT_SIZE,
	OPT_QUICK,
	OPT_PROCESSORS,
	OPT_NO_KILL,
	OPT_SEED,
	OPT_PART_MIN,
	OPT_PART_MAX,
	OPT_MEMORY,
	OPT_SESSION,
	OPT_NO_CALIBRATION,
	OPT_STALE,
	OPT_PLOT,
	OPT_NO_PLOT,
	OPT_JSON,
	OPT_QUIET
};

#define PLOT_DEFAULT "sealane-demo.png"

static const struct option_spec specs[] = {
	{ OPT_INPUT, 'i', "input", "PATH",
	  "a file or folder to read, may be given more than once (default: the shared libraries below /usr/lib)" },
	{ OPT_SIZE, 'n', "size", "BYTES", "how much to send, going round over the input (default: 2G)" },
	{ OPT_QUICK, 'q', "quick", NULL, "the same as --size 256M" },
	{ OPT_PROCESSORS, 'p', "processors", "N",
	  "how many processes share the work (default: 3; without calibration 2)" },
	{ OPT_NO_KILL, 0, "no-kill", NULL, "kill nobody" },
	{ OPT_SEED, 0, "seed", "N", "for the number and sizes of parts (default: 1)" },
	{ OPT_PART_MIN, 0, "part-min", "BYTES", "the smallest part (default: 200)" },
	{ OPT_PART_MAX, 0, "part-max", "BYTES", "the largest part (default: 1M)" },
	{ OPT_MEMORY, 'm', "memory", "BYTES",
	  "most memory for timeframes (default: 512M, or less where the machine has less)" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to use (default: one of its own)" },
	{ OPT_NO_CALIBRATION, 0, "no-calibration", NULL, "timeframes alone: no CCDB server, no cache, no tables" },
	{ OPT_STALE, 0, "stale", NULL,
	  "replace an object in the server without the cache's knowing: the demo must notice, and fail" },
	{ OPT_PLOT, 0, "plot", "FILE", "where to draw what happened over time (default: " PLOT_DEFAULT ")" },
	{ OPT_NO_PLOT, 0, "no-plot", NULL, "draw nothing" },
	{ OPT_JSON, 0, "json", NULL, "the results as one JSON object" },
	{ OPT_QUIET, 0, "quiet", NULL, "no progress" },
	{ 0 },
};

static const struct option_page page = {
	.command = "demo",
	.usage = "[--input PATH]... [--size BYTES] [OPTIONS]",
	.summary =
		"A reader packs real files into timeframes of 100 to 400 parts; processors take them in turn, read "
		"every byte and forward them with a part of their own; a sink checks every byte against the hash "
		"taken at the source. In the middle one processor is killed with kill -9: what it had in hand goes "
		"to the others, and it is started again. A CCDB server of its own has calibration objects whose validity ends "
		"inside the run; a cache adds a table to each timeframe that names the objects of every row, and the sink "
		"checks each row against the server's store. Needs neither root nor /dev/shm, no network but this machine's own.",
	.specs = specs,
	.epilogue =
		"Exit status: 0 each timeframe came exactly once, in order and right to the byte, and each row had its\n"
		"object; 1 not so, or a process failed; 2 wrong usage.\n",
};

struct demo_settings {
	const char *inputs[N_INPUTS_MAX];
	unsigned n_inputs;
	uint64_t n_bytes;
	const char *plot; /* NULL: none */
	bool with_kill, with_calibration, is_stale, json, quiet;
};

static void on_list_error(const char *path, int error, void *userdata)
{
	unsigned *n_errors = userdata;

	/* Of what was asked for, each lack is news; below /usr/lib a folder that is root's alone is not. */
	if (!n_errors)
		return;
	terminal_error("demo", "--input %s: %s", path,
	               error == EINVAL ? "neither a file nor a folder" : strerror(error));
	++*n_errors;
}

/* The first of these that holds enough. Bare containers have few shared libraries. */
static int input_default(struct input_list *list)
{
	static const struct {
		const char *path;
		enum input_filter filter;
	} places[] = {
		{ "/usr/lib", INPUT_LIBRARIES },
		{ "/usr/lib", INPUT_NOT_EMPTY },
		{ "/usr", INPUT_NOT_EMPTY },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && r == 0; i++) {
		input_list_fini(list);
		r = input_list_add(list, places[i].path, places[i].filter, on_list_error, NULL);
		if (list->n_bytes >= N_INPUT_BYTES_ENOUGH)
			break;
	}
	return r;
}

static int input_make(struct input_list *list, const struct demo_settings *settings)
{
	unsigned n_errors = 0;
	int r = settings->n_inputs ? 0 : input_default(list);

	for (unsigned i = 0; i < settings->n_inputs && r == 0; i++)
		r = input_list_add(list, settings->inputs[i], INPUT_NOT_EMPTY, on_list_error, &n_errors);
	if (r < 0) {
		terminal_error("demo", "cannot list the input: %s", sea_error_text(r));
		return r;
	}
	if (n_errors > 0)
		return -ENOENT;
	if (list->n_files == 0) {
		terminal_error("demo", "%s: no file with content",
		               settings->n_inputs ? settings->inputs[0] : "/usr/lib and /usr");
		return -ENODATA;
	}
	return 0;
}

static int option_take(struct options *options, int id, struct demo_settings *settings, struct demo_plan *plan)
{
	uint64_t number = 0;
	int r = 0;

	switch (id) {
	case OPT_INPUT:
		if (settings->n_inputs == N_INPUTS_MAX)
			return options_wrong(options, "--input: at most %u of them", N_INPUTS_MAX);
		settings->inputs[settings->n_inputs++] = options->value;
		break;
	case OPT_SIZE: return options_size(options, 1, (uint64_t)1 << 40, &settings->n_bytes);
	case OPT_QUICK: settings->n_bytes = 256 * MIB; break;
	case OPT_PROCESSORS:
		r = options_number(options, 1, DEMO_N_PROCESSORS_MAX, &number);
		plan->n_processors = (unsigned)number;
		break;
	case OPT_NO_KILL: settings->with_kill = false; break;
	case OPT_SEED: return options_number(options, 0, INT64_MAX, &plan->seed);
	case OPT_PART_MIN:
		r = options_size(options, 1, 64 * MIB, &number);
		plan->part_n_bytes_min = (uint32_t)number;
		break;
	case OPT_PART_MAX:
		r = options_size(options, 1, 64 * MIB, &number);
		plan->part_n_bytes_max = (uint32_t)number;
		break;
	case OPT_MEMORY: return options_size(options, 16 * MIB, (uint64_t)1 << 40, &plan->quota_n_bytes);
	case OPT_SESSION:
		if (!options_is_session(options->value))
			return options_wrong(options, "--session: '%s' is not a session's name", options->value);
		plan->session = options->value;
		break;
	case OPT_NO_CALIBRATION: settings->with_calibration = false; break;
	case OPT_STALE: settings->is_stale = true; break;
	case OPT_PLOT: settings->plot = options->value; break;
	case OPT_NO_PLOT: settings->plot = NULL; break;
	case OPT_JSON: settings->json = true; break;
	case OPT_QUIET: settings->quiet = true; break;
	default: break;
	}
	return r;
}

/* Reads the command line. 0, or -1 with options->exit_code set. */
static int settings_read(struct options *options, int argc, char **argv, struct demo_settings *settings,
                         struct demo_plan *plan)
{
	int id;

	options_init(options, &page, argc, argv);
	options->shm = &plan->shm;
	while ((id = options_next(options)) > 0)
		if (option_take(options, id, settings, plan) < 0)
			return -1;
	if (id < 0)
		return -1;
	if (options->first < argc)
		return options_wrong(options, "unexpected argument '%s'", argv[options->first]);
	if (settings->is_stale && !settings->with_calibration)
		return options_wrong(options, "--stale: takes calibration");
	if (plan->n_processors == 0)
		plan->n_processors = settings->with_calibration ? 3 : 2;
	if (plan->part_n_bytes_min > plan->part_n_bytes_max)
		return options_wrong(options, "--part-min is larger than --part-max");
	if (settings->with_calibration && plan->part_n_bytes_min < DEMO_PART_N_BYTES_MIN)
		return options_wrong(options, "--part-min: at least %u with calibration (or --no-calibration)",
		                     DEMO_PART_N_BYTES_MIN);
	if (demo_plan_make(plan, settings->n_bytes) < 0)
		return options_wrong(options, "--size: more than ten million timeframes of such small parts");
	if (settings->with_kill && plan->n_timeframes < DEMO_N_TIMEFRAMES_TO_KILL)
		return options_wrong(
			options, "--size: makes only %llu timeframes; killing in the middle takes %u (or --no-kill)",
			(unsigned long long)plan->n_timeframes, DEMO_N_TIMEFRAMES_TO_KILL);
	return 0;
}

static void shared_fini(struct demo_shared **shared)
{
	demo_shared_unmap(*shared);
}

int demo_main(int argc, char **argv)
{
	TOOL_CLEANUP(input_list_fini) struct input_list list = { 0 };
	TOOL_CLEANUP(shared_fini) struct demo_shared *shared = NULL;
	struct demo_settings settings = {
		.n_bytes = 2048 * MIB,
		.plot = PLOT_DEFAULT,
		.with_kill = true,
#ifdef SEALANE_COMMAND_CCDB
		.with_calibration = true,
#endif
	};
	char session[40];
	struct demo_plan plan = {
		.session = session,
		.input = &list,
		.seed = 1,
		.quota_n_bytes = 512 * MIB,
		.part_n_bytes_min = 200,
		.part_n_bytes_max = 1 << 20,
	};
	struct demo_calibration calibration = { 0 };
	struct demo_run run = { .plan = &plan };
	struct options options;
	int r;

	snprintf(session, sizeof(session), "demo-%d", (int)getpid());
	if (settings_read(&options, argc, argv, &settings, &plan) < 0)
		return options.exit_code;
	if (input_make(&list, &settings) < 0)
		return COMMAND_FAILED;
	r = demo_shared_map(&shared, &plan);
	if (r < 0) {
		terminal_error("demo", "no memory for the results: %s", strerror(-r));
		return COMMAND_FAILED;
	}
	if (settings.with_calibration) {
		calibration.is_stale = settings.is_stale;
		plan.calibration = run.calibration = &calibration;
		run.plot.has_tables = true;
	}
	run.shared = shared;
	run.plot_wanted = settings.plot;
	run.with_kill = settings.with_kill;
	run.quiet = settings.quiet || settings.json;
	r = demo_run(&run);
	if (run.signal) {
		terminal_error("demo", "interrupted");
		return 128 + run.signal;
	}
	if (demo_report(&run, settings.json))
		return COMMAND_OK;
	terminal_error("demo", "%s", run.reason);
	return COMMAND_FAILED;
}
