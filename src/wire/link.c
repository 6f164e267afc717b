/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a link, from the object to CLOSE from either end, or the peer's death; how it comes about is in link-handshake.c. Control lock held.
 *
 * The odd rule: what still stands in the peer's ring when the channel has let go is read here, and given back.
 */
#include "wire/link.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/point.h"
#include "memory/message.h"
#include "wire/endpoint.h"
#include "wire/records.h"
#include "wire/side.h"
#include "wire/take.h"
#include "wire/topics.h"

struct seai_link *seai_link_first(struct seai_wire *wire)
{
	return wire->links;
}

struct seai_link *seai_link_new(struct seai_conn *conn, struct seai_endpoint *endpoint, uint64_t id)
{
	struct seai_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->conn = conn;
	link->endpoint = endpoint;
	link->id = id;
	link->peer_id = conn->peer_id;
	link->holder = conn->holder;
	link->bell_in_fd = link->bell_out_fd = -1;
	link->armed_data = 0;
	link->armed_room = UINT64_MAX;
	link->asymmetric = atomic_load_explicit(&conn->asymmetric, memory_order_relaxed);
	link->next = conn->wire->links;
	conn->wire->links = link;
	conn->n_links++;
	endpoint->n_links++;
	return link;
}

static void link_unlist(struct seai_link *link)
{
	for (struct seai_link **at = &link->conn->wire->links; *at; at = &(*at)->next)
		if (*at == link) {
			*at = link->next;
			return;
		}
}

void seai_link_destroy(struct seai_link *link)
{
	struct seai_wire *wire = link->conn->wire;

	link_unlist(link);
	if (link->target)
		link->target->link = NULL;
	if (link->theirs) {
		/* An owner may ask how far it got when the peer is long gone. */
		wire->final_heads[wire->n_final_heads++ % SEAI_N_FINAL_HEADS] =
			(struct seai_final_head){ link->peer_id, link->id, seai_link_head(link) };
	}
	link->conn->n_links--;
	seai_close(link->bell_in_fd);
	seai_close(link->bell_out_fd);
	seai_side_unmap(link->mine, link->n_slots_mine, sizeof(struct seai_descriptor));
	seai_side_unmap(link->theirs, link->n_slots_theirs, sizeof(struct seai_descriptor));
	seai_topics_free(link);
	free(link);
}

void seai_link_give_up(struct seai_link *link)
{
	if (link->endpoint)
		link->endpoint->n_links--;
	seai_link_destroy(link);
}

struct seai_link *seai_link_find(struct seai_wire *wire, const struct seai_conn *conn, uint64_t id)
{
	for (struct seai_link *link = wire->links; link; link = link->next)
		if (link->conn == conn && link->id == id)
			return link;
	return NULL;
}

void seai_link_tell(struct seai_link *link, enum seai_control_type type, int error, const int *fds, unsigned n_fds)
{
	struct seai_control control = { .type = (uint16_t)type };

	control.link.link_id = link->id;
	control.link.error = error;
	if (link->endpoint) {
		control.link.n_send = link->endpoint->n_send;
		control.link.n_receive = link->endpoint->n_receive;
	}
	seai_control_send(link->conn, &control, fds, n_fds);
}

/* Gives back what a link still has to be received, when no channel is there to receive it. */
static void link_return_rest(struct seai_link *link)
{
	struct seai_lookup lookup = { .has_control = true };

	if (!link->theirs || !link->n_slots_theirs)
		return;
	for (;;) {
		struct sea_message *message;
		int r = seai_link_take(link, &lookup, &message);

		if (r == 0)
			break;
		if (r < 0 && r != -EBADMSG)
			break; /* cannot be mapped: it stays held until this process ends */
		if (r > 0) {
			seai_lookup_flush(&lookup);
			seai_records_return(link->conn->wire->session, message);
			SEAI_POINT("link: unread message given back");
			seai_message_return_own(message);
		}
		seai_link_advance(link, 1);
	}
}

void seai_link_on_close(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_link *link = seai_link_find(conn->wire, conn, control->link.link_id);

	if (!link)
		return;
	switch (atomic_load(&link->state)) {
	case SEAI_LINK_OPENING:
		conn->wire->wants_retry = true;
		seai_link_give_up(link);
		return;
	case SEAI_LINK_OPEN:
		atomic_store_explicit(&link->state, SEAI_LINK_CLOSED, memory_order_release);
		if (link->endpoint) {
			link->endpoint->on_change(link->endpoint, link);
			return;
		}
		/* Both ends have closed it: nothing more can come. */
		link_return_rest(link);
		seai_link_destroy(link);
		return;
	default: return;
	}
}

void seai_link_on_death(struct seai_link *link)
{
	uint32_t state = atomic_load(&link->state);

	if (state == SEAI_LINK_OPENING) {
		/* The caller walks the list: freed later, with the finished. */
		if (link->endpoint)
			link->endpoint->n_links--;
		link->endpoint = NULL;
		if (link->target)
			link->target->link = NULL;
		link->target = NULL;
	}
	atomic_store_explicit(&link->state, SEAI_LINK_DEAD, memory_order_release);
	if (link->endpoint)
		link->endpoint->on_change(link->endpoint, link);
	else
		seai_wire_poke(link->conn->wire);
}

void seai_link_let_go(struct seai_link *link)
{
	uint32_t state = atomic_load(&link->state);

	link->endpoint = NULL;
	if (link->target) {
		link->target->link = NULL;
		link->target = NULL;
	}
	if (state == SEAI_LINK_OPENING)
		return; /* what comes next finds no endpoint */
	link_return_rest(link);
	SEAI_POINT("link: rest given back, before CLOSE");
	if (state == SEAI_LINK_OPEN) {
		/* The peer may have published more meanwhile; it answers when it publishes no more. */
		seai_link_tell(link, SEAI_CONTROL_CLOSE, 0, NULL, 0);
		return;
	}
	if (state == SEAI_LINK_CLOSED)
		seai_link_tell(link, SEAI_CONTROL_CLOSE, 0, NULL, 0);
	seai_link_destroy(link);
}

void seai_link_finish(struct seai_link *link)
{
	struct seai_wire *wire = link->conn->wire;

	{
		SEAI_LOCKED(&wire->finished_lock, lock);
		link->next_change = wire->finished;
		wire->finished = link;
	}
	seai_wire_poke(wire);
}

void seai_link_free_finished(struct seai_wire *wire)
{
	struct seai_link *finished;

	{
		SEAI_LOCKED(&wire->finished_lock, lock);
		finished = SEAI_TAKE(wire->finished);
	}
	while (finished) {
		struct seai_link *next = finished->next_change;

		if (finished->endpoint)
			finished->endpoint->n_links--;
		seai_link_let_go(finished);
		wire->targets_dirty = true;
		finished = next;
	}
	/* Links of the dead that no channel has. */
	for (struct seai_link *link = wire->links, *next; link; link = next) {
		next = link->next;
		if (!link->endpoint && atomic_load(&link->state) == SEAI_LINK_DEAD) {
			link_return_rest(link);
			seai_link_destroy(link);
		}
	}
}

uint64_t seai_link_head(const struct seai_link *link)
{
	uint64_t start = atomic_load_explicit(&link->in.position, memory_order_acquire), position, again;

	if (!link->theirs || !link->n_slots_theirs)
		return 0;
	for (;;) {
		position = start;
		/* acquire: pairs with the release that publishes a descriptor; at most a ring's length, whatever a liar writes */
		for (uint32_t i = 0; i < link->n_slots_theirs; i++, position++)
			if (atomic_load_explicit(&link->in.slots[position & link->in.mask].sequence,
			                         memory_order_acquire) != position + 1)
				break;
		/* A slot that was read meanwhile may hold a later message by now, which looked like the end. */
		again = atomic_load_explicit(&link->in.position, memory_order_acquire);
		if (again == start || again >= position)
			return again > position ? again : position;
		start = again;
	}
}
