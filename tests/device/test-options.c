/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a device: command lines, the environment, precedence, files, and what is printed. test-option-table.c has the rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sealane/device/device.h>
#include <sealane/shm-options.h>

#include "test.h"

#define N_WORDS_MAX 24

/* What whoever runs the tests may have set. */
__attribute__((constructor)) static void forget_environment(void)
{
	unsetenv("SEALANE_SESSION");
	unsetenv("SEALANE_SESSION_QUOTA");
	unsetenv("FAIRMQ_SEVERITY");
}

struct user {
	struct sea_options *options;
	struct sea_properties *properties;
	struct sea_error error;
	int n_warnings;
	char warnings[8][200];
};

static void warn(const struct sea_error *warning, void *userdata)
{
	struct user *user = userdata;

	CHECK_LT(user->n_warnings, 8);
	sea_error_line(warning, user->warnings[user->n_warnings++], sizeof(user->warnings[0]));
}

static void begin(struct user *user)
{
	memset(user, 0, sizeof(*user));
	CHECK_OK(sea_options_new(&user->options));
	sea_options_on_warning(user->options, warn, user);
	user->properties = sea_options_properties(user->options);
}

static void end(struct user *user)
{
	user->options = sea_options_free(user->options);
}

/* Parses a command line whose words single blanks separate. */
static int parse(struct user *user, const char *line)
{
	char *copy = strdup(line), *words[N_WORDS_MAX] = { "/usr/bin/device" }, *rest;
	int n = 1, r;

	CHECK(copy);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		CHECK_LT(n, N_WORDS_MAX);
		words[n++] = word;
	}
	r = sea_options_parse(user->options, n, words, &user->error);
	/* Everything was copied. */
	memset(copy, 'x', strlen(copy));
	free(copy);
	CHECK_EQ(r, user->error.code);
	return r;
}

static const char *text_of(struct user *user, const char *key)
{
	static char text[300];

	return sea_properties_get_text(user->properties, key, text, sizeof(text)) < 0 ? "(none)" : text;
}

static const char *origin_of(struct user *user, const char *key)
{
	static char text[300];

	return sea_properties_origin(user->properties, key, text, sizeof(text)) < 0 ? "(none)" : text;
}

static const char *error_of(struct user *user)
{
	static char line[600];

	return sea_error_line(&user->error, line, sizeof(line));
}

/* Everything that answer prints, until the next call. */
static const char *answer_of(struct user *user)
{
	static char text[32768];
	FILE *out = tmpfile();
	size_t n;

	CHECK(out);
	CHECK_EQ(sea_options_answer(user->options, out), 1);
	rewind(out);
	n = fread(text, 1, sizeof(text) - 1, out);
	text[n] = 0;
	fclose(out);
	return text;
}

TEST(forms, "options are given as --name value, --name=value, and short ones also in one word")
{
	struct user user;

	begin(&user);
	CHECK_OK(parse(&user, "--id sampler --session=s1 --bad-alloc-max-attempts -1 --rate=-0.5 -S/lib -S /usr/lib"));
	CHECK_STR_EQ(text_of(&user, "id"), "sampler");
	CHECK_STR_EQ(text_of(&user, "session"), "s1");
	CHECK_STR_EQ(text_of(&user, "bad-alloc-max-attempts"), "-1");
	CHECK_STR_EQ(text_of(&user, "rate"), "-0.5");
	CHECK_STR_EQ(text_of(&user, "plugin-search-path"), "/lib, /usr/lib");
	CHECK_STR_EQ(origin_of(&user, "id"), "command line");
	CHECK_STR_EQ(origin_of(&user, "io-threads"), "default");
	CHECK_STR_EQ(sea_options_shm(user.options)->session, "s1");
	CHECK_EQ(user.n_warnings, 1); /* the search path has no effect */
	CHECK_ERR(sea_options_parse(user.options, 0, NULL, NULL), -EALREADY);
	end(&user);
}

TEST(flags, "a flag is true alone, and takes the next word only if that is a truth value")
{
	struct user user;

	begin(&user);
	CHECK_OK(
		parse(&user, "--shm-mlock-segment --shm-zero-segment false --print-channels left --control-socket=no"));
	CHECK_STR_EQ(text_of(&user, "shm-mlock-segment"), "true");
	CHECK_STR_EQ(text_of(&user, "shm-zero-segment"), "false");
	CHECK_STR_EQ(text_of(&user, "print-channels"), "true");
	CHECK_STR_EQ(text_of(&user, "control-socket"), "false");
	CHECK_EQ(user.n_warnings, 2); /* what zero means, and "left" */
	end(&user);
	begin(&user);
	CHECK_OK(parse(&user, "-hv"));
	CHECK_STR_EQ(text_of(&user, "help"), "true");
	CHECK_STR_EQ(text_of(&user, "version"), "true");
	end(&user);
}

TEST(unknown, "an unknown option is one warning, its value none; with --strict, wherever that stands, it is an error")
{
	struct user user;

	begin(&user);
	CHECK_OK(parse(&user, "--infologger-mode x --no=1 --id a -x stray1 --aliens --id2 -- --id b"));
	CHECK_EQ(user.n_warnings, 7);
	CHECK_STR_EQ(user.warnings[0],
	             "command line: --infologger-mode: is no option that is known here; it is ignored");
	CHECK_STR_EQ(user.warnings[1], "command line: --no: is no option that is known here; it is ignored");
	CHECK_STR_EQ(user.warnings[2], "command line: -x: is no option that is known here; it is ignored");
	CHECK_STR_EQ(user.warnings[6], "command line: b: belongs to no option; it is ignored");
	CHECK_STR_EQ(text_of(&user, "id"), "a");
	end(&user);
	begin(&user);
	CHECK_ERR(parse(&user, "--infologger-mode x --strict"), -ENOENT);
	CHECK_STR_EQ(error_of(&user),
	             "command line: --infologger-mode: is no option that is known here; it is ignored");
	CHECK_EQ(user.n_warnings, 0);
	end(&user);
	begin(&user);
	CHECK_ERR(parse(&user, "--strict stray"), -ENOENT);
	end(&user);
	begin(&user);
	CHECK_ERR(parse(&user, "--channel-config d:colour=red --strict=1"), -ENOENT);
	CHECK_STR_EQ(user.error.key, "colour");
	end(&user);
	/* What is known and has no effect is no error. */
	begin(&user);
	CHECK_OK(parse(&user, "--strict --shm-monitor false -S /lib"));
	CHECK_EQ(user.n_warnings, 2);
	end(&user);
}

TEST(twice, "of an option that is given twice the last counts, with one warning; lists add up")
{
	struct user user;

	begin(&user);
	CHECK_OK(parse(&user,
	               "--id a --id b --id=c --channel-config x:type=push y:type=pull --channel-config z:type=pub"));
	CHECK_STR_EQ(text_of(&user, "id"), "c");
	CHECK_EQ(user.n_warnings, 1);
	CHECK_EQ(sea_options_channels(user.options)->n_channels, 3);
	CHECK_STR_EQ(text_of(&user, "chans.z.0.type"), "pub");
	end(&user);
	begin(&user);
	CHECK_ERR(parse(&user, "--id a --id b --strict"), -EINVAL);
	end(&user);
}

TEST(wrong, "a value that is missing, of a wrong type or out of range is an error with the option and where it was")
{
	static const struct {
		const char *line;
		int r;
		const char *text;
	} cases[] = {
		{ "--id", -EINVAL, "command line: id: has no value" },
		{ "--id --session s", -EINVAL, "command line: id: has no value" },
		{ "--config-key -h", -EINVAL, "command line: config-key: has no value" },
		{ "--io-threads two", -EINVAL, "command line: io-threads: is 'two', which is no int64" },
		{ "--io-threads=", -EINVAL, "command line: io-threads: is '', which is no int64" },
		{ "--io-threads 0", -ERANGE, "command line: io-threads: is 0, which is not from 1 to 1024" },
		{ "--max-in-flight -1", -ERANGE,
		  "command line: max-in-flight: is -1, which is out of the range of uint64" },
		{ "--severity loud", -EINVAL, NULL },
		{ "--transport nanomsg", -EINVAL,
		  "command line: transport: is 'nanomsg', which is none of zeromq|shmem|memfd" },
		{ "--strict=perhaps", -EINVAL, "command line: strict: is 'perhaps', which is no bool" },
		{ "--session .hidden", -EINVAL, NULL },
		{ "--shm-allocation best", -ENOTSUP,
		  "command line: shm-allocation: 'best' is refused: use rbtree_best_fit or simple_seq_fit, or leave it out" },
		{ "-P dds", -ENOTSUP,
		  "command line: plugin: is refused: FairMQ's plugins are C++ libraries: use --control external and sealane control" },
		{ "--channel-config type=push", -EINVAL, "command line: name: is missing in 'type=push'" },
		{ "--channel-config a:type=push a:type=push", -EEXIST, "command line: name: 'a' is there twice" },
		{ "--mq-config nowhere.json", -EINVAL, NULL },
		{ "--id a --mq-config nowhere.json", -ENOENT,
		  "nowhere.json: cannot be read: No such file or directory" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct user user;

		begin(&user);
		if (parse(&user, cases[i].line) != cases[i].r)
			FAIL("%s: %d %s", cases[i].line, user.error.code, error_of(&user));
		if (cases[i].text)
			CHECK_STR_EQ(error_of(&user), cases[i].text);
		CHECK(user.error.text[0] && user.error.file[0]);
		end(&user);
	}
}

TEST(precedence, "the command line goes before the environment, and that before defaults; origins tell")
{
	struct user user;

	CHECK_SYS(setenv("SEALANE_ID", "from-env", 1));
	CHECK_SYS(setenv("SEALANE_SESSION", "env-session", 1));
	CHECK_SYS(setenv("SEALANE_IO_THREADS", "nonsense", 1));
	CHECK_SYS(setenv("SEALANE_RATE", "", 1));
	CHECK_SYS(setenv("SEALANE_CHANNEL_CONFIG", "a:type=push b:type=pull", 1));
	CHECK_SYS(setenv("FAIRMQ_SEVERITY", "debug", 1));
	begin(&user);
	CHECK_OK(sea_options_set_default(user.options, "init-timeout", "5"));
	CHECK_OK(parse(&user, "--id from-line --io-threads 3"));
	CHECK_STR_EQ(text_of(&user, "id"), "from-line");
	CHECK_STR_EQ(origin_of(&user, "id"), "command line");
	CHECK_STR_EQ(text_of(&user, "session"), "env-session");
	CHECK_STR_EQ(origin_of(&user, "session"), "environment SEALANE_SESSION");
	CHECK_STR_EQ(sea_options_shm(user.options)->session, "env-session");
	/* What is wrong there does not matter where it does not count. */
	CHECK_STR_EQ(text_of(&user, "io-threads"), "3");
	CHECK_STR_EQ(origin_of(&user, "rate"), "default");
	CHECK_STR_EQ(text_of(&user, "init-timeout"), "5");
	CHECK_STR_EQ(text_of(&user, "chans.b.0.type"), "pull");
	CHECK_STR_EQ(origin_of(&user, "chans.b.0.type"), "environment SEALANE_CHANNEL_CONFIG");
	CHECK_STR_EQ(text_of(&user, "severity"), "debug");
	CHECK_STR_EQ(origin_of(&user, "severity"), "environment FAIRMQ_SEVERITY");
	end(&user);

	CHECK_SYS(setenv("SEALANE_SEVERITY", "warn", 1));
	begin(&user);
	CHECK_ERR(parse(&user, ""), -EINVAL);
	CHECK_STR_EQ(error_of(&user), "environment SEALANE_IO_THREADS: io-threads: is 'nonsense', which is no int64");
	CHECK_STR_EQ(text_of(&user, "severity"), "warn");
	end(&user);
	CHECK_SYS(unsetenv("SEALANE_IO_THREADS"));
	begin(&user);
	CHECK_OK(parse(&user, "--severity= --channel-config c:type=push"));
	/* Empty is not given, and a list of a higher rank replaces one of a lower. */
	CHECK_STR_EQ(text_of(&user, "severity"), "info");
	CHECK_EQ(sea_options_channels(user.options)->n_channels, 1);
	end(&user);
}

TEST(own, "a program's own options are read like the others, with defaults, types, choices and ranges")
{
	struct user user;
	char name[] = "threshold", low[] = "low|high";
	struct sea_option option = {
		.name = name, .type = SEA_VALUE_INT, .default_text = "3", .help = "hits", .min = 1, .max = 9
	};

	begin(&user);
	CHECK_OK(sea_options_add(user.options, &option));
	CHECK_ERR(sea_options_add(user.options, &option), -EEXIST);
	memset(name, 'x', 3);
	CHECK_OK(sea_options_add(
		user.options,
		&(struct sea_option){ .name = "gain", .choices = low, .default_text = "low", .short_name = 'g' }));
	CHECK_OK(sea_options_add(user.options, &(struct sea_option){ .name = "cuts", .type = SEA_VALUE_DOUBLE_ARRAY }));
	CHECK_OK(sea_options_add(
		user.options,
		&(struct sea_option){ .name = "names", .type = SEA_VALUE_STRING_ARRAY, .default_text = "a b" }));
	CHECK_OK(sea_options_add(user.options,
	                         &(struct sea_option){ .name = "room", .type = SEA_VALUE_UINT, .is_size = true }));
	CHECK_ERR(sea_options_add(user.options, &(struct sea_option){ .name = "id" }), -EEXIST);
	CHECK_ERR(sea_options_add(user.options, &(struct sea_option){ .name = "x", .short_name = 'h' }), -EEXIST);
	CHECK_ERR(sea_options_add(user.options, &(struct sea_option){ .name = "" }), -EINVAL);
	CHECK_ERR(sea_options_add(user.options, &(struct sea_option){ .name = "a=b" }), -EINVAL);
	CHECK_ERR(sea_options_add(user.options,
	                          &(struct sea_option){ .name = "y", .type = SEA_VALUE_INT, .default_text = "z" }),
	          -EINVAL);
	CHECK_ERR(sea_options_set_default(user.options, "threshold", "10"), -EINVAL);
	CHECK_ERR(sea_options_set_default(user.options, "none", "10"), -ENOENT);
	CHECK_OK(sea_options_set_default(user.options, "threshold", "4"));
	CHECK_OK(sea_options_set_default(user.options, "shm-segment-size", "1M"));
	CHECK_OK(parse(&user, "-gHIGH --cuts 1 --cuts 2.5,3 4 --room 3K"));
	CHECK_STR_EQ(text_of(&user, "threshold"), "4");
	CHECK_STR_EQ(text_of(&user, "gain"), "high");
	CHECK_STR_EQ(text_of(&user, "cuts"), "1, 2.5, 3, 4");
	CHECK_STR_EQ(text_of(&user, "names"), "a, b");
	CHECK_EQ(sea_properties_uint_or(user.properties, "room", 0), 3072);
	CHECK_EQ(sea_options_shm(user.options)->segment_n_bytes, 1 << 20);
	CHECK_ERR(sea_options_add(user.options, &(struct sea_option){ .name = "late" }), -EINVAL);
	end(&user);
	begin(&user);
	option.name = "threshold";
	CHECK_OK(sea_options_add(user.options, &option));
	CHECK_ERR(parse(&user, "--threshold 10"), -ERANGE);
	end(&user);
}

static void write_file(const char *name, const char *text, char path[300])
{
	FILE *file;

	snprintf(path, 300, "%s/%s", test_runtime_dir(), name);
	file = fopen(path, "we");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(file, "a JSON file goes before --channel-config; its device is that of config-key, else id; origins have lines")
{
	char path[300], line[700], expected[700];
	struct user user;

	write_file(
		"t.json",
		"{\"fairMQOptions\":{\"devices\":[{\"id\":\"one\",\"channels\":[\n"
		"{\"name\":\"data\",\"type\":\"push\",\n\"address\":\"@ipc://x\"}]},\n"
		"{\"key\":\"two\",\"color\":1,\"channels\":[{\"name\":\"in\",\"type\":\"pull\",\"sndBufSize\":\n-1}]}]}}",
		path);
	begin(&user);
	snprintf(line, sizeof(line), "--id one --mq-config %s --channel-config d:type=pull", path);
	CHECK_OK(parse(&user, line));
	CHECK_EQ(user.n_warnings, 1);
	CHECK_STR_EQ(user.warnings[0], "command line: channel-config: is not read, since there is mq-config");
	CHECK_STR_EQ(text_of(&user, "chans.data.0.address"), "@ipc://x");
	snprintf(expected, sizeof(expected), "%s:3", path);
	CHECK_STR_EQ(origin_of(&user, "chans.data.0.address"), expected);
	CHECK_STR_EQ(text_of(&user, "chans.d.0.type"), "(none)");
	end(&user);
	begin(&user);
	snprintf(line, sizeof(line), "--id one --config-key two --mq-config %s", path);
	CHECK_ERR(parse(&user, line), -ERANGE);
	snprintf(expected, sizeof(expected), "%s:5:1: devices[1].channels[0].sndBufSize: is -1; it cannot be negative",
	         path);
	CHECK_STR_EQ(error_of(&user), expected);
	CHECK_EQ(user.n_warnings, 1);
	end(&user);
	begin(&user);
	snprintf(line, sizeof(line), "--config-key two --strict --mq-config %s", path);
	CHECK_ERR(parse(&user, line), -ENOENT);
	CHECK_STR_EQ(user.error.key, "devices[1].color");
	CHECK_EQ(user.error.line, 4);
	end(&user);
	begin(&user);
	snprintf(line, sizeof(line), "--mq-config %s", path);
	CHECK_ERR(parse(&user, line), -EINVAL);
	CHECK_STR_EQ(user.error.key, "id");
	end(&user);
	begin(&user);
	snprintf(line, sizeof(line), "--id three --mq-config %s", path);
	CHECK_ERR(parse(&user, line), -ENOENT);
	end(&user);
	/* Who asks for help gets it. */
	begin(&user);
	snprintf(line, sizeof(line), "--id three --help --mq-config %s", path);
	CHECK_OK(parse(&user, line));
	end(&user);
	CHECK_SYS(unlink(path));
}

TEST(answers, "--help, --version, --print-options and --print-config are answered; else nothing is printed")
{
	struct user user;
	const char *text;

	begin(&user);
	CHECK_OK(sea_options_add(user.options, &(struct sea_option){ .name = "mine", .help = "of this program" }));
	CHECK_OK(parse(&user, "--help"));
	text = answer_of(&user);
	CHECK(strncmp(text, "device [OPTIONS]\n", 17) == 0);
	CHECK(strstr(text, "\n  -h, --help "));
	CHECK(strstr(text, "\n  --init-timeout ARG "));
	CHECK(strstr(text, "[120]"));
	CHECK(strstr(text, "refused: FairMQ's plugins"));
	CHECK(strstr(text, "Options of this program\n  --mine ARG "));
	end(&user);
	begin(&user);
	CHECK_OK(parse(&user, "-v"));
	CHECK(strncmp(answer_of(&user), "sealane ", 8) == 0);
	end(&user);
	begin(&user);
	CHECK_OK(parse(&user, "--print-options --id x --rate 2.5"));
	text = answer_of(&user);
	CHECK(strstr(text, "\nid:x:string:id of the device"));
	CHECK(strstr(text, "\nrate:2.5:float:"));
	CHECK(strstr(text, "\nmq-config::<unknown>:JSON file"));
	CHECK(strstr(text, "\nmax-in-flight:0:uint64_t:"));
	end(&user);
	begin(&user);
	CHECK_OK(parse(&user, "--print-config --id x --channel-config d:type=push"));
	text = answer_of(&user);
	CHECK(strstr(text, "\nid                                   = x                        [command line]\n"));
	CHECK(strstr(text, "\nmq-config                            =                          [not given]\n"));
	CHECK(strstr(text, "\nchans.d.0.type                       = push                     [command line]\n"));
	CHECK(strstr(text, "\nchans.d.0.linger                     = 500                      [default]\n"));
	end(&user);
	begin(&user);
	CHECK_OK(parse(&user, "--id x"));
	CHECK_EQ(sea_options_answer(user.options, NULL), 0);
	end(&user);
}

TEST(answers_fail, "an answer that cannot be written is an error")
{
	struct user user;
	FILE *full = fopen("/dev/full", "we");

	CHECK(full);
	begin(&user);
	CHECK_OK(parse(&user, "--help"));
	CHECK_ERR(sea_options_answer(user.options, full), -EIO);
	end(&user);
	fclose(full);
}
