/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas of this process that are over: the others are told, and they go when nobody has them mapped.
 *
 * The odd rule: whether somebody has is known by a lease only, which is tried without locks, for it takes milliseconds.
 */
#include "base/cleanup.h"
#include "base/point.h"
#include "memory/arena.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "wire/events.h"
#include "wire/told.h"

bool seai_retire_own(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;
	struct seai_arena *retired, *kept = NULL;

	{
		SEAI_LOCKED(&session->books, books);
		retired = SEAI_TAKE(session->retired);
	}
	if (!retired)
		return false;
	{
		SEAI_LOCKED(&wire->control, control);
		for (struct seai_arena *arena = retired; arena; arena = arena->next) {
			struct seai_control message = { .type = SEAI_CONTROL_RETIRE };

			if (arena->n_retire_tries++ > 0 || !arena->announced)
				continue;
			message.arena.owner_id = session->id;
			message.arena.arena_id = arena->id;
			for (struct seai_conn *conn = wire->conns; conn; conn = conn->next) {
				/* Forwarders may have passed it to any of them. */
				seai_told_forget(conn->arenas_sent, &conn->n_arenas_sent, session->id, arena->id);
				seai_control_send(conn, &message, NULL, 0);
			}
		}
	}
	while (retired) {
		struct seai_arena *next = retired->next;

		/* Milliseconds for large arenas: without locks. */
		SEAI_POINT("retire: told, no lease yet");
		if (seai_events_may_destroy(wire, retired) && seai_arena_try_destroy(retired)) {
			seai_note_release(session); /* the quota has room again */
		} else {
			retired->next = kept;
			kept = retired;
		}
		retired = next;
	}
	if (!kept)
		return false;
	SEAI_LOCKED(&session->books, books);
	while (kept) {
		struct seai_arena *next = kept->next;

		kept->next = session->retired;
		session->retired = kept;
		kept = next;
	}
	return true;
}
