/* SPDX-License-Identifier: Apache-2.0 */
/* Writing recordings; see recording-writer.h. One pwritev() for up to 1024 pieces: heads, parts, and the zeros between them. */
#include "recording-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <sealane/sealane.h>

#define N_VECTORS_AT_ONCE 1024 /* IOV_MAX of Linux */
/* A call hands this much to the kernel, or one message. */
#define N_BYTES_AT_ONCE ((uint64_t)8 << 20)

static const uint8_t zeros[RECORDING_PAGE_N_BYTES];

/* Grows an array to at least n_wanted items. */
static int array_grow(void *array, size_t *n_max, size_t n_wanted, size_t item_n_bytes)
{
	void *old, *grown;
	size_t n = *n_max ? *n_max : 256;

	if (n_wanted <= *n_max)
		return 0;
	while (n < n_wanted)
		n *= 2;
	memcpy(&old, array, sizeof(old));
	grown = realloc(old, n * item_n_bytes);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	*n_max = n;
	return 0;
}

/* Writes all of the vectors at an offset. *ret_n_written is right on failure as well. */
static int vectors_write(int fd, struct iovec *vectors, size_t n_vectors, uint64_t offset, uint64_t *ret_n_written)
{
	*ret_n_written = 0;
	while (n_vectors) {
		int n_now = n_vectors < N_VECTORS_AT_ONCE ? (int)n_vectors : N_VECTORS_AT_ONCE;
		ssize_t n = pwritev(fd, vectors, n_now, (off_t)(offset + *ret_n_written));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		*ret_n_written += (uint64_t)n;
		while (n_vectors && (size_t)n >= vectors->iov_len) {
			n -= (ssize_t)vectors->iov_len;
			vectors++;
			n_vectors--;
		}
		if (n_vectors) {
			vectors->iov_base = (uint8_t *)vectors->iov_base + n;
			vectors->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static void writer_vector(struct recording_writer *writer, const void *data, size_t n_bytes)
{
	if (n_bytes)
		writer->vectors[writer->n_vectors++] = (struct iovec){ (void *)(uintptr_t)data, n_bytes };
}

/* Hands what was gathered to the kernel, and notes what of it is whole. */
static int writer_flush(struct recording_writer *writer)
{
	uint64_t n_written, written_end;
	int r;

	if (writer->n_pending == 0)
		return 0;
	r = vectors_write(writer->fd, writer->vectors, writer->n_vectors, writer->n_bytes, &n_written);
	written_end = writer->n_bytes + n_written;
	for (size_t i = 0; i < writer->n_pending && writer->pending[i].end <= written_end; i++) {
		writer->offsets[writer->n_messages++] = writer->n_bytes;
		writer->n_bytes = writer->pending[i].end;
		writer->n_payload_bytes += writer->pending[i].n_payload_bytes;
		writer->last_ns = writer->pending[i].time_ns;
	}
	writer->n_file_bytes = writer->n_bytes;
	writer->n_pending = writer->n_vectors = writer->n_heads = 0;
	/* Half a record is of no use, and its room may be what the index needs. */
	if (r < 0)
		(void)!ftruncate(writer->fd, (off_t)writer->n_bytes);
	return r;
}

/* Room for one more message among those that wait, so that its head does not move afterwards. */
static int writer_reserve(struct recording_writer *writer, size_t n_parts)
{
	size_t n_head_bytes = sizeof(struct recording_head) + n_parts * sizeof(uint64_t);
	int r = 0;

	if (writer->n_pending && (writer->n_heads + n_head_bytes > writer->n_heads_max ||
	                          writer->pending[writer->n_pending - 1].end - writer->n_bytes >= N_BYTES_AT_ONCE))
		r = writer_flush(writer);
	if (r == 0)
		r = array_grow(&writer->heads, &writer->n_heads_max, writer->n_heads + n_head_bytes, 1);
	if (r == 0)
		r = array_grow(&writer->vectors, &writer->n_vectors_max, writer->n_vectors + 2 * n_parts + 2,
		               sizeof(*writer->vectors));
	if (r == 0)
		r = array_grow(&writer->pending, &writer->n_pending_max, writer->n_pending + 1,
		               sizeof(*writer->pending));
	if (r == 0)
		r = array_grow(&writer->offsets, &writer->n_offsets_max, writer->n_messages + writer->n_pending + 1,
		               sizeof(*writer->offsets));
	return r;
}

/* The sizes, the parts and what lies between them. What the message's memory says is read once: in shared memory it can change. */
static int writer_gather(struct recording_writer *writer, const struct sea_message *message,
                         struct recording_head *head, uint64_t *sizes, uint64_t offset)
{
	bool has_checksum = writer->header.flags & RECORDING_HAS_CHECKSUMS;
	uint64_t at = offset + sizeof(*head) + head->n_parts * sizeof(uint64_t);
	XXH3_state_t *state = writer->hash;

	if (has_checksum && XXH3_64bits_reset_withSeed(state, writer->header.id) == XXH_ERROR)
		return -ENOMEM;
	writer_vector(writer, head, sizeof(*head) + head->n_parts * sizeof(uint64_t));
	for (uint32_t i = 0; i < head->n_parts; i++) {
		struct sea_part part;
		uint64_t place;
		int r = sea_message_get_part(message, i, &part);

		if (r < 0)
			return r;
		place = recording_place(at, part.n_bytes);
		writer_vector(writer, zeros, place - at);
		writer_vector(writer, part.data, part.n_bytes);
		if (has_checksum && part.n_bytes)
			(void)XXH3_64bits_update(state, part.data, part.n_bytes);
		sizes[i] = part.n_bytes;
		head->n_payload_bytes += part.n_bytes;
		at = place + part.n_bytes;
	}
	head->n_bytes = recording_place(at, 1) - offset;
	writer_vector(writer, zeros, offset + head->n_bytes - at);
	if (has_checksum)
		head->payload_checksum = XXH3_64bits_digest(state);
	return 0;
}

static int writer_add_one(struct recording_writer *writer, const struct sea_message *message, int64_t time_ns)
{
	size_t n_parts = sea_message_n_parts(message), n_vectors;
	struct recording_head *head;
	uint64_t *sizes, offset;
	int r;

	if (n_parts > RECORDING_N_PARTS_MAX)
		return -E2BIG;
	r = writer_reserve(writer, n_parts);
	if (r < 0)
		return r;
	n_vectors = writer->n_vectors;
	offset = writer->n_pending ? writer->pending[writer->n_pending - 1].end : writer->n_bytes;
	head = (struct recording_head *)(void *)(writer->heads + writer->n_heads);
	sizes = (uint64_t *)(void *)(head + 1);
	*head = (struct recording_head){
		.magic = RECORDING_HEAD_MAGIC,
		.n_parts = (uint32_t)n_parts,
		.number = writer->n_messages + writer->n_pending,
		.time_ns = time_ns,
		.tag = sea_message_get_tag(message),
	};
	r = writer_gather(writer, message, head, sizes, offset);
	if (r < 0) {
		writer->n_vectors = n_vectors;
		return r;
	}
	head->checksum = recording_checksum_head(writer->header.id, head, sizes);
	writer->n_heads += sizeof(*head) + n_parts * sizeof(*sizes);
	writer->pending[writer->n_pending++] = (struct recording_pending){
		.end = offset + head->n_bytes,
		.n_payload_bytes = head->n_payload_bytes,
		.time_ns = time_ns,
	};
	return 0;
}

int recording_writer_add(struct recording_writer *writer, struct sea_message *const *messages, size_t n_messages,
                         int64_t time_ns)
{
	int r = 0, flushed;

	for (size_t i = 0; i < n_messages && r == 0; i++)
		r = writer_add_one(writer, messages[i], time_ns);
	flushed = writer_flush(writer);
	return flushed < 0 ? flushed : r;
}

static int bytes_write(int fd, const void *data, size_t n_bytes, uint64_t offset)
{
	struct iovec vector = { (void *)(uintptr_t)data, n_bytes };
	uint64_t n_written;

	return vectors_write(fd, &vector, n_bytes ? 1 : 0, offset, &n_written);
}

int recording_writer_open(struct recording_writer *writer, const char *path, bool replaces,
                          const struct recording_header *header)
{
	uint8_t page[RECORDING_HEADER_N_BYTES] = { 0 };
	struct stat stat;
	int r;

	*writer = (struct recording_writer){ .header = *header, .n_bytes = RECORDING_HEADER_N_BYTES };
	memcpy(writer->header.magic, RECORDING_MAGIC, sizeof(writer->header.magic));
	writer->header.byte_order = RECORDING_BYTE_ORDER;
	writer->header.version = RECORDING_VERSION;
	writer->header.checksum = recording_checksum_header(&writer->header);
	memcpy(page, &writer->header, sizeof(writer->header));
	writer->fd = -1;
	writer->hash = XXH3_createState();
	if (!writer->hash)
		return -ENOMEM;
	/* A new file instead of the old one cut short: whoever maps that reads on. */
	if (replaces && lstat(path, &stat) == 0 && S_ISREG(stat.st_mode) && unlink(path) < 0)
		return -errno;
	/* Writable by its user alone: else nobody would map it. */
	writer->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_EXCL, 0644);
	if (writer->fd < 0)
		return -errno;
	r = bytes_write(writer->fd, page, sizeof(page), 0);
	if (r < 0)
		(void)unlink(path);
	return r;
}

int recording_writer_finish(struct recording_writer *writer)
{
	uint64_t n_index_bytes = writer->n_messages * sizeof(uint64_t);
	uint64_t total = writer->n_bytes + sizeof(uint64_t) + n_index_bytes + sizeof(struct recording_trailer);
	struct recording_trailer trailer = {
		.magic = RECORDING_END_MAGIC,
		.index_offset = writer->n_bytes,
		.n_messages = writer->n_messages,
		.n_payload_bytes = writer->n_payload_bytes,
		.duration_ns = writer->last_ns,
		.index_checksum = recording_checksum(writer->header.id, writer->offsets, n_index_bytes),
	};
	int r;

	total = (total + RECORDING_UNIT_N_BYTES - 1) / RECORDING_UNIT_N_BYTES * RECORDING_UNIT_N_BYTES;
	trailer.checksum = recording_checksum_trailer(writer->header.id, &trailer);
	r = bytes_write(writer->fd, RECORDING_INDEX_MAGIC, sizeof(uint64_t), writer->n_bytes);
	if (r == 0)
		r = bytes_write(writer->fd, writer->offsets, n_index_bytes, writer->n_bytes + sizeof(uint64_t));
	if (r == 0 && ftruncate(writer->fd, (off_t)total) < 0)
		r = -errno;
	/* Last of all: with it the file is whole. */
	if (r == 0)
		r = bytes_write(writer->fd, &trailer, sizeof(trailer), total - sizeof(trailer));
	if (r < 0) {
		(void)!ftruncate(writer->fd, (off_t)writer->n_bytes);
		return r;
	}
	writer->n_file_bytes = total;
	/* Some file systems tell only now that a disk is full. */
	r = close(writer->fd) < 0 ? -errno : 0;
	writer->fd = -1;
	return r;
}

void recording_writer_fini(struct recording_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer->offsets);
	free(writer->heads);
	free(writer->vectors);
	free(writer->pending);
	XXH3_freeState(writer->hash);
	*writer = (struct recording_writer){ .fd = -1 };
}
