/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What record, replay and tap have in common: a session, channels by pattern and address, and the signals that end them.
 *
 * An address that begins with @ is bound, one that begins with + or > is connected to, as in FairMQ's configurations; without
 * either the command's own way is taken.
 */
#ifndef SEALANE_TOOLS_ENDPOINT_H
#define SEALANE_TOOLS_ENDPOINT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <sealane/sealane.h>

#include "options.h"

#define MS_NS INT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

/* A waiting call returns this often, to look around. */
#define ENDPOINT_LOOK_NS (100 * MS_NS)

/* What a pattern is called on command lines, and what it can do for these commands. */
struct endpoint_pattern {
	const char *name;
	enum sea_pattern pattern;
	bool can_send, can_receive;
};

/* The signal that asks for the end; 0: none yet. */
extern volatile sig_atomic_t endpoint_stop_signal;

/* The pattern of an option's value; NULL: said what it may be, and set the exit code. */
const struct endpoint_pattern *endpoint_pattern_find(struct options *options, bool sends);

/* Opens a session, or says why not. `session` NULL: as the environment says. 0 or -errno. */
int endpoint_session_open(struct sea_session **ret_session, const char *command, const char *session,
                          struct sea_session_options *options, const struct sea_shm_options *shm);

/* The name of the session that was opened with these options. */
const char *endpoint_session_name(const struct sea_session_options *options);

/* Whether an address is a host's, for libzmq; all others are names in the session. */
bool endpoint_is_remote(const char *address);

/* What a channel is to be. */
struct endpoint {
	enum sea_pattern pattern;
	const char *address;
	bool binds; /* where the address does not say */
	struct sea_channel_options options;
	const char *const *prefixes; /* of a subscriber; none: everything */
	size_t n_prefixes;
};

/* Makes a channel, binds or connects it, or says why not; signals interrupt its waiting calls from here on. 0 or -errno. */
int endpoint_channel_open(struct sea_channel **ret_channel, struct sea_session *session, const char *command,
                          const struct endpoint *endpoint);

/* SIGINT and SIGTERM set endpoint_stop_signal. 0 or -errno, said. */
int endpoint_catch_signals(const char *command);

/* Closes channels, and then no signal reaches for them. @param channels NULL entries are allowed */
void endpoint_channels_close(struct sea_channel **channels, unsigned n_channels);

/* Whether a waiting call ended without having failed: look around, and call again. */
bool endpoint_is_again(int r);

int64_t endpoint_now_ns(void);

#endif
