/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane send PATH...`: files as frames. A file's bytes are read from the file straight into sealed memory.
 *
 * A file that cannot be read, vanishes or changes while being sent costs one line and the exit
 * status; everything else goes through. The loss of the receiver ends the stream, since a
 * second receiver could not know what the first had.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "sender.h"

enum { OPT_TO = 1, OPT_SESSION, OPT_JSON, OPT_QUIET };

static const struct option_spec specs[] = {
	{ OPT_TO, 't', "to", "ADDRESS", "the address to offer the files at (default: " STREAM_ADDRESS_DEFAULT ")" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to join (default: $SEALANE_SESSION, else \"default\")" },
	{ OPT_JSON, 0, "json", NULL, "the summary as one JSON object" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no progress, no summary; errors only" },
	{ 0 },
};

static const struct option_page page = {
	.command = "send",
	.usage = "PATH... [OPTIONS]",
	.summary = "Sends files, and folders with all in them, to one `sealane recv` on this machine, which may start "
		   "before or after. Files travel in timeframes of one folder each, up to 16 MiB; larger files in "
		   "pieces of that size. Every piece and every file is verified at the far end by its XXH3. Symbolic "
		   "links and special files below a folder are left out.",
	.specs = specs,
	.epilogue = "Exit status: 0 the receiver verified every file; 1 a file could not be read or changed\n"
		    "meanwhile (all others were sent), or the receiver was lost; 2 wrong usage.\n",
};

static void on_list_error(const char *path, int error, void *userdata)
{
	sender_file_failed(userdata, path, error == EINVAL ? "neither a file nor a folder" : strerror(error));
}

static void report(const struct sender *sender, const struct input_list *list, bool json)
{
	char size[TERMINAL_TEXT_N_BYTES], rate[TERMINAL_TEXT_N_BYTES], time[TERMINAL_TEXT_N_BYTES];
	int64_t duration_ns = sender->end_ns - sender->start_ns;

	if (json) {
		TOOL_AUTO_JSON json_t *object = json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:O, s:I, s:I}", "command", "send", "files",
			(json_int_t)sender->totals.n_files, "folders", (json_int_t)sender->totals.n_folders, "bytes",
			(json_int_t)sender->totals.n_bytes, "timeframes", (json_int_t)sender->n_timeframes, "seconds",
			(double)duration_ns / 1e9, "left_out", (json_int_t)list->n_left_out, "failed",
			(json_int_t)sender->totals.n_failed, "failed_names", sender->failed, "verified",
			(json_int_t)sender->answer.n_files, "receiver_failed", (json_int_t)sender->answer.n_failed);

		if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
			putchar('\n');
		else
			terminal_error("send", "cannot write the summary");
		return;
	}
	printf("sent %llu files, %llu folders, %s in %llu timeframes, %s, %s; verified by the receiver: %llu files\n",
	       (unsigned long long)sender->totals.n_files, (unsigned long long)sender->totals.n_folders,
	       terminal_size(size, sender->totals.n_bytes), (unsigned long long)sender->n_timeframes,
	       terminal_duration(time, duration_ns), terminal_rate(rate, sender->totals.n_bytes, duration_ns),
	       (unsigned long long)sender->answer.n_files);
	if (list->n_left_out)
		printf("left out: %zu symbolic links and special files\n", list->n_left_out);
}

/* Two paths that would arrive under one name would overwrite each other silently. */
static bool names_clash(const struct input_list *list, const size_t *firsts, int n_paths, char **paths)
{
	for (int i = 0; i < n_paths; i++) {
		for (int j = 0; j < i; j++) {
			const char *a, *b;
			size_t n;

			if (firsts[i] >= list->n_files || firsts[j] >= list->n_files || firsts[j] == firsts[j + 1])
				continue;
			if (firsts[i] == firsts[i + 1])
				continue;
			a = list->files[firsts[i]].name;
			b = list->files[firsts[j]].name;
			n = strcspn(a, "/");
			if (n == strcspn(b, "/") && strncmp(a, b, n) == 0) {
				terminal_error("send", "%s and %s would arrive under the same name", paths[j],
				               paths[i]);
				return true;
			}
		}
	}
	return false;
}

static int paths_list(struct sender *sender, struct input_list *list, char **paths, int n_paths)
{
	TOOL_AUTO_FREE size_t *firsts = calloc((size_t)n_paths + 1, sizeof(*firsts));
	int r = firsts ? 0 : -ENOMEM;

	for (int i = 0; i < n_paths && r == 0; i++) {
		firsts[i] = list->n_files;
		r = input_list_add(list, paths[i], INPUT_ALL, on_list_error, sender);
		firsts[i + 1] = list->n_files;
	}
	if (r < 0) {
		terminal_error("send", "cannot list the files: %s", sea_error_text(r));
		return r;
	}
	return names_clash(list, firsts, n_paths, paths) ? -EINVAL : 0;
}

static int stream_send(struct sender *sender, const struct input_list *list, const char *address, bool quiet)
{
	int r;

	r = sender_peer_wait(sender, address, quiet);
	terminal_progress_fini(&sender->progress);
	if (r < 0)
		return r;
	terminal_progress_init(&sender->progress, "sending", quiet);
	sender->start_ns = sender_now_ns(CLOCK_MONOTONIC);
	r = sender_list_send(sender, list);
	if (r == 0)
		r = sender_end_send(sender);
	if (r == 0)
		r = sender_answer_wait(sender);
	sender->end_ns = sender_now_ns(CLOCK_MONOTONIC);
	terminal_progress_fini(&sender->progress);
	return r;
}

int send_main(int argc, char **argv)
{
	TOOL_CLEANUP(sender_fini) struct sender sender = { 0 };
	TOOL_CLEANUP(input_list_fini) struct input_list list = { 0 };
	const char *address = STREAM_ADDRESS_DEFAULT, *session = NULL;
	bool json = false, quiet = false;
	struct sea_shm_options shm = { 0 };
	struct options options;
	int id, r;

	options_init(&options, &page, argc, argv);
	options.shm = &shm;
	while ((id = options_next(&options)) > 0) {
		if (id == OPT_TO)
			address = options.value;
		else if (id == OPT_SESSION)
			session = options.value;
		else if (id == OPT_JSON)
			json = true;
		else if (id == OPT_QUIET)
			quiet = true;
	}
	if (id < 0)
		return options.exit_code;
	if (session && !options_is_session(session))
		options_wrong(&options, "--session: '%s' is not a session's name", session);
	else if (options.first == argc)
		options_wrong(&options, "nothing to send: name a file or a folder");
	if (options.exit_code != COMMAND_OK)
		return options.exit_code;

	r = sender_init(&sender);
	if (r < 0) {
		terminal_error("send", "cannot start: %s", sea_error_text(r));
		return COMMAND_FAILED;
	}
	if (paths_list(&sender, &list, argv + options.first, argc - options.first) < 0)
		return COMMAND_FAILED;
	if (list.n_files == 0 && sender.totals.n_failed > 0)
		return COMMAND_FAILED; /* nothing is left to send, and why was said */
	sender.n_bytes_total = list.n_bytes;
	if (sender_open(&sender, session, address, &shm) < 0)
		return COMMAND_FAILED;
	r = stream_send(&sender, &list, address, quiet);
	if (sender_stop_signal) {
		terminal_error("send", "interrupted after %llu files", (unsigned long long)sender.totals.n_files);
		return 128 + sender_stop_signal;
	}
	if (r == -EPIPE) {
		terminal_error("send",
		               "the receiver at %s ended before it had everything (%llu files were on their way)",
		               address, (unsigned long long)sender.totals.n_files);
		return COMMAND_FAILED;
	}
	if (r < 0) {
		terminal_error("send", "sending to %s: %s", address, sea_error_text(r));
		return COMMAND_FAILED;
	}
	if (!quiet || json)
		report(&sender, &list, json);
	if (sender.answer.n_failed > 0)
		terminal_error("send", "the receiver at %s had trouble with %llu files", address,
		               (unsigned long long)sender.answer.n_failed);
	return sender.totals.n_failed > 0 || sender.answer.n_failed > 0 ? COMMAND_FAILED : COMMAND_OK;
}
