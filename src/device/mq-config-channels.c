/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels of a device, from FairMQ's JSON.
 *
 * The odd rule: numbers may stand in quotes, since FairMQ's own reader takes every value for text, and many files make use of it.
 */
#include "device/mq-config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "device/channel-key.h"

/* Who reads the channels of a device, and what to do about what is strange. */
struct reader {
	const struct sea_mq_config *config;
	struct sea_channel_list *list;
	bool is_strict;
	sea_warning_fn warning;
	void *userdata;
	struct sea_error *error; /* never NULL */
};

static int reader_fail(const struct reader *reader, int r, const struct seai_mq_node *node, const char *text)
{
	return seai_mq_fail(reader->config, reader->error, r, &node->place, node->path, text);
}

/* Tells of a key that is strange; an error if strict. */
static int reader_warn(const struct reader *reader, const struct seai_mq_node *node, const char *text)
{
	struct sea_error warning = { 0 };

	seai_mq_fail(reader->config, &warning, -ENOENT, &node->key_place, node->path, text);
	if (reader->is_strict) {
		*reader->error = warning;
		return -ENOENT;
	}
	if (reader->warning)
		reader->warning(&warning, reader->userdata);
	return 0;
}

static bool word_is_among(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* One warning for each key of an object that is none of those known, nor of a channel if has_channel_keys. */
static int reader_check_keys(const struct reader *reader, const struct seai_mq_node *node, const char *const *known,
                             bool has_channel_keys)
{
	struct seai_mq_node member;
	const char *key;
	json_t *value;

	json_object_foreach(node->value, key, value)
	{
		int r;

		if (word_is_among(key, known) || (has_channel_keys && seai_channel_key_find(key) >= 0) ||
		    !seai_mq_member(reader->config, node, key, &member))
			continue;
		r = reader_warn(reader, &member, "is no key that is known here; it is ignored");
		if (r < 0)
			return r;
	}
	return 0;
}

/* A value as the text that a command line would have. Texts of strings are borrowed, of others written to room. */
static const char *node_text(const struct seai_mq_node *node, char *room, size_t n_bytes)
{
	if (json_is_string(node->value))
		return json_string_value(node->value);
	if (json_is_boolean(node->value))
		return json_is_true(node->value) ? "true" : "false";
	snprintf(room, n_bytes, "%lld", (long long)json_integer_value(node->value));
	return room;
}

/* Whether a value is of a type that the key may have. */
static bool node_has_type(const struct seai_mq_node *node, enum seai_channel_key_kind kind)
{
	if (json_is_string(node->value))
		return true;
	if (kind == SEAI_CHANNEL_KEY_FLAG)
		return json_is_boolean(node->value) || json_is_integer(node->value);
	return kind == SEAI_CHANNEL_KEY_NUMBER && json_is_integer(node->value);
}

static const char *kind_name(enum seai_channel_key_kind kind)
{
	switch (kind) {
	case SEAI_CHANNEL_KEY_NUMBER: return "is no whole number";
	case SEAI_CHANNEL_KEY_FLAG: return "is neither true nor false";
	default: return "is no string";
	}
}

/* Sets the keys of a channel that an object has. */
static int reader_take_keys(const struct reader *reader, const struct seai_mq_node *node,
                            struct sea_channel_config *config)
{
	for (int i = 0; i < SEA_CHANNEL_N_KEYS; i++) {
		const struct seai_channel_key *key = &seai_channel_keys[i];
		struct sea_error error = { 0 };
		struct seai_mq_node member;
		char origin[300], room[24];
		int r;

		if (!seai_mq_member(reader->config, node, key->name, &member))
			continue;
		if (!node_has_type(&member, key->kind))
			return reader_fail(reader, -EINVAL, &member, kind_name(key->kind));
		snprintf(origin, sizeof(origin), "%s:%u", reader->config->name, member.place.line);
		r = sea_channel_config_set(config, key->name, node_text(&member, room, sizeof(room)), origin, &error);
		if (r < 0)
			return reader_fail(reader, r, &member, error.text);
	}
	return 0;
}

static int reader_add(const struct reader *reader, const struct seai_mq_node *node,
                      const struct sea_channel_config *common, uint32_t i, const struct seai_mq_node *socket)
{
	struct sea_channel_config config = { 0 };
	int r = sea_channel_config_copy(&config, common);

	if (r < 0)
		return reader_fail(reader, r, node, "no memory");
	config.i = i;
	if (socket)
		r = reader_take_keys(reader, socket, &config);
	if (r == 0 && seai_channel_list_add(reader->list, &config) < 0)
		r = reader_fail(reader, -ENOMEM, node, "no memory");
	sea_channel_config_fini(&config);
	return r;
}

static int reader_take_sockets(const struct reader *reader, const struct seai_mq_node *node,
                               const struct seai_mq_node *sockets, const struct sea_channel_config *common)
{
	static const char *const known[] = { NULL };
	struct seai_mq_node socket = { 0 };
	uint32_t i;

	if (!json_is_array(sockets->value))
		return reader_fail(reader, -EINVAL, sockets, "is no array");
	for (i = 0; seai_mq_next(reader->config, sockets, i, &socket); i++) {
		int r;

		if (!json_is_object(socket.value))
			return reader_fail(reader, -EINVAL, &socket, "is no object");
		r = reader_check_keys(reader, &socket, known, true);
		if (r == 0)
			r = reader_add(reader, node, common, i, &socket);
		if (r < 0)
			return r;
	}
	/* No sockets is one, of what the channel says. */
	return i ? 0 : reader_add(reader, node, common, 0, NULL);
}

/* What a channel says, sub-channels aside; makes *common. */
static int reader_take_common(const struct reader *reader, const struct seai_mq_node *node,
                              struct sea_channel_config *common, int64_t *ret_n_sockets)
{
	struct sea_error error = { 0 };
	struct seai_mq_node member;
	char room[24];
	int r;

	if (!seai_mq_member(reader->config, node, "name", &member)) {
		member = *node;
		snprintf(member.path, sizeof(member.path), "%.100s.name", node->path);
		return reader_fail(reader, -EINVAL, &member, "is missing");
	}
	if (!json_is_string(member.value))
		return reader_fail(reader, -EINVAL, &member, "is no string");
	if (!sea_channel_name_is_legal(json_string_value(member.value)))
		return reader_fail(reader, -EINVAL, &member,
		                   "is empty or has characters other than a-z A-Z 0-9 - _ [ ] #");
	if (sea_channel_list_count(reader->list, json_string_value(member.value)))
		return reader_fail(reader, -EEXIST, &member, "is the name of a channel before it as well");
	if (seai_channel_config_init(common, json_string_value(member.value), 0) < 0)
		return reader_fail(reader, -ENOMEM, node, "no memory");
	r = reader_take_keys(reader, node, common);
	if (r < 0 || !seai_mq_member(reader->config, node, "numSockets", &member))
		return r;
	if (!node_has_type(&member, SEAI_CHANNEL_KEY_NUMBER))
		return reader_fail(reader, -EINVAL, &member, kind_name(SEAI_CHANNEL_KEY_NUMBER));
	r = seai_channel_n_sockets(node_text(&member, room, sizeof(room)), ret_n_sockets, &error);
	return r < 0 ? reader_fail(reader, r, &member, error.text) : 0;
}

static int reader_take_channel(const struct reader *reader, const struct seai_mq_node *node)
{
	static const char *const known[] = { "name", "numSockets", "sockets", NULL };
	SEAI_CLEANUP(sea_channel_config_fini) struct sea_channel_config common = { 0 };
	int64_t n_sockets = 0;
	struct seai_mq_node sockets;
	bool has_sockets;
	int r;

	if (!json_is_object(node->value))
		return reader_fail(reader, -EINVAL, node, "is no object");
	r = reader_check_keys(reader, node, known, true);
	if (r == 0)
		r = reader_take_common(reader, node, &common, &n_sockets);
	if (r < 0)
		return r;
	has_sockets = seai_mq_member(reader->config, node, "sockets", &sockets);
	if (has_sockets && n_sockets == 0)
		return reader_take_sockets(reader, node, &sockets, &common);
	if (has_sockets)
		r = reader_warn(reader, &sockets, "is ignored, since numSockets makes equal ones");
	if (n_sockets == 0)
		n_sockets = 1;
	for (uint32_t i = 0; i < n_sockets && r == 0; i++)
		r = reader_add(reader, node, &common, i, NULL);
	return r;
}

static int reader_take_device(const struct reader *reader, const struct seai_mq_node *device)
{
	static const char *const known[] = { "id",    "key",     "channels",   "exec", "args", "env",
		                             "count", "restart", "restartMax", "cpus", NULL };
	struct seai_mq_node channels, channel = { 0 };
	int r = reader_check_keys(reader, device, known, false);

	if (r < 0 || !seai_mq_member(reader->config, device, "channels", &channels))
		return r;
	if (!json_is_array(channels.value))
		return reader_fail(reader, -EINVAL, &channels, "is no array");
	for (size_t i = 0; r == 0 && seai_mq_next(reader->config, &channels, i, &channel); i++)
		r = reader_take_channel(reader, &channel);
	return r;
}

/* Keys beside and above the devices. */
static int reader_check_frame(const struct reader *reader)
{
	static const char *const outer[] = { "fairMQOptions", NULL }, *const inner[] = { "devices", NULL };
	struct seai_mq_node root = seai_mq_root(reader->config), options;
	int r = reader_check_keys(reader, &root, outer, false);

	if (r == 0 && seai_mq_member(reader->config, &root, "fairMQOptions", &options))
		r = reader_check_keys(reader, &options, inner, false);
	return r;
}

int sea_mq_config_channels(const struct sea_mq_config *config, const char *name, struct sea_channel_list *list,
                           bool is_strict, sea_warning_fn warning, void *userdata, struct sea_error *error)
{
	struct sea_error found = { 0 };
	struct sea_channel_list channels = { 0 };
	struct reader reader = { config, &channels, is_strict, warning, userdata, &found };
	struct seai_mq_node devices = seai_mq_devices(config), device = { 0 };
	bool is_found = false;
	int r = reader_check_frame(&reader);

	for (size_t i = 0; r == 0 && !is_found && seai_mq_next(config, &devices, i, &device); i++) {
		is_found = strcmp(seai_mq_device_name(device.value), name) == 0;
		if (is_found)
			r = reader_take_device(&reader, &device);
	}
	if (r == 0 && !is_found) {
		char text[200];

		snprintf(text, sizeof(text), "has no device whose key or id is '%.120s'", name);
		r = seai_mq_fail(config, &found, -ENOENT, &devices.place, "fairMQOptions.devices", text);
	}
	if (r < 0) {
		sea_channel_list_fini(&channels);
		if (error)
			*error = found;
		return r;
	}
	*list = channels;
	return 0;
}
