/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a run: starts the devices, waits for their ends, their lines and signals in one epoll_wait(), starts
 * again, stops.
 *
 * The odd rule: a dead device is looked at before it is reaped. Until then its number is nobody else's, and its group,
 * in which there may be processes that it started, can be killed by it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "run.h"

#define LOOP_PAUSE_MIN_NS (RUN_NS_PER_S / 10)
#define LOOP_PAUSE_MAX_NS (10 * RUN_NS_PER_S)
#define LOOP_N_EVENTS 64
/* What a device has left in its pipe, and a little of what somebody who has left its group may be writing. */
#define LOOP_N_DRAIN 64

/* A line that names more is no line. */
#define LOOP_N_NAMED 8
#define LOOP_N_REPORT 2000

/* What epoll tells apart; below are the numbers of devices. */
#define LOOP_OUTPUT_0 (UINT64_MAX - 1)
#define LOOP_OUTPUT_1 (UINT64_MAX - 2)
#define LOOP_SIGNALS (UINT64_MAX - 3)

int64_t run_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * RUN_NS_PER_S + now.tv_nsec;
}

char *run_describe_end(const struct run_device *device, char *text, size_t n_text)
{
	const char *name = device->end_signal ? sigabbrev_np(device->end_signal) : NULL;

	if (device->start_error)
		snprintf(text, n_text, "cannot be started: %s", strerror(device->start_error));
	else if (name)
		snprintf(text, n_text, "SIG%s", name);
	else if (device->end_signal)
		snprintf(text, n_text, "signal %d", device->end_signal);
	else
		snprintf(text, n_text, "exit code %d", device->end_code);
	return text;
}

static json_t *loop_end_to_json(const struct run_device *device)
{
	const char *name = device->end_signal ? sigabbrev_np(device->end_signal) : NULL;
	char text[24];

	if (device->start_error)
		return json_pack("{s:s}", "error", strerror(device->start_error));
	if (!device->end_signal)
		return json_pack("{s:i}", "code", device->end_code);
	snprintf(text, sizeof(text), name ? "SIG%s" : "%s", name ? name : "unknown");
	return json_pack("{s:s}", "signal", text);
}

/* Devices are not read while their lines cannot be passed on; that they end is seen all the same. */
static void loop_hold(struct run *run, bool is_held)
{
	for (size_t i = 0; i < run->n_devices && is_held != run->is_held; i++) {
		struct epoll_event event = { .events = is_held ? 0 : EPOLLIN, .data.u64 = i };

		if (run->devices[i].fd >= 0)
			epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, run->devices[i].fd, &event);
	}
	run->is_held = is_held;
}

static void loop_close(struct run_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

static void loop_begin_stop(struct run *run, const char *why)
{
	if (run->is_stopping)
		return;
	run->is_stopping = true;
	run->kill_ns = INT64_MAX;
	if (!run->options->quiet)
		run_say(run, "%s: stopping", why);
	run_tell(run, "stop", NULL, json_pack("{s:s}", "why", why));
	for (size_t i = 0; i < run->n_devices; i++)
		if (run->devices[i].state == RUN_WAITS)
			run->devices[i].state = RUN_ENDED;
}

static void loop_kill_all(struct run *run)
{
	run->is_killing = true;
	for (size_t i = 0; i < run->n_devices; i++)
		run_child_signal(&run->devices[i], SIGKILL);
}

/* Whether the device that all others are there for has ended, with all its copies. */
static bool loop_until_has_ended(const struct run *run)
{
	if (!run->options->until)
		return false;
	for (size_t i = 0; i < run->n_devices; i++)
		if (run->devices[i].state != RUN_ENDED && run_entry_is(run->devices[i].entry, run->options->until))
			return false;
	return true;
}

/* A life has ended: again, or that was it. */
static void loop_after_end(struct run *run, struct run_device *device, int64_t now_ns)
{
	const struct run_entry *entry = device->entry;
	bool is_wanted = entry->restart == RUN_ALWAYS || (entry->restart == RUN_ON_FAILURE && device->has_failed);
	char text[128], why[512];

	run_describe_end(device, text, sizeof(text));
	run_tell(run, "exit", device, loop_end_to_json(device));
	if (!run->is_stopping && is_wanted && device->n_restarts < entry->n_restarts) {
		/* Who has been well for longer than the longest pause begins with the shortest again. */
		if (device->pause_ns == 0 || now_ns - device->start_ns > LOOP_PAUSE_MAX_NS)
			device->pause_ns = LOOP_PAUSE_MIN_NS;
		device->state = RUN_WAITS;
		device->next_ns = now_ns + device->pause_ns;
		device->n_restarts++;
		run_say(run, "%s: %s, starting it again in %.1f s (restart %llu)", device->name, text,
		        (double)device->pause_ns / 1e9, (unsigned long long)device->n_restarts);
		run_tell(run, "restart", device,
		         json_pack("{s:I, s:f}", "number", (json_int_t)device->n_restarts, "in_s",
		                   (double)device->pause_ns / 1e9));
		device->pause_ns = 2 * device->pause_ns < LOOP_PAUSE_MAX_NS ? 2 * device->pause_ns : LOOP_PAUSE_MAX_NS;
		return;
	}
	device->state = RUN_ENDED;
	device->is_cause = device->has_failed && !run->is_stopping;
	if (device->has_failed || !run->options->quiet)
		run_say(run, "%s: %s", device->name, device->has_failed ? text : "ended");
	if (!run->is_stopping && loop_until_has_ended(run)) {
		snprintf(why, sizeof(why), "%s has ended", run->options->until);
		loop_begin_stop(run, why);
	}
	if (device->has_failed && !run->options->keep_going) {
		snprintf(why, sizeof(why), "%s failed", device->name);
		loop_begin_stop(run, why);
	}
}

static void loop_start(struct run *run, struct run_device *device, int64_t now_ns)
{
	struct epoll_event event = { .events = run->is_held ? 0 : EPOLLIN,
		                     .data.u64 = (uint64_t)(device - run->devices) };
	int r = run_child_start(run, device);

	device->start_ns = now_ns;
	device->end_code = device->end_signal = device->start_error = 0;
	device->has_failed = false;
	if (r < 0) {
		device->start_error = -r;
		device->has_failed = true;
		loop_after_end(run, device, now_ns);
		return;
	}
	device->state = RUN_RUNS;
	run_tell(run, "start", device, json_pack("{s:i}", "pid", (int)device->pid));
	if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, device->fd, &event) < 0)
		run_say(run, "%s: its output cannot be read: %s", device->name, strerror(errno));
}

/* What it left is killed, its last lines are read, and then it may go. */
static void loop_end(struct run *run, struct run_device *device, const siginfo_t *info)
{
	struct run_slot *slot = &run->guard.slots[device - run->devices];

	run_child_signal(device, SIGKILL);
	for (unsigned i = 0; i < LOOP_N_DRAIN && device->fd >= 0 && run_output_read(run, device); i++)
		;
	run_output_end(run, device);
	loop_close(device);
	atomic_store_explicit(&slot->group, 0, memory_order_relaxed);
	waitpid(device->pid, NULL, 0);
	device->pid = 0;
	device->end_code = info->si_code == CLD_EXITED ? info->si_status : 0;
	device->end_signal = info->si_code == CLD_EXITED ? 0 : info->si_status;
	/* Where vfork() is a fork(), as under ThreadSanitizer, this is known only now. */
	device->start_error = atomic_load_explicit(&slot->error, memory_order_relaxed);
	/* One that our SIGINT ended before it could take note of it, or when it did not any more, has not failed. */
	device->has_failed = device->end_code != 0 ||
	                     (device->end_signal != 0 && !(run->is_stopping && device->end_signal == SIGINT));
	loop_after_end(run, device, run_now_ns());
}

static void loop_reap(struct run *run)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
		size_t i = 0;

		while (i < run->n_devices && run->devices[i].pid != info.si_pid)
			i++;
		if (i < run->n_devices)
			loop_end(run, &run->devices[i], &info);
		else
			/* What a device started and left to us. */
			waitpid(info.si_pid, NULL, 0);
		info.si_pid = 0;
	}
}

static void loop_on_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (++run->n_signals == 2 && !run->is_killing) {
			run_say(run, "killing what is left");
			loop_kill_all(run);
		}
		loop_begin_stop(run, info.ssi_signo == SIGINT ? "interrupted" : "told to end");
	}
	loop_reap(run);
}

static void loop_on_event(struct run *run, const struct epoll_event *event)
{
	struct run_device *device;
	size_t output;

	if (event->data.u64 == LOOP_SIGNALS)
		return; /* after all others: a reaped device has no descriptor any more */
	if (event->data.u64 == LOOP_OUTPUT_0 || event->data.u64 == LOOP_OUTPUT_1) {
		output = event->data.u64 == LOOP_OUTPUT_1;
		if (event->events & (EPOLLERR | EPOLLHUP))
			run_output_hang_up(run, output);
		return;
	}
	device = &run->devices[event->data.u64];
	if (run->is_held && !(event->events & EPOLLHUP))
		return;
	if (device->fd >= 0 && !run_output_read(run, device)) {
		run_output_end(run, device);
		loop_close(device);
	}
}

/* Level by level: SIGINT, and SIGKILL for those that take too long. */
static void loop_advance_stop(struct run *run, int64_t now_ns)
{
	bool is_waiting = false;

	if (run->is_killing)
		return;
	for (size_t i = 0; i < run->n_devices; i++) {
		const struct run_device *device = &run->devices[i];

		if (device->state != RUN_RUNS || device->entry->level != run->level)
			continue;
		is_waiting = true;
		if (run->kill_ns == INT64_MAX) {
			run_child_signal(device, SIGINT);
			/* Also one that was stopped has to hear it. */
			run_child_signal(device, SIGCONT);
		} else if (now_ns >= run->kill_ns) {
			run_say(run, "%s: does not end, killing it", device->name);
			run_child_signal(device, SIGKILL);
		}
	}
	if (is_waiting && run->kill_ns == INT64_MAX)
		run->kill_ns = now_ns + run->options->stop_timeout_ns;
	else if (is_waiting && now_ns >= run->kill_ns)
		run->kill_ns = INT64_MAX - 1;
	if (is_waiting)
		return;
	run->level++;
	run->kill_ns = INT64_MAX;
	if (run->level < run->topology->n_entries)
		loop_advance_stop(run, now_ns);
}

static bool loop_is_over(const struct run *run)
{
	for (size_t i = 0; i < run->n_devices; i++)
		if (run->devices[i].state != RUN_ENDED)
			return false;
	return true;
}

/* What is due; @return when the next thing will be, INT64_MAX: nothing will */
static int64_t loop_tick(struct run *run, int64_t now_ns)
{
	int64_t next_ns = INT64_MAX;

	if (run->options->timeout_ns > 0 && !run->is_stopping) {
		if (now_ns - run->start_ns >= run->options->timeout_ns) {
			/* With an end that was named, this is another one. */
			run->is_late = run->options->until != NULL;
			loop_begin_stop(run, "time is up");
		} else
			next_ns = run->start_ns + run->options->timeout_ns;
	}
	if (run->outputs[run->options->json].is_gone && !run->is_deaf) {
		run->is_deaf = true;
		loop_begin_stop(run, "nobody reads standard output");
	}
	for (size_t i = 0; i < run->n_devices; i++) {
		struct run_device *device = &run->devices[i];

		if (device->state == RUN_WAITS && device->next_ns <= now_ns)
			loop_start(run, device, now_ns);
		if (device->state == RUN_WAITS && device->next_ns < next_ns)
			next_ns = device->next_ns;
	}
	if (run->is_stopping) {
		loop_advance_stop(run, now_ns);
		if (!run->is_killing && run->kill_ns < next_ns)
			next_ns = run->kill_ns;
	}
	if (run->look_ns <= now_ns)
		run_status_look(run, now_ns);
	return run->look_ns < next_ns ? run->look_ns : next_ns;
}

static int loop_wait_ms(int64_t now_ns, int64_t next_ns)
{
	int64_t ms;

	if (next_ns >= INT64_MAX - 1)
		return -1;
	ms = (next_ns - now_ns + 999999) / 1000000;
	return ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms;
}

static int loop_open(struct run *run)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = LOOP_SIGNALS };
	sigset_t signals;

	/* Whoever started us may have ignored it; then the kernel would reap devices, and we would wait for ever. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (run->signal_fd < 0 || epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->signal_fd, &event) < 0)
		return -errno;
	return 0;
}

/* Adds those that failed by themselves, or those that did while all were stopped. @return how many have been told of */
static size_t loop_report_some(struct run *run, bool is_cause, size_t n, json_t *failed,
                               char text[static LOOP_N_REPORT])
{
	char one[128];

	for (size_t i = 0; i < run->n_devices; i++) {
		const struct run_device *device = &run->devices[i];
		size_t at = strlen(text);
		json_t *end;

		if (!device->has_failed || device->is_cause != is_cause)
			continue;
		end = loop_end_to_json(device);
		json_object_set_new(end, "device", json_string(device->name));
		json_array_append_new(failed, end);
		if (n++ < LOOP_N_NAMED)
			snprintf(text + at, LOOP_N_REPORT - at, "%s%.80s (%s)", n > 1 ? ", " : "", device->name,
			         run_describe_end(device, one, sizeof(one)));
	}
	return n;
}

/* Who failed, in one line; first those for whom the others were stopped. */
static int loop_report(struct run *run)
{
	json_t *failed = json_array();
	char text[LOOP_N_REPORT] = "", more[32] = "";
	size_t n_failed = loop_report_some(run, true, 0, failed, text);
	int exit_code;

	n_failed = loop_report_some(run, false, n_failed, failed, text);
	exit_code = n_failed > 0 || run->is_deaf || run->is_late ? COMMAND_FAILED : COMMAND_OK;
	run_output_status(run, "");
	if (n_failed > LOOP_N_NAMED)
		snprintf(more, sizeof(more), " and %zu more", n_failed - LOOP_N_NAMED);
	if (n_failed > 0)
		run_say(run, "%zu of %zu devices failed: %s%s", n_failed, run->n_devices, text, more);
	if (run->is_late)
		run_say(run, "%s had not ended when the time was up", run->options->until);
	run_tell(run, "end", NULL, json_pack("{s:i, s:o}", "exit_code", exit_code, "failed", failed));
	return exit_code;
}

static void loop_turn(struct run *run, int64_t next_ns)
{
	struct epoll_event events[LOOP_N_EVENTS];
	int n = epoll_wait(run->epoll_fd, events, LOOP_N_EVENTS, loop_wait_ms(run_now_ns(), next_ns));

	for (int i = 0; i < n; i++)
		loop_on_event(run, &events[i]);
	loop_on_signals(run);
}

int run_loop(struct run *run)
{
	int r = loop_open(run);
	unsigned n_signals;
	int64_t next_ns;
	int exit_code;

	if (r < 0)
		return r;
	run_output_open(run);
	run->start_ns = run_now_ns();
	run->look_ns = run_output_wants_status(run) ? run->start_ns + RUN_NS_PER_S : INT64_MAX;
	if (!run->options->quiet)
		run_say(run, "%zu device%s in session %s", run->n_devices, run->n_devices == 1 ? "" : "s",
		        run->session);
	while (next_ns = loop_tick(run, run_now_ns()), !loop_is_over(run)) {
		run_output_flush(run);
		loop_hold(run, run_output_is_full(run));
		loop_turn(run, next_ns);
	}
	run->look_ns = INT64_MAX;
	exit_code = loop_report(run);
	/* Whoever reads slowly gets all of it, unless we are told to end now. */
	n_signals = run->n_signals;
	while (!run_output_flush(run) && !run->is_killing && run->n_signals == n_signals)
		loop_turn(run, INT64_MAX);
	return exit_code;
}
