/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of a session: who is there, what each says of itself, and what follows when all are put side by side.
 *
 * The odd rule: status files are read while their processes write them, so a torn one is read again; parsing starts when it is known to be whole.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/monitor.h"
#include "wire/status.h"

#define MONITOR_TIMEOUT_NS (5 * SEAI_NS_PER_S)
/* Reads of a file that changes meanwhile. */
#define MONITOR_N_TRIES 20

static struct sea_monitor_process *snapshot_get(struct sea_monitor_snapshot *snapshot, uint64_t id)
{
	struct sea_monitor_process *process;

	for (size_t i = 0; i < snapshot->n_processes; i++)
		if (snapshot->processes[i].id == id)
			return &snapshot->processes[i];
	process = seai_monitor_grow(&snapshot->processes, &snapshot->n_processes, sizeof(*process));
	if (process) {
		process->id = id;
		process->age_ns = process->heartbeat_age_ns = process->out_age_ns = -1;
		process->kernel_state = '?';
	}
	return process;
}

/* Who is there, and what is left. */
static int snapshot_list(struct sea_monitor_snapshot *snapshot, int dir_fd)
{
	SEAI_CLEANUP(seai_monitor_close_dir) DIR *dir = NULL;
	SEAI_AUTO_FD int lock_fd = seai_monitor_lock(dir_fd, LOCK_SH);
	struct dirent *entry;
	int r = seai_monitor_open_list(dir_fd, &dir);

	while (r == 0 && dir && (entry = readdir(dir))) {
		struct sea_monitor_process *process;
		struct sea_monitor_file *file;
		bool is_leftover = lock_fd >= 0 && seai_monitor_is_leftover(dir_fd, entry->d_name, false);
		uint64_t id;

		if (seai_directory_parse_process(entry->d_name, &id)) {
			process = snapshot_get(snapshot, id);
			if (!process)
				return -ENOMEM;
			process->condition = lock_fd < 0   ? SEA_MONITOR_UNKNOWN
			                     : is_leftover ? SEA_MONITOR_DEAD
			                                   : SEA_MONITOR_RUNNING;
		}
		if (!is_leftover)
			continue;
		file = seai_monitor_grow(&snapshot->leftovers, &snapshot->n_leftovers, sizeof(*file));
		if (!file)
			return -ENOMEM;
		seai_monitor_copy(file->name, sizeof(file->name), entry->d_name, strlen(entry->d_name));
	}
	return r;
}

/* What the kernel says of a process of the same user as the file; '?' where it does not tell, or the file names another's. */
static char monitor_kernel_state(int32_t pid, uid_t uid)
{
	char path[40], text[512];
	SEAI_AUTO_FD int fd = -1;
	struct stat stat;
	const char *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (pid <= 0 || fd < 0 || fstat(fd, &stat) < 0 || stat.st_uid != uid)
		return '?';
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return '?';
	text[n] = 0;
	/* After the name in parentheses, which may contain anything. */
	end = strrchr(text, ')');
	return (char)(end && end[1] == ' ' && isupper((unsigned char)end[2]) ? end[2] : '?');
}

/* Reads a file whole: 0; -EBADMSG it is none that a process wrote. */
static int monitor_read_file(int fd, char **text, size_t *ret_n_bytes)
{
	size_t n = 0, n_max = 0;

	for (;;) {
		ssize_t got;

		if (n == n_max) {
			char *grown = n_max < SEAI_STATUS_N_BYTES_MAX ? realloc(*text, n_max ? 4 * n_max : 16384)
			                                              : NULL;

			if (!grown)
				return n_max < SEAI_STATUS_N_BYTES_MAX ? -ENOMEM : -EBADMSG;
			*text = grown;
			n_max = n_max ? 4 * n_max : 16384;
		}
		got = pread(fd, *text + n, n_max - n, (off_t)n);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	*ret_n_bytes = n;
	return 0;
}

/* One try: what a torn file left in the snapshot is taken back. */
static int snapshot_try(struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process, int fd)
{
	SEAI_AUTO_FREE char *text = NULL;
	size_t n_bytes = 0;
	int r = monitor_read_file(fd, &text, &n_bytes);

	/* Parsing starts when the file is known to be whole. */
	return r < 0 ? r : seai_monitor_parse(snapshot, process, text, n_bytes);
}

static int snapshot_read(struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process, int dir_fd)
{
	const struct timespec pause = { .tv_nsec = SEAI_NS_PER_MS / 5 };
	char name[40];
	SEAI_AUTO_FD int fd = -1;
	struct stat stat;
	int r = -EBADMSG;

	snprintf(name, sizeof(name), "p-%016llx.status", (unsigned long long)process->id);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
		return 0; /* gone meanwhile, or not to be read: listed without figures */
	for (int i = 0; i < MONITOR_N_TRIES && r == -EBADMSG; i++) {
		if (i)
			nanosleep(&pause, NULL);
		r = snapshot_try(snapshot, process, fd);
		if (process->condition == SEA_MONITOR_DEAD)
			break; /* nobody writes it any more */
	}
	if (process->condition != SEA_MONITOR_DEAD)
		process->kernel_state = monitor_kernel_state(process->pid, stat.st_uid);
	return r == -ENOMEM ? r : 0;
}

static void process_judge(struct sea_monitor_process *process, int64_t timeout_ns)
{
	if (process->condition == SEA_MONITOR_DEAD)
		return;
	if (process->kernel_state == 'T')
		process->condition = SEA_MONITOR_STOPPED;
	else if (process->condition == SEA_MONITOR_RUNNING && process->heartbeat_age_ns > timeout_ns &&
	         !process->is_quiet)
		process->condition = SEA_MONITOR_HANGING;
}

static int link_compare(const void *left, const void *right)
{
	const struct sea_monitor_link *a = *(struct sea_monitor_link *const *)left;
	const struct sea_monitor_link *b = *(struct sea_monitor_link *const *)right;

	return (a->id > b->id) - (a->id < b->id);
}

static void link_tell(struct sea_monitor_link *receiver, const struct sea_monitor_link *sender)
{
	receiver->latency_ns = sender->latency_ns;
	receiver->waiting_ns = sender->waiting_ns;
}

/* An end that only receives has measured nothing: it gets what the other end has. Of more than two of one id somebody lies. */
static int snapshot_pair_links(struct sea_monitor_snapshot *snapshot)
{
	SEAI_AUTO_FREE struct sea_monitor_link **links = calloc(snapshot->n_links + 1,
	                                                        sizeof(struct sea_monitor_link *));

	if (!links)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->n_links; i++)
		links[i] = &snapshot->links[i];
	qsort(links, snapshot->n_links, sizeof(struct sea_monitor_link *), link_compare);
	for (size_t i = 0; i + 1 < snapshot->n_links; i++) {
		struct sea_monitor_link *a = links[i], *b = links[i + 1];

		if (!a->id || a->id != b->id || a->peer_id != b->process_id || b->peer_id != a->process_id)
			continue;
		if (!a->n_out_max)
			link_tell(a, b);
		else if (!b->n_out_max)
			link_tell(b, a);
	}
	return 0;
}

static int process_compare(const void *left, const void *right)
{
	const struct sea_monitor_process *a = left, *b = right;
	bool a_dead = a->condition == SEA_MONITOR_DEAD, b_dead = b->condition == SEA_MONITOR_DEAD;

	if (a_dead != b_dead)
		return a_dead - b_dead;
	/* Oldest first. */
	if (a->age_ns != b->age_ns)
		return a->age_ns < b->age_ns ? 1 : -1;
	return (a->id > b->id) - (a->id < b->id);
}

static int hold_compare(const void *left, const void *right)
{
	const struct sea_monitor_hold *a = left, *b = right;

	return a->age_ns != b->age_ns ? (a->age_ns < b->age_ns ? 1 : -1)
	                              : (a->n_bytes < b->n_bytes) - (a->n_bytes > b->n_bytes);
}

static int holder_compare(const void *left, const void *right)
{
	const struct sea_monitor_holder *a = left, *b = right;

	return a->age_ns != b->age_ns ? (a->age_ns < b->age_ns ? 1 : -1)
	                              : (a->n_bytes < b->n_bytes) - (a->n_bytes > b->n_bytes);
}

static void snapshot_sort(struct sea_monitor_snapshot *snapshot)
{
	if (snapshot->n_processes)
		qsort(snapshot->processes, snapshot->n_processes, sizeof(*snapshot->processes), process_compare);
	if (snapshot->n_holds)
		qsort(snapshot->holds, snapshot->n_holds, sizeof(*snapshot->holds), hold_compare);
	if (snapshot->n_holders)
		qsort(snapshot->holders, snapshot->n_holders, sizeof(*snapshot->holders), holder_compare);
}

static int snapshot_fill(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_options *options)
{
	const char *name;
	SEAI_AUTO_FD int dir_fd = seai_monitor_open(options, &name);
	int r;

	if (dir_fd < 0)
		return dir_fd;
	snprintf(snapshot->session, sizeof(snapshot->session), "%s", name);
	r = snapshot_list(snapshot, dir_fd);
	for (size_t i = 0; r == 0 && i < snapshot->n_processes; i++) {
		/* Per file: reading takes time, and ages are as of now. */
		snapshot->taken_ns = seai_now_ns();
		r = snapshot_read(snapshot, &snapshot->processes[i], dir_fd);
		process_judge(&snapshot->processes[i], options->timeout_ns ? options->timeout_ns : MONITOR_TIMEOUT_NS);
	}
	if (r == 0)
		r = snapshot_pair_links(snapshot);
	snapshot->taken_ns = seai_now_ns();
	snapshot_sort(snapshot);
	return r;
}

int sea_monitor_take(struct sea_monitor_snapshot **ret_snapshot, const struct sea_monitor_options *options)
{
	struct sea_monitor_snapshot *snapshot;
	int r = seai_monitor_check(&options);

	if (r < 0)
		return r;
	snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return -ENOMEM;
	r = snapshot_fill(snapshot, options);
	if (r < 0) {
		sea_monitor_free(snapshot);
		return r;
	}
	*ret_snapshot = snapshot;
	return 0;
}

struct sea_monitor_snapshot *sea_monitor_free(struct sea_monitor_snapshot *snapshot)
{
	if (!snapshot)
		return NULL;
	free(snapshot->processes);
	free(snapshot->heaps);
	free(snapshot->channels);
	free(snapshot->addresses);
	free(snapshot->links);
	free(snapshot->holders);
	free(snapshot->holds);
	free(snapshot->attached);
	free(snapshot->leftovers);
	free(snapshot);
	return NULL;
}
