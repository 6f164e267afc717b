/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees: colours and progress only on a terminal, sizes and durations
 * to read, errors in one line. Nothing here writes to standard output by itself, so that
 * --json stays clean.
 */
#ifndef SEALANE_TOOLS_TERMINAL_H
#define SEALANE_TOOLS_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum terminal_colour {
	TERMINAL_PLAIN,
	TERMINAL_BOLD,
	TERMINAL_DIM,
	TERMINAL_GREEN,
	TERMINAL_YELLOW,
	TERMINAL_RED,
	TERMINAL_BLUE,
};

/* Room for any text of the functions below that write into a buffer, terminating zero included. */
#define TERMINAL_TEXT_N_BYTES 32

bool terminal_is(FILE *stream);

/* On a terminal, unless NO_COLOR is set to anything, or TERM is "dumb". */
bool terminal_has_colours(FILE *stream);

/* The escape sequence of a colour, "" where there are none. TERMINAL_PLAIN ends any other. */
const char *terminal_colour(FILE *stream, enum terminal_colour colour);

/* Columns of the terminal; 100 where it is none, at least 40. */
unsigned terminal_width(FILE *stream);

/* "0 B", "1.5 KiB", "2.0 GiB". @return text */
char *terminal_size(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n_bytes);

/* "640 ns", "12.3 us", "4.50 ms", "1.25 s", "3 min 20 s", "2 h 05 min", "3 d 04 h"; "-" before a negative one. @return text */
char *terminal_duration(char text[static TERMINAL_TEXT_N_BYTES], int64_t duration_ns);

/* "12.3 GB/s" in powers of 1000, as rates are given everywhere; "-" for no time. @return text */
char *terminal_rate(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n_bytes, int64_t duration_ns);

/*
 * Prints text wrapped at spaces to the width of the terminal, every line after the
 * first indented. The caller has printed up to column `indent` already.
 */
void terminal_wrap(FILE *stream, unsigned indent, const char *text);

/*
 * One line on standard error: `sealane NAME: what and where`. A line of progress that stands
 * there is erased first. @param command NULL for the program itself
 */
void terminal_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of progress on standard error. Does nothing where that is no terminal. */
struct terminal_progress {
	const char *label;
	int64_t start_ns;
	int64_t next_ns; /* do not draw before: at most 10 lines a second */
	bool enabled;
	bool drawn;
};

/* @param quiet true shows nothing at all @param label is borrowed until the end */
void terminal_progress_init(struct terminal_progress *progress, const char *label, bool quiet);

/*
 * Cheap enough to be called per message: draws at most ten times a second.
 * @param n_bytes_total 0 where it is not known
 * @param note what else to show, may be NULL
 */
void terminal_progress_update(struct terminal_progress *progress, uint64_t n_bytes, uint64_t n_bytes_total,
                              const char *note);

/* Erases the line. May be called more than once. */
void terminal_progress_fini(struct terminal_progress *progress);

#endif
