/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of objects, for its two files; see client-disk.h. */
#ifndef SEALANE_CCDB_CLIENT_DISK_ROOM_H
#define SEALANE_CCDB_CLIENT_DISK_ROOM_H

#include <stdint.h>
#include <sys/types.h>

struct seai_disk {
	int fd;      /* DIR/sealane-ccdb-1 */
	uid_t owner; /* of it: whose files are taken, besides this user's */
	uint64_t n_bytes_max;
	uint64_t n_written; /* since it was looked how much is there */
	uint64_t n_damaged;
	unsigned n_temporaries;
};

/* Removes the files used longest ago until the rest takes nine tenths of what is allowed, and what killed processes left. Skipped where another
 * process is at it. */
void seai_disk_make_room(struct seai_disk *disk);

#endif
