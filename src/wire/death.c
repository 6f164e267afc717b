/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deaths: what is done when a connection has ended, in the order that DESIGN asks for: everybody's hellos and
 * records first, then the holds of the dead, then the question to the targets of its uncertain grants.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/point.h"
#include "memory/message.h"
#include "wire/keeper.h"
#include "wire/link.h"
#include "wire/records.h"
#include "wire/request.h"
#include "wire/side.h"

/* Records without cover that are discarded at a go. */
#define DEATH_N_DISCARDS 64u

/* Returns whether everybody who said hello is known now. */
static bool wire_read_everything(struct seai_wire *wire)
{
	bool is_complete = seai_conn_accept_backlog(wire);

	/* Reading does not take connections out of the list; it only marks them. */
	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
		seai_conn_read(conn);
	return is_complete;
}

/* Whether the next record of that holder, or of any, has to wait for others. Books lock held. */
static bool wire_has_stuck(const struct seai_wire *wire, uint32_t holder)
{
	for (const struct seai_record_reader *reader = wire->readers; reader; reader = reader->next)
		if (reader->is_stuck && (holder == SEAI_HOLDER_NONE || reader->holder == holder))
			return true;
	return false;
}

/*
 * Every hello is read, and every ring is read again after a stuck record was seen. What is stuck still names a dead
 * process, or was never covered; discarding it can uncover the next. Bounded, for a liar may write as fast as we read.
 */
/* Returns whether nothing of that holder waits any more. */
static bool wire_resolve_stuck_of(struct seai_wire *wire, uint32_t holder, unsigned n_times)
{
	struct sea_session *session = wire->session;
	bool is_complete, is_over = false;

	for (unsigned i = 0; i <= n_times && !is_over; i++) {
		{
			SEAI_LOCKED(&session->books, books);
			seai_records_doubt_stuck(session);
		}
		is_complete = wire_read_everything(wire);
		SEAI_LOCKED(&session->books, books);
		seai_records_drain(session);
		if (is_complete && wire_has_stuck(wire, SEAI_HOLDER_NONE)) {
			seai_records_discard_stuck(session);
			seai_records_drain(session);
		}
		/* If not complete it is tried again later; until then what is stuck pins its blocks. */
		is_over = !is_complete || !wire_has_stuck(wire, holder);
		if (is_complete && !wire_has_stuck(wire, SEAI_HOLDER_NONE))
			atomic_store_explicit(&wire->has_stuck, false, memory_order_relaxed);
	}
	SEAI_LOCKED(&session->books, books);
	return !wire_has_stuck(wire, holder);
}

void seai_wire_resolve_stuck(struct seai_wire *wire)
{
	(void)wire_resolve_stuck_of(wire, SEAI_HOLDER_NONE, DEATH_N_DISCARDS);
}

static void wire_doom_broken(struct seai_wire *wire)
{
	SEAI_LOCKED(&wire->session->books, books);
	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
		if (conn->reader.is_broken && conn->reader.theirs && !conn->is_doomed) {
			wire->n_refused++;
			seai_conn_doom(conn, "malformed records");
		}
}

/* The socket, the rings and the hello of one end. */
static void conn_end(struct seai_conn *conn)
{
	struct seai_wire *wire = conn->wire;
	const struct seai_side *theirs = conn->reader.theirs;
	bool was_stranger = conn->state == SEAI_CONN_HELLO && !conn->is_initiator; /* nobody ever heard of it */

	seai_records_stop(conn);
	/* Closing takes them out of epoll as well. */
	conn->fd = seai_close(conn->fd);
	conn->pidfd = seai_close(conn->pidfd);
	conn->state = SEAI_CONN_DEAD;
	seai_introductions_conn_gone(wire, conn);
	seai_request_conn_gone(wire, conn);
	seai_keeper_conn_gone(wire, conn);
	seai_side_unmap(theirs, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	conn->reader.mine = seai_side_unmap(conn->reader.mine, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	if (conn->is_counted)
		wire->n_peers--;
	conn->is_counted = false;
	for (struct seai_conn **at = &wire->conns; *at; at = &(*at)->next)
		if (*at == conn) {
			*at = conn->next;
			break;
		}
	if (was_stranger) {
		seai_conn_free(conn);
		return;
	}
	/* Other threads may hold its address in an attached arena for a moment: it is freed with the session. */
	conn->next = wire->dead;
	wire->dead = conn;
}

/* What the dead said before its end: arenas of messages that are still in its rings, above all. */
static void conn_read_last_words(struct seai_conn *conn)
{
	if (conn->is_refused)
		return;
	conn->is_doomed = false;
	for (int i = 0; i < 64 && !conn->is_doomed; i++)
		seai_conn_read(conn);
	conn->is_doomed = true;
}

/* Another connection of a process that lives; NULL. */
static struct seai_conn *wire_has_another(struct seai_wire *wire, const struct seai_conn *conn)
{
	struct pollfd pollfd = { .fd = conn->pidfd, .events = POLLIN };

	if (conn->pidfd >= 0 && poll(&pollfd, 1, 0) > 0)
		return NULL;
	for (struct seai_conn *other = wire->conns; other; other = other->next)
		if (other != conn && other->peer_id == conn->peer_id && other->state == SEAI_CONN_OPEN &&
		    !other->is_doomed)
			return other;
	return NULL;
}

static void wire_end_one_of_two(struct seai_wire *wire, struct seai_conn *conn)
{
	struct seai_conn *other = wire_has_another(wire, conn);

	for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
		if (link->conn == conn)
			seai_link_on_death(link);
	conn_end(conn);
	seai_attachment_owner_moved(wire, conn, other);
}

/* False: not now, for somebody who may have got blocks from the dead one stands in the backlog and cannot be let in. */
static bool wire_bury_one(struct seai_wire *wire, struct seai_conn *conn)
{
	struct sea_session *session = wire->session;
	uint64_t peer_id;
	uint32_t holder;

	conn_read_last_words(conn);
	peer_id = conn->peer_id;
	holder = conn->holder;
	if (conn->state == SEAI_CONN_HELLO) {
		for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
			if (link->conn == conn)
				seai_link_on_death(link);
		conn_end(conn);
		wire->wants_retry = true; /* it may have lacked something; not at once, or both would spin */
		return true;
	}
	/* The memory of the dead is gone, so its rings cannot change any more: read them to the end, and all others' too. */
	if (!wire_resolve_stuck_of(wire, holder, SEAI_RECORD_RING_N_UNITS))
		return false;
	SEAI_POINT("death: rings drained");
	/* A handshake that failed for want of something leaves a connection beside the next: its end is not the peer's. */
	if (wire_has_another(wire, conn)) {
		wire_end_one_of_two(wire, conn);
		return true;
	}
	/* A process has ended, not a socket: its other connection goes as well. */
	for (struct seai_conn *other = wire->conns, *next; other; other = next) {
		next = other->next;
		if (other->peer_id != peer_id || (other->state != SEAI_CONN_OPEN && other != conn))
			continue;
		conn_read_last_words(other);
		for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
			if (link->conn == other)
				seai_link_on_death(link);
		conn_end(other);
	}
	{
		SEAI_LOCKED(&session->books, books);
		for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
			if (link->peer_id == peer_id && link->holder == holder)
				seai_link_take_given(link);
		seai_ledger_drop_holder(session, holder);
	}
	SEAI_POINT("death: holds dropped");
	wire->n_deaths++;
	seai_attachment_owner_died(wire, peer_id);
	seai_log(session, SEA_LOG_INFO, "peer %016llx %s has ended", (unsigned long long)peer_id, conn->peer_name);
	return true;
}

void seai_wire_bury(struct seai_wire *wire)
{
	bool has_buried = false;

	if (atomic_load_explicit(&wire->has_stuck, memory_order_relaxed)) {
		wire_doom_broken(wire);
		seai_wire_resolve_stuck(wire);
	}
	for (;;) {
		struct seai_conn *conn = wire->conns;

		while (conn && !conn->is_doomed)
			conn = conn->next;
		if (!conn)
			break;
		if (!wire_bury_one(wire, conn)) {
			wire->wants_retry = true;
			break;
		}
		has_buried = true;
	}
	if (!has_buried)
		return;
	wire->targets_dirty = true;
	seai_wire_ask_settlements(wire);
}

/* How far a dead forwarder's ring to this process got, as far as this process can see. */
static uint64_t wire_final_head(struct seai_wire *wire, uint64_t forwarder_id, uint64_t link_id)
{
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
		if (link->id == link_id && link->peer_id == forwarder_id)
			return seai_link_head(link);
	for (uint32_t i = 0; i < SEAI_N_FINAL_HEADS; i++)
		if (wire->final_heads[i].link_id == link_id && wire->final_heads[i].forwarder_id == forwarder_id)
			return wire->final_heads[i].head;
	return 0; /* a link that never came about: nothing was received over it */
}

void seai_wire_ask_settlements(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;

	for (;;) {
		struct seai_settlement *settlement;
		struct seai_control control = { .type = SEAI_CONTROL_SETTLE };
		struct seai_conn *conn;
		uint64_t target_id;

		{
			SEAI_LOCKED(&session->books, books);
			settlement = session->ledger->settlements;
			while (settlement && settlement->asked)
				settlement = settlement->next;
			if (!settlement)
				return;
			settlement->asked = true;
			target_id = settlement->target_id;
			control.settle.forwarder_id = settlement->forwarder_id;
			control.settle.link_id = settlement->log.link_id;
			conn = target_id == session->id ? NULL : seai_conn_find(wire, target_id);
			if (!conn) {
				/* This process itself, or one that is gone: then its holds are dropped with it. */
				seai_ledger_settle(session, settlement,
				                   target_id == session->id
				                           ? wire_final_head(wire, control.settle.forwarder_id,
				                                             control.settle.link_id)
				                           : UINT64_MAX);
				continue;
			}
		}
		SEAI_POINT("settle: before the question");
		seai_control_send(conn, &control, NULL, 0);
	}
}

void seai_wire_on_settle(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_control answer = { .type = SEAI_CONTROL_SETTLED };
	struct seai_conn *forwarder = seai_conn_find(conn->wire, control->settle.forwarder_id);

	/* What the dead one sent of its links may not be read yet. */
	for (int i = 0; forwarder && i < 64 && !forwarder->is_doomed; i++)
		seai_conn_read(forwarder);
	answer.settle.forwarder_id = control->settle.forwarder_id;
	answer.settle.link_id = control->settle.link_id;
	answer.settle.head = wire_final_head(conn->wire, control->settle.forwarder_id, control->settle.link_id);
	SEAI_POINT("settle: before the answer");
	seai_control_send(conn, &answer, NULL, 0);
}

void seai_wire_on_settled(struct seai_conn *conn, const struct seai_control *control)
{
	struct sea_session *session = conn->wire->session;
	SEAI_LOCKED(&session->books, books);

	for (struct seai_settlement *settlement = session->ledger->settlements; settlement;
	     settlement = settlement->next)
		if (settlement->asked && settlement->forwarder_id == control->settle.forwarder_id &&
		    settlement->log.link_id == control->settle.link_id && settlement->target_id == conn->peer_id) {
			SEAI_POINT("settle: answer received");
			seai_ledger_settle(session, settlement, control->settle.head);
			return;
		}
}
