/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane cat`: what it prints of files, of a pipe, of messages, and what it says of what it cannot read. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "tables.h"
#include "test.h"

#define OUTPUT_N_BYTES (1 << 16)

extern char **environ;

/* A running command: its outputs go to files of the test's folder. */
struct command {
	pid_t pid;
	int fds[2]; /* what it has written to standard output and standard error */
	char texts[2][OUTPUT_N_BYTES];
};

static int output_open(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", test_runtime_dir(), name);
	return (int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
}

static void command_start(struct command *command, const char *input, const char *const *words)
{
	posix_spawn_file_actions_t actions;
	const char *argv[16] = { "sealane", "cat" };
	int n = 2;

	if (access(test_command(), X_OK) < 0)
		SKIP("the sealane command was not built");
	while (*words && n < 15)
		argv[n++] = *words++;
	command->fds[0] = output_open("stdout");
	command->fds[1] = output_open("stderr");
	CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
	CHECK_EQ(posix_spawn_file_actions_addopen(&actions, 0, input ? input : "/dev/null", O_RDONLY, 0), 0);
	CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, command->fds[0], 1), 0);
	CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, command->fds[1], 2), 0);
	CHECK_EQ(posix_spawn(&command->pid, test_command(), &actions, NULL, (char *const *)argv, environ), 0);
	CHECK_EQ(posix_spawn_file_actions_destroy(&actions), 0);
}

/* Waits for its end, and takes what it has written. @return its exit code */
static int command_end(struct command *command)
{
	int code = test_wait(command->pid);

	for (int i = 0; i < 2; i++) {
		ssize_t n = CHECK_SYS(pread(command->fds[i], command->texts[i], OUTPUT_N_BYTES - 1, 0));

		command->texts[i][n] = '\0';
		close(command->fds[i]);
	}
	return code;
}

static int command_run(struct command *command, const char *input, const char *const *words)
{
	command_start(command, input, words);
	return command_end(command);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The table of all types in a file. */
static void table_file(char path[300], uint64_t n_cut)
{
	uint64_t n_bytes;
	void *memory = table_write(&n_bytes);
	int fd = output_open("table.arrow");

	CHECK_EQ(CHECK_SYS(write(fd, memory, n_bytes - n_cut)), (ssize_t)(n_bytes - n_cut));
	close(fd);
	free(memory);
	snprintf(path, 300, "%s/table.arrow", test_runtime_dir());
}

static size_t lines_count(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static const char first_row[] =
	"{\"i8\":-128,\"i16\":-32768,\"i32\":-2147483648,\"i64\":-9223372036854775808,\"u8\":128,\"u16\":65408,\"u32\":4294967168,"
	"\"u64\":18446744073709551488,\"half\":1,\"float\":-32,\"double\":-42.666666666666664,\"bool\":true,\"utf8\":\"sealed\","
	"\"binary\":\"7365616c6564\",\"fsb\":\"61616161616161616161616161616161616161616161616161616161616161616161616161616161616161"
	"616161616161616161616161616161616161616161\",\"time\":1700000000123,\"null\":null,\"dict\":\"blue\",\"ree\":100,"
	"\"struct\":{\"x\":0.5,\"name\":\"sealed\"},\"list\":[10,20],\"fsl\":[0,100],\"large\":\"sealed\"}\n";

TEST(json, "--json prints one object per row, with every type, from a file and from standard input")
{
	static struct command command;
	char path[300];

	table_file(path, 0);
	CHECK_EQ(command_run(&command, NULL, WORDS(path, "--json")), 0);
	CHECK_EQ(lines_count(command.texts[0]), 2 * TABLE_N_ROWS);
	CHECK_MEM_EQ(command.texts[0], first_row, strlen(first_row));
	CHECK_STR_EQ(command.texts[1], "");
	CHECK_EQ(command_run(&command, path, WORDS("-", "--json", "--head", "1")), 0);
	CHECK_STR_EQ(command.texts[0], first_row);
}

TEST(table, "a table has names, types and rows in columns that stand below each other")
{
	static struct command command;
	char path[300], *line, *rest;
	const char *name, *type, *value;

	table_file(path, 0);
	CHECK_EQ(command_run(&command, NULL, WORDS(path, "--head", "3")), 0);
	CHECK_EQ(lines_count(command.texts[0]), 5);
	line = strtok_r(command.texts[0], "\n", &rest);
	name = strstr(line, "time");
	CHECK(name);
	type = strtok_r(NULL, "\n", &rest);
	CHECK_MEM_EQ(type + (name - line), "timestamp[ms, UTC]", 18);
	value = strtok_r(NULL, "\n", &rest);
	CHECK_MEM_EQ(value + (name - line), "2023-11-14T22:13:20.123Z", 24);
	CHECK(strstr(value, "{\"x\":0.5,\"name\":\"sealed\"}"));
	CHECK(strstr(strtok_r(NULL, "\n", &rest), "null"));
}

TEST(schema, "--schema names columns, types and metadata")
{
	static struct command command;
	char path[300];

	table_file(path, 0);
	CHECK_EQ(command_run(&command, NULL, WORDS(path, "--schema")), 0);
	CHECK(strstr(command.texts[0], "run=529691\n"));
	CHECK(strstr(command.texts[0], "dictionary<int8, utf8>\n"));
	CHECK(strstr(command.texts[0], "    unit=counts\n"));
	CHECK_EQ(command_run(&command, NULL, WORDS(path, "--schema", "--json")), 0);
	CHECK(strstr(command.texts[0],
	             "{\"name\":\"time\",\"type\":\"timestamp[ms, UTC]\",\"nullable\":true,\"metadata\":{}}"));
}

TEST(wrong, "what cannot be read is one line that says what and where, and the exit status")
{
	static struct command command;
	char path[300];

	table_file(path, 100);
	CHECK_EQ(command_run(&command, NULL, WORDS(path, "--json")), 1);
	/* What was whole was printed. */
	CHECK_EQ(lines_count(command.texts[0]), TABLE_N_ROWS);
	CHECK_EQ(lines_count(command.texts[1]), 1);
	CHECK(strstr(command.texts[1], "table.arrow: message 3: the stream is cut off in the body of a message"));
	CHECK_EQ(command_run(&command, NULL, WORDS("none/of/them")), 1);
	CHECK(strstr(command.texts[1], "none/of/them: No such file or directory"));
	CHECK_EQ(command_run(&command, test_command(), WORDS("-")), 1);
	CHECK_EQ(command_run(&command, NULL, WORDS("--json")), 2);
	CHECK_EQ(command_run(&command, NULL, WORDS("--head", "x", path)), 2);
}

/* One message: a part that is no stream, and one that is. */
static void message_send(struct sea_session *session, struct sea_channel *channel)
{
	uint64_t n_bytes;
	void *memory = table_write(&n_bytes);
	struct sea_frame_options options = { .n_bytes_max = { n_bytes + 4096 } };
	struct sea_message *message;
	struct sea_frame *frame;
	void *part;

	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, -1));
	CHECK_OK(sea_frame_add(frame, 100, 0, &part));
	memset(part, 'x', 100);
	CHECK_OK(sea_frame_add(frame, n_bytes, 0, &part));
	memcpy(part, memory, n_bytes);
	CHECK_OK(sea_frame_seal(&frame, &message));
	CHECK_OK(sea_channel_send(channel, &message, -1));
	free(memory);
}

TEST(channel, "tables in messages of a channel are printed; other parts are named")
{
	static struct command command;
	struct sea_session_options options = { .name = "cat", .process_name = "test-cat" };
	struct sea_session *session;
	struct sea_channel *channel;

	command_start(&command, NULL, WORDS("tables", "--count", "2", "--json", "--session", "cat"));
	CHECK_OK(sea_session_open(&session, &options));
	CHECK_OK(sea_channel_new(&channel, session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_bind(channel, "tables"));
	message_send(session, channel);
	message_send(session, channel);
	CHECK_EQ(command_end(&command), 0);
	CHECK_EQ(lines_count(command.texts[0]), 4 * TABLE_N_ROWS);
	CHECK_MEM_EQ(command.texts[0], first_row, strlen(first_row));
	CHECK(strstr(command.texts[1], "no file tables: receiving from the channel of that name in session cat"));
	CHECK(strstr(command.texts[1], "message 1, part 0: 100 bytes that are no Arrow stream"));
	sea_channel_close(channel);
	sea_session_close(session);
}
