/* SPDX-License-Identifier: Apache-2.0 */
/* Messages out of a recording; see replay-source.h. */
#include "replay-source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

/* How far the kernel reads ahead of what is sent, and in what steps it is told. */
#define AHEAD_N_BYTES ((uint64_t)64 << 20)
#define AHEAD_STEP_N_BYTES ((uint64_t)8 << 20)
/* Most messages over the file that may be out: more than queues hold. */
#define N_OUT_MAX 65536u
#define N_TAKEN_AT_ONCE 256u
/* How long to wait for memory: what a receiver that is gone had may have to be sent first. */
#define WAIT_NS INT64_C(100000000)

int replay_source_init(struct replay_source *source, struct sea_session *session, struct recording *recording,
                       enum replay_mode mode)
{
	char path[64];
	struct sea_region_options options = {
		.n_bytes = recording->n_bytes,
		.name = "recording",
		.protection = SEA_PROTECTION_SHARED, /* as every region of a file; nobody can write this one */
		.flags = SEA_REGION_READ_ONLY,
		.n_blocks_max = N_OUT_MAX,
		.path = path,
		.linger_ns = -1,
	};
	struct stat stat;
	int r;

	*source = (struct replay_source){ .session = session, .recording = recording };
	if (mode == REPLAY_COPY)
		return 0;
	/* The very file that was opened, whatever has become of its name. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", recording->fd);
	if (recording->n_bytes % RECORDING_UNIT_N_BYTES) {
		snprintf(source->why, sizeof(source->why), "it was cut short");
		r = -ENOTSUP;
	} else if (fstat(recording->fd, &stat) < 0 || stat.st_mode & 0022) {
		snprintf(source->why, sizeof(source->why), "others may write the file, so nobody would map it");
		r = -EACCES;
	} else {
		r = sea_region_new(&source->region, session, &options);
		if (r < 0)
			snprintf(source->why, sizeof(source->why), "the file cannot be mapped: %s", sea_error_text(r));
	}
	return mode == REPLAY_MAP ? r : 0;
}

void replay_source_stop_mapping(struct replay_source *source, const char *why)
{
	source->region = sea_region_close(source->region, NULL);
	snprintf(source->why, sizeof(source->why), "%s", why);
}

void replay_source_fini(struct replay_source *source)
{
	source->region = sea_region_close(source->region, NULL);
}

/* A block over the file. -EAGAIN: as many are out as may be. */
static int source_block(struct replay_source *source, uint8_t *data, size_t n_bytes, uint64_t number,
                        struct sea_message **ret_message)
{
	struct sea_region_block released[N_TAKEN_AT_ONCE];
	int r = sea_message_new_in_region(ret_message, source->region, data, n_bytes, number);

	if (r != -ENOMEM)
		return r;
	/* What came back is of no interest, but it has to be taken. */
	while (sea_region_take_released(source->region, released, N_TAKEN_AT_ONCE) > 0)
		;
	r = sea_message_new_in_region(ret_message, source->region, data, n_bytes, number);
	return r == -ENOMEM ? -EAGAIN : r;
}

/* A message over the file: its parts as pieces of one block, however many they are. */
static int source_map(struct replay_source *source, const struct recording_message *recorded,
                      struct sea_message **ret_message)
{
	uint8_t *base = sea_region_data(source->region);
	uint64_t end = recorded->offset + recorded->head.n_bytes, at = recorded->first;
	/* No part is copied for being small: its neighbours are sent as well. */
	struct sea_frame_options options = { .n_parts_hint = recorded->head.n_parts, .copy_below_n_bytes = 1 };
	struct sea_message *block;
	struct sea_frame *frame = NULL;
	int r;

	if (recorded->head.n_parts == 1 && recorded->sizes[0])
		return source_block(source, base + at, recorded->sizes[0], recorded->head.number, ret_message);
	r = source_block(source, base + at, end - at, recorded->head.number, &block);
	if (r < 0)
		return r;
	r = sea_frame_new(&frame, sea_session_heap(source->session), &options, WAIT_NS);
	for (uint32_t i = 0; i < recorded->head.n_parts && r >= 0; i++) {
		at = recording_place(at, recorded->sizes[i]);
		r = sea_frame_add_piece_of(frame, block, 0, recorded->sizes[i] ? at - recorded->first : 0,
		                           recorded->sizes[i]);
		at += recorded->sizes[i];
	}
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_message);
	sea_frame_free(frame);
	sea_message_unref(block);
	return r < 0 ? r : 0;
}

/* Where the bytes of a copy come from: the file, or a message. */
struct source_parts {
	uint32_t n;
	const uint64_t *sizes;             /* in the file */
	uint64_t first;                    /* where the first lies there */
	const struct sea_message *message; /* else */
};

static int parts_size(const struct source_parts *parts, uint32_t index, size_t *ret_n_bytes)
{
	struct sea_part part = { NULL, 0 };
	int r = 0;

	if (parts->message)
		r = sea_message_get_part(parts->message, index, &part);
	*ret_n_bytes = parts->message ? part.n_bytes : (size_t)parts->sizes[index];
	return r;
}

static int parts_fill(struct replay_source *source, const struct source_parts *parts, uint32_t index, uint64_t at,
                      void *data, size_t n_bytes)
{
	struct sea_part part;
	int r;

	if (!parts->message)
		return recording_read_bytes(source->recording, at, data, n_bytes);
	r = sea_message_get_part(parts->message, index, &part);
	if (r == 0 && part.n_bytes == n_bytes && n_bytes)
		memcpy(data, part.data, n_bytes);
	return r;
}

/* A message of one part needs no frame. */
static int source_copy_one(struct replay_source *source, const struct source_parts *parts,
                           struct sea_message **ret_message)
{
	struct sea_message *message;
	size_t n_bytes;
	int r = parts_size(parts, 0, &n_bytes);

	if (r == 0)
		r = sea_message_new(&message, sea_session_heap(source->session), n_bytes, 0, WAIT_NS);
	if (r < 0)
		return r;
	if (n_bytes)
		r = parts_fill(source, parts, 0, parts->first, sea_message_write(message), n_bytes);
	if (r < 0)
		sea_message_unref(message);
	else
		*ret_message = message;
	return r;
}

static int source_copy(struct replay_source *source, const struct source_parts *parts, struct sea_message **ret_message)
{
	struct sea_frame_options options = { .n_parts_hint = parts->n };
	struct sea_frame *frame = NULL;
	uint64_t at = parts->first;
	size_t n_bytes;
	int r = 0;

	if (parts->n == 1)
		return source_copy_one(source, parts, ret_message);
	for (uint32_t i = 0; i < parts->n && r == 0; i++) {
		r = parts_size(parts, i, &n_bytes);
		options.n_bytes_max[0] = recording_place(options.n_bytes_max[0], 1) + n_bytes;
	}
	if (r == 0)
		r = sea_frame_new(&frame, sea_session_heap(source->session), &options, WAIT_NS);
	for (uint32_t i = 0; i < parts->n && r >= 0; i++) {
		void *data = NULL;

		r = parts_size(parts, i, &n_bytes);
		if (r == 0)
			r = sea_frame_add(frame, n_bytes, 0, &data);
		at = recording_place(at, n_bytes);
		if (r >= 0 && n_bytes)
			r = parts_fill(source, parts, i, at, data, n_bytes);
		at += n_bytes;
	}
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_message);
	sea_frame_free(frame);
	return r < 0 ? r : 0;
}

/* The kernel reads what comes next while this is on its way. */
static void source_advise(struct replay_source *source, const struct recording_message *recorded)
{
	uint64_t want = recorded->offset + recorded->head.n_bytes + AHEAD_N_BYTES;

	if (recorded->offset + recorded->head.n_bytes + AHEAD_N_BYTES + AHEAD_STEP_N_BYTES < source->advised_end)
		source->advised_end = recorded->offset; /* it begins anew */
	if (want < source->advised_end + AHEAD_STEP_N_BYTES)
		return;
	if (source->advised_end < recorded->offset)
		source->advised_end = recorded->offset;
	(void)posix_fadvise(source->recording->fd, (off_t)source->advised_end, (off_t)(want - source->advised_end),
	                    POSIX_FADV_WILLNEED);
	source->advised_end = want;
}

int replay_source_make(struct replay_source *source, uint64_t number, struct sea_message **ret_message,
                       uint64_t *ret_n_bytes)
{
	struct recording_message recorded;
	struct sea_message *message = NULL;
	int r = recording_read(source->recording, number, &recorded);

	if (r < 0)
		return r;
	source_advise(source, &recorded);
	if (source->checks) {
		r = recording_check_payload(source->recording, &recorded);
		if (r < 0)
			return r;
	}
	/* Without bytes there is nothing to map. */
	if (source->region && recorded.head.n_payload_bytes) {
		r = source_map(source, &recorded, &message);
		source->n_mapped += r == 0;
	} else {
		const struct source_parts parts = { recorded.head.n_parts, recorded.sizes, recorded.first, NULL };

		r = source_copy(source, &parts, &message);
		source->n_copied += r == 0 && recorded.head.n_payload_bytes;
	}
	if (r < 0)
		return r;
	sea_message_set_tag(message, recorded.head.tag);
	*ret_message = message;
	*ret_n_bytes = recorded.head.n_payload_bytes;
	return 0;
}

int replay_source_copy(struct replay_source *source, const struct sea_message *message, struct sea_message **ret_copy)
{
	const struct source_parts parts = { .n = (uint32_t)sea_message_n_parts(message), .message = message };
	int r = source_copy(source, &parts, ret_copy);

	if (r < 0)
		return r;
	sea_message_set_tag(*ret_copy, sea_message_get_tag(message));
	source->n_copied++;
	source->n_mapped -= source->n_mapped > 0;
	return 0;
}
