/* SPDX-License-Identifier: Apache-2.0 */
/* A client and the scripted server that it asks: what most tests of the client begin and end with. */
#ifndef SEALANE_TESTS_CCDB_ASKING_H
#define SEALANE_TESTS_CCDB_ASKING_H

#include <sealane/ccdb/ccdb.h>

#include "script.h"
#include "test.h"

/* A hang fails; nothing else depends on it. */
#define ASKING_PATIENCE_NS INT64_C(30000000000)

struct asking {
	struct script script;
	struct sea_ccdb_client *client;
	struct sea_ccdb_result result; /* of the last asking_get() */
};

/* Starts the server, and a client of it that waits hardly at all before it tries again. */
void asking_start(struct asking *asking, script_fn function, void *arg);
void asking_stop(struct asking *asking);
/* Gives the last result back, asks and waits for the next. @param error may be NULL */
void asking_get(struct asking *asking, const struct sea_ccdb_query *query, struct sea_error *error);

/* The same for who has several servers or clients. */
struct sea_ccdb_client *asking_client(const char *url);
void asking_wait(struct sea_ccdb_client *client, const struct sea_ccdb_query *query, struct sea_ccdb_result *ret_result,
                 struct sea_error *error);

/* A script_fn: an object of five bytes, "hello", version 7, valid from 1000 to 2000, whatever is asked for. */
bool asking_say_object(int fd, const struct script_request *request, void *arg);

#endif
