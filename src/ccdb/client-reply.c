/* SPDX-License-Identifier: Apache-2.0 */
/* What a server's answer to a fetch means, by its status: content, a redirect, "not modified", an error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/client.h"

/* Of one try, all redirects together. */
#define N_LOCATIONS_MAX 64

/* Adds a location that can be asked and was not asked yet, before those that wait. */
static bool fetch_add_location(struct seai_fetch *fetch, const char *text, size_t at)
{
	SEAI_AUTO_FREE char *url = seai_location_resolve(fetch->transfer.url, text);
	char **list;

	if (!url || fetch->n_locations >= N_LOCATIONS_MAX)
		return false;
	for (size_t i = 0; i < fetch->n_locations; i++)
		if (strcmp(fetch->locations[i], url) == 0)
			return false;
	list = realloc(fetch->locations, (fetch->n_locations + 1) * sizeof(*list));
	if (!list)
		return false;
	fetch->locations = list;
	memmove(&list[at + 1], &list[at], (fetch->n_locations - at) * sizeof(*list));
	list[at] = SEAI_TAKE(url);
	fetch->n_locations++;
	return true;
}

/* Location first, then each Content-Location. How many lead somewhere new. */
static size_t fetch_add_locations(struct seai_fetch *fetch)
{
	const struct seai_headers *headers = &fetch->transfer.answer.headers;
	size_t at = fetch->next_location;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < headers->n; i++)
			if (strcasecmp(headers->list[i].key, pass ? "Content-Location" : "Location") == 0 &&
			    fetch_add_location(fetch, headers->list[i].value, at))
				at++;
	return at - fetch->next_location;
}

/* A redirect that says which version it leads to: whether that ends the fetch, or this place. */
static bool fetch_redirect_names(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	struct sea_ccdb_version version;
	const char *name = "", *complaint;

	if (seai_version_parse(&fetch->chain, &version, &name) < 0) {
		seai_fetch_note(fetch, -EBADMSG, transfer->url, "HTTP %d has a malformed %s", fetch->http_status, name);
		seai_fetch_place_failed(fetch, true);
		return true;
	}
	if (!version.uuid[0])
		return false;
	if (fetch->expected[0] && strcmp(fetch->expected, version.uuid) != 0) {
		fetch->is_replaced = true;
		seai_fetch_note(fetch, -ESTALE, transfer->url, "names version %s, the redirect was to %s", version.uuid,
		                fetch->expected);
		seai_fetch_place_failed(fetch, true);
		return true;
	}
	memcpy(fetch->expected, version.uuid, sizeof(fetch->expected));
	/* Some servers say all of it only with the content. */
	if (version.valid_from_ms < 0 || version.valid_until_ms < 0 || version.created_ms < 0)
		return false;
	complaint = seai_transfer_complaint(fetch, &version);
	if (complaint) {
		seai_fetch_note(fetch, -EBADMSG, transfer->url, "HTTP %d %s", fetch->http_status, complaint);
		seai_fetch_place_failed(fetch, true);
		return true;
	}
	if (seai_answer_is_enough(fetch, version.uuid)) {
		seai_answer_named(fetch, &version);
		return true;
	}
	return seai_fetch_from_disk(fetch, version.uuid);
}

static void fetch_redirected(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	const char *location = seai_headers_find(&transfer->answer.headers, "Location");
	size_t n;

	if (fetch->n_redirects++ >= fetch->client->options.n_redirects_max) {
		seai_fetch_note(fetch, -ELOOP, transfer->url, "HTTP %d, and %u redirects before it", fetch->http_status,
		                fetch->n_redirects - 1);
		seai_fetch_place_failed(fetch, false);
		return;
	}
	n = fetch_add_locations(fetch);
	if (seai_headers_merge(&fetch->chain, &transfer->answer.headers) < 0) {
		seai_fetch_note(fetch, -ENOMEM, transfer->url, "no memory");
		seai_fetch_host_failed(fetch, false);
		return;
	}
	/* Before the answer goes. */
	seai_fetch_note(fetch, -ENOTSUP, transfer->url,
	                "HTTP %d leads to nothing new that can be asked over http (Location: %.120s)",
	                fetch->http_status, location ? location : "none");
	if (fetch_redirect_names(fetch))
		return;
	if (n)
		seai_fetch_next_location(fetch);
	else
		seai_fetch_place_failed(fetch, false);
}

/* 304: what is held is still it. Its headers, if any, are newer than what is known. */
static void fetch_not_modified(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	struct seai_question *question = seai_cache_question(fetch->client->cache, fetch->key);
	struct seai_known *known = question ? seai_question_find(question, fetch->none_match) : NULL;
	struct sea_ccdb_version said, version;
	struct seai_object *object;
	const char *name = "";

	if (!fetch->none_match[0]) {
		seai_fetch_note(fetch, -EBADMSG, transfer->url,
		                "HTTP 304, but nothing was named that could be unchanged");
		seai_fetch_place_failed(fetch, true);
		return;
	}
	if (seai_version_parse(&transfer->answer.headers, &said, &name) < 0 ||
	    (said.uuid[0] && strcmp(said.uuid, fetch->none_match) != 0)) {
		seai_fetch_note(fetch, -EBADMSG, transfer->url, "HTTP 304 with %s that is not what was asked about",
		                name);
		seai_fetch_place_failed(fetch, true);
		return;
	}
	object = seai_cache_object(fetch->client->cache, fetch->path, fetch->none_match);
	version = known ? known->version : object ? object->shown.version : said;
	memcpy(version.uuid, fetch->none_match, sizeof(version.uuid));
	version.valid_from_ms = said.valid_from_ms >= 0 ? said.valid_from_ms : version.valid_from_ms;
	version.valid_until_ms = said.valid_until_ms >= 0 ? said.valid_until_ms : version.valid_until_ms;
	version.created_ms = said.created_ms >= 0 ? said.created_ms : version.created_ms;
	version.guaranteed_from_ms = 0;
	version.guaranteed_until_ms = said.guaranteed_until_ms;
	if (seai_answer_is_enough(fetch, version.uuid)) {
		/* If what is thought of it does not fit, its validity was changed, and only its headers can tell how. */
		if (version.valid_from_ms < 0 || !seai_transfer_complaint(fetch, &version)) {
			seai_answer_named(fetch, &version);
			return;
		}
	} else if (seai_headers_merge(&fetch->chain, &transfer->answer.headers) == 0 &&
	           seai_fetch_from_disk(fetch, version.uuid)) {
		return;
	}
	fetch->must_transfer = true;
	seai_link_drop(&fetch->in_bucket);
	seai_fetch_again(fetch);
}

static void fetch_stopped(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	struct sea_ccdb_version version;
	const char *promise;

	switch (transfer->stop) {
	case SEAI_STOP_NAMED:
		version = transfer->object->shown.version;
		promise = sea_ccdb_object_header(&transfer->object->shown, "Cache-Valid-Until");
		if (!promise || seai_number_parse(promise, &version.guaranteed_until_ms) < 0)
			version.guaranteed_until_ms = 0;
		seai_answer_named(fetch, &version);
		return;
	case SEAI_STOP_NO_MEMORY: {
		struct sea_ccdb_request *request = seai_fetch_first(fetch);

		seai_answer_fail_one(request, -ENOMEM, fetch->request_url, transfer->stop_text);
		if (seai_link_is_alone(&fetch->requests)) {
			seai_fetch_free(fetch);
			return;
		}
		/* The others have room of their own, or may have. */
		seai_fetch_again(fetch);
		return;
	}
	case SEAI_STOP_REPLACED: fetch->is_replaced = true; break;
	default: break;
	}
	seai_fetch_note(fetch, transfer->stop_code, transfer->url, "HTTP %d %s", transfer->answer.status,
	                transfer->stop_text);
	seai_fetch_place_failed(fetch, true);
}

/* Content came to its end. */
static void fetch_received(struct seai_fetch *fetch)
{
	struct sea_ccdb_client *client = fetch->client;
	struct seai_transfer *transfer = &fetch->transfer;
	const char *promise;
	int64_t until_ms;
	int result;

	if (seai_transfer_finish(fetch) < 0) {
		fetch_stopped(fetch);
		return;
	}
	promise = sea_ccdb_object_header(&transfer->object->shown, "Cache-Valid-Until");
	if (!promise || seai_number_parse(promise, &until_ms) < 0)
		until_ms = 0;
	client->stats.n_misses++;
	if (client->disk) {
		result = seai_disk_store(client->disk, &transfer->object->shown, transfer->memory);
		if (result < 0)
			seai_client_log(client, SEA_CCDB_WARN, "ccdb cannot keep %s on disk: %s", fetch->path,
			                strerror(-result));
	}
	seai_answer_object(fetch, SEA_CCDB_FROM_SERVER, until_ms);
}

static int code_of_curl(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT: return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST: return -EHOSTUNREACH;
	case CURLE_OUT_OF_MEMORY: return -ENOMEM;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING: return -EBADMSG;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR: return -ECONNRESET;
	default: return -EIO;
	}
}

static bool status_may_pass(int status)
{
	return status >= 500 || status == 408 || status == 425 || status == 429;
}

void seai_fetch_transferred(struct seai_fetch *fetch, CURLcode code)
{
	struct seai_transfer *transfer = &fetch->transfer;
	int status = transfer->answer.status;

	curl_multi_remove_handle(fetch->client->multi, transfer->easy);
	fetch->http_status = status;
	if (transfer->stop != SEAI_STOP_NONE && transfer->stop != SEAI_STOP_IGNORED) {
		fetch_stopped(fetch);
		return;
	}
	if (code != CURLE_OK && transfer->stop != SEAI_STOP_IGNORED) {
		seai_fetch_note(fetch, code_of_curl(code), transfer->url, "%s: %s",
		                status ? "the answer broke off" : "no answer",
		                transfer->curl_text[0] ? transfer->curl_text : curl_easy_strerror(code));
		seai_fetch_place_failed(fetch, true);
		return;
	}
	if (status == 200 || status == 203) {
		fetch_received(fetch);
	} else if (status == 304) {
		fetch_not_modified(fetch);
	} else if (status >= 300 && status < 400) {
		fetch_redirected(fetch);
	} else if ((status == 404 || status == 410) && transfer->is_location) {
		fetch->is_replaced = true;
		seai_fetch_note(fetch, -ESTALE, transfer->url, "HTTP %d where a redirect led", status);
		seai_fetch_place_failed(fetch, true);
	} else if (status == 404 || status == 410) {
		seai_fetch_host_has_none(fetch);
	} else {
		seai_fetch_note(fetch, -EREMOTEIO, transfer->url, "HTTP %d", status);
		seai_fetch_place_failed(fetch, status_may_pass(status));
	}
}
