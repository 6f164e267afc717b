/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks by key; see subscribers.h. A subscriber is freed by whoever lets go of it last: the list, or a thread that calls it. */
#include "device/subscribers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct seai_subscriber {
	struct seai_subscriber *next;
	uint64_t group;  /* the number in front of its key; UINT64_MAX: none */
	uint64_t number; /* among all that were ever added: the order within a group */
	seai_subscriber_fn function;
	void *userdata;
	unsigned n_calls; /* under way */
	bool is_removed;
	char key[64];
};

/* What this thread is calling, callbacks in callbacks included: those it must not wait for. */
struct subscriber_frame {
	const struct seai_subscriber *subscriber;
	const struct subscriber_frame *outer;
};

static _Thread_local const struct subscriber_frame *subscriber_frames;

static unsigned subscriber_count_own_calls(const struct seai_subscriber *subscriber)
{
	unsigned n = 0;

	for (const struct subscriber_frame *frame = subscriber_frames; frame; frame = frame->outer)
		n += frame->subscriber == subscriber;
	return n;
}

static bool subscriber_is_before(const struct seai_subscriber *subscriber, uint64_t group, uint64_t number)
{
	return subscriber->group != group ? subscriber->group < group : subscriber->number < number;
}

int seai_subscribers_add(struct seai_subscribers *list, const char *key, seai_subscriber_fn function, void *userdata)
{
	struct seai_subscriber *subscriber, **at;
	const size_t n = key ? strlen(key) : 0;

	if (n == 0 || n >= sizeof(subscriber->key) || !function)
		return -EINVAL;
	for (subscriber = list->first; subscriber; subscriber = subscriber->next)
		if (strcmp(subscriber->key, key) == 0)
			return -EEXIST;
	subscriber = calloc(1, sizeof(*subscriber));
	if (!subscriber)
		return -ENOMEM;
	memcpy(subscriber->key, key, n + 1);
	subscriber->group = key[0] >= '0' && key[0] <= '9' ? strtoull(key, NULL, 10) : UINT64_MAX;
	subscriber->number = list->n_added++;
	subscriber->function = function;
	subscriber->userdata = userdata;
	for (at = &list->first; *at && subscriber_is_before(*at, subscriber->group, subscriber->number);
	     at = &(*at)->next)
		;
	subscriber->next = *at;
	*at = subscriber;
	return 0;
}

int seai_subscribers_remove(struct seai_subscribers *list, const char *key, pthread_mutex_t *lock,
                            pthread_cond_t *changed)
{
	struct seai_subscriber *subscriber, **at = &list->first;

	while (*at && (!key || strcmp((*at)->key, key) != 0))
		at = &(*at)->next;
	subscriber = *at;
	if (!subscriber)
		return -ENOENT;
	*at = subscriber->next;
	if (subscriber->n_calls == 0) {
		free(subscriber);
		return 0;
	}
	subscriber->is_removed = true;
	if (subscriber_count_own_calls(subscriber) > 0)
		return 0; /* whoever calls it last frees it */
	/* Kept from being freed while we look at it. */
	subscriber->n_calls++;
	while (subscriber->n_calls > 1)
		pthread_cond_wait(changed, lock);
	free(subscriber);
	return 0;
}

void seai_subscribers_call(struct seai_subscribers *list, seai_subscriber_call_fn call, int what, pthread_mutex_t *lock,
                           pthread_cond_t *changed)
{
	const uint64_t n_added = list->n_added;
	uint64_t group = 0, number = 0; /* the next is the first that is not before these */

	for (;;) {
		struct seai_subscriber *subscriber = list->first;
		struct subscriber_frame frame;

		while (subscriber && (subscriber_is_before(subscriber, group, number) || subscriber->number >= n_added))
			subscriber = subscriber->next;
		if (!subscriber)
			return;
		group = subscriber->group;
		number = subscriber->number + 1;
		subscriber->n_calls++;
		frame = (struct subscriber_frame){ .subscriber = subscriber, .outer = subscriber_frames };
		subscriber_frames = &frame;
		pthread_mutex_unlock(lock);
		call(subscriber->function, subscriber->userdata, what);
		pthread_mutex_lock(lock);
		subscriber_frames = frame.outer;
		subscriber->n_calls--;
		if (subscriber->is_removed) {
			if (subscriber->n_calls == 0)
				free(subscriber);
			else
				pthread_cond_broadcast(changed);
		}
	}
}

void seai_subscribers_fini(struct seai_subscribers *list)
{
	while (list->first) {
		struct seai_subscriber *subscriber = list->first;

		list->first = subscriber->next;
		free(subscriber);
	}
}
