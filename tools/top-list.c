/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of `sealane top`: processes and channels. A table has more columns than a narrow terminal has room for: those of the
 * lowest rank are always there, the others as they fit, and what is left over makes names longer.
 */
#ifdef SEALANE_NCURSES

#include "top.h"

#include <curses.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_TEXT_N_BYTES 160

/* A row of a table, with what is derived from it once. */
struct table_row {
	const struct sea_monitor_snapshot *snapshot;
	const struct sea_monitor_process *process;
	struct monitor_traffic traffic;
	const struct sea_monitor_channel *channel;
	struct monitor_queues queues;
};

struct table_column {
	const char *title;
	int width, width_max; /* width_max 0: as width */
	unsigned rank;
	bool is_left;
	void (*put)(char text[static TABLE_TEXT_N_BYTES], const struct table_row *row);
};

#define TABLE_N_COLUMNS_MAX 20
#define TABLE_N_RANKS 10u

/* Widths of the columns; 0: no room. */
struct table {
	const struct table_column *columns;
	size_t n_columns;
	int widths[TABLE_N_COLUMNS_MAX];
};

#define PUT(name) static void put_##name(char text[static TABLE_TEXT_N_BYTES], const struct table_row *row)
#define PUT_NUMBER(name, value)                                             \
	PUT(name)                                                           \
	{                                                                   \
		snprintf(text, TABLE_TEXT_N_BYTES, "%" PRIu64, row->value); \
	}
#define PUT_BY(name, function, value)             \
	PUT(name)                                 \
	{                                         \
		(void)function(text, row->value); \
	}

PUT(pid)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%d", (int)row->process->pid);
}

PUT(name)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%s", row->process->name);
}

PUT(condition)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%s", monitor_condition(row->process));
}

PUT(state)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%s", row->process->state[0] ? row->process->state : "-");
}

PUT(holder)
{
	if (row->process->out_holder_id)
		(void)monitor_name(text, row->snapshot, row->process->out_holder_id);
	else
		snprintf(text, TABLE_TEXT_N_BYTES, "-");
}

PUT(heartbeat)
{
	if (row->process->is_quiet)
		snprintf(text, TABLE_TEXT_N_BYTES, "quiet");
	else
		(void)monitor_duration(text, row->process->heartbeat_age_ns);
}

PUT_BY(sent_per_s, monitor_count, traffic.n_sent_per_s)
PUT_BY(received_per_s, monitor_count, traffic.n_received_per_s)
PUT_BY(out, monitor_count, process->n_out)
PUT_BY(out_size, terminal_size, process->n_bytes_out)
PUT_BY(out_age, monitor_duration, process->out_age_ns)
PUT_BY(latency, monitor_latency, traffic.latency_ns)
PUT_BY(held, monitor_count, traffic.n_held)
PUT_BY(used, terminal_size, process->n_bytes_used)
PUT_BY(backed, terminal_size, process->n_bytes_backed)

static const struct table_column process_columns[] = {
	{ "PID", 7, 0, 0, false, put_pid },
	{ "NAME", 12, 20, 0, true, put_name },
	{ "IS", 8, 0, 0, true, put_condition },
	{ "STATE", 10, 16, 1, true, put_state },
	{ "OUT/S", 6, 0, 1, false, put_sent_per_s },
	{ "IN/S", 6, 0, 1, false, put_received_per_s },
	{ "LATENCY", 8, 0, 4, false, put_latency },
	{ "FLIGHT", 6, 0, 1, false, put_out },
	{ "SIZE", 9, 0, 5, false, put_out_size },
	{ "OLDEST", 8, 0, 2, false, put_out_age },
	{ "HELD BY", 16, 24, 3, true, put_holder },
	{ "HOLDS", 6, 0, 6, false, put_held },
	{ "HEARTBEAT", 9, 0, 8, false, put_heartbeat },
	{ "BACKED", 9, 0, 7, false, put_backed },
	{ "USED", 9, 0, 2, false, put_used },
};

PUT(owner)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%s", row->process->name);
}

PUT(kind)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%s", row->channel->pattern);
}

PUT(transport)
{
	snprintf(text, TABLE_TEXT_N_BYTES, "%s", monitor_transport(row->channel));
}

PUT(queue_out)
{
	(void)monitor_fill(text, row->queues.n_out, row->queues.n_out_max);
}

PUT(queue_in)
{
	(void)monitor_fill(text, row->queues.n_in, row->queues.n_in_max);
}

PUT(addresses)
{
	const struct sea_monitor_snapshot *snapshot = row->snapshot;
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < snapshot->n_addresses && n < TABLE_TEXT_N_BYTES; i++) {
		const struct sea_monitor_address *address = &snapshot->addresses[i];

		if (address->process_id == row->channel->process_id && address->channel_id == row->channel->id)
			n += (size_t)snprintf(text + n, TABLE_TEXT_N_BYTES - n, "%s%s%s", n ? " " : "",
			                      address->is_bound ? "@" : ">", address->name);
	}
}

PUT_NUMBER(channel_id, channel->id + UINT64_C(0))
PUT_NUMBER(peers, channel->n_peers)
PUT_BY(channel_sent_per_s, monitor_count, channel->n_sent_per_s)
PUT_BY(channel_received_per_s, monitor_count, channel->n_received_per_s)
PUT_BY(channel_latency, monitor_latency, queues.latency_ns)
PUT_BY(missed, monitor_count, channel->n_missed)
PUT_BY(sent, monitor_count, channel->n_sent)
PUT_BY(received, monitor_count, channel->n_received)
PUT_BY(peak_out, monitor_count, channel->peak_out)
PUT_BY(peak_in, monitor_count, channel->peak_in)

static const struct table_column channel_columns[] = {
	{ "CHANNEL OF", 14, 20, 0, true, put_owner },
	{ "PID", 7, 0, 3, false, put_pid },
	{ "ID", 3, 0, 0, false, put_channel_id },
	{ "KIND", 6, 0, 0, true, put_kind },
	{ "OVER", 6, 0, 5, true, put_transport },
	{ "PEERS", 5, 0, 5, false, put_peers },
	{ "OUT/S", 6, 0, 1, false, put_channel_sent_per_s },
	{ "IN/S", 6, 0, 1, false, put_channel_received_per_s },
	{ "QUEUE OUT", 11, 0, 1, false, put_queue_out },
	{ "QUEUE IN", 11, 0, 1, false, put_queue_in },
	{ "LATENCY", 8, 0, 1, false, put_channel_latency },
	{ "MISSED", 6, 0, 2, false, put_missed },
	{ "SENT", 6, 0, 6, false, put_sent },
	{ "RECEIVED", 8, 0, 6, false, put_received },
	{ "PEAK OUT", 8, 0, 7, false, put_peak_out },
	{ "PEAK IN", 7, 0, 7, false, put_peak_in },
	{ "ADDRESSES", 16, 60, 4, true, put_addresses },
};

static void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
	int n_left = COLS + 1;

	*table = (struct table){ .columns = columns, .n_columns = n_columns };
	for (unsigned rank = 0; rank < TABLE_N_RANKS; rank++)
		for (size_t i = 0; i < n_columns; i++)
			if (columns[i].rank == rank && (rank == 0 || columns[i].width + 1 <= n_left)) {
				table->widths[i] = columns[i].width;
				n_left -= columns[i].width + 1;
			}
	for (size_t i = 0; i < n_columns && n_left > 0; i++) {
		int more = columns[i].width_max - columns[i].width;

		if (!table->widths[i] || more <= 0)
			continue;
		more = more < n_left ? more : n_left;
		table->widths[i] += more;
		n_left -= more;
	}
}

/* Draws a row; NULL: the titles. */
static void table_draw(struct top *top, const struct table *table, int attributes, const struct table_row *row)
{
	char line[512], text[TABLE_TEXT_N_BYTES];
	size_t n = 0;

	line[0] = 0;
	for (size_t i = 0; i < table->n_columns && n < sizeof(line); i++) {
		const struct table_column *column = &table->columns[i];
		int width = table->widths[i];

		if (!width)
			continue;
		if (row)
			column->put(text, row);
		else
			snprintf(text, sizeof(text), "%s", column->title);
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%*.*s", n ? " " : "",
		                      column->is_left ? -width : width, width, text);
	}
	top_line(top, attributes, "%s", line);
}

static const struct top *compare_top; /* qsort() passes nothing on */

static uint64_t top_rate(const struct sea_monitor_process *process)
{
	struct monitor_traffic traffic = monitor_traffic(compare_top->snapshot, process);

	return traffic.n_sent_per_s + traffic.n_received_per_s;
}

/* The larger one first. */
static int top_compare_down(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int top_compare(const void *left, const void *right)
{
	const struct sea_monitor_process *a = left, *b = right;

	switch (compare_top->sort) {
	case SORT_NAME: return strcmp(a->name, b->name);
	case SORT_PID: return (a->pid > b->pid) - (a->pid < b->pid);
	case SORT_RATE: return top_compare_down(top_rate(a), top_rate(b));
	case SORT_FLIGHT: return top_compare_down(a->n_out, b->n_out);
	case SORT_OLDEST: return (a->out_age_ns < b->out_age_ns) - (a->out_age_ns > b->out_age_ns);
	case SORT_BACKED: return top_compare_down(a->n_bytes_backed, b->n_bytes_backed);
	case SORT_USED: return top_compare_down(a->n_bytes_used, b->n_bytes_used);
	case SORT_HEARTBEAT:
		return (a->heartbeat_age_ns < b->heartbeat_age_ns) - (a->heartbeat_age_ns > b->heartbeat_age_ns);
	default: return (a->age_ns < b->age_ns) - (a->age_ns > b->age_ns);
	}
}

void top_sort_processes(struct top *top)
{
	compare_top = top;
	if (top->snapshot && top->snapshot->n_processes)
		qsort(top->snapshot->processes, top->snapshot->n_processes, sizeof(*top->snapshot->processes),
		      top_compare);
}

size_t top_selected_index(const struct top *top)
{
	for (size_t i = 0; i < top->snapshot->n_processes; i++)
		if (top->snapshot->processes[i].id == top->selected_id)
			return i;
	return 0;
}

void top_draw_list(struct top *top)
{
	static const char *const sorts[SORT_N] = { "age",    "name",   "pid",  "rate",     "in flight",
		                                   "oldest", "backed", "used", "heartbeat" };
	const struct sea_monitor_snapshot *snapshot = top->snapshot;
	size_t selected = top_selected_index(top);
	int n_rows = LINES - 3; /* title, heads of columns, and the last line is not drawn */
	struct table table;

	table_init(&table, process_columns, sizeof(process_columns) / sizeof(process_columns[0]));
	top_line(top, A_BOLD, "sealane top  session %s  %zu living  %zu leftovers  by %s  (h help)", snapshot->session,
	         monitor_n_alive(snapshot), snapshot->n_leftovers, sorts[top->sort]);
	table_draw(top, &table, A_REVERSE, NULL);
	for (size_t i = (int)selected >= n_rows && n_rows > 0 ? selected - (size_t)n_rows + 1 : 0;
	     i < snapshot->n_processes; i++) {
		const struct sea_monitor_process *process = &snapshot->processes[i];
		struct table_row row = { .snapshot = snapshot,
			                 .process = process,
			                 .traffic = monitor_traffic(snapshot, process) };

		table_draw(top, &table, i == selected ? A_STANDOUT : process->condition ? A_BOLD : A_NORMAL, &row);
	}
	if (!snapshot->n_processes)
		top_line(top, A_NORMAL, "  nobody is here");
}

void top_draw_channels(struct top *top, uint64_t process_id)
{
	const struct sea_monitor_snapshot *snapshot = top->snapshot;
	struct table table;

	table_init(&table, channel_columns, sizeof(channel_columns) / sizeof(channel_columns[0]));
	table_draw(top, &table, A_REVERSE, NULL);
	for (size_t i = 0; i < snapshot->n_processes; i++)
		for (size_t j = 0; j < snapshot->n_channels; j++) {
			const struct sea_monitor_channel *channel = &snapshot->channels[j];
			struct table_row row = { .snapshot = snapshot,
				                 .process = &snapshot->processes[i],
				                 .channel = channel };

			if (channel->process_id != snapshot->processes[i].id ||
			    (process_id && channel->process_id != process_id))
				continue;
			row.queues = monitor_queues(snapshot, channel);
			table_draw(top, &table, A_NORMAL, &row);
		}
}

#else

/* Not nothing, which is no C. */
struct top;

#endif
