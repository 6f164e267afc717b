/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines. The one odd thing: getopt_long() is kept silent, because its own
 * messages name the program wrongly and cannot suggest what was meant.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "terminal.h"

/* Beyond every letter, below every number that getopt_long() gives back for long options. */
#define ID_BASE 1000
#define ID_HELP 999
/* FairMQ's options follow those of the command. */
#define ID_SHM (ID_BASE + OPTIONS_N_MAX)
#define SHM_N_MAX 32

static size_t specs_count(const struct option_spec *specs)
{
	size_t n = 0;

	while (n < OPTIONS_N_MAX && specs[n].id != 0)
		n++;
	return n;
}

void options_init(struct options *options, const struct option_page *page, int argc, char **argv)
{
	*options = (struct options){ .page = page, .argc = argc, .argv = argv, .first = argc };
	/* 0 and not 1: glibc then forgets all it knows of an earlier line. */
	optind = 0;
	opterr = 0;
}

static void options_help(const struct options *options)
{
	const struct option_page *page = options->page;
	const char *bold = terminal_colour(stdout, TERMINAL_BOLD);
	const char *plain = terminal_colour(stdout, TERMINAL_PLAIN);
	const struct option_spec *spec;

	printf("%sUsage:%s sealane %s %s\n\n", bold, plain, page->command, page->usage);
	terminal_wrap(stdout, 0, page->summary);
	printf("\n%sOptions:%s\n", bold, plain);
	for (spec = page->specs; spec->id != 0; spec++) {
		char left[64];
		char letter[8] = "    ";

		if (spec->letter)
			snprintf(letter, sizeof(letter), "-%c, ", spec->letter);
		snprintf(left, sizeof(left), "  %s--%s%s%s", letter, spec->name, spec->value ? " " : "",
		         spec->value ? spec->value : "");
		printf("%-30s ", left);
		if (strlen(left) > 30)
			printf("\n%31s", "");
		terminal_wrap(stdout, 31, spec->help);
	}
	printf("%-30s this text\n", "  -h, --help");
	if (options->shm)
		printf("\nFairMQ's options for shared memory are taken as well, from --shm-segment-size to --session-quota.\n");
	if (page->epilogue)
		printf("\n%s", page->epilogue);
	/* `ccdb serve` stands in the page of `ccdb`. */
	printf("\nMore in the manual: man sealane-%.*s\n", (int)strcspn(page->command, " "), page->command);
}

int options_wrong(struct options *options, const char *format, ...)
{
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	terminal_error(options->page->command, "%s (see: sealane %s --help)", text, options->page->command);
	options->exit_code = COMMAND_USAGE;
	return -1;
}

/* getopt_long() leaves a misspelt long option at argv[optind - 1]; a wrong letter is in optopt. */
static int options_unknown(struct options *options)
{
	const struct option_spec *specs = options->page->specs;
	size_t n = specs_count(specs);
	const char *names[OPTIONS_N_MAX + 1];
	const char *given = optind > 0 ? options->argv[optind - 1] : "";
	char name[64];
	int nearest;

	if (optopt > 0 && optopt < ID_HELP)
		return options_wrong(options, "unknown option -%c", optopt);
	for (size_t i = 0; i < n; i++)
		names[i] = specs[i].name;
	names[n] = "help";
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(given, "="), given);
	nearest = options_nearest(name + strspn(name, "-"), names, n + 1);
	if (optopt >= ID_HELP)
		return options_wrong(options, "option %s takes no value", name);
	if (nearest >= 0)
		return options_wrong(options, "unknown option %s, did you mean --%s?", name, names[nearest]);
	return options_wrong(options, "unknown option %s", name);
}

/* One of FairMQ's options. 0, or -1 when it is wrong. */
static int options_take_shm(struct options *options, const char *name)
{
	char text[256];
	int r = sea_shm_option_set(options->shm, name, options->value, text, sizeof(text));

	if (r < 0)
		return options_wrong(options, "--%s: %s", name, text);
	if (text[0])
		fprintf(stderr, "sealane %s: --%s: %s\n", options->page->command, name, text);
	return 0;
}

/* Adds FairMQ's options, but those that the command has itself. Returns how many there are now. */
static size_t options_add_shm(const struct option_spec *specs, size_t n_specs, struct option *longs, size_t n)
{
	const char *name;

	for (size_t i = 0; i < SHM_N_MAX && (name = sea_shm_option_name(i)); i++) {
		bool has_own = false;

		for (size_t k = 0; k < n_specs; k++)
			has_own |= strcmp(specs[k].name, name) == 0;
		if (!has_own)
			longs[n++] = (struct option){ name, required_argument, NULL, ID_SHM + (int)i };
	}
	return n;
}

int options_next(struct options *options)
{
	const struct option_spec *specs = options->page->specs;
	size_t n = specs_count(specs);
	struct option longs[OPTIONS_N_MAX + SHM_N_MAX + 2] = { 0 };
	char letters[2 * OPTIONS_N_MAX + 8] = ":h"; /* a leading colon tells a missing value from an unknown option */
	size_t n_letters = strlen(letters);
	int found;

	for (size_t i = 0; i < n; i++) {
		longs[i] = (struct option){ specs[i].name, specs[i].value ? required_argument : no_argument, NULL,
			                    ID_BASE + (int)i };
		if (specs[i].letter) {
			letters[n_letters++] = specs[i].letter;
			if (specs[i].value)
				letters[n_letters++] = ':';
		}
	}
	letters[n_letters] = '\0';
	longs[options->shm ? options_add_shm(specs, n, longs, n) : n] = (struct option){ "help", no_argument, NULL,
		                                                                         ID_HELP };

	found = getopt_long(options->argc, options->argv, letters, longs, NULL);
	options->value = optarg;
	switch (found) {
	case -1: options->first = optind; return 0;
	case 'h':
	case ID_HELP:
		options_help(options);
		options->exit_code = COMMAND_OK;
		return -1;
	case '?': return options_unknown(options);
	case ':': return options_wrong(options, "option %s needs a value", options->argv[optind - 1]);
	default: break;
	}
	if (found >= ID_SHM)
		return options_take_shm(options, sea_shm_option_name((size_t)(found - ID_SHM))) < 0
		               ? -1
		               : options_next(options);
	for (size_t i = 0; i < n; i++) {
		if (found == ID_BASE + (int)i || (specs[i].letter && found == specs[i].letter)) {
			options->current = &specs[i];
			return specs[i].id;
		}
	}
	return options_unknown(options);
}

int options_parse_number(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
			return -ERANGE;
	}
	*ret_number = number;
	return 0;
}

int options_parse_size(const char *text, uint64_t *ret_n_bytes)
{
	static const char units[] = "KMGT";
	size_t n_digits = strspn(text, "0123456789");
	const char *suffix = text + n_digits;
	const char *unit;
	char digits[24];
	uint64_t n_bytes;
	int r;

	if (n_digits == 0)
		return -EINVAL;
	if (n_digits >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, text, n_digits);
	digits[n_digits] = '\0';
	r = options_parse_number(digits, &n_bytes);
	if (r < 0)
		return r;
	suffix += strspn(suffix, " ");
	if (*suffix && strcmp(suffix, "B") != 0) {
		unit = strchr(units, *suffix >= 'a' ? *suffix - 'a' + 'A' : *suffix);
		if (!unit || (suffix[1] && strcmp(suffix + 1, "iB") != 0 && strcmp(suffix + 1, "i") != 0))
			return -EINVAL;
		for (; unit >= units; unit--)
			if (__builtin_mul_overflow(n_bytes, 1024, &n_bytes))
				return -ERANGE;
	}
	*ret_n_bytes = n_bytes;
	return 0;
}

int options_size(struct options *options, uint64_t n_min, uint64_t n_max, uint64_t *ret_n_bytes)
{
	char low[TERMINAL_TEXT_N_BYTES], high[TERMINAL_TEXT_N_BYTES];
	uint64_t n_bytes = 0;
	int r = options_parse_size(options->value, &n_bytes);

	if (r == -EINVAL)
		return options_wrong(options, "--%s: '%s' is not a size such as 4096, 64K or 2GiB",
		                     options->current->name, options->value);
	if (r < 0 || n_bytes < n_min || n_bytes > n_max)
		return options_wrong(options, "--%s: %s is not within %s to %s", options->current->name, options->value,
		                     terminal_size(low, n_min), terminal_size(high, n_max));
	*ret_n_bytes = n_bytes;
	return 0;
}

int options_number(struct options *options, uint64_t n_min, uint64_t n_max, uint64_t *ret_number)
{
	uint64_t number = 0;
	int r = options_parse_number(options->value, &number);

	if (r == -EINVAL)
		return options_wrong(options, "--%s: '%s' is not a whole number", options->current->name,
		                     options->value);
	if (r < 0 || number < n_min || number > n_max)
		return options_wrong(options, "--%s: %s is not within %llu to %llu", options->current->name,
		                     options->value, (unsigned long long)n_min, (unsigned long long)n_max);
	*ret_number = number;
	return 0;
}

bool options_is_session(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return n >= 1 && n <= 64 && name[n] == '\0' && name[0] != '.';
}

/* Edits (insert, delete, replace a letter) from one short word to another. */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[65];
	size_t n = strlen(b);

	if (n > 64)
		return 64;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 1; j <= n; j++) {
			unsigned replaced = diagonal + (a[i] != b[j - 1]);
			unsigned other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = replaced < other ? replaced : other;
		}
	}
	return row[n];
}

int options_nearest(const char *wrong, const char *const *names, size_t n_names)
{
	unsigned best_distance = 3;
	int best = -1;
	size_t n = strlen(wrong);

	if (n == 0 || n > 64)
		return -1;
	for (size_t i = 0; i < n_names; i++) {
		/* What somebody has begun to type is meant rather than what is spelt alike. */
		unsigned distance = strncmp(names[i], wrong, n) == 0 ? 1 : edit_distance(wrong, names[i]);

		if (distance < best_distance && distance < n) {
			best_distance = distance;
			best = (int)i;
		}
	}
	return best;
}
