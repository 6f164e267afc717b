/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing of sessions, and what the memory layer asks of the wire. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/fence.h"
#include "base/kernel.h"
#include "memory/frame.h"
#include "memory/heap-state.h"
#include "memory/meta.h"
#include "memory/region.h"
#include "wire/events.h"
#include "wire/fork.h"
#include "wire/keeper.h"
#include "wire/link.h"
#include "wire/records.h"
#include "wire/request.h"
#include "wire/resolver.h"
#include "wire/side.h"
#include "wire/status.h"
#include "wire/wire.h"

static void hook_poke(struct sea_session *session)
{
	seai_wire_poke(session->wire);
}

static bool hook_is_service_thread(struct sea_session *session)
{
	return session->wire->has_thread && pthread_equal(pthread_self(), session->wire->thread);
}

static const struct seai_session_hooks open_hooks = {
	.release = seai_records_release,
	.drain = seai_records_drain,
	.arm = seai_records_arm,
	.poke = hook_poke,
	.reserve = seai_quota_reserve,
	.is_service_thread = hook_is_service_thread,
	.adopt = seai_keeper_adopt,
};

/* FNV-1a, 64 bits: tells sessions apart, and keeps nobody out. */
static uint64_t open_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/* As many descriptors as this process may have: each link and each arena takes some. */
static void open_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int open_make_wire(struct sea_session *session, const struct sea_session_options *options)
{
	struct seai_wire *wire = calloc(1, sizeof(*wire));
	int r;

	if (!wire)
		return -ENOMEM;
	session->wire = wire;
	wire->session = session;
	wire->epoll_fd = wire->wake_fd = wire->listen_fd = wire->dir_fd = wire->status_fd = wire->inotify_fd = -1;
	wire->group_id = options->group_id;
	wire->asymmetric = seai_fence_register();
	wire->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (wire->epoll_fd < 0)
		return -errno;
	wire->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wire->wake_fd < 0)
		return -errno;
	r = seai_status_new(&wire->status);
	if (r == 0)
		r = seai_directory_open(wire, options);
	if (r < 0)
		return r;
	session->directory = wire->directory;
	r = seai_quota_open(wire, options->session_quota_n_bytes);
	if (r < 0)
		return r;
	wire->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (wire->inotify_fd >= 0 && inotify_add_watch(wire->inotify_fd, wire->directory, IN_MOVED_TO) < 0)
		wire->inotify_fd = seai_close(wire->inotify_fd);
	r = seai_wire_watch(wire, wire->wake_fd, EPOLLIN, &wire->wake_fd);
	if (r == 0)
		r = seai_wire_watch(wire, wire->listen_fd, EPOLLIN, &wire->listen_fd);
	if (r == 0 && wire->inotify_fd >= 0)
		r = seai_wire_watch(wire, wire->inotify_fd, EPOLLIN, &wire->inotify_fd);
	if (r == 0)
		r = seai_fork_add(session);
	return r < 0 ? r : seai_wire_start(wire);
}

static void open_free_wire(struct seai_wire *wire)
{
	bool is_child;

	if (!wire)
		return;
	is_child = seai_session_is_forked(wire->session);
	for (unsigned i = 0; i < SEAI_N_ATTACHED_BUCKETS && !is_child; i++)
		while (wire->attached[i]) {
			struct seai_attached *next = wire->attached[i]->next;

			seai_attached_free(wire->attached[i]);
			wire->attached[i] = next;
		}
	while (wire->dying && !is_child) {
		struct seai_attached *next = wire->dying->next;

		seai_attached_free(wire->dying);
		wire->dying = next;
	}
	while (wire->pinned && !is_child) {
		struct seai_attached *next = wire->pinned->next;

		seai_attached_free(wire->pinned);
		wire->pinned = next;
	}
	seai_events_free(wire);
	seai_resolver_free(wire);
	seai_requests_free(wire);
	seai_keeper_free(wire);
	while (wire->ghosts && !is_child) {
		struct seai_attached *next = wire->ghosts->next;

		seai_attached_free(wire->ghosts);
		wire->ghosts = next;
	}
	while (wire->conns) {
		struct seai_conn *next = wire->conns->next;

		seai_side_unmap(wire->conns->reader.theirs, SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit));
		seai_conn_free(wire->conns);
		wire->conns = next;
	}
	while (wire->dead) {
		struct seai_conn *next = wire->dead->next;

		seai_conn_free(wire->dead);
		wire->dead = next;
	}
	free(wire->introductions);
	seai_status_free(wire->status);
	seai_close(wire->epoll_fd);
	seai_close(wire->wake_fd);
	seai_close(wire->inotify_fd);
	free(wire);
}

/* Takes a session apart, also one that is half made. */
static void open_destroy(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;

	if (session->zeromq_context) {
		session->end_zeromq();
		/* Other sessions of the process may keep libzmq running: what it still has of this one's messages comes back soon. */
		while (atomic_load_explicit(&session->n_lent, memory_order_acquire))
			nanosleep(&(struct timespec){ .tv_nsec = SEAI_NS_PER_MS / 2 }, NULL);
	}
	if (wire) {
		seai_wire_stop(wire);
		seai_fork_remove(session);
		/* Last words: what was released and found no room. */
		for (struct seai_conn *conn = wire->conns; conn; conn = conn->next)
			seai_records_flush(conn);
		seai_link_free_finished(wire);
		while (wire->links)
			seai_link_destroy(wire->links);
		seai_directory_close(wire);
	}
	seai_lock_take(&session->books);
	if (session->ledger)
		seai_ledger_settle_accounts(session);
	seai_regions_free(session);
	while (session->heaps)
		seai_heap_destroy(session->heaps);
	seai_lock_release(&session->books);
	while (session->retired) {
		struct seai_arena *next = session->retired->next;

		seai_arena_destroy(session->retired);
		session->retired = next;
	}
	seai_frames_free(session);
	seai_ledger_free(session->ledger);
	open_free_wire(wire);
	seai_close(session->done_fd);
	free(session->done);
	free(session->arenas);
	free(session);
}

static int open_check_options(const struct sea_session_options *options, const char **ret_name)
{
	const char *name = options->name ? options->name : getenv("SEALANE_SESSION");

	if (!name || (!options->name && !*name))
		name = "default";
	if (!seai_directory_is_session(name) || (unsigned)options->transport > SEA_TRANSPORT_SHMEM ||
	    options->flags & ~(uint64_t)SEA_SESSION_TRUST_FILES || options->n_zeromq_io_threads > 64)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return -EINVAL;
	*ret_name = name;
	return 0;
}

int sea_session_open(struct sea_session **ret_session, const struct sea_session_options *options)
{
	static const struct sea_session_options no_options;
	struct sea_heap_options heap_options = { 0 };
	struct sea_session *session;
	const char *name, *guard = getenv("SEA_GUARD"), *trust = getenv("SEALANE_TRUST_FILES");
	int r;

	if (!options)
		options = &no_options;
	r = open_check_options(options, &name);
	if (r < 0)
		return r;
	session = calloc(1, sizeof(*session));
	if (!session)
		return -ENOMEM;
	open_raise_limit();
	strcpy(session->name, name);
	snprintf(session->process_name, sizeof(session->process_name), "%s",
	         options->process_name ? options->process_name : program_invocation_short_name);
	session->id = seai_random();
	session->name_hash = open_hash(name);
	session->meta_session = seai_meta_session(session->name_hash);
	session->hooks = &open_hooks;
	session->done_fd = -1;
	session->log = options->log;
	session->log_userdata = options->log_userdata;
	session->trusts_files = options->flags & SEA_SESSION_TRUST_FILES || (trust && strcmp(trust, "1") == 0);
	session->n_zeromq_io_threads = (unsigned)options->n_zeromq_io_threads;
	session->guard = guard && strcmp(guard, "1") == 0;
	r = seai_ledger_new(&session->ledger);
	if (r == 0)
		r = open_make_wire(session, options);
	if (r == 0) {
		heap_options.quota_n_bytes = options->quota_n_bytes;
		if (options->transport == SEA_TRANSPORT_SHMEM)
			heap_options.protection = SEA_PROTECTION_SHARED;
		r = seai_heap_new(&session->default_heap, session, &heap_options);
	}
	if (r < 0) {
		open_destroy(session);
		return r;
	}
	/* Now that there is something to be told. */
	seai_status_want(session->wire);
	*ret_session = session;
	return 0;
}

struct sea_session *sea_session_close(struct sea_session *session)
{
	if (!session)
		return NULL;
	if (seai_session_is_forked(session)) {
		/* The parent's: its descriptors were closed at the fork, its memory is not mapped here. */
		return NULL;
	}
	open_destroy(session);
	return NULL;
}

int sea_session_peer_name(struct sea_session *session, uint64_t id, char *name, size_t n_bytes)
{
	const struct seai_conn *conn;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (id == session->id) {
		snprintf(name, n_bytes, "%s", session->process_name);
		return 0;
	}
	SEAI_LOCKED(&session->wire->control, control);
	conn = seai_conn_find(session->wire, id);
	if (!conn || conn->state != SEAI_CONN_OPEN)
		return -ENOENT;
	snprintf(name, n_bytes, "%s", conn->peer_name);
	return 0;
}

int sea_session_get_stats(struct sea_session *session, struct sea_session_stats *ret_stats)
{
	struct seai_wire *wire = session->wire;
	struct sea_session_stats stats = { 0 };

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&wire->control, control);
	SEAI_LOCKED(&session->books, books);
	seai_records_drain(session);
	stats.n_peers = wire->n_peers;
	stats.n_deaths = wire->n_deaths;
	stats.n_refused = wire->n_refused;
	stats.n_lies = session->ledger->n_lies;
	stats.n_orphans = session->ledger->n_orphans;
	stats.n_arenas = session->n_arenas;
	stats.n_arenas_attached = wire->n_attached;
	stats.n_bytes_copied = atomic_load_explicit(&session->n_bytes_copied, memory_order_relaxed);
	for (struct sea_heap *heap = session->heaps; heap; heap = heap->next) {
		stats.n_bytes_backed += heap->n_bytes_backed;
		stats.n_bytes_used += heap->n_bytes_used;
	}
	*ret_stats = stats;
	return 0;
}
