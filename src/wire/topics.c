/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions; see topics.h. Control lock held unless said otherwise. */
#include "wire/topics.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <sealane/channel.h>

#include "base/point.h"
#include "wire/endpoint.h"

static_assert(SEAI_TOPIC_N_BYTES == SEA_TOPIC_N_BYTES_MAX, "what can be subscribed to can be said");

/* More than anybody looks through for each message; a peer's memory is not ours to fill. */
#define TOPICS_N_MAX 1024u

/* Adds one to a list, or counts it once more. 0; -ENOMEM; -ENOSPC. */
static int list_add(struct seai_topic **topics, uint32_t *n_topics, uint32_t *n_max, const void *bytes, size_t n_bytes)
{
	for (uint32_t i = 0; i < *n_topics; i++)
		if ((*topics)[i].n_bytes == n_bytes && (!n_bytes || memcmp((*topics)[i].bytes, bytes, n_bytes) == 0)) {
			(*topics)[i].n++;
			return 0;
		}
	if (*n_topics == TOPICS_N_MAX)
		return -ENOSPC;
	if (*n_topics == *n_max) {
		uint32_t n = *n_max ? 2 * *n_max : 4;
		struct seai_topic *more = realloc(*topics, n * sizeof(*more));

		if (!more)
			return -ENOMEM;
		*topics = more;
		*n_max = n;
	}
	(*topics)[*n_topics] = (struct seai_topic){ .n_bytes = (uint32_t)n_bytes, .n = 1 };
	/* Of the empty prefix there may be no bytes. */
	if (n_bytes)
		memcpy((*topics)[*n_topics].bytes, bytes, n_bytes);
	(*n_topics)++;
	return 0;
}

/* 1: the last subscription to it went; 0: there are more; -ENOENT. */
static int list_remove(struct seai_topic *topics, uint32_t *n_topics, const void *bytes, size_t n_bytes)
{
	for (uint32_t i = 0; i < *n_topics; i++) {
		if (topics[i].n_bytes != n_bytes || (n_bytes && memcmp(topics[i].bytes, bytes, n_bytes) != 0))
			continue;
		if (--topics[i].n)
			return 0;
		topics[i] = topics[--*n_topics];
		return 1;
	}
	return -ENOENT;
}

static void topics_say(struct seai_link *link, uint32_t operation, const void *bytes, size_t n_bytes)
{
	struct seai_control control = { .type = SEAI_CONTROL_TOPIC };

	control.topic.link_id = link->id;
	control.topic.operation = operation;
	control.topic.n_bytes = (uint32_t)n_bytes;
	if (n_bytes)
		memcpy(control.topic.bytes, bytes, n_bytes);
	seai_control_send(link->conn, &control, NULL, 0);
}

static void topics_say_all(struct seai_wire *wire, const struct seai_endpoint *endpoint, uint32_t operation,
                           const void *bytes, size_t n_bytes)
{
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
		if (link->endpoint == endpoint &&
		    atomic_load_explicit(&link->state, memory_order_relaxed) == SEAI_LINK_OPEN)
			topics_say(link, operation, bytes, n_bytes);
}

int seai_topics_add(struct seai_wire *wire, struct seai_endpoint *endpoint, const void *bytes, size_t n_bytes)
{
	uint32_t n_before = endpoint->n_topics;
	int r = list_add(&endpoint->topics, &endpoint->n_topics, &endpoint->n_topics_max, bytes, n_bytes);

	if (r < 0)
		return r;
	if (endpoint->n_topics != n_before)
		topics_say_all(wire, endpoint, SEAI_TOPIC_ADD, bytes, n_bytes);
	return 0;
}

int seai_topics_remove(struct seai_wire *wire, struct seai_endpoint *endpoint, const void *bytes, size_t n_bytes)
{
	int r = list_remove(endpoint->topics, &endpoint->n_topics, bytes, n_bytes);

	if (r > 0)
		topics_say_all(wire, endpoint, SEAI_TOPIC_REMOVE, bytes, n_bytes);
	return r < 0 ? r : 0;
}

void seai_topics_greet(struct seai_link *link)
{
	const struct seai_endpoint *endpoint = link->endpoint;

	for (uint32_t i = 0; i < endpoint->n_topics; i++)
		topics_say(link, SEAI_TOPIC_ADD, endpoint->topics[i].bytes, endpoint->topics[i].n_bytes);
	SEAI_POINT("topics: said, not all of them");
	topics_say(link, SEAI_TOPIC_READY, NULL, 0);
}

/* Hands the whole list to the channel. */
static bool topics_hand_over(struct seai_link *link)
{
	struct seai_topics *topics = malloc(sizeof(*topics) + link->n_topics_said * sizeof(topics->topics[0]));

	if (!topics)
		return false;
	topics->n_topics = link->n_topics_said;
	topics->has_all = false;
	for (uint32_t i = 0; i < topics->n_topics; i++) {
		topics->topics[i] = link->topics_said[i];
		topics->has_all |= topics->topics[i].n_bytes == 0;
	}
	/* acq_rel: pairs with the channel's exchange, whichever of the two frees an older one */
	free(atomic_exchange_explicit(&link->topics_next, topics, memory_order_acq_rel));
	link->endpoint->wants_idle = true;
	link->endpoint->on_change(link->endpoint, link);
	return true;
}

bool seai_topics_on_topic(struct seai_conn *conn, const struct seai_control *control)
{
	const uint32_t n_bytes = control->topic.n_bytes;
	struct seai_link *link = seai_link_find(conn->wire, conn, control->topic.link_id);

	if (n_bytes > SEAI_TOPIC_N_BYTES)
		return false;
	/* The channel was closed meanwhile, or it is none that publishes: no matter. */
	if (!link || !link->endpoint || link->endpoint->pattern != SEA_PUB)
		return true;
	switch (control->topic.operation) {
	case SEAI_TOPIC_ADD:
		if (list_add(&link->topics_said, &link->n_topics_said, &link->n_topics_said_max, control->topic.bytes,
		             n_bytes) < 0)
			return false;
		break;
	case SEAI_TOPIC_REMOVE:
		if (list_remove(link->topics_said, &link->n_topics_said, control->topic.bytes, n_bytes) < 0)
			return false;
		break;
	case SEAI_TOPIC_READY: link->is_topics_ready = true; break;
	default: return false;
	}
	return !link->is_topics_ready || topics_hand_over(link);
}

void seai_topics_free(struct seai_link *link)
{
	free(link->topics);
	free(atomic_load_explicit(&link->topics_next, memory_order_acquire));
	free(link->topics_said);
}

bool seai_topics_update(struct seai_link *link)
{
	struct seai_topics *next;
	bool is_first = !link->topics;

	if (!atomic_load_explicit(&link->topics_next, memory_order_relaxed))
		return false;
	/* acq_rel: pairs with the service thread's exchange */
	next = atomic_exchange_explicit(&link->topics_next, NULL, memory_order_acq_rel);
	if (!next)
		return false;
	free(link->topics);
	link->topics = next;
	return is_first;
}
