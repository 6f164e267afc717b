/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending end of a stream of files: a session, a pair channel, and the timeframe under construction.
 * sender.c opens, sends and waits; send-files.c fills timeframes with files; send.c is the command.
 *
 * Calls return 0 or a negative errno: -ECANCELED after SIGINT or SIGTERM, -EPIPE when the receiver is gone.
 */
#ifndef SEALANE_TOOLS_SENDER_H
#define SEALANE_TOOLS_SENDER_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include <sealane/sealane.h>

#include "input.h"
#include "stream.h"
#include "terminal.h"

struct sender {
	struct sea_session *session;
	struct sea_heap *heap;
	struct sea_channel *channel;
	struct terminal_progress progress;
	json_t *failed; /* names, for --json */

	/* The timeframe under construction. */
	struct sea_frame *frame;
	uint64_t n_frame_bytes; /* payload so far */
	uint64_t n_frame_bytes_max;
	uint32_t n_entries;
	struct stream_entry *entries; /* STREAM_N_ENTRIES_MAX of them */
	char *names;
	uint32_t n_names_bytes, n_names_bytes_max;

	uint64_t stream_id;
	uint64_t n_timeframes;
	uint64_t n_in_flight; /* of them, those with files that the receiver has not released */
	uint64_t n_files_begun;
	uint64_t n_bytes_read;
	uint64_t n_bytes_total; /* as listed */
	struct stream_totals totals;
	struct stream_answer answer;
	int64_t start_ns, end_ns;
};

/* The signal that asks to end; 0: none. */
extern volatile sig_atomic_t sender_stop_signal;

int sender_init(struct sender *sender);
void sender_fini(struct sender *sender);
/* Opens session and channel and binds the address; has said what is wrong when it fails. */
int sender_open(struct sender *sender, const char *session, const char *address, const struct sea_shm_options *shm);
/* Waits for a receiver, for as long as that takes. */
int sender_peer_wait(struct sender *sender, const char *address, bool quiet);
/* Says that a file could not be sent, and notes it. */
void sender_file_failed(struct sender *sender, const char *path, const char *what);

/*
 * Adds a part to the timeframe under construction, or seals it; at the quota, waits until the receiver has released
 * something.
 */
int sender_part_add(struct sender *sender, uint64_t n_bytes, void **ret_data);
/* Begins a timeframe with room for so many bytes of files. */
int sender_frame_begin(struct sender *sender, uint64_t n_bytes_max);
bool sender_has_room(const struct sender *sender, const char *name, uint64_t n_bytes);
/* Notes what the part added last is; there must be room. */
void sender_entry_add(struct sender *sender, const char *name, const struct stat *st, const struct stream_entry *entry);
/* Sends the timeframe under construction, if there is one. */
int sender_frame_end(struct sender *sender);
/* Sends the end of the stream. */
int sender_end_send(struct sender *sender);
/* Waits until the receiver has let go of everything, then for its answer. */
int sender_answer_wait(struct sender *sender);
int64_t sender_now_ns(clockid_t clock);

/* send-files.c: sends all files and folders of a list. Those that fail are told and noted, and are no error. */
int sender_list_send(struct sender *sender, const struct input_list *list);

#endif
