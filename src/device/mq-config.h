/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FairMQ's JSON files inside: mq-config.c reads a file and knows its devices, mq-config-channels.c the channels of one.
 *
 * The odd rule: beside each value of jansson goes its place in the text, which jansson does not keep, so that whatever is wrong has a line
 * and a column.
 */
#ifndef SEALANE_DEVICE_MQ_CONFIG_PRIVATE_H
#define SEALANE_DEVICE_MQ_CONFIG_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>

#include <sealane/device/mq-config.h>

#include "device/json-position.h"

#define SEAI_MQ_PATH_N_BYTES 128

struct sea_mq_config {
	char *name;
	char *text;
	struct seai_json json;
	json_t *root;
	json_t *devices;                      /* borrowed of root */
	struct seai_json_place devices_place; /* of the array */
};

/* A value with where it is; path is for people. */
struct seai_mq_node {
	json_t *value;
	struct seai_json_place place;
	struct seai_json_place key_place; /* of its key; an item of an array has none: as place */
	char path[SEAI_MQ_PATH_N_BYTES];
};

/* Fills an error that may be NULL. Returns r. */
int seai_mq_fail(const struct sea_mq_config *config, struct sea_error *error, int r,
                 const struct seai_json_place *place, const char *path, const char *text);
/* A member of an object. @return whether it is there */
bool seai_mq_member(const struct sea_mq_config *config, const struct seai_mq_node *node, const char *key,
                    struct seai_mq_node *ret_member);
/* From item to item of an array: before the first one item->value is NULL. @return whether there is one */
bool seai_mq_next(const struct sea_mq_config *config, const struct seai_mq_node *array, size_t i,
                  struct seai_mq_node *item);
/* The whole, and the array of devices. */
struct seai_mq_node seai_mq_root(const struct sea_mq_config *config);
struct seai_mq_node seai_mq_devices(const struct sea_mq_config *config);
/* The key of a device, else its id. NULL: neither is there, or it is no string. */
const char *seai_mq_device_name(const json_t *device);

#endif
