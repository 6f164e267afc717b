/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of huge pages, their own and of a hugetlbfs: whole, or an error, never a signal. How many there are is the machine's. */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_BYTES ((size_t)4 << 20)

/* Sends both ends of a region to somebody who trusts files. */
static void travel(struct sea_region *region, struct sea_session *owner)
{
	struct sea_session_options trust = { .flags = SEA_SESSION_TRUST_FILES };
	struct sea_channel *push = peers_bind(owner, SEA_PUSH, "huge"), *pull;
	struct sea_session *other;
	uint8_t *data = sea_region_data(region);

	CHECK_OK(sea_session_open(&other, &trust));
	pull = peers_connect(other, SEA_PULL, "huge");
	peers_wait(push, 1);
	CHECK_EQ(sea_region_size(region), N_BYTES);
	peers_fill(data, N_BYTES, 3);
	for (unsigned i = 0; i < 2; i++) {
		struct sea_message *message;

		CHECK_OK(sea_message_new_in_region(&message, region, data + i * N_BYTES / 2, N_BYTES / 2, i));
		peers_send(push, message);
		message = peers_receive(pull);
		CHECK_MEM_EQ(sea_message_data(message), data + i * N_BYTES / 2, N_BYTES / 2);
		sea_message_unref(message);
	}
	sea_channel_close(pull);
	sea_session_close(other);
	sea_channel_close(push);
}

TEST(hugetlb, "a region of huge pages has all of them when it is made, or cannot be made")
{
	struct sea_session *owner = peers_open();
	struct sea_region_options options = { .n_bytes = N_BYTES, .pages = SEA_PAGES_HUGETLB };
	struct sea_region *region;
	int r;

	if (getenv("SEALANE_TEST_TRANSPORT"))
		options.protection = SEA_PROTECTION_SHARED;
	r = sea_region_new(&region, owner, &options);
	if (r == 0) {
		travel(region, owner);
		CHECK(!sea_region_close(region, NULL));
	}
	sea_session_close(owner);
	if (r == -ENOTSUP)
		SKIP("no huge pages in this kernel");
	if (r == -ENOMEM)
		SKIP("the pool is too small: only the error was seen (sysctl vm.nr_hugepages=8 for the rest)");
	CHECK_OK(r);
}

/* A hugetlbfs of pages of 2 MiB in which files can be made; false: there is none. */
static bool hugetlbfs_find(char *path, size_t n_bytes)
{
	char line[1024], at[512], type[64], flags[256];
	FILE *file = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (!found && file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %511s %63s %255s", at, type, flags) == 3 && strcmp(type, "hugetlbfs") == 0 &&
		    strstr(flags, "pagesize=2M") && access(at, W_OK) == 0) {
			snprintf(path, n_bytes, "%s/sealane-test-%d", at, (int)getpid());
			found = true;
		}
	if (file)
		fclose(file);
	return found;
}

TEST(hugetlbfs,
     "a region can be a file of a hugetlbfs, which goes with it; without pages it cannot be made, and none is left")
{
	struct sea_session *owner = peers_open();
	struct sea_region_options options = {
		.n_bytes = N_BYTES, .name = "huge", .pages = SEA_PAGES_HUGETLB, .protection = SEA_PROTECTION_SHARED
	};
	struct sea_region *region;
	struct stat stat_buffer;
	char path[700];
	int r = -ENODEV;

	if (hugetlbfs_find(path, sizeof(path))) {
		options.path = path;
		r = sea_region_new(&region, owner, &options);
		if (r == 0) {
			CHECK_SYS(stat(path, &stat_buffer));
			CHECK_EQ(stat_buffer.st_size, N_BYTES);
			travel(region, owner);
			CHECK(!sea_region_close(region, NULL));
		}
		CHECK_EQ(stat(path, &stat_buffer), -1);
	}
	sea_session_close(owner);
	if (r == -ENODEV)
		SKIP("no hugetlbfs that this user can write");
	if (r == -ENOTSUP)
		SKIP("no huge pages in this kernel");
	if (r == -ENOMEM)
		SKIP("the pool is too small: only the error was seen (sysctl vm.nr_hugepages=8 for the rest)");
	CHECK_OK(r);
}
