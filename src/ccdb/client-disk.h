/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder in which processes keep objects for each other and for later: DIR/sealane-ccdb-1/<MD5 of the path>/<MD5 of the uuid>, one file per
 * version, content and headers, checked by XXH3.
 *
 * A file appears whole, by link() of one without a name, and never changes; so that readers take no lock, a process killed at any
 * instruction leaves nothing but whole files, and a file that is not whole was damaged and goes. Only making room takes a lock
 * (flock), which ends with its process.
 */
#ifndef SEALANE_CCDB_CLIENT_DISK_H
#define SEALANE_CCDB_CLIENT_DISK_H

#include "ccdb/client-object.h"

struct seai_disk;

/* Makes the folder where it is not there. 0; -errno, -ENOTDIR with an error for the key disk_dir. */
int seai_disk_open(struct seai_disk **ret_disk, const char *dir, uint64_t n_bytes_max, struct sea_error *error);
struct seai_disk *seai_disk_close(struct seai_disk *disk);

/* The newest created of the versions of a path that are here, valid at t, and created within bounds. 0; -ENOENT. */
int seai_disk_find(struct seai_disk *disk, const char *path, int64_t t_ms, int64_t not_before_ms, int64_t not_after_ms,
                   struct sea_ccdb_version *ret_version);

/* A file that is open. */
struct seai_disk_file {
	int fd; /* -1: none */
	size_t n_content;
	uint64_t content_at;
	uint64_t content_hash;
	struct seai_headers headers;
	struct seai_disk *disk;
	char name[72];
};

#define SEAI_AUTO_DISK_FILE SEAI_CLEANUP(seai_disk_file_close)
void seai_disk_file_close(struct seai_disk_file *file);

/* Opens a version and reads its headers. 0; -ENOENT, also where it was damaged; it is gone then. */
int seai_disk_file_open(struct seai_disk_file *ret_file, struct seai_disk *disk, const char *path, const char *uuid);

/* Reads its content, which has room for n_content bytes. 0; -EBADMSG damaged: it is gone, and what was read is no content. */
int seai_disk_file_read(struct seai_disk_file *file, void *content);

/* Keeps a version, and drops old ones where they are too many. What does not work is not kept: 0 or -errno, for the log. */
int seai_disk_store(struct seai_disk *disk, const struct sea_ccdb_object *object, const void *content);

/* How many files were found damaged. */
uint64_t seai_disk_n_damaged(const struct seai_disk *disk);

#endif
