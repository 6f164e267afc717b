/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service thread: one per session. It sleeps until a peer, a death, a change of the directory, or
 * this process wants something, and never makes a call that can block.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <sealane/channel.h>

#include "base/clock.h"
#include "memory/done.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "memory/region.h"
#include "wire/endpoint.h"
#include "wire/events.h"
#include "wire/link.h"
#include "wire/records.h"
#include "wire/status.h"
#include "wire/wire.h"

/* How often what cannot be waited for is tried again: retired arenas that somebody still has mapped, a full backlog. */
#define SERVICE_RETRY_MIN_NS (2 * SEAI_NS_PER_MS)
#define SERVICE_RETRY_MAX_NS (256 * SEAI_NS_PER_MS)
/* How often addresses are tried where the directory cannot be watched. */
#define SERVICE_LOOK_NS (20 * SEAI_NS_PER_MS)

void seai_wire_poke(struct seai_wire *wire)
{
	int saved = errno;

	/* One write for any number of pokes until the thread has seen them. */
	if (!atomic_exchange_explicit(&wire->is_poked, true, memory_order_acq_rel))
		(void)!write(wire->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	errno = saved;
}

int seai_wire_watch(struct seai_wire *wire, int fd, uint32_t events, void *pointer)
{
	struct epoll_event event = { .events = events, .data.ptr = pointer };

	return epoll_ctl(wire->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void seai_wire_pause_listening(struct seai_wire *wire, bool paused)
{
	struct epoll_event event = { .events = paused ? 0 : EPOLLIN, .data.ptr = &wire->listen_fd };

	if (paused == wire->is_listen_paused)
		return;
	wire->is_listen_paused = paused;
	epoll_ctl(wire->epoll_fd, EPOLL_CTL_MOD, wire->listen_fd, &event);
}

/* Tries what is not connected. Returns whether something should be tried again soon. */
static bool service_connect(struct seai_wire *wire)
{
	bool again = false;

	wire->targets_dirty = false;
	for (struct seai_target *target = wire->targets; target; target = target->next) {
		struct seai_conn *conn;
		uint64_t peer_id;
		int r;

		/* A pair has one peer at a time. */
		if (target->link || target->is_done ||
		    (target->endpoint->pattern == SEA_PAIR && seai_endpoint_has_peer(wire, target->endpoint)))
			continue;
		peer_id = seai_directory_resolve(wire, target->name);
		if (!peer_id) {
			if (!target->was_sought)
				seai_abroad_look(wire, target);
			target->was_sought = true;
			continue;
		}
		r = seai_conn_get(wire, peer_id, &conn);
		if (r < 0) {
			/* ECONNREFUSED, ENOENT: a leftover of the dead; its successor will show up in the directory. */
			again |= r != -ECONNREFUSED && r != -ENOENT;
			continue;
		}
		if (conn->state != SEAI_CONN_OPEN)
			continue; /* its hello makes us look again */
		r = seai_link_open(conn, target);
		again |= r < 0;
	}
	return again;
}

static void service_read_inotify(struct seai_wire *wire)
{
	char events[4096] __attribute__((aligned(8)));

	while (read(wire->inotify_fd, events, sizeof(events)) > 0)
		;
	wire->targets_dirty = true;
	seai_events_look_around(wire);
}

static bool service_has_unconnected(const struct seai_wire *wire)
{
	for (const struct seai_target *target = wire->targets; target; target = target->next)
		if (!target->link && !target->is_done)
			return true;
	return false;
}

/* Peers that connected and do not say hello. Returns whether there are some left to wait for. */
static bool service_check_hellos(struct seai_wire *wire)
{
	int64_t now_ns = 0;
	bool has_some = false;

	for (struct seai_conn *conn = wire->conns; conn; conn = conn->next) {
		if (conn->state != SEAI_CONN_HELLO || conn->is_doomed || conn->is_initiator)
			continue; /* one that we called may be stopped: that is no reason to give it up */
		if (!now_ns)
			now_ns = seai_now_ns();
		if (now_ns > conn->hello_deadline_ns) {
			wire->n_refused++;
			seai_conn_doom(conn, "it did not say hello");
		} else {
			has_some = true;
		}
	}
	return has_some;
}

static void service_handle(struct seai_wire *wire, const struct epoll_event *event)
{
	struct seai_conn *conn;

	if (event->data.ptr == &wire->wake_fd) {
		(void)!read(wire->wake_fd, &(uint64_t){ 0 }, sizeof(uint64_t));
		/*
		 * After the read, or a poke between the two would be read away and silence all that follow it. One that still
		 * finds the flag set need not write: acquire makes what it is about visible to the work that comes next.
		 */
		atomic_exchange_explicit(&wire->is_poked, false, memory_order_acq_rel);
		return;
	}
	if (event->data.ptr == &wire->listen_fd) {
		seai_conn_accept_backlog(wire);
		return;
	}
	if (event->data.ptr == &wire->inotify_fd) {
		service_read_inotify(wire);
		return;
	}
	conn = event->data.ptr;
	if (conn->state == SEAI_CONN_DEAD)
		return; /* ended by an event before this one */
	if (event->events & EPOLLOUT)
		seai_conn_flush(conn);
	seai_conn_read(conn);
	if (conn->pidfd >= 0) {
		struct pollfd pollfd = { .fd = conn->pidfd, .events = POLLIN };

		/* The end of the process comes before the end of its socket where a child of it has inherited that. */
		if (poll(&pollfd, 1, 0) > 0)
			seai_conn_doom(conn, "its process has ended");
	}
	if (event->events & (EPOLLHUP | EPOLLERR) && conn->fd >= 0)
		seai_conn_read(conn);
}

/* Records that came while somebody armed: nobody rings for them. */
static void service_drain(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;
	SEAI_LOCKED(&session->books, books);

	if (!wire->must_drain)
		return;
	wire->must_drain = false;
	if (seai_records_drain(session))
		seai_note_release(session);
	seai_records_arm(session);
}

/* What was lacking may be there again. Not at once: who lacks something says no as fast as it is asked. */
static void service_retry(struct seai_wire *wire)
{
	if (!wire->retry_at_ns || seai_now_ns() < wire->retry_at_ns)
		return;
	wire->retry_at_ns = 0;
	wire->targets_dirty |= wire->wants_retry;
	wire->wants_retry = false;
	seai_wire_pause_listening(wire, false);
	seai_introductions_retry(wire);
}

/* When to try again, each time later, until something works; 0: nothing to be tried. */
static int64_t service_set_retry(struct seai_wire *wire)
{
	if (!wire->wants_retry && !wire->is_listen_paused && !wire->n_introductions) {
		wire->retry_at_ns = 0;
	} else if (!wire->retry_at_ns) {
		wire->retry_after_ns = wire->retry_after_ns ? 2 * wire->retry_after_ns : SERVICE_RETRY_MIN_NS;
		if (wire->retry_after_ns > SERVICE_RETRY_MAX_NS)
			wire->retry_after_ns = SERVICE_RETRY_MAX_NS;
		wire->retry_at_ns = seai_now_ns() + wire->retry_after_ns;
	}
	return wire->retry_at_ns;
}

/* One round of work after events. Returns in how many ns to look again; -1: when something happens. */
static int64_t service_work(struct seai_wire *wire, int64_t *retry_ns)
{
	struct sea_session *session = wire->session;
	bool soon = false, look = false, hellos = false, has_dying;
	int64_t retry_at_ns;

	{
		SEAI_LOCKED(&wire->control, control);
		service_retry(wire);
		seai_wire_bury(wire);
		seai_wire_ask_settlements(wire);
		seai_link_free_finished(wire);
		seai_attachment_look_for_dead(wire);
		for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
			seai_records_flush(conn);
		service_drain(wire);
		if (wire->targets_dirty || wire->inotify_fd < 0)
			wire->wants_retry |= service_connect(wire);
		look = wire->inotify_fd < 0 && service_has_unconnected(wire);
		hellos = service_check_hellos(wire);
		has_dying = wire->has_dying_owners;
		retry_at_ns = service_set_retry(wire);
	}
	seai_attachment_reap(wire);
	soon |= seai_retire_own(wire);
	{
		SEAI_LOCKED(&wire->control, control);
		soon |= wire->dying != NULL || has_dying ||
		        atomic_load_explicit(&wire->has_stuck, memory_order_relaxed);
	}
	while (seai_session_punch_next(session))
		;
	seai_quota_give_back(wire);
	/* Huge pages by collapsing, away from the data path. */
	while (seai_session_collapse_next(session))
		;
	seai_endpoints_run_idle(wire);
	seai_events_run(wire);
	seai_done_run_callback(session);
	seai_regions_run_callbacks(session);
	if (soon)
		*retry_ns = *retry_ns < SERVICE_RETRY_MAX_NS ? 2 * *retry_ns : SERVICE_RETRY_MAX_NS;
	else
		*retry_ns = SERVICE_RETRY_MIN_NS / 2;
	if (retry_at_ns && (!soon || *retry_ns > retry_at_ns - seai_now_ns()))
		return retry_at_ns > seai_now_ns() ? retry_at_ns - seai_now_ns() : 0;
	if (look && (!soon || *retry_ns > SERVICE_LOOK_NS))
		return SERVICE_LOOK_NS;
	return soon ? *retry_ns : hellos ? SEAI_NS_PER_S : -1;
}

static void *service_main(void *argument)
{
	struct seai_wire *wire = argument;
	int64_t retry_ns = SERVICE_RETRY_MIN_NS / 2;

	prctl(PR_SET_NAME, "sealane", 0, 0, 0);
	while (!atomic_load_explicit(&wire->stop, memory_order_acquire)) {
		struct epoll_event events[64];
		int64_t wait_ns = service_work(wire, &retry_ns), beat_ns = seai_status_beat(wire);
		int n;

		if (wait_ns < 0 || (beat_ns >= 0 && beat_ns < wait_ns))
			wait_ns = beat_ns;

		if (atomic_load_explicit(&wire->stop, memory_order_acquire))
			break;
		/* Milliseconds do: what has to be exact is not waited for here. */
		n = epoll_wait(wire->epoll_fd, events, 64,
		               wait_ns < 0 ? -1 : (int)((wait_ns + SEAI_NS_PER_MS - 1) / SEAI_NS_PER_MS));
		SEAI_LOCKED(&wire->control, control);
		for (int i = 0; i < n; i++)
			service_handle(wire, &events[i]);
	}
	return NULL;
}

int seai_wire_start(struct seai_wire *wire)
{
	sigset_t all, before;
	int r;

	/* The thread inherits a mask in which everything is blocked: signals are the program's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&wire->thread, NULL, service_main, wire);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	wire->has_thread = r == 0;
	return -r;
}

void seai_wire_stop(struct seai_wire *wire)
{
	if (!wire->has_thread)
		return;
	atomic_store_explicit(&wire->stop, true, memory_order_release);
	(void)!write(wire->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	pthread_join(wire->thread, NULL);
	wire->has_thread = false;
}
