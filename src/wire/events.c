/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Region events; see events.h and sealane/region.h.
 *
 * The odd rule: an event is about memory that must not change its state meanwhile. So an arena whose creation waits to be told of
 * delivers nothing, and one whose end does stays mapped, until whoever takes the events is done with that one.
 */
#include "wire/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"
#include "memory/arena.h"
#include "memory/region.h"
#include "wire/told.h"

#define EVENTS_N_PROCESSES_MAX 4096u

struct event {
	struct event *next;
	struct sea_region_event event;
	struct seai_attached *attached; /* NULL: an own arena, by its id */
};

struct seai_events {
	sea_region_event_fn on_event; /* NULL: they are taken */
	void *userdata;
	int fd; /* eventfd; -1 with a callback */
	struct event *first, **end;
	struct event *current; /* taken, not done with */
	uint64_t serial;       /* of this subscription */
};

/* Another process's text. */
static void event_set_name(struct sea_region_event *event, const char name[32])
{
	memcpy(event->name, name, sizeof(event->name));
	event->name[sizeof(event->name) - 1] = 0;
	for (char *c = event->name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static bool events_push(struct seai_wire *wire, const struct sea_region_event *what, struct seai_attached *attached)
{
	struct seai_events *events = wire->events;
	struct event *event = calloc(1, sizeof(*event));

	if (!event) {
		seai_log(wire->session, SEA_LOG_ERROR, "no memory to tell of a region; its event is lost");
		return false;
	}
	event->event = *what;
	event->attached = attached;
	*events->end = event;
	events->end = &event->next;
	if (events->fd >= 0)
		(void)!write(events->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	return true;
}

static void event_of_attached(const struct seai_attached *attached, enum sea_region_event_type type,
                              struct sea_region_event *event)
{
	*event = (struct sea_region_event){
		.type = type,
		.protection = attached->flags & SEAI_ARENA_SHARED ? SEA_PROTECTION_SHARED : SEA_PROTECTION_SEALED,
		.owner_id = attached->owner_id,
		.arena_id = attached->arena_id,
		.is_region = attached->is_region,
		.data = attached->base + attached->data_offset,
		.n_bytes = attached->n_bytes - attached->data_offset,
		.user_flags = attached->user_flags,
	};
	event_set_name(event, attached->name);
}

static void event_of_own(const struct seai_arena *arena, enum sea_region_event_type type,
                         struct sea_region_event *event)
{
	*event = (struct sea_region_event){
		.type = type,
		.protection = arena->shared ? SEA_PROTECTION_SHARED : SEA_PROTECTION_SEALED,
		.owner_id = arena->session->id,
		.arena_id = arena->id,
		.is_region = arena->is_region,
		.data = (const uint8_t *)arena->head + arena->data_offset,
		.n_bytes = arena->n_bytes - arena->data_offset,
		.user_flags = arena->region_user_flags,
	};
	event_set_name(event, arena->region_name);
}

void seai_events_on_attached(struct seai_wire *wire, struct seai_attached *attached)
{
	struct sea_region_event event;

	if (!wire->events || attached->flags & SEAI_ARENA_IMMUTABLE || attached->told_state != SEAI_TOLD_NOTHING)
		return;
	event_of_attached(attached, SEA_REGION_CREATED, &event);
	if (events_push(wire, &event, attached))
		attached->told_state = SEAI_TOLD_CREATING;
	seai_wire_poke(wire);
}

bool seai_events_may_unmap(struct seai_wire *wire, struct seai_attached *attached)
{
	struct sea_region_event event;

	if (!wire->events || attached->told_state == SEAI_TOLD_NOTHING || attached->told_state == SEAI_TOLD_DESTROYED)
		return true;
	if (attached->told_state == SEAI_TOLD_CREATED) {
		event_of_attached(attached, SEA_REGION_DESTROYED, &event);
		if (!events_push(wire, &event, attached))
			return true;
		attached->told_state = SEAI_TOLD_DESTROYING;
	}
	return false;
}

bool seai_events_may_destroy(struct seai_wire *wire, struct seai_arena *arena)
{
	struct sea_region_event event;
	SEAI_LOCKED(&wire->control, control);
	SEAI_LOCKED(&wire->session->books, books);

	if (!wire->events || arena->told_state == SEAI_TOLD_NOTHING || arena->told_state == SEAI_TOLD_DESTROYED)
		return true;
	if (arena->told_state == SEAI_TOLD_CREATED) {
		event_of_own(arena, SEA_REGION_DESTROYED, &event);
		if (!events_push(wire, &event, NULL))
			return true;
		arena->told_state = SEAI_TOLD_DESTROYING;
	}
	return false;
}

/* Own arenas of which the subscriber of this process does not know. */
static void events_scan_own(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;
	struct sea_region_event event;
	SEAI_LOCKED(&session->books, books);

	for (uint32_t i = 0; i < session->n_arena_slots; i++) {
		struct seai_arena *arena = session->arenas[i];

		if (!arena || arena->immutable || arena->queued || !arena->head ||
		    arena->told_state != SEAI_TOLD_NOTHING)
			continue;
		event_of_own(arena, SEA_REGION_CREATED, &event);
		if (events_push(wire, &event, NULL))
			arena->told_state = SEAI_TOLD_CREATING;
	}
}

/* Shows one own arena to a peer. Books lock held; the peer's socket never blocks. */
static void events_show(struct seai_conn *conn, struct seai_arena *arena)
{
	struct seai_control control = { .type = SEAI_CONTROL_ARENA };
	unsigned n_fds;
	int fds[2];

	if (arena->immutable || arena->queued || arena->ro_fd < 0 ||
	    seai_told_find(conn->arenas_sent, conn->n_arenas_sent, arena->session->id, arena->id) ||
	    !seai_told_add(&conn->arenas_sent, &conn->n_arenas_sent, &conn->n_arenas_sent_max, arena->session->id,
	                   arena->id))
		return;
	arena->announced = true;
	control.arena.owner_id = arena->session->id;
	control.arena.arena_id = arena->id;
	if (arena->is_region) {
		control.arena.flags = SEAI_ARENA_IS_REGION;
		control.arena.user_flags = arena->region_user_flags;
		memcpy(control.arena.name, arena->region_name, sizeof(control.arena.name));
	}
	n_fds = seai_arena_get_fds(arena, fds);
	seai_control_send(conn, &control, fds, n_fds);
	SEAI_POINT("events: arena shown");
}

static void events_show_own(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;
	SEAI_LOCKED(&session->books, books);

	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
		for (uint32_t i = 0; i < session->n_arena_slots && conn->wants_arenas && conn->state == SEAI_CONN_OPEN;
		     i++)
			if (session->arenas[i])
				events_show(conn, session->arenas[i]);
}

void seai_events_on_subscribe(struct seai_conn *conn)
{
	conn->wants_arenas = true;
	conn->wire->must_show = true;
	atomic_store_explicit(&conn->wire->session->is_showing, true, memory_order_relaxed);
	seai_wire_poke(conn->wire);
}

static void events_subscribe_to(struct seai_conn *conn)
{
	struct seai_control control = { .type = SEAI_CONTROL_SUBSCRIBE };

	if (conn->is_subscribed || conn->peer_id == conn->wire->session->id)
		return;
	conn->is_subscribed = true;
	seai_control_send(conn, &control, NULL, 0);
}

void seai_events_on_peer(struct seai_conn *conn)
{
	if (conn->wire->events)
		events_subscribe_to(conn);
}

void seai_events_look_around(struct seai_wire *wire)
{
	SEAI_AUTO_FREE uint64_t *ids = NULL;
	size_t n;

	if (!wire->events)
		return;
	ids = calloc(EVENTS_N_PROCESSES_MAX, sizeof(*ids));
	n = ids ? seai_directory_list(wire, ids, EVENTS_N_PROCESSES_MAX) : 0;
	for (size_t i = 0; i < n; i++) {
		struct seai_conn *conn;

		/* Leftovers of the dead refuse; whoever cannot be reached now calls us, or is tried again with the next that comes. */
		if (seai_conn_get(wire, ids[i], &conn) == 0)
			events_subscribe_to(conn);
	}
}

/* The event that was taken last is done with. */
static void events_finish_current(struct seai_wire *wire)
{
	struct seai_events *events = wire->events;
	struct event *event = SEAI_TAKE(events->current);
	bool is_created;

	if (!event)
		return;
	is_created = event->event.type == SEA_REGION_CREATED;
	if (event->attached) {
		event->attached->told_state = is_created ? SEAI_TOLD_CREATED : SEAI_TOLD_DESTROYED;
	} else {
		struct seai_arena *arena;
		SEAI_LOCKED(&wire->session->books, books);

		arena = seai_session_find_arena(wire->session, event->event.arena_id);
		if (arena)
			arena->told_state = is_created ? SEAI_TOLD_CREATED : SEAI_TOLD_DESTROYED;
	}
	free(event);
	if (!is_created)
		seai_wire_poke(wire); /* it may go now */
}

static bool events_take(struct seai_wire *wire, struct sea_region_event *ret_event)
{
	struct seai_events *events = wire->events;

	events_finish_current(wire);
	if (!events->first)
		return false;
	events->current = events->first;
	events->first = events->current->next;
	if (!events->first)
		events->end = &events->first;
	*ret_event = events->current->event;
	return true;
}

void seai_events_run(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;
	struct sea_region_event event;
	uint64_t serial;
	SEAI_LOCKED(&wire->control, control);

	if (atomic_exchange_explicit(&session->has_new_arenas, false, memory_order_acq_rel) || wire->must_show) {
		wire->must_show = false;
		events_show_own(wire);
		if (wire->events)
			events_scan_own(wire);
	}
	if (!wire->events || !wire->events->on_event)
		return;
	serial = wire->events->serial;
	/* The subscription may end or change while it is called. */
	while (wire->events && wire->events->serial == serial && events_take(wire, &event)) {
		sea_region_event_fn on_event = wire->events->on_event;
		void *userdata = wire->events->userdata;

		seai_lock_release(&wire->control);
		on_event(&event, userdata);
		seai_lock_take(&wire->control);
	}
}

static void events_forget(struct seai_wire *wire)
{
	struct seai_events *events = SEAI_TAKE(wire->events);

	if (!events)
		return;
	free(events->current);
	while (events->first) {
		struct event *event = events->first;

		events->first = event->next;
		free(event);
	}
	seai_close(events->fd);
	free(events);
}

static void events_reset_list(struct seai_attached *attached)
{
	for (; attached; attached = attached->next)
		attached->told_state = SEAI_TOLD_NOTHING;
}

/* Nobody was told of anything. */
static void events_reset(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;

	for (unsigned i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		events_reset_list(wire->attached[i]);
	events_reset_list(wire->dying);
	events_reset_list(wire->pinned);
	SEAI_LOCKED(&session->books, books);
	for (uint32_t i = 0; i < session->n_arena_slots; i++)
		if (session->arenas[i])
			session->arenas[i]->told_state = SEAI_TOLD_NOTHING;
}

/* A new subscription, with a callback or a descriptor. */
static int events_begin(struct seai_wire *wire, sea_region_event_fn on_event, void *userdata, int fd)
{
	static _Atomic uint64_t last_serial;
	struct seai_events *events = calloc(1, sizeof(*events));

	if (!events)
		return -ENOMEM;
	events_forget(wire);
	events_reset(wire);
	events->on_event = on_event;
	events->userdata = userdata;
	events->fd = fd;
	events->end = &events->first;
	events->serial = atomic_fetch_add(&last_serial, 1) + 1;
	wire->events = events;
	atomic_store_explicit(&wire->session->is_showing, true, memory_order_relaxed);
	{
		SEAI_LOCKED(&wire->session->books, books);
		/* They are to be given up by the service thread alone, which tells of it. */
		for (uint32_t i = 0; i < wire->session->n_arena_slots; i++)
			if (wire->session->arenas[i])
				wire->session->arenas[i]->announced = true;
	}
	events_scan_own(wire);
	for (unsigned i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (struct seai_attached *attached = wire->attached[i]; attached; attached = attached->next)
			seai_events_on_attached(wire, attached);
	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
		if (conn->state == SEAI_CONN_OPEN)
			events_subscribe_to(conn);
	seai_events_look_around(wire);
	seai_wire_poke(wire);
	return 0;
}

int sea_session_on_region_event(struct sea_session *session, sea_region_event_fn on_event, void *userdata)
{
	struct seai_wire *wire = session->wire;

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&wire->control, control);
	if (on_event)
		return events_begin(wire, on_event, userdata, -1);
	events_forget(wire);
	events_reset(wire);
	seai_wire_poke(wire);
	return 0;
}

int sea_session_region_event_fd(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;
	int fd, r;

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&wire->control, control);
	if (wire->events && wire->events->fd >= 0)
		return wire->events->fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = events_begin(wire, NULL, NULL, fd);
	if (r < 0) {
		seai_close(fd);
		return r;
	}
	return fd;
}

int sea_session_take_region_event(struct sea_session *session, struct sea_region_event *ret_event)
{
	struct seai_wire *wire = session->wire;
	bool is_there;

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&wire->control, control);
	if (!wire->events || wire->events->fd < 0)
		return -EINVAL;
	is_there = events_take(wire, ret_event);
	if (!wire->events->first)
		(void)!read(wire->events->fd, &(uint64_t){ 0 }, sizeof(uint64_t));
	return is_there;
}

void seai_events_free(struct seai_wire *wire)
{
	events_forget(wire);
}
