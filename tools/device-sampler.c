/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane sampler`: sends messages of one size as fast as they go, or at a rate. FairMQ's bsampler, with its options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "devices.h"

struct sampler {
	char channel[DEVICE_NAME_N_BYTES];
	bool must_set, is_multipart;
	uint64_t n_parts, n_bytes, alignment, n_max, n_sent;
	double rate_hz;
	int64_t start_ns;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int sampler_init_task(struct sea_device *device, void *userdata)
{
	struct sea_properties *properties = sea_device_properties(device);
	struct sampler *sampler = userdata;

	sampler->must_set = sea_properties_bool_or(properties, "memset", false);
	sampler->is_multipart = sea_properties_bool_or(properties, "multipart", false);
	sampler->n_parts = sampler->is_multipart ? sea_properties_uint_or(properties, "num-parts", 1) : 1;
	sampler->n_bytes = sea_properties_uint_or(properties, "msg-size", 1000000);
	sampler->alignment = sea_properties_uint_or(properties, "msg-alignment", 0);
	sampler->n_max = sea_properties_uint_or(properties, "max-iterations", 0);
	sampler->rate_hz = sea_properties_double_or(properties, "msg-rate", 0);
	return device_channel_name(device, "out-channel", sampler->channel);
}

static int sampler_pre_run(struct sea_device *device, void *userdata)
{
	struct sampler *sampler = userdata;

	(void)device;
	sampler->n_sent = 0;
	sampler->start_ns = now_ns();
	return 0;
}

/* The next message. 0; -ECANCELED; errors of memory. */
static int sampler_make(struct sea_device *device, const struct sampler *sampler, struct sea_message **ret_message)
{
	struct sea_frame_options options = { .n_parts_hint = (uint32_t)sampler->n_parts };
	struct sea_frame *frame = NULL;
	struct sea_heap *heap;
	int r;

	if (sampler->n_parts == 1) {
		r = sea_device_new_message(device, ret_message, sampler->n_bytes, sampler->alignment);
		if (r == 0 && sampler->must_set && sampler->n_bytes)
			memset(sea_message_write(*ret_message), 0, sampler->n_bytes);
		return r;
	}
	r = sea_device_heap(device, &heap);
	options.n_bytes_max[0] = sampler->n_parts * (sampler->n_bytes + (sampler->alignment ? sampler->alignment : 64));
	while (r == 0 && !frame) {
		r = sea_frame_new(&frame, heap, &options, INT64_C(20000000));
		/* As a message of one part waits: until there is memory, or the state ends. */
		if (r == -ETIMEDOUT || r == -ENOMEM || r == -EINTR)
			r = sea_device_is_pending(device) ? -ECANCELED : 0;
	}
	for (uint64_t i = 0; i < sampler->n_parts && r >= 0; i++) {
		void *data;

		r = sea_frame_add(frame, sampler->n_bytes, sampler->alignment, &data);
		if (r >= 0 && sampler->must_set && sampler->n_bytes)
			memset(data, 0, sampler->n_bytes);
	}
	if (r >= 0)
		r = sea_frame_seal(&frame, ret_message);
	if (r < 0)
		sea_frame_free(frame);
	return r < 0 ? r : 0;
}

static int sampler_send(struct sea_device *device, void *userdata)
{
	struct sampler *sampler = userdata;
	struct sea_message *message = NULL;
	int r;

	if (sampler->rate_hz > 0) {
		int64_t due_ns = sampler->start_ns + (int64_t)((double)sampler->n_sent * 1e9 / sampler->rate_hz);
		int64_t left_ns = due_ns - now_ns();

		if (left_ns > 0 && sea_machine_wait_for(sea_device_machine(device), left_ns) < 0)
			return 0;
	}
	r = sampler_make(device, sampler, &message);
	if (r < 0) {
		if (r == -ECANCELED)
			return 0;
		sea_log(SEA_SEVERITY_ERROR, "no memory for a message of %llu bytes: %s",
		        (unsigned long long)(sampler->n_bytes * sampler->n_parts), sea_error_text(r));
		return r;
	}
	/* The channel's, not the sub-channels': they take turns as its peers do. */
	r = device_sent(sampler->channel,
	                sea_device_send(device, sampler->channel,
	                                (unsigned)(sampler->n_sent % sea_device_n_channels(device, sampler->channel)),
	                                &message));
	if (message)
		sea_message_unref(message);
	else
		sampler->n_sent++;
	return r > 0 && sampler->n_max && sampler->n_sent >= sampler->n_max ? 0 : r;
}

static int sampler_post_run(struct sea_device *device, void *userdata)
{
	const struct sampler *sampler = userdata;
	double seconds = (double)(now_ns() - sampler->start_ns) / 1e9;

	(void)device;
	sea_log(SEA_SEVERITY_INFO, "sent %llu messages in %.3f s: %.6g/s, %.6g MB/s",
	        (unsigned long long)sampler->n_sent, seconds, (double)sampler->n_sent / seconds,
	        (double)sampler->n_sent * (double)(sampler->n_bytes * sampler->n_parts) / seconds / 1e6);
	return 0;
}

int sampler_main(int argc, char **argv)
{
	static const struct sea_option options[] = {
		{ .name = "out-channel", .default_text = "data", .help = "channel to send on" },
		{ .name = "multipart",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "false",
		  .help = "messages of several parts" },
		{ .name = "memset", .type = SEA_VALUE_BOOL, .default_text = "false", .help = "set the bytes to 0" },
		{ .name = "num-parts",
		  .type = SEA_VALUE_UINT,
		  .default_text = "1",
		  .min = 1,
		  .max = 1 << 20,
		  .help = "parts of a message, with --multipart" },
		{ .name = "msg-size",
		  .type = SEA_VALUE_UINT,
		  .default_text = "1000000",
		  .is_size = true,
		  .help = "bytes of a message, or of each of its parts" },
		{ .name = "msg-alignment",
		  .type = SEA_VALUE_UINT,
		  .default_text = "0",
		  .help = "alignment of the bytes: a power of two; 0: 64" },
		{ .name = "max-iterations",
		  .type = SEA_VALUE_UINT,
		  .default_text = "0",
		  .help = "end after so many messages; 0: never" },
		{ .name = "msg-rate",
		  .type = SEA_VALUE_DOUBLE,
		  .default_text = "0",
		  .help = "messages per second; 0: as fast as they go" },
		{ 0 },
	};
	struct sampler sampler = { 0 };

	return sea_device_main(argc, argv,
	                       &(struct sea_device_options){
				       .hooks = { .init_task = sampler_init_task,
	                                          .pre_run = sampler_pre_run,
	                                          .conditional_run = sampler_send,
	                                          .post_run = sampler_post_run,
	                                          .userdata = &sampler },
				       .options = options,
				       .about = "Sends messages of one size, as fast as they go or at a rate.",
			       });
}
