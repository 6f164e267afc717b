/* SPDX-License-Identifier: Apache-2.0 */
/* Asymmetric fences by membarrier(2); see fence.h. */
#include "base/fence.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool fence_call(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) >= 0;
}

_Atomic bool seai_fence_has_private;

/* Before main() and any thread: a lock whose two sides disagree about it would sleep for ever. */
__attribute__((constructor)) static void fence_register_private(void)
{
	seai_fence_has_private = fence_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
	                         fence_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

bool seai_fence_heavy_private(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&seai_fence_has_private, memory_order_relaxed))
		return false;
	if (fence_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return true;
	/* A filter of system calls was set up since. From here on the other side executes fences of its own. */
	atomic_store_explicit(&seai_fence_has_private, false, memory_order_seq_cst);
	return false;
}

bool seai_fence_register(void)
{
	/* Registering twice is harmless. The trial run shows what a filter of system calls would refuse later. */
	return fence_call(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) && fence_call(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

bool seai_fence_heavy_membarrier(void)
{
	return fence_call(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
