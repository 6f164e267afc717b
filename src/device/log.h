/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log and the forms they are given; log-form.c has the forms, log.c the settings and where lines go. */
#ifndef SEALANE_DEVICE_LOG_PRIVATE_H
#define SEALANE_DEVICE_LOG_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include <sealane/device/log.h>

/* Text that grows; most lines need no memory but the object's own. What does not fit where there is no memory is cut. */
struct seai_log_text {
	char *data;
	size_t n;
	size_t n_max;
	char own[2048];
};

/* A line as it was given. */
struct seai_log_line {
	enum sea_severity severity;
	struct timespec time; /* CLOCK_REALTIME */
	const char *file;     /* NULL: not known; without folders */
	int line;
	const char *function;
	const char *device;  /* "" for none */
	const char *session; /* the same */
	const char *text;
	size_t n_text;
};

void seai_log_text_init(struct seai_log_text *text);
void seai_log_text_fini(struct seai_log_text *text);
void seai_log_text_add(struct seai_log_text *text, const char *data, size_t n);

/* Each appends a whole line, newline included. */
void seai_log_form_fairlogger(struct seai_log_text *text, const struct seai_log_line *line,
                              enum sea_verbosity verbosity, bool with_colours);
void seai_log_form_json(struct seai_log_text *text, const struct seai_log_line *line);
void seai_log_form_prefixed(struct seai_log_text *text, const struct seai_log_line *line);

/* Appends a datagram for the journal's native socket. */
void seai_log_form_journal(struct seai_log_text *text, const struct seai_log_line *line);

#endif
