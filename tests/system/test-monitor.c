/* SPDX-License-Identifier: Apache-2.0 */
/* What a watcher sees of processes that run, hang, are stopped and are killed, and what it cleans up; by the library and by the command. */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/monitor.h>

#define N_HELD 3

struct scene {
	struct test_step ready, go;
	uint64_t id[2];
};

static struct scene *scene_make(void)
{
	struct scene *scene = test_shared(sizeof(*scene));

	test_step_init(&scene->ready);
	test_step_init(&scene->go);
	return scene;
}

static void scene_fini(struct scene *scene)
{
	test_step_fini(&scene->ready);
	test_step_fini(&scene->go);
}

/* Receives some messages and keeps them until told to go. */
static void scene_holder(void *arg)
{
	struct scene *scene = arg;
	struct sea_message *messages[N_HELD];
	struct rig rig = rig_bind(SEA_PULL, "held", NULL);

	scene->id[1] = sea_session_id(rig.session);
	CHECK_OK(sea_session_set_state(rig.session, "HOLDING"));
	for (int i = 0; i < N_HELD; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	test_step_signal(&scene->ready, 1);
	test_step_wait(&scene->go);
	for (int i = 0; i < N_HELD; i++)
		sea_message_unref(messages[i]);
	rig_close(&rig);
}

static void scene_idle(void *arg)
{
	struct scene *scene = arg;
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	scene->id[1] = sea_session_id(session);
	test_step_signal(&scene->ready, 1);
	test_step_wait(&scene->go);
	sea_session_close(session);
}

static struct sea_monitor_snapshot *look(const struct sea_monitor_options *options)
{
	struct sea_monitor_snapshot *snapshot;

	CHECK_OK(sea_monitor_take(&snapshot, options));
	return snapshot;
}

static const struct sea_monitor_process *find(const struct sea_monitor_snapshot *snapshot, uint64_t id)
{
	for (size_t i = 0; i < snapshot->n_processes; i++)
		if (snapshot->processes[i].id == id)
			return &snapshot->processes[i];
	return NULL;
}

static int condition_of(uint64_t id, int64_t timeout_ns)
{
	struct sea_monitor_options options = { .timeout_ns = timeout_ns };
	struct sea_monitor_snapshot *snapshot = look(&options);
	const struct sea_monitor_process *process = find(snapshot, id);
	int condition = process ? (int)process->condition : -1;

	sea_monitor_free(snapshot);
	return condition;
}

/* What a holder has of an owner's memory; n_blocks 0: nothing. */
static struct sea_monitor_holder holder_of(uint64_t owner, uint64_t holder)
{
	struct sea_monitor_snapshot *snapshot = look(NULL);
	struct sea_monitor_holder found = { 0 };

	for (size_t i = 0; i < snapshot->n_holders; i++)
		if (snapshot->holders[i].process_id == owner && snapshot->holders[i].holder_id == holder)
			found = snapshot->holders[i];
	sea_monitor_free(snapshot);
	return found;
}

TEST(holds_shown, "who holds what since when is shown with the right holder, oldest first, and its bytes can be read")
{
	struct scene *scene = scene_make();
	pid_t pid = test_fork(scene_holder, scene);
	struct rig rig = rig_connect(SEA_PUSH, "held", NULL);
	struct sea_monitor_snapshot *snapshot;
	const struct sea_monitor_process *process;
	size_t n_holds = 0;
	int64_t age_ns = INT64_MAX;

	for (uint64_t i = 0; i < N_HELD; i++) {
		CHECK_OK(rig_send(&rig, i, 4096 << i, rig_patience()));
		/* So that their ages differ by more than the clock of the watched. */
		test_sleep_ms(i + 1 < N_HELD ? 1100 : 0);
	}
	test_step_wait(&scene->ready);
	scene->id[0] = sea_session_id(rig.session);
	CHECK_EVENTUALLY(holder_of(scene->id[0], scene->id[1]).n_blocks == N_HELD);
	snapshot = look(NULL);
	process = find(snapshot, scene->id[1]);
	CHECK(process);
	CHECK_EQ(process->pid, pid);
	CHECK_STR_EQ(process->state, "HOLDING");
	CHECK_EQ(process->condition, SEA_MONITOR_RUNNING);
	for (size_t i = 0; i < snapshot->n_holds; i++) {
		const struct sea_monitor_hold *hold = &snapshot->holds[i];
		uint64_t number;

		if (hold->holder_id != scene->id[1])
			continue;
		CHECK_EQ(hold->process_id, scene->id[0]);
		CHECK_GE(hold->age_ns, 0);
		CHECK_LT(hold->age_ns, age_ns);
		age_ns = hold->age_ns;
		CHECK_EQ(sea_monitor_read(getpid(), hold, 0, &number, sizeof(number)), sizeof(number));
		CHECK_EQ(number, n_holds++);
	}
	CHECK_EQ(n_holds, N_HELD);
	sea_monitor_free(snapshot);
	test_step_signal(&scene->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EVENTUALLY(holder_of(scene->id[0], scene->id[1]).n_blocks == 0);
	rig_close(&rig);
	scene_fini(scene);
}

TEST(figures, "heaps, channels, addresses and full queues are shown as the process itself knows them")
{
	struct sea_channel_options options = { .sndbuf = 5, .rcvbuf = -1 };
	struct rig rig = rig_connect(SEA_PUSH, "figures", &options);
	struct sea_channel *pull;
	struct sea_monitor_snapshot *snapshot;
	struct sea_heap_stats stats;

	CHECK_OK(sea_channel_new(&pull, rig.session, SEA_PULL, &options));
	CHECK_OK(sea_channel_bind(pull, "figures"));
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (uint64_t i = 0; i < 5; i++)
		CHECK_OK(rig_send(&rig, i, 100000, rig_patience()));
	CHECK_OK(sea_heap_get_stats(sea_session_heap(rig.session), &stats));
	for (;;) {
		uint64_t n_sent = 0;

		snapshot = look(NULL);
		for (size_t i = 0; i < snapshot->n_channels; i++)
			n_sent += snapshot->channels[i].n_sent;
		if (n_sent == 5)
			break;
		sea_monitor_free(snapshot);
		test_sleep_ms(20);
	}
	CHECK_EQ(snapshot->n_heaps, 1);
	CHECK_EQ(snapshot->heaps[0].n_bytes_quota, stats.quota_n_bytes);
	CHECK_EQ(snapshot->heaps[0].n_bytes_used, stats.n_bytes_used);
	CHECK_EQ(snapshot->heaps[0].n_blocks, 5);
	CHECK_GT(snapshot->heaps[0].n_bytes_largest, 200u << 20);
	CHECK_EQ(snapshot->n_channels, 2);
	CHECK_EQ(snapshot->n_addresses, 2);
	CHECK_STR_EQ(snapshot->addresses[0].name, "figures");
	CHECK_EQ(snapshot->n_links, 2);
	CHECK_EQ(snapshot->links[0].n_out + snapshot->links[1].n_out, 5);
	CHECK_EQ(snapshot->links[0].n_in + snapshot->links[1].n_in, 5);
	CHECK_EQ(snapshot->links[0].n_out_max + snapshot->links[1].n_out_max, 5);
	sea_monitor_free(snapshot);
	sea_channel_close(pull);
	rig_close(&rig);
}

TEST(stopped_hanging, "a stopped process is shown as stopped, and one whose heartbeat is too old as hanging")
{
	struct scene *scene = scene_make();
	pid_t pid = test_fork(scene_idle, scene);

	test_step_wait(&scene->ready);
	CHECK_EQ(condition_of(scene->id[1], 0), SEA_MONITOR_RUNNING);
	CHECK_EVENTUALLY(condition_of(scene->id[1], 1) == SEA_MONITOR_HANGING);
	rig_stop(pid);
	CHECK_EVENTUALLY(condition_of(scene->id[1], 0) == SEA_MONITOR_STOPPED);
	CHECK_SYS(kill(pid, SIGCONT));
	CHECK_EVENTUALLY(condition_of(scene->id[1], 0) == SEA_MONITOR_RUNNING);
	test_step_signal(&scene->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EQ(condition_of(scene->id[1], 0), -1);
	scene_fini(scene);
}

TEST(killed, "what a killed process left is listed and removed, and nothing of the living")
{
	struct scene *scene = scene_make();
	struct rig rig = rig_bind(SEA_PULL, "living", NULL);
	pid_t pid = test_fork(scene_holder, scene);
	struct sea_monitor_file *files;
	struct sea_monitor_snapshot *snapshot;
	size_t n_files;

	/* It is there with its address. */
	for (;;) {
		snapshot = look(NULL);
		if (snapshot->n_addresses == 2)
			break;
		sea_monitor_free(snapshot);
		test_sleep_ms(10);
	}
	sea_monitor_free(snapshot);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_EVENTUALLY(condition_of(scene->id[1], 0) == SEA_MONITOR_DEAD);
	snapshot = look(NULL);
	CHECK_EQ(snapshot->n_processes, 2);
	CHECK_EQ(snapshot->processes[1].condition, SEA_MONITOR_DEAD);
	CHECK_EQ(snapshot->n_heaps, 1);
	CHECK_EQ(snapshot->n_leftovers, 3);
	sea_monitor_free(snapshot);
	CHECK_OK(sea_monitor_clean(NULL, &files, &n_files));
	CHECK_EQ(n_files, 3);
	free(files);
	snapshot = look(NULL);
	CHECK_EQ(snapshot->n_processes, 1);
	CHECK_EQ(snapshot->n_leftovers, 0);
	sea_monitor_free(snapshot);
	CHECK_OK(sea_monitor_clean(NULL, &files, &n_files));
	CHECK_EQ(n_files, 0);
	free(files);
	rig_close(&rig);
	scene_fini(scene);
}

TEST(two_sessions, "each session is listed, and a look at one shows nothing of the other")
{
	struct sea_session_options options[2] = { { .name = "one", .process_name = "first" },
		                                  { .name = "two", .process_name = "second" } };
	struct sea_monitor_options what = { .session = "two" };
	struct sea_monitor_session *names;
	struct sea_monitor_snapshot *snapshot;
	struct sea_session *sessions[2];
	size_t n;

	for (int i = 0; i < 2; i++)
		CHECK_OK(sea_session_open(&sessions[i], &options[i]));
	CHECK_OK(sea_monitor_list(NULL, &names, &n));
	CHECK_EQ(n, 2);
	CHECK_STR_EQ(names[0].name, "one");
	CHECK_STR_EQ(names[1].name, "two");
	free(names);
	snapshot = look(&what);
	CHECK_EQ(snapshot->n_processes, 1);
	CHECK_STR_EQ(snapshot->processes[0].name, "second");
	sea_monitor_free(snapshot);
	for (int i = 0; i < 2; i++)
		sea_session_close(sessions[i]);
	what.session = "three";
	CHECK_ERR(sea_monitor_take(&snapshot, &what), -ENOENT);
	what.session = "../two";
	CHECK_ERR(sea_monitor_take(&snapshot, &what), -EINVAL);
}

/* A process that writes what it likes into its locked status file. @return the locked descriptor */
static int hostile_make(const char *text, size_t n_bytes)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/default", test_runtime_dir());
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/default/.lock", test_runtime_dir());
	close((int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
	snprintf(path, sizeof(path), "%s/default/p-00000000000000aa.status", test_runtime_dir());
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	CHECK_SYS(flock(fd, LOCK_EX));
	CHECK_EQ(write(fd, text, n_bytes), (ssize_t)n_bytes);
	return fd;
}

static void check_printable(const char *text)
{
	for (; *text; text++)
		CHECK(*text >= ' ' && *text < 127);
}

TEST(hostile_text, "names of a hostile status file come out printable, numbers beyond all bounds do no harm")
{
	static const char text[] =
		"sealane-status 1 7\npid 99999999999999999999\nname \x1b[2J\xc2\x9bpwn\x07\nstate \x1b]0;x\x07\n"
		"heartbeat_ns 18446744073709551615\nstarted_ns -5\nsession peers=x used=1e9 backed\n"
		"heap id=4294967296 kind=\x1b[31m pages=\x1b[31mxxxxxxxxxxxxxxxxxxxxxxxx quota==5 used=18446744073709551616\n"
		"hold holder=zz fd=99999999999 bytes=18446744073709551615 file_offset=18446744073709551615\n"
		"address channel=1 bound=7 name=\x1b[5m\nunknown line\n\n=\nend 7\nname late\n";
	int fd = hostile_make(text, sizeof(text) - 1);
	struct sea_monitor_snapshot *snapshot = look(NULL);
	const struct sea_monitor_process *process = find(snapshot, 0xaa);
	char byte;

	CHECK(process);
	CHECK_EQ(process->has_status, 1);
	CHECK_EQ(process->pid, 0);
	CHECK_EQ(process->age_ns, -1);
	CHECK_STR_EQ(process->name, "?[2J??pwn?");
	check_printable(process->state);
	CHECK_EQ(snapshot->n_heaps, 1);
	check_printable(snapshot->heaps[0].pages);
	CHECK_EQ(snapshot->heaps[0].n_bytes_used, 0);
	CHECK_EQ(snapshot->n_addresses, 1);
	check_printable(snapshot->addresses[0].name);
	CHECK_EQ(snapshot->n_holds, 1);
	CHECK_LT(sea_monitor_read(getpid(), &snapshot->holds[0], 0, &byte, 1), 0);
	/* One that names a descriptor which is no memory of ours. */
	snapshot->holds[0].fd = fd;
	snapshot->holds[0].file_offset = 0;
	CHECK_ERR(sea_monitor_read(getpid(), &snapshot->holds[0], 0, &byte, 1), -ESTALE);
	sea_monitor_free(snapshot);
	close(fd);
}

TEST(hostile_torn, "a status file that is torn, empty, or too large is a process without figures")
{
	static const char torn[] = "sealane-status 1 7\npid 1\nend 6\n",
			  open_end[] = "sealane-status 1 7\npid 1\nend 7";
	const size_t n_huge = (size_t)2 << 20;
	char *huge = calloc(1, n_huge);
	const struct {
		const char *text;
		size_t n_bytes;
	} cases[] = { { torn, sizeof(torn) - 1 }, { open_end, sizeof(open_end) - 1 }, { "", 0 }, { huge, n_huge } };

	CHECK(huge);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = hostile_make(cases[i].text, cases[i].n_bytes);
		struct sea_monitor_snapshot *snapshot = look(NULL);
		const struct sea_monitor_process *process = find(snapshot, 0xaa);

		CHECK(process);
		CHECK_EQ(process->has_status, 0);
		CHECK_EQ(process->pid, 0);
		CHECK_NE(process->condition, SEA_MONITOR_DEAD);
		sea_monitor_free(snapshot);
		close(fd);
	}
	free(huge);
}

TEST(lock_kept, "while somebody keeps the directory's lock nobody is called dead, and cleaning says busy")
{
	struct scene *scene = scene_make();
	pid_t pid = test_fork(scene_idle, scene);
	struct sea_monitor_file *files;
	size_t n_files;
	char path[512];
	int fd;

	test_step_wait(&scene->ready);
	test_kill(pid);
	snprintf(path, sizeof(path), "%s/default/.lock", test_runtime_dir());
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CLOEXEC));
	CHECK_SYS(flock(fd, LOCK_EX));
	CHECK_EQ(condition_of(scene->id[1], 0), SEA_MONITOR_UNKNOWN);
	CHECK_ERR(sea_monitor_clean(NULL, &files, &n_files), -EBUSY);
	close(fd);
	CHECK_EVENTUALLY(condition_of(scene->id[1], 0) == SEA_MONITOR_DEAD);
	scene_fini(scene);
}

TEST(disk_full, "on a full disk the process goes on, and is shown as living without figures")
{
	char path[512], filler[600];
	static char zeros[4096];
	struct sea_session_options options = { .runtime_dir = path };
	struct sea_monitor_options what = { .runtime_dir = path };
	struct sea_session *session;
	struct sea_channel *channels[40];
	bool is_truncated = false;
	int fd;

	snprintf(path, sizeof(path), "%s/small", test_runtime_dir());
	CHECK_SYS(mkdir(path, 0700));
	if (mount("tmpfs", path, "tmpfs", 0, "size=64k,mode=0700") < 0)
		SKIP("mounting a small tmpfs needs root: %s", strerror(errno));
	CHECK_OK(sea_session_open(&session, &options));
	snprintf(filler, sizeof(filler), "%s/filler", path);
	fd = (int)CHECK_SYS(open(filler, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	/* More channels than fit into the page that it has. */
	for (int i = 0; i < 40; i++)
		CHECK_OK(sea_channel_new(&channels[i], session, SEA_PULL, NULL));
	CHECK_OK(sea_session_set_state(session, "FULL"));
	while (!is_truncated) {
		struct sea_monitor_snapshot *snapshot = look(&what);

		CHECK_EQ(snapshot->n_processes, 1);
		CHECK_EQ(snapshot->processes[0].condition, SEA_MONITOR_RUNNING);
		is_truncated = snapshot->processes[0].is_truncated;
		if (is_truncated)
			CHECK_STR_EQ(snapshot->processes[0].state, "FULL");
		sea_monitor_free(snapshot);
		test_sleep_ms(5);
	}
	for (int i = 0; i < 40; i++)
		sea_channel_close(channels[i]);
	sea_session_close(session);
	close(fd);
	CHECK_SYS(umount(path));
}

/* The name of the only region that is shown; false: none is, or it is not shown as it is. */
static bool region_is_shown(const char *name, uint64_t n_bytes)
{
	struct sea_monitor_snapshot *snapshot = look(NULL);
	bool is_shown = false;

	for (size_t i = 0; i < snapshot->n_heaps; i++)
		is_shown |= snapshot->heaps[i].is_region && strcmp(snapshot->heaps[i].name, name) == 0 &&
		            snapshot->heaps[i].n_bytes_backed >= n_bytes;
	sea_monitor_free(snapshot);
	return is_shown;
}

TEST(regions, "a region is shown with its name among the heaps, and is gone when it was freed")
{
	struct sea_region_options options = { .n_bytes = 1 << 20, .name = "my region" };
	struct sea_session *session;
	struct sea_region *region;

	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_region_new(&region, session, &options));
	CHECK_EVENTUALLY(region_is_shown("my_region", 1 << 20));
	sea_region_close(region, NULL);
	CHECK_EVENTUALLY(!region_is_shown("my_region", 0));
	sea_session_close(session);
}

TEST(state, "a state is a word")
{
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_ERR(sea_session_set_state(session, "two words"), -EINVAL);
	CHECK_ERR(sea_session_set_state(session, "line\n"), -EINVAL);
	CHECK_ERR(sea_session_set_state(session, "0123456789012345678901234567890123456789"), -EINVAL);
	CHECK_OK(sea_session_set_state(session, NULL));
	sea_session_close(session);
}
