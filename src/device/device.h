/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device inside. All of it is the state thread's, but for the counts of channels and what the machine and the properties guard themselves.
 */
#ifndef SEALANE_DEVICE_DEVICE_PRIVATE_H
#define SEALANE_DEVICE_DEVICE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <sealane/device/device.h>
#include <sealane/sealane.h>

/* One configured channel, or sub-channel, and what it became. */
struct seai_device_channel {
	struct sea_device *device;
	struct sea_channel_config config;
	char label[80];              /* data[0] */
	struct sea_channel *channel; /* NULL before BINDING */
	int64_t snd_timeout_ns, rcv_timeout_ns;
	bool is_zeromq;
	bool is_connected;                                     /* all its addresses are known and were tried */
	_Atomic uint64_t n_in, n_bytes_in, n_out, n_bytes_out; /* one writer: the state thread */
};

/* Of a channel's messages; or, without a name, of a descriptor. */
struct seai_handler {
	struct seai_handler *next;
	char *name;
	sea_on_data_fn call;
	int fd;
	sea_on_fd_fn call_fd;
	void *userdata;
};

/* Messages that were sent and that somebody still holds. */
struct seai_flight {
	uint64_t n_max; /* 0: no limit */
	uint64_t n_now;
	uint64_t next_cookie;
	struct sea_log_alarm alarm;
};

struct sea_device {
	struct sea_device_options options;
	struct sea_options *parsed;
	struct sea_properties *properties;
	struct sea_machine *machine;
	char *id;
	char *session_name;
	struct sea_session *session;
	struct sea_heap *heap;
	int64_t allocate_timeout_ns;
	struct seai_device_channel *channels;
	size_t n_channels;
	/* Guards the array, and whether its channels are held, against the rate thread, an interruption and counts from other threads. */
	pthread_mutex_t channels_lock;
	bool is_interrupted;
	struct seai_handler *handlers;
	struct seai_flight flight;
	struct sea_poller *poller; /* while data is handled for several channels */
	pthread_t rates;
	bool has_rates;
};

/* Closes channels and session; messages must be gone. */
void seai_device_close(struct sea_device *device);
/* For monitors. */
void seai_device_show_state(struct sea_device *device, enum sea_device_state state);

/* device-channel.c: the life of the channels, as steps of the machine. */
int seai_device_make_channels(struct sea_device *device);
int seai_device_bind_channels(struct sea_device *device);
int seai_device_connect_channels(struct sea_device *device);
void seai_device_close_channels(struct sea_device *device);
/* As sea_device_receive_timed(). */
int seai_device_receive(struct seai_device_channel *channel, struct sea_message **ret_message, int64_t timeout_ns);
struct seai_device_channel *seai_device_find(const struct sea_device *device, const char *name, unsigned i);
/* Checks the configuration against what the program has. 0; -EINVAL. */
int seai_device_check_endpoints(struct sea_device *device, const struct sea_channel_list *list,
                                struct sea_error *error);

/* device-data.c: calls handlers until the state ends. 0 there are none; 1 done; errors. */
int seai_device_run_data(struct sea_device *device);

/* device-flight.c */
/* Counts a message that is about to be sent, once, however often that is tried; waits while there are too many. 0; -ECANCELED. */
int seai_flight_begin(struct sea_device *device, struct sea_message *message);

/* device-rates.c: lines with rates, as long as the device runs. */
int seai_rates_start(struct sea_device *device);
void seai_rates_stop(struct sea_device *device);

/* address.c */
/* The address of an interface, or of the default route's for "default". 0; -ENODEV. */
int seai_address_of_interface(const char *name, char *text, size_t n_bytes);
/* Splits tcp://HOST:PORT; PORT may be *. 0; -EINVAL it is none. */
int seai_address_split_tcp(const char *address, char *host, size_t n_bytes, long *ret_port);

#endif
