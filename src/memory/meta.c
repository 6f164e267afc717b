/* SPDX-License-Identifier: Apache-2.0 */
/* The making of metas; see meta.h. */
#include "memory/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "memory/arena.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "memory/session.h"

uint32_t seai_meta_session(uint64_t name_hash)
{
	/* One per boot of a host, and the same in its containers. */
	SEAI_AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[64] = "";
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : 0;

	/* Without /proc the name alone must do: identities are random, and nothing is found on the wrong host. FNV-1a. */
	for (ssize_t i = 0; i < n; i++)
		name_hash = (name_hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(name_hash ^ name_hash >> 32);
}

int sea_message_meta(struct sea_message *message, size_t index, uint64_t hint, struct sea_meta *ret_meta)
{
	struct sea_session *session = message->session;
	struct sea_meta meta = {
		.magic = SEA_META_MAGIC, .version = SEA_META_VERSION, .hint = hint, .session = session->meta_session
	};
	const struct seai_ref *ref;
	uint32_t block, flags;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	/* What lies in the object, or in this process's own memory, goes to shared memory. */
	r = index >= message->n_parts                                       ? -EINVAL
	    : message->kind == SEAI_MESSAGE_INLINE && message->n_bytes == 0 ? 0
	                                                                    : seai_message_to_block(message);
	if (r == 0)
		r = seai_message_find_part(message, index, &block, &meta.offset, &meta.n_bytes);
	if (r < 0)
		return r;
	if (meta.n_bytes) {
		ref = &message->refs[block];
		flags = ref->attached                  ? ref->attached->flags
		        : ref->block->arena->immutable ? SEAI_ARENA_IMMUTABLE
		        : ref->block->arena->shared    ? SEAI_ARENA_SHARED
		                                       : 0;
		meta.kind = flags & SEAI_ARENA_IMMUTABLE ? SEA_META_IMMUTABLE
		            : flags & SEAI_ARENA_SHARED  ? SEA_META_SHARED
		                                         : SEA_META_SEALED;
		meta.owner_id = ref->attached ? ref->attached->owner_id : session->id;
		meta.arena_id = ref->arena_id;
		meta.block_id = ref->block_id;
		meta.generation = ref->generation;
	} else {
		meta.kind = SEA_META_EMPTY;
		meta.offset = 0;
	}
	meta.checksum = seai_meta_checksum(&meta);
	*ret_meta = meta;
	return 0;
}
