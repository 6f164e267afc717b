/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that are stopped, and queues that are full: who waits, for what, and for whom nobody waits. */
#include "rig.h"

struct queue_case {
	int32_t sndbuf, rcvbuf;
	unsigned n_capacity;
};

struct queue_shared {
	struct queue_case sizes;
	size_t n_bytes;
	struct test_step bound, go;
	_Atomic unsigned n_sent;
};

static void queue_receiver(void *arg)
{
	struct queue_shared *shared = arg;
	struct sea_channel_options options = { .rcvbuf = shared->sizes.rcvbuf };
	struct rig rig = rig_bind(SEA_PULL, "queue", &options);
	uint64_t number;

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_signal(&shared->bound, 1);
	test_step_wait(&shared->go);
	rig_expect(&rig, 0, shared->n_sent);
	CHECK_ERR(rig_receive(&rig, &number, 0), -EAGAIN);
	rig_close(&rig);
}

/* Fills a queue towards a process that is stopped; returns how many it took. */
static void queue_fill(const struct queue_case *sizes, size_t n_bytes)
{
	struct queue_shared *shared = test_shared(sizeof(*shared));
	struct sea_channel_options options = { .sndbuf = sizes->sndbuf };
	struct sea_channel_stats stats;
	struct rig rig;
	pid_t pid;
	unsigned n = 0;
	int r;

	shared->sizes = *sizes;
	shared->n_bytes = n_bytes;
	test_step_init(&shared->bound);
	test_step_init(&shared->go);
	pid = test_fork(queue_receiver, shared);
	rig = rig_connect(SEA_PUSH, "queue", &options);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_wait(&shared->bound);
	rig_stop(pid);
	while ((r = rig_send(&rig, n, n_bytes, 0)) == 0)
		n++;
	CHECK_EQ(r, -EAGAIN);
	CHECK_EQ(n, sizes->n_capacity);
	CHECK_OK(sea_channel_get_stats(rig.channel, &stats));
	CHECK_EQ(stats.n_queued_out, n);
	CHECK_ERR(rig_send(&rig, n, n_bytes, 5000000), -ETIMEDOUT);
	shared->n_sent = n;
	test_step_signal(&shared->go, 1);
	CHECK_SYS(kill(pid, SIGCONT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EVENTUALLY(rig_n_bytes_used(&rig) == 0);
	rig_close(&rig);
	test_step_fini(&shared->bound);
	test_step_fini(&shared->go);
}

TEST_TIMEOUT(queue_exact, "a queue towards a stopped receiver takes as many messages as both ends' settings together",
             60)
{
	static const struct queue_case cases[] = {
		{ 1, -1, 1 },         { -1, 1, 1 },   { -1, -1, 1 },  { 3, 4, 7 },
		{ 1000, 1000, 2000 }, { 0, 0, 2000 }, { 64, -1, 64 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		queue_fill(&cases[i], 8);    /* in the descriptor */
		queue_fill(&cases[i], 1000); /* in a block */
	}
}

struct other_shared {
	struct test_step bound[2];
	_Atomic unsigned n_received[2];
};

#define OTHERS_N 5000
#define OTHERS_CAPACITY 8

static void other_receiver(struct other_shared *shared, int index)
{
	struct sea_channel_options options = { .rcvbuf = -1 };
	struct rig rig = rig_connect(SEA_PULL, "others", &options);
	uint64_t number = 0;

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_signal(&shared->bound[index], 1);
	for (;;) {
		CHECK_OK(rig_receive(&rig, &number, rig_patience()));
		if (number == UINT64_MAX)
			break;
		shared->n_received[index]++;
	}
	rig_close(&rig);
}

static void other_stopped(void *arg)
{
	other_receiver(arg, 0);
}

static void other_running(void *arg)
{
	other_receiver(arg, 1);
}

TEST(others_go_on, "a stopped receiver takes its queue full of messages, and the others get all the rest")
{
	struct other_shared *shared = test_shared(sizeof(*shared));
	struct sea_channel_options options = { .sndbuf = OTHERS_CAPACITY };
	struct sea_message *message;
	pid_t stopped, running;
	struct rig rig;
	unsigned n_missed = 0;

	test_step_init(&shared->bound[0]);
	test_step_init(&shared->bound[1]);
	stopped = test_fork(other_stopped, shared);
	running = test_fork(other_running, shared);
	rig = rig_bind(SEA_PUSH, "others", &options);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 2, rig_patience()));
	test_step_wait(&shared->bound[0]);
	test_step_wait(&shared->bound[1]);
	rig_stop(stopped);
	for (uint64_t i = 0; i < OTHERS_N; i++)
		CHECK_OK(rig_send(&rig, i, 1000, rig_patience()));
	CHECK_EVENTUALLY(shared->n_received[1] == OTHERS_N - OTHERS_CAPACITY);
	/* To all who have room: one has none. */
	message = rig_message_of(sea_session_heap(rig.session), 1, 1000);
	CHECK_EQ(sea_channel_send_each(rig.channel, &message, &n_missed), 1);
	CHECK_EQ(n_missed, 1);
	CHECK_EVENTUALLY(shared->n_received[1] == OTHERS_N - OTHERS_CAPACITY + 1);
	CHECK_EQ(shared->n_received[0], 0);
	CHECK_SYS(kill(stopped, SIGCONT));
	CHECK_EVENTUALLY(shared->n_received[0] == OTHERS_CAPACITY);
	message = rig_message_of(sea_session_heap(rig.session), UINT64_MAX, 1000);
	CHECK_EQ(sea_channel_send_each(rig.channel, &message, NULL), 2);
	CHECK_EQ(test_wait(stopped), 0);
	CHECK_EQ(test_wait(running), 0);
	CHECK_EVENTUALLY(rig_n_bytes_used(&rig) == 0);
	rig_close(&rig);
	test_step_fini(&shared->bound[0]);
	test_step_fini(&shared->bound[1]);
}

struct owner_shared {
	struct test_step sent, held, received, finish;
	unsigned n;
	_Atomic bool is_back;
};

/* Sends to whoever is there, and waits until all of it is back. */
static void owner_main(void *arg)
{
	struct owner_shared *shared = arg;
	struct sea_channel_options options = { .sndbuf = 20000 };
	struct rig rig = rig_bind(SEA_PUSH, "owner", &options);

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (uint64_t i = 0; i < shared->n; i++)
		CHECK_OK(rig_send(&rig, i, 100, rig_patience()));
	test_step_signal(&shared->sent, 1);
	CHECK_EVENTUALLY(rig_n_bytes_used(&rig) == 0);
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	shared->is_back = true;
	test_step_signal(&shared->finish, 1);
	rig_close(&rig);
}

static void owner_target(void *arg)
{
	struct owner_shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "target", NULL);

	rig_expect(&rig, 100, 200);
	test_step_signal(&shared->received, 1);
	test_step_wait(&shared->finish);
	test_step_signal(&shared->finish, 1);
	rig_close(&rig);
}

/* Receives forwarded messages, keeps them, and waits to be killed. */
static void owner_victim(void *arg)
{
	struct owner_shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "victim", NULL);
	struct sea_message *messages[100];

	for (unsigned i = 0; i < 100; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	test_step_signal(&shared->held, 1);
	for (;;)
		test_sleep_ms(1000);
}

TEST(owner_stopped,
     "nobody waits for a stopped owner: not who releases, forwards, or dies; once it runs, all memory is back")
{
	struct owner_shared *shared = test_shared(sizeof(*shared));
	struct sea_message *messages[300];
	struct sea_channel *to_target, *to_victim;
	pid_t owner, target, victim;
	struct rig rig;

	shared->n = 300;
	test_step_init(&shared->sent);
	test_step_init(&shared->held);
	test_step_init(&shared->received);
	test_step_init(&shared->finish);
	owner = test_fork(owner_main, shared);
	target = test_fork(owner_target, shared);
	victim = test_fork(owner_victim, shared);
	rig = rig_connect(SEA_PULL, "owner", NULL);
	CHECK_OK(sea_channel_new(&to_target, rig.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_new(&to_victim, rig.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(to_target, "target"));
	CHECK_OK(sea_channel_connect(to_victim, "victim"));
	for (unsigned i = 0; i < 300; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	CHECK_OK(sea_channel_wait_peers(to_target, 1, rig_patience()));
	CHECK_OK(sea_channel_wait_peers(to_victim, 1, rig_patience()));
	test_step_wait(&shared->sent);
	rig_stop(owner);

	sea_message_unref_many(messages, 100);
	for (unsigned i = 100; i < 200; i++)
		CHECK_OK(sea_channel_send(to_target, &messages[i], rig_patience()));
	for (unsigned i = 200; i < 300; i++)
		CHECK_OK(sea_channel_send(to_victim, &messages[i], rig_patience()));
	test_step_wait(&shared->received);
	test_step_wait(&shared->held);
	CHECK_EQ(test_kill(victim), -SIGKILL);
	CHECK_EVENTUALLY(rig_n_deaths(&rig) == 1);
	CHECK(!shared->is_back);

	CHECK_SYS(kill(owner, SIGCONT));
	CHECK_EQ(test_wait(owner), 0);
	CHECK_EQ(test_wait(target), 0);
	CHECK(shared->is_back);
	sea_channel_close(to_target);
	sea_channel_close(to_victim);
	rig_close(&rig);
	test_step_fini(&shared->sent);
	test_step_fini(&shared->held);
	test_step_fini(&shared->received);
	test_step_fini(&shared->finish);
}

TEST(releases_pile_up, "more releases than the ring to a stopped owner holds cost no waiting and are all counted later")
{
	enum { n = 20000 };
	struct owner_shared *shared = test_shared(sizeof(*shared));
	static struct sea_message *messages[n];
	pid_t owner;
	struct rig rig;

	shared->n = n;
	test_step_init(&shared->sent);
	test_step_init(&shared->finish);
	owner = test_fork(owner_main, shared);
	rig = rig_connect(SEA_PULL, "owner", NULL);
	for (unsigned i = 0; i < n; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	test_step_wait(&shared->sent);
	rig_stop(owner);
	for (unsigned i = 0; i < n; i++)
		messages[i] = sea_message_unref(messages[i]);
	CHECK_SYS(kill(owner, SIGCONT));
	CHECK_EQ(test_wait(owner), 0);
	rig_close(&rig);
	test_step_fini(&shared->sent);
	test_step_fini(&shared->finish);
}
