/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines. A command describes its options once; --help, the parsing by
 * getopt_long() and the messages about what is wrong come from that description. Options and
 * other arguments may be mixed; `--` ends the options.
 *
 *	enum { OPT_TO = 1, OPT_JSON };
 *	static const struct option_spec specs[] = {
 *		{OPT_TO, 't', "to", "ADDRESS", "where to send (default: files)"},
 *		{OPT_JSON, 0, "json", NULL, "results as one JSON object"},
 *		{0},
 *	};
 *	static const struct option_page page = {
 *		.command = "send", .usage = "PATH... [OPTIONS]", .summary = "Sends files.", .specs = specs,
 *	};
 *	struct options options;
 *	int id;
 *
 *	options_init(&options, &page, argc, argv);
 *	while ((id = options_next(&options)) > 0) {
 *		if (id == OPT_TO)
 *			to = options.value;
 *	}
 *	if (id < 0)
 *		return options.exit_code;
 *	for (i = options.first; i < argc; i++) argv[i] is a PATH
 */
#ifndef SEALANE_TOOLS_OPTIONS_H
#define SEALANE_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/shm-options.h>

/* Most options of one command. */
#define OPTIONS_N_MAX 40

struct option_spec {
	int id;            /* above 0; 0 ends the list */
	char letter;       /* 0: no short form */
	const char *name;  /* without the dashes */
	const char *value; /* what to call its value in the help; NULL: takes none */
	const char *help;  /* a phrase */
};

/* What `sealane NAME --help` says. */
struct option_page {
	const char *command;
	const char *usage;   /* what follows `sealane NAME` */
	const char *summary; /* one paragraph */
	const struct option_spec *specs;
	const char *epilogue; /* printed as it is, ends with a newline; NULL: nothing. For examples and exit codes */
};

struct options {
	const struct option_page *page;
	int argc;
	char **argv;
	const struct option_spec *current; /* the option that options_next() returned last */
	const char *value;                 /* its value; points into argv */
	int first;                         /* after the end: index of the first argument that is no option */
	struct sea_shm_options *shm; /* set after options_init(): takes FairMQ's options for shared memory as well */
	int exit_code;               /* after -1: what the command is to return */
};

void options_init(struct options *options, const struct option_page *page, int argc, char **argv);

/*
 * @return the id of the next option; 0 at the end; -1 when the command is to return
 *         options->exit_code: --help was given and printed, or the line is wrong and that was said.
 */
int options_next(struct options *options);

/*
 * Read the value of the option that options_next() returned last. On failure they have said what
 * is wrong and set exit_code; the caller returns that. @return 0 or -1
 */
int options_size(struct options *options, uint64_t n_min, uint64_t n_max, uint64_t *ret_n_bytes);
int options_number(struct options *options, uint64_t n_min, uint64_t n_max, uint64_t *ret_number);

/* Says what is wrong in one line and where to read on. @return -1, with exit_code set */
int options_wrong(struct options *options, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A number with an optional K, M, G, T, KiB, MiB, GiB, TiB. @return 0; -EINVAL; -ERANGE */
int options_parse_size(const char *text, uint64_t *ret_n_bytes);

/* A whole decimal number. @return 0; -EINVAL; -ERANGE */
int options_parse_number(const char *text, uint64_t *ret_number);

/* 1 to 64 of [A-Za-z0-9._-], not starting with a dot: as the library asks of a session's name. */
bool options_is_session(const char *name);

/* The index of the name that `wrong` was probably meant to be, or -1 if none is near. */
int options_nearest(const char *wrong, const char *const *names, size_t n_names);

#endif
