/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long messages wait on a link until they are taken: a sample per link and heartbeat, had from the positions of
 * the ring alone. No message carries a time, and neither the sender nor the receiver does anything for it.
 *
 * The odd rule: a sample is about what was sent when the heartbeat looked, not about a message of somebody's choice.
 */
#ifndef SEALANE_WIRE_LATENCY_H
#define SEALANE_WIRE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

struct seai_wire;

/* Of a link that sends. Service thread. */
struct seai_latency {
	bool is_begun;            /* a heartbeat has looked at it: latency_ns is known */
	bool is_fresh;            /* measured since that */
	uint64_t position_before; /* of the ring, at the last heartbeat */
	int64_t latency_ns;       /* last measured, SEAI_LATENCY_EMPTY, SEAI_LATENCY_NONE */
	int64_t since_ns;         /* what was published before `position` waits since then; 0: nothing does */
	uint64_t position;
	uint64_t tail; /* the peer's, at the last look */
	int64_t look_ns;
};

/* Measured as nothing: the heartbeat found an empty queue. */
#define SEAI_LATENCY_EMPTY 0
/* Not measured. */
#define SEAI_LATENCY_NONE (-1)

/*
 * At a heartbeat: looks at all links that were used since the last one. Service thread, control held; takes 50 us, and 250 us where a message
 * was seen to be sent. Returns in how many ns seai_latency_look() is wanted; -1: nothing waits.
 */
int64_t seai_latency_begin(struct seai_wire *wire);
/* Whether what waited is taken by now. Returns as that does. */
int64_t seai_latency_look(struct seai_wire *wire);

#endif
