/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's descriptor in an event loop: readable whenever a call may succeed, and not at all while nothing happens. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rig.h"

static bool is_readable(int fd, int64_t timeout_ns)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&pollfd, 1, (int)(timeout_ns / 1000000));
	while (n < 0 && errno == EINTR);
	return CHECK_SYS(n) == 1;
}

struct shared {
	struct test_step go, ready, finish;
	unsigned n;
};

static struct shared *shared_new(unsigned n)
{
	struct shared *shared = test_shared(sizeof(*shared));

	shared->n = n;
	test_step_init(&shared->go);
	test_step_init(&shared->ready);
	test_step_init(&shared->finish);
	return shared;
}

static void shared_free(struct shared *shared)
{
	test_step_fini(&shared->go);
	test_step_fini(&shared->ready);
	test_step_fini(&shared->finish);
}

/* Sends when told: so many. */
static void burst_sender(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_connect(SEA_PUSH, "loop", NULL);

	for (uint64_t i = 0; i < shared->n; i++) {
		test_step_wait(&shared->go);
		CHECK_OK(rig_send(&rig, i, i % 2 ? 8 : 500, rig_patience()));
		test_step_signal(&shared->ready, 1);
	}
	test_step_wait(&shared->finish);
	rig_close(&rig);
}

TEST(level,
     "the descriptor is readable as long as messages are there, also between blocking receives, and then no more")
{
	struct shared *shared = shared_new(100);
	struct sea_channel_options options = { .spin_ns = 1 };
	pid_t pid = test_fork(burst_sender, shared);
	struct rig rig = rig_bind(SEA_PULL, "loop", &options);
	uint64_t number = 0;
	int fd = CHECK_OK(sea_channel_fd(rig.channel));

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (unsigned i = 0; i < 100;) {
		unsigned n = 1 + i % 7;

		if (n > 100 - i)
			n = 100 - i;
		CHECK_ERR(rig_receive(&rig, &number, 0), -EAGAIN);
		CHECK(!is_readable(fd, 0));
		test_step_signal(&shared->go, n);
		CHECK(is_readable(fd, rig_patience()));
		for (unsigned j = 0; j < n; j++)
			test_step_wait(&shared->ready);
		for (unsigned j = 0; j < n; j++) {
			/* Level-triggered: it says so again as often as it is asked, however the others were received. */
			CHECK(is_readable(fd, 0));
			CHECK(is_readable(fd, 0));
			CHECK_OK(rig_receive(&rig, &number, j % 2 ? 0 : rig_patience()));
			CHECK_EQ(number, i++);
		}
	}
	CHECK_ERR(rig_receive(&rig, &number, 0), -EAGAIN);
	CHECK(!is_readable(fd, 0));
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

TEST(blocking_then_poll,
     "a message that comes while nobody polls, after a blocking receive, is announced by the descriptor")
{
	struct shared *shared = shared_new(40);
	struct sea_channel_options options = { .spin_ns = 1 };
	pid_t pid = test_fork(burst_sender, shared);
	struct rig rig = rig_bind(SEA_PULL, "loop", &options);
	int fd = CHECK_OK(sea_channel_fd(rig.channel));

	for (unsigned i = 0; i < 40; i += 2) {
		test_step_signal(&shared->go, 1);
		rig_expect(&rig, i, i + 1);
		/* No call to -EAGAIN in between. */
		test_step_signal(&shared->go, 1);
		CHECK(is_readable(fd, rig_patience()));
		rig_expect(&rig, i + 1, i + 2);
	}
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

static void steady_sender(void *arg)
{
	struct shared *shared = arg;
	struct sea_channel_options options = { .sndbuf = 8 };
	struct rig rig = rig_connect(SEA_PUSH, "loop", &options);

	for (uint64_t i = 0; i < shared->n; i++)
		CHECK_OK(rig_send(&rig, i, 200, rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	rig_close(&rig);
}

/* Receives everything in an epoll loop; after each event until -EAGAIN. */
static void check_epoll_loop(uint32_t events, unsigned n)
{
	struct shared *shared = shared_new(n);
	struct sea_channel_options options = { .rcvbuf = -1 };
	pid_t pid = test_fork(steady_sender, shared);
	struct rig rig = rig_bind(SEA_PULL, "loop", &options);
	struct epoll_event event = { .events = events };
	int epoll_fd = CHECK_SYS(epoll_create1(EPOLL_CLOEXEC)), r;
	uint64_t expected = 0, number = 0;

	CHECK_SYS(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, CHECK_OK(sea_channel_fd(rig.channel)), &event));
	while (expected < n) {
		CHECK_EQ(CHECK_SYS(epoll_wait(epoll_fd, &event, 1, (int)(rig_patience() / 1000000))), 1);
		while ((r = rig_receive(&rig, &number, 0)) == 0)
			CHECK_EQ(number, expected++);
		CHECK_EQ(r, -EAGAIN);
	}
	CHECK_EQ(test_wait(pid), 0);
	close(epoll_fd);
	rig_close(&rig);
	shared_free(shared);
}

TEST(epoll_level, "an epoll loop, level-triggered, receives everything in order")
{
	check_epoll_loop(EPOLLIN, 20000);
}

TEST(epoll_edge, "an epoll loop, edge-triggered and reading until -EAGAIN, receives everything in order")
{
	check_epoll_loop(EPOLLIN | EPOLLET, 20000);
}

static void slow_receiver(void *arg)
{
	struct shared *shared = arg;
	struct sea_channel_options options = { .rcvbuf = -1 };
	struct rig rig = rig_bind(SEA_PULL, "loop", &options);

	for (uint64_t i = 0; i < shared->n; i++) {
		test_step_wait(&shared->go);
		rig_expect(&rig, i, i + 1);
	}
	rig_close(&rig);
}

TEST(room, "after -EAGAIN of a send the descriptor becomes readable when a receiver makes room, and not before")
{
	struct shared *shared = shared_new(60);
	struct sea_channel_options options = { .sndbuf = 4 };
	pid_t pid = test_fork(slow_receiver, shared);
	struct rig rig = rig_connect(SEA_PUSH, "loop", &options);
	int fd = CHECK_OK(sea_channel_fd(rig.channel)), r;
	uint64_t n = 0;

	while (n < shared->n) {
		while (n < shared->n && (r = rig_send(&rig, n, 300, 0)) == 0)
			n++;
		if (n == shared->n)
			break;
		CHECK_EQ(r, -EAGAIN);
		if (n >= 4)
			CHECK(!is_readable(fd, 0));
		test_step_signal(&shared->go, n >= 4 ? 1 : 0);
		CHECK(is_readable(fd, rig_patience()));
	}
	test_step_signal(&shared->go, 4);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

#define N_CHANNELS 24

static void many_sender(void *arg)
{
	struct shared *shared = arg;
	struct sea_channel *channels[N_CHANNELS];
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	for (unsigned i = 0; i < N_CHANNELS; i++) {
		char address[16];

		snprintf(address, sizeof(address), "many%u", i);
		CHECK_OK(sea_channel_new(&channels[i], session, SEA_PUSH, NULL));
		CHECK_OK(sea_channel_connect(channels[i], address));
	}
	for (unsigned i = 0; i < shared->n; i++) {
		struct rig rig = { session, channels[i * 7 % N_CHANNELS] };

		CHECK_OK(rig_send(&rig, i, i % 2 ? 8 : 3000, rig_patience()));
	}
	for (unsigned i = 0; i < N_CHANNELS; i++) {
		CHECK_OK(sea_channel_flush(channels[i], rig_patience()));
		sea_channel_close(channels[i]);
	}
	sea_session_close(session);
}

TEST(many_channels, "one epoll loop serves many channels of one session")
{
	struct shared *shared = shared_new(5000);
	pid_t pid = test_fork(many_sender, shared);
	struct sea_channel *channels[N_CHANNELS];
	struct sea_session *session;
	int epoll_fd = CHECK_SYS(epoll_create1(EPOLL_CLOEXEC)), r;
	uint64_t n = 0, number = 0;
	char *seen = calloc(shared->n, 1);

	CHECK_OK(sea_session_open(&session, NULL));
	for (unsigned i = 0; i < N_CHANNELS; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		char address[16];

		snprintf(address, sizeof(address), "many%u", i);
		CHECK_OK(sea_channel_new(&channels[i], session, SEA_PULL, NULL));
		CHECK_OK(sea_channel_bind(channels[i], address));
		CHECK_SYS(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, CHECK_OK(sea_channel_fd(channels[i])), &event));
	}
	while (n < shared->n) {
		struct epoll_event events[8];
		int n_events = epoll_wait(epoll_fd, events, 8, (int)(rig_patience() / 1000000));

		CHECK_GT(n_events, 0);
		for (int i = 0; i < n_events; i++) {
			struct rig rig = { session, channels[events[i].data.u32] };

			while ((r = rig_receive(&rig, &number, 0)) == 0) {
				CHECK_LT(number, shared->n);
				CHECK_EQ(number * 7 % N_CHANNELS, events[i].data.u32);
				CHECK(!seen[number]);
				seen[number] = 1;
				n++;
			}
			CHECK_EQ(r, -EAGAIN);
		}
	}
	CHECK_EQ(test_wait(pid), 0);
	for (unsigned i = 0; i < N_CHANNELS; i++)
		sea_channel_close(channels[i]);
	sea_session_close(session);
	close(epoll_fd);
	free(seen);
	shared_free(shared);
}

/* How often the threads of a process have gone to sleep, all together: the service thread, whose heart beats, or all others. */
static uint64_t n_switches(pid_t pid, bool is_service)
{
	char path[300], line[200];
	unsigned long long sum = 0, n;
	bool counts = false;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	CHECK(dir);
	while ((entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, entry->d_name);
		if (entry->d_name[0] == '.' || !(file = fopen(path, "re")))
			continue;
		while (fgets(line, sizeof(line), file)) {
			if (strncmp(line, "Name:", 5) == 0)
				counts = (strcmp(line, "Name:\tsealane\n") == 0) == is_service;
			if (counts && sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
				sum += n;
		}
		fclose(file);
	}
	closedir(dir);
	return sum;
}

static void idle_receiver(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "loop", NULL);
	struct sea_channel *nowhere;

	/* An address that nobody is bound to costs nothing either. */
	CHECK_OK(sea_channel_new(&nowhere, rig.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(nowhere, "nobody-there"));
	rig_expect(&rig, 0, 10);
	test_step_signal(&shared->ready, 1);
	rig_expect(&rig, 10, 11); /* sleeps here, in a blocking receive */
	sea_channel_close(nowhere);
	rig_close(&rig);
}

TEST(idle, "a process that waits for a message is woken by nothing")
{
	struct shared *shared = shared_new(0);
	pid_t pid = test_fork(idle_receiver, shared);
	struct rig rig = rig_connect(SEA_PUSH, "loop", NULL);
	uint64_t before = 0, now;

	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 500, rig_patience()));
	test_step_wait(&shared->ready);
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	/* What the start had left to do, and the heartbeats that say so, are over when nothing has moved for more than a second. */
	for (int i = 0; i < 20 && (now = n_switches(pid, false) + n_switches(pid, true)) != before; i++) {
		before = now;
		test_sleep_ms(1300);
	}
	test_sleep_ms(1000);
	CHECK_EQ(n_switches(pid, false) + n_switches(pid, true), before);
	CHECK_OK(rig_send(&rig, 10, 500, rig_patience()));
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}
