/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane replay --info` and `--verify`; see replay.h. Texts of the file are another program's: what is not printable is not printed.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "endpoint.h"
#include "replay.h"
#include "terminal.h"

static const char *text_show(char *shown, const char *text, size_t n_bytes)
{
	size_t n = 0;

	for (; n + 1 < n_bytes && text[n]; n++)
		shown[n] = text[n];
	for (size_t i = 0; i < n; i++)
		if (shown[i] < ' ' || shown[i] > '~')
			shown[i] = '?';
	shown[n] = 0;
	return shown;
}

/* "2026-03-01 12:00:00.123 UTC" */
static const char *time_show(char shown[64], int64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / SECOND_NS);
	struct tm parts;
	char text[40];

	if (time_ns < 0 || !gmtime_r(&seconds, &parts) ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) == 0)
		snprintf(shown, 64, "%" PRId64 " ns", time_ns);
	else
		snprintf(shown, 64, "%s.%03d UTC", text, (int)(time_ns % SECOND_NS / MS_NS));
	return shown;
}

void replay_warn(const struct recording *recording)
{
	if (recording->damage[0])
		terminal_error("replay", "%s; the %llu messages before it are whole", recording->damage,
		               (unsigned long long)recording->n_messages);
	else if (!recording->is_whole)
		terminal_error("replay",
		               "%s: cut short at offset %llu: %llu whole messages, %llu bytes behind them are not read",
		               recording->name, (unsigned long long)recording->end,
		               (unsigned long long)recording->n_messages,
		               (unsigned long long)(recording->n_bytes - recording->end));
}

static bool has_checksums(const struct recording *recording)
{
	return recording->header.flags & RECORDING_HAS_CHECKSUMS;
}

static int json_print(json_t *object)
{
	if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
		putchar('\n');
	else
		terminal_error("replay", "cannot write the summary");
	json_decref(object);
	return 0;
}

int replay_info(const struct recording *recording, bool json)
{
	const struct recording_header *header = &recording->header;
	char session[RECORDING_SESSION_N_BYTES], address[RECORDING_ADDRESS_N_BYTES], pattern[RECORDING_PATTERN_N_BYTES];
	char payload[TERMINAL_TEXT_N_BYTES], file[TERMINAL_TEXT_N_BYTES], rate[TERMINAL_TEXT_N_BYTES],
		duration[TERMINAL_TEXT_N_BYTES], started[64];

	text_show(session, header->session, sizeof(session));
	text_show(address, header->address, sizeof(address));
	text_show(pattern, header->pattern, sizeof(pattern));
	replay_warn(recording);
	if (json) {
		json_print(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:b, s:b}", "command", "replay",
		                     "session", session, "address", address, "pattern", pattern, "started_ns",
		                     (json_int_t)header->started_ns, "messages", (json_int_t)recording->n_messages,
		                     "bytes", (json_int_t)recording->n_payload_bytes, "file_bytes",
		                     (json_int_t)recording->n_bytes, "seconds", (double)recording->duration_ns / 1e9,
		                     "checksums", has_checksums(recording), "whole", recording->is_whole));
	} else {
		printf("recorded   %s, session %s, address %s, pattern %s\n", time_show(started, header->started_ns),
		       session, address, pattern);
		printf("messages   %llu in %s, payload %s (%s)\n", (unsigned long long)recording->n_messages,
		       terminal_duration(duration, recording->duration_ns),
		       terminal_size(payload, recording->n_payload_bytes),
		       terminal_rate(rate, recording->n_payload_bytes, recording->duration_ns));
		printf("file       %s, format %u, %s, %s\n", terminal_size(file, recording->n_bytes), header->version,
		       has_checksums(recording) ? "payload checksums" : "no payload checksums",
		       recording->is_whole ? "whole" : "without an index");
	}
	return recording->is_whole ? COMMAND_OK : COMMAND_FAILED;
}

int replay_verify(struct recording *recording, bool json, bool quiet)
{
	struct terminal_progress progress;
	uint64_t n_wrong = 0, n_done = 0;

	replay_warn(recording);
	terminal_progress_init(&progress, "verifying", quiet);
	for (uint64_t i = 0; i < recording->n_messages && !endpoint_stop_signal; i++) {
		struct recording_message message;
		int r = recording_read(recording, i, &message);

		if (r == 0)
			r = recording_check_payload(recording, &message);
		if (r < 0) {
			terminal_error("replay", "%s", recording->error);
			n_wrong++;
			continue;
		}
		n_done += message.head.n_payload_bytes;
		terminal_progress_update(&progress, n_done, recording->n_payload_bytes, NULL);
	}
	terminal_progress_fini(&progress);
	if (endpoint_stop_signal)
		return 128 + endpoint_stop_signal;
	if (json)
		json_print(json_pack("{s:s, s:I, s:I, s:b, s:b, s:I}", "command", "replay", "messages",
		                     (json_int_t)recording->n_messages, "bytes", (json_int_t)n_done, "checksums",
		                     has_checksums(recording), "whole", recording->is_whole, "wrong",
		                     (json_int_t)n_wrong));
	else if (!quiet)
		printf("verified %llu messages%s: %llu wrong%s\n", (unsigned long long)recording->n_messages,
		       has_checksums(recording) ? "" : " (heads only: there are no payload checksums)",
		       (unsigned long long)n_wrong, recording->is_whole ? "" : "; the file is not whole");
	return n_wrong == 0 && recording->is_whole ? COMMAND_OK : COMMAND_FAILED;
}
