/* SPDX-License-Identifier: Apache-2.0 */
/* What the ready-made devices share: options by name, and channels that are named by an option. */
#ifndef SEALANE_TOOLS_DEVICES_H
#define SEALANE_TOOLS_DEVICES_H

#include <sealane/device/device.h>
#include <sealane/sealane.h>

/* Longest name of a channel here. */
#define DEVICE_NAME_N_BYTES 64

/* The value of a string option. */
void device_name(struct sea_device *device, const char *option, char name[DEVICE_NAME_N_BYTES]);

/* As device_name(), and the channel has to be configured. 0; -ENOENT, which was logged. */
int device_channel_name(struct sea_device *device, const char *option, char name[DEVICE_NAME_N_BYTES]);

/* What a handler returns after a send: 1 go on; an error that means no failure is 0. */
int device_sent(const char *channel, int result);

#endif
