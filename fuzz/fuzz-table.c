/* SPDX-License-Identifier: Apache-2.0 */
/* The part table of a message of another process: every part that is found lies in its arena. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "memory/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	const struct seai_block_name *names;
	const struct seai_table_part *parts;
	struct sea_message message = { .kind = SEAI_MESSAGE_TABLE };
	uint64_t where = fuzz_take_u64(&input), table_n_bytes = fuzz_take_u64(&input);
	uint32_t n_parts = (uint32_t)fuzz_take_u64(&input), n_blocks;
	uint64_t arena_n_bytes;
	uint8_t *arena;

	/* Mostly where something can be found. */
	if (where >> 63) {
		where &= 0x3c0;
		table_n_bytes &= 0xfff;
		n_parts &= 0xff;
	}
	arena_n_bytes = input.n_bytes;
	arena = aligned_alloc(64, (arena_n_bytes + 127) & ~UINT64_C(63));
	FUZZ_CHECK(arena);
	/* What lies behind it must not be looked at: it is not there for AddressSanitizer either. */
	arena = realloc(arena, arena_n_bytes ? arena_n_bytes : 1);
	FUZZ_CHECK(arena);
	if ((uintptr_t)arena % 16) {
		free(arena);
		return 0;
	}
	fuzz_take(&input, arena, arena_n_bytes);
	if (seai_table_open(arena, arena_n_bytes, where, table_n_bytes, n_parts, &names, &n_blocks, &parts)) {
		struct seai_ref *refs = calloc(n_blocks, sizeof(*refs));

		FUZZ_CHECK(refs);
		for (uint32_t i = 0; i < n_blocks; i++) {
			struct seai_block_name name;

			memcpy(&name, &names[i], sizeof(name));
			refs[i].base = arena;
			refs[i].n_bytes = i % 2 ? arena_n_bytes / 2 : arena_n_bytes;
		}
		message.refs = refs;
		message.n_blocks = n_blocks;
		message.n_parts = n_parts;
		message.offset = where;
		message.n_bytes = table_n_bytes;
		for (size_t i = 0; i < n_parts; i++) {
			struct sea_part part;

			if (sea_message_get_part(&message, i, &part) == 0 && part.n_bytes) {
				const uint8_t *bytes = part.data;

				FUZZ_CHECK(bytes >= arena && bytes + part.n_bytes <= arena + arena_n_bytes);
			}
		}
		(void)sea_message_n_bytes(&message);
		(void)sea_message_data(&message);
		free(refs);
	}
	free(arena);
	return 0;
}
