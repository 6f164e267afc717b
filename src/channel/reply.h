/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and replies; see reply.c. All on the channel's thread; they send and receive one message a call. */
#ifndef SEALANE_CHANNEL_REPLY_H
#define SEALANE_CHANNEL_REPLY_H

#include "channel/channel.h"

/* Errors of sea_channel_send(), sea_channel_receive(). A request while another is out gives that one up. */
int seai_req_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns);
int seai_req_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns);
int seai_rep_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns);
int seai_rep_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns);

/* The link whose turn it was is let go. */
void seai_turn_lost(struct sea_channel *channel);

/* receive.c: takes up to n_max messages of one link. How many; 0; -EAGAIN; errors of sea_channel_receive(). */
int seai_receive_from_link(struct sea_channel *channel, struct seai_link *link, struct sea_message **messages,
                           size_t n_max);
/* receive.c: from whichever has some. */
int seai_receive_any(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns);

#endif
