/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What FairMQ has in /dev/shm. It is looked at and never touched: FairMQ's counts
 * do not tell the living from the dead, but who has a segment mapped is known to the kernel. The
 * command that removes a session's segments is FairMQ's own.
 */
#include "doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "terminal.h"

#define SHM_DIRECTORY "/dev/shm"

/* More lines than this are of no use to anybody; --json has them all. */
#define N_ITEMS_MAX 12

/* Sessions of FairMQ, by the 8 hex digits in the names of their segments. */
#define N_SESSIONS_MAX 64

struct fairmq_session {
	char id[9];
	uid_t owner;      /* all processes of a session of FairMQ have the same user */
	uint64_t n_bytes; /* memory that it really takes */
	unsigned n_files;
	unsigned n_processes; /* that have something of it mapped */
	unsigned n_hidden;    /* of its user, that we may not look into */
	long pid;             /* one of those that have */
};

/* "fmq_<8 hex>_..." or "sem.fmq_<8 hex>_...". @return the hex digits, or NULL for a name of another kind */
static const char *name_find_id(const char *name)
{
	if (strncmp(name, "sem.", 4) == 0)
		name += 4;
	if (strncmp(name, "fmq_", 4) != 0)
		return NULL;
	name += 4;
	for (size_t i = 0; i < 8; i++)
		if (!isxdigit((unsigned char)name[i]))
			return NULL;
	return name[8] == '_' ? name : NULL;
}

static struct fairmq_session *session_get(struct fairmq_session *sessions, size_t *n_sessions, const char *id)
{
	for (size_t i = 0; i < *n_sessions; i++)
		if (strncmp(sessions[i].id, id, 8) == 0)
			return &sessions[i];
	if (*n_sessions == N_SESSIONS_MAX)
		return NULL;
	memset(&sessions[*n_sessions], 0, sizeof(*sessions));
	memcpy(sessions[*n_sessions].id, id, 8);
	return &sessions[(*n_sessions)++];
}

/* Counts one process once for each session of which it has anything mapped. */
static void process_look(long pid, struct fairmq_session *sessions, size_t n_sessions)
{
	char path[64];
	TOOL_AUTO_FILE FILE *maps = NULL;
	TOOL_AUTO_FREE char *line = NULL;
	size_t n_line = 0;
	bool seen[N_SESSIONS_MAX] = { false };

	snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
	maps = fopen(path, "re");
	if (!maps) {
		struct stat status;

		snprintf(path, sizeof(path), "/proc/%ld", pid);
		if ((errno != EACCES && errno != EPERM) || stat(path, &status) < 0)
			return;
		for (size_t i = 0; i < n_sessions; i++)
			sessions[i].n_hidden += sessions[i].owner == status.st_uid;
		return;
	}
	while (getline(&line, &n_line, maps) > 0) {
		const char *name = strstr(line, SHM_DIRECTORY "/");
		const char *id = name ? name_find_id(name + strlen(SHM_DIRECTORY "/")) : NULL;

		for (size_t i = 0; id && i < n_sessions; i++) {
			if (strncmp(sessions[i].id, id, 8) != 0 || seen[i])
				continue;
			seen[i] = true;
			sessions[i].n_processes++;
			sessions[i].pid = pid;
		}
	}
}

static void processes_look(struct fairmq_session *sessions, size_t n_sessions)
{
	TOOL_AUTO_DIR DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);

		if (*end == '\0' && pid > 0)
			process_look(pid, sessions, n_sessions);
	}
}

static void owner_name(uid_t uid, char *text, size_t n_text)
{
	struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(text, n_text, "%s", user->pw_name);
	else
		snprintf(text, n_text, "uid %u", (unsigned)uid);
}

static bool session_is_left_over(const struct fairmq_session *session)
{
	return session->n_processes == 0 && session->n_hidden == 0;
}

static json_t *sessions_report(struct doctor *doctor, const struct fairmq_session *sessions, size_t n_sessions)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n_sessions; i++) {
		const struct fairmq_session *session = &sessions[i];
		char size_text[TERMINAL_TEXT_N_BYTES], use[128];

		if (session->n_processes)
			snprintf(use, sizeof(use), "in use by %u process%s (one is %ld)", session->n_processes,
			         session->n_processes == 1 ? "" : "es", session->pid);
		else if (session->n_hidden)
			snprintf(use, sizeof(use), "perhaps in use, this user may not look into its processes");
		else
			snprintf(use, sizeof(use), "mapped by no process: left over");
		doctor_item(doctor, "session %s: %u file%s, %s, %s", session->id, session->n_files,
		            session->n_files == 1 ? "" : "s", terminal_size(size_text, session->n_bytes), use);
		json_array_append_new(array, json_pack("{s:s, s:I, s:I, s:I, s:b}", "session", session->id, "files",
		                                       (json_int_t)session->n_files, "taken_bytes",
		                                       (json_int_t)session->n_bytes, "processes",
		                                       (json_int_t)session->n_processes, "left_over",
		                                       session_is_left_over(session)));
	}
	return array;
}

void doctor_check_fairmq(struct doctor *doctor)
{
	TOOL_AUTO_DIR DIR *directory = opendir(SHM_DIRECTORY);
	struct fairmq_session sessions[N_SESSIONS_MAX];
	size_t n_sessions = 0, n_files = 0, n_left_over = 0;
	TOOL_AUTO_JSON json_t *files = json_array();
	char size_text[TERMINAL_TEXT_N_BYTES], age_text[TERMINAL_TEXT_N_BYTES];
	uint64_t n_bytes = 0;
	struct dirent *entry;
	size_t index;
	json_t *file;

	doctor->group = "FairMQ";
	while (directory && (entry = readdir(directory))) {
		const char *id = name_find_id(entry->d_name);
		struct fairmq_session *session;
		struct stat status;
		char owner[64];
		uint64_t n_taken;

		if (!id || fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* Segments are sparse: what they take is less than their size. */
		n_taken = (uint64_t)status.st_blocks * 512;
		n_files++;
		n_bytes += n_taken;
		session = session_get(sessions, &n_sessions, id);
		if (session) {
			session->n_files++;
			session->n_bytes += n_taken;
			session->owner = status.st_uid;
		}
		owner_name(status.st_uid, owner, sizeof(owner));
		json_array_append_new(files, json_pack("{s:o, s:s%, s:I, s:I, s:s, s:I}", "name",
		                                       doctor_text_to_json(entry->d_name), "session", id, (size_t)8,
		                                       "size_bytes", (json_int_t)status.st_size, "taken_bytes",
		                                       (json_int_t)n_taken, "owner", owner, "age_s",
		                                       (json_int_t)(time(NULL) - status.st_mtime)));
	}
	if (n_files == 0) {
		doctor_add(doctor, DOCTOR_OK, "segments in /dev/shm", "none");
		return;
	}
	processes_look(sessions, n_sessions);
	for (size_t i = 0; i < n_sessions; i++)
		n_left_over += session_is_left_over(&sessions[i]);

	doctor_add(doctor, n_left_over ? DOCTOR_WARN : DOCTOR_INFO, "segments in /dev/shm",
	           "%zu files of %zu session%s take %s; Sealane leaves them alone", n_files, n_sessions,
	           n_sessions == 1 ? "" : "s", terminal_size(size_text, n_bytes));
	doctor_data(doctor, "sessions", sessions_report(doctor, sessions, n_sessions));
	json_array_foreach(files, index, file)
	{
		if (index == N_ITEMS_MAX) {
			doctor_item(doctor, "... and %zu more files (all of them: --json)", n_files - N_ITEMS_MAX);
			break;
		}
		doctor_item(
			doctor, "%-28s %10s  %-10s %s old", json_string_value(json_object_get(file, "name")),
			terminal_size(size_text, (uint64_t)json_integer_value(json_object_get(file, "size_bytes"))),
			json_string_value(json_object_get(file, "owner")),
			terminal_duration(age_text, json_integer_value(json_object_get(file, "age_s")) * 1000000000));
	}
	doctor_data(doctor, "files", json_incref(files));
	if (n_left_over) {
		doctor_cost(
			doctor,
			"memory that nobody can use; FairMQ's next run of that session attaches to the stale segment");
		for (size_t i = 0; i < n_sessions; i++)
			if (session_is_left_over(&sessions[i]))
				doctor_mend(
					doctor,
					"fairmq-shmmonitor --cleanup --shmid %s   # if its devices are gone; by name: --session NAME",
					sessions[i].id);
	}
}
