/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers: index table, object table, and the objects that they name, in one message. It is made in one go, of facts that are all good for this request at that
 * instant.
 *
 * The odd rule: a version that two columns name has two rows and one part.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/cache.h"

/* So many a message can hold whatever else is in it. */
#define ANSWER_N_VERSIONS_SURE 4000

/* What is collected for one answer. */
struct seai_answer {
	struct sea_ccdb_cache *cache;
	struct seai_table_request *request;
	struct sea_table_column *columns;
	struct sea_table_group *groups;
	struct sea_table_object *objects;
	struct seai_version **parts;          /* in the order of their part numbers */
	struct sea_table_interval *intervals; /* of all columns and groups, one after the other */
	size_t n_objects, n_objects_max, n_parts, n_parts_max, n_intervals, n_intervals_max;
};

static int answer_grow(void *array, size_t n, size_t *n_max, size_t size)
{
	void **pointer = array, *more;

	if (n < *n_max)
		return 0;
	more = reallocarray(*pointer, *n_max ? 2 * *n_max : 16, size);
	if (!more)
		return -ENOMEM;
	*pointer = more;
	*n_max = *n_max ? 2 * *n_max : 16;
	return 0;
}

/* The part that a version's content is; made if it is not there. */
static int answer_part(struct seai_answer *answer, struct seai_version *version)
{
	int r;

	if (version->part_answer == answer->cache->n_answers)
		return version->part;
	r = answer_grow(&answer->parts, answer->n_parts, &answer->n_parts_max, sizeof(struct seai_version *));
	if (r < 0)
		return r;
	version->part_answer = answer->cache->n_answers;
	version->part = SEA_TABLE_PART_FIRST_OBJECT + (int)answer->n_parts;
	answer->parts[answer->n_parts++] = version;
	return version->part;
}

/* The row of the object table that says a version of a column. */
static int answer_row(struct seai_answer *answer, struct seai_version *version, uint32_t column, uint32_t *ret_row)
{
	struct sea_table_object *object;
	int r, part = SEA_TABLE_NO_PART;

	if (version->row_answer == answer->cache->n_answers && version->row_column == column) {
		*ret_row = version->row;
		return 0;
	}
	r = answer_grow(&answer->objects, answer->n_objects, &answer->n_objects_max, sizeof(*answer->objects));
	if (r < 0)
		return r;
	if (version->status == 0) {
		part = answer_part(answer, version);
		if (part < 0)
			return part;
	}
	object = &answer->objects[answer->n_objects];
	*object = (struct sea_table_object){
		.n_bytes = version->n_bytes,
		.column = answer->cache->columns[column].name,
		.path = version->path->path,
		.uuid = version->info.uuid,
		.headers = version->headers,
		.reason = version->reason,
		.valid_from_ms = version->info.valid_from_ms,
		.valid_until_ms = version->info.valid_until_ms,
		.created_ms = version->info.created_ms,
		.status = version->status,
		.part = part,
		.meta = version->meta,
	};
	version->row_answer = answer->cache->n_answers;
	version->row_column = column;
	version->row = *ret_row = (uint32_t)answer->n_objects++;
	return 0;
}

/* What holds when for a column in a group: what facts say of each of its times. @param ret_n how many intervals that has added */
static int answer_intervals(struct seai_answer *answer, const struct seai_group *group, uint32_t column, size_t *ret_n)
{
	const struct seai_lookup *lookup = &group->lookups[column];
	const size_t first = answer->n_intervals;
	int64_t t;
	int r = 0;

	for (int64_t from = INT64_MIN; r == 0 && seai_lookup_next(group, lookup, from, &t);) {
		struct seai_fact *fact = seai_table_request_fact(answer->cache, answer->request, lookup,
		                                                 &answer->cache->columns[column], t);
		uint32_t row;

		/* Times that a peer has changed since they were looked up. */
		if (!fact)
			r = -EAGAIN;
		else
			r = answer_row(answer, fact->version, column, &row);
		if (r < 0)
			break;
		from = fact->until_ms;
		/* No row has a time in between: it may be said to hold there as well. */
		if (answer->n_intervals > first && answer->intervals[answer->n_intervals - 1].object == row) {
			answer->intervals[answer->n_intervals - 1].until_ms = fact->until_ms;
			continue;
		}
		r = answer_grow(&answer->intervals, answer->n_intervals, &answer->n_intervals_max,
		                sizeof(*answer->intervals));
		if (r == 0)
			answer->intervals[answer->n_intervals++] =
				(struct sea_table_interval){ fact->from_ms, fact->until_ms, row, 0 };
	}
	*ret_n = answer->n_intervals - first;
	if (r == 0 && lookup->is_fixed && *ret_n == 1) {
		answer->intervals[first].from_ms = INT64_MIN;
		answer->intervals[first].until_ms = INT64_MAX;
	}
	return r;
}

static struct sea_table_intervals *columns_of(const struct seai_answer *answer, size_t group)
{
	return (struct sea_table_intervals *)(uintptr_t)answer->groups[group].columns;
}

static int answer_collect(struct seai_answer *answer)
{
	struct sea_ccdb_cache *cache = answer->cache;
	struct seai_table_request *request = answer->request;

	answer->columns = calloc(cache->n_columns, sizeof(*answer->columns));
	answer->groups = calloc(request->n_groups ? request->n_groups : 1, sizeof(*answer->groups));
	if (!answer->columns || !answer->groups)
		return -ENOMEM;
	for (size_t c = 0; c < cache->n_columns; c++)
		answer->columns[c] = (struct sea_table_column){ .name = cache->columns[c].name,
			                                        .paths = cache->columns[c].paths };
	for (size_t g = 0; g < request->n_groups; g++) {
		struct sea_table_intervals *intervals = calloc(cache->n_columns, sizeof(*intervals));

		if (!intervals)
			return -ENOMEM;
		answer->groups[g].columns = intervals;
	}
	/* By column, so that the rows of one stand together. */
	for (uint32_t c = 0; c < cache->n_columns; c++)
		for (size_t g = 0; g < request->n_groups; g++) {
			const int r = answer_intervals(answer, &request->groups[g], c,
			                               &columns_of(answer, g)[c].n_intervals);

			if (r < 0)
				return r;
		}
	/* Where they stand is known now. */
	for (size_t c = 0, at = 0; c < cache->n_columns; c++)
		for (size_t g = 0; g < request->n_groups; g++) {
			struct sea_table_intervals *of = &columns_of(answer, g)[c];

			of->intervals = of->n_intervals ? answer->intervals + at : NULL;
			at += of->n_intervals;
		}
	return 0;
}

static void answer_fini(struct seai_answer *answer)
{
	for (size_t g = 0; answer->groups && g < answer->request->n_groups; g++)
		free(columns_of(answer, g));
	free(answer->intervals);
	free(answer->groups);
	free(answer->columns);
	free(answer->objects);
	free(answer->parts);
}

/* The two tables, and the objects. */
static int answer_make(struct seai_answer *answer, struct sea_table_writer *writer, struct sea_message **ret_message,
                       struct sea_error *error)
{
	struct sea_frame_options frame_options = { .n_bytes_max = { sea_table_writer_n_bytes(writer) + 4096 },
		                                   .n_parts_hint = (uint32_t)answer->n_parts + 2 };
	struct sea_frame *frame = NULL;
	int r = sea_frame_new(&frame, answer->cache->options.heap, &frame_options, 0);

	if (r >= 0)
		r = sea_table_writer_add_to(writer, frame, 0, error);
	for (size_t i = 0; i < answer->n_parts && r >= 0; i++)
		r = sea_frame_add_part_of(frame, answer->parts[i]->object, 0);
	if (r == -E2BIG && answer->n_parts > ANSWER_N_VERSIONS_SURE)
		sea_error_set(error, r, "table", "names %zu versions of objects, more than one message can hold",
		              answer->n_parts);
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_message);
	sea_frame_free(frame);
	return r < 0 ? r : 0;
}

/* The other parts of the request's message before the tables. Takes *tables. */
static int answer_join(struct sea_ccdb_cache *cache, const struct seai_table_request *request,
                       struct sea_message **tables, struct sea_message **ret_answer)
{
	const size_t n_others = cache->options.is_apart ? 0 : sea_message_n_parts(request->message);
	/* Nothing is copied: what a dead receiver had of the timeframe's own parts goes back to who sent them. */
	struct sea_frame_options frame_options = { .n_bytes_max = { 4096 }, .copy_below_n_bytes = 1 };
	struct sea_frame *frame = NULL;
	int r;

	if (n_others <= 1) {
		*ret_answer = *tables;
		*tables = NULL;
		return 0;
	}
	frame_options.n_parts_hint = (uint32_t)(n_others + sea_message_n_parts(*tables));
	r = sea_frame_new(&frame, cache->options.heap, &frame_options, 0);
	for (size_t i = 0; i < n_others && r >= 0; i++)
		if (i != request->key_part)
			r = sea_frame_add_part_of(frame, request->message, i);
	if (r >= 0)
		r = sea_frame_add_message(frame, *tables);
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_answer);
	sea_frame_free(frame);
	*tables = sea_message_unref(*tables);
	return r < 0 ? r : 0;
}

/* What the rows would take if each had the bytes of its objects; of times in no order, as if each version had as many rows. */
static uint64_t answer_named_bytes(const struct seai_answer *answer)
{
	uint64_t n_bytes = 0;

	for (size_t g = 0; g < answer->request->n_groups; g++)
		for (size_t c = 0; c < answer->cache->n_columns; c++) {
			const struct sea_table_intervals *column = &answer->groups[g].columns[c];
			const struct seai_times *times = &answer->request->groups[g].times;

			for (size_t i = 0; i < column->n_intervals; i++)
				n_bytes += answer->objects[column->intervals[i].object].n_bytes *
				           seai_times_count(times, column->intervals[i].from_ms,
				                            column->intervals[i].until_ms, column->n_intervals);
		}
	return n_bytes;
}

/* New tables for a request. */
static int answer_write(struct sea_ccdb_cache *cache, struct seai_table_request *request,
                        struct sea_message **ret_tables, struct sea_error *error)
{
	struct seai_answer answer = { .cache = cache, .request = request };
	const struct sea_arrow_schema *keys = sea_arrow_reader_schema(request->reader);
	int r;

	/* Each attempt has a number of its own: rows of one that found no room are not those of the next. */
	cache->n_answers++;
	r = answer_collect(&answer);
	if (r == 0) {
		const struct sea_table_plan plan = {
			.metadata = keys->metadata,
			.n_metadata = keys->n_metadata,
			.columns = answer.columns,
			.n_columns = cache->n_columns,
			.groups = answer.groups,
			.n_groups = request->n_groups,
			.batches = request->batches,
			.n_batches = request->n_batches,
			.objects = answer.objects,
			.n_objects = answer.n_objects,
			.encoding = cache->options.encoding,
		};

		/* One for all answers: their columns are the same. */
		r = cache->writer ? sea_table_writer_set_plan(cache->writer, &plan, error)
		                  : sea_table_writer_new(&cache->writer, &plan, error);
	}
	if (r == 0)
		r = answer_make(&answer, cache->writer, ret_tables, error);
	if (r == 0) {
		request->n_bytes_named = answer_named_bytes(&answer);
		cache->n_last_versions = answer.n_parts;
	}
	answer_fini(&answer);
	return r;
}

int seai_table_request_answer(struct sea_ccdb_cache *cache, struct seai_table_request *request,
                              struct sea_message **ret_answer, struct sea_error *error)
{
	struct sea_message *tables = seai_bundle_try(cache, request);
	int r = 0;

	if (tables) {
		cache->stats.n_reused++;
		for (size_t c = 0; c < cache->n_columns; c++)
			request->n_bytes_named += (uint64_t)request->n_rows * cache->bundle.versions[c]->n_bytes;
	} else {
		/* The old one goes before its like is made: it may be large. */
		seai_bundle_forget(cache);
		r = answer_write(cache, request, &tables, error);
		if (r == 0)
			seai_bundle_keep(cache, request, tables);
	}
	if (r == 0)
		r = answer_join(cache, request, &tables, ret_answer);
	if (r == 0)
		cache->stats.n_bytes_named += request->n_bytes_named;
	if (r == -ENOMEM || r == -ETIMEDOUT)
		r = sea_error_set(error, -ENOSPC, "table", "there is no room for it");
	if (r < 0 && error && !error->code)
		sea_error_set(error, r, "table", "%s", sea_error_text(r));
	return r;
}
