/* SPDX-License-Identifier: Apache-2.0 */
/* Metas of whatever bytes: an error, or bytes within the arena that they name; also where somebody took care of the checksum. */
#include <string.h>

#include <sealane/sealane.h>

#include "fuzz.h"
#include "memory/meta.h"

static struct sea_session *owner, *reader;
static struct sea_message *messages[4];
static struct sea_meta good[4];

static void fuzz_open(void)
{
	const struct sea_session_options options = { .name = "fuzz-meta", .quota_n_bytes = 64 << 20 };

	FUZZ_CHECK(sea_session_open(&owner, &options) == 0);
	FUZZ_CHECK(sea_session_open(&reader, &options) == 0);
	for (unsigned i = 0; i < 4; i++) {
		FUZZ_CHECK(sea_message_new(&messages[i], sea_session_heap(owner), 100 + 5000 * i, 0, 0) == 0);
		memset(sea_message_write(messages[i]), 1, 100 + 5000 * i);
		FUZZ_CHECK(sea_message_meta(messages[i], 0, i, &good[i]) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	struct sea_resolved resolved;
	struct sea_message *held;
	struct sea_meta meta;
	uint64_t how;

	if (!owner)
		fuzz_open();
	how = fuzz_take_u64(&input);
	meta = good[how % 4];
	for (unsigned i = 0; i < sizeof(meta) && input.n_bytes; i++)
		if (how >> (8 + i % 48) & 1)
			fuzz_take(&input, (uint8_t *)&meta + i, 1);
	if (how & 64)
		meta.owner_id = good[0].owner_id; /* others would be looked for among the processes of this machine */
	if (how & 128)
		meta.checksum = seai_meta_checksum(&meta);
	for (unsigned i = 0; i < 2; i++) {
		struct sea_session *session = i ? owner : reader;
		int r = sea_meta_resolve(session, &meta, meta.owner_id == good[0].owner_id ? -1 : 0, &resolved);

		FUZZ_CHECK(r <= 0);
		if (r == 0 && resolved.n_bytes) {
			volatile uint8_t sum = ((const uint8_t *)resolved.data)[0];

			sum = ((const uint8_t *)resolved.data)[resolved.n_bytes - 1];
			(void)sum;
		}
		(void)sea_meta_check(session, &meta);
	}
	if (meta.owner_id == good[0].owner_id && sea_meta_hold(reader, &meta, -1, &held) == 0)
		sea_message_unref(held);
	return 0;
}
