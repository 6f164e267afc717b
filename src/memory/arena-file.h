/* SPDX-License-Identifier: Apache-2.0 */
/* What arena.c and arena-file.c share. */
#ifndef SEALANE_MEMORY_ARENA_FILE_H
#define SEALANE_MEMORY_ARENA_FILE_H

#include "base/kernel.h"
#include "memory/arena.h"
#include "memory/heap-state.h"

#define SEAI_ARENA_GENERATIONS_OFFSET sizeof(struct seai_arena_head)

static inline uint64_t seai_arena_round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Page size of the file that holds the arena's blocks. */
static inline uint64_t seai_arena_page_n_bytes(const struct seai_arena *arena)
{
	return arena->hugetlb ? SEAI_HUGE_N_BYTES : seai_page_n_bytes();
}

/* Makes the files of an arena that is laid out, and maps them. 0; errors of seai_arena_new(). What was made stays with the arena. */
int seai_arena_open(struct seai_arena *arena);
/* Seals them, before anybody else gets a descriptor. 0; errors of seai_arena_new(). */
int seai_arena_seal(struct seai_arena *arena);

#endif
