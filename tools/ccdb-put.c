/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane ccdb put`, `get`, `set`, `rm`, `truncate`: one object, or all below a path, of any CCDB. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ccdb.h"
#include "cleanup.h"
#include "command.h"
#include "terminal.h"

enum {
	OPT_AT = 1,
	OPT_FROM,
	OPT_UNTIL,
	OPT_META,
	OPT_SET,
	OPT_UUID,
	OPT_NOT_AFTER,
	OPT_NOT_BEFORE,
	OPT_OUT,
	OPT_HEADERS,
	OPT_JSON
};

#define SPEC_AT                                                                         \
	{                                                                               \
		OPT_AT, 't', "at", "TIME", "the time at which it is valid; default now" \
	}
#define SPEC_META                                                                             \
	{                                                                                     \
		OPT_META, 'm', "meta", "KEY=VALUE", "only what has this; several are allowed" \
	}
#define SPEC_UUID                                                \
	{                                                        \
		OPT_UUID, 0, "uuid", "UUID", "only this version" \
	}
#define SPEC_NOT_AFTER                                                                         \
	{                                                                                      \
		OPT_NOT_AFTER, 0, "not-after", "TIME", "only what was created then or earlier" \
	}
#define SPEC_NOT_BEFORE                                                                        \
	{                                                                                      \
		OPT_NOT_BEFORE, 0, "not-before", "TIME", "only what was created then or later" \
	}
#define SPEC_JSON                                            \
	{                                                    \
		OPT_JSON, 0, "json", NULL, "one JSON object" \
	}
#define TIMES "Times are milliseconds since 1970, now, or ISO 8601 as 2026-11-21T08:30:00 (UTC).\n"

/* A command line of one of these words. */
struct line {
	struct options options;
	struct ccdb_target target;
	struct ccdb_target set;
	int64_t from_ms;
	int64_t until_ms;
	bool has_until;
	const char *out;
	bool headers;
	bool json;
};

static void line_fini(struct line *line)
{
	ccdb_target_fini(&line->target);
	ccdb_target_fini(&line->set);
}
#define AUTO_LINE __attribute__((cleanup(line_fini)))

static int line_option(struct line *line, int id)
{
	struct sea_ccdb_address *address = &line->target.address;
	struct options *options = &line->options;

	switch (id) {
	case OPT_AT: address->has_time = 1; return ccdb_option_time(options, &address->time_ms);
	case OPT_FROM: return ccdb_option_time(options, &line->from_ms);
	case OPT_UNTIL: line->has_until = true; return ccdb_option_time(options, &line->until_ms);
	case OPT_META: return ccdb_option_meta(options, &line->target);
	case OPT_SET: return ccdb_option_meta(options, &line->set);
	case OPT_UUID: address->uuid = options->value; return 0;
	case OPT_NOT_AFTER: return ccdb_option_time(options, &address->not_after_ms);
	case OPT_NOT_BEFORE: return ccdb_option_time(options, &address->not_before_ms);
	case OPT_OUT: line->out = options->value; return 0;
	case OPT_HEADERS: line->headers = true; return 0;
	default: line->json = true; return 0;
	}
}

/* Reads a line whose first arguments are URL and PATH. @return 0; -1 to return options.exit_code */
static int line_read(struct line *line, const struct option_page *page, int argc, char **argv, int n_arguments,
                     const char *names)
{
	int id;

	options_init(&line->options, page, argc, argv);
	while ((id = options_next(&line->options)) > 0)
		if (line_option(line, id) < 0)
			return -1;
	if (id < 0 || ccdb_arguments(&line->options, n_arguments, n_arguments, names) < 0)
		return -1;
	line->target.address.path = argv[line->options.first + 1];
	return 0;
}

/* Now, where no time was given. */
static void line_default_time(struct line *line)
{
	struct sea_ccdb_address *address = &line->target.address;

	if (!address->has_time)
		(void)ccdb_time_parse("now", &address->time_ms);
	address->has_time = 1;
}

static void print_headers(const struct sea_ccdb_answer *answer, FILE *stream)
{
	for (size_t i = 0; i < answer->n_headers; i++)
		fprintf(stream, "%s: %s\n", answer->headers[i].key, answer->headers[i].value);
}

static void print_json(json_t *object)
{
	if (object)
		json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* put. ----------------------------------------------------------------------------------------- */

static const struct option_spec put_specs[] = {
	{ OPT_FROM, 0, "from", "TIME", "valid from then; default now" },
	{ OPT_UNTIL, 0, "until", "TIME", "valid until then, exclusive; default for ever (2286)" },
	{ OPT_META, 'm', "meta", "KEY=VALUE", "metadata; several are allowed" },
	{ OPT_UUID, 0, "uuid", "UUID", "with this uuid, else a new one" },
	SPEC_JSON,
	{ 0 },
};

static const struct option_page put_page = {
	.command = "ccdb put",
	.usage = "URL PATH FILE [OPTIONS]",
	.summary = "Uploads a file as an object, and prints its uuid.",
	.specs = put_specs,
	.epilogue = TIMES
	"\nExample:\n  sealane ccdb put localhost:8080 TPC/Calib/Gain gain.root --from 2026-11-21 --meta runNumber=544123\n",
};

int ccdb_put_main(int argc, char **argv)
{
	AUTO_LINE struct line line = { .from_ms = -1, .until_ms = CCDB_FOR_EVER_MS };
	CCDB_AUTO_REMOTE struct sea_ccdb_remote *remote = NULL;
	CCDB_AUTO_ANSWER struct sea_ccdb_answer *answer = NULL;
	struct sea_ccdb_address *address = &line.target.address;
	struct sea_error error = { 0 };
	TOOL_AUTO_FD int fd = -1;
	const char *file, *name, *etag;

	if (line_read(&line, &put_page, argc, argv, 3, "URL PATH FILE") < 0)
		return line.options.exit_code;
	file = argv[line.options.first + 2];
	name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	if (line.from_ms < 0)
		(void)ccdb_time_parse("now", &line.from_ms);
	address->has_time = 1;
	address->time_ms = line.from_ms;
	address->until_ms = line.until_ms;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		terminal_error("ccdb put", "%s: %s", file, strerror(errno));
		return COMMAND_FAILED;
	}
	remote = ccdb_remote("ccdb put", argv[line.options.first]);
	if (!remote)
		return COMMAND_FAILED;
	if (sea_ccdb_remote_put(remote, address, fd, name, &answer, &error) < 0)
		return ccdb_failed("ccdb put", &error);
	etag = sea_ccdb_answer_header(answer, "ETag");
	etag = etag ? etag + (etag[0] == '"') : "";
	if (line.json)
		print_json(json_pack("{s:s, s:s#, s:I, s:I}", "path", address->path, "uuid", etag,
		                     (int)strcspn(etag, "\""), "from", (json_int_t)address->time_ms, "until",
		                     (json_int_t)address->until_ms));
	else
		printf("%.*s\n", (int)strcspn(etag, "\""), etag);
	return COMMAND_OK;
}

/* get. ----------------------------------------------------------------------------------------- */

static const struct option_spec get_specs[] = {
	SPEC_AT,
	{ OPT_OUT, 'o', "out", "FILE", "where the content goes; default standard output" },
	{ OPT_HEADERS, 0, "headers", NULL, "print the headers: with --out on standard output, else on standard error" },
	SPEC_META,
	SPEC_UUID,
	SPEC_NOT_AFTER,
	SPEC_NOT_BEFORE,
	{ 0 },
};

static const struct option_page get_page = {
	.command = "ccdb get",
	.usage = "URL PATH [OPTIONS]",
	.summary =
		"Fetches the object of a path that is valid at a time. The file appears when it is complete and its MD5 is right.",
	.specs = get_specs,
	.epilogue = TIMES
	"\nExample:\n  sealane ccdb get localhost:8080 TPC/Calib/Gain --at 1700000000000 --out gain.root --headers\n",
};

static int get_take(const void *data, size_t n_bytes, void *userdata)
{
	return fwrite(data, 1, n_bytes, userdata) == n_bytes ? 0 : errno ? -errno : -EIO;
}

int ccdb_get_main(int argc, char **argv)
{
	AUTO_LINE struct line line = { 0 };
	CCDB_AUTO_REMOTE struct sea_ccdb_remote *remote = NULL;
	CCDB_AUTO_ANSWER struct sea_ccdb_answer *answer = NULL;
	TOOL_AUTO_FREE char *part = NULL;
	struct sea_error error = { 0 };
	FILE *stream = stdout;
	int r;

	if (line_read(&line, &get_page, argc, argv, 2, "URL PATH") < 0)
		return line.options.exit_code;
	line_default_time(&line);
	remote = ccdb_remote("ccdb get", argv[line.options.first]);
	if (!remote)
		return COMMAND_FAILED;
	if (line.out) {
		if (asprintf(&part, "%s.%d.part", line.out, (int)getpid()) < 0)
			part = NULL;
		stream = part ? fopen(part, "w") : NULL;
		if (!stream) {
			terminal_error("ccdb get", "%s: %s", line.out, strerror(errno));
			return COMMAND_FAILED;
		}
	}
	r = sea_ccdb_remote_get(remote, &line.target.address, 0, get_take, stream, &answer, &error);
	if (line.out && fclose(stream) != 0 && r == 0)
		r = sea_error_set(&error, -errno, line.out, "%s", strerror(errno));
	if (line.out && r == 0 && rename(part, line.out) < 0)
		r = sea_error_set(&error, -errno, line.out, "%s", strerror(errno));
	if (r < 0) {
		if (part)
			unlink(part);
		return ccdb_failed("ccdb get", &error);
	}
	if (line.headers)
		print_headers(answer, line.out ? stdout : stderr);
	return COMMAND_OK;
}

/* set. ----------------------------------------------------------------------------------------- */

static const struct option_spec set_specs[] = {
	SPEC_AT,
	{ OPT_UNTIL, 0, "until", "TIME", "its new end of validity" },
	{ OPT_SET, 's', "set", "KEY=VALUE", "metadata to set; an empty value removes the key" },
	SPEC_META,
	SPEC_UUID,
	{ 0 },
};

static const struct option_page set_page = {
	.command = "ccdb set",
	.usage = "URL PATH [OPTIONS]",
	.summary = "Changes the end of validity or the metadata of the object that is valid at a time.",
	.specs = set_specs,
	.epilogue = TIMES
	"\nExample:\n  sealane ccdb set localhost:8080 TPC/Calib/Gain --at now --until 2026-12-01 --set comment=bad\n",
};

int ccdb_set_main(int argc, char **argv)
{
	AUTO_LINE struct line line = { 0 };
	CCDB_AUTO_REMOTE struct sea_ccdb_remote *remote = NULL;
	struct sea_error error = { 0 };
	int r;

	if (line_read(&line, &set_page, argc, argv, 2, "URL PATH") < 0)
		return line.options.exit_code;
	if (!line.has_until && line.set.address.n_metadata == 0) {
		options_wrong(&line.options, "nothing to change: --until or --set");
		return line.options.exit_code;
	}
	line_default_time(&line);
	line.target.address.until_ms = line.until_ms;
	remote = ccdb_remote("ccdb set", argv[line.options.first]);
	if (!remote)
		return COMMAND_FAILED;
	r = sea_ccdb_remote_update(remote, &line.target.address, line.set.address.metadata, line.set.address.n_metadata,
	                           &error);
	if (r < 0)
		return ccdb_failed("ccdb set", &error);
	puts(r ? "changed" : "it was so already");
	return COMMAND_OK;
}

/* rm, truncate. -------------------------------------------------------------------------------- */

static const struct option_spec rm_specs[] = {
	SPEC_AT, SPEC_META, SPEC_UUID, SPEC_NOT_AFTER, SPEC_NOT_BEFORE, { 0 },
};

static const struct option_page rm_page = {
	.command = "ccdb rm",
	.usage = "URL PATH [OPTIONS]",
	.summary = "Removes the object that is valid at a time: one version. What it hid is valid again.",
	.specs = rm_specs,
	.epilogue = TIMES,
};

int ccdb_rm_main(int argc, char **argv)
{
	AUTO_LINE struct line line = { 0 };
	CCDB_AUTO_REMOTE struct sea_ccdb_remote *remote = NULL;
	struct sea_error error = { 0 };

	if (line_read(&line, &rm_page, argc, argv, 2, "URL PATH") < 0)
		return line.options.exit_code;
	line_default_time(&line);
	remote = ccdb_remote("ccdb rm", argv[line.options.first]);
	if (!remote)
		return COMMAND_FAILED;
	return sea_ccdb_remote_remove(remote, &line.target.address, &error) < 0 ? ccdb_failed("ccdb rm", &error)
	                                                                        : COMMAND_OK;
}

static const struct option_spec truncate_specs[] = {
	SPEC_META, SPEC_NOT_AFTER, SPEC_NOT_BEFORE, SPEC_JSON, { 0 },
};

static const struct option_page truncate_page = {
	.command = "ccdb truncate",
	.usage = "URL PATTERN [OPTIONS]",
	.summary =
		"Removes all versions of all objects that fit a pattern, in which * stands for any characters, slashes included.",
	.specs = truncate_specs,
	.epilogue = TIMES "\nExample:\n  sealane ccdb truncate localhost:8080 'Users/me/*'\n",
};

int ccdb_truncate_main(int argc, char **argv)
{
	AUTO_LINE struct line line = { 0 };
	CCDB_AUTO_REMOTE struct sea_ccdb_remote *remote = NULL;
	struct sea_error error = { 0 };
	int64_t n;

	if (line_read(&line, &truncate_page, argc, argv, 2, "URL PATTERN") < 0)
		return line.options.exit_code;
	remote = ccdb_remote("ccdb truncate", argv[line.options.first]);
	if (!remote)
		return COMMAND_FAILED;
	n = sea_ccdb_remote_truncate(remote, &line.target.address, &error);
	if (n < 0)
		return ccdb_failed("ccdb truncate", &error);
	printf(line.json ? "{\"removed\":%" PRId64 "}\n" : "%" PRId64 " removed\n", n);
	return COMMAND_OK;
}
