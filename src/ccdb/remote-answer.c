/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CCDB answers: headers of all hops, and a body that is kept or given to a sink.
 *
 * The odd rule: an answer's public part stands first, so that one is the other's address.
 */
#include "ccdb/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/check.h"

#define N_BYTES_MAX (UINT64_C(1) << 30)
#define HEADERS_N_BYTES_MAX ((size_t)256 * 1024)
/* What of a refusal's body is told. */
#define REASON_N_MAX 300

struct sea_ccdb_answer *sea_ccdb_answer_free(struct sea_ccdb_answer *answer)
{
	/* The public part stands first. */
	struct seai_remote_answer *whole = (struct seai_remote_answer *)answer;

	if (!whole)
		return NULL;
	for (size_t i = 0; i < whole->public.n_headers; i++)
		free((char *)whole->headers[i].key);
	free((char *)whole->public.url);
	free(whole->body);
	free(whole);
	return NULL;
}

void seai_remote_answer_cleanup(struct seai_remote_answer **answer)
{
	if (*answer)
		sea_ccdb_answer_free(&(*answer)->public);
}

struct seai_remote_answer *seai_remote_answer_new(struct sea_ccdb_remote *remote)
{
	struct seai_remote_answer *answer = calloc(1, sizeof(*answer));

	if (!answer)
		return NULL;
	answer->public.headers = answer->headers;
	answer->n_bytes_max = remote->options.n_bytes_max ? remote->options.n_bytes_max : N_BYTES_MAX;
	answer->curl = remote->curl;
	return answer;
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
size_t seai_remote_take_header(char *line, size_t size, size_t n, void *userdata)
{
	struct seai_remote_answer *answer = userdata;
	char *copy, *colon, *end;

	n *= size;
	answer->n_header_bytes += n;
	if (answer->public.n_headers == SEAI_REMOTE_HEADERS_N_MAX || answer->n_header_bytes > HEADERS_N_BYTES_MAX) {
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

static int answer_keep(struct seai_remote_answer *answer, const char *data, size_t n)
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

size_t seai_remote_take_body(char *data, size_t size, size_t n, void *userdata)
{
	struct seai_remote_answer *answer = userdata;
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
int seai_remote_answer_error(const struct seai_remote_answer *answer, struct sea_error *error)
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

int seai_remote_answer_check(const struct seai_remote_answer *answer, struct sea_error *error)
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
