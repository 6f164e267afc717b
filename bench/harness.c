/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives the jobs of a case their turns, and notices when one of their processes ends.
 *
 * The odd rule: how many messages a turn has is found once per job, before the rounds, which warms
 * everything up on the way; afterwards it stays the same.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A side that says nothing for this long is stuck. */
#define SIDE_TIMEOUT_NS (120 * INT64_C(1000000000))

void (*bench_during_turn)(struct bench_job *job);

struct bench_job *bench_job_new(const char *name, enum bench_role role, const struct bench_road *road,
                                bench_turn_fn *turn)
{
	static unsigned n_jobs;
	struct bench_job *job = calloc(1, sizeof *job);

	bench_check(job != NULL, "no memory for a job");
	snprintf(job->name, sizeof job->name, "%s", name);
	job->role = role;
	job->road = road;
	job->turn = turn;
	job->n_sides = 2;
	job->batch = 1;
	job->window = 4;
	job->id = ++n_jobs;
	for (size_t i = 0; i < sizeof job->fds / sizeof *job->fds; i++)
		job->fds[i] = -1;
	return job;
}

void bench_job_free(struct bench_job *job)
{
	if (job == NULL)
		return;
	for (size_t i = 0; i < sizeof job->fds / sizeof *job->fds; i++)
		if (job->fds[i] >= 0)
			close(job->fds[i]);
	if (job->shared != NULL)
		munmap(job->shared, sizeof *job->shared);
	free(job->turns);
	free(job);
}

/* Waits for one reply. Returns 0, 1 for "skipped", -1 for a side that failed. */
static int side_reply(struct bench_job *job, int side, struct bench_reply *reply)
{
	const int64_t deadline = bench_now() + SIDE_TIMEOUT_NS;
	struct pollfd poll_fd = { .fd = job->sockets[side], .events = POLLIN };

	for (;;) {
		int status;

		if (poll(&poll_fd, 1, 100) > 0) {
			if (read(job->sockets[side], reply, sizeof *reply) != (ssize_t)sizeof *reply)
				break;
			if (reply->status == 0)
				return 0;
			memcpy(job->why, reply->why, sizeof job->why);
			return 1;
		}
		for (int s = 0; s < job->n_sides; s++) {
			if (job->pids[s] > 0 && waitpid(job->pids[s], &status, WNOHANG) == job->pids[s]) {
				job->pids[s] = 0;
				/* One that said why it cannot run leaves its reply behind, and the rest waiting. */
				if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && poll_fd.revents == 0 &&
				    read(job->sockets[s], reply, sizeof *reply) == (ssize_t)sizeof *reply &&
				    reply->status != 0) {
					memcpy(job->why, reply->why, sizeof job->why);
					return 1;
				}
				fprintf(stderr, "sealane bench: %s: side %d ended (status 0x%x)\n", job->name, s,
				        (unsigned)status);
				return -1;
			}
		}
		if (atomic_load(&bench_interrupted) != 0)
			return -1;
		if (bench_now() > deadline) {
			fprintf(stderr, "sealane bench: %s: side %d says nothing\n", job->name, side);
			return -1;
		}
	}
	fprintf(stderr, "sealane bench: %s: side %d has gone\n", job->name, side);
	return -1;
}

static void job_end(struct bench_job *job)
{
	const struct bench_command command = { 0 };
	const int64_t deadline = bench_now() + 5 * INT64_C(1000000000);

	for (int s = 0; s < job->n_sides; s++) {
		if (job->sockets[s] <= 0)
			continue;
		if (s == job->stopped_side && s != 0 && job->pids[s] > 0)
			kill(job->pids[s], SIGCONT);
		(void)!write(job->sockets[s], &command, sizeof command);
	}
	for (int s = 0; s < job->n_sides; s++) {
		while (job->pids[s] > 0 && waitpid(job->pids[s], NULL, WNOHANG) == 0) {
			if (bench_now() > deadline)
				kill(job->pids[s], SIGKILL);
			usleep(1000);
		}
		job->pids[s] = 0;
		if (job->sockets[s] > 0)
			close(job->sockets[s]);
		job->sockets[s] = 0;
	}
	if (job->road->finish != NULL)
		job->road->finish(job);
}

/* Prepares and forks a job. Returns 0 also where it is skipped. */
static int job_start(struct bench_job *job, struct bench_job **jobs, size_t n_jobs)
{
	struct bench_reply reply;

	job->shared = mmap(NULL, sizeof *job->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
	                   -1, 0);
	bench_check(job->shared != MAP_FAILED, "mmap: %s", strerror(errno));
	if (job->road->prepare != NULL && job->road->prepare(job) != 0) {
		job->skipped = true;
		return 0;
	}
	for (int s = 0; s < job->n_sides; s++)
		bench_side_fork(job, s, jobs, n_jobs);
	for (int s = 0; s < job->n_sides && !job->skipped; s++) {
		const int r = side_reply(job, s, &reply);

		if (r < 0)
			return -1;
		job->skipped = r > 0;
	}
	if (job->skipped)
		for (int s = 0; s < job->n_sides; s++)
			if (job->pids[s] > 0)
				kill(job->pids[s], SIGKILL);
	return 0;
}

/* One turn of all sides; the stopped one is left out. */
static int job_turn(struct bench_job *job, uint64_t n, struct bench_turn *ret_sides)
{
	const struct bench_command command = { n, (uint64_t)(job->n_sides - (job->stopped_side < 0)) };
	struct bench_reply reply;

	atomic_store(&job->shared->ready, 0);
	for (int s = job->n_sides - 1; s >= 0; s--)
		if (s != -job->stopped_side || s == 0)
			if (write(job->sockets[s], &command, sizeof command) != (ssize_t)sizeof command)
				return -1;
	if (bench_during_turn != NULL)
		bench_during_turn(job);
	for (int s = 0; s < job->n_sides; s++) {
		if (s == -job->stopped_side && s != 0)
			continue;
		if (side_reply(job, s, &reply) != 0)
			return -1;
		ret_sides[s] = reply.turn;
	}
	return 0;
}

static int64_t turn_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	int64_t end = 0;

	for (int s = 0; s < job->n_sides; s++)
		if (sides[s].end_ns > end)
			end = sides[s].end_ns;
	return end - sides[0].start_ns;
}

static uint64_t turn_faults(const struct bench_job *job, const struct bench_turn *sides)
{
	uint64_t n_faults = 0;

	for (int s = 0; s < job->n_sides; s++)
		n_faults += sides[s].n_faults;
	return n_faults;
}

/* Finds how many messages take a turn's time, which warms everything up on the way. */
static int job_calibrate(struct bench_job *job)
{
	const double target_ns = bench_config.seconds * 1e9;
	struct bench_turn sides[BENCH_SIDES_MAX] = { 0 };
	uint64_t n = job->n_fixed != 0 ? job->n_fixed : 2 * job->window + 1;

	for (int i = 0; i < 24; i++) {
		double ns;

		if (job_turn(job, n, sides) != 0)
			return -1;
		ns = (double)turn_ns(job, sides) + 1;
		if (job->n_fixed != 0) {
			if (i > 0)
				break;
			continue;
		}
		if (i >= 2 && i < 16 && turn_faults(job, sides) > n / 1000 + 64)
			continue;
		if (i >= 2 && ns > 0.6 * target_ns && ns < 1.6 * target_ns)
			break;
		if (i >= 2 && ns > target_ns && n <= 2 * job->window + 1)
			break;
		n = (uint64_t)((double)n * (target_ns / ns > 20 ? 20 : target_ns / ns)) + 1;
		if (n < job->window + 1)
			n = job->window + 1;
	}
	job->n_per_turn = n;
	if (job->stopped_side > 0) {
		kill(job->pids[job->stopped_side], SIGSTOP);
		atomic_store(&job->shared->stopped, 1);
		job->stopped_side = -job->stopped_side;
		if (job_turn(job, n, sides) != 0)
			return -1;
	}
	return 0;
}

static int jobs_rounds(struct bench_job **jobs, size_t n_jobs)
{
	for (size_t i = 0; i < n_jobs; i++) {
		if (!jobs[i]->skipped && job_calibrate(jobs[i]) != 0)
			return -1;
		jobs[i]->turns = calloc((size_t)bench_config.n_rounds * (size_t)jobs[i]->n_sides,
		                        sizeof *jobs[i]->turns);
		bench_check(jobs[i]->turns != NULL, "no memory for the figures");
	}
	for (unsigned round = 0; round < bench_config.n_rounds; round++) {
		for (size_t k = 0; k < n_jobs; k++) {
			/* Nobody is always first or always behind the same neighbour. */
			struct bench_job *job = jobs[(k + round) % n_jobs];

			if (job->skipped)
				continue;
			if (job_turn(job, job->n_per_turn, job->turns + round * (unsigned)job->n_sides) != 0)
				return -1;
			job->n_rounds = round + 1;
		}
	}
	return 0;
}

int bench_run(struct bench_job **jobs, size_t n_jobs)
{
	int r = 0;

	for (size_t i = 0; i < n_jobs && r == 0; i++)
		r = job_start(jobs[i], jobs, n_jobs);
	if (r == 0)
		r = jobs_rounds(jobs, n_jobs);
	for (size_t i = 0; i < n_jobs; i++) {
		if (r != 0)
			for (int s = 0; s < jobs[i]->n_sides; s++)
				if (jobs[i]->pids[s] > 0)
					kill(jobs[i]->pids[s], SIGKILL);
		if (jobs[i]->stopped_side < 0)
			jobs[i]->stopped_side = -jobs[i]->stopped_side;
		job_end(jobs[i]);
	}
	return r;
}
