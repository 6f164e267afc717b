/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test runner, see test.h. The runner is a child subreaper: whatever a test leaves running
 * becomes its child, is found, killed and held against the test. It never starts a thread, so that
 * the forked tests may do anything.
 */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test-private.h"

#define N_FDS_MAX 65536
#define SETTLE_NS (int64_t)5000000000 /* how long what is already ending may take to be gone, on a busy machine too */

/* What a test has before it starts, to be compared with what it has at its end. */
struct possessions {
	int n_memfds;
	int n_threads;
	char fds[N_FDS_MAX];
};

static struct test *tests;
static struct test **tests_end = &tests;

void test_register(struct test *test)
{
	*tests_end = test;
	tests_end = &test->next;
}

static void leak(const char *format, ...)
{
	va_list arguments;

	test_state.verdict->n_failures++;
	va_start(arguments, format);
	test_say(NULL, 0, "  left behind: ", format, arguments);
	va_end(arguments);
}

static int count_mappings(void)
{
	char line[PATH_MAX + 128];
	int n = 0;
	FILE *file = fopen("/proc/self/maps", "re");

	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, "/memfd:") != NULL;
	if (file)
		fclose(file);
	return n;
}

static int count_threads(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/task");

	for (struct dirent *entry; dir && (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void list_fds(char fds[static N_FDS_MAX])
{
	DIR *dir = opendir("/proc/self/fd");

	memset(fds, 0, N_FDS_MAX);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < N_FDS_MAX)
			fds[fd] = 1;
	}
	if (dir)
		closedir(dir);
}

static void look_for_leaks(const struct possessions *before)
{
	static struct possessions after;
	int64_t until_ns = test_now_ns() + SETTLE_NS;
	pid_t pid;

	/* A joined thread may need a moment more to leave /proc. */
	while (count_threads() > before->n_threads && test_now_ns() < until_ns)
		test_sleep_ms(1);
	if (count_threads() > before->n_threads)
		leak("%d threads", count_threads() - before->n_threads);

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		;
	if (pid == 0)
		leak("a child process that still runs");

	list_fds(after.fds);
	for (int fd = 0; fd < N_FDS_MAX; ++fd) {
		char path[64], target[256] = "";

		if (!after.fds[fd] || before->fds[fd])
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) < 0)
			strcpy(target, strerror(errno));
		leak("descriptor %d, %s", fd, target);
	}

	after.n_memfds = count_mappings();
	if (after.n_memfds > before->n_memfds)
		leak("%d mappings of memfds", after.n_memfds - before->n_memfds);
}

static void run_body(const struct test *test)
{
	static struct possessions before;
	pid_t runner = getppid();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != runner)
		_exit(1);
	setpgid(0, 0);
	prctl(PR_SET_NAME, test->name);
	setenv("SEALANE_RUNTIME_DIR", test_state.runtime_dir, 1);

	before.n_threads = count_threads();
#ifdef __SANITIZE_THREAD__
	/* ThreadSanitizer starts one of its own with the first of ours. */
	before.n_threads++;
#endif
	before.n_memfds = count_mappings();
	list_fds(before.fds);
	test->function();
	look_for_leaks(&before);
	/* Not _exit(): leak checkers and coverage counters work at exit. */
	exit(test_state.verdict->n_failures ? 1 : 0);
}

/* Kills every child of this process, until there is none, children of children included. Returns how many there were. */
static int end_orphans(void)
{
	int64_t until_ns = test_now_ns() + SETTLE_NS;
	int n = 0;

	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		DIR *dir;

		if (pid > 0)
			continue;
		if (pid < 0)
			return n;
		/* A process that was killed a moment ago is not one that runs on. */
		if (n == 0 && test_now_ns() < until_ns) {
			test_sleep_ms(1);
			continue;
		}
		dir = opendir("/proc");
		for (struct dirent *entry; dir && (entry = readdir(dir));) {
			char path[300], stat[512] = "", *end;
			int ppid = 0, fd;

			snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
			if (atoi(entry->d_name) <= 0 || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
				continue;
			if (read(fd, stat, sizeof(stat) - 1) > 0 && (end = strrchr(stat, ')')))
				sscanf(end + 1, " %*c %d", &ppid);
			close(fd);
			if (ppid == getpid() && kill(atoi(entry->d_name), SIGKILL) == 0)
				++n;
		}
		if (dir)
			closedir(dir);
		test_sleep_ms(1);
	}
}

static int remove_entry(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	if (ftw->level > 0 && test_state.verdict->leaves_nothing)
		leak("%s", path + strlen(test_state.runtime_dir) + 1);
	return remove(path) < 0 && ftw->level == 0 ? -1 : 0;
}

/* Names of ours in /dev/shm that are newer than since are leaks; others' come and go while we run. */
static void look_at_dev_shm(const struct timespec *since)
{
	DIR *dir = opendir("/dev/shm");

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct stat stat;

		if (!strstr(entry->d_name, "sea") || fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (stat.st_uid == geteuid() &&
		    (stat.st_ctim.tv_sec > since->tv_sec ||
		     (stat.st_ctim.tv_sec == since->tv_sec && stat.st_ctim.tv_nsec >= since->tv_nsec)))
			leak("/dev/shm/%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

/* Waits for the test's main process; false if it had to be killed. */
static bool await(pid_t pid, double timeout_s, int *ret_status)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	bool ended = fd < 0 || poll(&poll_fd, 1, (int)(timeout_s * 1000)) > 0;

	if (!ended)
		kill(-pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	return ended;
}

static const char *run_test(const struct test *test)
{
	const char *tmp = getenv("TMPDIR");
	struct timespec since;
	/* Long forms repeat what the short ones do, thousands of times. */
	double timeout_s = test->timeout_s * test_state.patience * (test_is_soak() ? 1000 : 1);
	int status = 0, n_orphans;
	pid_t pid;

	memset(test_state.verdict, 0, sizeof(*test_state.verdict));
	snprintf(test_state.runtime_dir, sizeof(test_state.runtime_dir), "%s/sealane-test-XXXXXX",
	         tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(test_state.runtime_dir)) {
		printf("  %s: %s\n", test_state.runtime_dir, strerror(errno));
		return "FAILED ";
	}
	/* Files get the time of the last tick, which lies before now. */
	clock_gettime(CLOCK_REALTIME_COARSE, &since);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_body(test);
	if (pid < 0 || !await(pid, timeout_s, &status)) {
		printf("  %s\n", pid < 0 ? "no process for it" : "timeout");
		test_state.verdict->n_failures++;
	} else if (WIFSIGNALED(status)) {
		printf("  ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
		test_state.verdict->n_failures++;
	} else if (WEXITSTATUS(status) != 0 && !test_state.verdict->n_failures && !test_state.verdict->skipped) {
		printf("  ended with exit code %d\n", WEXITSTATUS(status));
		test_state.verdict->n_failures++;
	}
	n_orphans = end_orphans();
	if (n_orphans)
		leak("%d processes that still run", n_orphans);
	look_at_dev_shm(&since);
	nftw(test_state.runtime_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);

	return test_state.verdict->n_failures ? "FAILED " : test_state.verdict->skipped ? "skipped" : "passed ";
}

static bool is_chosen(const struct test *test, int n_words, char **words)
{
	for (int i = 0; i < n_words; ++i) {
		/* A whole name means that test alone. */
		const struct test *named = tests;

		while (named && strcmp(named->name, words[i]) != 0)
			named = named->next;
		if (named ? named == test : strstr(test->name, words[i]) || strstr(test->sentence, words[i]))
			return true;
	}
	return n_words == 0;
}

int main(int argc, char **argv)
{
	struct rlimit no_core = { 0, 0 };
	const char *factor = getenv("SEALANE_TEST_TIMEOUT"), *seed = getenv("SEALANE_TEST_SEED");
	int n_passed = 0, n_failed = 0, n_skipped = 0, null_fd;

	if (factor && atof(factor) > 0)
		test_state.patience = atof(factor);
	test_state.random_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)test_now_ns() ^ ((uint64_t)getpid() << 32);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (const struct test *test = tests; test; test = test->next)
			printf("%s: %s\n", test->name, test->sentence);
		return 0;
	}
	if (argc > 1 && argv[1][0] == '-') {
		fprintf(stderr, "usage: %s [--list | WORD...]\n", argv[0]);
		return 2;
	}
	test_state.verdict = mmap(NULL, sizeof(*test_state.verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                          -1, 0);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (test_state.verdict == MAP_FAILED || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		perror("test runner");
		return 2;
	}
	setrlimit(RLIMIT_CORE, &no_core);
	/* Whoever started us may ignore or block signals that tests wait for. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);

	for (const struct test *test = tests; test; test = test->next) {
		int64_t start_ns = test_now_ns();
		const char *result;

		if (!is_chosen(test, argc - 1, argv + 1))
			continue;
		test_state.random_state = test_state.random_seed;
		result = run_test(test);
		n_failed += result[0] == 'F';
		n_skipped += result[0] == 's';
		n_passed += result[0] == 'p';
		if (result[0] == 'F')
			printf("  again with: SEALANE_TEST_SEED=%llu %s %s\n",
			       (unsigned long long)test_state.random_seed, argv[0], test->name);
		printf("%s %8.3f s  %s\n", result, (double)(test_now_ns() - start_ns) / 1e9, test->sentence);
		fflush(stdout);
	}
	printf("%d passed, %d failed, %d skipped\n", n_passed, n_failed, n_skipped);
	if (n_failed)
		return 1;
	if (n_passed)
		return 0;
	return n_skipped ? 77 : 2;
}
