/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: a million metas, one after the other or in random order, in one arena or in a hundred, found by a second session
 * that never received anything; and the first of an arena that was never seen.
 *
 * The odd rule: the limit reads the same words, eight of the meta and one beside it per block, and does nothing with them but
 * add: from memory, both are mostly waits for cache lines.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RESOLVE_N_METAS 1000000u
#define RESOLVE_N_ARENAS 100u
#define RESOLVE_N_BYTES 64u
#define RESOLVE_TIMEOUT_NS (20 * INT64_C(1000000000))
#define RESOLVE_N_FIRST 50u

enum resolve_variant { RESOLVE_ONE, RESOLVE_MANY, RESOLVE_RANDOM, RESOLVE_ONE_RANDOM, RESOLVE_FIRST };

struct resolve {
	struct sea_session *owner, *reader;
	struct sea_message **messages;
	struct sea_meta *metas;
	struct sea_resolved *resolved;
	uint64_t *words; /* the limit's: where a generation would be */
	uint32_t *at;    /* which of them */
	size_t n_metas;
};

static uint64_t resolve_random(uint64_t *state)
{
	/* xorshift64 */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static struct sea_session *resolve_session(void)
{
	const struct sea_session_options options = { .runtime_dir = bench_config.directory };
	struct sea_session *session;
	const int r = sea_session_open(&session, &options);

	bench_check(r == 0, "sea_session_open: %s", sea_error_text(r));
	return session;
}

/* n_metas small messages in n_heaps heaps of one arena each. */
static void resolve_fill(struct resolve *resolve, size_t n_heaps)
{
	const size_t n_per_heap = resolve->n_metas / n_heaps;
	const uint64_t n_bytes = n_heaps == 1 ? 256u << 20 : 2u << 20;
	const struct sea_heap_options options = { .quota_n_bytes = 2 * n_bytes + (64u << 20),
		                                  .arena_n_bytes = n_bytes };

	for (size_t i = 0; i < n_heaps; i++) {
		struct sea_heap *heap;
		int r = sea_heap_new(&heap, resolve->owner, &options);

		bench_check(r == 0, "sea_heap_new: %s", sea_error_text(r));
		for (size_t j = 0; j < n_per_heap; j++) {
			struct sea_message **message = &resolve->messages[i * n_per_heap + j];

			r = sea_message_new(message, heap, RESOLVE_N_BYTES, 0, 0);
			bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
			r = sea_message_meta(*message, 0, 0, &resolve->metas[i * n_per_heap + j]);
			bench_check(r == 0, "sea_message_meta: %s", sea_error_text(r));
		}
	}
}

static void resolve_shuffle(struct resolve *resolve)
{
	uint64_t state = 88172645463325252u;

	for (size_t i = resolve->n_metas - 1; i > 0; i--) {
		const size_t j = (size_t)(resolve_random(&state) % (i + 1));
		const struct sea_meta meta = resolve->metas[i];
		const uint32_t at = resolve->at[i];

		resolve->metas[i] = resolve->metas[j];
		resolve->metas[j] = meta;
		resolve->at[i] = resolve->at[j];
		resolve->at[j] = at;
	}
}

static int resolve_open(struct bench_job *job, int side)
{
	struct resolve *resolve = calloc(1, sizeof *resolve);

	(void)side;
	bench_check(resolve != NULL, "no memory");
	job->state = resolve;
	resolve->owner = resolve_session();
	resolve->reader = resolve_session();
	if (job->variant == RESOLVE_FIRST)
		return 0;
	resolve->n_metas = job->n_fixed;
	resolve->messages = calloc(resolve->n_metas, sizeof(struct sea_message *));
	resolve->metas = aligned_alloc(64, resolve->n_metas * sizeof *resolve->metas);
	resolve->resolved = calloc(resolve->n_metas, sizeof *resolve->resolved);
	resolve->words = calloc(resolve->n_metas, sizeof *resolve->words);
	resolve->at = calloc(resolve->n_metas, sizeof *resolve->at);
	bench_check(resolve->messages && resolve->metas && resolve->resolved && resolve->words && resolve->at,
	            "no memory");
	for (size_t i = 0; i < resolve->n_metas; i++)
		resolve->words[i] = resolve->at[i] = (uint32_t)i;
	resolve_fill(resolve, job->variant == RESOLVE_ONE || job->variant == RESOLVE_ONE_RANDOM ? 1 : RESOLVE_N_ARENAS);
	if (job->variant == RESOLVE_RANDOM || job->variant == RESOLVE_ONE_RANDOM)
		resolve_shuffle(resolve);
	return 0;
}

static void resolve_close(struct bench_job *job, int side)
{
	struct resolve *resolve = job->state;

	(void)side;
	if (resolve == NULL)
		return;
	sea_message_unref_many(resolve->messages, resolve->messages ? resolve->n_metas : 0);
	sea_session_close(resolve->reader);
	sea_session_close(resolve->owner);
	free(resolve->messages);
	free(resolve->metas);
	free(resolve->resolved);
	free(resolve->words);
	free(resolve->at);
	free(resolve);
}

static void turn_bare(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	static uint64_t _Atomic shown;
	const struct resolve *resolve = job->state;
	uint64_t sum = 0;

	(void)side;
	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t words[8];

		memcpy(words, &resolve->metas[i], sizeof words);
		for (size_t j = 0; j < 8; j++)
			sum += words[j];
		sum += resolve->words[resolve->at[i]];
		resolve->resolved[i].data = &resolve->words[i];
		resolve->resolved[i].n_bytes = sum;
	}
	atomic_store_explicit(&shown, sum, memory_order_relaxed);
}

static void turn_resolve(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct resolve *resolve = job->state;
	int r;

	(void)side;
	(void)turn;
	r = sea_meta_resolve_many(resolve->reader, resolve->metas, n, RESOLVE_TIMEOUT_NS, resolve->resolved);
	bench_check(r == (int)n, "sea_meta_resolve_many: %s", sea_error_text(r));
}

static void turn_resolve_single(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct resolve *resolve = job->state;

	(void)side;
	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		const int r = sea_meta_resolve(resolve->reader, &resolve->metas[i], RESOLVE_TIMEOUT_NS,
		                               &resolve->resolved[i]);

		bench_check(r == 0, "sea_meta_resolve: %s", sea_error_text(r));
	}
}

/* The reader has seen nothing of that arena; every other time not even of its owner. */
static void turn_first(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct resolve *resolve = job->state;
	const struct sea_frame_options options = { .n_bytes_max = { 4096 }, .flags = SEA_FRAME_IMMUTABLE };
	double *samples = bench_samples(job, n);

	(void)side;
	(void)turn;
	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message;
		struct sea_resolved resolved;
		struct sea_frame *frame;
		struct sea_meta meta;
		int64_t start;
		void *data;
		int r = sea_frame_new(&frame, sea_session_heap(resolve->owner), &options, 0);

		bench_check(r == 0, "sea_frame_new: %s", sea_error_text(r));
		r = sea_frame_add(frame, 4096, 0, &data);
		bench_check(r >= 0, "sea_frame_add: %s", sea_error_text(r));
		memset(data, 1, 4096);
		r = sea_frame_seal(&frame, &message);
		bench_check(r == 0, "sea_frame_seal: %s", sea_error_text(r));
		r = sea_message_meta(message, 0, 0, &meta);
		bench_check(r == 0, "sea_message_meta: %s", sea_error_text(r));
		if (i % 2) {
			sea_session_close(resolve->reader);
			resolve->reader = resolve_session();
		}
		start = bench_now();
		r = sea_meta_resolve(resolve->reader, &meta, RESOLVE_TIMEOUT_NS, &resolved);
		samples[job->n_sampled++] = (double)(bench_now() - start);
		bench_check(r == 0, "sea_meta_resolve: %s", sea_error_text(r));
		sea_message_unref(message);
	}
}

static const struct bench_road road_resolve = { .name = "sealane", .open = resolve_open, .close = resolve_close };

static double value_ns(const struct bench_job *job, const struct bench_turn *sides)
{
	(void)job;
	return (double)(sides[0].end_ns - sides[0].start_ns) / (double)sides[0].n;
}

static double value_us(const struct bench_job *job, const struct bench_turn *sides)
{
	return bench_value_p50(job, sides) / 1000;
}

static int resolve_case(const char *name, enum resolve_variant variant, bool is_single, double value_at_most)
{
	struct bench_job *jobs[2];
	struct bench_row row;
	size_t n_jobs = variant == RESOLVE_FIRST ? 1 : 2;
	int r;

	if (!bench_wanted(name))
		return 0;
	jobs[0] = bench_job_new("sealane", BENCH_OURS, &road_resolve,
	                        variant == RESOLVE_FIRST ? turn_first
	                        : is_single              ? turn_resolve_single
	                                                 : turn_resolve);
	jobs[1] = bench_job_new("bare loads", BENCH_LIMIT, &road_resolve, turn_bare);
	for (size_t i = 0; i < 2; i++) {
		jobs[i]->variant = variant;
		jobs[i]->n_sides = 1;
		jobs[i]->n_fixed = variant == RESOLVE_FIRST ? RESOLVE_N_FIRST : RESOLVE_N_METAS;
	}
	r = bench_run(jobs, n_jobs);
	if (r == 0) {
		bench_row_init(&row, "resolve", name, variant == RESOLVE_FIRST ? "us" : "ns",
		               variant == RESOLVE_FIRST ? value_us : value_ns, jobs, n_jobs);
		row.value_at_most = value_at_most;
		if (row.ours != NULL)
			bench_row_print(&row);
	}
	bench_job_free(jobs[0]);
	bench_job_free(jobs[1]);
	return r;
}

int bench_resolve(void)
{
	bench_print_header("resolve", "from a meta to its bytes, a million of them");
	if (resolve_case("one-arena", RESOLVE_ONE, false, 4) != 0 ||
	    resolve_case("one-arena-single-calls", RESOLVE_ONE, true, 0) != 0 ||
	    resolve_case("one-arena-random", RESOLVE_ONE_RANDOM, false, 0) != 0 ||
	    resolve_case("100-arenas", RESOLVE_MANY, false, 4) != 0 ||
	    resolve_case("100-arenas-random", RESOLVE_RANDOM, false, 10) != 0)
		return -1;
	return resolve_case("first-of-an-arena", RESOLVE_FIRST, false, 200);
}
