/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire of a session: connections to other processes, links of channels on them, arenas attached,
 * and the service thread that looks after all of it.
 *
 * Guarded by the control lock unless said otherwise. Lock order: control, then books, then a
 * connection's record lock. The service thread holds control while it works and drops it to sleep, to unmap, and
 * to call the program back.
 */
#ifndef SEALANE_WIRE_WIRE_H
#define SEALANE_WIRE_WIRE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "memory/attach.h"
#include "memory/ledger.h"
#include "memory/session.h"
#include "wire/layout.h"

struct seai_endpoint;
struct seai_link;

/* What is written to an owner: the sending half of a record ring. */
struct seai_record_writer {
	struct seai_lock lock;          /* guards all of this */
	struct seai_side *mine;         /* NULL once the connection is dead */
	const struct seai_side *theirs; /* NULL until their hello: then their tail counts as 0 */
	uint64_t position;              /* units published */
	uint64_t tail_cached;
	struct seai_record *waiting; /* releases that found no room, in order */
	size_t n_waiting, n_waiting_max;
	_Atomic bool is_dead;
};

/* What is read from a holder. Guarded by books. */
struct seai_record_reader {
	struct seai_record_reader *next;
	const struct seai_side *theirs;
	struct seai_side *mine;
	uint64_t position;  /* units read */
	uint64_t drain_end; /* how far one call reads */
	uint64_t doubted;   /* position of a record that was stuck before everything was read again */
	uint32_t holder;
	bool is_stuck;  /* its next record has to wait for others' */
	bool is_broken; /* malformed: read no more */
};

/* A control message that found the socket full. */
struct seai_queued {
	struct seai_queued *next;
	struct seai_control control;
	int fds[2];
};

/* An arena whose descriptor went over a connection, or an owner to whom the peer said hello on our behalf. */
struct seai_told {
	uint64_t owner_id;
	uint32_t arena_id;
	bool is_done; /* introductions: READY came */
};

/* An owner to be greeted, and who waits for it. */
struct seai_introduction {
	struct seai_conn *conn;
	uint64_t owner_id;
};

enum seai_conn_state {
	SEAI_CONN_HELLO = 0, /* connected; their hello is outstanding */
	SEAI_CONN_OPEN = 1,
	SEAI_CONN_DEAD = 2,
};

/* A connection to another process (or from a process to itself: then there are two, one for each end). */
struct seai_conn {
	struct seai_conn *next;
	struct seai_wire *wire;
	int fd;
	int pidfd;
	uint64_t peer_id; /* known from their hello, or from the name of the socket we connected to */
	uint32_t holder;  /* in the ledger; SEAI_HOLDER_NONE until their hello */
	enum seai_conn_state state;
	bool is_initiator;
	bool is_counted;         /* among n_peers */
	_Atomic bool asymmetric; /* both ends execute membarrier before they sleep */
	bool trusts_files;       /* the peer maps regions that are plain files; control lock */
	bool wants_write;
	bool is_doomed;      /* to be ended by the service loop */
	bool is_reading;     /* seai_conn_read() is at it */
	bool is_refused;     /* because of what it sent: nothing more is read of it */
	bool wants_arenas;   /* it has subscribed to our memory */
	bool is_subscribed;  /* we have to its */
	bool has_lost_arena; /* one that it sent could not be taken: it may be asked for it again */
	char peer_name[32];
	struct seai_record_writer writer;
	struct seai_record_reader reader;
	struct seai_queued *queue, **queue_end;
	uint32_t n_queued;
	uint32_t n_links; /* links on it that still exist */
	struct seai_told *arenas_sent;
	uint32_t n_arenas_sent, n_arenas_sent_max;
	struct seai_told *introduced;
	uint32_t n_introduced, n_introduced_max;
	int64_t hello_deadline_ns;
};

/* Somebody who handed us an arena's descriptor and may send descriptors of it. */
struct seai_provider {
	struct seai_conn *conn;
	bool has_forgotten;
};

/* An address that a channel wants to be connected to. */
struct seai_target {
	struct seai_target *next;
	struct seai_endpoint *endpoint;
	char name[SEAI_ADDRESS_N_BYTES]; /* file name in the session's directory */
	struct seai_link *link;          /* the attempt or the link; NULL: none */
	bool is_done;                    /* nothing is to be tried again */
	bool was_sought;                 /* in other sessions, see abroad.c */
};

/* How far the rings of dead forwarders got, for owners who ask later. */
#define SEAI_N_FINAL_HEADS 1024
struct seai_final_head {
	uint64_t forwarder_id;
	uint64_t link_id;
	uint64_t head;
};

#define SEAI_N_ATTACHED_BUCKETS 256

struct seai_wire {
	struct sea_session *session;
	struct seai_lock control;
	pthread_t thread;
	bool has_thread;
	_Atomic bool stop;
	bool asymmetric; /* this process can membarrier */
	/* Nothing has happened between two heartbeats: there are none until a channel is used, or the service thread has something to do. */
	_Atomic bool is_quiet;

	int epoll_fd;
	int wake_fd; /* eventfd of this process alone */
	int listen_fd;
	int dir_fd;
	int status_fd;  /* locked for as long as this process lives */
	int inotify_fd; /* -1: look again by the clock */
	_Atomic bool is_poked;

	struct seai_conn *conns;
	struct seai_introduction *introductions; /* owners that could not be greeted yet */
	uint32_t n_introductions, n_introductions_max;
	bool wants_retry; /* something could not be done for lack of descriptors or memory: try again soon */
	int64_t retry_at_ns, retry_after_ns; /* when, 0: not set; and how long after the last time */
	bool is_listen_paused;               /* no descriptor was left to accept with */
	bool must_drain;                     /* records came while arming: read them, and arm again (books lock) */
	struct seai_conn *dead;              /* ended, with links that are not drained yet */
	struct seai_endpoint *endpoints;
	struct seai_target *targets;
	bool targets_dirty; /* look at unconnected targets now */
	int attach_error;   /* why an arena of a peer could not be mapped, last */
	struct seai_attached *attached[SEAI_N_ATTACHED_BUCKETS];
	struct seai_attached *dying;     /* out of the table, waiting until nobody looks at them */
	struct seai_attached *pinned;    /* retired, and mapped only because the resolver gave out pointers */
	struct seai_attached *ghosts;    /* unmapped, but a channel's lookup still has holds of it to count off */
	_Atomic uint32_t attached_epoch; /* bumped when something left the table: caches are void */
	uint32_t n_attached;
	bool has_dying_owners;              /* some attached arena's owner is dead: look whether it may go */
	struct seai_record_reader *readers; /* guarded by books */
	_Atomic bool has_stuck;             /* a reader needs the service thread */
	bool is_blind;                      /* a hello was lost for lack of descriptors: an unknown identity may live */
	struct seai_final_head final_heads[SEAI_N_FINAL_HEADS];
	uint32_t n_final_heads;
	uint32_t n_idle_again;
	struct seai_link *links;        /* all that are not freed */
	struct seai_link *finished;     /* links that their channels have let go */
	struct seai_lock finished_lock; /* guards that list alone; nothing is taken under it */

	_Atomic(struct seai_resolver_table *) resolved; /* see resolver-table.h */
	struct seai_kept *kept;                         /* memory that this process keeps for others */
	struct seai_events *events;                     /* of the subscriber of this process; NULL: none */
	bool must_show;                                 /* a peer has subscribed */
	struct seai_status *status;                     /* see status.h; the service thread's */
	_Atomic bool wants_status;                      /* write it at once, not at the next heartbeat */
	unsigned n_latency_watched;                     /* links that had their turn; see latency.c */
	char state[32];                                 /* the program's word */
	uint32_t next_endpoint_id;

	struct seai_request *requests; /* questions to owners that are not answered yet */
	uint32_t n_requests;
	uint64_t last_request_id;

	uint64_t n_deaths;
	uint64_t n_refused;
	uint32_t n_peers;
	uint32_t group_id;
	char directory[1024];
	char address[48]; /* p-<id>.sock */
};

static inline struct seai_wire *seai_wire_of(const struct sea_session *session)
{
	return session->wire;
}

/* service.c: wakes the service thread; any thread, any lock. */
void seai_wire_poke(struct seai_wire *wire);
int seai_wire_start(struct seai_wire *wire);
void seai_wire_stop(struct seai_wire *wire);
/* Stops or resumes looking at the listening socket. */
void seai_wire_pause_listening(struct seai_wire *wire, bool paused);
/* Adds a descriptor to the service thread's set; pointer tags the event. 0 or -errno. */
int seai_wire_watch(struct seai_wire *wire, int fd, uint32_t events, void *pointer);

/* conn.c */
int seai_conn_connect(struct seai_wire *wire, uint64_t peer_id, const char *file_name, struct seai_conn **ret_conn);
/* Whether all that stood there was accepted; if not (no descriptor is left), nobody may be taken for dead for being unknown. */
bool seai_conn_accept_backlog(struct seai_wire *wire);
/* A living connection to that identity, open or with its hello under way; NULL. */
struct seai_conn *seai_conn_find(struct seai_wire *wire, uint64_t peer_id);
/* Connects to a process by its identity if there is no connection yet. 0; -ENOENT, -ECONNREFUSED it is dead. */
int seai_conn_get(struct seai_wire *wire, uint64_t peer_id, struct seai_conn **ret_conn);
/* Reads all that is there. */
void seai_conn_read(struct seai_conn *conn);
/* Marks it for its end; the service loop does that. Any thread with control. */
void seai_conn_doom(struct seai_conn *conn, const char *why);
void seai_conn_free(struct seai_conn *conn);
/* Sends what was queued. */
void seai_conn_flush(struct seai_conn *conn);

/* control.c: sends now, or in order later. fds are duplicated where they have to wait. Never fails but by the end of the connection. */
void seai_control_send(struct seai_conn *conn, struct seai_control *control, const int *fds, unsigned n_fds);
/* Sends now or says -EAGAIN. */
int seai_control_try_send(struct seai_conn *conn, struct seai_control *control, const int *fds, unsigned n_fds);
/* One message: 1; 0 the end; -EAGAIN; -EBADMSG. fds that are not taken by the caller are to be closed. is_truncated: descriptors were lost for lack of room in this process. */
int seai_control_receive(struct seai_conn *conn, struct seai_control *control, int fds[2], bool *ret_is_truncated);

/* death.c: ends all doomed connections and what follows from it. Service thread, control held. */
void seai_wire_bury(struct seai_wire *wire);
/* Asks the targets of new settlements. */
void seai_wire_ask_settlements(struct seai_wire *wire);
void seai_wire_on_settle(struct seai_conn *conn, const struct seai_control *control);
void seai_wire_on_settled(struct seai_conn *conn, const struct seai_control *control);
/* Makes progress with records that wait for others, with everything read that can be read. */
void seai_wire_resolve_stuck(struct seai_wire *wire);

/* attachments.c, attachments-end.c */
/* An arena of that name; with a connection, the one that came over it: a peer's word about others' memory counts for its own messages only. */
struct seai_attached *seai_attachment_find(struct seai_wire *wire, const struct seai_conn *provider, uint64_t owner_id,
                                           uint32_t arena_id);
void seai_attachment_on_arena(struct seai_conn *conn, const struct seai_control *control, int fds[2],
                              bool is_truncated);
void seai_attachment_on_retire(struct seai_conn *conn, const struct seai_control *control);
void seai_attachment_on_forget(struct seai_conn *conn, const struct seai_control *control);
void seai_attachment_on_resend(struct seai_conn *conn, const struct seai_control *control);
/* What a process owns is given back over another connection of it from now on. */
void seai_attachment_owner_moved(struct seai_wire *wire, const struct seai_conn *from, struct seai_conn *to);
/* A process is dead: what it owned stays until nobody needs it. */
void seai_attachment_owner_died(struct seai_wire *wire, uint64_t owner_id);
/* A connection to an owner is there: arenas of it that came from others before have an owner now. */
void seai_attachment_owner_found(struct seai_wire *wire, struct seai_conn *owner);
/* The resolver gives up its reference of an arena. */
void seai_attachment_unpin(struct seai_wire *wire, struct seai_attached *attached);
/* Moves what may go to the dying. */
void seai_attachment_look_for_dead(struct seai_wire *wire);
/* Unmaps dying arenas that no channel looks at and no message holds. Takes and drops control. */
void seai_attachment_reap(struct seai_wire *wire);
/* Makes sure that the peer of a connection has an arena: 0; -EAGAIN its socket is full. Control held. */
int seai_attachment_provide(struct seai_conn *conn, uint64_t owner_id, uint32_t arena_id, const int *fds,
                            unsigned n_fds);

/* introductions.c */
/* Makes sure that a peer is known to an owner: 0, also where that is dead; -EAGAIN not yet. Control held. */
int seai_introduction_make(struct seai_conn *conn, uint64_t owner_id);
void seai_introduction_on_introduce(struct seai_conn *conn, const struct seai_control *control);
void seai_introduction_on_ready(struct seai_conn *conn, const struct seai_control *control);
/* Greets owners that could not be greeted before; those who asked are told. */
void seai_introductions_retry(struct seai_wire *wire);
/* A connection has ended: nobody waits for its introductions. */
void seai_introductions_conn_gone(struct seai_wire *wire, const struct seai_conn *conn);

/* retire.c */
/* Own arenas that are free: tell the others, give them back. Service thread; takes and drops control. Returns whether some have to be tried again. */
bool seai_retire_own(struct seai_wire *wire);

/* directory.c */
int seai_directory_open(struct seai_wire *wire, const struct sea_session_options *options);
void seai_directory_close(struct seai_wire *wire);
/* Whether a session can have that name: letters, digits and ._-, at most 64, no dot in front. */
bool seai_directory_is_session(const char *name);
/* The lock of the directory: a descriptor to close, or an error; -EBUSY after seconds. */
int seai_directory_lock(const struct seai_wire *wire);
/* flock() with a deadline; operation is LOCK_SH or LOCK_EX. 0; -EBUSY; an error. */
int seai_directory_flock(int fd, int operation, int64_t timeout_ns);
/* Whether the process of p-<id> has ended: its status file is not locked any more, or never was there. */
bool seai_directory_is_dead(int dir_fd, uint64_t id);
/* The id in a file's name p-<id>.<kind>. */
bool seai_directory_parse_process(const char *name, uint64_t *ret_id);

/*
 * Finds the quota of the session: as asked for (0: $SEALANE_SESSION_QUOTA), or as another process has set it. 0; -EEXIST another has set
 * another one; -EINVAL; errors of files.
 */
int seai_quota_open(struct seai_wire *wire, uint64_t quota);
/* The hook: tries to have that much reserved. Books lock held. */
void seai_quota_reserve(struct sea_session *session, uint64_t n_bytes);
/* Gives back what the heaps do not have any more. No lock held. */
void seai_quota_give_back(struct seai_wire *wire);
/* Address to file name, c-...; 0 or -EINVAL. */
int seai_directory_name(const char *address, char name[SEAI_ADDRESS_N_BYTES]);
int seai_directory_bind(struct seai_wire *wire, const char *name);
void seai_directory_unbind(struct seai_wire *wire, const char *name);
/* The process a name leads to: its identity; 0: nobody. */
uint64_t seai_directory_resolve(struct seai_wire *wire, const char *name);
int seai_directory_connect(struct seai_wire *wire, const char *file_name);
/* Identities of the processes of the session whose sockets are there, living or not, this one left out. How many, at most n_max. */
size_t seai_directory_list(const struct seai_wire *wire, uint64_t *ids, size_t n_max);

/* abroad.c */

/* Says so, here and there, if an address that nobody has here is one of another session. Service thread. */
void seai_abroad_look(struct seai_wire *wire, const struct seai_target *target);

#endif
