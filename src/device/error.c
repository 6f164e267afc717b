/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that people read; see sealane/device/error.h. */
#include <sealane/device/error.h>

#include <stdarg.h>
#include <stdio.h>

int sea_error_set(struct sea_error *error, int code, const char *key, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return code;
	error->code = code;
	snprintf(error->key, sizeof(error->key), "%s", key ? key : "");
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

char *sea_error_line(const struct sea_error *error, char *line, unsigned n_bytes)
{
	char place[320] = "";

	if (error->file[0] && error->line)
		snprintf(place, sizeof(place), "%s:%u:%u: ", error->file, error->line, error->column);
	else if (error->file[0])
		snprintf(place, sizeof(place), "%s: ", error->file);
	snprintf(line, n_bytes, "%s%s%s%s", place, error->key, error->key[0] ? ": " : "", error->text);
	return line;
}
