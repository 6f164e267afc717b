/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGINT and SIGTERM for all controls of the process: the first is written to a descriptor of each, the second aborts.
 *
 * The odd rule: it is a handler and not a signalfd, for a signal that a hook raises in its own thread is seen by a handler only.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/control.h"

#define SIGNALS_N_FDS 16

static pthread_mutex_t signals_lock =
	PTHREAD_MUTEX_INITIALIZER; /* for those who add and remove, never for the handler */
static int signals_n_users;
static struct sigaction signals_before_int, signals_before_term;

/* What the handler looks at. Sequentially consistent throughout: it is never on a hot path. */
static atomic_int signals_fds[SIGNALS_N_FDS] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
static atomic_int signals_n_received;
static atomic_int signals_n_handling; /* handlers under way: descriptors are closed after them */
static atomic_int signals_number;
static atomic_int signals_terminal_fd = -1;
static struct termios signals_terminal; /* written before its descriptor is published */

static void signals_handle(int number)
{
	const uint64_t one = 1;
	const int saved = errno;

	atomic_fetch_add(&signals_n_handling, 1);
	if (atomic_fetch_add(&signals_n_received, 1) > 0) {
		const int fd = atomic_load(&signals_terminal_fd);

		if (fd >= 0)
			tcsetattr(fd, TCSANOW, &signals_terminal);
		abort();
	}
	atomic_store(&signals_number, number);
	for (int i = 0; i < SIGNALS_N_FDS; i++) {
		const int fd = atomic_load(&signals_fds[i]);

		if (fd >= 0)
			(void)!write(fd, &one, sizeof(one));
	}
	atomic_fetch_sub(&signals_n_handling, 1);
	errno = saved;
}

int seai_device_signals_add(int fd)
{
	/* Calls that can be begun again are; those of channels return -EINTR, and are interrupted by the machine anyway. */
	const struct sigaction action = { .sa_handler = signals_handle, .sa_flags = SA_RESTART };
	int i = 0;

	pthread_mutex_lock(&signals_lock);
	while (i < SIGNALS_N_FDS && atomic_load(&signals_fds[i]) >= 0)
		i++;
	if (i < SIGNALS_N_FDS) {
		atomic_store(&signals_fds[i], fd);
		if (signals_n_users++ == 0) {
			atomic_store(&signals_n_received, 0);
			sigaction(SIGINT, &action, &signals_before_int);
			sigaction(SIGTERM, &action, &signals_before_term);
		}
	}
	pthread_mutex_unlock(&signals_lock);
	return i < SIGNALS_N_FDS ? 0 : -ENFILE;
}

void seai_device_signals_remove(int fd)
{
	pthread_mutex_lock(&signals_lock);
	for (int i = 0; i < SIGNALS_N_FDS; i++)
		if (atomic_load(&signals_fds[i]) == fd) {
			atomic_store(&signals_fds[i], -1);
			if (--signals_n_users == 0) {
				sigaction(SIGINT, &signals_before_int, NULL);
				sigaction(SIGTERM, &signals_before_term, NULL);
			}
		}
	while (atomic_load(&signals_n_handling) > 0)
		sched_yield();
	pthread_mutex_unlock(&signals_lock);
}

void seai_device_signals_forget(void)
{
	if (signals_n_users > 0) {
		sigaction(SIGINT, &signals_before_int, NULL);
		sigaction(SIGTERM, &signals_before_term, NULL);
	}
	signals_n_users = 0;
	for (int i = 0; i < SIGNALS_N_FDS; i++)
		atomic_store(&signals_fds[i], -1);
	atomic_store(&signals_terminal_fd, -1);
	/* Another thread may have been in the handler; it is not here. */
	atomic_store(&signals_n_handling, 0);
	atomic_store(&signals_n_received, 0);
	pthread_mutex_init(&signals_lock, NULL);
}

int seai_device_signals_last(void)
{
	return atomic_load(&signals_number);
}

void seai_device_signals_set_terminal(int fd, const struct termios *before)
{
	signals_terminal = *before;
	atomic_store(&signals_terminal_fd, fd);
}

void seai_device_signals_clear_terminal(void)
{
	atomic_store(&signals_terminal_fd, -1);
}
