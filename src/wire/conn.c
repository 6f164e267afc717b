/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: made, greeted, read. A peer is nobody before its hello was checked, and what it sends
 * afterwards is checked message by message; one malformed message ends the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kernel.h"
#include "base/peer.h"
#include "base/point.h"
#include "memory/message.h"
#include "wire/events.h"
#include "wire/link.h"
#include "wire/records.h"
#include "wire/request.h"
#include "wire/resolver.h"
#include "wire/side.h"
#include "wire/topics.h"

/* A peer that connects and says nothing is dropped after this. */
#define CONN_HELLO_TIMEOUT_NS (5 * SEAI_NS_PER_S)

void seai_conn_doom(struct seai_conn *conn, const char *why)
{
	if (conn->is_doomed || conn->state == SEAI_CONN_DEAD)
		return;
	conn->is_doomed = true;
	if (why)
		seai_log(conn->wire->session, SEA_LOG_DEBUG, "peer %016llx %s: %s", (unsigned long long)conn->peer_id,
		         conn->peer_name, why);
	seai_wire_poke(conn->wire);
}

static void conn_refuse(struct seai_conn *conn, const char *why)
{
	if (conn->is_doomed)
		return;
	conn->is_refused = true;
	conn->wire->n_refused++;
	seai_log(conn->wire->session, SEA_LOG_WARNING, "refused peer %s: %s",
	         conn->peer_name[0] ? conn->peer_name : "without a name", why);
	seai_conn_doom(conn, why);
}

/* Whether the process at the other end may take part: same user, or a member of the session's group. */
static bool conn_is_allowed(const struct seai_wire *wire, int fd)
{
	struct ucred credentials;
	socklen_t n_bytes = sizeof(credentials);
	gid_t groups[256];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n_bytes) < 0)
		return false;
	if (credentials.uid == geteuid() || credentials.uid == 0)
		return true;
	if (!wire->group_id)
		return false;
	if (credentials.gid == wire->group_id)
		return true;
	n_bytes = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n_bytes) < 0)
		return false;
	for (size_t i = 0; i < n_bytes / sizeof(groups[0]); i++)
		if (groups[i] == wire->group_id)
			return true;
	return false;
}

static int conn_new(struct seai_wire *wire, int *fd, bool is_initiator, struct seai_conn **ret_conn)
{
	struct seai_conn *conn = calloc(1, sizeof(*conn));
	struct seai_control hello = { .type = SEAI_CONTROL_HELLO };
	SEAI_AUTO_FD int side_fd = -1;
	int r;

	if (!conn)
		return -ENOMEM;
	conn->wire = wire;
	conn->fd = *fd;
	conn->pidfd = -1;
	conn->holder = SEAI_HOLDER_NONE;
	conn->is_initiator = is_initiator;
	conn->queue_end = &conn->queue;
	conn->hello_deadline_ns = seai_now_ns() + CONN_HELLO_TIMEOUT_NS;
	r = seai_records_init(conn, &side_fd);
	if (r < 0) {
		free(conn);
		return r;
	}
	r = seai_wire_watch(wire, conn->fd, EPOLLIN, conn);
	if (r < 0) {
		seai_side_unmap(conn->writer.mine, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
		free(conn);
		return r;
	}
	seai_take_fd(fd);
	conn->next = wire->conns;
	wire->conns = conn;
	hello.hello.version_min = SEAI_WIRE_VERSION_MIN;
	hello.hello.version_max = SEAI_WIRE_VERSION_MAX;
	hello.hello.session_id = wire->session->name_hash;
	hello.hello.process_id = wire->session->id;
	hello.hello.flags = (wire->asymmetric ? SEAI_HELLO_ASYMMETRIC : 0) |
	                    (wire->session->trusts_files ? SEAI_HELLO_TRUSTS_FILES : 0);
	memcpy(hello.hello.process_name, wire->session->process_name, sizeof(hello.hello.process_name));
	SEAI_POINT("hello: before it is sent");
	/* The first message into an empty socket: it is there before we go on, so the hello needs no answer. */
	seai_control_send(conn, &hello, &side_fd, 1);
	SEAI_POINT("hello: sent");
	*ret_conn = conn;
	return 0;
}

int seai_conn_connect(struct seai_wire *wire, uint64_t peer_id, const char *file_name, struct seai_conn **ret_conn)
{
	SEAI_AUTO_FD int fd = seai_directory_connect(wire, file_name);
	int r;

	if (fd < 0)
		return fd;
	if (!conn_is_allowed(wire, fd)) {
		wire->n_refused++;
		return -EACCES;
	}
	SEAI_POINT("hello: connected");
	r = conn_new(wire, &fd, true, ret_conn);
	if (r == 0)
		(*ret_conn)->peer_id = peer_id;
	return r;
}

bool seai_conn_accept_backlog(struct seai_wire *wire)
{
	/* Bounded, so that a flood of connections cannot keep the thread here for ever. */
	for (int i = 0; i < 4096; i++) {
		SEAI_AUTO_FD int fd = accept4(wire->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct seai_conn *conn;

		if (fd < 0) {
			/* EMFILE: the backlog stays; who waits there is served when a descriptor is free again. */
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno == EAGAIN)
				return true;
			seai_wire_pause_listening(wire, true);
			return false;
		}
		SEAI_POINT("hello: accepted");
		if (!conn_is_allowed(wire, fd)) {
			wire->n_refused++;
			seai_log(wire->session, SEA_LOG_WARNING, "refused a connection of another user");
			continue;
		}
		if (conn_new(wire, &fd, false, &conn) < 0) {
			/* Its hello goes with it. */
			wire->is_blind = true;
			seai_wire_pause_listening(wire, true);
			return false;
		}
		seai_conn_read(conn);
	}
	return false;
}

struct seai_conn *seai_conn_find(struct seai_wire *wire, uint64_t peer_id)
{
	struct seai_conn *found = NULL;

	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next) {
		if (conn->peer_id != peer_id || conn->is_doomed)
			continue;
		/* Of two, the one that this process made, so that both ends need not agree on one. */
		if (!found || (conn->is_initiator && !found->is_initiator))
			found = conn;
	}
	return found;
}

int seai_conn_get(struct seai_wire *wire, uint64_t peer_id, struct seai_conn **ret_conn)
{
	char name[32];
	int r;

	*ret_conn = seai_conn_find(wire, peer_id);
	if (*ret_conn)
		return 0;
	snprintf(name, sizeof(name), "p-%016llx.sock", (unsigned long long)peer_id);
	r = seai_conn_connect(wire, peer_id, name, ret_conn);
	return r;
}

/* Another process that claims the identity of a living peer. */
static bool conn_is_impostor(const struct seai_conn *conn, uint64_t claimed_id)
{
	struct ucred ours, theirs;
	socklen_t n_bytes = sizeof(ours);

	if (claimed_id == conn->wire->session->id) {
		/* A process that is connected to itself. */
		return getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &ours, &n_bytes) < 0 || ours.pid != getpid();
	}
	for (const struct seai_conn *other = conn->wire->conns; other; other = other->next) {
		if (other == conn || other->peer_id != claimed_id || other->state != SEAI_CONN_OPEN)
			continue;
		n_bytes = sizeof(ours);
		if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &ours, &n_bytes) < 0)
			return true;
		n_bytes = sizeof(theirs);
		if (getsockopt(other->fd, SOL_SOCKET, SO_PEERCRED, &theirs, &n_bytes) < 0 || ours.pid != theirs.pid)
			return true;
	}
	return false;
}

static void conn_on_hello(struct seai_conn *conn, const struct seai_control *control, int side_fd)
{
	struct seai_wire *wire = conn->wire;
	struct sea_session *session = wire->session;
	const struct seai_side *theirs;
	uint32_t holder;
	bool has_written;
	int r;

	memcpy(conn->peer_name, control->hello.process_name, sizeof(conn->peer_name));
	conn->peer_name[sizeof(conn->peer_name) - 1] = 0;
	for (char *c = conn->peer_name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (control->hello.version_min > SEAI_WIRE_VERSION_MAX || control->hello.version_max < SEAI_WIRE_VERSION_MIN) {
		conn_refuse(conn, "it speaks no version of the protocol that we do");
		return;
	}
	if (control->hello.session_id != session->name_hash) {
		conn_refuse(conn, "it belongs to another session");
		return;
	}
	if (control->hello.process_id == 0 || (conn->peer_id && conn->peer_id != control->hello.process_id) ||
	    conn_is_impostor(conn, control->hello.process_id)) {
		conn_refuse(conn, "it claims an identity that is not its own");
		return;
	}
	r = side_fd < 0 ? -EBADMSG
	                : seai_side_attach(&theirs, side_fd, control->hello.process_id, 0, SEAI_RECORD_RING_N_UNITS,
	                                   sizeof(struct seai_unit));
	if (r < 0) {
		wire->is_blind |= r == -ENOMEM;
		conn_refuse(conn, r == -ENOMEM ? "its record ring cannot be mapped"
		                               : "its record ring is not what it should be");
		return;
	}
	{
		SEAI_LOCKED(&session->books, books);
		r = seai_ledger_add_holder(session->ledger, control->hello.process_id, &holder);
	}
	if (r < 0) {
		seai_side_unmap(theirs, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
		conn_refuse(conn, "no memory");
		return;
	}
	SEAI_POINT("hello: received, peer not known");
	conn->peer_id = control->hello.process_id;
	conn->holder = holder;
	conn->state = SEAI_CONN_OPEN;
	atomic_store_explicit(&conn->asymmetric, wire->asymmetric && control->hello.flags & SEAI_HELLO_ASYMMETRIC,
	                      memory_order_relaxed);
	conn->trusts_files = control->hello.flags & SEAI_HELLO_TRUSTS_FILES;
	conn->is_counted = true;
	wire->n_peers++;
	if (conn->peer_id != session->id) {
		conn->pidfd = seai_peer_pidfd(conn->fd);
		/* Without it the end of the socket must do. */
		if (conn->pidfd >= 0 && seai_wire_watch(wire, conn->pidfd, EPOLLIN, conn) < 0)
			conn->pidfd = seai_close(conn->pidfd);
	}
	seai_records_start_reader(conn, theirs);
	SEAI_POINT("hello: peer known");
	{
		SEAI_LOCKED(&conn->writer.lock, lock);
		has_written = conn->writer.position || conn->writer.n_waiting;
	}
	/* Records that were written before their hello: they may be asleep. What is written from now on wakes them itself. */
	if (has_written) {
		struct seai_control wake = { .type = SEAI_CONTROL_WAKE };

		seai_records_flush(conn);
		(void)seai_control_try_send(conn, &wake, NULL, 0);
	}
	wire->targets_dirty = true;
	seai_events_on_peer(conn);
	seai_wire_poke(wire);
	seai_log(session, SEA_LOG_DEBUG, "peer %016llx %s is here", (unsigned long long)conn->peer_id, conn->peer_name);
}

static void conn_dispatch(struct seai_conn *conn, struct seai_control *control, int fds[2], bool is_truncated)
{
	struct seai_wire *wire = conn->wire;

	if (conn->state == SEAI_CONN_HELLO) {
		wire->is_blind |= is_truncated;
		if (control->type == SEAI_CONTROL_HELLO && !is_truncated)
			conn_on_hello(conn, control, fds[0]);
		else
			conn_refuse(conn, is_truncated ? "no file descriptor is left for its record ring"
			                               : "it did not say hello first");
		return;
	}
	switch (control->type) {
	case SEAI_CONTROL_OPEN: seai_link_on_open(conn, control, &fds[0]); break;
	case SEAI_CONTROL_ACCEPT: seai_link_on_accept(conn, control, fds); break;
	case SEAI_CONTROL_START: seai_link_on_start(conn, control, &fds[0]); break;
	case SEAI_CONTROL_REFUSE: seai_link_on_refuse(conn, control); break;
	case SEAI_CONTROL_CLOSE: seai_link_on_close(conn, control); break;
	case SEAI_CONTROL_ARENA: seai_attachment_on_arena(conn, control, fds, is_truncated); break;
	case SEAI_CONTROL_INTRODUCE: seai_introduction_on_introduce(conn, control); break;
	case SEAI_CONTROL_READY: seai_introduction_on_ready(conn, control); break;
	case SEAI_CONTROL_SETTLE: seai_wire_on_settle(conn, control); break;
	case SEAI_CONTROL_SETTLED: seai_wire_on_settled(conn, control); break;
	case SEAI_CONTROL_RETIRE: seai_attachment_on_retire(conn, control); break;
	case SEAI_CONTROL_FORGET: seai_attachment_on_forget(conn, control); break;
	case SEAI_CONTROL_RESEND: seai_attachment_on_resend(conn, control); break;
	case SEAI_CONTROL_TOPIC:
		if (!seai_topics_on_topic(conn, control))
			conn_refuse(conn, "it subscribes to what cannot be");
		break;
	case SEAI_CONTROL_SUBSCRIBE: seai_events_on_subscribe(conn); break;
	case SEAI_CONTROL_ASK: seai_resolver_on_ask(conn, control); break;
	case SEAI_CONTROL_ANSWER: seai_request_on_answer(conn, control, &fds[0]); break;
	case SEAI_CONTROL_WAKE:
		seai_records_flush(conn);
		{
			SEAI_LOCKED(&wire->session->books, books);
			if (seai_records_drain(wire->session) &&
			    !atomic_load_explicit(&wire->session->n_memory_waiters, memory_order_relaxed))
				seai_note_release(wire->session);
			if (seai_session_is_watching(wire->session))
				seai_records_arm(wire->session);
		}
		break;
	default: conn_refuse(conn, "it sent a control message of an unknown type"); break;
	}
}

static void conn_read_all(struct seai_conn *conn)
{
	/* Bounded: a peer that floods is read on in the next round. */
	for (int i = 0; i < 1024 && conn->fd >= 0 && conn->state != SEAI_CONN_DEAD && !conn->is_doomed; i++) {
		struct seai_control control;
		bool is_truncated = false;
		int fds[2];
		int r = seai_control_receive(conn, &control, fds, &is_truncated);

		if (r == -EAGAIN)
			return;
		if (r == 0) {
			/* A probe that only wanted to see whether we live says nothing; that is no refusal. */
			seai_conn_doom(conn, conn->state == SEAI_CONN_HELLO ? NULL : "it is gone");
			return;
		}
		if (r < 0) {
			conn_refuse(conn, "a malformed control message");
			return;
		}
		conn_dispatch(conn, &control, fds, is_truncated);
		seai_close(fds[0]);
		seai_close(fds[1]);
	}
}

void seai_conn_read(struct seai_conn *conn)
{
	/* What a message asks for may make us read on the same connection: once is enough. */
	if (conn->is_reading)
		return;
	conn->is_reading = true;
	conn_read_all(conn);
	conn->is_reading = false;
}

void seai_conn_free(struct seai_conn *conn)
{
	while (conn->queue) {
		struct seai_queued *queued = conn->queue;

		conn->queue = queued->next;
		seai_close(queued->fds[0]);
		seai_close(queued->fds[1]);
		free(queued);
	}
	seai_close(conn->fd);
	seai_close(conn->pidfd);
	seai_side_unmap(conn->reader.mine, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
	free(conn->writer.waiting);
	free(conn->arenas_sent);
	free(conn->introduced);
	free(conn);
}
