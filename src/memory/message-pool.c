/* SPDX-License-Identifier: Apache-2.0 */
/* The rare side of the message pools of threads: making, freeing, and the end of a thread. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "memory/message.h"

/* Objects that a thread keeps; a bulk call takes 64 or 256 at a time. None under the sanitizers, which then see each object's life. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POOL_N_MAX 0u
#else
#define POOL_N_MAX 1024u
#endif

_Thread_local struct seai_message_pool seai_message_pool __attribute__((tls_model("initial-exec")));

static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static bool pool_has_key;

static void pool_drop(void *unused)
{
	struct seai_message_pool *pool = &seai_message_pool;

	(void)unused;
	while (pool->free) {
		struct sea_message *message = pool->free;

		pool->free = message->next;
		free(message);
	}
	pool->n_free = 0;
	pool->n_max = 0;
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

struct sea_message *seai_message_take_slowly(void)
{
	const size_t n_bytes = (sizeof(struct sea_message) + 63) & ~(size_t)63;
	struct sea_message *message = aligned_alloc(64, n_bytes);

	if (!message)
		return NULL;
	memset(message, 0, n_bytes);
	message->refs = &message->ref;
	return message;
}

void seai_message_put_slowly(struct sea_message *message)
{
	struct seai_message_pool *pool = &seai_message_pool;

	if (message->refs != &message->ref) {
		free(message->refs);
		message->refs = &message->ref;
	}
	if (message->local) {
		message->local->free(message->local);
		message->local = NULL;
	}
	if (message->sources) {
		free(message->sources);
		message->sources = NULL;
		message->n_sources = 0;
	}
	if (pool->n_max == 0 && POOL_N_MAX > 0) {
		pthread_once(&pool_once, pool_make_key);
		/* Without a key a thread that ends would leave its objects behind. */
		if (pool_has_key && pthread_setspecific(pool_key, pool) == 0)
			pool->n_max = POOL_N_MAX;
	}
	if (pool->n_free >= pool->n_max) {
		free(message);
		return;
	}
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
