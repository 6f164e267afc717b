/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane ccdb ls`: the versions of objects as a table. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb.h"
#include "cleanup.h"
#include "command.h"
#include "terminal.h"

enum { OPT_LATEST = 1, OPT_LIMIT, OPT_AT, OPT_META, OPT_NOT_AFTER, OPT_NOT_BEFORE, OPT_JSON };

static const struct option_spec specs[] = {
	{ OPT_LATEST, 'l', "latest", NULL, "of each path only the newest version" },
	{ OPT_LIMIT, 'n', "limit", "N", "at most so many" },
	{ OPT_AT, 't', "at", "TIME", "only what is valid then" },
	{ OPT_META, 'm', "meta", "KEY=VALUE", "only what has this; several are allowed" },
	{ OPT_NOT_AFTER, 0, "not-after", "TIME", "only what was created then or earlier" },
	{ OPT_NOT_BEFORE, 0, "not-before", "TIME", "only what was created then or later" },
	{ OPT_JSON, 0, "json", NULL, "one JSON object per version, as the server gives it" },
	{ 0 },
};

static const struct option_page page = {
	.command = "ccdb ls",
	.usage = "URL [PATTERN] [OPTIONS]",
	.summary =
		"Lists the versions of objects, newest first, and the folders below. In PATTERN * stands for any characters, slashes "
		"included; without PATTERN the folders at the top are listed.",
	.specs = specs,
	.epilogue = "Examples:\n  sealane ccdb ls localhost:8080\n  sealane ccdb ls localhost:8080 'TPC/*' --latest\n",
};

#define N_COLUMNS 6

struct row {
	char cells[N_COLUMNS][TERMINAL_TEXT_N_BYTES + 16];
	const char *path;
};

static int64_t object_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	/* Some servers write numbers as strings. */
	return json_is_integer(value)  ? json_integer_value(value)
	       : json_is_string(value) ? strtoll(json_string_value(value), NULL, 10)
	                               : 0;
}

static const char *object_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Keys of an object that are not metadata. */
static bool key_is_own(const char *key)
{
	static const char *const own[] = {
		"path",
		"createTime",
		"Created",
		"lastModified",
		"Last-Modified",
		"id",
		"validFrom",
		"Valid-From",
		"validUntil",
		"Valid-Until",
		"initialValidity",
		"InitialValidityLimit",
		"MD5",
		"Content-MD5",
		"fileName",
		"contentType",
		"Content-Type",
		"size",
		"Content-Length",
		"ETag",
		"Content-Disposition",
		"UploadedFrom",
		"replicas",
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(key, own[i]) == 0)
			return true;
	return false;
}

static void row_fill(const json_t *object, struct row *row)
{
	char time[CCDB_TIME_N_BYTES], size[TERMINAL_TEXT_N_BYTES];

	row->path = object_text(object, "path");
	snprintf(row->cells[0], sizeof(row->cells[0]), "%s", ccdb_time_text(object_number(object, "Created"), time));
	snprintf(row->cells[1], sizeof(row->cells[1]), "%s", ccdb_time_text(object_number(object, "Valid-From"), time));
	snprintf(row->cells[2], sizeof(row->cells[2]), "%s",
	         ccdb_time_text(object_number(object, "Valid-Until"), time));
	snprintf(row->cells[3], sizeof(row->cells[3]), "%s",
	         terminal_size(size, (uint64_t)object_number(object, "Content-Length")));
	snprintf(row->cells[4], sizeof(row->cells[4]), "%.40s", object_text(object, "id"));
}

static void print_metadata(const json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) if (!key_is_own(key) && json_is_string(value))
		printf(" %s=%s", key, json_string_value(value));
	putchar('\n');
}

static int print_table(const json_t *objects)
{
	static const char *const heads[] = { "CREATED", "VALID FROM", "VALID UNTIL", "SIZE", "UUID" };
	const size_t n = json_array_size(objects);
	TOOL_AUTO_FREE struct row *rows = calloc(n ? n : 1, sizeof(*rows));
	int widths[N_COLUMNS], n_path = 4;

	if (!rows)
		return COMMAND_FAILED;
	for (size_t k = 0; k < 5; k++)
		widths[k] = (int)strlen(heads[k]);
	for (size_t i = 0; i < n; i++) {
		row_fill(json_array_get(objects, i), &rows[i]);
		n_path = (int)strlen(rows[i].path) > n_path ? (int)strlen(rows[i].path) : n_path;
		for (size_t k = 0; k < 5; k++)
			widths[k] = (int)strlen(rows[i].cells[k]) > widths[k] ? (int)strlen(rows[i].cells[k])
			                                                      : widths[k];
	}
	if (n > 0)
		printf("%-*s  %-*s  %-*s  %-*s  %*s  %-*s  METADATA\n", n_path, "PATH", widths[0], heads[0], widths[1],
		       heads[1], widths[2], heads[2], widths[3], heads[3], widths[4], heads[4]);
	for (size_t i = 0; i < n; i++) {
		printf("%-*s  %-*s  %-*s  %-*s  %*s  %-*s ", n_path, rows[i].path, widths[0], rows[i].cells[0],
		       widths[1], rows[i].cells[1], widths[2], rows[i].cells[2], widths[3], rows[i].cells[3], widths[4],
		       rows[i].cells[4]);
		print_metadata(json_array_get(objects, i));
	}
	return COMMAND_OK;
}

static int print_answer(const struct sea_ccdb_answer *answer, bool json)
{
	json_error_t error;
	TOOL_AUTO_JSON json_t *listing = json_loadb(answer->body ? answer->body : "", answer->n_bytes, 0, &error);
	const json_t *objects = json_object_get(listing, "objects"), *folders = json_object_get(listing, "subfolders");
	const json_t *item;
	size_t i;

	if (!listing || !json_is_array(objects)) {
		terminal_error("ccdb ls", "%s: what it answers is no listing%s%s", answer->url, listing ? "" : ": ",
		               listing ? "" : error.text);
		return COMMAND_FAILED;
	}
	if (json) {
		json_array_foreach(objects, i, item)
		{
			json_dumpf(item, stdout, JSON_COMPACT);
			putchar('\n');
		}
		return COMMAND_OK;
	}
	if (print_table(objects) != COMMAND_OK)
		return COMMAND_FAILED;
	json_array_foreach(folders, i, item)
		printf("%s/\n", json_is_string(item) ? json_string_value(item) : object_text(item, "name"));
	return COMMAND_OK;
}

int ccdb_ls_main(int argc, char **argv)
{
	CCDB_AUTO_TARGET struct ccdb_target target = { 0 };
	CCDB_AUTO_REMOTE struct sea_ccdb_remote *remote = NULL;
	CCDB_AUTO_ANSWER struct sea_ccdb_answer *answer = NULL;
	struct sea_error error = { 0 };
	struct options options;
	uint64_t n_max = 0;
	bool latest = false, json = false;
	int id, r = 0;

	options_init(&options, &page, argc, argv);
	while (r == 0 && (id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_LATEST: latest = true; break;
		case OPT_LIMIT: r = options_number(&options, 1, INT64_MAX, &n_max); break;
		case OPT_AT:
			target.address.has_time = 1;
			r = ccdb_option_time(&options, &target.address.time_ms);
			break;
		case OPT_META: r = ccdb_option_meta(&options, &target); break;
		case OPT_NOT_AFTER: r = ccdb_option_time(&options, &target.address.not_after_ms); break;
		case OPT_NOT_BEFORE: r = ccdb_option_time(&options, &target.address.not_before_ms); break;
		default: json = true; break;
		}
	}
	if (r < 0 || id < 0 || ccdb_arguments(&options, 1, 2, "URL [PATTERN]") < 0)
		return options.exit_code;
	target.address.path = argc - options.first > 1 ? argv[options.first + 1] : "";
	remote = ccdb_remote("ccdb ls", argv[options.first]);
	if (!remote)
		return COMMAND_FAILED;
	if (sea_ccdb_remote_browse(remote, &target.address, latest, n_max, &answer, &error) < 0)
		return ccdb_failed("ccdb ls", &error);
	return print_answer(answer, json);
}
