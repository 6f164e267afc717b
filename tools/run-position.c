/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in a JSON text something stands. The text has been read by jansson before, so it is well formed; only jansson
 * does not keep places. Where a part of the path is missing, the place is that of the last part that is there.
 */
#include <stdlib.h>
#include <string.h>

#include "run.h"

static const char *position_skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* From an opening quote to behind the closing one. */
static const char *position_skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

static const char *position_skip_value(const char *at)
{
	size_t depth = 0;

	do {
		if (*at == '"') {
			at = position_skip_string(at);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && depth > 0 && --depth == 0)
			return at + 1;
		else if (depth == 0 && (*at == ',' || *at == '}' || *at == ']' || *at == '\n' || *at == ' '))
			return at;
		if (*at)
			at++;
	} while (*at && (depth > 0 || (*at != ',' && *at != '}' && *at != ']')));
	return at;
}

/* The element with that index, or NULL. */
static const char *position_find_element(const char *array, size_t index)
{
	const char *at = array;

	if (*at != '[')
		return NULL;
	at = position_skip_space(at + 1);
	for (; index > 0 && *at && *at != ']'; index--) {
		at = position_skip_space(position_skip_value(at));
		if (*at != ',')
			return NULL;
		at = position_skip_space(at + 1);
	}
	return *at && *at != ']' ? at : NULL;
}

/* The value of the last member of that name, which is the one that jansson keeps, or NULL. */
static const char *position_find_member(const char *object, const char *name, size_t n_name)
{
	const char *at = object, *found = NULL;

	if (*at != '{')
		return NULL;
	at = position_skip_space(at + 1);
	while (*at == '"') {
		const char *end = position_skip_string(at);
		bool is_it = (size_t)(end - at) == n_name + 2 && strncmp(at + 1, name, n_name) == 0;

		at = position_skip_space(end);
		if (*at != ':')
			return found;
		at = position_skip_space(at + 1);
		if (is_it)
			found = at;
		at = position_skip_space(position_skip_value(at));
		if (*at != ',')
			return found;
		at = position_skip_space(at + 1);
	}
	return found;
}

void run_position(const char *text, const char *path, unsigned *ret_line, unsigned *ret_column)
{
	const char *at = position_skip_space(text), *next;

	while (*path) {
		if (*path == '[') {
			char *end;
			size_t index = strtoul(path + 1, &end, 10);

			next = position_find_element(at, index);
			path = *end == ']' ? end + 1 : end;
		} else {
			size_t n = strcspn(path, ".[");

			next = position_find_member(at, path, n);
			path += n;
		}
		if (!next)
			break;
		at = next;
		path += *path == '.';
	}
	*ret_line = 1;
	*ret_column = 1;
	for (const char *c = text; c < at; c++) {
		if (*c == '\n') {
			++*ret_line;
			*ret_column = 1;
		} else if (((unsigned char)*c & 0xc0) != 0x80) {
			++*ret_column; /* a character, whatever its number of bytes */
		}
	}
}
