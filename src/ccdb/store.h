/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a store:
 *
 *	index.sqlite     the index, in WAL mode
 *	data/ab/NAME     contents; NAME is MD5-SIZE, with -1, -2, ... where different bytes have the same hash
 *	tmp/NAME         uploads under way, each locked (flock) by the process that writes it: one that is not locked is dead
 *	lock             held shared from before a content is put into its place until its row is there, exclusively to remove contents
 *
 * Contents are compared byte by byte before two objects share one, so a forged MD5 gains nothing.
 */
#ifndef SEALANE_CCDB_STORE_PRIVATE_H
#define SEALANE_CCDB_STORE_PRIVATE_H

#include <pthread.h>
#include <stdbool.h>

#include <sealane/ccdb/store.h>

#include "ccdb/index.h"

struct sea_ccdb_store {
	int dir_fd;
	char *directory;
	char *index_file;
	bool read_only;
	bool no_sync;
	pthread_mutex_t lock; /* for free_indexes */
	struct seai_index *free_indexes;
};

/* A connection for this thread, until it is given back. */
int seai_store_take(struct sea_ccdb_store *store, struct seai_index **ret_index);
void seai_store_give(struct sea_ccdb_store *store, struct seai_index *index);

/* A connection that goes back by itself; a transaction that is not committed is rolled back. */
struct seai_store_use {
	struct sea_ccdb_store *store;
	struct seai_index *index;
};
static inline void seai_cleanup_use(const struct seai_store_use *use)
{
	if (use->index)
		seai_store_give(use->store, use->index);
}
#define SEAI_STORE_USE(name, of_store) SEAI_CLEANUP(seai_cleanup_use) struct seai_store_use name = { (of_store), NULL }

/* Takes the lock on contents (LOCK_SH, LOCK_EX, with LOCK_NB). @return a descriptor whose closing releases it; negative errno */
int seai_store_lock(const struct sea_ccdb_store *store, int how);

/* Finds the match of a query in an open transaction, and no cache_valid_until_ms. */
int seai_store_match(struct seai_index *index, const struct sea_ccdb_store_query *query,
                     struct sea_ccdb_entry **ret_entry);

/* The path of a content below the folder. */
#define SEAI_CONTENT_N_BYTES 96
void seai_store_content_path(const char *content, char ret_path[static SEAI_CONTENT_N_BYTES]);
/* The name of a content: its hash, its length, and which of those with both. */
void seai_store_content_name(const char *md5, uint64_t n_bytes, unsigned number,
                             char ret_name[static SEAI_CONTENT_N_BYTES]);

/* Milliseconds since 1970. */
int64_t seai_store_now_ms(void);

#endif
