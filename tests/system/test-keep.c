/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane keep` as a user runs it. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "test.h"

struct keep {
	pid_t pid;
	int fd;
};

static struct keep keep_start(const char *const *arguments)
{
	struct keep keep;
	int fds[2];

	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	keep.pid = (pid_t)CHECK_SYS(fork());
	if (keep.pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execv(test_command(), (char *const *)(uintptr_t)arguments);
		_exit(99);
	}
	close(fds[1]);
	keep.fd = fds[0];
	return keep;
}

#define START(...) keep_start((const char *const[]){ "sealane", "keep", __VA_ARGS__, NULL })

/* Reads until the end, or until what is looked for has come. */
static bool keep_says(struct keep *keep, const char *what)
{
	char text[4096] = "";
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(text) - 1 && !strstr(text, what) && (r = read(keep->fd, text + n, sizeof(text) - 1 - n)) > 0)
		text[n += (size_t)r] = 0;
	return strstr(text, what) != NULL;
}

TEST(life, "what is kept can be adopted when the command says so, until it is told to end; who has it goes on")
{
	struct keep keep = START("--region", "ring=4M", "--heap", "pool=8M");
	struct sea_region_options options = { .kept_name = "ring", .protection = SEA_PROTECTION_SHARED };
	struct sea_heap_options heap_options = { .kept_name = "pool", .protection = SEA_PROTECTION_SHARED };
	struct sea_session *session;
	struct sea_region *region;
	struct sea_heap *heap;

	CHECK(keep_says(&keep, "ready\n"));
	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_region_new(&region, session, &options));
	CHECK_EQ(sea_region_size(region), 4 << 20);
	CHECK_OK(sea_heap_new(&heap, session, &heap_options));
	CHECK_SYS(kill(keep.pid, SIGTERM));
	CHECK_EQ(test_wait(keep.pid), 0);
	memset(sea_region_data(region), 1, 4 << 20);
	CHECK(!sea_region_close(region, NULL));
	CHECK(!sea_heap_free(heap));
	CHECK_ERR(sea_region_new(&region, session, &options), -ENOENT);
	sea_session_close(session);
	close(keep.fd);
}

TEST(wrong, "a name that is kept, a size that is none, and a line without anything are refused with their exit codes")
{
	struct keep keep = START("--region", "ring=4M", "--json"), other;

	CHECK(keep_says(&keep, "\"n_bytes\":4194304"));
	other = START("--heap", "ring=4M");
	CHECK_EQ(test_wait(other.pid), 1);
	close(other.fd);
	other = START("--region", "ring=lots");
	CHECK_EQ(test_wait(other.pid), 2);
	close(other.fd);
	other = START("--mlock");
	CHECK_EQ(test_wait(other.pid), 2);
	close(other.fd);
	CHECK_SYS(kill(keep.pid, SIGINT));
	CHECK_EQ(test_wait(keep.pid), 0);
	close(keep.fd);
}
