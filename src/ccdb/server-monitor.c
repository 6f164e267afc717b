/* SPDX-License-Identifier: Apache-2.0 */
/* What the server tells about itself: counters as Prometheus reads them, and everything as JSON for tests. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/server.h"
#include "ccdb/store.h"

/* Every number that is told, in one place for both forms. */
struct number {
	const char *name;
	const char *help;
	bool is_gauge;
	uint64_t value;
};
#define N_NUMBERS 17

static void numbers_fill(const struct sea_ccdb_server *server, const struct sea_ccdb_total *total,
                         struct number ret_numbers[static N_NUMBERS])
{
	struct sea_ccdb_server_stats stats;

	sea_ccdb_server_get_stats(server, &stats);
	memcpy(ret_numbers,
	       (struct number[N_NUMBERS]){
		       { "requests_total", "requests, answered or not", false, stats.n_requests },
		       { "answers_2xx_total", "answers that are good", false, stats.n_status[2] },
		       { "answers_3xx_total", "answers that redirect, or say not modified", false, stats.n_status[3] },
		       { "answers_4xx_total", "answers that refuse, or find nothing", false, stats.n_status[4] },
		       { "answers_5xx_total", "answers that failed", false, stats.n_status[5] },
		       { "unanswered_total", "connections that ended before the answer", false, stats.n_status[0] },
		       { "redirects_total", "303", false, stats.n_redirects },
		       { "not_modified_total", "304", false, stats.n_not_modified },
		       { "downloads_total", "contents sent, ranges included", false, stats.n_downloads },
		       { "downloaded_bytes_total", "bytes of those", false, stats.n_bytes_down },
		       { "uploads_total", "objects uploaded", false, stats.n_uploads },
		       { "uploaded_bytes_total", "bytes of those", false, stats.n_bytes_up },
		       { "faults_total", "done wrong on purpose", false, stats.n_faults },
		       { "connections", "open now", true, stats.n_connections },
		       { "paths", "paths with objects", true, total->n_paths },
		       { "objects", "objects", true, total->n_objects },
		       { "stored_bytes", "bytes of all objects", true, total->n_bytes },
	       },
	       N_NUMBERS * sizeof(struct number));
}

static enum MHD_Result answer_own(struct seai_request *request, const char *type, char *text, size_t n_bytes)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(n_bytes, text, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(text);
		return MHD_NO;
	}
	seai_response_header(response, "Content-Type", "%s", type);
	request->n_bytes = n_bytes;
	return seai_request_answer(request, MHD_HTTP_OK, response);
}

static enum MHD_Result monitor_text(struct seai_request *request, const struct number *numbers)
{
	char *text = NULL;
	size_t n_bytes = 0;
	FILE *stream = open_memstream(&text, &n_bytes);

	if (!stream)
		return MHD_NO;
	for (size_t i = 0; i < N_NUMBERS; i++)
		fprintf(stream, "# HELP sealane_ccdb_%s %s\n# TYPE sealane_ccdb_%s %s\nsealane_ccdb_%s %" PRIu64 "\n",
		        numbers[i].name, numbers[i].help, numbers[i].name, numbers[i].is_gauge ? "gauge" : "counter",
		        numbers[i].name, numbers[i].value);
	fclose(stream);
	return answer_own(request, "text/plain; version=0.0.4; charset=utf-8", text, n_bytes);
}

static int state_entry(const struct sea_ccdb_entry *entry, void *userdata)
{
	json_t *list = userdata, *metadata = json_object();

	for (size_t i = 0; i < entry->n_metadata; i++)
		json_object_set_new(metadata, entry->metadata[i].key, json_string(entry->metadata[i].value));
	json_array_append_new(list,
	                      json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o}", "path", entry->path, "uuid",
	                                entry->uuid, "created", (json_int_t)entry->created_ms, "from",
	                                (json_int_t)entry->valid_from_ms, "until", (json_int_t)entry->valid_until_ms,
	                                "size", (json_int_t)entry->n_bytes, "md5", entry->md5, "metadata", metadata));
	return 0;
}

static enum MHD_Result monitor_state(struct seai_request *request, const struct number *numbers)
{
	const struct sea_ccdb_store_query all = { .path = "*" };
	json_t *state = json_object(), *counters = json_object(), *objects = json_array();
	char *text;
	int64_t n;

	for (size_t i = 0; i < N_NUMBERS; i++)
		json_object_set_new(counters, numbers[i].name, json_integer((json_int_t)numbers[i].value));
	n = sea_ccdb_store_list(request->server->store, &all, 0, 0, state_entry, objects);
	json_object_set_new(state, "now", json_integer(seai_store_now_ms()));
	json_object_set_new(state, "start", json_integer(request->server->start_ms));
	json_object_set_new(state, "counters", counters);
	json_object_set_new(state, "objects", objects);
	text = n < 0 ? NULL : json_dumps(state, JSON_COMPACT);
	json_decref(state);
	if (!text)
		return seai_request_failed(request, n < 0 ? (int)n : -ENOMEM, NULL);
	return answer_own(request, "application/json", text, strlen(text));
}

enum MHD_Result seai_monitor(struct seai_request *request)
{
	struct sea_ccdb_total total = { 0 };
	struct number numbers[N_NUMBERS];
	const int r = sea_ccdb_store_total(request->server->store, &total);

	if (r < 0)
		return seai_request_failed(request, r, NULL);
	numbers_fill(request->server, &total, numbers);
	if (!*request->url.path)
		return monitor_text(request, numbers);
	if (strcmp(request->url.path, "state.json") == 0)
		return monitor_state(request, numbers);
	return seai_request_text(request, MHD_HTTP_NOT_FOUND, "There are /monitor and /monitor/state.json");
}
