/* SPDX-License-Identifier: Apache-2.0 */
/* What runs out in tests, and a sender that needs much of it; see scarce.h. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "rig.h"
#include "scarce.h"

void scarce_hoard(struct scarce_hoard *hoard, unsigned n_left)
{
	struct rlimit limit;
	int fd;

	CHECK_SYS(getrlimit(RLIMIT_NOFILE, &limit));
	/* The hard limit as well: opening a session raises the soft one. */
	limit.rlim_cur = limit.rlim_max = 400;
	CHECK_SYS(setrlimit(RLIMIT_NOFILE, &limit));
	hoard->n = 0;
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		hoard->fds[hoard->n++] = fd;
	CHECK_EQ(errno, EMFILE);
	CHECK_GE(hoard->n, n_left);
	while (n_left--)
		close(hoard->fds[--hoard->n]);
}

void scarce_hoard_end(struct scarce_hoard *hoard)
{
	while (hoard->n)
		close(hoard->fds[--hoard->n]);
}

struct rlimit scarce_space(uint64_t n_bytes_left)
{
	struct rlimit before, limit;
	unsigned long long n_pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	CHECK(file && fscanf(file, "%llu", &n_pages) == 1);
	fclose(file);
	CHECK_SYS(getrlimit(RLIMIT_AS, &before));
	limit = before;
	limit.rlim_cur = n_pages * (uint64_t)sysconf(_SC_PAGESIZE) + n_bytes_left;
	CHECK_SYS(setrlimit(RLIMIT_AS, &limit));
	return before;
}

void scarce_space_end(const struct rlimit *before)
{
	CHECK_SYS(setrlimit(RLIMIT_AS, before));
}

struct scarce *scarce_new(void)
{
	struct scarce *scarce = test_shared(sizeof(*scarce));

	test_step_init(&scarce->ready);
	test_step_init(&scarce->go);
	test_step_init(&scarce->finish);
	return scarce;
}

void scarce_free(struct scarce *scarce)
{
	test_step_fini(&scarce->ready);
	test_step_fini(&scarce->go);
	test_step_fini(&scarce->finish);
}

void scarce_arenas_sender(void *arg)
{
	struct scarce *scarce = arg;
	struct sea_heap_options options = { .quota_n_bytes = 8u << 20, .arena_n_bytes = 2u << 20 };
	struct rig rig = rig_connect(SEA_PUSH, "arenas", NULL);
	struct sea_heap_stats stats;
	struct sea_heap *heaps[SCARCE_N_ARENAS];

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_wait(&scarce->go);
	for (uint64_t i = 0; i < 2 * SCARCE_N_ARENAS; i++) {
		struct sea_message *message;

		if (i < SCARCE_N_ARENAS)
			CHECK_OK(sea_heap_new(&heaps[i], rig.session, &options));
		message = rig_message_of(heaps[i % SCARCE_N_ARENAS], i, 5000);
		CHECK_OK(sea_channel_send(rig.channel, &message, rig_patience()));
	}
	test_step_signal(&scarce->ready, 1);
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	for (unsigned i = 0; i < SCARCE_N_ARENAS; i++) {
		CHECK_OK(sea_heap_get_stats(heaps[i], &stats));
		CHECK_EQ(stats.n_blocks_used, 0);
	}
	test_step_wait(&scarce->finish);
	rig_close(&rig);
}

uint64_t scarce_receive_until(struct rig *rig, uint64_t first, int error)
{
	uint64_t number = 0;
	int r;

	while ((r = rig_receive(rig, &number, rig_patience())) == 0)
		CHECK_EQ(number, first++);
	CHECK_EQ(r, error);
	return first;
}

void scarce_receive_rest(struct rig *rig, uint64_t first, uint64_t end, int error)
{
	int64_t until_ns = test_now_ns() + rig_patience();
	uint64_t number = 0;

	while (first < end) {
		int r = rig_receive(rig, &number, rig_patience());

		CHECK_LT(test_now_ns(), until_ns);
		if (r == error) {
			test_sleep_ms(1);
			continue;
		}
		CHECK_OK(r);
		CHECK_EQ(number, first++);
	}
}
