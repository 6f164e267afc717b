/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where `sealane recv` puts files: below one folder and nowhere else. Names come from
 * another process. Every folder on the way is opened step by step without following symbolic links,
 * files are written under a temporary name and take their own by rename() when they are whole, so that
 * a link or file of that name is replaced and never written through.
 */
#ifndef SEALANE_TOOLS_RECV_STORE_H
#define SEALANE_TOOLS_RECV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_folder {
	char *name;
	uint32_t mode;
	int64_t mtime_s;
	uint32_t mtime_ns;
};

struct store {
	int root_fd; /* -1: nothing is stored */
	uint64_t stream_id;

	/* The file being written. */
	int fd; /* -1: none */
	int parent_fd;
	char temporary[64];
	char base[256];

	/* Modes and times of folders, set last: a folder may forbid writing in it. */
	struct store_folder *folders;
	size_t n_folders, n_folders_max;
};

void store_init(struct store *store);

/* Opens the folder, making it where it is missing. Returns 0 or a negative errno. */
int store_open(struct store *store, const char *path);

/* Removes a file that is not whole, and closes. Any state. */
void store_fini(struct store *store);

/*
 * Begins a file. name was checked by stream_name_is_safe() and is terminated.
 * Returns 0; -ELOOP, -ENOTDIR something on the way is no folder; another negative errno.
 */
int store_file_begin(struct store *store, const char *name, uint64_t number);
int store_file_write(struct store *store, const void *data, size_t n_bytes);
/* Gives it mode, time and name. On failure it is gone. */
int store_file_end(struct store *store, uint32_t mode, int64_t mtime_s, uint32_t mtime_ns);
/* Removes what was written of it; nothing where none is begun. */
void store_file_abort(struct store *store);

/* Makes a folder, and keeps its mode and time for store_folders_end(). */
int store_folder_add(struct store *store, const char *name, uint32_t mode, int64_t mtime_s, uint32_t mtime_ns);
/* Returns 0 or the first error; ret_name is then the folder's name, borrowed. */
int store_folders_end(struct store *store, const char **ret_name);

#endif
