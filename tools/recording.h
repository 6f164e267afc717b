/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recordings: files with the traffic of a channel, as docs/recording.md describes them. Here are the layout, what both ends share, and
 * the reader; the writer is recording-writer.h.
 *
 * The reader never maps the file and trusts nothing in it: a size is compared with what there is before it is used, and a file that
 * somebody cuts meanwhile is an error, not a signal. What is wrong it says in one line with file and offset.
 */
#ifndef SEALANE_TOOLS_RECORDING_H
#define SEALANE_TOOLS_RECORDING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDING_MAGIC "SEALREC\n"
#define RECORDING_VERSION 1u
#define RECORDING_BYTE_ORDER 0x01020304u
#define RECORDING_HEAD_MAGIC 0x48454353u /* "SCEH" */
#define RECORDING_INDEX_MAGIC "SEALIDX\n"
#define RECORDING_END_MAGIC "SEALEND\n"

/* The first record lies here: the header has a page to itself. */
#define RECORDING_HEADER_N_BYTES 4096u
/* Records and their small parts begin at multiples of this, parts of at least a page at multiples of a page, so that they can be mapped. */
#define RECORDING_ALIGNMENT 64u
#define RECORDING_PAGE_N_BYTES 4096u
/* A whole recording is a multiple of this: what a region over a file has to be. */
#define RECORDING_UNIT_N_BYTES 65536u
/* Most parts of a message: what a part table can have. */
#define RECORDING_N_PARTS_MAX (UINT32_C(1) << 30)

/* Payload checksums are there. */
#define RECORDING_HAS_CHECKSUMS 1u

#define RECORDING_SESSION_N_BYTES 72
#define RECORDING_ADDRESS_N_BYTES 256
#define RECORDING_PATTERN_N_BYTES 16

/* At offset 0; zeros behind it up to RECORDING_HEADER_N_BYTES. */
struct recording_header {
	char magic[8];
	uint32_t byte_order; /* RECORDING_BYTE_ORDER as the writer has it */
	uint32_t version;
	uint64_t id;        /* random: the seed of all checksums of this file but this header's */
	uint32_t flags;     /* RECORDING_HAS_ */
	uint32_t reserved;  /* 0 */
	int64_t started_ns; /* CLOCK_REALTIME at the start, for people */
	uint64_t reserved_8[3];
	char session[RECORDING_SESSION_N_BYTES]; /* texts end with 0 */
	char address[RECORDING_ADDRESS_N_BYTES];
	char pattern[RECORDING_PATTERN_N_BYTES];
	uint64_t checksum; /* XXH3 of all before, seed 0 */
};

static_assert(sizeof(struct recording_header) == 416, "layout");
static_assert(offsetof(struct recording_header, byte_order) == 8, "layout");
static_assert(offsetof(struct recording_header, version) == 12, "layout");
static_assert(offsetof(struct recording_header, id) == 16, "layout");
static_assert(offsetof(struct recording_header, flags) == 24, "layout");
static_assert(offsetof(struct recording_header, started_ns) == 32, "layout");
static_assert(offsetof(struct recording_header, session) == 64, "layout");
static_assert(offsetof(struct recording_header, address) == 136, "layout");
static_assert(offsetof(struct recording_header, pattern) == 392, "layout");
static_assert(offsetof(struct recording_header, checksum) == 408, "layout");

/* One message. Behind it the sizes of its parts, 8 bytes each, and the parts, each at the next multiple of its alignment; empty ones take nothing. */
struct recording_head {
	uint32_t magic;
	uint32_t n_parts;
	uint64_t number;  /* counts from 0 */
	int64_t time_ns;  /* since the start, CLOCK_MONOTONIC, when it was received; never less than the one before */
	uint64_t tag;     /* the word that travels with a message */
	uint64_t n_bytes; /* from this record to the next: all of it, padding included */
	uint64_t n_payload_bytes;
	uint64_t payload_checksum; /* XXH3 of the parts one after the other; 0 without RECORDING_HAS_CHECKSUMS */
	uint64_t checksum;         /* XXH3 of this head up to here, and the sizes */
};

static_assert(sizeof(struct recording_head) == 64, "layout");
static_assert(offsetof(struct recording_head, n_parts) == 4, "layout");
static_assert(offsetof(struct recording_head, number) == 8, "layout");
static_assert(offsetof(struct recording_head, time_ns) == 16, "layout");
static_assert(offsetof(struct recording_head, tag) == 24, "layout");
static_assert(offsetof(struct recording_head, n_bytes) == 32, "layout");
static_assert(offsetof(struct recording_head, n_payload_bytes) == 40, "layout");
static_assert(offsetof(struct recording_head, payload_checksum) == 48, "layout");
static_assert(offsetof(struct recording_head, checksum) == 56, "layout");

/*
 * The last bytes of a whole file. The index lies behind the last record: its magic, by which a reader without a trailer knows where the
 * records end, and one 8-byte offset per message.
 */
struct recording_trailer {
	char magic[8];
	uint64_t index_offset; /* also the end of the last record */
	uint64_t n_messages;
	uint64_t n_payload_bytes;
	int64_t duration_ns;     /* from the start to the last message */
	uint64_t index_checksum; /* XXH3 of the offsets */
	uint64_t reserved;       /* 0 */
	uint64_t checksum;       /* XXH3 of all before */
};

static_assert(sizeof(struct recording_trailer) == 64, "layout");
static_assert(offsetof(struct recording_trailer, index_offset) == 8, "layout");
static_assert(offsetof(struct recording_trailer, n_messages) == 16, "layout");
static_assert(offsetof(struct recording_trailer, n_payload_bytes) == 24, "layout");
static_assert(offsetof(struct recording_trailer, duration_ns) == 32, "layout");
static_assert(offsetof(struct recording_trailer, index_checksum) == 40, "layout");
static_assert(offsetof(struct recording_trailer, checksum) == 56, "layout");

/* A recording that is read. One thread. */
struct recording {
	int fd;
	char name[256]; /* of the file, for messages */
	struct recording_header header;
	uint64_t n_bytes; /* of the file */
	uint64_t n_messages;
	uint64_t *offsets;        /* of each message's record */
	uint64_t end;             /* of the last whole record */
	uint64_t n_payload_bytes; /* of all messages */
	int64_t duration_ns;
	bool is_whole; /* it has its index; else it was cut short, and what is here was found by looking at each record */
	char damage
		[384]; /* why nothing is read behind the last message, where it was not simply cut short; "" otherwise */
	char error[384]; /* what was wrong with the last call that failed */
	/* private */
	uint8_t *window; /* a piece of the file, so that small messages do not cost a call each */
	uint64_t window_offset;
	size_t window_n_bytes;
	uint64_t *sizes;
	size_t n_sizes_max;
};

/* A message in a recording. */
struct recording_message {
	struct recording_head head;
	uint64_t offset;       /* of its record */
	const uint64_t *sizes; /* of its parts; borrowed, valid until the next recording_read() */
	uint64_t first;        /* where its first part that is not empty lies; the record's end if there is none */
};

/* Checksums of parts of a file with this id. */
uint64_t recording_checksum_head(uint64_t id, const struct recording_head *head, const uint64_t *sizes);
uint64_t recording_checksum_header(const struct recording_header *header);
uint64_t recording_checksum_trailer(uint64_t id, const struct recording_trailer *trailer);
uint64_t recording_checksum(uint64_t id, const void *data, size_t n_bytes);

/* Where a part of that size lies that is put at this offset, or behind. */
static inline uint64_t recording_place(uint64_t offset, uint64_t n_bytes)
{
	uint64_t alignment = n_bytes >= RECORDING_PAGE_N_BYTES ? RECORDING_PAGE_N_BYTES : RECORDING_ALIGNMENT;

	return n_bytes ? (offset + alignment - 1) & ~(alignment - 1) : offset;
}

/*
 * Opens a file and finds its messages: by its index, or record by record. 0, also for one that was cut short or is damaged
 * behind some whole message (is_whole, damage); or -errno, with error set: -EBADMSG not a recording, or not one that can be used. fini() in any case.
 */
int recording_open(struct recording *recording, const char *path);

/* The same of a descriptor, which is taken. */
int recording_open_fd(struct recording *recording, int fd, const char *name);
void recording_fini(struct recording *recording);

/* Reads and checks the head of a message. 0; -EBADMSG; or -errno: error is set. @param number below n_messages */
int recording_read(struct recording *recording, uint64_t number, struct recording_message *ret_message);

/* Reads all of a range of the file. 0; -EBADMSG it is shorter; or -errno: error is set. */
int recording_read_bytes(struct recording *recording, uint64_t offset, void *data, size_t n_bytes);

/* Compares the payload with its checksum. 0, also without one; -EBADMSG; or -errno: error is set. */
int recording_check_payload(struct recording *recording, const struct recording_message *message);

#endif
