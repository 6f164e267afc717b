/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of callbacks by key, in the order of the number that their key begins with.
 *
 * The odd rule: callbacks are called without the lock of their owner, one after the other, so that they may subscribe, unsubscribe and ask
 * for transitions. Who unsubscribes waits until the callback has returned, unless it is the callback.
 */
#ifndef SEALANE_DEVICE_SUBSCRIBERS_H
#define SEALANE_DEVICE_SUBSCRIBERS_H

#include <pthread.h>
#include <stdint.h>

struct seai_subscriber;

/* All zero is an empty list. */
struct seai_subscribers {
	struct seai_subscriber *first;
	uint64_t n_added;
};

typedef void (*seai_subscriber_fn)(void);

/* Calls one callback with what happened. */
typedef void (*seai_subscriber_call_fn)(seai_subscriber_fn function, void *userdata, int what);

/* @return 0; -EEXIST; -EINVAL a key of 0 or more than 63 bytes; -ENOMEM. Lock held. */
int seai_subscribers_add(struct seai_subscribers *list, const char *key, seai_subscriber_fn function, void *userdata);

/* Waits, by the condition, until nobody else calls it. @return 0; -ENOENT. Lock held. */
int seai_subscribers_remove(struct seai_subscribers *list, const char *key, pthread_mutex_t *lock,
                            pthread_cond_t *changed);

/* Calls all that were there at the beginning and still are. Lock held; it is dropped for each call. */
void seai_subscribers_call(struct seai_subscribers *list, seai_subscriber_call_fn call, int what, pthread_mutex_t *lock,
                           pthread_cond_t *changed);

/* Frees all. Nobody may be calling. */
void seai_subscribers_fini(struct seai_subscribers *list);

#endif
