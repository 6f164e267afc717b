/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FairMQ's JSON files: devices and their channels.
 *
 * The odd rule: beside each value of jansson goes its place in the text, which jansson does not keep, so that whatever is wrong has a line
 * and a column. And numbers may stand in quotes, since FairMQ's own reader takes every value for text, and many files make use of it.
 */
#include <sealane/device/mq-config.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "device/channel-key.h"
#include "device/json-position.h"

#define FILE_N_BYTES_MAX ((size_t)64 << 20)
#define PATH_N_BYTES 128

struct sea_mq_config {
	char *name;
	char *text;
	struct seai_json json;
	json_t *root;
	json_t *devices;                      /* borrowed of root */
	struct seai_json_place devices_place; /* of the array */
};

/* A value with where it is; path is for people. */
struct node {
	json_t *value;
	struct seai_json_place place;
	struct seai_json_place key_place; /* of its key; an item of an array has none: as place */
	char path[PATH_N_BYTES];
};

/* Who reads the channels of a device, and what to do about what is strange. */
struct reader {
	const struct sea_mq_config *config;
	struct sea_channel_list *list;
	bool is_strict;
	sea_warning_fn warning;
	void *userdata;
	struct sea_error *error; /* never NULL */
};

static int config_fail(const struct sea_mq_config *config, struct sea_error *error, int r,
                       const struct seai_json_place *place, const char *path, const char *text)
{
	if (!error)
		return r;
	snprintf(error->file, sizeof(error->file), "%s", config->name);
	error->line = place->line;
	error->column = place->column;
	return sea_error_set(error, r, path, "%s", text);
}

static int reader_fail(const struct reader *reader, int r, const struct node *node, const char *text)
{
	return config_fail(reader->config, reader->error, r, &node->place, node->path, text);
}

/* Tells of a key that is strange; an error if strict. */
static int reader_warn(const struct reader *reader, const struct node *node, const char *text)
{
	struct sea_error warning = { 0 };

	config_fail(reader->config, &warning, -ENOENT, &node->key_place, node->path, text);
	if (reader->is_strict) {
		*reader->error = warning;
		return -ENOENT;
	}
	if (reader->warning)
		reader->warning(&warning, reader->userdata);
	return 0;
}

/* A member of an object. @return whether it is there */
static bool node_member(const struct sea_mq_config *config, const struct node *node, const char *key,
                        struct node *ret_member)
{
	json_t *value = json_object_get(node->value, key);

	if (!value)
		return false;
	ret_member->value = value;
	ret_member->place = node->place;
	ret_member->key_place = node->place;
	(void)seai_json_member(&config->json, &node->place, key, strlen(key), &ret_member->key_place,
	                       &ret_member->place);
	snprintf(ret_member->path, sizeof(ret_member->path), "%.*s%s%s", PATH_N_BYTES / 2 + 32, node->path,
	         node->path[0] ? "." : "", key);
	return true;
}

/* From item to item of an array: before the first one item->value is NULL. @return whether there is one */
static bool node_next(const struct sea_mq_config *config, const struct node *array, size_t i, struct node *item)
{
	if (i >= json_array_size(array->value))
		return false;
	if (i == 0)
		(void)seai_json_first(&config->json, &array->place, &item->place);
	else
		(void)seai_json_next(&config->json, &item->place);
	item->value = json_array_get(array->value, i);
	item->key_place = item->place;
	snprintf(item->path, sizeof(item->path), "%.*s[%zu]", PATH_N_BYTES - 24, array->path, i);
	return true;
}

static bool word_is_among(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* One warning for each key of an object that is none of those known, nor of a channel if has_channel_keys. */
static int reader_check_keys(const struct reader *reader, const struct node *node, const char *const *known,
                             bool has_channel_keys)
{
	struct node member;
	const char *key;
	json_t *value;

	json_object_foreach(node->value, key, value)
	{
		int r;

		if (word_is_among(key, known) || (has_channel_keys && seai_channel_key_find(key) >= 0) ||
		    !node_member(reader->config, node, key, &member))
			continue;
		r = reader_warn(reader, &member, "is no key that is known here; it is ignored");
		if (r < 0)
			return r;
	}
	return 0;
}

/* Channels. ------------------------------------------------------------------------------- */

/* A value as the text that a command line would have. Texts of strings are borrowed, of others written to room. */
static const char *node_text(const struct node *node, char *room, size_t n_bytes)
{
	if (json_is_string(node->value))
		return json_string_value(node->value);
	if (json_is_boolean(node->value))
		return json_is_true(node->value) ? "true" : "false";
	snprintf(room, n_bytes, "%lld", (long long)json_integer_value(node->value));
	return room;
}

/* Whether a value is of a type that the key may have. */
static bool node_has_type(const struct node *node, enum seai_channel_key_kind kind)
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
static int reader_take_keys(const struct reader *reader, const struct node *node, struct sea_channel_config *config)
{
	for (int i = 0; i < SEA_CHANNEL_N_KEYS; i++) {
		const struct seai_channel_key *key = &seai_channel_keys[i];
		struct sea_error error = { 0 };
		struct node member;
		char origin[300], room[24];
		int r;

		if (!node_member(reader->config, node, key->name, &member))
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

static int reader_add(const struct reader *reader, const struct node *node, const struct sea_channel_config *common,
                      uint32_t i, const struct node *socket)
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

static int reader_take_sockets(const struct reader *reader, const struct node *node, const struct node *sockets,
                               const struct sea_channel_config *common)
{
	static const char *const known[] = { NULL };
	struct node socket = { 0 };
	uint32_t i;

	if (!json_is_array(sockets->value))
		return reader_fail(reader, -EINVAL, sockets, "is no array");
	for (i = 0; node_next(reader->config, sockets, i, &socket); i++) {
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
static int reader_take_common(const struct reader *reader, const struct node *node, struct sea_channel_config *common,
                              int64_t *ret_n_sockets)
{
	struct sea_error error = { 0 };
	struct node member;
	char room[24];
	int r;

	if (!node_member(reader->config, node, "name", &member)) {
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
	if (r < 0 || !node_member(reader->config, node, "numSockets", &member))
		return r;
	if (!node_has_type(&member, SEAI_CHANNEL_KEY_NUMBER))
		return reader_fail(reader, -EINVAL, &member, kind_name(SEAI_CHANNEL_KEY_NUMBER));
	r = seai_channel_n_sockets(node_text(&member, room, sizeof(room)), ret_n_sockets, &error);
	return r < 0 ? reader_fail(reader, r, &member, error.text) : 0;
}

static int reader_take_channel(const struct reader *reader, const struct node *node)
{
	static const char *const known[] = { "name", "numSockets", "sockets", NULL };
	SEAI_CLEANUP(sea_channel_config_fini) struct sea_channel_config common = { 0 };
	int64_t n_sockets = 0;
	struct node sockets;
	bool has_sockets;
	int r;

	if (!json_is_object(node->value))
		return reader_fail(reader, -EINVAL, node, "is no object");
	r = reader_check_keys(reader, node, known, true);
	if (r == 0)
		r = reader_take_common(reader, node, &common, &n_sockets);
	if (r < 0)
		return r;
	has_sockets = node_member(reader->config, node, "sockets", &sockets);
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

/* Devices. ------------------------------------------------------------------------------- */

/* The key of a device, else its id. NULL: neither is there; *ret_wrong: it is no string. */
static const char *device_name(const json_t *device)
{
	const json_t *name = json_object_get(device, "key");

	if (!name)
		name = json_object_get(device, "id");
	return json_string_value(name);
}

static struct node config_root(const struct sea_mq_config *config)
{
	struct node root = { .value = config->root, .place = { 0, 1, 1 } };

	(void)seai_json_root(&config->json, &root.place);
	root.key_place = root.place;
	return root;
}

static struct node config_devices(const struct sea_mq_config *config)
{
	struct node devices = { .value = config->devices,
		                .place = config->devices_place,
		                .key_place = config->devices_place,
		                .path = "devices" };

	return devices;
}

/* Looks at the frame of a file: that there are devices, and that each has a name of its own. */
static int config_check(struct sea_mq_config *config, struct sea_error *error)
{
	struct node node = config_root(config), member, device = { 0 };
	SEAI_CLEANUP(json_decrefp) json_t *names = json_object();

	if (!names)
		return sea_error_set(error, -ENOMEM, "", "no memory");
	if (!json_is_object(node.value))
		return config_fail(config, error, -EINVAL, &node.place, "", "is no object");
	if (!node_member(config, &node, "fairMQOptions", &member))
		return config_fail(config, error, -EINVAL, &node.place, "fairMQOptions", "is missing");
	if (!json_is_object(member.value))
		return config_fail(config, error, -EINVAL, &member.place, "fairMQOptions", "is no object");
	node = member;
	if (!node_member(config, &node, "devices", &member))
		return config_fail(config, error, -EINVAL, &node.place, "fairMQOptions.devices", "is missing");
	if (!json_is_array(member.value))
		return config_fail(config, error, -EINVAL, &member.place, "fairMQOptions.devices", "is no array");
	config->devices = member.value;
	config->devices_place = member.place;
	node = config_devices(config);
	for (size_t i = 0; node_next(config, &node, i, &device); i++) {
		bool has_key = node_member(config, &device, "key", &member);
		const char *name = device_name(device.value);

		if (!json_is_object(device.value))
			return config_fail(config, error, -EINVAL, &device.place, device.path, "is no object");
		if (!has_key && !node_member(config, &device, "id", &member))
			return config_fail(config, error, -EINVAL, &device.place, device.path,
			                   "has neither id nor key");
		if (!name || !*name)
			return config_fail(config, error, -EINVAL, &member.place, member.path,
			                   name ? "is empty" : "is no string");
		if (json_object_get(names, name))
			return config_fail(config, error, -EEXIST, &member.place, member.path,
			                   "is the name of a device before it as well");
		if (json_object_set_new(names, name, json_true()) < 0)
			return sea_error_set(error, -ENOMEM, "", "no memory");
	}
	return 0;
}

int sea_mq_config_parse(struct sea_mq_config **ret_config, const char *name, const char *text, size_t n_bytes,
                        struct sea_error *error)
{
	struct sea_mq_config *config = calloc(1, sizeof(*config));
	struct sea_error found = { 0 };
	json_error_t json_error;
	int r = -ENOMEM;

	if (!config)
		return sea_error_set(error, -ENOMEM, "", "no memory");
	config->name = strdup(name);
	config->text = malloc(n_bytes + 1);
	if (!config->name || !config->text) {
		sea_mq_config_close(config);
		return sea_error_set(error, -ENOMEM, "", "no memory");
	}
	memcpy(config->text, text, n_bytes);
	config->text[n_bytes] = 0;
	config->json = (struct seai_json){ config->text, n_bytes };
	config->root = json_loadb(config->text, n_bytes, JSON_REJECT_DUPLICATES, &json_error);
	if (config->root) {
		r = config_check(config, &found);
	} else if (json_error_code(&json_error) != json_error_out_of_memory) {
		struct seai_json_place place = { 0, json_error.line > 0 ? (unsigned)json_error.line : 1,
			                         json_error.column > 0 ? (unsigned)json_error.column : 1 };
		char text_of_it[240];

		snprintf(text_of_it, sizeof(text_of_it), "is not valid JSON: %s", json_error.text);
		r = config_fail(config, &found, -EINVAL, &place, "", text_of_it);
	}
	if (r < 0) {
		sea_mq_config_close(config);
		if (error)
			*error = found;
		return r;
	}
	*ret_config = config;
	return 0;
}

/* All of a file, which may be a pipe. */
static int file_read(int fd, char **ret_text, size_t *ret_n_bytes)
{
	SEAI_AUTO_FREE char *text = NULL;
	size_t n_bytes = 0, n_room = 0;

	for (;;) {
		ssize_t n;

		if (n_bytes == n_room) {
			size_t n_more = n_room ? n_room * 2 : 16384;
			char *more = n_room > FILE_N_BYTES_MAX ? NULL : realloc(text, n_more);

			if (!more)
				return n_room > FILE_N_BYTES_MAX ? -EFBIG : -ENOMEM;
			text = more;
			n_room = n_more;
		}
		n = read(fd, text + n_bytes, n_room - n_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		n_bytes += (size_t)n;
	}
	if (n_bytes > FILE_N_BYTES_MAX)
		return -EFBIG;
	*ret_text = SEAI_TAKE(text);
	*ret_n_bytes = n_bytes;
	return 0;
}

int sea_mq_config_open(struct sea_mq_config **ret_config, const char *path, struct sea_error *error)
{
	SEAI_AUTO_FREE char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;
	size_t n_bytes = 0;

	if (r == 0) {
		r = file_read(fd, &text, &n_bytes);
		close(fd);
	}
	if (r < 0 || !text) {
		if (error) {
			*error = (struct sea_error){ 0 };
			snprintf(error->file, sizeof(error->file), "%s", path);
		}
		return sea_error_set(error, r, "", "cannot be read: %s", strerror(-r));
	}
	return sea_mq_config_parse(ret_config, path, text, n_bytes, error);
}

struct sea_mq_config *sea_mq_config_close(struct sea_mq_config *config)
{
	if (config) {
		json_decref(config->root);
		free(config->text);
		free(config->name);
		free(config);
	}
	return NULL;
}

size_t sea_mq_config_n_devices(const struct sea_mq_config *config)
{
	return json_array_size(config->devices);
}

const char *sea_mq_config_device(const struct sea_mq_config *config, size_t i)
{
	return device_name(json_array_get(config->devices, i));
}

static int reader_take_device(const struct reader *reader, const struct node *device)
{
	static const char *const known[] = { "id",    "key",     "channels",   "exec", "args", "env",
		                             "count", "restart", "restartMax", "cpus", NULL };
	struct node channels, channel = { 0 };
	int r = reader_check_keys(reader, device, known, false);

	if (r < 0 || !node_member(reader->config, device, "channels", &channels))
		return r;
	if (!json_is_array(channels.value))
		return reader_fail(reader, -EINVAL, &channels, "is no array");
	for (size_t i = 0; r == 0 && node_next(reader->config, &channels, i, &channel); i++)
		r = reader_take_channel(reader, &channel);
	return r;
}

/* Keys beside and above the devices. */
static int reader_check_frame(const struct reader *reader)
{
	static const char *const outer[] = { "fairMQOptions", NULL }, *const inner[] = { "devices", NULL };
	struct node root = config_root(reader->config), options;
	int r = reader_check_keys(reader, &root, outer, false);

	if (r == 0 && node_member(reader->config, &root, "fairMQOptions", &options))
		r = reader_check_keys(reader, &options, inner, false);
	return r;
}

int sea_mq_config_channels(const struct sea_mq_config *config, const char *name, struct sea_channel_list *list,
                           bool is_strict, sea_warning_fn warning, void *userdata, struct sea_error *error)
{
	struct sea_error found = { 0 };
	struct sea_channel_list channels = { 0 };
	struct reader reader = { config, &channels, is_strict, warning, userdata, &found };
	struct node devices = config_devices(config), device = { 0 };
	bool is_found = false;
	int r = reader_check_frame(&reader);

	for (size_t i = 0; r == 0 && !is_found && node_next(config, &devices, i, &device); i++) {
		is_found = strcmp(device_name(device.value), name) == 0;
		if (is_found)
			r = reader_take_device(&reader, &device);
	}
	if (r == 0 && !is_found) {
		char text[200];

		snprintf(text, sizeof(text), "has no device whose key or id is '%.120s'", name);
		r = config_fail(config, &found, -ENOENT, &devices.place, "fairMQOptions.devices", text);
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
