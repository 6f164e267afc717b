/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane COMMAND [OPTIONS]`: finds the command and calls it. Everything else a
 * command does, its --help included, is its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/version.h>

#include "command.h"
#include "options.h"
#include "terminal.h"

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "demo", "the whole thing on real data: pack, process, kill, restart, verify", demo_main },
	{ "send", "send files or folders as frames", send_main },
	{ "recv", "receive what was sent, verify it, store it", recv_main },
	{ "bench", "measure this machine, Sealane and its peers", bench_main },
	{ "doctor", "check this machine and clean up after dead processes", doctor_main },
	{ "monitor", "watch a session: processes, memory, queues, who holds what", monitor_main },
	{ "top", "the same, full screen", top_main },
	{ "keep", "keep memory across the restarts of devices", keep_main },
	{ "record", "write the traffic of a channel to a file", record_main },
	{ "replay", "send a recording again, with its timing", replay_main },
	{ "tap", "forward a channel, and show a share of it on another", tap_main },
#ifdef SEALANE_COMMAND_ARROW
	{ "cat", "print Arrow tables: of files, and of messages of a channel", cat_main },
#endif
#ifdef SEALANE_COMMAND_DEVICES
	{ "run", "start a whole topology of devices, watch it, stop it", run_main },
	{ "sampler", "device: send messages of one size", sampler_main },
	{ "sink", "device: receive messages and count them", sink_main },
	{ "proxy", "device: send on what comes in", proxy_main },
	{ "merger", "device: several inputs to one output", merger_main },
	{ "splitter", "device: one input to several outputs in turn", splitter_main },
	{ "multiplier", "device: one input to all outputs", multiplier_main },
	{ "control", "ask and drive running devices", control_main },
#endif
#ifdef SEALANE_COMMAND_CCDB
	{ "ccdb", "calibration objects: a server, and what is needed to use any", ccdb_main },
#endif
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct {
	uint64_t bit;
	const char *name;
} features[] = {
	{ SEA_FEATURE_MEMFD, "memfd" },         { SEA_FEATURE_ORPHANS, "orphans" },
	{ SEA_FEATURE_IMMUTABLE, "immutable" }, { SEA_FEATURE_META, "meta" },
	{ SEA_FEATURE_SHMEM, "shmem" },         { SEA_FEATURE_REGIONS, "regions" },
	{ SEA_FEATURE_PATTERNS, "patterns" },   { SEA_FEATURE_ZEROMQ, "zeromq" },
	{ SEA_FEATURE_POLLER, "poller" },
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

bool command_exists(const char *name)
{
	return command_find(name) != NULL;
}

static int command_unknown(const char *name)
{
	const char *names[N_COMMANDS + 1];
	int nearest;

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	names[N_COMMANDS] = "help";
	nearest = options_nearest(name, names, N_COMMANDS + 1);
	if (nearest >= 0)
		terminal_error(NULL, "no command '%s', did you mean '%s'? (all of them: sealane help)", name,
		               names[nearest]);
	else
		terminal_error(NULL, "no command '%s' (all of them: sealane help)", name);
	return COMMAND_USAGE;
}

static void print_help(FILE *stream)
{
	const char *bold = terminal_colour(stream, TERMINAL_BOLD);
	const char *plain = terminal_colour(stream, TERMINAL_PLAIN);

	fprintf(stream, "%sUsage:%s sealane COMMAND [OPTIONS]\n\n", bold, plain);
	fputs("Large frames from process to process on one node, without a copy.\n\n", stream);
	fprintf(stream, "%sCommands:%s\n", bold, plain);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(stream, "  %-10s %s\n", "help", "this text, or `sealane help COMMAND`");
	fprintf(stream, "\n%sOptions:%s\n", bold, plain);
	fputs("  -V, --version  versions of the command and the library, and what it can do\n"
	      "  -h, --help     this text\n\n"
	      "Every command takes --help and --json. Exit status: 0 done, 1 failed, 2 wrong usage.\n"
	      "New here? sealane doctor, then sealane demo. More in the manual: man sealane\n",
	      stream);
}

static void print_version(void)
{
	unsigned loaded = sea_version();
	uint64_t bits = sea_features();
	const char *separator = " ";

	printf("sealane %d.%d.%d, library %u.%u.%u\nfeatures:", SEA_VERSION_MAJOR, SEA_VERSION_MINOR, SEA_VERSION_PATCH,
	       loaded / 10000, loaded / 100 % 100, loaded % 100);
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (bits & features[i].bit) {
			printf("%s%s", separator, features[i].name);
			separator = ", ";
		}
	}
	putchar('\n');
}

/* A full disk behind standard output must not look like success. */
static int output_finish(int exit_code)
{
	int failed = ferror(stdout);

	if (fflush(stdout) != 0)
		failed = errno ? errno : EIO;
	if (!failed)
		return exit_code;
	/* A reader such as `head` that has seen enough is no news; the status still says so. */
	if (errno != EPIPE)
		terminal_error(NULL, "cannot write to standard output: %s", strerror(errno));
	return exit_code == COMMAND_OK ? COMMAND_FAILED : exit_code;
}

static int command_run(int argc, char **argv)
{
	const struct command *command;
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		print_help(stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "version") == 0) {
		print_version();
		return COMMAND_OK;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2)) {
		print_help(stdout);
		return COMMAND_OK;
	}
	if (strcmp(name, "help") == 0) {
		char option[] = "--help";
		char *line[] = { argv[2], option, NULL };

		command = command_find(argv[2]);
		return command ? command->run(2, line) : command_unknown(argv[2]);
	}
	if (name[0] == '-') {
		terminal_error(NULL, "unknown option %s before a command (see: sealane help)", name);
		return COMMAND_USAGE;
	}
	command = command_find(name);
	return command ? command->run(argc - 1, argv + 1) : command_unknown(name);
}

int main(int argc, char **argv)
{
	/* A reader that closed our pipe is an error to report, not a reason to die while peers wait for us. */
	signal(SIGPIPE, SIG_IGN);
	return output_finish(command_run(argc, argv));
}
