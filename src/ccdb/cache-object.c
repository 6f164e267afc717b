/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of objects. The content of each lies in one sealed block, which answers name and hold.
 *
 * The odd rule: while somebody else holds a block it is kept here too, for that costs nothing, and the next table that needs the version must not
 * make a second one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/cache.h"

struct seai_path *seai_cache_path(struct sea_ccdb_cache *cache, const char *name)
{
	struct seai_path *path;

	for (path = cache->paths; path; path = path->next)
		if (strcmp(path->path, name) == 0)
			return path;
	path = calloc(1, sizeof(*path));
	if (!path)
		return NULL;
	path->path = strdup(name);
	if (!path->path) {
		free(path);
		return NULL;
	}
	path->next = cache->paths;
	cache->paths = path;
	return path;
}

struct seai_version *seai_version_find(struct seai_path *path, const char *uuid)
{
	for (struct seai_version *version = path->versions; version; version = version->next)
		if (version->status == 0 && strcmp(version->info.uuid, uuid) == 0)
			return version;
	return NULL;
}

/* Headers as text, one per line. */
static char *version_headers(const struct sea_ccdb_object *object)
{
	size_t n = 1, at = 0;
	char *text;

	for (size_t i = 0; object && i < object->n_headers; i++)
		n += strlen(object->headers[i].key) + strlen(object->headers[i].value) + 3;
	text = malloc(n);
	if (!text)
		return NULL;
	text[0] = 0;
	for (size_t i = 0; object && i < object->n_headers; i++)
		at += (size_t)snprintf(text + at, n - at, "%s: %s\n", object->headers[i].key, object->headers[i].value);
	return text;
}

struct seai_version *seai_version_new(struct seai_path *path, const struct sea_ccdb_version *info,
                                      const struct sea_ccdb_object *object, int32_t status, const char *reason)
{
	struct seai_version *version = calloc(1, sizeof(*version));

	if (!version)
		return NULL;
	version->path = path;
	if (info)
		version->info = *info;
	else
		version->info = (struct sea_ccdb_version){
			.valid_from_ms = -1, .valid_until_ms = -1, .initial_until_ms = -1, .created_ms = -1
		};
	version->status = status;
	version->headers = version_headers(object);
	version->reason = strdup(reason ? reason : "");
	if (!version->headers || !version->reason) {
		free(version->headers);
		free(version->reason);
		free(version);
		return NULL;
	}
	version->next = path->versions;
	path->versions = version;
	return version;
}

static void version_free(struct seai_version *version)
{
	sea_message_unref(version->object);
	free(version->headers);
	free(version->reason);
	free(version);
}

static void version_drop(struct sea_ccdb_cache *cache, struct seai_version *version)
{
	version->object = sea_message_unref(version->object);
	cache->epoch++;
	cache->n_lost++;
	cache->stats.n_versions--;
	cache->stats.n_versions_bytes -= version->n_bytes;
	cache->stats.n_dropped++;
}

/* Marks what a request names by now as used by it, and by this sweep. */
static void sweep_mark(struct sea_ccdb_cache *cache, const struct seai_table_request *request)
{
	for (size_t g = 0; g < request->n_groups; g++)
		for (size_t c = 0; c < cache->n_columns; c++) {
			const struct seai_lookup *lookup = &request->groups[g].lookups[c];
			int64_t t;

			for (int64_t from = INT64_MIN; seai_lookup_next(&request->groups[g], lookup, from, &t);) {
				struct seai_fact *fact = seai_facts_find(lookup->facts, t);

				if (fact && fact->version->last_table < request->number)
					fact->version->last_table = request->number;
				if (fact)
					fact->version->mark = cache->n_sweeps;
				from = fact ? fact->until_ms : t + 1;
			}
		}
}

void seai_cache_sweep(struct sea_ccdb_cache *cache, enum seai_sweep sweep)
{
	const uint64_t next = cache->n_answered + 1;
	const uint64_t oldest = next > cache->options.n_tables_kept ? next - cache->options.n_tables_kept : 0;

	cache->n_sweeps++;
	for (const struct seai_table_request *request = cache->first; request; request = request->next) {
		sweep_mark(cache, request);
		if (sweep == SEAI_SWEEP_FIRST)
			break;
	}
	if (sweep != SEAI_SWEEP_RECENT)
		seai_bundle_forget(cache);
	for (struct seai_path *path = cache->paths; path; path = path->next) {
		struct seai_version **link = &path->versions;

		while (*link) {
			struct seai_version *version = *link;
			const bool is_wanted = version->mark == cache->n_sweeps ||
			                       (sweep == SEAI_SWEEP_RECENT && version->last_table >= oldest);

			if (version->object && !is_wanted && sea_message_n_references(version->object) <= 1)
				version_drop(cache, version);
			if (!version->object && version->n_facts == 0 && version->n_expected == 0 && !is_wanted) {
				*link = version->next;
				version_free(version);
				continue;
			}
			link = &version->next;
		}
	}
}

void seai_cache_free_paths(struct sea_ccdb_cache *cache)
{
	while (cache->paths) {
		struct seai_path *path = cache->paths;

		cache->paths = path->next;
		while (path->versions) {
			struct seai_version *version = path->versions;

			path->versions = version->next;
			version_free(version);
		}
		free(path->path);
		free(path);
	}
}
