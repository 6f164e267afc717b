/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of libsealane-arrow: Arrow IPC streams, written and read in place, and the Arrow C Data and C Stream Interface.
 *
 *	struct sea_arrow_field fields[2];
 *	struct sea_arrow_schema schema = { .fields = fields, .n_fields = 2 };
 *	struct sea_arrow_slot slots[2] = { { .n_rows = n }, { .n_rows = n } };
 *
 *	sea_arrow_field_init(&fields[0], "time", "tsm:UTC");
 *	sea_arrow_field_init(&fields[1], "version", "c");
 *	sea_arrow_writer_new(&writer, &schema, NULL);
 *	sea_arrow_writer_set_memory(writer, memory, n_bytes);
 *	sea_arrow_writer_begin(writer, NULL);
 *	sea_arrow_writer_reserve(writer, slots, 2, NULL);
 *	... write to slots[0].data and slots[1].data ...
 *	sea_arrow_writer_commit(writer, NULL);
 *	sea_arrow_writer_end(writer, &n_written, NULL);
 *
 *	sea_arrow_reader_new(&reader, memory, n_written, &error);
 *	sea_arrow_batch_new(&batch, reader);
 *	while (sea_arrow_reader_next(reader, batch, &error) == 1)
 *		... sea_arrow_column_get_int(&batch->columns[0], row, &time) ...
 *
 * Nothing here starts a thread, opens a file or logs. An object is used by one thread at a time; a batch that was read may be read
 * by many threads at once.
 */
#ifndef SEALANE_ARROW_ARROW_H
#define SEALANE_ARROW_ARROW_H

#include <sealane/arrow/abi.h>
#include <sealane/arrow/column.h>
#include <sealane/arrow/exchange.h>
#include <sealane/arrow/reader.h>
#include <sealane/arrow/schema.h>
#include <sealane/arrow/writer.h>

#endif
