/* SPDX-License-Identifier: Apache-2.0 */
/* Reading recordings; see recording.h. Everything in the file is hostile until it was compared with the file's size. */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cleanup.h"

/* Small messages are read this much at a time; large ones lose little by it. */
#define WINDOW_N_BYTES ((size_t)16 << 10)
#define BUFFER_N_BYTES ((size_t)1 << 20)

uint64_t recording_checksum(uint64_t id, const void *data, size_t n_bytes)
{
	return XXH3_64bits_withSeed(data, n_bytes, id);
}

uint64_t recording_checksum_header(const struct recording_header *header)
{
	return recording_checksum(0, header, offsetof(struct recording_header, checksum));
}

uint64_t recording_checksum_trailer(uint64_t id, const struct recording_trailer *trailer)
{
	return recording_checksum(id, trailer, offsetof(struct recording_trailer, checksum));
}

uint64_t recording_checksum_head(uint64_t id, const struct recording_head *head, const uint64_t *sizes)
{
	uint64_t of_sizes = recording_checksum(id, sizes, head->n_parts * sizeof(*sizes));

	return recording_checksum(of_sizes, head, offsetof(struct recording_head, checksum));
}

__attribute__((format(printf, 3, 4))) static int recording_wrong(struct recording *recording, int error,
                                                                 const char *format, ...)
{
	va_list arguments;
	int n = snprintf(recording->error, sizeof(recording->error), "%s: ", recording->name);

	va_start(arguments, format);
	if (n >= 0 && (size_t)n < sizeof(recording->error))
		vsnprintf(recording->error + n, sizeof(recording->error) - (size_t)n, format, arguments);
	va_end(arguments);
	return error;
}

int recording_read_bytes(struct recording *recording, uint64_t offset, void *data, size_t n_bytes)
{
	uint8_t *at = data;

	while (n_bytes) {
		ssize_t n = pread(recording->fd, at, n_bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return recording_wrong(recording, -errno, "offset %llu: %s", (unsigned long long)offset,
			                       strerror(errno));
		if (n == 0)
			return recording_wrong(recording, -EBADMSG,
			                       "offset %llu: the file ends here, and did not before",
			                       (unsigned long long)offset);
		at += n;
		offset += (uint64_t)n;
		n_bytes -= (size_t)n;
	}
	return 0;
}

/* As recording_read_bytes(), out of the window where it has them. The range lies in the file. */
static int recording_look(struct recording *recording, uint64_t offset, void *data, size_t n_bytes)
{
	if (n_bytes == 0 || n_bytes > WINDOW_N_BYTES)
		return recording_read_bytes(recording, offset, data, n_bytes);
	if (offset < recording->window_offset || offset - recording->window_offset > recording->window_n_bytes ||
	    n_bytes > recording->window_n_bytes - (offset - recording->window_offset)) {
		size_t n = recording->n_bytes - offset < WINDOW_N_BYTES ? (size_t)(recording->n_bytes - offset)
		                                                        : WINDOW_N_BYTES;
		int r;

		recording->window_n_bytes = 0;
		r = recording_read_bytes(recording, offset, recording->window, n);
		if (r < 0)
			return r;
		recording->window_offset = offset;
		recording->window_n_bytes = n;
	}
	memcpy(data, recording->window + (offset - recording->window_offset), n_bytes);
	return 0;
}

static bool text_ends(const char *text, size_t n_bytes)
{
	return memchr(text, 0, n_bytes) != NULL;
}

static int recording_read_header(struct recording *recording)
{
	struct recording_header *header = &recording->header;
	int r;

	if (recording->n_bytes < RECORDING_HEADER_N_BYTES)
		return recording_wrong(recording, -EBADMSG,
		                       "offset 0: not a recording, or cut short in its header (%llu bytes)",
		                       (unsigned long long)recording->n_bytes);
	r = recording_read_bytes(recording, 0, header, sizeof(*header));
	if (r < 0)
		return r;
	if (memcmp(header->magic, RECORDING_MAGIC, sizeof(header->magic)) != 0)
		return recording_wrong(recording, -EBADMSG, "offset 0: not a recording");
	if (header->byte_order == __builtin_bswap32(RECORDING_BYTE_ORDER))
		return recording_wrong(
			recording, -EBADMSG,
			"offset 8: written by a machine of the other byte order, which is not read here");
	if (recording_checksum_header(header) != header->checksum)
		return recording_wrong(recording, -EBADMSG, "offset %zu: the checksum of the header is wrong",
		                       offsetof(struct recording_header, checksum));
	if (header->byte_order != RECORDING_BYTE_ORDER || header->version != RECORDING_VERSION)
		return recording_wrong(recording, -EBADMSG, "offset 12: format %u, this program reads %u",
		                       header->version, RECORDING_VERSION);
	if (!text_ends(header->session, sizeof(header->session)) ||
	    !text_ends(header->address, sizeof(header->address)) ||
	    !text_ends(header->pattern, sizeof(header->pattern)))
		return recording_wrong(recording, -EBADMSG, "offset %zu: a text does not end",
		                       offsetof(struct recording_header, session));
	return 0;
}

/* Room for the sizes of a message's parts. They are in the file, so the file's size bounds them. */
static int recording_reserve_sizes(struct recording *recording, size_t n)
{
	uint64_t *sizes;

	if (n <= recording->n_sizes_max)
		return 0;
	sizes = realloc(recording->sizes, n * sizeof(*sizes));
	if (!sizes)
		return recording_wrong(recording, -ENOMEM, "no memory for the sizes of %zu parts", n);
	recording->sizes = sizes;
	recording->n_sizes_max = n;
	return 0;
}

/* Whether sizes, payload and record agree, and where the first part lies. */
static bool message_adds_up(struct recording_message *message)
{
	uint64_t at = message->offset + sizeof(message->head) + message->head.n_parts * sizeof(uint64_t), payload = 0;
	uint64_t end = message->offset + message->head.n_bytes;

	message->first = end;
	for (uint32_t i = 0; i < message->head.n_parts; i++) {
		uint64_t n_bytes = message->sizes[i];

		at = recording_place(at, n_bytes);
		if (at > end || n_bytes > end - at)
			return false;
		if (n_bytes && payload == 0)
			message->first = at;
		payload += n_bytes;
		at += n_bytes;
	}
	return payload == message->head.n_payload_bytes && recording_place(at, 1) == end;
}

/*
 * Reads the record at an offset, which lies in the file before `end`. 0; 1: it does not end before `end`, as in a file that was cut
 * short; -EBADMSG it is not a record; or -errno.
 */
static int recording_read_at(struct recording *recording, uint64_t offset, uint64_t end, uint64_t number,
                             struct recording_message *message)
{
	struct recording_head *head = &message->head;
	unsigned long long shown = number, at = offset;
	int r;

	message->offset = offset;
	if (end - offset < sizeof(*head))
		return 1;
	r = recording_look(recording, offset, head, sizeof(*head));
	if (r < 0)
		return r;
	if (head->magic != RECORDING_HEAD_MAGIC)
		return recording_wrong(recording, -EBADMSG, "offset %llu: here message %llu should begin", at, shown);
	if (head->n_parts > RECORDING_N_PARTS_MAX)
		return recording_wrong(recording, -EBADMSG, "offset %llu: message %llu has %u parts", at, shown,
		                       head->n_parts);
	if (end - offset - sizeof(*head) < head->n_parts * sizeof(uint64_t))
		return 1;
	r = recording_reserve_sizes(recording, head->n_parts);
	if (r == 0)
		r = recording_look(recording, offset + sizeof(*head), recording->sizes,
		                   head->n_parts * sizeof(uint64_t));
	if (r < 0)
		return r;
	message->sizes = recording->sizes;
	if (recording_checksum_head(recording->header.id, head, message->sizes) != head->checksum)
		return recording_wrong(recording, -EBADMSG,
		                       "offset %llu: the checksum of the head of message %llu is wrong", at, shown);
	if (head->number != number)
		return recording_wrong(recording, -EBADMSG, "offset %llu: message %llu where %llu should be", at,
		                       (unsigned long long)head->number, shown);
	if (head->n_bytes > INT64_MAX - offset || !message_adds_up(message) || head->time_ns < 0)
		return recording_wrong(recording, -EBADMSG, "offset %llu: the sizes of message %llu do not add up", at,
		                       shown);
	return head->n_bytes > end - offset ? 1 : 0;
}

int recording_read(struct recording *recording, uint64_t number, struct recording_message *ret_message)
{
	int r = recording_read_at(recording, recording->offsets[number], recording->end, number, ret_message);

	if (r > 0)
		return recording_wrong(recording, -EBADMSG,
		                       "offset %llu: message %llu goes beyond the end of the records",
		                       (unsigned long long)ret_message->offset, (unsigned long long)number);
	return r;
}

/* The trailer of a whole file. 0; 1 there is none; -EBADMSG there is one, and it is wrong; or -errno. */
static int recording_read_trailer(struct recording *recording, struct recording_trailer *trailer)
{
	uint64_t at = recording->n_bytes - sizeof(*trailer);
	int r;

	if (recording->n_bytes % RECORDING_UNIT_N_BYTES)
		return 1;
	r = recording_read_bytes(recording, at, trailer, sizeof(*trailer));
	if (r < 0)
		return r;
	if (memcmp(trailer->magic, RECORDING_END_MAGIC, sizeof(trailer->magic)) != 0)
		return 1;
	if (recording_checksum_trailer(recording->header.id, trailer) != trailer->checksum)
		return recording_wrong(recording, -EBADMSG, "offset %llu: the checksum of the trailer is wrong",
		                       (unsigned long long)at);
	if (trailer->index_offset < RECORDING_HEADER_N_BYTES || trailer->index_offset % RECORDING_ALIGNMENT ||
	    trailer->index_offset > at - sizeof(uint64_t) ||
	    trailer->n_messages > (at - trailer->index_offset) / sizeof(uint64_t) - 1)
		return recording_wrong(recording, -EBADMSG, "offset %llu: the index is said to lie outside the file",
		                       (unsigned long long)at);
	return 0;
}

static int recording_read_index(struct recording *recording)
{
	struct recording_trailer trailer = { 0 };
	uint64_t before = 0;
	int r = recording_read_trailer(recording, &trailer);

	if (r)
		return r;
	recording->offsets = malloc((trailer.n_messages ? trailer.n_messages : 1) * sizeof(uint64_t));
	if (!recording->offsets)
		return recording_wrong(recording, -ENOMEM, "no memory for the index of %llu messages",
		                       (unsigned long long)trailer.n_messages);
	r = recording_read_bytes(recording, trailer.index_offset + sizeof(uint64_t), recording->offsets,
	                         trailer.n_messages * sizeof(uint64_t));
	if (r < 0)
		return r;
	if (recording_checksum(recording->header.id, recording->offsets, trailer.n_messages * sizeof(uint64_t)) !=
	    trailer.index_checksum)
		return recording_wrong(recording, -EBADMSG, "offset %llu: the checksum of the index is wrong",
		                       (unsigned long long)trailer.index_offset);
	for (uint64_t i = 0; i < trailer.n_messages; i++) {
		uint64_t offset = recording->offsets[i];

		if (offset < RECORDING_HEADER_N_BYTES || offset % RECORDING_ALIGNMENT || offset <= before ||
		    offset >= trailer.index_offset)
			return recording_wrong(recording, -EBADMSG,
			                       "offset %llu: the index has message %llu at a place where none can be",
			                       (unsigned long long)(trailer.index_offset + (i + 1) * sizeof(uint64_t)),
			                       (unsigned long long)i);
		before = offset;
	}
	recording->n_messages = trailer.n_messages;
	recording->n_payload_bytes = trailer.n_payload_bytes;
	recording->duration_ns = trailer.duration_ns;
	recording->end = trailer.index_offset;
	recording->is_whole = true;
	return 0;
}

/* Whether the rest of the file is zeros: what a file system may leave of what was not written yet when the machine died. */
static bool recording_is_empty_from(struct recording *recording, uint64_t offset)
{
	TOOL_AUTO_FREE uint8_t *buffer = malloc(BUFFER_N_BYTES);

	while (buffer && offset < recording->n_bytes) {
		size_t n = recording->n_bytes - offset < BUFFER_N_BYTES ? (size_t)(recording->n_bytes - offset)
		                                                        : BUFFER_N_BYTES;

		if (recording_read_bytes(recording, offset, buffer, n) < 0 || buffer[0] ||
		    memcmp(buffer, buffer + 1, n - 1) != 0)
			return false;
		offset += n;
	}
	return buffer != NULL;
}

/* Without an index: one record after the other, up to the first that is not whole. 0 or -errno. */
static int recording_scan(struct recording *recording)
{
	struct recording_message message = { 0 };
	uint64_t n_max = 0;
	int r = 0;

	recording->end = RECORDING_HEADER_N_BYTES;
	while (recording->end < recording->n_bytes) {
		r = recording_read_at(recording, recording->end, recording->n_bytes, recording->n_messages, &message);
		if (r)
			break;
		if (recording->n_messages == n_max) {
			uint64_t *offsets;

			n_max = n_max ? 2 * n_max : 256;
			offsets = realloc(recording->offsets, n_max * sizeof(*offsets));
			if (!offsets)
				return recording_wrong(recording, -ENOMEM, "no memory for an index");
			recording->offsets = offsets;
		}
		recording->offsets[recording->n_messages++] = recording->end;
		recording->end += message.head.n_bytes;
		recording->n_payload_bytes += message.head.n_payload_bytes;
		recording->duration_ns = message.head.time_ns;
	}
	if (r != -EBADMSG)
		return r < 0 ? r : 0;
	/* Where the writer was killed the file ends, or its index begins. Anything else is damage, and it is said. */
	if (memcmp(&message.head, RECORDING_INDEX_MAGIC, strlen(RECORDING_INDEX_MAGIC)) != 0 &&
	    (message.head.magic || !recording_is_empty_from(recording, recording->end)))
		memcpy(recording->damage, recording->error, sizeof(recording->damage));
	return 0;
}

int recording_open_fd(struct recording *recording, int fd, const char *name)
{
	struct stat stat;
	int r;

	*recording = (struct recording){ .fd = fd };
	snprintf(recording->name, sizeof(recording->name), "%.255s", name);
	if (fstat(fd, &stat) < 0)
		return recording_wrong(recording, -errno, "%s", strerror(errno));
	if (!S_ISREG(stat.st_mode))
		return recording_wrong(recording, -EBADMSG, "not a file");
	recording->n_bytes = (uint64_t)stat.st_size;
	recording->window = malloc(WINDOW_N_BYTES);
	if (!recording->window)
		return recording_wrong(recording, -ENOMEM, "no memory");
	r = recording_read_header(recording);
	if (r == 0)
		r = recording_read_index(recording);
	return r > 0 ? recording_scan(recording) : r;
}

int recording_open(struct recording *recording, const char *path)
{
	/* A FIFO in its place must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		return recording_open_fd(recording, fd, path);
	*recording = (struct recording){ .fd = -1 };
	snprintf(recording->name, sizeof(recording->name), "%.255s", path);
	return recording_wrong(recording, -errno, "%s", strerror(errno));
}

void recording_fini(struct recording *recording)
{
	if (recording->fd >= 0)
		close(recording->fd);
	free(recording->offsets);
	free(recording->window);
	free(recording->sizes);
	*recording = (struct recording){ .fd = -1 };
}

int recording_check_payload(struct recording *recording, const struct recording_message *message)
{
	TOOL_AUTO_FREE uint8_t *buffer = NULL;
	XXH3_state_t *state;
	uint64_t at = message->offset + sizeof(message->head) + message->head.n_parts * sizeof(uint64_t);
	uint64_t checksum;
	int r = 0;

	if (!(recording->header.flags & RECORDING_HAS_CHECKSUMS))
		return 0;
	buffer = malloc(BUFFER_N_BYTES);
	state = XXH3_createState();
	if (!buffer || !state || XXH3_64bits_reset_withSeed(state, recording->header.id) == XXH_ERROR)
		r = recording_wrong(recording, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < message->head.n_parts && r == 0; i++) {
		uint64_t left = message->sizes[i];

		at = recording_place(at, left);
		while (left && r == 0) {
			size_t n = left < BUFFER_N_BYTES ? (size_t)left : BUFFER_N_BYTES;

			r = recording_look(recording, at, buffer, n);
			if (r == 0 && XXH3_64bits_update(state, buffer, n) == XXH_ERROR)
				r = -EINVAL;
			at += n;
			left -= n;
		}
	}
	checksum = r == 0 ? XXH3_64bits_digest(state) : 0;
	XXH3_freeState(state);
	if (r == 0 && checksum != message->head.payload_checksum)
		return recording_wrong(
			recording, -EBADMSG,
			"offset %llu: the bytes of message %llu are not what was recorded (XXH3 differs)",
			(unsigned long long)message->offset, (unsigned long long)message->head.number);
	return r;
}
