/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recordings: whatever stands in the file, what is found in it lies in it. Mostly with right checksums, which somebody who makes a
 * file up has as well.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../tools/recording.c"

#define N_BYTES_MAX ((size_t)1 << 18)

/* Puts right checksums under the heads, as long as one leads to the next. */
static void heads_seal(uint8_t *file, size_t end, uint64_t id)
{
	size_t at = RECORDING_HEADER_N_BYTES;

	for (uint64_t number = 0; at < end && end - at >= sizeof(struct recording_head); number++) {
		struct recording_head *head = (struct recording_head *)(void *)(file + at);

		/* A little help: few inputs would have these. */
		head->magic = RECORDING_HEAD_MAGIC;
		head->n_parts %= 64;
		head->number = head->number % 16 ? number : head->number;
		if (end - at - sizeof(*head) < head->n_parts * sizeof(uint64_t))
			return;
		head->checksum = recording_checksum_head(id, head, (const uint64_t *)(const void *)(head + 1));
		if (head->n_bytes == 0 || head->n_bytes % RECORDING_ALIGNMENT || head->n_bytes > end - at)
			return;
		at += head->n_bytes;
	}
}

static void index_seal(uint8_t *file, size_t n_bytes, uint64_t id)
{
	struct recording_trailer *trailer = (struct recording_trailer *)(void *)(file + n_bytes - sizeof(*trailer));
	uint64_t at = trailer->index_offset % n_bytes & ~(uint64_t)63;

	memcpy(trailer->magic, RECORDING_END_MAGIC, sizeof(trailer->magic));
	if (trailer->reserved % 4)
		trailer->index_offset = at;
	if (at + sizeof(uint64_t) < n_bytes &&
	    trailer->n_messages < (n_bytes - at - sizeof(uint64_t)) / sizeof(uint64_t))
		trailer->index_checksum = recording_checksum(id, file + at + sizeof(uint64_t),
		                                             trailer->n_messages * sizeof(uint64_t));
	trailer->checksum = recording_checksum_trailer(id, trailer);
}

static void recording_look_at_all(struct recording *recording)
{
	for (uint64_t i = 0; i < recording->n_messages && i < 1000; i++) {
		struct recording_message message;
		uint64_t at, end;

		if (recording_read(recording, i, &message) < 0)
			continue;
		at = message.first;
		end = message.offset + message.head.n_bytes;
		FUZZ_CHECK(end <= recording->end && recording->end <= recording->n_bytes);
		for (uint32_t k = 0; k < message.head.n_parts; k++) {
			at = recording_place(at, message.sizes[k]);
			FUZZ_CHECK(at <= end && message.sizes[k] <= end - at);
			at += message.sizes[k];
		}
		(void)recording_check_payload(recording, &message);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	uint8_t mode = fuzz_take_u8(&input);
	size_t n = RECORDING_HEADER_N_BYTES + (input.n_bytes < N_BYTES_MAX ? input.n_bytes : N_BYTES_MAX);
	struct recording recording;
	uint8_t *file;
	int fd;

	/* Whole, or cut anywhere. */
	if (mode & 1)
		n = (n + RECORDING_UNIT_N_BYTES - 1) / RECORDING_UNIT_N_BYTES * RECORDING_UNIT_N_BYTES;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	file = aligned_alloc(64, (n + 63) & ~(size_t)63);
	FUZZ_CHECK(fd >= 0 && file);
	memset(file, 0, n);
	if (mode & 2) {
		struct recording_header *header = (struct recording_header *)(void *)file;

		memcpy(header->magic, RECORDING_MAGIC, sizeof(header->magic));
		header->byte_order = RECORDING_BYTE_ORDER;
		header->version = RECORDING_VERSION;
		header->flags = mode & 4 ? RECORDING_HAS_CHECKSUMS : 0;
		header->checksum = recording_checksum_header(header);
		memcpy(file + RECORDING_HEADER_N_BYTES, input.data,
		       input.n_bytes < N_BYTES_MAX ? input.n_bytes : N_BYTES_MAX);
		if (mode & 8)
			heads_seal(file, n, 0);
		if (mode & 1 && mode & 16) {
			/* The end of the input is the trailer. */
			size_t n_trailer = input.n_bytes < 64 ? input.n_bytes : 64;

			memcpy(file + n - n_trailer, input.data + input.n_bytes - n_trailer, n_trailer);
			index_seal(file, n, 0);
		}
	} else {
		memcpy(file, input.data, input.n_bytes < n ? input.n_bytes : n);
	}
	FUZZ_CHECK(write(fd, file, n) == (ssize_t)n);
	free(file);
	if (recording_open_fd(&recording, fd, "fuzz") == 0)
		recording_look_at_all(&recording);
	else
		FUZZ_CHECK(recording.error[0]);
	recording_fini(&recording);
	return 0;
}
