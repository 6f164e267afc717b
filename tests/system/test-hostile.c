/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile peer on the socket and on the doorbells. Whatever it says, the attacked process refuses it, counts it,
 * and goes on serving the honest; see hostile-scene.h. Memory: test-hostile-memory.c; rings: test-hostile-records.c.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile-peer.h"
#include "hostile-scene.h"
#include "test.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define RING SEAI_RECORD_RING_N_UNITS, sizeof(struct seai_unit)

/* Says one thing on a new connection and expects the end of it, counted once. */
static void expect_refusal(struct scene *scene, struct seai_control *control, size_t n_bytes, unsigned n_announced,
                           const int *fds, unsigned n_fds, const char *what)
{
	uint64_t n_refused = scene->shared->n_refused;
	int fd = hostile_connect("in");

	CHECK(hostile_send(fd, control, n_bytes, n_announced, fds, n_fds));
	if (!hostile_is_ended(fd))
		FAIL("%s was not refused", what);
	close(fd);
	CHECK_EVENTUALLY(scene->shared->n_refused == n_refused + 1);
}

TEST_TIMEOUT(greeting, "a greeting that is wrong in any way is refused, counted, and harms nobody", 30)
{
	static uint8_t large[8192];
	struct seai_control control, good;
	struct seai_side *side;
	struct scene scene;
	int side_fd, fds[200];
	const uint64_t id = 0x1234567;

	scene_start(&scene, true);
	side = hostile_side_new(&side_fd, id, 0, RING, SEALS);
	hostile_fill_hello(&good, id);

#define SPOIL(what, ...)                                                                 \
	do {                                                                             \
		control = good;                                                          \
		__VA_ARGS__;                                                             \
		expect_refusal(&scene, &control, sizeof(control), 1, &side_fd, 1, what); \
	} while (0)
	SPOIL("a wrong magic", control.magic++);
	SPOIL("a version from the future", control.hello.version_min = control.hello.version_max = 99);
	SPOIL("a version from the past", control.hello.version_min = control.hello.version_max = 0);
	SPOIL("another session", control.hello.session_id++);
	SPOIL("identity 0", control.hello.process_id = 0);
	SPOIL("the identity of a living peer", control.hello.process_id = scene.shared->sender_id);
	SPOIL("the identity of the victim", control.hello.process_id = scene.shared->victim_id);
	SPOIL("a side of somebody else", control.hello.process_id = id + 1);
	SPOIL("no hello", control.type = SEAI_CONTROL_OPEN);
	SPOIL("a type that does not exist", control.type = 4711);
#undef SPOIL
	control = good;
	expect_refusal(&scene, &control, sizeof(control), 0, NULL, 0, "a hello without a descriptor");
	expect_refusal(&scene, &control, sizeof(control), 1, NULL, 0, "fewer descriptors than announced");
	expect_refusal(&scene, &control, sizeof(control), 65535, &side_fd, 1, "fewer descriptors than announced");
	fds[0] = fds[1] = side_fd;
	expect_refusal(&scene, &control, sizeof(control), 1, fds, 2, "more descriptors than announced");
	for (int i = 0; i < 200; i++)
		fds[i] = side_fd;
	expect_refusal(&scene, &control, sizeof(control), 1, fds, 200, "200 descriptors");
	expect_refusal(&scene, &control, sizeof(control), 200, fds, 200, "200 descriptors, announced");
	expect_refusal(&scene, &control, 1, 1, &side_fd, 1, "one byte");
	expect_refusal(&scene, &control, sizeof(control) - 1, 1, &side_fd, 1, "a truncated hello");
	memcpy(large, &good, sizeof(good));
	expect_refusal(&scene, (struct seai_control *)(void *)large, sizeof(large), 1, &side_fd, 1,
	               "an oversized hello");
	for (int i = 0; i < 50; i++) {
		for (size_t j = 0; j < sizeof(large); j++)
			large[j] = (uint8_t)test_random();
		expect_refusal(&scene, (struct seai_control *)(void *)large, 1 + test_random() % sizeof(large), 0, NULL,
		               0, "random bytes");
	}
	hostile_side_free(side, side_fd, RING);
	scene_end(&scene);
}

static void refuse_side(struct scene *scene, uint64_t id, int fd, const char *what)
{
	struct seai_control control;

	hostile_fill_hello(&control, id);
	expect_refusal(scene, &control, sizeof(control), 1, &fd, 1, what);
	close(fd);
}

TEST_TIMEOUT(ring_memory, "a record ring that is no sealed memory of the right size and head is refused", 30)
{
	const uint64_t id = 0x7654321;
	char path[256];
	struct seai_side *side;
	struct scene scene;
	int fd, fds[2];

	scene_start(&scene, true);
	CHECK_SYS(pipe2(fds, O_CLOEXEC));
	close(fds[1]);
	refuse_side(&scene, id, fds[0], "a pipe");
	refuse_side(&scene, id, (int)CHECK_SYS(eventfd(0, EFD_CLOEXEC)), "an eventfd");
	refuse_side(&scene, id, (int)CHECK_SYS(open("/dev/zero", O_RDWR | O_CLOEXEC)), "/dev/zero");
	refuse_side(&scene, id, (int)CHECK_SYS(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "a directory");
	refuse_side(&scene, id, (int)CHECK_SYS(open("/", O_PATH | O_CLOEXEC)), "a path");
	snprintf(path, sizeof(path), "%s/file", test_runtime_dir());
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	CHECK_SYS(ftruncate(fd, 1 << 20));
	CHECK_SYS(unlink(path));
	refuse_side(&scene, id, fd, "a file");

	side = hostile_side_new(&fd, id, 0, RING, 0);
	hostile_side_free(side, -1, RING);
	refuse_side(&scene, id, fd, "memory without seals");
	side = hostile_side_new(&fd, id, 0, RING, F_SEAL_GROW);
	hostile_side_free(side, -1, RING);
	CHECK_SYS(ftruncate(fd, 0));
	refuse_side(&scene, id, fd, "memory that can shrink, and does");
	side = hostile_side_new(&fd, id, 0, RING, F_SEAL_SHRINK);
	hostile_side_free(side, -1, RING);
	refuse_side(&scene, id, fd, "memory that can grow");
	side = hostile_side_new(&fd, id, 0, 16, sizeof(struct seai_unit), SEALS);
	hostile_side_free(side, -1, 16, sizeof(struct seai_unit));
	refuse_side(&scene, id, fd, "memory that is too short");
	fd = (int)CHECK_SYS(memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	CHECK_SYS(fcntl(fd, F_ADD_SEALS, SEALS));
	refuse_side(&scene, id, fd, "memory of zero bytes");

#define SPOIL(what, ...)                                          \
	do {                                                      \
		side = hostile_side_new(&fd, id, 0, RING, SEALS); \
		__VA_ARGS__;                                      \
		hostile_side_free(side, -1, RING);                \
		refuse_side(&scene, id, fd, what);                \
	} while (0)
	SPOIL("a wrong magic", atomic_store(&side->magic, 1));
	SPOIL("a version from the future", side->version = 99);
	SPOIL("a wrong number of slots", side->n_slots *= 2);
	SPOIL("no slots", side->n_slots = 0);
	SPOIL("another maker", side->maker_id++);
	SPOIL("a link's side", side->link_id = 7);
#undef SPOIL
	/* With huge pages the file is longer than what is mapped of it, and its holes can run dry. */
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	if (fd >= 0 && ftruncate(fd, 2 << 20) == 0) {
		side = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (side != MAP_FAILED) {
			side->version = 1;
			side->n_slots = SEAI_RECORD_RING_N_UNITS;
			side->maker_id = id;
			atomic_store(&side->magic, SEAI_SIDE_MAGIC);
			munmap(side, 2 << 20);
		}
		CHECK_SYS(fcntl(fd, F_ADD_SEALS, SEALS));
		refuse_side(&scene, id, fd, "huge pages");
	} else if (fd >= 0) {
		close(fd);
	}
	scene_end(&scene);
}

static void connect_as_another(void *arg)
{
	int fd;

	(void)arg;
	CHECK_SYS(setresgid(65534, 65534, 65534));
	CHECK_SYS(setresuid(65534, 65534, 65534));
	fd = hostile_connect("in");
	CHECK(hostile_is_ended(fd));
}

TEST(other_user, "a process of another user is refused, even where the directory lets it in")
{
	char directory[256], path[320], target[64] = "";
	uint64_t n_refused;
	struct scene scene;

	if (geteuid() != 0)
		SKIP("only root can become another user");
	scene_start(&scene, true);
	n_refused = scene.shared->n_refused;
	snprintf(directory, sizeof(directory), "%s/default", test_runtime_dir());
	snprintf(path, sizeof(path), "%s/c-in", directory);
	CHECK_SYS(readlink(path, target, sizeof(target) - 1));
	snprintf(path, sizeof(path), "%s/%s", directory, target);
	CHECK_SYS(chmod(test_runtime_dir(), 0711));
	CHECK_SYS(chmod(directory, 0711));
	CHECK_SYS(chmod(path, 0777));
	CHECK_EQ(test_wait(test_fork(connect_as_another, NULL)), 0);
	CHECK_SYS(chmod(test_runtime_dir(), 0700));
	CHECK_SYS(chmod(directory, 0700));
	CHECK_EVENTUALLY(scene.shared->n_refused == n_refused + 1);
	scene_end(&scene);
}

TEST_TIMEOUT(silence, "ten thousand connections that say nothing keep nobody from being served, and do not last", 60)
{
	enum { N_HELD = 100, N_BATCH = 250 };
	int held[N_HELD], fds[N_BATCH];
	struct scene scene;
	const int n = test_is_sanitized() ? 1000 : 10000;

	scene_start(&scene, true);
	for (int i = 0; i < N_HELD; i++)
		held[i] = hostile_connect("in");
	for (int i = 0; i < n / N_BATCH; i++) {
		for (int j = 0; j < N_BATCH; j++)
			fds[j] = hostile_connect("in");
		for (int j = 0; j < N_BATCH; j++)
			close(fds[j]);
	}
	scene_check_serves(&scene);
	for (int i = 0; i < N_HELD; i++) {
		CHECK(hostile_is_ended(held[i]));
		close(held[i]);
	}
	CHECK_EVENTUALLY(scene.shared->n_refused >= N_HELD);
	scene_end(&scene);
}

TEST_TIMEOUT(nonsense, "control messages with random contents after a good greeting do no harm", 30)
{
	const int n = test_is_sanitized() ? 2000 : 10000;
	struct hostile hostile;
	struct hostile_link link;
	struct scene scene;
	int zero_fd = (int)CHECK_SYS(open("/dev/zero", O_RDWR | O_CLOEXEC));

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	for (int i = 0; i < n; i++) {
		struct seai_control control;
		struct pollfd pollfd = { .fd = hostile.fd, .events = POLLIN };
		const uint64_t ids[] = { scene.shared->victim_id,
			                 scene.shared->sender_id,
			                 scene.shared->receiver_id,
			                 hostile.id,
			                 link.id,
			                 0,
			                 1,
			                 UINT64_MAX };
		int fds[2] = { zero_fd, hostile.side_fd };
		unsigned n_fds = (unsigned)(test_random() % 3);

		for (size_t j = 0; j < sizeof(control.bytes); j++)
			control.bytes[j] = (uint8_t)test_random();
		/* Often enough something that exists. */
		if (i % 4) {
			control.arena.owner_id = ids[test_random() % 8];
			control.settle.link_id = ids[test_random() % 8];
		}
		if (i % 8 == 1) {
			control.open.n_send = control.open.n_receive = 4;
			control.open.pattern = (uint32_t)(test_random() % 4);
			strcpy(control.open.address, i % 16 == 1 ? "c-in" : "c-bait");
		}
		control.type = (uint16_t)(1 + test_random() % 15);
		if (control.type == SEAI_CONTROL_HELLO)
			control.type = SEAI_CONTROL_START; /* would be the end of the connection */
		if (!hostile_say(hostile.fd, &control, fds, n_fds))
			break;
		/* Answers are thrown away, descriptors and all. */
		while (poll(&pollfd, 1, 0) > 0 && recv(hostile.fd, &control, sizeof(control), MSG_DONTWAIT) > 0)
			;
	}
	scene_check_serves(&scene);
	hostile_link_close(&link);
	hostile_close(&hostile);
	close(zero_fd);
	scene_end(&scene);
}

static void say_link(struct hostile *hostile, uint16_t type, uint64_t link_id, const int *fds, unsigned n_fds)
{
	struct seai_control control = { .type = type };

	control.link.link_id = link_id;
	control.link.n_send = control.link.n_receive = 8;
	CHECK(hostile_say(hostile->fd, &control, fds, n_fds));
}

static void say_open(struct hostile *hostile, uint64_t link_id, const char *address, uint32_t n, const int *fd)
{
	struct seai_control control = { .type = SEAI_CONTROL_OPEN };

	control.open.link_id = link_id;
	control.open.pattern = SEA_PUSH;
	control.open.n_send = control.open.n_receive = n;
	snprintf(control.open.address, sizeof(control.open.address), "%s", address);
	CHECK(hostile_say(hostile->fd, &control, fd, fd ? 1 : 0));
}

static void expect_refuse(struct hostile *hostile, uint64_t link_id)
{
	struct seai_control control;
	int fds[2];

	CHECK(hostile_hear(hostile->fd, SEAI_CONTROL_REFUSE, &control, fds));
	CHECK_EQ(control.link.link_id, link_id);
	CHECK_NE(control.link.error, 0);
}

TEST_TIMEOUT(disorder, "links that are opened wrongly, twice, or out of order are refused one by one", 30)
{
	struct hostile hostile;
	struct hostile_link link;
	struct seai_control control;
	struct scene scene;
	int bell[2], fds[2], accepted[2];

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	CHECK_SYS(pipe2(bell, O_CLOEXEC | O_NONBLOCK));
	say_link(&hostile, SEAI_CONTROL_ACCEPT, 77, (int[]){ bell[0], hostile.side_fd }, 2);
	say_link(&hostile, SEAI_CONTROL_START, 77, &hostile.side_fd, 1);
	say_link(&hostile, SEAI_CONTROL_REFUSE, 77, NULL, 0);
	say_link(&hostile, SEAI_CONTROL_CLOSE, 77, NULL, 0);
	say_open(&hostile, 1, "c-in", 8, NULL);
	expect_refuse(&hostile, 1);
	say_open(&hostile, 0, "c-in", 8, &bell[0]);
	expect_refuse(&hostile, 0);
	say_open(&hostile, 2, "c-in", UINT32_MAX, &bell[0]);
	expect_refuse(&hostile, 2);
	say_open(&hostile, 3, "c-out", 8, &bell[0]); /* a pattern that does not fit */
	expect_refuse(&hostile, 3);
	say_open(&hostile, 4, "../../etc/passwd", 8, &bell[0]);
	expect_refuse(&hostile, 4);
	say_open(&hostile, 5, "c-in", 8, &hostile.side_fd); /* a doorbell that is none */
	expect_refuse(&hostile, 5);

	hostile_link_open(&hostile, &link, "in", SEA_PUSH, 8);
	say_open(&hostile, link.id, "c-in", 8, &bell[0]); /* twice */
	expect_refuse(&hostile, link.id);
	say_link(&hostile, SEAI_CONTROL_ACCEPT, link.id, (int[]){ bell[0], link.side_fd }, 2);
	say_link(&hostile, SEAI_CONTROL_START, link.id, &link.side_fd, 1);
	say_link(&hostile, SEAI_CONTROL_REFUSE, link.id, NULL, 0);
	hostile_publish(&link, &(struct seai_descriptor){ .kind = SEAI_MESSAGE_INLINE, .n_parts = 1, .n_inline = 4 });
	CHECK_EVENTUALLY(scene.shared->n_hostile == 1);
	say_link(&hostile, SEAI_CONTROL_CLOSE, link.id, NULL, 0);
	say_link(&hostile, SEAI_CONTROL_CLOSE, link.id, NULL, 0);
	hostile_link_close(&link);

	/* Sides of links that are not what they should be. */
	for (int i = 0; i < 5; i++) {
		uint64_t n_refused = scene.shared->n_refused;
		struct seai_side *side = hostile_side_new(&fds[0], hostile.id + (i == 0), 100 + (unsigned)i + (i == 1),
		                                          i == 2 ? 32 : 64, 64, i == 3 ? 0 : SEALS);

		hostile_side_free(side, -1, i == 2 ? 32 : 64, 64);
		say_open(&hostile, 100 + (unsigned)i, "c-in", 8, &bell[0]);
		CHECK(hostile_hear(hostile.fd, SEAI_CONTROL_ACCEPT, &control, accepted));
		close(accepted[0]);
		close(accepted[1]);
		if (i == 4)
			say_link(&hostile, SEAI_CONTROL_START, 104, &bell[1], 1);
		else
			say_link(&hostile, SEAI_CONTROL_START, 100 + (unsigned)i, &fds[0], 1);
		close(fds[0]);
		CHECK(hostile_hear(hostile.fd, SEAI_CONTROL_CLOSE, &control, fds));
		CHECK_EVENTUALLY(scene.shared->n_refused == n_refused + 1);
	}
	close(bell[0]);
	close(bell[1]);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(many_links, "a peer that opens links without end is refused beyond its share", 30)
{
	enum { N = 3000 };
	struct hostile hostile;
	struct scene scene;
	int bell[2], n_accepted = 0, n_refused = 0;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	CHECK_SYS(pipe2(bell, O_CLOEXEC | O_NONBLOCK));
	for (int i = 1; i <= N; i++) {
		struct seai_control control = { 0 };
		struct pollfd pollfd = { .fd = hostile.fd, .events = POLLIN };

		say_open(&hostile, (uint64_t)i, "c-in", 1, &bell[0]);
		/* The descriptors of the answer are not taken. */
		CHECK_EQ(poll(&pollfd, 1, 10000), 1);
		CHECK_EQ(recv(hostile.fd, &control, sizeof(control), 0), (ssize_t)sizeof(control));
		n_accepted += control.type == SEAI_CONTROL_ACCEPT;
		n_refused += control.type == SEAI_CONTROL_REFUSE;
	}
	CHECK_EQ(n_accepted + n_refused, N);
	CHECK_GT(n_refused, 0);
	scene_check_serves(&scene);
	close(bell[0]);
	close(bell[1]);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(deaf, "a peer that never reads its socket is let go, and nobody waits for it", 30)
{
	struct hostile hostile;
	struct seai_control control = { .type = SEAI_CONTROL_SETTLE };
	struct scene scene;
	int n = 0, bell[2];

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	CHECK_SYS(pipe2(bell, O_CLOEXEC | O_NONBLOCK));
	/* Each is answered. */
	for (; n < 200000; n++) {
		if (n % 3 == 0) {
			control.type = SEAI_CONTROL_OPEN;
			snprintf(control.open.address, sizeof(control.open.address), "c-%d", n);
		} else {
			control.type = n % 3 == 1 ? SEAI_CONTROL_SETTLE : SEAI_CONTROL_INTRODUCE;
			control.settle.forwarder_id = (uint64_t)n;
		}
		if (!hostile_say(hostile.fd, &control, bell, n % 3 == 0 ? 1 : 0))
			break;
	}
	CHECK_LT(n, 200000);
	scene_check_serves(&scene);
	close(bell[0]);
	close(bell[1]);
	hostile_close(&hostile);
	scene_end(&scene);
}

TEST_TIMEOUT(doorbells, "doorbells that are closed, full, flooded, or no pipes hang nobody and raise no signal", 30)
{
	struct hostile hostile, others[3];
	struct hostile_link link;
	struct scene scene;
	char path[256];
	int fd, fifo_fd, bell[2];
	uint64_t n_sleeps, n_rounds;

	scene_start(&scene, true);
	hostile_open(&hostile, "in", test_random());
	/* No pipes. */
	fd = (int)CHECK_SYS(open("/dev/zero", O_RDWR | O_CLOEXEC));
	say_open(&hostile, 1, "c-in", 8, &fd);
	expect_refuse(&hostile, 1);
	close(fd);
	fd = (int)CHECK_SYS(eventfd(0, EFD_CLOEXEC));
	say_open(&hostile, 2, "c-in", 8, &fd);
	expect_refuse(&hostile, 2);
	close(fd);
	/* A pipe whose other end is closed, and a named one that never had one. */
	CHECK_SYS(pipe2(bell, O_CLOEXEC));
	close(bell[1]);
	say_open(&hostile, 3, "c-in", 8, &bell[0]);
	close(bell[0]);
	snprintf(path, sizeof(path), "%s/fifo", test_runtime_dir());
	CHECK_SYS(mkfifo(path, 0600));
	fifo_fd = (int)CHECK_SYS(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	CHECK_SYS(unlink(path));
	say_open(&hostile, 4, "c-in", 8, &fifo_fd);
	close(fifo_fd);
	scene_check_serves(&scene);
	hostile_close(&hostile);

	/* The one the victim rings: full and blocking, or closed. */
	for (int i = 0; i < 2; i++) {
		uint64_t n_bait = scene.shared->n_bait;

		hostile_open(&others[i], "in", test_random());
		hostile_link_open(&others[i], &link, "bait", SEA_PULL, 8);
		atomic_store(&link.side->want_data, 0);
		if (i == 0) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", link.bell_in_fd);
			fd = (int)CHECK_SYS(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
			while (write(fd, path, sizeof(path)) > 0)
				;
			while (write(fd, path, 1) > 0)
				;
			CHECK_SYS(fcntl(link.bell_in_fd, F_SETFL, 0));
			CHECK_SYS(fcntl(fd, F_SETFL, 0));
		}
		close(link.bell_in_fd);
		link.bell_in_fd = -1;
		/* It is rung for every message. */
		for (int j = 0; j < 20; j++) {
			uint64_t n = scene.shared->n_bait;

			CHECK_EVENTUALLY(scene.shared->n_bait > n || n - n_bait >= 32);
			atomic_store(&link.side->want_data, n + 1 - n_bait);
			atomic_store(&link.side->tail, n - n_bait);
		}
		scene_check_serves(&scene);
		if (i == 0)
			close(fd);
		hostile_link_close(&link);
		hostile_close(&others[i]);
		CHECK_EVENTUALLY(scene.shared->n_peers == 2);
	}

	/* The one that rings the victim: shared and blocking, flooded, then closed while the link stays. */
	hostile_open(&others[2], "in", test_random());
	hostile_link_open(&others[2], &link, "in", SEA_PUSH, 8);
	for (int i = 0; i < 200; i++) {
		char bytes[4096] = "";

		CHECK_SYS(fcntl(link.bell_out_fd, F_SETFL, O_NONBLOCK));
		(void)!write(link.bell_out_fd, bytes, sizeof(bytes));
	}
	scene_check_serves(&scene);
	close(link.bell_out_fd);
	link.bell_out_fd = -1;
	scene_check_serves(&scene);
	/* What is closed for ever must not look as if it rang for ever. */
	scene_wait_round(&scene);
	n_sleeps = scene.shared->n_sleeps;
	n_rounds = scene.shared->n_rounds;
	CHECK_EVENTUALLY(scene.shared->n_rounds > n_rounds + 50);
	CHECK_LT(scene.shared->n_sleeps - n_sleeps, 50 * (scene.shared->n_rounds - n_rounds));
	hostile_link_close(&link);
	hostile_close(&others[2]);
	scene_end(&scene);
}

TEST_TIMEOUT(trap, "a hostile process that the victim itself connects to gets no further either", 30)
{
	const uint64_t id = 0xabcdef0123;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char link_path[300], temporary[300], target[40];
	struct scene scene;
	int listen_fd;

	scene_start(&scene, true);
	listen_fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	snprintf(target, sizeof(target), "p-%016llx.sock", (unsigned long long)id);
	snprintf(name.sun_path, sizeof(name.sun_path), "%.60s/default/%.24s", test_runtime_dir(), target);
	CHECK_SYS(bind(listen_fd, (struct sockaddr *)&name, sizeof(name)));
	CHECK_SYS(listen(listen_fd, 16));
	snprintf(link_path, sizeof(link_path), "%s/default/c-trap", test_runtime_dir());
	for (int i = 0; i < 8; i++) {
		struct seai_control control;
		struct seai_side *side;
		int fd, side_fd, fds[2], bell[2], r;
		struct pollfd pollfd = { .fd = listen_fd, .events = POLLIN };

		/* A new name is what makes it look again. */
		snprintf(temporary, sizeof(temporary), "%s/default/.t-trap", test_runtime_dir());
		CHECK_SYS(symlink(target, temporary));
		CHECK_SYS(rename(temporary, link_path));
		CHECK_EQ(poll(&pollfd, 1, 10000), 1);
		fd = (int)CHECK_SYS(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC));
		CHECK(hostile_hear(fd, SEAI_CONTROL_HELLO, &control, fds));
		close(fds[0]);
		hostile_fill_hello(&control, i == 0 ? id + 1 : id);
		side = hostile_side_new(&side_fd, control.hello.process_id, 0, RING, SEALS);
		CHECK(hostile_say(fd, &control, &side_fd, 1));
		hostile_side_free(side, side_fd, RING);
		if (i == 0) {
			CHECK(hostile_is_ended(fd)); /* not the one whose name it was */
			close(fd);
			continue;
		}
		CHECK(hostile_hear(fd, SEAI_CONTROL_OPEN, &control, fds));
		close(fds[0]);
		side = hostile_side_new(&side_fd, id, control.open.link_id + (i == 1), i == 2 ? 512 : 64, 64,
		                        i == 3 ? 0 : SEALS);
		CHECK_SYS(pipe2(bell, O_CLOEXEC | O_NONBLOCK));
		fds[0] = i == 4 ? side_fd : bell[0];
		fds[1] = i == 5 ? bell[0] : side_fd;
		control.type = SEAI_CONTROL_ACCEPT;
		control.link.link_id = control.open.link_id;
		control.link.n_send = i == 6 ? UINT32_MAX : 8;
		r = hostile_say(fd, &control, fds, i == 7 ? 1 : 2);
		CHECK(r);
		CHECK(hostile_hear(fd, SEAI_CONTROL_CLOSE, &control, fds));
		hostile_side_free(side, side_fd, i == 2 ? 512 : 64, 64);
		close(bell[0]);
		close(bell[1]);
		close(fd);
		CHECK_EVENTUALLY(scene.shared->n_peers == 2);
	}
	close(listen_fd);
	CHECK_SYS(unlink(link_path));
	CHECK_SYS(unlink(name.sun_path));
	scene_end(&scene);
}
