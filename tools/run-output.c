/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices say, line by line with their names in front, and what we say. Both wait in memory until whoever reads
 * takes them, and devices wait when that is much, so that a slow reader slows the devices and never keeps us from
 * stopping them.
 *
 * The odd rule: no more than a page is written at a time and only after poll() has said that there is room, because a
 * descriptor that we were given is not to be made non-blocking: others have it too.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "run.h"
#include "terminal.h"

#define OUTPUT_WRITE_MAX 4096
#define OUTPUT_FULL (256u << 10)
#define OUTPUT_NAME_MAX 24
#define OUTPUT_ERASE "\r\033[K"

/* Without memory what does not fit is dropped. */
static void output_append(struct run_output *output, const char *data, size_t n_bytes)
{
	if (output->is_gone || n_bytes == 0)
		return;
	if (output->first > 0 && output->first + output->n_bytes + n_bytes > output->n_room) {
		memmove(output->data, output->data + output->first, output->n_bytes);
		output->first = 0;
	}
	if (output->n_bytes + n_bytes > output->n_room) {
		size_t n_room = 2 * (output->n_bytes + n_bytes);
		char *data_new = realloc(output->data, n_room);

		if (!data_new)
			return;
		output->data = data_new;
		output->n_room = n_room;
	}
	memcpy(output->data + output->first + output->n_bytes, data, n_bytes);
	output->n_bytes += n_bytes;
}

static void output_append_text(struct run_output *output, const char *text)
{
	output_append(output, text, strlen(text));
}

/* Before anything else is written the line at the bottom has to go. */
static void output_begin(struct run_output *output)
{
	if (output->has_status)
		output_append_text(output, OUTPUT_ERASE);
	output->has_status = false;
}

/* One page, or less. @return false: it takes no more now */
static bool output_write(struct run_output *output)
{
	struct pollfd pollfd = { .fd = output->fd, .events = POLLOUT };
	size_t n_bytes = output->n_bytes < OUTPUT_WRITE_MAX ? output->n_bytes : OUTPUT_WRITE_MAX;
	ssize_t n;

	if (poll(&pollfd, 1, 0) <= 0)
		return false;
	n = write(output->fd, output->data + output->first, n_bytes);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n < 0) {
		output->is_gone = true;
		output->n_bytes = 0;
		return true;
	}
	output->first = (size_t)n == output->n_bytes ? 0 : output->first + (size_t)n;
	output->n_bytes -= (size_t)n;
	return true;
}

bool run_output_flush(struct run *run)
{
	bool is_done = true;

	for (size_t i = 0; i < 2; i++) {
		struct run_output *output = &run->outputs[i];
		bool is_blocked;
		struct epoll_event event = { .data.u64 = UINT64_MAX - 1 - i };

		if (output->status[0] && !output->has_status) {
			output_append_text(output, OUTPUT_ERASE);
			output_append_text(output, output->status);
			output->has_status = true;
		}
		while (output->n_bytes > 0 && output_write(output))
			;
		is_blocked = output->n_bytes > 0;
		event.events = is_blocked ? EPOLLOUT : 0;
		if (is_blocked != output->is_blocked && output->is_watched)
			epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, output->fd, &event);
		output->is_blocked = is_blocked;
		is_done &= !is_blocked;
	}
	return is_done;
}

void run_output_hang_up(struct run *run, size_t index)
{
	struct run_output *output = &run->outputs[index];

	/* epoll would say so for ever. */
	epoll_ctl(run->epoll_fd, EPOLL_CTL_DEL, output->fd, NULL);
	output->is_watched = false;
	output->is_gone = true;
	output->n_bytes = 0;
}

bool run_output_is_full(const struct run *run)
{
	return run->outputs[0].n_bytes > OUTPUT_FULL;
}

void run_output_open(struct run *run)
{
	const bool json = run->options->json;
	FILE *lines = json ? stderr : stdout, *said = json ? stdout : stderr;
	bool is_one = !json && terminal_is(stdout) && terminal_is(stderr);

	run->outputs[0].fd = fileno(lines);
	run->outputs[1].fd = fileno(said);
	/* On one terminal they go one way, so that the line at the bottom knows of both. */
	run->said = &run->outputs[is_one ? 0 : 1];
	run->has_colours = terminal_has_colours(lines);
	for (size_t i = 0; i < 2; i++) {
		struct epoll_event event = { .data.u64 = UINT64_MAX - 1 - i };

		/* A file always has room, and epoll refuses it. */
		run->outputs[i].is_watched = epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->outputs[i].fd, &event) == 0;
	}
	for (size_t i = 0; i < run->n_devices; i++) {
		int n = (int)strlen(run->devices[i].name);

		if (n > run->name_width)
			run->name_width = n < OUTPUT_NAME_MAX ? n : OUTPUT_NAME_MAX;
	}
}

void run_output_fini(struct run *run)
{
	for (size_t i = 0; i < 2; i++)
		free(run->outputs[i].data);
}

static void output_line(struct run *run, const struct run_device *device, const char *data, size_t n_bytes, bool is_cut)
{
	static const enum terminal_colour colours[] = { TERMINAL_BLUE, TERMINAL_GREEN, TERMINAL_YELLOW, TERMINAL_BOLD };
	struct run_output *output = &run->outputs[0];
	FILE *stream = output->fd == STDOUT_FILENO ? stdout : stderr;
	enum terminal_colour colour = colours[(size_t)(device - run->devices) % (sizeof(colours) / sizeof(colours[0]))];
	char prefix[512];
	int n;

	if (run->has_colours)
		n = snprintf(prefix, sizeof(prefix), "%s%-*.200s |%s ", terminal_colour(stream, colour),
		             run->name_width, device->name, terminal_colour(stream, TERMINAL_PLAIN));
	else
		n = snprintf(prefix, sizeof(prefix), "%-*.200s | ", run->name_width, device->name);
	/* Of a program that ends its lines as terminals and other systems want it. */
	if (n_bytes > 0 && data[n_bytes - 1] == '\r')
		n_bytes--;
	output_begin(output);
	output_append(output, prefix, (size_t)n);
	output_append(output, data, n_bytes);
	output_append_text(output, is_cut ? " (cut)\n" : "\n");
}

bool run_output_read(struct run *run, struct run_device *device)
{
	struct run_lines *lines = &device->lines;
	ssize_t n = read(device->fd, lines->data + lines->n_bytes, RUN_LINE_MAX - lines->n_bytes);
	size_t first = 0, n_bytes;
	char *end;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	n_bytes = lines->n_bytes + (size_t)n;
	while ((end = memchr(lines->data + first, '\n', n_bytes - first))) {
		size_t n_line = (size_t)(end - lines->data) - first;

		if (!lines->is_skipped)
			output_line(run, device, lines->data + first, n_line, false);
		lines->is_skipped = false;
		first += n_line + 1;
	}
	n_bytes -= first;
	if (lines->is_skipped) {
		n_bytes = 0;
	} else if (n_bytes == RUN_LINE_MAX) {
		output_line(run, device, lines->data, n_bytes, true);
		lines->is_skipped = true;
		n_bytes = 0;
	} else if (first > 0) {
		memmove(lines->data, lines->data + first, n_bytes);
	}
	lines->n_bytes = n_bytes;
	return true;
}

void run_output_end(struct run *run, struct run_device *device)
{
	if (device->lines.n_bytes > 0)
		output_line(run, device, device->lines.data, device->lines.n_bytes, false);
	device->lines.n_bytes = 0;
	device->lines.is_skipped = false;
}

void run_say(struct run *run, const char *format, ...)
{
	/* With --json standard output is for programs. */
	struct run_output *output = run->options->json ? &run->outputs[0] : run->said;
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	output_begin(output);
	output_append_text(output, "sealane run: ");
	output_append_text(output, text);
	output_append_text(output, "\n");
}

void run_tell(struct run *run, const char *event, const struct run_device *device, json_t *members)
{
	json_t *object = json_object();
	char *text;

	if (run->options->json) {
		json_object_set_new(object, "event", json_string(event));
		json_object_set_new(object, "time_ns", json_integer(run_now_ns() - run->start_ns));
		if (device)
			json_object_set_new(object, "device", json_string(device->name));
		json_object_update(object, members);
		text = json_dumps(object, JSON_COMPACT);
		if (text) {
			output_append_text(&run->outputs[1], text);
			output_append_text(&run->outputs[1], "\n");
		}
		free(text);
	}
	json_decref(object);
	json_decref(members);
}

bool run_output_wants_status(const struct run *run)
{
	const char *term = getenv("TERM");

	return !run->options->json && !run->options->quiet && terminal_is(stderr) && term && strcmp(term, "dumb") != 0;
}

void run_output_status(struct run *run, const char *text)
{
	struct run_output *output = run->said;

	/* A line as wide as the terminal would scroll it. */
	output_begin(output);
	snprintf(output->status, sizeof(output->status), "%.*s", (int)terminal_width(stderr) - 1, text);
}
