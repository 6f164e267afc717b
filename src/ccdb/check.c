/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in a path, in metadata, in a uuid; and the wildcards of listings. */
#include "ccdb/check.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* Length of the UTF-8 character at text, 0 where there is none. */
static size_t utf8_length(const unsigned char *text)
{
	const size_t n = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogate, beyond the last. */
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return n;
}

bool seai_check_text(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		const size_t n = utf8_length(at);

		if (n == 0 || *at < 0x20 || *at == 0x7f)
			return false;
		at += n;
	}
	return true;
}

int seai_check_cut(const char *text, size_t n_max)
{
	size_t n = 0;

	while (text[n]) {
		const size_t n_next = utf8_length((const unsigned char *)text + n);

		if (n_next == 0 || n + n_next > n_max)
			break;
		n += n_next;
	}
	return (int)n;
}

/* One element of a path, which ends at a slash or at the end. */
static int check_element(const char *element, size_t n, struct sea_error *error)
{
	const int n_shown = seai_check_cut(element, n > 64 ? 64 : n);

	if (n == 0)
		return sea_error_set(error, -EINVAL, "path", "has an empty element");
	if (strspn(element, "0123456789") >= n)
		return sea_error_set(error, -EINVAL, "path", "%.*s: an element of digits only is a time", n_shown,
		                     element);
	if (memchr(element, '=', n))
		return sea_error_set(error, -EINVAL, "path", "%.*s: an element with = is metadata", n_shown, element);
	if ((n == 1 && element[0] == '.') || (n == 2 && element[0] == '.' && element[1] == '.'))
		return sea_error_set(error, -EINVAL, "path", "has . or .. as an element");
	return 0;
}

static int check_whole(const char *path, struct sea_error *error)
{
	if (strlen(path) > SEA_CCDB_PATH_N_MAX)
		return sea_error_set(error, -EINVAL, "path", "is longer than %d bytes", SEA_CCDB_PATH_N_MAX);
	if (!seai_check_text(path))
		return sea_error_set(error, -EINVAL, "path", "has a control character, or is no UTF-8");
	return 0;
}

int seai_check_path(const char *path, struct sea_error *error)
{
	size_t n_elements = 0;

	if (!path || !*path)
		return sea_error_set(error, -EINVAL, "path", "is missing");
	if (check_whole(path, error) < 0)
		return -EINVAL;
	if (strpbrk(path, "*%"))
		return sea_error_set(error, -EINVAL, "path", "has a wildcard (* or %%)");
	for (const char *at = path;; at += strcspn(at, "/") + 1) {
		if (check_element(at, strcspn(at, "/"), error) < 0)
			return -EINVAL;
		if (++n_elements > SEA_CCDB_PATH_N_ELEMENTS_MAX)
			return sea_error_set(error, -EINVAL, "path", "has more than %d elements",
			                     SEA_CCDB_PATH_N_ELEMENTS_MAX);
		if (!strchr(at, '/'))
			return 0;
	}
}

int seai_check_pattern(const char *path, struct sea_error *error)
{
	return path ? check_whole(path, error) : 0;
}

/* Headers that an object has anyway, or that mean something between the ends of a connection. */
static bool key_is_reserved(const char *key)
{
	static const char *const names[] = {
		"Accept-Ranges",
		"Age",
		"Allow",
		"Cache-Control",
		"Cache-Valid-Until",
		"Connection",
		"Created",
		"Date",
		"ETag",
		"Expires",
		"Host",
		"InitialValidityLimit",
		"Keep-Alive",
		"Last-Modified",
		"Location",
		"Pragma",
		"Server",
		"Set-Cookie",
		"TE",
		"Trailer",
		"Transfer-Encoding",
		"Upgrade",
		"Valid-From",
		"Valid-Until",
		"Vary",
		"Via",
		"WWW-Authenticate",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(key, names[i]) == 0)
			return true;
	return strncasecmp(key, "Content-", 8) == 0 || strncasecmp(key, "Access-Control-", 15) == 0;
}

static int check_key(const char *key, struct sea_error *error)
{
	size_t n = strlen(key);

	if (n == 0 || n > 128)
		return sea_error_set(error, -EINVAL, "metadata", "a key has to have 1 to 128 characters");
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)key[i]) && !strchr("!#$&'+-.^_`|~", key[i]))
			return sea_error_set(error, -EINVAL, "metadata",
			                     "key %.64s: only letters, digits and !#$&'+-.^_`|~ are allowed",
			                     seai_check_text(key) ? key : "(no text)");
	if (key_is_reserved(key))
		return sea_error_set(error, -EINVAL, "metadata", "key %s: is a header of HTTP or of the object itself",
		                     key);
	return 0;
}

int seai_check_metadata(const struct sea_ccdb_pair *metadata, size_t n_metadata, struct sea_error *error)
{
	size_t n_bytes = 0;

	if (n_metadata > SEA_CCDB_METADATA_N_MAX)
		return sea_error_set(error, -EINVAL, "metadata", "more than %d keys", SEA_CCDB_METADATA_N_MAX);
	for (size_t i = 0; i < n_metadata; i++) {
		if (check_key(metadata[i].key, error) < 0)
			return -EINVAL;
		if (!seai_check_text(metadata[i].value))
			return sea_error_set(error, -EINVAL, "metadata",
			                     "%s: its value has a control character, or is no UTF-8", metadata[i].key);
		n_bytes += strlen(metadata[i].key) + strlen(metadata[i].value);
		for (size_t k = 0; k < i; k++)
			if (strcmp(metadata[k].key, metadata[i].key) == 0)
				return sea_error_set(error, -EINVAL, "metadata", "%s: is there twice", metadata[i].key);
	}
	if (n_bytes > SEA_CCDB_METADATA_N_BYTES_MAX)
		return sea_error_set(error, -EINVAL, "metadata", "more than %d bytes", SEA_CCDB_METADATA_N_BYTES_MAX);
	return 0;
}

/* Uuids. --------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

bool seai_check_uuid(const char *text, size_t n)
{
	if (n != 36)
		return false;
	for (size_t i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : hex_value(text[i]) < 0)
			return false;
	return true;
}

int seai_uuid_parse(const char *text, uint8_t ret_uuid[static 16])
{
	size_t n = 0;

	if (!seai_check_uuid(text, strlen(text)))
		return -EINVAL;
	for (size_t i = 0; i < 36; i += text[i] == '-' ? 1 : 2)
		if (text[i] != '-')
			ret_uuid[n++] = (uint8_t)((unsigned)hex_value(text[i]) << 4 | (unsigned)hex_value(text[i + 1]));
	return 0;
}

void seai_hex(const uint8_t *bytes, size_t n_bytes, char *ret_text)
{
	for (size_t i = 0; i < n_bytes; i++) {
		ret_text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		ret_text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	ret_text[2 * n_bytes] = 0;
}

void seai_uuid_format(const uint8_t uuid[static 16], char ret_text[static SEA_CCDB_STORE_UUID_N_BYTES])
{
	static const uint8_t ends[] = { 0, 4, 6, 8, 10, 16 };

	for (size_t i = 0; i < 5; i++) {
		seai_hex(uuid + ends[i], (size_t)(ends[i + 1] - ends[i]), ret_text + (size_t)2 * ends[i] + i);
		ret_text[(size_t)2 * ends[i + 1] + i] = i < 4 ? '-' : 0;
	}
}

void seai_uuid_new(int64_t time_ms, uint8_t ret_uuid[static 16])
{
	/* 100 ns since 15 October 1582, as RFC 4122 counts. */
	uint64_t ticks = (uint64_t)time_ms * 10000 + UINT64_C(0x01b21dd213814000);
	uint8_t random[10];

	/* Never fails for so few bytes once the kernel has booted. */
	(void)!getrandom(random, sizeof(random), 0);
	ticks += (((unsigned)random[8] << 8) | random[9]) % 10000;
	for (int i = 0; i < 4; i++)
		ret_uuid[i] = (uint8_t)(ticks >> (24 - 8 * i));
	ret_uuid[4] = (uint8_t)(ticks >> 40);
	ret_uuid[5] = (uint8_t)(ticks >> 32);
	ret_uuid[6] = (uint8_t)((ticks >> 56 & 0x0f) | 0x10);
	ret_uuid[7] = (uint8_t)(ticks >> 48);
	memcpy(ret_uuid + 8, random, 8);
	ret_uuid[8] = (ret_uuid[8] & 0x3f) | 0x80;
	/* A multicast bit: this is no address of a network card. */
	ret_uuid[10] |= 1;
}

/* Wildcards. ----------------------------------------------------------------------------------- */

/* The length of the wildcard at text, 0 where there is none. */
static size_t wildcard_length(const char *text)
{
	return text[0] == '*' || text[0] == '%' ? 1 : text[0] == '.' && text[1] == '*' ? 2 : 0;
}

size_t seai_pattern_prefix(const char *pattern)
{
	size_t n = 0;

	while (pattern[n] && wildcard_length(pattern + n) == 0)
		n++;
	return n;
}

bool seai_pattern_is_exact(const char *pattern)
{
	return pattern[seai_pattern_prefix(pattern)] == 0;
}

/* Going back to the last wildcard alone is enough, so the time is at most the product of the lengths. */
bool seai_pattern_match(const char *pattern, const char *path)
{
	const char *after = NULL, *from = NULL;

	for (;;) {
		const size_t n = wildcard_length(pattern);

		if (n > 0) {
			pattern += n;
			after = pattern;
			from = path;
		} else if (*pattern == *path && *path) {
			pattern++;
			path++;
		} else if (!*pattern && !*path) {
			return true;
		} else if (after && *from) {
			pattern = after;
			path = ++from;
		} else {
			return false;
		}
	}
}
