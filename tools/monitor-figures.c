/* SPDX-License-Identifier: Apache-2.0 */
/* What the views derive from a snapshot: the figures of a channel over its links, those of a process over its channels, and how they are written. */
#include "monitor.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Whether n of n_max is fuller than m of m_max. */
static bool is_fuller(uint64_t n, uint64_t n_max, uint64_t m, uint64_t m_max)
{
	return n_max && (!m_max || (double)n / (double)n_max > (double)m / (double)m_max);
}

struct monitor_queues monitor_queues(const struct sea_monitor_snapshot *snapshot,
                                     const struct sea_monitor_channel *channel)
{
	struct monitor_queues queues = { .latency_ns = -1 };

	for (size_t i = 0; i < snapshot->n_links; i++) {
		const struct sea_monitor_link *link = &snapshot->links[i];
		int64_t latency_ns = link->waiting_ns > link->latency_ns ? link->waiting_ns : link->latency_ns;

		if (link->process_id != channel->process_id || link->channel_id != channel->id)
			continue;
		if (is_fuller(link->n_out, link->n_out_max, queues.n_out, queues.n_out_max)) {
			queues.n_out = link->n_out;
			queues.n_out_max = link->n_out_max;
		}
		if (is_fuller(link->n_in, link->n_in_max, queues.n_in, queues.n_in_max)) {
			queues.n_in = link->n_in;
			queues.n_in_max = link->n_in_max;
		}
		queues.latency_ns = latency_ns > queues.latency_ns ? latency_ns : queues.latency_ns;
	}
	return queues;
}

struct monitor_traffic monitor_traffic(const struct sea_monitor_snapshot *snapshot,
                                       const struct sea_monitor_process *process)
{
	struct monitor_traffic traffic = { .latency_ns = -1, .held_age_ns = -1 };

	for (size_t i = 0; i < snapshot->n_channels; i++) {
		const struct sea_monitor_channel *channel = &snapshot->channels[i];
		int64_t latency_ns;

		if (channel->process_id != process->id)
			continue;
		traffic.n_sent_per_s += channel->n_sent_per_s;
		traffic.n_received_per_s += channel->n_received_per_s;
		traffic.n_missed += channel->n_missed;
		latency_ns = monitor_queues(snapshot, channel).latency_ns;
		traffic.latency_ns = latency_ns > traffic.latency_ns ? latency_ns : traffic.latency_ns;
	}
	for (size_t i = 0; i < snapshot->n_holders; i++) {
		const struct sea_monitor_holder *holder = &snapshot->holders[i];

		if (holder->holder_id != process->id || holder->process_id == process->id)
			continue;
		traffic.n_held += holder->n_blocks;
		traffic.n_bytes_held += holder->n_bytes;
		traffic.held_age_ns = holder->age_ns > traffic.held_age_ns ? holder->age_ns : traffic.held_age_ns;
	}
	return traffic;
}

char *monitor_count(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n)
{
	static const char units[] = "kMGTPE";
	double value = (double)n;
	int unit = -1;

	while (value >= 999.5 && unit < 5) {
		value /= 1000;
		unit++;
	}
	if (unit < 0)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%" PRIu64, n);
	else
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.*f%c",
		         value < 9.995   ? 2
		         : value < 99.95 ? 1
		                         : 0,
		         value, units[unit]);
	return text;
}

char *monitor_fill(char text[static TERMINAL_TEXT_N_BYTES], uint64_t n, uint64_t n_max)
{
	char n_text[TERMINAL_TEXT_N_BYTES], n_max_text[TERMINAL_TEXT_N_BYTES];

	if (n_max)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.10s/%.10s", monitor_count(n_text, n),
		         monitor_count(n_max_text, n_max));
	else
		snprintf(text, TERMINAL_TEXT_N_BYTES, "-");
	return text;
}

char *monitor_duration(char text[static TERMINAL_TEXT_N_BYTES], int64_t ns)
{
	long long s = (long long)(ns / NS_PER_S);

	if (ns < 0)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "-");
	else if (ns < NS_PER_US)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%dns", (int)ns);
	else if (ns < NS_PER_MS)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.1fus", (double)ns / (double)NS_PER_US);
	else if (ns < NS_PER_S)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.1fms", (double)ns / (double)NS_PER_MS);
	else if (s < 60)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%.1fs", (double)ns / (double)NS_PER_S);
	else if (s < 3600)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%lldh%02lldm", s / 3600, s / 60 % 60);
	else
		snprintf(text, TERMINAL_TEXT_N_BYTES, "%lldd%02lldh", s / 86400, s / 3600 % 24);
	return text;
}

char *monitor_latency(char text[static TERMINAL_TEXT_N_BYTES], int64_t ns)
{
	if (ns)
		return monitor_duration(text, ns);
	snprintf(text, TERMINAL_TEXT_N_BYTES, "empty");
	return text;
}

const char *monitor_transport(const struct sea_monitor_channel *channel)
{
	return channel->is_zeromq ? "zeromq" : "memory";
}
