/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session's directory: `p-<16 hex digits>.sock` is a process's listening socket, `d-<id>.sock` one by which a device is
 * controlled, `c-<name>` a symbolic link from an address to a process's socket, `.lock` the lock under which all of them are made and
 * removed. A socket that refuses connections is of a dead process; that is certain only under the lock, since a socket is bound,
 * listens and gets its name under it. So --clean proves each dead once more under the lock before it removes anything. The lock file
 * itself always stays.
 */
#include "doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "terminal.h"

#define LOCK_NAME ".lock"

/* How long to wait for the lock, which nobody holds longer than it takes to make a few files. */
#define LOCK_WAIT_NS INT64_C(2000000000)
#define LOCK_STEP_NS INT64_C(20000000)

/* More lines than this are of no use to anybody; --json has them all. */
#define N_ITEMS_MAX 16

enum entry_kind {
	ENTRY_SOCKET,  /* of a process, or one that was never renamed into place */
	ENTRY_ADDRESS, /* a link to a process's socket */
	ENTRY_DEVICE,  /* a socket by which a device is controlled */
	ENTRY_STATUS,  /* a plain file that belongs to a process's socket */
	ENTRY_STRANGE, /* nothing of ours; never touched */
};

enum entry_fate {
	ENTRY_LIVE,
	ENTRY_DEAD,
	ENTRY_UNKNOWN,
};

struct entry {
	char name[256];
	char target[256]; /* of an address or status file: the socket's name */
	enum entry_kind kind;
	enum entry_fate fate;
	long pid;  /* of a live socket; 0: not known */
	bool full; /* alive, but so many wait to be accepted that we could not join them */
	int error; /* why the fate is not known */
};

struct session {
	int fd;
	struct entry *entries;
	size_t n_entries;
	size_t n_live, n_dead, n_addresses, n_strange, n_unknown;
};

static void session_fini(struct session *session)
{
	free(session->entries);
	if (session->fd >= 0)
		close(session->fd);
}

/* Whether a name starts with "p-" and 16 hex digits and a dot. */
static bool name_is_process(const char *name)
{
	if (strncmp(name, "p-", 2) != 0)
		return false;
	for (size_t i = 2; i < 18; i++)
		if (!isxdigit((unsigned char)name[i]))
			return false;
	return name[18] == '.';
}

static void entry_classify(int fd, struct entry *entry)
{
	const char *name = entry->name;
	struct stat status;
	ssize_t n;

	entry->kind = ENTRY_STRANGE;
	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISSOCK(status.st_mode) && (name_is_process(name) || name[0] == '.'))
		entry->kind = ENTRY_SOCKET;
	else if (S_ISSOCK(status.st_mode) && strncmp(name, "d-", 2) == 0)
		entry->kind = ENTRY_DEVICE;
	else if (S_ISLNK(status.st_mode) && (strncmp(name, "c-", 2) == 0 || name[0] == '.')) {
		n = readlinkat(fd, name, entry->target, sizeof(entry->target) - 1);
		entry->target[n < 0 ? 0 : n] = '\0';
		if (name_is_process(entry->target))
			entry->kind = ENTRY_ADDRESS;
	} else if (S_ISREG(status.st_mode) && name_is_process(name)) {
		snprintf(entry->target, sizeof(entry->target), "%.18s.sock", name);
		entry->kind = ENTRY_STATUS;
	}
}

/* The living first, then their addresses, then the rest; by name within each. */
static int entry_compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int a_rank = a->fate == ENTRY_LIVE ? (int)a->kind : 10, b_rank = b->fate == ENTRY_LIVE ? (int)b->kind : 10;

	a_rank += a->kind == ENTRY_STRANGE ? 10 : 0;
	b_rank += b->kind == ENTRY_STRANGE ? 10 : 0;
	return a_rank != b_rank ? (a_rank > b_rank) - (a_rank < b_rank) : strcmp(a->name, b->name);
}

static int session_load(struct session *session)
{
	TOOL_AUTO_FD int fd = openat(session->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	TOOL_AUTO_DIR DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *found;

	if (!directory)
		return -errno;
	/* The stream owns it now. */
	tool_take_fd(&fd);
	session->n_entries = 0;
	while ((found = readdir(directory))) {
		struct entry *grown;

		if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0 ||
		    strcmp(found->d_name, LOCK_NAME) == 0)
			continue;
		grown = reallocarray(session->entries, session->n_entries + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		session->entries = grown;
		grown += session->n_entries++;
		*grown = (struct entry){ .fate = ENTRY_UNKNOWN };
		snprintf(grown->name, sizeof(grown->name), "%s", found->d_name);
		entry_classify(session->fd, grown);
	}
	return 0;
}

/* Connects to a socket in the current directory; a process that is alive sees a connection that says nothing and ends. */
static void socket_prove(struct entry *entry)
{
	TOOL_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t n_peer = sizeof(peer);

	if (fd < 0) {
		entry->error = errno;
		return;
	}
	if (strlen(entry->name) >= sizeof(address.sun_path)) {
		entry->error = ENAMETOOLONG;
		return;
	}
	memcpy(address.sun_path, entry->name, strlen(entry->name));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
		entry->fate = ENTRY_LIVE;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n_peer) == 0)
			entry->pid = peer.pid;
	} else if (errno == EAGAIN) {
		entry->fate = ENTRY_LIVE;
		entry->full = true;
	} else if (errno == ECONNREFUSED)
		entry->fate = ENTRY_DEAD;
	else
		entry->error = errno;
}

static const struct entry *session_find(const struct session *session, const char *name)
{
	for (size_t i = 0; i < session->n_entries; i++)
		if (strcmp(session->entries[i].name, name) == 0)
			return &session->entries[i];
	return NULL;
}

/* Decides who lives: first the sockets, then all that stands or falls with one. */
static int session_prove(struct session *session)
{
	TOOL_AUTO_FD int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	/* Names relative to the directory need neither a short path nor /proc. */
	if (fchdir(session->fd) < 0)
		return -errno;
	for (size_t i = 0; i < session->n_entries; i++)
		if (session->entries[i].kind == ENTRY_SOCKET || session->entries[i].kind == ENTRY_DEVICE)
			socket_prove(&session->entries[i]);
	if (here >= 0 && fchdir(here) < 0)
		return -errno;

	session->n_live = session->n_dead = session->n_addresses = session->n_strange = session->n_unknown = 0;
	for (size_t i = 0; i < session->n_entries; i++) {
		struct entry *entry = &session->entries[i];

		if (entry->kind == ENTRY_ADDRESS || entry->kind == ENTRY_STATUS) {
			const struct entry *socket = session_find(session, entry->target);

			entry->fate = socket ? socket->fate : ENTRY_DEAD;
			entry->pid = socket ? socket->pid : 0;
		}
		if (entry->kind == ENTRY_STRANGE)
			session->n_strange++;
		else if (entry->fate == ENTRY_DEAD)
			session->n_dead++;
		else if (entry->fate == ENTRY_UNKNOWN)
			session->n_unknown++;
		else if (entry->kind == ENTRY_SOCKET)
			session->n_live++;
		else if (entry->kind == ENTRY_ADDRESS)
			session->n_addresses++;
	}
	return 0;
}

/* @return descriptor of the locked file; -EWOULDBLOCK somebody holds it for long; or -errno */
static int session_lock(const struct session *session)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_NS };
	TOOL_AUTO_FD int fd = openat(session->fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	for (int64_t waited_ns = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ns += LOCK_STEP_NS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited_ns >= LOCK_WAIT_NS)
			return -EWOULDBLOCK;
		nanosleep(&step, NULL);
	}
	return tool_take_fd(&fd);
}

/* Removes what is dead; looks and proves anew, under the lock. @return how many were removed, or -errno */
static int session_clean(struct session *session)
{
	TOOL_AUTO_FD int lock = session_lock(session);
	int n_removed = 0;
	int r = lock < 0 ? lock : session_load(session);

	if (r == 0)
		r = session_prove(session);
	if (r < 0)
		return r;
	for (size_t i = 0; i < session->n_entries; i++) {
		const struct entry *entry = &session->entries[i];

		if (entry->kind == ENTRY_STRANGE || entry->fate != ENTRY_DEAD)
			continue;
		if (unlinkat(session->fd, entry->name, 0) < 0 && errno != ENOENT)
			return -errno;
		n_removed++;
	}
	r = session_load(session);
	if (r == 0)
		r = session_prove(session);
	return r < 0 ? r : n_removed;
}

/* What is to be known of a live process: its name, and whether it is stopped. */
static void process_describe(const struct entry *entry, char *text, size_t n_text)
{
	char path[64], name[64], state[64];

	if (entry->full) {
		snprintf(text, n_text, "a process that does not accept: stopped, or very busy (which one: ss -xlp)");
		return;
	}
	if (entry->pid == 0) {
		snprintf(text, n_text, "a process that cannot be seen from here (another container?)");
		return;
	}
	snprintf(path, sizeof(path), "/proc/%ld/status", entry->pid);
	if (doctor_read_key(path, "Name", name, sizeof(name)) < 0) {
		snprintf(text, n_text, "process %ld is gone, but a child that it forked keeps its socket", entry->pid);
		return;
	}
	doctor_read_key(path, "State", state, sizeof(state));
	snprintf(text, n_text, "process %ld %s%s", entry->pid, name,
	         state[0] == 'T'   ? ", stopped (kill -CONT lets it go on)"
	         : state[0] == 't' ? ", in a debugger"
	                           : "");
}

static void session_list(struct doctor *doctor, const struct session *session)
{
	size_t n_items = 0, n_hidden = 0;
	json_t *live = json_array(), *addresses = json_array(), *leftovers = json_array(), *strange = json_array();

	for (size_t i = 0; i < session->n_entries; i++) {
		const struct entry *entry = &session->entries[i];
		char text[320];

		if (entry->kind == ENTRY_STRANGE) {
			snprintf(text, sizeof(text), "not of Sealane, left alone");
			json_array_append_new(strange, doctor_text_to_json(entry->name));
		} else if (entry->fate == ENTRY_UNKNOWN) {
			snprintf(text, sizeof(text), "cannot be told: %s",
			         strerror(entry->error ? entry->error : ENOENT));
			json_array_append_new(strange, doctor_text_to_json(entry->name));
		} else if (entry->fate == ENTRY_DEAD) {
			snprintf(text, sizeof(text), "left by a dead process");
			json_array_append_new(leftovers, doctor_text_to_json(entry->name));
		} else if (entry->kind == ENTRY_DEVICE) {
			snprintf(text, sizeof(text), "controls a device, process %ld", entry->pid);
		} else if (entry->kind == ENTRY_SOCKET) {
			process_describe(entry, text, sizeof(text));
			json_array_append_new(live, json_pack("{s:o, s:I}", "socket", doctor_text_to_json(entry->name),
			                                      "pid", (json_int_t)entry->pid));
		} else if (entry->kind == ENTRY_ADDRESS) {
			snprintf(text, sizeof(text), "-> %s", entry->target);
			json_array_append_new(addresses,
			                      json_pack("{s:o, s:o, s:I}", "name", doctor_text_to_json(entry->name + 2),
			                                "socket", doctor_text_to_json(entry->target), "pid",
			                                (json_int_t)entry->pid));
		} else
			continue;
		if (n_items++ < N_ITEMS_MAX)
			doctor_item(doctor, "%-26s %s", entry->name, text);
		else
			n_hidden++;
	}
	if (n_hidden)
		doctor_item(doctor, "... and %zu more (all of them: --json)", n_hidden);
	doctor_data(doctor, "live", live);
	doctor_data(doctor, "addresses", addresses);
	doctor_data(doctor, "leftovers", leftovers);
	doctor_data(doctor, "strange", strange);
}

static void session_report(struct doctor *doctor, const struct session *session, const char *name, int n_removed)
{
	enum doctor_state state = DOCTOR_OK;
	char removed[64] = "";

	if (n_removed > 0)
		snprintf(removed, sizeof(removed), "; %d leftover%s removed", n_removed, n_removed == 1 ? "" : "s");
	if (n_removed < 0 || session->n_dead)
		state = DOCTOR_WARN;
	else if (session->n_strange + session->n_unknown)
		state = DOCTOR_INFO;
	doctor_add(doctor, state, "session", "%s: %zu live process%s, %zu address%s, %zu leftover%s%s", name,
	           session->n_live, session->n_live == 1 ? "" : "es", session->n_addresses,
	           session->n_addresses == 1 ? "" : "es", session->n_dead, session->n_dead == 1 ? "" : "s", removed);
	doctor_data(doctor, "session", doctor_text_to_json(name));
	doctor_data(doctor, "removed", json_integer(n_removed > 0 ? n_removed : 0));
	session_list(doctor, session);
	if (n_removed == -EWOULDBLOCK) {
		doctor_cost(doctor,
		            "nothing was removed: a process has held the lock %s/" LOCK_NAME
		            " for 2 s, it may be stopped",
		            name);
		doctor_mend(doctor, "grep FLOCK /proc/locks   # the fifth column is the process");
	} else if (n_removed < 0)
		doctor_cost(doctor, "not everything was removed: %s", strerror(-n_removed));
	else if (session->n_dead) {
		doctor_cost(
			doctor,
			"a few directory entries, no memory: the kernel has taken that back; the next start removes what is in its way");
		doctor_mend(doctor, "sealane doctor --clean --session %s%s%s", name,
		            doctor->runtime_dir ? " --runtime-dir " : "",
		            doctor->runtime_dir ? doctor->runtime_dir : "");
	}
}

void doctor_check_session(struct doctor *doctor, int runtime_fd, const char *name)
{
	TOOL_CLEANUP(session_fini)
	struct session session = { .fd = openat(runtime_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) };
	struct stat status;
	int n_removed = 0;
	int r = 0;

	if (session.fd < 0 || fstat(session.fd, &status) < 0)
		r = -errno;
	else if (status.st_uid != geteuid())
		r = -EPERM;
	if (r == 0)
		r = session_load(&session);
	if (r == 0)
		r = session_prove(&session);
	if (r < 0) {
		doctor_add(doctor, DOCTOR_WARN, "session", "%s: cannot be looked into: %s", name,
		           r == -EPERM ? "it belongs to another user" : strerror(-r));
		return;
	}
	if (doctor->clean && session.n_dead)
		n_removed = session_clean(&session);
	if (session.n_entries)
		qsort(session.entries, session.n_entries, sizeof(*session.entries), entry_compare);
	session_report(doctor, &session, name, n_removed);
}
