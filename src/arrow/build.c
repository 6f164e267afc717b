/* SPDX-License-Identifier: Apache-2.0 */
/* Writes FlatBuffers; see build.h. */
#include "arrow/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void seai_build_fini(struct seai_build *build)
{
	free(build->bytes);
	*build = (struct seai_build){ 0 };
}

/* Zeroed bytes at the end. @return where; 0 if there is no memory */
static size_t build_add(struct seai_build *build, size_t n_bytes)
{
	size_t at = build->n_bytes;

	if (build->failed)
		return 0;
	if (n_bytes > build->n_max - build->n_bytes) {
		size_t n_max = 2 * build->n_max + n_bytes + 256;
		uint8_t *bytes = realloc(build->bytes, n_max);

		if (!bytes) {
			build->failed = true;
			return 0;
		}
		build->bytes = bytes;
		build->n_max = n_max;
	}
	memset(build->bytes + at, 0, n_bytes);
	build->n_bytes += n_bytes;
	return at;
}

/* Until the end stands at `phase` modulo `alignment`, once n_ahead more bytes were added. */
static void build_align(struct seai_build *build, size_t n_ahead, size_t alignment, size_t phase)
{
	build_add(build, (alignment + phase - (build->n_bytes + n_ahead) % alignment) % alignment);
}

void seai_build_set(struct seai_build *build, size_t at, uint64_t value, size_t n_bytes)
{
	if (!build->failed)
		memcpy(build->bytes + at, &value, n_bytes);
}

/* The offset at a place leads here. */
static void build_link(struct seai_build *build, size_t link, size_t target)
{
	seai_build_set(build, link, target - link, 4);
}

size_t seai_build_root(struct seai_build *build)
{
	return build_add(build, 4);
}

size_t seai_build_table(struct seai_build *build, size_t link, struct seai_build_field *fields, size_t n_fields)
{
	static const unsigned widths[] = { 8, 4, 2, 1 };
	size_t n_slots = 0, n_vtable, vtable, table;

	for (size_t i = 0; i < n_fields; i++)
		if (fields[i].id >= n_slots)
			n_slots = fields[i].id + 1;
	n_vtable = 4 + 2 * n_slots;
	build_align(build, n_vtable, 8, 4);
	vtable = build_add(build, n_vtable);
	table = build_add(build, 4);
	for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
		for (size_t i = 0; i < n_fields; i++) {
			unsigned n_bytes = fields[i].n_bytes ? fields[i].n_bytes : 4;

			if (n_bytes != widths[w])
				continue;
			fields[i].at = build_add(build, n_bytes);
			if (fields[i].n_bytes)
				seai_build_set(build, fields[i].at, fields[i].value, n_bytes);
			seai_build_set(build, vtable + 4 + 2 * (size_t)fields[i].id, fields[i].at - table, 2);
		}
	seai_build_set(build, vtable, n_vtable, 2);
	seai_build_set(build, vtable + 2, build->n_bytes - table, 2);
	seai_build_set(build, table, table - vtable, 4);
	build_link(build, link, table);
	return vtable + 4;
}

void seai_build_string(struct seai_build *build, size_t link, const void *bytes, size_t n_bytes)
{
	size_t at;

	build_align(build, 0, 4, 0);
	/* A zero stands behind it. */
	at = build_add(build, 4 + n_bytes + 1);
	if (build->failed)
		return;
	seai_build_set(build, at, n_bytes, 4);
	if (n_bytes)
		memcpy(build->bytes + at + 4, bytes, n_bytes);
	build_link(build, link, at);
}

size_t seai_build_vector(struct seai_build *build, size_t link, size_t n_items, size_t n_item_bytes)
{
	size_t at;

	build_align(build, 4, n_item_bytes >= 8 ? 8 : 4, 0);
	at = build_add(build, 4 + n_items * n_item_bytes);
	seai_build_set(build, at, n_items, 4);
	build_link(build, link, at);
	return at + 4;
}

void seai_build_cut(struct seai_build *build, size_t n_bytes)
{
	build->n_bytes = n_bytes;
	build->failed = false;
}

int seai_build_end(struct seai_build *build, size_t n_before, size_t alignment)
{
	build_align(build, n_before, alignment, 0);
	return build->failed ? -ENOMEM : 0;
}
