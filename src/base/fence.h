/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two fences of a sleeper and its waker.
 *
 * The one who goes to sleep stores what it waits for, executes the heavy fence, and
 * looks again; the one who publishes stores, executes the light fence, and looks whether somebody
 * sleeps. At least one of them sees the other. The heavy fence is
 * membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED), which makes every running thread of every
 * registered process execute a barrier: then the light one only has to keep the compiler in order, and
 * the ~20 ns of a store-load fence leave the path of each message. Where a process cannot
 * use membarrier, or its peer is not registered, both are seq_cst fences; which of the two holds
 * is agreed on in the handshake, per connection.
 */
#ifndef SEALANE_BASE_FENCE_H
#define SEALANE_BASE_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>

/* Registers this process, once. Returns whether membarrier works here. Any thread. */
bool seai_fence_register(void);

/* Barrier on all running threads of registered processes; false where it failed (then execute a plain fence on both sides). */
bool seai_fence_heavy_membarrier(void);

/* Whether this process's threads can order each other by membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED); set before threads, and
 * taken back where the kernel stops to do it. */
extern _Atomic bool seai_fence_has_private;

/* Barrier on all running threads of this process. False where it failed: nobody was made to execute one. */
bool seai_fence_heavy_private(void);

static inline void seai_fence_light(bool asymmetric)
{
	if (asymmetric)
		atomic_signal_fence(memory_order_seq_cst);
	else
		atomic_thread_fence(memory_order_seq_cst);
}

static inline void seai_fence_heavy(bool asymmetric)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (asymmetric)
		(void)seai_fence_heavy_membarrier();
}

#endif
