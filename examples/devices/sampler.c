/* SPDX-License-Identifier: Apache-2.0 */
/* A device that sends: 1000 messages with a number each. Channel: data. */
#include <sealane/device/device.h>
#include <sealane/sealane.h>

static int run(struct sea_device *device, void *userdata)
{
	uint64_t *n = userdata;
	struct sea_message *message;

	if (sea_device_new_message(device, &message, 100000, 0) < 0)
		return 0;
	*(uint64_t *)sea_message_write(message) = *n;
	if (sea_device_send(device, "data", 0, &message) < 0)
		sea_message_unref(message);
	return ++*n < 1000;
}

int main(int argc, char **argv)
{
	static const struct sea_device_endpoint endpoints[] = { { "data", 1, 1 }, { 0 } };
	uint64_t n = 0;

	return sea_device_main(argc, argv,
	                       &(struct sea_device_options){ .hooks = { .conditional_run = run, .userdata = &n },
	                                                     .endpoints = endpoints });
}
