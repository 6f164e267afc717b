/* SPDX-License-Identifier: Apache-2.0 */
/* Counting and firing at points; see kill-point.h. */
#define SEALANE_POINTS
#include "kill-point.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "base/point.h"
#include "test.h"

/* The linker's names for the ends of the section; nothing where no point is linked in. */
extern const struct seai_point __start_seai_points[] __attribute__((weak, visibility("hidden")));
extern const struct seai_point __stop_seai_points[] __attribute__((weak, visibility("hidden")));

static struct kill_gate *gate_of_process;

int kill_n_points(void)
{
	ptrdiff_t n = __stop_seai_points - __start_seai_points;

	return n < KILL_N_POINTS_MAX ? (int)n : KILL_N_POINTS_MAX;
}

const char *kill_point_name(int point)
{
	return __start_seai_points[point].name;
}

void kill_gate_enter(struct kill_gate *gate)
{
	gate_of_process = gate;
}

void seai_point_pass(const struct seai_point *point)
{
	struct kill_gate *gate = gate_of_process;
	ptrdiff_t number = point - __start_seai_points;
	int32_t armed = (int32_t)number;
	int saved = errno;

	if (!gate || number >= KILL_N_POINTS_MAX)
		return;
	atomic_fetch_add_explicit(&gate->n_passes[gate->phase][number], 1, memory_order_relaxed);
	if (atomic_load_explicit(&gate->point, memory_order_relaxed) != armed ||
	    atomic_fetch_sub_explicit(&gate->countdown, 1, memory_order_relaxed) != 1)
		return;
	if (atomic_compare_exchange_strong(&gate->point, &armed, KILL_FIRED)) {
		atomic_store(&gate->fired_ns, test_now_ns());
		kill(getpid(), SIGKILL);
	}
	errno = saved;
}
