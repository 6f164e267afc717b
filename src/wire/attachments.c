/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arenas of other processes: received, found again, passed on; attachments-end.c has how they go.
 *
 * The odd rule: whoever sends a descriptor has sent the arena's descriptor over the same connection before, so a receiver never
 * has to ask. Control lock held.
 */
#include "wire/attachments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/point.h"
#include "memory/arena.h"
#include "memory/heap.h"
#include "wire/events.h"
#include "wire/link.h"
#include "wire/resolver.h"
#include "wire/told.h"

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
	struct seai_attached *attached = wire->attached[seai_attachment_bucket(owner_id, arena_id)];

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

/* What others passed off as this arena, now that its owner has shown the true one. */
static void attachment_drop_false(struct seai_wire *wire, const struct seai_attached *true_one)
{
	struct seai_attached *next = wire->attached[seai_attachment_bucket(true_one->owner_id, true_one->arena_id)];

	while (next) {
		struct seai_attached *attached = next;

		next = attached->next;
		if (attached == true_one || attached->owner_id != true_one->owner_id ||
		    attached->arena_id != true_one->arena_id)
			continue;
		wire->n_refused++;
		seai_attachment_unlink(wire, attached);
	}
}

/* Why an arena that came is not mapped. */
static void attachment_log_failure(const struct seai_conn *conn, const struct seai_control *control, int error)
{
	struct sea_session *session = conn->wire->session;
	const unsigned long long peer_id = conn->peer_id;

	switch (error) {
	case -EBADMSG:
		seai_log(session, SEA_LOG_WARNING,
		         "refused memory of peer %016llx %s: not a sealed arena of the named owner", peer_id,
		         conn->peer_name);
		break;
	case -ENOTSUP:
		seai_log(
			session, SEA_LOG_WARNING,
			"refused region %.31s of peer %016llx %s: it is a file, and whoever cuts that would kill this process; "
			"SEA_SESSION_TRUST_FILES or $SEALANE_TRUST_FILES=1 allows it",
			control->arena.name[0] ? control->arena.name : "(no name)", peer_id, conn->peer_name);
		break;
	default:
		seai_log(session, SEA_LOG_ERROR, "memory of a peer cannot be mapped now (%s)", strerror(-error));
		break;
	}
}

/* Maps one that is not known yet, and lists it. NULL: it cannot be had now, or is refused. */
static struct seai_attached *attachment_map(struct seai_conn *conn, const struct seai_control *control, int fds[2])
{
	struct seai_wire *wire = conn->wire;
	uint64_t owner_id = control->arena.owner_id;
	uint32_t arena_id = control->arena.arena_id, bucket = seai_attachment_bucket(owner_id, arena_id);
	struct seai_attached *attached;
	struct seai_conn *owner;
	int r = seai_attached_new(&attached, wire->session, fds, owner_id, arena_id);

	if (r < 0) {
		if (r == -EBADMSG || r == -ENOTSUP) {
			wire->n_refused++;
		} else {
			conn->has_lost_arena = true;
			wire->attach_error = r;
		}
		attachment_log_failure(conn, control, r);
		return NULL;
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
	return attached;
}

void seai_attachment_on_arena(struct seai_conn *conn, const struct seai_control *control, int fds[2], bool is_truncated)
{
	struct seai_wire *wire = conn->wire;
	uint64_t owner_id = control->arena.owner_id;
	uint32_t arena_id = control->arena.arena_id;
	struct seai_attached *attached = wire->attached[seai_attachment_bucket(owner_id, arena_id)];

	if (owner_id == wire->session->id)
		return; /* our own: it has come back, and we know it better */
	/* Several peers may pass on one arena; if it is not one file, one of them lies, and only its own messages are read there. */
	while (attached && (attached->owner_id != owner_id || attached->arena_id != arena_id ||
	                    (fds[0] >= 0 && !is_truncated && !attachment_is_same(attached, fds))))
		attached = attached->next;
	if (fds[0] < 0 || (!attached && is_truncated)) {
		conn->has_lost_arena |= is_truncated;
		wire->attach_error = -EMFILE;
		wire->n_refused += !is_truncated;
		seai_log(
			wire->session, SEA_LOG_ERROR,
			"no file descriptor is left to map memory of a peer; it is asked for again when a message needs it");
		return;
	}
	if (!attached)
		attached = attachment_map(conn, control, fds);
	if (!attached)
		return;
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
		seai_attachment_unlink(wire, attached);
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
