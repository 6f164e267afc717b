/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of `sealane run` that end by themselves: which are started again, and when that ends the run. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "launch.h"

LAUNCH_PLAYS_DEVICES

TEST(restart_on_failure, "a device that fails is started again until it ends well, and then the run was good")
{
	TOPOLOGY({ "one", "fail-twice", "\"restart\": \"on-failure\"" });
	CHECK_EQ(RUN("--json"), 0);
	CHECK_EQ(launch_count(OUT, "\"event\":\"start\""), 3);
	CHECK_EQ(launch_count(OUT, "\"event\":\"exit\""), 3);
	CHECK_EQ(launch_count(OUT, "\"code\":5"), 2);
	CHECK_EQ(launch_count(OUT, "\"event\":\"restart\""), 2);
	CHECK_HAS(OUT, "\"event\":\"end\"");
	CHECK_HAS(OUT, "\"exit_code\":0,\"failed\":[]}");
}

TEST(restart_always, "a device that ends well is started again as well if it always is, and on failure it is not")
{
	TOPOLOGY({ "one", "end-twice", "\"restart\": \"always\", \"restartMax\": 2" });
	CHECK_EQ(RUN(), 1);
	CHECK_HAS(ERR, "one: exit code 0, starting it again in 0.1 s (restart 1)");
	CHECK_HAS(ERR, "one: exit code 0, starting it again in 0.2 s (restart 2)");
	CHECK_HAS(ERR, "1 of 1 devices failed: one (exit code 6)");
	unlink(launch_path("notes-one"));
	CHECK_EQ(RUN("--restart", "one=on-failure"), 0);
	CHECK_LACKS(ERR, "again");
}

TEST(restart_max, "a device that fails too often stops the run, and the exit code and a line tell of it")
{
	TOPOLOGY({ "bad", "fail", "\"restart\": \"on-failure\", \"restartMax\": 1" }, { "good", "wait", NULL });
	CHECK_EQ(RUN(), 1);
	CHECK_EQ(launch_count(NOTES, "life bad"), 2);
	CHECK_HAS(NOTES, "down good");
	CHECK_HAS(ERR, "bad failed: stopping");
	CHECK_HAS(ERR, "1 of 2 devices failed: bad (exit code 7)");
}

TEST(cause, "among those that ended badly the one for whom the others were stopped is named first, and few are")
{
	TOPOLOGY({ "deaf", "hang", "\"count\": 12" }, { "bad", "fail", "\"restart\": \"always\", \"restartMax\": 2" });
	CHECK_EQ(RUN("--stop-timeout", "0"), 1);
	CHECK_HAS(ERR, "13 of 13 devices failed: bad (exit code 7), deaf0 (SIG");
	CHECK_HAS(ERR, " and 5 more\n");
}

TEST(keep_going, "with --keep-going a device that fails stops nobody, and the exit code still tells")
{
	pid_t pid;

	TOPOLOGY({ "bad", "fail", NULL }, { "good", "wait", NULL });
	pid = START("--keep-going");
	CHECK_EVENTUALLY(strstr(ERR, "bad: exit code 7"));
	CHECK_SYS(kill(launch_noted_pid("up", "good"), SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(ERR, "good: ended");
	CHECK_LACKS(ERR, "stopping");
}

TEST(killed_device, "a device that is killed is started again, and the others do not notice")
{
	pid_t pid, first, other;

	TOPOLOGY({ "one", "wait", "\"restart\": \"on-failure\"" }, { "other", "wait", NULL });
	pid = START();
	first = launch_noted_pid("up", "one");
	other = launch_noted_pid("up", "other");
	CHECK_SYS(kill(first, SIGKILL));
	CHECK_EVENTUALLY(launch_count(NOTES, "up one") == 2);
	CHECK_EQ(launch_count(NOTES, "up other"), 1);
	CHECK_SYS(kill(other, 0));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 0);
	CHECK_HAS(ERR, "one: SIGKILL, starting it again in 0.1 s (restart 1)");
	CHECK_HAS(NOTES, "down other");
}

TEST(no_restart_while_stopping, "what waits for its restart when all is stopped is not started any more")
{
	pid_t pid;

	TOPOLOGY({ "bad", "fail", "\"restart\": \"always\"" }, { "good", "wait", NULL });
	pid = START("--json");
	/* Then it waits for 0.8 s. */
	CHECK_EVENTUALLY(strstr(ERR, "(restart 4)"));
	CHECK_EVENTUALLY(strstr(NOTES, "up good"));
	CHECK_SYS(kill(pid, SIGINT));
	CHECK_EQ(test_wait(pid), 1);
	CHECK_HAS(OUT, "\"event\":\"stop\"");
	CHECK_LACKS(strstr(OUT, "\"event\":\"stop\""), "\"event\":\"start\"");
}
