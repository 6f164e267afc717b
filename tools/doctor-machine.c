/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this process runs: processors, NUMA nodes, container, and what guards it
 * from other processes of the same user. Mostly for whoever reads a report from elsewhere.
 */
#include "doctor.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "terminal.h"

/* Counts the members of a kernel list such as "0-3,8". */
static unsigned list_count(const char *list)
{
	unsigned n = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		n += (unsigned)(last >= first ? last - first + 1 : 0);
		list = *end == ',' ? end + 1 : end;
	}
	return n;
}

static void check_cpus(struct doctor *doctor)
{
	long n_online = sysconf(_SC_NPROCESSORS_ONLN);
	char allowed[256];
	unsigned n_allowed;

	if (doctor_read_key("/proc/self/status", "Cpus_allowed_list", allowed, sizeof(allowed)) < 0) {
		cpu_set_t set;

		n_allowed = sched_getaffinity(0, sizeof(set), &set) < 0 ? 0 : (unsigned)CPU_COUNT(&set);
		snprintf(allowed, sizeof(allowed), "%u of them", n_allowed);
	} else
		n_allowed = list_count(allowed);
	doctor_add(doctor, n_allowed > 1 ? DOCTOR_OK : DOCTOR_WARN, "processors",
	           "%ld online, this process may use %u (%s)", n_online, n_allowed, allowed);
	if (n_allowed <= 1) {
		doctor_cost(
			doctor,
			"processes that spin before they sleep spin against their peers; each session has a service thread besides");
		if (n_online > 1)
			doctor_mend(doctor, "taskset -cp 0-%ld $$", n_online - 1);
	}
	doctor_data(doctor, "online", json_integer(n_online));
	doctor_data(doctor, "allowed", json_integer(n_allowed));
}

static void check_numa(struct doctor *doctor)
{
	char online[128];
	unsigned n_nodes;

	if (doctor_read_line("/sys/devices/system/node/online", online, sizeof(online)) < 0)
		snprintf(online, sizeof(online), "0");
	n_nodes = list_count(online);
	if (n_nodes <= 1)
		doctor_add(doctor, DOCTOR_OK, "NUMA nodes", "one");
	else {
		doctor_add(doctor, DOCTOR_INFO, "NUMA nodes", "%u (%s)", n_nodes, online);
		doctor_cost(
			doctor,
			"memory of another node is slower: keep a producer and its heap on one node (SEA_HEAP_NUMA)");
		doctor_mend(doctor, "numactl --cpunodebind=0 --membind=0 COMMAND");
	}
	doctor_data(doctor, "nodes", json_integer(n_nodes));
}

static void check_container(struct doctor *doctor)
{
	char own[64] = "", first[64] = "", hints[256] = "";
	char size_text[TERMINAL_TEXT_N_BYTES];
	const char *variable = getenv("container");
	struct statvfs shm;
	ssize_t n_own = readlink("/proc/self/ns/pid", own, sizeof(own) - 1);
	ssize_t n_first = readlink("/proc/1/ns/pid", first, sizeof(first) - 1);
	size_t n;

	if (access("/run/.containerenv", F_OK) == 0)
		snprintf(hints, sizeof(hints), "podman");
	else if (access("/.dockerenv", F_OK) == 0)
		snprintf(hints, sizeof(hints), "docker");
	else if (variable && *variable)
		snprintf(hints, sizeof(hints), "$container is %.40s", variable);
	n = strlen(hints);
	if (n_own > 0 && n_first > 0 && strcmp(own, first) != 0)
		snprintf(hints + n, sizeof(hints) - n, "%sprocess 1 is in another pid namespace", n ? ", " : "");
	if (*hints) {
		doctor_add(doctor, DOCTOR_INFO, "container", "yes: %s", hints);
		doctor_cost(
			doctor,
			"nothing; processes in other containers of the same user join if they share the runtime directory");
	} else
		doctor_add(doctor, DOCTOR_OK, "container", "no sign of one");
	if (statvfs("/dev/shm", &shm) == 0) {
		uint64_t n_bytes = (uint64_t)shm.f_blocks * shm.f_frsize;

		doctor_add(doctor, DOCTOR_OK, "/dev/shm", "%s; Sealane does not use it",
		           terminal_size(size_text, n_bytes));
		doctor_data(doctor, "size_bytes", json_integer((json_int_t)n_bytes));
	} else
		doctor_add(doctor, DOCTOR_OK, "/dev/shm", "not there; Sealane does not use it");
}

static void check_guards(struct doctor *doctor)
{
	static const char *const modes[] = { "none", "strict", "a filter" };
	uint64_t mode = 0, scope = 0;

	if (doctor_read_key_number("/proc/self/status", "Seccomp", &mode) < 0)
		doctor_add(doctor, DOCTOR_INFO, "seccomp", "cannot be read from /proc/self/status");
	else {
		doctor_add(doctor, mode ? DOCTOR_INFO : DOCTOR_OK, "seccomp", "%s",
		           mode < 3 ? modes[mode] : "of an unknown kind");
		if (mode)
			doctor_cost(doctor, "what it refuses is seen above: each call was really made");
		doctor_data(doctor, "mode", json_integer((json_int_t)mode));
	}
	/* Seals keep everyone out but those who may ptrace the owner. */
	if (doctor_read_number("/proc/sys/kernel/yama/ptrace_scope", &scope) == 0 && scope > 0)
		doctor_add(doctor, DOCTOR_OK, "ptrace",
		           "kernel.yama.ptrace_scope is %llu: not between any two processes of a user",
		           (unsigned long long)scope);
	else {
		bool has_yama = access("/proc/sys/kernel/yama/ptrace_scope", F_OK) == 0;

		doctor_add(doctor, DOCTOR_INFO, "ptrace", "%s: a process may attach to any other of its user",
		           has_yama ? "kernel.yama.ptrace_scope is 0" : "no Yama in this kernel");
		doctor_cost(
			doctor,
			"who may attach to a producer may write its memory, as with any program; seals do not guard against a debugger");
		if (has_yama)
			doctor_mend(doctor, "sysctl -w kernel.yama.ptrace_scope=1");
	}
}

void doctor_check_machine(struct doctor *doctor)
{
	doctor->group = "Machine";
	check_cpus(doctor);
	check_numa(doctor);
	check_container(doctor);
	check_guards(doctor);
}
