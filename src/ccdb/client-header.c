/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP answers; see client-header.h. Nothing here trusts a byte of them. */
#include "ccdb/client-header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void seai_headers_fini(struct seai_headers *headers)
{
	for (size_t i = 0; i < headers->n; i++)
		free((char *)headers->list[i].key);
	free(headers->list);
	*headers = (struct seai_headers){ 0 };
}

/* A name and its value in one allocation. */
static int pair_new(struct sea_ccdb_pair *ret_pair, const char *name, size_t n_name, const char *value, size_t n_value)
{
	char *text = malloc(n_name + n_value + 2);

	if (!text)
		return -ENOMEM;
	memcpy(text, name, n_name);
	text[n_name] = '\0';
	memcpy(text + n_name + 1, value, n_value);
	text[n_name + 1 + n_value] = '\0';
	*ret_pair = (struct sea_ccdb_pair){ text, text + n_name + 1 };
	return 0;
}

int seai_headers_add(struct seai_headers *headers, const char *name, size_t n_name, const char *value, size_t n_value)
{
	int result;

	if (headers->n == headers->n_room) {
		size_t n_room = headers->n_room ? headers->n_room * 2 : 16;
		struct sea_ccdb_pair *list = realloc(headers->list, n_room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		headers->list = list;
		headers->n_room = n_room;
	}
	result = pair_new(&headers->list[headers->n], name, n_name, value, n_value);
	if (result == 0)
		headers->n++;
	return result;
}

const char *seai_headers_find(const struct seai_headers *headers, const char *name)
{
	for (size_t i = 0; i < headers->n; i++)
		if (strcasecmp(headers->list[i].key, name) == 0)
			return headers->list[i].value;
	return NULL;
}

/* Which of an answer's headers of one name counts; i is the first of them. */
static const char *headers_effective(const struct seai_headers *headers, size_t i)
{
	const char *best = headers->list[i].value;
	int64_t length, longest;

	if (strcasecmp(headers->list[i].key, "Content-Length") != 0)
		return best;
	for (size_t j = i + 1; j < headers->n; j++) {
		if (strcasecmp(headers->list[j].key, "Content-Length") != 0)
			continue;
		if (seai_number_parse(headers->list[j].value, &length) == 0 &&
		    (seai_number_parse(best, &longest) < 0 || length > longest))
			best = headers->list[j].value;
	}
	return best;
}

static bool headers_has_before(const struct seai_headers *headers, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (strcasecmp(headers->list[j].key, headers->list[i].key) == 0)
			return true;
	return false;
}

int seai_headers_merge(struct seai_headers *headers, const struct seai_headers *later)
{
	size_t n_before = headers->n;

	for (size_t i = 0; i < later->n; i++) {
		const char *name = later->list[i].key, *value;
		struct sea_ccdb_pair pair;
		size_t at = 0;

		if (headers_has_before(later, i))
			continue;
		value = headers_effective(later, i);
		while (at < n_before && strcasecmp(headers->list[at].key, name) != 0)
			at++;
		if (at == n_before) {
			if (seai_headers_add(headers, name, strlen(name), value, strlen(value)) < 0)
				return -ENOMEM;
			continue;
		}
		if (pair_new(&pair, name, strlen(name), value, strlen(value)) < 0)
			return -ENOMEM;
		free((char *)headers->list[at].key);
		headers->list[at] = pair;
	}
	return 0;
}

void seai_answer_fini(struct seai_answer *answer)
{
	size_t n_bytes_max = answer->n_bytes_max;

	seai_headers_fini(&answer->headers);
	*answer = (struct seai_answer){ .n_bytes_max = n_bytes_max };
}

static int answer_fault(struct seai_answer *answer, int code, const char *text)
{
	snprintf(answer->fault, sizeof(answer->fault), "%s", text);
	return code;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static int answer_status(struct seai_answer *answer, const char *line, size_t n_bytes)
{
	const char *space = memchr(line, ' ', n_bytes);
	const char *end = line + n_bytes;

	if (!space || end - space < 4 || !is_digit(space[1]) || !is_digit(space[2]) || !is_digit(space[3]) ||
	    (end - space > 4 && space[4] != ' '))
		return answer_fault(answer, -EBADMSG, "has a malformed status line");
	seai_headers_fini(&answer->headers);
	answer->status = (space[1] - '0') * 100 + (space[2] - '0') * 10 + (space[3] - '0');
	answer->is_complete = false;
	return answer->status < 100 ? answer_fault(answer, -EBADMSG, "has a malformed status line") : 0;
}

/* What RFC 9110 calls a token. */
static bool is_name(const char *name, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++) {
		unsigned char c = (unsigned char)name[i];

		if (!is_digit(name[i]) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return n_bytes > 0;
}

static int answer_header(struct seai_answer *answer, const char *line, size_t n_bytes)
{
	const char *colon = memchr(line, ':', n_bytes), *value, *end = line + n_bytes;

	if (!colon || !is_name(line, (size_t)(colon - line)))
		return answer_fault(answer, -EBADMSG, "has a line among its headers that is none");
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (const char *c = value; c < end; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return answer_fault(answer, -EBADMSG, "has a control character in a header");
	if (answer->headers.n >= SEAI_HEADERS_N_MAX)
		return answer_fault(answer, -E2BIG, "has too many headers");
	return seai_headers_add(&answer->headers, line, (size_t)(colon - line), value, (size_t)(end - value));
}

int seai_answer_line(struct seai_answer *answer, const char *line, size_t n_bytes)
{
	answer->n_bytes += n_bytes;
	if (answer->n_bytes_max && answer->n_bytes > answer->n_bytes_max)
		return answer_fault(answer, -E2BIG, "has headers without end");
	if (n_bytes && line[n_bytes - 1] == '\n')
		n_bytes--;
	if (n_bytes && line[n_bytes - 1] == '\r')
		n_bytes--;
	if (answer->is_complete && answer->status >= 200)
		return 0;
	if (answer->status == 0 || answer->is_complete)
		return n_bytes >= 5 && memcmp(line, "HTTP/", 5) == 0
		               ? answer_status(answer, line, n_bytes)
		               : answer_fault(answer, -EBADMSG, "begins with no status line");
	if (n_bytes == 0) {
		answer->is_complete = true;
		return 0;
	}
	return answer_header(answer, line, n_bytes);
}

int seai_number_parse(const char *text, int64_t *ret_number)
{
	int64_t number = 0;

	if (!is_digit(*text))
		return -EBADMSG;
	for (; is_digit(*text); text++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *text - '0', &number))
			return -EBADMSG;
	if (*text)
		return -EBADMSG;
	*ret_number = number;
	return 0;
}

int seai_etag_parse(const char *text, char uuid[SEA_CCDB_UUID_N_BYTES])
{
	size_t n;

	if (strncmp(text, "W/\"", 3) == 0)
		text += 2;
	n = strlen(text);
	if (*text == '"') {
		if (n < 2 || text[n - 1] != '"')
			return -EBADMSG;
		text++;
		n -= 2;
	}
	if (n == 0 || n >= SEA_CCDB_UUID_N_BYTES)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\' || text[i] == ',')
			return -EBADMSG;
	memcpy(uuid, text, n);
	uuid[n] = '\0';
	return 0;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int md5_from_hex(const char *text, uint8_t digest[16])
{
	for (size_t i = 0; i < 16; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int md5_from_base64(const char *text, uint8_t digest[16])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int n_bits = 0, n = 0;

	for (int i = 0; i < 22; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit)
			return -EBADMSG;
		bits = bits << 6 | (uint32_t)(digit - digits);
		n_bits += 6;
		if (n_bits >= 8 && n < 16) {
			n_bits -= 8;
			digest[n++] = (uint8_t)(bits >> n_bits);
		}
	}
	return text[22] == '=' && text[23] == '=' ? 0 : -EBADMSG;
}

int seai_md5_parse(const char *text, uint8_t digest[16])
{
	switch (strlen(text)) {
	case 32: return md5_from_hex(text, digest);
	case 24: return md5_from_base64(text, digest);
	default: return -EBADMSG;
	}
}

/* A number that may be missing. */
static int version_number(const struct seai_headers *headers, const char *name, int64_t *ret_number,
                          const char **ret_name)
{
	const char *value = seai_headers_find(headers, name);

	if (!value)
		return 0;
	*ret_name = name;
	return seai_number_parse(value, ret_number);
}

int seai_version_parse(const struct seai_headers *headers, struct sea_ccdb_version *ret_version, const char **ret_name)
{
	struct sea_ccdb_version version = {
		.valid_from_ms = -1, .valid_until_ms = -1, .initial_until_ms = -1, .created_ms = -1
	};
	const char *etag = seai_headers_find(headers, "ETag");

	*ret_name = "ETag";
	if (etag && seai_etag_parse(etag, version.uuid) < 0)
		return -EBADMSG;
	if (version_number(headers, "Valid-From", &version.valid_from_ms, ret_name) < 0 ||
	    version_number(headers, "Valid-Until", &version.valid_until_ms, ret_name) < 0 ||
	    version_number(headers, "InitialValidityLimit", &version.initial_until_ms, ret_name) < 0 ||
	    version_number(headers, "Created", &version.created_ms, ret_name) < 0 ||
	    version_number(headers, "Cache-Valid-Until", &version.guaranteed_until_ms, ret_name) < 0)
		return -EBADMSG;
	if (version.initial_until_ms < 0)
		version.initial_until_ms = version.valid_until_ms;
	*ret_version = version;
	return 0;
}
