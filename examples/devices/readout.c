/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device that sends parts of a region, as a readout card's buffer is one: each part is used again when nobody holds it any more.
 * Channel: data. Ends after 1000 parts.
 */
#include <sealane/device/device.h>
#include <sealane/sealane.h>

#define N_SLOTS 16
#define N_BYTES 65536

struct readout {
	struct sea_region *region;
	uint64_t n_sent, n_back;
};

static int init_task(struct sea_device *device, void *userdata)
{
	struct readout *readout = userdata;
	struct sea_region_options options = { .n_bytes = N_SLOTS * N_BYTES, .name = "card" };
	struct sea_session *session;
	int r = sea_device_session(device, &session);

	return r < 0 ? r : sea_region_new(&readout->region, session, &options);
}

static int run(struct sea_device *device, void *userdata)
{
	struct readout *readout = userdata;
	struct sea_region_block released[N_SLOTS];
	struct sea_message *message;
	uint8_t *slot = (uint8_t *)sea_region_data(readout->region) + readout->n_sent % N_SLOTS * N_BYTES;

	/* Slots come back in order here: there is one receiver. */
	while (readout->n_sent - readout->n_back >= N_SLOTS) {
		int n = sea_region_take_released(readout->region, released, N_SLOTS);

		readout->n_back += n > 0 ? (uint64_t)n : 0;
		if (n <= 0 && sea_machine_wait_for(sea_device_machine(device), 100000) < 0)
			return 0;
	}
	*(uint64_t *)(void *)slot = readout->n_sent;
	if (sea_message_new_in_region(&message, readout->region, slot, N_BYTES, readout->n_sent) < 0)
		return -1;
	if (sea_device_send(device, "data", 0, &message) < 0) {
		sea_message_unref(message);
		return 0;
	}
	return ++readout->n_sent < 1000;
}

static int reset_task(struct sea_device *device, void *userdata)
{
	struct readout *readout = userdata;
	struct sea_region_stats stats;

	(void)device;
	sea_region_close(readout->region, &stats);
	return 0;
}

int main(int argc, char **argv)
{
	struct readout readout = { 0 };

	return sea_device_main(argc, argv,
	                       &(struct sea_device_options){ .hooks = { .init_task = init_task,
	                                                                .conditional_run = run,
	                                                                .reset_task = reset_task,
	                                                                .userdata = &readout } });
}
