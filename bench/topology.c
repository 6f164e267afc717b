/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology: `sealane run` of a sampler, 18 proxies and a sink in a chain, from its start until the last of the 20 is in RUNNING; and
 * beside it 20 processes of the same program that end at once.
 *
 * The odd rule: the clock stops when the line of the log that says so has come here, so that nobody has to look again and again,
 * which would cost the devices processor time.
 */
#include "bench.h"

#ifdef SEALANE_COMMAND_DEVICES
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_DEVICES 20
#define SECONDS_AT_MOST 0.3
/* The state that is waited for, as devices log it. */
#define LINE_RUNNING "---> RUNNING"

static char program[4096], topology_path[4096];

/* One channel of a device; what lies between two devices has the number of the first. */
static void write_channel(FILE *file, const char *name, int hop, bool binds)
{
	fprintf(file,
	        "{\"name\":\"%s\",\"type\":\"%s\",\"method\":\"%s\",\"rateLogging\":0,"
	        "\"sockets\":[{\"address\":\"ipc://hop-%d\"}]}",
	        name, binds ? "push" : "pull", binds ? "bind" : "connect", hop);
}

static void write_topology(void)
{
	FILE *file = fopen(topology_path, "we");

	bench_check(file != NULL, "%s: %s", topology_path, strerror(errno));
	fputs("{\"fairMQOptions\":{\"devices\":[\n", file);
	for (int i = 0; i < N_DEVICES; i++) {
		const bool is_first = i == 0, is_last = i + 1 == N_DEVICES;

		fprintf(file, "%s{\"id\":\"device%d\",\"exec\":\"'%s' %s\",\"channels\":[", is_first ? "" : ",\n", i,
		        program,
		        is_first  ? "sampler --msg-size 1000 --msg-rate 1000"
		        : is_last ? "sink"
		                  : "proxy");
		if (!is_first)
			write_channel(file, is_last ? "data" : "data-in", i - 1, false);
		if (!is_first && !is_last)
			putc(',', file);
		if (!is_last)
			write_channel(file, is_first ? "data" : "data-out", i, true);
		fputs("]}", file);
	}
	fputs("\n]}}\n", file);
	bench_check(fclose(file) == 0, "%s: %s", topology_path, strerror(errno));
}

static int topology_open(struct bench_job *job, int side)
{
	const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	cpu_set_t cpus;

	(void)side;
	if (n <= 0 || memchr(program, '\'', (size_t)n) != NULL || memchr(program, '"', (size_t)n) != NULL)
		return bench_skip(job, "the path of this program is not known, or has quotes in it");
	snprintf(topology_path, sizeof topology_path, "%s/topology.json", bench_config.directory);
	write_topology();
	/* The processes share both cores, as all cases here do. */
	CPU_ZERO(&cpus);
	CPU_SET((size_t)bench_config.cpus[0], &cpus);
	CPU_SET((size_t)bench_config.cpus[1], &cpus);
	sched_setaffinity(0, sizeof cpus, &cpus);
	return 0;
}

static const struct bench_road road_topology = { .name = "sealane run", .open = topology_open };

/* Starts this program with other words. Its output goes to fd; it ends when we do. */
static pid_t program_start(char *const *argv, int fd)
{
	const pid_t parent = getpid(), pid = fork();

	bench_check(pid >= 0, "fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	if (getppid() == parent && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
		execv(program, argv);
	_exit(127);
}

static void program_end(pid_t pid, const char *what)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		bench_check(errno == EINTR, "waitpid: %s", strerror(errno));
	bench_check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status 0x%x", what, (unsigned)status);
}

/* Processor time of a process so far, all its threads together; 0 where the kernel does not tell. */
static double process_cpu_ns(long pid)
{
	char path[300];
	struct dirent *entry;
	DIR *directory;
	double sum = 0;

	snprintf(path, sizeof path, "/proc/%ld/task", pid);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		unsigned long long ns = 0;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%ld/task/%.20s/schedstat", pid, entry->d_name);
		file = fopen(path, "re");
		if (file != NULL && fscanf(file, "%llu", &ns) == 1)
			sum += (double)ns;
		if (file != NULL)
			fclose(file);
	}
	if (directory != NULL)
		closedir(directory);
	return sum;
}

static double children_cpu_ns(pid_t parent)
{
	char path[100];
	double sum = 0;
	FILE *file;
	long pid;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	file = fopen(path, "re");
	while (file != NULL && fscanf(file, "%ld", &pid) == 1)
		sum += process_cpu_ns(pid);
	if (file != NULL)
		fclose(file);
	return sum;
}

static void topology_start(struct bench_turn *turn)
{
	char *const argv[] = { program, "run", topology_path, "--quiet", NULL };
	char *line = NULL;
	size_t n_room = 0;
	int n_running = 0, fds[2];
	FILE *output;
	pid_t pid;

	bench_check(pipe2(fds, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
	turn->start_ns = bench_now();
	pid = program_start(argv, fds[1]);
	close(fds[1]);
	output = fdopen(fds[0], "r");
	bench_check(output != NULL, "fdopen: %s", strerror(errno));
	while (n_running < N_DEVICES && getline(&line, &n_room, output) > 0)
		n_running += strstr(line, LINE_RUNNING) != NULL;
	turn->end_ns = bench_now();
	bench_check(n_running == N_DEVICES, "%d of %d devices came to RUNNING; the last line: %s", n_running, N_DEVICES,
	            line != NULL ? line : "");
	turn->extra[0] = children_cpu_ns(pid) / N_DEVICES;
	turn->extra[1] = process_cpu_ns(pid);
	kill(pid, SIGINT);
	while (getline(&line, &n_room, output) > 0)
		continue;
	turn->extra[2] = (double)(bench_now() - turn->end_ns);
	fclose(output);
	free(line);
	program_end(pid, "sealane run");
}

static void turn_topology(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	(void)job;
	(void)side;
	(void)n;
	topology_start(turn);
}

/* Programs that only say their version: what starting any process costs here. */
static void turn_processes(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	char *const argv[] = { program, "--version", NULL };
	const int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pids[N_DEVICES];

	(void)job;
	(void)side;
	(void)n;
	turn->start_ns = bench_now();
	for (int i = 0; i < N_DEVICES; i++)
		pids[i] = program_start(argv, null_fd);
	for (int i = 0; i < N_DEVICES; i++)
		program_end(pids[i], "sealane --version");
	close(null_fd);
}

static double value_seconds(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)(sides[0].end_ns - sides[0].start_ns) * 1e-9;
}

static double value_device_ms(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[0] * 1e-6;
}

static double value_run_ms(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[1] * 1e-6;
}

static double value_stop_s(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return sides[0].extra[2] * 1e-9;
}

int bench_topology(void)
{
	struct bench_job *jobs[2];
	struct bench_row row;
	int r;

	bench_print_header("topology", "20 devices in a chain, from the start of sealane run until all are in RUNNING");
	jobs[0] = bench_job_new("20 empty processes", BENCH_LIMIT, &road_topology, turn_processes);
	jobs[1] = bench_job_new("20 devices", BENCH_OURS, &road_topology, turn_topology);
	for (size_t i = 0; i < 2; i++) {
		jobs[i]->n_sides = 1;
		jobs[i]->n_fixed = 1;
	}
	r = bench_run(jobs, 2);
	if (r == 0) {
		bench_row_init(&row, "topology", "20-devices", "s", value_seconds, jobs, 2);
		row.value_at_most = SECONDS_AT_MOST;
		bench_row_extra(&row, "cpu_ms_per_device", bench_median_of(row.ours, value_device_ms));
		bench_row_extra(&row, "cpu_ms_run", bench_median_of(row.ours, value_run_ms));
		bench_row_extra(&row, "s_to_stop", bench_median_of(row.ours, value_stop_s));
		bench_row_print(&row);
	}
	bench_job_free(jobs[0]);
	bench_job_free(jobs[1]);
	return r;
}
#else
int bench_topology(void)
{
	bench_print_skip("topology", "all", "this build has no devices");
	return 0;
}
#endif
