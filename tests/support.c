/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and helpers that run inside a test, in any of its processes and threads; see test.h. */
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test-private.h"

struct test_state test_state = { .patience = 1 };

void test_say(const char *file, int line, const char *prefix, const char *format, va_list arguments)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	char text[8192];
	size_t n = 0;

	if (file)
		n = (size_t)snprintf(text, 256, "  %s:%d: ", slash ? slash + 1 : file, line);
	n += (size_t)snprintf(text + n, 256, "%s", prefix);
	vsnprintf(text + n, sizeof(text) - n, format, arguments);
	printf("%s\n", text);
	fflush(stdout);
}

void test_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	test_say(NULL, 0, "  skipped: ", format, arguments);
	va_end(arguments);
	test_state.verdict->skipped = true;
	_exit(77);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	test_state.verdict->n_failures++;
	va_start(arguments, format);
	test_say(file, line, "", format, arguments);
	va_end(arguments);
	_exit(1);
}

void test_leaves_nothing(void)
{
	test_state.verdict->leaves_nothing = true;
}

void test_check_str(const char *a, const char *b, const char *a_text, const char *b_text, const char *file, int line)
{
	if (!a || !b || strcmp(a, b) != 0)
		test_fail(file, line, "%s is \"%s\", %s is \"%s\"", a_text, a ? a : "(NULL)", b_text, b ? b : "(NULL)");
}

void test_check_mem(const void *a, const void *b, size_t n_bytes, const char *a_text, const char *b_text,
                    const char *file, int line)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < n_bytes; ++i)
		if (x[i] != y[i])
			test_fail(file, line, "%s and %s differ at byte %zu of %zu: 0x%02x, 0x%02x", a_text, b_text, i,
			          n_bytes, x[i], y[i]);
}

static const char *error_name(long long negative)
{
	const char *name = negative < 0 && negative > -4096 ? strerrorname_np((int)-negative) : NULL;

	return name ? name : "not an errno";
}

long long test_check_ok(long long result, const char *text, const char *file, int line)
{
	if (result < 0)
		test_fail(file, line, "%s returned %lld (%s, %s)", text, result, error_name(result),
		          strerror(result > -4096 ? (int)-result : 0));
	return result;
}

long long test_check_err(long long result, int expected, const char *text, const char *file, int line)
{
	if (result != expected)
		test_fail(file, line, "%s returned %lld (%s), not %d (%s)", text, result, error_name(result), expected,
		          error_name(expected));
	return result;
}

long long test_check_sys(long long result, const char *text, const char *file, int line)
{
	if (result < 0)
		test_fail(file, line, "%s returned %lld, errno %s (%s)", text, result, error_name(-(long long)errno),
		          strerror(errno));
	return result;
}

pid_t test_fork(void (*function)(void *arg), void *arg)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = (pid_t)CHECK_SYS(fork());
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	function(arg);
	fflush(NULL);
	_exit(0);
}

int test_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			FAIL("waitpid(%d): %s", (int)pid, strerror(errno));
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int test_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	return test_wait(pid);
}

void *test_shared(size_t n_bytes)
{
	void *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

void test_step_init(struct test_step *step)
{
	step->fd = (int)CHECK_SYS(eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK));
}

void test_step_fini(struct test_step *step)
{
	close(step->fd);
	step->fd = -1;
}

void test_step_signal(struct test_step *step, unsigned n)
{
	CHECK_SYS(eventfd_write(step->fd, n));
}

void test_step_wait(struct test_step *step)
{
	eventfd_t one;

	CHECK_EVENTUALLY(eventfd_read(step->fd, &one) == 0);
}

int64_t test_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t test_patience_ns(void)
{
	return (int64_t)(test_state.patience * 1e10);
}

void test_sleep_ms(int64_t ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

uint64_t test_random(void)
{
	/* splitmix64, https://prng.di.unimi.it/splitmix64.c (public domain) */
	uint64_t z = atomic_fetch_add(&test_state.random_state, 0x9e3779b97f4a7c15) + 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t test_shmem_n_bytes(void)
{
	unsigned long long n_kib = 0;
	bool found = false;
	char line[256];
	FILE *file = fopen("/proc/meminfo", "re");

	CHECK(file);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "Shmem: %llu kB", &n_kib) == 1;
	fclose(file);
	CHECK(found);
	return n_kib << 10;
}

const char *test_runtime_dir(void)
{
	return test_state.runtime_dir;
}

const char *test_command(void)
{
	static char path[PATH_MAX + 32];
	const char *given = getenv("SEALANE_COMMAND");
	ssize_t n;

	if (given)
		return given;
	/* <build>/tests/<layer>/test-x */
	n = CHECK_SYS(readlink("/proc/self/exe", path, PATH_MAX));
	path[n] = 0;
	for (int i = 0; i < 3; ++i)
		*strrchr(path, '/') = 0;
	strcat(path, "/sealane");
	return path;
}

bool test_is_soak(void)
{
	const char *soak = getenv("SEALANE_SOAK");

	return soak && *soak && strcmp(soak, "0") != 0;
}

bool test_is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	return getenv("SEALANE_TEST_SANITIZED") != NULL;
#endif
}
