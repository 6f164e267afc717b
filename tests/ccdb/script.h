/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server that says what a test tells it to, byte by byte: a process of its own on a port of loopback, with a thread per connection.
 * Start it before anything that has threads or clients.
 */
#ifndef SEALANE_TESTS_CCDB_SCRIPT_H
#define SEALANE_TESTS_CCDB_SCRIPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SCRIPT_N_KEPT 64

struct script_request {
	unsigned i; /* so many came before it */
	char method[8];
	char target[1024];
	char text[8192]; /* all of its head */
};

/* Answers one request on fd. Returns whether the connection stays. */
typedef bool (*script_fn)(int fd, const struct script_request *request, void *arg);

/* What came, for the test to look at. */
struct script_log {
	_Atomic unsigned n;
	char texts[SCRIPT_N_KEPT][4096];
};

struct script {
	pid_t pid;
	int port;
	char url[40];
	struct script_log *log;
};

void script_start(struct script *script, script_fn function, void *arg);
void script_stop(struct script *script);

/* A port on which nobody listens, and nobody else will for now: fd is bound to it. */
int script_dead_port(int *ret_fd);

/* printf to a socket; false where the client is gone. */
bool script_say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool script_bytes(int fd, const void *bytes, size_t n_bytes);

/* The value of a request's header, the i-th of that name; "" where there is none. From one static buffer per call of the process. */
const char *script_header(const char *text, const char *name, unsigned i);

/* The time of a target "/a/b/c/123/..."; -1: none. */
int64_t script_time(const char *target);

/* A good answer with an object: 200 and everything. Returns true. */
bool script_object(int fd, const char *uuid, int64_t from, int64_t until, int64_t created, const char *content);

/* A uuid out of a number. One of eight static buffers. */
const char *script_uuid(unsigned number);

/* The MD5 of a string in hex. A static buffer. */
const char *script_md5(const void *bytes, size_t n_bytes);

#endif
