/* SPDX-License-Identifier: Apache-2.0 */
/* The cache as its users see it: requests come in, answers go out in the same order; see cache.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ccdb/cache.h"

#define CACHE_N_COLUMNS_MAX 1000
#define CACHE_WAIT_NS INT64_C(1000000000)
#define CACHE_N_TABLES_KEPT 16
/* After so many new facts what is not needed any more is looked for. */
#define CACHE_N_FACTS_LEARNED 4096

void seai_cache_look_again(struct sea_ccdb_cache *cache, int64_t in_ns)
{
	struct itimerspec timer = { 0 }, before;

	if (in_ns < 1)
		in_ns = 1;
	/* The earliest of those that were asked for. */
	if (timerfd_gettime(cache->timer_fd, &before) == 0 && (before.it_value.tv_sec || before.it_value.tv_nsec) &&
	    (int64_t)before.it_value.tv_sec * 1000000000 + before.it_value.tv_nsec <= in_ns)
		return;
	timer.it_value.tv_sec = in_ns / 1000000000;
	timer.it_value.tv_nsec = in_ns % 1000000000;
	timerfd_settime(cache->timer_fd, 0, &timer, NULL);
}

static int cache_check(const struct sea_ccdb_cache_options *options, struct sea_error *error)
{
	char path[sizeof(options->columns->paths)];

	if (!options->heap)
		return sea_error_set(error, -EINVAL, "heap", "is missing");
	if (options->n_columns == 0 || options->n_columns > CACHE_N_COLUMNS_MAX)
		return sea_error_set(error, -EINVAL, "columns", "there are %zu, not 1 to %d", options->n_columns,
		                     CACHE_N_COLUMNS_MAX);
	for (size_t i = 0; i < options->n_columns; i++) {
		const struct sea_ccdb_column *column = &options->columns[i];

		for (size_t j = 0; j < i; j++)
			if (strcmp(options->columns[j].name, column->name) == 0)
				return sea_error_set(error, -EINVAL, column->name, "is the name of two columns");
		if (!column->paths[0] || (!sea_ccdb_column_wants_run(column) &&
		                          sea_ccdb_column_path(column, SEAI_NO_RUN, path, sizeof(path)) < 0))
			return sea_error_set(error, -EINVAL, column->name, "has no path");
	}
	return 0;
}

static int cache_open_fds(struct sea_ccdb_cache *cache)
{
	struct epoll_event event = { .events = EPOLLIN };

	cache->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	cache->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (cache->epoll_fd < 0 || cache->timer_fd < 0 ||
	    epoll_ctl(cache->epoll_fd, EPOLL_CTL_ADD, cache->timer_fd, &event) < 0 ||
	    epoll_ctl(cache->epoll_fd, EPOLL_CTL_ADD, sea_ccdb_client_fd(cache->client), &event) < 0)
		return -errno;
	return 0;
}

int sea_ccdb_cache_new(struct sea_ccdb_cache **ret_cache, const struct sea_ccdb_cache_options *options,
                       struct sea_error *error)
{
	struct sea_ccdb_client_options client = options->client;
	struct sea_ccdb_cache *cache;
	int r = cache_check(options, error);

	if (r < 0)
		return r;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	cache->options = *options;
	cache->epoll_fd = cache->timer_fd = -1;
	cache->last = &cache->first;
	cache->options.wait_ns = options->wait_ns ? options->wait_ns : CACHE_WAIT_NS;
	cache->options.n_tables_kept = options->n_tables_kept ? options->n_tables_kept : CACHE_N_TABLES_KEPT;
	cache->n_columns = options->n_columns;
	cache->columns = calloc(options->n_columns, sizeof(*cache->columns));
	cache->time_column = options->time_column ? strdup(options->time_column) : NULL;
	cache->run_column = options->run_column ? strdup(options->run_column) : NULL;
	cache->memo_facts = calloc(options->n_columns, sizeof(struct seai_facts *));
	cache->epoch = cache->n_lost = 1;
	if (!cache->columns || !cache->memo_facts || (options->time_column && !cache->time_column) ||
	    (options->run_column && !cache->run_column))
		r = -ENOMEM;
	for (size_t i = 0; i < options->n_columns && r == 0; i++) {
		cache->columns[i] = options->columns[i];
		cache->wants_run = cache->wants_run || sea_ccdb_column_wants_run(&options->columns[i]);
	}
	client.forget_contents = true;
	if (r == 0)
		r = sea_ccdb_client_new(&cache->client, &client, error);
	if (r == 0)
		r = cache_open_fds(cache);
	if (r < 0) {
		sea_ccdb_cache_free(cache);
		return r;
	}
	*ret_cache = cache;
	return 0;
}

struct sea_ccdb_cache *sea_ccdb_cache_free(struct sea_ccdb_cache *cache)
{
	if (!cache)
		return NULL;
	seai_cache_free_facts(cache);
	while (cache->first) {
		struct seai_table_request *request = cache->first;

		cache->first = request->next;
		seai_table_request_free(request);
	}
	seai_bundle_forget(cache);
	sea_table_writer_free(cache->writer);
	seai_cache_free_paths(cache);
	sea_ccdb_client_free(cache->client);
	if (cache->epoll_fd >= 0)
		close(cache->epoll_fd);
	if (cache->timer_fd >= 0)
		close(cache->timer_fd);
	free(cache->columns);
	free(cache->memo_facts);
	free(cache->time_column);
	free(cache->run_column);
	free(cache);
	return NULL;
}

/* Has all requests ask for what they lack; the client answers later, from its dispatch. */
static void cache_advance(struct sea_ccdb_cache *cache)
{
	for (struct seai_table_request *request = cache->first; request; request = request->next)
		(void)seai_table_request_advance(cache, request, request == cache->first);
}

int sea_ccdb_cache_put(struct sea_ccdb_cache *cache, struct sea_message **message, struct sea_error *error)
{
	struct seai_table_request *request;
	int r = seai_table_request_new(&request, cache, *message, error);

	if (r < 0)
		return r;
	*message = NULL;
	*cache->last = request;
	cache->last = &request->next;
	cache->stats.n_waiting++;
	(void)seai_table_request_advance(cache, request, request == cache->first);
	return 0;
}

/* Makes the answer; where there is no room, without what this request does not need. -EAGAIN: others may let go of some. */
static int cache_answer(struct sea_ccdb_cache *cache, struct seai_table_request *request,
                        struct sea_message **ret_answer)
{
	struct sea_heap_stats heap;
	int r = seai_table_request_answer(cache, request, ret_answer, &request->error);

	if (r != -ENOSPC)
		return r;
	seai_cache_sweep(cache, SEAI_SWEEP_FIRST);
	request->error = (struct sea_error){ 0 };
	r = seai_table_request_answer(cache, request, ret_answer, &request->error);
	if (r != -ENOSPC)
		return r;
	sea_heap_get_stats(cache->options.heap, &heap);
	if (cache->n_fetches || heap.n_blocks_used > cache->stats.n_versions)
		return -EAGAIN;
	return sea_error_set(&request->error, -E2BIG, "table",
	                     "%lld rows do not fit into the quota of %llu bytes beside %llu bytes of their objects",
	                     (long long)request->n_rows, (unsigned long long)heap.quota_n_bytes,
	                     (unsigned long long)cache->stats.n_versions_bytes);
}

int sea_ccdb_cache_take(struct sea_ccdb_cache *cache, struct sea_message **ret_answer, struct sea_error *error)
{
	struct seai_table_request *request = cache->first;
	int r;

	if (!request)
		return 0;
	r = seai_table_request_advance(cache, request, true);
	if (r == 0)
		return 0;
	if (r > 0) {
		r = cache_answer(cache, request, ret_answer);
		/* The heap is full, and whoever holds tables has to let go of one; or a peer has changed times since they were looked up. */
		if (r == -EAGAIN) {
			request->error = (struct sea_error){ 0 };
			request->complete_epoch = 0;
			cache->n_lost++;
			seai_cache_look_again(cache, INT64_C(2000000));
			return 0;
		}
	}
	if (r < 0) {
		cache->stats.n_failed++;
		if (error)
			*error = request->error;
	} else {
		cache->stats.n_tables++;
		cache->stats.n_rows += (uint64_t)request->n_rows;
		cache->stats.n_cells += (uint64_t)request->n_rows * cache->n_columns;
	}
	cache->first = request->next;
	if (!cache->first)
		cache->last = &cache->first;
	cache->n_answered = request->number;
	cache->stats.n_waiting--;
	seai_table_request_free(request);
	/* Only where something is here that this table did not need, or much was learned, be it that there is nothing. */
	if (r < 0 || cache->stats.n_versions > cache->n_last_versions ||
	    cache->n_facts > cache->n_facts_kept + CACHE_N_FACTS_LEARNED) {
		seai_cache_sweep(cache, SEAI_SWEEP_RECENT);
		seai_cache_trim_facts(cache);
	}
	if (cache->first)
		cache_advance(cache);
	return r < 0 ? r : 1;
}

int sea_ccdb_cache_fd(const struct sea_ccdb_cache *cache)
{
	return cache->epoll_fd;
}

int sea_ccdb_cache_dispatch(struct sea_ccdb_cache *cache)
{
	uint64_t n;
	int r;

	if (read(cache->timer_fd, &n, sizeof(n)) == sizeof(n))
		cache->is_again = true;
	r = sea_ccdb_client_dispatch(cache->client);
	if (cache->is_again) {
		cache->is_again = false;
		cache_advance(cache);
	}
	return r < 0 ? r : 0;
}

void sea_ccdb_cache_get_stats(struct sea_ccdb_cache *cache, struct sea_ccdb_cache_stats *ret_stats)
{
	*ret_stats = cache->stats;
}

void sea_ccdb_cache_client_stats(const struct sea_ccdb_cache *cache, struct sea_ccdb_client_stats *ret_stats)
{
	sea_ccdb_client_get_stats(cache->client, ret_stats);
}
