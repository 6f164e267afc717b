/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane run`: starts a whole topology on this machine and stops it. The odd rule: nothing is started before everything
 * has been looked at, the file, the command line, and each program.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "run.h"
#include "terminal.h"

enum {
	OPT_EXEC = 1,
	OPT_COUNT,
	OPT_RESTART,
	OPT_CPUS,
	OPT_SESSION,
	OPT_RUNTIME_DIR,
	OPT_STOP_TIMEOUT,
	OPT_TIMEOUT,
	OPT_UNTIL,
	OPT_KEEP_GOING,
	OPT_STRICT,
	OPT_DRY_RUN,
	OPT_DOT,
	OPT_JSON,
	OPT_QUIET,
};

static const struct option_spec specs[] = {
	{ OPT_EXEC, 'e', "exec", "ID=COMMAND",
	  "what to start for that device; words as in a shell; goes before the file" },
	{ OPT_COUNT, 'n', "count", "ID=N", "how many of it" },
	{ OPT_RESTART, 0, "restart", "ID=WHEN", "never, on-failure, always" },
	{ OPT_CPUS, 0, "cpus", "ID=LIST", "the processors it may run on, such as 0-3,6" },
	{ OPT_SESSION, 's', "session", "NAME", "the session of all devices (default: a fresh one)" },
	{ OPT_RUNTIME_DIR, 0, "runtime-dir", "DIR", "where the processes meet" },
	{ OPT_STOP_TIMEOUT, 0, "stop-timeout", "S",
	  "seconds from SIGINT to SIGKILL when devices are stopped (default: 5)" },
	{ OPT_TIMEOUT, 't', "timeout", "S", "stop after so many seconds" },
	{ OPT_UNTIL, 'u', "until", "ID", "stop all when that device, or all copies of it, have ended" },
	{ OPT_KEEP_GOING, 'k', "keep-going", NULL, "one that fails does not stop the others" },
	{ OPT_STRICT, 0, "strict", NULL, "what is not known in the file is an error" },
	{ OPT_DRY_RUN, 0, "dry-run", NULL, "print the command lines and end" },
	{ OPT_DOT, 0, "dot", NULL, "print the graph for graphviz and end" },
	{ OPT_JSON, 0, "json", NULL,
	  "one object per event on standard output; what devices say goes to standard error" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no line at the bottom of the terminal, nothing about what goes well" },
	{ 0 },
};

static const struct option_page page = {
	.command = "run",
	.usage = "TOPOLOGY.json [OPTIONS] [-- OPTIONS OF ALL DEVICES]",
	.summary =
		"Starts all devices of a FairMQ topology on this machine, prints what they say with their names in front, starts "
		"those again that are to be, and stops all of them in order: the first SIGINT or SIGTERM lets them end, sources "
		"first, the second kills. Per device the file may say exec, args, env, count, restart, restartMax, cpus.",
	.specs = specs,
	.epilogue =
		"Examples:\n"
		"  sealane run topology.json\n"
		"  sealane run ex-1-n-1.json -e sampler1=./sampler -e processor=./processor -n processor=4 -e sink1=./sink\n"
		"  sealane run topology.json --dot | dot -Tpng -o topology.png\n\n"
		"Exit status: 0 all devices ended with 0; 1 one did not; 2 the file or the command line is wrong, and nothing\n"
		"was started.\n",
};

struct run_call {
	struct run_options options;
	struct run_override *overrides;
	size_t n_overrides;
	bool is_strict, is_dry, is_dot;
};

/* Seconds with a fraction. @return 0 or -1 */
static int run_seconds(struct options *options, int64_t *ret_ns)
{
	char *end;
	double s = strtod(options->value, &end);

	if (end == options->value || *end || !(s >= 0 && s <= 1e9))
		return options_wrong(options, "--%s: '%s' is no number of seconds", options->current->name,
		                     options->value);
	*ret_ns = (int64_t)(s * 1e9);
	return 0;
}

/* ID=VALUE. */
static int run_add_override(struct options *options, struct run_call *call)
{
	const char *equals = strchr(options->value, '=');

	if (!equals || equals == options->value)
		return options_wrong(options, "--%s: '%s' has to be ID=...", options->current->name, options->value);
	call->overrides[call->n_overrides++] = (struct run_override){
		.what = options->current->name,
		.id = options->value,
		.n_id = (size_t)(equals - options->value),
		.value = equals + 1,
	};
	return 0;
}

static int run_option(struct options *options, int id, struct run_call *call)
{
	switch (id) {
	case OPT_EXEC:
	case OPT_COUNT:
	case OPT_RESTART:
	case OPT_CPUS: return run_add_override(options, call);
	case OPT_SESSION:
		call->options.session = options->value;
		return options_is_session(options->value)
		               ? 0
		               : options_wrong(options, "--session: '%s' is no name of a session", options->value);
	case OPT_RUNTIME_DIR: call->options.runtime_dir = options->value; break;
	case OPT_STOP_TIMEOUT: return run_seconds(options, &call->options.stop_timeout_ns);
	case OPT_TIMEOUT: return run_seconds(options, &call->options.timeout_ns);
	case OPT_UNTIL: call->options.until = options->value; break;
	case OPT_KEEP_GOING: call->options.keep_going = true; break;
	case OPT_STRICT: call->is_strict = true; break;
	case OPT_DRY_RUN: call->is_dry = true; break;
	case OPT_DOT: call->is_dot = true; break;
	case OPT_JSON: call->options.json = true; break;
	case OPT_QUIET: call->options.quiet = true; break;
	default: break;
	}
	return 0;
}

static bool run_has_entry(const struct run_topology *topology, const char *name)
{
	for (size_t i = 0; i < topology->n_entries; i++)
		if (run_entry_is(&topology->entries[i], name))
			return true;
	return false;
}

/* A session that nobody else has. */
static void run_choose_session(struct run *run)
{
	uint64_t number;

	if (run->options->session) {
		snprintf(run->session, sizeof(run->session), "%s", run->options->session);
		return;
	}
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		number = (uint64_t)run_now_ns() ^ (uint64_t)getpid() << 40;
	snprintf(run->session, sizeof(run->session), "run-%012llx", (unsigned long long)(number >> 16));
}

/*
 * A fresh session leaves its folder with a lock in it. It is ours, and nobody can join any more who does not guess its
 * name; who is still there, or comes now, keeps it, because a folder with something in it cannot be removed.
 */
static void run_remove_session(const struct run *run)
{
	struct sea_monitor_options options = { .runtime_dir = run->options->runtime_dir, .session = run->session };
	const char *base = run->options->runtime_dir ? run->options->runtime_dir : getenv("SEALANE_RUNTIME_DIR");
	const char *const formats[] = { "/run/sealane/%u/%s", "/tmp/sealane-%u/%s" };
	struct sea_monitor_snapshot *snapshot;
	struct sea_monitor_file *files;
	char path[PATH_MAX];
	size_t n_files;
	bool is_used;

	if (run->options->session || sea_monitor_clean(&options, &files, &n_files) < 0)
		return;
	free(files);
	if (sea_monitor_take(&snapshot, &options) < 0)
		return;
	is_used = snapshot->n_processes > 0;
	sea_monitor_free(snapshot);
	for (size_t i = 0; i < 2 && !is_used; i++) {
		size_t n;

		if (base && *base)
			snprintf(path, sizeof(path) - 8, "%s/%s", base, run->session);
		else
			snprintf(path, sizeof(path) - 8, formats[i], (unsigned)geteuid(), run->session);
		n = strlen(path);
		strcpy(path + n, "/.lock");
		if (unlink(path) == 0) {
			path[n] = 0;
			rmdir(path);
		}
	}
}

/* Descriptors for so many devices; the devices get the limit that we had. */
static void run_raise_limit(struct run *run)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &run->n_files);
	limit = run->n_files;
	limit.rlim_cur = limit.rlim_cur > run->n_devices + 64 ? limit.rlim_cur : run->n_devices + 64;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int run_all(struct run *run)
{
	int r, exit_code = COMMAND_FAILED;

	run_raise_limit(run);
	run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	run->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	run->signal_fd = -1;
	r = run->epoll_fd < 0 || run->null_fd < 0 ? -errno : 0;
	/* What a device starts and leaves comes to us, so that nothing stays. */
	if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		r = -errno;
	if (r == 0)
		r = run_guard_start(&run->guard, run->n_devices);
	if (r == 0) {
		r = run_loop(run);
		if (r >= 0)
			exit_code = r;
	}
	run_guard_end(&run->guard);
	run_child_reap_rest();
	run_output_fini(run);
	sea_monitor_free(run->snapshot);
	run_remove_session(run);
	if (r < 0)
		terminal_error("run", "cannot begin: %s", strerror(-r));
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? run->epoll_fd : i == 1 ? run->null_fd : run->signal_fd;

		if (fd >= 0)
			close(fd);
	}
	return exit_code;
}

static int run_topology(const struct run_call *call, const char *file)
{
	struct run_topology topology = { .overrides = call->overrides,
		                         .n_overrides = call->n_overrides,
		                         .is_strict = call->is_strict,
		                         .is_drawn = call->is_dot };
	struct run run = { .options = &call->options, .topology = &topology };
	int exit_code = COMMAND_OK;

	run_choose_session(&run);
	run_topology_load(&topology, file);
	if (!call->is_dot && topology.n_entries > 0)
		run_plan_make(&run, &topology);
	if (call->options.until && !run_has_entry(&topology, call->options.until)) {
		terminal_error("run", "--until: there is no device %s in %s", call->options.until, topology.file);
		topology.n_errors++;
	}
	if (topology.n_errors > 0) {
		terminal_error("run", "%u error%s, nothing was started", topology.n_errors,
		               topology.n_errors == 1 ? "" : "s");
		exit_code = COMMAND_USAGE;
	} else if (call->is_dot) {
		run_dot_print(&topology);
	} else if (call->is_dry) {
		run_plan_print(&run);
	} else {
		exit_code = run_all(&run);
	}
	run_plan_fini(&run);
	run_topology_fini(&topology);
	return exit_code;
}

int run_main(int argc, char **argv)
{
	struct run_call call = { .options.stop_timeout_ns = 5 * RUN_NS_PER_S };
	struct options options;
	int n_own = 1, id, fd;

	/* Descriptors of ours must not become a device's standard ones. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	/* What follows is the devices'. */
	while (n_own < argc && strcmp(argv[n_own], "--") != 0)
		n_own++;
	if (n_own < argc) {
		call.options.extra = argv + n_own + 1;
		call.options.n_extra = (size_t)(argc - n_own - 1);
	}
	TOOL_AUTO_FREE struct run_override *overrides = calloc((size_t)n_own, sizeof(*overrides));
	if (!overrides)
		return COMMAND_FAILED;
	call.overrides = overrides;
	options_init(&options, &page, n_own, argv);
	while ((id = options_next(&options)) > 0)
		if (run_option(&options, id, &call) < 0)
			return options.exit_code;
	if (id < 0)
		return options.exit_code;
	if (options.first != n_own - 1) {
		options_wrong(&options, options.first < n_own ? "one topology at a time" : "which topology?");
		return options.exit_code;
	}
	return run_topology(&call, argv[options.first]);
}
