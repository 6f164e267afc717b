/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that grow, and what of them may go to a terminal: nothing in a table moves the cursor. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cat.h"

void cat_text_fini(struct cat_text *text)
{
	free(text->bytes);
	*text = (struct cat_text){ 0 };
}

static bool text_grow(struct cat_text *text, size_t n_more)
{
	size_t n_max = 2 * text->n_max + n_more + 64;
	char *bytes;

	if (text->failed)
		return false;
	if (n_more < text->n_max - text->n_bytes)
		return true;
	bytes = realloc(text->bytes, n_max);
	if (!bytes) {
		text->failed = true;
		return false;
	}
	text->bytes = bytes;
	text->n_max = n_max;
	return true;
}

void cat_text_add(struct cat_text *text, const char *bytes, size_t n_bytes)
{
	if (!text_grow(text, n_bytes))
		return;
	memcpy(text->bytes + text->n_bytes, bytes, n_bytes);
	text->n_bytes += n_bytes;
	text->bytes[text->n_bytes] = '\0';
}

void cat_text_printf(struct cat_text *text, const char *format, ...)
{
	char line[160];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (n > 0)
		cat_text_add(text, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* Bytes of the UTF-8 sequence that begins here; 0: it is none. */
static size_t sequence_length(const unsigned char *at, size_t n_bytes)
{
	size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > n_bytes)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, surrogates, and what lies behind the last code point. */
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return n;
}

/* C1 control characters, which some terminals obey, are two bytes long. */
static bool is_control(const unsigned char *at, size_t n)
{
	return (n == 1 && (at[0] < 0x20 || at[0] == 0x7f)) || (n == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

void cat_text_add_escaped(struct cat_text *text, const char *bytes, size_t n_bytes, bool has_quotes)
{
	static const char letters[] = "btn\0fr";
	const unsigned char *at = (const unsigned char *)bytes;
	size_t n;

	if (has_quotes)
		cat_text_add(text, "\"", 1);
	for (size_t i = 0; i < n_bytes; i += n ? n : 1) {
		n = sequence_length(at + i, n_bytes - i);
		if (n == 0) {
			cat_text_add(text, "\xef\xbf\xbd", 3);
		} else if (is_control(at + i, n)) {
			char letter = at[i] >= '\b' && at[i] <= '\r' ? letters[at[i] - '\b'] : '\0';

			if (n == 1 && letter)
				cat_text_printf(text, "\\%c", letter);
			else
				cat_text_printf(text, "\\u%04x", n == 2 ? (unsigned)at[i + 1] : (unsigned)at[i]);
		} else if (has_quotes && (at[i] == '"' || at[i] == '\\')) {
			cat_text_printf(text, "\\%c", at[i]);
		} else {
			cat_text_add(text, bytes + i, n);
		}
	}
	if (has_quotes)
		cat_text_add(text, "\"", 1);
}
