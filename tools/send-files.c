/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files into timeframes. Bytes are read from a file straight into the sealed frame. What a file is when it
 * is opened is what is sent: one that is seen to change before its last byte was read is given up, and the
 * receiver is told so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cleanup.h"
#include "sender.h"

/* Reads exactly n_bytes at an offset. 0; -EIO the file has become shorter; the error of the read. */
static int read_exactly(int fd, void *to, uint64_t n_bytes, uint64_t offset)
{
	while (n_bytes > 0) {
		ssize_t n = pread(fd, to, n_bytes, (off_t)offset);

		if (n < 0 && errno == EINTR && !sender_stop_signal)
			continue;
		if (n < 0)
			return errno == EINTR ? -ECANCELED : -errno;
		if (n == 0)
			return -EIO;
		to = (unsigned char *)to + n;
		n_bytes -= (uint64_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

struct source {
	const char *path, *name;
	int fd;
	struct stat st;
	uint64_t file; /* its number in the stream */
	XXH3_state_t *hash;
};

static void source_fini(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	XXH3_freeState(source->hash);
}

/* What makes two looks at a file differ, in words; NULL when nothing does. */
static const char *source_change(const struct source *source)
{
	struct stat now;

	if (fstat(source->fd, &now) < 0)
		return strerror(errno);
	if (now.st_size != source->st.st_size)
		return now.st_size < source->st.st_size ? "became shorter while being sent" : "grew while being sent";
	if (now.st_mtim.tv_sec != source->st.st_mtim.tv_sec || now.st_mtim.tv_nsec != source->st.st_mtim.tv_nsec)
		return "was written to while being sent";
	return NULL;
}

/*
 * Adds one piece of a file to the frame. 0; a positive number when the file is given up (and that was
 * said and noted in the frame); an error that ends the stream.
 */
static int piece_add(struct sender *sender, struct source *source, uint64_t offset, uint64_t n_bytes)
{
	struct stream_entry entry = {
		.file = source->file,
		.file_n_bytes = (uint64_t)source->st.st_size,
		.offset = offset,
		.n_bytes = n_bytes,
	};
	bool is_last = offset + n_bytes == entry.file_n_bytes;
	const char *what = NULL;
	void *data;
	int part, r;

	part = sender_part_add(sender, n_bytes, &data);
	if (part < 0)
		return part;
	entry.part = (uint32_t)part;
	r = read_exactly(source->fd, data, n_bytes, offset);
	if (r == -ECANCELED)
		return r;
	if (r < 0 && r != -EIO)
		what = strerror(-r);
	else if (r < 0 || is_last)
		what = source_change(source);
	if (r < 0 && !what)
		what = "could not be read to its end";
	if (what) {
		sender_file_failed(sender, source->path, what);
		r = sea_frame_shrink_last(sender->frame, 0);
		if (r < 0)
			return r;
		entry.n_bytes = 0;
		entry.flags = STREAM_ABANDONED;
		sender_entry_add(sender, source->name, &source->st, &entry);
		return 1;
	}
	if (n_bytes > 0 && XXH3_64bits_update(source->hash, data, n_bytes) == XXH_ERROR)
		return -EINVAL;
	if (is_last)
		entry.file_hash = XXH3_64bits_digest(source->hash);
	entry.hash = offset == 0 && is_last ? entry.file_hash : XXH3_64bits(data, n_bytes);
	sender_entry_add(sender, source->name, &source->st, &entry);
	sender->n_frame_bytes += n_bytes;
	sender->n_bytes_read += n_bytes;
	terminal_progress_update(&sender->progress, sender->n_bytes_read, sender->n_bytes_total, NULL);
	return 0;
}

/* How much the files from here on that go into one timeframe will take, as far as the list knows. */
static uint64_t frame_plan(const struct input_list *list, size_t index)
{
	uint64_t n_bytes = 0;

	for (size_t i = index; i < list->n_files && list->files[i].folder == list->files[index].folder; i++) {
		if (list->files[i].n_bytes > STREAM_PIECE_N_BYTES - n_bytes)
			break;
		n_bytes += list->files[i].n_bytes;
	}
	return n_bytes;
}

static int frame_ensure(struct sender *sender, const struct input_list *list, size_t index, uint64_t n_bytes)
{
	uint64_t n_bytes_max;
	int r;

	if (sender_has_room(sender, list->files[index].name, n_bytes))
		return 0;
	r = sender_frame_end(sender);
	if (r < 0)
		return r;
	n_bytes_max = frame_plan(list, index);
	return sender_frame_begin(sender, n_bytes_max > n_bytes ? n_bytes_max : n_bytes);
}

static int file_send(struct sender *sender, const struct input_list *list, size_t index)
{
	const struct input_file *file = &list->files[index];
	TOOL_CLEANUP(source_fini) struct source source = { .path = file->path, .name = file->name, .fd = -1 };
	uint64_t n_bytes, offset = 0;

	/* O_NONBLOCK: a FIFO that has taken the place of the file must not hold us. */
	source.fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (source.fd < 0 || fstat(source.fd, &source.st) < 0) {
		sender_file_failed(sender, file->path,
		                   errno == ENOENT ? "vanished before it was sent" : strerror(errno));
		return 0;
	}
	if (!S_ISREG(source.st.st_mode)) {
		sender_file_failed(sender, file->path, "is no regular file any more");
		return 0;
	}
	source.hash = XXH3_createState();
	if (!source.hash || XXH3_64bits_reset(source.hash) == XXH_ERROR)
		return -ENOMEM;
	n_bytes = (uint64_t)source.st.st_size;
	source.file = sender->n_files_begun++;
	do {
		uint64_t n = n_bytes - offset < STREAM_PIECE_N_BYTES ? n_bytes - offset : STREAM_PIECE_N_BYTES;
		int r = frame_ensure(sender, list, index, n);

		if (r < 0)
			return r;
		r = piece_add(sender, &source, offset, n);
		if (r != 0)
			return r < 0 ? r : 0;
		offset += n;
	} while (offset < n_bytes);
	sender->totals.n_files++;
	sender->totals.n_bytes += n_bytes;
	return 0;
}

static int folder_send(struct sender *sender, const struct input_list *list, size_t index)
{
	const struct input_file *file = &list->files[index];
	struct stream_entry entry = { .flags = STREAM_FOLDER, .part = STREAM_NO_PART };
	struct stat st;
	int r;

	if (lstat(file->path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		sender_file_failed(sender, file->path, "vanished before it was sent");
		return 0;
	}
	r = frame_ensure(sender, list, index, 0);
	if (r < 0)
		return r;
	sender_entry_add(sender, file->name, &st, &entry);
	sender->totals.n_folders++;
	return 0;
}

int sender_list_send(struct sender *sender, const struct input_list *list)
{
	for (size_t i = 0; i < list->n_files; i++) {
		int r;

		if (sender_stop_signal)
			return -ECANCELED;
		/* A timeframe ends with its folder. */
		if (i > 0 && list->files[i].folder != list->files[i - 1].folder) {
			r = sender_frame_end(sender);
			if (r < 0)
				return r;
		}
		r = list->files[i].is_folder ? folder_send(sender, list, i) : file_send(sender, list, i);
		if (r < 0)
			return r;
	}
	return sender_frame_end(sender);
}
