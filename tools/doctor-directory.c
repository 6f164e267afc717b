/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime directory: which one it is, whether the library will accept it, and
 * whether sockets and locks work on its file system, which is tried with files that are gone again at once.
 */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "options.h"
#include "terminal.h"

/* Longest path in a socket's address, terminating zero not included. */
#define SOCKET_PATH_N_MAX 107
/* "/p-" and 16 digits and ".sock" */
#define SOCKET_NAME_N 24

/* Below these a session may soon fail to open or to bind; whether it does now is tried. */
#define FREE_N_BYTES_MIN ((uint64_t)1 << 20)
#define FREE_N_FILES_MIN 64

/* Chooses as the library does. @return the directory; *ret_why says who chose */
static char *directory_choose(const struct doctor *doctor, const char **ret_why)
{
	const char *variable = getenv("SEALANE_RUNTIME_DIR");
	char *path = NULL;

	if (doctor->runtime_dir || (variable && *variable)) {
		*ret_why = doctor->runtime_dir ? "--runtime-dir" : "$SEALANE_RUNTIME_DIR";
		return strdup(doctor->runtime_dir ? doctor->runtime_dir : variable);
	}
	if (asprintf(&path, "/run/sealane/%u", (unsigned)geteuid()) < 0)
		return NULL;
	if (access(path, F_OK) == 0) {
		*ret_why = "it exists";
		return path;
	}
	free(path);
	*ret_why = "the default";
	return asprintf(&path, "/tmp/sealane-%u", (unsigned)geteuid()) < 0 ? NULL : path;
}

static void directory_missing(struct doctor *doctor, const char *path, const char *why)
{
	TOOL_AUTO_FREE char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (slash)
		slash[slash == parent] = '\0';
	if (access(slash ? parent : ".", W_OK | X_OK) == 0) {
		doctor_add(doctor, DOCTOR_OK, "runtime directory", "%s (%s); the first session makes it", path, why);
		return;
	}
	doctor_add(doctor, DOCTOR_BAD, "runtime directory", "%s (%s), not there, and cannot be made: %s", path, why,
	           strerror(errno));
	doctor_cost(doctor, "no session can be opened");
	doctor_mend(doctor, "install -d -m 700 -o %u %s   # as root", (unsigned)geteuid(), path);
	doctor_mend(doctor, "export SEALANE_RUNTIME_DIR=DIR   # a directory of this user, the same for all processes");
}

/* @return whether a session could be opened in it as far as its owner and mode go */
static bool directory_check_owner(struct doctor *doctor, const char *path, const char *why, const struct stat *status)
{
	unsigned mode = status->st_mode & 07777;

	if (S_ISLNK(status->st_mode) || !S_ISDIR(status->st_mode)) {
		doctor_add(doctor, DOCTOR_BAD, "runtime directory", "%s (%s) is %s", path, why,
		           S_ISLNK(status->st_mode) ? "a symbolic link, which is refused" : "no directory");
		doctor_cost(doctor, "no session can be opened; somebody else may have put it there");
		doctor_mend(doctor, "ls -ld %s", path);
		return false;
	}
	if (status->st_uid != geteuid()) {
		doctor_add(doctor, DOCTOR_BAD, "runtime directory", "%s (%s) belongs to uid %u, this process is uid %u",
		           path, why, (unsigned)status->st_uid, (unsigned)geteuid());
		doctor_cost(doctor, "no session can be opened");
		doctor_mend(doctor, "chown %u %s   # as root, if it is meant for this user", (unsigned)geteuid(), path);
		doctor_mend(doctor, "export SEALANE_RUNTIME_DIR=DIR   # another one, the same for all processes");
		return false;
	}
	if (mode & S_IWOTH || (mode & S_IWGRP && !(mode & S_ISGID))) {
		doctor_add(doctor, DOCTOR_BAD, "runtime directory", "%s (%s) has mode %04o: others may write in it",
		           path, why, mode);
		doctor_cost(doctor, "no session can be opened: another user could pose as one of its processes");
		doctor_mend(doctor, "chmod 700 %s", path);
		return false;
	}
	doctor_add(doctor, DOCTOR_OK, "runtime directory", "%s (%s), mode %04o", path, why, mode);
	return true;
}

static void directory_check_space(struct doctor *doctor, int fd, const char *path)
{
	char size_text[TERMINAL_TEXT_N_BYTES];
	struct statvfs space;
	uint64_t n_bytes;
	bool few_files;

	if (fstatvfs(fd, &space) < 0)
		return;
	n_bytes = (uint64_t)space.f_bavail * space.f_frsize;
	/* File systems without a table of inodes say 0 of 0. */
	few_files = space.f_files > 0 && space.f_favail < FREE_N_FILES_MIN;
	if (space.f_flag & ST_RDONLY) {
		doctor_add(doctor, DOCTOR_BAD, "space in it", "its file system is mounted read-only");
		doctor_cost(doctor, "no session can be opened");
		doctor_mend(doctor,
		            "export SEALANE_RUNTIME_DIR=DIR   # one that can be written, the same for all processes");
	} else if (n_bytes < FREE_N_BYTES_MIN || few_files) {
		doctor_add(doctor, DOCTOR_WARN, "space in it", "%s and %llu files are free",
		           terminal_size(size_text, n_bytes), (unsigned long long)space.f_favail);
		doctor_cost(doctor, "soon no session can be opened or bind there; frames are not stored in it");
		doctor_mend(doctor, "df -h %s; df -i %s", path, path);
	} else
		doctor_add(doctor, DOCTOR_OK, "space in it", "%s free; it holds sockets, no data",
		           terminal_size(size_text, n_bytes));
	doctor_data(doctor, "free_bytes", json_integer((json_int_t)n_bytes));
	doctor_data(doctor, "free_files", json_integer((json_int_t)space.f_favail));
}

/* Binds, listens, connects and locks as a session does. @return what failed, or NULL; errno says why */
static const char *directory_try(int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	TOOL_AUTO_FD int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	TOOL_AUTO_FD int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	TOOL_AUTO_FD int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	TOOL_AUTO_FD int lock = -1;
	char lock_name[64];
	const char *failed = NULL;
	int error;

	snprintf(address.sun_path, sizeof(address.sun_path), ".doctor-%ld.sock", (long)getpid());
	snprintf(lock_name, sizeof(lock_name), ".doctor-%ld.lock", (long)getpid());
	/* Relative to the directory: needs neither a short path nor /proc. */
	if (fchdir(fd) < 0)
		return "entering it";
	if (listener < 0 || client < 0)
		failed = "a socket";
	else if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
		failed = "binding a socket";
	else if (listen(listener, 1) < 0)
		failed = "listening";
	else if (connect(client, (struct sockaddr *)&address, sizeof(address)) < 0)
		failed = "connecting";
	else {
		lock = open(lock_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (lock < 0)
			failed = "making a file";
		else if (flock(lock, LOCK_EX | LOCK_NB) < 0)
			failed = "flock";
	}
	error = errno;
	unlink(address.sun_path);
	unlink(lock_name);
	if (here >= 0 && fchdir(here) < 0)
		error = errno;
	errno = error;
	return failed;
}

static void directory_check_use(struct doctor *doctor, int fd)
{
	const char *failed = directory_try(fd);

	if (!failed) {
		doctor_add(doctor, DOCTOR_OK, "sockets and locks in it", "work");
		return;
	}
	doctor_add(doctor, DOCTOR_BAD, "sockets and locks in it", "%s: %s", failed, strerror(errno));
	doctor_cost(doctor, "no session can be opened; network file systems often have no sockets");
	doctor_mend(doctor, "export SEALANE_RUNTIME_DIR=DIR   # on a local file system, the same for all processes");
}

static void directory_check_length(struct doctor *doctor, const char *path)
{
	const char *session = doctor->session ? doctor->session : getenv("SEALANE_SESSION");
	TOOL_AUTO_FREE char *absolute = realpath(path, NULL);
	size_t n;

	if (!session || !options_is_session(session))
		session = "default";
	n = strlen(absolute ? absolute : path) + 1 + strlen(session) + SOCKET_NAME_N;
	if (n <= SOCKET_PATH_N_MAX)
		doctor_add(doctor, DOCTOR_OK, "length of its paths", "%zu of at most %d bytes", n, SOCKET_PATH_N_MAX);
	else if (access("/proc/self/fd", X_OK) == 0)
		doctor_add(doctor, DOCTOR_OK, "length of its paths",
		           "%zu bytes, over %d: sockets are reached by /proc/self/fd", n, SOCKET_PATH_N_MAX);
	else {
		doctor_add(doctor, DOCTOR_BAD, "length of its paths",
		           "%zu bytes, over %d, and /proc/self/fd is not there", n, SOCKET_PATH_N_MAX);
		doctor_cost(doctor, "no session can be opened in this directory");
		doctor_mend(doctor, "export SEALANE_RUNTIME_DIR=/tmp/sealane-%u", (unsigned)geteuid());
	}
	doctor_data(doctor, "bytes", json_integer((json_int_t)n));
}

static int session_filter(const struct dirent *entry)
{
	return options_is_session(entry->d_name) && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

static void directory_check_sessions(struct doctor *doctor, int fd)
{
	struct dirent **entries = NULL;
	int n_entries;

	doctor->group = "Sessions";
	if (doctor->session) {
		struct stat status;

		if (fstatat(fd, doctor->session, &status, AT_SYMLINK_NOFOLLOW) < 0)
			doctor_add(doctor, DOCTOR_OK, "session", "%s: never opened here", doctor->session);
		else
			doctor_check_session(doctor, fd, doctor->session);
		return;
	}
	n_entries = scandirat(fd, ".", &entries, session_filter, alphasort);
	if (n_entries < 0) {
		doctor_add(doctor, DOCTOR_WARN, "sessions", "cannot be listed: %s", strerror(errno));
		return;
	}
	if (n_entries == 0)
		doctor_add(doctor, DOCTOR_OK, "sessions", "none");
	for (int i = 0; i < n_entries; i++) {
		doctor_check_session(doctor, fd, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

void doctor_check_directory(struct doctor *doctor)
{
	const char *why = "";
	TOOL_AUTO_FREE char *path = directory_choose(doctor, &why);
	TOOL_AUTO_FD int fd = -1;
	struct stat status;
	size_t n;

	doctor->group = "Runtime directory";
	if (!path) {
		doctor_add(doctor, DOCTOR_BAD, "runtime directory", "out of memory");
		return;
	}
	/* A slash at the end would follow a symbolic link. */
	for (n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	if (lstat(path, &status) < 0) {
		if (errno == ENOENT)
			directory_missing(doctor, path, why);
		else {
			doctor_add(doctor, DOCTOR_BAD, "runtime directory", "%s (%s): %s", path, why, strerror(errno));
			doctor_cost(doctor, "no session can be opened");
			doctor_mend(doctor,
			            "export SEALANE_RUNTIME_DIR=DIR   # another one, the same for all processes");
		}
		doctor_data(doctor, "path", doctor_text_to_json(path));
		directory_check_length(doctor, path);
		return;
	}
	if (!directory_check_owner(doctor, path, why, &status)) {
		doctor_data(doctor, "path", doctor_text_to_json(path));
		return;
	}
	doctor_data(doctor, "path", doctor_text_to_json(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		doctor_add(doctor, DOCTOR_BAD, "entering it", "%s", strerror(errno));
		doctor_cost(doctor, "no session can be opened");
		doctor_mend(doctor, "chmod 700 %s", path);
		return;
	}
	directory_check_space(doctor, fd, path);
	directory_check_use(doctor, fd);
	directory_check_length(doctor, path);
	directory_check_sessions(doctor, fd);
}
