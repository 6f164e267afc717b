/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of a device's configuration; see sealane/device/properties.h.
 *
 * The odd rule: what is stored never changes. A set puts another entry in the place of the old one, so that queries and callbacks go
 * on with what they have, without the lock, for as long as they hold a reference.
 */
#include "device/properties.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/value.h"

#define KEY_N_BYTES_MAX 255
#define N_BUCKETS_FIRST 256

struct subscription {
	struct subscription *next;
	char *who;
	enum sea_value_type type;
	sea_property_fn function;
	void *userdata;
	unsigned n_running; /* calls that go on now */
	bool is_gone;       /* it is in no list any more: the last call frees it */
};

/* How many functions of subscriptions this thread is in: it cannot wait for itself. */
static _Thread_local unsigned properties_depth;

struct seai_entry *seai_entry_unref(struct seai_entry *entry)
{
	/* release: what was read of it was read; acquire: the last one sees all of that */
	if (entry && atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) == 1) {
		free(entry->value);
		free(entry->origin);
		free(entry);
	}
	return NULL;
}

struct seai_entry *seai_entry_ref(struct seai_entry *entry)
{
	atomic_fetch_add_explicit(&entry->n_refs, 1, memory_order_relaxed);
	return entry;
}

/* An entry of a value that becomes its own. The value is taken on success only. */
static int entry_new(struct seai_entry **ret_entry, const char *key, struct sea_value **value, const char *origin)
{
	size_t n_key = strlen(key);
	struct seai_entry *entry;

	if (n_key < 1 || n_key > KEY_N_BYTES_MAX)
		return -EINVAL;
	entry = calloc(1, sizeof(*entry) + n_key + 1);
	if (!entry)
		return -ENOMEM;
	entry->n_refs = 1;
	memcpy(entry->key, key, n_key + 1);
	entry->origin = strdup(origin ? origin : "set at run time");
	if (!entry->origin) {
		seai_entry_unref(entry);
		return -ENOMEM;
	}
	entry->value = SEAI_TAKE(*value);
	*ret_entry = entry;
	return 0;
}

static int entry_new_copy(struct seai_entry **ret_entry, const char *key, const struct sea_value *value,
                          const char *origin)
{
	SEAI_AUTO_FREE struct sea_value *copy = NULL;
	int r = seai_value_copy(value, &copy);

	return r < 0 ? r : entry_new(ret_entry, key, &copy, origin);
}

/* The table. Its callers hold the lock. ------------------------------------------------------ */

static size_t properties_hash(const char *key)
{
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * UINT64_C(1099511628211);
	return (size_t)(hash ^ hash >> 32);
}

static struct seai_entry **properties_slot(const struct sea_properties *properties, const char *key)
{
	struct seai_entry **slot = &properties->buckets[properties_hash(key) & (properties->n_buckets - 1)];

	while (*slot && strcmp((*slot)->key, key) != 0)
		slot = &(*slot)->next;
	return slot;
}

/* Twice as many buckets. Without memory the old ones do as well, only slower. */
static void properties_grow(struct sea_properties *properties)
{
	size_t n_buckets = properties->n_buckets * 2;
	struct seai_entry **buckets = calloc(n_buckets, sizeof(struct seai_entry *));

	if (!buckets)
		return;
	for (size_t i = 0; i < properties->n_buckets; i++)
		while (properties->buckets[i]) {
			struct seai_entry *entry = properties->buckets[i];
			struct seai_entry **slot = &buckets[properties_hash(entry->key) & (n_buckets - 1)];

			properties->buckets[i] = entry->next;
			entry->next = *slot;
			*slot = entry;
		}
	free(properties->buckets);
	properties->buckets = buckets;
	properties->n_buckets = n_buckets;
}

/* Puts an entry in; takes it. */
static void properties_put(struct sea_properties *properties, struct seai_entry *entry)
{
	struct seai_entry **slot;

	if (properties->n_entries >= properties->n_buckets)
		properties_grow(properties);
	slot = properties_slot(properties, entry->key);
	if (*slot) {
		entry->next = (*slot)->next;
		seai_entry_unref(*slot);
	} else {
		entry->next = NULL;
		properties->n_entries++;
	}
	*slot = entry;
}

struct seai_entry *seai_properties_find(struct sea_properties *properties, const char *key)
{
	struct seai_entry *entry;

	pthread_mutex_lock(&properties->lock);
	entry = *properties_slot(properties, key);
	if (entry)
		seai_entry_ref(entry);
	pthread_mutex_unlock(&properties->lock);
	return entry;
}

/* Subscriptions. ------------------------------------------------------------------------------- */

static struct subscription *subscription_free(struct subscription *subscription)
{
	if (subscription) {
		free(subscription->who);
		free(subscription);
	}
	return NULL;
}

/* Takes a subscription out of the list and waits for its calls; the lock is held. */
static int properties_remove(struct sea_properties *properties, const char *who, enum sea_value_type type)
{
	for (struct subscription **slot = &properties->subscriptions; *slot; slot = &(*slot)->next) {
		struct subscription *subscription = *slot;

		if (subscription->type != type || strcmp(subscription->who, who) != 0)
			continue;
		*slot = subscription->next;
		if (properties_depth && subscription->n_running) {
			subscription->is_gone = true;
			return 0;
		}
		while (subscription->n_running)
			pthread_cond_wait(&properties->ended, &properties->lock);
		subscription_free(subscription);
		return 0;
	}
	return -ENOENT;
}

static void subscription_call(const struct subscription *subscription, const struct seai_entry *entry)
{
	const struct sea_value *value = entry->value;
	SEAI_AUTO_FREE char *text = NULL;
	struct sea_value as_string = { .type = SEA_VALUE_STRING };

	if (subscription->type == SEA_VALUE_AS_STRING) {
		size_t n_bytes = sea_value_text(value, NULL, 0) + 1;

		text = malloc(n_bytes);
		if (text)
			sea_value_text(value, text, n_bytes);
		as_string.as.string = text ? text : "";
		value = &as_string;
	}
	properties_depth++;
	subscription->function(entry->key, value, entry->origin, subscription->userdata);
	properties_depth--;
}

/* Calls everyone who wants to know of an entry. The lock is not held. */
static void properties_tell(struct sea_properties *properties, const struct seai_entry *entry)
{
	SEAI_AUTO_FREE struct subscription **told = NULL;
	size_t n_told = 0;

	pthread_mutex_lock(&properties->lock);
	for (struct subscription *one = properties->subscriptions; one; one = one->next)
		n_told++;
	/* Nobody is told where there is no memory; the value is set anyway. */
	told = n_told ? calloc(n_told, sizeof(struct subscription *)) : NULL;
	n_told = 0;
	for (struct subscription *one = properties->subscriptions; told && one; one = one->next)
		if (one->type == entry->value->type || one->type == SEA_VALUE_NONE ||
		    one->type == SEA_VALUE_AS_STRING) {
			one->n_running++;
			told[n_told++] = one;
		}
	pthread_mutex_unlock(&properties->lock);
	for (size_t i = 0; i < n_told; i++) {
		bool is_gone;

		/* Whoever ended it before its turn is told no more. It cannot go away meanwhile: it counts as running. */
		pthread_mutex_lock(&properties->lock);
		is_gone = told[i]->is_gone;
		pthread_mutex_unlock(&properties->lock);
		if (!is_gone)
			subscription_call(told[i], entry);
		pthread_mutex_lock(&properties->lock);
		if (--told[i]->n_running == 0) {
			if (told[i]->is_gone)
				subscription_free(told[i]);
			pthread_cond_broadcast(&properties->ended);
		}
		pthread_mutex_unlock(&properties->lock);
	}
}

int sea_properties_subscribe(struct sea_properties *properties, const char *who, enum sea_value_type type,
                             sea_property_fn function, void *userdata)
{
	struct subscription *subscription, **last;

	if (!who || !function || (unsigned)type > SEA_VALUE_AS_STRING)
		return -EINVAL;
	subscription = calloc(1, sizeof(*subscription));
	if (!subscription)
		return -ENOMEM;
	subscription->who = strdup(who);
	if (!subscription->who) {
		subscription_free(subscription);
		return -ENOMEM;
	}
	subscription->type = type;
	subscription->function = function;
	subscription->userdata = userdata;
	pthread_mutex_lock(&properties->lock);
	(void)properties_remove(properties, who, type);
	for (last = &properties->subscriptions; *last; last = &(*last)->next)
		;
	*last = subscription;
	pthread_mutex_unlock(&properties->lock);
	return 0;
}

int sea_properties_unsubscribe(struct sea_properties *properties, const char *who, enum sea_value_type type)
{
	int r;

	if (!who)
		return -ENOENT;
	pthread_mutex_lock(&properties->lock);
	r = properties_remove(properties, who, type);
	pthread_mutex_unlock(&properties->lock);
	return r;
}

/* Setting. ------------------------------------------------------------------------------- */

int sea_properties_new(struct sea_properties **ret_properties)
{
	struct sea_properties *properties = calloc(1, sizeof(*properties));

	if (!properties)
		return -ENOMEM;
	properties->n_buckets = N_BUCKETS_FIRST;
	properties->buckets = calloc(properties->n_buckets, sizeof(struct seai_entry *));
	if (!properties->buckets) {
		free(properties);
		return -ENOMEM;
	}
	pthread_mutex_init(&properties->lock, NULL);
	pthread_cond_init(&properties->ended, NULL);
	*ret_properties = properties;
	return 0;
}

struct sea_properties *sea_properties_free(struct sea_properties *properties)
{
	if (!properties)
		return NULL;
	for (size_t i = 0; i < properties->n_buckets; i++)
		while (properties->buckets[i]) {
			struct seai_entry *entry = properties->buckets[i];

			properties->buckets[i] = entry->next;
			seai_entry_unref(entry);
		}
	while (properties->subscriptions) {
		struct subscription *subscription = properties->subscriptions;

		properties->subscriptions = subscription->next;
		subscription_free(subscription);
	}
	free(properties->buckets);
	pthread_cond_destroy(&properties->ended);
	pthread_mutex_destroy(&properties->lock);
	free(properties);
	return NULL;
}

int sea_properties_set(struct sea_properties *properties, const char *key, const struct sea_value *value,
                       const char *origin)
{
	SEAI_AUTO_ENTRY struct seai_entry *entry = NULL;
	int r = entry_new_copy(&entry, key, value, origin);

	if (r < 0)
		return r;
	pthread_mutex_lock(&properties->lock);
	properties_put(properties, seai_entry_ref(entry));
	pthread_mutex_unlock(&properties->lock);
	properties_tell(properties, entry);
	return 0;
}

int sea_properties_set_bool(struct sea_properties *properties, const char *key, bool value)
{
	return sea_properties_set(properties, key, &(struct sea_value){ .type = SEA_VALUE_BOOL, .as.boolean = value },
	                          NULL);
}

int sea_properties_set_int(struct sea_properties *properties, const char *key, int64_t value)
{
	return sea_properties_set(properties, key, &(struct sea_value){ .type = SEA_VALUE_INT, .as.integer = value },
	                          NULL);
}

int sea_properties_set_uint(struct sea_properties *properties, const char *key, uint64_t value)
{
	return sea_properties_set(properties, key, &(struct sea_value){ .type = SEA_VALUE_UINT, .as.uinteger = value },
	                          NULL);
}

int sea_properties_set_double(struct sea_properties *properties, const char *key, double value)
{
	return sea_properties_set(properties, key, &(struct sea_value){ .type = SEA_VALUE_DOUBLE, .as.real = value },
	                          NULL);
}

int sea_properties_set_string(struct sea_properties *properties, const char *key, const char *value)
{
	return sea_properties_set(properties, key, &(struct sea_value){ .type = SEA_VALUE_STRING, .as.string = value },
	                          NULL);
}

int sea_properties_update(struct sea_properties *properties, const char *key, const struct sea_value *value,
                          const char *origin)
{
	return sea_properties_update_many(properties, &(struct sea_property){ key, *value }, 1, origin, NULL);
}

/* Puts entries in the places of others of their keys and types, all or none. */
static int properties_replace(struct sea_properties *properties, struct seai_entry **entries, size_t n_entries,
                              size_t *ret_i)
{
	int r = 0;

	pthread_mutex_lock(&properties->lock);
	for (size_t i = 0; i < n_entries && r == 0; i++) {
		const struct seai_entry *old = *properties_slot(properties, entries[i]->key);

		if (!old)
			r = -ENOENT;
		else if (old->value->type != entries[i]->value->type)
			r = -EPROTOTYPE;
		if (r < 0)
			*ret_i = i;
	}
	for (size_t i = 0; i < n_entries && r == 0; i++)
		properties_put(properties, seai_entry_ref(entries[i]));
	pthread_mutex_unlock(&properties->lock);
	return r;
}

int sea_properties_update_many(struct sea_properties *properties, const struct sea_property *changes, size_t n_changes,
                               const char *origin, size_t *ret_i)
{
	SEAI_AUTO_FREE struct seai_entry **entries = NULL;
	size_t i, wrong = 0;
	int r = 0;

	if (!n_changes)
		return 0;
	entries = calloc(n_changes, sizeof(struct seai_entry *));
	if (!entries)
		return -ENOMEM;
	for (i = 0; i < n_changes && r == 0; i++) {
		r = entry_new_copy(&entries[i], changes[i].key, &changes[i].value, origin);
		wrong = i;
	}
	if (r == 0)
		r = properties_replace(properties, entries, n_changes, &wrong);
	for (i = 0; i < n_changes; i++) {
		if (r == 0)
			properties_tell(properties, entries[i]);
		seai_entry_unref(entries[i]);
	}
	if (r < 0 && ret_i)
		*ret_i = wrong;
	return r;
}

int sea_properties_parse(struct sea_properties *properties, const char *key, const char *text, const char *origin)
{
	SEAI_AUTO_FREE struct sea_value *value = NULL;
	SEAI_AUTO_ENTRY struct seai_entry *entry = NULL;
	size_t i;
	int r;

	do {
		enum sea_value_type type = sea_properties_type(properties, key);

		if (type == SEA_VALUE_NONE)
			return -ENOENT;
		r = seai_value_parse(type, text, &value);
		if (r == 0)
			r = entry_new(&entry, key, &value, origin);
		if (r < 0 || !entry)
			return r;
		r = properties_replace(properties, &entry, 1, &i);
		/* Somebody made it of another type meanwhile. */
		if (r == -EPROTOTYPE)
			entry = seai_entry_unref(entry);
	} while (r == -EPROTOTYPE);
	if (r == 0)
		properties_tell(properties, entry);
	return r;
}

int sea_properties_delete(struct sea_properties *properties, const char *key)
{
	struct seai_entry **slot;
	int r = -ENOENT;

	pthread_mutex_lock(&properties->lock);
	slot = properties_slot(properties, key);
	if (*slot) {
		struct seai_entry *entry = *slot;

		*slot = entry->next;
		seai_entry_unref(entry);
		properties->n_entries--;
		r = 0;
	}
	pthread_mutex_unlock(&properties->lock);
	return r;
}
