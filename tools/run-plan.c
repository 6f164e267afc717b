/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the devices of a file to processes: which program, with which words and variables. Everything that can be wrong
 * with a command line is found here, before anything is started.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "run.h"

/* Most words that we add ourselves: --id, --config-key, --mq-config, --session, --control, each with its value. */
#define PLAN_N_OWN 10

static bool plan_is_program(const char *path)
{
	struct stat stat_buffer;

	return stat(path, &stat_buffer) == 0 && S_ISREG(stat_buffer.st_mode) && access(path, X_OK) == 0;
}

/* A file of that name in a folder of n_folder bytes, if it is a program. @return its path, the caller frees it; NULL */
static char *plan_find_in(const char *folder, size_t n_folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%.*s%s%s", (int)n_folder, folder,
	             n_folder            ? "/"
	             : strchr(name, '/') ? ""
	                                 : "./",
	             name) < 0)
		return NULL;
	if (plan_is_program(path))
		return path;
	free(path);
	return NULL;
}

static char *plan_find_in_path(const char *name)
{
	const char *folders = getenv("PATH");

	for (; folders;) {
		size_t n = strcspn(folders, ":");
		char *path = plan_find_in(folders, n, name);

		if (path)
			return path;
		if (!folders[n])
			break;
		folders += n + 1;
	}
	return NULL;
}

static char *plan_find_own(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = 0;
	return strdup(path);
}

/*
 * The program that a word names. @param ret_built_in receives the sub-command of ours that it is, or NULL
 * @return its path, the caller frees it; NULL there is none
 */
static char *plan_find(const struct run_topology *topology, const struct run_entry *entry, const char **ret_built_in)
{
	const char *name = entry->words[0];
	const char *slash = strrchr(topology->file, '/');
	size_t n_folder = slash ? (size_t)(slash - topology->file) : 0;
	char *path = NULL;

	*ret_built_in = NULL;
	if (strncmp(name, "sealane:", 8) == 0) {
		*ret_built_in = name + 8;
		return command_exists(name + 8) ? plan_find_own() : NULL;
	}
	if (name[0] == '/')
		return plan_is_program(name) ? strdup(name) : NULL;
	/* The root is a folder without a name. */
	if (!entry->is_typed)
		path = slash && n_folder == 0 ? plan_find_in("/.", 2, name)
		                              : plan_find_in(topology->file, n_folder, name);
	else if (strchr(name, '/'))
		path = plan_find_in("", 0, name);
	if (path || strchr(name, '/'))
		return path;
	if (strcmp(name, "sealane") == 0)
		return plan_find_own();
	path = plan_find_in_path(name);
	if (!path && command_exists(name)) {
		*ret_built_in = name;
		path = plan_find_own();
	}
	return path;
}

/* The text of a word, which is the device's from now on. Without memory the list just ends. */
static void plan_add(char **list, size_t *n, const char *text)
{
	list[*n] = strdup(text);
	*n += list[*n] != NULL;
}

static int plan_make_argv(const struct run *run, const struct run_topology *topology, struct run_device *device,
                          const char *built_in)
{
	const struct run_entry *entry = device->entry;
	size_t n = 0, i;
	json_t *arg;

	device->argv = calloc(entry->n_words + json_array_size(entry->args) + run->options->n_extra + PLAN_N_OWN + 2,
	                      sizeof(*device->argv));
	if (!device->argv)
		return -ENOMEM;
	plan_add(device->argv, &n, built_in ? "sealane" : entry->words[0]);
	if (built_in)
		plan_add(device->argv, &n, built_in);
	for (i = 1; i < entry->n_words; i++)
		plan_add(device->argv, &n, entry->words[i]);
	json_array_foreach(entry->args, i, arg) plan_add(device->argv, &n, json_string_value(arg));
	plan_add(device->argv, &n, "--id");
	plan_add(device->argv, &n, device->name);
	if (entry->is_counted || entry->key) {
		plan_add(device->argv, &n, "--config-key");
		plan_add(device->argv, &n, entry->key ? entry->key : entry->name);
	}
	plan_add(device->argv, &n, "--mq-config");
	plan_add(device->argv, &n, topology->file);
	plan_add(device->argv, &n, "--session");
	plan_add(device->argv, &n, run->session);
	plan_add(device->argv, &n, "--control");
	plan_add(device->argv, &n, "static");
	for (i = 0; i < run->options->n_extra; i++)
		plan_add(device->argv, &n, run->options->extra[i]);
	return 0;
}

static int plan_add_variable(struct run_device *device, const char *name, const char *value)
{
	if (asprintf(&device->envp[device->n_envp_own], "%s=%s", name, value) < 0) {
		device->envp[device->n_envp_own] = NULL;
		return -ENOMEM;
	}
	device->n_envp_own++;
	return 0;
}

/* The device's own variables first, then those of ours that it does not have itself. */
static int plan_make_envp(const struct run *run, struct run_device *device)
{
	size_t n_ours = 0, n;
	const char *name;
	json_t *value;
	int r;

	while (environ[n_ours])
		n_ours++;
	device->envp = calloc(n_ours + json_object_size(device->entry->env) + 3, sizeof(*device->envp));
	if (!device->envp)
		return -ENOMEM;
	r = plan_add_variable(device, "SEALANE_SESSION", run->session);
	if (r == 0 && run->options->runtime_dir)
		r = plan_add_variable(device, "SEALANE_RUNTIME_DIR", run->options->runtime_dir);
	json_object_foreach(device->entry->env, name, value) if (r == 0)
		r = plan_add_variable(device, name, json_string_value(value));
	n = device->n_envp_own;
	for (size_t i = 0; i < n_ours && r == 0; i++) {
		size_t n_name = strcspn(environ[i], "=") + 1;
		bool is_replaced = false;

		for (size_t j = 0; j < device->n_envp_own && !is_replaced; j++)
			is_replaced = strncmp(device->envp[j], environ[i], n_name) == 0;
		if (!is_replaced)
			device->envp[n++] = environ[i];
	}
	return r;
}

static int plan_make_device(struct run *run, const struct run_topology *topology, const struct run_entry *entry,
                            size_t copy, const char *path, const char *built_in)
{
	struct run_device *device = &run->devices[run->n_devices++];
	int r;

	*device = (struct run_device){ .entry = entry, .fd = -1 };
	if (entry->n_cpus > 0)
		device->cpus = &entry->cpus[entry->n_cpus > 1 ? copy : 0];
	if (entry->is_counted)
		r = asprintf(&device->name, "%s%zu", entry->name, copy);
	else
		r = asprintf(&device->name, "%s", entry->name);
	if (r < 0) {
		device->name = NULL;
		return -ENOMEM;
	}
	device->path = strdup(path);
	device->lines.data = malloc(RUN_LINE_MAX);
	if (!device->path || !device->lines.data)
		return -ENOMEM;
	r = plan_make_argv(run, topology, device, built_in);
	return r < 0 ? r : plan_make_envp(run, device);
}

static void plan_make_entry(struct run *run, struct run_topology *topology, size_t index)
{
	const struct run_entry *entry = &topology->entries[index];
	TOOL_AUTO_FREE char *path = NULL;
	const char *built_in;
	char at[96];

	snprintf(at, sizeof(at), "fairMQOptions.devices[%zu]", index);
	if (entry->is_wrong)
		return;
	if (entry->n_words == 0) {
		run_topology_error(topology, at, "%s does not say what to start: exec, or --exec %s=COMMAND",
		                   entry->name, entry->name);
		return;
	}
	path = plan_find(topology, entry, &built_in);
	if (!path) {
		snprintf(at, sizeof(at), "fairMQOptions.devices[%zu].exec", index);
		if (built_in)
			run_topology_error(topology, entry->is_typed ? NULL : at, "%s%ssealane has no command '%s'",
			                   entry->is_typed ? entry->name : "", entry->is_typed ? ": " : "", built_in);
		else
			run_topology_error(
				topology, entry->is_typed ? NULL : at, "%s%sthere is no program '%s'%s",
				entry->is_typed ? entry->name : "", entry->is_typed ? ": " : "", entry->words[0],
				strchr(entry->words[0], '/') ? "" : ", neither beside the file nor in $PATH");
		return;
	}
	for (size_t i = 0; i < entry->n_copies; i++) {
		if (plan_make_device(run, topology, entry, i, path, built_in) < 0) {
			run_topology_error(topology, NULL, "no memory");
			return;
		}
	}
}

static int plan_compare(const void *a, const void *b)
{
	const struct run_device *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

/* No two processes have one name. */
static void plan_check_names(struct run *run, struct run_topology *topology)
{
	TOOL_AUTO_FREE struct run_device **sorted = calloc(run->n_devices + 1, sizeof(struct run_device *));

	for (size_t i = 0; sorted && i < run->n_devices; i++)
		sorted[i] = &run->devices[i];
	if (!sorted)
		return;
	qsort(sorted, run->n_devices, sizeof(struct run_device *), plan_compare);
	for (size_t i = 1; i < run->n_devices; i++) {
		char at[96];

		if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
			continue;
		snprintf(at, sizeof(at), "fairMQOptions.devices[%zu]", (size_t)(sorted[i]->entry - topology->entries));
		run_topology_error(topology, at, "there are two devices '%s'", sorted[i]->name);
	}
}

void run_plan_make(struct run *run, struct run_topology *topology)
{
	size_t n = 0;

	for (size_t i = 0; i < topology->n_entries; i++)
		n += topology->entries[i].n_copies;
	if (n > RUN_N_DEVICES_MAX) {
		run_topology_error(topology, NULL, "%s: %zu devices, and no more than %u can be", topology->file, n,
		                   RUN_N_DEVICES_MAX);
		return;
	}
	run->devices = calloc(n + 1, sizeof(*run->devices));
	if (!run->devices) {
		run_topology_error(topology, NULL, "no memory");
		return;
	}
	for (size_t i = 0; i < topology->n_entries; i++)
		plan_make_entry(run, topology, i);
	plan_check_names(run, topology);
}

void run_plan_fini(struct run *run)
{
	for (size_t i = 0; i < run->n_devices; i++) {
		struct run_device *device = &run->devices[i];

		for (size_t j = 0; device->argv && device->argv[j]; j++)
			free(device->argv[j]);
		for (size_t j = 0; j < device->n_envp_own; j++)
			free(device->envp[j]);
		free(device->argv);
		free(device->envp);
		free(device->name);
		free(device->path);
		free(device->lines.data);
	}
	free(run->devices);
}

static void plan_print_cpus(const cpu_set_t *cpus)
{
	const char *separator = "taskset -c ";

	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, cpus)) {
			printf("%s%d", separator, i);
			separator = ",";
		}
	}
	putchar(' ');
}

void run_plan_print(const struct run *run)
{
	for (size_t i = 0; i < run->n_devices; i++) {
		const struct run_device *device = &run->devices[i];

		for (size_t j = 0; j < device->n_envp_own; j++) {
			const char *value = strchr(device->envp[j], '=') + 1;

			printf("%.*s", (int)(value - device->envp[j]), device->envp[j]);
			run_words_print(stdout, value);
			putchar(' ');
		}
		if (device->cpus)
			plan_print_cpus(device->cpus);
		run_words_print(stdout, device->path);
		for (size_t j = 1; device->argv[j]; j++) {
			putchar(' ');
			run_words_print(stdout, device->argv[j]);
		}
		putchar('\n');
	}
}
