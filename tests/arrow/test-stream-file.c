/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams in files: what other programs read, see run-interop-readers. $SEALANE_ARROW_OUT, where that is set, is the folder of the files:
 * table.arrow, and plain.arrow without the run-end encoded column, which not all of them know.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tables.h"
#include "test.h"

static int file_open(const char *name)
{
	const char *folder = getenv("SEALANE_ARROW_OUT");
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : test_runtime_dir(), name);
	return (int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

TEST(stream_file, "a stream that was written to a file is read from a mapping of it")
{
	int fd = file_open("table.arrow");
	uint64_t n_bytes;
	void *memory = table_write(&n_bytes);
	void *mapped;

	CHECK_EQ(CHECK_SYS(write(fd, memory, n_bytes)), (ssize_t)n_bytes);
	mapped = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(mapped != MAP_FAILED);
	table_check_stream(mapped, n_bytes, 2);
	CHECK_SYS(munmap(mapped, n_bytes));
	close(fd);
	free(memory);
}

/* Writes through a file descriptor: the place is a buffer of ours. */
struct fd_sink {
	int fd;
	void *place;
};

static int fd_claim(void **ret_place, uint64_t n_bytes, void *userdata)
{
	struct fd_sink *sink = userdata;

	free(sink->place);
	sink->place = *ret_place = table_memory(n_bytes);
	return 0;
}

static int fd_commit(void *place, uint64_t n_bytes, void *userdata)
{
	const struct fd_sink *sink = userdata;

	return write(sink->fd, place, n_bytes) == (ssize_t)n_bytes ? 0 : -EIO;
}

TEST(columns_chosen, "a batch of some of the columns of another is written, and read")
{
	struct fd_sink sink = { .fd = file_open("plain.arrow") };
	const struct sea_arrow_sink callbacks = { fd_claim, fd_commit, &sink };
	struct sea_arrow_field fields[TABLE_N_FIELDS];
	struct sea_arrow_column columns[TABLE_N_FIELDS];
	struct sea_arrow_schema schema = { fields, 0, NULL, 0 };
	struct sea_arrow_batch *batch, chosen = { .columns = columns };
	struct sea_arrow_reader *reader;
	struct sea_arrow_writer *writer;
	struct sea_error error = { 0 };
	uint64_t n_bytes, n_written = 0;
	void *memory = table_write(&n_bytes), *mapped;
	int64_t value;

	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	for (size_t i = 0; i < TABLE_N_FIELDS; i++)
		if (sea_arrow_reader_schema(reader)->fields[i].type.id != SEA_ARROW_RUN_END_ENCODED)
			fields[schema.n_fields++] = sea_arrow_reader_schema(reader)->fields[i];
	CHECK_OK(sea_arrow_writer_new(&writer, &schema, NULL));
	sea_arrow_writer_set_sink(writer, &callbacks);
	CHECK_OK(sea_arrow_writer_begin(writer, NULL));
	while (CHECK_OK(sea_arrow_reader_next(reader, batch, NULL)) == 1) {
		chosen.n_rows = batch->n_rows;
		chosen.n_columns = 0;
		for (size_t i = 0; i < TABLE_N_FIELDS; i++)
			if (batch->columns[i].field->type.id != SEA_ARROW_RUN_END_ENCODED)
				columns[chosen.n_columns++] = batch->columns[i];
		if (sea_arrow_writer_write(writer, &chosen, &error) < 0)
			FAIL("%s: %s", error.key, error.text);
	}
	CHECK_OK(sea_arrow_writer_end(writer, &n_written, NULL));
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);

	mapped = mmap(NULL, n_written, PROT_READ, MAP_PRIVATE, sink.fd, 0);
	CHECK(mapped != MAP_FAILED);
	CHECK_OK(sea_arrow_reader_new(&reader, mapped, n_written, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_EQ(batch->n_columns, TABLE_N_FIELDS - 1);
	CHECK_OK(sea_arrow_column_get_int(&batch->columns[0], 4, &value));
	CHECK_EQ(value, 127);
	/* The dictionary is not written again for the second batch. */
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 0);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	sea_arrow_writer_free(writer);
	CHECK_SYS(munmap(mapped, n_written));
	close(sink.fd);
	free(sink.place);
	free(memory);
}
