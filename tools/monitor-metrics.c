/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as metrics: Prometheus text format 0.0.4, and InfluxDB line protocol. */
#include "monitor.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* A 64-bit member of a table's row, under its name. One whose name ends with "_seconds" is signed, in ns, and negative where it is not known. */
struct metric {
	const char *name;
	const char *type; /* of Prometheus */
	const char *help;
	size_t offset;
};

#define METRIC(name, type, object, member, help)                  \
	{                                                         \
		name, type, help, offsetof(struct object, member) \
	}

static const struct metric process_metrics[] = {
	METRIC("peers", "gauge", sea_monitor_process, n_peers, "Processes connected."),
	METRIC("deaths_total", "counter", sea_monitor_process, n_deaths, "Peers whose end was noticed."),
	METRIC("refused_total", "counter", sea_monitor_process, n_refused, "Connections or messages refused."),
	METRIC("lies_total", "counter", sea_monitor_process, n_lies, "Records of blocks that their writer never held."),
	METRIC("orphans_total", "counter", sea_monitor_process, n_orphans, "Messages that came back."),
	METRIC("copied_bytes_total", "counter", sea_monitor_process, n_bytes_copied, "Payload copied by the library."),
	METRIC("in_flight", "gauge", sea_monitor_process, n_out, "Messages sent and still held by others."),
	METRIC("in_flight_bytes", "gauge", sea_monitor_process, n_bytes_out, "Size of their blocks."),
	METRIC("in_flight_age_seconds", "gauge", sea_monitor_process, out_age_ns, "Since the oldest of them was sent."),
};

static const struct metric heap_metrics[] = {
	METRIC("quota_bytes", "gauge", sea_monitor_heap, n_bytes_quota, "Limit of a heap."),
	METRIC("backed_bytes", "gauge", sea_monitor_heap, n_bytes_backed, "Memory taken from the kernel."),
	METRIC("used_bytes", "gauge", sea_monitor_heap, n_bytes_used, "In blocks that somebody holds."),
	METRIC("peak_bytes", "gauge", sea_monitor_heap, n_bytes_peak, "Highest that was in use."),
	METRIC("pinned_bytes", "gauge", sea_monitor_heap, n_bytes_pinned,
	       "Kept from the kernel by little that is held."),
	METRIC("largest_free_bytes", "gauge", sea_monitor_heap, n_bytes_largest, "Largest block to be had at once."),
	METRIC("blocks", "gauge", sea_monitor_heap, n_blocks, "Blocks that somebody holds."),
	METRIC("arenas", "gauge", sea_monitor_heap, n_arenas, "Arenas in use."),
	METRIC("arenas_retired", "gauge", sea_monitor_heap, n_retired, "Arenas that wait for their last reader."),
	METRIC("waits_total", "counter", sea_monitor_heap, n_waits, "Allocations that had to wait."),
};

static const struct metric channel_metrics[] = {
	METRIC("links", "gauge", sea_monitor_channel, n_peers, "Peers of a channel."),
	METRIC("sent_total", "counter", sea_monitor_channel, n_sent, "Messages sent."),
	METRIC("received_total", "counter", sea_monitor_channel, n_received, "Messages received."),
	METRIC("sent_per_second", "gauge", sea_monitor_channel, n_sent_per_s, "Messages sent, at the last heartbeat."),
	METRIC("received_per_second", "gauge", sea_monitor_channel, n_received_per_s,
	       "Messages received, at the last heartbeat."),
	METRIC("missed_total", "counter", sea_monitor_channel, n_missed,
	       "Messages that a slow subscriber had no room for."),
	METRIC("orphans_waiting", "gauge", sea_monitor_channel, n_orphans_waiting, "Orphans not taken yet."),
	METRIC("doorbells_total", "counter", sea_monitor_channel, n_doorbells, "Times a sleeping peer was woken."),
	METRIC("sleeps_total", "counter", sea_monitor_channel, n_sleeps, "Times it slept."),
	METRIC("queue_peak_out", "gauge", sea_monitor_channel, peak_out, "Fullest seen of the queues to peers."),
	METRIC("queue_peak_in", "gauge", sea_monitor_channel, peak_in, "Fullest seen of the queues from peers."),
};

static const struct metric link_metrics[] = {
	METRIC("queue_out", "gauge", sea_monitor_link, n_out, "Messages sent and not taken."),
	METRIC("queue_out_max", "gauge", sea_monitor_link, n_out_max, "So many fit."),
	METRIC("queue_in", "gauge", sea_monitor_link, n_in, "Messages that wait to be received."),
	METRIC("queue_in_max", "gauge", sea_monitor_link, n_in_max, "So many fit."),
	METRIC("latency_seconds", "gauge", sea_monitor_link, latency_ns, "From send to receive, as last sampled."),
	METRIC("waiting_seconds", "gauge", sea_monitor_link, waiting_ns, "How long what is queued waits already."),
};

static const struct metric holder_metrics[] = {
	METRIC("blocks", "gauge", sea_monitor_holder, n_blocks, "Blocks held."),
	METRIC("bytes", "gauge", sea_monitor_holder, n_bytes, "Bytes held."),
	METRIC("oldest_seconds", "gauge", sea_monitor_holder, age_ns, "Since the oldest of them was sent."),
};

/* A table of the snapshot: rows of one kind. */
struct metric_table {
	const char *name;
	const struct metric *metrics;
	size_t n_metrics;
	const void *rows;
	size_t n_rows, row_n_bytes;
	/* Labels of a row; in Prometheus form with quotes, in Influx form without. */
	void (*label)(FILE *stream, const struct sea_monitor_snapshot *snapshot, const void *row, bool is_influx);
};

/* One label; in both forms what has a meaning in it is escaped. */
static void label_put(FILE *stream, const char *key, const char *value, bool is_influx)
{
	fprintf(stream, is_influx ? ",%s=" : ",%s=\"", key);
	if (is_influx && !*value)
		fputc('-', stream);
	for (; *value; value++) {
		if (strchr(is_influx ? ", =\\" : "\"\\", *value))
			fputc('\\', stream);
		fputc(*value, stream);
	}
	if (!is_influx)
		fputc('"', stream);
}

static void label_process(FILE *stream, const struct sea_monitor_snapshot *snapshot, uint64_t id, bool is_influx)
{
	const struct sea_monitor_process *process = monitor_find(snapshot, id);
	char text[24];

	snprintf(text, sizeof(text), "%016" PRIx64, id);
	label_put(stream, "process", text, is_influx);
	label_put(stream, "name", process ? process->name : "", is_influx);
}

static void label_process_row(FILE *stream, const struct sea_monitor_snapshot *snapshot, const void *row,
                              bool is_influx)
{
	const struct sea_monitor_process *process = row;

	label_process(stream, snapshot, process->id, is_influx);
	label_put(stream, "condition", monitor_condition(process), is_influx);
}

static void label_heap(FILE *stream, const struct sea_monitor_snapshot *snapshot, const void *row, bool is_influx)
{
	const struct sea_monitor_heap *heap = row;
	char text[24];

	label_process(stream, snapshot, heap->process_id, is_influx);
	snprintf(text, sizeof(text), "%u", heap->id);
	label_put(stream, "heap", text, is_influx);
	label_put(stream, "kind", monitor_kind(heap), is_influx);
}

static void label_channel(FILE *stream, const struct sea_monitor_snapshot *snapshot, const void *row, bool is_influx)
{
	const struct sea_monitor_channel *channel = row;
	char text[24];

	label_process(stream, snapshot, channel->process_id, is_influx);
	snprintf(text, sizeof(text), "%u", channel->id);
	label_put(stream, "channel", text, is_influx);
	label_put(stream, "pattern", channel->pattern, is_influx);
	label_put(stream, "transport", monitor_transport(channel), is_influx);
}

static void label_link(FILE *stream, const struct sea_monitor_snapshot *snapshot, const void *row, bool is_influx)
{
	const struct sea_monitor_link *link = row;
	const struct sea_monitor_process *peer = monitor_find(snapshot, link->peer_id);
	char text[24];

	label_process(stream, snapshot, link->process_id, is_influx);
	snprintf(text, sizeof(text), "%u", link->channel_id);
	label_put(stream, "channel", text, is_influx);
	snprintf(text, sizeof(text), "%016" PRIx64, link->peer_id);
	label_put(stream, "peer", text, is_influx);
	label_put(stream, "peer_name", peer ? peer->name : "", is_influx);
	/* Two processes may have several links. */
	snprintf(text, sizeof(text), "%016" PRIx64, link->id);
	label_put(stream, "link", text, is_influx);
}

static void label_holder(FILE *stream, const struct sea_monitor_snapshot *snapshot, const void *row, bool is_influx)
{
	const struct sea_monitor_holder *holder = row;
	char text[24];

	label_process(stream, snapshot, holder->process_id, is_influx);
	snprintf(text, sizeof(text), "%016" PRIx64, holder->holder_id);
	label_put(stream, "holder", text, is_influx);
}

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define N_TABLES 5

static void tables_make(struct metric_table tables[N_TABLES], const struct sea_monitor_snapshot *s)
{
	tables[0] = (struct metric_table){ "process",      process_metrics,       N_OF(process_metrics), s->processes,
		                           s->n_processes, sizeof(*s->processes), label_process_row };
	tables[1] = (struct metric_table){ "heap",     heap_metrics,      N_OF(heap_metrics), s->heaps,
		                           s->n_heaps, sizeof(*s->heaps), label_heap };
	tables[2] = (struct metric_table){ "channel",     channel_metrics,      N_OF(channel_metrics), s->channels,
		                           s->n_channels, sizeof(*s->channels), label_channel };
	tables[3] = (struct metric_table){ "link",     link_metrics,      N_OF(link_metrics), s->links,
		                           s->n_links, sizeof(*s->links), label_link };
	tables[4] = (struct metric_table){ "holder",     holder_metrics,      N_OF(holder_metrics), s->holders,
		                           s->n_holders, sizeof(*s->holders), label_holder };
}

static uint64_t metric_value(const struct metric *metric, const void *row)
{
	uint64_t value;

	memcpy(&value, (const char *)row + metric->offset, sizeof(value));
	return value;
}

static bool metric_is_seconds(const struct metric *metric)
{
	const char *end = strrchr(metric->name, '_');

	return end && strcmp(end, "_seconds") == 0;
}

/* Whether it is known. */
static bool metric_has(const struct metric *metric, const void *row)
{
	return !metric_is_seconds(metric) || metric_value(metric, row) <= INT64_MAX;
}

static void metric_put(FILE *stream, const struct metric *metric, const void *row, bool is_influx)
{
	uint64_t value = metric_value(metric, row);

	if (metric_is_seconds(metric))
		fprintf(stream, "%" PRIu64 ".%09" PRIu64, value / 1000000000, value % 1000000000);
	else if (is_influx) /* its integers are signed */
		fprintf(stream, "%" PRIu64 "i", value > INT64_MAX ? INT64_MAX : value);
	else
		fprintf(stream, "%" PRIu64, value);
}

static void prometheus_metric(FILE *stream, const struct sea_monitor_snapshot *snapshot,
                              const struct metric_table *table, const struct metric *metric)
{
	if (!table->n_rows)
		return;
	fprintf(stream, "# HELP sealane_%s_%s %s\n# TYPE sealane_%s_%s %s\n", table->name, metric->name, metric->help,
	        table->name, metric->name, metric->type);
	for (size_t i = 0; i < table->n_rows; i++) {
		const void *row = (const char *)table->rows + i * table->row_n_bytes;

		if (!metric_has(metric, row))
			continue;
		fprintf(stream, "sealane_%s_%s{session=\"%s\"", table->name, metric->name, snapshot->session);
		table->label(stream, snapshot, row, false);
		fprintf(stream, "} ");
		metric_put(stream, metric, row, false);
		fputc('\n', stream);
	}
}

void monitor_print_prometheus(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	struct metric_table tables[N_TABLES];

	tables_make(tables, snapshot);
	fprintf(stream,
	        "# HELP sealane_processes Living processes of a session.\n# TYPE sealane_processes gauge\n"
	        "sealane_processes{session=\"%s\"} %zu\n",
	        snapshot->session, monitor_n_alive(snapshot));
	fprintf(stream,
	        "# HELP sealane_leftovers Files of dead processes.\n# TYPE sealane_leftovers gauge\n"
	        "sealane_leftovers{session=\"%s\"} %zu\n",
	        snapshot->session, snapshot->n_leftovers);
	for (size_t i = 0; i < N_TABLES; i++)
		for (size_t j = 0; j < tables[i].n_metrics; j++)
			prometheus_metric(stream, snapshot, &tables[i], &tables[i].metrics[j]);
}

void monitor_print_influx(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	struct metric_table tables[N_TABLES];

	tables_make(tables, snapshot);
	fprintf(stream, "sealane_session,session=%s processes=%zui,leftovers=%zui\n", snapshot->session,
	        monitor_n_alive(snapshot), snapshot->n_leftovers);
	for (size_t i = 0; i < N_TABLES; i++) {
		const struct metric_table *table = &tables[i];

		for (size_t j = 0; j < table->n_rows; j++) {
			const void *row = (const char *)table->rows + j * table->row_n_bytes;

			fprintf(stream, "sealane_%s,session=%s", table->name, snapshot->session);
			table->label(stream, snapshot, row, true);
			/* The first of a table is always known. */
			for (size_t k = 0; k < table->n_metrics; k++) {
				if (!metric_has(&table->metrics[k], row))
					continue;
				fprintf(stream, "%c%s=", k ? ',' : ' ', table->metrics[k].name);
				metric_put(stream, &table->metrics[k], row, true);
			}
			fputc('\n', stream);
		}
	}
}
