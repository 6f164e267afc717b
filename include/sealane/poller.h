/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poller: waits for many channels, of any transport, and for descriptors of others, at once. What it costs
 * depends on how many have something, not on how many there are.
 *
 * Threads: a poller belongs to the thread that uses its channels; sea_poller_interrupt() may be called from any.
 */
#ifndef SEALANE_POLLER_H
#define SEALANE_POLLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_channel;
struct sea_poller;

/** A receive may succeed; of a descriptor: it is readable. */
#define SEA_POLL_IN 1u
/** A send may succeed; of a descriptor: it is writable. */
#define SEA_POLL_OUT 2u
/** Of a descriptor: it is broken, or its other end is closed. Always waited for. */
#define SEA_POLL_ERROR 4u

/** Something that sea_poller_wait() found. */
struct sea_poll_event {
	struct sea_channel *channel; /**< NULL: a descriptor */
	int fd;                      /**< -1: a channel */
	uint32_t events;             /**< SEA_POLL_ bits */
	void *userdata;              /**< as it was added with */
};

/** Makes a poller. @return 0; -ENOMEM; -EMFILE, -ENFILE. Since 0.3. */
int sea_poller_new(struct sea_poller **ret_poller);

/** Frees a poller, not what is in it. @return NULL. Since 0.3. */
struct sea_poller *sea_poller_free(struct sea_poller *poller);

/**
 * Adds a channel, or changes what it is waited for.
 * @param channel is to be taken out before it is closed
 * @param events SEA_POLL_IN, SEA_POLL_OUT, both, or 0: not now
 * @return 0; -EINVAL the channel does not receive or send at all; -ENOMEM; -EPERM in a forked child. Since 0.3.
 */
int sea_poller_set_channel(struct sea_poller *poller, struct sea_channel *channel, uint32_t events, void *userdata);

/** Adds a descriptor of the caller's, or changes what it is waited for. @return 0; -EINVAL, -EPERM it cannot be polled; -ENOMEM. Since 0.3. */
int sea_poller_set_fd(struct sea_poller *poller, int fd, uint32_t events, void *userdata);

/** Takes a channel out. @return 0; -ENOENT. Since 0.3. */
int sea_poller_remove_channel(struct sea_poller *poller, struct sea_channel *channel);

/** Takes a descriptor out, before it is closed. @return 0; -ENOENT. Since 0.3. */
int sea_poller_remove_fd(struct sea_poller *poller, int fd);

/**
 * Waits until something can be done. Level-triggered: what is not done is reported again.
 * @param events receives what there is, each channel and descriptor once
 * @param timeout_ns 0 not at all, -1 for ever
 * @return how many, at least 1; -EAGAIN nothing (timeout 0); -ETIMEDOUT; -EINTR; -ECANCELED sea_poller_interrupt(); -EINVAL. Since 0.3.
 */
int sea_poller_wait(struct sea_poller *poller, struct sea_poll_event *events, size_t n_max, int64_t timeout_ns);

/**
 * One descriptor for the event loop of another library (libuv, asio, GLib, a plain epoll): when it is readable, call sea_poller_wait() with timeout 0
 * until -EAGAIN. Owned by the poller.
 * @return a descriptor. Since 0.3.
 */
int sea_poller_fd(const struct sea_poller *poller);

/** Ends the wait that is under way, or the next one, with -ECANCELED. Any thread, also a signal handler. Since 0.3. */
void sea_poller_interrupt(struct sea_poller *poller);

#ifdef __cplusplus
}
#endif
#endif
