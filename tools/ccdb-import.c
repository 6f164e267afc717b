/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane ccdb import`: uploads a folder of files. Either its import.json says what is what, or each file stands under the path that
 * it has in the folder, without the extension.
 *
 * The odd rule: files go in the order of their names, or of the manifest, so that which of two is newer does not depend on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ccdb.h"
#include "cleanup.h"
#include "command.h"
#include "terminal.h"

#define COMMAND "ccdb import"
#define MANIFEST "import.json"

enum { OPT_FROM = 1, OPT_UNTIL, OPT_META, OPT_PREFIX, OPT_JSON, OPT_QUIET };

static const struct option_spec specs[] = {
	{ OPT_FROM, 0, "from", "TIME", "valid from then, where the manifest does not say; default 0" },
	{ OPT_UNTIL, 0, "until", "TIME", "valid until then, where the manifest does not say; default for ever (2286)" },
	{ OPT_META, 'm', "meta", "KEY=VALUE", "metadata of each; several are allowed" },
	{ OPT_PREFIX, 0, "prefix", "PATH", "put all of it below this path" },
	{ OPT_JSON, 0, "json", NULL, "one JSON object per upload" },
	{ OPT_QUIET, 'q', "quiet", NULL, "print errors only" },
	{ 0 },
};

static const struct option_page page = {
	.command = COMMAND,
	.usage = "URL DIR [OPTIONS]",
	.summary =
		"Uploads the files of a folder. Where it has a file import.json, that is a list of objects, and only these are uploaded: "
		"[{\"path\": \"TPC/Calib/Gain\", \"file\": \"gain-1.root\", \"from\": 1700000000000, \"until\": \"2026-12-01\", "
		"\"metadata\": {\"runNumber\": \"544123\"}}, ...]. Else TPC/Calib/Gain.root becomes TPC/Calib/Gain.",
	.specs = specs,
	.epilogue = "Times are milliseconds since 1970, now, or ISO 8601 as 2026-11-21T08:30:00 (UTC).\n\n"
		    "Exit status: 0 all uploaded, 1 one was not, and none after it, 2 wrong usage.\n",
};

struct import {
	struct sea_ccdb_remote *remote;
	struct ccdb_target defaults;
	const char *directory;
	const char *prefix;
	struct terminal_progress progress;
	uint64_t n_bytes;
	uint64_t n_objects;
	bool json;
	bool quiet;
};

static void import_report(struct import *import, const struct sea_ccdb_address *address, const char *file,
                          uint64_t n_bytes, const struct sea_ccdb_answer *answer)
{
	const char *etag = sea_ccdb_answer_header(answer, "ETag");
	TOOL_AUTO_JSON json_t *object = NULL;

	etag = etag ? etag + (etag[0] == '"') : "";
	import->n_bytes += n_bytes;
	import->n_objects++;
	terminal_progress_update(&import->progress, import->n_bytes, 0, address->path);
	if (import->json) {
		object = json_pack("{s:s, s:s, s:s#, s:I, s:I, s:I}", "path", address->path, "file", file, "uuid", etag,
		                   (int)strcspn(etag, "\""), "from", (json_int_t)address->time_ms, "until",
		                   (json_int_t)address->until_ms, "n_bytes", (json_int_t)n_bytes);
		if (object)
			json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (!import->quiet) {
		printf("%s  %.*s  %s\n", address->path, (int)strcspn(etag, "\""), etag, file);
	}
}

/* One object. */
static int import_file(struct import *import, const struct sea_ccdb_address *address, const char *file)
{
	CCDB_AUTO_ANSWER struct sea_ccdb_answer *answer = NULL;
	struct sea_ccdb_address whole = *address;
	char path[SEA_CCDB_PATH_N_MAX + 1];
	struct sea_error error = { 0 };
	TOOL_AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0) {
		terminal_error(COMMAND, "%s: %s", file, strerror(errno));
		return COMMAND_FAILED;
	}
	if (snprintf(path, sizeof(path), "%s%s%s", import->prefix, *import->prefix ? "/" : "", address->path) >=
	    (int)sizeof(path)) {
		terminal_error(COMMAND, "%s: its path is too long", file);
		return COMMAND_FAILED;
	}
	whole.path = path;
	whole.has_time = 1;
	if (sea_ccdb_remote_put(import->remote, &whole, fd, strrchr(file, '/') ? strrchr(file, '/') + 1 : file, &answer,
	                        &error) < 0) {
		char line[1000];

		terminal_error(COMMAND, "%s: %s", file, sea_error_line(&error, line, sizeof(line)));
		return COMMAND_FAILED;
	}
	import_report(import, &whole, file, (uint64_t)status.st_size, answer);
	return COMMAND_OK;
}

/* The manifest. -------------------------------------------------------------------------------- */

/* A time of the manifest, a number or a text. @return false it is neither */
static bool item_time(const json_t *item, const char *key, int64_t *ret_ms)
{
	const json_t *value = json_object_get(item, key);

	if (!value)
		return true;
	if (json_is_integer(value)) {
		*ret_ms = json_integer_value(value);
		return *ret_ms >= 0;
	}
	return json_is_string(value) && ccdb_time_parse(json_string_value(value), ret_ms) == 0;
}

static const char *item_unknown(const json_t *item)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)item, key, value) if (strcmp(key, "path") != 0 && strcmp(key, "file") != 0 &&
	                                                    strcmp(key, "from") != 0 && strcmp(key, "until") != 0 &&
	                                                    strcmp(key, "metadata") != 0 &&
	                                                    strcmp(key, "uuid") != 0) return key;
	return NULL;
}

/* Adds the item's metadata to the defaults; borrows its strings. @return false one is no text */
static bool item_metadata(const json_t *item, const struct import *import, struct sea_ccdb_pair *pairs, size_t *ret_n)
{
	json_t *metadata = json_object_get(item, "metadata"), *value;
	const char *key;
	size_t n = 0;

	for (size_t i = 0; i < import->defaults.address.n_metadata; i++)
		if (!json_object_get(metadata, import->defaults.metadata[i].key))
			pairs[n++] = import->defaults.metadata[i];
	if (metadata && !json_is_object(metadata))
		return false;
	json_object_foreach(metadata, key, value)
	{
		if (!json_is_string(value) || n == SEA_CCDB_METADATA_N_MAX)
			return false;
		pairs[n++] = (struct sea_ccdb_pair){ key, json_string_value(value) };
	}
	*ret_n = n;
	return true;
}

static int import_item(struct import *import, const json_t *item, size_t i)
{
	struct sea_ccdb_address address = import->defaults.address;
	struct sea_ccdb_pair pairs[SEA_CCDB_METADATA_N_MAX];
	const char *file = json_string_value(json_object_get(item, "file")), *unknown = item_unknown(item);
	char name[PATH_MAX];

	address.path = json_string_value(json_object_get(item, "path"));
	address.uuid = json_string_value(json_object_get(item, "uuid"));
	address.metadata = pairs;
	if (!json_is_object(item) || !address.path || !file || unknown || !item_time(item, "from", &address.time_ms) ||
	    !item_time(item, "until", &address.until_ms) || !item_metadata(item, import, pairs, &address.n_metadata)) {
		terminal_error(COMMAND, "%s/%s: [%zu]: %s%s", import->directory, MANIFEST, i,
		               unknown ? "unknown key "
		                       : "path and file have to be text, from and until times, metadata texts by key",
		               unknown ? unknown : "");
		return COMMAND_FAILED;
	}
	snprintf(name, sizeof(name), "%s%s%s", file[0] == '/' ? "" : import->directory, file[0] == '/' ? "" : "/",
	         file);
	return import_file(import, &address, name);
}

static int import_manifest(struct import *import, const char *name)
{
	json_error_t error;
	TOOL_AUTO_JSON json_t *list = json_load_file(name, JSON_REJECT_DUPLICATES, &error);
	const json_t *item;
	size_t i;

	if (!list || !json_is_array(list)) {
		if (list)
			terminal_error(COMMAND, "%s: has to be a list", name);
		else
			terminal_error(COMMAND, "%s:%d:%d: %s", name, error.line, error.column, error.text);
		return COMMAND_FAILED;
	}
	json_array_foreach(list, i, item) if (import_item(import, item, i) != COMMAND_OK) return COMMAND_FAILED;
	return COMMAND_OK;
}

/* A folder without one. ------------------------------------------------------------------------ */

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int import_tree(struct import *import)
{
	char *roots[] = { (char *)import->directory, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	const size_t n_root = strlen(import->directory);
	int r = COMMAND_OK;
	FTSENT *item;

	while (walk && r == COMMAND_OK && (item = fts_read(walk))) {
		struct sea_ccdb_address address = import->defaults.address;
		char path[PATH_MAX], *dot;

		if (item->fts_info == FTS_DNR || item->fts_info == FTS_ERR || item->fts_info == FTS_NS) {
			terminal_error(COMMAND, "%s: %s", item->fts_path, strerror(item->fts_errno));
			r = COMMAND_FAILED;
		}
		if (item->fts_level > 0 && item->fts_name[0] == '.') {
			fts_set(walk, item, FTS_SKIP);
			continue;
		}
		if (item->fts_info != FTS_F)
			continue;
		snprintf(path, sizeof(path), "%s", item->fts_path + n_root + strspn(item->fts_path + n_root, "/"));
		dot = strrchr(path, '.');
		if (dot && !strchr(dot, '/'))
			*dot = 0;
		address.path = path;
		r = import_file(import, &address, item->fts_path);
	}
	if (!walk)
		terminal_error(COMMAND, "%s: %s", import->directory, strerror(errno));
	else
		fts_close(walk);
	return walk ? r : COMMAND_FAILED;
}

static int import_run(struct import *import, const char *url)
{
	char manifest[PATH_MAX];
	struct stat status;
	int r;

	if (stat(import->directory, &status) < 0 || !S_ISDIR(status.st_mode)) {
		terminal_error(COMMAND, "%s: is no folder", import->directory);
		return COMMAND_FAILED;
	}
	import->remote = ccdb_remote(COMMAND, url);
	if (!import->remote)
		return COMMAND_FAILED;
	snprintf(manifest, sizeof(manifest), "%s/%s", import->directory, MANIFEST);
	terminal_progress_init(&import->progress, "importing", import->quiet || import->json || terminal_is(stdout));
	r = stat(manifest, &status) == 0 ? import_manifest(import, manifest) : import_tree(import);
	terminal_progress_fini(&import->progress);
	sea_ccdb_remote_free(import->remote);
	if (!import->json && !import->quiet)
		printf("%" PRIu64 " objects, %" PRIu64 " bytes\n", import->n_objects, import->n_bytes);
	return r;
}

int ccdb_import_main(int argc, char **argv)
{
	struct import import = { .prefix = "", .defaults.address = { .until_ms = CCDB_FOR_EVER_MS } };
	char directory[PATH_MAX];
	struct options options;
	int id, r = 0;
	size_t n;

	options_init(&options, &page, argc, argv);
	while (r == 0 && (id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_FROM: r = ccdb_option_time(&options, &import.defaults.address.time_ms); break;
		case OPT_UNTIL: r = ccdb_option_time(&options, &import.defaults.address.until_ms); break;
		case OPT_META: r = ccdb_option_meta(&options, &import.defaults); break;
		case OPT_PREFIX: import.prefix = options.value; break;
		case OPT_JSON: import.json = true; break;
		default: import.quiet = true; break;
		}
	}
	if (r == 0 && id == 0)
		r = ccdb_arguments(&options, 2, 2, "URL DIR");
	if (r == 0 && id == 0) {
		snprintf(directory, sizeof(directory), "%s", argv[options.first + 1]);
		for (n = strlen(directory); n > 1 && directory[n - 1] == '/'; n--)
			directory[n - 1] = 0;
		import.directory = directory;
		options.exit_code = import_run(&import, argv[options.first]);
	}
	ccdb_target_fini(&import.defaults);
	return options.exit_code;
}
