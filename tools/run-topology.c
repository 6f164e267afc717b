/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a topology: FairMQ's JSON file and what `sealane run` adds to it, per device. The odd rule: an error is said
 * and counted, and reading goes on with a value that will do, so that all errors are said at once.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/mq-config.h>

#include "cleanup.h"
#include "options.h"
#include "run.h"
#include "terminal.h"

#define TOPOLOGY_N_BYTES_MAX (64u << 20)

static const char *const restarts[] = { "never", "on-failure", "always" };

/* Where a key stands, or where it does not, what it would be part of. */
static void topology_find(const struct run_topology *topology, const char *path, unsigned *ret_line,
                          unsigned *ret_column)
{
	char part[512];

	*ret_line = *ret_column = 1;
	snprintf(part, sizeof(part), "%s", path);
	while (sea_json_position(topology->text, topology->n_text, part, false, ret_line, ret_column) < 0 && *part) {
		char *last = part + strlen(part) - 1;

		while (last > part && *last != '.' && *last != '[')
			last--;
		*last = 0;
	}
}

void run_topology_say_at(struct run_topology *topology, unsigned line, unsigned column, const char *key,
                         const char *text, bool is_warning)
{
	if (is_warning && !topology->is_strict)
		fprintf(stderr, "sealane run: warning: %s:%u:%u: %s: %s\n", topology->file, line, column, key, text);
	else
		terminal_error("run", "%s:%u:%u: %s: %s", topology->file, line, column, key, text);
	topology->n_errors += !is_warning || topology->is_strict;
}

void run_topology_error(struct run_topology *topology, const char *path, const char *format, ...)
{
	unsigned line, column;
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!path) {
		terminal_error("run", "%s", text);
		topology->n_errors++;
		return;
	}
	topology_find(topology, path, &line, &column);
	/* What all paths begin with says nothing. */
	if (strncmp(path, "fairMQOptions.devices[", 22) == 0)
		path += 14;
	run_topology_say_at(topology, line, column, path, text, false);
}

/* What the command line says about this of a device, or NULL. */
static const char *topology_override(struct run_topology *topology, const char *what, json_t *device)
{
	const char *id = json_string_value(json_object_get(device, "id"));
	const char *key = json_string_value(json_object_get(device, "key"));
	const char *value = NULL;

	for (size_t i = 0; i < topology->n_overrides; i++) {
		struct run_override *override = &topology->overrides[i];

		if (strcmp(override->what, what) != 0)
			continue;
		if ((id && strlen(id) == override->n_id && memcmp(id, override->id, override->n_id) == 0) ||
		    (key && strlen(key) == override->n_id && memcmp(key, override->id, override->n_id) == 0)) {
			override->is_used = true;
			value = override->value;
		}
	}
	return value;
}

/* A member that is a text without control characters, NULL where it is missing or wrong. */
static const char *entry_text(struct run_topology *topology, json_t *device, const char *at, const char *name)
{
	json_t *value = json_object_get(device, name);
	const char *text = json_string_value(value);
	char path[160];

	if (!value)
		return NULL;
	snprintf(path, sizeof(path), "%s.%s", at, name);
	if (!text || !*text) {
		run_topology_error(topology, path, "is no text");
		return NULL;
	}
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ') {
			run_topology_error(topology, path, "has a control character in it");
			return NULL;
		}
	}
	return text;
}

static void entry_read_name(struct run_topology *topology, struct run_entry *entry, json_t *device, const char *at)
{
	const char *id = entry_text(topology, device, at, "id");
	const char *key = entry_text(topology, device, at, "key");

	entry->name = id ? id : key;
	entry->key = key;
	if (!entry->name) {
		entry->name = "";
		if (!json_object_get(device, "id") && !json_object_get(device, "key"))
			run_topology_error(topology, at, "has neither id nor key");
	}
}

static void entry_read_command(struct run_topology *topology, struct run_entry *entry, json_t *device, const char *at)
{
	const char *typed = topology_override(topology, "exec", device);
	const char *text = typed ? typed : entry_text(topology, device, at, "exec");
	char path[160];
	int r;

	if (!text) {
		entry->is_wrong = json_object_get(device, "exec") != NULL;
		return;
	}
	entry->is_typed = typed != NULL;
	r = run_words_split(text, &entry->command, &entry->words);
	if (r > 0) {
		entry->n_words = (size_t)r;
		return;
	}
	entry->is_wrong = true;
	snprintf(path, sizeof(path), "%s.exec", at);
	run_topology_error(topology, typed ? NULL : path, "%s%s%s%s", typed ? "--exec " : "", typed ? entry->name : "",
	                   typed ? ": " : "",
	                   r == 0         ? "names no program"
	                   : r == -EINVAL ? "a quote or a backslash has no end"
	                                  : "no memory");
}

/* Elements of an array, or values of an object, are texts. @return it, or NULL where it is missing or wrong */
static json_t *entry_read_texts(struct run_topology *topology, json_t *device, const char *at, const char *name,
                                bool is_object)
{
	json_t *all = json_object_get(device, name), *value;
	unsigned n_errors = topology->n_errors;
	const char *key;
	char path[400];
	size_t i;

	if (!all)
		return NULL;
	snprintf(path, sizeof(path), "%s.%s", at, name);
	if (is_object ? !json_is_object(all) : !json_is_array(all)) {
		run_topology_error(topology, path,
		                   is_object ? "is no object of texts"
		                             : "is no list of texts: [\"--option\", \"value\"]");
		return NULL;
	}
	json_array_foreach(all, i, value)
	{
		snprintf(path, sizeof(path), "%s.%s[%zu]", at, name, i);
		if (!json_is_string(value))
			run_topology_error(topology, path, "is no text; numbers want quotes");
	}
	json_object_foreach(all, key, value)
	{
		/* A key with characters that mean something in a path has no path of its own. */
		snprintf(path, sizeof(path), strcspn(key, ".[\"") == strlen(key) && *key ? "%s.%s.%.200s" : "%s.%s", at,
		         name, key);
		if (!*key || strchr(key, '='))
			run_topology_error(topology, path, "is no name of a variable");
		else if (!json_is_string(value))
			run_topology_error(topology, path, "is no text; numbers want quotes");
	}
	return topology->n_errors == n_errors ? all : NULL;
}

static void entry_read_count(struct run_topology *topology, struct run_entry *entry, json_t *device, const char *at)
{
	const char *typed = topology_override(topology, "count", device);
	json_t *value = json_object_get(device, "count");
	uint64_t n = 0;
	char path[160];

	entry->n_copies = 1;
	if (!typed && !value)
		return;
	snprintf(path, sizeof(path), "%s.count", at);
	if (typed ? options_parse_number(typed, &n) < 0 : !json_is_integer(value))
		n = 0;
	else if (!typed)
		n = json_integer_value(value) < 0 ? 0 : (uint64_t)json_integer_value(value);
	if (n == 0 || n > RUN_N_DEVICES_MAX) {
		run_topology_error(topology, typed ? NULL : path, "%s%s%sis no number from 1 to %u",
		                   typed ? "--count " : "", typed ? entry->name : "", typed ? ": " : "",
		                   RUN_N_DEVICES_MAX);
		return;
	}
	entry->is_counted = true;
	entry->n_copies = (size_t)n;
}

static void entry_read_restart(struct run_topology *topology, struct run_entry *entry, json_t *device, const char *at)
{
	const char *typed = topology_override(topology, "restart", device);
	const char *text = typed ? typed : entry_text(topology, device, at, "restart");
	json_t *max = json_object_get(device, "restartMax");
	char path[160];
	bool is_known = !text;

	for (int i = 0; text && i < 3; i++) {
		if (strcmp(text, restarts[i]) == 0) {
			entry->restart = i;
			is_known = true;
		}
	}
	snprintf(path, sizeof(path), "%s.restart", at);
	if (!is_known)
		run_topology_error(topology, typed ? NULL : path, "%s%s%s'%s' is none of never, on-failure, always",
		                   typed ? "--restart " : "", typed ? entry->name : "", typed ? ": " : "", text);
	entry->n_restarts = UINT64_MAX;
	if (!max)
		return;
	snprintf(path, sizeof(path), "%s.restartMax", at);
	if (!json_is_integer(max) || json_integer_value(max) < 0)
		run_topology_error(topology, path, "is no number from 0");
	else
		entry->n_restarts = (uint64_t)json_integer_value(max);
}

static void entry_read_cpu_list(struct run_topology *topology, struct run_entry *entry, size_t index, const char *text,
                                const char *path)
{
	cpu_set_t *cpus = &entry->cpus[index];
	cpu_set_t allowed;
	int r = text ? run_cpus_parse(text, cpus) : -EINVAL;

	if (r == -EINVAL) {
		run_topology_error(topology, path, "%s%sis no list of processors such as 0-3,6", path ? "" : "--cpus ",
		                   path ? "" : entry->name);
		return;
	}
	if (r == 0 && !topology->is_drawn && sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
		for (int i = 0; i < CPU_SETSIZE && r == 0; i++)
			if (CPU_ISSET(i, cpus) && !CPU_ISSET(i, &allowed))
				r = -ERANGE;
	}
	if (r < 0)
		run_topology_error(topology, path, "%s%snot all of the processors %s are here, or may be used",
		                   path ? "" : "--cpus ", path ? "" : entry->name, text);
}

static void entry_read_cpus(struct run_topology *topology, struct run_entry *entry, json_t *device, const char *at)
{
	const char *typed = topology_override(topology, "cpus", device);
	json_t *value = json_object_get(device, "cpus");
	size_t n = typed || !json_is_array(value) ? 1 : json_array_size(value);
	char path[160];

	if (!typed && !value)
		return;
	snprintf(path, sizeof(path), "%s.cpus", at);
	if (json_is_array(value) && !typed && n != entry->n_copies) {
		run_topology_error(topology, path, "is a list of %zu for %zu copies", n, entry->n_copies);
		return;
	}
	entry->cpus = calloc(n, sizeof(*entry->cpus));
	if (!entry->cpus) {
		run_topology_error(topology, path, "no memory");
		return;
	}
	entry->n_cpus = n;
	for (size_t i = 0; i < n; i++) {
		json_t *one = json_is_array(value) ? json_array_get(value, i) : value;

		if (json_is_array(value) && !typed)
			snprintf(path, sizeof(path), "%s.cpus[%zu]", at, i);
		entry_read_cpu_list(topology, entry, i, typed ? typed : json_string_value(one), typed ? NULL : path);
	}
}

static void topology_read_entry(struct run_topology *topology, size_t index, json_t *device)
{
	struct run_entry *entry = &topology->entries[index];
	char at[64];

	snprintf(at, sizeof(at), "fairMQOptions.devices[%zu]", index);
	if (!json_is_object(device)) {
		entry->name = "";
		entry->n_copies = 1;
		entry->is_wrong = true;
		run_topology_error(topology, at, "is no object");
		return;
	}
	entry_read_name(topology, entry, device, at);
	entry_read_command(topology, entry, device, at);
	entry->args = entry_read_texts(topology, device, at, "args", false);
	entry->env = entry_read_texts(topology, device, at, "env", true);
	entry_read_count(topology, entry, device, at);
	entry_read_restart(topology, entry, device, at);
	entry_read_cpus(topology, entry, device, at);
}

/* The whole file, with a zero behind it. @return its size or negative errno */
static ssize_t topology_read_file(const char *file, char **ret_text)
{
	TOOL_AUTO_FILE FILE *stream = fopen(file, "re");
	TOOL_AUTO_FREE char *text = NULL;
	size_t n = 0, n_room = 0, n_read;

	if (!stream)
		return -errno;
	do {
		char *more;

		n_room = n_room ? 2 * n_room : 16384;
		if (n_room > TOPOLOGY_N_BYTES_MAX)
			return -EFBIG;
		more = realloc(text, n_room);
		if (!more)
			return -ENOMEM;
		text = more;
		n_read = fread(text + n, 1, n_room - n - 1, stream);
		n += n_read;
	} while (n == n_room - 1);
	if (ferror(stream))
		return errno ? -errno : -EIO;
	text[n] = 0;
	*ret_text = text;
	text = NULL;
	return (ssize_t)n;
}

void run_topology_load(struct run_topology *topology, const char *file)
{
	json_error_t error;
	json_t *devices, *device;
	ssize_t n_bytes;
	size_t i;

	topology->file = file;
	n_bytes = topology_read_file(file, &topology->text);
	if (n_bytes < 0) {
		run_topology_error(topology, NULL, "%s: %s", file, strerror((int)-n_bytes));
		return;
	}
	topology->n_text = (size_t)n_bytes;
	topology->root = json_loadb(topology->text, topology->n_text, 0, &error);
	if (!topology->root) {
		run_topology_error(topology, NULL, "%s:%d:%d: %s", file, error.line, error.column, error.text);
		return;
	}
	devices = json_object_get(json_object_get(topology->root, "fairMQOptions"), "devices");
	if (!json_is_array(devices) || json_array_size(devices) == 0) {
		run_topology_error(topology, "fairMQOptions.devices", "is no list of devices");
		return;
	}
	topology->entries = calloc(json_array_size(devices), sizeof(*topology->entries));
	if (!topology->entries) {
		run_topology_error(topology, NULL, "%s: no memory", file);
		return;
	}
	topology->n_entries = json_array_size(devices);
	json_array_foreach(devices, i, device) topology_read_entry(topology, i, device);
	for (i = 0; i < topology->n_overrides; i++) {
		const struct run_override *override = &topology->overrides[i];

		if (!override->is_used)
			run_topology_error(topology, NULL, "--%s %.*s: %s has no device of that id or key",
			                   override->what, (int) override->n_id, override->id, file);
	}
	run_graph_make(topology);
	run_channels_check(topology);
}

void run_topology_fini(struct run_topology *topology)
{
	for (size_t i = 0; i < topology->n_entries; i++) {
		free(topology->entries[i].command);
		free(topology->entries[i].words);
		free(topology->entries[i].cpus);
	}
	free(topology->entries);
	free(topology->endpoints);
	free(topology->edges);
	free(topology->text);
	json_decref(topology->root);
}
