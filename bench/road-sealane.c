/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ours, through the public headers only, as a program would use them.
 *
 * The odd rule: every message carries its number in its tag, and the receiver ends the bench at the
 * first that is missing; where waiting is told apart from work, a call is first made without waiting.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_TIMEOUT_NS (20 * INT64_C(1000000000))
#define CALL_TIMEOUT_NS (60 * INT64_C(1000000000))
/* Round trips per sample where one takes little longer than reading the clock; as for the cache line. */
#define SPIN_PER_SAMPLE 16

struct bench_sealane *bench_sealane_new(struct bench_job *job, uint64_t n_bytes)
{
	struct bench_sealane *sealane = calloc(1, sizeof *sealane);
	struct sea_session_options session_options = { .runtime_dir = bench_config.directory };
	struct sea_heap_options heap_options = { .pages = job->pages };
	struct sea_heap_stats stats;
	int r;

	bench_check(sealane != NULL, "no memory");
	job->state = sealane;
	sea_shm_options_apply(&bench_config.shm, &session_options, &heap_options);
	r = sea_session_open(&sealane->session, &session_options);
	bench_check(r == 0, "sea_session_open: %s", sea_error_text(r));
	r = sea_heap_new(&sealane->heap, sealane->session, &heap_options);
	if (r == -ENOTSUP || (r == -ENOMEM && job->pages != SEA_PAGES_DEFAULT)) {
		bench_skip(job, "these pages are not to be had: %s", sea_error_text(r));
		return NULL;
	}
	bench_check(r == 0, "sea_heap_new: %s", sea_error_text(r));
	r = sea_heap_get_stats(sealane->heap, &stats);
	bench_check(r == 0, "sea_heap_get_stats: %s", sea_error_text(r));
	if (stats.quota_n_bytes < n_bytes) {
		bench_skip(job, "it needs %llu MiB, the quota is %llu MiB", (unsigned long long)(n_bytes >> 20),
		           (unsigned long long)(stats.quota_n_bytes >> 20));
		return NULL;
	}
	return sealane;
}

struct sea_channel *bench_sealane_channel(struct bench_job *job, struct bench_sealane *sealane,
                                          enum sea_pattern pattern, int32_t capacity, unsigned address, bool binds)
{
	/* The sending end brings the whole queue, so that both directions of a pair hold as much. */
	const struct sea_channel_options options = {
		.sndbuf = pattern == SEA_PULL ? -1 : capacity,
		.rcvbuf = -1,
		.spin_ns = job->spin_ns,
	};
	struct sea_channel *channel = NULL;
	char name[64];
	int r;

	snprintf(name, sizeof name, "bench-%u-%u", job->id, address);
	r = sea_channel_new(&channel, sealane->session, pattern, &options);
	bench_check(r == 0, "sea_channel_new: %s", sea_error_text(r));
	r = binds ? sea_channel_bind(channel, name) : sea_channel_connect(channel, name);
	bench_check(r == 0, "channel %s: %s", name, sea_error_text(r));
	return channel;
}

void bench_sealane_free(struct bench_sealane *sealane)
{
	if (sealane == NULL)
		return;
	sea_message_unref(sealane->held);
	sea_channel_close(sealane->channel);
	sea_channel_close(sealane->second);
	sea_session_close(sealane->session);
	free(sealane);
}

void bench_sealane_receive(struct bench_job *job, int side, uint64_t n)
{
	struct bench_sealane *sealane = job->state;

	for (uint64_t done = 0; done < n;) {
		const int r = sea_channel_receive_many(sealane->channel, sealane->messages,
		                                       n - done < 64 ? n - done : 64, CALL_TIMEOUT_NS);

		bench_check(r > 0, "sea_channel_receive_many: %s", sea_error_text(r));
		for (int i = 0; i < r; i++)
			bench_check(sea_message_get_tag(sealane->messages[i]) == job->sequence++,
			            "a message is missing or out of order");
		sea_message_unref_many(sealane->messages, (size_t)r);
		done += (uint64_t)r;
		atomic_store_explicit(&job->shared->done[side].n, job->sequence, memory_order_release);
	}
}

/*
 * Writes as many frames as can be in flight: how many are at once depends on the two sides' pace, and a turn must not be the first to need one more.
 */
static int warm_up(struct bench_job *job, struct bench_sealane *sealane)
{
	const struct sea_frame_options options = { .n_bytes_max = { job->mix->n_bytes_max },
		                                   .n_parts_hint = (uint32_t)job->mix->n_parts };
	struct sea_frame *frames[64] = { NULL };
	unsigned n = 0;
	int r = 0;

	for (; r >= 0 && n < job->window && n < sizeof frames / sizeof *frames; n++) {
		const size_t *sizes = bench_mix_sizes(job->mix, n);
		void *data;

		r = sea_frame_new(&frames[n], sealane->heap, &options, 0);
		for (size_t i = 0; r >= 0 && i < job->mix->n_parts; i++)
			r = sea_frame_add(frames[n], sizes[i], 64, &data);
	}
	while (n > 0)
		sea_frame_free(frames[--n]);
	/* Less than a full set is what the quota allows; a pool of huge pages has them all or is too small. */
	if (r < 0 && job->pages == SEA_PAGES_HUGETLB)
		return bench_skip(job, "too few pages in the hugetlb pool: %s", sea_error_text(r));
	return 0;
}

static int road_open(struct bench_job *job, int side)
{
	const enum sea_pattern pattern = job->duplex ? SEA_PAIR : side == 0 ? SEA_PUSH : SEA_PULL;
	struct bench_sealane *sealane = bench_sealane_new(job, side == 0 ? job->window * job->mix->n_bytes_max : 0);
	const int32_t capacity = job->window > 3 ? (int32_t)job->window - 2 : 1;
	int r;

	if (sealane == NULL)
		return -ENOTSUP;
	if (side == 0 && !job->immutable && warm_up(job, sealane) != 0)
		return -ENOTSUP;
	sealane->channel = bench_sealane_channel(job, sealane, pattern, capacity, 0, side == 0);
	r = sea_channel_wait_peers(sealane->channel, 1, OPEN_TIMEOUT_NS);
	bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	if (job->immutable) {
		struct sea_frame *frame = NULL;
		const struct sea_frame_options options = { .n_bytes_max = { 4096 }, .flags = SEA_FRAME_IMMUTABLE };

		r = sea_frame_new(&frame, sealane->heap, &options, 0);
		sea_frame_free(frame);
		if (r < 0)
			return bench_skip(job, "no immutable frames: %s", sea_error_text(r));
	}
	return 0;
}

static void road_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static void send_waiting(struct bench_job *job, struct sea_channel *channel, struct sea_message **message)
{
	int r = sea_channel_send(channel, message, 0);

	if (r == -EAGAIN) {
		const int64_t start = bench_now();

		r = sea_channel_send(channel, message, CALL_TIMEOUT_NS);
		job->wait_ns += bench_now() - start;
	}
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
}

static void receive_waiting(struct bench_job *job, struct sea_channel *channel, struct sea_message **message)
{
	int r = sea_channel_receive(channel, message, 0);

	if (r == -EAGAIN) {
		const int64_t start = bench_now();

		r = sea_channel_receive(channel, message, CALL_TIMEOUT_NS);
		job->wait_ns += bench_now() - start;
	}
	bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
}

static void road_send(struct bench_job *job, uint64_t sequence)
{
	struct bench_sealane *sealane = job->state;
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const struct sea_frame_options options = {
		.n_bytes_max = { job->mix->n_bytes_max },
		.flags = job->immutable ? SEA_FRAME_IMMUTABLE : 0,
		.n_parts_hint = (uint32_t)job->mix->n_parts,
	};
	struct sea_message *message = NULL;
	struct sea_frame *frame = NULL;
	int r = sea_frame_new(&frame, sealane->heap, &options, 0);

	if (r == -ENOMEM) {
		const int64_t start = bench_now();

		r = sea_frame_new(&frame, sealane->heap, &options, CALL_TIMEOUT_NS);
		job->wait_ns += bench_now() - start;
	}
	bench_check(r == 0, "sea_frame_new: %s", sea_error_text(r));
	for (size_t i = 0; i < job->mix->n_parts; i++) {
		void *data;

		r = sea_frame_add(frame, sizes[i], 64, &data);
		bench_check(r >= 0, "sea_frame_add: %s", sea_error_text(r));
		if (job->fill)
			bench_fill(data, sizes[i], sequence);
	}
	r = sea_frame_seal(&frame, &message);
	bench_check(r == 0, "sea_frame_seal: %s", sea_error_text(r));
	sea_message_set_tag(message, sequence);
	send_waiting(job, sealane->channel, &message);
}

static void road_receive(struct bench_job *job, uint64_t sequence)
{
	struct bench_sealane *sealane = job->state;
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	struct sea_message *message = NULL;

	receive_waiting(job, sealane->channel, &message);
	bench_check(sea_message_get_tag(message) == sequence, "message %llu is out of order",
	            (unsigned long long)sequence);
	bench_check(sea_message_n_parts(message) == job->mix->n_parts, "message %llu has the wrong number of parts",
	            (unsigned long long)sequence);
	for (size_t i = 0; i < job->mix->n_parts; i++) {
		struct sea_part part;
		const int r = sea_message_get_part(message, i, &part);

		bench_check(r == 0 && part.n_bytes == sizes[i], "message %llu: part %zu is wrong",
		            (unsigned long long)sequence, i);
		if (job->read)
			bench_read(part.data, part.n_bytes, sequence);
	}
	sea_message_unref(message);
}

const struct bench_road bench_road_sealane = {
	.name = "sealane",
	.open = road_open,
	.send = road_send,
	.receive = road_receive,
	.close = road_close,
};

static void rate_single(struct bench_job *job, struct bench_sealane *sealane, int side, uint64_t n)
{
	const size_t n_bytes = job->mix->sizes[0];

	for (uint64_t i = 0; i < n; i++, job->sequence++) {
		struct sea_message *message = NULL;
		int r;

		if (side == 0) {
			r = sea_message_new(&message, sealane->heap, n_bytes, 0, CALL_TIMEOUT_NS);
			bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
			sea_message_set_tag(message, job->sequence);
			r = sea_channel_send(sealane->channel, &message, CALL_TIMEOUT_NS);
			bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
		} else {
			r = sea_channel_receive(sealane->channel, &message, CALL_TIMEOUT_NS);
			bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
			bench_check(sea_message_get_tag(message) == job->sequence, "message %llu is out of order",
			            (unsigned long long)job->sequence);
			sea_message_unref(message);
		}
	}
}

static void rate_bulk_send(struct bench_job *job, struct bench_sealane *sealane, uint64_t n)
{
	const size_t n_bytes = job->mix->sizes[0];

	while (n > 0) {
		const size_t n_wanted = n < job->batch ? (size_t)n : job->batch;
		const int n_new = sea_message_new_many(sealane->messages, n_wanted, sealane->heap, n_bytes, 0,
		                                       CALL_TIMEOUT_NS);

		bench_check(n_new > 0, "sea_message_new_many: %s", sea_error_text(n_new));
		for (int i = 0; i < n_new; i++)
			sea_message_set_tag(sealane->messages[i], job->sequence + (uint64_t)i);
		for (int i = 0; i < n_new;) {
			const int r = sea_channel_send_many(sealane->channel, sealane->messages + i,
			                                    (size_t)(n_new - i), CALL_TIMEOUT_NS);

			bench_check(r > 0, "sea_channel_send_many: %s", sea_error_text(r));
			i += r;
		}
		job->sequence += (uint64_t)n_new;
		n -= (uint64_t)n_new;
	}
}

static void rate_bulk_receive(struct bench_job *job, struct bench_sealane *sealane, uint64_t n)
{
	while (n > 0) {
		const size_t n_wanted = n < job->batch ? (size_t)n : job->batch;
		const int r = sea_channel_receive_many(sealane->channel, sealane->messages, n_wanted, CALL_TIMEOUT_NS);

		bench_check(r > 0, "sea_channel_receive_many: %s", sea_error_text(r));
		for (int i = 0; i < r; i++)
			bench_check(sea_message_get_tag(sealane->messages[i]) == job->sequence + (uint64_t)i,
			            "message %llu is out of order", (unsigned long long)job->sequence + (uint64_t)i);
		sea_message_unref_many(sealane->messages, (size_t)r);
		job->sequence += (uint64_t)r;
		n -= (uint64_t)r;
	}
}

void bench_sealane_turn_rate(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	(void)turn;
	if (job->batch == 1)
		rate_single(job, job->state, side, n);
	else if (side == 0)
		rate_bulk_send(job, job->state, n);
	else
		rate_bulk_receive(job, job->state, n);
}

/* One leg: a new message, or the one that came. */
static void ping_send(struct bench_job *job, struct bench_sealane *sealane)
{
	int r;

	if (sealane->held == NULL) {
		r = sea_message_new(&sealane->held, sealane->heap, job->mix->sizes[0], 0, CALL_TIMEOUT_NS);
		bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
		if (!job->hand_back)
			sea_message_set_tag(sealane->held, job->sequence);
	}
	r = sea_channel_send(sealane->channel, &sealane->held, CALL_TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
}

static void ping_receive(struct bench_job *job, struct bench_sealane *sealane)
{
	const int r = sea_channel_receive(sealane->channel, &sealane->held, CALL_TIMEOUT_NS);

	bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
	bench_check(sea_message_get_tag(sealane->held) == (job->hand_back ? 0 : job->sequence) &&
	                    sea_message_size(sealane->held) == job->mix->sizes[0],
	            "message %llu is not the one that was sent", (unsigned long long)job->sequence);
	if (!job->hand_back)
		sealane->held = sea_message_unref(sealane->held);
}

void bench_sealane_turn_ping(struct bench_job *job, int side, uint64_t n, struct bench_turn *turn)
{
	struct bench_sealane *sealane = job->state;
	const uint64_t n_per_sample = job->spin_ns < 0 ? SPIN_PER_SAMPLE : 1;
	const uint64_t n_samples = n / n_per_sample + 1;
	double *samples = side == 0 ? bench_samples(job, n_samples) : NULL;

	(void)turn;
	for (uint64_t i = 0; i < n_samples; i++) {
		const int64_t start = samples != NULL ? bench_now() : 0;

		for (uint64_t k = 0; k < n_per_sample; k++, job->sequence++) {
			if (side == 0)
				ping_send(job, sealane);
			ping_receive(job, sealane);
			if (side != 0)
				ping_send(job, sealane);
		}
		if (samples != NULL)
			samples[i] = (double)(bench_now() - start) / (double)n_per_sample;
	}
	job->n_sampled = samples != NULL ? n_samples : 0;
}
