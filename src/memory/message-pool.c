/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of messages, kept per thread: taking and putting one is a few
 * instructions without a lock. A thread's objects are freed when it ends.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "memory/message.h"

/* Objects that a thread keeps; a bulk call takes 64 or 256 at a time. */
#define POOL_N_MAX 1024u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POOL_OFF 1 /* so that the sanitizers see each object's life */
#else
#define POOL_OFF 0
#endif

struct pool {
	struct sea_message *free;
	uint32_t n_free;
	bool is_registered;
};

static _Thread_local struct pool pool_of_thread __attribute__((tls_model("initial-exec")));
static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static bool pool_has_key;

static void pool_drop(void *unused)
{
	struct pool *pool = &pool_of_thread;

	(void)unused;
	while (pool->free) {
		struct sea_message *message = pool->free;

		pool->free = message->next;
		free(message);
	}
	pool->n_free = 0;
	pool->is_registered = false;
}

static void pool_make_key(void)
{
	pool_has_key = pthread_key_create(&pool_key, pool_drop) == 0;
}

/* The main thread's objects, at exit() or dlclose(). */
__attribute__((destructor)) static void pool_drop_at_exit(void)
{
	pool_drop(NULL);
	if (pool_has_key)
		pthread_key_delete(pool_key);
}

static void pool_register(struct pool *pool)
{
	pthread_once(&pool_once, pool_make_key);
	if (pool_has_key)
		pthread_setspecific(pool_key, pool);
	pool->is_registered = true;
}

struct sea_message *seai_message_take(struct sea_session *session)
{
	struct pool *pool = &pool_of_thread;
	struct sea_message *message = pool->free;

	if (SEAI_LIKELY(message != NULL)) {
		pool->free = message->next;
		pool->n_free--;
	} else {
		message = aligned_alloc(64, (sizeof(*message) + 63) & ~(size_t)63);
		if (!message)
			return NULL;
		message->sources = NULL;
		message->n_sources = 0;
	}
	message->session = session;
	atomic_store_explicit(&message->n_refs, 1, memory_order_relaxed);
	message->kind = SEAI_MESSAGE_INLINE;
	message->flags = 0;
	message->n_parts = 0;
	message->n_blocks = 0;
	message->offset = 0;
	message->n_bytes = 0;
	message->tag = 0;
	message->sender_id = 0;
	message->refs = &message->ref;
	message->next = NULL;
	return message;
}

void seai_message_put(struct sea_message *message)
{
	struct pool *pool = &pool_of_thread;

	if (SEAI_UNLIKELY(message->refs != &message->ref))
		free(message->refs);
	if (SEAI_UNLIKELY(message->sources != NULL)) {
		free(message->sources);
		message->sources = NULL;
		message->n_sources = 0;
	}
	if (POOL_OFF || SEAI_UNLIKELY(pool->n_free >= POOL_N_MAX)) {
		free(message);
		return;
	}
	if (SEAI_UNLIKELY(!pool->is_registered))
		pool_register(pool);
	message->next = pool->free;
	pool->free = message;
	pool->n_free++;
}

int seai_message_reserve_refs(struct sea_message *message, uint32_t n_blocks)
{
	struct seai_ref *refs;

	if (n_blocks <= 1)
		return 0;
	refs = calloc(n_blocks, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	message->refs = refs;
	return 0;
}
