/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of links inside things. A link that is in no ring points to itself, so that taking it out twice does nothing. */
#ifndef SEALANE_CCDB_CLIENT_LIST_H
#define SEALANE_CCDB_CLIENT_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct seai_link {
	struct seai_link *next;
	struct seai_link *prev;
};

static inline void seai_link_init(struct seai_link *link)
{
	link->next = link->prev = link;
}

static inline bool seai_link_is_alone(const struct seai_link *link)
{
	return link->next == link;
}

static inline void seai_link_drop(struct seai_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	seai_link_init(link);
}

/* At the end of the ring; out of another one first. */
static inline void seai_link_append(struct seai_link *ring, struct seai_link *link)
{
	seai_link_drop(link);
	link->prev = ring->prev;
	link->next = ring;
	ring->prev->next = link;
	ring->prev = link;
}

/* All of one ring to the end of another. */
static inline void seai_link_move_all(struct seai_link *ring, struct seai_link *from)
{
	while (!seai_link_is_alone(from))
		seai_link_append(ring, from->next);
}

#define SEAI_LINKED(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
