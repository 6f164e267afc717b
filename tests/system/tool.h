/* SPDX-License-Identifier: Apache-2.0 */
/* The sealane command as a process of a test: started, waited for, and what it has printed, in files of the test's folder. */
#ifndef SEALANE_TESTS_SYSTEM_TOOL_H
#define SEALANE_TESTS_SYSTEM_TOOL_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test.h"

#define TOOL_PATH_N_BYTES 512

struct tool {
	pid_t pid;
	char out[TOOL_PATH_N_BYTES], err[TOOL_PATH_N_BYTES];
	char text[16384]; /* what tool_read() has read last */
};

/* A file of this test. */
static inline const char *tool_path(char path[TOOL_PATH_N_BYTES], const char *name)
{
	CHECK_LT(snprintf(path, TOOL_PATH_N_BYTES, "%s/%s", test_runtime_dir(), name), TOOL_PATH_N_BYTES);
	return path;
}

/* Starts the command. @param n_file_bytes_max the largest file that it may write; 0: any */
static inline struct tool tool_start(const char *const *arguments, bool trusts_files, uint64_t n_file_bytes_max)
{
	static unsigned n_started;
	char name[32];
	struct tool tool = { 0 };

	snprintf(name, sizeof(name), "out-%u", n_started);
	tool_path(tool.out, name);
	snprintf(name, sizeof(name), "err-%u", n_started++);
	tool_path(tool.err, name);
	tool.pid = (pid_t)CHECK_SYS(fork());
	if (tool.pid == 0) {
		struct rlimit limit = { n_file_bytes_max, n_file_bytes_max };
		int out = open(tool.out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		int err = open(tool.err, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (out < 0 || err < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0 ||
		    (trusts_files ? setenv("SEALANE_TRUST_FILES", "1", 1) : unsetenv("SEALANE_TRUST_FILES")) < 0 ||
		    (n_file_bytes_max && setrlimit(RLIMIT_FSIZE, &limit) < 0))
			_exit(99);
		execv(test_command(), (char *const *)(uintptr_t)arguments);
		_exit(98);
	}
	return tool;
}

#define TOOL_START(...) tool_start((const char *const[]){ "sealane", __VA_ARGS__, NULL }, false, 0)

/* What it has printed so far. */
static inline const char *tool_read(struct tool *tool, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : CHECK_SYS(read(fd, tool->text, sizeof(tool->text) - 1));

	if (fd >= 0)
		close(fd);
	tool->text[n] = 0;
	return tool->text;
}

/* Waits for its end with that exit code; else what it said is printed. */
static inline void tool_expect(struct tool *tool, int code)
{
	int got = test_wait(tool->pid);

	if (got == code)
		return;
	fprintf(stderr, "out: %s\n", tool_read(tool, tool->out));
	fprintf(stderr, "err: %s\n", tool_read(tool, tool->err));
	FAIL("the command ended with %d, not %d", got, code);
}

/* Whether it has said so on standard error. */
static inline bool tool_says(struct tool *tool, const char *what)
{
	return strstr(tool_read(tool, tool->err), what) != NULL;
}

/* A number of its --json output. */
static inline double tool_number(struct tool *tool, const char *key)
{
	char pattern[64];
	const char *at;

	snprintf(pattern, sizeof(pattern), "\"%s\":", key);
	at = strstr(tool_read(tool, tool->out), pattern);
	if (!at)
		FAIL("no %s in %s", key, tool->text);
	at += strlen(pattern);
	if (strncmp(at, "true", 4) == 0)
		return 1;
	return strncmp(at, "false", 5) == 0 ? 0 : strtod(at, NULL);
}

#endif
