/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of `sealane run` share: a topology as its file says, the devices that come of it, and the run itself.
 *
 * The odd rule: from the moment that a device is started until it is reaped, its number stands in the guard's table.
 * A number is only ever signalled between those two, so that it cannot have become somebody else's.
 */
#ifndef SEALANE_TOOLS_RUN_H
#define SEALANE_TOOLS_RUN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <jansson.h>
#include <sealane/monitor.h>

#define RUN_NS_PER_S INT64_C(1000000000)

/* A longer line of a device is cut: it would be in everybody's way. */
#define RUN_LINE_MAX 65536u

/* More processes than anybody means to start on one machine; a count with a zero too many is an error. */
#define RUN_N_DEVICES_MAX 4096u

enum run_restart { RUN_NEVER, RUN_ON_FAILURE, RUN_ALWAYS };

/* What the command line says about one device of the file. */
struct run_override {
	const char *what;  /* "exec", "count", "restart", "cpus" */
	const char *id;    /* id or key of the device, n_id bytes of it */
	size_t n_id;       /* its length */
	const char *value; /* behind the '=' */
	bool is_used;      /* the file has such a device */
};

/* A place where a channel is bound, or connects to. */
struct run_endpoint {
	size_t entry;        /* of the topology */
	char channel[128];   /* its name */
	const char *type;    /* of FairMQ's, "" where the file does not say */
	const char *address; /* without a modifier, n_address bytes */
	size_t n_address;    /* its length */
	bool is_bound;       /* else it connects */
};

/* Traffic between two devices. */
struct run_edge {
	const struct run_endpoint *from, *to;
	bool is_both_ways; /* pair: nobody is the source */
};

/* One of the file's devices, with all of its copies. */
struct run_entry {
	const char *name;      /* its id, else its key */
	const char *key;       /* what --config-key is to say; NULL: nothing */
	char *command;         /* the words that start it, each ended by a zero */
	char **words;          /* of them; NULL: the file does not say what to start */
	size_t n_words;        /* how many */
	bool is_wrong;         /* what to start is wrong, and that has been said */
	bool has_bad_channels; /* the same of them */
	bool is_typed;         /* they come from the command line, not from the file */
	json_t *args;          /* array of strings, or NULL */
	json_t *env;           /* object of strings, or NULL */
	bool is_counted;       /* copies have numbers behind their names */
	size_t n_copies;       /* at least 1 */
	cpu_set_t *cpus;       /* n_cpus of them */
	size_t n_cpus;         /* 0: any processor; 1: the same for all copies; else n_copies */
	int restart;           /* enum run_restart */
	uint64_t n_restarts;   /* at most so many; UINT64_MAX: no limit */
	unsigned level;        /* sources have 0, and are stopped first */
};

/* Whether an entry is called so. */
static inline bool run_entry_is(const struct run_entry *entry, const char *name)
{
	return strcmp(entry->name, name) == 0 || (entry->key && strcmp(entry->key, name) == 0);
}

/* A topology as its file says. */
struct run_topology {
	const char *file;               /* as it was named */
	char *text;                     /* what it contains */
	size_t n_text;                  /* its bytes; a zero stands behind them */
	json_t *root;                   /* the same, read */
	struct run_override *overrides; /* of the command line */
	size_t n_overrides;             /* how many */
	struct run_entry *entries;      /* its devices */
	size_t n_entries;               /* how many */
	struct run_endpoint *endpoints; /* of all their channels */
	size_t n_endpoints;             /* how many */
	struct run_edge *edges;         /* between them */
	size_t n_edges;                 /* how many */
	unsigned n_errors;              /* so many have been said */
	bool is_strict;                 /* what is unknown is an error */
	bool is_drawn;                  /* and nothing more: it may be meant for another machine */
};

/* Lines of a device on their way from its pipe. */
struct run_lines {
	char *data;      /* RUN_LINE_MAX bytes */
	size_t n_bytes;  /* of a line that has not ended */
	bool is_skipped; /* the rest of a line that was cut */
};

enum run_state { RUN_WAITS, RUN_RUNS, RUN_ENDED };

/* A process, and what is known about its life. */
struct run_device {
	const struct run_entry *entry;
	char *name;            /* unique */
	char *path;            /* of the program */
	char **argv, **envp;   /* what it is given; envp borrows from our own */
	size_t n_envp_own;     /* the first of envp that are the device's own */
	const cpu_set_t *cpus; /* NULL: any */
	enum run_state state;
	pid_t pid;              /* while it runs */
	int fd;                 /* its output; -1 */
	struct run_lines lines; /* of its output */
	int64_t start_ns;       /* of its present life */
	int64_t next_ns;        /* while it waits: when it is started */
	int64_t pause_ns;       /* before the next restart */
	uint64_t n_restarts;    /* so far */
	int end_code;           /* of its last life: exit code, or 0 */
	int end_signal;         /* or the signal that ended it */
	int start_error;        /* or the errno for which it could not be started */
	bool has_failed;        /* its last life ended badly */
	bool is_cause;          /* and nobody had told it to end */
};

/* What is waiting to be written to a descriptor that may not take it at once. */
struct run_output {
	int fd;
	bool is_watched; /* by epoll: it can say when it has room */
	bool is_blocked; /* it has none */
	bool is_gone;    /* nobody reads it any more; what comes is dropped */
	char *data;
	size_t first, n_bytes, n_room; /* of data */
	char status[256];              /* the line at the bottom of a terminal; "" */
	bool has_status;               /* it stands there */
};

/* What a device's process says of itself before it runs the program; in memory that we, it and the guard share. */
struct run_slot {
	_Atomic pid_t group; /* its process group; 0: none */
	atomic_int error;    /* why it did not come to run the program */
};

/* A process that kills the devices' process groups if this one is killed itself. */
struct run_guard {
	pid_t pid;
	int fd;                 /* its pipe ends with us */
	struct run_slot *slots; /* one per device */
	size_t n_slots;
};

struct run_options {
	const char *session;     /* NULL: a fresh one */
	const char *runtime_dir; /* NULL: as everywhere */
	int64_t stop_timeout_ns; /* between SIGINT and SIGKILL */
	int64_t timeout_ns;      /* 0: none */
	const char *until;       /* id or key: the run is over when its copies have ended; NULL: when all have */
	bool keep_going, json, quiet;
	char **extra; /* options for all devices */
	size_t n_extra;
};

struct run {
	const struct run_options *options;
	const struct run_topology *topology;
	char session[72];
	struct run_device *devices;
	size_t n_devices;
	struct run_guard guard;
	struct run_output outputs[2]; /* what devices say; what we say. On one terminal both are the first */
	struct run_output *said;      /* where we say it */
	bool has_colours;
	int name_width;
	int epoll_fd, signal_fd, null_fd;
	struct rlimit n_files; /* as the devices are to have it */
	unsigned n_signals;    /* that told us to end */
	bool is_stopping, is_killing;
	bool is_late;              /* the time was up before --until's device had ended */
	bool is_deaf;              /* standard output is gone: nobody sees what happens */
	bool is_held;              /* devices wait until their lines are taken */
	unsigned level;            /* that is being stopped */
	int64_t start_ns, kill_ns; /* kill_ns: when what is being stopped has had its time */
	int64_t look_ns;           /* when the session is looked at next */
	struct sea_monitor_snapshot *snapshot;
};

int64_t run_now_ns(void);

/* run-words.c. Splits as a shell does, by blanks, quotes and backslashes, and knows nothing else of a shell.
 * @return how many; -EINVAL a quote or backslash has no end; -ENOMEM. The caller frees both */
int run_words_split(const char *text, char **ret_command, char ***ret_words);
/* Prints a word so that a shell takes it as it is. */
void run_words_print(FILE *stream, const char *word);
/* A list such as 0-3,6. @return 0; -EINVAL it is none; -ERANGE such a processor cannot be; cpus are set at any rate */
int run_cpus_parse(const char *text, cpu_set_t *ret_cpus);

/* run-topology.c. Errors are said where they are found, all of them; n_errors counts. */
void run_topology_load(struct run_topology *topology, const char *file);
void run_topology_fini(struct run_topology *topology);
/* @param path of the key, NULL: no place in the file */
void run_topology_error(struct run_topology *topology, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void run_topology_say_at(struct run_topology *topology, unsigned line, unsigned column, const char *key,
                         const char *text, bool is_warning);

/* run-channels.c: what the library says about the channels. */
void run_channels_check(struct run_topology *topology);

/* run-graph.c: who sends to whom. Fills endpoints, edges and levels. */
void run_graph_make(struct run_topology *topology);
/* run-dot.c: the graph in graphviz's language, on standard output. */
void run_dot_print(const struct run_topology *topology);

/* run-plan.c: the devices of a topology; each error counts in it. */
void run_plan_make(struct run *run, struct run_topology *topology);
void run_plan_fini(struct run *run);
/* Their command lines, on standard output. */
void run_plan_print(const struct run *run);

/* run-child.c. 0 or negative errno. */
int run_guard_start(struct run_guard *guard, size_t n_slots);
void run_guard_end(struct run_guard *guard);
/* Sets pid and fd. */
int run_child_start(struct run *run, struct run_device *device);
/* Signals all of a device's process group. */
void run_child_signal(const struct run_device *device, int number);
/* Kills and reaps whatever the devices have left behind. */
void run_child_reap_rest(void);

/* run-output.c. */
void run_output_open(struct run *run);
void run_output_fini(struct run *run);
/* Reads what a device says. @return false at its end, or when there is nothing now */
bool run_output_read(struct run *run, struct run_device *device);
/* What is left of a line at the end of a life. */
void run_output_end(struct run *run, struct run_device *device);
/* A line of ours for people, on standard error. */
void run_say(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An event for programs, with --json. @param members more of it, consumed, or NULL */
void run_tell(struct run *run, const char *event, const struct run_device *device, json_t *members);
/* The line at the bottom of the terminal; "" removes it. */
void run_output_status(struct run *run, const char *text);
bool run_output_wants_status(const struct run *run);
/* Writes what the outputs take now. @return whether all is written */
bool run_output_flush(struct run *run);
/* Nobody reads this output any more. */
void run_output_hang_up(struct run *run, size_t index);
/* Whether so much is waiting that devices have to wait as well. */
bool run_output_is_full(const struct run *run);

/* run-status.c: looks at the session and draws the line. */
void run_status_look(struct run *run, int64_t now_ns);

/* run-loop.c: starts, watches, restarts, stops. @return exit code */
int run_loop(struct run *run);
/* "exit code 3", "SIGKILL": how the last life ended. */
char *run_describe_end(const struct run_device *device, char *text, size_t n_text);

#endif
