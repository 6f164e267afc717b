/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status file of a process, p-<id>.status: lines of text that its service thread writes once a second, for those
 * who watch. Nobody who watches asks the process anything, and no other thread writes anything for it.
 *
 * First line "sealane-status 1 N", last line "end N": a reader that finds two different numbers, or none at the end, reads
 * again. A process that is killed in between leaves such a file, and a full disk as well; both cost the watcher and nobody else.
 */
#ifndef SEALANE_WIRE_STATUS_H
#define SEALANE_WIRE_STATUS_H

#include <stdint.h>

struct seai_status;
struct seai_wire;

#define SEAI_STATUS_VERSION 1
/* Larger than any file that an honest process writes. */
#define SEAI_STATUS_N_BYTES_MAX ((size_t)1 << 20)

int seai_status_new(struct seai_status **ret_status);
struct seai_status *seai_status_free(struct seai_status *status);

/* What is known before the service thread runs: pid and name. 0 or the error of the write: then there is no session. */
int seai_status_write_first(struct seai_wire *wire);

/* Service thread, no locks: the heartbeat, if it is due. Returns in how many ns it is due again. */
int64_t seai_status_beat(struct seai_wire *wire);

/* Wants it written at once. Any thread, any lock. */
void seai_status_want(struct seai_wire *wire);
/* The heartbeat goes on: something happens again. Any thread, no lock. */
void seai_status_wake(struct seai_wire *wire);

#endif
