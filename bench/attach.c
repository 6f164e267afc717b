/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach: joining a session in which a peer has a heap of 64 GiB, and taking the first message out of it.
 *
 * The odd rule: the peer's memory is address space for the most part, and must stay so: what it has from the kernel and the
 * resident memory of who joins are looked at before and after.
 */
#include "bench.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define QUOTA (64 * GIB)
#define CALL_TIMEOUT_NS (20 * INT64_C(1000000000))

enum { EXTRA_OPEN_US, EXTRA_FIRST_US, EXTRA_FAULTS, EXTRA_BACKED_MIB, EXTRA_RESIDENT_KIB };

static int road_open(struct bench_job *job, int side)
{
	const struct sea_session_options session_options = { .runtime_dir = bench_config.directory,
		                                             .quota_n_bytes = 16 * MIB };
	const struct sea_heap_options heap_options = { .quota_n_bytes = QUOTA, .protection = bench_config.protection };
	struct bench_sealane *sealane;
	int r;

	if (side != 0)
		return 0;
	sealane = calloc(1, sizeof *sealane);
	bench_check(sealane != NULL, "no memory");
	job->state = sealane;
	r = sea_session_open(&sealane->session, &session_options);
	bench_check(r == 0, "sea_session_open: %s", sea_error_text(r));
	r = sea_heap_new(&sealane->heap, sealane->session, &heap_options);
	bench_check(r == 0, "sea_heap_new: %s", sea_error_text(r));
	sealane->channel = bench_sealane_channel(job, sealane, SEA_PUSH, 16, 0, true);
	return 0;
}

static void road_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static const struct bench_road road_attach = { .name = "sealane", .open = road_open, .close = road_close };

static double resident_kib(void)
{
	long total = 0, resident = 0, shared = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	/* Of that, what is shared memory: files that are mapped count for all processes alike. */
	if (file == NULL || fscanf(file, "%ld %ld %ld", &total, &resident, &shared) != 3)
		shared = 0;
	if (file != NULL)
		fclose(file);
	return (double)shared * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static double faults_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_minflt + (double)usage.ru_majflt;
}

/* The peer sends one small message and waits until it is back. */
static void turn_owner(struct bench_job *job, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	struct sea_message *message = NULL;
	struct sea_heap_stats stats;
	int r = sea_message_new(&message, sealane->heap, 4096, 0, CALL_TIMEOUT_NS);

	bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
	r = sea_channel_send(sealane->channel, &message, CALL_TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
	bench_await(&job->shared->flag, ++job->sequence);
	r = sea_heap_get_stats(sealane->heap, &stats);
	bench_check(r == 0, "sea_heap_get_stats: %s", sea_error_text(r));
	turn->extra[EXTRA_BACKED_MIB] = (double)stats.n_bytes_backed / (double)MIB;
}

/* Who joins: opens, connects, receives, and leaves. */
static void turn_attach(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	const struct sea_session_options options = { .runtime_dir = bench_config.directory, .quota_n_bytes = 16 * MIB };
	struct bench_sealane sealane = { 0 };
	struct sea_message *message = NULL;
	double n_faults, n_kib;
	int64_t start_ns;
	int r;

	(void)n;
	if (side == 0) {
		turn_owner(job, turn);
		return;
	}
	n_faults = faults_so_far();
	n_kib = resident_kib();
	start_ns = bench_now();
	r = sea_session_open(&sealane.session, &options);
	turn->extra[EXTRA_OPEN_US] = (double)(bench_now() - start_ns) * 1e-3;
	bench_check(r == 0, "sea_session_open: %s", sea_error_text(r));
	sealane.channel = bench_sealane_channel(job, &sealane, SEA_PULL, 16, 0, false);
	r = sea_channel_receive(sealane.channel, &message, CALL_TIMEOUT_NS);
	turn->extra[EXTRA_FIRST_US] = (double)(bench_now() - start_ns) * 1e-3;
	turn->extra[EXTRA_FAULTS] = faults_so_far() - n_faults;
	turn->extra[EXTRA_RESIDENT_KIB] = resident_kib() - n_kib;
	bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
	sea_message_unref(message);
	sea_channel_close(sealane.channel);
	sea_session_close(sealane.session);
	atomic_fetch_add(&job->shared->flag, 1);
}

static double value_of(const struct bench_turn *sides, int side, int which)
{
	return sides[side].extra[which];
}

static double value_open(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return value_of(sides, 1, EXTRA_OPEN_US);
}

static double value_first(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return value_of(sides, 1, EXTRA_FIRST_US);
}

static double value_faults(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return value_of(sides, 1, EXTRA_FAULTS);
}

static double value_resident(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return value_of(sides, 1, EXTRA_RESIDENT_KIB);
}

static double value_backed(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return value_of(sides, 0, EXTRA_BACKED_MIB);
}

int bench_attach(void)
{
	struct bench_job *job = bench_job_new("sealane", BENCH_OURS, &road_attach, turn_attach);
	struct bench_row row;
	int r;

	bench_print_header("attach", "joining a session whose peer has a heap of 64 GiB");
	job->mix = bench_mix_single(4096);
	job->n_fixed = 1;
	r = bench_run(&job, 1);
	if (r == 0) {
		bench_row_init(&row, "attach", "open", "us", value_open, &job, 1);
		row.value_at_most = 500;
		bench_row_extra(&row, "faults", bench_median_of(job, value_faults));
		bench_row_print(&row);
		bench_row_init(&row, "attach", "first-message", "us", value_first, &job, 1);
		bench_row_extra(&row, "resident_shared_KiB", bench_median_of(job, value_resident));
		bench_row_extra(&row, "peer_backed_MiB", bench_median_of(job, value_backed));
		bench_row_print(&row);
	}
	bench_job_free(job);
	return r;
}
