/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was resolved once: arenas by owner and number.
 *
 * The odd rule: what was found once stays mapped and in the table until sea_meta_forget(), so a look needs neither lock nor count.
 * A table that has grown is replaced, and the old one kept as long.
 */
#ifndef SEALANE_WIRE_RESOLVER_TABLE_H
#define SEALANE_WIRE_RESOLVER_TABLE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sealane/meta.h>

#include "base/cleanup.h"
#include "wire/wire.h"

struct seai_resolver_entry {
	_Atomic uint64_t owner_id; /* 0: empty; stored last (release), read first (acquire) */
	uint32_t arena_id;
	uint32_t n_blocks_max;
	const uint8_t *base;
	const _Atomic uint64_t *generations;
	uint64_t data_offset;
	uint64_t n_bytes;
	struct seai_attached *attached;
	_Atomic uint32_t is_gone; /* its owner gave it up */
	uint32_t reserved;
};

struct seai_resolver_table {
	struct seai_resolver_table *older;
	uint32_t mask;
	uint32_t n;
	struct seai_resolver_entry entries[] __attribute__((aligned(64)));
};

/* Keeps an attached arena for good. 0; -ENOMEM. Control lock held. */
int seai_resolver_add(struct seai_wire *wire, struct seai_attached *attached);

static inline uint32_t seai_resolver_hash(uint64_t owner_id, uint32_t arena_id)
{
	/* Arenas of one owner are numbered one after the other: they fall side by side. Identities are random. */
	return (uint32_t)(owner_id >> 32) + arena_id;
}

static inline struct seai_resolver_entry *seai_resolver_find(struct seai_resolver_table *table, uint64_t owner_id,
                                                             uint32_t arena_id)
{
	if (SEAI_UNLIKELY(!table))
		return NULL;
	for (uint32_t i = seai_resolver_hash(owner_id, arena_id);; i++) {
		struct seai_resolver_entry *entry = &table->entries[i & table->mask];
		/* acquire: pairs with the release of resolver_insert() */
		uint64_t id = atomic_load_explicit(&entry->owner_id, memory_order_acquire);

		if (SEAI_LIKELY(id == owner_id && entry->arena_id == arena_id))
			return entry;
		if (id == 0)
			return NULL;
	}
}

static inline struct seai_resolver_table *seai_resolver_table(const struct sea_session *session)
{
	/* acquire: pairs with the release of resolver_grow() */
	return atomic_load_explicit(&session->wire->resolved, memory_order_acquire);
}

static inline bool seai_resolver_fits(const struct sea_meta *meta, uint64_t data_offset, uint64_t n_bytes)
{
	return meta->offset >= data_offset && meta->offset <= n_bytes && meta->n_bytes <= n_bytes - meta->offset;
}

/* In an arena that is known: 0; -EBADMSG; -ESTALE. */
static inline int seai_resolver_look(const struct seai_resolver_entry *entry, const struct sea_meta *meta,
                                     struct sea_resolved *ret_resolved)
{
	if (SEAI_UNLIKELY(meta->block_id >= entry->n_blocks_max ||
	                  !seai_resolver_fits(meta, entry->data_offset, entry->n_bytes)))
		return -EBADMSG;
	/* acquire: what was written before the block got its generation is what is read */
	if (SEAI_UNLIKELY(atomic_load_explicit(&entry->generations[meta->block_id], memory_order_acquire) !=
	                          meta->generation ||
	                  atomic_load_explicit(&entry->is_gone, memory_order_relaxed)))
		return -ESTALE;
	ret_resolved->data = entry->base + meta->offset;
	ret_resolved->n_bytes = meta->n_bytes;
	return 0;
}

#endif
