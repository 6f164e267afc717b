/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane tap`: forwards a channel whole, and shows a share of it on a side channel.
 *
 * The odd rule: nothing on the side is ever waited for. What it has not taken is counted against a limit of its own, since a queue is as
 * long as both of its ends say, and the other end is not ours.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/sealane.h>

#include "cleanup.h"
#include "command.h"
#include "endpoint.h"
#include "options.h"
#include "terminal.h"

/* 100 % in units of the accumulator: six places behind the point. */
#define WHOLE UINT64_C(100000000)
#define SIDE_MAX_DEFAULT 16
/* How often it is tried again what found no way to the side, while nothing else comes. */
#define SIDE_LOOK_NS (5 * MS_NS)
/* How long the end waits for what the receivers have not taken yet. */
#define END_WAIT_NS (2 * SECOND_NS)

enum {
	OPT_FROM = 1,
	OPT_TO,
	OPT_SIDE,
	OPT_PERCENT,
	OPT_SIDE_MAX,
	OPT_SIDE_PATTERN,
	OPT_COUNT,
	OPT_SESSION,
	OPT_JSON,
	OPT_QUIET
};

static const struct option_spec specs[] = {
	{ OPT_FROM, 'f', "from", "ADDRESS", "where messages come from (default: connects)" },
	{ OPT_TO, 't', "to", "ADDRESS", "where all of them go (default: binds)" },
	{ OPT_SIDE, 0, "side", "ADDRESS", "where a share of them goes as well (default: binds)" },
	{ OPT_PERCENT, 'p', "percent", "P", "how large a share, up to six places behind the point (default: 1)" },
	{ OPT_SIDE_MAX, 0, "side-max", "N",
	  "most messages that wait for readers there; further ones are dropped (default: 16)" },
	{ OPT_SIDE_PATTERN, 0, "side-pattern", "PATTERN", "push, pair or pub (default: push)" },
	{ OPT_COUNT, 'n', "count", "N", "end after N messages" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to join (default: $SEALANE_SESSION, else \"default\")" },
	{ OPT_JSON, 0, "json", NULL, "the summary as one JSON object" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no progress, no summary; errors only" },
	{ 0 },
};

static const struct option_page page = {
	.command = "tap",
	.usage = "--from ADDRESS --to ADDRESS --side ADDRESS [--percent P] [OPTIONS]",
	.summary =
		"Forwards every message from one channel to another, and every so many-th of them to a side channel as well, for "
		"a look at what passes. Nothing is copied. The side is never waited for: whatever its reader does, the "
		"main channel goes on, and what the side has no room for is dropped there and counted. @ADDRESS binds, "
		"+ADDRESS connects.",
	.specs = specs,
	.epilogue =
		"Examples:\n"
		"  sealane tap --from readout --to processor --side look --percent 0.5\n"
		"  sealane record --from look --out some.sea\n\n"
		"Exit status: 0 told to end, or all N were forwarded; 1 a channel failed, or a message was not taken; 2 wrong usage.\n",
};

enum { CHANNEL_FROM, CHANNEL_TO, CHANNEL_SIDE, N_CHANNELS };

struct tap {
	struct sea_session *session;
	struct sea_channel *channels[N_CHANNELS];
	struct terminal_progress progress;
	uint64_t share, accumulator; /* of WHOLE */
	uint64_t side_max, n_messages_max;
	struct sea_message **waiting; /* for the side, side_max places */
	uint64_t first_waiting, n_waiting;
	uint64_t n_messages, n_side, n_dropped, n_lost;
	int64_t start_ns, end_ns;
};

static void tap_fini(struct tap *tap)
{
	terminal_progress_fini(&tap->progress);
	free(tap->waiting);
	endpoint_channels_close(tap->channels, N_CHANNELS);
	sea_session_close(tap->session);
}

/* Whether this message is to be shown: exactly `share` of WHOLE in a row are, evenly. */
static bool tap_chooses(struct tap *tap)
{
	tap->accumulator += tap->share;
	if (tap->accumulator < WHOLE)
		return false;
	tap->accumulator -= WHOLE;
	return true;
}

static void side_drop(struct tap *tap)
{
	sea_message_unref(tap->waiting[tap->first_waiting]);
	tap->n_dropped++;
}

/*
 * Sends to the side what can be sent now. A reader that is new has to get to know the producer first, so the first messages wait a
 * little; without any reader nothing is kept.
 */
static void side_send(struct tap *tap, uint64_t n_readers)
{
	while (tap->n_waiting > 0) {
		int r = n_readers ? sea_channel_send(tap->channels[CHANNEL_SIDE], &tap->waiting[tap->first_waiting], 0)
		                  : -EPIPE;

		if (endpoint_is_again(r))
			return;
		if (r == 0)
			tap->n_side++;
		else
			side_drop(tap);
		tap->first_waiting = (tap->first_waiting + 1) % tap->side_max;
		tap->n_waiting--;
	}
}

/* Looks after the side; takes a message for it, or NULL. Never waits. */
static void side_look(struct tap *tap, struct sea_message *message)
{
	struct sea_channel_stats stats = { 0 };

	if (!message && tap->n_waiting == 0)
		return;
	(void)sea_channel_get_stats(tap->channels[CHANNEL_SIDE], &stats);
	if (message && (stats.n_links == 0 || stats.n_queued_out + tap->n_waiting >= tap->side_max)) {
		sea_message_unref(message);
		tap->n_dropped++;
	} else if (message) {
		tap->waiting[(tap->first_waiting + tap->n_waiting++) % tap->side_max] = message;
	}
	side_send(tap, stats.n_links);
}

static void progress_show(struct tap *tap)
{
	char note[160];

	snprintf(note, sizeof(note), "%llu messages, %llu to the side, %llu dropped there",
	         (unsigned long long)tap->n_messages, (unsigned long long)tap->n_side,
	         (unsigned long long)tap->n_dropped);
	terminal_progress_update(&tap->progress, 0, 0, note);
}

/* Sends to the main channel, however long that takes; once it was told to end, for END_WAIT_NS more. Takes the message. 0 or -errno, said. */
static int main_send(struct tap *tap, struct sea_message *message)
{
	int64_t stopped_ns = 0;
	int r;

	for (;;) {
		r = sea_channel_send(tap->channels[CHANNEL_TO], &message, ENDPOINT_LOOK_NS);
		if (r == 0)
			return 0;
		if (!endpoint_is_again(r)) {
			terminal_error("tap", "sending on: %s", sea_error_text(r));
			break;
		}
		if (endpoint_stop_signal && stopped_ns == 0)
			stopped_ns = endpoint_now_ns();
		if (stopped_ns && endpoint_now_ns() - stopped_ns > END_WAIT_NS) {
			terminal_error("tap", "one message was not taken by anybody");
			break;
		}
		progress_show(tap);
	}
	tap->n_lost++;
	sea_message_unref(message);
	return r;
}

static int tap_run(struct tap *tap)
{
	while (!endpoint_stop_signal && tap->n_messages < tap->n_messages_max) {
		struct sea_message *message, *shown = NULL;
		int r = sea_channel_receive(tap->channels[CHANNEL_FROM], &message,
		                            tap->n_waiting ? SIDE_LOOK_NS : ENDPOINT_LOOK_NS);

		if (endpoint_is_again(r)) {
			side_look(tap, NULL);
			progress_show(tap);
			continue;
		}
		if (r < 0) {
			terminal_error("tap", "receiving: %s", sea_error_text(r));
			return r;
		}
		if (tap_chooses(tap))
			shown = sea_message_ref(message);
		/* The main channel first: who waits there waits no longer for the look. */
		r = main_send(tap, message);
		if (r == 0)
			tap->n_messages++;
		side_look(tap, shown);
		if (r < 0)
			return r;
		progress_show(tap);
	}
	return 0;
}

/* What is still on its way gets a little time; the side does not. */
static void tap_end(struct tap *tap)
{
	struct sea_channel_stats stats = { 0 };
	int64_t until_ns = endpoint_now_ns() + END_WAIT_NS;

	while (endpoint_is_again(sea_channel_flush(tap->channels[CHANNEL_TO], ENDPOINT_LOOK_NS)) &&
	       endpoint_now_ns() < until_ns)
		;
	side_look(tap, NULL);
	while (tap->n_waiting > 0) {
		side_drop(tap);
		tap->first_waiting = (tap->first_waiting + 1) % tap->side_max;
		tap->n_waiting--;
	}
	/* A publisher has dropped by itself. */
	(void)sea_channel_get_stats(tap->channels[CHANNEL_SIDE], &stats);
	tap->n_dropped += stats.n_missed;
}

static void report(const struct tap *tap, bool json)
{
	int64_t duration_ns = tap->end_ns - tap->start_ns;
	char time[TERMINAL_TEXT_N_BYTES];

	if (json) {
		TOOL_AUTO_JSON json_t *object = json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:f}", "command", "tap", "messages", (json_int_t)tap->n_messages,
			"side", (json_int_t)tap->n_side, "dropped", (json_int_t)tap->n_dropped, "lost",
			(json_int_t)tap->n_lost, "seconds", (double)duration_ns / 1e9);

		if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
			putchar('\n');
		else
			terminal_error("tap", "cannot write the summary");
		return;
	}
	printf("forwarded %llu messages in %s; to the side %llu, dropped there %llu\n",
	       (unsigned long long)tap->n_messages, terminal_duration(time, duration_ns),
	       (unsigned long long)tap->n_side, (unsigned long long)tap->n_dropped);
}

/* "12.5": the share of WHOLE, exactly. */
static int percent_parse(struct options *options, uint64_t *ret_share)
{
	static const char what[] =
		"--percent: '%s' is not a number from 0 to 100 with up to six places behind the point";
	const char *at = options->value;
	uint64_t share = 0;
	unsigned n_places = 0, n_digits = 0;
	bool has_point = false;

	for (; *at; at++) {
		if (*at == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (*at < '0' || *at > '9' || n_digits > 12 || (has_point && n_places == 6))
			return options_wrong(options, what, options->value);
		share = 10 * share + (uint64_t)(*at - '0');
		n_digits++;
		n_places += has_point;
	}
	for (; n_places < 6; n_places++)
		share *= 10;
	if (n_digits == 0 || share > WHOLE)
		return options_wrong(options, what, options->value);
	*ret_share = share;
	return 0;
}

static int tap_open(struct tap *tap, const char *const addresses[N_CHANNELS], const char *session,
                    const struct sea_shm_options *shm, enum sea_pattern side_pattern)
{
	const enum sea_pattern patterns[N_CHANNELS] = { SEA_PULL, SEA_PUSH, side_pattern };
	struct sea_session_options session_options = { .process_name = "sealane-tap" };
	int r = endpoint_session_open(&tap->session, "tap", session, &session_options, shm);

	/* The first to receive is opened last: nothing comes before there is a place for it. */
	for (int i = N_CHANNELS - 1; i >= 0 && r == 0; i--) {
		const struct endpoint endpoint = {
			.pattern = patterns[i],
			.address = addresses[i],
			.binds = i != CHANNEL_FROM,
		};

		r = endpoint_channel_open(&tap->channels[i], tap->session, "tap", &endpoint);
	}
	return r;
}

int tap_main(int argc, char **argv)
{
	TOOL_CLEANUP(tap_fini)
	struct tap tap = { .share = WHOLE / 100, .side_max = SIDE_MAX_DEFAULT, .n_messages_max = UINT64_MAX };
	const char *addresses[N_CHANNELS] = { NULL }, *session = NULL;
	const struct endpoint_pattern *side_pattern = NULL;
	struct sea_shm_options shm = { 0 };
	bool json = false, quiet = false;
	struct options options;
	int id, r = 0;

	options_init(&options, &page, argc, argv);
	options.shm = &shm;
	while (r == 0 && (id = options_next(&options)) > 0) {
		switch (id) {
		case OPT_FROM: addresses[CHANNEL_FROM] = options.value; break;
		case OPT_TO: addresses[CHANNEL_TO] = options.value; break;
		case OPT_SIDE: addresses[CHANNEL_SIDE] = options.value; break;
		case OPT_PERCENT: r = percent_parse(&options, &tap.share); break;
		case OPT_SIDE_MAX: r = options_number(&options, 1, SEA_CHANNEL_BUF_MAX, &tap.side_max); break;
		case OPT_SIDE_PATTERN:
			side_pattern = endpoint_pattern_find(&options, true);
			r = side_pattern ? 0 : -1;
			break;
		case OPT_COUNT: r = options_number(&options, 1, UINT64_MAX, &tap.n_messages_max); break;
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
	else if (!addresses[CHANNEL_FROM] || !addresses[CHANNEL_TO] || !addresses[CHANNEL_SIDE])
		options_wrong(&options, "--from, --to and --side are all needed");
	else if (session && !options_is_session(session))
		options_wrong(&options, "--session: '%s' is not a session's name", session);
	if (options.exit_code != COMMAND_OK)
		return options.exit_code;

	tap.waiting = calloc(tap.side_max, sizeof(*tap.waiting));
	if (!tap.waiting) {
		terminal_error("tap", "no memory for %llu messages", (unsigned long long)tap.side_max);
		return COMMAND_FAILED;
	}
	if (endpoint_catch_signals("tap") < 0 ||
	    tap_open(&tap, addresses, session, &shm, side_pattern ? side_pattern->pattern : SEA_PUSH) < 0)
		return COMMAND_FAILED;
	terminal_progress_init(&tap.progress, "forwarding", quiet);
	tap.start_ns = endpoint_now_ns();
	r = tap_run(&tap);
	tap_end(&tap);
	tap.end_ns = endpoint_now_ns();
	terminal_progress_fini(&tap.progress);
	if (!quiet || json)
		report(&tap, json);
	return r < 0 ? COMMAND_FAILED : COMMAND_OK;
}
