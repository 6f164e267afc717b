/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels of a device: made of what the properties say at the end of INITIALIZING DEVICE, bound, connected, closed.
 *
 * The odd rule: an address that was chosen here goes back into the properties, from where a controller gives it to the other side; and a
 * side that connects looks there again and again until it has one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "device/device.h"

/* How often a missing address is looked for. */
#define CONNECT_LOOK_NS (50 * SEAI_NS_PER_MS)
/* Ports that are tried before a bind is given up: FairMQ's number. */
#define BIND_N_TRIES 1000

struct seai_device_channel *seai_device_find(const struct sea_device *device, const char *name, unsigned i)
{
	for (size_t n = 0; n < device->n_channels; n++)
		if (device->channels[n].config.i == i && strcmp(device->channels[n].config.name, name) == 0)
			return &device->channels[n];
	return NULL;
}

int seai_device_check_endpoints(struct sea_device *device, const struct sea_channel_list *list, struct sea_error *error)
{
	for (const struct sea_device_endpoint *endpoint = device->options.endpoints; endpoint && endpoint->name;
	     endpoint++) {
		unsigned n = sea_channel_list_count(list, endpoint->name);

		if (n < endpoint->n_min)
			return sea_error_set(
				error, -EINVAL, endpoint->name,
				"this device needs at least %u channel%s of this name, and %u %s configured",
				endpoint->n_min, endpoint->n_min == 1 ? "" : "s", n, n == 1 ? "is" : "are");
		if (endpoint->n_max && n > endpoint->n_max)
			return sea_error_set(
				error, -EINVAL, endpoint->name,
				"this device takes at most %u channel%s of this name, and %u are configured",
				endpoint->n_max, endpoint->n_max == 1 ? "" : "s", n);
	}
	return 0;
}

static int32_t channel_buf(int32_t size)
{
	return size == 0 ? (int32_t)SEA_CHANNEL_BUF_MAX : size;
}

static int64_t timeout_of(int32_t ms)
{
	return ms < 0 ? -1 : ms * SEAI_NS_PER_MS;
}

static bool channel_is_zeromq(const struct sea_device *device, const struct sea_channel_config *config)
{
	char text[16] = "";

	if (config->transport != SEA_CHANNEL_TRANSPORT_DEFAULT)
		return config->transport == SEA_CHANNEL_TRANSPORT_ZEROMQ;
	sea_properties_get_text(device->properties, "transport", text, sizeof(text));
	return strcmp(text, "zeromq") == 0;
}

static int channel_open(struct seai_device_channel *channel)
{
	static const enum sea_pattern patterns[] = {
		[SEA_CHANNEL_TYPE_PUSH] = SEA_PUSH,     [SEA_CHANNEL_TYPE_PULL] = SEA_PULL,
		[SEA_CHANNEL_TYPE_PAIR] = SEA_PAIR,     [SEA_CHANNEL_TYPE_REQ] = SEA_REQ,
		[SEA_CHANNEL_TYPE_REP] = SEA_REP,       [SEA_CHANNEL_TYPE_PUB] = SEA_PUB,
		[SEA_CHANNEL_TYPE_SUB] = SEA_SUB,       [SEA_CHANNEL_TYPE_XPUB] = SEA_XPUB,
		[SEA_CHANNEL_TYPE_XSUB] = SEA_XSUB,     [SEA_CHANNEL_TYPE_DEALER] = SEA_DEALER,
		[SEA_CHANNEL_TYPE_ROUTER] = SEA_ROUTER,
	};
	const struct sea_channel_config *config = &channel->config;
	struct sea_channel_options options = {
		.sndbuf = channel_buf(config->snd_buf_size),
		.rcvbuf = channel_buf(config->rcv_buf_size),
		.linger_ns = config->linger_ms < 0    ? -1
		             : config->linger_ms == 0 ? 1
		                                      : config->linger_ms * SEAI_NS_PER_MS,
		.sndkernel_n_bytes = config->snd_kernel_size,
		.rcvkernel_n_bytes = config->rcv_kernel_size,
	};
	struct sea_device *device = channel->device;
	struct sea_channel *made = NULL;
	struct sea_session *session;
	int r = sea_device_session(device, &session);

	if (r < 0)
		return r;
	channel->is_zeromq = channel_is_zeromq(channel->device, config);
	if (channel->is_zeromq)
		options.transport = SEA_TRANSPORT_ZEROMQ;
	else if (config->type == SEA_CHANNEL_TYPE_PUSH)
		/* What a receiver that died had not dealt with is work for the others. */
		options.orphans = SEA_ORPHANS_RESEND;
	r = sea_channel_new(&made, session, patterns[config->type], &options);
	/* As FairMQ: who says nothing else wants everything. */
	if (r == 0 && config->type == SEA_CHANNEL_TYPE_SUB)
		r = sea_channel_subscribe(made, "", 0);
	pthread_mutex_lock(&device->channels_lock);
	channel->channel = made;
	if (made && device->is_interrupted)
		sea_channel_hold(made);
	pthread_mutex_unlock(&device->channels_lock);
	if (r < 0)
		sea_log(SEA_SEVERITY_ERROR, "%s: cannot be made: %s", channel->label, sea_error_text(r));
	channel->snd_timeout_ns = timeout_of(config->snd_timeout_ms);
	channel->rcv_timeout_ns = timeout_of(config->rcv_timeout_ms);
	return r;
}

/* A bound channel that says no address gets one of this machine, with a port that is free. */
static int channel_give_address(struct seai_device_channel *channel)
{
	char interface[64] = "default", host[64], address[128];
	int r;

	if (channel->config.method != SEA_CHANNEL_METHOD_BIND ||
	    (channel->config.address[0] && strcmp(channel->config.address, "unspecified") != 0))
		return 0;
	sea_properties_get_text(channel->device->properties, "network-interface", interface, sizeof(interface));
	r = seai_address_of_interface(interface, host, sizeof(host));
	if (r < 0) {
		sea_log(SEA_SEVERITY_ERROR, "%s: interface %s has no address (--network-interface)", channel->label,
		        interface);
		return r;
	}
	snprintf(address, sizeof(address), "tcp://%s:1", host);
	free(channel->config.address);
	channel->config.address = strdup(address);
	return channel->config.address ? 0 : -ENOMEM;
}

int seai_device_make_channels(struct sea_device *device)
{
	struct sea_channel_list list = { 0 };
	struct sea_error error = { 0 };
	char line[700];
	int r = sea_channel_list_load(&list, device->properties, &error);

	if (r == 0)
		r = seai_device_check_endpoints(device, &list, &error);
	if (r < 0) {
		sea_log(SEA_SEVERITY_ERROR, "%s", sea_error_line(&error, line, sizeof(line)));
		sea_channel_list_fini(&list);
		return r;
	}
	pthread_mutex_lock(&device->channels_lock);
	device->channels = calloc(list.n_channels ? list.n_channels : 1, sizeof(*device->channels));
	for (size_t i = 0; device->channels && i < list.n_channels; i++) {
		struct seai_device_channel *channel = &device->channels[i];

		channel->device = device;
		channel->config = list.channels[i];
		memset(&list.channels[i], 0, sizeof(list.channels[i]));
		snprintf(channel->label, sizeof(channel->label), "%.60s[%u]", channel->config.name, channel->config.i);
		device->n_channels++;
	}
	pthread_mutex_unlock(&device->channels_lock);
	if (!device->channels)
		r = -ENOMEM;
	sea_channel_list_fini(&list);
	for (size_t i = 0; i < device->n_channels && r == 0; i++) {
		struct seai_device_channel *channel = &device->channels[i];

		r = channel_give_address(channel);
		if (r < 0)
			break;
		memset(&error, 0, sizeof(error));
		/* What is only missing yet may come before it is connected. */
		r = sea_channel_config_validate(&channel->config, &error);
		if (r < 0 || (r == 0 && channel->config.method == SEA_CHANNEL_METHOD_BIND)) {
			sea_log(SEA_SEVERITY_ERROR, "%s: %s", channel->label,
			        sea_error_line(&error, line, sizeof(line)));
			r = r < 0 ? r : -EINVAL;
			break;
		}
		r = channel_open(channel);
	}
	return r < 0 ? r : 0;
}

static void channel_publish_address(struct seai_device_channel *channel, const char *address)
{
	char key[160];

	snprintf(key, sizeof(key), "chans.%s.%u.address", channel->config.name, channel->config.i);
	sea_properties_set_string(channel->device->properties, key, address);
}

/* One address of a channel that is to be bound. *address is changed where another port was taken. */
static int channel_bind(struct seai_device_channel *channel, char *address, size_t n_bytes)
{
	const struct sea_channel_config *config = &channel->config;
	char host[256];
	long port = 0, width = config->port_range_max - config->port_range_min + 1;
	bool is_tcp = seai_address_split_tcp(address, host, sizeof(host), &port) == 0;
	unsigned seed = (unsigned)seai_now_ns();
	int r = port == 1 && is_tcp ? -EADDRINUSE : sea_channel_bind(channel->channel, address);

	if (r != -EADDRINUSE || !is_tcp || (!config->auto_bind && port != 1) || width <= 0)
		return r;
	for (unsigned i = 0; i < BIND_N_TRIES && r == -EADDRINUSE; i++) {
		snprintf(address, n_bytes, "tcp://%s:%ld", host, config->port_range_min + rand_r(&seed) % width);
		r = sea_channel_bind(channel->channel, address);
	}
	return r;
}

/* All addresses of one method; those to be bound come back as they became. */
static int channel_attach(struct seai_device_channel *channel, bool binds)
{
	struct sea_channel_config *config = &channel->config;
	char *text = strdup(config->address), *became = calloc(1, strlen(config->address) * 2 + 1024);
	const char *cursor = text;
	struct sea_endpoint endpoint;
	size_t room = strlen(config->address) * 2 + 1024, n = 0;
	int r = text && became ? 0 : -ENOMEM;

	while (r >= 0 && (r = sea_endpoint_next(&cursor, config->method, &endpoint)) > 0) {
		if (endpoint.is_bound == binds) {
			r = binds ? channel_bind(channel, endpoint.address, sizeof(endpoint.address))
			          : sea_channel_connect(channel->channel, endpoint.address);
			if (r < 0)
				sea_log(SEA_SEVERITY_ERROR, "%s: cannot %s %s: %s", channel->label,
				        binds ? "bind" : "connect to", endpoint.address, sea_error_text(r));
			else
				sea_log(SEA_SEVERITY_DEBUG, "%s: %s %s", channel->label,
				        binds ? "bound to" : "connects to", endpoint.address);
		}
		n += (size_t)snprintf(became + n, room - n, "%s%s%s", n ? "," : "",
		                      endpoint.is_bound == (config->method == SEA_CHANNEL_METHOD_BIND) ? ""
		                      : endpoint.is_bound                                              ? "@"
		                                                                                       : ">",
		                      endpoint.address);
		if (n >= room)
			r = -ENAMETOOLONG;
	}
	if (r >= 0 && binds && strcmp(became, text) != 0)
		channel_publish_address(channel, became);
	if (r >= 0 && binds) {
		free(config->address);
		config->address = became;
		became = NULL;
	}
	free(became);
	free(text);
	return r < 0 ? r : 0;
}

int seai_device_bind_channels(struct sea_device *device)
{
	int r = 0;

	for (size_t i = 0; i < device->n_channels && r == 0; i++)
		if (device->channels[i].config.address[0])
			r = channel_attach(&device->channels[i], true);
	return r;
}

/* Whether a channel's address is known by now. */
static bool channel_look_for_address(struct seai_device_channel *channel)
{
	char key[160], *address;

	if (channel->config.address[0] && strcmp(channel->config.address, "unspecified") != 0)
		return true;
	snprintf(key, sizeof(key), "chans.%s.%u.address", channel->config.name, channel->config.i);
	if (sea_properties_get_string(channel->device->properties, key, &address) < 0)
		return false;
	if (!address[0] || strcmp(address, "unspecified") == 0) {
		free(address);
		return false;
	}
	free(channel->config.address);
	channel->config.address = address;
	return true;
}

int seai_device_connect_channels(struct sea_device *device)
{
	int64_t until_ns = seai_now_ns() +
	                   sea_properties_int_or(device->properties, "init-timeout", 120) * SEAI_NS_PER_S;

	for (;;) {
		const struct seai_device_channel *missing = NULL;
		int r = 0;

		for (size_t i = 0; i < device->n_channels && r == 0; i++) {
			struct seai_device_channel *channel = &device->channels[i];

			if (channel->is_connected)
				continue;
			if (!channel_look_for_address(channel)) {
				missing = channel;
				continue;
			}
			r = channel_attach(channel, false);
			channel->is_connected = true;
		}
		if (r < 0 || !missing)
			return r;
		if (seai_now_ns() > until_ns) {
			sea_log(SEA_SEVERITY_ERROR, "%s: has no address after --init-timeout", missing->label);
			return -ETIMEDOUT;
		}
		/* Who is to end need not be connected any more. */
		if (sea_machine_wait_for(device->machine, CONNECT_LOOK_NS) < 0)
			return 0;
	}
}

/*
 * Gives receivers the time of linger to deal with what was sent, and sends to others what comes back meanwhile. Over libzmq the same time is for
 * what is on its way. Nothing waits where nobody is connected: then nobody can die either.
 */
static void channel_linger(struct sea_channel *channel, const struct seai_device_channel *of)
{
	struct sea_channel_stats stats;

	if (of->is_zeromq || of->config.type != SEA_CHANNEL_TYPE_PUSH || of->config.linger_ms == 0 ||
	    sea_channel_get_stats(channel, &stats) < 0 || (stats.n_links == 0 && stats.n_orphans_waiting == 0))
		return;
	(void)sea_channel_flush(channel, timeout_of(of->config.linger_ms));
}

void seai_device_close_channels(struct sea_device *device)
{
	for (size_t i = 0; i < device->n_channels; i++) {
		struct sea_channel *channel;

		pthread_mutex_lock(&device->channels_lock);
		channel = device->channels[i].channel;
		device->channels[i].channel = NULL;
		pthread_mutex_unlock(&device->channels_lock);
		if (channel)
			channel_linger(channel, &device->channels[i]);
		sea_channel_close(channel);
		sea_channel_config_fini(&device->channels[i].config);
	}
	pthread_mutex_lock(&device->channels_lock);
	free(device->channels);
	device->channels = NULL;
	device->n_channels = 0;
	pthread_mutex_unlock(&device->channels_lock);
}
