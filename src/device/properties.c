/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of a device's configuration; see sealane/device/properties.h.
 *
 * The odd rule: what is stored never changes. A set puts another entry in the place of the old one, so that queries and callbacks go
 * on with what they have, without the lock, for as long as they hold a reference.
 */
#include <sealane/device/properties.h>

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cleanup.h"
#include "device/value.h"

#define KEY_N_BYTES_MAX 255
#define N_BUCKETS_FIRST 256

/* A key and what it was set to. */
struct entry {
	atomic_uint n_refs;
	struct entry *next; /* in its bucket; under the lock */
	struct sea_value *value;
	char *origin;
	char key[];
};

struct subscription {
	struct subscription *next;
	char *who;
	enum sea_value_type type;
	sea_property_fn function;
	void *userdata;
	unsigned n_running; /* calls that go on now */
	bool is_gone;       /* it is in no list any more: the last call frees it */
};

struct sea_properties {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a call of a subscription that is gone has ended */
	/* All under the lock: */
	struct entry **buckets;
	size_t n_buckets; /* a power of 2 */
	size_t n_entries;
	struct subscription *subscriptions;
};

/* How many functions of subscriptions this thread is in: it cannot wait for itself. */
static _Thread_local unsigned properties_depth;

static struct entry *entry_unref(struct entry *entry)
{
	/* release: what was read of it was read; acquire: the last one sees all of that */
	if (entry && atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) == 1) {
		free(entry->value);
		free(entry->origin);
		free(entry);
	}
	return NULL;
}

static struct entry *entry_ref(struct entry *entry)
{
	atomic_fetch_add_explicit(&entry->n_refs, 1, memory_order_relaxed);
	return entry;
}

static void entry_cleanup(struct entry **entry)
{
	entry_unref(*entry);
}

#define AUTO_ENTRY SEAI_CLEANUP(entry_cleanup)

/* An entry of a value that becomes its own. The value is taken on success only. */
static int entry_new(struct entry **ret_entry, const char *key, struct sea_value **value, const char *origin)
{
	size_t n_key = strlen(key);
	struct entry *entry;

	if (n_key < 1 || n_key > KEY_N_BYTES_MAX)
		return -EINVAL;
	entry = calloc(1, sizeof(*entry) + n_key + 1);
	if (!entry)
		return -ENOMEM;
	entry->n_refs = 1;
	memcpy(entry->key, key, n_key + 1);
	entry->origin = strdup(origin ? origin : "set at run time");
	if (!entry->origin) {
		entry_unref(entry);
		return -ENOMEM;
	}
	entry->value = SEAI_TAKE(*value);
	*ret_entry = entry;
	return 0;
}

static int entry_new_copy(struct entry **ret_entry, const char *key, const struct sea_value *value, const char *origin)
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

static struct entry **properties_slot(const struct sea_properties *properties, const char *key)
{
	struct entry **slot = &properties->buckets[properties_hash(key) & (properties->n_buckets - 1)];

	while (*slot && strcmp((*slot)->key, key) != 0)
		slot = &(*slot)->next;
	return slot;
}

/* Twice as many buckets. Without memory the old ones do as well, only slower. */
static void properties_grow(struct sea_properties *properties)
{
	size_t n_buckets = properties->n_buckets * 2;
	struct entry **buckets = calloc(n_buckets, sizeof(struct entry *));

	if (!buckets)
		return;
	for (size_t i = 0; i < properties->n_buckets; i++)
		while (properties->buckets[i]) {
			struct entry *entry = properties->buckets[i];
			struct entry **slot = &buckets[properties_hash(entry->key) & (n_buckets - 1)];

			properties->buckets[i] = entry->next;
			entry->next = *slot;
			*slot = entry;
		}
	free(properties->buckets);
	properties->buckets = buckets;
	properties->n_buckets = n_buckets;
}

/* Puts an entry in; takes it. */
static void properties_put(struct sea_properties *properties, struct entry *entry)
{
	struct entry **slot;

	if (properties->n_entries >= properties->n_buckets)
		properties_grow(properties);
	slot = properties_slot(properties, entry->key);
	if (*slot) {
		entry->next = (*slot)->next;
		entry_unref(*slot);
	} else {
		entry->next = NULL;
		properties->n_entries++;
	}
	*slot = entry;
}

static struct entry *properties_find(struct sea_properties *properties, const char *key)
{
	struct entry *entry;

	pthread_mutex_lock(&properties->lock);
	entry = *properties_slot(properties, key);
	if (entry)
		entry_ref(entry);
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

static void subscription_call(const struct subscription *subscription, const struct entry *entry)
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
static void properties_tell(struct sea_properties *properties, const struct entry *entry)
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
	properties->buckets = calloc(properties->n_buckets, sizeof(struct entry *));
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
			struct entry *entry = properties->buckets[i];

			properties->buckets[i] = entry->next;
			entry_unref(entry);
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
	AUTO_ENTRY struct entry *entry = NULL;
	int r = entry_new_copy(&entry, key, value, origin);

	if (r < 0)
		return r;
	pthread_mutex_lock(&properties->lock);
	properties_put(properties, entry_ref(entry));
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
static int properties_replace(struct sea_properties *properties, struct entry **entries, size_t n_entries,
                              size_t *ret_i)
{
	int r = 0;

	pthread_mutex_lock(&properties->lock);
	for (size_t i = 0; i < n_entries && r == 0; i++) {
		const struct entry *old = *properties_slot(properties, entries[i]->key);

		if (!old)
			r = -ENOENT;
		else if (old->value->type != entries[i]->value->type)
			r = -EPROTOTYPE;
		if (r < 0)
			*ret_i = i;
	}
	for (size_t i = 0; i < n_entries && r == 0; i++)
		properties_put(properties, entry_ref(entries[i]));
	pthread_mutex_unlock(&properties->lock);
	return r;
}

int sea_properties_update_many(struct sea_properties *properties, const struct sea_property *changes, size_t n_changes,
                               const char *origin, size_t *ret_i)
{
	SEAI_AUTO_FREE struct entry **entries = NULL;
	size_t i, wrong = 0;
	int r = 0;

	if (!n_changes)
		return 0;
	entries = calloc(n_changes, sizeof(struct entry *));
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
		entry_unref(entries[i]);
	}
	if (r < 0 && ret_i)
		*ret_i = wrong;
	return r;
}

int sea_properties_parse(struct sea_properties *properties, const char *key, const char *text, const char *origin)
{
	SEAI_AUTO_FREE struct sea_value *value = NULL;
	AUTO_ENTRY struct entry *entry = NULL;
	size_t i;
	int r;

	do {
		enum sea_value_type type = sea_properties_type(properties, key);

		if (type == SEA_VALUE_NONE)
			return -ENOENT;
		r = seai_value_parse(type, text, &value);
		if (r == 0)
			r = entry_new(&entry, key, &value, origin);
		if (r < 0)
			return r;
		r = properties_replace(properties, &entry, 1, &i);
		/* Somebody made it of another type meanwhile. */
		if (r == -EPROTOTYPE)
			entry = entry_unref(entry);
	} while (r == -EPROTOTYPE);
	if (r == 0)
		properties_tell(properties, entry);
	return r;
}

int sea_properties_delete(struct sea_properties *properties, const char *key)
{
	struct entry **slot;
	int r = -ENOENT;

	pthread_mutex_lock(&properties->lock);
	slot = properties_slot(properties, key);
	if (*slot) {
		struct entry *entry = *slot;

		*slot = entry->next;
		entry_unref(entry);
		properties->n_entries--;
		r = 0;
	}
	pthread_mutex_unlock(&properties->lock);
	return r;
}

/* Reading. ------------------------------------------------------------------------------- */

int sea_properties_get(struct sea_properties *properties, const char *key, struct sea_value **ret_value)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	return entry ? seai_value_copy(entry->value, ret_value) : -ENOENT;
}

enum sea_value_type sea_properties_type(struct sea_properties *properties, const char *key)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	return entry ? entry->value->type : SEA_VALUE_NONE;
}

int sea_properties_get_bool(struct sea_properties *properties, const char *key, bool *ret_value)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type != SEA_VALUE_BOOL)
		return -EPROTOTYPE;
	*ret_value = entry->value->as.boolean;
	return 0;
}

int sea_properties_get_int(struct sea_properties *properties, const char *key, int64_t *ret_value)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type == SEA_VALUE_UINT) {
		if (entry->value->as.uinteger > INT64_MAX)
			return -ERANGE;
		*ret_value = (int64_t)entry->value->as.uinteger;
		return 0;
	}
	if (entry->value->type != SEA_VALUE_INT)
		return -EPROTOTYPE;
	*ret_value = entry->value->as.integer;
	return 0;
}

int sea_properties_get_uint(struct sea_properties *properties, const char *key, uint64_t *ret_value)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type == SEA_VALUE_INT) {
		if (entry->value->as.integer < 0)
			return -ERANGE;
		*ret_value = (uint64_t)entry->value->as.integer;
		return 0;
	}
	if (entry->value->type != SEA_VALUE_UINT)
		return -EPROTOTYPE;
	*ret_value = entry->value->as.uinteger;
	return 0;
}

int sea_properties_get_double(struct sea_properties *properties, const char *key, double *ret_value)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	if (!entry)
		return -ENOENT;
	if (entry->value->type == SEA_VALUE_INT)
		*ret_value = (double)entry->value->as.integer;
	else if (entry->value->type == SEA_VALUE_UINT)
		*ret_value = (double)entry->value->as.uinteger;
	else if (entry->value->type == SEA_VALUE_DOUBLE)
		*ret_value = entry->value->as.real;
	else
		return -EPROTOTYPE;
	return 0;
}

int sea_properties_get_string(struct sea_properties *properties, const char *key, char **ret_value)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);
	char *copy;

	if (!entry)
		return -ENOENT;
	if (entry->value->type != SEA_VALUE_STRING)
		return -EPROTOTYPE;
	copy = strdup(entry->value->as.string);
	if (!copy)
		return -ENOMEM;
	*ret_value = copy;
	return 0;
}

bool sea_properties_bool_or(struct sea_properties *properties, const char *key, bool otherwise)
{
	bool value = otherwise;

	(void)sea_properties_get_bool(properties, key, &value);
	return value;
}

int64_t sea_properties_int_or(struct sea_properties *properties, const char *key, int64_t otherwise)
{
	int64_t value = otherwise;

	(void)sea_properties_get_int(properties, key, &value);
	return value;
}

uint64_t sea_properties_uint_or(struct sea_properties *properties, const char *key, uint64_t otherwise)
{
	uint64_t value = otherwise;

	(void)sea_properties_get_uint(properties, key, &value);
	return value;
}

double sea_properties_double_or(struct sea_properties *properties, const char *key, double otherwise)
{
	double value = otherwise;

	(void)sea_properties_get_double(properties, key, &value);
	return value;
}

char *sea_properties_string_or(struct sea_properties *properties, const char *key, const char *otherwise)
{
	char *value = NULL;
	int r = sea_properties_get_string(properties, key, &value);

	if (r == -ENOENT || r == -EPROTOTYPE)
		return otherwise ? strdup(otherwise) : NULL;
	return value;
}

int sea_properties_get_text(struct sea_properties *properties, const char *key, char *text, size_t n_bytes)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	return entry ? (int)sea_value_text(entry->value, text, n_bytes) : -ENOENT;
}

int sea_properties_origin(struct sea_properties *properties, const char *key, char *text, size_t n_bytes)
{
	AUTO_ENTRY struct entry *entry = properties_find(properties, key);

	return entry ? snprintf(text, n_bytes, "%s", entry->origin) : -ENOENT;
}

/* Queries. ------------------------------------------------------------------------------- */

static int entry_compare(const void *a, const void *b)
{
	const struct entry *const *left = a, *const *right = b;

	return strcmp((*left)->key, (*right)->key);
}

/* Calls function for the entries that match, in order, as they were at one moment. */
static int properties_query(struct sea_properties *properties, const char *prefix, const regex_t *regex,
                            sea_property_fn function, void *userdata)
{
	size_t n_prefix = prefix ? strlen(prefix) : 0, n_found = 0, n_called = 0;
	struct entry **found;

	pthread_mutex_lock(&properties->lock);
	found = calloc(properties->n_entries + 1, sizeof(struct entry *));
	for (size_t i = 0; found && i < properties->n_buckets; i++)
		for (struct entry *entry = properties->buckets[i]; entry; entry = entry->next)
			if (!n_prefix || strncmp(entry->key, prefix, n_prefix) == 0)
				found[n_found++] = entry_ref(entry);
	pthread_mutex_unlock(&properties->lock);
	if (!found)
		return -ENOMEM;
	qsort(found, n_found, sizeof(struct entry *), entry_compare);
	for (size_t i = 0; i < n_found; i++) {
		regmatch_t match;

		if (!regex || (regexec(regex, found[i]->key, 1, &match, 0) == 0 && match.rm_so == 0 &&
		               !found[i]->key[match.rm_eo])) {
			function(found[i]->key, found[i]->value, found[i]->origin, userdata);
			n_called++;
		}
		entry_unref(found[i]);
	}
	free(found);
	return (int)n_called;
}

int sea_properties_list(struct sea_properties *properties, const char *prefix, sea_property_fn function, void *userdata)
{
	return properties_query(properties, prefix, NULL, function, userdata);
}

int sea_properties_match(struct sea_properties *properties, const char *regex, sea_property_fn function, void *userdata)
{
	regex_t compiled;
	int r = regcomp(&compiled, regex, REG_EXTENDED);

	if (r)
		return r == REG_ESPACE ? -ENOMEM : -EINVAL;
	r = properties_query(properties, NULL, &compiled, function, userdata);
	regfree(&compiled);
	return r;
}
