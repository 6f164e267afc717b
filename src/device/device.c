/* SPDX-License-Identifier: Apache-2.0 */
/* The device as a whole: its parts, what the machine has it do in each state, and what programs ask of it. */
#include "device/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* How long an allocation waits at a time: a pending state is noticed in between. */
#define ALLOCATE_SLICE_NS (20 * SEAI_NS_PER_MS)

static int step_init(struct sea_device *device, void *userdata)
{
	(void)userdata;
	return seai_device_make_channels(device);
}

static int step_bind(struct sea_device *device, void *userdata)
{
	(void)userdata;
	return seai_device_bind_channels(device);
}

static int step_connect(struct sea_device *device, void *userdata)
{
	(void)userdata;
	return seai_device_connect_channels(device);
}

static int step_start(struct sea_device *device, void *userdata)
{
	(void)userdata;
	return seai_rates_start(device);
}

static int step_data(struct sea_device *device, void *userdata)
{
	(void)userdata;
	return seai_device_run_data(device);
}

static int step_stop(struct sea_device *device, void *userdata)
{
	(void)userdata;
	seai_rates_stop(device);
	return 0;
}

static int step_clear(struct sea_device *device, void *userdata)
{
	(void)userdata;
	seai_device_close_channels(device);
	while (device->handlers) {
		struct seai_handler *next = device->handlers->next;

		free(device->handlers->name);
		free(device->handlers);
		device->handlers = next;
	}
	return 0;
}

static void step_interrupt(struct sea_device *device, int on, void *userdata)
{
	(void)userdata;
	pthread_mutex_lock(&device->channels_lock);
	device->is_interrupted = on;
	for (size_t i = 0; i < device->n_channels; i++) {
		if (!device->channels[i].channel)
			continue;
		if (on)
			sea_channel_hold(device->channels[i].channel);
		else
			sea_channel_resume(device->channels[i].channel);
	}
	if (on && device->poller)
		sea_poller_interrupt(device->poller);
	pthread_mutex_unlock(&device->channels_lock);
}

static int device_make_machine(struct sea_device *device)
{
	const struct sea_machine_options options = {
		.device = device,
		.hooks = device->options.hooks,
		.steps = { .init = step_init,
		           .bind = step_bind,
		           .connect = step_connect,
		           .start = step_start,
		           .data = step_data,
		           .stop = step_stop,
		           .clear = step_clear,
		           .interrupt = step_interrupt },
		.rate_hz = sea_properties_double_or(device->properties, "rate", 0),
	};

	return sea_machine_new(&device->machine, &options);
}

int sea_device_new(struct sea_device **ret_device, const struct sea_device_options *options, struct sea_options *parsed,
                   struct sea_error *error)
{
	struct sea_device *device;
	int r;

	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return sea_error_set(error, -EINVAL, "reserved", "is not 0");
	device = calloc(1, sizeof(*device));
	if (!device)
		return sea_error_set(error, -ENOMEM, "", "no memory");
	pthread_mutex_init(&device->channels_lock, NULL);
	device->options = *options;
	device->parsed = parsed;
	device->properties = sea_options_properties(parsed);
	device->id = sea_properties_string_or(device->properties, "id", "");
	device->session_name = sea_properties_string_or(device->properties, "session", "default");
	device->flight.n_max = sea_properties_uint_or(device->properties, "max-in-flight", 0);
	r = device->id && device->session_name
	            ? seai_device_check_endpoints(device, sea_options_channels(parsed), error)
	            : sea_error_set(error, -ENOMEM, "", "no memory");
	if (r == 0) {
		r = device_make_machine(device);
		if (r < 0)
			sea_error_set(error, r, "rate", "the state machine cannot be made: %s", sea_error_text(r));
	}
	if (r < 0) {
		sea_device_free(device);
		return r;
	}
	*ret_device = device;
	return 0;
}

void seai_device_close(struct sea_device *device)
{
	step_clear(device, NULL);
	device->session = sea_session_close(device->session);
	device->heap = NULL;
}

struct sea_device *sea_device_free(struct sea_device *device)
{
	if (!device)
		return NULL;
	seai_device_close(device);
	sea_machine_free(device->machine);
	pthread_mutex_destroy(&device->channels_lock);
	free(device->id);
	free(device->session_name);
	free(device);
	return NULL;
}

struct sea_machine *sea_device_machine(struct sea_device *device)
{
	return device->machine;
}

struct sea_properties *sea_device_properties(struct sea_device *device)
{
	return device->properties;
}

const char *sea_device_id(const struct sea_device *device)
{
	return device->id;
}

int sea_device_is_pending(const struct sea_device *device)
{
	return sea_machine_is_pending(device->machine);
}

void seai_device_show_state(struct sea_device *device, enum sea_device_state state)
{
	char word[32];

	snprintf(word, sizeof(word), "%s", sea_device_state_name(state));
	for (char *at = word; *at; at++)
		if (*at == ' ')
			*at = '-';
	if (device->session)
		(void)sea_session_set_state(device->session, word);
}

int sea_device_session(struct sea_device *device, struct sea_session **ret_session)
{
	const struct sea_shm_options *shm = sea_options_shm(device->parsed);
	struct sea_session_options options = { .log = sea_log_from_session,
		                               .process_name = device->id[0] ? device->id : NULL };
	int64_t n_io_threads = sea_properties_int_or(device->properties, "io-threads", 1);
	int r;

	if (!device->session) {
		sea_shm_options_apply(shm, &options, NULL);
		options.n_zeromq_io_threads = n_io_threads > 64 ? 64 : (uint64_t)n_io_threads;
		if (!options.name)
			options.name = device->session_name;
		r = sea_session_open(&device->session, &options);
		if (r < 0) {
			sea_log(SEA_SEVERITY_ERROR, "session %s: %s", options.name, sea_error_text(r));
			return r;
		}
		device->allocate_timeout_ns = sea_shm_options_timeout_ns(shm);
		seai_device_show_state(device, sea_machine_state(device->machine));
	}
	*ret_session = device->session;
	return 0;
}

int sea_device_heap(struct sea_device *device, struct sea_heap **ret_heap)
{
	struct sea_session *session;
	int r = 0;

	if (!device->heap) {
		r = sea_device_session(device, &session);
		if (r == 0)
			r = sea_shm_options_get_heap(sea_options_shm(device->parsed), session, &device->heap);
	}
	if (r == 0)
		*ret_heap = device->heap;
	return r;
}

unsigned sea_device_n_channels(const struct sea_device *device, const char *name)
{
	unsigned n = 0;

	while (seai_device_find(device, name, n))
		n++;
	return n;
}

struct sea_channel *sea_device_channel(struct sea_device *device, const char *name, unsigned i)
{
	const struct seai_device_channel *channel = seai_device_find(device, name, i);

	return channel ? channel->channel : NULL;
}

int sea_device_new_message(struct sea_device *device, struct sea_message **ret_message, size_t n_bytes,
                           size_t alignment)
{
	struct sea_heap *heap = NULL;
	int64_t until_ns;
	int r = sea_device_heap(device, &heap);

	if (r < 0)
		return r;
	r = sea_message_new(ret_message, heap, n_bytes, alignment, 0);
	if (r != -EAGAIN && r != -ENOMEM)
		return r;
	until_ns = seai_deadline(device->allocate_timeout_ns);
	while ((r == -EAGAIN || r == -ENOMEM || r == -ETIMEDOUT || r == -EINTR) && device->allocate_timeout_ns != 0) {
		if (sea_machine_is_pending(device->machine))
			return -ECANCELED;
		if (seai_now_ns() >= until_ns)
			return -ETIMEDOUT;
		r = sea_message_new(ret_message, heap, n_bytes, alignment, ALLOCATE_SLICE_NS);
	}
	return r;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static int channel_send(struct seai_device_channel *channel, struct sea_message **message, int64_t timeout_ns)
{
	struct sea_device *device = channel->device;
	uint64_t n_bytes = sea_message_n_bytes(*message);
	int r = device->flight.n_max ? seai_flight_begin(device, *message) : 0;

	if (r < 0)
		return r;
	do
		r = sea_channel_send(channel->channel, message, timeout_ns);
	while (r == -EINTR && !sea_machine_is_pending(device->machine));
	if (r < 0)
		return r == -EINTR ? -ECANCELED : r;
	count(&channel->n_out, 1);
	count(&channel->n_bytes_out, n_bytes);
	return 0;
}

int sea_device_send_timed(struct sea_device *device, const char *name, unsigned i, struct sea_message **message,
                          int64_t timeout_ns)
{
	struct seai_device_channel *channel = seai_device_find(device, name, i);

	return channel && channel->channel ? channel_send(channel, message, timeout_ns) : -ENOENT;
}

int sea_device_send(struct sea_device *device, const char *name, unsigned i, struct sea_message **message)
{
	struct seai_device_channel *channel = seai_device_find(device, name, i);

	return channel && channel->channel ? channel_send(channel, message, channel->snd_timeout_ns) : -ENOENT;
}

int seai_device_receive(struct seai_device_channel *channel, struct sea_message **ret_message, int64_t timeout_ns)
{
	int r;

	do
		r = sea_channel_receive(channel->channel, ret_message, timeout_ns);
	while (r == -EINTR && !sea_machine_is_pending(channel->device->machine));
	if (r < 0)
		return r == -EINTR ? -ECANCELED : r;
	count(&channel->n_in, 1);
	count(&channel->n_bytes_in, sea_message_n_bytes(*ret_message));
	return 0;
}

int sea_device_receive_timed(struct sea_device *device, const char *name, unsigned i, struct sea_message **ret_message,
                             int64_t timeout_ns)
{
	struct seai_device_channel *channel = seai_device_find(device, name, i);

	return channel && channel->channel ? seai_device_receive(channel, ret_message, timeout_ns) : -ENOENT;
}

int sea_device_receive(struct sea_device *device, const char *name, unsigned i, struct sea_message **ret_message)
{
	struct seai_device_channel *channel = seai_device_find(device, name, i);

	return channel && channel->channel ? seai_device_receive(channel, ret_message, channel->rcv_timeout_ns)
	                                   : -ENOENT;
}

int sea_device_get_counts(struct sea_device *device, const char *name, unsigned i, struct sea_device_counts *ret_counts)
{
	struct sea_channel_stats stats = { 0 };
	const struct seai_device_channel *channel;
	int r = -ENOENT;

	pthread_mutex_lock(&device->channels_lock);
	channel = seai_device_find(device, name, i);
	if (channel && channel->channel)
		r = sea_channel_get_stats(channel->channel, &stats);
	if (r == 0)
		*ret_counts = (struct sea_device_counts){
			.n_in = atomic_load_explicit(&channel->n_in, memory_order_relaxed),
			.n_bytes_in = atomic_load_explicit(&channel->n_bytes_in, memory_order_relaxed),
			.n_out = atomic_load_explicit(&channel->n_out, memory_order_relaxed),
			.n_bytes_out = atomic_load_explicit(&channel->n_bytes_out, memory_order_relaxed),
			.n_peers = stats.n_links,
		};
	pthread_mutex_unlock(&device->channels_lock);
	return r;
}
