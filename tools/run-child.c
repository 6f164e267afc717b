/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and ending processes. A device is started by vfork(): nothing of ours is copied, so that twenty of
 * them start in a few milliseconds. It is the head of a process group, and ends when we do: the kernel kills it
 * (PR_SET_PDEATHSIG), and what it has started itself is killed by the guard, a process that waits for our end.
 *
 * The odd rule: between vfork() and execve() the child runs in our memory; it calls the kernel and no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

struct child {
	const struct run_device *device;
	struct run_slot *slot;
	pid_t parent;
	int null_fd, output_fd;
	struct rlimit n_files;
};

__attribute__((noreturn)) static void child_exec(struct child *child)
{
	/* Those that we ignore or wait for; an ignored one would stay so in the new program. */
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD };
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	setpgid(0, 0);
	atomic_store_explicit(&child->slot->group, getpid(), memory_order_relaxed);
	/* If we died before this call the kernel says nothing any more, but the parent is another one. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != child->parent)
		_exit(127);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	sigemptyset(&none);
	if (dup2(child->null_fd, STDIN_FILENO) < 0 || dup2(child->output_fd, STDOUT_FILENO) < 0 ||
	    dup2(child->output_fd, STDERR_FILENO) < 0 || setrlimit(RLIMIT_NOFILE, &child->n_files) < 0 ||
	    (child->device->cpus && sched_setaffinity(0, sizeof(cpu_set_t), child->device->cpus) < 0) ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0 ||
	    execve(child->device->path, child->device->argv, child->device->envp) < 0)
		atomic_store_explicit(&child->slot->error, errno, memory_order_relaxed);
	_exit(127);
}

/* Alone in a function, so that no variable of another one can be clobbered by returning twice. */
__attribute__((noinline)) static pid_t child_vfork(struct child *child)
{
	pid_t pid = vfork();

	if (pid == 0)
		child_exec(child);
	return pid;
}

int run_child_start(struct run *run, struct run_device *device)
{
	struct child child = {
		.device = device,
		.slot = &run->guard.slots[device - run->devices],
		.parent = getpid(),
		.null_fd = run->null_fd,
		.n_files = run->n_files,
	};
	int fds[2], error;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child.output_fd = fds[1];
	atomic_store_explicit(&child.slot->error, 0, memory_order_relaxed);
	/* Our end only: the device may expect that a write waits. */
	device->pid = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : child_vfork(&child);
	error = device->pid < 0 ? errno : atomic_load_explicit(&child.slot->error, memory_order_relaxed);
	close(fds[1]);
	if (error == 0) {
		device->fd = fds[0];
		return 0;
	}
	close(fds[0]);
	if (device->pid > 0)
		waitpid(device->pid, NULL, 0);
	atomic_store_explicit(&child.slot->group, 0, memory_order_relaxed);
	device->pid = 0;
	return -error;
}

void run_child_signal(const struct run_device *device, int number)
{
	if (device->pid > 0)
		kill(-device->pid, number);
}

__attribute__((noreturn)) static void guard_main(const struct run_guard *guard, int pipe_fd)
{
	sigset_t all;
	ssize_t n;
	char byte;

	/* What ends us must not end it before its work is done. */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "sealane-guard");
	if (dup2(pipe_fd, STDIN_FILENO) < 0 || close_range(STDOUT_FILENO, ~0u, 0) < 0)
		_exit(1);
	do
		n = read(STDIN_FILENO, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	for (size_t i = 0; i < guard->n_slots; i++) {
		pid_t group = atomic_load_explicit(&guard->slots[i].group, memory_order_relaxed);

		if (group > 0)
			kill(-group, SIGKILL);
	}
	_exit(0);
}

int run_guard_start(struct run_guard *guard, size_t n_slots)
{
	int fds[2];

	guard->n_slots = n_slots;
	guard->slots = mmap(NULL, n_slots * sizeof(*guard->slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                    -1, 0);
	if (guard->slots == MAP_FAILED) {
		guard->slots = NULL;
		return -errno;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	guard->pid = fork();
	if (guard->pid == 0)
		guard_main(guard, fds[0]);
	close(fds[0]);
	if (guard->pid < 0) {
		int error = errno;

		close(fds[1]);
		return -error;
	}
	guard->fd = fds[1];
	return 0;
}

void run_guard_end(struct run_guard *guard)
{
	if (guard->pid > 0) {
		close(guard->fd);
		waitpid(guard->pid, NULL, 0);
	}
	if (guard->slots)
		munmap(guard->slots, guard->n_slots * sizeof(*guard->slots));
	guard->slots = NULL;
}

/* The children of this process, and so of its only thread. @return how many; 0 also where the kernel does not tell */
static unsigned child_kill_all(void)
{
	char path[64];
	FILE *stream;
	unsigned n = 0;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	stream = fopen(path, "re");
	for (; stream && fscanf(stream, "%d", &pid) == 1; n++)
		kill(pid, SIGKILL);
	if (stream)
		fclose(stream);
	return n;
}

void run_child_reap_rest(void)
{
	/* Those that left their group are ours since their parents died (PR_SET_CHILD_SUBREAPER). */
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 || (pid == 0 && (child_kill_all() == 0 || waitpid(-1, NULL, 0) < 0)))
			return;
	}
}
