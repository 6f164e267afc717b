/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CCDB over HTTP, one blocking request at a time: the object, and one request of it.
 *
 * The odd rule: redirections are followed by us (remote-read.c) and not by curl, since a server names several places, of which some may be dead and some
 * no HTTP at all.
 */
#include "ccdb/remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/check.h"
#include "ccdb/curl-global.h"

#define TIMEOUT_MS 60000
#define CONNECT_TIMEOUT_MS 5000

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
	seai_curl_begin();
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

void seai_remote_prepare(struct sea_ccdb_remote *remote, struct seai_remote_answer *answer, uint64_t n_bytes_up)
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
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, seai_remote_take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, seai_remote_take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->curl_error);
}

int seai_remote_perform(struct sea_ccdb_remote *remote, struct seai_remote_answer *answer, char *url,
                        struct curl_slist *headers, struct sea_error *error)
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

int seai_remote_ask(struct sea_ccdb_remote *remote, const char *method, const char *servlet,
                    const struct sea_ccdb_address *address, const struct sea_ccdb_pair *set, size_t n_set,
                    const char *const *more, struct seai_remote_answer *answer, struct sea_error *error)
{
	SEAI_CLEANUP(slist_cleanup) struct curl_slist *headers = NULL;

	if (bounds_add(&headers, address) < 0)
		return sea_error_set(error, -ENOMEM, "", "no memory");
	for (; more && *more; more++)
		if (slist_add(&headers, "%s", *more) < 0)
			return sea_error_set(error, -ENOMEM, "", "no memory");
	seai_remote_prepare(remote, answer, 0);
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(remote->curl, CURLOPT_NOBODY, 1L);
	else if (strcmp(method, "GET") != 0)
		curl_easy_setopt(remote->curl, CURLOPT_CUSTOMREQUEST, method);
	return seai_remote_perform(remote, answer, seai_remote_url(remote, servlet, address, set, n_set), headers,
	                           error);
}
