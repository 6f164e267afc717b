/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the status file: see status.h for its form, and monitor-parse.c for who reads it. */
#include "wire/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/channel.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "memory/census.h"
#include "memory/heap.h"
#include "memory/session.h"
#include "wire/endpoint.h"
#include "wire/latency.h"
#include "wire/link.h"
#include "wire/wire.h"

#define STATUS_BEAT_NS SEAI_NS_PER_S
/* A heartbeat that comes earlier after another tells the rates that that one told. */
#define STATUS_RATE_NS (SEAI_NS_PER_S / 2)
/* Blocks looked at per heartbeat at most: about a millisecond. */
#define STATUS_N_BLOCKS 65536u
/* Owners of attached arenas that are listed. */
#define STATUS_N_OWNERS 64u
/* Room for the lines that say who this is; they fit into the first page of the file, which the first write got. */
#define STATUS_N_BYTES_FIRST 1024

struct seai_status {
	char *text;
	size_t n, n_max;
	bool is_out_of_memory;
	bool has_failed; /* said so once */
	size_t n_before; /* written last */
	uint64_t sequence;
	uint64_t hash; /* of all but the head, as written last */
	bool is_same;  /* as the one before */
	int64_t started_ns, started_wall_ns;
	int64_t due_ns;
	int64_t latency_due_ns; /* INT64_MAX: nothing waits on any link */
	bool has_rates;         /* some are not 0: what is told will be different next time */
	struct seai_census census;
};

int seai_status_new(struct seai_status **ret_status)
{
	struct seai_status *status = calloc(1, sizeof(*status));

	if (!status)
		return -ENOMEM;
	*ret_status = status;
	return 0;
}

struct seai_status *seai_status_free(struct seai_status *status)
{
	if (status)
		free(status->text);
	free(status);
	return NULL;
}

static int64_t status_wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * SEAI_NS_PER_S + now.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void status_add(struct seai_status *status, const char *format, ...)
{
	for (;;) {
		size_t n_room = status->n_max - status->n;
		va_list arguments;
		char *grown;
		int n;

		va_start(arguments, format);
		n = vsnprintf(status->text ? status->text + status->n : NULL, n_room, format, arguments);
		va_end(arguments);
		if (n >= 0 && (size_t)n < n_room) {
			status->n += (size_t)n;
			return;
		}
		grown = n >= 0 && status->n_max < SEAI_STATUS_N_BYTES_MAX / 2
		                ? realloc(status->text, status->n_max ? 2 * status->n_max : 8192)
		                : NULL;
		if (!grown) {
			status->is_out_of_memory = true;
			return;
		}
		status->text = grown;
		status->n_max = status->n_max ? 2 * status->n_max : 8192;
	}
}

/* The program's name with what could be taken for another line, or a command to a terminal, made visible. */
static void status_clean(char *clean, size_t n_clean, const char *text)
{
	size_t i = 0;

	for (; text[i] && i + 1 < n_clean; i++)
		clean[i] = (char)((unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i]);
	clean[i] = 0;
}

/* The lines that are always there. */
static int status_head(const struct seai_wire *wire, char text[STATUS_N_BYTES_FIRST])
{
	const struct seai_status *status = wire->status;
	char name[sizeof(wire->session->process_name)];

	status_clean(name, sizeof(name), wire->session->process_name);
	return snprintf(text, STATUS_N_BYTES_FIRST,
	                "sealane-status %d %" PRIu64 "\npid %d\nname %s\nid %016" PRIx64 "\nstarted_ns %" PRId64
	                "\nstarted_wall_ns %" PRId64 "\nheartbeat_ns %" PRId64 "\nheartbeat_wall_ns %" PRId64
	                "\nstate %s\n",
	                SEAI_STATUS_VERSION, status->sequence, (int)getpid(), name, wire->session->id,
	                status->started_ns, status->started_wall_ns, seai_now_ns(), status_wall_ns(), wire->state);
}

int seai_status_write_first(struct seai_wire *wire)
{
	struct seai_status *status = wire->status;
	char text[STATUS_N_BYTES_FIRST];
	int n;
	ssize_t n_written;

	status->started_ns = seai_now_ns();
	status->started_wall_ns = status_wall_ns();
	atomic_store_explicit(&wire->session->now_sequence,
	                      (uint64_t)(seai_now_ns() / SEAI_NS_PER_MS) << SEAI_SEQUENCE_MS_SHIFT,
	                      memory_order_relaxed);
	n = status_head(wire, text);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "end %" PRIu64 "\n", status->sequence);
	n_written = pwrite(wire->status_fd, text, (size_t)n, 0);
	if (n_written != n)
		return n_written < 0 ? -errno : -ENOSPC;
	status->n_before = (size_t)n;
	return 0;
}

/* After the whole did not fit: that this process lives, which fits into what the file has. */
static void status_write_short(struct seai_wire *wire)
{
	struct seai_status *status = wire->status;
	char text[STATUS_N_BYTES_FIRST];
	int n = status_head(wire, text);

	n += snprintf(text + n, sizeof(text) - (size_t)n, "truncated\nend %" PRIu64 "\n", status->sequence);
	(void)!pwrite(wire->status_fd, text, (size_t)n, 0);
}

static void status_write(struct seai_wire *wire)
{
	struct seai_status *status = wire->status;
	ssize_t n = pwrite(wire->status_fd, status->text, status->n, 0);

	if (n == (ssize_t)status->n) {
		/* What is left of a longer one stands after the end; nobody reads it, but a person might. */
		if (status->n < status->n_before)
			(void)!ftruncate(wire->status_fd, (off_t)status->n);
		status->n_before = status->n;
		return;
	}
	if (!status->has_failed)
		seai_log(wire->session, SEA_LOG_WARNING, "the status file cannot be written: %s; monitors see less",
		         strerror(n < 0 ? errno : ENOSPC));
	status->has_failed = true;
	status->n_before = status->n;
	status_write_short(wire);
}

static void status_add_session(struct seai_wire *wire)
{
	const struct seai_census *census = &wire->status->census;

	status_add(wire->status,
	           "session peers=%u deaths=%" PRIu64 " refused=%" PRIu64 " lies=%" PRIu64 " orphans=%" PRIu64
	           " backed=%" PRIu64 " used=%" PRIu64 " arenas=%u attached=%u copied=%" PRIu64 "\n",
	           wire->n_peers, wire->n_deaths, wire->n_refused, census->n_lies, census->n_orphans,
	           census->n_bytes_backed, census->n_bytes_used, census->n_arenas, wire->n_attached,
	           atomic_load_explicit(&wire->session->n_bytes_copied, memory_order_relaxed));
}

static void status_add_heaps(struct seai_status *status)
{
	static const char *const pages[] = { "default", "thp", "collapse", "hugetlb" };

	for (uint32_t i = 0; i < status->census.n_heaps; i++) {
		const struct seai_census_heap *heap = &status->census.heaps[i];
		char name[sizeof(heap->name)];

		/* One word, whatever its user called it. */
		status_clean(name, sizeof(name), heap->name);
		for (char *at = name; *at; at++)
			*at = (char)(*at == ' ' ? '_' : *at);

		status_add(status,
		           "heap id=%u kind=%s default=%d pages=%s quota=%" PRIu64 " backed=%" PRIu64 " used=%" PRIu64
		           " peak=%" PRIu64 " pinned=%" PRIu64 " largest=%" PRIu64 " blocks=%" PRIu64 " arenas=%" PRIu64
		           " retired=%" PRIu64 " waits=%" PRIu64 " name=%s\n",
		           heap->id,
		           heap->is_region   ? "region"
		           : heap->is_shared ? "shared"
		                             : "sealed",
		           heap->is_default, heap->pages < 4 ? pages[heap->pages] : "?", heap->n_bytes_quota,
		           heap->n_bytes_backed, heap->n_bytes_used, heap->n_bytes_peak, heap->n_bytes_pinned,
		           heap->n_bytes_largest, heap->n_blocks, heap->n_arenas, heap->n_retired, heap->n_waits, name);
	}
}

static void status_add_holds(struct seai_status *status)
{
	const struct seai_census *census = &status->census;

	for (uint32_t i = 0; i < census->n_holders; i++) {
		const struct seai_census_holder *holder = &census->holders[i];

		if (holder->id && holder->n_blocks)
			status_add(status,
			           "holder id=%016" PRIx64 " blocks=%" PRIu64 " bytes=%" PRIu64 " oldest_ms=%" PRId64
			           "\n",
			           holder->id, holder->n_blocks, holder->n_bytes, holder->oldest_ms);
	}
	for (uint32_t i = 0; i < census->n_holds; i++) {
		const struct seai_census_hold *hold = &census->holds[i];

		status_add(status,
		           "hold holder=%016" PRIx64 " heap=%u arena=%u block=%u generation=%" PRIu64 " offset=%" PRIu64
		           " bytes=%" PRIu64 " since_ms=%" PRId64 " fd=%d file_offset=%" PRIu64 "\n",
		           hold->holder_id, hold->heap_id, hold->arena_id, hold->block_id, hold->generation,
		           hold->offset, hold->n_bytes, hold->since_ms, hold->fd, hold->file_offset);
	}
	if (!census->is_complete)
		status_add(status, "incomplete\n");
}

/* What was sent and is still held by others, and who has had some of it for longest. */
static void status_add_flight(struct seai_status *status)
{
	const struct seai_census *census = &status->census;

	status_add(status, "flight messages=%" PRIu64 " bytes=%" PRIu64, census->n_messages_out, census->n_bytes_out);
	if (census->oldest_out_ms)
		status_add(status, " oldest_ms=%" PRId64 " holder=%016" PRIx64, census->oldest_out_ms,
		           census->oldest_out_holder_id);
	status_add(status, "\n");
}

/* How full the two queues of a link are; a peer's word is loaded once, and counts for nothing where it cannot be true. */
static void status_link_fill(const struct seai_link *link, uint64_t *ret_out, uint64_t *ret_in)
{
	*ret_out = *ret_in = 0;
	if (link->out.capacity) {
		uint64_t n = atomic_load_explicit(&link->out.position, memory_order_relaxed) -
		             atomic_load_explicit(&link->theirs->tail, memory_order_relaxed);

		*ret_out = n <= link->out.capacity ? n : 0;
	}
	if (link->n_slots_theirs) {
		uint64_t n = seai_link_head(link) - atomic_load_explicit(&link->in.position, memory_order_relaxed);

		*ret_in = n <= link->n_slots_theirs ? n : 0;
	}
}

static void status_add_links(struct seai_wire *wire, struct seai_endpoint *endpoint)
{
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next) {
		uint64_t n_out, n_in;

		if (link->endpoint != endpoint ||
		    atomic_load_explicit(&link->state, memory_order_acquire) != SEAI_LINK_OPEN)
			continue;
		status_link_fill(link, &n_out, &n_in);
		endpoint->peak_out = n_out > endpoint->peak_out ? n_out : endpoint->peak_out;
		endpoint->peak_in = n_in > endpoint->peak_in ? n_in : endpoint->peak_in;
		status_add(wire->status,
		           "link channel=%u peer=%016" PRIx64 " id=%016" PRIx64 " out=%" PRIu64 " out_max=%" PRIu64
		           " in=%" PRIu64 " in_max=%" PRIu64,
		           endpoint->id, link->peer_id, link->id, n_out, link->out.capacity, n_in, link->in.capacity);
		if (link->latency.is_begun && link->latency.latency_ns >= 0)
			status_add(wire->status, " latency_ns=%" PRId64, link->latency.latency_ns);
		if (link->latency.since_ns)
			status_add(wire->status, " waits_since_ns=%" PRId64, link->latency.since_ns);
		status_add(wire->status, "\n");
	}
}

/* Rounded; n ns is at least STATUS_RATE_NS. */
static uint64_t status_per_s(uint64_t n, int64_t n_ns)
{
	return (uint64_t)((double)n * (double)SEAI_NS_PER_S / (double)n_ns + 0.5);
}

/* Rates since the last heartbeat but the early ones. After a pause the first one tells next to nothing, the second one the truth. */
static void status_rate(struct seai_status *status, struct seai_endpoint *endpoint,
                        const struct seai_endpoint_counts *counts)
{
	int64_t now_ns = seai_now_ns(), n_ns = now_ns - endpoint->counted_ns;

	if (endpoint->counted_ns && n_ns >= STATUS_RATE_NS) {
		endpoint->n_sent_per_s = status_per_s(counts->n_sent - endpoint->n_sent_before, n_ns);
		endpoint->n_received_per_s = status_per_s(counts->n_received - endpoint->n_received_before, n_ns);
	}
	if (!endpoint->counted_ns || n_ns >= STATUS_RATE_NS) {
		endpoint->n_sent_before = counts->n_sent;
		endpoint->n_received_before = counts->n_received;
		endpoint->counted_ns = now_ns;
	}
	status->has_rates |= endpoint->n_sent_per_s || endpoint->n_received_per_s;
}

static void status_add_channels(struct seai_wire *wire)
{
	wire->status->has_rates = false;
	for (struct seai_endpoint *endpoint = wire->endpoints; endpoint; endpoint = endpoint->next) {
		bool is_zeromq = endpoint->pattern & SEAI_PATTERN_ZEROMQ;
		struct seai_endpoint_counts counts = { 0 };

		endpoint->count(endpoint, &counts);
		status_rate(wire->status, endpoint, &counts);
		status_add_links(wire, endpoint);
		status_add(wire->status,
		           "channel id=%u pattern=%s transport=%s peers=%" PRIu64 " sent=%" PRIu64 " received=%" PRIu64
		           " sent_per_s=%" PRIu64 " received_per_s=%" PRIu64 " missed=%" PRIu64 " refused=%" PRIu64
		           " orphans=%" PRIu64 " orphans_waiting=%" PRIu64 " doorbells=%" PRIu64 " sleeps=%" PRIu64
		           " peak_out=%" PRIu64 " peak_in=%" PRIu64 "\n",
		           endpoint->id, seai_pattern_name(endpoint->pattern), is_zeromq ? "zeromq" : "memory",
		           is_zeromq ? counts.n_peers : endpoint->n_links, counts.n_sent, counts.n_received,
		           endpoint->n_sent_per_s, endpoint->n_received_per_s, counts.n_missed, counts.n_refused,
		           counts.n_orphans, counts.n_orphans_waiting, counts.n_doorbells, counts.n_sleeps,
		           endpoint->peak_out, endpoint->peak_in);
		for (uint32_t i = 0; i < endpoint->n_names; i++)
			status_add(wire->status, "address channel=%u bound=1 name=%s\n", endpoint->id,
			           endpoint->names[i] + 2);
	}
	for (const struct seai_target *target = wire->targets; target; target = target->next)
		status_add(wire->status, "address channel=%u bound=0 name=%s\n", target->endpoint->id,
		           target->name + 2);
}

/* Arenas of others that are mapped here, by owner. */
static void status_add_attached(struct seai_wire *wire)
{
	struct {
		uint64_t id, n_arenas, n_bytes;
	} owners[STATUS_N_OWNERS];
	unsigned n_owners = 0;

	for (unsigned i = 0; i < SEAI_N_ATTACHED_BUCKETS; i++)
		for (const struct seai_attached *attached = wire->attached[i]; attached; attached = attached->next) {
			unsigned j = 0;

			while (j < n_owners && owners[j].id != attached->owner_id)
				j++;
			if (j == STATUS_N_OWNERS)
				continue;
			if (j == n_owners) {
				owners[n_owners].id = attached->owner_id;
				owners[n_owners].n_arenas = owners[n_owners].n_bytes = 0;
				n_owners++;
			}
			owners[j].n_arenas++;
			owners[j].n_bytes += attached->n_bytes;
		}
	for (unsigned j = 0; j < n_owners; j++)
		status_add(wire->status, "attached owner=%016" PRIx64 " arenas=%" PRIu64 " bytes=%" PRIu64 "\n",
		           owners[j].id, owners[j].n_arenas, owners[j].n_bytes);
}

/* Whether anything is told that was not told the last time. FNV-1a: that two differ and look the same costs one heartbeat. */
static void status_compare(struct seai_status *status, size_t n_head)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = n_head; i < status->n; i++)
		hash = (hash ^ (unsigned char)status->text[i]) * UINT64_C(0x100000001b3);
	status->is_same = hash == status->hash && !status->has_rates;
	status->hash = hash;
}

static void status_set_latency_due(struct seai_status *status, int64_t after_ns)
{
	status->latency_due_ns = after_ns < 0 ? INT64_MAX : seai_now_ns() + after_ns;
}

static void status_beat_now(struct seai_wire *wire)
{
	struct seai_status *status = wire->status;
	char head[STATUS_N_BYTES_FIRST];

	if (seai_census_take(&status->census, wire->session, STATUS_N_BLOCKS) < 0)
		return; /* no memory: the next one will tell */
	status->sequence++;
	status->n = 0;
	status->is_out_of_memory = false;
	{
		SEAI_LOCKED(&wire->control, control);
		status_set_latency_due(status, seai_latency_begin(wire));
		(void)status_head(wire, head);
		status_add(status, "%s", head);
		status_add_session(wire);
		status_add_flight(status);
		status_add_heaps(status);
		status_add_channels(wire);
		status_add_attached(wire);
	}
	status_add_holds(status);
	seai_census_fini(&status->census);
	status_compare(status, strlen(head));
	if (status->is_same)
		status_add(status, "quiet\n");
	status_add(status, "end %" PRIu64 "\n", status->sequence);
	if (status->is_out_of_memory)
		status_write_short(wire);
	else
		status_write(wire);
}

/* Until the heartbeat, or the next look at what waits on links. */
static int64_t status_wait_ns(const struct seai_status *status, int64_t now_ns)
{
	int64_t until_ns = status->due_ns < status->latency_due_ns ? status->due_ns : status->latency_due_ns;

	return until_ns > now_ns ? until_ns - now_ns : 0;
}

int64_t seai_status_beat(struct seai_wire *wire)
{
	struct seai_status *status = wire->status;
	int64_t now_ns = seai_now_ns();

	/* acquire: pairs with the release of who wants it, so that what it is about is in it */
	if (now_ns < status->due_ns && !atomic_load_explicit(&wire->wants_status, memory_order_acquire)) {
		if (now_ns >= status->latency_due_ns) {
			SEAI_LOCKED(&wire->control, control);
			status_set_latency_due(status, seai_latency_look(wire));
		}
		return status_wait_ns(status, now_ns);
	}
	atomic_exchange_explicit(&wire->wants_status, false, memory_order_acq_rel);
	atomic_store_explicit(&wire->session->now_sequence,
	                      (uint64_t)(now_ns / SEAI_NS_PER_MS) << SEAI_SEQUENCE_MS_SHIFT, memory_order_relaxed);
	/* Before it is looked at: who does something from here on wakes us. */
	atomic_store_explicit(&wire->is_quiet, true, memory_order_seq_cst);
	status_beat_now(wire);
	if (status->is_same && atomic_load_explicit(&wire->is_quiet, memory_order_seq_cst)) {
		/* None until something happens; then at once. */
		status->due_ns = now_ns;
		return -1;
	}
	atomic_store_explicit(&wire->is_quiet, false, memory_order_relaxed);
	status->due_ns = now_ns + STATUS_BEAT_NS;
	return status_wait_ns(status, now_ns);
}

void seai_status_wake(struct seai_wire *wire)
{
	if (!atomic_exchange_explicit(&wire->is_quiet, false, memory_order_seq_cst))
		return;
	/* What is sent now is not as old as the last heartbeat. */
	atomic_store_explicit(&wire->session->now_sequence,
	                      (uint64_t)(seai_now_ns() / SEAI_NS_PER_MS) << SEAI_SEQUENCE_MS_SHIFT,
	                      memory_order_relaxed);
	seai_wire_poke(wire);
}

void seai_status_want(struct seai_wire *wire)
{
	/* release: pairs with the acquire of the heartbeat */
	atomic_store_explicit(&wire->wants_status, true, memory_order_release);
	seai_wire_poke(wire);
}

int sea_session_set_state(struct sea_session *session, const char *state)
{
	struct seai_wire *wire = session->wire;
	size_t n = state ? strlen(state) : 0;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (n >= sizeof(wire->state))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (state[i] <= ' ' || state[i] >= 127)
			return -EINVAL;
	{
		SEAI_LOCKED(&wire->control, control);
		memcpy(wire->state, state ? state : "", n + 1);
	}
	seai_status_want(wire);
	return 0;
}
