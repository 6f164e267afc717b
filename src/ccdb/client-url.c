/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of queries and redirects; see client-url.h. */
#include "ccdb/client-url.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "ccdb/escape.h"

/* As the servers' grammar has it. */
#define N_ELEMENTS_MAX 10

static void cleanup_text(struct seai_text *text)
{
	free(text->text);
}

#define AUTO_TEXT SEAI_CLEANUP(cleanup_text)

static bool is_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

static int element_check(const char *element, size_t n, struct sea_error *error)
{
	size_t n_digits = 0;

	while (n_digits < n && element[n_digits] >= '0' && element[n_digits] <= '9')
		n_digits++;
	if (n_digits == n)
		return sea_error_set(error, -EINVAL, "path",
		                     "has the element %.*s, which a server would take for a time", (int)n, element);
	if ((n == 1 && element[0] == '.') || (n == 2 && element[0] == '.' && element[1] == '.'))
		return sea_error_set(error, -EINVAL, "path", "has the element %.*s", (int)n, element);
	if (memchr(element, '=', n))
		return sea_error_set(error, -EINVAL, "path",
		                     "has the element %.*s, which a server would take for metadata", (int)n, element);
	return 0;
}

int seai_path_parse(char **ret_path, const char *path, struct sea_error *error)
{
	AUTO_TEXT struct seai_text text = { 0 };
	unsigned n_elements = 0;

	if (!path)
		return sea_error_set(error, -EINVAL, "path", "is missing");
	if (strlen(path) > SEAI_PATH_N_MAX)
		return sea_error_set(error, -EINVAL, "path", "is longer than %d bytes", SEAI_PATH_N_MAX);
	if (is_control(path))
		return sea_error_set(error, -EINVAL, "path", "has a control character");
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");

		if (n) {
			int result = element_check(at, n, error);

			if (result < 0)
				return result;
			if (n_elements++)
				seai_text_add(&text, "/", 1);
			seai_text_add(&text, at, n);
		}
		at += n + (at[n] == '/');
	}
	if (n_elements == 0 || n_elements > N_ELEMENTS_MAX)
		return sea_error_set(error, -EINVAL, "path", "\"%s\" has %u elements, not 1 to %d", path, n_elements,
		                     N_ELEMENTS_MAX);
	if (text.is_failed)
		return sea_error_set(error, -ENOMEM, "path", "no memory");
	*ret_path = SEAI_TAKE(text.text);
	return 0;
}

/* Percent-encodes what is not unreserved. */
static void text_escape(struct seai_text *text, const char *bytes, bool with_slashes)
{
	for (; *bytes; bytes++) {
		if (seai_is_unreserved(*bytes) || (*bytes == '/' && !with_slashes))
			seai_text_add(text, bytes, 1);
		else
			seai_text_format(text, "%%%02X", (unsigned char)*bytes);
	}
}

static int metadata_check(const struct sea_ccdb_pair *pair, struct sea_error *error)
{
	if (!pair->key || !pair->value || !*pair->key)
		return sea_error_set(error, -EINVAL, "metadata", "has no name or no value");
	if (strpbrk(pair->key, " :;.,\\/'?!(){}[]@<>=+*#$&`|~^%\"") || is_control(pair->key))
		return sea_error_set(error, -EINVAL, "metadata", "%s has a character that is not allowed", pair->key);
	if (is_control(pair->value) || strlen(pair->key) + strlen(pair->value) > SEAI_PATH_N_MAX)
		return sea_error_set(error, -EINVAL, "metadata",
		                     "%s has a value that is too long, or a control character", pair->key);
	return 0;
}

int seai_query_url(char **ret_tail, char **ret_key, const char *path, const struct sea_ccdb_query *query,
                   int64_t timestamp_ms, int64_t not_before_ms, int64_t not_after_ms, struct sea_error *error)
{
	AUTO_TEXT struct seai_text tail = { 0 }, key = { 0 };

	text_escape(&tail, path, false);
	seai_text_format(&tail, "/%" PRId64 "/", timestamp_ms);
	seai_text_format(&key, "%s\n%" PRId64 " %" PRId64, path, not_before_ms, not_after_ms);
	for (size_t i = 0; i < query->n_metadata; i++) {
		int result = metadata_check(&query->metadata[i], error);

		if (result < 0)
			return result;
		text_escape(&tail, query->metadata[i].key, true);
		seai_text_add(&tail, "=", 1);
		text_escape(&tail, query->metadata[i].value, true);
		seai_text_add(&tail, "/", 1);
		seai_text_format(&key, "\n%s=%s", query->metadata[i].key, query->metadata[i].value);
	}
	if (tail.is_failed || key.is_failed)
		return sea_error_set(error, -ENOMEM, "path", "no memory");
	if (tail.n > SEAI_URL_N_MAX / 2)
		return sea_error_set(error, -EINVAL, "metadata", "makes a URL of %zu bytes", tail.n);
	*ret_tail = SEAI_TAKE(tail.text);
	*ret_key = SEAI_TAKE(key.text);
	return 0;
}

static void cleanup_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

char *seai_location_resolve(const char *base, const char *location)
{
	SEAI_CLEANUP(cleanup_url) CURLU *url = curl_url();
	char *text = NULL, *copy = NULL, *scheme = NULL;

	if (!url || strlen(location) > SEAI_URL_N_MAX || curl_url_set(url, CURLUPART_URL, base, 0) != CURLUE_OK ||
	    curl_url_set(url, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return NULL;
	if ((strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0) &&
	    curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK && strlen(text) <= SEAI_URL_N_MAX)
		copy = strdup(text);
	curl_free(text);
	curl_free(scheme);
	return copy;
}
