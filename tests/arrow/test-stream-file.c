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

TEST(columns_chosen, "a batch of some of the columns of another is written, and read")
{
	int fd = file_open("plain.arrow");
	struct sea_arrow_batch *batch;
	struct sea_arrow_reader *reader;
	uint64_t n_bytes;
	void *memory = table_write_without("ree", &n_bytes);
	int64_t value;

	CHECK_EQ(CHECK_SYS(write(fd, memory, n_bytes)), (ssize_t)n_bytes);
	CHECK_OK(sea_arrow_reader_new(&reader, memory, n_bytes, NULL));
	CHECK_OK(sea_arrow_batch_new(&batch, reader));
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_EQ(batch->n_columns, TABLE_N_FIELDS - 1);
	CHECK_OK(sea_arrow_batch_check(batch, NULL));
	CHECK_OK(sea_arrow_column_get_int(&batch->columns[0], 4, &value));
	CHECK_EQ(value, 127);
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 1);
	CHECK_EQ(sea_arrow_reader_next(reader, batch, NULL), 0);
	sea_arrow_batch_free(batch);
	sea_arrow_reader_free(reader);
	close(fd);
	free(memory);
}
