/* SPDX-License-Identifier: Apache-2.0 */
/* Signals during every call that waits, interruption by another thread or a handler, and waiting in a callback. */
#include <pthread.h>
#include <stdatomic.h>

#include "rig.h"

struct shared {
	struct test_step ready, held, finish;
	unsigned n;
};

static struct shared *shared_new(void)
{
	struct shared *shared = test_shared(sizeof(*shared));

	test_step_init(&shared->ready);
	test_step_init(&shared->held);
	test_step_init(&shared->finish);
	return shared;
}

static void shared_free(struct shared *shared)
{
	test_step_fini(&shared->ready);
	test_step_fini(&shared->held);
	test_step_fini(&shared->finish);
}

/* What is called while signals come: each entry waits for something that does not happen. */
struct waiting {
	struct rig out, in;    /* a full queue, and an empty one */
	struct sea_heap *full; /* at its quota */
	struct sea_message *message;
	int64_t timeout_ns;
};

static int wait_receive(struct waiting *waiting)
{
	struct sea_message *message;

	return sea_channel_receive(waiting->in.channel, &message, waiting->timeout_ns);
}

static int wait_send(struct waiting *waiting)
{
	return sea_channel_send(waiting->out.channel, &waiting->message, waiting->timeout_ns);
}

static int wait_peers(struct waiting *waiting)
{
	return sea_channel_wait_peers(waiting->out.channel, 5, waiting->timeout_ns);
}

static int wait_flush(struct waiting *waiting)
{
	return sea_channel_flush(waiting->out.channel, waiting->timeout_ns);
}

static int wait_new(struct waiting *waiting)
{
	struct sea_message *message;

	return sea_message_new(&message, waiting->full, 1000000, 0, waiting->timeout_ns);
}

static int wait_frame(struct waiting *waiting)
{
	struct sea_frame_options options = { .n_bytes_max = { 1000000 } };
	struct sea_frame *frame;

	return sea_frame_new(&frame, waiting->full, &options, waiting->timeout_ns);
}

static const struct {
	const char *name;
	int (*call)(struct waiting *waiting);
	bool has_channel;
} waits[] = {
	{ "receive", wait_receive, true }, { "send", wait_send, true },        { "wait_peers", wait_peers, true },
	{ "flush", wait_flush, true },     { "message_new", wait_new, false }, { "frame_new", wait_frame, false },
};

#define N_WAITS (sizeof(waits) / sizeof(waits[0]))

/* Takes nothing out of its queue until the end. */
static void waiting_peer(void *arg)
{
	struct shared *shared = arg;
	struct sea_channel_options options = { .rcvbuf = 4 };
	struct rig rig = rig_bind(SEA_PULL, "out", &options);

	test_step_wait(&shared->finish);
	rig_expect(&rig, 0, shared->n);
	rig_close(&rig);
}

#define N_KEPT_MAX 1000

struct waiting_set {
	struct waiting waiting;
	struct shared *shared;
	struct sea_message *kept[N_KEPT_MAX];
	unsigned n_kept;
	pid_t peer;
};

static void waiting_open(struct waiting_set *set)
{
	struct sea_channel_options out_options = { .sndbuf = 4, .spin_ns = 1 }, in_options = { .spin_ns = 1 };
	struct sea_heap_options heap_options = { .quota_n_bytes = 8u << 20, .arena_n_bytes = 2u << 20 };

	memset(set, 0, sizeof(*set));
	set->shared = shared_new();
	set->peer = test_fork(waiting_peer, set->shared);
	set->waiting.out = rig_connect(SEA_PUSH, "out", &out_options);
	set->waiting.in.session = set->waiting.out.session;
	CHECK_OK(sea_channel_new(&set->waiting.in.channel, set->waiting.in.session, SEA_PULL, &in_options));
	CHECK_OK(sea_channel_bind(set->waiting.in.channel, "in"));
	CHECK_OK(sea_channel_wait_peers(set->waiting.out.channel, 1, rig_patience()));
	while (rig_send(&set->waiting.out, set->shared->n, 1000, 0) == 0)
		set->shared->n++;
	CHECK_EQ(set->shared->n, 8);
	CHECK_OK(sea_heap_new(&set->waiting.full, set->waiting.out.session, &heap_options));
	for (size_t n_bytes = 1000000; n_bytes > 1000; n_bytes /= 4)
		while (set->n_kept < N_KEPT_MAX &&
		       sea_message_new(&set->kept[set->n_kept], set->waiting.full, n_bytes, 0, 0) == 0)
			set->n_kept++;
	CHECK_GT(set->n_kept, 0);
	CHECK_LT(set->n_kept, N_KEPT_MAX);
	set->waiting.message = rig_message_of(sea_session_heap(set->waiting.out.session), set->shared->n, 1000);
	set->waiting.timeout_ns = -1;
}

/* Nothing was lost on the way: all that was sent arrives, and what was not is sent now. */
static void waiting_close(struct waiting_set *set)
{
	CHECK(set->waiting.message);
	set->shared->n++;
	test_step_signal(&set->shared->finish, 1);
	CHECK_OK(sea_channel_send(set->waiting.out.channel, &set->waiting.message, rig_patience()));
	CHECK_EQ(test_wait(set->peer), 0);
	sea_message_unref_many(set->kept, set->n_kept);
	CHECK_EVENTUALLY(rig_n_bytes_used(&set->waiting.out) == 0);
	sea_channel_close(set->waiting.in.channel);
	rig_close(&set->waiting.out);
	shared_free(set->shared);
}

static _Atomic unsigned n_handled;
static struct sea_channel *_Atomic handler_channel;

static void on_signal(int number)
{
	struct sea_channel *channel = handler_channel;

	(void)number;
	n_handled++;
	if (channel)
		sea_channel_interrupt(channel);
}

static void handle(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
}

/* Sends signals to a thread, or interrupts a channel, every 2 ms until told to stop. */
struct storm {
	pthread_t target, thread;
	struct sea_channel *channel;
	_Atomic bool stop;
};

static void *storm_main(void *arg)
{
	struct storm *storm = arg;

	while (!storm->stop) {
		test_sleep_ms(2);
		if (storm->stop)
			break;
		if (storm->channel)
			sea_channel_interrupt(storm->channel);
		else
			pthread_kill(storm->target, SIGUSR1);
	}
	return NULL;
}

static void storm_start(struct storm *storm, struct sea_channel *channel)
{
	storm->target = pthread_self();
	storm->channel = channel;
	storm->stop = false;
	CHECK_EQ(pthread_create(&storm->thread, NULL, storm_main, storm), 0);
}

static void storm_stop(struct storm *storm)
{
	storm->stop = true;
	CHECK_EQ(pthread_join(storm->thread, NULL), 0);
}

static void check_interrupted_by_signals(int flags)
{
	struct waiting_set set;
	struct storm storm;

	handle(flags);
	waiting_open(&set);
	for (int round = 0; round < 3; round++) {
		/* With and without a deadline: the kernel restarts the one kind of sleep and not the other. */
		set.waiting.timeout_ns = round == 0 ? -1 : 100 * rig_patience();
		for (size_t i = 0; i < N_WAITS; i++) {
			int r;

			storm_start(&storm, NULL);
			r = waits[i].call(&set.waiting);
			storm_stop(&storm);
			if (r != -EINTR)
				FAIL("%s returned %d", waits[i].name, r);
		}
	}
	CHECK_GT(n_handled, 0);
	waiting_close(&set);
}

TEST(signal_ends_wait, "a signal handler ends every waiting call with -EINTR, and nothing is lost")
{
	check_interrupted_by_signals(0);
}

TEST(signal_ends_wait_restart, "a handler with SA_RESTART ends every waiting call as well")
{
	check_interrupted_by_signals(SA_RESTART);
}

static void storm_sender(void *arg)
{
	struct shared *shared = arg;
	struct sea_channel_options options = { .sndbuf = 2, .spin_ns = 1 };
	struct rig rig = rig_connect(SEA_PUSH, "storm", &options);

	for (uint64_t i = 0; i < shared->n; i++) {
		CHECK_OK(rig_send(&rig, i, i % 2 ? 8 : 5000, rig_patience()));
		if (i % 16 == 0)
			test_sleep_ms(1);
	}
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	rig_close(&rig);
}

TEST(storm_loses_nothing, "messages received under a storm of signals and interruptions arrive once and in order")
{
	struct sea_channel_options options = { .rcvbuf = -1, .spin_ns = 1 };
	struct shared *shared = shared_new();
	struct storm signals, interruptions;
	struct sea_message *message;
	unsigned n_ended = 0;
	struct rig rig;
	pid_t pid;

	shared->n = 4000;
	handle(SA_RESTART);
	pid = test_fork(storm_sender, shared);
	rig = rig_bind(SEA_PULL, "storm", &options);
	storm_start(&signals, NULL);
	storm_start(&interruptions, rig.channel);
	for (uint64_t i = 0; i < shared->n;) {
		int r = sea_channel_receive(rig.channel, &message, -1);

		if (r == -EINTR || r == -ECANCELED) {
			n_ended++;
			continue;
		}
		CHECK_OK(r);
		CHECK_EQ(rig_number_of(message), i++);
		sea_message_unref(message);
	}
	CHECK_GT(n_ended, 0);
	storm_stop(&signals);
	storm_stop(&interruptions);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

static struct sea_channel *channel_of(struct waiting_set *set, size_t index)
{
	return waits[index].call == wait_receive ? set->waiting.in.channel : set->waiting.out.channel;
}

TEST(interrupt_from_thread, "sea_channel_interrupt() of another thread ends every call that waits on a channel")
{
	struct waiting_set set;
	struct storm storm;

	waiting_open(&set);
	for (size_t i = 0; i < N_WAITS; i++) {
		int r;

		if (!waits[i].has_channel)
			continue;
		storm_start(&storm, channel_of(&set, i));
		r = waits[i].call(&set.waiting);
		storm_stop(&storm);
		if (r != -ECANCELED)
			FAIL("%s returned %d", waits[i].name, r);
		/* One may be left for the next call that would wait. */
		set.waiting.timeout_ns = 1000000;
		r = waits[i].call(&set.waiting);
		if (r == -ECANCELED)
			r = waits[i].call(&set.waiting);
		CHECK_EQ(r, -ETIMEDOUT);
		set.waiting.timeout_ns = -1;
	}
	waiting_close(&set);
}

TEST(interrupt_before, "an interruption that comes before the call ends the next one that would wait, and one only")
{
	struct waiting_set set;

	waiting_open(&set);
	for (size_t i = 0; i < N_WAITS; i++) {
		if (!waits[i].has_channel)
			continue;
		sea_channel_interrupt(channel_of(&set, i));
		CHECK_EQ(waits[i].call(&set.waiting), -ECANCELED);
		set.waiting.timeout_ns = 1000000;
		CHECK_EQ(waits[i].call(&set.waiting), -ETIMEDOUT);
		set.waiting.timeout_ns = -1;
	}
	waiting_close(&set);
}

TEST(interrupt_from_handler,
     "a signal handler may call sea_channel_interrupt(): the call ends, and errno is what it was")
{
	struct waiting_set set;
	struct storm storm;

	handle(SA_RESTART);
	waiting_open(&set);
	for (size_t i = 0; i < N_WAITS; i++) {
		int r;

		if (!waits[i].has_channel)
			continue;
		handler_channel = channel_of(&set, i);
		storm_start(&storm, NULL);
		r = waits[i].call(&set.waiting);
		/* The sleep may be reported as interrupted first; then the next call is the one that is ended. */
		if (r == -EINTR)
			r = waits[i].call(&set.waiting);
		storm_stop(&storm);
		handler_channel = NULL;
		if (r != -ECANCELED && r != -EINTR)
			FAIL("%s returned %d", waits[i].name, r);
		sea_channel_interrupt(channel_of(&set, i));
		CHECK_EQ(waits[i].call(&set.waiting), -ECANCELED);
		errno = 77;
		sea_channel_interrupt(channel_of(&set, i));
		CHECK_EQ(errno, 77);
		CHECK_EQ(waits[i].call(&set.waiting), -ECANCELED);
	}
	waiting_close(&set);
}

static _Atomic unsigned n_done;

static void on_done(uint64_t cookie, void *userdata)
{
	struct waiting *waiting = userdata;
	struct sea_message *message;

	CHECK_EQ(cookie, 4711);
	for (size_t i = 0; i < N_WAITS; i++) {
		int r = waits[i].call(waiting);

		if (r != -EDEADLK)
			FAIL("%s returned %d", waits[i].name, r);
	}
	/* What does not wait is allowed. */
	CHECK_ERR(sea_channel_receive(waiting->in.channel, &message, 0), -EAGAIN);
	CHECK_OK(sea_message_new(&message, sea_session_heap(waiting->in.session), 100, 0, 0));
	CHECK_ERR(sea_channel_send(waiting->out.channel, &message, 0), -EAGAIN);
	sea_message_unref(message);
	n_done++;
}

TEST(wait_in_callback, "a waiting call inside the callback for done messages is -EDEADLK; calls that do not wait work")
{
	struct waiting_set set;
	struct sea_message *message;

	waiting_open(&set);
	CHECK_OK(sea_session_on_done(set.waiting.out.session, on_done, &set.waiting));
	message = rig_message_of(sea_session_heap(set.waiting.out.session), 1, 1000);
	CHECK_OK(sea_message_notify(message, 4711));
	sea_message_unref(message);
	CHECK_EVENTUALLY(n_done == 1);
	CHECK_OK(sea_session_on_done(set.waiting.out.session, NULL, NULL));
	waiting_close(&set);
}
