/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions and channels for tests. Several sessions in one process are peers like any others, each with
 * its own identity, service thread and mappings, so most tests need no second process.
 */
#ifndef SEALANE_TEST_CHANNEL_PEERS_H
#define SEALANE_TEST_CHANNEL_PEERS_H

#include <sealane/sealane.h>

#include "test.h"

/* Milliseconds for timeouts that must not be reached, or that must be. */
#define PEERS_LONG_NS INT64_C(20000000000)
#define PEERS_SHORT_NS INT64_C(20000000)

struct sea_session *peers_open(void);

/* A channel with these orphans and buffers, the rest as by default. */
struct sea_channel *peers_channel(struct sea_session *session, enum sea_pattern pattern, enum sea_orphans orphans,
                                  int32_t buf);
struct sea_channel *peers_bind(struct sea_session *session, enum sea_pattern pattern, const char *address);
struct sea_channel *peers_connect(struct sea_session *session, enum sea_pattern pattern, const char *address);
/* A channel over ZeroMQ; the test is skipped where there is no libzmq. */
struct sea_channel *peers_zeromq(struct sea_session *session, enum sea_pattern pattern, const char *address,
                                 bool binds);
void peers_wait(struct sea_channel *channel, unsigned n_peers);

/* A message of one part whose bytes follow from n. */
struct sea_message *peers_message(struct sea_session *session, size_t n_bytes, uint64_t n);
void peers_fill(void *data, size_t n_bytes, uint64_t n);
void peers_check(const void *data, size_t n_bytes, uint64_t n);
/* One part of it, with size. */
void peers_check_part(const struct sea_message *message, size_t index, size_t n_bytes, uint64_t n);

/* These fail on any error and wait long. */
void peers_send(struct sea_channel *channel, struct sea_message *message);
struct sea_message *peers_receive(struct sea_channel *channel);

/* Adds a part with those bytes. */
void peers_add(struct sea_frame *frame, unsigned layout_class, size_t n_bytes, uint64_t n);
struct sea_frame *peers_frame(struct sea_session *session, uint64_t n_bytes_max);
struct sea_message *peers_seal(struct sea_frame *frame);

/* Bytes in use in the session's own heap, after all that others have written was read. */
uint64_t peers_n_bytes_used(struct sea_session *session);
/* Waits until nobody holds anything of it. */
void peers_wait_unused(struct sea_session *session);
struct sea_session_stats peers_stats(struct sea_session *session);
struct sea_channel_stats peers_channel_stats(struct sea_channel *channel);

#endif
