/* SPDX-License-Identifier: Apache-2.0 */
/* What the store of properties is made of: properties.c sets and tells, properties-read.c reads. */
#ifndef SEALANE_DEVICE_PROPERTIES_PRIVATE_H
#define SEALANE_DEVICE_PROPERTIES_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <sealane/device/properties.h>

#include "base/cleanup.h"

/* A key and what it was set to. It never changes: whoever has a reference reads it without the lock. */
struct seai_entry {
	atomic_uint n_refs;
	struct seai_entry *next; /* in its bucket; under the lock */
	struct sea_value *value;
	char *origin;
	char key[];
};

struct sea_properties {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a call of a subscription that is gone has ended */
	/* All under the lock: */
	struct seai_entry **buckets;
	size_t n_buckets; /* a power of 2 */
	size_t n_entries;
	struct subscription *subscriptions;
};

struct seai_entry *seai_entry_ref(struct seai_entry *entry);

/* @param entry NULL is allowed. @return NULL */
struct seai_entry *seai_entry_unref(struct seai_entry *entry);

static inline void seai_entry_cleanup(struct seai_entry **entry)
{
	seai_entry_unref(*entry);
}

#define SEAI_AUTO_ENTRY SEAI_CLEANUP(seai_entry_cleanup)

/* The entry of a key, with a reference; NULL: it is not there. */
struct seai_entry *seai_properties_find(struct sea_properties *properties, const char *key);

#endif
