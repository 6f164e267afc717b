/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as one JSON object on one line. Identities are hex strings: 64 bits do not survive in a JavaScript number. */
#include "monitor.h"

#include <inttypes.h>
#include <jansson.h>

#include "cleanup.h"

static json_t *json_id(uint64_t id)
{
	char text[24];

	snprintf(text, sizeof(text), "%016" PRIx64, id);
	return json_string(text);
}

static json_int_t number(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (json_int_t)n;
}

static json_t *json_processes(const struct sea_monitor_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_processes; i++) {
		const struct sea_monitor_process *p = &snapshot->processes[i];
		const char kernel[2] = { p->kernel_state, 0 };

		json_array_append_new(
			array,
			json_pack(
				"{s:o,s:i,s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}",
				"id", json_id(p->id), "pid", (int)p->pid, "name", p->name, "condition",
				monitor_condition(p), "state", p->state, "kernel_state", kernel, "has_status",
				(int)p->has_status, "quiet", (int)p->is_quiet, "truncated", (int)p->is_truncated,
				"incomplete", (int)p->is_incomplete, "age_ns", (json_int_t)p->age_ns,
				"heartbeat_age_ns", (json_int_t)p->heartbeat_age_ns, "peers", number(p->n_peers),
				"deaths", number(p->n_deaths), "refused", number(p->n_refused), "lies",
				number(p->n_lies), "orphans", number(p->n_orphans), "backed", number(p->n_bytes_backed),
				"used", number(p->n_bytes_used), "copied", number(p->n_bytes_copied), "in_flight",
				number(p->n_out), "in_flight_bytes", number(p->n_bytes_out), "in_flight_age_ns",
				(json_int_t)p->out_age_ns, "in_flight_holder",
				p->out_holder_id ? json_id(p->out_holder_id) : json_null()));
	}
	return array;
}

static json_t *json_heaps(const struct sea_monitor_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_heaps; i++) {
		const struct sea_monitor_heap *h = &snapshot->heaps[i];

		json_array_append_new(
			array, json_pack("{s:o,s:I,s:s,s:s,s:b,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "process",
		                         json_id(h->process_id), "id", (json_int_t)h->id, "kind", monitor_kind(h),
		                         "name", h->name, "default", (int)h->is_default, "pages", h->pages, "quota",
		                         number(h->n_bytes_quota), "backed", number(h->n_bytes_backed), "used",
		                         number(h->n_bytes_used), "peak", number(h->n_bytes_peak), "pinned",
		                         number(h->n_bytes_pinned), "largest", number(h->n_bytes_largest), "blocks",
		                         number(h->n_blocks), "arenas", number(h->n_arenas), "retired",
		                         number(h->n_retired), "waits", number(h->n_waits)));
	}
	return array;
}

static json_t *json_channels(const struct sea_monitor_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_channels; i++) {
		const struct sea_monitor_channel *c = &snapshot->channels[i];
		json_t *addresses = json_array();

		for (size_t j = 0; j < snapshot->n_addresses; j++) {
			const struct sea_monitor_address *a = &snapshot->addresses[j];

			if (a->process_id == c->process_id && a->channel_id == c->id)
				json_array_append_new(
					addresses, json_pack("{s:s,s:b}", "name", a->name, "bound", (int)a->is_bound));
		}
		json_array_append_new(
			array,
			json_pack("{s:o,s:I,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}",
		                  "process", json_id(c->process_id), "id", (json_int_t)c->id, "pattern", c->pattern,
		                  "transport", monitor_transport(c), "sent_per_s", number(c->n_sent_per_s),
		                  "received_per_s", number(c->n_received_per_s), "missed", number(c->n_missed),
		                  "latency_ns", (json_int_t)monitor_queues(snapshot, c).latency_ns, "peers",
		                  number(c->n_peers), "sent", number(c->n_sent), "received", number(c->n_received),
		                  "refused", number(c->n_refused), "orphans", number(c->n_orphans), "orphans_waiting",
		                  number(c->n_orphans_waiting), "doorbells", number(c->n_doorbells), "sleeps",
		                  number(c->n_sleeps), "peak_out", number(c->peak_out), "peak_in", number(c->peak_in),
		                  "addresses", addresses));
	}
	return array;
}

static json_t *json_links(const struct sea_monitor_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_links; i++) {
		const struct sea_monitor_link *l = &snapshot->links[i];

		json_array_append_new(
			array, json_pack("{s:o,s:I,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I}", "process", json_id(l->process_id),
		                         "channel", (json_int_t)l->channel_id, "peer", json_id(l->peer_id), "id",
		                         json_id(l->id), "latency_ns", (json_int_t)l->latency_ns, "waiting_ns",
		                         (json_int_t)l->waiting_ns, "out", number(l->n_out), "out_max",
		                         number(l->n_out_max), "in", number(l->n_in), "in_max", number(l->n_in_max)));
	}
	return array;
}

static json_t *json_holders(const struct sea_monitor_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_holders; i++) {
		const struct sea_monitor_holder *h = &snapshot->holders[i];

		json_array_append_new(array,
		                      json_pack("{s:o,s:o,s:I,s:I,s:I}", "owner", json_id(h->process_id), "holder",
		                                json_id(h->holder_id), "blocks", number(h->n_blocks), "bytes",
		                                number(h->n_bytes), "oldest_ns", (json_int_t)h->age_ns));
	}
	return array;
}

static json_t *json_holds(const struct sea_monitor_snapshot *snapshot)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_holds; i++) {
		const struct sea_monitor_hold *h = &snapshot->holds[i];

		json_array_append_new(array,
		                      json_pack("{s:o,s:o,s:I,s:I,s:I,s:I,s:I}", "owner", json_id(h->process_id),
		                                "holder", json_id(h->holder_id), "heap", (json_int_t)h->heap_id,
		                                "arena", (json_int_t)h->arena_id, "block", (json_int_t)h->block_id,
		                                "bytes", number(h->n_bytes), "age_ns", (json_int_t)h->age_ns));
	}
	return array;
}

static json_t *json_rest(const struct sea_monitor_snapshot *snapshot, json_t *leftovers)
{
	json_t *array = json_array();

	for (size_t i = 0; i < snapshot->n_attached; i++) {
		const struct sea_monitor_attached *a = &snapshot->attached[i];

		json_array_append_new(array, json_pack("{s:o,s:o,s:I,s:I}", "process", json_id(a->process_id), "owner",
		                                       json_id(a->owner_id), "arenas", number(a->n_arenas), "bytes",
		                                       number(a->n_bytes)));
	}
	for (size_t i = 0; i < snapshot->n_leftovers; i++)
		json_array_append_new(leftovers, json_string(snapshot->leftovers[i].name));
	return array;
}

int monitor_print_json(FILE *stream, const struct sea_monitor_snapshot *snapshot)
{
	json_t *leftovers = json_array();
	TOOL_AUTO_JSON json_t *root = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "session", snapshot->session,
	                                        "processes", json_processes(snapshot), "heaps", json_heaps(snapshot),
	                                        "channels", json_channels(snapshot), "links", json_links(snapshot),
	                                        "holders", json_holders(snapshot), "holds", json_holds(snapshot),
	                                        "attached", json_rest(snapshot, leftovers), "leftovers", leftovers);

	if (!root || json_dumpf(root, stream, JSON_COMPACT) < 0)
		return -1;
	fputc('\n', stream);
	return 0;
}
