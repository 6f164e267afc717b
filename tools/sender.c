/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, sending and waiting. Every waiting call wakes up ten times a second to see whether the
 * receiver is still there: with a pair channel there is no other to wait for.
 */
#include "sender.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cleanup.h"

#define MS_NS INT64_C(1000000)
#define WAIT_NS (100 * MS_NS)
#define QUOTA_N_BYTES ((uint64_t)256 << 20)
#define ARENA_N_BYTES ((uint64_t)64 << 20) /* three timeframes each */

volatile sig_atomic_t sender_stop_signal;
static struct sea_channel *signal_channel; /* set while the handler is in place */

static void on_signal(int number)
{
	sender_stop_signal = number;
	sea_channel_interrupt(signal_channel);
}

int64_t sender_now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int sender_init(struct sender *sender)
{
	sender->failed = json_array();
	sender->entries = calloc(STREAM_N_ENTRIES_MAX, sizeof(*sender->entries));
	sender->n_names_bytes_max = 64 << 10;
	sender->names = malloc(sender->n_names_bytes_max);
	if (!sender->failed || !sender->entries || !sender->names)
		return -ENOMEM;
	if (getrandom(&sender->stream_id, sizeof(sender->stream_id), 0) != sizeof(sender->stream_id))
		return -errno;
	return 0;
}

void sender_fini(struct sender *sender)
{
	terminal_progress_fini(&sender->progress);
	sea_frame_free(sender->frame);
	if (signal_channel) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal_channel = NULL;
	}
	sea_channel_close(sender->channel);
	sea_heap_free(sender->heap);
	sea_session_close(sender->session);
	json_decref(sender->failed);
	free(sender->entries);
	free(sender->names);
}

void sender_file_failed(struct sender *sender, const char *path, const char *what)
{
	char shown[STREAM_SHOWN_N_BYTES];

	stream_name_show(shown, path, strlen(path));
	terminal_error("send", "%s: %s", shown, what);
	sender->totals.n_failed++;
	json_array_append_new(sender->failed, json_string(shown));
}

/* -ECANCELED after a signal, -EPIPE when the receiver is gone: both end the stream. */
static int sender_check(struct sender *sender)
{
	struct sea_channel_stats stats;
	int r;

	if (sender_stop_signal)
		return -ECANCELED;
	r = sea_channel_get_stats(sender->channel, &stats);
	if (r < 0)
		return r;
	return stats.n_links == 0 || stats.n_orphans > 0 ? -EPIPE : 0;
}

/* Until the receiver has released something. -ENOMEM when it holds nothing that could come back. */
static int memory_wait(struct sender *sender)
{
	struct pollfd pollfd = { .fd = sea_session_done_fd(sender->session), .events = POLLIN };

	if (pollfd.fd < 0)
		return pollfd.fd;
	while (sender->n_in_flight > 0) {
		uint64_t cookies[64];
		int n = sea_session_take_done(sender->session, cookies, 64);
		int r = n < 0 ? n : sender_check(sender);

		if (r < 0)
			return r;
		sender->n_in_flight -= (uint64_t)n < sender->n_in_flight ? (uint64_t)n : sender->n_in_flight;
		if (n > 0)
			return 0;
		if (poll(&pollfd, 1, (int)(WAIT_NS / MS_NS)) < 0 && errno != EINTR)
			return -errno;
	}
	return -ENOMEM;
}

int sender_part_add(struct sender *sender, uint64_t n_bytes, void **ret_data)
{
	for (;;) {
		int part = sea_frame_add(sender->frame, n_bytes, 0, ret_data);
		int r = part == -ENOMEM ? memory_wait(sender) : part;

		if (part >= 0 || r < 0)
			return r;
	}
}

static int frame_seal(struct sender *sender, struct sea_message **ret_message)
{
	for (;;) {
		int sealed = sea_frame_seal(&sender->frame, ret_message);
		int r = sealed == -ENOMEM ? memory_wait(sender) : sealed;

		if (sealed == 0 || r < 0)
			return r;
	}
}

/* Whether a waiting call is to be made again. */
static bool is_again(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EINTR || r == -ECANCELED;
}

int sender_frame_begin(struct sender *sender, uint64_t n_bytes_max)
{
	/* Each part is aligned to 64 bytes; the head takes what its entries and names take. */
	struct sea_frame_options options = {
		.n_bytes_max[0] = n_bytes_max +
		                  STREAM_N_ENTRIES_MAX * (SEA_ALIGNMENT_DEFAULT + sizeof(struct stream_entry)) +
		                  sender->n_names_bytes_max + 4096,
	};

	for (;;) {
		int r = sea_frame_new(&sender->frame, sender->heap, &options, WAIT_NS);

		if (r == 0)
			break;
		if (!is_again(r) && r != -ENOMEM)
			return r;
		r = r == -ENOMEM ? memory_wait(sender) : sender_check(sender);
		if (r < 0)
			return r;
	}
	sender->n_entries = 0;
	sender->n_names_bytes = 0;
	sender->n_frame_bytes = 0;
	sender->n_frame_bytes_max = n_bytes_max;
	return 0;
}

static int message_send(struct sender *sender, struct sea_message **message)
{
	for (;;) {
		int r = sea_channel_send(sender->channel, message, WAIT_NS);

		if (r == 0) {
			/* Not looked after here: a receiver that has the end may have answered and gone already. */
			sender->n_timeframes++;
			return 0;
		}
		if (!is_again(r))
			return r;
		r = sender_check(sender);
		if (r < 0)
			return r;
	}
}

static struct stream_head sender_head(const struct sender *sender)
{
	return (struct stream_head){
		.stream_id = sender->stream_id,
		.timeframe = sender->n_timeframes,
		.sent_ns = sender_now_ns(CLOCK_REALTIME),
	};
}

/* Sends the frame under construction, if there is one. */
int sender_frame_end(struct sender *sender)
{
	struct stream_head head = sender_head(sender);
	struct sea_message *message = NULL;
	void *part;
	int r;

	if (!sender->frame)
		return 0;
	head.n_entries = sender->n_entries;
	head.n_names_bytes = sender->n_names_bytes;
	r = sender_part_add(sender, stream_head_n_bytes(head.n_entries, head.n_names_bytes), &part);
	if (r < 0)
		return r;
	stream_head_write(part, &head, sender->entries, sender->names);
	r = frame_seal(sender, &message);
	if (r == 0)
		r = sea_message_notify(message, 0);
	if (r == 0) {
		sender->n_in_flight++;
		r = message_send(sender, &message);
	}
	sea_message_unref(message);
	return r;
}

int sender_end_send(struct sender *sender)
{
	struct stream_head head = sender_head(sender);
	struct sea_message *message = NULL;
	int r;

	do {
		r = sea_message_new(&message, sender->heap, stream_end_n_bytes(), 0, WAIT_NS);
		if (r < 0 && is_again(r)) {
			int error = sender_check(sender);

			if (error < 0)
				return error;
		}
	} while (r < 0 && is_again(r));
	if (r < 0)
		return r;
	stream_end_write(sea_message_write(message), &head, &sender->totals);
	r = message_send(sender, &message);
	sea_message_unref(message);
	return r;
}

/* The entry must fit: the caller has ended a full frame. */
void sender_entry_add(struct sender *sender, const char *name, const struct stat *st, const struct stream_entry *entry)
{
	struct stream_entry *to = &sender->entries[sender->n_entries++];
	uint32_t n = (uint32_t)strlen(name);

	*to = *entry;
	to->mode = st->st_mode & 07777;
	to->mtime_s = st->st_mtim.tv_sec;
	to->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	to->name_offset = sender->n_names_bytes;
	to->name_n_bytes = n;
	memcpy(sender->names + sender->n_names_bytes, name, n);
	sender->n_names_bytes += n;
}

bool sender_has_room(const struct sender *sender, const char *name, uint64_t n_bytes)
{
	return sender->frame && sender->n_entries < STREAM_N_ENTRIES_MAX &&
	       strlen(name) <= sender->n_names_bytes_max - sender->n_names_bytes &&
	       n_bytes <= sender->n_frame_bytes_max - sender->n_frame_bytes;
}

/* Waits until the receiver has let go of everything, then for its answer. */
int sender_answer_wait(struct sender *sender)
{
	struct sea_message *message = NULL;
	bool is_last_look = false;
	int r;

	while ((r = sea_channel_flush(sender->channel, WAIT_NS)) < 0) {
		struct sea_channel_stats stats;

		if (!is_again(r))
			return r;
		if (sender_stop_signal)
			return -ECANCELED;
		r = sea_channel_get_stats(sender->channel, &stats);
		if (r < 0)
			return r;
		if (stats.n_orphans > 0)
			return -EPIPE;
	}
	for (;;) {
		r = sea_channel_receive(sender->channel, &message, is_last_look ? 0 : WAIT_NS);
		if (r == 0)
			break;
		if (!is_again(r))
			return r;
		if (is_last_look)
			return -EPIPE;
		r = sender_check(sender);
		if (r == -EPIPE)
			is_last_look = true; /* its answer may have come between the two calls */
		else if (r < 0)
			return r;
	}
	if (sea_message_size(message) == sizeof(sender->answer))
		memcpy(&sender->answer, sea_message_data(message), sizeof(sender->answer));
	sea_message_unref(message);
	if (sender->answer.magic != STREAM_MAGIC || sender->answer.stream_id != sender->stream_id)
		return -EBADMSG;
	return 0;
}

int sender_open(struct sender *sender, const char *session, const char *address, const struct sea_shm_options *shm)
{
	struct sea_session_options session_options = { .name = session, .process_name = "sealane-send" };
	struct sea_channel_options channel_options = { .orphans = SEA_ORPHANS_KEEP };
	struct sea_heap_options heap_options = { .quota_n_bytes = QUOTA_N_BYTES, .arena_n_bytes = ARENA_N_BYTES };
	struct sigaction action = { .sa_handler = on_signal };
	struct sea_heap_stats stats;
	int r;

	sea_shm_options_apply(shm, &session_options, NULL);
	if (session)
		session_options.name = session;
	r = sea_session_open(&sender->session, &session_options);
	if (r < 0) {
		terminal_error("send", "cannot open session %s: %s", session ? session : "", sea_error_text(r));
		return r;
	}
	/* The session's own heap knows what this machine or container can give. */
	r = sea_heap_get_stats(sea_session_heap(sender->session), &stats);
	if (r == 0 && stats.quota_n_bytes < heap_options.quota_n_bytes) {
		heap_options.quota_n_bytes = stats.quota_n_bytes;
		heap_options.arena_n_bytes = 0;
	}
	sea_shm_options_apply(shm, NULL, &heap_options);
	if (shm->segment_n_bytes)
		heap_options.arena_n_bytes = 0;
	if (r == 0)
		r = sea_heap_new(&sender->heap, sender->session, &heap_options);
	if (r == 0)
		r = sea_channel_new(&sender->channel, sender->session, SEA_PAIR, &channel_options);
	if (r < 0) {
		terminal_error("send", "cannot set up memory and channel: %s", sea_error_text(r));
		return r;
	}
	signal_channel = sender->channel;
	if (sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0) {
		terminal_error("send", "cannot set a signal handler: %s", strerror(errno));
		return -errno;
	}
	r = sea_channel_bind(sender->channel, address);
	if (r < 0)
		terminal_error("send", "cannot bind to address %s: %s", address, sea_error_text(r));
	return r;
}

int sender_peer_wait(struct sender *sender, const char *address, bool quiet)
{
	char label[200];

	snprintf(label, sizeof(label), "waiting for sealane recv --from %s", address);
	terminal_progress_init(&sender->progress, label, quiet);
	for (;;) {
		int r = sea_channel_wait_peers(sender->channel, 1, WAIT_NS);

		if (r == 0 || !is_again(r))
			return r;
		if (sender_stop_signal)
			return -ECANCELED;
		terminal_progress_update(&sender->progress, 0, 0, NULL);
	}
}
