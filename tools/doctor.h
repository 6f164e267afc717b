/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doctor's report: a list of checks, each with a state, what was found, and
 * where something lacks, what that costs and the command that mends it. The checks use
 * system calls directly, never the library: they must work where that cannot even open a session.
 */
#ifndef SEALANE_TOOLS_DOCTOR_H
#define SEALANE_TOOLS_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

enum doctor_state {
	DOCTOR_OK,   /* as it should be */
	DOCTOR_INFO, /* worth knowing; nothing is lost, or there is a fall-back */
	DOCTOR_WARN, /* works, but slower, smaller, or with something to clean up */
	DOCTOR_BAD,  /* Sealane does not work, or not as promised */
};

#define DOCTOR_N_STATES 4

struct doctor_check {
	enum doctor_state state;
	const char *group; /* static */
	const char *name;  /* static */
	char *found;
	char *cost;   /* NULL: nothing */
	char *mends;  /* commands, one per line; NULL: nothing */
	char *items;  /* one per line; NULL: none */
	json_t *data; /* numbers and lists for programs; NULL: none */
};

struct doctor {
	/* What was asked for. */
	const char *session;     /* NULL: all sessions */
	const char *runtime_dir; /* NULL: as the library would choose */
	bool clean;

	/* What was found. */
	struct rlimit n_files; /* before it was raised */
	const char *group;     /* of the checks to come */
	struct doctor_check *checks;
	size_t n_checks;
};

/* Frees the checks. */
void doctor_fini(struct doctor *doctor);

/* Adds a check to the report; what is said next goes to it. @param name and the group are static strings */
void doctor_add(struct doctor *doctor, enum doctor_state state, const char *name, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* What the lack costs. */
void doctor_cost(struct doctor *doctor, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One command that mends it, ready to be pasted into a shell; may be called again. */
void doctor_mend(struct doctor *doctor, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line of detail below what was found; may be called again. */
void doctor_item(struct doctor *doctor, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A value for --json. @param value is taken */
void doctor_data(struct doctor *doctor, const char *key, json_t *value);
/* Names of files need not be UTF-8, JSON must be: what is not plain ASCII becomes '?' in a text that is not UTF-8. */
json_t *doctor_text_to_json(const char *text);

/* First line of a file without its newline, cut to the room there is. @return 0 or -errno; text is "" then */
int doctor_read_line(const char *path, char *text, size_t n_text);
/* A whole number at the start of a file. @return 0; -EINVAL no number ("max"); or -errno */
int doctor_read_number(const char *path, uint64_t *ret_number);
/* What follows "KEY:" in a file such as /proc/self/status, leading blanks skipped. @return as doctor_read_line(); -ENOENT no such key */
int doctor_read_key(const char *path, const char *key, char *text, size_t n_text);
/* As doctor_read_key() for a number; kB (as the kernel writes it) becomes bytes. @return 0; -EINVAL; or -errno */
int doctor_read_key_number(const char *path, const char *key, uint64_t *ret_number);

/* A sealable memfd of n_bytes, with what the kernel offers to keep it from being executed. @return descriptor or -errno */
int doctor_memfd(const char *name, size_t n_bytes);
/* The file behind a descriptor, opened again with other access. @return descriptor or -errno */
int doctor_reopen(int fd, int open_flags);

/* The subjects, in the order of the report. Each adds its checks and leaves nothing behind. */
void doctor_check_seals(struct doctor *doctor);
void doctor_check_kernel(struct doctor *doctor);
void doctor_check_limits(struct doctor *doctor);
void doctor_check_memory(struct doctor *doctor);
void doctor_check_machine(struct doctor *doctor);
void doctor_check_directory(struct doctor *doctor);
void doctor_check_fairmq(struct doctor *doctor);

/* One session's directory: who lives in it and what the dead left; removes that with doctor->clean. @param runtime_fd directory that holds it */
void doctor_check_session(struct doctor *doctor, int runtime_fd, const char *name);

#endif
