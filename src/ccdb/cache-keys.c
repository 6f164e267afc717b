/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key tables: finds the part that is one, its column of times and its runs, and sorts the rows into groups of one run.
 *
 * The odd rule: times are used where they lie, in the message of the request, which is kept until the answer is made. Where a peer may write them still
 * they may change in the meantime: whatever they are when the answer is made, each is looked up as it is then, or the request fails.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/cache.h"

static const char *const keys_time_names[] = { "timestamp", "fTimestamp", "time", NULL };
static const char *const keys_run_names[] = { "run", "runNumber", "fRunNumber", NULL };

/* -ENOENT: no such column. */
static int keys_find(const struct sea_arrow_schema *schema, const char *name, const char *const *names)
{
	if (name)
		return sea_arrow_schema_find(schema, name);
	for (; *names; names++) {
		const int i = sea_arrow_schema_find(schema, *names);

		if (i >= 0)
			return i;
	}
	return -ENOENT;
}

static int keys_check_time(const struct sea_arrow_field *field, struct sea_error *error)
{
	char type[128];

	if (field->index_bits == 0 &&
	    ((field->type.id == SEA_ARROW_INT && field->type.bits == 64) ||
	     (field->type.id == SEA_ARROW_TIMESTAMP && field->type.unit == SEA_ARROW_MILLISECOND)))
		return 0;
	return sea_error_set(error, -EINVAL, field->name, "is %s; times are uint64, int64 or timestamp in ms",
	                     sea_arrow_field_text(field, type, sizeof(type)));
}

/* The part of a message that is a key table: opens its reader. */
static int keys_open(struct seai_table_request *request, const struct sea_ccdb_cache *cache, int *ret_time,
                     struct sea_error *error)
{
	const size_t n_parts = sea_message_n_parts(request->message);
	struct sea_error found = { 0 };

	for (size_t i = 0; i < n_parts; i++) {
		struct sea_part part;

		if (sea_message_get_part(request->message, i, &part) < 0 || part.n_bytes < 8 ||
		    (uintptr_t)part.data % 8)
			continue;
		/* A stream begins with its continuation marker, an old one with the size of a schema. */
		if (sea_arrow_reader_new(&request->reader, part.data, part.n_bytes, found.code ? NULL : &found) < 0)
			continue;
		*ret_time = keys_find(sea_arrow_reader_schema(request->reader), cache->time_column, keys_time_names);
		if (*ret_time >= 0) {
			request->key_part = i;
			return 0;
		}
		sea_error_set(&found, -EBADMSG, "", "has no column %s",
		              cache->time_column ? cache->time_column : "timestamp, fTimestamp or time");
		request->reader = sea_arrow_reader_free(request->reader);
	}
	return sea_error_set(error, -EBADMSG, "key table", "none of the %zu parts is an Arrow stream with times%s%s",
	                     n_parts, found.code ? "; the first that looks like one: " : "",
	                     found.code ? found.text : "");
}

/* Where a run's group stands in the map, or would. */
static size_t *keys_group_place(const struct seai_table_request *request, int64_t run)
{
	const size_t mask = 2 * request->n_groups_max - 1;
	size_t at = (size_t)((uint64_t)run * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;

	while (request->group_map[at] && request->groups[request->group_map[at] - 1].run != run)
		at = (at + 1) & mask;
	return &request->group_map[at];
}

/* Room for one more group. */
static int keys_grow_groups(struct seai_table_request *request)
{
	const size_t n_max = request->n_groups_max ? 2 * request->n_groups_max : 4;
	struct seai_group *groups;

	if (request->n_groups < request->n_groups_max)
		return 0;
	groups = reallocarray(request->groups, n_max, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	request->groups = groups;
	free(request->group_map);
	request->n_groups_max = n_max;
	request->group_map = calloc(2 * n_max, sizeof(*request->group_map));
	if (!request->group_map) {
		request->n_groups_max = request->n_groups;
		return -ENOMEM;
	}
	for (size_t i = 0; i < request->n_groups; i++)
		*keys_group_place(request, groups[i].run) = i + 1;
	return 0;
}

static struct seai_group *keys_group(struct seai_table_request *request, int64_t run, size_t *ret_group)
{
	size_t *place;

	if (keys_grow_groups(request) < 0)
		return NULL;
	place = keys_group_place(request, run);
	if (!*place) {
		request->groups[request->n_groups] = (struct seai_group){ .run = run };
		*place = ++request->n_groups;
	}
	*ret_group = *place - 1;
	return &request->groups[*ret_group];
}

/* Adds rows of one run to the batch. */
static int keys_add_stretch(struct seai_table_request *request, struct sea_table_rows *batch, size_t *n_max,
                            int64_t first, int64_t n_rows, int64_t run)
{
	struct sea_table_stretch *stretches = (struct sea_table_stretch *)batch->stretches;
	struct seai_group *group;
	size_t index;
	int sorted = seai_times_look(batch->times_ms + first, n_rows);

	if (sorted < 0)
		return sorted;
	group = keys_group(request, run, &index);
	if (!group)
		return -ENOMEM;
	if (!stretches || batch->n_stretches == *n_max) {
		const size_t n_more = *n_max ? 2 * *n_max : 1;
		struct sea_table_stretch *more = reallocarray(stretches, n_more, sizeof(*stretches));

		if (!more)
			return -ENOMEM;
		batch->stretches = stretches = more;
		*n_max = n_more;
	}
	stretches[batch->n_stretches++] = (struct sea_table_stretch){ .n_rows = n_rows, .group = index };
	return seai_times_add(&group->times, batch->times_ms + first, n_rows, sorted);
}

/* How far the run of a row reaches. 0: there is a null or no number. */
static int64_t keys_run_end(const struct sea_arrow_column *runs, int64_t row, int64_t *ret_run)
{
	int64_t end = row + 1, other;

	if (sea_arrow_column_get_int(runs, row, ret_run) != 0 || *ret_run < 0 || *ret_run == INT64_MAX)
		return 0;
	if (runs->field->type.id == SEA_ARROW_INT && runs->field->index_bits == 0 && runs->field->type.bits == 32 &&
	    !runs->validity) {
		const int32_t *data = (const int32_t *)runs->data + runs->offset, run = data[row];

		while (end < runs->n_rows && data[end] == run)
			end++;
		return end;
	}
	while (end < runs->n_rows && sea_arrow_column_get_int(runs, end, &other) == 0 && other == *ret_run)
		end++;
	return end;
}

static int keys_add_batch(struct seai_table_request *request, const struct sea_arrow_batch *from, int time, int run,
                          struct sea_error *error)
{
	struct sea_table_rows *batch = &request->batches[request->n_batches++];
	const struct sea_arrow_column *times = &from->columns[time];
	size_t n_max = 0;
	int r = 0;

	*batch = (struct sea_table_rows){ .times_ms = times->data, .n_rows = from->n_rows };
	if (times->validity && times->n_nulls != 0)
		return sea_error_set(error, -EINVAL, times->field->name, "has rows without a time");
	request->n_rows += from->n_rows;
	for (int64_t row = 0; row < from->n_rows && r == 0;) {
		int64_t end = from->n_rows, number = SEAI_NO_RUN;

		if (run >= 0)
			end = keys_run_end(&from->columns[run], row, &number);
		if (end == 0)
			return sea_error_set(error, -EINVAL, from->columns[run].field->name,
			                     "has no run number in row %lld", (long long)row);
		r = keys_add_stretch(request, batch, &n_max, row, end - row, number);
		row = end;
	}
	if (r == -ERANGE)
		return sea_error_set(error, -EINVAL, times->field->name,
		                     "has a time below 0, or one from 2^63 - 1 ms on");
	return r;
}

static int keys_read(struct seai_table_request *request, int time, int run, struct sea_error *error)
{
	for (;;) {
		struct sea_arrow_batch *batch = NULL, **arrow_batches;
		struct sea_table_rows *batches;
		int r = sea_arrow_batch_new(&batch, request->reader);

		if (r == 0)
			r = sea_arrow_reader_next(request->reader, batch, error);
		if (r <= 0) {
			sea_arrow_batch_free(batch);
			return r;
		}
		arrow_batches = reallocarray(request->arrow_batches, request->n_batches + 1,
		                             sizeof(struct sea_arrow_batch *));
		if (arrow_batches)
			request->arrow_batches = arrow_batches;
		batches = arrow_batches ? reallocarray(request->batches, request->n_batches + 1, sizeof(*batches))
		                        : NULL;
		if (!batches) {
			sea_arrow_batch_free(batch);
			return -ENOMEM;
		}
		request->batches = batches;
		request->arrow_batches[request->n_batches] = batch;
		r = keys_add_batch(request, batch, time, run, error);
		if (r < 0)
			return r;
	}
}

/* The book of a column for a run; its path is found once. 0; -EINVAL no path, which is said; -ENOMEM. */
static int keys_facts(struct seai_facts **ret_facts, struct sea_ccdb_cache *cache, const struct sea_ccdb_column *column,
                      int64_t run, struct sea_error *error)
{
	char path[sizeof(column->paths)];

	if (sea_ccdb_column_path(column, run, path, sizeof(path)) < 0)
		return sea_error_set(error, -EINVAL, column->name, "has no path for run %lld", (long long)run);
	*ret_facts = seai_cache_facts(cache, path, column->run_mode == SEA_CCDB_RUN_CONSTRAINT ? run : SEAI_NO_RUN);
	return *ret_facts ? 0 : -ENOMEM;
}

/* What each column wants in a group. */
static int keys_look_up(struct sea_ccdb_cache *cache, struct seai_group *group, struct sea_error *error)
{
	group->lookups = calloc(cache->n_columns, sizeof(*group->lookups));
	if (!group->lookups)
		return -ENOMEM;
	if (!cache->has_memo || cache->memo_run != group->run) {
		cache->has_memo = false;
		for (size_t c = 0; c < cache->n_columns; c++) {
			const int r = keys_facts(&cache->memo_facts[c], cache, &cache->columns[c], group->run, error);

			if (r < 0)
				return r;
		}
		cache->has_memo = true;
		cache->memo_run = group->run;
	}
	for (size_t c = 0; c < cache->n_columns; c++) {
		const struct sea_ccdb_column *column = &cache->columns[c];
		struct seai_lookup *lookup = &group->lookups[c];

		lookup->facts = cache->memo_facts[c];
		lookup->facts->last_table = cache->n_requests + 1;
		lookup->is_fixed = column->run_mode == SEA_CCDB_RUN_IS_TIME || column->is_per_run;
		lookup->fixed_ms = column->run_mode == SEA_CCDB_RUN_IS_TIME ? group->run : group->times.first_ms;
	}
	return 0;
}

int seai_table_request_new(struct seai_table_request **ret_request, struct sea_ccdb_cache *cache,
                           struct sea_message *message, struct sea_error *error)
{
	struct seai_table_request *request = calloc(1, sizeof(*request));
	const struct sea_arrow_schema *schema;
	int time = 0, run = -1, r;

	if (!request)
		return -ENOMEM;
	request->message = message;
	r = keys_open(request, cache, &time, error);
	if (r == 0) {
		schema = sea_arrow_reader_schema(request->reader);
		r = keys_check_time(&schema->fields[time], error);
		if (r == 0 && cache->wants_run) {
			run = keys_find(schema, cache->run_column, keys_run_names);
			if (run < 0)
				r = sea_error_set(
					error, -EBADMSG, "key table", "has no column %s, which columns ask for",
					cache->run_column ? cache->run_column : "run, runNumber or fRunNumber");
		}
	}
	if (r == 0)
		r = keys_read(request, time, run, error);
	for (size_t g = 0; g < request->n_groups && r == 0; g++) {
		r = seai_times_seal(&request->groups[g].times);
		if (r == 0)
			r = keys_look_up(cache, &request->groups[g], error);
	}
	if (r < 0) {
		request->message = NULL;
		seai_table_request_free(request);
		return r;
	}
	request->number = ++cache->n_requests;
	request->arrived_ns = seai_now_ns();
	*ret_request = request;
	return 0;
}

struct seai_table_request *seai_table_request_free(struct seai_table_request *request)
{
	if (!request)
		return NULL;
	for (size_t g = 0; g < request->n_groups; g++) {
		seai_times_fini(&request->groups[g].times);
		free(request->groups[g].lookups);
	}
	free(request->groups);
	free(request->group_map);
	for (size_t b = 0; b < request->n_batches; b++) {
		free((void *)(uintptr_t)request->batches[b].stretches);
		sea_arrow_batch_free(request->arrow_batches[b]);
	}
	free(request->arrow_batches);
	free(request->batches);
	sea_arrow_reader_free(request->reader);
	sea_message_unref(request->message);
	free(request);
	return NULL;
}
