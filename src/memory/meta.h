/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metas inside: how they are made and checked. Nothing here looks at the memory that a meta names; the
 * wire layer finds that.
 */
#ifndef SEALANE_MEMORY_META_H
#define SEALANE_MEMORY_META_H

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sealane/meta.h>

static_assert(sizeof(struct sea_meta) == SEA_META_N_BYTES, "layout");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are taken apart");
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

/* A meta as its eight words, loaded once: whoever wrote it may still be writing. */
struct seai_meta_words {
	uint64_t word[8];
};

static inline uint64_t seai_meta_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Checksum of a meta: four wide multiplications of two words each, none of which waits for another, folded and mixed. Any change of a
 * word changes its product. It finds damage; it keeps no liar out. The constants are those of SHA-512's start (square roots of primes).
 */
static inline uint32_t seai_meta_words_checksum(const struct seai_meta_words *words)
{
	const uint64_t *word = words->word;
	/* The checksum's own half of the last word counts as 0. */
	uint64_t sum = seai_meta_fold(word[0] ^ UINT64_C(0x6a09e667f3bcc908), word[1] ^ UINT64_C(0xbb67ae8584caa73b)) +
	               seai_meta_fold(word[2] ^ UINT64_C(0x3c6ef372fe94f82b), word[3] ^ UINT64_C(0xa54ff53a5f1d36f1)) +
	               seai_meta_fold(word[4] ^ UINT64_C(0x510e527fade682d1), word[5] ^ UINT64_C(0x9b05688c2b3e6c1f)) +
	               seai_meta_fold(word[6] ^ UINT64_C(0x1f83d9abfb41bd6b),
	                              (uint32_t)word[7] ^ UINT64_C(0x5be0cd19137e2179));

	sum *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(sum >> 32);
}

static inline uint32_t seai_meta_checksum(const struct sea_meta *meta)
{
	struct seai_meta_words words;

	memcpy(&words, meta, sizeof(words));
	return seai_meta_words_checksum(&words);
}

#define SEAI_META_WORD_0 ((uint64_t)SEA_META_VERSION << 32 | SEA_META_MAGIC)

static inline uint64_t seai_meta_words_kind(const struct seai_meta_words *words)
{
	return words->word[0] >> 40;
}

/* Form, checksum, and session. 0; -EBADMSG; -EREMOTE. */
static inline int seai_meta_words_check(const struct seai_meta_words *words, uint32_t session)
{
	/* The kind's byte and the two reserved ones stand highest: what is no kind is not a meta. */
	if ((words->word[0] & UINT64_C(0xffffffffff)) != SEAI_META_WORD_0 ||
	    seai_meta_words_kind(words) > SEA_META_IMMUTABLE ||
	    (uint32_t)(words->word[7] >> 32) != seai_meta_words_checksum(words))
		return -EBADMSG;
	return (uint32_t)words->word[7] == session ? 0 : -EREMOTE;
}

/* Hash of a session's name and this host. */
uint32_t seai_meta_session(uint64_t name_hash);

#endif
