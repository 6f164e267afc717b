/* SPDX-License-Identifier: Apache-2.0 */
/* FairMQ's JSON files: what they mean, and where they are wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/device/device.h>

#include "test.h"

struct warned {
	int n;
	char lines[8][200];
};

static void warn(const struct sea_error *warning, void *userdata)
{
	struct warned *warned = userdata;

	CHECK_LT(warned->n, 8);
	sea_error_line(warning, warned->lines[warned->n++], sizeof(warned->lines[0]));
}

/* The channels of a device of some text. *line receives the error as it is printed, or "". */
static int read_text(const char *text, const char *device, struct sea_channel_list *list, bool is_strict,
                     struct warned *warned, char line[300])
{
	struct sea_error error = { 0 };
	struct sea_mq_config *config;
	int r = sea_mq_config_parse(&config, "t.json", text, strlen(text), &error);

	if (r == 0) {
		r = sea_mq_config_channels(config, device, list, is_strict, warned ? warn : NULL, warned, &error);
		sea_mq_config_close(config);
	}
	CHECK_EQ(error.code, r);
	sea_error_line(&error, line, 300);
	return r;
}

/* Text of a file with one device "d", whose channels start in line 2. */
#define DEVICE(channels) "{\"fairMQOptions\":{\"devices\":[{\"id\":\"d\",\n\"channels\":[" channels "]}]}}"

static const char whole[] =
	"{ \"fairMQOptions\": { \"devices\": [\n"
	"  { \"id\": \"sampler1\",\n"
	"    \"channels\": [ { \"name\": \"data\", \"type\": \"push\", \"method\": \"bind\",\n"
	"      \"sockets\": [ { \"address\": \"tcp://*:5555\", \"transport\": \"shmem\", \"sndBufSize\": 10,\n"
	"        \"rcvBufSize\": \"20\", \"linger\": 0, \"autoBind\": false },\n"
	"        { \"type\": \"pair\", \"address\": \"ipc://x\" } ],\n"
	"      \"rateLogging\": 7 } ] },\n"
	"  { \"key\": \"processor\", \"id\": \"other\", \"channels\": [\n"
	"    { \"name\": \"in\", \"sockets\": [ { \"type\":\"pull\", \"method\":\"connect\",\n"
	"      \"address\":\"tcp://localhost:5555\" } ] },\n"
	"    { \"name\": \"out\", \"type\": \"push\", \"method\": \"bind\", \"numSockets\": 3,\n"
	"      \"transport\": \"zeromq\" },\n"
	"    { \"name\": \"one\", \"type\": \"sub\", \"address\": \"@ipc://y\", \"sndTimeoutMs\": 5, \"autoBind\": \"0\" }\n"
	"  ] } ] } }\n";

TEST(grammar, "sockets inherit from their channel, numSockets replicates, and a channel without sockets is one")
{
	struct sea_channel_list list = { 0 };
	const struct sea_channel_config *config;
	struct warned warned = { 0 };
	char line[300];

	CHECK_OK(read_text(whole, "sampler1", &list, true, &warned, line));
	CHECK_EQ(list.n_channels, 2);
	config = sea_channel_list_find(&list, "data", 0);
	CHECK(config->type == SEA_CHANNEL_TYPE_PUSH && config->method == SEA_CHANNEL_METHOD_BIND);
	CHECK(config->transport == SEA_CHANNEL_TRANSPORT_SHMEM && !config->auto_bind);
	CHECK_STR_EQ(config->address, "tcp://*:5555");
	CHECK_EQ(config->snd_buf_size, 10);
	CHECK_EQ(config->rcv_buf_size, 20);
	CHECK_EQ(config->linger_ms, 0);
	CHECK_EQ(config->rate_logging_s, 7);
	CHECK_STR_EQ(config->origins[SEA_CHANNEL_KEY_TYPE], "t.json:3");
	CHECK_STR_EQ(config->origins[SEA_CHANNEL_KEY_ADDRESS], "t.json:4");
	CHECK_STR_EQ(config->origins[SEA_CHANNEL_KEY_RCV_BUF_SIZE], "t.json:5");
	CHECK_STR_EQ(config->origins[SEA_CHANNEL_KEY_RATE_LOGGING], "t.json:7");
	CHECK(!config->origins[SEA_CHANNEL_KEY_PORT_RANGE_MIN]);
	config = sea_channel_list_find(&list, "data", 1);
	CHECK(config->type == SEA_CHANNEL_TYPE_PAIR && config->transport == SEA_CHANNEL_TRANSPORT_DEFAULT);
	CHECK_EQ(config->snd_buf_size, 1000);
	sea_channel_list_fini(&list);

	/* What has a key is found by that alone. */
	CHECK_ERR(read_text(whole, "other", &list, false, &warned, line), -ENOENT);
	CHECK_STR_EQ(line, "t.json:1:33: fairMQOptions.devices: has no device whose key or id is 'other'");
	CHECK_OK(read_text(whole, "processor", &list, true, &warned, line));
	CHECK_EQ(list.n_channels, 5);
	CHECK_EQ(sea_channel_list_find(&list, "in", 0)->type, SEA_CHANNEL_TYPE_PULL);
	CHECK_EQ(sea_channel_list_count(&list, "out"), 3);
	CHECK_EQ(sea_channel_list_find(&list, "out", 2)->transport, SEA_CHANNEL_TRANSPORT_ZEROMQ);
	config = sea_channel_list_find(&list, "one", 0);
	CHECK_STR_EQ(config->address, "@ipc://y");
	CHECK_EQ(config->snd_timeout_ms, 5);
	CHECK(!config->auto_bind);
	CHECK_EQ(warned.n, 0);
	sea_channel_list_fini(&list);
}

TEST(wrong, "everything that is wrong is an error with line, column and key")
{
	static const struct {
		const char *text;
		int r;
		const char *line;
	} cases[] = {
		{ "[]", -EINVAL, "t.json:1:1: is no object" },
		{ " {}", -EINVAL, "t.json:1:2: fairMQOptions: is missing" },
		{ "{\"fairMQOptions\": 5}", -EINVAL, "t.json:1:19: fairMQOptions: is no object" },
		{ "{\"fairMQOptions\": {}}", -EINVAL, "t.json:1:19: fairMQOptions.devices: is missing" },
		{ "{\"fairMQOptions\":\n {\"devices\": {}}}", -EINVAL,
		  "t.json:2:14: fairMQOptions.devices: is no array" },
		{ "{\"fairMQOptions\":{\"devices\":[\n7]}}", -EINVAL, "t.json:2:1: devices[0]: is no object" },
		{ "{\"fairMQOptions\":{\"devices\":[\n{}]}}", -EINVAL,
		  "t.json:2:1: devices[0]: has neither id nor key" },
		{ "{\"fairMQOptions\":{\"devices\":[\n{\"id\": 5}]}}", -EINVAL,
		  "t.json:2:8: devices[0].id: is no string" },
		{ "{\"fairMQOptions\":{\"devices\":[\n{\"id\": \"\"}]}}", -EINVAL,
		  "t.json:2:8: devices[0].id: is empty" },
		{ "{\"fairMQOptions\":{\"devices\":[\n{\"id\": \"a\"},\n{\"key\":\"a\"}]}}", -EEXIST,
		  "t.json:3:8: devices[1].key: is the name of a device before it as well" },
		{ "{\"fairMQOptions\":{\"devices\":[{\"id\":\"d\",\n\"channels\":\"x\"}]}}", -EINVAL,
		  "t.json:2:12: devices[0].channels: is no array" },
		{ DEVICE("1"), -EINVAL, "t.json:2:13: devices[0].channels[0]: is no object" },
		{ DEVICE("{}"), -EINVAL, "t.json:2:13: devices[0].channels[0].name: is missing" },
		{ DEVICE("{\"name\": 1}"), -EINVAL, "t.json:2:22: devices[0].channels[0].name: is no string" },
		{ DEVICE("{\"name\": \"a.b\"}"), -EINVAL,
		  "t.json:2:22: devices[0].channels[0].name: is empty or has characters other than a-z A-Z 0-9 - _ [ ] #" },
		{ DEVICE("{\"name\":\"a\"},\n{\"name\":\"a\"}"), -EEXIST,
		  "t.json:3:9: devices[0].channels[1].name: is the name of a channel before it as well" },
		{ DEVICE("{\"name\":\"a\",\"type\":5}"), -EINVAL,
		  "t.json:2:32: devices[0].channels[0].type: is no string" },
		{ DEVICE("{\"name\":\"a\",\"address\":null}"), -EINVAL,
		  "t.json:2:35: devices[0].channels[0].address: is no string" },
		{ DEVICE("{\"name\":\"a\",\"method\":\"listen\"}"), -EINVAL,
		  "t.json:2:34: devices[0].channels[0].method: is 'listen', which is none of unspecified, bind, connect" },
		{ DEVICE("{\"name\":\"a\",\"sndBufSize\":-1}"), -ERANGE,
		  "t.json:2:38: devices[0].channels[0].sndBufSize: is -1; it cannot be negative" },
		{ DEVICE("{\"name\":\"a\",\"sndBufSize\":1.5}"), -EINVAL,
		  "t.json:2:38: devices[0].channels[0].sndBufSize: is no whole number" },
		{ DEVICE("{\"name\":\"a\",\"sndBufSize\":\"1.5\"}"), -EINVAL,
		  "t.json:2:38: devices[0].channels[0].sndBufSize: is '1.5', which is no whole number" },
		{ DEVICE("{\"name\":\"a\",\"sndBufSize\":true}"), -EINVAL,
		  "t.json:2:38: devices[0].channels[0].sndBufSize: is no whole number" },
		{ DEVICE("{\"name\":\"a\",\"sndBufSize\":[1]}"), -EINVAL,
		  "t.json:2:38: devices[0].channels[0].sndBufSize: is no whole number" },
		{ DEVICE("{\"name\":\"a\",\"linger\":4294967296}"), -ERANGE,
		  "t.json:2:34: devices[0].channels[0].linger: is 4294967296, which is not from -1 to 2147483647" },
		{ DEVICE("{\"name\":\"a\",\"portRangeMin\":\"65536\"}"), -ERANGE,
		  "t.json:2:40: devices[0].channels[0].portRangeMin: is 65536, which is not from 1 to 65535" },
		{ DEVICE("{\"name\":\"a\",\"autoBind\":2}"), -EINVAL,
		  "t.json:2:36: devices[0].channels[0].autoBind: is '2', which is neither true nor false" },
		{ DEVICE("{\"name\":\"a\",\"autoBind\":{}}"), -EINVAL,
		  "t.json:2:36: devices[0].channels[0].autoBind: is neither true nor false" },
		{ DEVICE("{\"name\":\"a\",\"numSockets\":{}}"), -EINVAL,
		  "t.json:2:38: devices[0].channels[0].numSockets: is no whole number" },
		{ DEVICE("{\"name\":\"a\",\"numSockets\":-1}"), -ERANGE,
		  "t.json:2:38: devices[0].channels[0].numSockets: is -1, which is not from 0 to 65536" },
		{ DEVICE("{\"name\":\"a\",\"sockets\":{}}"), -EINVAL,
		  "t.json:2:35: devices[0].channels[0].sockets: is no array" },
		{ DEVICE("{\"name\":\"a\",\"sockets\":[{},\n 5]}"), -EINVAL,
		  "t.json:3:2: devices[0].channels[0].sockets[1]: is no object" },
		{ DEVICE("{\"name\":\"a\",\"sockets\":[{},\n {\"linger\":\n\"no\"}]}"), -EINVAL,
		  "t.json:4:1: devices[0].channels[0].sockets[1].linger: is 'no', which is no whole number" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sea_channel_list list = { 0 };
		char line[300];
		int r = read_text(cases[i].text, "d", &list, false, NULL, line);

		if (r != cases[i].r || strcmp(line, cases[i].line) != 0)
			FAIL("%s:\nis %d '%s',\nnot %d '%s'", cases[i].text, r, line, cases[i].r, cases[i].line);
		CHECK_EQ(list.n_channels, 0);
	}
}

TEST(broken, "what is no JSON is an error with its line; cut anywhere, a file is an error and no more")
{
	static const char *const broken[] = { "",
		                              "{",
		                              "{\"fairMQOptions\":\n{,}}",
		                              "{\"a\":1,\n\"a\":2}",
		                              "{} {}",
		                              "{\"a\":\n99999999999999999999}",
		                              "{\"\\u12\":1}",
		                              "{\"a\":\n\"\xff\"}",
		                              "nonsense" };
	static const unsigned lines[] = { 1, 1, 2, 2, 1, 2, 1, 2, 1 };
	struct sea_mq_config *config;
	struct sea_error error;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		error = (struct sea_error){ 0 };
		CHECK_ERR(sea_mq_config_parse(&config, "t.json", broken[i], strlen(broken[i]), &error), -EINVAL);
		CHECK_EQ(error.line, lines[i]);
		CHECK_GE(error.column, 1);
		CHECK(strstr(error.text, "is not valid JSON: "));
		CHECK_STR_EQ(error.file, "t.json");
	}
	for (size_t n = 0; n + 2 < sizeof(whole); n++) {
		error = (struct sea_error){ 0 };
		CHECK_ERR(sea_mq_config_parse(&config, "t.json", whole, n, &error), -EINVAL);
		CHECK(error.line >= 1 && error.column >= 1 && error.text[0]);
	}
}

TEST(unknown, "an unknown key is one warning with its place, or an error if strict; keys for sealane run are known")
{
	static const char text[] =
		"{ \"comment\": 1, \"fairMQOptions\": { \"devises\": 1,\n \"devices\": [\n"
		" { \"id\": \"d\", \"exec\": \"x\", \"args\": [], \"env\": {}, \"count\": 2,\n"
		"   \"restart\": \"never\", \"restartMax\": 3, \"cpus\": \"0\", \"color\": 1, \"channels\": [\n"
		"  { \"name\": \"a\", \"sndBufsize\": 5,\n"
		"    \"sockets\": [ { \"name\": 1, \"linger\": 2 } ] } ] },\n"
		" { \"id\": \"e\", \"nobody\": \"cares\" } ] } }";
	static const char *const expected[] = {
		"t.json:1:3: comment: is no key that is known here; it is ignored",
		"t.json:1:36: fairMQOptions.devises: is no key that is known here; it is ignored",
		"t.json:4:54: devices[0].color: is no key that is known here; it is ignored",
		"t.json:5:18: devices[0].channels[0].sndBufsize: is no key that is known here; it is ignored",
		"t.json:6:20: devices[0].channels[0].sockets[0].name: is no key that is known here; it is ignored",
	};
	struct sea_channel_list list = { 0 };
	struct warned warned = { 0 };
	char line[300];

	CHECK_OK(read_text(text, "d", &list, false, &warned, line));
	CHECK_EQ(warned.n, 5);
	for (int i = 0; i < 5; i++)
		CHECK_STR_EQ(warned.lines[i], expected[i]);
	CHECK_EQ(list.n_channels, 1);
	CHECK_EQ(list.channels[0].linger_ms, 2);
	sea_channel_list_fini(&list);
	CHECK_OK(read_text(text, "d", &list, false, NULL, line));
	sea_channel_list_fini(&list);
	CHECK_ERR(read_text(text, "d", &list, true, &warned, line), -ENOENT);
	CHECK_STR_EQ(line, expected[0]);
	CHECK_EQ(warned.n, 5);
	CHECK_OK(read_text(DEVICE("{\"name\":\"a\",\"numSockets\":2,\"sockets\":[]}"), "d", &list, false, &warned,
	                   line));
	CHECK_EQ(list.n_channels, 2);
	CHECK_STR_EQ(warned.lines[5],
	             "t.json:2:40: devices[0].channels[0].sockets: is ignored, since numSockets makes equal ones");
	sea_channel_list_fini(&list);
}

TEST(files, "a file is read by its path, from a pipe as well; one that cannot be is an error that says why")
{
	struct sea_mq_config *config;
	struct sea_error error;
	char path[200], line[300];
	int fds[2];
	FILE *file;

	snprintf(path, sizeof(path), "%s/t.json", test_runtime_dir());
	CHECK_ERR(sea_mq_config_open(&config, path, &error), -ENOENT);
	CHECK_STR_EQ(error.file, path);
	CHECK(strstr(error.text, "No such file"));
	CHECK_ERR(sea_mq_config_open(&config, test_runtime_dir(), &error), -EISDIR);
	file = fopen(path, "we");
	CHECK(file && fputs(whole, file) >= 0 && fclose(file) == 0);
	CHECK_OK(sea_mq_config_open(&config, path, &error));
	CHECK_EQ(sea_mq_config_n_devices(config), 2);
	CHECK_STR_EQ(sea_mq_config_device(config, 0), "sampler1");
	CHECK_STR_EQ(sea_mq_config_device(config, 1), "processor");
	CHECK(!sea_mq_config_device(config, 2));
	sea_mq_config_close(config);
	CHECK_SYS(unlink(path));

	CHECK_SYS(pipe(fds));
	CHECK_EQ(write(fds[1], "{\n!", 3), 3);
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	CHECK_ERR(sea_mq_config_open(&config, path, &error), -EINVAL);
	CHECK_EQ(error.line, 2);
	sea_error_line(&error, line, sizeof(line));
	CHECK(strncmp(line, path, strlen(path)) == 0);
	close(fds[0]);
}

TEST(large, "a device with three thousand channels is read at once, with right lines")
{
	enum { N_CHANNELS = 3000 };
	char *text = malloc(N_CHANNELS * 100);
	struct sea_channel_list list = { 0 };
	size_t n = 0;
	char line[300];

	CHECK(text);
	n += (size_t)sprintf(text, "{\"fairMQOptions\":{\"devices\":[{\"id\":\"d\",\"channels\":[");
	for (int i = 0; i < N_CHANNELS; i++)
		n += (size_t)sprintf(text + n, "%s\n{\"name\":\"c%d\",\"type\":\"pull\",\"linger\":%d}", i ? "," : "",
		                     i, i);
	sprintf(text + n, "]}]}}");
	CHECK_OK(read_text(text, "d", &list, true, NULL, line));
	CHECK_EQ(list.n_channels, N_CHANNELS);
	CHECK_EQ(list.channels[N_CHANNELS - 1].linger_ms, N_CHANNELS - 1);
	CHECK_STR_EQ(list.channels[N_CHANNELS - 1].origins[SEA_CHANNEL_KEY_LINGER], "t.json:3001");
	sea_channel_list_fini(&list);
	free(text);
}

/* Positions. ----------------------------------------------------------------------------- */

static int position(const char *text, const char *path, bool is_key, unsigned *line, unsigned *column)
{
	return sea_json_position(text, strlen(text), path, is_key, line, column);
}

TEST(positions, "a path is found in text, past strings with brackets, escapes and other characters than ASCII")
{
	static const char text[] =
		"{\n"
		"  \"a\": [ 1, {\"b\": \"]}\\\"\\\\\", \"c.d\": true}, [[]], \"\u00e4\u20ac\", null ],\n"
		"  \"\\u00fc\\ud83d\\ude00\\n\": { \"\": -1.5e3 } , \"e\":{}\n"
		"}";
	static const struct {
		const char *path;
		unsigned line, column, key_column;
	} cases[] = {
		{ "", 1, 1, 1 },
		{ "a", 2, 8, 3 },
		{ "a[0]", 2, 10, 10 },
		{ "a[1]", 2, 13, 13 },
		{ "a[1].b", 2, 19, 14 },
		{ "a[1][\"c.d\"]", 2, 36, 29 },
		{ "a[2]", 2, 43, 43 },
		{ "a[2][0]", 2, 44, 44 },
		{ "a[3]", 2, 49, 49 },
		{ "a[4]", 2, 55, 55 },
		{ "\u00fc\U0001f600\n", 3, 27, 3 },
		{ "[\"\u00fc\U0001f600\n\"][\"\"]", 3, 33, 29 },
		{ "e", 3, 48, 44 },
	};
	unsigned line, column;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (position(text, cases[i].path, false, &line, &column) < 0)
			FAIL("%s is not found", cases[i].path);
		if (line != cases[i].line || column != cases[i].column)
			FAIL("%s is at %u:%u", cases[i].path, line, column);
		CHECK_OK(position(text, cases[i].path, true, &line, &column));
		if (column != cases[i].key_column)
			FAIL("the key of %s is at %u:%u", cases[i].path, line, column);
	}
	CHECK_ERR(position(text, "b", false, &line, &column), -ENOENT);
	CHECK_ERR(position(text, "a[5]", false, &line, &column), -ENOENT);
	CHECK_ERR(position(text, "a[2][0][0]", false, &line, &column), -ENOENT);
	CHECK_ERR(position(text, "e.x", false, &line, &column), -ENOENT);
	CHECK_ERR(position(text, "a.b", false, &line, &column), -EINVAL);
	CHECK_ERR(position(text, "a[0].b", false, &line, &column), -EINVAL);
	CHECK_ERR(position(text, "a[", false, &line, &column), -EINVAL);
	CHECK_ERR(position(text, "a[x]", false, &line, &column), -EINVAL);
	CHECK_ERR(position(text, "a..b", false, &line, &column), -EINVAL);
	CHECK_ERR(position(text, "[\"a", false, &line, &column), -EINVAL);
	CHECK_ERR(position("  ", "", false, &line, &column), -EINVAL);
}

TEST(positions_of_nonsense, "text that is no JSON is no position, and nothing is read behind its end")
{
	static const char *const texts[] = {
		"{",        "{\"",       "{\"a",       "{\"a\\",        "{\"a\"",      "{\"a\":",   "{\"b\":",
		"{\"b\":[", "{\"b\":\"", "{\"b\":1",   "{\"b\":1,",     "{b:1}",       "[",         "[1",
		"{\"\\u",   "{\"\\u00",  "{\"\\ud83d", "{\"\\ud83d\\u", "{\"\\x\":1}", "{\"b\":]}", "}"
	};
	unsigned line, column;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		/* On the heap, to the byte: a sanitizer sees what is read behind it. */
		size_t n_bytes = strlen(texts[i]);
		char *text = malloc(n_bytes);

		CHECK(text);
		memcpy(text, texts[i], n_bytes);
		CHECK_LT(sea_json_position(text, n_bytes, "a[3].b", false, &line, &column), 0);
		CHECK_LT(sea_json_position(text, n_bytes, "[3]", false, &line, &column), 0);
		free(text);
	}
}
