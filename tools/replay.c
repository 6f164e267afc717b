/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane replay`: sends a recording once more, with its timing, at another speed, or as fast as the receivers take it.
 *
 * The odd rule: each message is due at a time that follows from the start alone, so being late once, or a thousand sleeps that are each a
 * little long, do not add up. What a receiver that was killed had not released is sent to the next.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sealane/sealane.h>

#include "cleanup.h"
#include "command.h"
#include "endpoint.h"
#include "options.h"
#include "replay-source.h"
#include "replay.h"
#include "terminal.h"

#define LINGER_DEFAULT_S 10
#define LINGER_MAX_S 86400

enum {
	OPT_TO = 1,
	OPT_SPEED,
	OPT_LOOP,
	OPT_FROM_MESSAGE,
	OPT_TO_MESSAGE,
	OPT_PATTERN,
	OPT_PEERS,
	OPT_MAP,
	OPT_COPY,
	OPT_CHECK,
	OPT_LINGER,
	OPT_INFO,
	OPT_VERIFY,
	OPT_SESSION,
	OPT_JSON,
	OPT_QUIET
};

static const struct option_spec specs[] = {
	{ OPT_TO, 't', "to", "ADDRESS", "the channel; @ADDRESS binds, +ADDRESS connects (default: binds)" },
	{ OPT_SPEED, 0, "speed", "X", "X times as fast as recorded, or `max` (default: 1)" },
	{ OPT_LOOP, 0, "loop", "N", "send it N times, 0 for ever (default: 1)" },
	{ OPT_FROM_MESSAGE, 0, "from-message", "A", "the first to send, counted from 0 (default: 0)" },
	{ OPT_TO_MESSAGE, 0, "to-message", "B", "the last to send (default: the last)" },
	{ OPT_PATTERN, 0, "pattern", "PATTERN", "push, pair or pub (default: push)" },
	{ OPT_PEERS, 0, "peers", "N", "begin when N receivers are connected (default: 1)" },
	{ OPT_MAP, 0, "map", NULL, "fail where the file cannot be mapped, or a receiver does not trust files" },
	{ OPT_COPY, 0, "copy", NULL, "copy into sealed memory" },
	{ OPT_CHECK, 0, "check", NULL, "compare each payload with its checksum before it is sent" },
	{ OPT_LINGER, 0, "linger", "S", "at the end wait S seconds for a receiver if there is none (default: 10)" },
	{ OPT_INFO, 0, "info", NULL, "print the header and a summary, send nothing" },
	{ OPT_VERIFY, 0, "verify", NULL, "compare everything with its checksums, send nothing" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to join (default: $SEALANE_SESSION, else \"default\")" },
	{ OPT_JSON, 0, "json", NULL, "the summary as one JSON object" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no progress, no summary; errors only" },
	{ 0 },
};

static const struct option_page page = {
	.command = "replay",
	.usage = "FILE --to ADDRESS [OPTIONS] | FILE --info | FILE --verify",
	.summary =
		"Sends what `sealane record` wrote. Receivers that trust files ($SEALANE_TRUST_FILES=1) map the file, read-only, and "
		"nothing is copied; for others, and for a recording that was cut short, messages are copied into sealed memory. "
		"The summary says which, and how late the latest message was.",
	.specs = specs,
	.epilogue =
		"Examples:\n"
		"  sealane replay run.sea --to data\n"
		"  sealane replay run.sea --to +data --speed max --loop 10\n"
		"  sealane replay run.sea --verify\n\n"
		"Exit status: 0 all was sent and taken (--info, --verify: the file is whole and right); 1 the file is not\n"
		"right, or the receivers are gone; 2 wrong usage.\n",
};

struct replay {
	struct sea_session *session;
	struct sea_channel *channel;
	struct recording recording;
	struct replay_source source;
	struct terminal_progress progress;
	const char *address;
	enum replay_mode mode;
	double speed; /* 0: as fast as it goes */
	uint64_t n_loops, first, last, n_peers, linger_s;
	enum sea_pattern pattern;
	bool has_range, quiet;
	uint64_t n_sent, n_bytes, n_again, n_bytes_total;
	uint64_t n_missed; /* by subscribers */
	int64_t start_ns, end_ns, latest_ns;
};

static void replay_fini(struct replay *replay)
{
	terminal_progress_fini(&replay->progress);
	endpoint_channels_close(&replay->channel, 1);
	replay_source_fini(&replay->source);
	sea_session_close(replay->session);
	recording_fini(&replay->recording);
}

static void progress_show(struct replay *replay)
{
	char note[96];

	snprintf(note, sizeof(note), "%llu messages%s", (unsigned long long)replay->n_sent,
	         replay->source.region ? "" : ", copied");
	terminal_progress_update(&replay->progress, replay->n_bytes, replay->n_bytes_total, note);
}

/* Sleeps to a time, in steps: a signal between the look at it and the sleep must not cost more than one. */
static int sleep_until(struct replay *replay, int64_t due_ns)
{
	int64_t now_ns;

	while (!endpoint_stop_signal && (now_ns = endpoint_now_ns()) < due_ns) {
		int64_t until_ns = due_ns - now_ns > ENDPOINT_LOOK_NS ? now_ns + ENDPOINT_LOOK_NS : due_ns;
		const struct timespec until = { .tv_sec = until_ns / SECOND_NS, .tv_nsec = until_ns % SECOND_NS };

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		progress_show(replay);
	}
	return endpoint_stop_signal ? -ECANCELED : 0;
}

/* The receiver whose turn it is does not map files. 0: *message is a copy now; or -errno, said. */
static int message_copy(struct replay *replay, struct sea_message **message)
{
	struct sea_message *copy;
	int r;

	if (replay->mode == REPLAY_MAP) {
		terminal_error("replay",
		               "a receiver at %s does not trust files: $SEALANE_TRUST_FILES=1 there, or no --map",
		               replay->address);
		return -EACCES;
	}
	do
		r = replay_source_copy(&replay->source, *message, &copy);
	while (endpoint_is_again(r) && !endpoint_stop_signal);
	if (r < 0) {
		if (!endpoint_is_again(r))
			terminal_error("replay", "copying a message: %s", sea_error_text(r));
		return r;
	}
	sea_message_unref(*message);
	*message = copy;
	if (replay->source.region)
		replay_source_stop_mapping(&replay->source, "a receiver does not trust files");
	return 0;
}

/* Sends one message, however long it takes. Takes it in any case. 0; -ECANCELED told to end; or -errno, said. */
static int message_send(struct replay *replay, struct sea_message *message)
{
	int r;

	for (;;) {
		/* A publisher that waits drops when its time is over. */
		r = sea_channel_send(replay->channel, &message, replay->pattern == SEA_PUB ? -1 : ENDPOINT_LOOK_NS);
		if (r == 0)
			return 0;
		if (endpoint_stop_signal) {
			r = -ECANCELED;
			break;
		}
		if (r == -EACCES) {
			r = message_copy(replay, &message);
			if (r < 0)
				break;
		} else if (!endpoint_is_again(r)) {
			terminal_error("replay", "sending to %s: %s", replay->address, sea_error_text(r));
			break;
		}
		progress_show(replay);
	}
	sea_message_unref(message);
	return r;
}

/* What a receiver that is gone had not released goes first. */
static int orphans_send(struct replay *replay)
{
	struct sea_message *orphan;

	while (sea_channel_take_orphan(replay->channel, &orphan) == 0) {
		int r = message_send(replay, orphan);

		if (r < 0)
			return r;
		replay->n_again++;
	}
	return 0;
}

/* One message of the recording, made and sent. 0 or -errno, said. */
static int number_send(struct replay *replay, uint64_t number)
{
	struct sea_message *message;
	uint64_t n_bytes;
	int r;

	replay->recording.error[0] = 0;
	for (;;) {
		r = replay_source_make(&replay->source, number, &message, &n_bytes);
		if (!endpoint_is_again(r))
			break;
		if (endpoint_stop_signal)
			return -ECANCELED;
		/* Receivers hold more than queues do: it goes on when they let go, or have gone and left it. */
		if (r == -EAGAIN)
			(void)sea_channel_flush(replay->channel, MS_NS);
		r = orphans_send(replay);
		if (r < 0)
			return r;
		progress_show(replay);
	}
	if (r < 0) {
		if (replay->recording.error[0])
			terminal_error("replay", "%s", replay->recording.error);
		else
			terminal_error("replay", "memory for message %llu: %s", (unsigned long long)number,
			               sea_error_text(r));
		return r;
	}
	r = orphans_send(replay);
	if (r < 0) {
		sea_message_unref(message);
		return r;
	}
	r = message_send(replay, message);
	if (r < 0)
		return r;
	replay->n_sent++;
	replay->n_bytes += n_bytes;
	return 0;
}

/* When a message was recorded. -errno, said; or the time, which is never negative. */
static int64_t time_of(struct replay *replay, uint64_t number)
{
	struct recording_message message;
	int r = recording_read(&replay->recording, number, &message);

	if (r < 0)
		terminal_error("replay", "%s", replay->recording.error);
	return r < 0 ? r : message.head.time_ns;
}

/* The time of a message after the start of its round, at the speed asked for; far times end somewhere. */
static int64_t scaled_ns(const struct replay *replay, int64_t time_ns)
{
	double ns = (double)(time_ns > 0 ? time_ns : 0) / replay->speed;

	return ns < 1e17 ? (int64_t)ns : INT64_C(100000000000000000);
}

/* One round through the messages. 0; -ECANCELED; or -errno, said. */
static int round_send(struct replay *replay, int64_t base_ns, int64_t first_time_ns)
{
	for (uint64_t i = replay->first; i <= replay->last; i++) {
		int64_t due_ns = 0;
		int r = 0;

		if (replay->speed > 0) {
			int64_t time_ns = time_of(replay, i);

			if (time_ns < 0)
				return (int)time_ns;
			due_ns = base_ns + scaled_ns(replay, time_ns - first_time_ns);
			r = sleep_until(replay, due_ns);
		}
		if (r == 0)
			r = endpoint_stop_signal ? -ECANCELED : number_send(replay, i);
		if (r < 0)
			return r;
		if (replay->speed > 0) {
			int64_t late_ns = endpoint_now_ns() - due_ns;

			if (late_ns > replay->latest_ns)
				replay->latest_ns = late_ns;
		}
		progress_show(replay);
	}
	return 0;
}

/* All rounds: each begins as long after the last message of the one before as messages are apart on average. */
static int rounds_send(struct replay *replay)
{
	int64_t first_ns = time_of(replay, replay->first), last_ns = time_of(replay, replay->last), round_ns;
	uint64_t n = replay->last - replay->first + 1;

	if (first_ns < 0 || last_ns < 0)
		return -EBADMSG;
	round_ns = last_ns - first_ns;
	round_ns = replay->speed > 0 ? scaled_ns(replay, n > 1 ? round_ns + round_ns / (int64_t)(n - 1) : 0) : 0;
	for (uint64_t i = 0; replay->n_loops == 0 || i < replay->n_loops; i++) {
		/* Hostile times in the file would go beyond the clock: then all is due at once. */
		int64_t base_ns = (double)round_ns * (double)i < 1e17 ? replay->start_ns + round_ns * (int64_t)i : 0;
		int r = round_send(replay, base_ns, first_ns);

		if (r < 0)
			return r;
	}
	return 0;
}

static int peers_wait(struct replay *replay)
{
	char label[200];
	int r;

	snprintf(label, sizeof(label), "waiting for %llu receiver%s at %s", (unsigned long long)replay->n_peers,
	         replay->n_peers == 1 ? "" : "s", replay->address);
	terminal_progress_init(&replay->progress, label, replay->quiet);
	do {
		r = sea_channel_wait_peers(replay->channel, (unsigned)replay->n_peers, ENDPOINT_LOOK_NS);
		terminal_progress_update(&replay->progress, 0, 0, NULL);
	} while (endpoint_is_again(r) && !endpoint_stop_signal);
	terminal_progress_fini(&replay->progress);
	if (r < 0 && !endpoint_is_again(r))
		terminal_error("replay", "waiting for receivers at %s: %s", replay->address, sea_error_text(r));
	return endpoint_stop_signal ? -ECANCELED : r;
}

/* Until everything that was sent was taken and released. 0; -ECANCELED; or -errno, said. */
static int flush(struct replay *replay)
{
	int64_t alone_since_ns = 0;

	for (;;) {
		struct sea_channel_stats stats = { 0 };
		int r = sea_channel_flush(replay->channel, ENDPOINT_LOOK_NS);

		if (r == 0)
			return 0;
		if (endpoint_stop_signal)
			return -ECANCELED;
		(void)sea_channel_get_stats(replay->channel, &stats);
		if (r != -EPIPE && !endpoint_is_again(r)) {
			terminal_error("replay", "waiting for the receivers at %s: %s", replay->address,
			               sea_error_text(r));
			return r;
		}
		/* There is something to send again, and somebody to take it. */
		if (stats.n_links > 0) {
			alone_since_ns = 0;
			r = orphans_send(replay);
			if (r < 0)
				return r;
			continue;
		}
		if (alone_since_ns == 0)
			alone_since_ns = endpoint_now_ns();
		if (endpoint_now_ns() - alone_since_ns >= (int64_t)replay->linger_s * SECOND_NS) {
			terminal_error("replay", "the receivers at %s are gone; %llu messages came back",
			               replay->address, (unsigned long long)stats.n_orphans_waiting);
			return -EPIPE;
		}
		(void)sea_channel_wait_peers(replay->channel, 1, ENDPOINT_LOOK_NS);
	}
}

static void report(const struct replay *replay, bool json)
{
	char size[TERMINAL_TEXT_N_BYTES], rate[TERMINAL_TEXT_N_BYTES], time[TERMINAL_TEXT_N_BYTES],
		late[TERMINAL_TEXT_N_BYTES];
	const struct replay_source *source = &replay->source;
	int64_t duration_ns = replay->end_ns - replay->start_ns;

	if (json) {
		TOOL_AUTO_JSON json_t *object = json_pack(
			"{s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f}", "command", "replay", "messages",
			(json_int_t)replay->n_sent, "bytes", (json_int_t)replay->n_bytes, "seconds",
			(double)duration_ns / 1e9, "mapped", (json_int_t)source->n_mapped, "copied",
			(json_int_t)source->n_copied, "sent_again", (json_int_t)replay->n_again, "missed",
			(json_int_t)replay->n_missed, "latest_us", (double)replay->latest_ns / 1e3);

		if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
			putchar('\n');
		else
			terminal_error("replay", "cannot write the summary");
		return;
	}
	printf("sent %llu messages, %s, in %s, %s\n", (unsigned long long)replay->n_sent,
	       terminal_size(size, replay->n_bytes), terminal_duration(time, duration_ns),
	       terminal_rate(rate, replay->n_bytes, duration_ns));
	if (source->n_copied == 0)
		printf("mapped: nothing was copied\n");
	else if (source->n_mapped == 0)
		printf("copied into sealed memory%s%s\n", source->why[0] ? ": " : "", source->why);
	else
		printf("mapped: %llu messages; copied into sealed memory: %llu (%s)\n",
		       (unsigned long long)source->n_mapped, (unsigned long long)source->n_copied, source->why);
	if (replay->speed > 0)
		printf("the latest message was %s late\n", terminal_duration(late, replay->latest_ns));
	if (replay->n_missed)
		printf("subscribers missed %llu messages\n", (unsigned long long)replay->n_missed);
	if (replay->n_again)
		printf("%llu messages were sent again, which a receiver that is gone had not released\n",
		       (unsigned long long)replay->n_again);
}

/* Which messages, and whether there are. 0, or what to exit with, said. */
static int range_check(struct replay *replay)
{
	const struct recording *recording = &replay->recording;

	if (recording->n_messages && (replay->first >= recording->n_messages || replay->first > replay->last ||
	                              (replay->has_range && replay->last >= recording->n_messages))) {
		terminal_error("replay", "%s has messages 0 to %llu", recording->name,
		               (unsigned long long)recording->n_messages - 1);
		return COMMAND_USAGE;
	}
	replay_warn(recording);
	if (recording->damage[0] && !replay->has_range) {
		if (recording->n_messages)
			terminal_error("replay", "nothing was sent; --to-message %llu sends what is before the damage",
			               (unsigned long long)recording->n_messages - 1);
		return COMMAND_FAILED;
	}
	if (!replay->has_range)
		replay->last = recording->n_messages - 1;
	return COMMAND_OK;
}

/* Opens everything and sends. What the program exits with. */
static int replay_run(struct replay *replay, const char *session, const struct sea_shm_options *shm, bool checks)
{
	struct sea_session_options session_options = { .process_name = "sealane-replay" };
	struct endpoint endpoint = { .pattern = replay->pattern, .address = replay->address, .binds = true };
	struct sea_channel_stats stats = { 0 };
	int r;

	if (endpoint_session_open(&replay->session, "replay", session, &session_options, shm) < 0)
		return COMMAND_FAILED;
	if (replay->pattern == SEA_PUB)
		endpoint.options.slow = SEA_SLOW_WAIT;
	else
		endpoint.options.orphans = SEA_ORPHANS_KEEP;
	/* A publisher is not told who does not map files, and a network copies anyway. */
	if (replay->mode == REPLAY_AUTO && (replay->pattern == SEA_PUB || endpoint_is_remote(replay->address)))
		replay->mode = REPLAY_COPY;
	r = replay_source_init(&replay->source, replay->session, &replay->recording, replay->mode);
	replay->source.checks = checks;
	if (r < 0) {
		terminal_error("replay", "%s: %s", replay->recording.name, replay->source.why);
		return COMMAND_FAILED;
	}
	if (endpoint_channel_open(&replay->channel, replay->session, "replay", &endpoint) < 0)
		return COMMAND_FAILED;
	r = peers_wait(replay);
	terminal_progress_init(&replay->progress, "replaying", replay->quiet);
	if (!replay->has_range && replay->n_loops)
		replay->n_bytes_total = replay->recording.n_payload_bytes * replay->n_loops;
	replay->start_ns = endpoint_now_ns();
	if (r == 0)
		r = rounds_send(replay);
	if (r == 0)
		r = flush(replay);
	replay->end_ns = endpoint_now_ns();
	(void)sea_channel_get_stats(replay->channel, &stats);
	replay->n_missed = stats.n_missed;
	terminal_progress_fini(&replay->progress);
	if (endpoint_stop_signal) {
		terminal_error("replay", "interrupted after %llu messages", (unsigned long long)replay->n_sent);
		return 128 + endpoint_stop_signal;
	}
	return r < 0 ? COMMAND_FAILED : COMMAND_OK;
}

static int speed_parse(struct options *options, double *ret_speed)
{
	char *end;
	double speed;

	if (strcmp(options->value, "max") == 0) {
		*ret_speed = 0;
		return 0;
	}
	speed = strtod(options->value, &end);
	if (end == options->value || *end || !isfinite(speed) || speed < 1e-6 || speed > 1e6)
		return options_wrong(options, "--speed: '%s' is neither `max` nor a number from 0.000001 to 1000000",
		                     options->value);
	*ret_speed = speed;
	return 0;
}

int replay_main(int argc, char **argv)
{
	TOOL_CLEANUP(replay_fini)
	struct replay replay = {
		.recording = { .fd = -1 },
		.pattern = SEA_PUSH,
		.speed = 1,
		.n_loops = 1,
		.last = UINT64_MAX,
		.n_peers = 1,
		.linger_s = LINGER_DEFAULT_S,
	};
	const struct endpoint_pattern *pattern = NULL;
	bool json = false, checks = false, is_info = false, is_verify = false;
	const char *session = NULL;
	struct sea_shm_options shm = { 0 };
	struct options options;
	int id, r = 0;

	options_init(&options, &page, argc, argv);
	options.shm = &shm;
	while (r == 0 && (id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_TO: replay.address = options.value; break;
		case OPT_SPEED: r = speed_parse(&options, &replay.speed); break;
		case OPT_LOOP: r = options_number(&options, 0, UINT32_MAX, &replay.n_loops); break;
		case OPT_FROM_MESSAGE: r = options_number(&options, 0, UINT64_MAX - 1, &replay.first); break;
		case OPT_TO_MESSAGE:
			r = options_number(&options, 0, UINT64_MAX - 1, &replay.last);
			replay.has_range = true;
			break;
		case OPT_PATTERN:
			pattern = endpoint_pattern_find(&options, true);
			r = pattern ? 0 : -1;
			replay.pattern = pattern ? pattern->pattern : SEA_PUSH;
			break;
		case OPT_PEERS: r = options_number(&options, 0, 65536, &replay.n_peers); break;
		case OPT_MAP: replay.mode = REPLAY_MAP; break;
		case OPT_COPY: replay.mode = REPLAY_COPY; break;
		case OPT_CHECK: checks = true; break;
		case OPT_LINGER: r = options_number(&options, 0, LINGER_MAX_S, &replay.linger_s); break;
		case OPT_INFO: is_info = true; break;
		case OPT_VERIFY: is_verify = true; break;
		case OPT_SESSION: session = options.value; break;
		case OPT_JSON: json = true; break;
		case OPT_QUIET: replay.quiet = true; break;
		default: break;
		}
	}
	if (r < 0 || id < 0)
		return options.exit_code;
	if (options.first + 1 != argc)
		options_wrong(&options, options.first == argc ? "name a recording" : "one recording at a time");
	else if (!replay.address && !is_info && !is_verify)
		options_wrong(&options, "--to ADDRESS is missing");
	else if (session && !options_is_session(session))
		options_wrong(&options, "--session: '%s' is not a session's name", session);
	if (options.exit_code != COMMAND_OK)
		return options.exit_code;

	if (endpoint_catch_signals("replay") < 0)
		return COMMAND_FAILED;
	if (recording_open(&replay.recording, argv[options.first]) < 0) {
		terminal_error("replay", "%s", replay.recording.error);
		return COMMAND_FAILED;
	}
	if (is_info && !is_verify)
		return replay_info(&replay.recording, json);
	if (is_verify)
		return replay_verify(&replay.recording, json, replay.quiet);
	r = range_check(&replay);
	if (r == COMMAND_OK && replay.recording.n_messages)
		r = replay_run(&replay, session, &shm, checks);
	if ((r == COMMAND_OK || replay.n_sent) && (!replay.quiet || json))
		report(&replay, json);
	return r;
}
