/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: the raw figures of this machine, against which everything else is measured.
 *
 * The odd rule: nothing of Sealane runs here; the same jobs stand beside ours in the other benches.
 */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static double value_kill_ms(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].p50_ns * 1e-6;
}

/* A bare process that has touched `variant` MiB of another's memory is killed; until its pidfd says so. */
static void turn_kill(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	const size_t n_bytes = (size_t)job->variant << 20;
	static unsigned char *data;
	static int fd = -1;
	struct pollfd poll_fd = { .events = POLLIN };
	int64_t start;
	int ready[2];
	char byte;
	pid_t pid;

	(void)side;
	(void)n;
	if (n_bytes > 0 && data == NULL) {
		fd = memfd_create("bench-kill", MFD_CLOEXEC);
		bench_check(fd >= 0 && ftruncate(fd, (off_t)n_bytes) == 0, "memfd: %s", strerror(errno));
		data = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
		bench_check(data != MAP_FAILED, "mmap: %s", strerror(errno));
		madvise(data, n_bytes, MADV_DONTFORK);
	}
	bench_check(pipe(ready) == 0, "pipe: %s", strerror(errno));
	pid = fork();
	bench_check(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		/* Populating a mapping maps every page: as if each had been read. */
		if (n_bytes > 0 && mmap(NULL, n_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			_exit(3);
		(void)!write(ready[1], "", 1);
		for (;;)
			pause();
	}
	bench_check(read(ready[0], &byte, 1) == 1, "the bare process did not start");
	close(ready[0]);
	close(ready[1]);
	poll_fd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	bench_check(poll_fd.fd >= 0, "pidfd_open: %s", strerror(errno));
	start = bench_now();
	kill(pid, SIGKILL);
	bench_check(poll(&poll_fd, 1, 60000) == 1, "the bare process did not end");
	turn->p50_ns = (double)(bench_now() - start);
	close(poll_fd.fd);
	waitpid(pid, NULL, 0);
}

static const struct bench_road road_none = { .name = "bare" };

static int limit_print(const char *name, const char *unit, bench_value_fn *value, struct bench_job *job)
{
	struct bench_row row;
	const int r = bench_wanted(name) ? bench_run(&job, 1) : 0;

	if (r == 0 && job->n_rounds > 0) {
		bench_row_init(&row, "limits", name, unit, value, &job, 1);
		if (row.limit != NULL)
			bench_row_print(&row);
	}
	bench_job_free(job);
	return r;
}

static int limit_ring(size_t batch, bool returns)
{
	struct bench_job *job = bench_job_new("ring", BENCH_LIMIT, &bench_road_raw, bench_turn_ring);
	char name[64];

	snprintf(name, sizeof name, "ring-%zu%s", batch, returns ? "-return" : "");
	job->batch = batch;
	job->window = 1024;
	job->variant = returns;
	return limit_print(name, "M msg/s", bench_value_rate, job);
}

static int limit_warm(const char *mix, bool reads)
{
	struct bench_job *job = bench_job_new("warm mapping", BENCH_LIMIT, &bench_road_warm, bench_turn_stream);
	char name[64];

	snprintf(name, sizeof name, "warm-%s-%s", mix, reads ? "write-read" : "write");
	job->mix = bench_mix_find(mix);
	job->window = job->mix->n_bytes < 65536 ? 64 : job->mix->n_parts > 1000 ? 3 : 4;
	job->fill = true;
	job->read = reads;
	return limit_print(name, "GB/s", bench_value_bandwidth, job);
}

static int limit_kill(int mebibytes)
{
	struct bench_job *job = bench_job_new("kill", BENCH_LIMIT, &road_none, turn_kill);
	char name[64];

	snprintf(name, sizeof name, "kill-to-exit-%d-MiB", mebibytes);
	job->n_sides = 1;
	job->n_fixed = 1;
	job->variant = mebibytes;
	return limit_print(name, "ms", value_kill_ms, job);
}

int bench_limits(void)
{
	static const char *const mixes[] = { "ktf-s", "ktf-l", "pbpb32", "tiny" };
	int r;

	bench_print_header("limits", "two cores and this kernel without any library");
	r = limit_print("cache-line-ping-pong", "ns", bench_value_p50,
	                bench_job_new("cache line", BENCH_LIMIT, &bench_road_raw, bench_turn_line));
	if (r == 0)
		r = limit_print("eventfd-ping-pong", "ns", bench_value_p50,
		                bench_job_new("eventfd", BENCH_LIMIT, &bench_road_raw, bench_turn_eventfd));
	for (int i = 0; i < 4 && r == 0; i++)
		r = limit_ring(i < 2 ? 1 : 64, i % 2 != 0);
	for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++)
		for (int reads = 0; reads < 2 && r == 0; reads++)
			if (!bench_config.quick || i == 0)
				r = limit_warm(mixes[i], reads != 0);
	for (int mebibytes = 0; mebibytes <= (bench_config.quick ? 128 : 2048) && r == 0;
	     mebibytes = mebibytes == 0 ? 128 : mebibytes * 4)
		r = limit_kill(mebibytes);
	return r;
}
