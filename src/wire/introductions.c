/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Introductions: before a process passes on what another owns, the receiver says hello to the owner, so that the owner can keep books of it.
 *
 * The odd rule: the hello needs no answer, for the owner may be stopped; and a dead owner keeps no books, so that one counts as introduced.
 * Control lock held.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/point.h"
#include "wire/endpoint.h"
#include "wire/link.h"
#include "wire/told.h"

int seai_introduction_make(struct seai_conn *conn, uint64_t owner_id)
{
	struct seai_control control = { .type = SEAI_CONTROL_INTRODUCE };
	struct seai_told *told;

	/* An owner knows itself, and each knows those it is connected to. */
	if (owner_id == conn->peer_id)
		return 0;
	told = seai_told_find(conn->introduced, conn->n_introduced, owner_id, 0);
	if (told)
		return told->is_done ? 0 : -EAGAIN;
	if (!seai_told_add(&conn->introduced, &conn->n_introduced, &conn->n_introduced_max, owner_id, 0))
		return -EAGAIN;
	control.arena.owner_id = owner_id;
	seai_control_send(conn, &control, NULL, 0);
	SEAI_POINT("introduce: sent");
	return -EAGAIN;
}

/* Greets an owner on behalf of whoever is about to send us its blocks. 0: done, or there is nobody to greet any more; else why not yet. */
static int introduction_greet(struct seai_wire *wire, uint64_t owner_id)
{
	struct seai_conn *owner = NULL;
	int r = owner_id == wire->session->id ? 0 : seai_conn_get(wire, owner_id, &owner);

	/* Only these two say that it is dead; lack of descriptors or a full backlog pass. */
	if (r < 0 && r != -ENOENT && r != -ECONNREFUSED)
		return r;
	if (!owner)
		return 0;
	seai_attachment_owner_found(wire, owner);
	return 0;
}

static void introduction_tell_ready(struct seai_conn *conn, uint64_t owner_id)
{
	struct seai_control answer = { .type = SEAI_CONTROL_READY };

	answer.arena.owner_id = owner_id;
	seai_control_send(conn, &answer, NULL, 0);
}

void seai_introduction_on_introduce(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	uint64_t owner_id = control->arena.owner_id;

	/* The hello goes out with the connection, or went out long ago; it needs no answer, its owner may be stopped. */
	if (introduction_greet(wire, owner_id) == 0) {
		introduction_tell_ready(conn, owner_id);
		return;
	}
	if (wire->n_introductions == wire->n_introductions_max) {
		uint32_t n_max = wire->n_introductions_max ? 2 * wire->n_introductions_max : 8;
		struct seai_introduction *more = n_max > 4096 ? NULL
		                                              : realloc(wire->introductions, n_max * sizeof(*more));

		if (!more) {
			seai_conn_doom(conn, "no memory for an introduction");
			return;
		}
		wire->introductions = more;
		wire->n_introductions_max = n_max;
	}
	wire->introductions[wire->n_introductions++] = (struct seai_introduction){ conn, owner_id };
	wire->wants_retry = true;
	seai_wire_poke(wire);
}

void seai_introductions_retry(struct seai_wire *wire)
{
	for (uint32_t i = 0; i < wire->n_introductions;) {
		struct seai_introduction introduction = wire->introductions[i];

		if (introduction_greet(wire, introduction.owner_id) < 0) {
			i++;
			continue;
		}
		wire->introductions[i] = wire->introductions[--wire->n_introductions];
		introduction_tell_ready(introduction.conn, introduction.owner_id);
	}
}

void seai_introductions_conn_gone(struct seai_wire *wire, const struct seai_conn *conn)
{
	for (uint32_t i = 0; i < wire->n_introductions;) {
		if (wire->introductions[i].conn == conn)
			wire->introductions[i] = wire->introductions[--wire->n_introductions];
		else
			i++;
	}
}

void seai_introduction_on_ready(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_told *told = seai_told_find(conn->introduced, conn->n_introduced, control->arena.owner_id, 0);

	if (!told)
		return;
	SEAI_POINT("introduce: READY received");
	told->is_done = true;
	/* Senders wait for it. */
	for (struct seai_link *link = seai_link_first(conn->wire); link; link = link->next)
		if (link->conn == conn && link->endpoint)
			link->endpoint->on_change(link->endpoint, link);
}
