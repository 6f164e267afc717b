/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms of a line of the log: FairLogger's, JSON, and two for the journal.
 *
 * The odd rule: whatever the text holds, JSON is valid UTF-8 and one line, and a field of the journal cannot be forged by a newline.
 */
#include "device/log.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void seai_log_text_init(struct seai_log_text *text)
{
	text->data = text->own;
	text->n = 0;
	text->n_max = sizeof(text->own);
}

void seai_log_text_fini(struct seai_log_text *text)
{
	if (text->data != text->own)
		free(text->data);
}

void seai_log_text_add(struct seai_log_text *text, const char *data, size_t n)
{
	if (n > text->n_max - text->n) {
		const size_t n_max = 2 * (text->n + n);
		char *larger = malloc(n_max);

		if (larger) {
			memcpy(larger, text->data, text->n);
			seai_log_text_fini(text);
			text->data = larger;
			text->n_max = n_max;
		} else {
			n = text->n_max - text->n;
		}
	}
	memcpy(text->data + text->n, data, n);
	text->n += n;
}

static void form_add(struct seai_log_text *text, const char *string)
{
	seai_log_text_add(text, string, strlen(string));
}

__attribute__((format(printf, 2, 3))) static void form_print(struct seai_log_text *text, const char *format, ...)
{
	char piece[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(piece, sizeof(piece), format, arguments);
	va_end(arguments);
	form_add(text, piece);
}

/* FairLogger. ------------------------------------------------------------------------------- */

#define FORM_PLAIN "\033[0m"
#define FORM_BLUE "\033[01;34m"
#define FORM_CYAN "\033[01;36m"
#define FORM_YELLOW "\033[01;33m"

static const char *form_colour(enum sea_severity severity)
{
	switch (severity) {
	case SEA_SEVERITY_FATAL:
	case SEA_SEVERITY_ERROR: return "\033[01;31m";
	case SEA_SEVERITY_ALARM:
	case SEA_SEVERITY_WARN: return FORM_YELLOW;
	case SEA_SEVERITY_STATE: return "\033[01;35m";
	case SEA_SEVERITY_IMPORTANT:
	case SEA_SEVERITY_INFO:
	case SEA_SEVERITY_DETAIL: return "\033[01;32m";
	case SEA_SEVERITY_TRACE: return FORM_CYAN;
	default: return FORM_BLUE;
	}
}

void seai_log_form_fairlogger(struct seai_log_text *text, const struct seai_log_line *line,
                              enum sea_verbosity verbosity, bool with_colours)
{
	const char *plain = with_colours ? FORM_PLAIN : "";
	const char *blue = with_colours ? FORM_BLUE : "", *cyan = with_colours ? FORM_CYAN : "";
	const char *yellow = with_colours ? FORM_YELLOW : "";
	char clock[16];
	struct tm local;

	if (verbosity >= SEA_VERBOSITY_HIGH)
		form_print(text, "[%s%.200s%s]", blue, program_invocation_short_name, plain);
	if (verbosity >= SEA_VERBOSITY_MEDIUM) {
		localtime_r(&line->time.tv_sec, &local);
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
		form_print(text, "[%s%s", cyan, clock);
		if (verbosity == SEA_VERBOSITY_VERYHIGH)
			form_print(text, ".%06ld", line->time.tv_nsec / 1000);
		form_print(text, "%s]", plain);
	}
	if (verbosity >= SEA_VERBOSITY_LOW)
		form_print(text, "[%s%s%s]", with_colours ? form_colour(line->severity) : "",
		           sea_severity_name(line->severity), plain);
	if (verbosity == SEA_VERBOSITY_VERYHIGH && line->file)
		form_print(text, "[%s%.120s%s:%s%d%s:%s%.120s%s]", blue, line->file, plain, yellow, line->line, plain,
		           blue, line->function ? line->function : "", plain);
	if (verbosity >= SEA_VERBOSITY_LOW)
		form_add(text, " ");
	seai_log_text_add(text, line->text, line->n_text);
	form_add(text, "\n");
}

/* JSON. ------------------------------------------------------------------------------------- */

/* How many bytes the UTF-8 character at data has; 0: it is none. */
static size_t form_utf8(const unsigned char *data, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t n_bytes;

	if (data[0] < 0x80)
		return 1;
	if (data[0] >= 0xc2 && data[0] < 0xe0)
		n_bytes = 2;
	else if (data[0] >= 0xe0 && data[0] < 0xf0)
		n_bytes = 3;
	else if (data[0] >= 0xf0 && data[0] < 0xf5)
		n_bytes = 4;
	else
		return 0;
	if (n < n_bytes)
		return 0;
	code = data[0] & (0x7fu >> n_bytes);
	for (size_t i = 1; i < n_bytes; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (data[i] & 0x3f);
	}
	return code < least[n_bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n_bytes;
}

static void form_json_string(struct seai_log_text *text, const char *string, size_t n)
{
	const unsigned char *data = (const unsigned char *)string;

	form_add(text, "\"");
	for (size_t i = 0; i < n;) {
		const size_t n_bytes = form_utf8(data + i, n - i);

		if (n_bytes == 0)
			form_add(text, "\xef\xbf\xbd"); /* the replacement character */
		else if (data[i] == '"' || data[i] == '\\')
			form_print(text, "\\%c", data[i]);
		else if (data[i] == '\n')
			form_add(text, "\\n");
		else if (data[i] == '\t')
			form_add(text, "\\t");
		else if (data[i] < 0x20 || data[i] == 0x7f)
			form_print(text, "\\u%04x", data[i]);
		else
			seai_log_text_add(text, string + i, n_bytes);
		i += n_bytes ? n_bytes : 1;
	}
	form_add(text, "\"");
}

static void form_json_member(struct seai_log_text *text, const char *key, const char *value)
{
	if (!value || !value[0])
		return;
	form_print(text, ",\"%s\":", key);
	form_json_string(text, value, strlen(value));
}

static const char *form_lower(enum sea_severity severity, char name[16])
{
	const char *upper = sea_severity_name(severity);
	size_t i;

	for (i = 0; i < 15 && upper[i]; i++)
		name[i] = (char)(upper[i] >= 'A' && upper[i] <= 'Z' ? upper[i] - 'A' + 'a' : upper[i]);
	name[i] = 0;
	return name;
}

void seai_log_form_json(struct seai_log_text *text, const struct seai_log_line *line)
{
	char clock[32], severity[16];
	struct tm utc;

	gmtime_r(&line->time.tv_sec, &utc);
	strftime(clock, sizeof(clock), "%Y-%m-%dT%H:%M:%S", &utc);
	form_print(text, "{\"time\":\"%s.%06ldZ\",\"severity\":\"%s\"", clock, line->time.tv_nsec / 1000,
	           form_lower(line->severity, severity));
	form_json_member(text, "device", line->device);
	form_json_member(text, "session", line->session);
	form_print(text, ",\"pid\":%d", (int)getpid());
	if (line->file) {
		form_json_member(text, "file", line->file);
		form_print(text, ",\"line\":%d", line->line);
		form_json_member(text, "function", line->function);
	}
	form_add(text, ",\"text\":");
	form_json_string(text, line->text, line->n_text);
	form_add(text, "}\n");
}

/* The journal. ------------------------------------------------------------------------------- */

/* As of syslog(3). */
static int form_priority(enum sea_severity severity)
{
	switch (severity) {
	case SEA_SEVERITY_FATAL: return 2;
	case SEA_SEVERITY_ERROR: return 3;
	case SEA_SEVERITY_ALARM:
	case SEA_SEVERITY_WARN: return 4;
	case SEA_SEVERITY_IMPORTANT:
	case SEA_SEVERITY_STATE: return 5;
	case SEA_SEVERITY_INFO:
	case SEA_SEVERITY_DETAIL: return 6;
	default: return 7;
	}
}

void seai_log_form_prefixed(struct seai_log_text *text, const struct seai_log_line *line)
{
	const char *at = line->text, *end = line->text + line->n_text;

	do {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		form_print(text, "<%d>", form_priority(line->severity));
		if (line->device[0])
			form_print(text, "%.200s: ", line->device);
		seai_log_text_add(text, at, (size_t)((newline ? newline : end) - at));
		form_add(text, "\n");
		at = newline ? newline + 1 : end;
	} while (at < end);
}

/* A value with a newline goes by its size, as systemd documents ("Native Journal Protocol"). */
static void form_journal_field(struct seai_log_text *text, const char *key, const char *value, size_t n)
{
	const uint64_t n_little_endian = htole64(n);

	form_add(text, key);
	if (memchr(value, '\n', n)) {
		form_add(text, "\n");
		seai_log_text_add(text, (const char *)&n_little_endian, sizeof(n_little_endian));
	} else {
		form_add(text, "=");
	}
	seai_log_text_add(text, value, n);
	form_add(text, "\n");
}

static void form_journal_string(struct seai_log_text *text, const char *key, const char *value)
{
	if (value && value[0])
		form_journal_field(text, key, value, strlen(value));
}

void seai_log_form_journal(struct seai_log_text *text, const struct seai_log_line *line)
{
	form_journal_field(text, "MESSAGE", line->text, line->n_text);
	form_print(text, "PRIORITY=%d\n", form_priority(line->severity));
	form_journal_string(text, "SYSLOG_IDENTIFIER", program_invocation_short_name);
	form_print(text, "SEALANE_SEVERITY=%s\n", sea_severity_name(line->severity));
	form_journal_string(text, "SEALANE_DEVICE", line->device);
	form_journal_string(text, "SEALANE_SESSION", line->session);
	if (line->file) {
		form_journal_string(text, "CODE_FILE", line->file);
		form_print(text, "CODE_LINE=%d\n", line->line);
		form_journal_string(text, "CODE_FUNC", line->function);
	}
}
