/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane proxy`, `merger`, `splitter`, `multiplier`: what comes in goes out whole, without a copy. FairMQ's, with their options.
 *
 * They differ in one thing: which sub-channels of which channels a message goes to.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "devices.h"

#define ROUTE_N_OUT_MAX 64

struct route {
	char in[DEVICE_NAME_N_BYTES];
	char out[ROUTE_N_OUT_MAX][DEVICE_NAME_N_BYTES];
	unsigned n_out; /* several: the multiplier's alone */
	unsigned n_sub; /* of out[0] */
	unsigned next;
};

/* To the next sub-channel in turn; a proxy and a merger have one. */
static int route_on(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct route *route = userdata;
	unsigned to = route->next;

	(void)i;
	route->next = to + 1 < route->n_sub ? to + 1 : 0;
	return device_sent(route->out[0], sea_device_send(device, route->out[0], to, message));
}

/* To every sub-channel of every channel: the same memory, with one holder more each. */
static int route_to_all(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
{
	struct route *route = userdata;

	(void)i;
	for (unsigned j = 0; j < route->n_out; j++)
		for (unsigned k = 0, n = sea_device_n_channels(device, route->out[j]); k < n; k++) {
			bool is_last = j + 1 == route->n_out && k + 1 == n;
			struct sea_message *copy = is_last ? *message : sea_message_ref(*message);
			int r = device_sent(route->out[j], sea_device_send(device, route->out[j], k, &copy));

			if (is_last)
				*message = copy;
			else
				sea_message_unref(copy);
			if (r <= 0)
				return r;
		}
	return 1;
}

static int route_init(struct sea_device *device, struct route *route, sea_on_data_fn call)
{
	route->n_out = 0;
	device_name(device, "in-channel", route->in);
	return sea_device_on_data(device, route->in, call, route);
}

static int route_init_one(struct sea_device *device, void *userdata)
{
	return route_init(device, userdata, route_on);
}

static int route_init_all(struct sea_device *device, void *userdata)
{
	return route_init(device, userdata, route_to_all);
}

static int route_check_one(struct sea_device *device, void *userdata)
{
	struct route *route = userdata;
	int r = device_channel_name(device, "out-channel", route->out[0]);

	route->n_out = 1;
	route->n_sub = r == 0 ? sea_device_n_channels(device, route->out[0]) : 0;
	return r;
}

static int route_check_all(struct sea_device *device, void *userdata)
{
	struct route *route = userdata;
	struct sea_value *value;
	int r = sea_properties_get(sea_device_properties(device), "out-channel", &value);

	if (r < 0)
		return r;
	route->n_out = 0;
	for (uint64_t i = 0; i < value->n_items && i < ROUTE_N_OUT_MAX && r == 0; i++) {
		snprintf(route->out[route->n_out], DEVICE_NAME_N_BYTES, "%s", value->as.strings[i]);
		if (!sea_device_n_channels(device, route->out[route->n_out])) {
			sea_log(SEA_SEVERITY_ERROR, "channel %s (--out-channel) is not configured",
			        value->as.strings[i]);
			r = -ENOENT;
		}
		route->n_out++;
	}
	free(value);
	return r;
}

static int route_main(int argc, char **argv, bool is_multiplier, const char *about)
{
	const struct sea_option options[] = {
		{ .name = "in-channel", .default_text = "data-in", .help = "channel to receive from" },
		{ .name = "out-channel",
		  .type = is_multiplier ? SEA_VALUE_STRING_ARRAY : SEA_VALUE_STRING,
		  .default_text = "data-out",
		  .help = is_multiplier ? "channels to send on; may be given many times" : "channel to send on" },
		{ .name = "multipart",
		  .type = SEA_VALUE_BOOL,
		  .default_text = "true",
		  .effect = SEA_OPTION_NO_EFFECT,
		  .help = "messages of several parts",
		  .note = "messages of any number of parts are taken" },
		{ 0 },
	};
	struct route route = { 0 };

	return sea_device_main(argc, argv,
	                       &(struct sea_device_options){
				       .hooks = { .init = is_multiplier ? route_init_all : route_init_one,
	                                          .init_task = is_multiplier ? route_check_all : route_check_one,
	                                          .userdata = &route },
				       .options = options,
				       .about = about,
			       });
}

int proxy_main(int argc, char **argv)
{
	return route_main(argc, argv, false, "Sends on what it receives.");
}

int merger_main(int argc, char **argv)
{
	return route_main(argc, argv, false, "Sends what comes from several sub-channels on to one.");
}

int splitter_main(int argc, char **argv)
{
	return route_main(argc, argv, false, "Sends what it receives to its output's sub-channels in turn.");
}

int multiplier_main(int argc, char **argv)
{
	return route_main(argc, argv, true,
	                  "Sends what it receives to every sub-channel of every output, without a copy.");
}
