/* SPDX-License-Identifier: Apache-2.0 */
/* What a table says, put together run by run. An object's bytes are read when its version is seen for the first time, and not again. */
#include "demo-seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static int on_decode(const struct sea_table_object *object, void **ret_decoded, uint64_t *ret_cost,
                     struct sea_error *error, void *userdata)
{
	uint64_t *hash = malloc(sizeof(*hash));

	(void)userdata;
	if (!hash)
		return sea_error_set(error, -ENOMEM, object->path, "out of memory");
	*hash = object->n_bytes ? XXH3_64bits(object->data, object->n_bytes) : XXH3_64bits("", 0);
	*ret_decoded = hash;
	*ret_cost = sizeof(*hash);
	return 0;
}

static void on_destroy(void *decoded, void *userdata)
{
	(void)userdata;
	free(decoded);
}

int demo_seen_decoder(struct sea_decoder **ret_decoder)
{
	return sea_decoder_new(ret_decoder,
	                       &(struct sea_decoder_options){ .decode = on_decode, .destroy = on_destroy });
}

int demo_seen_content(struct sea_decoder *decoder, const struct sea_table_object *object, uint64_t *ret_hash,
                      struct sea_error *error)
{
	void *decoded = NULL;
	int r = sea_decoder_get(decoder, object, &decoded, error);

	if (r == 0)
		*ret_hash = *(const uint64_t *)decoded;
	return r;
}

void demo_seen_begin(struct demo_seen *seen, uint64_t timeframe, const struct sea_table *table)
{
	seen->magic = DEMO_SEEN_MAGIC;
	seen->timeframe = timeframe;
	seen->n_rows = (uint64_t)sea_table_n_rows(table);
	seen->n_versions = 0;
}

/* The place of a version; made, and its bytes read, if it is new. */
static int seen_find(struct demo_seen *seen, struct sea_decoder *decoder, const struct sea_table_object *object,
                     struct demo_seen_version **ret_version, struct sea_error *error)
{
	struct demo_seen_version *version;
	int r;

	for (uint64_t i = seen->n_versions; i-- > 0;)
		if (seen->versions[i].row == object->row) {
			*ret_version = &seen->versions[i];
			return 0;
		}
	if (object->status != SEA_TABLE_OK)
		return sea_error_set(error, -EBADMSG, object->path, "is not here: %s", object->reason);
	if (seen->n_versions == DEMO_N_SEEN_MAX)
		return sea_error_set(error, -EBADMSG, object->path, "the table has too many versions");
	version = &seen->versions[seen->n_versions];
	*version = (struct demo_seen_version){
		.column = object->index,
		.row = object->row,
		.uuid_hash = XXH3_64bits(object->uuid, strlen(object->uuid)),
	};
	r = demo_seen_content(decoder, object, &version->content_hash, error);
	if (r < 0)
		return r;
	seen->n_versions++;
	*ret_version = version;
	return 0;
}

int demo_seen_add(struct demo_seen *seen, struct sea_decoder *decoder, const struct sea_table_run *run,
                  struct sea_error *error)
{
	struct demo_seen_version *version = NULL;
	int r = run->object ? seen_find(seen, decoder, run->object, &version, error)
	                    : sea_error_set(error, -EBADMSG, "index", "row %lld names no object",
	                                    (long long)run->first_row);

	if (r < 0)
		return r;
	version->n_rows += (uint64_t)run->n_rows;
	/* Each step can be undone, so that no two different lists of runs of one length meet in the middle. */
	version->runs_hash = (version->runs_hash ^ (uint64_t)run->first_row) * UINT64_C(0x9e3779b97f4a7c15);
	version->runs_hash = (version->runs_hash ^ (uint64_t)run->n_rows) * UINT64_C(0xd1342543de82ef95);
	return 0;
}

int demo_seen_table(struct demo_seen *seen, uint64_t timeframe, const struct sea_table *table,
                    struct sea_decoder *decoder, struct sea_error *error)
{
	demo_seen_begin(seen, timeframe, table);
	for (size_t column = 0; column < sea_table_n_columns(table); column++) {
		struct sea_table_run run = { 0 };
		int r;

		while ((r = sea_table_run_next(table, column, &run)) == 1) {
			r = demo_seen_add(seen, decoder, &run, error);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return sea_error_set(error, r, sea_table_column_name(table, column),
			                     "a row names no object of this column");
	}
	return 0;
}
