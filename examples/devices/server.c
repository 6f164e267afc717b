/* SPDX-License-Identifier: Apache-2.0 */
/* A device that answers each request with its own bytes, until it is told to stop. Channel: svc. */
#include <sealane/device/device.h>
#include <sealane/sealane.h>

static int on_request(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	(void)userdata;
	/* Who is gone meanwhile gets no answer. */
	(void)sea_device_send(device, "svc", i, message);
	return 1;
}

static int init(struct sea_device *device, void *userdata)
{
	return sea_device_on_data(device, "svc", on_request, userdata);
}

int main(int argc, char **argv)
{
	return sea_device_main(argc, argv, &(struct sea_device_options){ .hooks = { .init = init } });
}
