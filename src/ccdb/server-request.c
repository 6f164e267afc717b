/* SPDX-License-Identifier: Apache-2.0 */
/* One request from its first byte to its line in the log: checks, the body, who answers it. */
#include "ccdb/server-request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ccdb/check.h"
#include "ccdb/server.h"
#include "ccdb/store.h"

#define HEADERS_N_MAX 64
/* A body that is thrown away is read up to here; beyond it the connection is closed. */
#define DISCARD_N_MAX (UINT64_C(1) << 20)
/* What stands around the content in multipart/form-data. */
#define ENVELOPE_N_MAX (UINT64_C(64) << 10)

static const char allowed[] = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What was asked. ------------------------------------------------------------------------------ */

const char *seai_request_header(const struct seai_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

int64_t seai_request_number(const struct seai_request *request, const char *name)
{
	const char *text = seai_request_header(request, name);
	int64_t number = 0;

	return text && seai_url_time(text, &number) == 0 ? number : 0;
}

struct sea_ccdb_store_query seai_request_query(const struct seai_request *request)
{
	const struct seai_url *url = &request->url;

	return (struct sea_ccdb_store_query){
		.path = url->path,
		.has_time = url->has_start,
		.time_ms = url->start_ms,
		.uuid = url->uuid,
		.metadata = url->metadata,
		.n_metadata = url->n_metadata,
		.not_before_ms = seai_request_number(request, "If-Not-Before"),
		.not_after_ms = seai_request_number(request, "If-Not-After"),
	};
}

/* Answers. ------------------------------------------------------------------------------------- */

void seai_response_header(struct MHD_Response *response, const char *name, const char *format, ...)
{
	va_list arguments;
	char *value;
	int n;

	va_start(arguments, format);
	n = vasprintf(&value, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	(void)MHD_add_response_header(response, name, value);
	free(value);
}

enum MHD_Result seai_request_answer(struct seai_request *request, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, "Cache-Control", "no-cache");
	r = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	request->is_answered = r == MHD_YES;
	request->status = status;
	return r;
}

enum MHD_Result seai_request_text(struct seai_request *request, unsigned status, const char *format, ...)
{
	struct MHD_Response *response;
	va_list arguments;
	char *text = NULL;
	size_t n_bytes = 0;
	FILE *stream = open_memstream(&text, &n_bytes);

	if (!stream)
		return MHD_NO;
	va_start(arguments, format);
	vfprintf(stream, format, arguments);
	va_end(arguments);
	fputc('\n', stream);
	fclose(stream);
	response = MHD_create_response_from_buffer(n_bytes, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	seai_response_header(response, "Content-Type", "text/plain; charset=utf-8");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		seai_response_header(response, "Allow", "%s", allowed);
	request->n_bytes = n_bytes;
	return seai_request_answer(request, status, response);
}

struct MHD_Response *seai_response_empty(void)
{
	static char nothing[1];

	return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result seai_request_empty(struct seai_request *request, unsigned status, struct MHD_Response *response)
{
	return seai_request_answer(request, status, response ? response : seai_response_empty());
}

enum MHD_Result seai_request_failed(struct seai_request *request, int error, const struct sea_error *text)
{
	char line[1000];

	switch (error) {
	case -ENOENT: return seai_request_text(request, MHD_HTTP_NOT_FOUND, "No matching objects found");
	case -EINVAL:
	case -EEXIST:
		return seai_request_text(request, error == -EINVAL ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_CONFLICT, "%s",
		                         text && text->text[0] ? sea_error_line(text, line, sizeof(line))
		                                               : sea_error_text(error));
	case -EROFS: return seai_request_text(request, MHD_HTTP_FORBIDDEN, "This server does not change its objects");
	case -E2BIG:
		return seai_request_text(request, MHD_HTTP_CONTENT_TOO_LARGE, "The largest upload is %" PRIu64 " bytes",
		                         request->server->n_bytes_upload_max);
	case -ENOSPC: return seai_request_text(request, MHD_HTTP_INSUFFICIENT_STORAGE, "There is no room in the store");
	case -EBUSY: return seai_request_text(request, MHD_HTTP_SERVICE_UNAVAILABLE, "The store is busy: try again");
	default:
		return seai_request_text(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "The store failed: %s",
		                         sea_error_text(error));
	}
}

/* Who answers. --------------------------------------------------------------------------------- */

static bool is_method(const struct seai_request *request, const char *method)
{
	return strcmp(request->method, method) == 0;
}

static bool request_reads(const struct seai_request *request)
{
	return is_method(request, "GET") || is_method(request, "HEAD");
}

static enum MHD_Result request_root(struct seai_request *request)
{
	return seai_request_text(
		request, MHD_HTTP_OK,
		"This is a CCDB.\n\n"
		"  GET    /<path>/<time>[/<uuid>][/<key>=<value>...]          the object that is valid then\n"
		"  POST   /<path>/<from>/<until>[/<uuid>][/<key>=<value>...]  multipart/form-data, one part\n"
		"  PUT    /<path>/<time>[/<new end>][/<uuid>][?<key>=<value>...]\n"
		"  DELETE /<path>/<time>[/<uuid>][/<key>=<value>...]\n"
		"  GET    /browse/<pattern>  /latest/<pattern>  /truncate/<pattern>  /download/<uuid>\n"
		"  GET    /monitor  /monitor/state.json\n\n"
		"Times are milliseconds since 1970. More: /browse/");
}

static enum MHD_Result request_object(struct seai_request *request)
{
	if (!request->url.has_start)
		return seai_request_text(request, MHD_HTTP_BAD_REQUEST, "%s: a time is missing: /<path>/<time>",
		                         request->url.path);
	if (request_reads(request))
		return seai_object_get(request);
	if (request->server->read_only)
		return seai_request_failed(request, -EROFS, NULL);
	if (is_method(request, "PUT"))
		return seai_object_put(request);
	if (is_method(request, "DELETE"))
		return seai_object_delete(request);
	return seai_object_post_end(request);
}

static enum MHD_Result request_dispatch(struct seai_request *request)
{
	const enum seai_url_kind kind = request->url.kind;

	if (is_method(request, "OPTIONS")) {
		struct MHD_Response *response = seai_response_empty();

		if (response)
			seai_response_header(response, "Allow", "%s",
			                     kind == SEAI_URL_OBJECT ? allowed : "GET, HEAD, OPTIONS");
		return seai_request_empty(request, MHD_HTTP_OK, response);
	}
	if (kind == SEAI_URL_OBJECT)
		return request_object(request);
	if (!request_reads(request))
		return seai_request_text(request, MHD_HTTP_METHOD_NOT_ALLOWED, "%s: this can only be read",
		                         request->method);
	switch (kind) {
	case SEAI_URL_DOWNLOAD: return seai_download(request);
	case SEAI_URL_BROWSE:
	case SEAI_URL_LATEST: return seai_browse(request);
	case SEAI_URL_TRUNCATE: return seai_truncate(request);
	case SEAI_URL_MONITOR: return seai_monitor(request);
	default: return request_root(request);
	}
}

/* Its course. ---------------------------------------------------------------------------------- */

void *seai_request_new(void *userdata, const char *uri, struct MHD_Connection *connection)
{
	struct seai_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->server = userdata;
	request->connection = connection;
	request->start_ns = now_ns();
	request->raw_url = strndup(uri, SEAI_URL_N_MAX + 1);
	return request;
}

static void request_refuse(struct seai_request *request, unsigned status, const struct sea_error *error)
{
	if (request->error_status)
		return;
	request->error_status = status;
	if (error)
		request->error = *error;
}

/* What can be said before there is a body. */
static void request_begin(struct seai_request *request)
{
	struct sea_error error = { 0 };
	int r;

	if (!is_method(request, "GET") && !is_method(request, "HEAD") && !is_method(request, "POST") &&
	    !is_method(request, "PUT") && !is_method(request, "DELETE") && !is_method(request, "OPTIONS")) {
		sea_error_set(&error, -EINVAL, "method", "%.32s: there are %s",
		              seai_check_text(request->method) ? request->method : "", allowed);
		request_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, &error);
		return;
	}
	if (MHD_get_connection_values(request->connection, MHD_HEADER_KIND, NULL, NULL) > HEADERS_N_MAX) {
		sea_error_set(&error, -EINVAL, "headers", "more than %d", HEADERS_N_MAX);
		request_refuse(request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, &error);
		return;
	}
	r = request->raw_url ? seai_url_parse(request->raw_url, &request->url, &error) : -ENOMEM;
	if (r < 0)
		request_refuse(request,
		               r == -EINVAL         ? MHD_HTTP_BAD_REQUEST
		               : r == -ENAMETOOLONG ? MHD_HTTP_URI_TOO_LONG
		                                    : MHD_HTTP_INTERNAL_SERVER_ERROR,
		               &error);
}

static enum MHD_Result request_answer_error(struct seai_request *request)
{
	char line[1000];

	return seai_request_text(request, request->error_status, "%s",
	                         request->error.text[0] ? sea_error_line(&request->error, line, sizeof(line))
	                                                : "The request is refused");
}

static int request_take_part(const void *data, size_t n_bytes, void *userdata)
{
	struct seai_request *request = userdata;

	return sea_ccdb_upload_write(request->upload, data, n_bytes);
}

/* An upload: where its body goes. */
static void request_begin_post(struct seai_request *request)
{
	struct sea_error error = { 0 };
	const char *type = seai_request_header(request, "Content-Type");
	const int64_t n_bytes = seai_request_number(request, "Content-Length");
	int r;

	if (request->error_status || request->url.kind != SEAI_URL_OBJECT || !request->url.has_start)
		return;
	if (request->server->read_only) {
		sea_error_set(&error, -EROFS, "store", "this server does not change its objects");
		request_refuse(request, MHD_HTTP_FORBIDDEN, &error);
		return;
	}
	if (n_bytes > 0 && (uint64_t)n_bytes > request->server->n_bytes_upload_max + ENVELOPE_N_MAX) {
		sea_error_set(&error, -E2BIG, "body", "the largest upload is %" PRIu64 " bytes",
		              request->server->n_bytes_upload_max);
		request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, &error);
		return;
	}
	r = sea_ccdb_upload_new(&request->upload, request->server->store, request->server->n_bytes_upload_max);
	if (r < 0) {
		sea_error_set(&error, r, "store", "%s", sea_error_text(r));
		request_refuse(request, r == -EROFS ? MHD_HTTP_FORBIDDEN : MHD_HTTP_INTERNAL_SERVER_ERROR, &error);
		return;
	}
	r = seai_multipart_init(&request->multipart, type, request_take_part, request, &error);
	if (r < 0)
		request_refuse(request, MHD_HTTP_BAD_REQUEST, &error);
}

/* Some of the body. @return MHD_NO closes the connection */
static enum MHD_Result request_body(struct seai_request *request, const char *body, size_t n_bytes)
{
	const uint64_t n_max = request->upload && !request->error_status
	                               ? request->server->n_bytes_upload_max + ENVELOPE_N_MAX + DISCARD_N_MAX
	                               : DISCARD_N_MAX;

	request->n_body += n_bytes;
	if (request->n_body > n_max)
		return MHD_NO;
	if (request->upload && !request->error_status)
		seai_multipart_feed(&request->multipart, body, n_bytes);
	return MHD_YES;
}

enum MHD_Result seai_request_handle(void *userdata, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *body, size_t *n_body,
                                    void **context)
{
	struct seai_request *request = *context;
	struct sea_ccdb_server *server = userdata;

	(void)connection;
	(void)url;
	(void)version;
	if (!request)
		return MHD_NO;
	if (!request->has_begun) {
		request->has_begun = true;
		request->method = method;
		request_begin(request);
		if (is_method(request, "POST"))
			request_begin_post(request);
		/* One that sends so much is not waited for. */
		if (request->error_status && seai_request_number(request, "Content-Length") > (int64_t)DISCARD_N_MAX)
			return request_answer_error(request);
		return MHD_YES;
	}
	if (*n_body > 0) {
		const enum MHD_Result r = request_body(request, body, *n_body);

		*n_body = 0;
		return r;
	}
	if (request->is_answered)
		return MHD_YES;
	if (request->error_status)
		return request_answer_error(request);
	if (request->url.kind == SEAI_URL_OBJECT || request->url.kind == SEAI_URL_DOWNLOAD) {
		if (server->faults.delay_ms > 0)
			seai_fault_sleep(server, server->faults.delay_ms);
		if (seai_fault_hits(server, SEAI_FAULT_ERROR, server->faults.error_percent))
			return seai_request_text(request, MHD_HTTP_SERVICE_UNAVAILABLE, "A fault, on purpose");
	}
	return request_dispatch(request);
}

/* Its end. ------------------------------------------------------------------------------------- */

void seai_peer_text(const struct sockaddr *address, char *text, size_t n_bytes)
{
	text[0] = 0;
	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text,
		          (socklen_t)n_bytes);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text,
		          (socklen_t)n_bytes);
}

static void request_log(struct seai_request *request)
{
	const int64_t now = seai_store_now_ms();
	const time_t now_s = (time_t)(now / 1000);
	const union MHD_ConnectionInfo *info;
	char line[SEAI_URL_N_MAX + 256], peer[64], date[32] = "";
	struct tm parts;

	if (!request->server->log)
		return;
	/* What a client sends does not reach the log as it is. */
	for (char *at = request->raw_url; at && *at; at++)
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
			*at = '?';
	info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	seai_peer_text(info ? info->client_addr : NULL, peer, sizeof(peer));
	if (gmtime_r(&now_s, &parts))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(line, sizeof(line), "%s.%03dZ %s %s %s %u %" PRIu64 " B %.3f ms", date, (int)(now % 1000), peer,
	         request->method && seai_check_text(request->method) ? request->method : "-",
	         request->raw_url ? request->raw_url : "-", request->status, request->n_bytes,
	         (double)(now_ns() - request->start_ns) / 1e6);
	request->server->log(line, request->server->userdata);
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void seai_request_completed(void *userdata, struct MHD_Connection *connection, void **context,
                            enum MHD_RequestTerminationCode code)
{
	struct sea_ccdb_server *server = userdata;
	struct seai_request *request = *context;

	(void)connection;
	(void)code;
	if (!request)
		return;
	*context = NULL;
	if (request->has_begun || request->raw_url) {
		count(&server->counters.n_requests, 1);
		count(&server->counters.n_status[request->status / 100 % 6], 1);
		count(&server->counters.n_not_modified, request->status == MHD_HTTP_NOT_MODIFIED);
		count(&server->counters.n_redirects, request->status == MHD_HTTP_SEE_OTHER);
		request_log(request);
	}
	sea_ccdb_upload_free(request->upload);
	free(request->raw_url);
	free(request);
}
