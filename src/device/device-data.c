/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers of data: one channel is waited for by itself, several by a poller, of whatever transports.
 *
 * The odd rule: a time without a message is nothing to end for (in FairMQ it ends the loop), and one channel with much to say does not keep
 * the others waiting: each is given a turn of so many messages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

/* Messages of one channel before the others are looked at. */
#define DATA_TURN 32
#define DATA_N_EVENTS 64

/* A sub-channel, or a descriptor (channel is NULL), and who is given what it brings. */
struct data_source {
	struct seai_device_channel *channel;
	const struct seai_handler *handler;
};

int sea_device_on_data(struct sea_device *device, const char *name, sea_on_data_fn call, void *userdata)
{
	struct seai_handler *handler;

	if (!name || !call || !sea_channel_name_is_legal(name))
		return -EINVAL;
	for (handler = device->handlers; handler; handler = handler->next)
		if (handler->name && strcmp(handler->name, name) == 0)
			return -EEXIST;
	handler = calloc(1, sizeof(*handler));
	if (!handler)
		return -ENOMEM;
	handler->name = strdup(name);
	if (!handler->name) {
		free(handler);
		return -ENOMEM;
	}
	handler->call = call;
	handler->userdata = userdata;
	handler->next = device->handlers;
	device->handlers = handler;
	return 0;
}

int sea_device_on_fd(struct sea_device *device, int fd, sea_on_fd_fn call, void *userdata)
{
	struct seai_handler *handler;

	if (fd < 0 || !call)
		return -EINVAL;
	for (handler = device->handlers; handler; handler = handler->next)
		if (!handler->name && handler->fd == fd)
			return -EEXIST;
	handler = calloc(1, sizeof(*handler));
	if (!handler)
		return -ENOMEM;
	handler->fd = fd;
	handler->call_fd = call;
	handler->userdata = userdata;
	handler->next = device->handlers;
	device->handlers = handler;
	return 0;
}

/* One message, if there is one within the time. 1 go on; 0 leave; -EAGAIN, -ETIMEDOUT there is none; errors. */
static int data_take(const struct data_source *source, int64_t timeout_ns)
{
	struct sea_message *message = NULL;
	int r = seai_device_receive(source->channel, &message, timeout_ns);

	if (r < 0)
		return r;
	r = source->handler->call(source->channel->device, &message, source->channel->config.i,
	                          source->handler->userdata);
	sea_message_unref(message);
	return r;
}

/* Errors that are nothing but a pause. */
static bool data_is_pause(int r)
{
	return r == -EAGAIN || r == -ETIMEDOUT || r == -ECANCELED;
}

static int data_run_one(struct sea_device *device, const struct data_source *source)
{
	int r = 1;

	while (r > 0 && !sea_machine_is_pending(device->machine)) {
		r = data_take(source, source->channel->rcv_timeout_ns);
		if (r < 0 && data_is_pause(r))
			r = 1;
	}
	return r;
}

static int data_take_turn(struct sea_device *device, const struct data_source *source)
{
	int r = 1;

	if (!source->channel)
		return source->handler->call_fd(device, source->handler->fd, source->handler->userdata);
	for (unsigned i = 0; i < DATA_TURN && r > 0 && !sea_machine_is_pending(device->machine); i++)
		r = data_take(source, 0);
	return r < 0 && data_is_pause(r) ? 1 : r;
}

static int data_poll(struct sea_device *device)
{
	struct sea_poll_event events[DATA_N_EVENTS];
	int r = 1;

	while (r > 0 && !sea_machine_is_pending(device->machine)) {
		int n = sea_poller_wait(device->poller, events, DATA_N_EVENTS, -1);

		if (n < 0 && n != -EINTR && n != -ECANCELED)
			return n;
		for (int i = 0; i < n && r > 0; i++)
			r = data_take_turn(device, events[i].userdata);
	}
	return r;
}

static void data_set_poller(struct sea_device *device, struct sea_poller *poller)
{
	pthread_mutex_lock(&device->channels_lock);
	device->poller = poller;
	pthread_mutex_unlock(&device->channels_lock);
}

static int data_run_many(struct sea_device *device, struct data_source *sources, size_t n_sources)
{
	struct sea_poller *poller;
	int r = sea_poller_new(&poller);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n_sources && r == 0; i++)
		r = sources[i].channel
		            ? sea_poller_set_channel(poller, sources[i].channel->channel, SEA_POLL_IN, &sources[i])
		            : sea_poller_set_fd(poller, sources[i].handler->fd, SEA_POLL_IN, &sources[i]);
	if (r == 0) {
		data_set_poller(device, poller);
		r = data_poll(device);
		data_set_poller(device, NULL);
	}
	sea_poller_free(poller);
	return r;
}

int seai_device_run_data(struct sea_device *device)
{
	struct data_source *sources;
	size_t n = device->n_channels;
	int r = 0;

	if (!device->handlers)
		return 0;
	for (const struct seai_handler *handler = device->handlers; handler; handler = handler->next)
		n++;
	sources = calloc(n, sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	n = 0;
	for (const struct seai_handler *handler = device->handlers; handler; handler = handler->next) {
		struct seai_device_channel *channel;

		if (!handler->name) {
			sources[n++] = (struct data_source){ NULL, handler };
			continue;
		}
		channel = seai_device_find(device, handler->name, 0);
		if (!channel) {
			sea_log(SEA_SEVERITY_ERROR,
			        "%s: data of this channel is to be handled, and it is not configured", handler->name);
			r = -ENOENT;
		}
		for (unsigned i = 0; (channel = seai_device_find(device, handler->name, i)); i++)
			sources[n++] = (struct data_source){ channel, handler };
	}
	if (r == 0 && n)
		r = n == 1 && sources[0].channel ? data_run_one(device, &sources[0])
		                                 : data_run_many(device, sources, n);
	free(sources);
	return r < 0 ? r : 1;
}
