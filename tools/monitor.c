/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane monitor`: looks at a session from outside, once or until it is ended, and removes what dead
 * processes left. The table in docs/monitor.md says what each combination of options means.
 */
#include "monitor.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "terminal.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
/* How often a running monitor looks. */
#define LOOK_NS (250 * NS_PER_MS)
#define TIMEOUT_MS 5000

enum {
	OPT_SESSION = 1,
	OPT_SEGMENT,
	OPT_DIR,
	OPT_TIMEOUT,
	OPT_CLEANUP,
	OPT_SELF_DESTRUCT,
	OPT_INTERACTIVE,
	OPT_VIEW,
	OPT_LIST_ALL,
	OPT_JSON,
	OPT_PROMETHEUS,
	OPT_INFLUX
};

enum monitor_form { FORM_TEXT, FORM_JSON, FORM_PROMETHEUS, FORM_INFLUX };

struct monitor_flags {
	bool cleanup, interactive, view, list_all;
	unsigned n_forms;
	enum monitor_form form;
};

int64_t monitor_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int monitor_look(const struct monitor_plan *plan, struct sea_monitor_snapshot **ret_snapshot)
{
	const char *name = plan->options.session ? plan->options.session : getenv("SEALANE_SESSION");
	struct sea_monitor_snapshot *empty;
	int r = sea_monitor_take(ret_snapshot, &plan->options);

	if (r != -ENOENT)
		return r;
	/* Nobody came yet. Freed like any other: all of it is one allocation and empty arrays. */
	empty = calloc(1, sizeof(*empty));
	if (!empty)
		return -ENOMEM;
	snprintf(empty->session, sizeof(empty->session), "%s", name && *name ? name : "default");
	*ret_snapshot = empty;
	return 0;
}

size_t monitor_n_alive(const struct sea_monitor_snapshot *snapshot)
{
	size_t n = 0;

	for (size_t i = 0; i < snapshot->n_processes; i++)
		n += snapshot->processes[i].condition != SEA_MONITOR_DEAD;
	return n;
}

bool monitor_is_over(struct monitor_end *end, const struct monitor_plan *plan,
                     const struct sea_monitor_snapshot *snapshot)
{
	bool has_some = monitor_n_alive(snapshot) > 0;

	/* Files of the dead say that somebody was here. */
	end->had_some |= snapshot->n_processes > 0;
	if (!plan->self_destruct || has_some)
		return false;
	return end->had_some || monitor_now_ns() - end->start_ns > plan->options.timeout_ns;
}

static int monitor_fail(const struct monitor_plan *plan, const char *what, int error)
{
	terminal_error(plan->command, "%s: %s", what, strerror(-error));
	return COMMAND_FAILED;
}

static int monitor_view(const struct monitor_plan *plan, enum monitor_form form)
{
	struct sea_monitor_snapshot *snapshot;
	int r = monitor_look(plan, &snapshot);

	if (r < 0)
		return monitor_fail(plan, "cannot look at the session", r);
	switch (form) {
	case FORM_TEXT: monitor_print_text(stdout, snapshot); break;
	case FORM_JSON: r = monitor_print_json(stdout, snapshot); break;
	case FORM_PROMETHEUS: monitor_print_prometheus(stdout, snapshot); break;
	case FORM_INFLUX: monitor_print_influx(stdout, snapshot); break;
	}
	sea_monitor_free(snapshot);
	return r < 0 ? monitor_fail(plan, "cannot print", -ENOMEM) : COMMAND_OK;
}

static int monitor_list(const struct monitor_plan *plan, enum monitor_form form)
{
	TOOL_AUTO_FREE struct sea_monitor_session *sessions = NULL;
	size_t n_sessions = 0;
	int r = sea_monitor_list(&plan->options, &sessions, &n_sessions);

	if (r < 0)
		return monitor_fail(plan, "cannot list the sessions", r);
	if (form == FORM_TEXT)
		printf("%-32s %7s %9s\n", "SESSION", "LIVING", "LEFTOVERS");
	for (size_t i = 0; i < n_sessions; i++) {
		struct monitor_plan one = *plan;
		struct sea_monitor_snapshot *snapshot;

		one.options.session = sessions[i].name;
		r = monitor_look(&one, &snapshot);
		if (r < 0)
			return monitor_fail(plan, sessions[i].name, r);
		if (form == FORM_TEXT) {
			printf("%-32s %7zu %9zu\n", sessions[i].name, monitor_n_alive(snapshot), snapshot->n_leftovers);
		} else {
			TOOL_AUTO_JSON json_t *line = json_pack("{s:s,s:I,s:I}", "session", sessions[i].name, "living",
			                                        (json_int_t)monitor_n_alive(snapshot), "leftovers",
			                                        (json_int_t)snapshot->n_leftovers);

			json_dumpf(line, stdout, JSON_COMPACT);
			putchar('\n');
		}
		sea_monitor_free(snapshot);
	}
	return COMMAND_OK;
}

/* Removes and says so. @return 0 or -errno */
static int monitor_clean(const struct monitor_plan *plan, json_t *removed)
{
	TOOL_AUTO_FREE struct sea_monitor_file *files = NULL;
	size_t n_files = 0;
	int r = sea_monitor_clean(&plan->options, &files, &n_files);

	for (size_t i = 0; r == 0 && i < n_files; i++) {
		if (removed)
			json_array_append_new(removed, json_string(files[i].name));
		else
			printf("removed %s\n", files[i].name);
	}
	return r == -ENOENT ? 0 : r;
}

static int monitor_cleanup(const struct monitor_plan *plan, enum monitor_form form)
{
	json_t *removed = form == FORM_JSON ? json_array() : NULL, *living = form == FORM_JSON ? json_array() : NULL;
	struct sea_monitor_snapshot *snapshot = NULL;
	int r = monitor_clean(plan, removed), exit_code;

	if (r == 0)
		r = monitor_look(plan, &snapshot);
	if (r < 0) {
		json_decref(removed);
		json_decref(living);
		return monitor_fail(plan, "cannot clean up", r);
	}
	for (size_t i = 0; i < snapshot->n_processes; i++) {
		const struct sea_monitor_process *process = &snapshot->processes[i];

		if (process->condition == SEA_MONITOR_DEAD)
			continue;
		if (living)
			json_array_append_new(living,
			                      json_pack("{s:i,s:s,s:s}", "pid", (int)process->pid, "name",
			                                process->name, "condition", monitor_condition(process)));
		else
			printf("living  %s, pid %d, %s\n", process->name, (int)process->pid,
			       monitor_condition(process));
	}
	exit_code = monitor_n_alive(snapshot) ? COMMAND_FAILED : COMMAND_OK;
	if (form == FORM_JSON) {
		TOOL_AUTO_JSON json_t *line = json_pack("{s:s,s:o,s:o}", "session", snapshot->session, "removed",
		                                        removed, "living", living);

		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
	}
	sea_monitor_free(snapshot);
	return exit_code;
}

static void event_print(const struct sea_monitor_process *process, const char *what)
{
	char clock_text[16];
	time_t now = time(NULL);
	struct tm local;

	localtime_r(&now, &local);
	strftime(clock_text, sizeof(clock_text), "%H:%M:%S", &local);
	printf("%s %s, pid %d: %s\n", clock_text, process->name, (int)process->pid, what);
}

/* What changed between two looks; a process that went in peace is only missing. */
static void monitor_compare(const struct sea_monitor_snapshot *before, const struct sea_monitor_snapshot *now)
{
	for (size_t i = 0; i < now->n_processes; i++) {
		const struct sea_monitor_process *process = &now->processes[i];
		const struct sea_monitor_process *old = before ? monitor_find(before, process->id) : NULL;

		if (!old)
			event_print(process, process->condition == SEA_MONITOR_DEAD ? "dead" : "joined");
		if (old ? old->condition != process->condition
		        : process->condition != SEA_MONITOR_RUNNING && process->condition != SEA_MONITOR_DEAD)
			event_print(process, monitor_condition(process));
	}
	for (size_t i = 0; before && i < before->n_processes; i++)
		if (!monitor_find(now, before->processes[i].id) && before->processes[i].condition != SEA_MONITOR_DEAD)
			event_print(&before->processes[i], "left");
}

/* Until ended: cleans up after the dead at once, and says what happens. */
static int monitor_run(const struct monitor_plan *plan)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct monitor_end end = { .start_ns = monitor_now_ns() };
	struct sea_monitor_snapshot *before = NULL, *now;
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	do {
		bool is_over;

		r = monitor_look(plan, &now);
		if (r < 0)
			break;
		monitor_compare(before, now);
		sea_monitor_free(before);
		before = now;
		is_over = monitor_is_over(&end, plan, now);
		/* Busy: somebody starts just now, or is stopped while it does. The next look will tell. */
		if (now->n_leftovers)
			r = monitor_clean(plan, NULL);
		r = r == -EBUSY ? 0 : r;
		fflush(stdout);
		if (r < 0 || is_over)
			break;
	} while (sigtimedwait(&signals, NULL, &pause) < 0);
	sea_monitor_free(before);
	return r < 0 ? monitor_fail(plan, "cannot go on", r) : COMMAND_OK;
}

/* One option of what monitor and top share, or -1 after an error. */
static int monitor_option(struct options *options, int id, struct monitor_plan *plan)
{
	uint64_t ms;

	switch (id) {
	case OPT_SESSION:
	case OPT_SEGMENT:
		if (!options_is_session(options->value))
			return options_wrong(options, "'%s' is not a name of a session", options->value);
		plan->options.session = options->value;
		return 0;
	case OPT_DIR: plan->options.runtime_dir = options->value; return 0;
	case OPT_TIMEOUT:
		if (options_number(options, 1, 1000000000, &ms) < 0)
			return -1;
		plan->options.timeout_ns = (int64_t)ms * NS_PER_MS;
		return 0;
	case OPT_SELF_DESTRUCT: plan->self_destruct = true; return 0;
	default: return 0;
	}
}

static void monitor_flag(struct monitor_flags *flags, int id)
{
	flags->cleanup |= id == OPT_CLEANUP;
	flags->interactive |= id == OPT_INTERACTIVE;
	flags->view |= id == OPT_VIEW;
	flags->list_all |= id == OPT_LIST_ALL;
	flags->n_forms += id >= OPT_JSON;
	flags->form = id == OPT_JSON         ? FORM_JSON
	              : id == OPT_PROMETHEUS ? FORM_PROMETHEUS
	              : id == OPT_INFLUX     ? FORM_INFLUX
	                                     : flags->form;
}

/* Combinations that mean nothing. @return what is wrong, or NULL */
static const char *monitor_check(const struct monitor_plan *plan, const struct monitor_flags *flags)
{
	bool once = flags->view || flags->list_all || flags->n_forms;

	if (flags->n_forms > 1)
		return "one of --json, --prometheus and --influx";
	if (flags->form > FORM_JSON && (flags->cleanup || flags->list_all))
		return "--cleanup and --list-all print text or --json";
	if (flags->cleanup)
		return NULL; /* independent of all others */
	if (flags->view && flags->list_all)
		return "one of --view and --list-all";
	if (flags->interactive && once)
		return "--interactive prints nothing: not with --view, --list-all or a form of output";
	if (plan->self_destruct && once)
		return "--self-destruct runs on: not with --view, --list-all or a form of output";
	return NULL;
}

#define MONITOR_COMMON                                                                                           \
	{ OPT_SESSION, 's', "session", "NAME", "the session (default: $SEALANE_SESSION, else default)" },        \
		{ OPT_SEGMENT, 0, "segment-name", "NAME", "the same" },                                          \
		{ OPT_DIR, 0, "runtime-dir", "DIR", "where the sessions are (default: as for all commands)" },   \
		{ OPT_TIMEOUT, 't', "timeout", "MS", "a heartbeat older than this is hanging (default: 5000)" }, \
	{                                                                                                        \
		OPT_SELF_DESTRUCT, 'x', "self-destruct", NULL,                                                   \
			"end when the session has no process any more, or none came within the timeout"          \
	}

int monitor_main(int argc, char **argv)
{
	static const struct option_spec specs[] = {
		MONITOR_COMMON,
		{ OPT_CLEANUP, 'c', "cleanup", NULL, "remove what dead processes left, list the living, and end" },
		{ OPT_INTERACTIVE, 'i', "interactive", NULL, "full screen, as sealane top" },
		{ OPT_VIEW, 'v', "view", NULL, "show the session once and end" },
		{ OPT_LIST_ALL, 'l', "list-all", NULL, "list all sessions and end" },
		{ OPT_JSON, 0, "json", NULL, "show it once, as one JSON object" },
		{ OPT_PROMETHEUS, 0, "prometheus", NULL, "show it once, in Prometheus' text format" },
		{ OPT_INFLUX, 0, "influx", NULL, "show it once, in InfluxDB's line protocol" },
		{ 0 },
	};
	static const struct option_page page = {
		.command = "monitor",
		.usage = "[OPTIONS]",
		.summary =
			"Watches a session from outside. Without options: until it is ended, says who comes, goes, dies, "
			"stops or hangs, and removes what a dead process left as soon as it is provably dead.",
		.specs = specs,
		.epilogue = "\nExit status: 0 done; 1 failed, or --cleanup found living processes; 2 wrong usage.\n",
	};
	struct monitor_plan plan = { .command = "monitor", .options.timeout_ns = TIMEOUT_MS * NS_PER_MS };
	struct monitor_flags flags = { 0 };
	struct options options;
	const char *wrong;
	int id;

	options_init(&options, &page, argc, argv);
	while ((id = options_next(&options)) > 0) {
		if (monitor_option(&options, id, &plan) < 0)
			return options.exit_code;
		monitor_flag(&flags, id);
	}
	if (id < 0)
		return options.exit_code;
	wrong = options.first < argc ? "no arguments besides options" : monitor_check(&plan, &flags);
	if (wrong) {
		options_wrong(&options, "%s", wrong);
		return options.exit_code;
	}
	if (flags.cleanup)
		return monitor_cleanup(&plan, flags.form);
	if (flags.list_all)
		return monitor_list(&plan, flags.form);
	if (flags.interactive)
		return top_run(&plan);
	return flags.view || flags.n_forms ? monitor_view(&plan, flags.form) : monitor_run(&plan);
}

int top_main(int argc, char **argv)
{
	static const struct option_spec specs[] = { MONITOR_COMMON, { 0 } };
	static const struct option_page page = {
		.command = "top",
		.usage = "[OPTIONS]",
		.summary =
			"Watches a session, full screen; h shows the keys. The same as sealane monitor --interactive.",
		.specs = specs,
	};
	struct monitor_plan plan = { .command = "top", .options.timeout_ns = TIMEOUT_MS * NS_PER_MS };
	struct options options;
	int id;

	options_init(&options, &page, argc, argv);
	while ((id = options_next(&options)) > 0)
		if (monitor_option(&options, id, &plan) < 0)
			return options.exit_code;
	if (id < 0)
		return options.exit_code;
	if (options.first < argc) {
		options_wrong(&options, "no arguments besides options");
		return options.exit_code;
	}
	return top_run(&plan);
}
