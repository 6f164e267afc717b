/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and checking heads. A head is copied out of the message member by member, since a part of
 * a message from elsewhere may stand at any address.
 */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* XXH3 of a head part with its hash taken as 0. */
static uint64_t head_hash(const void *part, size_t n_bytes)
{
	XXH3_state_t state;
	struct stream_head head;

	memcpy(&head, part, sizeof(head));
	head.hash = 0;
	/* None of these fails on a state and data that exist. */
	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, &head, sizeof(head));
	(void)XXH3_64bits_update(&state, (const unsigned char *)part + sizeof(head), n_bytes - sizeof(head));
	return XXH3_64bits_digest(&state);
}

size_t stream_head_n_bytes(uint32_t n_entries, uint32_t n_names_bytes)
{
	return sizeof(struct stream_head) + (size_t)n_entries * sizeof(struct stream_entry) + n_names_bytes;
}

size_t stream_end_n_bytes(void)
{
	return sizeof(struct stream_head) + sizeof(struct stream_totals);
}

static void head_finish(void *part, const struct stream_head *head, enum stream_kind kind, size_t n_bytes)
{
	struct stream_head whole = *head;

	whole.magic = STREAM_MAGIC;
	whole.version = STREAM_VERSION;
	whole.kind = kind;
	whole.hash = 0;
	whole.reserved = 0;
	memcpy(part, &whole, sizeof(whole));
	whole.hash = head_hash(part, n_bytes);
	memcpy(part, &whole, sizeof(whole));
}

void stream_head_write(void *part, const struct stream_head *head, const struct stream_entry *entries,
                       const char *names)
{
	unsigned char *to = (unsigned char *)part + sizeof(*head);

	if (head->n_entries)
		memcpy(to, entries, head->n_entries * sizeof(*entries));
	if (head->n_names_bytes)
		memcpy(to + head->n_entries * sizeof(*entries), names, head->n_names_bytes);
	head_finish(part, head, STREAM_FILES, stream_head_n_bytes(head->n_entries, head->n_names_bytes));
}

void stream_end_write(void *part, const struct stream_head *head, const struct stream_totals *totals)
{
	memcpy((unsigned char *)part + sizeof(*head), totals, sizeof(*totals));
	head_finish(part, head, STREAM_END, stream_end_n_bytes());
}

int stream_view_init(struct stream_view *view, const void *part, size_t n_bytes)
{
	struct stream_view v = { 0 };

	if (n_bytes < sizeof(v.head))
		return -EBADMSG;
	memcpy(&v.head, part, sizeof(v.head));
	if (v.head.magic != STREAM_MAGIC)
		return -EBADMSG;
	if (v.head.version != STREAM_VERSION || (v.head.kind != STREAM_FILES && v.head.kind != STREAM_END))
		return -EPROTO;
	if (v.head.hash != head_hash(part, n_bytes))
		return -EBADMSG;
	v.entries = (const unsigned char *)part + sizeof(v.head);
	if (v.head.kind == STREAM_END) {
		if (v.head.n_entries != 0 || n_bytes != stream_end_n_bytes())
			return -EBADMSG;
		memcpy(&v.totals, v.entries, sizeof(v.totals));
		*view = v;
		return 0;
	}
	if (v.head.n_entries > STREAM_N_ENTRIES_MAX ||
	    n_bytes != stream_head_n_bytes(v.head.n_entries, v.head.n_names_bytes))
		return -EBADMSG;
	v.names = (const char *)v.entries + v.head.n_entries * sizeof(struct stream_entry);
	for (uint32_t i = 0; i < v.head.n_entries; i++) {
		struct stream_entry entry;

		memcpy(&entry, v.entries + i * sizeof(entry), sizeof(entry));
		if (entry.name_n_bytes > STREAM_NAME_N_BYTES_MAX || entry.name_offset > v.head.n_names_bytes ||
		    entry.name_n_bytes > v.head.n_names_bytes - entry.name_offset)
			return -EBADMSG;
		if (entry.offset > entry.file_n_bytes || entry.n_bytes > entry.file_n_bytes - entry.offset)
			return -EBADMSG;
	}
	*view = v;
	return 0;
}

void stream_view_entry(const struct stream_view *view, uint32_t index, struct stream_entry *ret_entry,
                       const char **ret_name)
{
	memcpy(ret_entry, view->entries + index * sizeof(*ret_entry), sizeof(*ret_entry));
	*ret_name = view->names + ret_entry->name_offset;
}

bool stream_name_is_safe(const char *name, size_t n_bytes)
{
	size_t start = 0;

	if (n_bytes == 0 || n_bytes > STREAM_NAME_N_BYTES_MAX || memchr(name, '\0', n_bytes))
		return false;
	for (size_t i = 0; i <= n_bytes; i++) {
		size_t n = i - start;

		if (i < n_bytes && name[i] != '/')
			continue;
		if (n == 0 || n > STREAM_COMPONENT_N_BYTES_MAX)
			return false;
		if (name[start] == '.' && (n == 1 || (n == 2 && name[start + 1] == '.')))
			return false;
		start = i + 1;
	}
	return true;
}

/* Bytes of the UTF-8 sequence that a text begins with; 0 where it is none. */
static size_t utf8_n_bytes(const unsigned char *text, size_t n_bytes)
{
	size_t n = text[0] < 0x80   ? 1
	           : text[0] < 0xc2 ? 0
	           : text[0] < 0xe0 ? 2
	           : text[0] < 0xf0 ? 3
	           : text[0] < 0xf5 ? 4
	                            : 0;

	if (n > n_bytes)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond the last character. */
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return n;
}

char *stream_name_show(char text[static STREAM_SHOWN_N_BYTES], const char *name, size_t n_bytes)
{
	const unsigned char *from = (const unsigned char *)name;
	size_t n = 0;

	while (n_bytes > 0) {
		size_t n_character = utf8_n_bytes(from, n_bytes);
		/* 0x80 to 0x9f are control characters as well, in two bytes. */
		bool is_control = from[0] < 0x20 || from[0] == 0x7f ||
		                  (from[0] == 0xc2 && n_character == 2 && from[1] < 0xa0);

		if (n + 12 > STREAM_SHOWN_N_BYTES) {
			memcpy(text + n, "...", 4);
			return text;
		}
		if (n_character == 0 || is_control) {
			n += (size_t)snprintf(text + n, STREAM_SHOWN_N_BYTES - n, "\\x%02x", from[0]);
			n_character = 1;
		} else {
			memcpy(text + n, from, n_character);
			n += n_character;
		}
		from += n_character;
		n_bytes -= n_character;
	}
	text[n] = '\0';
	return text;
}
