/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's front and `sealane doctor`, as a user runs them: exit codes, one clear line for
 * what is wrong, and --clean, which must remove what the dead left and nothing else. The sockets of
 * the living and the dead are made here by hand, so that no library is needed to make them.
 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef SEALANE_TEST_SECCOMP
#include <seccomp.h>
#endif

#define N_ARGUMENTS_MAX 8
#define SOCKET_LIVE "p-00000000000000a1.sock"
#define SOCKET_DEAD "p-00000000000000d1.sock"

struct run {
	int exit_code;
	char out[65536];
	char err[4096];
};

static void file_read(const char *path, char *text, size_t n_text)
{
	FILE *file = fopen(path, "re");
	size_t n;

	CHECK(file);
	n = fread(text, 1, n_text - 1, file);
	text[n] = '\0';
	fclose(file);
}

static void path_make(char *path, size_t n_path, const char *name)
{
	CHECK_LT(snprintf(path, n_path, "%s/%s", test_runtime_dir(), name), (int)n_path);
}

/* Runs the command with what stands before a NULL; `prepare` runs in its process, before it. */
static void run_prepared(struct run *run, void (*prepare)(void), const char *const *arguments)
{
	char out_path[512], err_path[512];
	char *line[N_ARGUMENTS_MAX + 2] = { (char *)test_command() };
	pid_t pid;

	path_make(out_path, sizeof(out_path), "out.txt");
	path_make(err_path, sizeof(err_path), "err.txt");
	for (size_t i = 0; i < N_ARGUMENTS_MAX && arguments[i]; i++)
		line[i + 1] = (char *)arguments[i];
	pid = CHECK_SYS(fork());
	if (pid == 0) {
		if (!freopen(out_path, "w", stdout) || !freopen(err_path, "w", stderr))
			_exit(99);
		if (prepare)
			prepare();
		execv(line[0], line);
		_exit(98);
	}
	run->exit_code = test_wait(pid);
	file_read(out_path, run->out, sizeof(run->out));
	file_read(err_path, run->err, sizeof(run->err));
}

#define RUN(run, prepare, ...) run_prepared(run, prepare, (const char *const[]){ __VA_ARGS__, NULL })

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* A session's directory. @return its descriptor */
static int session_make(const char *name)
{
	char path[512];

	path_make(path, sizeof(path), name);
	CHECK_SYS(mkdir(path, 0700));
	return (int)CHECK_SYS(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Binds and listens as a process does. @return the socket; closed, it is that of a dead process */
static int socket_make(const char *session, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/%s", test_runtime_dir(), session, name);

	CHECK_LT(n, (int)sizeof(address.sun_path));
	CHECK_SYS(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	CHECK_SYS(listen(fd, 8));
	return fd;
}

static bool is_there(int directory_fd, const char *name)
{
	struct stat status;

	return fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

TEST(command_line, "a wrong command line is one line that says what was meant, and exit code 2")
{
	static struct run run;

	RUN(&run, NULL, "docter");
	CHECK_EQ(run.exit_code, 2);
	CHECK_EQ(count_lines(run.err), 1);
	CHECK(strstr(run.err, "'doctor'"));
	CHECK_STR_EQ(run.out, "");

	RUN(&run, NULL, "doctor", "--quite");
	CHECK_EQ(run.exit_code, 2);
	CHECK_EQ(count_lines(run.err), 1);
	CHECK(strstr(run.err, "--quiet"));

	RUN(&run, NULL, "doctor", "--session");
	CHECK_EQ(run.exit_code, 2);
	RUN(&run, NULL, "doctor", "--session", "../x");
	CHECK_EQ(run.exit_code, 2);
	RUN(&run, NULL, "doctor", "stray");
	CHECK_EQ(run.exit_code, 2);
	RUN(&run, NULL, "help", "nosuch");
	CHECK_EQ(run.exit_code, 2);

	RUN(&run, NULL, "help", "doctor");
	CHECK_EQ(run.exit_code, 0);
	CHECK(strstr(run.out, "--clean"));
	RUN(&run, NULL, "--version");
	CHECK_EQ(run.exit_code, 0);
	CHECK(strncmp(run.out, "sealane ", 8) == 0);
}

static void prepare_full_disk(void)
{
	if (!freopen("/dev/full", "w", stdout))
		_exit(99);
}

TEST(output_is_lost, "a report that cannot be written is a failure")
{
	static struct run run;

	RUN(&run, prepare_full_disk, "doctor");
	CHECK_EQ(run.exit_code, 1);
	CHECK_EQ(count_lines(run.err), 1);
}

TEST(nothing_left, "a report leaves nothing in the runtime directory, and has no colours in a file")
{
	static struct run run;
	char path[512];

	RUN(&run, NULL, "doctor");
	CHECK(strstr(run.out, "runtime directory"));
	CHECK(!strchr(run.out, '\033'));
	RUN(&run, NULL, "doctor", "--json");
	CHECK(run.out[0] == '{');
	CHECK_EQ(count_lines(run.out), 1);

	path_make(path, sizeof(path), "out.txt");
	CHECK_SYS(unlink(path));
	path_make(path, sizeof(path), "err.txt");
	CHECK_SYS(unlink(path));
	TEST_LEAVES_NOTHING();
}

TEST(clean, "--clean removes what the dead left and nothing of the living or of strangers")
{
	static struct run run;
	int session = session_make("daq");
	int live = socket_make("daq", SOCKET_LIVE);
	int strange, locked;

	close(socket_make("daq", SOCKET_DEAD));
	CHECK_SYS(symlinkat(SOCKET_LIVE, session, "c-live"));
	CHECK_SYS(symlinkat(SOCKET_DEAD, session, "c-dead"));
	CHECK_SYS(symlinkat("p-00000000000000d2.sock", session, "c-gone"));
	CHECK_SYS(symlinkat("/etc/passwd", session, "c-odd"));
	strange = (int)CHECK_SYS(openat(session, "notes\033[31m", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	close(strange);

	/* The table wraps its lines, JSON does not. */
	RUN(&run, NULL, "doctor", "--json");
	CHECK(strstr(run.out, "daq: 1 live process, 1 address, 3 leftovers"));
	RUN(&run, NULL, "doctor");
	CHECK(strstr(run.out, "mend    sealane doctor --clean --session daq\n"));
	CHECK(!strchr(run.out, '\033'));
	CHECK(is_there(session, SOCKET_DEAD));

	/* Another session is none of its business. */
	RUN(&run, NULL, "doctor", "--clean", "--session", "other");
	CHECK(is_there(session, SOCKET_DEAD));

	/* Somebody is at work: the dead are not certain to be dead, and nothing is removed. */
	locked = (int)CHECK_SYS(openat(session, ".lock", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	CHECK_SYS(flock(locked, LOCK_EX));
	RUN(&run, NULL, "doctor", "--json", "--clean");
	CHECK(strstr(run.out, "nothing was removed"));
	CHECK(is_there(session, SOCKET_DEAD));
	close(locked);

	RUN(&run, NULL, "doctor", "--json", "--clean");
	CHECK(strstr(run.out, "3 leftovers removed"));
	CHECK(!is_there(session, SOCKET_DEAD));
	CHECK(!is_there(session, "c-dead"));
	CHECK(!is_there(session, "c-gone"));
	CHECK(is_there(session, SOCKET_LIVE));
	CHECK(is_there(session, "c-live"));
	CHECK(is_there(session, "c-odd"));
	CHECK(is_there(session, "notes\033[31m"));
	CHECK(is_there(session, ".lock"));

	close(live);
	RUN(&run, NULL, "doctor", "--clean", "--session", "daq");
	CHECK(!is_there(session, SOCKET_LIVE));
	CHECK(!is_there(session, "c-live"));
	close(session);
}

TEST(stopped, "a process whose backlog is full is alive")
{
	static struct run run;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int session = session_make("daq");
	int live = socket_make("daq", SOCKET_LIVE);
	int waiting[64];
	size_t n_waiting = 0;
	int r = 0;

	CHECK_LT(snprintf(address.sun_path, sizeof(address.sun_path), "%s/daq/" SOCKET_LIVE, test_runtime_dir()),
	         (int)sizeof(address.sun_path));
	while (r == 0 && n_waiting < 64) {
		waiting[n_waiting] = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
		r = connect(waiting[n_waiting++], (struct sockaddr *)&address, sizeof(address));
	}
	CHECK_EQ(errno, EAGAIN);
	RUN(&run, NULL, "doctor", "--json", "--clean");
	CHECK(strstr(run.out, "daq: 1 live process"));
	CHECK(strstr(run.out, "does not accept"));
	CHECK(is_there(session, SOCKET_LIVE));
	while (n_waiting > 0)
		close(waiting[--n_waiting]);
	close(live);
	close(session);
}

TEST(directory, "a runtime directory that the library would refuse is bad: exit code 1, with the command that mends it")
{
	static struct run run;
	char path[512], name[512];

	path_make(path, sizeof(path), "open");
	CHECK_SYS(mkdir(path, 0700));
	CHECK_SYS(chmod(path, 0777));
	RUN(&run, NULL, "doctor", "--json", "--runtime-dir", path);
	CHECK_EQ(run.exit_code, 1);
	CHECK(strstr(run.out, "others may write in it"));
	CHECK(strstr(run.out, "chmod 700 "));

	CHECK_SYS(chmod(path, 0700));
	path_make(name, sizeof(name), "link");
	CHECK_SYS(symlink(path, name));
	RUN(&run, NULL, "doctor", "--json", "--runtime-dir", name);
	CHECK_EQ(run.exit_code, 1);
	CHECK(strstr(run.out, "a symbolic link"));

	path_make(name, sizeof(name), "no/where");
	RUN(&run, NULL, "doctor", "--json", "--runtime-dir", name);
	CHECK_EQ(run.exit_code, 1);
}

TEST(long_directory, "sessions are looked into also where paths are longer than a socket's address")
{
	static struct run run;
	char path[512], deep[512];
	int here = (int)CHECK_SYS(open(".", O_PATH | O_CLOEXEC));
	int dead;
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET_DEAD };

	path_make(path, sizeof(path),
	          "a-name-of-a-directory-that-is-a-good-deal-longer-than-anybody-would-like-to-type-but-that-exists");
	CHECK_SYS(mkdir(path, 0700));
	CHECK_LT(snprintf(deep, sizeof(deep), "%s/daq", path), (int)sizeof(deep));
	CHECK_SYS(mkdir(deep, 0700));
	CHECK_SYS(chdir(deep));
	dead = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	CHECK_SYS(bind(dead, (struct sockaddr *)&address, sizeof(address)));
	close(dead);
	RUN(&run, NULL, "doctor", "--json", "--clean", "--runtime-dir", path);
	CHECK(strstr(run.out, "1 leftover removed"));
	CHECK_EQ(access(SOCKET_DEAD, F_OK), -1);
	CHECK_SYS(fchdir(here));
	close(here);
}

static void prepare_few_files(void)
{
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 64 });
}

TEST(few_files, "a low limit on open files is a warning with the number of peers it leaves room for")
{
	static struct run run;

	RUN(&run, prepare_few_files, "doctor", "--quiet");
	CHECK(strstr(run.out, "room for 12 peers"));
	CHECK(strstr(run.out, "LimitNOFILE"));
	/* Quiet shows nothing that is well. */
	CHECK(!strstr(run.out, "  ok  "));
}

#ifdef SEALANE_TEST_SECCOMP
static void refuse(int error, int call)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), call, 0) < 0 ||
	    seccomp_load(filter) < 0)
		_exit(77);
	seccomp_release(filter);
}

static void prepare_no_memfd(void)
{
	refuse(EPERM, SCMP_SYS(memfd_create));
}

static void prepare_no_membarrier(void)
{
	refuse(ENOSYS, SCMP_SYS(membarrier));
}

TEST(refused_calls,
     "a system call that is refused is found out: bad where nothing works without it, a warning where it costs time")
{
	static struct run run;

	RUN(&run, prepare_no_memfd, "doctor", "--quiet");
	if (run.exit_code == 77)
		SKIP("seccomp filters cannot be loaded here");
	CHECK_EQ(run.exit_code, 1);
	CHECK(strstr(run.out, "bad   memfd_create"));

	RUN(&run, prepare_no_membarrier, "doctor", "--quiet");
	CHECK(strstr(run.out, "warn  membarrier"));
	CHECK(strstr(run.out, "20 ns a message"));
}
#endif
