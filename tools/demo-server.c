/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CCDB of `sealane demo`: a temporary folder, pieces of real files as objects, `sealane ccdb serve` on it, and `sealane ccdb import` to
 * fill it, each as a process of its own.
 *
 * A coordinator that is killed leaves the folder behind; the server dies with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "demo-calibration.h"
#include "demo-run.h"

/* For the server to listen, and for an import: generous, so that only a hang is met by it. */
#define START_NS (20000 * DEMO_MS_NS)
#define IMPORT_NS (120000 * DEMO_MS_NS)
#define END_NS (3000 * DEMO_MS_NS)

static int on_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	(void)remove(path);
	return 0;
}

void demo_server_stop(struct demo_calibration *calibration)
{
	const struct timespec tick = { .tv_nsec = DEMO_MS_NS };
	int64_t deadline_ns = demo_now_ns() + END_NS;

	if (calibration->server > 0) {
		kill(calibration->server, SIGTERM);
		while (waitpid(calibration->server, NULL, WNOHANG) == 0) {
			if (demo_now_ns() > deadline_ns)
				kill(calibration->server, SIGKILL);
			nanosleep(&tick, NULL);
		}
	}
	calibration->server = 0;
	if (calibration->directory[0])
		(void)nftw(calibration->directory, on_remove, 16, FTW_DEPTH | FTW_PHYS);
	calibration->directory[0] = '\0';
}

/* Starts this program again with other words. Its output goes to a file of the folder. */
static pid_t command_start(const struct demo_calibration *calibration, const char *const *words)
{
	char log[240];
	pid_t parent = getpid(), pid;

	snprintf(log, sizeof(log), "%s/log", calibration->directory);
	fflush(NULL);
	pid = fork();
	if (pid != 0)
		return pid;
	demo_child_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		if (fd >= 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0)
			execv("/proc/self/exe", (char *const *)(uintptr_t)words);
	}
	_exit(127);
}

/* The last line that the commands wrote, for an error. */
static char *log_last(const struct demo_calibration *calibration, char *line, size_t n_bytes)
{
	TOOL_AUTO_FILE FILE *file = NULL;
	char name[240], text[256];

	snprintf(line, n_bytes, "no reason given");
	snprintf(name, sizeof(name), "%s/log", calibration->directory);
	file = fopen(name, "re");
	while (file && fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		if (text[0])
			snprintf(line, n_bytes, "%s", text);
	}
	return line;
}

/* Runs a command to its end. */
static int command_run(const struct demo_calibration *calibration, struct demo_run *run, const char *const *words)
{
	int64_t deadline_ns = demo_now_ns() + IMPORT_NS;
	pid_t pid = command_start(calibration, words);
	int status = 0;
	char line[300];

	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		demo_tick(run, DEMO_MS_NS);
		if (run->signal || demo_now_ns() > deadline_ns)
			kill(pid, SIGKILL);
	}
	if (run->signal)
		return -ECANCELED;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return demo_run_failed(run, "sealane ccdb %s failed: %s", words[2], log_last(calibration, line, sizeof(line)));
}

int demo_server_check(struct demo_calibration *calibration, struct demo_run *run)
{
	char line[300];

	if (calibration->server <= 0 || waitpid(calibration->server, NULL, WNOHANG) == 0)
		return 0;
	calibration->server = 0;
	return demo_run_failed(run, "the CCDB server ended before its time: %s",
	                       log_last(calibration, line, sizeof(line)));
}

/* Waits for the port file, which appears when the server listens. */
static int server_wait(struct demo_calibration *calibration, struct demo_run *run, const char *port_file)
{
	int64_t deadline_ns = demo_now_ns() + START_NS;

	for (;;) {
		TOOL_AUTO_FILE FILE *file = fopen(port_file, "re");
		unsigned port;

		if (file && fscanf(file, "%u", &port) == 1) {
			snprintf(calibration->url, sizeof(calibration->url), "http://127.0.0.1:%u", port);
			return 0;
		}
		if (demo_server_check(calibration, run) < 0)
			return -EIO;
		if (demo_now_ns() > deadline_ns)
			return demo_run_failed(run, "the CCDB server does not begin to listen");
		demo_tick(run, DEMO_MS_NS);
		if (run->signal)
			return -ECANCELED;
	}
}

static int server_start(struct demo_calibration *calibration, struct demo_run *run)
{
	char port_file[240];
	const char *const words[] = { "sealane",     "ccdb",    "serve",     "--dir", calibration->store, "--port", "0",
		                      "--port-file", port_file, "--no-sync", NULL };

	snprintf(port_file, sizeof(port_file), "%s/port", calibration->directory);
	calibration->server = command_start(calibration, words);
	if (calibration->server < 0)
		return demo_run_failed(run, "cannot start the CCDB server: %s", strerror(errno));
	return server_wait(calibration, run, port_file);
}

/* Writes a piece of a file to another. 0; -ENODATA nothing can be read there; negative errno of the writing. */
static int piece_write(const char *from, uint64_t offset, uint64_t n_bytes, const char *to)
{
	TOOL_AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	TOOL_AUTO_FD int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t n_done = 0;
	char buffer[65536];

	if (out < 0)
		return -errno;
	while (in >= 0 && n_done < n_bytes) {
		size_t n_wanted = n_bytes - n_done < sizeof(buffer) ? (size_t)(n_bytes - n_done) : sizeof(buffer);
		ssize_t n = pread(in, buffer, n_wanted, (off_t)(offset + n_done));

		if (n <= 0)
			break;
		if (write(out, buffer, (size_t)n) != n)
			return -(errno ? errno : ENOSPC);
		n_done += (uint64_t)n;
	}
	return n_done ? 0 : -ENODATA;
}

/* The next file of the input that is not much smaller than an object may be; where there is none, the next that is not empty. */
static const struct input_file *file_next(const struct input_list *input, size_t *cursor, uint32_t n_bytes_max)
{
	for (unsigned least = n_bytes_max / 2;; least = 1) {
		for (size_t tries = 0; tries < input->n_files; tries++) {
			const size_t n = *cursor + tries;

			if (input->files[n % input->n_files].n_bytes >= least) {
				*cursor = n + 1;
				return &input->files[n % input->n_files];
			}
		}
		if (least == 1)
			return NULL;
	}
}

/*
 * The content of a version: the beginning of one of the input's files after the other, and when all have been used, other places in
 * them. name is of what it becomes, within the folder of imports.
 */
static int content_make(struct demo_calibration *calibration, const struct input_list *input, size_t *cursor,
                        uint32_t n_bytes_max, const char *name)
{
	char path[300];
	int r = -ENODATA;

	snprintf(path, sizeof(path), "%.199s/import/%.31s", calibration->directory, name);
	for (size_t tries = 0; r == -ENODATA && tries < input->n_files; tries++) {
		const struct input_file *file = file_next(input, cursor, n_bytes_max);
		/* A prime, so that places differ for long. */
		const uint64_t offset = file ? (*cursor - 1) / input->n_files * 4099 % file->n_bytes : 0;

		if (!file)
			return -ENODATA;
		r = piece_write(file->path, offset, n_bytes_max, path);
	}
	return r;
}

/* The manifest of an import, and what it names. */
static int import_write(struct demo_calibration *calibration, const struct demo_plan *plan)
{
	TOOL_AUTO_JSON json_t *list = json_array();
	struct demo_version version;
	char manifest[240], name[32];
	size_t cursor = 0;
	int r = 0;

	snprintf(manifest, sizeof(manifest), "%s/import", calibration->directory);
	if (mkdir(manifest, 0700) < 0)
		return -errno;
	for (size_t i = 0; r == 0 && demo_timeline_version(plan, i, &version) == 0; i++) {
		const struct demo_column *column = &demo_columns[version.column];
		json_t *item;
		char run[16];

		snprintf(name, sizeof(name), "%04zu.data", i);
		r = content_make(calibration, plan->input, &cursor, column->n_bytes_max, name);
		if (r < 0)
			return r;
		snprintf(run, sizeof(run), "%d", version.run);
		item = json_pack("{s:s, s:s, s:I, s:I}", "path", column->path, "file", name, "from",
		                 (json_int_t)version.from_ms, "until", (json_int_t)version.until_ms);
		if (version.run && item)
			json_object_set_new(item, "metadata", json_pack("{s:s}", "runNumber", run));
		if (!item || json_array_append_new(list, item) < 0)
			return -ENOMEM;
		calibration->n_versions++;
	}
	snprintf(manifest, sizeof(manifest), "%s/import/import.json", calibration->directory);
	return json_dump_file(list, manifest, JSON_INDENT(1)) == 0 ? 0 : -EIO;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / DEMO_MS_NS;
}

/* Another version of an object that counts everywhere, and of which the cache is not to know. */
static int object_replace(struct demo_calibration *calibration, struct demo_run *run)
{
	char from[24], file[240];
	const char *const words[] = { "sealane", "ccdb", "put", calibration->url, demo_columns[0].path, file,
		                      "--from",  from,   NULL };

	snprintf(from, sizeof(from), "%" PRId64, DEMO_BEGIN_MS - 1);
	snprintf(file, sizeof(file), "%s/import/0001.data", calibration->directory);
	while (now_ms() <= calibration->not_after_ms)
		demo_tick(run, DEMO_MS_NS);
	return command_run(calibration, run, words);
}

int demo_server_start(struct demo_calibration *calibration, struct demo_run *run)
{
	const char *top = getenv("TMPDIR");
	char import[240];
	const char *const words[] = { "sealane", "ccdb", "import", calibration->url, import, "--quiet", NULL };
	int r;

	snprintf(calibration->directory, sizeof(calibration->directory), "%.150s/sealane-demo-XXXXXX",
	         top && top[0] ? top : "/tmp");
	if (!mkdtemp(calibration->directory)) {
		r = demo_run_failed(run, "cannot make a folder %s: %s", calibration->directory, strerror(errno));
		calibration->directory[0] = '\0';
		return r;
	}
	snprintf(calibration->store, sizeof(calibration->store), "%s/store", calibration->directory);
	snprintf(import, sizeof(import), "%s/import", calibration->directory);
	r = import_write(calibration, run->plan);
	if (r < 0)
		return demo_run_failed(run, "cannot write what is to be imported to %s: %s", import, strerror(-r));
	r = server_start(calibration, run);
	if (r == 0)
		r = command_run(calibration, run, words);
	/* No two versions of a path are created in one ms: uploads faster than that are dated ahead of the clock. */
	calibration->not_after_ms = now_ms() + (int64_t)calibration->n_versions;
	if (r == 0 && calibration->is_stale)
		r = object_replace(calibration, run);
	/* The store has it all by now. */
	(void)nftw(import, on_remove, 16, FTW_DEPTH | FTW_PHYS);
	return r;
}
