/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer: iceoryx through its C binding. A frame is one chunk with its parts one
 * behind the other, each aligned to 64 bytes.
 *
 * The odd rule: it needs its daemon, which is started for a job and ended after it, with one memory
 * pool of chunks of that job's size. Where a daemon runs already it is somebody's: the peer is skipped.
 */
#include "bench.h"

#ifdef SEALANE_BENCH_ICEORYX
#include <errno.h>
#include <fcntl.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/types.h>
#include <iceoryx_binding_c/wait_set.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Its compiled-in largest queue. */
#define QUEUE_MAX 256

struct iceoryx_state {
	iox_pub_storage_t publisher_storage;
	iox_sub_storage_t subscriber_storage;
	iox_ws_storage_t wait_set_storage;
	iox_pub_t publisher;
	iox_sub_t subscriber;
	iox_ws_t wait_set;
};

static struct bench_job *daemon_user;

static int peer_prepare(struct bench_job *job)
{
	const unsigned n_chunks = (job->window < QUEUE_MAX ? job->window : QUEUE_MAX) * (job->duplex ? 2 : 1) + 8;
	const uint64_t chunk = (job->mix->n_bytes_max + 64 + 31) & ~UINT64_C(31);
	const pid_t parent = getpid();
	char path[200];
	FILE *file;

	if (daemon_user != NULL)
		return bench_skip(job, "one job at a time: its daemon is busy");
	if (chunk > UINT32_MAX)
		return bench_skip(job, "a chunk is less than 4 GiB");
	snprintf(path, sizeof path, "%s/roudi.toml", bench_config.directory);
	file = fopen(path, "we");
	if (file == NULL)
		return bench_skip(job, "%s: %s", path, strerror(errno));
	fprintf(file, "[general]\nversion = 1\n\n[[segment]]\n\n[[segment.mempool]]\nsize = %llu\ncount = %u\n",
	        (unsigned long long)chunk, n_chunks);
	fclose(file);
	job->daemon = fork();
	if (job->daemon == 0) {
		const int null_fd = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(127);
		signal(SIGINT, SIG_DFL);
		dup2(null_fd, STDOUT_FILENO);
		dup2(null_fd, STDERR_FILENO);
		execlp("iox-roudi", "iox-roudi", "-c", path, "-l", "off", "-m", "off", (char *)NULL);
		_exit(127);
	}
	/* It tells nobody when it is ready; it ends at once where another runs, and a client waits for it besides. */
	for (int i = 0; i < 40; i++) {
		int status;

		usleep(25000);
		if (waitpid(job->daemon, &status, WNOHANG) == job->daemon) {
			job->daemon = 0;
			return bench_skip(job, WIFEXITED(status) && WEXITSTATUS(status) == 127
			                               ? "iox-roudi is not installed"
			                               : "iox-roudi ended: is another one running?");
		}
	}
	daemon_user = job;
	return 0;
}

static void peer_finish(struct bench_job *job)
{
	if (job->daemon <= 0)
		return;
	kill(job->daemon, SIGTERM);
	for (int i = 0; waitpid(job->daemon, NULL, WNOHANG) == 0; i++) {
		if (i == 3000)
			kill(job->daemon, SIGKILL);
		usleep(10000);
	}
	job->daemon = 0;
	daemon_user = NULL;
}

static int peer_open(struct bench_job *job, int side)
{
	struct iceoryx_state *state = calloc(1, sizeof *state);
	const bool sends = side == 0 || job->duplex;
	const bool receives = side == 1 || job->duplex;
	iox_pub_options_t publisher_options;
	iox_sub_options_t subscriber_options;
	char name[64];

	if (state == NULL)
		return bench_skip(job, "no memory");
	job->state = state;
	snprintf(name, sizeof name, "sealane-bench-%d-%u-%d", (int)getppid(), job->id, side);
	iox_set_loglevel(Iceoryx_LogLevel_Off);
	iox_runtime_init(name);
	if (sends) {
		iox_pub_options_init(&publisher_options);
		publisher_options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
		state->publisher = iox_pub_init(&state->publisher_storage, "sealane", "bench",
		                                side == 0 ? "out" : "back", &publisher_options);
	}
	if (receives) {
		iox_sub_options_init(&subscriber_options);
		subscriber_options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
		subscriber_options.queueCapacity = job->window > QUEUE_MAX ? QUEUE_MAX
		                                   : job->window > 3       ? job->window - 2
		                                                           : 1;
		state->subscriber = iox_sub_init(&state->subscriber_storage, "sealane", "bench",
		                                 side == 0 ? "back" : "out", &subscriber_options);
		state->wait_set = iox_ws_init(&state->wait_set_storage);
		iox_ws_attach_subscriber_state(state->wait_set, state->subscriber, SubscriberState_HAS_DATA, 1, NULL);
	}
	for (int i = 0; sends && !iox_pub_has_subscribers(state->publisher); i++) {
		if (i == 10000)
			return bench_skip(job, "no subscriber within 10 s");
		usleep(1000);
	}
	for (int i = 0; receives && iox_sub_get_subscription_state(state->subscriber) != SubscribeState_SUBSCRIBED;
	     i++) {
		if (i == 10000)
			return bench_skip(job, "no publisher within 10 s");
		usleep(1000);
	}
	return 0;
}

static void peer_close(struct bench_job *job, int side)
{
	struct iceoryx_state *state = job->state;

	(void)side;
	if (state->subscriber != NULL) {
		iox_ws_detach_subscriber_state(state->wait_set, state->subscriber, SubscriberState_HAS_DATA);
		iox_ws_deinit(state->wait_set);
		iox_sub_deinit(state->subscriber);
	}
	if (state->publisher != NULL)
		iox_pub_deinit(state->publisher);
	iox_runtime_shutdown();
	free(state);
	/* Its runtime removes its sockets and locks in a destructor of the library, which _exit() would skip. */
	exit(0);
}

static void peer_send(struct bench_job *job, uint64_t sequence)
{
	struct iceoryx_state *state = job->state;
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	unsigned char *data;
	void *chunk = NULL;
	int64_t deadline = 0;

	/* The pool is as large as the queue and what both sides hold; it may run dry for a moment. */
	while (iox_pub_loan_aligned_chunk(state->publisher, &chunk, (uint32_t)job->mix->n_bytes_max, 8) !=
	       AllocationResult_SUCCESS) {
		const int64_t now = bench_now();

		deadline = deadline == 0 ? now + 10 * INT64_C(1000000000) : deadline;
		bench_check(now < deadline, "no chunk for 10 s");
	}
	data = chunk;
	if (!job->fill)
		memcpy(data, &sequence, sizeof sequence);
	for (size_t i = 0; i < job->mix->n_parts && job->fill; i++) {
		bench_fill(data, sizes[i], sequence);
		data += (sizes[i] + 63) & ~(size_t)63;
	}
	iox_pub_publish_chunk(state->publisher, chunk);
}

static void peer_receive(struct bench_job *job, uint64_t sequence)
{
	struct iceoryx_state *state = job->state;
	const size_t *sizes = bench_mix_sizes(job->mix, sequence);
	const void *chunk = NULL;
	const unsigned char *data;
	uint64_t number = sequence;

	while (iox_sub_take_chunk(state->subscriber, &chunk) != ChunkReceiveResult_SUCCESS) {
		iox_notification_info_t information[1];
		uint64_t n_missed;

		iox_ws_wait(state->wait_set, information, 1, &n_missed);
	}
	data = chunk;
	if (!job->fill || sizes[0] >= sizeof number)
		memcpy(&number, data, sizeof number);
	bench_check(number == sequence, "message %llu is out of order", (unsigned long long)sequence);
	for (size_t i = 0; i < job->mix->n_parts && job->read; i++) {
		bench_read(data, sizes[i], sequence);
		data += (sizes[i] + 63) & ~(size_t)63;
	}
	iox_sub_release_chunk(state->subscriber, chunk);
}

static const struct bench_road road = {
	.name = "iceoryx",
	.prepare = peer_prepare,
	.finish = peer_finish,
	.open = peer_open,
	.send = peer_send,
	.receive = peer_receive,
	.close = peer_close,
};
#endif

const struct bench_road *bench_road_iceoryx(void)
{
#ifdef SEALANE_BENCH_ICEORYX
	return &road;
#else
	return NULL;
#endif
}
