/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness tested by itself. The program runs itself with SEALANE_SELFTEST=1, which registers a
 * second set of tests, each of which must fail (or be skipped) for the reason in its name.
 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A test of the second set. */
#define FAULTY(name) FAULTY_TIMEOUT(name, 20)
#define FAULTY_TIMEOUT(name, seconds)                                                                             \
	static void faulty_body_##name(void);                                                                     \
	static struct test faulty_entry_##name = { "faulty_" #name, "faulty " #name, faulty_body_##name, seconds, \
		                                   NULL };                                                        \
	__attribute__((constructor)) static void faulty_register_##name(void)                                     \
	{                                                                                                         \
		if (getenv("SEALANE_SELFTEST"))                                                                   \
			test_register(&faulty_entry_##name);                                                      \
	}                                                                                                         \
	static void faulty_body_##name(void)

static void fail_in_process(void *arg)
{
	(void)arg;
	CHECK_EQ(1 + 1, 3);
}

static void *fail_in_thread(void *arg)
{
	(void)arg;
	CHECK_STR_EQ("a", "b");
	return NULL;
}

static void sleep_in_process(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* Its child, the test's grandchild, outlives it, in a process group of its own. */
static void leave_grandchild(void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	*(pid_t *)arg = pid;
}

FAULTY(check)
{
	CHECK_OK(-ENOSPC);
}

FAULTY(check_in_process)
{
	test_wait(test_fork(fail_in_process, NULL));
}

FAULTY(check_in_thread)
{
	pthread_t thread;

	pthread_create(&thread, NULL, fail_in_thread, NULL);
	pthread_join(thread, NULL);
}

FAULTY(signal)
{
	raise(SIGTERM);
}

FAULTY_TIMEOUT(timeout, 0.2)
{
	sleep_in_process(NULL);
}

FAULTY_TIMEOUT(timeout_with_child, 0.2)
{
	test_wait(test_fork(sleep_in_process, NULL));
}

FAULTY(exit_code)
{
	_exit(3);
}

FAULTY(fd)
{
	CHECK_SYS(open("/dev/null", O_RDONLY));
}

FAULTY(mapping)
{
	int fd = (int)CHECK_SYS(memfd_create("sealane-selftest", MFD_CLOEXEC));

	CHECK_SYS(ftruncate(fd, 4096));
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	close(fd);
}

FAULTY(child)
{
	test_fork(sleep_in_process, NULL);
}

FAULTY(grandchild)
{
	pid_t *pid = test_shared(sizeof(*pid));

	CHECK_EQ(test_wait(test_fork(leave_grandchild, pid)), 0);
	printf("  grandchild %d\n", *pid);
}

static void *sleep_in_thread(void *arg)
{
	sleep_in_process(arg);
	return NULL;
}

FAULTY(thread)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, sleep_in_thread, NULL), 0);
	pthread_detach(thread);
}

FAULTY(dev_shm)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/shm/sealane-selftest-%d", (int)getppid());
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		SKIP("no /dev/shm: %s", strerror(errno));
	close(fd);
}

FAULTY(file)
{
	char path[4200];

	TEST_LEAVES_NOTHING();
	snprintf(path, sizeof(path), "%s/socket", test_runtime_dir());
	close((int)CHECK_SYS(creat(path, 0600)));
}

FAULTY(skip)
{
	SKIP("because of %d", 42);
}

/* -- the tests that must pass -- */

/* Runs this program with one faulty test; what it prints, and its exit code. */
static int run_faulty(const char *name, char *ret_output, size_t n_output)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t n_read;
	pid_t pid;

	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	pid = (pid_t)CHECK_SYS(fork());
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("SEALANE_SELFTEST", "1", 1);
		dup2(fds[1], STDOUT_FILENO);
		execl("/proc/self/exe", "test-harness", name, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (n < n_output - 1 && (n_read = read(fds[0], ret_output + n, n_output - 1 - n)) > 0)
		n += (size_t)n_read;
	ret_output[n] = 0;
	close(fds[0]);
	CHECK_SYS(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void must_fail(const char *name, const char *reason)
{
	char output[8192];
	int code = run_faulty(name, output, sizeof(output));

	if (code != 1 || !strstr(output, reason) || !strstr(output, "\n0 passed, 1 failed, 0 skipped\n"))
		FAIL("%s ended with %d and said, without \"%s\":\n%s", name, code, reason, output);
}

TEST(catches_check, "a failed check fails the test and says what the call returned")
{
	must_fail("faulty_check", "-ENOSPC returned -28 (ENOSPC, No space left on device)");
}

TEST(catches_check_elsewhere, "a failed check in a child process or a thread fails the test too")
{
	must_fail("faulty_check_in_process", "1 + 1 == 3 does not hold: 2 (0x2), 3 (0x3)");
	must_fail("faulty_check_in_thread", "\"a\" is \"a\", \"b\" is \"b\"");
}

TEST(catches_signal, "a signal fails the test and is named")
{
	must_fail("faulty_signal", "ended by signal 15 (Terminated)");
}

TEST(catches_timeout, "a test that hangs is ended by its timeout, with its children")
{
	must_fail("faulty_timeout", "  timeout\n");
	must_fail("faulty_timeout_with_child", "  timeout\n");
}

TEST(catches_exit_code, "a test that exits by itself with an error fails")
{
	must_fail("faulty_exit_code", "ended with exit code 3");
}

TEST(catches_fd, "a descriptor left open fails the test and is named")
{
	must_fail("faulty_fd", "/dev/null\n");
}

TEST(catches_mapping, "a mapping of a memfd left behind fails the test")
{
	must_fail("faulty_mapping", "left behind: 1 mappings of memfds");
}

TEST(catches_child, "a child process left running fails the test")
{
	must_fail("faulty_child", "left behind: a child process that still runs");
}

TEST(catches_grandchild, "an orphan of a dead child fails the test and is ended")
{
	char output[8192], *at;

	CHECK_EQ(run_faulty("faulty_grandchild", output, sizeof(output)), 1);
	CHECK(strstr(output, "left behind: 1 processes that still run"));
	at = strstr(output, "grandchild ");
	CHECK(at);
	CHECK_EQ(kill(atoi(at + strlen("grandchild ")), 0), -1);
	CHECK_EQ(errno, ESRCH);
}

TEST(catches_thread, "a thread left running fails the test")
{
	must_fail("faulty_thread", "left behind: 1 threads");
}

TEST(catches_dev_shm, "a name left in /dev/shm fails the test")
{
	char output[8192], *name;
	int code = run_faulty("faulty_dev_shm", output, sizeof(output));

	if (code == 77)
		SKIP("no /dev/shm here");
	CHECK_EQ(code, 1);
	name = strstr(output, "left behind: /dev/shm/sealane-selftest-");
	CHECK(name);
	name += strlen("left behind: ");
	*strchr(name, '\n') = 0;
	CHECK_SYS(unlink(name));
}

TEST(catches_file, "a file left in the runtime directory fails a test that promised to leave nothing")
{
	must_fail("faulty_file", "left behind: socket");
}

TEST(reports_skip, "a skipped test says why, and is neither passed nor failed")
{
	char output[8192];

	CHECK_EQ(run_faulty("faulty_skip", output, sizeof(output)), 77);
	CHECK(strstr(output, "skipped: because of 42"));
	CHECK(strstr(output, "\n0 passed, 0 failed, 1 skipped\n"));
}

TEST(fails_without_tests, "a name that no test has is an error")
{
	char output[8192];

	CHECK_EQ(run_faulty("no such test", output, sizeof(output)), 2);
	CHECK_STR_EQ(output, "0 passed, 0 failed, 0 skipped\n");
}

static void step_along(void *arg)
{
	struct test_step *steps = arg;

	test_step_wait(&steps[0]);
	test_step_signal(&steps[1], 2);
}

TEST(steps, "a step is taken as often as it was signalled, between processes")
{
	struct test_step steps[2];
	eventfd_t one;
	pid_t pid;

	test_step_init(&steps[0]);
	test_step_init(&steps[1]);
	pid = test_fork(step_along, steps);
	test_step_signal(&steps[0], 1);
	test_step_wait(&steps[1]);
	test_step_wait(&steps[1]);
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EQ(eventfd_read(steps[1].fd, &one), -1);
	test_step_fini(&steps[0]);
	test_step_fini(&steps[1]);
}

TEST(runtime_dir, "each test has an empty runtime directory of its own in the environment")
{
	TEST_LEAVES_NOTHING();
	CHECK_STR_EQ(getenv("SEALANE_RUNTIME_DIR"), test_runtime_dir());
	CHECK_SYS(rmdir(test_runtime_dir()));
	CHECK_SYS(mkdir(test_runtime_dir(), 0700));
}

TEST(kill_status, "the end of a killed process is told from an exit code")
{
	pid_t pid = test_fork(sleep_in_process, NULL);

	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_GT(test_shmem_n_bytes() + 1, 0);
}
