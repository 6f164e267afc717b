/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages out of a recording: over the file itself, which is a region that nobody can write, or copied into sealed memory.
 *
 * The odd rule: the file is mapped for receivers, never looked at through the mapping here, so that a file that somebody cuts is an
 * error for this process. (Not for receivers: that is why they have to trust files.)
 */
#ifndef SEALANE_TOOLS_REPLAY_SOURCE_H
#define SEALANE_TOOLS_REPLAY_SOURCE_H

#include <sealane/sealane.h>

#include "recording.h"

enum replay_mode {
	REPLAY_AUTO, /* mapped where that is possible */
	REPLAY_MAP,
	REPLAY_COPY,
};

struct replay_source {
	struct sea_session *session;
	struct recording *recording;
	struct sea_region *region; /* NULL: messages are copied */
	char why[256];             /* why they are, if that was not asked for */
	bool checks;               /* compares the payload with its checksum before it is sent */
	uint64_t n_mapped, n_copied;
	uint64_t advised_end; /* the kernel was told up to here what is needed next */
};

/* 0; -errno the file was to be mapped and cannot be: why says it. fini() in any case, after the channel's last message is gone. */
int replay_source_init(struct replay_source *source, struct sea_session *session, struct recording *recording,
                       enum replay_mode mode);
void replay_source_fini(struct replay_source *source);

/* From here on messages are copied. */
void replay_source_stop_mapping(struct replay_source *source, const char *why);

/* Makes a message of the recording. 0; -EAGAIN, -ETIMEDOUT too many are with receivers; -EINTR; -EBADMSG, said in recording->error; -E2BIG, -ENOMEM; else -errno of the file, said there. */
int replay_source_make(struct replay_source *source, uint64_t number, struct sea_message **ret_message,
                       uint64_t *ret_n_bytes);

/* The same bytes once more in sealed memory: for a receiver that must not be given the file. 0; -ETIMEDOUT, -EINTR, -ENOMEM, -E2BIG. */
int replay_source_copy(struct replay_source *source, const struct sea_message *message, struct sea_message **ret_copy);

#endif
