/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the text of a status file. It is the word of another process: every number is checked, every name made
 * printable, keys that are not known are passed over, and nothing is kept that did not fit.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/monitor.h"
#include "wire/status.h"

/* A piece of the text. */
struct parse_span {
	const char *data;
	size_t n;
};

void *seai_monitor_grow(void *pointer_to_array, size_t *n_items, size_t item_n_bytes)
{
	void *array, *item;

	memcpy(&array, pointer_to_array, sizeof(array));
	/* Room for a power of two of them. */
	if ((*n_items & (*n_items - 1)) == 0) {
		size_t n_max = *n_items ? 2 * *n_items : 1;
		void *grown = n_max > SEAI_MONITOR_N_MAX ? NULL : realloc(array, n_max * item_n_bytes);

		if (!grown)
			return NULL;
		array = grown;
		memcpy(pointer_to_array, &array, sizeof(array));
	}
	item = (char *)array + (*n_items)++ * item_n_bytes;
	memset(item, 0, item_n_bytes);
	return item;
}

void seai_monitor_copy(char *to, size_t n_to, const char *from, size_t n_from)
{
	size_t i = 0;

	for (; i < n_from && from[i] && i + 1 < n_to; i++)
		to[i] = (char)(from[i] >= ' ' && from[i] < 127 ? from[i] : '?');
	to[i] = 0;
}

static struct parse_span parse_take(struct parse_span *from, char separator)
{
	const char *end = from->n ? memchr(from->data, separator, from->n) : NULL;
	struct parse_span taken = { from->data, end ? (size_t)(end - from->data) : from->n };
	size_t n = end ? taken.n + 1 : taken.n;

	from->data += n;
	from->n -= n;
	return taken;
}

static bool span_is(struct parse_span span, const char *text)
{
	return span.n == strlen(text) && memcmp(span.data, text, span.n) == 0;
}

/* Digits of a base and nothing else, up to 2^64 - 1; else 0. */
static uint64_t span_number(struct parse_span span, unsigned base)
{
	uint64_t number = 0;

	for (size_t i = 0; i < span.n; i++) {
		char c = span.data[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
		                 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
		                                        : 16;

		if (digit >= base || number > (UINT64_MAX - digit) / base)
			return 0;
		number = number * base + digit;
	}
	return number;
}

/* The value of key=value in a line; empty where there is none. */
static struct parse_span line_get(struct parse_span line, const char *key)
{
	while (line.n) {
		struct parse_span word = parse_take(&line, ' '), value = word;
		struct parse_span name = parse_take(&value, '=');

		if (name.n < word.n && span_is(name, key))
			return value;
	}
	return (struct parse_span){ "", 0 };
}

static uint64_t line_number(struct parse_span line, const char *key)
{
	return span_number(line_get(line, key), 10);
}

static uint64_t line_id(struct parse_span line, const char *key)
{
	return span_number(line_get(line, key), 16);
}

static uint32_t line_small(struct parse_span line, const char *key)
{
	uint64_t number = line_number(line, key);

	return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static void line_text(struct parse_span line, const char *key, char *to, size_t n_to)
{
	struct parse_span value = line_get(line, key);

	seai_monitor_copy(to, n_to, value.data, value.n);
}

/* How long a moment, in CLOCK_MONOTONIC ns, is past; -1 where it is none. */
static int64_t parse_age(const struct sea_monitor_snapshot *snapshot, uint64_t moment_ns)
{
	if (moment_ns == 0 || moment_ns > INT64_MAX)
		return -1;
	return (int64_t)moment_ns > snapshot->taken_ns ? 0 : snapshot->taken_ns - (int64_t)moment_ns;
}

static int64_t parse_age_ms(const struct sea_monitor_snapshot *snapshot, struct parse_span line, const char *key)
{
	uint64_t ms = line_number(line, key);

	return ms > INT64_MAX / (uint64_t)SEAI_NS_PER_MS ? -1 : parse_age(snapshot, ms * (uint64_t)SEAI_NS_PER_MS);
}

/* A duration; -1 where there is none. */
static int64_t line_duration(struct parse_span line, const char *key)
{
	struct parse_span value = line_get(line, key);
	uint64_t number = span_number(value, 10);

	return value.n && number <= INT64_MAX ? (int64_t)number : -1;
}

static int parse_heap(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                      struct parse_span line)
{
	struct sea_monitor_heap *heap = seai_monitor_grow(&snapshot->heaps, &snapshot->n_heaps, sizeof(*heap));

	if (!heap)
		return -ENOMEM;
	heap->process_id = process->id;
	heap->id = line_small(line, "id");
	heap->is_shared = span_is(line_get(line, "kind"), "shared");
	heap->is_region = span_is(line_get(line, "kind"), "region");
	line_text(line, "name", heap->name, sizeof(heap->name));
	heap->is_default = line_number(line, "default") == 1;
	line_text(line, "pages", heap->pages, sizeof(heap->pages));
	heap->n_bytes_quota = line_number(line, "quota");
	heap->n_bytes_backed = line_number(line, "backed");
	heap->n_bytes_used = line_number(line, "used");
	heap->n_bytes_peak = line_number(line, "peak");
	heap->n_bytes_pinned = line_number(line, "pinned");
	heap->n_bytes_largest = line_number(line, "largest");
	heap->n_blocks = line_number(line, "blocks");
	heap->n_arenas = line_number(line, "arenas");
	heap->n_retired = line_number(line, "retired");
	heap->n_waits = line_number(line, "waits");
	return 0;
}

static int parse_channel(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                         struct parse_span line)
{
	struct sea_monitor_channel *channel = seai_monitor_grow(&snapshot->channels, &snapshot->n_channels,
	                                                        sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	channel->process_id = process->id;
	channel->id = line_small(line, "id");
	line_text(line, "pattern", channel->pattern, sizeof(channel->pattern));
	channel->n_peers = line_number(line, "peers");
	channel->n_sent = line_number(line, "sent");
	channel->n_received = line_number(line, "received");
	channel->n_refused = line_number(line, "refused");
	channel->n_orphans = line_number(line, "orphans");
	channel->n_orphans_waiting = line_number(line, "orphans_waiting");
	channel->n_doorbells = line_number(line, "doorbells");
	channel->n_sleeps = line_number(line, "sleeps");
	channel->peak_out = line_number(line, "peak_out");
	channel->peak_in = line_number(line, "peak_in");
	channel->n_missed = line_number(line, "missed");
	channel->n_sent_per_s = line_number(line, "sent_per_s");
	channel->n_received_per_s = line_number(line, "received_per_s");
	channel->is_zeromq = span_is(line_get(line, "transport"), "zeromq");
	return 0;
}

static int parse_address(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                         struct parse_span line)
{
	struct sea_monitor_address *address = seai_monitor_grow(&snapshot->addresses, &snapshot->n_addresses,
	                                                        sizeof(*address));

	if (!address)
		return -ENOMEM;
	address->process_id = process->id;
	address->channel_id = line_small(line, "channel");
	address->is_bound = line_number(line, "bound") == 1;
	line_text(line, "name", address->name, sizeof(address->name));
	return 0;
}

static int parse_link(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                      struct parse_span line)
{
	struct sea_monitor_link *link = seai_monitor_grow(&snapshot->links, &snapshot->n_links, sizeof(*link));
	int64_t since_ns, beat_ns;

	if (!link)
		return -ENOMEM;
	link->process_id = process->id;
	link->peer_id = line_id(line, "peer");
	link->channel_id = line_small(line, "channel");
	link->n_out = line_number(line, "out");
	link->n_out_max = line_number(line, "out_max");
	link->n_in = line_number(line, "in");
	link->n_in_max = line_number(line, "in_max");
	link->id = line_id(line, "id");
	link->latency_ns = line_duration(line, "latency_ns");
	/* As of the heartbeat: whether it waits still is not known. The heartbeat stands further up. */
	since_ns = parse_age(snapshot, line_number(line, "waits_since_ns"));
	beat_ns = process->heartbeat_age_ns;
	link->waiting_ns = since_ns < 0 || beat_ns < 0 ? -1 : since_ns > beat_ns ? since_ns - beat_ns : 0;
	return 0;
}

static int parse_holder(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                        struct parse_span line)
{
	struct sea_monitor_holder *holder = seai_monitor_grow(&snapshot->holders, &snapshot->n_holders,
	                                                      sizeof(*holder));

	if (!holder)
		return -ENOMEM;
	holder->process_id = process->id;
	holder->holder_id = line_id(line, "id");
	holder->n_blocks = line_number(line, "blocks");
	holder->n_bytes = line_number(line, "bytes");
	holder->age_ns = parse_age_ms(snapshot, line, "oldest_ms");
	return 0;
}

static int parse_hold(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                      struct parse_span line)
{
	struct sea_monitor_hold *hold = seai_monitor_grow(&snapshot->holds, &snapshot->n_holds, sizeof(*hold));
	uint64_t fd = line_number(line, "fd");

	if (!hold)
		return -ENOMEM;
	hold->process_id = process->id;
	hold->holder_id = line_id(line, "holder");
	hold->heap_id = line_small(line, "heap");
	hold->arena_id = line_small(line, "arena");
	hold->block_id = line_small(line, "block");
	hold->fd = fd > INT32_MAX ? -1 : (int32_t)fd;
	hold->file_offset = line_number(line, "file_offset");
	hold->generation = line_number(line, "generation");
	hold->n_bytes = line_number(line, "bytes");
	hold->age_ns = parse_age_ms(snapshot, line, "since_ms");
	return 0;
}

static int parse_attached(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
                          struct parse_span line)
{
	struct sea_monitor_attached *attached = seai_monitor_grow(&snapshot->attached, &snapshot->n_attached,
	                                                          sizeof(*attached));

	if (!attached)
		return -ENOMEM;
	attached->process_id = process->id;
	attached->owner_id = line_id(line, "owner");
	attached->n_arenas = line_number(line, "arenas");
	attached->n_bytes = line_number(line, "bytes");
	return 0;
}

static int parse_session(struct sea_monitor_process *process, struct parse_span line)
{
	process->n_peers = line_number(line, "peers");
	process->n_deaths = line_number(line, "deaths");
	process->n_refused = line_number(line, "refused");
	process->n_lies = line_number(line, "lies");
	process->n_orphans = line_number(line, "orphans");
	process->n_bytes_backed = line_number(line, "backed");
	process->n_bytes_used = line_number(line, "used");
	process->n_bytes_copied = line_number(line, "copied");
	return 0;
}

static int parse_flight(const struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process,
                        struct parse_span line)
{
	process->n_out = line_number(line, "messages");
	process->n_bytes_out = line_number(line, "bytes");
	process->out_age_ns = parse_age_ms(snapshot, line, "oldest_ms");
	process->out_holder_id = line_id(line, "holder");
	return 0;
}

/* Lines that are one value. */
static bool parse_plain(const struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process,
                        struct parse_span key, struct parse_span value)
{
	uint64_t number = span_number(value, 10);

	if (span_is(key, "pid"))
		process->pid = number > 0 && number <= INT32_MAX ? (int32_t)number : 0;
	else if (span_is(key, "name"))
		seai_monitor_copy(process->name, sizeof(process->name), value.data, value.n);
	else if (span_is(key, "state"))
		seai_monitor_copy(process->state, sizeof(process->state), value.data, value.n);
	else if (span_is(key, "heartbeat_ns"))
		process->heartbeat_age_ns = parse_age(snapshot, number);
	else if (span_is(key, "started_ns"))
		process->age_ns = parse_age(snapshot, number);
	else if (span_is(key, "quiet"))
		process->is_quiet = 1;
	else if (span_is(key, "truncated"))
		process->is_truncated = 1;
	else if (span_is(key, "incomplete"))
		process->is_incomplete = 1;
	else
		return false;
	return true;
}

static const struct {
	const char *key;
	int (*parse)(struct sea_monitor_snapshot *snapshot, const struct sea_monitor_process *process,
	             struct parse_span line);
} parse_tables[] = {
	{ "heap", parse_heap },         { "channel", parse_channel }, { "address", parse_address },
	{ "link", parse_link },         { "holder", parse_holder },   { "hold", parse_hold },
	{ "attached", parse_attached },
};

static int parse_line(struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process,
                      struct parse_span line)
{
	struct parse_span rest = line, key = parse_take(&rest, ' ');

	if (parse_plain(snapshot, process, key, rest))
		return 0;
	if (span_is(key, "session"))
		return parse_session(process, rest);
	/* What the dead had is gone with them, or is no longer as they said. */
	if (process->condition == SEA_MONITOR_DEAD)
		return 0;
	if (span_is(key, "flight"))
		return parse_flight(snapshot, process, rest);
	for (size_t i = 0; i < sizeof(parse_tables) / sizeof(parse_tables[0]); i++)
		if (span_is(key, parse_tables[i].key))
			return parse_tables[i].parse(snapshot, process, rest);
	return 0; /* of a later version */
}

/* The part between the first line and an end with the same number; false: there is none. */
static bool parse_find_body(const char *text, size_t n_bytes, struct parse_span *ret_body)
{
	struct parse_span rest = { text, n_bytes }, first = parse_take(&rest, '\n'), body = rest;
	uint64_t sequence;

	if (!span_is(parse_take(&first, ' '), "sealane-status") || !span_is(parse_take(&first, ' '), "1"))
		return false;
	sequence = span_number(first, 10);
	while (rest.n) {
		struct parse_span line = parse_take(&rest, '\n'), at = line;

		if (!span_is(parse_take(&at, ' '), "end"))
			continue;
		/* An end without its newline may go on. */
		if (line.data + line.n == text + n_bytes || span_number(at, 10) != sequence)
			return false;
		*ret_body = (struct parse_span){ body.data, (size_t)(line.data - body.data) };
		return true;
	}
	return false;
}

int seai_monitor_parse(struct sea_monitor_snapshot *snapshot, struct sea_monitor_process *process, const char *text,
                       size_t n_bytes)
{
	struct parse_span body;
	int r = 0;

	if (!parse_find_body(text, n_bytes, &body))
		return -EBADMSG;
	while (r == 0 && body.n)
		r = parse_line(snapshot, process, parse_take(&body, '\n'));
	if (r == 0)
		process->has_status = 1;
	return r;
}
