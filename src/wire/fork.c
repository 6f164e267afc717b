/* SPDX-License-Identifier: Apache-2.0 */
/* The fork handlers; see fork.h. */
#include "wire/fork.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/point.h"
#include "memory/heap.h"
#include "memory/region.h"
#include "wire/endpoint.h"
#include "wire/link.h"
#include "wire/wire.h"

static struct seai_lock fork_lock; /* guards the list */
static struct sea_session **fork_sessions;
static size_t fork_n_sessions;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_error;

/* So that the child finds lists whole: no other thread is in the middle of changing one. */
static void fork_prepare(void)
{
	seai_lock_take(&fork_lock);
	for (size_t i = 0; i < fork_n_sessions; i++) {
		seai_lock_take(&fork_sessions[i]->wire->control);
		seai_lock_take(&fork_sessions[i]->books);
		seai_lock_take(&fork_sessions[i]->wire->finished_lock);
	}
}

static void fork_parent(void)
{
	SEAI_POINT("fork: in the parent, locks held");
	for (size_t i = fork_n_sessions; i > 0; i--) {
		seai_lock_release(&fork_sessions[i - 1]->wire->finished_lock);
		seai_lock_release(&fork_sessions[i - 1]->books);
		seai_lock_release(&fork_sessions[i - 1]->wire->control);
	}
	seai_lock_release(&fork_lock);
}

static void fork_close_conns(struct seai_conn *conn)
{
	for (; conn; conn = conn->next) {
		conn->fd = seai_close(conn->fd);
		conn->pidfd = seai_close(conn->pidfd);
		for (struct seai_queued *queued = conn->queue; queued; queued = queued->next) {
			queued->fds[0] = seai_close(queued->fds[0]);
			queued->fds[1] = seai_close(queued->fds[1]);
		}
	}
}

static void fork_close_attached(struct seai_attached *attached)
{
	for (; attached; attached = attached->next) {
		attached->fd = seai_close(attached->fd);
		attached->payload_fd = seai_close(attached->payload_fd);
	}
}

static void fork_child(void)
{
	for (size_t i = 0; i < fork_n_sessions; i++) {
		struct sea_session *session = fork_sessions[i];
		struct seai_wire *wire = session->wire;

		atomic_store(&session->forked, true);
		fork_close_conns(wire->conns);
		for (struct seai_link *link = wire->links; link; link = link->next) {
			link->bell_in_fd = seai_close(link->bell_in_fd);
			link->bell_out_fd = seai_close(link->bell_out_fd);
		}
		for (unsigned j = 0; j < SEAI_N_ATTACHED_BUCKETS; j++)
			fork_close_attached(wire->attached[j]);
		fork_close_attached(wire->dying);
		fork_close_attached(wire->pinned);
		for (uint32_t j = 0; j < session->n_arena_slots; j++)
			if (session->arenas[j]) {
				session->arenas[j]->ro_fd = seai_close(session->arenas[j]->ro_fd);
				session->arenas[j]->rw_fd = seai_close(session->arenas[j]->rw_fd);
				session->arenas[j]->payload_fd = seai_close(session->arenas[j]->payload_fd);
			}
		for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next)
			if (endpoint->on_fork)
				endpoint->on_fork(endpoint);
		wire->listen_fd = seai_close(wire->listen_fd);
		wire->status_fd = seai_close(wire->status_fd);
		wire->dir_fd = seai_close(wire->dir_fd);
		wire->inotify_fd = seai_close(wire->inotify_fd);
		wire->epoll_fd = seai_close(wire->epoll_fd);
		wire->wake_fd = seai_close(wire->wake_fd);
		session->done_fd = seai_close(session->done_fd);
		for (struct sea_region *region = session->regions; region; region = region->next)
			region->fd = seai_close(region->fd);
		wire->has_thread = false;
		/* Taken in fork_prepare(); a call here that has no error to return may take them again. */
		seai_lock_reset(&wire->finished_lock);
		seai_lock_reset(&session->books);
		seai_lock_reset(&wire->control);
	}
	/* The child may open sessions of its own. */
	fork_n_sessions = 0;
	seai_lock_reset(&fork_lock);
}

static void fork_install(void)
{
	fork_error = pthread_atfork(fork_prepare, fork_parent, fork_child);
}

int seai_fork_add(struct sea_session *session)
{
	struct sea_session **sessions;

	pthread_once(&fork_once, fork_install);
	if (fork_error)
		return -fork_error;
	SEAI_LOCKED(&fork_lock, lock);
	sessions = realloc(fork_sessions, (fork_n_sessions + 1) * sizeof(struct sea_session *));
	if (!sessions)
		return -ENOMEM;
	fork_sessions = sessions;
	fork_sessions[fork_n_sessions++] = session;
	return 0;
}

void seai_fork_remove(struct sea_session *session)
{
	SEAI_LOCKED(&fork_lock, lock);
	for (size_t i = 0; i < fork_n_sessions; i++)
		if (fork_sessions[i] == session)
			fork_sessions[i] = fork_sessions[--fork_n_sessions];
	if (fork_n_sessions == 0) {
		free(fork_sessions);
		fork_sessions = NULL;
	}
}
