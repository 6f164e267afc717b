/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metas inside: how they are made and checked. Nothing here looks at the memory that a meta names; the
 * wire layer finds that.
 */
#ifndef SEALANE_MEMORY_META_H
#define SEALANE_MEMORY_META_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sealane/meta.h>

static_assert(sizeof(struct sea_meta) == SEA_META_N_BYTES, "layout");
static_assert(offsetof(struct sea_meta, magic) == 0, "layout");
static_assert(offsetof(struct sea_meta, version) == 4, "layout");
static_assert(offsetof(struct sea_meta, kind) == 5, "layout");
static_assert(offsetof(struct sea_meta, reserved) == 6, "layout");
static_assert(offsetof(struct sea_meta, owner_id) == 8, "layout");
static_assert(offsetof(struct sea_meta, arena_id) == 16, "layout");
static_assert(offsetof(struct sea_meta, block_id) == 20, "layout");
static_assert(offsetof(struct sea_meta, generation) == 24, "layout");
static_assert(offsetof(struct sea_meta, offset) == 32, "layout");
static_assert(offsetof(struct sea_meta, n_bytes) == 40, "layout");
static_assert(offsetof(struct sea_meta, hint) == 48, "layout");
static_assert(offsetof(struct sea_meta, session) == 56, "layout");
static_assert(offsetof(struct sea_meta, checksum) == 60, "layout");

/*
 * Checksum of a meta. Each word is multiplied by an odd constant of its own, which loses nothing of it, and the sum is mixed: any
 * change of one word changes the sum. The multiplications do not wait for each other. It finds damage; it keeps no liar out. The constants
 * are digits of the golden ratio and of square roots of primes, made odd.
 */
static inline uint32_t seai_meta_checksum(const struct sea_meta *meta)
{
	uint64_t words[8], sum;

	memcpy(words, meta, sizeof(words));
	/* The checksum's own half of the last word counts as 0. */
	words[7] = meta->session;
	sum = (words[0] + UINT64_C(0x6a09e667f3bcc908)) * UINT64_C(0x9e3779b97f4a7c15) +
	      (words[1] + UINT64_C(0xbb67ae8584caa73b)) * UINT64_C(0xc2b2ae3d27d4eb4f) +
	      (words[2] + UINT64_C(0x3c6ef372fe94f82b)) * UINT64_C(0x165667b19e3779f9) +
	      (words[3] + UINT64_C(0xa54ff53a5f1d36f1)) * UINT64_C(0xd6e8feb86659fd93) +
	      (words[4] + UINT64_C(0x510e527fade682d1)) * UINT64_C(0xff51afd7ed558ccd) +
	      (words[5] + UINT64_C(0x9b05688c2b3e6c1f)) * UINT64_C(0xc4ceb9fe1a85ec53) +
	      (words[6] + UINT64_C(0x1f83d9abfb41bd6b)) * UINT64_C(0x94d049bb133111eb) +
	      (words[7] + UINT64_C(0x5be0cd19137e2179)) * UINT64_C(0xbf58476d1ce4e5b9);
	sum ^= sum >> 32;
	sum *= UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(sum >> 32);
}

/* Form, checksum, and session. 0; -EBADMSG; -EREMOTE. */
int seai_meta_check_form(const struct sea_meta *meta, uint32_t session);

/* Hash of a session's name and this host. */
uint32_t seai_meta_session(uint64_t name_hash);

#endif
