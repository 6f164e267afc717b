/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watcher's side: looking into sessions without being in one. It needs no lock, no heap and no service thread; it is in
 * this layer because status.c and directory.c write what it reads.
 */
#ifndef SEALANE_WIRE_MONITOR_H
#define SEALANE_WIRE_MONITOR_H

#include <dirent.h>
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

/* monitor-directory.c; descriptors are the caller's. */

void seai_monitor_close_dir(DIR **dir);
/* Options that may be NULL become some. 0; -EINVAL. */
int seai_monitor_check(const struct sea_monitor_options **options);
/* Where all sessions are. A descriptor or an error. */
int seai_monitor_open_base(const struct sea_monitor_options *options);
/* The session's directory and its name. A descriptor or an error. */
int seai_monitor_open(const struct sea_monitor_options *options, const char **ret_name);
/* What is in a directory, from its beginning. 0; errors. */
int seai_monitor_open_list(int dir_fd, DIR **ret_dir);
/* The directory's lock; operation is LOCK_SH or LOCK_EX. A descriptor, or an error; -ENOENT: nobody was ever here. */
int seai_monitor_lock(int dir_fd, int operation);
/* Whether an entry of the directory is of a dead process. Directory lock held, exclusively for what is temporary. */
bool seai_monitor_is_leftover(int dir_fd, const char *name, bool is_exclusive);

/* Where sessions are, as a session finds it: 0; -ENAMETOOLONG. */
int seai_directory_find_base(const char *chosen, char base[768]);

#endif
