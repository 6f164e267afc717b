/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot for a person: one table per kind of thing, oldest holds first. */
#include "monitor.h"

#include <inttypes.h>
#include <string.h>

#include "terminal.h"

const char *monitor_condition(const struct sea_monitor_process *process)
{
	static const char *const names[] = { "running", "hanging", "stopped", "dead", "unknown" };

	return (unsigned)process->condition < 5 ? names[process->condition] : "unknown";
}

const char *monitor_kind(const struct sea_monitor_heap *heap)
{
	return heap->is_region ? "region" : heap->is_shared ? "shared" : "sealed";
}

const struct sea_monitor_process *monitor_find(const struct sea_monitor_snapshot *snapshot, uint64_t id)
{
	for (size_t i = 0; i < snapshot->n_processes; i++)
		if (snapshot->processes[i].id == id)
			return &snapshot->processes[i];
	return NULL;
}

char *monitor_name(char text[static MONITOR_NAME_N_BYTES], const struct sea_monitor_snapshot *snapshot, uint64_t id)
{
	const struct sea_monitor_process *process = monitor_find(snapshot, id);

	if (process && process->name[0])
		snprintf(text, MONITOR_NAME_N_BYTES, "%s(%d)", process->name, (int)process->pid);
	else
		snprintf(text, MONITOR_NAME_N_BYTES, "%016" PRIx64, id);
	return text;
}

static void text_processes(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	char backed[TERMINAL_TEXT_N_BYTES], used[TERMINAL_TEXT_N_BYTES], age[TERMINAL_TEXT_N_BYTES],
		beat[TERMINAL_TEXT_N_BYTES];

	fprintf(stream, "%8s %-20s %-9s %-10s %10s %10s %5s %10s %10s\n", "PID", "NAME", "CONDITION", "STATE", "AGE",
	        "HEARTBEAT", "PEERS", "BACKED", "USED");
	for (size_t i = 0; i < snapshot->n_processes; i++) {
		const struct sea_monitor_process *process = &snapshot->processes[i];
		const char *note = process->is_truncated    ? "  (disk full: no figures)"
		                   : !process->has_status   ? "  (status file unreadable)"
		                   : process->is_incomplete ? "  (holds incomplete)"
		                                            : "";

		fprintf(stream, "%8d %-20.20s %-9s %-10.10s %10s %10s %5" PRIu64 " %10s %10s%s\n", (int)process->pid,
		        process->name[0] ? process->name : "-", monitor_condition(process),
		        process->state[0] ? process->state : "-", terminal_duration(age, process->age_ns),
		        process->is_quiet ? "quiet" : terminal_duration(beat, process->heartbeat_age_ns),
		        process->n_peers, terminal_size(backed, process->n_bytes_backed),
		        terminal_size(used, process->n_bytes_used), note);
	}
}

/* What each process moves, what it has in flight and who has had that for longest, and what it has of others. */
static void text_traffic(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	char name[MONITOR_NAME_N_BYTES], holder[MONITOR_NAME_N_BYTES], text[6][TERMINAL_TEXT_N_BYTES];

	fprintf(stream, "\n%-24s %8s %8s %8s %10s %9s %10s %10s %-24s %7s %10s\n", "TRAFFIC OF", "OUT/S", "IN/S",
	        "MISSED", "LATENCY", "IN FLIGHT", "SIZE", "OLDEST", "HELD BY", "HOLDS", "SIZE");
	for (size_t i = 0; i < snapshot->n_processes; i++) {
		const struct sea_monitor_process *process = &snapshot->processes[i];
		struct monitor_traffic traffic = monitor_traffic(snapshot, process);

		if (process->condition == SEA_MONITOR_DEAD || !process->has_status)
			continue;
		fprintf(stream,
		        "%-24.24s %8s %8s %8" PRIu64 " %10s %9" PRIu64 " %10s %10s %-24.24s %7" PRIu64 " %10s\n",
		        monitor_name(name, snapshot, process->id), monitor_count(text[0], traffic.n_sent_per_s),
		        monitor_count(text[1], traffic.n_received_per_s), traffic.n_missed,
		        monitor_latency(text[2], traffic.latency_ns), process->n_out,
		        terminal_size(text[3], process->n_bytes_out), monitor_duration(text[4], process->out_age_ns),
		        process->out_holder_id ? monitor_name(holder, snapshot, process->out_holder_id) : "-",
		        traffic.n_held, terminal_size(text[5], traffic.n_bytes_held));
	}
}

static void text_heaps(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	char name[MONITOR_NAME_N_BYTES], text[6][TERMINAL_TEXT_N_BYTES];

	if (!snapshot->n_heaps)
		return;
	fprintf(stream, "\n%-24s %4s %-6s %10s %10s %10s %10s %10s %10s %7s %6s %7s %6s\n", "HEAP OF", "ID", "KIND",
	        "QUOTA", "BACKED", "USED", "PEAK", "PINNED", "LARGEST", "BLOCKS", "ARENAS", "RETIRED", "WAITS");
	for (size_t i = 0; i < snapshot->n_heaps; i++) {
		const struct sea_monitor_heap *heap = &snapshot->heaps[i];

		fprintf(stream,
		        "%-24.24s %4u %-6s %10s %10s %10s %10s %10s %10s %7" PRIu64 " %6" PRIu64 " %7" PRIu64
		        " %6" PRIu64 "\n",
		        monitor_name(name, snapshot, heap->process_id), heap->id, monitor_kind(heap),
		        terminal_size(text[0], heap->n_bytes_quota), terminal_size(text[1], heap->n_bytes_backed),
		        terminal_size(text[2], heap->n_bytes_used), terminal_size(text[3], heap->n_bytes_peak),
		        terminal_size(text[4], heap->n_bytes_pinned), terminal_size(text[5], heap->n_bytes_largest),
		        heap->n_blocks, heap->n_arenas, heap->n_retired, heap->n_waits);
	}
}

static void text_holders(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	char owner[MONITOR_NAME_N_BYTES], holder[MONITOR_NAME_N_BYTES], size[TERMINAL_TEXT_N_BYTES],
		age[TERMINAL_TEXT_N_BYTES];

	if (!snapshot->n_holders)
		return;
	fprintf(stream, "\n%-24s %-24s %9s %10s %12s\n", "HOLDER", "OF MEMORY OF", "BLOCKS", "SIZE", "OLDEST");
	for (size_t i = 0; i < snapshot->n_holders; i++) {
		const struct sea_monitor_holder *entry = &snapshot->holders[i];

		fprintf(stream, "%-24.24s %-24.24s %9" PRIu64 " %10s %12s\n",
		        monitor_name(holder, snapshot, entry->holder_id),
		        monitor_name(owner, snapshot, entry->process_id), entry->n_blocks,
		        terminal_size(size, entry->n_bytes), terminal_duration(age, entry->age_ns));
	}
}

static void text_holds(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	const size_t n_shown = snapshot->n_holds < 20 ? snapshot->n_holds : 20;
	char owner[MONITOR_NAME_N_BYTES], holder[MONITOR_NAME_N_BYTES], size[TERMINAL_TEXT_N_BYTES],
		age[TERMINAL_TEXT_N_BYTES];

	if (!n_shown)
		return;
	fprintf(stream, "\nOldest holds:\n%12s %-24s %-24s %10s %10s\n", "SINCE", "HOLDER", "OF MEMORY OF", "SIZE",
	        "BLOCK");
	for (size_t i = 0; i < n_shown; i++) {
		const struct sea_monitor_hold *hold = &snapshot->holds[i];

		fprintf(stream, "%12s %-24.24s %-24.24s %10s %6u/%u\n", terminal_duration(age, hold->age_ns),
		        monitor_name(holder, snapshot, hold->holder_id),
		        monitor_name(owner, snapshot, hold->process_id), terminal_size(size, hold->n_bytes),
		        hold->arena_id, hold->block_id);
	}
	if (n_shown < snapshot->n_holds)
		fprintf(stream, "%12s %zu more; --json has them\n", "", snapshot->n_holds - n_shown);
}

static void text_queues(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	char name[MONITOR_NAME_N_BYTES], peer[MONITOR_NAME_N_BYTES], latency[TERMINAL_TEXT_N_BYTES],
		waiting[TERMINAL_TEXT_N_BYTES];

	for (size_t i = 0; i < snapshot->n_links; i++) {
		const struct sea_monitor_link *link = &snapshot->links[i];

		fprintf(stream,
		        "%s%-24.24s %3u to %-24.24s out %" PRIu64 " of %" PRIu64 ", in %" PRIu64 " of %" PRIu64
		        ", latency %s",
		        i ? "" : "\nQueues:\n", monitor_name(name, snapshot, link->process_id), link->channel_id,
		        monitor_name(peer, snapshot, link->peer_id), link->n_out, link->n_out_max, link->n_in,
		        link->n_in_max, monitor_latency(latency, link->latency_ns));
		if (link->waiting_ns >= 0)
			fprintf(stream, ", waiting %s", monitor_duration(waiting, link->waiting_ns));
		fputc('\n', stream);
	}
}

static void text_channels(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	char name[MONITOR_NAME_N_BYTES], text[3][TERMINAL_TEXT_N_BYTES];

	if (!snapshot->n_channels)
		return;
	fprintf(stream, "\n%-24s %3s %-6s %-6s %5s %8s %8s %10s %12s %12s %8s %8s %8s %9s %9s  %s\n", "CHANNEL OF",
	        "ID", "KIND", "OVER", "PEERS", "OUT/S", "IN/S", "LATENCY", "SENT", "RECEIVED", "MISSED", "ORPHANS",
	        "REFUSED", "PEAK OUT", "PEAK IN", "ADDRESSES");
	for (size_t i = 0; i < snapshot->n_channels; i++) {
		const struct sea_monitor_channel *channel = &snapshot->channels[i];
		struct monitor_queues queues = monitor_queues(snapshot, channel);

		fprintf(stream,
		        "%-24.24s %3u %-6s %-6s %5" PRIu64 " %8s %8s %10s %12" PRIu64 " %12" PRIu64 " %8" PRIu64
		        " %8" PRIu64 " %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " ",
		        monitor_name(name, snapshot, channel->process_id), channel->id, channel->pattern,
		        monitor_transport(channel), channel->n_peers, monitor_count(text[0], channel->n_sent_per_s),
		        monitor_count(text[1], channel->n_received_per_s), monitor_latency(text[2], queues.latency_ns),
		        channel->n_sent, channel->n_received, channel->n_missed, channel->n_orphans, channel->n_refused,
		        channel->peak_out, channel->peak_in);
		for (size_t j = 0; j < snapshot->n_addresses; j++) {
			const struct sea_monitor_address *address = &snapshot->addresses[j];

			if (address->process_id == channel->process_id && address->channel_id == channel->id)
				fprintf(stream, " %s%s", address->is_bound ? "@" : ">", address->name);
		}
		fputc('\n', stream);
	}
}

void monitor_print_text(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	fprintf(stream, "Session %s: %zu living, %zu leftovers of the dead\n\n", snapshot->session,
	        monitor_n_alive(snapshot), snapshot->n_leftovers);
	if (snapshot->n_processes)
		text_processes(stream, snapshot);
	if (monitor_n_alive(snapshot))
		text_traffic(stream, snapshot);
	text_heaps(stream, snapshot);
	text_holders(stream, snapshot);
	text_holds(stream, snapshot);
	text_channels(stream, snapshot);
	text_queues(stream, snapshot);
	for (size_t i = 0; i < snapshot->n_leftovers; i++)
		fprintf(stream, "%s  %s\n", i ? "" : "\nLeft by the dead (--cleanup removes it):\n",
		        snapshot->leftovers[i].name);
}
