/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fragmentation: blocks of 1 KiB to 64 MiB come and go at a constant live set, and now and then 64 MiB are asked for.
 *
 * The odd rule: every block is a message that a second process holds and gives back in random order, so that memory
 * comes home as it does in a chain of processes; the payload itself is not touched by anybody.
 */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define SIZE_LEAST (1 * KIB)
#define SIZE_MOST (64 * MIB)
#define QUOTA (2048 * MIB) /* as FairMQ's segment */
/* Blocks of a live set: its mean size is 5.8 MiB, so that this is never reached. */
#define N_SLOTS 8192u
/* Operations before anything is counted. */
#define N_SETTLE 1000u
/* Operations between two probes. */
#define N_OPERATIONS_PER_PROBE 4u
/* What an allocation may wait for arenas that are on their way back to the kernel; nobody else releases meanwhile. */
#define PATIENCE_NS (20 * INT64_C(1000000))
#define CALL_TIMEOUT_NS (20 * INT64_C(1000000000))

/* What the owner asks of the holder, which answers with the same. */
enum order_what { ORDER_RECEIVE, ORDER_RELEASE, ORDER_END };

struct order {
	uint32_t what;
	uint32_t slot;
};

/* Of one turn; the names of struct bench_turn.extra here. */
enum {
	EXTRA_PROBES,
	EXTRA_LATE,   /* not at once */
	EXTRA_FAILED, /* nor within the patience */
	EXTRA_ALLOCATIONS,
	EXTRA_REFUSED, /* allocations of the churn itself */
	EXTRA_FAULTS,  /* of these allocations */
	EXTRA_BACKED,  /* backed by live, mean */
	EXTRA_BACKED_MAX,
};

struct churn {
	struct sea_session *session;
	struct sea_heap *heap;
	struct sea_channel *channel;
	struct sea_message *messages[N_SLOTS]; /* the holder's */
	uint64_t random;
	uint64_t n_live_bytes, n_operations;
	uint32_t n_live;
	uint32_t slots[N_SLOTS]; /* the first n_live are in use */
	uint64_t sizes[N_SLOTS];
};

/* job->variant: per cent of the quota that live, and whether the heap is shared. */
#define VARIANT(percent, shared) ((percent)*2 + (shared))

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint64_t random_size(uint64_t *state)
{
	const double unit = (double)(random_next(state) >> 11) / (double)(UINT64_C(1) << 53);

	return (uint64_t)exp2(log2((double)SIZE_LEAST) + unit * (log2((double)SIZE_MOST) - log2((double)SIZE_LEAST)));
}

static double faults_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_minflt + (double)usage.ru_majflt;
}

static int road_prepare(struct bench_job *job)
{
	bench_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, job->fds) == 0, "no socket pair");
	return 0;
}

static void road_finish(struct bench_job *job)
{
	for (size_t i = 0; i < 2; i++) {
		close(job->fds[i]);
		job->fds[i] = -1;
	}
}

static int road_open(struct bench_job *job, int side)
{
	const struct sea_session_options session_options = { .runtime_dir = bench_config.directory,
		                                             .quota_n_bytes = 16 * MIB };
	const struct sea_heap_options heap_options = {
		.quota_n_bytes = QUOTA,
		.protection = job->variant % 2 != 0 ? SEA_PROTECTION_SHARED : SEA_PROTECTION_SEALED,
	};
	const struct sea_channel_options channel_options = { .sndbuf = 16, .rcvbuf = 16 };
	struct churn *churn = calloc(1, sizeof *churn);
	struct sea_heap_stats stats;
	char name[64];
	int r;

	bench_check(churn != NULL, "no memory");
	job->state = churn;
	churn->random = UINT64_C(20261121) + (uint64_t)job->variant;
	for (uint32_t i = 0; i < N_SLOTS; i++)
		churn->slots[i] = i;
	r = sea_session_open(&churn->session, &session_options);
	bench_check(r == 0, "sea_session_open: %s", sea_error_text(r));
	r = sea_heap_get_stats(sea_session_heap(churn->session), &stats);
	bench_check(r == 0, "sea_heap_get_stats: %s", sea_error_text(r));
	if (side == 0) {
		r = sea_heap_new(&churn->heap, churn->session, &heap_options);
		bench_check(r == 0, "sea_heap_new: %s", sea_error_text(r));
	}
	r = sea_channel_new(&churn->channel, churn->session, side == 0 ? SEA_PUSH : SEA_PULL, &channel_options);
	bench_check(r == 0, "sea_channel_new: %s", sea_error_text(r));
	snprintf(name, sizeof name, "fragmentation-%u", job->id);
	r = side == 0 ? sea_channel_bind(churn->channel, name) : sea_channel_connect(churn->channel, name);
	bench_check(r == 0, "channel %s: %s", name, sea_error_text(r));
	r = sea_channel_wait_peers(churn->channel, 1, CALL_TIMEOUT_NS);
	bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	return 0;
}

static void road_close(struct bench_job *job, int side)
{
	struct churn *churn = job->state;

	(void)side;
	sea_message_unref_many(churn->messages, N_SLOTS);
	sea_channel_close(churn->channel);
	sea_session_close(churn->session);
	free(churn);
}

static const struct bench_road road_fragmentation = {
	.name = "sealane",
	.prepare = road_prepare,
	.finish = road_finish,
	.open = road_open,
	.close = road_close,
};

/* The second process: holds what it is sent until it is told to give it back. */
static void holder_turn(struct bench_job *job, struct churn *churn)
{
	struct order order = { 0 };

	while (order.what != ORDER_END) {
		int r;

		bench_check(read(job->fds[1], &order, sizeof order) == (ssize_t)sizeof order, "the owner is gone");
		if (order.what == ORDER_RELEASE) {
			churn->messages[order.slot] = sea_message_unref(churn->messages[order.slot]);
		} else if (order.what == ORDER_RECEIVE) {
			r = sea_channel_receive(churn->channel, &churn->messages[order.slot], CALL_TIMEOUT_NS);
			bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
		}
		bench_check(write(job->fds[1], &order, sizeof order) == (ssize_t)sizeof order, "the owner is gone");
	}
}

static void churn_order(struct bench_job *job, enum order_what what, uint32_t slot)
{
	struct order order = { what, slot };

	bench_check(write(job->fds[0], &order, sizeof order) == (ssize_t)sizeof order &&
	                    read(job->fds[0], &order, sizeof order) == (ssize_t)sizeof order,
	            "the second process is gone");
}

static void churn_step(struct bench_job *job, struct churn *churn, struct bench_turn *turn)
{
	const uint64_t n_bytes = random_size(&churn->random);
	const uint64_t n_live_wanted = QUOTA / 100 * (uint64_t)(job->variant / 2);
	struct sea_message *message = NULL;
	double n_faults;
	uint32_t slot;
	int r;

	while (churn->n_live > 0 && (churn->n_live_bytes + n_bytes > n_live_wanted || churn->n_live == N_SLOTS)) {
		const uint32_t victim = (uint32_t)(random_next(&churn->random) % churn->n_live);

		slot = churn->slots[victim];
		churn_order(job, ORDER_RELEASE, slot);
		churn->n_live_bytes -= churn->sizes[slot];
		churn->slots[victim] = churn->slots[--churn->n_live];
		churn->slots[churn->n_live] = slot;
	}
	n_faults = faults_so_far();
	r = sea_message_new(&message, churn->heap, n_bytes, 0, PATIENCE_NS);
	turn->extra[EXTRA_FAULTS] += faults_so_far() - n_faults;
	turn->extra[EXTRA_ALLOCATIONS]++;
	if (r < 0) {
		turn->extra[EXTRA_REFUSED]++;
		return;
	}
	slot = churn->slots[churn->n_live++];
	churn->sizes[slot] = n_bytes;
	churn->n_live_bytes += n_bytes;
	r = sea_channel_send(churn->channel, &message, CALL_TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
	churn_order(job, ORDER_RECEIVE, slot);
}

static void churn_probe(struct churn *churn, struct bench_turn *turn)
{
	struct sea_message *message = NULL;
	struct sea_heap_stats stats;
	double ratio;
	int r = sea_heap_get_stats(churn->heap, &stats);

	bench_check(r == 0, "sea_heap_get_stats: %s", sea_error_text(r));
	ratio = (double)stats.n_bytes_backed / (double)churn->n_live_bytes;
	turn->extra[EXTRA_BACKED] += ratio;
	if (ratio > turn->extra[EXTRA_BACKED_MAX])
		turn->extra[EXTRA_BACKED_MAX] = ratio;
	turn->extra[EXTRA_PROBES]++;
	r = sea_message_new(&message, churn->heap, SIZE_MOST, 0, 0);
	if (r < 0) {
		turn->extra[EXTRA_LATE]++;
		r = sea_message_new(&message, churn->heap, SIZE_MOST, 0, PATIENCE_NS);
	}
	if (r < 0)
		turn->extra[EXTRA_FAILED]++;
	sea_message_unref(message);
}

static void turn_fragmentation(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct churn *churn = job->state;
	const bool settles = churn->n_operations == 0;
	const int64_t until_ns = bench_now() + (int64_t)(bench_config.seconds * 1e9);

	(void)n;
	if (side != 0) {
		holder_turn(job, churn);
		return;
	}
	while (settles ? churn->n_operations < N_SETTLE : bench_now() < until_ns) {
		churn_step(job, churn, turn);
		if (++churn->n_operations % N_OPERATIONS_PER_PROBE == 0)
			churn_probe(churn, turn);
	}
	churn_order(job, ORDER_END, 0);
	if (turn->extra[EXTRA_PROBES] > 0)
		turn->extra[EXTRA_BACKED] /= turn->extra[EXTRA_PROBES];
}

/* Over all rounds. */
static double extra_sum(const struct bench_job *job, int which)
{
	double sum = 0;

	for (unsigned i = 0; i < job->n_rounds; i++)
		sum += job->turns[(size_t)i * (unsigned)job->n_sides].extra[which];
	return sum;
}

static double extra_max(const struct bench_job *job, int which)
{
	double max = 0;

	for (unsigned i = 0; i < job->n_rounds; i++)
		max = fmax(max, job->turns[(size_t)i * (unsigned)job->n_sides].extra[which]);
	return max;
}

/* Per cent of the probes of all rounds: failures are too rare for a median. */
static double value_failed(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)sides;
	return 100 * extra_sum(job, EXTRA_FAILED) / fmax(1, extra_sum(job, EXTRA_PROBES));
}

static int fragmentation_case(int percent, bool shared, double failed_at_most)
{
	struct bench_job *job;
	struct bench_row row;
	char name[64];
	int r;

	snprintf(name, sizeof name, "%s-%d", shared ? "shared" : "sealed", percent);
	if (!bench_wanted(name))
		return 0;
	job = bench_job_new("sealane", BENCH_OURS, &road_fragmentation, turn_fragmentation);
	job->mix = bench_mix_single(SIZE_MOST);
	job->n_fixed = 1;
	job->variant = VARIANT(percent, shared);
	r = bench_run(&job, 1);
	if (r == 0) {
		const double n_allocations = fmax(1, extra_sum(job, EXTRA_ALLOCATIONS));

		bench_row_init(&row, "fragmentation", name, "% failed", value_failed, &job, 1);
		/* Nothing at all is asked by a bound just above it. */
		row.value_at_most = failed_at_most > 0 ? failed_at_most : 1e-9;
		bench_row_extra(&row, "probes", extra_sum(job, EXTRA_PROBES));
		bench_row_extra(&row, "not_at_once_%",
		                100 * extra_sum(job, EXTRA_LATE) / fmax(1, extra_sum(job, EXTRA_PROBES)));
		bench_row_extra(&row, "allocations", n_allocations);
		bench_row_extra(&row, "refused_%", 100 * extra_sum(job, EXTRA_REFUSED) / n_allocations);
		bench_row_extra(&row, "faults_per_allocation", extra_sum(job, EXTRA_FAULTS) / n_allocations);
		bench_row_extra(&row, "backed_by_live", extra_sum(job, EXTRA_BACKED) / fmax(1, job->n_rounds));
		bench_row_extra(&row, "backed_by_live_max", extra_max(job, EXTRA_BACKED_MAX));
		if (shared)
			bench_row_extra(&row, "backed_by_live_at_most", 1.25);
		bench_row_print(&row);
	}
	bench_job_free(job);
	return r;
}

int bench_fragmentation(void)
{
	static const struct {
		int percent;
		double failed_at_most;
	} cases[] = { { 50, 0 }, { 70, 0.1 }, { 80, 20 } };

	bench_print_header("fragmentation",
	                   "64 MiB asked for among blocks of 1 KiB to 64 MiB that fill a part of the quota");
	for (int shared = 0; shared < 2; shared++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
			if ((!bench_config.quick || cases[i].percent == 70) &&
			    fragmentation_case(cases[i].percent, shared != 0, cases[i].failed_at_most) != 0)
				return -1;
	return 0;
}
