/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands behind a channel that is not over shared memory. Such a channel has the same object; its rings and links are unused, and the
 * calls of channel.h come here. All on the channel's thread unless said otherwise; no lock is held. Sending and receiving come by
 * send_special and receive_special of the channel.
 */
#ifndef SEALANE_CHANNEL_TRANSPORT_H
#define SEALANE_CHANNEL_TRANSPORT_H

#include "channel/channel.h"

struct seai_transport {
	/* Ends what open made. */
	void (*close)(struct sea_channel *channel);
	/* 0; -EINVAL; -EADDRINUSE; -EACCES; -ENODEV no such host or interface. */
	int (*bind)(struct sea_channel *channel, const char *address);
	/* Of the last bind; NULL. */
	const char *(*address)(struct sea_channel *channel);
	/* 0; -EINVAL. */
	int (*connect)(struct sea_channel *channel, const char *address);
	/* As sea_channel_wait_peers(). */
	int (*wait_peers)(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns);
	/* Level-triggered, as sea_channel_fd(). */
	int (*fd)(struct sea_channel *channel);
	/* Which of SEA_POLL_IN, SEA_POLL_OUT can be done now; must_arm: where none can, the descriptor is made to tell. */
	uint32_t (*look)(struct sea_channel *channel, uint32_t events, bool must_arm);
	/* 0; -ENOENT. */
	int (*subscribe)(struct sea_channel *channel, const void *prefix, size_t n_bytes, bool is_added);
	/* Peers connected. Any thread. */
	unsigned (*n_peers)(struct sea_channel *channel);
};

/* Makes a channel one over libzmq. 0; -ENOTSUP no libzmq here; -EMFILE; -ENOMEM. */
int seai_zeromq_open(struct sea_channel *channel, const struct sea_channel_options *options);

#endif
