/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of this process and this user. A command that raises a limit is given for
 * the shell and, where the limit comes from outside, for the service manager.
 */
#include "doctor.h"

#include <stdio.h>
#include <sys/resource.h>

#include "terminal.h"

/* A process opens at most 16 descriptors and 4 for each peer it is connected to. */
#define N_FDS_BASE 16
#define N_FDS_PER_LINK 4

/* Peers that a process should be able to have without a thought. */
#define N_LINKS_COMFORT 60

/* The kernel's own default. */
#define N_MAPS_DEFAULT 65530

static json_t *limit_to_json(rlim_t limit)
{
	return limit == RLIM_INFINITY ? json_string("unlimited") : json_integer((json_int_t)limit);
}

static const char *limit_to_text(char text[static TERMINAL_TEXT_N_BYTES], rlim_t limit, bool is_size)
{
	if (limit == RLIM_INFINITY)
		return "unlimited";
	if (is_size)
		return terminal_size(text, limit);
	snprintf(text, TERMINAL_TEXT_N_BYTES, "%llu", (unsigned long long)limit);
	return text;
}

static void limit_add_data(struct doctor *doctor, const struct rlimit *limit)
{
	doctor_data(doctor, "soft", limit_to_json(limit->rlim_cur));
	doctor_data(doctor, "hard", limit_to_json(limit->rlim_max));
}

static void check_files(struct doctor *doctor)
{
	char soft[TERMINAL_TEXT_N_BYTES], hard[TERMINAL_TEXT_N_BYTES];
	const struct rlimit limit = doctor->n_files;
	unsigned long long n_links;

	limit_to_text(soft, limit.rlim_cur, false);
	n_links = limit.rlim_max <= N_FDS_BASE ? 0 : ((unsigned long long)limit.rlim_max - N_FDS_BASE) / N_FDS_PER_LINK;
	if (limit.rlim_max < N_FDS_BASE + N_FDS_PER_LINK)
		doctor_add(doctor, DOCTOR_BAD, "open files", "at most %s", limit_to_text(hard, limit.rlim_max, false));
	else
		doctor_add(doctor, n_links < N_LINKS_COMFORT ? DOCTOR_WARN : DOCTOR_OK, "open files",
		           "soft limit %s, which a session raises itself; hard %s",
		           limit_to_text(soft, limit.rlim_cur, false), limit_to_text(hard, limit.rlim_max, false));
	if (n_links < N_LINKS_COMFORT) {
		doctor_cost(
			doctor,
			"room for %llu peers per process (%d descriptors, and %d for each), less what the program opens itself",
			n_links, N_FDS_BASE, N_FDS_PER_LINK);
		doctor_mend(doctor, "prlimit --pid $$ --nofile=65536:65536   # as root, for this shell");
		doctor_mend(doctor, "systemctl edit UNIT                     # [Service] LimitNOFILE=65536");
	}
	limit_add_data(doctor, &limit);
}

static void check_maps(struct doctor *doctor)
{
	uint64_t n_maps;

	if (doctor_read_number("/proc/sys/vm/max_map_count", &n_maps) < 0) {
		doctor_add(doctor, DOCTOR_INFO, "mappings", "vm.max_map_count cannot be read");
		return;
	}
	doctor_add(doctor, n_maps < N_MAPS_DEFAULT ? DOCTOR_WARN : DOCTOR_OK, "mappings", "vm.max_map_count is %llu",
	           (unsigned long long)n_maps);
	if (n_maps < N_MAPS_DEFAULT) {
		doctor_cost(doctor, "mmap fails with ENOMEM in processes that hold many arenas or immutable frames");
		doctor_mend(doctor, "sysctl -w vm.max_map_count=%d", N_MAPS_DEFAULT);
	}
	doctor_data(doctor, "max_map_count", json_integer((json_int_t)n_maps));
}

static void check_memlock(struct doctor *doctor)
{
	char soft[TERMINAL_TEXT_N_BYTES], hard[TERMINAL_TEXT_N_BYTES];
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		doctor_add(doctor, DOCTOR_OK, "locked memory", "unlimited");
	else {
		doctor_add(doctor, DOCTOR_INFO, "locked memory", "soft limit %s, hard %s",
		           limit_to_text(soft, limit.rlim_cur, true), limit_to_text(hard, limit.rlim_max, true));
		doctor_cost(
			doctor,
			"nothing by default; heaps with SEA_HEAP_MLOCK cannot be larger than that without CAP_IPC_LOCK");
		if (limit.rlim_max == RLIM_INFINITY)
			doctor_mend(doctor, "ulimit -l unlimited");
		else {
			doctor_mend(doctor,
			            "prlimit --pid $$ --memlock=unlimited:unlimited   # as root, for this shell");
			doctor_mend(
				doctor,
				"systemctl edit UNIT                              # [Service] LimitMEMLOCK=infinity");
		}
	}
	limit_add_data(doctor, &limit);
}

/* Limits that are seldom set, and then forgotten: said only where they are. */
static void check_sizes(struct doctor *doctor)
{
	char soft[TERMINAL_TEXT_N_BYTES];
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		doctor_add(doctor, DOCTOR_WARN, "address space", "limited to %s",
		           limit_to_text(soft, limit.rlim_cur, true));
		doctor_cost(
			doctor,
			"frames reserve address space for the most they may hold, receivers map whole arenas: ENOMEM comes early");
		doctor_mend(doctor, limit.rlim_max == RLIM_INFINITY
		                            ? "ulimit -v unlimited"
		                            : "prlimit --pid $$ --as=unlimited:unlimited   # as root, for this shell");
		limit_add_data(doctor, &limit);
	}
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		doctor_add(doctor, DOCTOR_WARN, "file size", "limited to %s",
		           limit_to_text(soft, limit.rlim_cur, true));
		doctor_cost(doctor,
		            "memory files count: no arena can be larger, and a process that tries gets SIGXFSZ");
		doctor_mend(doctor,
		            limit.rlim_max == RLIM_INFINITY
		                    ? "ulimit -f unlimited"
		                    : "prlimit --pid $$ --fsize=unlimited:unlimited   # as root, for this shell");
		limit_add_data(doctor, &limit);
	}
}

void doctor_check_limits(struct doctor *doctor)
{
	doctor->group = "Limits";
	check_files(doctor);
	check_maps(doctor);
	check_memlock(doctor);
	check_sizes(doctor);
}
