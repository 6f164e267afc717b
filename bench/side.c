/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process of a job: forks, pins itself, opens, and works when it is told to.
 *
 * The odd rule: it is forked by a process that never opens a session or a socket of any contender,
 * is pinned before it does anything, and dies with its parent.
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *side_name = "";

int64_t bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int bench_n_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int n = 0;

	if (directory == NULL)
		return -1;
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	/* Not the two dots, nor the one just used. */
	return n - 3;
}

int bench_skip(struct bench_job *job, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(job->why, sizeof job->why, format, arguments);
	va_end(arguments);
	return -ENOTSUP;
}

void bench_die(const char *format, ...)
{
	char line[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	fprintf(stderr, "sealane bench: %s%s\n", side_name, line);
	_exit(3);
}

void bench_await(_Atomic uint64_t *word, uint64_t n)
{
	for (unsigned i = 1; atomic_load_explicit(word, memory_order_acquire) < n; i++)
		if (i % 4096 == 0)
			sched_yield();
}

/* All sides of a turn start together, whoever was woken first. */
static void side_line_up(struct bench_job *job, uint64_t n_sides)
{
	atomic_fetch_add(&job->shared->ready, 1);
	while (atomic_load_explicit(&job->shared->ready, memory_order_acquire) < n_sides)
		sched_yield();
}

static int64_t usage_cpu_ns(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * INT64_C(1000000000) +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * INT64_C(1000);
}

/* What a forked side does until it is told to end. */
static void side_main(struct bench_job *job, int side, int socket_fd)
{
	struct bench_reply reply = { 0 };
	struct bench_command command;
	char name[80];

	snprintf(name, sizeof name, "%s, side %d: ", job->name, side);
	side_name = name;
	reply.status = job->road->open != NULL ? job->road->open(job, side) : 0;
	memcpy(reply.why, job->why, sizeof reply.why);
	if (write(socket_fd, &reply, sizeof reply) != (ssize_t)sizeof reply || reply.status != 0)
		return;
	while (read(socket_fd, &command, sizeof command) == (ssize_t)sizeof command && command.n != 0) {
		struct rusage before, after;

		memset(&reply, 0, sizeof reply);
		side_line_up(job, command.n_sides);
		job->wait_ns = 0;
		job->n_sampled = 0;
		getrusage(RUSAGE_SELF, &before);
		reply.turn.start_ns = bench_now();
		job->turn(job, side, command.n, &reply.turn);
		if (reply.turn.end_ns == 0)
			reply.turn.end_ns = bench_now();
		getrusage(RUSAGE_SELF, &after);
		reply.turn.n = command.n;
		if (job->n_sampled > 0)
			bench_turn_samples(&reply.turn, job->samples, job->n_sampled);
		reply.turn.wait_ns = job->wait_ns;
		reply.turn.cpu_ns = usage_cpu_ns(&after) - usage_cpu_ns(&before);
		reply.turn.n_faults = (uint64_t)(after.ru_minflt - before.ru_minflt);
		if (write(socket_fd, &reply, sizeof reply) != (ssize_t)sizeof reply)
			return;
	}
	if (job->road->close != NULL)
		job->road->close(job, side);
}

void bench_side_fork(struct bench_job *job, int side, struct bench_job **jobs, size_t n_jobs)
{
	const pid_t parent = getpid();
	int pair[2];
	cpu_set_t cpus;
	pid_t pid;

	bench_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair: %s",
	            strerror(errno));
	fflush(NULL);
	pid = fork();
	bench_check(pid >= 0, "fork: %s", strerror(errno));
	if (pid > 0) {
		close(pair[1]);
		job->sockets[side] = pair[0];
		job->pids[side] = pid;
		atomic_store(&job->shared->pids[side], pid);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(3);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	/* What belongs to other jobs would keep their sockets open after their end. */
	for (size_t i = 0; i < n_jobs; i++)
		for (int s = 0; s < jobs[i]->n_sides; s++)
			if (jobs[i]->sockets[s] > 0)
				close(jobs[i]->sockets[s]);
	for (size_t i = 0; i < n_jobs; i++)
		for (size_t k = 0; k < sizeof job->fds / sizeof *job->fds; k++)
			if (jobs[i] != job && jobs[i]->fds[k] >= 0)
				close(jobs[i]->fds[k]);
	close(pair[0]);
	CPU_ZERO(&cpus);
	CPU_SET((size_t)bench_config.cpus[job->alternate ? side % 2 : side > 0], &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
	side_main(job, side, pair[1]);
	fflush(NULL);
	_exit(0);
}

double *bench_samples(struct bench_job *job, size_t n)
{
	if (n > job->n_samples) {
		free(job->samples);
		job->samples = malloc(n * sizeof *job->samples);
		bench_check(job->samples != NULL, "no memory for %zu samples", n);
		memset(job->samples, 0xff, n * sizeof *job->samples);
		job->n_samples = n;
	}
	return job->samples;
}

void bench_turn_stream(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	(void)turn;
	for (uint64_t i = 0; i < n; i += job->batch) {
		if (side == 0)
			job->road->send(job, job->sequence);
		else
			job->road->receive(job, job->sequence);
		job->sequence += job->batch;
	}
}

void bench_turn_ping(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	double *samples = side == 0 ? bench_samples(job, n) : NULL;

	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		if (side == 0) {
			const int64_t start = bench_now();

			job->road->send(job, job->sequence);
			job->road->receive(job, job->sequence);
			if (samples != NULL)
				samples[i] = (double)(bench_now() - start);
		} else {
			job->road->receive(job, job->sequence);
			job->road->send(job, job->sequence);
		}
		job->sequence++;
	}
	job->n_sampled = samples != NULL ? n : 0;
}
