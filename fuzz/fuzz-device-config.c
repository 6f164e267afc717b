/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of whatever bytes: JSON files, --channel-config, command lines, paths. An error that says something, or channels that can be stored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/device/device.h>

#include "fuzz.h"

static void fuzz_warn(const struct sea_error *warning, void *userdata)
{
	char line[1100];

	(void)userdata;
	FUZZ_CHECK(sea_error_line(warning, line, sizeof(line)) == line);
}

static void fuzz_check_error(int r, const struct sea_error *error)
{
	FUZZ_CHECK(r < 0 && error->code == r && error->text[0]);
}

/* What was read can be validated, stored, and read back the same; then it is freed. */
static void fuzz_use_list(struct sea_channel_list *list)
{
	struct sea_channel_list loaded = { 0 };
	struct sea_properties *properties;
	struct sea_error error = { 0 };
	int r;

	FUZZ_CHECK(sea_properties_new(&properties) == 0);
	for (size_t i = 0; i < list->n_channels && i < 100; i++)
		FUZZ_CHECK(sea_channel_config_validate(&list->channels[i], NULL) <= 1);
	if (list->n_channels < 1000 && sea_channel_list_store(list, properties) == 0) {
		r = sea_channel_list_load(&loaded, properties, &error);
		/* Names with a dot, which are illegal, are not the same as properties. */
		FUZZ_CHECK(r <= 0);
		if (r == 0)
			for (size_t i = 0; i < loaded.n_channels; i++)
				FUZZ_CHECK(sea_channel_list_find(list, loaded.channels[i].name, loaded.channels[i].i) ||
				           !sea_channel_name_is_legal(loaded.channels[i].name));
	}
	sea_channel_list_fini(&loaded);
	sea_channel_list_fini(list);
	sea_properties_free(properties);
}

static void fuzz_json(const char *text, size_t n_bytes, bool is_strict)
{
	struct sea_channel_list list = { 0 };
	struct sea_mq_config *config;
	struct sea_error error = { 0 };
	int r = sea_mq_config_parse(&config, "t.json", text, n_bytes, &error);

	if (r < 0) {
		fuzz_check_error(r, &error);
		FUZZ_CHECK(error.line >= 1 && error.column >= 1);
		return;
	}
	for (size_t i = 0; i < sea_mq_config_n_devices(config) && i < 8; i++) {
		r = sea_mq_config_channels(config, sea_mq_config_device(config, i), &list, is_strict, fuzz_warn, NULL,
		                           &error);
		if (r < 0)
			fuzz_check_error(r, &error);
		else
			fuzz_use_list(&list);
	}
	sea_mq_config_close(config);
}

/* The same, of the channels of a device: what fuzzers do not find by themselves stands around them. */
static void fuzz_json_channels(const char *text, bool is_strict)
{
	static const char frame[] =
		"{\"fairMQOptions\":{\"devices\":[{\"id\":\"d\",\"channels\":[{\"name\":\"c\",%s}]}]}}";
	size_t n_bytes = strlen(text) + sizeof(frame);
	char *whole = malloc(n_bytes);

	FUZZ_CHECK(whole);
	snprintf(whole, n_bytes, frame, text);
	fuzz_json(whole, strlen(whole), is_strict);
	free(whole);
}

static void fuzz_channel(const char *text, bool is_strict)
{
	struct sea_channel_list list = { 0 };
	struct sea_error error = { 0 };
	int r = sea_channel_list_parse(&list, text, "command line", is_strict, fuzz_warn, NULL, &error);

	if (r < 0)
		fuzz_check_error(r, &error);
	fuzz_use_list(&list);
}

/* A command line whose words newlines separate; it names no file, so that nothing is read. */
static void fuzz_command_line(char *text)
{
	char *words[40] = { "device" }, *rest;
	struct sea_error error = { 0 };
	struct sea_options *options;
	int n = 1, r;

	for (char *word = strtok_r(text, "\n", &rest); word && n < 40; word = strtok_r(NULL, "\n", &rest))
		if (!strstr(word, "mq-config"))
			words[n++] = word;
	FUZZ_CHECK(sea_options_new(&options) == 0);
	sea_options_on_warning(options, fuzz_warn, NULL);
	r = sea_options_parse(options, n, words, &error);
	if (r < 0)
		fuzz_check_error(r, &error);
	sea_options_free(options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	struct fuzz_input input = { data, n_bytes };
	uint8_t how = fuzz_take_u8(&input);
	const char *end;
	unsigned line, column;
	char *text;

	/* To the byte, so that reading behind the end is seen; and once with an end. */
	text = malloc(input.n_bytes + 1);
	FUZZ_CHECK(text);
	memcpy(text, input.data, input.n_bytes);
	text[input.n_bytes] = 0;
	switch (how & 3) {
	case 0:
		if (how & 8)
			fuzz_json((const char *)input.data, input.n_bytes, how & 4);
		else
			fuzz_json_channels(text, how & 4);
		break;
	case 1: fuzz_channel(text, how & 4); break;
	case 2: fuzz_command_line(text); break;
	default:
		/* A path, its end, and text to look for it in. */
		end = memchr(text, 0, input.n_bytes);
		if (end)
			(void)sea_json_position(end + 1, input.n_bytes - (size_t)(end + 1 - text), text, how & 4, &line,
			                        &column);
		break;
	}
	free(text);
	return 0;
}
