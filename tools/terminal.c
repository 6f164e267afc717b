/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal. The one odd thing: whether a line of progress stands on it is a
 * global, because an error from anywhere must erase that line before it speaks.
 */
#include "terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static bool progress_stands;

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool terminal_is(FILE *stream)
{
	return isatty(fileno(stream)) == 1;
}

bool terminal_has_colours(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	/* no-color.org: set and not empty. */
	if (no_color && *no_color)
		return false;
	return term && strcmp(term, "dumb") != 0 && terminal_is(stream);
}

const char *terminal_colour(FILE *stream, enum terminal_colour colour)
{
	static const char *const escapes[] = {
		[TERMINAL_PLAIN] = "\033[0m",  [TERMINAL_BOLD] = "\033[1m",    [TERMINAL_DIM] = "\033[2m",
		[TERMINAL_GREEN] = "\033[32m", [TERMINAL_YELLOW] = "\033[33m", [TERMINAL_RED] = "\033[1;31m",
		[TERMINAL_BLUE] = "\033[36m",
	};

	return terminal_has_colours(stream) ? escapes[colour] : "";
}

unsigned terminal_width(FILE *stream)
{
	struct winsize size;

	if (!terminal_is(stream) || ioctl(fileno(stream), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 100;
	return size.ws_col < 40 ? 40 : size.ws_col;
}

char *terminal_size(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n_bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)n_bytes;
	size_t unit = 0;

	/* 1023.95 would be rounded to 1024.0 of the smaller unit. */
	while (value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.0f B", value);
	else
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.1f %s", value, units[unit]);
	return text;
}

char *terminal_duration(char text[static TERMINAL_TEXT_N_BYTES], int64_t duration_ns)
{
	const char *sign = duration_ns < 0 ? "-" : "";
	uint64_t ns = duration_ns < 0 ? 0 - (uint64_t)duration_ns : (uint64_t)duration_ns;
	unsigned long long s = ns / 1000000000;

	if (ns < 1000)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%u ns", sign, (unsigned)ns);
	else if (ns < 999950)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%.1f us", sign, (double)ns / 1e3);
	else if (ns < 999995000)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%.2f ms", sign, (double)ns / 1e6);
	else if (s < 60)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%.2f s", sign, (double)ns / 1e9);
	else if (s < 3600)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%llu min %02llu s", sign, s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%llu h %02llu min", sign, s / 3600, s / 60 % 60);
	else
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%s%llu d %02llu h", sign, s / 86400, s / 3600 % 24);
	return text;
}

char *terminal_rate(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n_bytes, int64_t duration_ns)
{
	static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s", "TB/s" };
	double value;
	size_t unit = 0;

	if (duration_ns <= 0) {
		snprintf(text, TERMINAL_TEXT_N_BYTES, "-");
		return text;
	}
	value = (double)n_bytes * 1e9 / (double)duration_ns;
	while (value >= 999.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(text, TERMINAL_TEXT_N_BYTES, "%.1f %s", value, units[unit]);
	return text;
}

void terminal_wrap(FILE *stream, unsigned indent, const char *text)
{
	unsigned width = terminal_width(stream);
	unsigned column = indent;

	/* On a very narrow terminal words stay readable and the indentation gives way. */
	if (indent + 20 > width)
		width = indent + 20;
	while (*text) {
		size_t n = strcspn(text, " ");

		if (column > indent && column + 1 + n > width) {
			fprintf(stream, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', stream);
			column++;
		}
		fwrite(text, 1, n, stream);
		column += (unsigned)n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', stream);
}

static void progress_erase(void)
{
	if (!progress_stands)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress_stands = false;
}

void terminal_error(const char *command, const char *format, ...)
{
	va_list arguments;

	progress_erase();
	flockfile(stderr);
	fputs("sealane", stderr);
	if (command)
		fprintf(stderr, " %s", command);
	fputs(": ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void terminal_progress_init(struct terminal_progress *progress, const char *label, bool quiet)
{
	const char *term = getenv("TERM");

	*progress = (struct terminal_progress){
		.label = label,
		.start_ns = clock_ns(),
		.enabled = !quiet && terminal_is(stderr) && term && strcmp(term, "dumb") != 0,
	};
}

void terminal_progress_update(struct terminal_progress *progress, uint64_t n_bytes, uint64_t n_bytes_total,
                              const char *note)
{
	char line[512];
	char done[TERMINAL_TEXT_N_BYTES], total[TERMINAL_TEXT_N_BYTES], rate[TERMINAL_TEXT_N_BYTES];
	char left[TERMINAL_TEXT_N_BYTES];
	int64_t now_ns;
	size_t n = 0;
	unsigned width;

	if (!progress->enabled)
		return;
	now_ns = clock_ns();
	if (now_ns < progress->next_ns)
		return;
	progress->next_ns = now_ns + INT64_C(100000000);

	n += (size_t)snprintf(line, sizeof(line), "%.40s  %s", progress->label, terminal_size(done, n_bytes));
	if (n_bytes_total)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " of %s (%.0f %%)",
		                      terminal_size(total, n_bytes_total),
		                      100.0 * (double)n_bytes / (double)n_bytes_total);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "  %s",
	                      terminal_rate(rate, n_bytes, now_ns - progress->start_ns));
	if (n_bytes_total && n_bytes && n_bytes <= n_bytes_total) {
		double left_ns = (double)(now_ns - progress->start_ns) * (double)(n_bytes_total - n_bytes) /
		                 (double)n_bytes;

		if (left_ns >= 1e9 && left_ns < 9e18)
			n += (size_t)snprintf(line + n, sizeof(line) - n, "  %s left",
			                      terminal_duration(left, (int64_t)left_ns / 1000000000 * 1000000000));
	}
	if (note && n < sizeof(line))
		snprintf(line + n, sizeof(line) - n, "  %s", note);

	/* A line as wide as the terminal would scroll it: one column stays free. */
	width = terminal_width(stderr);
	fprintf(stderr, "\r%.*s\033[K", (int)width - 1, line);
	fflush(stderr);
	progress_stands = true;
	progress->drawn = true;
}

void terminal_progress_fini(struct terminal_progress *progress)
{
	if (progress->drawn)
		progress_erase();
	progress->drawn = false;
}
