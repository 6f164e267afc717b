/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: the prefixes that a subscriber wants of what is published. They go over the control socket; the service
 * thread of the publisher keeps what was said, and gives its channel a whole new list with each change, which the channel's thread takes
 * over when it looks: no lock is on the way of a message.
 */
#ifndef SEALANE_WIRE_TOPICS_H
#define SEALANE_WIRE_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/link.h"

struct seai_topic {
	uint32_t n_bytes;
	uint32_t n; /* subscriptions to it */
	uint8_t bytes[SEAI_TOPIC_N_BYTES];
};

/* What a peer wants. Never changed once it is handed over. */
struct seai_topics {
	uint32_t n_topics;
	bool has_all; /* the empty prefix is among them */
	struct seai_topic topics[];
};

/* Of a subscriber's channel; tells its peers. 0; -ENOMEM; -ENOSPC too many. Control held. */
int seai_topics_add(struct seai_wire *wire, struct seai_endpoint *endpoint, const void *bytes, size_t n_bytes);
/* 0; -ENOENT it was not subscribed to. Control held. */
int seai_topics_remove(struct seai_wire *wire, struct seai_endpoint *endpoint, const void *bytes, size_t n_bytes);
/* A link of a subscriber is open: says all. */
void seai_topics_greet(struct seai_link *link);
/* What a subscriber said. false: it is malformed. */
bool seai_topics_on_topic(struct seai_conn *conn, const struct seai_control *control);
void seai_topics_free(struct seai_link *link);

/* The channel's thread takes over what is newer. Returns whether the peer's first list came with that. */
bool seai_topics_update(struct seai_link *link);

/* Whether the peer wants what begins with these bytes. Channel's thread. */
static inline bool seai_topics_match(const struct seai_topics *topics, const uint8_t *bytes, size_t n_bytes)
{
	if (!topics)
		return false;
	if (topics->has_all)
		return true;
	for (uint32_t i = 0; i < topics->n_topics; i++) {
		const struct seai_topic *topic = &topics->topics[i];

		if (topic->n_bytes <= n_bytes && bytes[0] == topic->bytes[0] &&
		    memcmp(bytes, topic->bytes, topic->n_bytes) == 0)
			return true;
	}
	return false;
}

#endif
