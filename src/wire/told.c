/* SPDX-License-Identifier: Apache-2.0 */
/* See told.h. */
#include "wire/told.h"

#include <stdlib.h>

struct seai_told *seai_told_find(struct seai_told *told, uint32_t n, uint64_t owner_id, uint32_t arena_id)
{
	for (uint32_t i = 0; i < n; i++)
		if (told[i].owner_id == owner_id && told[i].arena_id == arena_id)
			return &told[i];
	return NULL;
}

struct seai_told *seai_told_add(struct seai_told **told, uint32_t *n, uint32_t *n_max, uint64_t owner_id,
                                uint32_t arena_id)
{
	if (*n == *n_max) {
		uint32_t n_more = *n_max ? 2 * *n_max : 8;
		struct seai_told *more = realloc(*told, n_more * sizeof(*more));

		if (!more)
			return NULL;
		*told = more;
		*n_max = n_more;
	}
	(*told)[*n] = (struct seai_told){ .owner_id = owner_id, .arena_id = arena_id };
	return &(*told)[(*n)++];
}

void seai_told_forget(struct seai_told *told, uint32_t *n, uint64_t owner_id, uint32_t arena_id)
{
	for (uint32_t i = 0; i < *n; i++)
		if (told[i].owner_id == owner_id && told[i].arena_id == arena_id) {
			told[i] = told[--*n];
			return;
		}
}
