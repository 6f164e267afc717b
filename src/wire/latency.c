/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling how long messages wait: see latency.h. Short waits are watched as they happen, for some microseconds per
 * heartbeat; long ones are looked at again after 1 ms, and then each time half as late again, until they are over.
 */
#include "wire/latency.h"

#include "base/clock.h"
#include "wire/link.h"
#include "wire/wire.h"

/* How long a heartbeat watches for a message, and for one that it saw to be taken: what this costs a core per second. */
#define LATENCY_WATCH_NS INT64_C(50000)
#define LATENCY_WATCH_LONGER_NS INT64_C(250000)
/* A watcher that was not looking for so long does not know when it happened. */
#define LATENCY_GAP_NS INT64_C(10000)
/* Links that are watched at a time; which ones changes from heartbeat to heartbeat. */
#define LATENCY_N_WATCHED 16u
/* Earliest second look at what was not taken while it was watched. */
#define LATENCY_LOOK_NS SEAI_NS_PER_MS

/* One link while it is watched. */
struct latency_watch {
	struct seai_link *link;
	bool is_published; /* what waits was seen to be published */
	bool is_over;
};

static uint64_t latency_position(const struct seai_link *link)
{
	return atomic_load_explicit(&link->out.position, memory_order_relaxed);
}

/* How far the peer has taken, as it says; loaded once. */
static uint64_t latency_tail(const struct seai_link *link)
{
	return atomic_load_explicit(&link->theirs->tail, memory_order_relaxed);
}

static bool latency_is_open(const struct seai_link *link)
{
	return link->out.capacity && link->endpoint &&
	       atomic_load_explicit(&link->state, memory_order_acquire) == SEAI_LINK_OPEN;
}

/* The moment at which the peer went past the position lies between two looks: as if it had taken at one pace. */
static void latency_end(struct seai_latency *latency, uint64_t tail, int64_t now_ns)
{
	double n_taken = (double)(tail - latency->tail), n_before = (double)(latency->position - latency->tail) - 0.5;
	int64_t end_ns = latency->look_ns + (int64_t)((double)(now_ns - latency->look_ns) * (n_before / n_taken));

	latency->latency_ns = end_ns > latency->since_ns ? end_ns - latency->since_ns : 1;
	latency->since_ns = 0;
	latency->is_fresh = true;
}

/* Looks at a link that something waits on. A tail that cannot be true counts for nothing. */
static void latency_look(struct seai_link *link, int64_t now_ns)
{
	struct seai_latency *latency = &link->latency;
	uint64_t tail = latency_tail(link);

	if (tail - latency->position <= latency_position(link) - latency->position) {
		latency_end(latency, tail, now_ns);
	} else if ((int64_t)(latency->position - tail) > 0) {
		latency->tail = tail;
		latency->look_ns = now_ns;
	}
}

/* What is in the queue now, if anything is, waits from now on. */
static void latency_start(struct seai_link *link, int64_t now_ns)
{
	struct seai_latency *latency = &link->latency;

	latency->position = latency_position(link);
	latency->tail = latency_tail(link);
	latency->look_ns = now_ns;
	latency->since_ns = (int64_t)(latency->position - latency->tail) > 0 ? now_ns : 0;
}

/* One look at one link in a row of many; last_ns is when the one before was. */
static void watch_look(struct latency_watch *watch, int64_t last_ns, int64_t now_ns)
{
	struct seai_link *link = watch->link;
	struct seai_latency *latency = &link->latency;

	if (!watch->is_published && latency_position(link) != latency->position) {
		latency_start(link, now_ns);
		if (now_ns - last_ns > LATENCY_GAP_NS)
			return; /* nobody knows since when: the next one */
		watch->is_published = true;
		if (!latency->since_ns) /* taken between two looks */
			latency->latency_ns = now_ns > last_ns ? now_ns - last_ns : 1;
	} else if (latency->since_ns) {
		latency_look(link, now_ns);
	}
	watch->is_over = watch->is_published && !latency->since_ns;
}

/* Watches links, all at the same time: a message is published, a message is taken. */
static void latency_watch(struct latency_watch *watches, unsigned n_watches)
{
	int64_t start_ns = seai_now_ns(), last_ns = start_ns, now_ns;
	unsigned n_over = 0, n_published = 0;

	while (n_over < n_watches) {
		now_ns = seai_now_ns();
		if (now_ns - start_ns > (n_published > n_over ? LATENCY_WATCH_LONGER_NS : LATENCY_WATCH_NS))
			break;
		n_over = n_published = 0;
		for (unsigned i = 0; i < n_watches; i++) {
			if (!watches[i].is_over)
				watch_look(&watches[i], last_ns, now_ns);
			n_over += watches[i].is_over;
			n_published += watches[i].is_published;
		}
		last_ns = now_ns;
	}
}

/* The first look of a heartbeat. Returns whether to watch it. */
static bool latency_begin(struct seai_link *link, int64_t now_ns)
{
	struct seai_latency *latency = &link->latency;
	uint64_t position = latency_position(link);
	bool is_used = position != latency->position_before, is_fresh;

	if (!latency->is_begun)
		latency->latency_ns = SEAI_LATENCY_NONE;
	latency->is_begun = true;
	latency->position_before = position;
	if (latency->since_ns)
		latency_look(link, now_ns);
	if (latency->since_ns)
		return false; /* it goes on waiting: one sample at a time */
	is_fresh = latency->is_fresh;
	latency->is_fresh = false;
	latency_start(link, now_ns);
	/* A short wait that was measured is not made less true by a queue that is empty; a long one is over, once it was told. */
	if (is_used && !is_fresh && !latency->since_ns &&
	    (latency->latency_ns < 0 || latency->latency_ns > LATENCY_WATCH_LONGER_NS))
		latency->latency_ns = SEAI_LATENCY_EMPTY;
	return is_used;
}

int64_t seai_latency_begin(struct seai_wire *wire)
{
	struct latency_watch watches[LATENCY_N_WATCHED];
	unsigned n_watches = 0, n_used = 0, n_skip = wire->n_latency_watched;
	int64_t now_ns = seai_now_ns();

	for (struct seai_link *link = seai_link_first(wire); link; link = link->next) {
		if (!latency_is_open(link) || !latency_begin(link, now_ns))
			continue;
		n_used++;
		if (n_skip)
			n_skip--;
		else if (n_watches < LATENCY_N_WATCHED)
			watches[n_watches++] = (struct latency_watch){ .link = link };
	}
	/* The next ones at the next heartbeat. */
	wire->n_latency_watched += n_watches;
	if (wire->n_latency_watched >= n_used)
		wire->n_latency_watched = 0;
	latency_watch(watches, n_watches);
	return seai_latency_look(wire);
}

int64_t seai_latency_look(struct seai_wire *wire)
{
	int64_t now_ns = seai_now_ns(), next_ns = -1;

	for (struct seai_link *link = seai_link_first(wire); link; link = link->next) {
		int64_t after_ns;

		if (!latency_is_open(link) || !link->latency.since_ns)
			continue;
		latency_look(link, now_ns);
		if (!link->latency.since_ns)
			continue;
		/* The longer it waits the less a moment more matters. */
		after_ns = (now_ns - link->latency.since_ns) / 2;
		if (after_ns < LATENCY_LOOK_NS)
			after_ns = LATENCY_LOOK_NS;
		next_ns = next_ns < 0 || after_ns < next_ns ? after_ns : next_ns;
	}
	return next_ns;
}
