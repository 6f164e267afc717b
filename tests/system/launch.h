/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane run` as a process of a test: a topology in the test's folder, its two outputs in files. The devices are the test
 * program itself: with $ROLE set it plays a device instead of running tests, so that a device does exactly what a test
 * needs, at the moment that it needs it; see launch-device.c.
 */
#ifndef SEALANE_TESTS_SYSTEM_LAUNCH_H
#define SEALANE_TESTS_SYSTEM_LAUNCH_H

#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "test.h"

/* Plays $ROLE and ends; returns where there is none. */
void launch_play_device(int argc, char **argv);

/* Each test program whose devices are itself says this once. */
#define LAUNCH_PLAYS_DEVICES                                                               \
	__attribute__((constructor)) static void launch_constructor(int argc, char **argv) \
	{                                                                                  \
		launch_play_device(argc, argv);                                            \
	}

/* A file of this test. One of eight static buffers. */
char *launch_path(const char *name);
void launch_write_file(const char *name, mode_t mode, const char *text);
/* What stands in a file so far. One of four static buffers. */
const char *launch_read_file(const char *name);
/* How often it stands there. */
unsigned launch_count(const char *text, const char *what);

#define OUT launch_read_file("out")
#define ERR launch_read_file("err")
#define NOTES launch_read_file("notes")
#define CHECK_HAS(text, what)                                       \
	do {                                                        \
		const char *text_ = (text);                         \
		if (!strstr(text_, what))                           \
			FAIL("no '%s' in: %.4000s", (what), text_); \
	} while (0)
#define CHECK_LACKS(text, what)                                           \
	do {                                                              \
		const char *text_ = (text);                               \
		if (strstr(text_, what))                                  \
			FAIL("there is '%s' in: %.4000s", (what), text_); \
	} while (0)

/* The number behind a word and an id in the notes of the devices; waits until it is there. */
pid_t launch_noted_pid(const char *word, const char *id);
/* A dead one that nobody has asked about does not run: who asks may be the test runner, later. */
bool launch_is_running(pid_t pid);

/* One device: a role, and more members of the JSON object, or "". */
struct launch_device {
	const char *id, *role, *more;
};

/* Writes t.json. */
void launch_write_topology(const struct launch_device *devices);

#define TOPOLOGY(...) launch_write_topology((const struct launch_device[]){ __VA_ARGS__, { 0 } })

#define PUSH_BIND(name, address)                                                                                    \
	"{\"name\": \"" name "\", \"sockets\": [{\"type\": \"push\", \"method\": \"bind\", \"address\": \"" address \
	"\"}]}"
#define PULL_CONNECT(name, address)                                                                                    \
	"{\"name\": \"" name "\", \"sockets\": [{\"type\": \"pull\", \"method\": \"connect\", \"address\": \"" address \
	"\"}]}"

/* Starts it with its outputs in files. @param out_fd its standard output instead; -1: the file */
pid_t launch_to(int out_fd, const char *const *arguments);
pid_t launch(const char *const *arguments);

#define START(...) launch((const char *const[]){ launch_path("t.json"), __VA_ARGS__ __VA_OPT__(, ) NULL })
#define RUN(...) test_wait(START(__VA_ARGS__))

#endif
