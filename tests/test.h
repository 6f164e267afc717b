/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test harness: each TEST is a function that runs in a child process of its own, with a
 * timeout, a process group, and an empty runtime directory (SEALANE_RUNTIME_DIR) of its own. A
 * test fails by a failed check in any of its processes and threads, by a signal, by the timeout,
 * and by what it leaves behind: a descriptor, a mapping of a memfd, a thread, a process, or a name of
 * ours in /dev/shm.
 *
 *	#include "test.h"
 *
 *	TEST(arena_empty, "an arena of zero bytes is refused")
 *	{
 *		CHECK_ERR(seai_arena_new(&arena, 0), -EINVAL);
 *	}
 *
 * There is no main() to write. `test-x` runs all, `test-x WORD...` those whose name or sentence
 * contains one of the words, `test-x --list` names them. $SEALANE_TEST_TIMEOUT multiplies all timeouts; with
 * $SEALANE_SOAK a test may take a thousand times as long.
 * Exit code: 0 all passed, 1 one failed, 77 all were skipped, 2 nothing to run.
 */
#ifndef SEALANE_TEST_H
#define SEALANE_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct test {
	const char *name;
	const char *sentence;
	void (*function)(void);
	double timeout_s;
	struct test *next;
};

void test_register(struct test *test);

/* TEST(name, "a sentence about behaviour") { ... }; the second form has its own timeout in seconds, default 20. */
#define TEST(name, sentence) TEST_TIMEOUT(name, sentence, 20)
#define TEST_TIMEOUT(name, sentence, seconds)                                                        \
	static void test_body_##name(void);                                                          \
	static struct test test_entry_##name = { #name, sentence, test_body_##name, seconds, NULL }; \
	__attribute__((constructor)) static void test_register_##name(void)                          \
	{                                                                                            \
		test_register(&test_entry_##name);                                                   \
	}                                                                                            \
	static void test_body_##name(void)

/* Ends the test here, which counts as skipped; the reason (printf-like) is printed. */
#define SKIP(...) test_skip(__VA_ARGS__)

/* Ends the calling process; the test has failed. printf-like. */
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* From here on the test also fails if it leaves a file in its runtime directory. */
#define TEST_LEAVES_NOTHING() test_leaves_nothing()

/* Each CHECK ends the calling process if it does not hold; the test has failed, also if that was not its main process. */
#define CHECK(condition)                                                               \
	do {                                                                           \
		if (!(condition))                                                      \
			test_fail(__FILE__, __LINE__, "%s does not hold", #condition); \
	} while (0)

/* Integers of any type; the values are printed. */
#define CHECK_EQ(a, b) CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) CHECK_OP(a, !=, b)
#define CHECK_LT(a, b) CHECK_OP(a, <, b)
#define CHECK_LE(a, b) CHECK_OP(a, <=, b)
#define CHECK_GT(a, b) CHECK_OP(a, >, b)
#define CHECK_GE(a, b) CHECK_OP(a, >=, b)
#define CHECK_OP(a, op, b)                                                                                             \
	do {                                                                                                           \
		__typeof__((a) + 0) check_a_ = (a);                                                                    \
		__typeof__((b) + 0) check_b_ = (b);                                                                    \
		if (!(check_a_ op(__typeof__((a) + 0)) check_b_))                                                      \
			test_fail(__FILE__, __LINE__, "%s %s %s does not hold: %lld (0x%llx), %lld (0x%llx)", #a, #op, \
			          #b, (long long)check_a_, (unsigned long long)check_a_, (long long)check_b_,          \
			          (unsigned long long)check_b_);                                                       \
	} while (0)

#define CHECK_STR_EQ(a, b) test_check_str(a, b, #a, #b, __FILE__, __LINE__)
#define CHECK_MEM_EQ(a, b, n_bytes) test_check_mem(a, b, n_bytes, #a, #b, __FILE__, __LINE__)

/* A call of ours: 0 or a count is good, negative errno is not. Has the value of the call. */
#define CHECK_OK(call) test_check_ok((long long)(call), #call, __FILE__, __LINE__)
/* A call of ours that must fail with just this: CHECK_ERR(call, -EAGAIN). */
#define CHECK_ERR(call, expected) test_check_err((long long)(call), expected, #call, __FILE__, __LINE__)
/* A call of the C library that sets errno and returns -1. Has the value of the call. */
#define CHECK_SYS(call) test_check_sys((long long)(call), #call, __FILE__, __LINE__)

/* Looks every millisecond until the condition holds; for what happens "soon". Gives up after 10 s (times the multiplier). */
#define CHECK_EVENTUALLY(condition)                                                                 \
	do {                                                                                        \
		int64_t check_until_ = test_now_ns() + test_patience_ns();                          \
		while (!(condition)) {                                                              \
			if (test_now_ns() > check_until_)                                           \
				test_fail(__FILE__, __LINE__, "%s never came to hold", #condition); \
			test_sleep_ms(1);                                                           \
		}                                                                                   \
	} while (0)

void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));
void test_leaves_nothing(void);
void test_check_str(const char *a, const char *b, const char *a_text, const char *b_text, const char *file, int line);
void test_check_mem(const void *a, const void *b, size_t n_bytes, const char *a_text, const char *b_text,
                    const char *file, int line);
long long test_check_ok(long long result, const char *text, const char *file, int line);
long long test_check_err(long long result, int expected, const char *text, const char *file, int line);
long long test_check_sys(long long result, const char *text, const char *file, int line);

/*
 * Starts a process that runs function(arg) and ends with 0. It is killed when the thread that
 * called this ends (PR_SET_PDEATHSIG): call it on the test's main thread, and wait for it.
 */
pid_t test_fork(void (*function)(void *arg), void *arg);

/* Waits for a process: its exit code, or minus the signal that ended it. */
int test_wait(pid_t pid);

/* SIGKILL, then test_wait(). */
int test_kill(pid_t pid);

/* Memory shared with every process that is forked later, zeroed. Never unmapped; it is gone with the test. */
void *test_shared(size_t n_bytes);

/*
 * Steps between processes: signal adds n, wait takes one, or fails the test after the patience of
 * CHECK_EVENTUALLY. Make it before the fork; fini in the test's main process.
 */
struct test_step {
	int fd;
};
void test_step_init(struct test_step *step);
void test_step_fini(struct test_step *step);
void test_step_signal(struct test_step *step, unsigned n);
void test_step_wait(struct test_step *step);

int64_t test_now_ns(void);
int64_t test_patience_ns(void);
void test_sleep_ms(int64_t ms);

/* A random number whose seed is printed with each test and comes from $SEALANE_TEST_SEED where that is set. */
uint64_t test_random(void);

/* Shmem of /proc/meminfo in bytes: all shared memory of the machine, tmpfs files included. */
uint64_t test_shmem_n_bytes(void);

/* This test's runtime directory, and the sealane command of this build. */
const char *test_runtime_dir(void);
const char *test_command(void);

/* Whether $SEALANE_SOAK asks for the long form of a test; whether a sanitizer is built in. */
bool test_is_soak(void);
bool test_is_sanitized(void);

#endif
