/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CCDB over HTTP, one blocking request at a time.
 *
 * The odd rule: redirections are followed here and not by curl, since a server names several places, of which some may be dead and some
 * no HTTP at all.
 */
#include <sealane/ccdb/remote.h>

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <md5.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ccdb/check.h"

#define TIMEOUT_MS 60000
#define CONNECT_TIMEOUT_MS 5000
#define N_BYTES_MAX (UINT64_C(1) << 30)
/* Of all hops together, metadata included. */
#define HEADERS_N_MAX 1024
#define HEADERS_N_BYTES_MAX ((size_t)256 * 1024)
/* What of a refusal's body is told. */
#define REASON_N_MAX 300

struct sea_ccdb_remote {
	char *url;
	struct sea_ccdb_remote_options options;
	CURL *curl;
};

/* An answer that grows. */
struct answer {
	struct sea_ccdb_answer public;
	struct sea_ccdb_pair headers[HEADERS_N_MAX];
	size_t n_header_bytes;
	size_t n_first; /* headers of the hop under way begin here */
	uint64_t n_bytes_max;
	uint64_t n_body_room;
	char *body;
	sea_ccdb_sink_fn *sink; /* of bodies that are good; else the body is kept */
	void *userdata;
	MD5_CTX md5;
	int error;
	CURL *curl;
	char curl_error[CURL_ERROR_SIZE];
};

/* Answers. ------------------------------------------------------------------------------------- */

struct sea_ccdb_answer *sea_ccdb_answer_free(struct sea_ccdb_answer *answer)
{
	/* The public part stands first. */
	struct answer *whole = (struct answer *)answer;

	if (!whole)
		return NULL;
	for (size_t i = 0; i < whole->public.n_headers; i++)
		free((char *)whole->headers[i].key);
	free((char *)whole->public.url);
	free(whole->body);
	free(whole);
	return NULL;
}

static void answer_cleanup(struct answer **answer)
{
	if (*answer)
		sea_ccdb_answer_free(&(*answer)->public);
}

/* The last one: that of the latest hop. */
const char *sea_ccdb_answer_header(const struct sea_ccdb_answer *answer, const char *name)
{
	for (size_t i = answer->n_headers; i > 0; i--)
		if (strcasecmp(answer->headers[i - 1].key, name) == 0)
			return answer->headers[i - 1].value;
	return NULL;
}

/* curl gives a header line, not terminated; a status line begins a hop's headers anew. */
static size_t answer_take_header(char *line, size_t size, size_t n, void *userdata)
{
	struct answer *answer = userdata;
	char *copy, *colon, *end;

	n *= size;
	answer->n_header_bytes += n;
	if (answer->public.n_headers == HEADERS_N_MAX || answer->n_header_bytes > HEADERS_N_BYTES_MAX) {
		answer->error = -E2BIG;
		return 0;
	}
	if (!memchr(line, ':', n) || memchr(line, 0, n))
		return n;
	copy = strndup(line, n);
	if (!copy) {
		answer->error = -ENOMEM;
		return 0;
	}
	colon = strchr(copy, ':');
	*colon++ = 0;
	colon += strspn(colon, " \t");
	end = colon + strlen(colon);
	while (end > colon && strchr(" \t\r\n", end[-1]))
		*--end = 0;
	answer->headers[answer->public.n_headers++] = (struct sea_ccdb_pair){ copy, colon };
	return n;
}

static int answer_keep(struct answer *answer, const char *data, size_t n)
{
	const uint64_t n_needed = answer->public.n_bytes + n + 1;

	if (n_needed - 1 > answer->n_bytes_max)
		return -E2BIG;
	if (n_needed > answer->n_body_room) {
		const uint64_t n_room = n_needed > 2 * answer->n_body_room ? n_needed : 2 * answer->n_body_room;
		char *body = realloc(answer->body, n_room);

		if (!body)
			return -ENOMEM;
		answer->body = body;
		answer->n_body_room = n_room;
	}
	memcpy(answer->body + answer->public.n_bytes, data, n);
	answer->body[answer->public.n_bytes + n] = 0;
	return 0;
}

static size_t answer_take_body(char *data, size_t size, size_t n, void *userdata)
{
	struct answer *answer = userdata;
	long status = 0;

	n *= size;
	curl_easy_getinfo(answer->curl, CURLINFO_RESPONSE_CODE, &status);
	MD5Update(&answer->md5, (const uint8_t *)data, n);
	answer->error = answer->sink && status == 200 ? answer->sink(data, n, answer->userdata)
	                                              : answer_keep(answer, data, n);
	if (answer->error < 0)
		return n + 1;
	answer->public.n_bytes += n;
	return n;
}

/* Errors. -------------------------------------------------------------------------------------- */

static int curl_errno(CURLcode code)
{
	switch (code) {
	case CURLE_OUT_OF_MEMORY: return -ENOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY: return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT: return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: return -EINVAL;
	default: return -EBADMSG;
	}
}

static int status_errno(int status)
{
	switch (status) {
	case 400: return -EINVAL;
	case 401:
	case 403: return -EACCES;
	case 404: return -ENOENT;
	case 409: return -EEXIST;
	case 413: return -EFBIG;
	default: return -EPROTO;
	}
}

/* The first line of what the server says, as far as it is text. */
static int answer_error(const struct answer *answer, struct sea_error *error)
{
	char reason[REASON_N_MAX + 1] = "";
	const int code = status_errno(answer->public.status);

	if (answer->body)
		snprintf(reason, sizeof(reason), "%.*s", (int)strcspn(answer->body, "\r\n"), answer->body);
	if (!seai_check_text(reason) || reason[0] == '<')
		reason[0] = 0;
	sea_error_set(error, code, "", "%s: %d%s%s", answer->public.url, answer->public.status, reason[0] ? ": " : "",
	              reason);
	return code;
}

/* URLs. ---------------------------------------------------------------------------------------- */

static bool is_plain(char c, bool is_pattern)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~/", c) ||
	       (is_pattern && c == '*');
}

static void print_escaped(FILE *stream, const char *text, bool is_path, bool is_pattern)
{
	for (; *text; text++) {
		if (is_plain(*text, is_pattern) && (is_path || *text != '/'))
			fputc(*text, stream);
		else
			fprintf(stream, "%%%02X", (unsigned char)*text);
	}
}

static void print_pairs(FILE *stream, const struct sea_ccdb_pair *pairs, size_t n_pairs, const char *before,
                        const char *between)
{
	for (size_t i = 0; i < n_pairs; i++) {
		fputs(i ? between : before, stream);
		print_escaped(stream, pairs[i].key, false, false);
		fputc('=', stream);
		print_escaped(stream, pairs[i].value, false, false);
	}
}

/* <url>/[servlet/]<path>[/<time>[/<until>]][/<uuid>][/<k>=<v>...][?<k>=<v>...] */
static char *remote_url(const struct sea_ccdb_remote *remote, const char *servlet,
                        const struct sea_ccdb_address *address, const struct sea_ccdb_pair *set, size_t n_set)
{
	const char *path = address->path ? address->path : "";
	char *text = NULL;
	size_t n_bytes = 0;
	FILE *stream = open_memstream(&text, &n_bytes);

	if (!stream)
		return NULL;
	fprintf(stream, "%s/%s", remote->url, servlet);
	print_escaped(stream, path + strspn(path, "/"), true, servlet[0] != 0);
	if (address->has_time)
		fprintf(stream, "/%" PRId64, address->time_ms);
	if (address->has_time && address->until_ms > 0)
		fprintf(stream, "/%" PRId64, address->until_ms);
	if (address->uuid)
		fprintf(stream, "/%s", address->uuid);
	print_pairs(stream, address->metadata, address->n_metadata, "/", "/");
	print_pairs(stream, set, n_set, "?", "&");
	if (fclose(stream) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int address_check(const struct sea_ccdb_address *address, bool is_pattern, struct sea_error *error)
{
	const char *path = address->path ? address->path : "";

	path += strspn(path, "/");
	if (address->uuid && !seai_check_uuid(address->uuid, strlen(address->uuid)))
		return sea_error_set(error, -EINVAL, "uuid", "%.64s: is none", address->uuid);
	if (is_pattern)
		return seai_check_pattern(path, error);
	if (!address->has_time)
		return sea_error_set(error, -EINVAL, "time", "is missing");
	return seai_check_path(path, error);
}

/* Requests. ------------------------------------------------------------------------------------ */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int sea_ccdb_remote_new(struct sea_ccdb_remote **ret_remote, const char *url,
                        const struct sea_ccdb_remote_options *options, struct sea_error *error)
{
	static const struct sea_ccdb_remote_options defaults;
	struct sea_ccdb_remote *remote;
	size_t n = strlen(url);
	bool has_scheme = strstr(url, "://") != NULL;

	options = options ? options : &defaults;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return sea_error_set(error, -EINVAL, "reserved", "is not 0");
	while (n > 0 && url[n - 1] == '/')
		n--;
	if (n == 0 || !seai_check_text(url) || strchr(url, ' ') ||
	    (has_scheme && strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0))
		return sea_error_set(error, -EINVAL, "URL", "%.128s: is no URL of http or https", url);
	pthread_once(&curl_once, curl_begin);
	remote = calloc(1, sizeof(*remote));
	if (!remote)
		return sea_error_set(error, -ENOMEM, "URL", "no memory");
	remote->options = *options;
	remote->curl = curl_easy_init();
	if (!remote->curl || asprintf(&remote->url, "%s%.*s", has_scheme ? "" : "http://", (int)n, url) < 0) {
		curl_easy_cleanup(remote->curl);
		free(remote);
		return sea_error_set(error, -ENOMEM, "URL", "no memory");
	}
	*ret_remote = remote;
	return 0;
}

struct sea_ccdb_remote *sea_ccdb_remote_free(struct sea_ccdb_remote *remote)
{
	if (!remote)
		return NULL;
	curl_easy_cleanup(remote->curl);
	free(remote->url);
	free(remote);
	return NULL;
}

static struct answer *answer_new(struct sea_ccdb_remote *remote)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return NULL;
	answer->public.headers = answer->headers;
	answer->n_bytes_max = remote->options.n_bytes_max ? remote->options.n_bytes_max : N_BYTES_MAX;
	answer->curl = remote->curl;
	return answer;
}

static void remote_prepare(struct sea_ccdb_remote *remote, struct answer *answer, uint64_t n_bytes_up)
{
	const struct sea_ccdb_remote_options *options = &remote->options;
	const int64_t timeout_ms = options->timeout_ms ? options->timeout_ms
	                                               : TIMEOUT_MS + (int64_t)(n_bytes_up >> 20) * 1000;
	CURL *curl = remote->curl;

	/* Keeps connections. */
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sealane-ccdb");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
	                 (long)(options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS));
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 262144L);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, answer_take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->curl_error);
}

/* One hop. Takes the url. @return 0 there is an answer; negative errno there is none, and that was said */
static int remote_perform(struct sea_ccdb_remote *remote, struct answer *answer, char *url, struct curl_slist *headers,
                          struct sea_error *error)
{
	CURLcode code;
	long status = 0;

	if (!url)
		return sea_error_set(error, -ENOMEM, "", "no memory");
	free((char *)answer->public.url);
	answer->public.url = url;
	answer->n_first = answer->public.n_headers;
	answer->public.n_bytes = 0;
	answer->public.status = 0;
	answer->curl_error[0] = 0;
	answer->error = 0;
	MD5Init(&answer->md5);
	curl_easy_setopt(remote->curl, CURLOPT_URL, url);
	curl_easy_setopt(remote->curl, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(remote->curl);
	curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &status);
	answer->public.status = (int)status;
	answer->public.body = answer->body && answer->public.n_bytes ? answer->body : NULL;
	if (answer->error < 0)
		return sea_error_set(error, answer->error, "", "%s: %s", url,
		                     answer->error == -E2BIG ? "the answer is too large"
		                                             : sea_error_text(answer->error));
	if (code != CURLE_OK)
		return sea_error_set(error, curl_errno(code), "", "%s: %s", url,
		                     answer->curl_error[0] ? answer->curl_error : curl_easy_strerror(code));
	return 0;
}

static void slist_cleanup(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* Adds a header; a list that cannot grow is given up, which the caller sees by its return. */
static int slist_add(struct curl_slist **list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int slist_add(struct curl_slist **list, const char *format, ...)
{
	struct curl_slist *longer;
	va_list arguments;
	char line[256];

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	longer = curl_slist_append(*list, line);
	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

static int bounds_add(struct curl_slist **list, const struct sea_ccdb_address *address)
{
	int r = 0;

	if (address->not_after_ms > 0)
		r = slist_add(list, "If-Not-After: %" PRId64, address->not_after_ms);
	if (r == 0 && address->not_before_ms > 0)
		r = slist_add(list, "If-Not-Before: %" PRId64, address->not_before_ms);
	return r;
}

/* A request without a body of its own. */
static int remote_simple(struct sea_ccdb_remote *remote, const char *method, const char *servlet,
                         const struct sea_ccdb_address *address, const struct sea_ccdb_pair *set, size_t n_set,
                         const char *more, struct answer *answer, struct sea_error *error)
{
	SEAI_CLEANUP(slist_cleanup) struct curl_slist *headers = NULL;

	if (bounds_add(&headers, address) < 0 || (more && slist_add(&headers, "%s", more) < 0))
		return sea_error_set(error, -ENOMEM, "", "no memory");
	remote_prepare(remote, answer, 0);
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(remote->curl, CURLOPT_NOBODY, 1L);
	else if (strcmp(method, "GET") != 0)
		curl_easy_setopt(remote->curl, CURLOPT_CUSTOMREQUEST, method);
	return remote_perform(remote, answer, remote_url(remote, servlet, address, set, n_set), headers, error);
}

/* Reading. ------------------------------------------------------------------------------------- */

/* A place that a header names, as a URL; NULL where it is no HTTP. */
static char *place_url(const struct sea_ccdb_remote *remote, const char *place)
{
	char *url = NULL;
	int n;

	if (place[0] != '/')
		return strncasecmp(place, "http://", 7) == 0 || strncasecmp(place, "https://", 8) == 0 ? strdup(place)
		                                                                                       : NULL;
	/* The host of the server, without the path that its URL may have. */
	n = asprintf(&url, "%.*s%s",
	             (int)(strcspn(strstr(remote->url, "://") + 3, "/") + 3 +
	                   (size_t)(strstr(remote->url, "://") - remote->url)),
	             remote->url, place);
	return n < 0 ? NULL : url;
}

/* Whether an earlier header of the same hop names the same place. */
static bool place_is_known(const struct answer *answer, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcasecmp(answer->headers[k].key +
		                       (strncasecmp(answer->headers[k].key, "Content-", 8) == 0 ? 8 : 0),
		               "Location") == 0 &&
		    strcmp(answer->headers[k].value, answer->headers[i].value) == 0)
			return true;
	return false;
}

static int content_check(const struct answer *answer, struct sea_error *error)
{
	const char *wanted = NULL;
	uint8_t digest[16];
	char text[33];
	MD5_CTX md5 = answer->md5;

	for (size_t i = answer->n_first; i < answer->public.n_headers; i++)
		if (strcasecmp(answer->headers[i].key, "Content-MD5") == 0)
			wanted = answer->headers[i].value;
	if (!wanted || strlen(wanted) != 32)
		return 0;
	MD5Final(digest, &md5);
	seai_hex(digest, 16, text);
	return strcasecmp(text, wanted) == 0
	               ? 0
	               : sea_error_set(error, -EBADMSG, "",
	                               "%s: the content is not what was promised: its MD5 is %s, not %s",
	                               answer->public.url, text, wanted);
}

/* Tries each place that the first answer names. */
static int remote_follow(struct sea_ccdb_remote *remote, struct answer *answer, struct sea_error *error)
{
	const size_t n_headers = answer->public.n_headers;
	int r = sea_error_set(error, -EPROTO, "", "%s: %d names no place that can be read by HTTP", answer->public.url,
	                      answer->public.status);

	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n_headers; i++) {
			char *url;

			if (strcasecmp(answer->headers[i].key, pass ? "Content-Location" : "Location") != 0 ||
			    (pass && place_is_known(answer, i)))
				continue;
			url = place_url(remote, answer->headers[i].value);
			if (!url)
				continue;
			remote_prepare(remote, answer, 0);
			r = remote_perform(remote, answer, url, NULL, error);
			if (r == 0 && answer->public.status == 200)
				return content_check(answer, error);
			if (r == 0)
				r = answer_error(answer, error);
			/* What the sink has taken cannot be taken back; and its own error is final. */
			if (answer->error < 0 ||
			    (answer->sink && answer->public.n_bytes > 0 && answer->public.status == 200))
				return r;
		}
	}
	return r;
}

int sea_ccdb_remote_get(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int head,
                        sea_ccdb_sink_fn *sink, void *userdata, struct sea_ccdb_answer **ret_answer,
                        struct sea_error *error)
{
	SEAI_CLEANUP(answer_cleanup) struct answer *answer = answer_new(remote);
	int r = address_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	answer->sink = sink;
	answer->userdata = userdata;
	r = remote_simple(remote, head ? "HEAD" : "GET", "", address, NULL, 0, NULL, answer, error);
	if (r < 0)
		return r;
	if (answer->public.status == 200)
		r = head ? 0 : content_check(answer, error);
	else if (answer->public.status >= 301 && answer->public.status <= 308 && answer->public.status != 304)
		r = head ? 0 : remote_follow(remote, answer, error);
	else
		r = answer_error(answer, error);
	if (r < 0)
		return r;
	*ret_answer = &SEAI_TAKE(answer)->public;
	return 0;
}

int sea_ccdb_remote_browse(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int latest,
                           uint64_t n_max, struct sea_ccdb_answer **ret_answer, struct sea_error *error)
{
	SEAI_CLEANUP(answer_cleanup) struct answer *answer = answer_new(remote);
	SEAI_CLEANUP(slist_cleanup) struct curl_slist *headers = NULL;
	int r = address_check(address, true, error);

	if (r < 0)
		return r;
	if (!answer || bounds_add(&headers, address) < 0 || slist_add(&headers, "Accept: application/json") < 0 ||
	    (n_max && slist_add(&headers, "Browse-Limit: %" PRIu64, n_max) < 0))
		return sea_error_set(error, -ENOMEM, "", "no memory");
	remote_prepare(remote, answer, 0);
	r = remote_perform(remote, answer, remote_url(remote, latest ? "latest/" : "browse/", address, NULL, 0),
	                   headers, error);
	if (r == 0 && answer->public.status != 200)
		r = answer_error(answer, error);
	if (r < 0)
		return r;
	*ret_answer = &SEAI_TAKE(answer)->public;
	return 0;
}

/* Writing. ------------------------------------------------------------------------------------- */

static size_t upload_read(char *buffer, size_t size, size_t n, void *userdata)
{
	const ssize_t n_read = read(*(const int *)userdata, buffer, size * n);

	return n_read < 0 ? CURL_READFUNC_ABORT : (size_t)n_read;
}

static int upload_seek(void *userdata, curl_off_t offset, int origin)
{
	return lseek(*(const int *)userdata, offset, origin) < 0 ? CURL_SEEKFUNC_CANTSEEK : CURL_SEEKFUNC_OK;
}

int sea_ccdb_remote_put(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address, int fd,
                        const char *file_name, struct sea_ccdb_answer **ret_answer, struct sea_error *error)
{
	SEAI_CLEANUP(answer_cleanup) struct answer *answer = answer_new(remote);
	struct stat status;
	curl_mimepart *part;
	curl_mime *mime;
	int r = address_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	if (address->until_ms <= address->time_ms)
		return sea_error_set(error, -EINVAL, "validity", "its end is missing, or not after its beginning");
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return sea_error_set(error, -EINVAL, file_name, "is no file");
	remote_prepare(remote, answer, (uint64_t)status.st_size);
	mime = curl_mime_init(remote->curl);
	part = mime ? curl_mime_addpart(mime) : NULL;
	if (!part || curl_mime_name(part, "send") != CURLE_OK || curl_mime_filename(part, file_name) != CURLE_OK ||
	    curl_mime_type(part, "application/octet-stream") != CURLE_OK ||
	    curl_mime_data_cb(part, status.st_size, upload_read, upload_seek, NULL, &fd) != CURLE_OK) {
		curl_mime_free(mime);
		return sea_error_set(error, -ENOMEM, "", "no memory");
	}
	curl_easy_setopt(remote->curl, CURLOPT_MIMEPOST, mime);
	r = remote_perform(remote, answer, remote_url(remote, "", address, NULL, 0), NULL, error);
	curl_easy_reset(remote->curl);
	curl_mime_free(mime);
	if (r == 0 && answer->public.status / 100 != 2)
		r = answer_error(answer, error);
	if (r == 0 && ret_answer)
		*ret_answer = &SEAI_TAKE(answer)->public;
	return r;
}

int sea_ccdb_remote_update(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                           const struct sea_ccdb_pair *set, size_t n_set, struct sea_error *error)
{
	SEAI_CLEANUP(answer_cleanup) struct answer *answer = answer_new(remote);
	int r = address_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	r = remote_simple(remote, "PUT", "", address, set, n_set, NULL, answer, error);
	if (r < 0)
		return r;
	return answer->public.status == 304 ? 0 : answer->public.status / 100 == 2 ? 1 : answer_error(answer, error);
}

int sea_ccdb_remote_remove(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                           struct sea_error *error)
{
	SEAI_CLEANUP(answer_cleanup) struct answer *answer = answer_new(remote);
	int r = address_check(address, false, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	r = remote_simple(remote, "DELETE", "", address, NULL, 0, NULL, answer, error);
	if (r < 0)
		return r;
	return answer->public.status / 100 == 2 ? 0 : answer_error(answer, error);
}

int64_t sea_ccdb_remote_truncate(struct sea_ccdb_remote *remote, const struct sea_ccdb_address *address,
                                 struct sea_error *error)
{
	SEAI_CLEANUP(answer_cleanup) struct answer *answer = answer_new(remote);
	const char *deleted;
	int r = address_check(address, true, error);

	if (r < 0 || !answer)
		return r < 0 ? r : sea_error_set(error, -ENOMEM, "", "no memory");
	r = remote_simple(remote, "GET", "truncate/", address, NULL, 0, NULL, answer, error);
	if (r < 0)
		return r;
	if (answer->public.status == 304)
		return 0;
	if (answer->public.status / 100 != 2)
		return answer_error(answer, error);
	deleted = sea_ccdb_answer_header(&answer->public, "Deleted");
	return deleted ? (int64_t)strtoll(deleted, NULL, 10) : 0;
}
