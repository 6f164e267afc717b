/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane keep`: holds memory for devices across their restarts, until it is told to end.
 *
 * The odd rule: it says "ready" only when all of the memory is there, so that who starts it can wait for that line.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <sealane/sealane.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "terminal.h"

#define KEEP_N_MAX 64u

enum { OPT_REGION = 1, OPT_HEAP, OPT_PAGES, OPT_MLOCK, OPT_SESSION, OPT_RUNTIME_DIR, OPT_JSON };

static const struct option_spec specs[] = {
	{ OPT_REGION, 0, "region", "NAME=SIZE", "keep memory for a region of that name; several are allowed" },
	{ OPT_HEAP, 0, "heap", "NAME=SIZE", "keep memory for a shared heap of that name; several are allowed" },
	{ OPT_PAGES, 0, "pages", "KIND", "default, thp, or hugetlb" },
	{ OPT_MLOCK, 0, "mlock", NULL, "lock it against swapping" },
	{ OPT_SESSION, 's', "session", "NAME", "the session (default: $SEALANE_SESSION, else default)" },
	{ OPT_RUNTIME_DIR, 0, "runtime-dir", "DIR", "where the processes meet" },
	{ OPT_JSON, 0, "json", NULL, "one JSON object when all is ready" },
	{ 0 },
};

static const struct option_page page = {
	.command = "keep",
	.usage = "--region NAME=SIZE | --heap NAME=SIZE ...",
	.summary =
		"Keeps memory for regions and shared heaps across the restarts of the devices that use them. A device takes it by "
		"its name (kept_name in its options); after its end the next one gets the same pages, warm and with what is in "
		"them, as soon as no reader of the former life has them mapped. Sealed memory cannot be kept. Runs until "
		"SIGINT or SIGTERM; devices that have the memory then go on with it.",
	.specs = specs,
	.epilogue = "Examples:\n"
		    "  sealane keep --region readout=8G --mlock\n"
		    "  sealane keep --heap pool=2G --heap other=512M --pages hugetlb\n\n"
		    "Exit status: 0 told to end, 1 the memory or the name is not to be had, 2 wrong usage.\n",
};

struct keep {
	char name[32];
	const char *kind;
	uint64_t n_bytes;
};

/* NAME=SIZE. */
static int keep_parse(struct options *options, const char *kind, struct keep *keep)
{
	const char *equals = strchr(options->value, '=');
	const char *whole = options->value;
	int r;

	if (!equals || equals == whole || (size_t)(equals - whole) >= sizeof(keep->name)) {
		terminal_error("keep", "--%s %s: it has to be NAME=SIZE, with a name of up to 31 bytes", kind, whole);
		options->exit_code = COMMAND_USAGE;
		return -1;
	}
	memcpy(keep->name, whole, (size_t)(equals - whole));
	keep->name[equals - whole] = 0;
	keep->kind = kind;
	options->value = equals + 1;
	r = options_size(options, 1, UINT64_C(1) << 46, &keep->n_bytes);
	options->value = whole;
	return r;
}

static int keep_parse_pages(struct options *options, enum sea_pages *ret_pages)
{
	static const char *const names[] = { "default", "thp", "hugetlb" };
	static const enum sea_pages pages[] = { SEA_PAGES_DEFAULT, SEA_PAGES_THP, SEA_PAGES_HUGETLB };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(options->value, names[i]) == 0) {
			*ret_pages = pages[i];
			return 0;
		}
	terminal_error("keep", "--pages %s: default, thp or hugetlb", options->value);
	options->exit_code = COMMAND_USAGE;
	return -1;
}

static int keep_all(struct sea_session *session, const struct keep *keeps, size_t n_keeps, enum sea_pages pages,
                    uint32_t flags)
{
	for (size_t i = 0; i < n_keeps; i++) {
		const struct sea_keep_options options = {
			.name = keeps[i].name, .n_bytes = keeps[i].n_bytes, .pages = pages, .flags = flags
		};
		const int r = sea_session_keep(session, &options);

		if (r < 0) {
			terminal_error("keep", "--%s %s: %s", keeps[i].kind, keeps[i].name,
			               r == -EINVAL ? "a name is 1 to 31 of A-Z a-z 0-9 . _ -" : sea_error_text(r));
			return COMMAND_FAILED;
		}
	}
	return COMMAND_OK;
}

static void keep_print(const struct keep *keeps, size_t n_keeps, bool json)
{
	json_t *list = json_array(), *object;

	for (size_t i = 0; i < n_keeps && !json; i++)
		printf("keeping %s %s: %llu MiB\n", keeps[i].kind, keeps[i].name,
		       (unsigned long long)(keeps[i].n_bytes >> 20));
	for (size_t i = 0; i < n_keeps; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "kind", keeps[i].kind, "name", keeps[i].name,
		                                      "n_bytes", (json_int_t)keeps[i].n_bytes));
	object = json_pack("{s:i, s:o}", "pid", (int)getpid(), "kept", list);
	if (json && object) {
		json_dumpf(object, stdout, JSON_COMPACT);
		printf("\n");
	} else {
		printf("ready\n");
	}
	json_decref(object);
	fflush(stdout);
}

int keep_main(int argc, char **argv)
{
	struct keep keeps[KEEP_N_MAX];
	struct sea_session_options session_options = { .process_name = "sealane keep" };
	enum sea_pages pages = SEA_PAGES_DEFAULT;
	struct sea_session *session;
	struct options options;
	uint32_t flags = 0;
	size_t n_keeps = 0;
	bool json = false;
	sigset_t ends;
	int id, r, number;

	options_init(&options, &page, argc, argv);
	while ((id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_REGION:
		case OPT_HEAP:
			if (n_keeps == KEEP_N_MAX) {
				terminal_error("keep", "no more than %u at once", KEEP_N_MAX);
				return COMMAND_USAGE;
			}
			if (keep_parse(&options, id == OPT_REGION ? "region" : "heap", &keeps[n_keeps]) < 0)
				return options.exit_code;
			n_keeps++;
			break;
		case OPT_PAGES:
			if (keep_parse_pages(&options, &pages) < 0)
				return options.exit_code;
			break;
		case OPT_MLOCK: flags |= SEA_HEAP_MLOCK; break;
		case OPT_SESSION: session_options.name = options.value; break;
		case OPT_RUNTIME_DIR: session_options.runtime_dir = options.value; break;
		case OPT_JSON: json = true; break;
		default: break;
		}
	}
	if (id < 0)
		return options.exit_code;
	if (options.first < argc || n_keeps == 0) {
		terminal_error("keep",
		               n_keeps ? "%s is no option"
		                       : "%snothing to keep: --region NAME=SIZE or --heap NAME=SIZE",
		               n_keeps ? argv[options.first] : "");
		return COMMAND_USAGE;
	}
	/* Blocked before there is a thread: they are waited for below. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	r = sea_session_open(&session, &session_options);
	if (r < 0) {
		terminal_error("keep", "session %s: %s", session_options.name ? session_options.name : "default",
		               sea_error_text(r));
		return COMMAND_FAILED;
	}
	r = keep_all(session, keeps, n_keeps, pages, flags);
	if (r == COMMAND_OK) {
		keep_print(keeps, n_keeps, json);
		sigwait(&ends, &number);
	}
	sea_session_close(session);
	return r;
}
