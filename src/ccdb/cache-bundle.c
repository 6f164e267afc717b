/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last answer's tables and objects, used again as they are where nothing has changed: the same versions for all rows, as many rows, the same
 * metadata. That is most timeframes of a run, if their identity does not stand in the key table.
 *
 * The odd rule: only tables that are one version per column are kept; where a border lies inside, the next table is another one anyway.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/cache.h"

/* Larger index tables are made again: their memory would be pinned until the next answer. */
#define BUNDLE_N_ROWS_MAX (1 << 20)

/* The metadata of a schema, one after the other, to be compared. NULL: no memory. */
static char *bundle_metadata(const struct sea_arrow_schema *schema, size_t *ret_n_bytes)
{
	size_t n = 0;
	char *text;

	for (size_t i = 0; i < schema->n_metadata; i++)
		n += strlen(schema->metadata[i].key) + schema->metadata[i].n_value + 1 + sizeof(size_t);
	text = malloc(n + 1);
	if (!text)
		return NULL;
	*ret_n_bytes = n;
	for (size_t i = 0, at = 0; i < schema->n_metadata; i++) {
		const struct sea_arrow_pair *pair = &schema->metadata[i];
		const size_t n_key = strlen(pair->key) + 1;

		memcpy(text + at, pair->key, n_key);
		memcpy(text + at + n_key, &pair->n_value, sizeof(size_t));
		memcpy(text + at + n_key + sizeof(size_t), pair->value, pair->n_value);
		at += n_key + sizeof(size_t) + pair->n_value;
	}
	return text;
}

/* The one version of a column for all rows; NULL: there are several, or none. */
static struct seai_version *bundle_version(const struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                                           size_t c)
{
	struct seai_version *version = NULL;

	for (size_t g = 0; g < request->n_groups; g++) {
		const struct seai_lookup *lookup = &request->groups[g].lookups[c];
		const struct seai_fact *fact;
		int64_t t;

		if (!seai_lookup_next(&request->groups[g], lookup, INT64_MIN, &t))
			continue;
		fact = seai_table_request_fact(cache, request, lookup, &cache->columns[c], t);
		if (!fact || (version && fact->version != version) ||
		    seai_lookup_next(&request->groups[g], lookup, fact->until_ms, &t))
			return NULL;
		version = fact->version;
	}
	return version;
}

static bool bundle_fits(const struct sea_ccdb_cache *cache, const struct seai_table_request *request)
{
	const struct seai_bundle *bundle = &cache->bundle;
	size_t n_metadata;
	char *metadata;
	bool is_same;

	if (!bundle->message || bundle->n_batches != request->n_batches)
		return false;
	for (size_t b = 0; b < bundle->n_batches; b++)
		if (bundle->n_rows[b] != request->batches[b].n_rows)
			return false;
	metadata = bundle_metadata(sea_arrow_reader_schema(request->reader), &n_metadata);
	is_same = metadata && n_metadata == bundle->n_metadata && memcmp(metadata, bundle->metadata, n_metadata) == 0;
	free(metadata);
	for (size_t c = 0; c < cache->n_columns && is_same; c++)
		is_same = bundle_version(cache, request, c) == bundle->versions[c];
	return is_same;
}

struct sea_message *seai_bundle_try(struct sea_ccdb_cache *cache, const struct seai_table_request *request)
{
	return bundle_fits(cache, request) ? sea_message_ref(cache->bundle.message) : NULL;
}

void seai_bundle_forget(struct sea_ccdb_cache *cache)
{
	struct seai_bundle *bundle = &cache->bundle;

	sea_message_unref(bundle->message);
	free(bundle->versions);
	free(bundle->n_rows);
	free(bundle->metadata);
	*bundle = (struct seai_bundle){ 0 };
}

void seai_bundle_keep(struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                      struct sea_message *message)
{
	struct seai_bundle bundle = { .n_batches = request->n_batches };

	seai_bundle_forget(cache);
	if (request->n_rows == 0 || request->n_rows > BUNDLE_N_ROWS_MAX)
		return;
	bundle.versions = calloc(cache->n_columns, sizeof(struct seai_version *));
	bundle.n_rows = calloc(bundle.n_batches, sizeof(*bundle.n_rows));
	bundle.metadata = bundle_metadata(sea_arrow_reader_schema(request->reader), &bundle.n_metadata);
	for (size_t b = 0; bundle.n_rows && b < bundle.n_batches; b++)
		bundle.n_rows[b] = request->batches[b].n_rows;
	for (size_t c = 0; bundle.versions && c < cache->n_columns; c++) {
		bundle.versions[c] = bundle_version(cache, request, c);
		/* What is missing may be there the next time. */
		if (!bundle.versions[c] || bundle.versions[c]->status != 0) {
			free(bundle.versions);
			bundle.versions = NULL;
		}
	}
	cache->bundle = bundle;
	if (bundle.versions && bundle.n_rows && bundle.metadata)
		cache->bundle.message = sea_message_ref(message);
	else
		seai_bundle_forget(cache);
}
