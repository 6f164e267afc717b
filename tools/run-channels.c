/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels of a topology as the devices themselves will read them: by the same code, so that what it refuses is said
 * before anything is started. Of each device it finds the first error; what it needs of channels itself, run-graph.c
 * has looked at before, and a device in which that was wrong is not looked at again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sealane/device/channel-config.h>
#include <sealane/device/mq-config.h>

#include "run.h"

static void channels_say(struct run_topology *topology, const struct sea_error *error, bool is_warning)
{
	const char *key = strncmp(error->key, "fairMQOptions.", 14) == 0 ? error->key + 14 : error->key;

	run_topology_say_at(topology, error->line, error->column, key, error->text, is_warning);
}

static void channels_on_warning(const struct sea_error *error, void *userdata)
{
	channels_say(userdata, error, true);
}

/* What reads well and is still no channel. The place is that of the channel, which is made of several sockets. */
static void channels_validate(struct run_topology *topology, size_t entry, const struct sea_channel_list *list)
{
	for (size_t i = 0; i < list->n_channels; i++) {
		const struct sea_channel_config *config = &list->channels[i];
		struct sea_error error = { 0 };
		char path[96];

		/* That an address is missing is no error: a device may choose one when it is bound. */
		if (sea_channel_config_validate(config, &error) != -EINVAL)
			continue;
		snprintf(path, sizeof(path), "fairMQOptions.devices[%zu].channels", entry);
		run_topology_error(topology, path, "%s[%u]: %s: %s", config->name, config->i, error.key, error.text);
	}
}

void run_channels_check(struct run_topology *topology)
{
	struct sea_mq_config *config;
	struct sea_error error = { 0 };

	if (sea_mq_config_parse(&config, topology->file, topology->text, topology->n_text, &error) < 0) {
		/* What is wrong with devices has been said, all of it. */
		if (topology->n_errors == 0)
			channels_say(topology, &error, false);
		return;
	}
	for (size_t i = 0; i < topology->n_entries; i++) {
		const struct run_entry *entry = &topology->entries[i];
		struct sea_channel_list list = { 0 };

		if (entry->has_bad_channels)
			continue;
		if (sea_mq_config_channels(config, entry->key ? entry->key : entry->name, &list, false,
		                           channels_on_warning, topology, &error) < 0)
			channels_say(topology, &error, false);
		else
			channels_validate(topology, i, &list);
		sea_channel_list_fini(&list);
	}
	sea_mq_config_close(config);
}
