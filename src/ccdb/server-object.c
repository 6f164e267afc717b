/* SPDX-License-Identifier: Apache-2.0 */
/* Objects over HTTP: where they are, what is said about them, how they come, change and go. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/check.h"
#include "ccdb/range.h"
#include "ccdb/server.h"

/* Headers. ------------------------------------------------------------------------------------- */

void seai_object_headers(struct MHD_Response *response, const struct sea_ccdb_entry *entry)
{
	char date[SEAI_DATE_N_BYTES];

	seai_response_header(response, "Valid-From", "%" PRId64, entry->valid_from_ms);
	seai_response_header(response, "Valid-Until", "%" PRId64, entry->valid_until_ms);
	if (entry->initial_until_ms != entry->valid_until_ms)
		seai_response_header(response, "InitialValidityLimit", "%" PRId64, entry->initial_until_ms);
	seai_response_header(response, "Created", "%" PRId64, entry->created_ms);
	seai_response_header(response, "ETag", "\"%s\"", entry->uuid);
	seai_response_header(response, "Last-Modified", "%s", seai_http_date(entry->modified_ms, date));
	for (size_t i = 0; i < entry->n_metadata; i++)
		seai_response_header(response, entry->metadata[i].key, "%s", entry->metadata[i].value);
}

/* Whether a Host header can stand in a URL. */
static bool host_is_plain(const char *host)
{
	const size_t n = strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]");

	return n > 0 && n <= 255 && host[n] == 0;
}

/* Our own address of an object. */
static char *address_own(const struct seai_request *request, const struct sea_ccdb_entry *entry)
{
	const char *host = seai_request_header(request, "Host");
	char *address = NULL;
	int n;

	if (request->server->public_url)
		n = asprintf(&address, "%s/download/%s", request->server->public_url, entry->uuid);
	else if (host && host_is_plain(host))
		n = asprintf(&address, "http://%s/download/%s", host, entry->uuid);
	else
		n = asprintf(&address, "/download/%s", entry->uuid);
	return n < 0 ? NULL : address;
}

/* Over HTTP a replica is another server of this kind; elsewhere objects stand under their path. */
static char *address_replica(const char *replica, const struct sea_ccdb_entry *entry)
{
	char *address = NULL;
	const int n = strncasecmp(replica, "http", 4) == 0
	                      ? asprintf(&address, "%s/download/%s", replica, entry->uuid)
	                      : asprintf(&address, "%s/%s/%s", replica, entry->path, entry->uuid);

	return n < 0 ? NULL : address;
}

static bool address_is_http(const char *address)
{
	return address[0] == '/' || strncasecmp(address, "http://", 7) == 0 || strncasecmp(address, "https://", 8) == 0;
}

size_t seai_object_addresses(const struct seai_request *request, const struct sea_ccdb_entry *entry,
                             char *ret_addresses[static SEAI_ADDRESSES_N_MAX])
{
	const struct sea_ccdb_server *server = request->server;
	const bool http_only = seai_url_flag(&request->url, "HTTPOnly");
	size_t n = 0, n_kept = 0;

	if (server->faults.alien_first)
		ret_addresses[n++] = address_replica("alien:///alice/data/CCDB", entry);
	/* Port 1 of this machine: nobody listens, and the kernel says so at once. */
	if (server->faults.dead_replica_first)
		ret_addresses[n++] = address_replica("http://127.0.0.1:1", entry);
	ret_addresses[n++] = address_own(request, entry);
	for (size_t i = 0; i < server->n_replicas; i++)
		ret_addresses[n++] = address_replica(server->replicas[i], entry);
	for (size_t i = 0; i < n; i++) {
		if (ret_addresses[i] && (!http_only || address_is_http(ret_addresses[i])))
			ret_addresses[n_kept++] = ret_addresses[i];
		else
			free(ret_addresses[i]);
	}
	return n_kept;
}

/* Location and one Content-Location per address. */
static void response_addresses(struct MHD_Response *response, const struct seai_request *request,
                               const struct sea_ccdb_entry *entry)
{
	char *addresses[SEAI_ADDRESSES_N_MAX];
	const size_t n = seai_object_addresses(request, entry, addresses);

	for (size_t i = 0; i < n; i++) {
		if (i == 0)
			(void)MHD_add_response_header(response, "Location", addresses[i]);
		(void)MHD_add_response_header(response, "Content-Location", addresses[i]);
		free(addresses[i]);
	}
}

/* Whether the client has this very object. Only its first If-None-Match counts: O2 sends two, and the second is a time. */
static bool request_has(const struct seai_request *request, const struct sea_ccdb_entry *entry)
{
	const char *etag = seai_request_header(request, "If-None-Match");

	if (!etag)
		return false;
	etag += etag[0] == '"';
	return seai_check_uuid(etag, strcspn(etag, "\"")) && strncasecmp(etag, entry->uuid, 36) == 0;
}

/* Reading. ------------------------------------------------------------------------------------- */

enum MHD_Result seai_object_get(struct seai_request *request)
{
	const struct sea_ccdb_store_query query = seai_request_query(request);
	SEAI_AUTO_ENTRY struct sea_ccdb_entry *entry = NULL;
	struct MHD_Response *response;
	int r = sea_ccdb_store_match(request->server->store, &query, &entry);
	bool has;

	if (r < 0)
		return seai_request_failed(request, r, NULL);
	has = request_has(request, entry);
	if (!has && (request->server->direct || seai_url_flag(&request->url, "direct")))
		return seai_content_answer(request, entry, true);
	response = seai_response_empty();
	if (!response)
		return MHD_NO;
	seai_object_headers(response, entry);
	seai_response_header(response, "Cache-Valid-Until", "%" PRId64, entry->cache_valid_until_ms);
	if (!has)
		response_addresses(response, request, entry);
	return seai_request_empty(request, has ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_SEE_OTHER, response);
}

/* Writing. ------------------------------------------------------------------------------------- */

enum MHD_Result seai_object_post_end(struct seai_request *request)
{
	const struct seai_url *url = &request->url;
	const struct seai_multipart *multipart = &request->multipart;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection,
	                                                               MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	SEAI_AUTO_ENTRY struct sea_ccdb_entry *entry = NULL;
	struct MHD_Response *response;
	struct sea_error error = { 0 };
	char peer[64];
	const struct sea_ccdb_put put = {
		.path = url->path,
		.valid_from_ms = url->start_ms,
		.valid_until_ms = url->end_ms,
		.metadata = url->metadata,
		.n_metadata = url->n_metadata,
		.uuid = url->uuid,
		.file_name = multipart->file_name,
		.content_type = multipart->content_type,
		.uploaded_from = peer,
	};
	int r = seai_multipart_end(&request->multipart, &error);

	seai_peer_text(info ? info->client_addr : NULL, peer, sizeof(peer));
	if (r == 0)
		r = sea_ccdb_upload_commit(request->upload, &put, &entry, &error);
	if (r < 0 || !entry)
		return seai_request_failed(request, r < 0 ? r : -EIO, &error);
	atomic_fetch_add_explicit(&request->server->counters.n_uploads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&request->server->counters.n_bytes_up, entry->n_bytes, memory_order_relaxed);
	response = seai_response_empty();
	if (response) {
		seai_object_headers(response, entry);
		response_addresses(response, request, entry);
	}
	return seai_request_empty(request, MHD_HTTP_CREATED, response);
}

/* Arguments that mean something else. */
static bool argument_is_metadata(const struct sea_ccdb_pair *argument)
{
	return strcmp(argument->key, "prepare") != 0 && strcmp(argument->key, "HTTPOnly") != 0 &&
	       strcmp(argument->key, "direct") != 0;
}

enum MHD_Result seai_object_put(struct seai_request *request)
{
	const struct seai_url *url = &request->url;
	const struct sea_ccdb_store_query query = seai_request_query(request);
	struct sea_ccdb_pair set[SEA_CCDB_METADATA_N_MAX];
	SEAI_AUTO_ENTRY struct sea_ccdb_entry *entry = NULL;
	struct sea_error error = { 0 };
	struct MHD_Response *response;
	size_t n_set = 0;
	int r;

	for (size_t i = 0; i < url->n_arguments; i++)
		if (argument_is_metadata(&url->arguments[i]))
			set[n_set++] = url->arguments[i];
	r = sea_ccdb_store_update(request->server->store, &query, url->has_end ? url->end_ms : -1, set, n_set, &entry,
	                          &error);
	if (r < 0)
		return seai_request_failed(request, r, &error);
	response = seai_response_empty();
	if (response)
		seai_object_headers(response, entry);
	return seai_request_empty(request, r ? MHD_HTTP_NO_CONTENT : MHD_HTTP_NOT_MODIFIED, response);
}

enum MHD_Result seai_object_delete(struct seai_request *request)
{
	const struct sea_ccdb_store_query query = seai_request_query(request);
	const int r = sea_ccdb_store_remove(request->server->store, &query);

	return r < 0 ? seai_request_failed(request, r, NULL) : seai_request_empty(request, MHD_HTTP_NO_CONTENT, NULL);
}
