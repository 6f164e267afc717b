/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching sessions from outside: who is in them, how their memory and queues are doing, who holds what since when,
 * and what dead processes left. A monitor joins no session and asks no process anything: it reads the status file that
 * each process writes once a second, so it works as well when one of them hangs or is stopped.
 *
 * What stands in those files is the word of the process that wrote it: figures to look at, never to rely on. Every name
 * in a snapshot is printable ASCII, whatever the file says. Whether a process lives is not its word: the kernel keeps a lock for it.
 *
 * All calls may be made from any thread, without a session.
 */
#ifndef SEALANE_MONITOR_H
#define SEALANE_MONITOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What to look at. All zero is a good start; unset members must be zero. */
struct sea_monitor_options {
	/** Where sessions are. NULL: as sea_session_open() finds it: $SEALANE_RUNTIME_DIR, /run/sealane/UID, /tmp/sealane-UID. */
	const char *runtime_dir;
	/** Name of the session. NULL: $SEALANE_SESSION, else "default". */
	const char *session;
	/** A living process whose heartbeat is older counts as hanging, in ns. 0: five seconds. */
	int64_t timeout_ns;
	/** Must be 0. */
	uint64_t reserved[8];
};

/** How a process is. */
enum sea_monitor_condition {
	SEA_MONITOR_RUNNING = 0, /**< it lives and its heart beats */
	SEA_MONITOR_HANGING = 1, /**< it lives, and its heartbeat is older than the timeout */
	SEA_MONITOR_STOPPED = 2, /**< stopped by a signal or a debugger, as the kernel says */
	SEA_MONITOR_DEAD = 3,    /**< its files are left, and the kernel says that nobody has them */
	SEA_MONITOR_UNKNOWN = 4, /**< the directory's lock could not be had: nothing is proven */
};

/** A process of a session. Ages are -1 where they are not known. */
struct sea_monitor_process {
	uint64_t id;                          /**< its identity in the session */
	int32_t pid;                          /**< as it says; 0: it does not */
	enum sea_monitor_condition condition; /**< how it is */
	char kernel_state;                    /**< of /proc/PID/stat; '?': not to be seen */
	uint8_t has_status;                   /**< 0: its status file could not be read: no figures */
	uint8_t is_quiet;                     /**< it does nothing, and said that its heartbeat pauses until it does */
	uint8_t is_truncated;                 /**< its status file did not fit on the disk: no figures */
	uint8_t is_incomplete;                /**< it has more blocks than it counts: holds are too few */
	char name[32];                        /**< as it says */
	char state[32];                       /**< what its program says that it does; "" */
	int64_t age_ns;                       /**< since it opened the session */
	int64_t heartbeat_age_ns;             /**< since its status was written */
	uint64_t n_peers;                     /**< as in struct sea_session_stats, as the next ones */
	uint64_t n_deaths;                    /**< peers whose end was noticed */
	uint64_t n_refused;                   /**< connections or messages refused */
	uint64_t n_lies;                      /**< false records */
	uint64_t n_orphans;                   /**< messages that came back */
	uint64_t n_bytes_backed;              /**< by all of its heaps */
	uint64_t n_bytes_used;                /**< in blocks that somebody holds */
	uint64_t n_bytes_copied;              /**< payload bytes copied by the library */
	uint64_t n_out;         /**< messages in flight: sent out of its memory, still held by others. Since 0.3 */
	uint64_t n_bytes_out;   /**< size of their blocks. Since 0.3 */
	int64_t out_age_ns;     /**< since the oldest of them was sent, to within a second. Since 0.3 */
	uint64_t out_holder_id; /**< who holds that one; 0: nobody, or not known. Since 0.3 */
};

/** A heap, or a region. */
struct sea_monitor_heap {
	uint64_t process_id;     /**< its owner */
	uint32_t id;             /**< within its owner */
	uint8_t is_shared;       /**< holders may write it */
	uint8_t is_default;      /**< the one that came with the session */
	uint8_t is_region;       /**< a region: its user places the blocks */
	char pages[13];          /**< what was asked for: "default", "thp", "collapse", "hugetlb" */
	char name[32];           /**< of a region; "" */
	uint64_t n_bytes_quota;  /**< the limit */
	uint64_t n_bytes_backed; /**< taken from the kernel */
	uint64_t n_bytes_used;   /**< in blocks that somebody holds */
	uint64_t n_bytes_peak;   /**< highest n_bytes_used */
	uint64_t
		n_bytes_pinned; /**< backed in retired arenas, or unused in ones of which less than an eighth is used */
	uint64_t n_bytes_largest; /**< the largest block that could be had at once */
	uint64_t n_blocks;        /**< that somebody holds */
	uint64_t n_arenas;        /**< in use */
	uint64_t n_retired;       /**< waiting for their last reader */
	uint64_t n_waits;         /**< allocations that had to wait */
};

/** A channel. */
struct sea_monitor_channel {
	uint64_t process_id;        /**< whose */
	uint32_t id;                /**< within it */
	char pattern[8];            /**< "push", "pull", "pair", "req", "rep", "pub", "sub", over zeromq also others */
	uint64_t n_peers;           /**< links, those that are being made included; over zeromq peers */
	uint64_t n_sent;            /**< messages sent */
	uint64_t n_received;        /**< messages received */
	uint64_t n_refused;         /**< descriptors refused */
	uint64_t n_orphans;         /**< messages that came back */
	uint64_t n_orphans_waiting; /**< of them, not taken yet */
	uint64_t n_doorbells;       /**< times a sleeping peer was woken */
	uint64_t n_sleeps;          /**< times it slept */
	uint64_t peak_out;          /**< fullest that a heartbeat found one of its queues */
	uint64_t peak_in;           /**< the same, of what it receives */
	uint64_t n_missed;          /**< messages that a slow subscriber had no room for. Since 0.3 */
	uint64_t n_sent_per_s;      /**< messages sent per second, at its last heartbeat. Since 0.3 */
	uint64_t n_received_per_s;  /**< messages received per second. Since 0.3 */
	uint32_t is_zeromq;         /**< 1: over libzmq: it has no links, and its queues are not known. Since 0.3 */
	uint32_t reserved;          /**< 0 */
};

/** An address of a channel. */
struct sea_monitor_address {
	uint64_t process_id; /**< whose */
	uint32_t channel_id; /**< of which channel */
	uint32_t is_bound;   /**< 1: bound; 0: connected to */
	char name[104];      /**< with %XX for what is not plain */
};

/** A link of a channel, with its two queues. */
struct sea_monitor_link {
	uint64_t process_id; /**< whose */
	uint64_t peer_id;    /**< the process at the other end */
	uint32_t channel_id; /**< of which channel */
	uint32_t reserved;   /**< 0 */
	uint64_t n_out;      /**< messages sent and not taken */
	uint64_t n_out_max;  /**< so many fit */
	uint64_t n_in;       /**< messages that wait here */
	uint64_t n_in_max;   /**< so many fit */
	uint64_t id;         /**< the same at both ends; 0: not known. Since 0.3 */
	/**
	 * How long a message that this end sends waits until the other end takes it, as last sampled; 0: the queue was found empty;
	 * -1: not known. At an end that receives alone it is what the sender's says. See docs/monitor.md. Since 0.3.
	 */
	int64_t latency_ns;
	/** How long what the last sample is about waits already, as of the sender's heartbeat; -1: nothing does. Since 0.3. */
	int64_t waiting_ns;
};

/** What one process holds of another's (or its own) memory. */
struct sea_monitor_holder {
	uint64_t process_id; /**< the owner */
	uint64_t holder_id;  /**< who holds it */
	uint64_t n_blocks;   /**< how many blocks */
	uint64_t n_bytes;    /**< their size */
	int64_t age_ns;      /**< since the oldest was sent, to within a second; -1: none was */
};

/** One held block: each process lists its oldest. */
struct sea_monitor_hold {
	uint64_t process_id;  /**< the owner */
	uint64_t holder_id;   /**< who holds it */
	uint32_t heap_id;     /**< of the owner's heaps */
	uint32_t arena_id;    /**< of the owner's arenas */
	uint32_t block_id;    /**< in that arena */
	int32_t fd;           /**< the owner's descriptor of the file it lies in */
	uint64_t file_offset; /**< where in that file */
	uint64_t generation;  /**< of the block */
	uint64_t n_bytes;     /**< its size */
	int64_t age_ns; /**< since it was sent, to within a second; -1: it was not sent as the head of a message */
};

/** Arenas of one owner that a process has mapped. */
struct sea_monitor_attached {
	uint64_t process_id; /**< who has them mapped */
	uint64_t owner_id;   /**< whose they are */
	uint64_t n_arenas;   /**< how many */
	uint64_t n_bytes;    /**< address space, not memory */
};

/** A file of a session's directory. */
struct sea_monitor_file {
	char name[256]; /**< printable */
};

/** One look at a session. The order within each array is that of the files, holds and holders oldest first. */
struct sea_monitor_snapshot {
	char session[72];                      /**< its name */
	int64_t taken_ns;                      /**< CLOCK_MONOTONIC */
	size_t n_processes;                    /**< the living first */
	struct sea_monitor_process *processes; /**< n_processes of them; as the next ones */
	size_t n_heaps;                        /**< how many */
	struct sea_monitor_heap *heaps;        /**< heaps of the living */
	size_t n_channels;                     /**< how many */
	struct sea_monitor_channel *channels;  /**< channels */
	size_t n_addresses;                    /**< how many */
	struct sea_monitor_address *addresses; /**< addresses */
	size_t n_links;                        /**< how many */
	struct sea_monitor_link *links;        /**< links */
	size_t n_holders;                      /**< how many */
	struct sea_monitor_holder *holders;    /**< who holds how much */
	size_t n_holds;                        /**< how many */
	struct sea_monitor_hold *holds;        /**< oldest first */
	size_t n_attached;                     /**< how many */
	struct sea_monitor_attached *attached; /**< what is mapped */
	size_t n_leftovers;                    /**< how many */
	struct sea_monitor_file *leftovers;    /**< files of the dead, provably */
};

/** The name of a session that exists. */
struct sea_monitor_session {
	char name[72]; /**< printable */
};

/**
 * Lists the sessions of a runtime directory, by name.
 * @param options NULL for the defaults; session is not looked at
 * @param ret_sessions receives an array; the caller frees it with free()
 * @param ret_n_sessions receives how many; 0 also where there is no runtime directory
 * @return 0; -EINVAL a reserved member is not 0; -EACCES the directory may not be read; -ENAMETOOLONG; -ENOMEM; -EMFILE, -ENFILE.
 *         Since 0.2.
 */
int sea_monitor_list(const struct sea_monitor_options *options, struct sea_monitor_session **ret_sessions,
                     size_t *ret_n_sessions);

/**
 * Takes a look at a session.
 * @param ret_snapshot receives the snapshot; the caller frees it
 * @param options NULL for the defaults
 * @return 0; -ENOENT there is no such session; -EINVAL a malformed name, a negative timeout, a reserved member that is not 0;
 *         -EACCES its directory may not be read; -ENAMETOOLONG; -ENOMEM; -EMFILE, -ENFILE. Since 0.2.
 */
int sea_monitor_take(struct sea_monitor_snapshot **ret_snapshot, const struct sea_monitor_options *options);

/** Frees a snapshot. @param snapshot NULL is allowed @return NULL. Since 0.2. */
struct sea_monitor_snapshot *sea_monitor_free(struct sea_monitor_snapshot *snapshot);

/**
 * Removes the files of processes that are provably dead, under the directory's lock, and nothing else.
 * @param options NULL for the defaults
 * @param ret_files receives an array of what was removed; the caller frees it with free()
 * @param ret_n_files receives how many
 * @return 0; errors as of sea_monitor_take(), and -EBUSY somebody keeps the lock; -EROFS. Since 0.2.
 */
int sea_monitor_clean(const struct sea_monitor_options *options, struct sea_monitor_file **ret_files,
                      size_t *ret_n_files);

/**
 * Reads bytes of a held block, out of the owner's file by way of /proc. They may change while they are read.
 * @param pid the owner
 * @param hold what to read
 * @param offset from where in the block
 * @param data receives up to n_bytes bytes
 * @return how many were read; -EACCES the kernel does not allow it; -ENOENT the owner or its file is gone; -ESTALE the
 *         descriptor leads to something else now; -EINVAL offset lies outside. Since 0.2.
 */
int64_t sea_monitor_read(int32_t pid, const struct sea_monitor_hold *hold, uint64_t offset, void *data, size_t n_bytes);

#ifdef __cplusplus
}
#endif
#endif
