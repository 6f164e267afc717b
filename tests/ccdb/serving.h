/* SPDX-License-Identifier: Apache-2.0 */
/* A server in the test's own process, and a client that sends bytes as they are. */
#ifndef SEALANE_TEST_SERVING_H
#define SEALANE_TEST_SERVING_H

#include <sealane/ccdb/ccdb.h>
#include <stdbool.h>
#include <stddef.h>

#include "test.h"

struct serving {
	struct sea_ccdb_store *store;
	struct sea_ccdb_server *server;
};

/* A file of this test. One of four static buffers. */
char *serving_path(const char *name);
/* The folder of this test's store. */
const char *serving_directory(void);
/* NULL: the defaults, at any port. */
struct serving serving_start(const struct sea_ccdb_server_options *options);
void serving_stop(struct serving *serving);
/*
 * A port for a server that goes away and comes back: one that nobody is given for a connection meanwhile, as those above 32767 are; a client that goes on trying
 * could even reach itself there.
 */
unsigned serving_free_port(void);

struct reply {
	int status; /* 0: the server closed without an answer */
	char *head; /* of the last response, from the status line on */
	const char *body;
	size_t n_body;
	bool is_whole; /* as many bytes as Content-Length says */
	char *bytes;
};

/* A connection to a port of this machine; receives time out after a minute. */
int serving_connect(unsigned port);
/* Sends all of it. @return false the peer closed */
bool serving_send(int fd, const void *data, size_t n_bytes);
/* Sends bytes as they are, reads until the server closes. */
struct reply serving_raw(const struct serving *serving, const void *data, size_t n_bytes);
/* One request. headers: "Name: value\r\n...", or NULL. */
struct reply serving_ask(const struct serving *serving, const char *method, const char *url, const char *headers);
/* An upload as O2 sends it. */
struct reply serving_upload(const struct serving *serving, const char *url, const void *data, size_t n_bytes);
void reply_free(struct reply *reply);
#define AUTO_REPLY __attribute__((cleanup(reply_free))) struct reply

/* The value of the number-th header of that name, NULL: there are not so many. Valid until the next call. */
const char *reply_header(const struct reply *reply, const char *name, unsigned number);
/* A header that has to be there. */
const char *reply_must(const struct reply *reply, const char *name);

/* Puts an object straight into the store. @return its uuid, valid until the next call */
const char *serving_put(struct sea_ccdb_store *store, const char *path, int64_t from_ms, int64_t until_ms,
                        const char *data);

#endif
