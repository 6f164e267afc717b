/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once; see arena.h. */
#include "arrow/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_N_BYTES ((size_t)8 << 10)
#define ALIGNMENT ((size_t)16)

struct seai_arrow_arena_chunk {
	struct seai_arrow_arena_chunk *next;
	size_t n_bytes;
	_Alignas(16) unsigned char bytes[];
};

void seai_arrow_arena_init(struct seai_arrow_arena *arena, size_t n_bytes_max)
{
	*arena = (struct seai_arrow_arena){ .n_bytes_max = n_bytes_max };
}

void seai_arrow_arena_fini(struct seai_arrow_arena *arena)
{
	while (arena->chunks) {
		struct seai_arrow_arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
	arena->n_left = arena->n_bytes = 0;
}

int seai_arrow_arena_take(struct seai_arrow_arena *arena, size_t n_items, size_t n_item_bytes, void **ret_memory)
{
	struct seai_arrow_arena_chunk *chunk = arena->chunks;
	size_t n_bytes;

	if (__builtin_mul_overflow(n_items, n_item_bytes, &n_bytes) || n_bytes > arena->n_bytes_max - arena->n_bytes)
		return -E2BIG;
	n_bytes = (n_bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (n_bytes > arena->n_left || !chunk) {
		size_t n_chunk_bytes = n_bytes > CHUNK_N_BYTES ? n_bytes : CHUNK_N_BYTES;

		chunk = calloc(1, sizeof(*chunk) + n_chunk_bytes);
		if (!chunk)
			return -ENOMEM;
		chunk->n_bytes = arena->n_left = n_chunk_bytes;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	*ret_memory = chunk->bytes + (chunk->n_bytes - arena->n_left);
	arena->n_left -= n_bytes;
	/* What rounding adds may pass the limit once. */
	arena->n_bytes = n_bytes > arena->n_bytes_max - arena->n_bytes ? arena->n_bytes_max : arena->n_bytes + n_bytes;
	return 0;
}

int seai_arrow_arena_copy(struct seai_arrow_arena *arena, const void *bytes, size_t n_bytes, const char **ret_copy)
{
	void *copy;
	int r;

	if (n_bytes == 0) {
		*ret_copy = "";
		return 0;
	}
	r = seai_arrow_arena_take(arena, n_bytes + 1, 1, &copy);
	if (r < 0)
		return r;
	memcpy(copy, bytes, n_bytes);
	*ret_copy = copy;
	return 0;
}
