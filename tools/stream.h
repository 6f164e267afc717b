/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How files travel: what `sealane send` and `sealane recv` say to each other.
 *
 * A stream is one run of `send` to one receiver, over a pair channel. It is a sequence of timeframes,
 * numbered from 0. A timeframe holds files of one folder, as many as fit into STREAM_PIECE_N_BYTES and at
 * most STREAM_N_ENTRIES_MAX; a larger file is cut into pieces, each in a timeframe of its own, one after the other.
 * Its message has one part per piece of a file and, LAST, the head: what each part is (name, mode, times, place
 * in the file, XXH3 of the piece and, with the last piece, of the file), and the XXH3 of the head itself. The
 * head is the last part because it is known only when every file was read.
 *
 * The stream ends with a timeframe of the kind STREAM_END, whose head carries the totals; the receiver
 * answers with one message that says what became of it (struct stream_answer).
 *
 * Nothing of a head is believed before stream_view_init() has checked it.
 */
#ifndef SEALANE_TOOLS_STREAM_H
#define SEALANE_TOOLS_STREAM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_ADDRESS_DEFAULT "sealane"
#define STREAM_MAGIC UINT64_C(0x4d45525453414553) /* "SEASTREM", little-endian */
#define STREAM_VERSION 1u
/* Most bytes of files in one timeframe: memory in flight is a few of these, whatever the size of a file. */
#define STREAM_PIECE_N_BYTES ((uint64_t)16 << 20)
#define STREAM_N_ENTRIES_MAX 1000u
/* Most bytes of a name, and of one component of it: what Linux can store. */
#define STREAM_NAME_N_BYTES_MAX 4095u
#define STREAM_COMPONENT_N_BYTES_MAX 255u
/* The number of a part where an entry has none: folders, files without a further piece. */
#define STREAM_NO_PART UINT32_MAX

enum stream_kind {
	STREAM_FILES = 1,
	STREAM_END = 2,
};

enum stream_flag {
	STREAM_FOLDER = 1u << 0,    /* an entry for a folder itself: name, mode and time */
	STREAM_ABANDONED = 1u << 1, /* the file could not be read to its end: what came of it is void */
};

struct stream_head {
	uint64_t magic;
	uint32_t version;
	uint32_t kind;
	uint64_t stream_id; /* random */
	uint64_t timeframe; /* from 0, the end counted as well */
	uint32_t n_entries;
	uint32_t n_names_bytes;
	int64_t sent_ns; /* CLOCK_REALTIME */
	uint64_t hash;   /* XXH3 of the head part with this member 0 */
	uint64_t reserved;
};
static_assert(sizeof(struct stream_head) == 64, "format");

/* Follow the head, n_entries of them; then the names, without zeros in between. */
struct stream_entry {
	uint64_t file; /* number of the file in the stream, from 0 */
	uint64_t file_n_bytes;
	uint64_t offset; /* of this piece in the file */
	uint64_t n_bytes;
	uint64_t hash;      /* XXH3 of this piece */
	uint64_t file_hash; /* XXH3 of the whole file, with its last piece; else 0 */
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t mode;
	uint32_t flags;
	uint32_t part; /* number of the part in the message, or STREAM_NO_PART */
	uint32_t name_offset;
	uint32_t name_n_bytes;
};
static_assert(sizeof(struct stream_entry) == 80, "format");

/* Follows the head of an end. */
struct stream_totals {
	uint64_t n_files; /* sent whole */
	uint64_t n_folders;
	uint64_t n_bytes;  /* of those files */
	uint64_t n_failed; /* could not be read, vanished or changed */
};
static_assert(sizeof(struct stream_totals) == 32, "format");

/* What the receiver says after the end: the only part of its message. */
struct stream_answer {
	uint64_t magic;
	uint64_t stream_id;
	uint64_t n_files;  /* verified, and stored where that was asked for */
	uint64_t n_bytes;  /* of those */
	uint64_t n_failed; /* wrong, not stored, incomplete or missing */
};
static_assert(sizeof(struct stream_answer) == 40, "format");

/* Bytes of a head part. */
size_t stream_head_n_bytes(uint32_t n_entries, uint32_t n_names_bytes);
size_t stream_end_n_bytes(void);

/* Write a head part. magic, version and hash are filled in; the rest of the head is the caller's. */
void stream_head_write(void *part, const struct stream_head *head, const struct stream_entry *entries,
                       const char *names);
void stream_end_write(void *part, const struct stream_head *head, const struct stream_totals *totals);

/* A head that was checked. Borrows the part. */
struct stream_view {
	struct stream_head head;
	struct stream_totals totals; /* of an end */
	const unsigned char *entries;
	const char *names;
};

/*
 * Checks a head part: magic, version, sizes, hash, and that every name lies within the names.
 * Returns 0; -EBADMSG not a head, or damaged; -EPROTO another version or an unknown kind.
 */
int stream_view_init(struct stream_view *view, const void *part, size_t n_bytes);

/* The entry and its name, which is not terminated. index below head.n_entries. */
void stream_view_entry(const struct stream_view *view, uint32_t index, struct stream_entry *ret_entry,
                       const char **ret_name);

/* A name may be stored: relative, no empty, "." or ".." component, no zero byte, not too long. */
bool stream_name_is_safe(const char *name, size_t n_bytes);

/*
 * A name as it can be shown, in UTF-8: control characters, and bytes that are no UTF-8, as \xNN; cut
 * with "..." where it is too long.
 */
#define STREAM_SHOWN_N_BYTES 512
char *stream_name_show(char text[static STREAM_SHOWN_N_BYTES], const char *name, size_t n_bytes);

#endif
