/* SPDX-License-Identifier: Apache-2.0 */
/* See devices.h. */
#include "devices.h"

#include <errno.h>
#include <stdio.h>

void device_name(struct sea_device *device, const char *option, char name[DEVICE_NAME_N_BYTES])
{
	name[0] = 0;
	sea_properties_get_text(sea_device_properties(device), option, name, DEVICE_NAME_N_BYTES);
}

int device_channel_name(struct sea_device *device, const char *option, char name[DEVICE_NAME_N_BYTES])
{
	device_name(device, option, name);
	if (sea_device_n_channels(device, name))
		return 0;
	sea_log(SEA_SEVERITY_ERROR, "channel %s (--%s) is not configured: give it by --channel-config or --mq-config",
	        name, option);
	return -ENOENT;
}

int device_sent(const char *channel, int result)
{
	if (result >= 0)
		return 1;
	/* The state ends: what was not sent is let go. */
	if (result == -ECANCELED)
		return 0;
	if (result == -ETIMEDOUT || result == -EAGAIN)
		return 1;
	sea_log(SEA_SEVERITY_ERROR, "%s: cannot send: %s", channel, sea_error_text(result));
	return result;
}
