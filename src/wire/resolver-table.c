/* SPDX-License-Identifier: Apache-2.0 */
/* See resolver-table.h. */
#include "wire/resolver-table.h"

#include <stdlib.h>
#include <string.h>

#include "wire/resolver.h"

#define RESOLVER_N_FIRST 64u
#define RESOLVER_N_MOST (UINT32_C(1) << 24)

static void resolver_insert(struct seai_resolver_table *table, const struct seai_resolver_entry *entry,
                            uint64_t owner_id)
{
	uint32_t i = seai_resolver_hash(owner_id, entry->arena_id);
	struct seai_resolver_entry *to;

	while (atomic_load_explicit(&table->entries[i & table->mask].owner_id, memory_order_relaxed))
		i++;
	to = &table->entries[i & table->mask];
	to->arena_id = entry->arena_id;
	to->n_blocks_max = entry->n_blocks_max;
	to->base = entry->base;
	to->generations = entry->generations;
	to->data_offset = entry->data_offset;
	to->n_bytes = entry->n_bytes;
	to->attached = entry->attached;
	atomic_store_explicit(&to->is_gone, atomic_load_explicit(&entry->is_gone, memory_order_relaxed),
	                      memory_order_relaxed);
	/* release: whoever finds the entry sees all of it */
	atomic_store_explicit(&to->owner_id, owner_id, memory_order_release);
	table->n++;
}

/* Makes room for one more: at most half full, so that a search ends soon. */
static int resolver_grow(struct seai_wire *wire)
{
	struct seai_resolver_table *older = atomic_load_explicit(&wire->resolved, memory_order_relaxed), *table;
	uint32_t n_slots = older ? 2 * (older->mask + 1) : RESOLVER_N_FIRST;

	if (older && 2 * (older->n + 1) <= older->mask + 1)
		return 0;
	if (n_slots > RESOLVER_N_MOST)
		return -ENOMEM;
	table = aligned_alloc(64, sizeof(*table) + n_slots * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	memset(table, 0, sizeof(*table) + n_slots * sizeof(table->entries[0]));
	table->older = older;
	table->mask = n_slots - 1;
	for (uint32_t i = 0; older && i <= older->mask; i++) {
		uint64_t owner_id = atomic_load_explicit(&older->entries[i].owner_id, memory_order_relaxed);

		if (owner_id)
			resolver_insert(table, &older->entries[i], owner_id);
	}
	/* release: pairs with the acquire of who looks */
	atomic_store_explicit(&wire->resolved, table, memory_order_release);
	return 0;
}

int seai_resolver_add(struct seai_wire *wire, struct seai_attached *attached)
{
	struct seai_resolver_entry entry = {
		.arena_id = attached->arena_id,
		.n_blocks_max = attached->n_blocks_max,
		.base = attached->base,
		.generations = attached->generations,
		.data_offset = attached->data_offset,
		.n_bytes = attached->n_bytes,
		.attached = attached,
	};
	int r;

	if (seai_resolver_find(atomic_load_explicit(&wire->resolved, memory_order_relaxed), attached->owner_id,
	                       attached->arena_id))
		return 0;
	r = resolver_grow(wire);
	if (r < 0)
		return r;
	attached->n_pins++;
	atomic_fetch_add_explicit(&attached->n_taken, 1, memory_order_relaxed);
	resolver_insert(atomic_load_explicit(&wire->resolved, memory_order_relaxed), &entry, attached->owner_id);
	return 0;
}

void seai_resolver_on_retire(struct seai_wire *wire, uint64_t owner_id, uint32_t arena_id)
{
	struct seai_resolver_entry *entry = seai_resolver_find(
		atomic_load_explicit(&wire->resolved, memory_order_relaxed), owner_id, arena_id);

	if (entry)
		atomic_store_explicit(&entry->is_gone, 1, memory_order_relaxed);
}

static void resolver_free_tables(struct seai_resolver_table *table)
{
	while (table) {
		struct seai_resolver_table *older = table->older;

		free(table);
		table = older;
	}
}

int sea_meta_forget(struct sea_session *session)
{
	struct seai_wire *wire = session->wire;
	struct seai_resolver_table *table;

	if (seai_session_is_forked(session))
		return -EPERM;
	{
		SEAI_LOCKED(&wire->control, control);
		table = atomic_exchange_explicit(&wire->resolved, NULL, memory_order_acq_rel);
		for (uint32_t i = 0; table && i <= table->mask; i++)
			if (atomic_load_explicit(&table->entries[i].owner_id, memory_order_relaxed))
				seai_attachment_unpin(wire, table->entries[i].attached);
	}
	resolver_free_tables(table);
	seai_wire_poke(wire);
	return 0;
}

void seai_resolver_free(struct seai_wire *wire)
{
	resolver_free_tables(atomic_exchange_explicit(&wire->resolved, NULL, memory_order_acq_rel));
}
