/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the death tests: a producer, a forwarder that passes messages on whole, one that absorbs them into frames
 * of its own, and a sink; and, in memory that they share with the test, what became of each message.
 *
 * The odd rule: who passes a message marks it before and after the step that counts, so that of a process that was
 * killed it is known which side of the step it was on, or that it was in between.
 */
#ifndef TEST_KILL_WORLD_H
#define TEST_KILL_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kill-point.h"

enum kill_role { KILL_PRODUCER, KILL_WHOLE, KILL_ABSORB, KILL_SINK, KILL_N_ROLES };

#define KILL_N_MARKS (1u << 16) /* messages in one round, at most */
#define KILL_N_CHILDREN 64

enum kill_sent { KILL_SENDING = 1, KILL_SENT };
enum kill_got { KILL_HELD = 1, KILL_RELEASING, KILL_DONE };

struct kill_mark {
	_Atomic uint32_t sent;
	_Atomic uint32_t got; /* instance of the sink << 2 | enum kill_got */
};

struct kill_process {
	struct kill_gate gate;
	_Atomic uint32_t instance;     /* counts starts */
	_Atomic uint64_t n_worked;     /* messages since the start */
	_Atomic uint64_t n_bytes_used; /* of its heap, or UINT64_MAX while it works or holds something */
	_Atomic uint64_t n_idle;       /* turns of its loop in a row with nothing to do */
	_Atomic bool must_close;
};

struct kill_child {
	_Atomic int32_t pid;
	uint32_t role, instance;
};

struct kill_world {
	struct kill_process processes[KILL_N_ROLES];
	_Atomic bool is_paused; /* the producer's turn to wait */
	_Atomic uint32_t round;
	_Atomic uint64_t base; /* serial number of the round's first message */
	_Atomic uint64_t next; /* and of the next one */
	_Atomic uint64_t n_done;
	_Atomic uint64_t n_again; /* messages that a sink got that an earlier one had held */
	_Atomic uint32_t n_children;
	struct kill_child children[KILL_N_CHILDREN];
	struct kill_mark marks[KILL_N_MARKS];
};

extern const char *const kill_role_names[KILL_N_ROLES];

/* The whole life of a process of that role. */
void kill_role_run(struct kill_world *world, enum kill_role role);

#endif
