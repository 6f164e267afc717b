/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calibration half of `sealane demo`: what is built only with libsealane-ccdb. A plan whose calibration is NULL runs without.
 *
 *	server     `sealane ccdb serve`, filled by `sealane ccdb import` before anything else begins
 *	reader     adds a key table to each timeframe: time and run of each row
 *	cache      pull "source" -> puts index, object table and objects in the key table's place -> push "tables"
 *	processor  pull "tables" -> finds the object of each row, reads each version's bytes once, says what it saw
 *	sink       asks the store about each ms of each path, and compares each row
 *
 * A message is then: head, parts of files, index table, object table, objects, struct demo_seen, mark. On its way to the cache:
 * head, key table, parts of files.
 */
#ifndef SEALANE_TOOLS_DEMO_CALIBRATION_H
#define SEALANE_TOOLS_DEMO_CALIBRATION_H

#include <sys/types.h>

#include "demo-timeline.h"
#include "demo.h"

#define DEMO_TABLES "tables"
/* Key tables that may wait for objects in the cache. */
#define DEMO_N_WAITING_MAX 4u

struct sea_error;
struct sea_table;

/* What the processes know of the server; filled in before they are started. */
struct demo_calibration {
	char directory[200];  /* of all of it, removed at the end */
	char store[220];      /* the server's folder */
	char url[64];         /* where it listens */
	int64_t not_after_ms; /* the cache takes what was created until then: all that was imported */
	uint64_t n_versions;  /* that were imported */
	uint64_t n_bytes;     /* of them */
	uint64_t n_files;     /* of the input, that they are pieces of */
	bool is_stale; /* after the import an object is replaced, of which the cache is not told: the demo must fail */
	pid_t server;  /* 0: none */
};

/* demo-server.c: all three are the coordinator's */

struct demo_run;

/* Makes the folder, starts the server and has it filled. 0; -ECANCELED a signal; -EIO, see the run's reason. */
int demo_server_start(struct demo_calibration *calibration, struct demo_run *run);
/* 0 it runs; -EIO it has ended, see the run's reason. */
int demo_server_check(struct demo_calibration *calibration, struct demo_run *run);
/* Ends the server and removes the folder. May be called at any time. */
void demo_server_stop(struct demo_calibration *calibration);

/* demo-keys.c: the reader's */

struct demo_keys;

/* 0; -ENOMEM. */
int demo_keys_new(struct demo_keys **ret_keys, const struct demo_plan *plan);
struct demo_keys *demo_keys_free(struct demo_keys *keys);
/* Most bytes that the table of a timeframe takes in a frame. */
uint64_t demo_keys_n_bytes(const struct demo_keys *keys, uint64_t timeframe);
/* Adds it as the next part. 0, or an error of the frame; -EIO, -ENOMEM of the writer. */
int demo_keys_add(struct demo_keys *keys, struct sea_frame *frame, uint64_t timeframe);

/* demo-cache.c: a process. Returns its exit status. */
int demo_cache_run(const struct demo_plan *plan, struct demo_shared *shared, unsigned slot);

/* demo-oracle.c: the sink's */

struct demo_oracle;

int demo_oracle_new(struct demo_oracle **ret_oracle, const struct demo_plan *plan, struct sea_error *error);
struct demo_oracle *demo_oracle_free(struct demo_oracle *oracle);
/*
 * Checks the table of a timeframe against the store, row by row, and against what its processor saw of it.
 * parts: all of the message's; first: the index table's. Counts go to the figures. 0; -EBADMSG something is wrong, the error says the first.
 */
int demo_oracle_check(struct demo_oracle *oracle, struct sea_message *message, const struct sea_part *parts,
                      size_t n_parts, size_t first, uint64_t timeframe, struct demo_tables *tables,
                      struct sea_error *error);

#endif
