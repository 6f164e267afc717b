/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of hosts, and remaps of paths to some; see client-url.h. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "ccdb/client-url.h"

void seai_hosts_fini(struct seai_hosts *hosts)
{
	for (unsigned i = 0; i < hosts->n; i++)
		free(hosts->list[i].url);
	*hosts = (struct seai_hosts){ 0 };
}

/* Whether libcurl takes it, and it is http or https with a host, without a query or a fragment. */
static bool url_is_good(const char *text)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL, *query = NULL, *fragment = NULL;
	bool good = url && strlen(text) <= SEAI_URL_N_MAX / 4 &&
	            curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
	            curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	            curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	            curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_OK &&
	            curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) != CURLUE_OK &&
	            (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0) && *host;

	curl_free(scheme);
	curl_free(host);
	curl_free(query);
	curl_free(fragment);
	curl_url_cleanup(url);
	return good;
}

static int hosts_add_one(struct seai_hosts *hosts, const char *text, size_t n, const char *key, struct sea_error *error)
{
	bool is_snapshot = n >= 7 && strncasecmp(text, "file://", 7) == 0;
	SEAI_AUTO_FREE char *url = NULL;

	while (n > (is_snapshot ? 8u : 0u) && text[n - 1] == '/')
		n--;
	if (hosts->n == SEAI_HOSTS_N_MAX)
		return sea_error_set(error, -EINVAL, key, "has more than %d hosts", SEAI_HOSTS_N_MAX);
	if (is_snapshot)
		url = strndup(text + 7, n - 7);
	else if (asprintf(&url, "%s%.*s", memmem(text, n, "://", 3) ? "" : "http://", (int)n, text) < 0)
		url = NULL;
	if (!url)
		return sea_error_set(error, -ENOMEM, key, "no memory");
	if (is_snapshot ? !*url : !url_is_good(url))
		return sea_error_set(error, -EINVAL, key,
		                     "%.*s is no URL of a host: http://HOST[:PORT][/PREFIX], https:, file://DIR",
		                     (int)n, text);
	hosts->list[hosts->n].url = SEAI_TAKE(url);
	hosts->list[hosts->n++].is_snapshot = is_snapshot;
	return 0;
}

int seai_hosts_add(struct seai_hosts *hosts, const char *text, const char *key, struct sea_error *error)
{
	while (*text) {
		size_t n = strcspn(text, ",;"), n_left = n;
		const char *at = text;

		for (; n_left && *at == ' '; n_left--)
			at++;
		while (n_left && at[n_left - 1] == ' ')
			n_left--;
		if (n_left) {
			int result = hosts_add_one(hosts, at, n_left, key, error);

			if (result < 0)
				return result;
		}
		text += n + (text[n] != '\0');
	}
	return 0;
}

struct seai_remap *seai_remap_free(struct seai_remap *remap)
{
	while (remap) {
		struct seai_remap *next = remap->next;

		seai_hosts_fini(&remap->hosts);
		free(remap->paths);
		free(remap);
		remap = next;
	}
	return NULL;
}

static void cleanup_remap(struct seai_remap **remap)
{
	seai_remap_free(*remap);
}

/* "path,path" to paths, each with its end. */
static int remap_paths(struct seai_remap *remap, const char *text, size_t n, struct sea_error *error)
{
	char *out;

	/* No path grows by what is done to it, and each has a separator to give for its end. */
	remap->paths = out = calloc(1, n + 2);
	if (!out)
		return sea_error_set(error, -ENOMEM, "remap", "no memory");
	for (size_t i = 0; i < n;) {
		size_t n_path = i;
		SEAI_AUTO_FREE char *piece = NULL;
		SEAI_AUTO_FREE char *path = NULL;
		int result;

		while (n_path < n && text[n_path] != ',')
			n_path++;
		i += strspn(text + i, " ");
		piece = i < n_path ? strndup(text + i, n_path - i) : strdup("");
		if (!piece)
			return sea_error_set(error, -ENOMEM, "remap", "no memory");
		result = seai_path_parse(&path, piece, error);
		if (result < 0)
			return result;
		out = stpcpy(out, path) + 1;
		i = n_path + 1;
	}
	return *remap->paths ? 0 : sea_error_set(error, -EINVAL, "remap", "a URL has no paths");
}

int seai_remap_parse(struct seai_remap **ret_remap, const char *text, struct sea_error *error)
{
	SEAI_CLEANUP(cleanup_remap) struct seai_remap *first = NULL;
	struct seai_remap **last = &first;

	for (size_t n; *text; text += n + (text[n] == ';')) {
		const char *equals;
		int result;

		n = strcspn(text, ";");
		if (n == 0)
			continue;
		equals = memchr(text, '=', n);
		if (!equals || equals == text)
			return sea_error_set(error, -EINVAL, "remap", "\"%.*s\" is not URL=path,path", (int)n, text);
		*last = calloc(1, sizeof(**last));
		if (!*last)
			return sea_error_set(error, -ENOMEM, "remap", "no memory");
		result = hosts_add_one(&(*last)->hosts, text, (size_t)(equals - text), "remap", error);
		if (result == 0)
			result = remap_paths(*last, equals + 1, (size_t)(text + n - equals - 1), error);
		if (result < 0)
			return result;
		last = &(*last)->next;
	}
	*ret_remap = SEAI_TAKE(first);
	return 0;
}

const struct seai_hosts *seai_remap_find(const struct seai_remap *remap, const char *path)
{
	for (; remap; remap = remap->next)
		for (const char *at = remap->paths; *at; at += strlen(at) + 1)
			if (strcmp(at, path) == 0)
				return &remap->hosts;
	return NULL;
}
