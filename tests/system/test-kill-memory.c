/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon memory is back with its owner when its holder is killed, beside how soon a bare process with the same mapping is
 * gone: the kernel unmaps first. The times are printed; what is checked is that it comes back at all.
 */
#include "test.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_MESSAGES 64
#define N_BYTES (UINT64_C(1) << 20)
#define N_ROUNDS 7
#define PATIENCE_NS INT64_C(10000000000)
#define MEMORY_BACK_NS INT64_C(2000000000)

enum holder_kind { HOLDER_CONSUMER, HOLDER_PARENT, HOLDER_FORWARDER, HOLDER_N };
static const char *const holder_names[] = { "a consumer", "a consumer that has forked", "a forwarder" };

struct scene {
	enum holder_kind kind;
	struct test_step holds, goes_on;
	_Atomic int32_t *child;
};

static uint64_t sum_of(const uint8_t *bytes, uint64_t n_bytes)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n_bytes; i += 4096)
		sum += bytes[i];
	return sum;
}

static void receive_and_hold(struct sea_session *session, const char *address, struct sea_message **messages, int n)
{
	struct sea_channel *in;

	CHECK_OK(sea_channel_new(&in, session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_connect(in, address));
	for (int i = 0; i < n; i++) {
		CHECK_OK(sea_channel_receive(in, &messages[i], PATIENCE_NS));
		CHECK_EQ(sum_of(sea_message_data(messages[i]), N_BYTES), N_BYTES / 4096 * 7);
	}
}

static void holder_main(void *arg)
{
	struct scene *scene = arg;
	struct sea_message *messages[N_MESSAGES];
	struct sea_session *session;
	struct sea_channel *out;

	CHECK_OK(sea_session_open(&session, NULL));
	receive_and_hold(session, "kill-memory", messages, N_MESSAGES);
	if (scene->kind == HOLDER_FORWARDER) {
		CHECK_OK(sea_channel_new(&out, session, SEA_PUSH, NULL));
		CHECK_OK(sea_channel_bind(out, "kill-further"));
		for (int i = 0; i < N_MESSAGES / 2; i++)
			CHECK_OK(sea_channel_send(out, &messages[i], PATIENCE_NS));
	}
	if (scene->kind == HOLDER_PARENT && CHECK_SYS(fork()) == 0) {
		alarm(120); /* nobody may be left to end it */
		atomic_store(scene->child, getpid());
		test_step_signal(&scene->holds, 1);
		for (;;)
			pause();
	}
	if (scene->kind != HOLDER_PARENT)
		test_step_signal(&scene->holds, 1);
	for (;;)
		pause();
}

static void sink_main(void *arg)
{
	struct scene *scene = arg;
	struct sea_message *messages[N_MESSAGES / 2];
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	receive_and_hold(session, "kill-further", messages, N_MESSAGES / 2);
	test_step_signal(&scene->holds, 1);
	test_step_wait(&scene->goes_on);
	sea_message_unref_many(messages, N_MESSAGES / 2);
	for (;;)
		pause();
}

struct bare {
	int fd;
	struct test_step ready;
};

static void bare_main(void *arg)
{
	struct bare *bare = arg;
	uint8_t *bytes = mmap(NULL, N_MESSAGES * N_BYTES, PROT_READ, MAP_SHARED, bare->fd, 0);

	CHECK(bytes != MAP_FAILED);
	CHECK_EQ(sum_of(bytes, N_MESSAGES * N_BYTES), N_MESSAGES * N_BYTES / 4096 * 7);
	test_step_signal(&bare->ready, 1);
	for (;;)
		pause();
}

static int64_t bare_measure(void)
{
	struct bare bare = { .fd = (int)CHECK_SYS(memfd_create("bare", MFD_CLOEXEC)) };
	struct pollfd pollfd = { .events = POLLIN };
	int64_t start_ns, took_ns;
	void *bytes;
	pid_t pid;

	CHECK_SYS(ftruncate(bare.fd, (off_t)(N_MESSAGES * N_BYTES)));
	bytes = mmap(NULL, N_MESSAGES * N_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bare.fd, 0);
	CHECK(bytes != MAP_FAILED);
	memset(bytes, 7, N_MESSAGES * N_BYTES);
	test_step_init(&bare.ready);
	pid = test_fork(bare_main, &bare);
	test_step_wait(&bare.ready);
	pollfd.fd = (int)CHECK_SYS(syscall(SYS_pidfd_open, pid, 0));
	start_ns = test_now_ns();
	kill(pid, SIGKILL);
	CHECK_EQ(poll(&pollfd, 1, 10000), 1);
	took_ns = test_now_ns() - start_ns;
	CHECK_EQ(test_wait(pid), -SIGKILL);
	close(pollfd.fd);
	test_step_fini(&bare.ready);
	munmap(bytes, N_MESSAGES * N_BYTES);
	close(bare.fd);
	return took_ns;
}

static int64_t wait_for_used(struct sea_heap *heap, uint64_t n_bytes)
{
	int64_t start_ns = test_now_ns();
	struct sea_heap_stats stats;

	do {
		CHECK_OK(sea_heap_get_stats(heap, &stats));
		if (test_now_ns() - start_ns > MEMORY_BACK_NS)
			FAIL("%llu bytes are still held, not %llu", (unsigned long long)stats.n_bytes_used,
			     (unsigned long long)n_bytes);
		usleep(50);
	} while (stats.n_bytes_used > n_bytes);
	return test_now_ns() - start_ns;
}

static int64_t holder_measure(enum holder_kind kind)
{
	struct sea_session_options options = { .quota_n_bytes = 2 * N_MESSAGES * N_BYTES };
	struct scene scene = { .kind = kind, .child = test_shared(4096) };
	struct sea_session *session;
	struct sea_channel *out;
	struct sea_heap *heap;
	pid_t holder, sink = 0;
	int64_t took_ns;

	test_step_init(&scene.holds);
	test_step_init(&scene.goes_on);
	holder = test_fork(holder_main, &scene);
	if (kind == HOLDER_FORWARDER)
		sink = test_fork(sink_main, &scene);
	CHECK_OK(sea_session_open(&session, &options));
	heap = sea_session_heap(session);
	CHECK_OK(sea_channel_new(&out, session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_bind(out, "kill-memory"));
	for (int i = 0; i < N_MESSAGES; i++) {
		struct sea_message *message;

		CHECK_OK(sea_message_new(&message, heap, N_BYTES, 0, 0));
		memset(sea_message_write(message), 7, N_BYTES);
		CHECK_OK(sea_channel_send(out, &message, PATIENCE_NS));
	}
	test_step_wait(&scene.holds);
	if (sink)
		test_step_wait(&scene.holds);
	kill(holder, SIGKILL);
	took_ns = wait_for_used(heap, sink ? N_MESSAGES / 2 * N_BYTES : 0);
	CHECK_EQ(test_wait(holder), -SIGKILL);
	if (kind == HOLDER_PARENT) {
		pid_t child = atomic_load(scene.child);

		CHECK_EQ(kill(child, 0), 0); /* it did live on */
		CHECK_EQ(test_kill(child), -SIGKILL);
	}
	if (sink) {
		struct sea_heap_stats stats;

		/* What went on before the forwarder died is the sink's. */
		CHECK_OK(sea_heap_get_stats(heap, &stats));
		CHECK_EQ(stats.n_blocks_used, N_MESSAGES / 2);
		test_step_signal(&scene.goes_on, 1);
		wait_for_used(heap, 0);
		CHECK_EQ(test_kill(sink), -SIGKILL);
	}
	sea_channel_close(out);
	sea_session_close(session);
	test_step_fini(&scene.holds);
	test_step_fini(&scene.goes_on);
	munmap(scene.child, 4096);
	return took_ns;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

TEST_TIMEOUT(kill_memory, "memory of a holder that is killed is back with its owner, also while a child of it lives on",
             120)
{
	int64_t took_ns[HOLDER_N + 1][N_ROUNDS];
	int n_rounds = test_is_sanitized() ? 1 : N_ROUNDS;

	CHECK_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1));
	/* They take turns: the machine's mood changes within seconds. */
	for (int i = 0; i < n_rounds; i++)
		for (int kind = 0; kind <= HOLDER_N; kind++)
			took_ns[kind][i] = kind == HOLDER_N ? bare_measure() : holder_measure((enum holder_kind)kind);
	for (int kind = 0; kind <= HOLDER_N; kind++) {
		qsort(took_ns[kind], (size_t)n_rounds, sizeof(int64_t), compare);
		printf("  %-28s %6.2f ms (median), %6.2f ms (longest) after the kill\n",
		       kind == HOLDER_N ? "a bare process is gone" : holder_names[kind],
		       (double)took_ns[kind][n_rounds / 2] / 1e6, (double)took_ns[kind][n_rounds - 1] / 1e6);
	}
}
