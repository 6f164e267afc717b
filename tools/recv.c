/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane recv`: takes one stream of files, verifies every piece and every file by XXH3, and stores them
 * below a folder where one is given.
 *
 * A file with something wrong costs one line and the exit status; the others go on. The stream is over
 * with its end, or when its sender is gone.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <sealane/sealane.h>

#include "cleanup.h"
#include "command.h"
#include "options.h"
#include "recv-store.h"
#include "stream.h"
#include "terminal.h"

#define MS_NS INT64_C(1000000)
#define WAIT_NS (100 * MS_NS) /* how often a waiting call looks whether the sender is still there */
#define ANSWER_WAIT_NS (5000 * MS_NS)
#define QUOTA_N_BYTES ((uint64_t)4 << 20) /* for the answer */

enum { OPT_OUT = 1, OPT_FROM, OPT_SESSION, OPT_JSON, OPT_QUIET };

static const struct option_spec specs[] = {
	{ OPT_OUT, 'o', "out", "DIR", "store the files below this folder (default: verify them only)" },
	{ OPT_FROM, 'f', "from", "ADDRESS",
	  "the address at which they are offered (default: " STREAM_ADDRESS_DEFAULT ")" },
	{ OPT_SESSION, 's', "session", "NAME", "the session to join (default: $SEALANE_SESSION, else \"default\")" },
	{ OPT_JSON, 0, "json", NULL, "the summary as one JSON object" },
	{ OPT_QUIET, 'q', "quiet", NULL, "no progress, no summary; errors only" },
	{ 0 },
};

static const struct option_page page = {
	.command = "recv",
	.usage = "[--out DIR] [--from ADDRESS] [OPTIONS]",
	.summary = "Receives what one `sealane send` on this machine sends, which may start before or after, and "
		   "verifies every file by its XXH3. Files are stored with their permissions (without set-user-id and "
		   "the like) and times, under a temporary name until they are whole, and never outside of DIR: "
		   "absolute names, \"..\" and symbolic links on the way are refused. Files that exist are replaced.",
	.specs = specs,
	.epilogue = "Exit status: 0 everything arrived and is right; 1 a file was wrong, incomplete or not\n"
		    "stored, the sender could not read one, or it ended early; 2 wrong usage.\n",
};

struct receiver {
	struct sea_session *session;
	struct sea_channel *channel;
	struct terminal_progress progress;
	struct store store;
	json_t *failed; /* names, for --json */

	bool is_begun, is_ended;
	uint64_t stream_id;
	uint64_t n_timeframes;

	/* The file of which more pieces are to come, or which is skipped to its end. */
	bool has_file, is_skipping;
	uint64_t file;
	uint64_t file_n_bytes, n_file_bytes;
	char file_name[STREAM_NAME_N_BYTES_MAX + 1];
	XXH3_state_t *hash;

	uint64_t n_files, n_folders, n_bytes, n_failed;
	uint64_t n_bytes_received;
	struct stream_totals totals; /* as the sender says */
	int64_t start_ns, end_ns;
};

static volatile sig_atomic_t stop_signal;
static struct sea_channel *signal_channel; /* set while the handler is in place */

static void on_signal(int number)
{
	stop_signal = number;
	sea_channel_interrupt(signal_channel);
}

static int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void receiver_fini(struct receiver *receiver)
{
	terminal_progress_fini(&receiver->progress);
	if (signal_channel) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal_channel = NULL;
	}
	sea_channel_close(receiver->channel);
	sea_session_close(receiver->session);
	store_fini(&receiver->store);
	XXH3_freeState(receiver->hash);
	json_decref(receiver->failed);
}

static bool is_again(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EINTR || r == -ECANCELED;
}

static void name_failed(struct receiver *receiver, const char *name, size_t n_bytes, const char *what)
{
	char shown[STREAM_SHOWN_N_BYTES];

	stream_name_show(shown, name, n_bytes);
	terminal_error("recv", "%s: %s", shown, what);
	receiver->n_failed++;
	json_array_append_new(receiver->failed, json_string(shown));
}

/* Gives up the current file; its further pieces, if any, are skipped. */
static void file_failed(struct receiver *receiver, const char *what)
{
	name_failed(receiver, receiver->file_name, strlen(receiver->file_name), what);
	store_file_abort(&receiver->store);
	receiver->is_skipping = true;
}

static void file_begin(struct receiver *receiver, const struct stream_entry *entry, const char *name)
{
	int r;

	receiver->has_file = true;
	receiver->is_skipping = false;
	receiver->file = entry->file;
	receiver->file_n_bytes = entry->file_n_bytes;
	receiver->n_file_bytes = 0;
	memcpy(receiver->file_name, name, entry->name_n_bytes);
	receiver->file_name[entry->name_n_bytes] = '\0';
	if (XXH3_64bits_reset(receiver->hash) == XXH_ERROR)
		file_failed(receiver, "cannot be verified");
	if (receiver->store.root_fd < 0 || receiver->is_skipping)
		return;
	r = store_file_begin(&receiver->store, receiver->file_name, entry->file);
	if (r == -ELOOP || r == -ENOTDIR)
		file_failed(receiver, "not stored: a symbolic link or a file stands where a folder is needed");
	else if (r < 0)
		file_failed(receiver, strerror(-r));
}

static void file_end(struct receiver *receiver, const struct stream_entry *entry)
{
	int r = 0;

	receiver->has_file = false;
	if (receiver->is_skipping)
		return;
	if (XXH3_64bits_digest(receiver->hash) != entry->file_hash) {
		file_failed(receiver, "is not what was sent (XXH3 of the file differs)");
		return;
	}
	if (receiver->store.root_fd >= 0)
		r = store_file_end(&receiver->store, entry->mode, entry->mtime_s, entry->mtime_ns);
	if (r < 0) {
		file_failed(receiver, strerror(-r));
		return;
	}
	receiver->n_files++;
	receiver->n_bytes += receiver->file_n_bytes;
}

/* One piece of a file. The view has made sure that the piece lies within the file. */
static void piece_take(struct receiver *receiver, const struct stream_entry *entry, const char *name,
                       const struct sea_part *part)
{
	if (entry->offset == 0) {
		if (receiver->has_file && !receiver->is_skipping)
			file_failed(receiver, "incomplete: its last piece never came");
		file_begin(receiver, entry, name);
	} else if (!receiver->has_file || receiver->file != entry->file || receiver->n_file_bytes != entry->offset ||
	           receiver->file_n_bytes != entry->file_n_bytes) {
		name_failed(receiver, name, entry->name_n_bytes, "incomplete: a piece before this one never came");
		store_file_abort(&receiver->store);
		receiver->has_file = false;
		return;
	}
	if (entry->flags & STREAM_ABANDONED) {
		if (!receiver->is_skipping)
			file_failed(receiver, "incomplete: the sender could not read it to its end");
		receiver->has_file = false;
		return;
	}
	receiver->n_file_bytes += entry->n_bytes;
	receiver->n_bytes_received += entry->n_bytes;
	if (!receiver->is_skipping && XXH3_64bits(part->data, part->n_bytes) != entry->hash)
		file_failed(receiver, "is not what was sent (XXH3 of a piece differs)");
	if (!receiver->is_skipping && part->n_bytes > 0 &&
	    XXH3_64bits_update(receiver->hash, part->data, part->n_bytes) == XXH_ERROR)
		file_failed(receiver, "cannot be verified");
	if (!receiver->is_skipping && receiver->store.root_fd >= 0) {
		int r = store_file_write(&receiver->store, part->data, part->n_bytes);

		if (r < 0)
			file_failed(receiver, strerror(-r));
	}
	if (receiver->n_file_bytes == receiver->file_n_bytes)
		file_end(receiver, entry);
}

static void folder_take(struct receiver *receiver, const struct stream_entry *entry, const char *name)
{
	char text[STREAM_NAME_N_BYTES_MAX + 1];
	int r;

	receiver->n_folders++;
	if (receiver->store.root_fd < 0)
		return;
	memcpy(text, name, entry->name_n_bytes);
	text[entry->name_n_bytes] = '\0';
	r = store_folder_add(&receiver->store, text, entry->mode, entry->mtime_s, entry->mtime_ns);
	if (r == -ELOOP || r == -ENOTDIR)
		name_failed(receiver, text, entry->name_n_bytes,
		            "not made: a symbolic link or a file stands where a folder is needed");
	else if (r < 0)
		name_failed(receiver, text, entry->name_n_bytes, strerror(-r));
}

static void entry_take(struct receiver *receiver, const struct sea_message *message, const struct stream_view *view,
                       uint32_t index)
{
	struct stream_entry entry;
	struct sea_part part = { 0 };
	const char *name;

	stream_view_entry(view, index, &entry, &name);
	if (!stream_name_is_safe(name, entry.name_n_bytes)) {
		name_failed(receiver, name, entry.name_n_bytes, "refused: the name leads outside, or cannot be a name");
		return;
	}
	if (entry.flags & STREAM_FOLDER) {
		folder_take(receiver, &entry, name);
		return;
	}
	if (sea_message_get_part(message, entry.part, &part) < 0 || part.n_bytes != entry.n_bytes) {
		name_failed(receiver, name, entry.name_n_bytes,
		            "its part of the message is missing or has another size");
		return;
	}
	piece_take(receiver, &entry, name, &part);
}

/* 0; -EBADMSG, -EPROTO the message is no part of this stream, after saying so. */
static int timeframe_take(struct receiver *receiver, const struct sea_message *message)
{
	size_t n_parts = sea_message_n_parts(message);
	struct stream_view view;
	struct sea_part part;
	int r = n_parts ? sea_message_get_part(message, n_parts - 1, &part) : -EBADMSG;

	if (r == 0)
		r = stream_view_init(&view, part.data, part.n_bytes);
	if (r < 0) {
		terminal_error("recv", "message %llu of the stream %s", (unsigned long long)receiver->n_timeframes,
		               r == -EPROTO ? "is of another version of sealane send"
		                            : "does not come from sealane send, or is damaged");
		return r;
	}
	if (!receiver->is_begun) {
		receiver->is_begun = true;
		receiver->stream_id = receiver->store.stream_id = view.head.stream_id;
	}
	if (view.head.stream_id != receiver->stream_id || view.head.timeframe != receiver->n_timeframes) {
		terminal_error("recv", "timeframe %llu came where %llu of the stream was due: something is missing",
		               (unsigned long long)view.head.timeframe, (unsigned long long)receiver->n_timeframes);
		return -EBADMSG;
	}
	receiver->n_timeframes++;
	if (view.head.kind == STREAM_END) {
		receiver->totals = view.totals;
		receiver->is_ended = true;
		return 0;
	}
	for (uint32_t i = 0; i < view.head.n_entries; i++) {
		if (stop_signal)
			return -ECANCELED;
		entry_take(receiver, message, &view, i);
	}
	return 0;
}

/* Whether nothing more can come: the stream has begun, its sender is gone, and its queue is empty. */
static bool sender_is_gone(const struct receiver *receiver)
{
	struct sea_channel_stats stats;

	if (!receiver->is_begun || sea_channel_get_stats(receiver->channel, &stats) < 0)
		return false;
	return stats.n_links == 0 && stats.n_queued_in == 0;
}

static int stream_take(struct receiver *receiver, const char *address, bool quiet)
{
	char label[200];
	bool is_last_look = false;

	snprintf(label, sizeof(label), "waiting for sealane send --to %s", address);
	terminal_progress_init(&receiver->progress, label, quiet);
	while (!receiver->is_ended) {
		struct sea_message *message = NULL;
		int r = stop_signal ? -ECANCELED
		                    : sea_channel_receive(receiver->channel, &message, is_last_look ? 0 : WAIT_NS);

		if (stop_signal) {
			sea_message_unref(message);
			return -ECANCELED;
		}
		if (r < 0 && is_again(r)) {
			if (is_last_look) {
				terminal_error("recv", "the sender at %s ended in the middle of the stream", address);
				return -EPIPE;
			}
			/* A message may have come between the two calls: look once more. */
			is_last_look = sender_is_gone(receiver);
			terminal_progress_update(&receiver->progress, receiver->n_bytes_received, 0, NULL);
			continue;
		}
		if (r < 0) {
			terminal_error("recv", "receiving from %s: %s", address, sea_error_text(r));
			return r;
		}
		if (!receiver->is_begun) {
			receiver->start_ns = clock_now_ns();
			terminal_progress_fini(&receiver->progress);
			terminal_progress_init(&receiver->progress, "receiving", quiet);
		}
		r = timeframe_take(receiver, message);
		sea_message_unref(message);
		if (r < 0)
			return r;
		terminal_progress_update(&receiver->progress, receiver->n_bytes_received, 0, NULL);
	}
	return 0;
}

/* What can only be known at the end: files cut short, numbers that do not add up, folders' modes. */
static void stream_end(struct receiver *receiver)
{
	const char *name = NULL;
	int r;

	if (receiver->has_file && !receiver->is_skipping)
		file_failed(receiver, "incomplete: its last piece never came");
	receiver->has_file = false;
	r = store_folders_end(&receiver->store, &name);
	if (r < 0)
		name_failed(receiver, name, strlen(name), strerror(-r));
	receiver->end_ns = clock_now_ns();
	if (!receiver->is_ended)
		return;
	if (receiver->totals.n_failed > 0)
		terminal_error("recv", "the sender could not send %llu files",
		               (unsigned long long)receiver->totals.n_failed);
	if (receiver->n_failed == 0 &&
	    (receiver->n_files != receiver->totals.n_files || receiver->n_bytes != receiver->totals.n_bytes ||
	     receiver->n_folders != receiver->totals.n_folders)) {
		terminal_error("recv", "%llu files were sent and %llu came",
		               (unsigned long long)receiver->totals.n_files, (unsigned long long)receiver->n_files);
		receiver->n_failed++;
	}
}

static void answer_send(struct receiver *receiver, const char *address)
{
	struct stream_answer answer = {
		.magic = STREAM_MAGIC,
		.stream_id = receiver->stream_id,
		.n_files = receiver->n_files,
		.n_bytes = receiver->n_bytes,
		.n_failed = receiver->n_failed,
	};
	struct sea_message *message = NULL;
	int64_t deadline_ns = clock_now_ns() + ANSWER_WAIT_NS;
	int r;

	/* Files that the sender could not read are its own news, not ours. */
	r = sea_message_new(&message, sea_session_heap(receiver->session), sizeof(answer), 0, 0);
	if (r == 0) {
		memcpy(sea_message_write(message), &answer, sizeof(answer));
		r = sea_channel_send(receiver->channel, &message, ANSWER_WAIT_NS);
		sea_message_unref(message);
	}
	while (r == 0) {
		r = sea_channel_flush(receiver->channel, WAIT_NS);
		if (r == 0)
			return;
		/* A sender that is gone takes no answer; what came is stored all the same. */
		if (is_again(r) && !stop_signal && clock_now_ns() < deadline_ns && !sender_is_gone(receiver))
			r = 0;
	}
	if (!stop_signal)
		terminal_error("recv", "the sender at %s did not wait for the answer", address);
}

static void report(const struct receiver *receiver, bool is_right, bool json)
{
	char size[TERMINAL_TEXT_N_BYTES], rate[TERMINAL_TEXT_N_BYTES], time[TERMINAL_TEXT_N_BYTES];
	int64_t duration_ns = receiver->end_ns - receiver->start_ns;

	if (json) {
		TOOL_AUTO_JSON json_t *object = json_pack(
			"{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:O}", "command", "recv", "complete",
			receiver->is_ended, "right", is_right, "files", (json_int_t)receiver->n_files, "folders",
			(json_int_t)receiver->n_folders, "bytes", (json_int_t)receiver->n_bytes, "timeframes",
			(json_int_t)receiver->n_timeframes, "seconds", (double)duration_ns / 1e9, "failed",
			(json_int_t)receiver->n_failed, "sender_failed", (json_int_t)receiver->totals.n_failed,
			"failed_names", receiver->failed);

		if (object && json_dumpf(object, stdout, JSON_COMPACT) == 0)
			putchar('\n');
		else
			terminal_error("recv", "cannot write the summary");
		return;
	}
	printf("%s %llu files, %llu folders, %s in %llu timeframes, %s, %s%s\n",
	       receiver->store.root_fd >= 0 ? "verified and stored" : "verified", (unsigned long long)receiver->n_files,
	       (unsigned long long)receiver->n_folders, terminal_size(size, receiver->n_bytes),
	       (unsigned long long)receiver->n_timeframes, terminal_duration(time, duration_ns),
	       terminal_rate(rate, receiver->n_bytes, duration_ns), is_right ? "" : "; NOT everything is right");
}

static int receiver_open(struct receiver *receiver, const char *session, const char *address,
                         const struct sea_shm_options *shm)
{
	struct sea_session_options session_options = {
		.name = session,
		.process_name = "sealane-recv",
		.quota_n_bytes = QUOTA_N_BYTES,
	};
	struct sigaction action = { .sa_handler = on_signal };
	int r;

	receiver->failed = json_array();
	receiver->hash = XXH3_createState();
	if (!receiver->failed || !receiver->hash) {
		terminal_error("recv", "cannot start: %s", sea_error_text(-ENOMEM));
		return -ENOMEM;
	}
	sea_shm_options_apply(shm, &session_options, NULL);
	if (session)
		session_options.name = session;
	r = sea_session_open(&receiver->session, &session_options);
	if (r < 0) {
		terminal_error("recv", "cannot open session %s: %s", session ? session : "", sea_error_text(r));
		return r;
	}
	r = sea_channel_new(&receiver->channel, receiver->session, SEA_PAIR, NULL);
	if (r < 0) {
		terminal_error("recv", "cannot make a channel: %s", sea_error_text(r));
		return r;
	}
	signal_channel = receiver->channel;
	if (sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0) {
		terminal_error("recv", "cannot set a signal handler: %s", strerror(errno));
		return -errno;
	}
	r = sea_channel_connect(receiver->channel, address);
	if (r < 0)
		terminal_error("recv", "cannot connect to address %s: %s", address, sea_error_text(r));
	return r;
}

int recv_main(int argc, char **argv)
{
	TOOL_CLEANUP(receiver_fini) struct receiver receiver = { 0 };
	const char *address = STREAM_ADDRESS_DEFAULT, *session = NULL, *out = NULL;
	bool json = false, quiet = false, is_right;
	struct sea_shm_options shm = { 0 };
	struct options options;
	int id, r;

	store_init(&receiver.store);
	options_init(&options, &page, argc, argv);
	options.shm = &shm;
	while ((id = options_next(&options)) > 0) {
		if (id == OPT_OUT)
			out = options.value;
		else if (id == OPT_FROM)
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
	if (options.first < argc)
		options_wrong(&options, "unexpected argument '%s'", argv[options.first]);
	else if (session && !options_is_session(session))
		options_wrong(&options, "--session: '%s' is not a session's name", session);
	if (options.exit_code != COMMAND_OK)
		return options.exit_code;

	r = out ? store_open(&receiver.store, out) : 0;
	if (r < 0) {
		terminal_error("recv", "--out %s: %s", out, strerror(-r));
		return COMMAND_FAILED;
	}
	if (receiver_open(&receiver, session, address, &shm) < 0)
		return COMMAND_FAILED;
	r = stream_take(&receiver, address, quiet);
	terminal_progress_fini(&receiver.progress);
	if (stop_signal) {
		terminal_error("recv", "interrupted after %llu files", (unsigned long long)receiver.n_files);
		return 128 + stop_signal;
	}
	stream_end(&receiver);
	if (r == 0)
		answer_send(&receiver, address);
	is_right = r == 0 && receiver.n_failed == 0 && receiver.totals.n_failed == 0;
	if (!quiet || json)
		report(&receiver, is_right, json);
	return is_right ? COMMAND_OK : COMMAND_FAILED;
}
