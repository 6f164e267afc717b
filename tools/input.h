/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding real files: lists what lies below paths, sorted, so that two runs over the same files see
 * the same order. Symbolic links and special files below a path are counted, never followed;
 * a path given by the user may itself be a symbolic link.
 *
 * Sizes in the list are what the file system said while listing: a hint, for files change.
 */
#ifndef SEALANE_TOOLS_INPUT_H
#define SEALANE_TOOLS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input_file {
	char *path;       /* how this process opens it */
	const char *name; /* within path: its name relative to what holds the path that the user gave */
	uint64_t n_bytes;
	uint32_t folder; /* serial number of the folder it lies in; files of one folder stand together */
	bool is_folder;
};

struct input_list {
	struct input_file *files;
	size_t n_files; /* folders included */
	size_t n_files_max;
	size_t n_folders;
	size_t n_left_out; /* symbolic links and special files */
	uint64_t n_bytes;
};

/* Which files to take; folders are entered in any case. */
enum input_filter {
	INPUT_ALL,
	INPUT_LIBRARIES, /* regular files named *.so or *.so.*, not empty, and no folders in the list */
	INPUT_NOT_EMPTY, /* regular files with content, and no folders in the list */
};

/* Told of each path that cannot be listed; the listing goes on. error is a positive errno. */
typedef void (*input_error_fn)(const char *path, int error, void *userdata);

/*
 * Adds what lies at and below a path.
 * Returns 0, also when something was reported to on_error; -ENOMEM.
 */
int input_list_add(struct input_list *list, const char *path, enum input_filter filter, input_error_fn on_error,
                   void *userdata);

/* Drops all entries; the storage of the list itself is the caller's. */
void input_list_fini(struct input_list *list);

#endif
