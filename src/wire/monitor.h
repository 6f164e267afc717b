/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watcher's side: looking into sessions without being in one. It needs no lock, no heap and no service thread; it is in
 * this layer because status.c and directory.c write what it reads.
 */
#ifndef SEALANE_WIRE_MONITOR_H
#define SEALANE_WIRE_MONITOR_H

#include <stdbool.h>

#include <sealane/monitor.h>

#include "wire/wire.h"

/* More entries of one kind than this are not an honest file. */
#define SEAI_MONITOR_N_MAX ((size_t)1 << 20)

/* Puts what a status file says into a snapshot; the process is one of its. Anything may stand in the text. 0; -EBADMSG not whole; -ENOMEM. */
int seai_monitor_parse(struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process, const char *text,
                       size_t n_bytes);

/* One more item at the end of an array, zeroed; NULL: no memory, or too many. */
void *seai_monitor_grow(void *pointer_to_array, size_t *n_items, size_t item_n_bytes);

/* Copies what is printable ASCII, anything else as '?'. */
void seai_monitor_copy(char *to, size_t n_to, const char *from, size_t n_from);

/* Where sessions are, as a session finds it: 0; -ENAMETOOLONG. */
int seai_directory_find_base(const char *chosen, char base[768]);

#endif
