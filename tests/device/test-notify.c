/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager is told: the protocol, and when. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "machines.h"

static int manager_open(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = (int)CHECK_SYS(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	const size_t n = strlen(name);

	memcpy(address.sun_path, name, n);
	if (name[0] == '@')
		address.sun_path[0] = 0;
	CHECK_SYS(bind(fd, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)));
	CHECK_SYS(setenv("NOTIFY_SOCKET", name, 1));
	return fd;
}

static const char *manager_read(int fd)
{
	static char packet[256];
	const ssize_t n = CHECK_SYS(recv(fd, packet, sizeof(packet) - 1, 0));

	packet[n] = 0;
	return packet;
}

TEST(protocol,
     "assignments arrive whole, by a path and by a name that is in no file system; without a manager nothing happens")
{
	char path[108];
	int fd;

	CHECK_SYS(unsetenv("NOTIFY_SOCKET"));
	CHECK_EQ(sea_notify("READY=1"), 0);
	snprintf(path, sizeof(path), "%s/notify", test_runtime_dir());
	fd = manager_open(path);
	CHECK_EQ(sea_notify("READY=1\nSTATUS=x"), 1);
	CHECK_STR_EQ(manager_read(fd), "READY=1\nSTATUS=x");
	close(fd);
	CHECK_ERR(sea_notify("READY=1"), -ECONNREFUSED);
	unlink(path);
	snprintf(path, sizeof(path), "@sealane-test-%d", (int)getpid());
	fd = manager_open(path);
	CHECK_EQ(sea_notify("STOPPING=1"), 1);
	CHECK_STR_EQ(manager_read(fd), "STOPPING=1");
	/* A manager that does not read keeps nobody waiting for long. */
	while (sea_notify("STATUS=again") == 1)
		;
	CHECK_ERR(sea_notify("STATUS=again"), -EAGAIN);
	close(fd);
	CHECK_SYS(setenv("NOTIFY_SOCKET", "vsock:2:1234", 1));
	CHECK_ERR(sea_notify("READY=1"), -EAFNOSUPPORT);
}

TEST(watchdog, "the interval of the watchdog is for the process that it names")
{
	char pid[32];

	CHECK_SYS(unsetenv("WATCHDOG_USEC"));
	CHECK_SYS(unsetenv("WATCHDOG_PID"));
	CHECK_EQ(sea_notify_watchdog_ns(), 0);
	CHECK_SYS(setenv("WATCHDOG_USEC", "2000000", 1));
	CHECK_EQ(sea_notify_watchdog_ns(), 2000000000);
	CHECK_SYS(setenv("WATCHDOG_PID", "1", 1));
	CHECK_EQ(sea_notify_watchdog_ns(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	CHECK_SYS(setenv("WATCHDOG_PID", pid, 1));
	CHECK_EQ(sea_notify_watchdog_ns(), 2000000000);
	CHECK_SYS(setenv("WATCHDOG_USEC", "soon", 1));
	CHECK_EQ(sea_notify_watchdog_ns(), 0);
}

TEST(device, "a device tells its states, that it is ready when it runs first, that it stops, and that it lives")
{
	struct machine_spec spec = { .control = { .mode = SEA_CONTROL_STATIC }, .sleeps = "run" };
	struct test_step reached;
	char path[108], all[4096] = "";
	bool is_watched = false, is_ready = false;
	const char *packet;
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/notify", test_runtime_dir());
	fd = manager_open(path);
	CHECK_SYS(unsetenv("WATCHDOG_PID"));
	CHECK_SYS(setenv("WATCHDOG_USEC", "20000", 1));
	test_step_init(&reached);
	spec.reached = &reached;
	pid = machine_start(&spec);
	test_step_wait(&reached);
	/* It goes on living while it runs. */
	while (!is_ready || !is_watched) {
		packet = manager_read(fd);
		if (strcmp(packet, "WATCHDOG=1") == 0) {
			is_watched = is_ready;
			continue;
		}
		is_ready = is_ready || strcmp(packet, "READY=1\nSTATUS=RUNNING") == 0;
		strcat(strcat(all, packet), ";");
	}
	CHECK_SYS(kill(pid, SIGTERM));
	do {
		packet = manager_read(fd);
		if (strcmp(packet, "WATCHDOG=1") != 0)
			strcat(strcat(all, packet), ";");
	} while (strcmp(packet, "STATUS=EXITING") != 0);
	CHECK_STR_EQ(all, "STATUS=IDLE;STATUS=INITIALIZING DEVICE;STATUS=INITIALIZED;STATUS=BINDING;STATUS=BOUND;"
	                  "STATUS=CONNECTING;STATUS=DEVICE READY;STATUS=INITIALIZING TASK;STATUS=READY;"
	                  "READY=1\nSTATUS=RUNNING;STOPPING=1;STATUS=READY;STATUS=RESETTING TASK;STATUS=DEVICE READY;"
	                  "STATUS=RESETTING DEVICE;STATUS=IDLE;STATUS=EXITING;");
	CHECK_EQ(test_wait(pid), 0);
	close(fd);
	unlink(path);
	test_step_fini(&reached);
}
