/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trigger at the numbered points of a library built with SEALANE_POINTS (base/point.h): counts how often a process
 * passes each, and kills it at the one it was told.
 *
 * The odd rule: a gate lies in memory shared with the test's main process, which arms it at any time from outside.
 */
#ifndef TEST_KILL_POINT_H
#define TEST_KILL_POINT_H

#include <stdatomic.h>
#include <stdint.h>

#define KILL_N_POINTS_MAX 128

/* In which part of its life a process passes a point. */
enum kill_phase { KILL_STARTING, KILL_WORKING, KILL_CLOSING, KILL_N_PHASES };

#define KILL_NOWHERE (-1)
#define KILL_FIRED (-2) /* it is dying: too late to disarm */

struct kill_gate {
	_Atomic int32_t point;     /* where to die; or KILL_NOWHERE, KILL_FIRED */
	_Atomic int32_t countdown; /* at which pass from now on, from 1 */
	_Atomic int64_t fired_ns;  /* when it was; 0: not yet */
	_Atomic uint32_t phase;
	_Atomic uint32_t n_passes[KILL_N_PHASES][KILL_N_POINTS_MAX];
};

/* How many points the library in this executable has; 0 for the usual one. Numbers may change from build to build, names do not. */
int kill_n_points(void);
const char *kill_point_name(int point);

/* From here on this process passes this gate. */
void kill_gate_enter(struct kill_gate *gate);

#endif
