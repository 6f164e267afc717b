/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that comes and goes, for those who want to know of all of it. A subscriber connects to every process of the session, which
 * shows it its arenas; each is an event here. Control lock held, unless it says otherwise.
 */
#ifndef SEALANE_WIRE_EVENTS_H
#define SEALANE_WIRE_EVENTS_H

#include "wire/wire.h"

struct seai_arena;

/* A peer wants to see what this process owns. */
void seai_events_on_subscribe(struct seai_conn *conn);
/* A peer is there: perhaps we want to see what it owns. */
void seai_events_on_peer(struct seai_conn *conn);
/* New processes may have come. */
void seai_events_look_around(struct seai_wire *wire);
/* An arena of another process was mapped. */
void seai_events_on_attached(struct seai_wire *wire, struct seai_attached *attached);
/* Whether nobody has to be told, or was told and is done with it. */
bool seai_events_may_unmap(struct seai_wire *wire, struct seai_attached *attached);
/* The same for an own arena. No lock. */
bool seai_events_may_destroy(struct seai_wire *wire, struct seai_arena *arena);
/* Shows new arenas to subscribers, and calls the one of this process. Service thread, no lock. */
void seai_events_run(struct seai_wire *wire);
/* At the end of the session. No lock. */
void seai_events_free(struct seai_wire *wire);

#endif
