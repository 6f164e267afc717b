/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: a process of a topology, with its configuration, its channels and its state machine; and all of libsealane-device.
 *
 *	static int on_data(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata)
 *	{
 *		return sea_device_send(device, "out", 0, message) < 0 ? 0 : 1;
 *	}
 *
 *	static int init(struct sea_device *device, void *userdata)
 *	{
 *		return sea_device_on_data(device, "in", on_data, userdata);
 *	}
 *
 *	int main(int argc, char **argv)
 *	{
 *		return sea_device_main(argc, argv, &(struct sea_device_options){ .hooks = { .init = init } });
 *	}
 *
 * Threads: hooks and handlers run on one thread, the state thread, which also uses the channels. What others may call says so.
 */
#ifndef SEALANE_DEVICE_DEVICE_H
#define SEALANE_DEVICE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/device/channel-config.h>
#include <sealane/device/control.h>
#include <sealane/device/error.h>
#include <sealane/device/log.h>
#include <sealane/device/machine.h>
#include <sealane/device/mq-config.h>
#include <sealane/device/notify.h>
#include <sealane/device/options.h>
#include <sealane/device/properties.h>
#include <sealane/device/state.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_channel;
struct sea_device;
struct sea_heap;
struct sea_message;
struct sea_session;

/**
 * Is given each message of a channel. Called on the state thread, in RUNNING.
 * @param message what it takes (sends on, keeps) is NULL afterwards; what is left is released
 * @param i index of the sub-channel that it came from
 * @return 1 go on; 0 leave RUNNING; negative errno: the device goes to ERROR
 */
typedef int (*sea_on_data_fn)(struct sea_device *device, struct sea_message **message, unsigned i, void *userdata);

/** A channel that a program has, for --print-channels and for the check of its configuration. */
struct sea_device_endpoint {
	const char *name; /**< without an index; NULL ends a list */
	unsigned n_min;   /**< least sub-channels that it needs; 0: none */
	unsigned n_max;   /**< most that it takes; 0: any */
};

/** What a device program is. All zero is a device that does nothing; unset members must be zero. */
struct sea_device_options {
	struct sea_device_hooks hooks;    /**< see machine.h */
	const struct sea_option *options; /**< of the program; NULL: none. The one without a name ends them */
	const struct sea_device_endpoint *endpoints; /**< its channels; NULL: not said */
	const char *about;                           /**< one line for --help; NULL: none */
	const char *const *defaults; /**< pairs of an option's name and its default, NULL at the end; NULL: none */
	uint64_t reserved[6];        /**< must be 0 */
};

/**
 * Runs a device from the command line to its end: reads options and configuration, starts the log and the control, goes through the states.
 * @return what main() is to return: 0; 1 something failed, and the log or standard error says what. One thread. Since 0.3.
 */
int sea_device_main(int argc, char **argv, const struct sea_device_options *options);

/**
 * Makes a device of options that were parsed; for programs with several devices, or a main loop of their own.
 * @param parsed borrowed until the device is freed
 * @param error may be NULL
 * @return 0; -EINVAL a channel's configuration is wrong, or a reserved member is not 0; -ENOMEM. Since 0.3.
 */
int sea_device_new(struct sea_device **ret_device, const struct sea_device_options *options, struct sea_options *parsed,
                   struct sea_error *error);

/** Closes channels and session. Messages must be gone. @param device NULL is allowed. @return NULL. Since 0.3. */
struct sea_device *sea_device_free(struct sea_device *device);

/** Its state machine: state, transitions, subscriptions, waiting. Borrowed. Any thread. Since 0.3. */
struct sea_machine *sea_device_machine(struct sea_device *device);

/** Its properties. Borrowed. Any thread. Since 0.3. */
struct sea_properties *sea_device_properties(struct sea_device *device);

/** Its id. Borrowed. Any thread. Since 0.3. */
const char *sea_device_id(const struct sea_device *device);

/** 1 while a new state is pending: who works is to come to an end. Any thread. Since 0.3. */
int sea_device_is_pending(const struct sea_device *device);

/**
 * Its session, opened by the first call; from the init hook on.
 * @param ret_session receives it; borrowed
 * @return 0; an error of sea_session_open(). State thread. Since 0.3.
 */
int sea_device_session(struct sea_device *device, struct sea_session **ret_session);

/** The heap that its options ask for. Borrowed. @return 0; an error of sea_session_open() or sea_heap_new(). State thread. Since 0.3. */
int sea_device_heap(struct sea_device *device, struct sea_heap **ret_heap);

/** How many sub-channels a channel has; 0: there is none. Since 0.3. */
unsigned sea_device_n_channels(const struct sea_device *device, const char *name);

/** A channel of the core, from BINDING on; NULL: there is none. Borrowed until RESETTING DEVICE. State thread. Since 0.3. */
struct sea_channel *sea_device_channel(struct sea_device *device, const char *name, unsigned i);

/**
 * Has a handler called for each message of a channel, from all of its sub-channels, in RUNNING. The run hooks are not called then.
 * @param name of a channel that is or will be configured
 * @return 0; -EEXIST it has one; -EINVAL; -ENOMEM. In the init, init_task or pre_run hook. Since 0.3.
 */
int sea_device_on_data(struct sea_device *device, const char *name, sea_on_data_fn call, void *userdata);

/**
 * Is called on the state thread, in RUNNING, while a descriptor is readable.
 * @return as sea_on_data_fn
 */
typedef int (*sea_on_fd_fn)(struct sea_device *device, int fd, void *userdata);

/**
 * Has a function called while a descriptor is readable, beside the handlers of channels.
 * @param fd the caller's; open until the device has left RUNNING; level-triggered
 * @return as sea_device_on_data(). Since 0.4.
 */
int sea_device_on_fd(struct sea_device *device, int fd, sea_on_fd_fn call, void *userdata);

/**
 * Makes a message of one part in the device's heap; waits for memory as its options say, and no longer than until a new state is pending.
 * @return 0; -ECANCELED a new state is pending; else as sea_message_new(). State thread. Since 0.3.
 */
int sea_device_new_message(struct sea_device *device, struct sea_message **ret_message, size_t n_bytes,
                           size_t alignment);

/**
 * Sends a message, waiting as sndTimeoutMs says, and for --max-in-flight.
 * @param message taken on success
 * @return 0; -ECANCELED a new state is pending; -ENOENT no such channel; else as sea_channel_send(). State thread. Since 0.3.
 */
int sea_device_send(struct sea_device *device, const char *name, unsigned i, struct sea_message **message);

/** As sea_device_send() with a timeout of its own: 0 not at all, -1 for ever. Since 0.3. */
int sea_device_send_timed(struct sea_device *device, const char *name, unsigned i, struct sea_message **message,
                          int64_t timeout_ns);

/**
 * Receives a message, waiting as rcvTimeoutMs says.
 * @return 0; -ECANCELED a new state is pending; -ENOENT no such channel; else as sea_channel_receive(). State thread. Since 0.3.
 */
int sea_device_receive(struct sea_device *device, const char *name, unsigned i, struct sea_message **ret_message);

/** As sea_device_receive() with a timeout of its own. Since 0.3. */
int sea_device_receive_timed(struct sea_device *device, const char *name, unsigned i, struct sea_message **ret_message,
                             int64_t timeout_ns);

/** What went through a channel since it was made. */
struct sea_device_counts {
	uint64_t n_in;        /**< messages received */
	uint64_t n_bytes_in;  /**< bytes of them */
	uint64_t n_out;       /**< messages sent */
	uint64_t n_bytes_out; /**< bytes of them */
	uint64_t n_peers;     /**< peers connected now */
};

/** Counts of a channel. @return 0; -ENOENT. Any thread. Since 0.3. */
int sea_device_get_counts(struct sea_device *device, const char *name, unsigned i,
                          struct sea_device_counts *ret_counts);

#ifdef __cplusplus
}
#endif
#endif
