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

bool seai_fence_register(void)
{
	/* Registering twice is harmless. The trial run shows what a filter of system calls would refuse later. */
	return fence_call(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) && fence_call(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

bool seai_fence_heavy_membarrier(void)
{
	return fence_call(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
