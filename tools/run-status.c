/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line at the bottom of the terminal, once a second: how many devices run, what they say they do, and how many
 * messages they send, out of the status files of the session. Nobody is asked, so a device that hangs hinders nothing.
 */
#include <stdio.h>
#include <string.h>

#include "run.h"
#include "terminal.h"

#define STATUS_N_STATES 8

/* What this channel had sent when the session was looked at before; what it has sent now where it is new. */
static uint64_t status_before(const struct sea_monitor_snapshot *before, const struct sea_monitor_channel *channel)
{
	for (size_t i = 0; before && i < before->n_channels; i++)
		if (before->channels[i].process_id == channel->process_id && before->channels[i].id == channel->id)
			return before->channels[i].n_sent < channel->n_sent ? before->channels[i].n_sent
			                                                    : channel->n_sent;
	return channel->n_sent;
}

static double status_rate(const struct sea_monitor_snapshot *before, const struct sea_monitor_snapshot *now)
{
	uint64_t n = 0;

	for (size_t i = 0; i < now->n_channels; i++)
		n += now->channels[i].n_sent - status_before(before, &now->channels[i]);
	if (!before || now->taken_ns <= before->taken_ns)
		return 0;
	return (double)n * 1e9 / (double)(now->taken_ns - before->taken_ns);
}

/* "12 RUNNING, 3 READY". */
static void status_add_states(char *text, size_t n_text, const struct sea_monitor_snapshot *now)
{
	struct {
		const char *name;
		unsigned n;
	} states[STATUS_N_STATES];
	size_t n_states = 0, at = strlen(text);

	for (size_t i = 0; i < now->n_processes; i++) {
		const struct sea_monitor_process *process = &now->processes[i];
		size_t j = 0;

		if (!process->state[0] || process->condition == SEA_MONITOR_DEAD)
			continue;
		while (j < n_states && strcmp(states[j].name, process->state) != 0)
			j++;
		if (j == STATUS_N_STATES)
			continue;
		if (j == n_states) {
			states[n_states].name = process->state;
			states[n_states++].n = 0;
		}
		states[j].n++;
	}
	for (size_t j = 0; j < n_states && at < n_text; j++)
		at += (size_t)snprintf(text + at, n_text - at, "%s%u %s", j ? ", " : "  ", states[j].n, states[j].name);
}

static void status_add_rate(char *text, size_t n_text, double rate)
{
	static const char *const units[] = { "", " k", " M", " G" };
	size_t unit = 0, at = strlen(text);

	while (rate >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		rate /= 1000;
		unit++;
	}
	if (at < n_text)
		snprintf(text + at, n_text - at, "  %.*f%s messages/s", unit ? 2 : 0, rate, units[unit]);
}

void run_status_look(struct run *run, int64_t now_ns)
{
	struct sea_monitor_options options = { .runtime_dir = run->options->runtime_dir, .session = run->session };
	struct sea_monitor_snapshot *now = NULL;
	unsigned n_running = 0, n_waiting = 0;
	char text[256], duration[TERMINAL_TEXT_N_BYTES];
	size_t at;

	for (size_t i = 0; i < run->n_devices; i++) {
		n_running += run->devices[i].state == RUN_RUNS;
		n_waiting += run->devices[i].state == RUN_WAITS;
	}
	at = (size_t)snprintf(text, sizeof(text), "%s%s  %u of %zu run",
	                      terminal_duration(duration, (now_ns - run->start_ns) / RUN_NS_PER_S * RUN_NS_PER_S),
	                      run->is_stopping ? "  stopping" : "", n_running, run->n_devices);
	if (n_waiting)
		snprintf(text + at, sizeof(text) - at, ", %u to be restarted", n_waiting);
	/* No session is no news: the devices may not have opened it yet, or use none. */
	if (sea_monitor_take(&now, &options) == 0) {
		status_add_states(text, sizeof(text), now);
		status_add_rate(text, sizeof(text), status_rate(run->snapshot, now));
		sea_monitor_free(run->snapshot);
		run->snapshot = now;
	}
	run_output_status(run, text);
	run->look_ns = now_ns + RUN_NS_PER_S;
}
