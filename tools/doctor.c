/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane doctor`: the command and its report. A check that is not ok is followed by
 * what it costs and what to type, because whoever reads this at night has no patience to look it up.
 */
#include "doctor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/version.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "terminal.h"

/* Columns before what was found: state, name. */
#define INDENT_FOUND 34
/* Column of the words after "costs" and "mend". */
#define INDENT_DETAIL 16

static const char *const state_names[DOCTOR_N_STATES] = { "ok", "info", "warn", "bad" };

static const enum terminal_colour state_colours[DOCTOR_N_STATES] = { TERMINAL_GREEN, TERMINAL_BLUE, TERMINAL_YELLOW,
	                                                             TERMINAL_RED };

enum { OPT_SESSION = 1, OPT_RUNTIME_DIR, OPT_CLEAN, OPT_QUIET, OPT_JSON };

static const struct option_spec specs[] = {
	{ OPT_SESSION, 's', "session", "NAME", "look at this session only (default: all sessions of this user)" },
	{ OPT_RUNTIME_DIR, 0, "runtime-dir", "DIR",
	  "where the processes meet (default: $SEALANE_RUNTIME_DIR, else /run/sealane/UID if it exists, else /tmp/sealane-UID)" },
	{ OPT_CLEAN, 'c', "clean", NULL,
	  "remove what dead processes left in the sessions; each is proved dead once more, under the session's lock" },
	{ OPT_QUIET, 'q', "quiet", NULL, "show warnings and what is bad, nothing else" },
	{ OPT_JSON, 0, "json", NULL, "the report as one JSON object" },
	{ 0 },
};

static const struct option_page page = {
	.command = "doctor",
	.usage = "[OPTIONS]",
	.summary =
		"Tries what Sealane needs from this machine, one thing after the other, and says what is missing, what "
		"that costs, and which command mends it. Lists what dead processes left behind. Changes nothing "
		"without --clean.",
	.specs = specs,
	.epilogue = "Examples:\n"
		    "  sealane doctor                             everything\n"
		    "  sealane doctor --quiet                     only what needs attention\n"
		    "  sealane doctor --clean                     remove leftovers of dead processes\n"
		    "  sealane doctor --json | jq '.checks[] | select(.state != \"ok\")'\n\n"
		    "Exit status: 0 nothing is bad (warnings may be), 1 something is bad, 2 wrong usage.\n",
};

/* Prints lines below each other, the first after what stands in the line already. */
static void print_lines(const char *lines, unsigned indent, bool wrap)
{
	bool first = true;

	while (*lines) {
		size_t n = strcspn(lines, "\n");
		TOOL_AUTO_FREE char *line = strndup(lines, n);

		if (!first)
			printf("%*s", (int)indent, "");
		first = false;
		if (wrap && line)
			terminal_wrap(stdout, indent, line);
		else
			printf("%s\n", line ? line : "");
		lines += n + (lines[n] == '\n');
	}
}

static void print_check(const struct doctor_check *check)
{
	const char *plain = terminal_colour(stdout, TERMINAL_PLAIN);

	printf("  %s%-4s%s  ", terminal_colour(stdout, state_colours[check->state]), state_names[check->state], plain);
	printf("%-*s ", INDENT_FOUND - 9, check->name);
	print_lines(check->found ? check->found : "", INDENT_FOUND, true);
	if (check->items) {
		printf("%*s", INDENT_DETAIL - 8, "");
		print_lines(check->items, INDENT_DETAIL - 8, false);
	}
	if (check->cost) {
		printf("%*scosts   ", INDENT_DETAIL - 8, "");
		print_lines(check->cost, INDENT_DETAIL, true);
	}
	/* Commands are never wrapped: they are there to be copied. */
	if (check->mends) {
		printf("%*smend    %s", INDENT_DETAIL - 8, "", terminal_colour(stdout, TERMINAL_BOLD));
		print_lines(check->mends, INDENT_DETAIL, false);
		fputs(plain, stdout);
	}
}

static void report_print(const struct doctor *doctor, const size_t counts[DOCTOR_N_STATES], bool quiet)
{
	const char *group = NULL;

	for (size_t i = 0; i < doctor->n_checks; i++) {
		const struct doctor_check *check = &doctor->checks[i];

		if (quiet && check->state < DOCTOR_WARN)
			continue;
		if (!group || strcmp(group, check->group) != 0)
			printf("%s%s%s%s\n", group ? "\n" : "", terminal_colour(stdout, TERMINAL_BOLD), check->group,
			       terminal_colour(stdout, TERMINAL_PLAIN));
		group = check->group;
		print_check(check);
	}
	if (quiet && counts[DOCTOR_WARN] + counts[DOCTOR_BAD] == 0)
		return;
	printf("\n%zu ok, %zu info, %zu warn, %zu bad: ", counts[DOCTOR_OK], counts[DOCTOR_INFO], counts[DOCTOR_WARN],
	       counts[DOCTOR_BAD]);
	if (counts[DOCTOR_BAD])
		puts("Sealane does not work as promised here; see what is marked bad");
	else if (counts[DOCTOR_WARN])
		puts("Sealane works here; see the warnings");
	else
		puts("Sealane works here");
}

static void lines_to_json(json_t *object, const char *key, const char *lines)
{
	json_t *array;

	if (!lines)
		return;
	array = json_array();
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		TOOL_AUTO_FREE char *line = strndup(lines, n);

		json_array_append_new(array, doctor_text_to_json(line ? line : ""));
		lines += n + (lines[n] == '\n');
	}
	json_object_set_new(object, key, array);
}

static int report_print_json(const struct doctor *doctor, const size_t counts[DOCTOR_N_STATES], bool quiet)
{
	TOOL_AUTO_JSON json_t *report = NULL;
	TOOL_AUTO_FREE char *text = NULL;
	json_t *checks = json_array();
	unsigned loaded = sea_version();
	char version[32];

	for (size_t i = 0; i < doctor->n_checks; i++) {
		const struct doctor_check *check = &doctor->checks[i];
		json_t *object;

		if (quiet && check->state < DOCTOR_WARN)
			continue;
		object = json_pack("{s:s, s:s, s:s, s:o}", "group", check->group, "name", check->name, "state",
		                   state_names[check->state], "found",
		                   doctor_text_to_json(check->found ? check->found : ""));
		if (check->cost)
			json_object_set_new(object, "costs", doctor_text_to_json(check->cost));
		lines_to_json(object, "mend", check->mends);
		lines_to_json(object, "items", check->items);
		if (check->data)
			json_object_set(object, "data", check->data);
		json_array_append_new(checks, object);
	}
	snprintf(version, sizeof(version), "%u.%u.%u", loaded / 10000, loaded / 100 % 100, loaded % 100);
	report = json_pack("{s:s, s:s, s:b, s:{s:I, s:I, s:I, s:I}, s:o}", "command", "doctor", "version", version,
	                   "healthy", counts[DOCTOR_BAD] == 0, "counts", "ok", (json_int_t)counts[DOCTOR_OK], "info",
	                   (json_int_t)counts[DOCTOR_INFO], "warn", (json_int_t)counts[DOCTOR_WARN], "bad",
	                   (json_int_t)counts[DOCTOR_BAD], "checks", checks);
	text = report ? json_dumps(report, JSON_COMPACT) : NULL;
	if (!text) {
		terminal_error("doctor", "out of memory for the report");
		return COMMAND_FAILED;
	}
	puts(text);
	return COMMAND_OK;
}

int doctor_main(int argc, char **argv)
{
	TOOL_CLEANUP(doctor_fini) struct doctor doctor = { 0 };
	size_t counts[DOCTOR_N_STATES] = { 0 };
	struct options options;
	bool quiet = false, json = false;
	int id;

	options_init(&options, &page, argc, argv);
	while ((id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_SESSION: doctor.session = options.value; break;
		case OPT_RUNTIME_DIR: doctor.runtime_dir = options.value; break;
		case OPT_CLEAN: doctor.clean = true; break;
		case OPT_QUIET: quiet = true; break;
		case OPT_JSON: json = true; break;
		default: break;
		}
	}
	if (id == 0 && options.first < argc)
		id = options_wrong(&options, "takes no argument '%s'", argv[options.first]);
	if (id == 0 && doctor.session && !options_is_session(doctor.session))
		id = options_wrong(&options, "--session: '%s' is not 1 to 64 of A-Z a-z 0-9 . _ - (and no dot first)",
		                   doctor.session);
	if (id == 0 && doctor.runtime_dir && !*doctor.runtime_dir)
		id = options_wrong(&options, "--runtime-dir: needs a directory");
	if (id < 0)
		return options.exit_code;

	/* As a session does when it is opened; what that finds with the raised limit is what counts. */
	if (getrlimit(RLIMIT_NOFILE, &doctor.n_files) == 0) {
		struct rlimit raised = { doctor.n_files.rlim_max, doctor.n_files.rlim_max };

		setrlimit(RLIMIT_NOFILE, &raised);
	}
	/* A limit on the size of files is to be reported, not to kill. */
	signal(SIGXFSZ, SIG_IGN);
	doctor_check_seals(&doctor);
	doctor_check_kernel(&doctor);
	doctor_check_limits(&doctor);
	doctor_check_memory(&doctor);
	doctor_check_machine(&doctor);
	doctor_check_directory(&doctor);
	doctor_check_fairmq(&doctor);

	for (size_t i = 0; i < doctor.n_checks; i++)
		counts[doctor.checks[i].state]++;
	if (!json)
		report_print(&doctor, counts, quiet);
	else if (report_print_json(&doctor, counts, quiet) != COMMAND_OK)
		return COMMAND_FAILED;
	return counts[DOCTOR_BAD] ? COMMAND_FAILED : COMMAND_OK;
}
