/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each newer system call refused, as an older kernel or a container's filter would: two processes exchange messages all
 * the same, sleep and are woken, and notice each other's death. Both have the filter, or one of them.
 */
#include "rig.h"

#ifdef SEALANE_TEST_SECCOMP
#include <fcntl.h>
#include <linux/memfd.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum refusal {
	REFUSE_NOTHING,
	REFUSE_NOEXEC_SEAL,
	REFUSE_POPULATE,
	REFUSE_COLLAPSE,
	REFUSE_MADVISE,
	REFUSE_MEMBARRIER,
	REFUSE_PIDFD_OPEN,
	REFUSE_PEERPIDFD,
	REFUSE_BOTH_PIDFDS,
	REFUSE_PEERGROUPS,
	REFUSE_PWAIT2,
	REFUSE_PREADV2,
	REFUSE_OPENAT2,
	REFUSE_INOTIFY,
	REFUSE_INOTIFY_WATCH,
	REFUSE_LEASE,
	REFUSE_SETSIG,
	REFUSE_NUMA,
	REFUSE_GETRANDOM,
	REFUSE_PRLIMIT,
	REFUSE_PROC,
	REFUSE_ALL,
	N_REFUSALS,
};

static const char *const refusal_names[N_REFUSALS] = {
	"nothing",       "MFD_NOEXEC_SEAL", "MADV_POPULATE_WRITE",
	"MADV_COLLAPSE", "madvise",         "membarrier",
	"pidfd_open",    "SO_PEERPIDFD",    "both pidfd calls",
	"SO_PEERGROUPS", "epoll_pwait2",    "preadv2",
	"openat2",       "inotify_init1",   "inotify_add_watch",
	"F_SETLEASE",    "F_SETSIG",        "mbind and set_mempolicy",
	"getrandom",     "prlimit64",       "/proc",
	"all of it",
};

struct scene {
	enum refusal refusal;
	int error;
	bool filters[2]; /* producer, consumer */
	pid_t consumer;
	struct test_step holding, noticed, finish;
};

static scmp_filter_ctx filter;
static int filter_error;

static void refuse(int system_call)
{
	CHECK_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)filter_error), system_call, 0), 0);
}

static void refuse_if(int system_call, struct scmp_arg_cmp condition)
{
	CHECK_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)filter_error), system_call, 1, condition), 0);
}

/* What is not known to an older kernel is EINVAL or ENOPROTOOPT, whatever the filter would say. */
static void refuse_as(int error, int system_call, struct scmp_arg_cmp condition)
{
	CHECK_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), system_call, 1, condition), 0);
}

static void add(enum refusal refusal)
{
	switch (refusal) {
	case REFUSE_NOTHING:
	case REFUSE_PROC: break; /* by hiding it */
	case REFUSE_NOEXEC_SEAL:
		refuse_as(EINVAL, SCMP_SYS(memfd_create),
		          SCMP_A1(SCMP_CMP_MASKED_EQ, MFD_NOEXEC_SEAL, MFD_NOEXEC_SEAL));
		break;
	case REFUSE_POPULATE:
		refuse_as(filter_error == ENOSYS ? EINVAL : filter_error, SCMP_SYS(madvise),
		          SCMP_A2(SCMP_CMP_EQ, MADV_POPULATE_WRITE));
		break;
	case REFUSE_COLLAPSE:
		refuse_as(filter_error == ENOSYS ? EINVAL : filter_error, SCMP_SYS(madvise),
		          SCMP_A2(SCMP_CMP_EQ, MADV_COLLAPSE));
		break;
	case REFUSE_MADVISE:
		/* All advice that is only that; MADV_DONTFORK is older than memfds. */
		refuse_if(SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_HUGEPAGE));
		refuse_if(SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_DONTDUMP));
		break;
	case REFUSE_MEMBARRIER: refuse(SCMP_SYS(membarrier)); break;
	case REFUSE_PIDFD_OPEN: refuse(SCMP_SYS(pidfd_open)); break;
	case REFUSE_PEERPIDFD:
		refuse_as(filter_error == ENOSYS ? ENOPROTOOPT : filter_error, SCMP_SYS(getsockopt),
		          SCMP_A2(SCMP_CMP_EQ, SO_PEERPIDFD));
		break;
	case REFUSE_BOTH_PIDFDS:
		add(REFUSE_PIDFD_OPEN);
		add(REFUSE_PEERPIDFD);
		break;
	case REFUSE_PEERGROUPS:
		refuse_as(filter_error == ENOSYS ? ENOPROTOOPT : filter_error, SCMP_SYS(getsockopt),
		          SCMP_A2(SCMP_CMP_EQ, SO_PEERGROUPS));
		break;
	case REFUSE_PWAIT2: refuse(SCMP_SYS(epoll_pwait2)); break;
	case REFUSE_PREADV2: refuse(SCMP_SYS(preadv2)); break;
	case REFUSE_OPENAT2: refuse(SCMP_SYS(openat2)); break;
	case REFUSE_INOTIFY: refuse(SCMP_SYS(inotify_init1)); break;
	case REFUSE_INOTIFY_WATCH: refuse(SCMP_SYS(inotify_add_watch)); break;
	case REFUSE_LEASE: refuse_if(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETLEASE)); break;
	case REFUSE_SETSIG: refuse_if(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, F_SETSIG)); break;
	case REFUSE_NUMA:
		refuse(SCMP_SYS(mbind));
		refuse(SCMP_SYS(set_mempolicy));
		refuse(SCMP_SYS(get_mempolicy));
		break;
	case REFUSE_GETRANDOM: refuse(SCMP_SYS(getrandom)); break;
	case REFUSE_PRLIMIT: refuse(SCMP_SYS(prlimit64)); break;
	case REFUSE_ALL:
		for (enum refusal each = REFUSE_NOEXEC_SEAL; each < REFUSE_ALL; each++)
			if (each != REFUSE_BOTH_PIDFDS)
				add(each);
		break;
	default: FAIL("no such refusal");
	}
}

/* An empty directory over /proc, in a mount namespace of its own. */
static void hide_proc(void)
{
	CHECK_SYS(syscall(SYS_unshare, 0x00020000 /* CLONE_NEWNS */));
	CHECK_SYS(syscall(SYS_mount, "none", "/", NULL, 0x44000 /* MS_REC | MS_PRIVATE */, NULL));
	CHECK_SYS(syscall(SYS_mount, "none", "/proc", "tmpfs", 0, NULL));
	CHECK_SYS(access("/proc", F_OK));
	CHECK_EQ(access("/proc/self/fd", F_OK), -1);
}

static void install(const struct scene *scene)
{
	if (scene->refusal == REFUSE_PROC || (scene->refusal == REFUSE_ALL && geteuid() == 0))
		hide_proc();
	filter_error = scene->error;
	filter = seccomp_init(SCMP_ACT_ALLOW);
	CHECK(filter);
	add(scene->refusal);
	CHECK_EQ(seccomp_load(filter), 0);
	seccomp_release(filter);
	/* It holds. */
	if (scene->refusal == REFUSE_MEMBARRIER || scene->refusal == REFUSE_ALL) {
		CHECK_EQ(syscall(SYS_membarrier, 0, 0, 0), -1);
		CHECK_EQ(errno, scene->error);
	}
}

static size_t size_of(uint64_t i)
{
	static const size_t sizes[] = { 8, 500, 5000, 3u << 20 };

	return sizes[i % 4];
}

#define N_MESSAGES 40

static void consumer_main(void *arg)
{
	struct scene *scene = arg;
	struct sea_channel_options options = { .rcvbuf = -1, .spin_ns = 1 };
	struct sea_message *held[3];
	struct rig rig;

	if (scene->filters[1])
		install(scene);
	rig = rig_connect(SEA_PULL, "filtered", &options);
	/* Waits for each, and lets the sender wait for room now and then. */
	for (uint64_t i = 0; i < N_MESSAGES; i++) {
		if (i % 16 == 15)
			test_sleep_ms(1);
		rig_expect(&rig, i, i + 1);
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &held[i], rig_patience()));
	test_step_signal(&scene->holding, 1);
	for (;;)
		test_sleep_ms(1000);
}

static void producer_main(void *arg)
{
	struct scene *scene = arg;
	struct sea_channel_options options = { .sndbuf = 4, .spin_ns = 1 };
	struct sea_heap_options heap_options = { .quota_n_bytes = 64u << 20, .pages = SEA_PAGES_COLLAPSE };
	struct sea_session_stats stats;
	struct sea_message *message;
	struct sea_heap *heap;
	struct rig rig;
	int r;

	if (scene->filters[0])
		install(scene);
	rig = rig_bind(SEA_PUSH, "filtered", &options);
	for (uint64_t i = 0; i < N_MESSAGES; i++) {
		CHECK_OK(rig_send(&rig, i, size_of(i), rig_patience()));
		if (i % 16 == 7)
			test_sleep_ms(1);
	}
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	/* Retired arenas go back to the kernel, with a lease or without. */
	CHECK_OK(sea_heap_trim(sea_session_heap(rig.session), 0));
	CHECK_EVENTUALLY(sea_session_get_stats(rig.session, &stats) == 0 && stats.n_bytes_backed == 0);
	/* Asked for huge pages; what it got instead is its own affair. */
	r = sea_heap_new(&heap, rig.session, &heap_options);
	if (r < 0) {
		CHECK_EQ(r, -ENOTSUP);
		heap_options.pages = SEA_PAGES_DEFAULT;
		CHECK_OK(sea_heap_new(&heap, rig.session, &heap_options));
	}
	message = rig_message_of(heap, 0, 3u << 20);
	CHECK_OK(sea_channel_send(rig.channel, &message, rig_patience()));
	for (uint64_t i = 1; i < 3; i++)
		CHECK_OK(rig_send(&rig, i, 100000, rig_patience()));
	/* Death, and a wait at the quota's end that it ends. */
	CHECK_EVENTUALLY(rig_n_deaths(&rig) == 1);
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	test_step_signal(&scene->noticed, 1);
	rig_close(&rig);
}

static void play(enum refusal refusal, int error, bool producer, bool consumer)
{
	struct scene *scene = test_shared(sizeof(*scene));
	pid_t producer_pid, consumer_pid;
	int r;

	scene->refusal = refusal;
	scene->error = error;
	scene->filters[0] = producer;
	scene->filters[1] = consumer;
	test_step_init(&scene->holding);
	test_step_init(&scene->noticed);
	producer_pid = test_fork(producer_main, scene);
	consumer_pid = test_fork(consumer_main, scene);
	test_step_wait(&scene->holding);
	CHECK_EQ(test_kill(consumer_pid), -SIGKILL);
	r = test_wait(producer_pid);
	if (r != 0)
		FAIL("%s refused with %s to%s%s: the producer ended with %d", refusal_names[refusal],
		     strerrorname_np(error), producer ? " the producer" : "", consumer ? " the consumer" : "", r);
	test_step_fini(&scene->holding);
	test_step_fini(&scene->noticed);
}

static void play_all_ways(enum refusal refusal)
{
	play(refusal, ENOSYS, true, true);
	play(refusal, EPERM, true, true);
	play(refusal, ENOSYS, true, false);
	play(refusal, EPERM, false, true);
}

#define TEST_REFUSED(name, refusal, what)                                      \
	TEST(refused_##name, "without " what " everything works all the same") \
	{                                                                      \
		play_all_ways(refusal);                                        \
	}

TEST_REFUSED(noexec_seal, REFUSE_NOEXEC_SEAL, "MFD_NOEXEC_SEAL")
TEST_REFUSED(populate, REFUSE_POPULATE, "MADV_POPULATE_WRITE")
TEST_REFUSED(collapse, REFUSE_COLLAPSE, "MADV_COLLAPSE")
TEST_REFUSED(madvise, REFUSE_MADVISE, "MADV_HUGEPAGE and MADV_DONTDUMP")
TEST_REFUSED(membarrier, REFUSE_MEMBARRIER, "membarrier()")
TEST_REFUSED(pidfd_open, REFUSE_PIDFD_OPEN, "pidfd_open()")
TEST_REFUSED(peerpidfd, REFUSE_PEERPIDFD, "SO_PEERPIDFD")
TEST_REFUSED(pidfds, REFUSE_BOTH_PIDFDS, "any pidfd")
TEST_REFUSED(peergroups, REFUSE_PEERGROUPS, "SO_PEERGROUPS")
TEST_REFUSED(pwait2, REFUSE_PWAIT2, "epoll_pwait2()")
TEST_REFUSED(preadv2, REFUSE_PREADV2, "preadv2()")
TEST_REFUSED(openat2, REFUSE_OPENAT2, "openat2()")
TEST_REFUSED(inotify, REFUSE_INOTIFY, "inotify_init1()")
TEST_REFUSED(inotify_watch, REFUSE_INOTIFY_WATCH, "inotify_add_watch()")
TEST_REFUSED(lease, REFUSE_LEASE, "F_SETLEASE")
TEST_REFUSED(setsig, REFUSE_SETSIG, "F_SETSIG")
TEST_REFUSED(numa, REFUSE_NUMA, "the calls for NUMA nodes")
TEST_REFUSED(getrandom, REFUSE_GETRANDOM, "getrandom()")
TEST_REFUSED(prlimit, REFUSE_PRLIMIT, "prlimit64()")

TEST(nothing_refused, "with everything allowed the scene of these tests works")
{
	play(REFUSE_NOTHING, EPERM, true, true);
}

TEST(refused_proc, "without /proc everything works all the same")
{
	if (geteuid() != 0)
		SKIP("only root can hide /proc");
	play(REFUSE_PROC, EPERM, true, true);
	play(REFUSE_PROC, EPERM, true, false);
	play(REFUSE_PROC, EPERM, false, true);
}

TEST(refused_all, "without any of these calls, all at once, everything works all the same")
{
	play_all_ways(REFUSE_ALL);
}

#else

TEST(no_seccomp, "system calls can be refused")
{
	SKIP("libseccomp is not installed");
}

#endif
