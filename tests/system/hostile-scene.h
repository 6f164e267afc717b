/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile peer attacks: a process (the victim) that receives from an honest sender, checks every byte, and passes
 * each message on to an honest receiver, which checks it again. It also reads every part of what hostile peers send it,
 * and offers them memory of its own. Each honest message must arrive once, whole and in order.
 *
 * Addresses of the victim: "in" and "bait"; it connects to "trap".
 */
#ifndef SEALANE_TESTS_HOSTILE_SCENE_H
#define SEALANE_TESTS_HOSTILE_SCENE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <sealane/sealane.h>

struct scene_shared {
	_Atomic bool stop_sender, sender_done, stop;
	_Atomic bool may_send; /* the honest sender waits for it */
	_Atomic uint64_t victim_id, sender_id, receiver_id;
	_Atomic uint64_t n_sent;       /* by the honest sender */
	_Atomic uint64_t n_received;   /* by the honest receiver */
	_Atomic uint64_t n_hostile;    /* messages of hostile peers that the victim has read */
	_Atomic uint64_t n_bait;       /* messages that it sent to hostile peers */
	_Atomic uint64_t n_bytes_used; /* by bait */
	_Atomic uint64_t n_errors;     /* receive calls that failed and did not say that nothing is there */
	_Atomic uint64_t n_refused, n_lies, n_peers, n_arenas_attached; /* of the victim's session */
	_Atomic uint64_t n_refused_in;                                  /* of its channel "in" */
	_Atomic uint64_t n_sleeps, n_rounds;
};

struct scene {
	struct scene_shared *shared;
	pid_t victim, sender, receiver;
	int n_fds, n_maps; /* what the victim has while only the honest are there */
};

/* Starts all three and waits until messages flow; or, if may_send is false, until they are connected. */
void scene_start(struct scene *scene, bool may_send);
/* The honest go on: a number of further messages arrives. */
void scene_check_serves(struct scene *scene);
/* All attackers are gone: the victim has what it had before, and the honest end in peace. */
void scene_end(struct scene *scene);
/* Waits until the victim has looked at everything that was there when this was called. */
void scene_wait_round(struct scene *scene);

#endif
