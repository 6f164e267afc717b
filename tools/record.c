/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane record`: writes the traffic of a channel to a file.
 *
 * The odd rule: a message is released only when it is in the file, so that one that could not be written is told from one that was. Whatever ends
 * the recording, what is in the file can be read.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "cleanup.h"
#include "command.h"
#include "endpoint.h"
#include "options.h"
#include "recording-writer.h"
#include "terminal.h"

/* Taken from the channel at once: their pieces go to the file in one call. */
#define N_AT_ONCE 64
#define N_PREFIXES_MAX 16u
#define SECONDS_MAX (UINT64_C(100) * 365 * 86400)

enum {
	OPT_FROM = 1,
	OPT_OUT,
	OPT_PATTERN,
	OPT_SUBSCRIBE,
	OPT_COUNT,
	OPT_SIZE,
	OPT_SECONDS,
	OPT_NO_CHECKSUM,
	OPT_FORCE,
	OPT_SESSION,
	OPT_JSON,
	OPT_QUIET
};

static const struct option_spec specs[] = {
	{ OPT_FROM, 'f', "from", "ADDRESS", "the channel; @ADDRESS binds, +ADDRESS connects (default: connects)" },
	{ OPT_OUT, 'o', "out", "FILE", "the file to write" },
	{ OPT_PATTERN, 0, "pattern", "PATTERN", "pull, pair or sub (default: pull)" },
	{ OPT_SUBSCRIBE, 0, "subscribe", "PREFIX",
	  "with sub: what begins with PREFIX; several are allowed (default: everything)" },
	{ OPT_COUNT, 'n', "count", "N", "end after N messages" },
	{ OPT_SIZE, 0, "size", "BYTES", "end with the message that makes BYTES of payload" },
	{ OPT_SECONDS, 0, "seconds", "S", "end after S seconds" },
	{ OPT_NO_CHECKSUM, 0, "no-checksum", NULL, "no checksums of the payload" },
	{ OPT_FORCE, 0, "force", NULL, "replace FILE if it is there" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to join (default: $SEALANE_SESSION, else \"default\")" },
	{ OPT_JSON, 0, "json", NULL, "the summary as one JSON object" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no progress, no summary; errors only" },
	{ 0 },
};

static const struct option_page page = {
	.command = "record",
	.usage = "--from ADDRESS --out FILE [OPTIONS]",
	.summary =
		"Receives what is sent on a channel and writes it to a file, with its tags and its timing, until Ctrl-C, SIGTERM "
		"or a limit. `sealane replay` sends it again. Parts are written from the sender's memory, without a copy in "
		"between. A recording that was killed, or that filled the disk, can be read up to its last whole message.",
	.specs = specs,
	.epilogue =
		"Examples:\n"
		"  sealane record --from readout --out run.sea\n"
		"  sealane record --from @data --out minute.sea --seconds 60\n\n"
		"Exit status: 0 ended as asked for; 1 the file could not be written (what was accepted is in it), or a\n"
		"message was malformed; 2 wrong usage.\n",
};

struct recorder {
	struct sea_session *session;
	struct sea_channel *channel;
	struct recording_writer writer;
	struct terminal_progress progress;
	const char *address, *path;
	const char *prefixes[N_PREFIXES_MAX];
	size_t n_prefixes;
	uint64_t n_messages_max, n_bytes_max; /* UINT64_MAX: no limit */
	uint64_t n_malformed;
	int64_t start_ns, end_ns, deadline_ns;
};

static void recorder_fini(struct recorder *recorder)
{
	terminal_progress_fini(&recorder->progress);
	endpoint_channels_close(&recorder->channel, 1);
	sea_session_close(recorder->session);
	recording_writer_fini(&recorder->writer);
}

static int recorder_open_file(struct recorder *recorder, const char *session, const char *pattern, bool has_checksums,
                              bool replaces)
{
	struct recording_header header = { .flags = has_checksums ? RECORDING_HAS_CHECKSUMS : 0 };
	struct timespec now;
	int r;

	if (getrandom(&header.id, sizeof(header.id), 0) != (ssize_t)sizeof(header.id)) {
		terminal_error("record", "no random number: %s", strerror(errno));
		return -errno;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	header.started_ns = now.tv_sec * SECOND_NS + now.tv_nsec;
	snprintf(header.session, sizeof(header.session), "%s", session);
	snprintf(header.address, sizeof(header.address), "%s", recorder->address + strspn(recorder->address, "@+>"));
	snprintf(header.pattern, sizeof(header.pattern), "%s", pattern);
	r = recording_writer_open(&recorder->writer, recorder->path, replaces, &header);
	if (r < 0)
		terminal_error("record", "%s: %s%s", recorder->path, strerror(-r),
		               r == -EEXIST ? "; --force replaces a file" : "");
	return r;
}

/* Writes messages and releases them. 0, or what ends the recording, said. */
static int messages_take(struct recorder *recorder, struct sea_message **messages, size_t n, int64_t now_ns)
{
	struct recording_writer *writer = &recorder->writer;
	size_t n_done = 0;
	int r = 0;

	while (n_done < n) {
		uint64_t n_before = writer->n_messages;

		r = recording_writer_add(writer, messages + n_done, n - n_done, now_ns - recorder->start_ns);
		n_done += writer->n_messages - n_before;
		if (r != -EBADMSG && r < 0)
			break;
		if (r == -EBADMSG) {
			/* Its producer's fault; the next one may be right. */
			if (recorder->n_malformed++ == 0)
				terminal_error(
					"record",
					"a message was left out: a part of it lies outside of its producer's memory");
			n_done++;
			r = 0;
		}
	}
	if (r < 0) {
		char size[TERMINAL_TEXT_N_BYTES];

		terminal_error("record",
		               "%s: %s after %llu messages (%s), which are kept; %zu that had come are not in it",
		               recorder->path, strerror(-r), (unsigned long long)writer->n_messages,
		               terminal_size(size, writer->n_bytes), n - n_done);
	}
	sea_message_unref_many(messages, n);
	return r;
}

/* How many to ask for, so that a limit is met to the message. */
static size_t messages_wanted(const struct recorder *recorder)
{
	uint64_t left = recorder->n_messages_max - recorder->writer.n_messages;

	if (recorder->n_bytes_max != UINT64_MAX)
		return 1;
	return left < N_AT_ONCE ? (size_t)left : N_AT_ONCE;
}

static void progress_show(struct recorder *recorder)
{
	char note[64];

	snprintf(note, sizeof(note), "%llu messages", (unsigned long long)recorder->writer.n_messages);
	terminal_progress_update(&recorder->progress, recorder->writer.n_payload_bytes, 0, note);
}

/* Until a limit, a signal or an error, which was said. 0 or -errno. */
static int recorder_run(struct recorder *recorder)
{
	const struct recording_writer *writer = &recorder->writer;

	while (!endpoint_stop_signal && writer->n_messages < recorder->n_messages_max &&
	       writer->n_payload_bytes < recorder->n_bytes_max) {
		struct sea_message *messages[N_AT_ONCE];
		int64_t now_ns = endpoint_now_ns(), wait_ns = ENDPOINT_LOOK_NS;
		int r;

		if (now_ns >= recorder->deadline_ns)
			break;
		if (recorder->deadline_ns - now_ns < wait_ns)
			wait_ns = recorder->deadline_ns - now_ns;
		r = sea_channel_receive_many(recorder->channel, messages, messages_wanted(recorder), wait_ns);
		if (r > 0)
			r = messages_take(recorder, messages, (size_t)r, endpoint_now_ns());
		else if (!endpoint_is_again(r))
			terminal_error("record", "receiving from %s: %s", recorder->address, sea_error_text(r));
		if (r < 0 && !endpoint_is_again(r))
			return r;
		progress_show(recorder);
	}
	return 0;
}

static void report(const struct recorder *recorder, bool is_whole, bool json)
{
	const struct recording_writer *writer = &recorder->writer;
	char size[TERMINAL_TEXT_N_BYTES], file[TERMINAL_TEXT_N_BYTES], rate[TERMINAL_TEXT_N_BYTES],
		time[TERMINAL_TEXT_N_BYTES];
	int64_t duration_ns = recorder->end_ns - recorder->start_ns;

	if (json) {
		TOOL_AUTO_JSON json_t *object = json_pack(
			"{s:s, s:s, s:I, s:I, s:I, s:f, s:b, s:I}", "command", "record", "file", recorder->path,
			"messages", (json_int_t)writer->n_messages, "bytes", (json_int_t)writer->n_payload_bytes,
			"file_bytes", (json_int_t)writer->n_file_bytes, "seconds", (double)duration_ns / 1e9, "indexed",
			is_whole, "malformed", (json_int_t)recorder->n_malformed);

		if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
			putchar('\n');
		else
			terminal_error("record", "cannot write the summary");
		return;
	}
	printf("recorded %llu messages, %s, in %s, %s; %s has %s%s\n", (unsigned long long)writer->n_messages,
	       terminal_size(size, writer->n_payload_bytes), terminal_duration(time, duration_ns),
	       terminal_rate(rate, writer->n_payload_bytes, duration_ns), recorder->path,
	       terminal_size(file, writer->n_file_bytes), is_whole ? "" : ", without an index");
}

static int prefix_add(struct recorder *recorder, struct options *options)
{
	if (recorder->n_prefixes == N_PREFIXES_MAX)
		return options_wrong(options, "--subscribe: no more than %u", N_PREFIXES_MAX);
	if (strlen(options->value) > SEA_TOPIC_N_BYTES_MAX)
		return options_wrong(options, "--subscribe: '%s' is longer than %d bytes", options->value,
		                     SEA_TOPIC_N_BYTES_MAX);
	recorder->prefixes[recorder->n_prefixes++] = options->value;
	return 0;
}

static int seconds_parse(struct options *options, int64_t *ret_ns)
{
	uint64_t seconds;

	if (options_number(options, 1, SECONDS_MAX, &seconds) < 0)
		return -1;
	*ret_ns = (int64_t)seconds * SECOND_NS;
	return 0;
}

int record_main(int argc, char **argv)
{
	TOOL_CLEANUP(recorder_fini)
	struct recorder recorder = { .writer = { .fd = -1 }, .n_messages_max = UINT64_MAX, .n_bytes_max = UINT64_MAX };
	struct sea_session_options session_options = { .process_name = "sealane-record" };
	const struct endpoint_pattern *pattern = NULL;
	bool json = false, quiet = false, has_checksums = true, replaces = false;
	const char *session = NULL;
	struct sea_shm_options shm = { 0 };
	struct endpoint endpoint;
	struct options options;
	int64_t limit_ns = INT64_MAX;
	int id, r = 0, finished;

	options_init(&options, &page, argc, argv);
	options.shm = &shm;
	while (r == 0 && (id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_FROM: recorder.address = options.value; break;
		case OPT_OUT: recorder.path = options.value; break;
		case OPT_PATTERN:
			pattern = endpoint_pattern_find(&options, false);
			r = pattern ? 0 : -1;
			break;
		case OPT_SUBSCRIBE: r = prefix_add(&recorder, &options); break;
		case OPT_COUNT: r = options_number(&options, 1, UINT64_MAX, &recorder.n_messages_max); break;
		case OPT_SIZE: r = options_size(&options, 1, UINT64_MAX, &recorder.n_bytes_max); break;
		case OPT_SECONDS: r = seconds_parse(&options, &limit_ns); break;
		case OPT_NO_CHECKSUM: has_checksums = false; break;
		case OPT_FORCE: replaces = true; break;
		case OPT_SESSION: session = options.value; break;
		case OPT_JSON: json = true; break;
		case OPT_QUIET: quiet = true; break;
		default: break;
		}
	}
	if (r < 0 || id < 0)
		return options.exit_code;
	if (options.first < argc)
		options_wrong(&options, "unexpected argument '%s'", argv[options.first]);
	else if (!recorder.address || !recorder.path)
		options_wrong(&options, "%s is missing", recorder.address ? "--out FILE" : "--from ADDRESS");
	else if (recorder.n_prefixes && (!pattern || pattern->pattern != SEA_SUB))
		options_wrong(&options, "--subscribe is for --pattern sub");
	else if (session && !options_is_session(session))
		options_wrong(&options, "--session: '%s' is not a session's name", session);
	if (options.exit_code != COMMAND_OK)
		return options.exit_code;

	/* The largest file is an error to report, as a full disk is. */
	signal(SIGXFSZ, SIG_IGN);
	if (endpoint_catch_signals("record") < 0 ||
	    endpoint_session_open(&recorder.session, "record", session, &session_options, &shm) < 0)
		return COMMAND_FAILED;
	if (recorder_open_file(&recorder, endpoint_session_name(&session_options), pattern ? pattern->name : "pull",
	                       has_checksums, replaces) < 0)
		return COMMAND_FAILED;
	endpoint = (struct endpoint){
		.pattern = pattern ? pattern->pattern : SEA_PULL,
		.address = recorder.address,
		.prefixes = recorder.prefixes,
		.n_prefixes = recorder.n_prefixes,
	};
	if (endpoint_channel_open(&recorder.channel, recorder.session, "record", &endpoint) < 0) {
		(void)unlink(recorder.path);
		return COMMAND_FAILED;
	}
	recorder.start_ns = endpoint_now_ns();
	recorder.deadline_ns = limit_ns < INT64_MAX - recorder.start_ns ? recorder.start_ns + limit_ns : INT64_MAX;
	terminal_progress_init(&recorder.progress, "recording", quiet);
	r = recorder_run(&recorder);
	recorder.end_ns = endpoint_now_ns();
	terminal_progress_fini(&recorder.progress);
	finished = recording_writer_finish(&recorder.writer);
	if (finished < 0)
		terminal_error("record", "%s: %s writing the index; the messages can be read without it", recorder.path,
		               strerror(-finished));
	if (!quiet || json)
		report(&recorder, finished == 0, json);
	return r < 0 || finished < 0 || recorder.n_malformed ? COMMAND_FAILED : COMMAND_OK;
}
