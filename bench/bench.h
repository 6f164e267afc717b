/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of `sealane bench`: jobs, turns and rows.
 *
 * A job is one way of moving messages between processes (the limit, ours, a peer).
 * The odd rule: all jobs of a case are forked before any of them works, stay alive, and take turns
 * round by round, since memory-bound figures of a machine drift by tens of per cent within a minute; only
 * ratios taken within one round are compared.
 */
#ifndef SEALANE_BENCH_H
#define SEALANE_BENCH_H

#include <sealane/sealane.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define BENCH_SIDES_MAX 18
#define BENCH_JOBS_MAX 24
#define BENCH_EXTRAS_MAX 12
#define BENCH_N_QUANTILES 9

/** What the command line said. */
struct bench_config {
	bool json;
	bool quick;
	bool full;
	bool hugepages;
	FILE *csv;
	FILE *lines; /* the same as --json, beside what is printed */
	unsigned n_rounds;
	int cpus[2];
	double seconds;                 /* what one turn should take */
	const char *mix;                /* NULL: all */
	const char *pages;              /* NULL: all */
	const char *only;               /* NULL: all; else the cases whose name contains this */
	const char *peers;              /* NULL: all; "none" */
	struct sea_shm_options shm;     /* FairMQ's options: of every session and heap of ours */
	enum sea_protection protection; /* of every heap of ours, as they say */
	const char *directory;          /* where sockets and configurations of this run live */
	double subset;                  /* 0: not asked for; else the share of parts that `forward` passes on */
};
extern struct bench_config bench_config;
/** Set by SIGINT and SIGTERM. */
extern _Atomic int bench_interrupted;

/** The parts of one frame, or of several that are sent in turn. */
struct bench_mix {
	const char *name;
	size_t n_parts;
	size_t n_variants;    /* frame s has the sizes of variant s % n_variants */
	uint64_t n_bytes;     /* payload of one frame, mean over the variants */
	uint64_t n_bytes_max; /* of the largest variant, with every part aligned to 64 */
	const size_t *sizes;  /* n_variants * n_parts */
};

/** Sizes of the parts of frame number `sequence`. */
static inline const size_t *bench_mix_sizes(const struct bench_mix *mix, uint64_t sequence)
{
	return mix->sizes + (mix->n_variants == 1 ? 0 : (size_t)(sequence % mix->n_variants) * mix->n_parts);
}

const struct bench_mix *bench_mix_find(const char *name);
const struct bench_mix *bench_mix_single(size_t n_bytes);

/*
 * The one loop that writes and the one that reads, for everybody. Fill writes
 * every byte; read sums every 64-bit word and ends the bench when the sum is not what
 * was written for that sequence number.
 */
void bench_fill(void *data, size_t n_bytes, uint64_t sequence);
void bench_read(const void *data, size_t n_bytes, uint64_t sequence);

enum bench_role {
	BENCH_LIMIT,
	BENCH_OURS,
	BENCH_PEER,
};

/** What a side reports about one turn. */
struct bench_turn {
	int64_t start_ns;
	int64_t end_ns;
	int64_t wait_ns; /* of that, spent waiting for the other side, where the job can tell */
	int64_t cpu_ns;  /* getrusage of the whole process, service threads included */
	uint64_t n_faults;
	uint64_t n;
	double p50_ns;
	double p99_ns;
	double quantiles[BENCH_N_QUANTILES]; /* ns, at bench_quantile_shares */
	double extra[8];
};

/** Memory that all sides of a job share, for the start line and for credits that the transport under test does not know. */
struct bench_shared {
	_Alignas(64) _Atomic uint64_t ready;
	_Alignas(64) _Atomic uint64_t sent;
	_Alignas(64) _Atomic uint64_t flag;
	_Atomic uint64_t stopped; /* a side was stopped */
	struct {
		_Alignas(64) _Atomic uint64_t n;
	} done[BENCH_SIDES_MAX];
	_Atomic int32_t pids[BENCH_SIDES_MAX];
};

struct bench_job;

/** How a transport does it. All but prepare and finish run in the forked sides. */
struct bench_road {
	const char *name;
	int (*prepare)(struct bench_job *job);        /* in the parent, before the fork; may be NULL */
	void (*finish)(struct bench_job *job);        /* in the parent, after the sides ended; may be NULL */
	int (*open)(struct bench_job *job, int side); /* 0, or bench_skip() */
	void (*send)(struct bench_job *job, uint64_t sequence);
	void (*receive)(struct bench_job *job, uint64_t sequence);
	void (*close)(struct bench_job *job, int side);
};

typedef void bench_turn_fn(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn);

struct bench_job {
	char name[48];
	enum bench_role role;
	const struct bench_road *road;
	bench_turn_fn *turn;
	const struct bench_mix *mix;
	bool fill;      /* the producer writes every byte */
	bool read;      /* the consumer reads every byte */
	bool duplex;    /* messages go both ways */
	bool hand_back; /* the receiver sends back the very message */
	bool immutable;
	bool frames;     /* build frames even where one message would do */
	size_t batch;    /* messages per call */
	unsigned window; /* messages in flight */
	enum sea_pages pages;
	int64_t spin_ns;
	int n_sides;
	int stopped_side; /* stopped by SIGSTOP after the warm-up; 0: none (the producer never is) */
	bool alternate;   /* sides take the two cores in turn; else side 0 has one and all others the other */
	int variant;      /* free for the bench */
	bool tcp;         /* over libzmq: loopback instead of ipc */
	uint64_t n_fixed; /* messages of a turn; 0: as many as the time allows */

	/* Filled in by the harness. */
	unsigned id;
	struct bench_shared *shared;
	int fds[4];
	pid_t daemon;
	pid_t pids[BENCH_SIDES_MAX];
	int sockets[BENCH_SIDES_MAX];
	uint64_t n_per_turn;
	bool skipped;
	char why[160];
	struct bench_turn *turns; /* [round * n_sides + side] */
	unsigned n_rounds;

	/* In a side. */
	void *state;
	uint64_t sequence;
	uint64_t sequence_back;
	int64_t wait_ns;
	double *samples;
	size_t n_samples;
	size_t n_sampled; /* samples that the turn took; they are sorted after it, outside of what is measured */
};

/** Where the two sides of a job over libzmq meet: side 0 binds, over TCP to whatever port is free, and tells the other. */
void bench_zeromq_address(struct bench_job *job, int side, char *address, size_t n_bytes);
void bench_zeromq_bound(struct bench_job *job, const char *address);

/** What the parent tells a side. */
struct bench_command {
	uint64_t n; /* 0: end */
	uint64_t n_sides;
};

/** What a side answers, once when it has opened and then after each turn. */
struct bench_reply {
	int32_t status; /* 0, or -ENOTSUP: skipped */
	char why[160];
	struct bench_turn turn;
};

/** Forks one side of a job. */
void bench_side_fork(struct bench_job *job, int side, struct bench_job **jobs, size_t n_jobs);
/** Says why a job cannot run here. @return -ENOTSUP */
int bench_skip(struct bench_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Ends this process, and with it the bench: a wrong byte, a lost message, a call that failed. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/** As bench_die() where ok is false. */
#define bench_check(ok, ...) ((ok) ? (void)0 : bench_die(__VA_ARGS__))

/** Forks the jobs, warms them up, lets them take turns; leaves the figures in them. @return 0, or -1 when a side failed */
int bench_run(struct bench_job **jobs, size_t n_jobs);
/** Called by bench_run() for each job's sides between the rounds' start and end; see crowd. */
extern void (*bench_during_turn)(struct bench_job *job);
struct bench_job *bench_job_new(const char *name, enum bench_role role, const struct bench_road *road,
                                bench_turn_fn *turn);
void bench_job_free(struct bench_job *job);

/** A median and what it can be trusted with. */
struct bench_summary {
	size_t n;
	double median, min, max;
	double low, high; /* 95 % interval of the median; min and max where there are too few rounds for one */
};
extern const double bench_quantile_shares[BENCH_N_QUANTILES];

int64_t bench_now(void);
/** Open file descriptors of this process. */
int bench_n_fds(void);
/** A word that another process writes; spins until it is at least n. */
void bench_await(_Atomic uint64_t *word, uint64_t n);
/** Room for n samples of a side, touched before, so that it costs no page fault. */
double *bench_samples(struct bench_job *job, size_t n);
/** Fills in the latencies of a turn from its samples, n > 0, which it sorts. */
void bench_turn_samples(struct bench_turn *turn, double *samples, size_t n);
double bench_median(const double *values, size_t n);

/** Side 0 sends n messages, side 1 receives them. */
bench_turn_fn bench_turn_stream;
/** Side 0 sends one and waits for one, n times. */
bench_turn_fn bench_turn_ping;

/* Values of a turn. */
typedef double bench_value_fn(const struct bench_job *job, const struct bench_turn *sides);
double bench_value_rate(const struct bench_job *job, const struct bench_turn *sides);      /* M msg/s */
double bench_value_bandwidth(const struct bench_job *job, const struct bench_turn *sides); /* GB/s of payload */
double bench_value_p50(const struct bench_job *job, const struct bench_turn *sides);       /* ns */

struct bench_summary bench_summary_of_job(const struct bench_job *job, bench_value_fn *value);
/** Its median; 0 without a job. */
double bench_median_of(const struct bench_job *job, bench_value_fn *value);
/** Of the ratios of ours to another's, round by round. */
struct bench_summary bench_summary_of_ratio(const struct bench_job *ours, const struct bench_job *other,
                                            bench_value_fn *value);

/** One line of the result. */
struct bench_row {
	const char *bench;
	char name[64];
	const char *unit;
	bench_value_fn *value;
	const struct bench_job *ours;
	const struct bench_job *limit;
	const struct bench_job *peers[BENCH_JOBS_MAX];
	size_t n_peers;
	struct {
		const char *name;
		double value;
	} extras[BENCH_EXTRAS_MAX];
	size_t n_extras;
	/* What must be reached: ratio to the limit, or a value. 0: nothing is asked. */
	double ratio_at_least;
	double ratio_at_most;
	double value_at_least;
	double value_at_most;
	double faults_at_most; /* per message, on either side */
	char note[200];
};
void bench_row_extra(struct bench_row *row, const char *name, double value);
/** Makes a row of jobs: the first limit, the first of ours, all peers; skipped ones are left out. */
void bench_row_init(struct bench_row *row, const char *bench, const char *name, const char *unit, bench_value_fn *value,
                    struct bench_job **jobs, size_t n_jobs);
/** Whether a case of this name was asked for. */
bool bench_wanted(const char *name);
/** Prints it in the form that was asked for. */
void bench_row_print(const struct bench_row *row);
/** Says that something was left out, and why. */
void bench_print_skip(const char *bench, const char *name, const char *why);
/** Writes the latency distribution of every job of a row to the CSV file, where there is one. */
void bench_row_distribution(const struct bench_row *row);
void bench_print_header(const char *bench, const char *text);
/** Values of a job over its rounds. @return how many */
size_t bench_values(const struct bench_job *job, bench_value_fn *value, double *ret_values);
/** Median of CPU ns per message of one side. */
double bench_cpu_per_message(const struct bench_job *job, int side);
/** Page faults per message of one side over all rounds. */
double bench_faults_per_message(const struct bench_job *job, int side);

/* Roads. */
extern const struct bench_road bench_road_sealane;
extern const struct bench_road bench_road_sealane_zeromq; /* ours over libzmq */
extern const struct bench_road bench_road_warm;           /* a plain warm shared mapping */
extern const struct bench_road bench_road_fresh;          /* a new memfd per frame */
extern const struct bench_road bench_road_socket;
/** The road of a peer library, or NULL where this build has none. */
const struct bench_road *bench_road_zmq(void);
const struct bench_road *bench_road_nng(void);
const struct bench_road *bench_road_iceoryx(void);
/** Adds a job per peer library that is here, made as like. @return new number of jobs */
size_t bench_add_peers(struct bench_job **jobs, size_t n_jobs, const struct bench_job *like);
extern bench_turn_fn bench_turn_ring;
extern bench_turn_fn bench_turn_line;
extern bench_turn_fn bench_turn_eventfd;
extern bench_turn_fn bench_sealane_turn_rate;
extern bench_turn_fn bench_sealane_turn_ping;
extern const struct bench_road bench_road_raw; /* only the start line: for turns that bring their own */

/** Who we are in a Sealane job: what open() made. For the benches that go beyond send and receive. */
struct bench_sealane {
	struct sea_session *session;
	struct sea_heap *heap;
	struct sea_channel *channel;
	struct sea_channel *second; /* of a process in the middle: the way on */
	struct sea_message *messages[64];
	struct sea_message *held;
};
/** Opens the session and a heap of at least n_bytes. */
struct bench_sealane *bench_sealane_new(struct bench_job *job, uint64_t n_bytes);
struct sea_channel *bench_sealane_channel(struct bench_job *job, struct bench_sealane *sealane,
                                          enum sea_pattern pattern, int32_t capacity, unsigned address, bool binds);
void bench_sealane_free(struct bench_sealane *sealane);
/** Receives n messages that are numbered by their tags, and says after each batch how far it is, in done[side]. */
void bench_sealane_receive(struct bench_job *job, int side, uint64_t n);

/* Benches: each returns 0, or -1 when something failed. */
int bench_limits(void);
int bench_rate(void);
int bench_rtt(void);
int bench_timeframe(void);
int bench_alloc(void);
int bench_fanout(void);
int bench_forward(void);
int bench_crowd(void);
int bench_resolve(void);
int bench_ccdb(void);
int bench_cache(void);
int bench_region(void);
int bench_fragmentation(void);
int bench_attach(void);
int bench_pubsub(void);
int bench_poller(void);
int bench_zeromq(void);
int bench_device(void);
int bench_topology(void);
#ifdef SEALANE_COMMAND_CCDB
int bench_table(void);
#endif

/** Entry of the sub-command. */
int bench_main(int argc, char **argv);

#endif
