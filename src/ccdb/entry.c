/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, each in one piece of memory. */
#include "ccdb/entry.h"

#include <stdlib.h>
#include <string.h>

/* Copies a text to *at and moves *at behind it. */
static const char *text_store(char **at, const char *text)
{
	const size_t n_bytes = strlen(text) + 1;
	char *stored = memcpy(*at, text, n_bytes);

	*at += n_bytes;
	return stored;
}

static size_t lines_count(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

/* Cuts packed metadata, in place, into pairs. */
static size_t metadata_cut(char *packed, struct sea_ccdb_pair *pairs)
{
	size_t n = 0;

	for (char *line = packed, *end; (end = strchr(line, '\n')); line = end + 1) {
		char *equals = memchr(line, '=', (size_t)(end - line));

		*end = 0;
		if (!equals)
			continue;
		*equals = 0;
		pairs[n++] = (struct sea_ccdb_pair){ line, equals + 1 };
	}
	return n;
}

struct sea_ccdb_entry *seai_entry_new(const struct seai_entry_texts *texts)
{
	const size_t n_pairs = lines_count(texts->metadata);
	const size_t n_texts = strlen(texts->path) + strlen(texts->file_name) + strlen(texts->content_type) +
	                       strlen(texts->uploaded_from) + strlen(texts->content) + strlen(texts->metadata) + 6;
	struct sea_ccdb_entry *entry = calloc(1, sizeof(*entry) + n_pairs * sizeof(struct sea_ccdb_pair) + n_texts);
	struct sea_ccdb_pair *pairs;
	char *at;

	if (!entry)
		return NULL;
	pairs = (struct sea_ccdb_pair *)(entry + 1);
	at = (char *)(pairs + n_pairs);
	entry->path = text_store(&at, texts->path);
	entry->file_name = text_store(&at, texts->file_name);
	entry->content_type = text_store(&at, texts->content_type);
	entry->uploaded_from = text_store(&at, texts->uploaded_from);
	entry->content = text_store(&at, texts->content);
	memcpy(at, texts->metadata, strlen(texts->metadata) + 1);
	entry->metadata = pairs;
	entry->n_metadata = metadata_cut(at, pairs);
	return entry;
}

struct sea_ccdb_entry *sea_ccdb_entry_free(struct sea_ccdb_entry *entry)
{
	free(entry);
	return NULL;
}

const char *sea_ccdb_entry_get(const struct sea_ccdb_entry *entry, const char *key)
{
	for (size_t i = 0; i < entry->n_metadata; i++)
		if (strcmp(entry->metadata[i].key, key) == 0)
			return entry->metadata[i].value;
	return NULL;
}

char *seai_metadata_pack(const struct sea_ccdb_pair *metadata, size_t n_metadata)
{
	size_t n_bytes = 1;
	char *packed, *at;

	for (size_t i = 0; i < n_metadata; i++)
		n_bytes += strlen(metadata[i].key) + strlen(metadata[i].value) + 2;
	packed = at = malloc(n_bytes);
	if (!packed)
		return NULL;
	for (size_t i = 0; i < n_metadata; i++) {
		at = stpcpy(at, metadata[i].key);
		*at++ = '=';
		at = stpcpy(at, metadata[i].value);
		*at++ = '\n';
	}
	*at = 0;
	return packed;
}

static bool packed_has(const char *packed, const struct sea_ccdb_pair *wanted)
{
	const size_t n_key = strlen(wanted->key), n_value = strlen(wanted->value);

	for (const char *line = packed, *end; (end = strchr(line, '\n')); line = end + 1)
		if ((size_t)(end - line) == n_key + 1 + n_value && memcmp(line, wanted->key, n_key) == 0 &&
		    line[n_key] == '=' && memcmp(line + n_key + 1, wanted->value, n_value) == 0)
			return true;
	return false;
}

bool seai_metadata_fits(const char *packed, const struct sea_ccdb_pair *wanted, size_t n_wanted)
{
	for (size_t i = 0; i < n_wanted; i++)
		if (!packed_has(packed, &wanted[i]))
			return false;
	return true;
}
