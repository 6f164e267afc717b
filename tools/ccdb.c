/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane ccdb WORD ...`: finds the word and calls it; and what the words share. */
#include "ccdb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "terminal.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} words[] = {
	{ "serve", ccdb_serve_main, "a CCDB server on a folder" },
#ifdef SEALANE_COMMAND_DEVICES
	{ "cache", ccdb_cache_main, "device: answer key tables with tables that name objects in shared memory" },
#endif
	{ "put", ccdb_put_main, "upload a file" },
	{ "get", ccdb_get_main, "fetch the object that is valid at a time" },
	{ "ls", ccdb_ls_main, "list the versions of objects" },
	{ "set", ccdb_set_main, "change metadata or the end of validity" },
	{ "rm", ccdb_rm_main, "remove the object that is valid at a time" },
	{ "truncate", ccdb_truncate_main, "remove all versions below a path" },
	{ "import", ccdb_import_main, "upload a folder of files" },
	{ "gc", ccdb_gc_main, "remove contents that no object of a folder names" },
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))

static void ccdb_help(FILE *stream)
{
	fprintf(stream,
	        "%sUsage:%s sealane ccdb WORD [OPTIONS]\n\nConditions data: a server, and what is needed to use any.\n\n",
	        terminal_colour(stream, TERMINAL_BOLD), terminal_colour(stream, TERMINAL_PLAIN));
	for (size_t i = 0; i < N_WORDS; i++)
		fprintf(stream, "  %-10s %s\n", words[i].name, words[i].summary);
	fputs("\nEach takes --help. More in the manual: man sealane-ccdb\n", stream);
}

int ccdb_main(int argc, char **argv)
{
	const char *names[N_WORDS];
	int nearest;

	if (argc < 2) {
		ccdb_help(stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		ccdb_help(stdout);
		return COMMAND_OK;
	}
	for (size_t i = 0; i < N_WORDS; i++) {
		if (strcmp(argv[1], words[i].name) == 0)
			return words[i].run(argc - 1, argv + 1);
		names[i] = words[i].name;
	}
	nearest = options_nearest(argv[1], names, N_WORDS);
	terminal_error("ccdb", "no word '%s'%s%s%s (all of them: sealane ccdb --help)", argv[1],
	               nearest >= 0 ? ", did you mean '" : "", nearest >= 0 ? names[nearest] : "",
	               nearest >= 0 ? "'?" : "");
	return COMMAND_USAGE;
}

/* Times. --------------------------------------------------------------------------------------- */

/* "", "Z", "+01:00", "-0130". @return 0; -EINVAL */
static int zone_parse(const char *text, int *ret_minutes)
{
	unsigned hours, minutes;
	int n = 0;

	*ret_minutes = 0;
	if (!*text || strcmp(text, "Z") == 0)
		return 0;
	if ((*text != '+' && *text != '-') ||
	    ((sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &n) != 2 || text[1 + n]) &&
	     (sscanf(text + 1, "%2u%2u%n", &hours, &minutes, &n) != 2 || text[1 + n])) ||
	    hours > 23 || minutes > 59)
		return -EINVAL;
	*ret_minutes = (int)(hours * 60 + minutes) * (*text == '-' ? -1 : 1);
	return 0;
}

/* The time of day after the T. @return what follows it; NULL it is none */
static const char *clock_parse(const char *text, struct tm *parts, int *ret_ms)
{
	int n = 0;

	if (sscanf(text, "%2d:%2d%n", &parts->tm_hour, &parts->tm_min, &n) != 2)
		return NULL;
	text += n;
	if (*text == ':') {
		if (sscanf(text, ":%2d%n", &parts->tm_sec, &n) != 1)
			return NULL;
		text += n;
	}
	if (*text == '.') {
		int digit = 100;

		for (text++; *text >= '0' && *text <= '9'; text++, digit /= 10)
			*ret_ms += (*text - '0') * digit;
	}
	return text;
}

int ccdb_time_parse(const char *text, int64_t *ret_ms)
{
	struct tm parts = { 0 };
	struct timespec now;
	uint64_t number;
	int n = 0, ms = 0, zone;
	time_t seconds;

	if (strcmp(text, "now") == 0) {
		clock_gettime(CLOCK_REALTIME, &now);
		*ret_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
		return 0;
	}
	if (options_parse_number(text, &number) == 0 && number <= (uint64_t)SEA_CCDB_TIME_MAX_MS) {
		*ret_ms = (int64_t)number;
		return 0;
	}
	if (sscanf(text, "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &n) != 3 || n != 10)
		return -EINVAL;
	text += n;
	if (*text == 'T' || *text == ' ') {
		text = clock_parse(text + 1, &parts, &ms);
		if (!text)
			return -EINVAL;
	}
	if (zone_parse(text, &zone) < 0 || parts.tm_mon < 1 || parts.tm_mon > 12 || parts.tm_mday < 1 ||
	    parts.tm_mday > 31 || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60 || parts.tm_year < 1970)
		return -EINVAL;
	parts.tm_year -= 1900;
	parts.tm_mon -= 1;
	seconds = timegm(&parts);
	*ret_ms = (int64_t)seconds * 1000 + ms - (int64_t)zone * 60000;
	return *ret_ms < 0 ? -EINVAL : 0;
}

char *ccdb_time_text(int64_t ms, char text[static CCDB_TIME_N_BYTES])
{
	const time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (ms < 0 || ms > SEA_CCDB_TIME_MAX_MS || !gmtime_r(&seconds, &parts))
		snprintf(text, CCDB_TIME_N_BYTES, "-");
	else if (ms % 86400000 == 0)
		strftime(text, CCDB_TIME_N_BYTES, "%Y-%m-%d", &parts);
	else if (strftime(text, CCDB_TIME_N_BYTES, "%Y-%m-%dT%H:%M:%S", &parts) > 0 && ms % 1000)
		snprintf(text + strlen(text), CCDB_TIME_N_BYTES - strlen(text), ".%03d", (int)(ms % 1000));
	return text;
}

/* Options. ------------------------------------------------------------------------------------- */

int ccdb_option_time(struct options *options, int64_t *ret_ms)
{
	if (ccdb_time_parse(options->value, ret_ms) == 0)
		return 0;
	return options_wrong(options, "--%s: '%s' is no time: milliseconds since 1970, now, or as 2026-11-21T08:30:00",
	                     options->current->name, options->value);
}

int ccdb_option_meta(struct options *options, struct ccdb_target *target)
{
	struct sea_ccdb_address *address = &target->address;
	char *copy, *equals;

	if (!strchr(options->value, '=') || options->value[0] == '=')
		return options_wrong(options, "--%s: '%s' is not KEY=VALUE", options->current->name, options->value);
	if (address->n_metadata == SEA_CCDB_METADATA_N_MAX)
		return options_wrong(options, "--%s: more than %d", options->current->name, SEA_CCDB_METADATA_N_MAX);
	copy = strdup(options->value);
	if (!copy)
		return options_wrong(options, "no memory");
	equals = strchr(copy, '=');
	*equals = 0;
	target->copies[address->n_metadata] = copy;
	target->metadata[address->n_metadata++] = (struct sea_ccdb_pair){ copy, equals + 1 };
	address->metadata = target->metadata;
	return 0;
}

void ccdb_target_fini(struct ccdb_target *target)
{
	for (size_t i = 0; i < target->address.n_metadata; i++)
		free(target->copies[i]);
}

int ccdb_arguments(struct options *options, int n_min, int n_max, const char *names)
{
	const int n = options->argc - options->first;

	if (n < n_min)
		return options_wrong(options, "an argument is missing: %s", names);
	if (n > n_max)
		return options_wrong(options, "%s is one argument too many: %s", options->argv[options->first + n_max],
		                     names);
	return 0;
}

struct sea_ccdb_remote *ccdb_remote(const char *command, const char *url)
{
	struct sea_ccdb_remote *remote = NULL;
	struct sea_error error = { 0 };

	if (sea_ccdb_remote_new(&remote, url, NULL, &error) < 0)
		ccdb_failed(command, &error);
	return remote;
}

int ccdb_failed(const char *command, const struct sea_error *error)
{
	char line[1000];

	terminal_error(command, "%s", sea_error_line(error, line, sizeof(line)));
	return COMMAND_FAILED;
}
