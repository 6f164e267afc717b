/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane sink`: receives messages, counts them, and may write them to a file. FairMQ's sink, with its options. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "devices.h"

struct sink {
	char channel[DEVICE_NAME_N_BYTES], path[1024];
	FILE *file;
	uint64_t n_max, n_bytes_max, n_written, n, n_bytes;
	struct timespec start, end;
};

static int sink_on_data(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct sink *sink = userdata;

	(void)device;
	(void)i;
	if (sink->n == 0)
		clock_gettime(CLOCK_MONOTONIC, &sink->start);
	for (size_t j = 0; sink->file && j < sea_message_n_parts(*message); j++) {
		struct sea_part part;
		int r = sea_message_get_part(*message, j, &part);

		if (r < 0)
			return r;
		if (sink->n_written + part.n_bytes > sink->n_bytes_max) {
			sea_log(SEA_SEVERITY_INFO, "%s: is full (--max-file-size)", sink->path);
			fclose(sink->file);
			sink->file = NULL;
			break;
		}
		if (part.n_bytes && fwrite(part.data, part.n_bytes, 1, sink->file) != 1) {
			sea_log(SEA_SEVERITY_ERROR, "%s: %s", sink->path, strerror(errno));
			return -EIO;
		}
		sink->n_written += part.n_bytes;
	}
	sink->n_bytes += sea_message_n_bytes(*message);
	return ++sink->n == sink->n_max ? 0 : 1;
}

static int sink_init(struct sea_device *device, void *userdata)
{
	struct sink *sink = userdata;

	device_name(device, "in-channel", sink->channel);
	return sea_device_on_data(device, sink->channel, sink_on_data, sink);
}

static int sink_init_task(struct sea_device *device, void *userdata)
{
	struct sea_properties *properties = sea_device_properties(device);
	struct sink *sink = userdata;

	sink->n_max = sea_properties_uint_or(properties, "max-iterations", 0);
	sink->n_bytes_max = sea_properties_uint_or(properties, "max-file-size", UINT64_C(2000000000));
	sea_properties_get_text(properties, "out-filename", sink->path, sizeof(sink->path));
	if (sink->path[0] && !sink->file) {
		sink->file = fopen(sink->path, "we");
		if (!sink->file) {
			sea_log(SEA_SEVERITY_ERROR, "%s: %s (--out-filename)", sink->path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static int sink_pre_run(struct sea_device *device, void *userdata)
{
	struct sink *sink = userdata;

	(void)device;
	sink->n = 0;
	sink->n_bytes = 0;
	return 0;
}

static int sink_post_run(struct sea_device *device, void *userdata)
{
	struct sink *sink = userdata;
	double seconds;

	(void)device;
	clock_gettime(CLOCK_MONOTONIC, &sink->end);
	seconds = sink->n ? (double)(sink->end.tv_sec - sink->start.tv_sec) +
	                            (double)(sink->end.tv_nsec - sink->start.tv_nsec) / 1e9
	                  : 0;
	sea_log(SEA_SEVERITY_INFO, "received %llu messages, %llu bytes in %.3f s: %.6g/s, %.6g MB/s",
	        (unsigned long long)sink->n, (unsigned long long)sink->n_bytes, seconds,
	        seconds > 0 ? (double)sink->n / seconds : 0, seconds > 0 ? (double)sink->n_bytes / seconds / 1e6 : 0);
	return 0;
}

static int sink_reset_task(struct sea_device *device, void *userdata)
{
	struct sink *sink = userdata;
	int r = 0;

	(void)device;
	if (sink->file && fclose(sink->file) != 0) {
		sea_log(SEA_SEVERITY_ERROR, "%s: %s", sink->path, strerror(errno));
		r = -EIO;
	}
	sink->file = NULL;
	return r;
}

int sink_main(int argc, char **argv)
{
	static const struct sea_option options[] = {
		{ .name = "in-channel", .default_text = "data", .help = "channel to receive from" },
		{ .name = "out-filename", .default_text = "", .help = "write what comes to this file" },
		{ .name = "max-file-size",
		  .type = SEA_VALUE_UINT,
		  .is_size = true,
		  .default_text = "2000000000",
		  .help = "most bytes of the file" },
		{ .name = "max-iterations",
		  .type = SEA_VALUE_UINT,
		  .default_text = "0",
		  .help = "end after so many messages; 0: never" },
		{ .name = "multipart",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "false",
		  .effect = SEA_OPTION_NO_EFFECT,
		  .help = "messages of several parts",
		  .note = "messages of any number of parts are taken" },
		{ 0 },
	};
	struct sink sink = { 0 };

	return sea_device_main(argc, argv,
	                       &(struct sea_device_options){
				       .hooks = { .init = sink_init,
	                                          .init_task = sink_init_task,
	                                          .pre_run = sink_pre_run,
	                                          .post_run = sink_post_run,
	                                          .reset_task = sink_reset_task,
	                                          .userdata = &sink },
				       .options = options,
				       .about = "Receives messages and counts them; may write them to a file.",
			       });
}
