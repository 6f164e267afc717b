/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd: sixteen processes on two cores, all blocking; and what they cost when nothing happens.
 *
 * The odd rule: idle processes are watched from outside, by the kernel's count of their threads'
 * voluntary context switches, while each consumer sits in a blocking receive.
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_SIDES 16
#define TIMEOUT_NS (60 * INT64_C(1000000000))

static int n_fds_before;
static double wakeups_per_second;

/* Sides 2k and 2k+1 are a pair with a channel of its own. */
static int crowd_open(struct bench_job *job, int side)
{
	struct bench_sealane *sealane;
	int r;

	n_fds_before = bench_n_fds();
	sealane = bench_sealane_new(job, 0);
	if (sealane == NULL)
		return -ENOTSUP;
	sealane->channel = bench_sealane_channel(job, sealane, side % 2 == 0 ? SEA_PUSH : SEA_PULL,
	                                         (int32_t)job->window, (unsigned)side / 2, side % 2 == 0);
	r = sea_channel_wait_peers(sealane->channel, 1, TIMEOUT_NS);
	bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	return 0;
}

static void crowd_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static const struct bench_road road_crowd = { .name = "sealane", .open = crowd_open, .close = crowd_close };

static void turn_crowd(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	bench_sealane_turn_rate(job, side % 2, n, turn);
}

static double value_crowd_rate(const struct bench_job *job, const struct bench_turn *sides)
{
	int64_t start = INT64_MAX, end = 0;

	for (int s = 0; s < job->n_sides; s++) {
		start = sides[s].start_ns < start ? sides[s].start_ns : start;
		end = sides[s].end_ns > end ? sides[s].end_ns : end;
	}
	return (double)sides[0].n * (job->n_sides / 2) * 1e3 / (double)(end - start);
}

static double status_kib(const char *field)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[200];
	double value = 0;

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			value = strtod(line + strlen(field), NULL);
	if (file != NULL)
		fclose(file);
	return value;
}

/* The consumer blocks from the start; the producer sleeps, and then wakes it with one message. */
static void turn_idle(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	turn->extra[0] = bench_n_fds() - n_fds_before;
	turn->extra[1] = status_kib("VmRSS:") / 1024;
	if (side % 2 == 0)
		nanosleep(&(struct timespec){ .tv_sec = 6 }, NULL);
	bench_sealane_turn_rate(job, side % 2, n, turn);
}

static double process_switches(pid_t pid)
{
	char path[300];
	struct dirent *entry;
	DIR *directory;
	double sum = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		char line[200];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)pid, entry->d_name);
		file = fopen(path, "re");
		while (file != NULL && fgets(line, sizeof line, file) != NULL)
			if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
				sum += strtod(line + 24, NULL);
		if (file != NULL)
			fclose(file);
	}
	if (directory != NULL)
		closedir(directory);
	return sum;
}

/* Called in the parent while the sides are idle: two looks, two seconds apart. */
static void idle_watch(struct bench_job *job)
{
	double before[N_SIDES], worst = 0;

	/* The heartbeat ends when it has found nothing new twice: from then on a process is idle. */
	nanosleep(&(struct timespec){ .tv_sec = 3 }, NULL);
	for (int s = 0; s < job->n_sides; s++)
		before[s] = process_switches(job->pids[s]);
	nanosleep(&(struct timespec){ .tv_sec = 2 }, NULL);
	for (int s = 0; s < job->n_sides; s++) {
		const double n = (process_switches(job->pids[s]) - before[s]) / 2;

		worst = n > worst ? n : worst;
	}
	wakeups_per_second = worst;
}

static double value_wakeups(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	(void)sides;
	return wakeups_per_second;
}

static double worst_extra(const struct bench_job *job, int index)
{
	double worst = 0;

	for (int s = 0; s < job->n_sides; s++)
		worst = job->turns[s].extra[index] > worst ? job->turns[s].extra[index] : worst;
	return worst;
}

static struct bench_job *crowd_job(const char *name, enum bench_role role, int n_sides, bench_turn_fn *turn)
{
	struct bench_job *job = bench_job_new(name, role, &road_crowd, turn);

	job->n_sides = n_sides;
	job->alternate = true;
	job->window = 64;
	job->mix = bench_mix_single(4096);
	return job;
}

static int crowd_idle(void)
{
	struct bench_job *job = crowd_job("idle", BENCH_OURS, N_SIDES, turn_idle);
	const unsigned n_rounds = bench_config.n_rounds;
	struct bench_row row;
	int r;

	job->n_fixed = 1;
	/* An idle process is looked at once: there is no speed in it. */
	bench_config.n_rounds = 1;
	bench_during_turn = idle_watch;
	r = bench_run(&job, 1);
	bench_during_turn = NULL;
	bench_config.n_rounds = n_rounds;
	if (r == 0) {
		bench_row_init(&row, "crowd", "idle", "wakes/s", value_wakeups, &job, 1);
		row.value_at_most = 1e-9;
		bench_row_extra(&row, "fds", worst_extra(job, 0));
		bench_row_extra(&row, "fds_at_most", 16 + 4);
		bench_row_extra(&row, "rss_MiB", worst_extra(job, 1));
		bench_row_print(&row);
	}
	bench_job_free(job);
	return r;
}

int bench_crowd(void)
{
	struct bench_job *jobs[2];
	struct bench_row row;
	int r;

	bench_print_header("crowd", "16 processes on two cores, blocking, against two processes");
	jobs[0] = crowd_job("2 processes", BENCH_LIMIT, 2, turn_crowd);
	jobs[1] = crowd_job("16 processes", BENCH_OURS, N_SIDES, turn_crowd);
	r = bench_run(jobs, 2);
	if (r == 0) {
		bench_row_init(&row, "crowd", "16-processes-4096", "M msg/s", value_crowd_rate, jobs, 2);
		row.ratio_at_least = 0.8;
		bench_row_print(&row);
	}
	bench_job_free(jobs[0]);
	bench_job_free(jobs[1]);
	return r == 0 ? crowd_idle() : r;
}
