/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed all at once: what a schema is copied into. It has a limit, because what is copied comes from outside, where one
 * string can be named a million times.
 */
#ifndef SEALANE_ARROW_ARENA_H
#define SEALANE_ARROW_ARENA_H

#include <stddef.h>

struct seai_arrow_arena {
	struct seai_arrow_arena_chunk *chunks; /* the newest first */
	size_t n_left;                         /* in the newest */
	size_t n_bytes;                        /* given out so far */
	size_t n_bytes_max;
};

void seai_arrow_arena_init(struct seai_arrow_arena *arena, size_t n_bytes_max);
void seai_arrow_arena_fini(struct seai_arrow_arena *arena);

/* Zeroed memory, aligned to 16. @return 0; -E2BIG the limit; -ENOMEM */
int seai_arrow_arena_take(struct seai_arrow_arena *arena, size_t n_items, size_t n_item_bytes, void **ret_memory);

/* A copy of n_bytes with a zero behind them. @return as seai_arrow_arena_take() */
int seai_arrow_arena_copy(struct seai_arrow_arena *arena, const void *bytes, size_t n_bytes, const char **ret_copy);

#endif
