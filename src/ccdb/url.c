/* SPDX-License-Identifier: Apache-2.0 */
/* What a URL of a CCDB means. */
#include "ccdb/url.h"

#include <errno.h>
#include <string.h>

#include "ccdb/check.h"

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

int seai_url_unescape(const char *text, size_t n, bool plus_is_blank, char *out)
{
	size_t n_out = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '%') {
			const int high = i + 2 < n ? hex_value(text[i + 1]) : -1;
			const int low = high >= 0 ? hex_value(text[i + 2]) : -1;

			if (low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			out[n_out++] = (char)((unsigned)high << 4 | (unsigned)low);
			i += 2;
		} else {
			out[n_out++] = (char)(plus_is_blank && text[i] == '+' ? ' ' : text[i]);
		}
	}
	out[n_out] = 0;
	return (int)n_out;
}

int seai_url_time(const char *text, int64_t *ret_ms)
{
	int64_t ms = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(ms, 10, &ms) || __builtin_add_overflow(ms, *text - '0', &ms))
			return -ERANGE;
	}
	*ret_ms = ms;
	return 0;
}

static enum seai_url_kind url_kind(const char *first)
{
	static const struct {
		const char *name;
		enum seai_url_kind kind;
	} kinds[] = {
		{ "browse", SEAI_URL_BROWSE },     { "latest", SEAI_URL_LATEST },   { "truncate", SEAI_URL_TRUNCATE },
		{ "download", SEAI_URL_DOWNLOAD }, { "monitor", SEAI_URL_MONITOR },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(first, kinds[i].name) == 0)
			return kinds[i].kind;
	return SEAI_URL_OBJECT;
}

static int url_add_pair(struct sea_ccdb_pair *pairs, size_t *n_pairs, char *key, struct sea_error *error)
{
	char *equals = strchr(key, '=');

	if (*n_pairs == SEA_CCDB_METADATA_N_MAX)
		return sea_error_set(error, -EINVAL, "URL", "more than %d pairs of key=value", SEA_CCDB_METADATA_N_MAX);
	if (equals)
		*equals++ = 0;
	if (!*key) {
		const char *shown = equals && seai_check_text(equals) ? equals : "";

		return sea_error_set(error, -EINVAL, "URL", "=%.*s: a key is missing", seai_check_cut(shown, 64),
		                     shown);
	}
	pairs[(*n_pairs)++] = (struct sea_ccdb_pair){ key, equals ? equals : "" };
	return 0;
}

static int url_add_element(struct seai_url *url, const char *element, struct sea_error *error)
{
	const size_t n = strlen(url->path), n_element = strlen(element);

	if (n + 1 + n_element > SEA_CCDB_PATH_N_MAX)
		return sea_error_set(error, -EINVAL, "path", "is longer than %d bytes", SEA_CCDB_PATH_N_MAX);
	if (n > 0)
		url->path[n] = '/';
	memcpy(url->path + n + (n > 0), element, n_element + 1);
	return 0;
}

/* One element, unescaped. */
static int url_element(struct seai_url *url, char *element, struct sea_error *error)
{
	const bool is_number = strspn(element, "0123456789") == strlen(element);
	const char *shown = seai_check_text(element) ? element : "(no text)";
	const int n_shown = seai_check_cut(shown, 64);
	int64_t number;

	if (strchr(element, '='))
		return url_add_pair(url->metadata, &url->n_metadata, element, error);
	if (is_number && !(url->has_start && url->has_end)) {
		if (seai_url_time(element, &number) < 0)
			return sea_error_set(error, -EINVAL, "time", "%.*s: is too large", n_shown, shown);
		*(url->has_start ? &url->end_ms : &url->start_ms) = number;
		*(url->has_start ? &url->has_end : &url->has_start) = true;
		return 0;
	}
	if (!url->has_start && !(url->kind == SEAI_URL_DOWNLOAD))
		return strchr(element, '/')
		               ? sea_error_set(error, -EINVAL, "path", "%.*s: has an escaped slash", n_shown, shown)
		               : url_add_element(url, element, error);
	if (!url->uuid && seai_check_uuid(element, strlen(element))) {
		url->uuid = element;
		return 0;
	}
	return sea_error_set(error, -EINVAL, "URL", "%.*s: after the time come an end, a uuid, or key=value, each once",
	                     n_shown, shown);
}

static int url_arguments(struct seai_url *url, char *text, struct sea_error *error)
{
	while (text) {
		char *next = strchr(text, '&');

		if (next)
			*next++ = 0;
		if (*text && seai_url_unescape(text, strlen(text), true, text) < 0)
			return sea_error_set(error, -EINVAL, "URL", "has a bad escape after the question mark");
		if (*text && url_add_pair(url->arguments, &url->n_arguments, text, error) < 0)
			return -EINVAL;
		text = next;
	}
	return 0;
}

static int url_elements(struct seai_url *url, char *text, struct sea_error *error)
{
	bool is_first = true;

	while (text) {
		char *next = strchr(text, '/');
		int r;

		if (next)
			*next++ = 0;
		if (*text && seai_url_unescape(text, strlen(text), false, text) < 0)
			return sea_error_set(error, -EINVAL, "URL",
			                     "has a bad escape (%%00, or no two digits after a %%)");
		if (*text) {
			if (is_first)
				url->kind = url_kind(text);
			r = is_first && url->kind != SEAI_URL_OBJECT ? 0 : url_element(url, text, error);
			if (r < 0)
				return r;
			is_first = false;
		}
		text = next;
	}
	if (is_first)
		url->kind = SEAI_URL_ROOT;
	return 0;
}

static int url_check(struct seai_url *url, struct sea_error *error)
{
	if (!url->has_end) {
		if (url->has_start && url->start_ms == INT64_MAX)
			return sea_error_set(error, -EINVAL, "time", "is too large");
		url->end_ms = url->start_ms + 1;
	}
	if (url->kind == SEAI_URL_DOWNLOAD)
		return url->uuid && !url->has_start && url->n_metadata == 0
		               ? 0
		               : sea_error_set(error, -EINVAL, "URL", "/download/ is followed by a uuid");
	if (url->kind == SEAI_URL_OBJECT)
		return seai_check_path(url->path, error);
	return seai_check_pattern(url->path, error);
}

int seai_url_parse(const char *text, struct seai_url *ret_url, struct sea_error *error)
{
	const size_t n = strlen(text);
	char *arguments;
	int r;

	memset(ret_url, 0, offsetof(struct seai_url, text));
	if (n > SEAI_URL_N_MAX)
		return sea_error_set(error, -ENAMETOOLONG, "URL", "is longer than %d bytes", SEAI_URL_N_MAX);
	memcpy(ret_url->text, text, n + 1);
	arguments = strchr(ret_url->text, '?');
	if (arguments)
		*arguments++ = 0;
	r = url_elements(ret_url, ret_url->text, error);
	if (r == 0)
		r = url_arguments(ret_url, arguments, error);
	return r < 0 ? r : url_check(ret_url, error);
}

bool seai_url_flag(const struct seai_url *url, const char *name)
{
	for (size_t i = 0; i < url->n_arguments; i++)
		if (strcmp(url->arguments[i].key, name) == 0)
			return strcmp(url->arguments[i].value, "true") == 0;
	return false;
}
