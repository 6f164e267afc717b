/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing recordings; the format is in recording.h.
 *
 * The odd rule: after any failure what was written ends with a whole record. Parts go from where they lie to the file, without a copy in
 * between.
 */
#ifndef SEALANE_TOOLS_RECORDING_WRITER_H
#define SEALANE_TOOLS_RECORDING_WRITER_H

#include <sys/uio.h>

#include "recording.h"

struct sea_message;

struct recording_writer {
	int fd;
	struct recording_header header;
	uint64_t n_bytes;      /* of all whole records, header included */
	uint64_t n_file_bytes; /* with the index, once it is there */
	uint64_t n_messages;
	uint64_t n_payload_bytes;
	int64_t last_ns;
	/* private */
	void *hash; /* XXH3_state_t, whose name depends on how its header is included */
	uint64_t *offsets;
	uint64_t n_offsets_max;
	uint8_t *heads; /* of the messages of one call */
	size_t n_heads, n_heads_max;
	struct iovec *vectors;
	size_t n_vectors, n_vectors_max;
	struct recording_pending {
		uint64_t end, n_payload_bytes;
		int64_t time_ns;
	} * pending; /* messages that the vectors have */
	size_t n_pending, n_pending_max;
};

/*
 * Makes the file and writes its header. id, flags, texts and start are the caller's. 0 or -errno; -EEXIST the file is there and is not to be
 * replaced. fini() in any case.
 */
int recording_writer_open(struct recording_writer *writer, const char *path, bool replaces,
                          const struct recording_header *header);

/*
 * Writes messages, received at time_ns since the start, and releases none. 0; -EBADMSG one of them has a part outside of its memory: those before it are
 * written; or -errno: those that are counted in n_messages are written whole, and nothing of the others.
 */
int recording_writer_add(struct recording_writer *writer, struct sea_message *const *messages, size_t n_messages,
                         int64_t time_ns);

/* Writes index and trailer. 0, or -errno: the file ends with its last whole record, and can be read all the same. */
int recording_writer_finish(struct recording_writer *writer);
void recording_writer_fini(struct recording_writer *writer);

#endif
