/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane run` as a process of a test; see launch.h. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"

#define N_OUTPUT (4u << 20)

char *launch_path(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/files/%s", test_runtime_dir(), name);
	return path;
}

void launch_write_file(const char *name, mode_t mode, const char *text)
{
	char *path = launch_path(name);
	int fd;

	mkdir(launch_path(""), 0700);
	fd = (int)CHECK_SYS(open(path, O_WRONLY | O_CREAT | O_TRUNC, mode));
	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

const char *launch_read_file(const char *name)
{
	static char *texts[4];
	static unsigned next;
	unsigned i = next++ % 4;
	int fd = open(launch_path(name), O_RDONLY);
	size_t n = 0;
	ssize_t r;

	if (!texts[i])
		texts[i] = malloc(N_OUTPUT);
	CHECK(texts[i]);
	while (fd >= 0 && n < N_OUTPUT - 1 && (r = read(fd, texts[i] + n, N_OUTPUT - 1 - n)) > 0)
		n += (size_t)r;
	texts[i][n] = 0;
	if (fd >= 0)
		close(fd);
	return texts[i];
}

unsigned launch_count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

pid_t launch_noted_pid(const char *word, const char *id)
{
	char what[128];
	const char *at;
	int pid = 0;

	snprintf(what, sizeof(what), "%s %s ", word, id);
	CHECK_EVENTUALLY((at = strstr(NOTES, what)) && sscanf(at + strlen(what), "%d\n", &pid) == 1);
	return pid;
}

bool launch_is_running(pid_t pid)
{
	char path[64], stat[512] = "", *end;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	end = n > 0 ? strrchr(stat, ')') : NULL;
	return end && end[1] == ' ' && end[2] != 'Z' && end[2] != 'X';
}

/* All of them are this program. */
void launch_write_topology(const struct launch_device *devices)
{
	char program[512] = "", text[8192];
	size_t n;

	CHECK_SYS(readlink("/proc/self/exe", program, sizeof(program) - 1));
	n = (size_t)snprintf(text, sizeof(text), "{\"fairMQOptions\": {\"devices\": [");
	for (; devices->id; devices++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"\n{\"id\": \"%s\", \"exec\": \"'%s'\", \"env\": {\"ROLE\": \"%s\", \"OWN\": \"a b\"}%s%s}%s",
			devices->id, program, devices->role, devices->more ? ", " : "",
			devices->more ? devices->more : "", devices[1].id ? "," : "");
	CHECK_LT(n, sizeof(text) - 16);
	strcpy(text + n, "\n]}}\n");
	launch_write_file("t.json", 0600, text);
	setenv("NOTES", launch_path("notes"), 1);
}

pid_t launch_to(int out_fd, const char *const *arguments)
{
	char *line[32] = { (char *)test_command(), (char *)"run" };
	size_t n = 2;
	pid_t pid;

	while (arguments[n - 2]) {
		line[n] = (char *)arguments[n - 2];
		n++;
	}
	unlink(launch_path("out"));
	unlink(launch_path("err"));
	pid = (pid_t)CHECK_SYS(fork());
	if (pid == 0) {
		int out = open(launch_path("out"), O_WRONLY | O_CREAT | O_APPEND, 0600);
		int err = open(launch_path("err"), O_WRONLY | O_CREAT | O_APPEND, 0600);

		if (dup2(out_fd >= 0 ? out_fd : out, 1) < 0 || dup2(err, 2) < 0)
			_exit(99);
		/* As some who start programs do. */
		signal(SIGCHLD, SIG_IGN);
		/* What whoever runs the tests has left open is no business of a device's. */
		close_range(3, ~0u, 0);
		execv(line[0], line);
		_exit(98);
	}
	return pid;
}

pid_t launch(const char *const *arguments)
{
	return launch_to(-1, arguments);
}
