/* SPDX-License-Identifier: Apache-2.0 */
/* A body of multipart/form-data, read as it comes. */
#include "ccdb/multipart.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "ccdb/check.h"

/* The value of a parameter, `; name=value` or `; name="value"`, in a header. @return its length; -ENOENT; -EINVAL too long */
static int header_parameter(const char *header, const char *name, char *ret_value, size_t n_max)
{
	const size_t n_name = strlen(name);

	for (const char *at = strchr(header, ';'); at; at = strchr(at, ';')) {
		size_t n = 0;
		bool quoted;

		at++;
		at += strspn(at, " \t");
		if (strncasecmp(at, name, n_name) != 0 || at[n_name] != '=')
			continue;
		at += n_name + 1;
		quoted = *at == '"';
		at += quoted;
		while (*at && (quoted ? *at != '"' : !strchr("; \t", *at))) {
			if (quoted && at[0] == '\\' && (at[1] == '"' || at[1] == '\\'))
				at++;
			if (n + 1 >= n_max)
				return -EINVAL;
			ret_value[n++] = *at++;
		}
		ret_value[n] = 0;
		return quoted && *at != '"' ? -EINVAL : (int)n;
	}
	return -ENOENT;
}

int seai_multipart_init(struct seai_multipart *multipart, const char *content_type, seai_part_fn *sink, void *userdata,
                        struct sea_error *error)
{
	static const char type[] = "multipart/form-data";
	char boundary[SEAI_BOUNDARY_N_MAX + 1];
	int n;

	memset(multipart, 0, sizeof(*multipart));
	multipart->sink = sink;
	multipart->userdata = userdata;
	if (!content_type || strncasecmp(content_type, type, sizeof(type) - 1) != 0 ||
	    !strchr("; \t", content_type[sizeof(type) - 1]))
		return sea_error_set(error, -EINVAL, "Content-Type", "an upload has to be multipart/form-data");
	n = header_parameter(content_type, "boundary", boundary, sizeof(boundary));
	if (n <= 0 || strpbrk(boundary, "\r\n"))
		return sea_error_set(error, -EINVAL, "Content-Type", "the boundary is missing, or longer than %d bytes",
		                     SEAI_BOUNDARY_N_MAX);
	memcpy(multipart->delimiter, "\r\n--", 4);
	memcpy(multipart->delimiter + 4, boundary, (size_t)n);
	multipart->n_delimiter = 4 + (size_t)n;
	/* The first delimiter may stand at the very beginning, where no line ends before it. */
	multipart->n_matched = 2;
	return 0;
}

static void multipart_wrong(struct seai_multipart *multipart, const char *what)
{
	if (!multipart->wrong)
		multipart->wrong = what;
}

static void multipart_give(struct seai_multipart *multipart, const char *data, size_t n_bytes)
{
	if (n_bytes > 0 && multipart->state == SEAI_MULTIPART_BODY && multipart->n_parts == 1 &&
	    multipart->sink_result == 0)
		multipart->sink_result = multipart->sink(data, n_bytes, multipart->userdata);
}

/* Up to and with the next delimiter. The delimiter begins with a CR and has no other, so that a false start is never the middle of another. */
static size_t multipart_scan(struct seai_multipart *multipart, const char *data, size_t n_bytes)
{
	size_t i = 0;

	while (i < n_bytes) {
		if (multipart->n_matched == 0) {
			const char *cr = memchr(data + i, '\r', n_bytes - i);
			const size_t n = cr ? (size_t)(cr - data) - i : n_bytes - i;

			multipart_give(multipart, data + i, n);
			i += n;
			if (!cr)
				return n_bytes;
			multipart->n_matched = 1;
			i++;
		} else if (data[i] == multipart->delimiter[multipart->n_matched]) {
			i++;
			if (++multipart->n_matched == multipart->n_delimiter) {
				multipart->n_matched = 0;
				multipart->n_header = 0;
				multipart->state = SEAI_MULTIPART_AFTER;
				return i;
			}
		} else {
			multipart_give(multipart, multipart->delimiter, multipart->n_matched);
			multipart->n_matched = 0;
		}
	}
	return i;
}

/* A delimiter is followed by blanks and CRLF, or, when it is the last, by --. */
static size_t multipart_after(struct seai_multipart *multipart, const char *data, size_t n_bytes)
{
	char *header = multipart->header;

	for (size_t i = 0; i < n_bytes; i++) {
		if (multipart->n_header == 0 && (data[i] == ' ' || data[i] == '\t'))
			continue;
		header[multipart->n_header++] = data[i];
		if (multipart->n_header < 2)
			continue;
		if (header[0] == '-' && header[1] == '-') {
			multipart->state = SEAI_MULTIPART_END;
		} else {
			if (header[0] != '\r' || header[1] != '\n')
				multipart_wrong(multipart, "a delimiter is followed by neither a line nor an end");
			multipart->state = SEAI_MULTIPART_HEADER;
			multipart->n_parts++;
		}
		multipart->n_header = 0;
		return i + 1;
	}
	return n_bytes;
}

static void multipart_header_line(struct seai_multipart *multipart, const char *line)
{
	static const char disposition[] = "Content-Disposition:", type[] = "Content-Type:";

	if (strncasecmp(line, disposition, sizeof(disposition) - 1) == 0) {
		const int n = header_parameter(line, "filename", multipart->file_name, sizeof(multipart->file_name));

		if (n == -EINVAL || !seai_check_text(multipart->file_name))
			multipart_wrong(multipart, "the file name is too long, or no text");
	} else if (strncasecmp(line, type, sizeof(type) - 1) == 0) {
		const char *value = line + sizeof(type) - 1;

		value += strspn(value, " \t");
		if (strlen(value) >= sizeof(multipart->content_type) || !seai_check_text(value))
			multipart_wrong(multipart, "the content type of the part is too long, or no text");
		else
			memcpy(multipart->content_type, value, strlen(value) + 1);
	}
}

/* Lines up to an empty one. */
static size_t multipart_header(struct seai_multipart *multipart, const char *data, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++) {
		if (data[i] == '\n') {
			if (multipart->n_header > 0 && multipart->header[multipart->n_header - 1] == '\r')
				multipart->n_header--;
			multipart->header[multipart->n_header] = 0;
			if (multipart->n_header == 0) {
				multipart->state = SEAI_MULTIPART_BODY;
				return i + 1;
			}
			if (multipart->n_parts == 1)
				multipart_header_line(multipart, multipart->header);
			multipart->n_header = 0;
		} else if (multipart->n_header < SEAI_PART_HEADER_N_MAX && data[i] != 0) {
			multipart->header[multipart->n_header++] = data[i];
		} else {
			multipart_wrong(multipart, "a header of a part is too long, or has a zero");
		}
	}
	return n_bytes;
}

void seai_multipart_feed(struct seai_multipart *multipart, const char *data, size_t n_bytes)
{
	while (n_bytes > 0) {
		size_t n;

		switch (multipart->state) {
		case SEAI_MULTIPART_PREAMBLE:
		case SEAI_MULTIPART_BODY: n = multipart_scan(multipart, data, n_bytes); break;
		case SEAI_MULTIPART_AFTER: n = multipart_after(multipart, data, n_bytes); break;
		case SEAI_MULTIPART_HEADER: n = multipart_header(multipart, data, n_bytes); break;
		default: return; /* what follows the end means nothing */
		}
		data += n;
		n_bytes -= n;
	}
}

int seai_multipart_end(struct seai_multipart *multipart, struct sea_error *error)
{
	if (multipart->n_parts > 1)
		return sea_error_set(error, -EINVAL, "body", "has %zu parts; an upload has exactly one",
		                     multipart->n_parts);
	if (multipart->wrong)
		return sea_error_set(error, -EINVAL, "body", "%s", multipart->wrong);
	if (multipart->n_parts == 0)
		return sea_error_set(error, -EINVAL, "body", "has no part; an upload has exactly one");
	if (multipart->state != SEAI_MULTIPART_END)
		return sea_error_set(error, -EINVAL, "body", "ends before its last delimiter");
	return multipart->sink_result;
}
