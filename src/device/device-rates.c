/* SPDX-License-Identifier: Apache-2.0 */
/* Lines with rates: name[i]: in: <messages/s> (<MB/s> MB) out: ..., every rateLogging seconds for each channel, while the device runs. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "device/device.h"

struct rate {
	struct sea_device_counts before;
	int64_t at_ns;
};

static void rate_print(const struct seai_device_channel *channel, const struct rate *rate,
                       const struct sea_device_counts *now, int64_t now_ns)
{
	double seconds = (double)(now_ns - rate->at_ns) / 1e9;

	sea_log(SEA_SEVERITY_INFO, "%s: in: %.6g (%.6g MB) out: %.6g (%.6g MB)", channel->label,
	        (double)(now->n_in - rate->before.n_in) / seconds,
	        (double)(now->n_bytes_in - rate->before.n_bytes_in) / seconds / 1e6,
	        (double)(now->n_out - rate->before.n_out) / seconds,
	        (double)(now->n_bytes_out - rate->before.n_bytes_out) / seconds / 1e6);
}

static void *rates_main(void *argument)
{
	struct sea_device *device = argument;
	struct rate *rates = calloc(device->n_channels ? device->n_channels : 1, sizeof(*rates));
	int64_t next_ns = seai_now_ns();

	for (size_t i = 0; rates && i < device->n_channels; i++)
		rates[i].at_ns = next_ns;
	while (rates) {
		int64_t now_ns;

		next_ns += SEAI_NS_PER_S;
		now_ns = seai_now_ns();
		if (sea_machine_wait_for(device->machine, next_ns > now_ns ? next_ns - now_ns : 0) < 0)
			break;
		now_ns = seai_now_ns();
		/* The channels stay as long as this thread: it ends before they are closed. */
		for (size_t i = 0; i < device->n_channels; i++) {
			const struct seai_device_channel *channel = &device->channels[i];
			struct sea_device_counts counts;

			if (channel->config.rate_logging_s <= 0 ||
			    now_ns - rates[i].at_ns <
			            channel->config.rate_logging_s * SEAI_NS_PER_S - SEAI_NS_PER_S / 2)
				continue;
			if (sea_device_get_counts(device, channel->config.name, channel->config.i, &counts) < 0)
				continue;
			rate_print(channel, &rates[i], &counts, now_ns);
			rates[i] = (struct rate){ counts, now_ns };
		}
	}
	free(rates);
	return NULL;
}

int seai_rates_start(struct sea_device *device)
{
	bool is_wanted = false;

	for (size_t i = 0; i < device->n_channels; i++)
		is_wanted |= device->channels[i].config.rate_logging_s > 0;
	if (!is_wanted || !sea_log_wants(SEA_SEVERITY_INFO))
		return 0;
	device->has_rates = pthread_create(&device->rates, NULL, rates_main, device) == 0;
	return device->has_rates ? 0 : -EAGAIN;
}

void seai_rates_stop(struct sea_device *device)
{
	if (!device->has_rates)
		return;
	/* Where a hook has failed nothing is pending yet. */
	sea_machine_interrupt(device->machine);
	pthread_join(device->rates, NULL);
	device->has_rates = false;
}
