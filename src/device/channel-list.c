/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of channels: from the text of --channel-config, and as properties.
 *
 * The odd rule: the sub-channels of a name stand one after the other, with indices from 0, as they do among the properties.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/channel-config.h>
#include <sealane/device/properties.h>

#include "base/cleanup.h"
#include "device/channel-key.h"
#include "device/value.h"

static void config_cleanup(struct sea_channel_config *config)
{
	sea_channel_config_fini(config);
}

static void list_cleanup(struct sea_channel_list *list)
{
	sea_channel_list_fini(list);
}

#define AUTO_CONFIG SEAI_CLEANUP(config_cleanup)
#define AUTO_LIST SEAI_CLEANUP(list_cleanup)

void sea_channel_list_fini(struct sea_channel_list *list)
{
	for (size_t i = 0; i < list->n_channels; i++)
		sea_channel_config_fini(&list->channels[i]);
	free(list->channels);
	memset(list, 0, sizeof(*list));
}

/* Room for n more. Grows by doubling, which the number of channels tells. */
static int list_reserve(struct sea_channel_list *list, size_t n)
{
	size_t n_room = 8, n_wanted = list->n_channels + n;
	struct sea_channel_config *channels;

	while (n_room < list->n_channels)
		n_room *= 2;
	if (list->channels && n_wanted <= n_room)
		return 0;
	while (n_room < n_wanted)
		n_room *= 2;
	channels = realloc(list->channels, n_room * sizeof(*channels));
	if (!channels)
		return -ENOMEM;
	list->channels = channels;
	return 0;
}

int seai_channel_list_add(struct sea_channel_list *list, struct sea_channel_config *config)
{
	int r = list_reserve(list, 1);

	if (r < 0)
		return r;
	list->channels[list->n_channels++] = *config;
	memset(config, 0, sizeof(*config));
	return 0;
}

int seai_channel_list_join(struct sea_channel_list *list, struct sea_channel_list *other)
{
	int r = list_reserve(list, other->n_channels);

	if (r < 0)
		return r;
	if (other->n_channels)
		memcpy(list->channels + list->n_channels, other->channels, other->n_channels * sizeof(*list->channels));
	list->n_channels += other->n_channels;
	other->n_channels = 0;
	sea_channel_list_fini(other);
	return 0;
}

struct sea_channel_config *sea_channel_list_find(const struct sea_channel_list *list, const char *name, uint32_t i)
{
	for (size_t at = 0; at < list->n_channels; at++)
		if (list->channels[at].i == i && strcmp(list->channels[at].name, name) == 0)
			return &list->channels[at];
	return NULL;
}

uint32_t sea_channel_list_count(const struct sea_channel_list *list, const char *name)
{
	uint32_t n = 0;

	for (size_t at = 0; at < list->n_channels; at++)
		n += strcmp(list->channels[at].name, name) == 0;
	return n;
}

int seai_channel_n_sockets(const char *text, int64_t *ret_n_sockets, struct sea_error *error)
{
	int64_t n_sockets = 0;
	int r = seai_text_int(text, &n_sockets);

	if (r == -EINVAL)
		return sea_error_set(error, r, "numSockets", "is '%.60s', which is no whole number", text);
	if (r < 0 || n_sockets < 0 || n_sockets > SEAI_CHANNEL_N_SOCKETS_MAX)
		return sea_error_set(error, -ERANGE, "numSockets", "is %.40s, which is not from 0 to %d", text,
		                     SEAI_CHANNEL_N_SOCKETS_MAX);
	*ret_n_sockets = n_sockets;
	return 0;
}

/* --channel-config. ------------------------------------------------------------------------ */

/* The text of one --channel-config while it is read. */
struct suboptions {
	struct sea_channel_config common; /* without addresses */
	char **addresses;                 /* point into the text */
	size_t n_addresses;
	int64_t n_sockets;
	const char *origin;
	bool is_strict;
	sea_warning_fn warning;
	void *userdata;
	struct sea_error *error;
};

static void suboptions_cleanup(struct suboptions *suboptions)
{
	sea_channel_config_fini(&suboptions->common);
	free(suboptions->addresses);
}

/* Says what is strange: an error if strict. */
static int suboptions_warn(struct suboptions *suboptions, const char *key, const char *text)
{
	struct sea_error warning = { 0 };

	snprintf(warning.file, sizeof(warning.file), "%s", suboptions->origin);
	(void)sea_error_set(&warning, -ENOENT, key, "%s", text);
	if (suboptions->is_strict) {
		if (suboptions->error)
			*suboptions->error = warning;
		return -ENOENT;
	}
	if (suboptions->warning)
		suboptions->warning(&warning, suboptions->userdata);
	return 0;
}

/* One key=value. Errors have the key; the caller adds the rest. */
static int suboptions_take(struct suboptions *suboptions, char *key, char *value)
{
	struct sea_error *error = suboptions->error;

	if (strcmp(key, "address") != 0 && strcmp(key, "numSockets") != 0 && strcmp(key, "name") != 0 &&
	    seai_channel_key_find(key) < 0)
		return suboptions_warn(suboptions, key, "is no key of a channel; it is ignored");
	if (!value)
		return sea_error_set(error, -EINVAL, key, "has no value");
	if (strcmp(key, "name") == 0) {
		struct sea_channel_config *common = &suboptions->common;

		free(common->name);
		common->name = strdup(value);
		return common->name ? 0 : sea_error_set(error, -ENOMEM, key, "no memory");
	}
	if (strcmp(key, "address") == 0) {
		suboptions->addresses[suboptions->n_addresses++] = value;
		return 0;
	}
	if (strcmp(key, "numSockets") == 0)
		return seai_channel_n_sockets(value, &suboptions->n_sockets, error);
	return sea_channel_config_set(&suboptions->common, key, value, suboptions->origin, error);
}

static int suboptions_read(struct suboptions *suboptions, char *text)
{
	char *first = strpbrk(text, ":=");
	size_t n_most = 1;
	int r = sea_channel_config_init(&suboptions->common, "", 0);

	for (const char *comma = strchr(text, ','); comma; comma = strchr(comma + 1, ','))
		n_most++;
	suboptions->addresses = calloc(n_most, sizeof(char *));
	if (r < 0 || !suboptions->addresses)
		return sea_error_set(suboptions->error, -ENOMEM, "channel-config", "no memory");
	if (first && *first == ':') {
		*first = 0;
		r = suboptions_take(suboptions, "name", text);
		text = first + 1;
	}
	while (text && r == 0) {
		char *key = text, *value;

		text = strchr(key, ',');
		if (text)
			*text++ = 0;
		value = strchr(key, '=');
		if (value)
			*value++ = 0;
		/* Nothing between two commas, or behind the last, is no key. */
		if (*key || value)
			r = suboptions_take(suboptions, key, value);
	}
	return r;
}

/* The sub-channels of what was read. */
static int suboptions_expand(struct suboptions *suboptions, struct sea_channel_list *list)
{
	size_t n_channels = suboptions->n_sockets ? (size_t)suboptions->n_sockets : suboptions->n_addresses;
	int r = 0;

	if (!n_channels)
		n_channels = 1;
	for (uint32_t i = 0; i < n_channels && r == 0; i++) {
		AUTO_CONFIG struct sea_channel_config config = { 0 };

		r = sea_channel_config_copy(&config, &suboptions->common);
		config.i = i;
		if (r == 0 && !suboptions->n_sockets && i < suboptions->n_addresses)
			r = sea_channel_config_set(&config, "address", suboptions->addresses[i], suboptions->origin,
			                           NULL);
		if (r == 0)
			r = seai_channel_list_add(list, &config);
	}
	return r < 0 ? sea_error_set(suboptions->error, r, "channel-config", "no memory") : 0;
}

int sea_channel_list_parse(struct sea_channel_list *list, const char *text, const char *origin, bool is_strict,
                           sea_warning_fn warning, void *userdata, struct sea_error *error)
{
	struct sea_error found = { 0 };
	SEAI_CLEANUP(suboptions_cleanup)
	struct suboptions suboptions = {
		.origin = origin, .is_strict = is_strict, .warning = warning, .userdata = userdata, .error = &found
	};
	AUTO_LIST struct sea_channel_list added = { 0 };
	SEAI_AUTO_FREE char *cut = strdup(text);
	int r = cut ? suboptions_read(&suboptions, cut) : -ENOMEM;
	const char *name = suboptions.common.name ? suboptions.common.name : "";

	if (r == 0 && !*name)
		r = sea_error_set(&found, -EINVAL, "name", "is missing in '%.200s'", text);
	if (r == 0 && sea_channel_list_count(list, name))
		r = sea_error_set(&found, -EEXIST, "name", "'%.200s' is there twice", name);
	if (r == 0 && suboptions.n_sockets && suboptions.n_addresses)
		r = suboptions_warn(&suboptions, "address", "is ignored, since numSockets makes channels without one");
	if (r == 0)
		r = suboptions_expand(&suboptions, &added);
	if (r == 0)
		r = seai_channel_list_join(list, &added);
	if (r < 0 && error) {
		*error = found;
		error->code = r;
		snprintf(error->file, sizeof(error->file), "%s", origin);
	}
	return r;
}

/* Properties. ------------------------------------------------------------------------------ */

/* The value of a key, of the type it has as a property; strings are borrowed. */
static struct sea_value config_value(const struct sea_channel_config *config, const struct seai_channel_key *key)
{
	const void *member = (const char *)config + key->offset;
	struct sea_value value = { .type = SEA_VALUE_STRING };

	switch (key->kind) {
	case SEAI_CHANNEL_KEY_NUMBER:
		value.type = SEA_VALUE_INT;
		value.as.integer = *(const int32_t *)member;
		break;
	case SEAI_CHANNEL_KEY_FLAG:
		value.type = SEA_VALUE_BOOL;
		value.as.boolean = *(const bool *)member;
		break;
	case SEAI_CHANNEL_KEY_WORD: value.as.string = key->words[*(const int *)member]; break;
	default:
		value.as.string = *(char *const *)member;
		if (!*value.as.string)
			value.as.string = "unspecified";
		break;
	}
	return value;
}

int sea_channel_list_store(const struct sea_channel_list *list, struct sea_properties *properties)
{
	int r = 0;

	for (size_t at = 0; at < list->n_channels; at++) {
		const struct sea_channel_config *config = &list->channels[at];

		for (int i = 0; i < SEA_CHANNEL_N_KEYS && r == 0; i++) {
			struct sea_value value = config_value(config, &seai_channel_keys[i]);
			char key[300];

			snprintf(key, sizeof(key), "chans.%s.%u.%s", config->name, config->i,
			         seai_channel_keys[i].name);
			r = sea_properties_set(properties, key, &value,
			                       config->origins[i] ? config->origins[i] : "default");
		}
	}
	return r;
}

struct load {
	struct sea_channel_list *list;
	struct sea_error *error;
	int r;
};

static int load_fail(struct load *load, int r, const char *key, const char *text, const char *origin)
{
	(void)sea_error_set(load->error, r, key, "%s (%s)", text, origin);
	load->r = r;
	return r;
}

/* One property of chans.; they come in the order of their names, indices as text. */
static void load_take(const char *key, const struct sea_value *value, const char *origin, void *userdata)
{
	struct load *load = userdata;
	const char *name = key + strlen("chans."), *last = strrchr(key, '.');
	struct sea_channel_config *config;
	SEAI_AUTO_FREE char *prefix = NULL;
	SEAI_AUTO_FREE char *text = NULL;
	size_t n_text = sea_value_text(value, NULL, 0) + 1;
	struct sea_error error = { 0 };
	uint64_t i = 0;
	char *dot;
	int r;

	if (load->r < 0)
		return;
	/* A name has no dots, so that what is in front of the last two is one. */
	prefix = last > name ? strndup(name, (size_t)(last - name)) : NULL;
	dot = prefix ? strrchr(prefix, '.') : NULL;
	if (!dot || dot == prefix || seai_text_uint(dot + 1, &i) < 0 || i >= SEAI_CHANNEL_N_SOCKETS_MAX) {
		load_fail(load, -EINVAL, key, "is not chans.<name>.<index>.<key>", origin);
		return;
	}
	*dot = 0;
	/* The keys of a channel come one after the other. */
	config = load->list->n_channels ? &load->list->channels[load->list->n_channels - 1] : NULL;
	if (!config || config->i != i || strcmp(config->name, prefix) != 0) {
		AUTO_CONFIG struct sea_channel_config made = { 0 };

		r = seai_channel_config_init(&made, prefix, (uint32_t)i);
		if (r == 0)
			r = seai_channel_list_add(load->list, &made);
		if (r < 0) {
			load_fail(load, r, key, "no memory", origin);
			return;
		}
		config = &load->list->channels[load->list->n_channels - 1];
	}
	text = malloc(n_text);
	if (!text) {
		load_fail(load, -ENOMEM, key, "no memory", origin);
		return;
	}
	sea_value_text(value, text, n_text);
	r = sea_channel_config_set(config, last + 1, text, origin, &error);
	if (r < 0)
		load_fail(load, r, key, error.text, origin);
}

static int config_compare(const void *a, const void *b)
{
	const struct sea_channel_config *left = a, *right = b;
	int r = strcmp(left->name, right->name);

	return r ? r : (left->i > right->i) - (left->i < right->i);
}

int sea_channel_list_load(struct sea_channel_list *list, struct sea_properties *properties, struct sea_error *error)
{
	AUTO_LIST struct sea_channel_list loaded = { 0 };
	struct load load = { &loaded, error, 0 };
	int r = sea_properties_list(properties, "chans.", load_take, &load);

	if (r < 0 || load.r < 0)
		return r < 0 ? sea_error_set(error, r, "chans", "no memory") : load.r;
	if (loaded.n_channels)
		qsort(loaded.channels, loaded.n_channels, sizeof(*loaded.channels), config_compare);
	for (size_t at = 0; at < loaded.n_channels; at++) {
		const struct sea_channel_config *config = &loaded.channels[at];
		uint32_t expected = at && strcmp(config[-1].name, config->name) == 0 ? config[-1].i + 1 : 0;
		char key[300];

		if (config->i == expected)
			continue;
		snprintf(key, sizeof(key), "chans.%s.%u", config->name, config->i);
		return sea_error_set(error, -ENOENT, key, "there is no index %u before it", expected);
	}
	*list = loaded;
	memset(&loaded, 0, sizeof(loaded));
	return 0;
}
