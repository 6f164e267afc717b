/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of `sealane demo`: real files into timeframes. Bytes go by pread() straight into the sealed
 * frame. What a processor that died had not finished comes back here and is sent again.
 *
 * It ends when the last hold of every timeframe is gone, in whatever process.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "demo-calibration.h"
#include "demo-check.h"
#include "demo.h"

/* Several timeframes each, so that their sizes may differ without wasting half of it. */
#define ARENA_N_BYTES ((uint64_t)64 << 20)

/* How often a frame is begun again, a millisecond apart, when memory is short though nothing is in flight. */
#define N_MEMORY_TRIES 1000u

/* Where in the files the next byte comes from; after the last file the first again. */
struct cursor {
	const struct input_list *input;
	size_t next; /* index of the file after the open one */
	int fd;      /* -1: none */
	off_t offset;
	size_t n_fruitless; /* files in a row that gave nothing */
	int error;          /* of the last one that could not be read */
	const char *path;
};

struct reader {
	struct demo_child child;
	struct cursor cursor;
	struct sea_heap *heap;
	struct demo_keys *keys; /* NULL: no calibration */
	uint64_t quota_n_bytes;
	XXH3_state_t *hash;
	uint64_t n_begun, n_done;
	uint64_t n_done_needed; /* before there can be memory again */
	unsigned n_memory_tries;
};

static void reader_fini(struct reader *reader)
{
	if (reader->cursor.fd >= 0)
		close(reader->cursor.fd);
	XXH3_freeState(reader->hash);
#ifdef SEALANE_COMMAND_CCDB
	demo_keys_free(reader->keys);
#endif
	demo_child_close(&reader->child);
}

static void frame_fini(struct sea_frame **frame)
{
	sea_frame_free(*frame);
}

static void cursor_close(struct cursor *cursor)
{
	close(cursor->fd);
	cursor->fd = -1;
}

/* Opens the next file. Those that have vanished or may not be read are passed over. */
static int cursor_open(struct cursor *cursor)
{
	while (cursor->fd < 0) {
		if (cursor->n_fruitless > cursor->input->n_files)
			return cursor->error ? -cursor->error : -ENODATA;
		cursor->path = cursor->input->files[cursor->next].path;
		cursor->next = (cursor->next + 1) % cursor->input->n_files;
		cursor->offset = 0;
		cursor->n_fruitless++;
		cursor->fd = open(cursor->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (cursor->fd < 0)
			cursor->error = errno;
	}
	return 0;
}

static int cursor_read(struct cursor *cursor, void *to, size_t n_bytes)
{
	while (n_bytes > 0) {
		ssize_t n;
		int r = cursor_open(cursor);

		if (r < 0)
			return r;
		n = pread(cursor->fd, to, n_bytes, cursor->offset);
		if (n < 0 && errno == EINTR && !demo_child_is_stopped())
			continue;
		if (n < 0 && errno == EINTR)
			return -ECANCELED;
		if (n <= 0) {
			if (n < 0)
				cursor->error = errno;
			cursor_close(cursor);
			continue;
		}
		cursor->n_fruitless = 0;
		cursor->offset += n;
		to = (unsigned char *)to + n;
		n_bytes -= (size_t)n;
	}
	return 0;
}

/* Until something is done, came back, or may be begun: the first has a descriptor, the others are looked at each ms. */
static int reader_wait(struct reader *reader)
{
	struct pollfd pollfd = { .fd = sea_session_done_fd(reader->child.session), .events = POLLIN };

	if (pollfd.fd < 0)
		return demo_fail(&reader->child, "no descriptor for what is done: %s", sea_error_text(pollfd.fd));
	if (poll(&pollfd, 1, 1) < 0 && errno != EINTR)
		return demo_fail(&reader->child, "cannot wait: %s", strerror(errno));
	return 0;
}

/*
 * A frame that could not grow. While others are in flight their memory will come back: this one is given up and
 * begun again then, which is 0.
 */
static int memory_failed(struct reader *reader, int r, const char *what)
{
	if (r == -ENOMEM && reader->n_begun > reader->n_done) {
		reader->n_done_needed = reader->n_done + 1;
		return 0;
	}
	/* Nothing is in flight: what the last readers have just let go of is on its way back to the kernel. */
	if (r == -ENOMEM && reader->n_memory_tries++ < N_MEMORY_TRIES)
		return reader_wait(reader);
	return demo_fail(&reader->child, "%s timeframe %llu (the limit is %llu bytes): %s", what,
	                 (unsigned long long)reader->n_begun, (unsigned long long)reader->quota_n_bytes,
	                 sea_error_text(r));
}

/* The key table of a timeframe, where there is calibration. */
static int keys_add(struct reader *reader, struct sea_frame *frame)
{
#ifdef SEALANE_COMMAND_CCDB
	if (reader->keys)
		return demo_keys_add(reader->keys, frame, reader->n_begun);
#endif
	(void)reader;
	(void)frame;
	return 0;
}

/* Bytes to reserve for it. */
static uint64_t keys_n_bytes(const struct reader *reader)
{
#ifdef SEALANE_COMMAND_CCDB
	if (reader->keys)
		return demo_keys_n_bytes(reader->keys, reader->n_begun) + SEA_ALIGNMENT_DEFAULT;
#endif
	(void)reader;
	return 0;
}

/* Fills a frame that was just made, and takes the hash of what lies in it. The frame's error, or 1 after demo_fail(). */
static int frame_fill(struct reader *reader, struct sea_frame *frame, const uint32_t *sizes, unsigned n_parts)
{
	struct sea_part parts[DEMO_N_PARTS_MAX];
	struct demo_head head = { .magic = DEMO_HEAD_MAGIC, .timeframe = reader->n_begun, .n_parts = n_parts };
	void *to_head = NULL;
	int r = sea_frame_add(frame, sizeof(head), 0, &to_head);

	if (r >= 0)
		r = keys_add(reader, frame);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < n_parts; i++) {
		void *to = NULL;

		r = sea_frame_add(frame, sizes[i], 0, &to);
		if (r < 0)
			return r;
		r = cursor_read(&reader->cursor, to, sizes[i]);
		if (r == -ECANCELED)
			return 1;
		if (r < 0)
			return demo_fail(&reader->child,
			                 "no file of the input gives a byte any more, last tried %s: %s",
			                 reader->cursor.path, strerror(-r));
		parts[i] = (struct sea_part){ .data = to, .n_bytes = sizes[i] };
		head.n_bytes += sizes[i];
	}
	head.sent_ns = demo_now_ns();
	head.hash = demo_hash(reader->hash, &head, parts, n_parts);
	memcpy(to_head, &head, sizeof(head));
	return 0;
}

static int message_send(struct reader *reader, struct sea_message **message)
{
	int r;

	do {
		r = sea_channel_send(reader->child.out, message, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	if (r < 0 && demo_child_is_stopped())
		return 1;
	return r < 0 ? demo_fail(&reader->child, "cannot send: %s", sea_error_text(r)) : 0;
}

/* Makes and sends the next timeframe. 0 also when there was no memory yet. */
static int timeframe_send(struct reader *reader)
{
	TOOL_CLEANUP(frame_fini) struct sea_frame *frame = NULL;
	struct sea_message *message = NULL;
	struct sea_frame_options options = { 0 };
	uint32_t sizes[DEMO_N_PARTS_MAX];
	unsigned n_parts = demo_plan_sizes(reader->child.plan, reader->n_begun, sizes);
	uint64_t n_bytes = 0;
	int r;

	options.n_parts_hint = n_parts + 2;
	options.n_bytes_max[0] = sizeof(struct demo_head) + SEA_ALIGNMENT_DEFAULT + keys_n_bytes(reader);
	for (unsigned i = 0; i < n_parts; i++) {
		n_bytes += sizes[i];
		options.n_bytes_max[0] += sizes[i] + SEA_ALIGNMENT_DEFAULT;
	}
	r = sea_frame_new(&frame, reader->heap, &options, DEMO_WAIT_NS);
	if (r < 0 && demo_is_again(r))
		return 0;
	if (r < 0)
		return memory_failed(reader, r, "cannot begin");
	reader->child.status->n_taken = reader->n_begun + 1;
	r = frame_fill(reader, frame, sizes, n_parts);
	if (r < 0)
		return memory_failed(reader, r, "cannot fill");
	if (r != 0)
		return r;
	r = sea_frame_seal(&frame, &message);
	if (r < 0)
		return memory_failed(reader, r, "cannot seal");
	sea_message_set_tag(message, reader->n_begun);
	r = sea_message_notify(message, reader->n_begun);
	if (r < 0)
		r = demo_fail(&reader->child, "cannot ask to be told of the last hold: %s", sea_error_text(r));
	else
		r = message_send(reader, &message);
	sea_message_unref(message);
	if (r != 0)
		return r;
	reader->n_begun++;
	reader->n_memory_tries = 0;
	demo_child_count(&reader->child, n_bytes);
	return 0;
}

static int orphans_send(struct reader *reader)
{
	struct sea_message *message = NULL;
	int r;

	while ((r = sea_channel_take_orphan(reader->child.out, &message)) == 0) {
		r = message_send(reader, &message);
		message = sea_message_unref(message);
		if (r != 0)
			return r;
		reader->child.status->n_resent++;
	}
	return r == -EAGAIN ? 0 : demo_fail(&reader->child, "cannot take back a timeframe: %s", sea_error_text(r));
}

static int done_take(struct reader *reader)
{
	uint64_t cookies[64];
	int n;

	while ((n = sea_session_take_done(reader->child.session, cookies, 64)) > 0)
		reader->n_done += (uint64_t)n;
	return n < 0 ? demo_fail(&reader->child, "cannot learn what is done: %s", sea_error_text(n)) : 0;
}

static int reader_loop(struct reader *reader)
{
	const struct demo_plan *plan = reader->child.plan;
	int r = 0;

	reader->child.status->begin_ns = demo_now_ns();
	while (r == 0 && reader->n_done < plan->n_timeframes) {
		if (demo_child_is_stopped())
			return 1;
		r = orphans_send(reader);
		if (r == 0)
			r = done_take(reader);
		if (r != 0)
			return r;
		if (reader->n_begun < plan->n_timeframes && reader->n_begun < reader->child.shared->limit &&
		    reader->n_done >= reader->n_done_needed &&
		    reader->n_begun - reader->n_done < demo_plan_n_in_flight(plan))
			r = timeframe_send(reader);
		else
			r = reader_wait(reader);
		demo_child_measure(&reader->child, reader->heap);
	}
	return r;
}

/* A heap of the plan's size, or of what the session thinks that this machine or container can give. */
static int heap_make(struct reader *reader)
{
	struct sea_heap_options options = {
		.quota_n_bytes = reader->child.plan->quota_n_bytes,
		.arena_n_bytes = ARENA_N_BYTES,
		.flags = SEA_HEAP_PREFAULT,
	};
	struct sea_heap_stats stats;
	int r = sea_heap_get_stats(sea_session_heap(reader->child.session), &stats);

	sea_shm_options_apply(&reader->child.plan->shm, NULL, &options);
	if (r == 0 && stats.quota_n_bytes < options.quota_n_bytes)
		options.quota_n_bytes = stats.quota_n_bytes;
	if (options.quota_n_bytes < 4 * ARENA_N_BYTES)
		options.arena_n_bytes = 0;
	reader->quota_n_bytes = options.quota_n_bytes;
	if (r == 0)
		r = sea_heap_new(&reader->heap, reader->child.session, &options);
	return r < 0 ? demo_fail(&reader->child, "cannot make a heap of %llu bytes: %s",
	                         (unsigned long long)options.quota_n_bytes, sea_error_text(r))
	             : 0;
}

int demo_reader_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot)
{
	TOOL_CLEANUP(reader_fini) struct reader reader = { .cursor = { .input = plan->input, .fd = -1 } };
	int r = demo_child_open(&reader.child, plan, shared, slot, "demo reader", 0);

	if (r != 0)
		return r;
	reader.hash = XXH3_createState();
	if (!reader.hash)
		return demo_fail(&reader.child, "out of memory");
	r = heap_make(&reader);
#ifdef SEALANE_COMMAND_CCDB
	if (r == 0 && plan->calibration && demo_keys_new(&reader.keys, plan) < 0)
		return demo_fail(&reader.child, "out of memory");
#endif
	if (r == 0)
		r = demo_child_channel(&reader.child, &reader.child.out, SEA_PUSH, SEA_ORPHANS_KEEP, DEMO_SOURCE, true);
	if (r != 0)
		return r;
	reader.child.status->is_ready = 1;
	do {
		r = sea_channel_wait_peers(reader.child.out, plan->calibration ? 1 : plan->n_processors, DEMO_WAIT_NS);
	} while (r < 0 && demo_is_again(r) && !demo_child_is_stopped());
	if (demo_child_is_stopped())
		return 1;
	if (r < 0)
		return demo_fail(&reader.child, "nobody came for timeframes: %s", sea_error_text(r));
	return reader_loop(&reader);
}
