/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into sessions, and removing what the dead left.
 *
 * A process is dead when nobody has its status file locked. That is tried only with the directory's lock held: a process that starts
 * locks its new file under it, and must not find it locked by who looks. Where the lock cannot be had, nothing is proven dead. No file is read
 * while it is held, so that a watcher that is stopped keeps nobody from starting for longer than it takes to list a directory.
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
/* The lock is held for microseconds by honest processes. */
#define MONITOR_LOCK_NS SEAI_NS_PER_S
/* Reads of a file that changes meanwhile. */
#define MONITOR_N_TRIES 20

static void monitor_close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int monitor_check(const struct sea_monitor_options **options)
{
	static const struct sea_monitor_options no_options;

	if (!*options)
		*options = &no_options;
	for (size_t i = 0; i < sizeof((*options)->reserved) / sizeof((*options)->reserved[0]); i++)
		if ((*options)->reserved[i])
			return -EINVAL;
	return (*options)->timeout_ns < 0 ? -EINVAL : 0;
}

static bool monitor_is_session(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 64 || name[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

static int monitor_open_base(const struct sea_monitor_options *options)
{
	char base[768];
	int r = seai_directory_find_base(options->runtime_dir, base);
	int fd = r < 0 ? -1 : open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return r < 0 ? r : fd < 0 ? -errno : fd;
}

/* The session's directory and its name. */
static int monitor_open(const struct sea_monitor_options *options, const char **ret_name)
{
	const char *name = options->session ? options->session : getenv("SEALANE_SESSION");
	SEAI_AUTO_FD int base_fd = -1;
	int fd;

	if (!name || (!options->session && !*name))
		name = "default";
	if (!monitor_is_session(name))
		return -EINVAL;
	base_fd = monitor_open_base(options);
	if (base_fd < 0)
		return base_fd;
	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	*ret_name = name;
	return fd < 0 ? errno == ELOOP || errno == ENOTDIR ? -ENOENT : -errno : fd;
}

static int monitor_open_list(int dir_fd, DIR **ret_dir)
{
	SEAI_AUTO_FD int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_dir = fdopendir(fd);
	if (!*ret_dir)
		return -errno;
	(void)seai_take_fd(&fd);
	return 0;
}

/* The directory's lock; operation is LOCK_SH or LOCK_EX. -ENOENT: nobody was ever here. */
static int monitor_lock(int dir_fd, int operation)
{
	SEAI_AUTO_FD int fd = openat(dir_fd, ".lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int64_t deadline_ns = seai_deadline(MONITOR_LOCK_NS);

	if (fd < 0)
		return -errno;
	while (flock(fd, operation | LOCK_NB) < 0) {
		const struct timespec pause = { .tv_nsec = SEAI_NS_PER_MS / 5 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (seai_now_ns() > deadline_ns)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return seai_take_fd(&fd);
}

/* Directory lock held. */
static bool monitor_is_dead(int dir_fd, uint64_t id)
{
	char name[40];
	SEAI_AUTO_FD int fd = -1;

	snprintf(name, sizeof(name), "p-%016llx.status", (unsigned long long)id);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT;
	return flock(fd, LOCK_SH | LOCK_NB) == 0;
}

/* Whether an entry of the directory is of a dead process. Directory lock held exclusively for what is temporary. */
static bool monitor_is_leftover(int dir_fd, const char *name, bool is_exclusive)
{
	char target[64];
	uint64_t id;
	ssize_t n;

	if (seai_directory_parse_process(name, &id))
		return monitor_is_dead(dir_fd, id);
	if (strncmp(name, ".t-", 3) == 0)
		return is_exclusive;
	if (strncmp(name, "c-", 2) != 0)
		return false;
	n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return !seai_directory_parse_process(target, &id) || monitor_is_dead(dir_fd, id);
}

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
	SEAI_CLEANUP(monitor_close_dir) DIR *dir = NULL;
	SEAI_AUTO_FD int lock_fd = monitor_lock(dir_fd, LOCK_SH);
	struct dirent *entry;
	int r = monitor_open_list(dir_fd, &dir);

	while (r == 0 && dir && (entry = readdir(dir))) {
		struct sea_monitor_process *process;
		struct sea_monitor_file *file;
		bool is_leftover = lock_fd >= 0 && monitor_is_leftover(dir_fd, entry->d_name, false);
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
	SEAI_AUTO_FD int dir_fd = monitor_open(options, &name);
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
	int r = monitor_check(&options);

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

static int session_compare(const void *left, const void *right)
{
	const struct sea_monitor_session *a = left, *b = right;

	return strcmp(a->name, b->name);
}

int sea_monitor_list(const struct sea_monitor_options *options, struct sea_monitor_session **ret_sessions,
                     size_t *ret_n_sessions)
{
	SEAI_AUTO_FREE struct sea_monitor_session *sessions = NULL;
	SEAI_CLEANUP(monitor_close_dir) DIR *dir = NULL;
	SEAI_AUTO_FD int base_fd = -1;
	size_t n_sessions = 0;
	struct dirent *entry;
	int r = monitor_check(&options);

	if (r < 0)
		return r;
	base_fd = monitor_open_base(options);
	r = base_fd < 0 ? base_fd : monitor_open_list(base_fd, &dir);
	if (r < 0 && r != -ENOENT)
		return r;
	while (r == 0 && dir && (entry = readdir(dir))) {
		struct sea_monitor_session *session;
		struct stat stat;

		if (!monitor_is_session(entry->d_name) ||
		    fstatat(base_fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(stat.st_mode))
			continue;
		session = seai_monitor_grow(&sessions, &n_sessions, sizeof(*session));
		if (!session)
			return -ENOMEM;
		seai_monitor_copy(session->name, sizeof(session->name), entry->d_name, strlen(entry->d_name));
	}
	if (n_sessions)
		qsort(sessions, n_sessions, sizeof(*sessions), session_compare);
	*ret_sessions = SEAI_TAKE(sessions);
	*ret_n_sessions = n_sessions;
	return 0;
}

/* Addresses first, sockets next, status files last: who is interrupted leaves what still proves them dead. */
static int clean_rank(const char *name)
{
	size_t n = strlen(name);

	return name[0] != 'p' ? 0 : n > 7 && strcmp(name + n - 7, ".status") == 0 ? 2 : 1;
}

static int clean_pass(int dir_fd, int rank, struct sea_monitor_file **files, size_t *n_files)
{
	SEAI_CLEANUP(monitor_close_dir) DIR *dir = NULL;
	struct dirent *entry;
	int r = monitor_open_list(dir_fd, &dir);

	while (r == 0 && dir && (entry = readdir(dir))) {
		struct sea_monitor_file *file;

		if (clean_rank(entry->d_name) != rank || !monitor_is_leftover(dir_fd, entry->d_name, true))
			continue;
		if (unlinkat(dir_fd, entry->d_name, 0) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		file = seai_monitor_grow(files, n_files, sizeof(*file));
		if (!file)
			return -ENOMEM;
		seai_monitor_copy(file->name, sizeof(file->name), entry->d_name, strlen(entry->d_name));
	}
	return r;
}

int sea_monitor_clean(const struct sea_monitor_options *options, struct sea_monitor_file **ret_files,
                      size_t *ret_n_files)
{
	SEAI_AUTO_FREE struct sea_monitor_file *files = NULL;
	SEAI_AUTO_FD int dir_fd = -1;
	SEAI_AUTO_FD int lock_fd = -1;
	size_t n_files = 0;
	const char *name;
	int r = monitor_check(&options);

	if (r < 0)
		return r;
	dir_fd = monitor_open(options, &name);
	if (dir_fd < 0)
		return dir_fd;
	lock_fd = monitor_lock(dir_fd, LOCK_EX);
	if (lock_fd < 0 && lock_fd != -ENOENT)
		return lock_fd;
	/* Without a lock file nothing in here was made by a process of ours. */
	for (int rank = 0; lock_fd >= 0 && rank < 3 && r == 0; rank++)
		r = clean_pass(dir_fd, rank, &files, &n_files);
	if (r < 0)
		return r;
	*ret_files = SEAI_TAKE(files);
	*ret_n_files = n_files;
	return 0;
}

int64_t sea_monitor_read(int32_t pid, const struct sea_monitor_hold *hold, uint64_t offset, void *data, size_t n_bytes)
{
	char path[64], target[64];
	SEAI_AUTO_FD int fd = -1;
	ssize_t n;

	if (offset > hold->n_bytes || hold->file_offset > INT64_MAX - hold->n_bytes)
		return -EINVAL;
	if (n_bytes > hold->n_bytes - offset)
		n_bytes = (size_t)(hold->n_bytes - offset);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)hold->fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	/* Nothing else is opened: a device or a pipe might mind. */
	if (strncmp(target, "/memfd:sealane", strlen("/memfd:sealane")) != 0)
		return -ESTALE;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = pread(fd, data, n_bytes, (off_t)(hold->file_offset + offset));
	return n < 0 ? -errno : n;
}
