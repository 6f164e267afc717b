/* SPDX-License-Identifier: Apache-2.0 */
/* Objects; see client-object.h. */
#include "ccdb/client-object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct sea_ccdb_object *sea_ccdb_object_ref(struct sea_ccdb_object *object)
{
	/* relaxed: who has a reference already may give another */
	atomic_fetch_add_explicit(&seai_object(object)->n_refs, 1, memory_order_relaxed);
	return object;
}

struct sea_ccdb_object *sea_ccdb_object_unref(struct sea_ccdb_object *object)
{
	struct seai_object *whole = object ? seai_object(object) : NULL;

	/* acq_rel: what others read of it comes before it is freed */
	if (!whole || atomic_fetch_sub_explicit(&whole->n_refs, 1, memory_order_acq_rel) > 1)
		return NULL;
	free(whole->owned);
	free(whole->pool);
	free(whole);
	return NULL;
}

const char *sea_ccdb_object_header(const struct sea_ccdb_object *object, const char *name)
{
	for (size_t i = 0; i < object->n_headers; i++)
		if (strcasecmp(object->headers[i].key, name) == 0)
			return object->headers[i].value;
	return NULL;
}

/* Copies a string into the pool. */
static const char *pool_add(char **at, const char *text)
{
	size_t n_bytes = strlen(text) + 1;
	char *copy = *at;

	memcpy(copy, text, n_bytes);
	*at += n_bytes;
	return copy;
}

/* Fills the strings of an object from those of a source. */
static int object_fill(struct seai_object *object, const struct sea_ccdb_object *source)
{
	size_t n_list = source->n_headers * sizeof(struct sea_ccdb_pair);
	size_t n_bytes = n_list + strlen(source->path) + strlen(source->request_url) + strlen(source->content_url) + 3;
	struct sea_ccdb_pair *list;
	char *at;

	for (size_t i = 0; i < source->n_headers; i++)
		n_bytes += strlen(source->headers[i].key) + strlen(source->headers[i].value) + 2;
	object->pool = malloc(n_bytes);
	if (!object->pool)
		return -ENOMEM;
	list = (struct sea_ccdb_pair *)(void *)object->pool;
	at = object->pool + n_list;
	for (size_t i = 0; i < source->n_headers; i++) {
		list[i].key = pool_add(&at, source->headers[i].key);
		list[i].value = pool_add(&at, source->headers[i].value);
	}
	object->shown.version = source->version;
	object->shown.headers = list;
	object->shown.n_headers = source->n_headers;
	object->shown.path = pool_add(&at, source->path);
	object->shown.request_url = pool_add(&at, source->request_url);
	object->shown.content_url = pool_add(&at, source->content_url);
	return 0;
}

static int object_new(struct seai_object **ret_object, const struct sea_ccdb_object *source)
{
	SEAI_AUTO_OBJECT struct seai_object *object = calloc(1, sizeof(*object));

	if (!object)
		return -ENOMEM;
	atomic_init(&object->n_refs, 1);
	if (object_fill(object, source) < 0)
		return -ENOMEM;
	*ret_object = SEAI_TAKE(object);
	return 0;
}

int seai_object_new(struct seai_object **ret_object, const char *path, const struct seai_headers *headers,
                    const char *request_url, const char *content_url, const char **ret_name)
{
	struct sea_ccdb_object source = { .path = path,
		                          .headers = headers->list,
		                          .n_headers = headers->n,
		                          .request_url = request_url,
		                          .content_url = content_url };
	int result = seai_version_parse(headers, &source.version, ret_name);

	if (result < 0)
		return result;
	/* The promise is the answer's, not the object's: a later one may say otherwise. */
	source.version.guaranteed_until_ms = 0;
	return object_new(ret_object, &source);
}

void seai_object_own(struct seai_object *object, void *content, size_t n_bytes)
{
	object->owned = content;
	object->shown.content = n_bytes ? content : NULL;
	object->shown.n_bytes = n_bytes;
	object->has_content = true;
}

int seai_object_copy(struct seai_object **ret_object, const struct seai_object *object, const void *content)
{
	SEAI_AUTO_OBJECT struct seai_object *copy = NULL;
	void *bytes = NULL;

	if (object_new(&copy, &object->shown) < 0)
		return -ENOMEM;
	if (object->shown.n_bytes) {
		bytes = malloc(object->shown.n_bytes);
		if (!bytes)
			return -ENOMEM;
		memcpy(bytes, content, object->shown.n_bytes);
	}
	seai_object_own(copy, bytes, object->shown.n_bytes);
	*ret_object = SEAI_TAKE(copy);
	return 0;
}
