/* SPDX-License-Identifier: Apache-2.0 */
/* FairMQ's JSON files: read, and their devices; see mq-config.h. */
#include "device/mq-config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FILE_N_BYTES_MAX ((size_t)64 << 20)

int seai_mq_fail(const struct sea_mq_config *config, struct sea_error *error, int r,
                 const struct seai_json_place *place, const char *path, const char *text)
{
	if (!error)
		return r;
	snprintf(error->file, sizeof(error->file), "%s", config->name);
	error->line = place->line;
	error->column = place->column;
	return sea_error_set(error, r, path, "%s", text);
}

bool seai_mq_member(const struct sea_mq_config *config, const struct seai_mq_node *node, const char *key,
                    struct seai_mq_node *ret_member)
{
	json_t *value = json_object_get(node->value, key);

	if (!value)
		return false;
	ret_member->value = value;
	ret_member->place = node->place;
	ret_member->key_place = node->place;
	(void)seai_json_member(&config->json, &node->place, key, strlen(key), &ret_member->key_place,
	                       &ret_member->place);
	snprintf(ret_member->path, sizeof(ret_member->path), "%.*s%s%s", SEAI_MQ_PATH_N_BYTES / 2 + 32, node->path,
	         node->path[0] ? "." : "", key);
	return true;
}

bool seai_mq_next(const struct sea_mq_config *config, const struct seai_mq_node *array, size_t i,
                  struct seai_mq_node *item)
{
	if (i >= json_array_size(array->value))
		return false;
	if (i == 0)
		(void)seai_json_first(&config->json, &array->place, &item->place);
	else
		(void)seai_json_next(&config->json, &item->place);
	item->value = json_array_get(array->value, i);
	item->key_place = item->place;
	snprintf(item->path, sizeof(item->path), "%.*s[%zu]", SEAI_MQ_PATH_N_BYTES - 24, array->path, i);
	return true;
}

const char *seai_mq_device_name(const json_t *device)
{
	const json_t *name = json_object_get(device, "key");

	if (!name)
		name = json_object_get(device, "id");
	return json_string_value(name);
}

struct seai_mq_node seai_mq_root(const struct sea_mq_config *config)
{
	struct seai_mq_node root = { .value = config->root, .place = { 0, 1, 1 } };

	(void)seai_json_root(&config->json, &root.place);
	root.key_place = root.place;
	return root;
}

struct seai_mq_node seai_mq_devices(const struct sea_mq_config *config)
{
	struct seai_mq_node devices = { .value = config->devices,
		                        .place = config->devices_place,
		                        .key_place = config->devices_place,
		                        .path = "devices" };

	return devices;
}

/* Looks at the frame of a file: that there are devices, and that each has a name of its own. */
static int config_check(struct sea_mq_config *config, struct sea_error *error)
{
	struct seai_mq_node node = seai_mq_root(config), member, device = { 0 };
	SEAI_CLEANUP(json_decrefp) json_t *names = json_object();

	if (!names)
		return sea_error_set(error, -ENOMEM, "", "no memory");
	if (!json_is_object(node.value))
		return seai_mq_fail(config, error, -EINVAL, &node.place, "", "is no object");
	if (!seai_mq_member(config, &node, "fairMQOptions", &member))
		return seai_mq_fail(config, error, -EINVAL, &node.place, "fairMQOptions", "is missing");
	if (!json_is_object(member.value))
		return seai_mq_fail(config, error, -EINVAL, &member.place, "fairMQOptions", "is no object");
	node = member;
	if (!seai_mq_member(config, &node, "devices", &member))
		return seai_mq_fail(config, error, -EINVAL, &node.place, "fairMQOptions.devices", "is missing");
	if (!json_is_array(member.value))
		return seai_mq_fail(config, error, -EINVAL, &member.place, "fairMQOptions.devices", "is no array");
	config->devices = member.value;
	config->devices_place = member.place;
	node = seai_mq_devices(config);
	for (size_t i = 0; seai_mq_next(config, &node, i, &device); i++) {
		bool has_key = seai_mq_member(config, &device, "key", &member);
		const char *name = seai_mq_device_name(device.value);

		if (!json_is_object(device.value))
			return seai_mq_fail(config, error, -EINVAL, &device.place, device.path, "is no object");
		if (!has_key && !seai_mq_member(config, &device, "id", &member))
			return seai_mq_fail(config, error, -EINVAL, &device.place, device.path,
			                    "has neither id nor key");
		if (!name || !*name)
			return seai_mq_fail(config, error, -EINVAL, &member.place, member.path,
			                    name ? "is empty" : "is no string");
		if (json_object_get(names, name))
			return seai_mq_fail(config, error, -EEXIST, &member.place, member.path,
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
		r = seai_mq_fail(config, &found, -EINVAL, &place, "", text_of_it);
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
	return seai_mq_device_name(json_array_get(config->devices, i));
}
