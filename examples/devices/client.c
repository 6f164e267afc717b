/* SPDX-License-Identifier: Apache-2.0 */
/* A device that asks: 1000 requests, each answered before the next. Channel: svc. */
#include <string.h>

#include <sealane/device/device.h>
#include <sealane/sealane.h>

static int run(struct sea_device *device, void *userdata)
{
	uint64_t *n = userdata;
	struct sea_message *message;
	int is_right;

	if (sea_device_new_message(device, &message, 8, 0) < 0)
		return 0;
	memcpy(sea_message_write(message), n, 8);
	if (sea_device_send(device, "svc", 0, &message) < 0) {
		sea_message_unref(message);
		return 0;
	}
	if (sea_device_receive(device, "svc", 0, &message) < 0)
		return 0;
	is_right = sea_message_size(message) == 8 && memcmp(sea_message_data(message), n, 8) == 0;
	sea_message_unref(message);
	return !is_right ? -1 : ++*n < 1000;
}

int main(int argc, char **argv)
{
	uint64_t n = 0;

	return sea_device_main(argc, argv,
	                       &(struct sea_device_options){ .hooks = { .conditional_run = run, .userdata = &n } });
}
