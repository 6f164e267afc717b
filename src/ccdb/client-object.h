/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object as the client made it of an answer's headers and, later, its content. Counted; whoever has it may keep it in any thread.
 */
#ifndef SEALANE_CCDB_CLIENT_OBJECT_H
#define SEALANE_CCDB_CLIENT_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/client.h>

#include "base/cleanup.h"
#include "ccdb/client-header.h"

/* The public part comes first: a pointer to it is a pointer to all. */
struct seai_object {
	struct sea_ccdb_object shown;
	_Atomic uint32_t n_refs;
	bool has_content; /* here: shown.content, or it is empty */
	void *owned;      /* content that is freed with it; NULL: none */
	char *pool;       /* strings and the list of headers */
};

static inline struct seai_object *seai_object(struct sea_ccdb_object *object)
{
	return (struct seai_object *)(void *)object;
}

/* Copies everything. No content yet. 0; -ENOMEM; -EBADMSG as seai_version_parse(), with the header's name. */
int seai_object_new(struct seai_object **ret_object, const char *path, const struct seai_headers *headers,
                    const char *request_url, const char *content_url, const char **ret_name);

/* Content that the object frees. Only before others see it. */
void seai_object_own(struct seai_object *object, void *content, size_t n_bytes);

/* An object like this one that has content of its own, copied from where it is now. 0; -ENOMEM. */
int seai_object_copy(struct seai_object **ret_object, const struct seai_object *object, const void *content);

static inline void seai_cleanup_object(struct seai_object **object)
{
	if (*object)
		sea_ccdb_object_unref(&(*object)->shown);
}

#define SEAI_AUTO_OBJECT SEAI_CLEANUP(seai_cleanup_object)

#endif
