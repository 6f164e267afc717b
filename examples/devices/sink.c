/* SPDX-License-Identifier: Apache-2.0 */
/* A device that receives: it ends when it has seen the messages 0 to 999, each once. Channel: data. */
#include <sealane/device/device.h>
#include <sealane/sealane.h>

static int on_data(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	unsigned *seen = userdata;
	uint64_t n = *(const uint64_t *)sea_message_data(*message);

	(void)device, (void)i;
	if (n >= 1000 || seen[n]++)
		return -1;
	return ++seen[1000] < 1000;
}

static int init(struct sea_device *device, void *userdata)
{
	return sea_device_on_data(device, "data", on_data, userdata);
}

int main(int argc, char **argv)
{
	static unsigned seen[1001];

	return sea_device_main(argc, argv, &(struct sea_device_options){ .hooks = { .init = init, .userdata = seen } });
}
