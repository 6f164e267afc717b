/* SPDX-License-Identifier: Apache-2.0 */
/* A string that grows; see client-url.h. Its user asks once, at the end, whether memory was missing. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/client-url.h"

void seai_text_add(struct seai_text *text, const char *bytes, size_t n_bytes)
{
	if (text->is_failed)
		return;
	if (text->n + n_bytes + 1 > text->n_room) {
		size_t n_room = (text->n + n_bytes + 1) * 2;
		char *more = realloc(text->text, n_room);

		if (!more) {
			free(text->text);
			*text = (struct seai_text){ .is_failed = true };
			return;
		}
		text->text = more;
		text->n_room = n_room;
	}
	memcpy(text->text + text->n, bytes, n_bytes);
	text->n += n_bytes;
	text->text[text->n] = '\0';
}

void seai_text_format(struct seai_text *text, const char *format, ...)
{
	va_list arguments;
	char *piece = NULL;
	int n;

	va_start(arguments, format);
	n = vasprintf(&piece, format, arguments);
	va_end(arguments);
	if (n < 0) {
		free(text->text);
		*text = (struct seai_text){ .is_failed = true };
		return;
	}
	seai_text_add(text, piece, (size_t)n);
	free(piece);
}
