/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Arrow C Data and C Stream Interface, both ways: what was read goes to other libraries of the process without a copy, and what they have
 * is read like a stream, and written by a writer.
 *
 * Out: an exported array borrows the memory that its reader reads. Who gave that memory is told when nothing of it is used any more: by
 * a function that is called once, on whatever thread drops the last of it.
 * In: the ABI tells no sizes of buffers, so what is checked is what can be: numbers of buffers and children, lengths, offsets that
 * rise; a foreign library of the same process is believed the rest.
 */
#ifndef SEALANE_ARROW_EXCHANGE_H
#define SEALANE_ARROW_EXCHANGE_H

#include <sealane/arrow/abi.h>
#include <sealane/arrow/reader.h>
#include <sealane/arrow/schema.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Is called once, when the last of what was exported is released; on any thread. */
typedef void (*sea_arrow_release_fn)(void *userdata);

/**
 * Exports a schema, as a struct of its fields. Everything is copied.
 * @param ret_schema receives it; its consumer calls its release()
 * @return 0; -EINVAL not a schema; -ENOMEM. Any thread. Since 0.4.
 */
int sea_arrow_export_schema(const struct sea_arrow_schema *schema, struct ArrowSchema *ret_schema,
                            struct sea_error *error);

/**
 * Exports a batch, as an array of a struct. No value is copied; the batch itself may be filled again or freed.
 *
 * @param ret_array receives it; its consumer calls its release(), and may move its children out first
 * @param release NULL, or told when the array and all that was moved out of it are released: the reader and the memory may go then, not before. Also called,
 *        before the return, if this fails
 * @return 0; -EBADMSG a column is malformed (all are checked: foreign code checks nothing); -ENOTSUP a dictionary in several pieces, or a foreign batch; -ENOMEM. Since 0.4.
 */
int sea_arrow_export_batch(const struct sea_arrow_batch *batch, struct ArrowArray *ret_array,
                           sea_arrow_release_fn release, void *userdata, struct sea_error *error);

/**
 * Exports the rest of a stream. The reader belongs to the exported stream from here on.
 *
 * @param reader is taken and set to NULL, also on failure
 * @param ret_stream receives it; its consumer calls its release(); the arrays it gives may outlive it
 * @param release NULL, or told when the stream and all of its arrays are released: the memory may go then. Also called, before the return, if this fails
 * @return 0; -ENOTSUP it is a foreign one; -ENOMEM. Any thread; the stream is then used by one thread at a time, its arrays by any. Since 0.4.
 */
int sea_arrow_export_stream(struct sea_arrow_reader **reader, struct ArrowArrayStream *ret_stream,
                            sea_arrow_release_fn release, void *userdata, struct sea_error *error);

/**
 * Reads a foreign stream: the reader gives its batches.
 *
 * @param ret_reader freed by sea_arrow_reader_free(). A batch stays valid until it is filled again or freed: it holds its foreign array
 * @param stream is moved into the reader, also on failure: its release is NULL afterwards
 * @param error NULL, or receives what is wrong; its key is the path of the field
 * @return 0; -EBADMSG, -ENOTSUP, -E2BIG its schema is malformed, unknown, too large; -ENOMEM; what the stream says (negative). Since 0.4.
 */
int sea_arrow_import_stream(struct sea_arrow_reader **ret_reader, struct ArrowArrayStream *stream,
                            struct sea_error *error);

/**
 * Reads foreign arrays: a reader that gives what sea_arrow_import_array() puts in.
 * @param schema a struct, moved into the reader, also on failure
 * @return as sea_arrow_import_stream(). Since 0.4.
 */
int sea_arrow_import_schema(struct sea_arrow_reader **ret_reader, struct ArrowSchema *schema, struct sea_error *error);

/**
 * Puts a foreign array into a batch of a reader that sea_arrow_import_schema() has made.
 * @param array of a struct, moved into the batch, also on failure; released when the batch is filled again or freed
 * @return 0; -EBADMSG malformed, or not of the schema; -EINVAL a batch of another reader; -ENOMEM. Since 0.4.
 */
int sea_arrow_import_array(struct sea_arrow_reader *reader, struct sea_arrow_batch *batch, struct ArrowArray *array,
                           struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
