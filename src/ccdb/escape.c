/* SPDX-License-Identifier: Apache-2.0 */
/* See escape.h. */
#include "ccdb/escape.h"

#include <string.h>

bool seai_is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-._~", c));
}

void seai_print_escaped(FILE *stream, const char *text, const char *also)
{
	for (; *text; text++) {
		if (seai_is_unreserved(*text) || strchr(also, *text))
			fputc(*text, stream);
		else
			fprintf(stream, "%%%02X", (unsigned char)*text);
	}
}
