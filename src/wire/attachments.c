/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas of other processes: received, found again, passed on, and let go.
 *
 * Whoever sends a descriptor has sent the arena's descriptor over the same connection before, so a receiver never
 * has to ask. An arena leaves when its owner says that it is over, or, its owner being dead, when no message here holds
 * anything in it and nobody who passed it on can send a descriptor of it any more. Control lock held.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fence.h"
#include "base/point.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "wire/endpoint.h"
#include "wire/events.h"
#include "wire/link.h"
#include "wire/records.h"
#include "wire/resolver.h"
#include "wire/told.h"

/*
 * References that messages of this process have. Exact once no channel can take more: the arena is out of the table, or nobody is left who could send
 * a descriptor of it; and the channels are quiet. Before that it can only be too small by what is being taken just now.
 */
static uint64_t attachment_n_holds(struct seai_wire *wire, const struct seai_attached *attached)
{
	/* acquire: what was read in the arena comes before the reference was given back */
	uint64_t n_given = atomic_load_explicit(&attached->n_given, memory_order_acquire);
	uint64_t n_taken = 0;

	/* What moves from a channel's count to the arena's while we look is seen twice rather than not at all. */
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next)
		n_taken += endpoint->n_taken(endpoint, attached);
	n_taken += atomic_load_explicit(&attached->n_taken, memory_order_relaxed);
	return n_taken - n_given;
}

static uint32_t attachment_bucket(uint64_t owner_id, uint32_t arena_id)
{
	return (uint32_t)((owner_id ^ arena_id * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93) >> 32) %
	       SEAI_N_ATTACHED_BUCKETS;
}

static bool attachment_is_of(const struct seai_attached *attached, const struct seai_conn *provider)
{
	for (uint32_t i = 0; i < attached->n_providers; i++)
		if (attached->providers[i].conn == provider)
			return true;
	return false;
}

struct seai_attached *seai_attachment_find(struct seai_wire *wire, const struct seai_conn *provider, uint64_t owner_id,
                                           uint32_t arena_id)
{
	struct seai_attached *attached = wire->attached[attachment_bucket(owner_id, arena_id)];

	while (attached && (attached->owner_id != owner_id || attached->arena_id != arena_id ||
	                    (provider && !attachment_is_of(attached, provider))))
		attached = attached->next;
	return attached;
}

static bool attachment_is_same_file(int fd, int other_fd)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && fstat(other_fd, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

/* Whether the descriptors are those of an arena that is mapped already; all of them. */
static bool attachment_is_same(const struct seai_attached *attached, const int fds[2])
{
	return attachment_is_same_file(attached->fd, fds[0]) &&
	       (attached->payload_fd < 0 ? fds[1] < 0
	                                 : fds[1] >= 0 && attachment_is_same_file(attached->payload_fd, fds[1]));
}

static int attachment_add_provider(struct seai_attached *attached, struct seai_conn *conn)
{
	for (uint32_t i = 0; i < attached->n_providers; i++)
		if (attached->providers[i].conn == conn) {
			attached->providers[i].has_forgotten = false;
			return 0;
		}
	if (attached->n_providers == attached->n_providers_max) {
		uint32_t n_max = attached->n_providers_max ? 2 * attached->n_providers_max : 4;
		struct seai_provider *providers = realloc(attached->providers, n_max * sizeof(*providers));

		if (!providers)
			return -ENOMEM;
		attached->providers = providers;
		attached->n_providers_max = n_max;
	}
	attached->providers[attached->n_providers++] = (struct seai_provider){ .conn = conn };
	return 0;
}

static void attachment_unlink(struct seai_wire *wire, struct seai_attached *attached)
{
	struct seai_attached **at = &wire->attached[attachment_bucket(attached->owner_id, attached->arena_id)];

	while (*at != attached)
		at = &(*at)->next;
	*at = attached->next;
	wire->n_attached--;
	attached->next = wire->dying;
	wire->dying = attached;
	atomic_store_explicit(&attached->dying, true, memory_order_release);
	atomic_fetch_add_explicit(&wire->attached_epoch, 1, memory_order_release);
}

/* What others passed off as this arena, now that its owner has shown the true one. */
static void attachment_drop_false(struct seai_wire *wire, const struct seai_attached *true_one)
{
	struct seai_attached *next = wire->attached[attachment_bucket(true_one->owner_id, true_one->arena_id)];

	while (next) {
		struct seai_attached *attached = next;

		next = attached->next;
		if (attached == true_one || attached->owner_id != true_one->owner_id ||
		    attached->arena_id != true_one->arena_id)
			continue;
		wire->n_refused++;
		attachment_unlink(wire, attached);
	}
}

void seai_attachment_on_arena(struct seai_conn *conn, const struct seai_control *control, int fds[2], bool is_truncated)
{
	struct seai_wire *wire = conn->wire;
	uint64_t owner_id = control->arena.owner_id;
	uint32_t arena_id = control->arena.arena_id, bucket = attachment_bucket(owner_id, arena_id);
	struct seai_attached *attached = wire->attached[bucket];
	struct seai_conn *owner;
	int r;

	if (owner_id == wire->session->id)
		return; /* our own: it has come back, and we know it better */
	/* Several peers may pass on one arena; if it is not one file, one of them lies, and only its own messages are read there. */
	while (attached && (attached->owner_id != owner_id || attached->arena_id != arena_id ||
	                    (fds[0] >= 0 && !is_truncated && !attachment_is_same(attached, fds))))
		attached = attached->next;
	if (!attached || fds[0] < 0) {
		if (is_truncated || fds[0] < 0) {
			conn->has_lost_arena |= is_truncated;
			wire->attach_error = -EMFILE;
			wire->n_refused += !is_truncated;
			seai_log(
				wire->session, SEA_LOG_ERROR,
				"no file descriptor is left to map memory of a peer; it is asked for again when a message needs it");
			return;
		}
		r = seai_attached_new(&attached, wire->session, fds, owner_id, arena_id);
		if (r == -EBADMSG) {
			wire->n_refused++;
			seai_log(wire->session, SEA_LOG_WARNING,
			         "refused memory of peer %016llx %s: not a sealed arena of the named owner",
			         (unsigned long long)conn->peer_id, conn->peer_name);
			return;
		}
		if (r == -ENOTSUP) {
			wire->n_refused++;
			seai_log(
				wire->session, SEA_LOG_WARNING,
				"refused region %.31s of peer %016llx %s: it is a file, and whoever cuts that would kill this process; "
				"SEA_SESSION_TRUST_FILES or $SEALANE_TRUST_FILES=1 allows it",
				control->arena.name[0] ? control->arena.name : "(no name)",
				(unsigned long long)conn->peer_id, conn->peer_name);
			return;
		}
		if (r < 0) {
			conn->has_lost_arena = true;
			wire->attach_error = r;
			seai_log(wire->session, SEA_LOG_ERROR, "memory of a peer cannot be mapped now (%s)",
			         strerror(-r));
			return;
		}
		SEAI_POINT("arena: mapped, not listed");
		owner = seai_conn_find(wire, owner_id);
		atomic_store_explicit(&attached->owner, owner, memory_order_relaxed);
		if (!owner) {
			atomic_store_explicit(&attached->dying, true, memory_order_relaxed);
			wire->has_dying_owners = true;
		}
		attached->next = wire->attached[bucket];
		wire->attached[bucket] = attached;
		wire->n_attached++;
		attached->is_region = control->arena.flags & SEAI_ARENA_IS_REGION;
		attached->user_flags = control->arena.user_flags;
		memcpy(attached->name, control->arena.name, sizeof(attached->name));
		seai_events_on_attached(wire, attached);
	}
	if (conn->peer_id == owner_id)
		attachment_drop_false(wire, attached);
	if (attachment_add_provider(attached, conn) < 0)
		seai_conn_doom(conn, "no memory");
}

void seai_attachment_on_retire(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	struct seai_attached *attached;

	/* Only an owner retires, and only what is its own. */
	for (struct seai_conn *other = wire->conns; other; other = other->next)
		seai_told_forget(other->arenas_sent, &other->n_arenas_sent, conn->peer_id, control->arena.arena_id);
	SEAI_POINT("retire: receiver told");
	seai_resolver_on_retire(wire, conn->peer_id, control->arena.arena_id);
	while ((attached = seai_attachment_find(wire, NULL, conn->peer_id, control->arena.arena_id)))
		attachment_unlink(wire, attached);
}

void seai_attachment_on_forget(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	struct seai_attached *attached = seai_attachment_find(wire, conn, control->arena.owner_id,
	                                                      control->arena.arena_id);

	if (!attached)
		return;
	/* What it published before is still to be read. */
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
		if (link->conn == conn)
			link->forget_mark = seai_link_head(link);
	for (uint32_t i = 0; i < attached->n_providers; i++)
		if (attached->providers[i].conn == conn)
			attached->providers[i].has_forgotten = true;
	wire->has_dying_owners = true;
}

void seai_attachment_on_resend(struct seai_conn *conn, const struct seai_control *control)
{
	/* The channel's thread sends it before the next descriptor; the receiver waits with those it has. */
	struct seai_wire *wire = conn->wire;
	uint64_t owner_id = control->arena.owner_id;
	uint32_t arena_id = control->arena.arena_id;
	int fds[2] = { -1, -1 };
	unsigned n_fds = 0;

	if (owner_id == wire->session->id) {
		struct seai_arena *arena;
		SEAI_LOCKED(&wire->session->books, books);

		arena = seai_session_find_arena(wire->session, arena_id);
		if (arena && arena->ro_fd >= 0)
			n_fds = seai_arena_get_fds(arena, fds);
		/* Their own are closed without this lock when the arena goes. */
		for (unsigned i = 0; i < n_fds; i++)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	} else {
		struct seai_attached *attached = seai_attachment_find(wire, NULL, owner_id, arena_id);

		if (attached)
			n_fds = seai_attached_get_fds(attached, fds);
		for (unsigned i = 0; i < n_fds; i++)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	}
	if (n_fds && fds[0] >= 0 && fds[n_fds - 1] >= 0) {
		struct seai_control answer = { .type = SEAI_CONTROL_ARENA };

		seai_told_forget(conn->arenas_sent, &conn->n_arenas_sent, owner_id, arena_id);
		answer.arena.owner_id = owner_id;
		answer.arena.arena_id = arena_id;
		seai_control_send(conn, &answer, fds, n_fds);
	}
	for (unsigned i = 0; i < n_fds; i++)
		seai_close(fds[i]);
}

int seai_attachment_provide(struct seai_conn *conn, uint64_t owner_id, uint32_t arena_id, const int *fds,
                            unsigned n_fds)
{
	struct seai_control control = { .type = SEAI_CONTROL_ARENA };
	int r;

	if (conn->peer_id == owner_id || seai_told_find(conn->arenas_sent, conn->n_arenas_sent, owner_id, arena_id))
		return 0;
	/* Behind what is queued it would come after the message that it has to come before. */
	if (conn->queue)
		return -EAGAIN;
	if (!seai_told_add(&conn->arenas_sent, &conn->n_arenas_sent, &conn->n_arenas_sent_max, owner_id, arena_id))
		return -EAGAIN;
	control.arena.owner_id = owner_id;
	control.arena.arena_id = arena_id;
	r = seai_control_try_send(conn, &control, fds, n_fds);
	SEAI_POINT("arena: descriptor passed on");
	if (r < 0)
		conn->n_arenas_sent--;
	return r;
}

int seai_attachment_introduce(struct seai_conn *conn, uint64_t owner_id)
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

void seai_attachment_owner_found(struct seai_wire *wire, struct seai_conn *owner)
{
	for (uint32_t i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (struct seai_attached *attached = wire->attached[i]; attached; attached = attached->next)
			if (attached->owner_id == owner->peer_id &&
			    !atomic_load_explicit(&attached->owner, memory_order_relaxed)) {
				atomic_store_explicit(&attached->owner, owner, memory_order_relaxed);
				atomic_store_explicit(&attached->dying, false, memory_order_relaxed);
			}
}

/* Greets an owner on behalf of whoever is about to send us its blocks. 0: done, or there is nobody to greet any more; else why not yet. */
static int attachment_greet(struct seai_wire *wire, uint64_t owner_id)
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

static void attachment_tell_ready(struct seai_conn *conn, uint64_t owner_id)
{
	struct seai_control answer = { .type = SEAI_CONTROL_READY };

	answer.arena.owner_id = owner_id;
	seai_control_send(conn, &answer, NULL, 0);
}

void seai_attachment_on_introduce(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	uint64_t owner_id = control->arena.owner_id;

	/* The hello goes out with the connection, or went out long ago; it needs no answer, its owner may be stopped. */
	if (attachment_greet(wire, owner_id) == 0) {
		attachment_tell_ready(conn, owner_id);
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

void seai_attachment_retry_introductions(struct seai_wire *wire)
{
	for (uint32_t i = 0; i < wire->n_introductions;) {
		struct seai_introduction introduction = wire->introductions[i];

		if (attachment_greet(wire, introduction.owner_id) < 0) {
			i++;
			continue;
		}
		wire->introductions[i] = wire->introductions[--wire->n_introductions];
		attachment_tell_ready(introduction.conn, introduction.owner_id);
	}
}

void seai_attachment_conn_gone(struct seai_wire *wire, const struct seai_conn *conn)
{
	for (uint32_t i = 0; i < wire->n_introductions;) {
		if (wire->introductions[i].conn == conn)
			wire->introductions[i] = wire->introductions[--wire->n_introductions];
		else
			i++;
	}
}

void seai_attachment_on_ready(struct seai_conn *conn, const struct seai_control *control)
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

void seai_attachment_owner_moved(struct seai_wire *wire, const struct seai_conn *from, struct seai_conn *to)
{
	for (uint32_t i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (struct seai_attached *attached = wire->attached[i]; attached; attached = attached->next)
			if (atomic_load_explicit(&attached->owner, memory_order_relaxed) == from)
				atomic_store_explicit(&attached->owner, to, memory_order_relaxed);
}

void seai_attachment_owner_died(struct seai_wire *wire, uint64_t owner_id)
{
	for (uint32_t i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (struct seai_attached *attached = wire->attached[i]; attached; attached = attached->next)
			if (attached->owner_id == owner_id) {
				atomic_store_explicit(&attached->owner, NULL, memory_order_relaxed);
				atomic_store_explicit(&attached->dying, true, memory_order_release);
				wire->has_dying_owners = true;
			}
}

static bool conn_has_links(struct seai_wire *wire, const struct seai_conn *conn)
{
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
		if (link->conn == conn)
			return true;
	return false;
}

/* Whether descriptors of the arena may still come from this provider. */
static bool provider_is_over(struct seai_wire *wire, const struct seai_provider *provider)
{
	if (provider->conn->state == SEAI_CONN_DEAD)
		return !conn_has_links(wire, provider->conn);
	if (!provider->has_forgotten)
		return false;
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next)
		if (link->conn == provider->conn &&
		    atomic_load_explicit(&link->in.position, memory_order_acquire) < link->forget_mark)
			return false;
	return true;
}

/* Those to whom we passed it learn that no more descriptors of it will come. */
static void attachment_tell_forget(struct seai_wire *wire, const struct seai_attached *attached)
{
	struct seai_control control = { .type = SEAI_CONTROL_FORGET };

	SEAI_POINT("forget: before it is told");
	control.arena.owner_id = attached->owner_id;
	control.arena.arena_id = attached->arena_id;
	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
		if (seai_told_find(conn->arenas_sent, conn->n_arenas_sent, attached->owner_id, attached->arena_id)) {
			seai_told_forget(conn->arenas_sent, &conn->n_arenas_sent, attached->owner_id,
			                 attached->arena_id);
			seai_control_send(conn, &control, NULL, 0);
		}
}

void seai_attachment_look_for_dead(struct seai_wire *wire)
{
	bool has_more = false;

	if (!wire->has_dying_owners)
		return;
	for (uint32_t i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (struct seai_attached *attached = wire->attached[i], *next; attached; attached = next) {
			bool is_over = true;

			next = attached->next;
			if (atomic_load_explicit(&attached->owner, memory_order_relaxed))
				continue;
			/* What the resolver alone keeps stays until it is told to forget. */
			if (attached->n_pins && attachment_n_holds(wire, attached) == attached->n_pins)
				continue;
			has_more = true;
			for (uint32_t j = 0; j < attached->n_providers && is_over; j++)
				is_over = provider_is_over(wire, &attached->providers[j]);
			if (!is_over || attachment_n_holds(wire, attached) > 0)
				continue;
			attachment_tell_forget(wire, attached);
			attachment_unlink(wire, attached);
		}
	wire->has_dying_owners = has_more;
}

/* Whether no channel's thread can still have the address of something that left the table before this call. */
static bool wire_channels_are_quiet(struct seai_wire *wire)
{
	seai_fence_heavy(wire->asymmetric);
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next)
		if (!endpoint->is_quiet(endpoint))
			return false;
	return true;
}

void seai_attachment_reap(struct seai_wire *wire)
{
	struct seai_attached *over = NULL, **at;
	SEAI_LOCKED(&wire->control, control);

	if (!wire->dying || !wire_channels_are_quiet(wire))
		return;
	for (at = &wire->dying; *at;) {
		struct seai_attached *attached = *at;
		uint64_t n_holds = attachment_n_holds(wire, attached);

		if (n_holds > attached->n_pins) {
			at = &attached->next;
			continue;
		}
		if (!n_holds && !seai_events_may_unmap(wire, attached)) {
			at = &attached->next;
			continue;
		}
		*at = attached->next;
		if (n_holds) {
			attached->next = wire->pinned;
			wire->pinned = attached;
			continue;
		}
		attached->next = over;
		over = attached;
	}
	/* Unmapping takes milliseconds for large arenas: not under the lock. */
	seai_lock_release(&wire->control);
	for (struct seai_attached *attached = over; attached; attached = attached->next)
		seai_attached_unmap(attached);
	seai_lock_take(&wire->control);
	/* A channel that has not looked since has the object in its lookup; only when it has emptied that the object may go. */
	while (over) {
		struct seai_attached *next = over->next;

		over->next = wire->ghosts;
		wire->ghosts = over;
		over = next;
	}
	for (at = &wire->ghosts; *at;) {
		struct seai_attached *attached = *at;
		uint64_t n_counted = 0;

		for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next)
			n_counted += endpoint->n_taken(endpoint, attached);
		if (n_counted) {
			at = &attached->next;
			continue;
		}
		*at = attached->next;
		seai_attached_free(attached);
	}
}

void seai_attachment_unpin(struct seai_wire *wire, struct seai_attached *attached)
{
	struct seai_attached **at = &wire->pinned;

	while (*at && *at != attached)
		at = &(*at)->next;
	if (*at) {
		*at = attached->next;
		attached->next = wire->dying;
		wire->dying = attached;
	}
	attached->n_pins--;
	/* As a reference that was taken and is no more: what is given back is counted by another rule. */
	atomic_fetch_sub_explicit(&attached->n_taken, 1, memory_order_relaxed);
	if (!atomic_load_explicit(&attached->owner, memory_order_relaxed))
		wire->has_dying_owners = true;
}

bool seai_attachment_retire_own(struct seai_wire *wire)
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
