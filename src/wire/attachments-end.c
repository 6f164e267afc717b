/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How arenas of other processes go: out of the table, then unmapped, then forgotten.
 *
 * The odd rule: of a dead owner's arena nobody says that it is over. It goes when no message here holds anything in it and nobody who passed it on
 * can send a descriptor of it any more. Control lock held.
 */
#include <errno.h>

#include "base/fence.h"
#include "base/point.h"
#include "wire/attachments.h"
#include "wire/endpoint.h"
#include "wire/events.h"
#include "wire/link.h"
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

void seai_attachment_unlink(struct seai_wire *wire, struct seai_attached *attached)
{
	struct seai_attached **at = &wire->attached[seai_attachment_bucket(attached->owner_id, attached->arena_id)];

	while (*at != attached)
		at = &(*at)->next;
	*at = attached->next;
	wire->n_attached--;
	attached->next = wire->dying;
	wire->dying = attached;
	atomic_store_explicit(&attached->dying, true, memory_order_release);
	atomic_fetch_add_explicit(&wire->attached_epoch, 1, memory_order_release);
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
			seai_attachment_unlink(wire, attached);
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
