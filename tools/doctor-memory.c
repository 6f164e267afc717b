/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: how much there is for this process, and of which pages. The default quota
 * is computed as the library does it: half of the smaller of available memory and cgroup limit.
 */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "terminal.h"

/* Below this a default heap has arenas of the smallest size only, and large timeframes do not fit. */
#define QUOTA_N_BYTES_SMALL ((uint64_t)256 << 20)
/* The library never goes below that. */
#define QUOTA_N_BYTES_MIN ((uint64_t)16 << 20)

struct cgroup {
	uint64_t limit;  /* UINT64_MAX: none */
	uint64_t used;   /* of the group that has the limit; without cache that could be dropped */
	char path[4400]; /* of the file with the limit */
};

/* Page cache that the kernel would take back before it kills anybody; counted as used all the same. */
static uint64_t cgroup_read_cache(const char *root, const char *group)
{
	char path[4400];
	TOOL_AUTO_FILE FILE *file = NULL;
	TOOL_AUTO_FREE char *line = NULL;
	size_t n_line = 0;
	uint64_t n_bytes = 0;

	snprintf(path, sizeof(path), "%s%s/memory.stat", root, strcmp(group, "/") == 0 ? "" : group);
	file = fopen(path, "re");
	while (file && getline(&line, &n_line, file) > 0) {
		/* Version 1 counts the groups below under a name of their own. */
		if (strncmp(line, "inactive_file ", 14) == 0)
			n_bytes = n_bytes ? n_bytes : strtoull(line + 14, NULL, 10);
		else if (strncmp(line, "total_inactive_file ", 20) == 0)
			n_bytes = strtoull(line + 20, NULL, 10);
	}
	return n_bytes;
}

/* Looks at one group's limit, and keeps it if it is the tightest so far. */
static void cgroup_look(struct cgroup *cgroup, const char *root, const char *group, const char *limit_name,
                        const char *used_name)
{
	char path[4400];
	uint64_t limit, used = 0, cache;

	snprintf(path, sizeof(path), "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, limit_name);
	/* Version 1 writes "no limit" as the largest multiple of a page below 2^63. */
	if (doctor_read_number(path, &limit) < 0 || limit >= UINT64_C(1) << 62 || limit >= cgroup->limit)
		return;
	cgroup->limit = limit;
	memcpy(cgroup->path, path, sizeof(path));
	snprintf(path, sizeof(path), "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, used_name);
	doctor_read_number(path, &used);
	cache = cgroup_read_cache(root, group);
	cgroup->used = used > cache ? used - cache : 0;
}

/* The tightest limit from a group up to the root; in a container the group's path may not be there, the root is. */
static void cgroup_climb(struct cgroup *cgroup, const char *root, char *group, const char *limit_name,
                         const char *used_name)
{
	for (;;) {
		char *slash;

		cgroup_look(cgroup, root, group, limit_name, used_name);
		slash = strrchr(group, '/');
		if (!slash || strcmp(group, "/") == 0)
			break;
		slash[slash == group] = '\0';
	}
}

/* Version 2 and version 1 may both be mounted, and either may have the memory controller. */
static void cgroup_find(struct cgroup *cgroup)
{
	TOOL_AUTO_FILE FILE *file = fopen("/proc/self/cgroup", "re");
	TOOL_AUTO_FREE char *line = NULL;
	size_t n_line = 0;

	*cgroup = (struct cgroup){ .limit = UINT64_MAX };
	while (file && getline(&line, &n_line, file) > 0) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		group[strcspn(group, "\n")] = '\0';
		if (strlen(group) > 4000)
			continue;
		if (*controllers == '\0') {
			TOOL_AUTO_FREE char *again = strdup(group);

			cgroup_climb(cgroup, "/sys/fs/cgroup", group, "memory.max", "memory.current");
			if (again)
				cgroup_climb(cgroup, "/sys/fs/cgroup/unified", again, "memory.max", "memory.current");
		} else if (strcmp(controllers, "memory") == 0)
			cgroup_climb(cgroup, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
			             "memory.usage_in_bytes");
	}
}

static void check_quota(struct doctor *doctor)
{
	char text[TERMINAL_TEXT_N_BYTES], more[TERMINAL_TEXT_N_BYTES];
	struct cgroup cgroup;
	uint64_t total = 0, available = 0, smaller, quota;

	doctor_read_key_number("/proc/meminfo", "MemTotal", &total);
	if (doctor_read_key_number("/proc/meminfo", "MemAvailable", &available) < 0) {
		long n_pages = sysconf(_SC_PHYS_PAGES), n_bytes = sysconf(_SC_PAGESIZE);

		available = (uint64_t)(n_pages > 0 ? n_pages : 0) * (uint64_t)(n_bytes > 0 ? n_bytes : 0);
		doctor_add(doctor, DOCTOR_INFO, "available memory", "/proc/meminfo cannot be read; the machine has %s",
		           terminal_size(text, available));
	} else
		doctor_add(doctor, DOCTOR_OK, "available memory", "%s of %s", terminal_size(text, available),
		           terminal_size(more, total));
	doctor_data(doctor, "available_bytes", json_integer((json_int_t)available));
	doctor_data(doctor, "total_bytes", json_integer((json_int_t)total));

	cgroup_find(&cgroup);
	if (cgroup.limit == UINT64_MAX && access("/proc/self/cgroup", R_OK) < 0)
		doctor_add(doctor, DOCTOR_INFO, "cgroup memory limit", "not known: /proc/self/cgroup: %s",
		           strerror(errno));
	else if (cgroup.limit == UINT64_MAX)
		doctor_add(doctor, DOCTOR_OK, "cgroup memory limit", "none");
	else {
		bool tight = cgroup.limit < cgroup.used || cgroup.limit - cgroup.used < cgroup.limit / 10;

		doctor_add(doctor, tight ? DOCTOR_WARN : DOCTOR_OK, "cgroup memory limit", "%s, of which %s is used",
		           terminal_size(text, cgroup.limit), terminal_size(more, cgroup.used));
		doctor_item(doctor, "set in %s", cgroup.path);
		if (tight) {
			doctor_cost(
				doctor,
				"at the limit the kernel kills a process of the group; frames are charged to their producer");
			doctor_mend(doctor, "echo %llu > %s", (unsigned long long)cgroup.limit * 2, cgroup.path);
			doctor_mend(doctor, "systemctl set-property UNIT MemoryMax=%llu",
			            (unsigned long long)cgroup.limit * 2);
		}
		doctor_data(doctor, "limit_bytes", json_integer((json_int_t)cgroup.limit));
		doctor_data(doctor, "used_bytes", json_integer((json_int_t)cgroup.used));
		doctor_data(doctor, "path", doctor_text_to_json(cgroup.path));
	}

	smaller = available < cgroup.limit ? available : cgroup.limit;
	quota = smaller / 2 > QUOTA_N_BYTES_MIN ? smaller / 2 : QUOTA_N_BYTES_MIN;
	doctor_add(doctor, quota < QUOTA_N_BYTES_SMALL ? DOCTOR_WARN : DOCTOR_OK, "default quota",
	           "%s for a session's heap: half of %s", terminal_size(text, quota),
	           available <= cgroup.limit ? "what is available now" : "the cgroup's limit");
	if (quota < QUOTA_N_BYTES_SMALL)
		doctor_cost(
			doctor,
			"small: producers of large timeframes fail or wait; free memory, or give a quota of your own");
	doctor_data(doctor, "quota_bytes", json_integer((json_int_t)quota));
}

static void check_swap(struct doctor *doctor)
{
	char text[TERMINAL_TEXT_N_BYTES], more[TERMINAL_TEXT_N_BYTES];
	uint64_t total = 0, unused = 0;

	if (doctor_read_key_number("/proc/meminfo", "SwapTotal", &total) < 0)
		return;
	doctor_read_key_number("/proc/meminfo", "SwapFree", &unused);
	if (total == 0)
		doctor_add(doctor, DOCTOR_OK, "swap", "none: frames stay in memory");
	else {
		doctor_add(doctor, DOCTOR_INFO, "swap", "%s, of which %s is used", terminal_size(text, total),
		           terminal_size(more, total - unused));
		doctor_cost(doctor,
		            "frames that wait long may be written to disk; SEA_HEAP_MLOCK keeps a heap in memory");
		doctor_mend(doctor, "sysctl -w vm.swappiness=1");
	}
	doctor_data(doctor, "total_bytes", json_integer((json_int_t)total));
	doctor_data(doctor, "used_bytes", json_integer((json_int_t)(total - unused)));
}

static void check_overcommit(struct doctor *doctor)
{
	char text[TERMINAL_TEXT_N_BYTES];
	uint64_t mode = 0, limit = 0, committed = 0;

	if (doctor_read_number("/proc/sys/vm/overcommit_memory", &mode) < 0 || mode != 2)
		return;
	doctor_read_key_number("/proc/meminfo", "CommitLimit", &limit);
	doctor_read_key_number("/proc/meminfo", "Committed_AS", &committed);
	doctor_add(doctor, DOCTOR_WARN, "overcommit", "vm.overcommit_memory is 2; %s may still be promised",
	           terminal_size(text, limit > committed ? limit - committed : 0));
	doctor_cost(doctor, "allocations fail once that is used up, even while memory is free");
	doctor_mend(doctor, "sysctl -w vm.overcommit_memory=0");
}

static void check_thp(struct doctor *doctor)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	char line[128], chosen[32] = "";
	char *open;
	int r = doctor_read_line(path, line, sizeof(line));

	if (r < 0) {
		doctor_add(doctor, DOCTOR_INFO, "transparent huge pages", "%s: %s", path, strerror(-r));
		doctor_cost(doctor,
		            "SEA_PAGES_THP gives base pages; see MADV_COLLAPSE above and the hugetlb pool below");
		return;
	}
	open = strchr(line, '[');
	if (open)
		snprintf(chosen, sizeof(chosen), "%.*s", (int)strcspn(open + 1, "]"), open + 1);
	if (strcmp(chosen, "never") == 0 || strcmp(chosen, "deny") == 0) {
		doctor_add(doctor, DOCTOR_INFO, "transparent huge pages", "shmem_enabled is %s", chosen);
		doctor_cost(doctor, "SEA_PAGES_THP gives base pages, which cost at first touch, unmapping and exit; "
		                    "SEA_PAGES_COLLAPSE works all the same where MADV_COLLAPSE does");
		doctor_mend(doctor, "echo advise > %s", path);
	} else
		doctor_add(doctor, DOCTOR_OK, "transparent huge pages", "shmem_enabled is %s", chosen);
	doctor_data(doctor, "shmem_enabled", json_string(chosen));
}

static uint64_t pool_read(const char *pool, const char *name)
{
	char path[512];
	uint64_t number = 0;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/%s", pool, name);
	doctor_read_number(path, &number);
	return number;
}

static void check_hugetlb(struct doctor *doctor)
{
	TOOL_AUTO_DIR DIR *directory = opendir("/sys/kernel/mm/hugepages");
	json_t *pools = json_array();
	char summary[512] = "";
	struct dirent *entry;
	uint64_t n_all = 0;

	while (directory && (entry = readdir(directory))) {
		char size_text[TERMINAL_TEXT_N_BYTES];
		uint64_t n_total, n_free, n_reserved, n_more;
		unsigned long kib;
		size_t n = strlen(summary);

		if (sscanf(entry->d_name, "hugepages-%lukB", &kib) != 1)
			continue;
		n_total = pool_read(entry->d_name, "nr_hugepages");
		n_free = pool_read(entry->d_name, "free_hugepages");
		n_reserved = pool_read(entry->d_name, "resv_hugepages");
		n_more = pool_read(entry->d_name, "nr_overcommit_hugepages");
		n_free = n_free > n_reserved ? n_free - n_reserved : 0;
		n_all += n_total + n_more;
		snprintf(summary + n, sizeof(summary) - n, "%s%llu free of %llu of %s", n ? ", " : "",
		         (unsigned long long)n_free, (unsigned long long)n_total, terminal_size(size_text, kib * 1024));
		json_array_append_new(pools, json_pack("{s:I, s:I, s:I, s:I}", "page_bytes", (json_int_t)kib * 1024,
		                                       "total", (json_int_t)n_total, "free", (json_int_t)n_free,
		                                       "overcommit", (json_int_t)n_more));
	}
	doctor_add(doctor, n_all ? DOCTOR_OK : DOCTOR_INFO, "hugetlb pool", "%s",
	           !directory ? "not in this kernel"
	           : *summary ? summary
	                      : "no size of pages");
	doctor_data(doctor, "pools", pools);
	if (n_all == 0) {
		doctor_cost(doctor, "heaps with SEA_PAGES_HUGETLB fail with ENOMEM; nothing else needs the pool");
		if (directory)
			doctor_mend(doctor, "sysctl -w vm.nr_hugepages=512   # 1 GiB where a huge page has 2 MiB");
	}
}

void doctor_check_memory(struct doctor *doctor)
{
	doctor->group = "Memory";
	check_quota(doctor);
	check_swap(doctor);
	check_overcommit(doctor);
	check_thp(doctor);
	check_hugetlb(doctor);
}
