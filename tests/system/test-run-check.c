/* SPDX-License-Identifier: Apache-2.0 */
/* What `sealane run` says of a topology before it starts anything: what is wrong in it, and what it would do. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "launch.h"

LAUNCH_PLAYS_DEVICES

TEST(malformed, "what is wrong in a file is said with its place, all of it, and nothing is started")
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "{\"fairMQOptions\": {\n\"devices\": [", "t.json:2:" },
		{ "", "t.json:1:" },
		{ "[]", "t.json:1:1: fairMQOptions.devices: is no list of devices" },
		{ "{\"fairMQOptions\":\n  {\"devices\": {}}}",
		  "t.json:2:15: fairMQOptions.devices: is no list of devices" },
		{ "{\"fairMQOptions\": {\"devices\": []}}", "is no list of devices" },
	};
	static const char wrong[] =
		"{ \"fairMQOptions\": { \"devices\": [\n"
		"  { \"exec\": \"true\" },\n"
		"  { \"id\": \"b\", \"count\": 0, \"exec\": \"true\" },\n"
		"  { \"id\": \"c\", \"restart\": \"often\", \"exec\": \"true 'x\" },\n"
		"  { \"id\": \"d\", \"args\": \"x\",\n"
		"    \"env\": { \"A\": 1 }, \"exec\": \"no-such-program\", \"cpus\": \"zero\" },\n"
		"  { \"id\": \"e\" }, 5,\n"
		"  { \"id\": \"f\", \"exec\": \"true\", \"args\": [ \"\\\"[{,\", 3 ], \"restartMax\": -1,\n"
		"    \"channels\": [ { \"name\": \"n\", \"type\": \"pus\" }, { \"sockets\": 1 },\n"
		"      { \"name\": \"m\", \"sockets\": [ { }, { \"method\": \"bin\" }, { \"address\": 7 } ] } ] },\n"
		"  { \"id\": \"g\", \"exec\": \"true\" }, { \"id\": \"g\", \"exec\": \"true\" }\n"
		"] } }\n";
	static const char *const said[] = {
		":2:3: devices[0]: has neither id nor key\n",
		":3:25: devices[1].count: is no number from 1 to 4096\n",
		":4:27: devices[2].restart: 'often' is none of never, on-failure, always\n",
		":4:44: devices[2].exec: a quote or a backslash has no end\n",
		":5:24: devices[3].args: is no list of texts",
		":6:19: devices[3].env.A: is no text; numbers want quotes\n",
		":6:59: devices[3].cpus: is no list of processors such as 0-3,6\n",
		":6:32: devices[3].exec: there is no program 'no-such-program', neither beside the file nor in $PATH\n",
		":7:3: devices[4]: e does not say what to start: exec, or --exec e=COMMAND\n",
		":7:18: devices[5]: is no object\n",
		":8:51: devices[6].args[1]: is no text; numbers want quotes\n",
		":8:70: devices[6].restartMax: is no number from 0\n",
		":9:42: devices[6].channels[0].type: 'pus' is no type of a channel",
		":9:51: devices[6].channels[1]: has no name\n",
		":10:52: devices[6].channels[2].sockets[1].method: 'bin' is neither bind nor connect\n",
		":10:74: devices[6].channels[2].sockets[2].address: is no text\n",
		":11:34: devices[8]: there are two devices 'g'\n",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		launch_write_file("t.json", 0600, cases[i].text);
		CHECK_EQ(RUN(), 2);
		CHECK_HAS(ERR, cases[i].said);
		CHECK_HAS(ERR, "nothing was started");
	}
	launch_write_file("t.json", 0600, wrong);
	CHECK_EQ(RUN(), 2);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		CHECK_HAS(ERR, said[i]);
	CHECK_STR_EQ(OUT, "");
	unlink(launch_path("t.json"));
	CHECK_EQ(RUN(), 2);
	CHECK_HAS(ERR, "No such file or directory");
}

TEST(channels, "channels that no device could open are found before anything is started, those of all devices")
{
	TOPOLOGY(
		{ "a", "print",
	          "\"channels\": [{\"name\": \"n\", \"type\": \"push\", \"sndBufSize\": -1, \"address\": \"@ipc://a\"}]" },
		{ "b", "print", "\"channels\": [{\"name\": \"n\", \"type\": \"push\", \"address\": \"ipc://b\"}]" },
		{ "c", "print", "\"channels\": [{\"name\": \"n\", \"type\": \"push\", \"method\": \"bind\"}]" });
	CHECK_EQ(RUN(), 2);
	CHECK_HAS(ERR, "devices[0].channels[0].sndBufSize: ");
	CHECK_HAS(ERR, "devices[1].channels: n[0]: method: ");
	CHECK_HAS(ERR, "2 errors, nothing was started");
	CHECK_STR_EQ(OUT, "");
}

TEST(unknown_key, "a key that is not known is a warning, and an error with --strict")
{
	TOPOLOGY({ "one", "print", "\"restrat\": \"always\", \"_comment\": \"x\"" });
	CHECK_EQ(RUN(), 0);
	CHECK_HAS(ERR, "devices[0].restrat: is no key that is known here");
	CHECK_HAS(ERR, "devices[0]._comment: is no key that is known here");
	CHECK_HAS(OUT, "args");
	CHECK_EQ(RUN("--strict"), 2);
	CHECK_HAS(ERR, "devices[0].restrat: is no key that is known here");
	CHECK_STR_EQ(OUT, "");
}

TEST(usage, "a command line that means nothing is refused")
{
	TOPOLOGY({ "one", "print", NULL });
	CHECK_EQ(RUN("--timeout", "soon"), 2);
	CHECK_EQ(RUN("--session", "../up"), 2);
	CHECK_EQ(RUN("--exec", "one"), 2);
	CHECK_EQ(RUN("--count", "one=many"), 2);
	CHECK_EQ(RUN("--restart", "one=often"), 2);
	CHECK_EQ(RUN("another.json"), 2);
	CHECK_EQ(test_wait(launch((const char *const[]){ "--quiet", NULL })), 2);
	CHECK_STR_EQ(OUT, "");
}

TEST(dry_run, "--dry-run prints lines that a shell takes, and starts nothing")
{
	char line[1024];

	TOPOLOGY({ "one", "fail", "\"args\": [\"it's\"]" });
	CHECK_EQ(RUN("--dry-run", "--session", "here"), 0);
	CHECK_HAS(OUT, "SEALANE_SESSION=here ROLE=fail OWN='a b' ");
	CHECK_HAS(OUT, " 'it'\\''s' --id one --mq-config ");
	CHECK_STR_EQ(NOTES, "");
	snprintf(line, sizeof(line), "sh '%s'", launch_path("out"));
	CHECK_EQ(system(line), 7 << 8);
	CHECK_STR_EQ(NOTES, "life one\n");
}

TEST(dot, "--dot prints who sends to whom, which end is bound, and copies once, also of a file for another machine")
{
	launch_write_file(
		"t.json", 0600,
		"{\"fairMQOptions\": {\"devices\": [\n"
		"{\"id\": \"sampler1\", \"channels\": [" PUSH_BIND(
			"data1",
			"tcp://*:5555") "]},\n"
					"{\"key\": \"processor\", \"count\": 3, \"channels\": [" PULL_CONNECT(
						"data1",
						"tcp://localhost:5555") ",\n"
									" {\"name\": \"data2\", \"type\": \"push\", \"method\": \"connect\", \"address\": \"ipc://x\"}]},\n"
									"{\"id\": \"sink\", \"channels\": [ {\"name\": \"in\", \"type\": \"pull\", \"address\": \"@ipc://x,>ipc://y\"},\n"
									" {\"name\": \"ctl\", \"type\": \"pair\", \"method\": \"bind\", \"address\": \"ipc://c\"} ]},\n"
									"{\"id\": \"boss\", \"cpus\": \"1023\", \"channels\": [ {\"name\": \"ctl\", \"type\": \"pair\", \"method\": \"connect\", "
									"\"address\": \"ipc://c\"} ]} ]}}");
	CHECK_EQ(RUN("--dot"), 0);
	CHECK_HAS(OUT, "\"processor\" [label=\"processor x3\"];");
	CHECK_HAS(
		OUT,
		"\"sampler1\" -> \"processor\" [dir=both, label=\"data1\\ntcp://*:5555\", arrowtail=dot, arrowhead=normal];");
	CHECK_HAS(
		OUT,
		"\"processor\" -> \"sink\" [dir=both, label=\"data2 - in\\nipc://x\", arrowtail=none, arrowhead=dotnormal];");
	CHECK_HAS(OUT,
	          "\"sink\" -> \"boss\" [dir=both, label=\"ctl\\nipc://c\", arrowtail=dotnormal, arrowhead=normal];");
	CHECK_HAS(OUT, "label=\"ipc://y\"];");
	CHECK_EQ(launch_count(OUT, "->"), 4);
	if (system("command -v dot >/dev/null 2>&1") == 0) {
		char line[1024];

		snprintf(line, sizeof(line), "dot -Tsvg '%s' >/dev/null", launch_path("out"));
		CHECK_EQ(system(line), 0);
	}
}
