/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all contenders have in common: the loop that writes, the loop that
 * reads, and the mixes of part sizes.
 *
 * The odd rule: fill and read are one function each and never inlined, so that no contender
 * gets a better loop than another.
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A byte from a sequence number, the same at both ends; never 0, which is what untouched memory holds. */
static unsigned char fill_byte(uint64_t sequence)
{
	return (unsigned char)(1 + sequence % 251);
}

__attribute__((noinline)) void bench_fill(void *data, size_t n_bytes, uint64_t sequence)
{
	memset(data, fill_byte(sequence), n_bytes);
	if (n_bytes >= sizeof sequence)
		memcpy(data, &sequence, sizeof sequence);
}

__attribute__((noinline)) void bench_read(const void *data, size_t n_bytes, uint64_t sequence)
{
	const unsigned char *bytes = data;
	const uint64_t pattern = UINT64_C(0x0101010101010101) * fill_byte(sequence);
	const size_t n_words = n_bytes / 8;
	uint64_t sums[8] = { 0 };
	uint64_t expected;
	size_t i = 0;

	for (; i + 8 <= n_words; i += 8) {
		uint64_t words[8];

		memcpy(words, bytes + 8 * i, sizeof words);
		for (int k = 0; k < 8; k++)
			sums[k] += words[k];
	}
	for (; i < n_words; i++) {
		uint64_t word;

		memcpy(&word, bytes + 8 * i, sizeof word);
		sums[0] += word;
	}
	for (size_t k = 8 * n_words; k < n_bytes; k++)
		sums[1] += (uint64_t)bytes[k] - fill_byte(sequence);
	expected = n_words > 0 ? pattern * (n_words - 1) + sequence : 0;
	for (int k = 1; k < 8; k++)
		sums[0] += sums[k];
	bench_check(sums[0] == expected, "message %llu: a part of %zu bytes is not what was written",
	            (unsigned long long)sequence, n_bytes);
}

/* xorshift64*: the same parts on every machine and in every run. */
static double random_uniform(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (double)((*state * UINT64_C(2685821657736338717)) >> 11) * 0x1p-53;
}

static void mix_finish(struct bench_mix *mix, const size_t *sizes)
{
	mix->sizes = sizes;
	mix->n_bytes = 0;
	mix->n_bytes_max = 0;
	for (size_t v = 0; v < mix->n_variants; v++) {
		uint64_t aligned = 0;

		for (size_t i = 0; i < mix->n_parts; i++) {
			mix->n_bytes += sizes[v * mix->n_parts + i];
			aligned += (sizes[v * mix->n_parts + i] + 63) & ~(uint64_t)63;
		}
		if (aligned > mix->n_bytes_max)
			mix->n_bytes_max = aligned;
	}
	mix->n_bytes /= mix->n_variants;
	if (mix->n_bytes_max < 64)
		mix->n_bytes_max = 64;
}

static size_t *sizes_new(size_t n)
{
	size_t *sizes = calloc(n, sizeof *sizes);

	bench_check(sizes != NULL, "no memory for %zu part sizes", n);
	return sizes;
}

/* 50 x 4 KiB + 30 x 64 KiB + 15 x 256 KiB + 5 x 1 MiB. */
static void mix_ktf_s(struct bench_mix *mix)
{
	size_t *sizes = sizes_new(100);

	mix->n_parts = 100;
	for (size_t i = 0; i < 100; i++)
		sizes[i] = i < 50 ? 4096 : i < 80 ? 65536 : i < 95 ? 262144 : 1048576;
	mix_finish(mix, sizes);
}

/* 5 x 16 MiB. */
static void mix_ktf_l(struct bench_mix *mix)
{
	size_t *sizes = sizes_new(5);

	mix->n_parts = 5;
	for (size_t i = 0; i < 5; i++)
		sizes[i] = 16u << 20;
	mix_finish(mix, sizes);
}

/* 23 040 parts, lognormal with a mean of 70 kB (sigma 1), and 10 000 parts of 0.2 to 8 kB; a tenth of these sizes without --full. */
static void mix_pbpb32(struct bench_mix *mix)
{
	const double scale = bench_config.full ? 1.0 : 0.1;
	uint64_t state = 88172645463325252u;
	size_t *sizes = sizes_new(33040);

	mix->n_parts = 33040;
	for (size_t i = 0; i < 33040; i++) {
		double size = 200 + 7800 * random_uniform(&state);

		if (i < 23040) {
			double normal = sqrt(-2 * log(1 - random_uniform(&state))) *
			                cos(2 * M_PI * random_uniform(&state));

			size = exp(log(70e3) - 0.5 + normal);
		}
		sizes[i] = (size_t)(size * scale) + 1;
	}
	mix_finish(mix, sizes);
}

/* One part of 0, 1, 64 and 4096 bytes in turn. */
static void mix_tiny(struct bench_mix *mix)
{
	size_t *sizes = sizes_new(4);

	sizes[1] = 1;
	sizes[2] = 64;
	sizes[3] = 4096;
	mix->n_parts = 1;
	mix_finish(mix, sizes);
}

const struct bench_mix *bench_mix_find(const char *name)
{
	static struct bench_mix mixes[] = {
		{ .name = "ktf-s", .n_variants = 1 },
		{ .name = "ktf-l", .n_variants = 1 },
		{ .name = "pbpb32", .n_variants = 1 },
		{ .name = "tiny", .n_variants = 4 },
	};
	static void (*const makers[])(struct bench_mix *) = { mix_ktf_s, mix_ktf_l, mix_pbpb32, mix_tiny };

	for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++) {
		if (strcmp(mixes[i].name, name) != 0)
			continue;
		if (mixes[i].sizes == NULL)
			makers[i](&mixes[i]);
		return &mixes[i];
	}
	return NULL;
}

const struct bench_mix *bench_mix_single(size_t n_bytes)
{
	static size_t sizes[64];
	static struct bench_mix mixes[64];
	static size_t n;

	for (size_t i = 0; i < n; i++)
		if (sizes[i] == n_bytes)
			return &mixes[i];
	bench_check(n < 64, "more than 64 sizes of single messages");
	sizes[n] = n_bytes;
	mixes[n] = (struct bench_mix){ .name = "single", .n_parts = 1, .n_variants = 1 };
	mix_finish(&mixes[n], &sizes[n]);
	return &mixes[n++];
}
