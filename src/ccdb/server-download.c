/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents over HTTP: whole or a range of them, straight from the file to the socket. With faults that spoil a body it goes through
 * memory instead, where it can be spoilt.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/range.h"
#include "ccdb/server.h"

#define SLOW_STEP_MS 20
#define BODY_N_BYTES 65536

/* A body that comes by way of memory. */
struct body {
	struct sea_ccdb_server *server;
	int fd;
	uint64_t first;
	uint64_t n_good; /* then it breaks off */
};

static ssize_t body_read(void *userdata, uint64_t at, char *buffer, size_t n_max)
{
	const struct body *body = userdata;
	const uint64_t slow = body->server->faults.slow_bytes_per_s;
	ssize_t n;

	if (at >= body->n_good)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (slow > 0) {
		const uint64_t n_step = slow * SLOW_STEP_MS / 1000;

		seai_fault_sleep(body->server, SLOW_STEP_MS);
		if (n_max > (n_step ? n_step : 1))
			n_max = n_step ? n_step : 1;
	}
	if (n_max > body->n_good - at)
		n_max = body->n_good - at;
	n = pread(body->fd, buffer, n_max, (off_t)(body->first + at));
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void body_free(void *userdata)
{
	struct body *body = userdata;

	seai_close(body->fd);
	free(body);
}

/* The response for n_bytes from first on; takes the descriptor. */
static struct MHD_Response *content_response(struct seai_request *request, int *fd, uint64_t first, uint64_t n_bytes)
{
	struct sea_ccdb_server *server = request->server;
	const bool is_cut = n_bytes > 0 && seai_fault_hits(server, SEAI_FAULT_CUT, server->faults.cut_percent);
	struct MHD_Response *response;
	struct body *body;

	if (n_bytes > 0 && seai_fault_hits(server, SEAI_FAULT_LENGTH, server->faults.wrong_length_percent))
		n_bytes /= 2;
	request->n_bytes = n_bytes;
	if (n_bytes == 0)
		return seai_response_empty();
	if (!is_cut && server->faults.slow_bytes_per_s == 0) {
		response = MHD_create_response_from_fd_at_offset64(n_bytes, *fd, first);
		if (response)
			*fd = -1;
		return response;
	}
	body = calloc(1, sizeof(*body));
	if (!body)
		return NULL;
	*body = (struct body){ server, *fd, first, is_cut ? n_bytes / 2 : n_bytes };
	response = MHD_create_response_from_callback(n_bytes, BODY_N_BYTES, body_read, body, body_free);
	if (response)
		*fd = -1;
	else
		free(body);
	return response;
}

static void content_headers(struct MHD_Response *response, const struct sea_ccdb_entry *entry)
{
	char name[256];
	size_t n = strlen(entry->file_name);

	n = n < sizeof(name) ? n : sizeof(name) - 1;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)(strchr("\"\\", entry->file_name[i]) ? '_' : entry->file_name[i]);
	name[n] = 0;
	seai_object_headers(response, entry);
	seai_response_header(response, "Content-Type", "%s", entry->content_type);
	seai_response_header(response, "Content-Disposition", "inline;filename=\"%s\"", name);
	seai_response_header(response, "Content-MD5", "%s", entry->md5);
	seai_response_header(response, "Accept-Ranges", "bytes");
}

static enum MHD_Result content_bad_range(struct seai_request *request, const struct sea_ccdb_entry *entry)
{
	struct MHD_Response *response = seai_response_empty();

	if (response)
		seai_response_header(response, "Content-Range", "bytes */%" PRIu64, entry->n_bytes);
	return seai_request_empty(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, response);
}

enum MHD_Result seai_content_answer(struct seai_request *request, const struct sea_ccdb_entry *entry, bool is_direct)
{
	const char *range = seai_request_header(request, "Range");
	uint64_t first = 0, n_bytes = entry->n_bytes;
	struct MHD_Response *response;
	const int is_range = range ? seai_range_parse(range, entry->n_bytes, &first, &n_bytes) : 0;
	SEAI_AUTO_FD int fd = -1;

	if (is_range < 0)
		return content_bad_range(request, entry);
	fd = sea_ccdb_store_open_content(request->server->store, entry);
	if (fd < 0)
		return seai_request_failed(request, fd, NULL);
	response = content_response(request, &fd, first, n_bytes);
	if (!response)
		return MHD_NO;
	content_headers(response, entry);
	if (is_direct) {
		seai_response_header(response, "Cache-Valid-Until", "%" PRId64, entry->cache_valid_until_ms);
		seai_response_header(response, "Content-Location", "/download/%s", entry->uuid);
	}
	if (is_range)
		seai_response_header(response, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
		                     first + n_bytes - 1, entry->n_bytes);
	if (strcmp(request->method, "HEAD") == 0) {
		request->n_bytes = 0;
	} else {
		atomic_fetch_add_explicit(&request->server->counters.n_downloads, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&request->server->counters.n_bytes_down, request->n_bytes,
		                          memory_order_relaxed);
	}
	return seai_request_answer(request, is_range ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, response);
}

/* The fault: puts the same content as another version and removes this one. */
static int download_replace(struct sea_ccdb_server *server, const struct sea_ccdb_entry *entry)
{
	struct sea_ccdb_pair metadata[SEA_CCDB_METADATA_N_MAX];
	const struct sea_ccdb_store_query old = {
		.path = entry->path, .has_time = 1, .time_ms = entry->valid_from_ms, .uuid = entry->uuid
	};
	struct sea_ccdb_put put = {
		.path = entry->path,
		.valid_from_ms = entry->valid_from_ms,
		.valid_until_ms = entry->valid_until_ms,
		.metadata = metadata,
		.n_metadata = entry->n_metadata + 1,
		.file_name = entry->file_name,
		.content_type = entry->content_type,
		.n_bytes = entry->n_bytes,
	};
	SEAI_AUTO_FD int fd = sea_ccdb_store_open_content(server->store, entry);
	SEAI_AUTO_FREE char *data = malloc(entry->n_bytes + 1);
	int r;

	if (fd < 0 || !data || entry->n_metadata >= SEA_CCDB_METADATA_N_MAX)
		return fd < 0 ? fd : -ENOMEM;
	if (pread(fd, data, entry->n_bytes, 0) != (ssize_t)entry->n_bytes)
		return -EIO;
	memcpy(metadata, entry->metadata, entry->n_metadata * sizeof(*metadata));
	metadata[entry->n_metadata] = (struct sea_ccdb_pair){ "replaces", entry->uuid };
	put.data = data;
	r = sea_ccdb_store_put(server->store, &put, NULL, NULL);
	return r < 0 ? r : sea_ccdb_store_remove(server->store, &old);
}

enum MHD_Result seai_download(struct seai_request *request)
{
	struct sea_ccdb_server *server = request->server;
	SEAI_AUTO_ENTRY struct sea_ccdb_entry *entry = NULL;
	int r = sea_ccdb_store_find(server->store, request->url.uuid, &entry);

	/* The replacement itself is not replaced: a client that asks again gets through. */
	if (r == 0 && server->faults.replace_before_download && !sea_ccdb_entry_get(entry, "replaces")) {
		r = download_replace(server, entry);
		atomic_fetch_add_explicit(&server->counters.n_faults, r == 0, memory_order_relaxed);
		r = r == 0 ? -ENOENT : r;
	}
	return r < 0 ? seai_request_failed(request, r, NULL) : seai_content_answer(request, entry, false);
}
