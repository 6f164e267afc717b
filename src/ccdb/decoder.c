/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoder: versions by path and uuid, in a hash table, each with a count of those who use it; those that nobody uses stand in a list, the
 * longest unused first.
 *
 * A table that has asked once for an object keeps that version in use until its close, and remembers it beside the object (a pin), so that
 * asking again takes no lock. The odd rule: a decoder's memory stays until its last version is gone, which may be long after
 * sea_decoder_free(); that is also why a pin may tell decoders by their addresses.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ccdb/decoder.h"

#define DECODER_N_BUCKETS_MIN 64

enum decoded_state {
	DECODED_BUSY, /* somebody is decoding it */
	DECODED_READY,
	DECODED_FAILED, /* in no table any more */
};

/* A version. All but the key is under the decoder's lock, and does not change once it is ready. */
struct sea_decoded {
	struct sea_decoder *decoder;
	struct sea_decoded *next; /* in its bucket */
	struct sea_decoded *older,
		*newer; /* of those that nobody uses; or `newer`: the next of those to be destroyed */
	uint64_t hash;
	uint64_t n_bytes; /* of the object */
	uint64_t n_users;
	uint64_t cost;
	void *value;
	struct sea_error error; /* of FAILED */
	enum decoded_state state;
	const char *uuid;
	char path[]; /* and behind it the uuid */
};

struct sea_decoder {
	struct sea_decoder_options options;
	pthread_mutex_t lock;
	pthread_cond_t ready; /* something is not busy any more */
	struct sea_decoded **buckets;
	size_t n_buckets;   /* a power of two */
	uint64_t n_entries; /* that need this memory: FAILED ones and those on their way to destroy() as well */
	bool is_freed;      /* nothing is kept that is not in use */
	struct sea_decoded *oldest, *newest;
	struct sea_decoder_stats stats;
};

struct seai_decoder_pin {
	const struct sea_decoder *decoder;
	struct sea_decoded *decoded;
	struct seai_decoder_pin *next;
};

/* The hash table. ---------------------------------------------------------------------------- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	/* FNV-1a, the end included, so that the border between two texts counts. */
	do {
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	} while (*text++ != 0);
	return hash;
}

static uint64_t hash_of(const struct sea_table_object *object)
{
	const uint64_t hash = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), object->path), object->uuid);

	return hash ^ hash >> 32;
}

static struct sea_decoded *decoder_find(const struct sea_decoder *decoder, const struct sea_table_object *object,
                                        uint64_t hash)
{
	struct sea_decoded *decoded = decoder->buckets[hash & (decoder->n_buckets - 1)];

	while (decoded != NULL && (decoded->hash != hash || strcmp(decoded->uuid, object->uuid) != 0 ||
	                           strcmp(decoded->path, object->path) != 0))
		decoded = decoded->next;
	return decoded;
}

static void decoder_put(struct sea_decoder *decoder, struct sea_decoded *decoded)
{
	struct sea_decoded **bucket = &decoder->buckets[decoded->hash & (decoder->n_buckets - 1)];

	decoded->next = *bucket;
	*bucket = decoded;
}

static void decoder_remove(struct sea_decoder *decoder, struct sea_decoded *decoded)
{
	struct sea_decoded **link = &decoder->buckets[decoded->hash & (decoder->n_buckets - 1)];

	while (*link != decoded)
		link = &(*link)->next;
	*link = decoded->next;
}

/* Where it fails, chains become longer: nothing else. */
static void decoder_grow(struct sea_decoder *decoder)
{
	const size_t n_old = decoder->n_buckets;
	struct sea_decoded **old = decoder->buckets, **buckets;

	if (decoder->n_entries < n_old)
		return;
	buckets = calloc(2 * n_old, sizeof(struct sea_decoded *));
	if (buckets == NULL)
		return;
	decoder->buckets = buckets;
	decoder->n_buckets = 2 * n_old;
	for (size_t i = 0; i < n_old; i++) {
		for (struct sea_decoded *decoded = old[i], *next; decoded != NULL; decoded = next) {
			next = decoded->next;
			decoder_put(decoder, decoded);
		}
	}
	free(old);
}

/* Those that nobody uses. -------------------------------------------------------------------- */

static void unused_add(struct sea_decoder *decoder, struct sea_decoded *decoded)
{
	decoded->older = decoder->newest;
	decoded->newer = NULL;
	if (decoder->newest != NULL)
		decoder->newest->newer = decoded;
	else
		decoder->oldest = decoded;
	decoder->newest = decoded;
}

static void unused_remove(struct sea_decoder *decoder, struct sea_decoded *decoded)
{
	if (decoded->older != NULL)
		decoded->older->newer = decoded->newer;
	else
		decoder->oldest = decoded->newer;
	if (decoded->newer != NULL)
		decoded->newer->older = decoded->older;
	else
		decoder->newest = decoded->older;
}

/* Takes out what is too much. @return those that are to be destroyed, linked by `newer` */
static struct sea_decoded *decoder_shrink(struct sea_decoder *decoder)
{
	const uint64_t max = decoder->options.n_cost_max;
	struct sea_decoded *dropped = NULL;

	while (decoder->oldest != NULL &&
	       (decoder->is_freed || max == 1 || (max != 0 && decoder->stats.n_cost > max))) {
		struct sea_decoded *decoded = decoder->oldest;

		unused_remove(decoder, decoded);
		decoder_remove(decoder, decoded);
		decoder->stats.n_cost -= decoded->cost;
		decoder->stats.n_kept--;
		decoded->newer = dropped;
		dropped = decoded;
	}
	return dropped;
}

/* The end of it, where nobody has it any more. */
static void decoder_fini(struct sea_decoder *decoder)
{
	pthread_mutex_destroy(&decoder->lock);
	pthread_cond_destroy(&decoder->ready);
	free(decoder->buckets);
	free(decoder);
}

/*
 * Destroys what was taken out, without the lock; and the decoder, if this was the last of it. Unlocks. What is being destroyed still counts,
 * so that the decoder stays until then; without any, nothing of it may be touched once it is unlocked.
 */
static void decoder_drop(struct sea_decoder *decoder, struct sea_decoded *dropped)
{
	uint64_t n = 0;
	bool is_last;

	if (dropped != NULL)
		pthread_mutex_unlock(&decoder->lock);
	for (struct sea_decoded *next; dropped != NULL; dropped = next, n++) {
		next = dropped->newer;
		if (decoder->options.destroy != NULL)
			decoder->options.destroy(dropped->value, decoder->options.userdata);
		free(dropped);
	}
	if (n > 0)
		pthread_mutex_lock(&decoder->lock);
	decoder->stats.n_destroyed += n;
	decoder->n_entries -= n;
	is_last = decoder->is_freed && decoder->n_entries == 0;
	pthread_mutex_unlock(&decoder->lock);
	if (is_last)
		decoder_fini(decoder);
}

/* One user less. Unlocks. */
static void decoded_leave(struct sea_decoded *decoded)
{
	struct sea_decoder *decoder = decoded->decoder;

	if (--decoded->n_users == 0) {
		if (decoded->state == DECODED_FAILED) {
			free(decoded);
			decoder->n_entries--;
		} else {
			unused_add(decoder, decoded);
		}
	}
	decoder_drop(decoder, decoder_shrink(decoder));
}

/* Decoding. ---------------------------------------------------------------------------------- */

static struct sea_decoded *decoded_new(struct sea_decoder *decoder, const struct sea_table_object *object,
                                       uint64_t hash)
{
	const size_t n_path = strlen(object->path) + 1, n_uuid = strlen(object->uuid) + 1;
	struct sea_decoded *decoded = calloc(1, sizeof(*decoded) + n_path + n_uuid);

	if (decoded == NULL)
		return NULL;
	decoded->decoder = decoder;
	decoded->hash = hash;
	decoded->n_bytes = object->n_bytes;
	decoded->n_users = 1;
	decoded->state = DECODED_BUSY;
	memcpy(decoded->path, object->path, n_path);
	decoded->uuid = memcpy(decoded->path + n_path, object->uuid, n_uuid);
	return decoded;
}

/* Comes and goes without the lock, with one user of the version. */
static void decoded_make(struct sea_decoded *decoded, const struct sea_table_object *object)
{
	struct sea_decoder *decoder = decoded->decoder;
	uint64_t cost = object->n_bytes;
	struct sea_error error = { 0 };
	void *value = NULL;
	const int r = decoder->options.decode(object, &value, &cost, &error, decoder->options.userdata);

	pthread_mutex_lock(&decoder->lock);
	if (r < 0) {
		if (error.text[0] == 0)
			(void)sea_error_set(&error, r, object->path, "version %s cannot be decoded: %s", object->uuid,
			                    sea_error_text(r));
		error.code = r;
		decoded->error = error;
		decoded->state = DECODED_FAILED;
		decoder_remove(decoder, decoded);
		decoder->stats.n_failed++;
	} else {
		decoded->value = value;
		decoded->cost = cost;
		decoded->state = DECODED_READY;
		decoder->stats.n_decoded++;
		decoder->stats.n_kept++;
		decoder->stats.n_cost += cost;
	}
	pthread_cond_broadcast(&decoder->ready);
	decoder_drop(decoder, decoder_shrink(decoder));
}

/* One user more, of a version that is there, when it is ready. Comes and goes with the lock. */
static void decoded_join(struct sea_decoded *decoded)
{
	struct sea_decoder *decoder = decoded->decoder;

	if (decoded->n_users++ == 0)
		unused_remove(decoder, decoded);
	while (decoded->state == DECODED_BUSY)
		pthread_cond_wait(&decoder->ready, &decoder->lock);
}

static int object_check(const struct sea_table_object *object, struct sea_error *error)
{
	if (object == NULL)
		return sea_error_set(error, -EINVAL, "", "there is no object");
	if (object->status != SEA_TABLE_OK)
		return sea_error_set(error, -ENOENT, object->path, "is not here: %s", object->reason);
	if (object->path == NULL || object->uuid == NULL || *object->uuid == 0)
		return sea_error_set(error, -EINVAL, object->path == NULL ? "" : object->path,
		                     "has no uuid, so that its versions cannot be told apart");
	return 0;
}

int sea_decoder_hold(struct sea_decoder *decoder, const struct sea_table_object *object, struct sea_decoded **ret_held,
                     struct sea_error *error)
{
	struct sea_decoded *decoded;
	uint64_t hash;
	int r = object_check(object, error);

	if (r < 0)
		return r;
	hash = hash_of(object);
	pthread_mutex_lock(&decoder->lock);
	decoded = decoder_find(decoder, object, hash);
	if (decoded == NULL) {
		decoder_grow(decoder);
		decoded = decoded_new(decoder, object, hash);
		if (decoded == NULL) {
			pthread_mutex_unlock(&decoder->lock);
			return -ENOMEM;
		}
		decoder->n_entries++;
		decoder_put(decoder, decoded);
		pthread_mutex_unlock(&decoder->lock);
		decoded_make(decoded, object);
		pthread_mutex_lock(&decoder->lock);
	} else {
		decoded_join(decoded);
	}
	if (decoded->state == DECODED_FAILED) {
		r = decoded->error.code;
		if (error != NULL)
			*error = decoded->error;
	} else if (decoded->n_bytes != object->n_bytes) {
		r = sea_error_set(error, -EBADMSG, object->path, "version %s has %llu bytes here, and had %llu before",
		                  object->uuid, (unsigned long long)object->n_bytes,
		                  (unsigned long long)decoded->n_bytes);
	}
	if (r < 0) {
		decoded_leave(decoded);
		return r;
	}
	pthread_mutex_unlock(&decoder->lock);
	*ret_held = decoded;
	return 0;
}

void *sea_decoded_get(const struct sea_decoded *held)
{
	return held->value;
}

struct sea_decoded *sea_decoded_release(struct sea_decoded *held)
{
	if (held == NULL)
		return NULL;
	pthread_mutex_lock(&held->decoder->lock);
	decoded_leave(held);
	return NULL;
}

/* What a table remembers. -------------------------------------------------------------------- */

static int pin_add(struct sea_decoder *decoder, const struct sea_table_object *object, void **ret_decoded,
                   struct sea_error *error)
{
	struct seai_decoder_pins *pins;
	struct seai_decoder_pin *pin;
	int r = object_check(object, error);

	if (r < 0 || object == NULL)
		return r;
	pins = object->slot;
	if (pins == NULL)
		return sea_error_set(error, -EINVAL, object->path, "is not an object of a table");
	pin = malloc(sizeof(*pin));
	if (pin == NULL)
		return -ENOMEM;
	r = sea_decoder_hold(decoder, object, &pin->decoded, error);
	if (r < 0) {
		free(pin);
		return r;
	}
	pin->decoder = decoder;
	*ret_decoded = pin->decoded->value;
	/* Of two threads that come here at once both pin it: that is one user too many, until the close. */
	pin->next = atomic_load_explicit(&pins->first, memory_order_relaxed);
	/* Pairs with the acquire in sea_decoder_get(): whoever sees the pin sees what is in it, and the value. */
	while (!atomic_compare_exchange_weak_explicit(&pins->first, &pin->next, pin, memory_order_release,
	                                              memory_order_relaxed))
		;
	return 0;
}

int sea_decoder_get(struct sea_decoder *decoder, const struct sea_table_object *object, void **ret_decoded,
                    struct sea_error *error)
{
	if (object != NULL && object->slot != NULL) {
		struct seai_decoder_pins *pins = object->slot;
		/* Pairs with the release in pin_add(). */
		const struct seai_decoder_pin *pin = atomic_load_explicit(&pins->first, memory_order_acquire);

		for (; pin != NULL; pin = pin->next) {
			if (pin->decoder == decoder) {
				*ret_decoded = pin->decoded->value;
				return 0;
			}
		}
	}
	return pin_add(decoder, object, ret_decoded, error);
}

void seai_decoder_unpin(struct seai_decoder_pins *pins)
{
	/* Nobody else uses the table any more, and whoever has closed it knows of their pins. */
	struct seai_decoder_pin *pin = atomic_exchange_explicit(&pins->first, NULL, memory_order_acquire);

	while (pin != NULL) {
		struct seai_decoder_pin *next = pin->next;

		sea_decoded_release(pin->decoded);
		free(pin);
		pin = next;
	}
}

/* The decoder. ------------------------------------------------------------------------------- */

int sea_decoder_new(struct sea_decoder **ret_decoder, const struct sea_decoder_options *options)
{
	static const uint64_t zeros[sizeof(options->reserved) / sizeof(uint64_t)];
	struct sea_decoder *decoder;

	if (options == NULL || options->decode == NULL || memcmp(options->reserved, zeros, sizeof(zeros)) != 0)
		return -EINVAL;
	decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL)
		return -ENOMEM;
	decoder->buckets = calloc(DECODER_N_BUCKETS_MIN, sizeof(struct sea_decoded *));
	if (decoder->buckets == NULL) {
		free(decoder);
		return -ENOMEM;
	}
	decoder->n_buckets = DECODER_N_BUCKETS_MIN;
	decoder->options = *options;
	pthread_mutex_init(&decoder->lock, NULL);
	pthread_cond_init(&decoder->ready, NULL);
	*ret_decoder = decoder;
	return 0;
}

struct sea_decoder *sea_decoder_free(struct sea_decoder *decoder)
{
	if (decoder == NULL)
		return NULL;
	pthread_mutex_lock(&decoder->lock);
	decoder->is_freed = true;
	decoder_drop(decoder, decoder_shrink(decoder));
	return NULL;
}

void sea_decoder_get_stats(const struct sea_decoder *decoder, struct sea_decoder_stats *ret_stats)
{
	/* The cast away of const: the lock is not part of what it counts. */
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&decoder->lock;

	pthread_mutex_lock(lock);
	*ret_stats = decoder->stats;
	pthread_mutex_unlock(lock);
}
