/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sealane run` as a user runs it: what a device is given, and how its program is found. The devices of these tests are
 * the test programs themselves, see launch.h; restarts, ends and outputs: test-run-*.c.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "launch.h"

LAUNCH_PLAYS_DEVICES

TEST(command_line, "a device gets its own arguments, its id, the file, the session, static control, and what all get")
{
	char line[2048];

	TOPOLOGY({ "sampler1", "print", "\"args\": [\"--rate\", \"1 000\", \"\"]" });
	CHECK_EQ(RUN("--session", "here", "--", "--severity", "warn"), 0);
	snprintf(
		line, sizeof(line),
		"sampler1 | args <--rate> <1 000> <> <--id> <sampler1> <--mq-config> <%s> <--session> <here> <--control> "
		"<static> <--severity> <warn>\n",
		launch_path("t.json"));
	CHECK_HAS(OUT, line);
	CHECK_LACKS(OUT, "--config-key");
}

TEST(environment,
     "a device has its variables, ours, the session, no input, no blocked signals and no descriptors of ours")
{
	signal(SIGPIPE, SIG_IGN);
	TOPOLOGY({ "one", "print", NULL });
	CHECK_EQ(RUN("--session", "here"), 0);
	signal(SIGPIPE, SIG_DFL);
	CHECK_HAS(OUT, "SEALANE_SESSION=here OWN=a b PATH is set\n");
	CHECK_HAS(OUT, "signals free, SIGPIPE deadly, standard input /dev/null\n");
	CHECK_LACKS(OUT, "is left");
}

TEST(count, "copies have numbers, and find their configuration by the id or key of the device")
{
	TOPOLOGY({ "processor", "print", "\"count\": 3" }, { "sink", "print", "\"key\": \"group\"" });
	CHECK_EQ(RUN(), 0);
	for (int i = 0; i < 3; i++) {
		char line[128];

		snprintf(line, sizeof(line), "processor%d | args <--id> <processor%d> <--config-key> <processor> ", i,
		         i);
		CHECK_HAS(OUT, line);
	}
	CHECK_HAS(OUT, "sink       | args <--id> <sink> <--config-key> <group> ");
	CHECK_EQ(launch_count(OUT, "args"), 4);
	CHECK_EQ(RUN("--count", "processor=5"), 0);
	CHECK_EQ(launch_count(OUT, "args"), 6);
}

TEST(cpus, "a device runs on its processors only, each copy on its own if it has a list")
{
	cpu_set_t cpus;
	int first = 0, last = CPU_SETSIZE - 1;
	char more[128], line[128];

	CHECK_SYS(sched_getaffinity(0, sizeof(cpus), &cpus));
	while (!CPU_ISSET(first, &cpus))
		first++;
	while (!CPU_ISSET(last, &cpus))
		last--;
	snprintf(more, sizeof(more), "\"count\": 2, \"cpus\": [\"%d\", \"%d\"]", first, last);
	TOPOLOGY({ "copy", "print", more }, { "free", "print", NULL });
	snprintf(line, sizeof(line), "free=%d-%d", first, first);
	CHECK_EQ(RUN("--cpus", line), 0);
	snprintf(line, sizeof(line), "copy0 | cpus %d\n", first);
	CHECK_HAS(OUT, line);
	snprintf(line, sizeof(line), "copy1 | cpus %d\n", last);
	CHECK_HAS(OUT, line);
	snprintf(line, sizeof(line), "free  | cpus %d\n", first);
	CHECK_HAS(OUT, line);
	TOPOLOGY({ "copy", "print", "\"cpus\": \"1023\"" });
	CHECK_EQ(RUN(), 2);
	CHECK_HAS(ERR, "devices[0].cpus: not all of the processors 1023 are here");
}

TEST(words, "a command is split as a shell does it, and no shell runs it")
{
	char program[512] = "", command[1024];

	CHECK_SYS(readlink("/proc/self/exe", program, sizeof(program) - 1));
	TOPOLOGY({ "one", "print", NULL });
	snprintf(command, sizeof(command), "one='%s' a\\ b \"c 'd\" 'e\\' \"\" $HOME;x \"\\\"\\x\"", program);
	CHECK_EQ(RUN("--exec", command), 0);
	CHECK_HAS(OUT, "args <a b> <c 'd> <e\\> <> <$HOME;x> <\"\\x> <--id>");
	CHECK_EQ(RUN("--exec", "one=a 'b"), 2);
	CHECK_HAS(ERR, "--exec one: a quote or a backslash has no end");
	CHECK_EQ(RUN("--exec", "two=a"), 2);
	CHECK_HAS(ERR, "has no device of that id or key");
}

TEST(found, "a program is found beside the file, in $PATH, or as a command of ours")
{
	launch_write_file("beside.sh", 0700, "#!/bin/sh\necho beside\n");
	launch_write_file(
		"t.json", 0600,
		"{\"fairMQOptions\": {\"devices\": [ {\"id\": \"a\", \"exec\": \"./beside.sh\"},\n"
		"{\"id\": \"b\", \"exec\": \"beside.sh\"}, {\"id\": \"c\", \"exec\": \"sh\", \"args\": [\"-c\", \"echo shell\"]},\n"
		"{\"id\": \"d\", \"exec\": \"sealane help run\"} ]}}");
	CHECK_EQ(RUN(), 0);
	CHECK_HAS(OUT, "a | beside\n");
	CHECK_HAS(OUT, "b | beside\n");
	CHECK_HAS(OUT, "c | shell\n");
	CHECK_HAS(OUT, "d | Usage: sealane run TOPOLOGY.json");
	/* doctor refuses the options of a device, by which it is known that it was called. */
	CHECK_EQ(RUN("-k", "-e", "a=sealane:doctor", "-e", "b=doctor"), 1);
	CHECK_HAS(OUT, "a | sealane doctor: unknown option --id");
	CHECK_HAS(OUT, "b | sealane doctor: unknown option --id");
	CHECK_EQ(RUN("-e", "a=sealane:nothing", "-e", "b=./beside.sh", "-e", "c=no-such-program"), 2);
	CHECK_HAS(ERR, "a: sealane has no command 'nothing'");
	CHECK_HAS(ERR, "b: there is no program './beside.sh'");
	CHECK_HAS(ERR, "c: there is no program 'no-such-program', neither beside the file nor in $PATH");
	CHECK_STR_EQ(OUT, "");
}

TEST(unstartable, "a program that the kernel refuses is a failure that says why")
{
	launch_write_file("bad.sh", 0700, "#!/no/such/interpreter\n");
	launch_write_file(
		"t.json", 0600,
		"{\"fairMQOptions\": {\"devices\": [ {\"id\": \"a\", \"exec\": \"./bad.sh\", \"restart\": \"always\", "
		"\"restartMax\": 1} ]}}");
	CHECK_EQ(RUN(), 1);
	CHECK_EQ(launch_count(ERR, "starting it again"), 1);
	CHECK_HAS(ERR, "1 of 1 devices failed: a (cannot be started: No such file or directory)");
	CHECK_EQ(RUN("--json"), 1);
	CHECK_HAS(OUT, "\"event\":\"exit\"");
	CHECK_HAS(OUT, "\"error\":\"No such file or directory\"");
}

TEST(real, "real data goes from one device to another, in a fresh session of which nothing is left")
{
	char text[2048];

	launch_write_file("data", 0600, "what is sent");
	snprintf(
		text, sizeof(text),
		"{\"fairMQOptions\": {\"devices\": [\n"
		"{\"id\": \"send\", \"exec\": \"sh\", \"args\": [\"-c\", \"exec '%s' send '%s' --to here --quiet\"]},\n"
		"{\"id\": \"recv\", \"exec\": \"sh\", \"args\": [\"-c\", \"exec '%s' recv --from here --out '%s' --quiet\"]} ]}}",
		test_command(), launch_path("data"), test_command(), launch_path("copy"));
	launch_write_file("t.json", 0600, text);
	CHECK_EQ(RUN(), 0);
	CHECK_STR_EQ(launch_read_file("copy/data"), "what is sent");
	/* No folder of a session: only files/, which is ours. */
	snprintf(text, sizeof(text), "[ \"$(ls -A '%s')\" = files ]", test_runtime_dir());
	CHECK_EQ(system(text), 0);
}
