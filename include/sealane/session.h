/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: a named set of processes of one user that may share memory.
 *
 * A process opens a session once, makes heaps and channels in it, and closes it
 * last. Each open session runs one service thread, which accepts peers, maps and
 * unmaps memory, and notices deaths; it blocks all signals.
 *
 * Caveats.
 * - After fork() the child has none of the memory mapped; every call there
 *   returns -EPERM. exec() in the child is fine. Only the parent goes on.
 * - A process that is killed loses what it alone held. Memory that it owned
 *   stays readable until its last reader is done.
 */
#ifndef SEALANE_SESSION_H
#define SEALANE_SESSION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_session;
struct sea_heap;

/** Severity of a line of the library's log. */
enum sea_log_level {
	SEA_LOG_DEBUG = 0,
	SEA_LOG_INFO = 1,
	SEA_LOG_WARNING = 2,
	SEA_LOG_ERROR = 3,
};

/**
 * Receives one line of the library's log, without a newline. Called on any
 * thread, at times with locks of the library held: it must not call the library.
 */
typedef void (*sea_log_fn)(enum sea_log_level level, const char *line, void *userdata);

/** What kind of memory a session's own heap has. */
enum sea_transport {
	SEA_TRANSPORT_MEMFD =
		0, /**< sealed: whoever receives a message reads it, and nobody but its producer can write it */
	SEA_TRANSPORT_SHMEM = 1, /**< shared: the only holder of a message may change it in place and pass it on */
	SEA_TRANSPORT_ZEROMQ =
		2, /**< of a channel, not of a session: bytes over libzmq, also to other hosts. Since 0.3. */
};

/** Map regions of other processes that are plain files: who cuts such a file kills those who read it. */
#define SEA_SESSION_TRUST_FILES (1u << 0)

/** How to open a session. All zero is a good start; unset members must be zero. */
struct sea_session_options {
	/** Name of the session: 1 to 64 of [A-Za-z0-9._-], not starting with a dot. NULL: $SEALANE_SESSION, else "default". */
	const char *name;
	/** Directory where the processes meet. NULL: $SEALANE_RUNTIME_DIR, else /run/sealane/UID if it exists, else /tmp/sealane-UID. */
	const char *runtime_dir;
	/** Quota of the session's default heap in bytes. 0: half of the smaller of available memory and cgroup limit. */
	uint64_t quota_n_bytes;
	/** Name of this process for people to read, up to 31 bytes. NULL: the program's name. */
	const char *process_name;
	/** A group whose members may take part, besides the user. 0: none. */
	uint32_t group_id;
	/** Kind of the session's default heap; other heaps and the channels do not depend on it. */
	enum sea_transport transport;
	/** Where log lines go. NULL: nowhere. */
	sea_log_fn log;
	/** Passed to log. */
	void *log_userdata;
	/**
	 * Most bytes that the heaps of all processes of the session may have from the kernel together. 0: $SEALANE_SESSION_QUOTA (K, M, G, T
	 * allowed), else what a process that is there has set, else no limit. The first process that sets one decides. Since 0.2.
	 */
	uint64_t session_quota_n_bytes;
	/** SEA_SESSION_ bits. $SEALANE_TRUST_FILES=1 is SEA_SESSION_TRUST_FILES. Since 0.2. */
	uint64_t flags;
	/**
	 * Threads of libzmq for the process's channels over it, 1 to 64; the first such channel of a process decides. 0: $SEALANE_ZEROMQ_IO_THREADS,
	 * else 1. Since 0.3.
	 */
	uint64_t n_zeromq_io_threads;
	/** Must be 0. */
	uint64_t reserved[5];
};

/** Counters of a session since it was opened. */
struct sea_session_stats {
	uint64_t n_peers;           /**< processes connected now */
	uint64_t n_deaths;          /**< peers whose end was noticed */
	uint64_t n_refused;         /**< connections or control messages refused as malformed or not allowed */
	uint64_t n_lies;            /**< records of blocks that their writer never held; discarded */
	uint64_t n_orphans;         /**< messages that came back from receivers that died or left */
	uint64_t n_bytes_backed;    /**< memory that the heaps of this session hold from the kernel */
	uint64_t n_bytes_used;      /**< bytes in blocks that somebody holds */
	uint64_t n_arenas;          /**< arenas of this process */
	uint64_t n_arenas_attached; /**< arenas of other processes that are mapped here */
	uint64_t n_bytes_copied; /**< payload bytes that the library copied (small parts that were forwarded alone) */
	uint64_t reserved[6];    /**< 0 */
};

/**
 * Opens a session: makes the runtime directory where needed, joins it, starts
 * the service thread.
 *
 * @param ret_session receives the session; the caller closes it
 * @param options NULL for the defaults
 * @return 0; -EINVAL a malformed name or a reserved member that is not 0, or $SEALANE_SESSION_QUOTA is not a size;
 *         -EACCES the runtime directory belongs to another user, or others may write in it;
 *         -ENAMETOOLONG, -ENOSPC, -EROFS, -ENOENT from the runtime directory's file system;
 *         -EMFILE, -ENFILE, -ENOMEM, -EAGAIN no descriptor, memory or thread;
 *         -ENOTSUP the kernel has no sealed memfd;
 *         -EEXIST the session has another quota than was asked for, see the log
 *
 * Any thread. Since 0.1.
 */
int sea_session_open(struct sea_session **ret_session, const struct sea_session_options *options);

/**
 * Closes a session and all heaps in it. Channels and messages must be gone
 * before; what this process owned and others still hold stays readable to them.
 * @param session NULL is allowed
 * @return NULL. One thread, with no other call on the session under way. Since 0.1.
 */
struct sea_session *sea_session_close(struct sea_session *session);

/** The heap that the session came with. Borrowed. Any thread. Since 0.1. */
struct sea_heap *sea_session_heap(struct sea_session *session);

/** This process's identity in the session: a random number, never 0. Any thread. Since 0.1. */
uint64_t sea_session_id(const struct sea_session *session);

/**
 * Says in a word what this process is doing, for those who watch (monitor.h): "RUNNING", for instance. Nothing else depends on it.
 * @param state up to 31 printable ASCII characters without a space; NULL or "" for none
 * @return 0; -EINVAL another character, or too long; -EPERM in a forked child. Any thread. Since 0.2.
 */
int sea_session_set_state(struct sea_session *session, const char *state);

/**
 * The name of a process of the session, as it gave it at its open, and as monitors show it.
 * @param id its identity, this process's own included
 * @param name receives it, cut to fit, terminated
 * @return 0; -ENOENT no connection to it; -EPERM in a forked child. Any thread. Since 0.3.
 */
int sea_session_peer_name(struct sea_session *session, uint64_t id, char *name, size_t n_bytes);

/** The session's directory: valid until close. Borrowed. Any thread. Since 0.1. */
const char *sea_session_directory(const struct sea_session *session);

/** Fills in the counters. Any thread. @return 0; -EPERM in a forked child. Since 0.1. */
int sea_session_get_stats(struct sea_session *session, struct sea_session_stats *ret_stats);

/**
 * The file descriptor that is readable while sea_session_take_done() has
 * something to give. Level-triggered; owned by the session: poll it, never read or close it.
 * @return a descriptor; -EPERM in a forked child; -EMFILE, -ENFILE. Any thread. Since 0.1.
 */
int sea_session_done_fd(struct sea_session *session);

/**
 * Takes the cookies of messages whose last hold is gone (see sea_message_notify()), oldest first.
 * @param cookies receives up to n_max cookies
 * @return how many were taken; 0 when there are none; -EPERM in a forked child. Any thread. Since 0.1.
 */
int sea_session_take_done(struct sea_session *session, uint64_t *cookies, size_t n_max);

/** Called on the service thread with the cookie of a message whose last hold is gone. It may send and release, never wait (-EDEADLK). */
typedef void (*sea_session_done_fn)(uint64_t cookie, void *userdata);

/**
 * Sets the callback for done messages; afterwards sea_session_take_done() gives nothing.
 * @param done NULL goes back to sea_session_take_done()
 * @return 0; -EPERM in a forked child. Any thread. Since 0.1.
 */
int sea_session_on_done(struct sea_session *session, sea_session_done_fn done, void *userdata);

#ifdef __cplusplus
}
#endif
#endif
