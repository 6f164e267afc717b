/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options: each row is a case here, and a line of docs/device-options.md. With SEALANE_TEST_PRINT=1 the test `page` prints
 * the lines as they must be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/device.h>
#include <sealane/shm-options.h>

#include "test.h"

/* What whoever runs the tests may have set. */
__attribute__((constructor)) static void forget_environment(void)
{
	unsetenv("SEALANE_SESSION");
	unsetenv("SEALANE_SESSION_QUOTA");
	unsetenv("FAIRMQ_SEVERITY");
}

static void warn(const struct sea_error *warning, void *userdata)
{
	(void)warning;
	(*(int *)userdata)++;
}

/* What one option on the command line comes to; n_warnings: how many lines it says. */
struct row_case {
	const char *name;
	const char *by_default; /* NULL: it is not there */
	const char *good;       /* NULL: a flag alone */
	const char *value;      /* of good */
	int n_warnings;
	const char *bad;
	int r; /* of bad; with bad NULL: of good */
};

static const struct row_case cases[] = {
	{ "help", NULL, NULL, "true", 0, "perhaps", -EINVAL },
	{ "version", NULL, NULL, "true", 0, "perhaps", -EINVAL },
	{ "print-options", NULL, NULL, "true", 0, "perhaps", -EINVAL },
	{ "print-config", NULL, NULL, "true", 0, "perhaps", -EINVAL },
	{ "strict", "false", NULL, "true", 0, "perhaps", -EINVAL },
	{ "severity", "info", "WARN", "warn", 0, "loud", -EINVAL },
	{ "file-severity", "debug", "trace", "trace", 0, "loud", -EINVAL },
	{ "verbosity", "medium", "veryhigh", "veryhigh", 0, "1", -EINVAL },
	{ "color", "true", "0", "false", 0, "blue", -EINVAL },
	{ "log-to-file", NULL, "/tmp/log", "/tmp/log", 0, NULL, 0 },
	{ "log-format", "fairlogger", "json", "json", 0, "xml", -EINVAL },
	{ "control", "dynamic", "static", "static", 0, "remote", -EINVAL },
	{ "catch-signals", "1", "0", "0", 0, "2", -ERANGE },
	{ "control-socket", "true", "false", "false", 0, "perhaps", -EINVAL },
	{ "id", "", "sampler1", "sampler1", 0, NULL, 0 },
	{ "transport", "memfd", "shmem", "shmem", 0, "nanomsg", -EINVAL },
	{ "io-threads", "1", "4", "4", 0, "0", -ERANGE },
	{ "network-interface", "default", "eth0", "eth0", 0, NULL, 0 },
	{ "init-timeout", "120", "10", "10", 0, "-1", -ERANGE },
	{ "print-channels", NULL, NULL, "true", 0, "perhaps", -EINVAL },
	{ "rate", "0", "2.5", "2.5", 0, "fast", -EINVAL },
	{ "max-in-flight", "0", "8", "8", 0, "-1", -ERANGE },
	{ "mq-config", NULL, "", "", 0, "/nowhere.json", -EINVAL },
	{ "config-key", NULL, "sampler", "sampler", 0, NULL, 0 },
	{ "channel-config", NULL, "d:type=push", "d:type=push", 0, "d:type=shove", -EINVAL },
	{ "session", "default", "run-2", "run-2", 0, "a/b", -EINVAL },
	{ "shmid", NULL, "17", "17", 0, "x", -EINVAL },
	{ "shm-segment-size", NULL, "2KiB", "2048", 0, "-1", -ERANGE },
	{ "shm-segment-id", "0", "3", "3", 0, "65536", -ERANGE },
	{ "shm-segment-name", NULL, "raw", "raw", 0, "", -EINVAL },
	{ "session-quota", NULL, "1G", "1073741824", 0, "none", -EINVAL },
	{ "shm-as", NULL, "memfd", "memfd", 0, "zeromq", -EINVAL },
	{ "shm-mlock-segment", "false", "1", "true", 0, "2", -EINVAL },
	{ "shm-mlock-segment-on-creation", "false", "on", "true", 0, "2", -EINVAL },
	{ "shm-zero-segment", "false", "yes", "true", 1, "2", -EINVAL },
	{ "shm-zero-segment-on-creation", "false", "true", "true", 1, "2", -EINVAL },
	{ "shm-throw-bad-alloc", "true", "false", "false", 0, "2", -EINVAL },
	{ "bad-alloc-max-attempts", "1", "-1", "-1", 0, "-2", -ERANGE },
	{ "bad-alloc-attempt-interval", "50", "100", "100", 0, "-1", -ERANGE },
	{ "shm-metadata-msg-size", "0", "2048", "2048", 1, "-1", -ERANGE },
	{ "shm-allocation", "rbtree_best_fit", "simple_seq_fit", "simple_seq_fit", 1, "best", -ENOTSUP },
	{ "shm-monitor", "false", "true", "true", 1, "2", -EINVAL },
	{ "shm-no-cleanup", "false", "true", "true", 1, "2", -EINVAL },
	{ "plugin-search-path", NULL, "/lib", "/lib", 1, NULL, 0 },
	{ "plugin", NULL, "p:dds", NULL, 0, NULL, -ENOTSUP },
};
#define N_CASES (sizeof(cases) / sizeof(cases[0]))

/* What --name value comes to; value NULL: the flag alone; *ret_text receives the property. */
static int give(const char *name, const char *value, char text[100], int *ret_n_warnings, struct sea_shm_options *shm)
{
	char word[200];
	char *words[] = { "device", word };
	struct sea_options *options;
	struct sea_error error;
	int r;

	snprintf(word, sizeof(word), "--%s%s%s", name, value ? "=" : "", value ? value : "");
	*ret_n_warnings = 0;
	CHECK_OK(sea_options_new(&options));
	sea_options_on_warning(options, warn, ret_n_warnings);
	r = sea_options_parse(options, name[0] ? 2 : 1, words, &error);
	if (r < 0) {
		CHECK_EQ(error.code, r);
		CHECK(error.text[0] && error.key[0]);
		CHECK_STR_EQ(error.file, "command line");
	} else if (sea_properties_get_text(sea_options_properties(options), name, text, 100) < 0) {
		strcpy(text, "(none)");
	}
	*shm = *sea_options_shm(options);
	sea_options_free(options);
	return r;
}

TEST(rows, "each option takes what it should, refuses what it should, and says as much as it should")
{
	struct sea_shm_options shm;
	struct sea_options *options;
	char text[100];
	int n_warnings;

	CHECK_OK(sea_options_new(&options));
	for (size_t i = 0; i < N_CASES; i++) {
		const struct row_case *row = &cases[i];
		const struct sea_option *option = sea_options_at(options, i);

		CHECK(option);
		CHECK_STR_EQ(option->name, row->name);
		CHECK_EQ((uintptr_t)sea_options_find(options, row->name), (uintptr_t)option);
		CHECK(option->help && option->section);
		CHECK(option->effect == SEA_OPTION_HONOURED || option->note);
		if (!row->by_default != !option->default_text ||
		    (row->by_default && strcmp(row->by_default, option->default_text) != 0))
			FAIL("the default of %s", row->name);
		if (!row->value) {
			CHECK_ERR(give(row->name, row->good, text, &n_warnings, &shm), row->r);
			continue;
		}
		if (give(row->name, row->good, text, &n_warnings, &shm) != 0 || strcmp(text, row->value) != 0)
			FAIL("%s is %s", row->name, text);
		if (n_warnings != row->n_warnings)
			FAIL("%s says %d lines", row->name, n_warnings);
		if (row->bad && give(row->name, row->bad, text, &n_warnings, &shm) != row->r)
			FAIL("%s %s", row->name, row->bad);
	}
	CHECK(!sea_options_at(options, N_CASES));
	sea_options_free(options);
}

TEST(defaults, "without a word every option has its default, and nothing is said")
{
	static char *const nothing[] = { "device", NULL };
	struct sea_options *options;
	int n_warnings = 0;
	char text[100];

	CHECK_OK(sea_options_new(&options));
	sea_options_on_warning(options, warn, &n_warnings);
	CHECK_OK(sea_options_parse(options, 1, nothing, NULL));
	CHECK_EQ(n_warnings, 0);
	for (size_t i = 0; i < N_CASES; i++) {
		int n = sea_properties_get_text(sea_options_properties(options), cases[i].name, text, sizeof(text));

		if (cases[i].by_default)
			CHECK_STR_EQ(text, cases[i].by_default);
		else
			CHECK_EQ(n, -ENOENT);
	}
	sea_options_free(options);
}

TEST(shm, "every option of shared memory is one of the table, and reaches what it is for")
{
	struct sea_shm_options shm;
	struct sea_options *options;
	char text[100];
	int n_warnings;

	CHECK_OK(sea_options_new(&options));
	for (size_t i = 0; sea_shm_option_name(i); i++)
		if (!sea_options_find(options, sea_shm_option_name(i)))
			FAIL("%s", sea_shm_option_name(i));
	sea_options_free(options);
	CHECK_OK(give("shm-segment-size", "1M", text, &n_warnings, &shm));
	CHECK_EQ(shm.segment_n_bytes, 1 << 20);
	CHECK_OK(give("session-quota", "1M", text, &n_warnings, &shm));
	CHECK_EQ(shm.session_quota_n_bytes, 1 << 20);
	CHECK_OK(give("shmid", "255", text, &n_warnings, &shm));
	CHECK_STR_EQ(shm.shmid, "shmid-ff");
	CHECK_OK(give("shm-throw-bad-alloc", "false", text, &n_warnings, &shm));
	CHECK_EQ(shm.never_fails, 1);
	CHECK_OK(give("bad-alloc-max-attempts", "-1", text, &n_warnings, &shm));
	CHECK_EQ(shm.bad_alloc_max_attempts, -1);
	CHECK_OK(give("shm-segment-id", "3", text, &n_warnings, &shm));
	CHECK_EQ(shm.segment_id, 3);
	CHECK_OK(give("shm-segment-name", "raw", text, &n_warnings, &shm));
	CHECK_STR_EQ(shm.segment_name, "raw");
	CHECK_OK(give("transport", "zeromq", text, &n_warnings, &shm));
	CHECK_EQ(shm.transport, 0);
	CHECK_STR_EQ(text, "zeromq");
	CHECK_OK(give("transport", "shmem", text, &n_warnings, &shm));
	CHECK_NE(shm.transport, 0);
	CHECK_OK(give("shm-as", "memfd", text, &n_warnings, &shm));
	CHECK_NE(shm.as, 0);
	CHECK_OK(give("shm-mlock-segment", NULL, text, &n_warnings, &shm));
	CHECK_NE(shm.heap_flags, 0);
	CHECK_OK(give("session", "s", text, &n_warnings, &shm));
	CHECK_STR_EQ(shm.session, "s");
}

/* The page. ------------------------------------------------------------------------------ */

static void row_type(const struct sea_option *option, char text[400])
{
	const char *name = sea_value_type_name(option->type ? option->type : SEA_VALUE_STRING);
	size_t n = 0;

	if (option->choices) {
		for (const char *letter = option->choices; *letter; letter++)
			n += (size_t)snprintf(text + n, 400 - n, *letter == '|' ? ", " : "%c", *letter);
		return;
	}
	n = (size_t)snprintf(text, 400, "%s%s", name, option->is_size ? ", K M G T" : "");
	if (option->min || option->max) {
		n += (size_t)snprintf(text + n, 400 - n, " from %lld", (long long)option->min);
		if (option->max < INT32_MAX)
			snprintf(text + n, 400 - n, " to %lld", (long long)option->max);
	}
}

static void row_line(const struct sea_option *option, char line[1000])
{
	static const char *const effects[] = { "honoured", "without effect", "refused" };
	bool is_ours = option->note && strcmp(option->note, "ours") == 0;
	bool is_in_part = option->note && strncmp(option->note, "in part: ", 9) == 0;
	char type[400], letter[16] = "";

	row_type(option, type);
	if (option->short_name)
		snprintf(letter, sizeof(letter), "`-%c`, ", option->short_name);
	snprintf(line, 1000, "| %s`--%s` | %s | %s | %s%s%s | %s%s%s |", letter, option->name, type,
	         option->default_text ? option->default_text : "", effects[option->effect], is_ours ? ", ours" : "",
	         is_in_part ? ", in part" : "", option->help, option->note && !is_ours ? "; " : "",
	         !option->note || is_ours ? ""
	         : is_in_part             ? option->note + 9
	                                  : option->note);
}

/* Whether a page has a line. */
static bool page_has(const char *page, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = strstr(page, line); at; at = strstr(at + 1, line))
		if ((at == page || at[-1] == '\n') && (at[n] == '\n' || !at[n]))
			return true;
	return false;
}

TEST(page, "docs/device-options.md has exactly the rows of the table, and every key of a channel with its default")
{
	const char *folder = getenv("SEALANE_SOURCE_DIR");
	bool prints = getenv("SEALANE_TEST_PRINT");
	struct sea_channel_config config;
	struct sea_options *options;
	static char page[65536];
	char line[1000], text[100];
	size_t n_rows = 0, n;
	FILE *file;

	if (!folder)
		SKIP("SEALANE_SOURCE_DIR is not set");
	snprintf(line, sizeof(line), "%s/docs/device-options.md", folder);
	file = fopen(line, "re");
	n = file ? fread(page, 1, sizeof(page) - 1, file) : 0;
	page[n] = 0;
	CHECK_OK(sea_options_new(&options));
	for (size_t i = 0; sea_options_at(options, i); i++) {
		row_line(sea_options_at(options, i), line);
		if (prints)
			fprintf(stderr, "%s\n", line);
		else if (!page_has(page, line))
			FAIL("docs/device-options.md lacks: %s", line);
	}
	for (const char *at = strstr(page, "\n| `-"); at; at = strstr(at + 1, "\n| `-"))
		n_rows++;
	CHECK_OK(sea_channel_config_init(&config, "x", 0));
	for (size_t key = 0; sea_channel_key_name(key); key++) {
		CHECK_OK(sea_channel_config_get(&config, sea_channel_key_name(key), text, sizeof(text)));
		snprintf(line, sizeof(line), "| `%s` | %s |", sea_channel_key_name(key), text);
		if (!prints && !strstr(page, line))
			FAIL("docs/device-options.md lacks: %s", line);
	}
	if (!prints)
		CHECK_EQ(n_rows, N_CASES);
	sea_channel_config_fini(&config);
	sea_options_free(options);
	if (file)
		fclose(file);
}
