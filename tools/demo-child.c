/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reader, processors and sink of `sealane demo` have in common. The coordinator ends them by
 * SIGTERM; whatever call they wait in then returns.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "demo.h"

static volatile sig_atomic_t stop_signal;
static struct sea_channel *stop_channels[2];

static void on_signal(int number)
{
	stop_signal = number;
	for (unsigned i = 0; i < 2; i++)
		if (stop_channels[i])
			sea_channel_interrupt(stop_channels[i]);
}

void demo_child_signals(void)
{
	sigset_t none;

	/* Ctrl-C goes to the whole group; the coordinator says who ends when. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int64_t demo_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool demo_child_is_stopped(void)
{
	return stop_signal != 0;
}

bool demo_is_again(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EINTR || r == -ECANCELED;
}

int demo_fail(struct demo_child *child, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(child->status->reason, sizeof(child->status->reason), format, arguments);
	va_end(arguments);
	return 1;
}

int demo_child_open(struct demo_child *child, const struct demo_plan *plan, struct demo_shared *shared, unsigned slot,
                    const char *name, uint64_t quota_n_bytes)
{
	struct sea_session_options options = {
		.name = plan->session,
		.process_name = name,
		.quota_n_bytes = quota_n_bytes,
	};
	struct sigaction action = { .sa_handler = on_signal };
	int r;

	*child = (struct demo_child){
		.plan = plan,
		.shared = shared,
		.status = &shared->status[slot],
		.faults = shared->faults[slot],
	};
	if (sigaction(SIGTERM, &action, NULL) < 0)
		return demo_fail(child, "cannot set a signal handler: %s", strerror(errno));
	/* Touched now, so that counting page faults makes none. */
	memset(child->faults, 0, (plan->n_timeframes + 1) * sizeof(*child->faults));
	sea_shm_options_apply(&plan->shm, &options, NULL);
	options.name = plan->session;
	r = sea_session_open(&child->session, &options);
	if (r < 0)
		return demo_fail(child, "cannot open session %s: %s", plan->session, sea_error_text(r));
	return 0;
}

void demo_child_close(struct demo_child *child)
{
	stop_channels[0] = stop_channels[1] = NULL;
	child->in = sea_channel_close(child->in);
	child->out = sea_channel_close(child->out);
	child->session = sea_session_close(child->session);
}

int demo_child_channel(struct demo_child *child, struct sea_channel **ret_channel, enum sea_pattern pattern,
                       enum sea_orphans orphans, const char *address, bool is_bound)
{
	/* One message waits at either end: what a process that is killed takes along is few. */
	struct sea_channel_options options = { .sndbuf = 1, .rcvbuf = 1, .orphans = orphans };
	int r = sea_channel_new(ret_channel, child->session, pattern, &options);

	if (r < 0)
		return demo_fail(child, "cannot make the channel for %s: %s", address, sea_error_text(r));
	stop_channels[pattern == SEA_PULL] = *ret_channel;
	r = is_bound ? sea_channel_bind(*ret_channel, address) : sea_channel_connect(*ret_channel, address);
	if (r < 0)
		return demo_fail(child, "cannot %s %s: %s", is_bound ? "bind" : "connect to", address,
		                 sea_error_text(r));
	return 0;
}

void demo_child_measure(struct demo_child *child, struct sea_heap *heap)
{
	struct sea_channel_stats channel;
	struct sea_heap_stats stats;

	if (sea_heap_get_stats(heap, &stats) == 0)
		child->status->n_bytes_memory = stats.n_bytes_backed;
	if (sea_channel_get_stats(child->out, &channel) == 0)
		child->status->n_receivers = (uint32_t)channel.n_links;
}

void demo_child_count(struct demo_child *child, uint64_t n_bytes)
{
	struct demo_status *status = child->status;
	struct sea_session_stats stats;
	struct rusage usage;
	uint64_t n = status->n_timeframes + 1;

	if (sea_session_get_stats(child->session, &stats) == 0)
		status->n_bytes_copied = stats.n_bytes_copied;
	if (getrusage(RUSAGE_SELF, &usage) == 0 && n <= child->plan->n_timeframes)
		child->faults[n] = (uint32_t)usage.ru_minflt;
	status->end_ns = demo_now_ns();
	status->n_bytes += n_bytes;
	status->n_timeframes = n;
}
