/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches and streams for other libraries. The arrays borrow the buffers that were read; they, and the stream they come from, share one
 * count, and whoever drops the last of it is told.
 *
 * The odd rule: a consumer may move children out of an array and release them later, on another thread: each child owns what it needs.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/arrow/exchange.h>

#include "arrow/fail.h"
#include "arrow/reader.h"
#include "base/cleanup.h"

/* Validity, views and their sizes aside: no type has more buffers. */
#define N_BUFFERS_MAX 3

/* Who waits for the last release. */
struct export_base {
	_Atomic uint64_t n_refs;
	sea_arrow_release_fn release;
	void *userdata;
	/* Of a stream: */
	struct sea_arrow_reader *reader;
	struct sea_arrow_batch *batch;
	struct sea_error error;
	char line[1200];
};

/* What belongs to one exported array. */
struct export_array {
	struct export_base *base;
	struct ArrowArray *children;
	struct ArrowArray **pointers;
	struct ArrowArray dictionary;
	int64_t *sizes; /* of the buffers of views */
	const void **buffers;
};

/* Stands where a buffer of no bytes has to be: as offsets it is the one 0 that empty columns need. */
static const int64_t empty[2];

static void base_unref(struct export_base *base)
{
	/* release: what was read of the memory was read; acquire: the last one sees all of that */
	if (atomic_fetch_sub_explicit(&base->n_refs, 1, memory_order_acq_rel) != 1)
		return;
	sea_arrow_batch_free(base->batch);
	sea_arrow_reader_free(base->reader);
	if (base->release)
		base->release(base->userdata);
	free(base);
}

static void array_release(struct ArrowArray *array)
{
	struct export_array *own = array->private_data;

	for (int64_t i = 0; own->children && i < array->n_children; i++)
		if (own->children[i].release)
			own->children[i].release(&own->children[i]);
	if (own->dictionary.release)
		own->dictionary.release(&own->dictionary);
	free(own->children);
	free((void *)own->pointers);
	free(own->sizes);
	free((void *)own->buffers);
	base_unref(own->base);
	free(own);
	array->release = NULL;
}

static const void *buffer_or_empty(const void *buffer)
{
	return buffer ? buffer : empty;
}

/* The buffers of a column, in the order of the interface. */
static int buffers_export(const struct sea_arrow_column *column, const struct seai_node *node, struct export_array *own,
                          struct ArrowArray *out)
{
	size_t n = 0, n_variadic = node->has_variadic ? column->n_variadic : 0;

	own->buffers = (const void **)calloc(N_BUFFERS_MAX + 1 + n_variadic, sizeof(const void *));
	if (!own->buffers)
		return -ENOMEM;
	if (node->has_validity)
		own->buffers[n++] = column->validity;
	else if (column->validity)
		/* A union of version 4 that has nulls of its own. */
		return -ENOTSUP;
	if (node->data_comes_first)
		own->buffers[n++] = buffer_or_empty(column->data);
	if (node->offset_width)
		own->buffers[n++] = buffer_or_empty(column->offsets);
	if (node->has_sizes)
		own->buffers[n++] = buffer_or_empty(column->sizes);
	if (node->has_data && !node->data_comes_first)
		own->buffers[n++] = buffer_or_empty(column->data);
	if (node->has_variadic) {
		own->sizes = calloc(n_variadic + 1, sizeof(*own->sizes));
		if (!own->sizes)
			return -ENOMEM;
		for (size_t i = 0; i < n_variadic; i++) {
			own->buffers[n++] = buffer_or_empty(column->variadic[i].data);
			own->sizes[i] = (int64_t)column->variadic[i].n_bytes;
		}
		own->buffers[n++] = own->sizes;
	}
	out->buffers = own->buffers;
	out->n_buffers = (int64_t)n;
	return 0;
}

static int column_export(const struct sea_arrow_column *column, struct export_base *base, struct ArrowArray *out);

static int children_export(const struct sea_arrow_column *columns, size_t n_columns, struct export_array *own,
                           struct ArrowArray *out)
{
	int r = 0;

	if (n_columns == 0)
		return 0;
	own->children = calloc(n_columns, sizeof(*own->children));
	own->pointers = (struct ArrowArray **)calloc(n_columns, sizeof(struct ArrowArray *));
	if (!own->children || !own->pointers)
		return -ENOMEM;
	out->children = own->pointers;
	out->n_children = (int64_t)n_columns;
	for (size_t i = 0; i < n_columns; i++)
		own->pointers[i] = &own->children[i];
	for (size_t i = 0; i < n_columns && r == 0; i++)
		r = column_export(&columns[i], own->base, &own->children[i]);
	return r;
}

/* An array without anything in it, that holds the base. */
static int array_begin(struct ArrowArray *out, struct export_base *base, struct export_array **ret_own)
{
	struct export_array *own = calloc(1, sizeof(*own));

	if (!own)
		return -ENOMEM;
	own->base = base;
	/* relaxed: who hands it on orders that */
	atomic_fetch_add_explicit(&base->n_refs, 1, memory_order_relaxed);
	*out = (struct ArrowArray){ .private_data = own, .release = array_release };
	*ret_own = own;
	return 0;
}

static int column_fill(const struct sea_arrow_column *column, struct export_array *own, struct ArrowArray *out)
{
	struct seai_tree tree;
	int r = seai_tree_init(&tree, column->field, 1);

	if (r == 0)
		r = buffers_export(column, &tree.nodes[0], own, out);
	seai_tree_fini(&tree);
	if (r == 0)
		r = children_export(column->children, column->n_children, own, out);
	if (r < 0 || !column->field->index_bits)
		return r;
	out->dictionary = &own->dictionary;
	if (column->dictionary)
		return column_export(column->dictionary, own->base, &own->dictionary);
	return -ENODATA;
}

static int column_export(const struct sea_arrow_column *column, struct export_base *base, struct ArrowArray *out)
{
	struct export_array *own;
	int r;

	/* The interface has one array for a dictionary. */
	if (column->previous)
		return -ENOTSUP;
	r = array_begin(out, base, &own);
	if (r < 0)
		return r;
	out->length = column->n_rows;
	/* Run ends and unions have no nulls of their own. */
	out->null_count = column->validity || column->field->type.id == SEA_ARROW_NULL ? column->n_nulls : 0;
	out->offset = column->offset;
	r = column_fill(column, own, out);
	if (r < 0)
		array_release(out);
	return r;
}

/* A batch as a struct, which has a bitmap of nulls that it does not need. */
static int batch_export(const struct sea_arrow_batch *batch, struct export_base *base, struct ArrowArray *ret_array,
                        struct sea_error *error)
{
	struct ArrowArray out = { .release = NULL };
	struct export_array *own;
	int r = sea_arrow_batch_check(batch, error);

	if (r < 0)
		return r;
	r = array_begin(&out, base, &own);
	if (r < 0)
		return SEAI_FAIL(error, r, "", "no memory");
	out.length = batch->n_rows;
	out.n_buffers = 1;
	own->buffers = (const void **)calloc(1, sizeof(const void *));
	out.buffers = own->buffers;
	r = own->buffers ? children_export(batch->columns, batch->n_columns, own, &out) : -ENOMEM;
	if (r < 0) {
		array_release(&out);
		if (r == -ENODATA)
			return SEAI_FAIL(error, -EBADMSG, "", "the dictionary of a column has not come");
		return SEAI_FAIL(error, r, "",
		                 r == -ENOTSUP ? "a dictionary in several pieces, or an old union with nulls"
		                               : "no memory");
	}
	*ret_array = out;
	return 0;
}

/* One reference for the caller. NULL: no memory, and who waits was told. */
static struct export_base *base_new(sea_arrow_release_fn release, void *userdata)
{
	struct export_base *base = calloc(1, sizeof(*base));

	if (!base) {
		if (release)
			release(userdata);
		return NULL;
	}
	atomic_init(&base->n_refs, 1);
	base->release = release;
	base->userdata = userdata;
	return base;
}

int sea_arrow_export_batch(const struct sea_arrow_batch *batch, struct ArrowArray *ret_array,
                           sea_arrow_release_fn release, void *userdata, struct sea_error *error)
{
	struct export_base *base = base_new(release, userdata);
	int r;

	if (!base)
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	/* Its memory goes with the batch, whatever our consumer does. */
	if (batch->is_foreign)
		r = SEAI_FAIL(error, -ENOTSUP, "", "the batch is foreign: it is exported where it comes from");
	else
		r = batch_export(batch, base, ret_array, error);
	base_unref(base);
	return r;
}

/* Errors are positive in this interface; their text is asked for separately. */
static int stream_failed(struct export_base *base, int r)
{
	base->error.code = r;
	sea_error_line(&base->error, base->line, sizeof(base->line));
	return -r;
}

static int stream_get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
	struct export_base *base = stream->private_data;
	int r = sea_arrow_export_schema(sea_arrow_reader_schema(base->reader), out, &base->error);

	return r < 0 ? stream_failed(base, r) : 0;
}

static int stream_get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
	struct export_base *base = stream->private_data;
	int r = sea_arrow_reader_next(base->reader, base->batch, &base->error);

	if (r == 0) {
		*out = (struct ArrowArray){ .release = NULL };
		return 0;
	}
	if (r > 0)
		r = batch_export(base->batch, base, out, &base->error);
	return r < 0 ? stream_failed(base, r) : 0;
}

static const char *stream_get_last_error(struct ArrowArrayStream *stream)
{
	const struct export_base *base = stream->private_data;

	return base->error.code ? base->line : NULL;
}

static void stream_release(struct ArrowArrayStream *stream)
{
	base_unref(stream->private_data);
	stream->release = NULL;
}

int sea_arrow_export_stream(struct sea_arrow_reader **reader, struct ArrowArrayStream *ret_stream,
                            sea_arrow_release_fn release, void *userdata, struct sea_error *error)
{
	struct export_base *base = base_new(release, userdata);

	if (!base) {
		*reader = sea_arrow_reader_free(*reader);
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	}
	base->reader = SEAI_TAKE(*reader);
	if (base->reader->is_foreign) {
		base_unref(base);
		return SEAI_FAIL(error, -ENOTSUP, "", "the stream is foreign: it is exported where it comes from");
	}
	if (sea_arrow_batch_new(&base->batch, base->reader) < 0) {
		base_unref(base);
		return SEAI_FAIL(error, -ENOMEM, "", "no memory");
	}
	*ret_stream = (struct ArrowArrayStream){
		.get_schema = stream_get_schema,
		.get_next = stream_get_next,
		.get_last_error = stream_get_last_error,
		.release = stream_release,
		.private_data = base,
	};
	return 0;
}
