/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request. When the head of an answer with content is there, it is judged: is this what was asked for, does somebody need its bytes,
 * where do they go. What is wrong stops the transfer at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/client.h"

/* A body that explains an error, or a redirect, is read up to here for the connection's sake. */
#define N_IGNORED_MAX (256u << 10)
#define N_BUFFER (256L << 10)
#define N_GROW_MIN 16384u

__attribute__((format(printf, 4, 5))) static void transfer_stop(struct seai_transfer *transfer, enum seai_stop stop,
                                                                int code, const char *format, ...)
{
	va_list arguments;

	if (transfer->stop != SEAI_STOP_NONE)
		return;
	transfer->stop = stop;
	transfer->stop_code = code;
	va_start(arguments, format);
	vsnprintf(transfer->stop_text, sizeof(transfer->stop_text), format, arguments);
	va_end(arguments);
}

/* Content. -------------------------------------------------------------------------------- */

static void transfer_release(struct seai_transfer *transfer)
{
	if (transfer->owner)
		transfer->owner->release(transfer->memory, transfer->owner->allocate_userdata);
	else
		free(transfer->memory);
	transfer->memory = NULL;
	transfer->owner = NULL;
	transfer->n_bytes = transfer->n_room = 0;
}

int seai_transfer_reserve(struct seai_fetch *fetch, struct seai_object *object, size_t n_bytes)
{
	struct sea_ccdb_request *request = SEAI_LINKED(fetch->requests.next, struct sea_ccdb_request, link);
	struct seai_transfer *transfer = &fetch->transfer;

	object->shown.n_bytes = n_bytes;
	if (n_bytes == 0)
		return 0;
	if (request->allocate) {
		transfer->memory = request->allocate(n_bytes, &object->shown, request->allocate_userdata);
		transfer->owner = transfer->memory ? request : NULL;
	} else {
		transfer->memory = malloc(n_bytes);
	}
	if (!transfer->memory) {
		transfer_stop(transfer, SEAI_STOP_NO_MEMORY, -ENOMEM, "no room for %zu bytes", n_bytes);
		return -ENOMEM;
	}
	transfer->n_room = n_bytes;
	return 0;
}

/* A body of unknown length goes where it can grow, whoever it is for. */
static int transfer_grow(struct seai_transfer *transfer, size_t n_more)
{
	size_t n_room = transfer->n_room ? transfer->n_room : N_GROW_MIN;
	void *memory;

	while (n_room < transfer->n_bytes + n_more)
		n_room *= 2;
	if (n_room == transfer->n_room)
		return 0;
	memory = realloc(transfer->memory, n_room);
	if (!memory) {
		transfer_stop(transfer, SEAI_STOP_NO_MEMORY, -ENOMEM, "no room for %zu bytes", n_room);
		return -ENOMEM;
	}
	transfer->memory = memory;
	transfer->n_room = n_room;
	return 0;
}

/* The head. ------------------------------------------------------------------------------- */

const char *seai_transfer_complaint(const struct seai_fetch *fetch, const struct sea_ccdb_version *version)
{
	if (!version->uuid[0])
		return "has no ETag: its version cannot be told";
	if (version->valid_from_ms < 0 || version->valid_until_ms < 0)
		return "does not say from when until when the object is valid";
	if (version->created_ms < 0)
		return "does not say when the object was created";
	if (fetch->timestamp_ms < version->valid_from_ms || fetch->timestamp_ms >= version->valid_until_ms)
		return "is an object that is not valid at the time asked for";
	if (version->created_ms < fetch->not_before_ms || version->created_ms > fetch->not_after_ms)
		return "is an object created outside the bounds asked for";
	return NULL;
}

/* Headers that say how the body is to be read: they must say it in one way. */
static int transfer_check_framing(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	const struct seai_headers *headers = &transfer->answer.headers;
	const char *encoding = seai_headers_find(headers, "Content-Encoding");
	const char *chunked = seai_headers_find(headers, "Transfer-Encoding"), *length = NULL;
	const char *md5 = seai_headers_find(headers, "Content-MD5");
	long http_version = 0;

	if (encoding && *encoding && strcasecmp(encoding, "identity") != 0) {
		transfer_stop(transfer, SEAI_STOP_FAULT, -ENOTSUP, "is encoded as %.40s, which was not asked for",
		              encoding);
		return -1;
	}
	for (size_t i = 0; i < headers->n; i++) {
		if (strcasecmp(headers->list[i].key, "Content-Length") != 0)
			continue;
		if (length && strcmp(length, headers->list[i].value) != 0) {
			transfer_stop(transfer, SEAI_STOP_FAULT, -EBADMSG, "has two lengths, %.24s and %.24s", length,
			              headers->list[i].value);
			return -1;
		}
		length = headers->list[i].value;
	}
	transfer->has_md5 = md5 != NULL;
	if (md5 && seai_md5_parse(md5, transfer->md5) < 0) {
		transfer_stop(transfer, SEAI_STOP_FAULT, -EBADMSG, "has a Content-MD5 that is none: %.48s", md5);
		return -1;
	}
	if (transfer->has_md5)
		MD5Init(&transfer->md5_context);
	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &http_version);
	if (transfer->n_length < 0 && !chunked && !md5 &&
	    (http_version == CURL_HTTP_VERSION_1_0 || http_version == CURL_HTTP_VERSION_1_1)) {
		transfer_stop(transfer, SEAI_STOP_FAULT, -EBADMSG,
		              "has neither a length nor a checksum: nobody can tell whether it is whole");
		return -1;
	}
	return 0;
}

/* The object of all headers so far, this answer's last. */
static int transfer_make_object(struct seai_fetch *fetch)
{
	SEAI_CLEANUP(seai_headers_fini) struct seai_headers all = { 0 };
	struct seai_transfer *transfer = &fetch->transfer;
	const char *name = "";
	int result = seai_headers_merge(&all, &fetch->chain);

	if (result == 0)
		result = seai_headers_merge(&all, &transfer->answer.headers);
	if (result == 0)
		result = seai_object_new(&transfer->object, fetch->path, &all, fetch->request_url, transfer->url,
		                         &name);
	if (result < 0)
		transfer_stop(transfer, SEAI_STOP_FAULT, result,
		              result == -EBADMSG ? "has a malformed %s" : "%s: no memory", name);
	return result;
}

/* What is to be done about a body, decided once. 0: take it; -1: stop says why not. */
static int transfer_judge(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	struct seai_transfer *t = transfer;
	const struct sea_ccdb_version *version;
	curl_off_t length = -1;
	const char *complaint;

	t->is_head_done = true;
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	t->n_length = length;
	if (transfer_make_object(fetch) < 0)
		return -1;
	version = &t->object->shown.version;
	if (fetch->expected[0] && strcmp(version->uuid, fetch->expected) != 0) {
		transfer_stop(t, SEAI_STOP_REPLACED, -ESTALE, "is version %s, the redirect was to %s", version->uuid,
		              fetch->expected);
		return -1;
	}
	complaint = seai_transfer_complaint(fetch, version);
	if (complaint) {
		transfer_stop(t, SEAI_STOP_FAULT, -EBADMSG, "%s", complaint);
		return -1;
	}
	if (seai_answer_is_enough(fetch, version->uuid)) {
		transfer_stop(t, SEAI_STOP_NAMED, 0, "is held already");
		return -1;
	}
	if (transfer_check_framing(fetch) < 0)
		return -1;
	if (t->n_length > 0 && (uint64_t)t->n_length > fetch->client->options.n_object_bytes_max) {
		transfer_stop(t, SEAI_STOP_FAULT, -E2BIG, "has %" PRId64 " bytes, more than are allowed", t->n_length);
		return -1;
	}
	return t->n_length > 0 ? seai_transfer_reserve(fetch, t->object, (size_t)t->n_length) : 0;
}

/* libcurl's callbacks. -------------------------------------------------------------------- */

static size_t transfer_on_header(char *line, size_t size, size_t n, void *userdata)
{
	struct seai_fetch *fetch = userdata;
	struct seai_transfer *transfer = &fetch->transfer;
	int result = seai_answer_line(&transfer->answer, line, size * n);

	if (result == 0)
		return size * n;
	transfer_stop(transfer, SEAI_STOP_FAULT, result, "%s",
	              transfer->answer.fault[0] ? transfer->answer.fault : "no memory");
	return 0;
}

static bool status_has_content(int status)
{
	return status == 200 || status == 203;
}

static size_t transfer_on_body(char *bytes, size_t size, size_t n, void *userdata)
{
	struct seai_fetch *fetch = userdata;
	struct seai_transfer *transfer = &fetch->transfer;

	n *= size;
	if (!status_has_content(transfer->answer.status)) {
		transfer->n_ignored += n;
		if (transfer->n_ignored <= N_IGNORED_MAX)
			return n;
		transfer_stop(transfer, SEAI_STOP_IGNORED, 0, "has a long body that nobody wants");
		return 0;
	}
	if (!transfer->is_head_done && transfer_judge(fetch) < 0)
		return 0;
	if (transfer->n_length >= 0 && transfer->n_bytes + n > (size_t)transfer->n_length) {
		transfer_stop(transfer, SEAI_STOP_FAULT, -EBADMSG, "has more than the %" PRId64 " bytes it announced",
		              transfer->n_length);
		return 0;
	}
	if (transfer->n_bytes + n > fetch->client->options.n_object_bytes_max) {
		transfer_stop(transfer, SEAI_STOP_FAULT, -E2BIG, "has more bytes than are allowed");
		return 0;
	}
	if (transfer->n_length < 0 && transfer_grow(transfer, n) < 0)
		return 0;
	memcpy((char *)transfer->memory + transfer->n_bytes, bytes, n);
	transfer->n_bytes += n;
	fetch->client->stats.n_bytes_fetched += n;
	if (transfer->has_md5)
		MD5Update(&transfer->md5_context, (const uint8_t *)bytes, n);
	return n;
}

/* The end. -------------------------------------------------------------------------------- */

/* Content that had grown moves to where it belongs. */
static int transfer_settle(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	void *grown = transfer->memory;
	size_t n_bytes = transfer->n_bytes;
	int result;

	if (transfer->n_length >= 0)
		return 0;
	transfer->memory = NULL;
	result = seai_transfer_reserve(fetch, transfer->object, n_bytes);
	if (result == 0 && n_bytes)
		memcpy(transfer->memory, grown, n_bytes);
	free(grown);
	return result;
}

int seai_transfer_finish(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;
	uint8_t digest[MD5_DIGEST_LENGTH];

	if (!transfer->is_head_done && transfer_judge(fetch) < 0)
		return -1;
	if (transfer->n_length >= 0 && transfer->n_bytes != (size_t)transfer->n_length) {
		transfer_stop(transfer, SEAI_STOP_FAULT, -EBADMSG, "is cut: %zu of %" PRId64 " bytes",
		              transfer->n_bytes, transfer->n_length);
		return -1;
	}
	if (transfer->has_md5) {
		MD5Final(digest, &transfer->md5_context);
		if (memcmp(digest, transfer->md5, sizeof(digest)) != 0) {
			transfer_stop(transfer, SEAI_STOP_FAULT, -EBADMSG,
			              "has %zu bytes with another MD5 than it says", transfer->n_bytes);
			return -1;
		}
	}
	return transfer_settle(fetch);
}

void seai_transfer_drop(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;

	if (transfer->easy) {
		curl_multi_remove_handle(fetch->client->multi, transfer->easy);
		curl_easy_cleanup(transfer->easy);
	}
	curl_slist_free_all(transfer->lines);
	transfer_release(transfer);
	if (transfer->object)
		sea_ccdb_object_unref(&transfer->object->shown);
	seai_answer_fini(&transfer->answer);
	free(transfer->url);
	*transfer = (struct seai_transfer){ 0 };
}

/* The beginning. -------------------------------------------------------------------------- */

static int transfer_add_line(struct seai_transfer *transfer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int transfer_add_line(struct seai_transfer *transfer, const char *format, ...)
{
	struct curl_slist *lines;
	va_list arguments;
	char line[160];

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	lines = curl_slist_append(transfer->lines, line);
	if (!lines)
		return -ENOMEM;
	transfer->lines = lines;
	return 0;
}

/* As O2 sends them: what is held, and in a second If-None-Match the time; a server counts the first. */
static int transfer_add_lines(struct seai_fetch *fetch)
{
	struct seai_transfer *transfer = &fetch->transfer;

	if (fetch->none_match[0] && transfer_add_line(transfer, "If-None-Match: \"%s\"", fetch->none_match) < 0)
		return -ENOMEM;
	if (transfer_add_line(transfer, "If-None-Match: %" PRId64, fetch->timestamp_ms) < 0 ||
	    transfer_add_line(transfer, "If-Not-After: %" PRId64, fetch->not_after_ms) < 0 ||
	    transfer_add_line(transfer, "If-Not-Before: %" PRId64, fetch->not_before_ms) < 0)
		return -ENOMEM;
	return 0;
}

static void transfer_set_up(struct seai_fetch *fetch)
{
	const struct sea_ccdb_client_options *options = &fetch->client->options;
	struct seai_transfer *transfer = &fetch->transfer;
	CURL *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, N_BUFFER);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->lines);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, fetch->client->user_agent);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)options->low_speed_bytes);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(options->low_speed_ms + 999) / 1000);
}

int seai_transfer_start(struct seai_fetch *fetch, const char *url, bool is_location)
{
	struct seai_transfer *transfer = &fetch->transfer;

	seai_transfer_drop(fetch);
	transfer->answer.n_bytes_max = fetch->client->options.n_header_bytes_max;
	transfer->n_length = -1;
	transfer->is_location = is_location;
	transfer->url = strdup(url);
	if (!transfer->url || transfer_add_lines(fetch) < 0)
		return -ENOMEM;
	transfer->easy = curl_easy_init();
	if (!transfer->easy)
		return -ENOMEM;
	transfer_set_up(fetch);
	if (curl_easy_setopt(transfer->easy, CURLOPT_URL, transfer->url) != CURLE_OK ||
	    curl_multi_add_handle(fetch->client->multi, transfer->easy) != CURLM_OK)
		return -ENOMEM;
	fetch->client->stats.n_http++;
	fetch->is_sent = true;
	return 0;
}
