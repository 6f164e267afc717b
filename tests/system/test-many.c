/* SPDX-License-Identifier: Apache-2.0 */
/* Many processes in one session that come, exchange, and go in any order, some of them by being killed. */
#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "test.h"

#define N_PROCESSES 64u
#define N_TARGETS 3u
#define N_BYTES 3000u

struct shared {
	_Atomic uint64_t n_received, n_sent;
	_Atomic unsigned n_over_budget;
};

struct member {
	struct shared *shared;
	unsigned index;
	uint64_t seed;
};

static uint64_t member_random(struct member *member)
{
	/* xorshift64: each process its own. */
	member->seed ^= member->seed << 13;
	member->seed ^= member->seed >> 7;
	return member->seed ^= member->seed << 17;
}

static unsigned n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* itself, and two dots */
}

/* What is left in the session's directory but for its lock. */
static unsigned n_files(void)
{
	char path[512];
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/default", test_runtime_dir());
	dir = opendir(path);
	CHECK(dir);
	while ((entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && strcmp(entry->d_name, ".lock");
	closedir(dir);
	return n;
}

static void member_check(struct member *member, const struct sea_message *message)
{
	const uint8_t *data = sea_message_data(message);

	CHECK_EQ(sea_message_size(message), N_BYTES);
	for (unsigned i = 0; i < N_BYTES; i += 500)
		CHECK_EQ(data[i], (uint8_t)sea_message_get_tag(message));
	member->shared->n_received++;
}

static void member_exchange(struct member *member, struct sea_session *session, struct sea_channel *pull,
                            struct sea_channel **push)
{
	struct sea_message *message;

	for (unsigned i = 0; i < 40; i++) {
		if (sea_message_new(&message, sea_session_heap(session), N_BYTES, 0, 0) == 0) {
			uint8_t tag = (uint8_t)member_random(member);

			memset(sea_message_write(message), tag, N_BYTES);
			sea_message_set_tag(message, tag);
			if (sea_channel_send(push[member_random(member) % N_TARGETS], &message, 0) == 0)
				member->shared->n_sent++;
			else
				sea_message_unref(message);
		}
		while (sea_channel_receive(pull, &message, (int64_t)(member_random(member) % 1000000)) == 0) {
			member_check(member, message);
			sea_message_unref(message);
		}
	}
}

static void member_main(void *arg)
{
	struct member *member = arg;
	struct sea_session_options options = { .quota_n_bytes = 16 << 20,
		                               .transport = member->index % 2 ? SEA_TRANSPORT_SHMEM
		                                                              : SEA_TRANSPORT_MEMFD };
	struct sea_channel *pull, *push[N_TARGETS];
	struct sea_channel_stats stats;
	struct sea_session_stats session_stats;
	struct sea_session *session;
	unsigned n_before = n_fds(), n_links = 0;
	char name[32];

	usleep((unsigned)(member_random(member) % 30000));
	CHECK_OK(sea_session_open(&session, &options));
	CHECK_OK(sea_channel_new(&pull, session, SEA_PULL, NULL));
	snprintf(name, sizeof(name), "many-%u", member->index);
	/* The one before may be about to go. */
	CHECK_EVENTUALLY(sea_channel_bind(pull, name) == 0);
	for (unsigned i = 0; i < N_TARGETS; i++) {
		CHECK_OK(sea_channel_new(&push[i], session, SEA_PUSH, NULL));
		snprintf(name, sizeof(name), "many-%u", (unsigned)(member_random(member) % N_PROCESSES));
		CHECK_OK(sea_channel_connect(push[i], name));
	}
	member_exchange(member, session, pull, push);
	if (member->index % 8 == 3)
		kill(getpid(), SIGKILL);
	for (unsigned i = 0; i <= N_TARGETS; i++) {
		CHECK_OK(sea_channel_get_stats(i ? push[i - 1] : pull, &stats));
		n_links += (unsigned)stats.n_links;
	}
	CHECK_OK(sea_session_get_stats(session, &session_stats));
	/* 16, 4 per link; and what stands for memory: of its own arenas three at most, of others' two, of a peer its socket and its process. */
	if (n_fds() - n_before > 16 + 4 * n_links + 3 * session_stats.n_arenas + 2 * session_stats.n_arenas_attached +
	                                 2 * session_stats.n_peers + 3 * N_TARGETS)
		member->shared->n_over_budget++;
	for (unsigned i = 0; i < N_TARGETS; i++)
		sea_channel_close(push[i]);
	sea_channel_close(pull);
	sea_session_close(session);
}

TEST_TIMEOUT(rounds, "64 processes that attach, exchange and leave in any order, some killed, leave nothing behind", 60)
{
	struct shared *shared = test_shared(sizeof(*shared));
	struct member *members = test_shared(N_PROCESSES * sizeof(*members));
	unsigned n_rounds = test_is_soak() ? 100 : test_is_sanitized() ? 1 : 3;
	struct sea_session *session;

	for (unsigned round = 0; round < n_rounds; round++) {
		pid_t pids[N_PROCESSES];

		for (unsigned i = 0; i < N_PROCESSES; i++) {
			members[i] = (struct member){ shared, i, test_random() | 1 };
			pids[i] = test_fork(member_main, &members[i]);
		}
		for (unsigned i = 0; i < N_PROCESSES; i++)
			CHECK_EQ(test_wait(pids[i]), i % 8 == 3 ? -SIGKILL : 0);
	}
	CHECK_GT(shared->n_received, 0);
	CHECK_LE(shared->n_received, shared->n_sent);
	CHECK_EQ(shared->n_over_budget, 0);
	/* Who starts next removes what the killed ones left. */
	CHECK_OK(sea_session_open(&session, NULL));
	sea_session_close(session);
	CHECK_EQ(n_files(), 0);
}
