/* SPDX-License-Identifier: Apache-2.0 */
/* How `sealane run` ends: the order in which devices are stopped, those that do not want to, and that nothing stays, whoever is killed. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"

LAUNCH_PLAYS_DEVICES

TEST(order, "one Ctrl-C stops sources first, then along the graph, wherever they stand in the file")
{
	const char *notes, *sink, *processor0, *processor1, *sampler;
	pid_t pid;

	TOPOLOGY({ "sink", "wait", "\"channels\": [" PULL_CONNECT("in", "ipc://out") "]" },
	         { "processor", "wait",
	           "\"count\": 2, \"channels\": [" PULL_CONNECT("data", "tcp://localhost:5555") ", " PUSH_BIND(
			   "out", "ipc://out") "]" },
	         { "sampler", "wait", "\"channels\": [" PUSH_BIND("data", "tcp://*:5555") "]" });
	pid = START();
	CHECK_EVENTUALLY(launch_count(NOTES, "up ") == 4);
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	notes = NOTES;
	sampler = strstr(notes, "down sampler\n");
	processor0 = strstr(notes, "down processor0\n");
	processor1 = strstr(notes, "down processor1\n");
	sink = strstr(notes, "down sink\n");
	CHECK(sampler && processor0 && processor1 && sink);
	CHECK(sampler < processor0 && sampler < processor1);
	CHECK(processor0 < sink && processor1 < sink);
	CHECK_HAS(ERR, "interrupted: stopping");
}

TEST(circle, "devices that send to each other are stopped as well, and so is one that nobody knows")
{
	pid_t pid;

	TOPOLOGY({ "a", "wait", "\"channels\": [" PULL_CONNECT("in", "ipc://b") ", " PUSH_BIND("out", "ipc://a") "]" },
	         { "b", "wait", "\"channels\": [" PULL_CONNECT("in", "ipc://a") ", " PUSH_BIND("out", "ipc://b") "]" },
	         { "c", "wait", NULL });
	pid = START();
	CHECK_EVENTUALLY(launch_count(NOTES, "up ") == 3);
	CHECK_SYS(kill(pid, SIGTERM));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EQ(launch_count(NOTES, "down "), 3);
	CHECK_HAS(ERR, "told to end: stopping");
}

TEST(stop_timeout, "who does not end in time is killed, and the exit code tells")
{
	pid_t pid;

	TOPOLOGY({ "deaf", "hang", NULL });
	pid = START("--stop-timeout", "0.1");
	launch_noted_pid("up", "deaf");
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "deaf: does not end, killing it");
	CHECK_HAS(ERR, "1 of 1 devices failed: deaf (SIGKILL)");
}

TEST(second_signal, "a second Ctrl-C kills at once")
{
	pid_t pid;

	TOPOLOGY({ "deaf", "hang", NULL }, { "deafer", "hang", "\"count\": 3" });
	pid = START("--stop-timeout", "1000");
	CHECK_EVENTUALLY(launch_count(NOTES, "up ") == 4);
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EVENTUALLY(strstr(ERR, "interrupted: stopping"));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "4 of 4 devices failed: deaf (SIGKILL)");
}

TEST(stopped_device, "a device that a debugger or SIGSTOP has stopped is ended as well")
{
	pid_t pid, device;

	TOPOLOGY({ "one", "wait", NULL });
	pid = START("--stop-timeout", "1000");
	device = launch_noted_pid("up", "one");
	CHECK_SYS(kill(device, SIGSTOP));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_HAS(NOTES, "down one");
}

TEST(timeout, "--timeout ends the run as Ctrl-C does, and that is no failure")
{
	int exit_code;

	TOPOLOGY({ "one", "wait", NULL });
	exit_code = RUN("--timeout", "0.5");
	CHECK_HAS(ERR, "time is up: stopping");
	/* On a machine with much else to do it may not have come so far as to wait for SIGINT. */
	if (strstr(NOTES, "up one"))
		CHECK_EQ(exit_code, 0);
}

TEST(until, "a run is over when the device that was named has ended, and has failed if it does not end in time")
{
	const char *path;

	TOPOLOGY({ "one", "wait", NULL }, { "two", "good", NULL });
	path = launch_path("t.json");
	CHECK_EQ(test_wait(launch((const char *const[]){ path, "--until", "two", NULL })), 0);
	CHECK_HAS(ERR, "two has ended: stopping");
	CHECK_EQ(test_wait(launch((const char *const[]){ path, "--until", "one", "--timeout", "0.2", NULL })), 1);
	CHECK_HAS(ERR, "one had not ended when the time was up");
	CHECK_EQ(test_wait(launch((const char *const[]){ path, "--until", "three", NULL })), 2);
	CHECK_HAS(ERR, "there is no device three");
}

TEST(forked, "what a device has started ends with it, in its process group or out of it")
{
	pid_t pid, child, away;

	TOPOLOGY({ "one", "fork", NULL }, { "two", "fork-away", NULL });
	pid = START();
	launch_noted_pid("up", "one");
	child = launch_noted_pid("child", "one");
	away = launch_noted_pid("child", "two");
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK(!launch_is_running(child));
	CHECK(!launch_is_running(away));
	CHECK_HAS(OUT, "two | unfinished\n");
}

TEST(forked_and_ended, "what a device leaves in its process group is gone before another life of it begins")
{
	pid_t pid;

	TOPOLOGY({ "one", "fork-end", NULL }, { "two", "wait", NULL });
	pid = START();
	CHECK_EVENTUALLY(strstr(ERR, "one: ended"));
	CHECK_EVENTUALLY(!launch_is_running(launch_noted_pid("child", "one")));
	CHECK_SYS(kill(launch_noted_pid("up", "two"), SIGINT));
	CHECK_EQ(test_wait(pid), 0);
}

TEST(killed_run, "when sealane run is killed, no device and nothing in its group stays")
{
	pid_t pid, device, child;

	TOPOLOGY({ "one", "fork", NULL }, { "two", "hang", "\"count\": 3" });
	pid = START();
	device = launch_noted_pid("up", "one");
	child = launch_noted_pid("child", "one");
	CHECK_EVENTUALLY(launch_count(NOTES, "up two") == 3);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_EVENTUALLY(!launch_is_running(device) && !launch_is_running(child));
	/* And the harness sees that nothing else stays either. */
}

/* A child of a process by its name. */
static pid_t child_of(pid_t parent, const char *name)
{
	char path[64], line[64];
	int pid = 0, found = 0;
	FILE *children;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	children = fopen(path, "r");
	while (children && !found && fscanf(children, "%d", &pid) == 1) {
		FILE *comm;

		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		comm = fopen(path, "r");
		if (comm && fgets(line, sizeof(line), comm) && strncmp(line, name, strlen(name)) == 0)
			found = pid;
		if (comm)
			fclose(comm);
	}
	if (children)
		fclose(children);
	return found;
}

TEST(killed_guard, "when the guard is killed and then sealane run, no device stays either")
{
	pid_t pid, guard;

	TOPOLOGY({ "two", "hang", "\"count\": 3" });
	pid = START();
	CHECK_EVENTUALLY(launch_count(NOTES, "up two") == 3);
	guard = child_of(pid, "sealane-guard");
	if (!guard) {
		test_kill(pid);
		SKIP("this kernel does not list children in /proc");
	}
	CHECK_SYS(kill(guard, SIGKILL));
	CHECK_EVENTUALLY(!launch_is_running(guard));
	CHECK_EQ(test_kill(pid), -SIGKILL);
	for (int i = 0; i < 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "two%d", i);
		CHECK_EVENTUALLY(!launch_is_running(launch_noted_pid("up", id)));
	}
}

TEST(killed_run_at_any_moment, "nor does it when that happens while devices are started, restarted and stopped")
{
	TOPOLOGY({ "one", "fork", NULL }, { "bad", "fail", "\"count\": 3, \"restart\": \"always\"" },
	         { "two", "wait", "\"count\": 3" });
	for (int i = 0; i < 20; i++) {
		pid_t pid = START();

		test_sleep_ms((int64_t)(test_random() % 30));
		if (i % 2)
			kill(pid, SIGINT);
		test_kill(pid);
	}
}
