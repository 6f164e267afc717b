/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane ccdb`: a server process and the words that talk to it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serving.h"

struct server {
	pid_t pid;
	unsigned port;
};

static bool port_read(struct server *server)
{
	FILE *file = fopen(serving_path("port"), "r");
	const bool is_there = file && fscanf(file, "%u", &server->port) == 1;

	if (file)
		fclose(file);
	return is_there;
}

static struct server server_start(const char *option)
{
	struct server server = { .pid = (pid_t)CHECK_SYS(fork()) };

	if (server.pid == 0) {
		/* Also when the test is killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHECK(freopen("/dev/null", "w", stdout));
		execl(test_command(), "sealane", "ccdb", "serve", "--dir", serving_path("store"), "--port", "0",
		      "--port-file", serving_path("port"), option, (char *)NULL);
		_exit(127);
	}
	CHECK_EVENTUALLY(port_read(&server));
	return server;
}

static void server_stop(const struct server *server)
{
	CHECK_SYS(kill(server->pid, SIGTERM));
	CHECK_EQ(test_wait(server->pid), 0);
	CHECK(access(serving_path("port"), F_OK) < 0);
}

/* Runs `sealane ccdb ARGUMENTS`, where @ stands for the server. @return its exit code; output has both streams */
static int run(const struct server *server, const char *arguments, char *output, size_t n_output)
{
	char command[4096];
	size_t n = (size_t)snprintf(command, sizeof(command), "cd '%s' && '%s' ccdb ", test_runtime_dir(),
	                            test_command());
	FILE *stream;
	int status;

	for (const char *at = arguments; *at; at++)
		n += (size_t)(*at == '@' ? snprintf(command + n, sizeof(command) - n, "127.0.0.1:%u", server->port)
		                         : snprintf(command + n, sizeof(command) - n, "%c", *at));
	snprintf(command + n, sizeof(command) - n, " 2>&1");
	stream = popen(command, "r");
	CHECK(stream);
	n = fread(output, 1, n_output - 1, stream);
	output[n] = 0;
	status = pclose(stream);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void file_write(const char *name, const char *text)
{
	FILE *file = fopen(serving_path(name), "w");

	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST_TIMEOUT(words, "put, ls, get, set, rm and truncate do what they say", 60)
{
	const struct server server = server_start(NULL);
	char output[8192], uuid[64];

	file_write("a.root", "first");
	file_write("b.root", "second");
	CHECK_EQ(run(&server, "put @ TPC/Gain a.root --from 1970-01-01 --until 1970-01-02T00:00Z --meta run=5", output,
	             sizeof(output)),
	         0);
	snprintf(uuid, sizeof(uuid), "%.36s", output);
	CHECK_EQ(strlen(output), 37);
	CHECK_EQ(run(&server, "put @ TPC/Gain b.root --from 1000 --until 1970-01-01T00:00:02.5+00:00", output,
	             sizeof(output)),
	         0);
	CHECK_EQ(run(&server, "get @ TPC/Gain --at 999", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "first");
	CHECK_EQ(run(&server, "get @ TPC/Gain --at 2499 --out got && cat got", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "second");
	CHECK_EQ(run(&server, "get @ TPC/Gain --at 2500 --headers", output, sizeof(output)), 0);
	CHECK(strstr(output, "run: 5\n") && strstr(output, "first"));
	CHECK_EQ(run(&server, "ls @ TPC/Gain", output, sizeof(output)), 0);
	CHECK(strstr(output, "METADATA\n") && strstr(output, uuid) && strstr(output, "1970-01-01T00:00:02.500"));
	CHECK_EQ(run(&server, "ls @", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "TPC/\n");
	CHECK_EQ(run(&server, "ls @ '*' --latest --json", output, sizeof(output)), 0);
	CHECK(strstr(output, "\"path\":\"TPC/Gain\"") && strchr(output, '\n') == output + strlen(output) - 1);
	CHECK_EQ(run(&server, "set @ TPC/Gain --at 1500 --until 1600 --set run=6", output, sizeof(output)), 0);
	CHECK_EQ(run(&server, "get @ TPC/Gain --at 1600", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "first");
	CHECK_EQ(run(&server, "rm @ TPC/Gain --at 1500", output, sizeof(output)), 0);
	CHECK_EQ(run(&server, "get @ TPC/Gain --at 1500", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "first");
	CHECK_EQ(run(&server, "truncate @ 'TPC/*'", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "1 removed\n");
	server_stop(&server);
	CHECK_EQ(run(&server, "gc store", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "0 contents kept, 0 removed (0 bytes)\n");
}

TEST_TIMEOUT(errors, "every error is one line with what and where, and a failed get leaves no file", 60)
{
	static const struct {
		const char *line, *word;
		int code;
	} cases[] = {
		{ "get @ TPC/Gain --at 5", "/TPC/Gain/5: 404: No matching objects found", 1 },
		{ "get @ TPC/Gain --at 5 --out got", "404", 1 },
		{ "get 127.0.0.1:1 TPC/Gain --at 5", "127.0.0.1:1", 1 },
		{ "get @ TPC/5/Gain --at 5", "path", 1 },
		{ "get @ TPC/Gain --at yesterday", "is no time", 2 },
		{ "get @", "an argument is missing", 2 },
		{ "put @ A missing.root", "missing.root", 1 },
		{ "put @ A a.root --from 5 --until 4", "validity", 1 },
		{ "put @ A a.root --meta x", "KEY=VALUE", 2 },
		{ "put @ A a.root --meta ETag=x", "ETag", 1 },
		{ "set @ A", "nothing to change", 2 },
		{ "serve", "--dir is missing", 2 },
		{ "serve --dir store --fault nonsense", "nonsense", 2 },
		{ "serve --dir store --bind nowhere", "nowhere", 1 },
		{ "serve --dir a.root", "a.root", 1 },
		{ "gc missing", "missing", 1 },
		{ "putt", "did you mean 'put'", 2 },
		{ "import @ missing", "missing", 1 },
	};
	const struct server server = server_start(NULL);
	char output[8192];

	file_write("a.root", "x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int code = run(&server, cases[i].line, output, sizeof(output));

		if (code != cases[i].code || !strstr(output, cases[i].word) ||
		    strchr(output, '\n') != output + strlen(output) - 1)
			FAIL("%s: %d, %s", cases[i].line, code, output);
	}
	CHECK(access(serving_path("got"), F_OK) < 0);
	server_stop(&server);
}

TEST_TIMEOUT(import, "a folder is imported by its names, or by its manifest", 60)
{
	const struct server server = server_start("--direct");
	char output[8192];

	CHECK_SYS(mkdir(serving_path("tree"), 0777));
	CHECK_SYS(mkdir(serving_path("tree/TPC"), 0777));
	file_write("tree/TPC/Gain.v1.root", "gain");
	file_write("tree/.hidden", "x");
	file_write("tree/Mag", "mag");
	CHECK_EQ(run(&server, "import @ tree --from 10 --until 20 --meta pass=1 --prefix Test", output, sizeof(output)),
	         0);
	CHECK(strstr(output, "2 objects, 7 bytes\n"));
	CHECK_EQ(run(&server, "get @ Test/TPC/Gain.v1 --at 10 --meta pass=1", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "gain");
	file_write("tree/import.json",
	           "[{\"path\": \"M/A\", \"file\": \"Mag\", \"from\": 5, \"until\": \"1970-01-01T00:00:01\", "
	           "\"metadata\": {\"run\": \"7\"}},\n {\"path\": \"M/B\", \"file\": \"TPC/Gain.v1.root\"}]");
	CHECK_EQ(run(&server, "import @ tree/ --json", output, sizeof(output)), 0);
	CHECK_EQ(run(&server, "get @ M/A --at 999 --meta run=7", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "mag");
	CHECK_EQ(run(&server, "get @ M/B --at now", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "gain");
	file_write("tree/import.json", "[{\"path\": \"M/A\", \"fil\": \"Mag\"}]");
	CHECK_EQ(run(&server, "import @ tree", output, sizeof(output)), 1);
	CHECK(strstr(output, "import.json: [0]: unknown key fil"));
	file_write("tree/import.json", "[{\"path\": \"M/A\",\n}]");
	CHECK_EQ(run(&server, "import @ tree", output, sizeof(output)), 1);
	CHECK(strstr(output, "import.json:2:"));
	server_stop(&server);
}

TEST_TIMEOUT(killed, "a server that is killed is started again on its folder, and two serve one folder", 60)
{
	struct server first = server_start(NULL), second;
	char output[8192];

	file_write("a.root", "content");
	CHECK_EQ(run(&first, "put @ A a.root --from 0 --until 10", output, sizeof(output)), 0);
	CHECK_EQ(test_kill(first.pid), -SIGKILL);
	CHECK_SYS(unlink(serving_path("port")));
	first = server_start(NULL);
	CHECK_SYS(unlink(serving_path("port")));
	second = server_start(NULL);
	CHECK_EQ(run(&first, "put @ B a.root --from 0 --until 10", output, sizeof(output)), 0);
	CHECK_EQ(run(&second, "get @ A --at 5", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "content");
	CHECK_EQ(run(&second, "get @ B --at 5", output, sizeof(output)), 0);
	CHECK_STR_EQ(output, "content");
	server_stop(&second);
	CHECK_SYS(kill(first.pid, SIGINT));
	CHECK_EQ(test_wait(first.pid), 0);
}
