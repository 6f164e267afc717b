/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries, each in one piece of memory, and metadata as the index has it: a line `key=value` per pair, which is safe because
 * keys have no = and values no newline.
 */
#ifndef SEALANE_CCDB_ENTRY_H
#define SEALANE_CCDB_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include <sealane/ccdb/store.h>

/* Texts of an entry, in the order in which they are stored behind it. */
struct seai_entry_texts {
	const char *path;
	const char *file_name;
	const char *content_type;
	const char *uploaded_from;
	const char *content;
	const char *metadata; /* packed */
};

/* @return NULL for want of memory; numbers are 0 */
struct sea_ccdb_entry *seai_entry_new(const struct seai_entry_texts *texts);

/* @return packed metadata, malloc'd; NULL for want of memory */
char *seai_metadata_pack(const struct sea_ccdb_pair *metadata, size_t n_metadata);

/* Whether packed metadata has all of these pairs. */
bool seai_metadata_fits(const char *packed, const struct sea_ccdb_pair *wanted, size_t n_wanted);

#endif
