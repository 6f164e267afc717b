/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zeromq: our channels over libzmq against bare libzmq, on push and pull, with the same water marks.
 *
 * The odd rule: tags do not travel over libzmq, so the number stands in the first eight bytes of each message, for both. What is
 * not written otherwise is in bare libzmq's fresh memory one and the same page of zeros, which the kernel copies out of the cache;
 * so large messages are compared where every byte is written and read.
 */
#include "bench.h"

#include <errno.h>
#include <string.h>

#define OPEN_TIMEOUT_NS (20 * INT64_C(1000000000))
#define CALL_TIMEOUT_NS (60 * INT64_C(1000000000))
/* Libzmq's own default is 1000 messages at each end. */
#define WINDOW_MAX 512u
#define IN_FLIGHT_N_BYTES (UINT64_C(256) << 20)
#define RATIO_AT_LEAST 0.9
/* From here on it is memory that is measured. */
#define LARGE_N_BYTES 65536u

void bench_zeromq_address(struct bench_job *job, int side, char *address, size_t n_bytes)
{
	if (!job->tcp)
		snprintf(address, n_bytes, "ipc://%s/zmq-%u", bench_config.directory, job->id);
	else if (side == 0)
		snprintf(address, n_bytes, "tcp://127.0.0.1:*");
	else {
		bench_await(&job->shared->flag, 1);
		snprintf(address, n_bytes, "tcp://127.0.0.1:%u", (unsigned)atomic_load(&job->shared->flag));
	}
}

void bench_zeromq_bound(struct bench_job *job, const char *address)
{
	const char *port = strrchr(address, ':');
	unsigned number = 0;

	if (!job->tcp)
		return;
	bench_check(port != NULL && sscanf(port, ":%u", &number) == 1 && number != 0, "%s: no port", address);
	atomic_store(&job->shared->flag, number);
}

static int road_open(struct bench_job *job, int side)
{
	struct bench_sealane *sealane = bench_sealane_new(job, side == 0 ? job->window * job->mix->n_bytes_max : 0);
	const int32_t water_mark = job->window > 2 ? (int32_t)job->window / 2 : 1;
	const struct sea_channel_options options = {
		.sndbuf = water_mark,
		.rcvbuf = water_mark,
		.linger_ns = 1,
		.transport = SEA_TRANSPORT_ZEROMQ,
	};
	char address[200];
	int r;

	if (sealane == NULL)
		return -ENOTSUP;
	r = sea_channel_new(&sealane->channel, sealane->session, side == 0 ? SEA_PUSH : SEA_PULL, &options);
	if (r == -ENOTSUP)
		return bench_skip(job, "sea_channel_new: %s", sea_error_text(r));
	bench_check(r == 0, "sea_channel_new: %s", sea_error_text(r));
	bench_zeromq_address(job, side, address, sizeof address);
	r = side == 0 ? sea_channel_bind(sealane->channel, address) : sea_channel_connect(sealane->channel, address);
	bench_check(r == 0, "%s: %s", address, sea_error_text(r));
	if (side == 0) {
		r = sea_channel_get_address(sealane->channel, address, sizeof address);
		bench_check(r > 0, "sea_channel_get_address: %s", sea_error_text(r));
		bench_zeromq_bound(job, address);
	}
	r = sea_channel_wait_peers(sealane->channel, 1, OPEN_TIMEOUT_NS);
	bench_check(r == 0, "nobody connected: %s", sea_error_text(r));
	return 0;
}

static void road_close(struct bench_job *job, int side)
{
	(void)side;
	bench_sealane_free(job->state);
}

static void road_send(struct bench_job *job, uint64_t sequence)
{
	struct bench_sealane *sealane = job->state;
	const size_t n_bytes = job->mix->sizes[0];
	struct sea_message *message = NULL;
	int r = sea_message_new(&message, sealane->heap, n_bytes, 0, CALL_TIMEOUT_NS);

	bench_check(r == 0, "sea_message_new: %s", sea_error_text(r));
	if (job->fill)
		bench_fill(sea_message_write(message), n_bytes, sequence);
	else
		memcpy(sea_message_write(message), &sequence, sizeof sequence);
	r = sea_channel_send(sealane->channel, &message, CALL_TIMEOUT_NS);
	bench_check(r == 0, "sea_channel_send: %s", sea_error_text(r));
}

static void road_receive(struct bench_job *job, uint64_t sequence)
{
	struct bench_sealane *sealane = job->state;
	struct sea_message *message = NULL;
	uint64_t number;
	const int r = sea_channel_receive(sealane->channel, &message, CALL_TIMEOUT_NS);

	bench_check(r == 0, "sea_channel_receive: %s", sea_error_text(r));
	bench_check(sea_message_size(message) == job->mix->sizes[0], "message %llu has the wrong size",
	            (unsigned long long)sequence);
	memcpy(&number, sea_message_data(message), sizeof number);
	bench_check(number == sequence, "message %llu is out of order", (unsigned long long)sequence);
	if (job->read)
		bench_read(sea_message_data(message), job->mix->sizes[0], sequence);
	sea_message_unref(message);
}

const struct bench_road bench_road_sealane_zeromq = {
	.name = "sealane over libzmq",
	.open = road_open,
	.send = road_send,
	.receive = road_receive,
	.close = road_close,
};

static int zeromq_case(size_t n_bytes, bool tcp, bool fill)
{
	const uint64_t n_window = IN_FLIGHT_N_BYTES / n_bytes;
	struct bench_job *jobs[2];
	struct bench_row row;
	char name[64];
	int r;

	snprintf(name, sizeof name, "%s-%zu%s", tcp ? "tcp" : "ipc", n_bytes, fill ? "-write-read" : "");
	if (!bench_wanted(name))
		return 0;
	jobs[0] = bench_job_new("libzmq", BENCH_LIMIT, bench_road_zmq(), bench_turn_stream);
	jobs[1] = bench_job_new("sealane over libzmq", BENCH_OURS, &bench_road_sealane_zeromq, bench_turn_stream);
	for (size_t i = 0; i < 2; i++) {
		jobs[i]->mix = bench_mix_single(n_bytes);
		jobs[i]->window = n_window > WINDOW_MAX ? WINDOW_MAX : (unsigned)n_window;
		jobs[i]->tcp = tcp;
		jobs[i]->fill = fill;
		jobs[i]->read = fill;
	}
	r = bench_run(jobs, 2);
	if (r == 0) {
		bench_row_init(&row, "zeromq", name, "M msg/s", bench_value_rate, jobs, 2);
		row.unit = n_bytes < LARGE_N_BYTES ? "M msg/s" : "GB/s";
		row.value = n_bytes < LARGE_N_BYTES ? bench_value_rate : bench_value_bandwidth;
		if (fill || n_bytes < LARGE_N_BYTES)
			row.ratio_at_least = RATIO_AT_LEAST;
		else
			snprintf(row.note, sizeof row.note,
			         "bare libzmq sends one page of zeros over and over; see the row with -write-read");
		bench_row_extra(&row, "window", jobs[1]->window);
		if (row.limit != NULL) {
			bench_row_extra(&row, "libzmq_cpu_ns_producer", bench_cpu_per_message(row.limit, 0));
			bench_row_extra(&row, "libzmq_cpu_ns_consumer", bench_cpu_per_message(row.limit, 1));
		}
		bench_row_print(&row);
	}
	for (size_t i = 0; i < 2; i++)
		bench_job_free(jobs[i]);
	return r;
}

int bench_zeromq(void)
{
	static const size_t sizes[] = { 64, 1024, 65536, 1 << 20, 64 << 20 };

	bench_print_header(
		"zeromq", "push and pull over libzmq against bare libzmq; -write-read: every byte is written and read");
	if (bench_road_zmq() == NULL) {
		bench_print_skip("zeromq", "all", "this build has no libzmq to compare with");
		return 0;
	}
	for (int fill = 0; fill < 2; fill++)
		for (int tcp = 0; tcp < 2; tcp++)
			for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
				if ((fill == 0 || sizes[i] >= LARGE_N_BYTES) &&
				    zeromq_case(sizes[i], tcp != 0, fill != 0) != 0)
					return -1;
	return 0;
}
