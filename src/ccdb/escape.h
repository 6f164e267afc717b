/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding of what stands in a URL. */
#ifndef SEALANE_CCDB_ESCAPE_H
#define SEALANE_CCDB_ESCAPE_H

#include <stdbool.h>
#include <stdio.h>

/* Whether a character means itself wherever it stands. */
bool seai_is_unreserved(char c);

/* Prints text with all encoded that is not unreserved and not one of the characters of also. */
void seai_print_escaped(FILE *stream, const char *text, const char *also);

#endif
