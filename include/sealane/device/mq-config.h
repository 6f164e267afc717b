/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON file of FairMQ's grammar, `--mq-config FILE`: the devices of a topology and their channels.
 *
 *	{ "fairMQOptions": { "devices": [
 *		{ "id": "sampler", "channels": [
 *			{ "name": "data", "type": "push", "method": "bind", "sockets": [ { "address": "tcp://127.0.0.1:5555" } ] } ] } ] } }
 *
 * What a channel says holds for its sockets, which may say otherwise. Every error has the line and the column of what is wrong.
 */
#ifndef SEALANE_DEVICE_MQ_CONFIG_H
#define SEALANE_DEVICE_MQ_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include <sealane/device/channel-config.h>
#include <sealane/device/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_mq_config;

/**
 * Reads a file.
 * @param ret_config receives it; the caller closes it
 * @param error may be NULL
 * @return 0; -EINVAL it is no JSON, or its devices are no array of objects, or one has neither id nor key; -EEXIST two devices have
 *         one name; -EFBIG above 64 MiB; -ENOMEM; an error of opening and reading. Any thread. Since 0.3.
 */
int sea_mq_config_open(struct sea_mq_config **ret_config, const char *path, struct sea_error *error);

/**
 * As sea_mq_config_open(), of text that is there.
 * @param name for errors, as a file's name
 * @return as sea_mq_config_open(). Any thread. Since 0.3.
 */
int sea_mq_config_parse(struct sea_mq_config **ret_config, const char *name, const char *text, size_t n_bytes,
                        struct sea_error *error);

/** Frees it. @param config NULL is allowed. @return NULL. Since 0.3. */
struct sea_mq_config *sea_mq_config_close(struct sea_mq_config *config);

/** How many devices it has. Any thread. Since 0.3. */
size_t sea_mq_config_n_devices(const struct sea_mq_config *config);

/** What a device is found by: its key, else its id. NULL behind the last. Borrowed. Any thread. Since 0.3. */
const char *sea_mq_config_device(const struct sea_mq_config *config, size_t i);

/**
 * Reads the channels of a device.
 *
 * @param name as sea_mq_config_device(): what --config-key, else --id, says
 * @param list all zero or empty; receives the channels
 * @param is_strict what would be a warning is an error
 * @param warning may be NULL; is told of each unknown key. exec, args, env, count, restart, restartMax, cpus of a device are known:
 *        `sealane run` reads them
 * @param error may be NULL
 * @return 0; -ENOENT no device of that name, or with is_strict an unknown key; -EINVAL a value of a wrong type, or a word that is none of
 *         the key's; -ERANGE a number out of its range; -EEXIST two channels of one name; -ENOMEM. Any thread. Since 0.3.
 */
int sea_mq_config_channels(const struct sea_mq_config *config, const char *name, struct sea_channel_list *list,
                           bool is_strict, sea_warning_fn warning, void *userdata, struct sea_error *error);

/**
 * Where a value stands in JSON text.
 *
 * @param path as "fairMQOptions.devices[0].id"; a key with dots or brackets as ["a.b"]. Empty: the whole
 * @param ret_line, ret_column receive the place of its first character, or of its key if is_key; from 1, columns in characters
 * @return 0; -ENOENT there is no such value; -EINVAL a malformed path, or no JSON on the way. Any thread. Since 0.3.
 */
int sea_json_position(const char *text, size_t n_bytes, const char *path, bool is_key, unsigned *ret_line,
                      unsigned *ret_column);

#ifdef __cplusplus
}
#endif
#endif
