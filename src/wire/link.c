/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a link: OPEN, ACCEPT, START on the control socket, then CLOSE from either end. Control lock held.
 */
#include "wire/link.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/channel.h>

#include "base/kernel.h"
#include "base/point.h"
#include "memory/message.h"
#include "wire/doorbell.h"
#include "wire/records.h"
#include "wire/side.h"
#include "wire/take.h"
#include "wire/topics.h"

/* More than channels that two processes have with each other: a peer that opens without end would take all our descriptors. */
#define LINK_N_PER_CONN_MAX 1024u

struct seai_link *seai_link_first(struct seai_wire *wire)
{
	return wire->links;
}

static bool pattern_sends(uint32_t pattern)
{
	return pattern != SEA_PULL && pattern != SEA_SUB;
}

static bool pattern_receives(uint32_t pattern)
{
	return pattern != SEA_PUSH && pattern != SEA_PUB;
}

static bool patterns_fit(uint32_t ours, uint32_t theirs)
{
	static const uint32_t fitting[] = {
		[SEA_PUSH] = SEA_PULL, [SEA_PULL] = SEA_PUSH, [SEA_PAIR] = SEA_PAIR, [SEA_REQ] = SEA_REP,
		[SEA_REP] = SEA_REQ,   [SEA_PUB] = SEA_SUB,   [SEA_SUB] = SEA_PUB,
	};

	return ours < sizeof(fitting) / sizeof(fitting[0]) && fitting[ours] == theirs;
}

/* A queue holds the sum of both ends' settings, and at least one message. */
static uint64_t link_capacity(uint64_t sender, uint64_t receiver)
{
	uint64_t sum = sender + receiver;

	return sum == 0 ? 1 : sum > SEA_CHANNEL_BUF_MAX ? SEA_CHANNEL_BUF_MAX : sum;
}

static uint32_t link_n_slots(uint64_t capacity)
{
	uint32_t n = 2;

	while (n < capacity)
		n *= 2;
	return n;
}

static struct seai_link *link_new(struct seai_conn *conn, struct seai_endpoint *endpoint, uint64_t id)
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

static void link_free(struct seai_link *link)
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

void seai_link_destroy(struct seai_link *link)
{
	link_free(link);
}

static struct seai_link *link_find(struct seai_wire *wire, const struct seai_conn *conn, uint64_t id)
{
	for (struct seai_link *link = wire->links; link; link = link->next)
		if (link->conn == conn && link->id == id)
			return link;
	return NULL;
}

static void link_send(struct seai_link *link, enum seai_control_type type, int error, const int *fds, unsigned n_fds)
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

/* An attempt that came to nothing. */
static void link_give_up(struct seai_link *link)
{
	link->endpoint->n_links--;
	link_free(link);
}

int seai_link_open(struct seai_conn *conn, struct seai_target *target)
{
	struct seai_endpoint *endpoint = target->endpoint;
	struct seai_control control = { .type = SEAI_CONTROL_OPEN };
	struct seai_link *link = link_new(conn, endpoint, seai_random());
	int peer_fd, r;

	if (!link)
		return -ENOMEM;
	link->is_initiator = true;
	r = seai_doorbell_new(&link->bell_out_fd, &peer_fd);
	if (r < 0) {
		link_give_up(link);
		return r;
	}
	link->target = target;
	target->link = link;
	control.open.link_id = link->id;
	control.open.pattern = endpoint->pattern;
	control.open.n_send = endpoint->n_send;
	control.open.n_receive = endpoint->n_receive;
	memcpy(control.open.address, target->name, sizeof(control.open.address));
	seai_control_send(conn, &control, &peer_fd, 1);
	SEAI_POINT("link: OPEN sent");
	seai_close(peer_fd);
	return 0;
}

static struct seai_endpoint *link_find_bound(struct seai_wire *wire, const char *name)
{
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next)
		for (uint32_t i = 0; i < endpoint->n_names; i++)
			if (strcmp(endpoint->names[i], name) == 0)
				return endpoint;
	return NULL;
}

/* Capacities of both directions, from what both ends add. */
static void link_set_capacities(struct seai_link *link, uint32_t n_peer_send, uint32_t n_peer_receive)
{
	const struct seai_endpoint *endpoint = link->endpoint;

	if (pattern_sends(endpoint->pattern)) {
		link->out.capacity = link_capacity(endpoint->n_send, n_peer_receive);
		link->n_slots_mine = link_n_slots(link->out.capacity);
	}
	if (pattern_receives(endpoint->pattern)) {
		link->in.capacity = link_capacity(n_peer_send, endpoint->n_receive);
		link->n_slots_theirs = link_n_slots(link->in.capacity);
	}
	link->out.mask = link->n_slots_mine - 1;
	link->in.mask = link->n_slots_theirs - 1;
}

static int link_make_side(struct seai_link *link, int *ret_peer_fd)
{
	int r = seai_side_new(&link->mine, ret_peer_fd, link->conn->wire->session->id, link->id, link->n_slots_mine,
	                      sizeof(struct seai_descriptor));

	if (r == 0)
		link->out.slots = (struct seai_descriptor *)(void *)(link->mine + 1);
	return r;
}

static int link_attach_side(struct seai_link *link, int fd)
{
	int r = seai_side_attach(&link->theirs, fd, link->peer_id, link->id, link->n_slots_theirs,
	                         sizeof(struct seai_descriptor));

	if (r == 0) {
		link->in.slots = (const struct seai_descriptor *)(const void *)(link->theirs + 1);
		link->out.theirs = link->theirs;
	}
	return r;
}

static void link_become_open(struct seai_link *link)
{
	link->conn->wire->retry_after_ns = 0;
	atomic_store_explicit(&link->state, SEAI_LINK_OPEN, memory_order_release);
	atomic_store_explicit(&link->endpoint->error, 0, memory_order_relaxed);
	if (link->endpoint->pattern == SEA_SUB)
		seai_topics_greet(link);
	link->endpoint->on_link(link->endpoint, link);
}

const char *seai_pattern_name(uint32_t pattern)
{
	static const char *const names[] = { "?",   "push", "pull", "pair", "req",    "rep",
		                             "pub", "sub",  "xpub", "xsub", "dealer", "router" };

	pattern &= ~SEAI_PATTERN_ZEROMQ;
	return names[pattern < sizeof(names) / sizeof(names[0]) ? pattern : 0];
}

static const char *pattern_transport(uint32_t pattern)
{
	return pattern & SEAI_PATTERN_ZEROMQ ? "over libzmq" : "over shared memory";
}

/* Once a channel: the peer tries again and again. */
static void link_refuse_pattern(struct seai_conn *conn, struct seai_endpoint *endpoint, const char *name,
                                uint32_t pattern)
{
	if (endpoint->has_warned)
		return;
	endpoint->has_warned = true;
	seai_log(conn->wire->session, SEA_LOG_WARNING,
	         "%s: refused %s, whose channel is %s %s: it does not fit the %s %s here", name + 2, conn->peer_name,
	         seai_pattern_name(pattern), pattern_transport(pattern), seai_pattern_name(endpoint->pattern),
	         pattern_transport(endpoint->pattern));
}

void seai_link_on_open(struct seai_conn *conn, const struct seai_control *control, int *fd)
{
	struct seai_wire *wire = conn->wire;
	struct seai_control refusal = { .type = SEAI_CONTROL_REFUSE };
	struct seai_endpoint *endpoint;
	struct seai_link *link = NULL;
	char name[SEAI_ADDRESS_N_BYTES];
	int fds[2] = { -1, -1 }, r;

	memcpy(name, control->open.address, sizeof(name));
	name[sizeof(name) - 1] = 0;
	refusal.link.link_id = control->open.link_id;
	refusal.link.error = ENOENT;
	endpoint = link_find_bound(wire, name);
	if (endpoint && endpoint->pattern & control->open.pattern & SEAI_PATTERN_ZEROMQ) {
		/* They meet elsewhere. */
		refusal.link.error = EALREADY;
		endpoint = NULL;
	}
	if (endpoint && !patterns_fit(endpoint->pattern, control->open.pattern)) {
		link_refuse_pattern(conn, endpoint, name, control->open.pattern);
		refusal.link.error = EPROTOTYPE;
		endpoint = NULL;
	}
	if (endpoint && conn->n_links >= LINK_N_PER_CONN_MAX) {
		refusal.link.error = EMFILE;
		endpoint = NULL;
	}
	/* A pair has one peer at a time. */
	if (endpoint && endpoint->pattern == SEA_PAIR && seai_endpoint_has_peer(wire, endpoint)) {
		refusal.link.error = EBUSY;
		endpoint = NULL;
	}
	if (endpoint && control->n_fds == 1 && *fd < 0) {
		/* Lost on the way in: no descriptor is left here. */
		refusal.link.error = EMFILE;
		endpoint = NULL;
	}
	if (!endpoint || *fd < 0 || control->open.link_id == 0 || link_find(wire, conn, control->open.link_id) ||
	    control->open.n_send > SEA_CHANNEL_BUF_MAX || control->open.n_receive > SEA_CHANNEL_BUF_MAX) {
		seai_control_send(conn, &refusal, NULL, 0);
		return;
	}
	link = link_new(conn, endpoint, control->open.link_id);
	if (!link) {
		refusal.link.error = ENOMEM;
		seai_control_send(conn, &refusal, NULL, 0);
		return;
	}
	r = seai_doorbell_accept(fd, &link->bell_in_fd);
	if (r == 0)
		r = seai_doorbell_new(&link->bell_out_fd, &fds[0]);
	if (r == 0) {
		link_set_capacities(link, control->open.n_send, control->open.n_receive);
		r = link_make_side(link, &fds[1]);
	}
	if (r < 0) {
		refusal.link.error = -r;
		seai_control_send(conn, &refusal, NULL, 0);
		link_give_up(link);
	} else {
		SEAI_POINT("link: before ACCEPT");
		link_send(link, SEAI_CONTROL_ACCEPT, 0, fds, 2);
	}
	SEAI_POINT("link: ACCEPT sent");
	seai_close(fds[0]);
	seai_close(fds[1]);
}

void seai_link_on_accept(struct seai_conn *conn, const struct seai_control *control, int fds[2])
{
	struct seai_link *link = link_find(conn->wire, conn, control->link.link_id);
	int side_fd = -1, r;

	if (!link || !link->is_initiator || link->mine || atomic_load(&link->state) != SEAI_LINK_OPENING)
		return;
	if (!link->endpoint) { /* its channel was closed meanwhile */
		link_send(link, SEAI_CONTROL_CLOSE, 0, NULL, 0);
		link_free(link);
		return;
	}
	if (fds[0] < 0 || fds[1] < 0 || control->link.n_send > SEA_CHANNEL_BUF_MAX ||
	    control->link.n_receive > SEA_CHANNEL_BUF_MAX) {
		r = control->n_fds == 2 && fds[1] < 0 ? -EMFILE : -EBADMSG;
	} else {
		link_set_capacities(link, control->link.n_send, control->link.n_receive);
		r = seai_doorbell_accept(&fds[0], &link->bell_in_fd);
		if (r == 0)
			r = link_attach_side(link, fds[1]);
		if (r == 0)
			r = link_make_side(link, &side_fd);
	}
	if (r < 0) {
		link_send(link, SEAI_CONTROL_CLOSE, -r, NULL, 0);
		conn->wire->wants_retry = true;
		link_give_up(link);
		conn->wire->n_refused += r == -EBADMSG;
		return;
	}
	SEAI_POINT("link: before START");
	link_send(link, SEAI_CONTROL_START, 0, &side_fd, 1);
	SEAI_POINT("link: START sent");
	seai_close(side_fd);
	/* Open as soon as the peer says that it has mapped it: what is published before might never be read. */
}

void seai_link_on_start(struct seai_conn *conn, const struct seai_control *control, int *fd)
{
	struct seai_link *link = link_find(conn->wire, conn, control->link.link_id);
	int r;

	if (!link || atomic_load(&link->state) != SEAI_LINK_OPENING ||
	    (link->is_initiator ? !link->mine : link->theirs != NULL))
		return;
	if (link->is_initiator) { /* the answer */
		if (link->endpoint) {
			link_become_open(link);
		} else { /* its channel was closed meanwhile */
			atomic_store_explicit(&link->state, SEAI_LINK_OPEN, memory_order_release);
			seai_link_let_go(link);
		}
		return;
	}
	r = *fd >= 0 ? link_attach_side(link, *fd) : control->n_fds == 1 ? -EMFILE : -EBADMSG;
	if (r < 0 || !link->endpoint) {
		link_send(link, SEAI_CONTROL_CLOSE, r < 0 ? -r : 0, NULL, 0);
		if (link->endpoint)
			link_give_up(link);
		else
			link_free(link);
		conn->wire->n_refused += r == -EBADMSG;
		return;
	}
	SEAI_POINT("link: START received");
	/* Before anything is published, so that it is read before this process's end. */
	link_send(link, SEAI_CONTROL_START, 0, NULL, 0);
	link_become_open(link);
}

void seai_link_on_refuse(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_link *link = link_find(conn->wire, conn, control->link.link_id);

	if (!link || !link->is_initiator || atomic_load(&link->state) != SEAI_LINK_OPENING)
		return;
	if (control->link.error == EPROTOTYPE && link->endpoint) {
		if (!atomic_load_explicit(&link->endpoint->error, memory_order_relaxed))
			seai_log(
				conn->wire->session, SEA_LOG_WARNING,
				"%s: refused by %s: the channel there has a pattern or transport that does not fit the %s %s here",
				link->target ? link->target->name + 2 : "?", conn->peer_name,
				seai_pattern_name(link->endpoint->pattern), pattern_transport(link->endpoint->pattern));
		atomic_store_explicit(&link->endpoint->error, -EPROTOTYPE, memory_order_relaxed);
		link->endpoint->on_refuse(link->endpoint);
	}
	/* It may be bound, free, or better off in a while. */
	if (control->link.error == EALREADY && link->target)
		link->target->is_done = true;
	else
		conn->wire->wants_retry = true;
	if (link->endpoint)
		link_give_up(link);
	else
		link_free(link);
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
	struct seai_link *link = link_find(conn->wire, conn, control->link.link_id);

	if (!link)
		return;
	switch (atomic_load(&link->state)) {
	case SEAI_LINK_OPENING:
		conn->wire->wants_retry = true;
		if (link->endpoint)
			link_give_up(link);
		else
			link_free(link);
		return;
	case SEAI_LINK_OPEN:
		atomic_store_explicit(&link->state, SEAI_LINK_CLOSED, memory_order_release);
		if (link->endpoint) {
			link->endpoint->on_change(link->endpoint, link);
			return;
		}
		/* Both ends have closed it: nothing more can come. */
		link_return_rest(link);
		link_free(link);
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
		link_send(link, SEAI_CONTROL_CLOSE, 0, NULL, 0);
		return;
	}
	if (state == SEAI_LINK_CLOSED)
		link_send(link, SEAI_CONTROL_CLOSE, 0, NULL, 0);
	link_free(link);
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
			link_free(link);
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

bool seai_endpoint_has_peer(struct seai_wire *wire, const struct seai_endpoint *endpoint)
{
	for (const struct seai_link *link = wire->links; link; link = link->next)
		if (link->endpoint == endpoint && atomic_load(&link->state) <= SEAI_LINK_OPEN)
			return true;
	return false;
}

void seai_endpoints_run_idle(struct seai_wire *wire)
{
	for (;;) {
		struct seai_endpoint *endpoint;
		bool again;

		{
			SEAI_LOCKED(&wire->control, control);
			endpoint = wire->endpoints;
			while (endpoint && !(endpoint->wants_idle && endpoint->on_idle))
				endpoint = endpoint->next;
			if (!endpoint)
				break;
			endpoint->wants_idle = false;
			endpoint->is_idling = true;
		}
		again = endpoint->on_idle(endpoint);
		{
			SEAI_LOCKED(&wire->control, control);
			endpoint->is_idling = false;
			wire->n_idle_again += again;
			endpoint->wants_idle_again = again;
		}
	}
	SEAI_LOCKED(&wire->control, control);
	if (!wire->n_idle_again)
		return;
	/* In the next round, after a while. */
	wire->n_idle_again = 0;
	wire->wants_retry = true;
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next) {
		endpoint->wants_idle |= endpoint->wants_idle_again;
		endpoint->wants_idle_again = false;
	}
}

void seai_endpoint_hold_off(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	for (;;) {
		{
			SEAI_LOCKED(&wire->control, control);
			endpoint->on_idle = NULL;
			if (!endpoint->is_idling)
				return;
		}
		sched_yield();
	}
}

void seai_endpoint_add(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	endpoint->id = wire->next_endpoint_id++;
	endpoint->next = wire->endpoints;
	wire->endpoints = endpoint;
}

void seai_endpoint_remove(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	for (struct seai_endpoint **at = &wire->endpoints; *at; at = &(*at)->next)
		if (*at == endpoint) {
			*at = endpoint->next;
			break;
		}
	for (struct seai_target **at = &wire->targets; *at;) {
		struct seai_target *target = *at;

		if (target->endpoint != endpoint) {
			at = &target->next;
			continue;
		}
		*at = target->next;
		if (target->link)
			target->link->target = NULL;
		free(target);
	}
	for (struct seai_link *link = wire->links, *next; link; link = next) {
		next = link->next;
		if (link->endpoint == endpoint)
			seai_link_let_go(link);
	}
}
