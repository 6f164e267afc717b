/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a link comes about: OPEN, ACCEPT, START on the control socket, or REFUSE. Control lock held.
 *
 * The odd rule: the acceptor answers START, for until it has mapped the opener's side nothing may be published there.
 */
#include "wire/link.h"

#include <errno.h>
#include <string.h>

#include <sealane/channel.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"
#include "wire/doorbell.h"
#include "wire/endpoint.h"
#include "wire/side.h"
#include "wire/topics.h"

/* More than channels that two processes have with each other: a peer that opens without end would take all our descriptors. */
#define LINK_N_PER_CONN_MAX 1024u

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

/* Capacities of both directions, from what both ends add. */
static void link_set_capacities(struct seai_link *link, uint32_t n_peer_send, uint32_t n_peer_receive)
{
	const struct seai_endpoint *endpoint = link->endpoint;

	if (seai_pattern_sends(endpoint->pattern)) {
		link->out.capacity = link_capacity(endpoint->n_send, n_peer_receive);
		link->n_slots_mine = link_n_slots(link->out.capacity);
	}
	if (seai_pattern_receives(endpoint->pattern)) {
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

int seai_link_open(struct seai_conn *conn, struct seai_target *target)
{
	struct seai_endpoint *endpoint = target->endpoint;
	struct seai_control control = { .type = SEAI_CONTROL_OPEN };
	struct seai_link *link = seai_link_new(conn, endpoint, seai_random());
	int peer_fd, r;

	if (!link)
		return -ENOMEM;
	link->is_initiator = true;
	r = seai_doorbell_new(&link->bell_out_fd, &peer_fd);
	if (r < 0) {
		seai_link_give_up(link);
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

/* Once a channel: the peer tries again and again. */
static void link_refuse_pattern(struct seai_conn *conn, struct seai_endpoint *endpoint, const char *name,
                                uint32_t pattern)
{
	if (endpoint->has_warned)
		return;
	endpoint->has_warned = true;
	seai_log(conn->wire->session, SEA_LOG_WARNING,
	         "%s: refused %s, whose channel is %s %s: it does not fit the %s %s here", name + 2, conn->peer_name,
	         seai_pattern_name(pattern), seai_pattern_transport(pattern), seai_pattern_name(endpoint->pattern),
	         seai_pattern_transport(endpoint->pattern));
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
	endpoint = seai_endpoint_find_bound(wire, name);
	if (endpoint && endpoint->pattern & control->open.pattern & SEAI_PATTERN_ZEROMQ) {
		/* They meet elsewhere. */
		refusal.link.error = EALREADY;
		endpoint = NULL;
	}
	if (endpoint && !seai_patterns_fit(endpoint->pattern, control->open.pattern)) {
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
	if (!endpoint || *fd < 0 || control->open.link_id == 0 || seai_link_find(wire, conn, control->open.link_id) ||
	    control->open.n_send > SEA_CHANNEL_BUF_MAX || control->open.n_receive > SEA_CHANNEL_BUF_MAX) {
		seai_control_send(conn, &refusal, NULL, 0);
		return;
	}
	link = seai_link_new(conn, endpoint, control->open.link_id);
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
		seai_link_give_up(link);
	} else {
		SEAI_POINT("link: before ACCEPT");
		seai_link_tell(link, SEAI_CONTROL_ACCEPT, 0, fds, 2);
	}
	SEAI_POINT("link: ACCEPT sent");
	seai_close(fds[0]);
	seai_close(fds[1]);
}

void seai_link_on_accept(struct seai_conn *conn, const struct seai_control *control, int fds[2])
{
	struct seai_link *link = seai_link_find(conn->wire, conn, control->link.link_id);
	int side_fd = -1, r;

	if (!link || !link->is_initiator || link->mine || atomic_load(&link->state) != SEAI_LINK_OPENING)
		return;
	if (!link->endpoint) { /* its channel was closed meanwhile */
		seai_link_tell(link, SEAI_CONTROL_CLOSE, 0, NULL, 0);
		seai_link_destroy(link);
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
		seai_link_tell(link, SEAI_CONTROL_CLOSE, -r, NULL, 0);
		conn->wire->wants_retry = true;
		seai_link_give_up(link);
		conn->wire->n_refused += r == -EBADMSG;
		return;
	}
	SEAI_POINT("link: before START");
	seai_link_tell(link, SEAI_CONTROL_START, 0, &side_fd, 1);
	SEAI_POINT("link: START sent");
	seai_close(side_fd);
	/* Open as soon as the peer says that it has mapped it: what is published before might never be read. */
}

void seai_link_on_start(struct seai_conn *conn, const struct seai_control *control, int *fd)
{
	struct seai_link *link = seai_link_find(conn->wire, conn, control->link.link_id);
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
		seai_link_tell(link, SEAI_CONTROL_CLOSE, r < 0 ? -r : 0, NULL, 0);
		seai_link_give_up(link);
		conn->wire->n_refused += r == -EBADMSG;
		return;
	}
	SEAI_POINT("link: START received");
	/* Before anything is published, so that it is read before this process's end. */
	seai_link_tell(link, SEAI_CONTROL_START, 0, NULL, 0);
	link_become_open(link);
}

void seai_link_on_refuse(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_link *link = seai_link_find(conn->wire, conn, control->link.link_id);

	if (!link || !link->is_initiator || atomic_load(&link->state) != SEAI_LINK_OPENING)
		return;
	if (control->link.error == EPROTOTYPE && link->endpoint) {
		if (!atomic_load_explicit(&link->endpoint->error, memory_order_relaxed))
			seai_log(
				conn->wire->session, SEA_LOG_WARNING,
				"%s: refused by %s: the channel there has a pattern or transport that does not fit the %s %s here",
				link->target ? link->target->name + 2 : "?", conn->peer_name,
				seai_pattern_name(link->endpoint->pattern),
				seai_pattern_transport(link->endpoint->pattern));
		atomic_store_explicit(&link->endpoint->error, -EPROTOTYPE, memory_order_relaxed);
		link->endpoint->on_refuse(link->endpoint);
	}
	/* It may be bound, free, or better off in a while. */
	if (control->link.error == EALREADY && link->target)
		link->target->is_done = true;
	else
		conn->wire->wants_retry = true;
	seai_link_give_up(link);
}
